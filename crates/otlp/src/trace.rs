//! `opentelemetry.proto.trace.v1`: spans with their events and links.

use crate::common::{InstrumentationScope, KeyValue};
use crate::resource::Resource;

/// Spans of one resource.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceSpans {
    /// The resource.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// Its spans, by scope.
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpans>,
    /// The schema of the resource.
    #[prost(string, tag = "3")]
    pub schema_url: String,
}

/// Spans of one scope.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ScopeSpans {
    /// The scope.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<InstrumentationScope>,
    /// Its spans.
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<Span>,
    /// The schema of the spans.
    #[prost(string, tag = "3")]
    pub schema_url: String,
}

/// One operation within a trace.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Span {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    /// W3C tracestate.
    #[prost(string, tag = "3")]
    pub trace_state: String,
    /// 8 bytes, or empty for a root.
    #[prost(bytes = "vec", tag = "4")]
    pub parent_span_id: Vec<u8>,
    /// The operation.
    #[prost(string, tag = "5")]
    pub name: String,
    /// Its side of the call.
    #[prost(enumeration = "span::SpanKind", tag = "6")]
    pub kind: i32,
    /// When it began, epoch nanoseconds.
    #[prost(fixed64, tag = "7")]
    pub start_time_unix_nano: u64,
    /// When it ended, epoch nanoseconds.
    #[prost(fixed64, tag = "8")]
    pub end_time_unix_nano: u64,
    /// Its attributes.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes the client dropped.
    #[prost(uint32, tag = "10")]
    pub dropped_attributes_count: u32,
    /// What happened during it.
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<span::Event>,
    /// How many events the client dropped.
    #[prost(uint32, tag = "12")]
    pub dropped_events_count: u32,
    /// Other spans it is related to.
    #[prost(message, repeated, tag = "13")]
    pub links: Vec<span::Link>,
    /// How many links the client dropped.
    #[prost(uint32, tag = "14")]
    pub dropped_links_count: u32,
    /// How it ended.
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
    /// Bits 0–7: W3C trace flags; bit 8: bit 9 is valid; bit 9: the parent is remote.
    #[prost(fixed32, tag = "16")]
    pub flags: u32,
}

/// Parts of a [`Span`].
pub mod span {
    use crate::common::KeyValue;

    /// A moment within a span.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Event {
        /// When, epoch nanoseconds.
        #[prost(fixed64, tag = "1")]
        pub time_unix_nano: u64,
        /// What.
        #[prost(string, tag = "2")]
        pub name: String,
        /// Its attributes.
        #[prost(message, repeated, tag = "3")]
        pub attributes: Vec<KeyValue>,
        /// How many attributes the client dropped.
        #[prost(uint32, tag = "4")]
        pub dropped_attributes_count: u32,
    }

    /// A relation to another span.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Link {
        /// 16 bytes.
        #[prost(bytes = "vec", tag = "1")]
        pub trace_id: Vec<u8>,
        /// 8 bytes.
        #[prost(bytes = "vec", tag = "2")]
        pub span_id: Vec<u8>,
        /// W3C tracestate of the linked span.
        #[prost(string, tag = "3")]
        pub trace_state: String,
        /// Its attributes.
        #[prost(message, repeated, tag = "4")]
        pub attributes: Vec<KeyValue>,
        /// How many attributes the client dropped.
        #[prost(uint32, tag = "5")]
        pub dropped_attributes_count: u32,
        /// As [`super::Span::flags`], of the linked span.
        #[prost(fixed32, tag = "6")]
        pub flags: u32,
    }

    /// A span's side of a call.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
    #[repr(i32)]
    pub enum SpanKind {
        /// Not said; read as internal.
        Unspecified = 0,
        /// Within an application.
        Internal = 1,
        /// The side that serves a request.
        Server = 2,
        /// The side that makes a request.
        Client = 3,
        /// Sends a message.
        Producer = 4,
        /// Takes a message.
        Consumer = 5,
    }
}

/// How an operation ended.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    /// What went wrong.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Whether it went wrong.
    #[prost(enumeration = "status::StatusCode", tag = "3")]
    pub code: i32,
}

/// Parts of a [`Status`].
pub mod status {
    /// Whether an operation went wrong.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
    #[repr(i32)]
    pub enum StatusCode {
        /// Not said.
        Unset = 0,
        /// Checked by the application: it went well.
        Ok = 1,
        /// It went wrong.
        Error = 2,
    }
}
