//! `/api/v1/export`: everything of a time range, streamed.
//!
//! One line per unit: `otlp` writes an OTLP/JSON request per line, which `skein import` and the Collector's
//! file receiver read; `ndjson` writes a flat event per line. Both are one walk over one snapshot, in the order of
//! storage, which costs no memory to speak of; whoever needs the order of time sorts by `timestamp`. The producer
//! runs on threads of its own, so that clients that read slowly keep no query out; when a client goes away, or
//! does not read, it ends. A failure on the way breaks the connection, so that half an export never looks like a
//! whole one.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use event::Environment;
use event::limits::{EXPORT_PIECE_BYTES, EXPORT_PIECES_WAITING_MAX};
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use query::plan::TimeRange;
use query::{ErrorKind, QueryError, RunContext, render};
use skein_event as event;
use skein_query as query;
use skein_wire::ExportRequest;
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Route, json_body, known_dataset};
use crate::error::{ApiError, Code};
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let export = Operation {
        method: "POST",
        path: "/api/v1/export",
        id: "export",
        summary: "Streams events in the order of storage: otlp (one OTLP/JSON request per line) or ndjson (one event per line).",
        query: &[],
        request: Some(Schema::of::<ExportRequest>()),
        response: Answer::Other("application/x-ndjson"),
    };
    vec![Route { operation: export, serve: || post(self::export) }]
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Otlp,
    Ndjson,
}

/// What is exported.
struct Job {
    environment: Environment,
    format: Format,
    datasets: Vec<String>,
    time_range: TimeRange,
}

/// A piece of the answer; the whole of it ends with `None`. A channel that closes before has lost its producer.
type Piece = Option<Bytes>;

