//! Fields at fixed places of a header, read and written without a panic.

/// The `N` bytes at `place`; zeros where the bytes end early, which no caller lets happen: each checks the
/// length of the whole header first.
pub(crate) fn get<const N: usize>(bytes: &[u8], place: usize) -> [u8; N] {
    bytes.get(place..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

/// Writes bytes at a place, if they fit there.
pub(crate) fn put<const N: usize>(bytes: &mut [u8], place: usize, value: [u8; N]) {
    if let Some(slot) = bytes.get_mut(place..).and_then(|rest| rest.first_chunk_mut::<N>()) {
        *slot = value;
    }
}

/// The checksum of a header but for the four bytes at `place`, which hold it.
pub(crate) fn checksum_around(header: &[u8], place: usize) -> u32 {
    let before = header.get(..place).unwrap_or_default();
    let after = header.get(place + 4..).unwrap_or_default();
    crc32c::crc32c_append(crc32c::crc32c(before), after)
}
