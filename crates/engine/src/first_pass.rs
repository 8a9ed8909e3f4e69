//! The first pass over the rows: every group, all of time.

use std::sync::OnceLock;

use skein_event::hash::HashKey;
use skein_query::aggregate::{EXACT_ROWS_MAX, State};
use skein_query::plan::{Calculation, GroupPlan, TimeRange};
use skein_store::Error;
use skein_store::segment::Segment;

use crate::aggregate::{Accumulator, BoundCalculations};
use crate::block::Block;
use crate::derived::in_flight::Times;
use crate::derived::{BoundDerived, Derivations, DerivedValues, Over};
use crate::group::{self, GroupPart, Groups, ValueReading};
use crate::local::{BoundBreakdowns, Slots};
use crate::parts::{Gather, Job};
use crate::scan::{BlockError, Reading, Sink};

/// What is done with each part.
pub(crate) struct FirstJob<'p> {
    plan: &'p GroupPlan,
    reading: Reading<'p>,
    key: OnceLock<HashKey>,
}

/// A part under way.
pub(crate) struct BoundFirst<'s, 'p> {
    segment: &'s Segment,
    breakdowns: BoundBreakdowns<'s>,
    calculations: BoundCalculations<'s>,
    accumulator: Accumulator<'p>,
    /// Rows by group.
    rows: Vec<u64>,
    matched: u64,
    reading: ValueReading,
}

/// What was found in a part.
pub(crate) struct FirstPart<'p> {
    groups: GroupPart,
    accumulator: Accumulator<'p>,
    matched: u64,
}

/// What all parts have found.
pub(crate) struct FirstPass<'p> {
    pub(crate) groups: Groups,
    pub(crate) accumulator: Accumulator<'p>,
    matched: u64,
    /// Rows of groups that nobody has named, since they are surely not shown.
    pub(crate) unnamed: u64,
}

fn state(_: usize, calculation: &Calculation, exact: bool) -> State {
    State::new(calculation.operation, exact)
}

impl<'p> FirstJob<'p> {
    pub(crate) fn new(plan: &'p GroupPlan, reading: Reading<'p>) -> FirstJob<'p> {
        FirstJob { plan, reading, key: OnceLock::new() }
    }
}

impl<'p> Job for FirstJob<'p> {
    type Bound<'s> = BoundFirst<'s, 'p>;
    type Part = FirstPart<'p>;

    fn bind<'s>(&self, _place: usize, segment: &'s Segment) -> Result<(BoundFirst<'s, 'p>, u64), Error> {
        let breakdowns = BoundBreakdowns::bind(segment, &self.plan.breakdowns, self.reading.related)?;
        let calculations = BoundCalculations::bind(segment, &self.plan.calculations, self.reading)?;
        let bytes = breakdowns.bytes() + calculations.bytes();
        let key = *self.key.get_or_init(|| segment.header().hash_key);
        let mut accumulator = Accumulator::new(&self.plan.calculations, true);
        accumulator.count_outside(&calculations);
        let bound = BoundFirst {
            segment,
            breakdowns,
            calculations,
            accumulator,
            rows: Vec::new(),
            matched: 0,
            reading: ValueReading { key, texts_at_once: self.reading.texts_at_once },
        };
        Ok((bound, bytes))
    }

    fn block(&self, bound: &mut BoundFirst<'_, 'p>, block: &Block<'_>) -> Result<(), BlockError> {
        bound.matched += block.mask.count() as u64;
        if bound.matched >= EXACT_ROWS_MAX {
            bound.accumulator.make_sketches();
        }
        bound.breakdowns.number(block)?;
        let (slots, groups) = (bound.breakdowns.slots(), bound.breakdowns.len());
        bound.rows.resize(groups, 0);
        match slots {
            Slots::One(slot) => {
                if let Some(rows) = bound.rows.get_mut(slot as usize) {
                    *rows += block.mask.count() as u64;
                }
            }
            Slots::Each(slots) => {
                let rows = &mut bound.rows;
                block.mask.for_each(|place| rows[slots[place] as usize] += 1);
            }
        }
        bound.accumulator.grow(groups, state);
        bound.accumulator.add_block(&mut bound.calculations, block, slots)?;
        Ok(())
    }

    fn bound_bytes(&self, bound: &BoundFirst<'_, 'p>) -> usize {
        let rows = bound.rows.capacity() * size_of::<u64>();
        bound.breakdowns.heap_bytes()
            + bound.calculations.heap_bytes()
            + bound.accumulator.memory_bytes()
            + rows
    }

    fn part(&self, bound: BoundFirst<'_, 'p>) -> Result<FirstPart<'p>, BlockError> {
        let BoundFirst { segment, mut breakdowns, mut calculations, mut accumulator, rows, matched, reading } =
            bound;
        calculations.flush(&mut accumulator)?;
        accumulator.take_counts(&rows);
        let groups = group::part_of(&mut breakdowns, &rows, reading, segment)?;
        Ok(FirstPart { groups, accumulator, matched })
    }
}

