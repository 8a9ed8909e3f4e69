//! The messages of OTLP 1.11 as the JSON door needs them: keys, field numbers, types.
//!
//! Fields that the protobuf door ignores outside of profiles (`keyStrindex`, `stringValueStrindex`) are not
//! listed, and so ignored as any unknown key is.

use crate::door::Signal;

/// A message.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) fields: &'static [Field],
    pub(super) role: Role,
}

/// What the transcoder must know about a message beyond its fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// Nothing.
    Plain,
    /// An `AnyValue`: a level of nesting.
    Value,
    /// A `KeyValue`: its fields are written in the order of their numbers, so that equal values are equal
    /// bytes whichever door they came through.
    Entry,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) cardinality: Cardinality,
}

/// How often a field occurs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cardinality {
    /// Once; the default value is not written.
    Implicit,
    /// Once; written whenever it is there (`optional`, members of a oneof).
    Explicit,
    /// Many times.
    List,
    /// Many numbers in one field.
    Packed,
    /// Many times, and each element is rejected alone: a record, or what holds records.
    Units,
}

/// The type of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    TraceId,
    SpanId,
    Base64,
    Boolean,
    /// uint32.
    Unsigned32,
    /// fixed32.
    Fixed32,
    /// sint32.
    Zigzag32,
    /// int64.
    Signed64,
    /// uint64.
    Unsigned64,
    /// fixed64; a negative number is taken as its two's complement and judged by the protobuf door.
    Fixed64,
    /// sfixed64.
    SignedFixed64,
    Double,
    /// An enumeration, with the names of its numbers from 0.
    Enumeration(&'static [&'static str]),
    Message(&'static Schema),
}

impl Schema {
    /// The field of a key.
    pub(super) fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}

/// The request of a signal.
pub(super) fn request(signal: Signal) -> &'static Schema {
    match signal {
        Signal::Traces => &TRACES,
        Signal::Logs => &LOGS,
        Signal::Metrics => &METRICS,
    }
}

use Cardinality::{Explicit, Implicit, List, Packed, Units};
use Kind::{
    Base64, Boolean, Double, Enumeration, Fixed32, Fixed64, Message, Signed64, SignedFixed64, SpanId, Text,
    TraceId, Unsigned32, Unsigned64, Zigzag32,
};

const fn field(key: &'static str, number: u32, kind: Kind, cardinality: Cardinality) -> Field {
    Field { key, number, kind, cardinality }
}

const fn plain(fields: &'static [Field]) -> Schema {
    Schema { fields, role: Role::Plain }
}

static ANY_VALUE: Schema = Schema {
    role: Role::Value,
    fields: &[
        field("stringValue", 1, Text, Explicit),
        field("boolValue", 2, Boolean, Explicit),
        field("intValue", 3, Signed64, Explicit),
        field("doubleValue", 4, Double, Explicit),
        field("arrayValue", 5, Message(&ARRAY), Explicit),
        field("kvlistValue", 6, Message(&MAP), Explicit),
        field("bytesValue", 7, Base64, Explicit),
    ],
};

static ARRAY: Schema = plain(&[field("values", 1, Message(&ANY_VALUE), List)]);

static MAP: Schema = plain(&[field("values", 1, Message(&KEY_VALUE), List)]);

static KEY_VALUE: Schema = Schema {
    role: Role::Entry,
    fields: &[field("key", 1, Text, Implicit), field("value", 2, Message(&ANY_VALUE), Explicit)],
};

static SCOPE: Schema = plain(&[
    field("name", 1, Text, Implicit),
    field("version", 2, Text, Implicit),
    field("attributes", 3, Message(&KEY_VALUE), List),
    field("droppedAttributesCount", 4, Unsigned32, Implicit),
]);

static RESOURCE: Schema = plain(&[
    field("attributes", 1, Message(&KEY_VALUE), List),
    field("droppedAttributesCount", 2, Unsigned32, Implicit),
    field("entityRefs", 3, Message(&ENTITY_REF), List),
]);

static ENTITY_REF: Schema = plain(&[
    field("schemaUrl", 1, Text, Implicit),
    field("type", 2, Text, Implicit),
    field("idKeys", 3, Text, List),
    field("descriptionKeys", 4, Text, List),
]);

static TRACES: Schema = plain(&[field("resourceSpans", 1, Message(&RESOURCE_SPANS), Units)]);

static RESOURCE_SPANS: Schema = plain(&[
    field("resource", 1, Message(&RESOURCE), Explicit),
    field("scopeSpans", 2, Message(&SCOPE_SPANS), Units),
    field("schemaUrl", 3, Text, Implicit),
]);

