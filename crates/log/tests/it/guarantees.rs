//! One test per guarantee, named after it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Poll;

use skein_event::flow::{Append, Appended, BatchKey, EventSink as _, SinkError};
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::limits::DEDUP_WINDOW_NS;
use skein_log::disk::{Disk, RealDisk};
use skein_log::{Committer, ErrorKind, FindingKind, Log, LogConfig, Status, Step, Unfollowed};

use crate::disk::{Fault, FaultKind, SimDisk};
use crate::world::{Store, TestClock, append, batch, client_key, config, open, poll};

const WINDOW_MS: i64 = DEDUP_WINDOW_NS / 1_000_000;

/// A log on a simulated disk, with what outlives it.
struct Fixture {
    disk: SimDisk,
    shared: Arc<dyn Disk>,
    clock: Arc<TestClock>,
    store: Arc<Store>,
    config: LogConfig,
}

impl Fixture {
    fn new(partitions: u16) -> Fixture {
        Fixture::with_seed(partitions, 1)
    }

    fn with_seed(partitions: u16, seed: u64) -> Fixture {
        let disk = SimDisk::new(seed);
        Fixture {
            shared: Arc::new(disk.clone()),
            disk,
            clock: TestClock::new(),
            store: Store::new(partitions),
            config: config(partitions),
        }
    }

    fn open(&self) -> (Log, Committer) {
        open(&self.config, &self.shared, &self.clock, &self.store).unwrap()
    }

    /// How often the events of a batch are visible: all of them equally often.
    fn count(&self, tag: u64, rows: u32) -> u32 {
        let visible = self.store.visible();
        let counts: Vec<u32> =
            (0..rows).map(|row| visible.get(&(tag, row)).copied().unwrap_or_default()).collect();
        assert!(counts.windows(2).all(|pair| pair[0] == pair[1]), "batch {tag} is there in part: {counts:?}");
        counts[0]
    }

    /// Makes the next sync of a file fail. A step writes each touched partition's file, then syncs each.
    fn fail_sync_after(&self, calls: u64) {
        self.disk.plan(Fault { call: self.disk.calls() + calls, kind: FaultKind::Io });
    }
}

/// Appends a batch of three events per partition and drives the log until it is answered.
fn put(log: &Log, committer: &mut Committer, append: Append) -> Result<Appended, SinkError> {
    let mut future = log.append(append);
    committer.step();
    poll(&mut future).expect("an answer after a step")
}

#[test]
fn acknowledged_is_durable() {
    for seed in 0..200 {
        let fixture = Fixture::with_seed(2, seed);
        let (log, mut committer) = fixture.open();
        for tag in 1..6 {
            let syncs = fixture.disk.syncs();
            let mut future = log.append(append(client_key(tag), batch(tag, 8), ""));
            assert_eq!(poll(&mut future), None, "no answer before a sync");
            committer.step();
            assert!(poll(&mut future).expect("an answer").is_ok());
            assert!(fixture.disk.syncs() > syncs, "the answer follows a sync");
            assert_eq!(fixture.count(tag, 8), 1, "acknowledged is visible");
        }
        drop(log);
        fixture.disk.power_failure();
        let (log, _committer) = fixture.open();
        (1..6).for_each(|tag| assert_eq!(fixture.count(tag, 8), 1, "seed {seed} batch {tag}"));
        assert_eq!(log.findings(), &[]);
    }
}

#[test]
fn a_failed_sync_is_never_acknowledged() {
    for call in 0..4 {
        let fixture = Fixture::new(2);
        let (log, mut committer) = fixture.open();
        fixture.fail_sync_after(call);
        let failed = put(&log, &mut committer, append(client_key(1), batch(1, 8), "first"));
        assert!(matches!(failed, Err(SinkError::Unavailable { retry_after_ms: 1.., .. })), "{failed:?}");
        // The node has rotated, so that the retry succeeds at once, and completes the batch.
        assert_eq!(log.status(), Status::Open);
        let retried = put(&log, &mut committer, append(client_key(1), batch(1, 8), "second")).unwrap();
        assert!(!retried.duplicate);
        assert_eq!(fixture.count(1, 8), 1);
        drop(log);
        fixture.disk.power_failure();
        let _log = fixture.open();
        assert_eq!(fixture.count(1, 8), 1);
    }
}

