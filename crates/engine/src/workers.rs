//! The threads that scans may use: few, and shared by all queries of an engine.
//!
//! What it refuses: to keep a query waiting for a thread. Its own it has; only helpers are counted out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use skein_event::limits::{QUERY_PART_ROWS, QUERY_THREADS_MAX};

use crate::column::BLOCK_ROWS;

/// The threads that scans may use.
#[derive(Debug)]
pub(crate) struct Workers {
    /// At work at once, over all queries that share this.
    pub(crate) threads_max: usize,
    /// Rows of a part, whole blocks.
    pub(crate) part_rows: u32,
    /// So many rows are not worth a helper.
    pub(crate) alone_rows: u64,
    busy: AtomicUsize,
}

/// To look at a quarter of a part takes as long as a thread to get going, more or less.
const ALONE_FRACTION: u32 = 4;

/// A thread at work.
pub(crate) struct Busy<'w>(&'w Workers);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Workers {
    fn default() -> Workers {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Workers::new(threads.min(QUERY_THREADS_MAX), QUERY_PART_ROWS)
    }
}

impl Workers {
    pub(crate) fn new(threads_max: usize, part_rows: u32) -> Workers {
        let alone_rows = u64::from(part_rows / ALONE_FRACTION);
        let part_rows = part_rows.checked_next_multiple_of(BLOCK_ROWS).unwrap_or(part_rows).max(BLOCK_ROWS);
        Workers { threads_max, part_rows, alone_rows, busy: AtomicUsize::new(0) }
    }

    /// The thread of a query: it always may work.
    pub(crate) fn enter(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }

    /// A helper, as long as there are not too many.
    pub(crate) fn help(&self) -> Option<Busy<'_>> {
        let free = |busy: usize| (busy < self.threads_max).then_some(busy + 1);
        self.busy.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).ok().map(|_| Busy(self))
    }

    pub(crate) fn is_crowded(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > self.threads_max
    }
}
