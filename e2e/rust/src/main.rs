//! Sends one trace, one log record and one counter with OpenTelemetry for Rust over gRPC; prints the trace id.

use std::error::Error;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = std::env::args().nth(1).ok_or("usage: skein-e2e-rust http://HOST:PORT")?;
    let resource = Resource::builder().with_service_name("rust-shop").build();

    let exporter = SpanExporter::builder().with_tonic().with_endpoint(&endpoint).build()?;
    let spans = SdkTracerProvider::builder().with_resource(resource.clone()).with_batch_exporter(exporter).build();
    let exporter = LogExporter::builder().with_tonic().with_endpoint(&endpoint).build()?;
    let logs = SdkLoggerProvider::builder().with_resource(resource.clone()).with_batch_exporter(exporter).build();
    let exporter = MetricExporter::builder().with_tonic().with_endpoint(&endpoint).build()?;
    let reader = PeriodicReader::builder(exporter).build();
    let metrics = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();

    let tracer = spans.tracer("shop");
    let root = tracer.span_builder("POST /order").with_kind(SpanKind::Server).start(&tracer);
    let trace_id = root.span_context().trace_id().to_string();
    let in_root = Context::current_with_span(root);
    let mut child = tracer
        .span_builder("charge card")
        .with_kind(SpanKind::Client)
        .with_attributes([KeyValue::new("amount", 1999_i64), KeyValue::new("retry", true)])
        .start_with_context(&tracer, &in_root);
    child.set_status(Status::error("declined"));
    child.end();

    let logger = logs.logger("shop");
    let guard = in_root.clone().attach();
    let mut record = logger.create_log_record();
    record.set_body(AnyValue::from("card declined"));
    record.set_severity_number(Severity::Error);
    record.add_attribute("card.country", "NL");
    logger.emit(record);
    drop(guard);
    metrics.meter("shop").u64_counter("charges").build().add(5, &[KeyValue::new("bank", "x")]);
    in_root.span().end();

    tokio::task::spawn_blocking(move || {
        spans.shutdown()?;
        logs.shutdown()?;
        metrics.shutdown()
    })
    .await??;
    println!("{trace_id}");
    Ok(())
}
