//! The requests of the golden set: every pair of variants of any two fields occurs together in some record.
//! The command line's tests send them through the real program, too.

use std::collections::HashSet;

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

const NOW: u64 = ARRIVAL_NS.cast_unsigned();

/// Rows of variant numbers, one per factor, such that each pair of variants of two factors is in some row.
pub(crate) fn pairwise(variants: &[usize]) -> Vec<Vec<usize>> {
    let mut open: HashSet<(usize, usize, usize, usize)> = HashSet::new();
    for first in 0..variants.len() {
        for second in first + 1..variants.len() {
            for a in 0..variants[first] {
                open.extend((0..variants[second]).map(|b| (first, a, second, b)));
            }
        }
    }
    let ordered = |f: usize, a: usize, g: usize, b: usize| if f < g { (f, a, g, b) } else { (g, b, f, a) };
    let mut rows = Vec::new();
    while let Some(&(first, a, second, b)) = open.iter().min() {
        let mut row = vec![None; variants.len()];
        row[first] = Some(a);
        row[second] = Some(b);
        for factor in 0..variants.len() {
            if row[factor].is_none() {
                let gain = |variant: usize| {
                    let fixed = row.iter().enumerate().filter_map(|(g, b)| Some((g, (*b)?)));
                    fixed.filter(|&(g, b)| open.contains(&ordered(factor, variant, g, b))).count()
                };
                row[factor] = (0..variants[factor]).max_by_key(|&variant| gain(variant));
            }
        }
        let row: Vec<usize> = row.into_iter().map(Option::unwrap_or_default).collect();
        for first in 0..row.len() {
            for second in first + 1..row.len() {
                open.remove(&(first, row[first], second, row[second]));
            }
        }
        rows.push(row);
    }
    rows
}

// === variants ===

fn entry(key: &str, value: impl Into<AnyValue>) -> KeyValue {
    KeyValue::new(key, value)
}

fn nested(depth: usize) -> AnyValue {
    (0..depth).fold(AnyValue::from(1_i64), |value, level| match level % 2 {
        0 => AnyValue::array([value]),
        _ => AnyValue::kvlist([entry("k", value)]),
    })
}

fn attribute_lists() -> Vec<Vec<KeyValue>> {
    let all_types = vec![
        entry("text", "a"),
        entry("bool", true),
        entry("int", -7_i64),
        entry("double", 0.5),
        entry("bytes", vec![0_u8, 255]),
        entry("array", AnyValue::array([AnyValue::from("a"), AnyValue::from(1_i64), AnyValue::default()])),
        entry(
            "map",
            AnyValue::kvlist([entry("x", 1_i64), entry("y", AnyValue::kvlist([entry("z", "deep")]))]),
        ),
        entry("empty", AnyValue::default()),
    ];
    vec![
        Vec::new(),
        all_types.clone(),
        all_types.into_iter().rev().collect(),
        vec![entry("text", ""), entry("bytes", Vec::new()), entry("array", AnyValue::array([]))],
        vec![entry("map", AnyValue::kvlist([])), entry("after", 1_i64)],
        vec![
            KeyValue { key: "absent".into(), value: None, key_strindex: 0 },
            entry("empty", AnyValue::default()),
        ],
        vec![entry("", "nameless"), entry("", 1_i64), entry("", AnyValue::kvlist([entry("", "inner")]))],
        vec![entry("same", "a"), entry("same", "a"), entry("same", "b"), entry("same", 1_i64)],
        vec![entry("a.b", 1_i64), entry("a", AnyValue::kvlist([entry("b", 2_i64)])), entry("a.b", "c")],
        vec![entry("m", AnyValue::kvlist([entry("k", 1_i64), entry("k", 2_i64)]))],
        ["name", "duration_ms", "service.name", "trace.trace_id", "event.id", "body", "error", "dataset"]
            .map(|key| entry(key, "collides"))
            .to_vec(),
        [
            "timestamp",
            "meta.signal_type",
            "sample_rate",
            "meta.time_raw",
            "otlp.record_flags",
            "meta.overflow",
        ]
        .map(|key| entry(key, 5_i64))
        .to_vec(),
        vec![
            entry("nan", f64::NAN),
            entry("up", f64::INFINITY),
            entry("down", f64::NEG_INFINITY),
            entry("zero", -0.0),
            entry("min", i64::MIN),
            entry("max", i64::MAX),
        ],
        vec![
            entry("n4", nested(4)),
            entry("n5", nested(5)),
            entry("n6", nested(6)),
            entry("n100", nested(100)),
        ],
        vec![entry("maps", maps(12))],
        vec![entry("trace_id", "0af7651916cd43dd8448eb211c80319c"), entry("SampleRate", 4_i64)],
        vec![
            entry("é😀\u{0}", "ключ"),
            entry(&"k".repeat(2_000), "long name"),
            entry("v", "v".repeat(70_000)),
        ],
        (0..2_100).map(|n| entry(&format!("wide.{n}"), i64::from(n))).collect(),
        vec![entry(
            "sparse",
            AnyValue::array([nested(30), AnyValue::kvlist([entry("", AnyValue::default())])]),
        )],
    ]
}

