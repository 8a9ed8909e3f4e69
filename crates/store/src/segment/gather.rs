//! Takes rows out of a segment as a batch: for raw rows, whole traces and the export.

use std::collections::HashMap;

use skein_event::batch::{Column, ContextShape, EventBatch, Physical, Presence, ShapeTable, Values};
use skein_event::columns::Level;
use skein_event::dictionary::Dictionary;
use skein_event::ids::EventId;

use super::bytes::count;
use super::column::ColumnReader;
use super::info::ColumnId;
use super::reader::{RowField, Segment};
use crate::error::Error;

/// Rows of a segment.
#[derive(Clone, PartialEq, Debug)]
pub struct Gathered {
    /// The events, in the order asked for. It passes [`EventBatch::validate`].
    pub batch: EventBatch,
    /// Their identities.
    pub ids: Vec<EventId>,
    /// When each was appended to the log, epoch nanoseconds.
    pub ingest_times: Vec<i64>,
}

/// Numbers the segment's things anew, in order of first use.
#[derive(Default)]
struct Renumber {
    new: HashMap<u32, u32>,
    old: Vec<u32>,
}

impl Renumber {
    fn number(&mut self, old: u32) -> u32 {
        *self.new.entry(old).or_insert_with(|| {
            self.old.push(old);
            count(self.old.len() - 1)
        })
    }
}

impl Segment {
    /// Takes rows out, in the order given; a row may be asked for more than once. Rows beyond the last are
    /// an error.
    pub fn gather(&self, rows: &[u32]) -> Result<Gathered, Error> {
        if rows.iter().any(|&row| row >= self.rows()) {
            return Err(Error::new(crate::ErrorKind::NotFound, "no such row"));
        }
        let field = |field: RowField| -> Result<Vec<i64>, Error> {
            let ints = self.field(field)?;
            Ok(rows.iter().map(|&row| ints.get(row as usize)).collect())
        };
        let narrow = |values: Vec<i64>| values.into_iter().map(|value| u32::try_from(value).unwrap_or(0));
        let mut contexts = Renumber::default();
        let row_contexts = narrow(field(RowField::Context)?).map(|old| contexts.number(old)).collect();
        let mut shapes = Renumber::default();
        let row_shapes = narrow(field(RowField::Shape)?).map(|old| shapes.number(old)).collect();
        let all_context_shapes = self.context_shapes()?;
        let context_shapes: Vec<ContextShape> = contexts
            .old
            .iter()
            .map(|&old| {
                let shape = all_context_shapes[old as usize];
                ContextShape { resource: shapes.number(shape.resource), scope: shapes.number(shape.scope) }
            })
            .collect();
        let mut columns = Columns { segment: self, places: HashMap::new(), lists: [Vec::new(), Vec::new()] };
        for id in (0..self.column_count()).map(ColumnId) {
            columns.gather(id, rows, &contexts.old)?;
        }
        let mut shape_table = columns.shapes(&shapes.old)?;
        let [mut row_columns, mut context_columns] = columns.lists;
        let lists = [&mut row_columns, &mut context_columns];
        let dictionary = self.gather_dictionary(lists, &mut shape_table)?;
        let batch = EventBatch {
            dictionary,
            times: field(RowField::Time)?,
            contexts: row_contexts,
            shapes: row_shapes,
            columns: row_columns,
            context_shapes,
            context_columns,
            shape_table,
        };
        // Chunks are checked one by one; whether shapes fit the level they are used at shows only here.
        batch.validate().map_err(|error| Error::damaged(error.to_string()))?;
        Ok(Gathered { batch, ids: self.event_ids(rows)?, ingest_times: field(RowField::IngestTime)? })
    }

