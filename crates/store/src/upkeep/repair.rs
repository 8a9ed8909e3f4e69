//! Writes events again that a damaged or missing segment held, from the log's second copy, and segments without
//! the rows that must not be there. The new files are durable before the commit that shows them, and what they
//! replace goes to `quarantine/` after it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use skein_event::ids::Partition;
use skein_event::limits::SEGMENT_ROWS_MAX;
use skein_log::inspect;

use super::compare::Events;
use super::report::{Progress, Step};
use super::verify::{OpenSegment, Source, Verified, row_of};
use crate::catalog::{Catalog, Commit, PartitionMark, SegmentId, SegmentRow};
use crate::erasures::look_again;
use crate::error::{Error, ErrorKind};
use crate::files::Files;
use crate::head::{self, HeadKey, Part};
use crate::segment::{Compression, FlushPart, Gathered, Source as MergeSource, merge};

/// What a repair did to a data directory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Repaired {
    /// Events written again.
    pub(crate) events: u64,
    /// Events of segments that are lost, which the log no longer has.
    pub(crate) gone: u64,
    pub(crate) said: Vec<String>,
}

/// Names and writes new segments of one partition.
pub(crate) struct Writer<'a> {
    pub(crate) source: &'a Source,
    pub(crate) files: &'a Files,
    pub(crate) mark: PartitionMark,
    pub(crate) next_number: &'a mut u64,
}

/// A record's events, or some of them, on their way into a segment.
enum Piece {
    Part(Part),
    Gathered(Box<Gathered>),
}

impl Piece {
    fn source(&self) -> MergeSource<'_> {
        match self {
            Piece::Part(part) => part.source(),
            Piece::Gathered(gathered) => MergeSource::Gathered(gathered),
        }
    }

    fn rows(&self) -> usize {
        match self {
            Piece::Part(part) => part.batch.rows(),
            Piece::Gathered(gathered) => gathered.ids.len(),
        }
    }
}

impl Writer<'_> {
    /// Writes a segment that takes the place of others.
    fn write(
        &mut self,
        key: &HeadKey,
        pieces: &[Piece],
        replaces: &[SegmentId],
    ) -> Result<SegmentRow, Error> {
        let partition = self.mark.partition;
        let mut target = head::target(self.source.hash_key, partition, key, Compression::Zstd);
        let low = self.mark.low.0;
        target.flush = FlushPart { low, new_low: low, part: 0, parts: 0 };
        target.replaces = replaces.iter().map(ToString::to_string).collect();
        let sources: Vec<MergeSource<'_>> = pieces.iter().map(Piece::source).collect();
        let bytes = merge(&sources, &target)?;
        *self.next_number += 1;
        let id = SegmentId::new(partition, self.mark.epoch, *self.next_number);
        let path = self.files.path(&key.environment, key.day, &id);
        self.files.write(&path, &id, &bytes)?;
        let segment = self.files.open(&path)?;
        Ok(row_of(&segment, id))
    }

    /// A segment without some of its rows.
    pub(crate) fn without(&mut self, open: &OpenSegment, rows: &BTreeSet<u32>) -> Result<SegmentRow, Error> {
        let keep: Vec<u32> = (0..open.segment.rows()).filter(|row| !rows.contains(row)).collect();
        let gathered = open.segment.gather(&keep)?;
        let key = HeadKey { environment: open.row.environment.clone(), day: open.row.day };
        self.write(&key, &[Piece::Gathered(Box::new(gathered))], std::slice::from_ref(&open.row.id))
    }

    /// Writes these events of the log into segments; returns them with the number of events.
    pub(crate) fn write_again(
        &mut self,
        missing: &Events,
        replaces: &[SegmentId],
        progress: Progress<'_>,
    ) -> Result<(Vec<SegmentRow>, u64), Error> {
        let failed = |error: skein_log::Error| Error::with_source(ErrorKind::Io, error.to_string(), error);
        let partition = self.mark.partition;
        let files = inspect::files(&*self.source.disk, &self.source.root, partition).map_err(failed)?;
        let total = files.iter().map(|file| file.bytes).sum();
        let (mut groups, mut waiting): (BTreeMap<HeadKey, Vec<Piece>>, usize) = (BTreeMap::new(), 0);
        let (mut written, mut events) = (Vec::new(), 0);
        for file in &files {
            let wanted = missing.range(file.first_offset..file.limit.unwrap_or(u64::MAX)).next().is_some();
            if wanted {
                let content = inspect::read(&*self.source.disk, file, self.mark.low.0).map_err(failed)?;
                for entry in &content.records {
                    let Some(indexes) = missing.get(&entry.offset) else { continue };
                    let Ok(Some(record)) = content.decode(entry, self.source.hash_key) else { continue };
                    for (key, piece) in self.pieces(&record, indexes)? {
                        waiting += piece.rows();
                        events += piece.rows() as u64;
                        groups.entry(key).or_default().push(piece);
                    }
                    if waiting >= SEGMENT_ROWS_MAX {
                        self.write_groups(&mut groups, replaces, &mut written)?;
                        waiting = 0;
                    }
                }
            }
            progress(Step { what: "repair", done: file.bytes, total });
        }
        self.write_groups(&mut groups, replaces, &mut written)?;
        Ok((written, events))
    }

    fn write_groups(
        &mut self,
        groups: &mut BTreeMap<HeadKey, Vec<Piece>>,
        replaces: &[SegmentId],
        written: &mut Vec<SegmentRow>,
    ) -> Result<(), Error> {
        for (key, pieces) in std::mem::take(groups) {
            written.push(self.write(&key, &pieces, replaces)?);
        }
        Ok(())
    }

    /// The wanted events of a record, by the day under which they are filed.
    fn pieces(
        &self,
        record: &skein_log::DurableRecord,
        indexes: &BTreeSet<u32>,
    ) -> Result<Vec<(HeadKey, Piece)>, Error> {
        let environment = &record.environment;
        let arrival = HeadKey { environment: environment.clone(), day: head::day_of(record.append_time_ns) };
        let target = head::target(self.source.hash_key, record.partition, &arrival, Compression::None);
        let mut pieces = Vec::new();
        for (day, part) in head::route(record, &target, |_| true) {
            let key = HeadKey { environment: environment.clone(), day };
            let places: Vec<u32> = match &part.indexes {
                Some(places) => places.to_vec(),
                None => (0..u32::try_from(part.batch.rows()).unwrap_or(u32::MAX)).collect(),
            };
            let rows: Vec<u32> = (0_u32..)
                .zip(&places)
                .filter(|(_, place)| indexes.contains(place))
                .map(|(row, _)| row)
                .collect();
            if rows.len() == places.len() {
                pieces.push((key, Piece::Part(part)));
            } else if !rows.is_empty() {
                let segment = head::encode_parts(&[part], &target)?;
                pieces.push((key, Piece::Gathered(Box::new(segment.gather(&rows)?))));
            }
        }
        Ok(pieces)
    }
}

