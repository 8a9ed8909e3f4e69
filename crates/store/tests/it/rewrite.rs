//! Segments of the version before are rewritten, and answer the same before and after.

use skein_event::ids::{Environment, Partition};
use skein_store::catalog::{Commit, SegmentId, SegmentRow};
use skein_store::segment::{Segment, VERSION};

use crate::model::random_batch;
use crate::world::{World, found, wrong};

const OLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/segment-v1.seg");

/// A store that was written by the version before: its one file is the golden one.
fn world_of_old_files() -> World {
    let mut world = World::new();
    world.partitions = 4;
    drop(world.open());
    let id = SegmentId::new(Partition(3), 0, 1);
    let folder = world.folder.path().join("segments/default/2023-11-14");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(OLD, folder.join(format!("{id}.seg"))).expect("copies");
    let segment = Segment::open_file(OLD.as_ref()).expect("opens");
    let marks = world.catalog.inner.partitions().expect("reads");
    let mark = marks.iter().find(|mark| mark.partition == Partition(3)).expect("is there");
    let row = SegmentRow {
        id,
        environment: Environment::default_environment(),
        partition: Partition(3),
        day: 19_675,
        rows: u64::from(segment.rows()),
        bytes: segment.byte_len(),
        time_range: segment.time_range(),
        ingest_range: segment.ingest_range(),
        offset_range: segment.offset_range(),
    };
    let commit = Commit {
        partition: Partition(3),
        epoch: mark.epoch,
        expected_low: mark.low,
        new_low: mark.low,
        applied: Vec::new(),
        add: vec![row],
        remove: Vec::new(),
        imports: Vec::new(),
    };
    world.catalog.inner.commit(&commit).expect("commits");
    world
}

#[test]
fn rewriting_old_segments_keeps_every_event() {
    let mut world = world_of_old_files();
    let store = world.open();
    let environment = Environment::default_environment();
    let before = store.snapshot(&environment).expect("a snapshot");
    let expected = found(&before);
    assert_eq!(expected.len(), 24);
    let mut heard = Vec::new();
    let report = store.rewrite_old(&mut |done, total| heard.push((done, total))).expect("rewrites");
    assert_eq!((report.rewritten, report.damaged.len(), heard), (1, 0, vec![(0, 1), (1, 1)]));
    let after = store.snapshot(&environment).expect("a snapshot");
    assert_eq!(found(&after), expected);
    assert!(found(&before) == expected, "the snapshot from before still reads its file");
    assert_eq!(store.rewrite_old(&mut |_, _| {}).expect("has nothing to do"), Default::default());
    // Old and new files are read and merged side by side.
    world.append(&store, &environment, 3, random_batch(5, 30));
    store.flush_all().expect("flushes");
    drop((before, after, store));
    let again = world.open();
    let snapshot = again.snapshot(&environment).expect("a snapshot");
    assert_eq!(found(&snapshot).len(), 54);
    assert!(snapshot.segments.iter().all(|handle| handle.open().expect("opens").format_version() == VERSION));
    assert!(wrong(&again).is_empty());
}
