//! Which rows of a column have a value. Nulls are never padded: a column stores its rows, packed as deltas, or a
//! bitmap where that is smaller, and one that every row has stores nothing.
//!
//! Opening costs nothing: a question is answered from the encoded form. What this module refuses to do: to panic
//! over wrong bytes.

use skein_event::Presence;

use super::bytes::{count, length, u32_at, u64_at};
use super::header::Version;
use super::ints::{BLOCK_VALUES, Ints};
use super::ints_write::{Effort, write_rising_within};
use crate::error::Error;

/// Below one row in five, rows as deltas are smaller than one bit per row, whatever their pattern.
const ROWS_BELOW_ONE_IN: usize = 5;
/// Rows that share a rank in a bitmap, and the bytes of their bits.
const RANK_ROWS: usize = 1_024;
const RANK_BYTES: usize = RANK_ROWS / 8;

/// The form of a presence on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum PresenceForm {
    /// Every row; no bytes.
    All = 0,
    /// The present rows as an integer sequence; in version 1 the number of rows skipped before each.
    Rows = 1,
    /// One bit per row in 64-bit words, lowest bit first; since version 2 after a rank u32 per 1,024 rows.
    Bitmap = 2,
}

impl PresenceForm {
    pub(crate) fn from_number(number: u8) -> Option<PresenceForm> {
        [PresenceForm::All, PresenceForm::Rows, PresenceForm::Bitmap].get(usize::from(number)).copied()
    }
}

/// Appends a presence over `rows` rows in its smallest form.
pub(crate) fn write_presence(
    present: &Presence,
    rows: usize,
    effort: Effort,
    out: &mut Vec<u8>,
) -> PresenceForm {
    let Presence::Rows(present) = present else { return PresenceForm::All };
    if present.len() == rows {
        return PresenceForm::All;
    }
    let bitmap_bytes = rows.div_ceil(64) * 8 + rows.div_ceil(RANK_ROWS) * 4;
    if effort == Effort::Full || present.len() * ROWS_BELOW_ONE_IN < rows {
        let start = out.len();
        let is_written = write_rising_within(present, effort, length(bitmap_bytes) * 9, out);
        if is_written && out.len() - start <= bitmap_bytes {
            return PresenceForm::Rows;
        }
        out.truncate(start);
    }
    let mut words = vec![0_u64; rows.div_ceil(64)];
    for &row in present {
        words[row as usize / 64] |= 1 << (row % 64);
    }
    let mut rank = 0;
    for words in words.chunks(RANK_ROWS / 64) {
        out.extend_from_slice(&u32::to_le_bytes(rank));
        rank += words.iter().map(|word| word.count_ones()).sum::<u32>();
    }
    out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    PresenceForm::Bitmap
}

/// Which rows of a segment (or contexts, for a context column) have a value, in encoded form.
///
/// The values of a column are stored densely: value `i` belongs to the `i`-th present row.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "opened and read on the stack, a few at a time")]
pub enum PresentRows<'a> {
    /// All of so many rows: value `i` is row `i`'s.
    All {
        /// How many there are.
        rows: u32,
    },
    /// These rows, strictly rising.
    Rows(Ints<'a>),
    /// The same from a segment of version 1.
    List(Vec<u32>),
    /// One bit per row.
    Bitmap(Bitmap<'a>),
}

/// One bit per row with a rank before each 1,024 rows.
#[derive(Clone, Debug)]
pub struct Bitmap<'a> {
    words: &'a [u8],
    ranks: Ranks<'a>,
    rows: u32,
    present: u32,
}

#[derive(Clone, Debug)]
enum Ranks<'a> {
    Stored(&'a [u8]),
    Counted(Vec<u32>),
}

