//! Values of one length that differ in hex digits only, such as ids and UUIDs: a pattern, then four bits a digit,
//! which no entropy coder beats.
//!
//! A value is read where it lies, without those before it: one id of a block costs as much as its digits. What this
//! module refuses to do: to panic over wrong bytes.

use super::bytes::{push_varint, varint};

/// Stands for a hex digit in a pattern. No other character of a pattern is zero.
const DIGIT: u8 = 0;

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
pub(super) fn to_digits(plain: &[u8], common: u32) -> Option<Vec<u8>> {
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

/// A block of such values, opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct DigitBlock<'a> {
    pattern: &'a [u8],
    /// Digits of one value.
    each: usize,
    halves: &'a [u8],
}

impl<'a> DigitBlock<'a> {
    /// Opens a block of so many values, which take `plain_length` bytes as text with their length before them.
    ///
    /// POST: on `Some`, every value is there.
    pub(super) fn open(packed: &'a [u8], values: usize, plain_length: usize) -> Option<DigitBlock<'a>> {
        let (common, rest) = varint(packed)?;
        let length = usize::try_from(common).ok().filter(|&length| length > 0)?;
        let (pattern, halves) = rest.split_at_checked(length)?;
        let mut head = Vec::new();
        push_varint(common + 1, &mut head);
        let each = pattern.iter().filter(|&&place| place == DIGIT).count();
        let is_whole = values.checked_mul(length)?.checked_add(head.len())? == plain_length
            && values.checked_mul(each)?.div_ceil(2) == halves.len();
        is_whole.then_some(DigitBlock { pattern, each, halves })
    }

    /// Replaces `out` by a value.
    pub(super) fn value(&self, place: usize, out: &mut Vec<u8>) {
        let mut at = place.saturating_mul(self.each);
        let mut digit = || {
            let byte = self.halves.get(at / 2).copied().unwrap_or(0);
            let digit = if at.is_multiple_of(2) { byte & 15 } else { byte >> 4 };
            at += 1;
            HEX[usize::from(digit)]
        };
        out.clear();
        out.extend(self.pattern.iter().map(|&place| if place == DIGIT { digit() } else { place }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::packing::{Digits, pack};
    use super::super::text::Codec;
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
        let packed = pack(Codec::Zstd.into(), &plain, &Digits { common: Some(common), are_best: false })
            .expect("packs")
            .expect("gets smaller");
        assert_eq!(packed[0], Codec::Digits as u8);
        assert!(packed.len() < 399 * 10, "{}", packed.len());
        let digits = DigitBlock::open(&packed[1..], 399, plain.len()).expect("opens");
        let mut read = Vec::new();
        for (place, value) in values.iter().enumerate().rev() {
            digits.value(place, &mut read);
            assert_eq!(read, value.as_bytes());
        }
        for cut in [0, 1, 5, 30, packed.len() - 2] {
            assert!(DigitBlock::open(&packed[1..=cut], 399, plain.len()).is_none());
        }
        assert!(DigitBlock::open(&packed[1..], 399, plain.len() * 2).is_none());
        assert!(DigitBlock::open(&packed[1..], 400, plain.len()).is_none());
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
