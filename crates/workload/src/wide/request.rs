//! One request under construction: traces through the services, their spans, exceptions and log records.

use super::column::{Event, PATHS, Pen, Subject, USERS};
use super::draw::{Draw, mix};
use super::schema::{GROUPS, Operation, Slot};
use super::write::{Attributes, bytes_field, fixed64_field, varint_field};
use super::{Wide, WideRequest, trace_id};
use crate::export::unsigned;
use crate::random::to_ns;

/// Spans of an ordinary trace.
const TRACE_SPANS: usize = 10;

/// A request under construction: records in groups of one resource each.
pub(super) struct Request<'a> {
    wide: &'a Wide,
    /// When its time begins, and how long it is.
    start_ns: i64,
    width_ns: f64,
    rows: usize,
    pods: Vec<usize>,
    spans: Vec<Vec<u8>>,
    logs: Vec<Vec<u8>>,
    counts: WideRequest,
    record: Vec<u8>,
    nested: Vec<u8>,
    text: Vec<u8>,
    exception: [Vec<u8>; 3],
}

/// Where a trace stands.
#[derive(Clone)]
struct Placed {
    service: usize,
    span_id: u64,
    parent_id: Option<u64>,
    start_ns: i64,
    duration_ns: i64,
}

impl<'a> Request<'a> {
    pub(super) fn new(wide: &'a Wide, index: usize, draw: &mut Draw) -> Request<'a> {
        let config = &wide.config;
        let services = &wide.schema.services;
        let width_ns = config.duration_ns as f64 / wide.requests() as f64;
        Request {
            wide,
            start_ns: config.start_ns + to_ns(width_ns * index as f64),
            width_ns,
            rows: wide.per_request().min(config.rows.saturating_sub(index * wide.per_request())),
            // One pod of each service, as an agent on a node sees them.
            pods: services.iter().map(|service| draw.below(service.resources.len())).collect(),
            spans: vec![Vec::new(); services.len()],
            logs: vec![Vec::new(); services.len()],
            counts: WideRequest::default(),
            record: Vec::new(),
            nested: Vec::new(),
            text: Vec::new(),
            exception: [Vec::new(), Vec::new(), Vec::new()],
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.counts.rows() < self.rows
    }

    fn subject(&self, draw: &mut Draw) -> Subject {
        Subject {
            user: self.wide.curves.skewed(draw, USERS),
            session: draw.bits(),
            path: self.wide.curves.skewed(draw, PATHS),
        }
    }

    /// A trace of ten spans, or of what there is room for. Returns its id.
    pub(super) fn trace(&mut self, draw: &mut Draw) -> [u8; 16] {
        let id = trace_id(draw);
        let subject = self.subject(draw);
        let services = self.wide.schema.services.len();
        let begin_ns = self.start_ns + to_ns(draw.unit() * self.width_ns);
        let mut placed: Vec<Placed> = Vec::with_capacity(TRACE_SPANS);
        while placed.len() < TRACE_SPANS && self.has_room() {
            let parent = match placed.len() {
                0 => None,
                count if draw.chance(0.5) => placed.get(count - 1),
                count => placed.get(draw.below(count)),
            };
            let service = match parent {
                None => draw.below(services),
                Some(parent) if draw.chance(0.35) => parent.service,
                Some(parent) => {
                    let calls = &self.wide.schema.services[parent.service].calls;
                    calls[draw.below(calls.len())]
                }
            };
            let span = self.span(&id, service, parent, begin_ns, subject, draw);
            placed.push(span);
        }
        id
    }

    /// Spans of a trace that goes through many requests, all children of one root.
    pub(super) fn long_trace(&mut self, place: usize, draw: &mut Draw) {
        let id = self.wide.long_trace_id(place);
        let service = mix(unsigned(place)) % unsigned(self.wide.schema.services.len());
        let root = Placed {
            service: usize::try_from(service).unwrap_or(0),
            span_id: mix(unsigned(place)) | 1,
            parent_id: None,
            start_ns: self.start_ns,
            duration_ns: to_ns(self.width_ns),
        };
        let subject = self.subject(draw);
        while self.counts.spans < self.rows / 2 && self.has_room() {
            self.span(&id, root.service, Some(&root), self.start_ns, subject, draw);
        }
    }

    /// Writes a span, its exception if it has one, and its log record if it has one.
    fn span(
        &mut self,
        trace_id: &[u8; 16],
        service: usize,
        parent: Option<&Placed>,
        begin_ns: i64,
        subject: Subject,
        draw: &mut Draw,
    ) -> Placed {
        let wide = self.wide;
        let operations = &wide.schema.services[service].operations;
        let operation = &operations[wide.curves.skewed(draw, operations.len())];
        let own_ns = wide.curves.long_tail(draw, operation.duration_mean_ns);
        let (start_ns, duration_ns) = match parent {
            None => (begin_ns, own_ns * 4.0),
            Some(parent) => {
                let offset = draw.unit() * 0.6 * parent.duration_ns as f64;
                (parent.start_ns + to_ns(offset), own_ns.min(parent.duration_ns as f64 - offset))
            }
        };
        let placed = Placed {
            service,
            span_id: draw.bits() | 1,
            parent_id: parent.map(|parent| parent.span_id),
            start_ns,
            duration_ns: to_ns(duration_ns).max(1_000),
        };
        let event = Event {
            subject,
            operation: mix(operation.number),
            failed: draw.chance(0.015),
            time_ns: placed.start_ns,
            duration_ns: placed.duration_ns,
        };
        let is_client = parent.is_some_and(|parent| parent.service == service);
        self.write_span(trace_id, &placed, operation, &event, if is_client { 3 } else { 2 }, draw);
        if self.has_room() && (event.failed || draw.chance(0.16)) {
            self.write_log(trace_id, &placed, operation, &event, draw);
        }
        placed
    }

    fn write_span(
        &mut self,
        trace_id: &[u8; 16],
        placed: &Placed,
        operation: &Operation,
        event: &Event,
        kind: u64,
        draw: &mut Draw,
    ) {
        let mut out = std::mem::take(&mut self.record);
        out.clear();
        bytes_field(&mut out, 1, trace_id);
        bytes_field(&mut out, 2, &placed.span_id.to_be_bytes());
        if let Some(parent_id) = placed.parent_id {
            bytes_field(&mut out, 4, &parent_id.to_be_bytes());
        }
        bytes_field(&mut out, 5, operation.name.as_bytes());
        varint_field(&mut out, 6, kind);
        fixed64_field(&mut out, 7, placed.start_ns.cast_unsigned());
        fixed64_field(&mut out, 8, (placed.start_ns + placed.duration_ns).cast_unsigned());
        self.attributes(&operation.span, event, 9, &mut out, draw);
        self.counts.spans += 1;
        if event.failed {
            if self.has_room() {
                self.write_exception(event, &mut out, draw);
            }
            self.nested.clear();
            bytes_field(&mut self.nested, 2, b"upstream failed");
            varint_field(&mut self.nested, 3, 2);
            bytes_field(&mut out, 15, &self.nested);
        }
        bytes_field(&mut self.spans[placed.service], 2, &out);
        self.record = out;
    }

    fn write_exception(&mut self, event: &Event, out: &mut Vec<u8>, draw: &mut Draw) {
        self.wide.schema.texts.exception(event, draw, &mut self.exception);
        self.nested.clear();
        fixed64_field(&mut self.nested, 1, (event.time_ns + event.duration_ns / 2).cast_unsigned());
        bytes_field(&mut self.nested, 2, b"exception");
        let mut attributes = Attributes { out: &mut self.nested, field: 3, count: 0 };
        for (key, text) in self.wide.schema.exception_keys.iter().zip(&self.exception) {
            attributes.text(key, text);
        }
        bytes_field(out, 11, &self.nested);
        self.counts.span_events += 1;
    }

    fn write_log(
        &mut self,
        trace_id: &[u8; 16],
        placed: &Placed,
        operation: &Operation,
        event: &Event,
        draw: &mut Draw,
    ) {
        let mut out = std::mem::take(&mut self.record);
        out.clear();
        let time_ns = placed.start_ns + to_ns(draw.unit() * placed.duration_ns as f64);
        let (severity, name): (u64, &[u8]) = match (event.failed, draw.below(10)) {
            (true, _) => (17, b"ERROR"),
            (false, 0) => (13, b"WARN"),
            (false, 1 | 2) => (5, b"DEBUG"),
            _ => (9, b"INFO"),
        };
        fixed64_field(&mut out, 1, time_ns.cast_unsigned());
        varint_field(&mut out, 2, severity);
        bytes_field(&mut out, 3, name);
        self.text.clear();
        self.wide.schema.texts.message(event, draw, &mut self.text);
        self.nested.clear();
        bytes_field(&mut self.nested, 1, &self.text);
        bytes_field(&mut out, 5, &self.nested);
        self.attributes(&operation.log, event, 6, &mut out, draw);
        bytes_field(&mut out, 9, trace_id);
        bytes_field(&mut out, 10, &placed.span_id.to_be_bytes());
        bytes_field(&mut self.logs[placed.service], 2, &out);
        self.counts.log_records += 1;
        self.record = out;
    }

    /// The attributes of an event: all that its operation always has, and those of the groups that are there.
    fn attributes(&mut self, slots: &[Slot], event: &Event, field: u8, out: &mut Vec<u8>, draw: &mut Draw) {
        let there = GROUPS.map(|probability| draw.chance(probability));
        let schema = &self.wide.schema;
        let mut pen = Pen { draw, curves: &self.wide.curves, texts: &schema.texts, text: &mut self.text };
        let mut attributes = Attributes { out, field, count: 0 };
        for slot in slots {
            if slot.group.is_none_or(|group| there[group]) {
                schema.columns[slot.column].write(event, &mut pen, &mut attributes);
            }
        }
    }

    pub(super) fn finish(self) -> WideRequest {
        let Request { wide, pods, spans, logs, counts, .. } = self;
        let services = &wide.schema.services;
        let body = |records: &[Vec<u8>]| {
            let mut body = Vec::with_capacity(records.iter().map(|records| records.len() + 1_024).sum());
            let (mut group, mut scope) = (Vec::new(), Vec::new());
            for ((records, service), &pod) in records.iter().zip(services).zip(&pods) {
                if records.is_empty() {
                    continue;
                }
                scope.clear();
                bytes_field(&mut scope, 1, &service.scope);
                scope.extend_from_slice(records);
                group.clear();
                bytes_field(&mut group, 1, &service.resources[pod]);
                bytes_field(&mut group, 2, &scope);
                bytes_field(&mut body, 1, &group);
            }
            body
        };
        WideRequest { traces: body(&spans), logs: body(&logs), ..counts }
    }
}
