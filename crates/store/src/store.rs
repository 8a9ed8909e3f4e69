//! The store: takes durable records over, and serves snapshots.
//!
//! It follows the log (`follow`): a record is in the head before it is acknowledged, so that what is
//! acknowledged is part of every snapshot taken from then on (I2). Flush and compaction are in `flush` and
//! `compaction`; opening and what it finds in `recovery`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use skein_event::flow::{Decider, KeepAll};
use skein_event::ids::{Offset, Partition};
use skein_event::observe::{Clock, Observer};

use crate::catalog::{Catalog, PartitionMark, SegmentId, SegmentRow};
use crate::config::{StoreConfig, Surroundings};
use crate::erasures::Erasures;
use crate::file_table::FileTable;
use crate::files::Files;
use crate::flush::Prepared;
use crate::footers::Footers;
use crate::handle::SegmentHandle;
use crate::head::{Block, Head, HeadKey};
use crate::imports::Imports;
use crate::lease::Readers;
use crate::memory::Merging;
use crate::opener::Opener;
use crate::pace::Activity;
use crate::recovery::Finding;
use crate::retention::Horizons;
use crate::taken::RowMatcher;
use crate::written::Written;

/// Called after a commit: records of the partition below the offset are in segments.
pub type TrimLog = Arc<dyn Fn(Partition, Offset) + Send + Sync>;

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: StoreConfig,
    pub(crate) files: Arc<Files>,
    pub(crate) opener: Arc<Opener>,
    pub(crate) footers: Footers,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) decider: Mutex<Box<dyn Decider>>,
    state: Mutex<State>,
    imports: Mutex<Imports>,
    pub(crate) trim: Mutex<Option<TrimLog>>,
    /// Readers of other processes; none in a simulation.
    pub(crate) readers: Mutex<Option<Arc<Readers>>>,
    /// Held by whoever flushes or compacts: commits of a partition follow one another.
    pub(crate) writing: Mutex<()>,
    /// Held by whoever replaces files: compaction, retention and erasure follow one another.
    pub(crate) maintaining: Mutex<()>,
    /// What others do, for whoever should not be in their way.
    pub(crate) activity: Activity,
    pub(crate) merging: Merging,
    /// Another writer has taken over.
    pub(crate) fenced: AtomicBool,
    /// There may be blocks to seal.
    pub(crate) to_seal: Condvar,
    /// The heads are full.
    pub(crate) to_flush: Condvar,
    /// There may be files to replace, or the store stops.
    pub(crate) to_maintain: Condvar,
    /// There may be room in the head.
    pub(crate) room: Condvar,
}

/// Everything that changes.
pub(crate) struct State {
    pub(crate) partitions: Vec<PartitionState>,
    /// Files that count.
    pub(crate) files: FileTable,
    /// Files that no longer count and that a snapshot may still read.
    pub(crate) retired: Vec<StoredFile>,
    /// Flushes and compactions whose commit has an unknown outcome.
    pub(crate) unsettled: Vec<Prepared>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) erasures: Erasures,
    /// How many tiers of compaction a file has passed.
    pub(crate) tiers_passed: BTreeMap<SegmentId, usize>,
    pub(crate) written: Written,
    pub(crate) horizons: Horizons,
    /// Rises with every change that a snapshot would show.
    pub(crate) version: u64,
    pub(crate) next_block: u64,
    pub(crate) next_segment: u64,
    /// Whether background threads run; without them nothing waits for room.
    pub(crate) running: bool,
    pub(crate) stopping: bool,
    /// Somebody asked for everything to be merged, whatever its window.
    pub(crate) settling: bool,
    /// When nothing more was found that has expired.
    pub(crate) retained_ns: i64,
}

pub(crate) struct PartitionState {
    pub(crate) mark: PartitionMark,
    /// The offset after the last one applied.
    pub(crate) next: Offset,
    pub(crate) heads: BTreeMap<HeadKey, Head>,
}

/// A file that counts.
#[derive(Clone, Debug)]
pub(crate) struct StoredFile {
    pub(crate) row: SegmentRow,
    /// Opens it; who holds it keeps the file.
    pub(crate) handle: Arc<SegmentHandle>,
}

impl PartitionState {
    pub(crate) fn holds(&self, offset: Offset) -> bool {
        let Some(ahead) = offset.0.checked_sub(self.mark.low.0) else { return true };
        let bit = usize::try_from(ahead).unwrap_or(usize::MAX);
        offset < self.next || self.mark.applied.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    }

