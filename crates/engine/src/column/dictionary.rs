//! What a part of a column knows of its codes: their hashes, which of them a text may be, which blocks have which.

use std::ops::Range;

use skein_query::plan::TextTest;
use skein_store::Error;
use skein_store::segment::{ColumnId, ColumnReader, Zone, inner_words};

use super::{Form, Part, Source, low};

impl Part<'_> {
    /// The trace id of a code.
    pub(crate) fn trace_id(&self, code: u64) -> Option<[u8; 16]> {
        self.reader().filter(|_| self.form == Form::TraceId)?.trace_id(low(code))
    }

    /// Whether the bits are codes of a dictionary of this many values.
    pub(crate) fn dictionary_len(&self) -> Option<usize> {
        match &self.form {
            Form::TraceId | Form::Text | Form::Bytes | Form::Json | Form::Overflow(_) => {
                self.reader().map(|reader| reader.dictionary_len() as usize)
            }
            Form::Kept(table) => Some(table.texts()),
            _ => None,
        }
    }

    /// Codes whose text surely does not hold what a test looks for, as ranges, by what is known of the words of blocks.
    pub(crate) fn codes_without(&self, test: TextTest, text: &str) -> Result<Vec<Range<u32>>, Error> {
        let (Form::Text, Some(reader)) = (&self.form, self.reader()) else { return Ok(Vec::new()) };
        let words = inner_words(text, test == TextTest::StartsWith, test == TextTest::EndsWith);
        reader.codes_without(&words)
    }

    /// Whether the keyed hash of every code's canonical text is stored.
    pub(crate) fn has_hashes(&self) -> bool {
        self.form == Form::Text && self.reader().is_some_and(ColumnReader::has_hashes)
    }

    /// The codes whose text has the hash of this one.
    pub(crate) fn codes_of_text(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.codes_of_hash(self.segment.header().hash_key.hash(text.as_bytes()))
    }

    /// The codes whose text has this hash.
    pub(crate) fn codes_of_hash(&self, hash: u64) -> Result<Vec<u32>, Error> {
        self.reader().map_or_else(|| Ok(Vec::new()), |reader| reader.codes_of_hash(hash))
    }

    /// The keyed hashes of some codes.
    pub(crate) fn hashes_of(&self, codes: &[u32]) -> Result<Vec<u64>, Error> {
        self.reader().map_or_else(|| Ok(Vec::new()), |reader| reader.hashes_of(codes))
    }

    /// Whether each row has a value of its own, and none of them hides another's.
    pub(crate) fn is_of_rows(&self) -> bool {
        matches!(self.source, Source::Rows(_)) && self.holds.is_none()
    }

    /// The column whose codes or numbers these are.
    pub(crate) fn column_id(&self) -> Option<ColumnId> {
        self.reader().map(|reader| reader.info().id)
    }

    /// Whether rows of a block have values here and, if those are codes, any between their least and largest passes.
    pub(crate) fn any_code(&self, start: u32, end: u32, passes: impl Fn(u32, u32) -> bool) -> bool {
        let Source::Rows(cursor) = &self.source else { return true };
        let mut blocks = cursor.reader.present().value_blocks(start, end);
        blocks.any(|block| match cursor.reader.zone(block) {
            Zone::Code(least, most) => passes(least, most),
            _ => true,
        })
    }

    /// The keyed hash of a code's canonical text, where the store has it: of text with a dictionary.
    pub(crate) fn stored_hash(&mut self, bits: u64) -> Result<Option<u64>, Error> {
        if self.form != Form::Text {
            return Ok(None);
        }
        if self.hashes.is_none() {
            self.hashes = Some(self.reader().map_or_else(|| Ok(Vec::new()), ColumnReader::hashes)?);
        }
        Ok(self.hashes.as_ref().and_then(|hashes| hashes.get(low(bits) as usize).copied()))
    }
}
