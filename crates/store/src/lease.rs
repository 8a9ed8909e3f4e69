//! Leases of readers in other processes: `skein verify` and `skein backup` run beside a server, and what they
//! look at must not be deleted under them.
//!
//! A lease is a shared lock (flock) on `state/readers`; the kernel lets go of it whatever way the reader ends.
//! The server takes the lock alone, for a moment, around each deletion, and puts the deletion off when it
//! cannot have it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, ErrorKind};

/// The owner's side.
#[derive(Debug)]
pub struct Readers {
    file: File,
    /// The lock belongs to the file, not to a thread: one thread at a time may hold it.
    alone: Mutex<()>,
}

/// Nobody reads as long as it lives: whoever wants a lease waits.
#[derive(Debug)]
pub struct NoReaders<'a> {
    file: &'a File,
    _alone: MutexGuard<'a, ()>,
}

/// A reader's side: nothing is deleted as long as it lives.
#[derive(Debug)]
pub struct Lease(#[expect(dead_code, reason = "holds the lock")] Option<File>);

fn path_of(data_directory: &Path) -> PathBuf {
    data_directory.join("state").join("readers")
}

fn open_or_create(path: &Path) -> std::io::Result<File> {
    match File::options().read(true).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            File::options().read(true).write(true).create(true).truncate(false).open(path)
        }
        opened => opened,
    }
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    let message = format!("cannot lock {}: {error}", path.display());
    Error::with_source(ErrorKind::Io, message, error)
}

impl Readers {
    /// For the owner of a data directory.
    pub fn open(data_directory: &Path) -> Result<Readers, Error> {
        let path = path_of(data_directory);
        let file = open_or_create(&path).map_err(|error| failed(&path, error))?;
        Ok(Readers { file, alone: Mutex::new(()) })
    }

    /// Keeps readers out; `None` while there is one.
    pub fn keep_out(&self) -> Option<NoReaders<'_>> {
        let alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        flock(&self.file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(NoReaders { file: &self.file, _alone: alone })
    }
}

impl Drop for NoReaders<'_> {
    fn drop(&mut self) {
        // Closing the file unlocks it as well; a failure here only puts deletions off.
        flock(self.file, FlockOperation::Unlock).ok();
    }
}

impl Lease {
    /// Takes a lease; waits while the owner deletes something. A directory that cannot be written to has no
    /// owner that could delete anything, and needs none.
    pub fn take(data_directory: &Path) -> Result<Lease, Error> {
        let path = path_of(data_directory);
        let file = match open_or_create(&path) {
            Ok(file) => file,
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                return Ok(Lease(None));
            }
            Err(error) => return Err(failed(&path, error)),
        };
        flock(&file, FlockOperation::LockShared).map_err(|error| failed(&path, error.into()))?;
        Ok(Lease(Some(file)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_deleted_while_somebody_reads() {
        let folder = tempfile::tempdir().expect("a folder");
        let readers = Readers::open(folder.path()).expect("opens");
        assert!(readers.keep_out().is_some());
        let (first, second) =
            (Lease::take(folder.path()).expect("a lease"), Lease::take(folder.path()).expect("a lease"));
        assert!(readers.keep_out().is_none());
        drop(first);
        assert!(readers.keep_out().is_none(), "one still reads");
        drop(second);
        let alone = readers.keep_out().expect("nobody reads");
        drop(alone);
        drop(Lease::take(folder.path()).expect("a lease again"));
    }
}
