//! How many different values there are, without keeping them: a HyperLogLog of 1,024 registers over 32-bit hashes, and
//! below 256 values the hashes themselves.
//!
//! Sketches of parts merge into the sketch of the whole, whatever the parts share. The standard error is
//! [`STANDARD_ERROR`]; up to 256 values the number is exact (two of 256 values share a hash with probability 1 in 130,000).
//! The estimator is Ertl's ("New cardinality estimation algorithms for HyperLogLog sketches", 2017, section 4): it needs
//! no table of corrections and holds from 0 to the range of the hash.
//!
//! What it refuses: to remove a value. Who removes events merges the rest anew.

/// Relative standard error of an estimate beyond [`LISTED_MAX`] values: 1.04 / sqrt(1,024).
pub const STANDARD_ERROR: f64 = 0.0325;

/// Bits of a hash that choose its register.
const INDEX_BITS: u32 = 10;
const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of a hash that are ranked.
const RANK_BITS: u32 = 32 - INDEX_BITS;
/// Up to so many hashes are listed: they take as many bytes as the registers.
pub(super) const LISTED_MAX: usize = REGISTERS / 4;

/// A sketch under construction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Sketch {
    /// Different hashes, rising.
    Listed(Vec<u32>),
    /// The largest rank of each register.
    Registers(Box<[u8; REGISTERS]>),
}

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch::Listed(Vec::new())
    }
}

/// The hash of a sketch from the 64-bit hash of a value.
#[inline]
pub(super) fn fold(hash: u64) -> u32 {
    // The finalizer of MurmurHash3: the bits of small integers must reach everywhere.
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (mixed >> 32) as u32
}

impl Sketch {
    /// Adds a value by its hash.
    #[inline]
    pub(super) fn insert(&mut self, hash: u32) {
        match self {
            Sketch::Registers(registers) => raise(registers, hash),
            Sketch::Listed(listed) => {
                if let Err(place) = listed.binary_search(&hash) {
                    listed.insert(place, hash);
                    if listed.len() > LISTED_MAX {
                        self.spread();
                    }
                }
            }
        }
    }

    #[cold]
    fn spread(&mut self) {
        if let Sketch::Listed(listed) = self {
            let mut registers = Box::new([0; REGISTERS]);
            listed.iter().for_each(|&hash| raise(&mut registers, hash));
            *self = Sketch::Registers(registers);
        }
    }

    /// Adds the values of a stored sketch. `false` when it is none.
    pub(super) fn merge(&mut self, stored: &[u8]) -> bool {
        if stored.len() == REGISTERS + 4 {
            self.spread();
            if let Sketch::Registers(registers) = self {
                for (register, &rank) in registers.iter_mut().zip(&stored[4..]) {
                    *register = (*register).max(rank);
                }
            }
            return true;
        }
        let (hashes, rest) = stored.as_chunks::<4>();
        if !rest.is_empty() || hashes.len() > LISTED_MAX {
            return false;
        }
        hashes.iter().for_each(|hash| self.insert(u32::from_le_bytes(*hash)));
        true
    }

    /// Adds the values of another sketch.
    pub(super) fn merge_sketch(&mut self, other: &Sketch) {
        match other {
            Sketch::Listed(listed) => listed.iter().for_each(|&hash| self.insert(hash)),
            Sketch::Registers(others) => {
                self.spread();
                if let Sketch::Registers(registers) = self {
                    for (register, &rank) in registers.iter_mut().zip(others.iter()) {
                        *register = (*register).max(rank);
                    }
                }
            }
        }
    }

    /// Appends it: the listed hashes, or a word of zeros and the registers.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Sketch::Listed(listed) => out.extend(listed.iter().flat_map(|hash| hash.to_le_bytes())),
            Sketch::Registers(registers) => {
                out.extend_from_slice(&[0; 4]);
                out.extend_from_slice(&registers[..]);
            }
        }
    }

    /// How many different values were added, about.
    pub(super) fn estimate(&self) -> u64 {
        match self {
            Sketch::Listed(listed) => listed.len() as u64,
            Sketch::Registers(registers) => estimate(registers),
        }
    }
}

#[inline]
fn raise(registers: &mut [u8; REGISTERS], hash: u32) {
    let index = (hash >> RANK_BITS) as usize;
    // The bit set below the ranked ones ends the count there.
    let rank = ((hash << INDEX_BITS) | (1 << (INDEX_BITS - 1))).leading_zeros() + 1;
    let rank = u8::try_from(rank).unwrap_or(u8::MAX);
    let register = &mut registers[index % REGISTERS];
    *register = (*register).max(rank);
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate of at most 2^33"
)]
fn estimate(registers: &[u8; REGISTERS]) -> u64 {
    const Q: usize = RANK_BITS as usize;
    let mut counts = [0_u32; Q + 2];
    for &rank in registers {
        counts[usize::from(rank).min(Q + 1)] += 1;
    }
    let m = REGISTERS as f64;
    let mut z = m * tau(1.0 - f64::from(counts[Q + 1]) / m);
    for &count in counts[1..=Q].iter().rev() {
        z = 0.5 * (z + f64::from(count));
    }
    z += m * sigma(f64::from(counts[0]) / m);
    let estimate = m * m / (2.0 * std::f64::consts::LN_2 * z);
    if estimate.is_finite() { estimate.round() as u64 } else { 1 << 32 }
}

fn sigma(x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut x, mut y, mut z) = (x, 1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

fn tau(x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut x, mut y, mut z) = (x, 1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_estimate_keeps_its_stated_error() {
        let mut squares = 0.0;
        let mut worst: f64 = 0.0;
        let sizes = [257_u64, 1_000, 3_000, 10_000, 100_000, 1_000_000];
        let rounds = 20;
        for size in sizes {
            for round in 0..rounds {
                let mut sketch = Sketch::default();
                for value in 0..size {
                    sketch.insert(fold(value.wrapping_mul(0x9e37_79b9) + (round << 40)));
                }
                let error = sketch.estimate() as f64 / size as f64 - 1.0;
                squares += error * error;
                worst = worst.max(error.abs());
            }
        }
        let deviation = (squares / (sizes.len() as f64 * rounds as f64)).sqrt();
        assert!(deviation < STANDARD_ERROR * 1.15, "{deviation}");
        assert!(worst < STANDARD_ERROR * 4.5, "{worst}");
    }

    #[test]
    fn few_values_are_counted_exactly_and_parts_merge_into_the_whole() {
        let sketch = |range: std::ops::Range<u64>| {
            let mut sketch = Sketch::default();
            range.for_each(|value| sketch.insert(fold(value)));
            sketch
        };
        assert_eq!([0, 1, 200, 256].map(|n| sketch(0..n).estimate()), [0, 1, 200, 256]);
        for (a, b, both) in
            [(0..100, 50..150, 0..150), (0..200, 100..400, 0..400), (0..900, 300..5_000, 0..5_000)]
        {
            let (mut stored, mut merged) = (Vec::new(), sketch(a));
            sketch(b.clone()).write(&mut stored);
            let mut other = merged.clone();
            assert!(merged.merge(&stored));
            other.merge_sketch(&sketch(b));
            assert_eq!(merged, sketch(both.clone()));
            assert_eq!(other, sketch(both));
        }
        assert!(!Sketch::default().merge(&[1, 2, 3]), "what is no sketch is refused");
    }
}
