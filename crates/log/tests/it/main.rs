//! Tests of the log's guarantees, on a simulated disk and on a real one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails should fail loudly, with its seed"
)]

/// The simulated disk belongs to `sim`; its source is included, so that this crate's tests need not build all
/// the crates that `sim` depends on.
#[allow(dead_code, unreachable_pub, reason = "a module of another crate, which uses all of it")]
#[path = "../../../sim/src/disk/mod.rs"]
mod disk;

mod golden;
mod guarantees;
mod model;
mod speed;
mod world;
