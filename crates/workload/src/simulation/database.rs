//! The database behind pools of connections: a few cores shared by what runs, row locks in the order they
//! were asked for, and a cache in front.

use std::collections::{HashMap, VecDeque};

use super::frame::{Failure, Flow, Frame, FrameId, OpenQuery, PodId, Purpose, Signal, Waiting};
use super::pods::scaled;
use super::{Event, Simulation, Waiters};
use crate::load::PRODUCTS;
use crate::model::{Query, SELECT_SEARCH};
use crate::random::Random;
use crate::telemetry::Severity;

/// Cores of the database server at the model's rate.
const CORES: usize = 4;

/// Warehouses: rows that stock is reserved from.
const WAREHOUSES: usize = 40;

/// A request gives up waiting for a connection after this.
const CONNECTION_TIMEOUT_NS: i64 = 1_000_000_000;

/// A statement gives up waiting for a lock after this (`lock_timeout`).
const LOCK_TIMEOUT_NS: i64 = 3_000_000_000;

/// A leaked connection is taken back by the pool after this.
const LEAK_RECLAIM_NS: i64 = 90_000_000_000;

/// Waiting for a connection longer than this is worth a warning.
const SLOW_CONNECTION_NS: i64 = 250_000_000;

/// The database, its locks, and the cache.
#[derive(Debug)]
pub(super) struct Database {
    cores: usize,
    running: usize,
    locks: HashMap<usize, RowLock>,
    /// Until when each product is cached.
    pub(super) cache: HashMap<usize, i64>,
}

#[derive(Debug, Default)]
struct RowLock {
    held: bool,
    waiters: Waiters,
}

impl Database {
    pub(super) fn new(scale: f64) -> Database {
        Database { cores: scaled(CORES, scale), running: 0, locks: HashMap::new(), cache: HashMap::new() }
    }
}

impl Simulation {
    /// A shop that has been open for a while has most products in the cache, put there at different times.
    pub(super) fn warm_cache(&mut self) {
        let mut random = Random::new(self.seed, 4);
        for product in 0..PRODUCTS {
            let left_ns = random.between(0, self.conditions.cache_ttl_ns);
            self.database.cache.insert(product, self.now_ns + left_ns);
        }
    }

    pub(super) fn ask_cache(&mut self, id: FrameId, frame: &mut Frame, query: &'static Query) -> Flow {
        frame.waiting = Waiting::Cache(self.open(query, Purpose::Fill));
        let duration_ns = self.random.service_time(450_000.0, 0.4);
        self.signal_after(duration_ns, id, frame, Signal::CacheAnswered);
        Flow::Wait
    }

    pub(super) fn cache_answered(&mut self, id: FrameId, frame: &mut Frame, open: OpenQuery) -> Flow {
        let until_ns = self.database.cache.get(&frame.request.product).copied();
        let hit = until_ns.is_some_and(|until_ns| until_ns > self.now_ns);
        frame.cache_hit = Some(hit);
        self.describe_cache(frame, open, hit);
        if hit { Flow::Next } else { self.query(id, frame, open.query, Purpose::Fill) }
    }

    pub(super) fn query(
        &mut self,
        id: FrameId,
        frame: &mut Frame,
        query: &'static Query,
        purpose: Purpose,
    ) -> Flow {
        let open = self.open(query, purpose);
        if frame.transaction.is_some() {
            return self.run_query(id, frame, open);
        }
        let Some(pod) = self.pods.get_mut(frame.pod) else { return Flow::Next };
        if pod.connections_used < pod.connections {
            pod.connections_used += 1;
            return self.connected(id, frame, open);
        }
        pod.connection_waiters.push_back((id, frame.token));
        frame.waiting = Waiting::Connection(open);
        self.signal_after(CONNECTION_TIMEOUT_NS, id, frame, Signal::TimedOut);
        Flow::Wait
    }

    fn open(&mut self, query: &'static Query, purpose: Purpose) -> OpenQuery {
        let now_ns = self.now_ns;
        OpenQuery {
            query,
            purpose,
            span_id: self.random.span_id(),
            start_ns: now_ns,
            connected_ns: now_ns,
            locked_ns: now_ns,
        }
    }

