//! Random OTLP requests that try what is hard: mixed types under one name, names that collide with fixed
//! columns, old and new conventions side by side, missing values, NaN, −0, integers past 2^53, arrays, bytes,
//! nested lists, weights, span events, links, JSON bodies, metric points.
//!
//! Every event carries a number of its own as attribute [`SEQUENCE`], by which a raw row is found again.

use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::{AnyValue, InstrumentationScope, KeyValue};
use skein_otlp::logs::{LogRecord, ResourceLogs, ScopeLogs};
use skein_otlp::metrics::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use skein_otlp::resource::Resource;
use skein_otlp::trace::{ResourceSpans, ScopeSpans, Span, Status, span};

use super::Random;
use crate::reference::{Event, flatten};

/// The attribute that numbers every event.
pub const SEQUENCE: &str = "test.seq";

/// The first second of the data, epoch; the data span [`SECONDS`] from here.
pub const START_S: i64 = 1_900_000_000;
/// The length of the data in seconds.
pub const SECONDS: i64 = 3_600;
/// When every request arrives: after all of its times, within a day.
pub const ARRIVAL_NS: i64 = (START_S + SECONDS + 60) * 1_000_000_000;

/// A request of one of the three signals.
#[derive(Clone, Debug)]
pub enum Request {
    /// Spans.
    Traces(ExportTraceServiceRequest),
    /// Log records.
    Logs(ExportLogsServiceRequest),
    /// Metric points.
    Metrics(ExportMetricsServiceRequest),
}

impl Request {
    /// Its events, as the reference reads them.
    pub fn events(&self) -> Vec<Event> {
        match self {
            Request::Traces(request) => flatten::spans(request, ARRIVAL_NS),
            Request::Logs(request) => flatten::logs(request, ARRIVAL_NS),
            Request::Metrics(request) => flatten::metrics(request, ARRIVAL_NS),
        }
    }
}

/// Makes requests whose events number on from `sequence`.
#[derive(Debug)]
pub struct Generator {
    random: Random,
    sequence: i64,
}

impl Generator {
    /// A generator of its own stream.
    pub fn new(random: Random) -> Generator {
        Generator { random, sequence: 0 }
    }

    /// A request of up to `records` records.
    pub fn request(&mut self, records: u64) -> Request {
        let count = 1 + self.random.below(records);
        match self.random.below(6) {
            0 | 1 => Request::Logs(self.logs(count)),
            2 => Request::Metrics(self.metrics(count)),
            _ => Request::Traces(self.traces(count)),
        }
    }

    fn numbered(&mut self) -> KeyValue {
        self.sequence += 1;
        KeyValue::new(SEQUENCE, self.sequence)
    }

    fn time(&mut self) -> u64 {
        let seconds = START_S.unsigned_abs() + self.random.below(SECONDS.unsigned_abs());
        // Round times are common: they meet the edges of buckets and ranges, and each other.
        let nanos = if self.random.once_in(3) { 0 } else { self.random.below(1_000_000_000) };
        seconds * 1_000_000_000 + nanos
    }

    fn resource(&mut self) -> Option<Resource> {
        if self.random.once_in(12) {
            return None;
        }
        let mut attributes = Vec::new();
        if !self.random.once_in(8) {
            let service = *self.random.pick(&["cart", "pay", "ship", " mail ", "unknown_service:x", ""]);
            attributes.push(KeyValue::new("service.name", service));
        }
        if self.random.once_in(2) {
            attributes.push(KeyValue::new("deployment.environment", *self.random.pick(&["prod", "test"])));
        }
        if self.random.once_in(3) {
            attributes
                .push(KeyValue::new("host.cores", i64::try_from(self.random.below(4)).unwrap_or_default()));
        }
        if self.random.once_in(4) {
            // Hidden by the span's own attribute of this name, where it has one.
            attributes.push(KeyValue::new("http.route", "/resource"));
        }
        if self.random.once_in(6) {
            attributes.push(KeyValue::new("duration_ms", "of the resource"));
        }
        Some(Resource { attributes, ..Resource::default() })
    }

