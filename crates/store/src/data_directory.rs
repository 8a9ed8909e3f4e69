//! The data directory's VERSION and LOCK files (CONTRACT.md, "Data directory").
//!
//! VERSION holds what is fixed for the life of the data: the layout's version, the hash key, the number of
//! partitions. LOCK is held for the life of the process, so that two writers never share a directory; the
//! kernel lets go of it whatever way the process ends.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use skein_event::hash::HashKey;
use skein_log::disk::RealDisk;
use skein_log::inspect;

use crate::error::{Error, ErrorKind};
use crate::files::{FileAccess, Files};

/// The layout of the data directory that this code writes and reads.
pub const LAYOUT_VERSION: u32 = 1;

const FIRST_LINE: &str = "skein data ";
const CHECKSUM: &str = "checksum";

/// What is fixed for the life of the data.
pub(crate) type Fixed = Fresh;

/// What a new data directory starts with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fresh {
    /// The hash key, from the caller's source of randomness.
    pub hash_key: HashKey,
    /// Partitions of the log.
    pub partitions: u16,
}

/// An open data directory, locked against every other process until dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    fixed: Fresh,
    _lock: File,
}

impl DataDirectory {
    /// Opens a data directory, which is made when there is none.
    ///
    /// Fails with `Locked`, naming the holder's pid, when another process has it, and with `Unsupported`
    /// when a newer version wrote it.
    pub fn open(path: &Path, fresh: Fresh) -> Result<DataDirectory, Error> {
        let io = |what: &'static str| {
            move |error: std::io::Error| {
                let message = format!("cannot {what} in {}: {error}", path.display());
                Error::with_source(ErrorKind::Io, message, error)
            }
        };
        std::fs::create_dir_all(path).map_err(io("create the data directory"))?;
        let lock = lock(path)?;
        let fixed = match read_version(path)? {
            Some(fixed) => fixed,
            None => {
                if path.join("segments").exists() || path.join("log").exists() {
                    let message = format!(
                        "{} holds data but no VERSION file: it was half restored, or VERSION was lost. Repeat \
                         `skein restore`, or run `skein doctor {0} --repair`, which makes it again",
                        path.display()
                    );
                    return Err(Error::damaged(message));
                }
                write_version(path, fresh).map_err(io("write VERSION"))?;
                fresh
            }
        };
        Ok(DataDirectory { path: path.to_owned(), fixed, _lock: lock })
    }

    /// Opens a data directory that is there already.
    pub fn open_existing(path: &Path) -> Result<DataDirectory, Error> {
        let Some(fixed) = read_version(path)? else {
            let message = format!("{} is no data directory: it has no VERSION", path.display());
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        let fresh = Fresh { hash_key: fixed.hash_key, partitions: fixed.partitions };
        DataDirectory::open(path, fresh)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The deployment's hash key.
    pub fn hash_key(&self) -> HashKey {
        self.fixed.hash_key
    }

    /// Partitions of the log.
    pub fn partitions(&self) -> u16 {
        self.fixed.partitions
    }
}

/// Takes LOCK and writes this process's id into it.
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let lock_path = path.join("LOCK");
    let failed = |error: std::io::Error| {
        Error::with_source(ErrorKind::Io, format!("cannot lock {}: {error}", lock_path.display()), error)
    };
    let mut options = File::options();
    let mut file =
        options.read(true).write(true).create(true).truncate(false).open(&lock_path).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(failed)?;
            let holder = holder.trim();
            let holder = if holder.is_empty() { "another process" } else { &format!("process {holder}") };
            let message = format!("{} is in use by {holder}", path.display());
            return Err(Error::new(ErrorKind::Locked, message));
        }
        Err(error) => return Err(failed(error.into())),
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

pub(crate) fn write_version(path: &Path, fixed: Fresh) -> std::io::Result<()> {
    let temporary = path.join("VERSION.new");
    let mut file = File::create(&temporary)?;
    file.write_all(version_text(fixed).as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path.join("VERSION"))?;
    File::open(path)?.sync_all()
}

/// What VERSION says: three lines, and their checksum.
fn version_text(fixed: Fixed) -> String {
    let (key, partitions) = (fixed.hash_key.0, fixed.partitions);
    let lines = format!("{FIRST_LINE}{LAYOUT_VERSION}\nhash_key {key:016x}\npartitions {partitions}\n");
    let checksum = crc32c::crc32c(lines.as_bytes());
    format!("{lines}{CHECKSUM} {checksum:08x}\n")
}

