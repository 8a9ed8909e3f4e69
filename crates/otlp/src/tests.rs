//! The wire form against bytes worked out by hand, and the JSON form against text.

use prost::Message as _;

use crate::collector::trace::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use crate::common::{AnyValue, KeyValue};
use crate::json::ToJson as _;
use crate::metrics::{ExponentialHistogramDataPoint, NumberDataPoint, number_data_point};
use crate::rpc::{BadRequest, Detail as _, FieldViolation, RetryInfo, Status};
use crate::trace::Span;

#[test]
fn fields_have_their_numbers() {
    let span = Span { trace_id: vec![1; 16], flags: 0x101, kind: 2, ..Span::default() };
    let expected = [&[0x0a, 16][..], &[1; 16], &[0x30, 2], &[0x85, 0x01, 1, 1, 0, 0]].concat();
    assert_eq!(span.encode_to_vec(), expected);
    let point = NumberDataPoint {
        time_unix_nano: 1,
        value: Some(number_data_point::Value::AsInt(-1)),
        ..NumberDataPoint::default()
    };
    let expected = [&[0x19, 1, 0, 0, 0, 0, 0, 0, 0][..], &[0x31], &[0xff; 8]].concat();
    assert_eq!(point.encode_to_vec(), expected);
    let histogram = ExponentialHistogramDataPoint { scale: -1, sum: Some(0.0), ..Default::default() };
    let expected = [&[0x29][..], &[0; 8], &[0x30, 1]].concat();
    assert_eq!(histogram.encode_to_vec(), expected);
}

#[test]
fn json_of_values() {
    let cases: &[(AnyValue, &str)] = &[
        (AnyValue::default(), "{}"),
        (AnyValue::from("a\"\u{1}"), r#"{"stringValue":"a\"\u0001"}"#),
        (AnyValue::from(""), r#"{"stringValue":""}"#),
        (AnyValue::from(false), r#"{"boolValue":false}"#),
        (AnyValue::from(i64::MIN), r#"{"intValue":"-9223372036854775808"}"#),
        (AnyValue::from(0.1), r#"{"doubleValue":0.1}"#),
        (AnyValue::from(-0.0), r#"{"doubleValue":-0.0}"#),
        (AnyValue::from(f64::NAN), r#"{"doubleValue":"NaN"}"#),
        (AnyValue::from(f64::NEG_INFINITY), r#"{"doubleValue":"-Infinity"}"#),
        (AnyValue::from(vec![0xfb_u8, 0xff]), r#"{"bytesValue":"+/8="}"#),
        (AnyValue::array([]), r#"{"arrayValue":{"values":[]}}"#),
        (
            AnyValue::kvlist([KeyValue::new("k", AnyValue::default())]),
            r#"{"kvlistValue":{"values":[{"key":"k","value":{}}]}}"#,
        ),
    ];
    for (value, text) in cases {
        assert_eq!(value.to_json(), *text);
    }
}

#[test]
fn json_of_records_leaves_defaults_out() {
    let span = Span {
        span_id: vec![0xab; 8],
        start_time_unix_nano: u64::MAX,
        kind: 99,
        status: Some(crate::trace::Status::default()),
        ..Span::default()
    };
    assert_eq!(
        span.to_json(),
        r#"{"spanId":"abababababababab","kind":99,"startTimeUnixNano":"18446744073709551615","status":{}}"#
    );
    assert_eq!(ExportTraceServiceResponse::default().to_json(), "{}");
    let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "why".into() };
    let response = ExportTraceServiceResponse { partial_success: Some(partial) };
    assert_eq!(response.to_json(), r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"why"}}"#);
}

#[test]
fn json_of_an_error() {
    let violation = FieldViolation { field: "a.b".into(), description: "no".into() };
    let status = Status {
        code: 3,
        message: "bad".into(),
        details: vec![
            RetryInfo::after_ms(1_500).to_any(),
            RetryInfo::after_ms(2_000).to_any(),
            BadRequest { field_violations: vec![violation] }.to_any(),
        ],
    };
    assert_eq!(
        status.to_json(),
        concat!(
            r#"{"code":3,"message":"bad","details":["#,
            r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"},"#,
            r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2s"},"#,
            r#"{"@type":"type.googleapis.com/google.rpc.BadRequest","#,
            r#""fieldViolations":[{"field":"a.b","description":"no"}]}]}"#
        )
    );
}
