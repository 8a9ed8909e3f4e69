//! Checks the files that a data directory has one of: VERSION, LOCK, and SQLite's.

use std::path::Path;

use super::report::{Report, Severity};
use crate::catalog::SqliteCatalog;
use crate::data_directory::{Fixed, read_version};
use crate::error::Error;

pub(super) fn check_version(root: &Path, report: &mut Report) -> Option<Fixed> {
    let file = Path::new("VERSION");
    report.checked.files += 1;
    match read_version(root) {
        Ok(Some(fixed)) => return Some(fixed),
        Ok(None) => {
            let what = "VERSION is not there: this is no data directory, or one that was half restored";
            report.add(
                Severity::Damage,
                file,
                None,
                what,
                "run `skein doctor DIR`, which can make it again from a segment",
            );
        }
        Err(error) => {
            report.add(
                Severity::Damage,
                file,
                Some(0),
                error.to_string(),
                "run `skein doctor DIR`, which can make it again from a segment",
            );
        }
    }
    None
}

/// LOCK holds the process id of its last holder for people; what locks is the kernel.
pub(super) fn check_lock(root: &Path, report: &mut Report) {
    let Ok(text) = std::fs::read(root.join("LOCK")) else { return };
    report.checked.files += 1;
    let sound = text.is_empty()
        || text.strip_suffix(b"\n").is_some_and(|digits| {
            !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) && digits[0] != b'0'
        });
    if !sound {
        let what = "LOCK does not hold a process id; the lock itself is the kernel's and works all the same";
        report.add(
            Severity::Warning,
            Path::new("LOCK"),
            Some(0),
            what,
            "nothing: the next server writes it anew",
        );
    }
}

pub(super) fn check_sqlite(
    file: &Path,
    found: Result<Vec<String>, Error>,
    advice: &str,
    report: &mut Report,
) {
    match found {
        Ok(lines) => {
            for line in lines {
                report.add(Severity::Damage, file, None, format!("SQLite finds: {line}"), advice);
            }
        }
        Err(error) => report.add(Severity::Damage, file, None, error.to_string(), advice),
    }
}

pub(super) fn check_registry(root: &Path, report: &mut Report) {
    let path = root.join("registry.sqlite");
    if path.exists() {
        report.checked.files += 1;
        let found = SqliteCatalog::integrity_of(&path);
        check_sqlite(Path::new("registry.sqlite"), found, "restore it from a backup", report);
    }
}
