//! Log and store over a disk that lies: through appends, flushes, compactions, failing calls, power failures and
//! lost answers of the catalog, what was acknowledged is served, once and unaltered.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use skein_event::batch::{EventBatch, Origin, Physical, Presence, Token, TokenKind, Values};
use skein_event::builder::BatchBuilder;
use skein_event::flow::{Append, BatchKey, EventSink as _};
use skein_event::ids::{Environment, Offset};
use skein_event::observe::{Clock, Unobserved};
use skein_event::{Fixed, hash::HashKey};
use skein_log::disk::Disk;
use skein_log::{Committer, Follower, Log, LogConfig};
use skein_sim::disk::{Fault, FaultKind, Random, SimDisk};
use skein_store::catalog::{
    Catalog, Commit, Content, ImportLines, MemoryCatalog, PartitionMark, SegmentId, SegmentRow, SqliteCatalog,
};
use skein_store::segment::Segment;
use skein_store::upkeep::{Source, verify_source};
use skein_store::{
    Closing, ErrorKind, FileAccess, Finding, FindingKind, MatchFailure, Room, RowMatcher, SpaceGuard, Store,
    StoreConfig, Surroundings,
};

const KEY: HashKey = HashKey(0xc4a5);
const PARTITIONS: u16 = 2;
const START_NS: i64 = 1_700_000_000_000_000_000;

struct Still;

impl Clock for Still {
    fn now_ns(&self) -> i64 {
        START_NS
    }
}

/// A catalog whose commits are atomic and durable, but whose answers get lost.
struct LossyCatalog {
    inner: MemoryCatalog,
    random: Mutex<Random>,
    /// One answer in so many is lost; 0 for none.
    one_in: Mutex<usize>,
}

impl LossyCatalog {
    fn lose(&self) -> Result<(), skein_store::Error> {
        let one_in = *self.one_in.lock().expect("one_in");
        if one_in == 0 || !self.random.lock().expect("random").one_in(one_in) {
            return Ok(());
        }
        Err(SqliteCatalog::open("/dev/null/none".as_ref()).expect_err("an error of the kind Catalog"))
    }
}

impl Catalog for LossyCatalog {
    fn partitions(&self) -> Result<Vec<PartitionMark>, skein_store::Error> {
        self.inner.partitions()
    }

    fn take_over(&self, partitions: u16) -> Result<Vec<PartitionMark>, skein_store::Error> {
        self.inner.take_over(partitions)
    }

    fn segments(&self) -> Result<Vec<SegmentRow>, skein_store::Error> {
        self.inner.segments()
    }

    fn imports(&self) -> Result<Vec<ImportLines>, skein_store::Error> {
        self.inner.imports()
    }

    fn content(&self) -> Result<Content, skein_store::Error> {
        self.inner.content()
    }

    fn has_segment(&self, id: &SegmentId) -> Result<bool, skein_store::Error> {
        self.lose()?;
        self.inner.has_segment(id)
    }

    fn commit(&self, commit: &Commit) -> Result<(), skein_store::Error> {
        self.lose()?;
        self.inner.commit(commit)?;
        self.lose()
    }
}

/// Rows that carry `tag-row`, in traces of their own.
fn batch(tag: u64, rows: u32) -> EventBatch {
    let mut builder = BatchBuilder::new(KEY);
    let context = builder.begin_context();
    let trace = builder.fixed(Fixed::TraceId);
    let event = builder.column(Origin::Item, Physical::Text, "test.event");
    for row in 0..rows {
        let number = builder.begin_row(START_NS + i64::from(row), context);
        let mut id = [1; 16];
        id[..8].copy_from_slice(&tag.to_le_bytes());
        id[8..12].copy_from_slice(&row.to_le_bytes());
        builder.push_trace_id(trace, number, id);
        builder.push_bytes(event, number, text_of(tag, row).as_bytes());
        let key = builder.intern(b"test.event");
        let shape = builder.shape(&[Token { kind: TokenKind::Value, key, target: event.0 }]);
        builder.set_shape(number, shape);
    }
    builder.finish()
}

fn text_of(tag: u64, row: u32) -> String {
    // Long enough that a segment spans sectors.
    format!("{tag}-{row}-{}", "x".repeat((row as usize * 37) % 300))
}

/// One process: log and store over the disk. The committer is driven by hand.
struct Process {
    store: Store,
    log: Arc<Log>,
    committer: Committer,
}

struct World {
    disk: SimDisk,
    catalog: Arc<LossyCatalog>,
    random: Random,
    /// Rows of each batch that was sent, and whether it was acknowledged.
    sent: BTreeMap<u64, (u32, bool)>,
    /// The disk fails no more.
    healed: bool,
    /// Acknowledged batches that were to be erased, and whether that was acknowledged.
    erased: BTreeMap<u64, bool>,
}

