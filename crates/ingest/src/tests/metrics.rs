//! Metric points.

use skein_event::Physical;
use skein_event::batch::{Origin, TokenKind};
use skein_event::columns::Fixed;

use super::message::Message;
use super::*;

fn metric(name: &str, field: u32, points: &[Message]) -> Message {
    let data = points.iter().fold(Message::new(), |data, point| data.message(1, point));
    Message::new().bytes(1, name.as_bytes()).bytes(3, b"ms").message(field, &data)
}

fn point(time: u64, value: f64) -> Message {
    Message::new().fixed64(3, time).fixed64(4, value.to_bits())
}

fn decode_metrics(metrics: &[Message]) -> Decoded {
    decode(Signal::Metrics, &request(metrics))
}

fn kinds(decoded: &Decoded, row: u32) -> Vec<TokenKind> {
    let shape = decoded.batch.shapes[row as usize];
    decoded.batch.shape_table.get(shape).iter().map(|token| token.kind).collect()
}

#[test]
fn points_of_one_moment_form_one_event() {
    let pod = |point: Message, pod: &str| point.attribute(7, "pod", Message::text(pod));
    let metrics = [
        metric(
            "cpu",
            5,
            &[pod(point(1_000, 0.5), "a"), pod(point(1_000, 0.7), "b"), pod(point(2_000, 0.9), "a")],
        ),
        metric("memory", 5, &[pod(Message::new().fixed64(3, 1_000).fixed64(6, 42), "a")]),
    ];
    let decoded = decode_metrics(&metrics);
    assert_eq!((decoded.records, decoded.batch.rows()), (4, 3));
    assert_eq!(decoded.batch.times, [1_000, 1_000, 2_000]);
    assert_eq!([0, 1, 2].map(|row| fixed(&decoded, row, Fixed::MetricPoints)), ["2", "1", "1"]);
    assert_eq!(values(&decoded, 0, Origin::Metric, "cpu"), [(Physical::F64, "0.5".to_owned())]);
    assert_eq!(values(&decoded, 0, Origin::Metric, "memory"), [(Physical::I64, "42".to_owned())]);
    assert_eq!(kinds(&decoded, 0), [TokenKind::Value, TokenKind::Point, TokenKind::Point]);
    assert_eq!(decoded.batch.shapes[1], decoded.batch.shapes[2], "events of the same metrics share a shape");
    let descriptor = decoded.batch.shape_table.get(decoded.batch.shapes[1])[1].key;
    let expected = Message::new().bytes(1, b"cpu").bytes(3, b"ms").message(5, &Message::new());
    assert_eq!(decoded.batch.dictionary.get(descriptor), expected.0);
    assert!(decoded.every_record_has_time);
}

#[test]
fn points_of_an_equal_name_stay_apart() {
    let metrics =
        [metric("m", 5, &[point(1_000, 1.0), point(1_000, 2.0)]), metric("m", 7, &[point(1_000, 3.0)])];
    let decoded = decode_metrics(&metrics);
    assert_eq!((decoded.records, decoded.batch.rows()), (3, 3));
    let found: Vec<_> = (0..3).map(|row| values(&decoded, row, Origin::Metric, "m")[0].1.clone()).collect();
    assert_eq!(found, ["1", "2", "3"]);
}

#[test]
fn a_different_start_resource_or_attribute_is_a_different_event() {
    let started = |start: u64| point(1_000, 1.0).fixed64(2, start);
    let a = metric("a", 5, &[started(5)]);
    let b = metric("b", 5, &[started(6)]);
    let decoded = decode_metrics(&[a.clone(), b]);
    assert_eq!(decoded.batch.rows(), 2);
    assert_eq!([0, 1].map(|row| fixed(&decoded, row, Fixed::MetricStartTime)), ["5", "6"]);
    let c = metric("c", 5, &[started(5)]);
    let two = Message([request(std::slice::from_ref(&a)).0, request_of(&Message::new(), &[c]).0].concat());
    assert_eq!(decode(Signal::Metrics, &two).batch.rows(), 2);
}

#[test]
fn a_histogram_keeps_its_buckets() {
    let packed: Vec<u8> = [1_u64, 2, 3].iter().flat_map(|count| count.to_le_bytes()).collect();
    let bounds: Vec<u8> = [0.5_f64, 10.0].iter().flat_map(|bound| bound.to_le_bytes()).collect();
    let exemplar = Message::new()
        .fixed64(2, 999)
        .fixed64(3, 0.25_f64.to_bits())
        .bytes(4, &SPAN_ID)
        .bytes(5, &TRACE_ID)
        .attribute(7, "user", Message::text("u1"));
    let histogram = Message::new()
        .fixed64(3, 1_000)
        .fixed64(4, 6)
        .fixed64(5, 12.5_f64.to_bits())
        .bytes(6, &packed)
        .bytes(7, &bounds)
        .message(8, &exemplar)
        .varint(10, 4)
        .fixed64(11, 0.1_f64.to_bits())
        .fixed64(12, 11.0_f64.to_bits());
    let decoded = decode_metrics(&[metric("latency", 9, &[histogram])]);
    let of = |name: &str| values(&decoded, 0, Origin::Metric, name);
    let json =
        r#"{"count":6,"sum":12.5,"min":0.1,"max":11,"bucket_counts":[1,2,3],"explicit_bounds":[0.5,10]}"#;
    assert_eq!(of("latency"), [(Physical::Json, json.to_owned())]);
    for (part, value) in [(".count", "6"), (".sum", "12.5"), (".min", "0.1"), (".max", "11"), (".flags", "4")]
    {
        assert_eq!(of(&format!("latency{part}"))[0].1, value, "{part}");
    }
    let exemplars = r#"[{"filtered_attributes":{"user":"u1"},"time_unix_nano":999,"value":0.25,"span_id":"0808080808080808","trace_id":"07070707070707070707070707070707"}]"#;
    assert_eq!(of("latency.exemplars"), [(Physical::Json, exemplars.to_owned())]);
    assert_eq!(kinds(&decoded, 0), [TokenKind::Point]);
}

