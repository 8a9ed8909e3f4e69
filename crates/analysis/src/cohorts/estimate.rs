//! One number of one cohort, with its 95 % interval.
//!
//! Traces are taken to come by chance and independently, so that a variance is a sum over traces of squares: it holds what
//! sampling left out and what another hour of the same would have brought. Methods for independent events work on
//! effective numbers: as many independent events as the traces are worth.

use skein_query::cohorts::Cohort;

use crate::explain::difference::wilson;

/// The quantile of the normal distribution for 95 %.
pub(super) const Z95: f64 = 1.959_963_984_540_054;

/// Fewer traces tell nothing reliable once events were sampled (SEMANTICS.md, "Numbers").
const TRACES_MIN_SAMPLED: f64 = 30.0;

/// Where all events were kept, fewer tell nothing of how traces vary.
const TRACES_MIN: f64 = 10.0;

/// The chance that a number lies beyond all that was seen, beyond which an interval has no end there.
const BEYOND: f64 = 0.025;

/// A number with its interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Lower end; `None`: it cannot be said.
    pub lo95: Option<f64>,
    /// Upper end.
    pub hi95: Option<f64>,
}

impl Estimate {
    fn without_interval(value: f64) -> Estimate {
        Estimate { value, lo95: None, hi95: None }
    }
}

/// Whether intervals of a cohort may be relied on.
pub(super) fn is_reliable(cohort: &Cohort) -> bool {
    cohort.traces.round() >= if cohort.sampled { TRACES_MIN_SAMPLED } else { TRACES_MIN }
}

/// Standard error of the weight, as a part of it.
pub(super) fn relative_error(cohort: &Cohort) -> f64 {
    if cohort.weight > 0.0 { cohort.variance.sqrt() / cohort.weight } else { 0.0 }
}

/// So many independent events the traces of a cohort are worth: each trace once, if all are alike.
pub(super) fn independent(cohort: &Cohort) -> f64 {
    (cohort.weight * cohort.weight / cohort.variance.max(f64::MIN_POSITIVE)).min(rows(cohort))
}

fn rows(cohort: &Cohort) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    let rows = cohort.rows as f64;
    rows
}

/// Events a second. Log-normal, since a rate is never negative and its error grows with it.
pub(super) fn rate(cohort: &Cohort, seconds: f64) -> Estimate {
    let value = cohort.weight / seconds;
    if !is_reliable(cohort) {
        return Estimate::without_interval(value);
    }
    let factor = (Z95 * relative_error(cohort)).exp();
    Estimate { value, lo95: Some(value / factor), hi95: Some(value * factor) }
}

/// The rate where nothing was seen: below three events of the other cohort ("rule of three", spec/sampling.md §6.1).
pub(super) fn no_rate(other: &Cohort, seconds: f64) -> Estimate {
    let of_one = other.weight / independent(other).max(1.0);
    Estimate { value: 0.0, lo95: Some(0.0), hi95: Some(3.0 * of_one / seconds) }
}

/// The share of events that failed, and so many independent events it is worth.
pub(super) fn errors(cohort: &Cohort) -> (f64, f64) {
    if cohort.weight <= 0.0 {
        return (0.0, 0.0);
    }
    let share = (cohort.failed / cohort.weight).clamp(0.0, 1.0);
    let variance = cohort.failed_variance / (cohort.weight * cohort.weight);
    let events = effective(share, variance, cohort);
    // How few failures lie in traces is told by few traces, too.
    let few = events * share.min(1.0 - share) < FAILURES_TO_VARY;
    (share, if few { events.min(independent(cohort)) } else { events })
}

/// Fewer traces tell too little of how they vary: each counts once, as if its events were all alike.
const TRACES_TO_VARY: f64 = 100.0;

/// As [`TRACES_TO_VARY`], of independent events that failed, or that did not.
const FAILURES_TO_VARY: f64 = 20.0;

/// As many independent events as a share with a variance is worth.
fn effective(share: f64, variance: f64, cohort: &Cohort) -> f64 {
    let spread = share * (1.0 - share);
    if spread <= 0.0 || variance <= 0.0 {
        // All or none: nothing is seen of how traces vary.
        return independent(cohort);
    }
    let seen = (spread / variance).min(rows(cohort));
    if cohort.traces < TRACES_TO_VARY { seen.min(independent(cohort)) } else { seen }
}

/// The share of errors with Wilson's interval.
pub(super) fn error_share(cohort: &Cohort) -> Estimate {
    let (value, events) = errors(cohort);
    if !is_reliable(cohort) {
        return Estimate::without_interval(value);
    }
    let (lo, hi) = wilson(value, events);
    Estimate { value, lo95: Some(lo), hi95: Some(hi) }
}

/// A percentile with Woodruff's interval (Journal of the American Statistical Association 47, 1952): the values at the
/// ends of the interval of the share below it.
pub(super) fn percentile(cohort: &Cohort, number: usize, thousandths: u16) -> Option<Estimate> {
    let value = cohort.percentiles.get(number).copied().flatten()?;
    if !is_reliable(cohort) {
        return Some(Estimate::without_interval(value));
    }
    let wanted = f64::from(thousandths) / 1_000.0;
    let below = cohort.below.get(number).copied().unwrap_or_default();
    let events = effective(wanted, below.variance, cohort);
    let (lo, hi) = wilson(wanted, events);
    let at = |share: f64| {
        // In thousandths, away from the percentile.
        let outward = if share < wanted { (share * 1_000.0).floor() } else { (share * 1_000.0).ceil() };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000")]
        let thousandths = outward.clamp(1.0, 1_000.0) as u16;
        cohort.durations.quantile(thousandths)
    };
    // With so few events the percentile may lie beyond all of them.
    let (none_below, none_above) = ((1.0 - wanted).powf(events), wanted.powf(events));
    Some(Estimate {
        value,
        lo95: if none_below > BEYOND { None } else { at(lo).map(|lo| lo.min(value)) },
        hi95: if none_above > BEYOND { None } else { at(hi).map(|hi| hi.max(value)) },
    })
}

/// The second less the first, by the method of variance estimates recovery: the interval that follows from those of both
/// (Zou and Donner, Statistics in Medicine 27, 2008; Newcombe's for shares).
pub(super) fn difference(a: Estimate, b: Estimate) -> Estimate {
    let value = b.value - a.value;
    let end = |of_b: Option<f64>, of_a: Option<f64>| {
        Some(((b.value - of_b?).powi(2) + (of_a? - a.value).powi(2)).sqrt())
    };
    Estimate {
        value,
        lo95: end(b.lo95, a.hi95).map(|below| value - below),
        hi95: end(b.hi95, a.lo95).map(|above| value + above),
    }
}
