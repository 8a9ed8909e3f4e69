//! A small HTTP client that shows everything of an answer.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// HTTP/1.1, or HTTP/2 without TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }
}

/// Sends a request with a body of known length.
pub(crate) async fn send(
    address: SocketAddr,
    protocol: Protocol,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let client = Client::builder(TokioExecutor::new()).http2_only(protocol == Protocol::Http2).build_http();
    let response = client.request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, Protocol::Http1, Method::GET, path, &[], "").await
}

pub(crate) async fn post_json(address: SocketAddr, path: &str, body: &Value) -> Answer {
    let headers = [(CONTENT_TYPE.as_str(), "application/json")];
    send(address, Protocol::Http1, Method::POST, path, &headers, body.to_string()).await
}

/// Posts telemetry.
pub(crate) async fn post(
    address: SocketAddr,
    path: &str,
    content_type: &str,
    encoding: Option<&str>,
    body: impl Into<Bytes>,
) -> Answer {
    let mut headers = vec![(CONTENT_TYPE.as_str(), content_type)];
    headers.extend(encoding.map(|encoding| (CONTENT_ENCODING.as_str(), encoding)));
    send(address, Protocol::Http1, Method::POST, path, &headers, body).await
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}
