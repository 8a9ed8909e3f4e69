//! Turns batches into columns. Batches are small and wide (a request's events of one partition fill hundreds of
//! columns with a handful of values each): walked one by one, each brings every column into the cache for a dozen
//! values; walked column by column, every batch is brought there once per column. So some of them are walked together,
//! as many as the cache holds, column by column.
//!
//! What this costs in memory is bounded by what the batches themselves take: staged values are as large as
//! theirs, and a value that several batches hold is staged once.

use skein_event::batch::{Column, ColumnKey, EventBatch, Values};
use skein_event::dictionary::Dictionary;

use super::super::bytes::count;
use super::super::collect::{Collected, extend};
use super::super::pool::Pool;
use super::super::source::UNUSED;
use crate::error::Error;

/// Room that a column starts with: most columns of a head block have more values, and growing there bit by bit
/// costs as much as the values.
const VALUES_EXPECTED: usize = 256;

/// Events of batches that are walked together: of wide events they take 0.7 MiB, which a core's cache holds. Between 512
/// and 4,096 the differences drown in the noise; one batch at a time and all at once are slower by a sixth.
const GROUP_ROWS: usize = 1_024;

/// Fewer codes than this are looked up without remembering what was found: that costs more than it saves.
const REMEMBERED_MIN: usize = 48;

/// Sources of one kind that follow one another.
pub(super) enum Piece {
    Segment { source: usize, rows: u32 },
    Batches(Stage),
}

/// The row columns of batches that follow one another, by merged number.
#[derive(Default)]
pub(super) struct Stage {
    pub(super) rows: u32,
    pub(super) columns: Vec<Option<Box<Staged>>>,
}

/// Batches that are taken in together, and the merged numbers of their columns.
#[derive(Default)]
pub(super) struct Group<'a> {
    batches: Vec<(&'a EventBatch, Vec<u32>)>,
    rows: usize,
    /// Where the parts of each number end, and all parts: batch and column there.
    ends: Vec<u32>,
    parts: Vec<(u32, u32)>,
}

