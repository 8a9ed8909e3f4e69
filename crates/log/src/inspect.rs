//! Reads a log without opening it: for verify, doctor and backup, beside the server that writes it.
//!
//! What it refuses: to write, to repair, to take the place of recovery. It follows the same rules (a file ends
//! where the next one begins, every record proves itself), and names what does not follow them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skein_event::batch::EventBatch;
use skein_event::flow::BatchKey;
use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::limits::DEDUP_WINDOW_NS;

use crate::codec;
use crate::dedup::KeyDigest;
use crate::disk::Disk;
use crate::error::Error;
use crate::file::{BLOCK_BYTES, FileHeader, NoHeader, first_offset_of, partition_folder};
use crate::follow::DurableRecord;
use crate::record::{Record, decode_erasure, kind, kind_name};
use crate::scan::{Newer, scan};
use crate::state_file;

/// A file of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogFile {
    /// Its partition.
    pub partition: Partition,
    /// The offset in its name.
    pub first_offset: u64,
    /// The first offset of the next file; none for the last, which may be growing.
    pub limit: Option<u64>,
    /// Where it is.
    pub path: PathBuf,
    /// Its length when it was listed.
    pub bytes: u64,
}

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where in the file.
    pub bytes: Range<u64>,
    /// What kind.
    pub kind: ProblemKind,
    /// Records that cannot be read because of it; may be empty.
    pub offsets: Range<u64>,
    /// In words.
    pub message: String,
}

/// What kind of [`Problem`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProblemKind {
    /// Durable records cannot be read.
    Damaged,
    /// The header block is damaged; the records prove themselves without it.
    Header,
    /// Bytes between sound records that should be zeros: nothing is lost.
    Padding,
    /// Bytes at the end of a file that are no sound record: a write that was never acknowledged, or, in the last
    /// file of a server that was killed, one whose last group cannot be proven.
    Torn,
    /// Written by a newer version.
    Newer,
}

/// The sound records of a file that count.
pub struct Content {
    bytes: Vec<u8>,
    /// In order of offset.
    pub records: Vec<Entry>,
    /// What is wrong with the file.
    pub problems: Vec<Problem>,
}

/// A record that counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Where it begins in the file.
    pub position: u64,
    /// Its offset in the partition.
    pub offset: u64,
    /// When it was appended.
    pub append_time_ns: i64,
    /// Whether it is one of events; others hold none.
    pub is_batch: bool,
}

/// Folders below `log/` that are partitions.
pub fn partitions(disk: &dyn Disk, data_directory: &Path) -> Result<Vec<Partition>, Error> {
    let folder = data_directory.join("log");
    let entries = match disk.list(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", &folder, error)),
    };
    let numbers =
        entries.iter().filter(|entry| entry.is_directory).filter_map(|entry| entry.name.parse().ok());
    let mut partitions: Vec<Partition> = numbers.map(Partition).collect();
    partitions.sort();
    Ok(partitions)
}

/// A partition's files in order.
pub fn files(disk: &dyn Disk, data_directory: &Path, partition: Partition) -> Result<Vec<LogFile>, Error> {
    let folder = partition_folder(data_directory, partition);
    let entries = disk.list(&folder).map_err(|error| Error::io("list", &folder, error))?;
    let mut files: Vec<LogFile> = entries
        .into_iter()
        .filter_map(|entry| {
            let first_offset = first_offset_of(&entry.name).filter(|_| !entry.is_directory)?;
            let path = folder.join(&entry.name);
            Some(LogFile { partition, first_offset, limit: None, path, bytes: entry.len })
        })
        .collect();
    files.sort_by_key(|file| file.first_offset);
    let limits: Vec<u64> = files.iter().skip(1).map(|file| file.first_offset).collect();
    for (file, limit) in files.iter_mut().zip(limits) {
        file.limit = Some(limit);
    }
    Ok(files)
}

/// The number of partitions that a sound header of a file says the log has.
pub fn configured_partitions(disk: &dyn Disk, data_directory: &Path) -> Option<u16> {
    let partitions = partitions(disk, data_directory).ok()?;
    let files = partitions.into_iter().filter_map(|partition| files(disk, data_directory, partition).ok());
    files.flatten().find_map(|file| {
        let mut block = [0; 64];
        disk.open_read(&file.path).ok()?.read_at(0, &mut block).ok()?;
        FileHeader::parse(&block).ok().map(|header| header.partitions)
    })
}

/// The offset at which a file ended when a server was stopped in order and nothing ran since; then bytes that
/// are no record there are damage, not a write that was cut short.
pub fn closed_at(disk: &dyn Disk, data_directory: &Path, file: &LogFile) -> Option<u64> {
    let bytes = disk.read(&state_file::state_path(data_directory, file.partition)).ok()?;
    let closed = state_file::parse(&bytes)?.closed?;
    (closed.first_offset == file.first_offset).then_some(closed.next_offset)
}

