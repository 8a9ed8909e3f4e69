//! Pure functions over answers: what a trace looks like, and later what was slow in it; what is different about some
//! events, or between two cohorts of them.
//!
//! What this crate refuses to do: no I/O, no clock, no store. Whatever it needs to know is an argument, so that
//! UI, command line and API give the same analysis of the same rows.

pub mod cohorts;
pub mod explain;
pub mod map;
pub mod picture;
pub mod templates;
pub mod trace;
pub mod unusual;
pub mod waterfall;
