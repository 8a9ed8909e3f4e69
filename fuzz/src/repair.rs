//! Makes the checksums of a segment right, so that mutants reach what lies behind them
//! (docs/formats/segment.md).

const TRAILER_BYTES: usize = 32;
const COUNTS_BYTES: usize = 112;
/// The table of checksums is the last of twelve chunks, each with a reference of 16 bytes.
const TABLE_REFERENCE_AT: usize = COUNTS_BYTES + 11 * 16;
/// Where the counts hold the checksum of the table.
const TABLE_CHECKSUM_AT: usize = 104;
const PIECE_BYTES: usize = 64 << 10;

/// Makes right what can be found; leaves the rest as it is.
pub(crate) fn repair(bytes: &mut [u8]) {
    header(bytes);
    let Some(trailer) = bytes.len().checked_sub(TRAILER_BYTES) else { return };
    let total = bytes.len() as u64;
    put(bytes, trailer + 8, &total.to_le_bytes());
    let Some(start) = number(bytes, trailer, 8).and_then(|length| trailer.checked_sub(length)) else {
        return;
    };
    table(bytes, start);
    let checksum = crc32c::crc32c(&bytes[start..trailer]);
    put(bytes, trailer + 16, &checksum.to_le_bytes());
}

/// The table of checksums ends where the footer starts.
fn table(bytes: &mut [u8], footer: usize) {
    let Some(offset) = number(bytes, footer + TABLE_REFERENCE_AT, 8).filter(|&offset| offset <= footer)
    else {
        return;
    };
    let sums: Vec<u8> =
        bytes[..offset].chunks(PIECE_BYTES).flat_map(|piece| crc32c::crc32c(piece).to_le_bytes()).collect();
    let length = sums.len().min(footer - offset);
    put(bytes, offset, &sums[..length]);
    let checksum = crc32c::crc32c(&bytes[offset..footer]);
    put(bytes, footer + TABLE_CHECKSUM_AT, &checksum.to_le_bytes());
}

fn header(bytes: &mut [u8]) {
    let Some(total) = number(bytes, 8, 4) else { return };
    if let Some(checked) = bytes.get(16..total) {
        let checksum = crc32c::crc32c(checked);
        put(bytes, 12, &checksum.to_le_bytes());
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
