//! Which rows of a segment meet which conditions: decided once per distinct value of a column, by its text.
//!
//! A value meets a set of conditions, and few sets occur in a column. What is summed is summed by set, once for each row,
//! and only at the end by condition.

use std::collections::{HashMap, HashSet};

use skein_event::limits::CACHED_VALUES_MAX;
use skein_query::explain::{Cell, Condition};
use skein_query::number::ValueRef;
use skein_query::plan::Column;
use skein_store::Error;
use skein_store::segment::Segment;

use super::slots::{Meaning, Places};
use crate::block::BlockReader;
use crate::column::{BoundColumn, Part, Run, RunRows};

/// Conditions on one column, by their places among all.
pub(super) struct OfColumn {
    pub(super) column: usize,
    exists: Vec<usize>,
    /// Hashes of the canonical texts that are looked for.
    keys: HashSet<u64>,
    /// The texts themselves.
    values: HashMap<Box<str>, Vec<usize>>,
    ranges: Vec<(u32, u32, usize)>,
}

/// Sorts conditions by their columns; `text` gives the canonical text of a value.
pub(super) fn by_column(
    conditions: &[Condition],
    mut text: impl FnMut(usize, u64) -> Option<Box<str>>,
) -> Vec<OfColumn> {
    let mut columns: Vec<OfColumn> = Vec::new();
    for (place, condition) in conditions.iter().enumerate() {
        let column = condition.column();
        let at = columns.iter().position(|of| of.column == column).unwrap_or_else(|| {
            let (exists, ranges) = (Vec::new(), Vec::new());
            let (keys, values) = (HashSet::new(), HashMap::new());
            columns.push(OfColumn { column, exists, keys, values, ranges });
            columns.len() - 1
        });
        let of = &mut columns[at];
        match *condition {
            Condition::Exists { .. } => of.exists.push(place),
            Condition::Value { key, .. } => {
                if let Some(text) = text(column, key) {
                    of.keys.insert(key);
                    of.values.entry(text).or_default().push(place);
                }
            }
            Condition::Range { from, to, .. } => {
                let from = from.map_or(0, Cell::number);
                of.ranges.push((from, to.map_or(Cell::COUNT, Cell::number), place));
            }
        }
    }
    columns.sort_by_key(|of| of.column);
    columns
}

/// The sets of conditions that values of a column were found to meet. The first is that of meeting none.
#[derive(Debug)]
pub(super) struct Sets(Vec<Vec<usize>>);

impl Default for Sets {
    fn default() -> Sets {
        Sets(vec![Vec::new()])
    }
}

impl Sets {
    fn place(&mut self, met: Vec<usize>) -> u16 {
        let place = self.0.iter().position(|set| *set == met).unwrap_or_else(|| {
            self.0.push(met);
            self.0.len() - 1
        });
        // A column has few conditions; the sets of ranges are the intervals between their bounds.
        u16::try_from(place).unwrap_or_default()
    }

    /// The conditions of each set but the first.
    pub(super) fn each(&self) -> impl Iterator<Item = (usize, &[usize])> {
        self.0.iter().map(Vec::as_slice).enumerate().skip(1)
    }

    pub(super) fn conditions(&self, set: usize) -> &[usize] {
        self.0.get(set).map_or(&[], Vec::as_slice)
    }
}

