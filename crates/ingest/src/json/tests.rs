//! The transcoder against what prost encodes, and every kind of fault.

use skein_event::limits::NESTING_DEPTH_MAX;
use skein_event::rejection::ReasonCode;
use skein_otlp::Message as _;
use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::any_value::Value;

use super::schema::request;
use super::transcode::{Transcoded, transcode};
use super::{rebase, syntax};
use crate::door::Signal;

fn run(signal: Signal, text: &str) -> Transcoded {
    transcode(syntax::check(text.as_bytes()).expect("JSON"), request(signal)).expect("an object")
}

fn span(fields: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#)
}

fn read_span(fields: &str) -> skein_otlp::trace::Span {
    let transcoded = run(Signal::Traces, &span(fields));
    assert_eq!(transcoded.rejected.kept, [], "{fields}");
    let request = ExportTraceServiceRequest::decode(transcoded.protobuf.as_slice()).expect("protobuf");
    request.resource_spans[0].scope_spans[0].spans[0].clone()
}

#[test]
fn fields_are_read_in_every_notation() {
    let read = read_span(
        r#""traceId":"0AF7651916CD43DD8448EB211C80319c","spanId":"B7ad6b7169203331","parentSpanId":null,
        "kind":"SPAN_KIND_SERVER","startTimeUnixNano":1544712660000000000,"endTimeUnixNano":"-1",
        "flags":257,"trace_state":"snake","unknown":{"a":[1,{}]},"na\u006de":"\ud83d\ude00\n",
        "status":{"code":2}"#,
    );
    assert_eq!(read.trace_id[..3], [0x0a, 0xf7, 0x65]);
    assert_eq!((read.span_id[0], read.parent_span_id.len()), (0xb7, 0));
    assert_eq!((read.kind, read.flags, read.trace_state.as_str()), (2, 257, ""));
    assert_eq!((read.start_time_unix_nano, read.end_time_unix_nano), (1_544_712_660_000_000_000, u64::MAX));
    assert_eq!(read.name, "😀\n");
    assert_eq!(read.status.map(|status| status.code), Some(2));
}

