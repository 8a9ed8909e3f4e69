//! Opens what an earlier process left (docs/formats/log.md, "Recovery").
//!
//! Nothing found on disk is taken for durable because it can be read: a page cache also shows what never
//! reached the disk. Durable is what a later record or a later file says was synced before it was written. The
//! rest of the last file, at most the groups of one sync, is copied into a new file and synced there; the old
//! file is never written or synced again.
//!
//! What it refuses: to start over files it cannot read or does not know, since going on would declare
//! acknowledged records void. Damage inside a file it can read is named, copied to `quarantine/`, and the rest
//! serves.

mod decode;
mod found;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use skein_event::ids::{Offset, Partition};
use skein_event::limits::DEDUP_WINDOW_NS;

use self::found::Found;
use self::read::{PartitionEnd, Reader, Replay, SeenKey, TailRecord};
use crate::config::LogConfig;
use crate::dedup::{KeyTable, bit};
use crate::disk::Disk;
use crate::error::Error;
use crate::file::{ActiveFile, NewFile, partition_folder};
use crate::follow::{Follower, Replayed};
use crate::queue::Recent;
use crate::record::RecordBytes;
use crate::retention::{FileFacts, Files};
use crate::scan::Newer;

/// More missing offsets in a row than this cannot come from one torn group.
const VOID_RECORDS_MAX: u64 = 1 << 20;

/// Threads that read partitions: more than cores do not help, and each holds a file in memory.
const READERS_MAX: usize = 8;

/// Replays that wait for the follower, each of a few MiB: readers wait rather than fill the memory.
const REPLAYS_WAITING_MAX: usize = 8;

/// Something about the log that an operator should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Its partition.
    pub partition: Partition,
    /// The file.
    pub path: PathBuf,
    /// The offsets that are not served because of it; may be empty.
    pub offsets: Range<u64>,
    /// What happened, in words.
    pub message: String,
}

/// What kind of finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FindingKind {
    /// Durable records cannot be read. The bytes are in `quarantine/`.
    Damaged,
    /// A write that was never acknowledged is incomplete, as after a power failure.
    Torn,
    /// A second part of the same batch, left out.
    Repeated,
}

/// The log as it was found, ready to go on.
pub(crate) struct Recovered {
    pub(crate) active: Vec<ActiveFile>,
    pub(crate) files: Files,
    pub(crate) keys: KeyTable,
    /// Keys of each partition that no checkpoint has, in order of offset.
    pub(crate) recent: Vec<Recent>,
    pub(crate) log_time_ns: i64,
    pub(crate) findings: Vec<Finding>,
}

/// Reads the log, replays records from `low` on through the follower, and begins a new file per partition.
pub(crate) fn recover(
    config: &LogConfig,
    disk: &dyn Disk,
    now_ns: i64,
    low: &[Offset],
    follower: &dyn Follower,
) -> Result<Recovered, Error> {
    prepare_folders(config, disk)?;
    let mut keys = KeyTable::new(DEDUP_WINDOW_NS, config.batch_keys_max);
    let mut log_time_ns = now_ns;
    let mut found = Vec::new();
    let mut recent = Vec::new();
    for partition in (0..config.partitions).map(Partition) {
        let of_partition = found::find(config, disk, partition)?;
        log_time_ns = log_time_ns.max(of_partition.log_time_ns);
        for key in &of_partition.stored.keys {
            keys.remember(key.digest, bit(partition), key.time_ns, &key.reply);
        }
        recent.push(Recent::covered(of_partition.stored.covered_below));
        found.push(of_partition);
    }
    let ends = read_all(config, disk, log_time_ns, found, low, follower)?;
    log_time_ns = ends.iter().map(|end| end.log_time_ns).fold(log_time_ns, i64::max);
    let mut recovered = Recovered {
        active: Vec::new(),
        files: Files::new(),
        keys,
        recent,
        log_time_ns,
        findings: Vec::new(),
    };
    let apply = |records: Vec<Replayed>| hand_over(follower, records);
    let reader = Reader { config, disk, follower, log_time_ns, apply: &apply };
    for (low, end) in low.iter().zip(ends) {
        recovered.continue_partition(&reader, low.0, end)?;
    }
    recovered.keys.sort();
    recovered.keys.expire(log_time_ns);
    Ok(recovered)
}

