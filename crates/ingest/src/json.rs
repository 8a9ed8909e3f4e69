//! The OTLP/JSON door: JSON text becomes the same events that the protobuf door makes of the same request.
//!
//! The text is checked once as a whole, then transcoded to protobuf by the messages' schemas, and the
//! protobuf door does the rest: there is one mapping to columns, not two. Transcoding needs no tree of the
//! document, so memory stays below the size of the body, and depth is bounded.
//!
//! What it accepts (OTLP 1.11, "JSON Protobuf Encoding"): lowerCamelCase keys only, unknown keys ignored, ids
//! in hex of either case, other bytes in base64, 64-bit integers as text or number, `null` as absent, NaN and
//! infinities as text. Enumerations are integers; their names are taken too, since real clients send them.
//!
//! What it refuses: text that is no JSON refuses the request, with line and column. A field of a wrong type
//! rejects the span, log record or metric point it belongs to (all of them, when it belongs to a metric,
//! scope or resource), with its path, and the rest is stored.

mod cursor;
mod number;
mod rebase;
mod schema;
mod syntax;
mod transcode;

#[cfg(test)]
mod tests;

use crate::door::{Decoded, DoorContext, Rejected, Signal, decode_protobuf};
use crate::error::DoorError;

pub(crate) use self::number::hex;

/// Reads the body of an OTLP `Export*ServiceRequest` in JSON.
///
/// POST: as [`decode_protobuf`].
pub fn decode_json(signal: Signal, body: &[u8], context: &DoorContext) -> Result<Decoded, DoorError> {
    let text = syntax::check(body)?;
    let transcoded = transcode::transcode(text, schema::request(signal))?;
    let mut decoded = decode_protobuf(signal, &transcoded.protobuf, context)?;
    for rejection in &mut decoded.rejected.kept {
        rejection.path = rebase::rebase(&rejection.path, &transcoded.dropped);
    }
    for warning in &mut decoded.warnings {
        warning.path = rebase::rebase(&warning.path, &transcoded.dropped);
    }
    decoded.rejected = merge(transcoded.rejected, decoded.rejected);
    Ok(decoded)
}

/// What the transcoder rejected, then what the protobuf door did.
fn merge(mut first: Rejected, second: Rejected) -> Rejected {
    for (reason, count) in second.counts {
        match first.counts.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, sum)) => *sum += count,
            None => first.counts.push((reason, count)),
        }
    }
    first.kept.extend(second.kept);
    first.kept.truncate(skein_event::limits::REJECTIONS_PER_REQUEST_MAX);
    first
}
