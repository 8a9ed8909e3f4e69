//! A segment that counts, known by its row of the catalog and opened when it is touched.
//!
//! Thousands of segments cost their rows and nothing else: what a query prunes by lies in the row and in
//! `footers.cat`, and at most [`skein_event::limits::OPEN_SEGMENTS_MAX`] files are open at once. Opening is where a file
//! proves to be the one that the catalog means; one that is not is reported once, and the store sets it aside.
//!
//! What it refuses: to retry, and to touch a file for a question that the row answers.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use skein_event::batch::{Origin, Physical};
use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Partition};

use crate::catalog::{SegmentId, SegmentRow};
use crate::error::{Error, ErrorKind};
use crate::files::Files;
use crate::footers::{self, Summary};
use crate::segment::Segment;

/// A segment of a snapshot. While somebody holds it, its file stays.
pub struct SegmentHandle {
    /// What the catalog says; of a segment in memory, what it says itself.
    rows: u32,
    time_range: (i64, i64),
    source: Source,
    /// What is known without the file, once somebody has asked for it.
    summary: RwLock<Option<Arc<Summary>>>,
}

enum Source {
    /// In memory: head blocks, tests.
    Loaded(Arc<Segment>),
    File(FileSource),
}

struct FileSource {
    row: SegmentRow,
    opener: Arc<Opener>,
    open: RwLock<Option<Arc<Segment>>>,
    /// Since the last look of whoever closes files.
    touched: AtomicBool,
    /// It was reported already.
    failed: AtomicBool,
}

impl SegmentHandle {
    /// A segment in memory.
    pub fn loaded(segment: Arc<Segment>) -> SegmentHandle {
        SegmentHandle {
            rows: segment.rows(),
            time_range: segment.time_range(),
            source: Source::Loaded(segment),
            summary: RwLock::new(None),
        }
    }

    /// A file that counts.
    pub(crate) fn file(row: SegmentRow, opener: Arc<Opener>) -> SegmentHandle {
        SegmentHandle {
            // More rows than that are refused when the file is opened.
            rows: u32::try_from(row.rows).unwrap_or(u32::MAX),
            time_range: row.time_range,
            source: Source::File(FileSource {
                row,
                opener,
                open: RwLock::new(None),
                touched: AtomicBool::new(false),
                failed: AtomicBool::new(false),
            }),
            summary: RwLock::new(None),
        }
    }

    /// Number of events.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Earliest and latest `timestamp`, both included.
    pub fn time_range(&self) -> (i64, i64) {
        self.time_range
    }

    /// Bytes of its file, or of its memory.
    pub fn bytes(&self) -> u64 {
        match &self.source {
            Source::Loaded(segment) => segment.byte_len(),
            Source::File(file) => file.row.bytes,
        }
    }

    /// The row of the catalog; none of what is in memory only.
    pub fn row(&self) -> Option<&SegmentRow> {
        match &self.source {
            Source::Loaded(_) => None,
            Source::File(file) => Some(&file.row),
        }
    }

    /// Whose events these are.
    pub fn environment(&self) -> &Environment {
        match &self.source {
            Source::Loaded(segment) => segment.environment(),
            Source::File(file) => &file.row.environment,
        }
    }

    /// Their log partition.
    pub fn partition(&self) -> Partition {
        match &self.source {
            Source::Loaded(segment) => segment.partition(),
            Source::File(file) => file.row.partition,
        }
    }

    /// The segment. Its file is opened unless it is; afterwards it may be closed again as soon as nobody
    /// holds what is returned.
    pub fn open(self: &Arc<Self>) -> Result<Arc<Segment>, Error> {
        let file = match &self.source {
            Source::Loaded(segment) => return Ok(Arc::clone(segment)),
            Source::File(file) => file,
        };
        if let Some(segment) = &*file.open.read().unwrap_or_else(PoisonError::into_inner) {
            file.touched.store(true, Ordering::Relaxed);
            return Ok(Arc::clone(segment));
        }
        let segment = {
            let mut open = file.open.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(segment) = &*open {
                return Ok(Arc::clone(segment));
            }
            let segment = file.opener.open(&file.row).inspect_err(|error| self.report(error))?;
            Arc::clone(open.insert(Arc::new(segment)))
        };
        file.opener.opened(self);
        Ok(segment)
    }

