//! Raw rows: the first events by (timestamp, event.id), a page at a time.

use std::collections::BinaryHeap;

use skein_query::plan::{Cursor, Direction, RowPlan};
use skein_query::result::{FlatRow, Rows};
use skein_query::spec::cursor_text;
use skein_store::Error;
use skein_store::segment::Segment;

use crate::flat::flat_rows;
use crate::scan::{Block, BlockError, Failure, Sink};
use crate::snapshot::SnapshotView;

/// Keeps the first rows of the order: one more than the page, to know whether another page follows.
pub(crate) struct RowSink<'p> {
    plan: &'p RowPlan,
    /// The worst of them is on top.
    heap: BinaryHeap<Found>,
}

/// A row by its place in the order. Greater is later in the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Found {
    cursor: Cursor,
    direction: Direction,
    segment: usize,
    row: u32,
}

impl Ord for Found {
    fn cmp(&self, other: &Found) -> std::cmp::Ordering {
        match self.direction {
            Direction::Ascending => self.cursor.cmp(&other.cursor),
            Direction::Descending => other.cursor.cmp(&self.cursor),
        }
    }
}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Found) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<'p> RowSink<'p> {
    pub(crate) fn new(plan: &'p RowPlan) -> RowSink<'p> {
        RowSink { plan, heap: BinaryHeap::new() }
    }

    fn is_full(&self) -> bool {
        self.heap.len() > self.plan.limit
    }

    /// Whether a time could belong to the page: it is not before the cursor, nor after all that is kept.
    fn wants_time(&self, time_ns: i64) -> bool {
        let descending = self.plan.direction == Direction::Descending;
        let after = |bound: i64| if descending { time_ns <= bound } else { time_ns >= bound };
        let before = |bound: i64| if descending { time_ns >= bound } else { time_ns <= bound };
        let beyond_cursor = self.plan.after.is_none_or(|cursor| after(cursor.time_ns));
        let worst = self.heap.peek().filter(|_| self.is_full());
        beyond_cursor && worst.is_none_or(|worst| before(worst.cursor.time_ns))
    }
}

impl Sink for RowSink<'_> {
    type Bound<'s> = (usize, &'s Segment);

    fn bind<'s>(&mut self, place: usize, segment: &'s Segment) -> Result<(Self::Bound<'s>, u64), Error> {
        Ok(((place, segment), 0))
    }

    fn wants(&self, (first, last): (i64, i64)) -> bool {
        // The end of the range that comes first in the order, and the one that comes last.
        let (head, tail) = match self.plan.direction {
            Direction::Ascending => (first, last),
            Direction::Descending => (last, first),
        };
        let after_cursor = self.plan.after.is_none_or(|cursor| match self.plan.direction {
            Direction::Ascending => tail >= cursor.time_ns,
            Direction::Descending => tail <= cursor.time_ns,
        });
        let worst = self.heap.peek().filter(|_| self.is_full());
        let before_worst = worst.is_none_or(|worst| match self.plan.direction {
            Direction::Ascending => head <= worst.cursor.time_ns,
            Direction::Descending => head >= worst.cursor.time_ns,
        });
        after_cursor && before_worst
    }

    fn block(&mut self, bound: &mut Self::Bound<'_>, block: &Block<'_>) -> Result<(), BlockError> {
        let (place, segment) = *bound;
        let rows: Vec<u32> = (block.start..)
            .zip(block.mask.iter().zip(block.times))
            .filter(|(_, (keep, time))| **keep && self.wants_time(**time))
            .map(|(row, _)| row)
            .collect();
        let ids = segment.event_ids(&rows)?;
        for (row, event_id) in rows.into_iter().zip(ids) {
            let Some(&time_ns) = block.times.get((row - block.start) as usize) else { continue };
            let cursor = Cursor { time_ns, event_id };
            let direction = self.plan.direction;
            let found = Found { cursor, direction, segment: place, row };
            let passed = |after: Cursor| Found { cursor: after, ..found } < found;
            if !self.plan.after.is_none_or(passed) {
                continue;
            }
            self.heap.push(found);
            if self.heap.len() > self.plan.limit + 1 {
                self.heap.pop();
            }
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.heap.len() * size_of::<Found>()
    }
}

impl RowSink<'_> {
    /// Takes the rows that are known by now out of their segments.
    pub(crate) fn rows(&self, view: &SnapshotView) -> Result<Rows, Failure> {
        let limit = self.plan.limit;
        let mut found = self.heap.clone().into_sorted_vec();
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| cursor_text(last.cursor));
        let mut rows: Vec<Option<FlatRow>> = vec![None; found.len()];
        for (place, handle) in view.segments.iter().enumerate() {
            let of_segment: Vec<(usize, u32)> = found
                .iter()
                .enumerate()
                .filter(|(_, found)| found.segment == place)
                .map(|(order, found)| (order, found.row))
                .collect();
            if of_segment.is_empty() {
                continue;
            }
            let wanted: Vec<u32> = of_segment.iter().map(|(_, row)| *row).collect();
            let gathered = handle.open().and_then(|segment| segment.gather_values(&wanted));
            let gathered = gathered.map_err(|error| Failure::Segment(place, error))?;
            for ((order, _), row) in of_segment.into_iter().zip(flat_rows(&gathered)) {
                rows[order] = Some(row);
            }
        }
        Ok(Rows { rows: rows.into_iter().flatten().collect(), next })
    }
}

/// Puts rows of a segment into the order of their event ids.
pub(crate) fn row_order(segment: &Segment, rows: &mut [u32]) -> Result<(), Error> {
    let mut keyed: Vec<_> = segment.event_ids(rows)?.into_iter().zip(rows.iter().copied()).collect();
    keyed.sort_by_key(|(id, _)| (id.offset, id.index));
    rows.iter_mut().zip(keyed).for_each(|(row, (_, sorted))| *row = sorted);
    Ok(())
}