/// What VERSION says; `None` when there is none. For readers beside the owner.
pub(crate) fn read_version(path: &Path) -> Result<Option<Fixed>, Error> {
    let version_path = path.join("VERSION");
    let name = version_path.display().to_string();
    match std::fs::read(&version_path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => parse_version(&text).map(Some).map_err(|error| error.context(&name)),
            Err(_) => Err(Error::damaged("it is not text").context(&name)),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::with_source(ErrorKind::Io, format!("cannot read {name}: {error}"), error)),
    }
}

/// What VERSION said, as far as segments (the hash key) and the log (the number of partitions) tell.
pub(crate) fn recover_version(path: &Path) -> Result<Option<Fixed>, Error> {
    let files = Files::shared_real(path.to_path_buf(), FileAccess::Map);
    let found = match files.find() {
        Ok(found) => found,
        Err(_) if !path.join("segments").exists() => return Ok(None),
        Err(error) => return Err(error),
    };
    let hash_key = found.iter().find_map(|file| Some(files.open(&file.path).ok()?.header().hash_key));
    let partitions = inspect::configured_partitions(&RealDisk, path);
    Ok(hash_key.zip(partitions).map(|(hash_key, partitions)| Fresh { hash_key, partitions }))
}

fn parse_version(text: &str) -> Result<Fixed, Error> {
    let damaged = || Error::damaged("it is not a VERSION file of Skein, or was altered");
    let mut lines = text.lines();
    let version = lines.next().and_then(|line| line.strip_prefix(FIRST_LINE)).ok_or_else(damaged)?;
    let version: u32 = version.trim().parse().map_err(|_| damaged())?;
    // Files of the first release have no checksum.
    let checksum_at = text.find(&format!("{CHECKSUM} "));
    if let Some((lines, checksum)) = checksum_at.and_then(|place| text.split_at_checked(place)) {
        let expected = format!("{CHECKSUM} {:08x}\n", crc32c::crc32c(lines.as_bytes()));
        if version <= LAYOUT_VERSION && checksum != expected {
            return Err(damaged());
        }
    }
    if version > LAYOUT_VERSION {
        let message = format!(
            "the data has layout version {version}; this Skein reads {LAYOUT_VERSION}. \
             Use a Skein that reads layout version {version}"
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let (mut hash_key, mut partitions) = (None, None);
    for line in lines {
        match line.split_once(' ') {
            Some(("hash_key", value)) => hash_key = u64::from_str_radix(value, 16).ok(),
            Some(("partitions", value)) => partitions = value.parse().ok().filter(|&count: &u16| count > 0),
            Some((CHECKSUM, _)) => {}
            _ => return Err(damaged()),
        }
    }
    let hash_key = HashKey(hash_key.ok_or_else(damaged)?);
    Ok(Fixed { hash_key, partitions: partitions.ok_or_else(damaged)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Fresh = Fresh { hash_key: HashKey(0x00ab_cdef), partitions: 8 };

    #[test]
    fn what_is_fixed_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = DataDirectory::open(folder.path(), FRESH).expect("opens");
        drop(first);
        let other = Fresh { hash_key: HashKey(1), partitions: 3 };
        let again = DataDirectory::open(folder.path(), other).expect("opens");
        assert_eq!((again.hash_key(), again.partitions()), (FRESH.hash_key, 8));
    }

    #[test]
    fn a_second_holder_is_told_the_pid_of_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let _first = DataDirectory::open(folder.path(), FRESH).expect("opens");
        let error = DataDirectory::open(folder.path(), FRESH).expect_err("is locked");
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(error.to_string().ends_with(&format!("process {}", std::process::id())), "{error}");
    }

    #[test]
    fn a_newer_version_is_refused_and_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |text: &str| std::fs::write(folder.path().join("VERSION"), text).expect("writes");
        write("skein data 7\nhash_key 1\npartitions 8\n");
        let error = DataDirectory::open(folder.path(), FRESH).expect_err("is newer");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("reads layout version 7"), "{error}");
        for text in ["", "skein", "skein data 1\npartitions 8\n", "skein data 1\nhash_key 1\npartitions 0\n"]
        {
            write(text);
            assert_eq!(DataDirectory::open(folder.path(), FRESH).expect_err(text).kind(), ErrorKind::Damaged);
        }
    }

    #[test]
    fn data_without_a_version_is_not_taken_for_a_new_directory() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("segments")).expect("makes");
        assert_eq!(DataDirectory::open(folder.path(), FRESH).expect_err("is old").kind(), ErrorKind::Damaged);
    }
}
