//! What is counted for an explanation, over small segments; random ones are compared with the reference in sim.

use serde_json::json;
use skein_event::Fixed;
use skein_event::ids::Environment;
use skein_event::value::Value;
use skein_query::explain::{Condition, Counts, Passes};
use skein_query::{QueryEngine as _, QueryError, spec};

use super::build::{Fixture, Row, START_S, at, colliding_segment, context, engine, segment_bytes};
use crate::NativeEngine;

/// Calls with the counts of what the filter `side = s` selects, against the rest.
fn explained<T>(engine: &NativeEngine, mut look: impl FnMut(&mut dyn Passes, &Counts) -> T) -> T {
    let request = json!({"selection": {
        "filters": [{"column": "side", "op": "=", "value": "s"}],
        "start_time": START_S, "end_time": START_S + 7_200}});
    let plan = spec::explain(&request, &Environment::default_environment(), 0).expect("a plan");
    let mut seen = None;
    let mut analyst = |passes: &mut dyn Passes| -> Result<(), QueryError> {
        let counts = passes.counts()?;
        seen = Some(look(passes, &counts));
        Ok(())
    };
    engine.explain(&plan, &context(), &mut analyst).expect("counts");
    seen.expect("the analyst was asked")
}

fn row(second: i64, side: &str, value: &str) -> Row {
    at(second).with("side", side).with("v", value)
}

#[test]
fn values_that_share_a_hash_are_explained_apart() {
    let rows = [row(0, "s", "a"), row(1, "s", "b"), row(2, "o", "b"), row(3, "o", "b")];
    let segments = vec![std::sync::Arc::new(colliding_segment(&rows, 0))];
    let engine = NativeEngine::new(std::sync::Arc::new(Fixture { segments }));
    explained(&engine, |passes, counts| {
        let column = counts.columns.iter().position(|column| &*column.name == "v").expect("a column");
        let [(key, _)] = counts.columns[column].values.as_slice() else { panic!("{counts:?}") };
        let value = passes.value(column, *key).expect("a value");
        assert_eq!(value, Some(Value::Text("a".to_owned())));
        let clusters = passes.clusters(&[Condition::Value { column, key: *key }]).expect("sums");
        // One has the first of the values of this hash, whatever the others have.
        assert_eq!(clusters.met[0].tally.rows, [1, 0]);
    });
}

/// Events of several segments, with a sample rate of so many.
fn sampled(rates: i64) -> Vec<std::sync::Arc<skein_store::segment::Segment>> {
    let row = |n: i64| {
        let side = if n % 5 == 0 { "s" } else { "o" };
        let event = row(n % 7_000, side, if n % 3 == 0 { "a" } else { "b" });
        let event = event.with("size", (n * 7_919 % 1_009) as f64 * 0.1 + 1e9 / (n + 1) as f64);
        let event = if n % 4 == 0 { event.with("level", n % 40) } else { event };
        let trace = format!("{:032x}", n / 6 + 1);
        event.fixed(Fixed::TraceId, trace.as_str()).fixed(Fixed::SampleRate, 1.0 + (n % rates) as f64 / 3.0)
    };
    let open = |list: u64| {
        let first = list as i64 * 3_000;
        let rows: Vec<Row> = (first..first + 3_000).map(row).collect();
        std::sync::Arc::new(skein_store::segment::Segment::open(segment_bytes(&rows, list)).expect("opens"))
    };
    (0..4).map(open).collect()
}

#[test]
fn any_number_of_threads_counts_the_same() {
    for rates in [1, 3, 40] {
        let shelf = std::sync::Arc::new(Fixture { segments: sampled(rates) });
        let counted = |threads| {
            let engine = NativeEngine::with_threads(std::sync::Arc::<Fixture>::clone(&shelf), threads, 1_024);
            explained(&engine, |passes, counts| {
                let place = |name: &str| {
                    counts.columns.iter().position(|column| &*column.name == name).expect("a column")
                };
                let mut conditions = vec![Condition::Exists { column: place("level") }];
                let column = place("v");
                let values = counts.columns[column].values.iter();
                conditions.extend(values.map(|(key, _)| Condition::Value { column, key: *key }));
                let column = place("size");
                let (from, _) = counts.columns[column].cells[10];
                conditions.push(Condition::Range { column, from: Some(from), to: None });
                let clusters = passes.clusters(&conditions).expect("sums");
                let overlaps = passes.overlaps(&conditions, &[(0, 1), (1, 3)]).expect("overlaps");
                (counts.clone(), clusters, overlaps)
            })
        };
        let alone = counted(1);
        for threads in [2, 3, 8] {
            assert!(counted(threads) == alone, "{rates} rates on {threads} threads");
        }
    }
}

