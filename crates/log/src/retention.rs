//! Deletes what the log need not keep: whole files below the committed offset, once they are a day old or
//! take more than their share of the disk (DESIGN.md §7).

use std::collections::BTreeMap;
use std::path::Path;

use skein_event::ids::Partition;
use skein_event::limits::DEDUP_WINDOW_NS;

use crate::config::LogConfig;
use crate::dedup::KeyDigest;
use crate::disk::Disk;
use crate::error::Error;
use crate::file::{file_name, partition_folder};
use crate::record::kind;
use crate::scan::scan;
use crate::state_file::{self, ClosedEnd, Stored, StoredKey, state_path};

/// A file of the log, as retention sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FileFacts {
    /// Its size.
    pub(crate) bytes: u64,
    /// No record in it is later.
    pub(crate) last_time_ns: i64,
}

/// The files of all partitions by first offset; the last one of each takes records.
pub(crate) type Files = Vec<BTreeMap<u64, FileFacts>>;

/// A file that may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Victim {
    pub(crate) partition: Partition,
    pub(crate) first_offset: u64,
    /// The file ends here.
    pub(crate) end_offset: u64,
    pub(crate) facts: FileFacts,
}

/// Chooses the files to delete, oldest first.
pub(crate) fn choose(
    files: &Files,
    committed: &[u64],
    now_ns: i64,
    retention_ns: i64,
    bytes_max: u64,
) -> Vec<Victim> {
    let mut total: u64 = files.iter().flat_map(|files| files.values()).map(|facts| facts.bytes).sum();
    let mut candidates = Vec::new();
    for ((number, files), &committed) in (0_u16..).zip(files).zip(committed) {
        for ((&first_offset, &facts), &end_offset) in files.iter().zip(files.keys().skip(1)) {
            if end_offset <= committed {
                candidates.push(Victim { partition: Partition(number), first_offset, end_offset, facts });
            }
        }
    }
    candidates.sort_by_key(|victim| (victim.facts.last_time_ns, victim.partition, victim.first_offset));
    candidates.retain(|victim| {
        let old = victim.facts.last_time_ns < now_ns.saturating_sub(retention_ns);
        let goes = old || total > bytes_max;
        if goes {
            total = total.saturating_sub(victim.facts.bytes);
        }
        goes
    });
    candidates
}

/// Deletes one file, whose keys within the window a durable checkpoint has (`covered_below`), or gets here.
pub(crate) fn delete(
    disk: &dyn Disk,
    config: &LogConfig,
    victim: &Victim,
    covered_below: u64,
    now_ns: i64,
) -> Result<(), Error> {
    let folder = partition_folder(&config.data_directory, victim.partition);
    let path = folder.join(file_name(victim.first_offset));
    let horizon = now_ns.saturating_sub(DEDUP_WINDOW_NS);
    // A checkpoint that can be read need not be durable: only who wrote it knows.
    if victim.facts.last_time_ns >= horizon && covered_below < victim.end_offset {
        let state = state_path(&config.data_directory, victim.partition);
        let mut stored = read_stored(disk, &state)?.unwrap_or_default();
        stored.keys.extend(keys_of_file(disk, config, &path, victim)?);
        stored.keys.retain(|key| key.time_ns >= horizon);
        state_file::store(disk, &state, &stored).map_err(|error| Error::io("write", &state, error))?;
    }
    disk.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
    disk.sync_dir(&folder).map_err(|error| Error::io("sync", &folder, error))
}

/// Writes a checkpoint: the stored keys still within the window, and these of records that were committed since.
pub(crate) fn checkpoint(
    disk: &dyn Disk,
    config: &LogConfig,
    partition: Partition,
    committed: Committed,
    now_ns: i64,
) -> Result<(), Error> {
    let state = state_path(&config.data_directory, partition);
    let horizon = now_ns.saturating_sub(DEDUP_WINDOW_NS);
    let mut stored = read_stored(disk, &state)?.unwrap_or_default();
    stored.keys.extend(committed.keys);
    stored.keys.retain(|key| key.time_ns >= horizon);
    stored.covered_below = committed.below;
    stored.closed = committed.closed;
    state_file::store(disk, &state, &stored).map_err(|error| Error::io("write", &state, error))
}

/// What a checkpoint adds.
pub(crate) struct Committed {
    pub(crate) below: u64,
    pub(crate) keys: Vec<StoredKey>,
    pub(crate) closed: Option<ClosedEnd>,
}

/// The stored keys of a partition: `None` when they are damaged, none when there are none.
pub(crate) fn read_stored(disk: &dyn Disk, path: &Path) -> Result<Option<Stored>, Error> {
    match disk.read(path) {
        Ok(bytes) => Ok(state_file::parse(&bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Some(Stored::default())),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

fn keys_of_file(
    disk: &dyn Disk,
    config: &LogConfig,
    path: &Path,
    victim: &Victim,
) -> Result<Vec<StoredKey>, Error> {
    let bytes = disk.read(path).map_err(|error| Error::io("read", path, error))?;
    let scan = scan(&bytes).map_err(|newer| {
        Error::incompatible(format!("{} is of the newer version {}", path.display(), newer.0))
    })?;
    let mut keys = Vec::new();
    for record in scan.records {
        if record.kind != kind::BATCH || record.place.offset >= victim.end_offset {
            continue;
        }
        let (Some(environment), Some(key)) = (record.environment(), record.key()) else { continue };
        if let Some(digest) = KeyDigest::of(&environment, &key, config.hash_key) {
            let time_ns = record.place.append_time_ns;
            keys.push(StoredKey { digest, time_ns, reply: record.reply.to_vec() });
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Committed offsets, time, bytes allowed, and the files that go.
    type Case = (&'static [u64], i64, u64, &'static [(u16, u64)]);

    fn files() -> Files {
        let facts = |bytes, last_time_ns| FileFacts { bytes, last_time_ns };
        vec![
            BTreeMap::from([(0, facts(10, 100)), (5, facts(10, 300)), (9, facts(10, 500))]),
            BTreeMap::from([(0, facts(10, 200)), (7, facts(10, 400))]),
        ]
    }

    fn chosen(committed: &[u64], now_ns: i64, bytes_max: u64) -> Vec<(u16, u64)> {
        choose(&files(), committed, now_ns, 1_000, bytes_max)
            .iter()
            .map(|victim| (victim.partition.0, victim.first_offset))
            .collect()
    }

    #[test]
    fn only_whole_files_below_the_committed_offset_go() {
        let cases: [Case; 7] = [
            (&[0, 0], 9_999, 0, &[]),
            (&[4, 6], 9_999, 0, &[]),
            (&[5, 7], 600, 1_000, &[]),
            (&[5, 7], 1_150, 1_000, &[(0, 0)]),
            (&[99, 99], 9_999, 1_000, &[(0, 0), (1, 0), (0, 5)]),
            (&[99, 99], 600, 30, &[(0, 0), (1, 0)]),
            (&[0, 99], 600, 0, &[(1, 0)]),
        ];
        for (committed, now_ns, bytes_max, expected) in cases {
            assert_eq!(chosen(committed, now_ns, bytes_max), expected, "{committed:?} {now_ns} {bytes_max}");
        }
    }
}
