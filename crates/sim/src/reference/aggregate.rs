//! What an aggregate means for a list of events.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use skein_event::value::Value;

use super::event::Event;
use super::execute::{double_json, integer_json};
use super::number::Number;
use super::relational::{self, Derived, Tie, World};
use super::{filter, names};

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
    /// Made of a number that may be rounded either way: anything may come of it.
    Open,
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
            Cell::Open => Some(Number::F64(0.0)),
            Cell::Histogram(_) => None,
        }
    }

    /// How far another computation may be from that number.
    pub fn margin(&self) -> f64 {
        match self {
            Cell::About { margin, .. } => *margin,
            Cell::Open => f64::INFINITY,
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
    /// Its values, where they are of several events.
    pub derived: Option<Vec<Derived<'a>>>,
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
        list.iter().map(|json| Calculation { json, name: name(json), derived: None }).collect()
    }

    /// Finds its values, where they are of several events: over all events that matched, and by group.
    pub fn derive(
        &mut self,
        matched: &[&'a Event],
        groups: &[Vec<&'a Event>],
        usage_mode: bool,
    ) -> Result<(), Tie> {
        let weight = |event: &Event| if usage_mode { 1.0 } else { event.weight() };
        match self.json["op"].as_str() {
            Some("INTERVAL") => {
                self.derived = Some(relational::intervals(matched, self.json, weight)?);
            }
            Some("PER_TRACE") => {
                let json: &'a Json = self.json;
                let inner = Calculation { json: &json["inner"], name: String::new(), derived: None };
                let of_trace = |events: &Vec<&'a Event>| {
                    let at = events.iter().copied().min_by_key(|event| event.time_ns)?;
                    let passing: Vec<&Event> =
                        events.iter().copied().filter(|e| filter::passes(e, inner.json)).collect();
                    let values = inner.values(&passing, None, true);
                    let cell = inner.cell(&values, true);
                    let number = inner.typed(&values, cell.number()?);
                    let is_rounded =
                        matches!(inner.operation(), "SUM" | "AVG") && !matches!(number, Number::I64(_));
                    let size = Some(number.double().abs()).filter(|size| is_rounded && size.is_finite());
                    let margin = cell.margin() + size.unwrap_or_default() * 1e-9;
                    let weight = events.iter().map(|event| weight(event)).fold(0.0, f64::max);
                    Some(Derived { at, number, margin, weight })
                };
                let traces = groups.iter().flat_map(|events| relational::by_trace(events));
                self.derived = Some(traces.collect::<Vec<_>>().iter().filter_map(of_trace).collect());
            }
            _ => {}
        }
        Ok(())
    }

    /// The number of a cell in the type that it has before it is written as JSON.
    fn typed(&self, values: &[(Option<Cow<'_, Value>>, f64)], number: Number) -> Number {
        let numbers = || values.iter().filter_map(|(value, _)| Number::of(value.as_deref()?));
        match self.operation() {
            "COUNT" | "COUNT_DISTINCT" => number,
            "SUM" if numbers().all(|number| matches!(number, Number::I64(_))) => number,
            // The first of equal ones.
            "MIN" | "MAX" => {
                numbers().find(|one| one.compare(number).is_some_and(Ordering::is_eq)).unwrap_or(number)
            }
            _ => Number::F64(number.double()),
        }
    }

    /// What it computes, of values of several events, too.
    pub(super) fn operation(&self) -> &'a str {
        self.json["outer"].as_str().or(self.json["op"].as_str()).unwrap_or_default()
    }

    /// Its value over some of the matched events. `exact`: the query matched so few that percentiles are.
    pub fn over(&self, events: &[&'a Event], world: &World<'a>, usage_mode: bool, exact: bool) -> Cell {
        match &self.derived {
            Some(derived) => {
                let here: Vec<&Derived<'_>> = Calculation::at(derived, events).collect();
                let slack: f64 = here.iter().map(|value| value.margin * value.weight.max(1.0)).sum();
                widened(self.over_derived(&here, exact), slack)
            }
            None => self.cell(&self.values(&self.passing(events, world), Some(world), usage_mode), exact),
        }
    }

    fn over_derived(&self, here: &[&Derived<'_>], exact: bool) -> Cell {
        let numbers = || here.iter().map(|value| (value.number, value.weight)).collect::<Vec<_>>();
        match self.operation() {
            "COUNT" => count(here.iter().map(|value| value.weight)),
            "COUNT_DISTINCT" => {
                let texts = here.iter().map(|value| value.number.value().canonical_text().into_owned());
                Cell::Exactly(json!(texts.collect::<BTreeSet<_>>().len()))
            }
            operation => numeric(operation, &numbers(), exact),
        }
    }

    /// The values that count for some events.
    pub(super) fn at<'v>(
        derived: &'v [Derived<'a>],
        events: &[&'a Event],
    ) -> impl Iterator<Item = &'v Derived<'a>> {
        let here: BTreeSet<*const Event> = events.iter().map(|event| std::ptr::from_ref(*event)).collect();
        derived.iter().filter(move |value| here.contains(&std::ptr::from_ref(value.at)))
    }

    /// The events that pass its filters, but for those of its own prefix.
    pub(super) fn passing(&self, events: &[&'a Event], world: &World<'a>) -> Vec<&'a Event> {
        let prefix = self.json["column"].as_str().and_then(relational::scoped).map(|(prefix, _)| prefix);
        let mut object = self.json.clone();
        if let (Some(prefix), Some(filters)) = (prefix, object["filters"].as_array_mut()) {
            filters.retain(|filter| !filter["column"].as_str().is_some_and(|name| name.starts_with(prefix)));
        }
        events.iter().copied().filter(|event| world.passes(event, &object)).collect()
    }

    /// The values that it takes, with their weights; without a column one for each event.
    pub(super) fn values<'e>(
        &self,
        events: &[&'e Event],
        world: Option<&World<'e>>,
        usage_mode: bool,
    ) -> Vec<(Option<Cow<'e, Value>>, f64)> {
        let mut found = Vec::new();
        for &event in events {
            let weight = if usage_mode { 1.0 } else { event.weight() };
            match self.json["column"].as_str() {
                None => found.push((None, weight)),
                Some(name) => match (relational::scoped(name), world) {
                    (Some((prefix, rest)), Some(world)) => {
                        let others = world.candidates(event, prefix, self.json);
                        let values = others.filter_map(|other| names::value(other, rest));
                        found.extend(values.map(|value| (Some(value), weight)));
                    }
                    _ => found.extend(names::value(event, name).map(|value| (Some(value), weight))),
                },
            }
        }
        found
    }

    fn cell(&self, values: &[(Option<Cow<'_, Value>>, f64)], exact: bool) -> Cell {
        match self.json["op"].as_str().unwrap_or_default() {
            "COUNT" => count(values.iter().map(|(_, weight)| *weight)),
            "COUNT_DISTINCT" => {
                let text = |(value, _): &(Option<Cow<'_, Value>>, f64)| {
                    Some(value.as_ref()?.canonical_text().into_owned())
                };
                Cell::Exactly(json!(values.iter().filter_map(text).collect::<BTreeSet<_>>().len()))
            }
            operation => {
                let number = |(value, weight): &(Option<Cow<'_, Value>>, f64)| {
                    Some((Number::of(value.as_deref()?)?, *weight))
                };
                numeric(operation, &values.iter().filter_map(number).collect::<Vec<_>>(), exact)
            }
        }
    }
}

/// A cell whose parts are themselves only about right.
fn widened(cell: Cell, slack: f64) -> Cell {
    if slack == 0.0 {
        return cell;
    }
    match &cell {
        Cell::Exactly(Json::Null) | Cell::Histogram(_) => cell,
        _ => match cell.number() {
            Some(number) if number.double().is_finite() => {
                Cell::About { value: number.double(), margin: cell.margin() + slack }
            }
            _ => cell,
        },
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
