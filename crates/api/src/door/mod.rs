//! The OTLP doors: from a request's bytes to a durable batch and an answer.
//!
//! gRPC ([`grpc`]) and HTTP ([`http`]) differ in framing and in how they say things; what happens in between
//! is one path, here: pay for the bytes, read, decompress, decode, append, answer. Reading waits on the I/O
//! threads; everything that computes, up to and with the first poll of the append, runs on the CPU pool.
//!
//! tonic's server is not used: it decompresses a message as a whole, outside of any budget, and decodes into
//! structs. gRPC's framing of one request and one answer is 5 bytes and three headers.
//!
//! Nothing here retries, and nothing is answered before the sink has said that it is durable (I1).

mod body;
mod buffer;
mod decode;
mod decompress;
mod grpc;
mod http;
mod leased;
mod notes;
mod outcome;
mod status;

pub use decode::OtlpDecoder;
pub use grpc::grpc_router;
pub use http::http_router;
pub(crate) use http::unknown_path;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ::http::HeaderMap;
use ::http::header::EXPECT;
use axum::body::Body;
use event::flow::{Append, Appended, BatchKey, EventSink, SinkError};
use event::limits::REQUEST_OVERHEAD_BYTES;
use event::observe::{Clock, Observer};
use event::rejection::ReasonCode;
use event::{Environment, EventBatch, Rejection};
use skein_event as event;
use skein_ingest::Signal;

use self::body::ReadError;
use self::buffer::LeasedBuffer;
use self::decompress::{Compression, DecompressError, decompress};
use self::leased::leased_body;
use self::outcome::Outcome;
use self::status::{Refusal, RefusalKind};
use crate::budget::{Budget, Lease};
use crate::cpu::CpuPool;
use crate::gate::Gate;
use crate::metrics::{IngestResult, Metrics};
use crate::patience::Patience;
use crate::rejections::Rejections;

/// What a door needs. Cloning shares it.
#[derive(Clone)]
pub struct Door {
    /// Makes batches durable.
    pub sink: Arc<dyn EventSink>,
    /// Bytes to batches.
    pub decoder: Arc<dyn Decoder>,
    /// Bytes in flight.
    pub budget: Arc<Budget>,
    /// Where bytes are decompressed and decoded.
    pub cpu: CpuPool,
    /// Whether new work is taken.
    pub gate: Arc<Gate>,
    /// What was not stored.
    pub rejections: Arc<Rejections>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Told about every request.
    pub observer: Arc<dyn Observer>,
    /// Time of arrival.
    pub clock: Arc<dyn Clock>,
    /// Size of a request, before and after decompression.
    pub request_bytes_max: usize,
    /// How long slow clients are waited for.
    pub patience: Patience,
}

/// The encoding of a request's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Binary protobuf.
    Protobuf,
    /// OTLP's JSON mapping of protobuf.
    Json,
}

/// A body to decode, decompressed.
#[derive(Clone, Copy, Debug)]
pub struct DecodeRequest<'a> {
    /// Whose it is.
    pub environment: &'a Environment,
    /// What it holds.
    pub signal: Signal,
    /// How it is encoded.
    pub encoding: Encoding,
    /// The bytes.
    pub body: &'a [u8],
    /// `Skein-Batch-Id`, when the client sent one.
    pub batch_id: Option<&'a str>,
    /// When it arrived, epoch nanoseconds.
    pub arrival_ns: i64,
    /// A number that no other request has.
    pub unique: u128,
}

/// What a body held.
#[derive(Debug)]
pub struct Decoded {
    /// The events.
    pub batch: EventBatch,
    /// How a repetition is recognised.
    pub key: BatchKey,
    /// Records that were stored.
    pub records: u64,
    /// Records that were not stored, by reason.
    pub rejected: Vec<(ReasonCode, u64)>,
    /// The first of them in full.
    pub rejections: Vec<Rejection>,
    /// What the client should know about what was stored.
    pub warnings: Vec<Told>,
}

/// A warning about events that were stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// One of ingest's closed list.
    pub code: &'static str,
    /// How many events or values it is about.
    pub count: u64,
    /// A sentence for the client.
    pub message: String,
}

/// A body that cannot be read as what it claims to be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Malformed {
    /// Where.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

