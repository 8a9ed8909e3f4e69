//! OTLP over HTTP: `POST /v1/traces`, `/v1/logs`, `/v1/metrics`.
//!
//! Answers and refusals are in the request's encoding; a request of no known encoding is answered in JSON,
//! which a person can read. Source: OTLP specification 1.11, "OTLP/HTTP".

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use skein_event::Environment;
use skein_ingest::Signal;

use super::body::fill;
use super::decompress::Compression;
use super::status::{Refusal, RefusalKind};
use super::{Accepted, Door, Encoding, Received, forget, grpc, leased_body, within_time};
use crate::loopback::ENVIRONMENT_HEADER;

/// The name of this door in metrics and rejections.
const DOOR: &str = "otlp_http";

const PATHS: [(Signal, &str); 3] =
    [(Signal::Traces, "/v1/traces"), (Signal::Logs, "/v1/logs"), (Signal::Metrics, "/v1/metrics")];

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// The routes of the HTTP door. Whatever is posted as gRPC is served as gRPC here too.
pub fn http_router(door: Arc<Door>) -> Router {
    let mut router = Router::new();
    for (signal, path) in PATHS {
        // Some exporters are configured with a trailing slash.
        for path in [path.to_owned(), format!("{path}/")] {
            let serve = move |State(door): State<Arc<Door>>, request: Request| async move {
                export(door, signal, request).await
            };
            router = router.route(&path, any(serve));
        }
    }
    router.route("/v1development/profiles", any(profiles)).merge(grpc::routes()).with_state(door)
}

/// What a path that no door has is told.
pub(crate) fn unknown_path(headers: &HeaderMap, path: &str) -> Response {
    let message = format!("no door at {path}; there are /v1/traces, /v1/logs and /v1/metrics");
    refuse(answer_encoding(headers), &Refusal::new(RefusalKind::NotFound, message))
}

async fn profiles(State(door): State<Arc<Door>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let refusal = Refusal::new(RefusalKind::Unimplemented, "profiles are not stored yet");
    forget(&door, &parts.headers, body).await;
    refuse(answer_encoding(&parts.headers), &refusal)
}

async fn export(door: Arc<Door>, signal: Signal, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let encoding = answer_encoding(&parts.headers);
    match within_time(&door, receive(&door, signal, &parts, &mut body)).await {
        Ok(received) => match door.accept(received).await {
            Ok(accepted) => accept(encoding, signal, accepted),
            Err(refusal) => refuse(encoding, &refusal),
        },
        Err(refusal) => {
            let key = batch_id(&parts.headers);
            door.note_refusal(DOOR, &Environment::default_environment(), key, &refusal);
            forget(&door, &parts.headers, body).await;
            refuse(encoding, &refusal)
        }
    }
}

/// Checks what the headers say, pays, and reads.
async fn receive(
    door: &Door,
    signal: Signal,
    parts: &http::request::Parts,
    body: &mut Body,
) -> Result<Received, Refusal> {
    let arrival_ns = door.clock.now_ns();
    if door.gate.is_closed() {
        return Err(Refusal::stopping());
    }
    if parts.method != Method::POST {
        return Err(Refusal::new(RefusalKind::MethodNotAllowed, "telemetry is sent with POST"));
    }
    let encoding = content_encoding(&parts.headers)?;
    let compression = parts.headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    let compression = Compression::from_header(compression).ok_or_else(|| {
        let message = "unsupported content-encoding; there are gzip, zstd and identity";
        Refusal::new(RefusalKind::UnsupportedMediaType, message)
    })?;
    let environment = writable_environment(&parts.headers)?;
    let declared: Option<u64> =
        parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let mut buffer = door.buffer(declared)?;
    let expected = declared.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
    fill(body, &mut buffer, usize::MAX, expected, door.patience.body_pause)
        .await
        .map_err(|error| door.read_refusal(&error))?;
    Ok(Received {
        door: DOOR,
        environment,
        signal,
        encoding,
        compression,
        batch_id: batch_id(&parts.headers),
        body: buffer,
        arrival_ns,
        arrived_ns: door.clock.now_ns(),
    })
}

/// The encoding that the content type names. Parameters such as a charset are ignored: both encodings say
/// themselves what they are made of.
fn content_encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/x-protobuf" | "application/protobuf" => Ok(Encoding::Protobuf),
        "application/json" => Ok(Encoding::Json),
        _ => {
            let shown: String = content_type.chars().take(100).collect();
            let message = format!("unsupported content-type {shown:?}; there are {PROTOBUF} and {JSON}");
            Err(Refusal::new(RefusalKind::UnsupportedMediaType, message))
        }
    }
}

/// Where a client may write: `default`. Skein's own environment takes nothing from outside (I10).
pub(super) fn writable_environment(headers: &HeaderMap) -> Result<Environment, Refusal> {
    match headers.get(ENVIRONMENT_HEADER).map(|value| value.to_str().unwrap_or("?")) {
        None | Some(Environment::DEFAULT) => Ok(Environment::default_environment()),
        Some(_) => {
            let message = "only the environment default takes events from outside";
            Err(Refusal::new(RefusalKind::Forbidden, message))
        }
    }
}

/// The client's own name for the batch. What is wrong with it is said when the batch is decoded.
pub(super) fn batch_id(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("skein-batch-id")?;
    Some(value.to_str().unwrap_or("\u{fffd}").to_owned())
}

/// The encoding of the answer: the request's, else JSON.
fn answer_encoding(headers: &HeaderMap) -> Encoding {
    content_encoding(headers).unwrap_or(Encoding::Json)
}

fn accept(encoding: Encoding, signal: Signal, accepted: Accepted) -> Response {
    let Accepted { outcome, lease, duplicate } = accepted;
    let bytes = match encoding {
        Encoding::Protobuf => outcome.to_protobuf(),
        Encoding::Json => json_bytes(&outcome.to_json(signal)),
    };
    let mut response = respond(StatusCode::OK, encoding, Body::new(leased_body(bytes, lease)));
    if duplicate {
        // The answer itself is the first one's (I4); that it was a resend is told apart from it.
        response.headers_mut().insert("skein-batch-duplicate", HeaderValue::from_static("true"));
    }
    response
}

fn refuse(encoding: Encoding, refusal: &Refusal) -> Response {
    let bytes = match encoding {
        Encoding::Protobuf => refusal.to_protobuf(),
        Encoding::Json => json_bytes(&refusal.to_json()),
    };
    let mut response = respond(refusal.kind.codes().0, encoding, Body::from(bytes));
    if let Some(seconds) = refusal.retry_after_seconds() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.kind == RefusalKind::MethodNotAllowed {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

fn respond(status: StatusCode, encoding: Encoding, body: Body) -> Response {
    let content_type = match encoding {
        Encoding::Protobuf => PROTOBUF,
        Encoding::Json => JSON,
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn json_bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
