//! Opens files of segments, and closes those that nobody has touched for longest. What it refuses: a file that is not
//! the one that the catalog means.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use skein_event::hash::HashKey;
use skein_event::limits::{OPEN_SEGMENT_IDLE_NS, UNPACKED_BYTES_MAX};

use crate::catalog::{SegmentId, SegmentRow};
use crate::error::{Error, ErrorKind};
use crate::files::Files;
use crate::handle::SegmentHandle;
use crate::segment::{Segment, UnpackedCache};
use crate::taken::RowMatcher;

/// Whether the file was not there.
pub(crate) fn is_missing(error: &Error) -> bool {
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
    /// Of all files.
    unpacked: Arc<UnpackedCache>,
    /// Evaluates the filters of erasures.
    matcher: Mutex<Option<Arc<dyn RowMatcher>>>,
    /// Open files, roughly from the one that was touched longest ago.
    open: Mutex<VecDeque<Weak<SegmentHandle>>>,
    /// When files that nobody touches were closed last.
    looked_ns: AtomicI64,
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
            unpacked: Arc::new(UnpackedCache::new(UNPACKED_BYTES_MAX)),
            matcher: Mutex::default(),
            open: Mutex::default(),
            looked_ns: AtomicI64::new(0),
            failures: Mutex::default(),
            damaged_summaries: Mutex::default(),
        }
    }

    pub(crate) fn matcher(&self) -> Option<Arc<dyn RowMatcher>> {
        self.matcher.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_matcher(&self, matcher: Arc<dyn RowMatcher>) {
        *self.matcher.lock().unwrap_or_else(PoisonError::into_inner) = Some(matcher);
    }

    pub(crate) fn files(&self) -> Arc<Files> {
        Arc::clone(&self.files)
    }

    /// Where a segment lies.
    pub(crate) fn path(&self, row: &SegmentRow) -> PathBuf {
        self.files.path(&row.environment, row.day, &row.id)
    }

    pub(crate) fn open(&self, row: &SegmentRow) -> Result<Segment, Error> {
        let segment = self.files.open(&self.path(row))?.kept_in(&self.unpacked);
        let same = segment.environment() == &row.environment
            && segment.partition() == row.partition
            && u64::from(segment.rows()) == row.rows
            && segment.time_range() == row.time_range;
        if same { Ok(segment) } else { Err(Error::damaged("the file is not the segment the catalog names")) }
    }

    /// Notes an open file, and closes others when there are too many.
    pub(crate) fn opened(&self, handle: &Arc<SegmentHandle>) {
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

    /// Closes the files that nobody has touched since the last look, when that is long ago.
    pub(crate) fn close_untouched(&self, now_ns: i64) {
        let looked_ns = self.looked_ns.load(Ordering::Relaxed);
        if now_ns.saturating_sub(looked_ns) < OPEN_SEGMENT_IDLE_NS {
            return;
        }
        self.looked_ns.store(now_ns, Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|handle| handle.upgrade().is_some_and(|handle| !handle.close()));
    }

    /// Bytes that are kept of what was unpacked.
    pub(crate) fn unpacked_bytes(&self) -> usize {
        self.unpacked.bytes()
    }

    /// How many files are open.
    pub(crate) fn open_files(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn hash_key(&self) -> HashKey {
        self.hash_key
    }

    /// Notes that a summary was damaged, for the store to tell.
    pub(crate) fn summary_is_damaged(&self, row: &SegmentRow, error: &Error) {
        let mut damaged = self.damaged_summaries.lock().unwrap_or_else(PoisonError::into_inner);
        damaged.push((row.id.clone(), error.to_string()));
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
