//! `skein export`.

use std::collections::BTreeMap;

use serde_json::Value;
use tempfile::TempDir;

use crate::slice;
use crate::support::{Server, run};

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
    let points = list(&record["gauge"]["dataPoints"]);
    if points.is_empty() {
        return vec![record.clone()];
    }
    let one = |point: Value| {
        let mut metric = record.clone();
        metric["gauge"]["dataPoints"] = Value::Array(vec![point]);
        metric
    };
    points.into_iter().map(one).collect()
}

/// Sorted members, and absent where it is the default: `{}` and nothing are one resource or scope.
fn normal(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, String> = members
                .iter()
                .map(|(name, value)| (name, normal(value)))
                .filter(|(_, value)| !matches!(value.as_str(), "{}" | "[]" | "\"\"" | "0" | "null"))
                .collect();
            let inner: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}:{value}")).collect();
            format!("{{{}}}", inner.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(normal).collect::<Vec<_>>().join(",")),
        Value::Null => "{}".to_owned(),
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
    let server = imported();
    let said = run(&mut server.client(&["export", "--format", "otlp"])).expect(0);
    let mut sent = slice::traces();
    sent.extend(slice::logs());
    sent.extend(slice::metrics());
    let (sent, got) = (model(&sent), model(&lines(&said.out)));
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
