//! The cases of docs/reference/semantics.md, against the engine and the reference.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use prost::Message as _;
use serde_json::{Map, Value as Json, json};
use skein_engine::{NativeEngine, SnapshotView, Snapshots};
use skein_event::Fixed;
use skein_event::batch::{ColumnKey, EventBatch, Origin, Physical};
use skein_event::builder::{BatchBuilder, ContextValue};
use skein_event::columns::Level;
use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Offset, Partition, parse_span_id, parse_trace_id};
use skein_event::value::Value;
use skein_otlp::common::{AnyValue, ArrayValue, any_value};
use skein_query::error::Location;
use skein_query::{QueryEngine as _, QueryError, QueryResult, RunContext, render, spec};
use skein_sim::compare::difference;
use skein_sim::random::data::ARRIVAL_NS;
use skein_sim::reference::{Event, Place, answer};
use skein_sim::subject::Still;
use skein_store::segment::{
    BatchSource, Compression, FlushPart, Header, Order, Segment, Source, Target, merge_with,
};

const TEXT: &str = include_str!("../../../../docs/reference/semantics.md");
pub(crate) const START_S: i64 = 1_900_000_000;
const KEY: HashKey = HashKey(11);

/// One case: its heading and its block.
struct Case {
    name: &'static str,
    json: Json,
}

fn cases() -> Vec<Case> {
    let (mut cases, mut name, mut open) = (Vec::new(), "", None::<String>);
    for line in TEXT.lines() {
        match &mut open {
            Some(block) if line == "```" => {
                let json = serde_json::from_str(block).unwrap_or_else(|error| panic!("{name}: {error}"));
                cases.push(Case { name, json });
                open = None;
            }
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
            None if line == "```json case" => open = Some(String::new()),
            None => name = line.strip_prefix("### ").unwrap_or(name),
        }
    }
    cases
}

/// An event of a case, for both.
pub(crate) struct Row {
    time_ns: i64,
    values: Vec<(Place, String, Value)>,
}

pub(crate) fn row(json: &Json) -> Row {
    let second = json["at"].as_f64().expect("at");
    let mut values = Vec::new();
    for (member, place) in [
        ("fixed", Place::Fixed),
        ("item", Place::Item),
        ("metric", Place::Metric),
        ("body", Place::Body),
        ("scope", Place::Scope),
        ("resource", Place::Resource),
    ] {
        for (name, value) in json[member].as_object().unwrap_or(&Map::new()) {
            values.push((place, name.clone(), value_of(value)));
        }
    }
    Row { time_ns: START_S * 1_000_000_000 + whole(second * 1e9), values }
}

/// The nearest whole number.
fn whole(double: f64) -> i64 {
    format!("{double:.0}").parse().expect("a number of few digits")
}

fn value_of(json: &Json) -> Value {
    match json {
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) if number.is_i64() => Value::I64(number.as_i64().expect("fits")),
        Json::Number(number) => Value::F64(number.as_f64().expect("a double")),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(_) => Value::Json(any(json).encode_to_vec()),
        Json::Object(stated) => match stated.iter().next().map(|(kind, text)| (kind.as_str(), text)) {
            Some(("f64", Json::String(text))) => Value::F64(text.parse().expect("a double")),
            Some(("i64", Json::String(text))) => Value::I64(text.parse().expect("an integer")),
            // The cases need these two bytes and no others.
            Some(("bytes", Json::String(text))) if text == "QUI=" => Value::Bytes(b"AB".to_vec()),
            other => panic!("no value: {other:?}"),
        },
        Json::Null => panic!("null is no value"),
    }
}

fn any(json: &Json) -> AnyValue {
    let value = match json {
        Json::Bool(value) => any_value::Value::BoolValue(*value),
        Json::Number(number) if number.is_i64() => any_value::Value::IntValue(number.as_i64().expect("fits")),
        Json::Number(number) => any_value::Value::DoubleValue(number.as_f64().expect("a double")),
        Json::String(text) => any_value::Value::StringValue(text.clone()),
        Json::Array(list) => {
            any_value::Value::ArrayValue(ArrayValue { values: list.iter().map(any).collect() })
        }
        other => panic!("no typed value: {other}"),
    };
    AnyValue { value: Some(value) }
}

pub(crate) fn event(row: &Row) -> Event {
    let mut event = Event::new(row.time_ns);
    for (place, name, value) in &row.values {
        event.add(*place, name, value.clone());
    }
    event
}

