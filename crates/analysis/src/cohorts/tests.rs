//! Planted differences are found, none is found where there is none, and intervals hold what they say.

use skein_event::hash::HashKey;
use skein_event::value::Value;
use skein_query::cohorts::{Below, Cluster, Cohort, Cohorts, Operation, Seen, Tally};
use skein_query::result::Meta;

use super::{Compared, Estimate, Status, compare};

/// Numbers that are the same in every run.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> f64 {
        self.0 = HashKey(11).hash(&self.0.to_le_bytes());
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (a, b) = (self.next(), self.next());
        (-2.0 * a.ln()).sqrt() * (2.0 * std::f64::consts::PI * b).cos()
    }
}

/// What an operation does.
#[derive(Clone, Copy)]
struct Behaviour {
    traces: f64,
    /// Events of a trace, on average; geometric.
    events: f64,
    median_ms: f64,
    errors: f64,
    /// One in so many traces is kept.
    rate: f64,
}

const USUAL: Behaviour = Behaviour { traces: 300.0, events: 3.0, median_ms: 20.0, errors: 0.05, rate: 1.0 };

/// The events of a time in which traces come by chance. Those of one share half of what makes them slow, and fail together.
fn events(draw: &mut Draw, of: Behaviour) -> Vec<Seen> {
    let mut seen = Vec::new();
    // Poisson by exponential gaps.
    let mut at = -draw.next().ln() / of.traces;
    while at < 1.0 {
        at -= draw.next().ln() / of.traces;
        let cluster = Cluster::of_hash(draw.next().to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (slow, fails) = (draw.normal(), draw.next() < of.errors);
        let kept = draw.next() * of.rate < 1.0;
        loop {
            let duration = of.median_ms * (0.5 * slow + 0.5 * draw.normal()).exp();
            if kept {
                seen.push(Seen { weight: of.rate, failed: fails, duration_ms: Some(duration), cluster });
            }
            if draw.next() * of.events < 1.0 {
                break;
            }
        }
    }
    seen
}

fn cohort(events: &[Seen]) -> Option<Cohort> {
    let mut tally = Tally::default();
    events.iter().for_each(|seen| tally.add(*seen));
    let mut cohort = tally.finish();
    let mut below = Below::default();
    events.iter().for_each(|seen| below.add(*seen, cohort.percentiles));
    below.finish(&mut cohort);
    (!events.is_empty()).then_some(cohort)
}

fn cohorts(operations: Vec<(&str, [Vec<Seen>; 2])>) -> Cohorts {
    let all = |side: usize| {
        let mut tally = Tally::default();
        operations.iter().flat_map(|(_, sides)| &sides[side]).for_each(|seen| tally.add(*seen));
        tally.finish()
    };
    Cohorts {
        totals: [all(0), all(1)],
        operations: operations
            .iter()
            .map(|(name, [a, b])| Operation {
                key: vec![Some(Value::Text((*name).to_owned()))],
                sides: [cohort(a), cohort(b)],
            })
            .collect(),
        meta: Meta::default(),
    }
}

const MINUTE: [f64; 2] = [60.0, 60.0];

fn name(compared: &Compared) -> &str {
    match compared.key.first() {
        Some(Some(Value::Text(name))) => name,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_differs_is_first_and_says_in_what() {
    let mut draw = Draw(1);
    let mut pair = |a: Behaviour, b: Behaviour| [events(&mut draw, a), events(&mut draw, b)];
    let slower = Behaviour { median_ms: 60.0, ..USUAL };
    let failing = Behaviour { errors: 0.4, ..USUAL };
    let nothing = Behaviour { traces: 1e-9, ..USUAL };
    let found = compare(
        &cohorts(vec![
            ("same", pair(USUAL, USUAL)),
            ("slower", pair(USUAL, slower)),
            ("failing", pair(USUAL, failing)),
            ("new", pair(nothing, USUAL)),
            ("gone", pair(USUAL, nothing)),
            ("also the same", pair(USUAL, USUAL)),
        ]),
        MINUTE,
        100,
    );
    let by_name = |wanted: &str| found.operations.iter().find(|op| name(op) == wanted).unwrap();
    let (slower, failing) = (by_name("slower"), by_name("failing"));
    assert!(slower.p50.sure && slower.p99.sure && !slower.errors.sure, "{slower:?}");
    let ratio = slower.p50.ratio.unwrap();
    assert!((2.5..3.6).contains(&ratio), "{ratio}");
    assert!(failing.errors.sure && !failing.p50.sure, "{failing:?}");
    assert_eq!((by_name("new").status, by_name("gone").status), (Status::New, Status::Vanished));
    assert!(by_name("new").rate.sure && by_name("gone").rate.sure);
    assert_eq!(by_name("gone").rate.sides[1].map(|rate| rate.value), Some(0.0));
    let last: Vec<&str> = found.operations[4..].iter().map(name).collect();
    assert!(last.contains(&"same") && last.contains(&"also the same"), "{last:?}");
    assert_eq!(found.operations[5].score, 0.0);
    let few = compare(&cohorts(vec![("a", pair(USUAL, USUAL)), ("b", pair(USUAL, USUAL))]), MINUTE, 1);
    assert_eq!((few.operations.len(), few.omitted), (1, 1));
}

#[test]
fn a_cohort_with_more_of_everything_is_led_by_what_does_not_follow() {
    let mut draw = Draw(2);
    let larger = |times: f64| Behaviour { traces: 300.0 * times, ..USUAL };
    let mut pair = |times: f64| [events(&mut draw, USUAL), events(&mut draw, larger(times))];
    let found = compare(
        &cohorts(vec![
            ("b", pair(5.0)),
            ("c", pair(5.0)),
            ("as before", pair(1.0)),
            ("d", pair(5.0)),
            ("e", pair(5.0)),
        ]),
        MINUTE,
        100,
    );
    assert_eq!(name(&found.operations[0]), "as before", "everything else rose");
    assert!(found.operations[1..].iter().all(|operation| operation.rate.sure), "each rate did rise");
}

#[test]
fn nothing_is_sure_where_nothing_differs() {
    let mut wrong = 0;
    for seed in 0..200 {
        let mut draw = Draw(1_000 + seed);
        let rate = if seed % 2 == 0 { 1.0 } else { 10.0 };
        let of = Behaviour { traces: 100.0 * rate, rate, ..USUAL };
        let mut pair = || [events(&mut draw, of), events(&mut draw, of)];
        let operations = vec![("a", pair()), ("b", pair()), ("c", pair()), ("d", pair()), ("e", pair())];
        let found = compare(&cohorts(operations), MINUTE, 100);
        wrong += usize::from(found.operations.iter().any(|operation| operation.score > 0.0));
    }
    assert!(wrong <= 10, "{wrong} of 200 comparisons of equals found a difference");
}

fn holds(estimate: Option<Estimate>, truth: f64) -> Option<bool> {
    let Estimate { lo95, hi95, .. } = estimate?;
    if lo95.is_none() && hi95.is_none() {
        return None;
    }
    Some(lo95.is_none_or(|lo| lo <= truth) && hi95.is_none_or(|hi| truth <= hi))
}

/// How often each interval holds what is true, in so many trials with traces that vary in size.
fn coverage(traces: f64, rate: f64, trials: u64) -> Vec<(&'static str, f64, f64)> {
    let of = Behaviour { traces: traces * rate, rate, ..USUAL };
    let other = Behaviour { median_ms: 30.0, errors: 0.15, ..of };
    // The true values, from very many.
    let truth = |of: Behaviour| {
        let many = Behaviour { traces: 200_000.0, rate: 1.0, ..of };
        let cohort = cohort(&events(&mut Draw(77), many)).unwrap();
        [
            of.traces * of.events / 60.0,
            of.errors,
            cohort.percentiles[0].unwrap(),
            cohort.percentiles[1].unwrap(),
        ]
    };
    let (a, b) = (truth(of), truth(other));
    let mut counts = [(0_u64, 0_u64); 4];
    for trial in 0..trials {
        let mut draw = Draw(traces.to_bits() ^ rate.to_bits().rotate_left(9) ^ trial);
        let pair = [events(&mut draw, of), events(&mut draw, other)];
        let found = compare(&cohorts(vec![("x", pair)]), MINUTE, 1);
        let Some(found) = found.operations.first() else { continue };
        for (place, measure) in [found.rate, found.errors, found.p50, found.p99].into_iter().enumerate() {
            let difference = holds(measure.difference, b[place] - a[place]);
            let of_side = holds(measure.sides[0], a[place]);
            for held in [difference, of_side].into_iter().flatten() {
                counts[place].0 += 1;
                counts[place].1 += u64::from(held);
            }
        }
    }
    let share =
        |(said, held): (u64, u64)| (held as f64 / said.max(1) as f64, said as f64 / (2 * trials) as f64);
    ["rate", "errors", "p50", "p99"]
        .into_iter()
        .zip(counts.map(share))
        .map(|(name, (held, said))| (name, held, said))
        .collect()
}

#[test]
fn intervals_hold_what_they_say() {
    let mut table = String::new();
    let mut least = 1.0_f64;
    for traces in [5.0, 30.0, 100.0, 300.0] {
        for rate in [1.0, 10.0] {
            for (name, held, said) in coverage(traces, rate, 300) {
                table += &format!(
                    "{traces:>4} traces, rate {rate:>2}: {name:<6} {:.1} % of {:.0} %\n",
                    held * 100.0,
                    said * 100.0
                );
                if said > 0.05 {
                    least = least.min(held);
                }
            }
        }
    }
    println!("{table}");
    // 93 of 100, less the standard error of 600 cases.
    assert!(least >= 0.92, "{table}");
}
