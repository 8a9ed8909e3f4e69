//! Errors of the HTTP API: one closed list of codes, each with its status (CONTRACT.md, "Errors").
//!
//! An error has two messages. What the client reads never carries internals; the detail goes to the server's
//! log under the same request id.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use query::{ErrorKind, Location, QueryError};
use skein_query as query;
use skein_wire::{ErrorBody, ErrorDetail, Span};

/// The codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// The request is wrong.
    InvalidRequest,
    /// A key is needed.
    Unauthenticated,
    /// Not for this client.
    Forbidden,
    /// It does not exist.
    NotFound,
    /// It is in another state.
    Conflict,
    /// The body is too large.
    TooLarge,
    /// It needs more than it may have.
    LimitExceeded,
    /// Slow down.
    Overloaded,
    /// Not now, or not in this build.
    Unavailable,
    /// A defect on our side.
    Internal,
}

impl Code {
    /// Every code.
    pub const ALL: [Code; 10] = [
        Code::InvalidRequest,
        Code::Unauthenticated,
        Code::Forbidden,
        Code::NotFound,
        Code::Conflict,
        Code::TooLarge,
        Code::LimitExceeded,
        Code::Overloaded,
        Code::Unavailable,
        Code::Internal,
    ];

    /// The name and the HTTP status.
    pub fn parts(self) -> (&'static str, StatusCode) {
        match self {
            Code::InvalidRequest => ("invalid_request", StatusCode::BAD_REQUEST),
            Code::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED),
            Code::Forbidden => ("forbidden", StatusCode::FORBIDDEN),
            Code::NotFound => ("not_found", StatusCode::NOT_FOUND),
            Code::Conflict => ("conflict", StatusCode::CONFLICT),
            Code::TooLarge => ("too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Code::LimitExceeded => ("limit_exceeded", StatusCode::UNPROCESSABLE_ENTITY),
            Code::Overloaded => ("overloaded", StatusCode::TOO_MANY_REQUESTS),
            Code::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Code::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// A refused or failed request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiError {
    // Boxed: results are returned everywhere, and an error this wide would widen them all.
    inner: Box<Inner>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Inner {
    code: Code,
    message: String,
    location: Option<Location>,
    candidates: Vec<String>,
    hint: Option<String>,
    retry_after_ms: Option<u64>,
    /// For the server's log alone.
    internal: Option<String>,
}

impl ApiError {
    /// An error with its message for the client.
    pub fn new(code: Code, message: impl Into<String>) -> ApiError {
        let inner = Inner {
            code,
            message: message.into(),
            location: None,
            candidates: Vec::new(),
            hint: None,
            retry_after_ms: None,
            internal: None,
        };
        ApiError { inner: Box::new(inner) }
    }

    /// A wrong request.
    pub fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::new(Code::InvalidRequest, message)
    }

    /// A defect; the client learns only that there is one.
    pub fn internal(detail: impl Into<String>) -> ApiError {
        let mut error = ApiError::new(Code::Internal, "the request failed inside the server");
        error.inner.internal = Some(detail.into());
        error
    }

    /// The server stops.
    pub fn stopping() -> ApiError {
        ApiError::new(Code::Unavailable, "the server is stopping").retry_after_ms(1_000)
    }

    /// What to do instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> ApiError {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Where, as a JSON pointer.
    #[must_use]
    pub fn at_path(mut self, path: impl Into<String>) -> ApiError {
        self.inner.location = Some(Location::Path(path.into()));
        self
    }

    /// What was probably meant.
    #[must_use]
    pub fn candidates(mut self, candidates: Vec<String>) -> ApiError {
        self.inner.candidates = candidates;
        self
    }

    /// When a retry may help.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> ApiError {
        self.inner.retry_after_ms = Some(ms);
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// The message for the client.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The detail for the server's log.
    pub(crate) fn internal_detail(&self) -> Option<&str> {
        self.inner.internal.as_deref()
    }

    /// The body as the client reads it.
    pub(crate) fn body(&self, request_id: Option<&str>) -> ErrorBody {
        let (span, path) = match &self.inner.location {
            Some(Location::Span { start, end }) => {
                (Some(Span { start: *start as u64, end: *end as u64 }), None)
            }
            Some(Location::Inside { path, start, end }) => {
                (Some(Span { start: *start as u64, end: *end as u64 }), Some(path.clone()))
            }
            Some(Location::Path(path)) => (None, Some(path.clone())),
            None => (None, None),
        };
        ErrorBody {
            error: ErrorDetail {
                code: self.inner.code.parts().0.to_owned(),
                message: self.inner.message.clone(),
                span,
                path,
                candidates: (!self.inner.candidates.is_empty()).then(|| self.inner.candidates.clone()),
                hint: self.inner.hint.clone(),
                retry_after_ms: self.inner.retry_after_ms,
                request_id: request_id.map(str::to_owned),
            },
        }
    }

    /// The whole response.
    pub(crate) fn respond(&self, request_id: &str) -> Response {
        if let Some(detail) = &self.inner.internal {
            tracing::error!(request_id, detail, "a request failed");
        }
        let body = serde_json::to_vec(&self.body(Some(request_id))).unwrap_or_default();
        let mut response = Response::new(body.into());
        *response.status_mut() = self.inner.code.parts().1;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(ms) = self.inner.retry_after_ms {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000).max(1)));
        }
        response
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> ApiError {
        let code = match error.kind() {
            ErrorKind::InvalidRequest => Code::InvalidRequest,
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::LimitExceeded => Code::LimitExceeded,
            ErrorKind::Cancelled => Code::Conflict,
            ErrorKind::Unavailable => Code::Unavailable,
            ErrorKind::Internal => Code::Internal,
        };
        let inner = Inner {
            code,
            message: error.message().to_owned(),
            location: error.location().cloned(),
            candidates: error.candidate_list().to_vec(),
            hint: error.hint_text().map(str::to_owned),
            retry_after_ms: (code == Code::Unavailable).then_some(1_000),
            internal: error.internal_detail().map(str::to_owned),
        };
        ApiError { inner: Box::new(inner) }
    }
}

/// Carries the error to the outermost layer, which knows the request's id and writes the body.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = self.inner.code.parts().1;
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_statuses_are_those_of_the_contract() {
        let expected = [400, 401, 403, 404, 409, 413, 422, 429, 503, 500];
        for (code, status) in Code::ALL.into_iter().zip(expected) {
            assert_eq!(code.parts().1.as_u16(), status, "{code:?}");
        }
    }

    #[test]
    fn an_internal_message_never_carries_internals() {
        let error = ApiError::from(QueryError::internal("segment 17 at /var/lib is broken"));
        let text = serde_json::to_string(&error.body(Some("r1"))).unwrap();
        assert!(!text.contains("segment") && !text.contains("/var"), "{text}");
        assert!(text.contains("\"request_id\":\"r1\"") && text.contains("\"code\":\"internal\""), "{text}");
    }
}