impl<'a> PresentRows<'a> {
    /// Opens a presence.
    ///
    /// POST: on `Ok`, `len` is `present`; that as many rows are there is for [`PresentRows::validate`] to say.
    pub(crate) fn open(
        form: PresenceForm,
        bytes: &'a [u8],
        rows: u32,
        present: u32,
        version: Version,
    ) -> Result<PresentRows<'a>, Error> {
        let other_count = || Error::damaged("a presence has another count");
        if present > rows {
            return Err(other_count());
        }
        let opened = match (form, version) {
            (PresenceForm::All, _) => PresentRows::All { rows },
            (PresenceForm::Rows, Version::V1) => read_gaps(bytes, rows)?,
            (PresenceForm::Rows, Version::V2) => PresentRows::Rows(Ints::open(bytes, version)?.0),
            (PresenceForm::Bitmap, _) => PresentRows::Bitmap(Bitmap::open(bytes, rows, present, version)?),
        };
        if opened.len() == present { Ok(opened) } else { Err(other_count()) }
    }

    /// Checks that exactly so many rows are present, that they rise and that each is there. Done once per chunk.
    pub(crate) fn validate(&self, rows: u32) -> Result<(), Error> {
        let damaged = || Error::damaged("a present row lies beyond the last, or twice");
        match self {
            PresentRows::All { .. } | PresentRows::List(_) => Ok(()),
            PresentRows::Rows(ints) => {
                ints.validate(0, i64::from(rows) - 1)?;
                let mut last = None;
                let mut block_rows = Vec::new();
                for block in 0..ints.blocks() {
                    ints.decode_u32(block, &mut block_rows);
                    let first = block_rows.first().copied();
                    let rising = block_rows.windows(2).all(|pair| pair[0] < pair[1]);
                    if !rising || last.is_some_and(|last| first <= Some(last)) {
                        return Err(damaged());
                    }
                    last = block_rows.last().copied();
                }
                Ok(())
            }
            PresentRows::Bitmap(bitmap) => bitmap.validate(),
        }
    }

    /// Number of present rows, which is the number of values.
    pub fn len(&self) -> u32 {
        match self {
            PresentRows::All { rows } => *rows,
            PresentRows::Rows(ints) => count(ints.len()),
            PresentRows::List(rows) => count(rows.len()),
            PresentRows::Bitmap(bitmap) => bitmap.present,
        }
    }

    /// Whether no row has a value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of present rows before `row`.
    pub fn rank(&self, row: u32) -> u32 {
        match self {
            PresentRows::All { rows } => row.min(*rows),
            PresentRows::Rows(ints) => {
                let block = ints.first_block(i64::from(row));
                if block == ints.blocks() || ints.zone(block).0 >= i64::from(row) {
                    return count((block * BLOCK_VALUES).min(ints.len()));
                }
                let mut rows = Vec::new();
                ints.decode_u32(block, &mut rows);
                count(block * BLOCK_VALUES + rows.partition_point(|&present| present < row))
            }
            PresentRows::List(rows) => count(rows.partition_point(|&present| present < row)),
            PresentRows::Bitmap(bitmap) => bitmap.rank(row),
        }
    }

    /// The value of a row: its place among the column's values.
    #[inline]
    pub fn value_of(&self, row: u32) -> Option<u32> {
        match self {
            PresentRows::All { rows } => (row < *rows).then_some(row),
            PresentRows::Rows(ints) => {
                let block = ints.first_block(i64::from(row));
                if block == ints.blocks() || ints.zone(block).0 > i64::from(row) {
                    return None;
                }
                let mut rows = Vec::new();
                ints.decode_u32(block, &mut rows);
                rows.binary_search(&row).ok().map(|place| count(block * BLOCK_VALUES + place))
            }
            PresentRows::List(rows) => rows.binary_search(&row).ok().map(count),
            PresentRows::Bitmap(bitmap) => bitmap.contains(row).then(|| bitmap.rank(row)),
        }
    }

    /// The values of some rows, in their order; a block is decoded once for neighbours.
    pub(crate) fn values_of(&self, rows: &[u32]) -> Vec<Option<u32>> {
        let PresentRows::Rows(ints) = self else {
            return rows.iter().map(|&row| self.value_of(row)).collect();
        };
        let mut decoded: Option<(usize, (i64, i64))> = None;
        let mut present = Vec::new();
        let value_of = |&row: &u32| {
            let inside = |zone: (i64, i64)| zone.0 <= i64::from(row) && i64::from(row) <= zone.1;
            let block = match decoded {
                Some((block, zone)) if inside(zone) => block,
                _ => {
                    let block = ints.first_block(i64::from(row));
                    let zone = ints.zone(block);
                    if block == ints.blocks() || !inside(zone) {
                        return None;
                    }
                    ints.decode_u32(block, &mut present);
                    decoded = Some((block, zone));
                    block
                }
            };
            present.binary_search(&row).ok().map(|place| count(block * BLOCK_VALUES + place))
        };
        rows.iter().map(value_of).collect()
    }

    /// Blocks of values that hold all values of these rows, and perhaps some others: none when no row has one.
    pub fn value_blocks(&self, start: u32, end: u32) -> std::ops::Range<usize> {
        if let PresentRows::Rows(ints) = self {
            let first = ints.first_block(i64::from(start));
            let mut last = first;
            while last < ints.blocks() && ints.zone(last).0 < i64::from(end) {
                last += 1;
            }
            return first..last;
        }
        let (first, last) = (self.rank(start) as usize, self.rank(end) as usize);
        if first == last { 0..0 } else { first / BLOCK_VALUES..(last - 1) / BLOCK_VALUES + 1 }
    }

    /// Replaces `out` by the rows of the values `first..first + values`, fewer at the end.
    pub fn rows_of(&self, first: u32, values: u32, out: &mut Vec<u32>) {
        out.clear();
        let first = first.min(self.len());
        let end = first.saturating_add(values).min(self.len());
        match self {
            PresentRows::All { .. } => out.extend(first..end),
            PresentRows::Rows(ints) => {
                let mut rows = Vec::new();
                let mut place = first as usize;
                while place < end as usize {
                    let block = place / BLOCK_VALUES;
                    ints.decode_u32(block, &mut rows);
                    let start = block * BLOCK_VALUES;
                    let until = (end as usize - start).min(rows.len());
                    out.extend_from_slice(rows.get(place - start..until).unwrap_or(&[]));
                    place = start + BLOCK_VALUES;
                }
            }
            PresentRows::List(rows) => out.extend_from_slice(&rows[first as usize..end as usize]),
            PresentRows::Bitmap(bitmap) => bitmap.rows_of(first, end, out),
        }
    }

    /// The same as a batch's presence.
    pub(crate) fn to_presence(&self) -> Presence {
        match self {
            PresentRows::All { .. } => Presence::All,
            PresentRows::Rows(ints) => Presence::Rows(ints.to_vec_u32()),
            PresentRows::List(rows) => Presence::Rows(rows.clone()),
            PresentRows::Bitmap(_) => {
                let mut rows = Vec::with_capacity(self.len() as usize);
                self.rows_of(0, self.len(), &mut rows);
                Presence::Rows(rows)
            }
        }
    }
}

