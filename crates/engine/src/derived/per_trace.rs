//! PER_TRACE: a calculation over the events of each trace, by group.

use std::collections::HashMap;

use skein_query::aggregate::State;
use skein_query::plan::Calculation;
use skein_store::Error;
use skein_store::segment::Segment;

use crate::aggregate::{Accumulator, BoundCalculations, NO_SLOT};
use crate::block::Block;
use crate::derived::DerivedValue;
use crate::finish::cell_number;
use crate::local::Slots;
use crate::relation::ids::{NO_TRACE, TraceNumbers};
use crate::relation::keys::{RowKeys, Wanted};
use crate::scan::Reading;
use crate::weights::Weights;

/// What is known of a trace in a group.
#[derive(Clone, Copy, Debug)]
struct Trace {
    group: u32,
    first_ns: i64,
    weight: f64,
}

pub(super) struct Traces<'p> {
    inner: &'p [Calculation],
    weighted: bool,
    numbers: TraceNumbers,
    /// Slot by group and number of the trace.
    slots: HashMap<(u32, u32), u32>,
    /// By slot.
    traces: Vec<Trace>,
    accumulator: Accumulator<'p>,
    row_slots: Vec<u32>,
}

pub(super) struct BoundTraces<'s> {
    keys: RowKeys<'s>,
    inner: BoundCalculations<'s>,
    weights: Option<Weights<'s>>,
}

impl BoundTraces<'_> {
    pub(super) fn bytes(&self) -> u64 {
        self.keys.bytes() + self.inner.bytes()
    }
}

impl<'p> Traces<'p> {
    pub(super) fn new(inner: &'p Calculation, weighted: bool) -> Traces<'p> {
        let inner = std::slice::from_ref(inner);
        Traces {
            inner,
            weighted,
            numbers: TraceNumbers::default(),
            slots: HashMap::new(),
            traces: Vec::new(),
            // Within a trace each event counts once: the trace as a whole was kept or not.
            accumulator: Accumulator::new(inner, true),
            row_slots: Vec::new(),
        }
    }

    pub(super) fn bind<'s>(&self, segment: &'s Segment) -> Result<BoundTraces<'s>, Error> {
        Ok(BoundTraces {
            keys: RowKeys::bind(segment, Wanted::default())?,
            inner: BoundCalculations::bind(segment, self.inner, Reading::default())?,
            weights: self.weighted.then(|| Weights::bind(segment)).transpose()?,
        })
    }

    pub(super) fn add_block(
        &mut self,
        bound: &mut BoundTraces<'_>,
        block: &Block<'_>,
        groups: &[u32],
    ) -> Result<(), Error> {
        bound.keys.fill(block.rows, |id| self.numbers.number(id))?;
        let weights = bound.weights.as_mut().map(|weights| weights.of_block(block)).transpose()?;
        self.row_slots.clear();
        self.row_slots.resize(groups.len(), NO_SLOT);
        for row in block.places() {
            let (trace, group) = (bound.keys.traces[row], groups[row]);
            if trace == NO_TRACE {
                continue;
            }
            let (time_ns, weight) = (block.times()[row], weights.map_or(1.0, |weights| weights.of(row)));
            let next = u32::try_from(self.traces.len()).unwrap_or(NO_SLOT);
            let slot = *self.slots.entry((group, trace)).or_insert(next);
            self.row_slots[row] = slot;
            match self.traces.get_mut(slot as usize) {
                Some(known) => {
                    known.first_ns = known.first_ns.min(time_ns);
                    known.weight = known.weight.max(weight);
                }
                None => self.traces.push(Trace { group, first_ns: time_ns, weight }),
            }
        }
        self.accumulator.grow(self.traces.len(), |_, c, exact| State::new(c.operation, exact));
        self.accumulator.add_block(&mut bound.inner, block, Slots::Each(&self.row_slots))?;
        bound.inner.flush(&mut self.accumulator)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let slots = self.slots.capacity() * (size_of::<((u32, u32), u32)>() + 1);
        let traces = self.traces.capacity() * size_of::<Trace>();
        self.numbers.memory_bytes() + slots + traces + self.accumulator.memory_bytes()
    }

    pub(super) fn finish(&self) -> Vec<DerivedValue> {
        let value = |(slot, trace): (usize, &Trace)| {
            let number = cell_number(&self.accumulator.finish(slot, 0).0.value)?;
            let Trace { group, first_ns: time_ns, weight } = *trace;
            Some(DerivedValue { group, time_ns, number, overall: number, weight })
        };
        self.traces.iter().enumerate().filter_map(value).collect()
    }
}
