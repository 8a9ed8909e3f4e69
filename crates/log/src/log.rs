//! The log as the rest of Skein sees it.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use skein_event::flow::{Append, AppendFuture, Appended, BatchKey, Erasure, EventSink, SinkError};
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::limits::{ERASURE_FILTER_BYTES_MAX, LOG_RETENTION_DISK_FRACTION};
use skein_event::observe::Clock;
use skein_event::split::split;

use crate::codec;
use crate::committer::{Committer, PartitionState, Step};
use crate::config::LogConfig;
use crate::dedup::KeyDigest;
use crate::disk::Disk;
use crate::error::Error;
use crate::follow::Follower;
use crate::log_time::LogTime;
use crate::queue::{Begun, Prepared, Queue, Status, Wake};
use crate::record::{RecordBytes, TooLarge};
use crate::recovery::{Finding, Recovered, recover};
use crate::retention;
use crate::stats::LogStats;

/// Partitions a set of them has room for.
const PARTITIONS_MAX: u16 = 64;

/// Files of the log that hold something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Copies {
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// They are deleted by then, once what is in them is committed, or earlier for want of room.
    pub until_ns: Option<i64>,
}

/// The future of an erasure.
pub type ErasureFuture<'a> = Pin<Box<dyn Future<Output = Result<Arc<Erasure>, SinkError>> + Send + 'a>>;

/// A durable log of one machine.
///
/// Dropping it closes it.
pub struct Log {
    config: LogConfig,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    follower: Arc<dyn Follower>,
    queue: Arc<Queue>,
    findings: Vec<Finding>,
    /// One deletion of files at a time.
    trimming: Mutex<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("data_directory", &self.config.data_directory).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens the log and starts its committer. `low` has each partition's first offset that is not yet in a
    /// segment; records from there on are replayed through the follower before this returns.
    pub fn open(
        config: LogConfig,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        low: Vec<Offset>,
        follower: Arc<dyn Follower>,
    ) -> Result<Log, Error> {
        let (log, mut committer) = Log::open_stepped(config, disk, clock, low, follower)?;
        let run = move || {
            let _closed = CloseAtEnd(Arc::clone(&committer.queue));
            while committer
                .queue
                .wait(committer.config.group_commit_wait, committer.config.group_commit_bytes)
                == Wake::Work
            {
                let _step: Step = committer.step();
            }
        };
        let thread = std::thread::Builder::new()
            .name("skein-log".to_owned())
            .spawn(run)
            .map_err(|error| Error::io("start the committer of", Path::new("log"), error))?;
        *log.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(log)
    }

    /// As [`Log::open`], but whoever calls drives the committer: for a simulation, which has no threads.
    pub fn open_stepped(
        config: LogConfig,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        low: Vec<Offset>,
        follower: Arc<dyn Follower>,
    ) -> Result<(Log, Committer), Error> {
        if config.partitions == 0 || config.partitions > PARTITIONS_MAX {
            return Err(Error::config("the log has 1 to 64 partitions"));
        }
        if low.len() != usize::from(config.partitions) {
            return Err(Error::config("one committed offset is needed for each partition"));
        }
        let recovered = recover(&config, &*disk, clock.now_ns(), &low, &*follower)?;
        let Recovered { active, files, keys, recent, log_time_ns, findings } = recovered;
        for finding in &findings {
            tracing::warn!(
                kind = ?finding.kind,
                partition = finding.partition.0,
                path = %finding.path.display(),
                message = finding.message,
                "the log was recovered with a finding"
            );
        }
        let committed = low.iter().map(|low| low.0).collect();
        let durable = active.iter().map(crate::file::ActiveFile::next_offset).collect();
        let log_time = LogTime::new(log_time_ns, clock.now_ns());
        let queue =
            Arc::new(Queue::new(keys, recent, log_time, files, committed, durable, config.queue_bytes_max));
        let committer = Committer {
            config: config.clone(),
            disk: Arc::clone(&disk),
            clock: Arc::clone(&clock),
            follower: Arc::clone(&follower),
            queue: Arc::clone(&queue),
            partitions: active.into_iter().map(PartitionState::Open).collect(),
            serial: 0,
        };
        let log = Log {
            config,
            disk,
            clock,
            follower,
            queue,
            findings,
            trimming: Mutex::new(()),
            thread: Mutex::new(None),
        };
        Ok((log, committer))
    }

    /// What recovery found.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether the log takes appends.
    pub fn status(&self) -> Status {
        self.queue.status()
    }

    /// Counts since it was opened.
    pub fn stats(&self) -> LogStats {
        self.queue.stats()
    }

    /// The first offset of a partition that is not durable: every lower one is.
    pub fn durable_offset(&self, partition: Partition) -> Option<Offset> {
        self.queue.durable(partition).map(Offset)
    }

    /// Bytes of the log's files.
    pub fn bytes(&self) -> u64 {
        (0..self.config.partitions).flat_map(|number| self.queue.files(Partition(number)).into_values()).sum()
    }

    /// Every record of the partition below this offset is in segments: keeps its batch keys in a checkpoint, and
    /// deletes whole files that are older than the retention, or beyond the byte budget; the others stay as a
    /// second copy.
    ///
    /// A batch key of a deleted record is remembered for its whole window.
    pub fn trim(&self, partition: Partition, below: Offset) -> Result<(), Error> {
        let _guard = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        self.queue.note_committed(partition, below.0);
        // A disk without room for a checkpoint needs the deletion all the more.
        let checkpoint = self.checkpoint_of(partition);
        self.delete_beyond(self.second_copy_bytes_max()?)?;
        checkpoint
    }

    /// Deletes what the retention no longer asks for, without a commit: an idle log ages, too.
    pub fn expire(&self) -> Result<(), Error> {
        let _guard = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        self.delete_beyond(self.second_copy_bytes_max()?)
    }

