//! Random requests from a seed: every field of every message, with the odd values more often than the usual.

use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::{AnyValue, EntityRef, InstrumentationScope, KeyValue};
use skein_otlp::logs::{LogRecord, ResourceLogs, ScopeLogs};
use skein_otlp::metrics::exponential_histogram_data_point::Buckets;
use skein_otlp::metrics::metric::Data;
use skein_otlp::metrics::summary_data_point::ValueAtQuantile;
use skein_otlp::metrics::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    number_data_point,
};
use skein_otlp::resource::Resource;
use skein_otlp::trace::span::{Event, Link};
use skein_otlp::trace::{ResourceSpans, ScopeSpans, Span, Status};

use super::round_trip::{ARRIVAL_NS, Request};

/// Names that collide with fixed columns, with each other, or with the way names are built.
pub(crate) const KEYS: &[&str] = &[
    "http.route",
    "http",
    "http.status_code",
    "service.name",
    "name",
    "duration_ms",
    "timestamp",
    "body",
    "body.user",
    "trace.trace_id",
    "event.id",
    "meta.overflow",
    "error",
    "status_code",
    "attributes.x",
    "resource.service.name",
    "scope.name",
    "library.name",
    "SampleRate",
    "sampling.priority",
    "a",
    "a.b",
    "a.b.c",
    "",
    ".",
    "..",
    "a.",
    ".a",
    "é",
    "\u{0}",
    "trace_id",
    "traceId",
    "dd.trace_id",
    "exception.type",
    "cpu",
    "cpu.count",
    "cpu.sum",
    "cpu.flags",
    "cpu.exemplars",
    "meta.time_raw",
    "otlp.record_flags",
];

/// xorshift64*: enough for tests, and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound.max(1)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[usize::try_from(self.below(items.len() as u64)).expect("an index")]
    }

    fn list<T>(&mut self, at_most: u64, mut item: impl FnMut(&mut Random) -> T) -> Vec<T> {
        (0..self.below(at_most + 1)).map(|_| item(self)).collect()
    }

    fn maybe<T>(&mut self, percent: u64, item: impl FnOnce(&mut Random) -> T) -> Option<T> {
        self.chance(percent).then(|| item(self))
    }
}

pub(crate) fn request(random: &mut Random) -> Request {
    match random.below(3) {
        0 => Request::Traces(ExportTraceServiceRequest {
            resource_spans: random.list(3, |r| ResourceSpans {
                resource: r.maybe(80, resource),
                scope_spans: r.list(3, |r| ScopeSpans {
                    scope: r.maybe(80, scope),
                    spans: r.list(6, span),
                    schema_url: schema_url(r),
                }),
                schema_url: schema_url(r),
            }),
        }),
        1 => Request::Logs(ExportLogsServiceRequest {
            resource_logs: random.list(3, |r| ResourceLogs {
                resource: r.maybe(80, resource),
                scope_logs: r.list(3, |r| ScopeLogs {
                    scope: r.maybe(80, scope),
                    log_records: r.list(6, log_record),
                    schema_url: schema_url(r),
                }),
                schema_url: schema_url(r),
            }),
        }),
        _ => Request::Metrics(ExportMetricsServiceRequest {
            resource_metrics: random.list(3, |r| ResourceMetrics {
                resource: r.maybe(80, resource),
                scope_metrics: r.list(3, |r| ScopeMetrics {
                    scope: r.maybe(80, scope),
                    metrics: r.list(6, metric),
                    schema_url: schema_url(r),
                }),
                schema_url: schema_url(r),
            }),
        }),
    }
}

// === common ===

fn text(random: &mut Random) -> String {
    let odd =
        ["", " ", "\u{0}", "😀", "500", "-0", "true", "{}", "{\"a\":{\"b\":1},\"trace_id\":5}", "\"\\\n"];
    match random.below(4) {
        0 => (*random.pick(&odd)).to_owned(),
        1 => (*random.pick(KEYS)).to_owned(),
        2 => "x".repeat(usize::try_from(random.below(300)).expect("small")),
        _ => format!("value {}", random.below(5)),
    }
}

fn schema_url(random: &mut Random) -> String {
    (*random.pick(&["", "", "https://opentelemetry.io/schemas/1.44.0", "x"])).to_owned()
}

pub(crate) fn integer(random: &mut Random) -> i64 {
    match random.below(3) {
        0 => *random.pick(&[0, 1, -1, 127, 128, 200, i64::MIN, i64::MAX, 1 << 53, (1 << 53) + 1]),
        1 => random.next().cast_signed(),
        _ => random.below(1_000).cast_signed(),
    }
}

pub(crate) fn double(random: &mut Random) -> f64 {
    match random.below(3) {
        0 => *random.pick(&[
            1.0,
            0.0,
            -0.0,
            -1.5,
            500.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX,
            0.1,
            9_007_199_254_740_993.0,
            1e23,
        ]),
        1 => {
            let value = f64::from_bits(random.next());
            // JSON has one NaN.
            if value.is_nan() { f64::NAN } else { value }
        }
        _ => f64::from(i32::try_from(random.below(1_000)).expect("small")) / 8.0 + 0.125,
    }
}

