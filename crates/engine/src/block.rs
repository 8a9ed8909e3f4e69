//! The block of rows at hand: 1,024 rows, the unit of zone maps. Times and contexts are decoded when somebody asks
//! for them; a question whose answer lies in the zone maps asks for neither.

use std::cell::{Cell, OnceCell};

use skein_store::Error;
use skein_store::segment::{Ints, RowField, Segment};

use crate::column::BLOCK_ROWS;
use crate::mask::Mask;

/// Reads the fields that every row has, block by block.
pub(crate) struct BlockReader<'a> {
    time: Ints<'a>,
    context: Ints<'a>,
    rows: u32,
    start: u32,
    times: Lazy<i64>,
    contexts: Lazy<u32>,
}

/// What is decoded at the first look, in memory that is used again.
struct Lazy<T> {
    values: OnceCell<Vec<T>>,
    spare: Cell<Vec<T>>,
}

impl<T> Lazy<T> {
    fn new() -> Lazy<T> {
        Lazy { values: OnceCell::new(), spare: Cell::new(Vec::new()) }
    }

    fn forget(&mut self) {
        if let Some(values) = self.values.take() {
            self.spare.set(values);
        }
    }

    #[inline]
    fn get(&self, decode: impl FnOnce(&mut Vec<T>)) -> &[T] {
        self.values.get_or_init(|| {
            let mut values = self.spare.take();
            decode(&mut values);
            values
        })
    }
}

impl<'a> BlockReader<'a> {
    /// At the first block.
    pub(crate) fn open(segment: &'a Segment) -> Result<BlockReader<'a>, Error> {
        Ok(BlockReader {
            time: segment.field(RowField::Time)?,
            context: segment.field(RowField::Context)?,
            rows: segment.rows(),
            start: 0,
            times: Lazy::new(),
            contexts: Lazy::new(),
        })
    }

    /// Goes to the block that begins at a row.
    pub(crate) fn read(&mut self, start: u32) {
        self.start = start;
        self.times.forget();
        self.contexts.forget();
    }

    /// Rows of the segment.
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// The first row.
    pub(crate) fn start(&self) -> u32 {
        self.start
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.saturating_sub(self.start).min(BLOCK_ROWS) as usize
    }

    /// The row after the last.
    pub(crate) fn end(&self) -> u32 {
        self.rows.min(self.start.saturating_add(BLOCK_ROWS))
    }

    /// Earliest and latest time of a block.
    pub(crate) fn time_zone(&self, start: u32) -> (i64, i64) {
        self.time.zone((start / BLOCK_ROWS) as usize)
    }

    fn number(&self) -> usize {
        (self.start / BLOCK_ROWS) as usize
    }

    /// The timestamp of each row.
    pub(crate) fn times(&self) -> &[i64] {
        self.times.get(|times| self.time.decode(self.number(), times))
    }

    /// The context of each row.
    pub(crate) fn contexts(&self) -> &[u32] {
        self.contexts.get(|contexts| self.context.decode_u32(self.number(), contexts))
    }

    /// The least context of the rows if all of them lie in a run that ends with the same; `until` has the end of the
    /// run that each context is in. Clustered files number contexts by dataset, so most blocks lie in one run of what
    /// the events of a service have in common.
    pub(crate) fn one_run(&self, until: &[u32]) -> Option<u32> {
        let (least, most) = self.context.zone(self.number());
        let (least, most) = (u32::try_from(least).ok()?, u32::try_from(most).ok()?);
        (least == most || until.get(least as usize).is_some_and(|&end| most < end)).then_some(least)
    }
}

/// Rows of one block that take part.
#[derive(Clone, Copy)]
pub(crate) struct Block<'b> {
    pub(crate) rows: &'b BlockReader<'b>,
    /// Which rows take part: at least one.
    pub(crate) mask: &'b Mask,
}

impl<'b> Block<'b> {
    /// The first row.
    pub(crate) fn start(&self) -> u32 {
        self.rows.start()
    }

    /// Number of rows, those included that take no part.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Earliest and latest time of all rows of the block.
    pub(crate) fn time_zone(&self) -> (i64, i64) {
        self.rows.time_zone(self.rows.start())
    }

    /// Timestamp of each row of the block.
    pub(crate) fn times(&self) -> &'b [i64] {
        self.rows.times()
    }

    /// The row of the segment at a place of the block.
    pub(crate) fn row(&self, place: usize) -> u32 {
        self.start() + u32::try_from(place).unwrap_or_default()
    }

    /// The places of the rows that take part.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> + 'b {
        self.mask.places()
    }
}
