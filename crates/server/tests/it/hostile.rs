//! Bad input over every protocol, against the whole server: a precise answer in the protocol's shape, and the
//! rest of the batch is stored.

use serde_json::{Value, json};
use skein_ingest::Signal;
use skein_otlp::Message as _;
use skein_otlp::collector::trace::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use skein_otlp::common::{AnyValue, ArrayValue, KeyValue, any_value};
use skein_otlp::json::ToJson as _;
use skein_otlp::trace::Span;

use crate::client::{get, post, post_json};
use crate::doors_grpc::{call, channel};
use crate::lifecycle::{count, counted, start};
use crate::memory::NOW_NS;
use crate::otlp::{attribute, method, span, traces};

/// `levels` arrays, one in the other.
fn nested(levels: usize) -> KeyValue {
    let innermost = any_value::Value::ArrayValue(ArrayValue::default());
    let value = (1..levels).fold(innermost, |inner, _| {
        any_value::Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(inner) }] })
    });
    KeyValue { key: "nested".into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Four spans that cannot be stored and three that are odd.
fn hostile(time_ns: u64) -> ExportTraceServiceRequest {
    let with = |attributes: Vec<KeyValue>| Span { attributes, ..span(1, time_ns) };
    traces(
        "cart",
        vec![
            Span { trace_id: vec![1; 15], ..span(1, time_ns) },
            Span { span_id: vec![1; 9], ..span(1, time_ns) },
            with(vec![attribute("large", &"x".repeat((1 << 20) + 1))]),
            with(vec![nested(300)]),
            with(vec![nested(100)]),
            with((0..10_000).map(|n| attribute(&format!("attribute.{n}"), "x")).collect()),
            Span { start_time_unix_nano: u64::MAX, end_time_unix_nano: 1, ..span(1, time_ns) },
        ],
    )
}

fn check(protocol: &str, rejected: i64, message: &str) {
    assert_eq!(rejected, 4, "{protocol}: {message}");
    for (place, why) in [
        ("spans[0].traceId", "invalid_trace_id"),
        ("spans[1].spanId", "invalid_span_id"),
        ("spans[2]", "value_too_large"),
        ("spans[3]", "too_deep"),
    ] {
        let named = message.split("; resourceSpans").any(|part| part.contains(place) && part.contains(why));
        assert!(named, "{protocol}: {place} is {why}: {message}");
    }
    for warning in ["meta.overflow", "meta.time_out_of_range"] {
        assert!(message.contains(warning), "{protocol}: {warning}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_answered_precisely_in_every_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let read = |bytes: &[u8]| {
        let partial = ExportTraceServiceResponse::decode(bytes).unwrap().partial_success.unwrap();
        (partial.rejected_spans, partial.error_message)
    };
    let body = hostile(NOW_NS).encode_to_vec();
    let answer = post(running.otlp_http, "/v1/traces", "application/x-protobuf", None, body).await;
    let (rejected, message) = read(&answer.body);
    check("HTTP/protobuf", rejected, &message);

    let body = hostile(NOW_NS + 1).to_json();
    let answer = post(running.otlp_http, "/v1/traces", "application/json", None, body).await.json();
    let partial = &answer["partialSuccess"];
    let rejected = partial["rejectedSpans"].as_str().unwrap().parse().unwrap();
    check("HTTP/JSON", rejected, partial["errorMessage"].as_str().unwrap());

    let channel = channel(running.otlp_grpc).await;
    let body = hostile(NOW_NS + 2).encode_to_vec();
    let answer = call(&channel, method(Signal::Traces), None, &[], body).await.unwrap();
    let (rejected, message) = read(&answer);
    check("gRPC", rejected, &message);

    // What could be stored is there: two of each batch in the range, one with a time of arrival.
    assert_eq!(counted(&post_json(running.http, "/api/v1/query", &count()).await.json()), 6);
    let all = json!({"calculations": [{"op": "COUNT"}], "start_time": 0, "end_time": 4_000_000_000_u64});
    assert_eq!(counted(&post_json(running.http, "/api/v1/query", &all).await.json()), 9);
    let last = json!({"start_time": NOW_NS / 1_000_000_000 - 10, "time_range": 100,
        "filters": [{"column": "attribute.9999", "op": "exists"}]});
    let found = post_json(running.http, "/api/v1/query", &last).await.json();
    assert_eq!(counted(&found), 3, "what overflowed is still queryable: {found}");
    let codes = found["meta"]["warnings"].as_array().unwrap().iter().map(|warning| &warning["code"]);
    assert_eq!(codes.collect::<Vec<_>>(), ["columns_overflow"], "the reader of an answer is told");
    // And the operator.
    let metrics = String::from_utf8(get(running.http, "/metrics").await.body.to_vec()).unwrap();
    let name = "skein_ingest_warnings_total{environment=\"default\",code=\"columns_overflow\"} ";
    assert!(metrics.contains(name), "{metrics}");
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_question_is_answered_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let body = traces("cart", vec![span(1, NOW_NS)]).encode_to_vec();
    post(running.otlp_http, "/v1/traces", "application/x-protobuf", None, body).await;
    for (spec, path, candidate) in [
        (
            json!({"calculations": [{"op": "SUM", "column": "duration_m"}]}),
            "/calculations/0/column",
            "duration_ms",
        ),
        (json!({"breakdowns": ["http.rout"]}), "/breakdowns/0", "http.route"),
        (json!({"datasets": ["card"]}), "/datasets/0", "cart"),
        (json!({"calculations": [{"op": "SUMM", "column": "duration_ms"}]}), "/calculations/0/op", "SUM"),
        (json!({"filters": [{"column": "http.route", "op": "in", "value": 7}]}), "/filters/0/value", ""),
        (json!({"limit": "many"}), "/limit", ""),
        (json!({"granularity": []}), "/granularity", ""),
        (json!({"start_time": "yesterday"}), "/start_time", ""),
    ] {
        let mut spec = spec;
        if spec.get("start_time").is_none() {
            spec["start_time"] = json!(NOW_NS / 1_000_000_000 - 10);
            spec["time_range"] = json!(100);
        }
        let answer = post_json(running.http, "/api/v1/query", &spec).await;
        let error = &answer.json()["error"];
        assert!(matches!(answer.status.as_u16(), 400 | 404), "{spec}: {answer:?}");
        assert_eq!(error["path"], path, "{spec}: {error}");
        let candidates = error["candidates"].as_array().cloned().unwrap_or_default();
        assert!(candidate.is_empty() || candidates.contains(&Value::from(candidate)), "{spec}: {error}");
    }
    running.shutdown().await.unwrap();
}
