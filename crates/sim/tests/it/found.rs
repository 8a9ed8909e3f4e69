//! What the comparison with the reference has found, each as a test of its own.

use serde_json::{Value as Json, json};
use skein_event::ids::Environment;
use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::{AnyValue, KeyValue};
use skein_otlp::logs::{LogRecord, ResourceLogs, ScopeLogs};
use skein_otlp::metrics::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use skein_otlp::resource::Resource;
use skein_otlp::trace::{ResourceSpans, ScopeSpans, Span, span};
use skein_query::plan::TimeRange;
use skein_query::result::ScanBatch;
use skein_sim::random::Random;
use skein_sim::random::data::{BAD_TEXT, Request, START_S};
use skein_sim::subject::{Subject, with_context};

const START_NS: u64 = START_S.unsigned_abs() * 1_000_000_000;

fn span(attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: vec![1; 8],
        name: "GET /buy".to_owned(),
        start_time_unix_nano: START_NS,
        end_time_unix_nano: START_NS + 1_000_000,
        attributes,
        ..Span::default()
    }
}

fn traces(resource: Vec<KeyValue>, spans: Vec<Span>) -> Request {
    let resource = Some(Resource { attributes: resource, ..Resource::default() });
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let group = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
    Request::Traces(ExportTraceServiceRequest { resource_spans: vec![group] })
}

/// The first result of a question about one request.
fn first(request: &Request, question: Json) -> Json {
    all(request, question)["results"][0]["data"].clone()
}

/// The answer to a question about one request.
fn all(request: &Request, question: Json) -> Json {
    let mut spec = question;
    spec["start_time"] = json!(START_S);
    spec["end_time"] = json!(START_S + 3_600);
    let mut subject = Subject::default();
    subject.ingest(&Environment::default_environment(), request, false).expect("stored");
    subject.settle(&mut Random::new(1)).expect("segments");
    subject.data(&Environment::default_environment(), &spec).expect("an answer")
}

/// A nanosecond later does not fit, and all of time is a range whose end is exclusive.
#[test]
fn an_event_at_the_last_time_is_in_all_of_time() {
    let mut last = span(Vec::new());
    last.start_time_unix_nano = i64::MAX.unsigned_abs();
    last.end_time_unix_nano = i64::MAX.unsigned_abs();
    let mut subject = Subject::default();
    let environment = Environment::default_environment();
    subject.ingest(&environment, &traces(Vec::new(), vec![last]), false).expect("stored");
    subject.settle(&mut Random::new(1)).expect("segments");
    let values = with_context(|context| subject.engine().values(&environment, None, "name", "", 9, context));
    assert_eq!(values.expect("values").len(), 1);
    let mut rows = 0;
    let mut sink = |batch: ScanBatch| {
        rows += batch.event_ids.len();
        Ok(())
    };
    with_context(|context| subject.engine().scan(&environment, &[], TimeRange::ALL, context, &mut sink))
        .expect("a scan");
    assert_eq!(rows, 1, "an export holds it");
}

#[test]
fn text_that_is_not_utf8_is_read_under_its_name() {
    let mut bad = span(vec![KeyValue::new("text", format!("a{BAD_TEXT}"))]);
    bad.name = format!("b{BAD_TEXT}");
    bad.events.push(span::Event {
        time_unix_nano: START_NS,
        name: "exception".to_owned(),
        attributes: vec![KeyValue::new("exception.message", format!("c{BAD_TEXT}"))],
        ..span::Event::default()
    });
    let columns = ["text", "name", "exception.message", "meta.invalid_utf8"];
    let question = json!({
        "breakdowns": columns, "filters": [{"column": "duration_ms", "op": "exists"}],
    });
    let found = first(&traces(Vec::new(), vec![bad]), question);
    let due = ["Yf/+gMMo/w==", "Yv/+gMMo/w==", "Y//+gMMo/w=="];
    assert_eq!(columns[..3].iter().map(|column| found[column].clone()).collect::<Vec<_>>(), due);
    assert_eq!(found["meta.invalid_utf8"], true);
}

