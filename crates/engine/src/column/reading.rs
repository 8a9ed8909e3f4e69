//! Reads a whole column of a segment at once, for whoever counts all of its values: by blocks of values where one
//! physical column is all there is, by blocks of rows where several have to be put together. Values come as slices of
//! one type, so that a kernel can walk them; a block whose values are all the same is not decoded.

use std::ops::Range;

use skein_event::batch::Physical;
use skein_query::number::Number;
use skein_store::Error;
use skein_store::segment::{BLOCK_VALUES, ColumnReader, PresentRows, Zone};

use super::cells::{Cells, Lane, Shape};
use super::{BLOCK_ROWS, BlockReader, BoundColumn, Form, MISSING, Part, Source, flat};

/// What the bits of a part are.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Kind {
    /// Codes of a dictionary of so many values.
    Codes(usize),
    /// 0 and 1.
    Bools,
    /// Integers within these bounds.
    Whole(i64, i64),
    /// Doubles, or integers that stand for milliseconds, within these bounds.
    Doubles(f64, f64),
    /// Anything else: ids, times.
    Other,
}

impl Part<'_> {
    /// What its bits are.
    pub(crate) fn kind(&self) -> Kind {
        if let Some(len) = self.dictionary_len() {
            return if self.form == Form::TraceId { Kind::Other } else { Kind::Codes(len) };
        }
        let zone = self.reader().map(|reader| reader.info().zone);
        match (&self.form, zone) {
            (Form::Bool, _) => Kind::Bools,
            (Form::I64, Some(Zone::I64(min, max))) => Kind::Whole(min, max),
            (Form::F64, Some(Zone::F64 { min, max, .. })) => Kind::Doubles(min, max),
            (Form::Milliseconds, Some(Zone::I64(min, max))) => {
                Kind::Doubles(flat::milliseconds(min), flat::milliseconds(max))
            }
            _ => Kind::Other,
        }
    }

    /// The number behind some bits, of text that wholly is one as well.
    pub(crate) fn number(&mut self, bits: u64) -> Result<Option<Number>, Error> {
        self.with_value(bits, |value| value.and_then(|value| value.number()))
    }

    /// Whether the column's own type is text.
    pub(crate) fn is_text(&self) -> bool {
        self.reader().is_some_and(|reader| reader.info().key.physical == Physical::Text)
    }
}

