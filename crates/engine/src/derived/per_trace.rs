//! PER_TRACE: a calculation over the events of each trace, by group.

use std::collections::HashMap;

use skein_event::hash::HashKey;
use skein_query::aggregate::{Draw, State};
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
    number: u32,
    first_ns: i64,
    draw: Draw,
}

pub(super) struct Traces<'p> {
    inner: &'p [Calculation],
    weighted: bool,
    numbers: TraceNumbers,
    /// Hash of its id by number of the trace: that with which its own events were drawn.
    units: Vec<u64>,
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
    hash_key: HashKey,
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
            units: Vec::new(),
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
            hash_key: segment.header().hash_key,
        })
    }

    pub(super) fn add_block(
        &mut self,
        bound: &mut BoundTraces<'_>,
        block: &Block<'_>,
        groups: &[u32],
    ) -> Result<(), Error> {
        let (numbers, units, hash_key) = (&mut self.numbers, &mut self.units, bound.hash_key);
        bound.keys.fill(block.rows, |id| {
            let number = numbers.number(id);
            if number as usize == units.len() {
                units.push(hash_key.hash(&id));
            }
            number
        })?;
        let draws = bound.weights.as_mut().map(|weights| weights.draws(block)).transpose()?;
        self.row_slots.clear();
        self.row_slots.resize(groups.len(), NO_SLOT);
        for row in block.places() {
            let (trace, group) = (bound.keys.traces[row], groups[row]);
            if trace == NO_TRACE {
                continue;
            }
            let (time_ns, draw) = (block.times()[row], draws.map_or(Draw::Certain, |draws| draws.of(row)));
            let next = u32::try_from(self.traces.len()).unwrap_or(NO_SLOT);
            let slot = *self.slots.entry((group, trace)).or_insert(next);
            self.row_slots[row] = slot;
            match self.traces.get_mut(slot as usize) {
                Some(known) => {
                    known.first_ns = known.first_ns.min(time_ns);
                    known.draw = rarer(known.draw, draw);
                }
                None => self.traces.push(Trace { group, number: trace, first_ns: time_ns, draw }),
            }
        }
        self.accumulator.grow(self.traces.len(), |_, c, exact| State::new(c.operation, exact));
        self.accumulator.add_block(&mut bound.inner, block, Slots::Each(&self.row_slots))?;
        bound.inner.flush(&mut self.accumulator)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let slots = self.slots.capacity() * (size_of::<((u32, u32), u32)>() + 1);
        let traces = self.traces.capacity() * size_of::<Trace>();
        let units = self.units.capacity() * size_of::<u64>();
        self.numbers.memory_bytes() + units + slots + traces + self.accumulator.memory_bytes()
    }

    pub(super) fn finish(&self) -> Vec<DerivedValue> {
        let value = |(slot, trace): (usize, &Trace)| {
            let number = cell_number(&self.accumulator.finish(slot, 0).0.value)?;
            let Trace { group, number: of_trace, first_ns: time_ns, draw } = *trace;
            let draw = match (draw, self.units.get(of_trace as usize)) {
                (Draw::Chance { weight, .. }, Some(&unit)) => Draw::of(weight, unit),
                (draw, _) => draw,
            };
            Some(DerivedValue { group, time_ns, number, overall: number, draw })
        };
        self.traces.iter().enumerate().filter_map(value).collect()
    }
}

/// How a trace came to be kept, of whose events one was kept so and one so.
fn rarer(one: Draw, other: Draw) -> Draw {
    let weight = one.weight().max(other.weight());
    match (one, other) {
        (Draw::Unknown { .. }, _) | (_, Draw::Unknown { .. }) => Draw::Unknown { weight },
        _ if other.weight() > one.weight() => other,
        _ => one,
    }
}
