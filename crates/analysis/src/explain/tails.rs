//! How likely two sides differ so much by accident, where each side is a number of independent units of unequal weight.
//!
//! Given how much of both sides together is met, each side is tilted to what it has: the double saddlepoint
//! approximation of the conditional tail (Skovgaard, Journal of Applied Probability 24, 1987), in the lattice form with
//! the first correction for continuity and with x! by Gosper's √(2π(x + 1/6))·(x/e)^x, so that it holds for a single
//! unit, too. With units of equal weight it is the hypergeometric tail of Fisher's exact test, to a few percent; with
//! unequal ones it knows that a heavy unit may do by itself what takes several light ones.

use super::normal::tail;

/// Units by weight: how many, which need not be whole, and what each weighs.
#[derive(Clone, Debug, Default)]
pub(super) struct Units(Vec<(f64, f64)>);

/// A side as it is, seen from how likely that is.
#[derive(Clone, Copy, Debug)]
struct Tilt {
    /// The parameter that makes what is there the expectation.
    at: f64,
    /// The logarithm of how unlikely it is.
    exponent: f64,
    variance: f64,
    /// What a unit weighs that is met.
    step: f64,
    /// Units that are met.
    units: f64,
}

/// So near to none or all of a side, nothing is left to tilt.
const EDGE: f64 = 1e-9;

const STEPS: u32 = 100;

/// Rounds of finding the share of both sides: with units of equal weight the first is the last.
const ROUNDS: u32 = 12;

impl Units {
    /// Adds units. What weighs nearly the same is put together, with the same sum and the same sum of squares.
    pub(super) fn gather(units: impl Iterator<Item = (f64, f64)>) -> Units {
        // Quarters of a power of two: exponent and two bits of the digits.
        const DROPPED_BITS: u32 = 50;
        let mut bins: std::collections::BTreeMap<u64, (f64, f64)> = std::collections::BTreeMap::new();
        for (count, weight) in units.filter(|(count, weight)| *count > 0.0 && *weight > 0.0) {
            let sums = bins.entry(weight.to_bits() >> DROPPED_BITS).or_default();
            sums.0 += count * weight;
            sums.1 += count * weight * weight;
        }
        Units(bins.values().map(|(sum, squares)| (sum * sum / squares, squares / sum)).collect())
    }

    pub(super) fn weight(&self) -> f64 {
        self.0.iter().map(|(count, weight)| count * weight).sum()
    }

    pub(super) fn squares(&self) -> f64 {
        self.0.iter().map(|(count, weight)| count * weight * weight).sum()
    }

    /// As many of equal weight as would vary as much.
    pub(super) fn effective(&self) -> f64 {
        self.weight().powi(2) / self.squares().max(f64::MIN_POSITIVE)
    }

    fn tilt(&self, share: f64, met: f64) -> Tilt {
        let (all, rest) = (self.weight(), 1.0 - share);
        let step = |chance: &dyn Fn(f64) -> f64| {
            let sum = |power: i32| -> f64 {
                self.0.iter().map(|(count, weight)| count * weight.powi(power) * chance(*weight)).sum()
            };
            sum(2) / sum(1).max(f64::MIN_POSITIVE)
        };
        let edge = |at: f64, chance: f64, units: f64| {
            let exponent = -self.count() * chance.ln();
            Tilt { at, exponent, variance: 0.0, step: step(&|_| 1.0), units }
        };
        if met <= EDGE * all {
            return edge(f64::NEG_INFINITY, rest, 0.0);
        }
        if met >= (1.0 - EDGE) * all {
            return edge(f64::INFINITY, share, self.count());
        }
        // p·eʸ/(q + p·eʸ)
        let chance = |at: f64, weight: f64| share / (share + rest * (-at * weight).exp());
        let moments = |at: f64| {
            self.0.iter().fold((0.0, 0.0), |(mean, variance), (count, weight)| {
                let chance = chance(at, *weight);
                (mean + count * weight * chance, variance + count * weight * weight * chance * (1.0 - chance))
            })
        };
        let mut width = all / self.squares().max(f64::MIN_POSITIVE);
        let sign = if met > share * all { 1.0 } else { -1.0 };
        for _ in 0..STEPS {
            if sign * (moments(sign * width).0 - met) >= 0.0 {
                break;
            }
            width *= 2.0;
        }
        let (mut low, mut high) = if sign > 0.0 { (0.0, width) } else { (-width, 0.0) };
        let mut at = 0.0;
        for _ in 0..STEPS {
            let (mean, variance) = moments(at);
            if mean > met {
                high = at
            } else {
                low = at
            }
            if (mean - met).abs() <= 1e-12 * all {
                break;
            }
            let newton = at - (mean - met) / variance;
            at = if low < newton && newton < high { newton } else { f64::midpoint(low, high) };
        }
        // ln(q + p·eʸ), without eʸ where it is large.
        let logarithm = |y: f64| {
            if y > 0.0 { y + (share + rest * (-y).exp()).ln() } else { (rest + share * y.exp()).ln() }
        };
        let cumulant: f64 = self.0.iter().map(|(count, weight)| count * logarithm(at * weight)).sum();
        Tilt {
            at,
            exponent: (at * met - cumulant).max(0.0),
            variance: moments(at).1,
            step: step(&|weight| chance(at, weight)),
            units: self.0.iter().map(|(count, weight)| count * chance(at, *weight)).sum(),
        }
    }

