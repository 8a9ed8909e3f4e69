//! Asking a server, and questions that name few columns.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use skein_workload::wide::WideConfig;

use crate::http::Connection;
use crate::process::Server;
use crate::report::precise;

/// One question.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) spec: Value,
}

/// The time range of the events of a configuration, whole seconds, with room for children that end late.
pub(crate) fn times(config: &WideConfig) -> (i64, i64) {
    let start = config.start_ns / 1_000_000_000 - 3_600;
    (start, (config.start_ns + config.duration_ns) / 1_000_000_000 + 3_600)
}

/// Questions of several kinds.
pub(crate) fn questions() -> Vec<Question> {
    let count = || json!([{"op": "COUNT"}]);
    let question = |name, spec| Question { name, spec };
    vec![
        question("count", json!({"calculations": count()})),
        question("count_by_minute", json!({"calculations": count(), "granularity": 60})),
        question(
            "errors_by_service",
            json!({"calculations": count(), "breakdowns": ["service.name"], "limit": 1_000,
                   "filters": [{"column": "error", "op": "=", "value": true}]}),
        ),
        question(
            "p99_by_service",
            json!({"calculations": [{"op": "P99", "column": "duration_ms"}], "breakdowns": ["service.name"],
                   "limit": 1_000}),
        ),
        question(
            "top_users_of_failures",
            json!({"calculations": count(), "breakdowns": ["user.id"], "limit": 20,
                   "filters": [{"column": "http.response.status_code", "op": ">=", "value": 500}],
                   "orders": [{"op": "COUNT", "order": "descending"}]}),
        ),
        question("distinct_users", json!({"calculations": [{"op": "COUNT_DISTINCT", "column": "user.id"}]})),
        question(
            "sums",
            json!({"calculations": [{"op": "SUM", "column": "http.response.body.size"},
                                    {"op": "MAX", "column": "shop.cart.value"}]}),
        ),
        question(
            "text_in_messages",
            json!({"calculations": count(), "filters": [{"column": "body", "op": "contains", "value": "timed out"}]}),
        ),
        question(
            "flags_of_a_plan",
            json!({"calculations": count(), "breakdowns": ["feature_flag.key"], "limit": 1_000,
                   "filters": [{"column": "user.plan", "op": "=", "value": "enterprise"},
                               {"column": "feature_flag.key", "op": "exists"}]}),
        ),
    ]
}

/// All that was acknowledged must be counted.
pub(crate) fn check_count(server: &Server, expected: usize, times: (i64, i64)) -> anyhow::Result<()> {
    let counted = count(server, times)?;
    ensure!(counted == precise(expected), "{expected} events were acknowledged, {counted} are counted");
    Ok(())
}

/// Every event of a range.
pub(crate) fn count(server: &Server, times: (i64, i64)) -> anyhow::Result<f64> {
    let mut connection = Connection::open(&server.http)?;
    let answer = ask(&mut connection, &json!({"calculations": [{"op": "COUNT"}]}), times)?;
    answer["data"]["results"][0]["data"]["COUNT"].as_f64().with_context(|| format!("no count in {answer}"))
}

/// The answer to a specification.
pub(crate) fn ask(connection: &mut Connection, spec: &Value, times: (i64, i64)) -> anyhow::Result<Value> {
    let mut spec = spec.clone();
    spec["start_time"] = json!(times.0);
    spec["end_time"] = json!(times.1);
    spec["wait_ms"] = json!(120_000);
    let response = connection.post("/api/v1/query", "application/json", &serde_json::to_vec(&spec)?)?;
    ensure!(
        response.status == 200,
        "{spec}: {}: {}",
        response.status,
        String::from_utf8_lossy(&response.body)
    );
    serde_json::from_slice(&response.body).context("an answer")
}
