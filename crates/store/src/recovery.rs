//! Opening the store, and what it does about damage: a damaged file is set aside with its reason, and
//! everything else serves. Nothing is guessed and nothing that may still be needed is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog::{PartitionMark, SegmentId, SegmentRow};
use crate::error::{Error, ErrorKind};
use crate::files::Files;
use crate::imports::Imports;
use crate::segment::Segment;
use crate::store::{Inner, PartitionState, State, Store, StoreConfig, StoredFile, Surroundings};

/// Something that is not as it should be, for people to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The segment, where it is about one.
    pub segment: Option<SegmentRow>,
    /// The file.
    pub path: PathBuf,
    /// What was found, and what can be done.
    pub message: String,
}

/// Kinds of [`Finding`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FindingKind {
    /// A damaged segment; its file lies in `quarantine/`.
    SetAside,
    /// The catalog names a segment whose file is not there.
    Missing,
    /// A segment that this version cannot read, or whose file the operating system refuses to open.
    Unreadable,
    /// A file without a row in the catalog that was kept, because what replaces it is damaged.
    KeptOrphan,
    /// A file below `segments/` that is none of ours.
    Unknown,
}

impl Store {
    /// Opens the store over its data directory.
    ///
    /// Comes before the log is opened, which replays the records from [`Store::watermarks`] on.
    pub fn open(config: StoreConfig, surroundings: Surroundings) -> Result<Store, Error> {
        let root = config.data_directory.clone();
        let files = Files::new(Arc::clone(&surroundings.disk), root, config.access);
        files.prepare()?;
        let catalog = &surroundings.catalog;
        let found = files.find()?;
        if catalog.partitions()?.is_empty() && found.iter().any(|file| file.id.is_some()) {
            let message = format!(
                "the catalog is empty, but segments/ holds {} files: catalog.sqlite was lost. \
                 Restore it from a backup; the files and the log are untouched",
                found.len()
            );
            return Err(Error::damaged(message));
        }
        let marks = catalog.take_over(config.partitions)?;
        if marks.len() != usize::from(config.partitions) {
            let message =
                format!("the catalog has {} partitions, VERSION says {}", marks.len(), config.partitions);
            return Err(Error::damaged(message));
        }
        let imports = Imports::load(catalog.imports()?);
        let mut findings = Vec::new();
        let mut open = Vec::new();
        let rows = catalog.segments()?;
        for row in &rows {
            open.extend(open_row(&files, row, &mut findings));
        }
        let counted: BTreeSet<&SegmentId> = rows.iter().map(|row| &row.id).collect();
        let orphans =
            found.into_iter().filter(|file| file.id.as_ref().is_none_or(|id| !counted.contains(id)));
        for orphan in orphans {
            findings.extend(remove_orphan(&files, &orphan.path, orphan.id.as_ref(), &open, &rows));
        }
        let mut by_environment: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for file in open {
            let files = by_environment.entry(file.row.environment.clone()).or_default();
            files.insert(file.row.id.clone(), file);
        }
        let state = State {
            partitions: marks.into_iter().map(fresh_partition).collect(),
            files: by_environment,
            retired: Vec::new(),
            unsettled: Vec::new(),
            findings,
            version: 1,
            next_block: 0,
            next_segment: 0,
            running: false,
            stopping: false,
        };
        Ok(Store::new(config, surroundings, state, imports))
    }

    /// Reports that a segment of a snapshot turned out to be damaged when it was read. Its file is set aside,
    /// and later snapshots do without it.
    pub fn report_damage(&self, segment: &Arc<Segment>, error: &Error) {
        self.inner.set_aside(segment, error);
    }
}

fn fresh_partition(mark: PartitionMark) -> PartitionState {
    PartitionState { next: mark.low, mark, heads: BTreeMap::new() }
}

