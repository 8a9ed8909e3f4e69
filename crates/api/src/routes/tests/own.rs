//! Skein's own events: what is asked of them is not told by them.

use super::*;

#[tokio::test]
async fn work_for_skein_itself_is_not_observed() {
    let server = server();
    let headers = [("content-type", "application/json"), ("skein-environment", "skein")];
    assert_eq!(server.raw(Method::POST, "/api/v1/query", &headers, "{}").await.0, 200);
    assert_eq!(server.raw(Method::GET, "/api/v1/datasets", &headers, "").await.0, 200);
    assert!(server.told.observed.lock().unwrap().is_empty());
    assert_eq!(server.told.plans.lock().unwrap()[0].environment, Environment::skein());
    assert_eq!(server.post("/api/v1/query", json!({})).await.0, 200);
    assert_eq!(*server.told.observed.lock().unwrap(), ["query", "request"]);
}
