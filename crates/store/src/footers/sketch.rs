//! How many different values there are, without keeping them: a HyperLogLog of 1,024 registers over 32-bit hashes, and
//! up to 96 values the hashes themselves.
//!
//! Sketches of parts merge into the sketch of the whole, whatever the parts share. The standard error is
//! [`STANDARD_ERROR`]; up to 96 values the number is exact (two of 96 values share a hash with probability 1 in 940,000).
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
/// Up to so many hashes are listed: from there on stored registers take fewer bytes.
pub(super) const LISTED_MAX: usize = 96;

/// The first byte of a stored list; the first byte of stored registers is the bits of each.
const KIND_LISTED: u8 = 0;
/// Bits of a stored register at most. Of many values nearly all ranks lie within seven of each other.
const WIDTH_MAX: u32 = 4;
/// Bytes before stored registers: their bits, the rank that is zero, the number of exceptions.
const REGISTERS_HEAD_BYTES: usize = 4;

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
        let Some((&kind, rest)) = stored.split_first() else { return true };
        if kind != KIND_LISTED {
            let Some(others) = read_registers(stored) else { return false };
            self.merge_registers(&others);
            return true;
        }
        let (hashes, rest) = rest.as_chunks::<4>();
        if !rest.is_empty() || hashes.len() > LISTED_MAX {
            return false;
        }
        hashes.iter().for_each(|hash| self.insert(u32::from_le_bytes(*hash)));
        true
    }

    fn merge_registers(&mut self, others: &[u8; REGISTERS]) {
        self.spread();
        if let Sketch::Registers(registers) = self {
            for (register, &rank) in registers.iter_mut().zip(others) {
                *register = (*register).max(rank);
            }
        }
    }

    /// Adds the values of another sketch.
    pub(super) fn merge_sketch(&mut self, other: &Sketch) {
        match other {
            Sketch::Listed(listed) => listed.iter().for_each(|&hash| self.insert(hash)),
            Sketch::Registers(others) => self.merge_registers(others),
        }
    }

    /// Appends it: nothing when it is empty, the listed hashes, or the registers in few bits each.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Sketch::Listed(listed) if listed.is_empty() => {}
            Sketch::Listed(listed) => {
                out.push(KIND_LISTED);
                out.extend(listed.iter().flat_map(|hash| hash.to_le_bytes()));
            }
            Sketch::Registers(registers) => write_registers(registers, out),
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

/// The number that stands for a register whose rank is kept beside the others.
fn exception_of(width: u32) -> u8 {
    (1 << width) - 1
}

