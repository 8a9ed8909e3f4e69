//! Parents of spans: mostly ids of spans in the same segment, so that their places among those ids are kept
//! instead of eight random bytes.
//!
//! Value `i` is the id at place `i` plus its distance among the segment's span ids; one whose parent is not
//! there is kept as it is, in order beside them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::bytes::{array_at, count};
use super::header::Version;
use super::ints::{BLOCK_VALUES, Ints};
use super::ints_write::{Effort, write_ints, write_rising};
use super::presence::PresentRows;
use super::reader::Segment;
use crate::error::Error;

/// Span ids are random: eight bytes of one are its hash. Ids that somebody prepares to meet cost a longer search
/// in one column of one merge.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (number ^ number >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Appends parents as links to span ids. False, and nothing appended, when few are among them.
pub(super) fn write_links(parents: &[[u8; 8]], spans: &[[u8; 8]], effort: Effort, out: &mut Vec<u8>) -> bool {
    let mut places: HashMap<u64, u32, BuildHasherDefault<IdHasher>> = HashMap::default();
    places.reserve(spans.len());
    for (place, id) in (0_u32..).zip(spans) {
        places.insert(u64::from_le_bytes(*id), place);
    }
    let mut distances: Vec<i64> = Vec::with_capacity(parents.len());
    let (mut others, mut other_ids) = (Vec::new(), Vec::new());
    let mut last = 0;
    for (place, id) in (0_u32..).zip(parents) {
        match places.get(&u64::from_le_bytes(*id)) {
            Some(&found) => last = i64::from(found) - i64::from(place),
            // What stands in its place does not matter: the one before costs nothing.
            None => {
                others.push(place);
                other_ids.extend_from_slice(id);
            }
        }
        distances.push(last);
    }
    if others.len() * 2 > parents.len() {
        return false;
    }
    write_ints(&distances, effort, out);
    write_rising(&others, Effort::Full, out);
    out.extend_from_slice(&other_ids);
    true
}

/// Parents in their encoded form.
pub(super) struct Links<'a> {
    distances: Ints<'a>,
    /// The values whose parent is elsewhere, and their ids.
    others: Ints<'a>,
    other_ids: &'a [u8],
    spans: &'a [u8],
}

