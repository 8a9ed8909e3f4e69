//! The examples that come with the OTLP protocol, unchanged, and requests of the same shape with more in them:
//! a trace, logs, metrics of every type, events.

use serde_json::Value as Json;
use skein_ingest::export::model::Model;
use skein_ingest::{Signal, decode_json};
use skein_otlp::Message as _;

use crate::round_trip::{CONTEXT, exported};

/// The model of a request is read by another way than the door's: by hand from the text, as types.
fn check(signal: Signal, text: &str, records: u64, shown: &[&str]) {
    let decoded = decode_json(signal, text.as_bytes(), &CONTEXT).expect("JSON");
    assert_eq!((decoded.records, decoded.rejected.total()), (records, 0));
    let model = exported(decoded.clone());
    assert_eq!(model.len(), records);
    let all = model.to_json_lines().join("\n");
    for part in shown {
        assert!(all.contains(part), "{part} is not in\n{all}");
    }
    // What came out goes in again and comes out the same.
    let exported_once = skein_ingest::export(&decoded.batch).expect("no damage");
    let (json, protobuf) = match signal {
        Signal::Traces => {
            (skein_otlp::json::ToJson::to_json(&exported_once.traces), exported_once.traces.encode_to_vec())
        }
        Signal::Logs => {
            (skein_otlp::json::ToJson::to_json(&exported_once.logs), exported_once.logs.encode_to_vec())
        }
        Signal::Metrics => {
            (skein_otlp::json::ToJson::to_json(&exported_once.metrics), exported_once.metrics.encode_to_vec())
        }
    };
    let again: Model = exported(decode_json(signal, json.as_bytes(), &CONTEXT).expect("JSON"));
    assert_eq!(model.difference(&again), None);
    let again: Model =
        exported(skein_ingest::decode_protobuf(signal, &protobuf, &CONTEXT).expect("protobuf"));
    assert_eq!(model.difference(&again), None);
}

#[test]
fn the_trace_example_comes_out() {
    let text = include_str!("fixtures/trace.json");
    check(
        Signal::Traces,
        text,
        1,
        &[
            r#""traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","parentSpanId":"eee19b7ec3c1b173""#,
            r#""startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000""#,
            r#"{"key":"checkout.step","value":{"stringValue":"pay"}}"#,
            r#"{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]}"#,
            r#"{"name":"shop.tracing","version":"1.0.0","attributes":[{"key":"scope.kind","value":{"stringValue":"manual"}}]}"#,
        ],
    );
}

#[test]
fn the_log_example_comes_out() {
    let text = include_str!("fixtures/logs.json");
    check(
        Signal::Logs,
        text,
        1,
        &[
            r#""severityNumber":10,"severityText":"Information","body":{"stringValue":"Order accepted"}"#,
            r#"{"key":"array","value":{"arrayValue":{"values":[{"stringValue":"many"},{"stringValue":"values"}]}}}"#,
            r#"{"key":"map","value":{"kvlistValue":{"values":[{"key":"some.map.key","value":{"stringValue":"some value"}}]}}}"#,
        ],
    );
}

#[test]
fn the_metrics_example_comes_out() {
    let text = include_str!("fixtures/metrics.json");
    check(
        Signal::Metrics,
        text,
        5,
        &[
            r#""unit":"1","sum":{"aggregationTemporality":1,"isMonotonic":true}"#,
            r#""asDouble":5.0"#,
            r#""count":"2","sum":2.0,"bucketCounts":["1","1"],"explicitBounds":[1.0],"min":0.0,"max":2.0"#,
            r#""count":"3","sum":10.0,"zeroCount":"1","positive":{"offset":1,"bucketCounts":["0","2"]}"#,
            r#""count":"4","sum":9.5,"quantileValues":[{"value":1.0},{"quantile":0.5,"value":2.25}]"#,
        ],
    );
}

#[test]
fn the_events_example_comes_out() {
    let text = include_str!("fixtures/events.json");
    check(
        Signal::Logs,
        text,
        2,
        &[
            r#""eventName":"browser.page_view""#,
            r#""body":{"kvlistValue":{"values":[{"key":"type","value":{"intValue":"0"}},"#,
            r#"{"key":"url","value":{"stringValue":"https://shop.example/checkout"}}"#,
        ],
    );
}

/// A message of OTLP/JSON in one of the ways to write it: hex digits in lower case, numbers as text, members
/// that have their default left out where the protocol does not tell it from absent.
fn normal(name: &str, json: &Json) -> Option<Json> {
    let told = name.ends_with("Value") || matches!(name, "asInt" | "asDouble" | "sum" | "min" | "max" | "[]");
    let value = match json {
        Json::Null => return None,
        Json::Number(number) => Json::String(number.as_f64().unwrap_or(f64::NAN).to_string()),
        Json::String(id) if name.ends_with("Id") => Json::String(id.to_lowercase()),
        Json::Array(items) => items.iter().filter_map(|item| normal("[]", item)).collect(),
        Json::Object(members) => {
            members.iter().filter_map(|(name, value)| Some((name.clone(), normal(name, value)?))).collect()
        }
        other => other.clone(),
    };
    let default = [Json::from(""), Json::from("0"), Json::Array(Vec::new())].contains(&value);
    (told || !default).then_some(value)
}

/// The text that comes out says what the text that went in says, read by nothing of ours.
#[test]
fn the_examples_of_the_protocol_come_out() {
    for (signal, text) in [
        (Signal::Traces, include_str!("fixtures/opentelemetry-proto/trace.json")),
        (Signal::Logs, include_str!("fixtures/opentelemetry-proto/logs.json")),
        (Signal::Metrics, include_str!("fixtures/opentelemetry-proto/metrics.json")),
        (Signal::Logs, include_str!("fixtures/opentelemetry-proto/events.json")),
    ] {
        let decoded = decode_json(signal, text.as_bytes(), &CONTEXT).expect("JSON");
        assert_eq!(decoded.rejected.total(), 0);
        let exported = skein_ingest::export(&decoded.batch).expect("no damage");
        let out = match signal {
            Signal::Traces => skein_otlp::json::ToJson::to_json(&exported.traces),
            Signal::Logs => skein_otlp::json::ToJson::to_json(&exported.logs),
            Signal::Metrics => skein_otlp::json::ToJson::to_json(&exported.metrics),
        };
        let read = |text: &str| normal("", &serde_json::from_str(text).expect("JSON"));
        let (mut sent, mut got) = (read(text), read(&out));
        // Metrics come out in the order of their events; as a model they are a set.
        [&mut sent, &mut got].into_iter().flatten().for_each(sort_metrics);
        assert_eq!(got, sent, "{out}");
    }
}

fn sort_metrics(request: &mut Json) {
    if let Some(metrics) = request.pointer_mut("/resourceMetrics/0/scopeMetrics/0/metrics")
        && let Some(list) = metrics.as_array_mut()
    {
        list.sort_by_key(|metric| metric["name"].to_string());
    }
}