    /// Whether reading it failed before.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(&self.source, Source::File(file) if file.failed.load(Ordering::Relaxed))
    }

    /// Tells the store that reading it failed: it is set aside when it is damaged.
    pub fn report(&self, error: &Error) {
        if let Source::File(file) = &self.source
            && !file.failed.swap(true, Ordering::Relaxed)
        {
            file.opener.failures().push(Failed {
                row: file.row.clone(),
                kind: error.kind(),
                is_missing: is_missing(error),
                message: error.to_string(),
            });
        }
    }

    /// Answers a question from the summary, which is made of the segment when it is not known. One that turns out to be
    /// damaged is made anew: it is derived, and what it is derived from decides.
    pub fn with_summary<T>(self: &Arc<Self>, ask: impl Fn(&Summary) -> Result<T, Error>) -> Result<T, Error> {
        if let Some(summary) = self.known_summary() {
            match ask(&summary) {
                Ok(answer) => return Ok(answer),
                Err(error) => self.forget_summary(&error),
            }
        }
        ask(&*self.summarize()?)
    }

    /// The physical columns of a name. No file is touched when the summary is known.
    pub fn columns_named(self: &Arc<Self>, name: &str) -> Result<Vec<(Origin, Physical)>, Error> {
        match &self.source {
            Source::Loaded(segment) => {
                let found = segment.by_name(name)?;
                Ok(found.into_iter().map(|info| (info.key.origin, info.key.physical)).collect())
            }
            Source::File(file) => self.with_summary(|summary| {
                let found = summary.by_name(file.opener.hash_key, name)?;
                Ok(found.into_iter().map(|column| (column.origin, column.physical)).collect())
            }),
        }
    }

    /// The names of the datasets of its events.
    pub fn dataset_names(self: &Arc<Self>) -> Result<Vec<String>, Error> {
        if let Source::Loaded(segment) = &self.source {
            return Ok(segment.context_datasets()?.into_iter().flatten().collect());
        }
        self.with_summary(|summary| {
            let named = summary.datasets()?.into_iter().filter_map(|dataset| dataset.name);
            Ok(named.map(str::to_owned).collect())
        })
    }

    /// Whether any event of these datasets and of a time range may be here. No file is touched when the summary is
    /// known; nobody is told wrongly that there is none.
    pub fn may_hold(self: &Arc<Self>, datasets: &[&str], overlaps: impl Fn(i64, i64) -> bool) -> bool {
        if self.rows == 0 || !overlaps(self.time_range.0, self.time_range.1) {
            return false;
        }
        if datasets.is_empty() || matches!(self.source, Source::Loaded(_)) {
            return true;
        }
        let asked = self.with_summary(|summary| {
            let mut named = summary.datasets()?.into_iter();
            let wanted = |name: &str| datasets.contains(&name);
            Ok(named.any(|dataset| {
                dataset.name.is_some_and(wanted) && overlaps(dataset.times.0, dataset.times.1)
            }))
        });
        asked.unwrap_or(true)
    }

    /// The summary with all of its parts checked.
    pub fn whole_summary(self: &Arc<Self>) -> Result<Arc<Summary>, Error> {
        if let Some(summary) = self.known_summary() {
            match summary.verify() {
                Ok(()) => return Ok(summary),
                Err(error) => self.forget_summary(&error),
            }
        }
        self.summarize()
    }

    /// Makes the summary from the segment.
    pub(crate) fn summarize(self: &Arc<Self>) -> Result<Arc<Summary>, Error> {
        let segment = self.open()?;
        let made = footers::summarize(&segment)
            .and_then(|merged| merged.to_summary(footers::filter_of(&segment)?.as_deref()));
        let summary = Arc::new(made.inspect_err(|error| self.report(error))?);
        self.remember(Some(Arc::clone(&summary)));
        Ok(summary)
    }

    pub(crate) fn known_summary(&self) -> Option<Arc<Summary>> {
        self.summary.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn remember(&self, summary: Option<Arc<Summary>>) {
        if summary.is_some() {
            *self.summary.write().unwrap_or_else(PoisonError::into_inner) = summary;
        }
    }

    /// The summary is damaged.
    pub(crate) fn forget_summary(&self, error: &Error) {
        *self.summary.write().unwrap_or_else(PoisonError::into_inner) = None;
        if let Source::File(file) = &self.source {
            let mut damaged = file.opener.damaged_summaries.lock().unwrap_or_else(PoisonError::into_inner);
            damaged.push((file.row.id.clone(), error.to_string()));
        }
    }

    /// Takes in what was just written, so that it need not be read again.
    pub(crate) fn keep_open(self: &Arc<Self>, segment: Segment) {
        if let Source::File(file) = &self.source {
            *file.open.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(segment));
            file.opener.opened(self);
        }
    }

    /// Closes its file unless it was touched since the last call. Returns whether it is closed.
    fn close(&self) -> bool {
        let Source::File(file) = &self.source else { return true };
        if file.touched.swap(false, Ordering::Relaxed) {
            return false;
        }
        match file.open.try_write() {
            Ok(mut open) => {
                *open = None;
                true
            }
            Err(_) => false,
        }
    }
}

