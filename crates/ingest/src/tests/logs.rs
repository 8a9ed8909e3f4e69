//! Log records.

use skein_event::Physical;
use skein_event::batch::Origin;
use skein_event::columns::Fixed;

use super::message::Message;
use super::*;
use crate::record_flags::{SPAN_ID_ZERO, TRACE_ID_DERIVED, TRACE_ID_ZERO};

const HEX: &str = "5759e988bd862e3fe1be46a994272793";

fn log() -> Message {
    Message::new().fixed64(1, 1_000)
}

fn decode_logs(records: &[Message]) -> Decoded {
    decode(Signal::Logs, &request(records))
}

#[test]
fn a_log_record_fills_its_columns() {
    let record = log()
        .fixed64(11, 2_000)
        .varint(2, 9)
        .bytes(3, b"Information")
        .message(5, &Message::text("hello"))
        .attribute(6, "k", Message::int(1))
        .varint(7, 3)
        .fixed32(8, 1)
        .bytes(9, &TRACE_ID)
        .bytes(10, &SPAN_ID)
        .bytes(12, b"app.started");
    let decoded = decode_logs(&[record]);
    for (column, value) in [
        (Fixed::Severity, "info"),
        (Fixed::SeverityCode, "9"),
        (Fixed::SeverityText, "Information"),
        (Fixed::EventName, "app.started"),
        (Fixed::ObservedTime, "2000"),
        (Fixed::Body, "hello"),
        (Fixed::BodyValue, "-"),
        (Fixed::TraceId, "07070707070707070707070707070707"),
        (Fixed::SpanId, "0808080808080808"),
        (Fixed::TraceFlags, "1"),
        (Fixed::DroppedAttributes, "3"),
        (Fixed::RecordFlags, "-"),
    ] {
        assert_eq!(fixed(&decoded, 0, column), value, "{}", column.name());
    }
    assert_eq!(list(&decoded, 0), "Value k k=1");
    assert_eq!(fixed_context(&decoded, 0, Fixed::SignalType), "log");
}

#[test]
fn severity_numbers_have_groups() {
    let groups = [
        (0, "unspecified"),
        (1, "trace"),
        (4, "trace"),
        (5, "debug"),
        (8, "debug"),
        (9, "info"),
        (12, "info"),
        (13, "warn"),
        (16, "warn"),
        (17, "error"),
        (20, "error"),
        (21, "fatal"),
        (24, "fatal"),
        (25, "unspecified"),
    ];
    for (number, group) in groups {
        assert_eq!(fixed(&decode_logs(&[log().varint(2, number)]), 0, Fixed::Severity), group, "{number}");
    }
}

#[test]
fn a_log_without_a_time_has_the_observed_one() {
    let decoded = decode_logs(&[Message::new().fixed64(11, 2_000)]);
    assert_eq!(decoded.batch.times, [2_000]);
    assert_eq!(fixed(&decoded, 0, Fixed::TimeSource), "observed");
    assert!(decoded.every_record_has_time, "the observed time tells records apart");
    let decoded = decode_logs(&[Message::new()]);
    assert_eq!(decoded.batch.times, [ARRIVAL]);
    assert_eq!(fixed(&decoded, 0, Fixed::TimeSource), "arrival");
    assert!(!decoded.every_record_has_time);
}

#[test]
fn a_json_body_becomes_columns_and_stays_raw() {
    let text = r#" {"user":{"id":7,"tags":["a"]},"ok":true,"ms":1.5,"big":18446744073709551615,"none":null,"k":"body"} "#;
    let record = log().message(5, &Message::text(text)).attribute(6, "k", Message::text("attribute"));
    let decoded = decode_logs(&[record]);
    assert_eq!(fixed(&decoded, 0, Fixed::Body), text);
    let body = |name| values(&decoded, 0, Origin::Body, name);
    assert_eq!(body("user.id"), [(Physical::I64, "7".to_owned())]);
    assert_eq!(body("user.tags"), [(Physical::Json, "[\"a\"]".to_owned())]);
    assert_eq!(body("ok"), [(Physical::Bool, "true".to_owned())]);
    assert_eq!(body("ms"), [(Physical::F64, "1.5".to_owned())]);
    assert_eq!(body("big").len(), 1);
    assert_eq!(body("none"), []);
    assert_eq!(body("k"), [(Physical::Text, "body".to_owned())]);
    assert_eq!(list(&decoded, 0), "Value k k=attribute", "body columns are no attributes");
}

