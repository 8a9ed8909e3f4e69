//! Reads one partition's files, replays what is durable and not committed, and says how its log ends.
//!
//! Partitions are read side by side, since a restart waits for it. What is committed is not decoded: of such a record
//! only its key counts, and files whose keys a checkpoint holds are not read at all. What is replayed is not decoded
//! either where the follower reads it back itself ([`Replayer`](crate::follow::Replayer)).

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skein_event::ids::Partition;
use skein_event::limits::DEDUP_WINDOW_NS;

use super::decode::Decoded;
use super::found::{Found, FoundFile};
use super::{Finding, FindingKind, newer};
use crate::config::LogConfig;
use crate::dedup::KeyDigest;
use crate::disk::Disk;
use crate::error::Error;
use crate::file::partition_folder;
use crate::follow::{DurableRecord, Follower, Replayed};
use crate::record::{Record, RecordBytes, kind};
use crate::retention::FileFacts;
use crate::scan::{Scan, scan};

/// Payload bytes handed to the follower at once.
const REPLAY_BYTES: usize = 4 << 20;

/// A batch key that was seen.
pub(super) struct SeenKey {
    pub(super) digest: KeyDigest,
    pub(super) offset: u64,
    pub(super) time_ns: i64,
    pub(super) reply: Vec<u8>,
}

/// How a partition's log ends.
pub(super) struct PartitionEnd {
    pub(super) partition: Partition,
    /// Every record below is durable, void or named as damaged.
    pub(super) durable: u64,
    /// Readable records from there on, by offset: not known to be durable.
    pub(super) tail: BTreeMap<u64, TailRecord>,
    /// Files by first offset; `None` for a time that is not known yet.
    pub(super) files: BTreeMap<u64, FileFacts>,
    /// Keys of records that were read, in order of offset.
    pub(super) keys: Vec<SeenKey>,
    pub(super) findings: Vec<Finding>,
    pub(super) log_time_ns: i64,
    /// Keys with the time of their latest record.
    seen: HashMap<KeyDigest, i64>,
    /// Keys of the checkpoint, which count for records beyond it.
    stored: HashMap<KeyDigest, i64>,
    covered_below: u64,
    /// The last file, if there is one.
    path: PathBuf,
}

pub(super) struct TailRecord {
    pub(super) bytes: RecordBytes,
    pub(super) append_time_ns: i64,
    pub(super) reply: Vec<u8>,
    /// `None` for a Void record.
    pub(super) decoded: Option<DurableRecord>,
}

/// Records on their way to the follower.
pub(super) type Apply<'a> = &'a (dyn Fn(Vec<Replayed>) + Sync);

#[derive(Default)]
pub(super) struct Replay {
    records: Vec<Replayed>,
    bytes: usize,
}

impl Replay {
    pub(super) fn into_records(self) -> Vec<Replayed> {
        self.records
    }
}

/// Reads partitions.
pub(super) struct Reader<'a> {
    pub(super) config: &'a LogConfig,
    pub(super) disk: &'a dyn Disk,
    pub(super) follower: &'a dyn Follower,
    pub(super) log_time_ns: i64,
    pub(super) apply: Apply<'a>,
}