#[test]
fn of_two_values_of_a_name_the_first_counts_whatever_their_types() {
    // The second ones are of types that are looked at first.
    let request = traces(
        vec![KeyValue::new("of.resource", "first"), KeyValue::new("of.resource", 1_i64)],
        vec![
            // With it the columns of these types are there already.
            span(vec![KeyValue::new("twice", 7_i64), KeyValue::new("pair.k", true)]),
            span(vec![
                KeyValue::new("which", "this"),
                KeyValue::new("twice", "first"),
                KeyValue::new("twice", 1_i64),
                KeyValue::new("pair", AnyValue::kvlist([KeyValue::new("k", "first")])),
                KeyValue::new("pair.k", true),
            ]),
        ],
    );
    let columns = ["twice", "pair.k", "of.resource"];
    let question = json!({"breakdowns": columns, "filters": [{"column": "which", "op": "exists"}]});
    let found = first(&request, question);
    assert_eq!(columns.map(|column| found[column].clone()), ["first"; 3]);
}

#[test]
fn what_overflowed_hides_the_resource_still() {
    let mut attributes: Vec<KeyValue> =
        (0..2_000_i64).map(|n| KeyValue::new(format!("wide.{n}"), n)).collect();
    attributes.push(KeyValue::new("team", "of the span"));
    let request = traces(vec![KeyValue::new("team", "of the resource")], vec![span(attributes)]);
    let found = first(&request, json!({"breakdowns": ["team", "attributes.team", "resource.team"]}));
    assert_eq!(found["team"], "of the span");
    assert_eq!(found["attributes.team"], "of the span");
    assert_eq!(found["resource.team"], "of the resource");
}

/// The fields of a body come after 2,000 attributes: none of them gets a column.
#[test]
fn what_overflowed_of_a_body_counts_once_and_is_flagged() {
    let attributes = (0..2_000_i64).map(|n| KeyValue::new(format!("wide.{n}"), n)).collect();
    let body = AnyValue::kvlist([
        KeyValue::new("order", 1_i64),
        KeyValue::new("order", "again"),
        KeyValue::new("state", format!("x{BAD_TEXT}")),
    ]);
    let record = LogRecord { time_unix_nano: START_NS, attributes, body: Some(body), ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let group = ResourceLogs { scope_logs, ..ResourceLogs::default() };
    let request = Request::Logs(ExportLogsServiceRequest { resource_logs: vec![group] });
    let columns = ["order", "body.order", "attributes.order", "state", "meta.invalid_utf8"];
    let found = first(&request, json!({"breakdowns": columns}));
    assert_eq!((&found["order"], &found["state"]), (&json!(1), &json!("eP/+gMMo/w==")));
    assert_eq!((&found["body.order"], &found["attributes.order"]), (&json!(1), &Json::Null));
    assert_eq!(found["meta.invalid_utf8"], true);
    let rows = all(&request, json!({"calculations": []}));
    let names: Vec<&String> = rows["rows"][0].as_object().expect("a row").keys().collect();
    assert_eq!(names.iter().filter(|name| name.contains("order")).collect::<Vec<_>>(), [&"order"]);
}

#[test]
fn a_metric_called_like_a_fixed_column_is_reached_by_its_prefix() {
    let point = NumberDataPoint {
        time_unix_nano: START_NS,
        value: Some(number_data_point::Value::AsInt(5)),
        ..NumberDataPoint::default()
    };
    let data = Some(metric::Data::Gauge(Gauge { data_points: vec![point] }));
    let metrics = vec![Metric { name: "duration_ms".to_owned(), data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let group = ResourceMetrics { scope_metrics, ..ResourceMetrics::default() };
    let request = Request::Metrics(ExportMetricsServiceRequest { resource_metrics: vec![group] });
    let found = first(&request, json!({"breakdowns": ["attributes.duration_ms", "duration_ms"]}));
    assert_eq!((&found["attributes.duration_ms"], &found["duration_ms"]), (&json!(5), &Json::Null));
}
