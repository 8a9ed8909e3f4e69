//! Refusals of an OTLP door: `google.rpc.Status` in the client's encoding, with the HTTP status and gRPC
//! code that tell it whether to retry.
//!
//! Whether to retry is a fact of its own (`retry_after_ms`), kept apart from what went wrong: only a refusal
//! that has it carries RetryInfo and Retry-After. Sources: OTLP specification 1.11, "Failures";
//! google/rpc/status.proto and error_details.proto.

use event::rejection::ReasonCode;
use http::StatusCode;
use prost::Message as _;
use serde_json::{Value, json};
use skein_event as event;

/// What went wrong with a request as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RefusalKind {
    Malformed,
    UnsupportedMediaType,
    TooLarge,
    Overloaded,
    Unavailable,
    Unimplemented,
    NotFound,
    MethodNotAllowed,
    Forbidden,
    Internal,
}

/// A refused request. The message is for the client and holds no internals.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    pub(crate) kind: RefusalKind,
    pub(crate) message: String,
    /// Where the request is wrong: field path and description.
    pub(crate) violations: Vec<(String, String)>,
    /// When a retry may help; `None` when it never does.
    pub(crate) retry_after_ms: Option<u64>,
}

/// A client that was told to slow down, or that the server stops, comes back after this long.
pub(crate) const RETRY_AFTER_MS: u64 = 1_000;

impl RefusalKind {
    /// The HTTP status and the gRPC code.
    pub(crate) fn codes(self) -> (StatusCode, i32) {
        match self {
            RefusalKind::Malformed => (StatusCode::BAD_REQUEST, 3),
            RefusalKind::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, 3),
            RefusalKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, 8),
            RefusalKind::Overloaded => (StatusCode::TOO_MANY_REQUESTS, 8),
            RefusalKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, 14),
            RefusalKind::Unimplemented => (StatusCode::NOT_IMPLEMENTED, 12),
            RefusalKind::NotFound => (StatusCode::NOT_FOUND, 5),
            RefusalKind::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, 12),
            RefusalKind::Forbidden => (StatusCode::FORBIDDEN, 7),
            RefusalKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, 13),
        }
    }

    /// The reason under which it is counted and listed; `None` for what is no loss of events.
    pub(crate) fn reason(self) -> Option<ReasonCode> {
        match self {
            RefusalKind::Malformed => Some(ReasonCode::Malformed),
            RefusalKind::UnsupportedMediaType => Some(ReasonCode::UnsupportedMediaType),
            RefusalKind::TooLarge => Some(ReasonCode::TooLarge),
            RefusalKind::Overloaded => Some(ReasonCode::Overloaded),
            RefusalKind::Unavailable | RefusalKind::Internal => Some(ReasonCode::Unavailable),
            _ => None,
        }
    }
}

impl Refusal {
    pub(crate) fn new(kind: RefusalKind, message: impl Into<String>) -> Refusal {
        Refusal { kind, message: message.into(), violations: Vec::new(), retry_after_ms: None }
    }

    /// A body that is not what it says it is.
    pub(crate) fn malformed(path: impl Into<String>, message: impl Into<String>) -> Refusal {
        let (path, message) = (path.into(), message.into());
        let shown = if path.is_empty() { message.clone() } else { format!("{path}: {message}") };
        Refusal { violations: vec![(path, message)], ..Refusal::new(RefusalKind::Malformed, shown) }
    }

    /// Larger than a request may be; sending it again never helps.
    pub(crate) fn too_large(bytes_max: usize) -> Refusal {
        let message = format!(
            "the request is larger than {bytes_max} bytes, as sent or after decompression; send smaller batches"
        );
        Refusal::new(RefusalKind::TooLarge, message)
    }

    /// The budget of bytes in flight is used up.
    pub(crate) fn over_budget() -> Refusal {
        let message = "too many bytes in flight; slow down and send again";
        Refusal::retry(RefusalKind::Overloaded, message, RETRY_AFTER_MS)
    }

    /// The server stops.
    pub(crate) fn stopping() -> Refusal {
        Refusal::retry(RefusalKind::Unavailable, "the server is stopping; send again", RETRY_AFTER_MS)
    }

    /// A refusal after which the same request may succeed.
    pub(crate) fn retry(kind: RefusalKind, message: impl Into<String>, retry_after_ms: u64) -> Refusal {
        Refusal { retry_after_ms: Some(retry_after_ms), ..Refusal::new(kind, message) }
    }

