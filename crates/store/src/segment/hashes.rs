//! The keyed hashes of a dictionary's values, apart from their bytes, so that grouping and joining work on
//! integers. In a file they rise: their distances are packed, and a hash is found by halving.

use super::bytes::{count, u64_at};
use super::header::Version;
use super::ints::{BLOCK_VALUES, Ints};
use super::ints_write::{Effort, write_random_access, write_rising};
use crate::error::Error;

/// Hashes are unsigned, sequences signed: this keeps their order.
#[inline]
fn to_signed(hash: u64) -> i64 {
    (hash ^ 1 << 63).cast_signed()
}

#[inline]
fn to_hash(signed: i64) -> u64 {
    signed.cast_unsigned() ^ 1 << 63
}

/// Appends hashes in the order of their values.
pub(super) fn write_hashes(hashes: &[u64], rising: bool, out: &mut Vec<u8>) {
    let signed: Vec<i64> = hashes.iter().map(|&hash| to_signed(hash)).collect();
    if rising { write_rising(&signed, Effort::Full, out) } else { write_random_access(&signed, out) }
}

/// The hashes of a column's dictionary.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "opened and read on the stack, a few at a time")]
pub(super) enum Hashes<'a> {
    /// Of version 1: those of the segment's dictionary, and the places of the column's codes there.
    V1 {
        all: SegmentHashes<'a>,
        places: Ints<'a>,
    },
    V2 {
        hashes: Ints<'a>,
        rising: bool,
    },
}

/// The hashes of a segment's dictionary in version 1: as they are, and the codes in their order.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentHashes<'a> {
    hashes: &'a [u8],
    order: Ints<'a>,
}

impl<'a> SegmentHashes<'a> {
    pub(super) fn open(bytes: &'a [u8], values: u32) -> Result<SegmentHashes<'a>, Error> {
        let (hashes, rest) = bytes
            .split_at_checked(values as usize * 8)
            .ok_or_else(|| Error::damaged("the dictionary's hashes end early"))?;
        let (order, _) = Ints::open(rest, Version::V1)?;
        if order.len() != values as usize {
            return Err(Error::damaged("the dictionary's hash order has another length"));
        }
        Ok(SegmentHashes { hashes, order })
    }

    /// Checks the order, so that a search can trust it.
    pub(super) fn validate(&self) -> Result<(), Error> {
        self.order.validate(0, i64::from(u32::MAX))?;
        let order = self.order.to_vec_u32();
        let key = |code: u32| (self.get(code), code);
        let rising = order.windows(2).all(|pair| key(pair[0]) < key(pair[1]));
        let inside = order.iter().all(|&code| (code as usize) < self.order.len());
        if rising && inside { Ok(()) } else { Err(Error::damaged("the hash order is not one")) }
    }

    pub(super) fn get(&self, code: u32) -> u64 {
        u64_at(self.hashes, code as usize * 8).unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    fn codes_of(&self, hash: u64) -> Vec<u32> {
        let code_at = |place: usize| u32::try_from(self.order.get(place)).unwrap_or(u32::MAX);
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(code_at(middle)) < hash { low = middle + 1 } else { high = middle }
        }
        (low..self.len()).map(code_at).take_while(|&code| self.get(code) == hash).collect()
    }
}

impl<'a> Hashes<'a> {
    /// Opens the hashes at the start of `bytes`; returns them with what follows.
    pub(super) fn open(bytes: &'a [u8], values: u32, rising: bool) -> Result<(Hashes<'a>, &'a [u8]), Error> {
        let (hashes, rest) = Ints::open(bytes, Version::V2)?;
        if hashes.len() != values as usize {
            return Err(Error::damaged("a dictionary has more or fewer hashes than values"));
        }
        Ok((Hashes::V2 { hashes, rising }, rest))
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        match self {
            Hashes::V1 { all, places } => {
                places.validate(0, i64::try_from(all.len()).unwrap_or(i64::MAX) - 1)?;
                if places.to_vec_u32().windows(2).any(|pair| pair[0] >= pair[1]) {
                    return Err(Error::damaged("a column's dictionary does not rise"));
                }
                Ok(())
            }
            Hashes::V2 { hashes, rising } => {
                hashes.validate(i64::MIN, i64::MAX)?;
                if *rising && hashes.to_vec().windows(2).any(|pair| pair[0] > pair[1]) {
                    return Err(Error::damaged("a dictionary's hashes do not rise"));
                }
                Ok(())
            }
        }
    }

