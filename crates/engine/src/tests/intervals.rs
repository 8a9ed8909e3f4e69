//! What answers over sampled events say of themselves: docs/reference/intervals.md.

use serde_json::{Value as Json, json};
use skein_event::Fixed;

use super::build::{Row, at, data, engine, warnings};
use crate::NativeEngine;

/// The id of a trace.
fn trace(number: u64) -> String {
    format!("{:016x}{number:016x}", 0x00aa_u64)
}

/// So many spans of a trace, of a weight.
fn spans(number: u64, count: i64, weight: f64) -> Vec<Row> {
    let span = |place: i64| {
        at(i64::try_from(number).unwrap_or(0) % 3_000 + place)
            .service("cart")
            .fixed(Fixed::TraceId, trace(number).as_str())
            .fixed(Fixed::SampleRate, weight)
            .with("v", place + 1)
            .fixed(Fixed::Error, place == 0)
    };
    (0..count).map(span).collect()
}

fn stats(engine: &NativeEngine, spec: Json, name: &str) -> Json {
    data(engine, spec)["results"][0]["stats"][name].clone()
}

fn count(engine: &NativeEngine) -> Json {
    stats(engine, json!({}), "COUNT")
}

fn between(stats: &Json, low: (f64, f64), high: (f64, f64)) -> bool {
    let end = |name: &str| stats[name].as_f64().unwrap_or(f64::NAN);
    let within = |value: f64, (least, most): (f64, f64)| least <= value && value <= most;
    within(end("lo95"), low) && within(end("hi95"), high)
}

/// Sixty traces of five spans stand for three thousand spans, give or take a quarter and more. Spans by themselves would
/// claim an eighth.
#[test]
fn spans_of_a_trace_are_drawn_together() {
    let rows: Vec<Row> = (0..60).flat_map(|number| spans(number, 5, 10.0)).collect();
    let (early, late) = rows.split_at(137);
    let engine = engine(&[early, late]);
    let found = count(&engine);
    assert_eq!(
        (&found["exact"], &found["n_traces"], &found["reliable"]),
        (&json!(false), &json!(60), &json!(true))
    );
    // The standard error is √(60·90·25) = 367.
    assert!(between(&found, (2_300.0, 2_400.0), (3_800.0, 3_900.0)), "{found}");
    let answer = data(&engine, json!({"breakdowns": ["v"], "limit": 1}));
    for part in ["total", "other"] {
        let stats = &answer[format!("{part}_stats")]["COUNT"];
        assert_eq!((&stats["n_traces"], &stats["reliable"]), (&json!(60), &json!(true)), "{part}");
    }
    assert_eq!(answer["results"][0]["stats"]["COUNT"]["n_traces"], 60);
}

#[test]
fn events_drawn_by_themselves_are_independent() {
    let by_itself = |row: Row| row.fixed(Fixed::SamplingUnit, "event");
    let rows: Vec<Row> = (0..60).flat_map(|number| spans(number, 5, 10.0)).map(by_itself).collect();
    let found = count(&engine(&[&rows]));
    assert_eq!(found["n_traces"], json!(300));
    // √(300·90) = 164.
    assert!(between(&found, (2_600.0, 2_760.0), (3_260.0, 3_430.0)), "{found}");
    // So are those without a trace.
    let rows: Vec<Row> = (0..300).map(|second| at(second).fixed(Fixed::SampleRate, 10.0)).collect();
    let alone = count(&engine(&[&rows[..100], &rows[100..]]));
    assert_eq!(alone["n_traces"], json!(300));
    assert!(between(&alone, (2_600.0, 2_760.0), (3_260.0, 3_430.0)), "{alone}");
}

#[test]
fn what_stands_for_itself_adds_no_variance() {
    let sampled: Vec<Row> = (0..60).flat_map(|number| spans(number, 5, 10.0)).collect();
    let certain: Vec<Row> = (100..400).flat_map(|number| spans(number, 5, 1.0)).collect();
    let all: Vec<Row> = sampled.iter().chain(&certain).cloned().collect();
    let (few, more) = (count(&engine(&[&sampled])), count(&engine(&[&all])));
    for end in ["lo95", "hi95"] {
        let (few, more) = (few[end].as_f64().expect("an end"), more[end].as_f64().expect("an end"));
        assert!((more - few - 1_500.0).abs() < 1e-6, "{end}: {few} {more}");
    }
    assert_eq!(more["n_traces"], json!(60), "traces that were drawn");
    let exact = count(&engine(&[&certain]));
    assert_eq!(exact, json!({"lo95": 1500, "hi95": 1500, "exact": true, "n_traces": null, "reliable": true}));
    let ignored = stats(&engine(&[&all]), json!({"usage_mode": true}), "COUNT");
    assert_eq!(ignored["exact"], json!(true));
}