#[test]
fn sealed_file_is_never_synced_again() {
    for call in 0..2 {
        let fixture = Fixture::new(1);
        let (log, mut committer) = fixture.open();
        assert!(put(&log, &mut committer, append(client_key(1), batch(1, 8), "")).is_ok());
        fixture.fail_sync_after(call);
        assert!(put(&log, &mut committer, append(client_key(2), batch(2, 8), "")).is_err());
        for tag in 3..9 {
            assert!(put(&log, &mut committer, append(client_key(tag), batch(tag, 8), "")).is_ok());
        }
        log.close();
        assert_eq!(committer.step(), Step::Idle);
        drop(log);
        fixture.disk.kill();
        drop(fixture.open());
        assert_eq!(fixture.disk.touched_after_failed_sync(), 0);
    }
}

/// The records of a failed group can often be read again after a restart. They count once: either they are
/// taken over, and the client's retry is a repetition, or the retry came before, and they are void.
#[test]
fn a_sealed_tail_appears_once() {
    for retry_first in [false, true] {
        let fixture = Fixture::new(1);
        let (log, mut committer) = fixture.open();
        fixture.fail_sync_after(1);
        assert!(put(&log, &mut committer, append(client_key(1), batch(1, 8), "")).is_err());
        if retry_first {
            assert!(put(&log, &mut committer, append(client_key(1), batch(1, 8), "")).is_ok());
        }
        drop(log);
        fixture.disk.kill();
        let (log, mut committer) = fixture.open();
        assert_eq!(log.findings(), &[]);
        let again = put(&log, &mut committer, append(client_key(1), batch(1, 8), ""));
        assert_eq!(fixture.count(1, 8), 1, "retry first: {retry_first}");
        assert!(again.is_ok());
    }
}

/// After a killed process, what can be read need not be durable: recovery has to make it so before a client
/// is told that it is there.
#[test]
fn what_a_killed_process_left_is_made_durable_before_it_counts() {
    for seed in 0..100 {
        let fixture = Fixture::with_seed(1, seed);
        let (log, mut committer) = fixture.open();
        assert!(put(&log, &mut committer, append(client_key(1), batch(1, 8), "")).is_ok());
        // The write gets through to the page cache, the process dies before the sync.
        fixture.disk.plan(Fault { call: fixture.disk.calls() + 1, kind: FaultKind::Death });
        assert!(put(&log, &mut committer, append(client_key(2), batch(2, 8), "")).is_err());
        drop(log);
        fixture.disk.kill();
        let (log, mut committer) = fixture.open();
        let again = put(&log, &mut committer, append(client_key(2), batch(2, 8), "")).unwrap();
        assert!(again.duplicate, "the record was complete in the page cache");
        drop(log);
        fixture.disk.power_failure();
        let _log = fixture.open();
        assert_eq!((fixture.count(1, 8), fixture.count(2, 8)), (1, 1), "seed {seed}");
    }
}

#[test]
fn resent_batch_appears_once() {
    let fixture = Fixture::new(3);
    let keys = [client_key(1), BatchKey::Digest(5), BatchKey::Import { file: [3; 32], line: 9 }];
    for (tag, key) in (1..).zip(keys) {
        let send = |log: &Log, committer: &mut Committer, reply| {
            put(log, committer, append(key.clone(), batch(tag, 12), reply)).unwrap()
        };
        let (log, mut committer) = fixture.open();
        let first = send(&log, &mut committer, "first");
        assert_eq!(first, Appended { duplicate: false, reply: b"first".to_vec() });
        let again = send(&log, &mut committer, "second");
        assert!(again.duplicate);
        drop(log);
        fixture.disk.power_failure();
        let (log, mut committer) = fixture.open();
        fixture.clock.advance_ms(WINDOW_MS - 1);
        let later = send(&log, &mut committer, "third");
        assert!(later.duplicate, "{key:?}");
        if !matches!(key, BatchKey::Import { .. }) {
            assert_eq!((again.reply, later.reply), (b"first".to_vec(), b"first".to_vec()));
        }
        assert_eq!(fixture.count(tag, 12), 1);
    }
}

