//! The first pass over the rows: every group, all of time.

use skein_query::aggregate::{EXACT_ROWS_MAX, State};
use skein_query::plan::GroupPlan;
use skein_store::Error;
use skein_store::segment::Segment;

use crate::aggregate::{Accumulator, BoundCalculations};
use crate::derived::{BoundDerived, Derivations, DerivedValues};
use crate::group::{BoundBreakdowns, Groups};
use crate::scan::{Block, BlockError, Reading, Sink};

pub(crate) struct FirstPass<'p> {
    plan: &'p GroupPlan,
    reading: Reading<'p>,
    pub(crate) groups: Groups,
    pub(crate) accumulator: Accumulator<'p>,
    derivations: Derivations<'p>,
    matched: u64,
    slots: Vec<u32>,
}

impl<'p> FirstPass<'p> {
    pub(crate) fn new(plan: &'p GroupPlan, reading: Reading<'p>) -> FirstPass<'p> {
        let mut pass = FirstPass {
            plan,
            reading,
            groups: Groups::new(plan.breakdowns.len()),
            accumulator: Accumulator::new(&plan.calculations, true),
            derivations: Derivations::new(&plan.calculations, reading.weighted),
            matched: 0,
            slots: Vec::new(),
        };
        pass.accumulator.grow(pass.groups.len(), |_, c, exact| State::new(c.operation, exact));
        pass
    }

    /// Adds the values of several events to the states, now that all events were seen.
    pub(crate) fn derive(&mut self) -> DerivedValues {
        let values = self.derivations.finish();
        values.add_to(&mut self.accumulator, |value| Some(value.group as usize));
        values
    }
}

impl Sink for FirstPass<'_> {
    type Bound<'s> = (BoundBreakdowns<'s>, BoundCalculations<'s>, BoundDerived<'s>);

    fn bind<'s>(&mut self, place: usize, segment: &'s Segment) -> Result<(Self::Bound<'s>, u64), Error> {
        let breakdowns = BoundBreakdowns::bind(segment, &self.plan.breakdowns, self.reading.related)?;
        let calculations = BoundCalculations::bind(segment, &self.plan.calculations, self.reading)?;
        let derived = self.derivations.bind(place, segment)?;
        let bytes = breakdowns.bytes() + calculations.bytes() + derived.bytes();
        Ok(((breakdowns, calculations, derived), bytes))
    }

    fn block(&mut self, bound: &mut Self::Bound<'_>, block: &Block<'_>) -> Result<(), BlockError> {
        self.matched += block.places().count() as u64;
        if self.matched >= EXACT_ROWS_MAX {
            self.accumulator.make_sketches();
        }
        let mut slots = std::mem::take(&mut self.slots);
        self.groups.of_block(&mut bound.0, block, true, &mut slots)?;
        self.accumulator.grow(self.groups.len(), |_, c, exact| State::new(c.operation, exact));
        self.accumulator.add_block(&mut bound.1, block, &slots)?;
        self.derivations.add_block(&mut bound.2, block, &slots)?;
        self.slots = slots;
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.groups.heap_bytes() + self.accumulator.memory_bytes() + self.derivations.memory_bytes()
    }
}
