//! The first pass: counts the values of every column, both sides at once.
//!
//! Within a segment a value is a code, a small whole number or a cell, and its counts lie in an array; between segments
//! values meet by the hash of their canonical text. Columns that a segment does not have cost it nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use skein_event::hash::HashKey;
use skein_event::limits::{
    EXPLAIN_PLAIN_TEXTS_MAX, EXPLAIN_VALUES_MAX, EXPLAIN_WHOLE_NUMBERS_MAX, EXPLAIN_WHOLE_SPAN_MAX,
};
use skein_query::explain::{Cell, ColumnCounts, Tally};
use skein_query::number::ValueRef;
use skein_store::Error;

use super::classes::Classes;
use crate::block::BlockReader;
use crate::column::{BoundColumn, Kind, Part};

/// One column, over the segments so far.
#[derive(Default)]
pub(super) struct Counted {
    present: Tally,
    /// By the hash of the canonical text: the count, and where a value of it is.
    values: HashMap<u64, (Tally, Place)>,
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

impl Counted {
    /// Bytes on the heap, about.
    pub(super) fn memory_bytes(&self) -> usize {
        let value = size_of::<(u64, Tally, Place)>() * 2;
        let entry = size_of::<(u64, Tally)>() * 2;
        self.values.len() * value + (self.whole.len() + self.cells.len()) * entry
    }

    /// Adds a segment's column.
    pub(super) fn add(
        &mut self,
        (segment, key): (usize, HashKey),
        column: &mut BoundColumn<'_>,
        reader: &mut BlockReader<'_>,
        classes: &Classes,
        of_contexts: &[Tally],
    ) -> Result<(), Error> {
        let mut parts: Vec<PartCounts> =
            column.parts.iter().map(|part| PartCounts::new(part, classes.weights.is_some())).collect();
        if let (Some(bits), Some(counts)) = (column.of_contexts().map(<[_]>::to_vec), parts.first_mut()) {
            for (bits, tally) in bits.iter().zip(of_contexts) {
                if let Some(bits) = bits {
                    self.present.merge(tally);
                    counts.merge(column.parts.first(), *bits, tally);
                }
            }
        } else {
            let mut present = Slots::new(1, classes.weights.is_some());
            column.each_value(reader, &classes.wanted, |of, row, part, bits| {
                if let Some((side, weight)) = classes.of(row) {
                    present.add(0, side, weight);
                    if let Some(counts) = parts.get_mut(part) {
                        counts.add(of.get(part), bits, side, weight);
                    }
                }
                Ok(())
            })?;
            self.present.merge(&present.tally(0));
        }
        for (number, (part, counts)) in column.parts.iter_mut().zip(parts).enumerate() {
            self.add_part(segment, number, key, part, counts)?;
        }
        Ok(())
    }

