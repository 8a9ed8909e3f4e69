//! Encodes one column into its two chunks: presence and values, then the dictionary of the values.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use skein_event::batch::{Column, Presence, Values};
use skein_event::hash::HashKey;

use super::bytes::{count, length};
use super::column::{HEAD_BYTES, divisor, unscale};
use super::footer_write::Entry;
use super::hashes::write_hashes;
use super::info::Encoding;
use super::ints::BLOCK_VALUES;
use super::ints_wrap::pays;
use super::ints_write::{Effort, write_codes, write_ints, write_random_access};
use super::layout::Reference;
use super::links::write_links;
use super::packing::{LEVEL_COLD, Packing};
use super::pool::Pool;
use super::presence::write_presence;
use super::text::{Codec, Compression, DICTIONARY_BLOCK_BYTES, LONG_TEXT_BLOCK_BYTES, TEXT_BLOCK_BYTES};
use super::text_words::WordFilters;
use super::text_write::write_text;
use super::trace_filter::trace_hash;
use super::union::Given;
use crate::error::Error;

/// Doubles with up to this many decimal places are stored as integers when that is exact: prices,
/// percentages, milliseconds with their microseconds.
const SCALE_MAX: u8 = 6;
/// Fewer values than this are not worth blocks of their own kind.
const TEXTS_MIN: usize = 256;
/// Values of this length on average are long text.
const LONG_TEXT_BYTES: usize = 64;

/// How a segment is encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) compression: Compression,
    pub(super) hash_key: HashKey,
}

impl Settings {
    pub(super) fn effort(&self) -> Effort {
        match self.compression {
            Compression::None => Effort::Low,
            Compression::Lz4 | Compression::Zstd => Effort::Full,
            Compression::Cold => Effort::Cold,
        }
    }

    /// How text is packed.
    pub(super) fn packing(&self) -> Packing {
        match self.compression {
            Compression::None => Codec::Plain.into(),
            Compression::Lz4 | Compression::Zstd => Codec::Zstd.into(),
            Compression::Cold => Packing { codec: Codec::Zstd, level: LEVEL_COLD },
        }
    }
}

/// A column to encode; the codes of its values are those of `pool`.
pub(super) struct Input<'a> {
    pub(super) column: &'a Column,
    pub(super) pool: &'a Pool,
    /// Of parents of spans: the ids of the segment's spans.
    pub(super) spans: Option<&'a [[u8; 8]]>,
    /// Of trace ids: their places in the order in which ids are numbered, when that is not the order of the rows.
    pub(super) arrival: Option<&'a [u32]>,
    /// Rows, or contexts, of the segment.
    pub(super) rows: usize,
}

/// What was learnt on the way.
pub(super) struct Encoded {
    pub(super) entry: Entry,
    /// Of a column of trace ids: the hash of each.
    pub(super) trace_hashes: Option<Vec<u64>>,
}

/// Appends a column's chunks.
pub(super) fn encode_column(
    input: &Input<'_>,
    settings: &Settings,
    out: &mut Vec<u8>,
) -> Result<Encoded, Error> {
    let start = out.len();
    let effort = settings.effort();
    let mut chunk = Chunk::open(&input.column.presence, input.rows, out);
    let mut entry = Entry {
        encoding: Encoding::Ints,
        presence: chunk.presence,
        scale: 0,
        nan: false,
        hashes_rise: false,
        collided: false,
        hashes_computed: false,
        doubles_as_ints: false,
        present: count(input.column.values.len()),
        distinct: 0,
        min: 0,
        max: 0,
        reference: Reference::default(),
        dictionary_length: 0,
    };
    let mut dictionary = Vec::new();
    let mut trace_hashes = None;
    match &input.column.values {
        Values::Bool(values) => integers(values, effort, &mut entry, out),
        Values::I64(values) => integers(values, effort, &mut entry, out),
        Values::F64(values) => doubles(values, effort, &mut entry, &mut chunk, out),
        Values::Code(codes) if is_mostly_different(codes.len(), input.pool, effort) => {
            texts(codes, input.pool, settings, &mut entry, out)?;
        }
        Values::Code(codes) => self::codes(codes, input.pool, settings, &mut entry, (out, &mut dictionary))?,
        Values::Id16(ids) => {
            let (ids, dictionary) = ((ids.as_slice(), input.arrival), &mut dictionary);
            trace_hashes = Some(trace_ids(ids, settings, &mut entry, (out, dictionary)));
        }
        Values::Id8(ids) => {
            if input.spans.is_some_and(|spans| write_links(ids, spans, effort, out)) {
                entry.encoding = Encoding::Links;
            } else {
                entry.encoding = Encoding::Ids8;
                out.extend(ids.iter().flatten());
            }
        }
    }
    chunk.close(start, out);
    entry.reference = Reference { offset: length(start), length: length(out.len() - start), crc: 0 };
    entry.dictionary_length = length(dictionary.len());
    out.extend_from_slice(&dictionary);
    Ok(Encoded { entry, trace_hashes })
}

