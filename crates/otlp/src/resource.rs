//! `opentelemetry.proto.resource.v1`: what made the telemetry.

use crate::common::{EntityRef, KeyValue};

/// A service instance, a host, a process: whatever the telemetry comes from.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Resource {
    /// Its attributes.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes the client dropped.
    #[prost(uint32, tag = "2")]
    pub dropped_attributes_count: u32,
    /// The entities it consists of.
    #[prost(message, repeated, tag = "3")]
    pub entity_refs: Vec<EntityRef>,
}
