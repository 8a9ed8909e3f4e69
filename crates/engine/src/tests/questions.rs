//! What each part of a specification answers.

use serde_json::{Value as Json, json};
use skein_event::Fixed;
use skein_event::batch::Origin;
use skein_event::ids::Environment;
use skein_event::value::Value;
use skein_query::{QueryEngine as _, render};

use skein_store::segment::Segment;

use super::build::{Row, START_S, at, context, count, data, engine, results, run, segment_bytes, warnings};
use crate::NativeEngine;

fn shop() -> NativeEngine {
    let early = [
        at(0).service("cart").with("http.status_code", 200).fixed(Fixed::Duration, 10_000_000_i64),
        at(10).service("cart").with("http.response.status_code", 500).fixed(Fixed::Duration, 30_000_000_i64),
        at(20).service("pay").with("http.status_code", "500").fixed(Fixed::Duration, 500_000_i64),
    ];
    let late = [
        at(70).service("pay").with("http.status_code", 404).fixed(Fixed::Error, true),
        at(130).service("mail").with("retry", false).fixed(Fixed::Duration, 70_000_000_i64),
    ];
    engine(&[&early, &late])
}

#[test]
fn words_of_long_text_prune_blocks_and_change_no_answer() {
    // Long and mostly different, so that there is no dictionary, and blocks have filters of their words.
    let texts: Vec<String> = (0..3_000)
        .map(|n| {
            format!(
                "request {n} of user-{} took too long and was given up after {} retries by gate",
                n % 61,
                n % 7
            )
        })
        .collect();
    let rows: Vec<Row> =
        (0..).zip(&texts).map(|(second, text)| at(second).with("message", text.as_str())).collect();
    let engine = engine(&[&rows]);
    type Holds = fn(&str, &str) -> bool;
    let tests: [(&str, Holds); 3] = [
        ("contains", |text, part| text.contains(part)),
        ("starts-with", |text, part| text.starts_with(part)),
        ("ends-with", |text, part| text.ends_with(part)),
    ];
    let negated = ["does-not-contain", "does-not-start-with", "does-not-end-with"];
    for part in [
        "request 1234 of",
        "1234",
        "quest 123",
        "request 12",
        "7 retries by gate",
        "user-60 ",
        "absent word here",
        "gate",
        "",
    ] {
        for ((op, holds), not) in tests.iter().zip(negated) {
            let expected = texts.iter().filter(|text| holds(text, part)).count() as u64;
            let asked = |op: &str| count(&engine, json!([{"column": "message", "op": op, "value": part}]));
            assert_eq!(asked(op), expected, "{op} {part}");
            assert_eq!(asked(not), 3_000 - expected, "{not} {part}");
        }
    }
    let segment = Segment::open(segment_bytes(&rows, 0)).expect("opens");
    let column = segment.by_name("message").expect("reads").remove(0);
    let reader = segment.column(column.id).expect("opens");
    let without = reader.codes_without(&["1234"]).expect("reads");
    assert!(without.iter().map(|codes| codes.end - codes.start).sum::<u32>() > 1_500, "{without:?}");
}

#[test]
fn each_filter_operator() {
    let shop = shop();
    for (column, op, value, expected) in [
        ("service.name", "=", json!("cart"), 2),
        ("service.name", "in", json!(["cart", "mail"]), 3),
        ("service.name", "not-in", json!(["cart", "mail"]), 2),
        ("service.name", "starts-with", json!("ca"), 2),
        ("service.name", "does-not-start-with", json!("ca"), 3),
        ("service.name", "ends-with", json!("ay"), 2),
        ("service.name", "contains", json!("a"), 5),
        ("service.name", ">", json!("mail"), 2),
        ("http.status_code", "=", json!(500), 2),
        ("http.status_code", "=", json!("500"), 1),
        ("http.response.status_code", "=", json!(500), 2),
        ("http.status_code", ">=", json!(404), 3),
        ("http.status_code", "<", json!(404), 1),
        ("http.status_code", "!=", json!(500), 3),
        ("http.status_code", "contains", json!("0"), 4),
        ("error", "=", json!(true), 1),
        ("error", "!=", json!(true), 4),
        ("retry", "=", json!(false), 1),
        ("duration_ms", ">=", json!(30), 2),
        ("duration_ms", "=", json!(0.5), 1),
        ("durationMs", "<=", json!(10), 2),
        ("dataset", "=", json!("pay"), 2),
        ("timestamp", "starts-with", json!("1970-01-12T13:46:4"), 1),
        ("event.id", "=", json!("3-1-0"), 1),
    ] {
        let filters = json!([{"column": column, "op": op, "value": value}]);
        assert_eq!(count(&shop, filters), expected, "{column} {op} {value}");
    }
}

