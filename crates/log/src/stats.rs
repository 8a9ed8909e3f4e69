//! What the log counts about itself, for `/metrics`. It keeps no names and no times of single records.

use skein_event::observe::Durations;

/// Counts since the log was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogStats {
    /// Group commits.
    pub commits: u64,
    /// Time spent writing and syncing, in nanoseconds.
    pub commit_ns: u64,
    /// The longest of them.
    pub commit_ns_max: u64,
    /// How long the fdatasyncs of a group took, its files side by side.
    pub syncs: Durations,
    /// Parts that became durable.
    pub records: u64,
    /// Parts whose write or sync failed.
    pub failed_records: u64,
    /// Batches that were there already.
    pub duplicate_batches: u64,
    /// Bytes that wait now.
    pub queued_bytes: usize,
    /// Batch keys remembered now.
    pub batch_keys: usize,
}
