//! What an aggregate means for a list of events.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use skein_event::value::Value;

use super::event::Event;
use super::execute::{double_json, integer_json};
use super::filter;
use super::names;
use super::number::Number;

/// Below so many matched rows percentiles are exact, from there on within 1 %.
pub const EXACT_ROWS_MAX: usize = 10_000;

/// The value of one calculation, and how far another computation may be from it.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Exactly this.
    Exactly(Json),
    /// This number, give or take.
    About {
        /// The number.
        value: f64,
        /// The largest difference allowed.
        margin: f64,
    },
    /// A histogram of these weighted values, over whatever edges.
    Histogram(Vec<(f64, f64)>),
}

impl Cell {
    /// The number by which results are ordered and compared, without rounding.
    pub fn number(&self) -> Option<Number> {
        match self {
            Cell::Exactly(Json::String(text)) => match text.as_str() {
                "NaN" => Some(Number::F64(f64::NAN)),
                "Infinity" => Some(Number::F64(f64::INFINITY)),
                "-Infinity" => Some(Number::F64(f64::NEG_INFINITY)),
                digits => digits.parse().ok().map(Number::I64),
            },
            Cell::Exactly(json) => json.as_i64().map(Number::I64).or_else(|| json.as_f64().map(Number::F64)),
            Cell::About { value, .. } => Some(Number::F64(*value)),
            Cell::Histogram(_) => None,
        }
    }

    /// How far another computation may be from that number.
    pub fn margin(&self) -> f64 {
        match self {
            Cell::About { margin, .. } => *margin,
            _ => 0.0,
        }
    }
}

/// One calculation of a specification.
pub struct Calculation<'a> {
    /// Its JSON.
    pub json: &'a Json,
    /// Its key in the answer.
    pub name: String,
}

impl<'a> Calculation<'a> {
    /// The calculations of a specification; without any, a COUNT.
    pub fn all(spec: &'a Json, count: &'a Json) -> Vec<Calculation<'a>> {
        let list = spec["calculations"].as_array().map(Vec::as_slice).unwrap_or_default();
        let list = if list.is_empty() { std::slice::from_ref(count) } else { list };
        let name = |json: &Json| {
            let op = json["op"].as_str().unwrap_or_default();
            match (json["name"].as_str(), json["column"].as_str()) {
                (Some(name), _) => name.to_owned(),
                (None, Some(column)) => format!("{op}({column})"),
                (None, None) => op.to_owned(),
            }
        };
        list.iter().map(|json| Calculation { json, name: name(json) }).collect()
    }

    /// Whether its value over some of the matched events is exact: none of the events it is of stands for
    /// others, and it is from no sketch.
    pub fn is_exact(&self, events: &[&Event], usage_mode: bool, exact: bool) -> bool {
        let operation = self.json["op"].as_str().unwrap_or_default();
        let takes_part = |event: &Event| match self.json["column"].as_str() {
            None => true,
            Some(column) => names::value(event, column).is_some_and(|value| {
                matches!(operation, "COUNT" | "COUNT_DISTINCT") || Number::of(&value).is_some()
            }),
        };
        let sampled = |event: &&Event| {
            #[expect(clippy::float_cmp, reason = "a weight of exactly 1 stands for itself")]
            let stands_for_others = event.weight() != 1.0;
            stands_for_others && filter::passes(event, self.json) && takes_part(event)
        };
        let sketched = operation.starts_with('P') && !exact;
        !sketched && (usage_mode || !events.iter().any(sampled))
    }

    /// Its value over some of the matched events. `exact`: the query matched so few that percentiles are.
    pub fn over(&self, events: &[&Event], usage_mode: bool, exact: bool) -> Cell {
        let events: Vec<&Event> =
            events.iter().filter(|event| filter::passes(event, self.json)).copied().collect();
        let weight = |event: &Event| if usage_mode { 1.0 } else { event.weight() };
        let column = self.json["column"].as_str();
        let with_column = |event: &&&Event| column.is_none_or(|name| names::value(event, name).is_some());
        match self.json["op"].as_str().unwrap_or_default() {
            "COUNT" => count(events.iter().filter(with_column).map(|event| weight(event))),
            "COUNT_DISTINCT" => {
                let value =
                    |event: &&Event| Some(names::value(event, column?)?.canonical_text().into_owned());
                Cell::Exactly(json!(events.iter().filter_map(value).collect::<BTreeSet<_>>().len()))
            }
            operation => {
                let number = |event: &&Event| {
                    Some((Number::of(&*names::value(event, column?)? as &Value)?, weight(event)))
                };
                numeric(operation, &events.iter().filter_map(number).collect::<Vec<_>>(), exact)
            }
        }
    }
}

fn count(weights: impl Iterator<Item = f64>) -> Cell {
    let weights: Vec<f64> = weights.collect();
    let sum: f64 = weights.iter().sum();
    if weights.iter().all(|weight| weight.fract() == 0.0) {
        #[expect(clippy::cast_possible_truncation, reason = "test data stays far below 2^53")]
        return Cell::Exactly(integer_json(sum as i64));
    }
    Cell::About { value: sum, margin: sum * 1e-12 }
}

