//! Real files, and one call that fails: for code whose other half is SQLite, which knows no simulated disk.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use skein_log::disk::{DirectoryEntry, Disk, DiskFile, RealDisk, Space};

/// The operating system's files; the call of a number fails, and all after it, as when the process dies there.
#[derive(Clone, Debug)]
pub struct FailingDisk {
    left: Arc<AtomicU64>,
    /// The operating system's number of the error.
    error: i32,
}

#[derive(Debug)]
struct FailingFile(FailingDisk, Arc<dyn DiskFile>);

impl FailingDisk {
    /// So many calls that change something succeed; then each fails with this error of the operating system.
    pub fn after(calls: u64, error: i32) -> FailingDisk {
        FailingDisk { left: Arc::new(AtomicU64::new(calls)), error }
    }

    fn call(&self) -> io::Result<()> {
        let taken = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        taken.map(drop).map_err(|_| io::Error::from_raw_os_error(self.error))
    }
}

impl Disk for FailingDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.call()?;
        Ok(Arc::new(FailingFile(self.clone(), RealDisk.create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(FailingFile(self.clone(), RealDisk.open(path)?)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open_read(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealDisk.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        RealDisk.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        RealDisk.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        RealDisk.remove(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        RealDisk.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        RealDisk.sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        RealDisk.list(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        RealDisk.space(path)
    }
}

impl DiskFile for FailingFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.0.call() {
            // A write that fails may have written any part.
            let part = bytes.get(..bytes.len() / 2).unwrap_or_default();
            return self.1.write_at(offset, part).and(Err(error));
        }
        self.1.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.read_at(offset, buffer)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.call()?;
        self.1.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.1.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.call()?;
        self.1.set_len(len)
    }

    fn preallocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.0.call()?;
        self.1.preallocate(offset, len)
    }
}