#[test]
fn a_key_is_free_again_after_the_window_but_an_import_never() {
    let fixture = Fixture::new(2);
    let import = BatchKey::Import { file: [3; 32], line: 9 };
    let (log, mut committer) = fixture.open();
    assert!(put(&log, &mut committer, append(client_key(1), batch(1, 8), "")).is_ok());
    assert!(put(&log, &mut committer, append(import.clone(), batch(2, 8), "")).is_ok());
    fixture.clock.advance_ms(WINDOW_MS + 1);
    let later = put(&log, &mut committer, append(client_key(1), batch(1, 8), "")).unwrap();
    assert!(!later.duplicate);
    let imported = put(&log, &mut committer, append(import, batch(2, 8), "")).unwrap();
    assert!(imported.duplicate);
    assert_eq!((fixture.count(1, 8), fixture.count(2, 8)), (2, 1));
    drop(log);
    fixture.disk.power_failure();
    let (log, _committer) = fixture.open();
    assert_eq!(log.findings(), &[], "a later batch of the same key is no repetition");
    assert_eq!((fixture.count(1, 8), fixture.count(2, 8)), (2, 1));
}

#[test]
fn unique_keys_and_other_environments_are_other_batches() {
    let fixture = Fixture::new(2);
    let (log, mut committer) = fixture.open();
    for number in 0..2 {
        let unique = put(&log, &mut committer, append(BatchKey::Unique(number), batch(1, 8), "")).unwrap();
        assert!(!unique.duplicate);
    }
    for environment in [Environment::default_environment(), Environment::skein()] {
        let same_key = Append { environment, ..append(client_key(2), batch(2, 8), "") };
        assert!(!put(&log, &mut committer, same_key).unwrap().duplicate);
    }
    assert_eq!((fixture.count(1, 8), fixture.count(2, 8)), (2, 2));
}

#[test]
fn a_resend_waits_for_parts_in_flight() {
    let fixture = Fixture::new(2);
    let (log, mut committer) = fixture.open();
    let mut first = log.append(append(client_key(1), batch(1, 8), "first"));
    let mut second = log.append(append(client_key(1), batch(1, 8), "second"));
    assert_eq!((poll(&mut first), poll(&mut second)), (None, None));
    committer.step();
    let (first, second) = (poll(&mut first).unwrap().unwrap(), poll(&mut second).unwrap().unwrap());
    assert_eq!(first, Appended { duplicate: false, reply: b"first".to_vec() });
    assert_eq!(second, Appended { duplicate: true, reply: b"first".to_vec() });
    assert_eq!(fixture.count(1, 8), 1);
    // When the parts in flight fail, whoever waited for them is told as well.
    let mut third = log.append(append(client_key(2), batch(2, 8), ""));
    let mut fourth = log.append(append(client_key(2), batch(2, 8), ""));
    fixture.fail_sync_after(2);
    committer.step();
    assert!(poll(&mut third).unwrap().is_err());
    assert!(poll(&mut fourth).unwrap().is_err());
    let done = put(&log, &mut committer, append(client_key(2), batch(2, 8), "")).unwrap();
    assert!(!done.duplicate, "one part was missing");
    assert_eq!(fixture.count(2, 8), 1);
}

