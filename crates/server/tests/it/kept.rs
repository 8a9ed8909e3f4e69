//! Markers and boards over a real directory: what was kept is there after a restart, and its loss hides no event.

use serde_json::json;

use crate::client::{get, post_json};
use crate::lifecycle::start;

#[tokio::test(flavor = "multi_thread")]
async fn boards_and_markers_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let panel = json!({"query": {"calculations": [{"op": "COUNT"}]}});
    let board = post_json(running.http, "/api/v1/boards", &json!({"name": "shop", "panels": [panel]})).await;
    assert_eq!(board.status, 200, "{board:?}");
    let marker = post_json(running.http, "/api/v1/markers", &json!({"type": "deploy"})).await;
    running.shutdown().await.unwrap();

    let running = start(folder.path()).await;
    let boards = format!("/api/v1/boards/{}", board.json()["id"].as_str().unwrap());
    assert_eq!(get(running.http, &boards).await.json(), board.json());
    let markers = get(running.http, "/api/v1/markers").await.json();
    assert_eq!(markers["markers"], json!([marker.json()]));
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_registry_is_told_and_the_rest_serves() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    running.shutdown().await.unwrap();
    let path = folder.path().join("registry.sqlite");
    for journal in ["registry.sqlite-wal", "registry.sqlite-shm"] {
        std::fs::remove_file(folder.path().join(journal)).unwrap_or_default();
    }
    std::fs::write(&path, vec![7; 8 << 10]).unwrap();
    let running = start(folder.path()).await;
    let refused = get(running.http, "/api/v1/boards").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.json()["error"]["code"], "unavailable");
    let answer = post_json(running.http, "/api/v1/query", &json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(get(running.http, "/api/v1/boards").await.json()["boards"], json!([]));
    running.shutdown().await.unwrap();
}
