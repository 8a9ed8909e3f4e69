//! A filter of trace ids: nine bits an id that say of an id surely that it is not in a segment, or that it
//! probably is (wrongly once in 256 times). A binary fuse filter of 8 bits (Graf and Lemire, "Binary Fuse
//! Filters: Fast and Smaller Than Xor Filters", 2022), built from keyed hashes, so that nobody outside can
//! prepare ids that meet in it.
//!
//! It lies in a chunk of its own as plain bytes, so that a catalogue of segments can hold the filters of all.

use skein_event::hash::HashKey;

use super::bytes::{count, u32_at, u64_at};
use crate::error::Error;

/// The hash of a trace id: of filters, and of the order in which a segment finds its ids.
pub fn trace_hash(hash_key: HashKey, id: &[u8; 16]) -> u64 {
    hash_key.hash(id)
}

/// Bytes before the fingerprints: seed u64, segment length u32, segments u32.
const HEAD_BYTES: usize = 16;
/// Seeds tried. Each fails about once in a thousand times, but where the authors' sizes are tight, as for 11,520 ids, most
/// fail: then places are added.
const ATTEMPTS: u64 = 128;
/// Seeds tried before there are more places.
const ATTEMPTS_PER_SIZE: u64 = 16;
/// A segment of fingerprints has at most so many: they share a page or few.
const SEGMENT_LENGTH_MAX: u32 = 1 << 18;

/// A filter in its stored form.
#[derive(Clone, Copy, Debug)]
pub struct TraceFilter<'a> {
    seed: u64,
    segment_length: u32,
    segments: u32,
    fingerprints: &'a [u8],
}

/// The three places of a hash.
struct Shape {
    segment_length: u32,
    segments: u32,
}

impl Shape {
    /// For so many ids. The numbers are the authors' (arity 3).
    fn of(ids: usize) -> Shape {
        #[expect(clippy::cast_precision_loss, reason = "an estimate of sizes")]
        let size = (ids.max(2)) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 2 and 18")]
        let bits = (size.ln() / 3.33_f64.ln() + 2.25).floor().clamp(2.0, 18.0) as u32;
        let segment_length = (1_u32 << bits).min(SEGMENT_LENGTH_MAX);
        let factor = (0.875 + 0.25 * 1e6_f64.ln() / size.ln()).max(1.125);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "about nine eighths of the ids"
        )]
        let capacity = (size * factor).round() as u64;
        let wanted = capacity.div_ceil(u64::from(segment_length)).max(3);
        Shape { segment_length, segments: u32::try_from(wanted - 2).unwrap_or(u32::MAX).max(1) }
    }

    fn len(&self) -> usize {
        (self.segments as usize + 2) * self.segment_length as usize
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a product's upper half, below the number of places")]
    fn places(&self, mixed: u64) -> [usize; 3] {
        let span = u64::from(self.segments) * u64::from(self.segment_length);
        let first = ((u128::from(mixed) * u128::from(span)) >> 64) as usize;
        let mask = self.segment_length as usize - 1;
        let length = self.segment_length as usize;
        [
            first,
            (first + length) ^ ((mixed >> 18) as usize & mask),
            (first + 2 * length) ^ (mixed as usize & mask),
        ]
    }
}

