//! Opening the store, and what it does about damage: a damaged file is set aside with its reason, and
//! everything else serves. Nothing is guessed and nothing that may still be needed is removed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skein_log::disk::Disk;
use skein_log::inspect;

use crate::catalog::{PartitionMark, SegmentId, SegmentRow};
use crate::config::{StoreConfig, Surroundings};
use crate::erasures::Erasures;
use crate::error::{Error, ErrorKind};
use crate::file_table::{FileTable, TraceLayout};
use crate::files::Files;
use crate::footers::{self, Footers};
use crate::handle::SegmentHandle;
use crate::imports::Imports;
use crate::opener::Opener;
use crate::retention::Horizons;
use crate::store::{Inner, PartitionState, State, Store, StoredFile};
use crate::written::Written;

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
    /// A derived file was lost or damaged, and is made anew.
    Derived,
    /// A record of the log was whole at the start and is damaged now.
    LogDamaged,
}

impl Store {
    /// Opens the store over its data directory.
    ///
    /// Comes before the log is opened, which replays the records from [`Store::watermarks`] on.
    pub fn open(config: StoreConfig, surroundings: Surroundings) -> Result<Store, Error> {
        let root = config.data_directory.clone();
        let files = Arc::new(Files::new(Arc::clone(&surroundings.disk), root, config.access));
        files.prepare()?;
        let catalog = &surroundings.catalog;
        let found = files.find()?;
        if catalog.partitions()?.is_empty() && found.iter().any(|file| file.id.is_some()) {
            let message = format!(
                "the catalog is empty, but segments/ holds {} files: catalog.sqlite was lost. \
                 Run `skein doctor DIR --rebuild-catalog`, which makes it again from them and the log; both are untouched",
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
        let erasures = Erasures::load(&files)?;
        let horizons = Horizons::load(&files)?;
        let mut findings = Vec::new();
        let opener = Arc::new(Opener::new(Arc::clone(&files), config.hash_key, config.open_segments_max));
        let layout = TraceLayout { partitions: config.partitions, hash_key: config.hash_key };
        let mut table = FileTable::new(layout);
        let rows = catalog.segments()?;
        let known = Footers::open(Arc::clone(&files), config.hash_key, &rows);
        let on_disk: HashMap<&Path, u64> = found.iter().map(|file| (file.path.as_path(), file.len)).collect();
        for row in &rows {
            if let Some(finding) = check_row(&files, row, &on_disk) {
                findings.push(finding);
                continue;
            }
            let handle = Arc::new(SegmentHandle::file(row.clone(), Arc::clone(&opener)));
            handle.remember(known.summaries.get(&row.id).cloned());
            let file = StoredFile { row: row.clone(), handle };
            file.handle.set_erasures(erasures.of_file(&file));
            table.insert(file);
        }
        let counted: BTreeSet<&SegmentId> = rows.iter().map(|row| &row.id).collect();
        let orphans = found.iter().filter(|file| file.id.as_ref().is_none_or(|id| !counted.contains(id)));
        for orphan in orphans {
            let all_there = findings.is_empty();
            let log = LogCover { disk: &*surroundings.disk, root: &config.data_directory, marks: &marks };
            findings.extend(remove_orphan(&files, &orphan.path, orphan.id.as_ref(), &table, &log, all_there));
        }
        findings.extend(derived_anew(&config, &known, rows.len()));
        let state = State {
            partitions: marks.into_iter().map(fresh_partition).collect(),
            files: table,
            retired: Vec::new(),
            unsettled: Vec::new(),
            findings,
            erasures,
            tiers_passed: BTreeMap::new(),
            written: Written::default(),
            horizons,
            version: 1,
            next_block: 0,
            next_segment: 0,
            running: false,
            stopping: false,
            settling: false,
            retained_ns: i64::MIN,
        };
        Ok(Store::new(config, surroundings, (opener, known.footers), state, imports))
    }
}

/// What is said when not every segment has its summary.
fn derived_anew(config: &StoreConfig, known: &footers::Opened, segments: usize) -> Option<Finding> {
    let missing = segments.saturating_sub(known.summaries.len());
    if missing == 0 {
        return None;
    }
    let why = match &known.problem {
        Some(problem) => format!("it cannot be used ({problem})"),
        None => format!("it lacks {missing} of {segments} segments"),
    };
    let message = format!("{why}; it is made anew from the segments, and nothing is lost");
    let path = config.data_directory.join(footers::NAME);
    Some(Finding { kind: FindingKind::Derived, segment: None, path, message })
}

fn fresh_partition(mark: PartitionMark) -> PartitionState {
    PartitionState { next: mark.low, mark, heads: BTreeMap::new() }
}

/// Whether the file of a row is there in its length. Whether it is whole shows when it is opened.
fn check_row(files: &Files, row: &SegmentRow, on_disk: &HashMap<&Path, u64>) -> Option<Finding> {
    let path = files.path(&row.environment, row.day, &row.id);
    match on_disk.get(path.as_path()) {
        Some(&len) if len == row.bytes => None,
        Some(len) => {
            let message = format!("the file has {len} bytes, the catalog says {}", row.bytes);
            Some(set_file_aside(files, row, &path, &message))
        }
        None => Some(missing(row, path)),
    }
}

fn missing(row: &SegmentRow, path: PathBuf) -> Finding {
    let message = format!("the file is missing. {}", what_can_be_replayed(row));
    Finding { kind: FindingKind::Missing, segment: Some(row.clone()), path, message }
}

/// Moves a damaged file away; a disk that refuses even that is part of the finding.
fn set_file_aside(files: &Files, row: &SegmentRow, path: &Path, error: &str) -> Finding {
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
    table: &FileTable,
    log: &LogCover<'_>,
    all_there: bool,
) -> Option<Finding> {
    let finding =
        |kind, message: String| Some(Finding { kind, segment: None, path: path.to_owned(), message });
    let Some(id) = id else {
        return finding(FindingKind::Unknown, "this file is none of Skein's; it is left alone".to_owned());
    };
    let kept = match all_there {
        true => replaced_safely(path, id, files, table)
            .map_err(|reason| (FindingKind::KeptOrphan, reason))
            .and_then(|()| log.covers(path, files))
            .err(),
        // Whatever replaced it may be the one that is not there.
        false => Some((FindingKind::KeptOrphan, "a segment that counts is not there".to_owned())),
    };
    match kept {
        Some((kind, reason)) => {
            let message =
                format!("this file does not count, but is kept, since its events may be needed: {reason}");
            finding(kind, message)
        }
        None => match files.remove(path) {
            Ok(()) => None,
            Err(error) => finding(FindingKind::Unreadable, error.to_string()),
        },
    }
}

/// Whether nothing of a file can still be needed: no segment beside it was merged from it, or the one that was is
/// whole. The only question for which opening the store looks into files, and only where one was left over.
fn replaced_safely(path: &Path, id: &SegmentId, files: &Files, table: &FileTable) -> Result<(), String> {
    let beside = |row: &SegmentRow| files.path(&row.environment, row.day, &row.id).parent() == path.parent();
    for file in table.iter().filter(|file| beside(&file.row)) {
        let segment = file
            .handle
            .open_whole()
            .map_err(|error| format!("a segment that counts cannot be opened: {error}"))?;
        if segment.replaces().any(|name| name == id.as_str()) {
            return segment.verify().map_err(|error| error.to_string());
        }
    }
    Ok(())
}

/// What the log still has, for files that a flush left over.
struct LogCover<'a> {
    disk: &'a dyn Disk,
    root: &'a Path,
    marks: &'a [PartitionMark],
}

impl LogCover<'_> {
    /// Whether the log replays what a file holds beyond the low watermark. It does after a flush that did not end; it
    /// may not when the catalog has lost its last commits, and then the file is all that is left.
    fn covers(&self, path: &Path, files: &Files) -> Result<(), (FindingKind, String)> {
        let segment = files.open(path).map_err(|error| match error.kind() {
            ErrorKind::Damaged => (FindingKind::KeptOrphan, error.to_string()),
            _ => (FindingKind::Unreadable, error.to_string()),
        })?;
        let low = self.marks.iter().find(|mark| mark.partition == segment.partition()).map(|mark| mark.low.0);
        let low = low.unwrap_or(0);
        let is_merge = segment.replaces().next().is_some();
        if is_merge || segment.offset_range().1 < low {
            return Ok(());
        }
        let folder = self.root.join("log").join(segment.partition().0.to_string());
        let log = match inspect::files(self.disk, self.root, segment.partition()) {
            Ok(log) => log,
            // A log that lies elsewhere is not ours to doubt.
            Err(_) if matches!(self.disk.list(&folder), Err(error) if error.kind() == io::ErrorKind::NotFound) =>
            {
                return Ok(());
            }
            Err(error) => return Err((FindingKind::Unreadable, error.to_string())),
        };
        if log.first().is_some_and(|file| file.first_offset <= low) {
            return Ok(());
        }
        let begins =
            log.first().map_or_else(|| "nowhere".to_owned(), |file| format!("at {}", file.first_offset));
        let reason = format!(
            "the catalog says that records below {low} are in segments, and the log begins {begins}: the catalog seems \
             to have lost its last commits. Run `skein doctor DIR --rebuild-catalog`"
        );
        Err((FindingKind::KeptOrphan, reason))
    }
}

