//! The columnar batch: the one form of events between door and disk.
//!
//! Two levels keep it small and quick to build. A *context* is one resource with one scope and one signal;
//! its attributes are stored once per context. A *row* is an event: it refers to a context, and to a *shape*.
//! The shape is the ordered list of the record's attributes as they came (nesting, empty values, order),
//! so that the export gives back the same model (invariant I3) while queries see flat columns.
//!
//! A span is followed by one row per span event, then one per link: `span.num_events` and `span.num_links`
//! count them, and consecutive event ids keep them together for the export.

use std::sync::Arc;

use crate::columns::{Fixed, Level};
use crate::dictionary::Dictionary;

/// Where a column comes from. The order is the precedence of equal names (SEMANTICS.md): an attribute of the
/// item hides one of the scope, which hides one of the resource.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(u8)]
pub enum Origin {
    /// A [`Fixed`] column.
    Fixed = 0,
    /// An attribute of the span, span event, link, log record or metric point.
    Item = 1,
    /// A metric's value, or a part of it such as `.count`.
    Metric = 2,
    /// A field of a log body that is a JSON object. Derived, never exported.
    Body = 3,
    /// Computed by Skein from other fields. Derived, never exported.
    Derived = 4,
    /// An attribute of the instrumentation scope.
    Scope = 5,
    /// An attribute of the resource.
    Resource = 6,
}

impl Origin {
    /// The origin of its number on disk.
    pub fn from_number(number: u8) -> Option<Origin> {
        const ALL: [Origin; 7] = [
            Origin::Fixed,
            Origin::Item,
            Origin::Metric,
            Origin::Body,
            Origin::Derived,
            Origin::Scope,
            Origin::Resource,
        ];
        ALL.get(usize::from(number)).copied()
    }
}

/// How values are stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(u8)]
pub enum Physical {
    /// Booleans.
    Bool = 0,
    /// 64-bit signed integers.
    I64 = 1,
    /// IEEE 754 double precision, bit for bit.
    F64 = 2,
    /// Dictionary codes of UTF-8 text.
    Text = 3,
    /// Dictionary codes of bytes.
    Bytes = 4,
    /// Dictionary codes of typed values: the bytes of an `opentelemetry.proto.common.v1.AnyValue` message.
    Json = 5,
    /// 16 bytes, read as 32 hex digits of text.
    TraceId = 6,
    /// 8 bytes, read as 16 hex digits of text.
    SpanId = 7,
    /// Nanoseconds as i64, read as milliseconds in f64.
    DurationNs = 8,
}

impl Physical {
    /// The storage form of its number on disk.
    pub fn from_number(number: u8) -> Option<Physical> {
        const ALL: [Physical; 9] = [
            Physical::Bool,
            Physical::I64,
            Physical::F64,
            Physical::Text,
            Physical::Bytes,
            Physical::Json,
            Physical::TraceId,
            Physical::SpanId,
            Physical::DurationNs,
        ];
        ALL.get(usize::from(number)).copied()
    }
}

/// The identity of a column: values of one name and different origins or types live in different columns.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ColumnKey {
    /// Where it comes from.
    pub origin: Origin,
    /// How it is stored.
    pub physical: Physical,
    /// Its name as the client wrote it, nested keys joined by dots.
    pub name: Arc<str>,
}

impl ColumnKey {
    /// The key of a fixed column.
    pub fn fixed(fixed: Fixed) -> ColumnKey {
        ColumnKey { origin: Origin::Fixed, physical: fixed.physical(), name: Arc::from(fixed.name()) }
    }

    /// Whether its values are per event or per context.
    pub fn level(&self) -> Level {
        match self.origin {
            Origin::Scope | Origin::Resource => Level::Context,
            Origin::Fixed => {
                let same = |fixed: &&Fixed| fixed.name() == &*self.name;
                Fixed::ALL.iter().find(same).map_or(Level::Row, |fixed| fixed.level())
            }
            _ => Level::Row,
        }
    }
}

/// Which rows (or contexts) have a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Presence {
    /// All of them.
    All,
    /// These, strictly rising.
    Rows(Vec<u32>),
}

/// The present values of a column, in row order.
#[derive(Clone, Debug)]
pub enum Values {
    /// [`Physical::Bool`].
    Bool(Vec<bool>),
    /// [`Physical::I64`] and [`Physical::DurationNs`].
    I64(Vec<i64>),
    /// [`Physical::F64`].
    F64(Vec<f64>),
    /// [`Physical::Text`], [`Physical::Bytes`], [`Physical::Json`]: codes of the batch's dictionary.
    Code(Vec<u32>),
    /// [`Physical::TraceId`].
    Id16(Vec<[u8; 16]>),
    /// [`Physical::SpanId`].
    Id8(Vec<[u8; 8]>),
}

