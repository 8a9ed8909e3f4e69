//! Rows spread over a range, in about two bits each beside the bits of their mean distance (Elias–Fano): the form
//! for columns that few rows have, and for what is rare within a block of rows.
//!
//! A row's lower bits are packed as they are. Its upper bits are the number of a bucket, and the buckets are written
//! one after another in unary: a 1 for each row in it, then a 0. A row is found by counting zeros up to its bucket,
//! from a sample every 256 buckets on; nothing is decoded for it. What this module refuses to do: to panic over wrong
//! bytes.

use super::bytes::{count, u32_at};
use super::kernels::pack;
use crate::error::Error;

/// Buckets between two samples: a search counts zeros over some ten words at most, and a sample costs an eighth of a
/// bit a row.
const SAMPLE_BUCKETS: usize = 256;
const SAMPLE_BYTES: usize = 4;

/// How so many rows out of a range are laid out. Part of the format.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Lower bits of a row.
    shift: u32,
    buckets: usize,
    sample_bytes: usize,
    bit_bytes: usize,
}

impl Frame {
    fn of(values: usize, rows: usize) -> Frame {
        let shift = rows.checked_div(values).map_or(0, |distance| distance.max(1).ilog2());
        let buckets = rows.checked_sub(1).map_or(0, |last| (last >> shift) + 1);
        let bits = values + buckets + values * shift as usize;
        Frame {
            shift,
            buckets,
            sample_bytes: buckets.saturating_sub(1) / SAMPLE_BUCKETS * SAMPLE_BYTES,
            bit_bytes: bits.div_ceil(8),
        }
    }
}

/// The bytes that [`write`] would append.
pub(super) fn byte_len(values: usize, rows: usize) -> usize {
    let frame = Frame::of(values, rows);
    frame.sample_bytes + frame.bit_bytes
}

/// Appends rows, which rise, out of `rows`.
pub(super) fn write(present: &[u32], rows: usize, out: &mut Vec<u8>) {
    let frame = Frame::of(present.len(), rows);
    let upper_bits = present.len() + frame.buckets;
    let mut bits = vec![0_u8; upper_bits.div_ceil(8)];
    let mut sampled = 0;
    for (value, &row) in present.iter().enumerate() {
        let bucket = (row >> frame.shift) as usize;
        while sampled < bucket / SAMPLE_BUCKETS {
            out.extend_from_slice(&count(value).to_le_bytes());
            sampled += 1;
        }
        let place = value + bucket;
        bits[place / 8] |= 1 << (place % 8);
    }
    for _ in sampled..frame.sample_bytes / SAMPLE_BYTES {
        out.extend_from_slice(&count(present.len()).to_le_bytes());
    }
    // The lower bits follow the upper ones within the same byte.
    let mut lower = Vec::new();
    let mask = (1_u64 << frame.shift) - 1;
    let lows: Vec<u64> = present.iter().map(|&row| u64::from(row) & mask).collect();
    pack(&lows, frame.shift, &mut lower);
    let start = out.len();
    out.extend_from_slice(&bits);
    let within = upper_bits % 8;
    if within == 0 {
        out.extend_from_slice(&lower);
    } else {
        for byte in lower {
            if let Some(last) = out.last_mut() {
                *last |= byte << within;
            }
            out.push(byte >> (8 - within));
        }
    }
    // What is left of the last byte of lower bits may have moved into the one before.
    out.truncate(start + frame.bit_bytes);
}

/// Rows of a range in their encoded form.
#[derive(Clone, Copy, Debug)]
pub struct Spread<'a> {
    /// The rows before every 256th bucket but the first.
    samples: &'a [u8],
    bits: &'a [u8],
    upper_bits: usize,
    buckets: usize,
    shift: u32,
    rows: u32,
    values: u32,
}

