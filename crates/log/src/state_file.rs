//! Batch keys of files that were deleted within the window: `state/<partition>` (docs/formats/log.md).
//!
//! Written whole, under another name, synced, renamed, before the file they come from is deleted.

use std::io;
use std::path::{Path, PathBuf};

use skein_event::ids::Partition;

use crate::bytes::get;
use crate::dedup::KeyDigest;
use crate::disk::Disk;

const MAGIC: &[u8; 8] = b"SKEINKEY";
const VERSION: u32 = 1;
/// Digest, time and length of the reply.
const ENTRY_BYTES: usize = 28;

/// A key that outlives its record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StoredKey {
    pub(crate) digest: KeyDigest,
    pub(crate) time_ns: i64,
    pub(crate) reply: Vec<u8>,
}

/// Where a partition's keys are.
pub(crate) fn state_path(data_directory: &Path, partition: Partition) -> PathBuf {
    data_directory.join("state").join(partition.0.to_string())
}

/// Replaces the keys of a partition.
pub(crate) fn store(disk: &dyn Disk, path: &Path, keys: &[StoredKey]) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(keys.len()).map_err(io::Error::other)?.to_le_bytes());
    for key in keys {
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
pub(crate) fn parse(bytes: &[u8]) -> Option<Vec<StoredKey>> {
    let (body, checksum) = bytes.split_last_chunk::<4>()?;
    let sound = body.starts_with(MAGIC)
        && crc32c::crc32c(body) == u32::from_le_bytes(*checksum)
        && u32::from_le_bytes(get(body, 8)) == VERSION;
    let mut rest = body.get(16..).filter(|_| sound)?;
    let mut keys = Vec::new();
    for _ in 0..u32::from_le_bytes(get(body, 12)) {
        let (entry, after) = rest.split_at_checked(ENTRY_BYTES)?;
        let (reply, after) = after.split_at_checked(u32::from_le_bytes(get(entry, 24)) as usize)?;
        keys.push(StoredKey {
            digest: KeyDigest(u128::from_le_bytes(get(entry, 0))),
            time_ns: i64::from_le_bytes(get(entry, 16)),
            reply: reply.to_vec(),
        });
        rest = after;
    }
    rest.is_empty().then_some(keys)
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
        store(&RealDisk, &path, &[])?;
        store(&RealDisk, &path, &keys)?;
        let bytes = RealDisk.read(&path)?;
        assert_eq!(parse(&bytes), Some(keys));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&damaged), None, "bit {bit}");
        }
        Ok(())
    }
}
