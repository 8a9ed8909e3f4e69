//! The store as the follower of the log: what is durable comes into the heads here. From clients it comes with its
//! events; what a start finds in the log comes without them where all events of a record are filed under one day, and is
//! read back by whoever encodes its block.
//!
//! What it refuses: a record that a partition holds already.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use skein_event::flow::{BatchKey, Decision, LogEntry};
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::limits;
use skein_log::codec::Outline;
use skein_log::{DurableRecord, Follower, Replayed, Replayer, StoredRecord};

use crate::head::{self, HeadKey, Held};
use crate::segment::Compression;
use crate::store::{Inner, State, Store};

impl Follower for Store {
    fn apply(&self, records: Vec<DurableRecord>) {
        for record in &records {
            self.inner.wait_for_room();
            self.inner.apply_record(record);
        }
        self.inner.to_seal.notify_all();
    }

    fn replayer(&self) -> Option<&dyn Replayer> {
        Some(self)
    }

    fn has_import(
        &self,
        environment: &Environment,
        partition: Partition,
        file: &[u8; 32],
        line: u32,
    ) -> bool {
        self.inner.imports().contains(environment, partition, file, line)
    }
}

impl Replayer for Store {
    fn may_stay(&self, append_time_ns: i64, events: &Outline) -> bool {
        let decider = self.inner.decider.lock().unwrap_or_else(PoisonError::into_inner);
        !decider.needs_events() && head::only_day(append_time_ns, events).is_some()
    }

    fn replay(&self, records: Vec<Replayed>) {
        for record in records {
            match record {
                Replayed::Whole(record) => self.inner.apply_record(&record),
                Replayed::Stored(record) => self.inner.apply_stored(record),
            }
            self.inner.seal_in_replay();
        }
    }
}

impl Inner {
    /// Takes one record over.
    fn apply_record(&self, record: &DurableRecord) {
        let Some(known_days) = self.days_before(record.partition, record.offset) else { return };
        if let Some(erasure) = &record.erasure {
            self.apply_erasure(record, erasure);
            return;
        }
        self.activity.applied(record.batch.rows() as u64, self.clock.now_ns());
        let Decision::KeepAll = self.decide(record);
        let mut days = Days::new(known_days);
        let (environment, arrival) = (&record.environment, head::day_of(record.append_time_ns));
        let key = HeadKey { environment: environment.clone(), day: arrival };
        let target = head::target(self.config.hash_key, record.partition, &key, Compression::None);
        let parts = match record.batch.is_empty() {
            true => Vec::new(),
            false => head::route(record, &target, |day| days.allow(day)),
        };
        let parts = parts.into_iter().map(|(day, part)| (day, Held::Here(part)));
        self.take_over(environment, record.partition, (record.offset, &record.key), parts);
    }

    /// Takes one record over whose events stay in the log.
    fn apply_stored(&self, record: StoredRecord) {
        let StoredRecord { environment, partition, offset, append_time_ns, key, events } = record;
        let Some(known_days) = self.days_before(partition, offset) else { return };
        self.activity.applied(events.outline.rows as u64, self.clock.now_ns());
        let arrival = head::day_of(append_time_ns);
        let day = head::only_day(append_time_ns, &events.outline).unwrap_or(arrival);
        let is_allowed = day == arrival || Days::new(known_days).allow(day);
        let part = Held::Stored { events, offset, append_time_ns };
        let parts = [(if is_allowed { day } else { arrival }, part)];
        self.take_over(&environment, partition, (offset, &key), parts.into_iter());
    }

    /// The days of a partition's heads; `None` when it holds a record already.
    fn days_before(&self, partition: Partition, offset: Offset) -> Option<BTreeSet<i32>> {
        let state = self.state();
        let partition = state.partitions.get(usize::from(partition.0))?;
        (!partition.holds(offset)).then(|| partition.heads.keys().map(|key| key.day).collect())
    }

    /// Adds the parts of a record, each under its day.
    fn take_over(
        &self,
        environment: &Environment,
        partition: Partition,
        (offset, key): (Offset, &BatchKey),
        parts: impl Iterator<Item = (i32, Held)>,
    ) {
        if let BatchKey::Import { file, line } = key {
            self.imports().insert(environment, partition, file, *line);
        }
        let mut state = self.state();
        let State { partitions, next_block, version, .. } = &mut *state;
        let Some(partition) = partitions.get_mut(usize::from(partition.0)) else { return };
        partition.next = Offset(offset.0.saturating_add(1));
        for (day, part) in parts {
            let key = HeadKey { environment: environment.clone(), day };
            partition.heads.entry(key).or_default().push(part, next_block);
        }
        *version += 1;
    }

    fn decide(&self, record: &DurableRecord) -> Decision {
        let entry = LogEntry {
            environment: &record.environment,
            partition: record.partition,
            offset: record.offset,
            append_time_ns: record.append_time_ns,
            batch: &record.batch,
        };
        self.decider.lock().unwrap_or_else(PoisonError::into_inner).decide(entry)
    }
}

/// Which days a record's events may be filed under: those of its partition's heads, and so many further ones.
struct Days {
    known: BTreeSet<i32>,
    new: BTreeSet<i32>,
    new_max: usize,
}

impl Days {
    fn new(known: BTreeSet<i32>) -> Days {
        let new_max = limits::HEAD_DAYS_MAX.saturating_sub(known.len());
        Days { known, new: BTreeSet::new(), new_max }
    }

    fn allow(&mut self, day: i32) -> bool {
        self.known.contains(&day) || (self.new.len() < self.new_max && self.new.insert(day))
    }
}
