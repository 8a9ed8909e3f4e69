//! The chunks of a segment's file, compared with their checksums at the first touch.

use std::sync::atomic::Ordering;

use skein_event::Fixed;
use skein_event::batch::ColumnKey;
use skein_event::columns::Level;

use super::body::Parts;
use super::bytes::{length, slice_at};
use super::hashes::{Hashes, SegmentHashes};
use super::header::Version;
use super::info::{ColumnId, ColumnInfo, Encoding};
use super::layout::{CHUNKS, Chunk, Reference};
use super::presence::PresentRows;
use super::reader::Segment;
use crate::error::Error;

impl Segment {
    /// The ids of all spans, which links lead to.
    pub(super) fn span_ids(&self) -> Result<&[u8], Error> {
        let missing = || Error::damaged("spans have parents and no ids");
        let info = self.find(&ColumnKey::fixed(Fixed::SpanId))?.ok_or_else(missing)?;
        if info.encoding != Encoding::Ids8 {
            return Err(missing());
        }
        self.open_column(info)?.plain_ids().ok_or_else(missing)
    }

    /// The bytes of a column's dictionary.
    pub(super) fn dictionary(&self, info: &ColumnInfo) -> Result<&[u8], Error> {
        let bytes = self.dictionary_unchecked(info)?;
        self.check_pieces(bytes)?;
        Ok(bytes)
    }

    /// The same for who compares with the checksums what is read of it ([`Segment::check_pieces`]).
    pub(super) fn dictionary_unchecked(&self, info: &ColumnInfo) -> Result<&[u8], Error> {
        slice_at(&self.bytes, info.dictionary.offset, info.dictionary.length)
    }

    pub(super) fn check_dictionary_once(
        &self,
        info: &ColumnInfo,
        check: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.check_once(CHUNKS + self.column_count() as usize + info.id.0 as usize, check)
    }

    /// The hashes of the segment's dictionary in version 1.
    pub(super) fn hashes_v1(&self) -> Result<SegmentHashes<'_>, Error> {
        let bytes = self.fixed_chunk(Chunk::Hashes)?;
        let hashes = SegmentHashes::open(bytes, self.names_len())?;
        self.check_once(Chunk::Hashes as usize, || hashes.validate())?;
        Ok(hashes)
    }

    /// The keyed hashes of the names.
    pub(super) fn name_hashes(&self) -> Result<Vec<u64>, Error> {
        if self.version() == Version::V1 {
            let hashes = self.hashes_v1()?;
            return Ok((0..self.names_len()).map(|name| hashes.get(name)).collect());
        }
        let (hashes, _) = Hashes::open(self.fixed_chunk(Chunk::Hashes)?, self.names_len(), false)?;
        self.check_once(Chunk::Hashes as usize, || hashes.validate())?;
        Ok(hashes.all())
    }

    pub(super) fn fixed_chunk(&self, chunk: Chunk) -> Result<&[u8], Error> {
        let reference = self.footer.chunk(&self.bytes, chunk)?;
        self.chunk_bytes(reference, chunk as usize).map_err(|error| error.context(&format!("{chunk:?}")))
    }

    /// A chunk's bytes, whose checksum is compared at the first touch.
    pub(super) fn chunk_bytes(&self, reference: Reference, place: usize) -> Result<&[u8], Error> {
        let bytes = slice_at(&self.bytes, reference.offset, reference.length)?;
        if self.version() != Version::V1 {
            self.check_pieces(bytes)?;
            return Ok(bytes);
        }
        let checked = self.checked[place].load(Ordering::Acquire);
        if !checked && crc32c::crc32c(bytes) != reference.crc {
            return Err(Error::damaged("the checksum does not match"));
        }
        Ok(bytes)
    }

    /// Where a part of the file begins.
    pub(super) fn place_of(&self, part: &[u8]) -> usize {
        (part.as_ptr() as usize).wrapping_sub(self.bytes.as_ptr() as usize)
    }

    /// Which rows (contexts) have a value in a column, and which of both it has; nothing else of it is touched.
    pub(super) fn presence_for_points(&self, id: ColumnId) -> Result<(Level, PresentRows<'_>), Error> {
        let entry = self.footer.presence(&self.bytes, id)?;
        let chunk = self.chunk_bytes(entry.reference, CHUNKS + id.0 as usize)?;
        let parts = Parts::split(chunk, &[], self.version())?;
        let rows = self.rows_of_level(entry.level);
        let present = PresentRows::open(entry.form, parts.presence, rows, entry.present, self.version())?;
        Ok((entry.level, present))
    }

    /// Compares the pieces that hold a part of the file with their checksums, those that were not before. A
    /// file of version 1 has checksums of chunks, which are compared when a chunk is opened.
    pub(super) fn check_pieces(&self, part: &[u8]) -> Result<(), Error> {
        if self.version() == Version::V1 {
            return Ok(());
        }
        let start = self.place_of(part);
        let (body, table) = self.pieces()?;
        self.compared.check(body, table, start, start.saturating_add(part.len()))
    }

    /// What has checksums, and the checksums.
    pub(super) fn pieces(&self) -> Result<(&[u8], &[u8]), Error> {
        let reference = self.footer.chunk(&self.bytes, Chunk::Pieces)?;
        let table = slice_at(&self.bytes, reference.offset, reference.length)?;
        self.check_once(Chunk::Pieces as usize, || {
            let ends = reference.offset.checked_add(reference.length) == Some(length(self.footer.start()));
            if ends && crc32c::crc32c(table) == self.footer.counts.pieces_crc {
                return Ok(());
            }
            Err(Error::damaged("the table of checksums is not as the footer says"))
        })?;
        Ok((slice_at(&self.bytes, 0, reference.offset)?, table))
    }
}