impl Values {
    /// An empty list for a storage form, with room for so many values.
    pub fn with_capacity(physical: Physical, values: usize) -> Values {
        match physical {
            Physical::Bool => Values::Bool(Vec::with_capacity(values)),
            Physical::I64 | Physical::DurationNs => Values::I64(Vec::with_capacity(values)),
            Physical::F64 => Values::F64(Vec::with_capacity(values)),
            Physical::Text | Physical::Bytes | Physical::Json => Values::Code(Vec::with_capacity(values)),
            Physical::TraceId => Values::Id16(Vec::with_capacity(values)),
            Physical::SpanId => Values::Id8(Vec::with_capacity(values)),
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Values::Bool(values) => values.len(),
            Values::I64(values) => values.len(),
            Values::F64(values) => values.len(),
            Values::Code(values) => values.len(),
            Values::Id16(values) => values.len(),
            Values::Id8(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this is the list for a storage form.
    pub fn fits(&self, physical: Physical) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(&Values::with_capacity(physical, 0))
    }
}

/// Two lists are equal when their bits are: NaN equals itself, 0.0 differs from −0.0.
impl PartialEq for Values {
    fn eq(&self, other: &Values) -> bool {
        match (self, other) {
            (Values::Bool(a), Values::Bool(b)) => a == b,
            (Values::I64(a), Values::I64(b)) => a == b,
            (Values::F64(a), Values::F64(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
            }
            (Values::Code(a), Values::Code(b)) => a == b,
            (Values::Id16(a), Values::Id16(b)) => a == b,
            (Values::Id8(a), Values::Id8(b)) => a == b,
            _ => false,
        }
    }
}

/// One column of a batch.
#[derive(Clone, PartialEq, Debug)]
pub struct Column {
    /// Its identity.
    pub key: ColumnKey,
    /// Which rows have a value.
    pub presence: Presence,
    /// Their values.
    pub values: Values,
}

/// One step in rebuilding a record's attribute list.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Token {
    /// What to do.
    pub kind: TokenKind,
    /// Dictionary code of the attribute's key (of the metric's descriptor for points).
    pub key: u32,
    /// Column or dictionary code, as the kind says; 0 where it needs none.
    pub target: u32,
}

/// What a [`Token`] does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(u8)]
pub enum TokenKind {
    /// An attribute whose value is the row's value in column `target`.
    Value = 0,
    /// Text that was not UTF-8: the row's value in bytes column `target`.
    InvalidText = 1,
    /// A kvlist opens under `key`.
    Open = 2,
    /// The innermost kvlist closes.
    Close = 3,
    /// An attribute whose value message is empty.
    Empty = 4,
    /// An attribute whose value is the next entry of the row's overflow map.
    Overflow = 5,
    /// An attribute whose `AnyValue` message is dictionary value `target` (a key that came twice).
    Inline = 6,
    /// A metric point: descriptor `key` (a `Metric` message without points), value in column `target`.
    Point = 7,
    /// A metric point whose whole data point message is dictionary value `target`.
    InlinePoint = 8,
    /// An attribute that lacks even the value message that [`TokenKind::Empty`] has.
    Absent = 9,
}

impl TokenKind {
    /// The kind of its number on disk.
    pub fn from_number(number: u8) -> Option<TokenKind> {
        use TokenKind::{
            Absent, Close, Empty, Inline, InlinePoint, InvalidText, Open, Overflow, Point, Value,
        };
        const ALL: [TokenKind; 10] =
            [Value, InvalidText, Open, Close, Empty, Overflow, Inline, Point, InlinePoint, Absent];
        ALL.get(usize::from(number)).copied()
    }

    /// Whether `target` is a column.
    pub fn targets_column(self) -> bool {
        matches!(self, TokenKind::Value | TokenKind::InvalidText | TokenKind::Point)
    }

    /// Whether `target` is a dictionary code.
    pub fn targets_dictionary(self) -> bool {
        matches!(self, TokenKind::Inline | TokenKind::InlinePoint)
    }
}

/// The distinct shapes of a batch, each once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ShapeTable {
    tokens: Vec<Token>,
    ends: Vec<u32>,
}

impl ShapeTable {
    /// Number of shapes.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The tokens of a shape; an unknown shape is empty.
    pub fn get(&self, shape: u32) -> &[Token] {
        let index = shape as usize;
        let Some(&end) = self.ends.get(index) else { return &[] };
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.tokens.get(start as usize..end as usize).unwrap_or(&[])
    }

