//! Walks a snapshot: which segments, which blocks, which rows take part in a plan.

use std::sync::Arc;

use skein_event::batch::ColumnKey;
use skein_event::columns::Fixed;
use skein_query::plan::{FilterSet, Plan, TimeRange};
use skein_query::result::SegmentCounts;
use skein_query::{QueryError, RunContext};
use skein_store::segment::{Ints, RowField, Segment};
use skein_store::{Error, SegmentHandle};

use crate::column::BLOCK_ROWS;
use crate::filter::{BoundFilters, Mask};
use crate::prune;
use crate::relation::Relations;
use crate::relation::bound::BoundConditions;
use crate::snapshot::SnapshotView;

/// Why a scan ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The query as a whole fails.
    Query(QueryError),
    /// A segment (by its place) could not be read; the rest can still answer.
    Segment(usize, Error),
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Failure {
        Failure::Query(error)
    }
}

/// Rows of one block that take part.
pub(crate) struct Block<'b> {
    /// The first row.
    pub(crate) start: u32,
    /// Timestamp of each row of the block.
    pub(crate) times: &'b [i64],
    /// Context of each row.
    pub(crate) contexts: &'b [u32],
    /// Which rows take part: at least one.
    pub(crate) mask: &'b Mask,
}

impl Block<'_> {
    /// The row of the segment at a place of the block.
    pub(crate) fn row(&self, place: usize) -> u32 {
        self.start + u32::try_from(place).unwrap_or_default()
    }

    /// The places of the rows that take part.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.mask.iter().enumerate().filter(|(_, keep)| **keep).map(|(place, _)| place)
    }
}

/// How the rows of a query are read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reading<'a> {
    /// By their sample rates.
    pub(crate) weighted: bool,
    /// What is known of other events, if anything is asked of them.
    pub(crate) related: Option<&'a Arc<Relations>>,
}

/// Takes what a scan finds.
pub(crate) trait Sink {
    /// What it binds to a segment.
    type Bound<'s>;

    /// Gets ready for a segment; the second number is the encoded bytes that will be read.
    fn bind<'s>(&mut self, place: usize, segment: &'s Segment) -> Result<(Self::Bound<'s>, u64), Error>;

    /// Whether a segment or block with these bounds of time could matter still.
    fn wants(&self, _times: (i64, i64)) -> bool {
        true
    }

    /// Takes a block.
    fn block(&mut self, bound: &mut Self::Bound<'_>, block: &Block<'_>) -> Result<(), BlockError>;

    /// Bytes of memory it holds.
    fn memory_bytes(&self) -> usize;
}

/// Why a block was not taken.
pub(crate) enum BlockError {
    Query(QueryError),
    Segment(Error),
}

impl From<Error> for BlockError {
    fn from(error: Error) -> BlockError {
        BlockError::Segment(error)
    }
}

impl From<QueryError> for BlockError {
    fn from(error: QueryError) -> BlockError {
        BlockError::Query(error)
    }
}

/// What a scan looked at.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Counters {
    pub(crate) segments: SegmentCounts,
    pub(crate) rows_scanned: u64,
    pub(crate) rows_matched: u64,
    /// Rows of the range and the datasets, before filters.
    pub(crate) rows_in_range: u64,
    pub(crate) bytes_scanned: u64,
    /// Rows whose trace has no root where roots were looked for.
    pub(crate) rootless: u64,
    /// Segments read that keep values beyond the column limit in overflow maps.
    pub(crate) segments_overflowed: u64,
}

impl Counters {
    /// Adds what another scan of the query looked at.
    pub(crate) fn add(&mut self, other: &Counters) {
        self.rows_scanned += other.rows_scanned;
        self.bytes_scanned += other.bytes_scanned;
        self.segments_overflowed += other.segments_overflowed;
        self.segments = other.segments;
        self.rows_matched = other.rows_matched;
        self.rows_in_range = other.rows_in_range;
        self.rootless = other.rootless;
    }
}

/// What a scan looks for.
pub(crate) struct Scan<'a> {
    pub(crate) view: &'a SnapshotView,
    /// Segments left out since they could not be read.
    pub(crate) excluded: &'a [usize],
    pub(crate) datasets: Vec<&'a str>,
    pub(crate) time_range: TimeRange,
    pub(crate) filter: &'a FilterSet,
    /// What is known of other events, if anything is asked of them.
    pub(crate) related: Option<&'a Arc<Relations>>,
    pub(crate) context: &'a RunContext<'a>,
}