async fn export(State(api): State<Arc<Api>>, request: Request) -> Result<Response, ApiError> {
    if api.door.gate.is_closed() {
        return Err(ApiError::stopping());
    }
    let (parts, body) = request.into_parts();
    let environment = api.environment(&parts.headers)?;
    let value = json_body(&api, &parts.headers, body).await?;
    let wanted: ExportRequest = serde_json::from_value(value)
        .map_err(|error| ApiError::invalid(format!("the body is no export request: {error}")))?;
    let job = job(environment, wanted)?;
    let (pieces, waiting) = mpsc::channel::<Piece>(EXPORT_PIECES_WAITING_MAX);
    let (begun, started) = tokio::sync::oneshot::channel();
    let here = Arc::clone(&api);
    tokio::spawn(async move {
        let worker = Arc::clone(&here);
        let result = here.exports.run(move || produce(&worker, &job, &pieces, begun)).await;
        if result.is_err() {
            tracing::error!("an export did not end");
        }
    });
    // What is wrong with the request is told as an error, before the first byte of a stream.
    started.await.map_err(|_gone| ApiError::internal("an export did not begin"))??;
    let stream = stream::unfold(Some(waiting), |waiting| async move {
        let mut waiting = waiting?;
        match waiting.recv().await {
            Some(Some(piece)) => Some((Ok(piece), Some(waiting))),
            Some(None) => None,
            // It failed, or this client did not read for too long.
            None => {
                let broken = std::io::Error::other("the export broke off; what came is incomplete");
                Some((Err(broken), None))
            }
        }
    });
    let mut response = Response::new(Body::from_stream(stream));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

fn job(environment: Environment, wanted: ExportRequest) -> Result<Job, ApiError> {
    let format = match wanted.format.as_str() {
        "otlp" => Format::Otlp,
        "ndjson" => Format::Ndjson,
        "parquet" => {
            let error = ApiError::new(Code::NotFound, "this version does not export Parquet yet");
            return Err(error.at_path("/format").hint("otlp and ndjson are there"));
        }
        other => {
            let shown: String = other.chars().take(50).collect();
            let error = ApiError::invalid(format!("there is no format {shown:?}")).at_path("/format");
            return Err(error.candidates(vec!["otlp".to_owned(), "ndjson".to_owned()]));
        }
    };
    let bound = |seconds: Option<f64>, path: &str, default: i64| match seconds {
        None => Ok(default),
        Some(seconds) => seconds_to_ns(seconds)
            .ok_or_else(|| ApiError::invalid("this is no time in epoch seconds").at_path(path)),
    };
    let start_ns = bound(wanted.start_time, "/start_time", i64::MIN)?;
    let end_ns = bound(wanted.end_time, "/end_time", i64::MAX)?;
    if start_ns >= end_ns {
        return Err(ApiError::invalid("the range ends before it begins").at_path("/end_time"));
    }
    let datasets = wanted.datasets.unwrap_or_default();
    Ok(Job { environment, format, datasets, time_range: TimeRange { start_ns, end_ns } })
}

/// Epoch seconds as nanoseconds; `None` outside of what i64 holds.
pub(super) fn seconds_to_ns(seconds: f64) -> Option<i64> {
    let whole = seconds.floor();
    if !(-9.2e9..9.2e9).contains(&whole) {
        return None;
    }
    // Apart, because a double holds today's seconds to a quarter of a microsecond, and their product not.
    #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
    let (whole_s, fraction_ns) = (whole as i64, ((seconds - whole) * 1e9).round() as i64);
    whole_s.checked_mul(1_000_000_000)?.checked_add(fraction_ns)
}

/// Runs on a thread that may wait.
fn produce(
    api: &Api,
    job: &Job,
    pieces: &mpsc::Sender<Piece>,
    begun: tokio::sync::oneshot::Sender<Result<(), ApiError>>,
) {
    let cancelled = AtomicBool::new(false);
    let context = RunContext {
        clock: &*api.clock,
        cancelled: &cancelled,
        progress: &|_| {},
        partial: None,
        // An export takes as long as its client reads.
        deadline_ns: None,
        memory_bytes_max: api.limits.memory_bytes_max,
    };
    let known = job
        .datasets
        .iter()
        .enumerate()
        .try_for_each(|(index, dataset)| {
            known_dataset(&*api.engine, &job.environment, dataset, &context)
                .map_err(|error| error.at_path(format!("/datasets/{index}")))
        })
        .map_err(ApiError::from);
    let goes_on = known.is_ok();
    if begun.send(known).is_err() || !goes_on {
        return;
    }
    let result = match job.format {
        Format::Ndjson => ndjson(api, job, &context, pieces),
        Format::Otlp => otlp(api, job, &context, pieces),
    };
    // Without the end, what the client has read does not look whole.
    let ended = result.and_then(|()| send(api, pieces, None));
    match ended {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::Cancelled => {
            tracing::debug!("the client of an export is gone, or does not read");
        }
        Err(error) => tracing::error!(%error, detail = error.internal_detail(), "an export failed"),
    }
}

/// Hands a piece over; an error when the client is gone.
fn hand_over(api: &Api, pieces: &mpsc::Sender<Piece>, piece: Vec<u8>) -> Result<(), QueryError> {
    if api.door.gate.is_closed() {
        return Err(QueryError::new(ErrorKind::Unavailable, "the server is stopping"));
    }
    if piece.is_empty() { Ok(()) } else { send(api, pieces, Some(piece.into())) }
}

fn send(api: &Api, pieces: &mpsc::Sender<Piece>, piece: Piece) -> Result<(), QueryError> {
    let sending = timeout(api.door.patience.unread, pieces.send(piece));
    match Handle::current().block_on(sending) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(QueryError::cancelled()),
    }
}

/// Events as they are stored, each as one line.
fn ndjson(
    api: &Api,
    job: &Job,
    context: &RunContext<'_>,
    pieces: &mpsc::Sender<Piece>,
) -> Result<(), QueryError> {
    let mut sink = |batch: query::result::ScanBatch| {
        let mut piece = Vec::new();
        for row in api.exporter.events(batch) {
            serde_json::to_writer(&mut piece, &render::RowText { row: &row, only: None })
                .map_err(|error| QueryError::internal(error.to_string()))?;
            piece.push(b'\n');
            if piece.len() >= EXPORT_PIECE_BYTES {
                hand_over(api, pieces, std::mem::take(&mut piece))?;
            }
        }
        hand_over(api, pieces, piece)
    };
    api.engine.scan(&job.environment, &job.datasets, job.time_range, context, &mut sink)
}

/// Batches as they are stored, each as one request per signal.
fn otlp(
    api: &Api,
    job: &Job,
    context: &RunContext<'_>,
    pieces: &mpsc::Sender<Piece>,
) -> Result<(), QueryError> {
    let mut sink = |batch: query::result::ScanBatch| {
        let lines = api.exporter.lines(&batch).map_err(QueryError::internal)?;
        hand_over(api, pieces, lines)
    };
    api.engine.scan(&job.environment, &job.datasets, job.time_range, context, &mut sink)
}
