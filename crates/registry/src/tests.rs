//! What a registry promises, on a file, over restarts and with flipped bits.

use skein_event::Environment;
use skein_event::limits::BOARDS_MAX;
use sqlx::{Connection as _, Executor as _};

use crate::record::{BoardContent, Id, MarkerContent, MarkersWanted};
use crate::{ErrorKind, Registry as _, SqliteRegistry};

fn id(number: u64) -> Id {
    Id::parse(&format!("{number:016x}")).unwrap()
}

fn content(start_ns: i64, end_ns: Option<i64>, dataset: Option<&str>) -> MarkerContent {
    MarkerContent {
        start_ns,
        end_ns,
        kind: "deploy".into(),
        message: format!("at {start_ns}"),
        url: None,
        dataset: dataset.map(str::to_owned),
    }
}

fn board(name: &str) -> BoardContent {
    BoardContent { name: name.into(), description: "d".into(), panels: "[]".into(), panel_count: 0 }
}

fn all() -> MarkersWanted {
    MarkersWanted { start_ns: i64::MIN, end_ns: i64::MAX, dataset: None, kind: None, limit: 100 }
}

fn default() -> Environment {
    Environment::default_environment()
}

#[test]
fn what_was_kept_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let registry = SqliteRegistry::new(&path).unwrap();
    let marker = registry.create_marker(&default(), &id(1), content(5, None, Some("cart")), 7).unwrap();
    let made = registry.create_board(&default(), &id(2), board("errors"), 8).unwrap();
    assert_eq!((marker.stamp.version, made.stamp.created_ns), (1, 8));
    drop(registry);
    let registry = SqliteRegistry::new(&path).unwrap();
    assert_eq!(registry.marker(&default(), &id(1)).unwrap(), marker);
    assert_eq!(registry.board(&default(), &id(2)).unwrap(), made);
    assert_eq!(registry.boards(&default()).unwrap().items, [made.summary()]);
}

#[test]
fn nothing_of_another_environment_is_seen_or_changed() {
    let registry = SqliteRegistry::in_memory().unwrap();
    registry.create_marker(&default(), &id(1), content(5, None, None), 7).unwrap();
    registry.create_board(&default(), &id(1), board("errors"), 7).unwrap();
    let other = Environment::demo();
    assert!(registry.markers(&other, &all()).unwrap().items.is_empty());
    assert!(registry.boards(&other).unwrap().items.is_empty());
    let not_found = |kind: ErrorKind| assert_eq!(kind, ErrorKind::NotFound);
    not_found(registry.marker(&other, &id(1)).unwrap_err().kind());
    not_found(registry.board(&other, &id(1)).unwrap_err().kind());
    not_found(registry.replace_marker(&other, &id(1), content(6, None, None), None, 8).unwrap_err().kind());
    not_found(registry.replace_board(&other, &id(1), board("x"), None, 8).unwrap_err().kind());
    not_found(registry.delete_marker(&other, &id(1), None).unwrap_err().kind());
    not_found(registry.delete_board(&other, &id(1), None).unwrap_err().kind());
    // The same id is another record there.
    registry.create_board(&other, &id(1), board("others"), 9).unwrap();
    registry.delete_board(&other, &id(1), None).unwrap();
    assert_eq!(registry.board(&default(), &id(1)).unwrap().content.name, "errors");
}

#[test]
fn the_second_of_two_who_change_the_same_learns_of_the_first() {
    let registry = SqliteRegistry::in_memory().unwrap();
    let made = registry.create_board(&default(), &id(1), board("one"), 7).unwrap();
    let changed = registry.replace_board(&default(), &id(1), board("two"), Some(1), 8).unwrap();
    assert_eq!((changed.stamp.version, changed.stamp.created_ns, changed.stamp.updated_ns), (2, 7, 8));
    let late = registry.replace_board(&default(), &id(1), board("three"), Some(made.stamp.version), 9);
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Conflict { version: 2 });
    let late = registry.delete_board(&default(), &id(1), Some(1));
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Conflict { version: 2 });
    assert_eq!(registry.board(&default(), &id(1)).unwrap(), changed);
    assert_eq!(registry.delete_board(&default(), &id(1), Some(2)).unwrap(), Some(changed));
    registry.create_marker(&default(), &id(1), content(1, None, None), 7).unwrap();
    let late = registry.replace_marker(&default(), &id(1), content(2, None, None), Some(4), 9);
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Conflict { version: 1 });
}

