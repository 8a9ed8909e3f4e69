//! The state of one operation being worked on, and what can happen to it.

use std::sync::Arc;

use crate::load::Request;
use crate::model::{Operation, Query, Step};
use crate::telemetry::SpanEvent;

/// Names a frame for the whole run.
pub(super) type FrameId = u64;

/// Counts the waits of a frame, so that an answer that comes too late is known as such.
pub(super) type Token = u64;

/// Names a pod for the whole run.
pub(super) type PodId = usize;

/// How an operation can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The callee did not answer in time.
    Timeout,
    /// The pod's queue was full.
    Overloaded,
    /// No database connection became free in time.
    PoolTimeout,
    /// The row stayed locked by others.
    LockTimeout,
    /// A defect of the code.
    Defect,
    /// The bank said no: a result, not a fault.
    Declined,
    /// The payment provider answered 502.
    Provider,
    /// A service further down failed.
    Upstream,
}

/// How an operation ended.
pub(super) type Outcome = Result<(), Failure>;

/// Something that happens to a frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    /// The request reached the pod.
    Delivered,
    /// A worker thread is ours.
    WorkerGranted,
    /// The processor is done.
    Computed,
    /// A called service answered.
    Returned(Outcome),
    /// Waiting took too long.
    TimedOut,
    /// A database connection is ours.
    ConnectionGranted {
        /// Whose.
        pod: PodId,
    },
    /// The row's lock is ours.
    LockGranted {
        /// Which row.
        row: usize,
    },
    /// The database answered.
    QueryDone,
    /// The cache answered.
    CacheAnswered,
    /// The payment provider answered.
    ProviderAnswered(Outcome),
    /// Time to try again.
    Retry,
}

/// A call in the air, seen by the caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenCall {
    pub(super) span_id: [u8; 8],
    pub(super) start_ns: i64,
    pub(super) attempt: u32,
    /// The pod that was called; `None` for the third party.
    pub(super) callee: Option<PodId>,
}

/// Why a statement is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// For its answer.
    Read,
    /// To fill the cache.
    Fill,
    /// To open a transaction by locking a row.
    Begin,
}

/// A statement in the air.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenQuery {
    pub(super) query: &'static Query,
    pub(super) purpose: Purpose,
    pub(super) span_id: [u8; 8],
    pub(super) start_ns: i64,
    /// When the connection was there.
    pub(super) connected_ns: i64,
    /// When the lock was there.
    pub(super) locked_ns: i64,
}

/// What a frame waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Waiting {
    /// A worker thread of the pod.
    Worker,
    /// The processor.
    Processor,
    /// A called service.
    Callee(OpenCall),
    /// The payment provider.
    Provider(OpenCall),
    /// A database connection of the pod.
    Connection(OpenQuery),
    /// The lock of a row; the connection is ours.
    Lock(OpenQuery),
    /// The database.
    Database(OpenQuery),
    /// The cache.
    Cache(OpenQuery),
    /// The moment of the next attempt.
    Backoff {
        /// How many attempts were made.
        attempt: u32,
    },
}

/// One operation being worked on by one pod.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) operation: Operation,
    pub(super) pod: PodId,
    pub(super) instance: usize,
    pub(super) request: Arc<Request>,
    pub(super) caller: Option<(FrameId, Token)>,
    pub(super) parent_span_id: Option<[u8; 8]>,
    pub(super) span_id: [u8; 8],
    pub(super) arrived_ns: i64,
    pub(super) started_ns: i64,
    pub(super) steps: &'static [Step],
    pub(super) step: usize,
    pub(super) token: Token,
    pub(super) waiting: Waiting,
    /// A worker thread of the pod is ours.
    pub(super) works: bool,
    /// A connection and the lock of this row are ours until the transaction ends.
    pub(super) transaction: Option<usize>,
    pub(super) retries: i64,
    pub(super) database_ns: i64,
    pub(super) cache_hit: Option<bool>,
    pub(super) thread: i64,
    pub(super) events: Vec<SpanEvent>,
}

/// What becomes of a frame now.
#[derive(Debug)]
pub(super) enum Flow {
    /// It waits for a signal.
    Wait,
    /// It goes on with its next step.
    Next,
    /// It ends.
    End(Outcome),
}