#[test]
fn values_of_every_type_are_read() {
    let cases: &[(&str, Option<Value>)] = &[
        (r#"{"stringValue":""}"#, Some(Value::StringValue(String::new()))),
        (r#"{"boolValue":false}"#, Some(Value::BoolValue(false))),
        (r#"{"intValue":"-9223372036854775808"}"#, Some(Value::IntValue(i64::MIN))),
        (r#"{"intValue":0}"#, Some(Value::IntValue(0))),
        (r#"{"doubleValue":1}"#, Some(Value::DoubleValue(1.0))),
        (r#"{"doubleValue":"-Infinity"}"#, Some(Value::DoubleValue(f64::NEG_INFINITY))),
        (r#"{"bytesValue":"+/8="}"#, Some(Value::BytesValue(vec![0xfb, 0xff]))),
        (r#"{"arrayValue":{}}"#, Some(Value::ArrayValue(Default::default()))),
        (r#"{"kvlistValue":{"values":[]}}"#, Some(Value::KvlistValue(Default::default()))),
        (r#"{"stringValue":null}"#, None),
        ("{}", None),
    ];
    for (text, expected) in cases {
        let read = read_span(&format!(r#""attributes":[{{"key":"k","value":{text}}}]"#));
        let value = read.attributes[0].value.clone().expect("a value");
        assert_eq!(value.value, *expected, "{text}");
    }
}

#[test]
fn equal_entries_are_equal_bytes_in_either_order() {
    let key_first = run(Signal::Traces, &span(r#""attributes":[{"key":"k","value":{"intValue":1}}]"#));
    let value_first = run(Signal::Traces, &span(r#""attributes":[{"value":{"intValue":1},"key":"k"}]"#));
    assert_eq!(key_first.protobuf, value_first.protobuf);
}

/// One attribute whose value is an array nested so many times; `depth` counts levels of `AnyValue`.
fn nested(depth: usize) -> String {
    let opening = r#"{"arrayValue":{"values":["#.repeat(depth - 1);
    let closing = "]}}".repeat(depth - 1);
    span(&format!(r#""attributes":[{{"key":"k","value":{opening}{{"intValue":1}}{closing}}}]"#))
}

#[test]
fn nesting_is_read_to_its_limit_and_rejected_beyond() {
    for depth in [1, 100, NESTING_DEPTH_MAX + 1] {
        assert_eq!(run(Signal::Traces, &nested(depth)).rejected.total(), 0, "{depth}");
    }
    let transcoded = run(Signal::Traces, &nested(NESTING_DEPTH_MAX + 2));
    assert_eq!(transcoded.rejected.counts, [(ReasonCode::TooDeep, 1)]);
    // Neither does nesting outside of values exhaust the stack.
    let unknown = format!(r#"{{"x":{}{}}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert!(run(Signal::Traces, &unknown).protobuf.is_empty());
}

#[test]
fn a_bad_field_rejects_its_record_alone() {
    use ReasonCode::{InvalidField, InvalidSpanId, InvalidTraceId};
    let cases: &[(&str, ReasonCode, &str)] = &[
        (r#""traceId":"xyz""#, InvalidTraceId, "traceId"),
        (r#""traceId":5"#, InvalidTraceId, "traceId"),
        (r#""spanId":"abc""#, InvalidSpanId, "spanId"),
        (r#""links":[{},{"spanId":"0g"}]"#, InvalidSpanId, "links[1].spanId"),
        (r#""name":5"#, InvalidField, "name"),
        (r#""name":"\ud800""#, InvalidField, "name"),
        (r#""kind":"SERVER""#, InvalidField, "kind"),
        (r#""kind":4294967296"#, InvalidField, "kind"),
        (r#""flags":-1"#, InvalidField, "flags"),
        (r#""startTimeUnixNano":"18446744073709551616""#, InvalidField, "startTimeUnixNano"),
        (r#""startTimeUnixNano":true"#, InvalidField, "startTimeUnixNano"),
        (r#""attributes":{}"#, InvalidField, "attributes"),
        (r#""attributes":[null]"#, InvalidField, "attributes[0]"),
        (
            r#""attributes":[{"value":{"arrayValue":{"values":[{},{"intValue":"1.5"}]}}}]"#,
            InvalidField,
            "attributes[0].value.arrayValue.values[1].intValue",
        ),
        (
            r#""attributes":[{},{"value":{"boolValue":"true"}}]"#,
            InvalidField,
            "attributes[1].value.boolValue",
        ),
        (r#""attributes":[{"value":{"bytesValue":"*"}}]"#, InvalidField, "attributes[0].value.bytesValue"),
        (
            r#""attributes":[{"value":{"doubleValue":1e400}}]"#,
            InvalidField,
            "attributes[0].value.doubleValue",
        ),
    ];
    for (fields, reason, path) in cases {
        let text = format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"name":"a"}},{{{fields}}},{{"name":"b"}}]}}]}}]}}"#
        );
        let transcoded = run(Signal::Traces, &text);
        assert_eq!(transcoded.rejected.counts, [(*reason, 1)], "{fields}");
        let expected = format!("resourceSpans[0].scopeSpans[0].spans[1].{path}");
        assert_eq!(transcoded.rejected.kept[0].path, expected, "{fields}");
        let request = ExportTraceServiceRequest::decode(transcoded.protobuf.as_slice()).expect("protobuf");
        let names: Vec<&str> =
            request.resource_spans[0].scope_spans[0].spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["a", "b"], "{fields}");
        let later = rebase::rebase("resourceSpans[0].scopeSpans[0].spans[1].traceId", &transcoded.dropped);
        assert_eq!(later, "resourceSpans[0].scopeSpans[0].spans[2].traceId", "{fields}");
    }
}

#[test]
fn a_bad_container_rejects_all_its_records() {
    let text = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":5,"gauge":{"dataPoints":[{"asInt":1},{"asInt":"x"}]}},
        {"name":"m","gauge":{"dataPoints":[{"asInt":"1"},{"asInt":"x"},{"asDouble":2}]}}]},
        {"scope":1,"metrics":[{"sum":{"dataPoints":[{},{}]}},{"summary":{"dataPoints":[{}]}}]}]},7]}"#;
    let transcoded = run(Signal::Metrics, text);
    assert_eq!(transcoded.rejected.counts, [(ReasonCode::InvalidField, 2 + 1 + 3 + 1)]);
    let paths: Vec<&str> = transcoded.rejected.kept.iter().map(|kept| kept.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "resourceMetrics[0].scopeMetrics[0].metrics[0].name",
            "resourceMetrics[0].scopeMetrics[0].metrics[1].gauge.dataPoints[1].asInt",
            "resourceMetrics[0].scopeMetrics[1].scope",
            "resourceMetrics[1]",
        ]
    );
    let request = ExportMetricsServiceRequest::decode(transcoded.protobuf.as_slice()).expect("protobuf");
    assert_eq!(request.resource_metrics[0].scope_metrics[0].metrics.len(), 1);
    let later = "resourceMetrics[0].scopeMetrics[0].metrics[0].gauge.dataPoints[1]";
    assert_eq!(
        rebase::rebase(later, &transcoded.dropped),
        "resourceMetrics[0].scopeMetrics[0].metrics[1].gauge.dataPoints[2]"
    );
}

#[test]
fn long_messages_have_their_length() {
    let long = "x".repeat(70_000);
    let text = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"{long}"}}}}]}}]}}]}}"#
    );
    let transcoded = run(Signal::Logs, &text);
    let request = ExportLogsServiceRequest::decode(transcoded.protobuf.as_slice()).expect("protobuf");
    assert_eq!(request.encode_to_vec(), transcoded.protobuf);
    let body = request.resource_logs[0].scope_logs[0].log_records[0].body.clone().expect("a body");
    assert_eq!(body.value, Some(Value::StringValue(long)));
}

