//! `/api/v1/insights`: what is planned, answered, found again and refused.

use super::*;

#[tokio::test]
async fn a_query_in_logs_insights_is_planned_and_answered() {
    let server = server();
    let body = json!({"query": "fields a, b | filter a = 'x'", "datasets": ["cart"], "start_time": 5, "end_time": 9});
    let (status, answer) = server.post("/api/v1/insights", body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["complete"], json!(true));
    let columns = json!([{"name": "a", "type": "text"}, {"name": "b", "type": "i64"}]);
    assert_eq!(answer["data"], json!({"columns": columns, "rows": [{"a": "x"}]}));
    let plan = server.told.plans.lock().unwrap()[0].clone();
    assert_eq!((plan.datasets[0].name.as_str(), plan.time_range.start_ns), ("cart", 5_000_000_000));
    assert_eq!(plan.filter.filters[0].column.name.as_ref(), "a");
    let id = answer["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/api/v1/query/{id}")).await.1["data"], answer["data"], "found again");

    let (status, wrong) = error(server.post("/api/v1/insights", json!({"query": "fields strln(a)"})).await);
    assert_eq!((status, &wrong["code"]), (400, &json!("invalid_request")));
    assert_eq!(
        (&wrong["span"], &wrong["candidates"][0]),
        (&json!({"start": 7, "end": 12}), &json!("strlen"))
    );
    let (status, wrong) = error(server.post("/api/v1/insights", json!({"text": "fields a"})).await);
    assert_eq!((status, &wrong["path"]), (400, &json!("/text")));
    server.told.run.send_replace(Run::Wait);
    let (status, waits) =
        server.post("/api/v1/insights", json!({"query": "stats count(*) as n", "wait_ms": 0})).await;
    assert_eq!((status, &waits["complete"]), (202, &json!(false)));
    assert_eq!(waits["data"], json!({"columns": [{"name": "n", "type": "text"}], "rows": []}));
    server.told.run.send_replace(Run::Fail(QueryError::invalid("over")));
}

#[tokio::test]
async fn what_somebody_is_writing_is_completed() {
    let server = server();
    let complete = |body: Json| server.post("/api/v1/complete", body);
    // Places count UTF-16: the crab is two of them.
    let body = json!({"language": "insights", "query": "# \u{1f980}\nfields strl, b", "position": 16, "datasets": ["cart"]});
    let (status, answer) = complete(body).await;
    assert_eq!(status, 200, "{answer}");
    let item = json!({"label": "strlen", "kind": "function", "detail": "strlen(text)", "insert": "strlen("});
    assert_eq!(answer, json!({"from": 12, "to": 16, "items": [item]}));
    let (_, answer) =
        complete(json!({"language": "insights", "query": "fields ca", "datasets": ["cart"]})).await;
    let items = answer["items"].as_array().unwrap();
    let column =
        json!({"label": "cart", "kind": "column", "detail": "i64, text · 3 events", "insert": "cart"});
    assert!(items.contains(&column), "{answer}");
    let (_, answer) = complete(
        json!({"language": "insights", "query": "filter http.route = '/b' | limit 1", "position": 23}),
    )
    .await;
    let value = json!({"label": "/buy", "kind": "value", "detail": "3 events", "insert": "\"/buy\""});
    assert_eq!(answer, json!({"from": 20, "to": 24, "items": [value]}));
    let plan = server.told.plans.lock().unwrap().pop().unwrap();
    assert_eq!((plan.filter.filters.len(), plan.time_range.end_ns > plan.time_range.start_ns), (1, true));
    let (_, answer) =
        complete(json!({"language": "builder", "query": "/b", "column": "http.route", "limit": 1})).await;
    assert_eq!((&answer["from"], &answer["items"][0]["insert"]), (&json!(0), &json!("/buy")));
    let (_, answer) = complete(json!({"language": "builder"})).await;
    assert_eq!(answer["items"][0]["label"], "of all");
    // Who waits for values too long gets none, and no error.
    server.told.run.send_replace(Run::Fail(QueryError::limit("took too long")));
    let (status, answer) = complete(json!({"language": "insights", "query": "filter a = "})).await;
    assert_eq!(
        (status, answer["items"].as_array().unwrap().iter().any(|item| item["kind"] == "value")),
        (200, false)
    );
    for (body, code, path) in [
        (json!({"language": "insights", "query": "a", "position": 2}), "invalid_request", "/position"),
        (json!({"language": "sql", "query": "a"}), "invalid_request", "/language"),
        (json!({"language": "insights", "query": "a", "datasets": ["crat"]}), "not_found", "/datasets/0"),
    ] {
        let (_, wrong) = error(complete(body).await);
        assert_eq!((&wrong["code"], &wrong["path"]), (&json!(code), &json!(path)));
    }
}