#[test]
fn a_kvlist_body_becomes_columns_and_stays_typed() {
    let map = Message::map(&[
        ("user", Message::map(&[("id", Message::int(7))])),
        ("bytes", Message::blob(b"AB")),
        ("trace_id", Message::text(HEX)),
    ]);
    let decoded = decode_logs(&[log().message(5, &map)]);
    assert_eq!(values(&decoded, 0, Origin::Body, "user.id"), [(Physical::I64, "7".to_owned())]);
    assert_eq!(values(&decoded, 0, Origin::Body, "bytes"), [(Physical::Bytes, "QUI=".to_owned())]);
    assert_eq!(fixed(&decoded, 0, Fixed::TraceId), HEX);
    let body = values(&decoded, 0, Origin::Fixed, "body");
    assert_eq!(
        body,
        [(Physical::Json, format!(r#"{{"user":{{"id":7}},"bytes":"QUI=","trace_id":"{HEX}"}}"#))]
    );
}

#[test]
fn a_body_of_any_type_is_kept() {
    for (body, physical, text) in [
        (Message::text(""), Physical::Text, ""),
        (Message::text("{not json"), Physical::Text, "{not json"),
        (Message::text("[1]"), Physical::Text, "[1]"),
        (Message::new(), Physical::Json, "null"),
        (Message::int(5), Physical::Json, "5"),
        (Message::array(&[Message::bool(true)]), Physical::Json, "[true]"),
        (Message::new().bytes(1, b"\xff"), Physical::Bytes, "/w=="),
    ] {
        let decoded = decode_logs(&[log().message(5, &body)]);
        assert_eq!(values(&decoded, 0, Origin::Fixed, "body"), [(physical, text.to_owned())]);
        assert_eq!(decoded.batch.columns.iter().filter(|c| c.key.origin == Origin::Body).count(), 0);
    }
    assert_eq!(values(&decode_logs(&[log()]), 0, Origin::Fixed, "body"), []);
}

#[test]
fn a_trace_id_inside_a_log_joins_its_trace() {
    let in_body =
        log().message(5, &Message::text(&format!(r#"{{"dd":{{"trace_id":"1234"}},"otelTraceID":"{HEX}"}}"#)));
    let in_attribute =
        log().attribute(6, "trace_id", Message::text(HEX)).bytes(9, &[0; 16]).bytes(10, &[0; 8]);
    let own = log().attribute(6, "trace_id", Message::text(HEX)).bytes(9, &TRACE_ID);
    let decoded = decode_logs(&[in_body, in_attribute, own, log()]);
    let ids: Vec<String> = (0..4).map(|row| fixed(&decoded, row, Fixed::TraceId)).collect();
    assert_eq!(ids, [HEX, HEX, "07070707070707070707070707070707", "-"]);
    let zero = TRACE_ID_DERIVED | TRACE_ID_ZERO | SPAN_ID_ZERO;
    let expected = [TRACE_ID_DERIVED.to_string(), zero.to_string(), "-".to_owned(), "-".to_owned()];
    let flags: Vec<String> = (0..4).map(|row| fixed(&decoded, row, Fixed::RecordFlags)).collect();
    assert_eq!(flags, expected);
}

#[test]
fn ids_of_wrong_length_reject_the_record() {
    let decoded = decode_logs(&[log().bytes(9, &[1; 15]), log().bytes(10, &[1; 9]), log()]);
    assert_eq!(decoded.records, 1);
    let paths: Vec<&str> = decoded.rejected.kept.iter().map(|r| r.path.as_str()).collect();
    let at = "resourceLogs[0].scopeLogs[0].logRecords";
    assert_eq!(paths, [format!("{at}[0].traceId"), format!("{at}[1].spanId")]);
}
