//! Reads a whole column of a segment at once, for whoever counts all of its values: by blocks of values where one
//! physical column is all there is, by blocks of rows where several have to be put together.

use skein_event::batch::Physical;
use skein_store::Error;
use skein_store::segment::Zone;

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

    /// The double behind the bits of [`Kind::Doubles`].
    #[inline]
    pub(crate) fn double(&self, bits: u64) -> f64 {
        if self.form == Form::Milliseconds {
            flat::milliseconds(bits.cast_signed())
        } else {
            f64::from_bits(bits)
        }
    }

    /// Whether the column's own type is text.
    pub(crate) fn is_text(&self) -> bool {
        self.reader().is_some_and(|reader| reader.info().key.physical == Physical::Text)
    }
}

impl BoundColumn<'_> {
    /// The bits of each context, where the column is one physical column of contexts.
    pub(crate) fn of_contexts(&self) -> Option<&[Option<u64>]> {
        match self.parts.as_slice() {
            [Part { source: Source::Contexts { bits, .. }, holds: None, .. }] => Some(bits),
            _ => None,
        }
    }

    /// Calls back with the row, the part and the bits of each value in the blocks of rows that are wanted, rows
    /// rising; may tell of rows beside them as well.
    pub(crate) fn each_value(
        &mut self,
        at: &mut BlockReader<'_>,
        wanted: &[bool],
        mut take: impl FnMut(&mut [Part<'_>], usize, usize, u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if let [Part { source: Source::Rows(_), holds: None, .. }] = self.parts.as_slice() {
            return self.each_value_of_rows(at.rows(), wanted, take);
        }
        let blocks = (0..at.rows()).step_by(BLOCK_ROWS as usize).zip(wanted);
        for (start, _) in blocks.filter(|(_, wanted)| **wanted) {
            at.read(start);
            self.fill(at)?;
            for (place, (&part, &bits)) in self.part_of.iter().zip(&self.bits).enumerate() {
                if part != MISSING {
                    take(&mut self.parts, start as usize + place, usize::from(part), bits)?;
                }
            }
        }
        Ok(())
    }

    fn each_value_of_rows(
        &mut self,
        end: u32,
        wanted: &[bool],
        mut take: impl FnMut(&mut [Part<'_>], usize, usize, u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(Part { source: Source::Rows(cursor), .. }) = self.parts.first_mut() else { return Ok(()) };
        let mut blocks = vec![false; cursor.reader.blocks()];
        for (start, _) in (0..end).step_by(BLOCK_ROWS as usize).zip(wanted).filter(|(_, wanted)| **wanted) {
            for block in cursor.reader.present().value_blocks(start, end.min(start + BLOCK_ROWS)) {
                blocks[block] = true;
            }
        }
        let mut of_block = Vec::new();
        for (block, _) in blocks.iter().enumerate().filter(|(_, wanted)| **wanted) {
            let Some(Part { source: Source::Rows(cursor), .. }) = self.parts.first_mut() else { break };
            // Taken out, since the parts are handed out beside them.
            cursor.values_of_block(block, &mut of_block);
            for &(row, bits) in &of_block {
                take(&mut self.parts, row as usize, 0, bits)?;
            }
        }
        Ok(())
    }
}
