//! Small segments, and an engine over them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Value as Json, json};
use skein_event::Fixed;
use skein_event::batch::{ColumnKey, EventBatch, Origin, Physical};
use skein_event::builder::{BatchBuilder, ContextValue};
use skein_event::columns::Level;
use skein_event::dictionary::Dictionary;
use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Offset, Partition, parse_span_id, parse_trace_id};
use skein_event::observe::Clock;
use skein_event::value::Value;
use skein_query::{QueryEngine as _, QueryError, QueryResult, RunContext, render, spec};
use skein_store::segment::{BatchSource, Compression, FlushPart, Header, Segment, Source, Target, merge};

use crate::{NativeEngine, SnapshotView, Snapshots};

pub(super) const KEY: HashKey = HashKey(7);

/// The first second of the tests' events.
pub(super) const START_S: i64 = 1_000_000;

/// An event: seconds after [`START_S`], and its values.
#[derive(Clone, Default)]
pub(super) struct Row {
    time_ns: i64,
    values: Vec<(Origin, String, Value)>,
}

/// An event at a second.
pub(super) fn at(second: i64) -> Row {
    Row { time_ns: (START_S + second) * 1_000_000_000, values: Vec::new() }
}

impl Row {
    pub(super) fn with(mut self, name: &str, value: impl Into<TestValue>) -> Row {
        self.values.push((Origin::Item, name.to_owned(), value.into().0));
        self
    }

    pub(super) fn from(mut self, origin: Origin, name: &str, value: impl Into<TestValue>) -> Row {
        self.values.push((origin, name.to_owned(), value.into().0));
        self
    }

    pub(super) fn fixed(self, fixed: Fixed, value: impl Into<TestValue>) -> Row {
        self.from(Origin::Fixed, fixed.name(), value)
    }

    /// Sets dataset and `service.name`.
    pub(super) fn service(self, name: &str) -> Row {
        self.fixed(Fixed::Dataset, name).from(Origin::Resource, "service.name", name)
    }

    pub(super) fn nanos(mut self, nanos: i64) -> Row {
        self.time_ns += nanos;
        self
    }
}

/// A value, from whatever a test writes.
pub(super) struct TestValue(pub(super) Value);

impl From<&str> for TestValue {
    fn from(text: &str) -> TestValue {
        TestValue(Value::Text(text.to_owned()))
    }
}

impl From<i64> for TestValue {
    fn from(value: i64) -> TestValue {
        TestValue(Value::I64(value))
    }
}

impl From<f64> for TestValue {
    fn from(value: f64) -> TestValue {
        TestValue(Value::F64(value))
    }
}

impl From<bool> for TestValue {
    fn from(value: bool) -> TestValue {
        TestValue(Value::Bool(value))
    }
}

impl From<Value> for TestValue {
    fn from(value: Value) -> TestValue {
        TestValue(value)
    }
}

fn physical(origin: Origin, name: &str, value: &Value) -> Physical {
    if origin == Origin::Fixed {
        let fixed = Fixed::from_name(name).or((name == "meta.overflow").then_some(Fixed::Overflow));
        return fixed.expect("a fixed column").physical();
    }
    match value {
        Value::Bool(_) => Physical::Bool,
        Value::I64(_) => Physical::I64,
        Value::F64(_) => Physical::F64,
        Value::Text(_) => Physical::Text,
        Value::Bytes(_) => Physical::Bytes,
        Value::Json(_) => Physical::Json,
    }
}

/// A batch of events; each has a context of its own.
pub(super) fn batch(rows: &[Row]) -> EventBatch {
    let mut builder = BatchBuilder::new(KEY);
    for row in rows {
        let context = builder.begin_context();
        let number = builder.begin_row(row.time_ns, context);
        for (origin, name, value) in &row.values {
            let key = ColumnKey {
                origin: *origin,
                physical: physical(*origin, name, value),
                name: Arc::from(name.as_str()),
            };
            if key.level() == Level::Context {
                let value = match value {
                    Value::Bool(value) => ContextValue::Bool(*value),
                    Value::I64(value) => ContextValue::I64(*value),
                    Value::F64(value) => ContextValue::F64(*value),
                    Value::Text(text) => ContextValue::Bytes(text.as_bytes()),
                    Value::Bytes(bytes) | Value::Json(bytes) => ContextValue::Bytes(bytes),
                };
                assert!(builder.context_value(key, context, value).is_some(), "{name} twice");
                continue;
            }
            let column = builder.column(*origin, key.physical, name);
            let pushed = match (key.physical, value) {
                (Physical::TraceId, Value::Text(text)) => {
                    builder.push_trace_id(column, number, parse_trace_id(text).expect("a trace id"))
                }
                (Physical::SpanId, Value::Text(text)) => {
                    builder.push_span_id(column, number, parse_span_id(text).expect("a span id"))
                }
                (_, Value::Bool(value)) => builder.push_bool(column, number, *value),
                (_, Value::I64(value)) => builder.push_i64(column, number, *value),
                (_, Value::F64(value)) => builder.push_f64(column, number, *value),
                (_, Value::Text(text)) => builder.push_bytes(column, number, text.as_bytes()),
                (_, Value::Bytes(bytes) | Value::Json(bytes)) => builder.push_bytes(column, number, bytes),
            };
            assert!(pushed, "{name} twice");
        }
    }
    let batch = builder.finish();
    assert_eq!(batch.validate(), Ok(()));
    batch
}