fn origin(place: Place) -> Origin {
    match place {
        Place::Fixed => Origin::Fixed,
        Place::Item => Origin::Item,
        Place::Metric => Origin::Metric,
        Place::Body => Origin::Body,
        Place::Derived => Origin::Derived,
        Place::Scope => Origin::Scope,
        Place::Resource => Origin::Resource,
    }
}

/// A batch of one event.
fn batch(row: &Row) -> EventBatch {
    let mut builder = BatchBuilder::new(KEY);
    let context = builder.begin_context();
    let number = builder.begin_row(row.time_ns, context);
    for (place, name, value) in &row.values {
        let physical = match (Fixed::from_name(name).filter(|_| *place == Place::Fixed), value) {
            (Some(fixed), _) => fixed.physical(),
            (None, Value::Bool(_)) => Physical::Bool,
            (None, Value::I64(_)) => Physical::I64,
            (None, Value::F64(_)) => Physical::F64,
            (None, Value::Text(_)) => Physical::Text,
            (None, Value::Bytes(_)) => Physical::Bytes,
            (None, Value::Json(_)) => Physical::Json,
        };
        let key = ColumnKey { origin: origin(*place), physical, name: Arc::from(name.as_str()) };
        if key.level() == Level::Context {
            let value = match value {
                Value::Bool(value) => ContextValue::Bool(*value),
                Value::I64(value) => ContextValue::I64(*value),
                Value::F64(value) => ContextValue::F64(*value),
                Value::Text(text) => ContextValue::Bytes(text.as_bytes()),
                Value::Bytes(bytes) | Value::Json(bytes) => ContextValue::Bytes(bytes),
            };
            builder.context_value(key, context, value).expect("one value per context");
            continue;
        }
        let column = builder.column(key.origin, physical, name);
        let pushed = match (physical, value) {
            (Physical::TraceId, Value::Text(text)) => {
                builder.push_trace_id(column, number, parse_trace_id(text).expect("a trace id"))
            }
            (Physical::SpanId, Value::Text(text)) => {
                builder.push_span_id(column, number, parse_span_id(text).expect("a span id"))
            }
            (Physical::DurationNs, Value::F64(ms)) => builder.push_i64(column, number, whole(ms * 1e6)),
            (_, Value::Bool(value)) => builder.push_bool(column, number, *value),
            (_, Value::I64(value)) => builder.push_i64(column, number, *value),
            (_, Value::F64(value)) => builder.push_f64(column, number, *value),
            (_, Value::Text(text)) => builder.push_bytes(column, number, text.as_bytes()),
            (_, Value::Bytes(bytes) | Value::Json(bytes)) => builder.push_bytes(column, number, bytes),
        };
        assert!(pushed, "{name} twice");
    }
    let batch = builder.finish();
    assert_eq!(batch.validate(), Ok(()));
    batch
}