impl<'p> FirstPass<'p> {
    pub(crate) fn new(plan: &'p GroupPlan) -> FirstPass<'p> {
        let mut pass = FirstPass {
            groups: Groups::new(plan.breakdowns.len()),
            accumulator: Accumulator::new(&plan.calculations, true),
            matched: 0,
            unnamed: 0,
        };
        pass.accumulator.grow(pass.groups.len(), state);
        pass
    }

    /// Of groups whose rows were counted otherwise, and of so many rows in groups that are surely not shown.
    pub(crate) fn of_counts(
        plan: &'p GroupPlan,
        groups: Groups,
        rows: &[u64],
        unnamed: u64,
    ) -> FirstPass<'p> {
        let mut accumulator = Accumulator::new(&plan.calculations, true);
        accumulator.grow(groups.len(), state);
        accumulator.set_counts(0, rows);
        let matched = rows.iter().sum::<u64>() + unnamed;
        FirstPass { groups, accumulator, matched, unnamed }
    }
}

impl<'p> Gather<FirstPart<'p>> for FirstPass<'p> {
    fn absorb(&mut self, place: usize, part: FirstPart<'p>) -> Result<(), BlockError> {
        let FirstPart { groups, accumulator, matched } = part;
        self.matched += matched;
        if self.matched >= EXACT_ROWS_MAX {
            self.accumulator.make_sketches();
        }
        let local = groups.groups.clone();
        let global = self.groups.absorb(place, groups);
        self.accumulator.grow(self.groups.len(), state);
        self.accumulator.absorb(accumulator, local.iter().copied().zip(global.iter().copied()));
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.groups.heap_bytes() + self.accumulator.memory_bytes()
    }
}

/// The same one row after another, for what must see every row in its turn: values of several events.
pub(crate) struct DerivingPass<'p> {
    job: FirstJob<'p>,
    pub(crate) pass: FirstPass<'p>,
    derivations: Derivations<'p>,
    slots: Vec<u32>,
}

/// A segment under way.
pub(crate) struct BoundDeriving<'s, 'p> {
    place: usize,
    first: BoundFirst<'s, 'p>,
    derived: BoundDerived<'s>,
    /// The group of each group of the segment.
    groups: Vec<Option<u32>>,
}

impl<'p> DerivingPass<'p> {
    pub(crate) fn new(plan: &'p GroupPlan, range: TimeRange, reading: Reading<'p>) -> DerivingPass<'p> {
        // Groups are named while rows are looked at.
        let reading = Reading { texts_at_once: true, ..reading };
        let times = Times { range, granularity_ns: plan.granularity_ns };
        DerivingPass {
            job: FirstJob::new(plan, reading),
            pass: FirstPass::new(plan),
            derivations: Derivations::new(&plan.calculations, reading.weighted, times),
            slots: Vec::new(),
        }
    }

    /// Adds the values of several events to the states, now that all events were seen.
    pub(crate) fn derive(&mut self) -> DerivedValues {
        let values = self.derivations.finish();
        values.add_to(&mut self.pass.accumulator, Over::Range, |value| Some(value.group as usize));
        values
    }
}

impl<'p> Sink for DerivingPass<'p> {
    type Bound<'s> = BoundDeriving<'s, 'p>;

    fn bind<'s>(&mut self, place: usize, segment: &'s Segment) -> Result<(Self::Bound<'s>, u64), Error> {
        let (first, bytes) = self.job.bind(place, segment)?;
        let derived = self.derivations.bind(place, segment)?;
        let bytes = bytes + derived.bytes();
        Ok((BoundDeriving { place, first, derived, groups: Vec::new() }, bytes))
    }

    fn block(&mut self, bound: &mut Self::Bound<'_>, block: &Block<'_>) -> Result<(), BlockError> {
        self.job.block(&mut bound.first, block)?;
        let BoundFirst { breakdowns, reading, .. } = &mut bound.first;
        bound.groups.resize(breakdowns.len(), None);
        self.slots.clear();
        self.slots.resize(block.len(), 0);
        for row in block.places() {
            let local = breakdowns.slots().at(row);
            let Some(known) = bound.groups.get_mut(local as usize) else { continue };
            let group = match *known {
                Some(group) => group,
                None => {
                    let group = self.pass.groups.number(bound.place, breakdowns, local, *reading)?;
                    *known.insert(group)
                }
            };
            self.slots[row] = group;
        }
        self.derivations.add_block(&mut bound.derived, block, &self.slots)?;
        Ok(())
    }

    fn end(&mut self, bound: Self::Bound<'_>) -> Result<(), BlockError> {
        let part = self.job.part(bound.first)?;
        self.pass.absorb(bound.place, part)
    }

    fn memory_bytes(&self) -> usize {
        self.pass.memory_bytes() + self.derivations.memory_bytes()
    }
}
