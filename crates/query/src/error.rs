//! Why a question was not answered: what is wrong, where it stands, what was probably meant.

use std::fmt;

/// A refused or failed query.
///
/// Two messages: `message` is for the client; `internal` is for the operator's log and never leaves the
/// process (CONTRACT.md, errors).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueryError {
    // Boxed: results are returned on hot paths, and an error this wide would widen them all.
    inner: Box<Inner>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    location: Option<Location>,
    candidates: Vec<String>,
    hint: Option<String>,
    internal: Option<String>,
}

/// What sort of failure it is; the API maps each to one code of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// The question is wrong: `invalid_request`.
    InvalidRequest,
    /// What it asks for does not exist: `not_found`.
    NotFound,
    /// It needs more memory, time or rows than it may have: `limit_exceeded`.
    LimitExceeded,
    /// Somebody cancelled it: `conflict`.
    Cancelled,
    /// A part that would answer it is not there (now): `unavailable`.
    Unavailable,
    /// A defect or damage on our side: `internal`.
    Internal,
}

/// Where in the question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Location {
    /// JSON pointer into a specification, `/filters/0/column`.
    Path(String),
    /// Bytes of a text that is itself a member of a specification: an expression.
    Inside {
        /// JSON pointer of the text.
        path: String,
        /// First byte.
        start: usize,
        /// One past the last byte.
        end: usize,
    },
    /// Bytes of a query text.
    Span {
        /// First byte.
        start: usize,
        /// One past the last byte.
        end: usize,
    },
}

impl ErrorKind {
    /// The code in answers (CONTRACT.md, errors).
    pub fn code(self) -> &'static str {
        match self {
            ErrorKind::InvalidRequest => "invalid_request",
            ErrorKind::NotFound => "not_found",
            ErrorKind::LimitExceeded => "limit_exceeded",
            ErrorKind::Cancelled => "conflict",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Internal => "internal",
        }
    }
}

impl QueryError {
    /// A failure with its message for the client.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> QueryError {
        let inner = Inner {
            kind,
            message: message.into(),
            location: None,
            candidates: Vec::new(),
            hint: None,
            internal: None,
        };
        QueryError { inner: Box::new(inner) }
    }

    /// A wrong question.
    pub fn invalid(message: impl Into<String>) -> QueryError {
        QueryError::new(ErrorKind::InvalidRequest, message)
    }

    /// A defect or damage; the client learns only that there is one.
    pub fn internal(detail: impl Into<String>) -> QueryError {
        let mut error = QueryError::new(ErrorKind::Internal, "the query failed inside the server");
        error.inner.internal = Some(detail.into());
        error
    }

    /// A limit that was reached.
    pub fn limit(message: impl Into<String>) -> QueryError {
        QueryError::new(ErrorKind::LimitExceeded, message)
    }

    /// Cancelled by its owner.
    pub fn cancelled() -> QueryError {
        QueryError::new(ErrorKind::Cancelled, "the query was cancelled")
    }

    /// Says where, as a JSON pointer.
    #[must_use]
    pub fn at_path(mut self, path: impl Into<String>) -> QueryError {
        self.inner.location = Some(Location::Path(path.into()));
        self
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, location: Location) -> QueryError {
        self.inner.location = Some(location);
        self
    }

    /// The same error of a question that is itself a member of another document, at `place` there. A place in its text is
    /// one in its member `text_member`.
    #[must_use]
    pub fn within(mut self, place: &str, text_member: &str) -> QueryError {
        self.inner.location = Some(match self.inner.location {
            None => Location::Path(place.to_owned()),
            Some(Location::Path(path)) => Location::Path(format!("{place}{path}")),
            Some(Location::Inside { path, start, end }) => {
                Location::Inside { path: format!("{place}{path}"), start, end }
            }
            Some(Location::Span { start, end }) => {
                Location::Inside { path: format!("{place}{text_member}"), start, end }
            }
        });
        self
    }

    /// Says what was probably meant, best first.
    #[must_use]
    pub fn candidates(mut self, candidates: Vec<String>) -> QueryError {
        self.inner.candidates = candidates;
        self
    }

    /// Says what to do instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> QueryError {
        self.inner.hint = Some(hint.into());
        self
    }

    /// What sort it is.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The message for the client.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Where in the question.
    pub fn location(&self) -> Option<&Location> {
        self.inner.location.as_ref()
    }

    /// What was probably meant.
    pub fn candidate_list(&self) -> &[String] {
        &self.inner.candidates
    }

    /// What to do instead.
    pub fn hint_text(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// The detail for the operator's log; never for a client.
    pub fn internal_detail(&self) -> Option<&str> {
        self.inner.internal.as_deref()
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        match &self.inner.location {
            Some(Location::Path(path)) => write!(f, " (at {path})")?,
            Some(Location::Inside { path, start, end }) => write!(f, " (at {path}, {start}..{end})")?,
            Some(Location::Span { start, end }) => write!(f, " (at {start}..{end})")?,
            None => {}
        }
        match &self.inner.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for QueryError {}
