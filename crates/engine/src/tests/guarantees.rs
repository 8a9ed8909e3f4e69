//! What must never break: one test per guarantee, each of which a mutant of the code turns red.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::json;
use skein_event::Fixed;
use skein_event::batch::Origin;
use skein_event::ids::{Environment, parse_trace_id};
use skein_event::value::Value;
use skein_query::plan::TimeRange;
use skein_query::{ErrorKind, QueryEngine as _, RunContext, render};
use skein_store::segment::Segment;

use super::build::{
    Fixture, Row, START_S, at, colliding_segment, context, count, data, engine, results, run, segment_bytes,
    warnings,
};
use crate::NativeEngine;

#[test]
fn aggregates_are_weighted() {
    let rows = [
        at(0).with("v", 10).fixed(Fixed::SampleRate, 4.0),
        at(1).with("v", 20).fixed(Fixed::SampleRate, 1.0),
        at(2).with("v", 30),
    ];
    let engine = engine(&[&rows]);
    let spec = json!({"calculations": [
        {"op": "COUNT"}, {"op": "SUM", "column": "v"}, {"op": "AVG", "column": "v"},
        {"op": "MIN", "column": "v"}, {"op": "COUNT_DISTINCT", "column": "v"}, {"op": "P50", "column": "v"},
    ]});
    let weighted = &results(&engine, spec.clone())[0];
    assert_eq!(
        *weighted,
        json!({"COUNT": 6, "SUM(v)": 90, "AVG(v)": 15, "MIN(v)": 10, "COUNT_DISTINCT(v)": 3, "P50(v)": 10})
    );
    let mut usage = spec;
    usage["usage_mode"] = json!(true);
    assert_eq!(
        results(&engine, usage)[0],
        json!({"COUNT": 3, "SUM(v)": 60, "AVG(v)": 20, "MIN(v)": 10, "COUNT_DISTINCT(v)": 3, "P50(v)": 20})
    );
    let data = data(&engine, json!({}));
    assert_eq!(data["results"][0]["stats"]["COUNT"]["exact"], json!(false), "sampled is not exact");
}

/// Values at the ends of blocks, asked for by each comparison: an off-by-one of a zone map loses one.
#[test]
fn zone_map_off_by_one() {
    let rows: Vec<Row> = (0..5_000_i64)
        .map(|second| at(second).with("v", second).with("d", 0.5).fixed(Fixed::Duration, second * 1_000_000))
        .collect();
    let engine = engine(&[&rows]);
    for edge in [0, 1_023, 1_024, 2_047, 2_048, 4_999] {
        for column in ["v", "duration_ms"] {
            let counted = |op: &str| count(&engine, json!([{"column": column, "op": op, "value": edge}]));
            assert_eq!(counted("="), 1, "{column} = {edge}");
            assert_eq!(counted("<="), edge + 1, "{column} <= {edge}");
            assert_eq!(counted("<"), edge, "{column} < {edge}");
            assert_eq!(counted(">="), 5_000 - edge, "{column} >= {edge}");
            assert_eq!(counted(">"), 4_999 - edge, "{column} > {edge}");
        }
        let range = |start: i64, end: i64| {
            let spec = json!({"start_time": START_S + start, "end_time": START_S + end});
            results(&engine, spec)[0]["COUNT"].clone()
        };
        assert_eq!(range(edge, edge + 1), 1, "the start is included, the end is not: {edge}");
        assert_eq!(range(edge, 6_000), 5_000 - edge);
    }
    assert_eq!(count(&engine, json!([{"column": "d", "op": "=", "value": 0.5}])), 5_000);
}

/// Blocks of a sparse column's values do not line up with blocks of rows: a block of rows may need two.
#[test]
fn a_sparse_column_spans_blocks() {
    let value = |second: i64| if second % 3 == 0 { at(second).with("v", second) } else { at(second) };
    let rows: Vec<Row> = (0..7_000_i64).map(value).collect();
    let engine = engine(&[&rows]);
    for edge in (2_900..3_300_i64).step_by(3).chain((0..7_000).step_by(501)) {
        let filter = json!([{"column": "v", "op": "=", "value": edge}]);
        assert_eq!(count(&engine, filter), i64::from(edge % 3 == 0), "{edge}");
    }
    assert_eq!(count(&engine, json!([{"column": "v", "op": "exists"}])), 2_334);
}

