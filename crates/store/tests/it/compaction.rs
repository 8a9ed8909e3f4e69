//! Compaction keeps files few without rewriting for ever, and holds what it holds within bounds.

use std::collections::BTreeMap;

use skein_event::ids::Environment;
use skein_store::segment::RowField;
use skein_store::{Closing, Store, Work};

use crate::model::{batch_of, batch_of_datasets};
use crate::world::{START_NS, World, found};

const MINUTE_NS: i64 = 60 * 1_000_000_000;
const DAY_NS: i64 = 24 * 60 * MINUTE_NS;

fn ours() -> Environment {
    Environment::default_environment()
}

/// Five hours of a flush a minute, with late data in between. The plan itself is tested over days (`tiers`).
#[test]
fn a_store_rewrites_each_event_a_few_times_and_keeps_few_files() {
    let mut world = World::new();
    // A little after midnight, so that all of it is of one day.
    world.clock.pass(120 * MINUTE_NS);
    let store = world.open();
    for minute in 0..300_i64 {
        let now = START_NS + (120 + minute) * MINUTE_NS;
        world.append(&store, &ours(), 0, batch_of("a", &minute.to_string(), 8, now));
        if minute % 7 == 0 {
            world.append(&store, &ours(), 0, batch_of("a", "late", 2, now - 3 * DAY_NS));
        }
        world.clock.pass(MINUTE_NS);
        store.flush_due().expect("flushes");
        while store.compact().expect("compacts") {}
        let files = store.stats(&ours()).segments;
        // Of two days of event time: hours, what the last hour and ten minutes have not merged yet.
        assert!(files <= 2 * (5 + 1 + 6 + 11), "{files} files after {minute} minutes");
    }
    store.flush_all().expect("flushes");
    assert!(found(&store.snapshot(&ours()).expect("a snapshot")) == world.expected(&ours()));
    let written = store.written();
    let flushed = written.of(&ours(), Work::Flush);
    let merged = written.of(&ours(), Work::Compaction);
    assert_eq!(flushed.rows as usize, world.expected(&ours()).len());
    assert!(merged.rows >= flushed.rows && merged.rows <= 2 * flushed.rows, "{merged:?} of {flushed:?}");
    assert!(written.amplification(&ours()) <= 3.0);
    while store.compact_as(Closing::All).expect("compacts") {}
    assert_eq!(store.stats(&ours()).segments, 2, "one of each day");
    assert_eq!(store.files_due(), 0);
    assert!(found(&store.snapshot(&ours()).expect("a snapshot")) == world.expected(&ours()));
}

#[test]
fn compacted_files_are_clustered_and_flushed_ones_are_not() {
    let mut world = World::new();
    let store = world.open();
    for step in 0..3 {
        world.append(&store, &ours(), 0, batch_of_datasets(step, 300));
        store.flush_all().expect("flushes");
    }
    let rising = |segment: &skein_store::segment::Segment| {
        let offsets = segment.field(RowField::Offset).expect("opens");
        (0..offsets.len()).is_sorted_by_key(|row| offsets.get(row))
    };
    let snapshot = store.snapshot(&ours()).expect("a snapshot");
    assert!(
        snapshot.segments.iter().all(|segment| rising(&segment.open().expect("opens"))),
        "flushed rows are in the order of the log"
    );
    assert!(store.compact_as(Closing::All).expect("compacts"));
    let snapshot = store.snapshot(&ours()).expect("a snapshot");
    assert_eq!(snapshot.segments.len(), 1);
    let segment = snapshot.segments.get(0).expect("one file").open().expect("opens");
    assert!(!rising(&segment));
    let batch = segment.gather(&segment.all_rows()).expect("gathers").batch;
    // Each dataset is one run, within which times rise.
    let mut runs: BTreeMap<String, usize> = BTreeMap::new();
    let mut last: Option<(String, i64)> = None;
    for row in 0..batch.rows() {
        let dataset = crate::model::dataset_of(&batch, row);
        let time = batch.times[row];
        match &last {
            Some((of, before)) if *of == dataset => assert!(*before <= time),
            _ => *runs.entry(dataset.clone()).or_default() += 1,
        }
        last = Some((dataset, time));
    }
    assert!(runs.len() > 1 && runs.values().all(|&count| count == 1), "{runs:?}");
}

