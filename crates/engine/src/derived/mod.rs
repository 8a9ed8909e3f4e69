//! Values of several events: PER_TRACE and INTERVAL (docs/reference/relational.md), CONCURRENCY, INCREASE and RATE
//! (docs/reference/over-time.md).
//!
//! The first pass gathers what each trace, or each value of `by`, needs; at its end the values are known with the
//! group, the time and the weight that they count with. The second pass takes them from there.

pub(crate) mod in_flight;
mod increase;
mod interval;
mod per_trace;

use skein_event::hash::HashKey;
use skein_query::aggregate::{Draw, State};
use skein_query::number::{Number, ValueRef};
use skein_query::plan::{Calculation, Derived, Operation};
use skein_query::result::Warning;
use skein_store::Error;
use skein_store::segment::Segment;

use self::in_flight::{BoundInFlight, InFlight, Times};
use self::increase::{BoundIncrease, Increases};
use self::interval::{BoundInterval, Intervals};
use self::per_trace::{BoundTraces, Traces};
use crate::aggregate::Accumulator;
use crate::block::Block;

/// A value of several events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DerivedValue {
    pub(crate) group: u32,
    /// Of the event that says in which bucket of a series it counts.
    pub(crate) time_ns: i64,
    /// What counts in its bucket.
    number: Number,
    /// What counts in its group.
    overall: Number,
    draw: Draw,
}

/// Which of a value's numbers counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Over {
    /// That of a bucket.
    Bucket,
    /// That of all of the range.
    Range,
}

/// The values of several events, by calculation.
#[derive(Clone, Debug, Default)]
pub(crate) struct DerivedValues {
    /// The place of a calculation in the plan, and its values.
    of: Vec<(usize, Vec<DerivedValue>)>,
    pub(crate) warnings: Vec<Warning>,
}

impl DerivedValues {
    /// Adds each value to the state of the slot that `slot` names.
    pub(crate) fn add_to(
        &self,
        accumulator: &mut Accumulator<'_>,
        over: Over,
        mut slot: impl FnMut(&DerivedValue) -> Option<usize>,
    ) {
        for (place, values) in &self.of {
            let operation = accumulator.calculations.get(*place).map(|calculation| calculation.operation);
            for value in values {
                let state = slot(value).and_then(|slot| accumulator.state_mut(slot, *place));
                if let (Some(state), Some(operation)) = (state, operation) {
                    let number = if over == Over::Bucket { value.number } else { value.overall };
                    add(state, operation, number, value.draw);
                }
            }
        }
    }

    /// Each value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &DerivedValue> {
        self.of.iter().flat_map(|(_, values)| values)
    }
}

fn add(state: &mut State, operation: Operation, number: Number, draw: Draw) {
    match operation {
        Operation::Count => state.add_event(draw),
        Operation::CountDistinct => {
            let text = match number {
                Number::I64(number) => ValueRef::I64(number).canonical_text(),
                Number::F64(number) => ValueRef::F64(number).canonical_text(),
            };
            // These hashes meet none of stored values.
            state.add_hash(HashKey(0).hash(text.as_bytes()), draw);
        }
        _ => state.add_number(number, draw),
    }
}