/// The head of a chunk of values: lengths of presence and index.
struct Chunk {
    presence: super::presence::PresenceForm,
    presence_length: usize,
    index_length: usize,
}

impl Chunk {
    fn open(presence: &Presence, rows: usize, out: &mut Vec<u8>) -> Chunk {
        out.extend_from_slice(&[0; HEAD_BYTES]);
        let start = out.len();
        let presence = write_presence(presence, rows, out);
        Chunk { presence, presence_length: out.len() - start, index_length: 0 }
    }

    fn close(self, start: usize, out: &mut [u8]) {
        out[start..start + 4].copy_from_slice(&count(self.presence_length).to_le_bytes());
        out[start + 4..start + 8].copy_from_slice(&count(self.index_length).to_le_bytes());
    }
}

fn integers<T: Copy + Into<i64>>(values: &[T], effort: Effort, entry: &mut Entry, out: &mut Vec<u8>) {
    bounds(values, entry);
    write_ints(values, effort, out);
}

fn bounds<T: Copy + Into<i64>>(values: &[T], entry: &mut Entry) {
    let as_integers = values.iter().map(|&value| value.into());
    let range = as_integers.fold((i64::MAX, i64::MIN), |(min, max), value| (value.min(min), value.max(max)));
    if !values.is_empty() {
        (entry.min, entry.max) = (range.0.cast_unsigned(), range.1.cast_unsigned());
    }
}

/// Of codes every one up to the last occurs.
fn code_bounds(distinct: usize, entry: &mut Entry) {
    (entry.min, entry.max) = (0, length(distinct.saturating_sub(1)));
}

fn doubles(values: &[f64], effort: Effort, entry: &mut Entry, chunk: &mut Chunk, out: &mut Vec<u8>) {
    if let Some((scale, scaled)) =
        (0..=SCALE_MAX).find_map(|scale| Some((scale, scale_exactly(values, scale)?)))
    {
        integers(&scaled, effort, entry, out);
        let bound = |bits: u64| unscale(bits.cast_signed(), divisor(scale)).to_bits();
        (entry.min, entry.max) = (bound(entry.min), bound(entry.max));
        (entry.encoding, entry.scale) = (Encoding::ScaledDoubles, scale);
        return;
    }
    entry.encoding = Encoding::Doubles;
    entry.nan = values.iter().any(|value| value.is_nan());
    let whole = double_bounds(values);
    (entry.min, entry.max) = (whole.0.to_bits(), whole.1.to_bits());
    let start = out.len();
    for block in values.chunks(BLOCK_VALUES) {
        let (min, max) = double_bounds(block);
        out.extend_from_slice(&min.to_le_bytes());
        out.extend_from_slice(&max.to_le_bytes());
    }
    chunk.index_length = out.len() - start;
    if effort == Effort::Cold {
        let bits: Vec<i64> = values.iter().map(|value| value.to_bits().cast_signed()).collect();
        let start = out.len();
        write_ints(&bits, effort, out);
        entry.doubles_as_ints = pays(out.len() - start, size_of_val(values));
        if entry.doubles_as_ints {
            return;
        }
        out.truncate(start);
    }
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
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
        let scaled = value * divisor;
        if !(-EXACT..=EXACT).contains(&scaled) {
            return None;
        }
        // The nearest integer; beyond half of what is exact a double is one.
        let half = if scaled.abs() < EXACT / 2.0 { 0.5_f64.copysign(scaled) } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
        let integer = (scaled + half) as i64;
        (unscale(integer, divisor).to_bits() == value.to_bits()).then_some(integer)
    });
    exact.collect()
}

/// Whether a dictionary would hold most values once: then their hashes and codes only cost.
fn is_mostly_different(values: usize, pool: &Pool, effort: Effort) -> bool {
    if effort == Effort::Low || values < TEXTS_MIN {
        return false;
    }
    let long = pool.byte_len() >= pool.len() * LONG_TEXT_BYTES;
    pool.len() * 10 > values * if long { 5 } else { 7 }
}

