//! Bits of packed integers in zstd, for files that are read rarely ([`super::text::Compression::Cold`]).
//!
//! What is wrapped are the bits of eight blocks together, a few kilobytes: the directory with the zone map stays as it
//! is, so that blocks are skipped without unwrapping anything, and a single value unwraps one group. An unwrapped group
//! is laid out as it would be without a wrap, and is kept for the next block that is asked of it
//! ([`super::unpacked`]).
//!
//! Bits that were packed to odd widths hide from zstd what repeats, so that a sequence is also tried with whole bytes
//! for each value, and these byte by byte (the first bytes of all values, then the second ones): what is smallest stays.
//!
//! What this module refuses to do: to panic over wrong bytes, to make room for more than the directory says, which is
//! 64 KiB a group at most. A group that cannot be unwrapped is an error of the check that scans do first; who reads
//! single values without that check gets zeros, and learns it from the segment afterwards.

use std::sync::Arc;

use super::bytes::u16_at;
use super::ints::{BLOCK_VALUES, GROUP_BLOCKS, PADDING_BYTES};
use super::ints_lanes::block_len;
use super::ints_packed::{Block, Packed};
use super::kernels::read_bits;
use super::packing::{inflate, squeeze_fast};
use super::reader::Segment;
use super::unpacked::UnpackedBlock;
use crate::error::Error;

/// The whole group in zstd.
const WHOLE: u8 = 1;
/// Values of whole bytes, byte by byte: of each the stored length u16, then these bytes.
const PLANES: u8 = 2;

/// Fewer values than this are not worth the wrap.
const VALUES_MIN: usize = 256;
/// What a wrap has to save of a sequence: one part in so many, and so many bytes. Reading costs more with it.
const GAIN_PART: usize = 20;
const GAIN_BYTES_MIN: usize = 64;

/// Where the bits of blocks are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bits<'a> {
    /// As they are, those of all blocks.
    Here(&'a [u8]),
    /// By groups of blocks, each in a wrap of its own unless that made it no smaller.
    Wrapped { stored: &'a [u8], segment: &'a Segment },
}

/// The bits from the start of a block on.
pub(super) enum BlockBits<'a> {
    Here(&'a [u8]),
    Unwrapped { group: Arc<UnpackedBlock>, from: usize },
}

impl std::ops::Deref for BlockBits<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            BlockBits::Here(bits) => bits,
            BlockBits::Unwrapped { group, from } => group.plain.get(*from..).unwrap_or(&[]),
        }
    }
}

fn damaged() -> Error {
    Error::damaged("integers in a wrap are not as their directory says")
}

