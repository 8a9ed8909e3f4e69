//! Who learns of durable records: the store's head, through [`Follower`]. One that can read events back when it needs
//! them is a [`Replayer`], too: a replay then leaves them in the log's files, and takes the time of reading those.

use std::sync::Arc;

use skein_event::batch::EventBatch;
use skein_event::flow::{BatchKey, Erasure};
use skein_event::ids::{Environment, Offset, Partition};

use crate::codec::Outline;
use crate::stored::StoredEvents;

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

/// A durable record of a replay whose events stay in the log's file.
#[derive(Clone, Debug)]
pub struct StoredRecord {
    /// Whose it is.
    pub environment: Environment,
    /// Its partition.
    pub partition: Partition,
    /// Its place there.
    pub offset: Offset,
    /// When it was appended, epoch nanoseconds.
    pub append_time_ns: i64,
    /// How a repetition of its batch is recognised.
    pub key: BatchKey,
    /// Its events: where they lie, and what is known of them.
    pub events: Arc<StoredEvents>,
}

/// A record of a replay.
#[derive(Clone, Debug)]
pub enum Replayed {
    /// With its events.
    Whole(DurableRecord),
    /// Without.
    Stored(StoredRecord),
}

/// Takes records of a replay over without their events.
pub trait Replayer: Sync {
    /// Whether the events of a record appended at this time may stay where they are. What is answered depends on nothing
    /// that a replay changes: several threads ask, in no order.
    fn may_stay(&self, append_time_ns: i64, events: &Outline) -> bool;

    /// As [`Follower::apply`], for all records of a replay.
    ///
    /// A record whose events stayed is whole at this moment: its checksums hold. Its file stays until the record is
    /// committed.
    fn replay(&self, records: Vec<Replayed>);
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

    /// Who takes the records of a replay instead of [`Follower::apply`], if there is somebody.
    fn replayer(&self) -> Option<&dyn Replayer> {
        None
    }

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

// === impl Replayed ===

impl Replayed {
    pub(crate) fn environment(&self) -> &Environment {
        match self {
            Replayed::Whole(record) => &record.environment,
            Replayed::Stored(record) => &record.environment,
        }
    }

    pub(crate) fn partition(&self) -> Partition {
        match self {
            Replayed::Whole(record) => record.partition,
            Replayed::Stored(record) => record.partition,
        }
    }

    pub(crate) fn offset(&self) -> Offset {
        match self {
            Replayed::Whole(record) => record.offset,
            Replayed::Stored(record) => record.offset,
        }
    }

    pub(crate) fn append_time_ns(&self) -> i64 {
        match self {
            Replayed::Whole(record) => record.append_time_ns,
            Replayed::Stored(record) => record.append_time_ns,
        }
    }

    pub(crate) fn key(&self) -> &BatchKey {
        match self {
            Replayed::Whole(record) => &record.key,
            Replayed::Stored(record) => &record.key,
        }
    }

    /// About how many bytes it takes in memory.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Replayed::Whole(record) => record.batch.dictionary.bytes().len() + record.batch.rows() * 64,
            Replayed::Stored(_) => size_of::<StoredRecord>() + size_of::<StoredEvents>(),
        }
    }
}
