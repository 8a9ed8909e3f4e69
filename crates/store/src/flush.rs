//! Flush: head to file to catalog to log, in this order (DESIGN.md §3). A crash between two steps leaves a
//! file that does not count, or a log that is longer than it needs to be; never a hole.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use skein_event::ids::{Offset, Partition};

use crate::catalog::{Commit, SegmentId, SegmentRow};
use crate::error::{Error, ErrorKind};
use crate::handle::SegmentHandle;
use crate::head::{self, Encoding, HeadKey};
use crate::seal::BlockPlace;
use crate::segment::{Compression, FlushPart, Order, Segment, Source, merge_watched};
use crate::store::{Inner, Store, StoredFile};
use crate::written::Work;

/// A change whose files are durable and whose commit is next.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) commit: Commit,
    pub(crate) files: Vec<StoredFile>,
    /// Head blocks that the files hold.
    pub(crate) blocks: Vec<(HeadKey, u64)>,
    /// What wrote the files.
    pub(crate) work: Work,
}

/// Blocks of a head that go into one file.
struct Group {
    key: HeadKey,
    numbers: Vec<u64>,
    segments: Vec<Arc<Segment>>,
}

/// A frozen partition: what is in its head now goes into files, what comes later waits for the next flush.
struct Frozen {
    low: Offset,
    new_low: Offset,
    epoch: u64,
    blocks: Vec<(HeadKey, u64, Encoding)>,
}

impl Store {
    /// Flushes the partitions that are due by rows, age or memory. Returns how many were.
    pub fn flush_due(&self) -> Result<usize, Error> {
        let now = self.inner.clock.now_ns();
        let due: Vec<usize> = {
            let state = self.inner.state();
            let config = &self.inner.config;
            let old = |oldest: Option<i64>| {
                oldest.is_some_and(|oldest| now.saturating_sub(oldest) >= config.flush_interval_ns)
            };
            let partitions = state.partitions.iter().enumerate();
            let by_rows_or_age = partitions.filter(|(_, partition)| {
                partition.rows() >= config.segment_rows_max || old(partition.oldest_ns())
            });
            let mut due: Vec<usize> = by_rows_or_age.map(|(number, _)| number).collect();
            if due.is_empty() && state.head_bytes() > config.head_bytes_max {
                let largest = state.partitions.iter().enumerate().max_by_key(|(_, p)| p.bytes());
                due.extend(largest.map(|(number, _)| number));
            }
            due
        };
        for &partition in &due {
            self.flush_partition(Partition(u16::try_from(partition).unwrap_or(u16::MAX)))?;
        }
        Ok(due.len())
    }

    /// Flushes everything that was applied before the call.
    pub fn flush_all(&self) -> Result<(), Error> {
        let partitions = self.inner.state().partitions.len();
        for partition in 0..u16::try_from(partitions).unwrap_or(u16::MAX) {
            self.flush_partition(Partition(partition))?;
        }
        Ok(())
    }

    /// Flushes one partition.
    ///
    /// POST: on `Ok`, everything that was applied before the call is in files that count. On `Err`, all of it
    /// is still in the head, or in files that count; a later call goes on from there.
    pub fn flush_partition(&self, partition: Partition) -> Result<(), Error> {
        let inner = &self.inner;
        let _writing = inner.begin_writing()?;
        let started = inner.clock.now_ns();
        let Some(frozen) = inner.freeze(partition) else { return Ok(()) };
        let oldest = inner.state().partitions[usize::from(partition.0)].oldest_ns();
        // Before low passes the records of erasures in the log, and after it is known up to where it goes.
        let durable = inner.persist_erasures();
        let outcome = durable.and_then(|()| inner.prepare_flush(partition, frozen)).and_then(|prepared| {
            let files = prepared.files.clone();
            inner.settle(prepared).map(|()| files)
        });
        let finished = inner.clock.now_ns();
        match &outcome {
            Ok(files) => {
                for file in files {
                    let freshness = finished.saturating_sub(oldest.unwrap_or(finished));
                    inner.observe("flush", started, finished, &file.row, 1, Some(freshness));
                }
            }
            Err(error) => inner.observe_failure("flush", started, finished, partition, error),
        }
        outcome.map(drop)
    }
}