    fn count(&self) -> f64 {
        self.0.iter().map(|(count, _)| count).sum()
    }
}

/// The chance of such a difference, in either direction, where being met has nothing to do with the side: `met` is the
/// weight that is met of each side.
pub(super) fn chance(sides: [&Units; 2], met: [f64; 2]) -> f64 {
    let all = sides.map(Units::weight);
    let share = (met[0] + met[1]) / (all[0] + all[1]);
    if !share.is_finite() || share <= 0.0 || share >= 1.0 {
        return 1.0;
    }
    // To have less of something is to have more of the rest.
    let fewer = met[0] < share * all[0];
    let met = if fewer { [all[0] - met[0], all[1] - met[1]] } else { met };
    let met = [met[0].clamp(0.0, all[0]), met[1].clamp(0.0, all[1])];
    let mut share = if fewer { 1.0 - share } else { share };
    let tilt = |share: f64| [sides[0].tilt(share, met[0]), sides[1].tilt(share, met[1])];
    let mut tilts = tilt(share);
    // The share that makes what is there likeliest: by units, of which a heavy one is as many as a light one.
    let units = sides[0].count() + sides[1].count();
    for _ in 0..ROUNDS {
        let next = (tilts[0].units + tilts[1].units) / units;
        let near = (next - share).abs() <= 1e-3 * share.min(1.0 - share);
        share = next.clamp(EDGE, 1.0 - EDGE);
        tilts = tilt(share);
        if near {
            break;
        }
    }
    let root = (2.0 * (tilts[0].exponent + tilts[1].exponent)).sqrt();
    // Nearer than that the approximation divides nothing by nothing, and nobody asks.
    if root < 0.5 {
        return 1.0;
    }
    if tilts[0].at <= tilts[1].at {
        return 1.0;
    }
    let step = if all[0] < all[1] { tilts[0].step } else { tilts[1].step };
    let together = share * (1.0 - share) * (sides[0].squares() + sides[1].squares());
    let varied = |tilt: &Tilt| tilt.variance + tilt.step * tilt.step / 6.0;
    let apart = (varied(&tilts[0]) * varied(&tilts[1]) / together).sqrt();
    let scaled = (1.0 - (-(tilts[0].at - tilts[1].at) * step).exp()) / step * apart;
    let density = (-root * root / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let one_sided = tail(root) + density * (1.0 / scaled - 1.0 / root);
    let one_sided = if one_sided.is_finite() && one_sided > 0.0 { one_sided } else { tail(root) };
    (2.0 * one_sided).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(count: f64, weight: f64) -> Units {
        Units::gather(std::iter::once((count, weight)))
    }

    /// The tail of the hypergeometric distribution: so many of the selection or more, given how many there are.
    fn fisher(selection: u32, baseline: u32, met: [u32; 2]) -> f64 {
        let logarithms: Vec<f64> = std::iter::once(0.0)
            .chain((1..=selection + baseline).scan(0.0, |sum: &mut f64, n| {
                *sum += f64::from(n).ln();
                Some(*sum)
            }))
            .collect();
        let choose =
            |n: u32, k: u32| logarithms[n as usize] - logarithms[k as usize] - logarithms[(n - k) as usize];
        let all = met[0] + met[1];
        (met[0]..=all.min(selection))
            .filter(|x| all - x <= baseline)
            .map(|x| {
                (choose(selection, x) + choose(baseline, all - x) - choose(selection + baseline, all)).exp()
            })
            .sum()
    }

    #[test]
    fn units_of_equal_weight_are_fishers_exact_test() {
        for (selection, baseline, met) in [
            (10, 1_000, [1, 0]),
            (10, 1_000, [3, 2]),
            (10, 1_000, [10, 0]),
            (40, 760, [36, 25]),
            (200, 200, [30, 5]),
            (200, 200, [20, 0]),
            (600, 20, [590, 5]),
            (5, 100_000, [4, 3]),
        ] {
            let (a, b) = (f64::from(selection), f64::from(baseline));
            for weight in [1.0, 20.0] {
                let found =
                    chance([&equal(a, weight), &equal(b, weight)], met.map(|met| f64::from(met) * weight));
                let expected = 2.0 * fisher(selection, baseline, met);
                let ratio = found / expected.min(1.0);
                assert!(
                    (0.8..1.5).contains(&ratio),
                    "{selection} {baseline} {met:?}: {found} for {expected}"
                );
            }
        }
        assert_eq!(chance([&equal(5.0, 1.0), &equal(5.0, 1.0)], [2.0, 2.0]), 1.0);
    }

    /// That all of the selection's weight may be one unit's must be known to the tail.
    #[test]
    fn a_heavy_unit_may_do_alone_what_takes_many_light_ones() {
        let selection = Units::gather([(1.0, 100.0), (10.0, 1.0)].into_iter());
        let baseline = equal(100_000.0, 1.0);
        // A thousandth of the baseline is met; of the selection the heavy unit and nothing else: a chance of one in a
        // thousand.
        let found = chance([&selection, &baseline], [100.0, 100.0]);
        assert!((0.001..0.005).contains(&found), "{found}");
        // As many light ones are no accident.
        let even = chance([&equal(110.0, 1.0), &baseline], [100.0, 100.0]);
        assert!(even < 1e-100, "{even}");
    }
}
