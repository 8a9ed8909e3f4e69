//! Questions about other events of a trace, each with an answer that a reader can work out.

use serde_json::{Value as Json, json};
use skein_event::Fixed;
use skein_query::ErrorKind;

use super::build::{Row, START_S, at, context, data, engine, results, run, warnings};
use crate::NativeEngine;

const ONE: &str = "11111111111111111111111111111111";
const TWO: &str = "22222222222222222222222222222222";

fn id(number: u8) -> String {
    format!("{number:016x}")
}

fn span(second: i64, trace: &str, number: u8, parent: Option<u8>, name: &str, ms: i64) -> Row {
    let row = at(second).fixed(Fixed::TraceId, trace).fixed(Fixed::SpanId, id(number).as_str());
    let row = row.fixed(Fixed::Name, name).fixed(Fixed::Duration, ms * 1_000_000);
    match parent {
        Some(parent) => row.fixed(Fixed::ParentId, id(parent).as_str()),
        None => row,
    }
}

/// Two requests: one of `/buy` with two queries and a log record, one of `/pay` with a query. They lie in two segments,
/// parents and children apart.
fn shop() -> NativeEngine {
    let log = at(3)
        .service("cart")
        .fixed(Fixed::TraceId, ONE)
        .fixed(Fixed::SpanId, id(1).as_str())
        .fixed(Fixed::SignalType, "log")
        .with("level", "warn");
    let early = [
        span(0, ONE, 1, None, "serve", 100).service("cart").with("http.route", "/buy"),
        span(10, TWO, 1, None, "serve", 50)
            .service("cart")
            .with("http.route", "/pay")
            .with("sample_rate", 1_i64),
        span(11, TWO, 2, Some(1), "query", 20).service("db").with("db.system", "pg"),
    ];
    let late = [
        log,
        span(1, ONE, 2, Some(1), "query", 30).service("db").with("db.system", "pg"),
        span(2, ONE, 3, Some(1), "query", 40).service("db").with("db.system", "redis"),
        span(4, ONE, 4, Some(3), "retry", 5).service("db"),
        at(20).service("cart").with("alone", true),
    ];
    engine(&[&early, &late])
}

fn names(engine: &NativeEngine, filters: Json) -> Vec<Json> {
    let spec = json!({"calculations": [], "filters": filters, "orders": [{"column": "timestamp"}]});
    let data = data(engine, spec);
    data["rows"].as_array().expect("rows").iter().map(|row| row["timestamp"].clone()).collect()
}

fn seconds(engine: &NativeEngine, filters: Json) -> Vec<i64> {
    let second = |time: &Json| {
        let text = time.as_str().expect("a time");
        let ns = skein_query::time_text::parse_ns(text).expect("RFC 3339");
        ns / 1_000_000_000 - START_S
    };
    names(engine, filters).iter().map(second).collect()
}

#[test]
fn filters_reach_root_parent_child_and_any_other_event() {
    let shop = shop();
    let is = |column: &str, value: &str| json!([{"column": column, "op": "=", "value": value}]);
    assert_eq!(seconds(&shop, is("root.http.route", "/buy")), [0, 1, 2, 3, 4]);
    assert_eq!(
        seconds(&shop, is("parent.name", "serve")),
        [1, 2, 3, 11],
        "a log record's parent is its span"
    );
    assert_eq!(seconds(&shop, is("parent.name", "query")), [4]);
    assert_eq!(seconds(&shop, is("child.db.system", "pg")), [0, 10]);
    assert_eq!(seconds(&shop, is("child.level", "warn")), [0]);
    assert_eq!(seconds(&shop, is("any.name", "retry")), [0, 1, 2, 3, 4]);
    assert_eq!(seconds(&shop, is("none.name", "retry")), [10, 11, 20], "one without a trace has none");
}

#[test]
fn filters_of_one_prefix_are_met_by_one_event_together() {
    let shop = shop();
    let ask = |first: &str, second: &str| {
        seconds(
            &shop,
            json!([{"column": format!("{first}.db.system"), "op": "=", "value": "pg"},
                   {"column": format!("{second}.duration_ms"), "op": ">", "value": 35}]),
        )
    };
    assert_eq!(ask("child", "child"), [] as [i64; 0]);
    assert_eq!(ask("any", "any"), [] as [i64; 0]);
    assert_eq!(ask("any", "any2"), [0, 1, 2, 3, 4, 10, 11]);
    assert_eq!(ask("none", "none").len(), 8);
}

#[test]
fn children_are_summed_by_the_route_of_their_root() {
    let spec = json!({
        "calculations": [
            {"op": "SUM", "column": "child.duration_ms", "filters": [{"column": "child.db.system", "op": "exists"}],
             "name": "database_ms"},
            {"op": "COUNT", "column": "child.name", "name": "children"},
        ],
        "breakdowns": ["root.http.route"], "orders": [{"column": "root.http.route"}],
    });
    let buy = json!({"root.http.route": "/buy", "database_ms": 70, "children": 3});
    let pay = json!({"root.http.route": "/pay", "database_ms": 20, "children": 1});
    let none = json!({"root.http.route": null, "database_ms": null, "children": 0});
    assert_eq!(results(&shop(), spec), [buy, pay, none]);
}