/// Of the one file that there is, the runs of rows of one dataset.
fn runs(store: &Store) -> usize {
    let snapshot = store.snapshot(&ours()).expect("a snapshot");
    assert_eq!(snapshot.segments.len(), 1);
    let segment = snapshot.segments.get(0).expect("one file").open().expect("opens");
    let batch = segment.gather(&segment.all_rows()).expect("gathers").batch;
    let datasets = (0..batch.rows()).map(|row| crate::model::dataset_of(&batch, row));
    let mut datasets: Vec<String> = datasets.collect();
    datasets.dedup();
    datasets.len()
}

/// Whether the one file that there is was written to be read rarely.
fn is_cold(store: &Store) -> bool {
    let snapshot = store.snapshot(&ours()).expect("a snapshot");
    assert_eq!(snapshot.segments.len(), 1);
    snapshot.segments.get(0).expect("one file").open().expect("opens").is_cold()
}

#[test]
fn a_file_that_stays_alone_is_clustered_once() {
    let mut world = World::new();
    let store = world.open();
    world.append(&store, &ours(), 0, batch_of_datasets(1, 2_000));
    store.flush_all().expect("flushes");
    let flushed = runs(&store);
    // START_NS is 13 minutes past an hour.
    world.clock.pass(20 * MINUTE_NS);
    assert!(!store.compact().expect("looks"), "others may arrive within its hour");
    world.clock.pass(60 * MINUTE_NS);
    while store.compact().expect("compacts") {}
    let clustered = runs(&store);
    assert!(clustered < flushed && clustered > 1, "{clustered} runs of {flushed}");
    assert_eq!(store.written().of(&ours(), Work::Compaction).files, 1);
    assert!(!is_cold(&store), "its day may bring company");
    for _ in 0..2 {
        world.clock.pass(3 * DAY_NS);
        while store.compact().expect("compacts") {}
        assert_eq!(
            store.written().of(&ours(), Work::Compaction).files,
            2,
            "once for its hour, once for good"
        );
        assert!(is_cold(&store));
    }
    drop(store);
    let store = world.open();
    while store.compact_as(Closing::All).expect("compacts") {}
    assert_eq!(store.written().of(&ours(), Work::Compaction).files, 0, "a start does not cluster it again");
    assert!(found(&store.snapshot(&ours()).expect("a snapshot")) == world.expected(&ours()));
}

#[test]
fn settling_clusters_a_file_that_is_alone() {
    let mut world = World::new();
    let store = world.open();
    world.append(&store, &ours(), 0, batch_of_datasets(1, 2_000));
    store.settle();
    while store.maintain().expect("works") {}
    assert!(!store.is_settling());
    let written = store.written();
    let files = [Work::Flush, Work::Compaction].map(|work| written.of(&ours(), work).files);
    assert_eq!(files, [1, 1]);
    assert!(found(&store.snapshot(&ours()).expect("a snapshot")) == world.expected(&ours()));
}

#[test]
fn a_large_flushed_file_is_clustered_once() {
    let mut world = World::new();
    world.rows_max = 300;
    let store = world.open();
    world.append(&store, &ours(), 0, batch_of_datasets(1, 200));
    store.flush_all().expect("flushes");
    let flushed = runs(&store);
    while store.compact_as(Closing::All).expect("compacts") {}
    let clustered = runs(&store);
    assert!(clustered < flushed && clustered > 1, "{clustered} runs of {flushed}");
    assert_eq!(store.written().of(&ours(), Work::Compaction).files, 1);
    assert!(is_cold(&store), "nothing is merged with it");
    drop(store);
    let store = world.open();
    while store.compact_as(Closing::All).expect("compacts") {}
    assert_eq!(store.written().of(&ours(), Work::Compaction).files, 0, "a start does not cluster it again");
    assert!(found(&store.snapshot(&ours()).expect("a snapshot")) == world.expected(&ours()));
}

/// A file that is being merged is set aside meanwhile, or a flush commits in between: neither is undone.
#[test]
fn flushes_go_on_while_a_merge_waits_for_its_turn() {
    let mut world = World::new();
    let store = world.open();
    let background = store.start().expect("starts");
    for step in 0..40 {
        world.append(&store, &ours(), (step % 2) as u16, batch_of_datasets(step, 200));
        if step % 4 == 3 {
            store.flush_all().expect("flushes");
            store.settle();
        }
        assert!(found(&store.snapshot(&ours()).expect("a snapshot")) == world.expected(&ours()));
    }
    background.stop().expect("stops");
    assert!(found(&store.snapshot(&ours()).expect("a snapshot")) == world.expected(&ours()));
    assert!(found(&world.open().snapshot(&ours()).expect("a snapshot")) == world.expected(&ours()));
}
