//! INTERVAL: from one event to another of the same trace or instance.
//!
//! Rows come in no order of time, so each value of `by` keeps its first `from` so far and those `to` that may still
//! be the first after it: all earlier ones, since a `from` before them may yet come, and the next two that are not
//! earlier, of which one may be the `from` itself.

use skein_event::hash::HashKey;
use skein_event::ids::EventId;
use skein_query::aggregate::Draw;
use skein_query::number::Number;
use skein_query::plan::{Column, FilterSet};
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::Block;
use crate::derived::DerivedValue;
use crate::filter::BoundFilters;
use crate::flat;
use crate::group::{Groups, ValueReading};
use crate::local::{BoundBreakdowns, MISSING_VALUE};
use crate::mask::Mask;
use crate::weights::Weights;

/// A row of a snapshot: place of its segment, and its number there.
type Place = (usize, u32);

#[derive(Clone, Copy, Debug)]
struct Start {
    time_ns: i64,
    event_id: EventId,
    place: Place,
    group: u32,
    draw: Draw,
}

#[derive(Clone, Debug, Default)]
struct Interval {
    from: Option<Start>,
    ends: Vec<(i64, Place)>,
    /// Ends are looked through when there are so many.
    next_look: usize,
}

impl Interval {
    fn begin(&mut self, start: Start) {
        let key = |start: &Start| (start.time_ns, start.event_id);
        if self.from.as_ref().is_none_or(|known| key(&start) < key(known)) {
            self.from = Some(start);
        }
    }

    fn end(&mut self, time_ns: i64, place: Place) {
        self.ends.push((time_ns, place));
        if self.ends.len() > self.next_look.max(ENDS_LOOKED_AT) {
            self.drop_late_ends();
            self.next_look = 2 * self.ends.len();
        }
    }

    /// Drops the ends that will not be the first after any `from` that may come.
    fn drop_late_ends(&mut self) {
        let Some(from) = &self.from else { return };
        self.ends.sort_unstable();
        let early = self.ends.partition_point(|(time_ns, _)| *time_ns < from.time_ns);
        self.ends.truncate(early + 2);
    }

    fn finish(&self) -> Option<(Start, Option<i64>)> {
        let from = self.from?;
        let fits = |(time_ns, place): &&(i64, Place)| *time_ns >= from.time_ns && *place != from.place;
        Some((from, self.ends.iter().filter(fits).map(|(time_ns, _)| *time_ns).min()))
    }
}

/// A row without a value of `by`.
const NO_INSTANCE: u32 = u32::MAX;

/// Fewer ends are not worth a look.
const ENDS_LOOKED_AT: usize = 16;

pub(super) struct Intervals<'p> {
    from: &'p FilterSet,
    to: &'p FilterSet,
    by: &'p [Column],
    weighted: bool,
    /// The values of `by`.
    instances: Groups,
    /// By value of `by`.
    intervals: Vec<Interval>,
    ends: usize,
    row_instances: Vec<u32>,
}

pub(super) struct BoundInterval<'s> {
    place: usize,
    segment: &'s Segment,
    by: BoundBreakdowns<'s>,
    /// The instance of each value of `by` in the segment.
    instances: Vec<u32>,
    reading: ValueReading,
    from: BoundFilters<'s>,
    to: BoundFilters<'s>,
    weights: Option<Weights<'s>>,
}

impl BoundInterval<'_> {
    pub(super) fn bytes(&self) -> u64 {
        self.by.bytes() + self.from.bytes() + self.to.bytes()
    }
}