impl OfColumn {
    /// Calls back with the rows of each run and the set that each of them meets; answers the encoded bytes that were
    /// read. A run that meets nothing may be left out.
    pub(super) fn each_run(
        &self,
        segment: &Segment,
        column: &Column,
        wanted: &[bool],
        sets: &mut Sets,
        mut take: impl FnMut(&Sets, RunRows<'_>, &[u16]),
    ) -> Result<u64, Error> {
        let mut bound = BoundColumn::bind(segment, column)?;
        if bound.parts.is_empty() {
            return Ok(0);
        }
        let bytes = bound.bytes();
        let mut known: Vec<Known> = bound.parts.iter().map(|part| Known::new(part, self)).collect();
        let mut reader = BlockReader::open(segment)?;
        let mut found = Vec::new();
        bound.each_run(&mut reader, wanted, |parts, run| {
            if let (Some(part), Some(known)) = (parts.get_mut(run.part), known.get_mut(run.part)) {
                known.met(self, part, sets, run, &mut found)?;
                if found.iter().any(|set| *set != 0) {
                    take(sets, run.rows, &found);
                }
            }
            Ok(())
        })?;
        Ok(bytes)
    }

    /// The conditions that a value meets.
    fn met_by(&self, value: Option<ValueRef<'_>>, met: &mut Vec<usize>) {
        let Some(value) = value else { return };
        if !self.values.is_empty()
            && let Some(places) = self.values.get(value.canonical_text().as_ref())
        {
            met.extend(places);
        }
        if !self.ranges.is_empty()
            && let Some(cell) = value.number().and_then(|number| Cell::of(number.to_f64()))
        {
            self.in_cell(cell.number(), met);
        }
    }

    fn in_cell(&self, cell: u32, met: &mut Vec<usize>) {
        let inside = |(from, to, _): &&(u32, u32, usize)| *from <= cell && cell < *to;
        met.extend(self.ranges.iter().filter(inside).map(|(_, _, place)| *place));
    }

    fn set_of(&self, part: &mut Part<'_>, bits: u64, sets: &mut Sets) -> Result<u16, Error> {
        let mut met = self.exists.clone();
        // Most values are none that is looked for, which their stored hash tells without their text.
        let unwanted = self.ranges.is_empty()
            && (self.values.is_empty()
                || part.stored_hash(bits)?.is_some_and(|hash| !self.keys.contains(&hash)));
        if !unwanted {
            part.with_value(bits, |value| self.met_by(value, &mut met))?;
        }
        Ok(sets.place(met))
    }
}

/// Not looked at yet.
const UNKNOWN: u16 = u16::MAX;

/// What is known of the values of one part: for each the set it meets.
struct Known {
    places: Places,
    /// By place.
    sets: Vec<u16>,
    /// By bits, where a place stands for several values that texts may tell apart.
    others: Option<HashMap<u64, u16>>,
}

impl Known {
    fn new(part: &Part<'_>, of: &OfColumn) -> Known {
        let mut places = Places::of(part);
        if places.meaning == Meaning::LeftOut {
            // What is not counted value by value is looked up all the same.
            places = Places { meaning: Meaning::Codes, rest: part.dictionary_len().unwrap_or_default() };
        }
        let by_cells = matches!(
            places.meaning,
            Meaning::Cells(_) | Meaning::CellsOfWhole(_) | Meaning::CellsOfMilliseconds(_)
        );
        let others = (places.meaning == Meaning::Ids || by_cells && !of.values.is_empty()).then(HashMap::new);
        Known { sets: vec![UNKNOWN; places.rest + 1], places, others }
    }

    /// Replaces `found` by the set of each value of a run.
    fn met(
        &mut self,
        of: &OfColumn,
        part: &mut Part<'_>,
        sets: &mut Sets,
        run: Run<'_>,
        found: &mut Vec<u16>,
    ) -> Result<(), Error> {
        found.clear();
        if self.others.is_some() {
            return self.met_by_bits(of, part, sets, run, found);
        }
        let places = self.places;
        let mut unknown = false;
        places.each(run, |_, place| {
            let set = self.sets.get(place).copied().unwrap_or_default();
            unknown |= set == UNKNOWN;
            found.push(set);
        });
        if !unknown {
            return Ok(());
        }
        let mut wanted = Vec::new();
        places.each(run, |number, place| {
            if found.get(number) == Some(&UNKNOWN) {
                wanted.push((number, place));
            }
        });
        for (number, place) in wanted {
            let Some(&set) = self.sets.get(place) else { continue };
            let set = if set == UNKNOWN { self.of_place(of, part, sets, place)? } else { set };
            self.sets[place] = set;
            found[number] = set;
        }
        Ok(())
    }

    fn of_place(
        &self,
        of: &OfColumn,
        part: &mut Part<'_>,
        sets: &mut Sets,
        place: usize,
    ) -> Result<u16, Error> {
        let of_cell = |least: u32, sets: &mut Sets| {
            let mut met = of.exists.clone();
            if place < self.places.rest {
                of.in_cell(least.saturating_add(u32::try_from(place).unwrap_or(u32::MAX)), &mut met);
            }
            Ok(sets.place(met))
        };
        match self.places.meaning {
            Meaning::Codes | Meaning::Bools => of.set_of(part, place as u64, sets),
            Meaning::Whole(least) => {
                let value = least.saturating_add(i64::try_from(place).unwrap_or(i64::MAX));
                of.set_of(part, value.cast_unsigned(), sets)
            }
            Meaning::Cells(least) | Meaning::CellsOfWhole(least) | Meaning::CellsOfMilliseconds(least) => {
                of_cell(least, sets)
            }
            Meaning::LeftOut | Meaning::Ids => Ok(0),
        }
    }

    fn met_by_bits(
        &mut self,
        of: &OfColumn,
        part: &mut Part<'_>,
        sets: &mut Sets,
        run: Run<'_>,
        found: &mut Vec<u16>,
    ) -> Result<(), Error> {
        let Some(others) = &mut self.others else { return Ok(()) };
        for number in 0..run.len() {
            let bits = run.values.bits(number);
            let set = match others.get(&bits) {
                Some(set) => *set,
                None => {
                    let set = of.set_of(part, bits, sets)?;
                    if others.len() >= CACHED_VALUES_MAX {
                        others.clear();
                    }
                    others.insert(bits, set);
                    set
                }
            };
            found.push(set);
        }
        Ok(())
    }
}