#[test]
fn malformed_text_is_refused_with_its_place() {
    let cases: &[(&str, &str)] = &[
        ("", "line 1, column 1"),
        ("{", "line 1, column 2"),
        ("{\n \"a\":\n 01}", "line 3, column 4"),
        ("{\"a\":1,}", "line 1, column 8"),
        ("{\"a\" 1}", "line 1, column 6"),
        ("{a:1}", "line 1, column 2"),
        ("{\"a\":[1 2]}", "line 1, column 9"),
        ("{\"a\":[1}", "line 1, column 8"),
        ("{\"a\":\"\\x\"}", "line 1, column 7"),
        ("{\"a\":\"\\u12g4\"}", "line 1, column 7"),
        ("{\"a\":\"\n\"}", "line 1, column 7"),
        ("{\"a\":tru}", "line 1, column 6"),
        ("{\"a\":1.}", "line 1, column 8"),
        ("{\"a\":-}", "line 1, column 7"),
        ("{\"a\":1e}", "line 1, column 8"),
        ("{} {}", "line 1, column 4"),
        ("{\"a\":\"", "line 1, column 7"),
        ("[", "line 1, column 2"),
    ];
    for (text, place) in cases {
        let error = syntax::check(text.as_bytes()).expect_err(text);
        assert!(error.message.contains(place), "{text}: {}", error.message);
    }
    let error = syntax::check(b"{\"a\":\"\xff\"}").expect_err("no UTF-8");
    assert_eq!(error.offset, 6);
    for text in ["[]", "null", "5", r#"{"resourceSpans":{}}"#] {
        let text = syntax::check(text.as_bytes()).expect("JSON");
        assert!(transcode(text, request(Signal::Traces)).is_err(), "{text}");
    }
    for text in ["{}", " {\"a\":[[],{},\"\",-0.5e+3,true,false,null]} \n"] {
        assert!(syntax::check(text.as_bytes()).is_ok(), "{text}");
    }
}