#[test]
fn filters_combine() {
    let filters = json!([
        {"column": "service.name", "op": "=", "value": "cart"},
        {"column": "duration_ms", "op": ">", "value": 20},
    ]);
    let shop = shop();
    let counted = |combination: &str| {
        let spec = json!({"filters": filters, "filter_combination": combination});
        results(&shop, spec)[0]["COUNT"].clone()
    };
    assert_eq!((counted("AND"), counted("OR")), (json!(1), json!(3)));
}

#[test]
fn calculations_have_filters_and_names_of_their_own() {
    let spec = json!({"calculations": [
        {"op": "COUNT"},
        {"op": "COUNT", "column": "http.status_code"},
        {"op": "COUNT", "name": "bad", "filters": [{"column": "http.status_code", "op": ">=", "value": 500}]},
        {"op": "COUNT_DISTINCT", "column": "http.status_code"},
        {"op": "MAX", "column": "duration_ms"},
    ]});
    assert_eq!(
        results(&shop(), spec)[0],
        json!({"COUNT": 5, "COUNT(http.status_code)": 4, "bad": 2,
            "COUNT_DISTINCT(http.status_code)": 3, "MAX(duration_ms)": 70})
    );
}

#[test]
fn groups_are_ordered_limited_and_summed_up() {
    let shop = shop();
    let spec = json!({"breakdowns": ["service.name"], "limit": 1,
        "calculations": [{"op": "COUNT"}, {"op": "SUM", "column": "duration_ms"}]});
    let answer = data(&shop, spec.clone());
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        answer["results"][0]["data"],
        json!({"service.name": "cart", "COUNT": 2, "SUM(duration_ms)": 40}),
        "of equal counts the first by text"
    );
    assert_eq!(answer["total"], json!({"COUNT": 5, "SUM(duration_ms)": 110.5}));
    assert_eq!(answer["other"], json!({"COUNT": 3, "SUM(duration_ms)": 70.5}));
    let mut all = spec;
    all["limit"] = json!(10);
    all["orders"] = json!([{"op": "SUM", "column": "duration_ms", "order": "descending"}]);
    all["havings"] = json!([{"calculate_op": "SUM", "column": "duration_ms", "op": ">", "value": 1}]);
    let answer = data(&shop, all);
    let services: Vec<&Json> =
        answer["results"].as_array().expect("results").iter().map(|r| &r["data"]["service.name"]).collect();
    assert_eq!(services, [&json!("mail"), &json!("cart")]);
    assert_eq!(answer["total"]["COUNT"], 5, "total is over every event that matched");
    assert!(answer.get("other").is_none());
}

#[test]
fn a_missing_value_is_a_group_of_its_own() {
    let spec = json!({"breakdowns": ["http.status_code", "error"],
        "orders": [{"column": "http.status_code"}]});
    assert_eq!(
        results(&shop(), spec),
        [
            json!({"http.status_code": 200, "error": null, "COUNT": 1}),
            json!({"http.status_code": 404, "error": true, "COUNT": 1}),
            json!({"http.status_code": "500", "error": null, "COUNT": 2}),
            json!({"http.status_code": null, "error": null, "COUNT": 1}),
        ]
    );
}

#[test]
fn a_series_has_a_row_per_group_and_bucket() {
    let spec = json!({"breakdowns": ["service.name"], "granularity": 60, "limit": 2,
        "start_time": START_S, "end_time": START_S + 180});
    let answer = data(&shop(), spec);
    let series: Vec<(String, Json)> = answer["series"]
        .as_array()
        .expect("a series")
        .iter()
        .map(|entry| (entry["time"].as_str().unwrap_or("").to_owned(), entry["data"].clone()))
        .collect();
    let bucket = |second: i64| skein_query::time_text::format_ns(second * 1_000_000_000);
    // 1,000,000 is 40 s into its minute, which begins before the range does.
    assert_eq!(
        series,
        [
            (bucket(999_960), json!({"service.name": "cart", "COUNT": 2})),
            (bucket(1_000_020), json!({"service.name": "pay", "COUNT": 2})),
        ]
    );
}

