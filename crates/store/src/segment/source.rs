//! What is merged: log records, gathered rows, segments. [`Open`] reads each of them in the same way and
//! translates its numbers to those of the merged segment.

use std::borrow::Cow;

use skein_event::batch::{Column, ContextShape, EventBatch, Presence, Token};
use skein_event::dictionary::Dictionary;
use skein_event::hash::HashKey;
use skein_event::ids::Offset;

use super::bytes::count;
use super::gather::Gathered;
use super::info::{ColumnId, Encoding};
use super::ints::BLOCK_VALUES;
use super::pool::Pool;
use super::reader::{RowField, Segment};
use super::templates::names_all;
use super::text::TextReader;
use crate::error::Error;

/// What is merged.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A log record's events, or some of them.
    Batch(BatchSource<'a>),
    /// Rows taken out of a segment.
    Gathered(&'a Gathered),
    /// A segment's.
    Segment(&'a Segment),
}

/// Events of one log record.
#[derive(Clone, Copy, Debug)]
pub struct BatchSource<'a> {
    /// The events. They pass [`EventBatch::validate`].
    pub batch: &'a EventBatch,
    /// The record's offset.
    pub offset: Offset,
    /// When it was appended.
    pub append_time_ns: i64,
    /// Index of each event in its record, when these are not all of them.
    pub indexes: Option<&'a [u32]>,
}

/// Marks what a source's number has not been given yet.
pub(super) const UNUSED: u32 = u32::MAX;

/// One source and how its numbers translate.
pub(super) struct Open<'a> {
    pub(super) source: Source<'a>,
    names: Names<'a>,
    pub(super) rows: u32,
    /// Whether each row's values in columns of attributes are those that its shape names.
    pub(super) names_all: bool,
    /// Merged numbers of its names.
    merged_names: Vec<u32>,
    /// Columns of rows, then (of a batch) columns of contexts; a segment has one numbering for both.
    pub(super) columns: [Vec<u32>; 2],
    pub(super) contexts: Vec<u32>,
    pub(super) shapes: Vec<u32>,
}

/// A source's names, which shapes refer to.
enum Names<'a> {
    Batch(&'a Dictionary),
    Segment { hashes: Vec<u64>, text: Box<TextReader<'a>> },
}

/// How the values of a column are taken over.
#[derive(Clone, Copy)]
pub(super) struct Taking {
    pub(super) hash_key: HashKey,
    /// Whether no value is looked for among the others: most are different.
    pub(super) unlike: bool,
}

impl<'a> Source<'a> {
    /// Its events, when it is a batch or holds one.
    pub(super) fn batch(&self) -> Option<&'a EventBatch> {
        match self {
            Source::Batch(source) => Some(source.batch),
            Source::Gathered(gathered) => Some(&gathered.batch),
            Source::Segment(_) => None,
        }
    }

    /// When its earliest event was appended.
    pub(super) fn append_time_ns(&self) -> i64 {
        match self {
            Source::Batch(source) => source.append_time_ns,
            Source::Gathered(gathered) => gathered.ingest_times.iter().copied().min().unwrap_or(0),
            Source::Segment(segment) => segment.header().append_time_ns,
        }
    }

    /// The shapes of its contexts.
    pub(super) fn context_shapes(&self) -> Result<Vec<ContextShape>, Error> {
        match self {
            Source::Batch(source) => Ok(source.batch.context_shapes.clone()),
            Source::Gathered(gathered) => Ok(gathered.batch.context_shapes.clone()),
            Source::Segment(segment) => segment.context_shapes(),
        }
    }

    /// About how many bytes of a segment it becomes.
    pub(super) fn bytes_expected(&self) -> usize {
        match (self, self.batch()) {
            (_, Some(batch)) => batch.dictionary.bytes().len() / 2 + batch.rows() * 64,
            (Source::Segment(segment), _) => usize::try_from(segment.byte_len()).unwrap_or(0) * 3 / 4,
            _ => 0,
        }
    }

    /// Number of its events.
    pub(super) fn len(&self) -> usize {
        match self {
            Source::Batch(source) => source.batch.rows(),
            Source::Gathered(gathered) => gathered.batch.rows(),
            Source::Segment(segment) => segment.rows() as usize,
        }
    }
}

