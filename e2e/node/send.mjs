// Sends one trace with two spans, one log record and one counter over OTLP/HTTP JSON; prints the trace id.
import { context, SpanStatusCode, trace } from '@opentelemetry/api';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const base = process.argv[2];
const resource = resourceFromAttributes({ 'service.name': 'node-shop' });
const compression = 'gzip';
const spans = new NodeTracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${base}/v1/traces`, compression }))],
});
spans.register();
const logs = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url: `${base}/v1/logs` }) })],
});
const metrics = new MeterProvider({
  resource,
  readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter({ url: `${base}/v1/metrics` }) })],
});

const tracer = spans.getTracer('shop');
const root = tracer.startSpan('GET /cart', { attributes: { 'http.request.method': 'GET', nested: ['a', 'b'] } });
const inRoot = trace.setSpan(context.active(), root);
const child = tracer.startSpan('redis GET', { attributes: { 'cache.hit': false, ratio: 0.25 } }, inRoot);
child.recordException(new Error('connection reset'));
child.setStatus({ code: SpanStatusCode.ERROR });
logs.getLogger('shop').emit({
  severityNumber: 9,
  severityText: 'INFO',
  body: JSON.stringify({ message: 'cart loaded', user: { id: 'u-17' }, items: 3 }),
  context: inRoot,
});
metrics.getMeter('shop').createCounter('carts').add(2, { tier: 'gold' });
child.end();
root.end();
for (const provider of [spans, logs, metrics]) {
  await provider.forceFlush();
  await provider.shutdown();
}
console.log(root.spanContext().traceId);