    fn add_part(
        &mut self,
        segment: usize,
        number: usize,
        key: HashKey,
        part: &mut Part<'_>,
        counts: PartCounts,
    ) -> Result<(), Error> {
        let place = |bits: u64| Place {
            segment: u32::try_from(segment).unwrap_or(u32::MAX),
            part: u32::try_from(number).unwrap_or(u32::MAX),
            bits,
        };
        match counts {
            PartCounts::LeftOut => self.truncated = true,
            PartCounts::Ids => {}
            PartCounts::Codes(slots) => {
                for (code, tally) in slots.tallies() {
                    let code = code as u64;
                    let hash = match part.stored_hash(code)? {
                        Some(hash) => Some(hash),
                        None => {
                            let (hash, cell) = part.with_value(code, |value| of_text(key, value))?;
                            if let Some(cell) = cell {
                                self.cells.entry(cell.number()).or_default().merge(&tally);
                            }
                            hash
                        }
                    };
                    if let Some(hash) = hash {
                        self.add_value(hash, &tally, place(code));
                    }
                }
            }
            PartCounts::Bools(slots) => {
                for (bits, tally) in slots.tallies() {
                    let hash = hash_of(key, ValueRef::Bool(bits != 0));
                    self.add_value(hash, &tally, place(bits as u64));
                }
            }
            PartCounts::Whole { least, slots } => {
                for (offset, tally) in slots.tallies() {
                    let value = least.saturating_add(i64::try_from(offset).unwrap_or(i64::MAX));
                    #[expect(clippy::cast_precision_loss, reason = "a cell is wider than what is lost")]
                    let cell = Cell::of_finite(value as f64);
                    self.cells.entry(cell.number()).or_default().merge(&tally);
                    if !self.many_numbers {
                        self.whole.entry(value).or_default().merge(&tally);
                        self.values_of_numbers();
                    }
                }
            }
            PartCounts::Cells { least, slots, many } => {
                self.many_numbers |= many;
                self.values_of_numbers();
                for (offset, tally) in slots.tallies() {
                    let cell = least.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX));
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
    pub(super) fn finish(mut self, name: Arc<str>, key: HashKey) -> (ColumnCounts, HashMap<u64, Found>) {
        let mut found: HashMap<u64, Found> =
            self.values.iter().map(|(hash, (_, place))| (*hash, Found::At(*place))).collect();
        let mut values: HashMap<u64, Tally> =
            self.values.drain().map(|(hash, (tally, _))| (hash, tally)).collect();
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

/// The values of one part.
enum PartCounts {
    Codes(Slots),
    Bools(Slots),
    /// Whole numbers from `least` on.
    Whole {
        least: i64,
        slots: Slots,
    },
    /// Cells from `least` on; `many`: of numbers that are no values.
    Cells {
        least: u32,
        slots: Slots,
        many: bool,
    },
    /// Mostly different text.
    LeftOut,
    /// What is different for every event.
    Ids,
}

impl PartCounts {
    fn new(part: &Part<'_>, weighted: bool) -> PartCounts {
        let cells = |min: f64, max: f64, many: bool| {
            let bound = |number: f64| Cell::of_finite(number.clamp(f64::MIN, f64::MAX)).number();
            let (least, most) = if min <= max { (bound(min), bound(max)) } else { (0, 0) };
            PartCounts::Cells { least, slots: Slots::new((most - least) as usize + 1, weighted), many }
        };
        match part.kind() {
            Kind::Codes(len)
                if part.is_text() && !part.has_hashes() && len > EXPLAIN_PLAIN_TEXTS_MAX as usize =>
            {
                PartCounts::LeftOut
            }
            Kind::Codes(len) => PartCounts::Codes(Slots::new(len, weighted)),
            Kind::Bools => PartCounts::Bools(Slots::new(2, weighted)),
            Kind::Whole(min, max) if max.abs_diff(min) < EXPLAIN_WHOLE_SPAN_MAX => {
                let len = usize::try_from(max.abs_diff(min)).unwrap_or_default() + 1;
                PartCounts::Whole { least: min, slots: Slots::new(len, weighted) }
            }
            #[expect(clippy::cast_precision_loss, reason = "a cell is wider than what is lost")]
            Kind::Whole(min, max) => cells(min as f64, max as f64, true),
            Kind::Doubles(min, max) => cells(min, max, false),
            Kind::Other => PartCounts::Ids,
        }
    }

    #[inline]
    fn slot(&mut self, part: Option<&Part<'_>>, bits: u64) -> Option<(&mut Slots, usize)> {
        let cell_place =
            |least: u32, number: f64| Some(Cell::of(number)?.number().checked_sub(least)? as usize);
        match self {
            PartCounts::Codes(slots) | PartCounts::Bools(slots) => Some((slots, usize::try_from(bits).ok()?)),
            PartCounts::Whole { least, slots } => {
                let offset = bits.cast_signed().wrapping_sub(*least);
                Some((slots, usize::try_from(offset).ok()?))
            }
            PartCounts::Cells { least, slots, many: true } => {
                #[expect(clippy::cast_precision_loss, reason = "a cell is wider than what is lost")]
                let place = cell_place(*least, bits.cast_signed() as f64)?;
                Some((slots, place))
            }
            PartCounts::Cells { least, slots, many: false } => {
                let place = cell_place(*least, part?.double(bits))?;
                Some((slots, place))
            }
            PartCounts::LeftOut | PartCounts::Ids => None,
        }
    }

    #[inline]
    fn add(&mut self, part: Option<&Part<'_>>, bits: u64, side: usize, weight: f64) {
        if let Some((slots, place)) = self.slot(part, bits) {
            slots.add(place, side, weight);
        }
    }

    fn merge(&mut self, part: Option<&Part<'_>>, bits: u64, tally: &Tally) {
        if let Some((slots, place)) = self.slot(part, bits) {
            slots.merge(place, tally);
        }
    }
}

/// Counts by place.
struct Slots {
    rows: Vec<[u32; 2]>,
    /// Weights and their squares, where rows have other weights than 1.
    weights: Option<Vec<[f64; 4]>>,
}

impl Slots {
    fn new(len: usize, weighted: bool) -> Slots {
        Slots { rows: vec![[0; 2]; len], weights: weighted.then(|| vec![[0.0; 4]; len]) }
    }

    #[inline]
    fn add(&mut self, place: usize, side: usize, weight: f64) {
        // A segment has fewer rows than u32.
        if let Some(rows) = self.rows.get_mut(place) {
            rows[side & 1] += 1;
        }
        if let Some(weights) = self.weights.as_mut().and_then(|weights| weights.get_mut(place)) {
            weights[side & 1] += weight;
            weights[2 + (side & 1)] += weight * weight;
        }
    }

    fn merge(&mut self, place: usize, tally: &Tally) {
        if let Some(rows) = self.rows.get_mut(place) {
            for (rows, more) in rows.iter_mut().zip(tally.rows) {
                *rows = rows.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
            }
        }
        if let Some(weights) = self.weights.as_mut().and_then(|weights| weights.get_mut(place)) {
            for (sum, more) in weights.iter_mut().zip(tally.weight.iter().chain(&tally.squares)) {
                *sum += more;
            }
        }
    }

    fn tally(&self, place: usize) -> Tally {
        let rows = self.rows.get(place).copied().unwrap_or_default();
        let whole = rows.map(f64::from);
        let (weight, squares) = match self.weights.as_ref().and_then(|weights| weights.get(place)) {
            Some([a, b, c, d]) => ([*a, *b], [*c, *d]),
            None => (whole, whole),
        };
        Tally { rows: rows.map(u64::from), weight, squares }
    }

    /// The places that have events.
    fn tallies(&self) -> impl Iterator<Item = (usize, Tally)> + '_ {
        let some = self.rows.iter().enumerate().filter(|(_, rows)| **rows != [0; 2]);
        some.map(|(place, _)| (place, self.tally(place)))
    }
}
