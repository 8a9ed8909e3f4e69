//! The durable log: what is acknowledged is on disk, once, and stays as it was written.
//!
//! Reading order: [`disk`], [`follow`], [`config`].

pub mod codec;
pub mod config;
pub mod disk;
mod error;
pub mod follow;

#[cfg(test)]
mod testing;

pub use config::LogConfig;
pub use error::{Error, ErrorKind};
pub use follow::{DurableRecord, Follower, Unfollowed};
