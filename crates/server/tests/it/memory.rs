//! A storage in memory that can be told to fail, so that each answer of a door can be had at will.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use skein_api::metrics::NoGauges;
use skein_api::state::NoKeeper;
use skein_event::flow::{Append, AppendFuture, Appended, BatchKey, EventSink, SinkError};
use skein_event::hash::HashKey;
use skein_event::ids::Environment;
use skein_event::observe::Clock;
use skein_query::plan::TimeRange;
use skein_query::result::{ColumnInfo, Data, DatasetInfo, Meta, QueryResult, TraceRows, ValueCount};
use skein_query::{Plan, QueryEngine, QueryError, RunContext};
use skein_server::storage::Storage;
use skein_server::{Config, Observing, Running, start_with};
use tokio::sync::watch;

/// What an append does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Store,
    /// Waits until the mode changes, then stores.
    Hold,
    Fail(SinkError),
}

/// See the module.
pub(crate) struct Memory {
    pub(crate) mode: watch::Sender<Mode>,
    batches: Mutex<HashMap<BatchKey, Stored>>,
}

/// Owner, rows and reply of a batch.
type Stored = (Environment, usize, Vec<u8>);

impl Memory {
    /// Rows of an environment.
    pub(crate) fn rows(&self, environment: &str) -> usize {
        let batches = self.batches.lock().unwrap();
        batches.values().filter(|(owner, ..)| owner.as_str() == environment).map(|(_, rows, _)| rows).sum()
    }
}

impl EventSink for Memory {
    fn append(&self, append: Append) -> AppendFuture<'_> {
        Box::pin(async move {
            let mut mode = self.mode.subscribe();
            let now = mode.wait_for(|mode| *mode != Mode::Hold).await.unwrap().clone();
            if let Mode::Fail(error) = now {
                return Err(error);
            }
            let mut batches = self.batches.lock().unwrap();
            let duplicate = batches.contains_key(&append.key);
            let rows = append.batch.rows();
            let entry = batches.entry(append.key).or_insert((append.environment, rows, append.reply));
            Ok(Appended { duplicate, reply: entry.2.clone() })
        })
    }
}

/// Knows nothing.
struct NoEngine;

impl QueryEngine for NoEngine {
    fn run(&self, _plan: &Plan, _context: &RunContext<'_>) -> Result<QueryResult, QueryError> {
        Ok(QueryResult { data: Data::Nothing, meta: Meta::default() })
    }

    fn trace(
        &self,
        _environment: &Environment,
        trace_id: [u8; 16],
        _context: &RunContext<'_>,
    ) -> Result<TraceRows, QueryError> {
        Ok(TraceRows { trace_id, rows: Vec::new(), complete_to_ns: 0, meta: Meta::default() })
    }

    fn datasets(&self, _: &Environment, _: &RunContext<'_>) -> Result<Vec<DatasetInfo>, QueryError> {
        Ok(Vec::new())
    }

    fn columns(
        &self,
        _environment: &Environment,
        _dataset: Option<&str>,
        _context: &RunContext<'_>,
    ) -> Result<Vec<ColumnInfo>, QueryError> {
        Ok(Vec::new())
    }

    fn values(
        &self,
        _environment: &Environment,
        _dataset: Option<&str>,
        _column: &str,
        _prefix: &str,
        _limit: usize,
        _context: &RunContext<'_>,
    ) -> Result<Vec<ValueCount>, QueryError> {
        Ok(Vec::new())
    }

    fn scan(
        &self,
        _environment: &Environment,
        _datasets: &[String],
        _time_range: TimeRange,
        _context: &RunContext<'_>,
        _sink: &mut skein_query::engine::ScanSink<'_>,
    ) -> Result<(), QueryError> {
        Ok(())
    }
}

/// A clock that stands still: 2023-11-14T22:13:20Z.
pub(crate) struct Still;

pub(crate) const NOW_NS: u64 = 1_700_000_000_000_000_000;

impl Clock for Still {
    fn now_ns(&self) -> i64 {
        i64::try_from(NOW_NS).unwrap()
    }
}

/// Settings for tests: every port 0, no lingering.
pub(crate) fn config() -> Config {
    let local = "127.0.0.1:0".parse().unwrap();
    Config { http: local, otlp_grpc: local, otlp_http: local, linger_ms: 0, ..Config::default() }
}

/// A clock that a test moves.
pub(crate) struct Moved(pub(crate) std::sync::atomic::AtomicI64);

impl Clock for Moved {
    fn now_ns(&self) -> i64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// A server over memory.
pub(crate) async fn start(config: Config) -> (Running, Arc<Memory>) {
    start_at(config, Arc::new(Still)).await
}

/// A server over memory, with a clock.
pub(crate) async fn start_at(config: Config, clock: Arc<dyn Clock>) -> (Running, Arc<Memory>) {
    let memory = Arc::new(Memory { mode: watch::Sender::new(Mode::Store), batches: Mutex::default() });
    let storage = Storage {
        sink: Arc::clone(&memory) as Arc<dyn EventSink>,
        engine: Arc::new(NoEngine),
        keeper: Arc::new(NoKeeper),
        registry: Arc::new(skein_registry::SqliteRegistry::in_memory().unwrap()),
        gauges: Arc::new(NoGauges),
        hash_key: HashKey(7),
        flush: Box::new(|| ()),
        close: Box::new(|| Ok(())),
    };
    let running = start_with(&config, clock, Observing::new(), storage).await.unwrap();
    (running, memory)
}
