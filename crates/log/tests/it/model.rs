//! Clients that append with retries while machines crash and disks fail, against a model of what they were
//! promised: no acknowledged event lost, none twice, none altered.
//!
//! `SKEIN_SIM_SEEDS` widens the run, `SKEIN_SIM_SEED` replays one seed, which every failure prints.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use skein_event::flow::{AppendFuture, BatchKey, EventSink as _, SinkError};
use skein_event::ids::Partition;
use skein_log::disk::Disk;
use skein_log::{Committer, FindingKind, Log, LogConfig, Step};

use crate::disk::{Fault, FaultKind, Random, SimDisk};
use crate::world::{Store, TestClock, append, batch, client_key, config, open, poll};

const PARTITIONS: u16 = 3;
const CLIENTS: usize = 3;
/// Steps after which a client that was not answered on a healthy disk never will be.
const PATIENCE: usize = 400;

/// What a client knows of one of its batches.
#[derive(Clone, Debug)]
struct Sent {
    tag: u64,
    rows: u32,
    key: BatchKey,
    attempts: u32,
    /// The reply of the first acknowledgement.
    acknowledged: Option<Vec<u8>>,
}

struct World {
    random: Random,
    disk: SimDisk,
    shared: Arc<dyn Disk>,
    clock: Arc<TestClock>,
    store: Arc<Store>,
    config: LogConfig,
    batches: Vec<Sent>,
    next_tag: u64,
    batches_max: usize,
}

impl World {
    fn new(seed: u64, batches_max: usize) -> World {
        let disk = SimDisk::new(seed ^ 0xd15c);
        World {
            random: Random::new(seed),
            shared: Arc::new(disk.clone()),
            disk,
            clock: TestClock::new(),
            store: Store::new(PARTITIONS),
            config: config(PARTITIONS),
            batches: Vec::new(),
            next_tag: 1,
            batches_max,
        }
    }

    /// Opens the log, again and again while the disk fails.
    fn open(&mut self) -> (Log, Committer) {
        for attempt in 0..PATIENCE {
            if attempt == 50 {
                // A full disk does not open: the operator makes room.
                self.disk.set_capacity(u64::MAX);
            }
            match open(&self.config, &self.shared, &self.clock, &self.store) {
                Ok((log, committer)) => {
                    for finding in log.findings() {
                        assert_eq!(
                            finding.kind,
                            FindingKind::Torn,
                            "nothing durable is damaged: {finding:?}"
                        );
                    }
                    return (log, committer);
                }
                Err(_) => self.disk.kill(),
            }
        }
        panic!("the log does not open");
    }

    /// Which batch to send next: a new one, one without an answer, or an answered one again.
    fn choose(&mut self) -> Option<usize> {
        let open: Vec<usize> =
            (0..self.batches.len()).filter(|&index| self.batches[index].acknowledged.is_none()).collect();
        let may_add = self.batches.len() < self.batches_max;
        match self.random.below(8) {
            0 if !self.batches.is_empty() => Some(self.random.below(self.batches.len())),
            1..6 if may_add => Some(self.add()),
            _ if !open.is_empty() => Some(open[self.random.below(open.len())]),
            _ if may_add => Some(self.add()),
            _ => None,
        }
    }

    fn add(&mut self) -> usize {
        let tag = self.next_tag;
        self.next_tag += 1;
        let key = match self.random.below(4) {
            0 => BatchKey::Digest(u128::from(tag) << 70),
            1 => BatchKey::Import { file: [7; 32], line: u32::try_from(tag).unwrap() },
            _ => client_key(tag),
        };
        let rows = 1 + u32::try_from(self.random.below(6)).unwrap();
        self.batches.push(Sent { tag, rows, key, attempts: 0, acknowledged: None });
        self.batches.len() - 1
    }

    fn answered(&mut self, index: usize, result: Result<skein_event::flow::Appended, SinkError>) {
        let sent = &mut self.batches[index];
        match (result, &sent.acknowledged) {
            (Ok(appended), Some(first)) => {
                assert!(appended.duplicate, "batch {} was there already", sent.tag);
                if !matches!(sent.key, BatchKey::Import { .. }) {
                    assert_eq!(&appended.reply, first, "the first reply of batch {}", sent.tag);
                }
            }
            (Ok(appended), None) => sent.acknowledged = Some(appended.reply),
            (Err(SinkError::Unavailable { retry_after_ms, .. }), _)
            | (Err(SinkError::Overloaded { retry_after_ms }), _) => assert!(retry_after_ms > 0),
            (Err(SinkError::TooLarge), _) => panic!("no batch is too large"),
        }
    }

    /// What the clients were promised, against what is visible.
    fn check(&self) {
        let mut visible = self.store.visible();
        for sent in &self.batches {
            for row in 0..sent.rows {
                let count = visible.remove(&(sent.tag, row)).unwrap_or_default();
                assert!(count < 2, "event {}-{row} is there {count} times", sent.tag);
                assert!(
                    sent.acknowledged.is_none() || count == 1,
                    "event {}-{row} was acknowledged and is lost",
                    sent.tag
                );
            }
        }
        assert_eq!(visible, BTreeMap::new(), "nothing comes from nowhere");
        assert_eq!(self.disk.touched_after_failed_sync(), 0, "a sealed file is left alone");
    }