impl<'a> Group<'a> {
    /// Adds a batch. Returns whether the group is large enough to be taken in.
    pub(super) fn push(&mut self, batch: &'a EventBatch, numbers: Vec<u32>) -> bool {
        self.rows += batch.rows();
        self.batches.push((batch, numbers));
        self.rows >= GROUP_ROWS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Puts the columns of all batches in order of their numbers, those of one number in order of the batches.
    fn sort(&mut self) {
        let known =
            || self.batches.iter().flat_map(|(_, numbers)| numbers).filter(|&&number| number != UNUSED);
        let length = known().max().map_or(0, |&most| most as usize + 1);
        self.ends.clear();
        self.ends.resize(length + 1, 0);
        // Counting from the entry behind leaves each entry at the end of its own number.
        known().for_each(|&number| self.ends[number as usize + 1] += 1);
        for number in 1..self.ends.len() {
            self.ends[number] += self.ends[number - 1];
        }
        self.parts.clear();
        self.parts.resize(self.ends[length] as usize, (0, 0));
        for (place, (_, numbers)) in (0_u32..).zip(&self.batches) {
            for (column, &number) in (0_u32..).zip(numbers) {
                if number != UNUSED {
                    let next = &mut self.ends[number as usize];
                    self.parts[*next as usize] = (place, column);
                    *next += 1;
                }
            }
        }
    }
}

/// A column of a stage. Its rows count from the first of the stage; codes are those of its pool.
#[derive(Clone)]
pub(super) struct Staged {
    pub(super) collected: Collected,
    pub(super) pool: Pool,
}

/// Gives codes of a batch's dictionary the codes of a column's pool.
#[derive(Default)]
pub(super) struct Recode {
    /// Of each value of the dictionary at hand the column that used it last, and its code there.
    slots: Vec<(u32, u32)>,
    /// Stands for one column of one batch; no two share it.
    stamp: u32,
}

impl Recode {
    /// Appends the pool's codes of some of a dictionary's; a value is looked for once per column.
    pub(super) fn take(
        &mut self,
        codes: &[u32],
        dictionary: &Dictionary,
        pool: &mut Pool,
        out: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let unknown = || Error::damaged("a code lies beyond its batch's dictionary");
        out.reserve(codes.len());
        if codes.len() < REMEMBERED_MIN {
            return pool.codes_of(codes, dictionary, out);
        }
        if self.slots.len() < dictionary.len() {
            self.slots.resize(dictionary.len(), (0, 0));
        }
        if self.stamp == u32::MAX {
            self.slots.fill((0, 0));
            self.stamp = 0;
        }
        self.stamp += 1;
        for &old in codes {
            let slot = self.slots.get_mut(old as usize).ok_or_else(unknown)?;
            if slot.0 != self.stamp {
                *slot = (self.stamp, pool.code(dictionary.get(old), dictionary.hash(old))?);
            }
            out.push(slot.1);
        }
        Ok(())
    }
}

// === impl Stage ===

impl Stage {
    /// Adds the columns of a group, which is empty afterwards.
    pub(super) fn add(&mut self, group: &mut Group<'_>, recode: &mut Recode) -> Result<(), Error> {
        group.sort();
        let mut bases = Vec::with_capacity(group.batches.len());
        for (batch, _) in &group.batches {
            bases.push(self.rows);
            self.rows += count(batch.rows());
        }
        if self.columns.len() < group.ends.len() {
            self.columns.resize_with(group.ends.len(), || None);
        }
        let mut begin = 0;
        for (number, &end) in group.ends.iter().enumerate() {
            let parts = &group.parts[begin..end as usize];
            begin = end as usize;
            for &(place, column) in parts {
                let (batch, base) = (group.batches[place as usize].0, bases[place as usize]);
                let column = &batch.columns[column as usize];
                let staged = self.columns[number].get_or_insert_with(|| Box::new(Staged::new(&column.key)));
                staged.add(column, &batch.dictionary, base, count(batch.rows()), recode)?;
            }
        }
        group.batches.clear();
        group.rows = 0;
        Ok(())
    }

    /// Numbers its columns anew.
    pub(super) fn rank(&mut self, ranks: &[u32]) {
        let columns = std::mem::take(&mut self.columns);
        self.columns.resize_with(ranks.len(), || None);
        for (column, &rank) in columns.into_iter().zip(ranks) {
            self.columns[rank as usize] = column;
        }
    }
}

// === impl Staged ===

impl Staged {
    fn new(key: &ColumnKey) -> Staged {
        let mut collected = Collected::new(Values::with_capacity(key.physical, 0));
        collected.reserve(VALUES_EXPECTED);
        Staged { collected, pool: Pool::default() }
    }

    fn add(
        &mut self,
        column: &Column,
        dictionary: &Dictionary,
        base: u32,
        rows: u32,
        recode: &mut Recode,
    ) -> Result<(), Error> {
        self.collected.add_rows(&column.presence, base, rows);
        match (&mut self.collected.values, &column.values) {
            (Values::Code(out), Values::Code(codes)) => recode.take(codes, dictionary, &mut self.pool, out),
            (values, added) => extend(values, added),
        }
    }

    /// Puts it behind what was collected of the sources before; codes become those of `pool`.
    pub(super) fn append_to(
        mut self,
        collected: &mut Collected,
        pool: &mut Pool,
        (base, rows): (u32, u32),
    ) -> Result<(), Error> {
        if base == 0 {
            (*collected, *pool) = (self.collected, self.pool);
            return Ok(());
        }
        collected.add_rows(&self.collected.presence(rows), base, rows);
        match (&mut collected.values, &self.collected.values) {
            (Values::Code(out), Values::Code(codes)) => {
                let values = (0_u32..).zip(self.pool.hashes());
                let merged = values.map(|(code, &hash)| pool.code(self.pool.get(code), hash));
                let merged = merged.collect::<Result<Vec<u32>, Error>>()?;
                out.extend(codes.iter().map(|&code| merged[code as usize]));
                Ok(())
            }
            (values, added) => extend(values, added),
        }
    }
}
