//! Walks a snapshot: which segments, which blocks, which rows take part in a plan.
//!
//! In parts on several threads ([`crate::parts`]), or by one sink in the order of the snapshot ([`Scan::run`]), for
//! what must see every row in its turn.

use std::ops::Range;
use std::sync::Arc;

use skein_event::batch::ColumnKey;
use skein_event::columns::Fixed;
use skein_query::plan::{FilterSet, Plan, TimeRange};
use skein_query::{QueryError, RunContext};
use skein_store::segment::Segment;
use skein_store::{Error, SegmentHandle};

use crate::block::{Block, BlockReader};
use crate::column::{BLOCK_ROWS, ends_of_runs};
use crate::filter::BoundFilters;
use crate::mask::Mask;
use crate::prune;
use crate::relation::Relations;
use crate::relation::bound::BoundConditions;
use crate::snapshot::SnapshotView;
use crate::workers::Workers;

pub(crate) use crate::counters::Counters;

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

/// How the rows of a query are read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reading<'a> {
    /// By their sample rates.
    pub(crate) weighted: bool,
    /// What is known of other events, if anything is asked of them.
    pub(crate) related: Option<&'a Arc<Relations>>,
    /// Whether every text of a group is read where it is found, so that equal hashes are told apart.
    pub(crate) texts_at_once: bool,
}

/// Takes what a scan finds, row after row in the order of the snapshot.
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

    /// A segment ends.
    fn end(&mut self, _bound: Self::Bound<'_>) -> Result<(), BlockError> {
        Ok(())
    }

    /// Bytes of memory it holds.
    fn memory_bytes(&self) -> usize;
}

/// Why a block was not taken.
pub(crate) enum BlockError {
    Query(QueryError),
    Segment(Error),
}

impl BlockError {
    pub(crate) fn of_segment(self, place: usize) -> Failure {
        match self {
            BlockError::Query(error) => Failure::Query(error),
            BlockError::Segment(error) => Failure::Segment(place, error),
        }
    }
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
    /// The threads that may help.
    pub(crate) workers: &'a Workers,
}

/// What a scan does with the blocks of a segment.
pub(crate) trait Visitor {
    /// Whether a block with these bounds of time could matter still.
    fn wants(&self, times: (i64, i64)) -> bool;

    /// Takes a block.
    fn block(&mut self, block: &Block<'_>) -> Result<(), BlockError>;

    /// Bytes of memory of everything that is gathered by now.
    fn memory_bytes(&self) -> usize;
}

/// In which order the blocks of a segment are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum BlockOrder {
    #[default]
    Rows,
    /// The latest first, for whoever wants few of them.
    Latest,
    /// The earliest first.
    Earliest,
}

struct SinkVisitor<'v, 's, S: Sink> {
    sink: &'v mut S,
    bound: S::Bound<'s>,
}

impl<S: Sink> Visitor for SinkVisitor<'_, '_, S> {
    fn wants(&self, times: (i64, i64)) -> bool {
        self.sink.wants(times)
    }

    fn block(&mut self, block: &Block<'_>) -> Result<(), BlockError> {
        self.sink.block(&mut self.bound, block)
    }

    fn memory_bytes(&self) -> usize {
        self.sink.memory_bytes()
    }
}

