//! What a process ends with (CONTRACT.md, "Commands"): 0 done, 1 refused, 2 usage, 3 unreachable, 4 incomplete.

use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;

use crate::stub::{Stub, answer};
use crate::support::{Server, on_free_ports, run, skein};

#[test]
fn usage_is_2() {
    for arguments in [
        ["query"].as_slice(),
        &["nothing"],
        &["import", "/nowhere/a.jsonl"],
        &["import", "/etc/hostname"],
        &["query", "--spec", "/nowhere"],
        &["query", "--last", "soon", "x"],
        &["trace", "not-an-id!"],
        &["serve", "--http", "nonsense"],
        &["serve", "--http", "0.0.0.0:0"],
        &["serve", "--config", "/nowhere.json"],
    ] {
        let said = run(skein().args(arguments)).expect(2);
        assert_eq!(said.out, "", "{arguments:?}");
        assert!(!said.err.is_empty());
    }
    let error = run(skein().args(["query", "--format", "json"])).expect(2).error();
    assert_eq!(error["code"], json!("invalid_request"));
}

#[test]
fn help_and_version_are_answers() {
    for arguments in [["--help"].as_slice(), &["--version"], &["query", "--help"]] {
        assert!(!run(skein().args(arguments)).expect(0).out.is_empty());
    }
}

#[test]
fn unreachable_is_3() {
    // A port that was free a moment ago and that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    for arguments in [
        ["query", "x", "--format", "json", "--url", &url].as_slice(),
        &["trace", "0af7651916cd43dd8448eb211c80319c", "--format", "json", "--url", &url],
    ] {
        let error = run(skein().args(arguments)).expect(3).error();
        assert_eq!(error["code"], json!("unavailable"));
        assert!(error["hint"].as_str().unwrap().contains("skein serve"), "{error}");
    }
    run(skein().args(["export", "--url", &url])).expect(3);
}

#[test]
fn an_export_that_breaks_off_is_4() {
    let stub = Stub::start(vec![
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{}\n".to_owned(),
    ]);
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("out.jsonl");
    let said = run(skein().args(["export", "--url", &stub.url, "-o"]).arg(&path)).expect(4);
    assert!(said.err.contains("broke off after 3 bytes"), "{}", said.err);
    assert!(!path.exists(), "half an export looks like a whole one");
}

#[test]
fn an_internal_error_names_the_request() {
    let body = r#"{"error":{"code":"internal","message":"the request failed inside the server","request_id":"r-7"}}"#;
    let stub = Stub::start(vec![answer("500 Internal Server Error", "", body)]);
    let said = run(skein().args(["query", "x", "--format", "table", "--url", &stub.url])).expect(1);
    assert!(said.err.contains("r-7"), "{}", said.err);
}

#[test]
fn a_key_and_an_environment_are_sent() {
    let stub = Stub::start(vec![answer("200 OK", "", r#"{"data":{"results":[]}}"#)]);
    let arguments = ["query", "x", "--url", &stub.url, "--key", "k1", "--environment", "skein"];
    run(skein().args(arguments)).expect(0);
    let asked = stub.asked();
    assert_eq!(asked[0].header("Authorization").as_deref(), Some("Bearer k1"));
    assert_eq!(asked[0].header("Skein-Environment").as_deref(), Some("skein"));
}

#[test]
fn a_second_server_on_the_directory_is_2_and_names_the_holder() {
    let server = Server::start();
    let said = run(&mut on_free_ports("serve", server.data.path())).expect(2);
    assert_eq!(said.out, "");
    assert!(said.err.contains(&server.pid().to_string()), "{}", said.err);
    let data = Arc::clone(&server.data);
    assert_eq!(server.stop(), 0);
    // The lock went with its holder.
    assert_eq!(Server::start_on(data).stop(), 0);
}