/// Appends registers above a base in the width that takes the fewest bytes; ranks that do not fit follow, two bytes
/// each.
fn write_registers(registers: &[u8; REGISTERS], out: &mut Vec<u8>) {
    let mut counts = [0_usize; 1 << 6];
    registers.iter().for_each(|&rank| counts[usize::from(rank & 63)] += 1);
    let mut best = (usize::MAX, 1, 0);
    for width in 1..=WIDTH_MAX {
        for base in 0..=RANK_BITS as usize + 1 {
            let fitting: usize = counts.iter().skip(base).take(usize::from(exception_of(width))).sum();
            let bytes = REGISTERS / 8 * width as usize + 2 * (REGISTERS - fitting);
            best = best.min((bytes, width, base));
        }
    }
    let (_, width, base) = best;
    let base = u8::try_from(base).unwrap_or(0);
    let exception = exception_of(width);
    let mut packed = vec![0_u8; REGISTERS / 8 * width as usize];
    let mut exceptions = Vec::new();
    for (index, &rank) in (0_u16..).zip(registers) {
        let number = match rank.checked_sub(base) {
            Some(number) if number < exception => number,
            _ => {
                exceptions.push(index | u16::from(rank) << INDEX_BITS);
                exception
            }
        };
        let bit = usize::from(index) * width as usize;
        let pair = u16::from(number) << (bit % 8);
        for (byte, part) in packed[bit / 8..].iter_mut().zip(pair.to_le_bytes()) {
            *byte |= part;
        }
    }
    out.extend_from_slice(&[u8::try_from(width).unwrap_or(0), base]);
    out.extend_from_slice(&u16::try_from(exceptions.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(&packed);
    out.extend(exceptions.iter().flat_map(|exception| exception.to_le_bytes()));
}

/// Stored registers; `None` when they are none.
fn read_registers(stored: &[u8]) -> Option<Box<[u8; REGISTERS]>> {
    let (head, rest) = stored.split_at_checked(REGISTERS_HEAD_BYTES)?;
    let (width, base) = (u32::from(head[0]), head[1]);
    if !(1..=WIDTH_MAX).contains(&width) {
        return None;
    }
    let (packed, rest) = rest.split_at_checked(REGISTERS / 8 * width as usize)?;
    let (exceptions, rest) = rest.as_chunks::<2>();
    if !rest.is_empty() || exceptions.len() != usize::from(u16::from_le_bytes([head[2], head[3]])) {
        return None;
    }
    let mask = exception_of(width);
    let mut registers = Box::new([0; REGISTERS]);
    // Eight registers start at a whole byte again.
    for (eight, bytes) in registers.chunks_exact_mut(8).zip(packed.chunks_exact(width as usize)) {
        let mut word = bytes.iter().rev().fold(0_u32, |word, &byte| word << 8 | u32::from(byte));
        for register in eight {
            let number = word.to_le_bytes()[0] & mask;
            word >>= width;
            *register = if number == mask { 0 } else { base.saturating_add(number) };
        }
    }
    for exception in exceptions {
        let exception = u16::from_le_bytes(*exception);
        let index = usize::from(exception) % REGISTERS;
        registers[index] = exception.to_le_bytes()[1] >> (INDEX_BITS - 8);
    }
    let largest = RANK_BITS + 1;
    registers.iter().all(|&rank| u32::from(rank) <= largest).then_some(registers)
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
    fn registers_come_back_from_few_bits_each() {
        for size in [0_u64, 97, 150, 400, 2_000, 30_000, 1_000_000] {
            let mut registers = [0; REGISTERS];
            (0..size).for_each(|value| raise(&mut registers, fold(value)));
            // Ranks of every size, which no hash is likely to have.
            let odd = (0_u8..23).chain(size.to_le_bytes().map(|byte| byte % 23));
            registers.iter_mut().step_by(41).zip(odd).for_each(|(register, rank)| *register = rank);
            let mut stored = Vec::new();
            write_registers(&registers, &mut stored);
            assert!(stored.len() < 560, "{size}: {}", stored.len());
            assert_eq!(read_registers(&stored).as_deref(), Some(&registers));
            for cut in 0..stored.len() {
                assert_eq!(read_registers(&stored[..cut]), None);
            }
        }
    }

    #[test]
    fn few_values_are_counted_exactly_and_parts_merge_into_the_whole() {
        let sketch = |range: std::ops::Range<u64>| {
            let mut sketch = Sketch::default();
            range.for_each(|value| sketch.insert(fold(value)));
            sketch
        };
        assert_eq!([0, 1, 60, 96].map(|n| sketch(0..n).estimate()), [0, 1, 60, 96]);
        let of_one_size = [(0..50, 30..90, 0..90), (0..900, 300..5_000, 0..5_000)];
        // A single value that a list forgets shows in some of them only.
        let list_and_registers = (0..20).map(|n| n * 1_000).map(|n| (n..n + 90, n + 70..n + 400, n..n + 400));
        for (a, b, both) in of_one_size.into_iter().chain(list_and_registers) {
            let (mut stored, mut merged) = (Vec::new(), sketch(a));
            sketch(b.clone()).write(&mut stored);
            let mut other = merged.clone();
            assert!(merged.merge(&stored));
            other.merge_sketch(&sketch(b));
            assert_eq!(merged, sketch(both.clone()));
            assert_eq!(other, sketch(both));
        }
        for wrong in [&[1, 2, 3][..], &[0, 1], &[9; 700], &[1; 700]] {
            assert!(!Sketch::default().merge(wrong), "what is no sketch is refused");
        }
    }
}
