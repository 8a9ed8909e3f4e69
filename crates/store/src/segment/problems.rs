//! Everything that is wrong with a segment, each with its place in the file: what `skein verify` tells.

use super::info::ColumnId;
use super::reader::{RowField, Segment};
use crate::error::Error;

/// Bytes of a segment that are not what was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where they begin in the file.
    pub offset: u64,
    /// How many they are.
    pub length: u64,
    /// What they hold.
    pub what: String,
    /// What is wrong with them.
    pub message: String,
}

impl Segment {
    /// Checks every checksum and every index, and does not stop at the first that does not hold.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut note = |what: String, (offset, length): (u64, u64), outcome: Result<(), Error>| {
            if let Err(error) = outcome {
                problems.push(Problem { offset, length, what, message: error.to_string() });
            }
        };
        let fields = [RowField::Time, RowField::IngestTime, RowField::Offset, RowField::Index];
        for field in fields.into_iter().chain([RowField::Context, RowField::Shape]) {
            note(format!("{field:?}"), self.place_of_field(field), self.field(field).map(drop));
        }
        let whole = (0, self.byte_len());
        note("context shapes".to_owned(), whole, self.context_shapes().map(drop));
        note("shapes".to_owned(), whole, self.shapes().map(drop));
        note("hashes".to_owned(), whole, self.hashes().map(drop));
        let text = self
            .text()
            .and_then(|mut text| (0..self.dictionary_len()).try_for_each(|code| text.get(code).map(drop)));
        note("text".to_owned(), whole, text);
        for id in (0..self.column_count()).map(ColumnId) {
            match self.info(id) {
                Ok(info) => {
                    let place = (info.reference.offset, info.reference.length);
                    note(format!("column {}", info.key.name), place, self.column(id).map(drop));
                }
                Err(error) => note(format!("entry {} of the footer", id.0), whole, Err(error)),
            }
        }
        problems
    }
}
