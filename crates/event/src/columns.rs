//! Columns with a fixed meaning (SEMANTICS.md, "Columns with a fixed meaning").
//!
//! An attribute of the same name never overwrites one of these: it stays a column of its own origin and is
//! read as `attributes.<key>`, `scope.<key>` or `resource.<key>`.

use crate::batch::{Origin, Physical};

/// Whether a column has one value per event or one per context (resource and scope of a group of events).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Level {
    /// One value per event.
    Row,
    /// One value per resource-and-scope context; events refer to a context.
    Context,
}

macro_rules! fixed_columns {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $physical:ident, $level:ident, $use:ident;)+) => {
        /// A column with a fixed meaning.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        pub enum Fixed {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Fixed {
            /// Every fixed column.
            pub const ALL: &'static [Fixed] = &[$(Fixed::$variant),+];

            /// The name in queries and answers.
            pub fn name(self) -> &'static str {
                match self { $(Fixed::$variant => $name),+ }
            }

            /// How its values are stored.
            pub fn physical(self) -> Physical {
                match self { $(Fixed::$variant => Physical::$physical),+ }
            }

            /// Where its values are stored.
            pub fn level(self) -> Level {
                match self { $(Fixed::$variant => Level::$level),+ }
            }

            /// Whether queries see it; hidden ones serve only the export.
            pub fn is_hidden(self) -> bool {
                match self { $(Fixed::$variant => matches!(Use::$use, Use::Hidden)),+ }
            }

            /// The fixed column of a name that queries see; `body` is [`Fixed::Body`], whose json twin is
            /// [`Fixed::BodyValue`].
            #[expect(unreachable_patterns, reason = "body has two storage forms; the first one named wins")]
            pub fn from_name(name: &str) -> Option<Fixed> {
                match name { $($name => Some(Fixed::$variant).filter(|f| !f.is_hidden()),)+ _ => None }
            }
        }
    };
}

enum Use {
    Shown,
    Hidden,
}

// `timestamp`, `meta.ingest_time` and `event.id` are not listed: every event has them, in fields of their own.
fixed_columns! {
    /// `trace`, `log` or `metric`.
    SignalType = "meta.signal_type", Text, Context, Shown;
    /// The dataset: the trimmed service name, or `unknown_service` (logs: `unknown_log_source`).
    Dataset = "dataset", Text, Context, Shown;
    /// Instrumentation scope name.
    LibraryName = "library.name", Text, Context, Shown;
    /// Instrumentation scope version.
    LibraryVersion = "library.version", Text, Context, Shown;
    /// Schema URL of the resource.
    ResourceSchemaUrl = "resource.schema_url", Text, Context, Shown;
    /// Schema URL of the scope.
    ScopeSchemaUrl = "scope.schema_url", Text, Context, Shown;
    /// Attributes the client dropped from the resource.
    ResourceDropped = "resource.dropped_attributes_count", I64, Context, Shown;
    /// Attributes the client dropped from the scope.
    ScopeDropped = "scope.dropped_attributes_count", I64, Context, Shown;
    /// `Resource.entity_refs` as a json array.
    EntityRefs = "resource.entity_refs", Json, Context, Shown;
    /// Bit 0: the resource message was present; bit 1: the scope message was present.
    ContextFlags = "otlp.context_flags", I64, Context, Hidden;

    /// Trace id.
    TraceId = "trace.trace_id", TraceId, Row, Shown;
    /// Span id; of a log record, the span it belongs to.
    SpanId = "trace.span_id", SpanId, Row, Shown;
    /// Parent span id; of a span event or link, the span it belongs to.
    ParentId = "trace.parent_id", SpanId, Row, Shown;
    /// Span, span event or metric group name.
    Name = "name", Text, Row, Shown;
    /// Duration of a span. Stored in nanoseconds, shown in milliseconds.
    Duration = "duration_ms", DurationNs, Row, Shown;
    /// True when the span's status is an error.
    Error = "error", Bool, Row, Shown;
    /// How many events this one stands for.
    SampleRate = "sample_rate", F64, Row, Shown;
    /// `trace` or `event`: what was sampled.
    SamplingUnit = "meta.sampling.unit", Text, Row, Shown;
    /// `probability`, `certainty` or `unknown`.
    SamplingInclusion = "meta.sampling.inclusion", Text, Row, Shown;
    /// `span_event` or `link` for the events of a span.
    AnnotationType = "meta.annotation_type", Text, Row, Shown;
    /// `internal`, `server`, `client`, `producer`, `consumer`, `unspecified`; an unknown number as its digits.
    SpanKind = "span.kind", Text, Row, Shown;
    /// Status code of a span: 0 unset, 1 ok, 2 error. Present when the span has a status.
    StatusCode = "status_code", I64, Row, Shown;
    /// Status message of a span.
    StatusMessage = "status_message", Text, Row, Shown;
    /// W3C tracestate of a span; of a link, that of the linked span.
    TraceState = "trace.trace_state", Text, Row, Shown;
    /// Flags field of a span, log record or link.
    TraceFlags = "trace.flags", I64, Row, Shown;
    /// Number of span events that follow this span.
    NumEvents = "span.num_events", I64, Row, Shown;
    /// Number of links that follow this span's events.
    NumLinks = "span.num_links", I64, Row, Shown;
    /// Attributes the client dropped from this span, event, link or record.
    DroppedAttributes = "meta.dropped_attributes_count", I64, Row, Shown;
    /// Events the client dropped from this span.
    DroppedEvents = "meta.dropped_events_count", I64, Row, Shown;
    /// Links the client dropped from this span.
    DroppedLinks = "meta.dropped_links_count", I64, Row, Shown;
    /// Name of the span that a span event or link belongs to. Derived.
    ParentName = "parent_name", Text, Row, Shown;
    /// Milliseconds from the start of the span to its event. Derived.
    SinceSpanStart = "meta.time_since_span_start_ms", DurationNs, Row, Shown;
    /// Trace id of the linked span.
    LinkTraceId = "trace.link.trace_id", TraceId, Row, Shown;
    /// Span id of the linked span.
    LinkSpanId = "trace.link.span_id", SpanId, Row, Shown;

    /// Severity group of a log record: `trace` … `fatal`, `unspecified`. Derived.
    Severity = "severity", Text, Row, Shown;
    /// Severity number of a log record.
    SeverityCode = "severity_code", I64, Row, Shown;
    /// Severity text of a log record.
    SeverityText = "severity_text", Text, Row, Shown;
    /// Event name of a log record.
    EventName = "event.name", Text, Row, Shown;
    /// Time at which a log record was observed, epoch nanoseconds.
    ObservedTime = "meta.observed_time", I64, Row, Shown;
    /// Body of a log record, when it is text.
    Body = "body", Text, Row, Shown;
    /// Body of a log record, when it is anything but text: the typed OTLP value.
    BodyValue = "body", Json, Row, Shown;

    /// Number of metric points in this event.
    MetricPoints = "meta.metric.points", I64, Row, Shown;
    /// Start time of the metric points, epoch nanoseconds.
    MetricStartTime = "meta.metric.start_time", I64, Row, Shown;

    /// `observed` or `arrival`: the record's own time was 0 and this one stands in.
    TimeSource = "meta.time_source", Text, Row, Shown;
    /// The time as it came (decimal), where it does not fit or makes no sense.
    TimeRaw = "meta.time_raw", Text, Row, Shown;
    /// A time that does not fit i64 nanoseconds or lies more than 24 h ahead of arrival.
    TimeOutOfRange = "meta.time_out_of_range", Bool, Row, Shown;
    /// The end of a span before its start: shown as a duration of 0.
    InvalidDuration = "meta.invalid_duration", Bool, Row, Shown;
    /// The end time of a span as it came (decimal), where start + duration would not give it back.
    EndTimeRaw = "meta.end_time_raw", Text, Row, Shown;
    /// A text value that was not UTF-8; it is stored as bytes.
    InvalidUtf8 = "meta.invalid_utf8", Bool, Row, Shown;
    /// Values beyond the column limits, as a json map; still queryable by their names.
    Overflow = "meta.overflow", Json, Row, Shown;
    /// Bits that only the export needs; see docs/formats/segment.md.
    RecordFlags = "otlp.record_flags", I64, Row, Hidden;
}

