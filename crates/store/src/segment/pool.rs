//! A column's dictionary under construction: finds equal values by their keyed hash, then by bytes, and notices
//! when two values share a hash. Nothing is hashed here: whoever hands a value in hands in its hash.

use skein_event::dictionary::Dictionary;
use skein_event::same::same;

use super::bytes::count;
use crate::error::{Error, ErrorKind};

/// Distinct values of one column in order of first appearance.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    bytes: Vec<u8>,
    /// Start and length of each value in `bytes`.
    places: Vec<(u32, u32)>,
    hashes: Vec<u64>,
    /// An open-addressing table, at most half full.
    slots: Vec<Slot>,
    collided: bool,
}

/// All that finding a value takes beside its bytes, in one place.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Upper half of the hash.
    half: u32,
    /// 0 for a free slot.
    code_plus_one: u32,
    start: u32,
    length: u32,
}

/// Slots of an empty table: most columns have a handful of values.
const SLOTS_MIN: usize = 16;

/// Values that are looked up together: as many loads as a core has under way.
const LOOKED_UP_TOGETHER: usize = 16;

impl Pool {
    /// Forgets all values and keeps the room.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
        self.hashes.clear();
        self.slots.clear();
        self.slots.resize(SLOTS_MIN, Slot::default());
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
            if found.code_plus_one == 0 {
                return self.insert(value, hash, slot);
            }
            if found.half == upper_half(hash) {
                let bytes = self.bytes.get(found.start as usize..).unwrap_or(&[]);
                if same(bytes.get(..found.length as usize).unwrap_or(&[]), value) {
                    return Ok(found.code_plus_one - 1);
                }
                // Two values that share half of their hash may share all of it.
                if self.hashes[found.code_plus_one as usize - 1] == hash {
                    self.collided = true;
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Appends the codes of some of a dictionary's values, which are added if they are new. All are looked up before any is
    /// compared: where they lie does not depend on one another, so that memory is waited for once and not once each.
    pub(super) fn codes_of(
        &mut self,
        codes: &[u32],
        dictionary: &Dictionary,
        out: &mut Vec<u32>,
    ) -> Result<(), Error> {
        if self.slots.is_empty() {
            self.clear();
        }
        let mut found = [Slot::default(); LOOKED_UP_TOGETHER];
        for codes in codes.chunks(LOOKED_UP_TOGETHER) {
            let mask = self.slots.len() - 1;
            for (found, &old) in found.iter_mut().zip(codes) {
                *found = self.slots[slot_of(dictionary.hash(old), mask)];
            }
            for (found, &old) in found.iter().zip(codes) {
                if old as usize >= dictionary.len() {
                    return Err(Error::damaged("a code lies beyond its batch's dictionary"));
                }
                let (value, hash) = (dictionary.get(old), dictionary.hash(old));
                // What was found stays where it was: values are only added.
                let is_it = found.code_plus_one != 0 && found.half == upper_half(hash) && {
                    let bytes = self.bytes.get(found.start as usize..).unwrap_or(&[]);
                    same(bytes.get(..found.length as usize).unwrap_or(&[]), value)
                };
                out.push(if is_it { found.code_plus_one - 1 } else { self.code(value, hash)? });
            }
        }
        Ok(())
    }

    #[cold]
    fn insert(&mut self, value: &[u8], hash: u64, slot: usize) -> Result<u32, Error> {
        let code = self.push(value, hash)?;
        self.slots[slot] = self.slot(code, hash);
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
        let mut slots = vec![Slot::default(); mask + 1];
        for (code, &hash) in (0_u32..).zip(&self.hashes) {
            let mut slot = slot_of(hash, mask);
            while slots[slot].code_plus_one != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = self.slot(code, hash);
        }
        self.slots = slots;
    }

    fn slot(&self, code: u32, hash: u64) -> Slot {
        let (start, length) = self.places[code as usize];
        Slot { half: upper_half(hash), code_plus_one: code + 1, start, length }
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

    /// Bytes that it holds, room for more included.
    pub(super) fn held_bytes(&self) -> usize {
        let values =
            self.places.capacity() * size_of::<(u32, u32)>() + self.hashes.capacity() * size_of::<u64>();
        self.bytes.capacity() + values + self.slots.capacity() * size_of::<Slot>()
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

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low bits of a hash are meant")]
fn slot_of(hash: u64, mask: usize) -> usize {
    hash as usize & mask
}

#[inline]
fn upper_half(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(0)
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
    fn values_that_share_a_hash_are_flagged_and_kept_apart() {
        let mut pool = Pool::default();
        let one = pool.code(b"one", 42).expect("fits");
        assert!(!pool.has_collision());
        let two = pool.code(b"two", 42).expect("fits");
        assert!(one != two && pool.has_collision());
        assert_eq!(pool.code(b"two", 42).expect("fits"), two);
        assert_eq!((pool.get(one), pool.get(two)), (&b"one"[..], &b"two"[..]));
    }

    #[test]
    fn values_that_share_half_a_hash_are_kept_apart_when_looked_up_together() {
        let mut dictionary = Dictionary::default();
        for n in 0..90_u64 {
            // Their slots are the same, too, and every second one shares all of its hash with the one before.
            dictionary.push(format!("value {n}").as_bytes(), 7 << 32 | (n / 2) << 20).expect("fits");
        }
        let codes: Vec<u32> = (0..90).chain((0..90).rev()).chain([3, 3, 88]).collect();
        let (mut pool, mut found) = (Pool::default(), Vec::new());
        pool.codes_of(&codes, &dictionary, &mut found).expect("all are there");
        assert!(pool.has_collision() && pool.len() == 90);
        for (&old, &code) in codes.iter().zip(&found) {
            assert_eq!(pool.get(code), dictionary.get(old));
        }
        assert!(pool.codes_of(&[89, 90], &dictionary, &mut found).is_err(), "there is no such value");
    }
}
