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
