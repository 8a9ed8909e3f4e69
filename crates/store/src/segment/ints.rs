//! Sequences of integers: blocks of 1,024, each with its smallest value as base and the rest bit-packed
//! (frame of reference). The block directory holds smallest and largest value: it is the zone map.
//!
//! Everything whole-numbered goes through here: times, codes, booleans, durations, row gaps. One codec is
//! less than the best for each, and one reader to get right. The layout is docs/formats/segment.md, "Integers".

use super::bytes::{count, i64_at, u32_at};
use crate::error::Error;

/// Values of one block. 1,024 of them make a zone small enough to prune with, and 24 bytes of directory
/// a fifth of a bit per value.
pub const BLOCK_VALUES: usize = 1024;

/// Bytes of the sequence's head: number of values, length of the packed bits.
const HEAD_BYTES: usize = 8;
/// Bytes of a block's directory entry: min, max, offset, width, three zeros.
pub(crate) const ENTRY_BYTES: usize = 24;
/// Zero bytes after the bits, so that every value can be read as one unaligned word.
const PADDING_BYTES: usize = 8;

/// Appends a sequence.
pub(crate) fn write_ints<T: Copy + Into<i64>>(values: &[T], out: &mut Vec<u8>) {
    let blocks = values.len().div_ceil(BLOCK_VALUES);
    let head = out.len();
    out.resize(head + HEAD_BYTES + blocks * ENTRY_BYTES, 0);
    let bits_start = out.len();
    for (block, chunk) in values.chunks(BLOCK_VALUES).enumerate() {
        let (min, max) = bounds(chunk);
        let width = 64 - max.wrapping_sub(min).cast_unsigned().leading_zeros();
        let offset = count(out.len() - bits_start);
        let entry = head + HEAD_BYTES + block * ENTRY_BYTES;
        out[entry..entry + 8].copy_from_slice(&min.to_le_bytes());
        out[entry + 8..entry + 16].copy_from_slice(&max.to_le_bytes());
        out[entry + 16..entry + 20].copy_from_slice(&offset.to_le_bytes());
        out[entry + 20..entry + 24].copy_from_slice(&width.to_le_bytes());
        pack(chunk, min, width, out);
    }
    out.extend_from_slice(&[0; PADDING_BYTES]);
    let bits_length = count(out.len() - bits_start);
    out[head..head + 4].copy_from_slice(&count(values.len()).to_le_bytes());
    out[head + 4..head + 8].copy_from_slice(&bits_length.to_le_bytes());
}

fn bounds<T: Copy + Into<i64>>(values: &[T]) -> (i64, i64) {
    let (mut min, mut max) = (i64::MAX, i64::MIN);
    for &value in values {
        let value: i64 = value.into();
        min = min.min(value);
        max = max.max(value);
    }
    (min, max)
}

/// Appends `width` bits of each value's distance from `base`, lowest bit first.
fn pack<T: Copy + Into<i64>>(values: &[T], base: i64, width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    out.reserve(values.len() * width as usize / 8 + PADDING_BYTES);
    let mut word = 0_u64;
    let mut filled = 0_u32;
    for &value in values {
        let delta = value.into().wrapping_sub(base).cast_unsigned();
        word |= delta << filled;
        filled += width;
        if filled >= 64 {
            out.extend_from_slice(&word.to_le_bytes());
            filled -= 64;
            // The bits of this value that did not fit; a shift by its whole width leaves none.
            word = delta.checked_shr(width - filled).unwrap_or(0);
        }
    }
    let rest = (filled as usize).div_ceil(8);
    out.extend_from_slice(&word.to_le_bytes()[..rest]);
}

/// A sequence of integers in its encoded form.
#[derive(Clone, Copy, Debug)]
pub struct Ints<'a> {
    entries: &'a [u8],
    bits: &'a [u8],
    len: usize,
}

