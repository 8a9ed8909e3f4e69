//! Every implementation of the catalog keeps its promises.

use skein_event::ids::{Environment, Offset, Partition};
use skein_store::ErrorKind;
use skein_store::catalog::{
    Catalog, Commit, ImportLines, MemoryCatalog, SegmentId, SegmentRow, SqliteCatalog,
};

fn row(number: u64) -> SegmentRow {
    SegmentRow {
        id: SegmentId::new(Partition(1), 1, number),
        environment: Environment::default_environment(),
        partition: Partition(1),
        day: -3,
        rows: 10,
        bytes: u64::from(u32::MAX) + number,
        time_range: (i64::MIN, i64::MAX),
        ingest_range: (-1, 1),
        offset_range: (0, number),
    }
}

fn commit(epoch: u64, low: u64, new_low: u64, add: &[u64], remove: &[u64]) -> Commit {
    Commit {
        partition: Partition(1),
        epoch,
        expected_low: Offset(low),
        new_low: Offset(new_low),
        applied: vec![5],
        add: add.iter().map(|&number| row(number)).collect(),
        remove: remove.iter().map(|&number| row(number).id).collect(),
        imports: Vec::new(),
    }
}

fn commits_are_compare_and_set(catalog: &dyn Catalog) {
    assert!(catalog.partitions().expect("reads").is_empty());
    let marks = catalog.take_over(3).expect("takes over");
    assert_eq!(
        marks.iter().map(|mark| (mark.partition.0, mark.epoch, mark.low.0)).collect::<Vec<_>>(),
        [(0, 1, 0), (1, 1, 0), (2, 1, 0)]
    );
    catalog.commit(&commit(1, 0, 4, &[1, 2], &[])).expect("commits");
    let refused = |commit: &Commit| {
        let before = (catalog.segments().expect("reads"), catalog.partitions().expect("reads"));
        assert_eq!(catalog.commit(commit).expect_err("is refused").kind(), ErrorKind::Fenced);
        assert_eq!((catalog.segments().expect("reads"), catalog.partitions().expect("reads")), before);
    };
    refused(&commit(1, 0, 4, &[3], &[])); // low has moved
    refused(&commit(2, 4, 5, &[3], &[])); // another epoch
    refused(&commit(1, 4, 5, &[3], &[9])); // what is removed does not count
    assert_eq!(catalog.segments().expect("reads"), [row(1), row(2)]);
    catalog.commit(&commit(1, 4, 4, &[3], &[1, 2])).expect("compacts");
    assert_eq!(catalog.segments().expect("reads"), [row(3)]);
    assert!(catalog.has_segment(&row(3).id).expect("reads"));
    assert!(!catalog.has_segment(&row(1).id).expect("reads"));
    let marks = catalog.take_over(3).expect("takes over");
    assert_eq!((marks[1].epoch, marks[1].low.0, marks[1].applied.clone()), (2, 4, vec![5]));
    refused(&commit(1, 4, 5, &[4], &[])); // the writer from before
    catalog.commit(&commit(2, 4, 5, &[4], &[])).expect("the new writer commits");
}

fn import_lines_are_kept(catalog: &dyn Catalog) {
    let lines = |bits: u8| ImportLines {
        environment: Environment::skein(),
        partition: Partition(1),
        file: [9; 32],
        number: u32::MAX,
        bits: vec![bits; 512],
    };
    catalog.commit(&Commit { imports: vec![lines(1)], ..commit(2, 5, 6, &[], &[]) }).expect("commits");
    catalog.commit(&Commit { imports: vec![lines(3)], ..commit(2, 6, 7, &[], &[]) }).expect("commits");
    assert_eq!(catalog.imports().expect("reads"), [lines(3)]);
}

#[test]
fn commit_is_compare_and_set() {
    let memory = MemoryCatalog::default();
    commits_are_compare_and_set(&memory);
    import_lines_are_kept(&memory);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("catalog.sqlite");
    let sqlite = SqliteCatalog::open(&path).expect("opens");
    commits_are_compare_and_set(&sqlite);
    import_lines_are_kept(&sqlite);
    let (segments, marks) = (sqlite.segments().expect("reads"), sqlite.partitions().expect("reads"));
    drop(sqlite);
    let reopened = SqliteCatalog::open(&path).expect("opens");
    assert_eq!(reopened.segments().expect("reads"), segments);
    assert_eq!(reopened.partitions().expect("reads"), marks);
    assert_eq!(reopened.imports().expect("reads").len(), 1);
}

/// Opened for reading, a catalog says what was written, or that it is damaged; never anything else.
#[test]
fn a_flipped_bit_in_the_catalog_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("catalog.sqlite");
    let sqlite = SqliteCatalog::open(&path).expect("opens");
    sqlite.take_over(3).expect("takes over");
    sqlite.commit(&commit(1, 0, 4, &[1, 2, 3], &[])).expect("commits");
    import_rows(&sqlite);
    let written = sqlite.content().expect("reads");
    sqlite.close().expect("closes");
    let bytes = std::fs::read(&path).expect("reads");
    let mut noticed = 0;
    for place in (0..bytes.len()).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 4;
        std::fs::write(&path, damaged).expect("writes");
        let found = SqliteCatalog::open_to_read(&path).and_then(|catalog| catalog.content());
        match found {
            Ok(found) => assert_eq!(found, written, "byte {place}"),
            Err(_) => noticed += 1,
        }
    }
    assert!(noticed > 5, "most bytes hold nothing, but some do: {noticed}");
}

fn import_rows(catalog: &dyn Catalog) {
    let lines = |file: u8| ImportLines {
        environment: Environment::skein(),
        partition: Partition(1),
        file: [file; 32],
        number: 7,
        bits: vec![file; 512],
    };
    catalog
        .commit(&Commit { imports: vec![lines(1), lines(2)], ..commit(1, 4, 6, &[], &[]) })
        .expect("commits");
}

#[test]
fn a_copy_of_a_catalog_is_a_catalog() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("catalog.sqlite");
    let content = skein_store::catalog::Content::default();
    let sqlite = SqliteCatalog::open(&path).expect("opens");
    assert_eq!(sqlite.content().expect("reads"), content);
    sqlite.take_over(2).expect("takes over");
    let filled = sqlite.content().expect("reads");
    drop(sqlite);
    let copy = folder.path().join("copy.sqlite");
    SqliteCatalog::copy_of(&path, &copy).expect("copies");
    assert_eq!(SqliteCatalog::open(&copy).expect("opens").content().expect("reads"), filled);
    assert_eq!(SqliteCatalog::integrity_of(&copy).expect("looks"), Vec::<String>::new());
}
