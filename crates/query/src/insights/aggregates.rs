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
    /// How much it changed from the earliest value to the latest, a period of so many nanoseconds.
    Rate(i64),
    /// How many values lie in each of so many ranges of equal width.
    Ranges(u16),
}

/// The aggregates by name, as they are written best, with other names and how they are written.
pub const AGGREGATES: &[(&str, &[&str], &str)] = &[
    ("count", &[], "count(*), count(field)"),
    ("sum", &["sumOverTime", "sum_over_time"], "sum(field)"),
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
    ("countOverTime", &["count_over_time"], "countOverTime(field)"),
    ("rate", &[], "rate(field, 1m)"),
    ("histogram", &[], "histogram(field, 10)"),
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
    Rate {
        period_ns: i64,
        ends: Option<[(Moment, f64); 2]>,
    },
    /// Values with their weights.
    Ranges {
        count: u16,
        values: Vec<(f64, f64)>,
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
            Aggregate::Rate(period_ns) => Aggregated::Rate { period_ns, ends: None },
            Aggregate::Ranges(count) => Aggregated::Ranges { count, values: Vec::new() },
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
            Aggregated::Picked { latest, best } => {
                let better =
                    best.as_ref().is_none_or(|(known, _)| (moment > *known) == *latest && moment != *known);
                if better {
                    *best = Some((moment, value.clone()));
                }
            }
            Aggregated::Sorted { last, best } => {
                let wanted = if *last { Ordering::Greater } else { Ordering::Less };
                // What stands at the same place in the order is told apart by its text, so that no order of rows matters.
                let better = best.as_ref().is_none_or(|known| {
                    let order = value.sort_order(known, false);
                    order.then_with(|| value.key().cmp(&known.key())) == wanted
                });
                if better {
                    *best = Some(value.clone());
                }
            }
            Aggregated::Deviation(_) | Aggregated::Rate { .. } | Aggregated::Ranges { .. } => {
                if let Some(number) = value.as_f64().filter(|number| number.is_finite()) {
                    self.add_number(number, weight, moment);
                }
            }
        }
    }

    fn add_number(&mut self, number: f64, weight: f64, moment: Moment) {
        match self {
            Aggregated::Deviation([weights, mean, squares]) => {
                *weights += weight;
                let distance = number - *mean;
                *mean += distance * weight / *weights;
                *squares += weight * distance * (number - *mean);
            }
            Aggregated::Rate { ends, .. } => {
                let [first, last] = ends.get_or_insert([(moment, number); 2]);
                if moment < first.0 {
                    *first = (moment, number);
                }
                if moment > last.0 {
                    *last = (moment, number);
                }
            }
            Aggregated::Ranges { values, .. } => values.push((number, weight)),
            _ => {}
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
            Aggregated::Deviation(_) | Aggregated::Rate { .. } => 0,
            Aggregated::Ranges { values, .. } => values.capacity() * size_of::<(f64, f64)>(),
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
            Aggregated::Rate { period_ns, ends } => ends.map_or(Datum::Missing, |[(from, a), (to, b)]| {
                #[expect(clippy::cast_precision_loss, reason = "a ratio of times")]
                let periods = (to.0.saturating_sub(from.0)) as f64 / (*period_ns).max(1) as f64;
                // Of one moment there is no change: what is divided by zero is missing.
                Datum::number((b - a) / periods)
            }),
            Aggregated::Ranges { count, values } => ranges(*count, values),
        }
    }
}

/// The weight of the values in each of some ranges of equal width, as a map of their bounds; the last range holds its end.
fn ranges(count: u16, values: &[(f64, f64)]) -> Datum {
    let least = values.iter().map(|(number, _)| *number).fold(f64::INFINITY, f64::min);
    let most = values.iter().map(|(number, _)| *number).fold(f64::NEG_INFINITY, f64::max);
    if values.is_empty() {
        return Datum::Missing;
    }
    let width = (most - least) / f64::from(count);
    let mut weights = vec![0.0; usize::from(count)];
    for (number, weight) in values {
        let place = (1..weights.len()).take_while(|place| *number >= bound(least, width, *place)).count();
        weights[place] += weight;
    }
    let text = |place| skein_event::value::canonical_f64(bound(least, width, place));
    let members = weights.iter().enumerate().map(|(place, weight)| {
        (format!("{}..{}", text(place), text(place + 1)), Datum::number(*weight).to_json())
    });
    Datum::Json(std::sync::Arc::new(serde_json::Value::Object(members.collect())))
}

fn bound(least: f64, width: f64, place: usize) -> f64 {
    least + width * f64::from(u16::try_from(place).unwrap_or(u16::MAX))
}

/// The value of a cell.
pub(super) fn of_cell(value: &CellValue) -> Datum {
    match value {
        CellValue::I64(value) => Datum::I64(*value),
        CellValue::F64(value) => Datum::F64(*value),
        CellValue::Missing | CellValue::Histogram { .. } => Datum::Missing,
    }
}
