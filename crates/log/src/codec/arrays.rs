//! Arrays of numbers in the least width that holds their largest, and a reader that checks every length.
//!
//! Nothing here is narrower than a byte a value, so that decoding never allocates more than eight times the
//! bytes it reads, whatever they claim.

use super::DecodeError;

/// Appends a number of four bytes. Lengths beyond 4 G cannot come from a batch of at most 64 MiB; should one,
/// the record would exceed its own limit and be refused.
pub(super) fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

/// Appends `values`: a byte with their width (1, 2 or 4), then each in little-endian order.
#[expect(clippy::cast_possible_truncation, reason = "the width was chosen so that each value fits")]
pub(super) fn put_u32s(out: &mut Vec<u8>, values: &[u32]) {
    let largest = values.iter().copied().max().unwrap_or_default();
    if largest <= u32::from(u8::MAX) {
        out.push(1);
        out.extend(values.iter().map(|&value| value as u8));
    } else if largest <= u32::from(u16::MAX) {
        out.push(2);
        put_wide(out, values, |value| (value as u16).to_le_bytes());
    } else {
        out.push(4);
        put_wide(out, values, u32::to_le_bytes);
    }
}

/// Appends `values`: the smallest, a byte with the width (1, 2, 4 or 8) of their distance from it, then each
/// distance in little-endian order.
#[expect(clippy::cast_possible_truncation, reason = "the width was chosen so that each distance fits")]
pub(super) fn put_i64s(out: &mut Vec<u8>, values: &[i64]) {
    let least = values.iter().copied().min().unwrap_or_default();
    let most = values.iter().copied().max().unwrap_or_default();
    let distance = |value: i64| value.wrapping_sub(least).cast_unsigned();
    out.extend_from_slice(&least.to_le_bytes());
    let largest = distance(most);
    if largest <= u64::from(u8::MAX) {
        out.push(1);
        out.extend(values.iter().map(|&value| distance(value) as u8));
    } else if largest <= u64::from(u16::MAX) {
        out.push(2);
        put_wide(out, values, |value| (distance(value) as u16).to_le_bytes());
    } else if largest <= u64::from(u32::MAX) {
        out.push(4);
        put_wide(out, values, |value| (distance(value) as u32).to_le_bytes());
    } else {
        out.push(8);
        put_wide(out, values, |value| distance(value).to_le_bytes());
    }
}

/// Appends each value's bytes. The output grows once, so that the loop is a plain copy.
pub(super) fn put_wide<T: Copy, const N: usize>(
    out: &mut Vec<u8>,
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
) {
    let start = out.len();
    out.resize(start + values.len() * N, 0);
    for (slot, &value) in out[start..].chunks_exact_mut(N).zip(values) {
        slot.copy_from_slice(&bytes(value));
    }
}

