//! What the routes need, passed explicitly.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use event::Environment;
use event::flow::SinkError;
use event::hash::HashKey;
use event::observe::{Clock, Observer};
use http::HeaderMap;
use query::QueryEngine;
use query::result::{FlatRow, ScanBatch};
use skein_event as event;
use skein_query as query;
use skein_registry::Registry;
use skein_wire::Erasure;

use crate::cpu::CpuPool;
use crate::door::Door;
use crate::error::{ApiError, Code};
use crate::jobs::Jobs;
use crate::loopback::ENVIRONMENT_HEADER;
use crate::metrics::Gauges;

/// Everything behind the routes. Shared, never changed.
pub struct Api {
    /// Answers questions.
    pub engine: Arc<dyn QueryEngine>,
    /// Takes telemetry; its gate, metrics and rejections are everybody's.
    pub door: Arc<Door>,
    /// Writes stored batches as OTLP.
    pub exporter: Arc<dyn Exporter>,
    /// Removes and tidies what is stored.
    pub keeper: Arc<dyn Keeper>,
    /// Keeps markers and boards.
    pub registry: Arc<dyn Registry>,
    /// Where calls of the registry run: apart, since they wait for the disk.
    pub registry_calls: CpuPool,
    /// Fills the environment `demo`.
    pub demo: Arc<dyn Demo>,
    /// Queries under way.
    pub jobs: Arc<Jobs>,
    /// Where queries run.
    pub cpu: CpuPool,
    /// Where exports run: apart, since they wait for their clients.
    pub exports: CpuPool,
    /// What log and store know of themselves.
    pub gauges: Arc<dyn Gauges>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Told about every request and query.
    pub observer: Arc<dyn Observer>,
    /// Limits of a query.
    pub limits: QueryLimits,
    /// Whether Host and Origin must be this machine's: always, unless the operator said otherwise.
    pub loopback_only: bool,
    /// Version of the server.
    pub version: &'static str,
    /// Makes ids that cannot be guessed from their number.
    pub id_key: HashKey,
    /// Requests and queries so far.
    pub count: AtomicU64,
}

/// Writes stored batches as OTLP: the reverse of a door.
pub trait Exporter: Send + Sync {
    /// A batch as lines of OTLP/JSON requests, each ended by a line feed. `Err` tells of a defect, for the
    /// operator.
    ///
    /// POST: every event of the batch is in the lines, as it came in.
    fn lines(&self, batch: &ScanBatch) -> Result<Vec<u8>, String>;

    /// The events of a batch as flat lists, as a query for raw rows shows them.
    fn events(&self, batch: ScanBatch) -> Vec<FlatRow>;
}

/// Removes and tidies what is stored.
pub trait Keeper: Send + Sync {
    /// Erases the older events that a filter matches: JSON on one line, checked by whoever calls.
    ///
    /// POST: on `Ok`, which has the erasure's id, it is durable and in force.
    fn erase(&self, environment: Environment, filter: Arc<str>) -> Erasing<'_>;

    /// The erasures of an environment, the latest first.
    fn erasures(&self, environment: &Environment) -> Vec<Erasure>;

    /// Asks for everything to be flushed and merged.
    fn settle(&self);
}

/// Simulated services that send to the environment `demo`, for who has nothing of their own yet.
pub trait Demo: Send + Sync {
    /// Starts them; false when they are at work already. Must run on a runtime.
    fn start(&self) -> bool;
}

/// No demo: for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDemo;

impl Demo for NoDemo {
    fn start(&self) -> bool {
        false
    }
}

/// The future of an erasure.
pub type Erasing<'a> = Pin<Box<dyn Future<Output = Result<String, SinkError>> + Send + 'a>>;

/// Nothing to keep: for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeeper;

impl Keeper for NoKeeper {
    fn erase(&self, _: Environment, _: Arc<str>) -> Erasing<'_> {
        let reason = "nothing is stored here".to_owned();
        Box::pin(async { Err(SinkError::Unavailable { reason, retry_after_ms: 1_000 }) })
    }

    fn erasures(&self, _: &Environment) -> Vec<Erasure> {
        Vec::new()
    }

    fn settle(&self) {}
}

/// Limits of a query.
#[derive(Clone, Copy, Debug)]
pub struct QueryLimits {
    /// Memory of its state.
    pub memory_bytes_max: usize,
    /// Time it may take.
    pub duration_ns_max: i64,
}

impl Api {
    /// An id for a request or a query: 16 hex digits.
    pub(crate) fn new_id(&self) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let mut seed = [0_u8; 16];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        seed[8..].copy_from_slice(&self.clock.now_ns().to_le_bytes());
        format!("{:016x}", self.id_key.hash(&seed))
    }

    /// The environment that a request reads. Without keys there are three (I10).
    pub(crate) fn environment(&self, headers: &HeaderMap) -> Result<Environment, ApiError> {
        let Some(value) = headers.get(ENVIRONMENT_HEADER) else {
            return Ok(Environment::default_environment());
        };
        match value.to_str() {
            Ok(Environment::DEFAULT) => Ok(Environment::default_environment()),
            Ok(Environment::SKEIN) => Ok(Environment::skein()),
            Ok(Environment::DEMO) => Ok(Environment::demo()),
            _ => Err(ApiError::new(Code::NotFound, "there is no such environment").candidates(
                [Environment::DEFAULT, Environment::SKEIN, Environment::DEMO].map(str::to_owned).into(),
            )),
        }
    }
}
