//! What the JSON door adds to the protobuf door: rejections of both are told in the client's own places.

use skein_event::rejection::ReasonCode;
use skein_ingest::{Signal, decode_json};

use crate::round_trip::CONTEXT;

const GOOD: &str = r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}"#;

fn traces(spans: &[&str]) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","))
}

#[test]
fn rejections_name_the_place_in_what_was_sent() {
    let no_trace = r#"{"spanId":"eee19b7ec3c1b174"}"#;
    let body = traces(&[r#"{"traceId":"zz"}"#, GOOD, r#"{"name":5}"#, no_trace, GOOD]);
    let decoded = decode_json(Signal::Traces, body.as_bytes(), &CONTEXT).expect("JSON");
    assert_eq!((decoded.records, decoded.rejected.total()), (2, 3));
    let kept: Vec<(ReasonCode, &str)> =
        decoded.rejected.kept.iter().map(|kept| (kept.reason, kept.path.as_str())).collect();
    assert_eq!(
        kept,
        [
            (ReasonCode::InvalidTraceId, "resourceSpans[0].scopeSpans[0].spans[0].traceId"),
            (ReasonCode::InvalidField, "resourceSpans[0].scopeSpans[0].spans[2].name"),
            (ReasonCode::InvalidTraceId, "resourceSpans[0].scopeSpans[0].spans[3].traceId"),
        ]
    );
}

#[test]
fn a_hundred_levels_of_nesting_are_stored() {
    for (opening, closing) in [
        (r#"{"arrayValue":{"values":["#, "]}}"),
        (r#"{"kvlistValue":{"values":[{"key":"k","value":"#, "}]}}"),
    ] {
        let value = format!("{}{{\"intValue\":1}}{}", opening.repeat(100), closing.repeat(100));
        let span = GOOD.replace('}', &format!(r#","attributes":[{{"key":"deep","value":{value}}}]}}"#));
        let decoded = decode_json(Signal::Traces, traces(&[&span]).as_bytes(), &CONTEXT).expect("JSON");
        assert_eq!((decoded.records, decoded.rejected.total()), (1, 0), "{opening}");
    }
}

#[test]
fn malformed_json_is_refused_with_line_and_column() {
    let error = decode_json(Signal::Logs, b"{\n\"resourceLogs\": [}", &CONTEXT).expect_err("malformed");
    assert_eq!((error.format, error.offset), ("JSON", 19));
    assert!(error.to_string().contains("line 2, column 18"), "{error}");
}

#[test]
fn an_empty_request_is_no_error() {
    for body in ["{}", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":null}"#] {
        let decoded = decode_json(Signal::Traces, body.as_bytes(), &CONTEXT).expect("JSON");
        assert_eq!((decoded.records, decoded.batch.rows()), (0, 0), "{body}");
    }
}
