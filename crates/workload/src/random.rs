//! Randomness as an argument (I9): one seeded stream per purpose, so that the arrivals of a run stay the same
//! whatever the services do with them.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// A seeded stream of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    generator: ChaCha8Rng,
}

impl Random {
    /// The stream `purpose` of a seed.
    pub(crate) fn new(seed: u64, purpose: u64) -> Random {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(purpose);
        Random { generator }
    }

    /// Any 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        // 53 bits: as many as an f64 holds exactly.
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform below `bound`; 0 when the bound is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.bits()) * (bound as u128);
        usize::try_from(product >> 64).unwrap_or(0)
    }

    /// Uniform between two integers, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = usize::try_from(high.saturating_sub(low)).unwrap_or(0);
        low + i64::try_from(self.below(width.saturating_add(1))).unwrap_or(0)
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Exponentially distributed with this mean: the gaps of a Poisson process.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -(1.0 - self.unit()).ln() * mean
    }

    /// Log-normal around a mean, as service times are: a long right tail, never negative.
    pub(crate) fn service_time(&mut self, mean_ns: f64, sigma: f64) -> i64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.unit()).cos();
        to_ns(mean_ns * (sigma * normal - sigma * sigma / 2.0).exp())
    }

    /// An index below `bound`, small ones more often: about what people look at in a shop.
    pub(crate) fn popular(&mut self, bound: usize) -> usize {
        let skewed = self.unit() * self.unit() * self.unit();
        usize::try_from(to_ns(skewed * bound as f64)).unwrap_or(0).min(bound.saturating_sub(1))
    }

    /// One of several.
    pub(crate) fn pick<T: Copy, const COUNT: usize>(&mut self, choices: [T; COUNT]) -> T {
        choices[self.below(COUNT)]
    }

    /// Sixteen bytes for a trace id, never all zero.
    pub(crate) fn trace_id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.bits().to_be_bytes());
        id[8..].copy_from_slice(&(self.bits() | 1).to_be_bytes());
        id
    }

    /// Eight bytes for a span id, never all zero.
    pub(crate) fn span_id(&mut self) -> [u8; 8] {
        (self.bits() | 1).to_be_bytes()
    }
}

/// Rounds a number of nanoseconds; out of range saturates, NaN is 0.
#[expect(clippy::cast_possible_truncation, reason = "saturating is what is wanted of an absurd duration")]
pub(crate) fn to_ns(value: f64) -> i64 {
    value as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_stream_and_purposes_differ() {
        let draw = |seed, purpose| -> Vec<u64> {
            let mut random = Random::new(seed, purpose);
            (0..8).map(|_| random.bits()).collect()
        };
        assert_eq!(draw(1, 1), draw(1, 1));
        assert_ne!(draw(1, 1), draw(2, 1));
        assert_ne!(draw(1, 1), draw(1, 2));
    }

    #[test]
    fn service_times_have_the_mean_asked_for() {
        let mut random = Random::new(7, 0);
        let count = 20_000;
        let sum: i64 = (0..count).map(|_| random.service_time(1e6, 0.5)).sum();
        let mean = sum as f64 / f64::from(count);
        assert!((0.97e6..1.03e6).contains(&mean), "{mean}");
    }

    #[test]
    fn bounds_are_kept() {
        let mut random = Random::new(3, 0);
        for _ in 0..1_000 {
            assert!(random.below(7) < 7);
            assert!(random.popular(5) < 5);
            assert!((-2..=2).contains(&random.between(-2, 2)));
        }
        assert_eq!(random.below(0), 0);
    }
}
