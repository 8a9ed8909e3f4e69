//! Sums over the catalog's rows, written with every change and compared when it is opened: SQLite has no
//! checksums of its own, and a bit that flips in a low watermark would lose events or show them twice.
//!
//! A sum is of XXH3-64 digests, added up modulo 2^64, so that a commit changes it by what it adds
//! and removes. What it does not see is what no row depends on: free pages and indexes, which
//! `PRAGMA integrity_check` looks at in `skein verify`.

use std::collections::BTreeMap;

use skein_event::hash::HashKey;
use skein_event::ids::Partition;

use super::{ImportLines, PartitionMark, SegmentRow};

/// The sums of one partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) mark: u64,
    pub(crate) segments: u64,
    pub(crate) segment_rows: u64,
    pub(crate) imports: u64,
    pub(crate) import_rows: u64,
}

impl Sums {
    pub(crate) fn add_segment(&mut self, row: &SegmentRow) {
        self.segments = self.segments.wrapping_add(row.digest());
        self.segment_rows = self.segment_rows.wrapping_add(1);
    }

    pub(crate) fn remove_segment(&mut self, row: &SegmentRow) {
        self.segments = self.segments.wrapping_sub(row.digest());
        self.segment_rows = self.segment_rows.wrapping_sub(1);
    }

    pub(crate) fn add_import(&mut self, lines: &ImportLines) {
        self.imports = self.imports.wrapping_add(lines.digest());
        self.import_rows = self.import_rows.wrapping_add(1);
    }

    pub(crate) fn remove_import(&mut self, lines: &ImportLines) {
        self.imports = self.imports.wrapping_sub(lines.digest());
        self.import_rows = self.import_rows.wrapping_sub(1);
    }

    /// What differs, in words.
    pub(crate) fn difference(&self, found: &Sums) -> Option<String> {
        if self.mark != found.mark {
            return Some("its low watermark or epoch is not the one that was written".to_owned());
        }
        if (self.segments, self.segment_rows) != (found.segments, found.segment_rows) {
            return Some(format!(
                "{} segments were written, {} are there, and their rows are not those that were written",
                self.segment_rows, found.segment_rows
            ));
        }
        if (self.imports, self.import_rows) != (found.imports, found.import_rows) {
            return Some(format!(
                "{} rows of imported lines were written, {} are there, and they are not those that were written",
                self.import_rows, found.import_rows
            ));
        }
        None
    }
}

/// The sums of rows.
pub(crate) fn sums_of(
    marks: &[PartitionMark],
    segments: &[SegmentRow],
    imports: &[ImportLines],
) -> BTreeMap<Partition, Sums> {
    let mut sums: BTreeMap<Partition, Sums> = BTreeMap::new();
    for mark in marks {
        sums.entry(mark.partition).or_default().mark = mark.digest();
    }
    for row in segments {
        sums.entry(row.partition).or_default().add_segment(row);
    }
    for lines in imports {
        sums.entry(lines.partition).or_default().add_import(lines);
    }
    sums
}

/// Fields, each with its length, so that no two rows have the same bytes.
#[derive(Default)]
struct Digest(Vec<u8>);

impl Digest {
    fn bytes(mut self, bytes: &[u8]) -> Digest {
        self = self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn number(mut self, number: u64) -> Digest {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn signed(self, number: i64) -> Digest {
        self.number(number.cast_unsigned())
    }

    fn finish(self) -> u64 {
        HashKey(0).hash(&self.0)
    }
}

impl PartitionMark {
    pub(crate) fn digest(&self) -> u64 {
        Digest::default()
            .number(self.partition.0.into())
            .number(self.epoch)
            .number(self.low.0)
            .bytes(&self.applied)
            .finish()
    }
}

impl SegmentRow {
    /// Covers every field: whoever adds one adds it here.
    pub(crate) fn digest(&self) -> u64 {
        let SegmentRow {
            id,
            environment,
            partition,
            day,
            rows,
            bytes,
            time_range,
            ingest_range,
            offset_range,
        } = self;
        Digest::default()
            .bytes(id.as_str().as_bytes())
            .bytes(environment.as_str().as_bytes())
            .number(partition.0.into())
            .signed((*day).into())
            .number(*rows)
            .number(*bytes)
            .signed(time_range.0)
            .signed(time_range.1)
            .signed(ingest_range.0)
            .signed(ingest_range.1)
            .number(offset_range.0)
            .number(offset_range.1)
            .finish()
    }
}

impl ImportLines {
    pub(crate) fn digest(&self) -> u64 {
        let ImportLines { environment, partition, file, number, bits } = self;
        Digest::default()
            .bytes(environment.as_str().as_bytes())
            .number(partition.0.into())
            .bytes(file)
            .number((*number).into())
            .bytes(bits)
            .finish()
    }
}
