//! Bodies made to break the door.

use skein_event::batch::{Origin, TokenKind};
use skein_event::columns::Fixed;
use skein_event::limits::{
    DATASET_COLUMNS_MAX, EVENT_COLUMNS_MAX, NESTING_DEPTH_MAX, REJECTIONS_PER_REQUEST_MAX, SHAPE_STEPS_MAX,
    VALUE_BYTES_MAX,
};
use skein_event::rejection::ReasonCode;

use super::message::Message;
use super::*;
use crate::WarningCode;

fn decode_spans(spans: &[Message]) -> Decoded {
    decode(Signal::Traces, &request(spans))
}

fn nested(levels: usize) -> Message {
    (0..levels).fold(Message::int(1), |inner, _| Message::array(&[inner]))
}

#[test]
fn malformed_protobuf_names_its_place() {
    // The third span's second attribute has a length that reaches beyond it.
    let broken = span().attribute(9, "fine", Message::int(1)).bytes(9, &[0x0a, 0x05, b'k']);
    let body = request(&[span(), span(), broken]);
    let error = try_decode(Signal::Traces, &body.0).expect_err("malformed");
    assert_eq!(error.path, "resourceSpans[0].scopeSpans[0].spans[2].attributes[1]");
    assert_eq!(error.offset, body.0.len() - 1);
    assert_eq!(error.message, "a length that reaches beyond its message");
    let group = Message::new().bytes(1, &[0x7b, 0x7c]);
    assert!(try_decode(Signal::Traces, &group.0).is_ok(), "an unknown group is skipped");
    let wrong_type = request(&[span().varint(5, 7)]);
    let error = try_decode(Signal::Traces, &wrong_type.0).expect_err("a name that is a number");
    assert!(error.to_string().contains("another wire type"), "{error}");
}

#[test]
fn unknown_fields_are_skipped() {
    let body =
        request(&[span().varint(99, 7).bytes(98, b"new").fixed64(97, 1).raw(&[0xb3, 0x06, 0xb4, 0x06])]);
    assert_eq!(decode(Signal::Traces, &body).records, 1);
}

#[test]
fn nesting_is_walked_to_its_limit_and_no_further() {
    // The innermost number is a level of its own.
    let fine = span().attribute(9, "k", nested(NESTING_DEPTH_MAX - 1));
    let deep = span().attribute(9, "k", nested(NESTING_DEPTH_MAX));
    let decoded = decode_spans(&[fine, deep]);
    assert_eq!((decoded.records, decoded.rejected.counts.as_slice()), (1, &[(ReasonCode::TooDeep, 1)][..]));
    let mut maps = Message::int(1);
    for _ in 0..100 {
        maps = Message::map(&[("m", maps)]);
    }
    let decoded = decode_spans(&[span().attribute(9, "k", maps)]);
    assert_eq!((decoded.records, decoded.rejected.total()), (1, 0));
}

#[test]
fn a_value_up_to_the_limit_is_stored_whole() {
    let text = "x".repeat(VALUE_BYTES_MAX - 4);
    let fits = span().attribute(9, "k", Message::text(&text));
    let name = span().bytes(5, &vec![b'n'; VALUE_BYTES_MAX + 1]);
    let large = span().attribute(9, "k", Message::text(&"x".repeat(VALUE_BYTES_MAX + 1)));
    let decoded = decode_spans(&[fits, name, large]);
    assert_eq!(decoded.records, 1);
    assert_eq!(values(&decoded, 0, Origin::Item, "k")[0].1.len(), text.len());
    assert_eq!(decoded.rejected.counts, [(ReasonCode::ValueTooLarge, 2)]);
}

