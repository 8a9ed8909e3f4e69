//! What names with a relational prefix mean, and PER_TRACE and INTERVAL: docs/reference/relational.md, said again in
//! the plainest code. A trace is looked through from end to end for every event.

use std::borrow::Cow;

use serde_json::{Value as Json, json};
use skein_event::value::Value;

use super::event::{Event, Place};
use super::{filter, names};

/// The prefixes of names that mean another event of the trace.
const PREFIXES: [&str; 7] = ["root.", "parent.", "child.", "any.", "any2.", "any3.", "none."];

/// Seconds beyond the range in which other events are looked for, unless stated.
const SLACK_S: i64 = 600;

/// The prefix of a name, and the rest of it.
pub fn scoped(name: &str) -> Option<(&'static str, &str)> {
    PREFIXES.into_iter().find_map(|prefix| Some((prefix, name.strip_prefix(prefix)?)))
}

/// Two events have an equal claim to be the first, and what is asked of them differs: either answer is right, as
/// far as anybody knows here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tie;

/// The events in which others are looked for, and the query's filters on them.
pub struct World<'a> {
    events: Vec<&'a Event>,
    spec: &'a Json,
}

impl<'a> World<'a> {
    /// The events of a query's range and what lies around it.
    pub fn new(events: &'a [Event], spec: &'a Json, start_ns: i64, end_ns: i64) -> World<'a> {
        let slack = spec["trace_slack_seconds"].as_i64().unwrap_or(SLACK_S) * 1_000_000_000;
        let (from, to) = (start_ns.saturating_sub(slack), end_ns.saturating_add(slack));
        let around = |event: &&Event| from <= event.time_ns && event.time_ns < to;
        World { events: events.iter().filter(around).collect(), spec }
    }

    /// Whether an event passes the filters of an object, those on other events among them.
    pub fn passes(&self, event: &Event, object: &Json) -> bool {
        let filters = list(&object["filters"]);
        if filters.iter().all(|filter| prefix_of(filter).is_none()) {
            return filter::passes(event, object);
        }
        let own: Vec<&Json> = filters.iter().filter(|filter| prefix_of(filter).is_none()).collect();
        filter::passes(event, &json!({ "filters": own }))
            && PREFIXES.into_iter().all(|prefix| self.prefix_holds(event, object, prefix))
    }

    fn prefix_holds(&self, event: &Event, object: &Json, prefix: &'static str) -> bool {
        let own = of_prefix(object, prefix);
        if own.is_empty() {
            return true;
        }
        if prefix == "none." {
            return self.of(event, prefix).all(|other| !filter::passes(other, &json!({ "filters": own })));
        }
        self.candidates(event, prefix, object).next().is_some()
    }

    /// The events that a prefix stands for, which meet the filters of that prefix of the query and of an object.
    pub fn candidates(
        &self,
        event: &'a Event,
        prefix: &'static str,
        object: &Json,
    ) -> impl Iterator<Item = &'a Event> {
        let mut filters = of_prefix(self.spec, prefix);
        filters.extend(of_prefix(object, prefix));
        let filters = json!({ "filters": filters });
        self.of(event, prefix).filter(move |other| filter::passes(other, &filters))
    }

    /// The events that a prefix stands for.
    fn of(&self, event: &'a Event, prefix: &'static str) -> impl Iterator<Item = &'a Event> {
        let same_trace =
            move |other: &&'a Event| trace(event).is_some_and(|id| trace(other).as_deref() == Some(&*id));
        let related = move |other: &&'a Event| match prefix {
            "root." => is_span(other) && parent_id(other).is_none(),
            "parent." => is_span(other) && parent_id(event).is_some_and(|id| span_id(other) == Some(id)),
            "child." => is_span(event) && parent_id(other).is_some_and(|id| span_id(event) == Some(id)),
            _ => true,
        };
        self.events.iter().copied().filter(same_trace).filter(related)
    }

    /// What a breakdown shows for an event.
    pub fn value(&self, event: &'a Event, name: &str) -> Result<Option<Cow<'a, Value>>, Tie> {
        let Some((prefix, rest)) = scoped(name) else { return Ok(names::value(event, name)) };
        let mut valued: Vec<(i64, Cow<'a, Value>)> = self
            .candidates(event, prefix, &Json::Null)
            .filter_map(|other| Some((other.time_ns, names::value(other, rest)?)))
            .collect();
        valued.sort_by_key(|(time_ns, _)| *time_ns);
        let Some((first_ns, first)) = valued.first().cloned() else { return Ok(None) };
        let tied = valued.iter().any(|(time_ns, value)| *time_ns == first_ns && !same(value, &first));
        if tied { Err(Tie) } else { Ok(Some(first)) }
    }
}

fn same(a: &Value, b: &Value) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

/// The filters of an object that have a prefix, without it.
fn of_prefix(object: &Json, prefix: &str) -> Vec<Json> {
    let of = |filter: &Json| {
        let rest = filter["column"].as_str()?.strip_prefix(prefix)?;
        let mut filter = filter.clone();
        filter["column"] = json!(rest);
        Some(filter)
    };
    list(&object["filters"]).iter().filter_map(of).collect()
}

fn prefix_of(filter: &Json) -> Option<&'static str> {
    Some(scoped(filter["column"].as_str()?)?.0)
}

