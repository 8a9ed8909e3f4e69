//! Where things lie in a segment file: footer and trailer (docs/formats/segment.md).
//!
//! The footer is read in place:
//! finding a column is a binary search over fixed-size entries, never a parse of the whole.

use skein_event::batch::{ColumnKey, Origin, Physical};

use super::bytes::{array_at, i64_at, length, slice_at, u16_at, u32_at, u64_at};
use super::header::VERSION;
use super::info::{ColumnId, ColumnInfo, Encoding, Zone};
use super::presence::PresenceForm;
use crate::error::{Error, ErrorKind};

const TRAILER_MAGIC: [u8; 4] = *b"GSKS";
const TRAILER_BYTES: usize = 32;
/// Bytes of a column's entry in the footer.
pub(crate) const ENTRY_BYTES: usize = 64;
/// Footer bytes before the references of the fixed chunks.
const COUNTS_BYTES: usize = 112;
const REFERENCE_BYTES: usize = 24;

/// The chunks that every segment has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub(crate) enum Chunk {
    /// `timestamp` of each row.
    Time,
    /// `meta.ingest_time` of each row.
    Ingest,
    /// Log offset of each row's record.
    Offset,
    /// Index of each row in its record.
    Index,
    /// Context of each row.
    Context,
    /// Shape of each row.
    Shape,
    /// Resource shape, then scope shape, of each context.
    ContextShapes,
    /// The shapes.
    ShapeTable,
    /// The dictionary's hashes.
    Hashes,
    /// The dictionary's bytes.
    Text,
}

/// Number of [`Chunk`]s.
pub(crate) const CHUNKS: usize = 10;

/// Where a chunk lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Reference {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) crc: u32,
}

/// Which flush a segment came from, so that a lost catalog can be rebuilt from the files: a flush counts
/// only when all its parts are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlushPart {
    /// Low watermark of the partition before the flush.
    pub low: u64,
    /// Low watermark after it.
    pub new_low: u64,
    /// Which of the flush's files this is, from 0.
    pub part: u32,
    /// How many files the flush wrote.
    pub parts: u32,
}

/// Numbers about the whole segment, in the order of the footer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) rows: u32,
    pub(crate) contexts: u32,
    pub(crate) columns: u32,
    pub(crate) values: u32,
    pub(crate) shapes: u32,
    /// Bit 0: two values of the dictionary share a hash.
    pub(crate) flags: u32,
    pub(crate) time: (i64, i64),
    pub(crate) ingest: (i64, i64),
    pub(crate) offset: (u64, u64),
    pub(crate) flush: FlushPart,
    pub(crate) names_bytes: u32,
    pub(crate) replaces_bytes: u32,
}

pub(crate) const FLAG_COLLISION: u32 = 1;

impl Counts {
    fn write(&self, out: &mut Vec<u8>) {
        for number in [self.rows, self.contexts, self.columns, self.values, self.shapes, self.flags] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for time in [self.time.0, self.time.1, self.ingest.0, self.ingest.1] {
            out.extend_from_slice(&time.to_le_bytes());
        }
        for offset in [self.offset.0, self.offset.1, self.flush.low, self.flush.new_low] {
            out.extend_from_slice(&offset.to_le_bytes());
        }
        for number in [self.flush.part, self.flush.parts, self.names_bytes, self.replaces_bytes, 0, 0] {
            out.extend_from_slice(&u32::to_le_bytes(number));
        }
    }

