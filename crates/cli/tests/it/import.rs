//! `skein import`.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::slice;
use crate::stub::{Stub, answer};
use crate::support::{Said, Server, run, skein};

fn import(server: &Server, files: &[std::path::PathBuf]) -> Said {
    run(server.client(&["import", "--format", "json"]).args(files))
}

/// Everything there is, counted: events by signal, and metric points.
fn census(server: &Server) -> Value {
    let specification = json!({
        "calculations": [{"op": "COUNT"}, {"op": "SUM", "column": "meta.metric.points"}],
        "breakdowns": ["meta.signal_type"],
        "orders": [{"column": "meta.signal_type", "order": "ascending"}],
        "start_time": slice::START_S - 60, "end_time": slice::START_S + 600,
    });
    server.ask(&specification)
}

#[test]
fn importing_again_changes_nothing() {
    let server = Server::start();
    let directory = TempDir::new().unwrap();
    let files = slice::write_files(directory.path());

    let first = import(&server, &files).expect(0).json();
    let column = |rows: &Value, name: &str| -> Vec<u64> {
        rows.as_array().unwrap().iter().map(|row| row[name].as_u64().unwrap()).collect()
    };
    let all = [slice::SPANS, slice::LOGS, slice::POINTS];
    assert_eq!(column(&first, "stored"), all, "{first}");
    assert_eq!(column(&first, "duplicate"), [0, 0, 0]);
    assert_eq!(column(&first, "lines"), [3, 1, 2]);
    let before = census(&server);
    let count = |signal: &str, name: &str| {
        let rows = before.as_array().unwrap();
        rows.iter().find(|row| row["meta.signal_type"] == signal).unwrap()[name].as_f64().unwrap()
    };
    assert_eq!(count("trace", "COUNT"), slice::SPANS as f64);
    assert_eq!(count("log", "COUNT"), slice::LOGS as f64);
    assert_eq!(count("metric", "SUM(meta.metric.points)"), slice::POINTS as f64);

    let second = import(&server, &files).expect(0).json();
    assert_eq!(column(&second, "stored"), [0, 0, 0], "{second}");
    assert_eq!(column(&second, "duplicate"), all);
    assert_eq!(census(&server), before);
    assert_eq!(server.stop(), 0);
}

#[test]
fn what_cannot_be_taken_is_named_and_the_rest_is_stored() {
    let server = Server::start();
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("mixed.jsonl.gz");
    let good = slice::traces();
    let mut bad_id = good[1].clone();
    bad_id["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"] = json!("abc1");
    let text = format!("{}\n\n{{}}\nnot json\n{}\n{bad_id}\n", good[0], " ".repeat((64 << 20) + 1));
    slice::write_gz(&path, &text);

    let said = import(&server, &[path]).expect(4);
    let row = &said.json()[0];
    assert_eq!(row["stored"], json!(30 + 29), "{said:?}");
    assert_eq!((row["rejected"].clone(), row["refused_lines"].clone()), (json!(1), json!(3)), "{said:?}");
    for expected in [
        "mixed.jsonl.gz:3: has none of",
        "mixed.jsonl.gz:4: is not",
        "mixed.jsonl.gz:5: is longer than 64 MiB",
        "mixed.jsonl.gz:6: ",
    ] {
        assert!(said.err.contains(expected), "{expected}: {}", said.err);
    }
}

#[test]
fn a_busy_server_is_asked_again_under_the_same_batch_id() {
    let stub = Stub::start(vec![
        answer("429 Too Many Requests", "Retry-After: 0\r\n", "{}"),
        answer("503 Service Unavailable", "Retry-After: 0\r\n", "{}"),
        answer("200 OK", "", "{}"),
    ]);
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("one.jsonl");
    std::fs::write(&path, format!("\n{}\n", slice::traces()[0])).unwrap();
    let said = run(skein().args(["import", "--format", "json", "--url", &stub.url]).arg(&path)).expect(0);
    assert_eq!(said.json()[0]["stored"], json!(30));

    let asked = stub.asked();
    assert_eq!(asked.len(), 3);
    let digest = run(std::process::Command::new("sha256sum").arg(&path)).out;
    // The second line: lines are counted from 0, empty ones too.
    let expected = format!("import/{}/1", &digest[..64]);
    for request in &asked {
        assert_eq!(request.header("Skein-Batch-Id"), Some(expected.clone()));
        assert!(request.line.starts_with("POST /v1/traces "), "{}", request.line);
        assert_eq!(request.header("Content-Type").as_deref(), Some("application/json"));
        assert_eq!(request.body, slice::traces()[0].to_string());
    }
}

#[test]
fn a_resend_is_counted_as_one() {
    let stub = Stub::start(vec![answer("200 OK", "Skein-Batch-Duplicate: true\r\n", "{}")]);
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("one.jsonl");
    std::fs::write(&path, slice::text(&slice::logs())).unwrap();
    let said = run(skein().args(["import", "--format", "json", "--url", &stub.url]).arg(&path)).expect(0);
    assert_eq!(said.json()[0]["duplicate"], json!(slice::LOGS));
}