/// A filter is the number of a batch.
struct TagMatcher;

impl RowMatcher for TagMatcher {
    fn matches(&self, filter: &str, segment: &Segment) -> Result<Vec<u32>, MatchFailure> {
        let rows = segment.all_rows();
        let gathered = segment.gather(&rows).map_err(MatchFailure::Segment)?;
        let start = format!("{filter}-");
        let texts = texts_of(&gathered.batch);
        let matching = rows.into_iter().zip(texts).filter(|(_, text)| text.starts_with(&start));
        Ok(matching.map(|(row, _)| row).collect())
    }
}

/// The text of each event.
fn texts_of(batch: &EventBatch) -> Vec<String> {
    let column = batch.columns.iter().find(|column| &*column.key.name == "test.event").expect("a name");
    assert_eq!(column.presence, Presence::All);
    let Values::Code(codes) = &column.values else { panic!("text has codes") };
    codes.iter().map(|&code| String::from_utf8(batch.dictionary.get(code).to_vec()).expect("text")).collect()
}

impl World {
    fn new(seed: u64) -> World {
        let inner = MemoryCatalog::default();
        let (random, one_in) = (Mutex::new(Random::new(seed ^ 1)), Mutex::new(0));
        World {
            disk: SimDisk::new(seed),
            catalog: Arc::new(LossyCatalog { inner, random, one_in }),
            random: Random::new(seed ^ 2),
            sent: BTreeMap::new(),
            healed: false,
            erased: BTreeMap::new(),
        }
    }

    fn open(&self) -> Result<Process, String> {
        let root = PathBuf::from("/data");
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let mut config = StoreConfig::new(root.clone(), PARTITIONS, KEY);
        config.access = FileAccess::Read;
        config.segment_rows_max = 60;
        config.compaction_files_max = 3;
        let surroundings = Surroundings {
            disk: Arc::clone(&disk),
            catalog: Arc::clone(&self.catalog) as Arc<dyn Catalog>,
            clock: Arc::new(Still),
            observer: Arc::new(Unobserved),
        };
        let store = Store::open(config, surroundings).map_err(|error| format!("store: {error}"))?;
        store.attach_matcher(Arc::new(TagMatcher));
        // A file that cannot be read now is said to be so, and left where it is: the test opens again.
        // What is derived is not synced: a crash may cost it, and it is made anew.
        let found = store.findings().into_iter().filter(|finding| finding.kind != FindingKind::Derived);
        let (unreadable, findings): (Vec<_>, Vec<_>) =
            found.partition(|finding| finding.kind == FindingKind::Unreadable);
        let orphans_are_kept = |finding: &Finding| finding.kind == FindingKind::KeptOrphan;
        assert!(findings.iter().all(|f| !unreadable.is_empty() && orphans_are_kept(f)), "{findings:?}");
        if let Some(finding) = unreadable.first() {
            return Err(finding.message.clone());
        }
        let low: Vec<Offset> = store.watermarks().into_iter().map(|(_, low)| low).collect();
        let mut config = LogConfig { partitions: PARTITIONS, ..LogConfig::new(root, KEY) };
        config.file_bytes = 16 << 10;
        // No second copy: what the store says is committed must really be.
        config.retention_ns = 0;
        let follower: Arc<dyn Follower> = Arc::new(store.clone());
        let (log, committer) = Log::open_stepped(config, disk, Arc::new(Still), low, follower)
            .map_err(|error| format!("log: {error}"))?;
        let log = Arc::new(log);
        let trimmed = Arc::clone(&log);
        store
            .attach_log(Arc::new(move |partition, below| trimmed.trim(partition, below).unwrap_or_default()));
        Ok(Process { store, log, committer })
    }

