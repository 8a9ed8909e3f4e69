//! What is merged: log records, gathered rows, segments. [`Open`] reads each of them in the same way and
//! translates its numbers to those of the merged segment.

use std::borrow::Cow;

use skein_event::batch::{Column, ColumnKey, ContextShape, EventBatch, Token};
use skein_event::columns::Level;
use skein_event::dictionary::{Dictionary, Interner};
use skein_event::ids::Offset;

use super::bytes::count;
use super::gather::Gathered;
use super::info::ColumnId;
use super::reader::{RowField, Segment};
use super::text::{Hashes, TextReader};
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
    dictionary: SourceDictionary<'a>,
    pub(super) rows: u32,
    /// Merged codes of its codes.
    codes: Vec<u32>,
    /// Columns of rows, then (of a batch) columns of contexts; a segment has one numbering for both.
    pub(super) columns: [Vec<u32>; 2],
    pub(super) contexts: Vec<u32>,
    pub(super) shapes: Vec<u32>,
}

/// A source's dictionary.
enum SourceDictionary<'a> {
    Batch(&'a Dictionary),
    Segment { hashes: Hashes<'a>, text: Box<TextReader<'a>> },
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

    fn len(&self) -> usize {
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
        let (dictionary, codes, contexts, shapes) = match (source, source.batch()) {
            (_, Some(batch)) => {
                let (codes, shapes) = (batch.dictionary.len(), batch.shape_table.len());
                (SourceDictionary::Batch(&batch.dictionary), codes, batch.context_shapes.len(), shapes)
            }
            (Source::Segment(segment), _) => {
                let text = Box::new(segment.text()?);
                let values = SourceDictionary::Segment { hashes: segment.hashes()?, text };
                let (codes, contexts) = (segment.dictionary_len() as usize, segment.contexts() as usize);
                (values, codes, contexts, segment.shape_count() as usize)
            }
            _ => return Err(Error::damaged("a source without events")),
        };
        Ok(Open {
            source,
            dictionary,
            rows: count(source.len()),
            codes: vec![UNUSED; codes],
            columns: [Vec::new(), Vec::new()],
            contexts: vec![UNUSED; contexts],
            shapes: vec![UNUSED; shapes],
        })
    }

    /// The keys of its columns with their numbers there.
    pub(super) fn keys(&self) -> Result<Vec<(ColumnKey, u32)>, Error> {
        let numbered = |columns: &[Column], level: Level| {
            let keys = (0_u32..).zip(columns).filter(|(_, column)| !column.values.is_empty());
            let keyed = keys.map(|(number, column)| {
                let fits = column.key.level() == level;
                let wrong = || Error::damaged(format!("{:?} is at the wrong level", column.key));
                if fits { Ok((column.key.clone(), number)) } else { Err(wrong()) }
            });
            keyed.collect::<Result<Vec<_>, Error>>()
        };
        match (self.source, self.source.batch()) {
            (_, Some(batch)) => {
                let mut keys = numbered(&batch.columns, Level::Row)?;
                keys.extend(numbered(&batch.context_columns, Level::Context)?);
                Ok(keys)
            }
            (Source::Segment(segment), _) => {
                segment.columns().map(|info| info.map(|info| (info.key, info.id.0))).collect()
            }
            _ => Ok(Vec::new()),
        }
    }

    /// A column with the codes of the source.
    pub(super) fn column(&self, level: Level, number: u32) -> Result<Cow<'a, Column>, Error> {
        match (self.source, self.source.batch()) {
            (_, Some(batch)) => {
                let columns = if level == Level::Row { &batch.columns } else { &batch.context_columns };
                Ok(Cow::Borrowed(&columns[number as usize]))
            }
            (Source::Segment(segment), _) => {
                Ok(Cow::Owned(segment.column(ColumnId(number))?.to_batch_column()))
            }
            _ => Err(Error::damaged("a source without columns")),
        }
    }

    /// The merged code of one of its codes.
    #[inline]
    pub(super) fn code(&mut self, interner: &mut Interner, old: u32) -> Result<u32, Error> {
        let slot = &mut self.codes[old as usize];
        if *slot == UNUSED {
            *slot = match &mut self.dictionary {
                SourceDictionary::Batch(dictionary) => {
                    interner.intern_hashed(dictionary.get(old), dictionary.hash(old))
                }
                SourceDictionary::Segment { hashes, text } => {
                    let hash = hashes.get(old);
                    interner.intern_hashed(text.get(old)?, hash)
                }
            };
        }
        Ok(*slot)
    }

    /// Replaces `out` by the tokens of one of its shapes.
    pub(super) fn tokens(&self, shape: u32, out: &mut Vec<Token>) -> Result<(), Error> {
        match (self.source, self.source.batch()) {
            (_, Some(batch)) => {
                out.clear();
                out.extend_from_slice(batch.shape_table.get(shape));
            }
            (Source::Segment(segment), _) => segment.shapes()?.tokens(shape, out),
            _ => out.clear(),
        }
        Ok(())
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
