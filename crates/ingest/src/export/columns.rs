//! Reads the values of one row after another.

use std::collections::HashMap;

use skein_event::batch::{Column, Presence, Token, Values};
use skein_event::columns::Fixed;
use skein_event::{EventBatch, Origin, Physical};

use super::Damage;

/// The columns of a batch at one row.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    pub(super) batch: &'a EventBatch,
    /// Place of each fixed column, and of its bytes twin for text that is not UTF-8.
    fixed: Vec<(Option<usize>, Option<usize>)>,
    /// Places of the columns that are parts of metrics.
    metric: HashMap<(&'a str, Physical), usize>,
    row: usize,
}

impl<'a> Columns<'a> {
    pub(super) fn new(batch: &'a EventBatch) -> Columns<'a> {
        let find = |fixed: Fixed, physical: Physical| {
            let is_it = |column: &Column| {
                column.key.origin == Origin::Fixed
                    && column.key.physical == physical
                    && *column.key.name == *fixed.name()
            };
            batch.columns.iter().position(is_it)
        };
        let both = |&fixed: &Fixed| (find(fixed, fixed.physical()), find(fixed, Physical::Bytes));
        let metric =
            batch.columns.iter().enumerate().filter(|(_, column)| column.key.origin == Origin::Metric);
        Columns {
            batch,
            fixed: Fixed::ALL.iter().map(both).collect(),
            metric: metric.map(|(place, column)| ((&*column.key.name, column.key.physical), place)).collect(),
            row: 0,
        }
    }

    pub(super) fn go_to(&mut self, row: usize) {
        self.row = row;
    }

    pub(super) fn time_ns(&self) -> i64 {
        self.batch.times.get(self.row).copied().unwrap_or_default()
    }

    /// The tokens of the row's attribute list.
    pub(super) fn tokens(&self) -> &'a [Token] {
        self.batch.shape_table.get(self.batch.shapes.get(self.row).copied().unwrap_or_default())
    }

    /// The row's value in a column.
    pub(super) fn cell(&self, column: u32) -> Option<Cell<'a>> {
        cell(self.batch, self.batch.columns.get(column as usize)?, self.row)
    }

    /// The row's value in the column that is a part (`.flags`) of the metric in another column.
    pub(super) fn metric_part(&self, metric: u32, part: &str, physical: Physical) -> Option<Cell<'a>> {
        let name = format!("{}{part}", self.batch.columns.get(metric as usize)?.key.name);
        let place = *self.metric.get(&(name.as_str(), physical))?;
        cell(self.batch, self.batch.columns.get(place)?, self.row)
    }

    fn fixed_cell(&self, fixed: Fixed) -> Option<Cell<'a>> {
        let place = self.fixed.get(fixed as usize)?.0?;
        cell(self.batch, self.batch.columns.get(place)?, self.row)
    }

    /// Text, as it came; it may be other than UTF-8.
    pub(super) fn bytes(&self, fixed: Fixed) -> Option<&'a [u8]> {
        let places = self.fixed.get(fixed as usize)?;
        [places.0, places.1].into_iter().flatten().find_map(|place| {
            match cell(self.batch, self.batch.columns.get(place)?, self.row)? {
                Cell::Text(bytes) | Cell::Bytes(bytes) | Cell::Json(bytes) => Some(bytes),
                _ => None,
            }
        })
    }

    /// Text; absent text is empty, as protobuf has it.
    pub(super) fn text(&self, fixed: Fixed) -> String {
        String::from_utf8_lossy(self.bytes(fixed).unwrap_or_default()).into_owned()
    }

    pub(super) fn integer(&self, fixed: Fixed) -> Option<i64> {
        match self.fixed_cell(fixed)? {
            Cell::I64(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn flags(&self) -> i64 {
        self.integer(Fixed::RecordFlags).unwrap_or_default()
    }

    /// A u32 field; absent is 0.
    pub(super) fn count(&self, fixed: Fixed) -> Result<u32, Damage> {
        u32::try_from(self.integer(fixed).unwrap_or_default()).map_err(|_| "a count out of range")
    }

    pub(super) fn id16(&self, fixed: Fixed) -> Option<[u8; 16]> {
        match self.fixed_cell(fixed)? {
            Cell::Id16(id) => Some(id),
            _ => None,
        }
    }

    pub(super) fn id8(&self, fixed: Fixed) -> Option<[u8; 8]> {
        match self.fixed_cell(fixed)? {
            Cell::Id8(id) => Some(id),
            _ => None,
        }
    }

    /// The record's own time, as it came.
    pub(super) fn own_time(&self) -> Result<u64, Damage> {
        if let Some(raw) = self.bytes(Fixed::TimeRaw) {
            return decimal(raw);
        }
        if self.bytes(Fixed::TimeSource).is_some() {
            return Ok(0);
        }
        Ok(self.time_ns().cast_unsigned())
    }
}

/// A u64 in decimal.
pub(super) fn decimal(text: &[u8]) -> Result<u64, Damage> {
    let text = std::str::from_utf8(text).map_err(|_| "a raw time that is no text")?;
    text.parse().map_err(|_| "a raw time that is no number")
}

/// A value of a row or context.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Cell<'a> {
    Bool(bool),
    I64(i64),
    F64(f64),
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    /// An `AnyValue` message.
    Json(&'a [u8]),
    Id16([u8; 16]),
    Id8([u8; 8]),
}

/// A column's value at a row or context.
pub(super) fn cell<'a>(batch: &'a EventBatch, column: &'a Column, row: usize) -> Option<Cell<'a>> {
    let place = match &column.presence {
        Presence::All => row,
        Presence::Rows(rows) => rows.binary_search(&u32::try_from(row).ok()?).ok()?,
    };
    Some(match &column.values {
        Values::Bool(values) => Cell::Bool(*values.get(place)?),
        Values::I64(values) => Cell::I64(*values.get(place)?),
        Values::F64(values) => Cell::F64(*values.get(place)?),
        Values::Id16(values) => Cell::Id16(*values.get(place)?),
        Values::Id8(values) => Cell::Id8(*values.get(place)?),
        Values::Code(codes) => {
            let bytes = batch.dictionary.get(*codes.get(place)?);
            match column.key.physical {
                Physical::Bytes => Cell::Bytes(bytes),
                Physical::Json => Cell::Json(bytes),
                _ => Cell::Text(bytes),
            }
        }
    })
}
