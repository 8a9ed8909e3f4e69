//! The head: what is acknowledged and not yet in a file. It is kept in the encodings of segments, so that a
//! query runs over head and files alike.
//!
//! Records collect in an open block; a block of some thousand rows is closed, and sealed into a segment in
//! memory. The open rest is encoded when a snapshot asks for it, and kept until more arrives.

use std::collections::BTreeMap;
use std::sync::Arc;

use skein_event::batch::{EventBatch, Presence};
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::limits::{FUTURE_NS_MAX, HEAD_BLOCK_BYTES, HEAD_BLOCK_ROWS};
use skein_event::{ColumnKey, Fixed};
use skein_log::DurableRecord;

use crate::error::Error;
use crate::handle::SegmentHandle;
use crate::segment::{
    BatchSource, Compression, FlushPart, Header, Segment, Source, Target, column_bytes, merge_in_memory,
};

const DAY_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// Whose events of which day a head holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct HeadKey {
    pub(crate) environment: Environment,
    pub(crate) day: i32,
}

/// Events of one record that are filed under one day.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) batch: Arc<EventBatch>,
    pub(crate) offset: Offset,
    pub(crate) append_time_ns: i64,
    /// Index of each event in its record, when these are not all of them.
    pub(crate) indexes: Option<Arc<[u32]>>,
}

impl Part {
    pub(crate) fn source(&self) -> Source<'_> {
        Source::Batch(BatchSource {
            batch: &self.batch,
            offset: self.offset,
            append_time_ns: self.append_time_ns,
            indexes: self.indexes.as_deref(),
        })
    }
}

/// Some records, one after another, and their encoded form when there is one.
#[derive(Debug)]
pub(crate) struct Block {
    /// Unique within its store, rising.
    pub(crate) number: u64,
    parts: Vec<Part>,
    rows: usize,
    part_bytes: usize,
    /// When its first record was appended.
    first_append_ns: i64,
    /// Whether no more records come. A closed block with its segment holds no parts.
    closed: bool,
    /// The first so many parts, encoded.
    encoded: Option<(usize, Arc<SegmentHandle>)>,
}

/// What a block needs for its segment.
pub(crate) enum Encoding {
    /// Nothing: here it is.
    Done(Arc<SegmentHandle>),
    /// These parts have to be encoded; afterwards [`Block::set_encoded`] keeps the result.
    Needed(Vec<Part>),
}

impl Block {
    pub(crate) fn new(number: u64) -> Block {
        let first_append_ns = i64::MAX;
        Block {
            number,
            parts: Vec::new(),
            rows: 0,
            part_bytes: 0,
            first_append_ns,
            closed: false,
            encoded: None,
        }
    }

    /// When its first record was appended.
    pub(crate) fn first_append_ns(&self) -> i64 {
        self.first_append_ns
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Bytes it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.part_bytes + usize::try_from(self.encoded_bytes()).unwrap_or(usize::MAX)
    }

    /// Those of its batches, by estimate.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.part_bytes
    }

    /// Those of its encoded form.
    pub(crate) fn encoded_bytes(&self) -> u64 {
        self.encoded.as_ref().map_or(0, |(_, segment)| segment.bytes())
    }

    /// Whether it is closed and still waits to be sealed.
    pub(crate) fn wants_sealing(&self) -> bool {
        self.closed && !self.parts.is_empty()
    }

    /// Adds a part; closes the block when it is large enough.
    pub(crate) fn push(&mut self, part: Part) {
        self.rows += part.batch.rows();
        self.part_bytes += batch_bytes(&part.batch);
        self.first_append_ns = self.first_append_ns.min(part.append_time_ns);
        self.parts.push(part);
        if self.rows >= HEAD_BLOCK_ROWS || self.part_bytes >= HEAD_BLOCK_BYTES {
            self.close();
        }
    }

    /// No more records come.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.drop_parts();
    }

    pub(crate) fn encoding(&self) -> Encoding {
        match &self.encoded {
            Some((_, segment)) if self.parts.is_empty() => Encoding::Done(Arc::clone(segment)),
            Some((parts, segment)) if *parts == self.parts.len() => Encoding::Done(Arc::clone(segment)),
            _ => Encoding::Needed(self.parts.clone()),
        }
    }

    /// Keeps the encoded form of the first so many parts, unless it knows more by now.
    pub(crate) fn set_encoded(&mut self, parts: usize, segment: &Arc<Segment>) {
        let known = self.encoded.as_ref().map_or(0, |(parts, _)| *parts);
        if !self.parts.is_empty() && parts > known {
            self.encoded = Some((parts, Arc::new(SegmentHandle::loaded(Arc::clone(segment)))));
            self.drop_parts();
        }
    }

    /// Lets go of the parts once all are encoded and none can follow.
    fn drop_parts(&mut self) {
        if self.closed && self.encoded.as_ref().is_some_and(|(parts, _)| *parts == self.parts.len()) {
            self.parts = Vec::new();
            self.part_bytes = 0;
        }
    }
}

/// The blocks of one environment and day in one partition, in the order of the log.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) blocks: Vec<Block>,
}

impl Head {
    pub(crate) fn rows(&self) -> usize {
        self.blocks.iter().map(Block::rows).sum()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.blocks.iter().map(Block::bytes).sum()
    }

