//! Writes records into the columns of one batch: what traces, logs and metrics have in common.

use skein_event::batch::{Origin, Physical, Token, TokenKind};
use skein_event::builder::{BatchBuilder, ColumnIndex};
use skein_event::columns::Fixed;
use skein_event::limits::{COLUMN_NAME_BYTES_MAX, DATASET_COLUMNS_MAX, EVENT_COLUMNS_MAX, FLATTEN_DEPTH_MAX};

use crate::any_value::{kvlist, push_entry};
use crate::attribute::{Attribute, Value, for_each_element, is_all_utf8, read_entry};
use crate::door::{DoorContext, Rejected, Warning, WarningCode};
use crate::shape_path::{NONE, Root, ShapePaths, Step};
use crate::times::Filed;
use crate::wire::is_utf8;

/// The batch under construction, and the row under construction in it.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) builder: BatchBuilder,
    pub(crate) rejected: Rejected,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) arrival_ns: i64,
    /// Columns of [`Fixed`] that are in use, by its number.
    fixed: [u32; Fixed::ALL.len()],
    paths: ShapePaths,
    /// Where the row's list is in the tree of lists; [`NONE`] when it left it, and `tokens` has the list.
    node: u32,
    tokens: Vec<Token>,
    /// Columns that the row's attributes use.
    columns_used: usize,
    /// Entries of the row's overflow map, and how many bytes they may still take.
    overflow: Vec<u8>,
    overflow_bytes_left: usize,
    /// Dotted name of the innermost open kvlist, with its final dot.
    prefix: Vec<u8>,
    name: Vec<u8>,
    /// The row has text that is not UTF-8.
    invalid_text: bool,
}

impl Rows {
    pub(crate) fn new(context: &DoorContext) -> Rows {
        Rows {
            builder: BatchBuilder::new(context.hash_key),
            rejected: Rejected::default(),
            warnings: Vec::new(),
            arrival_ns: context.arrival_ns,
            fixed: [NONE; Fixed::ALL.len()],
            paths: ShapePaths::new(),
            node: NONE,
            tokens: Vec::new(),
            columns_used: 0,
            overflow: Vec::new(),
            overflow_bytes_left: 0,
            prefix: Vec::new(),
            name: Vec::new(),
            invalid_text: false,
        }
    }

    /// Counts a warning.
    #[cold]
    pub(crate) fn warn(&mut self, code: WarningCode, path: impl FnOnce() -> String) {
        match self.warnings.iter_mut().find(|warning| warning.code == code) {
            Some(warning) => warning.count += 1,
            None => self.warnings.push(Warning { code, count: 1, path: path() }),
        }
    }

    // === fixed columns ===

    #[inline]
    fn fixed(&mut self, fixed: Fixed) -> ColumnIndex {
        match self.fixed.get_mut(fixed as usize) {
            Some(slot) if *slot != NONE => ColumnIndex(*slot),
            Some(slot) => {
                let column = self.builder.fixed(fixed);
                *slot = column.0;
                column
            }
            None => self.builder.fixed(fixed),
        }
    }

    #[inline]
    pub(crate) fn fixed_i64(&mut self, row: u32, fixed: Fixed, value: i64) {
        let column = self.fixed(fixed);
        self.builder.push_i64(column, row, value);
    }

    /// Integers whose 0 means absent, as protobuf has it.
    #[inline]
    pub(crate) fn fixed_nonzero(&mut self, row: u32, fixed: Fixed, value: i64) {
        if value != 0 {
            self.fixed_i64(row, fixed, value);
        }
    }

    #[inline]
    pub(crate) fn fixed_f64(&mut self, row: u32, fixed: Fixed, value: f64) {
        let column = self.fixed(fixed);
        self.builder.push_f64(column, row, value);
    }

    #[inline]
    pub(crate) fn fixed_true(&mut self, row: u32, fixed: Fixed) {
        let column = self.fixed(fixed);
        self.builder.push_bool(column, row, true);
    }

    #[inline]
    pub(crate) fn fixed_trace_id(&mut self, row: u32, fixed: Fixed, id: [u8; 16]) {
        let column = self.fixed(fixed);
        self.builder.push_trace_id(column, row, id);
    }

    #[inline]
    pub(crate) fn fixed_span_id(&mut self, row: u32, fixed: Fixed, id: [u8; 8]) {
        let column = self.fixed(fixed);
        self.builder.push_span_id(column, row, id);
    }

    /// The bytes of a json column, or a word of Skein's own.
    #[inline]
    pub(crate) fn fixed_bytes(&mut self, row: u32, fixed: Fixed, value: &[u8]) {
        let column = self.fixed(fixed);
        self.builder.push_bytes(column, row, value);
    }

    /// Text of the client; empty text is absent, as protobuf has it.
    #[inline]
    pub(crate) fn fixed_text(&mut self, row: u32, fixed: Fixed, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let column = self.fixed(fixed);
        if !self.push_text(column, row, text) {
            self.invalid_fixed_text(row, fixed, text);
        }
    }

    /// Text that is not UTF-8 goes into the bytes column of the same name.
    #[cold]
    pub(crate) fn invalid_fixed_text(&mut self, row: u32, fixed: Fixed, text: &[u8]) {
        let column = self.builder.column(Origin::Fixed, Physical::Bytes, fixed.name());
        self.builder.push_bytes(column, row, text);
        self.invalid_text = true;
    }