/// Reads every partition: side by side, or one after another in a simulation, which has no threads. Records
/// reach the follower from this thread alone, and those of one partition in order.
fn read_all(
    config: &LogConfig,
    disk: &dyn Disk,
    log_time_ns: i64,
    found: Vec<Found>,
    low: &[Offset],
    follower: &dyn Follower,
) -> Result<Vec<PartitionEnd>, Error> {
    let work = found.into_iter().zip(low.iter().map(|low| low.0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(READERS_MAX);
    if !config.parallel_sync || threads == 1 {
        let apply = |records: Vec<Replayed>| hand_over(follower, records);
        let reader = Reader { config, disk, follower, log_time_ns, apply: &apply };
        return work.map(|(found, low)| reader.read_partition(found, low)).collect();
    }
    let work: Vec<Mutex<Option<(Found, u64)>>> = work.map(|work| Mutex::new(Some(work))).collect();
    let ends: Vec<Mutex<Option<Result<PartitionEnd, Error>>>> =
        work.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(REPLAYS_WAITING_MAX);
        for _ in 0..threads.min(work.len()) {
            let (sender, work, ends, next) = (sender.clone(), &work, &ends, &next);
            scope.spawn(move || {
                // The receiver outlives the readers: it ends when the last sender is gone.
                let apply = |records: Vec<Replayed>| drop(sender.send(records));
                let reader = Reader { config, disk, follower, log_time_ns, apply: &apply };
                while let Some(place) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let taken = place.lock().unwrap_or_else(PoisonError::into_inner).take();
                    let Some((found, low)) = taken else { continue };
                    let number = usize::from(found.partition.0);
                    let end = reader.read_partition(found, low);
                    if let Some(slot) = ends.get(number) {
                        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
                    }
                }
            });
        }
        drop(sender);
        for records in receiver {
            hand_over(follower, records);
        }
    });
    let ended = |end: Mutex<Option<Result<PartitionEnd, Error>>>| {
        let lost = || Err(Error::incompatible("a reader of the log ended by a panic".to_owned()));
        end.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(lost)
    };
    ends.into_iter().map(ended).collect()
}

/// Gives records of a replay to whoever follows the log.
fn hand_over(follower: &dyn Follower, records: Vec<Replayed>) {
    if let Some(replayer) = follower.replayer() {
        replayer.replay(records);
        return;
    }
    // Nobody was there to be asked, so nothing stayed.
    let whole = records.into_iter().filter_map(|record| match record {
        Replayed::Whole(record) => Some(record),
        Replayed::Stored(_) => None,
    });
    follower.apply(whole.collect());
}

/// Creates the folders, durable from the top down, and refuses partitions that the settings do not know.
fn prepare_folders(config: &LogConfig, disk: &dyn Disk) -> Result<(), Error> {
    let root = &config.data_directory;
    for number in 0..config.partitions {
        create_folder(disk, &partition_folder(root, Partition(number)))?;
    }
    for name in ["state", "quarantine"] {
        create_folder(disk, &root.join(name))?;
    }
    // The data directory's own name counts too; one without a parent is the working directory's child.
    let parent =
        root.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    // That of a checkpoint, too: an earlier process may have renamed it and died before it was durable.
    for folder in [&root.join("log"), &root.join("state"), root.as_path()].into_iter().chain(parent) {
        disk.sync_dir(folder).map_err(|error| Error::io("sync", folder, error))?;
    }
    let folder = root.join("log");
    for entry in disk.list(&folder).map_err(|error| Error::io("list", &folder, error))? {
        let number: Option<u16> = entry.name.parse().ok().filter(|_| entry.is_directory);
        if number.is_some_and(|number| number >= config.partitions) {
            return Err(Error::incompatible(format!(
                "{} holds partition {}, but the log is configured with {} partitions",
                folder.display(),
                entry.name,
                config.partitions
            )));
        }
    }
    Ok(())
}

