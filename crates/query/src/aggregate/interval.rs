//! Intervals of 95 % for what sampled events say, and when none is claimed (docs/reference/intervals.md has the formulas
//! and what was measured of them).
//!
//! What it refuses: an interval where too few traces were kept, or where the variance rests on a few of them, so that the
//! largest that were not kept may outweigh all that were. A wide interval is an answer; a wrong one is not.

use super::signed::Spread;

/// Fewer kept traces claim nothing (SEMANTICS.md, "Numbers").
pub const TRACES_MIN: u64 = 30;

/// The tail check of sums, means and formulas: the variance rests on so many traces at least ([`Spread::effective`]). Of a
/// tail without an end, the largest of a sample have most of the variance, however many there are.
pub const EFFECTIVE_MIN: f64 = 16.0;

/// Where only signed sums are known, and with them no tail: more, of which there are more then.
pub const EFFECTIVE_MIN_OF_LANES: f64 = 60.0;

/// How heavy a tail may look ([`Spread::tail`]): this, and more where the variance rests on more traces. A power law of
/// finite mean and infinite variance has 0.5 to 1, what is exponential a third.
pub const TAIL_MAX: f64 = 0.36;

/// See [`TAIL_MAX`]: so much more for each.
pub const TAIL_PER_EFFECTIVE: f64 = 1.0 / 300.0;

/// The check of percentiles, whose contributions are bounded: so many kept traces have events above it, and so many at or
/// below it.
pub const BEYOND_MIN: f64 = 10.0;

/// That no trace has nearly all of these.
pub const EFFECTIVE_MIN_PERCENTILE: f64 = 2.0;

/// Of a standard normal distribution, 97.5 % lie below.
pub const Z: f64 = 1.959_963_984_540_054;

/// A number and how what it was made of is spread.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// What of it stands for itself.
    pub certain: f64,
    /// What was drawn.
    pub spread: Spread,
}

/// The interval of a sum, of a mean or of a formula.
///
/// Where what was drawn is a multiple of its standard error, the interval is that of its logarithm: sums of what is
/// positive are skewed, and are the smaller the smaller their estimated variance. Otherwise it is symmetrical.
pub fn of_estimate(estimate: Estimate) -> Option<(f64, f64)> {
    let Estimate { value, certain, spread } = estimate;
    let margin = student(freedom(spread)) * spread.variance.sqrt();
    let drawn = value - certain;
    let is_sure = spread.units >= TRACES_MIN && is_light(spread);
    // Where contributions cancel, nothing or what was rounded off is left: no variance was seen, which is not to say that
    // there is none.
    let is_seen = margin > drawn.abs() * 1e-9;
    if !is_sure || !value.is_finite() || !margin.is_finite() || !is_seen {
        return None;
    }
    if drawn.abs() > margin {
        let factor = (margin / drawn.abs()).exp();
        let (near, far) = (certain + drawn / factor, certain + drawn * factor);
        return Some((near.min(far), near.max(far)));
    }
    Some((value - margin, value + margin))
}

/// The shares of the whole weight between which a percentile's own share lies, as Woodruff (JASA 47, 1952) has it: the
/// values at these are the interval of the percentile. `weight` is the whole weight, the spread that of the weight at or
/// below the percentile less its share of the whole.
///
/// `beyond` is how many units have events above the percentile, or at or below it, whichever is less.
pub fn of_share(share: f64, weight: f64, spread: Spread, beyond: f64) -> Option<(f64, f64)> {
    let variance = spread.variance / (weight * weight);
    let is_sure =
        spread.units >= TRACES_MIN && beyond >= BEYOND_MIN && spread.effective >= EFFECTIVE_MIN_PERCENTILE;
    // As many independent events would have this variance.
    let events = share * (1.0 - share) / variance;
    if !is_sure || !events.is_finite() || events <= 0.0 {
        return None;
    }
    // On the scale of log odds, so that it stays between 0 and 1.
    let margin = student(freedom(spread)) / (share * (1.0 - share) * events).sqrt();
    let odds = (share / (1.0 - share)).ln();
    let share_of = |odds: f64| 1.0 / (1.0 + (-odds).exp());
    Some((share_of(odds - margin), share_of(odds + margin)))
}

/// The tail check of sums.
pub(super) fn is_light(spread: Spread) -> bool {
    let Spread { effective, tail, .. } = spread;
    let is_light = match tail {
        Some(tail) => effective >= EFFECTIVE_MIN && tail <= TAIL_MAX + effective * TAIL_PER_EFFECTIVE,
        None => effective >= EFFECTIVE_MIN_OF_LANES,
    };
    is_light && spread.is_light
}

/// Degrees of freedom of an estimated variance (Satterthwaite 1946): as many as a sum of as many squares of normal numbers
/// would have that varies as much, and signed sums have their own.
fn freedom(spread: Spread) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a number of traces")]
    let units = spread.units.max(2) as f64;
    let of_units = 2.0 / (1.0 / spread.effective - 1.0 / units).max(2.0 / (units - 1.0));
    match spread.lanes {
        Some(lanes) => 1.0 / (1.0 / of_units + 1.0 / lanes),
        None => of_units,
    }
}

