//! Spans, events, links and attributes.

use skein_event::Physical;
use skein_event::batch::{Origin, TokenKind};
use skein_event::columns::Fixed;
use skein_event::rejection::ReasonCode;

use super::message::Message;
use super::*;
use crate::WarningCode;
use crate::record_flags::{PARENT_ID_ZERO, RESOURCE_PRESENT, SCOPE_PRESENT};

fn decode_spans(spans: &[Message]) -> Decoded {
    decode(Signal::Traces, &request(spans))
}

#[test]
fn a_span_fills_its_columns() {
    let status = Message::new().bytes(2, b"boom").varint(3, 2);
    let span = span()
        .bytes(3, b"ot=th:8")
        .bytes(4, &[9; 8])
        .bytes(5, b"GET /")
        .varint(6, 2)
        .varint(10, 1)
        .varint(12, 2)
        .varint(14, 3)
        .message(15, &status)
        .fixed32(16, 0x301);
    let decoded = decode_spans(&[span]);
    assert_eq!(decoded.batch.times, [1_000]);
    let expected = [
        (Fixed::TraceId, "07070707070707070707070707070707"),
        (Fixed::SpanId, "0808080808080808"),
        (Fixed::ParentId, "0909090909090909"),
        (Fixed::Name, "GET /"),
        (Fixed::Duration, "2000"),
        (Fixed::SpanKind, "server"),
        (Fixed::StatusCode, "2"),
        (Fixed::StatusMessage, "boom"),
        (Fixed::Error, "true"),
        (Fixed::TraceState, "ot=th:8"),
        (Fixed::TraceFlags, "769"),
        (Fixed::DroppedAttributes, "1"),
        (Fixed::DroppedEvents, "2"),
        (Fixed::DroppedLinks, "3"),
        (Fixed::NumEvents, "0"),
        (Fixed::NumLinks, "0"),
        (Fixed::SampleRate, "2"),
        (Fixed::SamplingUnit, "trace"),
        (Fixed::SamplingInclusion, "probability"),
        (Fixed::InvalidDuration, "-"),
    ];
    for (column, value) in expected {
        assert_eq!(fixed(&decoded, 0, column), value, "{}", column.name());
    }
    assert_eq!(fixed_context(&decoded, 0, Fixed::SignalType), "trace");
    assert_eq!(fixed_context(&decoded, 0, Fixed::Dataset), "cart");
    assert!(decoded.every_record_has_time);
    assert_eq!(decoded.records, 1);
}

#[test]
fn only_a_status_of_error_is_an_error() {
    for (code, error) in [(0, "-"), (1, "-"), (2, "true"), (3, "-")] {
        let decoded = decode_spans(&[span().message(15, &Message::new().varint(3, code))]);
        assert_eq!(fixed(&decoded, 0, Fixed::Error), error, "{code}");
        assert_eq!(fixed(&decoded, 0, Fixed::StatusCode), code.to_string());
    }
    let decoded = decode_spans(&[span()]);
    assert_eq!(fixed(&decoded, 0, Fixed::StatusCode), "-", "a span without a status");
}

#[test]
fn kinds_have_words_and_unknown_ones_their_number() {
    let words = ["unspecified", "internal", "server", "client", "producer", "consumer", "6"];
    for (kind, word) in (0_u64..).zip(words) {
        assert_eq!(fixed(&decode_spans(&[span().varint(6, kind)]), 0, Fixed::SpanKind), word);
    }
    assert_eq!(fixed(&decode_spans(&[span().varint(6, u64::MAX)]), 0, Fixed::SpanKind), "-1");
}

#[test]
fn one_bad_span_does_not_reject_its_batch() {
    let bad_parent = span().bytes(4, &[1; 7]);
    let no_ids = Message::new().bytes(5, b"nameless");
    let zero = Message::new().bytes(1, &[0; 16]).bytes(2, &SPAN_ID);
    let short = Message::new().bytes(1, &TRACE_ID).bytes(2, &[1; 4]);
    let good = span().bytes(5, b"good").attribute(9, "a", Message::int(1));
    let decoded = decode_spans(&[good.clone(), bad_parent, no_ids, zero, short, good]);
    assert_eq!((decoded.records, decoded.batch.rows()), (2, 2));
    assert_eq!(decoded.rejected.total(), 4);
    let kept: Vec<_> =
        decoded.rejected.kept.iter().map(|r| (r.reason, r.path.as_str(), r.message.as_str())).collect();
    let at = |index: usize, field: &str| format!("resourceSpans[0].scopeSpans[0].spans[{index}].{field}");
    let expected = [
        (ReasonCode::InvalidSpanId, at(1, "parentSpanId"), "has 7 bytes instead of 8"),
        (ReasonCode::InvalidTraceId, at(2, "traceId"), "is missing"),
        (ReasonCode::InvalidTraceId, at(3, "traceId"), "is all zero"),
        (ReasonCode::InvalidSpanId, at(4, "spanId"), "has 4 bytes instead of 8"),
    ];
    for (found, (reason, path, message)) in kept.iter().zip(&expected) {
        assert_eq!(*found, (*reason, path.as_str(), *message));
    }
    assert_eq!(kept.len(), expected.len());
}

