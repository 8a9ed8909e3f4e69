//! Turns batches into columns. Batches are small and wide (a request's events of one partition fill hundreds of
//! columns with a handful of values each), so they are walked one after another, each while it is in the cache,
//! and not column by column.
//!
//! What this costs in memory is bounded by what the batches themselves take: staged values are as large as
//! theirs, and a value that several batches hold is staged once.

use skein_event::batch::{Column, Physical, Values};
use skein_event::dictionary::Dictionary;

use super::super::collect::{Collected, extend};
use super::super::pool::Pool;
use super::super::source::{Open, UNUSED};
use crate::error::Error;

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

/// Stages all sources that are batches.
pub(super) fn stage(
    sources: &[Open<'_>],
    physical_of: &[Physical],
    recode: &mut Recode,
) -> Result<Vec<Piece>, Error> {
    let mut pieces = Vec::new();
    for (number, open) in sources.iter().enumerate() {
        let Some(batch) = open.source.batch() else {
            pieces.push(Piece::Segment { source: number, rows: open.rows });
            continue;
        };
        if !matches!(pieces.last(), Some(Piece::Batches(_))) {
            let columns = physical_of.iter().map(|_| None).collect();
            pieces.push(Piece::Batches(Stage { rows: 0, columns }));
        }
        let Some(Piece::Batches(stage)) = pieces.last_mut() else { continue };
        for (column, &merged) in batch.columns.iter().zip(&open.columns[0]) {
            if merged == UNUSED {
                continue;
            }
            let staged = stage.columns[merged as usize]
                .get_or_insert_with(|| Box::new(Staged::new(physical_of[merged as usize])));
            staged.add(column, &batch.dictionary, stage.rows, open.rows, recode)?;
        }
        stage.rows += open.rows;
    }
    Ok(pieces)
}

// === impl Staged ===

impl Staged {
    fn new(physical: Physical) -> Staged {
        Staged { collected: Collected::new(Values::empty(physical)), pool: Pool::default() }
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