#[test]
fn a_heatmap_shares_its_edges() {
    let rows: Vec<Row> = (0..100_i64).map(|n| at(n).with("v", n).with("g", n % 2)).collect();
    let engine = engine(&[&rows]);
    let spec = json!({"calculations": [{"op": "HEATMAP", "column": "v"}, {"op": "COUNT"}], "breakdowns": ["g"],
        "granularity": 60, "start_time": START_S, "end_time": START_S + 120});
    let answer = data(&engine, spec);
    let edges = &answer["total"]["HEATMAP(v)"]["edges"];
    assert_eq!((&edges[0], &edges[1], edges.as_array().map(Vec::len)), (&json!(0), &json!(2), Some(51)));
    let sum = |cell: &Json| -> i64 {
        cell["HEATMAP(v)"]["counts"].as_array().expect("counts").iter().filter_map(Json::as_i64).sum()
    };
    assert_eq!(sum(&answer["total"]), 100);
    let series = answer["series"].as_array().expect("a series");
    assert_eq!(series.iter().map(|entry| sum(&entry["data"])).sum::<i64>(), 100);
    assert!(series.iter().all(|entry| entry["data"]["HEATMAP(v)"]["edges"] == *edges));
    assert_eq!(sum(&answer["results"][0]["data"]), 50);
    // Without a granularity one is chosen.
    let spec = json!({"calculations": [{"op": "HEATMAP", "column": "v"}]});
    assert!(data(&engine, spec)["series"].is_array());
}

#[test]
fn an_empty_answer_says_where_the_data_is() {
    let shop = shop();
    let elsewhere = json!({"start_time": START_S + 5_000, "end_time": START_S + 6_000});
    let result = run(&shop, elsewhere).expect("an answer");
    assert_eq!(render::data(&result)["results"][0]["data"]["COUNT"], 0);
    let warning = result.meta.warnings.iter().find(|w| w.code == "no_data_in_range").expect("a warning");
    assert!(warning.message.contains("1970-01-12T13:46:40"), "{}", warning.message);
    let grouped = json!({"breakdowns": ["service.name"], "start_time": 5, "end_time": 6});
    assert!(results(&shop, grouped).is_empty());
    let none = engine(&[]);
    assert_eq!(warnings(&none, json!({"filters": [{"column": "x", "op": "=", "value": 1}]})), ["no_data"]);
}