#[test]
fn attributes_of_every_type_keep_their_type_and_order() {
    let span = span()
        .attribute(9, "text", Message::text("a"))
        .attribute(9, "int", Message::int(-5))
        .attribute(9, "big", Message::int(i64::MIN))
        .attribute(9, "double", Message::double(1.5))
        .attribute(9, "nan", Message::double(f64::NAN))
        .attribute(9, "bool", Message::bool(false))
        .attribute(9, "bytes", Message::blob(&[0, 255]))
        .attribute(9, "array", Message::array(&[Message::int(1), Message::text("x")]))
        .attribute(9, "empty", Message::new())
        .message(9, &Message::new().bytes(1, b"absent"));
    let decoded = decode_spans(&[span.clone(), span]);
    let expected = "Value text text=a, Value int int=-5, Value big big=-9223372036854775808, \
        Value double double=1.5, Value nan nan=NaN, Value bool bool=false, Value bytes bytes=AP8=, \
        Value array array=[1,\"x\"], Empty empty, Absent absent";
    for row in 0..2 {
        assert_eq!(list(&decoded, row), expected);
    }
    assert_eq!(decoded.batch.shapes[0], decoded.batch.shapes[1]);
}

#[test]
fn kvlists_become_dotted_columns_down_to_the_limit() {
    let mut value = Message::map(&[("leaf", Message::int(1))]);
    for level in (1..=6).rev() {
        value = Message::map(&[(&format!("l{level}"), value)]);
    }
    let nested = span()
        .attribute(
            9,
            "m",
            Message::map(&[("a", Message::int(1)), ("b", Message::map(&[])), ("", Message::int(2))]),
        )
        .attribute(9, "deep", value);
    let decoded = decode_spans(&[nested.clone(), nested]);
    let expected = "Open m, Value a m.a=1, Open b, Close b, Value  m.=2, Close m, Open deep, Open l1, Open l2, \
        Open l3, Open l4, Value l5 deep.l1.l2.l3.l4.l5={\"l6\":{\"leaf\":1}}, Close l4, Close l3, Close l2, \
        Close l1, Close deep";
    for row in 0..2 {
        assert_eq!(list(&decoded, row), expected);
    }
}

#[test]
fn a_key_that_comes_twice_keeps_both_values() {
    let twice = span()
        .attribute(9, "k", Message::text("first"))
        .attribute(9, "k", Message::text("second"))
        .attribute(9, "k", Message::int(3))
        .attribute(9, "a.b", Message::int(4))
        .attribute(9, "a", Message::map(&[("b", Message::int(5))]));
    let decoded = decode_spans(&[twice.clone(), twice]);
    for row in 0..2 {
        let list = list(&decoded, row);
        assert!(list.starts_with("Value k k=first, Inline k [10, 6, 115, 101"), "{list}");
        assert!(
            list.contains("Inline k [24, 3], Value a.b a.b=4, Open a, Inline b [24, 5], Close a"),
            "{list}"
        );
    }
}

#[test]
fn a_key_that_names_no_column_is_kept() {
    let odd = span()
        .attribute(9, "", Message::text("nameless"))
        .raw_attribute(9, &[0xff], &Message::int(1))
        .attribute(9, "", Message::map(&[("x", Message::int(1))]));
    let decoded = decode_spans(&[odd]);
    let tokens = decoded.batch.shape_table.get(decoded.batch.shapes[0]);
    assert!(tokens.iter().all(|token| token.kind == TokenKind::Inline));
    assert_eq!(tokens.len(), 3);
    assert_eq!(fixed(&decoded, 0, Fixed::InvalidUtf8), "true");
}

