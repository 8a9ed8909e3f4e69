//! Sequences of integers, read in their encoded form: blocks of 1,024 whose directory is the zone map, packed
//! to as few bits as the block needs (docs/formats/segment.md, "Integers"). [`super::ints_write`] writes them.
//!
//! Everything whole-numbered goes through here: times, codes, booleans, durations, rows. What a sequence may be
//! beside plain blocks (deltas, exceptions, a dictionary, a step) is chosen by size when it is written, and
//! decoded here without the caller's knowing.
//!
//! What this module refuses to do: to panic over wrong bytes. Opening checks lengths only and costs the same for
//! every length; [`Ints::validate`] checks the rest once, and until then wrong bytes give wrong values.

use std::cell::RefCell;

use super::bytes::u32_at;
use super::header::Version;
use super::ints_lanes::{Lanes, V1_ENTRY_BYTES, block_len, damaged, index, split};
use super::ints_plain::Plain;
use super::reader::Segment;
use crate::error::Error;

/// Values of one block: a zone small enough to prune with, and a directory entry of a few bytes.
pub const BLOCK_VALUES: usize = 1024;

/// Blocks that share an offset in the directory.
pub(super) const GROUP_BLOCKS: usize = 8;
/// Bytes of a sequence's head.
pub(super) const HEAD_BYTES: usize = 24;
/// Zero bytes after the bits, so that every value can be read as one unaligned word.
pub(super) const PADDING_BYTES: usize = 8;

pub(super) const FORM_CONSTANT: u8 = 0;
pub(super) const FORM_PACKED: u8 = 1;
pub(super) const FORM_DELTAS: u8 = 2;
pub(super) const FORM_DICTIONARY: u8 = 3;
pub(super) const FLAG_EXCEPTIONS: u8 = 1;
pub(super) const FLAG_STEP: u8 = 2;
/// Since version 3.
pub(super) const FLAG_WRAPPED: u8 = 4;

thread_local! {
    /// A block under decoding: a wide row reads one block each of dozens of columns.
    static SCRATCH: RefCell<Vec<i64>> = const { RefCell::new(Vec::new()) };
}

const V1_HEAD_BYTES: usize = 8;
/// A dictionary's values between a block's smallest and largest code are read together up to this many.
const VALUE_WINDOW: usize = 4096;

/// A sequence of integers in its encoded form.
#[derive(Clone, Copy, Debug)]
pub struct Ints<'a> {
    lanes: Lanes<'a>,
    /// Of a sequence with a dictionary, whose lanes are places in it: the values, strictly rising.
    values: Option<Plain<'a>>,
    /// Whether these may repeat.
    may_repeat: bool,
}

impl<'a> Ints<'a> {
    /// Opens the sequence at the start of `bytes`; returns it with what follows it.
    ///
    /// POST: on `Ok`, reading any value or block cannot fail, whatever it gives.
    pub(crate) fn open(bytes: &'a [u8], version: Version) -> Result<(Ints<'a>, &'a [u8]), Error> {
        if version == Version::V1 {
            return Ints::open_v1(bytes);
        }
        Ints::open_wrapped(bytes, None)
    }

    /// The same for a sequence of a segment's chunk, whose bits may be wrapped ([`super::ints_wrap`]).
    pub(crate) fn open_in(bytes: &'a [u8], segment: &'a Segment) -> Result<(Ints<'a>, &'a [u8]), Error> {
        match segment.version() {
            Version::V1 => Ints::open_v1(bytes),
            Version::V2 => Ints::open_wrapped(bytes, None),
            Version::V3 => Ints::open_wrapped(bytes, Some(segment)),
        }
    }

