//! Builds an [`EventBatch`] row by row.
//!
//! A door keeps the [`ColumnIndex`] of a column it has seen, so that the usual attribute costs a comparison
//! of its key with the one at the same place of the record before, and a push.

mod open;

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::batch::{ColumnKey, ContextShape, EventBatch, Origin, Physical, ShapeTable, Token, Values};
use crate::columns::{Fixed, Level};
use crate::dictionary::Interner;
use crate::hash::HashKey;
use crate::same::same;
use open::{AlreadyHashed, Columns, push};

/// The place of a row column in the batch under construction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ColumnIndex(pub u32);

/// A batch under construction.
#[derive(Debug)]
pub struct BatchBuilder {
    interner: Interner,
    times: Vec<i64>,
    contexts: Vec<u32>,
    shapes: Vec<u32>,
    rows: Columns,
    context_shapes: Vec<ContextShape>,
    context_values: Columns,
    shape_table: ShapeTable,
    /// Hash of a shape's tokens → its number; another shape of equal hash sits at the next free hash.
    shape_index: HashMap<u64, u32, BuildHasherDefault<AlreadyHashed>>,
    token_bytes: Vec<u8>,
    hash_key: HashKey,
}

macro_rules! push_method {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $type:ty) => {
        $(#[$doc])*
        ///
        /// Returns false, and changes nothing, when the row already has a value in this column.
        #[inline]
        pub fn $name(&mut self, column: ColumnIndex, row: u32, value: $type) -> bool {
            push(&mut self.rows, column, row, |values| {
                if let Values::$variant(values) = values { values.push(value) }
            })
        }
    };
}

impl BatchBuilder {
    /// An empty batch whose dictionary hashes with `key`.
    pub fn new(key: HashKey) -> BatchBuilder {
        BatchBuilder {
            interner: Interner::new(key),
            times: Vec::new(),
            contexts: Vec::new(),
            shapes: Vec::new(),
            rows: Columns::new(key),
            context_shapes: Vec::new(),
            context_values: Columns::new(key),
            shape_table: ShapeTable::default(),
            shape_index: HashMap::default(),
            token_bytes: Vec::new(),
            hash_key: key,
        }
    }

    /// Number of rows so far.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Number of row columns so far.
    pub fn column_count(&self) -> usize {
        self.rows.columns.len()
    }

    /// The code of a value in the batch's dictionary.
    #[inline]
    pub fn intern(&mut self, value: &[u8]) -> u32 {
        self.interner.intern(value)
    }

    /// The row column of a key, added when new. The key must be of row level.
    pub fn column(&mut self, origin: Origin, physical: Physical, name: &str) -> ColumnIndex {
        ColumnIndex(self.rows.get_or_add(origin, physical, name))
    }

    /// The row column of a fixed column of row level.
    pub fn fixed(&mut self, fixed: Fixed) -> ColumnIndex {
        debug_assert_eq!(fixed.level(), Level::Row, "{}", fixed.name());
        ColumnIndex(self.rows.get_or_add(Origin::Fixed, fixed.physical(), fixed.name()))
    }

    /// The row column of a key, when the batch has it.
    pub fn find(&self, origin: Origin, physical: Physical, name: &str) -> Option<ColumnIndex> {
        self.rows.find(origin, physical, name).ok().map(ColumnIndex)
    }

    /// The context column of a key, when the batch has it.
    pub fn find_context(&self, origin: Origin, physical: Physical, name: &str) -> Option<ColumnIndex> {
        self.context_values.find(origin, physical, name).ok().map(ColumnIndex)
    }

    /// Number of context columns so far.
    pub fn context_column_count(&self) -> usize {
        self.context_values.columns.len()
    }

    /// The key of a row column.
    pub fn key(&self, column: ColumnIndex) -> Option<&ColumnKey> {
        self.rows.columns.get(column.0 as usize).map(|open| &open.key)
    }

    /// Whether a row has a value in a column, or in one of the same origin and name and another type. Only the
    /// row under construction can be asked for.
    #[inline]
    pub fn has_name(&self, column: ColumnIndex, row: u32) -> bool {
        self.rows.has_name(column.0, row)
    }

    /// The same for a name, of which there may be no column yet.
    pub fn is_taken(&self, origin: Origin, physical: Physical, name: &str, row: u32) -> bool {
        self.rows.is_taken(origin, physical, name, row)
    }

    /// Opens the next row; its values are pushed with the returned number, which is the row's index.
    #[inline]
    pub fn begin_row(&mut self, time_ns: i64, context: u32) -> u32 {
        let row = u32::try_from(self.times.len()).unwrap_or(u32::MAX);
        self.times.push(time_ns);
        self.contexts.push(context);
        self.shapes.push(0);
        row
    }

