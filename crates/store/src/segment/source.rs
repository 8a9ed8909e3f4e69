//! What is merged: log records, gathered rows, segments. [`Open`] reads each of them in the same way and
//! translates its numbers to those of the merged segment.

use std::borrow::Cow;

use skein_event::batch::{Column, ColumnKey, ContextShape, EventBatch, Presence, Token, Values};
use skein_event::columns::Level;
use skein_event::dictionary::Dictionary;
use skein_event::hash::HashKey;
use skein_event::ids::Offset;

use super::bytes::count;
use super::gather::Gathered;
use super::info::{ColumnId, Encoding};
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
    /// Of a batch: for each value of its dictionary the column that used it last, and its merged code there.
    merged_codes: Vec<(u32, u32)>,
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
    /// The number of the merged column, for each of which a pool starts empty.
    pub(super) column: u32,
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
        let of_batch = if source.batch().is_some() { length } else { 0 };
        Ok(Open {
            source,
            names,
            rows: count(source.len()),
            names_all: match (source, source.batch()) {
                (Source::Segment(segment), _) => segment.names_all(),
                (_, batch) => batch.is_some_and(names_all),
            },
            merged_names: vec![UNUSED; length],
            merged_codes: vec![(UNUSED, 0); of_batch],
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

    /// A column; codes are those of the source.
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

    /// Appends the merged codes of a column of text, bytes or json; its values go into `pool`.
    pub(super) fn take_codes(
        &mut self,
        level: Level,
        number: u32,
        taking: &Taking,
        pool: &mut Pool,
        out: &mut Vec<u32>,
    ) -> Result<Cow<'a, Presence>, Error> {
        let other_type = || Error::damaged("a column's values are of another type");
        match (self.source, self.source.batch()) {
            (_, Some(batch)) => {
                let columns = if level == Level::Row { &batch.columns } else { &batch.context_columns };
                let column = &columns[number as usize];
                let Values::Code(codes) = &column.values else { return Err(other_type()) };
                out.reserve(codes.len());
                for &old in codes {
                    let slot = &mut self.merged_codes[old as usize];
                    if slot.0 != taking.column {
                        let dictionary = &batch.dictionary;
                        *slot = (taking.column, pool.code(dictionary.get(old), dictionary.hash(old))?);
                    }
                    out.push(slot.1);
                }
                Ok(Cow::Borrowed(&column.presence))
            }
            (Source::Segment(segment), _) => {
                let column = segment.column(ColumnId(number))?;
                let Column { presence, values: Values::Code(codes), .. } = column.to_batch_column() else {
                    return Err(other_type());
                };
                let mut text = column.text()?;
                if column.has_hashes() {
                    let hashes = column.hashes()?;
                    let merged = (0_u32..).zip(hashes).map(|(code, hash)| pool.code(text.get(code)?, hash));
                    let merged = merged.collect::<Result<Vec<u32>, Error>>()?;
                    out.extend(codes.iter().map(|&code| merged[code as usize]));
                } else {
                    for code in codes {
                        let value = text.get(code)?;
                        out.push(if taking.unlike {
                            pool.push(value, 0)?
                        } else {
                            pool.code(value, taking.hash_key.hash(value))?
                        });
                    }
                }
                Ok(Cow::Owned(presence))
            }
            _ => Err(Error::damaged("a source without columns")),
        }
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
