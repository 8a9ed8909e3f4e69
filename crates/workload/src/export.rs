//! Records as OTLP requests, grouped by the instance that made them, in batches of bounded size.

use std::collections::BTreeMap;

use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::{AnyValue, InstrumentationScope, KeyValue, any_value};
use skein_otlp::logs::{LogRecord as OtlpLogRecord, ResourceLogs, ScopeLogs};
use skein_otlp::metrics::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    metric, number_data_point,
};
use skein_otlp::resource::Resource;
use skein_otlp::trace::{ResourceSpans, ScopeSpans, Span, Status, span};

use crate::telemetry::{
    Attribute, Attributes, Instance, Kind, LogRecord, Measure, PointRecord, Record, SpanEvent, SpanRecord,
};

/// Records of one request: at about a kilobyte each, well below the 4 MiB that some receivers stop at.
pub const BATCH_RECORDS_MAX: usize = 1_000;

const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// One request on its way to a receiver.
#[derive(Clone, Debug, PartialEq)]
pub enum Batch {
    /// Spans.
    Traces(ExportTraceServiceRequest),
    /// Log records.
    Logs(ExportLogsServiceRequest),
    /// Metric points.
    Metrics(ExportMetricsServiceRequest),
}

impl Batch {
    /// How many spans, log records or points it holds.
    pub fn records(&self) -> usize {
        match self {
            Batch::Traces(request) => {
                let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
                scopes.map(|scope| scope.spans.len()).sum()
            }
            Batch::Logs(request) => {
                let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
                scopes.map(|scope| scope.log_records.len()).sum()
            }
            Batch::Metrics(request) => {
                let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
                scopes.map(|scope| scope.metrics.len()).sum()
            }
        }
    }
}

/// Groups records into requests. Order within an instance is kept.
pub fn batches(instances: &[Instance], records: Vec<Record>) -> Vec<Batch> {
    let mut spans = Vec::new();
    let mut logs = Vec::new();
    let mut points = Vec::new();
    for record in records {
        match record {
            Record::Span(span) => spans.push(*span),
            Record::Log(log) => logs.push(*log),
            Record::Point(point) => points.push(*point),
        }
    }
    let mut batches = Vec::new();
    for chunk in spans.chunks(BATCH_RECORDS_MAX) {
        batches.push(Batch::Traces(traces_request(instances, chunk)));
    }
    for chunk in logs.chunks(BATCH_RECORDS_MAX) {
        batches.push(Batch::Logs(logs_request(instances, chunk)));
    }
    for chunk in points.chunks(BATCH_RECORDS_MAX) {
        batches.push(Batch::Metrics(metrics_request(instances, chunk)));
    }
    batches
}

