//! Everything that is asked without a specification, against the reference: datasets, columns, values of a
//! column, whole traces; and raw rows a page at a time.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use skein_analysis::trace::assemble;
use skein_event::flow::BatchKey;
use skein_event::ids::{Environment, parse_trace_id};
use skein_query::result::{Data, FlatRow};
use skein_query::{QueryEngine, render};
use skein_sim::deployment::Deployment;
use skein_sim::random::Random;
use skein_sim::random::columns::COLUMNS;
use skein_sim::random::data::{Generator, SEQUENCE};
use skein_sim::random::question::LAST_S;
use skein_sim::reference::execute::{flat, value_json};
use skein_sim::reference::{Event, Place, catalog, names, trace};
use skein_sim::subject::{ask, with_context};

fn environment() -> Environment {
    Environment::default_environment()
}

/// Checks one list of each kind. An error says what differs.
pub(crate) fn check(engine: &dyn QueryEngine, events: &[Event], random: &mut Random) -> Result<(), String> {
    datasets(engine, events)?;
    if events.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = catalog::datasets(events).into_keys().collect();
    let dataset = if random.once_in(3) { None } else { Some(random.pick(&names).as_str()) };
    columns(engine, events, dataset)?;
    for _ in 0..5 {
        values(engine, events, dataset, random)?;
    }
    for _ in 0..5 {
        one_trace(engine, events, random)?;
        one_name(engine, events, random)?;
    }
    pages(engine, events, random)
}

fn datasets(engine: &dyn QueryEngine, events: &[Event]) -> Result<(), String> {
    let found =
        with_context(|context| engine.datasets(&environment(), context)).map_err(|e| e.to_string())?;
    let found: BTreeMap<String, (u64, i64, i64)> =
        found.into_iter().map(|info| (info.name, (info.events, info.first_ns, info.last_ns))).collect();
    let due = catalog::datasets(events);
    if found == due { Ok(()) } else { Err(format!("datasets are {found:?}, expected {due:?}")) }
}

/// Columns with the number of events that have each type.
fn columns(engine: &dyn QueryEngine, events: &[Event], dataset: Option<&str>) -> Result<(), String> {
    // Names in an overflow map are queryable and not listed.
    if events.iter().any(|event| event.values().count() > 1_900) {
        return Ok(());
    }
    let found = with_context(|context| engine.columns(&environment(), dataset, context));
    let found = found.map_err(|error| error.to_string())?;
    let mut due = catalog::columns(events, dataset);
    for column in found {
        let types: BTreeMap<&str, u64> = column.types.iter().copied().collect();
        match due.remove(&column.name) {
            Some(expected) if expected == types => {}
            expected => {
                return Err(format!("column {} has {types:?}, expected {expected:?}", column.name));
            }
        }
    }
    match due.first_key_value() {
        None => Ok(()),
        Some((name, types)) => Err(format!("column {name} is not listed: {types:?}")),
    }
}

fn values(
    engine: &dyn QueryEngine,
    events: &[Event],
    dataset: Option<&str>,
    random: &mut Random,
) -> Result<(), String> {
    let column = *random.pick(COLUMNS);
    if !events.iter().any(|event| names::value(event, column).is_some()) {
        return Ok(());
    }
    let prefix = *random.pick(&["", "", "/", "5", "us", "\u{416}", "QU", "nothing like it"]);
    let limit = *random.pick(&[1, 3, 1_000]);
    let told = |what: String| format!("values of {column} in {dataset:?} from {prefix:?}: {what}");
    let found =
        with_context(|context| engine.values(&environment(), dataset, column, prefix, limit, context));
    let found = found.map_err(|error| told(error.to_string()))?;
    let found: Vec<(Json, u64)> = found.iter().map(|value| (value_json(&value.value), value.count)).collect();
    let due = catalog::values(events, dataset, column, prefix, limit);
    if found == due { Ok(()) } else { Err(told(format!("{found:?}, expected {due:?}"))) }
}

/// A whole trace: every event of it, whole, and in order.
fn one_trace(engine: &dyn QueryEngine, events: &[Event], random: &mut Random) -> Result<(), String> {
    let ids: Vec<&str> = events.iter().filter_map(|event| event.text("trace.trace_id")).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let id = *random.pick(&ids);
    let told = |what: String| format!("trace {id}: {what}");
    let bytes = parse_trace_id(id).ok_or_else(|| told("no id".to_owned()))?;
    let found = with_context(|context| engine.trace(&environment(), bytes, context));
    let found = assemble(found.map_err(|error| told(error.to_string()))?.rows);
    let due = trace::trace(events, id);
    let same = |what: &str, found: &dyn std::fmt::Debug, due: &dyn std::fmt::Debug| {
        let (found, due) = (format!("{found:?}"), format!("{due:?}"));
        if found == due { Ok(()) } else { Err(told(format!("{what}: {found}, expected {due}"))) }
    };
    same("roots", &found.root_ids, &due.roots)?;
    same("missing parents", &found.missing_parents, &due.missing)?;
    same("duplicate spans", &found.duplicate_spans, &due.duplicates)?;
    same("complete", &found.complete, &(due.missing.is_empty() && !due.roots.is_empty()))?;
    for (what, found, due) in [("spans", &found.spans, &due.spans), ("logs", &found.logs, &due.logs)] {
        let numbers: Vec<i64> = found.iter().map(number).collect();
        let of_event = |place: &usize| flat(&events[*place])[SEQUENCE].as_i64().unwrap_or_default();
        same(what, &numbers, &due.iter().map(of_event).collect::<Vec<_>>())?;
        for (row, place) in found.iter().zip(due) {
            let mut shown = render::row(row);
            let members = shown.as_object_mut().ok_or_else(|| told("no object".to_owned()))?;
            ["timestamp", "event.id", "meta.ingest_time"].iter().for_each(|name| drop(members.remove(*name)));
            let due: Json = flat(&events[*place]).into_iter().collect();
            if shown != due {
                return Err(told(format!("{shown}, expected {due}")));
            }
        }
    }
    Ok(())
}

