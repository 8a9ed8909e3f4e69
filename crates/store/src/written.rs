//! What was written to segment files since the process started, by environment and by the work that wrote it:
//! bytes written over bytes flushed is the write amplification.

use std::collections::BTreeMap;

use skein_event::ids::Environment;

/// Why a segment file was written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Work {
    /// From the head, for the first time.
    Flush,
    /// Small files merged.
    Compaction,
    /// A file without the datasets whose time is over.
    Retention,
    /// A file without what an erasure has taken.
    Erase,
}

impl Work {
    /// Every kind.
    pub const ALL: [Work; 4] = [Work::Flush, Work::Compaction, Work::Retention, Work::Erase];

    /// Its name in metrics and observations.
    pub fn name(self) -> &'static str {
        match self {
            Work::Flush => "flush",
            Work::Compaction => "compaction",
            Work::Retention => "retention",
            Work::Erase => "erase",
        }
    }
}

/// Files, rows and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Amount {
    /// Segment files.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What was written, by environment and work.
#[derive(Clone, Debug, Default)]
pub struct Written {
    amounts: BTreeMap<(Environment, Work), Amount>,
}

impl Written {
    pub(crate) fn add(&mut self, environment: &Environment, work: Work, rows: u64, bytes: u64) {
        let amount = self.amounts.entry((environment.clone(), work)).or_default();
        amount.files += 1;
        amount.rows += rows;
        amount.bytes += bytes;
    }

    /// What one kind of work wrote for an environment.
    pub fn of(&self, environment: &Environment, work: Work) -> Amount {
        self.amounts.get(&(environment.clone(), work)).copied().unwrap_or_default()
    }

    /// Bytes written for each byte flushed; 1 before anything was.
    pub fn amplification(&self, environment: &Environment) -> f64 {
        let bytes = |work| self.of(environment, work).bytes;
        let all: u64 = Work::ALL.into_iter().map(bytes).sum();
        let flushed = bytes(Work::Flush);
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let ratio = all as f64 / flushed as f64;
        if flushed == 0 { 1.0 } else { ratio }
    }
}
