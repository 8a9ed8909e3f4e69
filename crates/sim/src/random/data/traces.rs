//! Spans, their events and links.

use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::KeyValue;
use skein_otlp::trace::{ResourceSpans, ScopeSpans, Span, Status, span};

use super::super::Random;
use super::{BAD_TEXT, Generator, values};

/// Traces of a data set: few enough that they have several spans.
const TRACES: u64 = 40;

impl Generator {
    pub(super) fn traces(&mut self, count: u64) -> ExportTraceServiceRequest {
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
        let duration = match self.random.below(5) {
            0 => 0,
            1 => self.random.below(1_000),
            2 => 1_000_000 * self.random.below(100),
            _ => self.random.below(2_000_000_000),
        };
        let end = if self.random.once_in(30) {
            *self.random.pick(&[0, 1, start.wrapping_sub(1), u64::MAX])
        } else {
            start.saturating_add(duration)
        };
        let mut attributes = vec![self.numbered()];
        attributes.extend(values::attributes(&mut self.random));
        let events = (0..self.random.below(6).saturating_sub(3)).map(|_| self.annotation(start)).collect();
        let links = (0..self.random.below(6).saturating_sub(4)).map(|_| self.link()).collect();
        let states = ["", "", "", "ot=th:8", "ot=rv:0123456789abcd;th:c", "other=1, ot=th:fd70a4", "ot=th:x"];
        let random = &mut self.random;
        let bad_name = format!("bad{BAD_TEXT}");
        Span {
            trace_id: trace_id(random),
            span_id: span_id(random),
            parent_span_id: match random.below(9) {
                0..3 => Vec::new(),
                3 => vec![0; 8],
                _ => small_span_id(random),
            },
            trace_state: (*random.pick(&states)).to_owned(),
            name: (*random.pick(&["GET /buy", "POST /pay", "query", "\u{416}", "", &bad_name])).to_owned(),
            kind: *random.pick(&[0, 1, 2, 3, 4, 5, 6, -1]),
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes,
            dropped_attributes_count: u32::from(random.once_in(20)) * 2,
            events,
            dropped_events_count: u32::from(random.once_in(20)),
            links,
            dropped_links_count: u32::from(random.once_in(20)),
            status: match random.below(5) {
                0 => None,
                code => Some(Status {
                    code: if code == 4 { 77 } else { i32::try_from(code - 1).unwrap_or_default() },
                    message: (*random.pick(&["", "timeout"])).to_owned(),
                }),
            },
            flags: *random.pick(&[0, 1, 257, u32::MAX]),
        }
    }

    fn annotation(&mut self, start: u64) -> span::Event {
        let mut attributes = vec![self.numbered()];
        let random = &mut self.random;
        if random.once_in(2) {
            attributes.push(KeyValue::new("exception.type", *random.pick(&["Timeout", "Refused"])));
        }
        if random.once_in(4) {
            attributes.push(KeyValue::new("exception.message", values::mixed(random)));
        }
        if random.once_in(4) {
            attributes.push(KeyValue::new("exception.stacktrace", format!("at{BAD_TEXT}")));
        }
        let time = match random.below(12) {
            0 => 0,
            1 => start.saturating_sub(random.below(1_000_000_000)),
            _ => start.saturating_add(random.below(1_000_000_000)),
        };
        span::Event {
            time_unix_nano: time,
            name: (*random.pick(&["exception", "retry", ""])).to_owned(),
            attributes,
            dropped_attributes_count: u32::from(random.once_in(9)),
        }
    }

    fn link(&mut self) -> span::Link {
        let numbered = self.numbered();
        let random = &mut self.random;
        span::Link {
            trace_id: if random.once_in(3) { Vec::new() } else { vec![9; 16] },
            span_id: if random.once_in(3) { vec![0; 8] } else { random.bytes::<8>().to_vec() },
            trace_state: (*random.pick(&["", "a=b"])).to_owned(),
            attributes: vec![numbered],
            flags: *random.pick(&[0, 0x100]),
            ..span::Link::default()
        }
    }
}

/// One of few ids; seldom one of a wrong length or of zeros, with which a span is refused.
pub(super) fn trace_id(random: &mut Random) -> Vec<u8> {
    if random.once_in(80) {
        return (*random.pick(&[&[7_u8; 8][..], &[7; 15], &[7; 17], &[0; 16], &[]])).to_vec();
    }
    usual_trace_id(random.below(TRACES)).to_vec()
}

/// The id of a trace by its number.
pub(super) fn usual_trace_id(number: u64) -> [u8; 16] {
    let mut id = [7_u8; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

fn span_id(random: &mut Random) -> Vec<u8> {
    match random.below(160) {
        0 => (*random.pick(&[&[7_u8; 7][..], &[7; 9], &[0; 8], &[]])).to_vec(),
        // Parents exist, and some spans come twice.
        1..80 => small_span_id(random),
        _ => random.bytes::<8>().to_vec(),
    }
}

fn small_span_id(random: &mut Random) -> Vec<u8> {
    (1 + random.below(60)).to_be_bytes().to_vec()
}
