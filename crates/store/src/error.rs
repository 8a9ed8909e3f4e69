//! What can go wrong in the store. One opaque error with a kind; the kind says what a caller can do about it.

use std::fmt;

/// An error of the store.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// Bytes on disk are not what was written. The file is set aside; the rest serves.
    Damaged,
    /// Written by a newer version of Skein.
    Unsupported,
    /// Another process holds the data directory.
    Locked,
    /// Another writer has taken over: this one is fenced and must stop.
    Fenced,
    /// Reading or writing failed; trying again may help.
    Io,
    /// The catalog failed.
    Catalog,
    /// A size that no valid input reaches.
    TooLarge,
    /// The request names something that is not there.
    NotFound,
    /// The request would overwrite something, or cannot be what was meant.
    Refused,
    /// The store stops; what was begun is begun anew at the next start.
    Stopping,
    /// An erasure's filter cannot be evaluated: nothing is shown rather than what was erased.
    Erasure,
    /// Rows were asked for that an erasure has taken meanwhile: whoever looks again does not find them.
    Erased,
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), source: None }
    }

    pub(crate) fn damaged(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Damaged, message)
    }

    pub(crate) fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Error {
        Error { kind, message: message.into(), source: Some(Box::new(source)) }
    }

    /// The same error, saying where it happened.
    pub(crate) fn context(mut self, place: &str) -> Error {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
