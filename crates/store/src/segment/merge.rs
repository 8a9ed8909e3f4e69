//! Makes one segment of several sources: log records become head blocks, head blocks a file, small files a
//! larger one. All three are this function.
//!
//! Rows keep the order of the sources, or are clustered ([`Order`]). Columns are taken one at a time, so that
//! memory holds one decoded column and its dictionary beside the output. Values are renumbered by hash and
//! bytes, never hashed again.

mod contexts;
mod intake;
mod rows;
mod stage;

use skein_event::batch::{Column, ColumnKey, Physical, Values};
use skein_event::columns::{Fixed, Level};
use skein_event::limits::{DATASET_COLUMNS_MAX, SEGMENT_ROWS_MAX};

use super::arrange::{Arrangement, Order};
use super::bytes::{count, length};
use super::collect::{Collected, column_bytes, extend};
use super::encode::{Input, Settings, encode_column};
use super::footer_write::FooterWriter;
use super::hashes::write_hashes;
use super::header::Header;
use super::ints_write::{Effort, write_ints};
use super::layout::{CHUNKS, Chunk, FLAG_COLD, FLAG_COLLISION, FLAG_NAMES_ALL, FlushPart, Reference};
use super::overflow::narrow;
use super::pool::Pool;
use super::reader::Segment;
use super::shapes::write_shapes;
use super::source::{Open, Source, Taking};
use super::templates::ShapeSet;
use super::text::{Compression, LONG_TEXT_BLOCK_BYTES};
use super::text_write::write_text;
use super::trace_filter::TraceFilter;
use super::union::MergedColumn;
use crate::error::{Error, ErrorKind};
use contexts::ContextSignature;
use intake::Intake;
use stage::Piece;

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

