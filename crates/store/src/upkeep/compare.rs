//! The log's second copy against the segments of one partition: each event below the low watermark is in exactly
//! one segment, unaltered, and none from the watermark on is in any.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use skein_event::ids::Partition;
use skein_log::DurableRecord;
use skein_log::inspect::{Content, LogFile, Repetitions};

use super::fingerprint::fingerprints;
use super::report::{Report, Severity};
use super::verify::{OpenSegment, Source, relative};
use crate::catalog::SegmentRow;
use crate::erasure_file::FOLDER;
use crate::erasures::Erasures;
use crate::error::Error;
use crate::files::Files;
use crate::retention::Horizons;
use crate::segment::RowField;
use crate::taken::rows_taken;

/// Rows taken out of a segment at once, so that memory stays bounded.
const ROWS_AT_ONCE: usize = 1 << 16;

/// Remarks about single events of one file; more are counted in one.
const REMARKS_MAX: usize = 20;

const REPAIR: &str = "stop the server and run `skein doctor DIR --repair`";

/// Events by offset and index in their record.
pub(crate) type Events = BTreeMap<u64, BTreeSet<u32>>;

/// What the comparison leaves for a repair.
#[derive(Default)]
pub(crate) struct Comparison {
    /// Events of the log that no sound segment holds, though they should be in one.
    pub(crate) missing: BTreeMap<Partition, Events>,
    /// Rows of sound segments that must not be there: altered, or there a second time.
    pub(crate) wrong: BTreeMap<PathBuf, BTreeSet<u32>>,
}

impl Comparison {
    pub(crate) fn append(&mut self, other: Comparison) {
        self.missing.extend(other.missing);
        self.wrong.extend(other.wrong);
    }
}

/// Compares the files of one partition, in order.
pub(crate) struct Comparer<'a> {
    source: &'a Source,
    partition: Partition,
    low: u64,
    segments: &'a [OpenSegment],
    is_known: bool,
    repetitions: Repetitions,
    removals: &'a Removals,
    comparison: Comparison,
}

/// Rows of one kind, told in few remarks.
#[derive(Default)]
struct Told {
    count: usize,
}

impl Told {
    /// Whether this one is told by itself.
    fn one(&mut self) -> bool {
        self.count += 1;
        self.count <= REMARKS_MAX
    }

    fn rest(&self, file: &Path, what: &str, report: &mut Report) {
        if self.count > REMARKS_MAX {
            let what = format!("{} more: {what}", self.count - REMARKS_MAX);
            report.add(Severity::Damage, file, None, what, REPAIR);
        }
    }
}

/// What was removed from segments, and is rightly in the log only.
pub(crate) struct Removals {
    erasures: Erasures,
    horizons: Horizons,
}

impl Removals {
    /// Reads what a data directory says of it. After its catalog: an erasure is noted before it removes anything.
    pub(crate) fn load(files: &Files, report: &mut Report) -> Removals {
        let erasures = Erasures::load(files).unwrap_or_else(|error| {
            let advice = "restore it from a backup; a server does not start without it";
            report.add(Severity::Damage, Path::new(FOLDER), None, error.to_string(), advice);
            Erasures::default()
        });
        Removals { erasures, horizons: Horizons::load(files).unwrap_or_default() }
    }
}

