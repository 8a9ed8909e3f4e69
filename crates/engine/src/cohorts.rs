//! Counts two cohorts of events over one snapshot, operation by operation (docs/reference/compare.md).
//!
//! Each cohort is scanned as a query of its own, so that an event may be in both. Two passes: the percentiles of the
//! first say what the second asks. Operations are told apart by text, as the groups of a query are.
//!
//! What it refuses: to judge. That is `skein-analysis`.

use std::collections::HashMap;
use std::sync::Arc;

use skein_event::columns::Fixed;
use skein_event::hash::HashKey;
use skein_query::RunContext;
use skein_query::cohorts::{
    Below, Cluster, Cohort, Cohorts, CohortsPlan, Operation, PERCENTILES, Seen, Tally,
};
use skein_query::error::Location;
use skein_query::number::Number;
use skein_query::plan::{Column, Filter, FilterSet, Literal, Test};
use skein_store::Error;
use skein_store::segment::{Segment, trace_hash};

use crate::block::Block;
use crate::column::BoundColumn;
use crate::filter::BoundFilters;
use crate::group::{Groups, ValueReading};
use crate::local::BoundBreakdowns;
use crate::meta;
use crate::relation::Relations;
use crate::relation::ids::NO_TRACE;
use crate::relation::keys::{RowKeys, Wanted};
use crate::resolve;
use crate::scan::{BlockError, Counters, Failure, Scan, Sink};
use crate::snapshot::SnapshotView;
use crate::weights::Weights;
use crate::workers::Workers;

/// Texts are read at once: operations are few, and their keys are shown.
const READING: ValueReading = ValueReading { key: HashKey(0), texts_at_once: true };

/// Counts both cohorts.
pub(crate) fn run(
    plan: &CohortsPlan,
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
    workers: &Workers,
) -> Result<Cohorts, Failure> {
    let mut warnings = Vec::new();
    let mut counters = Counters::default();
    let mut related: [Option<Arc<Relations>>; 2] = [None, None];
    for (side, related) in plan.sides.iter().zip(&mut related) {
        resolve::check(side, view, excluded, context, &mut warnings)?;
        if side.is_relational() {
            *related = Some(Relations::collect(side, view, excluded, context, workers, &mut counters)?);
        }
    }
    warnings.dedup();
    let held = related.iter().flatten().map(|related| related.memory_bytes()).sum();
    let memory_bytes_max = context.memory_bytes_max.saturating_sub(held);
    let half =
        |number: usize| move |fraction: f64| (f64::from(u8::try_from(number).unwrap_or(0)) + fraction) / 4.0;
    let mut groups = Groups::new(plan.by.len());
    let mut tallies: [First; 2] = [First::default(), First::default()];
    let mut others = 0;
    for (number, ((side, related), first)) in plan.sides.iter().zip(&related).zip(&mut tallies).enumerate() {
        let context = &RunContext { memory_bytes_max, ..*context };
        let scan = Scan::of_plan(side, view, excluded, related.as_ref(), context, workers);
        let rows = Rows { plan, groups: &mut groups, weighted: !side.usage_mode, others };
        let mut pass = Pass { rows, state: first };
        counters.add(&tell(&scan, &mut pass, half(number))?);
        others += first.heap_bytes;
    }
    let totals = tallies.each_mut().map(|first| std::mem::take(&mut first.total).finish());
    let mut cohorts: [Vec<Option<Cohort>>; 2] = tallies.map(First::finish);
    for (number, ((side, related), cohorts)) in plan.sides.iter().zip(&related).zip(&mut cohorts).enumerate()
    {
        let context = &RunContext { memory_bytes_max, ..*context };
        let scan = Scan::of_plan(side, view, excluded, related.as_ref(), context, workers);
        let thresholds = cohorts.iter().map(|cohort| cohort.as_ref().map(|cohort| cohort.percentiles));
        let mut second = Second { thresholds: thresholds.collect(), below: Vec::new() };
        let rows = Rows { plan, groups: &mut groups, weighted: !side.usage_mode, others };
        let mut pass = Pass { rows, state: &mut second };
        counters.bytes_scanned += tell(&scan, &mut pass, half(number + 2))?.bytes_scanned;
        for (below, cohort) in second.below.iter().zip(cohorts) {
            if let (Some(below), Some(cohort)) = (below, cohort) {
                below.finish(cohort);
            }
        }
    }
    let [a, b] = cohorts;
    let mut sides: Vec<[Option<Cohort>; 2]> = (0..groups.len()).map(|_| [None, None]).collect();
    for (number, of_side) in [a, b].into_iter().enumerate() {
        for (slot, cohort) in sides.iter_mut().zip(of_side) {
            slot[number] = cohort;
        }
    }
    let operations = sides.into_iter().enumerate().filter(|(_, sides)| sides.iter().any(Option::is_some));
    let operations = operations.map(|(group, sides)| Operation { key: groups.shown_key(group), sides });
    let operations = operations.collect();
    let meta = meta::meta(&plan.sides[0], view, excluded, context, &counters, warnings)?;
    Ok(Cohorts { totals, operations, meta })
}