impl<'a> Scan<'a> {
    pub(crate) fn of_plan(
        plan: &'a Plan,
        view: &'a SnapshotView,
        excluded: &'a [usize],
        related: Option<&'a Arc<Relations>>,
        context: &'a RunContext<'a>,
    ) -> Scan<'a> {
        Scan {
            view,
            excluded,
            datasets: plan.datasets.iter().map(|named| named.name.as_str()).collect(),
            time_range: plan.time_range,
            filter: &plan.filter,
            related,
            context,
        }
    }

    /// Visits every row that takes part, in the order of the snapshot. `between` is called after each segment
    /// with what was gathered until then and the fraction of the pass that is done.
    pub(crate) fn run<S: Sink>(
        &self,
        sink: &mut S,
        mut between: impl FnMut(&S, &Counters, f64) -> Result<(), Failure>,
    ) -> Result<Counters, Failure> {
        let mut counters = Counters::default();
        let total = self.view.segments.len();
        for (place, handle) in self.view.segments.iter().enumerate() {
            counters.segments.considered += 1;
            if self.excluded.contains(&place) {
                continue;
            }
            self.context.check()?;
            if !self.may_matter(handle, sink) {
                counters.segments.pruned += 1;
                continue;
            }
            let segment = handle.open().map_err(|error| Failure::Segment(place, error))?;
            match self.segment(place, &segment, sink, &mut counters) {
                Ok(true) => counters.segments.scanned += 1,
                Ok(false) => counters.segments.pruned += 1,
                Err(BlockError::Query(error)) => return Err(Failure::Query(error)),
                Err(BlockError::Segment(error)) => return Err(Failure::Segment(place, error)),
            }
            self.check_memory(sink.memory_bytes())?;
            #[expect(clippy::cast_precision_loss, reason = "a fraction for a progress bar")]
            between(sink, &counters, (place + 1) as f64 / total as f64)?;
        }
        Ok(counters)
    }

    fn check_memory(&self, bytes: usize) -> Result<(), QueryError> {
        if bytes <= self.context.memory_bytes_max {
            return Ok(());
        }
        let max = self.context.memory_bytes_max >> 20;
        let error = QueryError::limit(format!("the query needs more than its {max} MiB of memory"));
        Err(error.hint("group by fewer or less varied columns, narrow the range, or add filters"))
    }

    /// Whether a segment may hold rows of the plan, by what is known without touching its file.
    fn may_matter<S: Sink>(&self, handle: &Arc<SegmentHandle>, sink: &S) -> bool {
        sink.wants(handle.time_range())
            && prune::may_match(handle, &self.datasets, self.time_range, self.filter)
    }

    /// Visits a segment; false when its statistics rule it out.
    fn segment<S: Sink>(
        &self,
        place: usize,
        segment: &Segment,
        sink: &mut S,
        counters: &mut Counters,
    ) -> Result<bool, BlockError> {
        let Some(allowed) = allowed_contexts(segment, &self.datasets)? else { return Ok(false) };
        let mut filters = BoundFilters::bind(segment, self.filter)?;
        if !filters.may_match_segment() {
            return Ok(false);
        }
        let related = self.related.map(|related| BoundConditions::of_query(segment, related));
        let mut related = related.transpose()?.flatten();
        let overflow = segment.column_of(&ColumnKey::fixed(Fixed::Overflow))?;
        counters.segments_overflowed += u64::from(overflow.is_some());
        let (mut bound, bytes) = sink.bind(place, segment)?;
        counters.bytes_scanned += bytes + filters.bytes();
        let mut reader = BlockReader::open(segment)?;
        for start in (0..segment.rows()).step_by(BLOCK_ROWS as usize) {
            self.context.check()?;
            let zone = reader.time_zone(start);
            if !self.time_range.overlaps(zone.0, zone.1) || !sink.wants(zone) {
                continue;
            }
            reader.read(start);
            let end = start + u32::try_from(reader.times.len()).unwrap_or(BLOCK_ROWS);
            let passes = |(time, context): (&i64, &u32)| {
                self.time_range.contains(*time) && allowed.get(*context as usize) == Some(&true)
            };
            let mut mask: Mask = reader.times.iter().zip(&reader.contexts).map(passes).collect();
            segment.hide_erased(start, &mut mask);
            counters.rows_in_range += count(&mask);
            if !filters.may_match_block(start, end) {
                continue;
            }
            counters.rows_scanned += u64::from(end - start);
            filters.apply(start, &reader.contexts, &mut mask)?;
            if let Some(related) = &mut related {
                counters.rootless += related.apply(start, &reader.contexts, &mut mask)?;
            }
            let matched = count(&mask);
            if matched > 0 {
                counters.rows_matched += matched;
                let (times, contexts) = (&reader.times, &reader.contexts);
                sink.block(&mut bound, &Block { start, times, contexts, mask: &mask })?;
                // Groups and sketches may grow with every block.
                self.check_memory(sink.memory_bytes())?;
            }
        }
        Ok(true)
    }
}

fn count(mask: &Mask) -> u64 {
    mask.iter().map(|&keep| u64::from(keep)).sum()
}

/// Reads the fields that every scan needs.
pub(crate) struct BlockReader<'a> {
    time: Ints<'a>,
    context: Ints<'a>,
    pub(crate) times: Vec<i64>,
    pub(crate) contexts: Vec<u32>,
}

impl<'a> BlockReader<'a> {
    pub(crate) fn open(segment: &'a Segment) -> Result<BlockReader<'a>, Error> {
        let (time, context) = (segment.field(RowField::Time)?, segment.field(RowField::Context)?);
        Ok(BlockReader { time, context, times: Vec::new(), contexts: Vec::new() })
    }

    /// Earliest and latest time of a block.
    pub(crate) fn time_zone(&self, start: u32) -> (i64, i64) {
        self.time.zone((start / BLOCK_ROWS) as usize)
    }

    /// Reads times and contexts of a block.
    pub(crate) fn read(&mut self, start: u32) {
        let block = (start / BLOCK_ROWS) as usize;
        self.time.decode(block, &mut self.times);
        self.context.decode_u32(block, &mut self.contexts);
    }
}

/// Which contexts belong to the datasets; `None` when none does. Without datasets all do.
pub(crate) fn allowed_contexts(segment: &Segment, datasets: &[&str]) -> Result<Option<Vec<bool>>, Error> {
    if datasets.is_empty() {
        return Ok(Some(vec![true; segment.contexts() as usize]));
    }
    let names = segment.context_datasets()?;
    let allowed: Vec<bool> =
        names.iter().map(|name| name.as_deref().is_some_and(|name| datasets.contains(&name))).collect();
    Ok(if allowed.contains(&true) { Some(allowed) } else { None })
}