/// Kvlists in kvlists, each with a value beside.
fn maps(depth: usize) -> AnyValue {
    (0..depth).fold(AnyValue::from("leaf"), |value, level| {
        AnyValue::kvlist([entry(&format!("level{level}"), value), entry("beside", 1_i64)])
    })
}

fn resources() -> Vec<Option<Resource>> {
    let mut all = vec![
        None,
        Some(Resource::default()),
        Some(Resource { attributes: vec![entry("service.name", " cart ")], ..Resource::default() }),
        Some(Resource {
            attributes: vec![entry("service.name", "cart")],
            dropped_attributes_count: u32::MAX,
            entity_refs: vec![
                EntityRef {
                    schema_url: "s".into(),
                    r#type: "service".into(),
                    id_keys: vec!["service.name".into(), String::new()],
                    description_keys: vec!["service.version".into()],
                },
                EntityRef::default(),
            ],
        }),
    ];
    let lists = attribute_lists().into_iter();
    all.extend(lists.map(|attributes| Some(Resource { attributes, ..Resource::default() })));
    all
}

fn scopes() -> Vec<Option<InstrumentationScope>> {
    let mut all = vec![None, Some(InstrumentationScope::default())];
    all.extend(attribute_lists().into_iter().map(|attributes| {
        Some(InstrumentationScope {
            name: "lib".into(),
            version: "1.2".into(),
            attributes,
            dropped_attributes_count: 3,
        })
    }));
    all
}

const SCHEMA_URLS: [&str; 2] = ["", "https://opentelemetry.io/schemas/1.44.0"];
const COUNTS: [u32; 3] = [0, 1, u32::MAX];
const FLAGS: [u32; 3] = [0, 0x301, u32::MAX];
const TEXTS: [&str; 3] = ["", "GET /cart", "\u{0}\"\\"];
/// 0, the beginning, usual, a week ahead, the last that fits, the first that does not, minus one.
const TIMES: [u64; 7] = [0, 1, NOW, NOW + 604_800_000_000_000, (1 << 63) - 1, 1 << 63, u64::MAX];

fn ids(length: usize) -> [Vec<u8>; 3] {
    [Vec::new(), vec![0; length], (1..=u8::try_from(length).expect("short")).collect()]
}

// === signals ===

fn annotations(lists: &[Vec<KeyValue>]) -> ([Vec<Event>; 3], [Vec<Link>; 3]) {
    let event = |name: &str, time: u64, list: usize| Event {
        time_unix_nano: time,
        name: name.into(),
        attributes: lists[list].clone(),
        dropped_attributes_count: 2,
    };
    let events = [
        vec![],
        vec![event("", 0, 0)],
        vec![event("exception", NOW, 1), event("exception", NOW, 1), event("late", u64::MAX, 7)],
    ];
    let link = |ids: (usize, usize), list: usize| Link {
        trace_id: self::ids(16)[ids.0].clone(),
        span_id: self::ids(8)[ids.1].clone(),
        trace_state: "a=b".into(),
        attributes: lists[list].clone(),
        dropped_attributes_count: 1,
        flags: 0x100,
    };
    let links = [vec![], vec![Link::default()], vec![link((2, 2), 1), link((1, 0), 5), link((0, 1), 13)]];
    (events, links)
}

