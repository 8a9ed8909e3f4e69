//! Guarantees that concern more than one crate, each a test named after it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

use skein_event::flow::{Append, BatchKey, EventSink as _};
use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::split::split;
use skein_log::disk::RealDisk;
use skein_log::{DurableRecord, Follower, Log, LogConfig};
use skein_sim::random::Random;
use skein_sim::random::data::{ARRIVAL_NS, Generator};
use skein_sim::random::question::question;
use skein_sim::subject::{Still, Subject, decode};

/// What happened, in order.
#[derive(Debug, Default)]
struct Story(Mutex<Vec<&'static str>>);

impl Story {
    fn tell(&self, what: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

impl Follower for Story {
    fn apply(&self, _records: Vec<DurableRecord>) {
        self.tell("applied");
    }

    fn has_import(&self, _: &Environment, _: Partition, _: &[u8; 32], _: u32) -> bool {
        false
    }
}

impl Wake for Story {
    fn wake(self: Arc<Self>) {
        self.tell("acknowledged");
    }
}

/// I2: who hears that a batch was taken finds it in the next snapshot, because the head had it before.
#[test]
fn a_batch_is_applied_before_it_is_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let story = Arc::new(Story::default());
    let follower: Arc<dyn Follower> = Arc::<Story>::clone(&story);
    let config =
        LogConfig { partitions: 1, ..LogConfig::new(Path::new(folder.path()).to_owned(), HashKey(1)) };
    let clock = Arc::new(Still(ARRIVAL_NS));
    let opened = Log::open_stepped(config, Arc::new(RealDisk), clock, vec![Offset(0)], follower);
    let (log, mut committer) = opened.expect("a new log");
    let batch = decode(&Generator::new(Random::new(1)).request(5), false).expect("a batch");
    let environment = Environment::default_environment();
    let append = Append { environment, key: BatchKey::Unique(1), batch, reply: Vec::new() };
    let mut future = log.append(append);
    let waker = Waker::from(Arc::clone(&story));
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    committer.step();
    assert_eq!(*story.0.lock().expect("the story"), ["applied", "acknowledged"]);
}

/// I9: nothing between door and answer draws randomness or reads a clock of its own.
#[test]
fn the_same_input_gives_the_same_bytes() {
    for seed in 0..20 {
        let answers = |()| {
            let mut random = Random::new(seed);
            let mut generator = Generator::new(random.fork());
            let environment = Environment::default_environment();
            let mut subject = Subject::default();
            let mut told = Vec::new();
            for _ in 0..4 {
                let request = generator.request(20);
                let batch = decode(&request, false).expect("a batch");
                let parts = split(batch.clone(), &environment, 7, 8, HashKey(1));
                told.push(format!("{batch:?} {parts:?}"));
                subject.ingest(&environment, &request, false).expect("stored whole");
            }
            subject.settle(&mut random).expect("segments");
            told.extend((0..30).map(|_| match subject.data(&environment, &question(&mut random)) {
                Ok(data) => data.to_string(),
                Err(error) => error.to_string(),
            }));
            told
        };
        let (first, second) = (answers(()), answers(()));
        let differs = first.iter().zip(&second).position(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}: step {differs:?} gives other bytes the second time");
    }
}
