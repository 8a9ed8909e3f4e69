//! Calculations over time, each with an answer that a reader can work out.

use serde_json::{Value as Json, json};
use skein_event::Fixed;

use super::build::{Row, START_S, at, data, engine};
use crate::NativeEngine;

/// Seconds from the start of the test's time to the first whole minute: buckets begin there.
const MINUTE: i64 = (60 - START_S % 60) % 60;

fn after(second: i64) -> Row {
    at(MINUTE + second)
}

fn span(second: i64, seconds: i64) -> Row {
    after(second).fixed(Fixed::Duration, seconds * 1_000_000_000)
}

fn ask(engine: &NativeEngine, calculation: Json, seconds: i64, granularity: i64) -> (Json, Vec<Json>) {
    let spec = json!({
        "calculations": [calculation], "start_time": START_S + MINUTE, "end_time": START_S + MINUTE + seconds,
        "granularity": granularity,
    });
    let data = data(engine, spec);
    let of = |row: &Json| row["data"]["n"].clone();
    (of(&data["results"][0]), data["series"].as_array().expect("a series").iter().map(of).collect())
}

#[test]
fn a_span_is_in_flight_in_every_bucket_that_it_reaches() {
    // From 30 to 150 of 180 seconds, and from 60 to beyond the end.
    let rows = [span(30, 120), span(60, 500), after(70)];
    let engine = engine(&[&rows]);
    let (all, series) = ask(&engine, json!({"op": "CONCURRENCY", "name": "n"}), 180, 60);
    assert_eq!(series, [json!(0.5), json!(2), json!(1.5)]);
    assert!((all.as_f64().expect("a number") - 4.0 / 3.0).abs() < 1e-9, "{all}");
    // The last bucket is cut off: the second span fills it.
    let (_, series) = ask(&engine, json!({"op": "CONCURRENCY", "name": "n"}), 170, 60);
    assert_eq!(series[2], json!(1.6));
}

#[test]
fn a_counter_that_falls_began_again() {
    let point = |second: i64, host: &str, value: i64| after(second).with("host", host).with("served", value);
    let rows =
        [point(70, "a", 3), point(0, "a", 10), point(10, "b", 100), point(30, "a", 15), point(90, "b", 101)];
    let engine = engine(&[&rows[..2], &rows[2..]]);
    let increase = json!({"op": "INCREASE", "column": "served", "name": "n"});
    // 5 of host a; then 3 of its new beginning, and 1 of host b.
    assert_eq!(ask(&engine, increase, 120, 60), (json!(9), vec![json!(5), json!(4)]));
    let rate = json!({"op": "RATE", "column": "served", "name": "n"});
    let (all, series) = ask(&engine, rate, 120, 60);
    assert_eq!(series, [json!(5.0 / 60.0), json!(4.0 / 60.0)]);
    assert!((all.as_f64().expect("a number") - 9.0 / 120.0).abs() < 1e-12, "{all}");
}

#[test]
fn a_change_is_between_neighbours() {
    let value = |second: i64, value: i64| after(second).with("v", value);
    let rows = [value(0, 4), value(1, 6), value(60, 30), value(190, 5), value(250, 1)];
    let engine = engine(&[&rows]);
    let (all, series) = ask(&engine, json!({"op": "RATE_SUM", "column": "v", "name": "n"}), 300, 60);
    // Nothing before the first, and nothing beside the one after a gap.
    assert_eq!(series, [Json::Null, json!(20), Json::Null, json!(-4)]);
    assert_eq!(all, json!(8));
    let (_, series) = ask(&engine, json!({"op": "RATE_MAX", "column": "v", "name": "n"}), 300, 60);
    assert_eq!(series[1], json!(24));
    let (_, series) = ask(&engine, json!({"op": "RATE_AVG", "column": "v", "name": "n"}), 300, 60);
    assert_eq!(series[1], json!(25));
}
