//! How parts of Skein tell about their own work: one wide event per request, batch, flush, compaction and
//! query (DESIGN.md §6). Whoever does the work fills an [`Observation`]; the server turns it into an event of
//! environment `skein` and sends it through the same door and log as everybody's.

use crate::value::Value;

/// One finished piece of Skein's own work.
#[derive(Clone, PartialEq, Debug)]
pub struct Observation {
    /// What was done: `ingest`, `flush`, `compaction`, `query`, `request`.
    pub name: &'static str,
    /// When it began, epoch nanoseconds.
    pub start_ns: i64,
    /// How long it took, in nanoseconds.
    pub duration_ns: i64,
    /// What went wrong, if anything did.
    pub error: Option<String>,
    /// Everything worth knowing about it, under OpenTelemetry-style names (`skein.rows`, `skein.environment`).
    pub fields: Vec<(&'static str, Value)>,
}

/// Takes observations. It never blocks and never fails: under load it may drop, and counts what it dropped.
pub trait Observer: Send + Sync {
    /// Takes one.
    fn observe(&self, observation: Observation);
}

/// Takes observations and forgets them: for tests and tools.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn observe(&self, _observation: Observation) {}
}

/// Where code outside the deterministic core reads the time (I9): an argument, so that a simulation owns it.
pub trait Clock: Send + Sync {
    /// Epoch nanoseconds.
    fn now_ns(&self) -> i64;
}

/// Upper bounds of [`Durations`], in nanoseconds: from a write that a disk's cache takes to the longest query.
pub const DURATION_BOUNDS_NS: [i64; 14] = [
    250_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
    30_000_000_000,
];

/// How long things took: a histogram of fixed bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Durations {
    /// Of each bound: how many took at most so long and longer than the bound before.
    counts: [u64; DURATION_BOUNDS_NS.len()],
    /// How many there were.
    count: u64,
    /// Their sum, in nanoseconds.
    sum_ns: u64,
}

impl Durations {
    /// Adds one. A negative one, of a clock that was set back, counts as none.
    pub fn add(&mut self, duration_ns: i64) {
        let place = DURATION_BOUNDS_NS.partition_point(|&bound_ns| bound_ns < duration_ns);
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        self.count += 1;
        self.sum_ns = self.sum_ns.saturating_add(u64::try_from(duration_ns).unwrap_or_default());
    }

    /// Each bound with the number of durations up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        let mut sum = 0;
        DURATION_BOUNDS_NS.into_iter().zip(self.counts).map(move |(bound_ns, count)| {
            sum += count;
            (bound_ns, sum)
        })
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum, in nanoseconds.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_at_its_bound_and_above() {
        let mut durations = Durations::default();
        for ns in [-5, 250_000, 250_001, 2_000_000, 40_000_000_000] {
            durations.add(ns);
        }
        let up_to = |bound_ns| durations.cumulative().find(|(bound, _)| *bound == bound_ns).map(|(_, n)| n);
        assert_eq!([250_000, 500_000, 1_000_000, 2_000_000].map(up_to), [Some(2), Some(3), Some(3), Some(4)]);
        assert_eq!(up_to(30_000_000_000), Some(4), "the longest is above every bound");
        assert_eq!((durations.count(), durations.sum_ns()), (5, 40_002_500_001));
    }
}