impl<'a> Packed<'a> {
    /// The bits of a block.
    #[inline]
    pub(super) fn bits_of(&self, block: &Block, number: usize) -> BlockBits<'a> {
        match self.bits {
            Bits::Here(bits) => BlockBits::Here(bits.get(block.offset..).unwrap_or(&[])),
            Bits::Wrapped { stored, segment } => {
                let found = self.unwrap_group(stored, segment, number / GROUP_BLOCKS, block.offset);
                found.unwrap_or_else(|error| {
                    segment.keeper.note_failure(&error);
                    BlockBits::Here(&[])
                })
            }
        }
    }

    /// Calls `each` with the values at some places, of which those beyond the end are 0; neighbours of one group unwrap it
    /// once. Not for deltas.
    pub(super) fn each_at(&self, places: &[usize], mut each: impl FnMut(i64)) {
        let mut held: Option<(usize, BlockBits<'a>)> = None;
        for &place in places {
            if place >= self.len {
                each(0);
                continue;
            }
            let (number, group) = (place / BLOCK_VALUES, place / (BLOCK_VALUES * GROUP_BLOCKS));
            let block = self.block(number);
            let bits = match held.take() {
                Some((of, bits)) if of == group => bits,
                _ => self.bits_of(&Block::default(), number),
            };
            let of_block = bits.get(block.offset..).unwrap_or(&[]);
            each(self.value(block.base.wrapping_add(read_bits(of_block, place % BLOCK_VALUES, block.width))));
            held = Some((group, bits));
        }
    }

    /// Whether reading a value costs more than a few instructions.
    pub(super) fn is_wrapped(&self) -> bool {
        matches!(self.bits, Bits::Wrapped { .. })
    }

    /// Checks that every group can be unwrapped, and has the length that the widths of its blocks call for.
    pub(super) fn check_wrap(&self) -> Result<(), Error> {
        let Bits::Wrapped { stored, segment } = self.bits else { return Ok(()) };
        let groups = self.len.div_ceil(BLOCK_VALUES).div_ceil(GROUP_BLOCKS);
        let mut next = 0;
        for group in 0..groups {
            let (start, end) = self.stored_range(stored, group)?;
            if start != next || end < start {
                return Err(damaged());
            }
            next = end;
            self.unwrap_group(stored, segment, group, 0)?;
        }
        if next + PADDING_BYTES == stored.len() { Ok(()) } else { Err(damaged()) }
    }

    fn stored_range(&self, stored: &[u8], group: usize) -> Result<(usize, usize), Error> {
        let last = stored.len().checked_sub(PADDING_BYTES).ok_or_else(damaged)?;
        let is_last = (group + 1) * GROUP_BLOCKS * BLOCK_VALUES >= self.len;
        Ok((self.group_start(group), if is_last { last } else { self.group_start(group + 1) }))
    }

    fn unwrap_group(
        &self,
        all: &'a [u8],
        segment: &'a Segment,
        group: usize,
        from: usize,
    ) -> Result<BlockBits<'a>, Error> {
        let (start, end) = self.stored_range(all, group)?;
        let stored = all.get(start..end).ok_or_else(damaged)?;
        let (mut plain_length, mut values, mut widths) = (0, 0, 0..0);
        for number in group * GROUP_BLOCKS..(group + 1) * GROUP_BLOCKS {
            let in_block = block_len(self.len, number);
            if in_block == 0 {
                break;
            }
            let width = self.width_of(number);
            if width > 64 {
                return Err(damaged());
            }
            plain_length += (in_block * width).div_ceil(8);
            widths = if values == 0 { width..width } else { widths.start.min(width)..widths.end.max(width) };
            values += in_block;
        }
        if values == 0 {
            return Ok(BlockBits::Here(&[]));
        }
        if stored.len() == plain_length {
            // What follows stands in for the padding.
            return Ok(BlockBits::Here(all.get(start + from..).unwrap_or(&[])));
        }
        if let Some(group) = segment.kept_block(stored) {
            return Ok(BlockBits::Unwrapped { group, from });
        }
        let (&codec, packed) = stored.split_first().ok_or_else(damaged)?;
        let mut plain = match codec {
            WHOLE => inflate(packed, plain_length, PADDING_BYTES).ok_or_else(damaged)?,
            PLANES if widths.start == widths.end && widths.start.is_multiple_of(8) => {
                join_planes(packed, values, widths.start / 8).ok_or_else(damaged)?
            }
            _ => return Err(damaged()),
        };
        plain.extend_from_slice(&[0; PADDING_BYTES]);
        let group = Arc::new(UnpackedBlock { plain, starts: Vec::new() });
        segment.keep_block(stored, &group);
        Ok(BlockBits::Unwrapped { group, from })
    }
}

/// Groups in their wraps.
pub(super) struct Wrapped {
    /// Where each begins.
    pub(super) starts: Vec<usize>,
    /// With padding.
    pub(super) stored: Vec<u8>,
}

