//! Which codes of a dictionary each slot has seen: COUNT_DISTINCT within a part, before any hash is looked up.
//!
//! A bit for each code where slots are few, pairs of slot and code where they are many.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use skein_event::limits::DISTINCT_BITS_BYTES_MAX;

use crate::hashing::Spread;

/// The codes of one part of a column.
#[derive(Default)]
pub(crate) struct SeenCodes {
    codes: usize,
    /// By slot, for those that have bits.
    bits: Vec<Vec<u64>>,
    bits_bytes: usize,
    pairs: HashSet<u64, BuildHasherDefault<Spread>>,
}

impl SeenCodes {
    pub(crate) fn new(codes: usize) -> SeenCodes {
        SeenCodes { codes, ..SeenCodes::default() }
    }

    /// The bits of a slot, unless there are too many slots.
    #[inline]
    fn bits_of(&mut self, slot: u32) -> Option<&mut Vec<u64>> {
        let place = slot as usize;
        let known = self.bits.get(place).is_some_and(|bits| !bits.is_empty());
        if !known {
            let bytes = self.codes.div_ceil(64) * 8;
            if self.codes == 0 || self.bits_bytes + bytes > DISTINCT_BITS_BYTES_MAX {
                return None;
            }
            self.bits_bytes += bytes;
            if place >= self.bits.len() {
                self.bits.resize(place + 1, Vec::new());
            }
            self.bits[place] = vec![0; self.codes.div_ceil(64)];
        }
        self.bits.get_mut(place)
    }

    #[inline]
    pub(crate) fn add(&mut self, slot: u32, code: u32) {
        let (word, bit) = (code as usize / 64, code % 64);
        match self.bits_of(slot).and_then(|bits| bits.get_mut(word)) {
            Some(bits) => *bits |= 1 << bit,
            None => {
                self.pairs.insert(u64::from(slot) << 32 | u64::from(code));
            }
        }
    }

    /// Every code that any slot has seen, rising.
    pub(crate) fn codes(&self) -> Vec<u32> {
        let mut all = vec![0_u64; self.codes.div_ceil(64)];
        for bits in &self.bits {
            all.iter_mut().zip(bits).for_each(|(all, bits)| *all |= bits);
        }
        for pair in &self.pairs {
            let code = u32::try_from(pair & u64::from(u32::MAX)).unwrap_or(0);
            if let Some(bits) = all.get_mut(code as usize / 64) {
                *bits |= 1 << (code % 64);
            }
        }
        let mut codes = Vec::new();
        for (word, mut bits) in (0_u32..).zip(all) {
            while bits != 0 {
                codes.push(word * 64 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        codes
    }

    /// Hands out every slot and code, and forgets them.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(u32, u32)) {
        for (slot, bits) in (0_u32..).zip(std::mem::take(&mut self.bits)) {
            for (word, mut bits) in (0_u32..).zip(bits) {
                while bits != 0 {
                    take(slot, word * 64 + bits.trailing_zeros());
                    bits &= bits - 1;
                }
            }
        }
        self.bits_bytes = 0;
        let mut pairs: Vec<u64> = std::mem::take(&mut self.pairs).into_iter().collect();
        pairs.sort_unstable();
        for pair in pairs {
            let (slot, code) = ((pair >> 32) as u32, u32::try_from(pair & u64::from(u32::MAX)).unwrap_or(0));
            take(slot, code);
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.bits_bytes + self.pairs.capacity() * 9
    }
}
