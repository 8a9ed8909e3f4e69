//! Which rows of a segment meet which conditions: decided once per distinct value of a dictionary, by its text.

use std::collections::{HashMap, HashSet};

use skein_event::limits::CACHED_VALUES_MAX;
use skein_query::explain::{Cell, Condition};
use skein_query::number::ValueRef;
use skein_store::Error;
use skein_store::segment::Segment;

use super::classes::Classes;
use crate::block::BlockReader;
use crate::column::{BoundColumn, Kind, Part};
use skein_query::plan::Column;

/// Conditions on one column, by their places among all.
pub(super) struct OfColumn {
    column: usize,
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
    columns
}

impl OfColumn {
    /// Calls back with each row that takes part and the place of each condition that it meets.
    pub(super) fn each_hit(
        &self,
        segment: &Segment,
        columns: &[Column],
        classes: &Classes,
        mut hit: impl FnMut(usize, usize),
    ) -> Result<u64, Error> {
        let Some(column) = columns.get(self.column) else { return Ok(0) };
        let mut bound = BoundColumn::bind(segment, column)?;
        if bound.parts.is_empty() {
            return Ok(0);
        }
        let bytes = bound.bytes();
        let mut known: Vec<Known> = bound.parts.iter().map(Known::new).collect();
        let mut reader = BlockReader::open(segment)?;
        bound.each_value(&mut reader, &classes.wanted, |parts, row, number, bits| {
            if classes.of(row).is_none() {
                return Ok(());
            }
            self.exists.iter().for_each(|place| hit(row, *place));
            if let (Some(part), Some(known)) = (parts.get_mut(number), known.get_mut(number)) {
                for place in known.met(self, part, bits)? {
                    hit(row, *place);
                }
            }
            Ok(())
        })?;
        Ok(bytes)
    }

    /// The conditions that a value meets, but for its presence.
    fn met_by(&self, value: ValueRef<'_>, met: &mut Vec<usize>) {
        if !self.values.is_empty()
            && let Some(places) = self.values.get(value.canonical_text().as_ref())
        {
            met.extend(places);
        }
        if !self.ranges.is_empty()
            && let Some(cell) = value.number().and_then(|number| Cell::of(number.to_f64()))
        {
            let inside = |(from, to, _): &&(u32, u32, usize)| *from <= cell.number() && cell.number() < *to;
            met.extend(self.ranges.iter().filter(inside).map(|(_, _, place)| *place));
        }
    }
}

/// What is known of the values of one part: for each the conditions it meets.
struct Known {
    /// By code; 0 is not known yet, otherwise the place in `sets` and one.
    codes: Vec<u32>,
    /// By other bits.
    others: HashMap<u64, u32>,
    sets: Vec<Vec<usize>>,
    is_number: bool,
}

impl Known {
    fn new(part: &Part<'_>) -> Known {
        let kind = part.kind();
        let len = if let Kind::Codes(len) = kind { len } else { 0 };
        let is_number = matches!(kind, Kind::Doubles(..));
        Known { codes: vec![0; len], others: HashMap::new(), sets: vec![Vec::new()], is_number }
    }

    fn met(&mut self, of: &OfColumn, part: &mut Part<'_>, bits: u64) -> Result<&[usize], Error> {
        if self.is_number && of.values.is_empty() {
            // Doubles are mostly different: to look one up costs more than to compare it.
            let met = &mut self.sets[0];
            met.clear();
            if let Some(cell) = Cell::of(part.double(bits)) {
                let inside =
                    |(from, to, _): &&(u32, u32, usize)| *from <= cell.number() && cell.number() < *to;
                met.extend(of.ranges.iter().filter(inside).map(|(_, _, place)| *place));
            }
            return Ok(met);
        }
        let code = usize::try_from(bits).ok().filter(|code| *code < self.codes.len());
        let known = match code {
            Some(code) => self.codes[code],
            None => self.others.get(&bits).copied().unwrap_or_default(),
        };
        if known > 0 {
            return Ok(self.sets.get(known as usize).map_or(&[], Vec::as_slice));
        }
        // Most values are none that is looked for, which their stored hash tells without their text.
        let unwanted =
            of.ranges.is_empty() && part.stored_hash(bits)?.is_some_and(|hash| !of.keys.contains(&hash));
        let mut met = Vec::new();
        if !unwanted {
            part.with_value(bits, |value| {
                if let Some(value) = value {
                    of.met_by(value, &mut met);
                }
            })?;
        }
        let place = match self.sets.iter().skip(1).position(|set| *set == met) {
            Some(place) => place + 1,
            None => {
                self.sets.push(met);
                self.sets.len() - 1
            }
        };
        let known = u32::try_from(place).unwrap_or_default();
        match code {
            Some(code) => self.codes[code] = known,
            None => {
                if self.others.len() >= CACHED_VALUES_MAX {
                    self.others.clear();
                }
                self.others.insert(bits, known);
            }
        }
        Ok(self.sets.get(place).map_or(&[], Vec::as_slice))
    }
}