/// Wraps groups of bits, each with the whole bytes of its values when all have so many.
pub(super) fn wrap<'b>(groups: impl Iterator<Item = (&'b [u8], Option<usize>)>) -> Wrapped {
    let mut wrapped = Wrapped { starts: Vec::new(), stored: Vec::new() };
    for (bits, value_bytes) in groups {
        wrapped.starts.push(wrapped.stored.len());
        let whole = squeeze_fast(bits).map(|packed| (WHOLE, packed));
        let planes = value_bytes.filter(|&bytes| bytes > 1).map(|bytes| (PLANES, split_planes(bits, bytes)));
        let smallest = [whole, planes].into_iter().flatten().min_by_key(|(_, packed)| packed.len());
        match smallest.filter(|(_, packed)| packed.len() + 1 < bits.len()) {
            Some((codec, packed)) => {
                wrapped.stored.push(codec);
                wrapped.stored.extend_from_slice(&packed);
            }
            None => wrapped.stored.extend_from_slice(bits),
        }
    }
    wrapped.stored.extend_from_slice(&[0; PADDING_BYTES]);
    wrapped
}

/// Whether a sequence is worth trying.
pub(super) fn may_pay(values: usize) -> bool {
    values >= VALUES_MIN
}

/// Whether a wrap saves enough of a sequence.
pub(super) fn pays(wrapped: usize, plain: usize) -> bool {
    wrapped + (plain / GAIN_PART).max(GAIN_BYTES_MIN) <= plain
}

