//! What is acknowledged is served, once, whatever happens between head, files and catalog.

use std::sync::Arc;

use skein_event::batch::Presence;
use skein_event::builder::BatchBuilder;
use skein_event::flow::BatchKey;
use skein_event::ids::{Environment, Partition};
use skein_event::{EventBatch, Fixed};
use skein_log::Follower as _;
use skein_store::{Closing, ErrorKind, FindingKind, SegmentHandle, Store};

use crate::model::{KEY, random_batch};
use crate::world::{START_NS, World, found, wrong};

const DAY_NS: i64 = 24 * 3_600 * 1_000_000_000;

fn ours() -> Environment {
    Environment::default_environment()
}

fn check(world: &World, store: &Store) {
    for environment in [ours(), Environment::skein()] {
        let snapshot = store.snapshot(&environment).expect("a snapshot");
        assert!(
            found(&snapshot) == world.expected(&environment),
            "{environment}: other events than acknowledged"
        );
    }
}

#[test]
fn acknowledged_is_in_the_next_snapshot() {
    let mut world = World::new();
    let store = world.open();
    for step in 0..12 {
        world.append(&store, &ours(), (step % 2) as u16, random_batch(step, 1 + 900 * step as usize % 4_000));
        check(&world, &store);
    }
    let snapshot = store.snapshot(&ours()).expect("a snapshot");
    assert_eq!(snapshot.complete_to_ns, START_NS);
    let again = store.snapshot(&ours()).expect("a snapshot");
    assert_eq!(again.id, snapshot.id);
    let open = |segment: &Arc<SegmentHandle>| segment.open().expect("opens");
    let mut pairs = snapshot.segments.iter().zip(again.segments.iter());
    let same = pairs.all(|(a, b)| Arc::ptr_eq(&open(a), &open(b)));
    assert!(same, "what was encoded for a snapshot is kept for the next");
    store.flush_all().expect("flushes");
    check(&world, &store);
    check(&world, &world.open());
}

#[test]
fn flush_orders_file_before_catalog() {
    let mut world = World::new();
    let store = world.open();
    world.append(&store, &ours(), 0, random_batch(1, 50));
    store.snapshot(&ours()).expect("a snapshot");
    world.steps.take();
    store.flush_all().expect("flushes");
    let steps = world.steps.take();
    let place = |what: &str| {
        let found = steps.iter().position(|step| step.starts_with(what));
        found.unwrap_or_else(|| panic!("{what} is missing in {steps:?}"))
    };
    let order = ["create", "write", "sync_data", "rename", "sync_dir 2023-11-", "commit", "trim"];
    // The folder's own name is synced when it is made, too; what counts is the sync after the rename.
    let after_rename = steps[place("rename")..].iter().position(|step| step.starts_with("sync_dir 2023-11-"));
    assert!(after_rename.is_some(), "{steps:?}");
    for pair in order.windows(2).filter(|pair| !pair[1].starts_with("sync_dir")) {
        assert!(place(pair[0]) < place(pair[1]), "{pair:?} in {steps:?}");
    }
    assert!(place("rename") + after_rename.expect("was checked") < place("commit"), "{steps:?}");
}

#[test]
fn environments_are_sealed() {
    let mut world = World::new();
    let store = world.open();
    for step in 0..6 {
        let environment = if step % 2 == 0 { ours() } else { Environment::skein() };
        world.append(&store, &environment, 0, random_batch(step, 300));
        if step == 3 {
            store.flush_all().expect("flushes");
        }
    }
    check(&world, &store);
    let nobody = Environment::new("nobody").expect("a name");
    assert!(store.snapshot(&nobody).expect("a snapshot").segments.is_empty());
    assert_eq!(store.environments().len(), 2);
    assert_eq!(store.stats(&ours()).head_rows, 300);
    assert_eq!(store.stats(&ours()).segment_rows, 600);
    assert_eq!(store.stats(&nobody), skein_store::EnvironmentStats::default());
}

#[test]
fn a_flush_that_fails_anywhere_loses_and_doubles_nothing() {
    for fail_after in 0..24 {
        let mut world = World::new();
        let store = world.open();
        world.append(&store, &ours(), 0, random_batch(1, 200));
        world.append(&store, &Environment::skein(), 0, random_batch(2, 100));
        world.steps.fail_after(Some(fail_after));
        let outcome = store.flush_all();
        check(&world, &store);
        // The process dies here: another one opens what is on disk and replays the log.
        world.steps.fail_after(None);
        let reopened = world.open();
        check(&world, &reopened);
        reopened.flush_all().expect("flushes");
        check(&world, &reopened);
        check(&world, &world.open());
        assert!(wrong(&world.open()).is_empty(), "{:?}", wrong(&world.open()));
        if outcome.is_ok() {
            assert!(fail_after > 10, "steps are counted");
            return;
        }
        // The first one, were it still alive, cannot commit any more.
        let error = store.flush_all().expect_err("is fenced");
        assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
        assert!(store.is_fenced());
    }
    panic!("the flush never succeeded");
}