/// Turns bodies into batches: a pure function behind a trait, so that the doors can be tested alone.
pub trait Decoder: Send + Sync {
    /// Decodes a body.
    ///
    /// POST: every record of the body is in the batch or counted in `rejected`.
    fn decode(&self, request: &DecodeRequest<'_>) -> Result<Decoded, Malformed>;
}

/// A request whose body has arrived.
struct Received {
    door: &'static str,
    environment: Environment,
    signal: Signal,
    encoding: Encoding,
    compression: Compression,
    batch_id: Option<String>,
    body: LeasedBuffer,
    arrival_ns: i64,
    /// When its last byte had come.
    arrived_ns: i64,
}

/// An answer with the lease that its request holds until it is written.
struct Accepted {
    outcome: Outcome,
    lease: Lease,
    /// Whether all of it was there before; a client that counts is told.
    duplicate: bool,
}

/// What the CPU pool hands back: the outcome, or an append that waits for the log.
struct Decided {
    environment: Environment,
    signal: Signal,
    records: u64,
    rows: usize,
    outcome: Outcome,
    append: Pending,
    lease: Lease,
    bytes: usize,
    arrived_ns: i64,
}

enum Pending {
    /// Nothing to append.
    Nothing,
    /// The append ended at its first poll.
    Done(Result<Appended, SinkError>),
    /// The log works on it.
    Waiting(Pin<Box<dyn Future<Output = Result<Appended, SinkError>> + Send>>),
}

// === impl Door ===

impl Door {
    /// A buffer for a body of a declared length, paid for.
    fn buffer(&self, declared: Option<u64>) -> Result<LeasedBuffer, Refusal> {
        let declared =
            declared.map(usize::try_from).transpose().unwrap_or(Some(usize::MAX)).unwrap_or_default();
        if declared > self.request_bytes_max {
            return Err(Refusal::too_large(self.request_bytes_max));
        }
        let lease = self.budget.lease(REQUEST_OVERHEAD_BYTES).ok_or_else(Refusal::over_budget)?;
        let mut buffer = LeasedBuffer::new(lease, self.request_bytes_max);
        buffer.reserve(declared).map_err(|error| self.read_refusal(&ReadError::from(error)))?;
        Ok(buffer)
    }

    fn read_refusal(&self, error: &ReadError) -> Refusal {
        match error {
            ReadError::TooLarge => Refusal::too_large(self.request_bytes_max),
            ReadError::OverBudget => Refusal::over_budget(),
            ReadError::Idle => late(),
            ReadError::Broken(_) => Refusal::malformed("", "the request's body broke off"),
        }
    }

    /// Makes a received request durable and tells what became of it.
    ///
    /// Runs in a task of its own, so that a client that goes away does not leave a batch half way.
    async fn accept(&self, received: Received) -> Result<Accepted, Refusal> {
        let door = self.clone();
        let lost = || Refusal::new(RefusalKind::Internal, "the request failed inside the server");
        tokio::spawn(async move { door.accept_here(received).await }).await.map_err(|_panicked| lost())?
    }

    async fn accept_here(&self, received: Received) -> Result<Accepted, Refusal> {
        let (door, arrival_ns) = (received.door, received.arrival_ns);
        let (environment, signal) = (received.environment.clone(), received.signal);
        let (batch_id, wire_bytes) = (received.batch_id.clone(), received.body.len());
        let worker = self.clone();
        let decided = self.cpu.run(move || worker.decide(received)).await;
        let lost = |_lost| Refusal::new(RefusalKind::Internal, "the request failed inside the server");
        let result = match decided.map_err(lost).and_then(|decided| decided) {
            Ok(decided) => self.finish(door, decided).await,
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = &result {
            self.note_refusal(door, &environment, batch_id, refusal);
        }
        self.observe_batch(door, &environment, signal, arrival_ns, wire_bytes, &result);
        result.map(|(accepted, _)| accepted)
    }

    /// Decompresses and decodes, and polls the append once: whatever the log computes before it first waits
    /// is computed here too.
    fn decide(&self, received: Received) -> Result<Decided, Refusal> {
        let Received { door, environment, signal, encoding, compression, batch_id, body, .. } = received;
        let (arrival_ns, arrived_ns) = (received.arrival_ns, received.arrived_ns);
        let body = self.decompressed(compression, body)?;
        let request = DecodeRequest {
            environment: &environment,
            signal,
            encoding,
            body: body.as_slice(),
            batch_id: batch_id.as_deref(),
            arrival_ns,
            unique: self.unique(arrival_ns),
        };
        let decoded = self
            .decoder
            .decode(&request)
            .map_err(|Malformed { path, message }| Refusal::malformed(path, message))?;
        let rejected: u64 = decoded.rejected.iter().map(|(_, count)| count).sum();
        let mut outcome = Outcome::of(signal, rejected, &decoded.rejections);
        outcome.warn(decoded.warnings.iter().map(|told| told.message.as_str()));
        self.note_rejections(door, &environment, signal, batch_id, &decoded);
        let rows = decoded.batch.rows();
        let append = if decoded.batch.is_empty() {
            Pending::Nothing
        } else {
            let append = Append {
                environment: environment.clone(),
                key: decoded.key,
                batch: decoded.batch,
                reply: outcome.to_reply(),
            };
            self.begin_append(append)
        };
        let bytes = body.len();
        let (_decoded_by_now, lease) = body.into_parts();
        let records = decoded.records;
        Ok(Decided { environment, signal, records, rows, outcome, append, lease, bytes, arrived_ns })
    }

    fn decompressed(&self, compression: Compression, body: LeasedBuffer) -> Result<LeasedBuffer, Refusal> {
        if compression == Compression::Identity {
            return Ok(body);
        }
        let lease = self.budget.lease(REQUEST_OVERHEAD_BYTES).ok_or_else(Refusal::over_budget)?;
        decompress(compression, body.as_slice(), lease, self.request_bytes_max).map_err(|error| match error {
            DecompressError::TooLarge => Refusal::too_large(self.request_bytes_max),
            DecompressError::OverBudget => Refusal::over_budget(),
            DecompressError::Damaged { .. } => Refusal::malformed("", error.to_string()),
        })
    }

    fn begin_append(&self, append: Append) -> Pending {
        let sink = Arc::clone(&self.sink);
        let mut future: Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(async move { sink.append(append).await });
        // The task that awaits it later polls it again, which gives it the waker that counts.
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Pending::Done(result),
            Poll::Pending => Pending::Waiting(future),
        }
    }

