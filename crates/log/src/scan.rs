//! Finds the records in a file's bytes, whatever became of the bytes.
//!
//! Each record proves itself (checksums, file id, position), so a damaged one hides none of those after it.

use std::ops::Range;

use crate::file::{BLOCK_BYTES, FILE_HEADER_BYTES, FileHeader, NoHeader};
use crate::record::{NoRecord, RECORD_ALIGNMENT, Record};

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    /// Its sound records, in order of position.
    pub(crate) records: Vec<Record<'a>>,
    /// Bytes that are neither a record nor the zeros that fill a block.
    pub(crate) unreadable: Vec<Range<u64>>,
}

/// The file, or a record in it, is of a newer version, which is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Newer(pub(crate) u16);

/// Scans a file's bytes.
///
/// POST: records have rising positions and one file id; whatever lies between them is zeros within a block, or
/// listed as unreadable.
pub(crate) fn scan(bytes: &[u8]) -> Result<Scan<'_>, Newer> {
    // Without a sound header the first record tells the file's id.
    let mut file = match FileHeader::parse(bytes) {
        Ok(header) => Some(header.file),
        Err(NoHeader::Newer(version)) => return Err(Newer(version)),
        Err(NoHeader::Damaged) => None,
    };
    let mut scan = Scan { records: Vec::new(), unreadable: Vec::new() };
    let mut position = usize::try_from(FILE_HEADER_BYTES).unwrap_or(BLOCK_BYTES);
    while position < bytes.len() {
        if let Some(record) = record_at(bytes, position, file)? {
            position += record.len();
            file = Some(record.place.file);
            scan.records.push(record);
            continue;
        }
        let block_end = position.next_multiple_of(BLOCK_BYTES).min(bytes.len());
        if block_end > position && is_zero(&bytes[position..block_end]) {
            position = block_end;
            continue;
        }
        let mut next = position + RECORD_ALIGNMENT;
        while next < bytes.len() && record_at(bytes, next, file)?.is_none() {
            next += RECORD_ALIGNMENT;
        }
        let end = next.min(bytes.len());
        if end < bytes.len() || !is_zero(&bytes[position..]) {
            scan.unreadable.push(position as u64..end as u64);
        }
        position = end;
    }
    Ok(scan)
}

fn record_at(bytes: &[u8], position: usize, file: Option<u64>) -> Result<Option<Record<'_>>, Newer> {
    match Record::parse(bytes.get(position..).unwrap_or_default(), position as u64) {
        Ok(record) => Ok(Some(record).filter(|record| file.is_none_or(|file| file == record.place.file))),
        Err(NoRecord::Newer(version)) => Err(Newer(u16::from(version))),
        Err(NoRecord::Damaged) => Ok(None),
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}
