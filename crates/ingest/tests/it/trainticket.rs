//! A small slice made in the shape of the Train-Ticket recording: bare spans, wide logs in their context,
//! a gauge point per pod and minute. The recording itself is checked by `examples/round_trip.rs`.

use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::{AnyValue, KeyValue};
use skein_otlp::logs::{LogRecord, ResourceLogs, ScopeLogs};
use skein_otlp::metrics::metric::Data;
use skein_otlp::metrics::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, number_data_point};
use skein_otlp::resource::Resource;
use skein_otlp::trace::{ResourceSpans, ScopeSpans, Span};

use crate::generate::Random;
use crate::round_trip::{ARRIVAL_NS, Request, check};

const SERVICES: [&str; 4] = ["ts-order-service", "ts-travel-service", "ts-route-service", "ts-seat-service"];

fn resource(service: &str, pod: u64) -> Option<Resource> {
    let pod = format!("{service}-{pod}");
    let attributes = vec![KeyValue::new("service.name", service), KeyValue::new("k8s.pod.name", pod)];
    Some(Resource { attributes, ..Resource::default() })
}

fn id(random: &mut Random) -> Vec<u8> {
    (random.next() | 1).to_be_bytes().to_vec()
}

fn spans(random: &mut Random) -> Vec<Span> {
    let trace_id = [id(random), id(random)].concat();
    let mut parent = Vec::new();
    let mut start = ARRIVAL_NS.cast_unsigned() - random.below(3_600_000_000_000);
    (0..1 + random.below(12))
        .map(|_| {
            start += random.below(3_000_000);
            let span_id = id(random);
            Span {
                trace_id: trace_id.clone(),
                span_id: span_id.clone(),
                parent_span_id: std::mem::replace(&mut parent, span_id),
                name: format!("/api/v1/orderservice/{}", random.below(6)),
                start_time_unix_nano: start,
                end_time_unix_nano: start + random.below(900_000_000),
                ..Span::default()
            }
        })
        .collect()
}

fn logs(random: &mut Random, spans: &[Span]) -> Vec<LogRecord> {
    let record = |span: &Span, random: &mut Random| LogRecord {
        time_unix_nano: span.start_time_unix_nano + random.below(1_000_000),
        body: Some(AnyValue::from(format!("[Order][{}] status: {}", random.below(90), random.below(7)))),
        attributes: vec![
            KeyValue::new("k8s.pod.name", format!("ts-order-service-{}", random.below(2))),
            KeyValue::new("log.line", random.below(400).cast_signed()),
            KeyValue::new("log.logger", "order.service.OrderServiceImpl"),
        ],
        trace_id: span.trace_id.clone(),
        span_id: span.span_id.clone(),
        ..LogRecord::default()
    };
    spans.iter().map(|span| record(span, random)).collect()
}

fn metrics(random: &mut Random) -> Vec<Metric> {
    ["CpuUsage(m)", "MemoryUsage(Mi)", "NetworkReceiveBytes", "PodServerLatencyP99(s)"]
        .into_iter()
        .map(|name| {
            let points = (0..3).map(|minute| NumberDataPoint {
                time_unix_nano: ARRIVAL_NS.cast_unsigned() - minute * 60_000_000_000,
                value: Some(number_data_point::Value::AsDouble(f64::from_bits(random.next() >> 2))),
                attributes: vec![KeyValue::new("node", "node-1")],
                ..NumberDataPoint::default()
            });
            Metric {
                name: name.to_owned(),
                data: Some(Data::Gauge(Gauge { data_points: points.collect() })),
                ..Metric::default()
            }
        })
        .collect()
}

#[test]
fn a_slice_in_the_shape_of_the_recording_comes_out() {
    let mut random = Random::new(20_230_129);
    for service in SERVICES {
        let spans: Vec<Span> = (0..40).flat_map(|_| spans(&mut random)).collect();
        let log_records = logs(&mut random, &spans);
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let group = ResourceSpans { resource: resource(service, 0), scope_spans, ..ResourceSpans::default() };
        check(&Request::Traces(ExportTraceServiceRequest { resource_spans: vec![group] }));
        let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
        let group = ResourceLogs { resource: resource(service, 1), scope_logs, ..ResourceLogs::default() };
        check(&Request::Logs(ExportLogsServiceRequest { resource_logs: vec![group] }));
        let groups = (0..3).map(|pod| ResourceMetrics {
            resource: resource(service, pod),
            scope_metrics: vec![ScopeMetrics { metrics: metrics(&mut random), ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        });
        check(&Request::Metrics(ExportMetricsServiceRequest { resource_metrics: groups.collect() }));
    }
}
