//! Whether an operation differs in each of its four numbers, and how much at least.
//!
//! What it refuses: a chance where an interval cannot be relied on; such a number is shown and never called sure.

use skein_query::cohorts::{Cohort, Operation, PERCENTILES};

use super::Measure;
use super::estimate::{self, Estimate, Z95};
use crate::explain::difference::{cohen_h, margin_of_h, signed_root};
use crate::explain::normal::tail;

/// A number of an operation, tested.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tested {
    pub(super) measure: Measure,
    /// The chance of such a difference where there is none; `None`: it cannot be said.
    pub(super) chance: Option<f64>,
    /// How large the difference is at least (95 %), on a scale that all numbers share.
    pub(super) strength: f64,
}

/// Rate, errors, median, 99th percentile; and the rate beside that of the whole cohort, which is not shown.
pub(super) fn tests(operation: &Operation, seconds: [f64; 2], weights: [f64; 2]) -> [Tested; TESTS] {
    let [p50, p99] = [0, 1].map(|number: usize| percentile(operation, number));
    // A cohort with more of everything differs in no operation by that: a rise of all says nothing of one.
    let beside = Tested { measure: Measure::default(), ..rate(operation, weights) };
    [Tested { strength: 0.0, ..rate(operation, seconds) }, errors(operation), p50, p99, beside]
}

/// Numbers of an operation that are tested.
pub(super) const TESTS: usize = 5;

/// The weight over that of both sides: their seconds, or the weights of the whole cohorts.
fn rate(operation: &Operation, over: [f64; 2]) -> Tested {
    let [a, b] = &operation.sides;
    let of = |cohort: &Option<Cohort>, other: &Option<Cohort>, side: usize| match (cohort, other) {
        (Some(cohort), _) => estimate::rate(cohort, over[side]),
        (None, Some(other)) => estimate::no_rate(other, over[side]),
        (None, None) => Estimate { value: 0.0, lo95: None, hi95: None },
    };
    let sides = [of(a, b, 0), of(b, a, 1)];
    let (chance, strength) = match (a, b) {
        (Some(a), Some(b)) => {
            let error = (estimate::relative_error(a).powi(2) + estimate::relative_error(b).powi(2)).sqrt();
            let ratio = (sides[1].value / sides[0].value).ln().abs();
            ((2.0 * tail(ratio / error)).min(1.0), (ratio - Z95 * error).max(0.0))
        }
        (Some(one), None) => of_one(one, over[0], over[1]),
        (None, Some(one)) => of_one(one, over[1], over[0]),
        (None, None) => (1.0, 0.0),
    };
    let reliable = operation.sides.iter().flatten().all(estimate::is_reliable);
    Tested {
        measure: measure(sides.map(Some), reliable),
        chance: (reliable && chance.is_finite()).then_some(chance),
        strength: if strength.is_finite() { strength } else { 0.0 },
    }
}

/// An operation that one cohort alone has: what its weight is over, and what the other's would be.
fn of_one(cohort: &Cohort, own: f64, others: f64) -> (f64, f64) {
    let events = estimate::independent(cohort);
    // Of so many independent events in both together all fell into this one.
    let chance = 2.0 * (own / (own + others)).powf(events);
    // At most three would not have been seen.
    let strength = (events * others / own / 3.0).ln() - Z95 * estimate::relative_error(cohort);
    (chance.min(1.0), strength.max(0.0))
}

fn errors(operation: &Operation) -> Tested {
    let [Some(a), Some(b)] = &operation.sides else {
        return one_side(operation, |cohort| Some(estimate::error_share(cohort)));
    };
    let shares = [estimate::errors(a), estimate::errors(b)];
    let (share, events) = (shares.map(|(share, _)| share), shares.map(|(_, events)| events));
    let reliable = estimate::is_reliable(a) && estimate::is_reliable(b);
    let chance = (2.0 * tail(signed_root(share, events).abs())).min(1.0);
    Tested {
        measure: measure([Some(estimate::error_share(a)), Some(estimate::error_share(b))], reliable),
        chance: reliable.then_some(chance),
        strength: (cohen_h(share).abs() - margin_of_h(events)).max(0.0),
    }
}

fn percentile(operation: &Operation, number: usize) -> Tested {
    let thousandths = PERCENTILES.get(number).copied().unwrap_or_default();
    let of = |cohort: &Cohort| estimate::percentile(cohort, number, thousandths);
    let [Some(a), Some(b)] = &operation.sides else { return one_side(operation, of) };
    let (Some(of_a), Some(of_b)) = (of(a), of(b)) else { return one_side(operation, of) };
    let reliable = estimate::is_reliable(a) && estimate::is_reliable(b);
    let measure = measure([Some(of_a), Some(of_b)], reliable);
    let logarithm = |estimate: Estimate| {
        let of = |value: Option<f64>| value.filter(|value| *value > 0.0).map(f64::ln);
        Some(Estimate { value: of(Some(estimate.value))?, lo95: of(estimate.lo95), hi95: of(estimate.hi95) })
    };
    // As a ratio, if both are positive, which durations are unless clocks went back.
    let scaled = match (logarithm(of_a), logarithm(of_b)) {
        (Some(a), Some(b)) => estimate::difference(a, b),
        _ => return Tested { measure, chance: None, strength: 0.0 },
    };
    // The end of the interval on the side of zero.
    let near = if scaled.value > 0.0 { scaled.lo95 } else { scaled.hi95 };
    let Some(near) = near.filter(|_| reliable) else {
        return Tested { measure, chance: None, strength: 0.0 };
    };
    let margin = (scaled.value - near).abs();
    let chance = match scaled.value {
        0.0 => 1.0,
        // Where an interval has no width, values are as if they were all the same.
        value if margin <= 0.0 => 2.0 * tail(Z95 * value.abs() / f64::MIN_POSITIVE),
        value => 2.0 * tail(Z95 * value.abs() / margin),
    };
    let strength = if near * scaled.value > 0.0 { near.abs() } else { 0.0 };
    Tested { measure, chance: Some(chance.min(1.0)), strength }
}

/// What is known of one cohort is shown, and compared with nothing.
fn one_side(operation: &Operation, of: impl Fn(&Cohort) -> Option<Estimate>) -> Tested {
    let sides = [0, 1].map(|side: usize| operation.sides[side].as_ref().and_then(&of));
    let reliable = operation.sides.iter().flatten().all(estimate::is_reliable);
    let measure = Measure { sides, difference: None, ratio: None, reliable, sure: false };
    Tested { measure, chance: None, strength: 0.0 }
}

fn measure(sides: [Option<Estimate>; 2], reliable: bool) -> Measure {
    let difference = match sides {
        [Some(a), Some(b)] => {
            let difference = estimate::difference(a, b);
            let ends = |end: Option<f64>| end.filter(|_| reliable);
            Some(Estimate { lo95: ends(difference.lo95), hi95: ends(difference.hi95), ..difference })
        }
        _ => None,
    };
    let ratio = match sides {
        [Some(a), Some(b)] if a.value > 0.0 => Some(b.value / a.value).filter(|ratio| ratio.is_finite()),
        _ => None,
    };
    Measure { sides, difference, ratio, reliable, sure: false }
}
