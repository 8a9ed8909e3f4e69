//! What is known about a segment without its file: columns with their types, counts, times and sketches, per dataset,
//! and the filter of its trace ids (docs/formats/footers.md).
//!
//! It is read where it lies. A column is found by binary search over the hashes of names; nothing is parsed whole. Each
//! part is checked against its checksum at its first touch, so that damage is an error, and the summary is made anew
//! from the segment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use skein_event::batch::{Origin, Physical};
use skein_event::hash::HashKey;

use crate::error::Error;
use crate::segment::Zone;
use crate::segment::bytes::{array_at, i64_at, slice_at, u16_at, u32_at, u64_at};
use crate::segment::machine::SegmentBytes;

pub(super) const MAGIC: [u8; 4] = *b"SKFE";
pub(super) const VERSION: u16 = 2;
pub(super) const HEAD_BYTES: usize = 64;
pub(super) const COLUMN_BYTES: usize = 48;
pub(super) const DATASET_BYTES: usize = 32;
pub(super) const CELL_BYTES: usize = 40;
/// The length of a name that is not there: events without a dataset.
pub(super) const NO_NAME: u32 = u32::MAX;

/// The summary of a segment, or of a set of them.
#[derive(Debug)]
pub struct Summary {
    bytes: Bytes,
    head: Head,
    /// One bit per [`Part`] that was checked.
    checked: AtomicU8,
}

impl PartialEq for Summary {
    fn eq(&self, other: &Summary) -> bool {
        self.bytes() == other.bytes()
    }
}

/// Where the bytes are.
#[derive(Clone)]
pub(super) enum Bytes {
    Owned(Arc<[u8]>),
    /// A part of `footers.cat`.
    Mapped {
        map: Arc<SegmentBytes>,
        start: usize,
        length: usize,
    },
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped { map, start, length } => map.get(*start..start + length).unwrap_or(&[]),
        }
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

/// Parts with a checksum of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// Columns, datasets and names: what pruning touches.
    Names = 0,
    /// What listings touch.
    Cells = 1,
    /// The filter of trace ids.
    Filter = 2,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Head {
    pub(super) columns: u32,
    pub(super) datasets: u32,
    pub(super) cells: u32,
    pub(super) names_bytes: u32,
    pub(super) sketch_bytes: u32,
    pub(super) filter_bytes: u32,
    pub(super) rows: u64,
    pub(super) flags: u32,
    /// Checksums of the parts.
    pub(super) sums: [u32; 3],
}

/// The summary knows whether there are trace ids: without a filter then, there are none.
pub(super) const FLAG_FILTER: u32 = 1;

impl Head {
    pub(super) fn write(&self) -> [u8; HEAD_BYTES] {
        let mut out = Vec::with_capacity(HEAD_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        for number in
            [self.columns, self.datasets, self.cells, self.names_bytes, self.sketch_bytes, self.filter_bytes]
        {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.rows.to_le_bytes());
        out.extend_from_slice(&self.flags.to_le_bytes());
        self.sums.iter().for_each(|sum| out.extend_from_slice(&sum.to_le_bytes()));
        out.resize(HEAD_BYTES - 4, 0);
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out.try_into().unwrap_or([0; HEAD_BYTES])
    }

    fn read(bytes: &[u8]) -> Result<Head, Error> {
        let head = array_at::<HEAD_BYTES>(bytes, 0)?;
        if head[..4] != MAGIC || crc32c::crc32c(&head[..HEAD_BYTES - 4]) != u32_at(&head, HEAD_BYTES - 4)? {
            return Err(Error::damaged("the head of a summary is not one"));
        }
        if u16_at(&head, 4)? != VERSION {
            return Err(Error::damaged("the summary is of another version"));
        }
        Ok(Head {
            columns: u32_at(&head, 8)?,
            datasets: u32_at(&head, 12)?,
            cells: u32_at(&head, 16)?,
            names_bytes: u32_at(&head, 20)?,
            sketch_bytes: u32_at(&head, 24)?,
            filter_bytes: u32_at(&head, 28)?,
            rows: u64_at(&head, 32)?,
            flags: u32_at(&head, 40)?,
            sums: [u32_at(&head, 44)?, u32_at(&head, 48)?, u32_at(&head, 52)?],
        })
    }

    fn datasets_at(&self) -> usize {
        HEAD_BYTES + self.columns as usize * COLUMN_BYTES
    }

    fn names_at(&self) -> usize {
        self.datasets_at() + self.datasets as usize * DATASET_BYTES
    }

    fn cells_at(&self) -> usize {
        self.names_at() + self.names_bytes as usize
    }

    fn sketches_at(&self) -> usize {
        self.cells_at() + self.cells as usize * CELL_BYTES
    }

    fn filter_at(&self) -> usize {
        self.sketches_at() + self.sketch_bytes as usize
    }

    /// Bytes of the whole.
    pub(super) fn total(&self) -> usize {
        self.filter_at() + self.filter_bytes as usize
    }

    pub(super) fn range(&self, part: Part) -> std::ops::Range<usize> {
        match part {
            Part::Names => HEAD_BYTES..self.cells_at(),
            Part::Cells => self.cells_at()..self.filter_at(),
            Part::Filter => self.filter_at()..self.total(),
        }
    }
}

/// A column of a summary.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ColumnSummary<'a> {
    /// Its place, for [`Summary::cells`].
    pub place: u32,
    /// The keyed hash of its name.
    pub hash: u64,
    /// Its name.
    pub name: &'a str,
    /// Where it comes from.
    pub origin: Origin,
    /// How it is stored.
    pub physical: Physical,
    /// Smallest and largest value.
    pub zone: Zone,
}