/// The batch whose record lies in the middle of a file.
fn damage_second_of_three(fixture: &Fixture) {
    let (log, mut committer) = fixture.open();
    for tag in 1..4 {
        assert!(put(&log, &mut committer, append(client_key(tag), batch(tag, 8), "")).is_ok());
    }
    drop(log);
    fixture.disk.kill();
    assert!(fixture.disk.damage(Path::new("/data/log/0/0.wal"), 2 * 4_096 + 500, 0x10));
}

#[test]
fn damaged_record_is_not_served() {
    let mut fixture = Fixture::new(1);
    fixture.config.file_bytes = 1 << 20;
    damage_second_of_three(&fixture);
    let (log, mut committer) = fixture.open();
    assert_eq!((fixture.count(1, 8), fixture.count(2, 8), fixture.count(3, 8)), (1, 0, 1));
    let finding = &log.findings()[0];
    assert_eq!((finding.kind, finding.partition), (FindingKind::Damaged, Partition(0)));
    assert_eq!((finding.offsets.clone(), finding.path.as_path()), (1..2, Path::new("/data/log/0/0.wal")));
    let kept = fixture.shared.list(Path::new("/data/quarantine")).unwrap();
    assert_eq!(kept.len(), 1, "the damaged bytes are set aside");
    assert_eq!(kept[0].name, "log-0-0-8192.bytes");
    // The log goes on, and the damage stays named as long as the file is there.
    assert!(put(&log, &mut committer, append(client_key(4), batch(4, 8), "")).is_ok());
    drop(log);
    fixture.disk.power_failure();
    let (log, _committer) = fixture.open();
    assert_eq!(log.findings().iter().map(|found| found.kind).collect::<Vec<_>>(), [FindingKind::Damaged]);
    assert_eq!((fixture.count(3, 8), fixture.count(4, 8)), (1, 1));
}

#[test]
fn a_damaged_file_header_hides_no_record() {
    let fixture = Fixture::new(1);
    let (log, mut committer) = fixture.open();
    assert!(put(&log, &mut committer, append(client_key(1), batch(1, 8), "")).is_ok());
    drop(log);
    fixture.disk.kill();
    assert!(fixture.disk.damage(Path::new("/data/log/0/0.wal"), 20, 1));
    let (log, _committer) = fixture.open();
    assert_eq!(log.findings()[0].kind, FindingKind::Damaged);
    assert_eq!(fixture.count(1, 8), 1);
}

/// Two records of one group, of which the power failure destroys the first: the second is kept, the first
/// one's offset becomes void, and nobody takes that for damage, now or at the next opening.
#[test]
fn a_torn_record_hides_none_behind_it() {
    let fixture = Fixture::new(1);
    let (log, mut committer) = fixture.open();
    let _first = log.append(append(client_key(6), batch(6, 20), ""));
    let _second = log.append(append(client_key(1), batch(1, 8), ""));
    fixture.disk.plan(Fault { call: fixture.disk.calls() + 1, kind: FaultKind::Death });
    committer.step();
    drop((_first, _second));
    drop(log);
    fixture.disk.kill();
    assert!(fixture.disk.damage(Path::new("/data/log/0/0.wal"), 4_096 + 300, 1));
    for _ in 0..2 {
        let (log, _committer) = fixture.open();
        assert!(log.findings().iter().all(|found| found.kind == FindingKind::Torn), "{:?}", log.findings());
        assert_eq!((fixture.count(6, 20), fixture.count(1, 8)), (0, 1));
        assert_eq!(log.durable_offset(Partition(0)), Some(Offset(2)));
        drop(log);
        fixture.disk.power_failure();
    }
}

