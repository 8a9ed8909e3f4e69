//! The head: what is acknowledged and not yet in a file. It is kept in the encodings of segments, so that a
//! query runs over head and files alike.
//!
//! Records collect in an open block; a block of some thousand rows is closed, and sealed into a segment in
//! memory. The open rest is encoded when a snapshot asks for it, and kept until more arrives. What a start finds in the
//! log stays there, and is read back when its block is encoded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, TryLockError};

use skein_event::batch::{EventBatch, Presence};
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::limits::{FUTURE_NS_MAX, HEAD_BLOCK_BYTES, HEAD_BLOCK_ROWS};
use skein_event::{ColumnKey, Fixed};
use skein_log::codec::Outline;
use skein_log::{DurableRecord, StoredEvents};

use crate::error::Error;
use crate::handle::SegmentHandle;
use crate::segment::{
    BatchSource, Compression, FlushPart, Header, Segment, Source, Target, column_bytes, merge_in_memory,
};

/// Bytes in memory of a byte in the log, which keeps numbers in the least width that holds them: a million wide events took
/// 0.87 GB there and 2.5 GiB as batches.
const DECODED_PER_LOGGED: usize = 3;

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

/// What a block holds of one record.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    /// Its events.
    Here(Part),
    /// The place of all its events in the log.
    Stored { events: Arc<StoredEvents>, offset: Offset, append_time_ns: i64 },
    /// Nothing any more: its bytes in the log turned out to be damaged, which was told.
    Lost,
}

impl Held {
    fn rows(&self) -> usize {
        match self {
            Held::Here(part) => part.batch.rows(),
            Held::Stored { events, .. } => events.outline.rows,
            Held::Lost => 0,
        }
    }

    fn append_time_ns(&self) -> i64 {
        match self {
            Held::Here(Part { append_time_ns, .. }) | Held::Stored { append_time_ns, .. } => *append_time_ns,
            Held::Lost => i64::MAX,
        }
    }

    /// Bytes that it takes in memory, by estimate.
    fn bytes(&self) -> usize {
        match self {
            Held::Here(part) => batch_bytes(&part.batch),
            Held::Stored { .. } => size_of::<Held>() + size_of::<StoredEvents>(),
            Held::Lost => 0,
        }
    }

    /// Bytes that it takes in the log, when it is there only.
    fn log_bytes(&self) -> Option<usize> {
        match self {
            Held::Stored { events, .. } => Some(events.bytes()),
            Held::Here(_) | Held::Lost => None,
        }
    }
}

/// Some records, one after another, and their encoded form when there is one.
#[derive(Debug)]
pub(crate) struct Block {
    /// Unique within its store, rising.
    pub(crate) number: u64,
    parts: Vec<Held>,
    rows: usize,
    part_bytes: usize,
    /// What its parts take while it is encoded.
    bytes_at_hand: usize,
    /// When its first record was appended.
    first_append_ns: i64,
    /// Whether no more records come. A closed block with its segment holds no parts.
    closed: bool,
    /// The first so many parts, encoded.
    encoded: Option<(usize, Arc<SegmentHandle>)>,
    /// Held by whoever encodes it, so that nobody does what another is about to have done.
    turn: Arc<Mutex<()>>,
}

/// What a block needs for its segment.
pub(crate) enum Encoding {
    /// Nothing: here it is.
    Done(Arc<SegmentHandle>),
    /// These parts have to be encoded.
    Needed(ToEncode),
}

/// Parts of a block; [`Block::set_encoded`] keeps what becomes of them.
pub(crate) struct ToEncode {
    pub(crate) parts: Vec<Held>,
    pub(crate) turn: Arc<Mutex<()>>,
}