/// A dataset of a summary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DatasetSummary<'a> {
    /// Its name; `None` of events without one.
    pub name: Option<&'a str>,
    /// Its events.
    pub rows: u64,
    /// Earliest and latest `timestamp`.
    pub times: (i64, i64),
}

/// The values of a column in a dataset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell<'a> {
    /// The place of the dataset.
    pub dataset: u32,
    /// Events that have a value.
    pub count: u64,
    /// Earliest and latest `timestamp` of theirs.
    pub times: (i64, i64),
    /// How many different values there are.
    pub(super) sketch: &'a [u8],
}

impl Summary {
    pub(super) fn open(bytes: Bytes) -> Result<Summary, Error> {
        let head = Head::read(&bytes)?;
        if head.total() != bytes.len() {
            return Err(Error::damaged("the parts of a summary do not add up to its length"));
        }
        Ok(Summary { bytes, head, checked: AtomicU8::new(0) })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Events.
    pub fn rows(&self) -> u64 {
        self.head.rows
    }

    /// Columns.
    pub fn column_count(&self) -> u32 {
        self.head.columns
    }

    /// Checks all parts.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        [Part::Names, Part::Cells, Part::Filter].into_iter().try_for_each(|part| self.check(part))
    }

    /// Compares a part with its checksum at its first touch.
    fn check(&self, part: Part) -> Result<(), Error> {
        let bit = 1 << part as u8;
        if self.checked.load(Ordering::Acquire) & bit == 0 {
            let bytes = self.bytes.get(self.head.range(part)).unwrap_or(&[]);
            if crc32c::crc32c(bytes) != self.head.sums[part as usize] {
                return Err(Error::damaged(format!("the checksum of a summary's {part:?} does not match")));
            }
            self.checked.fetch_or(bit, Ordering::Release);
        }
        Ok(())
    }

