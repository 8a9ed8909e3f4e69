//! What the store holds in memory: counted as it is, bounded, and given back.

use std::sync::atomic::Ordering;

use skein_event::ids::Environment;
use skein_event::limits::OPEN_SEGMENT_IDLE_NS;

use crate::model::random_batch;
use crate::world::{RELEASED, World, found};

fn ours() -> Environment {
    Environment::default_environment()
}

#[test]
fn a_head_block_holds_no_more_than_its_bytes() {
    let mut world = World::new();
    let store = world.open();
    for step in 0..9 {
        world.append(&store, &ours(), 0, random_batch(step, 1_000));
    }
    assert!(store.memory().head_batches > 0);
    assert!(store.seal().expect("seals"));
    let memory = store.memory();
    assert_eq!(memory.head_batches, 0, "the batches are gone");
    let snapshot = store.snapshot(&ours()).expect("a snapshot");
    assert_eq!(snapshot.segments.len(), 1);
    let segment = snapshot.segments.get(0).expect("a block").open().expect("opens");
    assert_eq!((segment.held_bytes(), memory.head_blocks), (segment.byte_len(), segment.byte_len()));
    assert_eq!(store.stats(&ours()).head_bytes, memory.head_blocks, "and nothing else is counted");
}

#[test]
fn a_replay_encodes_what_it_reads_beyond_a_bound() {
    let mut world = World::new();
    let store = world.open();
    for step in 0..40 {
        world.append(&store, &ours(), 0, random_batch(step, 1_000));
    }
    let all = store.memory().head_batches;
    drop(store);
    // Half of them may lie in memory as they come; a block that is still open lies there in any case.
    world.replay_max = usize::try_from(all / 2).expect("fits");
    let store = world.open();
    let memory = store.memory();
    assert_eq!(store.stats(&ours()).head_rows, 40_000);
    assert!(memory.head_blocks > 0 && memory.head_batches <= all / 2, "{memory:?} of {all}");
    assert!(found(&store.snapshot(&ours()).expect("a snapshot")) == world.expected(&ours()));
}

#[test]
fn files_are_open_only_while_somebody_asks() {
    let mut world = World::new();
    let store = world.open();
    for step in 0..2 {
        world.append(&store, &ours(), 0, random_batch(step, 50));
        store.flush_all().expect("flushes");
    }
    assert_eq!(store.open_files(), 0, "what was just written is not held");
    let snapshot = store.snapshot(&ours()).expect("a snapshot");
    let open = |place: usize| drop(snapshot.segments.get(place).expect("a file").open().expect("opens"));
    store.close_idle_files();
    open(0);
    open(1);
    assert_eq!(store.open_files(), 2);
    store.close_idle_files();
    assert_eq!(store.open_files(), 2, "nobody looks so soon again");
    for left in [2, 1, 0] {
        world.clock.pass(OPEN_SEGMENT_IDLE_NS);
        store.close_idle_files();
        assert_eq!(store.open_files(), left);
        if left > 1 {
            open(0);
        }
    }
    assert!(found(&snapshot) == world.expected(&ours()), "and opened again");
}

#[test]
fn threads_that_fall_idle_give_memory_back() {
    let mut world = World::new();
    let store = world.open();
    let before = RELEASED.load(Ordering::SeqCst);
    let background = store.start().expect("starts");
    world.append(&store, &ours(), 0, random_batch(1, 9_000));
    // The thread that sealed them is the one that has worked.
    while RELEASED.load(Ordering::SeqCst) == before {
        std::thread::yield_now();
    }
    background.stop().expect("stops");
}
