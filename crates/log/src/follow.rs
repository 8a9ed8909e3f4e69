//! Who learns of durable records: the store's head, through [`Follower`].

use std::sync::Arc;

use skein_event::batch::EventBatch;
use skein_event::flow::{BatchKey, Erasure};
use skein_event::ids::{Environment, Offset, Partition};

/// A record that a completed fdatasync covers.
#[derive(Clone, Debug)]
pub struct DurableRecord {
    /// Whose it is.
    pub environment: Environment,
    /// Its partition.
    pub partition: Partition,
    /// Its place there.
    pub offset: Offset,
    /// When it was appended, epoch nanoseconds. It never falls within a partition.
    pub append_time_ns: i64,
    /// How a repetition of its batch is recognised.
    pub key: BatchKey,
    /// The partition's part of the batch; empty in an erasure.
    pub batch: Arc<EventBatch>,
    /// The erasure, if the record is one.
    pub erasure: Option<Arc<Erasure>>,
}

/// Follows the log. The log calls [`Follower::apply`] after the fdatasync and before the acknowledgement, so
/// that whatever is acknowledged is also applied (invariants I1 and I2).
pub trait Follower: Send + Sync {
    /// Takes records over. Those of one partition come in order of offset, each once per opening of the log.
    ///
    /// Offsets rise but may have gaps: a missing offset below one that was applied never comes (its record
    /// was void or is damaged, and then named by `Log::findings`). Called from one thread, without a lock of
    /// the log held.
    ///
    /// POST: every event in them is part of each snapshot taken from now on.
    fn apply(&self, records: Vec<DurableRecord>);

    /// Whether this line of an imported file was ever applied in this partition, by this process or one
    /// before it. The log forgets import keys as soon as they are applied and relies on the answer for good.
    ///
    /// It is called with the log's lock held and must not call the log.
    fn has_import(&self, environment: &Environment, partition: Partition, file: &[u8; 32], line: u32)
    -> bool;
}

/// A follower that forgets: for tests and tools.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unfollowed;

impl Follower for Unfollowed {
    fn apply(&self, _records: Vec<DurableRecord>) {}

    fn has_import(&self, _: &Environment, _: Partition, _: &[u8; 32], _: u32) -> bool {
        false
    }
}
