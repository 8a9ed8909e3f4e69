//! Raw rows: the first events by (timestamp, event.id), a page at a time.

use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicI64, Ordering};

use skein_query::plan::{Cursor, Direction, RowPlan};
use skein_query::result::{FlatRow, Rows};
use skein_query::spec::cursor_text;
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::Block;
use crate::flat::flat_rows;
use crate::parts::{Gather, Job};
use crate::scan::{BlockError, BlockOrder, Failure};
use crate::snapshot::SnapshotView;

/// What is done with each part.
pub(crate) struct RowJob<'p> {
    plan: &'p RowPlan,
    /// The time of the worst row of the best full page that any part has: what is worse is on no page.
    worst_ns: AtomicI64,
}

/// A part under way.
pub(crate) struct BoundRows<'s> {
    place: usize,
    segment: &'s Segment,
    page: Page,
}

/// Keeps the first rows of the order: one more than the page, to know whether another page follows.
pub(crate) struct RowPass<'p> {
    plan: &'p RowPlan,
    page: Page,
}

/// The best rows so far.
#[derive(Default)]
pub(crate) struct Page {
    /// The worst of them is on top.
    heap: BinaryHeap<Found>,
}

impl Page {
    fn add(&mut self, found: Found, plan: &RowPlan) {
        self.heap.push(found);
        if self.heap.len() > plan.limit + 1 {
            self.heap.pop();
        }
    }

    /// The time of its worst row, when there is no room for more.
    fn worst_ns(&self, plan: &RowPlan) -> Option<i64> {
        self.heap.peek().filter(|_| self.heap.len() > plan.limit).map(|worst| worst.cursor.time_ns)
    }
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

impl<'p> RowJob<'p> {
    pub(crate) fn new(plan: &'p RowPlan) -> RowJob<'p> {
        let none = if plan.direction == Direction::Descending { i64::MIN } else { i64::MAX };
        RowJob { plan, worst_ns: AtomicI64::new(none) }
    }

    /// Tells all parts that a page is full.
    fn narrow(&self, page: &Page) {
        if let Some(worst_ns) = page.worst_ns(self.plan) {
            match self.plan.direction {
                Direction::Ascending => self.worst_ns.fetch_min(worst_ns, Ordering::Relaxed),
                Direction::Descending => self.worst_ns.fetch_max(worst_ns, Ordering::Relaxed),
            };
        }
    }

    /// Whether a time could belong to the page: it is not before the cursor, nor after all that is kept.
    fn wants_time(&self, time_ns: i64) -> bool {
        self.wants((time_ns, time_ns))
    }
}

impl Job for RowJob<'_> {
    type Bound<'s> = BoundRows<'s>;
    type Part = Page;

    fn bind<'s>(&self, place: usize, segment: &'s Segment) -> Result<(BoundRows<'s>, u64), Error> {
        Ok((BoundRows { place, segment, page: Page::default() }, 0))
    }

    fn wants(&self, (first, last): (i64, i64)) -> bool {
        let worst_ns = self.worst_ns.load(Ordering::Relaxed);
        // The end of the times that comes first in the order, and the one that comes last.
        match self.plan.direction {
            Direction::Ascending => {
                self.plan.after.is_none_or(|cursor| last >= cursor.time_ns) && first <= worst_ns
            }
            Direction::Descending => {
                self.plan.after.is_none_or(|cursor| first <= cursor.time_ns) && last >= worst_ns
            }
        }
    }

    fn order(&self) -> BlockOrder {
        match self.plan.direction {
            Direction::Ascending => BlockOrder::Earliest,
            Direction::Descending => BlockOrder::Latest,
        }
    }

    fn block(&self, bound: &mut BoundRows<'_>, block: &Block<'_>) -> Result<(), BlockError> {
        let times = block.times();
        let wanted = |place: &usize| times.get(*place).is_some_and(|&time_ns| self.wants_time(time_ns));
        let rows: Vec<u32> = block.places().filter(wanted).map(|place| block.row(place)).collect();
        let ids = bound.segment.event_ids(&rows)?;
        for (row, event_id) in rows.into_iter().zip(ids) {
            let Some(&time_ns) = times.get((row - block.start()) as usize) else { continue };
            let cursor = Cursor { time_ns, event_id };
            let found = Found { cursor, direction: self.plan.direction, segment: bound.place, row };
            let passed = |after: Cursor| Found { cursor: after, ..found } < found;
            if self.plan.after.is_none_or(passed) {
                bound.page.add(found, self.plan);
            }
        }
        self.narrow(&bound.page);
        Ok(())
    }

    fn bound_bytes(&self, bound: &BoundRows<'_>) -> usize {
        bound.page.heap.len() * size_of::<Found>()
    }

    fn part(&self, bound: BoundRows<'_>) -> Result<Page, BlockError> {
        Ok(bound.page)
    }
}

impl Gather<Page> for RowPass<'_> {
    fn absorb(&mut self, _place: usize, page: Page) -> Result<(), BlockError> {
        page.heap.into_iter().for_each(|found| self.page.add(found, self.plan));
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.page.heap.len() * size_of::<Found>()
    }
}

impl<'p> RowPass<'p> {
    pub(crate) fn new(plan: &'p RowPlan) -> RowPass<'p> {
        RowPass { plan, page: Page::default() }
    }

    /// The rows of the page, in order: segment, row, and place in the order.
    pub(crate) fn found(&self) -> Vec<(usize, u32, Cursor)> {
        let sorted = self.page.heap.clone().into_sorted_vec();
        let of_page = sorted.into_iter().take(self.plan.limit);
        of_page.map(|found| (found.segment, found.row, found.cursor)).collect()
    }

    /// Takes the rows that are known by now out of their segments.
    pub(crate) fn rows(&self, view: &SnapshotView) -> Result<Rows, Failure> {
        let limit = self.plan.limit;
        let mut found = self.page.heap.clone().into_sorted_vec();
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