fn traces_request(instances: &[Instance], records: &[SpanRecord]) -> ExportTraceServiceRequest {
    let grouped = by_instance(records, |record| record.instance, otlp_span);
    let resource_spans = grouped.into_iter().map(|(instance, spans)| ResourceSpans {
        resource: resource(instances, instance),
        scope_spans: vec![ScopeSpans { scope: Some(scope("shop.http")), spans, schema_url: String::new() }],
        schema_url: SCHEMA_URL.to_owned(),
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

fn logs_request(instances: &[Instance], records: &[LogRecord]) -> ExportLogsServiceRequest {
    let grouped = by_instance(records, |record| record.instance, otlp_log);
    let resource_logs = grouped.into_iter().map(|(instance, log_records)| ResourceLogs {
        resource: resource(instances, instance),
        scope_logs: vec![ScopeLogs {
            scope: Some(scope("shop.log")),
            log_records,
            schema_url: String::new(),
        }],
        schema_url: SCHEMA_URL.to_owned(),
    });
    ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
}

fn metrics_request(instances: &[Instance], records: &[PointRecord]) -> ExportMetricsServiceRequest {
    let grouped = by_instance(records, |record| record.instance, otlp_metric);
    let resource_metrics = grouped.into_iter().map(|(instance, metrics)| ResourceMetrics {
        resource: resource(instances, instance),
        scope_metrics: vec![ScopeMetrics {
            scope: Some(scope("shop.runtime")),
            metrics,
            schema_url: String::new(),
        }],
        schema_url: SCHEMA_URL.to_owned(),
    });
    ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }
}

fn by_instance<R, O>(
    records: &[R],
    instance: impl Fn(&R) -> usize,
    convert: impl Fn(&R) -> O,
) -> BTreeMap<usize, Vec<O>> {
    let mut grouped: BTreeMap<usize, Vec<O>> = BTreeMap::new();
    for record in records {
        grouped.entry(instance(record)).or_default().push(convert(record));
    }
    grouped
}

fn otlp_span(record: &SpanRecord) -> Span {
    Span {
        trace_id: record.trace_id.to_vec(),
        span_id: record.span_id.to_vec(),
        parent_span_id: record.parent_span_id.map(|id| id.to_vec()).unwrap_or_default(),
        name: record.name.clone().into_owned(),
        kind: match record.kind {
            Kind::Server => 2,
            Kind::Client => 3,
        },
        start_time_unix_nano: nanos(record.start_ns),
        end_time_unix_nano: nanos(record.end_ns),
        attributes: key_values(&record.attributes),
        events: record.events.iter().map(otlp_event).collect(),
        status: record
            .error
            .as_ref()
            .map(|message| Status { message: message.clone().into_owned(), code: 2 }),
        // The low bit: sampled. The second: the right half of the trace id is random (W3C Trace Context).
        flags: 3,
        ..Span::default()
    }
}

fn otlp_event(event: &SpanEvent) -> span::Event {
    span::Event {
        time_unix_nano: nanos(event.time_ns),
        name: event.name.to_owned(),
        attributes: key_values(&event.attributes),
        dropped_attributes_count: 0,
    }
}

fn otlp_log(record: &LogRecord) -> OtlpLogRecord {
    let (trace_id, span_id) = match record.context {
        Some((trace_id, span_id)) => (trace_id.to_vec(), span_id.to_vec()),
        None => (Vec::new(), Vec::new()),
    };
    OtlpLogRecord {
        time_unix_nano: nanos(record.time_ns),
        observed_time_unix_nano: nanos(record.time_ns.saturating_add(1_000_000)),
        severity_number: record.severity.number(),
        severity_text: record.severity.text().to_owned(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(record.body.clone())) }),
        attributes: key_values(&record.attributes),
        trace_id,
        span_id,
        ..OtlpLogRecord::default()
    }
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: i32 = 2;

fn otlp_metric(record: &PointRecord) -> Metric {
    let number = |value| NumberDataPoint {
        start_time_unix_nano: nanos(record.start_ns),
        time_unix_nano: nanos(record.time_ns),
        value: Some(value),
        attributes: key_values(&record.attributes),
        ..NumberDataPoint::default()
    };
    let data = match &record.measure {
        Measure::Gauge(value) => metric::Data::Gauge(Gauge {
            data_points: vec![number(number_data_point::Value::AsDouble(*value))],
        }),
        Measure::Counter(count) => metric::Data::Sum(Sum {
            data_points: vec![number(number_data_point::Value::AsInt(*count))],
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
        }),
        Measure::Histogram { bounds, counts, sum } => metric::Data::Histogram(Histogram {
            data_points: vec![HistogramDataPoint {
                start_time_unix_nano: nanos(record.start_ns),
                time_unix_nano: nanos(record.time_ns),
                count: counts.iter().sum(),
                sum: Some(*sum),
                bucket_counts: counts.clone(),
                explicit_bounds: bounds.to_vec(),
                attributes: key_values(&record.attributes),
                ..HistogramDataPoint::default()
            }],
            aggregation_temporality: CUMULATIVE,
        }),
    };
    Metric {
        name: record.name.to_owned(),
        unit: record.unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn resource(instances: &[Instance], index: usize) -> Option<Resource> {
    let instance = instances.get(index)?;
    Some(Resource { attributes: key_values(&instance.attributes), ..Resource::default() })
}

fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope {
        name: name.to_owned(),
        version: "2.11.0".to_owned(),
        ..InstrumentationScope::default()
    }
}

fn key_values(attributes: &Attributes) -> Vec<KeyValue> {
    attributes.iter().map(|(name, value)| key_value(name, value.clone())).collect()
}

pub(crate) fn key_value(name: &str, value: Attribute) -> KeyValue {
    let value = match value {
        Attribute::Text(text) => any_value::Value::StringValue(text.into_owned()),
        Attribute::Int(number) => any_value::Value::IntValue(number),
        Attribute::Float(number) => any_value::Value::DoubleValue(number),
        Attribute::Bool(truth) => any_value::Value::BoolValue(truth),
    };
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn nanos(time_ns: i64) -> u64 {
    u64::try_from(time_ns).unwrap_or(0)
}

/// A count as the protocol has it.
pub(crate) fn unsigned(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
