//! Settings of the store, and what it works with. What they refuse: a default that is not in `event::limits`.

use std::path::PathBuf;
use std::sync::Arc;

use skein_event::hash::HashKey;
use skein_event::limits;
use skein_event::observe::{Clock, Observer};
use skein_log::disk::Disk;

use crate::catalog::Catalog;
use crate::files::FileAccess;
use crate::memory::ReleaseMemory;
use crate::retention::Retention;

/// Settings of the store. [`StoreConfig::new`] has the defaults of DESIGN.md.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The data directory.
    pub data_directory: PathBuf,
    /// Partitions of the log, fixed for the life of the data.
    pub partitions: u16,
    /// The deployment's hash key.
    pub hash_key: HashKey,
    /// How files are read.
    pub access: FileAccess,
    /// All heads together; beyond, the largest partition is flushed.
    pub head_bytes_max: usize,
    /// All heads together; beyond, [`Follower::apply`] waits.
    pub head_bytes_hard_max: usize,
    /// Batches read back from the log at a start; beyond, they are encoded while more are read.
    pub replay_batch_bytes_max: usize,
    /// A partition's head is flushed when its oldest event has waited this long.
    pub flush_interval_ns: i64,
    /// Rows of a partition's head that call for a flush, and of the largest segment.
    pub segment_rows_max: usize,
    /// Windows of arrival whose files become one, from the shortest on.
    pub compaction_tiers_ns: [i64; 3],
    /// Files that one merge takes.
    pub compaction_files_max: usize,
    /// Segment files that are open at once.
    pub open_segments_max: usize,
    /// How long events are kept.
    pub retention: Retention,
    /// What threads of the store do when there is nothing to do for a while.
    pub release_memory: ReleaseMemory,
}

impl StoreConfig {
    /// The defaults.
    pub fn new(data_directory: PathBuf, partitions: u16, hash_key: HashKey) -> StoreConfig {
        StoreConfig {
            data_directory,
            partitions,
            hash_key,
            access: FileAccess::Map,
            head_bytes_max: limits::HEAD_BYTES_MAX,
            head_bytes_hard_max: limits::HEAD_BYTES_HARD_MAX,
            replay_batch_bytes_max: limits::REPLAY_BATCH_BYTES_MAX,
            flush_interval_ns: limits::FLUSH_INTERVAL_NS,
            segment_rows_max: limits::SEGMENT_ROWS_MAX,
            compaction_tiers_ns: limits::COMPACTION_TIERS_NS,
            compaction_files_max: limits::COMPACTION_FILES_MAX,
            open_segments_max: limits::OPEN_SEGMENTS_MAX,
            retention: Retention::default(),
            release_memory: ReleaseMemory::default(),
        }
    }
}

/// What the store works with.
pub struct Surroundings {
    /// Where files lie.
    pub disk: Arc<dyn Disk>,
    /// What counts.
    pub catalog: Arc<dyn Catalog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who hears of flushes and compactions.
    pub observer: Arc<dyn Observer>,
}