/// Values one after another.
fn texts(
    codes: &[u32],
    pool: &Pool,
    settings: &Settings,
    entry: &mut Entry,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    entry.encoding = Encoding::Texts;
    entry.distinct = entry.present;
    let long = pool.byte_len() >= pool.len() * LONG_TEXT_BYTES;
    let packing = match settings.compression {
        Compression::Lz4 if long => Codec::Lz4.into(),
        _ => settings.packing(),
    };
    let block_bytes = if long { LONG_TEXT_BLOCK_BYTES } else { TEXT_BLOCK_BYTES };
    let words = long.then(WordFilters::default);
    write_text(codes.iter().map(|&code| pool.get(code)), packing, block_bytes, words, out)
}

/// Codes, and the dictionary: hashes, then values.
fn codes(
    codes: &[u32],
    pool: &Pool,
    settings: &Settings,
    entry: &mut Entry,
    (out, dictionary): (&mut Vec<u8>, &mut Vec<u8>),
) -> Result<(), Error> {
    entry.encoding = Encoding::Codes;
    entry.distinct = count(pool.len());
    entry.collided = pool.has_collision();
    let (packing, effort) = (settings.packing(), settings.effort());
    if effort == Effort::Low {
        code_bounds(pool.len(), entry);
        write_codes(codes, effort, out);
        write_hashes(pool.hashes(), false, dictionary);
        let values = (0..entry.distinct).map(|code| pool.get(code));
        return write_text(values, packing, DICTIONARY_BLOCK_BYTES, None, dictionary);
    }
    entry.hashes_rise = true;
    let order = pool.by_hash();
    let mut ranks = vec![0_u32; order.len()];
    for (rank, &code) in (0_u32..).zip(&order) {
        ranks[code as usize] = rank;
    }
    let ranked: Vec<u32> = codes.iter().map(|&code| ranks[code as usize]).collect();
    code_bounds(order.len(), entry);
    write_codes(&ranked, effort, out);
    let hashes: Vec<u64> = order.iter().map(|&code| pool.hashes()[code as usize]).collect();
    let values = || order.iter().map(|&code| pool.get(code));
    // What follows from the values needs no room.
    let follow = || values().zip(&hashes).all(|(value, &hash)| settings.hash_key.hash(value) == hash);
    entry.hashes_computed = effort == Effort::Cold && !entry.collided && follow();
    if !entry.hashes_computed {
        write_hashes(&hashes, true, dictionary);
    }
    write_text(values(), packing, DICTIONARY_BLOCK_BYTES, None, dictionary)
}

/// A trace id that is looked for by its keyed hash.
#[derive(PartialEq, Eq)]
struct HashedId {
    hash: u64,
    id: [u8; 16],
}

impl Hash for HashedId {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

/// Codes, and the dictionary: ids in order of arrival, then their codes in order of the ids' hashes. Returns the
/// hashes.
fn trace_ids(
    (ids, arrival): (&[[u8; 16]], Option<&[u32]>),
    settings: &Settings,
    entry: &mut Entry,
    (out, dictionary): (&mut Vec<u8>, &mut Vec<u8>),
) -> Vec<u64> {
    let mut places: HashMap<HashedId, u32, BuildHasherDefault<Given>> = HashMap::default();
    let (mut distinct, mut hashes): (Vec<[u8; 16]>, Vec<u64>) = (Vec::new(), Vec::new());
    let mut last = None;
    let mut codes = vec![0_u32; ids.len()];
    let natural = arrival.is_none().then_some(0..ids.len()).into_iter().flatten();
    for place in arrival.into_iter().flatten().map(|&place| place as usize).chain(natural) {
        let id = &ids[place];
        // Spans of a trace mostly follow one another.
        let code = match last {
            Some((last_id, code)) if last_id == id => code,
            _ => {
                let hash = trace_hash(settings.hash_key, id);
                *places.entry(HashedId { hash, id: *id }).or_insert_with(|| {
                    distinct.push(*id);
                    hashes.push(hash);
                    count(distinct.len() - 1)
                })
            }
        };
        last = Some((id, code));
        codes[place] = code;
    }
    dictionary.extend(distinct.iter().flatten());
    let mut order: Vec<(u64, u32)> = hashes.iter().copied().zip(0_u32..).collect();
    order.sort_unstable();
    write_random_access(&order.iter().map(|&(_, code)| code).collect::<Vec<_>>(), dictionary);
    code_bounds(distinct.len(), entry);
    write_codes(&codes, settings.effort(), out);
    entry.encoding = Encoding::Ids16;
    entry.distinct = count(distinct.len());
    hashes
}