impl std::fmt::Debug for SegmentHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.source {
            Source::Loaded(segment) => segment.fmt(f),
            Source::File(file) => write!(f, "SegmentHandle({}, {} rows)", file.row.id, self.rows),
        }
    }
}

fn is_missing(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|source| source.kind() == std::io::ErrorKind::NotFound)
}

/// A file that could not be read.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) row: SegmentRow,
    pub(crate) kind: ErrorKind,
    pub(crate) is_missing: bool,
    pub(crate) message: String,
}

/// Opens files of segments and closes those that nobody has touched for longest.
pub(crate) struct Opener {
    files: Arc<Files>,
    hash_key: HashKey,
    open_max: usize,
    /// Open files, roughly from the one that was touched longest ago.
    open: Mutex<VecDeque<Weak<SegmentHandle>>>,
    /// Waits for the store; each handle reports once.
    failures: Mutex<Vec<Failed>>,
    /// Summaries that were damaged, until the store has said so.
    damaged_summaries: Mutex<Vec<(SegmentId, String)>>,
}

impl Opener {
    pub(crate) fn new(files: Arc<Files>, hash_key: HashKey, open_max: usize) -> Opener {
        Opener {
            files,
            hash_key,
            open_max,
            open: Mutex::default(),
            failures: Mutex::default(),
            damaged_summaries: Mutex::default(),
        }
    }

    pub(crate) fn files(&self) -> Arc<Files> {
        Arc::clone(&self.files)
    }

    /// Where a segment lies.
    pub(crate) fn path(&self, row: &SegmentRow) -> PathBuf {
        self.files.path(&row.environment, row.day, &row.id)
    }

    fn open(&self, row: &SegmentRow) -> Result<Segment, Error> {
        let segment = self.files.open(&self.path(row))?;
        let same = segment.environment() == &row.environment
            && segment.partition() == row.partition
            && u64::from(segment.rows()) == row.rows
            && segment.time_range() == row.time_range;
        if same { Ok(segment) } else { Err(Error::damaged("the file is not the segment the catalog names")) }
    }

    /// Notes an open file, and closes others when there are too many.
    fn opened(&self, handle: &Arc<SegmentHandle>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_back(Arc::downgrade(handle));
        // Each is asked twice at most: a file that was touched gets one more round.
        let mut asked = open.len() * 2;
        while open.len() > self.open_max && asked > 0 {
            asked -= 1;
            let Some(oldest) = open.pop_front() else { break };
            if let Some(handle) = oldest.upgrade()
                && !handle.close()
            {
                open.push_back(oldest);
            }
        }
    }

    /// How many files are open.
    pub(crate) fn open_files(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn take_damaged_summaries(&self) -> Vec<(SegmentId, String)> {
        std::mem::take(&mut *self.damaged_summaries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn failures(&self) -> MutexGuard<'_, Vec<Failed>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").field("files", &self.files).finish_non_exhaustive()
    }
}