impl<'a> Spread<'a> {
    /// Opens so many rows out of a range.
    ///
    /// POST: on `Ok`, reading cannot fail, whatever it gives; [`Spread::validate`] says whether it is right.
    pub(super) fn open(bytes: &'a [u8], rows: u32, values: u32) -> Result<Spread<'a>, Error> {
        let other_length = || Error::damaged("rows that are spread have another length");
        if values > rows {
            return Err(other_length());
        }
        let frame = Frame::of(values as usize, rows as usize);
        let (samples, bits) = bytes.split_at_checked(frame.sample_bytes).ok_or_else(other_length)?;
        if bits.len() != frame.bit_bytes {
            return Err(other_length());
        }
        let upper_bits = values as usize + frame.buckets;
        Ok(Spread { samples, bits, upper_bits, buckets: frame.buckets, shift: frame.shift, rows, values })
    }

    /// Checks that exactly so many rows are there, that they rise, that each exists and that samples are right.
    pub(super) fn validate(&self) -> Result<(), Error> {
        let damaged = || Error::damaged("rows that are spread do not add up");
        let words = 0..self.upper_bits.div_ceil(64);
        let ones: usize = words.map(|word| self.upper_word(word).count_ones() as usize).sum();
        let used = self.upper_bits + self.values as usize * self.shift as usize;
        let rest =
            if used.is_multiple_of(8) { 0 } else { self.bits.last().map_or(0, |last| last >> (used % 8)) };
        if ones != self.values as usize || rest != 0 {
            return Err(damaged());
        }
        let mut all = Vec::with_capacity(ones);
        self.rows_of(0, self.values, &mut all);
        let rising = all.windows(2).all(|pair| pair[0] < pair[1]);
        if all.len() != ones || !rising || all.last().is_some_and(|&last| last >= self.rows) {
            return Err(damaged());
        }
        for sample in 1..=self.samples.len() / SAMPLE_BYTES {
            let bucket = sample * SAMPLE_BUCKETS;
            if self.sample(sample) != all.partition_point(|&row| ((row >> self.shift) as usize) < bucket) {
                return Err(damaged());
            }
        }
        Ok(())
    }

    pub(super) fn len(&self) -> u32 {
        self.values
    }

    /// The rows before the bucket that a sample is for.
    fn sample(&self, sample: usize) -> usize {
        let place = sample.checked_sub(1).map(|before| before * SAMPLE_BYTES);
        place.map_or(0, |at| u32_at(self.samples, at).unwrap_or(self.values) as usize)
    }

    /// Eight bytes, zeros beyond the end.
    #[inline]
    fn bytes_at(&self, at: usize) -> u64 {
        if let Some(bytes) = self.bits.get(at..at + 8) {
            return bytes.try_into().map_or(0, u64::from_le_bytes);
        }
        let mut wide = [0_u8; 8];
        let rest = self.bits.get(at..).unwrap_or(&[]);
        wide[..rest.len()].copy_from_slice(rest);
        u64::from_le_bytes(wide)
    }

    /// 64 of the upper bits, zeros beyond their end.
    #[inline]
    fn upper_word(&self, word: usize) -> u64 {
        let left = self.upper_bits.saturating_sub(word * 64);
        let mask = if left < 64 { (1 << left) - 1 } else { u64::MAX };
        self.bytes_at(word * 8) & mask
    }

    /// The lower bits of a row by its place among the rows.
    #[inline]
    fn low(&self, value: usize) -> u32 {
        let bit = self.upper_bits + value * self.shift as usize;
        let mask = (1_u64 << self.shift) - 1;
        u32::try_from(self.bytes_at(bit / 8) >> (bit % 8) & mask).unwrap_or(0)
    }

    /// Whether a row is there, and how many are before it.
    #[inline]
    pub(super) fn find(&self, row: u32) -> (bool, u32) {
        if row >= self.rows {
            return (false, self.values);
        }
        let bucket = (row >> self.shift) as usize;
        let sample = bucket / SAMPLE_BUCKETS;
        let Some(start) =
            self.bucket_start(self.sample(sample) + sample * SAMPLE_BUCKETS, bucket % SAMPLE_BUCKETS)
        else {
            return (false, self.values);
        };
        let wanted = row & ((1 << self.shift) - 1);
        let mut value = start.saturating_sub(bucket);
        for place in start..self.upper_bits {
            if self.bits.get(place / 8).is_none_or(|byte| byte >> (place % 8) & 1 == 0) {
                break;
            }
            let low = self.low(value);
            if low >= wanted {
                return (low == wanted, count(value));
            }
            value += 1;
        }
        (false, count(value).min(self.values))
    }

    /// The place after so many zeros from a place on.
    #[inline]
    fn bucket_start(&self, place: usize, zeros: usize) -> Option<usize> {
        if zeros == 0 {
            return Some(place);
        }
        let mut left = zeros;
        let mut word = place / 64;
        let mut clear = !self.upper_word(word) & (u64::MAX << (place % 64));
        while word * 64 < self.upper_bits {
            let here = clear.count_ones() as usize;
            if here >= left {
                (1..left).for_each(|_| clear &= clear - 1);
                return Some(word * 64 + clear.trailing_zeros() as usize + 1);
            }
            left -= here;
            word += 1;
            clear = !self.upper_word(word);
        }
        None
    }

    /// Appends the rows `first..end` by their places among the rows.
    pub(super) fn rows_of(&self, first: u32, end: u32, out: &mut Vec<u32>) {
        let (first, end) = (first as usize, end as usize);
        let (mut low, mut high) = (0, self.samples.len() / SAMPLE_BYTES);
        while low < high {
            let middle = low.midpoint(high) + 1;
            if self.sample(middle) <= first { low = middle } else { high = middle - 1 }
        }
        let mut value = self.sample(low);
        let place = value + low * SAMPLE_BUCKETS;
        let mut number = place / 64;
        let mut word = self.upper_word(number) & (u64::MAX << (place % 64));
        while number * 64 < self.upper_bits {
            while word != 0 {
                if value >= end {
                    return;
                }
                if value >= first {
                    let place = number * 64 + word.trailing_zeros() as usize;
                    let bucket = place.saturating_sub(value).min(self.buckets);
                    out.push(count(bucket << self.shift).saturating_add(self.low(value)));
                }
                value += 1;
                word &= word - 1;
            }
            number += 1;
            word = self.upper_word(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(present: &[u32], rows: u32) {
        let mut bytes = Vec::new();
        write(present, rows as usize, &mut bytes);
        assert_eq!(bytes.len(), byte_len(present.len(), rows as usize));
        let read = Spread::open(&bytes, rows, count(present.len())).expect("opens");
        read.validate().expect("is valid");
        let mut found = Vec::new();
        for first in [0, present.len() / 3, present.len()] {
            found.clear();
            read.rows_of(count(first), count(present.len()), &mut found);
            assert_eq!(found, present[first..]);
        }
        let around = present.iter().flat_map(|&row| [row.saturating_sub(1), row, row + 1]);
        for row in around.chain([0, rows / 2, rows.saturating_sub(1), rows]) {
            let rank = present.partition_point(|&other| other < row);
            assert_eq!(read.find(row), (present.get(rank) == Some(&row), count(rank)), "{row} of {rows}");
        }
    }

    proptest! {
        #[test]
        fn rows_that_are_spread_are_found(
            gaps in prop::collection::vec(prop_oneof![1..4_u32, 1..900_u32, 1..40_000_u32], 0..700), rest in 0..9_000_u32,
        ) {
            let mut next = 0;
            let present: Vec<u32> = gaps.iter().map(|gap| { next += gap; next - 1 }).collect();
            check(&present, next + rest);
        }
    }

    #[test]
    fn runs_far_apart_are_found() {
        let present: Vec<u32> = (0..3_000).chain(5_000_000..5_004_000).chain([7_999_999]).collect();
        check(&present, 8_000_000);
        check(&(0..5_000).collect::<Vec<_>>(), 5_000);
        check(&[], 70_000);
    }

    #[test]
    fn damaged_spread_rows_are_an_error_and_never_a_panic() {
        // Behind the last sample nothing but the number of rows tells that one is missing.
        for rows in [60_000, 33_500] {
            flip_every_bit(rows);
        }
    }

    fn flip_every_bit(rows: u32) {
        let present: Vec<u32> = (0..900).map(|n| n * 37 + n % 7).collect();
        let mut bytes = Vec::new();
        write(&present, rows as usize, &mut bytes);
        for at in 0..bytes.len() {
            for flipped in (0..8).map(|bit| 1 << bit) {
                bytes[at] ^= flipped;
                let read = Spread::open(&bytes, rows, count(present.len())).expect("has the same length");
                let mut found = Vec::new();
                read.rows_of(0, rows, &mut found);
                let is_whole = found.len() == present.len() && found.windows(2).all(|pair| pair[0] < pair[1]);
                if read.validate().is_ok() {
                    assert!(is_whole && found.last() < Some(&rows), "byte {at}");
                    found.iter().step_by(50).for_each(|&row| assert!(read.find(row).0));
                }
                (0..rows).step_by(997).for_each(|row| {
                    read.find(row);
                });
                bytes[at] ^= flipped;
            }
        }
        assert!(Spread::open(&bytes, rows, count(present.len()) + 1).is_err());
        assert!(Spread::open(&bytes[1..], rows, count(present.len())).is_err());
        assert!(Spread::open(&bytes, 10, 11).is_err());
    }
}
