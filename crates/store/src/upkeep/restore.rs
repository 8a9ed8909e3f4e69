//! Puts a backup back: every file is compared with the manifest on its way, and VERSION comes last, so that a
//! directory that was restored by half is never served.
//!
//! What it refuses: to write into a directory that holds anything, and to pass over a file that is not what was
//! backed up.

use std::path::{Path, PathBuf};

use skein_log::disk::Disk;

use super::manifest::{Manifest, copy_file, digest_file, failed, newest, write_file};
use super::report::{Progress, Report, Severity, Step};
use crate::data_directory::lock;
use crate::error::{Error, ErrorKind};

/// Says that a restore is under way, or broke off; the next one begins again.
const MARKER: &str = "RESTORING";

/// What a restore did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RestoreReport {
    /// The number of the backup.
    pub number: u64,
    /// When it was begun, epoch nanoseconds.
    pub created_ns: i64,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Manifests that were there and are not whole.
    pub broken: Vec<String>,
}

/// Restores the newest whole backup of a folder into an empty directory.
pub fn restore(
    target: &Path,
    root: &Path,
    disk: &dyn Disk,
    progress: Progress<'_>,
) -> Result<RestoreReport, Error> {
    let (manifest, broken) = whole(disk, target)?;
    disk.create_dir_all(root).map_err(|error| failed("create", root, error))?;
    let _lock = lock(root)?;
    let entries = disk.list(root).map_err(|error| failed("list", root, error))?;
    // Its own beginning, whole or not, is none of somebody's data.
    let is_ours = |name: &str| {
        name == "LOCK" || name.strip_prefix(MARKER).is_some_and(|rest| rest.is_empty() || rest == ".partial")
    };
    let is_begun = entries.iter().any(|entry| entry.name == MARKER);
    if let Some(entry) = entries.iter().find(|entry| !is_begun && !is_ours(&entry.name)) {
        let message =
            format!("{} is not empty: it holds {}. Restore into a new directory", root.display(), entry.name);
        return Err(Error::new(ErrorKind::Refused, message));
    }
    if is_begun && entries.iter().any(|entry| entry.name == "VERSION") {
        // Everything else is there: only the marker was left.
        let version = root.join("VERSION");
        disk.remove(&version).map_err(|error| failed("remove", &version, error))?;
    }
    write_file(disk, &root.join(MARKER), format!("backup {}\n", manifest.number).as_bytes())?;
    let total = manifest.files.values().map(|entry| entry.bytes).sum();
    let mut report = RestoreReport {
        number: manifest.number,
        created_ns: manifest.created_ns,
        broken,
        ..RestoreReport::default()
    };
    let version = PathBuf::from("VERSION");
    let mut bad = Vec::new();
    for (name, entry) in manifest.files.iter().filter(|(name, _)| **name != version) {
        match copy_file(disk, &target.join(&entry.stored), &root.join(name)) {
            Ok((digest, bytes)) if digest == entry.digest && bytes == entry.bytes => {
                report.files += 1;
                report.bytes += bytes;
            }
            Ok(_) => bad.push(format!("{} is not what was backed up", entry.stored.display())),
            Err(error) => bad.push(error.to_string()),
        }
        progress(Step { what: "restore", done: entry.bytes, total });
    }
    let Some(entry) = manifest.files.get(&version) else {
        return Err(Error::damaged("the manifest names no VERSION: it is none of a data directory"));
    };
    if digest_file(disk, &target.join(&entry.stored), |_, _| Ok(()))? != (entry.digest.clone(), entry.bytes) {
        bad.push(format!("{} is not what was backed up", entry.stored.display()));
    }
    if !bad.is_empty() {
        let message = format!(
            "{} of {} files of the backup are damaged, and {} is not restored: {}. Use another backup; what came is there \
             for looking at, and cannot be served",
            bad.len(),
            manifest.files.len(),
            root.display(),
            bad.join("; ")
        );
        return Err(Error::damaged(message));
    }
    sync_folders(disk, root, &manifest)?;
    copy_file(disk, &target.join(&entry.stored), &root.join(&version))?;
    report.files += 1;
    report.bytes += entry.bytes;
    let marker = root.join(MARKER);
    disk.remove(&marker).map_err(|error| failed("remove", &marker, error))?;
    disk.sync_dir(root).map_err(|error| failed("sync", root, error))?;
    Ok(report)
}

fn sync_folders(disk: &dyn Disk, root: &Path, manifest: &Manifest) -> Result<(), Error> {
    let folders = manifest.files.keys().flat_map(|name| name.ancestors().skip(1));
    let folders: std::collections::BTreeSet<PathBuf> = folders.map(|folder| root.join(folder)).collect();
    for folder in folders {
        disk.sync_dir(&folder).map_err(|error| failed("sync", &folder, error))?;
    }
    Ok(())
}

fn whole(disk: &dyn Disk, target: &Path) -> Result<(Manifest, Vec<String>), Error> {
    match newest(disk, target)? {
        (Some(manifest), broken) => Ok((manifest, broken)),
        (None, broken) if broken.is_empty() => {
            let message = format!(
                "{} holds no whole backup: none was made, or the first one broke off",
                target.display()
            );
            Err(Error::new(ErrorKind::NotFound, message))
        }
        (None, broken) => {
            let message = format!(
                "{}: {} is damaged, and no other backup is there",
                target.display(),
                broken.join(", ")
            );
            Err(Error::damaged(message))
        }
    }
}

/// Whether a folder is one of backups.
pub fn is_backup(disk: &dyn Disk, target: &Path) -> bool {
    newest(disk, target).is_ok_and(|(manifest, broken)| manifest.is_some() || !broken.is_empty())
}

/// Compares every file of a backup with its manifest.
pub fn check_backup(disk: &dyn Disk, target: &Path, progress: Progress<'_>) -> Result<Report, Error> {
    let (manifest, broken) = whole(disk, target)?;
    let mut report = Report::default();
    let advice = "make another backup into a new folder";
    for name in broken {
        report.add(Severity::Damage, Path::new(&name), None, "this manifest is not whole", advice);
    }
    let total = manifest.files.values().map(|entry| entry.bytes).sum();
    for entry in manifest.files.values() {
        match digest_file(disk, &target.join(&entry.stored), |_, _| Ok(())) {
            Ok((digest, bytes)) if digest == entry.digest && bytes == entry.bytes => {}
            Ok(_) => report.add(
                Severity::Damage,
                &entry.stored,
                None,
                "the file is not what was backed up",
                advice,
            ),
            Err(error) => report.add(Severity::Damage, &entry.stored, None, error.to_string(), advice),
        }
        report.checked.files += 1;
        report.checked.bytes += entry.bytes;
        progress(Step { what: "backup", done: entry.bytes, total });
    }
    Ok(report)
}