impl<'a> Comparer<'a> {
    /// Without a catalog nobody knows what should be in segments.
    pub(crate) fn new(
        source: &'a Source,
        partition: Partition,
        low: u64,
        segments: &'a [OpenSegment],
        removals: &'a Removals,
    ) -> Comparer<'a> {
        let repetitions = Repetitions::new(source.hash_key);
        Comparer {
            source,
            partition,
            low,
            segments,
            is_known: source.catalog.is_ok(),
            repetitions,
            removals,
            comparison: Comparison::default(),
        }
    }

    /// Compares the events of one file of the log.
    pub(crate) fn compare(&mut self, file: &LogFile, name: &Path, content: &Content, report: &mut Report) {
        let mut wanted: HashMap<(u64, u32), u128> = HashMap::new();
        let mut known: BTreeSet<u64> = BTreeSet::new();
        // Rightly not in a segment any more; one that is waits to be rewritten.
        let mut removed: HashSet<(u64, u32)> = HashSet::new();
        for entry in &content.records {
            let record = match content.decode(entry, self.source.hash_key) {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                Err(error) => {
                    report.add(
                        Severity::Damage,
                        name,
                        Some(entry.position),
                        error,
                        "nothing: if its events are in a segment, only the second copy is lost",
                    );
                    continue;
                }
            };
            if self.repetitions.is_repetition(&record.environment, &record.key, record.append_time_ns) {
                continue;
            }
            if entry.offset >= self.low || !self.is_known {
                report.checked.unflushed_events += record.batch.rows() as u64;
                continue;
            }
            known.insert(entry.offset);
            removed.extend(self.removed(&record).into_iter().map(|index| (entry.offset, index)));
            report.checked.compared_events += record.batch.rows() as u64;
            let prints = fingerprints(&record.batch);
            let arrived = u128::from(record.append_time_ns.cast_unsigned());
            for (index, print) in (0_u32..).zip(prints) {
                wanted.insert((entry.offset, index), print.wrapping_add(arrived));
            }
        }
        if !self.is_known {
            return;
        }
        let mut range = (file.first_offset, file.limit.unwrap_or(u64::MAX));
        if let (None, Some(last)) = (file.limit, content.records.last()) {
            range.1 = last.offset.saturating_add(1);
        }
        let mut found: HashMap<(u64, u32), usize> = HashMap::new();
        for (number, open) in self.segments.iter().enumerate() {
            let (low, high) = open.row.offset_range;
            if high < range.0 || low >= range.1 {
                continue;
            }
            let outcome = self.compare_segment(number, range, &known, &mut wanted, &mut found, report);
            if let Err(error) = outcome {
                let path = relative(&self.source.root, &open.path);
                report.add(Severity::Damage, &path, None, error.to_string(), REPAIR);
            }
        }
        for (offset, index) in wanted.into_keys().filter(|event| !removed.contains(event)) {
            self.comparison
                .missing
                .entry(self.partition)
                .or_default()
                .entry(offset)
                .or_default()
                .insert(index);
        }
    }

    /// The events of a record that retention or an erasure may have removed.
    fn removed(&self, record: &DurableRecord) -> Vec<u32> {
        let all = || (0..u32::try_from(record.batch.rows()).unwrap_or(u32::MAX)).collect();
        if self.removals.horizons.may_be_gone(&record.environment, record.append_time_ns) {
            return all();
        }
        let erasures = self.removals.erasures.of_head(&record.environment, record.partition, record.offset);
        // Whoever cannot tell must not write again what was erased.
        let taken = rows_taken(self.source.matcher.clone(), &erasures, record, self.source.hash_key);
        taken.unwrap_or_else(|_| all())
    }

    /// Ticks off what a segment holds of the wanted events.
    fn compare_segment(
        &mut self,
        number: usize,
        range: (u64, u64),
        known: &BTreeSet<u64>,
        wanted: &mut HashMap<(u64, u32), u128>,
        found: &mut HashMap<(u64, u32), usize>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let Some(open) = self.segments.get(number) else { return Ok(()) };
        let name = relative(&self.source.root, &open.path);
        let offsets = open.segment.field(RowField::Offset)?;
        let in_range = |row: &u32| {
            let offset = offsets.get(*row as usize).cast_unsigned();
            (range.0..range.1).contains(&offset)
        };
        let rows: Vec<u32> = (0..open.segment.rows()).filter(in_range).collect();
        let (mut altered, mut twice, mut unknown, mut early) =
            (Told::default(), Told::default(), Told::default(), Told::default());
        for rows in rows.chunks(ROWS_AT_ONCE) {
            let gathered = open.segment.gather(rows)?;
            let prints = fingerprints(&gathered.batch);
            let of_row = gathered.ids.iter().zip(&gathered.ingest_times).zip(prints).zip(rows);
            for (((id, &arrived), print), &row) in of_row {
                let event = (id.offset.0, id.index);
                let print = print.wrapping_add(u128::from(arrived.cast_unsigned()));
                if event.0 >= self.low {
                    self.is_wrong(&open.path, row);
                    if early.one() {
                        let what = format!(
                            "event {id} is in a segment, and will be replayed from the log, too: it is there twice"
                        );
                        report.add(Severity::Damage, &name, None, what, REPAIR);
                    }
                    continue;
                }
                match wanted.remove(&event) {
                    Some(expected) if expected == print => {
                        found.insert(event, number);
                    }
                    Some(expected) => {
                        // The log's copy is to be written again.
                        wanted.insert(event, expected);
                        self.is_wrong(&open.path, row);
                        if altered.one() {
                            let what = format!("event {id} is not what the log says: it was altered");
                            report.add(Severity::Damage, &name, None, what, REPAIR);
                        }
                    }
                    None if found.contains_key(&event) => {
                        self.is_wrong(&open.path, row);
                        if twice.one() {
                            let other = found.get(&event).and_then(|&other| self.segments.get(other));
                            let other = other.map_or_else(String::new, |open| open.row.id.to_string());
                            let what = format!("event {id} is there twice: segment {other} holds it, too");
                            report.add(Severity::Damage, &name, None, what, REPAIR);
                        }
                    }
                    // A record that the log cannot read any more says nothing about its events.
                    None if !known.contains(&event.0) => {}
                    None => {
                        if unknown.one() {
                            let what = format!("event {id} is not in its record of the log: nobody sent it");
                            report.add(
                                Severity::Damage,
                                &name,
                                None,
                                what,
                                "keep the directory and report this: it should not be possible",
                            );
                        }
                    }
                }
            }
        }
        altered.rest(&name, "altered events", report);
        twice.rest(&name, "events that are there twice", report);
        unknown.rest(&name, "events that nobody sent", report);
        early.rest(&name, "events beyond the low watermark", report);
        Ok(())
    }

    fn is_wrong(&mut self, path: &Path, row: u32) {
        self.comparison.wrong.entry(path.to_path_buf()).or_default().insert(row);
    }

    /// Tells what no segment holds.
    pub(crate) fn finish(self, lost: &[(SegmentRow, PathBuf)], report: &mut Report) -> Comparison {
        let name = PathBuf::from("log").join(self.partition.0.to_string());
        if let Some(missing) = self.comparison.missing.get(&self.partition) {
            let events: usize = missing.values().map(BTreeSet::len).sum();
            let (first, last) = (missing.keys().next().copied(), missing.keys().next_back().copied());
            let of_lost: Vec<&str> = lost.iter().map(|(row, _)| row.id.as_str()).collect();
            let whose = if of_lost.is_empty() {
                "no segment holds them".to_owned()
            } else {
                format!("no sound segment holds them; damaged or missing: {}", of_lost.join(", "))
            };
            let what = format!(
                "{events} events of partition {}, records {} to {}, are in the log, but {whose}",
                self.partition.0,
                first.unwrap_or_default(),
                last.unwrap_or_default()
            );
            report.add(Severity::Damage, &name, None, what, REPAIR);
        }
        self.comparison
    }
}
