//! The parts of sequences of integers ([`super::ints`]): heads, packed blocks, exceptions.

use super::bytes::{i64_at, u32_at, u64_at};
use super::ints::{
    BLOCK_VALUES, FLAG_EXCEPTIONS, FLAG_STEP, FLAG_WRAPPED, FORM_CONSTANT, FORM_DELTAS, FORM_PACKED,
    GROUP_BLOCKS, HEAD_BYTES, PADDING_BYTES,
};
use super::ints_packed::{Block, EntryBytes, Packed};
use super::ints_plain::Plain;
use super::ints_wrap::{Bits, BlockBits};
use super::kernels::read_bits;
use super::machine::{unpack_u32, unpack_u64};
use super::reader::Segment;
use crate::error::Error;

/// Bytes of a block's directory entry in version 1: min, max, offset, width, three zeros.
pub(super) const V1_ENTRY_BYTES: usize = 24;

/// A sequence without a dictionary.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "opened and read on the stack, a few at a time")]
pub(super) enum Lanes<'a> {
    V1 {
        entries: &'a [u8],
        bits: &'a [u8],
        len: usize,
    },
    Plain(Plain<'a>),
    /// Lanes of which some lack their upper bits: where, and which.
    Patched {
        packed: Packed<'a>,
        positions: Plain<'a>,
        excess: Plain<'a>,
    },
}

/// Values of a patched block that are read one by one: each looks through the block's exceptions.
const PATCHED_ONE_BY_ONE: usize = 32;

/// Values of wrapped blocks that are read one by one.
const WRAPPED_ONE_BY_ONE: usize = 64;

/// The exceptions of a block: no more than it has values, whatever its entry says.
fn exceptions_of(block: &Block, values: usize) -> std::ops::Range<usize> {
    block.exceptions_before..block.exceptions_before.saturating_add(block.exceptions.min(values))
}

pub(super) fn damaged() -> Error {
    Error::damaged("an integer sequence does not fit its length")
}

pub(super) fn index(value: i64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

pub(super) fn block_len(len: usize, block: usize) -> usize {
    len.saturating_sub(block.saturating_mul(BLOCK_VALUES)).min(BLOCK_VALUES)
}

/// A sequence's head and body.
pub(super) struct Sequence<'a> {
    pub(super) len: usize,
    pub(super) form: u8,
    flags: u8,
    entry: EntryBytes,
    smallest: i64,
    pub(super) body: &'a [u8],
}

/// Splits the sequence at the start of `bytes` off.
pub(super) fn split(bytes: &[u8]) -> Result<(Sequence<'_>, &[u8]), Error> {
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES).ok_or_else(damaged)?;
    let (body, rest) = rest.split_at_checked(u32_at(head, 4)? as usize).ok_or_else(damaged)?;
    let width = |at: usize| usize::from(head[at]);
    let entry = EntryBytes {
        base: width(10),
        range: width(11),
        first: width(12),
        delta: width(13),
        exceptions: width(14),
    };
    if head[10..15].iter().any(|&width| width > 8) || head[15] != 0 {
        return Err(damaged());
    }
    let sequence = Sequence {
        len: u32_at(head, 0)? as usize,
        form: head[8],
        flags: head[9],
        entry,
        smallest: i64_at(head, 16)?,
        body,
    };
    Ok((sequence, rest))
}

