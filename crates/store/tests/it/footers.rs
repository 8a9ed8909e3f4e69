//! `footers.cat`: what it says is what the segments say, or it is not believed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use skein_event::Fixed;
use skein_event::builder::BatchBuilder;
use skein_event::ids::Partition;
use skein_event::split::partition_of_trace;
use skein_store::footers::{Merged, Summary};
use skein_store::{Closing, FindingKind, SegmentHandle, Store};

use crate::model::{KEY, random_batch};
use crate::world::{START_NS, World};

fn ours() -> skein_event::ids::Environment {
    skein_event::ids::Environment::default_environment()
}

/// A closed store of some files.
fn settled(seed: u64, files: u64) -> World {
    let mut world = World::new();
    let store = world.open();
    for step in 0..files {
        world.append(&store, &ours(), 0, random_batch(seed + step, 80));
        store.flush_all().expect("flushes");
    }
    while store.keep_footers().expect("keeps") {}
    world
}

fn path(world: &World) -> PathBuf {
    world.folder.path().join("footers.cat")
}

fn handles(store: &Store) -> Vec<Arc<SegmentHandle>> {
    store.snapshot(&ours()).expect("a snapshot").segments.iter().map(Arc::clone).collect()
}

/// What the store answers with, by segment.
fn summaries(store: &Store) -> BTreeMap<String, Arc<Summary>> {
    let id = |handle: &Arc<SegmentHandle>| handle.row().expect("a file").id.to_string();
    handles(store).iter().map(|handle| (id(handle), handle.visible_summary().expect("a summary"))).collect()
}

/// What the segments say.
fn truth(world: &World) -> BTreeMap<String, Arc<Summary>> {
    std::fs::remove_file(path(world)).ok();
    summaries(&world.open())
}

/// Its columns with their counts, in words.
fn told(merged: &Merged) -> Vec<String> {
    let mut all: Vec<String> = merged
        .columns()
        .iter()
        .flat_map(|column| {
            column.cells.iter().map(move |cell| {
                let dataset = &merged.datasets()[cell.dataset as usize].name;
                let (origin, physical) = (column.origin, column.physical);
                format!("{} {origin:?} {physical:?} {dataset:?} {} {:?}", column.name, cell.count, cell.times)
            })
        })
        .collect();
    all.sort();
    all
}

#[test]
fn opening_touches_footers_cat_and_no_segment() {
    let world = settled(1, 5);
    let store = world.open();
    assert!(store.findings().is_empty(), "{:?}", store.findings());
    let from_file = summaries(&store);
    assert_eq!((from_file.len(), store.open_files()), (5, 0));
    drop(store);
    assert_eq!(from_file, truth(&world));
}

#[test]
fn a_lost_footers_cat_is_made_anew_and_said_so() {
    let world = settled(10, 4);
    let before = summaries(&world.open());
    for damage in ["gone", "empty", "another file"] {
        std::fs::remove_file(path(&world)).expect("removes");
        match damage {
            "gone" => {}
            "empty" => std::fs::write(path(&world), b"").expect("writes"),
            _ => std::fs::write(path(&world), vec![7; 9_000]).expect("writes"),
        }
        let store = world.open();
        let kinds: Vec<FindingKind> = store.findings().iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [FindingKind::Derived], "{damage}");
        assert!(store.findings()[0].message.contains("nothing is lost"));
        while store.keep_footers().expect("keeps") {}
        assert_eq!(summaries(&store), before);
        drop(store);
        assert!(world.open().findings().is_empty(), "{damage}: it is whole again");
    }
}

#[test]
fn a_damaged_entry_is_made_anew() {
    let world = settled(20, 3);
    let whole = std::fs::read(path(&world)).expect("reads");
    let before = summaries(&world.open());
    let directory = 64 + 3 * 128;
    let places = (0..directory).step_by(7).chain((135_168..whole.len()).step_by(61));
    for place in places {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        std::fs::write(path(&world), bytes).expect("writes");
        assert_eq!(summaries(&world.open()), before, "byte {place}");
    }
    for length in (0..whole.len()).step_by(997) {
        std::fs::write(path(&world), &whole[..length]).expect("writes");
        assert_eq!(summaries(&world.open()), before, "cut to {length}");
    }
}

