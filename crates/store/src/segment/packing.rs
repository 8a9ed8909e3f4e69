//! Packs single blocks of text, and unpacks them.
//!
//! Contexts of zstd are kept per thread: making one costs more than a block of 4 KiB, and a wide row touches
//! dozens of blocks.

use std::cell::RefCell;

use super::text::{Codec, push_varint, varint};
use crate::error::{Error, ErrorKind};

/// Stands for a hex digit in the pattern of [`Codec::Digits`]. No other character of a pattern is zero.
const DIGIT: u8 = 0;

thread_local! {
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// What is known of a block's values before it is packed.
#[derive(Clone, Copy, Default)]
pub(super) struct Digits {
    /// The length of all of them, where they have one.
    pub(super) common: Option<u32>,
    /// Whether values of hex digits are kept as such without a comparison with zstd: they were before.
    pub(super) are_best: bool,
}

fn refuses(error: std::io::Error) -> Error {
    Error::with_source(ErrorKind::Io, "zstd refuses to start", error)
}

/// A block smaller than its plain bytes, its codec before it; `None` when it does not get smaller.
pub(super) fn pack(codec: Codec, plain: &[u8], digits: &Digits) -> Result<Option<Vec<u8>>, Error> {
    let (codec, packed) = match codec {
        Codec::Plain | Codec::Digits => return Ok(None),
        Codec::Lz4 => (codec, lz4_flex::block::compress(plain)),
        Codec::Zstd => {
            let found = digits.common.and_then(|common| to_digits(plain, common));
            match found {
                Some(found) if digits.are_best => (Codec::Digits, found),
                Some(found) => {
                    let squeezed = squeeze(plain)?;
                    if found.len() < squeezed.len() { (Codec::Digits, found) } else { (codec, squeezed) }
                }
                None => (codec, squeeze(plain)?),
            }
        }
    };
    if packed.len() + 1 >= plain.len() {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(packed.len() + 1);
    out.push(codec as u8);
    out.extend_from_slice(&packed);
    Ok(Some(out))
}

fn squeeze(plain: &[u8]) -> Result<Vec<u8>, Error> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            none => none.insert(zstd::bulk::Compressor::new(1).map_err(refuses)?),
        };
        // What cannot be compressed stays plain.
        Ok(compressor.compress(plain).unwrap_or_else(|_| plain.to_vec()))
    })
}

/// The plain bytes of a block without its codec.
pub(super) fn unpack(codec: Codec, packed: &[u8], plain_length: usize) -> Result<Vec<u8>, Error> {
    let damaged = || Error::damaged("a block of text does not decompress");
    let plain = match codec {
        Codec::Plain => packed.to_vec(),
        Codec::Digits => from_digits(packed, plain_length).ok_or_else(damaged)?,
        Codec::Lz4 => {
            let mut plain = vec![0; plain_length];
            let written = lz4_flex::block::decompress_into(packed, &mut plain).map_err(|_| damaged())?;
            plain.truncate(written);
            plain
        }
        Codec::Zstd => DECOMPRESSOR.with_borrow_mut(|kept| {
            let decompressor = match kept {
                Some(decompressor) => decompressor,
                none => none.insert(zstd::bulk::Decompressor::new().map_err(refuses)?),
            };
            decompressor.decompress(packed, plain_length).map_err(|_| damaged())
        })?,
    };
    if plain.len() == plain_length { Ok(plain) } else { Err(damaged()) }
}

