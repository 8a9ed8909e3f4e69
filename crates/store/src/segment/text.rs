//! The segment's dictionary: every distinct text, bytes or json value once, beside its keyed hash.
//!
//! Hashes lie apart from the bytes, so that grouping and joining work on integers; bytes lie in blocks of
//! about 4 KiB, so that showing one value reads little. A head block keeps them as they are, a file
//! compresses each block.

use skein_event::dictionary::Dictionary;
use skein_event::limits::{REQUEST_BYTES_MAX, VALUE_BYTES_MAX};

use super::bytes::{count, length, slice_at, u32_at, u64_at};
use super::ints::{Ints, write_ints};
use crate::error::{Error, ErrorKind};

/// A block ends with the value that passes this: small enough that one value costs about ten microseconds,
/// large enough to compress (measured in spec part II: 5.4 bytes per event against 4.7 for 16 KiB).
const BLOCK_BYTES_TARGET: usize = 4 << 10;

/// A block as its reader accepts it: a started block, then the largest value. A value is at most
/// [`VALUE_BYTES_MAX`], but an overflow map or a metric descriptor holds several, up to a whole request.
const BLOCK_BYTES_MAX: usize = REQUEST_BYTES_MAX + VALUE_BYTES_MAX;

/// Bytes of a directory entry: first code, plain length, offset, stored length, codec.
const ENTRY_BYTES: usize = 24;
const HEAD_BYTES: usize = 8;

const CODEC_PLAIN: u32 = 0;
const CODEC_ZSTD: u32 = 1;

/// How much work goes into making text small.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// None: for head blocks, which are merged into a file within a minute.
    None,
    /// Zstandard level 1.
    Zstd,
}

/// Appends the hashes, then the codes in order of their hashes. Returns whether two values share a hash.
pub(crate) fn write_hashes(dictionary: &Dictionary, out: &mut Vec<u8>) -> bool {
    let hashes = dictionary.hashes();
    out.extend(hashes.iter().flat_map(|hash| hash.to_le_bytes()));
    let mut order: Vec<u32> = (0..count(hashes.len())).collect();
    order.sort_unstable_by_key(|&code| (hashes[code as usize], code));
    let collided = order.windows(2).any(|pair| hashes[pair[0] as usize] == hashes[pair[1] as usize]);
    write_ints(&order, out);
    collided
}

/// Appends the values' bytes in blocks.
pub(crate) fn write_text(
    dictionary: &Dictionary,
    compression: Compression,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut compressor = zstd::bulk::Compressor::new(1)
        .map_err(|error| Error::with_source(ErrorKind::Io, "zstd refuses to start", error))?;
    let mut blocks: Vec<[u8; ENTRY_BYTES]> = Vec::new();
    let mut stored = Vec::new();
    let mut plain = Vec::new();
    let values = count(dictionary.len());
    let mut first = 0;
    while first < values {
        let end = block_end(dictionary, first);
        plain.clear();
        plain.extend((first..end).flat_map(|code| count(dictionary.get(code).len()).to_le_bytes()));
        (first..end).for_each(|code| plain.extend_from_slice(dictionary.get(code)));
        if plain.len() > BLOCK_BYTES_MAX {
            return Err(Error::new(ErrorKind::TooLarge, "a value is larger than a request may be"));
        }
        let offset = length(stored.len());
        let packed = match compression {
            Compression::None => None,
            Compression::Zstd => compressor.compress(&plain).ok().filter(|packed| packed.len() < plain.len()),
        };
        let codec = if packed.is_some() { CODEC_ZSTD } else { CODEC_PLAIN };
        stored.extend_from_slice(packed.as_deref().unwrap_or(&plain));
        let mut entry = [0; ENTRY_BYTES];
        entry[..4].copy_from_slice(&first.to_le_bytes());
        entry[4..8].copy_from_slice(&count(plain.len()).to_le_bytes());
        entry[8..16].copy_from_slice(&offset.to_le_bytes());
        entry[16..20]
            .copy_from_slice(&count(stored.len() - usize::try_from(offset).unwrap_or(0)).to_le_bytes());
        entry[20..].copy_from_slice(&codec.to_le_bytes());
        blocks.push(entry);
        first = end;
    }
    out.extend_from_slice(&count(blocks.len()).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend(blocks.iter().flatten());
    out.extend_from_slice(&stored);
    Ok(())
}

/// The first code that no longer belongs to the block that starts with `first`.
fn block_end(dictionary: &Dictionary, first: u32) -> u32 {
    let mut bytes = 0;
    let mut code = first;
    while (code as usize) < dictionary.len() && bytes < BLOCK_BYTES_TARGET {
        bytes += dictionary.get(code).len() + 4;
        code += 1;
    }
    code
}

/// The hashes of a segment's dictionary, and the way from a hash to its values.
#[derive(Clone, Copy, Debug)]
pub struct Hashes<'a> {
    hashes: &'a [u8],
    order: Ints<'a>,
}