enum Derivation<'p> {
    PerTrace(Traces<'p>),
    Interval(Intervals<'p>),
    InFlight(InFlight<'p>),
    Increase(Increases<'p>),
}

/// What is gathered for the calculations over several events.
pub(crate) struct Derivations<'p> {
    of: Vec<(usize, Derivation<'p>)>,
    names: Vec<&'p str>,
}

enum BoundDerivation<'s> {
    PerTrace(Box<BoundTraces<'s>>),
    Interval(Box<BoundInterval<'s>>),
    InFlight(Box<BoundInFlight<'s>>),
    Increase(Box<BoundIncrease<'s>>),
}

/// The calculations over several events, bound to one segment.
pub(crate) struct BoundDerived<'s>(Vec<BoundDerivation<'s>>);

impl BoundDerived<'_> {
    /// Encoded bytes of the columns it reads.
    pub(crate) fn bytes(&self) -> u64 {
        let of = |bound: &BoundDerivation<'_>| match bound {
            BoundDerivation::PerTrace(bound) => bound.bytes(),
            BoundDerivation::Interval(bound) => bound.bytes(),
            BoundDerivation::InFlight(bound) => bound.bytes(),
            BoundDerivation::Increase(bound) => bound.bytes(),
        };
        self.0.iter().map(of).sum()
    }
}

impl<'p> Derivations<'p> {
    pub(crate) fn new(calculations: &'p [Calculation], weighted: bool, times: Times) -> Derivations<'p> {
        let of = |(place, calculation): (usize, &'p Calculation)| {
            let derivation = match calculation.derived.as_ref()? {
                Derived::PerTrace(inner) => Derivation::PerTrace(Traces::new(inner, weighted)),
                Derived::Interval { from, to, by } => {
                    Derivation::Interval(Intervals::new(from, to, by, weighted))
                }
                Derived::InFlight { filter } => Derivation::InFlight(InFlight::new(filter, times, weighted)),
                Derived::Increase { column, filter, per_second } => {
                    Derivation::Increase(Increases::new(column, filter, *per_second, times, weighted))
                }
            };
            Some((place, derivation))
        };
        Derivations {
            of: calculations.iter().enumerate().filter_map(of).collect(),
            names: calculations.iter().map(|calculation| calculation.name.as_str()).collect(),
        }
    }

    pub(crate) fn bind<'s>(&self, place: usize, segment: &'s Segment) -> Result<BoundDerived<'s>, Error> {
        let bind = |(_, derivation): &(usize, Derivation<'p>)| {
            Ok(match derivation {
                Derivation::PerTrace(traces) => BoundDerivation::PerTrace(Box::new(traces.bind(segment)?)),
                Derivation::Interval(intervals) => {
                    BoundDerivation::Interval(Box::new(intervals.bind(place, segment)?))
                }
                Derivation::InFlight(flights) => BoundDerivation::InFlight(Box::new(flights.bind(segment)?)),
                Derivation::Increase(points) => BoundDerivation::Increase(Box::new(points.bind(segment)?)),
            })
        };
        Ok(BoundDerived(self.of.iter().map(bind).collect::<Result<_, Error>>()?))
    }

    /// Adds a block; `groups` has the group of each row.
    pub(crate) fn add_block(
        &mut self,
        bound: &mut BoundDerived<'_>,
        block: &Block<'_>,
        groups: &[u32],
    ) -> Result<(), Error> {
        for ((_, derivation), bound) in self.of.iter_mut().zip(&mut bound.0) {
            match (derivation, bound) {
                (Derivation::PerTrace(traces), BoundDerivation::PerTrace(bound)) => {
                    traces.add_block(bound, block, groups)?;
                }
                (Derivation::Interval(intervals), BoundDerivation::Interval(bound)) => {
                    intervals.add_block(bound, block, groups)?;
                }
                (Derivation::InFlight(flights), BoundDerivation::InFlight(bound)) => {
                    flights.add_block(bound, block, groups)?;
                }
                (Derivation::Increase(points), BoundDerivation::Increase(bound)) => {
                    points.add_block(bound, block, groups)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let of = |(_, derivation): &(usize, Derivation<'p>)| match derivation {
            Derivation::PerTrace(traces) => traces.memory_bytes(),
            Derivation::Interval(intervals) => intervals.memory_bytes(),
            Derivation::InFlight(flights) => flights.memory_bytes(),
            Derivation::Increase(points) => points.memory_bytes(),
        };
        self.of.iter().map(of).sum()
    }

    /// The values of everything that was gathered.
    pub(crate) fn finish(&mut self) -> DerivedValues {
        let mut found = DerivedValues::default();
        for (place, derivation) in &mut self.of {
            let values = match derivation {
                Derivation::PerTrace(traces) => traces.finish(),
                Derivation::InFlight(flights) => flights.finish(),
                Derivation::Increase(points) => points.finish(),
                Derivation::Interval(intervals) => {
                    let (values, open) = intervals.finish();
                    if open > 0 {
                        let name = self.names.get(*place).copied().unwrap_or_default();
                        let message =
                            format!("{open} intervals of `{name}` began and did not end in the range");
                        found.warnings.push(Warning { code: "interval_open", message });
                    }
                    values
                }
            };
            found.of.push((*place, values));
        }
        found
    }
}
