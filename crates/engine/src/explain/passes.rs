//! The passes: values of all columns, sums of what was chosen, and how the strongest of it meet ([`super::meeting`]).
//!
//! What it refuses: to hold more than the query's memory. The sums of a set of conditions take 64 KiB.

use std::collections::HashMap;
use std::sync::Arc;

use skein_event::batch::ColumnKey;
use skein_event::columns::Fixed;
use skein_event::hash::HashKey;
use skein_event::limits::EXPLAIN_OVERLAPS_MAX;
use skein_query::explain::{CLUSTERS, Clusters, Condition, Counts, Overlaps, Sums, Traces};
use skein_query::names::Reference;
use skein_query::plan::Column;
use skein_store::Error;
use skein_store::segment::Segment;

use super::Session;
use super::clusters::RowClusters;
use super::conditions::{OfColumn, Sets, by_column};
use super::counts::Counted;
use super::meeting::Meeting;
use super::rows::{NO_CLASS, Rows};
use super::sides::Sides;
use super::walk::{Ready, Walk, check_memory};
use crate::column::RunRows;
use crate::scan::Failure;

pub(super) const SUMS_BYTES: usize = 2 * size_of::<f64>() * CLUSTERS;

/// Counts the values of all columns.
struct Counting<'a> {
    sides: &'a Sides,
    columns: &'a [Column],
    weighted: bool,
    /// The columns whose values a physical column of a name may have.
    by_name: HashMap<&'a str, Vec<usize>>,
    /// Columns that have values in every segment.
    always: Vec<usize>,
}

impl<'a> Counting<'a> {
    fn new(sides: &'a Sides, columns: &'a [Column], weighted: bool) -> Counting<'a> {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut always = Vec::new();
        for (number, column) in columns.iter().enumerate() {
            for reference in &column.references {
                let mut named = |name: &'a str| by_name.entry(name).or_default().push(number);
                match reference {
                    Reference::Fixed(Fixed::Body) => {
                        [Fixed::Body, Fixed::BodyValue].iter().for_each(|fixed| named(fixed.name()));
                    }
                    Reference::Fixed(fixed) => named(fixed.name()),
                    Reference::Attribute(name) | Reference::Origin(_, name) => named(name),
                    Reference::Timestamp
                    | Reference::IngestTime
                    | Reference::EventId
                    | Reference::IsRoot
                    | Reference::Event => always.push(number),
                }
            }
            if column.calculated.is_some() {
                always.push(number);
            }
        }
        Counting { sides, columns, weighted, by_name, always }
    }

    /// The columns that a segment may have, rising.
    fn of_segment(&self, segment: &Segment) -> Result<Vec<usize>, Error> {
        // An overflow map may hold any of them.
        if segment.column_of(&ColumnKey::fixed(Fixed::Overflow))?.is_some() {
            return Ok((0..self.columns.len()).collect());
        }
        let mut found = self.always.clone();
        for info in segment.columns() {
            found.extend(self.by_name.get(&*info?.key.name).into_iter().flatten());
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

impl Walk for Counting<'_> {
    type Rows = Rows;
    type Column = Counted;

    fn ready(&self, place: usize, segment: &Segment) -> Result<(Rows, Vec<usize>, usize), Error> {
        let rows = rows(self.sides, place, segment, self.weighted)?;
        let bytes = rows.memory_bytes();
        let mut columns = self.of_segment(segment)?;
        // The last one is of all rows.
        columns.push(self.columns.len());
        Ok((rows, columns, bytes))
    }

    fn add(&self, number: usize, counted: &mut Counted, ready: &Ready<Rows>) -> Result<u64, Error> {
        let Some(column) = self.columns.get(number) else {
            counted.add_all(&ready.rows);
            return Ok(0);
        };
        counted.add(ready.place, &ready.segment, column, &ready.rows)
    }

    fn bytes(&self, counted: &Counted) -> usize {
        counted.memory_bytes()
    }
}

pub(super) fn rows(sides: &Sides, place: usize, segment: &Segment, weighted: bool) -> Result<Rows, Error> {
    match sides.of_segment(place) {
        Some(of_segment) => Rows::new(segment, of_segment, weighted),
        None => Rows::new(segment, &super::sides::SegmentSides::default(), weighted),
    }
}

/// Sums, by the set of conditions that is met, over traces.
struct Summing<'a> {
    sides: &'a Sides,
    columns: &'a [Column],
    weighted: bool,
    by_column: &'a [OfColumn],
}