/// Opens a file that counts; what cannot be opened becomes a finding.
fn open_row(files: &Files, row: &SegmentRow, findings: &mut Vec<Finding>) -> Option<StoredFile> {
    let path = files.path(&row.environment, row.day, &row.id);
    let opened = files.open(&path).and_then(|segment| {
        let same = segment.environment() == &row.environment
            && segment.partition() == row.partition
            && u64::from(segment.rows()) == row.rows;
        if same { Ok(segment) } else { Err(Error::damaged("the file is not the segment the catalog names")) }
    });
    let error = match opened {
        Ok(segment) => return Some(StoredFile { row: row.clone(), path, segment: Arc::new(segment) }),
        Err(error) => error,
    };
    let finding = if is_missing(&error) {
        let message = format!("the file is missing. {}", what_can_be_replayed(row));
        Finding { kind: FindingKind::Missing, segment: Some(row.clone()), path, message }
    } else if error.kind() == ErrorKind::Damaged {
        set_file_aside(files, row, &path, &error)
    } else {
        let message = error.to_string();
        Finding { kind: FindingKind::Unreadable, segment: Some(row.clone()), path, message }
    };
    findings.push(finding);
    None
}

fn is_missing(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|source| source.kind() == std::io::ErrorKind::NotFound)
}

/// Moves a damaged file away; a disk that refuses even that is part of the finding.
fn set_file_aside(files: &Files, row: &SegmentRow, path: &Path, error: &Error) -> Finding {
    let reason = format!("{error}\n{}\n", what_can_be_replayed(row));
    let (path, message) = match files.set_aside(path, &reason) {
        Ok(quarantined) => (quarantined, reason),
        Err(failure) => (path.to_owned(), format!("{reason}It could not be set aside: {failure}\n")),
    };
    Finding { kind: FindingKind::SetAside, segment: Some(row.clone()), path, message }
}

fn what_can_be_replayed(row: &SegmentRow) -> String {
    format!(
        "It holds {} events of environment {}, partition {}, offsets {} to {}; the log keeps records for up to \
         24 hours after they were committed, and from it they can be replayed",
        row.rows, row.environment, row.partition.0, row.offset_range.0, row.offset_range.1
    )
}

/// Removes a file that does not count: a flush or compaction that ended before its commit, or an input of one
/// that ended after it. No snapshot is open yet. An input stays while the segment that replaces it cannot be
/// trusted whole.
fn remove_orphan(
    files: &Files,
    path: &Path,
    id: Option<&SegmentId>,
    open: &[StoredFile],
    rows: &[SegmentRow],
) -> Option<Finding> {
    let finding =
        |kind, message: String| Some(Finding { kind, segment: None, path: path.to_owned(), message });
    let Some(id) = id else {
        return finding(FindingKind::Unknown, "this file is none of Skein's; it is left alone".to_owned());
    };
    let replacement = open.iter().find(|file| file.segment.replaces().any(|name| name == id.as_str()));
    let kept = match replacement {
        Some(file) => file.segment.verify().err().map(|error| error.to_string()),
        // Whatever replaced it may be the one that cannot be opened.
        None if open.len() < rows.len() => Some("a segment that counts cannot be opened".to_owned()),
        None => None,
    };
    match kept {
        Some(reason) => {
            let message =
                format!("this file does not count, but is kept, since its events may be needed: {reason}");
            finding(FindingKind::KeptOrphan, message)
        }
        None => match files.remove(path) {
            Ok(()) => None,
            Err(error) => finding(FindingKind::Unreadable, error.to_string()),
        },
    }
}

impl Inner {
    /// Sets a segment's file aside, and shows snapshots without it from now on.
    pub(crate) fn set_aside(&self, segment: &Arc<Segment>, error: &Error) {
        let file = {
            let mut state = self.state();
            let is_it = |file: &&StoredFile| Arc::ptr_eq(&file.segment, segment);
            let found = state.files.values().flat_map(BTreeMap::values).find(is_it).cloned();
            let Some(file) = found else { return };
            if let Some(files) = state.files.get_mut(&file.row.environment) {
                files.remove(&file.row.id);
            }
            state.version += 1;
            file
        };
        let finding = set_file_aside(&self.files, &file.row, &file.path, error);
        let now = self.clock.now_ns();
        self.observe_failure("quarantine", now, now, file.row.partition, error);
        self.state().findings.push(finding);
    }
}
