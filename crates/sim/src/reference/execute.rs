//! What a builder specification answers: the JSON of one, over a list of events.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use skein_event::value::{Value, canonical_f64};

use super::aggregate::{Calculation, Cell, EXACT_ROWS_MAX};
use super::event::{Event, Place};
use super::number::Number;
use super::{filter, names};

/// Integers beyond ±(2^53 − 1) are strings in JSON.
const SAFE_MAX: i64 = (1 << 53) - 1;
/// The number of groups or rows when a specification states none.
const LIMIT_DEFAULT: usize = 100;

/// What a specification answers.
#[derive(Debug)]
pub enum Answer {
    /// Aggregates.
    Groups {
        /// The groups shown, in order.
        results: Vec<Group>,
        /// Present when a granularity was given: time, place in `results`, cells.
        series: Option<Vec<(i64, usize, Vec<Cell>)>>,
        /// Over everything that matched.
        total: Vec<Cell>,
        /// Over what the limit cut off, if it cut anything.
        other: Option<Vec<Cell>>,
        /// Keys of the cells.
        names: Vec<String>,
    },
    /// Raw rows, newest first or oldest first; those of one timestamp in any order. All of them: the limit
    /// applies to the caller's comparison.
    Rows {
        /// Time and columns.
        rows: Vec<(i64, Map<String, Json>)>,
        /// How many are to be shown.
        limit: usize,
    },
}

/// One group.
#[derive(Debug)]
pub struct Group {
    /// Breakdowns under their names.
    pub key: Map<String, Json>,
    /// A cell per calculation.
    pub cells: Vec<Cell>,
}

struct Open<'a> {
    texts: Vec<Option<String>>,
    shown: Vec<Option<Value>>,
    events: Vec<&'a Event>,
    cells: Vec<Cell>,
}