#[test]
fn per_trace_is_a_distribution_over_traces() {
    let spec = |outer: &str| {
        json!({"calculations": [{"op": "PER_TRACE", "outer": outer, "name": "n",
            "inner": {"op": "COUNT", "filters": [{"column": "db.system", "op": "exists"}]}}]})
    };
    let ask = |outer: &str| results(&shop(), spec(outer))[0]["n"].clone();
    assert_eq!((ask("MIN"), ask("MAX"), ask("SUM"), ask("COUNT")), (json!(1), json!(2), json!(3), json!(2)));
    // A trace that has none counts as one with 0.
    let retries = json!({"calculations": [{"op": "PER_TRACE", "outer": "MIN", "name": "n",
        "inner": {"op": "COUNT", "filters": [{"column": "name", "op": "=", "value": "retry"}]}}]});
    assert_eq!(results(&shop(), retries)[0]["n"], 0);
    let series = json!({"granularity": 3, "start_time": START_S, "end_time": START_S + 30, "calculations": [{"op": "PER_TRACE", "outer": "SUM", "name": "n",
        "inner": {"op": "SUM", "column": "duration_ms"}}]});
    let series = data(&shop(), series)["series"].clone();
    let values: Vec<&Json> =
        series.as_array().expect("a series").iter().map(|one| &one["data"]["n"]).collect();
    assert_eq!(
        values,
        [&json!(175), &Json::Null, &json!(70), &Json::Null, &Json::Null],
        "each in the bucket of its first event"
    );
}

#[test]
fn an_interval_goes_from_the_first_event_to_the_next_other_one() {
    let spec = |by: &str| {
        json!({"breakdowns": ["service.name"], "calculations": [{"op": "INTERVAL", "outer": "MAX", "name": "n", "by": by,
            "from": [{"column": "name", "op": "exists"}], "to": [{"column": "name", "op": "=", "value": "query"}]}]})
    };
    let of = |by: &str| {
        let mut found = results(&shop(), spec(by));
        found.sort_by_key(ToString::to_string);
        found
    };
    // By service the first query of the database is itself the first event: the next one ends the interval.
    let cart = json!({"service.name": "cart", "n": null});
    assert_eq!(of("service.name"), [cart, json!({"service.name": "db", "n": 1000})]);
    let cart = json!({"service.name": "cart", "n": 1000});
    assert_eq!(of("trace.trace_id"), [cart, json!({"service.name": "db", "n": null})], "where it begins");
    assert_eq!(warnings(&shop(), spec("service.name")), ["interval_open"]);
}

#[test]
fn of_equal_times_the_first_is_the_one_with_the_smaller_id() {
    // In one segment the later row has the earlier time; the segments are in no order of time.
    let first = [
        span(5, ONE, 1, None, "late", 1),
        span(1, ONE, 1, None, "second", 1),
        span(1, ONE, 9, Some(1), "child", 1),
    ];
    let second = [span(1, ONE, 1, None, "third", 1)];
    let ask = |engine: &NativeEngine| {
        let spec = json!({"breakdowns": ["root.name", "parent.name"], "filters": [
            {"column": "name", "op": "=", "value": "child"}]});
        results(engine, spec)[0].clone()
    };
    let expected = json!({"root.name": "second", "parent.name": "second", "COUNT": 1});
    assert_eq!(ask(&engine(&[&first, &second])), expected);
}

#[test]
fn a_span_says_whether_it_is_a_root() {
    let is = |root: bool| json!([{"column": "is_root", "op": "=", "value": root}]);
    assert_eq!(seconds(&shop(), is(true)), [0, 10]);
    assert_eq!(seconds(&shop(), is(false)), [1, 2, 4, 11], "a log record is no span");
}

#[test]
fn a_root_out_of_sight_is_said() {
    let shop = shop();
    let spec = |slack: i64| {
        json!({"start_time": START_S + 2, "end_time": START_S + 9, "trace_slack_seconds": slack,
            "breakdowns": ["root.http.route"]})
    };
    assert_eq!(warnings(&shop, spec(1)), ["trace_root_outside"]);
    assert_eq!(results(&shop, spec(1))[0], json!({"root.http.route": null, "COUNT": 3}));
    assert_eq!(warnings(&shop, spec(2)), [] as [&str; 0]);
    assert_eq!(results(&shop, spec(2))[0], json!({"root.http.route": "/buy", "COUNT": 3}));
}

#[test]
fn what_is_remembered_of_other_events_counts_as_memory() {
    let rows: Vec<Row> =
        (1..2_001).map(|n| span(n, &format!("{n:032x}"), 1, None, &format!("n{n}"), 1)).collect();
    let engine = engine(&[&rows]);
    let filters = json!([{"column": "any.name", "op": "exists"}]);
    let spec = json!({"start_time": START_S, "end_time": START_S + 7_200, "filters": filters});
    let plan = skein_query::spec::parse(&spec, &skein_event::ids::Environment::default_environment(), 0);
    let plan = plan.expect("a plan");
    let narrow = skein_query::RunContext { memory_bytes_max: 40_000, ..context() };
    let error = skein_query::QueryEngine::run(&engine, &plan, &narrow).expect_err("needs more");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    run(&engine, spec).expect("fits");
}

#[test]
fn an_unknown_name_is_refused_with_its_prefix() {
    let error = run(&shop(), json!({"breakdowns": ["root.http.rout"]})).expect_err("unknown");
    assert_eq!(error.candidate_list().first().map(String::as_str), Some("root.http.route"));
    let error = run(
        &shop(),
        json!({"calculations": [{"op": "PER_TRACE", "outer": "MAX", "inner": {"op": "SUM", "column": "duration_m"}}]}),
    );
    assert_eq!(error.expect_err("unknown").candidate_list().first().map(String::as_str), Some("duration_ms"));
}
