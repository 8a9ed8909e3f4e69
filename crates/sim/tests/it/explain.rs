//! What an explanation counts, against the reference: random events through the real door, random selections, and
//! for every column, value, range and pair just the events that have it.

use std::borrow::Cow;

use serde_json::{Map, Value as Json, json};
use skein_event::ids::Environment;
use skein_event::value::Value;
use skein_query::explain::{Cell, Condition, Counts, ExplainPlan, Passes, Tally};
use skein_query::number::ValueRef;
use skein_query::{QueryError, spec};
use skein_sim::random::Random;
use skein_sim::random::columns::NUMERIC;
use skein_sim::random::data::{ARRIVAL_NS, SECONDS, START_S};
use skein_sim::random::question::{LAST_S, question};
use skein_sim::reference::filter::passes;
use skein_sim::reference::number::Number;
use skein_sim::reference::{Event, expression, names};
use skein_sim::subject::with_context;

use crate::differential::{Case, case, known, report, seeds};

const DATA_SETS: u64 = 24;
const SELECTIONS: u64 = 4;
const CONDITIONS: usize = 40;

/// A random request: filters against their complement, a rectangle, or another time.
fn request(random: &mut Random) -> Json {
    let spec = question(random);
    let mut selection = Map::new();
    for name in [
        "filters",
        "filter_combination",
        "datasets",
        "calculated_fields",
        "usage_mode",
        "start_time",
        "end_time",
    ] {
        if let Some(member) = spec.get(name) {
            selection.insert(name.to_owned(), member.clone());
        }
    }
    let kind = random.below(3);
    let mut request = json!({});
    if kind == 0 {
        let lo = *random.pick(&[-5.0, 0.0, 1.0, 2.5, 100.0]);
        let mut rect = json!({"column": *random.pick(NUMERIC), "lo": lo});
        if random.once_in(2) {
            rect["hi"] = json!(lo + *random.pick(&[1.0, 3.0, 500.0]));
        }
        if random.once_in(2) {
            rect["start_time"] = json!(START_S);
            rect["end_time"] = json!(START_S + SECONDS / 2);
        }
        selection.insert("rect".to_owned(), rect);
    } else if kind == 1 || selection.get("filters").and_then(Json::as_array).is_none_or(Vec::is_empty) {
        request["baseline"] = if random.once_in(2) {
            json!({"start_time": 0, "end_time": LAST_S})
        } else {
            json!({"start_time": START_S, "end_time": START_S + SECONDS, "filters": []})
        };
    }
    request["selection"] = Json::Object(selection);
    request
}

/// Whether an event has the time, the datasets and passes the filters of a side.
fn in_side(event: &Event, side: &Json, filtered: bool) -> bool {
    let ns = |name: &str| match side[name].as_i64() {
        Some(seconds) => seconds.saturating_mul(1_000_000_000),
        #[expect(clippy::cast_possible_truncation, reason = "times of the generator fit")]
        None => (side[name].as_f64().unwrap_or_default() * 1e6).round() as i64 * 1_000,
    };
    let datasets = side["datasets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let wanted = datasets.is_empty() || datasets.iter().any(|name| name.as_str() == event.text("dataset"));
    let time = ns("start_time") <= event.time_ns && event.time_ns < ns("end_time");
    wanted && time && (!filtered || passes(event, side))
}

/// The side of an event: 0 selection, 1 baseline.
fn side_of(event: &Event, request: &Json) -> Option<usize> {
    let selection = &request["selection"];
    let rect = &selection["rect"];
    let in_rect = rect.is_null() || {
        let number = names::value(event, rect["column"].as_str().unwrap_or_default())
            .and_then(|value| Number::of(&value))
            .map(Number::double);
        let hi = rect["hi"].as_f64().unwrap_or(f64::INFINITY);
        let timed = rect["start_time"].is_null() || in_side(event, rect, false);
        timed && number.is_some_and(|number| rect["lo"].as_f64().unwrap_or_default() <= number && number < hi)
    };
    if in_side(event, selection, true) && in_rect {
        return Some(0);
    }
    let against = match &request["baseline"] {
        Json::Null => in_side(event, selection, !rect.is_null()),
        stated => {
            let mut baseline = selection.clone();
            for (name, member) in stated.as_object().into_iter().flatten() {
                baseline[name] = member.clone();
            }
            in_side(event, &baseline, true)
        }
    };
    against.then_some(1)
}

/// The reference's events of both sides, with their weights.
fn sided<'e>(events: &'e [Event], request: &Json) -> Vec<(&'e Event, usize, f64)> {
    let usage = request["selection"]["usage_mode"].as_bool().unwrap_or_default();
    let weight = |event: &Event| if usage { 1.0 } else { event.weight() };
    let of = |event: &'e Event| Some((event, side_of(event, request)?, weight(event)));
    events.iter().filter_map(of).collect()
}

