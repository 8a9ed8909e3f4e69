//! Files of the data directory that the store owns: segments, and what is set aside.
//!
//! A segment's file appears under its name only when all of its bytes are durable: temporary file, fdatasync,
//! rename, fsync of both folders. Nothing writes to it afterwards.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use skein_event::EventBatch;
use skein_event::ids::Environment;
use skein_log::StoredEvents;
use skein_log::disk::{DirectoryEntry, Disk, DiskFile};

use crate::catalog::{SegmentId, SegmentRow};
use crate::error::{Error, ErrorKind};
use crate::segment::Segment;
use crate::segment::machine::{self, SegmentBytes};

/// How a segment's file is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileAccess {
    /// Mapped into memory: the operating system keeps what is used.
    Map,
    /// Read whole through the [`Disk`]: for simulated disks.
    Read,
}

/// Where segments lie.
#[derive(Debug)]
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    access: FileAccess,
    /// Folders whose names are known to be durable.
    durable_folders: Mutex<HashSet<PathBuf>>,
}

/// A file below `segments/`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FoundFile {
    pub(crate) path: PathBuf,
    /// `None` when the name is none of ours.
    pub(crate) id: Option<SegmentId>,
    /// Bytes.
    pub(crate) len: u64,
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>, root: PathBuf, access: FileAccess) -> Files {
        Files { disk, root, access, durable_folders: Mutex::default() }
    }

    /// Of the operating system's disk, for whoever only looks.
    pub(crate) fn shared_real(root: PathBuf, access: FileAccess) -> Files {
        Files::new(Arc::new(skein_log::disk::RealDisk), root, access)
    }

    /// Events that lie in the log.
    pub(crate) fn read_events(&self, events: &StoredEvents) -> Result<EventBatch, Error> {
        events.read(&*self.disk).map_err(|error| {
            let kind = match error.kind() {
                skein_log::ErrorKind::Damaged => ErrorKind::Damaged,
                _ => ErrorKind::Io,
            };
            let message = error.to_string();
            Error::with_source(kind, message, error)
        })
    }

    /// Makes the folders and empties `tmp/`: what lies there belongs to a process that is gone.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        self.disk.create_dir_all(&self.root).map_err(|error| failed("create", &self.root, error))?;
        let above = self.root.parent().filter(|above| !above.as_os_str().is_empty());
        match self.disk.sync_dir(above.unwrap_or(Path::new("."))) {
            // Whoever may not read the folder above did not make the data directory in it either.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
                return Err(failed("sync the folder above", &self.root, error));
            }
            _ => {}
        }
        for folder in ["segments", "tmp", "quarantine"] {
            self.make_folder(&self.root.join(folder))?;
        }
        let temporary = self.root.join("tmp");
        for entry in self.list(&temporary)? {
            if !entry.is_directory {
                let path = temporary.join(&entry.name);
                self.disk.remove(&path).map_err(|error| failed("remove", &path, error))?;
            }
        }
        Ok(())
    }

    /// The path of a segment.
    pub(crate) fn path(&self, environment: &Environment, day: i32, id: &SegmentId) -> PathBuf {
        let folder = self.root.join("segments").join(environment.as_str()).join(date_text(day));
        folder.join(format!("{id}.seg"))
    }

    /// The path of a segment that the catalog names.
    pub(crate) fn path_of(&self, row: &SegmentRow) -> PathBuf {
        self.path(&row.environment, row.day, &row.id)
    }

    /// Writes a segment.
    ///
    /// POST: on `Ok`, the file and its name survive a crash.
    pub(crate) fn write(&self, path: &Path, id: &SegmentId, bytes: &[u8]) -> Result<(), Error> {
        let temporary = self.root.join("tmp").join(format!("{id}.seg"));
        let folder = path.parent().unwrap_or(&self.root);
        self.make_folder(folder)?;
        let outcome = self.write_temporary(&temporary, bytes).and_then(|()| {
            self.disk.rename(&temporary, path).map_err(|error| failed("rename", &temporary, error))?;
            self.disk.sync_dir(folder).map_err(|error| failed("sync", folder, error))?;
            // A rename is decided only when both folders are durable (`Disk::rename`).
            let temporary_folder = self.root.join("tmp");
            self.disk.sync_dir(&temporary_folder).map_err(|error| failed("sync", &temporary_folder, error))
        });
        if outcome.is_err() {
            // What is left is removed at the next start at the latest.
            self.disk.remove(&temporary).ok();
        }
        outcome
    }

    fn write_temporary(&self, temporary: &Path, bytes: &[u8]) -> Result<(), Error> {
        // A retried write may find its own remains.
        self.disk.remove(temporary).ok();
        let file = self.disk.create(temporary).map_err(|error| failed("create", temporary, error))?;
        file.write_at(0, bytes).map_err(|error| failed("write", temporary, error))?;
        file.sync_data().map_err(|error| failed("sync", temporary, error))
    }

    pub(crate) fn open(&self, path: &Path) -> Result<Segment, Error> {
        match self.access {
            FileAccess::Map => Segment::open_file(path),
            FileAccess::Read => {
                let bytes = self.disk.read(path).map_err(|error| failed("read", path, error))?;
                Segment::open(bytes).map_err(|error| error.context(&path.display().to_string()))
            }
        }
    }

    pub(crate) fn exists(&self, path: &Path) -> bool {
        self.disk.open_read(path).is_ok()
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<(), Error> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
            _ => Ok(()),
        }
    }

    /// Moves a damaged file into `quarantine/`, beside a text that says why.
    pub(crate) fn set_aside(&self, path: &Path, reason: &str) -> Result<PathBuf, Error> {
        let folder = self.root.join("quarantine");
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let target = folder.join(&name);
        let text = folder.join(format!("{name}.reason"));
        self.disk.remove(&text).ok();
        let file = self.disk.create(&text).map_err(|error| failed("create", &text, error))?;
        file.write_at(0, reason.as_bytes()).map_err(|error| failed("write", &text, error))?;
        file.sync_data().map_err(|error| failed("sync", &text, error))?;
        self.disk.rename(path, &target).map_err(|error| failed("rename", path, error))?;
        self.disk.sync_dir(&folder).map_err(|error| failed("sync", &folder, error))?;
        if let Some(parent) = path.parent() {
            self.disk.sync_dir(parent).map_err(|error| failed("sync", parent, error))?;
        }
        Ok(target)
    }

    /// Opens a derived file, which lies beside the segments' folder.
    pub(crate) fn open_derived(&self, name: &str) -> Result<Arc<dyn DiskFile>, Error> {
        let path = self.root.join(name);
        self.disk.open(&path).map_err(|error| failed("open", &path, error))
    }

    /// What a derived file holds from `offset` on.
    pub(crate) fn map_derived(&self, name: &str, offset: u64) -> Result<SegmentBytes, Error> {
        let path = self.root.join(name);
        match self.access {
            FileAccess::Map => {
                let file = std::fs::File::open(&path).map_err(|error| failed("open", &path, error))?;
                let length = file.metadata().map_err(|error| failed("read", &path, error))?.len();
                if length <= offset {
                    return Ok(SegmentBytes::Owned(Vec::new()));
                }
                machine::map_from(&file, offset).map_err(|error| failed("map", &path, error))
            }
            FileAccess::Read => {
                let bytes = self.disk.read(&path).map_err(|error| failed("read", &path, error))?;
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Ok(SegmentBytes::Owned(bytes[start..].to_vec()))
            }
        }
    }

    /// Creates the next version of a derived file under a temporary name.
    pub(crate) fn create_derived(&self, name: &str) -> Result<Arc<dyn DiskFile>, Error> {
        let temporary = self.root.join("tmp").join(name);
        self.disk.remove(&temporary).ok();
        self.disk.create(&temporary).map_err(|error| failed("create", &temporary, error))
    }

    pub(crate) fn write_derived(
        &self,
        file: &dyn DiskFile,
        name: &str,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), Error> {
        file.write_at(offset, bytes).map_err(|error| failed("write", &self.root.join(name), error))
    }

    /// Gives the next version of a derived file its name: sync, rename, sync of both folders.
    pub(crate) fn finish_derived(&self, file: &dyn DiskFile, name: &str) -> Result<(), Error> {
        let (temporary, path) = (self.root.join("tmp").join(name), self.root.join(name));
        file.sync_data().map_err(|error| failed("sync", &temporary, error))?;
        self.disk.rename(&temporary, &path).map_err(|error| failed("rename", &temporary, error))?;
        for folder in [self.root.clone(), self.root.join("tmp")] {
            self.disk.sync_dir(&folder).map_err(|error| failed("sync", &folder, error))?;
        }
        Ok(())
    }

    /// All files below `segments/`.
    pub(crate) fn find(&self) -> Result<Vec<FoundFile>, Error> {
        let mut found = Vec::new();
        let root = self.root.join("segments");
        for environment in self.list(&root)?.iter().filter(|entry| entry.is_directory) {
            let environment = root.join(&environment.name);
            for day in self.list(&environment)?.iter().filter(|entry| entry.is_directory) {
                let day = environment.join(&day.name);
                for entry in self.list(&day)?.iter().filter(|entry| !entry.is_directory) {
                    let id = entry.name.strip_suffix(".seg").and_then(SegmentId::parse);
                    found.push(FoundFile { path: day.join(&entry.name), id, len: entry.len });
                }
            }
        }
        Ok(found)
    }

    fn list(&self, folder: &Path) -> Result<Vec<DirectoryEntry>, Error> {
        self.disk.list(folder).map_err(|error| failed("list", folder, error))
    }

    /// Replaces a small file below the data directory: whoever reads it finds what it was or what it is.
    ///
    /// POST: on `Ok`, the new content survives a crash.
    pub(crate) fn replace(&self, folder: &str, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let folder = self.root.join(folder);
        self.make_folder(&folder)?;
        let (temporary_folder, path) = (self.root.join("tmp"), folder.join(name));
        let temporary = temporary_folder.join(name);
        let outcome = self.write_temporary(&temporary, bytes).and_then(|()| {
            self.disk.rename(&temporary, &path).map_err(|error| failed("rename", &temporary, error))?;
            self.disk.sync_dir(&folder).map_err(|error| failed("sync", &folder, error))?;
            self.disk.sync_dir(&temporary_folder).map_err(|error| failed("sync", &temporary_folder, error))
        });
        if outcome.is_err() {
            self.disk.remove(&temporary).ok();
        }
        outcome
    }

    /// A small file below the data directory; `None` when there is none.
    pub(crate) fn read_small(&self, folder: &str, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.root.join(folder).join(name);
        match self.disk.read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path, error)),
        }
    }

    /// The files of a folder below the data directory, with their names; none when there is no such folder.
    pub(crate) fn read_all(&self, folder: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let folder = self.root.join(folder);
        let entries = match self.disk.list(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("list", &folder, error)),
        };
        let mut files = Vec::new();
        for entry in entries.into_iter().filter(|entry| !entry.is_directory) {
            let path = folder.join(&entry.name);
            let bytes = self.disk.read(&path).map_err(|error| failed("read", &path, error))?;
            files.push((entry.name, bytes));
        }
        Ok(files)
    }

    /// Removes a small file below the data directory.
    pub(crate) fn remove_small(&self, folder: &str, name: &str) -> Result<(), Error> {
        self.remove(&self.root.join(folder).join(name))
    }

    /// Makes a folder and makes its name, and those above it, durable.
    fn make_folder(&self, folder: &Path) -> Result<(), Error> {
        let mut durable = self.durable_folders.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.contains(folder) {
            return Ok(());
        }
        self.disk.create_dir_all(folder).map_err(|error| failed("create", folder, error))?;
        let above = folder.ancestors().skip(1).take_while(|above| above.starts_with(&self.root));
        for parent in above {
            self.disk.sync_dir(parent).map_err(|error| failed("sync", parent, error))?;
        }
        durable.insert(folder.to_owned());
        Ok(())
    }
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::with_source(ErrorKind::Io, format!("cannot {what} {}: {error}", path.display()), error)
}

/// `yyyy-mm-dd` of a day since 1970-01-01 (proleptic Gregorian; days_from_civil of Howard Hinnant, inverted).
pub(crate) fn date_text(day: i32) -> String {
    let shifted = i64::from(day) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        let cases = [(0, "1970-01-01"), (-1, "1969-12-31"), (19_386, "2023-01-29"), (11_016, "2000-02-29")];
        for (day, date) in cases {
            assert_eq!(date_text(day), date);
        }
    }
}
