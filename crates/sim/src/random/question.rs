//! Random questions in the builder language, about columns that the data may have.

use serde_json::{Map, Value as Json, json};

use super::Random;
use super::data::{SECONDS, START_S};

/// Columns that are asked for: fixed, attributes of each place, aliases, prefixed and hidden ones.
const COLUMNS: &[&str] = &[
    "http.route",
    "http.status_code",
    "http.response.status_code",
    "http.method",
    "mixed",
    "amount",
    "flag",
    "user",
    "raw",
    "list",
    "nested.d0",
    "duration_ms",
    "attributes.duration_ms",
    "resource.duration_ms",
    "name",
    "attributes.name",
    "service.name",
    "attributes.service.name",
    "dataset",
    "error",
    "span.kind",
    "status_code",
    "severity",
    "severity_code",
    "body",
    "order",
    "body.state",
    "deep.a",
    "trace.trace_id",
    "trace.parent_id",
    "meta.signal_type",
    "meta.annotation_type",
    "deployment.environment.name",
    "host.cores",
    "resource.http.route",
    "team",
    "library.name",
    "cpu.load",
    "memory.used",
    "meta.metric.points",
    "sample_rate",
    "traceId",
    "level",
    "durationMs",
    "exception.type",
];

/// Columns whose values are numbers, some of the time.
const NUMERIC: &[&str] = &[
    "duration_ms",
    "mixed",
    "amount",
    "http.status_code",
    "severity_code",
    "cpu.load",
    "order",
    "user",
    "durationMs",
];

const PERCENTILES: &[&str] =
    &["P001", "P01", "P05", "P10", "P20", "P25", "P50", "P75", "P80", "P90", "P95", "P99", "P999"];

/// A random specification, valid in form.
pub fn question(random: &mut Random) -> Json {
    let mut spec = Map::new();
    let start = START_S + i64::try_from(random.below(900)).unwrap_or_default();
    let (start, end) = if random.once_in(2) {
        (START_S, START_S + SECONDS + 120)
    } else {
        (start, start + 1 + small(random, 2_700))
    };
    spec.insert("start_time".into(), json!(start));
    spec.insert("end_time".into(), json!(end));
    add_filters(random, &mut spec, 3);
    if random.once_in(6) {
        spec.insert("datasets".into(), json!([*random.pick(&["cart", "pay", "unknown_service"])]));
    }
    if random.once_in(8) {
        spec.insert("usage_mode".into(), json!(true));
    }
    spec.insert("limit".into(), json!(*random.pick(&[1, 2, 5, 100, 10_000])));
    if random.once_in(6) {
        spec.insert("calculations".into(), json!([]));
        if random.once_in(2) {
            let order = *random.pick(&["ascending", "descending"]);
            spec.insert("orders".into(), json!([{"column": "timestamp", "order": order}]));
        }
        return Json::Object(spec);
    }
    let calculations = calculations(random);
    let breakdowns = breakdowns(random);
    add_orders(random, &mut spec, &calculations, &breakdowns);
    if random.once_in(3) {
        let least = (end - start + 999) / 1000;
        let granularity = (*random.pick(&[1, 7, 60, 300, 3_600])).clamp(least, end - start);
        spec.insert("granularity".into(), json!(granularity));
    }
    spec.insert("breakdowns".into(), json!(breakdowns));
    spec.insert("calculations".into(), json!(calculations));
    Json::Object(spec)
}

fn small(random: &mut Random, bound: u64) -> i64 {
    i64::try_from(random.below(bound)).unwrap_or_default()
}

fn calculations(random: &mut Random) -> Vec<Json> {
    let mut found: Vec<Json> = Vec::new();
    for place in 0..1 + random.below(4) {
        let mut one = calculation(random);
        if random.once_in(4) {
            add_filters(random, &mut one, 2);
        }
        // Named, so that no two share a key and those with filters have one.
        one.insert("name".into(), json!(format!("c{place}")));
        found.push(Json::Object(one));
    }
    // The first calculation that has an order is the order when none is stated.
    if found.iter().find(|one| one["op"] != "HEATMAP").is_none_or(|one| !is_orderable(one)) {
        found.insert(0, json!({"op": "COUNT", "name": "count"}));
    }
    found
}

/// Whether two computations of it order groups alike: a sum of fractions may differ in its last bit, and with
/// it the order of groups whose sums are nearly equal.
fn is_orderable(calculation: &Json) -> bool {
    const FRACTIONS: [&str; 3] = ["amount", "duration_ms", "durationMs"];
    let fraction = calculation["column"].as_str().is_some_and(|column| FRACTIONS.contains(&column));
    match calculation["op"].as_str() {
        Some("HEATMAP") => false,
        Some("SUM" | "AVG") => !fraction,
        _ => true,
    }
}

