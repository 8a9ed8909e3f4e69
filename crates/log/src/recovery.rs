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

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skein_event::ids::{Offset, Partition};
use skein_event::limits::DEDUP_WINDOW_NS;

use crate::codec;
use crate::config::LogConfig;
use crate::dedup::{KeyDigest, KeyTable, bit};
use crate::disk::Disk;
use crate::error::Error;
use crate::file::{ActiveFile, FileHeader, NewFile, first_offset_of, partition_folder};
use crate::follow::{DurableRecord, Follower};
use crate::record::{Record, RecordBytes, kind};
use crate::retention::{FileFacts, Files, read_keys};
use crate::scan::{Newer, Scan, scan};
use crate::state_file::state_path;

/// Payload bytes handed to the follower at once.
const REPLAY_BYTES: usize = 4 << 20;
/// More missing offsets in a row than this cannot come from one torn group.
const VOID_RECORDS_MAX: u64 = 1 << 20;

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
    let mut recovery = Recovery {
        config,
        disk,
        follower,
        keys: KeyTable::new(DEDUP_WINDOW_NS, config.batch_keys_max),
        log_time_ns: now_ns,
        findings: Vec::new(),
    };
    let mut ends = Vec::new();
    for (number, low) in (0..config.partitions).zip(low) {
        ends.push(recovery.read_partition(Partition(number), low.0)?);
    }
    let mut active = Vec::new();
    let mut files = Files::new();
    for ((number, low), end) in (0..config.partitions).zip(low).zip(ends) {
        let (file, of_partition) = recovery.continue_partition(Partition(number), low.0, end)?;
        active.push(file);
        files.push(of_partition);
    }
    recovery.keys.sort();
    recovery.keys.expire(recovery.log_time_ns);
    let Recovery { keys, log_time_ns, findings, .. } = recovery;
    Ok(Recovered { active, files, keys, log_time_ns, findings })
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
    for folder in [&root.join("log"), root.as_path()].into_iter().chain(parent) {
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

/// How a partition's log ends.
struct PartitionEnd {
    /// Every record below is durable, void or named as damaged.
    durable: u64,
    /// Readable records from there on, by offset: not known to be durable.
    tail: BTreeMap<u64, TailRecord>,
    /// Files by first offset.
    files: BTreeMap<u64, FileFacts>,
    /// Keys of the partition, with the time of their latest record.
    seen: HashMap<KeyDigest, i64>,
    /// The last file, if there is one.
    path: PathBuf,
}

struct TailRecord {
    bytes: RecordBytes,
    append_time_ns: i64,
    reply: Vec<u8>,
    /// `None` for a Void record.
    decoded: Option<DurableRecord>,
}

/// One file before it is read.
struct FoundFile {
    first_offset: u64,
    path: PathBuf,
    bytes: u64,
    /// `None` when its header is damaged.
    header: Option<FileHeader>,
}

struct Recovery<'a> {
    config: &'a LogConfig,
    disk: &'a dyn Disk,
    follower: &'a dyn Follower,
    keys: KeyTable,
    log_time_ns: i64,
    findings: Vec<Finding>,
}

