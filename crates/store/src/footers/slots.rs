//! Header and directory of `footers.cat`: slots of fixed size at its start, one per entry.
//!
//! A slot is written after its entry and carries a checksum of its own. It says of which segment the entry is, by all
//! that the catalog says about that segment: so an entry of another segment that once had the same name is none.

use skein_event::hash::HashKey;
use skein_log::disk::DiskFile;

use crate::catalog::{SegmentId, SegmentRow};
use crate::error::{Error, ErrorKind};
use crate::segment::bytes::{array_at, u16_at, u32_at, u64_at};

const MAGIC: [u8; 4] = *b"SKFC";
const VERSION: u16 = 2;
pub(super) const HEADER_BYTES: u64 = 64;
pub(super) const SLOT_BYTES: usize = 128;
const ID_BYTES_MAX: usize = 64;
/// More segments than a machine will have; a header that says more is damaged.
const SLOTS_MAX: u32 = 1 << 24;

/// Where entries start: at a whole page.
pub(super) fn data_start(capacity: u32) -> u64 {
    (HEADER_BYTES + u64::from(capacity) * SLOT_BYTES as u64).next_multiple_of(4_096)
}

pub(super) fn write_header(capacity: u32, key: HashKey) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&capacity.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&key.0.to_le_bytes());
    out.resize(60, 0);
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    out
}

/// The number of slots, and the bytes of all slots.
pub(super) fn read_header(file: &dyn DiskFile, key: HashKey) -> Result<(u32, Vec<u8>), Error> {
    let header = read(file, 0, 64)?;
    let sound = header.len() == 64
        && header[..4] == MAGIC
        && crc32c::crc32c(&header[..60]) == u32_at(&header, 60)?
        && u16_at(&header, 4)? == VERSION;
    if !sound {
        return Err(Error::damaged("its header is not one"));
    }
    if u64_at(&header, 16)? != key.0 {
        return Err(Error::damaged("it belongs to other data: its hash key is another"));
    }
    let capacity = u32_at(&header, 8)?;
    if capacity > SLOTS_MAX {
        return Err(Error::damaged("its directory is larger than one can be"));
    }
    Ok((capacity, read(file, HEADER_BYTES, capacity as usize * SLOT_BYTES)?))
}

fn read(file: &dyn DiskFile, at: u64, length: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        let read = file.read_at(at + filled as u64, &mut bytes[filled..]).map_err(unreadable)?;
        if read == 0 {
            bytes.truncate(filled);
            break;
        }
        filled += read;
    }
    Ok(bytes)
}

pub(super) fn unreadable(error: std::io::Error) -> Error {
    Error::with_source(ErrorKind::Io, format!("it cannot be read: {error}"), error)
}

/// An entry of the directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    pub(super) id: SegmentId,
    pub(super) offset: u64,
    pub(super) length: u64,
    rows: u64,
    bytes: u64,
    digest: u32,
}

impl Slot {
    pub(super) fn of(row: &SegmentRow, offset: u64, length: u64) -> Slot {
        Slot { id: row.id.clone(), offset, length, rows: row.rows, bytes: row.bytes, digest: digest(row) }
    }

    /// Whether it is of the segment that the catalog means.
    pub(super) fn is_of(&self, row: &SegmentRow) -> bool {
        self.id == row.id && (self.rows, self.bytes, self.digest) == (row.rows, row.bytes, digest(row))
    }

    pub(super) fn to_bytes(&self) -> [u8; SLOT_BYTES] {
        let mut out = [0; SLOT_BYTES];
        let id = self.id.as_str().as_bytes();
        out[4] = u8::try_from(id.len()).unwrap_or_default();
        let numbers = [self.offset, self.length, self.rows, self.bytes, u64::from(self.digest)];
        for (place, number) in numbers.into_iter().enumerate() {
            out[8 + place * 8..16 + place * 8].copy_from_slice(&number.to_le_bytes());
        }
        out[48..48 + id.len().min(ID_BYTES_MAX)].copy_from_slice(&id[..id.len().min(ID_BYTES_MAX)]);
        let sum = crc32c::crc32c(&out[4..]);
        out[..4].copy_from_slice(&sum.to_le_bytes());
        out
    }

    fn read(bytes: &[u8]) -> Option<Slot> {
        let slot = array_at::<SLOT_BYTES>(bytes, 0).ok()?;
        if slot[4] == 0 || u32_at(&slot, 0).ok()? != crc32c::crc32c(&slot[4..]) {
            return None;
        }
        let number = |place: usize| u64_at(&slot, 8 + place * 8).ok();
        let id = std::str::from_utf8(slot.get(48..48 + usize::from(slot[4]))?).ok()?;
        Some(Slot {
            id: SegmentId::parse(id)?,
            offset: number(0)?,
            length: number(1)?,
            rows: number(2)?,
            bytes: number(3)?,
            digest: u32::try_from(number(4)?).ok()?,
        })
    }
}

/// The slot of a number; `None` when it was not written, or not whole.
pub(super) fn slot_at(directory: &[u8], number: u32) -> Option<Slot> {
    Slot::read(directory.get(number as usize * SLOT_BYTES..)?)
}

/// A digest of all that the catalog says about a segment.
fn digest(row: &SegmentRow) -> u32 {
    let mut out = row.environment.as_str().as_bytes().to_vec();
    out.extend_from_slice(&row.partition.0.to_le_bytes());
    out.extend_from_slice(&row.day.to_le_bytes());
    for time in [row.time_range.0, row.time_range.1, row.ingest_range.0, row.ingest_range.1] {
        out.extend_from_slice(&time.to_le_bytes());
    }
    out.extend_from_slice(&row.offset_range.0.to_le_bytes());
    out.extend_from_slice(&row.offset_range.1.to_le_bytes());
    crc32c::crc32c(&out)
}
