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

use crate::error::{Error, ErrorKind};

/// The layout of the data directory that this code writes and reads.
pub const LAYOUT_VERSION: u32 = 1;

const FIRST_LINE: &str = "skein data ";

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
        let version_path = path.join("VERSION");
        let fixed = match std::fs::read_to_string(&version_path) {
            Ok(text) => {
                parse_version(&text).map_err(|error| error.context(&version_path.display().to_string()))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if path.join("segments").exists() || path.join("log").exists() {
                    let message = format!(
                        "{} holds data but no VERSION file, and its hash key and number of partitions are only \
                         there; restore VERSION from a backup",
                        path.display()
                    );
                    return Err(Error::damaged(message));
                }
                write_version(path, fresh).map_err(io("write VERSION"))?;
                fresh
            }
            Err(error) => return Err(io("read VERSION")(error)),
        };
        Ok(DataDirectory { path: path.to_owned(), fixed, _lock: lock })
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
fn lock(path: &Path) -> Result<File, Error> {
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

fn write_version(path: &Path, fixed: Fresh) -> std::io::Result<()> {
    let temporary = path.join("VERSION.new");
    let mut file = File::create(&temporary)?;
    write!(
        file,
        "{FIRST_LINE}{LAYOUT_VERSION}\nhash_key {:016x}\npartitions {}\n",
        fixed.hash_key.0, fixed.partitions
    )?;
    file.sync_all()?;
    std::fs::rename(&temporary, path.join("VERSION"))?;
    File::open(path)?.sync_all()
}

fn parse_version(text: &str) -> Result<Fresh, Error> {
    let damaged = || Error::damaged("it is not a VERSION file of Skein");
    let mut lines = text.lines();
    let version = lines.next().and_then(|line| line.strip_prefix(FIRST_LINE)).ok_or_else(damaged)?;
    let version: u32 = version.trim().parse().map_err(|_| damaged())?;
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
            _ => {}
        }
    }
    let hash_key = HashKey(hash_key.ok_or_else(damaged)?);
    Ok(Fresh { hash_key, partitions: partitions.ok_or_else(damaged)? })
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
