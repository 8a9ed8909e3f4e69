//! A small slice of telemetry in the shape of the Train-Ticket recording: spans without attributes under
//! service and pod, log lines as text that carry trace and span id, gauges a minute.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// 2023-01-29T09:00:00Z.
pub(crate) const START_S: u64 = 1_674_982_800;

pub(crate) const TRACES: u64 = 30;
pub(crate) const SPANS: u64 = TRACES * 3;
pub(crate) const LOGS: u64 = TRACES * 2;
pub(crate) const POINTS: u64 = 2 * 3 * 5;

const SERVICES: [&str; 3] = ["ts-gateway-service", "ts-travel-service", "ts-route-service"];

const NAMES: [&str; 3] = ["/*", "TravelController.query", "RouteRepository.find"];

fn resource(service: usize) -> Value {
    json!({"attributes": [
        {"key": "service.name", "value": {"stringValue": SERVICES[service]}},
        {"key": "k8s.pod.name", "value": {"stringValue": format!("{}-6f6cfc45b-h5m2n", SERVICES[service])}},
    ]})
}

pub(crate) fn trace_id(trace: u64) -> String {
    format!("898fbabdd1894463575af052{:08x}", trace + 1)
}

pub(crate) fn span_id(trace: u64, service: usize) -> String {
    format!("233d5101{:06x}{:02x}", trace, service + 1)
}

fn nanos(trace: u64, offset_us: u64) -> String {
    (START_S * 1_000_000_000 + trace * 4_000_000_000 + offset_us * 1_000).to_string()
}

/// Lines of spans: one request per ten traces, the services in turn.
pub(crate) fn traces() -> Vec<Value> {
    let line = |traces: std::ops::Range<u64>| {
        let resource_spans: Vec<Value> = (0..3)
            .map(|service| {
                let spans: Vec<Value> = traces
                    .clone()
                    .map(|trace| {
                        let depth = service as u64;
                        let mut span = json!({
                            "traceId": trace_id(trace),
                            "spanId": span_id(trace, service),
                            "name": NAMES[service],
                            "kind": if service == 0 { 2 } else { 1 },
                            "startTimeUnixNano": nanos(trace, depth * 1_000),
                            // The later the slower, so that percentiles differ.
                            "endTimeUnixNano": nanos(trace, 50_000 + trace * 1_000 - depth * 1_500),
                        });
                        if service > 0 {
                            span["parentSpanId"] = json!(span_id(trace, service - 1));
                        }
                        span
                    })
                    .collect();
                json!({"resource": resource(service), "scopeSpans": [{"scope": {}, "spans": spans}]})
            })
            .collect();
        json!({"resourceSpans": resource_spans})
    };
    (0..TRACES / 10).map(|part| line(part * 10..part * 10 + 10)).collect()
}

pub(crate) fn logs() -> Vec<Value> {
    let records: Vec<Value> = (0..TRACES)
        .flat_map(|trace| {
            (0..2).map(move |step| {
                let text = if step == 0 { "Get Route By Id" } else { "Route is: Route(id=1)" };
                json!({
                    "timeUnixNano": nanos(trace, 5_000 + step * 10_000),
                    "body": {"stringValue": format!("09:00:00 INFO t.s.TravelServiceImpl#532 [{text}]")},
                    "attributes": [{"key": "log.iostream", "value": {"stringValue": "stdout"}}],
                    "severityNumber": 9,
                    "severityText": "INFO",
                    "traceId": trace_id(trace),
                    "spanId": span_id(trace, 1),
                })
            })
        })
        .collect();
    vec![
        json!({"resourceLogs": [{"resource": resource(1), "scopeLogs": [{"scope": {}, "logRecords": records}]}]}),
    ]
}

pub(crate) fn metrics() -> Vec<Value> {
    let line = |name: &str, unit: &str| {
        let resource_metrics: Vec<Value> = (0..3)
            .map(|service| {
                let points: Vec<Value> = (0..5_u64)
                    .map(|minute| {
                        let time = (START_S + minute * 60) * 1_000_000_000;
                        json!({"timeUnixNano": time.to_string(), "asDouble": 2.25 + minute as f64})
                    })
                    .collect();
                let metric = json!({"name": name, "unit": unit, "gauge": {"dataPoints": points}});
                json!({"resource": resource(service), "scopeMetrics": [{"scope": {}, "metrics": [metric]}]})
            })
            .collect();
        json!({"resourceMetrics": resource_metrics})
    };
    vec![line("k8s.pod.cpu.usage", "m{cpu}"), line("k8s.pod.memory.usage", "MiBy")]
}

pub(crate) fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

pub(crate) fn write_gz(path: &Path, text: &str) {
    let mut encoder = GzEncoder::new(std::fs::File::create(path).unwrap(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap();
}

/// The three files, each compressed in another way.
pub(crate) fn write_files(directory: &Path) -> Vec<PathBuf> {
    let traces_path = directory.join("traces.otlp.jsonl.gz");
    write_gz(&traces_path, &text(&traces()));
    let logs_path = directory.join("logs.otlp.jsonl.zst");
    std::fs::write(&logs_path, zstd::encode_all(text(&logs()).as_bytes(), 1).unwrap()).unwrap();
    let metrics_path = directory.join("metrics.otlp.jsonl");
    std::fs::write(&metrics_path, text(&metrics())).unwrap();
    vec![traces_path, logs_path, metrics_path]
}