#[test]
fn raw_rows_are_newest_first_and_paged() {
    let rows: Vec<Row> = (0..25_i64).map(|n| at(n / 3).with("n", n)).collect();
    let engine = engine(&[&rows[..10], &rows[10..]]);
    for (order, expected) in
        [("descending", (0..25).rev().collect::<Vec<i64>>()), ("ascending", (0..25).collect())]
    {
        let (mut found, mut cursor) = (Vec::new(), Json::Null);
        for _ in 0..10 {
            let orders = json!([{"column": "timestamp", "order": order}]);
            let page =
                data(&engine, json!({"calculations": [], "limit": 4, "orders": orders, "cursor": cursor}));
            found.extend(page["rows"].as_array().expect("rows").iter().filter_map(|row| row["n"].as_i64()));
            cursor = page["next"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(found, expected, "{order}");
    }
}

#[test]
fn a_raw_row_has_its_times_and_its_id() {
    let row =
        at(1).nanos(5).service("cart").with("big", i64::MAX).with("nan", f64::NAN).fixed(Fixed::Error, true);
    let engine = engine(&[&[row]]);
    let rows = data(&engine, json!({"calculations": []}));
    assert_eq!(
        rows["rows"][0],
        json!({"timestamp": "1970-01-12T13:46:41.000000005Z", "event.id": "3-0-0",
            "meta.ingest_time": "1970-01-12T16:33:20.000000000Z", "big": "9223372036854775807",
            "nan": "NaN", "error": true, "dataset": "cart", "service.name": "cart"})
    );
}

#[test]
fn unknown_names_are_errors_with_candidates() {
    let shop = shop();
    let failed = |spec: Json| {
        let error = run(&shop, spec).expect_err("refused");
        render::error(&error)
    };
    let error = failed(json!({"filters": [{"column": "http.status", "op": "=", "value": 1}]}));
    assert_eq!((&error["code"], &error["path"]), (&json!("invalid_request"), &json!("/filters/0/column")));
    assert_eq!(error["candidates"][0], "http.status_code");
    let error = failed(json!({"breakdowns": ["servce.name"]}));
    assert_eq!((&error["path"], &error["candidates"][0]), (&json!("/breakdowns/0"), &json!("service.name")));
    let error = failed(json!({"datasets": ["crat"]}));
    assert_eq!((&error["path"], &error["candidates"][0]), (&json!("/datasets/0"), &json!("cart")));
    // Whether nothing has it is a question that may be asked of any name.
    let spec = json!({"filters": [{"column": "http.status", "op": "does-not-exist"}]});
    assert_eq!(warnings(&shop, spec.clone()), ["unknown_column"]);
    assert_eq!(results(&shop, spec)[0]["COUNT"], 5);
    // Columns with a fixed meaning are known before the first event has them.
    assert_eq!(count(&shop, json!([{"column": "severity", "op": "=", "value": "error"}])), 0);
}

#[test]
fn coercions_and_what_is_left_out_are_counted() {
    let rows = [at(0).with("v", 1), at(1).with("v", "2.5"), at(2).with("v", "many"), at(3).with("v", true)];
    let engine = engine(&[&rows]);
    let spec = json!({"calculations": [{"op": "SUM", "column": "v"}]});
    assert_eq!(results(&engine, spec.clone())[0]["SUM(v)"], 3.5);
    assert_eq!(warnings(&engine, spec), ["text_coerced", "not_numeric"]);
    let large = super::build::engine(&[&[at(0).with("v", i64::MAX), at(1).with("v", i64::MAX)]]);
    let spec = json!({"calculations": [{"op": "SUM", "column": "v"}]});
    assert_eq!(warnings(&large, spec), ["integer_overflow"]);
}

#[test]
fn nan_groups_as_one_and_sorts_last() {
    let rows =
        [at(0).with("v", f64::NAN), at(1).with("v", -f64::NAN), at(2).with("v", -0.0), at(3).with("v", 0)];
    let engine = engine(&[&rows]);
    for direction in ["ascending", "descending"] {
        let spec = json!({"breakdowns": ["v"], "orders": [{"column": "v", "order": direction}]});
        let groups = results(&engine, spec);
        assert_eq!(groups[0]["COUNT"], 2);
        assert_eq!(groups[1], json!({"v": "NaN", "COUNT": 2}), "{direction}");
    }
}

#[test]
fn datasets_columns_and_values_are_listed() {
    let shop = shop();
    let environment = Environment::default_environment();
    let datasets = shop.datasets(&environment, &context()).expect("datasets");
    let listed: Vec<(&str, u64)> = datasets.iter().map(|d| (d.name.as_str(), d.events)).collect();
    assert_eq!(listed, [("cart", 2), ("mail", 1), ("pay", 2)]);
    assert_eq!(datasets[2].last_ns - datasets[2].first_ns, 50_000_000_000);
    let columns = shop.columns(&environment, Some("pay"), &context()).expect("columns");
    let status = columns.iter().find(|column| column.name == "http.status_code").expect("a column");
    assert_eq!(status.types, [("text", 1), ("i64", 1)]);
    assert_eq!(status.scopes, ["attributes"]);
    assert!(columns.iter().all(|column| column.name != "http.response.status_code"), "only cart has it");
    let service = columns.iter().find(|column| column.name == "service.name").expect("a column");
    assert_eq!((&service.types[..], &service.scopes[..]), (&[("text", 2)][..], &["resource"][..]));
    let values = shop.values(&environment, None, "service.name", "", 2, &context()).expect("values");
    let listed: Vec<(&Value, u64)> = values.iter().map(|value| (&value.value, value.count)).collect();
    assert_eq!(listed, [(&Value::Text("cart".to_owned()), 2), (&Value::Text("pay".to_owned()), 2)]);
    let values = shop.values(&environment, None, "service.name", "m", 10, &context()).expect("values");
    assert_eq!(values.len(), 1);
}

#[test]
fn a_dry_run_reads_nothing() {
    let result = run(&shop(), json!({"dry_run": true})).expect("an answer");
    assert_eq!(render::data(&result), json!({}));
    assert_eq!((result.meta.segments.scanned, result.meta.rows_scanned), (2, 5));
}

#[test]
fn message_is_the_body_or_the_event() {
    let log = at(0).fixed(Fixed::SignalType, "log").fixed(Fixed::Body, "disk full");
    let span = at(1).fixed(Fixed::SignalType, "trace").fixed(Fixed::Name, "GET /").with("k", 1);
    let scoped = at(2).from(Origin::Scope, "k", 9);
    let engine = engine(&[&[log, span, scoped]]);
    assert_eq!(count(&engine, json!([{"column": "@message", "op": "=", "value": "disk full"}])), 1);
    assert_eq!(count(&engine, json!([{"column": "@message", "op": "contains", "value": "\"k\":1"}])), 1);
    assert_eq!(count(&engine, json!([{"column": "message", "op": "exists"}])), 2);
    assert_eq!(count(&engine, json!([{"column": "scope.k", "op": "=", "value": 9}])), 1);
}