#[test]
fn text_that_is_not_utf8_is_stored_as_bytes_and_flagged() {
    let bad = Message::new().bytes(1, b"caf\xe9");
    let odd = span().bytes(5, b"\xff").raw_attribute(9, b"k", &bad);
    let fine = span().bytes(5, b"ok").attribute(9, "k", Message::text("caf\u{e9}"));
    let decoded = decode_spans(&[fine.clone(), odd.clone(), fine, odd]);
    for row in [1, 3] {
        assert_eq!(values(&decoded, row, Origin::Item, "k"), [(Physical::Bytes, "Y2Fm6Q==".to_owned())]);
        assert_eq!(list(&decoded, row), "InvalidText k k=Y2Fm6Q==");
        assert_eq!(values(&decoded, row, Origin::Fixed, "name"), [(Physical::Bytes, "/w==".to_owned())]);
        assert_eq!(fixed(&decoded, row, Fixed::InvalidUtf8), "true");
    }
    for row in [0, 2] {
        assert_eq!(values(&decoded, row, Origin::Item, "k"), [(Physical::Text, "caf\u{e9}".to_owned())]);
        assert_eq!(fixed(&decoded, row, Fixed::InvalidUtf8), "-");
    }
    let warning = decoded.warnings.iter().find(|warning| warning.code == WarningCode::InvalidUtf8);
    assert_eq!(warning.map(|warning| warning.count), Some(2));
    let nested = span().attribute(9, "a", Message::array(&[bad]));
    assert_eq!(fixed(&decode_spans(&[nested]), 0, Fixed::InvalidUtf8), "true");
}

#[test]
fn hidden_attribute_is_still_stored() {
    let resource = Message::new()
        .attribute(1, "service.name", Message::text("cart"))
        .attribute(1, "name", Message::text("of the resource"))
        .attribute(1, "k", Message::text("resource"));
    let scope = Message::new()
        .bytes(1, b"lib")
        .bytes(2, b"1.0")
        .attribute(3, "k", Message::text("scope"))
        .varint(4, 9);
    let span = span()
        .bytes(5, b"GET")
        .attribute(9, "k", Message::text("span"))
        .attribute(9, "name", Message::text("attribute"))
        .attribute(9, "duration_ms", Message::int(1))
        .attribute(9, "service.name", Message::text("other"));
    let scope_spans = Message::new().message(1, &scope).message(2, &span).bytes(3, b"scope-url");
    let group = Message::new().message(1, &resource).message(2, &scope_spans).bytes(3, b"resource-url");
    let decoded = decode(Signal::Traces, &Message::new().message(1, &group));
    let text = |value: &str| vec![(Physical::Text, value.to_owned())];
    for (origin, name, value) in [
        (Origin::Item, "k", "span"),
        (Origin::Scope, "k", "scope"),
        (Origin::Resource, "k", "resource"),
        (Origin::Item, "name", "attribute"),
        (Origin::Resource, "name", "of the resource"),
        (Origin::Item, "service.name", "other"),
        (Origin::Resource, "service.name", "cart"),
    ] {
        assert_eq!(values(&decoded, 0, origin, name), text(value), "{origin:?} {name}");
    }
    assert_eq!(fixed(&decoded, 0, Fixed::Name), "GET");
    assert_eq!(fixed(&decoded, 0, Fixed::Duration), "2000");
    for (column, value) in [
        (Fixed::Dataset, "cart"),
        (Fixed::LibraryName, "lib"),
        (Fixed::LibraryVersion, "1.0"),
        (Fixed::ScopeDropped, "9"),
        (Fixed::ScopeSchemaUrl, "scope-url"),
        (Fixed::ResourceSchemaUrl, "resource-url"),
    ] {
        assert_eq!(fixed_context(&decoded, 0, column), value, "{}", column.name());
    }
    let flags = (RESOURCE_PRESENT | SCOPE_PRESENT).to_string();
    assert_eq!(fixed_context(&decoded, 0, Fixed::ContextFlags), flags);
}

#[test]
fn the_dataset_is_the_trimmed_service_name() {
    let named = |value: Message| Message::new().attribute(1, "service.name", value);
    for (resource, dataset) in [
        (named(Message::text("  cart ")), "cart"),
        (named(Message::text("  ")), "unknown_service"),
        (named(Message::text("unknown_service:java")), "unknown_service"),
        (named(Message::int(5)), "unknown_service"),
        (Message::new(), "unknown_service"),
    ] {
        let decoded = decode(Signal::Traces, &request_of(&resource, &[span()]));
        assert_eq!(fixed_context(&decoded, 0, Fixed::Dataset), dataset);
    }
    let log = Message::new().fixed64(1, 5);
    let decoded = decode(Signal::Logs, &request_of(&Message::new(), &[log]));
    assert_eq!(fixed_context(&decoded, 0, Fixed::Dataset), "unknown_log_source");
}