    /// Sends a batch, or one again that was not acknowledged.
    fn send(&mut self, process: &mut Process) {
        let unanswered: Vec<u64> =
            self.sent.iter().filter(|(_, (_, acknowledged))| !acknowledged).map(|(&tag, _)| tag).collect();
        let tag = match unanswered.first() {
            Some(&tag) if self.random.one_in(2) => tag,
            _ => self.sent.len() as u64,
        };
        let rows = self
            .sent
            .get(&tag)
            .map_or_else(|| u32::try_from(1 + self.random.below(30)).expect("is small"), |sent| sent.0);
        self.sent.entry(tag).or_insert((rows, false));
        let append = Append {
            environment: Environment::default_environment(),
            key: BatchKey::Client(format!("batch {tag}").into()),
            batch: batch(tag, rows),
            reply: Vec::new(),
        };
        let mut future = process.log.append(append);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            if let Poll::Ready(outcome) = future.as_mut().poll(&mut context) {
                if outcome.is_ok() {
                    self.sent.insert(tag, (rows, true));
                }
                return;
            }
            process.committer.step();
        }
    }

    /// Erases a batch, or one again of which it is not known whether it is.
    fn erase(&mut self, process: &mut Process) {
        let candidates: Vec<u64> = self
            .sent
            .iter()
            .filter(|(tag, (_, acknowledged))| *acknowledged && self.erased.get(tag) != Some(&true))
            .map(|(&tag, _)| tag)
            .collect();
        if candidates.is_empty() {
            return;
        }
        let tag = candidates[self.random.below(candidates.len())];
        self.erased.entry(tag).or_insert(false);
        let id = u128::from(self.random.below(1 << 30) as u64) << 64 | u128::from(tag);
        let filter = Arc::from(tag.to_string());
        let mut future = process.log.erase(Environment::default_environment(), id, filter);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            if let Poll::Ready(outcome) = future.as_mut().poll(&mut context) {
                if outcome.is_ok() {
                    self.erased.insert(tag, true);
                }
                return;
            }
            process.committer.step();
        }
    }

    /// Compares what a snapshot holds with what was sent and acknowledged.
    fn check(&self, process: &Process) {
        let snapshot = match process.store.snapshot(&Environment::default_environment()) {
            Ok(snapshot) => snapshot,
            // What a start left in the log is read back for the first question, from a disk that may just have died.
            Err(error) if error.kind() == ErrorKind::Io && !self.healed => return,
            Err(error) => panic!("{error}"),
        };
        let mut found: BTreeMap<(u64, u32), u32> = BTreeMap::new();
        for segment in snapshot.segments.iter() {
            let segment = match segment.open() {
                Ok(segment) => segment,
                // The disk died under the read: a query says so, and there is nothing to compare.
                Err(error) if error.kind() == ErrorKind::Io && !self.healed => return,
                Err(error) => panic!("{error}"),
            };
            let rows = segment.all_rows();
            if rows.is_empty() {
                continue;
            }
            for text in texts_of(&segment.gather(&rows).expect("gathers").batch) {
                let mut parts = text.split('-').map(|part| part.parse::<u32>().expect("a number"));
                let tag = u64::from(parts.next().expect("a tag"));
                let row = parts.next().expect("a row");
                assert_eq!(text, text_of(tag, row), "an event is altered");
                *found.entry((tag, row)).or_default() += 1;
            }
        }
        assert!(found.values().all(|&times| times == 1), "an event is there twice");
        for (tag, row) in found.keys() {
            assert!(self.sent.get(tag).is_some_and(|(rows, _)| row < rows), "an event that nobody sent");
        }
        for (&tag, _) in self.sent.iter().filter(|(_, (_, acknowledged))| *acknowledged) {
            let rows = self.sent[&tag].0;
            let mut there = 0;
            (0..rows).for_each(|row| there += u32::from(found.contains_key(&(tag, row))));
            match self.erased.get(&tag) {
                None => assert_eq!(there, rows, "acknowledged events of {tag} are lost"),
                Some(true) => assert_eq!(there, 0, "erased events of {tag} are shown"),
                Some(false) => assert!([0, rows].contains(&there), "{tag} is erased by half"),
            }
        }
    }

    /// A life of a process: opens, works until its end, which comes at a call of the disk's.
    fn live(&mut self) {
        let faults = [FaultKind::Death, FaultKind::Io, FaultKind::NoSpace];
        let call = self.disk.calls() + self.random.below(160) as u64;
        self.disk.plan(Fault { call, kind: faults[self.random.below(3)] });
        *self.catalog.one_in.lock().expect("one_in") = [0, 4, 12][self.random.below(3)];
        if let Ok(mut process) = self.open() {
            for _ in 0..self.random.below(30) {
                match self.random.below(11) {
                    0 => process.store.flush_all().unwrap_or_default(),
                    1 => drop(process.store.compact_as(Closing::All)),
                    2 => drop(process.store.seal()),
                    3 => drop(process.store.keep_footers()),
                    4 => self.erase(&mut process),
                    5 => drop(process.store.erase_next()),
                    _ => self.send(&mut process),
                }
                self.check(&process);
            }
        }
        if self.random.one_in(2) { self.disk.power_failure() } else { self.disk.kill() }
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..6 {
        world.live();
    }
    world.disk.heal();
    world.healed = true;
    *world.catalog.one_in.lock().expect("one_in") = 0;
    // Clients try until they are answered; then everything is there, once.
    let mut process = world.open().expect("a healthy disk opens");
    world.check(&process);
    while world.sent.values().any(|(_, acknowledged)| !acknowledged) {
        world.send(&mut process);
    }
    process.store.flush_all().expect("flushes");
    while process.store.compact_as(Closing::All).expect("compacts") {}
    world.check(&process);
    while process.store.erase_next().expect("erases") {}
    let statuses = process.store.erasures(&Environment::default_environment());
    assert!(statuses.iter().all(|status| status.ended_ns.is_some() && status.segments == 0), "{statuses:?}");
    world.check(&process);
    drop(process);
    world.disk.power_failure();
    world.check(&world.open().expect("opens again"));
    assert_eq!(world.disk.touched_after_failed_sync(), 0, "a file was used after its sync had failed");
}

