//! Nothing is unbounded (I7).

use skein_ingest::Signal;
use skein_server::Config;

use crate::client::{get, gzip, post, post_json, zstd};
use crate::memory::{Mode, NOW_NS, config, start};
use crate::otlp::request;

const PROTOBUF: &str = "application/x-protobuf";

/// Waits until a condition of the server holds; a test that waits in vain is stopped from outside.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_budget_is_told_to_slow_down() {
    // Room for one request with its overhead, and not for a second of the same size.
    let (running, memory) =
        start(Config { request_bytes_max: 64 << 10, inflight_bytes_max: 256 << 10, ..config() }).await;
    let address = running.otlp_http;
    let body = |time| {
        let span = crate::otlp::span(1, NOW_NS + time);
        let wide = skein_otlp::trace::Span {
            attributes: vec![crate::otlp::attribute("padding", &"x".repeat(60 << 10))],
            ..span
        };
        skein_otlp::Message::encode_to_vec(&crate::otlp::traces("cart", vec![wide]))
    };
    memory.mode.send_replace(Mode::Hold);
    let held: Vec<_> =
        (0..4).map(|time| tokio::spawn(post(address, "/v1/traces", PROTOBUF, None, body(time)))).collect();
    // Three of them fit; whichever comes last is told to slow down, and what fits stays under way.
    until(|| running.inflight_bytes() > 180 << 10).await;
    let refused = post(address, "/v1/traces", PROTOBUF, None, body(9)).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("1")), "{refused:?}");
    assert!(running.inflight_bytes_peak() <= 256 << 10);

    memory.mode.send_replace(Mode::Store);
    let mut stored = 0;
    for answer in held {
        let status = answer.await.unwrap().status.as_u16();
        assert!(matches!(status, 200 | 429), "{status}");
        stored += usize::from(status == 200);
    }
    assert!(stored >= 1 && memory.rows("default") == stored);
    until(|| running.inflight_bytes() == 0).await;
    let again = post(address, "/v1/traces", PROTOBUF, None, body(9)).await;
    assert_eq!(again.status, 200, "it recovers: {again:?}");
    let metrics = String::from_utf8(get(running.http, "/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("skein_rejected_events_total{environment=\"default\",reason=\"overloaded\"}"));
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn decompression_bomb_is_refused_within_the_cap() {
    let cap = 1 << 20;
    let (running, memory) = start(Config { request_bytes_max: cap, ..config() }).await;
    let zeros = vec![0_u8; 64 << 20];
    for (encoding, bomb) in
        [("gzip", gzip(&zeros)), ("zstd", zstd(&zeros)), ("zstd", zstd::bulk::compress(&zeros, 1).unwrap())]
    {
        assert!(bomb.len() < 100 << 10, "{encoding}");
        for content_type in [PROTOBUF, "application/json"] {
            let answer =
                post(running.otlp_http, "/v1/logs", content_type, Some(encoding), bomb.clone()).await;
            assert_eq!(answer.status, 413, "{encoding} {answer:?}");
            assert_eq!(answer.header("retry-after"), None, "sending it again never helps");
        }
    }
    // Output and zstd's window, the body as sent, and the overhead of a request.
    let peak = running.inflight_bytes_peak();
    assert!(peak < 3 * cap, "{peak} bytes were in flight");
    assert_eq!((memory.rows("default"), running.inflight_bytes()), (0, 0));
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_reads_why_its_large_request_was_refused() {
    use crate::client::{Protocol, send};
    // Far more than sockets hold, so that the client still writes when it is refused.
    let (running, _memory) = start(Config { request_bytes_max: 16 << 20, ..config() }).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let headers = [("content-type", PROTOBUF)];
        let body = vec![0_u8; (16 << 20) + 1];
        let answer =
            send(running.otlp_http, protocol, hyper::Method::POST, "/v1/traces", &headers, body).await;
        assert_eq!(answer.status, 413, "{protocol:?}");
    }
    assert!(running.inflight_bytes_peak() < 1 << 20, "a declared length is refused before it is read");
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_gives_its_room_back() {
    use tokio::io::AsyncWriteExt as _;
    let (running, memory) = start(config()).await;
    let mut stream = tokio::net::TcpStream::connect(running.otlp_http).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    until(|| running.inflight_bytes() >= 1_000_000).await;
    drop(stream);
    until(|| running.inflight_bytes() == 0).await;

    // One that goes away after it has sent all is stored none the less.
    memory.mode.send_replace(Mode::Hold);
    let body = request(Signal::Logs, NOW_NS).0;
    let mut stream = tokio::net::TcpStream::connect(running.otlp_http).await.unwrap();
    let head = head.replace("1000000", &body.len().to_string()).replace("traces", "logs");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    until(|| memory.mode.receiver_count() > 0).await;
    drop(stream);
    memory.mode.send_replace(Mode::Store);
    until(|| memory.rows("default") == 1).await;
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_is_bounded_too() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (running, _memory) = start(Config { request_bytes_max: 100 << 10, ..config() }).await;
    let mut stream = tokio::net::TcpStream::connect(running.otlp_http).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 60 << 10, "x".repeat(60 << 10));
    stream.write_all(chunk.repeat(2).as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn new_work_is_refused_politely_while_stopping() {
    let (running, memory) = start(Config { linger_ms: 60_000, ..config() }).await;
    memory.mode.send_replace(Mode::Hold);
    let under_way =
        tokio::spawn(post(running.otlp_http, "/v1/logs", PROTOBUF, None, request(Signal::Logs, NOW_NS).0));
    until(|| memory.mode.receiver_count() > 0).await;
    assert_eq!(get(running.http, "/readyz").await.status, 200);

    running.refuse_new_work();
    for (answer, what) in [
        (
            post(running.otlp_http, "/v1/logs", PROTOBUF, None, request(Signal::Logs, NOW_NS + 1).0).await,
            "telemetry",
        ),
        (post_json(running.http, "/api/v1/query", &serde_json::json!({})).await, "a question"),
        (
            post_json(running.http, "/api/v1/export", &serde_json::json!({"format": "otlp"})).await,
            "an export",
        ),
        (get(running.http, "/api/v1/datasets").await, "datasets"),
        (get(running.http, "/readyz").await, "readiness"),
    ] {
        assert_eq!(
            (answer.status.as_u16(), answer.header("retry-after")),
            (503, Some("1")),
            "{what}: {answer:?}"
        );
    }
    assert_eq!(get(running.http, "/healthz").await.status, 200, "it still lives");
    memory.mode.send_replace(Mode::Store);
    assert_eq!(under_way.await.unwrap().status, 200, "what was under way ends");
}
