//! Random OTLP requests that try what is hard: mixed types under one name, names that collide with fixed
//! columns, old and new conventions side by side, keys that come twice, missing and empty values, text that is
//! not UTF-8, NaN, infinities, −0, integers past 2^53, arrays, bytes, nested lists, more columns than fit,
//! weights, times that cannot be, ids of wrong length, JSON bodies, metric points of every kind.
//!
//! Every event carries a number of its own as attribute [`SEQUENCE`], by which a raw row is found again.

mod logs;
mod metrics;
mod traces;
mod values;

use prost::Message as _;
use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::{InstrumentationScope, KeyValue};
use skein_otlp::json::ToJson as _;
use skein_otlp::resource::Resource;

use super::Random;
use crate::reference::flatten::{self, Flattened};

/// The attribute that numbers every event.
pub const SEQUENCE: &str = "test.seq";

/// The first second of the data, epoch; most of the data span [`SECONDS`] from here.
pub const START_S: i64 = 1_900_000_000;
/// The length of most of the data in seconds.
pub const SECONDS: i64 = 3_600;
/// When every request arrives: after all times that make sense, within a day.
pub const ARRIVAL_NS: i64 = (START_S + SECONDS + 60) * 1_000_000_000;

/// Two characters that no other text has. On the wire their six bytes become [`BAD_BYTES`], which are not
/// UTF-8: message types cannot hold such text.
pub const BAD_TEXT: &str = "\u{ffff}\u{ffff}";
const BAD_BYTES: [u8; 6] = [0xff, 0xfe, 0x80, 0xc3, 0x28, 0xff];

/// The bytes that a text has on the wire.
pub fn wire_bytes(text: &[u8]) -> Vec<u8> {
    let bad = BAD_TEXT.as_bytes();
    let mut bytes = text.to_vec();
    for place in 0..bytes.len().saturating_sub(bad.len() - 1) {
        if bytes[place..].starts_with(bad) {
            bytes[place..place + bad.len()].copy_from_slice(&BAD_BYTES);
        }
    }
    bytes
}

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
    /// Its events and how many of its records are refused, as the reference reads it.
    pub fn flattened(&self) -> Flattened {
        match self {
            Request::Traces(request) => flatten::spans(request, ARRIVAL_NS),
            Request::Logs(request) => flatten::logs(request, ARRIVAL_NS),
            Request::Metrics(request) => flatten::metrics(request, ARRIVAL_NS),
        }
    }

    /// Its protobuf.
    pub fn protobuf(&self) -> Vec<u8> {
        wire_bytes(&match self {
            Request::Traces(request) => request.encode_to_vec(),
            Request::Logs(request) => request.encode_to_vec(),
            Request::Metrics(request) => request.encode_to_vec(),
        })
    }

    /// Its JSON; `None` where it has text that JSON cannot hold.
    pub fn json(&self) -> Option<String> {
        let text = match self {
            Request::Traces(request) => request.to_json(),
            Request::Logs(request) => request.to_json(),
            Request::Metrics(request) => request.to_json(),
        };
        (!text.contains(BAD_TEXT)).then_some(text)
    }
}

/// Makes requests whose events number on from 1.
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

    /// A time; seldom one that makes no sense.
    fn time(&mut self) -> u64 {
        const DAY_NS: u64 = 86_400_000_000_000;
        const ARRIVAL: u64 = ARRIVAL_NS.unsigned_abs();
        if self.random.once_in(60) {
            let odd = [0, 1, ARRIVAL + DAY_NS, ARRIVAL + DAY_NS + 1, u64::MAX - 4, 1 << 63, (1 << 63) - 1];
            return *self.random.pick(&odd);
        }
        let seconds = START_S.unsigned_abs() + self.random.below(SECONDS.unsigned_abs());
        // Round times are common: they meet the edges of buckets and ranges, and each other.
        let nanos = if self.random.once_in(3) { 0 } else { self.random.below(1_000_000_000) };
        seconds * 1_000_000_000 + nanos
    }

    fn resource(&mut self) -> Option<Resource> {
        if self.random.once_in(12) {
            return None;
        }
        let random = &mut self.random;
        let mut attributes = Vec::new();
        if !random.once_in(8) {
            let names = ["cart", "pay", "ship", " mail ", "unknown_service:x", "", "caf\u{e9}"];
            attributes.push(match random.below(30) {
                0 => KeyValue::new("service.name", 5_i64),
                1 => KeyValue::new("service.name", format!("bad{BAD_TEXT}")),
                _ => KeyValue::new("service.name", *random.pick(&names)),
            });
        }
        if random.once_in(2) {
            attributes.push(KeyValue::new("deployment.environment", *random.pick(&["prod", "test"])));
        }
        if random.once_in(3) {
            attributes.push(KeyValue::new("host.cores", values::small(random, 4)));
        }
        if random.once_in(4) {
            // Hidden by the span's own attribute of this name, where it has one.
            attributes.push(KeyValue::new("http.route", "/resource"));
        }
        if random.once_in(6) {
            attributes.push(KeyValue::new("duration_ms", "of the resource"));
        }
        if random.once_in(6) {
            attributes.push(KeyValue::new("mixed", values::mixed(random)));
        }
        if random.once_in(8) {
            attributes.extend(values::twice(random));
        }
        if random.once_in(20) {
            attributes.push(KeyValue::new("sampleRate", values::rate(random)));
        }
        if random.once_in(10) {
            attributes.push(KeyValue::new("wide.2005", "of the resource"));
        }
        let dropped_attributes_count = u32::from(random.once_in(10)) * 3;
        Some(Resource { attributes, dropped_attributes_count, ..Resource::default() })
    }

    fn scope(&mut self) -> Option<InstrumentationScope> {
        if self.random.once_in(3) {
            return None;
        }
        let random = &mut self.random;
        let mut attributes = Vec::new();
        if random.once_in(4) {
            attributes.push(KeyValue::new("http.route", "/scope"));
        }
        if random.once_in(4) {
            attributes.push(KeyValue::new("team", *random.pick(&["red", "blue"])));
        }
        if random.once_in(8) {
            attributes.push(KeyValue::new("nested", values::nested(random)));
        }
        let name = (*random.pick(&["", "lib.http", "lib.db", &format!("lib{BAD_TEXT}")])).to_owned();
        let version = (*random.pick(&["", "1.0"])).to_owned();
        let dropped_attributes_count = u32::from(random.once_in(10));
        Some(InstrumentationScope { name, version, attributes, dropped_attributes_count })
    }

    fn schema(&mut self) -> String {
        (*self.random.pick(&["", "", "https://opentelemetry.io/schemas/1.44.0"])).to_owned()
    }
}
