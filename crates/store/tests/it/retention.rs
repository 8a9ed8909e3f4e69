//! Events go when their time is over, counted from their arrival; nothing younger goes.

use skein_event::flow::BatchKey;
use skein_event::ids::{Environment, Partition};
use skein_log::Follower as _;
use skein_store::{Closing, Keep, Retention, Store};

use crate::model::batch_of;
use crate::world::{START_NS, World, found, wrong};

const HOUR_NS: i64 = 3_600 * 1_000_000_000;
const DAY_NS: i64 = 24 * HOUR_NS;

fn ours() -> Environment {
    Environment::default_environment()
}

fn days(days: i64) -> Keep {
    Keep { age_ns: Some(days * DAY_NS), bytes_max: None }
}

fn retain(store: &Store) {
    while store.retain_next().expect("retains") {}
}

/// The names of the events that are left.
fn names(store: &Store) -> Vec<String> {
    let mut names = Vec::new();
    for handle in store.snapshot(&ours()).expect("a snapshot").segments.iter() {
        let segment = handle.open().expect("opens");
        let batch = segment.gather(&segment.all_rows()).expect("gathers").batch;
        for column in batch.columns.iter().filter(|column| &*column.key.name == "name") {
            let text = |&code: &u32| String::from_utf8_lossy(batch.dictionary.get(code)).into_owned();
            match &column.values {
                skein_event::batch::Values::Code(codes) => names.extend(codes.iter().map(text)),
                _ => names.push("a name that is not text".to_owned()),
            }
        }
    }
    names.sort();
    names
}

/// Forty days of three datasets under a clock that is simulated, with event times that say nothing about arrival.
#[test]
fn each_dataset_goes_by_its_own_age_and_nothing_younger_goes() {
    let mut world = World::new();
    world.retention = Retention {
        default: days(20),
        datasets: [
            ("short".to_owned(), days(5)),
            ("kept".to_owned(), Keep { age_ns: None, bytes_max: None }),
        ]
        .into(),
    };
    let store = world.open();
    let mut arrived: Vec<(String, Option<i64>, i64)> = Vec::new();
    for day in 0..40_i64 {
        for (dataset, age) in [("short", Some(5)), ("kept", None), ("other", Some(20))] {
            let tag = format!("{dataset} {day}");
            // Old and future events arrive, too: only their arrival counts.
            let time = START_NS + [0, -300 * DAY_NS, 20 * HOUR_NS][(day % 3) as usize] + day * DAY_NS;
            world.append(&store, &ours(), (day % 2) as u16, batch_of(dataset, &tag, 2, time));
            arrived.push((tag, age, day));
        }
        store.flush_all().expect("flushes");
        while store.compact_as(Closing::Ended).expect("compacts") {}
        world.clock.pass(DAY_NS);
        retain(&store);
        let left = names(&store);
        let now = day + 1;
        for (tag, age, came) in &arrived {
            let there =
                left.iter().filter(|name| name.rsplit_once('-').is_some_and(|(of, _)| of == tag)).count();
            let expected = if age.is_some_and(|age| now - came > age) { 0 } else { 2 };
            assert_eq!(there, expected, "{tag} on day {now}");
        }
    }
    drop(store);
    let store = world.open();
    assert!(wrong(&store).is_empty(), "{:?}", wrong(&store));
    assert!(store.removed_by_retention(&ours(), Some("short"), START_NS));
    assert!(!store.removed_by_retention(&ours(), Some("short"), START_NS + 39 * DAY_NS));
    assert!(!store.removed_by_retention(&ours(), Some("kept"), START_NS));
    assert!(!store.removed_by_retention(&Environment::skein(), Some("short"), START_NS));
}

#[test]
fn beyond_its_bytes_a_dataset_loses_what_came_first() {
    let mut world = World::new();
    let store = world.open();
    for day in 0..6 {
        world.append(&store, &ours(), 0, batch_of("large", &format!("large {day}"), 500, START_NS));
        world.append(&store, &ours(), 0, batch_of("small", &format!("small {day}"), 500, START_NS));
        store.flush_all().expect("flushes");
        world.clock.pass(HOUR_NS);
    }
    let bytes = store.stats(&ours()).segment_bytes;
    drop(store);
    // Half of a dataset's share of all.
    let large = Keep { age_ns: None, bytes_max: Some(bytes / 4) };
    world.retention = Retention { default: days(60), datasets: [("large".to_owned(), large)].into() };
    let store = world.open();
    retain(&store);
    let left = names(&store);
    let of = |tag: &str| left.iter().filter(|name| name.starts_with(tag)).count();
    assert_eq!(of("small"), 3_000, "the other dataset keeps everything");
    assert_eq!([of("large 0"), of("large 1"), of("large 4"), of("large 5")], [0, 0, 500, 500]);
    assert!(store.written().of(&ours(), skein_store::Work::Retention).rows > 0, "segments are rewritten");
}

#[test]
fn import_lines_stay_known_after_their_events_are_gone() {
    let mut world = World::new();
    world.retention.default = days(1);
    let store = world.open();
    let key = BatchKey::Import { file: [7; 32], line: 3 };
    world.append_keyed(&store, &ours(), 0, batch_of("a", "line", 4, START_NS), key);
    store.flush_all().expect("flushes");
    world.clock.pass(2 * DAY_NS);
    retain(&store);
    assert_eq!(names(&store), Vec::<String>::new());
    for store in [&store, &world.open()] {
        assert!(store.has_import(&ours(), Partition(0), &[7; 32], 3));
        assert_eq!(store.stats(&ours()).segments, 0);
    }
}

#[test]
fn a_retention_that_fails_anywhere_removes_nothing_else() {
    let mut ended = false;
    for fail_after in 0..120 {
        let mut world = World::new();
        world.retention = Retention { default: days(60), datasets: [("short".to_owned(), days(1))].into() };
        let store = world.open();
        world.append(&store, &ours(), 0, batch_of("short", "short", 40, START_NS));
        store.flush_all().expect("flushes");
        world.append(&store, &ours(), 1, batch_of("short", "short", 40, START_NS));
        world.append(&store, &ours(), 1, batch_of("long", "long", 40, START_NS));
        store.flush_all().expect("flushes");
        world.clock.pass(3 * DAY_NS);
        world.append(&store, &ours(), 0, batch_of("short", "new", 40, START_NS));
        let before = found(&store.snapshot(&ours()).expect("a snapshot"));
        world.steps.fail_after(Some(fail_after));
        let mut outcome = Ok(true);
        while let Ok(true) = outcome {
            outcome = store.retain_next();
        }
        let stays = |store: &Store| {
            let left = names(store);
            let of = |tag: &str| left.iter().filter(|name| name.starts_with(tag)).count();
            assert_eq!((of("long"), of("new")), (40, 40), "{fail_after}");
            assert!([0, 40, 80].contains(&of("short")), "{fail_after}");
            of("short")
        };
        stays(&store);
        world.steps.fail_after(None);
        let reopened = world.open();
        assert!(wrong(&reopened).is_empty(), "{fail_after}: {:?}", wrong(&reopened));
        stays(&reopened);
        retain(&reopened);
        assert_eq!(stays(&reopened), 0);
        assert_eq!(before.len(), 160);
        if outcome.is_ok() {
            ended = true;
            break;
        }
    }
    assert!(ended, "retention never succeeded");
}