fn tally<'e>(events: &[(&'e Event, usize, f64)], meets: impl Fn(&'e Event) -> bool) -> Tally {
    let mut tally = Tally::default();
    for (_, side, weight) in events.iter().filter(|(event, ..)| meets(event)) {
        tally.add(*side, *weight);
    }
    tally
}

fn same(what: &str, found: &Tally, expected: &Tally) -> Result<(), String> {
    let near = |a: [f64; 2], b: [f64; 2]| {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * (a.abs() + b.abs() + 1.0))
    };
    if found.rows == expected.rows
        && near(found.weight, expected.weight)
        && near(found.squares, expected.squares)
    {
        return Ok(());
    }
    Err(format!("{what}: {found:?}, where the reference has {expected:?}"))
}

fn text_of<'e>(event: &'e Event, column: &str) -> Option<(String, Cow<'e, Value>)> {
    let value = names::value(event, column)?;
    Some((value.canonical_text().into_owned(), value))
}

fn meets(event: &Event, counts: &Counts, condition: &Condition, text: Option<&str>) -> bool {
    let column = &*counts.columns[condition.column()].name;
    let Some((canonical, value)) = text_of(event, column) else { return false };
    match condition {
        Condition::Exists { .. } => true,
        Condition::Value { .. } => text == Some(&canonical),
        Condition::Range { from, to, .. } => {
            let number = ValueRef::from(&*value).number().map(|number| number.to_f64());
            number.filter(|number| number.is_finite()).is_some_and(|number| {
                from.is_none_or(|from| from.low() <= number) && to.is_none_or(|to| number < to.low())
            })
        }
    }
}

/// Compares everything that is counted.
fn compare(
    passes: &mut dyn Passes,
    events: &[(&Event, usize, f64)],
    random: &mut Random,
) -> Result<Result<(), String>, QueryError> {
    let counts = passes.counts()?;
    if let Err(difference) = same("all events", &counts.total, &tally(events, |_| true)) {
        return Ok(Err(difference));
    }
    let mut conditions: Vec<Condition> = Vec::new();
    for (place, column) in counts.columns.iter().enumerate() {
        let name = &*column.name;
        let of_column = |test: &dyn Fn(&Value) -> bool| {
            tally(events, |event| names::value(event, name).is_some_and(|value| test(&value)))
        };
        let mut found = same(name, &column.present, &of_column(&|_| true));
        for (cell, counted) in &column.cells {
            let inside = |value: &Value| match value {
                Value::I64(_) | Value::F64(_) => {
                    let number = ValueRef::from(value).number().map(|number| number.to_f64());
                    number.and_then(Cell::of) == Some(*cell)
                }
                _ => false,
            };
            found = found.and_then(|()| same(&format!("{name} {cell:?}"), counted, &of_column(&inside)));
        }
        for (key, counted) in &column.values {
            let Some(value) = passes.value(place, *key)? else {
                return Ok(Err(format!("{name}: a value that was counted is not found")));
            };
            let text = value.canonical_text();
            let expected = |numbers: bool| {
                of_column(&|value| {
                    let number = matches!(value, Value::I64(_));
                    !matches!(value, Value::F64(_)) && (numbers || !number) && value.canonical_text() == text
                })
            };
            let what = format!("{name} = {text}");
            // Of many whole numbers none is a value at first.
            let either = same(&what, counted, &expected(true));
            found = found.and_then(|()| either.or_else(|_| same(&what, counted, &expected(false))));
            conditions.push(Condition::Value { column: place, key: *key });
        }
        if let Err(difference) = found {
            return Ok(Err(difference));
        }
        conditions.push(Condition::Exists { column: place });
        if let [(first, _), .., (last, _)] = column.cells.as_slice() {
            conditions.push(Condition::Range { column: place, from: Some(first.above()), to: None });
            conditions.push(Condition::Range { column: place, from: None, to: Some(*last) });
            conditions.push(Condition::Range { column: place, from: Some(*first), to: Some(*last) });
        }
    }
    while conditions.len() > CONDITIONS {
        let place = usize::try_from(random.below(conditions.len() as u64)).unwrap_or_default();
        conditions.swap_remove(place);
    }
    compare_chosen(passes, &counts, &conditions, events, random)
}