    /// Adds a shape without looking for an equal one. `None` past 4 G tokens.
    pub fn push(&mut self, tokens: &[Token]) -> Option<u32> {
        let shape = u32::try_from(self.ends.len()).ok()?;
        let end = u32::try_from(self.tokens.len() + tokens.len()).ok()?;
        self.tokens.extend_from_slice(tokens);
        self.ends.push(end);
        Some(shape)
    }
}

/// The shapes of a context's attribute lists.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ContextShape {
    /// Shape of the resource's attributes; targets are context columns.
    pub resource: u32,
    /// Shape of the scope's attributes; targets are context columns.
    pub scope: u32,
}

/// Events in columns.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct EventBatch {
    /// Values of text, bytes and json columns, attribute keys and inline values.
    pub dictionary: Dictionary,
    /// `timestamp` of each row, epoch nanoseconds.
    pub times: Vec<i64>,
    /// Context of each row.
    pub contexts: Vec<u32>,
    /// Shape of each row's attribute list; targets are row columns.
    pub shapes: Vec<u32>,
    /// Columns with a value per row.
    pub columns: Vec<Column>,
    /// Shapes of each context; its length is the number of contexts.
    pub context_shapes: Vec<ContextShape>,
    /// Columns with a value per context.
    pub context_columns: Vec<Column>,
    /// The shapes.
    pub shape_table: ShapeTable,
}

impl EventBatch {
    /// Number of events.
    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Finds a row column.
    pub fn column(&self, key: &ColumnKey) -> Option<&Column> {
        self.columns.iter().find(|column| column.key == *key)
    }

    /// Finds a context column.
    pub fn context_column(&self, key: &ColumnKey) -> Option<&Column> {
        self.context_columns.iter().find(|column| column.key == *key)
    }

    /// Checks every index, so that no reader of a decoded batch has to.
    ///
    /// POST: on `Ok`, all parallel lists have the length of `times` (contexts: of `context_shapes`), presence
    /// lists rise strictly and end below it, codes lie in the dictionary, shapes and their targets exist.
    pub fn validate(&self) -> Result<(), InvalidBatch> {
        let rows = self.rows();
        let contexts = self.context_shapes.len();
        check(self.contexts.len() == rows && self.shapes.len() == rows, "row lists differ in length")?;
        check(self.contexts.iter().all(|&c| (c as usize) < contexts), "context out of range")?;
        check(self.shapes.iter().all(|&s| (s as usize) < self.shape_table.len()), "shape out of range")?;
        for shape in &self.context_shapes {
            self.validate_shape(shape.resource, self.context_columns.len())?;
            self.validate_shape(shape.scope, self.context_columns.len())?;
        }
        // A shape belongs to rows or to contexts; those of rows must hit row columns.
        let mut seen = vec![false; self.shape_table.len()];
        for &shape in &self.shapes {
            if !std::mem::replace(&mut seen[shape as usize], true) {
                self.validate_shape(shape, self.columns.len())?;
            }
        }
        self.columns.iter().try_for_each(|column| self.validate_column(column, rows))?;
        self.context_columns.iter().try_for_each(|column| self.validate_column(column, contexts))
    }

    fn validate_shape(&self, shape: u32, columns: usize) -> Result<(), InvalidBatch> {
        check((shape as usize) < self.shape_table.len(), "shape out of range")?;
        let mut depth = 0_usize;
        for token in self.shape_table.get(shape) {
            let target = token.target as usize;
            check(!token.kind.targets_column() || target < columns, "shape targets no column")?;
            check(
                !token.kind.targets_dictionary() || target < self.dictionary.len(),
                "shape targets no value",
            )?;
            check((token.key as usize) < self.dictionary.len(), "key out of range")?;
            match token.kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => {
                    depth = depth.checked_sub(1).ok_or(InvalidBatch("shape closes too often"))?
                }
                _ => {}
            }
        }
        check(depth == 0, "shape stays open")
    }

    fn validate_column(&self, column: &Column, rows: usize) -> Result<(), InvalidBatch> {
        check(column.values.fits(column.key.physical), "values of another type")?;
        match &column.presence {
            Presence::All => check(column.values.len() == rows, "values do not cover all rows")?,
            Presence::Rows(present) => {
                check(column.values.len() == present.len(), "values do not match their rows")?;
                check(present.windows(2).all(|pair| pair[0] < pair[1]), "rows do not rise")?;
                check(present.last().is_none_or(|&last| (last as usize) < rows), "row out of range")?;
            }
        }
        if let Values::Code(codes) = &column.values {
            check(codes.iter().all(|&code| (code as usize) < self.dictionary.len()), "code out of range")?;
        }
        Ok(())
    }
}

fn check(holds: bool, what: &'static str) -> Result<(), InvalidBatch> {
    if holds { Ok(()) } else { Err(InvalidBatch(what)) }
}

/// A batch whose parts do not fit together: damage, since no door makes one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("invalid batch: {0}")]
pub struct InvalidBatch(pub &'static str);