    /// One life of the process: up to `steps` random actions.
    fn live(&mut self, steps: usize) {
        let (log, mut committer) = self.open();
        self.check();
        let mut waiting: Vec<(usize, AppendFuture<'_>)> = Vec::new();
        for _ in 0..steps {
            self.clock.advance_ms(1 + i64::try_from(self.random.below(300)).unwrap());
            match self.random.below(10) {
                0..6 => {
                    if waiting.len() < CLIENTS
                        && let Some(index) = self.choose()
                    {
                        let future = self.send(&log, index);
                        waiting.push((index, future));
                    }
                }
                6..9 => {
                    let step = committer.step();
                    self.collect(&mut waiting);
                    if step == Step::Idle {
                        assert!(waiting.is_empty(), "an idle log owes no answer");
                    }
                }
                _ => self.flush(&log),
            }
        }
        if self.random.one_in(3) {
            log.close();
            while committer.step() == Step::Worked {}
            self.collect(&mut waiting);
        }
        self.check();
    }

    fn send<'a>(&mut self, log: &'a Log, index: usize) -> AppendFuture<'a> {
        let sent = &mut self.batches[index];
        sent.attempts += 1;
        let reply = format!("{}/{}", sent.tag, sent.attempts);
        log.append(append(sent.key.clone(), batch(sent.tag, sent.rows), &reply))
    }

    fn collect(&mut self, waiting: &mut Vec<(usize, AppendFuture<'_>)>) {
        waiting.retain_mut(|(index, future)| match poll(future) {
            Some(result) => {
                self.answered(*index, result);
                false
            }
            None => true,
        });
    }

    fn flush(&mut self, log: &Log) {
        let partition = Partition(u16::try_from(self.random.below(usize::from(PARTITIONS))).unwrap());
        let low = self.store.flush(partition);
        // A failed deletion is tried again at the next trim.
        drop(log.trim(partition, low));
    }

    fn end_life(&mut self) {
        if self.random.one_in(2) {
            self.disk.kill();
        } else {
            self.disk.power_failure();
        }
    }

    /// On a healthy disk every batch is acknowledged in the end, and survives.
    fn finish(&mut self) {
        self.disk.heal();
        {
            let (log, mut committer) = self.open();
            for index in 0..self.batches.len() {
                let mut rounds = 0;
                while self.batches[index].acknowledged.is_none() {
                    rounds += 1;
                    assert!(rounds < PATIENCE, "batch {} is never acknowledged", self.batches[index].tag);
                    let mut future = self.send(&log, index);
                    committer.step();
                    if let Some(result) = poll(&mut future) {
                        self.answered(index, result);
                    }
                }
            }
            self.check();
        }
        for _ in 0..2 {
            self.disk.power_failure();
            drop(self.open());
            self.check();
        }
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed, 24);
    let lives = 2 + world.random.below(4);
    for _ in 0..lives {
        if world.random.one_in(2) {
            let one_in = 20 + world.random.below(200) as u64;
            world.disk.fail_at_random(one_in);
        } else {
            world.disk.fail_at_random(0);
        }
        if world.random.one_in(4) {
            let used = 60_000 + world.random.below(400_000) as u64;
            world.disk.set_capacity(used);
        }
        if world.random.one_in(2) {
            let call = world.disk.calls() + world.random.below(150) as u64;
            world.disk.plan(Fault { call, kind: FaultKind::Death });
        }
        let steps = 10 + world.random.below(50);
        world.live(steps);
        world.end_life();
        world.disk.set_capacity(u64::MAX);
    }
    world.finish();
}

/// Runs a case and names its seed when it fails.
fn named<T>(what: &str, case: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(case)) {
        Ok(value) => value,
        Err(cause) => {
            println!("failed: {what}");
            std::panic::resume_unwind(cause)
        }
    }
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn no_acknowledged_event_is_lost_or_twice_or_altered() {
    if let Some(seed) = number_of("SKEIN_SIM_SEED") {
        return run(seed);
    }
    for seed in 0..number_of("SKEIN_SIM_SEEDS").unwrap_or(10_000) {
        named(&format!("SKEIN_SIM_SEED={seed}"), || run(seed));
    }
}

/// A fixed run, with one call of the disk failing. Returns how many calls it made.
fn run_with_fault(fault: Option<Fault>) -> u64 {
    let mut world = World::new(42, 12);
    if let Some(fault) = fault {
        world.disk.plan(fault);
    }
    for life in 0..3 {
        world.live(30);
        if life == 1 {
            world.disk.power_failure();
        } else {
            world.disk.kill();
        }
    }
    world.finish();
    world.disk.calls()
}

#[test]
fn any_call_may_fail() {
    let calls = run_with_fault(None);
    assert!(calls > 200, "the run reaches the disk: {calls}");
    for call in 0..calls {
        for kind in [FaultKind::Io, FaultKind::NoSpace, FaultKind::Death] {
            let fault = Fault { call, kind };
            named(&format!("{fault:?}"), || run_with_fault(Some(fault)));
        }
    }
}
