//! Batch keys of committed records that are still within their window: `state/<partition>` (docs/formats/log.md).
//!
//! A checkpoint: every key of a record below `covered_below` that may still be repeated. So neither a deleted
//! file nor one that is wholly committed has to be read at the next start; after a stop in order not even the
//! last one. Written whole, under another name, synced, renamed.

use std::io;
use std::path::{Path, PathBuf};

use skein_event::ids::Partition;

use crate::bytes::get;
use crate::dedup::KeyDigest;
use crate::disk::Disk;

const MAGIC: &[u8; 8] = b"SKEINKEY";
/// Version 1 had no offsets: its keys are those of deleted files.
const VERSION: u32 = 2;
/// Digest, time and length of the reply.
const ENTRY_BYTES: usize = 28;
/// Bytes before the entries, of version 1 and of version 2.
const HEADER_BYTES: [usize; 2] = [16, 48];

/// A key that outlives its record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StoredKey {
    pub(crate) digest: KeyDigest,
    pub(crate) time_ns: i64,
    pub(crate) reply: Vec<u8>,
}

/// What a partition's file holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Stored {
    /// Every key within the window of a record below this offset is among the keys.
    pub(crate) covered_below: u64,
    /// How the log ended, when it was closed in order.
    pub(crate) closed: Option<ClosedEnd>,
    pub(crate) keys: Vec<StoredKey>,
}

/// How a log that was closed in order ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ClosedEnd {
    /// The offset after the last record; every lower one was durable and committed.
    pub(crate) next_offset: u64,
    /// The last file.
    pub(crate) first_offset: u64,
    /// Its length.
    pub(crate) bytes: u64,
}

impl Stored {
    /// Whether the last file is the one that a close in order left, all of it committed.
    pub(crate) fn ends_with(&self, first_offset: u64, bytes: u64, low: u64) -> bool {
        self.closed == Some(ClosedEnd { next_offset: low, first_offset, bytes }) && self.covered_below >= low
    }
}

/// Where a partition's keys are.
pub(crate) fn state_path(data_directory: &Path, partition: Partition) -> PathBuf {
    data_directory.join("state").join(partition.0.to_string())
}

/// Replaces the keys of a partition.
pub(crate) fn store(disk: &dyn Disk, path: &Path, stored: &Stored) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(stored.keys.len()).map_err(io::Error::other)?.to_le_bytes());
    let none = ClosedEnd { next_offset: u64::MAX, first_offset: u64::MAX, bytes: u64::MAX };
    let end = stored.closed.unwrap_or(none);
    for number in [stored.covered_below, end.next_offset, end.first_offset, end.bytes] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for key in &stored.keys {
        bytes.extend_from_slice(&key.digest.0.to_le_bytes());
        bytes.extend_from_slice(&key.time_ns.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(key.reply.len()).map_err(io::Error::other)?.to_le_bytes());
        bytes.extend_from_slice(&key.reply);
    }
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    let unnamed = path.with_extension("new");
    match disk.remove(&unnamed) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&unnamed)?;
    file.write_at(0, &bytes)?;
    file.sync_data()?;
    disk.rename(&unnamed, path)?;
    disk.sync_dir(path.parent().unwrap_or(path))
}

/// The keys of a partition; `None` when the file is damaged.
pub(crate) fn parse(bytes: &[u8]) -> Option<Stored> {
    let (body, checksum) = bytes.split_last_chunk::<4>()?;
    let version = u32::from_le_bytes(get(body, 8));
    let sound = body.starts_with(MAGIC)
        && crc32c::crc32c(body) == u32::from_le_bytes(*checksum)
        && (1..=VERSION).contains(&version);
    let header = *HEADER_BYTES.get(version.checked_sub(1)? as usize)?;
    let mut rest = body.get(header..).filter(|_| sound)?;
    let mut stored = Stored::default();
    if version > 1 {
        let number = |place| u64::from_le_bytes(get(body, place));
        stored.covered_below = number(16);
        let end = ClosedEnd { next_offset: number(24), first_offset: number(32), bytes: number(40) };
        stored.closed = Some(end).filter(|end| end.next_offset != u64::MAX);
    }
    for _ in 0..u32::from_le_bytes(get(body, 12)) {
        let (entry, after) = rest.split_at_checked(ENTRY_BYTES)?;
        let (reply, after) = after.split_at_checked(u32::from_le_bytes(get(entry, 24)) as usize)?;
        stored.keys.push(StoredKey {
            digest: KeyDigest(u128::from_le_bytes(get(entry, 0))),
            time_ns: i64::from_le_bytes(get(entry, 16)),
            reply: reply.to_vec(),
        });
        rest = after;
    }
    rest.is_empty().then_some(stored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn keys_come_back_and_damage_is_noticed() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("3");
        let keys = vec![
            StoredKey { digest: KeyDigest(1 << 100), time_ns: -1, reply: b"reply".to_vec() },
            StoredKey { digest: KeyDigest(2), time_ns: 9, reply: Vec::new() },
        ];
        let closed = Some(ClosedEnd { next_offset: 9, first_offset: 4, bytes: 8_192 });
        store(&RealDisk, &path, &Stored::default())?;
        assert_eq!(parse(&RealDisk.read(&path)?), Some(Stored::default()));
        let stored = Stored { covered_below: 9, closed, keys };
        store(&RealDisk, &path, &stored)?;
        let bytes = RealDisk.read(&path)?;
        assert_eq!(parse(&bytes), Some(stored));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&damaged), None, "bit {bit}");
        }
        Ok(())
    }

    #[test]
    fn version_1_is_read() {
        let key = StoredKey { digest: KeyDigest(7), time_ns: 5, reply: b"r".to_vec() };
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[1, 0, 0, 0, 1, 0, 0, 0]);
        bytes.extend_from_slice(&key.digest.0.to_le_bytes());
        bytes.extend_from_slice(&key.time_ns.to_le_bytes());
        bytes.extend_from_slice(&[1, 0, 0, 0, b'r']);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        assert_eq!(parse(&bytes), Some(Stored { keys: vec![key], ..Stored::default() }));
    }
}