impl<'p> Intervals<'p> {
    pub(super) fn new(
        from: &'p FilterSet,
        to: &'p FilterSet,
        by: &'p Column,
        weighted: bool,
    ) -> Intervals<'p> {
        Intervals {
            from,
            to,
            by: std::slice::from_ref(by),
            weighted,
            instances: Groups::new(1),
            intervals: Vec::new(),
            ends: 0,
            row_instances: Vec::new(),
        }
    }

    pub(super) fn bind<'s>(&self, place: usize, segment: &'s Segment) -> Result<BoundInterval<'s>, Error> {
        Ok(BoundInterval {
            place,
            segment,
            by: BoundBreakdowns::bind(segment, self.by, None)?,
            instances: Vec::new(),
            // Hashes only lead to texts here, which are at hand.
            reading: ValueReading { key: HashKey(0), texts_at_once: true },
            from: BoundFilters::bind(segment, self.from)?,
            to: BoundFilters::bind(segment, self.to)?,
            weights: self.weighted.then(|| Weights::bind(segment)).transpose()?,
        })
    }

    pub(super) fn add_block(
        &mut self,
        bound: &mut BoundInterval<'_>,
        block: &Block<'_>,
        groups: &[u32],
    ) -> Result<(), Error> {
        let from = passing(&mut bound.from, block)?;
        let to = passing(&mut bound.to, block)?;
        let mut both = from.clone();
        both.join(&to);
        if both.is_empty() {
            return Ok(());
        }
        let part = Block { mask: &both, rows: block.rows };
        let mut instances = std::mem::take(&mut self.row_instances);
        instances.clear();
        instances.resize(block.len(), NO_INSTANCE);
        bound.by.number(&part)?;
        bound.instances.resize(bound.by.len(), NO_INSTANCE);
        for row in part.places() {
            let local = bound.by.slots().at(row);
            let Some(known) = bound.instances.get_mut(local as usize) else { continue };
            if local != MISSING_VALUE && *known == NO_INSTANCE {
                *known = self.instances.number(bound.place, &mut bound.by, local, bound.reading)?;
            }
            instances[row] = *known;
        }
        self.intervals.resize_with(self.instances.len(), Interval::default);
        let draws = bound.weights.as_mut().map(|weights| weights.draws(block)).transpose()?;
        let rows: Vec<usize> = part.places().filter(|&row| instances[row] != NO_INSTANCE).collect();
        for &row in rows.iter().filter(|&&row| to.has(row)) {
            let Some(interval) = self.intervals.get_mut(instances[row] as usize) else { continue };
            let before = interval.ends.len();
            interval.end(block.times()[row], (bound.place, block.row(row)));
            self.ends = (self.ends + interval.ends.len()).saturating_sub(before);
        }
        let starts: Vec<usize> = rows.into_iter().filter(|&row| from.has(row)).collect();
        let numbers: Vec<u32> = starts.iter().map(|&row| block.row(row)).collect();
        for (&row, event_id) in starts.iter().zip(bound.segment.event_ids(&numbers)?) {
            let Some(interval) = self.intervals.get_mut(instances[row] as usize) else { continue };
            interval.begin(Start {
                time_ns: block.times()[row],
                event_id,
                place: (bound.place, block.row(row)),
                group: groups[row],
                draw: draws.map_or(Draw::Certain, |draws| draws.of(row)),
            });
        }
        self.row_instances = instances;
        Ok(())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let intervals = self.intervals.capacity() * size_of::<Interval>();
        self.instances.heap_bytes() + intervals + 2 * self.ends * size_of::<(i64, Place)>()
    }

    /// The intervals, and how many began without an end.
    pub(super) fn finish(&self) -> (Vec<DerivedValue>, usize) {
        let mut open = 0;
        let mut values = Vec::new();
        for (from, end_ns) in self.intervals.iter().filter_map(Interval::finish) {
            let Some(end_ns) = end_ns else {
                open += 1;
                continue;
            };
            let number = Number::F64(flat::milliseconds(end_ns.saturating_sub(from.time_ns)));
            let Start { group, time_ns, draw, .. } = from;
            values.push(DerivedValue { group, time_ns, number, overall: number, draw });
        }
        (values, open)
    }
}

fn passing(filters: &mut BoundFilters<'_>, block: &Block<'_>) -> Result<Mask, Error> {
    let mut mask = block.mask.clone();
    filters.apply(block.rows, &mut mask)?;
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use skein_event::ids::{Offset, Partition};

    use super::*;

    proptest! {
        /// Ends that are dropped early are never the ones that are wanted.
        #[test]
        fn no_end_is_dropped_that_a_later_start_may_want(
            rows in prop::collection::vec((0..60_i64, 0..4_u8), 0..300),
        ) {
            let mut interval = Interval::default();
            let (mut starts, mut ends) = (Vec::new(), Vec::new());
            for (row, &(time_ns, kind)) in (0_u32..).zip(&rows) {
                let place = (0, row);
                if kind != 0 {
                    interval.end(time_ns, place);
                    ends.push((time_ns, place));
                }
                if kind < 2 {
                    let event_id = EventId { partition: Partition(0), offset: Offset(0), index: row };
                    interval.begin(Start { time_ns, event_id, place, group: 0, draw: Draw::Certain });
                    starts.push((time_ns, place));
                }
            }
            let expected = starts.iter().min().map(|&(start_ns, start)| {
                let after = ends.iter().filter(|(time_ns, place)| *time_ns >= start_ns && *place != start);
                (start, after.map(|(time_ns, _)| *time_ns).min())
            });
            prop_assert_eq!(interval.finish().map(|(start, end)| (start.place, end)), expected);
        }
    }
}