/// SplitMix64's last step: every bit of the sum matters to every bit of the result.
#[inline]
fn mix(hash: u64, seed: u64) -> u64 {
    let mut mixed = hash.wrapping_add(seed);
    mixed = (mixed ^ mixed >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed = (mixed ^ mixed >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ mixed >> 33
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "eight bits are meant")]
fn fingerprint(mixed: u64) -> u8 {
    (mixed ^ mixed >> 32) as u8
}

impl<'a> TraceFilter<'a> {
    /// A filter of ids by their hashes. Of no ids, or should no seed succeed (once in 10^300), it is empty bytes,
    /// which stand for no filter.
    pub fn build(hashes: &[u64]) -> Vec<u8> {
        let mut hashes = hashes.to_vec();
        hashes.sort_unstable();
        hashes.dedup();
        if hashes.is_empty() {
            return Vec::new();
        }
        let mut shape = Shape::of(hashes.len());
        let mut order = Peeling::new(shape.len(), hashes.len());
        for attempt in 1..=ATTEMPTS {
            if attempt % ATTEMPTS_PER_SIZE == 0 {
                shape.segments = shape.segments.saturating_add(shape.segments / 8 + 1);
                order = Peeling::new(shape.len(), hashes.len());
            }
            let seed = attempt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            if !order.peel(&hashes, &shape, seed) {
                continue;
            }
            let mut fingerprints = vec![0_u8; shape.len()];
            for &(mixed, which) in order.found.iter().rev() {
                let places = shape.places(mixed);
                let others = places.iter().fold(fingerprint(mixed), |sum, &place| sum ^ fingerprints[place]);
                // The place itself is still zero, so that it does not matter in the sum.
                fingerprints[places[usize::from(which)]] = others;
            }
            let mut out = Vec::with_capacity(HEAD_BYTES + fingerprints.len());
            out.extend_from_slice(&seed.to_le_bytes());
            out.extend_from_slice(&shape.segment_length.to_le_bytes());
            out.extend_from_slice(&shape.segments.to_le_bytes());
            out.extend_from_slice(&fingerprints);
            return out;
        }
        Vec::new()
    }

    /// Opens a stored filter.
    ///
    /// POST: on `Ok`, asking cannot go out of bounds.
    pub fn open(bytes: &'a [u8]) -> Result<TraceFilter<'a>, Error> {
        let damaged = || Error::damaged("a filter of trace ids has another length");
        let fingerprints = bytes.get(HEAD_BYTES..).ok_or_else(damaged)?;
        let (seed, segment_length, segments) = (u64_at(bytes, 0)?, u32_at(bytes, 8)?, u32_at(bytes, 12)?);
        let length = (u64::from(segments) + 2) * u64::from(segment_length);
        if !segment_length.is_power_of_two()
            || segments == 0
            || length != u64::from(count(fingerprints.len()))
        {
            return Err(damaged());
        }
        Ok(TraceFilter { seed, segment_length, segments, fingerprints })
    }

    /// Whether an id of this hash may be there; false only when it is not.
    #[inline]
    pub fn contains(&self, hash: u64) -> bool {
        let mixed = mix(hash, self.seed);
        let shape = Shape { segment_length: self.segment_length, segments: self.segments };
        let sum = shape
            .places(mixed)
            .iter()
            .fold(fingerprint(mixed), |sum, &place| sum ^ self.fingerprints.get(place).copied().unwrap_or(0));
        sum == 0
    }
}

/// Finds an order in which every hash has a place that no later one needs.
struct Peeling {
    /// Per place: how many hashes are left, and the sum (exclusive or) of their mixed hashes and of which of
    /// their places it is.
    counts: Vec<u32>,
    sums: Vec<u64>,
    whiches: Vec<u8>,
    queue: Vec<u32>,
    found: Vec<(u64, u8)>,
}

impl Peeling {
    fn new(places: usize, hashes: usize) -> Peeling {
        Peeling {
            counts: vec![0; places],
            sums: vec![0; places],
            whiches: vec![0; places],
            queue: Vec::new(),
            found: Vec::with_capacity(hashes),
        }
    }

    fn peel(&mut self, hashes: &[u64], shape: &Shape, seed: u64) -> bool {
        self.counts.fill(0);
        self.sums.fill(0);
        self.whiches.fill(0);
        self.queue.clear();
        self.found.clear();
        for &hash in hashes {
            let mixed = mix(hash, seed);
            for (which, &place) in (0_u8..).zip(&shape.places(mixed)) {
                self.counts[place] += 1;
                self.sums[place] ^= mixed;
                self.whiches[place] ^= which;
            }
        }
        let single = (0_u32..).zip(&self.counts).filter(|(_, count)| **count == 1);
        self.queue.extend(single.map(|(place, _)| place));
        while let Some(place) = self.queue.pop() {
            let place = place as usize;
            if self.counts[place] != 1 {
                continue;
            }
            let (mixed, which) = (self.sums[place], self.whiches[place]);
            self.found.push((mixed, which));
            for (other, &place) in (0_u8..).zip(&shape.places(mixed)) {
                self.counts[place] -= 1;
                self.sums[place] ^= mixed;
                self.whiches[place] ^= other;
                if self.counts[place] == 1 {
                    self.queue.push(count(place));
                }
            }
        }
        self.found.len() == hashes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_filter_never_says_no_wrongly(seed in any::<u64>(), ids in 0..20_000_u64) {
            let hashes: Vec<u64> = (0..ids).map(|n| mix(n, seed)).collect();
            let bytes = TraceFilter::build(&hashes);
            if ids == 0 {
                prop_assert!(bytes.is_empty() && TraceFilter::open(&bytes).is_err());
                return Ok(());
            }
            let filter = TraceFilter::open(&bytes).expect("opens");
            prop_assert!(hashes.iter().all(|&hash| filter.contains(hash)));
            let wrong = (0..10_000).filter(|&n| filter.contains(mix(n, !seed))).count();
            prop_assert!(wrong < 120, "{wrong} of 10,000");
            prop_assert!(TraceFilter::open(&bytes[..bytes.len() - 1]).is_err());
        }

        #[test]
        fn damage_is_an_error_or_another_answer(at in 0..40_usize, byte in any::<u8>()) {
            let mut bytes = TraceFilter::build(&[1, 2, 3]);
            bytes[at % 40] = byte;
            if let Ok(filter) = TraceFilter::open(&bytes) {
                (0..100).for_each(|n| { filter.contains(mix(n, 5)); });
            }
        }
    }

    #[test]
    fn where_no_seed_fits_there_are_more_places() {
        let hashes: Vec<u64> = (0..11_520).map(|n| mix(n, 6_208_647_049_941_868_223)).collect();
        let bytes = TraceFilter::build(&hashes);
        let filter = TraceFilter::open(&bytes).expect("opens");
        assert!(hashes.iter().all(|&hash| filter.contains(hash)));
        assert!(filter.segments > Shape::of(hashes.len()).segments);
    }

    #[test]
    fn a_million_ids_take_nine_bits_each() {
        let hashes: Vec<u64> = (0..1_000_000).map(|n| mix(n, 9)).collect();
        let bytes = TraceFilter::build(&hashes);
        assert!(bytes.len() < 1_180_000, "{}", bytes.len());
        let filter = TraceFilter::open(&bytes).expect("opens");
        assert!(hashes.iter().all(|&hash| filter.contains(hash)));
    }
}
