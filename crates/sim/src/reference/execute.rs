//! What a builder specification answers: the JSON of one, over a list of events.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::LazyLock;

use serde_json::{Map, Value as Json, json};
use skein_event::value::{Value, canonical_f64};

use super::aggregate::{Calculation, Cell, EXACT_ROWS_MAX};
use super::event::{Event, Place};
use super::expression;
use super::formula::Formulas;
use super::names;
use super::order::{Order, meets_havings};
use super::relational::{Tie, World};
use super::sampling::{self, Sure};

/// Integers beyond ±(2^53 − 1) are strings in JSON.
const SAFE_MAX: i64 = (1 << 53) - 1;
/// Groups or rows when a specification states none.
const LIMIT_DEFAULT: usize = 100;

/// What a specification answers.
#[derive(Debug)]
pub enum Answer {
    /// Aggregates.
    Groups {
        /// The groups shown, in order.
        results: Vec<Group>,
        /// What happened when.
        series: Series,
        /// Over everything that matched.
        total: Vec<Cell>,
        /// Over what the limit cut off, if it cut anything.
        other: Option<Vec<Cell>>,
        /// How sure those two are.
        sure: (Vec<Sure>, Vec<Sure>),
        /// Keys of the cells.
        names: Vec<String>,
        /// The answer of the earlier range that it is compared with.
        compare: Option<Box<Answer>>,
    },
    /// Raw rows, newest first or oldest first; those of one timestamp in any order. All of them: the limit
    /// applies to the caller's comparison.
    Rows {
        /// Time and columns.
        rows: Vec<(i64, Map<String, Json>)>,
        /// How many are to be shown.
        limit: usize,
    },
    /// A having stands at the edge of what a computation may round: either answer is right.
    Unclear,
}

/// The series of an answer.
#[derive(Debug)]
pub enum Series {
    /// None was asked for.
    Absent,
    /// One was asked for, with buckets of a length that is not stated.
    OfAnyLength,
    /// Time, place in the results, cells.
    Entries(Vec<(i64, usize, Vec<Cell>)>),
}

/// One group.
#[derive(Debug)]
pub struct Group {
    /// Breakdowns under their names.
    pub key: Map<String, Json>,
    /// A cell per calculation.
    pub cells: Vec<Cell>,
    /// How sure they are.
    pub sure: Vec<Sure>,
}

pub(super) struct Open<'a> {
    pub(super) texts: Vec<Option<String>>,
    pub(super) shown: Vec<Option<Value>>,
    pub(super) events: Vec<&'a Event>,
    pub(super) cells: Vec<Cell>,
}