impl<'a> Hashes<'a> {
    pub(crate) fn open(bytes: &'a [u8], values: u32) -> Result<Hashes<'a>, Error> {
        let (hashes, rest) = bytes
            .split_at_checked(values as usize * 8)
            .ok_or_else(|| Error::damaged("the dictionary's hashes end early"))?;
        let (order, _) = Ints::open(rest)?;
        if order.len() != values as usize {
            return Err(Error::damaged("the dictionary's hash order has another length"));
        }
        Ok(Hashes { hashes, order })
    }

    /// Checks the order, so that a search can trust it.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.order.validate(0, i64::from(u32::MAX))?;
        let order = self.order.to_vec_u32();
        let key = |code: u32| (self.get(code), code);
        let rising = order.windows(2).all(|pair| key(pair[0]) < key(pair[1]));
        let inside = order.iter().all(|&code| (code as usize) < self.order.len());
        if rising && inside { Ok(()) } else { Err(Error::damaged("the hash order is not one")) }
    }

    /// The keyed hash of a value.
    #[inline]
    pub fn get(&self, code: u32) -> u64 {
        u64_at(self.hashes, code as usize * 8).unwrap_or(0)
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether the dictionary is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The codes of all values of this hash: one, unless values collide.
    pub fn codes_of(&self, hash: u64) -> Vec<u32> {
        let code_at = |place: usize| u32::try_from(self.order.get(place)).unwrap_or(u32::MAX);
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(code_at(middle)) < hash { low = middle + 1 } else { high = middle }
        }
        let equal = (low..self.len()).map(code_at).take_while(|&code| self.get(code) == hash);
        equal.collect()
    }
}

/// Reads values of a segment's dictionary. It keeps the block of the last value, so reading codes in rising
/// order opens each block once.
pub struct TextReader<'a> {
    directory: &'a [u8],
    stored: &'a [u8],
    values: u32,
    decompressor: Option<zstd::bulk::Decompressor<'static>>,
    /// The open block: its codes, its plain bytes, and where each value starts in them.
    codes: std::ops::Range<u32>,
    plain: Plain<'a>,
    starts: Vec<u32>,
}

/// The plain bytes of a block.
enum Plain<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
}