#[test]
fn a_full_disk_is_told_and_survived() {
    let fixture = Fixture::new(2);
    let (log, mut committer) = fixture.open();
    assert!(put(&log, &mut committer, append(client_key(1), batch(1, 8), "")).is_ok());
    fixture.disk.set_capacity(0);
    let refused = put(&log, &mut committer, append(client_key(2), batch(2, 8), ""));
    assert!(matches!(refused, Err(SinkError::Unavailable { retry_after_ms: 1.., .. })), "{refused:?}");
    assert!(matches!(log.status(), Status::Sealed(_)));
    let mut refused = log.append(append(client_key(2), batch(2, 8), ""));
    assert!(matches!(poll(&mut refused), Some(Err(SinkError::Unavailable { .. }))), "refused at once");
    drop(refused);
    fixture.disk.set_capacity(u64::MAX);
    committer.step();
    assert_eq!(log.status(), Status::Open);
    assert!(put(&log, &mut committer, append(client_key(2), batch(2, 8), "")).is_ok());
    drop(log);
    fixture.disk.power_failure();
    let _log = fixture.open();
    assert_eq!((fixture.count(1, 8), fixture.count(2, 8)), (1, 1));
}

#[test]
fn a_full_queue_and_a_full_key_table_say_when_to_retry() {
    let mut fixture = Fixture::new(1);
    fixture.config.queue_bytes_max = 1_000;
    fixture.config.batch_keys_max = 2;
    let (log, mut committer) = fixture.open();
    let _first = log.append(append(client_key(1), batch(1, 8), ""));
    let mut second = log.append(append(client_key(2), batch(2, 30), ""));
    assert!(matches!(poll(&mut second), Some(Err(SinkError::Overloaded { retry_after_ms: 1.. }))));
    committer.step();
    assert!(put(&log, &mut committer, append(client_key(2), batch(2, 8), "")).is_ok());
    let mut third = log.append(append(client_key(3), batch(3, 8), ""));
    assert!(matches!(poll(&mut third), Some(Err(SinkError::Overloaded { .. }))), "no room for a key");
    assert!(put(&log, &mut committer, append(client_key(1), batch(1, 8), "")).unwrap().duplicate);
    fixture.clock.advance_ms(WINDOW_MS + 1);
    assert!(put(&log, &mut committer, append(client_key(3), batch(3, 8), "")).is_ok());
}

#[test]
fn an_oversized_reply_or_key_is_refused() {
    let fixture = Fixture::new(1);
    let (log, _committer) = fixture.open();
    for (key, reply) in
        [(client_key(1), "r".repeat(70_000)), (BatchKey::Client("k".repeat(300).into()), String::new())]
    {
        let mut future = log.append(append(key, batch(1, 1), &reply));
        assert_eq!(poll(&mut future), Some(Err(SinkError::TooLarge)));
    }
    let mut empty = log.append(append(client_key(1), batch(1, 0), "reply"));
    assert_eq!(poll(&mut empty), Some(Ok(Appended { duplicate: false, reply: b"reply".to_vec() })));
}

#[test]
fn trim_keeps_a_second_copy_for_a_day_and_keys_for_their_window() {
    let mut fixture = Fixture::new(1);
    fixture.config.retention_bytes = Some(u64::MAX);
    let (log, mut committer) = fixture.open();
    for tag in 1..20 {
        assert!(put(&log, &mut committer, append(client_key(tag), batch(tag, 8), "first")).is_ok());
    }
    let files = || fixture.shared.list(Path::new("/data/log/0")).unwrap().len();
    let before = files();
    assert!(before > 3);
    let low = fixture.store.flush(Partition(0));
    log.trim(Partition(0), low).unwrap();
    assert_eq!(files(), before, "committed is not yet old");
    drop((log, committer));
    // The byte budget is exceeded: all go but the one that takes records, and their keys stay.
    fixture.config.retention_bytes = Some(0);
    let (log, mut committer) = fixture.open();
    log.trim(Partition(0), low).unwrap();
    assert_eq!(fixture.shared.list(Path::new("/data/log/0")).unwrap().len(), 1);
    drop((log, committer));
    fixture.disk.power_failure();
    let (log, mut again) = fixture.open();
    committer = again;
    for tag in 1..20 {
        let resent = put(&log, &mut committer, append(client_key(tag), batch(tag, 8), "second")).unwrap();
        assert_eq!(resent, Appended { duplicate: true, reply: b"first".to_vec() }, "batch {tag}");
    }
    drop(log);
    again = fixture.open().1;
    drop(again);
    (1..20).for_each(|tag| assert_eq!(fixture.count(tag, 8), 1));
}

