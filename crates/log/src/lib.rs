//! The durable log: what is acknowledged is on disk, once, and stays as it was written.
//!
//! A batch is split into one part per partition, encoded, queued, written with others as a group, synced,
//! applied by the follower (the store's head), and only then acknowledged: invariants I1 and I2. Its key makes
//! a repetition harmless: I4. The bytes are described in docs/formats/log.md, the reasons in docs/adr.
//!
//! What it refuses: to sync a file again that once failed, to take for durable what can merely be read, and
//! to drop anything without naming it.
//!
//! Reading order: [`log`](Log), `queue`, `committer`, `file`, `record`, [`codec`], `scan`, `recovery`, `stored`, `dedup`,
//! `retention`, `state_file`, [`inspect`], [`disk`].

mod bytes;
pub mod codec;
mod committer;
pub mod config;
mod dedup;
pub mod disk;
mod error;
mod file;
pub mod follow;
pub mod fuzzing;
pub mod inspect;
mod log;
mod log_time;
mod queue;
mod record;
mod recovery;
mod retention;
mod scan;
mod state_file;
mod stats;
mod stored;
#[cfg(test)]
mod testing;

pub use committer::{Committer, Step};
pub use config::LogConfig;
pub use error::{Error, ErrorKind};
pub use follow::{DurableRecord, Follower, Replayed, Replayer, StoredRecord, Unfollowed};
pub use log::{Copies, ErasureFuture, Log};
pub use queue::Status;
pub use recovery::{Finding, FindingKind};
pub use stats::LogStats;
pub use stored::StoredEvents;

/// Reads a file's bytes as recovery does, and forgets what it found: for the fuzzer, since no damage may make
/// it panic.
#[doc(hidden)]
pub fn scan_bytes(bytes: &[u8]) {
    if let Ok(scan) = scan::scan(bytes) {
        for record in &scan.records {
            // Whatever a sound record says, its parts are read without trust.
            drop((record.environment(), record.key()));
        }
    }
}