    /// Deletes committed files, oldest first, until all files together have at most so many bytes: the second
    /// copy is the first thing that a full disk costs.
    pub fn reclaim(&self, bytes_max: u64) -> Result<(), Error> {
        let _guard = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        self.delete_beyond(bytes_max)
    }

    /// Takes nothing for this reason until told `None`; clients hear it and come back.
    pub fn hold(&self, reason: Option<String>) {
        self.queue.hold(reason);
    }

    /// Keeps the keys of what is committed, so that the next start need not read it. After [`Log::close`] and
    /// the last commit, it reads nothing at all.
    pub fn checkpoint(&self) -> Result<(), Error> {
        let _guard = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        (0..self.config.partitions).map(Partition).try_for_each(|partition| self.checkpoint_of(partition))
    }

    fn checkpoint_of(&self, partition: Partition) -> Result<(), Error> {
        let Some(committed) = self.queue.uncovered(partition) else { return Ok(()) };
        let below = committed.below;
        let now_ns = self.queue.advance_log_time(self.clock.now_ns());
        retention::checkpoint(&*self.disk, &self.config, partition, committed, now_ns)?;
        self.queue.covered(partition, below);
        Ok(())
    }

    /// What the log may take: as configured, else its share of the disk.
    fn second_copy_bytes_max(&self) -> Result<u64, Error> {
        if let Some(bytes) = self.config.retention_bytes {
            return Ok(bytes);
        }
        let folder = &self.config.data_directory;
        let space = self.disk.space(folder).map_err(|error| Error::io("measure", folder, error))?;
        Ok(space.total / LOG_RETENTION_DISK_FRACTION)
    }

    fn delete_beyond(&self, bytes_max: u64) -> Result<(), Error> {
        let now_ns = self.clock.now_ns();
        let (victims, log_time_ns) = self.queue.choose_victims(now_ns, self.config.retention_ns, bytes_max);
        for victim in victims {
            let covered_below = self.queue.covered_below(victim.partition);
            retention::delete(&*self.disk, &self.config, &victim, covered_below, log_time_ns)?;
            self.queue.deleted(&victim);
        }
        Ok(())
    }

    /// Erases: from `Ok` on no answer holds an event that was acknowledged before the call and that the filter
    /// matches. The filter is opaque to the log; it has no line feed.
    ///
    /// POST: on `Ok`, the record is covered by a completed fdatasync and was applied by the follower. On `Err`
    /// it may be in the log; the call may be repeated, and erasing twice erases once.
    pub fn erase(&self, environment: Environment, id: u128, filter: Arc<str>) -> ErasureFuture<'_> {
        let fits = filter.len() <= ERASURE_FILTER_BYTES_MAX && !filter.contains('\n');
        let begun = match fits {
            true => self.queue.begin_erasure(environment, id, filter, self.clock.now_ns()),
            false => Err(SinkError::TooLarge),
        };
        Box::pin(async move {
            let (erasure, receiver) = begun?;
            receiver.await.unwrap_or_else(|_| Err(closed()))?;
            Ok(erasure)
        })
    }

    /// The files that hold records below an offset of each partition: what is left of them as a second copy.
    pub fn copies_below(&self, offsets: &[Offset]) -> Copies {
        let mut copies = Copies::default();
        for (partition, &below) in (0_u16..).zip(offsets) {
            for facts in self.queue.files_below(Partition(partition), below) {
                copies.files += 1;
                copies.bytes += facts.bytes;
                let until_ns = facts.last_time_ns.saturating_add(self.config.retention_ns);
                copies.until_ns = copies.until_ns.max(Some(until_ns));
            }
        }
        copies
    }

    /// Refuses new work, makes durable what waits, and stops the committer.
    pub fn close(&self) {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the committer of the log ended by a panic");
        }
    }

    /// Splits, encodes and queues a batch on the caller's thread.
    fn begin(&self, append: Append) -> Result<Begun, SinkError> {
        self.queue.check_open()?;
        let Append { environment, key, batch, reply } = append;
        if batch.is_empty() {
            return Ok(Begun::Done(Appended { duplicate: false, reply }));
        }
        let digest = KeyDigest::of(&environment, &key, self.config.hash_key);
        let split_by = match (&digest, &key) {
            (Some(digest), _) => digest.0,
            (None, BatchKey::Unique(number)) => *number,
            (None, _) => 0,
        };
        let mut parts = Vec::new();
        for (partition, part) in
            split(batch, &environment, split_by, self.config.partitions, self.config.hash_key)
        {
            let encode = |out: &mut Vec<u8>| codec::encode(&part, out);
            let record = RecordBytes::batch(&environment, partition, &key, &reply, encode)
                .map_err(|TooLarge| SinkError::TooLarge)?;
            parts.push((partition, Arc::new(part), record));
        }
        let prepared = Prepared { environment, key, digest, reply, parts };
        self.queue.begin(prepared, self.clock.now_ns(), &*self.follower)
    }
}

impl EventSink for Log {
    fn append(&self, append: Append) -> AppendFuture<'_> {
        let begun = self.begin(append);
        Box::pin(async move {
            match begun? {
                Begun::Done(appended) => Ok(appended),
                Begun::Waiting(receiver) => receiver.await.unwrap_or_else(|_| Err(closed())),
            }
        })
    }
}

fn closed() -> SinkError {
    let reason = "the log is closed".to_owned();
    SinkError::Unavailable { reason, retry_after_ms: crate::queue::UNAVAILABLE_RETRY_MS }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

/// Closes the queue when the committer's thread ends, also by a panic: nobody may wait for an answer that
/// cannot come.
struct CloseAtEnd(Arc<Queue>);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.closed();
    }
}