#[test]
fn attributes_beyond_the_columns_of_an_event_overflow() {
    let many = (0..10_000).fold(span(), |span, n| span.attribute(9, &format!("key.{n}"), Message::int(n)));
    let decoded = decode_spans(&[many.clone(), many]);
    assert_eq!((decoded.records, decoded.rejected.total()), (2, 0));
    for row in 0..2 {
        let tokens = decoded.batch.shape_table.get(decoded.batch.shapes[row as usize]);
        let count = |kind| tokens.iter().filter(|token| token.kind == kind).count();
        assert_eq!(count(TokenKind::Value), EVENT_COLUMNS_MAX);
        assert_eq!(count(TokenKind::Overflow), 10_000 - EVENT_COLUMNS_MAX);
        let overflow = fixed(&decoded, row, Fixed::Overflow);
        assert!(overflow.starts_with(r#"{"key.2000":2000,"#) && overflow.ends_with(r#""key.9999":9999}"#));
    }
    assert_eq!(decoded.batch.shapes[0], decoded.batch.shapes[1]);
    let warning = decoded.warnings.iter().find(|warning| warning.code == WarningCode::Overflow);
    assert_eq!(warning.map(|warning| warning.count), Some(2));
}

#[test]
fn a_million_column_names_stay_bounded() {
    let spans: Vec<Message> = (0..40_000)
        .map(|n: i64| {
            (0..25).fold(span(), |span, k| span.attribute(9, &format!("id-{n}-{k}"), Message::int(k)))
        })
        .collect();
    let body = request(&spans);
    let decoded = decode_protobuf(Signal::Traces, &body.0, &CONTEXT).expect("readable");
    assert_eq!(decoded.batch.validate(), Ok(()));
    assert_eq!((decoded.records, decoded.rejected.total()), (40_000, 0));
    assert!(decoded.batch.columns.len() <= DATASET_COLUMNS_MAX + Fixed::ALL.len());
    assert_eq!(fixed(&decoded, 39_999, Fixed::Overflow).matches("id-39999-").count(), 25);
    assert_eq!(list(&decoded, 0).matches("Value").count(), 25);
}

#[test]
fn more_lists_than_the_tree_remembers_are_stored_all_the_same() {
    // Every order of attributes is another path: the tree fills, and rows go on without it.
    let keys: Vec<String> = (0..12).map(|k| format!("k{k}")).collect();
    let order = |n: usize| {
        let mut order: Vec<&String> = keys.iter().collect();
        let mut state = n;
        for place in (1..order.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            order.swap(place, (state >> 33) % (place + 1));
        }
        order
    };
    let rows = SHAPE_STEPS_MAX / 8;
    let spans: Vec<Message> = (0..rows)
        .map(|n| order(n).iter().fold(span(), |span, key| span.attribute(9, key, Message::text(key))))
        .collect();
    let decoded = decode_spans(&spans);
    for row in [0, rows / 2, rows - 1] {
        let expected: Vec<String> = order(row).iter().map(|key| format!("Value {key} {key}={key}")).collect();
        assert_eq!(list(&decoded, u32::try_from(row).expect("small")), expected.join(", "));
    }
}

#[test]
fn names_beyond_the_limit_overflow() {
    let long = "n".repeat(2_000);
    let map = Message::map(&[("a", Message::int(1)), ("b", Message::int(2))]);
    let record = span()
        .attribute(9, &long, Message::int(1))
        .attribute(9, &"p".repeat(1_020), Message::map(&[("abcdef", Message::int(3))]))
        .attribute(9, &long, map);
    let decoded = decode_spans(&[record]);
    let tokens = decoded.batch.shape_table.get(decoded.batch.shapes[0]);
    let kinds: Vec<TokenKind> = tokens.iter().map(|token| token.kind).collect();
    use TokenKind::{Close, Open, Overflow};
    assert_eq!(kinds, [Overflow, Open, Overflow, Close, Overflow]);
    let map = fixed(&decoded, 0, Fixed::Overflow);
    assert!(map.contains(&format!(r#""{}.abcdef":3"#, "p".repeat(1_020))));
    assert!(map.ends_with(r#":{"a":1,"b":2}}"#));
}

#[test]
fn an_overflow_map_does_not_outgrow_its_record() {
    // Short entries below a long prefix: each full name is 1 KiB.
    let entries: Vec<(String, Message)> = (0..20_000).map(|n| (format!("{n}"), Message::int(1))).collect();
    let map = entries.iter().fold(Message::new(), |map, (key, value)| map.attribute(1, key, value.clone()));
    let value = Message::new().message(6, &map);
    let record = span().attribute(9, &"p".repeat(1_000), value);
    let size = record.0.len();
    let decoded = decode_spans(&[record]);
    assert_eq!(decoded.records, 1);
    assert!(decoded.batch.dictionary.bytes().len() < 4 * size, "{size}");
    let tokens = decoded.batch.shape_table.get(decoded.batch.shapes[0]);
    assert_eq!(tokens.len(), 20_002, "every entry is there");
}

#[test]
fn a_resource_beyond_the_columns_is_kept_and_queryable() {
    let resource = (0..3_000).fold(Message::new(), |r, n| r.attribute(1, &format!("r{n}"), Message::int(n)));
    let decoded = decode(Signal::Traces, &request_of(&resource, &[span(), span()]));
    let shape = decoded.batch.context_shapes[0].resource;
    assert_eq!(decoded.batch.shape_table.get(shape).len(), 3_000);
    assert!(fixed(&decoded, 1, Fixed::Overflow).ends_with(r#""\u0000resource.r2999":2999}"#));
}

#[test]
fn a_bad_resource_rejects_its_records_with_the_reason() {
    let resource = Message::new().attribute(1, "deep", nested(NESTING_DEPTH_MAX + 1));
    let mut body = request_of(&resource, &[span(), span()]).0;
    body.extend(request(&[span()]).0);
    let decoded = decode(Signal::Traces, &Message(body));
    assert_eq!((decoded.records, decoded.rejected.total()), (1, 2));
    let rejection = &decoded.rejected.kept[1];
    assert_eq!(rejection.path, "resourceSpans[0].scopeSpans[0].spans[1]");
    assert!(rejection.message.contains("resource.attributes[0].value"), "{}", rejection.message);
}

#[test]
fn a_resource_under_many_scopes_stays_bounded() {
    // 16 MiB of resource under 100 scopes of different names would be 1.6 GiB of contexts.
    let value = "x".repeat(1 << 19);
    let resource =
        (0..32).fold(Message::new(), |r, n| r.attribute(1, &format!("r{n}"), Message::text(&value)));
    let scopes = (0..100).fold(Message::new().message(1, &resource), |group, n| {
        let scope = Message::new().bytes(1, format!("scope {n}").as_bytes());
        group.message(2, &Message::new().message(1, &scope).message(2, &span()))
    });
    let body = Message::new().message(1, &scopes);
    let decoded = decode_protobuf(Signal::Traces, &body.0, &CONTEXT).expect("readable");
    assert_eq!(decoded.records + decoded.rejected.total(), 100);
    assert_eq!(decoded.records, 7);
    assert_eq!(decoded.rejected.counts, [(ReasonCode::TooLarge, 93)]);
}

#[test]
fn rejections_are_counted_beyond_what_is_kept() {
    let spans = vec![Message::new(); 5_000];
    let decoded = decode_spans(&spans);
    assert_eq!(decoded.rejected.kept.len(), REJECTIONS_PER_REQUEST_MAX);
    assert_eq!(decoded.rejected.counts, [(ReasonCode::InvalidTraceId, 5_000)]);
}

/// SplitMix64, so that a failure can be repeated from its seed.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn sample_bodies() -> Vec<(Signal, Vec<u8>)> {
    let event = Message::new().fixed64(1, 5).bytes(2, b"exception").attribute(
        3,
        "exception.type",
        Message::text("E"),
    );
    let link = Message::new().bytes(1, &TRACE_ID).bytes(2, &SPAN_ID).attribute(4, "w", Message::bool(true));
    let rich = span()
        .bytes(5, b"op")
        .attribute(9, "m", Message::map(&[("a", Message::array(&[Message::int(1), Message::text("x")]))]))
        .attribute(9, "long", Message::text(&"y".repeat(200)))
        .attribute(9, "d", Message::double(0.1))
        .message(11, &event)
        .message(13, &link)
        .message(15, &Message::new().bytes(2, b"bad").varint(3, 2))
        .fixed32(16, 1);
    let log = Message::new()
        .fixed64(1, 9)
        .message(5, &Message::text(r#"{"a":{"b":[1,2]},"trace_id":"5759e988bd862e3fe1be46a994272793"}"#))
        .attribute(6, "k", Message::blob(&[1, 2]));
    let histogram = Message::new()
        .fixed64(3, 1)
        .fixed64(4, 6)
        .bytes(6, &[1; 24])
        .fixed64(7, 1)
        .message(8, &Message::new().fixed64(3, 7));
    let data = Message::new().message(1, &histogram).varint(2, 1);
    let metric = Message::new().bytes(1, b"h").message(9, &data);
    vec![
        (Signal::Traces, request(&[span(), rich.clone(), rich]).0),
        (Signal::Logs, request(&[log.clone(), log]).0),
        (Signal::Metrics, request(&[metric.clone(), metric]).0),
    ]
}

#[test]
fn a_cut_body_is_refused_or_whole_up_to_the_cut() {
    for (signal, body) in sample_bodies() {
        for end in 0..body.len() {
            let result = try_decode(signal, &body[..end]);
            assert_eq!(result.is_ok(), end == 0, "{signal:?} cut at {end}");
        }
    }
}

#[test]
fn no_damage_panics_or_makes_an_invalid_batch() {
    let start = 0xda3a_6e00;
    for round in 0..30_000_u64 {
        let mut seed = start + round;
        for (signal, mut body) in sample_bodies() {
            for _ in 0..=random(&mut seed) % 3 {
                let place = usize::try_from(random(&mut seed) % body.len() as u64).expect("small");
                body[place] = random(&mut seed).to_le_bytes()[0];
            }
            for signal in if round % 16 == 0 { Signal::ALL.to_vec() } else { vec![signal] } {
                if let Ok(decoded) = decode_protobuf(signal, &body, &CONTEXT) {
                    assert_eq!(decoded.batch.validate(), Ok(()), "seed {}", start + round);
                }
            }
        }
    }
}

#[test]
fn a_value_in_several_pieces_is_refused_and_never_halved() {
    let twice = Message::new().bytes(1, b"k").message(2, &Message::int(1)).message(2, &Message::int(2));
    let lists = Message::new().message(5, &Message::new()).message(5, &Message::new());
    let log = Message::new().message(5, &Message::int(1)).message(5, &Message::int(2));
    let gauge = Message::new().message(1, &Message::new().fixed64(3, 1));
    let metric = Message::new().message(5, &gauge).message(5, &gauge);
    for (signal, record) in [
        (Signal::Traces, span().message(9, &twice)),
        (Signal::Traces, span().attribute(9, "k", lists)),
        (Signal::Logs, log),
        (Signal::Metrics, metric),
    ] {
        let error = try_decode(signal, &request(&[record]).0).expect_err("pieces");
        assert!(error.message.contains("several pieces"), "{error}");
    }
}
