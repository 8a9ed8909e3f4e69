//! Without keys, this machine alone is served, and no page of another site (DESIGN.md §8).

use hyper::Method;
use serde_json::json;

use crate::client::{Protocol, get, post, post_json, send};
use crate::memory::{config, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_is_refused() {
    let (running, memory) = start(config()).await;
    for address in [running.http, running.otlp_http] {
        let path = if address == running.http { "/api/v1/datasets" } else { "/v1/traces" };
        for headers in [
            [("host", "evil.example"), ("content-type", "application/json")],
            [("origin", "http://evil.example"), ("content-type", "application/json")],
        ] {
            for method in [Method::GET, Method::POST, Method::OPTIONS] {
                let answer = send(address, Protocol::Http1, method.clone(), path, &headers, "{}").await;
                assert_eq!(answer.status, 403, "{method} {headers:?} {answer:?}");
                assert_eq!(answer.json()["error"]["code"], "forbidden");
                assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
            }
        }
    }
    assert_eq!(memory.rows("default"), 0);
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_must_be_json() {
    let (running, _memory) = start(config()).await;
    for path in ["/api/v1/query", "/api/v1/export"] {
        for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
            let answer = post(running.http, path, content_type, None, "{}").await;
            assert_eq!(
                (answer.status.as_u16(), &answer.json()["error"]["code"]),
                (400, &json!("invalid_request"))
            );
        }
    }
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_server_writes_to_its_own_environment() {
    let (running, memory) = start(config()).await;
    let headers = [("content-type", "application/json"), ("skein-environment", "skein")];
    let (_, body) = crate::otlp::request(skein_ingest::Signal::Logs, 1);
    let answer = send(running.otlp_http, Protocol::Http1, Method::POST, "/v1/logs", &headers, body).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (403, &json!(7)), "{answer:?}");
    running.flush_observations().await;
    assert_eq!(memory.rows("default"), 0);
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_names_its_request() {
    let (running, _memory) = start(config()).await;
    let missing = get(running.http, "/api/v1/nothing").await;
    assert_eq!(missing.json()["error"]["request_id"], missing.header("x-request-id").unwrap());
    let wrong = post_json(running.http, "/api/v1/query", &json!({"filterz": []})).await;
    assert_eq!(wrong.json()["error"]["request_id"], wrong.header("x-request-id").unwrap());
    assert_ne!(missing.header("x-request-id"), wrong.header("x-request-id"));
    running.shutdown().await.unwrap();
}