/// A double whose default is 0, which is never written.
fn implicit_double(random: &mut Random) -> Option<f64> {
    random.maybe(80, double).filter(|value| value.to_bits() != 0)
}

fn counter(random: &mut Random) -> u64 {
    *random.pick(&[0, 1, 5, 127, 128, 1 << 40, u64::MAX, i64::MAX.cast_unsigned()])
}

fn narrow(random: &mut Random) -> u32 {
    *random.pick(&[0, 0, 1, 257, 0x300, u32::MAX])
}

fn enumeration(random: &mut Random, known: i32) -> i32 {
    let odd = *random.pick(&[-1, 99, i32::MAX, i32::MIN]);
    if random.chance(10) {
        odd
    } else {
        i32::try_from(random.below(known.unsigned_abs().into())).expect("small")
    }
}

fn time(random: &mut Random) -> u64 {
    let arrival = ARRIVAL_NS.cast_unsigned();
    match random.below(3) {
        0 => *random.pick(&[
            0,
            1,
            u64::MAX,
            1 << 63,
            (1 << 63) - 1,
            arrival + 90_000_000_000_000,
            u64::MAX - 4,
        ]),
        _ => arrival - random.below(1_000_000_000_000),
    }
}

pub(crate) fn value(random: &mut Random, depth: u32) -> AnyValue {
    match random.below(if depth == 0 { 7 } else { 9 }) {
        0 | 1 => AnyValue::from(text(random)),
        2 => AnyValue::from(random.chance(50)),
        3 => AnyValue::from(integer(random)),
        4 => AnyValue::from(double(random)),
        5 => AnyValue::from(random.list(20, |r| r.next().to_le_bytes()[0])),
        6 => AnyValue::default(),
        7 => AnyValue::array(random.list(3, |r| value(r, depth - 1))),
        _ => AnyValue::kvlist(random.list(4, |r| attribute(r, depth - 1))),
    }
}

fn attribute(random: &mut Random, depth: u32) -> KeyValue {
    let key = (*random.pick(KEYS)).to_owned();
    KeyValue { key, value: random.maybe(97, |r| value(r, depth)), key_strindex: 0 }
}

fn attributes(random: &mut Random) -> Vec<KeyValue> {
    let depth = u32::try_from(random.below(8)).expect("small");
    random.list(6, |r| attribute(r, depth))
}

fn resource(random: &mut Random) -> Resource {
    // Few enough that some are equal.
    let mut few = Random::new(random.below(12));
    Resource {
        attributes: attributes(&mut few),
        dropped_attributes_count: narrow(&mut few),
        entity_refs: few.list(2, |r| EntityRef {
            schema_url: schema_url(r),
            r#type: text(r),
            id_keys: r.list(2, text),
            description_keys: r.list(2, text),
        }),
    }
}

fn scope(random: &mut Random) -> InstrumentationScope {
    let mut few = Random::new(random.below(12) + 100);
    InstrumentationScope {
        name: text(&mut few),
        version: text(&mut few),
        attributes: attributes(&mut few),
        dropped_attributes_count: narrow(&mut few),
    }
}

/// An id that is not all zero.
fn id(random: &mut Random, length: usize) -> Vec<u8> {
    let mut id = vec![0xa5; length];
    id[..1].copy_from_slice(&[random.next().to_le_bytes()[0]]);
    id
}

/// An id that may be missing or all zero.
fn optional_id(random: &mut Random, length: usize) -> Vec<u8> {
    match random.below(4) {
        0 => Vec::new(),
        1 => vec![0; length],
        _ => id(random, length),
    }
}

// === signals ===

pub(crate) fn span(random: &mut Random) -> Span {
    let start = time(random);
    let end = if random.chance(70) { start.wrapping_add(random.below(1 << 30)) } else { time(random) };
    Span {
        trace_id: id(random, 16),
        span_id: id(random, 8),
        trace_state: (*random.pick(&["", "a=b", "ot=th:fd70a4", "ot=th:zz;rv:1"])).to_owned(),
        parent_span_id: optional_id(random, 8),
        name: text(random),
        kind: enumeration(random, 6),
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes: attributes(random),
        dropped_attributes_count: narrow(random),
        events: random.list(3, |r| Event {
            time_unix_nano: time(r),
            name: if r.chance(30) { "exception".to_owned() } else { text(r) },
            attributes: attributes(r),
            dropped_attributes_count: narrow(r),
        }),
        dropped_events_count: narrow(random),
        links: random.list(3, |r| Link {
            trace_id: optional_id(r, 16),
            span_id: optional_id(r, 8),
            trace_state: text(r),
            attributes: attributes(r),
            dropped_attributes_count: narrow(r),
            flags: narrow(r),
        }),
        dropped_links_count: narrow(random),
        status: random.maybe(60, |r| Status { message: text(r), code: enumeration(r, 3) }),
        flags: narrow(random),
    }
}

