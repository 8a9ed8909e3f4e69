//! OTLP over gRPC: one request message, one answer.
//!
//! A message is framed by a flag (1: compressed) and a length of four bytes; the status follows the answer
//! as trailers, or comes alone as headers. Details of a refusal are in `grpc-status-details-bin`.
//! Source: grpc/doc/PROTOCOL-HTTP2.md, grpc/doc/compression.md.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;
use skein_event::Environment;
use skein_event::limits::GRPC_MESSAGE_BYTES_MAX;
use skein_ingest::Signal;

use super::body::fill;
use super::decompress::Compression;
use super::http::{batch_id, writable_environment};
use super::status::{Refusal, RefusalKind};
use super::{Accepted, Door, Encoding, Received, forget, leased_body, within_time};

/// The name of this door in metrics and rejections.
const DOOR: &str = "otlp_grpc";

const SERVICES: [(&str, Signal); 3] = [
    ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Signal::Traces),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Signal::Logs),
    ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Signal::Metrics),
];

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_ENCODING: &str = "grpc-encoding";
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const CONTENT_TYPE_GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Flag and length before a message.
const PREFIX_BYTES: usize = 5;

/// The router of the gRPC port: the three services, and "unimplemented" for everything else.
pub fn grpc_router(door: Arc<Door>) -> Router {
    let unknown = |State(door): State<Arc<Door>>, request: Request| unimplemented(door, request);
    routes().fallback(unknown).with_state(door)
}

/// The services' routes alone, for a port that also speaks plain HTTP.
pub(super) fn routes() -> Router<Arc<Door>> {
    let mut router = Router::new();
    for (path, signal) in SERVICES {
        let serve = move |State(door): State<Arc<Door>>, request: Request| export(door, signal, request);
        router = router.route(path, any(serve));
    }
    let profiles = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
    router
        .route(profiles, any(|State(door): State<Arc<Door>>, request: Request| unimplemented(door, request)))
}

async fn unimplemented(door: Arc<Door>, request: Request) -> Response {
    if let Some(response) = not_grpc(&request) {
        return response;
    }
    let (parts, body) = request.into_parts();
    let message = format!("{} is not implemented", parts.uri.path());
    let refusal = Refusal::new(RefusalKind::Unimplemented, message);
    forget(&door, &parts.headers, body).await;
    refuse(&refusal)
}

async fn export(door: Arc<Door>, signal: Signal, request: Request) -> Response {
    if let Some(response) = not_grpc(&request) {
        return response;
    }
    let (parts, mut body) = request.into_parts();
    match within_time(&door, receive(&door, signal, &parts.headers, &mut body)).await {
        Ok(received) => match door.accept(received).await {
            Ok(accepted) => accept(accepted),
            Err(refusal) => refuse(&refusal),
        },
        Err(refusal) => {
            let key = batch_id(&parts.headers);
            door.note_refusal(DOOR, &Environment::default_environment(), key, &refusal);
            forget(&door, &parts.headers, body).await;
            refuse(&refusal)
        }
    }
}

/// The answer to what is no gRPC request at all: gRPC asks for 415 then.
fn not_grpc(request: &Request) -> Option<Response> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_grpc =
        request.method() == Method::POST && matches!(essence, "application/grpc" | "application/grpc+proto");
    if is_grpc {
        return None;
    }
    let mut response =
        Response::new(Body::from("this port speaks gRPC (application/grpc); OTLP over HTTP is on 4318\n"));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Some(response)
}

async fn receive(
    door: &Door,
    signal: Signal,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Received, Refusal> {
    let arrival_ns = door.clock.now_ns();
    if door.gate.is_closed() {
        return Err(Refusal::stopping());
    }
    let named = headers.get(GRPC_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    let compression = Compression::from_header(named).ok_or_else(|| {
        let message = "unsupported grpc-encoding; there are gzip, zstd and identity";
        Refusal::new(RefusalKind::Unimplemented, message)
    })?;
    let environment = writable_environment(headers)?;
    let (refusal, pause) = (|error| door.read_refusal(&error), door.patience.body_pause);

    let mut prefix = door.buffer(Some(PREFIX_BYTES as u64))?;
    let mut buffer = door.buffer(None)?;
    // The first frame may hold more than the prefix; what follows it begins the message.
    let ended = fill(body, &mut prefix, PREFIX_BYTES, PREFIX_BYTES, pause).await.map_err(refusal)?;
    let Some((&[flag, ref length @ ..], rest)) = prefix.as_slice().split_first_chunk::<PREFIX_BYTES>() else {
        let message = if prefix.len() == 0 { "no message" } else { "the message's prefix broke off" };
        return Err(Refusal::malformed("", message));
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if flag > 1 {
        return Err(Refusal::malformed("", "the message's flag is neither 0 nor 1"));
    }
    if length > door.request_bytes_max {
        return Err(Refusal::too_large(door.request_bytes_max));
    }
    buffer.reserve(length).map_err(|error| refusal(error.into()))?;
    buffer.extend(rest).map_err(|error| refusal(error.into()))?;
    drop(prefix);
    if !ended {
        fill(body, &mut buffer, usize::MAX, length, pause).await.map_err(refusal)?;
    }
    if buffer.len() != length {
        let message = format!("a message of {length} bytes was announced, {} came", buffer.len());
        return Err(Refusal::malformed("", message));
    }
    Ok(Received {
        door: DOOR,
        environment,
        signal,
        encoding: Encoding::Protobuf,
        compression: if flag == 1 { compression } else { Compression::Identity },
        batch_id: batch_id(headers),
        body: buffer,
        arrival_ns,
        arrived_ns: door.clock.now_ns(),
    })
}

fn accept(accepted: Accepted) -> Response {
    let Accepted { outcome, lease, .. } = accepted;
    let message = outcome.to_protobuf();
    let mut framed = Vec::with_capacity(PREFIX_BYTES + message.len());
    framed.push(0);
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(&message);
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let body = leased_body(framed, lease).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, CONTENT_TYPE_GRPC);
    response
}

/// A status without an answer, as headers alone.
fn refuse(refusal: &Refusal) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, CONTENT_TYPE_GRPC);
    headers.insert(GRPC_STATUS, HeaderValue::from(refusal.kind.codes().1));
    headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity,gzip,zstd"));
    let end = refusal.message.floor_char_boundary(GRPC_MESSAGE_BYTES_MAX);
    let message = refusal.message.get(..end).unwrap_or_default();
    if let Ok(value) = HeaderValue::from_str(&percent_encode(message)) {
        headers.insert(GRPC_MESSAGE, value);
    }
    let short = Refusal { message: message.to_owned(), ..refusal.clone() };
    let details = skein_event::any_value::base64(&short.to_protobuf());
    // Binary metadata is sent without padding.
    if let Ok(value) = HeaderValue::from_str(details.trim_end_matches('=')) {
        headers.insert(GRPC_DETAILS, value);
    }
    response
}

/// The percent-encoding of `grpc-message`: everything but visible ASCII and space.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_percent_encoded() {
        assert_eq!(percent_encode("100% é\n"), "100%25 %C3%A9%0A");
    }
}
