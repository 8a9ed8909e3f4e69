//! Health, readiness, metrics.

use super::*;

#[tokio::test]
async fn health_and_metrics() {
    let server = server();
    assert_eq!(server.raw(Method::GET, "/healthz", &[], "").await, (200, "ok\n".into()));
    assert_eq!(server.raw(Method::GET, "/readyz", &[], "").await.0, 200);
    let (_, metrics) = server.raw(Method::GET, "/metrics", &[], "").await;
    for name in [
        "skein_ingest_events_total",
        "skein_ingest_duplicate_batches_total",
        "skein_rejected_events_total",
        "skein_log_fsync_seconds",
        "skein_log_durable_offset",
        "skein_head_rows",
        "skein_segments",
        "skein_storage_bytes",
        "skein_query_seconds",
        "skein_freshness_seconds",
    ] {
        assert!(metrics.contains(&format!("# TYPE {name} ")), "{name}");
    }
    assert!(
        metrics.contains("skein_storage_bytes{environment=\"default\",kind=\"segments\"} 100"),
        "{metrics}"
    );
    assert!(metrics.contains("skein_findings{environment=\"default\",kind=\"set_aside\"} 1"), "{metrics}");
    server.api.door.gate.close();
    let (status, body) = error(server.get("/readyz").await);
    assert_eq!((status, &body["retry_after_ms"]), (503, &json!(1000)));
    assert_eq!(server.raw(Method::GET, "/healthz", &[], "").await.0, 200);
}
