//! Takes rows out of a segment as a batch: for raw rows, whole traces and the export.

use std::collections::HashMap;
use std::rc::Rc;

use skein_event::batch::{
    Column, ContextShape, EventBatch, Origin, Physical, Presence, ShapeTable, Token, Values,
};
use skein_event::columns::Level;
use skein_event::dictionary::Dictionary;
use skein_event::ids::EventId;

use super::bytes::count;
use super::column::ColumnReader;
use super::info::ColumnId;
use super::reader::{RowField, Segment};
use super::text::TextReader;
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

/// Rows, each with its place among those that are taken out before it.
type PlacedRows = [(u32, u32)];

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
    /// an error, and so are rows that may not be seen.
    pub fn gather(&self, rows: &[u32]) -> Result<Gathered, Error> {
        self.take_out(rows, true)
    }

    /// The same for whoever shows values: how a record's attributes were ordered and nested is left out, as if
    /// each had none.
    pub fn gather_values(&self, rows: &[u32]) -> Result<Gathered, Error> {
        self.take_out(rows, false)
    }

    fn take_out(&self, rows: &[u32], with_shapes: bool) -> Result<Gathered, Error> {
        if rows.iter().any(|&row| row >= self.rows()) {
            return Err(Error::new(crate::ErrorKind::NotFound, "no such row"));
        }
        if self.has_erased() && rows.iter().any(|&row| !self.is_visible(row)) {
            return Err(Error::new(crate::ErrorKind::Erased, "a row was erased after it was found"));
        }
        let field = |field: RowField| -> Result<Vec<i64>, Error> {
            Ok(self.field(field)?.values_at(rows.iter().map(|&row| row as usize)))
        };
        let narrow = |values: Vec<i64>| values.into_iter().map(|value| u32::try_from(value).unwrap_or(0));
        let mut contexts = Renumber::default();
        let row_contexts = narrow(field(RowField::Context)?).map(|old| contexts.number(old)).collect();
        let mut shapes = Renumber::default();
        let mut row_shapes: Vec<u32> =
            narrow(field(RowField::Shape)?).map(|old| shapes.number(old)).collect();
        let (resources, scopes) = self.shapes_of_contexts()?;
        let places = || contexts.old.iter().map(|&context| context as usize);
        let pairs = narrow(resources.values_at(places())).zip(narrow(scopes.values_at(places())));
        let mut context_shapes: Vec<ContextShape> = pairs
            .map(|(resource, scope)| ContextShape {
                resource: shapes.number(resource),
                scope: shapes.number(scope),
            })
            .collect();
        let table = self.shapes()?;
        let mut tokens = vec![Vec::new(); shapes.old.len()];
        shapes.old.iter().zip(&mut tokens).for_each(|(&shape, tokens)| table.tokens(shape, tokens));
        let mut columns = Columns {
            segment: self,
            places: vec![NOWHERE; self.column_count() as usize],
            lists: [Vec::new(), Vec::new()],
            dictionary: Dictionary::default(),
        };
        let contexts: Vec<(u32, u32)> = (0..).zip(contexts.old.iter().copied()).collect();
        for (id, wanted) in self.columns_of(&tokens, rows, &row_shapes)? {
            columns.gather(id, &wanted, rows.len(), &contexts)?;
        }
        let mut shape_table = ShapeTable::default();
        if with_shapes {
            let templates: Vec<bool> = shapes.old.iter().map(|&shape| table.is_template(shape)).collect();
            shape_table = columns.shapes(tokens, &templates, &mut row_shapes)?;
        } else {
            // One shape without attributes for all.
            shape_table.push(&[]);
            row_shapes.fill(0);
            context_shapes.fill(ContextShape { resource: 0, scope: 0 });
        }
        let [row_columns, context_columns] = columns.lists;
        let batch = EventBatch {
            dictionary: columns.dictionary,
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
        let (ids, ingest_times) = (self.event_ids(rows)?, field(RowField::IngestTime)?);
        self.keeper.has_unwrapped()?;
        Ok(Gathered { batch, ids, ingest_times })
    }

    /// The columns in which rows of these shapes may have values, each with the rows that may have one and their
    /// places: in columns of attributes those whose shape names it, in all others all.
    fn columns_of(
        &self,
        tokens: &[Vec<Token>],
        rows: &[u32],
        row_shapes: &[u32],
    ) -> Result<Vec<(ColumnId, Rc<PlacedRows>)>, Error> {
        let placed = || (0_u32..).zip(rows.iter().copied());
        let all: Rc<PlacedRows> = placed().collect();
        let ids = (0..self.column_count()).map(ColumnId);
        if !self.names_all() {
            return Ok(ids.map(|id| (id, Rc::clone(&all))).collect());
        }
        let mut of_shape = vec![Vec::new(); tokens.len()];
        for (row, &shape) in placed().zip(row_shapes) {
            of_shape[shape as usize].push(row);
        }
        let mut named: Vec<Vec<u32>> = vec![Vec::new(); self.column_count() as usize];
        for (shape, tokens) in (0_u32..).zip(tokens) {
            for token in tokens.iter().filter(|token| token.kind.targets_column()) {
                if let Some(shapes) = named.get_mut(token.target as usize)
                    && shapes.last() != Some(&shape)
                {
                    shapes.push(shape);
                }
            }
        }
        let mut chosen = Vec::new();
        let mut last: Option<(&[u32], Rc<PlacedRows>)> = None;
        for (id, shapes) in ids.zip(&named) {
            let wanted = if self.origin(id)? != Origin::Item {
                Rc::clone(&all)
            } else if shapes.is_empty() {
                continue;
            } else if let Some((of, wanted)) = &last
                && *of == &shapes[..]
            {
                Rc::clone(wanted)
            } else {
                let mut wanted: Vec<(u32, u32)> =
                    shapes.iter().flat_map(|&shape| &of_shape[shape as usize]).copied().collect();
                wanted.sort_unstable();
                let wanted = Rc::from(wanted);
                last = Some((shapes, Rc::clone(&wanted)));
                wanted
            };
            chosen.push((id, wanted));
        }
        Ok(chosen)
    }
}