impl Inner {
    /// Takes the right to commit, and first finds out what became of commits with an unknown outcome.
    pub(crate) fn begin_writing(&self) -> Result<MutexGuard<'_, ()>, Error> {
        self.set_failed_aside();
        let guard = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.fenced.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Fenced, "another writer has taken over this data directory"));
        }
        let unsettled = std::mem::take(&mut self.state().unsettled);
        let mut outcome = Ok(());
        for prepared in unsettled {
            if outcome.is_ok() {
                outcome = self.resolve(prepared);
            } else {
                self.state().unsettled.push(prepared);
            }
        }
        outcome.map(|()| guard)
    }

    /// Closes the blocks of a partition. `None` when nothing came since the last flush.
    fn freeze(&self, partition: Partition) -> Option<Frozen> {
        let mut state = self.state();
        let state = state.partitions.get_mut(usize::from(partition.0))?;
        if state.next <= state.mark.low {
            return None;
        }
        let mut blocks = Vec::new();
        for (key, head) in &mut state.heads {
            for block in &mut head.blocks {
                block.close();
                blocks.push((key.clone(), block.number, block.encoding()));
            }
        }
        Some(Frozen { low: state.mark.low, new_low: state.next, epoch: state.mark.epoch, blocks })
    }

    /// Writes the files of a flush.
    fn prepare_flush(&self, partition: Partition, frozen: Frozen) -> Result<Prepared, Error> {
        let mut blocks = Vec::new();
        let mut encoded: BTreeMap<HeadKey, Vec<(u64, Arc<Segment>)>> = BTreeMap::new();
        for (key, number, encoding) in frozen.blocks {
            let segment = match encoding {
                Encoding::Done(segment) => segment.open()?,
                Encoding::Needed(wanted) => {
                    let place = BlockPlace { partition, key: key.clone(), number };
                    match self.encode_block(&place, &wanted)? {
                        Some(segment) => segment.open()?,
                        None => {
                            blocks.push((key, number));
                            continue;
                        }
                    }
                }
            };
            blocks.push((key.clone(), number));
            encoded.entry(key).or_default().push((number, segment));
        }
        let groups: Vec<Group> =
            encoded.into_iter().flat_map(|(key, blocks)| self.group(&key, blocks)).collect();
        // Named before the erasures are looked at: one that comes later finds these files to be among those
        // it has to look at.
        let mut named = Vec::new();
        for group in groups {
            debug_assert!(!group.numbers.is_empty());
            let id = self.next_segment_id(partition);
            let live = self.live_blocks(&group.key.environment, partition, &group.segments)?;
            if !live.is_empty() {
                named.push((id, group.key, live));
            }
        }
        let parts = u32::try_from(named.len()).unwrap_or(u32::MAX);
        let mut files = Vec::new();
        for (part, (id, key, live)) in (0_u32..).zip(named) {
            let mut target = head::target(self.config.hash_key, partition, &key, Compression::Zstd);
            target.flush = FlushPart { low: frozen.low.0, new_low: frozen.new_low.0, part, parts };
            let sources: Vec<Source<'_>> = live.iter().map(|segment| Source::Segment(segment)).collect();
            let mut held = self.merging.begin();
            let mut note = |bytes| {
                held.note(bytes);
                Ok(())
            };
            let bytes = merge_watched(&sources, &target, Order::Log, &mut note)?;
            files.push(self.write_segment(id, &key, partition, &bytes)?);
        }
        let commit = Commit {
            partition,
            epoch: frozen.epoch,
            expected_low: frozen.low,
            new_low: frozen.new_low,
            applied: Vec::new(),
            add: files.iter().map(|file| file.row.clone()).collect(),
            remove: Vec::new(),
            imports: self.imports().changed(partition),
        };
        Ok(Prepared { commit, files, blocks, work: Work::Flush })
    }

    /// Cuts the blocks of a head into files of at most about a million rows.
    fn group(&self, key: &HeadKey, blocks: Vec<(u64, Arc<Segment>)>) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut rows = 0;
        for (number, segment) in blocks {
            let block_rows = segment.rows() as usize;
            if groups.is_empty() || rows + block_rows > self.config.segment_rows_max {
                groups.push(Group { key: key.clone(), numbers: Vec::new(), segments: Vec::new() });
                rows = 0;
            }
            rows += block_rows;
            if let Some(group) = groups.last_mut() {
                group.numbers.push(number);
                group.segments.push(segment);
            }
        }
        groups
    }

    /// Writes a segment under a name of its own, and summarises it.
    ///
    /// POST: the file is closed, since its pages would count as memory of the process: it is opened by the first
    /// question that needs it.
    pub(crate) fn write_segment(
        &self,
        id: SegmentId,
        key: &HeadKey,
        partition: Partition,
        bytes: &[u8],
    ) -> Result<StoredFile, Error> {
        let path: PathBuf = self.files.path(&key.environment, key.day, &id);
        self.files.write(&path, &id, bytes)?;
        let segment = self.files.open(&path)?;
        let row = SegmentRow {
            id,
            environment: key.environment.clone(),
            partition,
            day: key.day,
            rows: u64::from(segment.rows()),
            bytes: segment.byte_len(),
            time_range: segment.time_range(),
            ingest_range: segment.ingest_range(),
            offset_range: segment.offset_range(),
        };
        let handle = Arc::new(SegmentHandle::file(row.clone(), Arc::clone(&self.opener)));
        // What is known about a segment is derived: a flush does not fail for want of it.
        handle.summarize_from(&segment).ok();
        Ok(StoredFile { row, handle })
    }

    /// Commits what was prepared, and shows it.
    pub(crate) fn settle(&self, prepared: Prepared) -> Result<(), Error> {
        match self.catalog.commit(&prepared.commit) {
            Ok(()) => {
                self.install(prepared);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Fenced => {
                // The files stay: they are orphans, which the one who took over removes.
                self.fenced.store(true, Ordering::Release);
                Err(error)
            }
            Err(error) => {
                match self.happened(&prepared.commit) {
                    Some(Ok(true)) => {
                        self.install(prepared);
                        Ok(())
                    }
                    Some(Ok(false)) => {
                        self.discard(&prepared);
                        Err(error)
                    }
                    Some(Err(_)) => {
                        self.state().unsettled.push(prepared);
                        Err(error)
                    }
                    // A commit without files may simply be tried again: it only moves low.
                    None => Err(error),
                }
            }
        }
    }

    /// Finds out what became of a commit.
    fn resolve(&self, prepared: Prepared) -> Result<(), Error> {
        match self.happened(&prepared.commit).unwrap_or(Ok(false)) {
            Ok(true) => self.install(prepared),
            Ok(false) => self.discard(&prepared),
            Err(error) => {
                self.state().unsettled.push(prepared);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether a commit happened: its first new segment counts, or its first old one no longer does. `None` for
    /// one that changes no segment.
    fn happened(&self, commit: &Commit) -> Option<Result<bool, Error>> {
        match (commit.add.first(), commit.remove.first()) {
            (Some(row), _) => Some(self.catalog.has_segment(&row.id)),
            (None, Some(id)) => Some(self.catalog.has_segment(id).map(|counts| !counts)),
            (None, None) => None,
        }
    }

    /// Removes the files of a commit that did not happen. What cannot be removed is an orphan.
    fn discard(&self, prepared: &Prepared) {
        for file in &prepared.files {
            self.files.remove(&self.opener.path(&file.row)).ok();
        }
    }

    /// Shows a commit in snapshots from now on, and lets the log be trimmed.
    fn install(&self, prepared: Prepared) {
        let partition = prepared.commit.partition;
        self.keep_summaries(&prepared);
        {
            let mut state = self.state();
            for file in &prepared.files {
                state.written.add(&file.row.environment, prepared.work, file.row.rows, file.row.bytes);
                // An erasure that was applied while the file was written.
                file.handle.set_erasures(state.erasures.of_file(file));
            }
            let removed = state.files.replace(&prepared.commit.remove, prepared.files);
            state.retired.extend(removed);
            state.version += 1;
            if let Some(partition) = state.partitions.get_mut(usize::from(partition.0)) {
                for (key, number) in &prepared.blocks {
                    if let Some(head) = partition.heads.get_mut(key) {
                        head.blocks.retain(|block| block.number != *number);
                    }
                }
                partition.heads.retain(|_, head| !head.blocks.is_empty());
                partition.mark.low = prepared.commit.new_low;
                partition.mark.applied.clone_from(&prepared.commit.applied);
            }
        }
        self.imports().committed(&prepared.commit.imports);
        self.room.notify_all();
        self.to_maintain.notify_all();
        let trim = self.trim.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(trim) = trim {
            trim(partition, prepared.commit.new_low);
        }
        self.collect_garbage();
    }

    /// Removes retired files that no snapshot reads any more.
    pub(crate) fn collect_garbage(&self) {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let alone = readers.as_ref().map(|readers| readers.keep_out());
        if matches!(alone, Some(None)) {
            // Somebody verifies or backs up: what is retired waits.
            return;
        }
        let mut state = self.state();
        let retired = std::mem::take(&mut state.retired);
        let (free, leased): (Vec<_>, Vec<_>) =
            retired.into_iter().partition(|file| Arc::strong_count(&file.handle) == 1);
        state.retired = leased;
        drop(state);
        for file in free {
            // What cannot be removed is an orphan, and found at the next start.
            self.files.remove(&self.opener.path(&file.row)).ok();
        }
    }
}
