//! What a name in a query means for one event.
//!
//! A name reads its exact column if the event has it, else its first present alias. The alias lists here are
//! those of the names the generators and the table of cases use, written from the migration guides of the
//! semantic conventions.

use std::borrow::Cow;

use skein_event::columns::Fixed;
use skein_event::value::Value;

use super::event::{Event, Place};
use crate::random::data::ARRIVAL_NS;

/// Names of one meaning: each answers for the others, in this order.
const SAME: &[&[&str]] = &[
    &["http.request.method", "http.method"],
    &["http.response.status_code", "http.status_code"],
    &["url.full", "http.url"],
    &["url.path", "http.target"],
    &["server.address", "net.peer.name", "net.host.name"],
    &["db.system.name", "db.system"],
    &["db.query.text", "db.statement"],
    &["db.namespace", "db.name"],
    &["db.operation.name", "db.operation"],
    &["messaging.operation.type", "messaging.operation"],
    &["deployment.environment.name", "deployment.environment"],
];

/// Names that lead to a column and not back.
const SHORT: &[(&str, &[&str])] = &[
    ("traceId", &["trace.trace_id"]),
    ("spanId", &["trace.span_id"]),
    ("service", &["service.name"]),
    ("level", &["severity"]),
    ("durationMs", &["duration_ms"]),
    ("message", &["body", "status_message", "name"]),
    ("@timestamp", &["timestamp"]),
];

/// The value a name has in an event.
pub fn value<'a>(event: &'a Event, name: &str) -> Option<Cow<'a, Value>> {
    if let Some(value) = event.calculated.get(name) {
        return value.as_ref().map(Cow::Borrowed);
    }
    if let Some(value) = exact(event, name) {
        return Some(value);
    }
    if name == "is_root" {
        return super::relational::is_root(event).map(|root| Cow::Owned(Value::Bool(root)));
    }
    if let Some(names) = SAME.iter().find(|names| names.contains(&name)) {
        return names.iter().find_map(|other| exact(event, other));
    }
    let (_, columns) = SHORT.iter().find(|(short, _)| *short == name)?;
    columns.iter().find_map(|column| exact(event, column))
}

/// The value of a name itself, without aliases.
fn exact<'a>(event: &'a Event, name: &str) -> Option<Cow<'a, Value>> {
    if name == "timestamp" {
        return Some(Cow::Owned(Value::Text(super::execute::time_text(event.time_ns))));
    }
    if name == "@message" {
        let whole = || {
            let mut members = super::execute::flat(event);
            members.insert("timestamp".to_owned(), super::execute::time_text(event.time_ns).into());
            Cow::Owned(Value::Text(serde_json::Value::Object(members).to_string()))
        };
        return Some(event.at(Place::Fixed, "body").map_or_else(whole, Cow::Borrowed));
    }
    if name == "meta.ingest_time" {
        return Some(Cow::Owned(Value::Text(super::execute::time_text(ARRIVAL_NS))));
    }
    if name == "service.name" {
        return event.at(Place::Resource, name).map(Cow::Borrowed);
    }
    if is_fixed(name) {
        return event.at(Place::Fixed, name).map(Cow::Borrowed);
    }
    let literal = Place::ATTRIBUTES.into_iter().find_map(|place| event.at(place, name));
    // What is shown as `attributes.…` where its name is taken is read so, too.
    let prefixes = [
        ("attributes.", Place::Item),
        ("attributes.", Place::Metric),
        ("attributes.", Place::Derived),
        ("scope.", Place::Scope),
        ("resource.", Place::Resource),
        ("body.", Place::Body),
    ];
    let stated = || prefixes.iter().find_map(|(prefix, place)| event.at(*place, name.strip_prefix(prefix)?));
    literal.or_else(stated).map(Cow::Borrowed)
}

/// Whether a name means one column and nothing else.
pub fn is_fixed(name: &str) -> bool {
    Fixed::from_name(name).is_some()
}
