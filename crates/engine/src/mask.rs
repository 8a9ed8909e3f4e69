//! Which rows of a block take part: one bit for each, so that sixty-four are looked at together.
//!
//! What it refuses: places beyond its length; they are never in it.

use crate::column::BLOCK_ROWS;

const WORD_BITS: usize = u64::BITS as usize;
const WORDS: usize = BLOCK_ROWS as usize / WORD_BITS;

/// A set of places of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mask {
    words: [u64; WORDS],
    len: usize,
}

impl Mask {
    /// All of so many places, at most [`BLOCK_ROWS`].
    pub(crate) fn all(len: usize) -> Mask {
        let len = len.min(BLOCK_ROWS as usize);
        let mut mask = Mask { words: [0; WORDS], len };
        for (number, word) in mask.words.iter_mut().enumerate() {
            let bits = len.saturating_sub(number * WORD_BITS).min(WORD_BITS);
            *word = if bits == 0 { 0 } else { u64::MAX >> (WORD_BITS - bits) };
        }
        mask
    }

    /// None of so many places.
    pub(crate) fn none(len: usize) -> Mask {
        Mask { words: [0; WORDS], len: len.min(BLOCK_ROWS as usize) }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn has(&self, place: usize) -> bool {
        self.words.get(place / WORD_BITS).is_some_and(|word| word >> (place % WORD_BITS) & 1 == 1)
    }

    #[inline]
    pub(crate) fn add(&mut self, place: usize) {
        if place < self.len {
            self.words[place / WORD_BITS] |= 1 << (place % WORD_BITS);
        }
    }

    #[inline]
    pub(crate) fn remove(&mut self, place: usize) {
        if let Some(word) = self.words.get_mut(place / WORD_BITS) {
            *word &= !(1 << (place % WORD_BITS));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.words = [0; WORDS];
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// Whether all places are in it.
    pub(crate) fn is_all(&self) -> bool {
        self.count() == self.len
    }

    /// Number of places in it.
    pub(crate) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Leaves what is in another, too.
    pub(crate) fn keep(&mut self, other: &Mask) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    /// Takes out what is in another.
    pub(crate) fn take_out(&mut self, other: &Mask) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    /// Adds what is in another of the same length.
    pub(crate) fn join(&mut self, other: &Mask) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Its words, each of sixty-four places. Whoever changes them adds no place.
    pub(crate) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// Its places, rising.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let of_word = |(number, &word): (usize, &u64)| Bits(word).map(move |bit| number * WORD_BITS + bit);
        self.words.iter().enumerate().flat_map(of_word)
    }

    /// Calls back with each place, rising.
    #[inline(always)]
    pub(crate) fn for_each(&self, mut take: impl FnMut(usize)) {
        for (number, &word) in self.words.iter().enumerate() {
            let first = number * WORD_BITS;
            if word == u64::MAX {
                for place in first..first + WORD_BITS {
                    take(place);
                }
            } else {
                for bit in Bits(word) {
                    take(first + bit);
                }
            }
        }
    }

    /// Leaves the places that pass.
    #[inline(always)]
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        for (number, word) in self.words.iter_mut().enumerate() {
            for bit in Bits(*word) {
                if !keep(number * WORD_BITS + bit) {
                    *word &= !(1 << bit);
                }
            }
        }
    }

    /// The same where a test may fail.
    pub(crate) fn try_retain<E>(&mut self, mut keep: impl FnMut(usize) -> Result<bool, E>) -> Result<(), E> {
        for (number, word) in self.words.iter_mut().enumerate() {
            for bit in Bits(*word) {
                if !keep(number * WORD_BITS + bit)? {
                    *word &= !(1 << bit);
                }
            }
        }
        Ok(())
    }
}

/// The set bits of a word, rising.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_holds_what_was_put_in() {
        for len in [0, 1, 63, 64, 65, 1_000, 1_024] {
            let all = Mask::all(len);
            assert_eq!((all.count(), all.is_empty()), (len, len == 0));
            assert_eq!(all.places().collect::<Vec<_>>(), (0..len).collect::<Vec<_>>());
            let mut thirds = all.clone();
            thirds.retain(|place| place % 3 == 0);
            let mut found = Vec::new();
            thirds.for_each(|place| found.push(place));
            assert_eq!(found, (0..len).step_by(3).collect::<Vec<_>>());
            let mut others = all.clone();
            others.take_out(&thirds);
            assert!((0..len + 3).all(|place| others.has(place) == (place < len && place % 3 != 0)));
            others.join(&thirds);
            assert_eq!(others, all);
            others.add(len);
            assert_eq!(others, all, "beyond the end");
        }
    }
}
