//! Exports: whole or broken, and never in the way of others.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_export_streams_and_never_looks_whole_when_it_failed() {
    let server = server();
    let headers = [("content-type", "application/json")];
    let body = json!({"format": "otlp"}).to_string();
    let (status, lines) = server.raw(Method::POST, "/api/v1/export", &headers, &body).await;
    assert_eq!((status, lines.lines().count()), (200, 20), "more pieces than may wait");
    server.told.run.send_replace(Run::Fail(QueryError::internal("damage")));
    let request = Request::builder().method(Method::POST).uri("/api/v1/export").header("host", "localhost");
    let request = request.header("content-type", "application/json").body(Body::from(body)).unwrap();
    let response = server.router.clone().oneshot(request).await.unwrap();
    assert!(response.into_body().collect().await.is_err(), "the stream breaks");
    for (body, status, path) in [
        (json!({"format": "xml"}), 400, Some("/format")),
        (json!({"format": "parquet"}), 404, Some("/format")),
        (json!({"format": "otlp", "datasets": ["cart", "card"]}), 404, Some("/datasets/1")),
        (json!({"format": "otlp", "start_time": 2, "end_time": 1}), 400, Some("/end_time")),
        (json!({"format": "otlp", "start_time": 1e300}), 400, Some("/start_time")),
        (json!({"datasets": []}), 400, None),
    ] {
        let refused = error(server.post("/api/v1/export", body.clone()).await);
        assert_eq!((refused.0, refused.1.get("path").and_then(Json::as_str)), (status, path), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_not_read_keeps_no_query_out() {
    let server = server();
    let mut unread = Vec::new();
    for _ in 0..4 {
        let request =
            Request::builder().method(Method::POST).uri("/api/v1/export").header("host", "localhost");
        let body = Body::from(json!({"format": "otlp"}).to_string());
        let request = request.header("content-type", "application/json").body(body).unwrap();
        unread.push(server.router.clone().oneshot(request).await.unwrap());
    }
    assert_eq!(server.post("/api/v1/query", json!({})).await.0, 200);
    for response in unread {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.iter().filter(|&&byte| byte == b'\n').count(), 20, "it goes on when it is read");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_exported_as_lines_from_one_scan() {
    let server = server();
    let headers = [("content-type", "application/json")];
    let body = json!({"format": "ndjson"}).to_string();
    let (status, lines) = server.raw(Method::POST, "/api/v1/export", &headers, &body).await;
    assert_eq!((status, lines.lines().count()), (200, 40_000));
    assert!(
        lines.lines().all(|line| serde_json::from_str::<Json>(line).is_ok_and(|row| row["name"].is_string()))
    );
    assert!(
        server.told.plans.lock().unwrap().is_empty(),
        "no page was asked for: one walk over one snapshot"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_not_read_gives_its_thread_back() {
    let patience =
        crate::patience::Patience { unread: std::time::Duration::from_millis(20), ..Default::default() };
    let server = server_with(patience);
    let request = || {
        let request =
            Request::builder().method(Method::POST).uri("/api/v1/export").header("host", "localhost");
        let body = Body::from(json!({"format": "otlp"}).to_string());
        request.header("content-type", "application/json").body(body).unwrap()
    };
    let mut unread = Vec::new();
    for _ in 0..event::limits::EXPORTS_RUNNING_MAX {
        unread.push(server.router.clone().oneshot(request()).await.unwrap());
    }
    // All threads are taken; the next one has to wait until they are given up. On a busy machine it may itself be
    // read too slowly for so little patience; then it breaks off, and another is asked for.
    loop {
        let response = server.router.clone().oneshot(request()).await.unwrap();
        if let Ok(body) = response.into_body().collect().await {
            assert_eq!(body.to_bytes().iter().filter(|&&byte| byte == b'\n').count(), 20);
            break;
        }
    }
    // One of them has given its thread up. The others may not have yet, and are then read in time.
    let mut given_up = 0;
    for response in unread {
        match response.into_body().collect().await {
            Ok(body) => assert_eq!(body.to_bytes().iter().filter(|&&byte| byte == b'\n').count(), 20),
            Err(_) => given_up += 1,
        }
    }
    assert!(given_up > 0, "what was given up does not look whole");
}
