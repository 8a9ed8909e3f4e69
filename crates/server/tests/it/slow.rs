//! Clients that are slow, on short clocks of the configuration: each is given up, told so where it can be, and
//! what it held comes back. The tests wait for that, however long it takes.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Request;
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use skein_api::patience::Patience;
use skein_ingest::Signal;
use skein_server::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::limits::until;
use crate::memory::{config, start};
use crate::otlp::method;

const SHORT: Duration = Duration::from_millis(40);

fn with(patience: Patience) -> Config {
    Config { patience, ..config() }
}

/// Sends a head and the beginning of a body that is never finished.
async fn begin(address: std::net::SocketAddr, path: &str, content_type: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\ncontent-length: 100000\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn head_of_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "an answer before the end");
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_is_refused_and_gives_its_room_back() {
    let patience = Patience { body_pause: SHORT, body: SHORT * 10, drain: SHORT, ..Patience::default() };
    let (running, memory) = start(with(patience)).await;
    for (address, path, content_type) in [
        (running.otlp_http, "/v1/traces", "application/x-protobuf"),
        (running.otlp_http, "/v1/logs", "application/json"),
        (running.http, "/api/v1/query", "application/json"),
        (running.http, "/api/v1/export", "application/json"),
    ] {
        let mut stream = begin(address, path, content_type).await;
        let head = head_of_answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 503") && head.contains("retry-after: 1"), "{path}: {head}");
    }
    until(|| running.inflight_bytes() == 0).await;
    assert_eq!(memory.rows("default"), 0);
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_refused_as_a_whole() {
    // Each byte comes in time; all of them would take for ever.
    let patience = Patience { body: SHORT, drain: SHORT, ..Patience::default() };
    let (running, _memory) = start(with(patience)).await;
    let mut stream = begin(running.otlp_http, "/v1/traces", "application/x-protobuf").await;
    let (mut reading, mut writing) = stream.split();
    let mut answer = [0; 12];
    let dripping = async {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        read = reading.read_exact(&mut answer) => assert_eq!(read.unwrap(), 12),
        () = dripping => {}
    }
    assert_eq!(&answer, b"HTTP/1.1 503");
    until(|| running.inflight_bytes() == 0).await;
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_grpc_that_stops_is_refused_and_gives_its_room_back() {
    let patience = Patience { body_pause: SHORT, drain: SHORT, ..Patience::default() };
    let (running, _memory) = start(with(patience)).await;
    // A prefix that announces 100,000 bytes, a few of them, and nothing more.
    let begun = Bytes::from_static(&[0, 0, 1, 0x86, 0xa0, 1, 2, 3]);
    let frames = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(Frame::data(begun))]);
    let body = StreamBody::new(futures_util::StreamExt::chain(frames, futures_util::stream::pending()));
    let request = Request::post(format!("http://{}{}", running.otlp_grpc, method(Signal::Traces)))
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let answer = client.request(request).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "14", "{answer:?}");
    assert!(
        answer.headers().contains_key("grpc-status-details-bin"),
        "it says when to come back: {answer:?}"
    );
    drop(answer.into_body().collect().await);
    until(|| running.inflight_bytes() == 0).await;
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed() {
    let patience = Patience { head: SHORT, idle: SHORT, unread: SHORT, ..Patience::default() };
    let (running, _memory) = start(with(patience)).await;
    for address in [running.http, running.otlp_http, running.otlp_grpc] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut nothing = Vec::new();
        // The end of the connection, not an error of ours.
        stream.read_to_end(&mut nothing).await.unwrap();
    }
    running.shutdown().await.unwrap();
}
