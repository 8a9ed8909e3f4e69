//! One column of a segment, opened: its presence, its zone map, and its values block by block.
//!
//! A column is scanned in its encoded form: filters compare codes, zones skip blocks, and text is touched
//! only for what is shown. [`super::Segment::column`] checks values once per process, so that the methods that
//! decode them cannot fail; the dictionary is checked when it is first asked for.

use skein_event::batch::{Column, Physical, Values};

use super::body::{Body, Parts};
use super::bytes::{array_at, count};
use super::info::{ColumnInfo, Zone};
use super::ints::BLOCK_VALUES;
use super::presence::PresentRows;
use super::reader::Segment;
use super::trace_filter::trace_hash;
use crate::error::Error;

/// Bytes of a chunk's head: the lengths of presence and index; the values are the rest.
pub(crate) const HEAD_BYTES: usize = 8;
/// The same of version 1: the lengths of presence, dictionary, index and values.
pub(super) const V1_HEAD_BYTES: usize = 16;
/// Bytes of a block's zone beside doubles: smallest, largest.
pub(super) const DOUBLE_ZONE_BYTES: usize = 16;

/// An open column.
///
/// Values are numbered densely: value `i` belongs to the `i`-th present row ([`ColumnReader::present`]).
/// Blocks are of [`BLOCK_VALUES`] values, not rows.
pub struct ColumnReader<'a> {
    pub(super) info: ColumnInfo,
    present: PresentRows<'a>,
    pub(super) body: Body<'a>,
    pub(super) segment: &'a Segment,
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
    /// Opens a column's chunks. `rows` is the number of rows, or of contexts for a column of that level.
    pub(super) fn open(
        segment: &'a Segment,
        info: ColumnInfo,
        chunk: &'a [u8],
        dictionary: &'a [u8],
        rows: u32,
    ) -> Result<ColumnReader<'a>, Error> {
        let version = segment.version();
        let parts = Parts::split(chunk, dictionary, version)?;
        let present = PresentRows::open(info.presence, parts.presence, rows, info.present, version)?;
        let body = Body::open(&info, &parts, segment, || segment.span_ids())?;
        if body.len() != info.present as usize {
            return Err(Error::damaged("a column has more or fewer values than present rows"));
        }
        Ok(ColumnReader { info, present, body, segment })
    }

    /// Checks presence, and values against zones and dictionary. Done once per chunk, after its checksum.
    pub(super) fn validate(&self, rows: u32) -> Result<(), Error> {
        self.present.validate(rows)?;
        let distinct = i64::from(self.info.distinct.unwrap_or(0));
        match &self.body {
            Body::Ints(ints) if self.info.key.physical == Physical::Bool => ints.validate(0, 1),
            Body::Ints(ints) | Body::ScaledDoubles { ints, .. } => ints.validate(i64::MIN, i64::MAX),
            Body::Codes { codes, .. } => codes.validate(0, distinct - 1),
            Body::Ids16 { codes, ids, order, by_hash } => {
                order.validate(0, distinct - 1)?;
                let order = order.to_vec_u32();
                let id = |code: u32| array_at::<16>(ids, code as usize * 16).unwrap_or_default();
                let rising = if *by_hash {
                    let key = |code: u32| (trace_hash(self.segment.header().hash_key, &id(code)), code);
                    let keys: Vec<_> = order.iter().map(|&code| key(code)).collect();
                    keys.windows(2).all(|pair| pair[0] < pair[1])
                } else {
                    order.windows(2).all(|pair| id(pair[0]) < id(pair[1]))
                };
                if !rising {
                    return Err(Error::damaged("the order of a column's ids is not one"));
                }
                codes.validate(0, distinct - 1)
            }
            Body::Links(links) => links.validate(),
            Body::Doubles { doubles, .. } => doubles.validate(),
            Body::Ids8(_) | Body::Texts { .. } => Ok(()),
        }
    }

    /// What the footer says about it.
    pub fn info(&self) -> &ColumnInfo {
        &self.info
    }

    /// Which rows (contexts) have a value.
    pub fn present(&self) -> &PresentRows<'a> {
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
            Body::Ids8(_) | Body::Texts { .. } | Body::Links(_) => Zone::Unordered,
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
            Body::Doubles { doubles, .. } => doubles.decode(block, out),
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
            Body::Texts { .. } => {
                let first = count(block * BLOCK_VALUES);
                out.extend(first..first + count(self.block_len(block)));
            }
            _ => {}
        }
    }

    /// Replaces `out` by the span ids of a block. Of any other column `out` stays empty.
    pub fn decode_span_ids(&self, block: usize, out: &mut Vec<[u8; 8]>) {
        out.clear();
        match &self.body {
            Body::Ids8(ids) => {
                out.extend(self.range(block).map(|index| array_at(ids, index * 8).unwrap_or_default()));
            }
            Body::Links(links) => {
                links.decode(block, out);
            }
            _ => {}
        }
    }

    /// One integer value, by its place among the values.
    pub fn i64_at(&self, value: u32) -> Option<i64> {
        match &self.body {
            Body::Ints(ints) => Some(ints.get(value as usize)),
            _ => None,
        }
    }

    /// Integer values by their places; of any other column nothing but zeros.
    pub(super) fn i64s_at(&self, places: impl Iterator<Item = u32>) -> Vec<i64> {
        match &self.body {
            Body::Ints(ints) => ints.values_at(places.map(|place| place as usize)),
            _ => places.map(|_| 0).collect(),
        }
    }

    /// Doubles by their places.
    pub(super) fn f64s_at(&self, places: impl Iterator<Item = u32>) -> Vec<f64> {
        match &self.body {
            Body::ScaledDoubles { ints, divisor } => {
                let scaled = ints.values_at(places.map(|place| place as usize));
                scaled.into_iter().map(|value| unscale(value, *divisor)).collect()
            }
            _ => places.map(|place| self.f64_at(place).unwrap_or(0.0)).collect(),
        }
    }

    /// Codes by their places.
    pub(super) fn codes_at(&self, places: impl Iterator<Item = u32>) -> Vec<u32> {
        match &self.body {
            Body::Codes { codes, .. } | Body::Ids16 { codes, .. } => {
                let found = codes.values_at(places.map(|place| place as usize));
                found.into_iter().map(|code| u32::try_from(code).unwrap_or(u32::MAX)).collect()
            }
            _ => places.collect(),
        }
    }

    /// Span ids by their places.
    pub(super) fn span_ids_at(&self, places: impl Iterator<Item = u32>) -> Vec<[u8; 8]> {
        match &self.body {
            Body::Links(links) => links.ids_at(places),
            _ => places.map(|place| self.span_id_at(place).unwrap_or_default()).collect(),
        }
    }

    /// One double.
    pub fn f64_at(&self, value: u32) -> Option<f64> {
        match &self.body {
            Body::ScaledDoubles { ints, divisor } => Some(unscale(ints.get(value as usize), *divisor)),
            Body::Doubles { doubles, .. } => Some(doubles.get(value as usize)),
            _ => None,
        }
    }

    /// One code of the column's dictionary.
    pub fn code_at(&self, value: u32) -> Option<u32> {
        match &self.body {
            Body::Codes { codes, .. } | Body::Ids16 { codes, .. } => {
                u32::try_from(codes.get(value as usize)).ok()
            }
            Body::Texts { .. } => Some(value),
            _ => None,
        }
    }

    /// One span id.
    pub fn span_id_at(&self, value: u32) -> Option<[u8; 8]> {
        match &self.body {
            Body::Ids8(ids) => array_at(ids, value as usize * 8).ok(),
            Body::Links(links) => links.get(value),
            _ => None,
        }
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
            // Most blocks whose zone lets a code pass do not have it.
            if codes.contains(&code) {
                self.rows_of_block(block, &mut block_rows);
                let matching = codes.iter().zip(&block_rows).filter(|&(&found, _)| found == code);
                rows.extend(matching.map(|(_, &row)| row));
            }
        }
        rows
    }

    /// Replaces `out` by the rows that a block's values belong to.
    pub fn rows_of_block(&self, block: usize, out: &mut Vec<u32>) {
        self.present.rows_of(count(block * BLOCK_VALUES), count(BLOCK_VALUES), out);
    }

    /// The bytes of all ids, when they are kept one after another.
    pub(super) fn plain_ids(&self) -> Option<&'a [u8]> {
        match &self.body {
            Body::Ids8(ids) => Some(ids),
            _ => None,
        }
    }

    /// The whole column as a batch has it; codes are its own.
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
            Body::Codes { codes, .. } => Values::Code(codes.to_vec_u32()),
            Body::Texts { len, .. } => Values::Code((0..count(*len)).collect()),
            Body::Ids16 { codes, ids, .. } => {
                let id =
                    |code: i64| usize::try_from(code).ok().and_then(|code| array_at(ids, code * 16).ok());
                Values::Id16(codes.to_vec().into_iter().map(|code| id(code).unwrap_or_default()).collect())
            }
            Body::Ids8(ids) => Values::Id8(ids.as_chunks::<8>().0.to_vec()),
            Body::Links(_) => {
                let (mut all, mut ids) = (Vec::with_capacity(self.len()), Vec::new());
                for block in 0..self.blocks() {
                    self.decode_span_ids(block, &mut ids);
                    all.extend_from_slice(&ids);
                }
                Values::Id8(all)
            }
        }
    }

    fn range(&self, block: usize) -> std::ops::Range<usize> {
        let start = block * BLOCK_VALUES;
        start..start + self.block_len(block)
    }
}