    fn open_wrapped(bytes: &'a [u8], segment: Option<&'a Segment>) -> Result<(Ints<'a>, &'a [u8]), Error> {
        let (sequence, rest) = split(bytes)?;
        if sequence.form != FORM_DICTIONARY {
            return Ok((Ints { lanes: sequence.lanes(segment)?, values: None, may_repeat: false }, rest));
        }
        let (codes, values) = split(sequence.body)?;
        let (values, _) = split(values)?;
        if codes.len != sequence.len || codes.form == FORM_DICTIONARY {
            return Err(damaged());
        }
        Ok((
            Ints { lanes: codes.lanes(segment)?, values: Some(values.plain(None)?), may_repeat: false },
            rest,
        ))
    }

    fn open_v1(bytes: &'a [u8]) -> Result<(Ints<'a>, &'a [u8]), Error> {
        let len = u32_at(bytes, 0)? as usize;
        let bits_length = u32_at(bytes, 4)? as usize;
        let entries_length = len.div_ceil(BLOCK_VALUES) * V1_ENTRY_BYTES;
        let (entries, rest) = bytes[V1_HEAD_BYTES..].split_at_checked(entries_length).ok_or_else(damaged)?;
        let (bits, rest) = rest.split_at_checked(bits_length).ok_or_else(damaged)?;
        Ok((Ints { lanes: Lanes::V1 { entries, bits, len }, values: None, may_repeat: false }, rest))
    }

