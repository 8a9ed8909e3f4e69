//! The metrics of CONTRACT.md, in the Prometheus text format 0.0.4.
//!
//! Counters that the doors and the query routes own live here; what log and store know is asked of
//! [`Gauges`] when somebody scrapes. Names are a closed list, so that a typing error cannot make a new one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use event::Environment;
use event::rejection::ReasonCode;
use skein_event as event;
use skein_ingest::Signal;

/// Every metric that is shown: name, type, help.
const METRICS: &[(Metric, &str, &str, &str)] = &[
    (Metric::IngestEvents, "skein_ingest_events_total", "counter", "Events by what became of them."),
    (
        Metric::DuplicateBatches,
        "skein_ingest_duplicate_batches_total",
        "counter",
        "Batches that were there before.",
    ),
    (
        Metric::RejectedEvents,
        "skein_rejected_events_total",
        "counter",
        "Records or requests that were not stored.",
    ),
    (
        Metric::LogFsync,
        "skein_log_fsync_seconds",
        "summary",
        "Time of one group of the log, written and synced.",
    ),
    (
        Metric::LogDurableOffset,
        "skein_log_durable_offset",
        "gauge",
        "Offset up to which a partition is durable.",
    ),
    (Metric::HeadRows, "skein_head_rows", "gauge", "Rows that are not yet in a segment."),
    (Metric::Segments, "skein_segments", "gauge", "Live segments."),
    (Metric::StorageBytes, "skein_storage_bytes", "gauge", "Bytes on disk."),
    (Metric::QuerySeconds, "skein_query_seconds", "histogram", "Time of a query."),
    (
        Metric::Freshness,
        "skein_freshness_seconds",
        "gauge",
        "Age of the oldest acknowledged event that is not yet queryable.",
    ),
    (Metric::InflightBytes, "skein_ingest_inflight_bytes", "gauge", "Bytes of the in-flight budget in use."),
    (
        Metric::ObservationsDropped,
        "skein_observations_dropped_total",
        "counter",
        "Own events dropped under load.",
    ),
];

/// One of the metrics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Metric {
    /// `skein_ingest_events_total{signal,door,result}`
    IngestEvents,
    /// `skein_ingest_duplicate_batches_total`
    DuplicateBatches,
    /// `skein_rejected_events_total{reason}`
    RejectedEvents,
    /// `skein_log_fsync_seconds`
    LogFsync,
    /// `skein_log_durable_offset`
    LogDurableOffset,
    /// `skein_head_rows`
    HeadRows,
    /// `skein_segments`
    Segments,
    /// `skein_storage_bytes{kind}`
    StorageBytes,
    /// `skein_query_seconds{engine}`
    QuerySeconds,
    /// `skein_freshness_seconds`
    Freshness,
    /// `skein_ingest_inflight_bytes`
    InflightBytes,
    /// `skein_observations_dropped_total`
    ObservationsDropped,
}

/// A value of a metric at this moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// Which.
    pub metric: Metric,
    /// `_sum` or `_count` of a summary, else empty.
    pub suffix: &'static str,
    /// Labels in their order.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// A plain value.
    pub fn new(metric: Metric, labels: Vec<(&'static str, String)>, value: f64) -> Sample {
        Sample { metric, suffix: "", labels, value }
    }
}

/// What parts of Skein below the API know about themselves.
pub trait Gauges: Send + Sync {
    /// The values at this moment.
    fn samples(&self) -> Vec<Sample>;

    /// Whether the log takes writes, for `/readyz`.
    fn is_writable(&self) -> bool {
        true
    }
}

/// No gauges: for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoGauges;

impl Gauges for NoGauges {
    fn samples(&self) -> Vec<Sample> {
        Vec::new()
    }
}

/// What became of events at a door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IngestResult {
    /// Durable.
    Stored,
    /// There before.
    Duplicate,
    /// Not stored, with a reason.
    Rejected,
}

impl IngestResult {
    fn as_str(self) -> &'static str {
        match self {
            IngestResult::Stored => "stored",
            IngestResult::Duplicate => "duplicate",
            IngestResult::Rejected => "rejected",
        }
    }
}

/// The counters that doors and routes own.
#[derive(Debug, Default)]
pub struct Metrics {
    counters: Mutex<BTreeMap<(Metric, Labels), f64>>,
    histograms: Mutex<BTreeMap<(Metric, Labels), Histogram>>,
}

type Labels = Vec<(&'static str, String)>;

/// Upper bounds in seconds: from one group commit to a long query.
const BOUNDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, Default)]
struct Histogram {
    counts: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

// === impl Metrics ===

impl Metrics {
    /// Counts events of a door.
    pub fn ingest(
        &self,
        environment: &Environment,
        signal: Signal,
        door: &'static str,
        result: IngestResult,
        count: u64,
    ) {
        let labels = vec![
            ("environment", environment.to_string()),
            ("signal", signal.as_str().to_owned()),
            ("door", door.to_owned()),
            ("result", result.as_str().to_owned()),
        ];
        self.add(Metric::IngestEvents, labels, count);
    }

