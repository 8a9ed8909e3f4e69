//! Random questions in the builder language, about columns that the data may have.

use serde_json::{Map, Value as Json, json};

use super::Random;
use super::columns::{COLUMNS, NUMERIC};
use super::data::{SECONDS, START_S};
use super::expression::with_calculated_fields;

const PERCENTILES: &[&str] =
    &["P001", "P01", "P05", "P10", "P20", "P25", "P50", "P75", "P80", "P90", "P95", "P99", "P999"];

/// The last whole second whose nanoseconds fit an i64.
pub const LAST_S: i64 = 9_223_372_036;

/// A random specification, valid in form.
pub fn question(random: &mut Random) -> Json {
    let mut spec = Map::new();
    let start = START_S + small(random, 900);
    let (start, end) = match random.below(8) {
        // All of time that a specification can state.
        0 => (json!(0), json!(LAST_S)),
        1 => (json!(1_900_000_000.5), json!(1_900_000_600.25)),
        2..5 => (json!(START_S), json!(START_S + SECONDS + 120)),
        _ => (json!(start), json!(start + 1 + small(random, 2_700))),
    };
    spec.insert("start_time".into(), json!(start));
    spec.insert("end_time".into(), json!(end));
    add_filters(random, &mut spec, 3);
    if random.once_in(6) {
        let datasets = ["cart", "pay", "mail", "caf\u{e9}", "unknown_service", "unknown_log_source"];
        let two = [*random.pick(&datasets), *random.pick(&datasets)];
        spec.insert("datasets".into(), json!(two[..if random.once_in(2) { 1 } else { 2 }]));
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
        with_calculated_fields(random, &mut spec);
        return Json::Object(spec);
    }
    let calculations = calculations(random);
    let breakdowns = breakdowns(random);
    add_orders(random, &mut spec, &calculations, &breakdowns);
    if random.once_in(3) {
        // Some are outside of the bounds of the range, and moved.
        let lengths =
            [json!(0), json!(0.5), json!(1), json!(7), json!(60), json!(300), json!(3_600), json!(1e9)];
        spec.insert("granularity".into(), random.pick(&lengths).clone());
    }
    spec.insert("breakdowns".into(), json!(breakdowns));
    with_formulas(random, &mut spec, &calculations);
    with_comparison(random, &mut spec);
    spec.insert("calculations".into(), json!(calculations));
    with_calculated_fields(random, &mut spec);
    Json::Object(spec)
}

/// A random question about numbers over all of time, most of them percentiles.
pub fn numeric_question(random: &mut Random) -> Json {
    let calculations: Vec<Json> = (0..3)
        .map(|place| {
            let op = match random.below(6) {
                0 => *random.pick(&["SUM", "AVG", "MIN", "MAX", "COUNT_DISTINCT"]),
                _ => *random.pick(PERCENTILES),
            };
            json!({"op": op, "column": *random.pick(NUMERIC), "name": format!("c{place}")})
        })
        .collect();
    let several: [&[&str]; 5] =
        [&[], &["dataset"], &["http.route", "meta.signal_type"], &["user"], &["span.kind"]];
    let breakdowns = *random.pick(&several);
    let mut spec = json!({
        "calculations": calculations, "breakdowns": breakdowns, "start_time": START_S,
        "end_time": START_S + SECONDS + 120, "limit": *random.pick(&[3, 100, 10_000]),
    });
    if random.once_in(3) {
        spec["granularity"] = json!(600);
    }
    if random.once_in(3) {
        spec["usage_mode"] = json!(true);
    }
    spec
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
        let same = |other: &Json| other["op"] == one["op"] && other.get("column") == one.get("column");
        // Named, so that no two share a key and those with filters have one.
        if one.contains_key("filters") || found.iter().any(same) || !random.once_in(3) {
            one.insert("name".into(), json!(format!("c{place}")));
        }
        found.push(Json::Object(one));
    }
    found
}

/// Compares with an earlier range now and then, where the range allows it.
fn with_comparison(random: &mut Random, spec: &mut Map<String, Json>) {
    let length = spec["end_time"].as_f64().zip(spec["start_time"].as_f64()).map(|(end, start)| end - start);
    let offset = *random.pick(&[1_800, 3_600]);
    if random.once_in(4) && length.is_some_and(|length| length <= f64::from(offset)) {
        spec.insert("compare_time_offset_seconds".into(), json!(offset));
    }
}

/// Makes formulas of some of the calculations, and now and then orders or bounds groups by one.
fn with_formulas(random: &mut Random, spec: &mut Map<String, Json>, calculations: &[Json]) {
    let named = |one: &&Json| is_orderable(one) && one.get("name").is_some();
    let names: Vec<&Json> = calculations.iter().filter(named).map(|one| &one["name"]).collect();
    if names.is_empty() || !random.once_in(4) {
        return;
    }
    let mut formulas = Vec::new();
    for place in 0..1 + random.below(2) {
        let one = |random: &mut Random| format!("${}", random.pick(&names).as_str().unwrap_or_default());
        let (a, b) = (one(random), one(random));
        let expression = match random.below(7) {
            0 => format!("DIV({a}, {b})"),
            1 => format!("{a} * 100 / {b}"),
            2 => format!("IF({a} > 2, {b}, {a} = 0, null, 0.5)"),
            3 => format!("{a} >= {b}"),
            4 => format!("COALESCE({a} - {b}, \"none\")"),
            5 => "1 + 1".to_owned(),
            _ => a,
        };
        formulas.push(json!({"name": format!("f{place}"), "expression": expression}));
    }
    if random.once_in(3) {
        let order = json!({"name": "f0", "order": *random.pick(&["ascending", "descending"])});
        spec.insert("orders".into(), json!([order]));
    }
    if random.once_in(4) {
        spec.insert(
            "havings".into(),
            json!([{"name": "f0", "op": *random.pick(&["!=", ">", "<="]), "value": 1}]),
        );
    }
    spec.insert("formulas".into(), Json::Array(formulas));
}

