//! Group commit as a state machine: [`Committer::step`] takes what waits, makes it durable, lets the follower
//! apply it, and only then acknowledges it. A thread drives it; a simulation drives it without one.
//!
//! A write or sync that fails seals its file (I1): the file is dropped here and now, so that no code is left
//! that could sync it again. Its part of the group is answered `Unavailable`, and the partition takes nothing
//! until a new file is durable that begins at the first offset of the failed group. By the rule "a file ends
//! where the next one begins" those records are void from then on; should the process die before, recovery
//! finds them not acknowledged and takes what is readable of them over, once, by their keys.

use std::sync::Arc;

use skein_event::batch::EventBatch;
use skein_event::flow::{BatchKey, Erasure};
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::observe::Clock;

use crate::config::LogConfig;
use crate::dedup::KeyDigest;
use crate::disk::Disk;
use crate::file::{ActiveFile, Group, NewFile, partition_folder};
use crate::follow::{DurableRecord, Follower};
use crate::queue::{Queue, Status};
use crate::record::RecordBytes;

/// A partition's part of a batch, waiting to be written.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) ticket: u64,
    pub(crate) digest: Option<KeyDigest>,
    pub(crate) environment: Environment,
    pub(crate) partition: Partition,
    pub(crate) key: BatchKey,
    pub(crate) reply: Vec<u8>,
    pub(crate) batch: Arc<EventBatch>,
    pub(crate) erasure: Option<Arc<Erasure>>,
    pub(crate) record: RecordBytes,
    pub(crate) append_time_ns: i64,
}

/// Owns the files that take records.
pub struct Committer {
    pub(crate) config: LogConfig,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) follower: Arc<dyn Follower>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) partitions: Vec<PartitionState>,
    /// Counts files made by this process, so that no two have one id.
    pub(crate) serial: u64,
}

/// Where a partition's next record goes.
pub(crate) enum PartitionState {
    /// The file was never seen to fail.
    Open(ActiveFile),
    /// No file takes records: the last one failed or is full. The next begins at this offset.
    Between {
        /// Every durable record is below it.
        next_offset: u64,
    },
}

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing waited.
    Idle,
    /// Records were written, or at least tried.
    Worked,
    /// The log takes nothing until a file can be created.
    Sealed,
}

impl Committer {
    /// Makes one group durable and acknowledges it.
    pub fn step(&mut self) -> Step {
        if let Err(reason) = self.open_files() {
            self.queue.fail_all(&reason);
            return Step::Sealed;
        }
        let pending = self.queue.take_group(self.config.group_commit_bytes);
        if pending.is_empty() {
            return Step::Idle;
        }
        let start_ns = self.clock.now_ns();
        let (written, sync_ns) = self.commit(pending);
        self.acknowledge(written, start_ns, sync_ns);
        // A failed file is replaced at once, so that the log is open again when clients retry.
        match self.open_files() {
            Ok(()) => Step::Worked,
            Err(reason) => {
                self.queue.fail_all(&reason);
                Step::Sealed
            }
        }
    }

    /// Gives every partition a file that takes records.
    fn open_files(&mut self) -> Result<(), String> {
        let mut failed = None;
        for (number, state) in (0_u16..).zip(&mut self.partitions) {
            let PartitionState::Between { next_offset } = *state else { continue };
            self.serial += 1;
            let folder = partition_folder(&self.config.data_directory, Partition(number));
            let new = NewFile {
                folder: &folder,
                partition: Partition(number),
                partitions: self.config.partitions,
                first_offset: next_offset,
                created_ns: self.queue.advance_log_time(self.clock.now_ns()),
                serial: self.serial,
                hash_key: self.config.hash_key,
                records: Vec::new(),
            };
            match ActiveFile::create(&*self.disk, &new) {
                Ok(file) => {
                    self.queue.file_grew(&file, new.created_ns);
                    *state = PartitionState::Open(file);
                }
                Err(error) => {
                    let reason = format!("cannot begin a new file in {}: {error}", folder.display());
                    failed = Some(reason);
                }
            }
        }
        match failed {
            None => {
                self.queue.set_status(Status::Open);
                Ok(())
            }
            Some(reason) => {
                tracing::error!(reason, "the log takes no writes");
                self.queue.set_status(Status::Sealed(reason.clone()));
                Err(reason)
            }
        }
    }

