//! Erasure: what a filter matches among older events is in no answer from the moment the erasure's record is
//! durable, and in no segment a while later (docs/adr/0018-erasure.md).
//!
//! The record says per partition which offsets are older. A snapshot leaves out the rows of older events that
//! match; flushes and merges write without them; [`Store::erase_next`] rewrites the files that nobody else
//! does. Which files are left to look at follows from their names: one that was named after the erasure was
//! applied was written without what it takes.
//!
//! What it refuses: to understand filters ([`crate::RowMatcher`] does), and to answer when a filter cannot be evaluated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use skein_event::flow::Erasure;
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::limits::{ERASURE_NS_MAX, ERASURES_KEPT_MAX};
use skein_log::DurableRecord;

use crate::catalog::SegmentId;
use crate::erasure_file::{FOLDER, StoredErasure, file_name};
use crate::error::{Error, ErrorKind};
use crate::files::Files;
use crate::handle::SegmentHandle;
use crate::segment::Segment;
use crate::store::{Inner, State, Store, StoredFile};
use crate::taken::erased_rows;
use crate::written::Work;

/// How far an erasure is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErasureStatus {
    /// Its name.
    pub id: u128,
    /// Its filter, as it was asked for.
    pub filter: Arc<str>,
    /// When it was asked for, and from when on no answer holds what it takes.
    pub requested_ns: i64,
    /// When nothing of it was left in segments.
    pub ended_ns: Option<i64>,
    /// By then nothing is.
    pub due_ns: i64,
    /// Segments that may still hold some of it, whether they count or only wait for their last reader.
    pub segments: u64,
    /// Their bytes.
    pub segment_bytes: u64,
    /// Rows of the head that are older and wait for a flush.
    pub head_rows: u64,
    /// Per partition the first offset that is not older: for finding copies in the log.
    pub cuts: Vec<Offset>,
}

struct Entry {
    stored: Arc<StoredErasure>,
    /// Whether its file says what it says.
    is_durable: bool,
    /// Files that were found to hold nothing of it.
    clean: BTreeSet<SegmentId>,
}

/// All erasures, by id.
#[derive(Default)]
pub(crate) struct Erasures {
    entries: BTreeMap<u128, Entry>,
}

impl StoredErasure {
    /// Whether a file may hold events that it takes, by its name and place.
    fn concerns(&self, file: &StoredFile) -> bool {
        let row = &file.row;
        self.ended_ns.is_none()
            && self.environment == row.environment
            && self.erasure.is_older(row.partition, Offset(row.offset_range.0))
            && self.boundary.get(usize::from(row.partition.0)).is_none_or(|last| row.id <= *last)
    }
}

impl Erasures {
    /// Reads the erasures of a data directory.
    pub(crate) fn load(files: &Files) -> Result<Erasures, Error> {
        let mut entries = BTreeMap::new();
        for (name, bytes) in files.read_all(FOLDER)? {
            let Some(stored) = StoredErasure::read(&bytes) else {
                let message = format!(
                    "{FOLDER}/{name} is damaged, and without it erased events would be shown again. Restore it from a \
                     backup; if there is none, remove it and erase again"
                );
                return Err(Error::damaged(message));
            };
            let entry = Entry { stored: Arc::new(stored), is_durable: true, clean: BTreeSet::new() };
            entries.insert(entry.stored.erasure.id, entry);
        }
        Ok(Erasures { entries })
    }

    /// Those that a file may hold events of.
    pub(crate) fn of_file(&self, file: &StoredFile) -> Vec<Arc<StoredErasure>> {
        let open = self.entries.values().filter(|entry| entry.may_take_of(file));
        open.map(|entry| Arc::clone(&entry.stored)).collect()
    }

    /// Those that a head block may hold events of, ended ones included: a log that is replayed from its
    /// beginning brings back what they took.
    pub(crate) fn of_head(
        &self,
        environment: &Environment,
        partition: Partition,
        first: Offset,
    ) -> Vec<Arc<StoredErasure>> {
        let stored = self.entries.values().map(|entry| &entry.stored);
        let older = stored
            .filter(|stored| stored.environment == *environment && stored.erasure.is_older(partition, first));
        older.cloned().collect()
    }

    /// The names of the oldest ended ones beyond what is remembered.
    fn forgettable(&self) -> Vec<u128> {
        let excess = self.entries.len().saturating_sub(ERASURES_KEPT_MAX);
        let mut ended: Vec<(i64, u128)> =
            self.entries.iter().filter_map(|(id, entry)| Some((entry.stored.ended_ns?, *id))).collect();
        ended.sort_unstable();
        ended.into_iter().take(excess).map(|(_, id)| id).collect()
    }
}

impl std::fmt::Debug for Erasures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} erasures", self.entries.len())
    }
}

