//! What can go wrong: one opaque error with a kind, which says what a caller can do about it.

use crate::record::Id;

/// An error of the registry.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    #[source]
    source: Option<sqlx::Error>,
}

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// No record of the environment has the id.
    NotFound,
    /// The record has another version than was expected: read it again.
    Conflict {
        /// The version that it has.
        version: u64,
    },
    /// The environment has as many records as it may.
    Full {
        /// How many.
        max: u64,
    },
    /// The record is not what was written, or the file is not what SQLite wrote.
    Damaged,
    /// A newer version of Skein wrote the file.
    Unsupported,
    /// Reading or writing failed.
    Io,
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether one record is damaged, and not the file.
    pub(crate) fn is_damaged_record(&self) -> bool {
        self.kind == ErrorKind::Damaged && self.source.is_none()
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), source: None }
    }

    pub(crate) fn not_found(what: &str, id: &Id) -> Error {
        Error::new(ErrorKind::NotFound, format!("there is no {what} {id}"))
    }

    pub(crate) fn damaged(what: &str, id: &str) -> Error {
        let message = format!(
            "the {what} {id} is not what was written into registry.sqlite; restore the file from a backup, or delete the {what}"
        );
        Error::new(ErrorKind::Damaged, message)
    }
}

/// SQLITE_CORRUPT and SQLITE_NOTADB: the file is not what SQLite wrote.
const CODES_OF_DAMAGE: [u32; 2] = [11, 26];

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Error {
        let code = source.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
        // Extended codes have the plain one in their lowest byte.
        let damaged = code.is_some_and(|code| CODES_OF_DAMAGE.contains(&(code & 0xff)));
        let (kind, message) = if damaged {
            (ErrorKind::Damaged, format!("registry.sqlite is damaged: {source}; restore it from a backup"))
        } else {
            (ErrorKind::Io, format!("registry.sqlite cannot be used: {source}"))
        };
        Error { kind, message, source: Some(source) }
    }
}