fn list(json: &Json) -> &[Json] {
    json.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(event: &Event, name: &str) -> Option<String> {
    Some(event.at(Place::Fixed, name)?.canonical_text().into_owned())
}

/// The trace that an event belongs to.
pub fn trace(event: &Event) -> Option<String> {
    text(event, "trace.trace_id")
}

fn signal(event: &Event) -> Option<String> {
    text(event, "meta.signal_type")
}

fn is_span(event: &Event) -> bool {
    let plain = text(event, "meta.annotation_type").is_none();
    plain && span_id(event).is_some() && !matches!(signal(event).as_deref(), Some("log" | "metric"))
}

/// Whether a span of a trace has no parent.
pub fn is_root(event: &Event) -> Option<bool> {
    (is_span(event) && trace(event).is_some()).then(|| parent_id(event).is_none())
}

fn span_id(event: &Event) -> Option<String> {
    text(event, "trace.span_id")
}

/// What an event belongs to: its parent, or the span that a log record was written in.
fn parent_id(event: &Event) -> Option<String> {
    let of_log = || span_id(event).filter(|_| signal(event).as_deref() == Some("log"));
    text(event, "trace.parent_id").or_else(of_log)
}

/// One value of several events.
#[derive(Clone, Debug)]
pub struct Derived<'a> {
    /// The event whose group and bucket it counts in.
    pub at: &'a Event,
    /// The number, as a calculation gives it.
    pub number: super::number::Number,
    /// How far another computation may be from it.
    pub margin: f64,
    /// How many it stands for.
    pub weight: f64,
}

/// The intervals of a calculation over the events that a query matched; the weight of an event is given.
pub fn intervals<'a>(
    matched: &[&'a Event],
    calculation: &Json,
    weight: impl Fn(&Event) -> f64,
) -> Result<Vec<Derived<'a>>, Tie> {
    let by = calculation["by"].as_str().unwrap_or("trace.trace_id");
    let meets = |event: &Event, side: &str| filter::passes(event, &json!({ "filters": calculation[side] }));
    let mut instances: Vec<(String, Vec<&'a Event>)> = Vec::new();
    for &event in matched {
        let Some(value) = names::value(event, by) else { continue };
        let value = value.canonical_text().into_owned();
        match instances.iter_mut().find(|(known, _)| *known == value) {
            Some((_, events)) => events.push(event),
            None => instances.push((value, vec![event])),
        }
    }
    let mut found = Vec::new();
    for (_, events) in instances {
        let starts: Vec<&&Event> = events.iter().filter(|event| meets(event, "from")).collect();
        let Some(first_ns) = starts.iter().map(|event| event.time_ns).min() else { continue };
        let mut first = starts.into_iter().filter(|event| event.time_ns == first_ns);
        let Some(&start) = first.next() else { continue };
        if first.next().is_some() {
            return Err(Tie);
        }
        let ends = events
            .iter()
            .filter(|event| event.time_ns >= first_ns && !std::ptr::eq(**event, start) && meets(event, "to"));
        if let Some(end_ns) = ends.map(|event| event.time_ns).min() {
            let number = super::number::Number::F64((end_ns - first_ns) as f64 / 1e6);
            found.push(Derived { at: start, number, margin: 0.0, weight: weight(start) });
        }
    }
    Ok(found)
}

/// The events of a group, by trace; those without one belong to none.
pub fn by_trace<'a>(events: &[&'a Event]) -> Vec<Vec<&'a Event>> {
    let mut traces: Vec<(String, Vec<&'a Event>)> = Vec::new();
    for &event in events {
        let Some(id) = trace(event) else { continue };
        match traces.iter_mut().find(|(known, _)| *known == id) {
            Some((_, events)) => events.push(event),
            None => traces.push((id, vec![event])),
        }
    }
    traces.into_iter().map(|(_, events)| events).collect()
}
