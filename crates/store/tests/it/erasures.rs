//! What an erasure takes is in no answer from the moment it is applied, and in no file a while later; what it
//! does not take stays.

use std::sync::Arc;

use skein_event::ids::Environment;
use skein_store::{Closing, ErrorKind, SegmentHandle, Store};

use crate::model::{batch_of, batch_of_datasets, random_batch};
use crate::world::{START_NS, World, found, wrong};

fn ours() -> Environment {
    Environment::default_environment()
}

fn check(world: &World, store: &Store) {
    for environment in [ours(), Environment::skein()] {
        let snapshot = store.snapshot(&environment).expect("a snapshot");
        assert!(
            found(&snapshot) == world.expected(&environment),
            "{environment}: other events than it should hold"
        );
    }
}

/// Whether the bytes of any segment file hold a text. Texts of a file may be compressed, so this looks at what
/// a reader of the whole file gets.
fn files_hold(world: &World, text: &str) -> bool {
    fn walk(folder: &std::path::Path, text: &str) -> bool {
        std::fs::read_dir(folder).expect("a folder").any(|entry| {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                return walk(&path, text);
            }
            let bytes = std::fs::read(&path).expect("a file");
            let segment = skein_store::segment::Segment::open(bytes).expect("a segment");
            let gathered = segment.gather(&segment.all_rows()).expect("gathers");
            let held = (0..gathered.batch.dictionary.len())
                .any(|code| gathered.batch.dictionary.get(code as u32).starts_with(text.as_bytes()));
            // Values that no row has, too.
            let in_dictionaries = segment.columns().any(|info| {
                let column = segment.column(info.expect("is told").id).expect("opens");
                let Ok(mut texts) = column.text() else { return false };
                (0..column.dictionary_len())
                    .any(|code| texts.get(code).is_ok_and(|value| value.starts_with(text.as_bytes())))
            });
            held || in_dictionaries
        })
    }
    walk(&world.folder.path().join("segments"), text)
}

