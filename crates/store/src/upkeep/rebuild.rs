//! A new catalog out of what segments and log say of themselves, when the old one is damaged or gone.
//!
//! What counts of a partition follows from four facts:
//!
//! - A file says the low watermark that its writer began with, so everything below that was committed.
//! - A flush counts whole or not at all: one of which a file is missing did not end, as long as the log still has
//!   its events; they are replayed.
//! - A merged file names those that it replaces. They are removed only after it counts, so when one of them is
//!   gone it does; when all are there and one of its siblings is not, it does not.
//! - An event has one identity, (partition, offset, index). Whatever is left over twice after the rules above is
//!   found by it, and the newest file keeps it.
//!
//! What it refuses: to remove a file (it is moved to `quarantine/`), and to be silent about what cannot be known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skein_event::flow::BatchKey;
use skein_event::ids::{Offset, Partition};
use skein_log::inspect;

use super::report::{Progress, Report, Severity, Step};
use super::side_by_side::side_by_side;
use super::verify::{OpenSegment, Source, relative, row_of};
use crate::catalog::{Content, ImportLines, PartitionMark, SegmentId};
use crate::error::{Error, ErrorKind};
use crate::files::Files;
use crate::imports::Imports;
use crate::segment::{RowField, Segment};

/// Events whose identities are compared at once: 16 bytes each.
const EVENTS_AT_ONCE: u64 = 4 << 20;

/// What a new catalog would hold, and what happens to the files that it leaves out.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) content: Content,
    /// Files that do not count, with the reason.
    pub(crate) aside: Vec<(PathBuf, String)>,
    /// Files that count without these rows.
    pub(crate) without: Vec<(OpenSegment, BTreeSet<u32>)>,
    pub(crate) report: Report,
}

/// Works out a catalog from segments and log.
pub(crate) fn plan(
    source: &Source,
    partitions: u16,
    salvaged: Vec<ImportLines>,
    progress: Progress<'_>,
) -> Result<Plan, Error> {
    let files = Files::new(Arc::clone(&source.disk), source.root.clone(), source.access);
    let found: Vec<(PathBuf, SegmentId)> =
        files.find()?.into_iter().filter_map(|file| Some((file.path, file.id?))).collect();
    let total = found.len() as u64;
    let opened = side_by_side(&found, |(path, id)| {
        let opened = files.open(path).and_then(|segment| match segment.problems().first() {
            None => Ok(segment),
            Some(problem) => Err(Error::damaged(format!("{}: {}", problem.what, problem.message))),
        });
        progress(Step { what: "segments", done: 1, total });
        opened.map(|segment| OpenSegment {
            row: row_of(&segment, id.clone()),
            path: path.clone(),
            segment: Arc::new(segment),
        })
    });
    let mut plan = Plan::default();
    let mut sound: BTreeMap<Partition, Vec<OpenSegment>> = BTreeMap::new();
    let mut damaged = BTreeSet::new();
    let mut epoch = 0;
    for ((path, id), opened) in found.iter().zip(opened) {
        epoch = epoch.max(epoch_of(id));
        let name = relative(&source.root, path);
        match opened {
            Ok(open) if files.path_of(&open.row) == *path => {
                sound.entry(open.row.partition).or_default().push(open);
            }
            Ok(_) => {
                damaged.insert(id.to_string());
                let reason = "the file does not lie where its header says that it belongs".to_owned();
                plan.report.add(Severity::Damage, &name, Some(0), reason.clone(), "it goes to quarantine/");
                plan.aside.push((path.clone(), reason));
            }
            Err(error) => {
                damaged.insert(id.to_string());
                let advice = "it goes to quarantine/; what the log still has of its events is written again";
                plan.report.add(Severity::Damage, &name, None, error.to_string(), advice);
                plan.aside.push((path.clone(), error.to_string()));
            }
        }
    }
    let mut imports = Imports::load(salvaged);
    for partition in (0..partitions).map(Partition) {
        let sound = sound.remove(&partition).unwrap_or_default();
        let low = plan_partition(source, partition, sound, &damaged, &mut plan)?;
        // One more than any file was written under: no name is used twice.
        let mark = PartitionMark { partition, epoch: epoch + 1, low: Offset(low), applied: Vec::new() };
        plan.content.marks.push(mark);
        read_imports(source, partition, low, &mut imports, &mut plan)?;
    }
    plan.content.imports = (0..partitions).flat_map(|number| imports.all(Partition(number))).collect();
    Ok(plan)
}

fn epoch_of(id: &SegmentId) -> u64 {
    id.as_str().split('-').nth(1).and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(0)
}

/// The newest first: by epoch, then by number within it.
fn age(open: &OpenSegment) -> (u64, u64) {
    let number = open.row.id.as_str().split('-').nth(2);
    let number = number.and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(0);
    (epoch_of(&open.row.id), number)
}

