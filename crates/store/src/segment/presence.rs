//! Which rows of a column have a value. Nulls are never padded: a sparse column stores the gaps between its
//! rows, a fuller one a bitmap, and one that every row has stores nothing.

use skein_event::Presence;

use super::bytes::{count, u64_at};
use super::ints::{Ints, write_ints};
use crate::error::Error;

/// Below one row in five, gaps (about `log2(5) + 2` bits per present row) are smaller than one bit per row.
const GAPS_BELOW_ONE_IN: usize = 5;

/// The form of a presence on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum PresenceForm {
    /// Every row; no bytes.
    All = 0,
    /// The number of rows skipped before each present one, as an integer sequence.
    Gaps = 1,
    /// One bit per row in 64-bit words, lowest bit first.
    Bitmap = 2,
}

impl PresenceForm {
    pub(crate) fn from_number(number: u8) -> Option<PresenceForm> {
        [PresenceForm::All, PresenceForm::Gaps, PresenceForm::Bitmap].get(usize::from(number)).copied()
    }
}

/// Appends a presence over `rows` rows in its smallest form.
pub(crate) fn write_presence(present: &Presence, rows: usize, out: &mut Vec<u8>) -> PresenceForm {
    let Presence::Rows(present) = present else { return PresenceForm::All };
    if present.len() == rows {
        return PresenceForm::All;
    }
    if present.len() * GAPS_BELOW_ONE_IN < rows {
        let mut next = 0;
        let gaps: Vec<u32> = present
            .iter()
            .map(|&row| {
                let gap = row - next;
                next = row + 1;
                gap
            })
            .collect();
        write_ints(&gaps, out);
        return PresenceForm::Gaps;
    }
    let mut words = vec![0_u64; rows.div_ceil(64)];
    for &row in present {
        words[row as usize / 64] |= 1 << (row % 64);
    }
    out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    PresenceForm::Bitmap
}

/// Which rows of a segment (or contexts, for a context column) have a value, ready to be asked.
///
/// The values of a column are stored densely: value `i` belongs to the `i`-th present row.
#[derive(Clone, Debug)]
pub enum PresentRows {
    /// All rows: value `i` is row `i`'s.
    All {
        /// How many rows there are.
        rows: u32,
    },
    /// These rows, strictly rising.
    Sparse(Vec<u32>),
    /// One bit per row.
    Bitmap(Bitmap),
}

/// One bit per row with a count before each word.
#[derive(Clone, Debug)]
pub struct Bitmap {
    words: Vec<u64>,
    /// Present rows before each word, and in all.
    ranks: Vec<u32>,
}

impl PresentRows {
    /// Reads a presence.
    ///
    /// POST: on `Ok`, exactly `present` rows are present, and each lies below `rows`.
    pub(crate) fn read(
        form: PresenceForm,
        bytes: &[u8],
        rows: u32,
        present: u32,
    ) -> Result<PresentRows, Error> {
        let read = match form {
            PresenceForm::All => PresentRows::All { rows },
            PresenceForm::Gaps => read_gaps(bytes, rows)?,
            PresenceForm::Bitmap => read_bitmap(bytes, rows)?,
        };
        if read.len() == present { Ok(read) } else { Err(Error::damaged("a presence has another count")) }
    }

    /// Number of present rows, which is the number of values.
    pub fn len(&self) -> u32 {
        match self {
            PresentRows::All { rows } => *rows,
            PresentRows::Sparse(rows) => count(rows.len()),
            PresentRows::Bitmap(bitmap) => bitmap.ranks.last().copied().unwrap_or(0),
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
            PresentRows::Sparse(rows) => count(rows.partition_point(|&present| present < row)),
            PresentRows::Bitmap(bitmap) => bitmap.rank(row),
        }
    }

    /// The value of a row: its place among the column's values.
    #[inline]
    pub fn value_of(&self, row: u32) -> Option<u32> {
        match self {
            PresentRows::All { rows } => (row < *rows).then_some(row),
            PresentRows::Sparse(rows) => rows.binary_search(&row).ok().map(count),
            PresentRows::Bitmap(bitmap) => bitmap.contains(row).then(|| bitmap.rank(row)),
        }
    }

    /// Replaces `out` by the rows of the values `first..first + values`, fewer at the end.
    pub fn rows_of(&self, first: u32, values: u32, out: &mut Vec<u32>) {
        out.clear();
        let first = first.min(self.len());
        let end = first.saturating_add(values).min(self.len());
        match self {
            PresentRows::All { .. } => out.extend(first..end),
            PresentRows::Sparse(rows) => out.extend_from_slice(&rows[first as usize..end as usize]),
            PresentRows::Bitmap(bitmap) => bitmap.rows_of(first, end, out),
        }
    }