    /// All hashes in the order of their values.
    pub(super) fn all(&self) -> Vec<u64> {
        match self {
            Hashes::V1 { all, places } => {
                places.to_vec_u32().into_iter().map(|place| all.get(place)).collect()
            }
            Hashes::V2 { hashes, .. } => hashes.to_vec().into_iter().map(to_hash).collect(),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Hashes::V1 { places, .. } => places.len(),
            Hashes::V2 { hashes, .. } => hashes.len(),
        }
    }

    pub(super) fn get(&self, code: u32) -> Option<u64> {
        let place = code as usize;
        if place >= self.len() {
            return None;
        }
        Some(match self {
            Hashes::V1 { all, places } => all.get(u32::try_from(places.get(place)).ok()?),
            Hashes::V2 { hashes, .. } => to_hash(hashes.get(place)),
        })
    }

    /// The codes of all values of this hash: one, unless values collide.
    pub(super) fn codes_of(&self, hash: u64) -> Vec<u32> {
        match self {
            Hashes::V1 { all, places } => {
                let found = all.codes_of(hash);
                found.into_iter().filter_map(|place| position(places, i64::from(place))).collect()
            }
            Hashes::V2 { hashes, rising } => {
                let wanted = to_signed(hash);
                let first = if *rising { hashes.first_block(wanted) } else { 0 };
                let (mut found, mut values) = (Vec::new(), Vec::new());
                for block in first..hashes.blocks() {
                    let (min, max) = hashes.zone(block);
                    if *rising && min > wanted {
                        break;
                    }
                    if min <= wanted && wanted <= max {
                        hashes.decode(block, &mut values);
                        let equal = values.iter().enumerate().filter(|(_, value)| **value == wanted);
                        found.extend(equal.map(|(place, _)| count(block * BLOCK_VALUES + place)));
                    }
                }
                found
            }
        }
    }
}

/// The place of a value in a strictly rising sequence.
fn position(rising: &Ints<'_>, value: i64) -> Option<u32> {
    let (mut low, mut high) = (0, rising.len());
    while low < high {
        let middle = low.midpoint(high);
        if rising.get(middle) < value { low = middle + 1 } else { high = middle }
    }
    (low < rising.len() && rising.get(low) == value).then(|| count(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_hash_leads_to_its_codes(mut values in prop::collection::vec(any::<u64>(), 0..3000), rising in any::<bool>()) {
            values.extend_from_within(..values.len().min(3));
            if rising {
                values.sort_unstable();
            }
            let mut bytes = Vec::new();
            write_hashes(&values, rising, &mut bytes);
            let (hashes, _) = Hashes::open(&bytes, count(values.len()), rising).expect("opens");
            hashes.validate().expect("is valid");
            prop_assert_eq!(&hashes.all(), &values);
            for (code, &hash) in values.iter().enumerate().step_by(1 + values.len() / 50) {
                prop_assert_eq!(hashes.get(count(code)), Some(hash));
                let equal = values.iter().enumerate().filter(|(_, value)| **value == hash);
                prop_assert_eq!(hashes.codes_of(hash), equal.map(|(code, _)| count(code)).collect::<Vec<_>>());
            }
            prop_assert_eq!(hashes.get(count(values.len())), None);
            prop_assert!(values.contains(&77) || hashes.codes_of(77).is_empty());
        }
    }

    #[test]
    fn hashes_that_do_not_rise_are_damage() {
        let mut bytes = Vec::new();
        write_hashes(&[5, 9, 7], true, &mut bytes);
        let (hashes, _) = Hashes::open(&bytes, 3, true).expect("opens");
        assert!(hashes.validate().is_err());
    }
}