#[test]
fn markers_are_those_that_touch_the_range() {
    let registry = SqliteRegistry::in_memory().unwrap();
    for (number, (start, end, dataset)) in
        [(10, None, None), (20, Some(40), Some("cart")), (30, None, Some("web")), (40, None, None)]
            .into_iter()
            .enumerate()
    {
        registry.create_marker(&default(), &id(number as u64), content(start, end, dataset), 1).unwrap();
    }
    let starts = |wanted: MarkersWanted| -> (Vec<i64>, bool) {
        let listed = registry.markers(&default(), &wanted).unwrap();
        (listed.items.iter().map(|marker| marker.content.start_ns).collect(), listed.more)
    };
    assert_eq!(starts(all()), (vec![40, 30, 20, 10], false));
    assert_eq!(starts(MarkersWanted { start_ns: 30, end_ns: 40, ..all() }), (vec![30, 20], false));
    assert_eq!(starts(MarkersWanted { start_ns: 10, end_ns: 11, ..all() }).0, [10]);
    assert_eq!(starts(MarkersWanted { dataset: Some("web".into()), ..all() }).0, [40, 30, 10]);
    assert_eq!(starts(MarkersWanted { kind: Some("incident".into()), ..all() }).0, [0_i64; 0]);
    assert_eq!(starts(MarkersWanted { limit: 2, ..all() }), (vec![40, 30], true));
}

#[test]
fn boards_of_an_environment_are_bounded() {
    let registry = SqliteRegistry::in_memory().unwrap();
    for number in 0..BOARDS_MAX {
        registry.create_board(&default(), &id(number as u64), board("b"), 1).unwrap();
    }
    let beyond = registry.create_board(&default(), &id(u64::MAX), board("b"), 1).unwrap_err();
    assert_eq!(beyond.kind(), ErrorKind::Full { max: BOARDS_MAX as u64 });
    registry.create_board(&Environment::demo(), &id(u64::MAX), board("b"), 1).unwrap();
    registry.delete_board(&default(), &id(0), None).unwrap();
    registry.create_board(&default(), &id(u64::MAX), board("b"), 1).unwrap();
}

/// Changes a file beside the registry, as damage would.
fn change(path: &std::path::Path, statement: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        connection.execute(statement).await.unwrap();
        connection.close().await.unwrap();
    });
}

#[test]
fn a_record_that_is_not_what_was_written_is_named_and_can_be_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let registry = SqliteRegistry::new(&path).unwrap();
    for number in [1, 2] {
        registry.create_board(&default(), &id(number), board("b"), 1).unwrap();
        registry.create_marker(&default(), &id(number), content(1, None, None), 1).unwrap();
    }
    change(&path, "UPDATE boards SET panels = '[{}]' WHERE id = '0000000000000001'");
    change(&path, "UPDATE markers SET start_ns = 2 WHERE id = '0000000000000001'");
    let boards = registry.boards(&default()).unwrap();
    assert_eq!((boards.items.len(), boards.damaged), (1, vec![id(1).to_string()]));
    let markers = registry.markers(&default(), &all()).unwrap();
    assert_eq!((markers.items.len(), markers.damaged), (1, vec![id(1).to_string()]));
    assert_eq!(registry.board(&default(), &id(1)).unwrap_err().kind(), ErrorKind::Damaged);
    assert_eq!(registry.delete_board(&default(), &id(1), None).unwrap(), None);
    assert_eq!(registry.delete_marker(&default(), &id(1), None).unwrap(), None);
    assert_eq!(registry.boards(&default()).unwrap().damaged, [""; 0]);
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    SqliteRegistry::new(&path).unwrap().check().unwrap();
    change(&path, "UPDATE schema_version SET version = 2");
    let refused = SqliteRegistry::new(&path).unwrap().check().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    assert!(refused.to_string().contains("version 2"), "{refused}");
}

#[test]
fn a_damaged_file_serves_again_once_it_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    std::fs::write(&path, b"no file of SQLite's at all, whatever its name says, and long enough to be one")
        .unwrap();
    let registry = SqliteRegistry::new(&path).unwrap();
    assert_eq!(registry.boards(&default()).unwrap_err().kind(), ErrorKind::Damaged);
    std::fs::remove_file(&path).unwrap();
    registry.create_board(&default(), &id(1), board("b"), 1).unwrap();
}