impl<'a> Ints<'a> {
    /// Opens the sequence at the start of `bytes`; returns it with what follows it.
    ///
    /// POST: on `Ok`, every block's bits lie inside the sequence, so that decoding cannot fail.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<(Ints<'a>, &'a [u8]), Error> {
        let damaged = || Error::damaged("an integer sequence does not fit its length");
        let len = u32_at(bytes, 0)? as usize;
        let bits_length = u32_at(bytes, 4)? as usize;
        let entries_length = len.div_ceil(BLOCK_VALUES) * ENTRY_BYTES;
        let (entries, rest) = bytes[HEAD_BYTES..].split_at_checked(entries_length).ok_or_else(damaged)?;
        let (bits, rest) = rest.split_at_checked(bits_length).ok_or_else(damaged)?;
        let ints = Ints { entries, bits, len };
        for block in 0..ints.blocks() {
            let (offset, width) = (ints.offset(block), ints.width(block));
            let needed = (ints.block_len(block) * width as usize).div_ceil(8) + PADDING_BYTES;
            if width > 64 || offset + needed > bits_length || ints.zone(block).0 > ints.zone(block).1 {
                return Err(damaged());
            }
        }
        Ok((ints, rest))
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.len.div_ceil(BLOCK_VALUES)
    }

    /// Number of values in a block.
    pub fn block_len(&self, block: usize) -> usize {
        self.len.saturating_sub(block * BLOCK_VALUES).min(BLOCK_VALUES)
    }

    /// Smallest and largest value of a block.
    pub fn zone(&self, block: usize) -> (i64, i64) {
        let at = block * ENTRY_BYTES;
        (i64_at(self.entries, at).unwrap_or(0), i64_at(self.entries, at + 8).unwrap_or(0))
    }

    /// Smallest and largest value of all; `None` when there is none.
    pub fn range(&self) -> Option<(i64, i64)> {
        let zones = (0..self.blocks()).map(|block| self.zone(block));
        zones.reduce(|(min, max), (low, high)| (min.min(low), max.max(high)))
    }

    /// Replaces `out` by the values of a block.
    pub fn decode(&self, block: usize, out: &mut Vec<i64>) {
        let base = self.zone(block).0;
        self.unpack(block, out, |delta| base.wrapping_add(delta.cast_signed()));
    }

    /// As [`Ints::decode`] for sequences of `u32`: codes, contexts, shapes, rows.
    pub fn decode_u32(&self, block: usize, out: &mut Vec<u32>) {
        let base = self.zone(block).0.cast_unsigned();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "readers check that the sequence holds u32 only"
        )]
        self.unpack(block, out, |delta| base.wrapping_add(delta) as u32);
    }

    /// All values.
    pub(crate) fn to_vec(self) -> Vec<i64> {
        let mut all = Vec::with_capacity(self.len);
        let mut block_values = Vec::new();
        for block in 0..self.blocks() {
            self.decode(block, &mut block_values);
            all.extend_from_slice(&block_values);
        }
        all
    }

    /// All values of a sequence of `u32`.
    pub(crate) fn to_vec_u32(self) -> Vec<u32> {
        let mut all = Vec::with_capacity(self.len);
        let mut block_values = Vec::new();
        for block in 0..self.blocks() {
            self.decode_u32(block, &mut block_values);
            all.extend_from_slice(&block_values);
        }
        all
    }

    /// One value; 0 beyond the end.
    #[inline]
    pub fn get(&self, index: usize) -> i64 {
        if index >= self.len {
            return 0;
        }
        let block = index / BLOCK_VALUES;
        let width = self.width(block);
        let bits = self.bits.get(self.offset(block)..).unwrap_or(&[]);
        let delta = if width == 0 { 0 } else { read_bits(bits, index % BLOCK_VALUES, width) };
        self.zone(block).0.wrapping_add(delta.cast_signed())
    }

    /// Checks what the encoding promises and [`Ints::open`] does not: every value lies in its block's zone,
    /// and in `low..=high`. Done once per chunk, after its checksum.
    pub(crate) fn validate(&self, low: i64, high: i64) -> Result<(), Error> {
        let mut values = Vec::with_capacity(BLOCK_VALUES);
        for block in 0..self.blocks() {
            self.decode(block, &mut values);
            let (min, max) = self.zone(block);
            let (found_min, found_max) = bounds(&values);
            if found_min < min || found_max > max || min < low || max > high {
                return Err(Error::damaged("a value lies outside of its range"));
            }
        }
        Ok(())
    }

    fn offset(&self, block: usize) -> usize {
        u32_at(self.entries, block * ENTRY_BYTES + 16).unwrap_or(0) as usize
    }

    fn width(&self, block: usize) -> u32 {
        u32_at(self.entries, block * ENTRY_BYTES + 20).unwrap_or(0)
    }

    #[inline]
    fn unpack<T: Clone>(&self, block: usize, out: &mut Vec<T>, map: impl Fn(u64) -> T) {
        out.clear();
        let width = self.width(block);
        let values = self.block_len(block);
        let bits = self.bits.get(self.offset(block)..).unwrap_or(&[]);
        if width == 0 {
            out.resize(values, map(0));
        } else if width <= WORD_WIDTH_MAX {
            unpack_narrow(bits, width as usize, values, out, map);
        } else {
            out.extend((0..values).map(|index| map(read_bits(bits, index, width))));
        }
    }
}

