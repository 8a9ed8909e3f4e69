//! What is known of a partition before its files are read: names, headers, the checkpoint of its keys.

use std::path::{Path, PathBuf};

use skein_event::ids::Partition;

use super::{Finding, FindingKind, newer};
use crate::config::LogConfig;
use crate::disk::Disk;
use crate::error::Error;
use crate::file::{FileHeader, NoHeader, first_offset_of, partition_folder};
use crate::retention::read_stored;
use crate::scan::Newer;
use crate::state_file::{Stored, state_path};

/// One file before it is read.
pub(super) struct FoundFile {
    pub(super) first_offset: u64,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// `None` when its header is damaged.
    pub(super) header: Option<FileHeader>,
}

/// What is known of a partition before its files are read.
pub(super) struct Found {
    pub(super) partition: Partition,
    pub(super) files: Vec<FoundFile>,
    pub(super) stored: Stored,
    pub(super) findings: Vec<Finding>,
    /// The latest time that headers and stored keys name.
    pub(super) log_time_ns: i64,
}

/// Lists a partition's files and reads their headers and the stored keys; removes files without a name.
pub(super) fn find(config: &LogConfig, disk: &dyn Disk, partition: Partition) -> Result<Found, Error> {
    let folder = partition_folder(&config.data_directory, partition);
    let mut found = Found {
        partition,
        files: Vec::new(),
        stored: Stored::default(),
        findings: Vec::new(),
        log_time_ns: i64::MIN,
    };
    for entry in disk.list(&folder).map_err(|error| Error::io("list", &folder, error))? {
        let path = folder.join(&entry.name);
        if let Some(first_offset) = first_offset_of(&entry.name) {
            let header = read_header(config, disk, first_offset, &path, &mut found)?;
            if let Some(header) = header {
                found.log_time_ns = found.log_time_ns.max(header.created_ns);
            }
            found.files.push(FoundFile { first_offset, path, bytes: entry.len, header });
        } else if entry.name.ends_with(".new") {
            // A file that was never named holds nothing that was acknowledged.
            disk.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
        }
    }
    found.files.sort_by_key(|file| file.first_offset);
    let path = state_path(&config.data_directory, partition);
    match read_stored(disk, &path)? {
        Some(stored) => found.stored = stored,
        None => found.findings.push(Finding {
            kind: FindingKind::Damaged,
            partition,
            path,
            offsets: 0..0,
            message: "the keys of records that were committed are damaged; a batch re-sent from files that \
                      are gone may appear twice"
                .to_owned(),
        }),
    }
    let latest = found.stored.keys.iter().map(|key| key.time_ns).max();
    found.log_time_ns = found.log_time_ns.max(latest.unwrap_or(i64::MIN));
    Ok(found)
}

fn read_header(
    config: &LogConfig,
    disk: &dyn Disk,
    first_offset: u64,
    path: &Path,
    found: &mut Found,
) -> Result<Option<FileHeader>, Error> {
    let mut block = [0; 64];
    disk.open_read(path)
        .and_then(|file| file.read_at(0, &mut block))
        .map_err(|error| Error::io("read", path, error))?;
    let header = match FileHeader::parse(&block) {
        Ok(header) => header,
        Err(NoHeader::Newer(version)) => return Err(newer(path, Newer(version))),
        Err(NoHeader::Damaged) => {
            found.findings.push(Finding {
                kind: FindingKind::Damaged,
                partition: found.partition,
                path: path.to_path_buf(),
                offsets: first_offset..first_offset,
                message: "the header of the file is damaged; its records are read without it".to_owned(),
            });
            return Ok(None);
        }
    };
    if header.partition != found.partition
        || header.first_offset != first_offset
        || header.partitions != config.partitions
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
