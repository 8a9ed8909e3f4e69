//! Present rows by blocks of 1,024: the form for columns that live in runs of rows and are dense there, which is
//! what clustering by dataset makes of most. A block without a value costs nothing, a full one ten bytes; in
//! between lie the places that have a value, the places that have none (both as [`super::presence_spread`] writes
//! them), or one bit each, whichever is smallest.
//! Which of them it is follows from the number of values, so that no block says so.
//!
//! A row is found by one binary search over the blocks that exist; nothing is decoded for it. What this module
//! refuses to do: to panic over wrong bytes.

use super::bytes::{array_at, count, u32_at, u64_at};
use super::presence_spread::{self, Spread};
use crate::error::Error;

/// Rows of a block.
pub(super) const BLOCK_ROWS: usize = 1_024;
/// Bytes of a block's bits.
const BITMAP_BYTES: usize = BLOCK_ROWS / 8;
/// Bytes of the number of blocks.
const HEAD_BYTES: usize = 4;
/// Bytes of a block beside its content: its number u16, the values before it u32, where its content begins u32.
const ENTRY_BYTES: usize = 10;

/// Which rows of a segment have a value.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    /// Of each block that has a value: its number, rising.
    numbers: &'a [u8],
    /// The values before it.
    ranks: &'a [u8],
    /// Where its content begins.
    starts: &'a [u8],
    contents: &'a [u8],
    rows: u32,
    present: u32,
}

/// Stands before the places that have no value, so that they are never taken for those that have one: no places begin
/// with so many in their first bucket where both kinds are equally long.
const MARK: [u8; 2] = [u8::MAX; 2];

/// How the rows of a block are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// All have a value: no bytes.
    Full,
    /// The places that have a value.
    Present,
    /// The places that have none, after [`MARK`].
    Absent,
    /// One bit per place.
    Bits,
}

impl Kind {
    /// What is smallest for so many values in so many rows. Part of the format.
    fn of(values: usize, rows: usize) -> Kind {
        let list = |kind: Kind| (kind.bytes(values, rows), kind);
        let (bytes, kind) = if values >= rows {
            (0, Kind::Full)
        } else {
            // Of two that are equally long the first.
            let (present, absent) = (list(Kind::Present), list(Kind::Absent));
            if present.0 <= absent.0 { present } else { absent }
        };
        if bytes >= BITMAP_BYTES { Kind::Bits } else { kind }
    }

    fn bytes(self, values: usize, rows: usize) -> usize {
        match self {
            Kind::Full => 0,
            Kind::Present => presence_spread::byte_len(values, rows),
            Kind::Absent => MARK.len() + presence_spread::byte_len(rows.saturating_sub(values), rows),
            Kind::Bits => BITMAP_BYTES,
        }
    }
}

/// Rows of a block: the last may have fewer.
fn block_rows(block: usize, rows: usize) -> usize {
    rows.saturating_sub(block * BLOCK_ROWS).min(BLOCK_ROWS)
}

/// The rows of each block that has any.
fn by_block(present: &[u32]) -> impl Iterator<Item = &[u32]> {
    present.chunk_by(|&a, &b| a as usize / BLOCK_ROWS == b as usize / BLOCK_ROWS)
}

/// The bytes that [`write`] would append.
pub(super) fn byte_len(present: &[u32], rows: usize) -> usize {
    let mut bytes = HEAD_BYTES;
    for in_block in by_block(present) {
        let rows = block_rows(in_block[0] as usize / BLOCK_ROWS, rows);
        bytes += ENTRY_BYTES + Kind::of(in_block.len(), rows).bytes(in_block.len(), rows);
    }
    bytes
}

/// Appends present rows, which rise.
pub(super) fn write(present: &[u32], rows: usize, out: &mut Vec<u8>) {
    let blocks: Vec<&[u32]> = by_block(present).collect();
    let number = |block: &[u32]| block[0] as usize / BLOCK_ROWS;
    let kind = |block: &[u32]| {
        let rows = block_rows(number(block), rows);
        (Kind::of(block.len(), rows), rows)
    };
    out.extend_from_slice(&count(blocks.len()).to_le_bytes());
    for block in &blocks {
        #[expect(clippy::cast_possible_truncation, reason = "a segment has 2^23 rows at most, 2^13 blocks")]
        out.extend_from_slice(&(number(block) as u16).to_le_bytes());
    }
    let mut rank = 0;
    for block in &blocks {
        out.extend_from_slice(&count(rank).to_le_bytes());
        rank += block.len();
    }
    let mut start = 0;
    for block in &blocks {
        out.extend_from_slice(&count(start).to_le_bytes());
        let (kind, rows) = kind(block);
        start += kind.bytes(block.len(), rows);
    }
    for block in &blocks {
        let first = number(block) * BLOCK_ROWS;
        let places = block.iter().map(|&row| row as usize - first);
        match kind(block) {
            (Kind::Full, _) => {}
            (Kind::Present, rows) => {
                presence_spread::write(&places.map(count).collect::<Vec<_>>(), rows, out)
            }
            (Kind::Absent, rows) => {
                out.extend_from_slice(&MARK);
                let mut absent = Vec::with_capacity(rows - block.len());
                let mut next = 0;
                for place in places.chain([rows]) {
                    absent.extend((next..place).map(count));
                    next = place + 1;
                }
                presence_spread::write(&absent, rows, out);
            }
            (Kind::Bits, _) => {
                let mut bits = [0_u8; BITMAP_BYTES];
                places.for_each(|place| bits[place / 8] |= 1 << (place % 8));
                out.extend_from_slice(&bits);
            }
        }
    }
}