/// Makes whole again what a check found: `verified` is of the same source, under the owner's lock.
pub(crate) fn repair(
    source: &Source,
    catalog: &dyn Catalog,
    verified: &Verified,
    partitions: u16,
    progress: Progress<'_>,
) -> Result<Repaired, Error> {
    let files = Files::new(Arc::clone(&source.disk), source.root.clone(), source.access);
    let mut repaired = Repaired::default();
    // What is written again may be older than an erasure that has looked at everything.
    look_again(&files)?;
    let marks = catalog.take_over(partitions)?;
    for mark in marks {
        repair_partition(source, catalog, verified, &files, mark, progress, &mut repaired)?;
    }
    Ok(repaired)
}

fn repair_partition(
    source: &Source,
    catalog: &dyn Catalog,
    verified: &Verified,
    files: &Files,
    mark: PartitionMark,
    progress: Progress<'_>,
    repaired: &mut Repaired,
) -> Result<(), Error> {
    let partition: Partition = mark.partition;
    let lost: Vec<&(SegmentRow, PathBuf)> =
        verified.lost.iter().filter(|(row, _)| row.partition == partition).collect();
    let wrong: Vec<(&OpenSegment, &BTreeSet<u32>)> = verified
        .sound
        .iter()
        .filter(|open| open.row.partition == partition)
        .filter_map(|open| Some((open, verified.comparison.wrong.get(&open.path)?)))
        .collect();
    let missing = verified.comparison.missing.get(&partition);
    if lost.is_empty() && wrong.is_empty() && missing.is_none() {
        return Ok(());
    }
    let mut next_number = 0;
    let mut writer = Writer { source, files, mark: mark.clone(), next_number: &mut next_number };
    let replaces: Vec<SegmentId> = lost.iter().map(|(row, _)| row.id.clone()).collect();
    let (mut add, events) = match missing {
        Some(missing) => writer.write_again(missing, &replaces, progress)?,
        None => (Vec::new(), 0),
    };
    let mut remove = replaces;
    for (open, rows) in &wrong {
        if (rows.len() as u64) < open.row.rows {
            add.push(writer.without(open, rows)?);
        }
        remove.push(open.row.id.clone());
    }
    let commit = Commit::exchange(&mark, add, remove);
    catalog.commit(&commit)?;
    let held: u64 = lost.iter().map(|(row, _)| row.rows).sum();
    repaired.events += events;
    repaired.gone += held.saturating_sub(events);
    for (row, path) in lost {
        let reason = format!("doctor: segment {} is damaged; it does not count any more\n", row.id);
        set_aside(files, path, &reason, repaired);
    }
    for (open, rows) in wrong {
        let reason = format!(
            "doctor: {} of its events were altered or there twice; it was written anew\n",
            rows.len()
        );
        set_aside(files, &open.path, &reason, repaired);
    }
    if events > 0 {
        let to = commit.add.iter().map(|row| row.id.to_string()).collect::<Vec<_>>().join(", ");
        repaired.said.push(format!(
            "{events} events of partition {} were written again from the log: {to}",
            partition.0
        ));
    }
    Ok(())
}

/// Moves a file that does not count any more to `quarantine/`; one that is not there need not be moved.
fn set_aside(files: &Files, path: &std::path::Path, reason: &str, repaired: &mut Repaired) {
    if !files.exists(path) {
        return;
    }
    repaired.said.push(match files.set_aside(path, reason) {
        Ok(target) => format!("{} was moved to {}", path.display(), target.display()),
        Err(error) => format!("{} does not count any more, but cannot be moved: {error}", path.display()),
    });
}
