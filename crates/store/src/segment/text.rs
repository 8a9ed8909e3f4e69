//! Values of bytes in blocks: dictionaries, whose blocks of about 4 KiB make showing one value cheap, and
//! columns of mostly different text, in larger ones. A file compresses each block, a head keeps it as it is.
//!
//! What this module refuses to do: to know what the values mean. Lengths are checked when a block is opened, so
//! that damage is an error of that read and never a panic.

use std::sync::Arc;

use skein_event::limits::{REQUEST_BYTES_MAX, VALUE_BYTES_MAX};

use super::bytes::{count, length, slice_at, u32_at, varint};
use super::digits::DigitBlock;
use super::header::Version;
use super::ints::Ints;
use super::packing::unpack;
use super::reader::Segment;
use super::text_directory::{Block, Directory, V1_ENTRY_BYTES};
use super::text_words::StoredFilters;
use super::trace_filter::TraceFilter;
use super::unpacked::UnpackedBlock;
use crate::error::Error;

/// A block of a dictionary ends with the value that passes this: small enough that one value costs about ten
/// microseconds, large enough to compress (spec part II: 5.4 bytes per event against 4.7 for 16 KiB).
pub(super) const DICTIONARY_BLOCK_BYTES: usize = 4 << 10;
/// A block of a column of mostly different short values: four times a dictionary's, since a scan reads all.
pub(super) const TEXT_BLOCK_BYTES: usize = 16 << 10;
/// A block of long text, such as log messages: large enough that a block's start costs nothing.
pub(super) const LONG_TEXT_BLOCK_BYTES: usize = 64 << 10;

/// A block as its reader accepts it: a started block, then the largest value. A value is at most
/// [`VALUE_BYTES_MAX`], but an overflow map or a metric descriptor holds several, up to a whole request; beside
/// each value its length.
pub(super) const BLOCK_BYTES_MAX: usize = REQUEST_BYTES_MAX + VALUE_BYTES_MAX;

const HEAD_BYTES: usize = 8;

/// How much work goes into making a segment small.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// None: for head blocks, which are merged into a file within a minute.
    None,
    /// Long text in LZ4, which a search reads twice as fast; the rest as [`Compression::Zstd`].
    Lz4,
    /// Zstandard level 1 for all text.
    Zstd,
    /// For a file that compaction is done with: more work on text, integers in a wrap, no hashes that follow from their
    /// values.
    Cold,
}

/// What the blocks of a text are packed with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(super) enum Codec {
    Plain = 0,
    Zstd = 1,
    Lz4 = 2,
    /// Hex digits in four bits each ([`super::packing`]).
    Digits = 3,
}

impl Codec {
    pub(super) fn from_number(number: u32) -> Option<Codec> {
        [Codec::Plain, Codec::Zstd, Codec::Lz4, Codec::Digits]
            .into_iter()
            .find(|codec| *codec as u32 == number)
    }
}

/// Reads values by number. It keeps the block of the last value, so reading in rising order opens each block
/// once.
pub struct TextReader<'a> {
    bytes: &'a [u8],
    directory_bytes: usize,
    directory: Directory<'a>,
    stored: &'a [u8],
    values: u32,
    /// Of a column of version 1: the place of each of its codes in the segment's dictionary.
    places: Option<Ints<'a>>,
    /// Compares what is read with the file's checksums.
    checked_by: Option<&'a Segment>,
    /// The segment whose unpacked blocks are kept, for whoever reads single values.
    kept_by: Option<&'a Segment>,
    /// The open block: its values, its plain bytes, and where each value starts in them.
    open: std::ops::Range<u32>,
    /// Its number.
    number: usize,
    plain: Plain<'a>,
    starts: Vec<u32>,
    /// A value that was unpacked alone.
    value: Vec<u8>,
}

/// The plain bytes of a block.
enum Plain<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
    /// With the starts of its values.
    Kept(Arc<UnpackedBlock>),
    /// Values that are unpacked one by one.
    Digits(DigitBlock<'a>),
}

impl Plain<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Plain::Borrowed(bytes) => bytes,
            Plain::Owned(bytes) => bytes,
            Plain::Kept(block) => &block.plain,
            Plain::Digits(_) => &[],
        }
    }
}

pub(super) fn damaged() -> Error {
    Error::damaged("a block of text is not as its directory says")
}

