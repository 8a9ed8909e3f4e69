//! Specifications and what becomes of them.

use serde_json::{Value as Json, json};
use skein_event::ids::Environment;

use super::parse;
use crate::error::Location;
use crate::plan::{
    Combination, Comparison, Derived, Direction, Filter, Having, HavingOperator, Literal, OPERATIONS,
    Operation, OrderBy, Output, Percentile, Plan, Scope, Test, TextTest,
};
use crate::{ErrorKind, QueryError};

/// 2030-03-17T17:46:40Z.
const NOW_NS: i64 = 1_900_000_000_000_000_000;

fn plan(spec: &Json) -> Plan {
    parse(spec, &Environment::default_environment(), NOW_NS).unwrap_or_else(|error| panic!("{error}: {spec}"))
}

fn groups(spec: &Json) -> crate::plan::GroupPlan {
    match plan(spec).output {
        Output::Groups(groups) => groups,
        Output::Rows(_) => panic!("rows: {spec}"),
    }
}

fn refused(spec: &Json) -> QueryError {
    match parse(spec, &Environment::default_environment(), NOW_NS) {
        Err(error) => error,
        Ok(plan) => panic!("accepted: {spec}: {plan:?}"),
    }
}

#[test]
fn without_anything_it_counts_the_last_two_hours() {
    let plan = plan(&json!({}));
    assert_eq!(plan.time_range.end_ns, NOW_NS + 1, "an event of this nanosecond is in");
    assert_eq!(plan.time_range.length_ns(), 7_200_000_000_000);
    let Output::Groups(groups) = plan.output else { panic!("rows") };
    assert_eq!(groups.calculations.len(), 1);
    assert_eq!((groups.calculations[0].name.as_str(), groups.limit), ("COUNT", 100));
    assert_eq!(groups.granularity_ns, None);
}

#[test]
fn times_are_seconds_and_any_two_of_three() {
    let range = |spec: Json| {
        let range = plan(&spec).time_range;
        (range.start_ns, range.end_ns)
    };
    let second = 1_000_000_000;
    assert_eq!(range(json!({"start_time": 5, "end_time": 9})), (5 * second, 9 * second));
    assert_eq!(range(json!({"start_time": 5, "time_range": 3})), (5 * second, 8 * second));
    assert_eq!(range(json!({"end_time": 9, "time_range": 3})), (6 * second, 9 * second));
    assert_eq!(range(json!({"end_time": 10_000})), (2_800 * second, 10_000 * second));
    assert_eq!(range(json!({"start_time": 1_899_999_999})), (NOW_NS - second, NOW_NS));
    assert_eq!(range(json!({"time_range": 60})), (NOW_NS + 1 - 60 * second, NOW_NS + 1));
    let fraction = range(json!({"start_time": 1_674_982_680.25, "end_time": 1_674_982_680.5}));
    assert_eq!(fraction, (1_674_982_680_250_000_000, 1_674_982_680_500_000_000));
}

#[test]
fn each_operation_has_its_name_and_key() {
    for (name, operation) in OPERATIONS {
        let parsed = groups(&json!({"calculations": [{"op": name, "column": "duration_ms"}]}));
        assert_eq!(parsed.calculations[0].operation, *operation);
        assert_eq!(parsed.calculations[0].name, format!("{name}(duration_ms)"));
        assert_eq!(operation.name(), *name);
    }
    let p95 = groups(&json!({"calculations": [{"op": "p95", "column": "x"}]}));
    assert_eq!(p95.calculations[0].operation, Operation::Percentile(Percentile(950)));
    assert_eq!(p95.calculations[0].name, "P95(x)");
}

