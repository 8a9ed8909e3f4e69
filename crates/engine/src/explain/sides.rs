//! Which events belong to which side, over all segments: decided once, by the scan that every query goes through, with
//! its short ways over zone maps and its threads, and kept as masks for all passes.
//!
//! What it refuses: to hold a mask for a block that belongs to a side as a whole, or to none. A mask takes 136 bytes of
//! a block of 1,024 rows.

use skein_query::RunContext;
use skein_query::explain::{ExplainPlan, Rect};
use skein_query::plan::{FilterSet, TimeRange};
use skein_store::Error;
use skein_store::segment::Segment;

use super::Related;
use crate::block::Block;
use crate::column::BLOCK_ROWS;
use crate::filter::BoundFilters;
use crate::mask::Mask;
use crate::parts::{Gather, Job};
use crate::scan::{BlockError, Counters, Failure, Scan};
use crate::snapshot::SnapshotView;
use crate::workers::Workers;

/// The part of an explanation's time that is thought to be over once the selection is found, and once both sides are.
const SELECTED: f64 = 0.15;
const DIVIDED: f64 = 0.25;

/// Rows of a block.
#[derive(Clone, Debug)]
enum BlockRows {
    None,
    All,
    Some(Box<Mask>),
}

impl BlockRows {
    fn of(mask: Mask) -> BlockRows {
        match mask.count() {
            0 => BlockRows::None,
            count if count == mask.len() => BlockRows::All,
            _ => BlockRows::Some(Box::new(mask)),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<BlockRows>() + if let BlockRows::Some(_) = self { size_of::<Mask>() } else { 0 }
    }

    fn count(&self, len: usize) -> usize {
        match self {
            BlockRows::None => 0,
            BlockRows::All => len,
            BlockRows::Some(mask) => mask.count(),
        }
    }

    /// Leaves those that another does not have.
    fn take_out(&mut self, other: &BlockRows, len: usize) {
        match (&mut *self, other) {
            (BlockRows::None, _) | (_, BlockRows::None) => {}
            (_, BlockRows::All) => *self = BlockRows::None,
            (BlockRows::All, BlockRows::Some(taken)) => {
                let mut mask = Mask::all(len);
                mask.take_out(taken);
                *self = BlockRows::of(mask);
            }
            (BlockRows::Some(mask), BlockRows::Some(taken)) => {
                mask.take_out(taken);
                if mask.is_empty() {
                    *self = BlockRows::None;
                }
            }
        }
    }
}

/// The rows of each side in one segment, by blocks.
#[derive(Default)]
pub(super) struct SegmentSides([Vec<BlockRows>; 2]);

impl SegmentSides {
    /// Whether a side has rows of the block.
    pub(super) fn any(&self, block: usize) -> bool {
        let has = |side: &Vec<BlockRows>| !matches!(side.get(block), None | Some(BlockRows::None));
        self.0.iter().any(has)
    }

    fn is_empty(&self) -> bool {
        (0..self.0[0].len().max(self.0[1].len())).all(|block| !self.any(block))
    }

    /// Calls back with the sides that have all rows of the block, or with each place of those that have some.
    pub(super) fn each(&self, block: usize, len: usize, mut take: impl FnMut(usize, std::ops::Range<usize>)) {
        for (side, blocks) in self.0.iter().enumerate() {
            match blocks.get(block) {
                None | Some(BlockRows::None) => {}
                Some(BlockRows::All) => take(side, 0..len),
                Some(BlockRows::Some(mask)) => mask.for_each(|place| take(side, place..place + 1)),
            }
        }
    }
}

/// The rows of each side.
#[derive(Default)]
pub(super) struct Sides {
    segments: Vec<SegmentSides>,
    /// Of both sides.
    rows: u64,
    bytes: usize,
}

impl Sides {
    /// Those of a segment, by its place; `None` where no row takes part.
    pub(super) fn of_segment(&self, place: usize) -> Option<&SegmentSides> {
        self.segments.get(place).filter(|sides| !sides.is_empty())
    }

    /// The segments with rows that take part, in the order of the snapshot.
    pub(super) fn places(&self) -> Vec<usize> {
        (0..self.segments.len()).filter(|place| self.of_segment(*place).is_some()).collect()
    }

    /// Rows that take part.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes
    }
}

/// Marks the rows that a scan finds, within a rectangle if there is one.
struct Marks {
    time_range: TimeRange,
    bounds: Option<FilterSet>,
}

struct BoundMarks<'s> {
    bounds: Option<BoundFilters<'s>>,
    blocks: Vec<(u32, BlockRows)>,
    bytes: usize,
}

impl Job for Marks {
    type Bound<'s> = BoundMarks<'s>;
    type Part = Vec<(u32, BlockRows)>;