impl<'a> TextReader<'a> {
    pub(crate) fn open(bytes: &'a [u8], values: u32) -> Result<TextReader<'a>, Error> {
        let blocks = u32_at(bytes, 0)? as usize;
        let (directory, stored) = bytes[4..]
            .get(HEAD_BYTES - 4..)
            .and_then(|rest| rest.split_at_checked(blocks * ENTRY_BYTES))
            .ok_or_else(|| Error::damaged("the dictionary's directory ends early"))?;
        let reader = TextReader {
            directory,
            stored,
            values,
            decompressor: None,
            codes: 0..0,
            plain: Plain::Borrowed(&[]),
            starts: Vec::new(),
        };
        Ok(reader)
    }

    /// The bytes of a value.
    pub fn get(&mut self, code: u32) -> Result<&[u8], Error> {
        if !self.codes.contains(&code) {
            self.open_block(code)?;
        }
        let place = (code - self.codes.start) as usize;
        let plain = match &self.plain {
            Plain::Borrowed(bytes) => bytes,
            Plain::Owned(bytes) => bytes.as_slice(),
        };
        let (start, end) = (self.starts[place] as usize, self.starts[place + 1] as usize);
        plain.get(start..end).ok_or_else(|| Error::damaged("a dictionary value ends outside of its block"))
    }

    fn first_code(&self, block: usize) -> Result<u32, Error> {
        u32_at(self.directory, block * ENTRY_BYTES)
    }

    fn open_block(&mut self, code: u32) -> Result<(), Error> {
        let damaged = || Error::damaged("a dictionary block is not as its directory says");
        let blocks = self.directory.len() / ENTRY_BYTES;
        let (mut low, mut high) = (0, blocks);
        while low < high {
            let middle = low.midpoint(high);
            if self.first_code(middle)? <= code { low = middle + 1 } else { high = middle }
        }
        let block = low.checked_sub(1).ok_or_else(damaged)?;
        let first = self.first_code(block)?;
        let end = if block + 1 < blocks { self.first_code(block + 1)? } else { self.values };
        if code >= end {
            return Err(Error::damaged("a code lies beyond the dictionary"));
        }
        let at = block * ENTRY_BYTES;
        let plain_length = u32_at(self.directory, at + 4)? as usize;
        let stored_length = u64::from(u32_at(self.directory, at + 16)?);
        let stored = slice_at(self.stored, u64_at(self.directory, at + 8)?, stored_length)?;
        if plain_length > BLOCK_BYTES_MAX {
            return Err(damaged());
        }
        self.codes = 0..0;
        match u32_at(self.directory, at + 20)? {
            CODEC_PLAIN => self.plain = Plain::Borrowed(stored),
            CODEC_ZSTD => self.plain = Plain::Owned(self.decompress(stored, plain_length)?),
            _ => return Err(damaged()),
        }
        self.read_starts((end - first) as usize, plain_length)?;
        self.codes = first..end;
        Ok(())
    }

    fn decompress(&mut self, stored: &[u8], plain_length: usize) -> Result<Vec<u8>, Error> {
        if self.decompressor.is_none() {
            let fresh = zstd::bulk::Decompressor::new()
                .map_err(|error| Error::with_source(ErrorKind::Io, "zstd refuses to start", error))?;
            self.decompressor = Some(fresh);
        }
        let unpacked = self.decompressor.as_mut().map(|context| context.decompress(stored, plain_length));
        match unpacked {
            Some(Ok(bytes)) => Ok(bytes),
            _ => Err(Error::damaged("a dictionary block does not decompress")),
        }
    }

    /// POST: on `Ok`, `starts` holds one start per value and the end of the last, all inside the block.
    fn read_starts(&mut self, values: usize, plain_length: usize) -> Result<(), Error> {
        let damaged = || Error::damaged("the lengths of a dictionary block do not add up");
        let plain = match &self.plain {
            Plain::Borrowed(bytes) => bytes,
            Plain::Owned(bytes) => bytes.as_slice(),
        };
        let mut start = count(values.checked_mul(4).ok_or_else(damaged)?);
        if plain.len() != plain_length || start as usize > plain_length {
            return Err(damaged());
        }
        self.starts.clear();
        self.starts.push(start);
        for place in 0..values {
            start = start.checked_add(u32_at(plain, place * 4)?).ok_or_else(damaged)?;
            self.starts.push(start);
        }
        if start as usize == plain_length { Ok(()) } else { Err(damaged()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use skein_event::dictionary::Interner;
    use skein_event::hash::HashKey;

    fn dictionary(values: &[Vec<u8>]) -> Dictionary {
        let mut interner = Interner::new(HashKey(5));
        values.iter().for_each(|value| {
            interner.intern(value);
        });
        interner.finish()
    }

    proptest! {
        #[test]
        fn values_come_back_and_are_found_by_hash(
            values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..900), 0..60),
        ) {
            let dictionary = dictionary(&values);
            let values = count(dictionary.len());
            for compression in [Compression::None, Compression::Zstd] {
                let (mut text, mut hashes) = (Vec::new(), Vec::new());
                write_text(&dictionary, compression, &mut text).expect("writes");
                prop_assert!(!write_hashes(&dictionary, &mut hashes));
                let mut reader = TextReader::open(&text, values).expect("opens");
                let hashes = Hashes::open(&hashes, values).expect("opens");
                hashes.validate().expect("valid");
                for code in (0..values).chain((0..values).rev()) {
                    prop_assert_eq!(reader.get(code).expect("reads"), dictionary.get(code));
                    prop_assert_eq!(hashes.codes_of(dictionary.hash(code)), vec![code]);
                }
                prop_assert!(reader.get(values).is_err());
            }
        }

        #[test]
        fn damaged_text_is_an_error(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let values: Vec<Vec<u8>> = (0..600_u32).map(|n| format!("value {n}").into_bytes()).collect();
            let dictionary = dictionary(&values);
            let mut text = Vec::new();
            write_text(&dictionary, Compression::Zstd, &mut text).expect("writes");
            let place = at.index(text.len());
            text[place] ^= 1_u8 << bit;
            if let Ok(mut reader) = TextReader::open(&text, 600) {
                for code in 0..600 {
                    reader.get(code).ok(); // an error or other bytes, never a panic
                }
            }
        }
    }

    #[test]
    fn colliding_values_are_flagged_and_both_found() {
        let mut dictionary = Dictionary::default();
        dictionary.push(b"one", 42);
        dictionary.push(b"other", 7);
        dictionary.push(b"two", 42);
        let mut bytes = Vec::new();
        assert!(write_hashes(&dictionary, &mut bytes));
        let hashes = Hashes::open(&bytes, 3).expect("opens");
        assert_eq!(hashes.codes_of(42), vec![0, 2]);
        assert_eq!(hashes.codes_of(1), Vec::<u32>::new());
    }
}