#[test]
fn old_files_go_and_uncommitted_ones_stay() {
    let mut fixture = Fixture::new(1);
    fixture.config.retention_bytes = Some(u64::MAX);
    let (log, mut committer) = fixture.open();
    for tag in 1..20 {
        assert!(put(&log, &mut committer, append(client_key(tag), batch(tag, 8), "")).is_ok());
    }
    fixture.clock.advance_ms(2 * 24 * 3_600 * 1_000);
    let before = fixture.shared.list(Path::new("/data/log/0")).unwrap();
    log.trim(Partition(0), Offset(0)).unwrap();
    assert_eq!(fixture.shared.list(Path::new("/data/log/0")).unwrap(), before, "nothing is committed");
    let low = fixture.store.flush(Partition(0));
    log.trim(Partition(0), low).unwrap();
    assert_eq!(fixture.shared.list(Path::new("/data/log/0")).unwrap().len(), 1);
    let state = fixture.shared.read(Path::new("/data/state/0")).unwrap();
    assert_eq!(state.len(), 52, "a header and its checksum: no key outlives its window");
}

#[test]
fn after_a_stop_in_order_no_file_of_the_log_is_read() {
    let fixture = Fixture::new(1);
    let (log, mut committer) = fixture.open();
    for tag in 1..20 {
        assert!(put(&log, &mut committer, append(client_key(tag), batch(tag, 8), "first")).is_ok());
    }
    log.close();
    let low = fixture.store.flush(Partition(0));
    log.trim(Partition(0), low).unwrap();
    log.checkpoint().unwrap();
    drop((log, committer));
    fixture.disk.kill();
    // Whoever read a file now would find that nothing in it is sound.
    let folder = Path::new("/data/log/0");
    for entry in fixture.shared.list(folder).unwrap() {
        for place in 4_096..entry.len {
            fixture.disk.damage(&folder.join(&entry.name), place, 0xff);
        }
    }
    let (log, mut committer) = fixture.open();
    assert_eq!(log.findings(), &[]);
    let again = put(&log, &mut committer, append(client_key(7), batch(7, 8), "second")).unwrap();
    assert_eq!((again.duplicate, again.reply.as_slice()), (true, b"first".as_slice()), "its key is kept");
    let new = put(&log, &mut committer, append(client_key(99), batch(99, 8), "")).unwrap();
    assert!(!new.duplicate);
    drop((log, committer));
    // That record is not committed: now the last file is read.
    fixture.disk.kill();
    let (log, _) = fixture.open();
    assert_eq!(log.findings(), &[]);
    assert_eq!(fixture.store.visible().len(), 20 * 8);
}

#[test]
fn another_number_of_partitions_is_refused() {
    let mut fixture = Fixture::new(3);
    drop(fixture.open());
    for partitions in [2, 4] {
        fixture.config.partitions = partitions;
        fixture.store = Store::new(partitions);
        let refused = open(&fixture.config, &fixture.shared, &fixture.clock, &fixture.store).map(|_| ());
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Incompatible, "{partitions}");
    }
    fixture.config.partitions = 65;
    let refused = open(&fixture.config, &fixture.shared, &fixture.clock, &Store::new(65)).map(|_| ());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn an_unreadable_disk_is_an_error_that_names_the_file() {
    let fixture = Fixture::new(1);
    drop(fixture.open());
    let calls = fixture.disk.calls();
    fixture.disk.plan(Fault { call: calls + 4, kind: FaultKind::Io });
    let refused = open(&fixture.config, &fixture.shared, &fixture.clock, &fixture.store).map(|_| ());
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Io);
    assert!(refused.to_string().contains("/data"), "{refused}");
}