    fn bind<'s>(&self, _place: usize, segment: &'s Segment) -> Result<(BoundMarks<'s>, u64), Error> {
        let bounds = self.bounds.as_ref().map(|bounds| BoundFilters::bind(segment, bounds)).transpose()?;
        let bytes = bounds.as_ref().map_or(0, BoundFilters::bytes);
        Ok((BoundMarks { bounds, blocks: Vec::new(), bytes: 0 }, bytes))
    }

    fn wants(&self, times: (i64, i64)) -> bool {
        self.time_range.overlaps(times.0, times.1)
    }

    fn block(&self, bound: &mut BoundMarks<'_>, block: &Block<'_>) -> Result<(), BlockError> {
        let mut mask = block.mask.clone();
        let zone = block.time_zone();
        if !self.time_range.contains(zone.0) || !self.time_range.contains(zone.1) {
            let times = block.times();
            mask.retain(|place| times.get(place).is_some_and(|&time| self.time_range.contains(time)));
        }
        if let Some(bounds) = &mut bound.bounds {
            if !bounds.may_match_block(block.start(), block.rows.end()) {
                return Ok(());
            }
            bounds.apply(block.rows, &mut mask)?;
        }
        if !mask.is_empty() {
            let rows = BlockRows::of(mask);
            bound.bytes += rows.bytes();
            bound.blocks.push((block.start() / BLOCK_ROWS, rows));
        }
        Ok(())
    }

    fn bound_bytes(&self, bound: &BoundMarks<'_>) -> usize {
        bound.bytes
    }

    fn part(&self, bound: BoundMarks<'_>) -> Result<Vec<(u32, BlockRows)>, BlockError> {
        Ok(bound.blocks)
    }
}

/// One side of all segments.
#[derive(Default)]
struct Marked {
    segments: Vec<Vec<BlockRows>>,
    bytes: usize,
}

impl Gather<Vec<(u32, BlockRows)>> for Marked {
    fn absorb(&mut self, place: usize, part: Vec<(u32, BlockRows)>) -> Result<(), BlockError> {
        if self.segments.len() <= place {
            self.segments.resize_with(place + 1, Vec::new);
        }
        let blocks = &mut self.segments[place];
        for (number, rows) in part {
            let number = number as usize;
            if blocks.len() <= number {
                blocks.resize(number + 1, BlockRows::None);
            }
            self.bytes += rows.bytes();
            blocks[number] = rows;
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.bytes
    }
}

/// What is looked at.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) plan: &'a ExplainPlan,
    pub(super) view: &'a SnapshotView,
    pub(super) excluded: &'a [usize],
    pub(super) context: &'a RunContext<'a>,
    pub(super) workers: &'a Workers,
}

impl Subject<'_> {
    fn mark(
        &self,
        scan: &Scan<'_>,
        rect: Option<&Rect>,
        (from, to): (f64, f64),
    ) -> Result<(Marked, Counters), Failure> {
        let job = Marks {
            time_range: rect.map_or(scan.time_range, |rect| rect.time_range),
            bounds: rect.map(Rect::filter),
        };
        let mut marked = Marked::default();
        let counters = scan.run_parts(&job, &mut marked, |_, _, fraction| {
            (self.context.progress)(from + (to - from) * fraction);
            Ok(())
        })?;
        Ok((marked, counters))
    }

    /// Decides for every row of the snapshot.
    pub(super) fn sides(&self, related: &Related) -> Result<(Sides, Counters), Failure> {
        let Subject { plan, view, excluded, context, workers } = *self;
        let of_plan = |plan, related| Scan::of_plan(plan, view, excluded, related, context, workers);
        let selection = of_plan(&plan.selection, related.selection.as_ref());
        let (selected, counted) = self.mark(&selection, plan.rect.as_ref(), (0.0, SELECTED))?;
        let nothing = FilterSet::default();
        let against = match (&plan.baseline, &plan.rect) {
            (Some(baseline), _) => of_plan(baseline, related.baseline.as_ref()),
            (None, Some(_)) => selection,
            // The events that the filters do not match.
            (None, None) => Scan { filter: &nothing, related: None, ..selection },
        };
        let (others, mut counters) = self.mark(&against, None, (SELECTED, DIVIDED))?;
        // Without a baseline of its own, the others were looked at wherever the selection was.
        if plan.baseline.is_some() {
            counters.rows_scanned += counted.rows_scanned;
        }
        counters.bytes_scanned += counted.bytes_scanned;
        counters.segments_overflowed = counters.segments_overflowed.max(counted.segments_overflowed);
        counters.rootless += counted.rootless;
        let mut sides = Sides::default();
        let (mut selected, mut others) = (selected.segments.into_iter(), others.segments.into_iter());
        for handle in view.segments.iter() {
            let (selected, mut others) =
                (selected.next().unwrap_or_default(), others.next().unwrap_or_default());
            let len = |number: usize| {
                let start = u32::try_from(number).unwrap_or(u32::MAX).saturating_mul(BLOCK_ROWS);
                handle.rows().saturating_sub(start).min(BLOCK_ROWS) as usize
            };
            // What is in both is the selection's.
            for (number, (other, own)) in others.iter_mut().zip(&selected).enumerate() {
                other.take_out(own, len(number));
            }
            for blocks in [&selected, &others] {
                let counts = blocks.iter().enumerate().map(|(number, rows)| rows.count(len(number)) as u64);
                sides.rows += counts.sum::<u64>();
            }
            sides.bytes += selected.iter().chain(&others).map(BlockRows::bytes).sum::<usize>();
            sides.segments.push(SegmentSides([selected, others]));
        }
        Ok((sides, counters))
    }
}
