//! Why a request was refused as a whole.

/// A request whose bytes cannot be read as what they claim to be.
///
/// Protobuf is framed by lengths alone: after one wrong length nothing that follows can be trusted to be what
/// it looks like. So damage anywhere refuses the whole request, and the client hears where it is.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("malformed {format} at byte {offset} in {path}: {message}")]
pub struct DoorError {
    /// The format that the bytes claim to be: `protobuf` or `JSON`.
    pub format: &'static str,
    /// Byte of the decompressed body at which reading stopped.
    pub offset: usize,
    /// The message or field that could not be read, e.g. `resourceSpans[0].scopeSpans[0].spans[3].traceId`.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}