/// What was summed for a column.
#[derive(Default)]
struct Summed {
    sets: Sets,
    /// By set.
    sums: Vec<Sums>,
    /// Of all rows, whatever they meet.
    all: Traces,
}

impl Summed {
    /// Adds rows by the sets that they meet. `counts` has those of this segment by set and class.
    fn add(
        &mut self,
        of: RunRows<'_>,
        found: impl Iterator<Item = u16>,
        (rows, clusters): (&Rows, &RowClusters),
        counts: &mut Vec<u32>,
    ) {
        let shift = rows.shift();
        for (number, set) in found.enumerate().filter(|(_, set)| *set != 0) {
            let set = usize::from(set);
            let row = of.row(number);
            let class = rows.classes().get(row as usize).copied().unwrap_or(NO_CLASS);
            if class == NO_CLASS {
                continue;
            }
            if self.sums.len() <= set {
                self.sums.resize_with(set + 1, Sums::default);
            }
            let at = set << shift | usize::from(class);
            if counts.len() <= at {
                counts.resize((set + 1) << shift, 0);
            }
            counts[at] += 1;
            let (side, weight) = (Rows::side(class), rows.weight(row, class));
            let (place, _) = clusters.of(row);
            let sums = &mut self.sums[set];
            if let Some(sum) = sums.places[side].get_mut(place) {
                *sum += weight;
            }
            if rows.has_weights() {
                sums.tally.add(side, weight);
            }
        }
    }

    fn end(&mut self, rows: &Rows, counts: &[u32]) {
        if rows.has_weights() {
            return;
        }
        for (sums, counts) in self.sums.iter_mut().zip(counts.chunks(1 << rows.shift())) {
            sums.tally.merge(&rows.tally_of(counts));
        }
    }
}

impl Walk for Summing<'_> {
    type Rows = (Rows, RowClusters);
    type Column = Summed;

    fn ready(
        &self,
        place: usize,
        segment: &Segment,
    ) -> Result<((Rows, RowClusters), Vec<usize>, usize), Error> {
        let rows = rows(self.sides, place, segment, self.weighted)?;
        let clusters = RowClusters::new(segment, &rows)?;
        let bytes = rows.memory_bytes() + clusters.memory_bytes();
        // The last one is of all rows.
        Ok(((rows, clusters), (0..=self.by_column.len()).collect(), bytes))
    }

    fn add(
        &self,
        number: usize,
        summed: &mut Summed,
        ready: &Ready<(Rows, RowClusters)>,
    ) -> Result<u64, Error> {
        let (rows, clusters) = &ready.rows;
        let mut counts = Vec::new();
        let Some(of) = self.by_column.get(number) else {
            for (row, &class) in (0..).zip(rows.classes()).filter(|(_, class)| **class != NO_CLASS) {
                summed.all.add(Rows::side(class), rows.weight(row, class), clusters.of(row));
            }
            return Ok(0);
        };
        let Some(column) = self.columns.get(of.column) else { return Ok(0) };
        let mut sets = std::mem::take(&mut summed.sets);
        let read = of.each_run(&ready.segment, column, &rows.wanted, &mut sets, |_, of_run, found| {
            if rows.class_of_all(of_run) != Some(NO_CLASS) {
                summed.add(of_run, found.iter().copied(), (rows, clusters), &mut counts);
            }
        });
        summed.sets = sets;
        summed.end(rows, &counts);
        read
    }

    fn bytes(&self, summed: &Summed) -> usize {
        summed.sums.len() * SUMS_BYTES
    }
}

