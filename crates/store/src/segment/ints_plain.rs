//! Sequences of integers without exceptions ([`super::ints`]): constants and packed blocks, read as blocks, as runs
//! and one by one. What this module refuses to do: to panic over wrong bytes.

use super::ints::BLOCK_VALUES;
use super::ints_lanes::block_len;
use super::ints_packed::Packed;
use super::kernels::read_bits;
use crate::error::Error;

/// A sequence without exceptions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plain<'a> {
    Constant { value: i64, len: usize },
    Packed(Packed<'a>),
}

impl Plain<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Plain::Constant { len, .. } => *len,
            Plain::Packed(packed) => packed.len,
        }
    }

    pub(super) fn zone(&self, block: usize) -> (i64, i64) {
        match self {
            Plain::Constant { value, .. } => (*value, *value),
            Plain::Packed(packed) => packed.zone(block),
        }
    }

    pub(super) fn decode(&self, number: usize, out: &mut Vec<i64>) {
        match self {
            Plain::Constant { value, len } => {
                out.clear();
                out.resize(block_len(*len, number), *value);
            }
            Plain::Packed(packed) => {
                let mut lanes = [0; BLOCK_VALUES];
                let block = packed.block(number);
                let values = packed.lanes_of(&block, number, &mut lanes);
                packed.finish(&block, &lanes[..values], out);
            }
        }
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> i64 {
        match self {
            Plain::Constant { value, len } => {
                if index < *len {
                    *value
                } else {
                    0
                }
            }
            Plain::Packed(packed) if index >= packed.len => 0,
            Plain::Packed(packed) if packed.least_delta.is_some() => {
                let mut values = Vec::new();
                self.decode(index / BLOCK_VALUES, &mut values);
                values.get(index % BLOCK_VALUES).copied().unwrap_or(0)
            }
            Plain::Packed(packed) => {
                let block = packed.block(index / BLOCK_VALUES);
                let bits = packed.bits_of(&block, index / BLOCK_VALUES);
                packed.value(block.base.wrapping_add(read_bits(&bits, index % BLOCK_VALUES, block.width)))
            }
        }
    }

    /// Calls `each` with the values of a range of places, in their order; those beyond the end are 0.
    pub(super) fn each_in(&self, places: std::ops::Range<usize>, mut each: impl FnMut(i64)) {
        match self {
            Plain::Constant { value, len } => {
                places.for_each(|place| each(if place < *len { *value } else { 0 }))
            }
            Plain::Packed(packed) if packed.least_delta.is_none() => packed.each_in(places, each),
            Plain::Packed(_) => {
                let mut decoded = None;
                let mut values = Vec::new();
                for place in places {
                    let block = place / BLOCK_VALUES;
                    if decoded != Some(block) {
                        self.decode(block, &mut values);
                        decoded = Some(block);
                    }
                    each(values.get(place % BLOCK_VALUES).copied().unwrap_or(0));
                }
            }
        }
    }

    pub(super) fn check_bits(&self) -> Result<(), Error> {
        match self {
            Plain::Constant { .. } => Ok(()),
            Plain::Packed(packed) => packed.check_bits(),
        }
    }
}
