//! Where things lie in a segment file: footer and trailer (docs/formats/segment.md).
//!
//! The footer is read in place:
//! finding a column is a binary search over fixed-size entries, never a parse of the whole.

use skein_event::batch::{ColumnKey, Origin, Physical};
use skein_event::columns::Level;

use super::bytes::{array_at, i64_at, length, slice_at, u16_at, u32_at, u64_at};
use super::header::Version;
use super::info::{ColumnId, ColumnInfo, Encoding, Zone};
use super::presence::PresenceForm;
use crate::error::{Error, ErrorKind};

pub(super) const TRAILER_MAGIC: [u8; 4] = *b"GSKS";
pub(super) const TRAILER_BYTES: usize = 32;
/// Footer bytes before the references of the fixed chunks.
const COUNTS_BYTES: usize = 112;
/// Where the counts hold the checksum of the table of checksums, since version 2.
const PIECES_CRC_AT: usize = 104;

impl Version {
    /// Bytes of a column's entry in the footer.
    fn entry_bytes(self) -> usize {
        match self {
            Version::V1 => 64,
            Version::V2 | Version::V3 => 72,
        }
    }

    fn chunks(self) -> usize {
        match self {
            Version::V1 => 10,
            Version::V2 | Version::V3 => CHUNKS,
        }
    }

    /// Bytes of a fixed chunk's reference.
    fn reference_bytes(self) -> usize {
        match self {
            Version::V1 => 24,
            Version::V2 | Version::V3 => 16,
        }
    }
}

/// Flags of a column.
pub(super) const COLUMN_NAN: u8 = 1;
pub(super) const COLUMN_HASHES_RISE: u8 = 2;
pub(super) const COLUMN_COLLIDED: u8 = 4;
/// The dictionary's hashes are not kept: they are those of its values. Since version 3.
pub(super) const COLUMN_HASHES_COMPUTED: u8 = 8;
/// The doubles' bits are a sequence of integers. Since version 3.
pub(super) const COLUMN_DOUBLES_AS_INTS: u8 = 16;

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
    /// Hashes of the names in shapes; in version 1 of all values.
    Hashes,
    /// The names in shapes; in version 1 all values.
    Text,
    /// The filter of trace ids.
    TraceFilter,
    /// The checksums of the file's pieces.
    Pieces,
}

/// All chunks in order.
pub(crate) const ALL_CHUNKS: [Chunk; CHUNKS] = [
    Chunk::Time,
    Chunk::Ingest,
    Chunk::Offset,
    Chunk::Index,
    Chunk::Context,
    Chunk::Shape,
    Chunk::ContextShapes,
    Chunk::ShapeTable,
    Chunk::Hashes,
    Chunk::Text,
    Chunk::TraceFilter,
    Chunk::Pieces,
];

/// Number of [`Chunk`]s.
pub(crate) const CHUNKS: usize = 12;

/// Where a chunk lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Reference {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// Of version 1; version 2 has checksums of pieces.
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
    /// [`FLAG_COLLISION`], [`FLAG_NAMES_ALL`], [`FLAG_COLD`], [`FLAG_INGEST_OF_OFFSETS`].
    pub(crate) flags: u32,
    pub(crate) time: (i64, i64),
    pub(crate) ingest: (i64, i64),
    pub(crate) offset: (u64, u64),
    pub(crate) flush: FlushPart,
    pub(crate) names_bytes: u32,
    pub(crate) replaces_bytes: u32,
    /// Checksum of the table of checksums.
    pub(crate) pieces_crc: u32,
}

/// Two values share a hash.
pub(crate) const FLAG_COLLISION: u32 = 1;
/// Each row's values in columns of attributes are those that its shape names.
pub(crate) const FLAG_NAMES_ALL: u32 = 2;
/// Written to be read rarely ([`super::text::Compression::Cold`]). Since version 3.
pub(crate) const FLAG_COLD: u32 = 4;
/// Append times are those of the log offsets. Since version 3.
pub(crate) const FLAG_INGEST_OF_OFFSETS: u32 = 8;

impl Counts {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for number in [self.rows, self.contexts, self.columns, self.values, self.shapes, self.flags] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for time in [self.time.0, self.time.1, self.ingest.0, self.ingest.1] {
            out.extend_from_slice(&time.to_le_bytes());
        }
        for offset in [self.offset.0, self.offset.1, self.flush.low, self.flush.new_low] {
            out.extend_from_slice(&offset.to_le_bytes());
        }
        let flush = self.flush;
        for number in [flush.part, flush.parts, self.names_bytes, self.replaces_bytes, self.pieces_crc, 0] {
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
            pieces_crc: u32_at(bytes, PIECES_CRC_AT)?,
        })
    }
}