impl<'a> Open<'a> {
    pub(super) fn new(source: Source<'a>) -> Result<Open<'a>, Error> {
        let parallel = match source {
            Source::Batch(batch) => batch.indexes.map_or(source.len(), <[u32]>::len),
            Source::Gathered(gathered) => gathered.ids.len().min(gathered.ingest_times.len()),
            Source::Segment(_) => source.len(),
        };
        if parallel != source.len() {
            return Err(Error::damaged("there are more or fewer identities than events"));
        }
        let (names, length, contexts, shapes) = match (source, source.batch()) {
            (_, Some(batch)) => {
                let (names, shapes) = (batch.dictionary.len(), batch.shape_table.len());
                (Names::Batch(&batch.dictionary), names, batch.context_shapes.len(), shapes)
            }
            (Source::Segment(segment), _) => {
                let text = Box::new(segment.text()?);
                let names = Names::Segment { hashes: segment.name_hashes()?, text };
                let (length, contexts) = (segment.names_len() as usize, segment.contexts() as usize);
                (names, length, contexts, segment.shape_count() as usize)
            }
            _ => return Err(Error::damaged("a source without events")),
        };
        Ok(Open {
            source,
            names,
            rows: count(source.len()),
            names_all: match (source, source.batch()) {
                (Source::Segment(segment), _) => segment.names_all(),
                (_, batch) => batch.is_some_and(names_all),
            },
            merged_names: vec![UNUSED; length],
            columns: [Vec::new(), Vec::new()],
            contexts: vec![UNUSED; contexts],
            shapes: vec![UNUSED; shapes],
        })
    }

    /// Lets go of what only taking it in needed.
    pub(super) fn close(&mut self) {
        self.merged_names = Vec::new();
        self.columns = [Vec::new(), Vec::new()];
        self.contexts = Vec::new();
        self.shapes = Vec::new();
    }

    /// A column of contexts, or any of a segment; codes are those of the source.
    pub(super) fn column(&self, number: u32) -> Result<Cow<'a, Column>, Error> {
        let unknown = || Error::damaged("a source without columns");
        match (self.source, self.source.batch()) {
            (_, Some(batch)) => {
                Ok(Cow::Borrowed(batch.context_columns.get(number as usize).ok_or_else(unknown)?))
            }
            (Source::Segment(segment), _) => {
                Ok(Cow::Owned(segment.column(ColumnId(number))?.to_batch_column()))
            }
            _ => Err(unknown()),
        }
    }

    /// The merged number of one of its names.
    #[inline]
    pub(super) fn name(&mut self, pool: &mut Pool, old: u32) -> Result<u32, Error> {
        let unknown = || Error::damaged("a shape refers to a name that does not exist");
        let slot = self.merged_names.get_mut(old as usize).ok_or_else(unknown)?;
        if *slot == UNUSED {
            *slot = match &mut self.names {
                Names::Batch(names) => pool.code(names.get(old), names.hash(old))?,
                Names::Segment { hashes, text } => pool.code(text.get(old)?, hashes[old as usize])?,
            };
        }
        Ok(*slot)
    }

    /// Whether a column is of mostly different values, kept without a dictionary.
    pub(super) fn is_unlike(&self, number: u32) -> Result<bool, Error> {
        match self.source {
            Source::Segment(segment) => Ok(segment.info(ColumnId(number))?.encoding == Encoding::Texts),
            _ => Ok(false),
        }
    }

