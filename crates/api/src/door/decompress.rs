//! Decompression that cannot be bombed: every byte of output is paid for before it is produced.
//!
//! The output stops at the limit of one request (413) or at the budget of all (429), whatever the input
//! promises. zstd keeps a window beside its output, so its output is paid for twice until it is done.
//! This is the only place of Skein that makes a decoder.

use std::io::{self, Read};

use skein_event::limits::ZSTD_WINDOW_LOG_MAX;

use super::buffer::{GrowError, LeasedBuffer};
use crate::budget::Lease;

/// Output produced per step: large enough that a step costs little, small enough that the last one wastes
/// little of the budget.
const STEP_BYTES: usize = 64 << 10;

/// How a body is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Compression {
    Identity,
    Gzip,
    Zstd,
}

/// Why a body could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecompressError {
    #[error("larger than the limit after decompression")]
    TooLarge,
    #[error("no room in the budget of bytes in flight")]
    OverBudget,
    #[error("damaged {encoding} data: {source}")]
    Damaged { encoding: &'static str, source: io::Error },
}

impl From<GrowError> for DecompressError {
    fn from(error: GrowError) -> DecompressError {
        match error {
            GrowError::TooLarge => DecompressError::TooLarge,
            GrowError::OverBudget => DecompressError::OverBudget,
        }
    }
}

impl Compression {
    /// The encoding of a header's value; `None` when it is not one of ours. Absent means identity.
    pub(crate) fn from_header(value: Option<&str>) -> Option<Compression> {
        match value.map(|value| value.trim().to_ascii_lowercase()).as_deref() {
            None | Some("" | "identity") => Some(Compression::Identity),
            Some("gzip" | "x-gzip") => Some(Compression::Gzip),
            Some("zstd") => Some(Compression::Zstd),
            Some(_) => None,
        }
    }
}

/// Decompresses a body. `lease` pays for the output and is part of the result.
pub(crate) fn decompress(
    compression: Compression,
    input: &[u8],
    lease: Lease,
    bytes_max: usize,
) -> Result<LeasedBuffer, DecompressError> {
    let output = LeasedBuffer::new(lease, bytes_max);
    if input.is_empty() {
        // An empty request is a success in every encoding, also from a client that compressed nothing.
        return Ok(output);
    }
    match compression {
        Compression::Identity => {
            let mut output = output;
            output.extend(input)?;
            Ok(output)
        }
        // Several gzip members in a row are one body (RFC 1952 §2.2).
        Compression::Gzip => inflate("gzip", flate2::bufread::MultiGzDecoder::new(input), output, None),
        Compression::Zstd => {
            let damaged = |source| DecompressError::Damaged { encoding: "zstd", source };
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(damaged)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(damaged)?;
            let window = output.sibling().ok_or(DecompressError::OverBudget)?;
            inflate("zstd", decoder, output, Some(window))
        }
    }
}

fn inflate(
    encoding: &'static str,
    mut decoder: impl Read,
    mut output: LeasedBuffer,
    mut window: Option<Lease>,
) -> Result<LeasedBuffer, DecompressError> {
    let mut step = vec![0_u8; STEP_BYTES];
    loop {
        // One byte beyond the limit is asked for, to tell a body of exactly the limit from a larger one.
        let wanted = STEP_BYTES.min(output.left() + 1);
        output.reserve(wanted.min(output.left()))?;
        let paid = window.as_mut().is_none_or(|window| window.grow(wanted));
        if !paid {
            return Err(DecompressError::OverBudget);
        }
        let into = step.get_mut(..wanted).unwrap_or_default();
        let read = match decoder.read(into) {
            Ok(0) => return Ok(output),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(DecompressError::Damaged { encoding, source }),
        };
        if let Some(window) = &mut window {
            window.shrink_to(output.len() + read);
        }
        output.extend(step.get(..read).unwrap_or_default())?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::budget::Budget;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn check(
        compression: Compression,
        input: &[u8],
        bytes_max: usize,
        budget: usize,
    ) -> Result<Vec<u8>, String> {
        let account = Budget::new(budget);
        let result = decompress(compression, input, account.lease(0).unwrap(), bytes_max)
            .map(|buffer| buffer.as_slice().to_vec())
            .map_err(|error| error.to_string());
        assert_eq!(account.used(), 0, "the lease comes back");
        assert!(account.peak() <= budget);
        result
    }

    #[test]
    fn what_was_compressed_comes_back() {
        let body: Vec<u8> = (0..300_000_u32).flat_map(|n| n.to_le_bytes()).collect();
        let zstd_at_once = zstd::bulk::compress(&body, 3).unwrap();
        let zstd_streamed = zstd::stream::encode_all(&*body, 3).unwrap();
        let two_members = [gzip(&body[..1000]), gzip(&body[1000..])].concat();
        let limit = body.len();
        for (compression, input) in [
            (Compression::Identity, &body),
            (Compression::Gzip, &gzip(&body)),
            (Compression::Gzip, &two_members),
            (Compression::Zstd, &zstd_at_once),
            (Compression::Zstd, &zstd_streamed),
        ] {
            assert_eq!(check(compression, input, limit, 3 * limit).as_ref(), Ok(&body), "{compression:?}");
            let above = check(compression, input, limit - 1, 3 * limit);
            assert_eq!(above, Err("larger than the limit after decompression".into()), "{compression:?}");
            let poor = check(compression, input, limit, limit / 2);
            assert_eq!(poor, Err("no room in the budget of bytes in flight".into()), "{compression:?}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_cap() {
        // 64 MiB of zeros is about 64 KiB of gzip, and a few KiB of zstd.
        let zeros = vec![0_u8; 64 << 20];
        let cap = 1 << 20;
        for (compression, bomb) in [
            (Compression::Gzip, gzip(&zeros)),
            (Compression::Zstd, zstd::bulk::compress(&zeros, 1).unwrap()),
            (Compression::Zstd, zstd::stream::encode_all(&*zeros, 1).unwrap()),
        ] {
            let budget = Budget::new(usize::MAX);
            let result = decompress(compression, &bomb, budget.lease(0).unwrap(), cap);
            assert!(matches!(result, Err(DecompressError::TooLarge)), "{compression:?}");
            assert!(budget.peak() <= 2 * cap + 2 * STEP_BYTES, "{compression:?} took {}", budget.peak());
        }
    }

    #[test]
    fn damage_is_an_error() {
        for (compression, input) in [
            (Compression::Gzip, &b"not gzip"[..]),
            (Compression::Zstd, b"not zstd"),
            (Compression::Gzip, &gzip(b"hello")[..12]),
            (Compression::Zstd, &zstd::bulk::compress(&[7; 1000], 1).unwrap()[..8]),
        ] {
            let error = check(compression, input, 1 << 20, 1 << 22).unwrap_err();
            assert!(error.starts_with("damaged"), "{error}");
        }
        assert_eq!(check(Compression::Gzip, b"", 10, 100_000), Ok(Vec::new()), "no bytes, no members");
    }

    #[test]
    fn encodings_by_name() {
        for (header, expected) in [
            (None, Some(Compression::Identity)),
            (Some("identity"), Some(Compression::Identity)),
            (Some("GZIP"), Some(Compression::Gzip)),
            (Some("zstd"), Some(Compression::Zstd)),
            (Some("br"), None),
            (Some("gzip, zstd"), None),
        ] {
            assert_eq!(Compression::from_header(header), expected, "{header:?}");
        }
    }
}
