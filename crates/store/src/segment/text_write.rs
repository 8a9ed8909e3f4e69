//! Writes values of bytes in blocks ([`super::text`]).

use super::bytes::{count, push_varint};
use super::ints_write::write_random_access;
use super::packing::{Digits, Packing, pack};
use super::text::{BLOCK_BYTES_MAX, Codec};
use super::text_words::WordFilters;
use crate::error::{Error, ErrorKind};

/// Of blocks of ids in hex digits every so many are tried with zstd too: it seldom does better.
const COMPARED_ONE_IN: usize = 16;

/// Appends values in blocks, with filters of their words when there is something to collect them.
pub(super) fn write_text<'v>(
    values: impl Iterator<Item = &'v [u8]>,
    packing: impl Into<Packing>,
    block_bytes: usize,
    words: Option<WordFilters>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut writer = TextWriter {
        packing: packing.into(),
        firsts: Vec::new(),
        ends: Vec::new(),
        plain_lengths: Vec::new(),
        stored: Vec::new(),
        lengths: Vec::new(),
        bytes: Vec::new(),
        plain: Vec::new(),
        won_digits: 0,
        words,
    };
    let mut number = 0_u32;
    for value in values {
        if writer.lengths.is_empty() {
            writer.firsts.push(number);
        }
        writer.lengths.push(count(value.len()));
        writer.bytes.extend_from_slice(value);
        if let Some(words) = &mut writer.words {
            words.add(value);
        }
        number = number.saturating_add(1);
        if writer.bytes.len() + writer.lengths.len() >= block_bytes {
            writer.close_block()?;
        }
    }
    writer.close_block()?;
    out.extend_from_slice(&number.to_le_bytes());
    let mut filters = Vec::new();
    if let Some(words) = writer.words.as_ref().filter(|_| number > 0) {
        words.write(&mut filters);
    }
    out.extend_from_slice(&count(filters.len()).to_le_bytes());
    write_random_access(&writer.firsts, out);
    write_random_access(&writer.ends, out);
    write_random_access(&writer.plain_lengths, out);
    out.extend_from_slice(&writer.stored);
    out.extend_from_slice(&filters);
    Ok(())
}

struct TextWriter {
    packing: Packing,
    /// Of each block: the number of its first value, where it ends among the stored bytes, its plain length.
    firsts: Vec<u32>,
    ends: Vec<i64>,
    plain_lengths: Vec<u32>,
    stored: Vec<u8>,
    /// The open block.
    lengths: Vec<u32>,
    bytes: Vec<u8>,
    plain: Vec<u8>,
    /// Blocks in a row that were smallest as digits.
    won_digits: usize,
    words: Option<WordFilters>,
}

impl TextWriter {
    fn close_block(&mut self) -> Result<(), Error> {
        let Some(&first) = self.lengths.first() else { return Ok(()) };
        self.plain.clear();
        // Values of one length, such as ids, need it once.
        let common = Some(first).filter(|_| self.lengths.iter().all(|&length| length == first));
        if common.is_some() {
            push_varint(u64::from(first) + 1, &mut self.plain);
        } else {
            self.plain.push(0);
            self.lengths.iter().for_each(|&length| push_varint(u64::from(length), &mut self.plain));
        }
        self.plain.extend_from_slice(&self.bytes);
        if self.plain.len() > BLOCK_BYTES_MAX {
            return Err(Error::new(ErrorKind::TooLarge, "a value is larger than a request may be"));
        }
        // A block that does not get smaller is stored plain: its lengths are equal.
        let are_best = !self.won_digits.is_multiple_of(COMPARED_ONE_IN);
        let packed = pack(self.packing, &self.plain, &Digits { common, are_best })?;
        let is_digits = packed.as_ref().is_some_and(|packed| packed.first() == Some(&(Codec::Digits as u8)));
        self.won_digits = if is_digits { self.won_digits + 1 } else { 0 };
        self.stored.extend_from_slice(packed.as_deref().unwrap_or(&self.plain));
        self.ends.push(i64::try_from(self.stored.len()).unwrap_or(i64::MAX));
        self.plain_lengths.push(count(self.plain.len()));
        if let Some(words) = &mut self.words {
            words.close();
        }
        self.lengths.clear();
        self.bytes.clear();
        Ok(())
    }
}