    /// Sets the shape of a row.
    #[inline]
    pub fn set_shape(&mut self, row: u32, shape: u32) {
        if let Some(slot) = self.shapes.get_mut(row as usize) {
            *slot = shape;
        }
    }

    /// The number of a shape, added when new.
    pub fn shape(&mut self, tokens: &[Token]) -> u32 {
        self.token_bytes.clear();
        for token in tokens {
            self.token_bytes.push(token.kind as u8);
            self.token_bytes.extend_from_slice(&token.key.to_le_bytes());
            self.token_bytes.extend_from_slice(&token.target.to_le_bytes());
        }
        let mut hash = self.hash_key.hash(&self.token_bytes);
        while let Some(&shape) = self.shape_index.get(&hash) {
            if self.shape_table.get(shape) == tokens {
                return shape;
            }
            hash = hash.wrapping_add(1);
        }
        let shape = self.shape_table.push(tokens).unwrap_or_default();
        self.shape_index.insert(hash, shape);
        shape
    }

    push_method!(
        /// Pushes a boolean.
        push_bool, Bool, bool);
    push_method!(
        /// Pushes an integer, or nanoseconds of a duration.
        push_i64, I64, i64);
    push_method!(
        /// Pushes a double.
        push_f64, F64, f64);
    push_method!(
        /// Pushes a trace id.
        push_trace_id, Id16, [u8; 16]);
    push_method!(
        /// Pushes a span id.
        push_span_id, Id8, [u8; 8]);
    push_method!(
        /// Pushes the dictionary code of a text, bytes or json value.
        push_code, Code, u32);

    /// Pushes a text, bytes or json value if it repeats the column's last one, which costs no hashing.
    ///
    /// Returns false, and changes nothing, when it is another value or the row already has one here.
    #[inline]
    pub fn push_repeated(&mut self, column: ColumnIndex, row: u32, value: &[u8]) -> bool {
        let Some(open) = self.rows.columns.get_mut(column.0 as usize) else { return false };
        let repeated = open.last_code != u32::MAX && same(self.interner.get(open.last_code), value);
        if !repeated || open.has(row) {
            return false;
        }
        open.push_code(row, open.last_code);
        true
    }

    /// Interns and pushes a text, bytes or json value.
    ///
    /// Returns false, and changes nothing, when the row already has a value in this column.
    #[inline]
    pub fn push_bytes(&mut self, column: ColumnIndex, row: u32, value: &[u8]) -> bool {
        self.push_repeated(column, row, value) || self.push_other(column, row, value)
    }

    /// The same for a value that is known not to repeat the column's last one
    /// ([`BatchBuilder::push_repeated`] has told).
    #[inline]
    pub fn push_other(&mut self, column: ColumnIndex, row: u32, value: &[u8]) -> bool {
        let Some(open) = self.rows.columns.get_mut(column.0 as usize) else { return false };
        if open.has(row) {
            return false;
        }
        let code = self.interner.intern(value);
        open.push_code(row, code);
        true
    }

    /// Makes room for so many further rows: a hint, which no answer depends on.
    pub fn reserve(&mut self, rows: usize) {
        self.times.reserve(rows);
        self.contexts.reserve(rows);
        self.shapes.reserve(rows);
        self.rows.expect(self.times.len() + rows);
        self.interner.reserve(rows);
    }

    /// Adds a context with the shapes of its attribute lists; its values are pushed with
    /// [`BatchBuilder::context_value`].
    pub fn begin_context(&mut self) -> u32 {
        let context = u32::try_from(self.context_shapes.len()).unwrap_or(u32::MAX);
        let empty = self.shape(&[]);
        self.context_shapes.push(ContextShape { resource: empty, scope: empty });
        context
    }

    /// Sets the shapes of a context.
    pub fn set_context_shape(&mut self, context: u32, shape: ContextShape) {
        if let Some(slot) = self.context_shapes.get_mut(context as usize) {
            *slot = shape;
        }
    }

    /// Sets a context's value in a context column, added when new; returns the column, or `None` when the
    /// context already has a value there.
    pub fn context_value(
        &mut self,
        key: ColumnKey,
        context: u32,
        value: ContextValue<'_>,
    ) -> Option<ColumnIndex> {
        if self.context_values.is_taken(key.origin, key.physical, &key.name, context) {
            return None;
        }
        let place = self.context_values.get_or_add(key.origin, key.physical, &key.name);
        let column = ColumnIndex(place);
        let code = match value {
            ContextValue::Bytes(bytes) => self.interner.intern(bytes),
            _ => 0,
        };
        let pushed = push(&mut self.context_values, column, context, |values| match (values, value) {
            (Values::Bool(values), ContextValue::Bool(value)) => values.push(value),
            (Values::I64(values), ContextValue::I64(value)) => values.push(value),
            (Values::F64(values), ContextValue::F64(value)) => values.push(value),
            (Values::Code(values), ContextValue::Bytes(_)) => values.push(code),
            _ => {}
        });
        pushed.then_some(column)
    }