/// A value of this width, starting at any of eight bits, lies inside one 8-byte word.
const WORD_WIDTH_MAX: u32 = 56;

/// The scan's inner loop: eight values start at whole bytes again, so each group takes `width` bytes.
fn unpack_narrow<T>(bits: &[u8], width: usize, values: usize, out: &mut Vec<T>, map: impl Fn(u64) -> T) {
    let mask = (1_u64 << width) - 1;
    out.extend((0..values).map(|index| {
        let bit = index * width;
        let start = bit / 8;
        let word = match bits.get(start..start + 8) {
            Some(slice) => slice.try_into().map_or(0, u64::from_le_bytes),
            None => 0,
        };
        map(word >> (bit % 8) & mask)
    }));
}

#[inline]
fn read_bits(bits: &[u8], index: usize, width: u32) -> u64 {
    let bit = index * width as usize;
    let start = bit / 8;
    let mut wide = [0_u8; 16];
    let available = bits.get(start..).unwrap_or(&[]);
    let length = available.len().min(9);
    wide[..length].copy_from_slice(&available[..length]);
    let shifted = u128::from_le_bytes(wide) >> (bit % 8);
    let mask = u64::MAX >> (64 - width);
    #[expect(clippy::cast_possible_truncation, reason = "the low word is meant")]
    let low = shifted as u64;
    low & mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(values: &[i64]) {
        let mut bytes = vec![7; 3];
        write_ints(values, &mut bytes);
        bytes.extend_from_slice(b"rest");
        let (ints, rest) = Ints::open(&bytes[3..]).expect("opens");
        assert_eq!(rest, b"rest");
        assert_eq!(ints.to_vec(), values);
        for (index, &value) in values.iter().enumerate() {
            assert_eq!(ints.get(index), value, "{index}");
        }
        ints.validate(i64::MIN, i64::MAX).expect("valid");
        assert_eq!(ints.range(), values.iter().copied().min().zip(values.iter().copied().max()));
    }

    #[test]
    fn every_width_comes_back() {
        check(&[]);
        check(&[i64::MIN, i64::MAX, 0, -1]);
        for width in 0..64 {
            let top = 1_i64.checked_shl(width).unwrap_or(0).wrapping_sub(1);
            let values: Vec<i64> =
                (0..2_500).map(|n: i64| n.wrapping_mul(0x09e3_779b_97f4_a7c1) & top).collect();
            check(&values);
        }
    }

    proptest! {
        #[test]
        fn any_values_come_back(values in prop::collection::vec(any::<i64>(), 0..3000)) {
            check(&values);
        }

        #[test]
        fn zone_map_never_excludes_a_matching_block(values in prop::collection::vec(-50_i64..50, 1..4000)) {
            let mut bytes = Vec::new();
            write_ints(&values, &mut bytes);
            let (ints, _) = Ints::open(&bytes).expect("opens");
            for (index, &value) in values.iter().enumerate() {
                let (min, max) = ints.zone(index / BLOCK_VALUES);
                prop_assert!(min <= value && value <= max, "{value} outside of {min}..={max}");
            }
        }

        #[test]
        fn damage_is_an_error_or_harmless(
            values in prop::collection::vec(any::<i32>(), 0..2000), at in any::<prop::sample::Index>(), bit in 0..8_u32,
        ) {
            let values: Vec<i64> = values.into_iter().map(i64::from).collect();
            let mut bytes = Vec::new();
            write_ints(&values, &mut bytes);
            let place = at.index(bytes.len());
            bytes[place] ^= 1_u8 << bit;
            if let Ok((ints, _)) = Ints::open(&bytes) {
                // An error or other values, never a panic.
                ints.validate(0, 100).ok();
                prop_assert_eq!(ints.get(ints.len()), 0);
            }
            prop_assert!(Ints::open(&bytes[..place.min(7)]).is_err());
        }
    }
}