#[test]
fn a_summary_of_another_segment_of_that_name_is_not_believed() {
    let (ours, others) = (settled(30, 3), settled(40, 3));
    let names = |world: &World| summaries(&world.open()).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&others), "the same names, other events");
    std::fs::copy(path(&others), path(&ours)).expect("copies");
    let store = ours.open();
    assert_eq!(store.findings()[0].kind, FindingKind::Derived);
    let found = summaries(&store);
    drop(store);
    assert_eq!(found, truth(&ours));
}

#[test]
fn every_trace_is_found_in_its_segments_and_most_others_are_not_asked() {
    let mut world = World::new();
    world.partitions = 4;
    let store = world.open();
    let ids: Vec<[u8; 16]> =
        (0..600_u64).map(|n| u128::from(n).wrapping_mul(1 << 77 | 977).to_le_bytes()).collect();
    for some in ids.chunks(30) {
        for partition in 0..4 {
            let mut builder = BatchBuilder::new(KEY);
            let trace = builder.fixed(Fixed::TraceId);
            builder.begin_context();
            let of_it = |id: &&[u8; 16]| partition_of_trace(&ours(), id, 4, KEY) == Partition(partition);
            for id in some.iter().filter(of_it) {
                let row = builder.begin_row(START_NS, 0);
                builder.push_trace_id(trace, row, *id);
            }
            world.append(&store, &ours(), partition, builder.finish());
        }
        store.flush_all().expect("flushes");
    }
    let segments = store.snapshot(&ours()).expect("a snapshot").segments;
    assert_eq!(segments.len(), 80);
    let mut asked = 0;
    for id in &ids {
        let places = segments.of_trace(&ours(), id);
        asked += places.len();
        let holding: Vec<usize> = (0..segments.len())
            .filter(|&place| {
                let segment = segments.get(place).expect("a segment").open().expect("opens");
                !segment.rows_of_trace(id).expect("looks").is_empty()
            })
            .collect();
        assert_eq!(holding.len(), 1);
        assert!(
            holding.iter().all(|place| places.contains(place)),
            "{id:?} is in {holding:?}, asked {places:?}"
        );
    }
    assert!(asked < ids.len() * 3 / 2, "{asked} segments were asked for {} traces", ids.len());
}

#[test]
fn a_compaction_leaves_the_listing_as_it_was() {
    let mut world = World::new();
    let store = world.open();
    for step in 0..20 {
        world.append(&store, &ours(), 0, random_batch(50 + step, 60));
        store.flush_all().expect("flushes");
    }
    let listing = |store: &Store| {
        let snapshot = store.snapshot(&ours()).expect("a snapshot");
        let merged = snapshot.segments.files().merged().expect("a listing");
        (snapshot.segments.len(), merged.rows(), told(&merged))
    };
    let before = listing(&store);
    while store.compact_as(Closing::All).expect("compacts") {}
    let after = listing(&store);
    assert!(after.0 < before.0);
    assert_eq!((after.1, &after.2), (before.1, &before.2));
    world.append(&store, &ours(), 0, random_batch(99, 60));
    store.flush_all().expect("flushes");
    let grown = listing(&store);
    drop(store);
    assert_eq!(listing(&world.open()), grown, "what was added up bit by bit is the sum");
}

#[test]
fn a_segment_that_is_gone_is_in_no_listing() {
    let world = settled(70, 3);
    let store = world.open();
    let rows = |store: &Store| {
        let snapshot = store.snapshot(&ours()).expect("a snapshot");
        snapshot.segments.files().merged().expect("a listing").rows()
    };
    assert_eq!(rows(&store), 240);
    let handle = Arc::clone(&handles(&store)[0]);
    let row = handle.row().expect("a file");
    let folder = world.folder.path().join("segments").join(row.environment.as_str());
    let day = std::fs::read_dir(folder).expect("lists").next().expect("a day").expect("an entry").path();
    let file = day.join(format!("{}.seg", row.id));
    let mut bytes = std::fs::read(&file).expect("reads");
    bytes[200] ^= 1;
    std::fs::write(&file, bytes).expect("writes");
    let error = handle.open().and_then(|segment| segment.verify()).expect_err("is damaged");
    handle.report(&error);
    assert_eq!(store.findings()[0].kind, FindingKind::SetAside);
    assert_eq!(rows(&store), 160);
}
