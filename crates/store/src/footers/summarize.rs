//! Makes the summary of a segment by looking at all of it: once, when it is written, or again when `footers.cat` is lost.
//!
//! Rows that an erasure takes count for nothing: they belong to no dataset.
//!
//! Each column is decoded block by block. Values with a dictionary, and integers of a narrow range, are noted as one bit
//! per dataset and hashed once each; others are hashed one by one.

use std::collections::HashMap;

use skein_event::Fixed;
use skein_event::batch::{ColumnKey, Origin, Physical};
use skein_event::columns::Level;
use skein_event::hash::HashKey;

use super::merged::Merged;
use super::sketch::{Sketch, fold};
use crate::error::Error;
use crate::segment::{ColumnInfo, ColumnReader, RowField, Segment, TraceFilter, Zone, trace_hash};

/// Names of the fields that every event has and that have no column.
const TIME_NAMES: [(&str, RowField); 2] =
    [("timestamp", RowField::Time), ("meta.ingest_time", RowField::IngestTime)];

/// Integers of a range up to this are noted as bits.
const NARROW: u64 = 1 << 16;

/// Datasets that a word of bits tells apart.
const WORD: usize = 64;

/// The place of what is not in the summary.
const NOWHERE: u32 = u32::MAX;

const NO_TIMES: (i64, i64) = (i64::MAX, i64::MIN);

/// What the rows of a dataset, or of a context, have in common.
#[derive(Clone, Copy)]
struct Tally {
    rows: u64,
    times: (i64, i64),
}

const NOTHING: Tally = Tally { rows: 0, times: NO_TIMES };

impl Tally {
    #[inline]
    fn add(&mut self, time: i64) {
        self.rows += 1;
        self.times = (self.times.0.min(time), self.times.1.max(time));
    }
}

/// The rows of a segment by dataset.
struct Rows {
    times: Vec<i64>,
    /// The dataset of each row, by its place among `places`.
    datasets: Vec<u32>,
    /// The dataset of each context, and what may be seen of it.
    contexts: Vec<(u32, Tally)>,
    /// The place in the summary of each dataset that has rows; [`NOWHERE`] of the others.
    places: Vec<u32>,
}

/// The summary of a segment.
pub(crate) fn summarize(segment: &Segment) -> Result<Merged, Error> {
    let mut merged = Merged::default();
    let rows = rows_by_dataset(segment, &mut merged)?;
    if rows.times.is_empty() {
        return Ok(merged);
    }
    let key = segment.header().hash_key;
    for (name, field) in TIME_NAMES {
        let values = segment.field(field)?.to_vec();
        let mut cells = Cells::new(&rows);
        for (row, &value) in values.iter().enumerate() {
            cells.count(&rows, row);
            cells.insert(rows.datasets[row], hash_i64(value));
        }
        let hash = key.hash(name.as_bytes());
        cells.finish(&rows, &mut merged, hash, name, (Origin::Fixed, Physical::I64), Zone::Unordered);
    }
    for info in segment.columns() {
        let info = info?;
        let column = segment.column(info.id)?;
        let mut cells = Cells::new(&rows);
        if info.level == Level::Row {
            cells.add_rows(&rows, &column, &info, key)?;
        } else {
            cells.add_contexts(&rows, &column, key)?;
        }
        let hash = key.hash(info.key.name.as_bytes());
        // Codes mean nothing outside of the segment.
        let zone = if matches!(info.zone, Zone::Code(..)) { Zone::Unordered } else { info.zone };
        cells.finish(&rows, &mut merged, hash, &info.key.name, (info.key.origin, info.key.physical), zone);
    }
    Ok(merged)
}

/// The filter of a segment's trace ids; empty when it has none, `None` when there is no filter.
pub(crate) fn filter_of(segment: &Segment) -> Result<Option<Vec<u8>>, Error> {
    let Some(info) = segment.find(&ColumnKey::fixed(Fixed::TraceId))? else { return Ok(Some(Vec::new())) };
    if let Some(filter) = segment.trace_filter()? {
        return Ok(Some(filter.to_vec()));
    }
    // Version 1 had none.
    let (column, key) = (segment.column(info.id)?, segment.header().hash_key);
    let ids = (0..column.dictionary_len()).filter_map(|code| column.trace_id(code));
    let hashes: Vec<u64> = ids.map(|id| trace_hash(key, &id)).collect();
    Ok(Some(TraceFilter::build(&hashes)).filter(|filter| !filter.is_empty()))
}