    fn read(bytes: &[u8]) -> Result<Counts, Error> {
        Ok(Counts {
            rows: u32_at(bytes, 0)?,
            contexts: u32_at(bytes, 4)?,
            columns: u32_at(bytes, 8)?,
            values: u32_at(bytes, 12)?,
            shapes: u32_at(bytes, 16)?,
            flags: u32_at(bytes, 20)?,
            time: (i64_at(bytes, 24)?, i64_at(bytes, 32)?),
            ingest: (i64_at(bytes, 40)?, i64_at(bytes, 48)?),
            offset: (u64_at(bytes, 56)?, u64_at(bytes, 64)?),
            flush: FlushPart {
                low: u64_at(bytes, 72)?,
                new_low: u64_at(bytes, 80)?,
                part: u32_at(bytes, 88)?,
                parts: u32_at(bytes, 92)?,
            },
            names_bytes: u32_at(bytes, 96)?,
            replaces_bytes: u32_at(bytes, 100)?,
        })
    }
}

/// A column's entry as its writer knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) encoding: Encoding,
    pub(crate) presence: PresenceForm,
    pub(crate) scale: u8,
    pub(crate) nan: bool,
    pub(crate) present: u32,
    pub(crate) distinct: u32,
    pub(crate) min: u64,
    pub(crate) max: u64,
    pub(crate) reference: Reference,
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
        out.extend_from_slice(&[
            entry.encoding as u8,
            entry.presence as u8,
            entry.scale,
            u8::from(entry.nan),
        ]);
        out.extend_from_slice(&entry.present.to_le_bytes());
        out.extend_from_slice(&entry.distinct.to_le_bytes());
        out.extend_from_slice(&entry.reference.crc.to_le_bytes());
        out.extend_from_slice(&entry.reference.offset.to_le_bytes());
        out.extend_from_slice(&entry.reference.length.to_le_bytes());
        out.extend_from_slice(&entry.min.to_le_bytes());
        out.extend_from_slice(&entry.max.to_le_bytes());
        self.counts.columns += 1;
    }

    /// Appends footer and trailer to a file's bytes.
    pub(crate) fn finish(mut self, replaces: &[u8], out: &mut Vec<u8>) {
        self.counts.names_bytes = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.counts.replaces_bytes = u32::try_from(replaces.len()).unwrap_or(u32::MAX);
        let start = out.len();
        self.counts.write(out);
        for reference in &self.chunks {
            out.extend_from_slice(&reference.offset.to_le_bytes());
            out.extend_from_slice(&reference.length.to_le_bytes());
            out.extend_from_slice(&reference.crc.to_le_bytes());
            out.extend_from_slice(&[0; 4]);
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

/// A footer, checked against its checksum; positions are relative to the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footer {
    pub(crate) counts: Counts,
    /// Where the footer starts.
    start: usize,
}

impl Footer {
    /// Finds and checks the footer of a whole file.
    pub(crate) fn read(file: &[u8]) -> Result<Footer, Error> {
        let early = || Error::damaged("the file ends early");
        let trailer_at = file.len().checked_sub(TRAILER_BYTES).ok_or_else(early)?;
        if array_at::<4>(file, trailer_at + 28)? != TRAILER_MAGIC {
            return Err(Error::damaged("the file does not end with the trailer of a segment"));
        }
        if u64_at(file, trailer_at + 8)? != length(file.len()) {
            return Err(Error::damaged("the file has another length than it was written with"));
        }
        let footer_length = usize::try_from(u64_at(file, trailer_at)?).map_err(|_| early())?;
        let start = trailer_at.checked_sub(footer_length).ok_or_else(early)?;
        let footer = &file[start..trailer_at];
        if crc32c::crc32c(footer) != u32_at(file, trailer_at + 16)? {
            return Err(Error::damaged("the footer's checksum does not match"));
        }
        let counts = Counts::read(footer)?;
        let parts = [
            COUNTS_BYTES + CHUNKS * REFERENCE_BYTES,
            counts.columns as usize * ENTRY_BYTES,
            counts.names_bytes as usize,
            counts.replaces_bytes as usize,
        ];
        if parts.iter().sum::<usize>() != footer_length {
            return Err(Error::damaged("the footer's parts do not add up to its length"));
        }
        Ok(Footer { counts, start })
    }

    pub(crate) fn chunk(&self, file: &[u8], chunk: Chunk) -> Result<Reference, Error> {
        let at = self.start + COUNTS_BYTES + chunk as usize * REFERENCE_BYTES;
        Ok(Reference {
            offset: u64_at(file, at)?,
            length: u64_at(file, at + 8)?,
            crc: u32_at(file, at + 16)?,
        })
    }

    fn entries_at(&self) -> usize {
        self.start + COUNTS_BYTES + CHUNKS * REFERENCE_BYTES
    }

    fn names_at(&self) -> usize {
        self.entries_at() + self.counts.columns as usize * ENTRY_BYTES
    }

    /// The ids of segments that this one was merged from, one a line.
    pub(crate) fn replaces<'a>(&self, file: &'a [u8]) -> &'a str {
        let start = self.names_at() + self.counts.names_bytes as usize;
        let bytes = file.get(start..start + self.counts.replaces_bytes as usize).unwrap_or(&[]);
        std::str::from_utf8(bytes).unwrap_or("")
    }

    pub(crate) fn name_hash(&self, file: &[u8], id: ColumnId) -> Result<u64, Error> {
        u64_at(file, self.entries_at() + id.0 as usize * ENTRY_BYTES)
    }

    pub(crate) fn name<'a>(&self, file: &'a [u8], id: ColumnId) -> Result<&'a str, Error> {
        let at = self.entries_at() + id.0 as usize * ENTRY_BYTES;
        let (offset, name_length) = (u64::from(u32_at(file, at + 8)?), u64::from(u16_at(file, at + 12)?));
        let names = slice_at(file, length(self.names_at()), u64::from(self.counts.names_bytes))?;
        let name = slice_at(names, offset, name_length)?;
        std::str::from_utf8(name).map_err(|_| Error::damaged("a column's name is not UTF-8"))
    }

    pub(crate) fn column(&self, file: &[u8], id: ColumnId) -> Result<ColumnInfo, Error> {
        let unknown = || Error::damaged("a column's entry holds a number without a meaning");
        if id.0 >= self.counts.columns {
            return Err(Error::new(ErrorKind::NotFound, "no such column"));
        }
        let at = self.entries_at() + id.0 as usize * ENTRY_BYTES;
        let [origin, physical, encoding, presence, scale, nan] = array_at::<6>(file, at + 14)?;
        let key = ColumnKey {
            origin: Origin::from_number(origin).ok_or_else(unknown)?,
            physical: Physical::from_number(physical).ok_or_else(unknown)?,
            name: self.name(file, id)?.into(),
        };
        let encoding = Encoding::from_number(encoding).ok_or_else(unknown)?;
        if !encoding.fits(key.physical) {
            return Err(unknown());
        }
        let (min, max) = (u64_at(file, at + 48)?, u64_at(file, at + 56)?);
        let code = |bits: u64| u32::try_from(bits).map_err(|_| unknown());
        let zone = match encoding {
            Encoding::Ints => Zone::I64(min.cast_signed(), max.cast_signed()),
            Encoding::ScaledDoubles | Encoding::Doubles => {
                Zone::F64 { min: f64::from_bits(min), max: f64::from_bits(max), nan: nan != 0 }
            }
            Encoding::Codes | Encoding::Ids16 => Zone::Code(code(min)?, code(max)?),
            Encoding::Ids8 => Zone::Unordered,
        };
        let reference = Reference {
            crc: u32_at(file, at + 28)?,
            offset: u64_at(file, at + 32)?,
            length: u64_at(file, at + 40)?,
        };
        Ok(ColumnInfo {
            id,
            level: key.level(),
            key,
            present: u32_at(file, at + 20)?,
            distinct: matches!(encoding, Encoding::Codes | Encoding::Ids16).then_some(u32_at(file, at + 24)?),
            zone,
            bytes: reference.length,
            encoding,
            presence: PresenceForm::from_number(presence).ok_or_else(unknown)?,
            scale,
            reference,
        })
    }
}