    /// Flags the row: it has text that is not UTF-8.
    pub(crate) fn mark_invalid_text(&mut self) {
        self.invalid_text = true;
    }

    /// Pushes text; false when it is not UTF-8.
    #[inline]
    fn push_text(&mut self, column: ColumnIndex, row: u32, text: &[u8]) -> bool {
        // What repeats a text of this column was checked when it came first.
        if self.builder.push_repeated(column, row, text) {
            return true;
        }
        is_utf8(text) && self.builder.push_bytes(column, row, text)
    }

    // === a row ===

    /// Opens a row. `record_bytes` is the size of its record on the wire.
    #[inline]
    pub(crate) fn begin(&mut self, filed: &Filed, context: u32, record_bytes: usize) -> u32 {
        let row = self.builder.begin_row(filed.time_ns, context);
        self.columns_used = 0;
        self.invalid_text = false;
        self.overflow.clear();
        // The full dotted names make the map larger than what came; twice the record and some is enough for
        // any but a record made to be so.
        self.overflow_bytes_left = record_bytes.saturating_mul(2).saturating_add(1 << 10);
        if filed.out_of_range || filed.source.is_some() {
            self.odd_time(row, filed);
        }
        row
    }

    #[cold]
    fn odd_time(&mut self, row: u32, filed: &Filed) {
        if let Some(source) = filed.source {
            self.fixed_bytes(row, Fixed::TimeSource, source.as_bytes());
        }
        if let Some(raw) = filed.raw {
            self.fixed_bytes(row, Fixed::TimeRaw, raw.to_string().as_bytes());
        }
        if filed.out_of_range {
            self.fixed_true(row, Fixed::TimeOutOfRange);
        }
    }

    /// Closes a row: its flags, and its overflow map with that of its context behind.
    #[inline]
    pub(crate) fn end(&mut self, row: u32, context: &ContextRest, path: impl Fn() -> String) {
        let odd = self.invalid_text | context.invalid_text | !self.overflow.is_empty();
        if odd || context.overflow_code.is_some() {
            self.end_odd(row, context, path);
        }
    }

    #[cold]
    fn end_odd(&mut self, row: u32, context: &ContextRest, path: impl Fn() -> String) {
        if self.invalid_text || context.invalid_text {
            self.fixed_true(row, Fixed::InvalidUtf8);
            self.warn(WarningCode::InvalidUtf8, &path);
        }
        if self.overflow.is_empty() {
            if let Some(code) = context.overflow_code {
                let column = self.fixed(Fixed::Overflow);
                self.builder.push_code(column, row, code);
                self.warn(WarningCode::Overflow, path);
            }
            return;
        }
        if context.overflow.len() <= self.overflow_bytes_left {
            self.overflow.extend_from_slice(&context.overflow);
        }
        let map = kvlist(&self.overflow);
        self.fixed_bytes(row, Fixed::Overflow, &map);
        self.warn(WarningCode::Overflow, path);
    }

    // === attribute lists ===

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
        let Some(column) = self.column(Origin::Item, physical) else { return self.overflow(key, attribute) };
        if self.builder.has(column, row) {
            return self.inline(key, attribute);
        }
        match (step, attribute.value) {
            (Step::InvalidText, Value::Text(bytes)) => drop(self.builder.push_bytes(column, row, bytes)),
            _ => drop(self.push_value(row, column, attribute)),
        }
        self.columns_used += 1;
        self.advance(step, attribute.key, Token { kind, key, target: column.0 });
    }

    /// The column of `self.name`, unless that would pass a limit.
    fn column(&mut self, origin: Origin, physical: Physical) -> Option<ColumnIndex> {
        let fits = self.columns_used < EVENT_COLUMNS_MAX && self.name.len() <= COLUMN_NAME_BYTES_MAX;
        let name = std::str::from_utf8(&self.name).ok().filter(|_| fits)?;
        match self.builder.find(origin, physical, name) {
            Some(column) => Some(column),
            None if self.builder.column_count() >= DATASET_COLUMNS_MAX => None,
            None => Some(self.builder.column(origin, physical, name)),
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
            Value::Text(text) if !is_utf8(text) => return None,
            Value::Text(_) => Physical::Text,
            Value::Bool(_) => Physical::Bool,
            Value::I64(_) => Physical::I64,
            Value::F64(_) => Physical::F64,
            Value::Bytes(_) => Physical::Bytes,
            Value::Array(_) | Value::Map(_) => Physical::Json,
            Value::Empty | Value::Absent => return None,
        };
        let Some(column) = self.column(origin, physical) else {
            self.add_overflow(name, message);
            return None;
        };
        self.columns_used += 1;
        self.push_value(row, column, &attribute).then_some(column)
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

/// What a row takes over from its context.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContextRest {
    /// The resource or scope has text that is not UTF-8.
    pub(crate) invalid_text: bool,
    /// Entries of the overflow map of the resource and scope.
    pub(crate) overflow: Vec<u8>,
    /// Dictionary code of a map with just these.
    pub(crate) overflow_code: Option<u32>,
}