impl<'a> Sequence<'a> {
    /// With the segment that it lies in, where its bits may be wrapped.
    pub(super) fn lanes(&self, segment: Option<&'a Segment>) -> Result<Lanes<'a>, Error> {
        if self.flags & FLAG_EXCEPTIONS == 0 {
            return self.plain(segment).map(Lanes::Plain);
        }
        let (packed, rest) = self.packed(segment)?;
        let (positions, rest) = split(rest)?;
        let (excess, _) = split(rest)?;
        let (positions, excess) = (positions.plain(None)?, excess.plain(None)?);
        if positions.len() != excess.len() {
            return Err(damaged());
        }
        Ok(Lanes::Patched { packed, positions, excess })
    }

    pub(super) fn plain(&self, segment: Option<&'a Segment>) -> Result<Plain<'a>, Error> {
        match self.form {
            FORM_CONSTANT => Ok(Plain::Constant { value: self.smallest, len: self.len }),
            FORM_PACKED | FORM_DELTAS if self.flags & FLAG_EXCEPTIONS == 0 => {
                self.packed(segment).map(|(packed, _)| Plain::Packed(packed))
            }
            _ => Err(damaged()),
        }
    }

    /// The packed blocks, and what follows them.
    fn packed(&self, segment: Option<&'a Segment>) -> Result<(Packed<'a>, &'a [u8]), Error> {
        if !matches!(self.form, FORM_PACKED | FORM_DELTAS) {
            return Err(damaged());
        }
        let bits_length = u32_at(self.body, 0)? as usize;
        let mut at = 4;
        let mut number = |present: bool, otherwise: u64| -> Result<u64, Error> {
            if !present {
                return Ok(otherwise);
            }
            at += 8;
            u64_at(self.body, at - 8)
        };
        let step = number(self.flags & FLAG_STEP != 0, 1)?;
        let is_deltas = self.form == FORM_DELTAS;
        let least_delta = number(is_deltas, 0)?.cast_signed();
        let has_exceptions = self.flags & FLAG_EXCEPTIONS != 0;
        let blocks = self.len.div_ceil(BLOCK_VALUES);
        let group_bytes = if has_exceptions { 8 } else { 4 };
        let rest = self.body.get(at..).ok_or_else(damaged)?;
        let (groups, rest) =
            rest.split_at_checked(blocks.div_ceil(GROUP_BLOCKS) * group_bytes).ok_or_else(damaged)?;
        let (entries, rest) = rest.split_at_checked(blocks * self.entry.total()).ok_or_else(damaged)?;
        let (bits, rest) = rest.split_at_checked(bits_length).ok_or_else(damaged)?;
        let bits = match segment {
            _ if self.flags & FLAG_WRAPPED == 0 => Bits::Here(bits),
            Some(segment) => Bits::Wrapped { stored: bits, segment },
            None => return Err(Error::damaged("integers are in a wrap where none is")),
        };
        let packed = Packed {
            len: self.len,
            smallest: self.smallest,
            step,
            least_delta: is_deltas.then_some(least_delta),
            entry: self.entry,
            has_exceptions,
            groups,
            entries,
            bits,
        };
        Ok((packed, rest))
    }
}

impl Lanes<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Lanes::V1 { len, .. } => *len,
            Lanes::Plain(plain) => plain.len(),
            Lanes::Patched { packed, .. } => packed.len,
        }
    }

    /// Whether so many values of a block cost more one by one than all of it together.
    pub(super) fn is_slow(&self, values: usize) -> bool {
        match self {
            Lanes::V1 { .. } | Lanes::Plain(Plain::Constant { .. }) => false,
            Lanes::Plain(Plain::Packed(packed)) => {
                packed.least_delta.is_some() || (packed.is_wrapped() && values > WRAPPED_ONE_BY_ONE)
            }
            Lanes::Patched { packed, .. } => packed.least_delta.is_some() || values > PATCHED_ONE_BY_ONE,
        }
    }

    pub(super) fn zone(&self, block: usize) -> (i64, i64) {
        match self {
            Lanes::V1 { entries, .. } => {
                let at = block * V1_ENTRY_BYTES;
                (i64_at(entries, at).unwrap_or(0), i64_at(entries, at + 8).unwrap_or(0))
            }
            Lanes::Plain(plain) => plain.zone(block),
            Lanes::Patched { packed, .. } => packed.zone(block),
        }
    }

    pub(super) fn decode(&self, number: usize, out: &mut Vec<i64>) {
        match self {
            Lanes::V1 { bits, len, .. } => {
                let mut lanes = [0; BLOCK_VALUES];
                let values = block_len(*len, number);
                let (offset, width) = self.v1_place(number);
                unpack_u64(bits.get(offset..).unwrap_or(&[]), width, &mut lanes[..values]);
                let base = self.zone(number).0;
                out.clear();
                out.extend(lanes[..values].iter().map(|&lane| base.wrapping_add(lane.cast_signed())));
            }
            Lanes::Plain(plain) => plain.decode(number, out),
            Lanes::Patched { packed, positions, excess } => {
                let mut lanes = [0; BLOCK_VALUES];
                let block = packed.block(number);
                let values = packed.lanes_of(&block, number, &mut lanes);
                let exceptions = exceptions_of(&block, values);
                let mut above = Vec::with_capacity(exceptions.len());
                excess.each_in(exceptions.clone(), |excess| above.push(excess));
                let mut above = above.into_iter();
                positions.each_in(exceptions, |position| {
                    let excess = above.next().unwrap_or(0);
                    if let Some(lane) = lanes[..values].get_mut(index(position)) {
                        *lane |= excess.cast_unsigned().checked_shl(block.width).unwrap_or(0);
                    }
                });
                packed.finish(&block, &lanes[..values], out);
            }
        }
    }

    /// The short way for narrow plain blocks; false when there is none.
    pub(super) fn decode_u32(&self, number: usize, out: &mut Vec<u32>) -> bool {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "readers check that the sequence holds u32 only"
        )]
        let narrow = |value: i64| value as u32;
        let (width, base, values, bits) = match self {
            Lanes::Plain(Plain::Constant { value, len }) => {
                out.clear();
                out.resize(block_len(*len, number), narrow(*value));
                return true;
            }
            Lanes::Plain(Plain::Packed(packed)) if packed.least_delta.is_none() && packed.step == 1 => {
                let block = packed.block(number);
                let base = packed.value(block.base);
                (block.width, base, block_len(packed.len, number), packed.bits_of(&block, number))
            }
            Lanes::V1 { bits, len, .. } => {
                let (offset, width) = self.v1_place(number);
                let bits = BlockBits::Here(bits.get(offset..).unwrap_or(&[]));
                (width, self.zone(number).0, block_len(*len, number), bits)
            }
            _ => return false,
        };
        if width > 32 {
            return false;
        }
        out.clear();
        out.resize(values, 0);
        unpack_u32(&bits, width, out);
        if base != 0 {
            let base = narrow(base);
            out.iter_mut().for_each(|value| *value = value.wrapping_add(base));
        }
        true
    }

    #[inline]
    pub(super) fn get(&self, place: usize) -> i64 {
        match self {
            Lanes::Plain(plain) => plain.get(place),
            Lanes::V1 { bits, len, .. } => {
                if place >= *len {
                    return 0;
                }
                let (offset, width) = self.v1_place(place / BLOCK_VALUES);
                let lane = read_bits(bits.get(offset..).unwrap_or(&[]), place % BLOCK_VALUES, width);
                self.zone(place / BLOCK_VALUES).0.wrapping_add(lane.cast_signed())
            }
            Lanes::Patched { packed, .. } if place >= packed.len => 0,
            Lanes::Patched { packed, positions, excess } if packed.least_delta.is_none() => {
                let block = packed.block(place / BLOCK_VALUES);
                let bits = packed.bits_of(&block, place / BLOCK_VALUES);
                let mut lane = read_bits(&bits, place % BLOCK_VALUES, block.width);
                let exceptions = exceptions_of(&block, block_len(packed.len, place / BLOCK_VALUES));
                let mut exception = exceptions.start;
                positions.each_in(exceptions, |position| {
                    if index(position) == place % BLOCK_VALUES {
                        lane |= excess.get(exception).cast_unsigned().checked_shl(block.width).unwrap_or(0);
                    }
                    exception += 1;
                });
                // As the whole block does it: a step counts lanes.
                packed.value(block.base).wrapping_add(lane.wrapping_mul(packed.step).cast_signed())
            }
            Lanes::Patched { .. } => {
                let mut values = Vec::new();
                self.decode(place / BLOCK_VALUES, &mut values);
                values.get(place % BLOCK_VALUES).copied().unwrap_or(0)
            }
        }
    }

    /// Offset and width of a block of version 1.
    fn v1_place(&self, block: usize) -> (usize, u32) {
        let Lanes::V1 { entries, .. } = self else { return (0, 0) };
        let number = |at: usize| u32_at(entries, block * V1_ENTRY_BYTES + at).unwrap_or(0);
        (number(16) as usize, number(20).min(64))
    }

    pub(super) fn validate(&self, low: i64, high: i64) -> Result<(), Error> {
        match self {
            Lanes::V1 { entries, bits, len } => {
                for block in 0..len.div_ceil(BLOCK_VALUES) {
                    let (offset, width) = self.v1_place(block);
                    let needed = (block_len(*len, block) * width as usize).div_ceil(8) + PADDING_BYTES;
                    let stored = u32_at(entries, block * V1_ENTRY_BYTES + 20)?;
                    if stored > 64 || offset + needed > bits.len() {
                        return Err(damaged());
                    }
                }
            }
            Lanes::Plain(plain) => plain.check_bits()?,
            Lanes::Patched { packed, positions, excess } => {
                packed.check_bits()?;
                positions.check_bits()?;
                excess.check_bits()?;
                let of_block = |block| packed.block(block).exceptions;
                let blocks = 0..packed.len.div_ceil(BLOCK_VALUES);
                let exceptions = blocks.map(of_block).fold(0, usize::saturating_add);
                let mut inside = true;
                positions.each_in(0..positions.len(), |position| {
                    inside &= index(position) < BLOCK_VALUES.min(packed.len);
                });
                if exceptions != positions.len() || !inside {
                    return Err(Error::damaged("exceptions of a block lie elsewhere"));
                }
            }
        }
        let mut values = Vec::with_capacity(BLOCK_VALUES);
        for block in 0..self.len().div_ceil(BLOCK_VALUES) {
            self.decode(block, &mut values);
            let (min, max) = self.zone(block);
            let (found_min, found_max) = bounds(&values);
            if found_min < min || found_max > max || min < low || max > high {
                return Err(Error::damaged("a value lies outside of its range"));
            }
        }
        Ok(())
    }
}

fn bounds(values: &[i64]) -> (i64, i64) {
    values.iter().fold((i64::MAX, i64::MIN), |(min, max), &value| (min.min(value), max.max(value)))
}
