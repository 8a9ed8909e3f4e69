//! Integration tests of the store, each named after the guarantee it checks.

#![expect(clippy::expect_used, reason = "a failed step of a test ends it; helpers are not #[test] functions")]
#![expect(clippy::cast_possible_truncation, reason = "numbers of a test are small")]

mod catalog;
mod cold;
mod compaction;
mod erasures;
mod footers;
mod memory;
mod model;
mod replay;
mod retention;
mod rewrite;
mod segment;
mod store;
mod world;