    pub(crate) fn push(&mut self, part: Part, next_number: &mut u64) {
        if self.blocks.last().is_none_or(Block::is_closed) {
            self.blocks.push(Block::new(*next_number));
            *next_number += 1;
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(part);
        }
    }
}

/// What a segment of a head says about itself.
pub(crate) fn target(
    hash_key: skein_event::hash::HashKey,
    partition: Partition,
    key: &HeadKey,
    compression: Compression,
) -> Target {
    let header =
        Header { hash_key, environment: key.environment.clone(), partition, day: key.day, append_time_ns: 0 };
    Target { header, compression, flush: FlushPart::default(), replaces: Vec::new() }
}

/// Encodes parts as a head block.
pub(crate) fn encode_parts(parts: &[Part], target: &Target) -> Result<Arc<Segment>, Error> {
    let sources: Vec<Source<'_>> = parts.iter().map(Part::source).collect();
    merge_in_memory(&sources, target).map(Arc::new)
}

/// The day of a time, in days since 1970-01-01.
pub(crate) fn day_of(time_ns: i64) -> i32 {
    // 292 years in nanoseconds are 107,000 days.
    i32::try_from(time_ns.div_euclid(DAY_NS)).unwrap_or(0)
}

/// The day under which an event is filed: its own, or that of its arrival when its time lies more than 24 h
/// ahead of it (SEMANTICS.md, "Time").
pub(crate) fn filing_day(time_ns: i64, append_time_ns: i64) -> i32 {
    let ahead = time_ns.checked_sub(append_time_ns).is_none_or(|ahead| ahead > FUTURE_NS_MAX);
    day_of(if ahead && time_ns > append_time_ns { append_time_ns } else { time_ns })
}

/// Files a record's events under their days; those of a span under the span's, so that the export finds them
/// beside it. `allowed` may refuse a day; its events are then filed under their arrival.
pub(crate) fn route(
    record: &DurableRecord,
    target: &Target,
    allowed: impl Fn(i32) -> bool,
) -> Vec<(i32, Part)> {
    let part = |batch, indexes| Part {
        batch,
        offset: record.offset,
        append_time_ns: record.append_time_ns,
        indexes,
    };
    let days = days_of(record, allowed);
    let first = days.first().copied().unwrap_or_else(|| day_of(record.append_time_ns));
    if days.iter().all(|&day| day == first) {
        return vec![(first, part(Arc::clone(&record.batch), None))];
    }
    let mut rows_by_day: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
    for (row, &day) in (0_u32..).zip(&days) {
        rows_by_day.entry(day).or_default().push(row);
    }
    let whole = [part(Arc::clone(&record.batch), None)];
    let split = encode_parts(&whole, target).and_then(|segment| {
        let pieces = rows_by_day.iter().map(|(&day, rows)| {
            let gathered = segment.gather(rows)?;
            Ok((day, part(Arc::new(gathered.batch), Some(Arc::from(rows.as_slice())))))
        });
        pieces.collect::<Result<Vec<_>, Error>>()
    });
    // What cannot be split stays whole under the first day: the day is a place, never a promise about times.
    split.unwrap_or_else(|_| vec![(first, part(Arc::clone(&record.batch), None))])
}

fn days_of(record: &DurableRecord, allowed: impl Fn(i32) -> bool) -> Vec<i32> {
    let batch = &record.batch;
    let arrival = day_of(record.append_time_ns);
    let mut days: Vec<i32> =
        batch.times.iter().map(|&time| filing_day(time, record.append_time_ns)).collect();
    if days.iter().all(|&day| day == arrival) {
        return days;
    }
    let mut known: BTreeMap<i32, bool> = BTreeMap::new();
    for day in &mut days {
        if !*known.entry(*day).or_insert_with_key(|day| *day == arrival || allowed(*day)) {
            *day = arrival;
        }
    }
    let annotations = batch.column(&ColumnKey::fixed(Fixed::AnnotationType));
    match annotations.map(|column| &column.presence) {
        Some(Presence::Rows(rows)) => {
            // Rows rise, so a span's day has spread over the events before each one.
            for &row in rows {
                if let Some(before) = (row as usize).checked_sub(1) {
                    days[row as usize] = days[before];
                }
            }
        }
        Some(Presence::All) => {
            let first = days[0];
            days.fill(first);
        }
        None => {}
    }
    days
}

/// About how many bytes a batch takes in memory.
fn batch_bytes(batch: &EventBatch) -> usize {
    let columns: usize = batch.columns.iter().chain(&batch.context_columns).map(column_bytes).sum();
    let tokens = batch.shape_table.len() * 32 * size_of::<skein_event::batch::Token>();
    batch.dictionary.bytes().len() + batch.dictionary.len() * 12 + batch.rows() * 16 + columns + tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_future_is_filed_under_arrival() {
        let arrival = 1_700_000_000_000_000_000;
        let cases = [
            (arrival, arrival),
            (arrival + FUTURE_NS_MAX, arrival + FUTURE_NS_MAX),
            (arrival + FUTURE_NS_MAX + 1, arrival),
            (i64::MAX, arrival),
            (0, 0),
            (-1, -1),
            (i64::MIN, i64::MIN),
        ];
        for (time, filed) in cases {
            assert_eq!(filing_day(time, arrival), day_of(filed), "{time}");
        }
        assert_eq!((day_of(-1), day_of(0), day_of(DAY_NS)), (-1, 0, 1));
    }
}