    async fn finish(&self, door: &'static str, decided: Decided) -> Result<(Accepted, Stored), Refusal> {
        let Decided { environment, signal, records, rows, outcome, append, lease, bytes, arrived_ns } =
            decided;
        let appended = match append {
            Pending::Nothing => {
                let accepted = Accepted { outcome, lease, duplicate: false };
                return Ok((accepted, Stored { bytes, ..Stored::default() }));
            }
            Pending::Done(result) => result,
            Pending::Waiting(future) => future.await,
        };
        let appended = appended.map_err(|error| self.sink_refusal(error))?;
        let result = if appended.duplicate { IngestResult::Duplicate } else { IngestResult::Stored };
        self.metrics.ingest(&environment, signal, door, result, records);
        let stored = Stored { bytes, rows, records, duplicate: appended.duplicate };
        if appended.duplicate {
            self.metrics.duplicate_batch(&environment);
            let outcome = Outcome::from_reply(&appended.reply);
            return Ok((Accepted { outcome, lease, duplicate: true }, stored));
        }
        // The sink applies a batch before it says that it is durable (I2): from here on every query sees it.
        self.metrics.visible(&environment, self.clock.now_ns().saturating_sub(arrived_ns));
        Ok((Accepted { outcome, lease, duplicate: false }, stored))
    }

    fn sink_refusal(&self, error: SinkError) -> Refusal {
        let message = error.to_string();
        match error {
            SinkError::Overloaded { retry_after_ms } => {
                Refusal::retry(RefusalKind::Overloaded, message, retry_after_ms)
            }
            SinkError::Unavailable { reason, retry_after_ms } => {
                tracing::warn!(reason, "the log does not accept writes");
                let message = "the server does not accept writes now; send again";
                Refusal::retry(RefusalKind::Unavailable, message, retry_after_ms)
            }
            SinkError::TooLarge => Refusal::too_large(self.request_bytes_max),
        }
    }

    /// Unique among the requests of this deployment: the time, and a count for requests of one nanosecond.
    fn unique(&self, arrival_ns: i64) -> u128 {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        u128::from(arrival_ns.cast_unsigned()) << 64 | u128::from(count)
    }
}

/// Figures of a stored batch.
#[derive(Clone, Copy, Default, Debug)]
struct Stored {
    bytes: usize,
    rows: usize,
    records: u64,
    duplicate: bool,
}

/// Reads what a client still sends of a refused request, up to twice what a request may be: a client that
/// still writes when the connection closes sees a broken connection and not the reason. One that waits for
/// leave to send (`Expect: 100-continue`) is not given it.
async fn forget(door: &Door, headers: &HeaderMap, body: Body) {
    if !headers.contains_key(EXPECT) {
        body::drain(body, door.request_bytes_max.saturating_mul(2), door.patience.drain).await;
    }
}

/// Reads a request, within the time that a request may take to arrive.
async fn within_time(
    door: &Door,
    receiving: impl Future<Output = Result<Received, Refusal>>,
) -> Result<Received, Refusal> {
    match tokio::time::timeout(door.patience.body, receiving).await {
        Ok(received) => received,
        Err(_elapsed) => Err(late()),
    }
}

/// A body that did not arrive in time: its lease kept others out.
fn late() -> Refusal {
    let message = "the request's body did not arrive in time";
    Refusal::retry(RefusalKind::Unavailable, message, status::RETRY_AFTER_MS)
}