    pub(crate) fn rows(&self) -> usize {
        self.heads.values().map(Head::rows).sum()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.heads.values().map(Head::bytes).sum()
    }

    /// When its oldest event in the head was appended.
    pub(crate) fn oldest_ns(&self) -> Option<i64> {
        let blocks = self.heads.values().flat_map(|head| &head.blocks);
        blocks.map(|block| block.first_append_ns()).min()
    }
}

impl State {
    pub(crate) fn head_bytes(&self) -> usize {
        self.partitions.iter().map(PartitionState::bytes).sum()
    }

    /// Those of them that are not encoded yet.
    pub(crate) fn batch_bytes(&self) -> usize {
        let heads = self.partitions.iter().flat_map(|partition| partition.heads.values());
        heads.flat_map(|head| &head.blocks).map(Block::batch_bytes).sum()
    }
}

impl Store {
    pub(crate) fn new(
        config: StoreConfig,
        surroundings: Surroundings,
        (opener, footers): (Arc<Opener>, Footers),
        state: State,
        imports: Imports,
    ) -> Store {
        Store {
            inner: Arc::new(Inner {
                config,
                files: opener.files(),
                opener,
                footers,
                catalog: surroundings.catalog,
                clock: surroundings.clock,
                observer: surroundings.observer,
                decider: Mutex::new(Box::new(KeepAll)),
                state: Mutex::new(state),
                imports: Mutex::new(imports),
                trim: Mutex::new(None),
                readers: Mutex::new(None),
                writing: Mutex::new(()),
                maintaining: Mutex::new(()),
                activity: Activity::default(),
                merging: Merging::default(),
                fenced: AtomicBool::new(false),
                to_seal: Condvar::new(),
                to_flush: Condvar::new(),
                to_maintain: Condvar::new(),
                room: Condvar::new(),
            }),
        }
    }

    /// The first offset of each partition that the log must replay.
    pub fn watermarks(&self) -> Vec<(Partition, Offset)> {
        let state = self.inner.state();
        state.partitions.iter().map(|partition| (partition.mark.partition, partition.mark.low)).collect()
    }

    /// Has the log trimmed from now on, beginning with what is committed already.
    pub fn attach_log(&self, trim: TrimLog) {
        for (partition, low) in self.watermarks() {
            trim(partition, low);
        }
        *self.inner.trim.lock().unwrap_or_else(PoisonError::into_inner) = Some(trim);
    }

    /// From now on no file is deleted while a reader of another process has a lease.
    pub fn attach_readers(&self, readers: Arc<Readers>) {
        *self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner) = Some(readers);
    }

    /// Has the filters of erasures evaluated by somebody who can read them. Without, a snapshot of an
    /// environment with an erasure is refused.
    pub fn attach_matcher(&self, matcher: Arc<dyn RowMatcher>) {
        self.inner.opener.set_matcher(matcher);
    }

    /// What was written to segment files since the store was opened.
    pub fn written(&self) -> Written {
        self.inner.state().written.clone()
    }

    /// What opening found, and what was found since: files set aside, rows without a file.
    pub fn findings(&self) -> Vec<Finding> {
        self.inner.set_failed_aside();
        self.inner.state().findings.clone()
    }

    /// Closes files that nobody has touched for long.
    pub fn close_idle_files(&self) {
        self.inner.opener.close_untouched(self.inner.clock.now_ns());
    }

    /// Segment files that are open: at most [`StoreConfig::open_segments_max`], but for those that are read at this
    /// moment.
    pub fn open_files(&self) -> usize {
        self.inner.opener.open_files()
    }

    /// Whether another writer has taken over: nothing is flushed any more, and the process should end.
    pub fn is_fenced(&self) -> bool {
        self.inner.fenced.load(Ordering::Acquire)
    }
}

impl Inner {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a partition's commits stand.
    pub(crate) fn mark(&self, partition: Partition) -> PartitionMark {
        self.state().partitions[usize::from(partition.0)].mark.clone()
    }

    /// The name of a partition's next segment.
    pub(crate) fn next_segment_id(&self, partition: Partition) -> SegmentId {
        let mut state = self.state();
        state.next_segment += 1;
        SegmentId::new(partition, state.partitions[usize::from(partition.0)].mark.epoch, state.next_segment)
    }

    pub(crate) fn imports(&self) -> MutexGuard<'_, Imports> {
        self.imports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the heads are too large and somebody works on it.
    pub(crate) fn wait_for_room(&self) {
        let mut state = self.state();
        while state.running && !state.stopping && state.head_bytes() > self.config.head_bytes_hard_max {
            self.to_flush.notify_all();
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