    fn scope(&mut self) -> Option<InstrumentationScope> {
        if self.random.once_in(3) {
            return None;
        }
        let mut attributes = Vec::new();
        if self.random.once_in(4) {
            attributes.push(KeyValue::new("http.route", "/scope"));
        }
        if self.random.once_in(4) {
            attributes.push(KeyValue::new("team", *self.random.pick(&["red", "blue"])));
        }
        let name = (*self.random.pick(&["", "lib.http", "lib.db"])).to_owned();
        let version = (*self.random.pick(&["", "1.0"])).to_owned();
        Some(InstrumentationScope { name, version, attributes, dropped_attributes_count: 0 })
    }

    fn schema(&mut self) -> String {
        (*self.random.pick(&["", "", "https://opentelemetry.io/schemas/1.44.0"])).to_owned()
    }

    fn traces(&mut self, count: u64) -> ExportTraceServiceRequest {
        let mut groups = Vec::new();
        for _ in 0..=self.random.below(2) {
            let spans = (0..count).map(|_| self.span()).collect();
            let scope_spans = vec![ScopeSpans { scope: self.scope(), spans, schema_url: self.schema() }];
            groups.push(ResourceSpans { resource: self.resource(), scope_spans, schema_url: self.schema() });
        }
        ExportTraceServiceRequest { resource_spans: groups }
    }

    fn span(&mut self) -> Span {
        let start = self.time();
        let trace = self.random.below(40);
        let mut trace_id = [7_u8; 16];
        trace_id[8..].copy_from_slice(&trace.to_be_bytes());
        let duration = match self.random.below(5) {
            0 => 0,
            1 => self.random.below(1_000),
            2 => 1_000_000 * self.random.below(100),
            _ => self.random.below(2_000_000_000),
        };
        let backwards = self.random.once_in(40);
        let mut attributes = vec![self.numbered()];
        attributes.extend(self.attributes());
        let events = (0..self.random.below(6).saturating_sub(3)).map(|_| self.annotation(start)).collect();
        let links = (0..self.random.below(6).saturating_sub(4)).map(|_| self.link()).collect();
        Span {
            trace_id: trace_id.to_vec(),
            span_id: self.random.bytes::<8>().to_vec(),
            parent_span_id: if self.random.once_in(3) {
                Vec::new()
            } else {
                self.random.bytes::<8>().to_vec()
            },
            trace_state: (*self.random.pick(&[
                "",
                "",
                "",
                "ot=th:8",
                "ot=rv:0123456789abcd;th:c",
                "other=1",
            ]))
            .to_owned(),
            name: (*self.random.pick(&["GET /buy", "POST /pay", "query", "Ж"])).to_owned(),
            kind: i32::try_from(self.random.below(6)).unwrap_or_default(),
            start_time_unix_nano: start,
            end_time_unix_nano: if backwards { start - 1 } else { start + duration },
            attributes,
            events,
            links,
            status: match self.random.below(4) {
                0 => None,
                code => Some(Status {
                    code: i32::try_from(code - 1).unwrap_or_default(),
                    message: (*self.random.pick(&["", "timeout"])).to_owned(),
                }),
            },
            flags: *self.random.pick(&[0, 1, 257]),
            ..Span::default()
        }
    }

    fn annotation(&mut self, start: u64) -> span::Event {
        let mut attributes = vec![self.numbered()];
        if self.random.once_in(2) {
            attributes.push(KeyValue::new("exception.type", *self.random.pick(&["Timeout", "Refused"])));
        }
        span::Event {
            time_unix_nano: start + self.random.below(1_000_000_000),
            name: (*self.random.pick(&["exception", "retry"])).to_owned(),
            attributes,
            dropped_attributes_count: 0,
        }
    }

    fn link(&mut self) -> span::Link {
        span::Link {
            trace_id: vec![9; 16],
            span_id: self.random.bytes::<8>().to_vec(),
            attributes: vec![self.numbered()],
            ..span::Link::default()
        }
    }