    /// The frame has a connection of its pod.
    pub(super) fn connected(&mut self, id: FrameId, frame: &mut Frame, mut open: OpenQuery) -> Flow {
        open.connected_ns = self.now_ns;
        open.locked_ns = self.now_ns;
        let waited_ns = self.now_ns - open.start_ns;
        if waited_ns > SLOW_CONNECTION_NS {
            let fields = vec![("waited_ms", (waited_ns / 1_000_000).into()), ("pool", "shop".into())];
            self.log(frame, Severity::Warn, "waited long for a database connection", fields);
        }
        if open.purpose != Purpose::Begin {
            return self.run_query(id, frame, open);
        }
        let row = if self.conditions.reserve_first { 0 } else { frame.request.product % WAREHOUSES };
        let lock = self.database.locks.entry(row).or_default();
        if !lock.held {
            lock.held = true;
            return self.locked(id, frame, open, row);
        }
        lock.waiters.push_back((id, frame.token));
        frame.waiting = Waiting::Lock(open);
        self.signal_after(LOCK_TIMEOUT_NS, id, frame, Signal::TimedOut);
        Flow::Wait
    }

    pub(super) fn connection_timed_out(&mut self, frame: &mut Frame, open: OpenQuery) -> Flow {
        self.describe_query(frame, open, Err(Failure::PoolTimeout));
        Flow::End(Err(Failure::PoolTimeout))
    }

    /// The frame has the lock of a row, and with it a transaction.
    pub(super) fn locked(&mut self, id: FrameId, frame: &mut Frame, mut open: OpenQuery, row: usize) -> Flow {
        open.locked_ns = self.now_ns;
        frame.transaction = Some(row);
        self.run_query(id, frame, open)
    }

    pub(super) fn lock_timed_out(&mut self, frame: &mut Frame, open: OpenQuery) -> Flow {
        self.describe_query(frame, open, Err(Failure::LockTimeout));
        self.release_connection(frame.pod);
        Flow::End(Err(Failure::LockTimeout))
    }

    fn run_query(&mut self, id: FrameId, frame: &mut Frame, open: OpenQuery) -> Flow {
        self.database.running += 1;
        let crowding = (self.database.running as f64 / self.database.cores as f64).max(1.0);
        let plan = if std::ptr::eq(open.query, &SELECT_SEARCH) { self.conditions.search_factor } else { 1.0 };
        let mean_ns = f64::from(open.query.mean_us) * 1_000.0 * crowding * plan;
        let duration_ns = self.random.service_time(mean_ns, 0.35);
        frame.waiting = Waiting::Database(open);
        self.signal_after(duration_ns, id, frame, Signal::QueryDone);
        Flow::Wait
    }

    pub(super) fn query_done(&mut self, frame: &mut Frame, open: OpenQuery) -> Flow {
        self.database.running = self.database.running.saturating_sub(1);
        frame.database_ns += self.now_ns - open.start_ns;
        self.describe_query(frame, open, Ok(()));
        if open.purpose == Purpose::Fill {
            self.database.cache.insert(frame.request.product, self.now_ns + self.conditions.cache_ttl_ns);
        }
        if frame.transaction.is_none() {
            self.give_back_connection(frame);
        }
        Flow::Next
    }

    /// Gives the connection back, unless a defect forgets to.
    fn give_back_connection(&mut self, frame: &Frame) {
        let leaks = self.conditions.leak_probability > 0.0
            && frame.operation == crate::model::Operation::CartAdd
            && self.random.chance(self.conditions.leak_probability);
        if leaks {
            self.schedule(self.now_ns + LEAK_RECLAIM_NS, Event::Reclaim { pod: frame.pod });
        } else {
            self.release_connection(frame.pod);
        }
    }

    pub(super) fn end_transaction(&mut self, frame: &mut Frame) {
        if let Some(row) = frame.transaction.take() {
            self.release_lock(row);
            self.release_connection(frame.pod);
        }
    }

    pub(super) fn release_connection(&mut self, id: PodId) {
        let Some(pod) = self.pods.get_mut(id) else { return };
        match next_waiter(&mut pod.connection_waiters, &self.frames) {
            Some((frame, token)) => {
                let signal = Signal::ConnectionGranted { pod: id };
                self.schedule(self.now_ns, Event::Signal { frame, token, signal });
            }
            None => pod.connections_used = pod.connections_used.saturating_sub(1),
        }
    }

    pub(super) fn release_lock(&mut self, row: usize) {
        let Some(lock) = self.database.locks.get_mut(&row) else { return };
        match next_waiter(&mut lock.waiters, &self.frames) {
            Some((frame, token)) => {
                self.schedule(
                    self.now_ns,
                    Event::Signal { frame, token, signal: Signal::LockGranted { row } },
                );
            }
            None => lock.held = false,
        }
    }
}

/// The first in line who still waits.
fn next_waiter(
    waiters: &mut VecDeque<(FrameId, u64)>,
    frames: &HashMap<FrameId, Frame>,
) -> Option<(FrameId, u64)> {
    while let Some((id, token)) = waiters.pop_front() {
        if frames.get(&id).is_some_and(|frame| frame.token == token) {
            return Some((id, token));
        }
    }
    None
}
