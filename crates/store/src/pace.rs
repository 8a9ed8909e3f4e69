//! The share of a processor that merging takes: it works and rests in turns, so that ingest and queries never
//! wait for it. While they are busy its share is small; when nobody asks for anything it takes a whole one.
//!
//! What it refuses: to rest when no threads run (a simulation drives the store by hand), and to go on when the
//! store stops.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use skein_event::limits::{
    COMPACTION_PER_MILLE_BEHIND, COMPACTION_PER_MILLE_BUSY, COMPACTION_PER_MILLE_IDLE, COMPACTION_REST_NS_MAX,
};

use crate::error::{Error, ErrorKind};
use crate::memory::Held;
use crate::store::Inner;

/// Files that wait to be merged beyond which merging has fallen behind: as many as an hour of one partition's
/// flushes.
const BEHIND_FILES: u64 = 64;

/// Somebody is at work when this much was applied within a second, or a snapshot was taken within it. Skein's
/// own events stay far below.
const BUSY_ROWS: u64 = 1_000;
const BUSY_WITHIN_NS: i64 = 1_000_000_000;

/// What others do, as far as merging needs to know.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    rows: AtomicU64,
    window_start_ns: AtomicI64,
    window_rows: AtomicU64,
    busy_ns: AtomicI64,
    /// Files that a merge is due for.
    pub(crate) files_due: AtomicU64,
}

impl Activity {
    /// Rows were applied.
    pub(crate) fn applied(&self, rows: u64, now_ns: i64) {
        let total = self.rows.fetch_add(rows, Ordering::Relaxed).saturating_add(rows);
        let start_ns = self.window_start_ns.load(Ordering::Relaxed);
        if now_ns.saturating_sub(start_ns) >= BUSY_WITHIN_NS {
            self.window_start_ns.store(now_ns, Ordering::Relaxed);
            self.window_rows.store(total, Ordering::Relaxed);
        } else if total.saturating_sub(self.window_rows.load(Ordering::Relaxed)) >= BUSY_ROWS {
            self.asked(now_ns);
        }
    }

    /// A snapshot was taken.
    pub(crate) fn asked(&self, now_ns: i64) {
        self.busy_ns.fetch_max(now_ns, Ordering::Relaxed);
    }

    /// The share that merging may take now, in thousandths of one processor.
    pub(crate) fn share_per_mille(&self, now_ns: i64) -> i64 {
        let busy = now_ns.saturating_sub(self.busy_ns.load(Ordering::Relaxed)) < BUSY_WITHIN_NS;
        let behind = self.files_due.load(Ordering::Relaxed) > BEHIND_FILES;
        match (busy, behind) {
            (true, false) => COMPACTION_PER_MILLE_BUSY,
            (true, true) => COMPACTION_PER_MILLE_BEHIND,
            (false, _) => COMPACTION_PER_MILLE_IDLE,
        }
    }
}

/// How long to rest after working so long, for work to be this share of the whole.
fn rest_ns(worked_ns: i64, per_mille: i64) -> i64 {
    let per_mille = per_mille.clamp(1, 1_000);
    (worked_ns.max(0).saturating_mul(1_000 - per_mille) / per_mille).min(COMPACTION_REST_NS_MAX)
}

/// The pace of one merge.
pub(crate) struct Pace<'a> {
    inner: &'a Inner,
    since_ns: i64,
    rested_ns: i64,
    /// What the merge holds in memory.
    pub(crate) held: Held<'a>,
}

/// What a merge took of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Time spent resting.
    pub(crate) rested_ns: i64,
    /// The most bytes that it held.
    pub(crate) memory_bytes: u64,
}

impl<'a> Pace<'a> {
    pub(crate) fn new(inner: &'a Inner) -> Pace<'a> {
        Pace { inner, since_ns: inner.clock.now_ns(), rested_ns: 0, held: inner.merging.begin() }
    }

    /// What it took so far.
    pub(crate) fn cost(&self) -> Cost {
        Cost { rested_ns: self.rested_ns, memory_bytes: self.held.highest }
    }

    /// Rests as long as the work since the last call asks for. An error when the store stops.
    pub(crate) fn pause(&mut self) -> Result<(), Error> {
        let now_ns = self.inner.clock.now_ns();
        let per_mille = self.inner.activity.share_per_mille(now_ns);
        let rest_ns = rest_ns(now_ns.saturating_sub(self.since_ns), per_mille);
        let mut state = self.inner.state();
        if state.running && !state.stopping && rest_ns > 0 {
            let rest = Duration::from_nanos(rest_ns.unsigned_abs());
            let resting = self.inner.to_maintain.wait_timeout_while(state, rest, |state| !state.stopping);
            (state, _) = resting.unwrap_or_else(PoisonError::into_inner);
        }
        let stopping = state.running && state.stopping;
        drop(state);
        self.since_ns = self.inner.clock.now_ns();
        self.rested_ns = self.rested_ns.saturating_add(self.since_ns.saturating_sub(now_ns).max(0));
        if stopping {
            return Err(Error::new(
                ErrorKind::Stopping,
                "the store stops; the merge begins anew at the next start",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rest_makes_work_the_share_that_is_allowed() {
        assert_eq!(rest_ns(1_000, 250), 3_000);
        assert_eq!(rest_ns(1_000, 500), 1_000);
        assert_eq!(rest_ns(1_000, 1_000), 0);
        assert_eq!(rest_ns(-5, 250), 0, "a clock that goes back is no work");
        assert_eq!(rest_ns(i64::MAX, 1), COMPACTION_REST_NS_MAX);
    }

    #[test]
    fn the_share_is_small_while_others_work() {
        let activity = Activity::default();
        let second = 1_000_000_000;
        assert_eq!(activity.share_per_mille(10 * second), COMPACTION_PER_MILLE_IDLE);
        activity.applied(5, 10 * second);
        activity.applied(BUSY_ROWS - 1, 10 * second + 1);
        assert_eq!(
            activity.share_per_mille(10 * second + 2),
            COMPACTION_PER_MILLE_IDLE,
            "own events are no work"
        );
        activity.applied(1, 10 * second + 3);
        assert_eq!(activity.share_per_mille(10 * second + 4), COMPACTION_PER_MILLE_BUSY);
        activity.files_due.store(BEHIND_FILES + 1, Ordering::Relaxed);
        assert_eq!(activity.share_per_mille(10 * second + 4), COMPACTION_PER_MILLE_BEHIND);
        assert_eq!(activity.share_per_mille(12 * second), COMPACTION_PER_MILLE_IDLE);
        activity.asked(12 * second);
        assert_eq!(activity.share_per_mille(12 * second + 1), COMPACTION_PER_MILLE_BEHIND);
    }
}
