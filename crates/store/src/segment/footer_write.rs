//! Writes checksums, footer and trailer of a segment file ([`super::layout`] reads them).

use skein_event::batch::ColumnKey;

use super::bytes::length;
use super::header::VERSION;
use super::info::Encoding;
use super::layout::{
    CHUNKS, COLUMN_COLLIDED, COLUMN_DOUBLES_AS_INTS, COLUMN_HASHES_COMPUTED, COLUMN_HASHES_RISE, COLUMN_NAN,
    Chunk, Counts, Reference, TRAILER_BYTES, TRAILER_MAGIC,
};
use super::pieces;
use super::presence::PresenceForm;

/// A column's entry as its writer knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) encoding: Encoding,
    pub(crate) presence: PresenceForm,
    pub(crate) scale: u8,
    pub(crate) nan: bool,
    pub(crate) hashes_rise: bool,
    pub(crate) collided: bool,
    pub(crate) hashes_computed: bool,
    pub(crate) doubles_as_ints: bool,
    pub(crate) present: u32,
    pub(crate) distinct: u32,
    pub(crate) min: u64,
    pub(crate) max: u64,
    pub(crate) reference: Reference,
    /// Bytes of the dictionary, which follows the values.
    pub(crate) dictionary_length: u64,
}

/// A footer under construction; columns are added in its order.
#[derive(Debug, Default)]
pub(crate) struct FooterWriter {
    pub(crate) counts: Counts,
    pub(crate) chunks: [Reference; CHUNKS],
    entries: Vec<u8>,
    names: Vec<u8>,
}

impl FooterWriter {
    pub(crate) fn push(&mut self, key: &ColumnKey, name_hash: u64, entry: &Entry) {
        let name = key.name.as_bytes();
        let name_offset = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.extend_from_slice(name);
        let out = &mut self.entries;
        out.extend_from_slice(&name_hash.to_le_bytes());
        out.extend_from_slice(&name_offset.to_le_bytes());
        out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(&[key.origin as u8, key.physical as u8]);
        let flag = |holds: bool, flag: u8| if holds { flag } else { 0 };
        let flags = flag(entry.nan, COLUMN_NAN)
            | flag(entry.hashes_rise, COLUMN_HASHES_RISE)
            | flag(entry.collided, COLUMN_COLLIDED)
            | flag(entry.hashes_computed, COLUMN_HASHES_COMPUTED)
            | flag(entry.doubles_as_ints, COLUMN_DOUBLES_AS_INTS);
        out.extend_from_slice(&[entry.encoding as u8, entry.presence as u8, entry.scale, flags]);
        out.extend_from_slice(&entry.present.to_le_bytes());
        out.extend_from_slice(&entry.distinct.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&entry.reference.offset.to_le_bytes());
        out.extend_from_slice(&entry.reference.length.to_le_bytes());
        out.extend_from_slice(&entry.dictionary_length.to_le_bytes());
        out.extend_from_slice(&entry.min.to_le_bytes());
        out.extend_from_slice(&entry.max.to_le_bytes());
        self.counts.columns += 1;
    }

    /// Appends checksums, footer and trailer to a file's bytes.
    pub(crate) fn finish(mut self, replaces: &[u8], out: &mut Vec<u8>) {
        let pieces_at = out.len();
        let table = pieces::table(out);
        self.counts.pieces_crc = crc32c::crc32c(&table);
        self.chunks[Chunk::Pieces as usize] =
            Reference { offset: length(pieces_at), length: length(table.len()), crc: 0 };
        out.extend_from_slice(&table);
        self.counts.names_bytes = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.counts.replaces_bytes = u32::try_from(replaces.len()).unwrap_or(u32::MAX);
        let start = out.len();
        self.counts.write(out);
        for reference in &self.chunks {
            out.extend_from_slice(&reference.offset.to_le_bytes());
            out.extend_from_slice(&reference.length.to_le_bytes());
        }
        out.extend_from_slice(&self.entries);
        out.extend_from_slice(&self.names);
        out.extend_from_slice(replaces);
        let footer_length = length(out.len() - start);
        let checksum = crc32c::crc32c(&out[start..]);
        let total = length(out.len() + TRAILER_BYTES);
        out.extend_from_slice(&footer_length.to_le_bytes());
        out.extend_from_slice(&total.to_le_bytes());
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&u32::from(VERSION).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&TRAILER_MAGIC);
    }
}
