//! Copies a data directory beside the server that has it: hard links where the disk allows them and copies where
//! not, files that never change once for all backups of a folder, the rest once per backup.
//!
//! A backup counts from the moment its manifest is there. One that broke off leaves the one before untouched, and
//! the next goes on with the files that it had brought already.
//!
//! What it refuses: to take a damaged segment for a good one. It is named, an earlier backup's copy of it is kept,
//! and the backup says that it is incomplete.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use skein_event::ids::Partition;
use skein_log::disk::Disk;
use skein_log::inspect;

use super::manifest::{
    Entry, Manifest, copy_file, digest_file, failed, manifest_name, newest, numbers, run_name,
    sync_folder_of, write_file,
};
use super::report::{Progress, Remark, Severity, Step};
use super::verify::difference;
use crate::catalog::{Catalog as _, Content, SegmentRow, SqliteCatalog};
use crate::data_directory::{lock, read_version};
use crate::error::{Error, ErrorKind};
use crate::files::{FileAccess, Files};
use crate::lease::Lease;
use crate::retention;

/// How a backup is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BackupOptions {
    /// Copy every file: a hard link is no second copy when the disk goes bad, only when a file is deleted.
    pub copy: bool,
    /// The time.
    pub now_ns: i64,
}

/// What a backup did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BackupReport {
    /// The number of the backup in its folder.
    pub number: u64,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are hard links.
    pub linked: u64,
    /// Files that were copied.
    pub copied: u64,
    /// Files that an earlier backup, or one that broke off, had brought already.
    pub reused: u64,
    /// What is damaged and could not be taken.
    pub remarks: Vec<Remark>,
}

struct Backup<'a> {
    root: &'a Path,
    target: &'a Path,
    disk: &'a dyn Disk,
    options: BackupOptions,
    previous: Option<Manifest>,
    manifest: Manifest,
    report: BackupReport,
    progress: Progress<'a>,
    total: u64,
}

