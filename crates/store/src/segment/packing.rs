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

fn refuses(error: std::io::Error) -> Error {
    Error::with_source(ErrorKind::Io, "zstd refuses to start", error)
}

/// A block smaller than its plain bytes, its codec before it; `None` when it does not get smaller. `common` is
/// the length of all values, where they have one.
pub(super) fn pack(codec: Codec, plain: &[u8], common: Option<u32>) -> Result<Option<Vec<u8>>, Error> {
    let (codec, packed) = match codec {
        Codec::Plain | Codec::Digits => return Ok(None),
        Codec::Lz4 => (codec, lz4_flex::block::compress(plain)),
        Codec::Zstd => {
            let squeezed = squeeze(plain)?;
            let digits = common.and_then(|common| to_digits(plain, common));
            match digits.filter(|digits| digits.len() < squeezed.len()) {
                Some(digits) => (Codec::Digits, digits),
                None => (codec, squeezed),
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

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Values of one length that differ in hex digits only, such as ids and UUIDs: the pattern, then four bits a
/// digit. `None` when they are not of that kind.
fn to_digits(plain: &[u8], common: u32) -> Option<Vec<u8>> {
    let (_, values) = varint(plain)?;
    let length = common as usize;
    if length == 0 || values.len() < 2 * length {
        return None;
    }
    let mut pattern = values[..length].to_vec();
    for value in values.chunks_exact(length) {
        for (place, &byte) in pattern.iter_mut().zip(value) {
            if *place != byte && *place != DIGIT {
                digit(*place)?;
                *place = DIGIT;
            }
            if *place == DIGIT {
                digit(byte)?;
            }
        }
    }
    let mut out = Vec::with_capacity(length + 5 + values.len() / 2);
    push_varint(u64::from(common), &mut out);
    out.extend_from_slice(&pattern);
    let digits = values.chunks_exact(length).flat_map(|value| {
        value.iter().zip(&pattern).filter(|(_, place)| **place == DIGIT).filter_map(|(&byte, _)| digit(byte))
    });
    let mut half = None;
    for digit in digits {
        match half.take() {
            None => half = Some(digit),
            Some(low) => out.push(low | digit << 4),
        }
    }
    out.extend(half);
    Some(out)
}

fn from_digits(packed: &[u8], plain_length: usize) -> Option<Vec<u8>> {
    let (common, rest) = varint(packed)?;
    let length = usize::try_from(common).ok().filter(|&length| length > 0)?;
    let (pattern, halves) = rest.split_at_checked(length)?;
    let mut plain = Vec::with_capacity(plain_length.min(packed.len() * 2 + plain_length / 2));
    push_varint(common + 1, &mut plain);
    let mut digits = halves.iter().flat_map(|byte| [byte & 15, byte >> 4]);
    let values = plain_length.checked_sub(plain.len())? / length;
    let has_digits = pattern.contains(&DIGIT);
    if has_digits && values > halves.len() * 2 {
        return None;
    }
    for _ in 0..values {
        for &place in pattern {
            plain.push(if place == DIGIT {
                let digit = digits.next()?;
                if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
            } else {
                place
            });
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
        let packed = pack(Codec::Zstd, &plain, Some(common)).expect("packs").expect("gets smaller");
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