    /// Counts a batch that was there before.
    pub fn duplicate_batch(&self, environment: &Environment) {
        self.add(Metric::DuplicateBatches, vec![("environment", environment.to_string())], 1);
    }

    /// Counts what was not stored.
    pub fn rejected(&self, environment: &Environment, reason: ReasonCode, count: u64) {
        let labels = vec![("environment", environment.to_string()), ("reason", reason.as_str().to_owned())];
        self.add(Metric::RejectedEvents, labels, count);
    }

    /// Takes the time of a query.
    pub fn query(&self, environment: &Environment, engine: &str, seconds: f64) {
        let labels = vec![("environment", environment.to_string()), ("engine", engine.to_owned())];
        self.time(Metric::QuerySeconds, labels, seconds);
    }

    fn add(&self, metric: Metric, labels: Labels, count: u64) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        // Counts stay far below 2^53, where a double stops being exact.
        *counters.entry((metric, labels)).or_default() += count as f64;
    }

    fn time(&self, metric: Metric, labels: Labels, seconds: f64) {
        let mut histograms = self.histograms.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = histograms.entry((metric, labels)).or_default();
        histogram.count += 1;
        histogram.sum += seconds;
        for (count, bound) in histogram.counts.iter_mut().zip(BOUNDS) {
            *count += u64::from(seconds <= bound);
        }
    }

    /// Everything as Prometheus text. Each metric is announced, even before it has a value, so that a
    /// dashboard can be built on the first day.
    pub fn render(&self, gauges: &[Sample]) -> String {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let histograms = self.histograms.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut text = String::new();
        for &(metric, name, kind, help) in METRICS {
            text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
            for ((_, labels), value) in counters.iter().filter(|((of, _), _)| *of == metric) {
                line(&mut text, name, "", labels, None, *value);
            }
            for sample in gauges.iter().filter(|sample| sample.metric == metric) {
                line(&mut text, name, sample.suffix, &sample.labels, None, sample.value);
            }
            for ((_, labels), histogram) in histograms.iter().filter(|((of, _), _)| *of == metric) {
                for (count, bound) in histogram.counts.iter().zip(BOUNDS) {
                    line(&mut text, name, "_bucket", labels, Some(&bound.to_string()), *count as f64);
                }
                line(&mut text, name, "_bucket", labels, Some("+Inf"), histogram.count as f64);
                line(&mut text, name, "_sum", labels, None, histogram.sum);
                line(&mut text, name, "_count", labels, None, histogram.count as f64);
            }
        }
        text
    }
}

fn line(text: &mut String, name: &str, suffix: &str, labels: &Labels, bound: Option<&str>, value: f64) {
    let labels = labels.iter().map(|(name, value)| (*name, value.as_str())).chain(bound.map(|le| ("le", le)));
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> = labels.map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    let braced = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
    // Writing to a String cannot fail.
    writeln!(text, "{name}{suffix}{braced} {value}").unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_as_prometheus_reads_them() {
        let metrics = Metrics::default();
        let environment = Environment::default_environment();
        metrics.ingest(&environment, Signal::Traces, "otlp_grpc", IngestResult::Stored, 7);
        metrics.ingest(&environment, Signal::Traces, "otlp_grpc", IngestResult::Stored, 3);
        metrics.rejected(&environment, ReasonCode::TooLarge, 1);
        metrics.query(&environment, "native", 0.003);
        let gauge = Sample::new(Metric::HeadRows, vec![("environment", "a\"b\\c".into())], 12.0);
        let text = metrics.render(&[gauge]);
        for expected in [
            "# TYPE skein_ingest_events_total counter\n\
             skein_ingest_events_total{environment=\"default\",signal=\"trace\",door=\"otlp_grpc\",result=\"stored\"} 10\n",
            "skein_rejected_events_total{environment=\"default\",reason=\"too_large\"} 1\n",
            "skein_query_seconds_bucket{environment=\"default\",engine=\"native\",le=\"0.002\"} 0\n",
            "skein_query_seconds_bucket{environment=\"default\",engine=\"native\",le=\"0.005\"} 1\n",
            "skein_query_seconds_bucket{environment=\"default\",engine=\"native\",le=\"+Inf\"} 1\n",
            "skein_query_seconds_count{environment=\"default\",engine=\"native\"} 1\n",
            "skein_head_rows{environment=\"a\\\"b\\\\c\"} 12\n",
            "# TYPE skein_freshness_seconds gauge\n",
        ] {
            assert!(text.contains(expected), "{expected}\nin\n{text}");
        }
    }
}
