//! The nine shapes, some of them in several forms.

use serde_json::{Value, json};

use super::sql::{self, Both};
use super::{Comparison, Request, Shape, Subject};

const COUNTED: Comparison = Comparison::Counts("COUNT");

/// What a shape wants: times as fast as the better database, and times of the floor at most.
struct Goals(f64, Option<f64>);

/// All of them.
pub(crate) fn nine(subject: &Subject) -> Vec<Shape> {
    let mut shapes = vec![by_minute(subject), percentiles(subject)];
    shapes.extend(top_users(subject));
    shapes.push(heatmap(subject));
    shapes.extend(words(subject));
    shapes.extend([distinct_users(subject), slow_against_others(subject), sparse(subject)]);
    shapes
}

fn shape(
    subject: &Subject,
    name: &str,
    spec: Value,
    sql: Both,
    comparison: Comparison,
    Goals(goal, floor_goal): Goals,
) -> Shape {
    Shape {
        name: name.to_owned(),
        request: Request::Query(spec),
        clickhouse: sql.clickhouse,
        duckdb: sql.duckdb,
        comparison,
        times: subject.times,
        goal,
        floor_goal,
    }
}

fn count() -> Value {
    json!({"op": "COUNT"})
}

fn of_service(subject: &Subject) -> Value {
    json!({"column": "service.name", "op": "=", "value": subject.service})
}

fn by_minute(subject: &Subject) -> Shape {
    let spec = json!({"calculations": [count()], "granularity": 60});
    shape(subject, "1_count_by_minute", spec, sql::by_minute(), COUNTED, Goals(2.0, Some(2.0)))
}

fn percentiles(subject: &Subject) -> Shape {
    let percentile = |op: &str| json!({"op": op, "column": "duration_ms"});
    let spec = json!({
        "calculations": [count(), percentile("P50"), percentile("P95"), percentile("P99")],
        "breakdowns": ["service.name"], "limit": 1_000,
    });
    shape(subject, "2_percentiles_by_service", spec, sql::percentiles(), COUNTED, Goals(2.0, Some(2.0)))
}

fn top_users(subject: &Subject) -> [Shape; 2] {
    let exists = json!({"column": "user.id", "op": "exists"});
    let error = json!({"column": "error", "op": "=", "value": true});
    let top = |name: &str, filters: Value, condition: &str| {
        let spec = json!({
            "calculations": [count()], "breakdowns": ["user.id"], "limit": 20, "filters": filters,
            "orders": [{"op": "COUNT", "order": "descending"}],
        });
        shape(subject, name, spec, sql::top_users(condition), COUNTED, Goals(2.0, Some(3.0)))
    };
    [
        top("3_top_users_of_errors", json!([error, exists]), "\"error\" AND "),
        top("3_top_users", json!([exists]), ""),
    ]
}

fn heatmap(subject: &Subject) -> Shape {
    let spec = json!({
        "calculations": [{"op": "HEATMAP", "column": "duration_ms"}], "filters": [of_service(subject)],
        "granularity": ((subject.times.1 - subject.times.0) / 120).max(1),
    });
    shape(subject, "4_heatmap", spec, sql::heatmap(subject), Comparison::None, Goals(2.0, Some(2.0)))
}

fn words(subject: &Subject) -> [Shape; 4] {
    let contains = |word: &str| json!([{"column": "body", "op": "contains", "value": word}]);
    let counted = |name: &str, word: &str, floor: Option<f64>| {
        let spec = json!({"calculations": [count()], "filters": contains(word)});
        shape(subject, name, spec, sql::count_word(word), COUNTED, Goals(3.0, floor))
    };
    let last = |name: &str, word: &str| {
        let spec = json!({"calculations": [], "limit": 50, "filters": contains(word)});
        shape(subject, name, spec, sql::last_of_word(word), Comparison::None, Goals(3.0, None))
    };
    [
        counted("6_count_common_word", &subject.common, Some(5.0)),
        counted("6_count_rare_word", &subject.rare, None),
        last("6_last_50_of_common_word", &subject.common),
        last("6_last_50_of_rare_word", &subject.rare),
    ]
}

fn distinct_users(subject: &Subject) -> Shape {
    let spec = json!({
        "calculations": [{"op": "COUNT_DISTINCT", "column": "user.id"}], "breakdowns": ["http.route"],
        "limit": 10_000, "filters": [{"column": "http.route", "op": "exists"}],
    });
    let compared = Comparison::Counts("COUNT_DISTINCT(user.id)");
    let sql = sql::distinct_users(subject.half_hour);
    let shape = shape(subject, "7_distinct_users_by_route", spec, sql, compared, Goals(2.0, Some(3.0)));
    Shape { times: subject.half_hour, ..shape }
}

fn slow_against_others(subject: &Subject) -> Shape {
    let (start, end) = subject.times;
    let slow = json!({"column": "duration_ms", "op": ">=", "value": subject.slow_ms});
    let body = json!({
        "selection": {"filters": [of_service(subject), slow], "start_time": start, "end_time": end},
        "baseline": {"filters": [of_service(subject)], "start_time": start, "end_time": end},
        "columns": subject.columns,
    });
    let (sql, goals) = (sql::value_counts(subject), Goals(30.0, Some(3.0)));
    let shape = shape(subject, "8_slow_against_others", Value::Null, sql, Comparison::None, goals);
    Shape { request: Request::Post("/api/v1/explain", body), ..shape }
}

fn sparse(subject: &Subject) -> Shape {
    let spec = json!({
        "calculations": [count()], "limit": 10_000,
        "breakdowns": ["db.collection.name", "db.operation.name", "db.namespace"],
        "filters": [{"column": "db.response.returned_rows", "op": ">", "value": 100}],
    });
    shape(subject, "9_sparse_columns", spec, sql::sparse(), COUNTED, Goals(2.0, Some(3.0)))
}