/// A part of a column's entry.
pub(crate) struct PresenceEntry {
    pub(crate) level: Level,
    pub(crate) form: PresenceForm,
    pub(crate) present: u32,
    pub(crate) reference: Reference,
}

/// A footer, checked against its checksum; positions are relative to the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footer {
    pub(crate) version: Version,
    pub(crate) counts: Counts,
    /// Where the footer starts.
    start: usize,
}

impl Footer {
    /// Finds and checks the footer of a whole file.
    pub(crate) fn read(file: &[u8], version: Version) -> Result<Footer, Error> {
        let early = || Error::damaged("the file ends early");
        let trailer_at = file.len().checked_sub(TRAILER_BYTES).ok_or_else(early)?;
        if array_at::<4>(file, trailer_at + 28)? != TRAILER_MAGIC {
            return Err(Error::damaged("the file does not end with the trailer of a segment"));
        }
        let declared = (u32_at(file, trailer_at + 20)?, u32_at(file, trailer_at + 24)?);
        if version != Version::V1 && declared != (version as u32, 0) {
            return Err(Error::damaged(
                "header and trailer differ in version, or a reserved byte is not zero",
            ));
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
            COUNTS_BYTES + version.chunks() * version.reference_bytes(),
            counts.columns as usize * version.entry_bytes(),
            counts.names_bytes as usize,
            counts.replaces_bytes as usize,
        ];
        if parts.iter().sum::<usize>() != footer_length {
            return Err(Error::damaged("the footer's parts do not add up to its length"));
        }
        Ok(Footer { version, counts, start })
    }

    pub(crate) fn chunk(&self, file: &[u8], chunk: Chunk) -> Result<Reference, Error> {
        if chunk as usize >= self.version.chunks() {
            return Ok(Reference::default());
        }
        let at = self.start + COUNTS_BYTES + chunk as usize * self.version.reference_bytes();
        let crc = if self.version == Version::V1 { u32_at(file, at + 16)? } else { 0 };
        Ok(Reference { offset: u64_at(file, at)?, length: u64_at(file, at + 8)?, crc })
    }

    /// Where the footer starts.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Where a column's entry lies in the footer.
    #[cfg(feature = "copies")]
    pub(super) fn place_of_entry(&self, id: ColumnId) -> usize {
        self.entry_at(id) - self.start
    }

    /// Where a fixed chunk's reference lies in the footer.
    #[cfg(feature = "copies")]
    pub(super) fn place_of_reference(&self, chunk: Chunk) -> usize {
        COUNTS_BYTES + chunk as usize * self.version.reference_bytes()
    }

    fn entries_at(&self) -> usize {
        self.start + COUNTS_BYTES + self.version.chunks() * self.version.reference_bytes()
    }

    fn entry_at(&self, id: ColumnId) -> usize {
        self.entries_at() + id.0 as usize * self.version.entry_bytes()
    }

    fn names_at(&self) -> usize {
        self.entries_at() + self.counts.columns as usize * self.version.entry_bytes()
    }