#[test]
fn what_was_acknowledged_is_served_once_whatever_the_disk_does() {
    let seeds = std::env::var("SKEIN_CRASH_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(300);
    for seed in 0..seeds {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("seed {seed} fails");
            std::panic::resume_unwind(panic);
        }
    }
}

/// One append: what its client is told.
fn told(process: &mut Process, tag: u64) -> Result<(), String> {
    let append = Append {
        environment: Environment::default_environment(),
        key: BatchKey::Client(format!("batch {tag}").into()),
        batch: batch(tag, 20),
        reply: Vec::new(),
    };
    let mut future = process.log.append(append);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut context) {
            return outcome.map(drop).map_err(|error| error.to_string());
        }
        process.committer.step();
    }
    Err("no answer".to_owned())
}

#[test]
fn a_full_disk_is_told_and_got_over_without_a_restart() {
    let mut world = World::new(3);
    let capacity = 1 << 20;
    world.disk.set_capacity(capacity);
    let mut process = world.open().expect("opens");
    let disk: Arc<dyn Disk> = Arc::new(world.disk.clone());
    let root = PathBuf::from("/data");
    let guard = SpaceGuard::new(Arc::clone(&disk), root.clone(), Arc::clone(&process.log), Some(64 << 10));
    let reserved = || disk.open_read(&root.join("reserve")).and_then(|file| file.len()).unwrap_or(0);
    assert_eq!(guard.check().expect("looks"), Room::Enough);
    assert_eq!(reserved(), 64 << 10);
    let mut tag = 0;
    while guard.check().expect("looks") == Room::Enough {
        if told(&mut process, tag).is_ok() {
            world.sent.insert(tag, (20, true));
        }
        tag += 1;
        assert!(tag < 10_000, "the disk fills up");
    }
    let refused = told(&mut process, tag).expect_err("nothing is taken");
    assert!(refused.contains("full") && refused.contains("retry in"), "{refused}");
    assert_eq!(reserved(), 0, "the reserve is what a flush is written into");
    world.check(&process);
    process.store.flush_all().expect("there is room for a flush");
    world.check(&process);
    // What was flushed lets the log be trimmed, and that is room enough.
    let mut rounds = 0;
    while guard.check().expect("looks") == Room::Full {
        rounds += 1;
        assert!(rounds < 100, "it never goes on");
        world.disk.set_capacity(capacity + rounds * (64 << 10));
    }
    assert_eq!(reserved(), 64 << 10, "the reserve is there again");
    told(&mut process, tag).expect("events are taken again");
    world.sent.insert(tag, (20, true));
    world.check(&process);
}

/// A fixed life with one call of the disk failing; returns how many calls it made.
fn fixed_life(fault: Option<Fault>) -> u64 {
    let mut world = World::new(5);
    if let Some(fault) = fault {
        world.disk.plan(fault);
    }
    if let Ok(mut process) = world.open() {
        for step in 0..9 {
            world.send(&mut process);
            match step {
                3 | 6 | 8 => process.store.flush_all().unwrap_or_default(),
                7 => drop(process.store.compact()),
                _ => {}
            }
            world.check(&process);
        }
    }
    let calls = world.disk.calls();
    world.disk.heal();
    world.healed = true;
    world.disk.power_failure();
    let process = world.open().expect("a healthy disk opens");
    world.check(&process);
    drop(process);
    let source = Source {
        root: PathBuf::from("/data"),
        disk: Arc::new(world.disk.clone()),
        access: FileAccess::Read,
        hash_key: KEY,
        matcher: Some(Arc::new(TagMatcher)),
        catalog: Ok(Arc::clone(&world.catalog) as Arc<dyn Catalog>),
    };
    let report = verify_source(source, &|_| {}).expect("verifies");
    assert!(report.is_sound(), "{:?}", report.remarks);
    calls
}

#[test]
fn any_call_may_fail_and_what_is_left_is_sound() {
    let calls = fixed_life(None);
    assert!(calls > 100, "the life reaches the disk: {calls}");
    for call in 0..calls {
        for kind in [FaultKind::Io, FaultKind::NoSpace, FaultKind::Death] {
            let fault = Fault { call, kind };
            if let Err(panic) = std::panic::catch_unwind(|| fixed_life(Some(fault))) {
                eprintln!("{fault:?} fails");
                std::panic::resume_unwind(panic);
            }
        }
    }
}