/// Answers a specification. Its times must be stated (`start_time`, `end_time`), and it must be valid.
pub fn answer(events: &[Event], spec: &Json) -> Answer {
    let (start, end) = (seconds_ns(&spec["start_time"]), seconds_ns(&spec["end_time"]));
    let datasets = spec["datasets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let in_datasets = |event: &Event| {
        datasets.is_empty() || datasets.iter().any(|name| name.as_str() == event.text("dataset"))
    };
    let matched: Vec<&Event> = events
        .iter()
        .filter(|event| start <= event.time_ns && event.time_ns < end)
        .filter(|event| in_datasets(event) && filter::passes(event, spec))
        .collect();
    let limit = spec["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LIMIT_DEFAULT);
    if spec["calculations"].as_array().is_some_and(Vec::is_empty) {
        rows(matched, spec, limit)
    } else {
        groups(&matched, spec, limit)
    }
}

fn groups(matched: &[&Event], spec: &Json, limit: usize) -> Answer {
    let count = json!({"op": "COUNT"});
    let calculations = Calculation::all(spec, &count);
    let usage_mode = spec["usage_mode"].as_bool().unwrap_or_default();
    let exact = matched.len() < EXACT_ROWS_MAX;
    let cells = |events: &[&Event]| -> Vec<Cell> {
        calculations.iter().map(|calculation| calculation.over(events, usage_mode, exact)).collect()
    };
    let breakdowns = texts(&spec["breakdowns"]);
    let mut found: BTreeMap<Vec<Option<String>>, Vec<&Event>> = BTreeMap::new();
    for &event in matched {
        let text = |name: &&str| names::value(event, name).map(|value| value.canonical_text().into_owned());
        found.entry(breakdowns.iter().map(text).collect()).or_default().push(event);
    }
    if breakdowns.is_empty() {
        found.entry(Vec::new()).or_default();
    }
    let mut groups: Vec<Open<'_>> = found
        .into_iter()
        .map(|(texts, events)| Open {
            cells: cells(&events),
            shown: shown(&events, &breakdowns),
            texts,
            events,
        })
        .filter(|group| meets_havings(group, spec, &calculations))
        .collect();
    groups.sort_by(|a, b| order(a, b, spec, &calculations, &breakdowns));
    let cut = groups.split_off(groups.len().min(limit));
    let other: Vec<&Event> = cut.iter().flat_map(|group| group.events.iter().copied()).collect();
    let show = |group: &Open<'_>| Group { key: key(group, &breakdowns), cells: group.cells.clone() };
    Answer::Groups {
        series: series(&groups, spec, &cells),
        total: cells(matched),
        other: (!cut.is_empty()).then(|| cells(&other)),
        names: calculations.iter().map(|calculation| calculation.name.clone()).collect(),
        results: groups.iter().map(show).collect(),
    }
}

/// The breakdowns of a group, each in the type that most of its events have; text on a tie.
fn shown(events: &[&Event], breakdowns: &[&str]) -> Vec<Option<Value>> {
    let of_name = |name: &&str| {
        let mut by_type: BTreeMap<u8, (usize, Value)> = BTreeMap::new();
        for value in events.iter().filter_map(|event| names::value(event, name)) {
            by_type.entry(rank(&value)).or_insert((0, value.into_owned())).0 += 1;
        }
        let most = by_type.into_iter().max_by_key(|(rank, (count, _))| (*count, std::cmp::Reverse(*rank)));
        most.map(|(_, (_, value))| value)
    };
    breakdowns.iter().map(of_name).collect()
}

fn key(group: &Open<'_>, breakdowns: &[&str]) -> Map<String, Json> {
    let member = |(name, value): (&&str, &Option<Value>)| {
        ((*name).to_owned(), value.as_ref().map_or(Json::Null, value_json))
    };
    breakdowns.iter().zip(&group.shown).map(member).collect()
}

/// Types in the order in which a tie is broken.
fn rank(value: &Value) -> u8 {
    match value {
        Value::Text(_) => 0,
        Value::Bytes(_) => 1,
        Value::Json(_) => 2,
        Value::Bool(_) => 3,
        Value::I64(_) => 4,
        Value::F64(_) => 5,
    }
}

fn series(
    groups: &[Open<'_>],
    spec: &Json,
    cells: &dyn Fn(&[&Event]) -> Vec<Cell>,
) -> Option<Vec<(i64, usize, Vec<Cell>)>> {
    let granularity = seconds_ns(&spec["granularity"]);
    if granularity <= 0 {
        return None;
    }
    let mut buckets: BTreeMap<(i64, usize), Vec<&Event>> = BTreeMap::new();
    for (place, group) in groups.iter().enumerate() {
        for &event in &group.events {
            let bucket = event.time_ns.div_euclid(granularity) * granularity;
            buckets.entry((bucket, place)).or_default().push(event);
        }
    }
    Some(buckets.into_iter().map(|((time, place), events)| (time, place, cells(&events))).collect())
}

/// The calculation that an order or a having means.
fn referred(object: &Json, operation: &str, calculations: &[Calculation<'_>]) -> Option<usize> {
    if let Some(name) = object["name"].as_str() {
        return calculations.iter().position(|calculation| calculation.name == name);
    }
    let same = |calculation: &Calculation<'_>| {
        calculation.json["op"] == object[operation] && calculation.json["column"] == object["column"]
    };
    let plain = |calculation: &&Calculation<'_>| calculation.json["filters"].is_null();
    let place = calculations.iter().position(|calculation| same(calculation) && plain(&calculation));
    place.or_else(|| calculations.iter().position(same))
}

fn meets_havings(group: &Open<'_>, spec: &Json, calculations: &[Calculation<'_>]) -> bool {
    let havings = spec["havings"].as_array().map(Vec::as_slice).unwrap_or_default();
    havings.iter().all(|having| {
        let Some(place) = referred(having, "calculate_op", calculations) else { return false };
        let bound = having["value"].as_f64().unwrap_or_default();
        let order = group.cells[place].number().and_then(|number| number.compare(Number::F64(bound)));
        match having["op"].as_str().unwrap_or_default() {
            "=" => order == Some(Ordering::Equal),
            "!=" => order != Some(Ordering::Equal),
            "<" => order == Some(Ordering::Less),
            "<=" => order.is_some_and(Ordering::is_le),
            ">" => order == Some(Ordering::Greater),
            _ => order.is_some_and(Ordering::is_ge),
        }
    })
}

fn order(
    a: &Open<'_>,
    b: &Open<'_>,
    spec: &Json,
    calculations: &[Calculation<'_>],
    breakdowns: &[&str],
) -> Ordering {
    let orders = spec["orders"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut ordering = Ordering::Equal;
    if orders.is_empty() {
        // The first calculation that has an order, largest first.
        if let Some(place) = calculations.iter().position(|calculation| calculation.json["op"] != "HEATMAP") {
            ordering = directed(a.cells[place].number(), b.cells[place].number(), true);
        }
    }
    for wanted in orders {
        let descending = wanted["order"] == "descending";
        let by_breakdown =
            wanted["op"].is_null().then(|| breakdowns.iter().position(|name| wanted["column"] == **name));
        ordering = ordering.then_with(|| match by_breakdown.flatten() {
            Some(place) => directed_values(a.shown[place].as_ref(), b.shown[place].as_ref(), descending),
            None => {
                let place = referred(wanted, "op", calculations).unwrap_or_default();
                directed(a.cells[place].number(), b.cells[place].number(), descending)
            }
        });
    }
    let by_text = |a: &Option<String>, b: &Option<String>| directed_text_only(a, b);
    let ties = || a.texts.iter().zip(&b.texts).map(|(a, b)| by_text(a, b)).find(|o| o.is_ne());
    ordering.then_with(|| ties().unwrap_or(Ordering::Equal))
}

/// Missing values and NaN last either way.
fn directed(a: Option<Number>, b: Option<Number>, descending: bool) -> Ordering {
    let class = |value: Option<Number>| match value {
        Some(number) if number.double().is_nan() => 1,
        Some(_) => 0,
        None => 2,
    };
    let ordering = class(a).cmp(&class(b)).then_with(|| match (a, b) {
        (Some(a), Some(b)) => a.compare(b).unwrap_or(Ordering::Equal),
        _ => Ordering::Equal,
    });
    if descending && class(a) == 0 && class(b) == 0 { ordering.reverse() } else { ordering }
}

/// By the value shown: booleans, then numbers by value, then everything else by its text; NaN and missing
/// values last either way.
fn directed_values(a: Option<&Value>, b: Option<&Value>, descending: bool) -> Ordering {
    let class = |value: Option<&Value>| match value {
        Some(Value::Bool(_)) => 0,
        Some(Value::F64(double)) if double.is_nan() => 3,
        Some(Value::I64(_) | Value::F64(_)) => 1,
        Some(_) => 2,
        None => 4,
    };
    let text = |value: Option<&Value>| value.map(|value| value.canonical_text().into_owned());
    let number = |value: Option<&Value>| value.and_then(Number::of);
    let ordering = class(a).cmp(&class(b)).then_with(|| match class(a) {
        1 => number(a).zip(number(b)).and_then(|(a, b)| a.compare(b)).unwrap_or(Ordering::Equal),
        _ => text(a).cmp(&text(b)),
    });
    if descending && class(a) < 3 && class(b) < 3 { ordering.reverse() } else { ordering }
}

/// What everything else leaves equal: by text, missing last.
fn directed_text_only(a: &Option<String>, b: &Option<String>) -> Ordering {
    a.is_none().cmp(&b.is_none()).then_with(|| a.cmp(b))
}

fn rows(mut matched: Vec<&Event>, spec: &Json, limit: usize) -> Answer {
    matched.sort_by_key(|event| event.time_ns);
    if spec["orders"][0]["order"] != "ascending" {
        matched.reverse();
    }
    Answer::Rows { rows: matched.into_iter().map(|event| (event.time_ns, flat(event))).collect(), limit }
}

/// The present columns of an event under their names. An attribute that is called like a fixed column, or is
/// hidden by an equal name of a place before, stands under the name that reaches it.
pub fn flat(event: &Event) -> Map<String, Json> {
    let mut members: BTreeMap<String, Json> = BTreeMap::new();
    // Places come in the order in which they hide each other.
    for ((place, name), value) in &event.values {
        let reserved = *place != Place::Fixed
            && skein_event::columns::is_reserved(name)
            && !(*place == Place::Resource && name == "service.name");
        let prefix = match place {
            Place::Fixed => "",
            Place::Item | Place::Metric | Place::Derived => "attributes.",
            Place::Body => "body.",
            Place::Scope => "scope.",
            Place::Resource => "resource.",
        };
        let reaching = format!("{prefix}{name}");
        let shown = if reserved || members.contains_key(name) { reaching } else { name.clone() };
        members.entry(shown).or_insert_with(|| value_json(value));
    }
    members.into_iter().collect()
}

fn texts(list: &Json) -> Vec<&str> {
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Json::as_str).collect()
}

fn seconds_ns(seconds: &Json) -> i64 {
    seconds.as_i64().map_or(0, |seconds| seconds.saturating_mul(1_000_000_000))
}

/// An integer as CONTRACT writes it.
pub fn integer_json(value: i64) -> Json {
    if (-SAFE_MAX..=SAFE_MAX).contains(&value) { json!(value) } else { json!(value.to_string()) }
}

/// A double: a whole one as an integer, NaN and infinities as text.
pub fn double_json(value: f64) -> Json {
    if !value.is_finite() {
        return json!(canonical_f64(value));
    }
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
        return json!(value as i64);
    }
    json!(value)
}

/// A value as it stands in answers.
pub fn value_json(value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::I64(value) => integer_json(*value),
        Value::F64(value) => double_json(*value),
        Value::Text(text) => json!(text),
        Value::Bytes(_) => json!(value.canonical_text()),
        Value::Json(_) => serde_json::from_str(&value.canonical_text()).unwrap_or(Json::Null),
    }
}

/// RFC 3339 in UTC with nine digits.
pub fn time_text(time_ns: i64) -> String {
    let (days, rest) = (time_ns.div_euclid(86_400_000_000_000), time_ns.rem_euclid(86_400_000_000_000));
    let (seconds, nanos) = (rest / 1_000_000_000, rest % 1_000_000_000);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

/// The date of a day since 1970-01-01, by counting: plain, and slow enough to be believed.
fn civil(days: i64) -> (i64, i64, i64) {
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let (mut year, mut left) = (1970, days);
    while left < 0 {
        year -= 1;
        left += if leap(year) { 366 } else { 365 };
    }
    while left >= if leap(year) { 366 } else { 365 } {
        left -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    for (month, length) in (1..).zip(lengths) {
        if left < length {
            return (year, month, left + 1);
        }
        left -= length;
    }
    (year, 12, 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_nine_digits() {
        assert_eq!(time_text(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(time_text(1_709_210_096_000_000_007), "2024-02-29T12:34:56.000000007Z");
        assert_eq!(time_text(-1), "1969-12-31T23:59:59.999999999Z");
    }
}