/// Backs a data directory up into a folder of its own.
pub fn backup(
    root: &Path,
    target: &Path,
    disk: &dyn Disk,
    options: BackupOptions,
    progress: Progress<'_>,
) -> Result<BackupReport, Error> {
    if read_version(root)?.is_none() {
        let message = format!("{} is no data directory: it has no VERSION", root.display());
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    disk.create_dir_all(target).map_err(|error| failed("create", target, error))?;
    let canonical = |path: &Path| path.canonicalize().map_err(|error| failed("find", path, error));
    let (real_root, real_target) = (canonical(root)?, canonical(target)?);
    if real_root.starts_with(&real_target) || real_target.starts_with(&real_root) {
        let message = "a backup cannot lie in the data directory, nor the other way round";
        return Err(Error::new(ErrorKind::Refused, message));
    }
    refuse_strangers(disk, target)?;
    let _alone = lock(target)?;
    let _lease = Lease::take(root)?;
    let (previous, _) = newest(disk, target)?;
    let found = numbers(disk, target)?;
    let number = found.iter().map(|(number, _)| *number).max().unwrap_or(0) + 1;
    let mut backup = Backup {
        root,
        target,
        disk,
        options,
        previous,
        manifest: Manifest { number, created_ns: options.now_ns, ..Manifest::default() },
        report: BackupReport { number, ..BackupReport::default() },
        progress,
        total: 0,
    };
    backup.run()?;
    Ok(backup.report)
}

/// A folder that holds anything else is none of ours.
fn refuse_strangers(disk: &dyn Disk, target: &Path) -> Result<(), Error> {
    let entries = disk.list(target).map_err(|error| failed("list", target, error))?;
    let ours = |name: &str| {
        name == "LOCK" || name == "pool" || name.starts_with("manifest-") || name.starts_with("run-")
    };
    match entries.iter().find(|entry| !ours(&entry.name)) {
        Some(entry) => {
            let message = format!(
                "{} holds {}, which is no part of a backup; name an empty folder",
                target.display(),
                entry.name
            );
            Err(Error::new(ErrorKind::Refused, message))
        }
        None => Ok(()),
    }
}

impl Backup<'_> {
    fn run(&mut self) -> Result<(), Error> {
        // Keys of committed records first, then the catalog, then the log: each is at least as new as the one
        // before it needs, and the lease keeps what the catalog names.
        self.take_folder("state")?;
        let content = self.take_catalog()?;
        let log = self.list_log()?;
        self.total = content.segments.iter().map(|row| row.bytes).sum::<u64>()
            + log.iter().map(|file| file.bytes).sum::<u64>();
        for row in &content.segments {
            self.take_segment(row)?;
            (self.progress)(Step { what: "backup", done: row.bytes, total: self.total });
        }
        // Both are noted before the catalog shows it: read before it, they might not say why something is gone. An
        // erasure does not end while the lease keeps a segment that it takes something of.
        self.take_folder("erasures")?;
        if self.root.join("state").join(retention::FILE).exists() {
            self.take_into_run(&Path::new("state").join(retention::FILE))?;
        }
        for file in log {
            let name = file.path.strip_prefix(self.root).unwrap_or(&file.path).to_path_buf();
            // The last file of a partition may be growing: it belongs to this backup alone.
            match file.limit {
                Some(_) => self.take_unchanging(&name, file.bytes)?,
                None => self.take_into_run(&name)?,
            }
            (self.progress)(Step { what: "backup", done: file.bytes, total: self.total });
        }
        let registry = Path::new("registry.sqlite");
        if self.root.join(registry).exists() {
            self.take_sqlite(registry)?;
        }
        self.take_into_run(Path::new("VERSION"))?;
        self.finish()
    }

    fn run_path(&self, name: &Path) -> PathBuf {
        PathBuf::from(run_name(self.manifest.number)).join(name)
    }

    fn list(&mut self, name: &Path, stored: PathBuf, (digest, bytes): (String, u64)) {
        self.report.files += 1;
        self.report.bytes += bytes;
        self.manifest.files.insert(name.to_path_buf(), Entry { digest, bytes, stored });
    }

    /// A file that may change: copied as it is now.
    fn take_into_run(&mut self, name: &Path) -> Result<(), Error> {
        let stored = self.run_path(name);
        let copied = copy_file(self.disk, &self.root.join(name), &self.target.join(&stored))?;
        self.report.copied += 1;
        self.list(name, stored, copied);
        Ok(())
    }

    fn take_folder(&mut self, folder: &str) -> Result<(), Error> {
        let path = self.root.join(folder);
        let entries = match self.disk.list(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("list", &path, error)),
        };
        // `readers` is the lock of our own lease; what retention has removed is read after the catalog.
        let ours = |name: &str| name != "readers" && name != retention::FILE && !name.ends_with(".new");
        for entry in entries.iter().filter(|entry| !entry.is_directory && ours(&entry.name)) {
            self.take_into_run(&Path::new(folder).join(&entry.name))?;
        }
        Ok(())
    }

    fn take_sqlite(&mut self, name: &Path) -> Result<PathBuf, Error> {
        let stored = self.run_path(name);
        let path = self.target.join(&stored);
        if let Some(folder) = path.parent() {
            self.disk.create_dir_all(folder).map_err(|error| failed("create", folder, error))?;
        }
        SqliteCatalog::copy_of(&self.root.join(name), &path)?;
        let file = self.disk.open(&path).map_err(|error| failed("open", &path, error))?;
        file.sync_data().map_err(|error| failed("sync", &path, error))?;
        sync_folder_of(self.disk, &path)?;
        let copied = digest_file(self.disk, &path, |_, _| Ok(()))?;
        self.report.copied += 1;
        self.list(name, stored, copied);
        Ok(path)
    }

    fn take_catalog(&mut self) -> Result<Content, Error> {
        let copy = self.take_sqlite(Path::new("catalog.sqlite"))?;
        let catalog = SqliteCatalog::open_to_read(&copy)?;
        let content = catalog.content()?;
        catalog.close()?;
        Ok(content)
    }

    fn list_log(&self) -> Result<Vec<inspect::LogFile>, Error> {
        let failed = |error: skein_log::Error| Error::with_source(ErrorKind::Io, error.to_string(), error);
        let partitions: Vec<Partition> = inspect::partitions(self.disk, self.root).map_err(failed)?;
        let files = partitions.into_iter().map(|partition| inspect::files(self.disk, self.root, partition));
        Ok(files.collect::<Result<Vec<_>, _>>().map_err(failed)?.into_iter().flatten().collect())
    }

    fn take_segment(&mut self, row: &SegmentRow) -> Result<(), Error> {
        let files = Files::shared_real(self.root.to_path_buf(), FileAccess::Map);
        let path = files.path_of(row);
        let name = path.strip_prefix(self.root).unwrap_or(&path).to_path_buf();
        if self.reuse(&name, row.bytes)? {
            return Ok(());
        }
        let problem = match files.open(&path) {
            Ok(segment) => difference(row, &segment).or_else(|| {
                segment.problems().first().map(|problem| format!("{}: {}", problem.what, problem.message))
            }),
            Err(error) => Some(error.to_string()),
        };
        match problem {
            None => self.take_unchanging(&name, row.bytes),
            Some(problem) => {
                let what = format!("the segment is damaged and was not taken: {problem}");
                let advice = "run `skein verify DIR`, then `skein doctor DIR`, then back up again";
                self.report.remarks.push(Remark {
                    severity: Severity::Damage,
                    file: name,
                    offset: None,
                    what,
                    advice: advice.to_owned(),
                });
                Ok(())
            }
        }
    }

    /// Takes over what an earlier backup in this folder has.
    fn reuse(&mut self, name: &Path, bytes: u64) -> Result<bool, Error> {
        let Some(entry) = self.previous.as_ref().and_then(|previous| previous.files.get(name)) else {
            return Ok(false);
        };
        let entry = entry.clone();
        let path = self.target.join(&entry.stored);
        let len = self.disk.open_read(&path).and_then(|file| file.len()).unwrap_or(u64::MAX);
        if entry.bytes != bytes || len != bytes || !entry.stored.starts_with("pool") {
            return Ok(false);
        }
        self.report.reused += 1;
        self.list(name, entry.stored, (entry.digest, bytes));
        Ok(true)
    }

    /// A file that never changes under its name: linked or copied into the pool, once for all backups.
    fn take_unchanging(&mut self, name: &Path, bytes: u64) -> Result<(), Error> {
        if self.reuse(name, bytes)? {
            return Ok(());
        }
        let stored = Path::new("pool").join(name);
        let (from, to) = (self.root.join(name), self.target.join(&stored));
        if self.disk.open_read(&to).is_ok() {
            // A backup that broke off brought it, perhaps: only its bytes can tell.
            let found = digest_file(self.disk, &to, |_, _| Ok(()))?;
            if found == digest_file(self.disk, &from, |_, _| Ok(()))? {
                self.report.reused += 1;
                self.list(name, stored, found);
                return Ok(());
            }
            self.disk.remove(&to).map_err(|error| failed("remove", &to, error))?;
        }
        if let Some(folder) = to.parent() {
            self.disk.create_dir_all(folder).map_err(|error| failed("create", folder, error))?;
        }
        let found = if !self.options.copy && self.disk.link(&from, &to).is_ok() {
            sync_folder_of(self.disk, &to)?;
            self.report.linked += 1;
            digest_file(self.disk, &to, |_, _| Ok(()))?
        } else {
            self.report.copied += 1;
            copy_file(self.disk, &from, &to)?
        };
        self.list(name, stored, found);
        Ok(())
    }

    /// Makes the backup count, then removes what only earlier ones needed.
    fn finish(&mut self) -> Result<(), Error> {
        // What a damaged source has no good copy of any more, an earlier backup may.
        for remark in &mut self.report.remarks {
            let kept = self.previous.as_ref().and_then(|previous| previous.files.get(&remark.file));
            if let Some(entry) = kept {
                remark.what += "; the copy of an earlier backup is kept";
                self.manifest.files.insert(remark.file.clone(), entry.clone());
            }
        }
        self.sync_folders()?;
        let path = self.target.join(manifest_name(self.manifest.number));
        write_file(self.disk, &path, self.manifest.text().as_bytes())?;
        self.remove_unneeded()
    }

    /// The names of folders count as much as those in them.
    fn sync_folders(&self) -> Result<(), Error> {
        let mut folders = BTreeSet::new();
        for entry in self.manifest.files.values() {
            folders.extend(entry.stored.ancestors().skip(1).map(|folder| self.target.join(folder)));
        }
        for folder in folders {
            self.disk.sync_dir(&folder).map_err(|error| failed("sync", &folder, error))?;
        }
        Ok(())
    }

    fn remove_unneeded(&self) -> Result<(), Error> {
        let keep: BTreeSet<PathBuf> =
            self.manifest.files.values().map(|entry| self.target.join(&entry.stored)).collect();
        for (number, name) in numbers(self.disk, self.target)? {
            let path = self.target.join(&name);
            if number == self.manifest.number {
                continue;
            }
            // A folder of a run goes with its files, below; what of a manifest was never finished, too.
            if name.starts_with("manifest-") {
                self.disk.remove(&path).map_err(|error| failed("remove", &path, error))?;
            }
        }
        self.disk.sync_dir(self.target).map_err(|error| failed("sync", self.target, error))?;
        for entry in self.disk.list(self.target).map_err(|error| failed("list", self.target, error))? {
            if entry.is_directory {
                self.remove_below(&self.target.join(&entry.name), &keep)?;
            }
        }
        Ok(())
    }

    fn remove_below(&self, folder: &Path, keep: &BTreeSet<PathBuf>) -> Result<(), Error> {
        for entry in self.disk.list(folder).map_err(|error| failed("list", folder, error))? {
            let path = folder.join(&entry.name);
            if entry.is_directory {
                self.remove_below(&path, keep)?;
            } else if !keep.contains(&path) {
                self.disk.remove(&path).map_err(|error| failed("remove", &path, error))?;
            }
        }
        // Empty folders stay: they cost nothing, and the next backup may need them.
        Ok(())
    }
}
