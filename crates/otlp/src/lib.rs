//! The messages of OTLP 1.11 as plain Rust types, their protobuf form (by prost) and their JSON form ([`json`]).
//!
//! For everything that *writes* OTLP: the export, the simulator, tests, clients. The doors do not read through
//! these types: they walk the bytes straight into columns (DESIGN.md §9, decision 4). Written by hand from the
//! field numbers of opentelemetry-proto, one module per protobuf package, so that no build step needs a
//! protobuf compiler.
//!
//! What this crate refuses to do: it checks nothing. An id of a wrong length, a time of 0 or an unknown number
//! of an enumeration is carried as it is.

pub mod collector;
pub mod common;
pub mod json;
pub mod logs;
pub mod metrics;
pub mod resource;
pub mod rpc;
pub mod trace;

pub use prost::Message;
pub use prost::encoding::encode_varint;

#[cfg(test)]
mod tests;