#[test]
fn a_resource_after_its_spans_is_still_theirs() {
    let resource = Message::new().attribute(1, "service.name", Message::text("late"));
    let more = Message::new().attribute(1, "k", Message::text("merged"));
    let scope = Message::new().message(2, &span());
    let group = Message::new().message(2, &scope).message(1, &resource).message(1, &more);
    let decoded = decode(Signal::Traces, &Message::new().message(1, &group));
    assert_eq!(fixed_context(&decoded, 0, Fixed::Dataset), "late");
    assert_eq!(values(&decoded, 0, Origin::Resource, "k").len(), 1);
}

#[test]
fn equal_contexts_are_stored_once() {
    let group = request(&[span()]);
    let body = Message(group.0.repeat(5));
    let decoded = decode(Signal::Traces, &body);
    assert_eq!((decoded.batch.rows(), decoded.batch.context_shapes.len()), (5, 1));
}

#[test]
fn events_and_links_follow_their_span() {
    let exception = Message::new()
        .fixed64(1, 1_500)
        .bytes(2, b"exception")
        .attribute(3, "exception.type", Message::text("Timeout"))
        .attribute(3, "exception.message", Message::text("too slow"))
        .attribute(3, "other", Message::int(1))
        .varint(4, 6);
    let second = Message::new().bytes(2, b"exception").attribute(3, "exception.type", Message::text("Late"));
    let link = Message::new()
        .bytes(1, &[1; 16])
        .bytes(2, &[2; 8])
        .bytes(3, b"x=y")
        .attribute(4, "why", Message::text("batch"))
        .varint(5, 4)
        .fixed32(6, 0x100);
    let empty_link = Message::new().attribute(4, "why", Message::text("unknown"));
    let span = span()
        .bytes(5, b"op")
        .attribute(9, "exception.message", Message::text("own"))
        .message(11, &exception)
        .message(13, &link)
        .message(11, &second)
        .message(13, &empty_link)
        .message(15, &Message::new().varint(3, 2));
    let decoded = decode_spans(&[span]);
    assert_eq!((decoded.records, decoded.batch.rows()), (1, 5));
    assert_eq!(decoded.batch.times, [1_000, 1_500, ARRIVAL, 1_000, 1_000]);
    let derived = |name| values(&decoded, 0, Origin::Derived, name);
    assert_eq!(derived("exception.type"), [(Physical::Text, "Timeout".to_owned())]);
    assert_eq!(derived("exception.message"), [], "the span has its own");
    let table = [
        (Fixed::NumEvents, ["2", "-", "-", "-", "-"]),
        (Fixed::NumLinks, ["2", "-", "-", "-", "-"]),
        (Fixed::AnnotationType, ["-", "span_event", "span_event", "link", "link"]),
        (Fixed::Name, ["op", "exception", "exception", "-", "-"]),
        (Fixed::ParentName, ["-", "op", "op", "op", "op"]),
        (Fixed::Error, ["true"; 5]),
        (Fixed::TraceId, ["07070707070707070707070707070707"; 5]),
        (Fixed::SpanId, ["0808080808080808", "-", "-", "-", "-"]),
        (
            Fixed::ParentId,
            ["-", "0808080808080808", "0808080808080808", "0808080808080808", "0808080808080808"],
        ),
        (Fixed::SinceSpanStart, ["-", "500", "-", "-", "-"]),
        (Fixed::TimeSource, ["-", "-", "arrival", "-", "-"]),
        (Fixed::DroppedAttributes, ["-", "6", "-", "4", "-"]),
        (Fixed::LinkTraceId, ["-", "-", "-", "01010101010101010101010101010101", "-"]),
        (Fixed::LinkSpanId, ["-", "-", "-", "0202020202020202", "-"]),
        (Fixed::TraceState, ["-", "-", "-", "x=y", "-"]),
        (Fixed::TraceFlags, ["-", "-", "-", "256", "-"]),
    ];
    for (column, expected) in table {
        let found: Vec<String> = (0..5).map(|row| fixed(&decoded, row, column)).collect();
        assert_eq!(found, expected, "{}", column.name());
    }
    assert_eq!(list(&decoded, 3), "Value why why=batch");
}

