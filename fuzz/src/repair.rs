//! Makes the checksums of a segment right, so that mutants reach what lies behind them
//! (docs/formats/segment.md).

const TRAILER_BYTES: usize = 32;
const COUNTS_BYTES: usize = 112;
const REFERENCE_BYTES: usize = 24;
const CHUNKS: usize = 10;
const ENTRY_BYTES: usize = 64;

/// Makes right what can be found; leaves the rest as it is.
pub(crate) fn repair(bytes: &mut [u8]) {
    header(bytes);
    let Some(trailer) = bytes.len().checked_sub(TRAILER_BYTES) else { return };
    let total = bytes.len() as u64;
    put(bytes, trailer + 8, &total.to_le_bytes());
    let Some(start) = number(bytes, trailer, 8).and_then(|length| trailer.checked_sub(length)) else {
        return;
    };
    let columns = number(bytes, start + 8, 4).unwrap_or(0).min(10_000);
    for chunk in 0..CHUNKS {
        let at = start + COUNTS_BYTES + chunk * REFERENCE_BYTES;
        reference(bytes, at, at + 8, at + 16);
    }
    for column in 0..columns {
        let at = start + COUNTS_BYTES + CHUNKS * REFERENCE_BYTES + column * ENTRY_BYTES;
        reference(bytes, at + 32, at + 40, at + 28);
    }
    let checksum = crc32c::crc32c(&bytes[start..trailer]);
    put(bytes, trailer + 16, &checksum.to_le_bytes());
}

fn header(bytes: &mut [u8]) {
    let Some(total) = number(bytes, 8, 4) else { return };
    if let Some(checked) = bytes.get(16..total) {
        let checksum = crc32c::crc32c(checked);
        put(bytes, 12, &checksum.to_le_bytes());
    }
}

fn reference(bytes: &mut [u8], offset_at: usize, length_at: usize, checksum_at: usize) {
    let (Some(offset), Some(length)) = (number(bytes, offset_at, 8), number(bytes, length_at, 8)) else {
        return;
    };
    let chunk = offset.checked_add(length).and_then(|end| bytes.get(offset..end));
    if let Some(checksum) = chunk.map(crc32c::crc32c) {
        put(bytes, checksum_at, &checksum.to_le_bytes());
    }
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let mut buffer = [0; 8];
    buffer[..width].copy_from_slice(bytes.get(at..at.checked_add(width)?)?);
    usize::try_from(u64::from_le_bytes(buffer)).ok()
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(slot) = bytes.get_mut(at..at + value.len()) {
        slot.copy_from_slice(value);
    }
}