/// The spans.
pub(crate) fn spans(each: &mut dyn FnMut(Request)) {
    let (lists, resources, scopes) = (attribute_lists(), resources(), scopes());
    let kinds = [0, 1, 2, 3, 4, 5, 6, -1, i32::MAX];
    let statuses = [
        None,
        Some(Status::default()),
        Some(Status { message: String::new(), code: 1 }),
        Some(Status { message: "broken".into(), code: 2 }),
        Some(Status { message: "odd".into(), code: 77 }),
    ];
    let (events, links) = annotations(&lists);
    let factors = [
        lists.len(),
        resources.len(),
        scopes.len(),
        TIMES.len(),
        TIMES.len(),
        kinds.len(),
        statuses.len(),
        events.len(),
        links.len(),
        3,
        COUNTS.len(),
        FLAGS.len(),
        TEXTS.len(),
        2,
        2,
    ];
    let rows = pairwise(&factors);
    assert!(rows.len() >= lists.len() * resources.len());
    for row in &rows {
        let span = Span {
            trace_id: ids(16)[2].clone(),
            span_id: ids(8)[2].clone(),
            trace_state: SCHEMA_URLS[row[13]].into(),
            parent_span_id: ids(8)[row[9]].clone(),
            name: TEXTS[row[12]].into(),
            kind: kinds[row[5]],
            start_time_unix_nano: TIMES[row[3]],
            end_time_unix_nano: TIMES[row[4]],
            attributes: lists[row[0]].clone(),
            dropped_attributes_count: COUNTS[row[10]],
            events: events[row[7]].clone(),
            dropped_events_count: COUNTS[row[10]],
            links: links[row[8]].clone(),
            dropped_links_count: COUNTS[row[10]],
            status: statuses[row[6]].clone(),
            flags: FLAGS[row[11]],
        };
        each(Request::Traces(ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: resources[row[1]].clone(),
                scope_spans: vec![ScopeSpans {
                    scope: scopes[row[2]].clone(),
                    spans: vec![span.clone(), span],
                    schema_url: SCHEMA_URLS[row[13]].into(),
                }],
                schema_url: SCHEMA_URLS[row[14]].into(),
            }],
        }));
    }
}

/// The log records.
pub(crate) fn logs(each: &mut dyn FnMut(Request)) {
    let (lists, resources, scopes) = (attribute_lists(), resources(), scopes());
    let json = r#"{"level":"info","trace_id":"0af7651916cd43dd8448eb211c80319c","a":{"b":[1,2]},"name":1}"#;
    let bodies = [
        None,
        Some(AnyValue::default()),
        Some(AnyValue::from("")),
        Some(AnyValue::from("plain")),
        Some(AnyValue::from(json)),
        Some(AnyValue::from(true)),
        Some(AnyValue::from(0_i64)),
        Some(AnyValue::from(f64::NAN)),
        Some(AnyValue::from(vec![0_u8, 159])),
        Some(AnyValue::array([])),
        Some(nested(100)),
        Some(AnyValue::kvlist([
            entry("traceId", "1-5759e988-bd862e3fe1be46a994272793"),
            entry("a", maps(8)),
        ])),
    ];
    let severities = [0, 1, 9, 24, 25, -1];
    let factors = [
        lists.len(),
        resources.len(),
        scopes.len(),
        TIMES.len(),
        TIMES.len(),
        bodies.len(),
        severities.len(),
        3,
        3,
        COUNTS.len(),
        FLAGS.len(),
        TEXTS.len(),
        TEXTS.len(),
        2,
        2,
    ];
    for row in pairwise(&factors) {
        let record = LogRecord {
            time_unix_nano: TIMES[row[3]],
            severity_number: severities[row[6]],
            severity_text: TEXTS[row[11]].into(),
            body: bodies[row[5]].clone(),
            attributes: lists[row[0]].clone(),
            dropped_attributes_count: COUNTS[row[9]],
            flags: FLAGS[row[10]],
            trace_id: ids(16)[row[7]].clone(),
            span_id: ids(8)[row[8]].clone(),
            observed_time_unix_nano: TIMES[row[4]],
            event_name: TEXTS[row[12]].into(),
        };
        each(Request::Logs(ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: resources[row[1]].clone(),
                scope_logs: vec![ScopeLogs {
                    scope: scopes[row[2]].clone(),
                    log_records: vec![record.clone(), record],
                    schema_url: SCHEMA_URLS[row[13]].into(),
                }],
                schema_url: SCHEMA_URLS[row[14]].into(),
            }],
        }));
    }
}

/// What points of any type have.
struct PointFields {
    attributes: Vec<KeyValue>,
    start: u64,
    time: u64,
    flags: u32,
    exemplars: Vec<Exemplar>,
    /// Optional doubles are absent, 0 or odd; lists empty or not.
    variant: usize,
}

fn exponential(fields: PointFields) -> ExponentialHistogram {
    let PointFields { attributes, start, time, flags, exemplars, variant } = fields;
    let optional = [None, Some(0.0), Some(f64::NAN), Some(-1.5)][variant];
    let bucket_counts = if variant == 0 { Vec::new() } else { vec![0, 1, u64::MAX] };
    ExponentialHistogram {
        data_points: vec![ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            count: 5,
            sum: optional,
            scale: [0, -10, 20, i32::MIN][variant],
            zero_count: 2,
            positive: Some(Buckets { offset: -3, bucket_counts }),
            negative: (variant > 1).then(Buckets::default),
            flags,
            exemplars,
            min: optional,
            max: optional,
            zero_threshold: [None, Some(-0.0), Some(f64::NEG_INFINITY), Some(f64::MAX)][variant],
        }],
        aggregation_temporality: 0,
    }
}