fn tell<S: State>(
    scan: &Scan<'_>,
    pass: &mut Pass<'_, '_, S>,
    fraction: impl Fn(f64) -> f64,
) -> Result<Counters, Failure> {
    scan.run(pass, |_, _, done| {
        (scan.context.progress)(fraction(done));
        Ok(())
    })
}

/// What a pass gathers by group.
trait State {
    fn add(&mut self, group: usize, seen: Seen);
    fn heap_bytes(&self) -> usize;
    /// A block has been taken.
    fn settle(&mut self) {}
}

/// The first pass over a cohort.
#[derive(Default)]
struct First {
    by_group: Vec<Option<Box<Tally>>>,
    total: Tally,
    rows: u64,
    heap_bytes: usize,
    blocks: u32,
    is_sketch: bool,
}

impl First {
    fn finish(self) -> Vec<Option<Cohort>> {
        self.by_group.into_iter().map(|tally| tally.map(|tally| tally.finish())).collect()
    }
}

/// Blocks between two sums of the memory of all operations.
const BLOCKS_PER_SUM: u32 = 64;

impl State for First {
    fn add(&mut self, group: usize, seen: Seen) {
        self.rows += 1;
        // Percentiles over all operations are nobody's question.
        self.total.add(Seen { duration_ms: None, ..seen });
        if group >= self.by_group.len() {
            self.by_group.resize_with(group + 1, || None);
        }
        let Some(slot) = self.by_group.get_mut(group) else { return };
        let is_sketch = self.is_sketch;
        let tally = slot.get_or_insert_with(|| {
            let mut tally = Box::<Tally>::default();
            if is_sketch {
                tally.note_rows(u64::MAX);
            }
            self.heap_bytes += tally.heap_bytes();
            tally
        });
        tally.add(seen);
    }

    fn settle(&mut self) {
        if !self.is_sketch && self.rows >= skein_query::aggregate::EXACT_ROWS_MAX {
            self.is_sketch = true;
            self.by_group.iter_mut().flatten().for_each(|tally| tally.note_rows(self.rows));
        }
        self.blocks += 1;
        if self.blocks.is_multiple_of(BLOCKS_PER_SUM) {
            self.heap_bytes = self.by_group.iter().flatten().map(|tally| tally.heap_bytes()).sum();
        }
    }

    fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }
}

/// The second pass over a cohort.
struct Second {
    thresholds: Vec<Option<[Option<f64>; PERCENTILES.len()]>>,
    below: Vec<Option<Box<Below>>>,
}

impl State for Second {
    fn add(&mut self, group: usize, seen: Seen) {
        let Some(Some(thresholds)) = self.thresholds.get(group) else { return };
        if group >= self.below.len() {
            self.below.resize_with(group + 1, || None);
        }
        if let Some(below) = self.below.get_mut(group) {
            below.get_or_insert_default().add(seen, *thresholds);
        }
    }

    fn heap_bytes(&self) -> usize {
        self.below.len() * Below::BYTES
    }
}

/// What both passes know of rows.
struct Rows<'p, 'g> {
    plan: &'p CohortsPlan,
    groups: &'g mut Groups,
    weighted: bool,
    /// Memory that other passes hold.
    others: usize,
}

struct Pass<'p, 'g, S> {
    rows: Rows<'p, 'g>,
    state: &'g mut S,
}

/// The columns of a comparison, bound to a segment.
struct BoundRows<'s> {
    place: usize,
    segment: &'s Segment,
    breakdowns: BoundBreakdowns<'s>,
    /// The group of each number of the breakdowns, once one was asked for.
    of_local: HashMap<u32, u32>,
    keys: RowKeys<'s>,
    weights: Option<Weights<'s>>,
    failed: BoundFilters<'s>,
    duration: BoundColumn<'s>,
}

