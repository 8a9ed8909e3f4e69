//! What a start finds in the log stays there until somebody needs it: quickly there, small, all of it, and honest about what
//! has become of it meanwhile.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use skein_event::EventBatch;
use skein_event::flow::{Append, BatchKey, EventSink as _};
use skein_event::ids::{Environment, Partition};
use skein_event::observe::{Clock, Unobserved};
use skein_log::disk::{DirectoryEntry, Disk, DiskFile, RealDisk, Space};
use skein_log::{Committer, Log, LogConfig};
use skein_store::catalog::{Catalog, MemoryCatalog};
use skein_store::{ErrorKind, FindingKind, Store, StoreConfig, Surroundings};

use crate::model::{KEY, batch_of, random_batch};
use crate::world::{START_NS, found};

const PARTITIONS: u16 = 2;
const DAY_NS: i64 = 24 * 3_600 * 1_000_000_000;

fn ours() -> Environment {
    Environment::default_environment()
}

struct Still;

impl Clock for Still {
    fn now_ns(&self) -> i64 {
        START_NS
    }
}

type Hook = Box<dyn FnOnce(&Path) + Send>;

/// The real disk. When a file of the log is next opened for reading, something happens first.
#[derive(Clone, Default)]
struct HookedDisk(Arc<Mutex<Option<Hook>>>);

impl std::fmt::Debug for HookedDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookedDisk")
    }
}

impl Disk for HookedDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        if path.extension().is_some_and(|extension| extension == "wal") {
            let hook = self.0.lock().expect("a hook").take();
            if let Some(hook) = hook {
                hook(path);
            }
        }
        RealDisk.open_read(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealDisk.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        RealDisk.list(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        RealDisk.space(path)
    }
}

/// A data directory with store and log, whose processes end without a flush.
struct Directory {
    folder: tempfile::TempDir,
    disk: HookedDisk,
    catalog: Arc<MemoryCatalog>,
}

struct Process {
    store: Store,
    log: Log,
    committer: Committer,
}

impl Directory {
    fn new() -> Directory {
        Directory {
            folder: tempfile::tempdir().expect("a folder"),
            disk: HookedDisk::default(),
            catalog: Arc::default(),
        }
    }

    fn open(&self) -> Process {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let root = self.folder.path().to_owned();
        let surroundings = Surroundings {
            disk: Arc::clone(&disk),
            catalog: Arc::clone(&self.catalog) as Arc<dyn Catalog>,
            clock: Arc::new(Still),
            observer: Arc::new(Unobserved),
        };
        let config = StoreConfig::new(root.clone(), PARTITIONS, KEY);
        let store = Store::open(config, surroundings).expect("the store opens");
        let low = store.watermarks().into_iter().map(|(_, low)| low).collect();
        let config = LogConfig { partitions: PARTITIONS, ..LogConfig::new(root, KEY) };
        let follower = Arc::new(store.clone());
        let (log, committer) =
            Log::open_stepped(config, disk, Arc::new(Still), low, follower).expect("the log opens");
        Process { store, log, committer }
    }

    /// The file of a partition that holds the most.
    fn log_file(&self, partition: u16) -> PathBuf {
        let folder = self.folder.path().join("log").join(partition.to_string());
        let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        files
            .max_by_key(|path| std::fs::read(path).expect("a file").iter().filter(|&&b| b != 0).count())
            .expect("a file")
    }
}

impl Process {
    fn append(&mut self, batch: EventBatch, number: u128) {
        self.append_to(ours().as_str(), batch, number);
    }

    fn append_to(&mut self, environment: &str, batch: EventBatch, number: u128) {
        let environment = Environment::new(environment).expect("a name");
        let append = Append { environment, key: BatchKey::Unique(number), batch, reply: Vec::new() };
        let mut future = self.log.append(append);
        let mut answer = || match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        };
        let answered = (0..3).find_map(|_| {
            answer().or_else(|| {
                self.committer.step();
                None
            })
        });
        answered.expect("the committer goes on").expect("is durable");
    }

    fn events(&self) -> Vec<String> {
        found(&self.store.snapshot(&ours()).expect("a snapshot"))
    }

    fn head_rows(&self) -> u64 {
        self.store.stats(&ours()).head_rows
    }

    fn damaged(&self) -> Vec<String> {
        let findings = self.store.findings().into_iter();
        findings
            .filter(|finding| finding.kind == FindingKind::LogDamaged)
            .map(|finding| finding.message)
            .collect()
    }
}