    /// Appends the merged codes of a segment's column of text, bytes or json; its values go into `pool`.
    pub(super) fn take_codes(
        &self,
        number: u32,
        taking: Taking,
        pool: &mut Pool,
        out: &mut Vec<u32>,
    ) -> Result<Presence, Error> {
        let Source::Segment(segment) = self.source else {
            return Err(Error::damaged("a source without columns"));
        };
        let column = segment.column(ColumnId(number))?;
        if !column.has_text() {
            return Err(Error::damaged("a column's values are of another type"));
        }
        let mut text = column.text()?;
        out.reserve(column.len());
        if column.has_hashes() {
            let merged = if column.info().hashes_computed {
                let key = segment.header().hash_key;
                let merged = (0..column.dictionary_len()).map(|code| {
                    let value = text.get(code)?;
                    pool.code(value, key.hash(value))
                });
                merged.collect::<Result<Vec<u32>, Error>>()?
            } else {
                let hashes = column.hashes()?;
                let merged = (0_u32..).zip(hashes).map(|(code, hash)| pool.code(text.get(code)?, hash));
                merged.collect::<Result<Vec<u32>, Error>>()?
            };
            let mut codes = Vec::with_capacity(BLOCK_VALUES);
            for block in 0..column.blocks() {
                column.decode_codes(block, &mut codes);
                out.extend(codes.iter().map(|&code| merged[code as usize]));
            }
        } else {
            for code in 0..count(column.len()) {
                let value = text.get(code)?;
                out.push(if taking.unlike {
                    pool.push(value, 0)?
                } else {
                    pool.code(value, taking.hash_key.hash(value))?
                });
            }
        }
        Ok(column.present().to_presence())
    }

    /// Replaces `out` by the tokens of one of its shapes; tells whether it is a template.
    pub(super) fn tokens(&self, shape: u32, out: &mut Vec<Token>) -> Result<bool, Error> {
        match (self.source, self.source.batch()) {
            (_, Some(batch)) => {
                out.clear();
                out.extend_from_slice(batch.shape_table.get(shape));
            }
            (Source::Segment(segment), _) => {
                let shapes = segment.shapes()?;
                shapes.tokens(shape, out);
                return Ok(shapes.is_template(shape));
            }
            _ => out.clear(),
        }
        Ok(false)
    }

    /// A field of its rows; contexts and shapes are those of the source.
    pub(super) fn field(&self, field: RowField) -> Result<Cow<'a, [i64]>, Error> {
        let widen = |values: &[u32]| values.iter().map(|&value| i64::from(value)).collect();
        if let Some(batch) = self.source.batch() {
            match field {
                RowField::Time => return Ok(Cow::Borrowed(&batch.times)),
                RowField::Context => return Ok(Cow::Owned(widen(&batch.contexts))),
                RowField::Shape => return Ok(Cow::Owned(widen(&batch.shapes))),
                _ => {}
            }
        }
        Ok(match (self.source, field) {
            (Source::Segment(segment), _) => Cow::Owned(segment.field(field)?.to_vec()),
            (Source::Gathered(gathered), RowField::IngestTime) => Cow::Borrowed(&gathered.ingest_times),
            (Source::Gathered(gathered), RowField::Offset) => {
                Cow::Owned(gathered.ids.iter().map(|id| id.offset.0.cast_signed()).collect())
            }
            (Source::Gathered(gathered), _) => {
                Cow::Owned(gathered.ids.iter().map(|id| i64::from(id.index)).collect())
            }
            (Source::Batch(batch), RowField::IngestTime) => {
                Cow::Owned(vec![batch.append_time_ns; self.source.len()])
            }
            (Source::Batch(batch), RowField::Offset) => {
                Cow::Owned(vec![batch.offset.0.cast_signed(); self.source.len()])
            }
            (Source::Batch(BatchSource { indexes: Some(indexes), .. }), _) => Cow::Owned(widen(indexes)),
            (Source::Batch(_), _) => Cow::Owned((0..i64::from(self.rows)).collect()),
        })
    }
}
