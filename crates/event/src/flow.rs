//! The seams of an event's way: a sink that makes batches durable, and a decider that keeps or drops them.

use std::future::Future;
use std::pin::Pin;

use crate::batch::EventBatch;
use crate::ids::{Environment, Offset, Partition};

/// What makes two batches the same one (invariant I4).
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum BatchKey {
    /// A digest of environment, signal and decompressed body: for batches whose records all have a time of
    /// their own.
    Digest(u128),
    /// The client's `Skein-Batch-Id`.
    Client(Box<str>),
    /// A line of an imported file, remembered for good. `Skein-Batch-Id: import/<sha256 hex>/<line>`.
    Import {
        /// SHA-256 of the file.
        file: [u8; 32],
        /// Line, from 0.
        line: u32,
    },
    /// A key that no other batch has: nothing is recognised as a repetition.
    Unique(u128),
}

/// A batch on its way into the log.
#[derive(Debug)]
pub struct Append {
    /// Whose it is.
    pub environment: Environment,
    /// How a repetition is recognised.
    pub key: BatchKey,
    /// The events.
    pub batch: EventBatch,
    /// What the client is to be told, opaque to the log; a repetition gets the first one back.
    pub reply: Vec<u8>,
}

/// An erasure as the log keeps it: from the moment it is durable no answer holds an older event that its filter
/// matches (DESIGN.md §3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Erasure {
    /// Its name.
    pub id: u128,
    /// Per partition of the log the first offset that is not older. Every record below was durable when the
    /// erasure was asked for, so that no other record ever gets its offset.
    pub cuts: Vec<Offset>,
    /// Which events: opaque to log and store, without a line feed.
    pub filter: std::sync::Arc<str>,
}

impl Erasure {
    /// Whether a record of the log is older than the erasure.
    pub fn is_older(&self, partition: Partition, offset: Offset) -> bool {
        self.cuts.get(usize::from(partition.0)).is_some_and(|cut| offset < *cut)
    }
}

/// What became of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Whether all of it was there before.
    pub duplicate: bool,
    /// The reply stored with the first copy.
    pub reply: Vec<u8>,
}

/// Why a batch was not made durable. Whether a retry helps is a fact of its own.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SinkError {
    /// The queue is full.
    #[error("the log's queue is full; retry in {retry_after_ms} ms")]
    Overloaded {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// Stopping, full disk, or sealed after an I/O error.
    #[error("the log does not accept writes: {reason}; retry in {retry_after_ms} ms")]
    Unavailable {
        /// What happened.
        reason: String,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// One batch is larger than a log record may be.
    #[error("the batch is larger than a log record may be")]
    TooLarge,
}

/// The future of an append.
pub type AppendFuture<'a> = Pin<Box<dyn Future<Output = Result<Appended, SinkError>> + Send + 'a>>;

/// Takes batches and makes them durable.
pub trait EventSink: Send + Sync {
    /// Appends a batch.
    ///
    /// POST: on `Ok`, EVERY event of the batch is covered by a completed fdatasync (I1), is part of each
    /// snapshot taken from now on (I2), and is in the log exactly once per key (I4). On `Err`, any part of
    /// the batch may be in the log; a retry with the same key completes it.
    fn append(&self, append: Append) -> AppendFuture<'_>;
}

/// A record as the sampler sees it, in log order.
#[derive(Clone, Copy, Debug)]
pub struct LogEntry<'a> {
    /// Whose it is.
    pub environment: &'a Environment,
    /// Its partition.
    pub partition: Partition,
    /// Its place there.
    pub offset: Offset,
    /// When it was appended, epoch nanoseconds: the only time a sampler knows.
    pub append_time_ns: i64,
    /// The events.
    pub batch: &'a EventBatch,
}

/// What becomes of a log record's events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// All are kept at their own weight.
    KeepAll,
}

/// Decides which events are kept. The tail sampler will be one; without rules everything passes at once.
pub trait Decider: Send {
    /// Decides over the next record of a partition's log.
    ///
    /// POST: the same log gives the same decisions (DESIGN.md §1).
    fn decide(&mut self, entry: LogEntry<'_>) -> Decision;

    /// Whether it looks at events. One that does not need not be asked about what a start finds in the log.
    fn needs_events(&self) -> bool {
        true
    }
}

/// The decider without rules.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeepAll;

impl Decider for KeepAll {
    fn decide(&mut self, _entry: LogEntry<'_>) -> Decision {
        Decision::KeepAll
    }

    fn needs_events(&self) -> bool {
        false
    }
}
