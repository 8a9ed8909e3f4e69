//! Sends recorded OTLP/JSON requests through the door, over eight partitions and out of the export, and tells
//! what is not the same (invariant I3).
//!
//! `TRAINTICKET_DIR=<folder> cargo run --release -p skein-ingest --example round_trip`
//!
//! The folder holds `*.otlp.jsonl.gz`, one `Export*ServiceRequest` a line. The comparison is between JSON
//! documents, read by serde_json: it shares nothing with the door's own reader.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Map, Value};
use skein_event::Environment;
use skein_event::hash::HashKey;
use skein_event::split::split;
use skein_ingest::{DoorContext, Signal, decode_json, export};
use skein_otlp::json::ToJson as _;

const KEY: HashKey = HashKey(1);

fn main() -> ExitCode {
    let Some(folder) = std::env::var_os("TRAINTICKET_DIR") else {
        eprintln!("nothing was checked: set TRAINTICKET_DIR to the folder with *.otlp.jsonl.gz");
        return ExitCode::from(2);
    };
    let mut equal = true;
    for (signal, name) in [(Signal::Traces, "traces"), (Signal::Logs, "logs"), (Signal::Metrics, "metrics")] {
        match check_file(signal, &Path::new(&folder).join(format!("{name}.otlp.jsonl.gz"))) {
            Ok(tally) => {
                println!(
                    "{name}: {} requests, {} records in, {} out, {} rows, {} rejected, {} different",
                    tally.requests,
                    tally.records,
                    tally.exported,
                    tally.rows,
                    tally.rejected,
                    tally.different
                );
                equal &= tally.different == 0 && tally.rejected == 0;
            }
            Err(error) => {
                eprintln!("{name}: {error}");
                equal = false;
            }
        }
    }
    if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Default)]
struct Tally {
    requests: u64,
    records: u64,
    exported: u64,
    rows: u64,
    rejected: u64,
    different: u64,
}

fn check_file(signal: Signal, path: &Path) -> Result<Tally, Box<dyn Error>> {
    let lines = BufReader::new(flate2::read::MultiGzDecoder::new(File::open(path)?));
    let mut tally = Tally::default();
    for line in lines.lines() {
        let line = line?;
        let mut balance: HashMap<String, i64> = HashMap::new();
        tally.requests += 1;
        tally.records += count_records(&serde_json::from_str(&line)?, 1, &mut balance);
        let context = DoorContext { hash_key: KEY, arrival_ns: 1_675_000_000_000_000_000 };
        let decoded = decode_json(signal, line.as_bytes(), &context)?;
        tally.rejected += decoded.rejected.total();
        tally.rows += decoded.batch.rows() as u64;
        let environment = Environment::default_environment();
        for (_, part) in split(decoded.batch, &environment, u128::from(tally.requests), 8, KEY) {
            let exported = export(&part)?;
            tally.different += exported.orphans;
            for json in [exported.traces.to_json(), exported.logs.to_json(), exported.metrics.to_json()] {
                tally.exported += count_records(&serde_json::from_str(&json)?, -1, &mut balance);
            }
        }
        balance.retain(|_, count| *count != 0);
        if tally.different == 0 {
            balance.iter().take(4).for_each(|(record, count)| eprintln!("{count:+} {record}"));
        }
        tally.different += balance.values().map(|count| count.unsigned_abs()).sum::<u64>();
    }
    Ok(tally)
}

/// Adds `sign` to the balance of each record of a request; returns how many there are.
fn count_records(request: &Value, sign: i64, balance: &mut HashMap<String, i64>) -> u64 {
    let mut count = 0;
    for (groups, scopes, records) in [
        ("resourceSpans", "scopeSpans", "spans"),
        ("resourceLogs", "scopeLogs", "logRecords"),
        ("resourceMetrics", "scopeMetrics", "metrics"),
    ] {
        for group in list(request, groups) {
            for scope in list(group, scopes) {
                let context = [&group["resource"], &group["schemaUrl"], &scope["scope"], &scope["schemaUrl"]]
                    .map(|part| normal("", part).to_string())
                    .join(" ");
                for record in list(scope, records) {
                    count += match points(record) {
                        None => add(&context, record, sign, balance),
                        Some((metric, points)) => {
                            let context = format!("{context} {}", normal("", &metric));
                            points.iter().map(|point| add(&context, point, sign, balance)).sum()
                        }
                    };
                }
            }
        }
    }
    count
}

fn add(context: &str, record: &Value, sign: i64, balance: &mut HashMap<String, i64>) -> u64 {
    *balance.entry(format!("{context} {}", normal("", record))).or_default() += sign;
    1
}

fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A metric without its points, and its points.
fn points(record: &Value) -> Option<(Value, Vec<Value>)> {
    let kinds = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"];
    let kind = kinds.iter().find(|kind| record[**kind].is_object())?;
    let mut metric = record.clone();
    let data = metric.get_mut(*kind)?.as_object_mut()?;
    match data.remove("dataPoints") {
        Some(Value::Array(points)) => Some((metric, points)),
        _ => None,
    }
}

/// The same text for the same meaning: defaults left out, keys sorted, numbers and ids in one notation.
fn normal(key: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let keeps_defaults = matches!(key, "value" | "body" | "values");
            let mut sorted: Vec<(&String, Value)> =
                members.iter().map(|(key, value)| (key, normal(key, value))).collect();
            sorted.retain(|(_, value)| keeps_defaults || !is_default(value));
            sorted.sort_by_key(|(key, _)| *key);
            Value::Object(sorted.into_iter().map(|(key, value)| (key.clone(), value)).collect::<Map<_, _>>())
        }
        Value::Array(elements) => elements.iter().map(|element| normal(key, element)).collect(),
        Value::Number(number) if matches!(key, "asDouble" | "doubleValue") => {
            Value::String(format!("{:?}", number.as_f64().unwrap_or_default()))
        }
        Value::Number(number) => Value::String(number.to_string()),
        Value::String(text) if matches!(key, "traceId" | "spanId" | "parentSpanId") => {
            Value::String(text.to_ascii_lowercase())
        }
        other => other.clone(),
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(elements) => elements.is_empty(),
        Value::Bool(value) => !value,
        _ => false,
    }
}
