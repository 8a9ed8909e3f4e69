//! Over real files: what is acknowledged is there at once, and after a restart; environments are sealed; a
//! directory has one server; SIGTERM ends in time.
//!
//! A server as a process is this test binary itself, told by an environment variable to be one.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use hyper::Method;
use serde_json::{Value, json};
use skein_otlp::Message as _;
use skein_otlp::json::ToJson as _;
use skein_server::{Config, Running};

use crate::client::{Protocol, get, post, post_json, send};
use crate::limits::until;
use crate::memory::{Mode, Moved, NOW_NS, config, start_at};
use crate::otlp::{attribute, span, traces};

const PROTOBUF: &str = "application/x-protobuf";

pub(crate) async fn start(data: &Path) -> Running {
    skein_server::start(&Config { data: data.to_owned(), ..config() }).await.unwrap()
}

/// A specification over the time of the events that tests send.
pub(crate) fn count() -> Value {
    json!({"calculations": [{"op": "COUNT"}], "start_time": NOW_NS / 1_000_000_000 - 10, "time_range": 100})
}

pub(crate) fn counted(answer: &Value) -> i64 {
    assert_eq!(answer["complete"], true, "{answer}");
    answer["data"]["results"][0]["data"]["COUNT"].as_i64().unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_queryable_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    for number in 1..=20_u8 {
        let body = traces("cart", vec![span(number, NOW_NS + u64::from(number))]).encode_to_vec();
        let sent = post(running.otlp_http, "/v1/traces", PROTOBUF, None, body).await;
        assert_eq!(sent.status, 200, "{sent:?}");
        let answer = post_json(running.http, "/api/v1/query", &count()).await;
        assert_eq!(counted(&answer.json()), i64::from(number), "after each acknowledgement, not later");
    }
    let id = "07".repeat(16);
    let trace = get(running.http, &format!("/api/v1/traces/{id}?fields=name,http.route")).await.json();
    assert_eq!(trace["spans"][0]["name"], "operation 7", "{trace}");
    assert_eq!((&trace["complete"], &trace["root_ids"]), (&json!(true), &json!(["07".repeat(8)])));
    assert!(trace["spans"][0].get("duration_ms").is_none(), "only the fields asked for: {trace}");
    let datasets = get(running.http, "/api/v1/datasets").await.json();
    assert_eq!((&datasets[0]["name"], &datasets[0]["events"]), (&json!("cart"), &json!(20)), "{datasets}");
    let columns = get(running.http, "/api/v1/datasets/cart/columns").await.json();
    let names: Vec<&str> = columns.as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"http.route") && names.contains(&"duration_ms"), "{names:?}");
    let values = get(running.http, "/api/v1/datasets/cart/columns/http.route/values?prefix=/b").await.json();
    assert_eq!(values, json!([{"value": "/buy", "count": 20}]));
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let wide = traces("cart", vec![span(1, NOW_NS), span(2, NOW_NS + 1)]);
    for round in 0..3 {
        let running = start(folder.path()).await;
        // The same batch each time: once in all.
        let answer = post(running.otlp_http, "/v1/traces", PROTOBUF, None, wide.encode_to_vec()).await;
        assert_eq!(answer.status, 200);
        let answer = post_json(running.http, "/api/v1/query", &count()).await.json();
        assert_eq!(counted(&answer), 2, "round {round}");
        running.shutdown().await.unwrap();
    }
    assert!(folder.path().join("segments/default").exists(), "heads were flushed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_in_comes_out_of_the_export() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let sent = traces("cart", vec![span(1, NOW_NS)]);
    assert_eq!(post(running.otlp_http, "/v1/traces", PROTOBUF, None, sent.encode_to_vec()).await.status, 200);
    let otlp = post_json(running.http, "/api/v1/export", &json!({"format": "otlp"})).await;
    assert_eq!(otlp.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(String::from_utf8(otlp.body.to_vec()).unwrap(), format!("{}\n", sent.to_json()));
    let lines =
        post_json(running.http, "/api/v1/export", &json!({"format": "ndjson", "datasets": ["cart"]})).await;
    let line: Value = lines.json();
    assert_eq!((&line["name"], &line["service.name"]), (&json!("operation 1"), &json!("cart")));
    let range = json!({"format": "ndjson", "start_time": 0, "end_time": 1});
    assert_eq!(post_json(running.http, "/api/v1/export", &range).await.body, "", "nothing in this range");
    let unknown =
        post_json(running.http, "/api/v1/export", &json!({"format": "otlp", "datasets": ["card"]})).await;
    assert_eq!(unknown.json()["error"]["candidates"], json!(["cart"]), "{unknown:?}");
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn freshness_is_the_time_from_arrival_to_visible() {
    use std::sync::atomic::Ordering;
    let clock = Arc::new(Moved(i64::try_from(NOW_NS).unwrap().into()));
    let (running, memory) =
        start_at(config(), Arc::clone(&clock) as Arc<dyn skein_event::observe::Clock>).await;
    memory.mode.send_replace(Mode::Hold);
    let body = traces("cart", vec![span(1, NOW_NS)]).encode_to_vec();
    let address = running.otlp_http;
    let sent = tokio::spawn(async move { post(address, "/v1/traces", PROTOBUF, None, body).await });
    until(|| memory.mode.receiver_count() > 0).await;
    clock.0.fetch_add(3_000_000_000, Ordering::Relaxed);
    memory.mode.send_replace(Mode::Store);
    assert_eq!(sent.await.unwrap().status, 200);
    let metrics = String::from_utf8(get(running.http, "/metrics").await.body.to_vec()).unwrap();
    for line in [
        "skein_freshness_seconds_bucket{environment=\"default\",le=\"1\"} 0",
        "skein_freshness_seconds_bucket{environment=\"default\",le=\"5\"} 1",
        "skein_freshness_seconds_sum{environment=\"default\"} 3",
        "skein_freshness_seconds_count{environment=\"default\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rejections_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let bad = skein_otlp::trace::Span { span_id: vec![1, 2, 3], ..span(1, NOW_NS) };
    let body = traces("cart", vec![bad, span(2, NOW_NS)]).encode_to_vec();
    assert_eq!(post(running.otlp_http, "/v1/traces", PROTOBUF, None, body).await.status, 200);
    post(running.otlp_http, "/v1/traces", PROTOBUF, None, "\u{a}\u{7f}oops").await;
    let before = get(running.http, "/api/v1/rejections").await.json();
    assert_eq!(before.as_array().unwrap().len(), 2, "{before}");
    running.shutdown().await.unwrap();

    let running = start(folder.path()).await;
    let mut after = json!([]);
    while after != before {
        after = get(running.http, "/api/v1/rejections").await.json();
    }
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_served_is_told_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let body = traces("cart", vec![span(1, NOW_NS)]).encode_to_vec();
    post(running.otlp_http, "/v1/traces", PROTOBUF, None, body).await;
    running.shutdown().await.unwrap();
    let segments = std::fs::read_dir(folder.path().join("segments/default")).unwrap();
    let day = segments.map(|day| day.unwrap().path()).next().expect("a day");
    let file = std::fs::read_dir(day).unwrap().next().expect("a segment").unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(&file, bytes).unwrap();

    let running = start(folder.path()).await;
    let mut answer = post_json(running.http, "/api/v1/query", &count()).await.json();
    assert_eq!(counted(&answer), 0, "the rest answers");
    let warned = |answer: &Value| answer["meta"]["warnings"].to_string().contains("segments_damaged");
    while !warned(&answer) {
        answer = post_json(running.http, "/api/v1/query", &count()).await.json();
    }
    assert_eq!(get(running.http, "/readyz").await.status, 200, "what can be served is served");
    let usage = get(running.http, "/api/v1/usage").await.json();
    assert_eq!(
        (&usage["findings"][0]["kind"], &usage["findings"][0]["events"]),
        (&json!("set_aside"), &json!(1))
    );
    let metrics = String::from_utf8(get(running.http, "/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("skein_findings{environment=\"default\",kind=\"set_aside\"} 1"), "{metrics}");
    let told = json!({"time_range": 600, "filters": [{"column": "name", "op": "=", "value": "finding"}]});
    loop {
        running.flush_observations().await;
        let answer = ask_in(&running, "skein", &told).await;
        if answer["complete"] == true && counted(&answer) == 1 {
            break;
        }
    }
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flush_of_a_stopping_server_is_observed() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let body = traces("cart", vec![span(1, NOW_NS)]).encode_to_vec();
    post(running.otlp_http, "/v1/traces", PROTOBUF, None, body).await;
    running.shutdown().await.unwrap();
    let running = start(folder.path()).await;
    let flushes = json!({"time_range": 600, "filters": [{"column": "name", "op": "=", "value": "flush"}]});
    assert!(counted(&ask_in(&running, "skein", &flushes).await) >= 1);
    running.shutdown().await.unwrap();
}

/// Asks in an environment.
async fn ask_in(running: &Running, environment: &str, spec: &Value) -> Value {
    let headers = [("content-type", "application/json"), ("skein-environment", environment)];
    let answer =
        send(running.http, Protocol::Http1, Method::POST, "/api/v1/query", &headers, spec.to_string()).await;
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn skein_observes_itself_in_its_own_environment() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let body = traces("cart", vec![span(1, NOW_NS)]).encode_to_vec();
    post(running.otlp_http, "/v1/traces", PROTOBUF, None, body).await;
    post_json(running.http, "/api/v1/query", &count()).await;
    running.flush_observations().await;
    let names = json!({"breakdowns": ["name"], "calculations": [{"op": "COUNT"}], "time_range": 600});
    let answer = ask_in(&running, "skein", &names).await;
    let shown: Vec<&str> = answer["data"]["results"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .iter()
        .map(|result| result["data"]["name"].as_str().unwrap())
        .collect();
    for name in ["ingest", "query", "request"] {
        assert!(shown.contains(&name), "{name} in {shown:?}");
    }
    let rows = json!({"calculations": [], "filters": [{"column": "name", "op": "=", "value": "ingest"}],
        "time_range": 600});
    let row = &ask_in(&running, "skein", &rows).await["data"]["rows"][0];
    assert_eq!((&row["service.name"], &row["skein.rows"]), (&json!("skein"), &json!(1)), "{row}");
    assert_eq!((&row["skein.door"], &row["skein.environment"]), (&json!("otlp_http"), &json!("default")));

    // Asking about itself leaves no trace, or it would never come to rest.
    running.flush_observations().await;
    let before = counted(&ask_in(&running, "skein", &json!({"time_range": 600})).await);
    running.flush_observations().await;
    assert_eq!(counted(&ask_in(&running, "skein", &json!({"time_range": 600})).await), before);
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn environments_are_sealed_end_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let secret =
        skein_otlp::trace::Span { attributes: vec![attribute("card.number", "4111")], ..span(1, NOW_NS) };
    let body = traces("cart", vec![secret]).encode_to_vec();
    post(running.otlp_http, "/v1/traces", PROTOBUF, None, body).await;
    post(running.otlp_http, "/v1/traces", "text/plain", None, "x").await;
    let question = post_json(running.http, "/api/v1/query", &count()).await.json();
    running.flush_observations().await;

    let in_skein = [("skein-environment", "skein"), ("content-type", "application/json")];
    let trace = format!("/api/v1/traces/{}", "01".repeat(16));
    let answer_id = format!("/api/v1/query/{}", question["id"].as_str().unwrap());
    for path in [
        trace.as_str(),
        &answer_id,
        "/api/v1/datasets",
        "/api/v1/rejections",
        "/api/v1/usage",
        "/api/v1/datasets/__all__/columns",
        "/api/v1/datasets/__all__/columns/card.number/values",
    ] {
        let mine = get(running.http, path).await;
        assert_eq!(mine.status, 200, "{path}: {mine:?}");
        let theirs = send(running.http, Protocol::Http1, Method::GET, path, &in_skein, "").await;
        let text = String::from_utf8(theirs.body.to_vec()).unwrap();
        // An error repeats the name that was asked for, and nothing else.
        let told = text.replace("`card.number`", "");
        assert!(!told.contains("4111") && !told.contains("cart") && !told.contains("card"), "{path}: {text}");
        assert_ne!(text.as_bytes(), &*mine.body, "{path}");
    }
    assert_eq!(counted(&ask_in(&running, "skein", &count()).await), 0);
    let export = json!({"format": "otlp"}).to_string();
    let theirs = send(running.http, Protocol::Http1, Method::POST, "/api/v1/export", &in_skein, export).await;
    let text = String::from_utf8(theirs.body.to_vec()).unwrap();
    assert!(text.contains("skein.door") && !text.contains("4111"), "{text}");
    let mine = post_json(running.http, "/api/v1/export", &json!({"format": "otlp"})).await;
    let text = String::from_utf8(mine.body.to_vec()).unwrap();
    assert!(text.contains("4111") && !text.contains("skein.door"), "{text}");
    let unknown = [("skein-environment", "other")];
    let refused = send(running.http, Protocol::Http1, Method::GET, "/api/v1/datasets", &unknown, "").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["code"]), (404, &json!("not_found")));
    running.shutdown().await.unwrap();
}

// === a server as a process ===

const SERVE: &str = "SKEIN_TEST_SERVE";

/// No test: the process that the tests below start.
#[test]
fn serves_when_told_to() {
    if let Ok(data) = std::env::var(SERVE) {
        let config = Config { data: data.into(), linger_ms: 500, ..config() };
        let code = skein_server::serve(config).unwrap_or_else(|error| {
            eprintln!("{error:#}");
            std::process::ExitCode::FAILURE
        });
        let failed = format!("{code:?}");
        std::process::exit(
            [0, 2].into_iter().find(|code| failed.contains(&format!("({code})"))).unwrap_or(1),
        );
    }
}

fn process(data: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["lifecycle::serves_when_told_to", "--exact", "--nocapture"])
        .env(SERVE, data)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The ready line of a process.
fn ready(child: &mut Child) -> Value {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains("\"event\"")).expect("a ready line");
    // The test harness writes before it, on the same line.
    let value = serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    value
}

fn address(ready: &Value, name: &str) -> std::net::SocketAddr {
    ready[name].as_str().unwrap().parse().unwrap()
}

fn terminate(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_server_and_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = process(folder.path());
    let line = ready(&mut child);
    let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["event", "http", "otlp_grpc", "otlp_http", "data", "version"]);
    assert_eq!((&line["event"], &line["data"]), (&json!("ready"), &json!(folder.path())));
    let body = traces("cart", vec![span(1, NOW_NS)]).encode_to_vec();
    assert_eq!(post(address(&line, "otlp_http"), "/v1/traces", PROTOBUF, None, body).await.status, 200);

    terminate(&child);
    // While it lingers, new work is refused politely; before it has heard the signal, it is still done.
    let mut refused = None;
    while let Ok(None) = child.try_wait() {
        let Ok(stream) = std::net::TcpStream::connect(address(&line, "http")) else { break };
        drop(stream);
        let answer = get(address(&line, "http"), "/api/v1/datasets").await;
        if answer.status == 503 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("an answer of 503 before the end");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.json()["error"]["code"], "unavailable");
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{status}");

    let running = start(folder.path()).await;
    assert_eq!(counted(&post_json(running.http, "/api/v1/query", &count()).await.json()), 1);
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_is_refused_and_names_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = process(folder.path());
    let line = ready(&mut first);
    let second = process(folder.path()).wait_with_output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    let told = String::from_utf8(second.stderr).unwrap();
    assert!(told.contains(&first.id().to_string()), "{told} names {}", first.id());
    assert!(!String::from_utf8(second.stdout).unwrap().contains("ready\""), "it never was ready");
    assert_eq!(get(address(&line, "http"), "/readyz").await.status, 200, "the first one serves on");
    terminate(&first);
    assert_eq!(first.wait().unwrap().code(), Some(0));
}