/// Turns a byte over in the first place that holds a text.
fn damage(path: &Path, text: &str) {
    let mut bytes = std::fs::read(path).expect("a file");
    let place = bytes.windows(text.len()).position(|window| window == text.as_bytes()).expect("the text");
    bytes[place] ^= 0x20;
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn a_start_leaves_events_in_the_log_and_serves_them_all() {
    let directory = Directory::new();
    let mut process = directory.open();
    for step in 0..30 {
        process.append(random_batch(step, 1_000), step.into());
        // Of one day beside the arrival's, and of two.
        let day = START_NS - DAY_NS * i64::try_from(step % 3).expect("small");
        process.append(batch_of("shop", &format!("a{step}"), 50, day), (100 + step).into());
        let midnight = START_NS - START_NS.rem_euclid(DAY_NS);
        process.append(batch_of("shop", &format!("b{step}"), 50, midnight - 25), (200 + step).into());
    }
    let (events, rows) = (process.events(), process.head_rows());
    let held = process.store.stats(&ours()).head_bytes;
    drop(process);
    let process = directory.open();
    assert_eq!(process.head_rows(), rows, "they count at once");
    let memory = process.store.memory();
    assert!(memory.head_batches + memory.head_blocks < held / 10, "{memory:?} of {held}");
    assert!(process.events() == events, "and are all there when asked for");
    // A flush needs them without anybody having asked.
    drop(process);
    let process = directory.open();
    process.store.flush_all().expect("flushes");
    assert_eq!(process.head_rows(), 0);
    assert!(process.events() == events);
    assert_eq!(process.damaged(), Vec::<String>::new());
}

#[test]
fn a_record_damaged_after_the_start_is_named_and_the_rest_serves() {
    let directory = Directory::new();
    let mut process = directory.open();
    for step in 0..6 {
        process.append(batch_of("shop", &format!("tag{step}"), 40, START_NS), step);
    }
    let events = process.events();
    drop(process);
    let process = directory.open();
    let rows = process.head_rows();
    damage(&directory.log_file(0), "tag3-");
    let left = process.events();
    let lost: Vec<&String> = events.iter().filter(|event| !left.contains(event)).collect();
    assert!(!lost.is_empty() && lost.iter().all(|event| event.starts_with("0-3-")), "{lost:?}");
    assert_eq!(process.head_rows(), rows - lost.len() as u64);
    let told = process.damaged();
    assert_eq!(told.len(), 1, "once: {told:?}");
    assert!(told[0].contains(&format!("{} events", lost.len())) && told[0].contains(".wal"), "{}", told[0]);
    process.store.flush_all().expect("flushes");
    assert!(process.events() == left);
    assert_eq!(process.damaged(), told, "and nothing else");
}

#[test]
fn a_block_of_which_nothing_is_left_is_in_nobodys_way() {
    for asked_first in [false, true] {
        let directory = Directory::new();
        let mut process = directory.open();
        // What the log does not know to be durable yet is copied at the start, so others come last.
        process.append(batch_of("shop", "tag", 40, START_NS), 1);
        process.append_to("others", batch_of("shop", "one", 40, START_NS), 2);
        drop(process);
        let process = directory.open();
        assert_eq!(process.head_rows(), 40);
        (0..PARTITIONS).for_each(|partition| damage(&directory.log_file(partition), "tag-"));
        assert!(!asked_first || process.events().is_empty());
        process.store.seal().expect("seals");
        process.store.flush_all().expect("flushes");
        assert_eq!((process.head_rows(), process.events().len(), process.damaged().len()), (0, 0, 2));
        // The next start finds nothing to replay.
        drop(process);
        assert_eq!(directory.open().head_rows(), 0);
    }
}

#[test]
fn what_cannot_be_read_back_now_is_an_error_and_no_loss() {
    let directory = Directory::new();
    let mut process = directory.open();
    for step in 0..6 {
        process.append(batch_of("shop", &format!("tag{step}"), 40, START_NS), step);
    }
    let events = process.events();
    drop(process);
    let process = directory.open();
    let (path, away) = (directory.log_file(0), directory.folder.path().join("away"));
    std::fs::rename(&path, &away).expect("renamed");
    for _ in 0..2 {
        let error = process.store.snapshot(&ours()).expect_err("is not there");
        assert!(error.kind() == ErrorKind::Io && error.to_string().contains(".wal"), "{error}");
        assert_eq!(process.store.flush_all().expect_err("neither").kind(), ErrorKind::Io);
    }
    std::fs::rename(&away, &path).expect("renamed");
    assert!(process.events() == events);
    assert_eq!(process.damaged(), Vec::<String>::new());
    process.store.flush_all().expect("flushes");
    assert!(process.events() == events);
}

#[test]
fn a_question_that_meets_a_flush_misses_nothing() {
    let directory = Directory::new();
    let mut process = directory.open();
    for step in 0..6 {
        process.append(batch_of("shop", &format!("tag{step}"), 40, START_NS), step);
    }
    let events = process.events();
    drop(process);
    let process = directory.open();
    // While the question reads the first partition, the second one is flushed and its log trimmed.
    let (store, file) = (process.store.clone(), directory.log_file(1));
    let flush = move |_: &Path| {
        store.flush_partition(Partition(1)).expect("flushes");
        std::fs::remove_file(file).expect("removed");
    };
    *directory.disk.0.lock().expect("a hook") = Some(Box::new(flush));
    assert!(process.events() == events);
    assert!(directory.disk.0.lock().expect("a hook").is_none(), "it was met");
}