#[test]
fn a_failed_flush_is_tried_again_by_the_same_process() {
    for fail_after in 0..10 {
        let mut world = World::new();
        let store = world.open();
        world.append(&store, &ours(), 1, random_batch(1, 200));
        world.steps.fail_after(Some(fail_after));
        let failed = store.flush_all().is_err();
        world.steps.fail_after(None);
        world.append(&store, &ours(), 1, random_batch(2, 20));
        store.flush_all().expect("flushes");
        check(&world, &store);
        assert_eq!(store.stats(&ours()).head_rows, 0, "after {fail_after}, failed {failed}");
        check(&world, &world.open());
    }
}

#[test]
fn a_commit_without_an_answer_counts_once() {
    let mut world = World::new();
    let store = world.open();
    world.append(&store, &ours(), 0, random_batch(1, 200));
    // The commit happens; its answer and the question about it are both lost.
    *world.catalog.silent.lock().expect("silent") = 2;
    store.flush_all().expect_err("nobody knows");
    check(&world, &store);
    world.append(&store, &ours(), 0, random_batch(2, 100));
    store.flush_all().expect("flushes");
    check(&world, &store);
    check(&world, &world.open());
    // Only the answer is lost.
    world.append(&store, &ours(), 0, random_batch(3, 100));
    // (the store above was fenced by the reopening)
    let store = world.open();
    *world.catalog.silent.lock().expect("silent") = 1;
    store.flush_all().expect("the catalog says that it counts");
    check(&world, &store);
}

#[test]
fn compaction_keeps_every_event_and_open_snapshots() {
    let mut world = World::new();
    let store = world.open();
    for step in 0..9 {
        world.append(&store, &ours(), 0, random_batch(step, 100 + step as usize));
        store.flush_all().expect("flushes");
    }
    let before = store.snapshot(&ours()).expect("a snapshot");
    let segments = store.stats(&ours()).segments;
    world.steps.take();
    assert!(store.compact_as(Closing::All).expect("compacts"));
    assert!(store.stats(&ours()).segments < segments);
    let removed = |steps: Vec<String>| {
        steps.iter().filter(|step| step.ends_with(".seg") && step.starts_with("remove")).count()
    };
    assert_eq!(removed(world.steps.take()), 1, "only the temporary name: a snapshot reads the rest");
    check(&world, &store);
    assert!(found(&before) == world.expected(&ours()), "the snapshot from before still reads its files");
    drop(before);
    while store.compact_as(Closing::All).expect("compacts") {}
    store.flush_all().expect("flushes");
    world.append(&store, &ours(), 0, random_batch(77, 5));
    store.flush_all().expect("flushes");
    assert_eq!(removed(world.steps.take()), 10, "nine replaced files and a temporary name");
    check(&world, &world.open());
    assert!(wrong(&world.open()).is_empty());
}

#[test]
fn a_compaction_that_fails_anywhere_loses_and_doubles_nothing() {
    for fail_after in 0..16 {
        let mut world = World::new();
        let store = world.open();
        for step in 0..8 {
            world.append(&store, &ours(), 0, random_batch(step, 100));
            store.flush_all().expect("flushes");
        }
        world.steps.fail_after(Some(fail_after));
        let outcome = store.compact_as(Closing::All);
        check(&world, &store);
        world.steps.fail_after(None);
        let reopened = world.open();
        check(&world, &reopened);
        assert!(wrong(&reopened).is_empty(), "{:?}", wrong(&reopened));
        while reopened.compact_as(Closing::All).expect("compacts") {}
        check(&world, &reopened);
        assert_eq!(reopened.stats(&ours()).segments, 1);
        if outcome.is_ok() {
            return;
        }
    }
    panic!("the compaction never succeeded");
}