fn rows_by_dataset(segment: &Segment, merged: &mut Merged) -> Result<Rows, Error> {
    let names = segment.context_datasets()?;
    let times = segment.field(RowField::Time)?.to_vec();
    let row_contexts = segment.field(RowField::Context)?.to_vec_u32();
    let mut known: HashMap<&Option<String>, u32> = HashMap::new();
    let mut contexts: Vec<(u32, Tally)> = Vec::with_capacity(names.len());
    for name in &names {
        let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
        contexts.push((*known.entry(name).or_insert(next), NOTHING));
    }
    // Beside the datasets: where rows go that may not be seen. Its place is none.
    let hidden = u32::try_from(known.len()).unwrap_or(u32::MAX);
    let has_hidden = segment.has_erased();
    let mut datasets = Vec::with_capacity(times.len());
    let outside = || Error::damaged("a row names a context that is not there");
    for (row, (&time, &context)) in (0_u32..).zip(times.iter().zip(&row_contexts)) {
        let (dataset, tally) = contexts.get_mut(context as usize).ok_or_else(outside)?;
        if has_hidden && !segment.is_visible(row) {
            datasets.push(hidden);
            continue;
        }
        tally.add(time);
        datasets.push(*dataset);
    }
    let mut tallies = vec![NOTHING; known.len()];
    for (dataset, of_context) in &contexts {
        let tally = &mut tallies[*dataset as usize];
        tally.rows += of_context.rows;
        tally.times = (tally.times.0.min(of_context.times.0), tally.times.1.max(of_context.times.1));
    }
    let mut places = vec![NOWHERE; known.len() + usize::from(has_hidden)];
    let mut ordered: Vec<(&Option<String>, u32)> = known.into_iter().collect();
    ordered.sort_unstable();
    for (name, dataset) in ordered {
        let tally = tallies[dataset as usize];
        if tally.rows > 0 {
            places[dataset as usize] = merged.add_dataset(name.as_deref(), tally.rows, tally.times);
        }
    }
    Ok(Rows { times, datasets, contexts, places })
}

/// The hashes of a column's codes, as sketches take them; nothing where there are no codes.
fn code_hashes(column: &ColumnReader<'_>, key: HashKey) -> Result<Vec<u32>, Error> {
    if column.has_hashes() {
        return Ok(column.hashes()?.into_iter().map(fold).collect());
    }
    let codes = 0..column.dictionary_len();
    if !column.has_text() {
        let of_id = |id: [u8; 16]| fold(half(&id, 0) ^ half(&id, 8).rotate_left(32));
        return Ok(codes.map(|code| column.trace_id(code).map_or(0, of_id)).collect());
    }
    // Mostly different text has no hashes in the file.
    let mut text = column.text()?;
    codes.map(|code| Ok(fold(key.hash(text.get(code)?)))).collect()
}

fn hash_i64(value: i64) -> u32 {
    fold(value.cast_unsigned())
}

#[expect(clippy::cast_possible_truncation, reason = "a double without a fraction below 2^53 is the integer")]
fn hash_f64(value: f64) -> u32 {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        return hash_i64(value as i64);
    }
    fold(value.to_bits() ^ 0xf64)
}

/// A column's values by dataset.
struct Cells {
    tallies: Vec<Tally>,
    sketches: Vec<Sketch>,
}

impl Cells {
    fn new(rows: &Rows) -> Cells {
        let datasets = rows.places.len();
        Cells { tallies: vec![NOTHING; datasets], sketches: vec![Sketch::default(); datasets] }
    }

    #[inline]
    fn count(&mut self, rows: &Rows, row: usize) {
        self.tallies[rows.datasets[row] as usize].add(rows.times[row]);
    }

    #[inline]
    fn insert(&mut self, dataset: u32, hash: u32) {
        self.sketches[dataset as usize].insert(hash);
    }

    fn add_contexts(&mut self, rows: &Rows, column: &ColumnReader<'_>, key: HashKey) -> Result<(), Error> {
        let hashes = code_hashes(column, key)?;
        for (context, (dataset, of_context)) in (0_u32..).zip(&rows.contexts) {
            let Some(value) = column.present().value_of(context).filter(|_| of_context.rows > 0) else {
                continue;
            };
            let tally = &mut self.tallies[*dataset as usize];
            tally.rows += of_context.rows;
            tally.times = (tally.times.0.min(of_context.times.0), tally.times.1.max(of_context.times.1));
            let hash = match column.code_at(value) {
                Some(code) => hashes.get(code as usize).copied(),
                None => column.i64_at(value).map(hash_i64).or_else(|| column.f64_at(value).map(hash_f64)),
            };
            self.insert(*dataset, hash.unwrap_or_default());
        }
        Ok(())
    }

