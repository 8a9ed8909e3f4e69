//! The doors: bytes in a known format become an [`EventBatch`](skein_event::EventBatch) and rejections.
//!
//! A door is a pure function. Time, hash key and everything else it needs are arguments, so that the same
//! bytes always give the same batch (invariant I9). It refuses a request as a whole only when its bytes
//! cannot be read as the format they claim to be ([`DoorError`]); a record that breaks a rule of its own is
//! rejected alone, with the path to the field and the reason, and the rest is stored (invariant I3).
//!
//! The protobuf door walks the bytes straight into columns (docs/adr, decision 4): no intermediate structs,
//! no allocation per record.
//!
//! Reading order: [`door`], [`record_flags`] (what the export must know), then one file per concern.

mod any_value;
mod attribute;
pub mod batch_key;
mod body;
mod context;
mod context_list;
pub mod door;
pub mod error;
pub mod export;
pub mod json;
mod logs;
mod metrics;
mod point_value;
pub mod record_flags;
mod request;
mod rows;
mod sampling_rate;
mod shape_path;
mod times;
mod trace_id;
mod traces;
mod wire;

#[cfg(test)]
mod tests;

pub use batch_key::{InvalidBatchId, batch_key};
pub use door::{Decoded, DoorContext, Rejected, Signal, Warning, WarningCode, decode_protobuf};
pub use error::DoorError;
pub use export::{ExportError, Exported, export};
pub use json::decode_json;