    /// The dictionary of the values that are used; codes in columns and shapes become its codes.
    fn gather_dictionary(
        &self,
        lists: [&mut Vec<Column>; 2],
        shape_table: &mut ShapeTable,
    ) -> Result<Dictionary, Error> {
        let mut shapes: Vec<_> =
            (0..count(shape_table.len())).map(|shape| shape_table.get(shape).to_vec()).collect();
        let mut used: Vec<u32> = Vec::new();
        let [row_columns, context_columns] = lists;
        let mut code_lists: Vec<&mut Vec<u32>> = Vec::new();
        for column in row_columns.iter_mut().chain(context_columns) {
            if let Values::Code(codes) = &mut column.values {
                used.extend_from_slice(codes);
                code_lists.push(codes);
            }
        }
        for token in shapes.iter().flatten() {
            used.push(token.key);
            used.extend(token.kind.targets_dictionary().then_some(token.target));
        }
        // In the order of the segment's dictionary each block of text is opened once.
        used.sort_unstable();
        used.dedup();
        let too_large = || Error::new(crate::ErrorKind::TooLarge, "the rows hold more than 4 GiB of text");
        let (mut text, hashes, mut dictionary) = (self.text()?, self.hashes()?, Dictionary::default());
        let mut new_codes = HashMap::with_capacity(used.len());
        for &old in &used {
            let code = dictionary.push(text.get(old)?, hashes.get(old)).ok_or_else(too_large)?;
            new_codes.insert(old, code);
        }
        let translate = |old: &mut u32| *old = new_codes.get(old).copied().unwrap_or(0);
        code_lists.into_iter().flatten().for_each(translate);
        let mut table = ShapeTable::default();
        for shape in &mut shapes {
            for token in shape.iter_mut() {
                translate(&mut token.key);
                if token.kind.targets_dictionary() {
                    translate(&mut token.target);
                }
            }
            table.push(shape).ok_or_else(too_large)?;
        }
        *shape_table = table;
        Ok(dictionary)
    }
}

/// Columns under collection: of rows, of contexts.
struct Columns<'a> {
    segment: &'a Segment,
    /// Place of a column in its list.
    places: HashMap<ColumnId, u32>,
    lists: [Vec<Column>; 2],
}

impl Columns<'_> {
    fn gather(&mut self, id: ColumnId, rows: &[u32], contexts: &[u32]) -> Result<(), Error> {
        let column = self.segment.column(id)?;
        let wanted = if column.info().level == Level::Row { rows } else { contexts };
        let found: Vec<(u32, u32)> = (0_u32..)
            .zip(wanted)
            .filter_map(|(new, &row)| Some((new, column.present().value_of(row)?)))
            .collect();
        if found.is_empty() {
            return Ok(());
        }
        let presence = if found.len() == wanted.len() {
            Presence::All
        } else {
            Presence::Rows(found.iter().map(|&(new, _)| new).collect())
        };
        let values = values_at(&column, &found);
        self.push(&column, presence, values);
        Ok(())
    }

    fn push(&mut self, column: &ColumnReader<'_>, presence: Presence, values: Values) -> u32 {
        let info = column.info();
        let list = &mut self.lists[usize::from(info.level == Level::Context)];
        let place = count(list.len());
        list.push(Column { key: info.key.clone(), presence, values });
        self.places.insert(info.id, place);
        place
    }

    /// The shapes with the places of columns in their lists.
    fn shapes(&mut self, wanted: &[u32]) -> Result<ShapeTable, Error> {
        let shapes = self.segment.shapes()?;
        let mut table = ShapeTable::default();
        let mut tokens = Vec::new();
        for &old in wanted {
            shapes.tokens(old, &mut tokens);
            for token in tokens.iter_mut().filter(|token| token.kind.targets_column()) {
                let id = ColumnId(token.target);
                token.target = match self.places.get(&id) {
                    Some(&place) => place,
                    // No row asked for has a value here, but a shape names the column: it stays, empty.
                    None => {
                        let column = self.segment.column(id)?;
                        let values = Values::empty(column.info().key.physical);
                        self.push(&column, Presence::Rows(Vec::new()), values)
                    }
                };
            }
            if table.push(&tokens).is_none() {
                return Err(Error::new(crate::ErrorKind::TooLarge, "the shapes hold more than 4 G tokens"));
            }
        }
        Ok(table)
    }
}

/// The values at some places; codes become those of the segment's dictionary.
fn values_at(column: &ColumnReader<'_>, found: &[(u32, u32)]) -> Values {
    let places = found.iter().map(|&(_, place)| place);
    let whole = |place| column.i64_at(place).unwrap_or(0);
    match column.info().key.physical {
        Physical::Bool => Values::Bool(places.map(|place| whole(place) != 0).collect()),
        Physical::I64 | Physical::DurationNs => Values::I64(places.map(whole).collect()),
        Physical::F64 => Values::F64(places.map(|place| column.f64_at(place).unwrap_or(0.0)).collect()),
        Physical::Text | Physical::Bytes | Physical::Json => {
            let code = |place| column.code_at(place).and_then(|code| column.segment_code(code));
            Values::Code(places.map(|place| code(place).unwrap_or(0)).collect())
        }
        Physical::TraceId => {
            let id = |place| column.code_at(place).and_then(|code| column.trace_id(code));
            Values::Id16(places.map(|place| id(place).unwrap_or_default()).collect())
        }
        Physical::SpanId => {
            Values::Id8(places.map(|place| column.span_id_at(place).unwrap_or_default()).collect())
        }
    }
}
