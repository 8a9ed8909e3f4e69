//! The first pass: counts the values of every column, both sides at once.
//!
//! Within a segment a value is a code, a small whole number or a cell, and its counts lie in an array; between segments
//! values meet by the hash of their canonical text. Columns that a segment does not have cost it nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use skein_event::hash::HashKey;
use skein_event::limits::{EXPLAIN_VALUES_MAX, EXPLAIN_WHOLE_NUMBERS_MAX};
use skein_query::explain::{Cell, ColumnCounts, Tally};
use skein_query::number::ValueRef;
use skein_query::plan::Column;
use skein_store::Error;
use skein_store::segment::Segment;

use super::rows::Rows;
use super::slots::{Meaning, Places, Slots};
use crate::block::BlockReader;
use crate::column::{BoundColumn, Part};
use crate::hashing::ByHash;

/// One column, over the segments so far.
#[derive(Default)]
pub(super) struct Counted {
    present: Tally,
    /// By the hash of the canonical text: the count, and where a value of it is.
    values: ByHash<(Tally, Place)>,
    whole: BTreeMap<i64, Tally>,
    /// There are too many whole numbers to be values.
    many_numbers: bool,
    cells: BTreeMap<u32, Tally>,
    truncated: bool,
}

/// Where a value is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) part: u32,
    pub(super) bits: u64,
}

impl Place {
    fn new(segment: usize, part: usize, bits: u64) -> Place {
        let number = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        Place { segment: number(segment), part: number(part), bits }
    }
}

impl Counted {
    /// Bytes on the heap, about.
    pub(super) fn memory_bytes(&self) -> usize {
        let value = size_of::<(u64, Tally, Place)>() * 2;
        let entry = size_of::<(u64, Tally)>() * 2;
        self.values.len() * value + (self.whole.len() + self.cells.len()) * entry
    }

    /// Adds all rows of a segment that take part, whatever they have.
    pub(super) fn add_all(&mut self, rows: &Rows) {
        self.present.merge(&rows.total);
    }

    pub(super) fn present(&self) -> Tally {
        self.present
    }

    /// Adds a segment's column; answers the encoded bytes that were read.
    pub(super) fn add(
        &mut self,
        place: usize,
        segment: &Segment,
        column: &Column,
        rows: &Rows,
    ) -> Result<u64, Error> {
        let mut column = BoundColumn::bind(segment, column)?;
        if column.parts.is_empty() {
            return Ok(0);
        }
        let key = segment.header().hash_key;
        if let (Some(bits), Some(part)) = (column.of_contexts().map(<[_]>::to_vec), column.parts.first_mut())
        {
            // What all rows of a context share is counted by contexts.
            let places = Places::of(part);
            let mut tallies: BTreeMap<usize, Tally> = BTreeMap::new();
            for (bits, tally) in bits.iter().zip(rows.by_context()) {
                if let Some(bits) = bits.filter(|_| tally.all_rows() > 0) {
                    tallies.entry(places.of_bits(bits)).or_default().merge(tally);
                }
            }
            self.add_part((place, 0), key, part, places, tallies.into_iter())?;
            return Ok(column.bytes());
        }
        let mut slots: Vec<Slots> =
            column.parts.iter().map(|part| Slots::new(Places::of(part), rows)).collect();
        let mut reader = BlockReader::open(segment)?;
        column.each_run(&mut reader, &rows.wanted, |_, run| {
            if let Some(slots) = slots.get_mut(run.part) {
                slots.add(run, rows);
            }
            Ok(())
        })?;
        for (number, (part, slots)) in column.parts.iter_mut().zip(slots).enumerate() {
            let places = slots.places();
            self.add_part((place, number), key, part, places, slots.tallies(rows))?;
        }
        Ok(column.bytes())
    }