impl BoundColumn<'_> {
    /// The number at a place of the block that it was last filled for.
    pub(crate) fn number(&mut self, place: usize) -> Result<Option<Number>, Error> {
        let (Some(&part), Some(&bits)) = (self.part_of.get(place), self.bits.get(place)) else {
            return Ok(None);
        };
        let part = self.parts.get_mut(usize::from(part)).filter(|_| part != MISSING);
        part.map_or(Ok(None), |part| part.number(bits))
    }

    /// The bits of each context, where the column is one physical column of contexts.
    pub(crate) fn of_contexts(&self) -> Option<&[Option<u64>]> {
        match self.parts.as_slice() {
            [Part { source: Source::Contexts { bits, .. }, holds: None, .. }] => Some(bits),
            _ => None,
        }
    }

    /// The least and the largest double of some rows, or of rows beside them, by the zone maps of columns of doubles.
    pub(crate) fn doubles_between(&self, start: u32, end: u32) -> Option<(f64, f64)> {
        let mut bounds: Option<(f64, f64)> = None;
        for part in &self.parts {
            let Source::Rows(cursor) = &part.source else { continue };
            for block in cursor.reader.present().value_blocks(start, end) {
                if let Zone::F64 { min, max, .. } = cursor.reader.zone(block) {
                    let (least, most) = bounds.unwrap_or((min, max));
                    bounds = Some((least.min(min), most.max(max)));
                }
            }
        }
        bounds
    }

    /// Gives out the values in the blocks of rows that are wanted, rows rising within each part; may tell of rows
    /// beside them as well.
    pub(crate) fn each_run(
        &mut self,
        at: &mut BlockReader<'_>,
        wanted: &[bool],
        mut take: impl FnMut(&mut [Part<'_>], Run<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if let [Part { source: Source::Rows(_), holds: None, .. }] = self.parts.as_slice() {
            return self.each_run_of_rows(at.rows(), wanted, take);
        }
        let mut cells = Cells::default();
        let mut rows = Vec::new();
        let mut bits = Vec::new();
        for (start, _) in
            (0..at.rows()).step_by(BLOCK_ROWS as usize).zip(wanted).filter(|(_, wanted)| **wanted)
        {
            at.read(start);
            self.cells(at, &mut cells)?;
            let all = RunRows::From(start, at.len());
            match cells.shape {
                Shape::Empty => {}
                Shape::Constant(part, bits) => {
                    let part = usize::from(part);
                    take(&mut self.parts, Run { part, values: RunValues::Same(bits), rows: all })?;
                }
                Shape::Dense(part) => {
                    let part = usize::from(part);
                    take(&mut self.parts, Run { part, values: cells.values(), rows: all })?;
                }
                Shape::Sparse(part) => {
                    let part = usize::from(part);
                    rows.clear();
                    rows.extend(cells.places.iter().map(|&place| start + u32::from(place)));
                    let rows = RunRows::These(&rows);
                    take(&mut self.parts, Run { part, values: cells.values(), rows })?;
                }
                Shape::Mixed => {
                    for part in 0..self.parts.len() {
                        rows.clear();
                        bits.clear();
                        let cells = (start..).zip(self.part_of.iter().zip(&self.bits));
                        for (row, (_, &of_row)) in cells.filter(|(_, (of, _))| usize::from(**of) == part) {
                            rows.push(row);
                            bits.push(of_row);
                        }
                        if !rows.is_empty() {
                            let (values, rows) = (RunValues::Bits(&bits), RunRows::These(&rows));
                            take(&mut self.parts, Run { part, values, rows })?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// By blocks of values: rows without one cost nothing.
    fn each_run_of_rows(
        &mut self,
        end: u32,
        wanted: &[bool],
        mut take: impl FnMut(&mut [Part<'_>], Run<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(Part { source: Source::Rows(cursor), .. }) = self.parts.first_mut() else { return Ok(()) };
        let mut blocks = vec![false; cursor.reader.blocks()];
        for rows in neighbours(wanted, end) {
            let of_rows = cursor.reader.present().value_blocks(rows.start, rows.end);
            blocks.get_mut(of_rows).unwrap_or_default().fill(true);
        }
        let is_dense = matches!(cursor.reader.present(), PresentRows::All { .. });
        let mut decoded = Decoded::default();
        let mut rows = Vec::new();
        for (block, _) in blocks.iter().enumerate().filter(|(_, wanted)| **wanted) {
            let Some(Part { source: Source::Rows(cursor), .. }) = self.parts.first_mut() else { break };
            let len = cursor.reader.block_len(block);
            let values = decoded.block(&cursor.reader, block);
            let of_block = if is_dense {
                RunRows::From(u32::try_from(block * BLOCK_VALUES).unwrap_or(u32::MAX), len)
            } else {
                cursor.reader.rows_of_block(block, &mut rows);
                match rows.as_slice() {
                    // Most columns are there in runs of rows.
                    [first, .., last] if (last - first) as usize + 1 == rows.len() => {
                        RunRows::From(*first, rows.len())
                    }
                    rows => RunRows::These(rows),
                }
            };
            take(&mut self.parts, Run { part: 0, values, rows: of_block })?;
        }
        Ok(())
    }
}

/// Values of one part, in the order of their rows.
#[derive(Clone, Copy)]
pub(crate) struct Run<'r> {
    pub(crate) part: usize,
    pub(crate) values: RunValues<'r>,
    pub(crate) rows: RunRows<'r>,
}

/// Values as they are decoded.
#[derive(Clone, Copy)]
pub(crate) enum RunValues<'r> {
    Codes(&'r [u32]),
    Integers(&'r [i64]),
    Doubles(&'r [f64]),
    /// As the bits of the part.
    Bits(&'r [u64]),
    /// All rows have these bits.
    Same(u64),
}

/// The row of each value.
#[derive(Clone, Copy)]
pub(crate) enum RunRows<'r> {
    /// So many, from one on.
    From(u32, usize),
    These(&'r [u32]),
}

impl Run<'_> {
    pub(crate) fn len(&self) -> usize {
        match self.rows {
            RunRows::From(_, len) => len,
            RunRows::These(rows) => rows.len(),
        }
    }
}

impl RunValues<'_> {
    /// The bits of a value by its number.
    pub(crate) fn bits(&self, number: usize) -> u64 {
        match self {
            RunValues::Codes(codes) => codes.get(number).map_or(0, |&code| u64::from(code)),
            RunValues::Integers(values) => values.get(number).map_or(0, |value| value.cast_unsigned()),
            RunValues::Doubles(values) => values.get(number).map_or(0, |value| value.to_bits()),
            RunValues::Bits(bits) => bits.get(number).copied().unwrap_or_default(),
            RunValues::Same(bits) => *bits,
        }
    }
}

impl RunRows<'_> {
    /// The row of a value by its number.
    #[inline]
    pub(crate) fn row(&self, number: usize) -> u32 {
        match self {
            RunRows::From(first, _) => first.saturating_add(u32::try_from(number).unwrap_or(u32::MAX)),
            RunRows::These(rows) => rows.get(number).copied().unwrap_or(u32::MAX),
        }
    }
}

impl Cells {
    fn values(&self) -> RunValues<'_> {
        match self.lane {
            Lane::Integers => RunValues::Integers(&self.integers),
            Lane::Doubles => RunValues::Doubles(&self.doubles),
            Lane::Codes => RunValues::Codes(&self.codes),
        }
    }
}

/// Runs of blocks that are wanted, as rows.
fn neighbours(wanted: &[bool], end: u32) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    let starts = (0..end).step_by(BLOCK_ROWS as usize);
    for (start, _) in starts.zip(wanted).filter(|(_, wanted)| **wanted) {
        let until = end.min(start.saturating_add(BLOCK_ROWS));
        match runs.last_mut() {
            Some(last) if last.end == start => last.end = until,
            _ => runs.push(start..until),
        }
    }
    runs
}

/// Memory that blocks of values are decoded into.
#[derive(Default)]
struct Decoded {
    codes: Vec<u32>,
    integers: Vec<i64>,
    doubles: Vec<f64>,
    ids: Vec<[u8; 8]>,
    bits: Vec<u64>,
}

impl Decoded {
    fn block(&mut self, reader: &ColumnReader<'_>, block: usize) -> RunValues<'_> {
        match (reader.info().key.physical, reader.zone(block)) {
            // What the zone map says of all need not be decoded.
            (_, Zone::Code(least, most)) if least == most => RunValues::Same(u64::from(least)),
            (_, Zone::I64(least, most)) if least == most => RunValues::Same(least.cast_unsigned()),
            (Physical::Bool | Physical::I64 | Physical::DurationNs, _) => {
                reader.decode_i64(block, &mut self.integers);
                RunValues::Integers(&self.integers)
            }
            (Physical::F64, _) => {
                reader.decode_f64(block, &mut self.doubles);
                RunValues::Doubles(&self.doubles)
            }
            (Physical::SpanId, _) => {
                reader.decode_span_ids(block, &mut self.ids);
                self.bits.clear();
                self.bits.extend(self.ids.iter().map(|&id| u64::from_be_bytes(id)));
                RunValues::Bits(&self.bits)
            }
            (Physical::Text | Physical::Bytes | Physical::Json | Physical::TraceId, _) => {
                reader.decode_codes(block, &mut self.codes);
                RunValues::Codes(&self.codes)
            }
        }
    }
}