impl<'a> Bitmap<'a> {
    fn open(bytes: &'a [u8], rows: u32, present: u32, version: Version) -> Result<Bitmap<'a>, Error> {
        let word_bytes = (rows as usize).div_ceil(64) * 8;
        let rank_bytes = (rows as usize).div_ceil(RANK_ROWS) * 4;
        let short = || Error::damaged("a bitmap of rows has another length");
        if version == Version::V2 {
            let (ranks, words) = bytes.split_at_checked(rank_bytes).ok_or_else(short)?;
            let words = words.get(..word_bytes).ok_or_else(short)?;
            return Ok(Bitmap { words, ranks: Ranks::Stored(ranks), rows, present });
        }
        let words = bytes.get(..word_bytes).ok_or_else(short)?;
        let mut ranks = Vec::new();
        let mut rank = 0;
        for words in words.chunks(RANK_BYTES) {
            ranks.push(rank);
            rank += words.iter().map(|byte| byte.count_ones()).sum::<u32>();
        }
        let bitmap = Bitmap { words, ranks: Ranks::Counted(ranks), rows, present };
        bitmap.validate().map(|()| bitmap)
    }

    /// POST: on `Ok` exactly `present` bits are set, none beyond the last row, and ranks count them.
    fn validate(&self) -> Result<(), Error> {
        let mut rank = 0;
        for (place, words) in self.words.chunks(RANK_BYTES).enumerate() {
            if self.rank_before(place) != rank {
                return Err(Error::damaged("a bitmap's ranks do not count its bits"));
            }
            rank += words.iter().map(|byte| byte.count_ones()).sum::<u32>();
        }
        let beyond = self.rows % 64;
        let last = self.word((self.rows as usize).div_ceil(64).saturating_sub(1));
        if rank != self.present || (beyond != 0 && last >> beyond != 0) {
            return Err(Error::damaged("a present row lies beyond the last, or is missing"));
        }
        Ok(())
    }

    fn rank_before(&self, place: usize) -> u32 {
        match &self.ranks {
            Ranks::Stored(bytes) => u32_at(bytes, place * 4).unwrap_or(self.present),
            Ranks::Counted(ranks) => ranks.get(place).copied().unwrap_or(self.present),
        }
    }

    fn word(&self, place: usize) -> u64 {
        u64_at(self.words, place * 8).unwrap_or(0)
    }

    fn contains(&self, row: u32) -> bool {
        row < self.rows && self.word(row as usize / 64) >> (row % 64) & 1 == 1
    }

    fn rank(&self, row: u32) -> u32 {
        if row >= self.rows {
            return self.present;
        }
        let word = row as usize / 64;
        let first = row as usize / RANK_ROWS * (RANK_ROWS / 64);
        let whole: u32 = (first..word).map(|word| self.word(word).count_ones()).sum();
        self.rank_before(row as usize / RANK_ROWS)
            + whole
            + (self.word(word) & ((1 << (row % 64)) - 1)).count_ones()
    }

    fn rows_of(&self, first: u32, end: u32, out: &mut Vec<u32>) {
        let (mut low, mut high) = (0, (self.rows as usize).div_ceil(RANK_ROWS));
        while low < high {
            let middle = low.midpoint(high);
            if self.rank_before(middle) <= first { low = middle + 1 } else { high = middle }
        }
        let group = low.saturating_sub(1);
        let mut place = self.rank_before(group);
        let mut word = group * (RANK_ROWS / 64);
        while place < end && word < self.words.len() / 8 {
            let mut bits = self.word(word);
            while bits != 0 && place < end {
                if place >= first {
                    out.push(count(word) * 64 + bits.trailing_zeros());
                }
                bits &= bits - 1;
                place += 1;
            }
            word += 1;
        }
    }
}

fn read_gaps(bytes: &[u8], rows: u32) -> Result<PresentRows<'static>, Error> {
    let damaged = || Error::damaged("a present row lies beyond the last");
    let (gaps, _) = Ints::open(bytes, Version::V1)?;
    let mut next = 0_i64;
    let mut present = Vec::with_capacity(gaps.len().min(rows as usize));
    let mut block_gaps = Vec::new();
    for block in 0..gaps.blocks() {
        gaps.decode(block, &mut block_gaps);
        for &gap in &block_gaps {
            let row = next.checked_add(gap).filter(|_| gap >= 0).ok_or_else(damaged)?;
            if row >= i64::from(rows) {
                return Err(damaged());
            }
            present.push(u32::try_from(row).map_err(|_| damaged())?);
            next = row + 1;
        }
    }
    Ok(PresentRows::List(present))
}