    /// The finished batch.
    ///
    /// POST: it passes [`EventBatch::validate`], given that each push fitted its column's storage form.
    pub fn finish(self) -> EventBatch {
        let rows = self.times.len();
        let contexts = self.context_shapes.len();
        EventBatch {
            dictionary: self.interner.finish(),
            times: self.times,
            contexts: self.contexts,
            shapes: self.shapes,
            columns: self.rows.finish(rows),
            context_shapes: self.context_shapes,
            context_columns: self.context_values.finish(contexts),
            shape_table: self.shape_table,
        }
    }
}

/// A context's value.
#[derive(Clone, Copy, Debug)]
pub enum ContextValue<'a> {
    /// A boolean.
    Bool(bool),
    /// An integer.
    I64(i64),
    /// A double.
    F64(f64),
    /// Text, bytes or a json value, as the column's key says.
    Bytes(&'a [u8]),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Presence, TokenKind};
    use std::sync::Arc;

    #[test]
    fn a_built_batch_is_valid() {
        let mut builder = BatchBuilder::new(HashKey(1));
        let context = builder.begin_context();
        let service =
            ColumnKey { origin: Origin::Resource, physical: Physical::Text, name: Arc::from("service.name") };
        builder.context_value(service.clone(), context, ContextValue::Bytes(b"cart"));
        let route = builder.column(Origin::Item, Physical::Text, "http.route");
        let status = builder.column(Origin::Item, Physical::I64, "http.status_code");
        for row_time in 0..10 {
            let row = builder.begin_row(row_time, context);
            assert!(builder.push_bytes(route, row, b"/buy"));
            assert!(!builder.push_bytes(route, row, b"/sell"), "one value per row");
            if row.is_multiple_of(2) {
                assert!(builder.push_i64(status, row, 200));
            }
            let key = builder.intern(b"http.route");
            let shape = builder.shape(&[Token { kind: TokenKind::Value, key, target: route.0 }]);
            builder.set_shape(row, shape);
        }
        let batch = builder.finish();
        assert_eq!(batch.validate(), Ok(()));
        assert_eq!(batch.columns[0].presence, Presence::All);
        assert_eq!(batch.columns[1].presence, Presence::Rows(vec![0, 2, 4, 6, 8]));
        assert_eq!(batch.shape_table.len(), 2);
        assert!(batch.context_column(&service).is_some());
    }

    #[test]
    fn a_column_names_its_rows_wherever_its_gaps_are() {
        let cases: [(&[u32], Presence); 5] = [
            (&[0, 1, 2, 3], Presence::All),
            (&[0, 1], Presence::Rows(vec![0, 1])),
            (&[0, 1, 3], Presence::Rows(vec![0, 1, 3])),
            (&[2, 3], Presence::Rows(vec![2, 3])),
            (&[1], Presence::Rows(vec![1])),
        ];
        for (rows, presence) in cases {
            let mut builder = BatchBuilder::new(HashKey(1));
            let context = builder.begin_context();
            let column = builder.column(Origin::Item, Physical::I64, "n");
            for time in 0..4 {
                let row = builder.begin_row(time, context);
                if rows.contains(&row) {
                    assert!(builder.push_i64(column, row, time));
                }
                assert_eq!(builder.has_name(column, row), rows.contains(&row));
            }
            let batch = builder.finish();
            assert_eq!(batch.validate(), Ok(()));
            assert_eq!(batch.columns[0].presence, presence);
        }
    }

    #[test]
    fn a_repeated_value_is_pushed_once_per_row() {
        let mut builder = BatchBuilder::new(HashKey(1));
        let context = builder.begin_context();
        let column = builder.column(Origin::Item, Physical::Text, "k");
        let row = builder.begin_row(0, context);
        assert!(!builder.push_repeated(column, row, b"a"), "nothing to repeat yet");
        assert!(builder.push_bytes(column, row, b"a"));
        assert!(!builder.push_repeated(column, row, b"a"), "one value per row");
        let row = builder.begin_row(1, context);
        assert!(!builder.push_repeated(column, row, b"b"), "another value");
        assert!(builder.push_repeated(column, row, b"a"));
        assert_eq!(builder.finish().columns[0].values, Values::Code(vec![0, 0]));
    }
}