#[test]
fn thirty_traces_are_needed_for_a_claim() {
    for (traces, reliable) in [(29, false), (30, true)] {
        let rows: Vec<Row> = (0..traces).flat_map(|number| spans(number, 3, 4.0)).collect();
        let engine = engine(&[&rows]);
        for name in ["COUNT", "AVG(v)", "P50(v)", "COUNT_DISTINCT(v)"] {
            let spec = json!({"calculations": [{"op": "COUNT"}, {"op": "AVG", "column": "v"},
                {"op": "P50", "column": "v"}, {"op": "COUNT_DISTINCT", "column": "v"}]});
            let found = stats(&engine, spec, name);
            // All traces have the same mean: nothing is known of how it varies.
            let claims = reliable && name != "AVG(v)";
            assert_eq!(found["reliable"], json!(claims), "{traces} {name} {found}");
            assert_eq!(found["lo95"].is_null(), !claims, "{traces} {name} {found}");
            assert_eq!(found["n_traces"], json!(traces), "{name}");
        }
        let few = warnings(&engine, json!({})).contains(&"few_traces");
        assert_eq!(few, !reliable);
    }
}

#[test]
fn what_was_kept_for_no_known_probability_is_not_exact() {
    let rows = |inclusion: &str, weight: f64| -> Vec<Row> {
        let rows = (0..60).flat_map(|number| spans(number, 5, weight));
        rows.map(|row| row.fixed(Fixed::SamplingInclusion, inclusion)).collect()
    };
    for weight in [1.0, 10.0] {
        let unknown = count(&engine(&[&rows("unknown", weight)]));
        assert_eq!((&unknown["exact"], &unknown["reliable"]), (&json!(false), &json!(false)), "{weight}");
        assert!(unknown["lo95"].is_null() && unknown["hi95"].is_null(), "{unknown}");
        let engine = engine(&[&rows("certainty", weight)]);
        assert_eq!(data(&engine, json!({}))["results"][0]["data"]["COUNT"], 300, "a stratum of its own");
        assert_eq!(count(&engine)["exact"], json!(true));
    }
    // One is enough.
    let mut mixed = rows("probability", 10.0);
    mixed.extend(spans(99, 1, 10.0).into_iter().map(|row| row.fixed(Fixed::SamplingInclusion, "unknown")));
    assert_eq!(count(&engine(&[&mixed]))["reliable"], json!(false));
    assert_eq!(count(&engine(&[&mixed[..300]]))["reliable"], json!(true));
}

/// Of traces of one to five spans, the first of which fails: what a trace contributes to both counts is not independent.
#[test]
fn a_ratio_has_the_variance_of_a_ratio() {
    let len = |number: u64| i64::try_from(number % 5).unwrap_or(0) + 1;
    let rows: Vec<Row> = (0..100).flat_map(|number| spans(number, len(number), 10.0)).collect();
    let spec = |expression: &str| {
        json!({"calculations": [
            {"op": "COUNT", "name": "all"},
            {"op": "COUNT", "name": "failed", "filters": [{"column": "error", "op": "=", "value": true}]}],
            "formulas": [{"name": "f", "expression": expression}]})
    };
    let engine = engine(&[&rows]);
    let found = stats(&engine, spec("DIV($failed, $all)"), "f");
    assert_eq!(found["reliable"], json!(true), "{found}");
    // √(Σ 90·(1 − n/3)²) / 3000: each of the 100 traces has one failure and n spans, a third on average.
    let error = (90.0 * 20.0 * (4.0 + 1.0 + 0.0 + 1.0 + 4.0) / 9.0_f64).sqrt() / 3_000.0;
    let factor = (2.0 * error * 3.0).exp();
    let (low, high) = (1.0 / 3.0 / factor, factor / 3.0);
    assert!(
        between(&found, (low * 0.995, low * 1.005), (high * 0.995, high * 1.005)),
        "{found} {low} {high}"
    );
    assert_eq!(found["n_traces"], json!(100));
    // What bends has no linear part.
    let bent = stats(&engine, spec("IF(GTE($all, 3000), 1, 0)"), "f");
    assert_eq!((&bent["reliable"], &bent["lo95"]), (&json!(false), &Json::Null));
}

