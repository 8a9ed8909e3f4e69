//! Small shops over twenty buckets, in which it is known who is slow, who fails and who only waits; and random ones, of
//! which nothing must be said, or anything that is a number. No snapshots: what matters is who is named.

use std::sync::Arc;

use proptest::prelude::*;
use skein_event::value::Value;
use skein_query::result::{Cell, CellValue, GroupRow, Groups, SeriesRow, Stats};

use super::{FAILURE_MS, Finding, Kind, Unusual, unusual};

const STEP_NS: i64 = 30_000_000_000;

/// Caller, called, and for each bucket calls, milliseconds a call and failures.
type Calls<'a> = (Option<(&'a str, &'a str)>, (&'a str, &'a str), Vec<(f64, f64, f64)>);

fn asked(edges: &[Calls<'_>]) -> Unusual {
    let cell = |value: f64| Cell { value: CellValue::F64(value), stats: Stats::default() };
    let cells =
        |calls: f64, ms: f64, failed: f64| vec![cell(calls), cell(calls * ms), cell(ms * 3.0), cell(failed)];
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let mut groups = Groups { series: Some(Vec::new()), ..Groups::default() };
    for (group, (parent, (service, name), buckets)) in edges.iter().enumerate() {
        let key = vec![
            parent.and_then(|(service, _)| text(service)),
            parent.and_then(|(_, name)| text(name)),
            text(service),
            text(name),
        ];
        let calls = buckets.iter().map(|(calls, _, _)| calls).sum();
        let longest = buckets.iter().map(|(_, ms, _)| *ms).fold(0.0, f64::max);
        groups.results.push(GroupRow { key, cells: cells(calls, longest, 0.0) });
        for (bucket, &(calls, ms, failed)) in buckets.iter().enumerate() {
            let time_ns = i64::try_from(bucket).unwrap_or_default() * STEP_NS;
            groups.series.get_or_insert_default().push(SeriesRow {
                time_ns,
                group,
                cells: cells(calls, ms, failed),
            });
        }
    }
    unusual(&groups, STEP_NS, 10)
}

/// Twenty buckets, unusual from the eighth to before the thirteenth.
fn over_time(usual: (f64, f64, f64), unusual: (f64, f64, f64)) -> Vec<(f64, f64, f64)> {
    // No two buckets are alike, as it is.
    (0..20_u8)
        .map(|bucket| {
            let (calls, ms, failed) = if (8..13).contains(&bucket) { unusual } else { usual };
            (calls, ms * (1.0 + f64::from(bucket % 3) * 0.04), failed)
        })
        .collect()
}

fn first(unusual: &Unusual) -> &Finding {
    unusual.findings.first().expect("something is unusual")
}

/// A shop: the gateway waits for the catalog, which asks its database.
fn shop(usual_ms: f64, unusual_ms: f64) -> Vec<Calls<'static>> {
    let over = |more: f64| over_time((50.0, usual_ms + more, 0.0), (50.0, unusual_ms + more, 0.0));
    vec![
        (None, ("gateway", "GET /search"), over(4.0)),
        (Some(("gateway", "GET /search")), ("gateway", "call catalog"), over(3.0)),
        (Some(("gateway", "call catalog")), ("catalog", "search"), over(2.0)),
        (Some(("catalog", "search")), ("catalog", "SELECT"), over(0.0)),
        (None, ("gateway", "GET /cart"), over_time((50.0, 9.0, 0.0), (50.0, 9.0, 0.0))),
    ]
}

#[test]
fn who_waits_is_not_who_is_slow() {
    let unusual = asked(&shop(10.0, 900.0));
    assert_eq!(unusual.operations, 3);
    let finding = first(&unusual);
    assert_eq!((&*finding.operation.service, &*finding.operation.name), ("catalog", "search"));
    assert_eq!((finding.kind, finding.mostly.as_deref()), (Kind::Slower, Some("SELECT")));
    assert_eq!((finding.start_ns, finding.end_ns), (8 * STEP_NS, 13 * STEP_NS));
    assert!(!finding.ongoing);
    assert!(finding.slow_ms > 20.0 && finding.slow_ms < 800.0, "{}", finding.slow_ms);
    assert!((finding.extra_ms / (5.0 * 50.0 * 890.0) - 1.0).abs() < 0.1, "{}", finding.extra_ms);
    // The gateway waits and is not named: its own time is a millisecond as before.
    assert_eq!(unusual.findings.len(), 1);
}