fn target() -> Target {
    Target {
        header: Header {
            hash_key: KEY,
            environment: Environment::default_environment(),
            partition: Partition(3),
            day: 0,
            append_time_ns: 0,
        },
        compression: Compression::Zstd,
        flush: FlushPart::default(),
        replaces: Vec::new(),
    }
}

/// The bytes of a segment of one log record.
pub(super) fn segment_bytes(rows: &[Row], offset: u64) -> Vec<u8> {
    encode(&batch(rows), offset)
}

/// A segment whose values all have one hash.
pub(super) fn colliding_segment(rows: &[Row], offset: u64) -> Segment {
    hashed_segment(rows, offset, |_| 42)
}

/// A segment whose values have the hashes that `hash` gives them.
pub(super) fn hashed_segment(rows: &[Row], offset: u64, hash: impl Fn(&[u8]) -> u64) -> Segment {
    let mut batch = batch(rows);
    let (bytes, ends) = (batch.dictionary.bytes().to_vec(), batch.dictionary.ends().to_vec());
    let starts = std::iter::once(0).chain(ends.iter().map(|&end| end as usize));
    let hashes = starts.zip(&ends).map(|(start, &end)| hash(&bytes[start..end as usize])).collect();
    batch.dictionary = Dictionary::from_parts(bytes, ends, hashes).expect("parts of a dictionary");
    Segment::open(encode(&batch, offset)).expect("opens")
}

fn encode(batch: &EventBatch, offset: u64) -> Vec<u8> {
    let append_time_ns = (START_S + 10_000) * 1_000_000_000;
    let source = BatchSource { batch, offset: Offset(offset), append_time_ns, indexes: None };
    merge(&[Source::Batch(source)], &target()).expect("a segment")
}

/// A store of fixed segments.
pub(super) struct Fixture {
    pub(super) segments: Vec<Arc<Segment>>,
}

impl Snapshots for Fixture {
    fn snapshot(&self, environment: &Environment, now_ns: i64) -> Result<SnapshotView, QueryError> {
        let of_environment = |segment: &&Arc<Segment>| segment.environment() == environment;
        Ok(SnapshotView {
            segments: skein_store::Segments::loaded(
                self.segments.iter().filter(of_environment).map(Arc::clone).collect(),
            ),
            complete_to_ns: now_ns,
            name: "fixture".to_owned(),
            damaged: Vec::new(),
            lease: None,
        })
    }
}

/// A clock that stands still.
pub(super) struct Still;

impl Clock for Still {
    fn now_ns(&self) -> i64 {
        (START_S + 7_200) * 1_000_000_000
    }
}

static RUNNING: AtomicBool = AtomicBool::new(false);

/// A context without limits.
pub(super) fn context() -> RunContext<'static> {
    RunContext {
        clock: &Still,
        cancelled: &RUNNING,
        progress: &|_| {},
        partial: None,
        deadline_ns: None,
        memory_bytes_max: 256 << 20,
    }
}

/// An engine over events, one segment per list.
pub(super) fn engine(segments: &[&[Row]]) -> NativeEngine {
    let open =
        |(offset, rows): (u64, &&[Row])| Arc::new(Segment::open(segment_bytes(rows, offset)).expect("opens"));
    NativeEngine::new(Arc::new(Fixture { segments: (0..).zip(segments).map(open).collect() }))
}

/// Runs a specification, over all of the tests' time unless it says otherwise.
pub(super) fn run(engine: &NativeEngine, mut spec: Json) -> Result<QueryResult, QueryError> {
    let members = spec.as_object_mut().expect("an object");
    if !["start_time", "end_time", "time_range"].iter().any(|name| members.contains_key(*name)) {
        members.insert("start_time".to_owned(), json!(START_S));
        members.insert("end_time".to_owned(), json!(START_S + 7_200));
    }
    let plan = spec::parse(&spec, &Environment::default_environment(), Still.now_ns())?;
    engine.run(&plan, &context())
}

/// The `data` of an answer.
pub(super) fn data(engine: &NativeEngine, spec: Json) -> Json {
    let text = spec.to_string();
    render::data(&run(engine, spec).unwrap_or_else(|error| panic!("{error}\n{text}")))
}

/// The `data` of each result.
pub(super) fn results(engine: &NativeEngine, spec: Json) -> Vec<Json> {
    let data = data(engine, spec);
    data["results"].as_array().expect("results").iter().map(|result| result["data"].clone()).collect()
}

/// The number of events that pass some filters.
pub(super) fn count(engine: &NativeEngine, filters: Json) -> Json {
    results(engine, json!({"filters": filters}))[0]["COUNT"].clone()
}

/// The codes of an answer's warnings.
pub(super) fn warnings(engine: &NativeEngine, spec: Json) -> Vec<&'static str> {
    run(engine, spec).expect("an answer").meta.warnings.iter().map(|warning| warning.code).collect()
}
