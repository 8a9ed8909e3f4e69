//! Randomness by the million: a stream per request, curves looked up instead of computed.

use crate::random::{Random, to_ns};

/// Points of a curve; between them it is straight.
const POINTS: usize = 4_096;

/// SplitMix64 (Steele, Lea, Flood 2014): two multiplications a draw, and good enough to decide attributes.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    state: u64,
}

/// Spreads the bits of a number: the fixed fate of a user, an operation, a column.
pub(super) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A number below `bound` from 64 bits.
pub(super) fn below(bits: u64, bound: usize) -> usize {
    usize::try_from((u128::from(bits) * bound as u128) >> 64).unwrap_or(0)
}

impl Draw {
    pub(super) fn new(seed: u64, purpose: u64) -> Draw {
        Draw { state: Random::new(seed, purpose).bits() }
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        below(self.bits(), bound)
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }
}

/// The curves of a configuration.
#[derive(Clone, Debug)]
pub(super) struct Curves {
    /// `unit^(1 + skew)`.
    skewed: Vec<f64>,
    /// Log-normal with mean 1 and sigma 1.
    long_tail: Vec<f64>,
}

impl Curves {
    pub(super) fn new(skew: f64) -> Curves {
        let at = |point: usize| point as f64 / POINTS as f64;
        let skewed = (0..=POINTS).map(|point| at(point).powf(1.0 + skew.max(0.0))).collect();
        // The ends of a normal distribution are infinite: half a point inside them it is 3.7 sigma.
        let inside = |point: usize| at(point).clamp(0.5 / POINTS as f64, 1.0 - 0.5 / POINTS as f64);
        let long_tail = (0..=POINTS).map(|point| (normal_quantile(inside(point)) - 0.5).exp()).collect();
        Curves { skewed, long_tail }
    }

    /// An index below `bound`, small ones the more often the larger the skew.
    pub(super) fn skewed(&self, draw: &mut Draw, bound: usize) -> usize {
        let position = look_up(&self.skewed, draw);
        usize::try_from(to_ns(position * bound as f64)).unwrap_or(0).min(bound.saturating_sub(1))
    }

    /// Log-normally distributed around a mean: durations, sizes.
    pub(super) fn long_tail(&self, draw: &mut Draw, mean: f64) -> f64 {
        look_up(&self.long_tail, draw) * mean
    }
}

fn look_up(curve: &[f64], draw: &mut Draw) -> f64 {
    let bits = draw.bits();
    let place = below(bits, POINTS);
    // The bits below those that chose the place.
    let between = (bits << POINTS.ilog2() >> 11) as f64 / (1_u64 << 53) as f64;
    let (low, high) = (curve[place], curve[place + 1]);
    low + (high - low) * between
}

/// The standard normal quantile by bisection of its distribution function; run some thousand times at start.
fn normal_quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (-6.0_f64, 6.0_f64);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if normal_distribution(middle) < probability { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// Abramowitz and Stegun 26.2.17, off by less than 7.5e-8.
fn normal_distribution(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let series = [1.330_274_429, -1.821_255_978, 1.781_477_937, -0.356_563_782, 0.319_381_530];
    let polynomial = series.iter().fold(0.0, |sum, factor| (sum + factor) * t);
    let tail = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt() * polynomial;
    if x < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_tail_has_the_mean_asked_for() {
        let (curves, mut draw) = (Curves::new(1.0), Draw::new(1, 1));
        let sum: f64 = (0..100_000).map(|_| curves.long_tail(&mut draw, 20.0)).sum();
        assert!((19.0..21.0).contains(&(sum / 1e5)), "{}", sum / 1e5);
    }

    #[test]
    fn skew_makes_the_first_values_prevail() {
        let first_tenth = |skew| {
            let (curves, mut draw) = (Curves::new(skew), Draw::new(1, 2));
            (0..10_000).filter(|_| curves.skewed(&mut draw, 100) < 10).count()
        };
        assert!((900..1_100).contains(&first_tenth(0.0)), "{}", first_tenth(0.0));
        assert!((3_000..3_300).contains(&first_tenth(1.0)), "{}", first_tenth(1.0));
    }
}
