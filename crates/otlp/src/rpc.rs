//! `google.rpc` and the few well-known types it needs: how OTLP tells errors.

/// The body of every error answer over HTTP, and the details of one over gRPC (`grpc-status-details-bin`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    /// The gRPC status code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// A sentence for people.
    #[prost(string, tag = "2")]
    pub message: String,
    /// [`BadRequest`], [`RetryInfo`].
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// `google.protobuf.Any`: a message with the name of its type.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Any {
    /// `type.googleapis.com/` and the full name of the message.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The message.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Duration {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// And nanoseconds.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// When a client may try again.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct RetryInfo {
    /// After this time.
    #[prost(message, optional, tag = "1")]
    pub retry_delay: Option<Duration>,
}

/// What is wrong with a request.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BadRequest {
    /// Each wrong field.
    #[prost(message, repeated, tag = "1")]
    pub field_violations: Vec<FieldViolation>,
}

/// What is wrong with a field.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FieldViolation {
    /// Its path.
    #[prost(string, tag = "1")]
    pub field: String,
    /// What is wrong with it.
    #[prost(string, tag = "2")]
    pub description: String,
}

/// A message that can be a detail of a [`Status`].
pub trait Detail: prost::Message + Sized {
    /// The name of its type.
    const TYPE_URL: &'static str;

    /// Packs it.
    fn to_any(&self) -> Any {
        Any { type_url: Self::TYPE_URL.to_owned(), value: self.encode_to_vec() }
    }
}

impl Detail for RetryInfo {
    const TYPE_URL: &'static str = "type.googleapis.com/google.rpc.RetryInfo";
}

impl Detail for BadRequest {
    const TYPE_URL: &'static str = "type.googleapis.com/google.rpc.BadRequest";
}

impl RetryInfo {
    /// Retry after this many milliseconds.
    pub fn after_ms(ms: u64) -> RetryInfo {
        let seconds = i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
        let nanos = i32::try_from(ms % 1_000 * 1_000_000).unwrap_or_default();
        RetryInfo { retry_delay: Some(Duration { seconds, nanos }) }
    }
}