/// A block, found.
#[derive(Clone, Copy)]
struct Block<'a> {
    first_row: usize,
    rank: u32,
    values: usize,
    rows: usize,
    kind: Kind,
    /// Without a mark.
    content: &'a [u8],
    /// Whether its bytes are there and marked as what they are.
    is_whole: bool,
}

impl<'a> Blocks<'a> {
    /// Opens the form.
    ///
    /// POST: on `Ok`, reading cannot fail, whatever it gives; [`Blocks::validate`] says whether it is right.
    pub(super) fn open(bytes: &'a [u8], rows: u32, present: u32) -> Result<Blocks<'a>, Error> {
        let short = || Error::damaged("the blocks of a presence have another length");
        let blocks = u32_at(bytes, 0)? as usize;
        let rest = bytes.get(HEAD_BYTES..).ok_or_else(short)?;
        let (numbers, rest) = rest.split_at_checked(blocks.saturating_mul(2)).ok_or_else(short)?;
        let (ranks, rest) = rest.split_at_checked(blocks * 4).ok_or_else(short)?;
        let (starts, contents) = rest.split_at_checked(blocks * 4).ok_or_else(short)?;
        Ok(Blocks { numbers, ranks, starts, contents, rows, present })
    }

    /// Checks that exactly so many rows are present, that they rise and that each is there. Done once per chunk.
    pub(super) fn validate(&self) -> Result<(), Error> {
        let damaged = || Error::damaged("the blocks of a presence do not add up");
        let (mut rank, mut start, mut last) = (0, 0, None);
        let mut rows = Vec::with_capacity(BLOCK_ROWS);
        for place in 0..self.blocks() {
            let number = self.number(place);
            let block = self.block(place);
            let begins = u32_at(self.starts, place * 4)? as usize == start && self.rank_of(place) == rank;
            let is_there = block.rows > 0 && (1..=block.rows).contains(&block.values);
            if !begins || !is_there || last.is_some_and(|last| number <= last) {
                return Err(damaged());
            }
            let bytes = block.kind.bytes(block.values, block.rows);
            rows.clear();
            block.rows_into(&mut rows);
            let rise = rows.windows(2).all(|pair| pair[0] < pair[1]);
            let inside = rows.last().is_none_or(|&row| (row as usize) < block.first_row + block.rows);
            let is_listed = block.list().is_none_or(|list| list.is_some_and(|list| list.validate().is_ok()));
            if !block.is_whole || !is_listed || rows.len() != block.values || !rise || !inside {
                return Err(damaged());
            }
            last = Some(number);
            rank += count(block.values);
            start += bytes;
        }
        if rank == self.present && start == self.contents.len() { Ok(()) } else { Err(damaged()) }
    }

    pub(super) fn len(&self) -> u32 {
        self.present
    }

    fn blocks(&self) -> usize {
        self.numbers.len() / 2
    }

    fn number(&self, place: usize) -> usize {
        usize::from(u16::from_le_bytes(array_at(self.numbers, place * 2).unwrap_or([u8::MAX; 2])))
    }

    fn rank_of(&self, place: usize) -> u32 {
        u32_at(self.ranks, place * 4).unwrap_or(self.present)
    }

    fn block(&self, place: usize) -> Block<'a> {
        let number = self.number(place);
        let rank = self.rank_of(place);
        let values = self.rank_of(place + 1).saturating_sub(rank) as usize;
        let rows = block_rows(number, self.rows as usize);
        let kind = Kind::of(values, rows);
        let start = u32_at(self.starts, place * 4).unwrap_or(u32::MAX) as usize;
        let end = start.saturating_add(kind.bytes(values, rows));
        let content = self.contents.get(start..end);
        let content =
            if kind == Kind::Absent { content.and_then(|c| c.strip_prefix(&MARK)) } else { content };
        let (content, is_whole) = (content.unwrap_or(&[]), content.is_some());
        Block { first_row: number * BLOCK_ROWS, rank, values, rows, kind, content, is_whole }
    }

