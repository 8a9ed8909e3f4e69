//! Compaction: small files of one environment, partition and day become one, clustered by (dataset, time).
//! `tiers` says which and when; rows, bytes and text bound the memory of one merge, `pace` its share of the
//! processor.
//!
//! A merge holds no lock but the one that keeps maintenance to itself: flushes go on while it works. It commits
//! by compare-and-set like a flush, and only when every file that it read still counts.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use skein_event::ids::Partition;
use skein_event::limits::{
    COMPACTION_ALONE_ROWS_MIN, COMPACTION_BYTES_MAX, COMPACTION_TEXT_BYTES_MAX, UNPACKED_ALONE_BYTES_MAX,
};

use crate::catalog::{Commit, SegmentId};
use crate::error::{Error, ErrorKind};
use crate::flush::Prepared;
use crate::head::{self, HeadKey};
use crate::pace::{Cost, Pace};
use crate::segment::{Compression, FlushPart, Order, Segment, Source, UnpackedCache, VERSION, merge_watched};
use crate::store::{Inner, Store, StoredFile};
use crate::tiers::{self, Bounds, Candidate, Group};
use crate::written::Work;

/// Which windows of arrival have closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closing {
    /// Those that have ended, and whose events are in files.
    Ended,
    /// All: whoever settles a store does not wait for the end of the day.
    All,
}

/// Files of one environment, partition and day.
type Shelf = (HeadKey, Partition);

/// Files that are merged into one.
struct Chosen {
    key: HeadKey,
    partition: Partition,
    files: Vec<StoredFile>,
    tier: usize,
}

/// A merged file on its way to its commit.
pub(crate) struct Rewritten {
    pub(crate) partition: Partition,
    pub(crate) inputs: Vec<StoredFile>,
    /// `None` when nothing of the inputs is left.
    pub(crate) output: Option<StoredFile>,
    pub(crate) work: Work,
}

impl Store {
    /// Merges one group of small files, if one is due. Returns whether there was.
    ///
    /// POST: every event is in exactly one segment that counts, before, during and after.
    pub fn compact(&self) -> Result<bool, Error> {
        self.compact_as(Closing::Ended)
    }

    /// As [`Store::compact`]; `closing` says which windows count as closed.
    pub fn compact_as(&self, closing: Closing) -> Result<bool, Error> {
        let inner = &self.inner;
        let _maintaining = inner.begin_maintenance();
        let Some(chosen) = inner.choose(closing) else { return Ok(false) };
        let started = inner.clock.now_ns();
        let outcome = inner.merge_files(&chosen);
        let finished = inner.clock.now_ns();
        match &outcome {
            Ok(Some((file, cost))) => {
                inner.observe_rewrite(Work::Compaction, (started, finished), *cost, file, &chosen.files);
            }
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::Stopping => {}
            Err(error) => {
                inner.observe_failure("compaction", started, finished, chosen.partition, error);
                inner.after_failed_rewrite(&chosen.files, error);
            }
        }
        // Until here its inputs were held: whoever measures the files after it should not find them.
        drop(chosen);
        inner.collect_garbage();
        outcome.map(|_| true)
    }

    /// Files that a merge is due for now: none when everything has settled.
    pub fn files_due(&self) -> usize {
        self.inner.due(Closing::Ended).iter().map(|(_, group)| group.members.len()).sum()
    }
}

