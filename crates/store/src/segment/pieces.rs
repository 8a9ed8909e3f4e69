//! Checksums of a file's pieces of 64 KiB: the first touch of a piece in a process compares its checksum, so
//! that reading one value of a large column checks a few pieces and not the column.

use std::sync::atomic::{AtomicU64, Ordering};

use super::bytes::u32_at;
use crate::error::Error;

/// Bytes of a piece: about ten microseconds of checking, and a checksum costs one byte in 16,384.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// The checksums of some bytes' pieces, one u32 each.
pub(super) fn table(bytes: &[u8]) -> Vec<u8> {
    bytes.chunks(PIECE_BYTES).flat_map(|piece| crc32c::crc32c(piece).to_le_bytes()).collect()
}

/// Which pieces were compared: one bit each.
#[derive(Debug)]
pub(super) struct Compared(Vec<AtomicU64>);

impl Compared {
    /// None yet, of a file that has so many bytes before its table; all when it needs no check.
    pub(super) fn new(bytes: usize, trusted: bool) -> Compared {
        let words = bytes.div_ceil(PIECE_BYTES).div_ceil(64);
        let word = if trusted { u64::MAX } else { 0 };
        Compared((0..words).map(|_| AtomicU64::new(word)).collect())
    }

    /// Compares the pieces that hold `start..end` of `body`, those that were not compared before.
    pub(super) fn check(&self, body: &[u8], table: &[u8], start: usize, end: usize) -> Result<(), Error> {
        for piece in start / PIECE_BYTES..end.div_ceil(PIECE_BYTES) {
            let (Some(word), bit) = (self.0.get(piece / 64), 1_u64 << (piece % 64)) else {
                return Err(Error::damaged("a part lies outside of the file"));
            };
            if word.load(Ordering::Acquire) & bit != 0 {
                continue;
            }
            check_piece(body, table, piece)?;
            word.fetch_or(bit, Ordering::AcqRel);
        }
        Ok(())
    }
}

/// Compares one piece, whether or not it was compared before.
pub(super) fn check_piece(body: &[u8], table: &[u8], piece: usize) -> Result<(), Error> {
    let start = (piece * PIECE_BYTES).min(body.len());
    let bytes = &body[start..(start + PIECE_BYTES).min(body.len())];
    if crc32c::crc32c(bytes) == u32_at(table, piece * 4)? {
        return Ok(());
    }
    let message = format!("the checksum does not match of bytes {start} to {}", start + bytes.len());
    Err(Error::damaged(message))
}
