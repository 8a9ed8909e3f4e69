//! Checked reading of little-endian numbers: every place that reads untrusted bytes goes through here, so
//! that damage becomes an error and never a panic.

use crate::error::Error;

/// Reads a `u16` at `at`.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Error> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

/// Reads a `u32` at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Error> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

/// Reads a `u64` at `at`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Error> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

/// Reads an `i64` at `at`.
pub(crate) fn i64_at(bytes: &[u8], at: usize) -> Result<i64, Error> {
    array_at(bytes, at).map(i64::from_le_bytes)
}

/// The `N` bytes at `at`.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Error> {
    let end = at.checked_add(N);
    let slice = end.and_then(|end| bytes.get(at..end));
    slice.and_then(|slice| slice.try_into().ok()).ok_or_else(|| Error::damaged("it ends early"))
}

/// `length` bytes at `at`.
pub(crate) fn slice_at(bytes: &[u8], at: u64, length: u64) -> Result<&[u8], Error> {
    let outside = || Error::damaged("a part lies outside of the file");
    let start = usize::try_from(at).map_err(|_| outside())?;
    let length = usize::try_from(length).map_err(|_| outside())?;
    let end = start.checked_add(length).ok_or_else(outside)?;
    bytes.get(start..end).ok_or_else(outside)
}

/// A count that is known to fit: rows, values and codes are bounded by [`skein_event::limits`] and by the
/// 4 GiB of a dictionary. Should one not fit all the same, the largest number makes the reader refuse the
/// segment.
pub(crate) fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A length in a file.
pub(crate) fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Appends a number, seven bits a byte.
pub(crate) fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Reads a number of at most 35 bits; returns it with what follows.
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, &byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}
