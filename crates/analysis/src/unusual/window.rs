//! The stretch of time in which a rate is higher than elsewhere, if there is one.

use super::SCORE_MIN;

/// Buckets elsewhere that there must be at least, so that there is something to compare with.
const ELSEWHERE_MIN: usize = 3;

/// A stretch of buckets, both ends included.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Window {
    pub(super) first: usize,
    pub(super) last: usize,
    /// Standard errors between the stretch and the rest.
    pub(super) score: f64,
}

impl Window {
    /// Sum of the buckets inside, or of the others.
    pub(super) fn sum(&self, series: &[f64], inside: bool) -> f64 {
        let within = |at: usize| (self.first..=self.last).contains(&at);
        series.iter().enumerate().filter(|(at, _)| within(*at) == inside).map(|(_, value)| value).sum()
    }
}

/// How much a rate varies by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Noise {
    /// As the rates of buckets elsewhere do.
    Spread,
    /// As numbers of rare things do (Poisson).
    Counts,
}

/// The stretch with most of `what` beyond what its calls would have at a usual rate and a margin: the greatest sum of
/// neighbours (Kadane). Usual is the rate of the lower quarter, so that three quarters of the range may be unusual.
/// `None` unless the stretch and the rest are [`SCORE_MIN`] standard errors apart.
pub(super) fn window(
    calls: &[f64],
    what: &[f64],
    margin: impl Fn(f64) -> f64,
    noise: Noise,
) -> Option<Window> {
    let mut rates: Vec<f64> =
        calls.iter().zip(what).filter(|(calls, _)| **calls > 0.0).map(|(calls, what)| what / calls).collect();
    rates.sort_by(f64::total_cmp);
    let usual = *rates.get(rates.len() / 4)?;
    let bound = usual + margin(usual);
    let (mut best, mut sum, mut first) = (None, 0.0, 0);
    for (at, (calls, what)) in calls.iter().zip(what).enumerate() {
        if sum <= 0.0 {
            (sum, first) = (0.0, at);
        }
        sum += what - bound * calls;
        if sum > 0.0 && best.is_none_or(|(most, _, _)| sum > most) {
            best = Some((sum, first, at));
        }
    }
    let (_, first, last) = best?;
    let mut window = Window { first, last, score: 0.0 };
    let elsewhere: Vec<(f64, f64)> = calls
        .iter()
        .zip(what)
        .enumerate()
        .filter(|(at, (calls, _))| !(first..=last).contains(at) && **calls > 0.0)
        .map(|(_, (calls, what))| (*calls, *what))
        .collect();
    if elsewhere.len() < ELSEWHERE_MIN {
        return None;
    }
    let (inside, outside) = (window.sum(calls, true), window.sum(calls, false));
    let (rate_inside, rate_outside) = (window.sum(what, true) / inside, window.sum(what, false) / outside);
    // A stretch that is above the lower quarter only is not above the rest.
    if rate_inside < rate_outside + margin(rate_outside) {
        return None;
    }
    window.score = match noise {
        Noise::Counts => {
            let expected = rate_outside.max(0.0) * inside;
            (window.sum(what, true) - expected) / (expected + 1.0).sqrt()
        }
        Noise::Spread => {
            // By calls: what a bucket's rate deviates by shrinks with the root of its calls.
            let squares: f64 =
                elsewhere.iter().map(|(calls, what)| calls * (what / calls - rate_outside).powi(2)).sum();
            #[expect(clippy::cast_precision_loss, reason = "some hundred buckets")]
            let variance = squares / (elsewhere.len() - 1) as f64;
            // Never surer than a twentieth of the margin: equal durations have no spread at all.
            let least = 0.05 * margin(rate_outside);
            let error = (variance * (1.0 / inside + 1.0 / outside)).sqrt().max(least);
            (rate_inside - rate_outside) / error
        }
    };
    (window.score >= SCORE_MIN).then_some(window)
}