#[test]
fn filters_are_typed() {
    let one = |op: &str, value: Json| {
        let parsed = plan(&json!({"filters": [{"column": "c", "op": op, "value": value}]}));
        parsed.filter.filters[0].test.clone()
    };
    let text = |text: &str| Literal::Text(text.to_owned());
    assert_eq!(one("=", json!(5)), Test::In(vec![Literal::I64(5)]));
    assert_eq!(one("=", json!(5.5)), Test::In(vec![Literal::F64(5.5)]));
    assert_eq!(one("!=", json!("5")), Test::NotIn(vec![text("5")]));
    assert_eq!(one("=", json!("")), Test::In(vec![text("")]));
    assert_eq!(
        one("in", json!([true, "a", 1])),
        Test::In(vec![Literal::Bool(true), text("a"), Literal::I64(1)])
    );
    assert_eq!(one("not-in", json!(["a"])), Test::NotIn(vec![text("a")]));
    assert_eq!(one("<=", json!(5)), Test::Compare(Comparison::LessOrEqual, Literal::I64(5)));
    assert_eq!(one(">", json!("b")), Test::Compare(Comparison::Greater, text("b")));
    assert_eq!(one("contains", json!(40)), Test::Text(TextTest::Contains, "40".to_owned()));
    assert_eq!(one("does-not-end-with", json!("x")), Test::NotText(TextTest::EndsWith, "x".to_owned()));
    assert_eq!(one("exists", json!(null)), Test::Exists);
    let any = plan(&json!({"filters": [{"column": "c", "op": "exists"}], "filter_combination": "OR"}));
    assert_eq!(any.filter.combination, Combination::Any);
}

#[test]
fn orders_and_havings_find_their_calculation() {
    let spec = json!({
        "calculations": [{"op": "COUNT"}, {"op": "P99", "column": "d"},
            {"op": "COUNT", "name": "bad", "filters": [{"column": "e", "op": "exists"}]}],
        "breakdowns": ["g"],
        "orders": [{"op": "P99", "column": "d", "order": "descending"}, {"column": "g"}, {"name": "bad"}],
        "havings": [{"calculate_op": "COUNT", "op": ">", "value": 10}, {"name": "bad", "op": "!=", "value": 0}],
    });
    let groups = groups(&spec);
    let orders: Vec<_> = groups.orders.iter().map(|order| (order.by, order.direction)).collect();
    assert_eq!(
        orders,
        [
            (OrderBy::Calculation(1), Direction::Descending),
            (OrderBy::Breakdown(0), Direction::Ascending),
            (OrderBy::Calculation(2), Direction::Ascending),
        ]
    );
    let greater = HavingOperator::Compare(Comparison::Greater);
    assert_eq!(groups.havings[0], Having { calculation: 0, operator: greater, value: 10.0 });
    assert_eq!(groups.havings[1].calculation, 2);
}

#[test]
fn a_granularity_outside_its_bounds_is_moved_with_a_warning() {
    let moved = |granularity: Json, range: i64| {
        let plan = plan(&json!({"granularity": granularity, "time_range": range}));
        let Output::Groups(groups) = plan.output else { panic!("rows") };
        (groups.granularity_ns, plan.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>())
    };
    let second = 1_000_000_000;
    assert_eq!(moved(json!(60), 7_200), (Some(60 * second), vec![]));
    assert_eq!(moved(json!(1), 7_200), (Some(7_200_000_000), vec!["granularity_moved"]));
    assert_eq!(moved(json!(9_999), 7_200), (Some(7_200 * second), vec!["granularity_moved"]));
    assert_eq!(moved(json!(7.2), 7_200), (Some(7_200_000_000), vec![]));
    assert_eq!(moved(json!(0), 7_200), (Some(60 * second), vec![]), "0 leaves the choice to us");
    let heatmap = groups(&json!({"calculations": [{"op": "HEATMAP", "column": "d"}]}));
    assert_eq!(heatmap.granularity_ns, Some(60 * second));
}

#[test]
fn raw_rows_have_a_direction_and_a_cursor() {
    let Output::Rows(rows) = plan(&json!({"calculations": []})).output else { panic!("groups") };
    assert_eq!((rows.direction, rows.after, rows.limit), (Direction::Descending, None, 100));
    let spec = json!({"calculations": [], "cursor": "-5_3-17-2", "limit": 10_000,
        "orders": [{"column": "timestamp", "order": "ascending"}]});
    let Output::Rows(rows) = plan(&spec).output else { panic!("groups") };
    let cursor = rows.after.expect("a cursor");
    assert_eq!((cursor.time_ns, cursor.event_id.to_string().as_str()), (-5, "3-17-2"));
    assert_eq!(super::cursor_text(cursor), "-5_3-17-2");
    assert_eq!((rows.direction, rows.limit), (Direction::Ascending, 10_000));
}

