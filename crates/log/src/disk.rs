//! The disk as the durable code sees it: a trait narrow enough that a simulation can lie about everything
//! a real disk lies about (`skein_sim::disk`), and [`RealDisk`], which passes each call on.
//!
//! What it refuses: to buffer, to retry, to hide an error. Whoever calls decides what a failed call means,
//! because only the caller knows what was promised to whom (invariant I1).
//!
//! Nothing is durable before it was asked for: a file's bytes are after [`DiskFile::sync_data`], its name
//! after [`Disk::sync_dir`] of the folder that holds it. A file whose `sync_data` failed MUST NOT be synced
//! again: Linux marks the pages clean when it reports the error, so that the next call would succeed over
//! bytes that never reached the disk.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

/// Files by path. Every call is synchronous.
pub trait Disk: Send + Sync + Debug {
    /// Creates an empty file for reading and writing. `AlreadyExists` when the name is taken.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading and writing. `NotFound` when there is none.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading only: all that a reader beside the owner may do.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path)
    }

    /// The whole of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Gives a file or folder another name, replacing a file of that name. One of both names holds after a
    /// crash; which one is decided only by [`Disk::sync_dir`] of both folders.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name. `Unsupported` where there is no such thing, or not between these places.
    fn link(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a folder and those above it; those that exist stay.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// POST: on `Ok`, the names in the folder at the time of the call survive a crash.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// What a folder holds, in order of name.
    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>>;

    /// Room on the disk that holds `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// An open file.
pub trait DiskFile: Send + Sync + Debug {
    /// Writes all bytes at a place; the file grows as needed. On `Err`, any part may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// POST: on `Ok`, every byte written before the call survives a crash, and so does the length.
    /// On `Err`, nothing is known of them, and the file must not be synced again.
    fn sync_data(&self) -> io::Result<()>;

    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves room for `len` bytes from `offset` without changing the file's length, so that a later write
    /// there does not run out of space.
    fn preallocate(&self, offset: u64, len: u64) -> io::Result<()>;
}

/// What [`Disk::list`] finds.
#[derive(Clone, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub struct DirectoryEntry {
    /// Its name in the folder. A name that is not UTF-8 is none of ours and left out.
    pub name: String,
    /// Whether it is a folder.
    pub is_directory: bool,
    /// Length in bytes; 0 for a folder.
    pub len: u64,
}

/// Room on a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What an ordinary user may still write.
    pub available: u64,
}

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = fs::File::options().read(true).write(true).create_new(true).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = fs::File::options().read(true).write(true).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(fs::File::open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // A file may be removed between the listing and this call; then it is not there.
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let is_directory = metadata.is_dir();
            let len = if is_directory { 0 } else { metadata.len() };
            entries.push(DirectoryEntry { name, is_directory, len });
        }
        entries.sort();
        Ok(entries)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let found = rustix::fs::statvfs(path)?;
        Ok(Space {
            total: found.f_blocks.saturating_mul(found.f_frsize),
            available: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }
}

/// A file of [`RealDisk`].
#[derive(Debug)]
struct RealFile(fs::File);

impl DiskFile for RealFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn preallocate(&self, offset: u64, len: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(&self.0, rustix::fs::FallocateFlags::KEEP_SIZE, offset, len)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_file_keeps_what_is_written() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a/b");
        RealDisk.create_dir_all(&path)?;
        let file = RealDisk.create(&path.join("x.new"))?;
        assert_eq!(
            RealDisk.create(&path.join("x.new")).map(|_| ()).map_err(|e| e.kind()),
            Err(io::ErrorKind::AlreadyExists)
        );
        file.preallocate(0, 1 << 16)?;
        assert_eq!(file.len()?, 0);
        file.write_at(3, b"abc")?;
        file.sync_data()?;
        RealDisk.rename(&path.join("x.new"), &path.join("x"))?;
        RealDisk.sync_dir(&path)?;
        assert_eq!(RealDisk.read(&path.join("x"))?, b"\0\0\0abc");
        let mut buffer = [9; 8];
        assert_eq!(RealDisk.open(&path.join("x"))?.read_at(4, &mut buffer)?, 2);
        assert_eq!(&buffer[..2], b"bc");
        file.set_len(4)?;
        let entry = DirectoryEntry { name: "x".to_owned(), is_directory: false, len: 4 };
        assert_eq!(RealDisk.list(&path)?, vec![entry]);
        assert!(RealDisk.space(&path)?.total > 0);
        RealDisk.remove(&path.join("x"))?;
        assert!(RealDisk.list(&path)?.is_empty());
        Ok(())
    }
}