#[test]
fn zone_maps_prune_what_they_exclude() {
    let rows: Vec<Row> = (0..4_096_i64).map(|second| at(second).with("v", second)).collect();
    let later: Vec<Row> = (5_000..5_010_i64).map(|second| at(second).with("v", 9_000)).collect();
    let engine = engine(&[&rows, &later]);
    let meta = |spec| run(&engine, spec).expect("an answer").meta;
    let filtered = meta(json!({"filters": [{"column": "v", "op": "<", "value": 100}]}));
    assert_eq!((filtered.rows_scanned, filtered.rows_matched), (1_024, 100));
    assert_eq!((filtered.segments.considered, filtered.segments.pruned), (2, 1));
    let timed = meta(json!({"start_time": START_S + 1_100, "end_time": START_S + 1_200}));
    assert_eq!((timed.rows_scanned, timed.rows_matched), (1_024, 100));
}

#[test]
fn negative_operators_match_missing() {
    let rows = [at(0).with("v", "x"), at(1).with("v", "y"), at(2)];
    let engine = engine(&[&rows, &[at(3)]]);
    for (op, value, expected) in [
        ("!=", json!("x"), 3),
        ("not-in", json!(["x", "y"]), 2),
        ("does-not-contain", json!("x"), 3),
        ("does-not-start-with", json!("x"), 3),
        ("does-not-end-with", json!("x"), 3),
    ] {
        assert_eq!(count(&engine, json!([{"column": "v", "op": op, "value": value}])), expected, "{op}");
    }
    assert_eq!(count(&engine, json!([{"column": "v", "op": "does-not-exist"}])), 2);
    assert_eq!(count(&engine, json!([{"column": "v", "op": "exists"}])), 2);
    assert_eq!(count(&engine, json!([{"column": "v", "op": "<", "value": 5}])), 0);
}

/// Every value of both segments is given the same hash: groups and filters must tell them apart by text, and the
/// same text of two segments must still be one group.
#[test]
fn groups_confirm_text_not_only_hash() {
    let first: Vec<Row> = (0..3).map(|second| at(second).with("user", "alice").with("v", "x")).collect();
    let second = [
        at(3).with("user", "bob").with("v", "alice"),
        at(4).with("user", "bob").with("v", "alice"),
        at(5).with("user", "alice"),
    ];
    let collide = |rows: &[Row], offset| Arc::new(colliding_segment(rows, offset));
    let segments = vec![collide(&first, 0), collide(&second, 1)];
    assert!(segments[1].has_hash_collision(), "two values of one column share a hash");
    let engine = NativeEngine::new(Arc::new(Fixture { segments }));
    let groups = results(&engine, json!({"breakdowns": ["user"]}));
    assert_eq!(groups, [json!({"user": "alice", "COUNT": 4}), json!({"user": "bob", "COUNT": 2})]);
    // Codes restart in each segment: code 0 is alice in one and bob in the other.
    assert_eq!(count(&engine, json!([{"column": "user", "op": "=", "value": "bob"}])), 2);
    assert_eq!(count(&engine, json!([{"column": "v", "op": "=", "value": "alice"}])), 2);
}

#[test]
fn equal_text_of_several_types_is_one_group() {
    let rows = [at(0).with("s", 500), at(1).with("s", 500.0), at(2).with("s", "500"), at(3).with("s", "500")];
    let one = engine(&[&rows]);
    assert_eq!(results(&one, json!({"breakdowns": ["s"]})), [json!({"s": "500", "COUNT": 4})]);
    // A tie of text and number is shown as text; a majority of numbers as a number.
    let tie = engine(&[&rows[..1], &rows[2..3]]);
    assert_eq!(results(&tie, json!({"breakdowns": ["s"]})), [json!({"s": "500", "COUNT": 2})]);
    let numbers = engine(&[&[at(0).with("s", 500), at(1).with("s", 500)], &rows[2..3]]);
    assert_eq!(results(&numbers, json!({"breakdowns": ["s"]})), [json!({"s": 500, "COUNT": 3})]);
}

#[test]
fn percentiles_are_exact_below_ten_thousand_rows() {
    let rows = |count: i64| -> Vec<Row> {
        (0..count).map(|n| at(n % 7_000).with("v", (n * 7_919) % count)).collect()
    };
    let few = engine(&[&rows(9_999)]);
    let spec = json!({"calculations": [{"op": "P50", "column": "v"}, {"op": "P99", "column": "v"}]});
    let answer = data(&few, spec.clone());
    assert_eq!(answer["results"][0]["data"], json!({"P50(v)": 4_999, "P99(v)": 9_899}));
    assert_eq!(answer["results"][0]["stats"]["P50(v)"]["exact"], json!(true));
    let many = engine(&[&rows(10_000)]);
    let answer = data(&many, spec);
    let median = answer["results"][0]["data"]["P50(v)"].as_f64().expect("a number");
    assert!((median - 4_999.0).abs() <= 50.0, "{median}");
    assert_eq!(answer["results"][0]["stats"]["P50(v)"]["exact"], json!(false));
}

