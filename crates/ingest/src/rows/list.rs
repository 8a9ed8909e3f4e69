//! Writes attribute lists: predicted where they repeat, by name where they do not.

use skein_event::batch::{Origin, Physical, Token, TokenKind};
use skein_event::builder::ColumnIndex;
use skein_event::columns::overflow_prefix;
use skein_event::limits::{COLUMN_NAME_BYTES_MAX, DATASET_COLUMNS_MAX, EVENT_COLUMNS_MAX, FLATTEN_DEPTH_MAX};

use super::Rows;
use crate::any_value::push_entry;
use crate::attribute::{Attribute, Value, for_each_element, is_all_utf8, read_entry};
use crate::shape_path::{NONE, Root, Step};
use crate::wire::is_utf8;

/// Where a value goes.
enum Place {
    Column(ColumnIndex),
    /// The row has a value of this name: the second one is kept for the export.
    Taken,
    /// A limit is reached.
    Overflow,
}

impl Rows {
    /// Writes a record's attributes and begins its list of tokens; [`Rows::finish_list`] ends it.
    #[inline]
    pub(crate) fn attributes(&mut self, row: u32, root: Root, attributes: &[Attribute<'_>]) {
        self.node = root as u32;
        self.prefix.clear();
        for attribute in attributes {
            self.attribute(row, attribute, 0);
        }
    }

    /// Gives the row the shape of the tokens written since [`Rows::attributes`].
    #[inline]
    pub(crate) fn finish_list(&mut self, row: u32) {
        let shape = match self.paths.shape(self.node) {
            Some(shape) => shape,
            None => self.new_list(),
        };
        self.builder.set_shape(row, shape);
    }

    fn new_list(&mut self) -> u32 {
        if self.node == NONE {
            return self.builder.shape(&self.tokens);
        }
        self.paths.tokens(self.node, &mut self.tokens);
        let shape = self.builder.shape(&self.tokens);
        self.paths.set_shape(self.node, shape);
        shape
    }

    /// Adds a token that no other list is likely to share.
    pub(crate) fn push_token(&mut self, token: Token) {
        if self.node != NONE {
            self.paths.tokens(self.node, &mut self.tokens);
            self.node = NONE;
        }
        self.tokens.push(token);
    }

    /// Adds the token of a metric point; events of the same metrics share their lists.
    pub(crate) fn push_point(&mut self, token: Token) {
        if token.kind == TokenKind::InlinePoint {
            return self.push_token(token);
        }
        let mut key = [0_u8; 8];
        key[..4].copy_from_slice(&token.key.to_le_bytes());
        key[4..].copy_from_slice(&token.target.to_le_bytes());
        self.advance(Step::Point, &key, token);
    }

    #[inline]
    fn attribute(&mut self, row: u32, attribute: &Attribute<'_>, depth: usize) {
        let step = match attribute.value {
            Value::Text(_) => Step::Text,
            Value::Bool(_) => Step::Bool,
            Value::I64(_) => Step::I64,
            Value::F64(_) => Step::F64,
            Value::Bytes(_) => Step::Bytes,
            Value::Array(_) => Step::Json,
            Value::Map(_) if depth >= FLATTEN_DEPTH_MAX => Step::Json,
            Value::Map(_) => Step::Open,
            Value::Empty => Step::Empty,
            Value::Absent => Step::Absent,
        };
        if let Some((node, token)) = self.paths.follow(self.node, step, attribute.key)
            && step != Step::Open
            && self.push_value(row, ColumnIndex(token.target), attribute)
        {
            self.node = node;
            self.columns_used += 1;
            return;
        }
        self.new_attribute(row, attribute, step, depth);
    }

    /// Pushes a value into its column; false when it does not fit there.
    #[inline]
    fn push_value(&mut self, row: u32, column: ColumnIndex, attribute: &Attribute<'_>) -> bool {
        match attribute.value {
            Value::Text(text) => self.push_text(column, row, text),
            Value::Bool(bit) => self.builder.push_bool(column, row, bit),
            Value::I64(number) => self.builder.push_i64(column, row, number),
            Value::F64(number) => self.builder.push_f64(column, row, number),
            Value::Bytes(bytes) => self.builder.push_bytes(column, row, bytes),
            Value::Array(_) | Value::Map(_) => {
                self.invalid_text |= !is_all_utf8(attribute.value);
                self.builder.push_bytes(column, row, attribute.message)
            }
            Value::Empty | Value::Absent => true,
        }
    }

    /// An attribute at a place where the lists before had another.
    fn new_attribute(&mut self, row: u32, attribute: &Attribute<'_>, step: Step, depth: usize) {
        let key = self.builder.intern(attribute.key);
        match step {
            Step::Empty => {
                self.advance(step, attribute.key, Token { kind: TokenKind::Empty, key, target: 0 })
            }
            Step::Absent => {
                self.advance(step, attribute.key, Token { kind: TokenKind::Absent, key, target: 0 });
            }
            _ if !is_utf8(attribute.key) => {
                self.invalid_text = true;
                self.inline(key, attribute);
            }
            // A column needs a name.
            _ if depth == 0 && attribute.key.is_empty() => self.inline(key, attribute),
            Step::Open => self.map(row, attribute, key, depth),
            Step::Text if !is_valid_text(attribute.value) => {
                self.invalid_text = true;
                self.value(row, attribute, Step::InvalidText, key);
            }
            _ => self.value(row, attribute, step, key),
        }
    }

    /// Writes a value into the column of its full name, new or not.
    fn value(&mut self, row: u32, attribute: &Attribute<'_>, step: Step, key: u32) {
        self.name.clear();
        self.name.extend_from_slice(&self.prefix);
        self.name.extend_from_slice(attribute.key);
        let (kind, physical) = match step {
            Step::Bool => (TokenKind::Value, Physical::Bool),
            Step::I64 => (TokenKind::Value, Physical::I64),
            Step::F64 => (TokenKind::Value, Physical::F64),
            Step::Bytes => (TokenKind::Value, Physical::Bytes),
            Step::Json => (TokenKind::Value, Physical::Json),
            Step::InvalidText => (TokenKind::InvalidText, Physical::Bytes),
            _ => (TokenKind::Value, Physical::Text),
        };
        let column = match self.column(Origin::Item, physical, row) {
            Place::Column(column) => column,
            Place::Taken => return self.inline(key, attribute),
            Place::Overflow => return self.overflow(key, attribute),
        };
        match (step, attribute.value) {
            (Step::InvalidText, Value::Text(bytes)) => drop(self.builder.push_bytes(column, row, bytes)),
            _ => drop(self.push_value(row, column, attribute)),
        }
        self.columns_used += 1;
        self.advance(step, attribute.key, Token { kind, key, target: column.0 });
    }

    /// Where the value of `self.name` goes. Of two values of one name the first counts, whatever their types.
    fn column(&mut self, origin: Origin, physical: Physical, row: u32) -> Place {
        let fits = self.columns_used < EVENT_COLUMNS_MAX && self.name.len() <= COLUMN_NAME_BYTES_MAX;
        let Ok(name) = std::str::from_utf8(&self.name) else { return Place::Overflow };
        match self.builder.find(origin, physical, name) {
            Some(column) if self.builder.has_name(column, row) => Place::Taken,
            Some(column) if fits => Place::Column(column),
            None if self.builder.is_taken(origin, physical, name, row) => Place::Taken,
            None if fits && self.builder.column_count() < DATASET_COLUMNS_MAX => {
                Place::Column(self.builder.column(origin, physical, name))
            }
            _ => Place::Overflow,
        }
    }

    /// A value of a name that Skein gives it: a field of a log body, a part of a metric, a copied exception.
    /// Returns its column, or `None` when it went into the overflow map, or nowhere because the row already
    /// has a value of that name.
    pub(crate) fn derived(
        &mut self,
        row: u32,
        origin: Origin,
        name: &[u8],
        value: Value<'_>,
        message: &[u8],
    ) -> Option<ColumnIndex> {
        self.name.clear();
        self.name.extend_from_slice(name);
        let attribute = Attribute { key: name, message, value };
        let physical = match value {
            Value::Text(text) if !is_utf8(text) => Physical::Bytes,
            Value::Text(_) => Physical::Text,
            Value::Bool(_) => Physical::Bool,
            Value::I64(_) => Physical::I64,
            Value::F64(_) => Physical::F64,
            Value::Bytes(_) => Physical::Bytes,
            Value::Array(_) | Value::Map(_) => Physical::Json,
            Value::Empty | Value::Absent => return None,
        };
        let column = match self.column(origin, physical, row) {
            Place::Column(column) => column,
            Place::Taken => return None,
            Place::Overflow => {
                self.invalid_text |= !is_all_utf8(value);
                self.add_overflow(&[overflow_prefix(origin).as_bytes(), name].concat(), message);
                return None;
            }
        };
        self.columns_used += 1;
        let pushed = match value {
            Value::Text(bytes) if physical == Physical::Bytes => {
                self.invalid_text = true;
                self.builder.push_bytes(column, row, bytes)
            }
            _ => self.push_value(row, column, &attribute),
        };
        pushed.then_some(column)
    }

    /// A kvlist becomes columns of its entries.
    fn map(&mut self, row: u32, attribute: &Attribute<'_>, key: u32, depth: usize) {
        let Value::Map(map) = attribute.value else { return };
        let before = self.prefix.len();
        if before + attribute.key.len() > COLUMN_NAME_BYTES_MAX {
            // Every name below would be too long.
            return self.overflow(key, attribute);
        }
        self.advance(Step::Open, attribute.key, Token { kind: TokenKind::Open, key, target: 0 });
        self.prefix.extend_from_slice(attribute.key);
        self.prefix.push(b'.');
        let walked = for_each_element(map, |entry| {
            self.attribute(row, &read_entry(entry)?, depth + 1);
            Ok(())
        });
        debug_assert!(walked.is_ok(), "the record was inspected before");
        self.prefix.truncate(before);
        self.advance(Step::Close, b"", Token { kind: TokenKind::Close, key, target: 0 });
    }

    /// Goes on in the tree of lists, or leaves it.
    fn advance(&mut self, step: Step, key: &[u8], token: Token) {
        let known = self.paths.follow(self.node, step, key).filter(|(_, known)| *known == token);
        let next = match known {
            Some((node, _)) => Some(node),
            None if self.node == NONE => None,
            None => self.paths.add(self.node, step, key, token),
        };
        match next {
            Some(node) => self.node = node,
            None => self.push_token(token),
        }
    }

    /// Keeps a value in the shape itself: a key that came twice, or that cannot name a column.
    fn inline(&mut self, key: u32, attribute: &Attribute<'_>) {
        self.invalid_text |= !is_all_utf8(attribute.value);
        let target = self.builder.intern(attribute.message);
        self.push_token(Token { kind: TokenKind::Inline, key, target });
    }

    fn overflow(&mut self, key: u32, attribute: &Attribute<'_>) {
        self.invalid_text |= !is_all_utf8(attribute.value);
        self.name.clear();
        self.name.extend_from_slice(&self.prefix);
        self.name.extend_from_slice(attribute.key);
        let name = std::mem::take(&mut self.name);
        let added = self.add_overflow(&name, attribute.message);
        self.name = name;
        if added {
            self.push_token(Token { kind: TokenKind::Overflow, key, target: 0 });
        } else {
            self.inline(key, attribute);
        }
    }

    /// Adds an entry to the row's overflow map; false when the map has grown out of proportion.
    fn add_overflow(&mut self, name: &[u8], message: &[u8]) -> bool {
        let before = self.overflow.len();
        if name.len().saturating_add(message.len()) > self.overflow_bytes_left {
            return false;
        }
        push_entry(&mut self.overflow, name, message);
        let grown = self.overflow.len() - before;
        self.overflow_bytes_left = self.overflow_bytes_left.saturating_sub(grown);
        true
    }
}

fn is_valid_text(value: Value<'_>) -> bool {
    match value {
        Value::Text(text) => is_utf8(text),
        _ => true,
    }
}
