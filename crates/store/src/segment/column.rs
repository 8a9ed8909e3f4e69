//! One column of a segment, opened: its presence, its zone map, and its values block by block.
//!
//! A column is scanned in its encoded form: filters compare codes, zones skip blocks, and text is touched
//! only for what is shown. Opening a column checks its chunk once per process ([`super::Segment::column`]), so
//! that the methods here cannot fail.

use skein_event::batch::{Column, Physical, Values};

use super::body::Body;
use super::bytes::{array_at, count, slice_at, u32_at};
use super::info::{ColumnInfo, Zone};
use super::ints::{BLOCK_VALUES, Ints};
use super::presence::PresentRows;
use super::text::Hashes;
use crate::error::Error;

/// Bytes of a column chunk's head: the lengths of presence, dictionary, index and values.
pub(crate) const HEAD_BYTES: usize = 16;
/// Bytes of a block's zone beside doubles: smallest, largest.
pub(super) const DOUBLE_ZONE_BYTES: usize = 16;

/// An open column.
///
/// Values are numbered densely: value `i` belongs to the `i`-th present row ([`ColumnReader::present`]).
/// Blocks are of [`BLOCK_VALUES`] values, not rows.
pub struct ColumnReader<'a> {
    info: ColumnInfo,
    present: PresentRows,
    body: Body<'a>,
}

/// The divisor of scaled doubles.
pub(crate) fn divisor(scale: u8) -> f64 {
    10_f64.powi(i32::from(scale))
}

/// The double that an integer stands for.
#[expect(clippy::cast_precision_loss, reason = "the writer scales only what comes back exactly")]
pub(crate) fn unscale(scaled: i64, divisor: f64) -> f64 {
    scaled as f64 / divisor
}

