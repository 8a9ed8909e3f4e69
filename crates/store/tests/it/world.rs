//! A store with everything around it under the test's hand: a disk that records and fails on demand, a clock
//! that stands still, a log that can be replayed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use skein_event::EventBatch;
use skein_event::flow::{BatchKey, Erasure};
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::observe::{Clock, Observation, Observer};
use skein_log::disk::{DirectoryEntry, Disk, DiskFile, RealDisk, Space};
use skein_log::{DurableRecord, Follower as _, Replayed, Replayer as _};
use skein_store::catalog::{
    Catalog, Commit, Content, ImportLines, MemoryCatalog, PartitionMark, SegmentId, SegmentRow,
};
use skein_store::segment::Segment;
use skein_store::{
    Error, FileAccess, MatchFailure, ReleaseMemory, Retention, RowMatcher, Snapshot, Store, StoreConfig,
    Surroundings,
};

use crate::model::{KEY, rows_of};

pub(crate) const START_NS: i64 = 1_700_000_000_000_000_000;

/// How often any store's thread has given memory back.
pub(crate) static RELEASED: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn pass(&self, nanoseconds: i64) {
        self.0.fetch_add(nanoseconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now_ns(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What was done to the disk, to the catalog and to the log, in order. After `fail_from` more steps, each
/// step fails.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Mutex<Vec<String>>,
    fail_from: Mutex<Option<usize>>,
}

impl Steps {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.done.lock().expect("steps"))
    }

    pub(crate) fn fail_after(&self, steps: Option<usize>) {
        let done = self.done.lock().expect("steps").len();
        *self.fail_from.lock().expect("steps") = steps.map(|steps| done + steps);
    }

    fn step(&self, what: &str, path: &Path) -> io::Result<()> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut done = self.done.lock().expect("steps");
        let fails = self.fail_from.lock().expect("steps").is_some_and(|from| done.len() >= from);
        done.push(if fails { format!("FAILED {what} {name}") } else { format!("{what} {name}") });
        if fails { Err(io::Error::other("injected")) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct RecordingDisk(Arc<Steps>);

#[derive(Debug)]
struct RecordingFile(Arc<Steps>, PathBuf, Arc<dyn DiskFile>);

impl Disk for RecordingDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.step("create", path)?;
        Ok(Arc::new(RecordingFile(Arc::clone(&self.0), path.to_owned(), RealDisk.create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealDisk.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.step("rename", to)?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.step("remove", path)?;
        RealDisk.remove(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.step("sync_dir", path)?;
        RealDisk.sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        RealDisk.list(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        RealDisk.space(path)
    }
}

impl DiskFile for RecordingFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.step("write", &self.1)?;
        self.2.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.2.read_at(offset, buffer)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.step("sync_data", &self.1)?;
        self.2.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.2.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.2.set_len(len)
    }

    fn preallocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.2.preallocate(offset, len)
    }
}

/// A catalog that records its commits, and can lose the answer to one.
pub(crate) struct RecordingCatalog {
    steps: Arc<Steps>,
    pub(crate) inner: Arc<dyn Catalog>,
    /// The next commit happens, but its caller and whoever asks about it hear of a failure.
    pub(crate) silent: Mutex<u32>,
}

impl RecordingCatalog {
    fn silenced(&self) -> bool {
        let mut silent = self.silent.lock().expect("silent");
        let is_silent = *silent > 0;
        *silent = silent.saturating_sub(1);
        is_silent
    }

    fn lost() -> Error {
        // Any error of the kind Catalog; the store has no public way to make one.
        let path = Path::new("/dev/null/catalog.sqlite");
        skein_store::catalog::SqliteCatalog::open(path).expect_err("cannot be opened")
    }
}

impl Catalog for RecordingCatalog {
    fn partitions(&self) -> Result<Vec<PartitionMark>, Error> {
        self.inner.partitions()
    }

    fn take_over(&self, partitions: u16) -> Result<Vec<PartitionMark>, Error> {
        self.inner.take_over(partitions)
    }

    fn segments(&self) -> Result<Vec<SegmentRow>, Error> {
        self.inner.segments()
    }

    fn imports(&self) -> Result<Vec<ImportLines>, Error> {
        self.inner.imports()
    }

    fn content(&self) -> Result<Content, Error> {
        self.inner.content()
    }

    fn has_segment(&self, id: &SegmentId) -> Result<bool, Error> {
        if self.silenced() { Err(RecordingCatalog::lost()) } else { self.inner.has_segment(id) }
    }

    fn commit(&self, commit: &Commit) -> Result<(), Error> {
        if self.steps.step("commit", Path::new("catalog")).is_err() {
            return Err(RecordingCatalog::lost());
        }
        self.inner.commit(commit)?;
        if self.silenced() { Err(RecordingCatalog::lost()) } else { Ok(()) }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Observed(pub(crate) Mutex<Vec<Observation>>);

impl Observer for Observed {
    fn observe(&self, observation: Observation) {
        self.0.lock().expect("observed").push(observation);
    }
}

/// A store, what is around it, and the log it can be replayed from.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) steps: Arc<Steps>,
    pub(crate) catalog: Arc<RecordingCatalog>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) observed: Arc<Observed>,
    pub(crate) log: Vec<DurableRecord>,
    pub(crate) partitions: u16,
    pub(crate) rows_max: usize,
    pub(crate) open_max: usize,
    pub(crate) replay_max: usize,
    pub(crate) retention: Retention,
    /// The erasures in the log, with whose they are.
    pub(crate) erased: Vec<(Environment, Arc<Erasure>)>,
    /// Whether filters of erasures can be evaluated.
    pub(crate) can_match: bool,
}

/// A filter is a text; it matches the events whose text holds it.
pub(crate) struct TextMatcher;

impl RowMatcher for TextMatcher {
    fn matches(&self, filter: &str, segment: &Segment) -> Result<Vec<u32>, MatchFailure> {
        let gathered = segment.gather(&segment.all_rows()).map_err(MatchFailure::Segment)?;
        let rows = segment.all_rows().into_iter().zip(rows_of(&gathered.batch));
        Ok(rows.filter(|(_, text)| text.contains(filter)).map(|(row, _)| row).collect())
    }
}

impl World {
    pub(crate) fn new() -> World {
        let steps = Arc::new(Steps::default());
        let inner = Arc::new(MemoryCatalog::default());
        World {
            folder: tempfile::tempdir().expect("a folder"),
            catalog: Arc::new(RecordingCatalog { steps: Arc::clone(&steps), inner, silent: Mutex::new(0) }),
            steps,
            clock: Arc::new(TestClock(AtomicI64::new(START_NS))),
            observed: Arc::default(),
            log: Vec::new(),
            partitions: 2,
            rows_max: 1 << 20,
            open_max: 8,
            replay_max: 1 << 30,
            retention: Retention::default(),
            erased: Vec::new(),
            can_match: true,
        }
    }

    pub(crate) fn try_open(&self) -> Result<Store, Error> {
        let mut config = StoreConfig::new(self.folder.path().to_owned(), self.partitions, KEY);
        config.access = FileAccess::Read;
        config.segment_rows_max = self.rows_max;
        config.open_segments_max = self.open_max;
        config.replay_batch_bytes_max = self.replay_max;
        config.release_memory = ReleaseMemory(|| {
            RELEASED.fetch_add(1, Ordering::SeqCst);
        });
        config.retention = self.retention.clone();
        let surroundings = Surroundings {
            disk: Arc::new(RecordingDisk(Arc::clone(&self.steps))),
            catalog: Arc::clone(&self.catalog) as Arc<dyn Catalog>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            observer: Arc::clone(&self.observed) as Arc<dyn Observer>,
        };
        let store = Store::open(config, surroundings)?;
        if self.can_match {
            store.attach_matcher(Arc::new(TextMatcher));
        }
        // What the log does when it is opened: it replays from the watermarks on.
        let lows = store.watermarks();
        let replayed = self.log.iter().filter(|record| {
            lows.iter().any(|(partition, low)| *partition == record.partition && record.offset >= *low)
        });
        store.replay(replayed.cloned().map(Replayed::Whole).collect());
        let steps = Arc::clone(&self.steps);
        store.attach_log(Arc::new(move |_, _| steps.step("trim", Path::new("log")).unwrap_or_default()));
        Ok(store)
    }

    pub(crate) fn open(&self) -> Store {
        self.try_open().expect("opens")
    }

    /// Makes a record durable and applies it.
    pub(crate) fn append(
        &mut self,
        store: &Store,
        environment: &Environment,
        partition: u16,
        batch: EventBatch,
    ) {
        self.append_keyed(store, environment, partition, batch, BatchKey::Unique(0));
    }

    pub(crate) fn append_keyed(
        &mut self,
        store: &Store,
        environment: &Environment,
        partition: u16,
        batch: EventBatch,
        key: BatchKey,
    ) {
        let before = self.log.iter().filter(|record| record.partition.0 == partition).count();
        let record = DurableRecord {
            environment: environment.clone(),
            partition: Partition(partition),
            offset: Offset(before as u64),
            append_time_ns: self.clock.now_ns(),
            key,
            batch: Arc::new(batch),
            erasure: None,
        };
        self.log.push(record.clone());
        store.apply(vec![record]);
    }

    /// Makes an erasure durable and applies it: of everything that is in the log now.
    pub(crate) fn erase(&mut self, store: &Store, environment: &Environment, filter: &str) -> u128 {
        let next = |partition: u16| {
            Offset(self.log.iter().filter(|record| record.partition.0 == partition).count() as u64)
        };
        let erasure = Arc::new(Erasure {
            id: self.erased.len() as u128 + 1,
            cuts: (0..self.partitions).map(next).collect(),
            filter: filter.into(),
        });
        let record = DurableRecord {
            environment: environment.clone(),
            partition: Partition(0),
            offset: next(0),
            append_time_ns: self.clock.now_ns(),
            key: BatchKey::Unique(erasure.id),
            batch: Arc::default(),
            erasure: Some(Arc::clone(&erasure)),
        };
        self.erased.push((environment.clone(), Arc::clone(&erasure)));
        self.log.push(record.clone());
        store.apply(vec![record]);
        erasure.id
    }

    fn is_erased(&self, record: &DurableRecord, row: &str) -> bool {
        self.erased.iter().any(|(environment, erasure)| {
            *environment == record.environment
                && erasure.is_older(record.partition, record.offset)
                && row.contains(&*erasure.filter)
        })
    }

    /// Every event of an environment in the log that no erasure has taken, as text with its identity, sorted.
    pub(crate) fn expected(&self, environment: &Environment) -> Vec<String> {
        let records = self.log.iter().filter(|record| record.environment == *environment);
        let mut rows: Vec<String> = records
            .flat_map(|record| {
                let id = format!("{}-{}", record.partition.0, record.offset.0);
                let time = record.append_time_ns;
                let rows = rows_of(&record.batch).into_iter().enumerate();
                let rows = rows.filter(|(_, row)| !self.is_erased(record, row));
                rows.map(move |(index, row)| format!("{id}-{index} {time} {row}")).collect::<Vec<_>>()
            })
            .collect();
        rows.sort();
        rows
    }
}

/// Every event of a snapshot, as text with its identity, sorted.
pub(crate) fn found(snapshot: &Snapshot) -> Vec<String> {
    let mut all = Vec::new();
    for segment in snapshot.segments.iter() {
        let segment = segment.open().expect("opens");
        assert_eq!(segment.environment(), &snapshot.environment);
        let gathered = segment.gather(&segment.all_rows()).expect("gathers");
        let rows = rows_of(&gathered.batch).into_iter().zip(gathered.ids).zip(gathered.ingest_times);
        all.extend(rows.map(|((row, id), time)| format!("{id} {time} {row}")));
    }
    all.sort();
    all
}

/// What opening and reading found wrong. That `footers.cat` was not there yet is no damage: it is derived, and a
/// store that nobody maintains in the background never writes it.
pub(crate) fn wrong(store: &Store) -> Vec<skein_store::Finding> {
    store.findings().into_iter().filter(|finding| finding.kind != skein_store::FindingKind::Derived).collect()
}