/// Reads what the functions above wrote.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `len` bytes.
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError("bytes end early"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `count` items of `N` bytes.
    fn take_items<const N: usize>(
        &mut self,
        count: usize,
    ) -> Result<impl ExactSizeIterator<Item = [u8; N]> + 'a, DecodeError> {
        let bytes = count.checked_mul(N).ok_or(DecodeError("count too large"))?;
        let (items, _) = self.take(bytes)?.as_chunks::<N>();
        Ok(items.iter().copied())
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError("bytes end early"))
    }

    /// A count or length.
    pub(super) fn len(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| DecodeError("count too large"))
    }

    pub(super) fn u32s(&mut self, count: usize) -> Result<Vec<u32>, DecodeError> {
        Ok(match self.byte()? {
            1 => self.take(count)?.iter().map(|&byte| u32::from(byte)).collect(),
            2 => self.take_items(count)?.map(|bytes| u32::from(u16::from_le_bytes(bytes))).collect(),
            4 => self.take_items(count)?.map(u32::from_le_bytes).collect(),
            _ => return Err(DecodeError("unknown width")),
        })
    }

    /// Passes over what [`Reader::u32s`] would read.
    pub(super) fn skip_u32s(&mut self, count: usize) -> Result<(), DecodeError> {
        let width = match self.byte()? {
            width @ (1 | 2 | 4) => usize::from(width),
            _ => return Err(DecodeError("unknown width")),
        };
        self.take(count.checked_mul(width).ok_or(DecodeError("count too large"))?)?;
        Ok(())
    }

    /// The smallest and the largest of what [`Reader::i64s`] would read; `None` of no numbers. Distances that lead
    /// beyond an i64, which nobody writes, are refused.
    pub(super) fn i64_range(&mut self, count: usize) -> Result<Option<(i64, i64)>, DecodeError> {
        fn range(distances: impl Iterator<Item = u64>) -> (u64, u64) {
            distances.fold((u64::MAX, 0), |(min, max), distance| (min.min(distance), max.max(distance)))
        }
        let least = i64::from_le_bytes(self.array()?);
        let (min, max) = match self.byte()? {
            1 => range(self.take(count)?.iter().map(|&byte| u64::from(byte))),
            2 => range(self.take_items(count)?.map(|b| u64::from(u16::from_le_bytes(b)))),
            4 => range(self.take_items(count)?.map(|b| u64::from(u32::from_le_bytes(b)))),
            8 => range(self.take_items(count)?.map(u64::from_le_bytes)),
            _ => return Err(DecodeError("unknown width")),
        };
        if count == 0 {
            return Ok(None);
        }
        let value = |distance| least.checked_add_unsigned(distance).ok_or(DecodeError("a time too large"));
        Ok(Some((value(min)?, value(max)?)))
    }

    pub(super) fn i64s(&mut self, count: usize) -> Result<Vec<i64>, DecodeError> {
        let least = i64::from_le_bytes(self.array()?);
        let value = |distance: u64| least.wrapping_add(distance.cast_signed());
        Ok(match self.byte()? {
            1 => self.take(count)?.iter().map(|&byte| value(u64::from(byte))).collect(),
            2 => self.take_items(count)?.map(|b| value(u64::from(u16::from_le_bytes(b)))).collect(),
            4 => self.take_items(count)?.map(|b| value(u64::from(u32::from_le_bytes(b)))).collect(),
            8 => self.take_items(count)?.map(|b| value(u64::from_le_bytes(b))).collect(),
            _ => return Err(DecodeError("unknown width")),
        })
    }

    pub(super) fn f64s(&mut self, count: usize) -> Result<Vec<f64>, DecodeError> {
        Ok(self.take_items(count)?.map(f64::from_le_bytes).collect())
    }

    pub(super) fn ids<const N: usize>(&mut self, count: usize) -> Result<Vec<[u8; N]>, DecodeError> {
        Ok(self.take_items(count)?.collect())
    }

    pub(super) fn bools(&mut self, count: usize) -> Result<Vec<bool>, DecodeError> {
        let bytes = self.take(count)?;
        if bytes.iter().any(|&byte| byte > 1) {
            return Err(DecodeError("a boolean is neither 0 nor 1"));
        }
        Ok(bytes.iter().map(|&byte| byte == 1).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_come_back() -> Result<(), DecodeError> {
        let unsigned: [&[u32]; 6] = [&[], &[0, 255], &[256, 1], &[65_535], &[65_536, 0], &[u32::MAX, 0, 77]];
        for values in unsigned {
            let mut bytes = Vec::new();
            put_u32s(&mut bytes, values);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.u32s(values.len())?, values);
            assert!(reader.is_empty());
        }
        let signed: [&[i64]; 7] = [
            &[],
            &[5],
            &[-3, 252],
            &[-3, 253, 65_000],
            &[0, 1 << 31],
            &[i64::MIN, i64::MAX, 0, -1],
            &[-1, 1 << 40],
        ];
        for values in signed {
            let mut bytes = Vec::new();
            put_i64s(&mut bytes, values);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.i64s(values.len())?, values);
            assert!(reader.is_empty());
        }
        Ok(())
    }

    #[test]
    fn a_count_larger_than_the_bytes_is_refused() {
        assert!(Reader::new(&[4, 1, 2, 3]).u32s(1).is_err());
        assert!(Reader::new(&[4, 1, 2, 3]).u32s(usize::MAX).is_err());
        assert!(Reader::new(&[3, 1, 2, 3]).u32s(1).is_err());
        assert!(Reader::new(&[2]).bools(1).is_err());
    }
}
