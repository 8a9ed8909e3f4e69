//! A column's dictionary under construction: finds equal values by their keyed hash, then by bytes, and notices
//! when two values share a hash. Nothing is hashed here: whoever hands a value in hands in its hash.

use super::bytes::count;
use crate::error::{Error, ErrorKind};

/// Distinct values of one column in order of first appearance.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    bytes: Vec<u8>,
    /// Start and length of each value in `bytes`.
    places: Vec<(u32, u32)>,
    hashes: Vec<u64>,
    /// An open-addressing table, at most half full: the upper half of a hash, then code + 1, or 0 for a free slot.
    slots: Vec<u64>,
    collided: bool,
}

/// Slots of an empty table: most columns have a handful of values.
const SLOTS_MIN: usize = 16;

impl Pool {
    /// Forgets all values and keeps the room.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
        self.hashes.clear();
        self.slots.clear();
        self.slots.resize(SLOTS_MIN, 0);
        self.collided = false;
    }

    /// The code of a value, which is added if it is new.
    #[inline]
    pub(super) fn code(&mut self, value: &[u8], hash: u64) -> Result<u32, Error> {
        if self.slots.is_empty() {
            self.clear();
        }
        let mask = self.slots.len() - 1;
        let mut slot = slot_of(hash, mask);
        loop {
            let found = self.slots[slot];
            if found == 0 {
                return self.insert(value, hash, slot);
            }
            if found >> 32 == hash >> 32 {
                let code = low_half(found) - 1;
                if same(self.get(code), value) {
                    return Ok(code);
                }
                // Two values that share half of their hash may share all of it.
                if self.hashes[code as usize] == hash {
                    self.collided = true;
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn insert(&mut self, value: &[u8], hash: u64, slot: usize) -> Result<u32, Error> {
        let code = self.push(value, hash)?;
        self.slots[slot] = hash >> 32 << 32 | u64::from(code + 1);
        if self.places.len() * 2 > self.slots.len() {
            self.grow();
        }
        Ok(code)
    }

    /// Adds a value without looking for an equal one.
    pub(super) fn push(&mut self, value: &[u8], hash: u64) -> Result<u32, Error> {
        let too_large = |_| Error::new(ErrorKind::TooLarge, "a column holds more than 4 GiB of text");
        let start = u32::try_from(self.bytes.len()).map_err(too_large)?;
        let length = u32::try_from(value.len()).map_err(too_large)?;
        let code = count(self.places.len());
        self.bytes.extend_from_slice(value);
        self.places.push((start, length));
        self.hashes.push(hash);
        Ok(code)
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 4 - 1;
        let mut slots = vec![0_u64; mask + 1];
        for (code_plus_one, &hash) in (1_u32..).zip(&self.hashes) {
            let mut slot = slot_of(hash, mask);
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = hash >> 32 << 32 | u64::from(code_plus_one);
        }
        self.slots = slots;
    }

    /// The bytes of a value.
    #[inline]
    pub(super) fn get(&self, code: u32) -> &[u8] {
        let (start, length) = self.places[code as usize];
        &self.bytes[start as usize..][..length as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Bytes of all values.
    pub(super) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Whether two values share a hash.
    pub(super) fn has_collision(&self) -> bool {
        self.collided
    }

    /// The codes in order of their hashes.
    pub(super) fn by_hash(&self) -> Vec<u32> {
        let mut keyed: Vec<(u64, u32)> = self.hashes.iter().copied().zip(0_u32..).collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, code)| code).collect()
    }
}

/// Whether two values are equal. Most have a handful of bytes, for which a call costs more than the comparison.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        8..=16 => a.first_chunk::<8>() == b.first_chunk() && a.last_chunk::<8>() == b.last_chunk(),
        4..8 => a.first_chunk::<4>() == b.first_chunk() && a.last_chunk::<4>() == b.last_chunk(),
        0..4 => a.iter().zip(b).all(|(a, b)| a == b),
        _ => a == b,
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low bits of a hash are meant")]
fn slot_of(hash: u64, mask: usize) -> usize {
    hash as usize & mask
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
fn low_half(slot: u64) -> u32 {
    slot as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_a_code_and_others_do_not() {
        let mut pool = Pool::default();
        let hash = |n: u32| u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for _ in 0..2 {
            for n in 0..5_000_u32 {
                assert_eq!(pool.code(&n.to_le_bytes(), hash(n)).expect("fits"), n);
            }
        }
        assert_eq!((pool.len(), pool.byte_len()), (5_000, 20_000));
        assert!(!pool.has_collision());
        let order = pool.by_hash();
        assert!(
            order.windows(2).all(|pair| pool.hashes()[pair[0] as usize] < pool.hashes()[pair[1] as usize])
        );
        pool.clear();
        assert_eq!(pool.code(b"again", 7).expect("fits"), 0);
    }

    #[test]
    fn values_of_every_length_are_compared_to_their_last_byte() {
        for length in 0..40_usize {
            let value = vec![7_u8; length];
            assert!(same(&value, &value.clone()));
            assert!(!same(&value, &vec![7; length + 1]));
            for place in 0..length {
                let mut other = value.clone();
                other[place] = 8;
                assert!(!same(&value, &other), "{length}, {place}");
            }
        }
    }

    #[test]
    fn values_that_share_a_hash_are_flagged_and_kept_apart() {
        let mut pool = Pool::default();
        let one = pool.code(b"one", 42).expect("fits");
        assert!(!pool.has_collision());
        let two = pool.code(b"two", 42).expect("fits");
        assert!(one != two && pool.has_collision());
        assert_eq!(pool.code(b"two", 42).expect("fits"), two);
        assert_eq!((pool.get(one), pool.get(two)), (&b"one"[..], &b"two"[..]));
    }
}
