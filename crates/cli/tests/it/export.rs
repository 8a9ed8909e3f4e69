//! `skein export`.

use std::collections::BTreeMap;

use serde_json::Value;
use tempfile::TempDir;

use crate::slice;
use crate::support::{Server, run};

/// The golden set of the doors' own tests.
#[path = "../../../ingest/tests/it/golden_set.rs"]
#[expect(clippy::expect_used, reason = "shared with the doors' tests")]
mod golden_set;
mod round_trip;

/// The records of requests as a multiset of (resource, scope, record), whatever their grouping.
fn model(lines: &[Value]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for line in lines {
        for (signal, scopes, records) in [
            ("resourceSpans", "scopeSpans", "spans"),
            ("resourceLogs", "scopeLogs", "logRecords"),
            ("resourceMetrics", "scopeMetrics", "metrics"),
        ] {
            for resource in list(&line[signal]) {
                for scope in list(&resource[scopes]) {
                    for record in list(&scope[records]).iter().flat_map(points) {
                        let key = [&resource["resource"], &scope["scope"], &record].map(normal);
                        *found.entry(format!("{signal} {key:?}")).or_insert(0) += 1;
                    }
                }
            }
        }
    }
    found
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// A metric as its points, one by one; everything else as itself.
fn points(record: &Value) -> Vec<Value> {
    const KINDS: [&str; 5] = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"];
    for kind in KINDS {
        let points = list(&record[kind]["dataPoints"]);
        if !points.is_empty() {
            let one = |point: Value| {
                let mut metric = record.clone();
                metric[kind]["dataPoints"] = Value::Array(vec![point]);
                metric
            };
            return points.into_iter().map(one).collect();
        }
    }
    vec![record.clone()]
}

/// Members of which the protocol tells the default from absent.
fn is_told_from_absent(name: &str) -> bool {
    name.ends_with("Value") || matches!(name, "asInt" | "asDouble" | "sum" | "min" | "max" | "key")
}

/// Sorted members, and absent where it is the default: `{}` and nothing are one resource or scope.
fn normal(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let of_name = |name: &String, value: &Value| match (name.as_str(), value) {
                // Hex digits of either case are one id; 5 and 5.0 one double.
                ("traceId" | "spanId" | "parentSpanId", Value::String(id)) => id.to_lowercase(),
                _ => normal(value),
            };
            let sorted: BTreeMap<&String, String> = members
                .iter()
                .map(|(name, value)| (name, of_name(name, value)))
                .filter(|(name, value)| {
                    let default = matches!(value.as_str(), "{}" | "[]" | "\"\"" | "\"0\"" | "0" | "null");
                    !default || is_told_from_absent(name)
                })
                .collect();
            let inner: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}:{value}")).collect();
            format!("{{{}}}", inner.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(normal).collect::<Vec<_>>().join(",")),
        Value::Null => "{}".to_owned(),
        Value::Number(number) => number.as_f64().map_or_else(String::new, |double| double.to_string()),
        other => other.to_string(),
    }
}

fn imported() -> Server {
    let server = Server::start();
    let directory = TempDir::new().unwrap();
    run(server.client(&["import"]).args(slice::write_files(directory.path()))).expect(0);
    server
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_was_imported_comes_out_as_the_same_model() {
    let mut sent = slice::traces();
    sent.extend(slice::logs());
    sent.extend(slice::metrics());
    check_export(&imported(), &sent);
}

/// The protocol's own examples, and requests of every kind of value, through the real program.
#[test]
fn the_golden_set_comes_out_of_the_program_as_it_went_in() {
    const EXAMPLES: [&str; 4] = [
        include_str!("../../../ingest/tests/it/fixtures/opentelemetry-proto/trace.json"),
        include_str!("../../../ingest/tests/it/fixtures/opentelemetry-proto/logs.json"),
        include_str!("../../../ingest/tests/it/fixtures/opentelemetry-proto/metrics.json"),
        include_str!("../../../ingest/tests/it/fixtures/opentelemetry-proto/events.json"),
    ];
    // Every so-manieth request: the doors' tests take all of them, and this one is about the way through.
    const STRIDE: usize = 7;
    let mut sent: Vec<Value> = EXAMPLES.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let (mut number, mut too_deep) = (0, 0);
    let mut take = |request: round_trip::Request| {
        number += 1;
        if number % STRIDE == 0 {
            // This test's reader of JSON ends at 128 levels. Deeper values are in the doors' tests.
            match serde_json::from_str(&request.json()) {
                Ok(value) => sent.push(value),
                Err(error) if error.to_string().starts_with("recursion limit") => too_deep += 1,
                Err(error) => panic!("{error}"),
            }
        }
    };
    golden_set::spans(&mut take);
    golden_set::logs(&mut take);
    golden_set::metrics(&mut take);
    assert!(sent.len() > 100, "{} requests, and {too_deep} too deep", sent.len());
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("golden.jsonl");
    let text: Vec<String> = sent.iter().map(Value::to_string).collect();
    std::fs::write(&path, text.join("\n")).unwrap();
    let server = Server::start();
    run(server.client(&["import"]).arg(&path)).expect(0);
    check_export(&server, &sent);
}

fn check_export(server: &Server, sent: &[Value]) {
    let said = run(&mut server.client(&["export", "--format", "otlp"])).expect(0);
    let (sent, got) = (model(sent), model(&lines(&said.out)));
    let missing: Vec<_> = sent.iter().filter(|(key, count)| got.get(*key) != Some(*count)).take(2).collect();
    let added: Vec<_> = got.iter().filter(|(key, count)| sent.get(*key) != Some(*count)).take(2).collect();
    assert!(missing.is_empty() && added.is_empty(), "missing {missing:#?}, added {added:#?}");
}

#[test]
fn an_export_can_be_narrowed_and_goes_to_a_file_when_it_is_whole() {
    let server = imported();
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("out.ndjson");
    let from = (slice::START_S + 60).to_string();
    let arguments = [
        "export",
        "--format",
        "ndjson",
        "--from",
        &from,
        "--dataset",
        "ts-gateway-service",
        "-o",
        path.to_str().unwrap(),
    ];
    let said = run(&mut server.client(&arguments)).expect(0);
    assert_eq!(said.out, "");
    let rows = lines(&std::fs::read_to_string(&path).unwrap());
    // A trace every four seconds, of two minutes; two gauges a minute, of five.
    let spans = rows.iter().filter(|row| row["meta.signal_type"] == "trace").count();
    assert_eq!(spans, 15, "{}", rows.len());
    assert!(rows.iter().all(|row| row["service.name"] == "ts-gateway-service"));
    assert!(!path.with_extension("ndjson.partial").exists());
}