impl Inner {
    /// Takes the right to replace files: compaction, retention and erasure follow one another.
    pub(crate) fn begin_maintenance(&self) -> MutexGuard<'_, ()> {
        self.maintaining.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every merge that is due, with the files it names by their place in the shelf's list.
    fn due(&self, closing: Closing) -> Vec<((Shelf, Vec<StoredFile>), Group)> {
        let bounds = Bounds {
            rows_max: self.config.segment_rows_max as u64,
            bytes_max: COMPACTION_BYTES_MAX,
            files_max: self.config.compaction_files_max,
            alone_rows_min: COMPACTION_ALONE_ROWS_MIN,
        };
        let now_ns = self.clock.now_ns();
        let mut shelves: BTreeMap<Shelf, Vec<StoredFile>> = BTreeMap::new();
        let mut closed: Vec<i64> = Vec::new();
        let passed = {
            let state = self.state();
            for partition in &state.partitions {
                // What is still in the head arrived in a window that has not closed.
                closed.push(partition.oldest_ns().unwrap_or(now_ns).min(now_ns));
            }
            for file in state.files.iter() {
                let row = &file.row;
                let key = HeadKey { environment: row.environment.clone(), day: row.day };
                shelves.entry((key, row.partition)).or_default().push(file.clone());
            }
            state.tiers_passed.clone()
        };
        let mut due = Vec::new();
        for (shelf, files) in shelves {
            let closed_ns = match closing {
                Closing::All => i64::MAX,
                Closing::Ended => closed.get(usize::from(shelf.1.0)).copied().unwrap_or(i64::MIN),
            };
            let candidate = |(place, file): (usize, &StoredFile)| Candidate {
                place,
                rows: file.row.rows,
                bytes: file.row.bytes,
                ingest_min_ns: file.row.ingest_range.0,
                first_offset: file.row.offset_range.0,
                tiers_passed: passed.get(&file.row.id).copied().unwrap_or(0),
            };
            let candidates: Vec<Candidate> = files.iter().enumerate().map(candidate).collect();
            let groups = tiers::plan(&candidates, &self.config.compaction_tiers_ns, bounds, closed_ns);
            due.extend(groups.into_iter().map(|group| ((shelf.clone(), files.clone()), group)));
        }
        let files: usize = due.iter().map(|(_, group)| group.members.len()).sum();
        self.activity.files_due.store(files as u64, Ordering::Relaxed);
        due
    }

    /// The merge that takes most files away.
    fn choose(&self, closing: Closing) -> Option<Chosen> {
        let due = self.due(closing);
        // Of equal ones the first: the order of the shelves is always the same.
        let ((shelf, files), group) = due.into_iter().rev().max_by_key(|(_, group)| group.members.len())?;
        let files = group.members.iter().filter_map(|&place| files.get(place).cloned()).collect();
        Some(Chosen { key: shelf.0, partition: shelf.1, files, tier: group.tier })
    }

    fn merge_files(&self, chosen: &Chosen) -> Result<Option<(StoredFile, Cost)>, Error> {
        // Before anything is read: an erasure that comes later finds the new file to be one of those it has
        // to look at.
        let id = self.next_segment_id(chosen.partition);
        let mut open = Vec::new();
        let mut text_bytes = 0_u64;
        for file in &chosen.files {
            let segment = file.handle.open_whole()?;
            text_bytes = text_bytes.saturating_add(segment.text_bytes()?);
            if text_bytes > COMPACTION_TEXT_BYTES_MAX && !open.is_empty() {
                break;
            }
            open.push(segment);
        }
        // What did not fit is merged next. One that fits with no other stays as it is, unless it was chosen to be
        // clustered; after a start nobody knows whether it is, but what has replaced others was.
        let inputs = &chosen.files[..open.len()];
        let is_alone = chosen.files.len() == 1;
        let is_clustered = |segment: &Arc<Segment>| segment.replaces().next().is_some();
        let rows: u64 = inputs.iter().map(|file| file.row.rows).sum();
        let stays = chosen.tier + 1 >= self.config.compaction_tiers_ns.len()
            || rows.saturating_mul(2) > self.config.segment_rows_max as u64;
        // A file of an older version is left to whoever asks for it.
        let is_old = |segment: &Segment| segment.format_version() < VERSION;
        let is_done = |segment: &Arc<Segment>| {
            is_clustered(segment) && (!stays || segment.is_cold() || is_old(segment))
        };
        if inputs.len() < 2 && (!is_alone || open.iter().all(is_done)) {
            self.pass_tier(inputs.iter().map(|file| &file.row.id), chosen.tier + 1);
            return Ok(None);
        }
        let mut pace = Pace::new(self);
        let live = self.live_sources(inputs, &open)?;
        let compression = if stays { Compression::Cold } else { Compression::Zstd };
        let output =
            self.write_merged(&id, (chosen.partition, &chosen.key), inputs, &live, compression, &mut pace)?;
        let cost = pace.cost();
        let rewritten = Rewritten {
            partition: chosen.partition,
            inputs: inputs.to_vec(),
            output: output.clone(),
            work: Work::Compaction,
        };
        self.commit_rewritten(rewritten)?;
        self.pass_tier(output.iter().map(|file| &file.row.id), chosen.tier + 1);
        Ok(output.map(|file| (file, cost)))
    }

