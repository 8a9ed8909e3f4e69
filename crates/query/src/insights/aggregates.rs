//! Aggregates: their names, and their states over rows that are not counted by the engine's own scan.
//!
//! What the builder language has is computed by the same states, so that both say the same; the rest is here.

use std::cmp::Ordering;

use skein_event::hash::HashKey;
use skein_event::ids::EventId;

use super::datum::Datum;
use crate::aggregate::State;
use crate::plan::{Operation, Percentile};
use crate::result::CellValue;

/// An aggregate of rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aggregate {
    /// One of the builder language.
    Shared(Operation),
    /// The standard deviation of a sample.
    Deviation,
    /// The value of the earliest row that has one.
    Earliest,
    /// Of the latest.
    Latest,
    /// The first value in the order of `sort`.
    First,
    /// The last.
    Last,
}

/// The aggregates by name, as they are written best, with other names and how they are written.
pub const AGGREGATES: &[(&str, &[&str], &str)] = &[
    ("count", &[], "count(*), count(field)"),
    ("sum", &["sumOverTime"], "sum(field)"),
    ("avg", &[], "avg(field)"),
    ("min", &[], "min(field)"),
    ("max", &[], "max(field)"),
    ("stddev", &[], "stddev(field)"),
    ("count_distinct", &["countDistinct"], "count_distinct(field)"),
    ("pct", &["percentile"], "pct(field, 95)"),
    ("earliest", &[], "earliest(field)"),
    ("latest", &[], "latest(field)"),
    ("sortsFirst", &[], "sortsFirst(field)"),
    ("sortsLast", &[], "sortsLast(field)"),
    ("countOverTime", &[], "countOverTime(field)"),
    ("count_if", &["countIf"], "count_if(condition)"),
    ("median", &[], "median(field)"),
    ("p50", &[], "p50(field)"),
    ("p90", &[], "p90(field)"),
    ("p95", &[], "p95(field)"),
    ("p99", &[], "p99(field)"),
];

/// Aggregates that CloudWatch does not have, and what is the same there.
pub(super) const OURS: &[&str] = &["count_if", "median", "p50", "p90", "p95", "p99"];

/// The names.
pub fn names() -> impl Iterator<Item = &'static str> {
    AGGREGATES.iter().map(|(name, ..)| *name)
}

/// The name of an aggregate as it is written best, whatever its case.
pub(super) fn canonical_name(name: &str) -> Option<&'static str> {
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    AGGREGATES.iter().find(|(known, others, _)| is(known) || others.iter().any(is)).map(|(k, ..)| *k)
}

/// The aggregate of a name, but for those with arguments of their own.
pub(super) fn of_name(name: &str) -> Option<Aggregate> {
    let percentile = |thousandths| Aggregate::Shared(Operation::Percentile(Percentile(thousandths)));
    Some(match name {
        "count" | "countOverTime" | "count_if" => Aggregate::Shared(Operation::Count),
        "sum" => Aggregate::Shared(Operation::Sum),
        "avg" => Aggregate::Shared(Operation::Avg),
        "min" => Aggregate::Shared(Operation::Min),
        "max" => Aggregate::Shared(Operation::Max),
        "count_distinct" => Aggregate::Shared(Operation::CountDistinct),
        "stddev" => Aggregate::Deviation,
        "earliest" => Aggregate::Earliest,
        "latest" => Aggregate::Latest,
        "sortsFirst" => Aggregate::First,
        "sortsLast" => Aggregate::Last,
        "median" | "p50" => percentile(500),
        "p90" => percentile(900),
        "p95" => percentile(950),
        "p99" => percentile(990),
        _ => return None,
    })
}

/// Where a row stands in time.
pub(super) type Moment = (i64, EventId);

/// The state of an aggregate of a group.
#[derive(Clone, Debug)]
pub(super) enum Aggregated {
    Shared {
        operation: Operation,
        state: State,
        /// Whether any value was a time: then the least and the largest are.
        of_times: bool,
    },
    /// Weight, mean and the sum of squared distances from it.
    Deviation([f64; 3]),
    Picked {
        latest: bool,
        best: Option<(Moment, Datum)>,
    },
    Sorted {
        last: bool,
        best: Option<Datum>,
    },
}

