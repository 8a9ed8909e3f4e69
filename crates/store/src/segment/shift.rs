//! The file of a segment again, as if its events had come at another time with other trace ids: for [`crate::copies`]
//! only, and compiled with it.
//!
//! Times and offsets are stored as distances from a smallest value, so that a head of a few bytes moves them all. The
//! column of trace ids and their filter are written anew behind everything else; what they replace stays in the file
//! as bytes that nothing points to. So most of the file stays where it is, and a file system that shares blocks
//! between files keeps it once. The result is an ordinary segment, with checksums of its own.
//!
//! What it refuses: the format before this one, and a file that is not whole.

use skein_event::Fixed;
use skein_event::batch::ColumnKey;
use skein_event::ids::Offset;

use super::bytes::{length, u32_at};
use super::header::Version;
use super::ints::{FORM_DICTIONARY, HEAD_BYTES};
use super::ints_write::write_random_access;
use super::layout::{Chunk, TRAILER_BYTES};
use super::pieces::PIECE_BYTES;
use super::reader::Segment;
use super::trace_filter::{TraceFilter, trace_hash};
use crate::error::{Error, ErrorKind};

/// How far a copy is from what it is a copy of.
#[derive(Clone, Copy)]
pub(crate) struct Shift<'a> {
    /// Added to `timestamp` and to `meta.ingest_time`: whole days.
    pub(crate) days: i32,
    /// Added to log offsets.
    pub(crate) offset: u64,
    /// The trace of the copy for a trace.
    pub(crate) trace: &'a dyn Fn(&[u8; 16]) -> [u8; 16],
}

const DAY_NS: i64 = 24 * 3_600 * 1_000_000_000;

impl Shift<'_> {
    /// Nanoseconds.
    pub(crate) fn time_ns(&self) -> i64 {
        i64::from(self.days) * DAY_NS
    }
}

/// What a copy's file has in place of the original's bytes.
#[derive(Debug, Default)]
pub(crate) struct ShiftedFile {
    /// So many bytes at the start are the original's, but for the patches.
    pub(crate) kept: u64,
    /// Other bytes at some places.
    pub(crate) patches: Vec<(u64, Vec<u8>)>,
    /// What follows the kept bytes.
    pub(crate) tail: Vec<u8>,
    /// The filter of the trace ids; `None` when there are none.
    pub(crate) filter: Option<Vec<u8>>,
}

impl ShiftedFile {
    /// The file of a copy.
    pub(crate) fn of(segment: &Segment, shift: &Shift<'_>) -> Result<ShiftedFile, Error> {
        if segment.version() == Version::V1 || segment.has_erased() {
            return Err(Error::new(ErrorKind::Unsupported, "only whole segments of this version are copied"));
        }
        let (body, table) = segment.pieces()?;
        let mut file = ShiftedFile { kept: length(body.len()), ..ShiftedFile::default() };
        file.move_header(segment, shift)?;
        for (chunk, by) in [
            (Chunk::Time, shift.time_ns()),
            (Chunk::Ingest, shift.time_ns()),
            (Chunk::Offset, shift.offset.cast_signed()),
        ] {
            let reference = segment.footer().chunk(segment.bytes(), chunk)?;
            file.move_ints(segment.fixed_chunk(chunk)?, reference.offset, by)?;
        }
        let mut footer =
            segment.bytes()[segment.footer().start()..segment.bytes().len() - TRAILER_BYTES].to_vec();
        file.replace_traces(segment, shift, &mut footer)?;
        file.finish(segment, shift, (body, table), &mut footer);
        Ok(file)
    }

    fn move_header(&mut self, segment: &Segment, shift: &Shift<'_>) -> Result<(), Error> {
        let mut header = segment.header().clone();
        header.append_time_ns = header.append_time_ns.saturating_add(shift.time_ns());
        header.day = header.day.saturating_add(shift.days);
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        if length(bytes.len()) != u64::from(u32_at(segment.bytes(), 8)?) {
            return Err(Error::damaged("the header is not of its length"));
        }
        self.patches.push((0, bytes));
        Ok(())
    }

    /// Moves all values of a sequence of integers: their smallest one, or those of its dictionary.
    fn move_ints(&mut self, chunk: &[u8], at: u64, by: i64) -> Result<(), Error> {
        let mut head = 0;
        if chunk.get(8) == Some(&FORM_DICTIONARY) {
            let codes = HEAD_BYTES;
            head = codes + HEAD_BYTES + u32_at(chunk, codes + 4)? as usize;
        }
        let smallest = super::bytes::i64_at(chunk, head + 16)?;
        let moved = smallest.checked_add(by).ok_or_else(|| {
            Error::new(ErrorKind::Refused, "a copy's time or offset does not fit into 64 bits")
        })?;
        self.patches.push((at + length(head + 16), moved.to_le_bytes().to_vec()));
        Ok(())
    }

