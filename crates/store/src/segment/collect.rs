//! One column of several sources under collection.

use skein_event::batch::{Column, Presence, Values};

use super::bytes::count;
use super::layout::Chunk;
use super::reader::RowField;
use crate::error::Error;

/// Room that a list of rows starts with.
const LISTED_MIN: usize = 64;

/// A row column under collection. While every row so far has a value, rows are only counted.
#[derive(Clone, Debug)]
pub(super) struct Collected {
    rows: Option<Vec<u32>>,
    covered: u32,
    pub(super) values: Values,
}

impl Collected {
    pub(super) fn new(values: Values) -> Collected {
        Collected { rows: None, covered: 0, values }
    }

    /// Makes room for so many values.
    pub(super) fn reserve(&mut self, values: usize) {
        match &mut self.values {
            Values::Bool(list) => list.reserve(values),
            Values::I64(list) => list.reserve(values),
            Values::F64(list) => list.reserve(values),
            Values::Code(list) => list.reserve(values),
            Values::Id16(list) => list.reserve(values),
            Values::Id8(list) => list.reserve(values),
        }
    }

    pub(super) fn add_rows(&mut self, presence: &Presence, base: u32, rows: u32) {
        match (&mut self.rows, presence) {
            (None, Presence::All) if self.covered == base => self.covered = base + rows,
            (list, presence) => {
                let list = list.get_or_insert_with(|| {
                    let mut rows = Vec::with_capacity(self.values.len().max(LISTED_MIN));
                    rows.extend(0..self.covered);
                    rows
                });
                match presence {
                    Presence::All => list.extend(base..base + rows),
                    Presence::Rows(present) => list.extend(present.iter().map(|row| base + row)),
                }
            }
        }
    }

    pub(super) fn presence(&mut self, rows: u32) -> Presence {
        match self.rows.take() {
            Some(list) => Presence::Rows(list),
            None if self.covered == rows => Presence::All,
            None => Presence::Rows((0..self.covered).collect()),
        }
    }
}

/// About how many bytes a column takes in memory.
pub(crate) fn column_bytes(column: &Column) -> usize {
    let rows = match &column.presence {
        Presence::All => 0,
        Presence::Rows(rows) => rows.capacity() * size_of::<u32>(),
    };
    let values = match &column.values {
        Values::Bool(values) => values.capacity(),
        Values::Code(values) => values.capacity() * size_of::<u32>(),
        Values::I64(values) => values.capacity() * size_of::<i64>(),
        Values::F64(values) => values.capacity() * size_of::<f64>(),
        Values::Id8(values) => values.capacity() * 8,
        Values::Id16(values) => values.capacity() * 16,
    };
    size_of::<Column>() + rows + values
}

pub(super) fn present_rows(presence: &Presence, rows: usize) -> Box<dyn Iterator<Item = u32> + '_> {
    match presence {
        Presence::All => Box::new(0..count(rows)),
        Presence::Rows(present) => Box::new(present.iter().copied()),
    }
}

pub(super) fn extend(values: &mut Values, added: &Values) -> Result<(), Error> {
    match (values, added) {
        (Values::Bool(values), Values::Bool(added)) => values.extend_from_slice(added),
        (Values::I64(values), Values::I64(added)) => values.extend_from_slice(added),
        (Values::F64(values), Values::F64(added)) => values.extend_from_slice(added),
        (Values::Id16(values), Values::Id16(added)) => values.extend_from_slice(added),
        (Values::Id8(values), Values::Id8(added)) => values.extend_from_slice(added),
        _ => return Err(Error::damaged("a column's values are of another type")),
    }
    Ok(())
}

/// Where a field of the rows lies.
pub(super) fn chunk_of(field: RowField) -> Chunk {
    match field {
        RowField::Time => Chunk::Time,
        RowField::IngestTime => Chunk::Ingest,
        RowField::Offset => Chunk::Offset,
        RowField::Index => Chunk::Index,
        RowField::Context => Chunk::Context,
        RowField::Shape => Chunk::Shape,
    }
}