impl Inner {
    /// Sets aside the files that turned out to be damaged since the last call, and shows snapshots without them
    /// from now on. What cannot be read for another reason stays, and is found out about again.
    pub(crate) fn set_failed_aside(&self) {
        for (id, error) in self.opener.take_damaged_summaries() {
            let message =
                format!("the entry of segment {id} is damaged ({error}); it was made anew from the segment");
            let path = self.config.data_directory.join(footers::NAME);
            let finding = Finding { kind: FindingKind::Derived, segment: None, path, message };
            self.footers.remove(std::iter::once(&id));
            self.state().findings.push(finding);
        }
        let failures = std::mem::take(&mut *self.opener.failures());
        for failed in failures {
            let path = self.opener.path(&failed.row);
            if failed.kind != ErrorKind::Damaged && !failed.is_missing {
                let message = failed.message;
                let kind = FindingKind::Unreadable;
                let finding = Finding { kind, segment: Some(failed.row), path, message };
                self.state().findings.push(finding);
                continue;
            }
            {
                let mut state = self.state();
                if state.files.remove(&failed.row.id).is_none() {
                    continue;
                }
                state.version += 1;
            }
            let finding = if failed.is_missing {
                missing(&failed.row, path)
            } else {
                set_file_aside(&self.files, &failed.row, &path, &failed.message)
            };
            let now = self.clock.now_ns();
            let error = Error::new(failed.kind, failed.message);
            self.observe_failure("quarantine", now, now, failed.row.partition, &error);
            self.state().findings.push(finding);
        }
    }
}