    /// Writes the column of trace ids and their filter anew, and has the footer point to them.
    fn replace_traces(
        &mut self,
        segment: &Segment,
        shift: &Shift<'_>,
        footer: &mut [u8],
    ) -> Result<(), Error> {
        let Some(column) = segment.column_of(&ColumnKey::fixed(Fixed::TraceId))? else { return Ok(()) };
        let info = column.info();
        let ids: Vec<[u8; 16]> = (0..column.dictionary_len())
            .filter_map(|code| column.trace_id(code))
            .map(|id| (shift.trace)(&id))
            .collect();
        let key = segment.header().hash_key;
        let mut order: Vec<(u64, u32)> = ids.iter().map(|id| trace_hash(key, id)).zip(0_u32..).collect();
        let filter = TraceFilter::build(&order.iter().map(|&(hash, _)| hash).collect::<Vec<_>>());
        order.sort_unstable();
        let values_at = self.end();
        self.tail.extend_from_slice(segment.chunk_bytes(info.reference, 0)?);
        let dictionary_at = self.end();
        self.tail.extend(ids.iter().flatten());
        write_random_access(&order.iter().map(|&(_, code)| code).collect::<Vec<_>>(), &mut self.tail);
        let filter_at = self.end();
        self.tail.extend_from_slice(&filter);
        let entry = segment.footer().place_of_entry(info.id);
        put(footer, entry + 32, values_at);
        put(footer, entry + 48, filter_at - dictionary_at);
        let reference = segment.footer().place_of_reference(Chunk::TraceFilter);
        put(footer, reference, filter_at);
        put(footer, reference + 8, length(filter.len()));
        self.filter = Some(filter);
        Ok(())
    }

    /// Checksums, footer, trailer.
    fn finish(
        &mut self,
        segment: &Segment,
        shift: &Shift<'_>,
        (body, table): (&[u8], &[u8]),
        footer: &mut [u8],
    ) {
        let end = self.end();
        let mut sums = table.to_vec();
        // The last piece of the original goes on.
        sums.truncate(body.len() / PIECE_BYTES * 4);
        let touched = |at: u64, bytes: &[u8]| {
            let piece = |at: u64| usize::try_from(at).unwrap_or(usize::MAX) / PIECE_BYTES;
            piece(at)..=piece(at + length(bytes.len()) - 1)
        };
        let pieces: std::collections::BTreeSet<usize> =
            self.patches.iter().flat_map(|(at, bytes)| touched(*at, bytes)).collect();
        let whole = sums.len() / 4;
        for piece in pieces.into_iter().filter(|&piece| piece < whole) {
            let sum = crc32c::crc32c(&self.piece(body, piece));
            sums[piece * 4..piece * 4 + 4].copy_from_slice(&sum.to_le_bytes());
        }
        for piece in whole..usize::try_from(end).unwrap_or_default().div_ceil(PIECE_BYTES) {
            sums.extend_from_slice(&crc32c::crc32c(&self.piece(body, piece)).to_le_bytes());
        }
        let reference = segment.footer().place_of_reference(Chunk::Pieces);
        put(footer, reference, end);
        put(footer, reference + 8, length(sums.len()));
        let mut counts = segment.footer().counts;
        let by = shift.time_ns();
        for (first, last) in [&mut counts.time, &mut counts.ingest] {
            (*first, *last) = (first.saturating_add(by), last.saturating_add(by));
        }
        let moved = |offset: u64| Offset(offset.saturating_add(shift.offset)).0;
        counts.offset = (moved(counts.offset.0), moved(counts.offset.1));
        (counts.flush.low, counts.flush.new_low) = (moved(counts.flush.low), moved(counts.flush.new_low));
        counts.pieces_crc = crc32c::crc32c(&sums);
        let mut written = Vec::new();
        counts.write(&mut written);
        footer[..written.len()].copy_from_slice(&written);
        self.tail.extend_from_slice(&sums);
        self.tail.extend_from_slice(footer);
        let total = self.end() + length(TRAILER_BYTES);
        let mut trailer = segment.bytes()[segment.bytes().len() - TRAILER_BYTES..].to_vec();
        put(&mut trailer, 8, total);
        trailer[16..20].copy_from_slice(&crc32c::crc32c(footer).to_le_bytes());
        self.tail.extend_from_slice(&trailer);
    }

    /// Bytes of the file so far.
    pub(crate) fn end(&self) -> u64 {
        self.kept + length(self.tail.len())
    }

    /// Bytes that the original does not have, in whole blocks of a file system.
    pub(crate) fn own_bytes(&self) -> u64 {
        const BLOCK: u64 = 4_096;
        let blocks = |bytes: &[u8]| length(bytes.len()).div_ceil(BLOCK) * BLOCK;
        self.patches.iter().map(|(_, bytes)| blocks(bytes)).sum::<u64>() + blocks(&self.tail)
    }

    /// A piece of the file.
    fn piece(&self, body: &[u8], piece: usize) -> Vec<u8> {
        let start = piece * PIECE_BYTES;
        let mut bytes = body.get(start..).unwrap_or(&[]).to_vec();
        bytes.truncate(PIECE_BYTES);
        for (at, patch) in &self.patches {
            for (at, byte) in (*at..).zip(patch) {
                let place = usize::try_from(at).unwrap_or(usize::MAX).checked_sub(start);
                if let Some(place) = place.and_then(|place| bytes.get_mut(place)) {
                    *place = *byte;
                }
            }
        }
        let after = (start + bytes.len()).saturating_sub(body.len());
        let missing = PIECE_BYTES - bytes.len();
        bytes.extend(self.tail.iter().skip(after).take(missing));
        bytes
    }
}

fn put(bytes: &mut [u8], at: usize, number: u64) {
    bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
}
