//! Reads a segment: finds columns, checks each chunk once, hands out readers.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use skein_event::Fixed;
use skein_event::batch::{ColumnKey, ContextShape};
use skein_event::columns::Level;
use skein_event::ids::{Environment, EventId, Offset, Partition};

use super::bytes::{count, slice_at};
use super::column::ColumnReader;
use super::header::Header;
use super::info::{ColumnId, ColumnInfo, Encoding};
use super::ints::{self, Ints};
use super::layout::{CHUNKS, Chunk, FLAG_COLLISION, FlushPart, Footer, Reference};
use super::mapping::{self, SegmentBytes};
use super::shapes::{Shapes, validate_shapes};
use super::text::{Hashes, TextReader};
use crate::error::{Error, ErrorKind};

/// An open segment: immutable events of one environment and one partition.
///
/// Opening reads header and footer only. The first touch of a chunk in a process checks its checksum and
/// every index in it, so that damage is an error of that touch and never undefined behaviour later.
pub struct Segment {
    bytes: SegmentBytes,
    header: Header,
    footer: Footer,
    /// Which chunks were checked: the fixed ones, then columns in the footer's order.
    checked: Vec<AtomicBool>,
}

/// Fields that every row has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowField {
    /// `timestamp`, epoch nanoseconds.
    Time,
    /// `meta.ingest_time`, epoch nanoseconds.
    IngestTime,
    /// Log offset of the event's record: the second part of `event.id`.
    Offset,
    /// Index of the event in its record: the third part of `event.id`.
    Index,
    /// Number of the context, below [`Segment::contexts`].
    Context,
    /// Number of the shape, below [`Segment::shape_count`].
    Shape,
}

impl Segment {
    /// Opens a segment in memory.
    pub fn open(bytes: Vec<u8>) -> Result<Segment, Error> {
        Segment::from_bytes(SegmentBytes::Owned(bytes), false)
    }

    /// Opens a file by mapping it.
    pub fn open_file(path: &Path) -> Result<Segment, Error> {
        let name = path.display().to_string();
        let file = std::fs::File::open(path)
            .map_err(|error| Error::with_source(ErrorKind::Io, format!("{name} cannot be opened"), error))?;
        let bytes = mapping::map(&file)
            .map_err(|error| Error::with_source(ErrorKind::Io, format!("{name} cannot be mapped"), error))?;
        Segment::from_bytes(bytes, false).map_err(|error| error.context(&name))
    }

    /// Opens what this process has just encoded: it needs no check.
    pub(crate) fn trusted(bytes: Vec<u8>) -> Result<Segment, Error> {
        Segment::from_bytes(SegmentBytes::Owned(bytes), true)
    }

    fn from_bytes(bytes: SegmentBytes, checked: bool) -> Result<Segment, Error> {
        let header = Header::read(&bytes)?;
        let footer = Footer::read(&bytes)?;
        // Each block of a row field has an entry in its directory: more rows than that cannot be here.
        let rows_max = bytes.len() / ints::ENTRY_BYTES * ints::BLOCK_VALUES;
        if footer.counts.rows.max(footer.counts.contexts) as usize > rows_max {
            return Err(Error::damaged("the footer counts more rows than fit the file"));
        }
        let chunks = CHUNKS + footer.counts.columns as usize;
        let checked = (0..chunks).map(|_| AtomicBool::new(checked)).collect();
        Ok(Segment { bytes, header, footer, checked })
    }

    /// What the file says about itself: environment, partition, day, hash key.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Whose events these are.
    pub fn environment(&self) -> &Environment {
        &self.header.environment
    }

    /// Their log partition.
    pub fn partition(&self) -> Partition {
        self.header.partition
    }

    /// Number of events.
    pub fn rows(&self) -> u32 {
        self.footer.counts.rows
    }

    /// Number of contexts.
    pub fn contexts(&self) -> u32 {
        self.footer.counts.contexts
    }

    /// Number of distinct shapes.
    pub fn shape_count(&self) -> u32 {
        self.footer.counts.shapes
    }

    /// Number of columns, of both levels.
    pub fn column_count(&self) -> u32 {
        self.footer.counts.columns
    }

    /// Values in the dictionary.
    pub fn dictionary_len(&self) -> u32 {
        self.footer.counts.values
    }

    /// Bytes of the whole file.
    pub fn byte_len(&self) -> u64 {
        super::bytes::length(self.bytes.len())
    }

    /// Earliest and latest `timestamp`, both included.
    pub fn time_range(&self) -> (i64, i64) {
        self.footer.counts.time
    }

    /// Earliest and latest `meta.ingest_time`, both included.
    pub fn ingest_range(&self) -> (i64, i64) {
        self.footer.counts.ingest
    }

    /// Smallest and largest log offset, both included.
    pub fn offset_range(&self) -> (u64, u64) {
        self.footer.counts.offset
    }