impl Reader<'_> {
    /// Reads one partition and replays what is durable.
    pub(super) fn read_partition(&self, found: Found, low: u64) -> Result<PartitionEnd, Error> {
        let Found { partition, files, stored, findings, log_time_ns } = found;
        let keys = stored.keys.iter();
        let mut end = PartitionEnd {
            partition,
            durable: files.first().map_or(0, |file| file.first_offset),
            tail: BTreeMap::new(),
            files: BTreeMap::new(),
            keys: Vec::new(),
            findings,
            log_time_ns: self.log_time_ns.max(log_time_ns),
            seen: HashMap::new(),
            stored: keys.map(|key| (key.digest, key.time_ns)).collect(),
            covered_below: stored.covered_below,
            path: partition_folder(&self.config.data_directory, partition),
        };
        if end.durable > low {
            let message = format!("the log begins at offset {}, after the committed one", end.durable);
            let path = end.path.clone();
            end.find(FindingKind::Damaged, &path, low..end.durable, message);
        }
        let horizon = self.log_time_ns.saturating_sub(DEDUP_WINDOW_NS);
        for (index, file) in files.iter().enumerate() {
            let next = files.get(index + 1);
            let limit = next.map(|next| next.first_offset);
            let last_time_ns = next.map(|next| next.header.map_or(i64::MAX, |header| header.created_ns));
            end.durable = file.first_offset;
            end.path.clone_from(&file.path);
            match limit {
                // Closed in order: all of it is committed, and its keys are in the checkpoint.
                None if stored.ends_with(file.first_offset, file.bytes, low) => end.durable = low,
                Some(limit) if limit <= low => {
                    // Its keys count as long as they are in the window, unless the checkpoint has them.
                    let may_matter = last_time_ns.is_none_or(|last_time_ns| last_time_ns >= horizon);
                    if may_matter && limit > stored.covered_below {
                        self.read_file(low, file, Some(limit), &mut end)?;
                    }
                }
                limit => self.read_file(low, file, limit, &mut end)?,
            }
            let last_time_ns = last_time_ns.unwrap_or(i64::MAX);
            end.files.insert(file.first_offset, FileFacts { bytes: file.bytes, last_time_ns });
        }
        Ok(end)
    }

    /// Reads one file. Without a `limit` it is the last one, and its end may be torn.
    fn read_file(
        &self,
        low: u64,
        file: &FoundFile,
        limit: Option<u64>,
        end: &mut PartitionEnd,
    ) -> Result<(), Error> {
        let bytes = self.disk.read(&file.path).map_err(|error| Error::io("read", &file.path, error))?;
        let scan = scan(&bytes).map_err(|version| newer(&file.path, version))?;
        let proven = scan.records.iter().map(|record| record.place.durable_below).max();
        // What is committed was durable before.
        let durable = limit.unwrap_or(proven.unwrap_or_default().max(file.first_offset).max(low));
        let mut missing = Missing { next: file.first_offset, ranges: Vec::new() };
        let mut replay = Replay::default();
        let path: Arc<Path> = Arc::from(file.path.as_path());
        for record in &scan.records {
            let offset = record.place.offset;
            let is_void = limit.is_some_and(|limit| offset >= limit);
            if offset < missing.next || record.partition != end.partition || is_void {
                continue;
            }
            end.log_time_ns = end.log_time_ns.max(record.place.append_time_ns);
            if offset < low {
                if self.remember_committed(record, end) {
                    missing.seen(offset);
                }
                continue;
            }
            if offset < durable
                && let Some(stored) = self.leave(record, &path)
            {
                missing.seen(offset);
                self.take(Replayed::Stored(stored), record.reply, end, &mut replay);
                continue;
            }
            let Some(decoded) = self.decode(record, file)? else { continue };
            if offset < durable {
                missing.seen(offset);
                if let Decoded::Batch(decoded) = decoded {
                    self.take(Replayed::Whole(decoded), record.reply, end, &mut replay);
                }
            } else {
                let decoded = match decoded {
                    Decoded::Batch(decoded) => Some(decoded),
                    Decoded::Nothing => None,
                };
                let (bytes, reply) = (RecordBytes::again(record), record.reply.to_vec());
                let append_time_ns = record.place.append_time_ns;
                end.tail.insert(offset, TailRecord { bytes, append_time_ns, reply, decoded });
            }
        }
        self.apply(replay);
        missing.end(durable);
        end.durable = durable;
        self.report(file, &bytes, &scan, missing.ranges, (low, limit.is_none()), end);
        Ok(())
    }

    /// Remembers the key of a record that is in segments. False when its content is damaged.
    fn remember_committed(&self, record: &Record<'_>, end: &mut PartitionEnd) -> bool {
        if record.kind != kind::BATCH {
            return true;
        }
        let (Some(environment), Some(key)) = (record.environment(), record.key()) else { return false };
        if let Some(digest) = KeyDigest::of(&environment, &key, self.config.hash_key) {
            let (offset, time_ns) = (record.place.offset, record.place.append_time_ns);
            end.seen.insert(digest, time_ns);
            if offset >= end.covered_below {
                end.keys.push(SeenKey { digest, offset, time_ns, reply: record.reply.to_vec() });
            }
        }
        true
    }

    /// Takes a durable record over: remembers its key, and replays it unless it is a repetition.
    pub(super) fn take(&self, record: Replayed, reply: &[u8], end: &mut PartitionEnd, replay: &mut Replay) {
        if let Some(digest) = KeyDigest::of(record.environment(), record.key(), self.config.hash_key) {
            let (offset, time_ns) = (record.offset().0, record.append_time_ns());
            if end.is_repetition(digest, offset, time_ns) {
                let message = "a second part of a batch that is there already is left out".to_owned();
                let path = end.path.clone();
                end.find(FindingKind::Repeated, &path, offset..offset + 1, message);
                return;
            }
            end.seen.insert(digest, time_ns);
            end.keys.push(SeenKey { digest, offset, time_ns, reply: reply.to_vec() });
        }
        if !self.is_known_import(&record) {
            replay.bytes += record.held_bytes();
            replay.records.push(record);
            if replay.bytes >= REPLAY_BYTES {
                self.apply(std::mem::take(replay));
            }
        }
    }

    /// Whether the follower has this import line already: a repetition outside the window.
    fn is_known_import(&self, record: &Replayed) -> bool {
        match record.key() {
            skein_event::flow::BatchKey::Import { file, line } => {
                self.follower.has_import(record.environment(), record.partition(), file, *line)
            }
            _ => false,
        }
    }

    fn apply(&self, replay: Replay) {
        if !replay.records.is_empty() {
            (self.apply)(replay.records);
        }
    }

    /// Names what is missing and keeps the bytes that could not be read.
    fn report(
        &self,
        file: &FoundFile,
        bytes: &[u8],
        scan: &Scan<'_>,
        missing: Vec<Range<u64>>,
        (low, is_last): (u64, bool),
        end: &mut PartitionEnd,
    ) {
        let damaged = !missing.is_empty();
        for offsets in missing {
            let (start, last) = (offsets.start, offsets.end - 1);
            let message = if offsets.end <= low {
                format!(
                    "records {start} to {last} are damaged; they are in segments, only this second copy is lost"
                )
            } else {
                format!("records {start} to {last} are damaged and not served")
            };
            end.find(FindingKind::Damaged, &file.path, offsets, message);
        }
        for range in &scan.unreadable {
            if damaged {
                self.quarantine(end.partition, file.first_offset, range, bytes);
            } else if is_last {
                let message = format!("bytes {} to {} were being written", range.start, range.end);
                end.find(FindingKind::Torn, &file.path, file.first_offset..file.first_offset, message);
            }
        }
    }

    /// Copies damaged bytes aside, once. Best effort: the file itself stays where it is until it is trimmed.
    fn quarantine(&self, partition: Partition, first_offset: u64, range: &Range<u64>, bytes: &[u8]) {
        let name = format!("log-{}-{first_offset}-{}.bytes", partition.0, range.start);
        let path = self.config.data_directory.join("quarantine").join(name);
        let place = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
        let damaged = bytes.get(place(range.start)..place(range.end)).unwrap_or_default();
        let written = self.disk.create(&path).and_then(|file| file.write_at(0, damaged));
        if let Err(error) = written
            && error.kind() != std::io::ErrorKind::AlreadyExists
        {
            tracing::warn!(path = %path.display(), %error, "cannot set damaged bytes of the log aside");
        }
    }
}

impl PartitionEnd {
    fn find(&mut self, kind: FindingKind, path: &Path, offsets: Range<u64>, message: String) {
        let (partition, path) = (self.partition, path.to_path_buf());
        self.findings.push(Finding { kind, partition, path, offsets, message });
    }

    /// Whether a key was seen within the window before this record. Keys of the checkpoint are of records below
    /// it: they say nothing about those, which are read again when the catalog was rebuilt.
    fn is_repetition(&self, digest: KeyDigest, offset: u64, time_ns: i64) -> bool {
        let stored = self.stored.get(&digest).filter(|_| offset >= self.covered_below);
        let earlier = [self.seen.get(&digest), stored].into_iter().flatten().max();
        earlier.is_some_and(|&earlier| earlier >= time_ns.saturating_sub(DEDUP_WINDOW_NS))
    }
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