    /// The Retry-After header in whole seconds, never 0, which clients read as no delay at all.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_ms.map(|ms| ms.div_ceil(1_000).max(1))
    }

    /// The `google.rpc.Status` message.
    pub(crate) fn to_protobuf(&self) -> Vec<u8> {
        let mut details = Vec::new();
        if !self.violations.is_empty() {
            let field_violations = self.violations.iter().map(|(field, description)| FieldViolation {
                field: field.clone(),
                description: description.clone(),
            });
            let message = BadRequest { field_violations: field_violations.collect() };
            details.push(Any { type_url: BAD_REQUEST_URL.into(), value: message.encode_to_vec() });
        }
        if let Some(ms) = self.retry_after_ms {
            let message = RetryInfo { retry_delay: Some(delay(ms)) };
            details.push(Any { type_url: RETRY_INFO_URL.into(), value: message.encode_to_vec() });
        }
        Status { code: self.kind.codes().1, message: self.message.clone(), details }.encode_to_vec()
    }

    /// The same in the JSON mapping of protobuf.
    pub(crate) fn to_json(&self) -> Value {
        let mut details = Vec::new();
        if !self.violations.is_empty() {
            let violations: Vec<Value> = self
                .violations
                .iter()
                .map(|(field, description)| json!({"field": field, "description": description}))
                .collect();
            details.push(json!({"@type": BAD_REQUEST_URL, "fieldViolations": violations}));
        }
        if let Some(ms) = self.retry_after_ms {
            let Duration { seconds, nanos } = delay(ms);
            let text =
                if nanos == 0 { format!("{seconds}s") } else { format!("{seconds}.{:03}s", ms % 1_000) };
            details.push(json!({"@type": RETRY_INFO_URL, "retryDelay": text}));
        }
        json!({"code": self.kind.codes().1, "message": self.message, "details": details})
    }
}

fn delay(ms: u64) -> Duration {
    let nanos = i32::try_from(ms % 1_000 * 1_000_000).unwrap_or_default();
    Duration { seconds: i64::try_from(ms / 1_000).unwrap_or(i64::MAX), nanos }
}

const BAD_REQUEST_URL: &str = "type.googleapis.com/google.rpc.BadRequest";
const RETRY_INFO_URL: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// google/rpc/status.proto.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Any>,
}

/// google/protobuf/any.proto.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Any {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Duration>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Duration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(refusal: &Refusal, http: u16, retry_after: Option<u64>, json: Value) {
        assert_eq!(refusal.kind.codes().0.as_u16(), http);
        assert_eq!(refusal.retry_after_seconds(), retry_after);
        assert_eq!(refusal.to_json(), json);
        // Both encodings say the same.
        let status = Status::decode(&*refusal.to_protobuf()).unwrap();
        assert_eq!((status.code, &status.message), (refusal.kind.codes().1, &refusal.message));
        let urls: Vec<&str> = status.details.iter().map(|any| any.type_url.as_str()).collect();
        let expected: Vec<&str> =
            json["details"].as_array().unwrap().iter().map(|any| any["@type"].as_str().unwrap()).collect();
        assert_eq!(urls, expected);
    }

    #[test]
    fn refusals_in_both_encodings() {
        let bad = Refusal::malformed("resourceSpans[0]", "truncated");
        check(
            &bad,
            400,
            None,
            json!({"code": 3, "message": "resourceSpans[0]: truncated", "details": [
                {"@type": BAD_REQUEST_URL,
                 "fieldViolations": [{"field": "resourceSpans[0]", "description": "truncated"}]}]}),
        );
        check(
            &Refusal::over_budget(),
            429,
            Some(1),
            json!({"code": 8, "message": "too many bytes in flight; slow down and send again",
                "details": [{"@type": RETRY_INFO_URL, "retryDelay": "1s"}]}),
        );
        check(
            &Refusal::retry(RefusalKind::Unavailable, "full", 2_500),
            503,
            Some(3),
            json!({"code": 14, "message": "full", "details": [{"@type": RETRY_INFO_URL, "retryDelay": "2.500s"}]}),
        );
        let large = Refusal::too_large(10);
        check(&large, 413, None, json!({"code": 8, "message": large.message, "details": []}));
    }
}