/// The number of each hex digit; other bytes have a number above 15.
const NUMBER_OF: [u8; 256] = {
    let mut numbers = [u8::MAX; 256];
    let mut number = 0;
    while number < 16 {
        numbers[HEX[number as usize] as usize] = number;
        number += 1;
    }
    numbers
};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Values of one length that differ in hex digits only, such as ids and UUIDs: the pattern, then four bits a
/// digit. `None` when they are not of that kind.
fn to_digits(plain: &[u8], common: u32) -> Option<Vec<u8>> {
    let (_, values) = varint(plain)?;
    let length = common as usize;
    if length == 0 || values.len() < 2 * length {
        return None;
    }
    let (first, mut differs) = (&values[..length], vec![0_u8; length]);
    for value in values.chunks_exact(length) {
        for ((differs, &byte), &other) in differs.iter_mut().zip(value).zip(first) {
            *differs |= byte ^ other;
        }
    }
    let places: Vec<usize> = (0..length).filter(|&place| differs[place] != 0).collect();
    let mut pattern = first.to_vec();
    places.iter().for_each(|&place| pattern[place] = DIGIT);
    if pattern.iter().zip(&differs).any(|(&byte, &differs)| byte == DIGIT && differs == 0) {
        return None;
    }
    let mut digits = Vec::with_capacity(values.len() / length * places.len() + 1);
    for value in values.chunks_exact(length) {
        let mut largest = 0;
        for &place in &places {
            let number = NUMBER_OF[usize::from(value[place])];
            largest |= number;
            digits.push(number);
        }
        if largest > 15 {
            return None;
        }
    }
    let mut out = Vec::with_capacity(length + 6 + digits.len() / 2);
    push_varint(u64::from(common), &mut out);
    out.extend_from_slice(&pattern);
    if digits.len() % 2 == 1 {
        digits.push(0);
    }
    out.extend(digits.as_chunks::<2>().0.iter().map(|[low, high]| low | high << 4));
    Some(out)
}

fn from_digits(packed: &[u8], plain_length: usize) -> Option<Vec<u8>> {
    let (common, rest) = varint(packed)?;
    let length = usize::try_from(common).ok().filter(|&length| length > 0)?;
    let (pattern, halves) = rest.split_at_checked(length)?;
    let mut plain = Vec::with_capacity(plain_length.min(packed.len() * 2 + plain_length / 2));
    push_varint(common + 1, &mut plain);
    let values = plain_length.checked_sub(plain.len())? / length;
    let places: Vec<usize> = (0..length).filter(|&place| pattern[place] == DIGIT).collect();
    if !places.is_empty() && values > halves.len() * 2 / places.len() {
        return None;
    }
    let mut digits = halves.iter().flat_map(|byte| [byte & 15, byte >> 4]);
    for _ in 0..values {
        let start = plain.len();
        plain.extend_from_slice(pattern);
        let value = &mut plain[start..];
        for (&place, digit) in places.iter().zip(&mut digits) {
            value[place] = HEX[usize::from(digit)];
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_of(values: &[String]) -> (Vec<u8>, u32) {
        let common = u32::try_from(values[0].len()).expect("is short");
        let mut plain = Vec::new();
        push_varint(u64::from(common) + 1, &mut plain);
        values.iter().for_each(|value| plain.extend_from_slice(value.as_bytes()));
        (plain, common)
    }

    #[test]
    fn ids_take_four_bits_a_digit() {
        let noise =
            |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7;
        let values: Vec<String> =
            (1..400).map(|n| format!("req-{:016x}-{:03x}", noise(n), noise(n + 7) >> 52)).collect();
        let (plain, common) = plain_of(&values);
        let packed = pack(Codec::Zstd, &plain, &Digits { common: Some(common), are_best: false })
            .expect("packs")
            .expect("gets smaller");
        assert_eq!(packed[0], Codec::Digits as u8);
        assert!(packed.len() < 399 * 10, "{}", packed.len());
        assert_eq!(unpack(Codec::Digits, &packed[1..], plain.len()).expect("unpacks"), plain);
        for cut in [0, 1, 5, 30, packed.len() - 2] {
            assert!(unpack(Codec::Digits, &packed[1..=cut], plain.len()).is_err());
        }
        assert!(unpack(Codec::Digits, &packed[1..], plain.len() * 2).is_err());
    }

    #[test]
    fn what_is_no_id_goes_another_way() {
        for values in [["abc".to_owned(), "abx".to_owned()], ["aBc".to_owned(), "abc".to_owned()]] {
            let (plain, common) = plain_of(&values);
            assert_eq!(to_digits(&plain, common), None);
        }
        let (plain, common) = plain_of(&["\0a".to_owned(), "\0b".to_owned()]);
        assert_eq!(to_digits(&plain, common), None);
    }
}