impl Block {
    pub(crate) fn new(number: u64) -> Block {
        let first_append_ns = i64::MAX;
        Block {
            number,
            parts: Vec::new(),
            rows: 0,
            part_bytes: 0,
            bytes_at_hand: 0,
            first_append_ns,
            closed: false,
            encoded: None,
            turn: Arc::default(),
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

    /// Whether it is closed, still waits to be sealed, and nobody is at it.
    pub(crate) fn wants_sealing(&self) -> bool {
        self.closed
            && !self.parts.is_empty()
            && !matches!(self.turn.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// Whether events of it are in the log only.
    pub(crate) fn is_in_log(&self) -> bool {
        self.parts.iter().any(|part| part.log_bytes().is_some())
    }

    /// Adds a part; closes the block when it is large enough.
    pub(crate) fn push(&mut self, part: Held) {
        let bytes = part.bytes();
        self.rows += part.rows();
        self.part_bytes += bytes;
        self.bytes_at_hand +=
            part.log_bytes().map_or(bytes, |bytes| bytes.saturating_mul(DECODED_PER_LOGGED));
        self.first_append_ns = self.first_append_ns.min(part.append_time_ns());
        self.parts.push(part);
        if self.rows >= HEAD_BLOCK_ROWS || self.bytes_at_hand >= HEAD_BLOCK_BYTES {
            self.close();
        }
    }

    /// Gives up a part whose bytes in the log are damaged. Returns whether it was still there.
    pub(crate) fn lose(&mut self, lost: Offset) -> bool {
        let is_lost = |part: &&mut Held| matches!(part, Held::Stored { offset, .. } if *offset == lost);
        let Some(part) = self.parts.iter_mut().find(is_lost) else { return false };
        self.rows -= part.rows();
        self.part_bytes -= part.bytes();
        *part = Held::Lost;
        true
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
            _ => Encoding::Needed(ToEncode { parts: self.parts.clone(), turn: Arc::clone(&self.turn) }),
        }
    }

    /// The encoded form of exactly its first so many parts, if it is there.
    pub(crate) fn encoded(&self, wanted: usize) -> Option<Arc<SegmentHandle>> {
        let (parts, segment) = self.encoded.as_ref()?;
        (*parts == wanted).then(|| Arc::clone(segment))
    }

    /// Keeps the encoded form of the first so many parts, unless it knows more by now.
    pub(crate) fn set_encoded(&mut self, parts: usize, segment: &Arc<SegmentHandle>) {
        let known = self.encoded.as_ref().map_or(0, |(parts, _)| *parts);
        if !self.parts.is_empty() && parts > known {
            self.encoded = Some((parts, Arc::clone(segment)));
            self.drop_parts();
        }
    }

    /// Lets go of the parts once all are encoded and none can follow.
    fn drop_parts(&mut self) {
        if self.closed && self.encoded.as_ref().is_some_and(|(parts, _)| *parts == self.parts.len()) {
            self.parts = Vec::new();
            self.part_bytes = 0;
            self.bytes_at_hand = 0;
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

    pub(crate) fn push(&mut self, part: Held, next_number: &mut u64) {
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

/// The one day under which all events of a record are filed, when there is no doubt: its arrival may replace it.
pub(crate) fn only_day(append_time_ns: i64, events: &Outline) -> Option<i32> {
    let day = day_of(events.first_ns);
    // Beyond the arrival by more than is allowed, days no longer rise with times.
    let is_one = day == day_of(events.last_ns) && filing_day(events.last_ns, append_time_ns) == day;
    is_one.then_some(day)
}

/// Files a record's events under their days; those of a span under the span's, so that the export finds them
/// beside it. `allowed` may refuse a day; its events are then filed under their arrival.
pub(crate) fn route(
    record: &DurableRecord,
    target: &Target,
    allowed: impl FnMut(i32) -> bool,
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

fn days_of(record: &DurableRecord, mut allowed: impl FnMut(i32) -> bool) -> Vec<i32> {
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

    #[test]
    fn one_day_is_claimed_only_where_every_time_between_is_filed_under_it() {
        let arrival: i64 = 1_700_000_000_000_000_000;
        let midnight = arrival - arrival.rem_euclid(DAY_NS);
        let near = [-DAY_NS, -1, 0, 1, DAY_NS / 2, DAY_NS - 1, DAY_NS, 2 * DAY_NS, 3 * DAY_NS];
        let mut times: Vec<i64> = near.iter().map(|offset| midnight + offset).collect();
        times.extend([arrival + FUTURE_NS_MAX, arrival + FUTURE_NS_MAX + 1, i64::MIN, i64::MAX, -1, 0]);
        times.sort_unstable();
        let mut claimed = 0;
        for (place, &first_ns) in times.iter().enumerate() {
            for &last_ns in &times[place..] {
                let Some(day) = only_day(arrival, &Outline { rows: 2, first_ns, last_ns }) else { continue };
                let between = times.iter().filter(|time| (first_ns..=last_ns).contains(time));
                assert!(
                    between.clone().all(|&time| filing_day(time, arrival) == day),
                    "{first_ns} {last_ns}"
                );
                claimed += 1;
            }
        }
        assert!(claimed > times.len());
    }
}
