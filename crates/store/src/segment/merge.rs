//! Makes one segment of several sources: log records become head blocks, head blocks a file, small files a
//! larger one. All three are this function.
//!
//! Rows keep the order of the sources, which is the order of the log: times nearly rise, traces lie together,
//! and event ids cost next to nothing. Columns are taken one at a time, so that memory holds one decoded column
//! beside the output. Values are renumbered by hash and bytes, never hashed again.

use std::collections::HashMap;

use skein_event::batch::{Column, ColumnKey, Presence, Token, Values};
use skein_event::columns::Level;
use skein_event::dictionary::Interner;
use skein_event::limits::SEGMENT_ROWS_MAX;

use super::bytes::{count, length};
use super::encode::{Scratch, encode_column};
use super::header::Header;
use super::ints::write_ints;
use super::layout::{CHUNKS, Chunk, FLAG_COLLISION, FlushPart, FooterWriter, Reference};
use super::overflow::narrow;
use super::reader::{RowField, Segment};
use super::shapes::write_shapes;
use super::source::{Open, Source, UNUSED};
use super::text::{Compression, write_hashes, write_text};
use super::union::{MergedColumn, union};
use crate::error::{Error, ErrorKind};

/// What the merged segment says about itself.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its header; the append time is filled in.
    pub header: Header,
    /// How its text is kept.
    pub compression: Compression,
    /// Which flush it belongs to.
    pub flush: FlushPart,
    /// The ids of the segments it replaces.
    pub replaces: Vec<String>,
}

