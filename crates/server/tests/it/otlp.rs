//! Requests to send.

use skein_ingest::Signal;
use skein_otlp::Message as _;
use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::{AnyValue, KeyValue, any_value};
use skein_otlp::json::ToJson as _;
use skein_otlp::logs::{LogRecord, ResourceLogs, ScopeLogs};
use skein_otlp::metrics::number_data_point;
use skein_otlp::metrics::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric};
use skein_otlp::resource::Resource;
use skein_otlp::trace::{ResourceSpans, ScopeSpans, Span};

pub(crate) fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn resource(service: &str) -> Option<Resource> {
    Some(Resource { attributes: vec![attribute("service.name", service)], ..Resource::default() })
}

/// A root span of a trace of its own.
pub(crate) fn span(number: u8, time_ns: u64) -> Span {
    Span {
        trace_id: vec![number.max(1); 16],
        span_id: vec![number.max(1); 8],
        name: format!("operation {number}"),
        start_time_unix_nano: time_ns,
        end_time_unix_nano: time_ns + 1_000_000,
        attributes: vec![attribute("http.route", "/buy")],
        ..Span::default()
    }
}

pub(crate) fn traces(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let of_it = ResourceSpans { resource: resource(service), scope_spans, schema_url: String::new() };
    ExportTraceServiceRequest { resource_spans: vec![of_it] }
}

fn logs(time_ns: u64) -> ExportLogsServiceRequest {
    let body = AnyValue { value: Some(any_value::Value::StringValue("sold out".to_owned())) };
    let record = LogRecord { time_unix_nano: time_ns, body: Some(body), ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let of_it = ResourceLogs { resource: resource("cart"), scope_logs, schema_url: String::new() };
    ExportLogsServiceRequest { resource_logs: vec![of_it] }
}

fn metrics(time_ns: u64) -> ExportMetricsServiceRequest {
    let point = NumberDataPoint {
        time_unix_nano: time_ns,
        value: Some(number_data_point::Value::AsInt(7)),
        ..NumberDataPoint::default()
    };
    let gauge = Gauge { data_points: vec![point] };
    let metric = Metric {
        name: "queue.length".to_owned(),
        data: Some(metric::Data::Gauge(gauge)),
        ..Metric::default()
    };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let of_it = ResourceMetrics { resource: resource("cart"), scope_metrics, schema_url: String::new() };
    ExportMetricsServiceRequest { resource_metrics: vec![of_it] }
}

/// A request of one record, in protobuf and in JSON.
pub(crate) fn request(signal: Signal, time_ns: u64) -> (Vec<u8>, String) {
    match signal {
        Signal::Traces => {
            let request = traces("cart", vec![span(1, time_ns)]);
            (request.encode_to_vec(), request.to_json())
        }
        Signal::Logs => (logs(time_ns).encode_to_vec(), logs(time_ns).to_json()),
        Signal::Metrics => (metrics(time_ns).encode_to_vec(), metrics(time_ns).to_json()),
    }
}

/// The path of a signal.
pub(crate) fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/v1/traces",
        Signal::Logs => "/v1/logs",
        Signal::Metrics => "/v1/metrics",
    }
}

/// The gRPC method of a signal.
pub(crate) fn method(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    }
}

/// Two spans that cannot be stored, by their ids, among one that can.
pub(crate) fn partly_wrong(time_ns: u64) -> ExportTraceServiceRequest {
    let short_trace = Span { trace_id: vec![1, 2, 3], ..span(2, time_ns) };
    let short_span = Span { span_id: vec![9], ..span(3, time_ns) };
    traces("cart", vec![short_trace, span(1, time_ns), short_span])
}