fn calculation(random: &mut Random) -> Map<String, Json> {
    let (op, column) = match random.below(10) {
        0 | 1 => ("COUNT", None),
        2 => ("COUNT", Some(*random.pick(COLUMNS))),
        3 => ("COUNT_DISTINCT", Some(*random.pick(COLUMNS))),
        4 => ("SUM", Some(*random.pick(NUMERIC))),
        5 => ("AVG", Some(*random.pick(NUMERIC))),
        6 => ("MIN", Some(*random.pick(NUMERIC))),
        7 => ("MAX", Some(*random.pick(NUMERIC))),
        8 => ("HEATMAP", Some(*random.pick(&["duration_ms", "cpu.load", "severity_code"]))),
        _ => (*random.pick(PERCENTILES), Some(*random.pick(NUMERIC))),
    };
    let mut members = Map::new();
    members.insert("op".into(), json!(op));
    if let Some(column) = column {
        members.insert("column".into(), json!(column));
    }
    members
}

fn breakdowns(random: &mut Random) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = Vec::new();
    for _ in 0..random.below(3) {
        let column = *random.pick(COLUMNS);
        if !found.contains(&column) {
            found.push(column);
        }
    }
    found
}

fn add_orders(random: &mut Random, spec: &mut Map<String, Json>, calculations: &[Json], breakdowns: &[&str]) {
    let orderable: Vec<&Json> = calculations.iter().filter(|one| is_orderable(one)).collect();
    let direction = |random: &mut Random| json!(*random.pick(&["ascending", "descending"]));
    let mut orders = Vec::new();
    if !orderable.is_empty() && random.once_in(3) {
        orders.push(json!({"name": random.pick(&orderable)["name"], "order": direction(random)}));
    }
    if !breakdowns.is_empty() && random.once_in(4) {
        orders.push(json!({"column": *random.pick(breakdowns), "order": direction(random)}));
    }
    if !orders.is_empty() {
        spec.insert("orders".into(), Json::Array(orders));
    }
    if !orderable.is_empty() && random.once_in(4) {
        let op = *random.pick(&["=", "!=", ">", ">=", "<", "<="]);
        let name = &random.pick(&orderable)["name"];
        spec.insert(
            "havings".into(),
            json!([{"calculate_op": "COUNT", "name": name, "op": op, "value": small(random, 12)}]),
        );
    }
}

fn add_filters(random: &mut Random, object: &mut Map<String, Json>, most: u64) {
    let filters: Vec<Json> = (0..random.below(most + 1)).map(|_| filter(random)).collect();
    if !filters.is_empty() {
        object.insert("filter_combination".into(), json!(*random.pick(&["AND", "OR"])));
        object.insert("filters".into(), Json::Array(filters));
    }
}

fn filter(random: &mut Random) -> Json {
    let column = *random.pick(COLUMNS);
    match random.below(6) {
        0 => json!({"column": column, "op": *random.pick(&["exists", "does-not-exist"])}),
        1 => {
            let values: Vec<Json> = (0..1 + random.below(3)).map(|_| literal(random)).collect();
            json!({"column": column, "op": *random.pick(&["in", "not-in"]), "value": values})
        }
        2 => {
            let literal = literal(random);
            let literal = if literal.is_boolean() { json!(1) } else { literal };
            json!({"column": column, "op": *random.pick(&["<", "<=", ">", ">="]), "value": literal})
        }
        3 => {
            let op = *random.pick(&[
                "starts-with",
                "does-not-start-with",
                "ends-with",
                "does-not-end-with",
                "contains",
                "does-not-contain",
            ]);
            json!({"column": column, "op": op, "value": *random.pick(&["a", "5", "/b", "", "0", "Ж", "time out"])})
        }
        _ => json!({"column": column, "op": *random.pick(&["=", "!="]), "value": literal(random)}),
    }
}

fn literal(random: &mut Random) -> Json {
    let texts = [
        "500", "x", "true", "/buy", "cart", "GET", "server", "QUI=", "[1]", "NaN", "trace", "error", "inner",
        "1.5e3", "user-7",
    ];
    match random.below(8) {
        0 => json!(random.once_in(2)),
        1 => json!(*random.pick(&[0, 200, 404, 500, 1500])),
        2 => json!(*random.pick(&[0.0, 0.25, -3.5, 500.0, 1e300])),
        3 => json!(*random.pick(&[i64::MAX, (1 << 53) + 1, -500, 7])),
        4 => json!(small(random, 1_000)),
        _ => json!(*random.pick(&texts)),
    }
}
