//! How two sides differ in a share, and whether that may be an accident, where events come in traces and stand for others.
//!
//! Events of a trace are not independent, and an event of weight 100 tells no more than one of weight 1. Both are
//! put into one number for each side, the design effect: how many times larger the variance of a share is than that of
//! as many independent events (Kish 1965; Rao and Scott 1984). Counts divided by it are effective counts, on which
//! methods for independent events work.

use std::cmp::Ordering;

use skein_query::explain::{CLUSTERS, Sums, Traces};

use super::tails::{self, Units};

/// The quantile of the normal distribution for 95 %.
const Z95: f64 = 1.959_963_984_540_054;

/// Of what a difference is one.
pub(super) struct Population<'a> {
    total: &'a Traces,
    /// Σ over traces of squared weights, of each side and of both together.
    traces: [f64; 2],
    all_traces: f64,
    /// Places that have events of each side, and of either.
    taken: [usize; 2],
    all_taken: usize,
}

/// As long as so few places are taken, hardly any has more than one trace.
const PLACES_ALONE: usize = CLUSTERS / 4;

/// Differences of so few standard errors are no news under any weighting.
const ROOT_MIN: f64 = 1.5;

/// How what is met varies where it has nothing to do with the side.
struct Modelled {
    /// Of the weight of each side that is met.
    variance: [f64; 2],
    /// The correlation of two events of a trace.
    within: f64,
    /// How many times as much single events vary as they would if what is met had the rates of all.
    of_rates: f64,
}

/// How two sides differ in a share.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Difference {
    /// The share of each side.
    pub share: [f64; 2],
    /// The selection's share less the baseline's.
    pub effect: f64,
    /// Lower end of its 95 % interval.
    pub lo95: f64,
    /// Upper end.
    pub hi95: f64,
    /// Cohen's h, 2·asin √p₁ − 2·asin √p₂: the difference on a scale on which a share near 0 or 1 counts as much as
    /// one in the middle.
    pub size: f64,
    /// How large |h| is at least (95 %): findings are ranked by it.
    pub strength: f64,
    /// The chance of such a difference where there is none.
    pub chance: f64,
    /// So many independent events each share is worth.
    pub effective: [f64; 2],
}

impl Difference {
    /// The order of findings: the stronger first, and of equally strong ones what the selection has more of. That it
    /// has less of the opposite is as strong but for rounding.
    pub(super) fn rank(&self, other: &Difference) -> Ordering {
        let rounded = |difference: &Difference| (difference.strength * 1e9).round();
        let more = |difference: &Difference| difference.effect > 0.0;
        rounded(other).total_cmp(&rounded(self)).then(more(other).cmp(&more(self)))
    }

    /// The same of the events of which it does not hold.
    #[must_use]
    pub fn of_the_rest(self) -> Difference {
        Difference {
            share: self.share.map(|share| 1.0 - share),
            effect: -self.effect,
            lo95: -self.hi95,
            hi95: -self.lo95,
            size: -self.size,
            ..self
        }
    }
}

/// Cohen's h (Statistical Power Analysis, 1988, chapter 6).
pub(crate) fn cohen_h(share: [f64; 2]) -> f64 {
    let angle = |share: f64| 2.0 * share.clamp(0.0, 1.0).sqrt().asin();
    angle(share[0]) - angle(share[1])
}

/// How far off Cohen's h may be (95 %).
pub(crate) fn margin_of_h(effective: [f64; 2]) -> f64 {
    Z95 * (1.0 / effective[0].max(f64::MIN_POSITIVE) + 1.0 / effective[1].max(f64::MIN_POSITIVE)).sqrt()
}

