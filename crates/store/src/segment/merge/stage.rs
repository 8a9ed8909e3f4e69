//! Turns batches into columns. Batches are small and wide (a request's events of one partition fill hundreds of
//! columns with a handful of values each), so they are walked one after another, each while it is in the cache,
//! and not column by column.
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
        if self.slots.len() < dictionary.len() {
            self.slots.resize(dictionary.len(), (0, 0));
        }
        if self.stamp == u32::MAX {
            self.slots.fill((0, 0));
            self.stamp = 0;
        }
        self.stamp += 1;
        out.reserve(codes.len());
        for &old in codes {
            let unknown = || Error::damaged("a code lies beyond its batch's dictionary");
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
    /// Adds a batch's columns; `numbers` are their merged numbers.
    pub(super) fn add(
        &mut self,
        batch: &EventBatch,
        numbers: &[u32],
        recode: &mut Recode,
    ) -> Result<(), Error> {
        let rows = count(batch.rows());
        for (column, &number) in batch.columns.iter().zip(numbers) {
            if number == UNUSED {
                continue;
            }
            let number = number as usize;
            if self.columns.len() <= number {
                self.columns.resize_with(number + 1, || None);
            }
            let staged = self.columns[number].get_or_insert_with(|| Box::new(Staged::new(&column.key)));
            staged.add(column, &batch.dictionary, self.rows, rows, recode)?;
        }
        self.rows += rows;
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