impl Recovery<'_> {
    /// Reads one partition and replays what is durable.
    fn read_partition(&mut self, partition: Partition, low: u64) -> Result<PartitionEnd, Error> {
        let found = self.list_files(partition)?;
        let mut end = PartitionEnd {
            durable: found.first().map_or(0, |file| file.first_offset),
            tail: BTreeMap::new(),
            files: BTreeMap::new(),
            seen: HashMap::new(),
            path: partition_folder(&self.config.data_directory, partition),
        };
        self.load_stored_keys(partition, &mut end)?;
        if end.durable > low {
            let message = format!("the log begins at offset {}, after the committed one", end.durable);
            self.find(FindingKind::Damaged, partition, &end.path, low..end.durable, message);
        }
        for (index, file) in found.iter().enumerate() {
            let next = found.get(index + 1);
            let limit = next.map(|next| next.first_offset);
            let last_time_ns = next.map(|next| next.header.map_or(i64::MAX, |header| header.created_ns));
            let horizon = self.log_time_ns.saturating_sub(DEDUP_WINDOW_NS);
            end.durable = file.first_offset;
            end.path.clone_from(&file.path);
            let needed = limit.is_none_or(|limit| limit > low)
                || last_time_ns.is_none_or(|last_time_ns| last_time_ns >= horizon);
            if needed {
                self.read_file(partition, low, file, limit, &mut end)?;
            }
            let last_time_ns = last_time_ns.unwrap_or(self.log_time_ns).min(self.log_time_ns);
            end.files.insert(file.first_offset, FileFacts { bytes: file.bytes, last_time_ns });
        }
        Ok(end)
    }

    fn list_files(&mut self, partition: Partition) -> Result<Vec<FoundFile>, Error> {
        let folder = partition_folder(&self.config.data_directory, partition);
        let entries = self.disk.list(&folder).map_err(|error| Error::io("list", &folder, error))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = folder.join(&entry.name);
            if let Some(first_offset) = first_offset_of(&entry.name) {
                let header = self.read_header(partition, first_offset, &path)?;
                if let Some(header) = header {
                    self.log_time_ns = self.log_time_ns.max(header.created_ns);
                }
                found.push(FoundFile { first_offset, path, bytes: entry.len, header });
            } else if entry.name.ends_with(".new") {
                // A file that was never named holds nothing that was acknowledged.
                self.disk.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
            }
        }
        found.sort_by_key(|file| file.first_offset);
        Ok(found)
    }

    fn read_header(
        &mut self,
        partition: Partition,
        first_offset: u64,
        path: &Path,
    ) -> Result<Option<FileHeader>, Error> {
        let mut block = [0; 64];
        self.disk
            .open(path)
            .and_then(|file| file.read_at(0, &mut block))
            .map_err(|error| Error::io("read", path, error))?;
        let header = match FileHeader::parse(&block) {
            Ok(header) => header,
            Err(crate::file::NoHeader::Newer(version)) => {
                return Err(newer(path, Newer(version)));
            }
            Err(crate::file::NoHeader::Damaged) => {
                let message = "the header of the file is damaged; its records are read without it".to_owned();
                self.find(FindingKind::Damaged, partition, path, first_offset..first_offset, message);
                return Ok(None);
            }
        };
        if header.partition != partition
            || header.first_offset != first_offset
            || header.partitions != self.config.partitions
        {
            return Err(Error::incompatible(format!(
                "{} says partition {} of {} from offset {}: it is not where it belongs, or the log is \
                 configured with another number of partitions",
                path.display(),
                header.partition.0,
                header.partitions,
                header.first_offset
            )));
        }
        Ok(Some(header))
    }

    fn load_stored_keys(&mut self, partition: Partition, end: &mut PartitionEnd) -> Result<(), Error> {
        let path = state_path(&self.config.data_directory, partition);
        match read_keys(self.disk, &path)? {
            Some(stored) => {
                for key in stored {
                    self.log_time_ns = self.log_time_ns.max(key.time_ns);
                    self.keys.remember(key.digest, bit(partition), key.time_ns, &key.reply);
                    end.seen.insert(key.digest, key.time_ns);
                }
            }
            None => {
                let message =
                    "the keys of deleted files are damaged; a batch re-sent from before may appear \
                               twice"
                        .to_owned();
                self.find(FindingKind::Damaged, partition, &path, 0..0, message);
            }
        }
        Ok(())
    }

    /// Reads one file. Without a `limit` it is the last one, and its end may be torn.
    fn read_file(
        &mut self,
        partition: Partition,
        low: u64,
        file: &FoundFile,
        limit: Option<u64>,
        end: &mut PartitionEnd,
    ) -> Result<(), Error> {
        let bytes = self.disk.read(&file.path).map_err(|error| Error::io("read", &file.path, error))?;
        let scan = scan(&bytes).map_err(|version| newer(&file.path, version))?;
        let proven = scan.records.iter().map(|record| record.place.durable_below).max();
        let durable = limit.unwrap_or(proven.unwrap_or_default().max(file.first_offset));
        let mut missing = Missing { next: file.first_offset, ranges: Vec::new() };
        let mut replay = Replay::default();
        for record in &scan.records {
            let offset = record.place.offset;
            if offset < missing.next || record.partition != partition || limit.is_some_and(|l| offset >= l) {
                continue;
            }
            self.log_time_ns = self.log_time_ns.max(record.place.append_time_ns);
            let Some(decoded) = self.decode(record, file)? else {
                continue;
            };
            if offset < durable {
                missing.seen(offset);
                if let Decoded::Batch(decoded) = decoded {
                    self.take(decoded, record.reply, low, end, &mut replay);
                }
            } else {
                let tail = TailRecord {
                    bytes: RecordBytes::again(record),
                    append_time_ns: record.place.append_time_ns,
                    reply: record.reply.to_vec(),
                    decoded: match decoded {
                        Decoded::Batch(decoded) => Some(decoded),
                        Decoded::Nothing => None,
                    },
                };
                end.tail.insert(offset, tail);
            }
        }
        self.apply(replay);
        missing.end(durable);
        end.durable = durable;
        self.report(partition, file, &bytes, &scan, missing.ranges, limit.is_none());
        Ok(())
    }

    /// Decodes a record. `None` when its content is damaged although its checksum holds.
    fn decode(&self, record: &Record<'_>, file: &FoundFile) -> Result<Option<Decoded>, Error> {
        if record.kind != kind::BATCH {
            if record.kind == kind::VOID || record.may_skip() {
                return Ok(Some(Decoded::Nothing));
            }
            let name = match record.kind {
                kind::TICK => "Tick",
                kind::CONFIG => "Config",
                kind::DECISION => "Decision",
                kind::ERASE => "Erase",
                _ => "unknown",
            };
            return Err(Error::incompatible(format!(
                "{} holds a record of kind {} ({name}) at offset {}, which this version does not understand",
                file.path.display(),
                record.kind,
                record.place.offset
            )));
        }
        let (Some(environment), Some(key)) = (record.environment(), record.key()) else { return Ok(None) };
        let Ok(batch) = codec::decode(record.payload, self.config.hash_key) else { return Ok(None) };
        Ok(Some(Decoded::Batch(DurableRecord {
            environment,
            partition: record.partition,
            offset: Offset(record.place.offset),
            append_time_ns: record.place.append_time_ns,
            key,
            batch: Arc::new(batch),
        })))
    }

    /// Takes a durable record over: remembers its key, and replays it unless it is a repetition.
    fn take(
        &mut self,
        record: DurableRecord,
        reply: &[u8],
        low: u64,
        end: &mut PartitionEnd,
        replay: &mut Replay,
    ) {
        let digest = KeyDigest::of(&record.environment, &record.key, self.config.hash_key);
        if let Some(digest) = digest {
            let time_ns = record.append_time_ns;
            // What is committed is not replayed and cannot appear twice; its keys may also be in the state
            // file, when the process died between writing that and deleting this file.
            let earlier = end.seen.get(&digest).copied().filter(|_| record.offset.0 >= low);
            if earlier.is_some_and(|earlier| earlier >= time_ns.saturating_sub(DEDUP_WINDOW_NS)) {
                let offset = record.offset.0;
                let message = "a second part of a batch that is there already is left out".to_owned();
                let path = end.path.clone();
                self.find(FindingKind::Repeated, record.partition, &path, offset..offset + 1, message);
                return;
            }
            end.seen.insert(digest, time_ns);
            self.keys.remember(digest, bit(record.partition), time_ns, reply);
        }
        if record.offset.0 >= low && !self.is_known_import(&record) {
            replay.bytes += record.batch.dictionary.bytes().len() + record.batch.rows() * 64;
            replay.records.push(record);
            if replay.bytes >= REPLAY_BYTES {
                self.apply(std::mem::take(replay));
            }
        }
    }

    /// Whether the follower has this import line already: a repetition outside the window.
    fn is_known_import(&self, record: &DurableRecord) -> bool {
        match &record.key {
            skein_event::flow::BatchKey::Import { file, line } => {
                self.follower.has_import(&record.environment, record.partition, file, *line)
            }
            _ => false,
        }
    }

    fn apply(&self, replay: Replay) {
        if !replay.records.is_empty() {
            self.follower.apply(replay.records);
        }
    }

    /// Names what is missing and keeps the bytes that could not be read.
    fn report(
        &mut self,
        partition: Partition,
        file: &FoundFile,
        bytes: &[u8],
        scan: &Scan<'_>,
        missing: Vec<Range<u64>>,
        is_last: bool,
    ) {
        let damaged = !missing.is_empty();
        for offsets in missing {
            let message =
                format!("records {} to {} are damaged and not served", offsets.start, offsets.end - 1);
            self.find(FindingKind::Damaged, partition, &file.path, offsets, message);
        }
        for range in &scan.unreadable {
            if damaged {
                self.quarantine(partition, file.first_offset, range, bytes);
            } else if is_last {
                let message = format!("bytes {} to {} were being written", range.start, range.end);
                let none = file.first_offset..file.first_offset;
                self.find(FindingKind::Torn, partition, &file.path, none, message);
            }
        }
    }

    /// Copies damaged bytes aside, once. Best effort: the file itself stays where it is until it is trimmed.
    fn quarantine(&mut self, partition: Partition, first_offset: u64, range: &Range<u64>, bytes: &[u8]) {
        let name = format!("log-{}-{first_offset}-{}.bytes", partition.0, range.start);
        let path = self.config.data_directory.join("quarantine").join(name);
        let place = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
        let damaged = bytes.get(place(range.start)..place(range.end)).unwrap_or_default();
        let written = self.disk.create(&path).and_then(|file| file.write_at(0, damaged));
        if let Err(error) = written
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            tracing::warn!(path = %path.display(), %error, "cannot set damaged bytes of the log aside");
        }
    }

    /// Begins the partition's new file with the records that were not known to be durable.
    fn continue_partition(
        &mut self,
        partition: Partition,
        low: u64,
        mut end: PartitionEnd,
    ) -> Result<(ActiveFile, BTreeMap<u64, FileFacts>), Error> {
        let folder = partition_folder(&self.config.data_directory, partition);
        let tail = std::mem::take(&mut end.tail);
        let first_offset = if tail.is_empty() { end.durable.max(low) } else { end.durable };
        let records = fill_gaps(partition, first_offset, low, &tail, &folder)?;
        let new = NewFile {
            folder: &folder,
            partition,
            partitions: self.config.partitions,
            first_offset,
            created_ns: self.log_time_ns,
            serial: 0,
            hash_key: self.config.hash_key,
            records,
        };
        let active = ActiveFile::create(self.disk, &new)
            .map_err(|error| Error::io("begin a file in", &folder, error))?;
        let facts = FileFacts { bytes: active.end(), last_time_ns: self.log_time_ns };
        end.files.insert(first_offset, facts);
        // Only now are they durable, so only now they count.
        let mut replay = Replay::default();
        for (_, record) in tail {
            if let Some(decoded) = record.decoded {
                self.take(decoded, &record.reply, low, &mut end, &mut replay);
            }
        }
        self.apply(replay);
        Ok((active, end.files))
    }

    fn find(
        &mut self,
        kind: FindingKind,
        partition: Partition,
        path: &Path,
        offsets: Range<u64>,
        message: String,
    ) {
        self.findings.push(Finding { kind, partition, path: path.to_path_buf(), offsets, message });
    }
}

/// What a record turned out to be.
enum Decoded {
    Batch(DurableRecord),
    Nothing,
}

/// Records on their way to the follower.
#[derive(Default)]
struct Replay {
    records: Vec<DurableRecord>,
    bytes: usize,
}

/// Offsets that should have been there.
struct Missing {
    next: u64,
    ranges: Vec<Range<u64>>,
}

impl Missing {
    fn seen(&mut self, offset: u64) {
        self.end(offset);
        self.next = offset.saturating_add(1);
    }

    fn end(&mut self, offset: u64) {
        if offset > self.next {
            self.ranges.push(self.next..offset);
            self.next = offset;
        }
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

#[cfg(test)]
mod tests;