    /// Whether two values of the dictionary share a hash: then hashes alone do not tell values apart.
    pub fn has_hash_collision(&self) -> bool {
        self.footer.counts.flags & FLAG_COLLISION != 0
    }

    /// Which flush wrote it; all zero for a merge.
    pub fn flush_part(&self) -> FlushPart {
        self.footer.counts.flush
    }

    /// The ids of the segments it was merged from.
    pub fn replaces(&self) -> impl Iterator<Item = &str> {
        self.footer.replaces(&self.bytes).lines()
    }

    /// All columns in the footer's order, which is by hash of the name.
    pub fn columns(&self) -> impl Iterator<Item = Result<ColumnInfo, Error>> + '_ {
        (0..self.column_count()).map(|id| self.info(ColumnId(id)))
    }

    /// What the footer says about a column.
    pub fn info(&self, id: ColumnId) -> Result<ColumnInfo, Error> {
        self.footer.column(&self.bytes, id)
    }

    /// All physical columns of a name: one per origin and type that occurs. A binary search.
    pub fn by_name(&self, name: &str) -> Result<Vec<ColumnInfo>, Error> {
        let hash = self.header.hash_key.hash(name.as_bytes());
        let (mut low, mut high) = (0, self.column_count());
        while low < high {
            let middle = low.midpoint(high);
            let found = self.footer.name_hash(&self.bytes, ColumnId(middle))?;
            if found < hash { low = middle + 1 } else { high = middle }
        }
        let mut columns = Vec::new();
        for id in (low..self.column_count()).map(ColumnId) {
            if self.footer.name_hash(&self.bytes, id)? != hash {
                break;
            }
            if self.footer.name(&self.bytes, id)? == name {
                columns.push(self.info(id)?);
            }
        }
        Ok(columns)
    }

    /// The column of a key.
    pub fn find(&self, key: &ColumnKey) -> Result<Option<ColumnInfo>, Error> {
        Ok(self.by_name(&key.name)?.into_iter().find(|info| info.key == *key))
    }

    /// Opens a column; checks its chunk at the first touch.
    pub fn column(&self, id: ColumnId) -> Result<ColumnReader<'_>, Error> {
        let info = self.info(id)?;
        let name = std::sync::Arc::clone(&info.key.name);
        self.open_column(info).map_err(|error| error.context(&format!("column {name}")))
    }

    fn open_column(&self, info: ColumnInfo) -> Result<ColumnReader<'_>, Error> {
        let place = CHUNKS + info.id.0 as usize;
        let chunk = self.checksummed(info.reference, place)?;
        let rows = if info.level == Level::Row { self.rows() } else { self.contexts() };
        let hashes = match info.encoding {
            Encoding::Codes => Some(self.hashes()?),
            _ => None,
        };
        let column = ColumnReader::open(info, chunk, rows, hashes)?;
        self.check_once(place, || column.validate())?;
        Ok(column)
    }

    /// Opens the column of a key, when the segment has it.
    pub fn column_of(&self, key: &ColumnKey) -> Result<Option<ColumnReader<'_>>, Error> {
        self.find(key)?.map(|info| self.column(info.id)).transpose()
    }

    /// A field that every row has, one value per row.
    pub fn field(&self, field: RowField) -> Result<Ints<'_>, Error> {
        let last = |length: u32| i64::from(length) - 1;
        let (chunk, low, high) = match field {
            RowField::Time => (Chunk::Time, i64::MIN, i64::MAX),
            RowField::IngestTime => (Chunk::Ingest, i64::MIN, i64::MAX),
            RowField::Offset => (Chunk::Offset, 0, i64::MAX),
            RowField::Index => (Chunk::Index, 0, i64::from(u32::MAX)),
            RowField::Context => (Chunk::Context, 0, last(self.contexts())),
            RowField::Shape => (Chunk::Shape, 0, last(self.shape_count())),
        };
        let bytes = self.fixed_chunk(chunk)?;
        let (ints, _) = Ints::open(bytes)?;
        if ints.len() != self.rows() as usize {
            return Err(Error::damaged(format!("{chunk:?} has another number of rows")));
        }
        self.check_once(chunk as usize, || ints.validate(low, high))?;
        Ok(ints)
    }

    /// The hashes of the segment's dictionary.
    pub fn hashes(&self) -> Result<Hashes<'_>, Error> {
        let bytes = self.fixed_chunk(Chunk::Hashes)?;
        let hashes = Hashes::open(bytes, self.dictionary_len())?;
        self.check_once(Chunk::Hashes as usize, || hashes.validate())?;
        Ok(hashes)
    }

    /// A reader of the dictionary's values.
    pub fn text(&self) -> Result<TextReader<'_>, Error> {
        let bytes = self.fixed_chunk(Chunk::Text)?;
        self.checked[Chunk::Text as usize].store(true, Ordering::Release);
        TextReader::open(bytes, self.dictionary_len())
    }

    /// The shapes; keys and inline values are codes of the segment's dictionary, targets are [`ColumnId`]s.
    pub fn shapes(&self) -> Result<Shapes<'_>, Error> {
        let bytes = self.fixed_chunk(Chunk::ShapeTable)?;
        let shapes = Shapes::open(bytes, self.shape_count())?;
        self.check_once(Chunk::ShapeTable as usize, || {
            validate_shapes(&shapes, self.column_count(), self.dictionary_len())
        })?;
        Ok(shapes)
    }

    /// The shapes of each context.
    pub fn context_shapes(&self) -> Result<Vec<ContextShape>, Error> {
        let bytes = self.fixed_chunk(Chunk::ContextShapes)?;
        let (resources, rest) = Ints::open(bytes)?;
        let (scopes, _) = Ints::open(rest)?;
        let contexts = self.contexts() as usize;
        if resources.len() != contexts || scopes.len() != contexts {
            return Err(Error::damaged("there are more or fewer context shapes than contexts"));
        }
        let last = i64::from(self.shape_count()) - 1;
        self.check_once(Chunk::ContextShapes as usize, || {
            resources.validate(0, last)?;
            scopes.validate(0, last)
        })?;
        let pairs = resources.to_vec_u32().into_iter().zip(scopes.to_vec_u32());
        Ok(pairs.map(|(resource, scope)| ContextShape { resource, scope }).collect())
    }

    /// The rows of a trace, rising; found by the index of ids, without a scan.
    pub fn rows_of_trace(&self, id: &[u8; 16]) -> Result<Vec<u32>, Error> {
        let Some(column) = self.column_of(&ColumnKey::fixed(Fixed::TraceId))? else { return Ok(Vec::new()) };
        Ok(column.code_of_trace_id(id).map_or_else(Vec::new, |code| column.rows_of_code(code)))
    }

    /// The identity of some rows.
    pub fn event_ids(&self, rows: &[u32]) -> Result<Vec<EventId>, Error> {
        let (offsets, indexes) = (self.field(RowField::Offset)?, self.field(RowField::Index)?);
        let id = |&row: &u32| EventId {
            partition: self.partition(),
            offset: Offset(offsets.get(row as usize).cast_unsigned()),
            index: u32::try_from(indexes.get(row as usize)).unwrap_or(0),
        };
        Ok(rows.iter().map(id).collect())
    }

    /// Checks everything: each chunk's checksum and every index.
    pub fn verify(&self) -> Result<(), Error> {
        let fields = [RowField::Time, RowField::IngestTime, RowField::Offset, RowField::Index];
        for field in fields.into_iter().chain([RowField::Context, RowField::Shape]) {
            self.field(field)?;
        }
        self.context_shapes()?;
        self.shapes()?;
        self.hashes()?;
        let mut text = self.text()?;
        for code in 0..self.dictionary_len() {
            text.get(code)?;
        }
        (0..self.column_count()).try_for_each(|id| self.column(ColumnId(id)).map(drop))
    }

    /// Where the chunk of a field lies: offset and length.
    pub(crate) fn place_of_field(&self, field: RowField) -> (u64, u64) {
        let chunk = match field {
            RowField::Time => Chunk::Time,
            RowField::IngestTime => Chunk::Ingest,
            RowField::Offset => Chunk::Offset,
            RowField::Index => Chunk::Index,
            RowField::Context => Chunk::Context,
            RowField::Shape => Chunk::Shape,
        };
        self.footer
            .chunk(&self.bytes, chunk)
            .map_or((0, self.byte_len()), |found| (found.offset, found.length))
    }

    fn fixed_chunk(&self, chunk: Chunk) -> Result<&[u8], Error> {
        let reference = self.footer.chunk(&self.bytes, chunk)?;
        self.checksummed(reference, chunk as usize).map_err(|error| error.context(&format!("{chunk:?}")))
    }

    /// A chunk's bytes, whose checksum is compared at the first touch.
    fn checksummed(&self, reference: Reference, place: usize) -> Result<&[u8], Error> {
        let bytes = slice_at(&self.bytes, reference.offset, reference.length)?;
        let checked = self.checked[place].load(Ordering::Acquire);
        if !checked && crc32c::crc32c(bytes) != reference.crc {
            return Err(Error::damaged("the checksum does not match"));
        }
        Ok(bytes)
    }

    /// Runs a check at the first touch of a chunk; afterwards its checksum counts as compared, too.
    fn check_once(&self, place: usize, check: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        if !self.checked[place].load(Ordering::Acquire) {
            check()?;
            self.checked[place].store(true, Ordering::Release);
        }
        Ok(())
    }

    /// All row numbers, for whoever wants everything.
    pub fn all_rows(&self) -> Vec<u32> {
        (0..count(self.rows() as usize)).collect()
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let header = &self.header;
        write!(f, "Segment({} p{} day {}, ", header.environment, header.partition.0, header.day)?;
        write!(f, "{} rows, {} columns)", self.rows(), self.column_count())
    }
}