    /// Writes and syncs each partition's part of the group; also says how long the syncs took.
    fn commit(&mut self, pending: Vec<Pending>) -> (Vec<Written>, i64) {
        let mut by_partition: Vec<Vec<Pending>> = Vec::new();
        by_partition.resize_with(self.partitions.len(), Vec::new);
        for part in pending {
            if let Some(list) = by_partition.get_mut(usize::from(part.partition.0)) {
                list.push(part);
            }
        }
        let mut written = Vec::new();
        for (state, pending) in self.partitions.iter().zip(by_partition) {
            if pending.is_empty() {
                continue;
            }
            let PartitionState::Open(file) = state else { continue };
            let mut builder = file.begin_group();
            for part in &pending {
                builder.push(&part.record, part.append_time_ns);
            }
            let group = builder.finish();
            let result = file.write(&group);
            written.push(Written {
                partition: file.partition(),
                first_offset: file.next_offset(),
                pending,
                group,
                result,
            });
        }
        let sync_start_ns = self.clock.now_ns();
        self.sync(&mut written);
        let sync_ns = self.clock.now_ns().saturating_sub(sync_start_ns);
        for part in &written {
            self.settle(part);
        }
        (written, sync_ns)
    }

    /// Syncs every file whose write succeeded, side by side if so configured: eight at once take a third of
    /// the time of eight in turn (docs/adr/0011-log-files.md has the figures).
    fn sync(&self, written: &mut [Written]) {
        let mut jobs: Vec<(&ActiveFile, &mut std::io::Result<()>)> = Vec::new();
        for part in written {
            let state = self.partitions.get(usize::from(part.partition.0));
            if let Some(PartitionState::Open(file)) = state
                && part.result.is_ok()
            {
                jobs.push((file, &mut part.result));
            }
        }
        if !self.config.parallel_sync || jobs.len() < 2 {
            jobs.into_iter().for_each(|(file, result)| *result = file.sync());
            return;
        }
        std::thread::scope(|scope| {
            for (file, result) in jobs {
                scope.spawn(move || *result = file.sync());
            }
        });
    }

    /// Moves a partition past its group, or away from a file that failed.
    fn settle(&mut self, written: &Written) {
        let Some(state) = self.partitions.get_mut(usize::from(written.partition.0)) else { return };
        let PartitionState::Open(file) = state else { return };
        match &written.result {
            Ok(()) => {
                file.advance(&written.group);
                let last_time_ns = written.pending.iter().map(|part| part.append_time_ns).max();
                self.queue.file_grew(file, last_time_ns.unwrap_or_default());
                if file.end() >= self.config.file_bytes {
                    *state = PartitionState::Between { next_offset: file.next_offset() };
                }
            }
            Err(error) => {
                tracing::error!(partition = written.partition.0, %error, "a file of the log failed and is sealed");
                // Dropping the file is the seal: nothing can write or sync it any more.
                *state = PartitionState::Between { next_offset: file.next_offset() };
            }
        }
    }

    /// Lets the follower apply what is durable, then acknowledges it.
    fn acknowledge(&self, written: Vec<Written>, start_ns: i64, sync_ns: i64) {
        let mut records = Vec::new();
        let mut settled = Vec::new();
        for part in written {
            let failure = part.result.err().map(|error| error.to_string());
            for (offset, pending) in (part.first_offset..).zip(part.pending) {
                settled.push(Settled {
                    ticket: pending.ticket,
                    digest: pending.digest,
                    is_import: matches!(pending.key, BatchKey::Import { .. }),
                    partition: pending.partition,
                    offset,
                    append_time_ns: pending.append_time_ns,
                    reply: pending.reply,
                    failure: failure.clone(),
                });
                if failure.is_none() {
                    records.push(DurableRecord {
                        environment: pending.environment,
                        partition: pending.partition,
                        offset: Offset(offset),
                        append_time_ns: pending.append_time_ns,
                        key: pending.key,
                        batch: pending.batch,
                        erasure: pending.erasure,
                    });
                }
            }
        }
        let duration_ns = self.clock.now_ns().saturating_sub(start_ns);
        if !records.is_empty() {
            self.follower.apply(records);
        }
        self.queue.settle(settled, duration_ns, sync_ns);
    }
}

/// A partition's part of a group after it was written.
struct Written {
    partition: Partition,
    first_offset: u64,
    pending: Vec<Pending>,
    group: Group,
    result: std::io::Result<()>,
}

/// What became of a part.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) ticket: u64,
    pub(crate) digest: Option<KeyDigest>,
    pub(crate) is_import: bool,
    pub(crate) partition: Partition,
    /// Meaningless after a failure.
    pub(crate) offset: u64,
    pub(crate) append_time_ns: i64,
    pub(crate) reply: Vec<u8>,
    /// `None` when it is durable and applied.
    pub(crate) failure: Option<String>,
}
