//! Reads a segment: finds columns, checks each chunk once, hands out readers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use skein_event::Fixed;
use skein_event::batch::{ColumnKey, Origin};
use skein_event::columns::Level;
use skein_event::ids::{Environment, EventId, Offset, Partition};

use super::bytes::length;
use super::column::ColumnReader;
use super::header::{Header, Version};
use super::info::{ColumnId, ColumnInfo, Encoding};
use super::ints::Ints;
use super::layout::{
    CHUNKS, Chunk, FLAG_COLD, FLAG_COLLISION, FLAG_INGEST_OF_OFFSETS, FLAG_NAMES_ALL, FlushPart, Footer,
};
use super::machine::{self, SegmentBytes};
use super::pieces::Compared;
use super::text::TextReader;
use super::trace_filter::TraceFilter;
use super::unpacked::Keeper;
use crate::error::{Error, ErrorKind};

/// Rows that a file may claim: as many as a merge writes. What is constant takes no bytes, so that the length of
/// the file is no bound.
const ROWS_MAX: u32 = 8 << 20;

/// An open segment: immutable events of one environment and one partition.
///
/// Opening reads header and footer only. The first touch of a piece in a process checks its checksum, the first
/// scan of a chunk every index in it, so that damage is an error of that touch and never undefined behaviour.
pub struct Segment {
    pub(super) bytes: Arc<SegmentBytes>,
    pub(super) header: Header,
    pub(super) footer: Footer,
    /// Which pieces were compared with their checksums.
    pub(super) compared: Arc<Compared>,
    /// Which chunks were validated: the fixed ones, then columns and then dictionaries in the footer's order.
    pub(super) checked: Arc<[AtomicBool]>,
    /// Where is kept what was unpacked of it.
    pub(super) keeper: Keeper,
    /// Rows that may not be seen.
    pub(super) erased: Option<Arc<[u32]>>,
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
        let bytes = machine::map(&file)
            .map_err(|error| Error::with_source(ErrorKind::Io, format!("{name} cannot be mapped"), error))?;
        Segment::from_bytes(bytes, false).map_err(|error| error.context(&name))
    }

    /// Opens what this process has just encoded: it needs no check.
    pub(crate) fn trusted(bytes: Vec<u8>) -> Result<Segment, Error> {
        Segment::from_bytes(SegmentBytes::Owned(bytes), true)
    }

    fn from_bytes(bytes: SegmentBytes, trusted: bool) -> Result<Segment, Error> {
        let (header, version) = Header::read(&bytes)?;
        let footer = Footer::read(&bytes, version)?;
        if footer.counts.rows.max(footer.counts.contexts) > ROWS_MAX {
            return Err(Error::damaged("the footer counts more rows than a segment has"));
        }
        let places = CHUNKS + 2 * footer.counts.columns as usize;
        let checked = (0..places).map(|_| AtomicBool::new(trusted)).collect();
        let compared = Arc::new(Compared::new(footer.start(), trusted));
        Ok(Segment {
            bytes: Arc::new(bytes),
            header,
            footer,
            compared,
            checked,
            keeper: Keeper::default(),
            erased: None,
        })
    }

    pub(super) fn version(&self) -> Version {
        self.footer.version
    }

    /// The number of its format's version.
    pub fn format_version(&self) -> u16 {
        self.footer.version as u16
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

    /// The dataset of each context.
    pub fn context_datasets(&self) -> Result<Vec<Option<String>>, Error> {
        let mut names = vec![None; self.contexts() as usize];
        let Some(column) = self.column_of(&ColumnKey::fixed(Fixed::Dataset))? else { return Ok(names) };
        let mut text = column.text()?;
        for (context, name) in (0_u32..).zip(&mut names) {
            let code = column.present().value_of(context).and_then(|value| column.code_at(value));
            if let Some(code) = code {
                *name = Some(String::from_utf8_lossy(text.get(code)?).into_owned());
            }
        }
        Ok(names)
    }

    /// Number of distinct shapes.
    pub fn shape_count(&self) -> u32 {
        self.footer.counts.shapes
    }

    /// Number of columns, of both levels.
    pub fn column_count(&self) -> u32 {
        self.footer.counts.columns
    }

    /// Names that shapes refer to; in version 1 all values.
    pub(super) fn names_len(&self) -> u32 {
        self.footer.counts.values
    }

    /// Bytes that it holds in memory: none of a mapped file.
    pub fn held_bytes(&self) -> u64 {
        length(self.bytes.held_bytes())
    }

    /// Bytes of the whole file.
    pub fn byte_len(&self) -> u64 {
        length(self.bytes.len())
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

    /// Whether two values of one column share a hash: then hashes alone do not tell its values apart.
    pub fn has_hash_collision(&self) -> bool {
        self.footer.counts.flags & FLAG_COLLISION != 0
    }

    /// Whether each row's values in columns of attributes are those that its shape names.
    pub(super) fn names_all(&self) -> bool {
        self.version() != Version::V1 && self.footer.counts.flags & FLAG_NAMES_ALL != 0
    }

    /// Whether it was written to be read rarely.
    pub fn is_cold(&self) -> bool {
        self.version() >= Version::V3 && self.footer.counts.flags & FLAG_COLD != 0
    }

    /// Whether an event's append time is that of its log offset.
    fn has_ingest_of_offsets(&self) -> bool {
        self.version() >= Version::V3 && self.footer.counts.flags & FLAG_INGEST_OF_OFFSETS != 0
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

    pub(super) fn origin(&self, id: ColumnId) -> Result<Origin, Error> {
        self.footer.origin(&self.bytes, id)
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

    /// Opens a column to scan it; checks its values at the first touch.
    pub fn column(&self, id: ColumnId) -> Result<ColumnReader<'_>, Error> {
        let info = self.info(id)?;
        let name = Arc::clone(&info.key.name);
        let place = CHUNKS + id.0 as usize;
        let opened = self.open_column(info).and_then(|column| {
            self.check_once(place, || column.validate(self.rows_of_level(column.info().level)))?;
            Ok(column)
        });
        opened.map_err(|error| error.context(&format!("column {name}")))
    }

    /// Opens a column to read single values: its bytes are compared with their checksums, and its values are not
    /// looked at. What is wrong in spite of right checksums gives wrong values or errors.
    pub(super) fn column_for_points(&self, id: ColumnId) -> Result<ColumnReader<'_>, Error> {
        self.open_column(self.info(id)?)
    }

    pub(super) fn rows_of_level(&self, level: Level) -> u32 {
        if level == Level::Row { self.rows() } else { self.contexts() }
    }

    pub(super) fn open_column(&self, info: ColumnInfo) -> Result<ColumnReader<'_>, Error> {
        let chunk = self.chunk_bytes(info.reference, CHUNKS + info.id.0 as usize)?;
        let dictionary = match info.encoding {
            Encoding::Ids16 => self.dictionary(&info)?,
            _ => &[],
        };
        let rows = self.rows_of_level(info.level);
        ColumnReader::open(self, info, chunk, dictionary, rows)
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
        let (mut ints, _) = Ints::open_in(self.fixed_chunk(chunk)?, self)?;
        if field == RowField::IngestTime && self.has_ingest_of_offsets() {
            let (offsets, _) = Ints::open_in(self.fixed_chunk(Chunk::Offset)?, self)?;
            ints = offsets.with_values(ints)?;
        }
        if ints.len() != self.rows() as usize {
            return Err(Error::damaged(format!("{chunk:?} has another number of rows")));
        }
        self.check_once(chunk as usize, || ints.validate(low, high))?;
        Ok(ints)
    }

    /// A reader of the names.
    pub fn text(&self) -> Result<TextReader<'_>, Error> {
        let bytes = self.fixed_chunk(Chunk::Text)?;
        self.checked[Chunk::Text as usize].store(true, Ordering::Release);
        TextReader::open(bytes, self.names_len(), self.version())
    }

    /// The filter of the segment's trace ids ([`TraceFilter`]); `None` when it has none, then any may be there.
    pub fn trace_filter(&self) -> Result<Option<&[u8]>, Error> {
        let reference = self.footer.chunk(&self.bytes, Chunk::TraceFilter)?;
        if reference.length == 0 {
            return Ok(None);
        }
        let bytes = self.fixed_chunk(Chunk::TraceFilter)?;
        self.check_once(Chunk::TraceFilter as usize, || TraceFilter::open(bytes).map(drop))?;
        Ok(Some(bytes))
    }

    /// The rows of a trace that may be seen, rising; found by the index of ids, without a scan.
    pub fn rows_of_trace(&self, id: &[u8; 16]) -> Result<Vec<u32>, Error> {
        let Some(column) = self.column_of(&ColumnKey::fixed(Fixed::TraceId))? else { return Ok(Vec::new()) };
        let mut rows = column.code_of_trace_id(id).map_or_else(Vec::new, |code| column.rows_of_code(code));
        if self.has_erased() {
            rows.retain(|&row| self.is_visible(row));
        }
        self.keeper.has_unwrapped()?;
        Ok(rows)
    }

    /// The identity of some rows.
    pub fn event_ids(&self, rows: &[u32]) -> Result<Vec<EventId>, Error> {
        let places = || rows.iter().map(|&row| row as usize);
        let offsets = self.field(RowField::Offset)?.values_at(places());
        let indexes = self.field(RowField::Index)?.values_at(places());
        let id = |(offset, index): (i64, i64)| EventId {
            partition: self.partition(),
            offset: Offset(offset.cast_unsigned()),
            index: u32::try_from(index).unwrap_or(0),
        };
        let ids = offsets.into_iter().zip(indexes).map(id).collect();
        self.keeper.has_unwrapped()?;
        Ok(ids)
    }

    /// Runs a check at the first touch of a chunk; afterwards its checksum counts as compared, too.
    pub(super) fn check_once(
        &self,
        place: usize,
        check: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        if !self.checked[place].load(Ordering::Acquire) {
            check()?;
            self.checked[place].store(true, Ordering::Release);
        }
        Ok(())
    }

    pub(super) fn footer(&self) -> &Footer {
        &self.footer
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let header = &self.header;
        write!(f, "Segment({} p{} day {}, ", header.environment, header.partition.0, header.day)?;
        write!(f, "{} rows, {} columns)", self.rows(), self.column_count())
    }
}
