//! What a door could not store, and why. Silent loss does not exist (invariant I3).

/// A record that was not stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejection {
    /// Why.
    pub reason: ReasonCode,
    /// Where in the request, e.g. `resourceSpans[0].scopeSpans[0].spans[3].traceId`.
    pub path: String,
    /// A sentence for the person who reads the client's log.
    pub message: String,
}

/// The closed list of reasons; each is a label of `skein_rejected_events_total`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum ReasonCode {
    /// A trace id that is empty, all zero or not 16 bytes.
    InvalidTraceId,
    /// A span id that is empty, all zero or not 8 bytes.
    InvalidSpanId,
    /// A field of another type than the protocol says.
    InvalidField,
    /// A value larger than [`crate::limits::VALUE_BYTES_MAX`].
    ValueTooLarge,
    /// Nesting deeper than [`crate::limits::NESTING_DEPTH_MAX`].
    TooDeep,
    /// The request as a whole could not be read.
    Malformed,
    /// The content type is none of the door's.
    UnsupportedMediaType,
    /// The request is larger than the limit, as sent or after decompression.
    TooLarge,
    /// The budget of bytes in flight is used up.
    Overloaded,
    /// The log does not accept writes.
    Unavailable,
}

impl ReasonCode {
    /// Every reason.
    pub const ALL: [ReasonCode; 10] = [
        ReasonCode::InvalidTraceId,
        ReasonCode::InvalidSpanId,
        ReasonCode::InvalidField,
        ReasonCode::ValueTooLarge,
        ReasonCode::TooDeep,
        ReasonCode::Malformed,
        ReasonCode::UnsupportedMediaType,
        ReasonCode::TooLarge,
        ReasonCode::Overloaded,
        ReasonCode::Unavailable,
    ];

    /// The reason of a name.
    pub fn from_name(name: &str) -> Option<ReasonCode> {
        ReasonCode::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// The name in metrics and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            ReasonCode::InvalidTraceId => "invalid_trace_id",
            ReasonCode::InvalidSpanId => "invalid_span_id",
            ReasonCode::InvalidField => "invalid_field",
            ReasonCode::ValueTooLarge => "value_too_large",
            ReasonCode::TooDeep => "too_deep",
            ReasonCode::Malformed => "malformed",
            ReasonCode::UnsupportedMediaType => "unsupported_media_type",
            ReasonCode::TooLarge => "too_large",
            ReasonCode::Overloaded => "overloaded",
            ReasonCode::Unavailable => "unavailable",
        }
    }
}
