//! The catalog: which segments count, up to where each partition's log is in them, which lines of imported
//! files were seen. It is the one place where a commit happens; everything else is files that do or do not
//! count (docs/formats/catalog.md).
//!
//! What it refuses: to know what is inside of a segment. Column statistics come from footers.

mod memory;
mod sqlite;
mod statements;
pub(crate) mod sums;

use std::fmt;
use std::sync::Arc;

use skein_event::ids::{Environment, Offset, Partition};

use crate::error::Error;

pub use memory::MemoryCatalog;
pub use sqlite::SqliteCatalog;

/// The name of a segment: its file is `<id>.seg`. Unique for the life of the data: partition, epoch of the
/// writer that made it, a number of that writer's.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentId(Arc<str>);

impl SegmentId {
    /// The name of a writer's next segment.
    pub fn new(partition: Partition, epoch: u64, number: u64) -> SegmentId {
        SegmentId(format!("{:04x}-{epoch:08x}-{number:08x}", partition.0).into())
    }

    /// A name found in the catalog or on disk. `None` when it could not name a file of ours.
    pub fn parse(text: &str) -> Option<SegmentId> {
        let fits =
            !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        fits.then(|| SegmentId(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A segment that counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentRow {
    /// Its name.
    pub id: SegmentId,
    /// Whose events.
    pub environment: Environment,
    /// Their partition.
    pub partition: Partition,
    /// The day under which they are filed, in days since 1970-01-01.
    pub day: i32,
    /// Number of events.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Earliest and latest `timestamp`.
    pub time_range: (i64, i64),
    /// Earliest and latest `meta.ingest_time`.
    pub ingest_range: (i64, i64),
    /// Smallest and largest log offset.
    pub offset_range: (u64, u64),
}

/// Up to where a partition's log is in segments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionMark {
    /// Which.
    pub partition: Partition,
    /// The number of its writer; each opening takes the next, which fences the one before.
    pub epoch: u64,
    /// Every record below is in segments, or was dropped by a decision.
    pub low: Offset,
    /// Records from `low` on that are in segments already: bit `i` of byte `i / 8` is offset `low + i`.
    /// Empty until a sampler decides out of order.
    pub applied: Vec<u8>,
}

/// Lines in one [`ImportLines`].
pub const IMPORT_LINES: u32 = 4096;

/// Which of 4,096 lines of an imported file were applied in a partition. Kept for good (I4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportLines {
    /// Whose import.
    pub environment: Environment,
    /// The partition.
    pub partition: Partition,
    /// SHA-256 of the file.
    pub file: [u8; 32],
    /// The lines from `number * 4096` on.
    pub number: u32,
    /// One bit per line, lowest bit of the first byte first.
    pub bits: Vec<u8>,
}

/// One change of the catalog.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// The partition.
    pub partition: Partition,
    /// The writer's epoch.
    pub epoch: u64,
    /// Where the writer believes low to be.
    pub expected_low: Offset,
    /// Where it moves.
    pub new_low: Offset,
    /// See [`PartitionMark::applied`].
    pub applied: Vec<u8>,
    /// Segments that count from now on; their files are durable.
    pub add: Vec<SegmentRow>,
    /// Segments that no longer do.
    pub remove: Vec<SegmentId>,
    /// The new state of import lines.
    pub imports: Vec<ImportLines>,
}

impl Commit {
    /// Other segments for the same events: the log stays where it is.
    pub fn exchange(mark: &PartitionMark, add: Vec<SegmentRow>, remove: Vec<SegmentId>) -> Commit {
        Commit {
            partition: mark.partition,
            epoch: mark.epoch,
            expected_low: mark.low,
            new_low: mark.low,
            applied: mark.applied.clone(),
            add,
            remove,
            imports: Vec::new(),
        }
    }
}

/// Everything that a catalog holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Content {
    /// Every partition, by number.
    pub marks: Vec<PartitionMark>,
    /// The segments that count.
    pub segments: Vec<SegmentRow>,
    /// Lines of imported files.
    pub imports: Vec<ImportLines>,
}

/// Keeps what counts. Calls block; an implementation may be called from any thread.
pub trait Catalog: Send + Sync {
    /// The partitions it knows; none in a new catalog.
    fn partitions(&self) -> Result<Vec<PartitionMark>, Error>;

    /// Takes over all partitions: each one's epoch rises by one.
    ///
    /// POST: every commit under an earlier epoch fails with `Fenced` from now on.
    fn take_over(&self, partitions: u16) -> Result<Vec<PartitionMark>, Error>;

    /// All segments that count, by id.
    fn segments(&self) -> Result<Vec<SegmentRow>, Error>;

    /// All import lines.
    fn imports(&self) -> Result<Vec<ImportLines>, Error>;

    /// Everything, as of one moment.
    fn content(&self) -> Result<Content, Error>;

    /// Whether a segment counts. Answers what became of a commit whose outcome is unknown.
    fn has_segment(&self, id: &SegmentId) -> Result<bool, Error>;

    /// Makes a change, whole or not at all.
    ///
    /// POST: on `Ok`, the change survives a crash. With `Fenced`, nothing has changed: epoch or low were not
    /// as expected, or a segment to remove does not count. On any other `Err` the outcome is unknown.
    fn commit(&self, commit: &Commit) -> Result<(), Error>;
}