    /// A sequence with a dictionary, with other values for the same places: those of `values`, which never fall.
    pub(super) fn with_values(self, values: Ints<'a>) -> Result<Ints<'a>, Error> {
        match (self.values, values) {
            (Some(own), Ints { lanes: Lanes::Plain(values), values: None, .. })
                if own.len() == values.len() =>
            {
                Ok(Ints { lanes: self.lanes, values: Some(values), may_repeat: true })
            }
            _ => Err(damaged()),
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.len().div_ceil(BLOCK_VALUES)
    }

    /// Number of values in a block.
    pub fn block_len(&self, block: usize) -> usize {
        block_len(self.len(), block)
    }

    /// Smallest and largest value of a block.
    pub fn zone(&self, block: usize) -> (i64, i64) {
        let (min, max) = self.lanes.zone(block);
        match &self.values {
            None => (min, max),
            Some(values) => (values.get(index(min)), values.get(index(max))),
        }
    }

    /// Of a sequence that rises: the first block that holds a value of at least `wanted`.
    pub(crate) fn first_block(&self, wanted: i64) -> usize {
        let (mut low, mut high) = (0, self.blocks());
        while low < high {
            let middle = low.midpoint(high);
            if self.zone(middle).1 < wanted { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Smallest and largest value of all; `None` when there is none.
    pub fn range(&self) -> Option<(i64, i64)> {
        let zones = (0..self.blocks()).map(|block| self.zone(block));
        zones.reduce(|(min, max), (low, high)| (min.min(low), max.max(high)))
    }

    /// Replaces `out` by the values of a block.
    pub fn decode(&self, block: usize, out: &mut Vec<i64>) {
        self.lanes.decode(block, out);
        let Some(values) = &self.values else { return };
        let (low, high) = self.lanes.zone(block);
        let low = index(low);
        let window = index(high).saturating_sub(low).saturating_add(1);
        if window <= VALUE_WINDOW {
            let mut known = Vec::with_capacity(window);
            values.each_in(low..low + window, |value| known.push(value));
            for value in out {
                *value = known.get(index(*value).wrapping_sub(low)).copied().unwrap_or(0);
            }
        } else {
            out.iter_mut().for_each(|value| *value = values.get(index(*value)));
        }
    }

    /// As [`Ints::decode`] for sequences of `u32`: codes, contexts, shapes, rows.
    pub fn decode_u32(&self, block: usize, out: &mut Vec<u32>) {
        if self.values.is_none() && self.lanes.decode_u32(block, out) {
            return;
        }
        let mut wide = Vec::with_capacity(BLOCK_VALUES);
        self.decode(block, &mut wide);
        out.clear();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "readers check that the sequence holds u32 only"
        )]
        out.extend(wide.iter().map(|&value| value as u32));
    }

    /// All values.
    pub(crate) fn to_vec(self) -> Vec<i64> {
        let mut all = Vec::with_capacity(self.len());
        let mut block_values = Vec::new();
        for block in 0..self.blocks() {
            self.decode(block, &mut block_values);
            all.extend_from_slice(&block_values);
        }
        all
    }

    /// All values of a sequence of `u32`.
    pub(crate) fn to_vec_u32(self) -> Vec<u32> {
        let mut all = Vec::with_capacity(self.len());
        let mut block_values = Vec::new();
        for block in 0..self.blocks() {
            self.decode_u32(block, &mut block_values);
            all.extend_from_slice(&block_values);
        }
        all
    }

    /// One value; 0 beyond the end. Of deltas this decodes a block: whoever wants many goes block by block.
    #[inline]
    pub fn get(&self, place: usize) -> i64 {
        let lane = self.lanes.get(place);
        match &self.values {
            Some(values) if place < self.len() => values.get(index(lane)),
            _ => lane,
        }
    }

    /// Appends the values of a range of places; those beyond the end are 0.
    pub(crate) fn run(&self, places: std::ops::Range<usize>, out: &mut Vec<i64>) {
        match (&self.lanes, &self.values) {
            (Lanes::Plain(plain), None) => plain.each_in(places, |value| out.push(value)),
            _ => out.extend(places.map(|place| self.get(place))),
        }
    }

    /// The values at some places; equal neighbours and places of one block are decoded once.
    pub(crate) fn values_at(&self, places: impl Iterator<Item = usize>) -> Vec<i64> {
        let places: Vec<usize> = places.collect();
        if !self.lanes.is_slow(places.len()) {
            if let Lanes::Plain(Plain::Packed(packed)) = &self.lanes
                && packed.is_wrapped()
            {
                let mut found = Vec::with_capacity(places.len());
                packed.each_at(&places, |lane| found.push(lane));
                if let Some(values) = &self.values {
                    for (value, _) in found.iter_mut().zip(&places).filter(|(_, place)| **place < self.len())
                    {
                        *value = values.get(index(*value));
                    }
                }
                return found;
            }
            return places.into_iter().map(|place| self.get(place)).collect();
        }
        SCRATCH.with_borrow_mut(|values| {
            let mut decoded: Option<usize> = None;
            let value = |place: usize| {
                let block = place / BLOCK_VALUES;
                if decoded != Some(block) {
                    self.decode(block, values);
                    decoded = Some(block);
                }
                values.get(place % BLOCK_VALUES).copied().unwrap_or(0)
            };
            places.into_iter().map(value).collect()
        })
    }

    /// Checks what the encoding promises and [`Ints::open`] does not: every block's bits are there, every value
    /// lies in its block's zone, and in `low..=high`. Done once per chunk.
    pub(crate) fn validate(&self, low: i64, high: i64) -> Result<(), Error> {
        let outside = || Error::damaged("a value lies outside of its range");
        if let Some(values) = &self.values {
            values.check_bits()?;
            if values.len() > self.len() {
                return Err(Error::damaged("a dictionary of integers has more values than are used"));
            }
            let mut all = Vec::with_capacity(values.len());
            values.each_in(0..values.len(), |value| all.push(value));
            if all.windows(2).any(|pair| pair[0] > pair[1] || (pair[0] == pair[1] && !self.may_repeat)) {
                return Err(Error::damaged("a dictionary of integers does not rise"));
            }
            if all.first().is_some_and(|&first| first < low) || all.last().is_some_and(|&last| last > high) {
                return Err(outside());
            }
            let last = i64::try_from(all.len()).unwrap_or(i64::MAX) - 1;
            return self.lanes.validate(0, last);
        }
        self.lanes.validate(low, high)
    }
}

#[cfg(test)]
#[path = "ints_tests.rs"]
mod tests;
