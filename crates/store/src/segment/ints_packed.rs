//! Packed blocks of integers ([`super::ints`]): their directory, and the way from bits to values.

use super::bytes::u32_at;
use super::ints::{BLOCK_VALUES, GROUP_BLOCKS, PADDING_BYTES};
use super::ints_lanes::{block_len, damaged};
use super::ints_wrap::Bits;
use super::kernels::read_bits;
use super::machine::unpack_u64;
use crate::error::Error;

/// How many bytes each part of a directory entry takes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EntryBytes {
    pub(super) base: usize,
    pub(super) range: usize,
    pub(super) first: usize,
    pub(super) delta: usize,
    pub(super) exceptions: usize,
}

impl EntryBytes {
    /// With the byte of the width.
    pub(super) fn total(self) -> usize {
        self.base + self.range + 1 + self.first + self.delta + self.exceptions
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a> {
    pub(super) len: usize,
    pub(super) smallest: i64,
    pub(super) step: u64,
    /// Of deltas: the smallest of all.
    pub(super) least_delta: Option<i64>,
    pub(super) entry: EntryBytes,
    pub(super) has_exceptions: bool,
    pub(super) groups: &'a [u8],
    pub(super) entries: &'a [u8],
    pub(super) bits: Bits<'a>,
}

/// A block's directory entry.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Block {
    /// Smallest value, in steps above the sequence's smallest.
    pub(super) base: u64,
    pub(super) width: u32,
    /// Of deltas: the first value above the base, and the smallest delta above the sequence's.
    pub(super) first: u64,
    pub(super) delta: u64,
    pub(super) exceptions: usize,
    /// Where its bits start; of a wrapped sequence in the unwrapped group.
    pub(super) offset: usize,
    /// Exceptions of the blocks before it.
    pub(super) exceptions_before: usize,
}

/// A number of at most 64 bits as a count; what is wrong becomes a count that nothing has.
#[inline]
fn small(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX >> 8)
}

/// `width` bytes as a number.
#[inline]
fn number_at(bytes: &[u8], at: usize, width: usize) -> u64 {
    let mut wide = [0_u8; 8];
    if let Some(source) = bytes.get(at..at + width) {
        wide[..width].copy_from_slice(source);
    }
    u64::from_le_bytes(wide)
}

impl<'a> Packed<'a> {
    pub(super) fn block(&self, block: usize) -> Block {
        let entry = self.entry;
        let size = entry.total();
        let at = block * size;
        let part = |place: usize, width: usize| number_at(self.entries, place, width);
        let width_place = entry.base + entry.range;
        let group = block / GROUP_BLOCKS;
        let group_bytes = if self.has_exceptions { 8 } else { 4 };
        let mut offset = if self.is_wrapped() { 0 } else { self.group_start(group) };
        let mut exceptions_before = 0;
        if self.has_exceptions {
            exceptions_before = u32_at(self.groups, group * group_bytes + 4).unwrap_or(0) as usize;
        }
        for earlier in group * GROUP_BLOCKS..block {
            let at = earlier * size;
            // A full block's bits take 128 bytes per bit of width.
            let width = self.entries.get(at + width_place).copied().unwrap_or(0);
            offset += usize::from(width) * (BLOCK_VALUES / 8);
            if entry.exceptions > 0 {
                exceptions_before += small(part(at + size - entry.exceptions, entry.exceptions));
            }
        }
        Block {
            base: part(at, entry.base),
            width: u32::from(self.entries.get(at + width_place).copied().unwrap_or(0)),
            first: part(at + width_place + 1, entry.first),
            delta: part(at + width_place + 1 + entry.first, entry.delta),
            exceptions: small(part(at + size - entry.exceptions, entry.exceptions)),
            offset,
            exceptions_before,
        }
    }

    /// Where the bits of a group of blocks start, or its wrap.
    pub(super) fn group_start(&self, group: usize) -> usize {
        let group_bytes = if self.has_exceptions { 8 } else { 4 };
        u32_at(self.groups, group * group_bytes).unwrap_or(0) as usize
    }

    /// The width of a block.
    pub(super) fn width_of(&self, block: usize) -> usize {
        let at = block * self.entry.total() + self.entry.base + self.entry.range;
        usize::from(self.entries.get(at).copied().unwrap_or(0))
    }

    /// The value of a number of steps.
    #[inline]
    pub(super) fn value(&self, steps: u64) -> i64 {
        self.smallest.wrapping_add(steps.wrapping_mul(self.step).cast_signed())
    }

    #[inline]
    pub(super) fn zone(&self, block: usize) -> (i64, i64) {
        let at = block * self.entry.total();
        let base = number_at(self.entries, at, self.entry.base);
        let range = number_at(self.entries, at + self.entry.base, self.entry.range);
        (self.value(base), self.value(base.wrapping_add(range)))
    }

    /// Calls `each` with the values of a range of places, of which those beyond the end are 0. The directory is read
    /// once a block. Not for deltas.
    pub(super) fn each_in(&self, places: std::ops::Range<usize>, mut each: impl FnMut(i64)) {
        let mut place = places.start;
        while place < places.end {
            let number = place / BLOCK_VALUES;
            let end = places.end.min((number + 1) * BLOCK_VALUES);
            let block = self.block(number);
            let bits = self.bits_of(&block, number);
            for place in place..end {
                let steps = block.base.wrapping_add(read_bits(&bits, place % BLOCK_VALUES, block.width));
                each(if place < self.len { self.value(steps) } else { 0 });
            }
            place = end;
        }
    }

    pub(super) fn lanes_of(&self, block: &Block, number: usize, lanes: &mut [u64; BLOCK_VALUES]) -> usize {
        let values = block_len(self.len, number);
        unpack_u64(&self.bits_of(block, number), block.width, &mut lanes[..values]);
        values
    }

    /// Turns lanes into values.
    pub(super) fn finish(&self, block: &Block, lanes: &[u64], out: &mut Vec<i64>) {
        out.clear();
        let Some(least) = self.least_delta else {
            let base = self.value(block.base);
            if self.step == 1 {
                out.extend(lanes.iter().map(|&lane| base.wrapping_add(lane.cast_signed())));
            } else {
                out.extend(
                    lanes.iter().map(|&lane| base.wrapping_add(lane.wrapping_mul(self.step).cast_signed())),
                );
            }
            return;
        };
        let least = least.cast_unsigned().wrapping_add(block.delta);
        let mut steps = block.base.wrapping_add(block.first);
        out.extend(lanes.iter().enumerate().map(|(index, &lane)| {
            if index > 0 {
                steps = steps.wrapping_add(least).wrapping_add(lane);
            }
            self.value(steps)
        }));
    }

    pub(super) fn check_bits(&self) -> Result<(), Error> {
        self.check_wrap()?;
        let mut expected = 0;
        let mut exceptions = 0;
        for number in 0..self.len.div_ceil(BLOCK_VALUES) {
            let block = self.block(number);
            let needed = (block_len(self.len, number) * block.width as usize).div_ceil(8) + PADDING_BYTES;
            let is_there = match self.bits {
                Bits::Here(bits) => block.offset == expected && block.offset + needed <= bits.len(),
                // Checked with the wraps.
                Bits::Wrapped { .. } => true,
            };
            if block.width > 64 || block.exceptions_before != exceptions || !is_there {
                return Err(damaged());
            }
            expected += block.width as usize * (BLOCK_VALUES / 8);
            exceptions = exceptions.saturating_add(block.exceptions);
        }
        Ok(())
    }
}
