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