impl<'a> ColumnReader<'a> {
    /// Opens a column's chunk. `rows` is the number of rows, or of contexts for a column of that level.
    pub(crate) fn open(
        info: ColumnInfo,
        chunk: &'a [u8],
        rows: u32,
        hashes: Option<Hashes<'a>>,
    ) -> Result<ColumnReader<'a>, Error> {
        let lengths = [u32_at(chunk, 0)?, u32_at(chunk, 4)?, u32_at(chunk, 8)?, u32_at(chunk, 12)?];
        let mut at = HEAD_BYTES as u64;
        let mut part = |length: u32| {
            let slice = slice_at(chunk, at, u64::from(length));
            at += u64::from(length);
            slice
        };
        let (presence, dictionary) = (part(lengths[0])?, part(lengths[1])?);
        let (index, values) = (part(lengths[2])?, part(lengths[3])?);
        let present = PresentRows::read(info.presence, presence, rows, info.present)?;
        let body = Body::open(&info, dictionary, index, values, hashes)?;
        if body.len() != info.present as usize {
            return Err(Error::damaged("a column has more or fewer values than present rows"));
        }
        Ok(ColumnReader { info, present, body })
    }

    /// Checks values against zones and dictionary. Done once per chunk, after its checksum.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let distinct = i64::from(self.info.distinct.unwrap_or(0));
        match &self.body {
            Body::Ints(ints) if self.info.key.physical == Physical::Bool => ints.validate(0, 1),
            Body::Ints(ints) | Body::ScaledDoubles { ints, .. } => ints.validate(i64::MIN, i64::MAX),
            Body::Codes { codes, dictionary, hashes } => {
                dictionary.validate(0, i64::try_from(hashes.len()).unwrap_or(i64::MAX) - 1)?;
                let entries = dictionary.to_vec_u32();
                if entries.windows(2).any(|pair| pair[0] >= pair[1]) {
                    return Err(Error::damaged("a column's dictionary does not rise"));
                }
                codes.validate(0, distinct - 1)
            }
            Body::Ids16 { codes, ids, order } => {
                order.validate(0, distinct - 1)?;
                let order = order.to_vec_u32();
                let id = |code: u32| array_at::<16>(ids, code as usize * 16).unwrap_or_default();
                if order.windows(2).any(|pair| id(pair[0]) >= id(pair[1])) {
                    return Err(Error::damaged("the order of a column's ids is not one"));
                }
                codes.validate(0, distinct - 1)
            }
            Body::Doubles { .. } | Body::Ids8(_) => Ok(()),
        }
    }

    /// What the footer says about it.
    pub fn info(&self) -> &ColumnInfo {
        &self.info
    }

    /// Which rows (contexts) have a value.
    pub fn present(&self) -> &PresentRows {
        &self.present
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of blocks of values.
    pub fn blocks(&self) -> usize {
        self.len().div_ceil(BLOCK_VALUES)
    }

    /// Number of values in a block.
    pub fn block_len(&self, block: usize) -> usize {
        self.len().saturating_sub(block * BLOCK_VALUES).min(BLOCK_VALUES)
    }

    /// Smallest and largest value of a block.
    pub fn zone(&self, block: usize) -> Zone {
        let nan = matches!(self.info.zone, Zone::F64 { nan: true, .. });
        match &self.body {
            Body::Ints(ints) => {
                let (min, max) = ints.zone(block);
                Zone::I64(min, max)
            }
            Body::ScaledDoubles { ints, divisor } => {
                let (min, max) = ints.zone(block);
                Zone::F64 { min: unscale(min, *divisor), max: unscale(max, *divisor), nan }
            }
            Body::Doubles { zones, .. } => {
                let bound = |at: usize| array_at(zones, block * DOUBLE_ZONE_BYTES + at).unwrap_or_default();
                Zone::F64 { min: f64::from_le_bytes(bound(0)), max: f64::from_le_bytes(bound(8)), nan }
            }
            Body::Codes { codes, .. } | Body::Ids16 { codes, .. } => {
                let (min, max) = codes.zone(block);
                Zone::Code(u32::try_from(min).unwrap_or(0), u32::try_from(max).unwrap_or(u32::MAX))
            }
            Body::Ids8(_) => Zone::Unordered,
        }
    }

    /// Replaces `out` by the values of a block: bool (0 and 1), i64, durations in nanoseconds. Of any other
    /// column `out` stays empty.
    pub fn decode_i64(&self, block: usize, out: &mut Vec<i64>) {
        out.clear();
        if let Body::Ints(ints) = &self.body {
            ints.decode(block, out);
        }
    }

    /// Replaces `out` by the values of a block of doubles. Of any other column `out` stays empty.
    pub fn decode_f64(&self, block: usize, out: &mut Vec<f64>) {
        out.clear();
        match &self.body {
            Body::ScaledDoubles { ints, divisor } => {
                let mut scaled = Vec::with_capacity(BLOCK_VALUES);
                ints.decode(block, &mut scaled);
                out.extend(scaled.iter().map(|&value| unscale(value, *divisor)));
            }
            Body::Doubles { bits, .. } => {
                out.extend(self.range(block).map(|index| double_at(bits, index)));
            }
            _ => {}
        }
    }

    /// Replaces `out` by the codes of a block, of the column's own dictionary: text, bytes, json, trace ids.
    /// Of any other column `out` stays empty.
    ///
    /// POST: every code lies below [`ColumnInfo::distinct`].
    pub fn decode_codes(&self, block: usize, out: &mut Vec<u32>) {
        out.clear();
        match &self.body {
            Body::Codes { codes, .. } | Body::Ids16 { codes, .. } => codes.decode_u32(block, out),
            _ => {}
        }
    }

    /// Replaces `out` by the span ids of a block. Of any other column `out` stays empty.
    pub fn decode_span_ids(&self, block: usize, out: &mut Vec<[u8; 8]>) {
        out.clear();
        if let Body::Ids8(ids) = &self.body {
            out.extend(self.range(block).map(|index| array_at(ids, index * 8).unwrap_or_default()));
        }
    }

    /// One integer value, by its place among the values.
    pub fn i64_at(&self, value: u32) -> Option<i64> {
        match &self.body {
            Body::Ints(ints) => Some(ints.get(value as usize)),
            _ => None,
        }
    }

    /// One double.
    pub fn f64_at(&self, value: u32) -> Option<f64> {
        match &self.body {
            Body::ScaledDoubles { ints, divisor } => Some(unscale(ints.get(value as usize), *divisor)),
            Body::Doubles { bits, .. } => Some(double_at(bits, value as usize)),
            _ => None,
        }
    }

    /// One code of the column's dictionary.
    pub fn code_at(&self, value: u32) -> Option<u32> {
        match &self.body {
            Body::Codes { codes, .. } | Body::Ids16 { codes, .. } => {
                u32::try_from(codes.get(value as usize)).ok()
            }
            _ => None,
        }
    }

    /// One span id.
    pub fn span_id_at(&self, value: u32) -> Option<[u8; 8]> {
        match &self.body {
            Body::Ids8(ids) => array_at(ids, value as usize * 8).ok(),
            _ => None,
        }
    }

    /// Number of distinct values, for columns with a dictionary; 0 for others.
    pub fn dictionary_len(&self) -> u32 {
        self.info.distinct.unwrap_or(0)
    }

    /// The place in the segment's dictionary of a code of this column's: for [`super::TextReader::get`]. Rises
    /// with the code. `None` for columns without text, and beyond the last code.
    pub fn segment_code(&self, code: u32) -> Option<u32> {
        match &self.body {
            Body::Codes { dictionary, .. } if (code as usize) < dictionary.len() => {
                u32::try_from(dictionary.get(code as usize)).ok()
            }
            _ => None,
        }
    }

    /// All of [`ColumnReader::segment_code`]: entry `i` is code `i`'s place in the segment's dictionary.
    pub fn segment_codes(&self) -> Vec<u32> {
        match &self.body {
            Body::Codes { dictionary, .. } => dictionary.to_vec_u32(),
            _ => Vec::new(),
        }
    }

    /// The keyed hash of a code's value ([`skein_event::hash::HashKey`]).
    pub fn hash(&self, code: u32) -> Option<u64> {
        match &self.body {
            Body::Codes { hashes, .. } => Some(hashes.get(self.segment_code(code)?)),
            _ => None,
        }
    }

    /// The codes whose value has this keyed hash: none, one, or several when values collide. Whoever needs
    /// certainty compares the bytes.
    pub fn codes_of_hash(&self, hash: u64) -> Vec<u32> {
        match &self.body {
            Body::Codes { dictionary, hashes, .. } => {
                let found = hashes.codes_of(hash);
                found.into_iter().filter_map(|global| position(dictionary, i64::from(global))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The trace id of a code.
    pub fn trace_id(&self, code: u32) -> Option<[u8; 16]> {
        match &self.body {
            Body::Ids16 { ids, .. } => array_at(ids, code as usize * 16).ok(),
            _ => None,
        }
    }

    /// The code of a trace id.
    pub fn code_of_trace_id(&self, id: &[u8; 16]) -> Option<u32> {
        let Body::Ids16 { order, .. } = &self.body else { return None };
        let (mut low, mut high) = (0, order.len());
        while low < high {
            let middle = low.midpoint(high);
            let code = u32::try_from(order.get(middle)).ok()?;
            match self.trace_id(code)?.cmp(id) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(code),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The rows whose value is this code, rising. Blocks whose zone excludes it are not decoded.
    pub fn rows_of_code(&self, code: u32) -> Vec<u32> {
        let mut rows = Vec::new();
        let mut codes = Vec::new();
        let mut block_rows = Vec::new();
        for block in 0..self.blocks() {
            if !matches!(self.zone(block), Zone::Code(min, max) if min <= code && code <= max) {
                continue;
            }
            self.decode_codes(block, &mut codes);
            self.rows_of_block(block, &mut block_rows);
            let matching = codes.iter().zip(&block_rows).filter(|&(&found, _)| found == code);
            rows.extend(matching.map(|(_, &row)| row));
        }
        rows
    }

    /// Replaces `out` by the rows that a block's values belong to.
    pub fn rows_of_block(&self, block: usize, out: &mut Vec<u32>) {
        self.present.rows_of(count(block * BLOCK_VALUES), count(BLOCK_VALUES), out);
    }

    /// The whole column as a batch has it; codes are those of the segment's dictionary.
    pub(crate) fn to_batch_column(&self) -> Column {
        Column { key: self.info.key.clone(), presence: self.present.to_presence(), values: self.all_values() }
    }

    fn all_values(&self) -> Values {
        match &self.body {
            Body::Ints(ints) if self.info.key.physical == Physical::Bool => {
                Values::Bool(ints.to_vec().into_iter().map(|value| value != 0).collect())
            }
            Body::Ints(ints) => Values::I64(ints.to_vec()),
            Body::ScaledDoubles { .. } | Body::Doubles { .. } => {
                let mut all = Vec::with_capacity(self.len());
                let mut values = Vec::new();
                for block in 0..self.blocks() {
                    self.decode_f64(block, &mut values);
                    all.extend_from_slice(&values);
                }
                Values::F64(all)
            }
            Body::Codes { codes, dictionary, .. } => {
                let dictionary = dictionary.to_vec_u32();
                let mut all = codes.to_vec_u32();
                all.iter_mut().for_each(|code| *code = dictionary[*code as usize]);
                Values::Code(all)
            }
            Body::Ids16 { codes, ids, .. } => {
                let id =
                    |code: i64| usize::try_from(code).ok().and_then(|code| array_at(ids, code * 16).ok());
                Values::Id16(codes.to_vec().into_iter().map(|code| id(code).unwrap_or_default()).collect())
            }
            Body::Ids8(ids) => Values::Id8(ids.as_chunks::<8>().0.to_vec()),
        }
    }

    fn range(&self, block: usize) -> std::ops::Range<usize> {
        let start = block * BLOCK_VALUES;
        start..start + self.block_len(block)
    }
}

fn double_at(bits: &[u8], index: usize) -> f64 {
    f64::from_le_bytes(array_at(bits, index * 8).unwrap_or_default())
}

/// The place of a value in a strictly rising sequence.
fn position(rising: &Ints<'_>, value: i64) -> Option<u32> {
    let (mut low, mut high) = (0, rising.len());
    while low < high {
        let middle = low.midpoint(high);
        if rising.get(middle) < value { low = middle + 1 } else { high = middle }
    }
    (low < rising.len() && rising.get(low) == value).then(|| count(low))
}
