//! `/api/v1/markers` and `/api/v1/boards`: what is kept, changed, refused.

use super::*;

impl Server {
    async fn send(&self, method: Method, path: &str, body: Json) -> (u16, Json) {
        let headers = [("content-type", "application/json")];
        let (status, body) = self.raw(method, path, &headers, &body.to_string()).await;
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }
}

#[tokio::test]
async fn markers_are_kept_changed_and_deleted() {
    let server = server();
    let body = json!({"start_time": 1.5, "type": "deploy", "message": "v2", "url": "https://ci.example/7"});
    let (status, mut made) = server.post("/api/v1/markers", body).await;
    assert_eq!(status, 200, "{made}");
    let id = made["id"].take().as_str().unwrap().to_owned();
    let now = "2023-11-14T22:13:20.000000000Z";
    let golden = json!({
        "id": null, "start_time": 1.5, "type": "deploy", "message": "v2", "url": "https://ci.example/7",
        "version": 1, "created_at": now, "updated_at": now,
    });
    assert_eq!(made, golden);
    let (_, now_made) = server.post("/api/v1/markers", json!({"dataset": "cart"})).await;
    assert_eq!((&now_made["start_time"], &now_made["dataset"]), (&json!(1.7e9), &json!("cart")));

    let path = format!("/api/v1/markers/{id}");
    let change = json!({"end_time": 2.5, "message": "v2, undone", "version": 1});
    let (status, changed) = server.send(Method::PUT, &path, change.clone()).await;
    assert_eq!(
        (status, &changed["version"], &changed["start_time"]),
        (200, &json!(2), &json!(1.5)),
        "{changed}"
    );
    assert_eq!((&changed["end_time"], &changed["type"]), (&json!(2.5), &json!("")), "{changed}");
    let (status, late) = error(server.send(Method::PUT, &path, change).await);
    assert_eq!((status, &late["code"], &late["path"]), (409, &json!("conflict"), &json!("/version")));

    let (_, listed) = server.get("/api/v1/markers").await;
    assert_eq!((listed["markers"].as_array().unwrap().len(), &listed["more"]), (2, &json!(false)));
    assert_eq!(listed["markers"][0], now_made, "the latest first");
    let (_, early) = server.get("/api/v1/markers?start_time=2&end_time=3&limit=1").await;
    assert_eq!(early, json!({"markers": [changed], "more": false, "damaged": []}));
    let demo = [("skein-environment", "demo")];
    assert!(server.raw(Method::GET, "/api/v1/markers", &demo, "").await.1.contains("\"markers\":[]"));
    assert_eq!(server.raw(Method::GET, &path, &demo, "").await.0, 404);

    let (status, body) = server.raw(Method::DELETE, &path, &[], "").await;
    assert_eq!(
        (status, serde_json::from_str::<Json>(&body).unwrap()),
        (200, json!({"id": id, "was": changed}))
    );
    assert_eq!(error(server.get(&path).await).0, 404);
}

#[tokio::test]
async fn what_is_no_marker_is_refused_with_its_place() {
    let server = server();
    for (body, path) in [
        (json!({"url": "javascript:alert(1)"}), "/url"),
        (json!({"url": "https://x.example/a b"}), "/url"),
        (json!({"start_time": 5, "end_time": 4}), "/end_time"),
        (json!({"start_time": "yesterday"}), "/start_time"),
        (json!({"message": "m".repeat(1_001)}), "/message"),
        (json!({"messsage": "m"}), "/messsage"),
        (json!({"version": 0}), "/version"),
    ] {
        let (status, refused) = error(server.post("/api/v1/markers", body).await);
        assert_eq!((status, &refused["path"]), (400, &json!(path)), "{refused}");
    }
    assert_eq!(error(server.get("/api/v1/markers/zzz").await).0, 404);
    assert_eq!(error(server.get("/api/v1/markers?limit=0").await).0, 400);
    server.api.door.gate.close();
    assert_eq!(error(server.post("/api/v1/markers", json!({})).await).0, 503, "a server that stops");
}