impl<'a> Scan<'a> {
    pub(crate) fn of_plan(
        plan: &'a Plan,
        view: &'a SnapshotView,
        excluded: &'a [usize],
        related: Option<&'a Arc<Relations>>,
        context: &'a RunContext<'a>,
        workers: &'a Workers,
    ) -> Scan<'a> {
        Scan {
            view,
            excluded,
            datasets: plan.datasets.iter().map(|named| named.name.as_str()).collect(),
            time_range: plan.time_range,
            filter: &plan.filter,
            related,
            context,
            workers,
        }
    }

    /// Visits every row that takes part, in the order of the snapshot. `between` is called after each segment
    /// with what was gathered until then and the fraction of the pass that is done.
    pub(crate) fn run<S: Sink>(
        &self,
        sink: &mut S,
        mut between: impl FnMut(&mut S, &Counters, f64) -> Result<(), Failure>,
    ) -> Result<Counters, Failure> {
        let mut counters = Counters::default();
        let total = self.view.segments.len();
        for (place, handle) in self.view.segments.iter().enumerate() {
            counters.segments.considered += 1;
            if self.excluded.contains(&place) {
                continue;
            }
            self.context.check()?;
            if !sink.wants(handle.time_range()) || !self.may_matter(handle) {
                counters.segments.pruned += 1;
                continue;
            }
            let segment = handle.open().map_err(|error| Failure::Segment(place, error))?;
            match self.of_sink(place, &segment, sink, &mut counters) {
                Ok(true) => counters.segments.scanned += 1,
                Ok(false) => counters.segments.pruned += 1,
                Err(error) => return Err(error.of_segment(place)),
            }
            self.check_memory(sink.memory_bytes())?;
            #[expect(clippy::cast_precision_loss, reason = "a fraction for a progress bar")]
            between(sink, &counters, (place + 1) as f64 / total as f64)?;
        }
        Ok(counters)
    }

    /// Shows a sink a segment; false when its statistics rule it out.
    fn of_sink<S: Sink>(
        &self,
        place: usize,
        segment: &Segment,
        sink: &mut S,
        counters: &mut Counters,
    ) -> Result<bool, BlockError> {
        let Some(mut bound) = self.bind(segment, counters)? else { return Ok(false) };
        let (bound_sink, bytes) = sink.bind(place, segment)?;
        counters.bytes_scanned += bytes + bound.filters.bytes();
        let mut visitor = SinkVisitor { sink, bound: bound_sink };
        self.visit(&mut bound, 0..segment.rows(), BlockOrder::Rows, &mut visitor, counters)?;
        let SinkVisitor { sink, bound } = visitor;
        sink.end(bound)?;
        Ok(true)
    }

    pub(crate) fn check_memory(&self, bytes: usize) -> Result<(), QueryError> {
        if bytes <= self.context.memory_bytes_max {
            return Ok(());
        }
        let max = self.context.memory_bytes_max >> 20;
        let error = QueryError::limit(format!("the query needs more than its {max} MiB of memory"));
        Err(error.hint("group by fewer or less varied columns, narrow the range, or add filters"))
    }

    /// Whether a segment may hold rows of the plan, by what is known without touching its file.
    pub(crate) fn may_matter(&self, handle: &Arc<SegmentHandle>) -> bool {
        prune::may_match(handle, &self.datasets, self.time_range, self.filter)
    }

    /// Binds what decides which rows take part; `None` when a segment's statistics rule it out.
    pub(crate) fn bind<'s>(
        &self,
        segment: &'s Segment,
        counters: &mut Counters,
    ) -> Result<Option<BoundScan<'s>>, BlockError> {
        let Some(allowed) = allowed_contexts(segment, &self.datasets)? else { return Ok(None) };
        let filters = BoundFilters::bind(segment, self.filter)?;
        if !filters.may_match_segment() {
            return Ok(None);
        }
        let related = self.related.map(|related| BoundConditions::of_query(segment, related));
        let related = related.transpose()?.flatten();
        let overflow = segment.column_of(&ColumnKey::fixed(Fixed::Overflow))?;
        counters.segments_overflowed += u64::from(overflow.is_some());
        let all_allowed = !allowed.contains(&false);
        let allowed_until = ends_of_runs(&allowed);
        let reader = BlockReader::open(segment)?;
        Ok(Some(BoundScan { segment, allowed, allowed_until, all_allowed, filters, related, reader }))
    }

    /// Visits the blocks of a segment that begin in a range of rows.
    pub(crate) fn visit(
        &self,
        bound: &mut BoundScan<'_>,
        rows: Range<u32>,
        order: BlockOrder,
        visitor: &mut impl Visitor,
        counters: &mut Counters,
    ) -> Result<(), BlockError> {
        let starts = rows.step_by(BLOCK_ROWS as usize);
        if order == BlockOrder::Rows {
            for start in starts {
                self.visit_block(bound, start, visitor, counters)?;
            }
            return Ok(());
        }
        let mut ordered: Vec<((i64, i64), u32)> =
            starts.map(|start| (bound.reader.time_zone(start), start)).collect();
        match order {
            BlockOrder::Latest => ordered.sort_by_key(|((_, last), _)| std::cmp::Reverse(*last)),
            _ => ordered.sort_by_key(|((first, _), _)| *first),
        }
        for (_, start) in ordered {
            self.visit_block(bound, start, visitor, counters)?;
        }
        Ok(())
    }

    fn visit_block(
        &self,
        bound: &mut BoundScan<'_>,
        start: u32,
        visitor: &mut impl Visitor,
        counters: &mut Counters,
    ) -> Result<(), BlockError> {
        self.context.check()?;
        let BoundScan { segment, filters, related, reader, .. } = bound;
        let zone = reader.time_zone(start);
        if !self.time_range.overlaps(zone.0, zone.1) || !visitor.wants(zone) {
            return Ok(());
        }
        reader.read(start);
        let mut mask = Mask::all(reader.len());
        // What the zone map says of all rows need not be asked of each.
        if !self.time_range.contains(zone.0) || !self.time_range.contains(zone.1) {
            let times = reader.times();
            mask.retain(|place| times.get(place).is_some_and(|&time| self.time_range.contains(time)));
        }
        if !bound.all_allowed {
            keep_contexts(&bound.allowed, &bound.allowed_until, reader, &mut mask);
        }
        hide_erased(segment, start, &mut mask);
        counters.rows_in_range += mask.count() as u64;
        if !filters.may_match_block(start, reader.end()) {
            return Ok(());
        }
        counters.rows_scanned += reader.len() as u64;
        filters.apply(reader, &mut mask)?;
        if let Some(related) = related {
            counters.rootless += related.apply(reader, &mut mask)?;
        }
        let matched = mask.count() as u64;
        if matched > 0 {
            counters.rows_matched += matched;
            visitor.block(&Block { rows: reader, mask: &mask })?;
            // Groups and sketches may grow with every block.
            self.check_memory(visitor.memory_bytes())?;
        }
        Ok(())
    }
}