impl<'a> Population<'a> {
    pub(super) fn new(total: &'a Traces) -> Population<'a> {
        let squares = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
        let both = total.signed[0].iter().zip(&total.signed[1]).map(|(a, b)| a + b).collect::<Vec<f64>>();
        let traces = [squares(&total.signed[0]), squares(&total.signed[1])];
        let taken = |side: usize| total.rows[side].iter().filter(|rows| **rows > 0).count();
        let rows = total.rows[0].iter().zip(&total.rows[1]);
        Population {
            total,
            traces,
            all_traces: squares(&both),
            taken: [taken(0), taken(1)],
            all_taken: rows.filter(|(a, b)| **a + **b > 0).count(),
        }
    }

    /// Weight of all events of each side.
    pub(super) fn weight(&self) -> [f64; 2] {
        self.total.sums.tally.weight
    }

    /// How the sides differ in what `sums` counted; `None` where all events are the same.
    pub(super) fn difference(&self, sums: &Sums) -> Option<Difference> {
        let (all, some) = (&self.total.sums.tally, &sums.tally);
        let weights = all.weight;
        let pooled = (some.weight[0] + some.weight[1]) / (weights[0] + weights[1]);
        let spread = pooled * (1.0 - pooled);
        if !spread.is_finite() || spread <= 0.0 || weights.iter().any(|weight| *weight <= 0.0) {
            return None;
        }
        let modelled = self.modelled(sums, pooled);
        let mut effective = [0.0; 2];
        let mut if_none = [0.0; 2];
        for side in 0..2 {
            let share = some.weight[side] / weights[side];
            let expected = modelled.variance[side] / (spread * weights[side]);
            // Where nearly all or no events of a side are met, what is seen there tells nothing of how they vary.
            let seen = share * (1.0 - share) * weights[side];
            let observed = if seen > 0.0 { self.observed_variance(sums, side, share) / seen } else { 0.0 };
            effective[side] = weights[side] / expected.max(observed).max(f64::MIN_POSITIVE);
            // Whether there is a difference at all is asked as if there were none: how the side itself varies matters
            // to how large one is.
            if_none[side] = weights[side] / expected.max(f64::MIN_POSITIVE);
        }
        let share = [some.weight[0] / weights[0], some.weight[1] / weights[1]].map(|share| share.min(1.0));
        let (lo95, hi95) = interval(share, effective);
        let size = cohen_h(share);
        Some(Difference {
            share,
            effect: share[0] - share[1],
            lo95,
            hi95,
            size,
            strength: (size.abs() - margin_of_h(effective)).max(0.0),
            chance: self.chance(sums, share, if_none, &modelled),
            effective,
        })
    }

    /// Variance of the weight of each side that is met, where being met has nothing to do with the side: that of
    /// single events, and that of events of one trace being met together, both measured over all events.
    fn modelled(&self, sums: &Sums, pooled: f64) -> Modelled {
        let (all, some) = (&self.total.sums.tally, &sums.tally);
        let squares = all.squares[0] + all.squares[1];
        let met = some.squares[0] + some.squares[1];
        let single = ((1.0 - 2.0 * pooled) * met + pooled * pooled * squares).max(0.0);
        let of_place = |place: usize| {
            let sum = |of: &Sums| {
                of.places.iter().map(|side| side.get(place).copied().unwrap_or_default()).sum::<f64>()
            };
            sum(sums) - pooled * sum(&self.total.sums)
        };
        let by_trace: f64 = (0..CLUSTERS).map(|place| of_place(place).powi(2)).sum();
        let together = (by_trace - single).max(0.0);
        let all_pairs = self.all_traces - squares;
        let variance = [0, 1].map(|side| {
            // Pairs of events of one trace that are both of the side: never more than all pairs.
            let pairs = self.traces[side] - all.squares[side];
            let part = if all_pairs > 0.0 { (pairs / all_pairs).clamp(0.0, 1.0) } else { 0.0 };
            single * all.squares[side] / squares.max(f64::MIN_POSITIVE) + together * part
        });
        let spread = pooled * (1.0 - pooled);
        Modelled {
            variance,
            within: if all_pairs > 0.0 { (together / (all_pairs * spread)).clamp(0.0, 1.0) } else { 0.0 },
            of_rates: single / (spread * squares).max(f64::MIN_POSITIVE),
        }
    }

    /// The same as it is seen in one side alone.
    fn observed_variance(&self, sums: &Sums, side: usize, share: f64) -> f64 {
        let places = sums.places[side].iter().zip(&self.total.sums.places[side]);
        places.map(|(met, all)| (met - share * all).powi(2)).sum()
    }

    /// The chance of such a difference where there is none. Events weigh what they stand for, or less the more events
    /// their trace has, so that a long trace is not many witnesses: whichever tells more about what is met, wherever
    /// it is met.
    fn chance(&self, sums: &Sums, share: [f64; 2], if_none: [f64; 2], modelled: &Modelled) -> f64 {
        let evenly = self.weighting(sums, if_none, modelled, |_| 1.0);
        let mut best = evenly;
        if self.all_taken <= PLACES_ALONE && modelled.within > 0.0 {
            let by_trace =
                self.weighting(sums, if_none, modelled, |rows| 1.0 / (1.0 + (rows - 1.0) * modelled.within));
            if by_trace.effective() > best.effective() {
                best = by_trace;
            }
        } else if signed_root(share, if_none).abs() < ROOT_MIN {
            return 1.0;
        }
        tails::chance([&best.units[0], &best.units[1]], best.met)
    }

    /// Both sides as independent units, where an event weighs what `of` says of a trace of so many events.
    fn weighting(
        &self,
        sums: &Sums,
        if_none: [f64; 2],
        modelled: &Modelled,
        of: impl Fn(f64) -> f64,
    ) -> Weighting {
        let mut met = [0.0; 2];
        let units = [0, 1].map(|side| {
            if self.taken[side] > PLACES_ALONE {
                // Of so many traces none matters by itself.
                met[side] = sums.tally.weight[side];
                let count = if_none[side];
                return Units::gather(std::iter::once((count, self.total.sums.tally.weight[side] / count)));
            }
            let mut units = Vec::with_capacity(self.taken[side]);
            for place in 0..CLUSTERS {
                let rows = [self.total.rows[0][place], self.total.rows[1][place]].map(f64::from);
                if rows[side] == 0.0 {
                    continue;
                }
                let scale = of(rows[0] + rows[1]);
                met[side] += scale * sums.places[side][place];
                let count =
                    rows[side] / (1.0 + (rows[side] - 1.0) * modelled.within) / modelled.of_rates.max(1.0);
                units.push((count, scale * self.total.sums.places[side][place] / count));
            }
            Units::gather(units.into_iter())
        });
        Weighting { units, met }
    }
}

/// Two sides as independent units.
struct Weighting {
    units: [Units; 2],
    met: [f64; 2],
}

impl Weighting {
    /// How many units of equal weight would tell as much of a difference.
    fn effective(&self) -> f64 {
        let [a, b] = [self.units[0].effective(), self.units[1].effective()];
        1.0 / (1.0 / a.max(f64::MIN_POSITIVE) + 1.0 / b.max(f64::MIN_POSITIVE))
    }
}

/// The signed root of the likelihood ratio of two shares, with a continuity correction of half an event. Unlike the
/// difference over its standard error it is right far out and for few events (Barndorff-Nielsen and Cox 1994).
pub(crate) fn signed_root(share: [f64; 2], effective: [f64; 2]) -> f64 {
    let all = effective[0] + effective[1];
    let met = [share[0] * effective[0], share[1] * effective[1]];
    let pooled = (met[0] + met[1]) / all;
    if pooled <= 0.0 || pooled >= 1.0 || !pooled.is_finite() {
        return 0.0;
    }
    let excess = met[0] - pooled * effective[0];
    if excess.abs() <= 0.5 {
        return 0.0;
    }
    let moved = excess - 0.5 * excess.signum();
    let term = |observed: f64, expected: f64| {
        if observed > 0.0 && expected > 0.0 { observed * (observed / expected).ln() } else { 0.0 }
    };
    let mut ratio = 0.0;
    for (side, moved) in [(0, moved), (1, -moved)] {
        let expected = pooled * effective[side];
        let rest = effective[side] - expected;
        ratio += term((expected + moved).max(0.0), expected) + term((rest - moved).max(0.0), rest);
    }
    (2.0 * ratio.max(0.0)).sqrt() * excess.signum()
}

/// Newcombe's interval of a difference (Statistics in Medicine 17, 1998, method 10): of Wilson's intervals of the two
/// shares.
fn interval(share: [f64; 2], effective: [f64; 2]) -> (f64, f64) {
    let [a, b] = [wilson(share[0], effective[0]), wilson(share[1], effective[1])];
    let effect = share[0] - share[1];
    let below = ((share[0] - a.0).powi(2) + (b.1 - share[1]).powi(2)).sqrt();
    let above = ((a.1 - share[0]).powi(2) + (share[1] - b.0).powi(2)).sqrt();
    ((effect - below).max(-1.0), (effect + above).min(1.0))
}

/// Wilson's interval of a share of so many events.
pub(crate) fn wilson(share: f64, events: f64) -> (f64, f64) {
    let events = events.max(f64::MIN_POSITIVE);
    let z2 = Z95 * Z95;
    let scale = 1.0 + z2 / events;
    let middle = (share + z2 / (2.0 * events)) / scale;
    let half = Z95 / scale * (share * (1.0 - share) / events + z2 / (4.0 * events * events)).sqrt();
    if !middle.is_finite() || !half.is_finite() {
        return (0.0, 1.0);
    }
    ((middle - half).clamp(0.0, share), (middle + half).clamp(share, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::normal::tail;

    #[test]
    fn intervals_are_those_of_newcombe() {
        // Newcombe 1998, table II, method 10: 56/70 − 48/80, 9/10 − 3/10, 10/10 − 0/20.
        for (a, m, b, n, lower, upper) in [
            (56.0, 70.0, 48.0, 80.0, 0.0524, 0.3339),
            (9.0, 10.0, 3.0, 10.0, 0.1705, 0.8090),
            (10.0, 10.0, 0.0, 20.0, 0.6791, 1.0),
        ] {
            let (lo, hi) = interval([a / m, b / n], [m, n]);
            assert!((lo - lower).abs() < 6e-5 && (hi - upper).abs() < 6e-5, "{a}/{m} {b}/{n}: {lo} {hi}");
        }
    }

    #[test]
    fn far_tails_are_those_of_poisson() {
        // Nine of a hundred where nine of a million have it: the chance of nine of an expected 0.0009 is about 10⁻³³.
        let z = signed_root([0.09, 0.000_009], [100.0, 1_000_000.0]);
        let chance = tail(z).log10();
        assert!((-33.0..-26.0).contains(&chance), "{chance}");
        // One of ten, where one of a thousand is expected, is no news.
        assert!(tail(signed_root([0.1, 0.001], [10.0, 1_000.0])) > 0.005);
        assert_eq!(signed_root([0.5, 0.5], [10.0, 1_000.0]), 0.0);
        assert!(signed_root([0.0, 0.5], [100.0, 100.0]) < -8.0);
    }
}
