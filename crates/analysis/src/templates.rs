//! What became of templates since a baseline: which are new, vanished, or more or less frequent than before, and how sure
//! that is (docs/reference/templates.md).
//!
//! What it refuses: to call new what may have been missed by chance; over all templates their false discovery rate
//! decides.

use skein_query::templates::{Collector, Counted, Mined, Template, mine};

use crate::explain::FALSE_DISCOVERY_RATE;
use crate::explain::normal::tail;
use crate::explain::rates::rates;

/// The quantile for 95 % of Student's t with as many degrees of freedom as a variance has signed sums.
const T95: f64 = 2.119_905;

/// The quantile of the normal distribution for 95 %.
const Z95: f64 = 1.959_963_984_540_054;

/// The templates of some events.
#[derive(Clone, Debug)]
pub struct Templates {
    /// Without a baseline the most frequent first, else what changed most surely.
    pub templates: Vec<Judged>,
    /// Templates beyond the limit.
    pub omitted: Omitted,
}

/// What is not shown one by one.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Omitted {
    /// Templates.
    pub templates: usize,
    /// Weight of their texts, and of those that are of no template: now and in the baseline.
    pub weight: [f64; 2],
}

/// A template with what became of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The template.
    pub template: Template,
    /// Compared with the baseline, if there is one.
    pub change: Option<Change>,
}

/// What became of a template.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Change {
    /// In a word.
    pub kind: ChangeKind,
    /// How many times as frequent as in the baseline; `None` where it was not there.
    pub ratio: Option<f64>,
    /// Lower end of its 95 % interval; of what is new, of what the ratio may have been.
    pub lo95: Option<f64>,
    /// Upper end.
    pub hi95: Option<f64>,
    /// Whether this is more than chance, over all templates.
    pub sure: bool,
}

/// In a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeKind {
    /// Not in the baseline.
    New,
    /// In the baseline alone.
    Vanished,
    /// Surely more or less frequent.
    Multiplied,
    /// Neither.
    Steady,
}

/// Mines templates and says what became of them. `seconds` are the lengths of the ranges of time: now, and of the baseline
/// if there is one.
pub fn templates(collector: Collector, seconds: [f64; 2], has_baseline: bool, limit: usize) -> Templates {
    let Mined { templates, other, left_out } = mine(collector);
    let mut judged: Vec<(Judged, f64)> = if has_baseline {
        let tested: Vec<Tested> = templates.iter().map(|template| test(&template.counted, seconds)).collect();
        let chances: Vec<f64> = tested.iter().map(|tested| tested.chance).collect();
        let rates = rates(&chances, chances.len());
        let judge = |((template, tested), rate): ((Template, Tested), f64)| {
            let sure = rate <= FALSE_DISCOVERY_RATE;
            let change = Change { sure, kind: kind(&template.counted, sure), ..tested.change };
            let score = if sure { tested.strength } else { 0.0 };
            (Judged { template, change: Some(change) }, score)
        };
        templates.into_iter().zip(tested).zip(rates).map(judge).collect()
    } else {
        templates.into_iter().map(|template| (Judged { template, change: None }, 0.0)).collect()
    };
    let rank = |score: f64| (score * 1e9).round();
    // Those of equal score stay in their order: the most frequent first.
    judged.sort_by(|(_, a), (_, b)| rank(*b).total_cmp(&rank(*a)));
    let weights = |counted: &[Counted; 2]| [counted[0].weight, counted[1].weight];
    let mut omitted = Omitted { templates: left_out, weight: weights(&other) };
    for (beyond, _) in judged.drain(limit.min(judged.len())..) {
        omitted.templates += 1;
        omitted.weight.iter_mut().zip(weights(&beyond.template.counted)).for_each(|(sum, more)| *sum += more);
    }
    Templates { templates: judged.into_iter().map(|(judged, _)| judged).collect(), omitted }
}

fn kind(counted: &[Counted; 2], sure: bool) -> ChangeKind {
    match (counted[0].rows, counted[1].rows) {
        (_, 0) => ChangeKind::New,
        (0, _) => ChangeKind::Vanished,
        _ if sure => ChangeKind::Multiplied,
        _ => ChangeKind::Steady,
    }
}

struct Tested {
    change: Change,
    chance: f64,
    /// How large the logarithm of the ratio is at least.
    strength: f64,
}

