//! A logical column bound to one segment: for a block of rows, which physical column each row's value comes
//! from, and its encoded form.

pub(crate) mod cells;
mod cursor;
mod dictionary;
mod places;
mod reading;

use std::sync::Arc;

use skein_event::ids::encode_hex;
use skein_query::number::ValueRef;
use skein_query::plan::Column;
use skein_query::test::Matcher;
use skein_query::time_text::format_ns;
use skein_store::Error;
use skein_store::segment::{BLOCK_VALUES, ColumnReader, Ints, Segment, TextReader, Zone};

use self::cursor::RowCursor;
pub(crate) use self::places::ends_of_runs;
pub(crate) use self::reading::{Kind, Run, RunRows, RunValues};
use crate::block::BlockReader;
use crate::calculated::{BoundProgram, TEXT_PART, Texts};
use crate::flat;
use crate::overflow::overflow_value;
use crate::relation::bound::{BoundTable, TableHandle};
use crate::relation::kept::Kept;
use crate::relation::keys::RowKeys;

/// A row without a value.
pub(crate) const MISSING: u8 = u8::MAX;

/// Rows of a block: the unit of zone maps.
pub(crate) const BLOCK_ROWS: u32 = 1_024;

/// A logical column of one segment, with the cells of the block it was last filled for.
pub(crate) struct BoundColumn<'a> {
    pub(crate) parts: Vec<Part<'a>>,
    /// For each row of the block: the part its value comes from, or [`MISSING`].
    pub(crate) part_of: Vec<u8>,
    /// Its value there: the bits of a number, or a code of the part's dictionary.
    pub(crate) bits: Vec<u64>,
    filled_for: Option<u32>,
    /// Of a value of another event of the trace: where it is remembered. The parts are then by its type.
    related: Option<Box<BoundTable<'a>>>,
    /// Of a calculated column: what fills the cells. The parts are then by type, too.
    program: Option<Box<BoundProgram<'a>>>,
}

/// One place a value can come from.
pub(crate) struct Part<'a> {
    source: Source<'a>,
    /// How bits are read.
    form: Form,
    text: Option<TextReader<'a>>,
    /// The keyed hash of each code, once one was asked for.
    hashes: Option<Vec<u64>>,
    /// Of an overflow map: which codes' maps hold the name at all.
    holds: Option<Vec<bool>>,
    segment: &'a Segment,
}

