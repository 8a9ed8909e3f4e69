//! A calculated column bound to one segment: the program of its expression, run on the columns that it reads.
//!
//! Results become bits again, as those of stored columns are: numbers and booleans by themselves, texts by a code of a
//! dictionary that grows while the segment is read. So filters, groups and aggregates know nothing of expressions. Where
//! a program reads one column and that has a dictionary, it runs once per code.
//!
//! What it refuses: to hold more than [`CALCULATED_TEXTS_KEPT_BYTES_MAX`] of texts. Beyond, the dictionary starts anew at
//! the next block. A code never comes back for another text, so whatever was noted of it stays true.

use std::collections::HashMap;
use std::sync::Arc;

use skein_event::limits::CALCULATED_TEXTS_KEPT_BYTES_MAX;
use skein_query::error::Location;
use skein_query::expression::instant::seconds_of_ns;
use skein_query::expression::{Input, Program, Scalar};
use skein_query::plan::Column;
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::BlockReader;
use crate::column::{BoundColumn, MISSING};

/// Places of the parts of a calculated column, one for each type of a result.
pub(crate) const BOOL_PART: u8 = 0;
pub(crate) const I64_PART: u8 = 1;
pub(crate) const F64_PART: u8 = 2;
pub(crate) const TEXT_PART: u8 = 3;

/// A program and the columns that it reads.
pub(crate) struct BoundProgram<'a> {
    program: Arc<Program>,
    inputs: Vec<BoundInput<'a>>,
    /// Of a program that reads one column: its results by part and code of that, and that of a missing value.
    known: Vec<Vec<Option<Cell>>>,
    known_missing: Option<Cell>,
    values: Vec<Scalar>,
    scratch: Vec<Scalar>,
}

/// The part and the bits of a result.
type Cell = (u8, u64);

struct BoundInput<'a> {
    kind: InputKind,
    column: BoundColumn<'a>,
    /// By part and code: the values that were read already.
    read: Vec<Vec<Option<Scalar>>>,
    read_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum InputKind {
    Column,
    Time,
    TimeNs,
}

/// Texts that were computed, by code.
#[derive(Default)]
pub(crate) struct Texts {
    /// The code of the first that is kept.
    first: u64,
    texts: Vec<Arc<str>>,
    codes: HashMap<Arc<str>, u64>,
    bytes: usize,
}

impl Texts {
    /// The text of a code of the block at hand.
    pub(crate) fn get(&self, code: u64) -> &str {
        let place = code.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.texts.get(place)).map_or("", |text| text)
    }

    fn code(&mut self, text: Arc<str>) -> u64 {
        if let Some(&code) = self.codes.get(&text) {
            return code;
        }
        let code = self.first + self.texts.len() as u64;
        // Its places in both tables cost as much as a short text.
        self.bytes += text.len() + 64;
        self.texts.push(Arc::clone(&text));
        self.codes.insert(text, code);
        code
    }

    /// Forgets all texts when they are too many; true when it did.
    fn shorten(&mut self) -> bool {
        let long = self.bytes > CALCULATED_TEXTS_KEPT_BYTES_MAX;
        if long {
            self.first += self.texts.len() as u64;
            self.texts.clear();
            self.codes.clear();
            self.bytes = 0;
        }
        long
    }
}

