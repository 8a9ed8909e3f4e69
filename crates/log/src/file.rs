//! A file of the log: its header, its name, and how one comes to be.
//!
//! Three rules make recovery simple (docs/adr/0011-log-files.md):
//!
//! - A file ends where the next one of its partition begins. Whatever a file holds at or above the next
//!   one's first offset is void. So nobody ever has to cut, repair or write again a file that failed.
//! - A file gets its name only when its header is durable: it is written under another name, synced, renamed,
//!   and the folder synced, before a record in it is acknowledged.
//! - Groups of records begin at multiples of [`BLOCK_BYTES`], so that no write touches a block that holds
//!   acknowledged bytes: a disk that destroys the block it is writing when the power fails destroys nothing
//!   that was promised.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skein_event::hash::HashKey;
use skein_event::ids::Partition;

use crate::bytes::{checksum_around, get, put};
use crate::disk::{Disk, DiskFile};
use crate::record::{Place, RecordBytes};

/// What a disk writes as a whole, or destroys as a whole: the physical sector of today's disks.
pub(crate) const BLOCK_BYTES: usize = 4_096;
/// The header has the first block to itself.
pub(crate) const FILE_HEADER_BYTES: u64 = BLOCK_BYTES as u64;

const MAGIC: [u8; 8] = *b"SKEINLOG";
const VERSION: u16 = 1;
const HEADER_USED: usize = 64;
const AT_VERSION: usize = 8;
const AT_CHECKSUM: usize = 12;
const AT_FILE: usize = 16;
const AT_FIRST_OFFSET: usize = 24;
const AT_CREATED: usize = 32;
const AT_PARTITION: usize = 40;
const AT_PARTITIONS: usize = 42;
const AT_HEADER_LEN: usize = 44;

/// The first block of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FileHeader {
    /// Unlike that of every other file; part of each record's checksum.
    pub(crate) file: u64,
    /// Every record in it has this offset or a higher one; every lower one was durable before.
    pub(crate) first_offset: u64,
    /// Log time at its creation: no record of an earlier file is later.
    pub(crate) created_ns: i64,
    /// Its partition.
    pub(crate) partition: Partition,
    /// Partitions of the log, fixed for the life of the data.
    pub(crate) partitions: u16,
}

/// Why a block is no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoHeader {
    /// It is none, or a damaged one.
    Damaged,
    /// It is of a newer version.
    Newer(u16),
}

impl FileHeader {
    fn write(&self) -> Vec<u8> {
        let mut block = vec![0; BLOCK_BYTES];
        let header = &mut block[..HEADER_USED];
        put(header, 0, MAGIC);
        put(header, AT_VERSION, VERSION.to_le_bytes());
        put(header, AT_FILE, self.file.to_le_bytes());
        put(header, AT_FIRST_OFFSET, self.first_offset.to_le_bytes());
        put(header, AT_CREATED, self.created_ns.to_le_bytes());
        put(header, AT_PARTITION, self.partition.0.to_le_bytes());
        put(header, AT_PARTITIONS, self.partitions.to_le_bytes());
        put(header, AT_HEADER_LEN, 4_096_u32.to_le_bytes());
        let checksum = checksum_around(header, AT_CHECKSUM);
        put(header, AT_CHECKSUM, checksum.to_le_bytes());
        block
    }

    /// Reads the header at the start of a file's bytes.
    pub(crate) fn parse(bytes: &[u8]) -> Result<FileHeader, NoHeader> {
        let header = bytes.get(..HEADER_USED).ok_or(NoHeader::Damaged)?;
        let checksum = u32::from_le_bytes(get(header, AT_CHECKSUM));
        if !header.starts_with(&MAGIC) || checksum_around(header, AT_CHECKSUM) != checksum {
            return Err(NoHeader::Damaged);
        }
        let version = u16::from_le_bytes(get(header, AT_VERSION));
        if version != VERSION {
            return Err(NoHeader::Newer(version));
        }
        Ok(FileHeader {
            file: u64::from_le_bytes(get(header, AT_FILE)),
            first_offset: u64::from_le_bytes(get(header, AT_FIRST_OFFSET)),
            created_ns: i64::from_le_bytes(get(header, AT_CREATED)),
            partition: Partition(u16::from_le_bytes(get(header, AT_PARTITION))),
            partitions: u16::from_le_bytes(get(header, AT_PARTITIONS)),
        })
    }
}

/// The folder of a partition.
pub(crate) fn partition_folder(data_directory: &Path, partition: Partition) -> PathBuf {
    data_directory.join("log").join(partition.0.to_string())
}

/// The name of the file whose first offset is this.
pub(crate) fn file_name(first_offset: u64) -> String {
    format!("{first_offset}.wal")
}

/// The first offset in a file's name; `None` when it is no file of the log.
pub(crate) fn first_offset_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal")?;
    let offset = digits.parse().ok()?;
    (file_name(offset) == name).then_some(offset)
}

/// A file that takes records.
#[derive(Debug)]
pub(crate) struct ActiveFile {
    file: Arc<dyn DiskFile>,
    id: u64,
    partition: Partition,
    /// Where the next group goes.
    end: u64,
    /// The offset of the next record.
    next_offset: u64,
    first_offset: u64,
}