/// Whether it is a number, by which groups can be ordered.
fn is_orderable(calculation: &Json) -> bool {
    calculation["op"] != "HEATMAP"
}

/// What refers to a calculation: its name, or its operation and column.
fn reference(calculation: &Json, operation: &str) -> Map<String, Json> {
    let mut members = Map::new();
    match calculation.get("name") {
        Some(name) => drop(members.insert("name".into(), name.clone())),
        None => {
            members.insert(operation.into(), calculation["op"].clone());
            members.extend(calculation.get("column").map(|column| ("column".to_owned(), column.clone())));
        }
    }
    members
}

/// A random calculation of events.
pub(super) fn calculation(random: &mut Random) -> Map<String, Json> {
    let (op, column) = match random.below(10) {
        0 | 1 => ("COUNT", None),
        2 => ("COUNT", Some(*random.pick(COLUMNS))),
        3 => ("COUNT_DISTINCT", Some(*random.pick(COLUMNS))),
        4 => ("SUM", Some(*random.pick(NUMERIC))),
        5 => ("AVG", Some(*random.pick(NUMERIC))),
        6 => ("MIN", Some(*random.pick(NUMERIC))),
        7 => ("MAX", Some(*random.pick(NUMERIC))),
        8 => ("HEATMAP", Some(*random.pick(&["duration_ms", "cpu.load", "severity_code", "edge", "amount"]))),
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
    for _ in 0..2 {
        if !orderable.is_empty() && random.once_in(3) {
            let chosen: &&Json = random.pick(&orderable);
            let mut order = reference(chosen, "op");
            order.insert("order".into(), direction(random));
            orders.push(Json::Object(order));
        }
        if !breakdowns.is_empty() && random.once_in(4) {
            // Ascending is what is meant where nothing is said.
            orders.push(match random.below(3) {
                0 => json!({"column": *random.pick(breakdowns)}),
                _ => json!({"column": *random.pick(breakdowns), "order": direction(random)}),
            });
        }
    }
    if !orders.is_empty() {
        spec.insert("orders".into(), Json::Array(orders));
    }
    let mut havings = Vec::new();
    while !orderable.is_empty() && random.once_in(4) {
        let chosen: &&Json = random.pick(&orderable);
        let mut having = reference(chosen, "calculate_op");
        having.insert("op".into(), json!(*random.pick(&["=", "!=", ">", ">=", "<", "<="])));
        let bounds = [json!(small(random, 12)), json!(small(random, 500)), json!(2.5), json!(-1)];
        having.insert("value".into(), random.pick(&bounds).clone());
        havings.push(Json::Object(having));
    }
    if !havings.is_empty() {
        spec.insert("havings".into(), Json::Array(havings));
    }
}

fn add_filters(random: &mut Random, object: &mut Map<String, Json>, most: u64) {
    let filters: Vec<Json> = (0..random.below(most + 1)).map(|_| filter(random)).collect();
    if !filters.is_empty() {
        object.insert("filter_combination".into(), json!(*random.pick(&["AND", "OR"])));
        object.insert("filters".into(), Json::Array(filters));
    }
}

/// What an erasure takes: one condition or two.
pub fn erasure(random: &mut Random) -> Json {
    let filters: Vec<Json> = (0..1 + random.below(2)).map(|_| filter(random)).collect();
    json!({"filters": filters, "filter_combination": *random.pick(&["AND", "OR"])})
}

/// A random filter.
pub(super) fn filter(random: &mut Random) -> Json {
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
            let parts = [
                json!("a"),
                json!("5"),
                json!("/b"),
                json!(""),
                json!("0"),
                json!("\u{416}"),
                json!("time out"),
                json!("YmFk"),
                json!("\u{0}"),
                json!("lll"),
                json!("\\"),
                json!(5),
                json!(0.5),
                json!(true),
            ];
            json!({"column": column, "op": op, "value": random.pick(&parts)})
        }
        _ => json!({"column": column, "op": *random.pick(&["=", "!="]), "value": literal(random)}),
    }
}

fn literal(random: &mut Random) -> Json {
    let texts = [
        "500",
        "x",
        "true",
        "/buy",
        "cart",
        "GET",
        "server",
        "QUI=",
        "[1]",
        "NaN",
        "trace",
        "error",
        "inner",
        "1.5e3",
        "user-7",
        "",
        " ",
        "YmFk//6Awyj/",
        "\u{e9}",
        "e\u{301}",
        "9007199254740993",
        "Infinity",
        "text 7",
        "2030-03-17T17:50:00.000000000Z",
        "[]",
        "bad",
        "1-07070707-070707070000000000000003",
    ];
    match random.below(8) {
        0 => json!(random.once_in(2)),
        1 => json!(*random.pick(&[0, 200, 404, 500, 1500])),
        2 => json!(*random.pick(&[
            0.0,
            -0.0,
            0.25,
            -3.5,
            500.0,
            1e300,
            f64::MAX,
            9_007_199_254_740_992.0,
            1e19
        ])),
        3 => json!(*random.pick(&[i64::MAX, i64::MIN, (1 << 53) + 1, 1 << 53, (1 << 53) - 1, -500, 7])),
        4 => json!(small(random, 1_000)),
        _ => json!(*random.pick(&texts)),
    }
}