/// The quantile of Student's distribution below which 97.5 % lie, by Fisher's expansion around the normal one
/// (Abramowitz and Stegun 26.7.5): within 0.3 % from five degrees of freedom on.
fn student(freedom: f64) -> f64 {
    let n = freedom.max(3.0);
    let [z, z3, z5, z7] = [1, 3, 5, 7].map(|power| Z.powi(power));
    Z + (z3 + z) / (4.0 * n)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * n.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * n.powi(3))
}

/// So many events of one kind, each kept with a probability of at least 1/`weight_max`, are missed altogether with a
/// chance of 5 % at most: the rule of three.
pub fn unseen_max(weight_max: f64) -> f64 {
    3.0 * weight_max
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(units: u32, of_each: f64) -> Spread {
        Spread::of_units((0..units).map(|_| of_each))
    }

    #[test]
    fn quantiles_of_student_are_those_of_the_tables() {
        for (freedom, quantile) in [(5.0, 2.570_6), (10.0, 2.228_1), (30.0, 2.042_3), (120.0, 1.979_9)] {
            let found = student(freedom);
            assert!((found / quantile - 1.0).abs() < 0.003, "{freedom}: {found}");
        }
    }

    #[test]
    fn fewer_than_thirty_traces_claim_nothing() {
        let estimate = |units: u32| Estimate {
            value: 10.0 * f64::from(units),
            certain: 0.0,
            spread: spread(units, 90.0_f64.sqrt()),
        };
        assert_eq!(of_estimate(estimate(29)), None);
        let interval = of_estimate(estimate(30));
        assert!(
            interval.is_some_and(|(low, high)| low > 200.0 && low < 230.0 && high > 390.0 && high < 450.0)
        );
        assert_eq!(of_share(0.5, 290.0, spread(29, 4.0), 14.0), None);
        assert!(of_share(0.5, 300.0, spread(30, 4.0), 14.0).is_some());
    }

    #[test]
    fn what_rests_on_a_few_traces_claims_nothing() {
        let contributions = |large: f64| (0..300_u32).map(move |place| if place < 5 { large } else { 1.0 });
        let of = |large: f64| {
            let spread = Spread::of_units(contributions(large));
            of_estimate(Estimate { value: 3_000.0, certain: 0.0, spread })
        };
        assert!(of(1.0).is_some() && of(2.0).is_some());
        assert_eq!(of(40.0), None);
        // Those that have the variance are alike, so that there is no tail to be seen.
        let of = |large: u32| {
            let spread = Spread::of_units((0..30).map(|place| if place < large { 10.0 } else { 0.1 }));
            of_estimate(Estimate { value: 300.0, certain: 0.0, spread })
        };
        assert!(of(20).is_some());
        assert_eq!(of(12), None);
    }

    #[test]
    fn a_tail_of_a_power_law_claims_nothing() {
        // The quantiles of the distributions.
        let places = || (0..300_u32).map(|place| (f64::from(place) + 0.5) / 300.0);
        let of = |contributions: Vec<f64>| {
            let value = contributions.iter().sum();
            let spread = Spread::of_units(contributions.into_iter());
            of_estimate(Estimate { value, certain: 0.0, spread })
        };
        assert!(of(places().map(|place| -place.ln()).collect()).is_some(), "exponential");
        assert_eq!(of(places().map(|place| place.powf(-1.0 / 1.5)).collect()), None);
        // The largest are cut off, and it is a power law still.
        assert_eq!(of(places().map(|place| place.max(0.02).powf(-1.0 / 1.5)).collect()), None);
    }

    #[test]
    fn what_is_certain_is_not_spread() {
        let spread = spread(100, 9.5);
        let interval = |certain: f64| {
            of_estimate(Estimate { value: 1_000.0 + certain, certain, spread }).expect("an interval")
        };
        let (low, high) = interval(0.0);
        let (low_of_more, high_of_more) = interval(1e6);
        assert!(low > 800.0 && low < 850.0 && high > 1_150.0 && high < 1_250.0, "{low} {high}");
        assert!((low_of_more - 1e6 - low).abs() < 1e-6 && (high_of_more - 1e6 - high).abs() < 1e-6);
    }

    #[test]
    fn what_may_be_of_either_sign_has_a_symmetrical_interval() {
        let spread = spread(100, 9.5);
        let interval = of_estimate(Estimate { value: 10.0, certain: 0.0, spread });
        assert!(interval.is_some_and(|(low, high)| (low + high - 20.0).abs() < 1e-9 && low < 0.0));
    }

    #[test]
    fn a_percentile_near_the_end_of_what_was_seen_has_none() {
        // Independent events: 1[x ≤ Q] − q of each.
        let of = |events: u32, share: f64| {
            let above = (f64::from(events) * (1.0 - share)).round();
            let contribution = move |place: u32| {
                let at_or_below = if f64::from(place) < above { 0.0 } else { 1.0 };
                10.0 * (at_or_below - share)
            };
            let spread = Spread::of_units((0..events).map(contribution));
            of_share(share, 10.0 * f64::from(events), spread, above)
        };
        assert_eq!(of(900, 0.99), None);
        let (low, high) = of(2_000, 0.99).expect("an interval");
        assert!(low > 0.98 && low < 0.986 && high > 0.993 && high < 0.9955, "{low} {high}");
        let (low, high) = of(2_000, 0.5).expect("an interval");
        assert!((low - 0.478).abs() < 0.002 && (high - 0.522).abs() < 0.002, "{low} {high}");
    }
}
