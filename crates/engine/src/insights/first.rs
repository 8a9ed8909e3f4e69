//! The first rows of an order: their places are found first, and what is shown of them is read afterwards.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use skein_query::insights::Datum;
use skein_query::insights::plan::First;
use skein_query::plan::{Cursor, Direction, RowPlan};
use skein_store::Error;
use skein_store::segment::Segment;

use super::code::BoundCode;
use super::feed::Feed;
use crate::block::{Block, BlockReader};
use crate::column::BLOCK_ROWS;
use crate::rows::{RowJob, RowPass};
use crate::scan::{BlockError, Counters, Failure, Sink};
use crate::snapshot::SnapshotView;

/// A row's place: segment, row, and where it stands in time.
pub(crate) type Found = (usize, u32, Cursor);

/// Told between segments which rows are the first so far.
pub(crate) type SoFar<'a> = dyn FnMut(&dyn Fn() -> Vec<Found>, &Counters, f64) -> Result<(), Failure> + 'a;

/// The places of the first rows, in order.
pub(crate) fn places(
    first: &First,
    scan: &crate::scan::Scan<'_>,
    so_far: &mut SoFar<'_>,
) -> Result<(Vec<Found>, Counters), Failure> {
    if first.keys.outputs() == 0 {
        let plan = RowPlan { limit: first.limit, direction: Direction::Descending, after: None };
        let mut pass = RowPass::new(&plan);
        let counters = scan.run_parts(&RowJob::new(&plan), &mut pass, |pass, counters, fraction| {
            so_far(&|| pass.found(), counters, fraction)
        })?;
        return Ok((pass.found(), counters));
    }
    let mut sink = KeyedSink { first, heap: BinaryHeap::new(), bytes: 0 };
    let counters =
        scan.run(&mut sink, |sink, counters, fraction| so_far(&|| sink.found(), counters, fraction))?;
    Ok((sink.found(), counters))
}

/// Reads the rows at some places, and feeds them in their order. Returns the encoded bytes of the columns that it read.
pub(crate) fn read(found: &[Found], view: &SnapshotView, feed: &mut Feed<'_>) -> Result<u64, Failure> {
    let mut bytes = 0;
    let mut rows = vec![None; found.len()];
    for (segment_place, handle) in view.segments.iter().enumerate() {
        let of_segment = found.iter().enumerate().filter(|(_, (segment, ..))| *segment == segment_place);
        let mut wanted: Vec<(u32, usize)> = of_segment.map(|(order, (_, row, _))| (*row, order)).collect();
        if wanted.is_empty() {
            continue;
        }
        wanted.sort_unstable();
        let failed = |error: Error| Failure::Segment(segment_place, error);
        let segment = handle.open().map_err(failed)?;
        let mut code = feed.bind_code(&segment).map_err(failed)?;
        bytes += code.bytes();
        let mut reader = BlockReader::open(&segment).map_err(failed)?;
        for of_block in wanted.chunk_by(|a, b| a.0 / BLOCK_ROWS == b.0 / BLOCK_ROWS) {
            let start = of_block.first().map_or(0, |(row, _)| row / BLOCK_ROWS * BLOCK_ROWS);
            reader.read(start);
            let places: Vec<usize> = of_block.iter().map(|(row, _)| (row - start) as usize).collect();
            code.fill(&reader, &places).map_err(failed)?;
            for ((_, order), place) in of_block.iter().zip(places) {
                code.run(place).map_err(failed)?;
                let Some((.., cursor)) = found.get(*order) else { continue };
                rows[*order] = Some(feed.row(&code, cursor.time_ns, cursor.event_id, 1.0));
            }
        }
    }
    rows.into_iter().flatten().for_each(|row| feed.pipeline.push(row));
    Ok(bytes)
}

/// Keeps the first rows by computed keys.
struct KeyedSink<'p> {
    first: &'p First,
    /// The last of them is on top.
    heap: BinaryHeap<Keyed<'p>>,
    bytes: usize,
}

/// A row by its keys. Greater is later in the answer.
struct Keyed<'p> {
    keys: Vec<Datum>,
    descending: &'p [bool],
    found: Found,
}

impl Ord for Keyed<'_> {
    fn cmp(&self, other: &Keyed<'_>) -> Ordering {
        let pairs = self.keys.iter().zip(&other.keys).zip(self.descending);
        let by_keys =
            pairs.map(|((a, b), descending)| a.sort_order(b, *descending)).find(|order| order.is_ne());
        // The latest first.
        by_keys.unwrap_or_else(|| other.found.2.cmp(&self.found.2))
    }
}

impl PartialOrd for Keyed<'_> {
    fn partial_cmp(&self, other: &Keyed<'_>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Keyed<'_> {
    fn eq(&self, other: &Keyed<'_>) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Keyed<'_> {}

impl KeyedSink<'_> {
    fn found(&self) -> Vec<Found> {
        let mut keyed: Vec<&Keyed<'_>> = self.heap.iter().collect();
        keyed.sort();
        keyed.into_iter().map(|keyed| keyed.found).collect()
    }
}

impl Keyed<'_> {
    fn bytes(&self) -> usize {
        size_of::<Keyed<'_>>()
            + self.keys.iter().map(|key| size_of::<Datum>() + key.heap_bytes()).sum::<usize>()
    }
}

impl Sink for KeyedSink<'_> {
    type Bound<'s> = (usize, &'s Segment, BoundCode<'s>);

    fn bind<'s>(&mut self, place: usize, segment: &'s Segment) -> Result<(Self::Bound<'s>, u64), Error> {
        let code = BoundCode::bind(segment, &self.first.keys)?;
        let bytes = code.bytes();
        Ok(((place, segment, code), bytes))
    }

    fn block(&mut self, bound: &mut Self::Bound<'_>, block: &Block<'_>) -> Result<(), BlockError> {
        let (segment_place, segment, code) = bound;
        let places: Vec<usize> = block.places().collect();
        let rows: Vec<u32> = places.iter().map(|place| block.row(*place)).collect();
        let ids = segment.event_ids(&rows)?;
        code.fill(block.rows, &places)?;
        for ((place, row), event_id) in places.into_iter().zip(rows).zip(ids) {
            code.run(place)?;
            let cursor = Cursor { time_ns: block.times()[place], event_id };
            let keys = code.outputs().cloned().collect();
            let keyed =
                Keyed { keys, descending: &self.first.descending, found: (*segment_place, row, cursor) };
            let is_full = self.heap.len() >= self.first.limit;
            if is_full && self.heap.peek().is_some_and(|last| keyed >= *last) {
                continue;
            }
            self.bytes += keyed.bytes();
            self.heap.push(keyed);
            if is_full {
                self.bytes -= self.heap.pop().map_or(0, |last| last.bytes());
            }
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.bytes
    }
}
