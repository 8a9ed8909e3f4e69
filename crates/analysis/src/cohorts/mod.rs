//! How two cohorts of events differ, operation by operation: rate, share of errors, median and 99th percentile of
//! durations, each with an interval that knows of traces and sample rates (docs/reference/compare.md).
//!
//! What it refuses: to call a difference sure because one of many had to be large; whether it is decided over all of them
//! by their false discovery rate.
//!
//! Reading order: [`Comparison`], [`compare`], [`estimate`], `test`.

mod estimate;
mod test;

#[cfg(test)]
mod tests;

use skein_event::value::Value;
use skein_query::cohorts::{Cohorts, Operation};
use skein_query::render;

pub use estimate::Estimate;

use self::test::{TESTS, Tested};
use crate::explain::FALSE_DISCOVERY_RATE;
use crate::explain::rates::rates;

/// What was found.
#[derive(Clone, PartialEq, Debug)]
pub struct Comparison {
    /// What differs most surely first.
    pub operations: Vec<Compared>,
    /// Differences that were tested.
    pub tested: usize,
    /// Operations beyond the limit.
    pub omitted: usize,
}

/// Where an operation was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// In both cohorts.
    Both,
    /// In the second alone.
    New,
    /// In the first alone.
    Vanished,
}

/// One operation.
#[derive(Clone, PartialEq, Debug)]
pub struct Compared {
    /// The values of the columns that make it.
    pub key: Vec<Option<Value>>,
    /// Where it was seen.
    pub status: Status,
    /// How large the largest of its sure differences is at least, on a scale on which a doubling is 0.69 and 0 % of
    /// errors against 10 % is 0.64; 0 when none is sure.
    pub score: f64,
    /// Events a second.
    pub rate: Measure,
    /// Share of events that failed.
    pub errors: Measure,
    /// Median of durations, in milliseconds.
    pub p50: Measure,
    /// Their 99th percentile.
    pub p99: Measure,
}

/// How the cohorts differ in one number.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Measure {
    /// The number in each; `None` where there is nothing of which it could be one.
    pub sides: [Option<Estimate>; 2],
    /// The second less the first.
    pub difference: Option<Estimate>,
    /// The second over the first.
    pub ratio: Option<f64>,
    /// Whether the intervals may be relied on.
    pub reliable: bool,
    /// Whether there is a difference, beyond what one of so many numbers shows by accident.
    pub sure: bool,
}

/// Compares what was counted. `seconds` are the lengths of the cohorts' ranges of time.
pub fn compare(cohorts: &Cohorts, seconds: [f64; 2], limit: usize) -> Comparison {
    let weights = [0, 1].map(|side: usize| cohorts.totals[side].weight);
    let tested: Vec<[Tested; TESTS]> =
        cohorts.operations.iter().map(|operation| test::tests(operation, seconds, weights)).collect();
    let chances: Vec<Option<f64>> = tested.iter().flatten().map(|tested| tested.chance).collect();
    let testable: Vec<f64> = chances.iter().copied().flatten().collect();
    let mut found = rates(&testable, testable.len()).into_iter();
    let rates: Vec<f64> =
        chances.iter().map(|chance| chance.and_then(|_| found.next()).unwrap_or(1.0)).collect();
    let judged = tested.into_iter().zip(rates.chunks(TESTS)).zip(&cohorts.operations);
    let mut operations: Vec<(Compared, f64)> = judged
        .map(|((tested, rates), operation)| (judge(operation, tested, rates), weight(operation)))
        .collect();
    // Rounded, so that the last bits of a logarithm order nothing.
    let rank = |compared: &Compared| (compared.score * 1e9).round();
    let text = |compared: &Compared| -> Vec<String> {
        compared.key.iter().map(|value| value.as_ref().map_or_else(String::new, text_of)).collect()
    };
    operations.sort_by(|(a, weight_a), (b, weight_b)| {
        rank(b).total_cmp(&rank(a)).then(weight_b.total_cmp(weight_a)).then_with(|| text(a).cmp(&text(b)))
    });
    let omitted = operations.len().saturating_sub(limit);
    operations.truncate(limit);
    let operations = operations.into_iter().map(|(compared, _)| compared).collect();
    Comparison { operations, tested: testable.len(), omitted }
}

fn text_of(value: &Value) -> String {
    render::json_value(value).to_string()
}

fn weight(operation: &Operation) -> f64 {
    operation.sides.iter().flatten().map(|cohort| cohort.weight).sum()
}

fn judge(operation: &Operation, tested: [Tested; TESTS], rates: &[f64]) -> Compared {
    let mut score = 0.0_f64;
    let mut places = 0..TESTS;
    let [rate, errors, p50, p99, _] = tested.map(|tested| {
        let rate = places.next().and_then(|place| rates.get(place));
        let sure = rate.is_some_and(|rate| *rate <= FALSE_DISCOVERY_RATE);
        if sure {
            score = score.max(tested.strength);
        }
        Measure { sure, ..tested.measure }
    });
    let status = match &operation.sides {
        [None, _] => Status::New,
        [_, None] => Status::Vanished,
        _ => Status::Both,
    };
    Compared { key: operation.key.clone(), status, score, rate, errors, p50, p99 }
}
