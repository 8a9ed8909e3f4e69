//! What is fuzzed, as plain functions: libFuzzer calls them with coverage, and a seeded mutator in the tests of
//! `skein-sim`, which share these files, calls them in every run of the tests.
//!
//! Reading order: [`bodies`] and [`segments`] (what must hold for any bytes), [`seeds`] (what mutation starts
//! from), [`mutate`].

pub mod bodies;
#[path = "../../crates/ingest/tests/it/generate.rs"]
#[allow(dead_code, reason = "shared with the round-trip tests, which use all of it")]
mod generate;
pub mod mutate;
#[cfg(feature = "store")]
mod repair;
mod round_trip;
pub mod seeds;
#[cfg(feature = "store")]
pub mod segments;
