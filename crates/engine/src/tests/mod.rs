//! The engine over small segments in memory. Each guarantee has a test of its name.

mod build;
mod cohorts;
mod explain;
mod guarantees;
mod insights;
mod insights_home;
mod intervals;
mod over_time;
mod parts;
mod questions;
mod relational;
mod top;
mod traces;