#[test]
fn who_fails_because_another_failed_is_not_named() {
    let usual = (40.0, 10.0, 0.0);
    let failing = over_time(usual, (40.0, 10.0, 20.0));
    let unusual = asked(&[
        (None, ("gateway", "POST /cart"), failing.clone()),
        (Some(("gateway", "POST /cart")), ("cart", "add"), failing),
        (None, ("gateway", "GET /"), over_time(usual, usual)),
    ]);
    let finding = first(&unusual);
    assert_eq!((&*finding.operation.service, finding.kind), ("cart", Kind::Failing));
    assert!((finding.within.failed - 0.5).abs() < 1e-9 && finding.before.failed == 0.0);
    assert!((finding.extra_failures - 100.0).abs() < 1e-6);
    assert_eq!(unusual.findings.len(), 1);
}

#[test]
fn what_hurts_most_comes_first() {
    let mut edges = shop(10.0, 900.0);
    edges.push((None, ("cart", "add"), over_time((50.0, 5.0, 0.0), (50.0, 5.0, 10.0))));
    let unusual = asked(&edges);
    let kinds: Vec<Kind> = unusual.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::Slower, Kind::Failing]);
    let failing = unusual.findings.get(1).expect("two findings");
    assert!(failing.extra_failures * FAILURE_MS < first(&unusual).extra_ms);
}

#[test]
fn what_goes_on_says_so() {
    let mut edges = shop(10.0, 900.0);
    for (_, _, buckets) in &mut edges {
        buckets.truncate(13);
    }
    assert!(first(&asked(&edges)).ongoing);
}

#[test]
fn few_calls_are_joined_until_they_say_something() {
    let rare = |ms: f64| over_time((3.0, 10.0, 0.0), (3.0, ms, 0.0));
    let finding = asked(&[(None, ("batch", "run"), rare(400.0))]);
    assert_eq!(&*first(&finding).operation.name, "run");
    assert!(asked(&[(None, ("batch", "run"), rare(10.0))]).findings.is_empty());
}

#[test]
fn circles_of_calls_end() {
    let same = over_time((20.0, 10.0, 0.0), (20.0, 10.0, 0.0));
    let (a, b) = (("one", "a"), ("one", "b"));
    let unusual = asked(&[(Some(b), a, same.clone()), (Some(a), b, same.clone()), (Some(a), a, same)]);
    assert!(unusual.findings.is_empty());
}

#[test]
fn nothing_says_nothing() {
    assert_eq!(asked(&[]), Unusual::default());
    let one = vec![(10.0, 5.0, 0.0)];
    assert!(asked(&[(None, ("a", "b"), one)]).findings.is_empty());
}

proptest! {
    /// Noise around one mean is no finding, however many operations there are.
    #[test]
    fn even_noise_is_not_unusual(rates in prop::collection::vec((5.0..60.0_f64, 0.9..1.2_f64, 0..2_u8), 60)) {
        let edges: Vec<Calls<'_>> = rates
            .chunks(20)
            .map(|buckets| (None, ("a", "b"), buckets.iter().map(|&(calls, noise, failed)| (calls.round(), 10.0 * noise, f64::from(failed) * 0.2)).collect()))
            .collect();
        for edge in edges {
            prop_assert!(asked(&[edge]).findings.is_empty());
        }
    }

    /// Whatever calls whom, and however often, it ends and its numbers are numbers.
    #[test]
    fn any_calls_have_an_answer(edges in prop::collection::vec((prop::option::of((0..4_u8, 0..4_u8)), (0..4_u8, 0..4_u8), prop::collection::vec((0.0..1e6_f64, 0.0..1e6_f64, 0.0..1e6_f64), 0..12)), 0..12)) {
        let names = ["", "a", "b", "c"];
        let named = |(service, name): (u8, u8)| (names[usize::from(service)], names[usize::from(name)]);
        let edges: Vec<Calls<'_>> = edges.into_iter().map(|(parent, of, buckets)| (parent.map(named), named(of), buckets)).collect();
        for finding in asked(&edges).findings {
            let all = [finding.extra_ms, finding.extra_failures, finding.slow_ms, finding.score, finding.within.own_ms, finding.before.own_ms];
            prop_assert!(all.iter().all(|number| number.is_finite()), "{finding:?}");
            prop_assert!(finding.start_ns < finding.end_ns);
            let _: Arc<str> = finding.operation.service;
        }
    }
}