/// What a new file begins with.
pub(crate) struct NewFile<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) partition: Partition,
    pub(crate) partitions: u16,
    pub(crate) first_offset: u64,
    pub(crate) created_ns: i64,
    /// Told apart from every other file by this and the hash key.
    pub(crate) serial: u64,
    pub(crate) hash_key: HashKey,
    /// Records it takes over from its predecessor, with their append times; offsets from `first_offset` on.
    pub(crate) records: Vec<(RecordBytes, i64)>,
}

impl ActiveFile {
    /// Creates a file and makes header, records and name durable.
    ///
    /// POST: on `Ok` the file survives a crash under its name. On `Err` it may exist, but holds nothing that
    /// was acknowledged, and the next attempt replaces it.
    pub(crate) fn create(disk: &dyn Disk, new: &NewFile<'_>) -> io::Result<ActiveFile> {
        let mut seed = Vec::with_capacity(32);
        seed.extend_from_slice(&new.partition.0.to_le_bytes());
        seed.extend_from_slice(&new.first_offset.to_le_bytes());
        seed.extend_from_slice(&new.created_ns.to_le_bytes());
        seed.extend_from_slice(&new.serial.to_le_bytes());
        let id = new.hash_key.hash(&seed);
        let header = FileHeader {
            file: id,
            first_offset: new.first_offset,
            created_ns: new.created_ns,
            partition: new.partition,
            partitions: new.partitions,
        };
        let path = new.folder.join(file_name(new.first_offset));
        let unnamed = new.folder.join(format!("{}.new", new.first_offset));
        match disk.remove(&unnamed) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = disk.create(&unnamed)?;
        let mut active = ActiveFile {
            file,
            id,
            partition: new.partition,
            end: FILE_HEADER_BYTES,
            next_offset: new.first_offset,
            first_offset: new.first_offset,
        };
        active.file.write_at(0, &header.write())?;
        let mut group = active.begin_group();
        for (record, append_time_ns) in &new.records {
            group.push(record, *append_time_ns);
        }
        let group = group.finish();
        if !group.bytes.is_empty() {
            active.write(&group)?;
        }
        active.sync()?;
        active.advance(&group);
        disk.rename(&unnamed, &path)?;
        disk.sync_dir(new.folder)?;
        Ok(active)
    }

    /// The offset of the next record.
    pub(crate) fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// The offset in its name.
    pub(crate) fn first_offset(&self) -> u64 {
        self.first_offset
    }

    /// Length in bytes.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Begins a group of records, which are written and synced together.
    pub(crate) fn begin_group(&self) -> GroupBuilder {
        GroupBuilder {
            file: self.id,
            start: self.end,
            first_offset: self.next_offset,
            next_offset: self.next_offset,
            bytes: Vec::new(),
        }
    }

    /// Writes a group. It is not durable before [`ActiveFile::sync`].
    pub(crate) fn write(&self, group: &Group) -> io::Result<()> {
        self.file.write_at(self.end, &group.bytes)
    }

    /// Makes what was written durable. After an error the file is never written or synced again.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Moves past a group that is durable.
    pub(crate) fn advance(&mut self, group: &Group) {
        self.end += group.bytes.len() as u64;
        self.next_offset = group.next_offset;
    }

    /// Its partition.
    pub(crate) fn partition(&self) -> Partition {
        self.partition
    }
}

/// Records that share a sync, under construction.
pub(crate) struct GroupBuilder {
    file: u64,
    start: u64,
    first_offset: u64,
    next_offset: u64,
    bytes: Vec<u8>,
}

impl GroupBuilder {
    /// Adds a record and returns its offset.
    pub(crate) fn push(&mut self, record: &RecordBytes, append_time_ns: i64) -> u64 {
        let offset = self.next_offset;
        let place = Place {
            file: self.file,
            position: self.start + self.bytes.len() as u64,
            offset,
            durable_below: self.first_offset,
            append_time_ns,
        };
        record.place(place, &mut self.bytes);
        self.next_offset += 1;
        offset
    }

    /// Fills the last block.
    pub(crate) fn finish(mut self) -> Group {
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        Group { bytes: self.bytes, next_offset: self.next_offset }
    }
}

/// Records that share a sync.
pub(crate) struct Group {
    bytes: Vec<u8>,
    next_offset: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_files_are_not_taken() {
        assert_eq!(first_offset_of("17.wal"), Some(17));
        assert_eq!(first_offset_of(&file_name(u64::MAX)), Some(u64::MAX));
        for other in ["017.wal", "+1.wal", "1.new", "1.wal.new", ".wal", "a.wal"] {
            assert_eq!(first_offset_of(other), None, "{other}");
        }
    }

    #[test]
    fn any_flipped_bit_is_no_header() {
        let header =
            FileHeader { file: 1, first_offset: 2, created_ns: 3, partition: Partition(4), partitions: 8 };
        let block = header.write();
        assert_eq!(FileHeader::parse(&block), Ok(header));
        for bit in 0..HEADER_USED * 8 {
            let mut damaged = block.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FileHeader::parse(&damaged), Err(NoHeader::Damaged), "bit {bit}");
        }
    }
}