static SCOPE_SPANS: Schema = plain(&[
    field("scope", 1, Message(&SCOPE), Explicit),
    field("spans", 2, Message(&SPAN), Units),
    field("schemaUrl", 3, Text, Implicit),
]);

static SPAN: Schema = plain(&[
    field("traceId", 1, TraceId, Implicit),
    field("spanId", 2, SpanId, Implicit),
    field("traceState", 3, Text, Implicit),
    field("parentSpanId", 4, SpanId, Implicit),
    field("name", 5, Text, Implicit),
    field("kind", 6, Enumeration(&SPAN_KINDS), Implicit),
    field("startTimeUnixNano", 7, Fixed64, Implicit),
    field("endTimeUnixNano", 8, Fixed64, Implicit),
    field("attributes", 9, Message(&KEY_VALUE), List),
    field("droppedAttributesCount", 10, Unsigned32, Implicit),
    field("events", 11, Message(&SPAN_EVENT), List),
    field("droppedEventsCount", 12, Unsigned32, Implicit),
    field("links", 13, Message(&LINK), List),
    field("droppedLinksCount", 14, Unsigned32, Implicit),
    field("status", 15, Message(&STATUS), Explicit),
    field("flags", 16, Fixed32, Implicit),
]);

static SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

static SPAN_EVENT: Schema = plain(&[
    field("timeUnixNano", 1, Fixed64, Implicit),
    field("name", 2, Text, Implicit),
    field("attributes", 3, Message(&KEY_VALUE), List),
    field("droppedAttributesCount", 4, Unsigned32, Implicit),
]);

static LINK: Schema = plain(&[
    field("traceId", 1, TraceId, Implicit),
    field("spanId", 2, SpanId, Implicit),
    field("traceState", 3, Text, Implicit),
    field("attributes", 4, Message(&KEY_VALUE), List),
    field("droppedAttributesCount", 5, Unsigned32, Implicit),
    field("flags", 6, Fixed32, Implicit),
]);

static STATUS: Schema =
    plain(&[field("message", 2, Text, Implicit), field("code", 3, Enumeration(&STATUS_CODES), Implicit)]);

static STATUS_CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

static LOGS: Schema = plain(&[field("resourceLogs", 1, Message(&RESOURCE_LOGS), Units)]);

static RESOURCE_LOGS: Schema = plain(&[
    field("resource", 1, Message(&RESOURCE), Explicit),
    field("scopeLogs", 2, Message(&SCOPE_LOGS), Units),
    field("schemaUrl", 3, Text, Implicit),
]);

static SCOPE_LOGS: Schema = plain(&[
    field("scope", 1, Message(&SCOPE), Explicit),
    field("logRecords", 2, Message(&LOG_RECORD), Units),
    field("schemaUrl", 3, Text, Implicit),
]);

static LOG_RECORD: Schema = plain(&[
    field("timeUnixNano", 1, Fixed64, Implicit),
    field("severityNumber", 2, Enumeration(&SEVERITIES), Implicit),
    field("severityText", 3, Text, Implicit),
    field("body", 5, Message(&ANY_VALUE), Explicit),
    field("attributes", 6, Message(&KEY_VALUE), List),
    field("droppedAttributesCount", 7, Unsigned32, Implicit),
    field("flags", 8, Fixed32, Implicit),
    field("traceId", 9, TraceId, Implicit),
    field("spanId", 10, SpanId, Implicit),
    field("observedTimeUnixNano", 11, Fixed64, Implicit),
    field("eventName", 12, Text, Implicit),
]);

static SEVERITIES: [&str; 25] = [
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];

static METRICS: Schema = plain(&[field("resourceMetrics", 1, Message(&RESOURCE_METRICS), Units)]);

static RESOURCE_METRICS: Schema = plain(&[
    field("resource", 1, Message(&RESOURCE), Explicit),
    field("scopeMetrics", 2, Message(&SCOPE_METRICS), Units),
    field("schemaUrl", 3, Text, Implicit),
]);

static SCOPE_METRICS: Schema = plain(&[
    field("scope", 1, Message(&SCOPE), Explicit),
    field("metrics", 2, Message(&METRIC), Units),
    field("schemaUrl", 3, Text, Implicit),
]);

static METRIC: Schema = plain(&[
    field("name", 1, Text, Implicit),
    field("description", 2, Text, Implicit),
    field("unit", 3, Text, Implicit),
    field("gauge", 5, Message(&GAUGE), Explicit),
    field("sum", 7, Message(&SUM), Explicit),
    field("histogram", 9, Message(&HISTOGRAM), Explicit),
    field("exponentialHistogram", 10, Message(&EXPONENTIAL_HISTOGRAM), Explicit),
    field("summary", 11, Message(&SUMMARY), Explicit),
    field("metadata", 12, Message(&KEY_VALUE), List),
]);