/// Answers a specification. Its times must be stated (`start_time`, `end_time`), and it must be valid.
///
/// `found` is the answer of another computation, if there is one: where the order of groups hangs on digits
/// that may be rounded either way (sums of fractions, percentiles from a sketch), its order is taken over.
pub fn answer(events: &[Event], spec: &Json, found: Option<&Json>) -> Answer {
    let computed = expression::with_fields(events, spec);
    let events = computed.as_deref().unwrap_or(events);
    let (start, end) = (seconds_ns(&spec["start_time"]), seconds_ns(&spec["end_time"]));
    let datasets = spec["datasets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let in_range = |event: &&Event| {
        let named = |name: &Json| name.as_str() == event.text("dataset");
        start <= event.time_ns && event.time_ns < end && (datasets.is_empty() || datasets.iter().any(named))
    };
    let world = World::new(events, spec, start, end);
    let matched: Vec<&Event> =
        events.iter().filter(in_range).filter(|event| world.passes(event, spec)).collect();
    let limit = spec["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LIMIT_DEFAULT);
    if spec["calculations"].as_array().is_some_and(Vec::is_empty) {
        rows(matched, spec, limit)
    } else {
        let sampled = events.iter().filter(in_range).filter(|_| spec["usage_mode"] != true);
        let asked = (&matched[..], sampling::searched(sampled));
        let mut answer = groups(asked, &world, spec, limit, found).unwrap_or(Answer::Unclear);
        if let (Answer::Groups { compare, .. }, Some(earlier)) = (&mut answer, earlier(spec)) {
            let found = found.map(|found| &found["compare"]);
            *compare = Some(Box::new(self::answer(events, &earlier, found)));
        }
        answer
    }
}

/// The specification of the earlier range.
fn earlier(spec: &Json) -> Option<Json> {
    let offset = spec["compare_time_offset_seconds"].as_i64().filter(|offset| *offset != 0)?;
    let mut earlier = spec.clone();
    earlier["compare_time_offset_seconds"] = Json::Null;
    for name in ["start_time", "end_time"] {
        earlier[name] = match spec[name].as_i64() {
            Some(seconds) => json!(seconds - offset),
            #[expect(clippy::cast_precision_loss, reason = "offsets are small")]
            None => json!(spec[name].as_f64().unwrap_or_default() - offset as f64),
        };
    }
    Some(earlier)
}

fn groups<'a>(
    (matched, searched): (&[&'a Event], Option<(f64, usize)>),
    world: &World<'a>,
    spec: &'a Json,
    limit: usize,
    found_answer: Option<&Json>,
) -> Result<Answer, Tie> {
    static COUNT: LazyLock<Json> = LazyLock::new(|| json!({"op": "COUNT"}));
    let mut calculations = Calculation::all(spec, &COUNT);
    let usage_mode = spec["usage_mode"].as_bool().unwrap_or_default();
    let exact = matched.len() < EXACT_ROWS_MAX;
    let breakdowns = texts(&spec["breakdowns"]);
    let mut found: BTreeMap<Vec<Option<String>>, Vec<&'a Event>> = BTreeMap::new();
    for &event in matched {
        let text =
            |name: &&str| Ok(world.value(event, name)?.map(|value| value.canonical_text().into_owned()));
        let key = breakdowns.iter().map(text).collect::<Result<Vec<_>, Tie>>()?;
        found.entry(key).or_default().push(event);
    }
    if breakdowns.is_empty() {
        found.entry(Vec::new()).or_default();
    }
    let by_group: Vec<Vec<&Event>> = found.values().cloned().collect();
    for calculation in &mut calculations {
        calculation.derive(matched, &by_group, usage_mode)?;
    }
    let formulas = Formulas::new(spec, &calculations);
    let cells = |events: &[&'a Event]| -> Vec<Cell> {
        let of = calculations.iter().map(|calculation| calculation.over(events, world, usage_mode, exact));
        formulas.added(&calculations, of.collect())
    };
    let mut groups: Vec<Open<'_>> = Vec::new();
    for (texts, events) in found {
        let shown = shown(&events, &breakdowns, world)?;
        let group = Open { cells: cells(&events), shown, texts, events };
        match meets_havings(&group, spec, &calculations, &formulas.names) {
            Some(true) => groups.push(group),
            Some(false) => {}
            None => return Ok(Answer::Unclear),
        }
    }
    let (names, shown) = (&formulas.names, &formulas.shown);
    let ordering = Order { spec, calculations: &calculations, breakdowns: &breakdowns, names, shown };
    groups.sort_by(|a, b| ordering.exact(a, b));
    if let Some(found) = found_answer {
        groups = ordering.as_found(groups, limit, found);
    }
    let cut = groups.split_off(groups.len().min(limit));
    let other: Vec<&'a Event> = cut.iter().flat_map(|group| group.events.iter().copied()).collect();
    let sure = |events: &[&'a Event]| -> Vec<Sure> {
        formulas.sure(&calculations, |one| one.sure(events, world, usage_mode, exact, searched))
    };
    let show = |group: &Open<'a>| Group {
        key: key(group, &breakdowns),
        cells: formulas.shown(group.cells.clone()),
        sure: sure(&group.events),
    };
    Ok(Answer::Groups {
        series: match granularity_ns(spec) {
            None if calculations.iter().any(|one| is_heatmap(one.json)) => Series::OfAnyLength,
            None => Series::Absent,
            Some(0) => Series::OfAnyLength,
            Some(granularity) => {
                let entries = series(&groups, granularity, &cells).into_iter();
                let shown = |(time, place, cells)| (time, place, formulas.shown(cells));
                Series::Entries(entries.map(shown).collect())
            }
        },
        sure: (sure(matched), sure(&other)),
        total: formulas.shown(cells(matched)),
        other: (!cut.is_empty()).then(|| formulas.shown(cells(&other))),
        names: formulas.shown(formulas.names.clone()),
        compare: None,
        results: groups.iter().map(show).collect(),
    })
}

/// A column of events that have equal text there, as a group of them would show it.
pub fn shown_value(events: &[&Event], column: &str) -> Json {
    let values = events.iter().filter_map(|event| names::value(event, column)).map(Cow::into_owned);
    majority(values).as_ref().map_or(Json::Null, value_json)
}

/// The breakdowns of a group, each in the type that most of its events have; text on a tie.
fn shown<'a>(
    events: &[&'a Event],
    breakdowns: &[&str],
    world: &World<'a>,
) -> Result<Vec<Option<Value>>, Tie> {
    let of_name = |name: &&str| {
        let values = events.iter().map(|event| world.value(event, name)).collect::<Result<Vec<_>, Tie>>()?;
        Ok(majority(values.into_iter().flatten().map(Cow::into_owned)))
    };
    breakdowns.iter().map(of_name).collect()
}

fn majority(values: impl Iterator<Item = Value>) -> Option<Value> {
    let mut by_type: BTreeMap<u8, (usize, Value)> = BTreeMap::new();
    for value in values {
        by_type.entry(rank(&value)).or_insert((0, value)).0 += 1;
    }
    let most = by_type.into_iter().max_by_key(|(rank, (count, _))| (*count, std::cmp::Reverse(*rank)));
    most.map(|(_, (_, value))| value)
}

pub(super) fn key(group: &Open<'_>, breakdowns: &[&str]) -> Map<String, Json> {
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

/// The length of buckets: as stated, but at most a thousand in the range, and one at least. 0 leaves it open.
fn granularity_ns(spec: &Json) -> Option<i64> {
    let asked = seconds_ns(spec.get("granularity")?);
    let length = seconds_ns(&spec["end_time"]) - seconds_ns(&spec["start_time"]);
    let least = (length + 999) / 1000;
    Some(if asked == 0 { 0 } else { asked.clamp(least.min(length), length) })
}

fn series<'a>(
    groups: &[Open<'a>],
    granularity: i64,
    cells: &dyn Fn(&[&'a Event]) -> Vec<Cell>,
) -> Vec<(i64, usize, Vec<Cell>)> {
    let mut buckets: BTreeMap<(i64, usize), Vec<&'a Event>> = BTreeMap::new();
    for (place, group) in groups.iter().enumerate() {
        for &event in &group.events {
            let bucket = event.time_ns.div_euclid(granularity).saturating_mul(granularity);
            buckets.entry((bucket, place)).or_default().push(event);
        }
    }
    buckets.into_iter().map(|((time, place), events)| (time, place, cells(&events))).collect()
}

fn rows(mut matched: Vec<&Event>, spec: &Json, limit: usize) -> Answer {
    matched.sort_by_key(|event| event.time_ns);
    if spec["orders"][0]["order"] != "ascending" {
        matched.reverse();
    }
    Answer::Rows { rows: matched.into_iter().map(|event| (event.time_ns, flat(event))).collect(), limit }
}

/// Whether a calculation is a histogram.
pub fn is_heatmap(calculation: &Json) -> bool {
    calculation["op"] == "HEATMAP" || calculation["outer"] == "HEATMAP"
}

/// The present columns of an event under their names. An attribute that is called like a fixed column, or is
/// hidden by an equal name of a place before, stands under the name that reaches it.
pub fn flat(event: &Event) -> Map<String, Json> {
    let prefix = |place: Place| match place {
        Place::Fixed => "",
        Place::Item | Place::Metric | Place::Derived => "attributes.",
        Place::Body => "body.",
        Place::Scope => "scope.",
        Place::Resource => "resource.",
    };
    let mut shown: Vec<(String, bool, Place, &Value)> = Vec::new();
    for (place, name, value) in event.values() {
        let reserved = place != Place::Fixed
            && skein_event::columns::is_reserved(name)
            && !(place == Place::Resource && name == "service.name");
        let name = if reserved { format!("{}{name}", prefix(place)) } else { name.clone() };
        shown.push((name, reserved, place, value));
    }
    // Whose own name it is comes first, then places in the order in which they hide each other.
    shown.sort_by(|a, b| (&a.0, a.1, a.2).cmp(&(&b.0, b.1, b.2)));
    let mut members: BTreeMap<String, Json> = BTreeMap::new();
    let mut hidden = Vec::new();
    for (name, _, place, value) in shown {
        match members.entry(name) {
            Entry::Occupied(taken) => hidden.push((format!("{}{}", prefix(place), taken.key()), value)),
            Entry::Vacant(free) => {
                free.insert(value_json(value));
            }
        }
    }
    for (name, value) in hidden {
        members.entry(name).or_insert_with(|| value_json(value));
    }
    members.into_iter().collect()
}

fn texts(list: &Json) -> Vec<&str> {
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Json::as_str).collect()
}

/// Epoch seconds; fractions count to the microsecond.
fn seconds_ns(seconds: &Json) -> i64 {
    if let Some(whole) = seconds.as_i64() {
        return whole.saturating_mul(1_000_000_000);
    }
    #[expect(clippy::cast_possible_truncation, reason = "times of test data fit")]
    seconds.as_f64().map_or(0, |seconds| (seconds * 1e6).round() as i64 * 1_000)
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
pub(in crate::reference) fn civil(days: i64) -> (i64, i64, i64) {
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
