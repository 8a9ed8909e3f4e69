//! Pure functions over answers: what a trace looks like, and later what was slow in it; what is different about some events.
//!
//! What this crate refuses to do: no I/O, no clock, no store. Whatever it needs to know is an argument, so that
//! UI, command line and API give the same analysis of the same rows.

pub mod explain;
pub mod picture;
pub mod trace;
pub mod waterfall;