static GAUGE: Schema = plain(&[field("dataPoints", 1, Message(&NUMBER_POINT), Units)]);

static SUM: Schema = plain(&[
    field("dataPoints", 1, Message(&NUMBER_POINT), Units),
    field("aggregationTemporality", 2, Enumeration(&TEMPORALITIES), Implicit),
    field("isMonotonic", 3, Boolean, Implicit),
]);

static HISTOGRAM: Schema = plain(&[
    field("dataPoints", 1, Message(&HISTOGRAM_POINT), Units),
    field("aggregationTemporality", 2, Enumeration(&TEMPORALITIES), Implicit),
]);

static EXPONENTIAL_HISTOGRAM: Schema = plain(&[
    field("dataPoints", 1, Message(&EXPONENTIAL_POINT), Units),
    field("aggregationTemporality", 2, Enumeration(&TEMPORALITIES), Implicit),
]);

static SUMMARY: Schema = plain(&[field("dataPoints", 1, Message(&SUMMARY_POINT), Units)]);

static TEMPORALITIES: [&str; 3] = [
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
];

static NUMBER_POINT: Schema = plain(&[
    field("startTimeUnixNano", 2, Fixed64, Implicit),
    field("timeUnixNano", 3, Fixed64, Implicit),
    field("asDouble", 4, Double, Explicit),
    field("exemplars", 5, Message(&EXEMPLAR), List),
    field("asInt", 6, SignedFixed64, Explicit),
    field("attributes", 7, Message(&KEY_VALUE), List),
    field("flags", 8, Unsigned32, Implicit),
]);

static HISTOGRAM_POINT: Schema = plain(&[
    field("startTimeUnixNano", 2, Fixed64, Implicit),
    field("timeUnixNano", 3, Fixed64, Implicit),
    field("count", 4, Fixed64, Implicit),
    field("sum", 5, Double, Explicit),
    field("bucketCounts", 6, Fixed64, Packed),
    field("explicitBounds", 7, Double, Packed),
    field("exemplars", 8, Message(&EXEMPLAR), List),
    field("attributes", 9, Message(&KEY_VALUE), List),
    field("flags", 10, Unsigned32, Implicit),
    field("min", 11, Double, Explicit),
    field("max", 12, Double, Explicit),
]);

static EXPONENTIAL_POINT: Schema = plain(&[
    field("attributes", 1, Message(&KEY_VALUE), List),
    field("startTimeUnixNano", 2, Fixed64, Implicit),
    field("timeUnixNano", 3, Fixed64, Implicit),
    field("count", 4, Fixed64, Implicit),
    field("sum", 5, Double, Explicit),
    field("scale", 6, Zigzag32, Implicit),
    field("zeroCount", 7, Fixed64, Implicit),
    field("positive", 8, Message(&BUCKETS), Explicit),
    field("negative", 9, Message(&BUCKETS), Explicit),
    field("flags", 10, Unsigned32, Implicit),
    field("exemplars", 11, Message(&EXEMPLAR), List),
    field("min", 12, Double, Explicit),
    field("max", 13, Double, Explicit),
    field("zeroThreshold", 14, Double, Implicit),
]);

static BUCKETS: Schema =
    plain(&[field("offset", 1, Zigzag32, Implicit), field("bucketCounts", 2, Unsigned64, Packed)]);

static SUMMARY_POINT: Schema = plain(&[
    field("startTimeUnixNano", 2, Fixed64, Implicit),
    field("timeUnixNano", 3, Fixed64, Implicit),
    field("count", 4, Fixed64, Implicit),
    field("sum", 5, Double, Implicit),
    field("quantileValues", 6, Message(&QUANTILE), List),
    field("attributes", 7, Message(&KEY_VALUE), List),
    field("flags", 8, Unsigned32, Implicit),
]);

static QUANTILE: Schema =
    plain(&[field("quantile", 1, Double, Implicit), field("value", 2, Double, Implicit)]);

static EXEMPLAR: Schema = plain(&[
    field("timeUnixNano", 2, Fixed64, Implicit),
    field("asDouble", 3, Double, Explicit),
    field("spanId", 4, SpanId, Implicit),
    field("traceId", 5, TraceId, Implicit),
    field("asInt", 6, SignedFixed64, Explicit),
    field("filteredAttributes", 7, Message(&KEY_VALUE), List),
]);
