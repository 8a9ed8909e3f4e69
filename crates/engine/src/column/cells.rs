//! The cells of a block in the form in which a kernel takes them: slices of one type, in order of rows.
//!
//! Most blocks have their values in one physical column; those come as they were decoded, or with the places of the
//! rows that have one. What comes from several columns, from other events or from a program is filled cell by cell
//! ([`BoundColumn::fill`]).

use skein_event::batch::Physical;
use skein_store::Error;

use super::{BoundColumn, Form, Part, Source};
use crate::block::BlockReader;

/// Which rows of a block have a value, and where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Shape {
    /// No row has one.
    #[default]
    Empty,
    /// Every row has one, in this part: `values[place]`.
    Dense(u8),
    /// Some rows have one, in this part: `values[i]` at `places[i]`, once somebody asked for the places.
    Sparse(u8),
    /// Every row has these bits, in this part.
    Constant(u8, u64),
    /// In `part_of` and `bits` of the column.
    Mixed,
}

/// How the values of a part are given out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Lane {
    #[default]
    Integers,
    Doubles,
    Codes,
}

/// The values of a block. Memory is used again from block to block.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    pub(crate) shape: Shape,
    /// Which of the lists has the values.
    pub(crate) lane: Lane,
    pub(crate) places: Vec<u16>,
    pub(crate) integers: Vec<i64>,
    pub(crate) doubles: Vec<f64>,
    pub(crate) codes: Vec<u32>,
}

impl Cells {
    /// Number of values that are listed.
    pub(crate) fn len(&self) -> usize {
        match self.lane {
            Lane::Integers => self.integers.len(),
            Lane::Doubles => self.doubles.len(),
            Lane::Codes => self.codes.len(),
        }
    }

    fn clear(&mut self) {
        self.places.clear();
        self.integers.clear();
        self.doubles.clear();
        self.codes.clear();
    }
}

impl BoundColumn<'_> {
    /// Gives out the values of a block and their places.
    pub(crate) fn cells(&mut self, at: &BlockReader<'_>, cells: &mut Cells) -> Result<(), Error> {
        self.values(at, cells)?;
        self.places(at, cells);
        Ok(())
    }

    /// Gives out the places of the values of a block.
    pub(crate) fn places(&mut self, at: &BlockReader<'_>, cells: &mut Cells) {
        if let Shape::Sparse(number) = cells.shape
            && cells.places.is_empty()
            && let Some(Part { source: Source::Rows(cursor), .. }) = self.parts.get_mut(usize::from(number))
        {
            cursor.places(at.start(), at.end(), &mut cells.places);
        }
    }

    /// Gives out the values of a block; whoever needs the places of a few asks for them.
    pub(crate) fn values(&mut self, at: &BlockReader<'_>, cells: &mut Cells) -> Result<(), Error> {
        cells.clear();
        cells.shape = Shape::Empty;
        if self.related.is_none() && self.program.is_none() {
            let mut found = None;
            let mut several = false;
            for (number, part) in self.parts.iter().enumerate() {
                if part.may_have(at) {
                    several |= found.is_some() || !part.is_plain();
                    found = Some(number);
                }
            }
            let Some(number) = found else { return Ok(()) };
            if !several
                && let Some(part) = self.parts.get_mut(number)
                && part.cells(u8::try_from(number).unwrap_or(u8::MAX), at, cells)
            {
                return Ok(());
            }
        }
        cells.shape = Shape::Mixed;
        self.fill(at)
    }
}

impl Part<'_> {
    /// Whether its values come out of a column as they are.
    fn is_plain(&self) -> bool {
        self.holds.is_none() && matches!(self.source, Source::Rows(_) | Source::Contexts { .. })
    }

    /// Whether any row of a block may have a value here.
    fn may_have(&self, at: &BlockReader<'_>) -> bool {
        match &self.source {
            Source::Rows(cursor) => cursor.may_have(at.start(), at.end()),
            Source::Contexts { bits, any, until, .. } => match at.one_run(until) {
                Some(context) => bits.get(context as usize).is_some_and(Option::is_some),
                None => *any,
            },
            _ => true,
        }
    }

    /// Gives out a block; false when it must be filled cell by cell.
    fn cells(&mut self, number: u8, at: &BlockReader<'_>, cells: &mut Cells) -> bool {
        match &mut self.source {
            Source::Rows(cursor) => {
                cells.lane = match cursor.reader.info().key.physical {
                    Physical::Bool | Physical::I64 | Physical::DurationNs => Lane::Integers,
                    Physical::F64 => Lane::Doubles,
                    Physical::Text | Physical::Bytes | Physical::Json | Physical::TraceId => Lane::Codes,
                    Physical::SpanId => return false,
                };
                cells.shape = cursor.gather(number, at.start(), at.end(), cells);
                true
            }
            Source::Contexts { bits, all_codes, until, .. } => {
                if let Some(context) = at.one_run(until) {
                    let bits = bits.get(context as usize).copied().flatten();
                    cells.shape = bits.map_or(Shape::Empty, |bits| Shape::Constant(number, bits));
                    return true;
                }
                let Some(codes) = all_codes else { return false };
                let code = |&context: &u32| codes.get(context as usize).copied().unwrap_or_default();
                cells.lane = Lane::Codes;
                cells.codes.extend(at.contexts().iter().map(code));
                cells.shape = Shape::Dense(number);
                true
            }
            _ => false,
        }
    }

    /// Whether every row that is in it has a value there: not so of an overflow map.
    pub(crate) fn always_has_value(&self) -> bool {
        !matches!(self.form, Form::Overflow(_))
    }

    /// Whether bits are whole numbers that order as their values do.
    pub(crate) fn is_ordered_integers(&self) -> bool {
        matches!(self.form, Form::I64 | Form::Milliseconds)
    }

    pub(crate) fn is_milliseconds(&self) -> bool {
        self.form == Form::Milliseconds
    }

    pub(crate) fn is_doubles(&self) -> bool {
        self.form == Form::F64
    }

    pub(crate) fn is_bool(&self) -> bool {
        self.form == Form::Bool
    }

    /// Whether its values are numbers whatever they are.
    pub(crate) fn is_numeric(&self) -> bool {
        matches!(self.form, Form::I64 | Form::Milliseconds | Form::F64)
    }
}
