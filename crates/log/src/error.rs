//! What can go wrong when the log is opened or trimmed. Appends answer with `SinkError` instead, since their
//! caller needs to know whether a retry helps.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the log.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    #[source]
    source: Option<io::Error>,
}

/// What kind of error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The disk refused a call.
    Io,
    /// The log on disk has another shape than the settings say, or one that this version does not know.
    Incompatible,
    /// The settings make no sense.
    Config,
    /// Bytes of a file are not what was written.
    Damaged,
}

impl Error {
    /// What kind it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The file or folder is part of the message; the operating system's error is the source.
    pub(crate) fn io(what: &str, path: &Path, source: io::Error) -> Error {
        let message = format!("cannot {what} {}: {source}", PathBuf::from(path).display());
        Error { kind: ErrorKind::Io, message, source: Some(source) }
    }

    pub(crate) fn incompatible(message: String) -> Error {
        Error { kind: ErrorKind::Incompatible, message, source: None }
    }

    pub(crate) fn damaged(message: String) -> Error {
        Error { kind: ErrorKind::Damaged, message, source: None }
    }

    pub(crate) fn config(message: &str) -> Error {
        Error { kind: ErrorKind::Config, message: message.to_owned(), source: None }
    }
}
