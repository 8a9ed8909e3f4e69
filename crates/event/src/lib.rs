//! The event model: what a wide event is, and how a batch of them travels from a door to a segment.
//!
//! An event is one request per hop: a span, a log record, a group of metric points. It is never stored
//! as a map. A door turns bytes into one [`batch::EventBatch`], column by column, and the same columns
//! travel through the log and the head into segments (docs/adr/0003-columnar-batch.md).
//!
//! What this crate refuses to do: no I/O, no clock, no randomness, no serde, no async runtime. Time, seeds
//! and hash keys are arguments (invariant I9).
//!
//! Reading order: [`ids`], [`columns`], [`batch`], [`builder`], [`value`], [`flow`], [`limits`].

pub mod any_value;
pub mod batch;
pub mod builder;
pub mod columns;
pub mod dictionary;
pub mod flow;
pub mod hash;
pub mod ids;
pub mod limits;
pub mod observe;
pub mod rejection;
pub mod same;
pub mod split;
pub mod value;

pub use batch::{Column, ColumnKey, EventBatch, Origin, Physical, Presence, Values};
pub use columns::Fixed;
pub use ids::{Environment, EventId, Offset, Partition};
pub use rejection::Rejection;
