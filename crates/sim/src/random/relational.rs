//! Traces whose events have to do with each other, and questions about that.

use serde_json::{Map, Value as Json, json};

use super::Random;
use super::data::{Request, SECONDS, START_S};
use super::question::{calculation, filter};

/// Traces, and span ids within one: few of each, so that parents exist and some spans come twice.
const TRACES: u64 = 5;
const SPANS: u64 = 9;

/// Gives the records of a request ids of few traces, in which they are each other's parents.
pub fn entwine(request: &mut Request, random: &mut Random) {
    let trace = |random: &mut Random| {
        let mut id = vec![5_u8; 16];
        id[15] = small(random, TRACES);
        id
    };
    match request {
        Request::Traces(request) => {
            let groups = request.resource_spans.iter_mut().flat_map(|group| &mut group.scope_spans);
            for span in groups.flat_map(|group| &mut group.spans) {
                span.trace_id = trace(random);
                span.span_id = id(random);
                span.parent_span_id = if random.once_in(5) { Vec::new() } else { id(random) };
            }
        }
        Request::Logs(request) => {
            let groups = request.resource_logs.iter_mut().flat_map(|group| &mut group.scope_logs);
            for record in groups.flat_map(|group| &mut group.log_records) {
                if random.once_in(4) {
                    continue;
                }
                record.trace_id = trace(random);
                record.span_id = if random.once_in(4) { Vec::new() } else { id(random) };
            }
        }
        Request::Metrics(_) => {}
    }
}

fn small(random: &mut Random, below: u64) -> u8 {
    u8::try_from(1 + random.below(below)).unwrap_or(1)
}

fn id(random: &mut Random) -> Vec<u8> {
    vec![0, 0, 0, 0, 0, 0, 0, small(random, SPANS)]
}

const PREFIXES: [&str; 7] = ["root.", "parent.", "child.", "any.", "any2.", "any3.", "none."];
const VALUED: [&str; 6] = ["root.", "parent.", "child.", "any.", "any2.", "any3."];
/// Columns that many events have.
const GROUPED: &[&str] =
    &["name", "service.name", "meta.signal_type", "span.kind", "status_code", "http.route"];

/// A random question with relational prefixes, PER_TRACE or INTERVAL.
pub fn question(random: &mut Random) -> Json {
    let mut spec = Map::new();
    let whole = random.once_in(2);
    let start = START_S + if whole { 0 } else { i64::from(small(random, 200)) * 10 };
    let end = if whole { START_S + SECONDS + 120 } else { start + i64::from(small(random, 250)) * 10 };
    spec.insert("start_time".into(), json!(start));
    spec.insert("end_time".into(), json!(end));
    if random.once_in(2) {
        spec.insert("trace_slack_seconds".into(), json!(*random.pick(&[0, 30, 600, 3_600])));
    }
    if random.once_in(5) {
        spec.insert("usage_mode".into(), json!(true));
    }
    let filters: Vec<Json> = (0..random.below(4)).map(|_| prefixed(random, &PREFIXES, 3)).collect();
    spec.insert("filters".into(), json!(filters));
    spec.insert("limit".into(), json!(*random.pick(&[1, 3, 100, 1_000])));
    if random.once_in(6) {
        spec.insert("calculations".into(), json!([]));
        return Json::Object(spec);
    }
    let calculations: Vec<Json> = (0..1 + random.below(3)).map(|place| of_several(random, place)).collect();
    spec.insert("calculations".into(), json!(calculations));
    let breakdowns: Vec<String> = match random.below(4) {
        0 | 1 => Vec::new(),
        2 => vec![format!("{}{}", random.pick(&VALUED), random.pick(GROUPED))],
        _ => vec![
            (*random.pick(GROUPED)).to_owned(),
            format!("{}{}", random.pick(&VALUED), random.pick(GROUPED)),
        ],
    };
    spec.insert("breakdowns".into(), json!(breakdowns));
    if random.once_in(3) {
        spec.insert("granularity".into(), json!(*random.pick(&[60, 600])));
    }
    Json::Object(spec)
}