impl<'a> Links<'a> {
    /// Opens links to the ids of `spans`.
    pub(super) fn open(
        bytes: &'a [u8],
        spans: &'a [u8],
        segment: Option<&'a Segment>,
    ) -> Result<Links<'a>, Error> {
        let (distances, rest) = match segment {
            Some(segment) => Ints::open_in(bytes, segment)?,
            None => Ints::open(bytes, Version::V2)?,
        };
        let (others, other_ids) = Ints::open(rest, Version::V2)?;
        if other_ids.len() != others.len() * 8 || others.len() > distances.len() {
            return Err(Error::damaged("parents of spans are more or fewer than their ids"));
        }
        Ok(Links { distances, others, other_ids, spans })
    }

    pub(super) fn len(&self) -> usize {
        self.distances.len()
    }

    /// Checks that every link leads to an id.
    pub(super) fn validate(&self) -> Result<(), Error> {
        self.distances.validate(i64::MIN, i64::MAX)?;
        PresentRows::Rows(self.others).validate(count(self.len()))?;
        let mut ids = Vec::new();
        for block in 0..self.distances.blocks() {
            if !self.decode(block, &mut ids) {
                return Err(Error::damaged("the parent of a span lies beyond the last span"));
            }
        }
        Ok(())
    }

    /// Replaces `out` by the ids of a block; false when a link leads nowhere.
    pub(super) fn decode(&self, block: usize, out: &mut Vec<[u8; 8]>) -> bool {
        let (mut distances, mut others) = (Vec::new(), Vec::new());
        self.distances.decode(block, &mut distances);
        let first = block * BLOCK_VALUES;
        let known = PresentRows::Rows(self.others);
        let other = known.rank(count(first));
        known.rows_of(other, count(BLOCK_VALUES), &mut others);
        let mut others = others.into_iter().zip(other as usize..).peekable();
        let mut is_whole = true;
        out.clear();
        for (place, distance) in (first..).zip(distances) {
            let found = match others.next_if(|(other, _)| *other as usize == place) {
                Some((_, other)) => array_at(self.other_ids, other * 8).ok(),
                None => self.linked(place, distance),
            };
            is_whole &= found.is_some();
            out.push(found.unwrap_or_default());
        }
        is_whole
    }

    /// One id.
    pub(super) fn get(&self, place: u32) -> Option<[u8; 8]> {
        if place as usize >= self.len() {
            return None;
        }
        match PresentRows::Rows(self.others).value_of(place) {
            Some(other) => array_at(self.other_ids, other as usize * 8).ok(),
            None => self.linked(place as usize, self.distances.get(place as usize)),
        }
    }

    /// The ids at some places.
    pub(super) fn ids_at(&self, places: impl Iterator<Item = u32>) -> Vec<[u8; 8]> {
        let places: Vec<u32> = places.collect();
        let distances = self.distances.values_at(places.iter().map(|&place| place as usize));
        let linked = places.iter().zip(distances);
        let mut ids: Vec<[u8; 8]> = linked
            .map(|(&place, distance)| self.linked(place as usize, distance).unwrap_or_default())
            .collect();
        PresentRows::Rows(self.others).find_each((0..).zip(places.iter().copied()), |beside, other| {
            ids[beside as usize] = array_at(self.other_ids, other as usize * 8).unwrap_or_default();
        });
        ids
    }

    fn linked(&self, place: usize, distance: i64) -> Option<[u8; 8]> {
        let place = usize::try_from(i64::try_from(place).ok()?.checked_add(distance)?).ok()?;
        array_at(self.spans, place.checked_mul(8)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: u64) -> [u8; 8] {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()
    }

    proptest! {
        #[test]
        fn parents_come_back(picks in prop::collection::vec((0..900_u64, 0..4_u8), 0..3000)) {
            let spans: Vec<[u8; 8]> = (0..900).map(id).collect();
            let parents: Vec<[u8; 8]> =
                picks.iter().map(|&(pick, other)| id(if other == 0 { pick + 5_000 } else { pick })).collect();
            let mut bytes = Vec::new();
            let written = write_links(&parents, &spans, Effort::Full, &mut bytes);
            prop_assert!(written || parents.len() < 20);
            if !written {
                return Ok(());
            }
            let flat = spans.as_flattened();
            let links = Links::open(&bytes, flat, None).expect("opens");
            links.validate().expect("is valid");
            let (mut all, mut block_ids) = (Vec::new(), Vec::new());
            for block in 0..parents.len().div_ceil(BLOCK_VALUES) {
                prop_assert!(links.decode(block, &mut block_ids));
                all.extend_from_slice(&block_ids);
            }
            prop_assert_eq!(&all, &parents);
            for (place, parent) in (0_u32..).zip(&parents).step_by(37) {
                prop_assert_eq!(links.get(place), Some(*parent));
            }
            let some = (0..count(parents.len())).rev().step_by(7);
            let expected: Vec<[u8; 8]> = some.clone().map(|place| parents[place as usize]).collect();
            prop_assert_eq!(links.ids_at(some), expected);
            prop_assert_eq!(links.get(count(parents.len())), None);
            // Fewer spans than were linked to.
            let cut = Links::open(&bytes, &flat[..8 * 100], None).expect("opens");
            let reaches = picks.iter().any(|&(pick, other)| other != 0 && pick >= 100);
            prop_assert_eq!(cut.validate().is_err(), reaches);
        }
    }

    #[test]
    fn ids_from_elsewhere_are_kept_as_they_are() {
        let mut bytes = Vec::new();
        assert!(!write_links(&[id(1), id(2)], &[id(3)], Effort::Full, &mut bytes));
        assert!(bytes.is_empty());
    }
}
