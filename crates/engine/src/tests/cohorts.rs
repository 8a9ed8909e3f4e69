//! What is counted for comparisons and templates, over small segments, against counts by hand.

use serde_json::json;
use skein_event::Fixed;
use skein_event::ids::Environment;
use skein_event::value::Value;
use skein_query::cohorts::{Cohort, Cohorts};
use skein_query::{QueryEngine as _, spec};

use super::build::{Row, START_S, at, context, engine};
use crate::NativeEngine;

fn trace_id(number: i64) -> String {
    format!("{:032x}", number + 1)
}

/// A span of a trace.
fn span(second: i64, trace: i64, service: &str, name: &str) -> Row {
    at(second)
        .service(service)
        .fixed(Fixed::SignalType, "trace")
        .fixed(Fixed::TraceId, trace_id(trace).as_str())
        .fixed(Fixed::SpanId, format!("{:016x}", second + 1).as_str())
        .fixed(Fixed::Name, name)
}

fn compared(engine: &NativeEngine, more: serde_json::Value) -> Cohorts {
    let mut request = json!({
        "a": {"start_time": START_S, "end_time": START_S + 100},
        "b": {"start_time": START_S + 100, "end_time": START_S + 200},
    });
    request.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let plan = spec::cohorts(&request, &Environment::default_environment(), 0).expect("a plan");
    engine.cohorts(&plan, &context()).expect("counts")
}

fn of<'c>(cohorts: &'c Cohorts, key: &[Option<&str>]) -> &'c [Option<Cohort>; 2] {
    let wanted: Vec<Option<Value>> =
        key.iter().map(|text| text.map(|text| Value::Text(text.to_owned()))).collect();
    let found = cohorts.operations.iter().find(|operation| operation.key == wanted);
    &found.unwrap_or_else(|| panic!("{key:?} is not in {:?}", cohorts.operations)).sides
}

#[test]
fn cohorts_are_counted_as_by_hand() {
    let weighted = |row: Row, weight: f64| row.fixed(Fixed::SampleRate, weight);
    let slow = |row: Row, ms: i64| row.fixed(Fixed::Duration, ms * 1_000_000);
    let first: Vec<Row> = vec![
        // Two traces of a: one of two events, one of one that stands for three.
        slow(span(0, 0, "cart", "buy"), 10),
        slow(span(1, 0, "cart", "buy"), 20).fixed(Fixed::Error, true),
        weighted(slow(span(2, 1, "cart", "buy"), 40), 3.0),
        slow(span(3, 2, "cart", "list"), 5),
        // No spans: a log record and a span event.
        at(4).service("cart").fixed(Fixed::SignalType, "log").fixed(Fixed::Name, "buy"),
        span(5, 0, "cart", "buy").fixed(Fixed::AnnotationType, "span_event"),
    ];
    let second: Vec<Row> = vec![slow(span(100, 3, "cart", "buy"), 70), slow(span(150, 4, "cart", "new"), 1)];
    let engine = engine(&[&first, &second]);
    let cohorts = compared(&engine, json!({}));
    let [Some(a), Some(b)] = of(&cohorts, &[Some("cart"), Some("buy")]) else { panic!("one is missing") };
    assert_eq!((a.rows, a.weight, a.failed, a.sampled, a.weight_max), (3, 5.0, 1.0, true, 3.0));
    // Squares over traces, two and three.
    assert_eq!(a.variance, 4.0 + 9.0);
    // One of five failed: (1 − 2/5)² + (3/5)².
    assert!((a.failed_variance - 0.72).abs() < 1e-9, "{}", a.failed_variance);
    assert_eq!(a.percentiles, [Some(40.0), Some(40.0)]);
    assert_eq!(a.below.map(|share| share.share), [1.0, 1.0]);
    assert_eq!((b.rows, b.percentiles[0], b.sampled), (1, Some(70.0), false));
    let [Some(_), None] = of(&cohorts, &[Some("cart"), Some("list")]) else { panic!("vanished") };
    let [None, Some(_)] = of(&cohorts, &[Some("cart"), Some("new")]) else { panic!("new") };
    assert_eq!((cohorts.totals[0].rows, cohorts.totals[1].rows, cohorts.operations.len()), (4, 2, 3));

    // Whatever has the column, when it is named.
    let all = compared(&engine, json!({"by": ["name"]}));
    let [Some(a), Some(_)] = of(&all, &[Some("buy")]) else { panic!("both") };
    assert_eq!((a.rows, a.weight), (5, 7.0));
    // The log record is one of its own, and the span event one of trace 0.
    assert_eq!(a.variance, 9.0 + 9.0 + 1.0);
}

#[test]
fn an_event_may_be_in_both_cohorts_and_filters_divide_them() {
    let rows: Vec<Row> =
        (0..40).map(|second| span(second, second, "cart", "buy").with("vip", second % 4 == 0)).collect();
    let engine = engine(&[&rows]);
    let vip = json!({"filters": [{"column": "vip", "op": "=", "value": true}], "start_time": START_S, "end_time": START_S + 100});
    let all = json!({"filters": [], "start_time": START_S, "end_time": START_S + 100});
    let cohorts = compared(&engine, json!({"a": all, "b": vip}));
    let [Some(a), Some(b)] = of(&cohorts, &[Some("cart"), Some("buy")]) else { panic!("both") };
    assert_eq!((a.rows, b.rows), (40, 10));
}

#[test]
fn templates_are_counted_over_segments_and_types() {
    let log = |second: i64, body: &str| {
        at(second)
            .fixed(Fixed::SignalType, "log")
            .fixed(Fixed::Body, body)
            .fixed(Fixed::TraceId, trace_id(second % 2).as_str())
    };
    let first = vec![
        log(0, "user alice logged in"),
        log(1, "user bob logged in").fixed(Fixed::SampleRate, 4.0),
        at(2).fixed(Fixed::SignalType, "log").with("code", 7_i64),
        log(3, "user alice logged in"),
    ];
    let second =
        vec![log(50, "disk 7 is full"), log(100, "user carol logged in"), log(120, "disk 8 is full")];
    let engine = engine(&[&first, &second]);
    let request = json!({
        "column": "body",
        "start_time": START_S, "end_time": START_S + 100,
        "baseline": {"start_time": START_S + 100, "end_time": START_S + 200},
    });
    let plan = spec::templates(&request, &Environment::default_environment(), 0).expect("a plan");
    let collected = engine.templates(&plan, &context()).expect("shapes");
    assert_eq!((collected.without_text, collected.collector.shapes()), ([1, 0], 4));
    let mined = skein_query::templates::mine(collected.collector);
    let user = mined.templates.iter().find(|template| template.text == "user <*> logged in");
    let user = user.unwrap_or_else(|| panic!("{:?}", mined.templates));
    let [now, before] = &user.counted;
    assert_eq!((now.rows, now.weight, before.rows, before.weight), (3, 6.0, 1, 1.0));
    let at_ns = |second: i64| (START_S + second) * 1_000_000_000;
    assert_eq!((now.seen_ns, before.seen_ns), (Some((at_ns(0), at_ns(3))), Some((at_ns(100), at_ns(100)))));
    // Of trace 1: four and one at once; of trace 0: one.
    assert_eq!(now.variance(), 25.0 + 1.0);
    assert_eq!(mined.templates.len(), 2);
}