#[test]
fn an_environment_never_sees_another() {
    let engine = engine(&[&[at(0).with("v", 1).fixed(Fixed::TraceId, "0af7651916cd43dd8448eb211c80319c")]]);
    let plan = skein_query::spec::parse(
        &json!({"start_time": START_S, "end_time": START_S + 100}),
        &Environment::skein(),
        0,
    );
    let result = engine.run(&plan.expect("a plan"), &context()).expect("an answer");
    assert_eq!(render::data(&result)["results"][0]["data"]["COUNT"], json!(0));
    let id = parse_trace_id("0af7651916cd43dd8448eb211c80319c").expect("an id");
    assert!(engine.trace(&Environment::skein(), id, &context()).expect("an answer").rows.is_empty());
    let own = engine.trace(&Environment::default_environment(), id, &context()).expect("an answer");
    assert_eq!(own.rows.len(), 1);
}

#[test]
fn memory_of_a_query_is_bounded() {
    let rows: Vec<Row> = (0..5_000_i64).map(|n| at(n).with("user", n)).collect();
    let engine = engine(&[&rows]);
    let spec = json!({"breakdowns": ["user"], "start_time": START_S, "end_time": START_S + 7_000});
    let plan = skein_query::spec::parse(&spec, &Environment::default_environment(), 0).expect("a plan");
    let small = RunContext { memory_bytes_max: 100 << 10, ..context() };
    let error = engine.run(&plan, &small).expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(engine.run(&plan, &context()).is_ok());
}

#[test]
fn a_cancelled_query_stops() {
    let engine = engine(&[&[at(0)]]);
    let plan = skein_query::spec::parse(&json!({}), &Environment::default_environment(), 0).expect("a plan");
    let cancelled = AtomicBool::new(true);
    let context = RunContext { cancelled: &cancelled, ..context() };
    // The range must reach the event, else there is nothing to stop.
    let plan = skein_query::Plan { time_range: TimeRange::ALL, ..plan };
    assert_eq!(engine.run(&plan, &context).expect_err("stopped").kind(), ErrorKind::Cancelled);
    let late = RunContext { deadline_ns: Some(0), ..super::build::context() };
    assert_eq!(engine.run(&plan, &late).expect_err("late").kind(), ErrorKind::LimitExceeded);
}

/// A damaged segment is left out, with a warning, and the rest answers.
#[test]
fn damage_is_a_warning_and_the_rest_answers() {
    let good = segment_bytes(&[at(0).with("v", 1)], 0);
    let mut bad = segment_bytes(&(0..100).map(|n| at(n).with("v", n)).collect::<Vec<_>>(), 1);
    // Break every byte of the body in turn would be slow; the middle third holds chunks, not the footer.
    let (third, two_thirds) = (bad.len() / 8, bad.len() / 4);
    bad[third..two_thirds].iter_mut().for_each(|byte| *byte ^= 0x55);
    let segments = [good, bad].map(|bytes| Arc::new(Segment::open(bytes).expect("opens")));
    let engine = NativeEngine::new(Arc::new(Fixture { segments: segments.to_vec() }));
    let spec = json!({"calculations": [{"op": "COUNT"}, {"op": "SUM", "column": "v"}]});
    assert!(warnings(&engine, spec.clone()).contains(&"segments_damaged"));
    assert_eq!(results(&engine, spec)[0], json!({"COUNT": 1, "SUM(v)": 1}));
}

#[test]
fn the_same_question_gives_the_same_bytes() {
    let rows: Vec<Row> = (0..3_000_i64).map(|n| at(n).with("v", (n as f64) * 0.1).with("g", n % 7)).collect();
    let engine = engine(&[&rows[..1_000], &rows[1_000..]]);
    let spec = json!({"breakdowns": ["g"], "granularity": 600,
        "calculations": [{"op": "SUM", "column": "v"}, {"op": "AVG", "column": "v"}]});
    let first = data(&engine, spec.clone()).to_string();
    for _ in 0..3 {
        assert_eq!(data(&engine, spec.clone()).to_string(), first);
    }
}