/// A specification, where its refusal says it is wrong, and the first candidate (empty: any or none).
const REFUSED: &[(&str, &str, &str)] = &[
    (r#"[]"#, "", ""),
    (r#"{"filter": []}"#, "/filter", "filters"),
    (r#"{"a/b~c": 1}"#, "/a~1b~0c", ""),
    (r#"{"filters": {}}"#, "/filters", ""),
    (r#"{"filters": [5]}"#, "/filters/0", ""),
    (r#"{"filters": [{"op": "="}]}"#, "/filters/0", ""),
    (r#"{"filters": [{"column": 5, "op": "="}]}"#, "/filters/0/column", ""),
    (r#"{"filters": [{"column": "", "op": "exists"}]}"#, "/filters/0/column", ""),
    (r#"{"filters": [{"column": "a", "op": "=="}]}"#, "/filters/0/op", "="),
    (r#"{"filters": [{"column": "a", "op": "contain", "value": 1}]}"#, "/filters/0/op", "contains"),
    (r#"{"filters": [{"column": "a", "op": "="}]}"#, "/filters/0", ""),
    (r#"{"filters": [{"column": "a", "op": "=", "value": null}]}"#, "/filters/0", ""),
    (r#"{"filters": [{"column": "a", "op": "=", "value": [1]}]}"#, "/filters/0/value", ""),
    (r#"{"filters": [{"column": "a", "op": "in", "value": 1}]}"#, "/filters/0/value", ""),
    (r#"{"filters": [{"column": "a", "op": "in", "value": []}]}"#, "/filters/0/value", ""),
    (r#"{"filters": [{"column": "a", "op": "in", "value": [1, {}]}]}"#, "/filters/0/value/1", ""),
    (r#"{"filters": [{"column": "a", "op": "<", "value": true}]}"#, "/filters/0/value", ""),
    (r#"{"filters": [{"column": "a", "op": "exists", "value": 1}]}"#, "/filters/0/value", ""),
    (r#"{"filters": [{"column": "a", "op": "exists", "vlaue": 1}]}"#, "/filters/0/vlaue", "value"),
    (r#"{"filter_combination": "XOR"}"#, "/filter_combination", "OR"),
    (r#"{"filters": [{"column": "root.", "op": "exists"}]}"#, "/filters/0/column", ""),
    (r#"{"filters": [{"column": "root.any.x", "op": "exists"}]}"#, "/filters/0/column", ""),
    (
        r#"{"filter_combination": "OR", "filters": [{"column": "a", "op": "exists"}, {"column": "root.a", "op": "exists"}]}"#,
        "/filters/1/column",
        "",
    ),
    (r#"{"breakdowns": ["none.x"]}"#, "/breakdowns/0", ""),
    (r#"{"calculations": [{"op": "SUM", "column": "none.x"}]}"#, "/calculations/0/column", ""),
    (r#"{"trace_slack_seconds": -1}"#, "/trace_slack_seconds", ""),
    (r#"{"trace_slack_seconds": 1e7}"#, "/trace_slack_seconds", ""),
    (r#"{"breakdowns": ["a", "a"]}"#, "/breakdowns/1", ""),
    (r#"{"breakdowns": ["COUNT"]}"#, "/breakdowns/0", ""),
    (r#"{"calculations": [{"op": "P98", "column": "d"}]}"#, "/calculations/0/op", "P90"),
    (r#"{"calculations": [{"op": "HISTOGRAM_COUNT"}]}"#, "/calculations/0/op", ""),
    (r#"{"calculations": [{"op": "CONCURRENCY", "column": "a"}]}"#, "/calculations/0/column", ""),
    (r#"{"calculations": [{"op": "INCREASE"}]}"#, "/calculations/0", ""),
    (r#"{"calculations": [{"op": "RATE", "column": "root.a"}]}"#, "/calculations/0/column", ""),
    (r#"{"calculations": [{"op": "RATE_SUM"}]}"#, "/calculations/0", ""),
    (
        r#"{"calculations": [{"op": "RATE_SUM", "column": "a"}], "orders": [{"op": "RATE_SUM", "column": "a"}]}"#,
        "/orders/0",
        "",
    ),
    (
        r#"{"calculations": [{"op": "PER_TRACE", "inner": {"op": "COUNT"}, "outer": "RATE_MAX"}]}"#,
        "/calculations/0/outer",
        "",
    ),
    (
        r#"{"calculations": [{"op": "INCREASE", "column": "a", "filters": [{"column": "b", "op": "exists"}]}]}"#,
        "/calculations/0",
        "",
    ),
    (r#"{"calculations": [{"op": "PER_TRACE", "inner": {}, "outer": "P95"}]}"#, "/calculations/0/inner", ""),
    (r#"{"calculations": [{"op": "PER_TRACE", "inner": {"op": "COUNT"}}]}"#, "/calculations/0", ""),
    (
        r#"{"calculations": [{"op": "PER_TRACE", "inner": {"op": "COUNT"}, "outer": "P96"}]}"#,
        "/calculations/0/outer",
        "P90",
    ),
    (
        r#"{"calculations": [{"op": "PER_TRACE", "inner": {"op": "SUM", "column": "child.a"}, "outer": "P95"}]}"#,
        "/calculations/0/inner/column",
        "",
    ),
    (
        r#"{"calculations": [{"op": "PER_TRACE", "inner": {"op": "HEATMAP", "column": "a"}, "outer": "P95"}]}"#,
        "/calculations/0/inner",
        "",
    ),
    (
        r#"{"calculations": [{"op": "PER_TRACE", "inner": {"op": "INTERVAL"}, "outer": "P95"}]}"#,
        "/calculations/0/inner",
        "",
    ),
    (
        r#"{"calculations": [{"op": "PER_TRACE", "inner": {"op": "COUNT"}, "outer": "P95", "column": "a"}]}"#,
        "/calculations/0/column",
        "",
    ),
    (
        r#"{"calculations": [{"op": "PER_TRACE", "inner": {"op": "COUNT"}, "outer": "P95", "by": "a"}]}"#,
        "/calculations/0/by",
        "",
    ),
    (
        r#"{"calculations": [{"op": "INTERVAL", "from": [], "to": [], "outer": "P95"}]}"#,
        "/calculations/0/from",
        "",
    ),
    (
        r#"{"calculations": [{"op": "INTERVAL", "from": [{"column": "a", "op": "exists"}], "outer": "P95"}]}"#,
        "/calculations/0",
        "",
    ),
    (
        r#"{"calculations": [{"op": "INTERVAL", "from": [{"column": "root.a", "op": "exists"}], "to": [], "outer": "P95"}]}"#,
        "/calculations/0/from/0/column",
        "",
    ),
    (r#"{"calculations": [{"op": "SUM"}]}"#, "/calculations/0", ""),
    (r#"{"calculations": [{"op": "COUNT", "by": "x"}]}"#, "/calculations/0/by", ""),
    (r#"{"calculations": [{"op": "COUNT"}, {"op": "COUNT"}]}"#, "/calculations/1", ""),
    (
        r#"{"calculations": [{"op": "COUNT", "filters": [{"column": "a", "op": "exists"}]}]}"#,
        "/calculations/0",
        "",
    ),
    (r#"{"formulas": [{"name": "COUNT", "expression": "1"}]}"#, "/formulas/0", ""),
    (
        r#"{"formulas": [{"name": "a", "expression": "1"}, {"name": "a", "expression": "1"}]}"#,
        "/formulas/1",
        "",
    ),
    (r#"{"formulas": [{"name": "a", "expression": "1"}], "breakdowns": ["a"]}"#, "/formulas/0", ""),
    (r#"{"formulas": [{"expression": "1"}]}"#, "/formulas/0", ""),
    (r#"{"formulas": [{"name": "a", "expression": "1"}], "calculations": []}"#, "/formulas", ""),
    (r#"{"formulas": [{"name": "a", "expression": "1"}], "orders": [{"name": "b"}]}"#, "/orders/0", "COUNT"),
    (r#"{"calculated_fields": [{}]}"#, "/calculated_fields/0", ""),
    (r#"{"calculated_fields": [{"name": "a"}]}"#, "/calculated_fields/0", ""),
    (r#"{"calculated_fields": [{"name": "a", "expression": 1}]}"#, "/calculated_fields/0/expression", ""),
    (
        r#"{"calculated_fields": [{"name": "a", "expresion": "1"}]}"#,
        "/calculated_fields/0/expresion",
        "expression",
    ),
    (
        r#"{"calculated_fields": [{"name": "duration_ms", "expression": "1"}]}"#,
        "/calculated_fields/0/name",
        "",
    ),
    (r#"{"calculated_fields": [{"name": "timestamp", "expression": "1"}]}"#, "/calculated_fields/0/name", ""),
    (r#"{"calculated_fields": [{"name": "root.a", "expression": "1"}]}"#, "/calculated_fields/0/name", ""),
    (
        r#"{"calculated_fields": [{"name": "a", "expression": "1"}, {"name": "a", "expression": "2"}]}"#,
        "/calculated_fields/1",
        "",
    ),
    (r#"{"compare_time_offset_seconds": 1801}"#, "/compare_time_offset_seconds", ""),
    (r#"{"compare_time_offset_seconds": 3600}"#, "/compare_time_offset_seconds", ""),
    (r#"{"compare_time_offset_seconds": "a day"}"#, "/compare_time_offset_seconds", ""),
    (r#"{"compare_time_offset_seconds": 86400, "calculations": []}"#, "/compare_time_offset_seconds", ""),
    (r#"{"orders": [{"op": "SUM", "column": "d"}]}"#, "/orders/0", "COUNT"),
    (r#"{"orders": [{"column": "d"}]}"#, "/orders/0/column", ""),
    (r#"{"orders": [{"op": "COUNT", "order": "down"}]}"#, "/orders/0/order", ""),
    (
        r#"{"calculations": [{"op": "HEATMAP", "column": "d"}], "orders": [{"op": "HEATMAP", "column": "d"}]}"#,
        "/orders/0",
        "",
    ),
    (
        r#"{"calculations": [{"op": "COUNT"}], "havings": [{"calculate_op": "SUM", "column": "d", "op": ">", "value": 1}]}"#,
        "/havings/0",
        "COUNT",
    ),
    (
        r#"{"calculations": [{"op": "HEATMAP", "column": "d"}], "havings": [{"calculate_op": "HEATMAP", "column": "d", "op": ">", "value": 1}]}"#,
        "/havings/0",
        "",
    ),
    (r#"{"havings": [{"calculate_op": "COUNT", "op": "in", "value": 1}]}"#, "/havings/0/op", ""),
    (r#"{"havings": [{"calculate_op": "COUNT", "op": ">", "value": "1"}]}"#, "/havings/0/value", ""),
    (r#"{"limit": 0}"#, "/limit", ""),
    (r#"{"limit": 10001}"#, "/limit", ""),
    (r#"{"limit": 1.5}"#, "/limit", ""),
    (r#"{"granularity": -1}"#, "/granularity", ""),
    (r#"{"start_time": 9, "end_time": 9}"#, "/end_time", ""),
    (r#"{"start_time": 5, "end_time": 9, "time_range": 4}"#, "/time_range", ""),
    (r#"{"time_range": 0}"#, "/time_range", ""),
    (r#"{"start_time": 1900000000000}"#, "/start_time", ""),
    (r#"{"start_time": "yesterday"}"#, "/start_time", ""),
    (r#"{"start_time": 1900000001}"#, "/start_time", ""),
    (r#"{"usage_mode": 1}"#, "/usage_mode", ""),
    (r#"{"datasets": "cart"}"#, "/datasets", ""),
    (r#"{"datasets": [1]}"#, "/datasets/0", ""),
    (r#"{"wait_ms": -1}"#, "/wait_ms", ""),
    (r#"{"cursor": "11-1-1"}"#, "/cursor", ""),
    (r#"{"calculations": [], "cursor": "x"}"#, "/cursor", ""),
    (r#"{"calculations": [], "breakdowns": ["a"]}"#, "/breakdowns", ""),
    (r#"{"calculations": [], "granularity": 5}"#, "/granularity", ""),
    (r#"{"calculations": [], "orders": [{"column": "duration_ms"}]}"#, "/orders/0/column", "timestamp"),
];

#[test]
fn refusals_say_where_and_what_was_meant() {
    for (text, path, candidate) in REFUSED {
        let spec: Json = serde_json::from_str(text).expect(text);
        let error = refused(&spec);
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{spec}");
        assert_eq!(error.location(), Some(&Location::Path((*path).to_owned())), "{spec}: {error}");
        if !candidate.is_empty() {
            let first = error.candidate_list().first().map(String::as_str);
            assert_eq!(first, Some(*candidate), "{spec}: {error}");
        }
        assert!(!error.message().is_empty());
    }
}

#[test]
fn filters_are_split_by_whose_values_they_test() {
    let exists = |column: &str| json!({"column": column, "op": "exists"});
    let spec = json!({
        "filters": [exists("any.a"), exists("b"), exists("root.c"), exists("any.d")],
        "breakdowns": ["parent.e"], "trace_slack_seconds": 1.5,
        "calculations": [
            {"op": "SUM", "column": "child.f", "filters": [exists("child.g"), exists("h")], "name": "n"},
            {"op": "PER_TRACE", "inner": {"op": "COUNT", "filters": [exists("i")]}, "outer": "P95"},
            {"op": "INTERVAL", "from": [exists("j")], "to": [exists("k")], "outer": "MAX", "name": "l"},
        ],
        "orders": [{"op": "PER_TRACE"}], "havings": [{"calculate_op": "INTERVAL", "op": ">", "value": 1}],
    });
    let plan = plan(&spec);
    let names = |filters: &[Filter]| -> Vec<String> {
        filters.iter().map(|filter| filter.column.name.to_string()).collect()
    };
    assert_eq!(names(&plan.filter.filters), ["b"]);
    let related: Vec<_> = plan.related.iter().map(|r| (r.scope, names(&r.filters))).collect();
    let of = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    assert_eq!(related, [(Scope::Root, of(&["root.c"])), (Scope::Any(1), of(&["any.a", "any.d"]))]);
    assert_eq!(plan.trace_slack_ns, 1_500_000_000);
    let groups = groups(&spec);
    assert_eq!(groups.breakdowns[0].scope, Scope::Parent);
    assert_eq!(groups.breakdowns[0].references, crate::names::references("e"));
    let [sum, per_trace, interval] = groups.calculations.as_slice() else { panic!("three calculations") };
    assert_eq!(sum.column.as_ref().map(|column| column.scope), Some(Scope::Child));
    assert_eq!(names(&sum.filter.as_ref().expect("has one").filters), ["h"]);
    assert_eq!((sum.related[0].scope, names(&sum.related[0].filters)), (Scope::Child, of(&["child.g"])));
    assert_eq!((per_trace.name.as_str(), per_trace.operation.name()), ("PER_TRACE", "P95"));
    assert!(matches!(&per_trace.derived, Some(Derived::PerTrace(inner)) if inner.filter.is_some()));
    let Some(Derived::Interval { by, .. }) = &interval.derived else { panic!("an interval") };
    assert_eq!((&*by.name, interval.operation), ("trace.trace_id", Operation::Max));
    assert_eq!(groups.orders[0].by, OrderBy::Calculation(1));
    assert_eq!(groups.havings[0].calculation, 2);
}

#[test]
fn an_erasure_is_of_events_by_themselves() {
    let error =
        super::erasure(r#"{"filters": [{"column": "root.a", "op": "exists"}]}"#).expect_err("refused");
    assert_eq!(error.location(), Some(&Location::Path("/filters/0/column".to_owned())));
}

#[test]
fn empty_lists_of_later_work_are_no_work() {
    plan(&json!({"formulas": [], "calculated_fields": [], "compare_time_offset_seconds": null, "wait_ms": 5,
        "trace_slack_seconds": 600, "orders": [], "havings": [], "filters": [], "breakdowns": []}));
}

/// The limits of the builder language, to the last one.
#[test]
fn a_hundred_of_each_is_taken_and_one_more_is_not() {
    let spec = |count: usize| {
        let numbers = || 0..count;
        [
            json!({"breakdowns": numbers().map(|n| format!("b{n}")).collect::<Vec<_>>()}),
            json!({"calculations": numbers().map(|n| json!({"op": "COUNT", "name": format!("c{n}")})).collect::<Vec<_>>()}),
            json!({"filters": vec![json!({"column": "a", "op": "exists"}); count]}),
        ]
    };
    for taken in spec(100) {
        plan(&taken);
    }
    for one_more in spec(101) {
        refused(&one_more);
    }
}

#[test]
fn hostile_specifications_are_refused_and_cut_short() {
    let long = "x".repeat(100_000);
    for spec in [
        json!({ &long: 1 }),
        json!({"breakdowns": [long]}),
        json!({"calculations": [{"op": long}]}),
        json!({"filters": vec![json!({"column": "a", "op": "exists"}); 101]}),
        json!({"filters": [{"column": "a", "op": "in", "value": vec![1; 10_001]}]}),
        json!({"calculations": vec![json!({"op": "COUNT"}); 101]}),
    ] {
        let error = refused(&spec);
        assert!(error.to_string().len() < 2_000, "{}", error.to_string().len());
    }
}