impl<S: State> Sink for Pass<'_, '_, S> {
    type Bound<'s> = BoundRows<'s>;

    fn bind<'s>(&mut self, place: usize, segment: &'s Segment) -> Result<(BoundRows<'s>, u64), Error> {
        let breakdowns = BoundBreakdowns::bind(segment, &self.rows.plan.by, None)?;
        let failed = Filter {
            column: Column::stored(Fixed::Error.name(), nowhere()),
            test: Test::In(vec![Literal::Bool(true)]),
        };
        let failed = FilterSet { filters: vec![failed], ..FilterSet::default() };
        let wanted = Wanted { span: self.rows.plan.spans_only, parent: false };
        let duration = BoundColumn::bind(segment, &Column::stored("duration_ms", nowhere()))?;
        let bound = BoundRows {
            place,
            segment,
            of_local: HashMap::new(),
            keys: RowKeys::bind(segment, wanted)?,
            weights: self.rows.weighted.then(|| Weights::bind(segment)).transpose()?,
            failed: BoundFilters::bind(segment, &failed)?,
            duration,
            breakdowns,
        };
        let bytes =
            bound.breakdowns.bytes() + bound.keys.bytes() + bound.failed.bytes() + bound.duration.bytes();
        Ok((bound, bytes))
    }

    fn block(&mut self, bound: &mut BoundRows<'_>, block: &Block<'_>) -> Result<(), BlockError> {
        let key = bound.segment.header().hash_key;
        bound.breakdowns.number(block)?;
        let groups = self.rows.groups_of(bound, block)?;
        bound.keys.fill(block.rows, |id| Cluster::of_hash(trace_hash(key, &id)).number())?;
        let mut failed = block.mask.clone();
        bound.failed.apply(block.rows, &mut failed)?;
        bound.duration.fill(block.rows)?;
        let alone = alone(bound, block, key)?;
        let weights = bound.weights.as_mut().map(|weights| weights.of_block(block)).transpose()?;
        let mut alone = alone.into_iter();
        for place in block.places() {
            let number = bound.keys.traces.get(place).copied().unwrap_or(NO_TRACE);
            // Of those without a trace each is one of its own, in the order of `alone`.
            let cluster = match number {
                NO_TRACE => alone.next().unwrap_or(Cluster::of_number(0)),
                number => Cluster::of_number(number),
            };
            if self.rows.plan.spans_only && !bound.keys.is_span(place) {
                continue;
            }
            let seen = Seen {
                weight: weights.map_or(1.0, |weights| weights.of(place)),
                failed: failed.has(place),
                duration_ms: duration(&mut bound.duration, place)?,
                cluster,
            };
            self.state.add(groups.get(place).copied().unwrap_or_default() as usize, seen);
        }
        self.state.settle();
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.rows.others + self.state.heap_bytes() + self.rows.groups.heap_bytes()
    }
}

impl Rows<'_, '_> {
    /// The group of each row of a block that takes part.
    fn groups_of(&mut self, bound: &mut BoundRows<'_>, block: &Block<'_>) -> Result<Vec<u32>, Error> {
        let slots = bound.breakdowns.slots();
        let locals: Vec<u32> = (0..block.len()).map(|place| slots.at(place)).collect();
        let mut groups = vec![0; block.len()];
        for place in block.places() {
            let local = locals[place];
            groups[place] = match bound.of_local.get(&local) {
                Some(group) => *group,
                None => {
                    let group = self.groups.number(bound.place, &mut bound.breakdowns, local, READING)?;
                    bound.of_local.insert(local, group);
                    group
                }
            };
        }
        Ok(groups)
    }
}

/// What stands for the trace of each row that has none: the event itself.
fn alone(bound: &BoundRows<'_>, block: &Block<'_>, key: HashKey) -> Result<Vec<Cluster>, Error> {
    let without = |place: &usize| bound.keys.traces.get(*place).is_none_or(|number| *number == NO_TRACE);
    let rows: Vec<u32> = block.places().filter(without).map(|place| block.row(place)).collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = bound.segment.event_ids(&rows)?;
    Ok(ids.iter().map(|id| Cluster::of_hash(key.hash(id.to_string().as_bytes()))).collect())
}

/// The duration at a place of the block that the column was filled for.
fn duration(column: &mut BoundColumn<'_>, place: usize) -> Result<Option<f64>, Error> {
    Ok(column.number(place)?.map(Number::to_f64))
}

fn nowhere() -> Location {
    Location::Path(String::new())
}