fn segment(sources: &[Source<'_>]) -> Segment {
    let target = Target {
        header: Header {
            hash_key: KEY,
            environment: Environment::default_environment(),
            partition: Partition(0),
            day: 0,
            append_time_ns: 0,
        },
        compression: Compression::Zstd,
        flush: FlushPart::default(),
        replaces: Vec::new(),
    };
    let bytes = merge_with(sources, &target, Order::Clustered, &mut || Ok(()));
    Segment::open(bytes.expect("merges")).expect("opens")
}

/// The same events in one segment, in one each, and in two that are merged of those.
pub(crate) fn layouts(rows: &[Row]) -> Vec<Vec<Arc<Segment>>> {
    let batches: Vec<EventBatch> = rows.iter().map(batch).collect();
    let source = |(offset, batch)| BatchSource {
        batch,
        offset: Offset(offset),
        append_time_ns: ARRIVAL_NS,
        indexes: None,
    };
    let sources: Vec<Source<'_>> = (0..).zip(&batches).map(|pair| Source::Batch(source(pair))).collect();
    let each: Vec<Arc<Segment>> = sources.iter().map(|source| Arc::new(segment(&[*source]))).collect();
    let halves = each.chunks(each.len().div_ceil(2).max(1)).map(|half| {
        let sources: Vec<Source<'_>> = half.iter().map(|segment| Source::Segment(segment)).collect();
        Arc::new(segment(&sources))
    });
    let halves = halves.collect();
    vec![vec![Arc::new(segment(&sources))], each, halves]
}

struct Shelf(Vec<Arc<Segment>>);

impl Snapshots for Shelf {
    fn snapshot(&self, _environment: &Environment, now_ns: i64) -> Result<SnapshotView, QueryError> {
        Ok(SnapshotView {
            segments: skein_store::Segments::loaded(self.0.clone()),
            complete_to_ns: now_ns,
            name: String::new(),
            damaged: Vec::new(),
            lease: None,
        })
    }
}

fn run(segments: Vec<Arc<Segment>>, query: &Json) -> Result<QueryResult, QueryError> {
    let clock = Still((START_S + 7_200) * 1_000_000_000);
    let plan = spec::parse(query, &Environment::default_environment(), clock.0)?;
    let cancelled = AtomicBool::new(false);
    let context = RunContext {
        clock: &clock,
        cancelled: &cancelled,
        progress: &|_| {},
        partial: None,
        deadline_ns: None,
        memory_bytes_max: 64 << 20,
    };
    NativeEngine::new(Arc::new(Shelf(segments))).run(&plan, &context)
}

/// The data of an answer.
pub(crate) fn data(segments: Vec<Arc<Segment>>, query: &Json) -> Result<Json, QueryError> {
    run(segments, query).map(|result| render::data(&result))
}

fn check(case: &Case) {
    let name = case.name;
    let rows: Vec<Row> = case.json["events"].as_array().expect("events").iter().map(row).collect();
    let events: Vec<Event> = rows.iter().map(event).collect();
    let mut query = case.json["query"].clone();
    let stated = query.get("start_time").is_some();
    if !stated {
        query["start_time"] = json!(START_S);
        query["end_time"] = json!(START_S + 3_600);
    }
    let expect = case.json["expect"].as_object().expect("expect");
    for segments in layouts(&rows) {
        let result = match (run(segments, &query), expect.get("error")) {
            (Ok(result), None) => result,
            (Err(error), Some(expected)) => {
                let path = match error.location() {
                    Some(Location::Path(path) | Location::Inside { path, .. }) => Some(path.as_str()),
                    _ => None,
                };
                assert_eq!(path, expected["path"].as_str(), "{name}: {error}");
                let first = error.candidate_list().first().map(String::as_str);
                assert_eq!(expected.get("candidate").map_or(first, Json::as_str), first, "{name}");
                continue;
            }
            (Ok(result), Some(_)) => panic!("{name}: accepted: {}", render::data(&result)),
            (Err(error), None) => panic!("{name}: {error}"),
        };
        let data = render::data(&result);
        expect.iter().for_each(|(member, expected)| check_member(name, member, expected, &data, &result));
        // The reference reads whole seconds, and finds raw rows by a number the cases do not carry.
        let whole = query["start_time"].is_i64() && query["end_time"].is_i64();
        if whole
            && !expect.contains_key("rows")
            && result.meta.warnings.iter().all(|w| w.code != "granularity_moved")
        {
            let differs = difference(&answer(&events, &query, None), &data);
            assert_eq!(differs, None, "{name}: the reference differs\n{data}");
        }
    }
}

fn check_member(name: &str, member: &str, expected: &Json, data: &Json, result: &QueryResult) {
    let list = |member: &str| data[member].as_array().cloned().unwrap_or_default();
    let found = match member {
        "results" => list("results").iter().map(|result| result["data"].clone()).collect(),
        "series" => {
            let seconds = |time: &Json| {
                let ns = skein_query::time_text::parse_ns(time.as_str().expect("a time")).expect("a time");
                ns / 1_000_000_000
            };
            list("series").iter().map(|entry| json!([seconds(&entry["time"]), entry["data"]])).collect()
        }
        "warnings" => result.meta.warnings.iter().map(|warning| json!(warning.code)).collect(),
        "rows" => {
            let rows = list("rows");
            let expected = expected.as_array().expect("rows");
            assert_eq!(rows.len(), expected.len(), "{name}");
            for (row, members) in rows.iter().zip(expected) {
                for (column, value) in members.as_object().expect("members") {
                    assert_eq!(&row[column], value, "{name}: {column} of {row}");
                }
            }
            return;
        }
        "total" | "other" => data[member].clone(),
        "compare" => {
            let earlier = data["compare"]["results"].as_array().cloned().unwrap_or_default();
            earlier.iter().map(|result| result["data"].clone()).collect()
        }
        other => panic!("{name}: nothing is known of `{other}`"),
    };
    assert_eq!(found, *expected, "{name}: {member}");
}

#[test]
fn cases_of_the_semantics_hold() {
    let cases = cases();
    assert!(cases.len() >= 35, "only {} cases were found", cases.len());
    cases.iter().for_each(check);
}