/// Compares how often a template came. Its traces are taken to come by chance and independently.
fn test(counted: &[Counted; 2], seconds: [f64; 2]) -> Tested {
    let [now, before] = counted;
    let change = Change { kind: ChangeKind::Steady, ratio: None, lo95: None, hi95: None, sure: false };
    if now.weight <= 0.0 && before.weight <= 0.0 {
        return Tested { change, chance: 1.0, strength: 0.0 };
    }
    if now.weight <= 0.0 || before.weight <= 0.0 {
        let is_new = before.weight <= 0.0;
        let (one, own, others) =
            if is_new { (now, seconds[0], seconds[1]) } else { (before, seconds[1], seconds[0]) };
        // So many independent events; at most three of them would not have been seen ("rule of three").
        let events = independent(one);
        let times = ends(one).0 / one.weight * events / 3.0 * (others / own);
        // All of them fell into one of two ranges.
        let chance = 2.0 * (own / (own + others)).powf(events);
        let change = if is_new {
            Change { lo95: Some(times), ..change }
        } else {
            Change { ratio: Some(0.0), lo95: Some(0.0), hi95: Some(1.0 / times), ..change }
        };
        return Tested { change, chance: chance.min(1.0), strength: times.ln().max(0.0) };
    }
    let ratio = now.weight / seconds[0] / (before.weight / seconds[1]);
    let (of_now, of_before) = (ends(now), ends(before));
    // By the method of variance estimates recovery, on the scale of logarithms.
    let below = ((now.weight / of_now.0).ln().powi(2) + (of_before.1 / before.weight).ln().powi(2)).sqrt();
    let above = ((of_now.1 / now.weight).ln().powi(2) + (before.weight / of_before.0).ln().powi(2)).sqrt();
    let ends = (ratio * (-below).exp(), ratio * above.exp());
    let change = Change { ratio: Some(ratio), lo95: Some(ends.0), hi95: Some(ends.1), ..change };
    let size = ratio.ln();
    let margin = if size > 0.0 { below } else { above };
    let chance = (2.0 * tail(Z95 * size.abs() / margin.max(f64::MIN_POSITIVE))).min(1.0);
    Tested { change, chance, strength: (size.abs() - margin).max(0.0) }
}

/// So many independent events a count is worth, at least one.
fn independent(counted: &Counted) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    let rows = counted.rows as f64;
    (counted.weight * counted.weight / counted.variance().max(f64::MIN_POSITIVE)).clamp(1.0, rows.max(1.0))
}

/// The ends of a count's interval: Byar's of a Poisson number (Breslow and Day 1987, page 69) of independent events, which
/// holds for few of them as well.
fn ends(counted: &Counted) -> (f64, f64) {
    let events = independent(counted);
    let of_one = counted.weight / events;
    let cube = |events: f64, side: f64| {
        events * (1.0 - 1.0 / (9.0 * events) + side * T95 / (3.0 * events.sqrt())).powi(3)
    };
    (of_one * cube(events, -1.0).max(1e-3), of_one * cube(events + 1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use skein_event::hash::HashKey;
    use skein_query::templates::Occurrence;

    use super::*;

    /// Counts so many events of a text, several to a trace.
    fn write(collector: &mut Collector, text: &str, earlier: bool, count: u64, per_trace: u64) {
        let shape = collector.shape(text);
        for number in 0..count {
            let trace = format!("{text}{earlier}{}", number / per_trace);
            let cluster = HashKey(1).hash(trace.as_bytes());
            collector.count(shape, Occurrence { earlier, weight: 1.0, time_ns: number as i64, cluster });
        }
    }

    fn judged(write_all: impl Fn(&mut Collector)) -> Vec<(String, ChangeKind, bool)> {
        let mut collector = Collector::default();
        write_all(&mut collector);
        let found = templates(collector, [60.0, 60.0], true, 100);
        let shown = |judged: &Judged| {
            let change = judged.change.unwrap();
            (judged.template.text.clone(), change.kind, change.sure)
        };
        found.templates.iter().map(shown).collect()
    }

    #[test]
    fn what_is_new_vanished_and_multiplied_comes_first() {
        let found = judged(|collector| {
            for earlier in [false, true] {
                write(collector, "all is well here", earlier, 5_000, 1);
                write(collector, "one more order placed", earlier, 800, 1);
            }
            write(collector, "upstream refused", false, 40, 1);
            write(collector, "cache warmed up", true, 300, 1);
            write(collector, "retrying soon", false, 500, 1);
            write(collector, "retrying soon", true, 50, 1);
        });
        let expected = [
            ("cache warmed up", ChangeKind::Vanished, true),
            ("upstream refused", ChangeKind::New, true),
            ("retrying soon", ChangeKind::Multiplied, true),
            ("all is well here", ChangeKind::Steady, false),
            ("one more order placed", ChangeKind::Steady, false),
        ];
        assert_eq!(found.len(), expected.len());
        for (text, kind, sure) in expected {
            let of_it = found.iter().find(|(found, ..)| found == text).unwrap_or_else(|| panic!("{found:?}"));
            assert_eq!((of_it.1, of_it.2), (kind, sure), "{text}");
        }
        assert!(found[3..].iter().all(|(.., sure)| !sure), "{found:?}");
    }

    #[test]
    fn one_trace_that_says_it_often_multiplies_nothing() {
        let found = judged(|collector| {
            write(collector, "in a loop", false, 400, 400);
            write(collector, "in a loop", true, 20, 1);
            write(collector, "only once", false, 1, 1);
        });
        assert!(found.iter().all(|(.., sure)| !sure), "{found:?}");
    }

    #[test]
    fn ratios_are_of_rates() {
        let mut collector = Collector::default();
        write(&mut collector, "tick", false, 600, 1);
        write(&mut collector, "tick", true, 6_000, 1);
        let found = templates(collector, [60.0, 600.0], true, 1);
        let change = found.templates[0].change.unwrap();
        assert!(
            (change.ratio.unwrap() - 1.0).abs() < 1e-9 && change.kind == ChangeKind::Steady,
            "{change:?}"
        );
        assert!(change.lo95.unwrap() < 1.0 && change.hi95.unwrap() > 1.0);
    }
}