    fn add_rows(
        &mut self,
        rows: &Rows,
        column: &ColumnReader<'_>,
        info: &ColumnInfo,
        key: HashKey,
    ) -> Result<(), Error> {
        let mut seen = Seen::of(column, info, rows.places.len(), key)?;
        let mut block_rows = Vec::new();
        let (mut integers, mut doubles, mut codes, mut ids) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for block in 0..column.blocks() {
            column.rows_of_block(block, &mut block_rows);
            for &row in &block_rows {
                self.count(rows, row as usize);
            }
            let datasets = block_rows.iter().map(|&row| rows.datasets[row as usize]);
            match info.key.physical {
                Physical::Bool | Physical::I64 | Physical::DurationNs => {
                    column.decode_i64(block, &mut integers);
                    match &mut seen {
                        Seen::Bits { least, words, .. } => {
                            for (dataset, &value) in datasets.zip(&integers) {
                                mark(words, value.wrapping_sub(*least).cast_unsigned(), dataset);
                            }
                        }
                        _ => datasets.zip(&integers).for_each(|(d, &value)| self.insert(d, hash_i64(value))),
                    }
                }
                Physical::F64 => {
                    column.decode_f64(block, &mut doubles);
                    datasets.zip(&doubles).for_each(|(d, &value)| self.insert(d, hash_f64(value)));
                }
                Physical::SpanId => {
                    column.decode_span_ids(block, &mut ids);
                    datasets
                        .zip(&ids)
                        .for_each(|(d, id): (u32, &[u8; 8])| self.insert(d, fold(u64::from_le_bytes(*id))));
                }
                Physical::Text | Physical::Bytes | Physical::Json | Physical::TraceId => {
                    column.decode_codes(block, &mut codes);
                    match &mut seen {
                        Seen::Bits { words, .. } => {
                            datasets.zip(&codes).for_each(|(d, &code)| mark(words, u64::from(code), d));
                        }
                        Seen::Hashes(hashes) => {
                            for (dataset, &code) in datasets.zip(&codes) {
                                let hash = hashes.get(code as usize).copied().unwrap_or_default();
                                self.insert(dataset, hash);
                            }
                        }
                        Seen::Nothing => {}
                    }
                }
            }
        }
        if let Seen::Bits { least, words, hashes } = seen {
            for (place, &word) in words.iter().enumerate().filter(|(_, word)| **word != 0) {
                let hash = match &hashes {
                    Some(hashes) => hashes.get(place).copied().unwrap_or_default(),
                    None => hash_i64(least.wrapping_add(i64::try_from(place).unwrap_or_default())),
                };
                let datasets = (0..u32::BITS * 2).filter(|bit| word >> bit & 1 == 1);
                datasets.for_each(|dataset| self.insert(dataset, hash));
            }
        }
        Ok(())
    }

    fn finish(
        self,
        rows: &Rows,
        merged: &mut Merged,
        hash: u64,
        name: &str,
        (origin, physical): (Origin, Physical),
        zone: Zone,
    ) {
        let counts = |tally: &Tally, place: u32| tally.rows > 0 && place != NOWHERE;
        if !self.tallies.iter().zip(&rows.places).any(|(tally, &place)| counts(tally, place)) {
            return;
        }
        let Some(column) = merged.column(hash, name, origin, physical, zone) else { return };
        for ((tally, sketch), &place) in self.tallies.into_iter().zip(self.sketches).zip(&rows.places) {
            if counts(&tally, place) {
                merged.set_cell(column, place, tally.rows, tally.times, sketch);
            }
        }
    }
}

/// Which values were seen, as far as it is kept apart from the sketches.
enum Seen {
    Nothing,
    /// A word per value, a bit per dataset.
    Bits {
        least: i64,
        words: Vec<u64>,
        /// Of values with a dictionary.
        hashes: Option<Vec<u32>>,
    },
    /// The hashes of a dictionary.
    Hashes(Vec<u32>),
}

impl Seen {
    fn of(
        column: &ColumnReader<'_>,
        info: &ColumnInfo,
        datasets: usize,
        key: HashKey,
    ) -> Result<Seen, Error> {
        Ok(match (info.key.physical, info.zone) {
            (Physical::Bool | Physical::I64 | Physical::DurationNs, Zone::I64(min, max))
                if datasets <= WORD && max.abs_diff(min) < NARROW =>
            {
                let values = usize::try_from(max.abs_diff(min)).unwrap_or_default() + 1;
                Seen::Bits { least: min, words: vec![0; values], hashes: None }
            }
            (Physical::Text | Physical::Bytes | Physical::Json | Physical::TraceId, _) => {
                let hashes = code_hashes(column, key)?;
                if datasets > WORD {
                    return Ok(Seen::Hashes(hashes));
                }
                Seen::Bits { least: 0, words: vec![0; hashes.len()], hashes: Some(hashes) }
            }
            _ => Seen::Nothing,
        })
    }
}

fn half(id: &[u8; 16], at: usize) -> u64 {
    crate::segment::bytes::u64_at(id, at).unwrap_or_default()
}

#[inline]
fn mark(words: &mut [u64], place: u64, dataset: u32) {
    if let Some(word) = usize::try_from(place).ok().and_then(|place| words.get_mut(place)) {
        *word |= 1 << dataset;
    }
}
