//! What there is, counted: datasets, columns, values of a column.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::Value as Json;
use skein_event::columns::is_reserved;
use skein_event::value::Value;

use super::event::{Event, Place};
use super::names;

/// A dataset: its events, the earliest and the latest time.
pub fn datasets(events: &[Event]) -> BTreeMap<String, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    for event in events {
        let name = event.text("dataset").unwrap_or_default().to_owned();
        let (count, first, last) = found.entry(name).or_insert((0, i64::MAX, i64::MIN));
        (*count, *first, *last) = (*count + 1, event.time_ns.min(*first), event.time_ns.max(*last));
    }
    found
}

fn of_dataset<'a>(events: &'a [Event], dataset: Option<&'a str>) -> impl Iterator<Item = &'a Event> {
    events.iter().filter(move |event| dataset.is_none() || event.text("dataset") == dataset)
}

/// Columns by the name under which rows show them, and the events that have each type of them.
pub fn columns(events: &[Event], dataset: Option<&str>) -> BTreeMap<String, BTreeMap<&'static str, u64>> {
    let mut found: BTreeMap<String, BTreeMap<&'static str, u64>> = BTreeMap::new();
    let mut add = |name: String, kind: &'static str| {
        *found.entry(name).or_default().entry(kind).or_default() += 1;
    };
    for event in of_dataset(events, dataset) {
        for always in ["timestamp", "meta.ingest_time", "event.id"] {
            add(always.to_owned(), "text");
        }
        for (place, name, value) in event.values() {
            let own = place == Place::Fixed || (place == Place::Resource && name == "service.name");
            let prefix = match place {
                _ if own || !is_reserved(name) => "",
                Place::Body => "body.",
                Place::Scope => "scope.",
                Place::Resource => "resource.",
                _ => "attributes.",
            };
            add(format!("{prefix}{name}"), kind(value));
        }
    }
    found
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytes",
        Value::Json(_) => "json",
        Value::Bool(_) => "bool",
        Value::I64(_) => "i64",
        Value::F64(_) => "f64",
    }
}

/// The most frequent values of a column that begin like this, with the number of their events.
pub fn values(
    events: &[Event],
    dataset: Option<&str>,
    column: &str,
    prefix: &str,
    limit: usize,
) -> Vec<(Json, u64)> {
    let mut found: BTreeMap<String, (u64, Vec<&Event>)> = BTreeMap::new();
    for event in of_dataset(events, dataset) {
        let Some(value) = names::value(event, column) else { continue };
        let text = value.canonical_text().into_owned();
        if text.starts_with(prefix) {
            let (count, of_value) = found.entry(text).or_default();
            *count += 1;
            of_value.push(event);
        }
    }
    let mut sorted: Vec<(String, u64, Json)> = found
        .into_iter()
        .map(|(text, (count, of_value))| (text, count, super::execute::shown_value(&of_value, column)))
        .collect();
    sorted.sort_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
    sorted.into_iter().take(limit).map(|(_, count, shown)| (shown, count)).collect()
}