/// The name under which a row shows a value reads that value.
fn one_name(engine: &dyn QueryEngine, events: &[Event], random: &mut Random) -> Result<(), String> {
    let event = random.pick(events);
    let row = flat(event);
    let number_of = |event: &Event| event.at(Place::Item, SEQUENCE).cloned();
    let alone = events.iter().filter(|other| number_of(other) == number_of(event)).count() == 1;
    let names: Vec<&String> = row.keys().collect();
    let name = *random.pick(&names);
    // One whose name and prefixed name are both taken has no name left that reads it.
    let nameless = name.starts_with("attributes.attributes.");
    if !alone || nameless || event.time_ns >= LAST_S * 1_000_000_000 {
        return Ok(());
    }
    let spec = json!({
        "breakdowns": [name], "start_time": 0, "end_time": LAST_S,
        "filters": [{"column": SEQUENCE, "op": "=", "value": row[SEQUENCE]}],
    });
    let found = ask(engine, &environment(), &spec).map_err(|error| format!("{name}: {error}"))?;
    let found = render::data(&found);
    let value = &found["results"][0]["data"][name];
    if *value == row[name] {
        Ok(())
    } else {
        Err(format!("{name} reads {value}, and is shown as {}", row[name]))
    }
}

fn number(row: &FlatRow) -> i64 {
    let found = row.fields.iter().find(|(name, _)| &**name == SEQUENCE);
    found.and_then(|(_, value)| value_json(value).as_i64()).unwrap_or_default()
}

/// Pages of raw rows, put together, are the rows of one large page.
fn pages(engine: &dyn QueryEngine, events: &[Event], random: &mut Random) -> Result<(), String> {
    let order = *random.pick(&["ascending", "descending"]);
    let mut spec = json!({
        "calculations": [], "start_time": 0, "end_time": LAST_S, "limit": 10_000,
        "orders": [{"column": "timestamp", "order": order}],
    });
    let rows = |spec: &Json| match ask(engine, &environment(), spec).map_err(|e| e.to_string())?.data {
        Data::Rows(rows) => Ok(rows),
        other => Err(format!("no rows: {other:?}")),
    };
    let whole = rows(&spec)?;
    // The last times do not fit a whole second of a specification.
    let due = events.iter().filter(|e| e.time_ns < LAST_S * 1_000_000_000);
    if whole.next.is_some() || whole.rows.len() != due.count() {
        return Err(format!("{} rows of {} events", whole.rows.len(), events.len()));
    }
    spec["limit"] = json!(1 + random.below(40));
    let mut together = Vec::new();
    loop {
        let page = rows(&spec)?;
        together.extend(page.rows);
        match page.next {
            Some(next) if together.len() <= events.len() => spec["cursor"] = json!(next),
            Some(_) => return Err(format!("pages do not end: {spec}")),
            None => break,
        }
    }
    let id = |row: &FlatRow| row.event_id;
    let differs = whole.rows.iter().map(id).ne(together.iter().map(id));
    if differs { Err(format!("pages of {} {order} differ from the whole", spec["limit"])) } else { Ok(()) }
}

/// A cursor says after which event a page begins, wherever that event has moved to in the meantime.
#[test]
fn pages_go_on_across_flush_compaction_and_opening() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut deployment = Deployment::open(folder.path()).expect("a new deployment");
    let mut generator = Generator::new(Random::new(3));
    for number in 0..8 {
        let request = generator.request(12);
        deployment.append(&environment(), &request, false, BatchKey::Unique(number)).expect("appended");
        if number % 2 == 0 {
            deployment.flush().expect("flushed");
        }
    }
    let mut spec = json!({"calculations": [], "start_time": 0, "end_time": LAST_S, "limit": 10_000});
    let ids = |data: &Json| -> Vec<Json> {
        data["rows"].as_array().expect("rows").iter().map(|row| row["event.id"].clone()).collect()
    };
    let whole = ids(&deployment.data(&environment(), &spec).expect("an answer"));
    spec["limit"] = json!(7);
    let mut together = Vec::new();
    for step in 0.. {
        let page = deployment.data(&environment(), &spec).expect("a page");
        together.extend(ids(&page));
        if page["next"].is_null() {
            break;
        }
        spec["cursor"] = page["next"].clone();
        match step % 3 {
            0 => deployment.flush().expect("flushed"),
            1 => deployment.compact().expect("compacted"),
            _ => deployment = deployment.reopen().expect("opened again"),
        }
    }
    assert!(whole.len() > 21, "{} rows are no four pages", whole.len());
    assert_eq!(together, whole);
}
