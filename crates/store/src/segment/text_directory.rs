//! Where the blocks of a text lie: read entry by entry for a value or two, all at once for many.
//!
//! What this module refuses to do: to trust an entry further than its own bytes; what it says is compared with the block
//! when that is opened.

use super::bytes::{u32_at, u64_at};
use super::ints::Ints;
use super::text::{Codec, damaged};
use crate::error::Error;

/// Bytes of an entry in version 1: first code, plain length, offset, stored length, codec.
pub(super) const V1_ENTRY_BYTES: usize = 24;

#[expect(clippy::large_enum_variant, reason = "opened and read on the stack, a few at a time")]
pub(super) enum Directory<'a> {
    V1(&'a [u8]),
    V2 {
        firsts: Ints<'a>,
        ends: Ints<'a>,
        plain_lengths: Ints<'a>,
        filters: &'a [u8],
    },
    /// The same, each list decoded as a whole.
    Unpacked {
        firsts: Vec<i64>,
        ends: Vec<i64>,
        plain_lengths: Vec<i64>,
        filters: &'a [u8],
    },
}

/// Where a block lies and how it is packed.
pub(super) struct Block {
    pub(super) values: std::ops::Range<u32>,
    pub(super) plain_length: usize,
    pub(super) offset: u64,
    pub(super) stored_length: u64,
    /// `None` when its first byte tells.
    pub(super) codec: Option<Codec>,
}

fn all(ints: &Ints<'_>) -> Vec<i64> {
    let mut all = Vec::with_capacity(ints.len());
    let mut block = Vec::new();
    for number in 0..ints.blocks() {
        ints.decode(number, &mut block);
        all.extend_from_slice(&block);
    }
    all
}

impl<'a> Directory<'a> {
    /// With all entries at hand.
    pub(super) fn unpacked(self) -> Directory<'a> {
        match self {
            Directory::V2 { firsts, ends, plain_lengths, filters } => Directory::Unpacked {
                firsts: all(&firsts),
                ends: all(&ends),
                plain_lengths: all(&plain_lengths),
                filters,
            },
            other => other,
        }
    }

    pub(super) fn blocks(&self) -> usize {
        match self {
            Directory::V1(entries) => entries.len() / V1_ENTRY_BYTES,
            Directory::V2 { firsts, .. } => firsts.len(),
            Directory::Unpacked { firsts, .. } => firsts.len(),
        }
    }

    /// The filters of words of all blocks.
    pub(super) fn filters(&self) -> &'a [u8] {
        match self {
            Directory::V1(_) => &[],
            Directory::V2 { filters, .. } | Directory::Unpacked { filters, .. } => filters,
        }
    }

    /// The first code of a block.
    pub(super) fn first(&self, block: usize) -> u32 {
        let code = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        match self {
            Directory::V1(entries) => u32_at(entries, block * V1_ENTRY_BYTES).unwrap_or(u32::MAX),
            Directory::V2 { firsts, .. } => code(firsts.get(block)),
            Directory::Unpacked { firsts, .. } => firsts.get(block).map_or(u32::MAX, |&first| code(first)),
        }
    }

    /// The entry of a block, which has these values.
    pub(super) fn block(&self, number: usize, values: std::ops::Range<u32>) -> Result<Block, Error> {
        let (end_before, end, plain_length) = match self {
            Directory::V1(entries) => {
                let at = number * V1_ENTRY_BYTES;
                return Ok(Block {
                    values,
                    plain_length: u32_at(entries, at + 4)? as usize,
                    offset: u64_at(entries, at + 8)?,
                    stored_length: u64::from(u32_at(entries, at + 16)?),
                    codec: Some(Codec::from_number(u32_at(entries, at + 20)?).ok_or_else(damaged)?),
                });
            }
            Directory::V2 { ends, plain_lengths, .. } => (
                number.checked_sub(1).map(|before| ends.get(before)),
                ends.get(number),
                plain_lengths.get(number),
            ),
            Directory::Unpacked { ends, plain_lengths, .. } => {
                let of = |list: &[i64], place: usize| list.get(place).copied().ok_or_else(damaged);
                let before = number.checked_sub(1).map(|before| of(ends, before)).transpose()?;
                (before, of(ends, number)?, of(plain_lengths, number)?)
            }
        };
        let place = |value: i64| u64::try_from(value).map_err(|_| damaged());
        let offset = place(end_before.unwrap_or(0))?;
        let stored_length = place(end)?.checked_sub(offset).ok_or_else(damaged)?;
        let plain_length = place(plain_length)?;
        let codec = if stored_length == plain_length { Some(Codec::Plain) } else { None };
        let plain_length = usize::try_from(plain_length).map_err(|_| damaged())?;
        Ok(Block { values, plain_length, offset, stored_length, codec })
    }
}
