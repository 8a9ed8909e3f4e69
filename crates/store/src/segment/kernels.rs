//! The inner loops: unpacking bits. Plain functions over slices, so that the compiler sees all there is;
//! `super::machine` chooses between two compilations of them.
//!
//! What this module refuses to do: to fail. Bits that are not there read as zero; that the bits are there is
//! checked once, when a chunk is validated.

/// A value of this width, starting at any of eight bits, lies inside one 8-byte word.
const WORD_WIDTH_MAX: u32 = 56;

/// Replaces `out` by values of `width` bits each, lowest bit first. The bits end with 8 bytes of padding.
#[inline(always)]
pub(super) fn unpack_u64(bits: &[u8], width: u32, out: &mut [u64]) {
    macro_rules! by_width {
        ($($w:literal)*) => {
            match width {
                0 => out.fill(0),
                $($w => unpack_words::<$w>(bits, out),)*
                _ => out.iter_mut().enumerate().for_each(|(index, value)| *value = read_bits(bits, index, width)),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35
        36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56);
}

/// As [`unpack_u64`] for values of at most 32 bits.
#[inline(always)]
pub(super) fn unpack_u32(bits: &[u8], width: u32, out: &mut [u32]) {
    macro_rules! by_width {
        ($($w:literal)*) => {
            match width {
                $($w => unpack_halves::<$w>(bits, out),)*
                _ => out.fill(0),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

/// Eight values start at whole bytes again, so each group takes `W` bytes.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a width of at most 56")]
fn unpack_words<const W: usize>(bits: &[u8], out: &mut [u64]) {
    let mask = (1_u64 << W) - 1;
    let (groups, rest) = out.as_chunks_mut::<8>();
    for (place, group) in groups.iter_mut().enumerate() {
        match bits.get(place * W..place * W + W + 8) {
            Some(source) => {
                for (index, value) in group.iter_mut().enumerate() {
                    *value = word_at(source, index * W / 8) >> (index * W % 8) & mask;
                }
            }
            None => group.fill(0),
        }
    }
    let first = groups.len() * 8;
    rest.iter_mut().enumerate().for_each(|(index, value)| *value = read_bits(bits, first + index, W as u32));
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "masked to at most 32 bits")]
fn unpack_halves<const W: usize>(bits: &[u8], out: &mut [u32]) {
    let mask = (1_u64 << W) - 1;
    let (groups, rest) = out.as_chunks_mut::<8>();
    for (place, group) in groups.iter_mut().enumerate() {
        match bits.get(place * W..place * W + W + 8) {
            Some(source) => {
                for (index, value) in group.iter_mut().enumerate() {
                    *value = (word_at(source, index * W / 8) >> (index * W % 8) & mask) as u32;
                }
            }
            None => group.fill(0),
        }
    }
    let first = groups.len() * 8;
    rest.iter_mut()
        .enumerate()
        .for_each(|(index, value)| *value = read_bits(bits, first + index, W as u32) as u32);
}

#[inline(always)]
fn word_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|slice| slice.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// One value of `width` bits.
#[inline]
pub(super) fn read_bits(bits: &[u8], index: usize, width: u32) -> u64 {
    if width == 0 {
        return 0;
    }
    let bit = index * width as usize;
    let mask = u64::MAX >> (64 - width.min(64));
    if width <= WORD_WIDTH_MAX
        && let Some(slice) = bits.get(bit / 8..bit / 8 + 8)
    {
        return slice.try_into().map_or(0, u64::from_le_bytes) >> (bit % 8) & mask;
    }
    let mut wide = [0_u8; 16];
    let available = bits.get(bit / 8..).unwrap_or(&[]);
    let length = available.len().min(9);
    wide[..length].copy_from_slice(&available[..length]);
    #[expect(clippy::cast_possible_truncation, reason = "the low word is meant")]
    let low = (u128::from_le_bytes(wide) >> (bit % 8)) as u64;
    low & mask
}

/// Appends `width` bits of each value, lowest bit first, up to a whole byte.
pub(super) fn pack(values: &[u64], width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let mask = u64::MAX >> (64 - width);
    out.reserve(values.len() * width as usize / 8 + 8);
    let mut word = 0_u64;
    let mut filled = 0_u32;
    for &value in values {
        let value = value & mask;
        word |= value << filled;
        filled += width;
        if filled >= 64 {
            out.extend_from_slice(&word.to_le_bytes());
            filled -= 64;
            // The bits of this value that did not fit; a shift by its whole width leaves none.
            word = value.checked_shr(width - filled).unwrap_or(0);
        }
    }
    let rest = (filled as usize).div_ceil(8);
    out.extend_from_slice(&word.to_le_bytes()[..rest]);
}
