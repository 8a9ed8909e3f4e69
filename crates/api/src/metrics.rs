//! The metrics of CONTRACT.md, in the Prometheus text format 0.0.4.
//!
//! Counters that the doors and the query routes own live here; what log and store know is asked of
//! [`Gauges`] when somebody scrapes. Names are a closed list, so that a typing error cannot make a new one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use event::Environment;
use event::observe::Durations;
use event::rejection::ReasonCode;
use skein_event as event;
use skein_ingest::Signal;

use crate::findings::Finding;
use crate::metric_list::{Described, METRICS};

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
    /// `skein_compaction_due`
    CompactionDue,
    /// `skein_segment_written_bytes_total{kind}`
    SegmentWrittenBytes,
    /// `skein_segment_written_rows_total{kind}`
    SegmentWrittenRows,
    /// `skein_write_amplification`
    WriteAmplification,
    /// `skein_ingest_inflight_bytes`
    InflightBytes,
    /// `skein_ingest_warnings_total{code}`
    Warnings,
    /// `skein_log_queue_bytes`
    LogQueueBytes,
    /// `skein_head_bytes`
    HeadBytes,
    /// `skein_memory_bytes{part}`
    MemoryBytes,
    /// `skein_resident_bytes{kind}`
    ResidentBytes,
    /// `skein_findings{kind}`
    Findings,
    /// `skein_observations_dropped_total`
    ObservationsDropped,
}

/// A value of a metric at this moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// Which.
    pub metric: Metric,
    /// Labels in their order.
    pub labels: Labels,
    /// The value.
    pub value: SampleValue,
}

/// Label names with their values.
pub type Labels = Vec<(&'static str, String)>;

/// What a sample says.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum SampleValue {
    /// A number.
    Number(f64),
    /// A histogram.
    Durations(Durations),
}

impl Sample {
    /// A plain value.
    pub fn new(metric: Metric, labels: Labels, value: f64) -> Sample {
        Sample { metric, labels, value: SampleValue::Number(value) }
    }

    /// A histogram.
    pub fn durations(metric: Metric, labels: Labels, durations: Durations) -> Sample {
        Sample { metric, labels, value: SampleValue::Durations(durations) }
    }
}

/// What parts of Skein below the API know about themselves.
pub trait Gauges: Send + Sync {
    /// The values at this moment.
    fn samples(&self) -> Vec<Sample>;

    /// Files that could not be read.
    fn findings(&self) -> Vec<Finding> {
        Vec::new()
    }

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
    histograms: Mutex<BTreeMap<(Metric, Labels), Durations>>,
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

    /// Counts what a client was told about events that were stored.
    pub fn warned(&self, environment: &Environment, code: &'static str, count: u64) {
        let labels = vec![("environment", environment.to_string()), ("code", code.to_owned())];
        self.add(Metric::Warnings, labels, count);
    }

    /// Takes the time of a query.
    pub fn query(&self, environment: &Environment, engine: &str, duration_ns: i64) {
        let labels = vec![("environment", environment.to_string()), ("engine", engine.to_owned())];
        self.time(Metric::QuerySeconds, labels, duration_ns);
    }

    /// Takes the time from a batch's last byte to its visibility.
    pub fn visible(&self, environment: &Environment, duration_ns: i64) {
        self.time(Metric::Freshness, vec![("environment", environment.to_string())], duration_ns);
    }

