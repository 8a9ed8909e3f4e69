//! The metrics by name: a closed list, so that a typing error cannot make a new one. It holds no values.

use crate::metrics::Metric;

/// What is told about a metric.
pub(crate) struct Described {
    pub(crate) metric: Metric,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
}

/// The types of Prometheus that are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

const fn described(
    metric: Metric,
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Described {
    Described { metric, name, kind, labels, help }
}

/// Every metric that is shown. docs/reference/metrics.md is made of it.
pub(crate) const METRICS: &[Described] = &[
    described(
        Metric::IngestEvents,
        "skein_ingest_events_total",
        Kind::Counter,
        &["environment", "signal", "door", "result"],
        "Events by what became of them: stored, duplicate or rejected.",
    ),
    described(
        Metric::DuplicateBatches,
        "skein_ingest_duplicate_batches_total",
        Kind::Counter,
        &["environment"],
        "Batches that were there before.",
    ),
    described(
        Metric::RejectedEvents,
        "skein_rejected_events_total",
        Kind::Counter,
        &["environment", "reason"],
        "Records, or requests as a whole, that were not stored.",
    ),
    described(
        Metric::Warnings,
        "skein_ingest_warnings_total",
        Kind::Counter,
        &["environment", "code"],
        "What clients were told about events that were stored: columns_overflow, invalid_utf8 and others.",
    ),
    described(
        Metric::InflightBytes,
        "skein_ingest_inflight_bytes",
        Kind::Gauge,
        &[],
        "Bytes of the in-flight budget in use.",
    ),
    described(
        Metric::Freshness,
        "skein_freshness_seconds",
        Kind::Histogram,
        &["environment"],
        "Time from the last byte of a batch to the moment from which every query sees it.",
    ),
    described(
        Metric::LogFsync,
        "skein_log_fsync_seconds",
        Kind::Histogram,
        &[],
        "Time of the fdatasyncs of one group of the log, its files side by side.",
    ),
    described(
        Metric::LogDurableOffset,
        "skein_log_durable_offset",
        Kind::Gauge,
        &["partition"],
        "Offset up to which a partition is durable.",
    ),
    described(
        Metric::LogQueueBytes,
        "skein_log_queue_bytes",
        Kind::Gauge,
        &[],
        "Bytes of records that wait to be written to the log.",
    ),
    described(
        Metric::HeadRows,
        "skein_head_rows",
        Kind::Gauge,
        &["environment"],
        "Rows that are not yet in a segment.",
    ),
    described(
        Metric::HeadBytes,
        "skein_head_bytes",
        Kind::Gauge,
        &["environment"],
        "Memory of the rows that are not yet in a segment.",
    ),
    described(
        Metric::MemoryBytes,
        "skein_memory_bytes",
        Kind::Gauge,
        &["part"],
        "Memory by what holds it: head_batches (not encoded yet, by estimate), head_blocks (encoded), merges (of flushes and of compaction), unpacked (of files, kept for whoever asks next), summaries (not mapped yet), log_queue, batch_keys.",
    ),
    described(
        Metric::ResidentBytes,
        "skein_resident_bytes",
        Kind::Gauge,
        &["kind"],
        "Memory of the process: own, and mapped (pages of files, which the operating system takes back when it needs room).",
    ),
    described(Metric::Segments, "skein_segments", Kind::Gauge, &["environment"], "Live segments."),
    described(
        Metric::StorageBytes,
        "skein_storage_bytes",
        Kind::Gauge,
        &["environment", "kind"],
        "Bytes on disk. Kind log is of all environments and has no label environment.",
    ),
    described(
        Metric::Findings,
        "skein_findings",
        Kind::Gauge,
        &["environment", "kind"],
        "Files that were set aside, are missing or cannot be read; GET /api/v1/usage names them. What no environment owns has no label environment.",
    ),
    described(
        Metric::QuerySeconds,
        "skein_query_seconds",
        Kind::Histogram,
        &["environment", "engine"],
        "Time of a query.",
    ),
    described(
        Metric::ObservationsDropped,
        "skein_observations_dropped_total",
        Kind::Counter,
        &[],
        "Own events that were dropped under load.",
    ),
    described(
        Metric::CompactionDue,
        "skein_compaction_due",
        Kind::Gauge,
        &[],
        "Files that a merge is due for; 0 when everything has settled.",
    ),
    described(
        Metric::SegmentWrittenBytes,
        "skein_segment_written_bytes_total",
        Kind::Counter,
        &["environment", "kind"],
        "Bytes written to segments by the work that wrote them: flush, compaction, retention or erase.",
    ),
    described(
        Metric::SegmentWrittenRows,
        "skein_segment_written_rows_total",
        Kind::Counter,
        &["environment", "kind"],
        "Rows written to segments by the work that wrote them: flush, compaction, retention or erase.",
    ),
    described(
        Metric::WriteAmplification,
        "skein_write_amplification",
        Kind::Gauge,
        &["environment"],
        "Bytes written to segments for each byte flushed, since the start.",
    ),
];

/// The metrics as a page of the reference.
pub fn reference() -> String {
    let mut text = String::from(
        "# Metrics\n\n`GET /metrics` answers them in the Prometheus text format. This page is made from the code: \
         `SKEIN_UPDATE=1 cargo test -p skein-api`.\n\n| Name | Type | Labels | What it says |\n|---|---|---|---|\n",
    );
    for Described { name, kind, labels, help, .. } in METRICS {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        text.push_str(&format!("| `{name}` | {} | {} | {help} |\n", kind.as_str(), labels.join(", ")));
    }
    text
}