impl Session<'_> {
    pub(super) fn count(&mut self) -> Result<Counts, Failure> {
        let counting = Counting::new(&self.sides, &self.columns, self.weighted());
        let columns = (0..=self.columns.len()).map(|_| Counted::default()).collect();
        let (mut counted, bytes) = self.walk(&counting, columns, (0.25, 0.6))?;
        self.counters.bytes_scanned += bytes;
        let total = counted.pop().map(|all| all.present()).unwrap_or_default();
        let hash_key = self.hash_key()?;
        let mut columns = Vec::with_capacity(counted.len());
        self.found.clear();
        for (column, counted) in self.columns.iter().zip(counted) {
            let (counts, found) = counted.finish(Arc::clone(&column.name), hash_key);
            columns.push(counts);
            self.found.push(found);
        }
        Ok(Counts { total, columns })
    }

    /// The hash key of the deployment, which every segment has.
    fn hash_key(&self) -> Result<HashKey, Failure> {
        let Some(&place) = self.places.first() else { return Ok(HashKey(0)) };
        let Some(handle) = self.subject.view.segments.get(place) else { return Ok(HashKey(0)) };
        let segment = handle.open().map_err(|error| Failure::Segment(place, error))?;
        Ok(segment.header().hash_key)
    }

    fn by_column(&mut self, conditions: &[Condition]) -> Result<Vec<OfColumn>, Failure> {
        for condition in conditions {
            if let Condition::Value { column, key } = *condition {
                self.look_up(column, key)?;
            }
        }
        let text = |column: usize, key: u64| {
            let value = self.texts.get(&(column, key))?.as_ref()?;
            Some(Box::from(value.canonical_text().as_ref()))
        };
        Ok(by_column(conditions, text))
    }

    pub(super) fn sums(&mut self, conditions: &[Condition]) -> Result<Clusters, Failure> {
        let by_column = self.by_column(conditions)?;
        let max = self.subject.context.memory_bytes_max;
        check_memory(max, self.held_bytes + (conditions.len() + 1) * SUMS_BYTES)?;
        let summing = Summing {
            sides: &self.sides,
            columns: &self.columns,
            weighted: self.weighted(),
            by_column: &by_column,
        };
        let columns = (0..=by_column.len()).map(|_| Summed::default()).collect();
        let (mut summed, bytes) = self.walk(&summing, columns, (0.6, 0.85))?;
        self.counters.bytes_scanned += bytes;
        let total = summed.pop().map(|all| all.all).unwrap_or_default();
        let mut met: Vec<Sums> = conditions.iter().map(|_| Sums::default()).collect();
        for Summed { sets, sums, .. } in summed {
            for (set, sums) in sums.iter().enumerate() {
                for &condition in sets.conditions(set) {
                    if let Some(met) = met.get_mut(condition) {
                        met.merge(sums);
                    }
                }
            }
        }
        Ok(Clusters { total, met })
    }

    pub(super) fn overlap(
        &mut self,
        conditions: &[Condition],
        pairs: &[(usize, usize)],
    ) -> Result<Overlaps, Failure> {
        let conditions = conditions.get(..EXPLAIN_OVERLAPS_MAX).unwrap_or(conditions);
        let by_column = self.by_column(conditions)?;
        let meeting = Meeting {
            sides: &self.sides,
            columns: &self.columns,
            weighted: self.weighted(),
            by_column: &by_column,
            conditions: conditions.len(),
            pairs,
            threads: self.subject.workers.threads_max,
        };
        let (overlaps, bytes) = self.walk(&meeting, vec![meeting.nothing()], (0.85, 1.0))?;
        self.counters.bytes_scanned += bytes;
        Ok(overlaps.into_iter().next().unwrap_or_default())
    }
}