#[test]
fn exponential_histograms_and_summaries_are_whole() {
    let buckets = Message::new().varint(1, 3).bytes(2, &[1, 0, 0x96, 1]);
    let exponential = Message::new()
        .fixed64(3, 1_000)
        .fixed64(4, 152)
        .varint(6, 39)
        .fixed64(7, 1)
        .message(8, &buckets)
        .message(9, &Message::new())
        .fixed64(14, 0.5_f64.to_bits());
    let quantile = Message::new().fixed64(1, 0.99_f64.to_bits()).fixed64(2, 7.0_f64.to_bits());
    let summary =
        Message::new().fixed64(3, 1_000).fixed64(4, 2).fixed64(5, 8.0_f64.to_bits()).message(6, &quantile);
    let decoded = decode_metrics(&[metric("e", 10, &[exponential]), metric("s", 11, &[summary])]);
    assert_eq!(decoded.batch.rows(), 1);
    let json = r#"{"count":152,"scale":-20,"zero_count":1,"zero_threshold":0.5,"positive":{"offset":-2,"bucket_counts":[1,0,150]},"negative":{}}"#;
    assert_eq!(values(&decoded, 0, Origin::Metric, "e")[0].1, json);
    let json = r#"{"count":2,"sum":8,"quantile_values":[{"quantile":0.99,"value":7}]}"#;
    assert_eq!(values(&decoded, 0, Origin::Metric, "s")[0].1, json);
    assert_eq!(values(&decoded, 0, Origin::Metric, "s.sum")[0].1, "8");
}

#[test]
fn a_point_that_does_not_fit_columns_is_kept_whole() {
    let stale = Message::new().fixed64(3, 1_000).varint(8, 1);
    let metrics = [
        metric("stale", 5, std::slice::from_ref(&stale)),
        metric("x.flags", 5, &[point(1_000, 1.0)]),
        metric("", 5, &[point(1_000, 2.0)]),
        metric("h.count", 5, &[Message::new().fixed64(3, 1_000).fixed64(6, 9)]),
        metric("h", 9, &[Message::new().fixed64(3, 1_000).fixed64(4, 6)]),
    ];
    let decoded = decode_metrics(&metrics);
    assert_eq!((decoded.records, decoded.batch.rows()), (5, 1));
    let inline = TokenKind::InlinePoint;
    assert_eq!(kinds(&decoded, 0), [inline, inline, inline, TokenKind::Point, TokenKind::Point]);
    let tokens = decoded.batch.shape_table.get(decoded.batch.shapes[0]);
    assert_eq!(decoded.batch.dictionary.get(tokens[0].target), stale.0);
    assert_eq!(values(&decoded, 0, Origin::Metric, "stale.flags")[0].1, "1");
    assert_eq!(values(&decoded, 0, Origin::Metric, "h.count")[0].1, "9", "a number keeps its column");
}

#[test]
fn a_metric_without_points_is_kept() {
    let decoded = decode_metrics(&[metric("nothing", 7, &[]), Message::new().bytes(1, b"no data")]);
    assert_eq!((decoded.records, decoded.batch.rows()), (0, 2));
    for row in 0..2 {
        assert_eq!(fixed(&decoded, row, Fixed::MetricPoints), "0");
        assert_eq!(kinds(&decoded, row), [TokenKind::InlinePoint]);
    }
    assert!(!decoded.every_record_has_time);
}

#[test]
fn points_without_a_time_are_told() {
    let decoded = decode_metrics(&[metric("m", 5, &[Message::new().fixed64(4, 0)])]);
    assert!(!decoded.every_record_has_time);
    assert_eq!(fixed(&decoded, 0, Fixed::TimeSource), "arrival");
}

#[test]
fn one_bad_point_does_not_reject_its_metric() {
    let mut deep = Message::int(1);
    for _ in 0..300 {
        deep = Message::array(&[deep]);
    }
    let bad = point(1_000, 1.0).attribute(7, "deep", deep);
    let decoded = decode_metrics(&[metric("m", 5, &[point(1_000, 1.0), bad, point(2_000, 1.0)])]);
    assert_eq!((decoded.records, decoded.rejected.total()), (2, 1));
    let path = "resourceMetrics[0].scopeMetrics[0].metrics[0].gauge.dataPoints[1].attributes[0].value";
    assert_eq!(decoded.rejected.kept[0].path, path);
}
