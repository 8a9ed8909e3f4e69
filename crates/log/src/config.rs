//! What can be set about the log.

use std::path::PathBuf;
use std::time::Duration;

use skein_event::hash::HashKey;
use skein_event::limits;

/// Settings of the log. [`LogConfig::new`] has the defaults of DESIGN.md.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// The data directory; the log lives in `log/`, `state/` and `quarantine/` below it.
    pub data_directory: PathBuf,
    /// Partitions, at most 64. Fixed for the life of the data.
    pub partitions: u16,
    /// The deployment's hash key: of dictionary values, and of the split into partitions.
    pub hash_key: HashKey,
    /// How long the committer waits for more batches before it syncs.
    pub group_commit_wait: Duration,
    /// Bytes from which it does not wait.
    pub group_commit_bytes: usize,
    /// Bytes of records that may wait; beyond, appends get `Overloaded`.
    pub queue_bytes_max: usize,
    /// Whether the files of a group are synced side by side, by threads of their own. A simulation has none.
    pub parallel_sync: bool,
    /// A file is followed by the next one when it has this many bytes.
    pub file_bytes: u64,
    /// How long records stay after they were committed to segments, as a second copy.
    pub retention_ns: i64,
    /// Bytes that committed records may take in all files together; `None` is a tenth of the disk.
    pub retention_bytes: Option<u64>,
    /// Batch keys remembered at once.
    pub batch_keys_max: usize,
}

impl LogConfig {
    /// The defaults.
    pub fn new(data_directory: PathBuf, hash_key: HashKey) -> LogConfig {
        LogConfig {
            data_directory,
            partitions: limits::PARTITIONS_LOCAL,
            hash_key,
            group_commit_wait: Duration::from_millis(limits::GROUP_COMMIT_MS),
            group_commit_bytes: limits::GROUP_COMMIT_BYTES,
            queue_bytes_max: limits::LOG_QUEUE_BYTES_MAX,
            parallel_sync: true,
            file_bytes: limits::LOG_FILE_BYTES,
            retention_ns: limits::LOG_RETENTION_NS,
            retention_bytes: None,
            batch_keys_max: limits::BATCH_KEYS_MAX,
        }
    }
}