/// Merges sources into the bytes of one segment whose rows follow the order of the sources.
pub fn merge(sources: &[Source<'_>], target: &Target) -> Result<Vec<u8>, Error> {
    merge_with(sources, target, Order::Log, &mut || Ok(()))
}

/// Merges sources into the bytes of one segment. `pause` is called before each column: it may wait, so that a
/// merge takes no more than its share of the processor, and its error ends the merge.
///
/// POST: each event of each source is in it exactly once, with all its values, its shape, its context, its
/// identity and its times; rows lie in the given order.
pub fn merge_with(
    sources: &[Source<'_>],
    target: &Target,
    order: Order,
    pause: &mut dyn FnMut() -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    merge_watched(sources, target, order, &mut |_| pause())
}

/// As [`merge_with`]; `pause` is told how many bytes the merge has held at most since it was called before.
pub fn merge_watched(
    sources: &[Source<'_>],
    target: &Target,
    order: Order,
    pause: &mut dyn FnMut(usize) -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    let narrowed;
    let mut merger = Merger::open(sources, target)?;
    if merger.columns.len() > DATASET_COLUMNS_MAX {
        narrowed = narrow(sources, target.header.hash_key)?;
        merger = Merger::open(&narrowed.sources(sources), target)?;
    }
    if order == Order::Clustered {
        merger.cluster()?;
    }
    let mut column_bytes = 0;
    for id in 0..merger.columns.len() {
        pause(merger.held_bytes() + column_bytes)?;
        column_bytes = merger.merge_column(id)?;
    }
    pause(merger.held_bytes() + column_bytes)?;
    merger.merge_rows()?;
    merger.finish(target)
}

/// As [`merge`], opened: a head block. What this process has just encoded needs no check.
///
/// POST: it holds no room beyond its bytes, of which growing leaves up to as much again: heads are bounded by what they
/// hold.
pub fn merge_in_memory(sources: &[Source<'_>], target: &Target) -> Result<Segment, Error> {
    let bytes = merge(sources, target)?;
    // A copy and no `shrink_to_fit`, which allocators answer in place.
    Segment::trusted(Vec::from(bytes.as_slice()))
}

struct Merger<'a> {
    sources: Vec<Open<'a>>,
    columns: Vec<MergedColumn>,
    settings: Settings,
    /// Names in shapes.
    names: Pool,
    /// Values of the column at hand.
    pool: Pool,
    /// Values of all columns of contexts.
    context_values: Pool,
    /// The sources' row columns, those of batches transposed.
    pieces: Vec<Piece>,
    has_collision: bool,
    trace_hashes: Vec<u64>,
    rows: u32,
    /// Context and shape of each row.
    row_contexts: Vec<u32>,
    row_shapes: Vec<u32>,
    /// Where rows go, unless they keep the order of the sources.
    arrangement: Option<Arrangement>,
    contexts: Vec<ContextSignature>,
    shapes: ShapeSet,
    out: Vec<u8>,
    footer: FooterWriter,
}

impl<'a> Merger<'a> {
    fn open(sources: &[Source<'a>], target: &Target) -> Result<Merger<'a>, Error> {
        let rows: usize = sources.iter().map(Source::len).sum();
        if rows == 0 || rows > 2 * SEGMENT_ROWS_MAX.max(skein_event::limits::BATCH_ROWS_MAX) {
            return Err(Error::new(ErrorKind::TooLarge, format!("a segment of {rows} rows")));
        }
        let mut intake = Intake::new(target.header.hash_key, rows);
        for &source in sources {
            intake.add(source)?;
        }
        // Growing would copy it all again and again; what is not needed is never touched.
        let mut out = Vec::with_capacity(sources.iter().map(Source::bytes_expected).sum());
        let append_time_ns = sources.iter().map(Source::append_time_ns).min().unwrap_or(0);
        Header { append_time_ns, ..target.header.clone() }.write(&mut out);
        let taken = intake.finish()?;
        Ok(Merger {
            sources: taken.sources,
            columns: taken.columns,
            settings: Settings { compression: target.compression, hash_key: target.header.hash_key },
            names: taken.names,
            pool: Pool::default(),
            context_values: taken.context_values,
            pieces: taken.pieces,
            has_collision: false,
            trace_hashes: Vec::new(),
            rows: count(rows),
            row_contexts: taken.row_contexts,
            row_shapes: taken.row_shapes,
            arrangement: None,
            contexts: taken.contexts,
            shapes: taken.shapes,
            out,
            footer: FooterWriter::default(),
        })
    }

    /// Bytes that it holds beside its sources and the column at hand.
    fn held_bytes(&self) -> usize {
        let rows = self.row_contexts.capacity() + self.row_shapes.capacity();
        let arranged = self.arrangement.as_ref().map_or(0, Arrangement::held_bytes);
        let pools = self.pool.held_bytes() + self.names.held_bytes() + self.context_values.held_bytes();
        let trace_hashes = self.trace_hashes.capacity() * size_of::<u64>();
        self.out.capacity() + rows * size_of::<u32>() + arranged + pools + trace_hashes
    }

    /// Encodes a column. Returns how many bytes it took decoded.
    fn merge_column(&mut self, id: usize) -> Result<usize, Error> {
        let key = self.columns[id].key.clone();
        self.pool.clear();
        let (column, rows) = match self.columns[id].level {
            Level::Row => (self.collect_rows(id, key)?, self.rows as usize),
            Level::Context => (self.collect_contexts(id, key)?, self.contexts.len()),
        };
        let spans = if column.key == ColumnKey::fixed(Fixed::ParentId) { self.span_ids()? } else { None };
        let arrival = match &self.arrangement {
            Some(arranged) if column.key.physical == Physical::TraceId => {
                Some(arranged.places_by_time(&column.presence))
            }
            _ => None,
        };
        let (spans, arrival) = (spans.as_deref(), arrival.as_deref());
        let input = Input { column: &column, pool: &self.pool, spans, arrival, rows };
        let encoded = encode_column(&input, &self.settings, &mut self.out)?;
        self.has_collision |= encoded.entry.collided;
        self.trace_hashes.extend(encoded.trace_hashes.into_iter().flatten());
        self.columns[id].entry = Some(encoded.entry);
        Ok(column_bytes(&column))
    }

    /// The ids of all spans; of a head block nobody asks, since finding parents among them takes time.
    fn span_ids(&mut self) -> Result<Option<Vec<[u8; 8]>>, Error> {
        let key = ColumnKey::fixed(Fixed::SpanId);
        let found = self.columns.iter().position(|column| column.key == key);
        let Some(id) = found.filter(|_| self.settings.effort() != Effort::Low) else { return Ok(None) };
        match self.collect_rows(id, key)?.values {
            Values::Id8(ids) => Ok(Some(ids)),
            _ => Ok(None),
        }
    }

    /// A row column's values of all sources, with codes of the pool.
    fn collect_rows(&mut self, id: usize, key: ColumnKey) -> Result<Column, Error> {
        let mut collected = Collected::new(Values::with_capacity(key.physical, 0));
        let taking = Taking { hash_key: self.settings.hash_key, unlike: self.is_unlike(id)? };
        let mut places = self.columns[id].places.iter().copied().peekable();
        let mut base = 0;
        for piece in &mut self.pieces {
            match piece {
                Piece::Segment { source, rows } => {
                    if let Some((_, number)) = places.next_if(|&(place, _)| place == *source) {
                        let open = &self.sources[*source];
                        if let Values::Code(merged) = &mut collected.values {
                            let presence = open.take_codes(number, taking, &mut self.pool, merged)?;
                            collected.add_rows(&presence, base, *rows);
                        } else {
                            let column = open.column(number)?;
                            collected.add_rows(&column.presence, base, *rows);
                            extend(&mut collected.values, &column.values)?;
                        }
                    }
                    base += *rows;
                }
                Piece::Batches(stage) => {
                    // The ids of spans are asked for twice: their parents are places among them.
                    let staged = match key.physical {
                        Physical::SpanId => stage.columns[id].clone(),
                        _ => stage.columns[id].take(),
                    };
                    if let Some(staged) = staged {
                        staged.append_to(&mut collected, &mut self.pool, (base, stage.rows))?;
                    }
                    base += stage.rows;
                }
            }
        }
        let (presence, values) = (collected.presence(self.rows), collected.values);
        let (presence, values) = match &self.arrangement {
            None => (presence, values),
            Some(arranged) => arranged.column(presence, values)?,
        };
        Ok(Column { key, presence, values })
    }

    /// Whether a column's values are mostly different in every source, so that none needs to be looked for.
    fn is_unlike(&self, id: usize) -> Result<bool, Error> {
        let is_staged = |piece: &Piece| matches!(piece, Piece::Batches(stage) if stage.columns[id].is_some());
        if self.settings.compression == Compression::None || self.pieces.iter().any(is_staged) {
            return Ok(false);
        }
        let places = &self.columns[id].places;
        let unlike = places.iter().map(|&(source, number)| self.sources[source].is_unlike(number));
        Ok(unlike.collect::<Result<Vec<bool>, Error>>()?.into_iter().all(|unlike| unlike))
    }

    fn finish(mut self, target: &Target) -> Result<Vec<u8>, Error> {
        let pairs: [Vec<u32>; 2] =
            [0, 1].map(|side| self.contexts.iter().map(|(_, shapes)| shapes[side]).collect());
        let effort = self.settings.effort();
        self.write_chunk(Chunk::ContextShapes, |out| {
            pairs.iter().for_each(|shapes| write_ints(shapes, effort.unwrapped(), out));
        });
        let (tokens, ends, templates) = std::mem::take(&mut self.shapes).into_parts();
        self.write_chunk(Chunk::ShapeTable, |out| write_shapes(&tokens, &ends, &templates, effort, out));
        let names = std::mem::take(&mut self.names);
        self.write_chunk(Chunk::Hashes, |out| write_hashes(names.hashes(), false, out));
        let (packing, mut written) = (self.settings.packing(), Ok(()));
        self.write_chunk(Chunk::Text, |out| {
            let values = (0..count(names.len())).map(|name| names.get(name));
            written = write_text(values, packing, LONG_TEXT_BLOCK_BYTES, None, out);
        });
        written?;
        // A head block is searched without a filter: it is gone within a minute.
        if target.compression != Compression::None {
            let filter = TraceFilter::build(&std::mem::take(&mut self.trace_hashes));
            self.write_chunk(Chunk::TraceFilter, |out| out.extend_from_slice(&filter));
        }
        let collided = self.has_collision || names.has_collision();
        let names_all = self.sources.iter().all(|open| open.names_all);
        let counts = &mut self.footer.counts;
        counts.values = count(names.len());
        counts.shapes = count(ends.len());
        let flag = |holds: bool, flag: u32| if holds { flag } else { 0 };
        let is_cold = target.compression == Compression::Cold;
        counts.flags |=
            flag(collided, FLAG_COLLISION) | flag(names_all, FLAG_NAMES_ALL) | flag(is_cold, FLAG_COLD);
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
        Reference { offset: length(start), length: length(bytes.len()), crc: 0 }
    }
}