    /// Writes what is left of some files into one, clustered. `None` when nothing is.
    pub(crate) fn write_merged(
        &self,
        id: &SegmentId,
        (partition, key): (Partition, &HeadKey),
        inputs: &[StoredFile],
        live: &[Arc<Segment>],
        compression: Compression,
        pace: &mut Pace<'_>,
    ) -> Result<Option<StoredFile>, Error> {
        let mut target = head::target(self.config.hash_key, partition, key, compression);
        target.replaces = inputs.iter().map(|file| file.row.id.to_string()).collect();
        let mark = self.mark(partition);
        target.flush = FlushPart { low: mark.low.0, new_low: mark.low.0, part: 0, parts: 1 };
        // A merge reads each part once: what it unpacks is not what questions ask for.
        let unpacked = Arc::new(UnpackedCache::new(UNPACKED_ALONE_BYTES_MAX));
        let aside: Vec<Segment> = live
            .iter()
            .filter(|segment| segment.rows() > 0)
            .map(|segment| segment.aside(&unpacked))
            .collect();
        let sources: Vec<Source<'_>> = aside.iter().map(Source::Segment).collect();
        if sources.is_empty() {
            return Ok(None);
        }
        let mut pause = |bytes| {
            pace.held.note(bytes);
            pace.pause()
        };
        let bytes = merge_watched(&sources, &target, Order::Clustered, &mut pause)?;
        self.write_segment(id.clone(), key, partition, &bytes).map(Some)
    }

    /// Commits what replaces some files, when all of them still count.
    ///
    /// POST: on `Ok`, the change is durable and visible. With `NotFound` nothing has changed, and what was
    /// written is removed: a file was set aside meanwhile.
    pub(crate) fn commit_rewritten(&self, rewritten: Rewritten) -> Result<(), Error> {
        let Rewritten { partition, inputs, output, work } = rewritten;
        let _writing = self.begin_writing()?;
        // Whoever compares the log with the segments must know why something is gone.
        self.persist_erasures()?;
        let still_counts = {
            let state = self.state();
            inputs.iter().all(|file| state.files.contains(&file.row.id))
        };
        if !still_counts {
            if let Some(file) = &output {
                self.files.remove(&self.opener.path(&file.row)).ok();
            }
            return Err(Error::new(
                ErrorKind::NotFound,
                "a file that was rewritten has been set aside meanwhile",
            ));
        }
        let add = output.iter().map(|file| file.row.clone()).collect();
        let remove = inputs.iter().map(|file| file.row.id.clone()).collect();
        let commit = Commit::exchange(&self.mark(partition), add, remove);
        self.settle(Prepared { commit, files: output.into_iter().collect(), blocks: Vec::new(), work })
    }

    /// Notes that files have passed tiers, and forgets files that no longer count.
    pub(crate) fn pass_tier<'a>(&self, ids: impl Iterator<Item = &'a SegmentId>, tiers: usize) {
        let mut state = self.state();
        for id in ids {
            state.tiers_passed.insert(id.clone(), tiers);
        }
        let mut passed = std::mem::take(&mut state.tiers_passed);
        passed.retain(|id, _| state.files.contains(id));
        state.tiers_passed = passed;
    }

    /// Sets damaged files aside. Files that cannot be merged for another reason that will not go away are left
    /// as they are: they serve, and trying again would take the share of those that can.
    pub(crate) fn after_failed_rewrite(&self, files: &[StoredFile], error: &Error) {
        match error.kind() {
            ErrorKind::Damaged => {
                self.set_aside_damaged(files);
                // Damage that shows only in a merge must not stop all others.
                self.pass_tier(files.iter().map(|file| &file.row.id), usize::MAX);
            }
            ErrorKind::TooLarge | ErrorKind::Unsupported => {
                self.pass_tier(files.iter().map(|file| &file.row.id), usize::MAX);
            }
            _ => {}
        }
    }

    /// Finds the damaged ones among some files and sets them aside.
    fn set_aside_damaged(&self, files: &[StoredFile]) {
        for file in files {
            if let Err(error) = file.handle.open_whole().and_then(|segment| segment.verify())
                && error.kind() == ErrorKind::Damaged
            {
                file.handle.report(&error);
            }
        }
        self.set_failed_aside();
    }
}