/// The log with its thread, on a real disk, under many tasks at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_on_a_real_disk() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = Store::new(8);
    let mut config = LogConfig::new(PathBuf::from(folder.path()), crate::world::KEY);
    config.file_bytes = 64 << 10;
    let start = |store: &Arc<Store>| {
        let follower = Arc::clone(store);
        let disk = Arc::new(RealDisk);
        Log::open(config.clone(), disk, TestClock::new(), store.low(), follower).unwrap()
    };
    let log = Arc::new(start(&store));
    let clients: Vec<_> = (0..8_u64)
        .map(|client| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                for number in 0..20 {
                    let tag = client * 100 + number;
                    for _ in 0..2 {
                        log.append(append(client_key(tag), batch(tag, 10), "")).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(log.stats().duplicate_batches, 160);
    let mut waiting = log.append(append(client_key(5_000), batch(5_000, 4), ""));
    log.close();
    let Poll::Ready(closed) =
        std::future::poll_fn(|context| Poll::Ready(Future::poll(waiting.as_mut(), context))).await
    else {
        panic!("close answers what waits")
    };
    assert!(closed.is_ok(), "close makes durable what waits: {closed:?}");
    let refused = log.append(append(client_key(5_001), batch(5_001, 4), "")).await;
    assert!(matches!(refused, Err(SinkError::Unavailable { .. })));
    assert_eq!(log.status(), Status::Closed);
    drop(waiting);
    drop(log);
    store.forget_head();
    let log = start(&store);
    let visible = store.visible();
    assert_eq!(visible.len(), 8 * 20 * 10 + 4);
    assert!(visible.values().all(|&count| count == 1));
    assert_eq!(log.findings(), &[]);
    Ok(())
}

#[test]
fn a_missing_low_watermark_is_refused() {
    let fixture = Fixture::new(2);
    let clock = Arc::clone(&fixture.clock);
    let disk = Arc::clone(&fixture.shared);
    let refused = Log::open(fixture.config, disk, clock, vec![Offset(0)], Arc::new(Unfollowed));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config);
}

/// A follower that fails in the worst way.
struct Panicking;

impl skein_log::Follower for Panicking {
    fn apply(&self, _records: Vec<skein_log::DurableRecord>) {
        panic!("on purpose");
    }

    fn has_import(&self, _: &Environment, _: Partition, _: &[u8; 32], _: u32) -> bool {
        false
    }
}

#[tokio::test]
async fn nobody_waits_for_a_committer_that_died() {
    let fixture = Fixture::new(1);
    let clock = Arc::clone(&fixture.clock);
    let disk = Arc::clone(&fixture.shared);
    let log = Log::open(fixture.config, disk, clock, vec![Offset(0)], Arc::new(Panicking)).unwrap();
    let answer = log.append(append(client_key(1), batch(1, 8), "")).await;
    assert!(matches!(answer, Err(SinkError::Unavailable { .. })), "{answer:?}");
    let refused = log.append(append(client_key(2), batch(2, 8), "")).await;
    assert!(matches!(refused, Err(SinkError::Unavailable { .. })), "{refused:?}");
    assert_eq!(log.status(), Status::Closed);
}

#[test]
fn a_clock_set_back_does_not_stop_the_window() {
    let fixture = Fixture::new(1);
    let (log, mut committer) = fixture.open();
    fixture.clock.advance_ms(100 * WINDOW_MS);
    assert!(put(&log, &mut committer, append(client_key(1), batch(1, 8), "")).is_ok());
    fixture.clock.advance_ms(-90 * WINDOW_MS);
    assert!(put(&log, &mut committer, append(client_key(1), batch(1, 8), "")).unwrap().duplicate);
    drop(log);
    fixture.disk.power_failure();
    let (log, mut committer) = fixture.open();
    assert!(put(&log, &mut committer, append(client_key(1), batch(1, 8), "")).unwrap().duplicate);
    fixture.clock.advance_ms(3 * WINDOW_MS);
    assert!(!put(&log, &mut committer, append(client_key(1), batch(1, 8), "")).unwrap().duplicate);
}