impl<'a> TextReader<'a> {
    pub(super) fn open(bytes: &'a [u8], values: u32, version: Version) -> Result<TextReader<'a>, Error> {
        let short = || Error::damaged("the directory of a text ends early");
        let (directory, rest, stored) = if version == Version::V1 {
            let blocks = u32_at(bytes, 0)? as usize;
            let rest = bytes.get(HEAD_BYTES..).ok_or_else(short)?;
            let (entries, stored) = rest.split_at_checked(blocks * V1_ENTRY_BYTES).ok_or_else(short)?;
            (Directory::V1(entries), stored, stored)
        } else {
            if u32_at(bytes, 0)? != values {
                return Err(Error::damaged("a text has more or fewer values than its column"));
            }
            let rest = bytes.get(HEAD_BYTES..).ok_or_else(short)?;
            let (firsts, rest) = Ints::open(rest, version)?;
            let (ends, rest) = Ints::open(rest, version)?;
            let (plain_lengths, rest) = Ints::open(rest, version)?;
            let filters = u32_at(bytes, 4)? as usize;
            let end = rest.len().checked_sub(filters).ok_or_else(short)?;
            let (stored, filters) = rest.split_at(end);
            if ends.len() != firsts.len() || plain_lengths.len() != firsts.len() {
                return Err(damaged());
            }
            (Directory::V2 { firsts, ends, plain_lengths, filters }, rest, stored)
        };
        Ok(TextReader {
            directory_bytes: bytes.len() - rest.len(),
            bytes,
            directory,
            stored,
            values,
            places: None,
            checked_by: None,
            kept_by: None,
            open: 0..0,
            number: 0,
            plain: Plain::Borrowed(&[]),
            starts: Vec::new(),
            value: Vec::new(),
        })
    }

    /// A reader that compares what it reads with the checksums of the segment that the text lies in: the
    /// directory now, each block when it is opened.
    pub(super) fn checked_by(self, segment: &'a Segment) -> Result<TextReader<'a>, Error> {
        segment.check_pieces(self.bytes.get(..self.directory_bytes).unwrap_or(self.bytes))?;
        Ok(TextReader { checked_by: Some(segment), ..self })
    }

    /// A reader of single values of a segment's text: what it unpacks is kept for the next one.
    pub(super) fn kept_by(self, segment: &'a Segment) -> TextReader<'a> {
        TextReader { kept_by: Some(segment), ..self }
    }

    /// A reader by the codes of a column of version 1.
    pub(super) fn with_places(self, places: Ints<'a>) -> TextReader<'a> {
        TextReader { places: Some(places), ..self }
    }

    /// The bytes of a value.
    pub fn get(&mut self, code: u32) -> Result<&[u8], Error> {
        let code = match &self.places {
            Some(places) if (code as usize) < places.len() => {
                u32::try_from(places.get(code as usize)).map_err(|_| damaged())?
            }
            Some(_) => return Err(Error::damaged("a code lies beyond its column's dictionary")),
            None => code,
        };
        if !self.open.contains(&code) {
            self.open_block(code)?;
        }
        let place = (code - self.open.start) as usize;
        if let Plain::Digits(digits) = self.plain {
            digits.value(place, &mut self.value);
            return Ok(&self.value);
        }
        let starts = match &self.plain {
            Plain::Kept(block) => &block.starts,
            _ => &self.starts,
        };
        let (Some(&start), Some(&end)) = (starts.get(place), starts.get(place + 1)) else {
            return Err(damaged());
        };
        self.plain.bytes().get(start as usize..end as usize).ok_or_else(damaged)
    }

    /// Number of blocks.
    pub(super) fn blocks(&self) -> usize {
        self.directory.blocks()
    }

    /// Gets ready to give out many values in rising order: looks at every block's entry at once.
    pub(super) fn many(self) -> TextReader<'a> {
        TextReader { directory: self.directory.unpacked(), ..self }
    }

    /// The codes of a block's values.
    pub(super) fn values_of(&self, block: usize) -> std::ops::Range<u32> {
        let end = if block + 1 < self.blocks() { self.first(block + 1) } else { self.values };
        self.first(block)..end
    }

    /// The filter of a block's words, where it has one.
    pub(super) fn word_filter(&self, block: usize) -> Result<Option<TraceFilter<'a>>, Error> {
        let filters = self.directory.filters();
        if filters.is_empty() {
            return Ok(None);
        }
        if let Some(segment) = self.checked_by {
            segment.check_pieces(filters)?;
        }
        let filter = StoredFilters::open(filters, self.blocks())?.of(block)?;
        if filter.is_empty() { Ok(None) } else { TraceFilter::open(filter).map(Some) }
    }

    /// Bytes of the filters of words.
    pub(super) fn word_filter_bytes(&self) -> usize {
        self.directory.filters().len()
    }

    fn first(&self, block: usize) -> u32 {
        self.directory.first(block)
    }

    fn block(&self, number: usize) -> Result<Block, Error> {
        self.directory.block(number, self.values_of(number))
    }

    /// The number of the block that has a code.
    fn find(&self, code: u32) -> Option<usize> {
        // Whoever reads in rising order wants the next.
        let next = self.number + 1;
        if next < self.blocks() && self.values_of(next).contains(&code) {
            return Some(next);
        }
        let (mut low, mut high) = (0, self.blocks());
        while low < high {
            let middle = low.midpoint(high);
            if self.first(middle) <= code { low = middle + 1 } else { high = middle }
        }
        low.checked_sub(1)
    }

    fn open_block(&mut self, code: u32) -> Result<(), Error> {
        self.number = self.find(code).ok_or_else(damaged)?;
        let block = self.block(self.number)?;
        if code >= block.values.end {
            return Err(Error::damaged("a code lies beyond the dictionary"));
        }
        let stored = slice_at(self.stored, block.offset, block.stored_length)?;
        if let Some(segment) = self.checked_by {
            segment.check_pieces(stored)?;
        }
        if block.plain_length > BLOCK_BYTES_MAX {
            return Err(damaged());
        }
        self.open = 0..0;
        let (codec, packed) = match (block.codec, stored.split_first()) {
            (Some(codec), _) => (codec, stored),
            (None, Some((&number, packed))) => {
                (Codec::from_number(u32::from(number)).ok_or_else(damaged)?, packed)
            }
            (None, None) => return Err(damaged()),
        };
        let values = (block.values.end - block.values.start) as usize;
        if codec == Codec::Digits {
            let digits = DigitBlock::open(packed, values, block.plain_length).ok_or_else(damaged)?;
            self.plain = Plain::Digits(digits);
            self.open = block.values;
            return Ok(());
        }
        let keeper = self.kept_by.filter(|_| codec != Codec::Plain);
        if let Some(kept) = keeper.and_then(|segment| segment.kept_block(stored)) {
            self.plain = Plain::Kept(kept);
            self.open = block.values;
            return Ok(());
        }
        self.plain = match codec {
            Codec::Plain => Plain::Borrowed(packed),
            _ => Plain::Owned(unpack(codec, packed, block.plain_length)?),
        };
        if self.plain.bytes().len() != block.plain_length {
            return Err(damaged());
        }
        match self.directory {
            Directory::V1(_) => self.read_starts_v1(values)?,
            Directory::V2 { .. } | Directory::Unpacked { .. } => self.read_starts(values)?,
        }
        if let (Some(segment), Plain::Owned(plain)) = (keeper, &mut self.plain) {
            let (plain, starts) = (std::mem::take(plain), std::mem::take(&mut self.starts));
            let unpacked = Arc::new(UnpackedBlock { plain, starts });
            segment.keep_block(stored, &unpacked);
            self.plain = Plain::Kept(unpacked);
        }
        self.open = block.values;
        Ok(())
    }

    /// POST: on `Ok`, `starts` holds one start per value and the end of the last, all inside the block.
    fn read_starts(&mut self, values: usize) -> Result<(), Error> {
        let damaged = || Error::damaged("the lengths of a block of text do not add up");
        let plain = self.plain.bytes();
        let (common, mut rest) = varint(plain).ok_or_else(damaged)?;
        self.starts.clear();
        if let Some(common) = common.checked_sub(1) {
            let common = u32::try_from(common).map_err(|_| damaged())?;
            if (values as u64).checked_mul(u64::from(common)) != Some(length(rest.len())) {
                return Err(damaged());
            }
            let start = count(plain.len() - rest.len());
            self.starts.extend((0..=count(values)).map(|place| start + place * common));
            return Ok(());
        }
        if values > plain.len() {
            return Err(damaged());
        }
        let mut total = 0_u64;
        self.starts.push(0);
        for _ in 0..values {
            let (value_length, after) = varint(rest).ok_or_else(damaged)?;
            rest = after;
            total += value_length;
            self.starts.push(u32::try_from(total).map_err(|_| damaged())?);
        }
        let start = count(plain.len() - rest.len());
        self.starts.iter_mut().for_each(|place| *place = place.saturating_add(start));
        if total == length(rest.len()) { Ok(()) } else { Err(damaged()) }
    }

    fn read_starts_v1(&mut self, values: usize) -> Result<(), Error> {
        let damaged = || Error::damaged("the lengths of a dictionary block do not add up");
        let plain = self.plain.bytes();
        let mut start = count(values.checked_mul(4).ok_or_else(damaged)?);
        if start as usize > plain.len() {
            return Err(damaged());
        }
        self.starts.clear();
        self.starts.push(start);
        for place in 0..values {
            start = start.checked_add(u32_at(plain, place * 4)?).ok_or_else(damaged)?;
            self.starts.push(start);
        }
        if start as usize == plain.len() { Ok(()) } else { Err(damaged()) }
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
