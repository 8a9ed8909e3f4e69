//! Packs single blocks of text, and unpacks them.
//!
//! Contexts of zstd are kept per thread: making one costs more than a block of 4 KiB, and a wide row touches
//! dozens of blocks.

use std::cell::RefCell;

use super::digits::to_digits;
use super::text::Codec;
use crate::error::{Error, ErrorKind};

thread_local! {
    /// With its level.
    static COMPRESSOR: RefCell<Option<(i32, zstd::bulk::Compressor<'static>)>> = const { RefCell::new(None) };
    static FAST: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// How much zstd looks for: little where a file is rewritten within hours.
pub(super) const LEVEL_HOT: i32 = 1;
/// The same where it stays: files are written once at the last tier, and read from then on.
pub(super) const LEVEL_COLD: i32 = 6;

/// What blocks of text are packed with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Packing {
    pub(super) codec: Codec,
    /// Of zstd.
    pub(super) level: i32,
}

impl From<Codec> for Packing {
    fn from(codec: Codec) -> Packing {
        Packing { codec, level: LEVEL_HOT }
    }
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
pub(super) fn pack(packing: Packing, plain: &[u8], digits: &Digits) -> Result<Option<Vec<u8>>, Error> {
    let codec = packing.codec;
    let squeeze = |plain| squeeze(plain, packing.level);
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

fn squeeze(plain: &[u8], level: i32) -> Result<Vec<u8>, Error> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let (_, compressor) = match kept {
            Some(kept) if kept.0 == level => kept,
            other => other.insert((level, zstd::bulk::Compressor::new(level).map_err(refuses)?)),
        };
        // What cannot be compressed stays plain.
        Ok(compressor.compress(plain).unwrap_or_else(|_| plain.to_vec()))
    })
}

/// Bytes in zstd, with little effort; `None` when it refuses.
pub(super) fn squeeze_fast(plain: &[u8]) -> Option<Vec<u8>> {
    FAST.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            none => none.insert(zstd::bulk::Compressor::new(LEVEL_HOT).ok()?),
        };
        compressor.compress(plain).ok()
    })
}

/// The plain bytes of what zstd packed, `plain_length` of them, with room for some more; `None` when they are not.
pub(super) fn inflate(packed: &[u8], plain_length: usize, room: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            none => none.insert(zstd::bulk::Decompressor::new().ok()?),
        };
        let mut plain = Vec::with_capacity(plain_length + room);
        decompressor.decompress_to_buffer(packed, &mut plain).ok()?;
        (plain.len() == plain_length).then_some(plain)
    })
}

/// The plain bytes of a block without its codec.
pub(super) fn unpack(codec: Codec, packed: &[u8], plain_length: usize) -> Result<Vec<u8>, Error> {
    let damaged = || Error::damaged("a block of text does not decompress");
    let plain = match codec {
        // Digits are read value by value ([`super::digits`]).
        Codec::Plain | Codec::Digits => packed.to_vec(),
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