enum Source<'a> {
    Rows(RowCursor<'a>),
    /// The bits of each context.
    Contexts {
        reader: ColumnReader<'a>,
        bits: Vec<Option<u64>>,
        /// Whether any context has a value.
        any: bool,
        /// Of each context the first after it that has another value.
        until: Vec<u32>,
        /// The codes, where every context has one.
        all_codes: Option<Vec<u32>>,
    },
    /// A time of every row, and those of the block at hand.
    Time(Ints<'a>, Vec<i64>),
    /// The row's number stands for its value.
    RowNumber,
    /// Results of a program; texts have a code.
    Computed(Texts),
    /// Whether a span has no parent.
    IsRoot(Box<RowKeys<'a>>),
}

/// How bits become a value.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Form {
    Bool,
    I64,
    F64,
    Milliseconds,
    SpanId,
    TraceId,
    Text,
    Bytes,
    Json,
    /// An entry of the overflow map, which is a json value.
    Overflow(Arc<str>),
    Time,
    EventId,
    Event,
    /// A remembered value of another event that is no number.
    Kept(TableHandle),
    /// A code of texts that were computed.
    Computed,
}

impl<'a> BoundColumn<'a> {
    /// Finds the column's parts in a segment.
    pub(crate) fn bind(segment: &'a Segment, column: &Column) -> Result<BoundColumn<'a>, Error> {
        if let Some(program) = &column.calculated {
            let part = |form| Part::plain(segment, Source::Computed(Texts::default()), form);
            // In the order of the places that `calculated` has for them.
            let parts = [Form::Bool, Form::I64, Form::F64, Form::Computed].map(part).into();
            let program = Some(Box::new(BoundProgram::bind(segment, program)?));
            return Ok(BoundColumn { program, ..BoundColumn::of_parts(parts) });
        }
        let mut parts = Vec::new();
        for reference in &column.references {
            places::push_parts(segment, reference, &mut parts)?;
        }
        parts.truncate(usize::from(MISSING));
        Ok(BoundColumn::of_parts(parts))
    }

    /// Without parts no row has a value.
    pub(crate) fn of_parts(parts: Vec<Part<'a>>) -> BoundColumn<'a> {
        let (part_of, bits) = (Vec::new(), Vec::new());
        BoundColumn { parts, part_of, bits, filled_for: None, related: None, program: None }
    }

    /// The first value that a table of other events has at each row.
    pub(crate) fn of_table(segment: &'a Segment, table: BoundTable<'a>) -> BoundColumn<'a> {
        let part = |form| Part::plain(segment, Source::RowNumber, form);
        let parts =
            vec![part(Form::Bool), part(Form::I64), part(Form::F64), part(Form::Kept(table.handle()))];
        BoundColumn { related: Some(Box::new(table)), ..BoundColumn::of_parts(parts) }
    }

    /// Fills the cells of a block.
    pub(crate) fn fill(&mut self, at: &BlockReader<'_>) -> Result<(), Error> {
        let start = at.start();
        if self.filled_for == Some(start) {
            return Ok(());
        }
        self.filled_for = Some(start);
        self.part_of.clear();
        self.part_of.resize(at.len(), MISSING);
        self.bits.clear();
        self.bits.resize(at.len(), 0);
        if let Some(related) = &mut self.related {
            related.fill(at)?;
            for (row, (part_of, bits)) in self.part_of.iter_mut().zip(&mut self.bits).enumerate() {
                (*part_of, *bits) = match related.first(row) {
                    None => continue,
                    // In the order of the parts.
                    Some(Kept::Bool(value)) => (0, u64::from(value)),
                    Some(Kept::I64(value)) => (1, value.cast_unsigned()),
                    Some(Kept::F64(value)) => (2, value.to_bits()),
                    Some(Kept::Other(place)) => (3, u64::from(place)),
                };
            }
            return Ok(());
        }
        if let Some(program) = &mut self.program {
            let texts = match self.parts.get_mut(usize::from(TEXT_PART)).map(|part| &mut part.source) {
                Some(Source::Computed(texts)) => texts,
                _ => return Ok(()),
            };
            return program.fill(at, texts, &mut self.part_of, &mut self.bits);
        }
        let mut open = at.len();
        for (number, part) in (0_u8..).zip(&mut self.parts) {
            if open == 0 {
                break;
            }
            let (part_of, bits) = (&mut self.part_of, &mut self.bits);
            let holds = part.holds.take();
            let has = |value: u64| match (&holds, usize::try_from(value)) {
                (Some(holds), Ok(code)) => holds.get(code).copied().unwrap_or_default(),
                _ => true,
            };
            part.for_each_cell(at, |place, value| {
                if part_of[place] == MISSING && has(value) {
                    part_of[place] = number;
                    bits[place] = value;
                    open -= 1;
                }
            })?;
            part.holds = holds;
        }
        Ok(())
    }

    /// Whether any row of a block may pass; false only when none can.
    pub(crate) fn may_match(&self, matcher: &Matcher, start: u32, end: u32) -> bool {
        matcher.matches_missing() || self.parts.iter().any(|part| part.may_match(matcher, start, end))
    }

    /// Whether its values come from other events or a program: zones of its parts say nothing.
    pub(crate) fn is_computed(&self) -> bool {
        self.related.is_some() || self.program.is_some()
    }

    /// Whether any row of the segment may pass.
    pub(crate) fn may_match_any(&self, matcher: &Matcher) -> bool {
        matcher.matches_missing() || self.parts.iter().any(|part| part.may_match_any(matcher))
    }

    /// Encoded bytes of the columns behind it.
    pub(crate) fn bytes(&self) -> u64 {
        let program = self.program.as_ref().map_or(0, |program| program.bytes());
        self.parts.iter().map(Part::bytes).sum::<u64>() + program
    }
}

impl<'a> Part<'a> {
    fn plain(segment: &'a Segment, source: Source<'a>, form: Form) -> Part<'a> {
        Part { source, form, text: None, hashes: None, holds: None, segment }
    }

    /// Hands out the value behind some bits; `None` where an overflow map lacks the name.
    pub(crate) fn with_value<R>(
        &mut self,
        bits: u64,
        read: impl FnOnce(Option<ValueRef<'_>>) -> R,
    ) -> Result<R, Error> {
        let signed = bits.cast_signed();
        Ok(match &self.form {
            Form::Bool => read(Some(ValueRef::Bool(bits != 0))),
            Form::I64 => read(Some(ValueRef::I64(signed))),
            Form::F64 => read(Some(ValueRef::F64(f64::from_bits(bits)))),
            Form::Milliseconds => read(Some(ValueRef::F64(flat::milliseconds(signed)))),
            Form::SpanId => read(Some(ValueRef::Text(&encode_hex(&bits.to_be_bytes())))),
            Form::Time => read(Some(ValueRef::Text(&format_ns(signed)))),
            Form::TraceId => {
                let id = self.trace_id(bits).unwrap_or_default();
                read(Some(ValueRef::Text(&encode_hex(&id))))
            }
            Form::EventId => {
                let ids = self.segment.event_ids(&[low(bits)])?;
                let text = ids.first().map(ToString::to_string).unwrap_or_default();
                read(Some(ValueRef::Text(&text)))
            }
            Form::Kept(table) => table.with_text(low(bits), read),
            Form::Computed => match &self.source {
                Source::Computed(texts) => read(Some(ValueRef::Text(texts.get(bits)))),
                _ => read(None),
            },
            Form::Event => read(Some(ValueRef::Text(&flat::event_json(self.segment, low(bits))?))),
            Form::Text => match std::str::from_utf8(self.dictionary_bytes(bits)?) {
                Ok(text) => read(Some(ValueRef::Text(text))),
                Err(_) => read(Some(ValueRef::Bytes(self.dictionary_bytes(bits)?))),
            },
            Form::Bytes => read(Some(ValueRef::Bytes(self.dictionary_bytes(bits)?))),
            Form::Json => read(Some(ValueRef::Json(self.dictionary_bytes(bits)?))),
            Form::Overflow(name) => {
                let name = Arc::clone(name);
                let value = overflow_value(self.dictionary_bytes(bits)?, &name);
                read(value.as_ref().map(ValueRef::from))
            }
        })
    }

    fn dictionary_bytes(&mut self, bits: u64) -> Result<&[u8], Error> {
        if self.text.is_none() {
            self.text = self.reader().map(ColumnReader::text).transpose()?;
        }
        self.text.as_mut().map_or(Ok(&[]), |text| text.get(low(bits)))
    }

    fn reader(&self) -> Option<&ColumnReader<'a>> {
        match &self.source {
            Source::Rows(cursor) => Some(&cursor.reader),
            Source::Contexts { reader, .. } => Some(reader),
            Source::Time(..) | Source::RowNumber | Source::Computed(_) | Source::IsRoot(_) => None,
        }
    }

    fn bytes(&self) -> u64 {
        self.reader().map_or(0, |reader| reader.info().bytes)
    }

    /// Calls back with the place in the block and the bits of each row that has a value here.
    fn for_each_cell(&mut self, at: &BlockReader<'_>, mut take: impl FnMut(usize, u64)) -> Result<(), Error> {
        let start = at.start();
        match &mut self.source {
            Source::Rows(cursor) => cursor.for_each_cell(start, at.len(), take),
            Source::Contexts { bits, .. } => {
                for (place, &context) in at.contexts().iter().enumerate() {
                    if let Some(Some(bits)) = bits.get(context as usize) {
                        take(place, *bits);
                    }
                }
            }
            Source::Time(ints, times) => {
                ints.decode(start as usize / BLOCK_VALUES, times);
                for (place, time) in times.iter().enumerate().take(at.len()) {
                    take(place, time.cast_unsigned());
                }
            }
            // The program fills these.
            Source::Computed(_) => {}
            Source::RowNumber => {
                for (place, row) in (u64::from(start)..).take(at.len()).enumerate() {
                    take(place, row);
                }
            }
            Source::IsRoot(keys) => {
                // The number of its trace matters to nobody here.
                keys.fill(at, |_| 0)?;
                for (place, parent) in keys.parents.iter().enumerate() {
                    if keys.is_span(place) {
                        take(place, u64::from(parent.is_none()));
                    }
                }
            }
        }
        Ok(())
    }

    fn may_match(&self, matcher: &Matcher, start: u32, end: u32) -> bool {
        let Source::Rows(cursor) = &self.source else { return true };
        let mut blocks = cursor.reader.present().value_blocks(start, end);
        if blocks.is_empty() {
            return false;
        }
        let Some(bounds) = self.bounds(matcher) else { return true };
        blocks.any(|block| overlaps(cursor.reader.zone(block), &self.form, bounds))
    }

    fn may_match_any(&self, matcher: &Matcher) -> bool {
        let Some(reader) = self.reader() else { return true };
        if reader.is_empty() {
            return false;
        }
        self.bounds(matcher).is_none_or(|bounds| overlaps(reader.info().zone, &self.form, bounds))
    }

    /// The bounds that a test puts on this part, when its values are numbers.
    fn bounds(&self, matcher: &Matcher) -> Option<(f64, f64)> {
        let numeric = matches!(self.form, Form::I64 | Form::F64 | Form::Milliseconds);
        if numeric { matcher.number_bounds() } else { None }
    }
}

/// Whether a zone, both of whose ends are values, meets bounds that are included, too.
fn overlaps(zone: Zone, form: &Form, (low, high): (f64, f64)) -> bool {
    #[expect(
        clippy::cast_precision_loss,
        reason = "rounding is monotone: it never moves a value past a bound"
    )]
    let (min, max) = match zone {
        Zone::I64(min, max) if *form == Form::Milliseconds => {
            (flat::milliseconds(min), flat::milliseconds(max))
        }
        Zone::I64(min, max) => (min as f64, max as f64),
        Zone::F64 { min, max, .. } => (min, max),
        Zone::Code(..) | Zone::Unordered => return true,
    };
    min <= high && low <= max
}

/// Codes and row numbers are 32 bits wide; the bits that carry them have nothing above.
fn low(bits: u64) -> u32 {
    u32::try_from(bits).unwrap_or(u32::MAX)
}