/// Merges sources into the bytes of one segment.
///
/// POST: each event of each source is in it exactly once, with all its values, its shape, its context, its
/// identity and its times; rows follow the order of the sources.
pub fn merge(sources: &[Source<'_>], target: &Target) -> Result<Vec<u8>, Error> {
    let narrowed = narrow(sources, target.header.hash_key)?;
    let mut merger = Merger::open(&narrowed.sources(sources), target)?;
    merger.merge_contexts()?;
    for id in 0..merger.columns.len() {
        merger.merge_column(id)?;
    }
    merger.merge_rows()?;
    merger.finish(target)
}

/// As [`merge`], opened: a head block. What this process has just encoded needs no check.
pub fn merge_in_memory(sources: &[Source<'_>], target: &Target) -> Result<Segment, Error> {
    Segment::trusted(merge(sources, target)?)
}

/// All there is to a context: column and value bits of each of its values, then the shapes of resource and
/// scope.
type ContextSignature = (Vec<(u32, u64)>, [u32; 2]);

struct Merger<'a> {
    sources: Vec<Open<'a>>,
    columns: Vec<MergedColumn>,
    interner: Interner,
    scratch: Scratch,
    rows: u32,
    contexts: Vec<ContextSignature>,
    context_index: HashMap<ContextSignature, u32>,
    tokens: Vec<Token>,
    shape_ends: Vec<u32>,
    shape_index: HashMap<Box<[Token]>, u32>,
    out: Vec<u8>,
    footer: FooterWriter,
}

impl<'a> Merger<'a> {
    fn open(sources: &[Source<'a>], target: &Target) -> Result<Merger<'a>, Error> {
        let mut sources = sources.iter().map(|&source| Open::new(source)).collect::<Result<Vec<_>, _>>()?;
        let rows: usize = sources.iter().map(|source| source.rows as usize).sum();
        if rows == 0 || rows > 2 * SEGMENT_ROWS_MAX.max(skein_event::limits::BATCH_ROWS_MAX) {
            return Err(Error::new(ErrorKind::TooLarge, format!("a segment of {rows} rows")));
        }
        let columns = union(&mut sources, target.header.hash_key)?;
        let mut out = Vec::new();
        let append_times = sources.iter().map(|open| open.source.append_time_ns());
        let append_time_ns = append_times.min().unwrap_or(0);
        Header { append_time_ns, ..target.header.clone() }.write(&mut out);
        Ok(Merger {
            sources,
            columns,
            interner: Interner::new(target.header.hash_key),
            scratch: Scratch::default(),
            rows: count(rows),
            contexts: Vec::new(),
            context_index: HashMap::new(),
            tokens: Vec::new(),
            shape_ends: Vec::new(),
            shape_index: HashMap::new(),
            out,
            footer: FooterWriter::default(),
        })
    }

    /// The merged number of a source's shape.
    fn shape(&mut self, source: usize, level: Level, old: u32) -> Result<u32, Error> {
        let open = &mut self.sources[source];
        if open.shapes[old as usize] != UNUSED {
            return Ok(open.shapes[old as usize]);
        }
        let mut tokens = Vec::new();
        open.tokens(old, &mut tokens)?;
        for token in &mut tokens {
            token.key = open.code(&mut self.interner, token.key)?;
            if token.kind.targets_column() {
                let numbers = &open.columns[usize::from(level == Level::Context)];
                let target = numbers.get(token.target as usize).copied().filter(|&target| target != UNUSED);
                token.target =
                    target.ok_or_else(|| Error::damaged("a shape names a column without values"))?;
            } else if token.kind.targets_dictionary() {
                token.target = open.code(&mut self.interner, token.target)?;
            }
        }
        let merged = match self.shape_index.get(tokens.as_slice()) {
            Some(&shape) => shape,
            None => {
                self.tokens.extend_from_slice(&tokens);
                self.shape_ends.push(count(self.tokens.len()));
                let shape = count(self.shape_ends.len() - 1);
                self.shape_index.insert(tokens.into_boxed_slice(), shape);
                shape
            }
        };
        open.shapes[old as usize] = merged;
        Ok(merged)
    }

    /// Finds equal contexts of different sources and encodes each once.
    fn merge_contexts(&mut self) -> Result<(), Error> {
        for source in 0..self.sources.len() {
            let mut values = vec![Vec::new(); self.sources[source].contexts.len()];
            for id in 0..self.columns.len() {
                let merged = &self.columns[id];
                if merged.key.level() != Level::Context {
                    continue;
                }
                let Ok(place) = merged.places.binary_search_by_key(&source, |place| place.0) else {
                    continue;
                };
                let number = merged.places[place].1;
                let open = &mut self.sources[source];
                let column = open.column(Level::Context, number)?;
                for (place, context) in present_rows(&column.presence, values.len()).enumerate() {
                    let bits = match &column.values {
                        Values::Bool(values) => u64::from(values[place]),
                        Values::I64(values) => values[place].cast_unsigned(),
                        Values::F64(values) => values[place].to_bits(),
                        Values::Code(codes) => u64::from(open.code(&mut self.interner, codes[place])?),
                        Values::Id16(_) | Values::Id8(_) => {
                            return Err(Error::damaged("a context has no ids"));
                        }
                    };
                    values[context as usize].push((count(id), bits));
                }
            }
            let shapes = self.sources[source].source.context_shapes()?;
            for (context, (values, shapes)) in values.into_iter().zip(shapes).enumerate() {
                let resource = self.shape(source, Level::Context, shapes.resource)?;
                let scope = self.shape(source, Level::Context, shapes.scope)?;
                let signature = (values, [resource, scope]);
                let next = count(self.contexts.len());
                let merged = *self.context_index.entry(signature.clone()).or_insert(next);
                if merged == next {
                    self.contexts.push(signature);
                }
                self.sources[source].contexts[context] = merged;
            }
        }
        Ok(())
    }

    fn merge_column(&mut self, id: usize) -> Result<(), Error> {
        let key = self.columns[id].key.clone();
        let (column, rows) = match key.level() {
            Level::Row => (self.collect_rows(id, key)?, self.rows as usize),
            Level::Context => (self.collect_contexts(id, key), self.contexts.len()),
        };
        let start = self.out.len();
        let mut entry = encode_column(&column, rows, self.interner.len(), &mut self.scratch, &mut self.out);
        entry.reference = self.reference(start);
        self.columns[id].entry = Some(entry);
        Ok(())
    }

    /// A row column's values of all sources, with merged codes.
    fn collect_rows(&mut self, id: usize, key: ColumnKey) -> Result<Column, Error> {
        let mut collected = Collected { rows: None, covered: 0, values: Values::empty(key.physical) };
        let mut places = self.columns[id].places.iter().copied().peekable();
        let mut base = 0;
        for source in 0..self.sources.len() {
            let open = &mut self.sources[source];
            if let Some((_, number)) = places.next_if(|&(place, _)| place == source) {
                let column = open.column(Level::Row, number)?;
                collected.add_rows(&column.presence, base, open.rows);
                match (&mut collected.values, &column.values) {
                    (Values::Code(merged), Values::Code(codes)) => {
                        merged.reserve(codes.len());
                        for &code in codes {
                            merged.push(open.code(&mut self.interner, code)?);
                        }
                    }
                    (values, added) => extend(values, added)?,
                }
            }
            base += open.rows;
        }
        Ok(Column { key, presence: collected.presence(self.rows), values: collected.values })
    }

    fn collect_contexts(&self, id: usize, key: ColumnKey) -> Column {
        let mut values = Values::empty(key.physical);
        let mut present = Vec::new();
        for (context, (pairs, _)) in (0_u32..).zip(&self.contexts) {
            let Some(&(_, bits)) = pairs.iter().find(|pair| pair.0 as usize == id) else { continue };
            present.push(context);
            match &mut values {
                Values::Bool(values) => values.push(bits != 0),
                Values::I64(values) => values.push(bits.cast_signed()),
                Values::F64(values) => values.push(f64::from_bits(bits)),
                Values::Code(codes) => codes.push(u32::try_from(bits).unwrap_or(0)),
                Values::Id16(_) | Values::Id8(_) => {}
            }
        }
        let all = present.len() == self.contexts.len();
        Column { key, presence: if all { Presence::All } else { Presence::Rows(present) }, values }
    }

    fn merge_rows(&mut self) -> Result<(), Error> {
        let counts = &mut self.footer.counts;
        counts.rows = self.rows;
        counts.contexts = count(self.contexts.len());
        for field in [RowField::Time, RowField::IngestTime, RowField::Offset, RowField::Index] {
            let mut all = Vec::with_capacity(self.rows as usize);
            for open in &self.sources {
                all.extend_from_slice(&open.field(field)?);
            }
            let min = all.iter().copied().min().unwrap_or(0);
            let max = all.iter().copied().max().unwrap_or(0);
            let (counts, chunk) = (&mut self.footer.counts, chunk_of(field));
            match field {
                RowField::Time => counts.time = (min, max),
                RowField::IngestTime => counts.ingest = (min, max),
                RowField::Offset => counts.offset = (min.cast_unsigned(), max.cast_unsigned()),
                _ => {}
            }
            self.write_chunk(chunk, |out| write_ints(&all, out));
        }
        let (mut contexts, mut shapes) = (Vec::new(), Vec::new());
        for source in 0..self.sources.len() {
            let open = &self.sources[source];
            let numbers = open.field(RowField::Context)?;
            contexts.extend(numbers.iter().map(|&old| open.contexts[place(old)]));
            for &old in &*open.field(RowField::Shape)? {
                // The usual row repeats a shape that is known.
                let known = self.sources[source].shapes[place(old)];
                shapes.push(if known != UNUSED {
                    known
                } else {
                    self.shape(source, Level::Row, u32::try_from(old).unwrap_or(UNUSED))?
                });
            }
        }
        self.write_chunk(Chunk::Context, |out| write_ints(&contexts, out));
        self.write_chunk(Chunk::Shape, |out| write_ints(&shapes, out));
        Ok(())
    }

    fn finish(mut self, target: &Target) -> Result<Vec<u8>, Error> {
        let pairs: [Vec<u32>; 2] =
            [0, 1].map(|side| self.contexts.iter().map(|(_, shapes)| shapes[side]).collect());
        self.write_chunk(Chunk::ContextShapes, |out| pairs.iter().for_each(|shapes| write_ints(shapes, out)));
        let (tokens, ends) = (std::mem::take(&mut self.tokens), std::mem::take(&mut self.shape_ends));
        self.write_chunk(Chunk::ShapeTable, |out| write_shapes(&tokens, &ends, out));
        let dictionary =
            std::mem::replace(&mut self.interner, Interner::new(target.header.hash_key)).finish();
        let mut collided = false;
        self.write_chunk(Chunk::Hashes, |out| collided = write_hashes(&dictionary, out));
        let mut written = Ok(());
        self.write_chunk(Chunk::Text, |out| written = write_text(&dictionary, target.compression, out));
        written?;
        let counts = &mut self.footer.counts;
        counts.values = count(dictionary.len());
        counts.shapes = count(ends.len());
        counts.flags = if collided { FLAG_COLLISION } else { 0 };
        counts.flush = target.flush;
        for column in &self.columns {
            if let Some(entry) = &column.entry {
                self.footer.push(&column.key, column.name_hash, entry);
            }
        }
        let replaces = target.replaces.join("\n");
        self.footer.finish(replaces.as_bytes(), &mut self.out);
        Ok(self.out)
    }

    fn write_chunk(&mut self, chunk: Chunk, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len();
        write(&mut self.out);
        debug_assert!((chunk as usize) < CHUNKS);
        self.footer.chunks[chunk as usize] = self.reference(start);
    }

    fn reference(&self, start: usize) -> Reference {
        let bytes = &self.out[start..];
        Reference { offset: length(start), length: length(bytes.len()), crc: crc32c::crc32c(bytes) }
    }
}

fn chunk_of(field: RowField) -> Chunk {
    match field {
        RowField::Time => Chunk::Time,
        RowField::IngestTime => Chunk::Ingest,
        RowField::Offset => Chunk::Offset,
        RowField::Index => Chunk::Index,
        RowField::Context => Chunk::Context,
        RowField::Shape => Chunk::Shape,
    }
}

fn place(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A row column under collection. While every row so far has a value, rows are only counted.
struct Collected {
    rows: Option<Vec<u32>>,
    covered: u32,
    values: Values,
}

impl Collected {
    fn add_rows(&mut self, presence: &Presence, base: u32, rows: u32) {
        match (&mut self.rows, presence) {
            (None, Presence::All) if self.covered == base => self.covered = base + rows,
            (list, presence) => {
                let list = list.get_or_insert_with(|| (0..self.covered).collect());
                match presence {
                    Presence::All => list.extend(base..base + rows),
                    Presence::Rows(present) => list.extend(present.iter().map(|row| base + row)),
                }
            }
        }
    }

    fn presence(&mut self, rows: u32) -> Presence {
        match self.rows.take() {
            Some(list) => Presence::Rows(list),
            None if self.covered == rows => Presence::All,
            None => Presence::Rows((0..self.covered).collect()),
        }
    }
}

fn present_rows(presence: &Presence, rows: usize) -> Box<dyn Iterator<Item = u32> + '_> {
    match presence {
        Presence::All => Box::new(0..count(rows)),
        Presence::Rows(present) => Box::new(present.iter().copied()),
    }
}

fn extend(values: &mut Values, added: &Values) -> Result<(), Error> {
    match (values, added) {
        (Values::Bool(values), Values::Bool(added)) => values.extend_from_slice(added),
        (Values::I64(values), Values::I64(added)) => values.extend_from_slice(added),
        (Values::F64(values), Values::F64(added)) => values.extend_from_slice(added),
        (Values::Id16(values), Values::Id16(added)) => values.extend_from_slice(added),
        (Values::Id8(values), Values::Id8(added)) => values.extend_from_slice(added),
        _ => return Err(Error::damaged("a column's values are of another type")),
    }
    Ok(())
}