    /// All physical columns of a name.
    pub fn by_name(&self, key: HashKey, name: &str) -> Result<Vec<ColumnSummary<'_>>, Error> {
        self.check(Part::Names)?;
        let hash = key.hash(name.as_bytes());
        let hash_at = |place: u32| u64_at(&self.bytes, HEAD_BYTES + place as usize * COLUMN_BYTES);
        let (mut low, mut high) = (0, self.head.columns);
        while low < high {
            let middle = low.midpoint(high);
            if hash_at(middle)? < hash { low = middle + 1 } else { high = middle }
        }
        let mut found = Vec::new();
        while low < self.head.columns && hash_at(low)? == hash {
            let column = self.column(low)?;
            if column.name == name {
                found.push(column);
            }
            low += 1;
        }
        Ok(found)
    }

    /// All columns.
    pub fn columns(&self) -> impl Iterator<Item = Result<ColumnSummary<'_>, Error>> {
        let checked = self.check(Part::Names);
        let failed = checked.err().map(Err).into_iter();
        let end = if self.checked.load(Ordering::Acquire) & 1 == 1 { self.head.columns } else { 0 };
        failed.chain((0..end).map(|place| self.column(place)))
    }

    fn column(&self, place: u32) -> Result<ColumnSummary<'_>, Error> {
        let entry = array_at::<COLUMN_BYTES>(&self.bytes, HEAD_BYTES + place as usize * COLUMN_BYTES)?;
        let unknown = || Error::damaged("a column of a summary holds a number without a meaning");
        let (low, high) = (u64_at(&entry, 24)?, u64_at(&entry, 32)?);
        Ok(ColumnSummary {
            place,
            hash: u64_at(&entry, 0)?,
            name: self.name(u32_at(&entry, 8)?, u32::from(u16_at(&entry, 12)?))?.unwrap_or_default(),
            origin: Origin::from_number(entry[14]).ok_or_else(unknown)?,
            physical: Physical::from_number(entry[15]).ok_or_else(unknown)?,
            zone: match entry[20] {
                1 => Zone::I64(low.cast_signed(), high.cast_signed()),
                2 => Zone::F64 { min: f64::from_bits(low), max: f64::from_bits(high), nan: entry[21] != 0 },
                _ => Zone::Unordered,
            },
        })
    }

    fn name(&self, at: u32, length: u32) -> Result<Option<&str>, Error> {
        if length == NO_NAME {
            return Ok(None);
        }
        let names = slice_at(&self.bytes, self.head.names_at() as u64, u64::from(self.head.names_bytes))?;
        let name = slice_at(names, u64::from(at), u64::from(length))?;
        std::str::from_utf8(name).map(Some).map_err(|_| Error::damaged("a name of a summary is not UTF-8"))
    }

    /// The datasets.
    pub fn datasets(&self) -> Result<Vec<DatasetSummary<'_>>, Error> {
        self.check(Part::Names)?;
        (0..self.head.datasets as usize).map(|place| self.dataset_at(place)).collect()
    }

    fn dataset_at(&self, place: usize) -> Result<DatasetSummary<'_>, Error> {
        let at = self.head.datasets_at() + place * DATASET_BYTES;
        let name = self.name(u32_at(&self.bytes, at)?, u32_at(&self.bytes, at + 4)?)?;
        let rows = u64_at(&self.bytes, at + 8)?;
        let times = (i64_at(&self.bytes, at + 16)?, i64_at(&self.bytes, at + 24)?);
        Ok(DatasetSummary { name, rows, times })
    }

    /// The dataset of a name. Thousands of summaries are asked for one name: nothing is copied.
    pub fn dataset(&self, name: &str) -> Result<Option<DatasetSummary<'_>>, Error> {
        self.check(Part::Names)?;
        let names = slice_at(&self.bytes, self.head.names_at() as u64, u64::from(self.head.names_bytes))?;
        for place in 0..self.head.datasets as usize {
            let at = self.head.datasets_at() + place * DATASET_BYTES;
            let length = u32_at(&self.bytes, at + 4)?;
            if length as usize != name.len() || length == NO_NAME {
                continue;
            }
            if slice_at(names, u64::from(u32_at(&self.bytes, at)?), u64::from(length))? == name.as_bytes() {
                return self.dataset_at(place).map(Some);
            }
        }
        Ok(None)
    }

    /// The cells of a column, by dataset.
    pub fn cells(&self, column: u32) -> Result<Vec<Cell<'_>>, Error> {
        self.check(Part::Names)?;
        self.check(Part::Cells)?;
        let first = |column: u32| {
            if column >= self.head.columns {
                return Ok(self.head.cells);
            }
            u32_at(&self.bytes, HEAD_BYTES + column as usize * COLUMN_BYTES + 16)
        };
        let sketches =
            slice_at(&self.bytes, self.head.sketches_at() as u64, u64::from(self.head.sketch_bytes))?;
        let cell = |place: u32| {
            let at = self.head.cells_at() + place as usize * CELL_BYTES;
            let (offset, length) = (u32_at(&self.bytes, at + 32)?, u32_at(&self.bytes, at + 36)?);
            Ok(Cell {
                dataset: u32_at(&self.bytes, at)?,
                count: u64_at(&self.bytes, at + 8)?,
                times: (i64_at(&self.bytes, at + 16)?, i64_at(&self.bytes, at + 24)?),
                sketch: slice_at(sketches, u64::from(offset), u64::from(length))?,
            })
        };
        (first(column)?..first(column + 1)?).map(cell).collect()
    }

    /// The filter of the trace ids, in the form of [`crate::segment`]'s; `None` when there are no trace ids.
    pub fn trace_filter(&self) -> Result<Filtered<'_>, Error> {
        if self.head.flags & FLAG_FILTER == 0 {
            return Ok(Filtered::Unknown);
        }
        if self.head.filter_bytes == 0 {
            return Ok(Filtered::NoTraces);
        }
        self.check(Part::Filter)?;
        let range = self.head.range(Part::Filter);
        Ok(Filtered::By(self.bytes.get(range).unwrap_or(&[])))
    }
}

/// What a summary says about trace ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filtered<'a> {
    /// Nothing: the segment has to be asked.
    Unknown,
    /// There are none.
    NoTraces,
    /// Those that pass a filter, and a few that do not exist.
    By(&'a [u8]),
}
