//! What a check found: each remark names the file, the place in it, what is wrong and what to do about it.

use std::path::{Path, PathBuf};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Something is not as it should be, and no event is affected.
    Warning,
    /// Bytes are not what was written, or events are missing, altered or there twice.
    Damage,
}

impl Severity {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Damage => "damage",
        }
    }
}

/// Something that a check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remark {
    /// How bad it is.
    pub severity: Severity,
    /// The file, below the data directory.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub offset: Option<u64>,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

/// How much was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// Files read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Segments that count.
    pub segments: u64,
    /// Their events.
    pub events: u64,
    /// Records of the log.
    pub log_records: u64,
    /// Events of the log that were compared with those in segments.
    pub compared_events: u64,
    /// Events of the log that are not in segments yet.
    pub unflushed_events: u64,
}

/// Everything that a check found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// What it found, in the order of the files.
    pub remarks: Vec<Remark>,
    /// How much was looked at.
    pub checked: Checked,
}

impl Report {
    /// Whether there is no damage.
    pub fn is_sound(&self) -> bool {
        self.remarks.iter().all(|remark| remark.severity < Severity::Damage)
    }

    /// Remarks of damage.
    pub fn damage(&self) -> impl Iterator<Item = &Remark> {
        self.remarks.iter().filter(|remark| remark.severity == Severity::Damage)
    }

    pub(crate) fn add(
        &mut self,
        severity: Severity,
        file: &Path,
        offset: Option<u64>,
        what: impl Into<String>,
        advice: &str,
    ) {
        let (what, advice) = (what.into(), advice.to_owned());
        self.remarks.push(Remark { severity, file: file.to_path_buf(), offset, what, advice });
    }

    pub(crate) fn append(&mut self, other: Report) {
        self.remarks.extend(other.remarks);
        let (ours, theirs) = (&mut self.checked, other.checked);
        ours.files += theirs.files;
        ours.bytes += theirs.bytes;
        ours.segments += theirs.segments;
        ours.events += theirs.events;
        ours.log_records += theirs.log_records;
        ours.compared_events += theirs.compared_events;
        ours.unflushed_events += theirs.unflushed_events;
    }
}

/// How far a piece of work is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// What is done.
    pub what: &'static str,
    /// Bytes done since the last step.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Hears of each step; called from several threads.
pub type Progress<'a> = &'a (dyn Fn(Step) + Sync);