impl<'a> BoundProgram<'a> {
    /// Binds what a program reads.
    pub(crate) fn bind(segment: &'a Segment, program: &Arc<Program>) -> Result<BoundProgram<'a>, Error> {
        let bind = |input: &Input| BoundInput::bind(segment, input);
        let inputs: Vec<BoundInput<'a>> = program.inputs().iter().map(bind).collect::<Result<_, _>>()?;
        let known = match inputs.as_slice() {
            [only] if only.kind == InputKind::Column => {
                only.read.iter().map(|part| vec![None; part.len()]).collect()
            }
            _ => Vec::new(),
        };
        Ok(BoundProgram {
            program: Arc::clone(program),
            inputs,
            known,
            known_missing: None,
            values: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Computes the cells of a block.
    pub(crate) fn fill(
        &mut self,
        at: &BlockReader<'_>,
        texts: &mut Texts,
        part_of: &mut [u8],
        bits: &mut [u64],
    ) -> Result<(), Error> {
        if texts.shorten() {
            self.known.iter_mut().for_each(|part| part.fill(None));
            self.known_missing = None;
        }
        for input in &mut self.inputs {
            input.column.fill(at)?;
            input.shorten();
        }
        for (place, (part, bits)) in part_of.iter_mut().zip(bits).enumerate() {
            (*part, *bits) = self.cell(place, texts)?;
        }
        Ok(())
    }

    fn cell(&mut self, place: usize, texts: &mut Texts) -> Result<Cell, Error> {
        if let Some(cell) = self.known(place).and_then(|cell| *cell) {
            return Ok(cell);
        }
        self.values.clear();
        for input in &mut self.inputs {
            self.values.push(input.value(place)?);
        }
        let cell = match self.program.evaluate(&self.values, &mut self.scratch) {
            Scalar::Null => (MISSING, 0),
            Scalar::Bool(value) => (BOOL_PART, u64::from(value)),
            Scalar::I64(value) => (I64_PART, value.cast_unsigned()),
            Scalar::F64(value) => (F64_PART, value.to_bits()),
            Scalar::Text(text) => (TEXT_PART, texts.code(text)),
        };
        if let Some(known) = self.known(place) {
            *known = Some(cell);
        }
        Ok(cell)
    }

    /// What is known of the result of a row, if results are noted for what the row has.
    fn known(&mut self, place: usize) -> Option<&mut Option<Cell>> {
        let [only] = self.inputs.as_slice() else { return None };
        let part = only.column.part_of.get(place).copied()?;
        if part == MISSING && only.kind == InputKind::Column {
            return Some(&mut self.known_missing);
        }
        let code = only.column.bits.get(place).and_then(|&bits| usize::try_from(bits).ok())?;
        self.known.get_mut(usize::from(part))?.get_mut(code)
    }

    /// Encoded bytes of the columns it reads.
    pub(crate) fn bytes(&self) -> u64 {
        self.inputs.iter().map(|input| input.column.bytes()).sum()
    }
}

impl<'a> BoundInput<'a> {
    fn bind(segment: &'a Segment, input: &Input) -> Result<BoundInput<'a>, Error> {
        let time = |name: &str| Column::stored(name, Location::Path(String::new()));
        let (kind, column) = match input {
            Input::Column { column, .. } => (InputKind::Column, BoundColumn::bind(segment, column)?),
            Input::EventTime => (InputKind::Time, BoundColumn::bind(segment, &time("timestamp"))?),
            Input::IngestTime => (InputKind::Time, BoundColumn::bind(segment, &time("meta.ingest_time"))?),
            Input::EventTimeNs => (InputKind::TimeNs, BoundColumn::bind(segment, &time("timestamp"))?),
            Input::IngestTimeNs => {
                (InputKind::TimeNs, BoundColumn::bind(segment, &time("meta.ingest_time"))?)
            }
            // A formula is of groups and is never bound to a segment: it reads nothing.
            Input::Calculation(_) => (InputKind::Column, BoundColumn::of_parts(Vec::new())),
        };
        let read = column.parts.iter().map(|part| vec![None; part.dictionary_len().unwrap_or_default()]);
        Ok(BoundInput { kind, read: read.collect(), column, read_bytes: 0 })
    }

    fn value(&mut self, place: usize) -> Result<Scalar, Error> {
        let number = self.column.part_of[place];
        if number == MISSING {
            return Ok(Scalar::Null);
        }
        let bits = self.column.bits[place];
        if self.kind == InputKind::Time {
            return Ok(Scalar::F64(seconds_of_ns(bits.cast_signed())));
        }
        if self.kind == InputKind::TimeNs {
            return Ok(Scalar::I64(bits.cast_signed()));
        }
        let part = &mut self.column.parts[usize::from(number)];
        let read = self.read.get_mut(usize::from(number));
        let slot = read.and_then(|read| read.get_mut(usize::try_from(bits).ok()?));
        if let Some(Some(value)) = &slot {
            return Ok(value.clone());
        }
        let value = part.with_value(bits, |value| value.map_or(Scalar::Null, Scalar::from))?;
        if let Some(slot) = slot {
            if let Scalar::Text(text) = &value {
                self.read_bytes += text.len() + 32;
            }
            *slot = Some(value.clone());
        }
        Ok(value)
    }

    fn shorten(&mut self) {
        if self.read_bytes > CALCULATED_TEXTS_KEPT_BYTES_MAX {
            self.read.iter_mut().for_each(|part| part.fill(None));
            self.read_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_never_comes_back_for_another_text() {
        let mut texts = Texts::default();
        let first = texts.code(Arc::from("a"));
        assert_eq!(texts.code(Arc::from("a")), first);
        let long: Arc<str> = Arc::from("x".repeat(CALCULATED_TEXTS_KEPT_BYTES_MAX));
        assert!(!texts.shorten());
        let second = texts.code(long);
        assert!(texts.shorten(), "too many bytes");
        let third = texts.code(Arc::from("b"));
        assert!(third != first && third != second, "{first} {second} {third}");
        assert_eq!(texts.get(third), "b");
        assert_eq!(texts.get(first), "", "forgotten, and no other text");
    }
}
