//! The second pass over the rows: the groups that are shown, by bucket of time, and the counts of heatmaps,
//! whose edges the first pass has found.

use std::collections::HashMap;
use std::sync::Arc;

use skein_query::aggregate::State;
use skein_query::plan::{Calculation, GroupPlan, Operation};
use skein_store::Error;
use skein_store::segment::Segment;

use crate::aggregate::{Accumulator, BoundCalculations};
use crate::derived::DerivedValues;
use crate::group::{BoundBreakdowns, Groups};
use crate::scan::{Block, BlockError, Reading, Sink};

/// What becomes of a group's rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// Shown at this place of the results.
    Shown(u32),
    /// Beyond the limit.
    Other,
    /// Left out by a having.
    Excluded,
}

/// Slot of the rows of groups beyond the limit, and of those that a having leaves out: only their heatmaps
/// matter, for `other` and `total`.
pub(crate) const OTHER_SLOT: usize = 0;
pub(crate) const EXCLUDED_SLOT: usize = 1;

pub(crate) struct SecondPass<'p> {
    plan: &'p GroupPlan,
    groups: Groups,
    fates: Vec<Fate>,
    /// Edges per calculation; only HEATMAPs have any.
    edges: Vec<Arc<[f64]>>,
    granularity_ns: i64,
    reading: Reading<'p>,
    pub(crate) accumulator: Accumulator<'p>,
    /// Slot by start of the bucket and place of the result.
    pub(crate) slots: HashMap<(i64, u32), u32>,
    row_groups: Vec<u32>,
    row_slots: Vec<u32>,
}

impl<'p> SecondPass<'p> {
    pub(crate) fn new(
        plan: &'p GroupPlan,
        groups: Groups,
        fates: Vec<Fate>,
        edges: Vec<Arc<[f64]>>,
        granularity_ns: i64,
        exact: bool,
        reading: Reading<'p>,
    ) -> SecondPass<'p> {
        let accumulator = Accumulator::new(&plan.calculations, exact);
        let mut pass = SecondPass {
            plan,
            groups,
            fates,
            edges,
            granularity_ns: granularity_ns.max(1),
            reading,
            accumulator,
            slots: HashMap::new(),
            row_groups: Vec::new(),
            row_slots: Vec::new(),
        };
        pass.grow(EXCLUDED_SLOT + 1);
        pass
    }

    fn grow(&mut self, slots: usize) {
        let edges = &self.edges;
        self.accumulator
            .grow(slots, |place, calculation, exact| new_state(calculation, exact, edges.get(place)));
    }

    /// Adds the values of several events that the first pass has found.
    pub(crate) fn add_derived(&mut self, values: &DerivedValues) {
        let slots: Vec<u32> = values.iter().map(|value| self.slot(value.time_ns, value.group)).collect();
        self.grow(EXCLUDED_SLOT + 1 + self.slots.len());
        let mut slots = slots.into_iter();
        values.add_to(&mut self.accumulator, |_| slots.next().map(|slot| slot as usize));
    }

    fn slot(&mut self, time_ns: i64, group: u32) -> u32 {
        match self.fates.get(group as usize) {
            Some(Fate::Shown(place)) => {
                let bucket = bucket_start(time_ns, self.granularity_ns);
                let next = EXCLUDED_SLOT + 1 + self.slots.len();
                let next = u32::try_from(next).unwrap_or(u32::MAX);
                *self.slots.entry((bucket, *place)).or_insert(next)
            }
            Some(Fate::Other) => u32::try_from(OTHER_SLOT).unwrap_or_default(),
            _ => u32::try_from(EXCLUDED_SLOT).unwrap_or_default(),
        }
    }
}

fn new_state(calculation: &Calculation, exact: bool, edges: Option<&Arc<[f64]>>) -> State {
    match edges {
        Some(edges) if calculation.operation == Operation::Heatmap => State::histogram(Arc::clone(edges)),
        _ => State::new(calculation.operation, exact),
    }
}

/// The start of a time's bucket: buckets begin at multiples of the granularity since the epoch.
pub(crate) fn bucket_start(time_ns: i64, granularity_ns: i64) -> i64 {
    // Near the end of i64 the bucket may begin before what fits.
    time_ns.div_euclid(granularity_ns).saturating_mul(granularity_ns)
}

impl Sink for SecondPass<'_> {
    type Bound<'s> = (BoundBreakdowns<'s>, BoundCalculations<'s>);

    fn bind<'s>(&mut self, _place: usize, segment: &'s Segment) -> Result<(Self::Bound<'s>, u64), Error> {
        let breakdowns = BoundBreakdowns::bind(segment, &self.plan.breakdowns, self.reading.related)?;
        let calculations = BoundCalculations::bind(segment, &self.plan.calculations, self.reading)?;
        // The first pass has counted the bytes.
        Ok(((breakdowns, calculations), 0))
    }

    fn block(&mut self, bound: &mut Self::Bound<'_>, block: &Block<'_>) -> Result<(), BlockError> {
        let mut groups = std::mem::take(&mut self.row_groups);
        self.groups.of_block(&mut bound.0, block, false, &mut groups)?;
        let mut slots = std::mem::take(&mut self.row_slots);
        slots.clear();
        slots.resize(groups.len(), crate::aggregate::NO_SLOT);
        for place in block.places() {
            slots[place] = self.slot(block.times[place], groups[place]);
        }
        self.grow(EXCLUDED_SLOT + 1 + self.slots.len());
        self.accumulator.add_block(&mut bound.1, block, &slots)?;
        (self.row_groups, self.row_slots) = (groups, slots);
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.groups.heap_bytes() + self.accumulator.memory_bytes() + self.slots.len() * 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_begin_at_multiples_since_the_epoch() {
        for (time, start) in [(0, 0), (59, 0), (60, 60), (-1, -60), (-60, -60), (-61, -120)] {
            assert_eq!(bucket_start(time, 60), start, "{time}");
        }
        assert_eq!(bucket_start(i64::MIN, 1_000_000_000), i64::MIN);
    }
}
