//! The store: what is acknowledged becomes visible at once, and immutable segments soon after.
//!
//! ```text
//! log ──apply──► head ──seal──► blocks in memory ──flush──► segment file ──commit──► catalog ──► log trim
//!                  └──────────────┴──────── snapshot ◄────────┘
//! ```
//!
//! Reading order: [`Store`], [`segment`], `head`, `flush`, `compaction` (with `tiers` and `pace`), `retention`,
//! `erasures`, `recovery`, [`catalog`], [`DataDirectory`], [`upkeep`].
//!
//! What it refuses: to know queries, to acknowledge anything (the log does), to remove a file that a snapshot
//! reads.

mod background;
pub mod catalog;
mod compaction;
mod config;
#[cfg(feature = "copies")]
pub mod copies;
mod data_directory;
mod erasure_file;
mod erasures;
mod error;
mod file_table;
mod files;
mod flush;
mod follow;
pub mod footers;
mod handle;
mod head;
mod imports;
mod lease;
mod memory;
mod opener;
mod pace;
mod recovery;
mod removal;
mod retention;
mod rewrite;
mod seal;
pub mod segment;
mod snapshot;
mod space;
mod store;
mod taken;
mod telemetry;
mod tiers;
pub mod upkeep;
mod written;

pub use background::Background;
pub use compaction::Closing;
pub use config::{StoreConfig, Surroundings};
pub use data_directory::{DataDirectory, Fresh, LAYOUT_VERSION};
pub use erasures::ErasureStatus;
pub use error::{Error, ErrorKind};
pub use file_table::SegmentSet;
pub use files::FileAccess;
pub use handle::SegmentHandle;
pub use lease::{Lease, NoReaders, Readers};
pub use memory::{Memory, ReleaseMemory};
pub use recovery::{Finding, FindingKind};
pub use retention::{Keep, Retention};
pub use rewrite::RewriteReport;
pub use snapshot::{EnvironmentStats, Segments, Snapshot};
pub use space::{Room, SpaceGuard};
pub use store::{Store, TrimLog};
pub use taken::{MatchFailure, RowMatcher};
pub use written::{Amount, Work, Written};
