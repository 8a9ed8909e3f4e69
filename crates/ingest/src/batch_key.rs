//! By what a batch is recognised when it comes again (invariant I4).

use skein_event::Environment;
use skein_event::flow::BatchKey;
use skein_event::hash::HashKey;
use skein_event::limits::BATCH_KEY_BYTES_MAX;

use crate::door::{Decoded, Signal};

/// A `Skein-Batch-Id` that is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidBatchId {
    /// Empty, too long, or with other characters than visible ASCII.
    #[error("Skein-Batch-Id must be 1 to {BATCH_KEY_BYTES_MAX} visible ASCII characters")]
    Form,
    /// `import/` not followed by a SHA-256 in hex and a line number.
    #[error("Skein-Batch-Id of an import must be import/<sha256 in 64 hex digits>/<line from 0>")]
    Import,
}

/// The key of a batch: the client's, else a digest of environment, signal and decompressed body when every
/// record has a time of its own, else `unique`, which no other batch may have.
///
/// A batch whose records have no times is never taken for a repetition: two equal ones may well be two events.
pub fn batch_key(
    environment: &Environment,
    signal: Signal,
    body: &[u8],
    header: Option<&str>,
    decoded: &Decoded,
    hash_key: HashKey,
    unique: u128,
) -> Result<BatchKey, InvalidBatchId> {
    if let Some(id) = header {
        return client_key(id);
    }
    if !decoded.every_record_has_time {
        return Ok(BatchKey::Unique(unique));
    }
    let mut parts = Vec::with_capacity(96);
    parts.extend_from_slice(environment.as_str().as_bytes());
    parts.push(0); // no environment has this byte in its name
    parts.extend_from_slice(signal.as_str().as_bytes());
    parts.push(0);
    parts.extend_from_slice(&hash_key.digest(body).to_le_bytes());
    Ok(BatchKey::Digest(hash_key.digest(&parts)))
}

fn client_key(id: &str) -> Result<BatchKey, InvalidBatchId> {
    if id.is_empty() || id.len() > BATCH_KEY_BYTES_MAX || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(InvalidBatchId::Form);
    }
    match id.strip_prefix("import/") {
        Some(rest) => import_key(rest).ok_or(InvalidBatchId::Import),
        None => Ok(BatchKey::Client(Box::from(id))),
    }
}

fn import_key(rest: &str) -> Option<BatchKey> {
    let (hex, line) = rest.split_once('/')?;
    if hex.len() != 64 || line.is_empty() || !line.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut file = [0_u8; 32];
    for (byte, pair) in file.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let digit = |character: u8| char::from(character).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(BatchKey::Import { file, line: line.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(environment: &str, signal: Signal, body: &[u8], header: Option<&str>, timed: bool) -> BatchKey {
        let environment = Environment::new(environment).expect("a name");
        let decoded = Decoded { every_record_has_time: timed, ..Decoded::default() };
        batch_key(&environment, signal, body, header, &decoded, HashKey(1), 7).expect("a key")
    }

    #[test]
    fn a_digest_tells_environment_signal_and_body_apart() {
        let base = key("default", Signal::Traces, b"body", None, true);
        assert_eq!(base, key("default", Signal::Traces, b"body", None, true));
        assert_ne!(base, key("skein", Signal::Traces, b"body", None, true));
        assert_ne!(base, key("default", Signal::Logs, b"body", None, true));
        assert_ne!(base, key("default", Signal::Traces, b"bodY", None, true));
    }

    #[test]
    fn a_batch_without_times_is_never_a_repetition() {
        assert_eq!(key("default", Signal::Logs, b"body", None, false), BatchKey::Unique(7));
    }

    #[test]
    fn the_clients_id_goes_first() {
        let client = BatchKey::Client(Box::from("abc"));
        assert_eq!(key("default", Signal::Logs, b"body", Some("abc"), true), client);
        let hex = "0f".repeat(32);
        let import = key("default", Signal::Logs, b"", Some(&format!("import/{hex}/12")), false);
        assert_eq!(import, BatchKey::Import { file: [15; 32], line: 12 });
    }

    #[test]
    fn a_batch_id_of_another_form_is_refused() {
        for id in ["", "with space", "é", "import/", "import/12/3", &"x".repeat(BATCH_KEY_BYTES_MAX + 1)] {
            assert!(client_key(id).is_err(), "{id}");
        }
        let hex = "0f".repeat(32);
        for line in ["", "-1", "+1", "4294967296", "1/2"] {
            assert_eq!(client_key(&format!("import/{hex}/{line}")), Err(InvalidBatchId::Import), "{line}");
        }
    }
}
