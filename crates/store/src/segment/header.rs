//! The header: what a segment file is, so that a file found anywhere can be told
//! (docs/formats/segment.md, "Header").

use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Partition};

use super::bytes::{array_at, i64_at, length, slice_at, u16_at, u32_at, u64_at};
use crate::error::{Error, ErrorKind};

/// The version this code writes. It reads those before, too.
pub const VERSION: u16 = Version::V3 as u16;

/// A layout that this code reads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u16)]
pub(crate) enum Version {
    V1 = 1,
    V2 = 2,
    V3 = 3,
}

impl Version {
    fn from_number(number: u16) -> Option<Version> {
        [Version::V1, Version::V2, Version::V3].into_iter().find(|version| *version as u16 == number)
    }
}

const HEADER_MAGIC: [u8; 4] = *b"SKSG";
/// The kind of a segment of events.
const KIND_EVENTS: u16 = 1;
/// Header bytes before the environment's name.
const HEADER_BYTES: usize = 48;

/// What a file says about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The deployment's hash key.
    pub hash_key: HashKey,
    /// Whose events these are.
    pub environment: Environment,
    /// Their log partition.
    pub partition: Partition,
    /// The day under which they are filed, in days since 1970-01-01.
    pub day: i32,
    /// When the first of them was appended to the log, epoch nanoseconds.
    pub append_time_ns: i64,
}

impl Header {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let name = self.environment.as_str().as_bytes();
        // An environment's name has at most 64 bytes.
        let total = u32::try_from(HEADER_BYTES + name.len()).unwrap_or(0);
        let start = out.len();
        out.extend_from_slice(&HEADER_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&KIND_EVENTS.to_le_bytes());
        out.extend_from_slice(&total.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.hash_key.0.to_le_bytes());
        out.extend_from_slice(&self.append_time_ns.to_le_bytes());
        out.extend_from_slice(&self.day.to_le_bytes());
        out.extend_from_slice(&self.partition.0.to_le_bytes());
        out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(name);
        let checksum = crc32c::crc32c(&out[start + 16..]);
        out[start + 12..start + 16].copy_from_slice(&checksum.to_le_bytes());
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<(Header, Version), Error> {
        if array_at::<4>(bytes, 0)? != HEADER_MAGIC {
            return Err(Error::damaged("this is no segment: its first four bytes are not SKSG"));
        }
        let number = u16_at(bytes, 4)?;
        let Some(version) = Version::from_number(number) else {
            let message =
                format!("segment version {number} needs a newer Skein; this one reads up to {VERSION}");
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        if u16_at(bytes, 6)? != KIND_EVENTS {
            return Err(Error::new(ErrorKind::Unsupported, "a segment of an unknown kind"));
        }
        let total = u32_at(bytes, 8)? as usize;
        let checked = bytes.get(16..total).ok_or_else(|| Error::damaged("the header ends early"))?;
        if crc32c::crc32c(checked) != u32_at(bytes, 12)? {
            return Err(Error::damaged("the header's checksum does not match"));
        }
        let name_length = u64::from(u16_at(bytes, 38)?);
        let name = slice_at(bytes, length(HEADER_BYTES), name_length)?;
        let environment = std::str::from_utf8(name).ok().and_then(Environment::new);
        let header = Header {
            hash_key: HashKey(u64_at(bytes, 16)?),
            append_time_ns: i64_at(bytes, 24)?,
            day: i32::from_le_bytes(array_at(bytes, 32)?),
            partition: Partition(u16_at(bytes, 36)?),
            environment: environment.ok_or_else(|| Error::damaged("the environment has no valid name"))?,
        };
        Ok((header, version))
    }
}