    fn add_part(
        &mut self,
        (segment, number): (usize, usize),
        key: HashKey,
        part: &mut Part<'_>,
        places: Places,
        tallies: impl Iterator<Item = (usize, Tally)>,
    ) -> Result<(), Error> {
        self.truncated |= places.meaning == Meaning::LeftOut;
        self.many_numbers |= matches!(places.meaning, Meaning::CellsOfWhole(_));
        self.values_of_numbers();
        for (at, tally) in tallies {
            self.present.merge(&tally);
            if at == places.rest {
                continue;
            }
            let bits = at as u64;
            match places.meaning {
                Meaning::LeftOut | Meaning::Ids => {}
                Meaning::Codes => {
                    let hash = match part.stored_hash(bits)? {
                        Some(hash) => Some(hash),
                        None => {
                            let (hash, cell) = part.with_value(bits, |value| of_text(key, value))?;
                            if let Some(cell) = cell {
                                self.cells.entry(cell.number()).or_default().merge(&tally);
                            }
                            hash
                        }
                    };
                    if let Some(hash) = hash {
                        self.add_value(hash, &tally, Place::new(segment, number, bits));
                    }
                }
                Meaning::Bools => {
                    let hash = hash_of(key, ValueRef::Bool(bits != 0));
                    self.add_value(hash, &tally, Place::new(segment, number, bits));
                }
                Meaning::Whole(least) => {
                    let value = least.saturating_add(i64::try_from(at).unwrap_or(i64::MAX));
                    #[expect(clippy::cast_precision_loss, reason = "a cell is wider than what is lost")]
                    let cell = Cell::of_finite(value as f64);
                    self.cells.entry(cell.number()).or_default().merge(&tally);
                    if !self.many_numbers {
                        self.whole.entry(value).or_default().merge(&tally);
                        self.values_of_numbers();
                    }
                }
                Meaning::CellsOfWhole(least)
                | Meaning::Cells(least)
                | Meaning::CellsOfMilliseconds(least) => {
                    let cell = least.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
                    self.cells.entry(cell).or_default().merge(&tally);
                }
            }
        }
        Ok(())
    }

    fn values_of_numbers(&mut self) {
        self.many_numbers |= self.whole.len() > EXPLAIN_WHOLE_NUMBERS_MAX;
        if self.many_numbers {
            self.whole.clear();
        }
    }

    fn add_value(&mut self, hash: u64, tally: &Tally, place: Place) {
        if let Some((known, _)) = self.values.get_mut(&hash) {
            known.merge(tally);
        } else if self.values.len() < EXPLAIN_VALUES_MAX {
            self.values.insert(hash, (*tally, place));
        } else {
            self.truncated = true;
        }
    }

    /// The counts of the column; what remains is where its values are.
    pub(super) fn finish(mut self, name: Arc<str>, key: HashKey) -> (ColumnCounts, ByHash<Found>) {
        let mut found: ByHash<Found> =
            self.values.iter().map(|(hash, (_, place))| (*hash, Found::At(*place))).collect();
        let mut values: ByHash<Tally> = self.values.drain().map(|(hash, (tally, _))| (hash, tally)).collect();
        for (value, tally) in &self.whole {
            let hash = hash_of(key, ValueRef::I64(*value));
            values.entry(hash).or_default().merge(tally);
            found.entry(hash).or_insert(Found::Whole(*value));
        }
        let mut values: Vec<(u64, Tally)> = values.into_iter().collect();
        values.sort_unstable_by_key(|(hash, _)| *hash);
        let cells = self.cells.iter().map(|(cell, tally)| (Cell::from_number(*cell), *tally)).collect();
        (ColumnCounts { name, present: self.present, values, cells, truncated: self.truncated }, found)
    }
}

/// A value whose hash was counted.
#[derive(Clone, Copy)]
pub(super) enum Found {
    At(Place),
    Whole(i64),
}

/// The hash by which values of one canonical text meet.
pub(super) fn hash_of(key: HashKey, value: ValueRef<'_>) -> u64 {
    key.hash(value.canonical_text().as_bytes())
}

/// What a value is counted as that is read as such: its hash, unless it is a double, and its cell, if it is a number.
/// An overflow map has values of every type.
fn of_text(key: HashKey, value: Option<ValueRef<'_>>) -> (Option<u64>, Option<Cell>) {
    match value {
        None => (None, None),
        Some(ValueRef::F64(number)) => (None, Cell::of(number)),
        #[expect(clippy::cast_precision_loss, reason = "a cell is wider than what is lost")]
        Some(value @ ValueRef::I64(number)) => (Some(hash_of(key, value)), Cell::of(number as f64)),
        Some(value) => (Some(hash_of(key, value)), None),
    }
}