    /// Attributes of a span or log record, each key once.
    fn attributes(&mut self) -> Vec<KeyValue> {
        let mut found = Vec::new();
        let mut maybe = |random: &mut Random, of: u64, make: &mut dyn FnMut(&mut Random) -> KeyValue| {
            if random.once_in(of) {
                found.push(make(random));
            }
        };
        let random = &mut self.random;
        maybe(random, 2, &mut |r| KeyValue::new("http.route", *r.pick(&["/buy", "/pay", "/item/{id}"])));
        maybe(random, 2, &mut status);
        maybe(random, 3, &mut |r| {
            KeyValue::new(*r.pick(&["http.method", "http.request.method"]), *r.pick(&["GET", "POST"]))
        });
        maybe(random, 2, &mut |r| KeyValue::new("mixed", mixed(r)));
        maybe(random, 3, &mut |r| KeyValue::new("amount", amount(r)));
        maybe(random, 4, &mut |r| KeyValue::new("flag", r.once_in(2)));
        maybe(random, 4, &mut |r| KeyValue::new("user", format!("user-{}", r.below(200))));
        maybe(random, 6, &mut |r| KeyValue::new("raw", r.bytes::<2>().to_vec()));
        maybe(random, 6, &mut |r| {
            KeyValue::new(
                "list",
                AnyValue::array([AnyValue::from(1_i64), AnyValue::from(*r.pick(&["a", "b"]))]),
            )
        });
        maybe(random, 5, &mut |r| KeyValue::new("nested", nested(r)));
        // Names that collide with fixed columns.
        maybe(random, 9, &mut |_| KeyValue::new("duration_ms", 7_i64));
        maybe(random, 9, &mut |_| KeyValue::new("name", "of the attribute"));
        maybe(random, 9, &mut |r| KeyValue::new("service.name", *r.pick(&["inner", "cart"])));
        maybe(random, 6, &mut |r| KeyValue::new("sampleRate", *r.pick(&[1_i64, 2, 10])));
        maybe(random, 12, &mut |_| KeyValue {
            key: "empty".to_owned(),
            value: Some(AnyValue::default()),
            key_strindex: 0,
        });
        maybe(random, 15, &mut |r| KeyValue::new(format!("rare.{}", r.below(30)), r.below(9).to_string()));
        found
    }

    fn logs(&mut self, count: u64) -> ExportLogsServiceRequest {
        let log_records = (0..count).map(|_| self.record()).collect();
        let scope_logs = vec![ScopeLogs { scope: self.scope(), log_records, schema_url: self.schema() }];
        let group = ResourceLogs { resource: self.resource(), scope_logs, schema_url: self.schema() };
        ExportLogsServiceRequest { resource_logs: vec![group] }
    }

    fn record(&mut self) -> LogRecord {
        let mut attributes = vec![self.numbered()];
        attributes.extend(self.attributes());
        let time = self.time();
        let (own, observed) = *self.random.pick(&[(time, 0), (time, time + 5), (0, time)]);
        let with_trace = self.random.once_in(2);
        let mut trace_id = vec![7_u8; 16];
        trace_id[15] = 3;
        trace_id[8..15].fill(0);
        LogRecord {
            time_unix_nano: own,
            observed_time_unix_nano: observed,
            severity_number: i32::try_from(self.random.below(25)).unwrap_or_default(),
            severity_text: (*self.random.pick(&["", "INFO", "Warn"])).to_owned(),
            body: self.body(),
            attributes,
            trace_id: if with_trace { trace_id } else { Vec::new() },
            span_id: if with_trace { self.random.bytes::<8>().to_vec() } else { Vec::new() },
            event_name: (*self.random.pick(&["", "", "click"])).to_owned(),
            ..LogRecord::default()
        }
    }

