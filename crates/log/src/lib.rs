//! The durable log: what is acknowledged is on disk, once, and stays as it was written.
//!
//! Reading order: [`disk`].

pub mod disk;