/// Whether an item attribute of this name would collide with a fixed column.
pub fn is_reserved(name: &str) -> bool {
    matches!(name, "timestamp" | "meta.ingest_time" | "event.id" | "service.name")
        || Fixed::from_name(name).is_some()
}

/// The beginning of a key of the overflow map, for values that are not the record's own: a zero byte, which
/// no name has that anybody meant, and the prefix that queries know.
const OVERFLOW_PREFIXES: [(Origin, &str); 3] =
    [(Origin::Body, "\0body."), (Origin::Scope, "\0scope."), (Origin::Resource, "\0resource.")];

/// The beginning of a value's key in the overflow map; the rest is its name. Attributes of the record itself,
/// metrics and copies have their name alone.
pub fn overflow_prefix(origin: Origin) -> &'static str {
    OVERFLOW_PREFIXES.iter().find(|(known, _)| *known == origin).map_or("", |(_, prefix)| prefix)
}

/// Whose value a key of the overflow map has, and its name.
pub fn overflow_name(key: &[u8]) -> (Origin, &[u8]) {
    let stated = |(origin, prefix): &(Origin, &str)| Some((*origin, key.strip_prefix(prefix.as_bytes())?));
    OVERFLOW_PREFIXES.iter().find_map(stated).unwrap_or((Origin::Item, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_the_overflow_map_says_whose_it_is() {
        for origin in [Origin::Item, Origin::Body, Origin::Scope, Origin::Resource] {
            let key = format!("{}a.b", overflow_prefix(origin));
            assert_eq!(overflow_name(key.as_bytes()), (origin, &b"a.b"[..]));
        }
        assert_eq!(overflow_name(b"body.a"), (Origin::Item, &b"body.a"[..]), "the record's own attribute");
    }

    #[test]
    fn names_lead_back_to_their_columns() {
        for &fixed in Fixed::ALL {
            if !fixed.is_hidden() && fixed != Fixed::BodyValue {
                assert_eq!(Fixed::from_name(fixed.name()), Some(fixed), "{}", fixed.name());
            }
        }
        assert!(is_reserved("timestamp") && is_reserved("duration_ms") && !is_reserved("http.route"));
    }
}