/// A filter, on another event more often than not.
fn prefixed(random: &mut Random, prefixes: &[&str], of: u64) -> Json {
    let mut filter = if random.once_in(2) { likely(random) } else { filter(random) };
    if !random.once_in(of) {
        let column = filter["column"].as_str().unwrap_or_default().to_owned();
        filter["column"] = json!(format!("{}{column}", random.pick(prefixes)));
    }
    filter
}

/// A filter that many events pass.
fn likely(random: &mut Random) -> Json {
    match random.below(6) {
        0 => json!({"column": *random.pick(GROUPED), "op": "exists"}),
        4 => json!({"column": "is_root", "op": *random.pick(&["=", "!="]), "value": random.once_in(2)}),
        1 => json!({"column": "duration_ms", "op": ">", "value": *random.pick(&[0, 10, 500])}),
        2 => {
            json!({"column": "name", "op": *random.pick(&["=", "!="]), "value": *random.pick(&["GET /buy", "query"])})
        }
        3 => json!({"column": "meta.signal_type", "op": "=", "value": *random.pick(&["trace", "log"])}),
        _ => json!({"column": "meta.annotation_type", "op": *random.pick(&["exists", "does-not-exist"])}),
    }
}

fn of_several(random: &mut Random, place: u64) -> Json {
    let outer =
        |random: &mut Random| *random.pick(&["COUNT", "SUM", "AVG", "MIN", "MAX", "P50", "P95", "HEATMAP"]);
    match random.below(4) {
        0 => {
            let mut inner = calculation(random);
            while inner["op"] == "HEATMAP" {
                inner = calculation(random);
            }
            if random.once_in(2) {
                let own: Vec<Json> = (0..1 + random.below(2)).map(|_| likely(random)).collect();
                inner.insert("filters".into(), json!(own));
            }
            let mut found = json!({"op": "PER_TRACE", "inner": inner, "name": format!("c{place}")});
            found["outer"] = json!(outer(random));
            let is_whole = inner_is_whole(&found["inner"]);
            if random.once_in(8) && is_whole {
                found["outer"] = json!("COUNT_DISTINCT");
            }
            // Which bar a rounded sum falls into is anybody's guess.
            if found["outer"] == "HEATMAP" && !is_whole {
                found["outer"] = json!("MAX");
            }
            found
        }
        1 => {
            let side =
                |random: &mut Random| (0..1 + random.below(2)).map(|_| likely(random)).collect::<Vec<_>>();
            let (from, to) = (side(random), side(random));
            let mut found = json!({"op": "INTERVAL", "from": from, "to": to, "name": format!("c{place}")});
            found["outer"] = json!(outer(random));
            if random.once_in(2) {
                found["by"] = json!(*random.pick(&["service.name", "http.route", "trace.trace_id", "user"]));
            }
            found
        }
        _ => {
            let mut found = calculation(random);
            found.insert("name".into(), json!(format!("c{place}")));
            if let Some(column) = found.get("column").and_then(Json::as_str).map(str::to_owned)
                && !random.once_in(3)
            {
                found.insert("column".into(), json!(format!("{}{column}", random.pick(&VALUED))));
            }
            let filters: Vec<Json> = (0..random.below(3)).map(|_| prefixed(random, &PREFIXES, 3)).collect();
            found.insert("filters".into(), json!(filters));
            Json::Object(found)
        }
    }
}

/// Whether the values of a calculation are the same to the last digit in whatever order they are added.
fn inner_is_whole(inner: &Json) -> bool {
    matches!(inner["op"].as_str(), Some("COUNT" | "COUNT_DISTINCT" | "MIN" | "MAX"))
}

/// The names of a question's columns, without prefixes.
pub fn columns(spec: &Json) -> Vec<String> {
    let mut found = Vec::new();
    gather(spec, &mut found);
    found
        .into_iter()
        .map(|name| {
            crate::reference::relational::scoped(&name).map_or(name.clone(), |(_, rest)| rest.to_owned())
        })
        .collect()
}

fn gather(json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Array(list) => list.iter().for_each(|one| gather(one, found)),
        Json::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("column" | "by", Json::String(column)) => found.push(column.clone()),
                    ("breakdowns", Json::Array(list)) => {
                        found.extend(list.iter().filter_map(Json::as_str).map(str::to_owned));
                    }
                    _ => gather(value, found),
                }
            }
        }
        _ => {}
    }
}