fn create_folder(disk: &dyn Disk, folder: &Path) -> Result<(), Error> {
    disk.create_dir_all(folder).map_err(|error| Error::io("create", folder, error))
}

impl Recovered {
    /// Begins the partition's new file with the records that were not known to be durable.
    fn continue_partition(
        &mut self,
        reader: &Reader<'_>,
        low: u64,
        mut end: PartitionEnd,
    ) -> Result<(), Error> {
        let partition = end.partition;
        let folder = partition_folder(&reader.config.data_directory, partition);
        let tail = std::mem::take(&mut end.tail);
        let first_offset = if tail.is_empty() { end.durable.max(low) } else { end.durable };
        let records = fill_gaps(partition, first_offset, low, &tail, &folder)?;
        let new = NewFile {
            folder: &folder,
            partition,
            partitions: reader.config.partitions,
            first_offset,
            created_ns: self.log_time_ns,
            serial: 0,
            hash_key: reader.config.hash_key,
            records,
        };
        let active = ActiveFile::create(reader.disk, &new)
            .map_err(|error| Error::io("begin a file in", &folder, error))?;
        // Only now are they durable, so only now they count.
        let mut replay = Replay::default();
        for (_, record) in tail {
            if let Some(decoded) = record.decoded {
                reader.take(Replayed::Whole(decoded), &record.reply, &mut end, &mut replay);
            }
        }
        let replayed = replay.into_records();
        if !replayed.is_empty() {
            (reader.apply)(replayed);
        }
        for SeenKey { digest, offset, time_ns, reply } in end.keys {
            self.keys.remember(digest, bit(partition), time_ns, &reply);
            if let Some(recent) = self.recent.get_mut(usize::from(partition.0)) {
                recent.push(offset, time_ns, digest);
            }
        }
        let mut files = end.files;
        for facts in files.values_mut() {
            facts.last_time_ns = facts.last_time_ns.min(self.log_time_ns);
        }
        files.insert(first_offset, FileFacts { bytes: active.end(), last_time_ns: self.log_time_ns });
        self.active.push(active);
        self.files.push(files);
        self.findings.append(&mut end.findings);
        Ok(())
    }
}

/// The tail's records from `first_offset` on without a gap: a torn record's offset becomes a Void record.
fn fill_gaps(
    partition: Partition,
    first_offset: u64,
    low: u64,
    tail: &BTreeMap<u64, TailRecord>,
    folder: &Path,
) -> Result<Vec<(RecordBytes, i64)>, Error> {
    let Some((&last, _)) = tail.last_key_value() else { return Ok(Vec::new()) };
    let end = last.saturating_add(1).max(low);
    if end - first_offset > VOID_RECORDS_MAX + tail.len() as u64 {
        return Err(Error::incompatible(format!(
            "the records in {} jump from offset {first_offset} to {last}",
            folder.display()
        )));
    }
    let mut time_ns = tail.values().next().map_or(0, |record| record.append_time_ns);
    let mut records = Vec::new();
    for offset in first_offset..end {
        if let Some(record) = tail.get(&offset) {
            time_ns = record.append_time_ns;
            records.push((record.bytes.clone(), time_ns));
        } else {
            records.push((RecordBytes::void(partition), time_ns));
        }
    }
    Ok(records)
}

fn newer(path: &Path, version: Newer) -> Error {
    Error::incompatible(format!("{} is of version {}, which a newer Skein reads", path.display(), version.0))
}
