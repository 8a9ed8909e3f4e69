"""OpenTelemetry for Python over gRPC, gzip: traces, logs and metrics of a real SDK."""

import logging

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Status, StatusCode
from grpc import Compression


def test_python_over_grpc(skein):
    endpoint = f"http://{skein.addresses['otlp_grpc']}"
    options = {"endpoint": endpoint, "insecure": True, "compression": Compression.Gzip}
    resource = Resource.create({"service.name": "python-shop", "service.version": "1.2.3"})

    spans = TracerProvider(resource=resource)
    spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**options)))
    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**options)))
    logger = logging.getLogger("shop")
    logger.setLevel(logging.INFO)
    handler = LoggingHandler(logger_provider=logs)
    logger.addHandler(handler)
    metrics = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(**options))], resource=resource)

    tracer = spans.get_tracer("shop", "0.1", attributes={"library.language": "python"})
    with tracer.start_as_current_span("GET /buy", attributes={"http.route": "/buy", "items": [1, 2, 3]}) as root:
        with tracer.start_as_current_span("SELECT", links=[Link(root.get_span_context(), {"why": "test"})]) as child:
            child.set_attribute("db.system", "postgresql")
            child.add_event("retry", {"attempt": 2})
            child.set_status(Status(StatusCode.ERROR, "deadlock"))
            logger.warning("slow query", extra={"rows": 7})
        trace_id = trace.format_trace_id(root.get_span_context().trace_id)
    meter = metrics.get_meter("shop")
    meter.create_counter("orders").add(3, {"country": "NL"})
    meter.create_histogram("basket").record(12.5, {"country": "NL"})
    for provider in (spans, logs, metrics):
        provider.force_flush()
        provider.shutdown()
    logger.removeHandler(handler)

    found = skein.trace(trace_id)
    by_name = {row["name"]: row for row in found["spans"] if "meta.annotation_type" not in row}
    assert set(by_name) == {"GET /buy", "SELECT"}
    assert by_name["GET /buy"]["http.route"] == "/buy"
    assert by_name["SELECT"]["error"] is True and by_name["SELECT"]["status_message"] == "deadlock"
    assert by_name["SELECT"]["service.name"] == "python-shop"
    assert len(found["root_ids"]) == 1 and found["missing_parents"] == []
    assert [row["body"] for row in found["logs"]] == ["slow query"]
    assert found["logs"][0]["rows"] == 7
    # The old name was sent; the new one of the semantic conventions finds it too.
    count = skein.query(calculations=[{"op": "COUNT"}], filters=[{"column": "db.system.name", "op": "=", "value": "postgresql"}])
    assert count["data"]["results"][0]["data"]["COUNT"] == 1
    # Cumulative, and exported at each flush: the largest is the count.
    orders = skein.query(calculations=[{"op": "MAX", "column": "orders"}], breakdowns=["country"])
    assert orders["data"]["results"][0]["data"] == {"country": "NL", "MAX(orders)": 3}
    basket = skein.rows(filters=[{"column": "basket.count", "op": "exists"}])
    assert {row["basket.sum"] for row in basket} == {12.5}