    /// The same as a batch's presence.
    pub(crate) fn to_presence(&self) -> Presence {
        match self {
            PresentRows::All { .. } => Presence::All,
            PresentRows::Sparse(rows) => Presence::Rows(rows.clone()),
            PresentRows::Bitmap(_) => {
                let mut rows = Vec::with_capacity(self.len() as usize);
                self.rows_of(0, self.len(), &mut rows);
                Presence::Rows(rows)
            }
        }
    }
}

impl Bitmap {
    /// The bits, 64 rows a word, lowest bit first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    fn contains(&self, row: u32) -> bool {
        self.words.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    fn rank(&self, row: u32) -> u32 {
        let word = row as usize / 64;
        match self.words.get(word) {
            Some(bits) => self.ranks[word] + (bits & ((1 << (row % 64)) - 1)).count_ones(),
            None => self.ranks.last().copied().unwrap_or(0),
        }
    }

    fn rows_of(&self, first: u32, end: u32, out: &mut Vec<u32>) {
        let mut word = self.ranks.partition_point(|&rank| rank <= first).saturating_sub(1);
        let mut place = self.ranks[word];
        while place < end && word < self.words.len() {
            let mut bits = self.words[word];
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

fn read_gaps(bytes: &[u8], rows: u32) -> Result<PresentRows, Error> {
    let damaged = || Error::damaged("a present row lies beyond the last");
    let (gaps, _) = Ints::open(bytes)?;
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
    Ok(PresentRows::Sparse(present))
}

fn read_bitmap(bytes: &[u8], rows: u32) -> Result<PresentRows, Error> {
    let word_count = (rows as usize).div_ceil(64);
    let mut words = Vec::with_capacity(word_count.min(bytes.len() / 8 + 1));
    let mut ranks = vec![0];
    let mut total = 0_u32;
    for index in 0..word_count {
        let word = u64_at(bytes, index * 8)?;
        total += word.count_ones();
        words.push(word);
        ranks.push(total);
    }
    let beyond = rows % 64;
    if beyond != 0 && words.last().is_some_and(|word| word >> beyond != 0) {
        return Err(Error::damaged("a present row lies beyond the last"));
    }
    Ok(PresentRows::Bitmap(Bitmap { words, ranks }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(present: &[bool]) {
        let rows = count(present.len());
        let list: Vec<u32> = (0..rows).filter(|&row| present[row as usize]).collect();
        let mut bytes = Vec::new();
        let form = write_presence(&Presence::Rows(list.clone()), present.len(), &mut bytes);
        let read = PresentRows::read(form, &bytes, rows, count(list.len())).expect("reads");
        assert_eq!(read.len() as usize, list.len());
        let mut rank = 0;
        for row in 0..rows {
            assert_eq!(read.rank(row), rank);
            assert_eq!(read.value_of(row), present[row as usize].then_some(rank));
            rank += u32::from(present[row as usize]);
        }
        assert_eq!((read.value_of(rows), read.rank(rows)), (None, rank));
        let mut found = Vec::new();
        for first in [0, 1, rank / 2, rank] {
            read.rows_of(first, 70, &mut found);
            let end = (first as usize + 70).min(list.len());
            assert_eq!(found, list[(first as usize).min(end)..end]);
        }
        assert!(PresentRows::read(form, &bytes, rows, count(list.len()) + 1).is_err());
    }

    proptest! {
        #[test]
        fn every_fill_comes_back(seed in prop::collection::vec(0_u8..100, 1..3000), fill in 0_u8..=100) {
            check(&seed.iter().map(|&n| n < fill).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rows_beyond_the_last_are_damage() {
        let mut bytes = Vec::new();
        write_ints(&[3_u32, 0, 100], &mut bytes);
        assert!(PresentRows::read(PresenceForm::Gaps, &bytes, 106, 3).is_ok());
        assert!(PresentRows::read(PresenceForm::Gaps, &bytes, 105, 3).is_err());
        assert!(PresentRows::read(PresenceForm::Bitmap, &[0, 0, 0, 0, 0, 0, 0, 128], 64, 1).is_ok());
        assert!(PresentRows::read(PresenceForm::Bitmap, &[0, 0, 0, 0, 0, 0, 0, 128], 63, 1).is_err());
    }
}