#[test]
fn events_stand_for_what_their_rates_say_however_many_there_are() {
    for rates in [1, 2, 7, 8, 40] {
        let engine = NativeEngine::new(std::sync::Arc::new(Fixture { segments: sampled(rates) }));
        explained(&engine, |passes, counts| {
            let column = counts.columns.iter().position(|column| &*column.name == "v").expect("a column");
            let (key, first) = counts.columns[column].values[0];
            let is_a = passes.value(column, key).expect("a value") == Some(Value::Text("a".to_owned()));
            let mut expected = skein_query::explain::Tally::default();
            for n in (0..12_000_i64).filter(|n| (n % 3 == 0) == is_a) {
                expected.add(usize::from(n % 5 != 0), 1.0 + (n % rates) as f64 / 3.0);
            }
            let clusters = passes.clusters(&[Condition::Value { column, key }]).expect("sums");
            for found in [first, clusters.met[0].tally] {
                assert_eq!(found.rows, expected.rows, "{rates} rates");
                let near = |a: [f64; 2], b: [f64; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * b);
                assert!(
                    near(found.weight, expected.weight) && near(found.squares, expected.squares),
                    "{rates} rates"
                );
            }
        });
    }
}

#[test]
fn what_the_question_asks_about_explains_nothing() {
    let rows = [
        row(0, "s", "a").service("cart").fixed(Fixed::Error, true).fixed(Fixed::StatusCode, 2_i64),
        row(1, "o", "b").service("cart").fixed(Fixed::Error, false),
    ];
    explained(&engine(&[&rows]), |_, counts| {
        let names: Vec<&str> = counts.columns.iter().map(|column| &*column.name).collect();
        assert_eq!(names, ["dataset", "error", "service.name", "status_code", "v"]);
    });
}

#[test]
fn events_of_a_trace_share_a_place_over_segments() {
    let of_trace = |second: i64, trace: &str| {
        row(second, if second % 2 == 0 { "s" } else { "o" }, "a").fixed(Fixed::TraceId, trace)
    };
    let (one, two) = ("0af7651916cd43dd8448eb211c80319c", "1af7651916cd43dd8448eb211c80319d");
    let segments: [&[Row]; 2] =
        [&[of_trace(0, one), of_trace(2, one), of_trace(4, two)], &[of_trace(6, one), of_trace(7, two)]];
    explained(&engine(&segments), |passes, _| {
        let clusters = passes.clusters(&[]).expect("sums");
        let squares = |side: usize| clusters.total.signed[side].iter().map(|sum| sum * sum).sum::<f64>();
        assert_eq!((squares(0), squares(1)), (9.0 + 1.0, 1.0));
        let mut rows = clusters.total.rows[0].iter().filter(|rows| **rows > 0).collect::<Vec<_>>();
        rows.sort_unstable();
        assert_eq!(rows, [&1, &3]);
        assert_eq!((clusters.total.traces(0), clusters.total.traces(1)), (2.0, 1.0));
    });
    // An event without a trace is one of its own.
    let alone = [row(0, "s", "a"), row(2, "s", "a"), row(3, "o", "a")];
    explained(&engine(&[&alone]), |passes, _| {
        assert_eq!(passes.clusters(&[]).expect("sums").total.traces(0), 2.0);
    });
}

#[test]
fn a_selection_needs_something_to_compare_with() {
    let environment = Environment::default_environment();
    let refused = |request: serde_json::Value| {
        let error = spec::explain(&request, &environment, 0).expect_err("refused");
        format!("{:?}", error.location())
    };
    for (request, path) in [
        (json!({}), ""),
        (json!({"selection": {}}), "/selection"),
        (json!({"selection": {"filter": []}}), "/selection/filter"),
        (json!({"selection": {"rect": {"lo": 1}}}), "/selection/rect"),
        (json!({"selection": {"rect": {"column": "a", "lo": 2, "hi": 2}}}), "/selection/rect"),
        (json!({"selection": {"rect": {"column": "root.a", "lo": 2}}}), "/selection/rect/column"),
        (
            json!({"selection": {"start_time": 5, "end_time": 9, "rect": {"column": "a", "end_time": 5}}}),
            "/selection/rect",
        ),
        (json!({"selection": {"filters": [{"column": "a", "op": "exists"}]}, "limit": 65}), "/limit"),
        (
            json!({"selection": {"filters": [{"column": "a", "op": "exists"}]}, "columns": ["root.a"]}),
            "/columns/0",
        ),
        (json!({"selection": {}, "baseline": {"rect": {}}}), "/baseline/rect"),
    ] {
        let found = refused(request.clone());
        assert!(found.contains(&format!("\"{path}\"")), "{request}: {found}");
    }
}
