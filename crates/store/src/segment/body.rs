//! The values of an open column in their encoded form, one variant per encoding.

use super::column::{DOUBLE_ZONE_BYTES, divisor};
use super::info::{ColumnInfo, Encoding};
use super::ints::{BLOCK_VALUES, Ints};
use super::text::Hashes;
use crate::error::Error;

pub(super) enum Body<'a> {
    Ints(Ints<'a>),
    ScaledDoubles { ints: Ints<'a>, divisor: f64 },
    Doubles { bits: &'a [u8], zones: &'a [u8] },
    Codes { codes: Ints<'a>, dictionary: Ints<'a>, hashes: Hashes<'a> },
    Ids16 { codes: Ints<'a>, ids: &'a [u8], order: Ints<'a> },
    Ids8(&'a [u8]),
}

impl<'a> Body<'a> {
    pub(super) fn open(
        info: &ColumnInfo,
        dictionary: &'a [u8],
        index: &'a [u8],
        values: &'a [u8],
        hashes: Option<Hashes<'a>>,
    ) -> Result<Body<'a>, Error> {
        let distinct = info.distinct.unwrap_or(0) as usize;
        let short = || Error::damaged("a column's dictionary is not of its length");
        Ok(match info.encoding {
            Encoding::Ints => Body::Ints(Ints::open(values)?.0),
            Encoding::ScaledDoubles => {
                Body::ScaledDoubles { ints: Ints::open(values)?.0, divisor: divisor(info.scale) }
            }
            Encoding::Doubles => {
                let blocks = (values.len() / 8).div_ceil(BLOCK_VALUES);
                if index.len() != blocks * DOUBLE_ZONE_BYTES {
                    return Err(Error::damaged("a column of doubles has a zone map of another length"));
                }
                Body::Doubles { bits: values, zones: index }
            }
            Encoding::Codes => {
                let dictionary = Ints::open(dictionary)?.0;
                let hashes = hashes.filter(|_| dictionary.len() == distinct).ok_or_else(short)?;
                Body::Codes { codes: Ints::open(values)?.0, dictionary, hashes }
            }
            Encoding::Ids16 => {
                let order = Ints::open(index)?.0;
                if dictionary.len() != distinct * 16 || order.len() != distinct {
                    return Err(short());
                }
                Body::Ids16 { codes: Ints::open(values)?.0, ids: dictionary, order }
            }
            Encoding::Ids8 => Body::Ids8(values),
        })
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Body::Ints(ints) | Body::ScaledDoubles { ints, .. } => ints.len(),
            Body::Doubles { bits, .. } => bits.len() / 8,
            Body::Codes { codes, .. } | Body::Ids16 { codes, .. } => codes.len(),
            Body::Ids8(ids) => ids.len() / 8,
        }
    }
}