fn numeric(operation: &str, numbers: &[(Number, f64)], exact: bool) -> Cell {
    if operation == "HEATMAP" {
        let finite = numbers.iter().map(|(number, weight)| (number.double(), *weight));
        return Cell::Histogram(finite.filter(|(value, _)| value.is_finite()).collect());
    }
    if numbers.is_empty() {
        return Cell::Exactly(Json::Null);
    }
    match operation {
        "SUM" => sum(numbers),
        "AVG" => {
            let total: f64 = numbers.iter().map(|(_, weight)| weight).sum();
            let parts: Vec<f64> = numbers.iter().map(|(number, weight)| number.double() * weight).collect();
            about_sum(&parts, total)
        }
        "MIN" => extreme(numbers, Ordering::Less),
        "MAX" => extreme(numbers, Ordering::Greater),
        percentile => self::percentile(thousandths(percentile), numbers, exact),
    }
}

fn about(value: f64, margin: f64) -> Cell {
    if value.is_finite() { Cell::About { value, margin } } else { Cell::Exactly(double_json(value)) }
}

/// A sum of doubles over a divisor.
fn about_sum(parts: &[f64], divisor: f64) -> Cell {
    let size: f64 = parts.iter().filter(|part| part.is_finite()).map(|part| part.abs()).sum();
    if !size.is_finite() {
        // Whether and where the sum leaves the doubles hangs on the order of additions.
        return Cell::About { value: 0.0, margin: f64::INFINITY };
    }
    about(parts.iter().sum::<f64>() / divisor, size / divisor * 1e-9)
}

fn sum(numbers: &[(Number, f64)]) -> Cell {
    let whole = |(number, weight): &(Number, f64)| match number {
        #[expect(clippy::cast_possible_truncation, reason = "weights of test data are small")]
        Number::I64(value) if weight.fract() == 0.0 => Some(i128::from(*value) * (*weight as i128)),
        _ => None,
    };
    let exact: Option<i128> = numbers.iter().map(whole).sum();
    match exact.map(i64::try_from) {
        Some(Ok(sum)) => Cell::Exactly(integer_json(sum)),
        _ => {
            let parts: Vec<f64> = numbers.iter().map(|(number, weight)| number.double() * weight).collect();
            about_sum(&parts, 1.0)
        }
    }
}

fn extreme(numbers: &[(Number, f64)], wanted: Ordering) -> Cell {
    let mut best: Option<Number> = None;
    for &(number, _) in numbers.iter().filter(|(number, _)| !number.double().is_nan()) {
        if best.is_none_or(|best| number.compare(best) == Some(wanted)) {
            best = Some(number);
        }
    }
    Cell::Exactly(match best {
        None => Json::Null,
        Some(Number::I64(value)) => integer_json(value),
        Some(Number::F64(value)) => double_json(value),
    })
}

/// P001 is 1, P05 is 50, P95 is 950, P999 is 999.
fn thousandths(operation: &str) -> f64 {
    let digits = operation.trim_start_matches('P');
    let value: f64 = digits.parse().unwrap_or_default();
    match digits.len() {
        2 => value * 10.0,
        _ => value,
    }
}

/// The smallest value whose cumulative weight is at least q·W.
fn percentile(thousandths: f64, numbers: &[(Number, f64)], exact: bool) -> Cell {
    let mut values: Vec<(f64, f64)> =
        numbers.iter().map(|(number, weight)| (number.double(), *weight)).collect();
    values.retain(|(value, _)| !value.is_nan());
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let wanted = thousandths * values.iter().map(|(_, weight)| weight).sum::<f64>();
    let whole = values.iter().all(|(_, weight)| weight.fract() == 0.0);
    // Sums of fractional weights may be rounded either way: what they nearly reach may count as reached.
    let nearly = if whole { wanted } else { wanted * (1.0 - 1e-12) };
    let surely = if whole { wanted } else { wanted * (1.0 + 1e-12) };
    let (mut cumulative, mut low) = (0.0, None);
    for (place, (value, weight)) in values.iter().enumerate() {
        cumulative += weight;
        if low.is_none() && cumulative * 1000.0 >= nearly {
            low = Some(*value);
        }
        if let Some(low) = low.filter(|_| cumulative * 1000.0 >= surely || place + 1 == values.len()) {
            let middle = if low.total_cmp(value).is_eq() { low } else { low + (value - low) / 2.0 };
            // A little more than stated for the rounding of logarithms.
            let margin = if exact { 0.0 } else { value.abs().max(low.abs()) * 0.01 * (1.0 + 1e-9) };
            return about(middle, (value - low).abs().max(0.0) / 2.0 + margin);
        }
    }
    Cell::Exactly(Json::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_and_never_between_two() {
        let numbers = |weights: &[f64]| -> Vec<(Number, f64)> {
            weights.iter().zip(1..).map(|(weight, value)| (Number::I64(value), *weight)).collect()
        };
        let cases: &[(&str, &[f64], f64)] = &[
            ("P50", &[1.0, 1.0], 1.0),
            ("P50", &[1.0, 1.0, 1.0], 2.0),
            ("P50", &[1.0, 9.0], 2.0),
            ("P90", &[9.0, 1.0], 1.0),
            ("P95", &[9.0, 1.0], 2.0),
            ("P001", &[1.0, 999.0], 1.0),
            ("P999", &[999.0, 1.0], 1.0),
        ];
        for (operation, weights, expected) in cases {
            let cell = percentile(thousandths(operation), &numbers(weights), true);
            assert_eq!(cell, Cell::About { value: *expected, margin: 0.0 }, "{operation} {weights:?}");
        }
    }

    #[test]
    fn an_integer_sum_that_does_not_fit_becomes_a_double() {
        let most = Number::I64(i64::MAX);
        assert_eq!(sum(&[(most, 1.0)]), Cell::Exactly(json!(i64::MAX.to_string())));
        assert!(matches!(sum(&[(most, 2.0)]), Cell::About { value, .. } if value > 1.8e19));
    }
}
