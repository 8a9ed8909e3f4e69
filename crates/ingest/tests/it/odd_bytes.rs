//! What no client library writes but the wire allows: fields in any order, text that is not UTF-8, a batch that
//! lost the head of a span.

use skein_event::Fixed;
use skein_event::batch::{ColumnKey, Values};
use skein_ingest::export::model::Model;
use skein_ingest::{Signal, WarningCode, decode_json, decode_protobuf, export};
use skein_otlp::common::any_value::Value;

use crate::generate::{Random, request};
use crate::round_trip::{CONTEXT, Request, exported};

/// A field of wire type 2.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("short");
    assert!(length < 0x80, "one byte of length");
    [&[number << 3 | 2, length], content].concat()
}

fn span(name: &[u8], attributes: &[u8]) -> Vec<u8> {
    [field(1, &[7; 16]), field(2, &[9; 8]), field(5, name), attributes.to_vec()].concat()
}

fn traces(span: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, span)))
}

#[test]
fn text_that_is_not_utf8_comes_out_as_bytes() {
    let entry = [field(1, b"k"), field(2, &field(1, b"\xff\xfe"))].concat();
    let body = traces(&span(b"na\xffme", &field(9, &entry)));
    let decoded = decode_protobuf(Signal::Traces, &body, &CONTEXT).expect("protobuf");
    assert_eq!(decoded.records, 1);
    assert_eq!(decoded.warnings[0].code, WarningCode::InvalidUtf8);
    let exported = export(&decoded.batch).expect("no damage");
    let span = &exported.traces.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.name, "na\u{fffd}me");
    let value = span.attributes[0].value.clone().expect("a value");
    assert_eq!(value.value, Some(Value::BytesValue(vec![0xff, 0xfe])));
}

#[test]
fn a_resource_may_come_behind_its_records() {
    let good = r#""traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174""#;
    let scope = format!(r#"{{"spans":[{{{good}}}],"scope":{{"name":"s"}}}}"#);
    let text = format!(
        r#"{{"resourceSpans":[{{"schemaUrl":"u","scopeSpans":[{scope}],"resource":{{"droppedAttributesCount":1}}}}]}}"#
    );
    let model = exported(decode_json(Signal::Traces, text.as_bytes(), &CONTEXT).expect("JSON"));
    let lines = model.to_json_lines();
    assert!(lines[0].starts_with(r#"{"droppedAttributesCount":1} "u" {"name":"s"} """#), "{}", lines[0]);
}

#[test]
fn unknown_fields_change_nothing() {
    let plain = traces(&span(b"a", &[]));
    let unknown = [field(15, b"").as_slice(), &[0xa0, 0x7d, 1]].concat(); // field 2004, a varint
    let odd = [traces(&span(b"a", &unknown[2..])), unknown[2..].to_vec()].concat();
    let read = |body: &[u8]| exported(decode_protobuf(Signal::Traces, body, &CONTEXT).expect("protobuf"));
    assert_eq!(read(&plain).difference(&read(&odd)), None);
}

#[test]
fn annotations_without_their_span_are_told() {
    let event = field(11, &field(2, b"event"));
    let decoded = decode_protobuf(Signal::Traces, &traces(&span(b"a", &event)), &CONTEXT).expect("protobuf");
    let mut batch = decoded.batch;
    assert_eq!((batch.rows(), export(&batch).expect("no damage").orphans), (2, 0));
    // The event's row claims another span.
    let parent = ColumnKey::fixed(Fixed::ParentId);
    let column = batch.columns.iter_mut().find(|column| column.key == parent).expect("a parent");
    column.values = Values::Id8(vec![[1; 8]]);
    let exported = export(&batch).expect("no damage");
    assert_eq!(exported.orphans, 1);
    assert_eq!(exported.traces.resource_spans[0].scope_spans[0].spans[0].events, []);
}

#[test]
fn truncation_anywhere_is_refused_or_read() {
    for seed in 0..40 {
        let request: Request = request(&mut Random::new(seed));
        let (body, json) = (request.protobuf(), request.json());
        for cut in (0..body.len()).step_by(7) {
            if let Ok(decoded) = decode_protobuf(request.signal(), &body[..cut], &CONTEXT) {
                let model: Model = exported(decoded);
                assert!(model.len() <= request.model().len(), "seed {seed} cut {cut}");
            }
        }
        for cut in (0..json.len()).step_by(61).filter(|&cut| json.is_char_boundary(cut)) {
            let error = decode_json(request.signal(), &json.as_bytes()[..cut], &CONTEXT).expect_err("cut");
            assert!(error.offset <= cut, "seed {seed} cut {cut}: {error}");
        }
    }
}
