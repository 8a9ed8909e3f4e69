//! `opentelemetry.proto.logs.v1`: log records.

use crate::common::{AnyValue, InstrumentationScope, KeyValue};
use crate::resource::Resource;

/// Log records of one resource.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceLogs {
    /// The resource.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// Its records, by scope.
    #[prost(message, repeated, tag = "2")]
    pub scope_logs: Vec<ScopeLogs>,
    /// The schema of the resource.
    #[prost(string, tag = "3")]
    pub schema_url: String,
}

/// Log records of one scope.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ScopeLogs {
    /// The scope.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<InstrumentationScope>,
    /// Its records.
    #[prost(message, repeated, tag = "2")]
    pub log_records: Vec<LogRecord>,
    /// The schema of the records.
    #[prost(string, tag = "3")]
    pub schema_url: String,
}

/// Something that happened, as its program told it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LogRecord {
    /// When it happened, epoch nanoseconds; 0 when unknown.
    #[prost(fixed64, tag = "1")]
    pub time_unix_nano: u64,
    /// How severe it is, by number.
    #[prost(enumeration = "SeverityNumber", tag = "2")]
    pub severity_number: i32,
    /// How severe it is, in the words of its source.
    #[prost(string, tag = "3")]
    pub severity_text: String,
    /// What it says.
    #[prost(message, optional, tag = "5")]
    pub body: Option<AnyValue>,
    /// Its attributes.
    #[prost(message, repeated, tag = "6")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes the client dropped.
    #[prost(uint32, tag = "7")]
    pub dropped_attributes_count: u32,
    /// Bits 0–7: W3C trace flags.
    #[prost(fixed32, tag = "8")]
    pub flags: u32,
    /// 16 bytes, or empty.
    #[prost(bytes = "vec", tag = "9")]
    pub trace_id: Vec<u8>,
    /// 8 bytes, or empty.
    #[prost(bytes = "vec", tag = "10")]
    pub span_id: Vec<u8>,
    /// When it was observed, epoch nanoseconds.
    #[prost(fixed64, tag = "11")]
    pub observed_time_unix_nano: u64,
    /// The kind of event, when the record is one.
    #[prost(string, tag = "12")]
    pub event_name: String,
}

/// How severe a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum SeverityNumber {
    Unspecified = 0,
    Trace = 1,
    Trace2 = 2,
    Trace3 = 3,
    Trace4 = 4,
    Debug = 5,
    Debug2 = 6,
    Debug3 = 7,
    Debug4 = 8,
    Info = 9,
    Info2 = 10,
    Info3 = 11,
    Info4 = 12,
    Warn = 13,
    Warn2 = 14,
    Warn3 = 15,
    Warn4 = 16,
    Error = 17,
    Error2 = 18,
    Error3 = 19,
    Error4 = 20,
    Fatal = 21,
    Fatal2 = 22,
    Fatal3 = 23,
    Fatal4 = 24,
}