/// Compares what is counted of some conditions.
fn compare_chosen(
    passes: &mut dyn Passes,
    counts: &Counts,
    conditions: &[Condition],
    events: &[(&Event, usize, f64)],
    random: &mut Random,
) -> Result<Result<(), String>, QueryError> {
    let mut texts = Vec::new();
    for condition in conditions {
        let Condition::Value { column, key } = *condition else {
            texts.push(None);
            continue;
        };
        texts.push(passes.value(column, key)?.map(|value| value.canonical_text().into_owned()));
    }
    let meets =
        |event: &Event, place: usize| meets(event, counts, &conditions[place], texts[place].as_deref());
    let pairs: Vec<(usize, usize)> = (1..conditions.len().min(5)).map(|place| (0, place)).collect();
    let clusters = passes.clusters(conditions)?;
    let overlaps = passes.overlaps(conditions, &pairs)?;
    for place in 0..conditions.len() {
        let expected = tally(events, |event| meets(event, place));
        let what = format!("{:?} of {}", conditions[place], counts.columns[conditions[place].column()].name);
        if let Err(difference) = same(&what, &clusters.met[place].tally, &expected) {
            return Ok(Err(difference));
        }
        let other = usize::try_from(random.below(conditions.len() as u64)).unwrap_or_default();
        let together = tally(events, |event| meets(event, place) && meets(event, other));
        let weight = overlaps.both(place, other);
        if weight.iter().zip(together.weight).any(|(a, b)| (a - b).abs() > 1e-9 * (a.abs() + 1.0)) {
            return Ok(Err(format!("{what} with {other}: {weight:?}, the reference has {together:?}")));
        }
    }
    for (&(a, b), sums) in pairs.iter().zip(&overlaps.pairs) {
        let expected = tally(events, |event| meets(event, a) && meets(event, b));
        if let Err(difference) = same("a pair", &sums.tally, &expected) {
            return Ok(Err(difference));
        }
    }
    Ok(Ok(()))
}

fn check(seed: u64, case: &Case, random: &mut Random) -> Result<(), String> {
    let request = request(random);
    let failed = |error: String| format!("SKEIN_SEED={seed}: {error}\n{request}");
    let environment = Environment::default_environment();
    let plan: ExplainPlan =
        spec::explain(&request, &environment, ARRIVAL_NS).map_err(|error| failed(error.to_string()))?;
    let computed = expression::with_fields(&case.events, &request["selection"]);
    let events = sided(computed.as_deref().unwrap_or(&case.events), &request);
    let mut found = Ok(());
    let explained = with_context(|context| {
        case.subject.engine().explain(&plan, context, &mut |passes| {
            found = compare(passes, &events, random)?;
            Ok(())
        })
    });
    match explained {
        Ok(_) => found.map_err(failed),
        // A column or a dataset that nothing has is an error, and must be one only then.
        Err(_) if !known(&case.events, &request["selection"]) => Ok(()),
        Err(error) => Err(failed(error.to_string())),
    }
}

#[test]
fn an_explanation_counts_what_the_reference_counts() {
    let of_seed = |seed| {
        let case = case(seed);
        let mut random = Random::new(seed ^ 0xe9);
        (0..SELECTIONS).try_for_each(|_| check(seed, &case, &mut random))
    };
    report(seeds(DATA_SETS).into_iter().map(of_seed).collect());
}