#[cfg(test)]
mod tests {
    use super::super::ints_write::write_rising;
    use super::*;
    use proptest::prelude::*;

    fn check(present: &[bool], effort: Effort) {
        let rows = count(present.len());
        let list: Vec<u32> = (0..rows).filter(|&row| present[row as usize]).collect();
        let mut bytes = Vec::new();
        let form = write_presence(&Presence::Rows(list.clone()), present.len(), effort, &mut bytes);
        let open = |rows, values| PresentRows::open(form, &bytes, rows, values, Version::V2);
        let read = open(rows, count(list.len())).expect("reads");
        read.validate(rows).expect("is valid");
        assert_eq!(read.len() as usize, list.len());
        let mut rank = 0;
        for row in 0..rows {
            assert_eq!(read.rank(row), rank);
            assert_eq!(read.value_of(row), present[row as usize].then_some(rank));
            let blocks = read.value_blocks(row, row + 1);
            assert!(!present[row as usize] || blocks.contains(&(rank as usize / BLOCK_VALUES)));
            rank += u32::from(present[row as usize]);
        }
        assert_eq!((read.value_of(rows), read.rank(rows)), (None, rank));
        let some: Vec<u32> = (0..rows).rev().step_by(3).collect();
        assert_eq!(read.values_of(&some), some.iter().map(|&row| read.value_of(row)).collect::<Vec<_>>());
        let mut found = Vec::new();
        for first in [0, 1, rank / 2, rank] {
            read.rows_of(first, 70, &mut found);
            let end = (first as usize + 70).min(list.len());
            assert_eq!(found, list[(first as usize).min(end)..end]);
        }
        assert_eq!(read.to_presence() == Presence::All, list.len() == present.len());
        let refused = open(rows, count(list.len()) + 1).and_then(|read| read.validate(rows));
        assert!(refused.is_err());
    }

    proptest! {
        #[test]
        fn every_fill_comes_back(
            seed in prop::collection::vec(0_u8..100, 1..3000), fill in 0_u8..=100, full in any::<bool>(),
        ) {
            let effort = if full { Effort::Full } else { Effort::Low };
            check(&seed.iter().map(|&n| n < fill).collect::<Vec<_>>(), effort);
        }
    }

    #[test]
    fn a_dense_run_costs_next_to_nothing() {
        let rows: Vec<u32> = (400_000..600_000).collect();
        let mut bytes = Vec::new();
        write_presence(&Presence::Rows(rows), 1_000_000, Effort::Full, &mut bytes);
        assert!(bytes.len() < 2_000, "{}", bytes.len());
    }

    #[test]
    fn rows_beyond_the_last_are_damage() {
        let mut bytes = Vec::new();
        write_rising(&[3, 4, 105], Effort::Low, &mut bytes);
        let open = |form, bytes, rows, values| {
            PresentRows::open(form, bytes, rows, values, Version::V2).and_then(|read| read.validate(rows))
        };
        assert!(open(PresenceForm::Rows, &bytes, 106, 3).is_ok());
        assert!(open(PresenceForm::Rows, &bytes, 105, 3).is_err());
        let bitmap = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128];
        assert!(open(PresenceForm::Bitmap, &bitmap, 64, 1).is_ok());
        assert!(open(PresenceForm::Bitmap, &bitmap, 63, 1).is_err());
        let mut twice = Vec::new();
        write_rising(&[3, 3, 5], Effort::Low, &mut twice);
        assert!(open(PresenceForm::Rows, &twice, 106, 3).is_err());
    }
}
