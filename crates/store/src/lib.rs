//! The store: what is acknowledged becomes visible at once, and immutable segments soon after.
//!
//! Reading order: [`segment`].

mod error;
pub mod segment;

pub use error::{Error, ErrorKind};