impl Aggregated {
    pub(super) fn new(aggregate: Aggregate, exact: bool) -> Aggregated {
        match aggregate {
            Aggregate::Shared(operation) => {
                Aggregated::Shared { operation, state: State::new(operation, exact), of_times: false }
            }
            Aggregate::Deviation => Aggregated::Deviation([0.0; 3]),
            Aggregate::Earliest => Aggregated::Picked { latest: false, best: None },
            Aggregate::Latest => Aggregated::Picked { latest: true, best: None },
            Aggregate::First => Aggregated::Sorted { last: false, best: None },
            Aggregate::Last => Aggregated::Sorted { last: true, best: None },
        }
    }

    /// Adds a row; `None` is of an aggregate without an argument.
    pub(super) fn add(&mut self, value: Option<&Datum>, weight: f64, moment: Moment) {
        let Some(value) = value else {
            if let Aggregated::Shared { state, .. } = self {
                state.add_event(weight);
            }
            return;
        };
        if value.is_missing() {
            return;
        }
        match self {
            Aggregated::Shared { operation: Operation::Count, state, .. } => state.add_event(weight),
            Aggregated::Shared { operation: Operation::CountDistinct, state, .. } => {
                if let Some(text) = value.key() {
                    // Different texts of one query share a hash so seldom that any key will do.
                    state.add_hash(HashKey(0).hash(text.as_bytes()), weight);
                }
            }
            Aggregated::Shared { state, of_times, .. } => {
                let number = match value {
                    // Stored booleans are no numbers to the engine's scan either.
                    Datum::Bool(_) => None,
                    Datum::Time(time_ns) => {
                        *of_times = true;
                        Some(crate::number::Number::I64(*time_ns))
                    }
                    other => other.as_number(),
                };
                if let Some(number) = number {
                    state.add_number(number, weight);
                }
            }
            Aggregated::Deviation([weights, mean, squares]) => {
                if let Some(number) = value.as_f64().filter(|number| number.is_finite()) {
                    *weights += weight;
                    let distance = number - *mean;
                    *mean += distance * weight / *weights;
                    *squares += weight * distance * (number - *mean);
                }
            }
            Aggregated::Picked { latest, best } => {
                let better =
                    best.as_ref().is_none_or(|(known, _)| (moment > *known) == *latest && moment != *known);
                if better {
                    *best = Some((moment, value.clone()));
                }
            }
            Aggregated::Sorted { last, best } => {
                let wanted = if *last { Ordering::Greater } else { Ordering::Less };
                let better = best.as_ref().is_none_or(|known| value.sort_order(known, false) == wanted);
                if better {
                    *best = Some(value.clone());
                }
            }
        }
    }

    /// Gives up exact percentiles.
    pub(super) fn make_sketch(&mut self) {
        if let Aggregated::Shared { state, .. } = self {
            state.make_sketch();
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Aggregated::Shared { state, .. } => state.heap_bytes(),
            Aggregated::Deviation(_) => 0,
            Aggregated::Picked { best, .. } => best.as_ref().map_or(0, |(_, value)| value.heap_bytes()),
            Aggregated::Sorted { best, .. } => best.as_ref().map_or(0, Datum::heap_bytes),
        }
    }

    pub(super) fn finish(&self) -> Datum {
        match self {
            Aggregated::Shared { operation, state, of_times } => {
                let value = of_cell(&state.finish().0.value);
                let keeps = matches!(operation, Operation::Min | Operation::Max | Operation::Percentile(_));
                match value {
                    Datum::I64(time_ns) if *of_times && keeps => Datum::Time(time_ns),
                    other => other,
                }
            }
            Aggregated::Deviation([weights, _, squares]) if *weights > 1.0 => {
                Datum::number((squares / (weights - 1.0)).sqrt())
            }
            Aggregated::Deviation([weights, ..]) if *weights > 0.0 => Datum::I64(0),
            Aggregated::Deviation(_) => Datum::Missing,
            Aggregated::Picked { best, .. } => {
                best.as_ref().map_or(Datum::Missing, |(_, value)| value.clone())
            }
            Aggregated::Sorted { best, .. } => best.clone().unwrap_or(Datum::Missing),
        }
    }
}

/// The value of a cell.
pub(super) fn of_cell(value: &CellValue) -> Datum {
    match value {
        CellValue::I64(value) => Datum::I64(*value),
        CellValue::F64(value) => Datum::F64(*value),
        CellValue::Missing | CellValue::Histogram { .. } => Datum::Missing,
    }
}
