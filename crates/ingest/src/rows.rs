//! Writes records into the columns of one batch: what traces, logs and metrics have in common.

mod list;

use skein_event::batch::{Origin, Physical, Token};
use skein_event::builder::{BatchBuilder, ColumnIndex};
use skein_event::columns::Fixed;

use crate::any_value::kvlist;
use crate::door::{DoorContext, Rejected, Warning, WarningCode};
use crate::shape_path::{NONE, ShapePaths};
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
        is_utf8(text) && self.builder.push_other(column, row, text)
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