/// What decides which rows take part, bound to one segment.
pub(crate) struct BoundScan<'s> {
    segment: &'s Segment,
    allowed: Vec<bool>,
    /// Of each context the first after it that is treated otherwise.
    allowed_until: Vec<u32>,
    all_allowed: bool,
    pub(crate) filters: BoundFilters<'s>,
    related: Option<BoundConditions<'s>>,
    reader: BlockReader<'s>,
}

fn keep_contexts(allowed: &[bool], until: &[u32], reader: &BlockReader<'_>, mask: &mut Mask) {
    let is_allowed = |context: u32| allowed.get(context as usize) == Some(&true);
    match reader.one_run(until) {
        Some(context) if is_allowed(context) => {}
        Some(_) => mask.clear(),
        None => {
            let contexts = reader.contexts();
            mask.retain(|place| contexts.get(place).is_some_and(|&context| is_allowed(context)));
        }
    }
}

/// Takes out the rows that may not be seen.
pub(crate) fn hide_erased(segment: &Segment, start: u32, mask: &mut Mask) {
    let erased = segment.erased_rows();
    let first = erased.partition_point(|&row| row < start);
    for &row in erased.get(first..).unwrap_or(&[]) {
        let place = (row - start) as usize;
        if place >= mask.len() {
            break;
        }
        mask.remove(place);
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
