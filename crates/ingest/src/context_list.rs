//! Writes the attribute lists of a resource and a scope into context columns.
//!
//! The rules are those of a record's attributes (`rows.rs`), without prediction: a context is written once.
//! What does not fit a column stays in the shape itself, and joins the overflow map of the context's rows.

use skein_event::batch::{ColumnKey, Origin, Physical, Token, TokenKind};
use skein_event::builder::{BatchBuilder, ContextValue};
use skein_event::columns::{Fixed, overflow_prefix};
use skein_event::limits::{COLUMN_NAME_BYTES_MAX, DATASET_COLUMNS_MAX, EVENT_COLUMNS_MAX, FLATTEN_DEPTH_MAX};

use crate::any_value::push_entry;
use crate::attribute::{Attribute, Value, for_each_element, is_all_utf8, read_entry};
use crate::context::context_key;
use crate::rows::ContextRest;
use crate::wire::is_utf8;

pub(crate) struct ContextList<'b> {
    builder: &'b mut BatchBuilder,
    context: u32,
    tokens: Vec<Token>,
    prefix: Vec<u8>,
    columns_used: usize,
    overflow_bytes_left: usize,
    rest: ContextRest,
}

impl<'b> ContextList<'b> {
    /// `message_bytes` is the size of what is written, on the wire.
    pub(crate) fn new(builder: &'b mut BatchBuilder, context: u32, message_bytes: usize) -> ContextList<'b> {
        ContextList {
            builder,
            context,
            tokens: Vec::new(),
            prefix: Vec::new(),
            columns_used: 0,
            overflow_bytes_left: message_bytes.saturating_mul(2).saturating_add(1 << 10),
            rest: ContextRest::default(),
        }
    }

    pub(crate) fn finish(self) -> ContextRest {
        self.rest
    }

    pub(crate) fn fixed_nonzero(&mut self, fixed: Fixed, value: i64) {
        if value != 0 {
            self.builder.context_value(ColumnKey::fixed(fixed), self.context, ContextValue::I64(value));
        }
    }

    /// Text that is not UTF-8 goes into the bytes column of the same name.
    pub(crate) fn fixed_text(&mut self, fixed: Fixed, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let mut key = ColumnKey::fixed(fixed);
        if !is_utf8(text) {
            key.physical = Physical::Bytes;
            self.rest.invalid_text = true;
        }
        self.builder.context_value(key, self.context, ContextValue::Bytes(text));
    }

    /// Writes a list; returns its shape.
    pub(crate) fn write(&mut self, origin: Origin, attributes: &[Attribute<'_>]) -> u32 {
        self.tokens.clear();
        self.prefix.clear();
        for attribute in attributes {
            self.attribute(origin, attribute, 0);
        }
        self.builder.shape(&self.tokens)
    }

    fn attribute(&mut self, origin: Origin, attribute: &Attribute<'_>, depth: usize) {
        let key = self.builder.intern(attribute.key);
        let nameless = depth == 0 && attribute.key.is_empty();
        match attribute.value {
            Value::Empty => self.tokens.push(Token { kind: TokenKind::Empty, key, target: 0 }),
            Value::Absent => self.tokens.push(Token { kind: TokenKind::Absent, key, target: 0 }),
            _ if nameless || !is_utf8(attribute.key) => self.inline(key, attribute),
            Value::Map(map) if depth < FLATTEN_DEPTH_MAX => {
                self.map(origin, attribute, map, key, depth);
            }
            _ => self.value(origin, attribute, key),
        }
    }

    fn map(&mut self, origin: Origin, attribute: &Attribute<'_>, map: &[u8], key: u32, depth: usize) {
        let before = self.prefix.len();
        if before + attribute.key.len() > COLUMN_NAME_BYTES_MAX {
            return self.overflow(origin, key, attribute);
        }
        self.tokens.push(Token { kind: TokenKind::Open, key, target: 0 });
        self.prefix.extend_from_slice(attribute.key);
        self.prefix.push(b'.');
        let walked = for_each_element(map, |entry| {
            self.attribute(origin, &read_entry(entry)?, depth + 1);
            Ok(())
        });
        debug_assert!(walked.is_ok(), "the context was inspected before");
        self.prefix.truncate(before);
        self.tokens.push(Token { kind: TokenKind::Close, key, target: 0 });
    }

    fn value(&mut self, origin: Origin, attribute: &Attribute<'_>, key: u32) {
        let (kind, physical, value) = match attribute.value {
            Value::Bool(bit) => (TokenKind::Value, Physical::Bool, ContextValue::Bool(bit)),
            Value::I64(number) => (TokenKind::Value, Physical::I64, ContextValue::I64(number)),
            Value::F64(number) => (TokenKind::Value, Physical::F64, ContextValue::F64(number)),
            Value::Bytes(bytes) => (TokenKind::Value, Physical::Bytes, ContextValue::Bytes(bytes)),
            Value::Text(text) if is_utf8(text) => {
                (TokenKind::Value, Physical::Text, ContextValue::Bytes(text))
            }
            Value::Text(text) => (TokenKind::InvalidText, Physical::Bytes, ContextValue::Bytes(text)),
            _ => (TokenKind::Value, Physical::Json, ContextValue::Bytes(attribute.message)),
        };
        self.rest.invalid_text |= !is_all_utf8(attribute.value);
        let name = [&self.prefix, attribute.key].concat();
        let fits = self.columns_used < EVENT_COLUMNS_MAX && name.len() <= COLUMN_NAME_BYTES_MAX;
        let name = std::str::from_utf8(&name).ok().filter(|_| fits);
        let Some(name) = name.filter(|name| self.has_room(origin, physical, name)) else {
            return self.overflow(origin, key, attribute);
        };
        let pushed = self.builder.context_value(context_key(origin, physical, name), self.context, value);
        match pushed {
            Some(column) => {
                self.columns_used += 1;
                self.tokens.push(Token { kind, key, target: column.0 });
            }
            None => self.inline(key, attribute),
        }
    }

    fn has_room(&self, origin: Origin, physical: Physical, name: &str) -> bool {
        self.builder.context_column_count() < DATASET_COLUMNS_MAX
            || self.builder.find_context(origin, physical, name).is_some()
    }

    fn inline(&mut self, key: u32, attribute: &Attribute<'_>) {
        self.rest.invalid_text |= !is_utf8(attribute.key) || !is_all_utf8(attribute.value);
        let target = self.builder.intern(attribute.message);
        self.tokens.push(Token { kind: TokenKind::Inline, key, target });
    }

    fn overflow(&mut self, origin: Origin, key: u32, attribute: &Attribute<'_>) {
        self.inline(key, attribute);
        let name = [overflow_prefix(origin).as_bytes(), &self.prefix, attribute.key].concat();
        let bytes = name.len() + attribute.message.len();
        if bytes <= self.overflow_bytes_left {
            self.overflow_bytes_left -= bytes;
            push_entry(&mut self.rest.overflow, &name, attribute.message);
        }
    }
}
