//! Questions that Skein and its peers are both asked, over the same events: their times, and that the answers
//! are equal, so that nobody stores less than he says.
#![cfg_attr(not(feature = "peers"), allow(dead_code, reason = "some of it serves the peers only"))]

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use skein_workload::wide::WideConfig;

use crate::clock;
use crate::http::Connection;
use crate::process::Server;
use crate::report::{precise, quantile};

/// Times each question is asked; the median counts.
const ROUNDS: usize = 7;

/// One question in both languages. The SQL names the events `{events}`.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) spec: Value,
    pub(crate) sql: &'static str,
    /// Keys of an answer's rows, in the order of the SQL; empty where answers are not compared, since peers define
    /// them otherwise (percentiles, ties).
    keys: &'static [&'static str],
}

/// The answer of one question.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) name: &'static str,
    pub(crate) ms: f64,
    /// Sorted; empty where answers are not compared.
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Answered {
    /// The name of its figure.
    pub(crate) fn figure(&self) -> String {
        format!("question_{}", self.name)
    }
}

/// The time range of the events of a configuration, whole seconds, with room for children that end late.
pub(crate) fn times(config: &WideConfig) -> (i64, i64) {
    let start = config.start_ns / 1_000_000_000 - 3_600;
    (start, (config.start_ns + config.duration_ns) / 1_000_000_000 + 3_600)
}

/// Everything that is asked.
pub(crate) fn questions() -> Vec<Question> {
    let count = || json!([{"op": "COUNT"}]);
    let question = |name, spec, sql, keys| Question { name, spec, sql, keys };
    vec![
        question("count", json!({"calculations": count()}), "SELECT count() FROM {events}", &["COUNT"]),
        question(
            "count_by_minute",
            json!({"calculations": count(), "granularity": 60}),
            "SELECT toStartOfMinute(`timestamp`) AS m, count() FROM {events} GROUP BY m",
            &[],
        ),
        question(
            "errors_by_service",
            json!({"calculations": count(), "breakdowns": ["service.name"], "limit": 1_000,
                   "filters": [{"column": "error", "op": "=", "value": true}]}),
            "SELECT `service.name`, count() FROM {events} WHERE `error` GROUP BY 1",
            &["service.name", "COUNT"],
        ),
        question(
            "p99_by_service",
            json!({"calculations": [{"op": "P99", "column": "duration_ms"}], "breakdowns": ["service.name"],
                   "limit": 1_000}),
            "SELECT `service.name`, quantileTDigest(0.99)(`duration_ns`) FROM {events} GROUP BY 1",
            &[],
        ),
        question(
            "top_users_of_failures",
            json!({"calculations": count(), "breakdowns": ["user.id"], "limit": 20,
                   "filters": [{"column": "http.response.status_code", "op": ">=", "value": 500}],
                   "orders": [{"op": "COUNT", "order": "descending"}]}),
            "SELECT `user.id`, count() AS n FROM {events} WHERE `http.response.status_code` >= 500 GROUP BY 1 \
             ORDER BY n DESC LIMIT 20",
            &[],
        ),
        question(
            "distinct_users",
            json!({"calculations": [{"op": "COUNT_DISTINCT", "column": "user.id"}]}),
            "SELECT uniqExactIf(`user.id`, `user.id` != '') FROM {events}",
            &["COUNT_DISTINCT(user.id)"],
        ),
        question(
            "sums",
            json!({"calculations": [{"op": "SUM", "column": "http.response.body.size"},
                                    {"op": "MAX", "column": "shop.cart.value"}]}),
            "SELECT sum(`http.response.body.size`), max(`shop.cart.value`) FROM {events}",
            &["SUM(http.response.body.size)", "MAX(shop.cart.value)"],
        ),
        question(
            "text_in_messages",
            json!({"calculations": count(), "filters": [{"column": "body", "op": "contains", "value": "timed out"}]}),
            "SELECT count() FROM {events} WHERE `body` LIKE '%timed out%'",
            &["COUNT"],
        ),
        question(
            "flags_of_a_plan",
            json!({"calculations": count(), "breakdowns": ["feature_flag.key"], "limit": 1_000,
                   "filters": [{"column": "user.plan", "op": "=", "value": "enterprise"},
                               {"column": "feature_flag.key", "op": "exists"}]}),
            "SELECT `feature_flag.key` AS k, count() FROM {events} WHERE `user.plan` = 'enterprise' AND \
             k IS NOT NULL AND k != '' GROUP BY k",
            &["feature_flag.key", "COUNT"],
        ),
    ]
}

/// Asks a server everything.
pub(crate) fn ask_all(server: &Server, times: (i64, i64)) -> anyhow::Result<Vec<Answered>> {
    let mut connection = Connection::open(&server.http)?;
    let mut answers = Vec::new();
    for question in questions() {
        let (mut ms, mut rows) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let begin = clock::now();
            let answer = ask(&mut connection, &question.spec, times)?;
            ms.push(begin.elapsed().as_secs_f64() * 1e3);
            rows = table(&answer, question.keys).with_context(|| question.name)?;
        }
        answers.push(Answered { name: question.name, ms: quantile(&ms, 0.5), rows });
    }
    Ok(answers)
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

fn table(answer: &Value, keys: &[&str]) -> anyhow::Result<Vec<Vec<Value>>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let results = answer["data"]["results"].as_array().context("no results")?;
    let row = |result: &Value| keys.iter().map(|key| result["data"][key].clone()).collect();
    Ok(sorted(results.iter().map(row).collect()))
}

/// Rows in an order of their own.
pub(crate) fn sorted(mut rows: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
    rows.sort_by_key(|row| row.first().map(ToString::to_string));
    rows
}

/// Whether two answers say the same; numbers may differ in the last digits of a sum of doubles.
pub(crate) fn compare(name: &str, ours: &[Vec<Value>], theirs: &[Vec<Value>]) -> anyhow::Result<()> {
    let same = |a: &Value, b: &Value| match (number(a), number(b)) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => a == b,
    };
    let equal = ours.len() == theirs.len()
        && ours
            .iter()
            .zip(theirs)
            .all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)));
    if !equal {
        bail!("{name}: Skein answers {ours:?}, a peer {theirs:?}");
    }
    Ok(())
}

/// Large integers come as text from some.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_equal_up_to_the_last_digits() {
        let rows = |count: Value| vec![vec![json!("a"), count]];
        assert!(compare("q", &rows(json!(3)), &rows(json!("3"))).is_ok());
        assert!(compare("q", &rows(json!(0.1 + 0.2)), &rows(json!(0.3))).is_ok());
        assert!(compare("q", &rows(json!(3)), &rows(json!(4))).is_err());
        assert!(compare("q", &rows(json!(3)), &[]).is_err());
    }
}
