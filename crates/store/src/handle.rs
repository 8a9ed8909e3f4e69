//! A segment that counts, known by its row of the catalog and opened when it is touched.
//!
//! Thousands of segments cost their rows and nothing else: what a query prunes by lies in the row and in
//! `footers.cat`, and at most [`skein_event::limits::OPEN_SEGMENTS_MAX`] files are open at once. Opening is where a file
//! proves to be the one that the catalog means; one that is not is reported once, and the store sets it aside.
//!
//! What it refuses: to retry, and to touch a file for a question that the row answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use skein_event::batch::{Origin, Physical};
use skein_event::ids::{Environment, Partition};

use crate::catalog::SegmentRow;
use crate::erasure_file::StoredErasure;
use crate::error::Error;
use crate::footers::{self, Summary};
use crate::opener::{Failed, Opener, is_missing};
use crate::segment::Segment;
use crate::taken::erased_rows;

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
    /// What may not be seen of it.
    mask: Mutex<Mask>,
    /// Since the last look of whoever closes files.
    touched: AtomicBool,
    /// It was reported already.
    failed: AtomicBool,
}

/// The erasures that may take something of a file, and what they take once it was looked at.
#[derive(Default)]
struct Mask {
    erasures: Vec<Arc<StoredErasure>>,
    rows: Option<Arc<[u32]>>,
    /// The summary of the other rows, once somebody has asked for it. Never written to `footers.cat`, whose entries are
    /// of whole files.
    summary: Option<Arc<Summary>>,
}

impl Mask {
    /// Whether these are its erasures.
    fn is_of(&self, erasures: &[Arc<StoredErasure>]) -> bool {
        let same = |(a, b): (&Arc<StoredErasure>, &Arc<StoredErasure>)| a.erasure.id == b.erasure.id;
        self.erasures.len() == erasures.len() && self.erasures.iter().zip(erasures).all(same)
    }
}

impl FileSource {
    fn mask(&self) -> MutexGuard<'_, Mask> {
        self.mask.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
                mask: Mutex::default(),
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
            Source::Loaded(segment) => segment.held_bytes(),
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

    /// The segment as answers may see it. Its file is opened unless it is; afterwards it may be closed again as
    /// soon as nobody holds what is returned.
    ///
    /// POST: no row that an erasure takes can be seen in it. With `Erasure`, its filter cannot be evaluated.
    pub fn open(self: &Arc<Self>) -> Result<Arc<Segment>, Error> {
        let segment = self.open_whole()?;
        let Source::File(file) = &self.source else { return Ok(segment) };
        loop {
            let erasures = {
                let mask = file.mask();
                match &mask.rows {
                    _ if mask.erasures.is_empty() => return Ok(segment),
                    Some(rows) if rows.is_empty() => return Ok(segment),
                    Some(rows) => return Ok(Arc::new(segment.without(Arc::clone(rows)))),
                    None => mask.erasures.clone(),
                }
            };
            // Without the lock, which whoever applies an erasure needs.
            let rows = erased_rows(file.opener.matcher(), &erasures, &segment)?;
            let mut mask = file.mask();
            // Unless another came meanwhile.
            if mask.is_of(&erasures) {
                mask.rows = Some(Arc::from(rows));
            }
        }
    }

    /// Whether an erasure may take something of it: what its statistics say is no answer then.
    pub fn has_erasures(&self) -> bool {
        match &self.source {
            Source::Loaded(segment) => segment.has_erased(),
            Source::File(file) => !file.mask().erasures.is_empty(),
        }
    }

    /// Says which erasures may take something of it, also to those who hold it already.
    pub(crate) fn set_erasures(&self, erasures: Vec<Arc<StoredErasure>>) {
        if let Source::File(file) = &self.source {
            let mut mask = file.mask();
            if !mask.is_of(&erasures) {
                *mask = Mask { erasures, ..Mask::default() };
            }
        }
    }

    /// The segment with all its rows, for whoever rewrites it.
    pub(crate) fn open_whole(self: &Arc<Self>) -> Result<Arc<Segment>, Error> {
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
        file.touched.store(true, Ordering::Relaxed);
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

    /// The physical columns of a name, erased events included. No file is touched when the summary is known.
    pub fn columns_named(self: &Arc<Self>, name: &str) -> Result<Vec<(Origin, Physical)>, Error> {
        match &self.source {
            Source::Loaded(segment) => {
                let found = segment.by_name(name)?;
                Ok(found.into_iter().map(|info| (info.key.origin, info.key.physical)).collect())
            }
            Source::File(file) => self.with_summary(|summary| {
                let found = summary.by_name(file.opener.hash_key(), name)?;
                Ok(found.into_iter().map(|column| (column.origin, column.physical)).collect())
            }),
        }
    }

    /// Whether an event is of a dataset, erased ones included.
    pub fn has_dataset(self: &Arc<Self>, name: &str) -> Result<bool, Error> {
        if let Source::Loaded(_) = self.source {
            return Ok(self.dataset_names()?.iter().any(|found| found == name));
        }
        self.with_summary(|summary| Ok(summary.dataset(name)?.is_some()))
    }

    /// The names of the datasets of its events, erased ones included.
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
            for name in datasets {
                if summary.dataset(name)?.is_some_and(|found| overlaps(found.times.0, found.times.1)) {
                    return Ok(true);
                }
            }
            Ok(false)
        });
        asked.unwrap_or(true)
    }

    /// The summary of all rows with all of its parts checked.
    pub(crate) fn whole_summary(self: &Arc<Self>) -> Result<Arc<Summary>, Error> {
        if let Some(summary) = self.known_summary() {
            match summary.verify() {
                Ok(()) => return Ok(summary),
                Err(error) => self.forget_summary(&error),
            }
        }
        self.summarize()
    }

    /// The summary of what answers may see, with all of its parts checked: what is listed comes from it. Where an
    /// erasure takes something, it is made of the rows that are left, and kept until another erasure comes.
    pub fn visible_summary(self: &Arc<Self>) -> Result<Arc<Summary>, Error> {
        let Source::File(file) = &self.source else { return self.whole_summary() };
        if !self.has_erasures() {
            return self.whole_summary();
        }
        let segment = self.open()?;
        if !segment.has_erased() {
            return self.whole_summary();
        }
        let is_of = |mask: &Mask| mask.rows.as_deref() == Some(segment.erased_rows());
        let known = Some(file.mask()).filter(|mask| is_of(mask)).and_then(|mask| mask.summary.clone());
        if let Some(summary) = known {
            return Ok(summary);
        }
        let made = Arc::new(summary_of(&segment).inspect_err(|error| self.report(error))?);
        let mut mask = file.mask();
        // Unless another erasure came meanwhile.
        if is_of(&mask) {
            mask.summary = Some(Arc::clone(&made));
        }
        Ok(made)
    }

    /// Makes the summary from the segment.
    pub(crate) fn summarize(self: &Arc<Self>) -> Result<Arc<Summary>, Error> {
        self.summarize_from(&*self.open_whole()?)
    }

    /// Makes the summary from the segment, which the caller has open.
    pub(crate) fn summarize_from(&self, segment: &Segment) -> Result<Arc<Summary>, Error> {
        let made = summary_of(segment);
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
            file.opener.summary_is_damaged(&file.row, error);
        }
    }

    /// Closes its file unless it was touched since the last call. Returns whether it is closed.
    pub(crate) fn close(&self) -> bool {
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

/// The summary of what may be seen of a segment.
fn summary_of(segment: &Segment) -> Result<Summary, Error> {
    footers::summarize(segment)?.to_summary(footers::filter_of(segment)?.as_deref())
}
