//! The values of an open column in their encoded form, one variant per encoding.

use super::bytes::{array_at, slice_at, u32_at};
use super::column::{DOUBLE_ZONE_BYTES, HEAD_BYTES, V1_HEAD_BYTES, divisor};
use super::header::Version;
use super::info::{ColumnInfo, Encoding};
use super::ints::{BLOCK_VALUES, Ints};
use super::links::Links;
use super::reader::Segment;
use crate::error::Error;

pub(super) enum Body<'a> {
    Ints(Ints<'a>),
    ScaledDoubles {
        ints: Ints<'a>,
        divisor: f64,
    },
    Doubles {
        doubles: Doubles<'a>,
        zones: &'a [u8],
    },
    /// In version 1 with the places of the codes in the segment's dictionary.
    Codes {
        codes: Ints<'a>,
        places: Option<Ints<'a>>,
    },
    /// Ids in order of arrival; their codes in order of their hashes, in version 1 of the ids themselves.
    Ids16 {
        codes: Ints<'a>,
        ids: &'a [u8],
        order: Ints<'a>,
        by_hash: bool,
    },
    Ids8(&'a [u8]),
    Links(Links<'a>),
    /// A text of so many values.
    Texts {
        text: &'a [u8],
        len: usize,
    },
}

/// Doubles bit for bit.
#[expect(clippy::large_enum_variant, reason = "opened and read on the stack, a few at a time")]
pub(super) enum Doubles<'a> {
    /// One after another.
    Plain(&'a [u8]),
    /// As integers of the same bits.
    Ints(Ints<'a>),
}

impl Doubles<'_> {
    fn len(&self) -> usize {
        match self {
            Doubles::Plain(bits) => bits.len() / 8,
            Doubles::Ints(ints) => ints.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> f64 {
        match self {
            Doubles::Plain(bits) => f64::from_le_bytes(array_at(bits, index * 8).unwrap_or_default()),
            Doubles::Ints(ints) => f64::from_bits(ints.get(index).cast_unsigned()),
        }
    }

    /// Appends those of a block.
    pub(super) fn decode(&self, block: usize, out: &mut Vec<f64>) {
        match self {
            Doubles::Plain(_) => {
                let end = self.len().min((block + 1) * BLOCK_VALUES);
                out.extend((block * BLOCK_VALUES..end).map(|index| self.get(index)));
            }
            Doubles::Ints(ints) => {
                let mut bits = Vec::with_capacity(BLOCK_VALUES);
                ints.decode(block, &mut bits);
                out.extend(bits.into_iter().map(|bits| f64::from_bits(bits.cast_unsigned())));
            }
        }
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        match self {
            Doubles::Plain(_) => Ok(()),
            Doubles::Ints(ints) => ints.validate(i64::MIN, i64::MAX),
        }
    }
}

/// The parts of a column's chunks.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) presence: &'a [u8],
    index: &'a [u8],
    values: &'a [u8],
    dictionary: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Splits the chunks of a column.
    pub(super) fn split(chunk: &'a [u8], dictionary: &'a [u8], version: Version) -> Result<Parts<'a>, Error> {
        let mut at = match version {
            Version::V1 => V1_HEAD_BYTES as u64,
            Version::V2 | Version::V3 => HEAD_BYTES as u64,
        };
        let mut part = |length: u32| {
            let slice = slice_at(chunk, at, u64::from(length));
            at += u64::from(length);
            slice
        };
        if version == Version::V1 {
            let (presence, dictionary) = (part(u32_at(chunk, 0)?)?, part(u32_at(chunk, 4)?)?);
            let (index, values) = (part(u32_at(chunk, 8)?)?, part(u32_at(chunk, 12)?)?);
            return Ok(Parts { presence, index, values, dictionary });
        }
        let (presence, index) = (part(u32_at(chunk, 0)?)?, part(u32_at(chunk, 4)?)?);
        let values = usize::try_from(at).ok().and_then(|at| chunk.get(at..)).unwrap_or(&[]);
        Ok(Parts { presence, index, values, dictionary })
    }
}

impl<'a> Body<'a> {
    pub(super) fn open(
        info: &ColumnInfo,
        parts: &Parts<'a>,
        segment: &'a Segment,
        spans: impl FnOnce() -> Result<&'a [u8], Error>,
    ) -> Result<Body<'a>, Error> {
        let version = segment.version();
        let distinct = info.distinct.unwrap_or(0) as usize;
        let short = || Error::damaged("a column's dictionary is not of its length");
        let ints = || Ints::open_in(parts.values, segment).map(|(ints, _)| ints);
        Ok(match info.encoding {
            Encoding::Ints => Body::Ints(ints()?),
            Encoding::ScaledDoubles => Body::ScaledDoubles { ints: ints()?, divisor: divisor(info.scale) },
            Encoding::Doubles => {
                let doubles = match info.doubles_as_ints {
                    true => Doubles::Ints(ints()?),
                    false => Doubles::Plain(parts.values),
                };
                let blocks = doubles.len().div_ceil(BLOCK_VALUES);
                if parts.index.len() != blocks * DOUBLE_ZONE_BYTES {
                    return Err(Error::damaged("a column of doubles has a zone map of another length"));
                }
                Body::Doubles { doubles, zones: parts.index }
            }
            Encoding::Codes if version == Version::V1 => {
                let (places, _) = Ints::open(parts.dictionary, version)?;
                if places.len() != distinct {
                    return Err(short());
                }
                Body::Codes { codes: ints()?, places: Some(places) }
            }
            Encoding::Codes => Body::Codes { codes: ints()?, places: None },
            Encoding::Ids16 => {
                let (ids, order) = match version {
                    Version::V1 => (parts.dictionary, parts.index),
                    Version::V2 | Version::V3 => {
                        parts.dictionary.split_at_checked(distinct.saturating_mul(16)).ok_or_else(short)?
                    }
                };
                let (order, _) = Ints::open(order, version)?;
                if ids.len() != distinct * 16 || order.len() != distinct {
                    return Err(short());
                }
                Body::Ids16 { codes: ints()?, ids, order, by_hash: version != Version::V1 }
            }
            Encoding::Ids8 => Body::Ids8(parts.values),
            Encoding::Links => Body::Links(Links::open(parts.values, spans()?, Some(segment))?),
            Encoding::Texts => {
                if info.distinct != Some(info.present) {
                    return Err(short());
                }
                Body::Texts { text: parts.values, len: info.present as usize }
            }
        })
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Body::Ints(ints) | Body::ScaledDoubles { ints, .. } => ints.len(),
            Body::Doubles { doubles, .. } => doubles.len(),
            Body::Codes { codes, .. } | Body::Ids16 { codes, .. } => codes.len(),
            Body::Ids8(ids) => ids.len() / 8,
            Body::Links(links) => links.len(),
            Body::Texts { len, .. } => *len,
        }
    }
}
