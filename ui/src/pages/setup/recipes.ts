// How each language sends to this server: what to install, what to set, how to start. The address is filled in.

export interface Recipe {
  id: string;
  name: string;
  steps: Array<{ title: string; text: string }>;
}

export interface Where {
  /** OTLP/HTTP and gRPC, without a path. */
  http: string;
  grpc: string;
  service: string;
}

const exported = (where: Where, more: Array<[string, string]> = []): string =>
  [['OTEL_SERVICE_NAME', where.service], ['OTEL_EXPORTER_OTLP_ENDPOINT', where.http], ['OTEL_EXPORTER_OTLP_PROTOCOL', 'http/protobuf'], ...more].map(([name, value]) => `export ${name}=${value}`).join('\n');

const ALL: Array<[string, string]> = [['OTEL_TRACES_EXPORTER', 'otlp'], ['OTEL_LOGS_EXPORTER', 'otlp'], ['OTEL_METRICS_EXPORTER', 'otlp']];

export const recipes = (where: Where): Recipe[] => [
  {
    id: 'python',
    name: 'Python',
    steps: [
      { title: 'Install', text: 'pip install opentelemetry-distro opentelemetry-exporter-otlp\nopentelemetry-bootstrap -a install' },
      { title: 'Set', text: exported(where, [...ALL, ['OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED', 'true']]) },
      { title: 'Start', text: 'opentelemetry-instrument python app.py' },
    ],
  },
  {
    id: 'node',
    name: 'Node',
    steps: [
      { title: 'Install', text: 'npm install @opentelemetry/api @opentelemetry/auto-instrumentations-node' },
      { title: 'Set', text: exported(where, [...ALL, ['NODE_OPTIONS', '"--require @opentelemetry/auto-instrumentations-node/register"']]) },
      { title: 'Start', text: 'node app.js' },
    ],
  },
  {
    id: 'go',
    name: 'Go',
    steps: [
      { title: 'Install', text: 'go get go.opentelemetry.io/otel/sdk go.opentelemetry.io/contrib/exporters/autoexport \\\n  go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp' },
      { title: 'Set', text: exported(where, ALL) },
      { title: 'In main', text: 'exporter, err := autoexport.NewSpanExporter(ctx)\nif err != nil { log.Fatal(err) }\nprovider := trace.NewTracerProvider(trace.WithBatcher(exporter))\ndefer provider.Shutdown(ctx)\notel.SetTracerProvider(provider)\nhandler := otelhttp.NewHandler(mux, "server")' },
    ],
  },
  {
    id: 'java',
    name: 'Java',
    steps: [
      { title: 'Get the agent', text: 'curl -sSLO https://github.com/open-telemetry/opentelemetry-java-instrumentation/releases/latest/download/opentelemetry-javaagent.jar' },
      { title: 'Set', text: exported(where, ALL) },
      { title: 'Start', text: 'java -javaagent:opentelemetry-javaagent.jar -jar app.jar' },
    ],
  },
  {
    id: 'rust',
    name: 'Rust',
    steps: [
      { title: 'Install', text: 'cargo add opentelemetry opentelemetry_sdk tracing tracing-opentelemetry tracing-subscriber\ncargo add opentelemetry-otlp --features http-proto,reqwest-blocking-client' },
      { title: 'Set', text: exported(where) },
      { title: 'In main', text: 'let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().build()?;\nlet provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()\n    .with_batch_exporter(exporter)\n    .build();\nlet layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("app"));\ntracing_subscriber::registry().with(layer).init();' },
    ],
  },
  {
    id: 'collector',
    name: 'Collector',
    steps: [
      {
        title: 'In its configuration',
        text: `receivers:\n  otlp:\n    protocols:\n      grpc: { endpoint: 0.0.0.0:14317 }\n      http: { endpoint: 0.0.0.0:14318 }\nexporters:\n  otlp_http:\n    endpoint: ${where.http}\n    compression: zstd\nservice:\n  pipelines:\n    traces: { receivers: [otlp], exporters: [otlp_http] }\n    logs: { receivers: [otlp], exporters: [otlp_http] }\n    metrics: { receivers: [otlp], exporters: [otlp_http] }`,
      },
      { title: 'Start', text: 'otelcol --config config.yaml' },
    ],
  },
  {
    id: 'curl',
    name: 'curl',
    steps: [
      {
        title: 'One span, now',
        text: `curl -sS ${where.http}/v1/traces -H 'Content-Type: application/json' -d '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"${where.service}"}}]},"scopeSpans":[{"spans":[{"traceId":"'$(openssl rand -hex 16)'","spanId":"'$(openssl rand -hex 8)'","name":"hello","kind":2,"startTimeUnixNano":"'$(date +%s%N)'","endTimeUnixNano":"'$(( $(date +%s%N) + 42000000 ))'"}]}]}]}'`,
      },
    ],
  },
];