pub(crate) fn log_record(random: &mut Random) -> LogRecord {
    LogRecord {
        time_unix_nano: time(random),
        severity_number: enumeration(random, 25),
        severity_text: text(random),
        body: random.maybe(90, |r| {
            let json = r#"{"level":"info","traceId":"0af7651916cd43dd8448eb211c80319c","n":{"m":[1]}}"#;
            if r.chance(20) { AnyValue::from(json) } else { value(r, 7) }
        }),
        attributes: attributes(random),
        dropped_attributes_count: narrow(random),
        flags: narrow(random),
        trace_id: optional_id(random, 16),
        span_id: optional_id(random, 8),
        observed_time_unix_nano: time(random),
        event_name: text(random),
    }
}

fn exemplars(random: &mut Random) -> Vec<Exemplar> {
    let most = if random.chance(70) { 0 } else { 2 };
    random.list(most, |r| Exemplar {
        time_unix_nano: time(r),
        value: r.maybe(90, |r| {
            if r.chance(50) {
                exemplar::Value::AsInt(integer(r))
            } else {
                exemplar::Value::AsDouble(double(r))
            }
        }),
        span_id: optional_id(r, 8),
        trace_id: optional_id(r, 16),
        filtered_attributes: attributes(r),
    })
}

/// Few, so that points share events.
fn point_attributes(random: &mut Random) -> Vec<KeyValue> {
    let mut few = Random::new(random.below(4) + 200);
    attributes(&mut few)
}

fn point_time(random: &mut Random) -> u64 {
    if random.chance(80) { ARRIVAL_NS.cast_unsigned() } else { time(random) }
}

fn number_point(random: &mut Random) -> NumberDataPoint {
    NumberDataPoint {
        start_time_unix_nano: if random.chance(80) { 0 } else { time(random) },
        time_unix_nano: point_time(random),
        value: random.maybe(90, |r| {
            if r.chance(50) {
                number_data_point::Value::AsInt(integer(r))
            } else {
                number_data_point::Value::AsDouble(double(r))
            }
        }),
        exemplars: exemplars(random),
        attributes: point_attributes(random),
        flags: narrow(random),
    }
}

fn histogram_point(random: &mut Random) -> HistogramDataPoint {
    HistogramDataPoint {
        start_time_unix_nano: if random.chance(80) { 0 } else { time(random) },
        time_unix_nano: point_time(random),
        count: counter(random),
        sum: random.maybe(70, double),
        bucket_counts: random.list(4, counter),
        explicit_bounds: random.list(4, double),
        exemplars: exemplars(random),
        attributes: point_attributes(random),
        flags: narrow(random),
        min: random.maybe(70, double),
        max: random.maybe(70, double),
    }
}

fn exponential_point(random: &mut Random) -> ExponentialHistogramDataPoint {
    let scale = |r: &mut Random| *r.pick(&[0, 1, -10, 20, i32::MIN, i32::MAX]);
    let buckets = |r: &mut Random| Buckets { offset: scale(r), bucket_counts: r.list(5, counter) };
    ExponentialHistogramDataPoint {
        attributes: point_attributes(random),
        start_time_unix_nano: if random.chance(80) { 0 } else { time(random) },
        time_unix_nano: point_time(random),
        count: counter(random),
        sum: random.maybe(70, double),
        scale: scale(random),
        zero_count: counter(random),
        positive: random.maybe(70, buckets),
        negative: random.maybe(70, buckets),
        flags: narrow(random),
        exemplars: exemplars(random),
        min: random.maybe(70, double),
        max: random.maybe(70, double),
        zero_threshold: implicit_double(random),
    }
}

fn summary_point(random: &mut Random) -> SummaryDataPoint {
    SummaryDataPoint {
        start_time_unix_nano: if random.chance(80) { 0 } else { time(random) },
        time_unix_nano: point_time(random),
        count: counter(random),
        sum: implicit_double(random),
        quantile_values: random
            .list(3, |r| ValueAtQuantile { quantile: implicit_double(r), value: implicit_double(r) }),
        attributes: point_attributes(random),
        flags: narrow(random),
    }
}

pub(crate) fn metric(random: &mut Random) -> Metric {
    let data = random.maybe(95, |r| match r.below(5) {
        0 => Data::Gauge(Gauge { data_points: r.list(4, number_point) }),
        1 => Data::Sum(Sum {
            data_points: r.list(4, number_point),
            aggregation_temporality: enumeration(r, 3),
            is_monotonic: r.chance(50),
        }),
        2 => Data::Histogram(Histogram {
            data_points: r.list(3, histogram_point),
            aggregation_temporality: enumeration(r, 3),
        }),
        3 => Data::ExponentialHistogram(ExponentialHistogram {
            data_points: r.list(3, exponential_point),
            aggregation_temporality: enumeration(r, 3),
        }),
        _ => Data::Summary(Summary { data_points: r.list(3, summary_point) }),
    });
    let name = if random.chance(50) { "cpu" } else { *random.pick(KEYS) };
    Metric {
        name: name.to_owned(),
        description: text(random),
        unit: (*random.pick(&["", "1", "By"])).to_owned(),
        data,
        metadata: if random.chance(20) { attributes(random) } else { Vec::new() },
    }
}