fn split_planes(bits: &[u8], value_bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for place in 0..value_bytes {
        let plane: Vec<u8> = bits.iter().skip(place).step_by(value_bytes).copied().collect();
        let packed = match plane.iter().all(|&byte| byte == 0) {
            true => Vec::new(),
            false => squeeze_fast(&plane).filter(|packed| packed.len() < plane.len()).unwrap_or(plane),
        };
        // A group has 8,192 values at most.
        out.extend_from_slice(&u16::try_from(packed.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(&packed);
    }
    out
}

/// POST: on `Some`, `value_bytes` bytes of each value.
fn join_planes(mut packed: &[u8], values: usize, value_bytes: usize) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(values * value_bytes + PADDING_BYTES);
    plain.resize(values * value_bytes, 0);
    for place in 0..value_bytes {
        let length = usize::from(u16_at(packed, 0).ok()?);
        let stored = packed.get(2..2 + length)?;
        packed = &packed[2 + length..];
        if length == 0 {
            continue;
        }
        let inflated;
        let plane = if length == values {
            stored
        } else {
            inflated = inflate(stored, values, 0).filter(|plane| plane.len() == values)?;
            &inflated
        };
        for (value, &byte) in plain.chunks_exact_mut(value_bytes).zip(plane) {
            value[place] = byte;
        }
    }
    packed.is_empty().then_some(plain)
}

#[cfg(test)]
mod tests {
    use skein_event::builder::BatchBuilder;
    use skein_event::hash::HashKey;
    use skein_event::ids::{Environment, Offset, Partition};

    use super::super::header::Header;
    use super::super::ints::{HEAD_BYTES, Ints};
    use super::super::ints_write::{Effort, write_ints};
    use super::super::layout::FlushPart;
    use super::super::merge::{Target, merge};
    use super::super::source::{BatchSource, Source};
    use super::super::text::Compression;
    use super::*;

    /// Some segment of this version.
    fn segment() -> Segment {
        let mut builder = BatchBuilder::new(HashKey(1));
        let context = builder.begin_context();
        builder.begin_row(7, context);
        let batch = builder.finish();
        let source = BatchSource { batch: &batch, offset: Offset(0), append_time_ns: 1, indexes: None };
        let header = Header {
            hash_key: HashKey(1),
            environment: Environment::default_environment(),
            partition: Partition(0),
            day: 0,
            append_time_ns: 0,
        };
        let target =
            Target { header, compression: Compression::None, flush: FlushPart::default(), replaces: vec![] };
        Segment::open(merge(&[Source::Batch(source)], &target).expect("merges")).expect("opens")
    }

    /// Values of which most are alike: a sequence of packed blocks, without a step and without exceptions.
    fn values(len: i64) -> Vec<i64> {
        (0..len).map(|n| if n % 31 == 0 { n % 29 } else { 3 }).collect()
    }

    fn open_and_check(bytes: &[u8]) -> Result<Vec<i64>, Error> {
        let segment = segment();
        let (ints, _) = Ints::open_in(bytes, &segment)?;
        ints.validate(i64::MIN, i64::MAX)?;
        let values = ints.to_vec();
        for (place, &value) in values.iter().enumerate().step_by(77) {
            assert_eq!(ints.get(place), value);
        }
        segment.keeper.has_unwrapped().map(|()| values)
    }

    #[test]
    fn wrapped_values_come_back() {
        for len in [256, 1_024, 1_025, 8_192, 8_193, 20_000] {
            let (mut wrapped, mut plain) = (Vec::new(), Vec::new());
            write_ints(&values(len), Effort::Cold, &mut wrapped);
            write_ints(&values(len), Effort::Full, &mut plain);
            assert!(wrapped.len() <= plain.len());
            assert_eq!(open_and_check(&wrapped).expect("opens"), values(len), "{len}");
            if len > 4_000 {
                assert!(wrapped.len() * 3 < plain.len() * 2, "{} of {}", wrapped.len(), plain.len());
                assert!(
                    Ints::open(&wrapped, super::super::header::Version::V2).is_err(),
                    "none in version 2"
                );
            }
        }
    }

    #[test]
    fn a_wrap_of_another_length_is_damage() {
        let mut bytes = Vec::new();
        write_ints(&values(4_000), Effort::Cold, &mut bytes);
        let magic = [0x28, 0xb5, 0x2f, 0xfd];
        let at = bytes.windows(4).position(|four| four == magic).expect("a wrap in zstd");
        assert_eq!(bytes[at - 1], WHOLE);
        let wrap = &bytes[at..bytes.len() - PADDING_BYTES];
        let plain = zstd::bulk::decompress(wrap, 1 << 16).expect("unwraps");
        let with = |plain: &[u8]| {
            let mut other = bytes[..at].to_vec();
            other.extend_from_slice(&zstd::bulk::compress(plain, 1).expect("wraps"));
            other.extend_from_slice(&[0; PADDING_BYTES]);
            let (body, bits) = (other.len() - HEAD_BYTES, other.len() - (at - 1));
            other[4..8].copy_from_slice(&u32::try_from(body).expect("fits").to_le_bytes());
            other[24..28].copy_from_slice(&u32::try_from(bits).expect("fits").to_le_bytes());
            other
        };
        assert_eq!(open_and_check(&with(&plain)).expect("opens"), values(4_000));
        // Of the last block nothing changes when a byte is missing or too many: its length alone says so.
        let longer = [&plain[..], &[0]].concat();
        for wrong in [&plain[..plain.len() - 1], &longer, &[]] {
            assert!(open_and_check(&with(wrong)).is_err(), "{} of {}", wrong.len(), plain.len());
        }
        let bomb = vec![0; 64 << 20];
        assert!(open_and_check(&with(&bomb)).is_err());
    }

    #[test]
    fn planes_come_back() {
        let mixed: Vec<u8> = (0_u32..900).flat_map(|n| [n.to_le_bytes(), [7, 0, 0, 0]].concat()).collect();
        for value_bytes in [2, 4, 8] {
            let packed = split_planes(&mixed, value_bytes);
            assert!(packed.len() < mixed.len() / 2);
            let values = mixed.len() / value_bytes;
            assert_eq!(join_planes(&packed, values, value_bytes).as_deref(), Some(&mixed[..]));
            assert_eq!(join_planes(&packed[..packed.len() - 1], values, value_bytes), None);
            assert_eq!(join_planes(&packed, values, value_bytes + 1), None);
            assert_eq!(join_planes(&[&packed[..], &[0]].concat(), values, value_bytes), None);
        }
    }
}