fn footers_hold(world: &World, text: &str) -> bool {
    let bytes = std::fs::read(world.folder.path().join("footers.cat")).expect("a file");
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn an_erasure_hides_older_events_at_once_and_newer_ones_never() {
    let mut world = World::new();
    let store = world.open();
    let fill = |world: &mut World, seed: u64| {
        for step in 0..4 {
            world.append(&store, &ours(), (step % 2) as u16, random_batch(seed + step, 300));
            world.append(&store, &Environment::skein(), (step % 2) as u16, random_batch(seed + step, 50));
        }
    };
    fill(&mut world, 1);
    store.flush_all().expect("flushes");
    fill(&mut world, 11);
    store.seal().expect("seals");
    fill(&mut world, 21);
    let all = world.expected(&ours()).len();
    let filter = "[110, 97, 109, 101, 32, 51]"; // the name `name 3`
    world.erase(&store, &ours(), filter);
    let left = world.expected(&ours()).len();
    assert!(left < all && left > all / 2, "{left} of {all}");
    check(&world, &store);
    fill(&mut world, 31);
    check(&world, &store);
    assert!(world.expected(&ours()).iter().any(|row| row.contains(filter)), "newer ones are there");
    let status = &store.erasures(&ours())[0];
    assert!(status.segments > 0 && status.head_rows > 0 && status.ended_ns.is_none(), "{status:?}");
    assert!(store.erasures(&Environment::skein()).is_empty());
    // Replayed from the log, and then read from its file.
    check(&world, &world.open());
    let store = world.open();
    store.flush_all().expect("flushes");
    check(&world, &store);
    let store = world.open();
    check(&world, &store);
    while store.erase_next().expect("erases") {
        check(&world, &store);
    }
    let status = &store.erasures(&ours())[0];
    assert_eq!((status.segments, status.head_rows, status.ended_ns), (0, 0, Some(START_NS)), "{status:?}");
    let snapshot = store.snapshot(&ours()).expect("a snapshot");
    let hides =
        |handle: &Arc<SegmentHandle>| handle.has_erasures() || handle.open().expect("opens").has_erased();
    assert!(!snapshot.segments.iter().any(hides), "nothing is left to hide");
    while store.compact_as(Closing::All).expect("compacts") {}
    check(&world, &store);
    check(&world, &world.open());
}

/// The text of what was erased is nowhere in the files, not even unused in a dictionary.
#[test]
fn nothing_of_what_was_erased_stays_in_a_file() {
    for way in ["erase", "compact", "flush"] {
        let mut world = World::new();
        let store = world.open();
        for step in 0..3 {
            world.append(&store, &ours(), 0, batch_of("a", "keep", 200, START_NS));
            world.append(&store, &ours(), 0, batch_of("secret dataset", "secret", 100, START_NS));
            if way != "flush" && step < 2 {
                store.flush_all().expect("flushes");
            }
        }
        if way != "flush" {
            store.flush_all().expect("flushes");
            assert!(files_hold(&world, "secret"));
            while store.keep_footers().expect("keeps") {}
            assert!(footers_hold(&world, "secret dataset"));
        }
        world.erase(
            &store,
            &ours(),
            "secret".chars().map(|c| (c as u32).to_string()).collect::<Vec<_>>().join(", ").as_str(),
        );
        check(&world, &store);
        match way {
            "erase" => while store.erase_next().expect("erases") {},
            "compact" => while store.compact_as(Closing::All).expect("compacts") {},
            _ => {}
        }
        store.flush_all().expect("flushes");
        check(&world, &store);
        drop(store);
        assert!(!files_hold(&world, "secret"), "{way}");
        let store = world.open();
        check(&world, &store);
        while store.erase_next().expect("erases") {}
        assert!(store.erasures(&ours())[0].ended_ns.is_some(), "{way}");
        assert!(!footers_hold(&world, "secret dataset"), "{way}: what is derived says it still");
        check(&world, &store);
    }
}

#[test]
fn what_cannot_be_evaluated_is_refused_rather_than_shown() {
    let mut world = World::new();
    let store = world.open();
    world.append(&store, &ours(), 0, random_batch(1, 10));
    world.erase(&store, &ours(), "x");
    world.append(&store, &Environment::skein(), 0, random_batch(1, 10));
    world.can_match = false;
    let blind = world.open();
    assert_eq!(blind.snapshot(&ours()).expect_err("is refused").kind(), ErrorKind::Erasure);
    assert_eq!(blind.flush_all().expect_err("is refused").kind(), ErrorKind::Erasure);
    blind.snapshot(&Environment::skein()).expect("has no erasure");
}

#[test]
fn an_erasure_that_fails_anywhere_hides_and_loses_nothing_else() {
    let mut ended = false;
    for fail_after in 0..200 {
        let mut world = World::new();
        let store = world.open();
        for step in 0..3 {
            world.append(&store, &ours(), (step % 2) as u16, batch_of_datasets(step, 60));
            store.flush_all().expect("flushes");
        }
        world.append(&store, &ours(), 0, batch_of_datasets(9, 60));
        world.erase(&store, &ours(), "[110, 97, 109, 101, 32, 50]"); // the name `name 2`
        world.append(&store, &ours(), 0, batch_of_datasets(10, 60));
        world.steps.fail_after(Some(fail_after));
        let mut outcome = store.flush_all();
        while outcome.is_ok() {
            match store.erase_next() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => outcome = Err(error),
            }
        }
        check(&world, &store);
        world.steps.fail_after(None);
        let reopened = world.open();
        check(&world, &reopened);
        assert!(wrong(&reopened).is_empty(), "{fail_after}: {:?}", wrong(&reopened));
        reopened.flush_all().expect("flushes");
        while reopened.erase_next().expect("erases") {}
        check(&world, &reopened);
        assert!(reopened.erasures(&ours())[0].ended_ns.is_some());
        if outcome.is_ok() {
            ended = true;
            break;
        }
    }
    assert!(ended, "the erasure never succeeded");
}

#[test]
fn a_damaged_erasure_is_not_forgotten_silently() {
    let mut world = World::new();
    let store = world.open();
    world.append(&store, &ours(), 0, random_batch(1, 10));
    let id = world.erase(&store, &ours(), "x");
    store.flush_all().expect("flushes");
    drop(store);
    let path = world.folder.path().join(format!("erasures/{id:032x}.erase"));
    let mut bytes = std::fs::read(&path).expect("is there");
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).expect("writes");
    let error = world.try_open().err().expect("is refused");
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(error.to_string().contains(".erase"), "{error}");
}