impl Store {
    /// The erasures of an environment, the latest first.
    pub fn erasures(&self, environment: &Environment) -> Vec<ErasureStatus> {
        let state = self.inner.state();
        let of_it = state.erasures.entries.values().filter(|entry| entry.stored.environment == *environment);
        let mut all: Vec<ErasureStatus> = of_it
            .map(|entry| {
                let stored = &entry.stored;
                let left = state
                    .on_disk()
                    .filter(|file| entry.may_take_of(file))
                    .fold((0, 0), |(count, bytes), file| (count + 1, bytes + file.row.bytes));
                let older_rows = |partition: &crate::store::PartitionState| {
                    let older = stored.erasure.is_older(partition.mark.partition, partition.mark.low);
                    let heads = partition.heads.iter().filter(|(key, _)| key.environment == *environment);
                    if older { heads.map(|(_, head)| head.rows() as u64).sum() } else { 0_u64 }
                };
                ErasureStatus {
                    id: stored.erasure.id,
                    filter: Arc::clone(&stored.erasure.filter),
                    requested_ns: stored.requested_ns,
                    ended_ns: stored.ended_ns,
                    due_ns: stored.requested_ns.saturating_add(ERASURE_NS_MAX),
                    segments: left.0,
                    segment_bytes: left.1,
                    head_rows: state.partitions.iter().map(older_rows).sum(),
                    cuts: stored.erasure.cuts.clone(),
                }
            })
            .collect();
        all.sort_by_key(|status| std::cmp::Reverse((status.requested_ns, status.id)));
        all
    }

    /// Takes the next file that an erasure has to look at: rewrites it without what the erasure takes, or finds
    /// that it holds nothing of it. Ends erasures that nothing is left of. Returns whether there was anything.
    pub fn erase_next(&self) -> Result<bool, Error> {
        let inner = &self.inner;
        let _maintaining = inner.begin_maintenance();
        inner.persist_erasures()?;
        let next = {
            let state = inner.state();
            let open = state.erasures.entries.values().filter(|entry| entry.stored.ended_ns.is_none());
            let mut open = open.peekable();
            if open.peek().is_none() {
                return Ok(false);
            }
            // One that failed for good waits for the next start; its rows stay hidden.
            let failed = |file: &StoredFile| state.tiers_passed.get(&file.row.id) == Some(&usize::MAX);
            state.files.iter().find(|file| !failed(file) && !state.erasures.of_file(file).is_empty()).cloned()
        };
        let Some(file) = next else { return inner.end_erasures() };
        let started = inner.clock.now_ns();
        let outcome = inner.erase_in(&file, started);
        if let Err(error) = &outcome
            && error.kind() != ErrorKind::Stopping
        {
            inner.observe_failure("erase", started, inner.clock.now_ns(), file.row.partition, error);
            inner.after_failed_rewrite(std::slice::from_ref(&file), error);
        }
        outcome.map(|()| true)
    }
}

impl Entry {
    /// Whether a file may hold something of it.
    fn may_take_of(&self, file: &StoredFile) -> bool {
        self.stored.concerns(file) && !self.clean.contains(&file.row.id)
    }
}

impl State {
    /// The files that are there, also those that only a snapshot or a reader's lease keeps.
    fn on_disk(&self) -> impl Iterator<Item = &StoredFile> {
        self.files.iter().chain(&self.retired)
    }

    /// The open erasures of which nothing is left: none becomes so again, since what comes later is newer.
    fn ending(&self) -> Vec<u128> {
        let left = |entry: &Entry| {
            let in_heads = self
                .partitions
                .iter()
                .any(|partition| entry.stored.erasure.is_older(partition.mark.partition, partition.mark.low));
            in_heads || self.on_disk().any(|file| entry.may_take_of(file))
        };
        let open = self.erasures.entries.iter().filter(|(_, entry)| entry.stored.ended_ns.is_none());
        open.filter(|(_, entry)| !left(entry)).map(|(id, _)| *id).collect()
    }

    /// Tells the files of an environment which erasures may take something of them.
    fn show_erasures(&mut self, environment: &Environment) {
        for file in self.files.of(environment) {
            file.handle.set_erasures(self.erasures.of_file(file));
        }
        // What was added up of them counts what is hidden now.
        self.files.forget_merged(environment);
    }
}

/// Has every file looked at again for every erasure, from the next start on: files may have come back that an
/// erasure had taken something of.
pub(crate) fn look_again(files: &Files) -> Result<(), Error> {
    for entry in Erasures::load(files)?.entries.into_values() {
        let mut stored = StoredErasure::clone(&entry.stored);
        stored.ended_ns = None;
        stored.boundary = Vec::new();
        files.replace(FOLDER, &file_name(stored.erasure.id), &stored.write())?;
    }
    Ok(())
}