    fn body(&mut self) -> Option<AnyValue> {
        let random = &mut self.random;
        Some(match random.below(7) {
            0 => return None,
            1 => AnyValue::from(format!(
                r#"{{"order":{},"state":"{}","deep":{{"a":1.5}}}}"#,
                random.below(50),
                random.pick(&["new", "paid"])
            )),
            2 => AnyValue::from(r#"{"traceId":"1-5759e988-bd862e3fe1be46a994272793","level":"odd"}"#),
            3 => AnyValue::kvlist([KeyValue::new("order", mixed(random)), KeyValue::new("state", "kv")]),
            4 => AnyValue::from(i64::try_from(random.below(5)).unwrap_or_default()),
            _ => AnyValue::from(*random.pick(&["started", "time out after 3 s", "{not json", ""])),
        })
    }

    fn metrics(&mut self, count: u64) -> ExportMetricsServiceRequest {
        let time = self.time();
        let sequence: Vec<KeyValue> = (0..count).map(|_| self.numbered()).collect();
        let names = ["cpu.load", "memory.used", "queue.length"];
        let metrics = names.iter().map(|name| {
            let point = |number: &KeyValue| NumberDataPoint {
                time_unix_nano: time,
                attributes: vec![number.clone()],
                value: Some(if *name == "cpu.load" {
                    number_data_point::Value::AsDouble(0.25)
                } else {
                    number_data_point::Value::AsInt(3)
                }),
                ..NumberDataPoint::default()
            };
            let data = Some(metric::Data::Gauge(Gauge { data_points: sequence.iter().map(point).collect() }));
            Metric { name: (*name).to_owned(), data, ..Metric::default() }
        });
        let metrics = metrics.collect();
        let scope_metrics = vec![ScopeMetrics { scope: self.scope(), metrics, schema_url: self.schema() }];
        let group = ResourceMetrics { resource: self.resource(), scope_metrics, schema_url: self.schema() };
        ExportMetricsServiceRequest { resource_metrics: vec![group] }
    }
}

/// An HTTP status under its old or its new name, as a number or as text.
fn status(random: &mut Random) -> KeyValue {
    let name = *random.pick(&["http.status_code", "http.response.status_code"]);
    let code = *random.pick(&[200_i64, 200, 404, 500]);
    if random.once_in(3) { KeyValue::new(name, code.to_string()) } else { KeyValue::new(name, code) }
}

/// Values of every type whose canonical texts meet.
fn mixed(random: &mut Random) -> AnyValue {
    match random.below(14) {
        0 => AnyValue::from(500_i64),
        1 => AnyValue::from(500.0),
        2 => AnyValue::from("500"),
        3 => AnyValue::from(true),
        4 => AnyValue::from("true"),
        5 => AnyValue::from(-0.0),
        6 => AnyValue::from(0_i64),
        7 => AnyValue::from(f64::NAN),
        8 => AnyValue::from("NaN"),
        9 => AnyValue::from("x"),
        10 => AnyValue::from(vec![65, 66]),
        11 => AnyValue::from("QUI="),
        12 => AnyValue::array([AnyValue::from(1_i64)]),
        _ => AnyValue::from("1.5e3"),
    }
}

/// Numbers that are hard to add, compare and write.
fn amount(random: &mut Random) -> AnyValue {
    match random.below(12) {
        0 => AnyValue::from(i64::MAX),
        1 => AnyValue::from((1_i64 << 53) + 1),
        2 => AnyValue::from(i64::MIN),
        3 => AnyValue::from(f64::NAN),
        4 => AnyValue::from(0.1),
        5 => AnyValue::from("12"),
        6 => AnyValue::from("12 apples"),
        7 => AnyValue::from(-3.5),
        _ => AnyValue::from(i64::try_from(random.below(1_000)).unwrap_or_default() - 500),
    }
}

/// A list of lists, sometimes deeper than columns go.
fn nested(random: &mut Random) -> AnyValue {
    let mut value = AnyValue::from(i64::try_from(random.below(3)).unwrap_or_default());
    for depth in 0..1 + random.below(8) {
        value = AnyValue::kvlist([KeyValue::new(format!("d{depth}"), value)]);
    }
    value
}