/// An export holds each event once, in the order of event ids, whatever the order of its times.
#[test]
fn a_scan_gives_each_event_once_in_order_of_id() {
    let rows: Vec<Row> = (0..20_000_i64).map(|n| at((n * 7_919) % 5_000).with("n", n)).collect();
    let engine = engine(&[&rows, &rows[..10]]);
    let mut ids = Vec::new();
    let mut sink = |batch: skein_query::result::ScanBatch| {
        assert_eq!(batch.batch.rows(), batch.event_ids.len());
        ids.extend(batch.event_ids);
        Ok(())
    };
    let environment = Environment::default_environment();
    engine.scan(&environment, &[], TimeRange::ALL, &context(), &mut sink).expect("scans");
    assert_eq!(ids.len(), 20_010);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn an_attribute_never_overwrites_a_fixed_column() {
    let row = at(0)
        .fixed(Fixed::Name, "GET /")
        .with("name", "mine")
        .with("team", "item")
        .from(Origin::Resource, "team", "resource")
        .service("cart")
        .with("service.name", "fake");
    let engine = engine(&[&[row]]);
    let rows = data(&engine, json!({"calculations": []}));
    let row = &rows["rows"][0];
    assert_eq!(row["name"], "GET /");
    assert_eq!(row["attributes.name"], "mine");
    assert_eq!((&row["team"], &row["resource.team"]), (&json!("item"), &json!("resource")));
    assert_eq!((&row["service.name"], &row["attributes.service.name"]), (&json!("cart"), &json!("fake")));
    for (column, value) in [
        ("name", "GET /"),
        ("attributes.name", "mine"),
        ("team", "item"),
        ("resource.team", "resource"),
        ("service", "cart"),
        ("attributes.service.name", "fake"),
    ] {
        let filter = json!([{"column": column, "op": "=", "value": value}]);
        assert_eq!(count(&engine, filter), 1, "{column}");
    }
}

#[test]
fn values_beyond_the_column_limit_are_still_queryable() {
    // {"wide.k": 5} as a json map: KeyValueList { values: [{ key: "wide.k", value: { int: 5 } }] }.
    let entry = [&[10, 6][..], b"wide.k", &[18, 2, 24, 5]].concat();
    let map = [&[10, 12][..], &entry].concat();
    let value = [&[50, 14][..], &map].concat();
    assert_eq!((entry.len(), map.len()), (12, 14));
    let overflowing = at(0).from(Origin::Fixed, "meta.overflow", Value::Json(value));
    let engine = engine(&[&[overflowing, at(1).with("wide.k", 7), at(2)]]);
    assert_eq!(count(&engine, json!([{"column": "wide.k", "op": "=", "value": 5}])), 1);
    assert_eq!(count(&engine, json!([{"column": "wide.k", "op": "exists"}])), 2);
    assert_eq!(count(&engine, json!([{"column": "wide.k", "op": "!=", "value": 5}])), 2);
    let sum = json!({"calculations": [{"op": "SUM", "column": "wide.k"}]});
    assert_eq!(results(&engine, sum)[0]["SUM(wide.k)"], 12);
    let rows = data(&engine, json!({"calculations": []}));
    assert_eq!(rows["rows"][2]["wide.k"], 5);
}

/// A clock that a test moves.
struct Moved(std::sync::atomic::AtomicI64);

impl skein_event::observe::Clock for Moved {
    fn now_ns(&self) -> i64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[test]
fn a_query_under_way_shows_what_it_knows() {
    let lists: Vec<Vec<Row>> = (0..6_i64)
        .map(|segment| (0..10).map(|n| at(segment * 10 + n).with("v", n).with("g", n % 2)).collect())
        .collect();
    let engine = engine(&lists.iter().map(Vec::as_slice).collect::<Vec<_>>());
    for (spec, counted) in [
        (json!({"breakdowns": ["g"]}), "results"),
        (json!({"breakdowns": ["g"], "granularity": 60, "calculations": [{"op": "COUNT"}]}), "series"),
        (json!({"calculations": [{"op": "COUNT"}, {"op": "HEATMAP", "column": "v"}]}), "series"),
        (json!({"calculations": [], "orders": [{"column": "timestamp", "order": "ascending"}]}), "rows"),
    ] {
        let mut spec = spec;
        let members = spec.as_object_mut().expect("an object");
        members.insert("start_time".to_owned(), json!(START_S));
        members.insert("end_time".to_owned(), json!(START_S + 7_200));
        let plan = skein_query::spec::parse(&spec, &Environment::default_environment(), 0).expect("a plan");
        let whole = engine.run(&plan, &context()).expect("an answer");

        let told = std::sync::Mutex::new(Vec::new());
        let clock = Moved(0.into());
        // Each segment takes a second.
        let progress = |_| {
            clock.0.fetch_add(1_000_000_000, std::sync::atomic::Ordering::Relaxed);
        };
        let remember = |result| told.lock().expect("no panic").push(result);
        let context =
            RunContext { clock: &clock, progress: &progress, partial: Some(&remember), ..context() };
        let watched = engine.run(&plan, &context).expect("an answer");
        assert_eq!(render::data(&watched), render::data(&whole), "looking changes nothing");

        let told = told.into_inner().expect("no panic");
        assert!(told.len() >= 5, "{spec}: told {} times", told.len());
        let count = |result: &skein_query::QueryResult| -> i64 {
            let data = render::data(result);
            let entries = data[counted].as_array().expect("a list").iter();
            entries.map(|entry| entry["data"]["COUNT"].as_i64().unwrap_or(1)).sum()
        };
        let counts: Vec<i64> = told.iter().map(count).collect();
        assert!(counts.is_sorted() && counts.last() < Some(&60), "{spec}: {counts:?}");
        assert!(counts.contains(&50) || counts.contains(&40), "it grows by segments: {spec}: {counts:?}");
        assert!(
            told.iter().all(|result| result.meta.warnings.iter().any(|warning| warning.code == "partial"))
        );
        assert!(watched.meta.warnings.iter().all(|warning| warning.code != "partial"));
    }
}

/// What a scan of a time range hands out: of each batch, names of the rows and whether they are span events.
fn scanned(engine: &NativeEngine, time_range: TimeRange) -> Vec<Vec<String>> {
    let mut batches = Vec::new();
    let mut sink = |batch| {
        let rows = crate::flat_events(batch);
        batches.push(rows.iter().map(|row| row.text("name").expect("a name").to_owned()).collect());
        Ok(())
    };
    let environment = Environment::default_environment();
    engine.scan(&environment, &[], time_range, &context(), &mut sink).expect("a scan");
    batches
}

fn seconds(from: i64, to: i64) -> TimeRange {
    TimeRange { start_ns: (START_S + from) * 1_000_000_000, end_ns: (START_S + to) * 1_000_000_000 }
}

#[test]
fn a_range_never_cuts_a_span_from_its_events() {
    let event = |second| at(second).fixed(Fixed::AnnotationType, "span_event");
    let rows = [
        at(10).fixed(Fixed::Name, "early"),
        event(25).fixed(Fixed::Name, "of early"),
        at(20).fixed(Fixed::Name, "inside"),
        event(35).fixed(Fixed::Name, "of inside, after the range"),
        event(5).fixed(Fixed::Name, "of inside, before the range"),
        at(40).fixed(Fixed::Name, "late"),
        event(22).fixed(Fixed::Name, "of late"),
    ];
    let engine = engine(&[&rows]);
    let whole = ["inside", "of inside, after the range", "of inside, before the range"];
    assert_eq!(scanned(&engine, seconds(20, 30)), [whole]);
    assert_eq!(scanned(&engine, seconds(0, 100)).concat().len(), 7);
    // An event in the range whose span is not stays with its span.
    assert_eq!(scanned(&engine, seconds(21, 30)), Vec::<Vec<String>>::new());
}

#[test]
fn a_piece_of_an_export_never_ends_within_a_span() {
    // One event more than a piece has room for.
    let count = i64::try_from(skein_event::limits::EXPORT_BATCH_ROWS).expect("fits");
    let mut rows: Vec<Row> = (0..count).map(|n| at(n % 100).fixed(Fixed::Name, "span")).collect();
    rows.push(at(0).fixed(Fixed::Name, "event").fixed(Fixed::AnnotationType, "span_event"));
    rows.push(at(0).fixed(Fixed::Name, "event").fixed(Fixed::AnnotationType, "link"));
    rows.push(at(0).fixed(Fixed::Name, "last"));
    let batches = scanned(&engine(&[&rows]), TimeRange::ALL);
    let lengths: Vec<usize> = batches.iter().map(Vec::len).collect();
    assert_eq!(lengths, [rows.len() - 1, 1]);
    assert_eq!(batches[1], ["last"]);
}