    /// The ids of segments that this one was merged from, one a line.
    pub(crate) fn replaces<'a>(&self, file: &'a [u8]) -> &'a str {
        let start = self.names_at() + self.counts.names_bytes as usize;
        let bytes = file.get(start..start + self.counts.replaces_bytes as usize).unwrap_or(&[]);
        std::str::from_utf8(bytes).unwrap_or("")
    }

    pub(crate) fn name_hash(&self, file: &[u8], id: ColumnId) -> Result<u64, Error> {
        u64_at(file, self.entry_at(id))
    }

    pub(crate) fn origin(&self, file: &[u8], id: ColumnId) -> Result<Origin, Error> {
        let [number] = array_at::<1>(file, self.entry_at(id) + 14)?;
        Origin::from_number(number).ok_or_else(|| Error::damaged("a column of an unknown origin"))
    }

    pub(crate) fn name<'a>(&self, file: &'a [u8], id: ColumnId) -> Result<&'a str, Error> {
        let at = self.entry_at(id);
        let (offset, name_length) = (u64::from(u32_at(file, at + 8)?), u64::from(u16_at(file, at + 12)?));
        let names = slice_at(file, length(self.names_at()), u64::from(self.counts.names_bytes))?;
        let name = slice_at(names, offset, name_length)?;
        std::str::from_utf8(name).map_err(|_| Error::damaged("a column's name is not UTF-8"))
    }

    /// What tells which rows (contexts) have a value in a column.
    pub(crate) fn presence(&self, file: &[u8], id: ColumnId) -> Result<PresenceEntry, Error> {
        let unknown = || Error::damaged("a column's entry holds a number without a meaning");
        let level = match self.origin(file, id)? {
            // Those have columns of both levels, which their names tell.
            Origin::Fixed => self.column(file, id)?.level,
            Origin::Scope | Origin::Resource => Level::Context,
            Origin::Item | Origin::Metric | Origin::Body | Origin::Derived => Level::Row,
        };
        let at = self.entry_at(id);
        let [form] = array_at::<1>(file, at + 17)?;
        let reference = Reference {
            offset: u64_at(file, at + 32)?,
            length: u64_at(file, at + 40)?,
            crc: self.entry_crc(file, at)?,
        };
        let form = PresenceForm::from_number(form).ok_or_else(unknown)?;
        Ok(PresenceEntry { level, form, present: u32_at(file, at + 20)?, reference })
    }

    /// The checksum of a column's chunk in version 1.
    fn entry_crc(&self, file: &[u8], at: usize) -> Result<u32, Error> {
        if self.version == Version::V1 { u32_at(file, at + 28) } else { Ok(0) }
    }

    pub(crate) fn column(&self, file: &[u8], id: ColumnId) -> Result<ColumnInfo, Error> {
        let unknown = || Error::damaged("a column's entry holds a number without a meaning");
        if id.0 >= self.counts.columns {
            return Err(Error::new(ErrorKind::NotFound, "no such column"));
        }
        let at = self.entry_at(id);
        let [origin, physical, encoding, presence, scale, flags] = array_at::<6>(file, at + 14)?;
        let key = ColumnKey {
            origin: Origin::from_number(origin).ok_or_else(unknown)?,
            physical: Physical::from_number(physical).ok_or_else(unknown)?,
            name: self.name(file, id)?.into(),
        };
        let encoding = Encoding::from_number(encoding).ok_or_else(unknown)?;
        if !encoding.fits(key.physical) {
            return Err(unknown());
        }
        let bounds_at = at + self.version.entry_bytes() - 16;
        let (min, max) = (u64_at(file, bounds_at)?, u64_at(file, bounds_at + 8)?);
        let code = |bits: u64| u32::try_from(bits).map_err(|_| unknown());
        let zone = match encoding {
            Encoding::Ints => Zone::I64(min.cast_signed(), max.cast_signed()),
            Encoding::ScaledDoubles | Encoding::Doubles => {
                let nan = flags & COLUMN_NAN != 0;
                Zone::F64 { min: f64::from_bits(min), max: f64::from_bits(max), nan }
            }
            Encoding::Codes | Encoding::Ids16 => Zone::Code(code(min)?, code(max)?),
            Encoding::Ids8 | Encoding::Texts | Encoding::Links => Zone::Unordered,
        };
        let (is_v1, since_v3) = (self.version == Version::V1, self.version >= Version::V3);
        let reference = Reference {
            crc: self.entry_crc(file, at)?,
            offset: u64_at(file, at + 32)?,
            length: u64_at(file, at + 40)?,
        };
        let dictionary = Reference {
            offset: reference.offset.saturating_add(reference.length),
            length: if is_v1 { 0 } else { u64_at(file, at + 48)? },
            crc: 0,
        };
        Ok(ColumnInfo {
            id,
            level: key.level(),
            key,
            present: u32_at(file, at + 20)?,
            distinct: encoding.has_dictionary().then_some(u32_at(file, at + 24)?),
            zone,
            bytes: reference.length.saturating_add(dictionary.length),
            encoding,
            presence: PresenceForm::from_number(presence).ok_or_else(unknown)?,
            scale,
            hashes_rise: !is_v1 && flags & COLUMN_HASHES_RISE != 0,
            collided: !is_v1 && flags & COLUMN_COLLIDED != 0,
            hashes_computed: since_v3 && flags & COLUMN_HASHES_COMPUTED != 0,
            doubles_as_ints: since_v3 && flags & COLUMN_DOUBLES_AS_INTS != 0,
            reference,
            dictionary,
        })
    }
}