/// Checks the keys of a partition's committed records. `None` when there are none or they are sound.
pub fn check_state(
    disk: &dyn Disk,
    data_directory: &Path,
    partition: Partition,
) -> Result<Option<(PathBuf, String)>, Error> {
    let path = state_file::state_path(data_directory, partition);
    match disk.read(&path) {
        Ok(bytes) if state_file::parse(&bytes).is_none() => {
            let message = "the checksum of the batch keys does not match; until their window of 15 minutes is over, a batch \
                           that is sent again may appear twice"
                .to_owned();
            Ok(Some((path, message)))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", &path, error)),
    }
}

/// Where the keys of a partition's committed records should be and are not. `low`: what the catalog says is
/// committed; keys are written with the first commit.
pub fn missing_state(
    disk: &dyn Disk,
    data_directory: &Path,
    partition: Partition,
    low: u64,
) -> Result<Option<PathBuf>, Error> {
    let path = state_file::state_path(data_directory, partition);
    match disk.open_read(&path) {
        Ok(_) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok((low > 0).then_some(path)),
        Err(error) => Err(Error::io("open", &path, error)),
    }
}

/// Reads a file. `proven_below`: every record below was durable, as the catalog or a close in order says.
pub fn read(disk: &dyn Disk, file: &LogFile, proven_below: u64) -> Result<Content, Error> {
    let bytes = disk.read(&file.path).map_err(|error| Error::io("read", &file.path, error))?;
    let mut content = Content { bytes: Vec::new(), records: Vec::new(), problems: Vec::new() };
    check_header(&bytes, file, &mut content.problems);
    let newer = |version: Newer| {
        let message = format!("a record or the file is of version {}, which a newer Skein reads", version.0);
        Problem { bytes: 0..bytes.len() as u64, kind: ProblemKind::Newer, offsets: 0..0, message }
    };
    match scan(&bytes) {
        Ok(scan) => {
            let proven = scan.records.iter().map(|record| record.place.durable_below).max().unwrap_or(0);
            let durable = file.limit.unwrap_or(proven.max(file.first_offset).max(proven_below));
            take_records(&scan.records, file, durable, &mut content);
            check_unreadable(&scan.unreadable, &scan.records, file, &mut content.problems);
        }
        Err(version) => content.problems.push(newer(version)),
    }
    content.bytes = bytes;
    Ok(content)
}

fn check_header(bytes: &[u8], file: &LogFile, problems: &mut Vec<Problem>) {
    let block = bytes.get(..BLOCK_BYTES).unwrap_or(bytes);
    let mut problem = |message: String| {
        let bytes = 0..BLOCK_BYTES as u64;
        problems.push(Problem { bytes, kind: ProblemKind::Header, offsets: 0..0, message });
    };
    match FileHeader::parse(block) {
        Ok(header) if header.partition != file.partition || header.first_offset != file.first_offset => {
            problem(format!(
                "the header says partition {} from offset {}: the file is not where it belongs",
                header.partition.0, header.first_offset
            ));
        }
        Ok(_) if block.get(64..).is_none_or(|rest| rest.iter().any(|&byte| byte != 0)) => {
            problem(
                "the block of the header is not zero after the header; its records are read all the same"
                    .to_owned(),
            );
        }
        // A newer version is told once, by the scan.
        Ok(_) | Err(NoHeader::Newer(_)) => {}
        Err(NoHeader::Damaged) => {
            problem("the header of the file is damaged; its records are read without it".to_owned());
        }
    }
}

/// Takes the records that count, and names the offsets below `durable` that are missing.
fn take_records(records: &[Record<'_>], file: &LogFile, durable: u64, content: &mut Content) {
    let mut next = file.first_offset;
    // Where the records end so far: what is missing lay behind it.
    let mut position = BLOCK_BYTES as u64;
    let mut missing = |range: Range<u64>, bytes: Range<u64>| {
        let last = range.end - 1;
        let message = format!("records {} to {last} cannot be read", range.start);
        content.problems.push(Problem { bytes, kind: ProblemKind::Damaged, offsets: range, message });
    };
    for record in records {
        let offset = record.place.offset;
        let is_void = file.limit.is_some_and(|limit| offset >= limit);
        if offset < next || record.partition != file.partition || is_void {
            continue;
        }
        let start = record.place.position;
        if offset > next && next < durable {
            missing(next..offset.min(durable), position..start);
        }
        content.records.push(Entry {
            position: start,
            offset,
            append_time_ns: record.place.append_time_ns,
            is_batch: record.kind == kind::BATCH,
        });
        position = start + record.len() as u64;
        next = offset.saturating_add(1);
    }
    if next < durable {
        missing(next..durable, position..file.bytes.max(position));
    }
}

/// Bytes that are no record, where no record is missing.
fn check_unreadable(
    unreadable: &[Range<u64>],
    records: &[Record<'_>],
    file: &LogFile,
    problems: &mut Vec<Problem>,
) {
    let counts = |record: &&Record<'_>| file.limit.is_none_or(|limit| record.place.offset < limit);
    let end = records.iter().filter(counts).map(|record| record.place.position).max().unwrap_or(0);
    for range in unreadable {
        let known = |problem: &Problem| {
            problem.kind == ProblemKind::Damaged
                && problem.bytes.start < range.end
                && range.start < problem.bytes.end
        };
        if problems.iter().any(known) {
            continue;
        }
        let (kind, message) = if range.start < end {
            (ProblemKind::Padding, "bytes between records are not zero; no record is missing".to_owned())
        } else {
            let message = "bytes after the last record are none: a write that was never acknowledged, or, when the \
                           server was killed, one of which that cannot be told";
            (ProblemKind::Torn, message.to_owned())
        };
        problems.push(Problem { bytes: range.clone(), kind, offsets: 0..0, message });
    }
}

impl Content {
    fn record(&self, entry: &Entry) -> Option<Record<'_>> {
        let start = usize::try_from(entry.position).ok()?;
        Record::parse(self.bytes.get(start..)?, entry.position).ok()
    }

    /// Whose a record is and how its repetition is recognised.
    pub fn key(&self, entry: &Entry) -> Option<(Environment, BatchKey)> {
        let record = self.record(entry).filter(|_| entry.is_batch)?;
        Some((record.environment()?, record.key()?))
    }

    /// The events of a record; `None` for one that holds none. An error is a sentence.
    pub fn decode(&self, entry: &Entry, hash_key: HashKey) -> Result<Option<DurableRecord>, String> {
        let damaged =
            || format!("the record of offset {} has a sound checksum but cannot be read", entry.offset);
        let record = self.record(entry).ok_or_else(damaged)?;
        if !entry.is_batch {
            if record.kind == kind::VOID || record.may_skip() {
                return Ok(None);
            }
            // It holds no events; the store that follows the log carries it out.
            if record.kind == kind::ERASE && decode_erasure(record.payload).is_some() {
                return Ok(None);
            }
            return Err(format!(
                "the record of offset {} is of kind {} ({}), which this version does not understand",
                entry.offset,
                record.kind,
                kind_name(record.kind)
            ));
        }
        let (environment, key) = self.key(entry).ok_or_else(damaged)?;
        let batch: EventBatch = codec::decode(record.payload, hash_key).map_err(|_| damaged())?;
        Ok(Some(DurableRecord {
            environment,
            partition: record.partition,
            offset: Offset(entry.offset),
            append_time_ns: entry.append_time_ns,
            key,
            batch: Arc::new(batch),
            erasure: None,
        }))
    }
}

/// Tells second parts of a batch, which recovery leaves out, from first ones. Records of a partition are shown to
/// it in order.
#[derive(Debug)]
pub struct Repetitions {
    hash_key: HashKey,
    seen: HashMap<KeyDigest, i64>,
    /// In order of time, to forget what left the window: a day of log has more keys than should be held at once.
    order: VecDeque<(i64, KeyDigest)>,
    /// Lines of imported files, which are known for good.
    lines: HashSet<KeyDigest>,
}

impl Repetitions {
    /// For the records of one partition.
    pub fn new(hash_key: HashKey) -> Repetitions {
        Repetitions { hash_key, seen: HashMap::new(), order: VecDeque::new(), lines: HashSet::new() }
    }

    /// Whether a part of the same batch came within the window before.
    pub fn is_repetition(&mut self, environment: &Environment, key: &BatchKey, append_time_ns: i64) -> bool {
        let Some(digest) = KeyDigest::of(environment, key, self.hash_key) else { return false };
        if matches!(key, BatchKey::Import { .. }) {
            return !self.lines.insert(digest);
        }
        let horizon = append_time_ns.saturating_sub(DEDUP_WINDOW_NS);
        while let Some(&(time_ns, old)) = self.order.front().filter(|(time_ns, _)| *time_ns < horizon) {
            self.order.pop_front();
            if self.seen.get(&old) == Some(&time_ns) {
                self.seen.remove(&old);
            }
        }
        if self.seen.contains_key(&digest) {
            return true;
        }
        self.seen.insert(digest, append_time_ns);
        self.order.push_back((append_time_ns, digest));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_is_one_within_the_window_and_a_line_for_good() {
        let environment = Environment::default_environment();
        let (client, line) = (BatchKey::Client("a".into()), BatchKey::Import { file: [1; 32], line: 2 });
        let mut repetitions = Repetitions::new(HashKey(1));
        let mut is = |key: &BatchKey, time_ns| repetitions.is_repetition(&environment, key, time_ns);
        assert!(!is(&client, 5) && !is(&line, 5));
        assert!(is(&client, 5 + DEDUP_WINDOW_NS), "at its edge");
        assert!(!is(&client, 6 + DEDUP_WINDOW_NS), "past it");
        assert!(is(&client, 7 + DEDUP_WINDOW_NS));
        assert!(is(&line, i64::MAX));
        assert!(!is(&BatchKey::Unique(3), 9) && !is(&BatchKey::Unique(3), 9));
    }
}
