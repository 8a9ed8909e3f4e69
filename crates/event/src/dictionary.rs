//! Interned byte strings: each distinct value once, beside its keyed hash.

use crate::hash::HashKey;
use crate::same::same;

/// Values of one batch, each stored once. A code is the place of a value in order of first appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dictionary {
    bytes: Vec<u8>,
    /// End of each value in `bytes`.
    ends: Vec<u32>,
    hashes: Vec<u64>,
}

impl Dictionary {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds no value.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The value of a code. An unknown code is the empty value: decoded batches are validated
    /// ([`crate::batch::EventBatch::validate`]), so none reaches here.
    #[inline]
    pub fn get(&self, code: u32) -> &[u8] {
        let index = code as usize;
        let Some(&end) = self.ends.get(index) else { return &[] };
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.bytes.get(start as usize..end as usize).unwrap_or(&[])
    }

    /// The keyed hash of a code's value.
    #[inline]
    pub fn hash(&self, code: u32) -> u64 {
        self.hashes.get(code as usize).copied().unwrap_or_default()
    }

    /// Adds a value without looking for an equal one. The caller vouches for the hash.
    ///
    /// `None` when the dictionary would pass 4 GiB, which [`crate::limits::REQUEST_BYTES_MAX`] excludes.
    pub fn push(&mut self, value: &[u8], hash: u64) -> Option<u32> {
        let code = u32::try_from(self.ends.len()).ok()?;
        let end = u32::try_from(self.bytes.len() + value.len()).ok()?;
        self.bytes.extend_from_slice(value);
        self.ends.push(end);
        self.hashes.push(hash);
        Some(code)
    }

    /// All values' bytes, one after another.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The end of each value in [`Dictionary::bytes`].
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The hash of each value.
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Builds one from its parts; `None` unless ends rise to the length of the bytes and each value has a hash.
    pub fn from_parts(bytes: Vec<u8>, ends: Vec<u32>, hashes: Vec<u64>) -> Option<Dictionary> {
        let rising = ends.windows(2).all(|pair| pair[0] <= pair[1]);
        let whole = ends.last().map_or(0, |&end| end as usize) == bytes.len();
        (rising && whole && ends.len() == hashes.len()).then_some(Dictionary { bytes, ends, hashes })
    }
}

/// A dictionary under construction: finds equal values by hash, then by bytes.
///
/// An open-addressing table of codes with linear probing; it holds at most half as many codes as slots.
#[derive(Clone, Debug)]
pub struct Interner {
    dictionary: Dictionary,
    /// Code + 1 per slot, 0 for a free one.
    slots: Vec<u32>,
    key: HashKey,
}

impl Interner {
    /// An empty one that hashes with `key`.
    pub fn new(key: HashKey) -> Interner {
        Interner { dictionary: Dictionary::default(), slots: vec![0; 1 << 10], key }
    }

    /// Makes room for so many further values: a hint.
    pub fn reserve(&mut self, values: usize) {
        let wanted = (self.dictionary.len() + values).saturating_mul(2).next_power_of_two();
        if wanted > self.slots.len() {
            self.rebuild(wanted);
        }
    }

    /// The code of a value, which is added if it is new.
    #[inline]
    pub fn intern(&mut self, value: &[u8]) -> u32 {
        let hash = self.key.hash(value);
        self.intern_hashed(value, hash)
    }

    /// As [`Interner::intern`] with the hash at hand.
    #[inline]
    pub fn intern_hashed(&mut self, value: &[u8], hash: u64) -> u32 {
        let mask = self.slots.len() - 1;
        let mut slot = slot_of(hash, mask);
        loop {
            match self.slots[slot] {
                0 => return self.insert(value, hash, slot),
                code_plus_one => {
                    let code = code_plus_one - 1;
                    if self.dictionary.hash(code) == hash && same(self.dictionary.get(code), value) {
                        return code;
                    }
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    /// The value of a code.
    #[inline]
    pub fn get(&self, code: u32) -> &[u8] {
        self.dictionary.get(code)
    }

    /// Number of distinct values.
    pub fn len(&self) -> usize {
        self.dictionary.len()
    }

    /// Whether nothing was interned.
    pub fn is_empty(&self) -> bool {
        self.dictionary.is_empty()
    }

    /// The finished dictionary.
    pub fn finish(self) -> Dictionary {
        self.dictionary
    }

    #[cold]
    fn insert(&mut self, value: &[u8], hash: u64, slot: usize) -> u32 {
        // A dictionary past 4 GiB cannot come from a request of at most 64 MiB; should it, the value shares
        // the last code rather than panic.
        let Some(code) = self.dictionary.push(value, hash) else { return u32::MAX - 1 };
        self.slots[slot] = code + 1;
        if self.dictionary.len() * 2 > self.slots.len() {
            self.grow();
        }
        code
    }

    fn grow(&mut self) {
        self.rebuild(self.slots.len() * 2);
    }

    /// PRE: `length` is a power of two and at least twice the number of values.
    fn rebuild(&mut self, length: usize) {
        let mask = length - 1;
        let mut slots = vec![0_u32; length];
        for (code, &hash) in (1_u32..).zip(self.dictionary.hashes()) {
            let mut slot = slot_of(hash, mask);
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = code;
        }
        self.slots = slots;
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low bits of a hash are meant")]
fn slot_of(hash: u64, mask: usize) -> usize {
    hash as usize & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_a_code_and_others_do_not() {
        let mut interner = Interner::new(HashKey(7));
        let codes: Vec<u32> = (0..5_000).map(|n: u32| interner.intern(&n.to_le_bytes())).collect();
        let again: Vec<u32> = (0..5_000).map(|n: u32| interner.intern(&n.to_le_bytes())).collect();
        assert_eq!(codes, again);
        assert_eq!(interner.len(), 5_000);
        assert_eq!(interner.get(codes[4_321]), 4_321_u32.to_le_bytes());
    }

    #[test]
    fn equal_hashes_do_not_make_values_equal() {
        let mut interner = Interner::new(HashKey(7));
        let one = interner.intern_hashed(b"one", 42);
        let two = interner.intern_hashed(b"two", 42);
        assert_ne!(one, two);
        assert_eq!(interner.intern_hashed(b"two", 42), two);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        assert!(Dictionary::from_parts(vec![1, 2], vec![1, 2], vec![0, 0]).is_some());
        assert!(Dictionary::from_parts(vec![1, 2], vec![2, 1], vec![0, 0]).is_none());
        assert!(Dictionary::from_parts(vec![1, 2], vec![1], vec![0]).is_none());
        assert!(Dictionary::from_parts(vec![1, 2], vec![1, 2], vec![0]).is_none());
    }
}