    fn add(&self, metric: Metric, labels: Labels, count: u64) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        // Counts stay far below 2^53, where a double stops being exact.
        *counters.entry((metric, labels)).or_default() += count as f64;
    }

    fn time(&self, metric: Metric, labels: Labels, duration_ns: i64) {
        let mut histograms = self.histograms.lock().unwrap_or_else(PoisonError::into_inner);
        histograms.entry((metric, labels)).or_default().add(duration_ns);
    }

    /// Everything as Prometheus text. Each metric is announced, even before it has a value, so that a
    /// dashboard can be built on the first day.
    pub fn render(&self, gauges: &[Sample]) -> String {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let histograms = self.histograms.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut text = String::new();
        for &Described { metric, name, kind, help, .. } in METRICS {
            text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.as_str()));
            for ((_, labels), value) in counters.iter().filter(|((of, _), _)| *of == metric) {
                line(&mut text, name, "", labels, None, *value);
            }
            for Sample { labels, value, .. } in gauges.iter().filter(|sample| sample.metric == metric) {
                match value {
                    SampleValue::Number(value) => line(&mut text, name, "", labels, None, *value),
                    SampleValue::Durations(durations) => histogram(&mut text, name, labels, durations),
                }
            }
            for ((_, labels), durations) in histograms.iter().filter(|((of, _), _)| *of == metric) {
                histogram(&mut text, name, labels, durations);
            }
        }
        text
    }
}

fn histogram(text: &mut String, name: &str, labels: &Labels, durations: &Durations) {
    for (bound_ns, count) in durations.cumulative() {
        let bound = bound_ns as f64 / 1e9;
        line(text, name, "_bucket", labels, Some(&bound.to_string()), count as f64);
    }
    line(text, name, "_bucket", labels, Some("+Inf"), durations.count() as f64);
    line(text, name, "_sum", labels, None, durations.sum_ns() as f64 / 1e9);
    line(text, name, "_count", labels, None, durations.count() as f64);
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
    use crate::metric_list::reference;

    #[test]
    fn metrics_as_prometheus_reads_them() {
        let metrics = Metrics::default();
        let environment = Environment::default_environment();
        metrics.ingest(&environment, Signal::Traces, "otlp_grpc", IngestResult::Stored, 7);
        metrics.ingest(&environment, Signal::Traces, "otlp_grpc", IngestResult::Stored, 3);
        metrics.rejected(&environment, ReasonCode::TooLarge, 1);
        metrics.query(&environment, "native", 3_000_000);
        metrics.visible(&environment, 400_000);
        metrics.warned(&environment, "columns_overflow", 2);
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
            "skein_ingest_warnings_total{environment=\"default\",code=\"columns_overflow\"} 2\n",
            "# TYPE skein_freshness_seconds histogram\n\
             skein_freshness_seconds_bucket{environment=\"default\",le=\"0.00025\"} 0\n\
             skein_freshness_seconds_bucket{environment=\"default\",le=\"0.0005\"} 1\n",
            "skein_freshness_seconds_sum{environment=\"default\"} 0.0004\n",
        ] {
            assert!(text.contains(expected), "{expected}\nin\n{text}");
        }
    }

    /// The names and types that dashboards are built on: CONTRACT.md has them, so a change needs an ADR.
    #[test]
    fn metrics_are_those_of_the_contract_and_of_the_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/metrics.md");
        if std::env::var_os("SKEIN_UPDATE").is_some() {
            std::fs::write(path, reference()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap();
        assert_eq!(page, reference(), "SKEIN_UPDATE=1 writes the page anew");
        for (name, kind, labels) in [
            ("skein_ingest_events_total", "counter", "`environment`, `signal`, `door`, `result`"),
            ("skein_ingest_duplicate_batches_total", "counter", "`environment`"),
            ("skein_rejected_events_total", "counter", "`environment`, `reason`"),
            ("skein_log_fsync_seconds", "histogram", ""),
            ("skein_log_durable_offset", "gauge", "`partition`"),
            ("skein_head_rows", "gauge", "`environment`"),
            ("skein_segments", "gauge", "`environment`"),
            ("skein_storage_bytes", "gauge", "`environment`, `kind`"),
            ("skein_query_seconds", "histogram", "`environment`, `engine`"),
            ("skein_freshness_seconds", "histogram", "`environment`"),
        ] {
            let row = format!("| `{name}` | {kind} | {labels} |");
            assert!(page.contains(&row), "{row}");
        }
    }
}