#[test]
fn a_count_of_nothing_says_how_much_there_may_be() {
    let rows: Vec<Row> =
        (0..60).flat_map(|number| spans(number, 2, if number < 30 { 4.0 } else { 20.0 })).collect();
    let engine_of = |rows: &[Row]| engine(&[rows]);
    let missing = json!({"filters": [{"column": "v", "op": ">", "value": 50}]});
    let found = stats(&engine_of(&rows), missing.clone(), "COUNT");
    assert_eq!(found, json!({"lo95": 0, "hi95": 60, "exact": false, "n_traces": 60, "reliable": true}));
    let few = stats(&engine_of(&rows[..40]), missing.clone(), "COUNT");
    assert_eq!(few, json!({"lo95": null, "hi95": null, "exact": false, "n_traces": 20, "reliable": false}));
    let certain: Vec<Row> = (0..60).flat_map(|number| spans(number, 2, 1.0)).collect();
    let exact = stats(&engine_of(&certain), missing.clone(), "COUNT");
    assert_eq!(exact, json!({"lo95": 0, "hi95": 0, "exact": true, "n_traces": null, "reliable": true}));
    // Of the range that was searched, and of no other.
    let mut spec = missing;
    spec["start_time"] = json!(super::build::START_S + 7_000);
    spec["end_time"] = json!(super::build::START_S + 7_100);
    assert_eq!(stats(&engine_of(&rows), spec, "COUNT")["exact"], json!(true));
    // A COUNT with filters of its own, beside one that has events.
    let own = json!({"calculations": [{"op": "COUNT"}, {"op": "COUNT", "name": "none",
        "filters": [{"column": "v", "op": ">", "value": 50}]}], "granularity": 7_200});
    let answer = data(&engine_of(&rows), own);
    for stats in [&answer["results"][0]["stats"], &answer["series"][0]["stats"], &answer["total_stats"]] {
        assert_eq!(stats["none"]["hi95"], json!(60));
        assert_eq!(stats["COUNT"]["n_traces"], json!(60));
    }
}

#[test]
fn the_least_and_the_largest_are_of_what_was_kept() {
    let rows: Vec<Row> = (0..60).flat_map(|number| spans(number, 5, 10.0)).collect();
    let spec = json!({"calculations": [{"op": "MAX", "column": "v"}]});
    let found = stats(&engine(&[&rows]), spec.clone(), "MAX(v)");
    assert_eq!(
        (&found["exact"], &found["reliable"], &found["hi95"]),
        (&json!(false), &json!(false), &Json::Null)
    );
    assert!(warnings(&engine(&[&rows]), spec.clone()).contains(&"observed_only"));
    let certain: Vec<Row> = (0..60).flat_map(|number| spans(number, 5, 1.0)).collect();
    assert!(!warnings(&engine(&[&certain]), spec).contains(&"observed_only"));
}

/// A part of a population of traces is kept, each by its number; what is true of it lies within the intervals as often as
/// they say, about: through segments, blocks and parts.
#[test]
fn intervals_of_the_engine_hold_what_is_true() {
    let len = |number: u64| i64::try_from(number * 7 % 5).unwrap_or(0) + 1;
    let (mut claims, mut held) = (0, 0);
    for seed in 0..40_u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        let mixed = |number: u64| {
            let mut mixed = (seed << 32 | number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        let kept: Vec<u64> = (0..800).filter(|&number| mixed(number).is_multiple_of(4)).collect();
        let rows: Vec<Row> = kept.into_iter().flat_map(|number| spans(number, len(number), 4.0)).collect();
        let (early, late) = rows.split_at(rows.len() / 3);
        let engine = engine(&[early, late]);
        let answer = data(
            &engine,
            json!({"calculations": [{"op": "COUNT"}, {"op": "SUM", "column": "v"},
            {"op": "AVG", "column": "v"}]}),
        );
        let of = &answer["results"][0]["stats"];
        // Of 160 traces each: 1, 3, 5, 2 and 4 spans.
        let lens = [1.0, 2.0, 3.0, 4.0, 5.0];
        let spans: f64 = lens.iter().sum::<f64>() * 160.0;
        let sum: f64 = lens.iter().map(|len| len * (len + 1.0) / 2.0).sum::<f64>() * 160.0;
        for (name, truth) in [("COUNT", spans), ("SUM(v)", sum), ("AVG(v)", sum / spans)] {
            let (low, high) = (of[name]["lo95"].as_f64(), of[name]["hi95"].as_f64());
            if let (Some(low), Some(high)) = (low, high) {
                claims += 1;
                held += i32::from(low <= truth && truth <= high);
            }
        }
    }
    assert_eq!(claims, 120);
    assert!(held >= 108, "{held} of {claims}");
}