impl Inner {
    /// Takes an erasure over from the log.
    pub(crate) fn apply_erasure(&self, record: &DurableRecord, erasure: &Arc<Erasure>) {
        {
            let mut state = self.state();
            let next = state.next_segment;
            let boundary = state
                .partitions
                .iter()
                .map(|partition| SegmentId::new(partition.mark.partition, partition.mark.epoch, next))
                .collect();
            let stored = StoredErasure {
                environment: record.environment.clone(),
                erasure: Erasure::clone(erasure),
                requested_ns: record.append_time_ns,
                boundary,
                ended_ns: None,
            };
            // One that is known was read from its file, with the boundary of its first coming.
            state.erasures.entries.entry(erasure.id).or_insert_with(|| Entry {
                stored: Arc::new(stored),
                is_durable: false,
                clean: BTreeSet::new(),
            });
            state.show_erasures(&record.environment);
            if let Some(partition) = state.partitions.get_mut(usize::from(record.partition.0)) {
                partition.next = Offset(record.offset.0.saturating_add(1));
            }
            state.version += 1;
        }
        self.to_maintain.notify_all();
    }

    /// Writes the files of erasures that have changed. Before the log may be trimmed beyond their records.
    pub(crate) fn persist_erasures(&self) -> Result<(), Error> {
        loop {
            let changed = {
                let state = self.state();
                let changed = state.erasures.entries.values().find(|entry| !entry.is_durable);
                changed.map(|entry| Arc::clone(&entry.stored))
            };
            let Some(stored) = changed else { return Ok(()) };
            self.files.replace(FOLDER, &file_name(stored.erasure.id), &stored.write())?;
            let mut state = self.state();
            if let Some(entry) = state.erasures.entries.get_mut(&stored.erasure.id)
                && Arc::ptr_eq(&entry.stored, &stored)
            {
                entry.is_durable = true;
            }
        }
    }

    /// The rows of a segment that some erasures take, rising.
    pub(crate) fn erased_rows(
        &self,
        erasures: &[Arc<StoredErasure>],
        segment: &Segment,
    ) -> Result<Vec<u32>, Error> {
        erased_rows(self.opener.matcher(), erasures, segment)
    }

    /// A head block as answers may see it.
    pub(crate) fn visible_block(
        &self,
        environment: &Environment,
        partition: Partition,
        block: Arc<SegmentHandle>,
    ) -> Result<Arc<SegmentHandle>, Error> {
        let segment = block.open()?;
        let first = Offset(segment.offset_range().0);
        let erasures = self.state().erasures.of_head(environment, partition, first);
        let rows = self.erased_rows(&erasures, &segment)?;
        if rows.is_empty() {
            return Ok(block);
        }
        Ok(Arc::new(SegmentHandle::loaded(Arc::new(segment.without(Arc::from(rows))))))
    }

    /// Rewrites one file without what erasures take.
    fn erase_in(&self, file: &StoredFile, started: i64) -> Result<(), Error> {
        // Before the erasures are looked at: see `merge_files`.
        let id = self.next_segment_id(file.row.partition);
        let erasures = self.state().erasures.of_file(file);
        let erased = self.erased_rows(&erasures, &*file.handle.open_whole()?)?;
        if erased.is_empty() {
            let mut state = self.state();
            for stored in &erasures {
                if let Some(entry) = state.erasures.entries.get_mut(&stored.erasure.id) {
                    entry.clean.insert(file.row.id.clone());
                }
            }
            file.handle.set_erasures(state.erasures.of_file(file));
            return Ok(());
        }
        self.take_rows_out(id, file, &erased, Work::Erase, started).map(drop)
    }

    /// Ends the erasures that no file and no head holds events of. Returns whether any ended.
    fn end_erasures(&self) -> Result<bool, Error> {
        self.collect_garbage();
        let ending = self.state().ending();
        if !ending.is_empty() && self.footers.has_dead() {
            // Entries of files that are gone still say the names of columns and datasets, and largest numbers.
            let _writing = self.begin_writing()?;
            let handles: Vec<_> = self.state().files.iter().map(|file| Arc::clone(&file.handle)).collect();
            self.footers.rewrite(&handles)?;
        }
        let now_ns = self.clock.now_ns();
        let (ended, forgotten) = {
            let mut state = self.state();
            let mut erasures = std::mem::take(&mut state.erasures);
            let mut ended = false;
            for id in &ending {
                let Some(entry) = erasures.entries.get_mut(id) else { continue };
                Arc::make_mut(&mut entry.stored).ended_ns = Some(now_ns);
                entry.is_durable = false;
                entry.clean.clear();
                ended = true;
            }
            let forgotten = erasures.forgettable();
            forgotten.iter().for_each(|id| drop(erasures.entries.remove(id)));
            state.erasures = erasures;
            (ended, forgotten)
        };
        self.persist_erasures()?;
        for id in forgotten {
            self.files.remove_small(FOLDER, &file_name(id))?;
        }
        Ok(ended)
    }
}
