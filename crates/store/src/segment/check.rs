//! Checks a whole segment, and says where it is damaged.

use super::info::ColumnId;
use super::layout::{ALL_CHUNKS, Chunk};
use super::pieces::{PIECE_BYTES, check_piece};
use super::reader::{RowField, Segment};
use crate::error::Error;

/// Something in a segment that is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where in the file it is, or what it is about begins.
    pub offset: u64,
    /// How many bytes it is about.
    pub length: u64,
    /// What it is about: a column, a part of the file.
    pub what: String,
    /// What is wrong.
    pub message: String,
}

/// Hears of each part: where it is, how long, what, and how its check went.
type Report<'a> = dyn FnMut(u64, u64, &str, Result<(), Error>) -> Result<(), Error> + 'a;

impl Segment {
    /// Checks everything: each checksum and every index. The first problem is the error.
    pub fn verify(&self) -> Result<(), Error> {
        self.check(&mut |_, _, _, result| result)
    }

    /// As [`Segment::verify`], and goes on after a problem: all there are.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        // The callback never fails, so that the whole does not.
        let _complete = self.check(&mut |offset, length, what, result| {
            if let Err(error) = result {
                problems.push(Problem { offset, length, what: what.to_owned(), message: error.to_string() });
            }
            Ok(())
        });
        problems
    }

    /// Checks part after part and tells `report` of each: where, how long, what, and how it went.
    fn check(&self, report: &mut Report<'_>) -> Result<(), Error> {
        self.check_checksums(report)?;
        for chunk in ALL_CHUNKS {
            let reference = self.footer().chunk(self.bytes(), chunk)?;
            let result = self.check_chunk(chunk);
            report(reference.offset, reference.length, &format!("{chunk:?}"), result)?;
        }
        for id in (0..self.column_count()).map(ColumnId) {
            match self.info(id) {
                Ok(info) => {
                    let name = format!("column {}", info.key.name);
                    let result = self.check_column(id);
                    report(info.reference.offset, info.bytes, &name, result)?;
                }
                Err(error) => report(0, self.byte_len(), &format!("entry of column {}", id.0), Err(error))?,
            }
        }
        Ok(())
    }

    /// Compares every piece, also those that were compared before: the disk may have forgotten since.
    fn check_checksums(&self, report: &mut Report<'_>) -> Result<(), Error> {
        if self.format_version() == 1 {
            return Ok(());
        }
        let (body, table) = match self.pieces() {
            Ok(pieces) => pieces,
            Err(error) => return report(0, self.byte_len(), "checksums", Err(error)),
        };
        for piece in 0..body.len().div_ceil(PIECE_BYTES) {
            let start = piece * PIECE_BYTES;
            let bytes = super::bytes::length((body.len() - start).min(PIECE_BYTES));
            report(super::bytes::length(start), bytes, "piece", check_piece(body, table, piece))?;
        }
        Ok(())
    }

    fn check_chunk(&self, chunk: Chunk) -> Result<(), Error> {
        match chunk {
            Chunk::Time => self.field(RowField::Time).map(drop),
            Chunk::Ingest => self.field(RowField::IngestTime).map(drop),
            Chunk::Offset => self.field(RowField::Offset).map(drop),
            Chunk::Index => self.field(RowField::Index).map(drop),
            Chunk::Context => self.field(RowField::Context).map(drop),
            Chunk::Shape => self.field(RowField::Shape).map(drop),
            Chunk::ContextShapes => self.context_shapes().map(drop),
            Chunk::ShapeTable => self.shapes().map(drop),
            Chunk::Hashes => self.name_hashes().map(drop),
            Chunk::Text => {
                let mut text = self.text()?;
                (0..self.names_len()).try_for_each(|name| text.get(name).map(drop))
            }
            Chunk::TraceFilter => self.trace_filter().map(drop),
            Chunk::Pieces => Ok(()),
        }
    }

    fn check_column(&self, id: ColumnId) -> Result<(), Error> {
        let column = self.column(id)?;
        column.hashes()?;
        if column.has_text() {
            let mut text = column.text()?;
            (0..column.dictionary_len()).try_for_each(|code| text.get(code).map(drop))?;
            text.check_words()?;
        }
        Ok(())
    }
}
