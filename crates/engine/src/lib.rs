//! Answers plans natively, on segments in their encoded form.
//!
//! A plan is bound to each segment of a snapshot in turn: names become physical columns, filters become tests
//! of dictionary codes, groups become numbers. Rows are looked at in blocks of 1,024, the unit of the zone
//! maps. Text is read once per distinct value, for a test or for what is shown. Head and file segments are the
//! same thing here.
//!
//! What this crate refuses to do: it reads no clock but the one it is given, keeps no state between queries,
//! and never holds more memory than [`skein_query::RunContext::memory_bytes_max`] for what it gathers. It does
//! not know the store's catalog or head: it sees [`snapshot::Snapshots`].
//!
//! Determinism: a snapshot is looked at in parts that depend on its segments alone; rows of a part are taken in their
//! order and parts are gathered in the order of the snapshot, so that sums of doubles come out the same, bit by bit,
//! every time and on any number of threads.
//!
//! Reading order: [`snapshot`], `resolve`, `prune`, `mask`, `block`, `column`, `calculated`, `filter`, `counters`,
//! `scan`, `workers`, `parts`, `relation`, `local`, `group`, `stores`, `calculation`, `aggregate`, `derived`, `first_pass`, `series`, `finish`, `formula`,
//! `hints`, `compare`,
//! `rows`, `insights`, `meta`, `partial`, `trace`, `trace_columns`, `catalog`, `explain`, `cohorts`, `templates`, `export`, `erasure`.

mod aggregate;
mod answer;
mod block;
mod calculated;
mod calculation;
mod catalog;
mod change;
mod cohorts;
mod column;
mod compare;
mod counters;
mod derived;
mod distinct;
mod erasure;
mod explain;
mod export;
mod filter;
mod filter_test;
mod finish;
mod first_pass;
mod flat;
mod formula;
mod group;
mod hashing;
mod hints;
mod insights;
mod local;
mod mask;
mod meta;
mod native;
mod overflow;
mod partial;
mod parts;
mod prune;
mod relation;
mod resolve;
mod rows;
mod scan;
mod series;
pub mod snapshot;
mod stores;
mod templates;
mod top;
mod trace;
mod trace_columns;
mod unseen;
mod weights;
mod workers;

#[cfg(test)]
mod tests;

pub use erasure::FilterMatcher;
pub use flat::flat_events;
pub use native::NativeEngine;
pub use snapshot::{SnapshotView, Snapshots};
