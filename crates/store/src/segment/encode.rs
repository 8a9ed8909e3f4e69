//! Encodes one column into its chunk.

use std::collections::HashMap;

use skein_event::batch::{Column, Physical, Values};

use super::bytes::count;
use super::column::{HEAD_BYTES, divisor, unscale};
use super::info::Encoding;
use super::ints::{BLOCK_VALUES, write_ints};
use super::layout::{Entry, Reference};
use super::presence::write_presence;

/// Doubles with up to this many decimal places are stored as integers when that is exact: prices,
/// percentages, milliseconds.
const SCALE_MAX: u8 = 3;

/// Marks a dictionary value that the column at hand has not used.
const UNUSED: u32 = u32::MAX;

/// What is reused from column to column: for each value of the segment's dictionary, its code in the column.
#[derive(Default)]
pub(crate) struct Scratch {
    codes: Vec<u32>,
}

/// Appends a column's chunk. Its codes are those of the segment's dictionary, of `dictionary_len` values.
pub(crate) fn encode_column(
    column: &Column,
    rows: usize,
    dictionary_len: usize,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Entry {
    let start = out.len();
    out.resize(start + HEAD_BYTES, 0);
    let presence = write_presence(&column.presence, rows, out);
    let presence_end = out.len();
    let mut entry = Entry {
        encoding: Encoding::Ints,
        presence,
        scale: 0,
        nan: false,
        present: count(column.values.len()),
        distinct: 0,
        min: 0,
        max: 0,
        reference: Reference::default(),
    };
    let mut ends = [out.len(); 2];
    match &column.values {
        Values::Bool(values) => integers(values, &mut entry, out),
        Values::I64(values) => integers(values, &mut entry, out),
        Values::F64(values) => ends = doubles(values, &mut entry, out),
        Values::Code(codes) => {
            let local = renumber(codes, dictionary_len, scratch);
            write_ints(&local.dictionary, out);
            ends = [out.len(); 2];
            entry.distinct = count(local.dictionary.len());
            integers(&local.codes, &mut entry, out);
            entry.encoding = Encoding::Codes;
        }
        Values::Id16(ids) => ends = trace_ids(ids, &mut entry, out),
        Values::Id8(ids) => {
            entry.encoding = Encoding::Ids8;
            out.extend(ids.iter().flatten());
        }
    }
    debug_assert!(column.key.physical != Physical::SpanId || entry.encoding == Encoding::Ids8);
    let lengths =
        [presence_end - start - HEAD_BYTES, ends[0] - presence_end, ends[1] - ends[0], out.len() - ends[1]];
    for (place, length) in lengths.into_iter().enumerate() {
        out[start + place * 4..start + place * 4 + 4].copy_from_slice(&count(length).to_le_bytes());
    }
    entry
}

fn integers<T: Copy + Into<i64>>(values: &[T], entry: &mut Entry, out: &mut Vec<u8>) {
    let as_integers = values.iter().map(|&value| value.into());
    let range = as_integers.fold((i64::MAX, i64::MIN), |(min, max), value| (value.min(min), value.max(max)));
    if !values.is_empty() {
        (entry.min, entry.max) = (range.0.cast_unsigned(), range.1.cast_unsigned());
    }
    write_ints(values, out);
}

/// Returns the ends of the dictionary (empty) and of the index (the zones).
fn doubles(values: &[f64], entry: &mut Entry, out: &mut Vec<u8>) -> [usize; 2] {
    let none = out.len();
    if let Some((scale, scaled)) =
        (0..=SCALE_MAX).find_map(|scale| Some((scale, scale_exactly(values, scale)?)))
    {
        integers(&scaled, entry, out);
        let bound = |bits: u64| unscale(bits.cast_signed(), divisor(scale)).to_bits();
        (entry.min, entry.max) = (bound(entry.min), bound(entry.max));
        (entry.encoding, entry.scale) = (Encoding::ScaledDoubles, scale);
        return [none; 2];
    }
    entry.encoding = Encoding::Doubles;
    entry.nan = values.iter().any(|value| value.is_nan());
    let whole = double_bounds(values);
    (entry.min, entry.max) = (whole.0.to_bits(), whole.1.to_bits());
    for block in values.chunks(BLOCK_VALUES) {
        let (min, max) = double_bounds(block);
        out.extend_from_slice(&min.to_le_bytes());
        out.extend_from_slice(&max.to_le_bytes());
    }
    let zones_end = out.len();
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    [none, zones_end]
}

/// Smallest and largest, leaving out NaN; (∞, −∞) when there is nothing else.
fn double_bounds(values: &[f64]) -> (f64, f64) {
    // f64::min and max return the other operand for NaN.
    values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), &value| (min.min(value), max.max(value)))
}

/// The doubles as integers over 10^scale, when every one comes back bit for bit.
fn scale_exactly(values: &[f64], scale: u8) -> Option<Vec<i64>> {
    // Beyond 2^53 a double no longer holds every integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let divisor = divisor(scale);
    let exact = values.iter().map(|&value| {
        let scaled = (value * divisor).round();
        if !(-EXACT..=EXACT).contains(&scaled) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
        let integer = scaled as i64;
        (unscale(integer, divisor).to_bits() == value.to_bits()).then_some(integer)
    });
    exact.collect()
}

struct Local {
    /// Codes of the segment's dictionary, rising: entry `i` is what the column's code `i` stands for.
    dictionary: Vec<u32>,
    codes: Vec<u32>,
}

/// Renumbers codes of the segment's dictionary to those of the column, in the same order.
fn renumber(codes: &[u32], dictionary_len: usize, scratch: &mut Scratch) -> Local {
    scratch.codes.resize(dictionary_len.max(scratch.codes.len()), UNUSED);
    let mut dictionary = Vec::new();
    for &code in codes {
        let slot = &mut scratch.codes[code as usize];
        if *slot == UNUSED {
            *slot = 0;
            dictionary.push(code);
        }
    }
    dictionary.sort_unstable();
    for (local, &code) in (0_u32..).zip(&dictionary) {
        scratch.codes[code as usize] = local;
    }
    let codes = codes.iter().map(|&code| scratch.codes[code as usize]).collect();
    dictionary.iter().for_each(|&code| scratch.codes[code as usize] = UNUSED);
    Local { dictionary, codes }
}

/// Returns the ends of the dictionary (ids in order of arrival) and of the index (codes in order of ids).
fn trace_ids(ids: &[[u8; 16]], entry: &mut Entry, out: &mut Vec<u8>) -> [usize; 2] {
    let mut places: HashMap<[u8; 16], u32> = HashMap::new();
    let mut distinct: Vec<[u8; 16]> = Vec::new();
    let mut last = None;
    let mut codes = Vec::with_capacity(ids.len());
    for id in ids {
        // Spans of a trace mostly follow one another.
        let code = match last {
            Some((last_id, code)) if last_id == id => code,
            _ => *places.entry(*id).or_insert_with(|| {
                distinct.push(*id);
                count(distinct.len() - 1)
            }),
        };
        last = Some((id, code));
        codes.push(code);
    }
    out.extend(distinct.iter().flatten());
    let dictionary_end = out.len();
    let mut order: Vec<u32> = (0..count(distinct.len())).collect();
    order.sort_unstable_by_key(|&code| distinct[code as usize]);
    write_ints(&order, out);
    let index_end = out.len();
    integers(&codes, entry, out);
    entry.encoding = Encoding::Ids16;
    entry.distinct = count(distinct.len());
    [dictionary_end, index_end]
}