#[test]
fn a_bad_link_rejects_its_span_alone() {
    let link = Message::new().bytes(1, &[1; 5]);
    let event = Message::new().raw_attribute(3, &vec![b'k'; (1 << 20) + 1], &Message::int(1));
    let decoded = decode_spans(&[span().message(13, &link), span().message(11, &event), span()]);
    assert_eq!((decoded.records, decoded.batch.rows()), (1, 1));
    let paths: Vec<&str> = decoded.rejected.kept.iter().map(|r| r.path.as_str()).collect();
    let expected = [
        "resourceSpans[0].scopeSpans[0].spans[0].links[0].traceId",
        "resourceSpans[0].scopeSpans[0].spans[1].events[0].attributes[0].key",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn times_out_of_range_are_kept_as_they_came() {
    let at = |start: u64, end: u64| {
        Message::new().bytes(1, &TRACE_ID).bytes(2, &SPAN_ID).fixed64(7, start).fixed64(8, end)
    };
    let tomorrow = ARRIVAL.cast_unsigned() + 48 * 3_600_000_000_000;
    let spans =
        [at(0, 0), at(0, 9), at(u64::MAX, u64::MAX), at(tomorrow, tomorrow + 5), at(9, 5), at(1, u64::MAX)];
    let decoded = decode_spans(&spans);
    assert_eq!(decoded.batch.times[..3], [ARRIVAL; 3]);
    assert_eq!(decoded.batch.times[3], tomorrow.cast_signed());
    let max = "18446744073709551615";
    let table = [
        (Fixed::TimeSource, ["arrival", "arrival", "-", "-", "-", "-"]),
        (Fixed::TimeRaw, ["-", "-", max, "-", "-", "-"]),
        (Fixed::TimeOutOfRange, ["-", "-", "true", "true", "-", "-"]),
        (Fixed::Duration, ["0", "0", "0", "5", "0", "0"]),
        (Fixed::InvalidDuration, ["-", "true", "-", "-", "true", "true"]),
        (Fixed::EndTimeRaw, ["-", "9", "-", "-", "5", max]),
    ];
    for (column, expected) in table {
        let found: Vec<String> = (0..6).map(|row| fixed(&decoded, row, column)).collect();
        assert_eq!(found, expected, "{}", column.name());
    }
    assert!(!decoded.every_record_has_time);
    let count = |code| decoded.warnings.iter().find(|w| w.code == code).map(|w| w.count);
    assert_eq!(count(WarningCode::TimeOutOfRange), Some(2));
    assert_eq!(count(WarningCode::InvalidDuration), Some(3));
}

#[test]
fn an_all_zero_parent_is_none_and_remembered() {
    let decoded = decode_spans(&[span().bytes(4, &[0; 8])]);
    assert_eq!(fixed(&decoded, 0, Fixed::ParentId), "-");
    assert_eq!(fixed(&decoded, 0, Fixed::RecordFlags), PARENT_ID_ZERO.to_string());
}

#[test]
fn the_nearest_sample_rate_counts_and_stays_an_attribute() {
    let resource = Message::new().attribute(1, "SampleRate", Message::int(7));
    let own = span().attribute(9, "sampleRate", Message::text("3")).bytes(3, b"ot=th:8");
    let state = span().bytes(3, b"ot=th:c");
    let decoded = decode(Signal::Traces, &request_of(&resource, &[own.clone(), state.clone()]));
    assert_eq!([0, 1].map(|row| fixed(&decoded, row, Fixed::SampleRate)), ["3", "7"]);
    assert_eq!(list(&decoded, 0), "Value sampleRate sampleRate=3");
    let decoded = decode_spans(&[own, state, span()]);
    assert_eq!([0, 1, 2].map(|row| fixed(&decoded, row, Fixed::SampleRate)), ["3", "4", "-"]);
}

#[test]
fn attribute_lists_that_alternate_share_their_shapes() {
    let spans: Vec<Message> = (0..200)
        .map(|index| match index % 3 {
            0 => span().attribute(9, "a", Message::int(index)).attribute(9, "b", Message::int(1)),
            1 => span().attribute(9, "a", Message::int(index)).attribute(9, "c", Message::text("x")),
            _ => span().attribute(9, "b", Message::int(index)).attribute(9, "a", Message::int(1)),
        })
        .collect();
    let decoded = decode_spans(&spans);
    let shapes: std::collections::BTreeSet<u32> = decoded.batch.shapes.iter().copied().collect();
    assert_eq!(shapes.len(), 3);
    assert_eq!(list(&decoded, 198), "Value a a=198, Value b b=1");
    assert_eq!(list(&decoded, 199), "Value a a=199, Value c c=x");
    assert_eq!(list(&decoded, 197), "Value b b=197, Value a a=1");
}