/// The files below `segments/`.
fn segment_files(world: &World) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![world.folder.path().join("segments")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("lists") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

#[test]
fn a_damaged_file_is_set_aside_and_the_rest_serves() {
    let mut world = World::new();
    let store = world.open();
    for step in 0..3 {
        world.append(&store, &ours(), 0, random_batch(step, 100));
        store.flush_all().expect("flushes");
    }
    let files = segment_files(&world);
    assert_eq!(files.len(), 3);
    let mut bytes = std::fs::read(&files[1]).expect("reads");
    let footer = bytes.len() - 40;
    bytes[footer] ^= 1;
    std::fs::write(&files[1], bytes).expect("writes");
    let reopened = world.open();
    assert!(wrong(&reopened).is_empty(), "opening the store opens no file");
    let snapshot = reopened.snapshot(&ours()).expect("a snapshot");
    let failed = snapshot.segments.iter().filter_map(|segment| segment.open().err());
    assert_eq!(failed.map(|error| error.kind()).collect::<Vec<_>>(), [ErrorKind::Damaged]);
    let findings = wrong(&reopened);
    assert_eq!(findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(), [FindingKind::SetAside]);
    assert!(findings[0].message.contains("offsets 1 to 1"), "{}", findings[0].message);
    assert!(
        findings[0].path.starts_with(world.folder.path().join("quarantine")) && findings[0].path.exists()
    );
    let served = reopened.snapshot(&ours()).expect("a snapshot");
    assert_eq!(found(&served).len(), 200);
    // The next start says that the file is missing, and still serves the rest.
    let findings = wrong(&world.open());
    assert_eq!(findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(), [FindingKind::Missing]);
}

#[test]
fn damage_found_while_reading_is_set_aside_too() {
    let mut world = World::new();
    let store = world.open();
    for step in 0..2 {
        world.append(&store, &ours(), 0, random_batch(step, 100));
        store.flush_all().expect("flushes");
    }
    let file = segment_files(&world).remove(0);
    let mut bytes = std::fs::read(&file).expect("reads");
    bytes[200] ^= 1;
    std::fs::write(&file, bytes).expect("writes");
    let store = world.open();
    let snapshot = store.snapshot(&ours()).expect("a snapshot");
    assert_eq!(snapshot.segments.len(), 2, "header and footer are whole");
    let (segment, error) = snapshot
        .segments
        .iter()
        .find_map(|segment| Some((segment, segment.open().ok()?.verify().err()?)))
        .expect("one is damaged");
    segment.report(&error);
    let later = store.snapshot(&ours()).expect("a snapshot");
    assert_eq!(later.segments.len(), 1);
    assert_eq!(wrong(&store)[0].kind, FindingKind::SetAside);
    assert!(!file.exists());
}

#[test]
fn a_lost_catalog_is_refused_and_no_file_is_touched() {
    let mut world = World::new();
    let store = world.open();
    world.append(&store, &ours(), 0, random_batch(1, 100));
    store.flush_all().expect("flushes");
    let files = segment_files(&world);
    let lost = World { folder: world.folder, ..World::new() };
    for _ in 0..2 {
        let error = lost.try_open().err().expect("is refused");
        assert_eq!(error.kind(), ErrorKind::Damaged);
        assert!(error.to_string().contains("catalog.sqlite was lost"), "{error}");
    }
    assert_eq!(segment_files(&lost), files);
}

#[test]
fn a_line_once_imported_is_known_for_good() {
    let mut world = World::new();
    let store = world.open();
    let (file, line) = ([7; 32], 5_000);
    let key = BatchKey::Import { file, line };
    assert!(!store.has_import(&ours(), Partition(1), &file, line));
    world.append_keyed(&store, &ours(), 1, random_batch(1, 10), key);
    assert!(store.has_import(&ours(), Partition(1), &file, line));
    assert!(world.open().has_import(&ours(), Partition(1), &file, line), "from the log");
    let store = world.open();
    store.flush_all().expect("flushes");
    world.log.clear();
    let store = world.open();
    assert!(store.has_import(&ours(), Partition(1), &file, line), "from the catalog");
    assert!(!store.has_import(&Environment::skein(), Partition(1), &file, line));
    assert!(!store.has_import(&ours(), Partition(0), &file, line));
}

fn batch_of_times(times: &[i64], annotations: &[u32]) -> EventBatch {
    let mut builder = BatchBuilder::new(KEY);
    let context = builder.begin_context();
    let annotation = builder.fixed(Fixed::AnnotationType);
    let empty = builder.shape(&[]);
    for &time in times {
        let row = builder.begin_row(time, context);
        builder.set_shape(row, empty);
        if annotations.contains(&row) {
            builder.push_bytes(annotation, row, b"span_event");
        }
    }
    builder.finish()
}

#[test]
fn events_are_filed_by_day_and_beside_their_span() {
    let mut world = World::new();
    let store = world.open();
    let midnight = START_NS - START_NS % DAY_NS;
    // A span at the end of a day with two events of the next, a record of an older day, one of the far future.
    let times = [midnight - 5, midnight + 5, midnight + 6, midnight - 3 * DAY_NS, i64::MAX, midnight + 7];
    world.append(&store, &ours(), 0, batch_of_times(&times, &[1, 2]));
    check(&world, &store);
    store.flush_all().expect("flushes");
    check(&world, &store);
    let mut filed: Vec<(i32, u32)> = store
        .snapshot(&ours())
        .expect("a snapshot")
        .segments
        .iter()
        .map(|segment| (segment.row().expect("a file").day, segment.rows()))
        .collect();
    filed.sort_unstable();
    let today = (midnight / DAY_NS) as i32;
    assert_eq!(filed, [(today - 3, 1), (today - 1, 3), (today, 2)]);
}

#[test]
fn a_batch_of_random_days_makes_a_bounded_number_of_files() {
    let mut world = World::new();
    let store = world.open();
    let times: Vec<i64> = (0..5_000).map(|day| START_NS - day * DAY_NS).collect();
    world.append(&store, &ours(), 0, batch_of_times(&times, &[]));
    store.flush_all().expect("flushes");
    assert!(segment_files(&world).len() <= 101);
    check(&world, &store);
}

#[test]
fn a_flush_is_due_by_age_and_by_rows() {
    let mut world = World::new();
    world.rows_max = 1_000;
    let store = world.open();
    world.append(&store, &ours(), 0, random_batch(1, 10));
    assert_eq!(store.flush_due().expect("looks"), 0);
    world.clock.pass(59_000_000_000);
    assert_eq!(store.flush_due().expect("looks"), 0);
    world.clock.pass(1_000_000_000);
    assert_eq!(store.flush_due().expect("flushes"), 1);
    let observed = std::mem::take(&mut *world.observed.0.lock().expect("observed"));
    assert_eq!(observed.len(), 1);
    assert_eq!((observed[0].name, observed[0].error.clone()), ("flush", None));
    let field = |name| observed[0].fields.iter().find(|field| field.0 == name).map(|field| field.1.clone());
    assert_eq!(field("skein.rows"), Some(skein_event::value::Value::I64(10)));
    assert_eq!(field("skein.environment"), Some(skein_event::value::Value::Text("default".to_owned())));
    assert_eq!(field("skein.freshness_ns"), Some(skein_event::value::Value::I64(60_000_000_000)));
    world.append(&store, &ours(), 1, random_batch(2, 999));
    assert_eq!(store.flush_due().expect("looks"), 0);
    world.append(&store, &ours(), 1, random_batch(3, 1));
    assert_eq!(store.flush_due().expect("flushes"), 1);
    check(&world, &store);
}

#[test]
fn background_threads_seal_flush_and_stop() {
    let mut world = World::new();
    world.rows_max = 20_000;
    let store = world.open();
    let background = store.start().expect("starts");
    for step in 0..30 {
        world.append(&store, &ours(), (step % 2) as u16, random_batch(step, 1_000));
    }
    check(&world, &store);
    background.stop().expect("stops");
    assert_eq!(store.stats(&ours()).head_rows, 0);
    check(&world, &store);
    check(&world, &world.open());
}

#[test]
fn replayed_records_are_not_doubled() {
    let mut world = World::new();
    let store = world.open();
    world.append(&store, &ours(), 0, random_batch(1, 50));
    store.apply(world.log.clone());
    check(&world, &store);
    store.flush_all().expect("flushes");
    store.apply(world.log.clone());
    check(&world, &store);
    let presence = &world.log[0].batch.columns[0].presence;
    assert!(matches!(presence, Presence::All | Presence::Rows(_)));
}

#[test]
fn opening_touches_no_file_and_open_files_are_bounded() {
    let mut world = World::new();
    let store = world.open();
    for step in 0..6 {
        world.append(&store, &ours(), 0, random_batch(step, 50));
        store.flush_all().expect("flushes");
    }
    drop(store);
    world.open_max = 3;
    let store = world.open();
    let snapshot = store.snapshot(&ours()).expect("a snapshot");
    assert_eq!((snapshot.segments.len(), store.open_files()), (6, 0));
    assert!(snapshot.segments.iter().all(|segment| segment.rows() == 50 && segment.row().is_some()));
    assert_eq!(store.open_files(), 0);
    for _ in 0..3 {
        for segment in snapshot.segments.iter() {
            assert_eq!(segment.open().expect("opens").rows(), 50);
            assert!(store.open_files() <= 3);
        }
    }
    assert_eq!(found(&snapshot).len(), 300);
}
