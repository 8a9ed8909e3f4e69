//! Which rows of a column have a value. Nulls are never padded: a column stores its rows, as rows spread over all
//! ([`super::presence_spread`]) or by blocks of rows ([`super::presence_blocks`]), whichever is smaller, and one that
//! every row has stores nothing.
//!
//! Opening costs nothing: a question is answered from the encoded form. What this module refuses to do: to panic
//! over wrong bytes.

use skein_event::Presence;

use super::bytes::count;
use super::header::Version;
use super::ints::{BLOCK_VALUES, Ints};
use super::presence_blocks::{self, Blocks};
use super::presence_spread::{self, Spread};
use crate::error::Error;

/// The form of a presence on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum PresenceForm {
    /// Every row; no bytes.
    All = 0,
    /// The number of rows skipped before each present one, as an integer sequence. In version 1 only.
    Rows = 1,
    /// One bit per row in 64-bit words, lowest bit first. In version 1 only.
    Bitmap = 2,
    /// By blocks of 1,024 rows. Since version 2.
    Blocks = 3,
    /// Spread over all rows. Since version 2.
    Spread = 4,
}

impl PresenceForm {
    pub(crate) fn from_number(number: u8) -> Option<PresenceForm> {
        const FORMS: [PresenceForm; 5] = [
            PresenceForm::All,
            PresenceForm::Rows,
            PresenceForm::Bitmap,
            PresenceForm::Blocks,
            PresenceForm::Spread,
        ];
        FORMS.get(usize::from(number)).copied()
    }
}

/// Appends a presence over `rows` rows in its smallest form.
pub(crate) fn write_presence(present: &Presence, rows: usize, out: &mut Vec<u8>) -> PresenceForm {
    let Presence::Rows(present) = present else { return PresenceForm::All };
    if present.len() == rows {
        return PresenceForm::All;
    }
    if presence_spread::byte_len(present.len(), rows) < presence_blocks::byte_len(present, rows) {
        presence_spread::write(present, rows, out);
        return PresenceForm::Spread;
    }
    presence_blocks::write(present, rows, out);
    PresenceForm::Blocks
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
    /// These rows, strictly rising: those of parents that are not in the segment.
    Rows(Ints<'a>),
    /// The same from a segment of version 1.
    List(Vec<u32>),
    /// By blocks of rows.
    Blocks(Blocks<'a>),
    /// Spread over all rows.
    Spread(Spread<'a>),
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
            (PresenceForm::Bitmap, Version::V1) => read_bits(bytes, rows)?,
            (PresenceForm::Blocks, Version::V2 | Version::V3) => {
                PresentRows::Blocks(Blocks::open(bytes, rows, present)?)
            }
            (PresenceForm::Spread, Version::V2 | Version::V3) => {
                PresentRows::Spread(Spread::open(bytes, rows, present)?)
            }
            (PresenceForm::Rows | PresenceForm::Bitmap, Version::V2 | Version::V3)
            | (PresenceForm::Blocks | PresenceForm::Spread, Version::V1) => {
                return Err(Error::damaged("a presence in a form that this version does not have"));
            }
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
            PresentRows::Blocks(blocks) => blocks.validate(),
            PresentRows::Spread(spread) => spread.validate(),
        }
    }

    /// Number of present rows, which is the number of values.
    pub fn len(&self) -> u32 {
        match self {
            PresentRows::All { rows } => *rows,
            PresentRows::Rows(ints) => count(ints.len()),
            PresentRows::List(rows) => count(rows.len()),
            PresentRows::Blocks(blocks) => blocks.len(),
            PresentRows::Spread(spread) => spread.len(),
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
            PresentRows::Blocks(blocks) => blocks.find(row).1,
            PresentRows::Spread(spread) => spread.find(row).1,
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
            PresentRows::Blocks(blocks) => {
                let (present, rank) = blocks.find(row);
                present.then_some(rank)
            }
            PresentRows::Spread(spread) => {
                let (present, rank) = spread.find(row);
                present.then_some(rank)
            }
        }
    }

    /// Tells `found` of each row that has a value: what stands beside the row, and its value. What is decoded for one
    /// row serves its neighbours.
    pub(crate) fn find_each(&self, rows: impl Iterator<Item = (u32, u32)>, mut found: impl FnMut(u32, u32)) {
        let mut tell =
            |beside: u32, value: Option<u32>| value.into_iter().for_each(|value| found(beside, value));
        match self {
            PresentRows::Rows(ints) => {
                let mut decoded: Option<(usize, (i64, i64))> = None;
                let mut present = Vec::new();
                for (beside, row) in rows {
                    let inside = |zone: (i64, i64)| zone.0 <= i64::from(row) && i64::from(row) <= zone.1;
                    let block = match decoded {
                        Some((block, zone)) if inside(zone) => block,
                        _ => {
                            let block = ints.first_block(i64::from(row));
                            let zone = ints.zone(block);
                            if block == ints.blocks() || !inside(zone) {
                                continue;
                            }
                            ints.decode_u32(block, &mut present);
                            decoded = Some((block, zone));
                            block
                        }
                    };
                    let value = present.binary_search(&row).ok();
                    tell(beside, value.map(|place| count(block * BLOCK_VALUES + place)));
                }
            }
            PresentRows::Blocks(blocks) => blocks.find_each(rows, found),
            _ => rows.for_each(|(beside, row)| tell(beside, self.value_of(row))),
        }
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
            PresentRows::Blocks(blocks) => blocks.rows_of(first, end, out),
            PresentRows::Spread(spread) => spread.rows_of(first, end, out),
        }
    }

    /// The same as a batch's presence.
    pub(crate) fn to_presence(&self) -> Presence {
        match self {
            PresentRows::All { .. } => Presence::All,
            PresentRows::Rows(ints) => Presence::Rows(ints.to_vec_u32()),
            PresentRows::List(rows) => Presence::Rows(rows.clone()),
            PresentRows::Blocks(_) | PresentRows::Spread(_) => {
                let mut rows = Vec::with_capacity(self.len() as usize);
                self.rows_of(0, self.len(), &mut rows);
                Presence::Rows(rows)
            }
        }
    }
}

/// One bit per row, as version 1 has it.
fn read_bits(bytes: &[u8], rows: u32) -> Result<PresentRows<'static>, Error> {
    let word_bytes = (rows as usize).div_ceil(64) * 8;
    let words =
        bytes.get(..word_bytes).ok_or_else(|| Error::damaged("a bitmap of rows has another length"))?;
    let mut present = Vec::new();
    for (place, word) in (0_u32..).zip(words.as_chunks::<8>().0) {
        let mut bits = u64::from_le_bytes(*word);
        while bits != 0 {
            present.push(place * 64 + bits.trailing_zeros());
            bits &= bits - 1;
        }
    }
    if present.last().is_some_and(|&row| row >= rows) {
        return Err(Error::damaged("a present row lies beyond the last"));
    }
    Ok(PresentRows::List(present))
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
#[path = "presence_tests.rs"]
mod tests;