/// Rows that share a template, and the attributes of each.
struct Templated {
    rows: Vec<usize>,
    /// Of each row: places in the template, rising.
    attributes: Vec<Vec<u32>>,
}

/// Marks an attribute of a template that no row asked for has.
const NOWHERE: u32 = u32::MAX;

/// Columns under collection: of rows, of contexts.
struct Columns<'a> {
    segment: &'a Segment,
    /// Of each column of the segment: its place in its list, or [`NOWHERE`].
    places: Vec<u32>,
    lists: [Vec<Column>; 2],
    /// Their values, and the names in shapes.
    dictionary: Dictionary,
}

impl Columns<'_> {
    /// Takes the values of a column that some of these rows have, each row with its place among all `rows`; of a
    /// column of contexts those of `contexts`.
    fn gather(
        &mut self,
        id: ColumnId,
        wanted: &PlacedRows,
        rows: usize,
        contexts: &PlacedRows,
    ) -> Result<(), Error> {
        let (level, present) = self.segment.presence_for_points(id)?;
        let (wanted, all) = if level == Level::Row { (wanted, rows) } else { (contexts, contexts.len()) };
        let mut found = Vec::new();
        present.find_each(wanted.iter().copied(), |place, value| found.push((place, value)));
        if found.is_empty() {
            return Ok(());
        }
        let presence = if found.len() == all {
            Presence::All
        } else {
            Presence::Rows(found.iter().map(|&(new, _)| new).collect())
        };
        let column = self.segment.column_for_points(id)?;
        let values = self.values_at(&column, &found)?;
        self.push(&column, presence, values);
        Ok(())
    }

    fn push(&mut self, column: &ColumnReader<'_>, presence: Presence, values: Values) -> u32 {
        let info = column.info();
        let list = &mut self.lists[usize::from(info.level == Level::Context)];
        let place = count(list.len());
        list.push(Column { key: info.key.clone(), presence, values });
        if let Some(slot) = self.places.get_mut(info.id.0 as usize) {
            *slot = place;
        }
        place
    }

    /// The shapes with the places of columns in their lists. A template becomes the exact shapes of its rows,
    /// whose numbers change with that.
    fn shapes(
        &mut self,
        shapes: Vec<Vec<Token>>,
        are_templates: &[bool],
        row_shapes: &mut [u32],
    ) -> Result<ShapeTable, Error> {
        let too_large = || Error::new(crate::ErrorKind::TooLarge, "the shapes hold more than 4 G tokens");
        let mut table = ShapeTable::default();
        let mut names = Names { segment: self.segment, text: None, codes: HashMap::new() };
        let mut templates = Vec::new();
        for (number, (mut tokens, &is_template)) in shapes.into_iter().zip(are_templates).enumerate() {
            for token in &mut tokens {
                token.key = names.code(token.key, &mut self.dictionary)?;
                if token.kind.targets_dictionary() {
                    token.target = names.code(token.target, &mut self.dictionary)?;
                }
                if token.kind.targets_column() {
                    token.target = match self.places.get(token.target as usize) {
                        Some(&place) if place != NOWHERE || is_template => place,
                        _ => self.push_empty(ColumnId(token.target))?,
                    };
                }
            }
            // The place of a template stays empty: its number is taken.
            table.push(if is_template { &[] } else { &tokens }).ok_or_else(too_large)?;
            if is_template {
                templates.push((number, tokens));
            }
        }
        for (number, tokens) in templates {
            let templated = self.attributes_of(&tokens, number, row_shapes);
            let mut exact: HashMap<Vec<u32>, u32> = HashMap::new();
            for (row, attributes) in templated.rows.into_iter().zip(templated.attributes) {
                row_shapes[row] = match exact.get(&attributes) {
                    Some(&shape) => shape,
                    None => {
                        let own: Vec<_> = attributes.iter().map(|&place| tokens[place as usize]).collect();
                        let shape = table.push(&own).ok_or_else(too_large)?;
                        exact.insert(attributes, shape);
                        shape
                    }
                };
            }
        }
        Ok(table)
    }

    /// No row asked for has a value in a column, but a shape names it: it is there, empty.
    fn push_empty(&mut self, id: ColumnId) -> Result<u32, Error> {
        let column = self.segment.column_for_points(id)?;
        let values = Values::with_capacity(column.info().key.physical, 0);
        Ok(self.push(&column, Presence::Rows(Vec::new()), values))
    }

    /// The rows of a template, and which of its attributes each has.
    fn attributes_of(&self, tokens: &[Token], template: usize, row_shapes: &[u32]) -> Templated {
        let mut place_of: Vec<Option<usize>> = vec![None; row_shapes.len()];
        let mut rows = Vec::new();
        for (row, &shape) in row_shapes.iter().enumerate() {
            if shape as usize == template {
                place_of[row] = Some(rows.len());
                rows.push(row);
            }
        }
        let mut attributes = vec![Vec::new(); rows.len()];
        for (number, token) in (0_u32..).zip(tokens).filter(|(_, token)| token.target != NOWHERE) {
            match self.lists[0].get(token.target as usize).map(|column| &column.presence) {
                Some(Presence::All) => attributes.iter_mut().for_each(|list| list.push(number)),
                Some(Presence::Rows(present)) => {
                    for &row in present {
                        if let Some(place) = place_of.get(row as usize).copied().flatten() {
                            attributes[place].push(number);
                        }
                    }
                }
                None => {}
            }
        }
        Templated { rows, attributes }
    }

    /// The values at some places; codes become those of the dictionary.
    fn values_at(&mut self, column: &ColumnReader<'_>, found: &[(u32, u32)]) -> Result<Values, Error> {
        let places = found.iter().map(|&(_, place)| place);
        let whole = || column.i64s_at(places.clone());
        Ok(match column.info().key.physical {
            Physical::Bool => Values::Bool(whole().into_iter().map(|value| value != 0).collect()),
            Physical::I64 | Physical::DurationNs => Values::I64(whole()),
            Physical::F64 => Values::F64(column.f64s_at(places)),
            Physical::Text | Physical::Bytes | Physical::Json => {
                Values::Code(self.take_text(column, column.codes_at(places))?)
            }
            Physical::TraceId => {
                let codes = column.codes_at(places);
                Values::Id16(
                    codes.into_iter().map(|code| column.trace_id(code).unwrap_or_default()).collect(),
                )
            }
            Physical::SpanId => Values::Id8(column.span_ids_at(places)),
        })
    }

    /// Adds the values of some codes to the dictionary, each once, and gives their new codes.
    fn take_text(&mut self, column: &ColumnReader<'_>, codes: Vec<u32>) -> Result<Vec<u32>, Error> {
        // In the order of the column's dictionary each block of text is opened once.
        let mut used = codes.clone();
        used.sort_unstable();
        used.dedup();
        let mut text = column.text()?.kept_by(self.segment);
        let mut new_codes = Vec::with_capacity(used.len());
        for &code in &used {
            new_codes.push(push(&mut self.dictionary, text.get(code)?, self.segment)?);
        }
        let place = |code: u32| used.binary_search(&code).unwrap_or_default();
        Ok(codes.into_iter().map(|code| new_codes[place(code)]).collect())
    }
}

fn push(dictionary: &mut Dictionary, value: &[u8], segment: &Segment) -> Result<u32, Error> {
    let too_large = || Error::new(crate::ErrorKind::TooLarge, "the rows hold more than 4 GiB of text");
    dictionary.push(value, segment.header().hash_key.hash(value)).ok_or_else(too_large)
}

/// The names of a segment, each taken over at its first use.
struct Names<'a> {
    segment: &'a Segment,
    text: Option<TextReader<'a>>,
    codes: HashMap<u32, u32>,
}

impl Names<'_> {
    fn code(&mut self, name: u32, dictionary: &mut Dictionary) -> Result<u32, Error> {
        if let Some(&code) = self.codes.get(&name) {
            return Ok(code);
        }
        let text = match &mut self.text {
            Some(text) => text,
            none => none.insert(self.segment.text()?.kept_by(self.segment)),
        };
        let code = push(dictionary, text.get(name)?, self.segment)?;
        self.codes.insert(name, code);
        Ok(code)
    }
}
