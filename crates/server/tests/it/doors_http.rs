//! OTLP over HTTP: every status in every encoding.

use hyper::Method;
use serde_json::{Value, json};
use skein_event::flow::SinkError;
use skein_ingest::Signal;
use skein_otlp::Message as _;
use skein_otlp::json::ToJson as _;
use skein_otlp::rpc::{BadRequest, RetryInfo, Status};

use crate::client::{Answer, Protocol, get, gzip, post, send, zstd};
use crate::memory::{Mode, NOW_NS, config, start};
use crate::otlp::{partly_wrong, path, request};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_taken_in_every_encoding() {
    let (running, memory) = start(config()).await;
    let mut time_ns = NOW_NS;
    for signal in Signal::ALL {
        for (address, protocol, encoding) in [
            (running.otlp_http, Protocol::Http1, None),
            (running.otlp_http, Protocol::Http2, Some("gzip")),
            (running.http, Protocol::Http1, Some("zstd")),
            (running.http, Protocol::Http2, Some("identity")),
        ] {
            for content_type in [PROTOBUF, "application/protobuf", JSON, "application/json; charset=utf-8"] {
                time_ns += 1; // each request is another batch
                let (protobuf, text) = request(signal, time_ns);
                let is_json = content_type.starts_with(JSON);
                let plain = if is_json { text.into_bytes() } else { protobuf };
                let body = match encoding {
                    Some("gzip") => gzip(&plain),
                    Some("zstd") => zstd(&plain),
                    _ => plain,
                };
                let mut headers = vec![("content-type", content_type)];
                headers.extend(encoding.map(|encoding| ("content-encoding", encoding)));
                let answer = send(address, protocol, Method::POST, path(signal), &headers, body).await;
                let case = format!("{signal:?} {protocol:?} {content_type} {encoding:?}: {answer:?}");
                assert_eq!(answer.status, 200, "{case}");
                let expected = if is_json { (JSON, &b"{}"[..]) } else { (PROTOBUF, &b""[..]) };
                assert_eq!((answer.header("content-type").unwrap(), &*answer.body), expected, "{case}");
            }
        }
    }
    assert_eq!(memory.rows("default"), 48, "each of them was stored");
    assert_eq!(running.inflight_bytes(), 0, "every lease came back");
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_request_is_a_success() {
    let (running, memory) = start(config()).await;
    for (content_type, body) in [(PROTOBUF, ""), (JSON, "{}")] {
        for encoding in [None, Some("gzip"), Some("zstd")] {
            let bytes = match encoding {
                Some("gzip") if !body.is_empty() => gzip(body.as_bytes()),
                Some("zstd") if !body.is_empty() => zstd(body.as_bytes()),
                _ => body.as_bytes().to_vec(),
            };
            let answer = post(running.otlp_http, "/v1/traces", content_type, encoding, bytes).await;
            assert_eq!(answer.status, 200, "{content_type} {encoding:?} {answer:?}");
        }
    }
    assert_eq!(memory.rows("default"), 0);
    running.shutdown().await.unwrap();
}

/// What a refusal says, in either encoding: code, names of the details, delay of a RetryInfo.
fn refusal(answer: &Answer) -> (i32, Vec<String>) {
    if answer.header("content-type") == Some(PROTOBUF) {
        let status = Status::decode(answer.body.clone()).unwrap();
        for any in &status.details {
            match any.type_url.rsplit('.').next() {
                Some("BadRequest") => {
                    let detail = BadRequest::decode(&*any.value).unwrap();
                    assert!(!detail.field_violations.is_empty());
                }
                Some("RetryInfo") => {
                    let detail = RetryInfo::decode(&*any.value).unwrap();
                    let delay = detail.retry_delay.unwrap();
                    assert!(delay.seconds > 0 || delay.nanos > 0, "{delay:?}");
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(!status.message.is_empty());
        let names = status.details.iter().map(|any| any.type_url.rsplit('.').next().unwrap().to_owned());
        return (status.code, names.collect());
    }
    assert_eq!(answer.header("content-type"), Some(JSON), "{answer:?}");
    let status = answer.json();
    let keys: Vec<&String> = status.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["code", "message", "details"]);
    let details = status["details"].as_array().unwrap();
    let names = details.iter().map(|detail| detail["@type"].as_str().unwrap().rsplit('.').next().unwrap());
    let names = names.map(str::to_owned).collect();
    (i32::try_from(status["code"].as_i64().unwrap()).unwrap(), names)
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_is_wrong_in_the_requests_encoding() {
    let small = skein_server::Config { request_bytes_max: 4 << 10, ..config() };
    let (running, memory) = start(small).await;
    let large = "x".repeat(5 << 10);
    let none: &[&str] = &[];
    for (path, content_type, encoding, body, status, code, details) in [
        // Malformed in every way.
        ("/v1/traces", PROTOBUF, None, "\u{a}\u{7f}oops", 400, 3, &["BadRequest"][..]),
        ("/v1/logs", JSON, None, "{\"resourceLogs\": [", 400, 3, &["BadRequest"]),
        ("/v1/metrics", JSON, None, "", 400, 3, &["BadRequest"]),
        ("/v1/traces", PROTOBUF, Some("gzip"), "not gzip", 400, 3, &["BadRequest"]),
        ("/v1/traces", JSON, Some("zstd"), "not zstd", 400, 3, &["BadRequest"]),
        // Not for this door.
        ("/v1/traces", "text/plain", None, "hello", 415, 3, none),
        ("/v1/traces", "", None, "hello", 415, 3, none),
        ("/v1/traces", PROTOBUF, Some("br"), "hello", 415, 3, none),
        ("/v1/everything", JSON, None, "{}", 404, 5, none),
        ("/v1development/profiles", JSON, None, "{}", 501, 12, none),
        ("/v1development/profiles", PROTOBUF, None, "", 501, 12, none),
        // Too large.
        ("/v1/traces", PROTOBUF, None, &large, 413, 8, none),
        ("/v1/traces", JSON, None, &large, 413, 8, none),
    ] {
        let answer = post(running.otlp_http, path, content_type, encoding, body.to_owned()).await;
        let case = format!("{path} {content_type} {encoding:?} {answer:?}");
        assert_eq!(answer.status, status, "{case}");
        assert_eq!(refusal(&answer), (code, details.iter().map(|&name| name.to_owned()).collect()), "{case}");
        assert_eq!(answer.header("retry-after"), None, "{case}");
        let answers_in = if content_type == PROTOBUF { PROTOBUF } else { JSON };
        assert_eq!(answer.header("content-type"), Some(answers_in), "{case}");
    }
    let answer = get(running.otlp_http, "/v1/traces").await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("POST")));
    assert_eq!(refusal(&answer).0, 12);
    assert_eq!((memory.rows("default"), running.inflight_bytes()), (0, 0));
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_log_tells_when_to_come_back() {
    let (running, memory) = start(config()).await;
    let full = SinkError::Unavailable { reason: "the disk is full".into(), retry_after_ms: 2_500 };
    for (error, status, code, retry_after) in [
        (SinkError::Overloaded { retry_after_ms: 100 }, 429, 8, Some("1")),
        (full, 503, 14, Some("3")),
        (SinkError::TooLarge, 413, 8, None),
    ] {
        memory.mode.send_replace(Mode::Fail(error));
        for content_type in [PROTOBUF, JSON] {
            let (protobuf, text) = request(Signal::Logs, NOW_NS);
            let body = if content_type == JSON { text.into_bytes() } else { protobuf };
            let answer = post(running.otlp_http, "/v1/logs", content_type, None, body).await;
            assert_eq!(answer.status, status, "{answer:?}");
            let names = if retry_after.is_some() { vec!["RetryInfo".to_owned()] } else { Vec::new() };
            assert_eq!(refusal(&answer), (code, names), "{answer:?}");
            assert_eq!(answer.header("retry-after"), retry_after, "{answer:?}");
            let shown = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(!shown.contains("disk is full"), "the operator's detail stays in the log: {shown}");
        }
    }
    assert_eq!(running.inflight_bytes(), 0);
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_success_names_each_rejected_record() {
    let (running, memory) = start(config()).await;
    let wrong = partly_wrong(NOW_NS);
    let answer = post(running.otlp_http, "/v1/traces", JSON, None, wrong.to_json()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], "2", "{partial}");
    let message = partial["errorMessage"].as_str().unwrap().to_owned();
    for place in ["spans[0].traceId", "spans[2].spanId"] {
        assert!(message.contains(place), "{message}");
    }
    assert_eq!(memory.rows("default"), 1, "the rest is stored");

    // The same batch again, in the other encoding: another digest, the same outcome.
    let answer = post(running.otlp_http, "/v1/traces", PROTOBUF, None, wrong.encode_to_vec()).await;
    let response = skein_otlp::collector::trace::ExportTraceServiceResponse::decode(answer.body).unwrap();
    assert_eq!(response.partial_success.unwrap().rejected_spans, 2);

    // And the operator reads of it too.
    let listed = get(running.http, "/api/v1/rejections").await.json();
    let reasons: Vec<&Value> = listed.as_array().unwrap().iter().map(|entry| &entry["reason_code"]).collect();
    assert!(reasons.contains(&&json!("invalid_trace_id")) && reasons.contains(&&json!("invalid_span_id")));
    let metrics = get(running.http, "/metrics").await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        "skein_rejected_events_total{environment=\"default\",reason=\"invalid_span_id\"} 2",
        "skein_ingest_events_total{environment=\"default\",signal=\"trace\",door=\"otlp_http\",result=\"stored\"} 2",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_gets_the_first_answer() {
    let (running, memory) = start(config()).await;
    let wrong = partly_wrong(NOW_NS).to_json();
    let first = post(running.otlp_http, "/v1/traces", JSON, None, wrong.clone()).await;
    let second = post(running.otlp_http, "/v1/traces", JSON, Some("gzip"), gzip(wrong.as_bytes())).await;
    assert_eq!((first.status, &first.body), (second.status, &second.body), "whatever the compression");
    assert_eq!(memory.rows("default"), 1, "stored once");

    // By the client's own id, whatever the body.
    let headers = [("content-type", JSON), ("skein-batch-id", "batch 7")];
    let (_, text) = request(Signal::Logs, NOW_NS);
    let refused = send(running.http, Protocol::Http1, Method::POST, "/v1/logs", &headers, text.clone()).await;
    assert_eq!(refused.status, 400, "an id with a space is none: {refused:?}");
    let headers = [("content-type", JSON), ("skein-batch-id", "batch-7")];
    for _ in 0..2 {
        let answer =
            send(running.http, Protocol::Http1, Method::POST, "/v1/logs", &headers, text.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(memory.rows("default"), 2);
    let metrics = String::from_utf8(get(running.http, "/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("skein_ingest_duplicate_batches_total{environment=\"default\"} 2"), "{metrics}");
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_requests_are_listed_for_the_operator() {
    let (running, _memory) = start(config()).await;
    post(running.otlp_http, "/v1/traces", "text/plain", None, "hello").await;
    post(running.otlp_http, "/v1/traces", JSON, None, "{").await;
    let listed = get(running.http, "/api/v1/rejections").await.json();
    let shown: Vec<(&str, &str, u64)> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap();
            (text("reason_code"), text("door"), entry["count"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(shown, [("malformed", "otlp_http", 1), ("unsupported_media_type", "otlp_http", 1)]);
    assert_eq!(listed[0]["time"], "2023-11-14T22:13:20.000000000Z");
    let none = get(running.http, "/api/v1/rejections?since=2023-11-14T22:13:21Z").await;
    assert_eq!(none.json(), json!([]));
    running.shutdown().await.unwrap();
}