/// Chooses the files of one partition that count; returns its low watermark.
fn plan_partition(
    source: &Source,
    partition: Partition,
    sound: Vec<OpenSegment>,
    damaged: &BTreeSet<String>,
    plan: &mut Plan,
) -> Result<u64, Error> {
    let failed = |error: skein_log::Error| Error::with_source(ErrorKind::Io, error.to_string(), error);
    let log = match inspect::files(&*source.disk, &source.root, partition) {
        Ok(files) => files,
        Err(_) if !source.root.join("log").join(partition.0.to_string()).exists() => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    let log_begins = log.first().map(|file| file.first_offset);
    let (mut rest, dropped) = without_replaced(sound, damaged);
    for (open, reason) in dropped {
        plan.aside.push((open.path, reason));
    }
    let low = low_watermark(&mut rest, damaged, log_begins, source, plan);
    rest.sort_by_key(|open| std::cmp::Reverse(age(open)));
    let twice = rows_elsewhere(&rest)?;
    for (open, rows) in rest.into_iter().zip(twice) {
        if rows.len() as u64 == open.row.rows {
            plan.aside.push((open.path, "all of its events are in newer files".to_owned()));
        } else if rows.is_empty() {
            plan.content.segments.push(open.row);
        } else {
            plan.without.push((open, rows));
        }
    }
    if let Some(begins) = log_begins.filter(|begins| *begins > low) {
        let name = PathBuf::from("log").join(partition.0.to_string());
        let what = format!("records {low} to {} are neither in segments nor in the log", begins - 1);
        plan.report.add(Severity::Damage, &name, None, what, "restore a backup, if they are missed");
        return Ok(begins);
    }
    Ok(low)
}

/// Leaves out what merged files replace, and the files of merges that did not end.
fn without_replaced(
    sound: Vec<OpenSegment>,
    damaged: &BTreeSet<String>,
) -> (Vec<OpenSegment>, Vec<(OpenSegment, String)>) {
    let present: BTreeSet<String> = sound.iter().map(|open| open.row.id.to_string()).collect();
    let replaces = |segment: &Segment| segment.replaces().map(str::to_owned).collect::<Vec<_>>();
    let named: BTreeSet<String> = sound.iter().flat_map(|open| replaces(&open.segment)).collect();
    // Files of one merge name the same inputs.
    let mut merges: HashMap<Vec<String>, Vec<usize>> = HashMap::new();
    for (number, open) in sound.iter().enumerate() {
        let inputs = replaces(&open.segment);
        if !inputs.is_empty() {
            merges.entry(inputs).or_default().push(number);
        }
    }
    let mut reasons: BTreeMap<usize, String> = BTreeMap::new();
    let mut replaced: BTreeMap<String, String> = BTreeMap::new();
    for (inputs, outputs) in &merges {
        let parts =
            outputs.iter().filter_map(|&number| sound.get(number)).map(|open| open.segment.flush_part());
        let wanted = parts.clone().map(|part| part.parts).max().unwrap_or(0);
        let there: BTreeSet<u32> = parts.map(|part| part.part).collect();
        let is_gone = |input: &String| !present.contains(input) && !damaged.contains(input);
        let was_merged =
            |&number: &usize| sound.get(number).is_some_and(|open| named.contains(open.row.id.as_str()));
        let counts = wanted == 0
            || there.len() as u64 >= u64::from(wanted)
            || inputs.iter().any(is_gone)
            || outputs.iter().any(was_merged);
        if counts {
            let by =
                outputs.first().and_then(|&number| sound.get(number)).map(|open| open.row.id.to_string());
            replaced.extend(inputs.iter().map(|input| (input.clone(), by.clone().unwrap_or_default())));
        } else if !inputs.iter().any(|input| damaged.contains(input)) {
            let reason = "a merge that did not end: everything that it was to replace is there".to_owned();
            reasons.extend(outputs.iter().map(|&number| (number, reason.clone())));
        }
    }
    let (mut rest, mut dropped) = (Vec::new(), Vec::new());
    for (number, open) in sound.into_iter().enumerate() {
        let by = replaced.get(open.row.id.as_str());
        match reasons.remove(&number).or_else(|| by.map(|by| format!("{by} replaces it"))) {
            Some(reason) => dropped.push((open, reason)),
            None => rest.push(open),
        }
    }
    (rest, dropped)
}

/// Up to where the log is in segments; leaves out the files of a flush that did not end.
fn low_watermark(
    rest: &mut Vec<OpenSegment>,
    damaged: &BTreeSet<String>,
    log_begins: Option<u64>,
    source: &Source,
    plan: &mut Plan,
) -> u64 {
    let is_merge = |open: &OpenSegment| open.segment.replaces().next().is_some();
    let mut low = 0;
    for open in rest.iter() {
        low = low.max(open.segment.flush_part().low);
        if is_merge(open) {
            // What is merged was committed before.
            low = low.max(open.row.offset_range.1.saturating_add(1));
        }
    }
    let mut flushes: BTreeMap<(u64, u64, u64, u32), Vec<usize>> = BTreeMap::new();
    for (number, open) in rest.iter().enumerate().filter(|(_, open)| !is_merge(open)) {
        let part = open.segment.flush_part();
        if part.parts > 0 && part.new_low > low {
            let key = (part.low, part.new_low, epoch_of(&open.row.id), part.parts);
            flushes.entry(key).or_default().push(number);
        }
    }
    let mut leave_out: BTreeMap<usize, String> = BTreeMap::new();
    // The flush that reached furthest counts among those that began at one place.
    for ((from, to, _, parts), members) in flushes.iter().rev() {
        let is_whole = members.len() as u64 == u64::from(*parts);
        if *to <= low {
            continue;
        }
        // The watermark moves by whole flushes, and the log is cut only below it: whatever lies within was passed.
        let is_committed = *from < low.max(log_begins.unwrap_or(0));
        if is_whole || is_committed {
            low = *to;
            continue;
        }
        let lost = u64::from(*parts) - members.len() as u64;
        if log_begins.is_some_and(|begins| begins <= *from) {
            let reason =
                format!("{lost} of the {parts} files of its flush are not there: the log replays its events");
            leave_out.extend(members.iter().map(|&number| (number, reason.clone())));
        } else {
            low = *to;
            let name = members.first().and_then(|&number| rest.get(number));
            let name = name.map(|open| relative(&source.root, &open.path)).unwrap_or_default();
            let is_known = if damaged.is_empty() { "" } else { " (damaged ones are named by themselves)" };
            let what = format!(
                "{lost} of the {parts} files of the flush of records {from} to {} are not there{is_known}, and the log \
                 no longer has their events",
                to - 1
            );
            plan.report.add(Severity::Damage, &name, None, what, "restore a backup, if they are missed");
        }
    }
    let mut kept = Vec::new();
    for (number, open) in std::mem::take(rest).into_iter().enumerate() {
        match leave_out.remove(&number) {
            Some(reason) => plan.aside.push((open.path, reason)),
            None => kept.push(open),
        }
    }
    *rest = kept;
    low
}

/// Of each file, newest first: the rows whose events an earlier one of the list holds, too.
fn rows_elsewhere(files: &[OpenSegment]) -> Result<Vec<BTreeSet<u32>>, Error> {
    let mut twice = vec![BTreeSet::new(); files.len()];
    let total: u64 = files.iter().map(|open| open.row.rows).sum();
    let (Some(first), Some(last)) = (
        files.iter().map(|open| open.row.offset_range.0).min(),
        files.iter().map(|open| open.row.offset_range.1).max(),
    ) else {
        return Ok(twice);
    };
    let span = last - first + 1;
    let windows = (total / EVENTS_AT_ONCE + 1).min(span);
    let width = span.div_ceil(windows);
    for window in 0..windows {
        let from = first + window * width;
        let range = from..from.saturating_add(width);
        let mut events: Vec<(u64, u32, u32, u32)> = Vec::new();
        for (number, open) in (0_u32..).zip(files) {
            let (low, high) = open.row.offset_range;
            if high < range.start || low >= range.end {
                continue;
            }
            let (offsets, indexes) =
                (open.segment.field(RowField::Offset)?, open.segment.field(RowField::Index)?);
            for row in 0..open.segment.rows() {
                let offset = offsets.get(row as usize).cast_unsigned();
                if range.contains(&offset) {
                    let index = u32::try_from(indexes.get(row as usize)).unwrap_or(u32::MAX);
                    events.push((offset, index, number, row));
                }
            }
        }
        events.sort_unstable();
        for pair in events.windows(2) {
            let ((offset, index, _, _), (next_offset, next_index, number, row)) = (pair[0], pair[1]);
            if (offset, index) == (next_offset, next_index)
                && let Some(rows) = twice.get_mut(number as usize)
            {
                rows.insert(row);
            }
        }
    }
    Ok(twice)
}

/// Lines of imported files, as far as the log still has their records.
fn read_imports(
    source: &Source,
    partition: Partition,
    low: u64,
    imports: &mut Imports,
    plan: &mut Plan,
) -> Result<(), Error> {
    let failed = |error: skein_log::Error| Error::with_source(ErrorKind::Io, error.to_string(), error);
    let Ok(files) = inspect::files(&*source.disk, &source.root, partition) else { return Ok(()) };
    for file in files.iter().filter(|file| file.first_offset < low) {
        let content = inspect::read(&*source.disk, file, low).map_err(failed)?;
        for entry in content.records.iter().filter(|entry| entry.offset < low) {
            if let Some((environment, BatchKey::Import { file, line })) = content.key(entry) {
                imports.insert(&environment, partition, &file, line);
            }
        }
    }
    let begins = files.first().map_or(0, |file| file.first_offset);
    if begins > 0 && low > 0 {
        let what = format!(
            "lines of files that were imported before record {begins} of partition {} are known only as far as the old \
             catalog could still tell",
            partition.0
        );
        let advice = "do not import those files again: their events would be there twice";
        plan.report.add(Severity::Note, Path::new("catalog.sqlite"), None, what, advice);
    }
    Ok(())
}