    /// The place of the first block that does not lie before a block number.
    fn first_from(&self, number: usize) -> usize {
        let (mut low, mut high) = (0, self.blocks());
        while low < high {
            let middle = low.midpoint(high);
            if self.number(middle) < number { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Whether a row has a value, and how many have one before it.
    #[inline]
    pub(super) fn find(&self, row: u32) -> (bool, u32) {
        let number = row as usize / BLOCK_ROWS;
        let place = self.first_from(number);
        if row >= self.rows || place == self.blocks() || self.number(place) != number {
            return (false, if row >= self.rows { self.present } else { self.rank_of(place) });
        }
        let block = self.block(place);
        let (present, within) = block.find(row as usize % BLOCK_ROWS);
        (present, block.rank.saturating_add(count(within)))
    }

    /// The values of some rows, each with what stands beside it; a block is looked for once for neighbours.
    pub(super) fn find_each(&self, rows: impl Iterator<Item = (u32, u32)>, mut found: impl FnMut(u32, u32)) {
        let mut known: Option<(usize, Option<Block<'a>>)> = None;
        for (beside, row) in rows {
            let number = row as usize / BLOCK_ROWS;
            let block = match known {
                Some((of, block)) if of == number => block,
                _ => {
                    let place = self.first_from(number);
                    let is_there = place < self.blocks() && self.number(place) == number;
                    let block = is_there.then(|| self.block(place));
                    known = Some((number, block));
                    block
                }
            };
            if let Some(block) = block
                && let (true, within) = block.find(row as usize % BLOCK_ROWS)
            {
                found(beside, block.rank.saturating_add(count(within)));
            }
        }
    }

    /// Appends the rows of the values `first..end`.
    pub(super) fn rows_of(&self, first: u32, end: u32, out: &mut Vec<u32>) {
        let (mut low, mut high) = (0, self.blocks());
        while low < high {
            let middle = low.midpoint(high);
            if self.rank_of(middle) <= first { low = middle + 1 } else { high = middle }
        }
        let mut rows = Vec::with_capacity(BLOCK_ROWS);
        for place in low.saturating_sub(1)..self.blocks() {
            let block = self.block(place);
            if block.rank >= end {
                break;
            }
            rows.clear();
            block.rows_into(&mut rows);
            let from = first.saturating_sub(block.rank) as usize;
            let until = ((end - block.rank) as usize).min(rows.len());
            out.extend_from_slice(rows.get(from..until).unwrap_or(&[]));
        }
    }
}

impl Block<'_> {
    /// The places of a block that lists some; `Some(None)` when they are not there.
    #[inline]
    fn list(&self) -> Option<Option<Spread<'_>>> {
        let listed = match self.kind {
            Kind::Full | Kind::Bits => return None,
            Kind::Present => self.values,
            Kind::Absent => self.rows.saturating_sub(self.values),
        };
        Some(Spread::open(self.content, count(self.rows), count(listed)).ok())
    }

    /// Whether a place is listed, and how many of the list lie before it.
    #[inline]
    fn search(&self, wanted: usize) -> (bool, usize) {
        let found = self.list().flatten().map(|list| list.find(count(wanted)));
        found.map_or((false, 0), |(listed, before)| (listed, before as usize))
    }

    fn word(&self, place: usize) -> u64 {
        u64_at(self.content, place * 8).unwrap_or(0)
    }

    /// Whether a place has a value, and how many have one before it.
    #[inline]
    fn find(&self, place: usize) -> (bool, usize) {
        match self.kind {
            Kind::Full => (place < self.rows, place),
            Kind::Present => self.search(place),
            Kind::Absent => {
                let (absent, before) = self.search(place);
                (!absent && place < self.rows, place.saturating_sub(before))
            }
            Kind::Bits => {
                let word = self.word(place / 64);
                let whole: u32 = (0..place / 64).map(|place| self.word(place).count_ones()).sum();
                let before = whole + (word & ((1 << (place % 64)) - 1)).count_ones();
                (word >> (place % 64) & 1 == 1, before as usize)
            }
        }
    }

    /// Appends its rows.
    fn rows_into(&self, out: &mut Vec<u32>) {
        let first = count(self.first_row);
        match self.kind {
            Kind::Full => out.extend(first..first + count(self.rows)),
            Kind::Present => {
                let start = out.len();
                if let Some(list) = self.list().flatten() {
                    list.rows_of(0, list.len(), out);
                }
                out[start..].iter_mut().for_each(|row| *row = row.saturating_add(first));
            }
            Kind::Absent => {
                let mut listed = Vec::with_capacity(self.rows.saturating_sub(self.values));
                if let Some(list) = self.list().flatten() {
                    list.rows_of(0, list.len(), &mut listed);
                }
                let (mut next, rows) = (0, count(self.rows));
                for absent in listed.into_iter().chain([rows]) {
                    let absent = absent.min(rows);
                    out.extend((next..absent).map(|place| first + place));
                    next = next.max(absent + 1);
                }
            }
            Kind::Bits => {
                for place in 0..self.content.len() / 8 {
                    let mut bits = self.word(place);
                    while bits != 0 {
                        out.push(first + count(place * 64) + bits.trailing_zeros());
                        bits &= bits - 1;
                    }
                }
            }
        }
    }
}