#[tokio::test]
async fn boards_are_kept_changed_and_deleted() {
    let server = server();
    let panels = json!([
        {"title": "slow", "display": "heatmap", "layout": {"x": 0, "y": 0, "width": 6, "height": 4},
         "query": {"calculations": [{"op": "HEATMAP", "column": "duration_ms"}]}},
        {"insights": {"query": "stats count(*) by bin(5m)", "datasets": ["cart"]}},
        {"text": "what to do"},
    ]);
    let (status, board) = server.post("/api/v1/boards", json!({"name": "shop", "panels": panels})).await;
    assert_eq!((status, &board["panels"], &board["version"]), (200, &panels, &json!(1)), "{board}");
    let id = board["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/boards/{id}");
    assert_eq!(server.get(&path).await, (200, board));
    let (_, listed) = server.get("/api/v1/boards").await;
    assert_eq!((&listed["boards"][0]["panels"], &listed["boards"][0]["id"]), (&json!(3), &json!(id)));

    let (status, refused) = error(server.send(Method::PUT, &path, json!({"name": "x"})).await);
    assert_eq!((status, &refused["path"]), (400, &json!("/version")), "a change names what it changes");
    let (status, changed) = server.send(Method::PUT, &path, json!({"name": "x", "version": 1})).await;
    assert_eq!((status, &changed["version"], &changed["panels"]), (200, &json!(2), &json!([])), "{changed}");
    let (status, late) = error(server.send(Method::PUT, &path, json!({"name": "y", "version": 1})).await);
    assert_eq!((status, &late["code"]), (409, &json!("conflict")));
    assert!(late["hint"].as_str().unwrap().contains("version 2"), "{late}");
    let (status, _) = server.raw(Method::DELETE, &format!("{path}?version=1"), &[], "").await;
    assert_eq!(status, 409);
    let (status, _) = server.raw(Method::DELETE, &format!("{path}?version=2"), &[], "").await;
    assert_eq!(status, 200);
    assert_eq!(error(server.get(&path).await).0, 404);
}

#[tokio::test]
async fn a_board_holds_only_questions_that_can_be_asked() {
    let server = server();
    let panel = |panel: Json| json!({"name": "b", "panels": [{"text": ""}, panel]});
    for (body, path) in [
        (json!({"panels": []}), ""),
        (json!({"name": ""}), "/name"),
        (json!({"name": "b", "panels": vec![json!({"text": ""}); 65]}), "/panels"),
        (panel(json!({})), "/panels/1"),
        (panel(json!({"text": "", "query": {}})), "/panels/1"),
        (panel(json!({"query": {"filters": [{"column": "a", "op": "~"}]}})), "/panels/1/query/filters/0/op"),
        (panel(json!({"query": {"calculations": [{"op": "COUNTS"}]}})), "/panels/1/query/calculations/0/op"),
        (panel(json!({"insights": {"query": "fields strln(a)"}})), "/panels/1/insights/query"),
        (panel(json!({"insights": {"query": "fields a", "wait_ms": 1}})), "/panels/1/insights/wait_ms"),
        (panel(json!({"text": "", "display": "pie"})), "/panels/1/display"),
        (panel(json!({"text": "", "layout": {"x": 8, "y": 0, "width": 6, "height": 1}})), "/panels/1/layout"),
        (panel(json!({"text": "x".repeat(17 << 10)})), "/panels/1/text"),
    ] {
        let (status, refused) = error(server.post("/api/v1/boards", body.clone()).await);
        assert_eq!((status, &refused["path"]), (400, &json!(path)), "{refused}: {body}");
    }
    let (_, refused) =
        error(server.post("/api/v1/boards", panel(json!({"insights": {"query": "fields strln(a)"}}))).await);
    assert_eq!(
        (&refused["span"], &refused["candidates"][0]),
        (&json!({"start": 7, "end": 12}), &json!("strlen"))
    );
}