fn metric_data(kind: usize, fields: PointFields) -> Option<Data> {
    if kind == 6 {
        return Some(Data::ExponentialHistogram(exponential(fields)));
    }
    let PointFields { attributes, start, time, flags, exemplars, variant } = fields;
    let optional = [None, Some(0.0), Some(f64::NAN), Some(-1.5)][variant];
    let counts = if variant == 0 { Vec::new() } else { vec![0, 1, u64::MAX] };
    let number = |value| NumberDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        value,
        exemplars: exemplars.clone(),
        attributes: attributes.clone(),
        flags,
    };
    let doubles = [0.0, 1.5, f64::NEG_INFINITY, f64::MAX];
    let numbers = vec![
        number(Some(number_data_point::Value::AsDouble(doubles[variant]))),
        number([None, Some(number_data_point::Value::AsInt(0)), None, None][variant]),
    ];
    Some(match kind {
        0 => return None,
        1 => Data::Gauge(Gauge { data_points: numbers }),
        2 => {
            Data::Gauge(Gauge { data_points: vec![number(Some(number_data_point::Value::AsInt(i64::MIN)))] })
        }
        3 => Data::Sum(Sum { data_points: numbers, aggregation_temporality: 2, is_monotonic: true }),
        4 => Data::Sum(Sum { data_points: Vec::new(), aggregation_temporality: 99, is_monotonic: false }),
        5 => Data::Histogram(Histogram {
            data_points: vec![HistogramDataPoint {
                start_time_unix_nano: start,
                time_unix_nano: time,
                count: u64::MAX,
                sum: optional,
                bucket_counts: counts,
                explicit_bounds: if variant == 0 { Vec::new() } else { vec![f64::NEG_INFINITY, 0.0] },
                exemplars,
                attributes,
                flags,
                min: optional,
                max: optional,
            }],
            aggregation_temporality: 1,
        }),
        _ => Data::Summary(Summary {
            data_points: vec![SummaryDataPoint {
                start_time_unix_nano: start,
                time_unix_nano: time,
                count: 0,
                sum: [None, Some(-0.0), Some(f64::NEG_INFINITY), Some(f64::MAX)][variant],
                quantile_values: (0..variant)
                    .map(|n| ValueAtQuantile {
                        quantile: [None, Some(0.5), Some(-0.0)][n],
                        value: Some(f64::NAN),
                    })
                    .collect(),
                attributes,
                flags,
            }],
        }),
    })
}

/// The metric points.
pub(crate) fn metrics(each: &mut dyn FnMut(Request)) {
    let (lists, resources, scopes) = (attribute_lists(), resources(), scopes());
    let names = ["", "cpu", "cpu.count", "cpu.flags", "cpu.exemplars", "name", "a.b"];
    let exemplar = |value, list: usize, id: usize| Exemplar {
        time_unix_nano: TIMES[list % TIMES.len()],
        value,
        span_id: ids(8)[id].clone(),
        trace_id: ids(16)[id].clone(),
        filtered_attributes: lists[list].clone(),
    };
    let exemplars = [
        vec![],
        vec![Exemplar::default()],
        vec![
            exemplar(Some(exemplar::Value::AsInt(-1)), 1, 2),
            exemplar(Some(exemplar::Value::AsDouble(f64::NAN)), 13, 1),
            exemplar(None, 7, 0),
        ],
    ];
    let factors = [
        lists.len(),
        resources.len(),
        scopes.len(),
        TIMES.len(),
        TIMES.len(),
        names.len(),
        8,
        8,
        exemplars.len(),
        4,
        FLAGS.len(),
        TEXTS.len(),
        lists.len(),
        2,
    ];
    for row in pairwise(&factors) {
        let metric = |kind: usize, name: &str| Metric {
            name: name.into(),
            description: TEXTS[row[11]].into(),
            unit: TEXTS[row[11]].into(),
            data: metric_data(
                kind,
                PointFields {
                    attributes: lists[row[0]].clone(),
                    start: TIMES[row[3]],
                    time: TIMES[row[4]],
                    flags: FLAGS[row[10]],
                    exemplars: exemplars[row[8]].clone(),
                    variant: row[9],
                },
            ),
            metadata: lists[row[12]].clone(),
        };
        each(Request::Metrics(ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: resources[row[1]].clone(),
                scope_metrics: vec![ScopeMetrics {
                    scope: scopes[row[2]].clone(),
                    // The second one shares the first one's name at times, and always its attributes and times.
                    metrics: vec![metric(row[6], names[row[5]]), metric(row[7], "cpu")],
                    schema_url: SCHEMA_URLS[row[13]].into(),
                }],
                schema_url: String::new(),
            }],
        }));
    }
}
