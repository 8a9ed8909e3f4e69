//! Spans, their events and their links.
//!
//! A span is one row, followed by one row per span event, then one per link. It is first inspected whole,
//! then written, so that a bad span leaves nothing behind.

mod message;

use skein_event::batch::Origin;
use skein_event::columns::Fixed;
use skein_event::limits::BATCH_ROWS_MAX;
use skein_event::rejection::ReasonCode;

use crate::attribute::{Attribute, Inspection, read_attribute};
use crate::context::{Context, Contexts};
use crate::door::WarningCode;
use crate::record_flags::PARENT_ID_ZERO;
use crate::request::{Place, RecordReader, has_room, reject, reject_for_context, reject_for_rows};
use crate::rows::Rows;
use crate::sampling_rate;
use crate::shape_path::Root;
use crate::times::{self, Filed};
use crate::wire::{Field, Malformed, Reader, as_i32, as_u32};
pub(crate) use message::invalid_id;
use message::{Annotation, Span, check_span, read_event, read_link, read_status};

/// What the rows of one span share.
struct Shared<'a> {
    place: Place,
    context: &'a Context,
    trace_id: [u8; 16],
    span_id: [u8; 8],
    name: &'a [u8],
    error: bool,
    rate: Option<f64>,
}

/// Reads spans.
#[derive(Debug, Default)]
pub(crate) struct SpanReader<'a> {
    pub(crate) records: u64,
    pub(crate) records_without_time: u64,
    attributes: Vec<Attribute<'a>>,
    annotation_attributes: Vec<Attribute<'a>>,
    events: Vec<&'a [u8]>,
    links: Vec<&'a [u8]>,
}

impl<'a> RecordReader<'a> for SpanReader<'a> {
    #[inline]
    fn read(
        &mut self,
        rows: &mut Rows,
        contexts: &Contexts,
        place: Place,
        record: &'a [u8],
    ) -> Result<(), Malformed> {
        let context = contexts.get(place.context);
        let mut inspection = Inspection::new();
        let span = self.inspect(record, &mut inspection)?;
        if let Some(problem) = &context.problem {
            reject_for_context(rows, &place, problem);
            return Ok(());
        }
        if let Some(problem) = &inspection.problem {
            reject(rows, &place, problem);
            return Ok(());
        }
        if !has_room(rows, 1 + self.events.len() + self.links.len()) {
            reject_for_rows(rows, &place);
            return Ok(());
        }
        self.records += 1;
        self.write(rows, place, context, &span, record.len())
    }
}

impl<'a> SpanReader<'a> {
    #[inline]
    fn inspect(&mut self, record: &'a [u8], inspection: &mut Inspection) -> Result<Span<'a>, Malformed> {
        self.attributes.clear();
        self.events.clear();
        self.links.clear();
        let mut span = Span::default();
        let mut reader = Reader::new(record);
        loop {
            while let Some(entry) = reader.short_field(ATTRIBUTE_TAG) {
                read_attribute(entry, &mut self.attributes, inspection)?;
            }
            let Some(field) = reader.next()? else { break };
            match field {
                (9, Field::Bytes(entry)) => read_attribute(entry, &mut self.attributes, inspection)?,
                (1, Field::Bytes(id)) => span.trace_id = id,
                (2, Field::Bytes(id)) => span.span_id = id,
                (3, Field::Bytes(text)) => span.trace_state = text,
                (4, Field::Bytes(id)) => span.parent_id = id,
                (5, Field::Bytes(text)) => span.name = text,
                (6, Field::Varint(kind)) => span.kind = as_i32(kind),
                (7, Field::Fixed64(time)) => span.start = time,
                (8, Field::Fixed64(time)) => span.end = time,
                (10, Field::Varint(count)) => span.dropped_attributes = as_u32(count),
                (11, Field::Bytes(event)) => self.inspect_event(event, &mut span, inspection)?,
                (12, Field::Varint(count)) => span.dropped_events = as_u32(count),
                (13, Field::Bytes(link)) => self.inspect_link(link, inspection)?,
                (14, Field::Varint(count)) => span.dropped_links = as_u32(count),
                (15, Field::Bytes(status)) => {
                    read_status(status, &mut span).map_err(|malformed| malformed.within("status"))?;
                }
                (16, Field::Fixed32(flags)) => span.flags = flags,
                (number, _) => reader.pass_unknown(number, 1..=16)?,
            }
        }
        check_span(&span, inspection);
        Ok(span)
    }

    fn inspect_event(
        &mut self,
        event: &'a [u8],
        span: &mut Span<'a>,
        inspection: &mut Inspection,
    ) -> Result<(), Malformed> {
        let index = self.events.len();
        let attributes = &mut self.annotation_attributes;
        inspection.inside(
            || format!("events[{index}]"),
            |inspection| {
                let fields = read_event(event, attributes, inspection)?;
                inspection.check_size("name", fields.name);
                if span.exception.is_none() && fields.name == b"exception" {
                    span.exception = Some(event);
                }
                Ok(())
            },
        )?;
        keep(&mut self.events, event, inspection);
        Ok(())
    }

    fn inspect_link(&mut self, link: &'a [u8], inspection: &mut Inspection) -> Result<(), Malformed> {
        let index = self.links.len();
        let attributes = &mut self.annotation_attributes;
        inspection.inside(
            || format!("links[{index}]"),
            |inspection| {
                let fields = read_link(link, attributes, inspection)?;
                inspection.check_size("traceState", fields.trace_state);
                // A link to an all-zero or absent context is allowed: its attributes may matter.
                if !matches!(fields.trace_id.len(), 0 | 16) {
                    invalid_id(inspection, ReasonCode::InvalidTraceId, "traceId", fields.trace_id, 16);
                }
                if !matches!(fields.span_id.len(), 0 | 8) {
                    invalid_id(inspection, ReasonCode::InvalidSpanId, "spanId", fields.span_id, 8);
                }
                Ok(())
            },
        )?;
        keep(&mut self.links, link, inspection);
        Ok(())
    }

    /// Writes an inspected span: its row, its events' rows, its links' rows.
    fn write(
        &mut self,
        rows: &mut Rows,
        place: Place,
        context: &Context,
        span: &Span<'a>,
        record_bytes: usize,
    ) -> Result<(), Malformed> {
        let (Ok(trace_id), Ok(span_id)) = (span.trace_id.try_into(), span.span_id.try_into()) else {
            return Ok(()); // excluded by the inspection
        };
        let shared = Shared {
            place,
            context,
            trace_id,
            span_id,
            name: span.name,
            error: span.has_status && span.status_code == STATUS_ERROR,
            rate: self.rate(span, context),
        };
        let filed = times::file(span.start, 0, rows.arrival_ns);
        if span.start == 0 {
            self.records_without_time += 1;
        }
        let row = rows.begin(&filed, context.id, record_bytes);
        rows.fixed_trace_id(row, Fixed::TraceId, shared.trace_id);
        rows.fixed_span_id(row, Fixed::SpanId, shared.span_id);
        write_parent(rows, row, span.parent_id);
        rows.fixed_text(row, Fixed::Name, span.name);
        write_kind(rows, row, span.kind);
        write_duration(rows, row, span, &place);
        write_status(rows, row, span);
        rows.fixed_i64(row, Fixed::NumEvents, count(self.events.len()));
        rows.fixed_i64(row, Fixed::NumLinks, count(self.links.len()));
        rows.fixed_text(row, Fixed::TraceState, span.trace_state);
        rows.fixed_nonzero(row, Fixed::TraceFlags, i64::from(span.flags));
        rows.fixed_nonzero(row, Fixed::DroppedAttributes, i64::from(span.dropped_attributes));
        rows.fixed_nonzero(row, Fixed::DroppedEvents, i64::from(span.dropped_events));
        rows.fixed_nonzero(row, Fixed::DroppedLinks, i64::from(span.dropped_links));
        shared.write(rows, row);
        rows.attributes(row, Root::Span, &self.attributes);
        rows.finish_list(row);
        if let Some(exception) = span.exception {
            self.copy_exception(rows, row, exception)?;
        }
        rows.end(row, &context.rest, || place.to_string());
        if filed.out_of_range {
            rows.warn(WarningCode::TimeOutOfRange, || place.to_string());
        }
        if !self.events.is_empty() || !self.links.is_empty() {
            self.write_annotations(rows, &shared, span, &filed)?;
        }
        Ok(())
    }

    fn rate(&self, span: &Span<'a>, context: &Context) -> Option<f64> {
        let has_rate = self.attributes.iter().any(|attribute| sampling_rate::is_rate_key(attribute.key));
        let own = if has_rate {
            sampling_rate::from_attributes(self.attributes.iter().map(|a| (a.key, a.value)))
        } else {
            None
        };
        let from_state = || match span.trace_state {
            [] => None,
            state => sampling_rate::from_trace_state(state),
        };
        own.or(context.rate).or_else(from_state)
    }

    /// `exception.*` of the first exception event, for queries on the span itself, unless it has its own.
    #[cold]
    fn copy_exception(&mut self, rows: &mut Rows, row: u32, event: &'a [u8]) -> Result<(), Malformed> {
        read_event(event, &mut self.annotation_attributes, &mut Inspection::new())?;
        for name in EXCEPTION_NAMES {
            let is_it = |attribute: &&Attribute<'_>| attribute.key == name.as_bytes();
            if self.attributes.iter().any(|own| is_it(&own)) {
                continue;
            }
            if let Some(attribute) = self.annotation_attributes.iter().find(is_it) {
                rows.derived(row, Origin::Derived, attribute.key, attribute.value, attribute.message);
            }
        }
        Ok(())
    }

    fn write_annotations(
        &mut self,
        rows: &mut Rows,
        shared: &Shared<'_>,
        span: &Span<'a>,
        span_filed: &Filed,
    ) -> Result<(), Malformed> {
        for &event in &self.events {
            let fields = read_event(event, &mut self.annotation_attributes, &mut Inspection::new())?;
            let filed = times::file(fields.time, 0, rows.arrival_ns);
            let row = shared.begin(rows, &filed, event.len());
            rows.fixed_bytes(row, Fixed::AnnotationType, b"span_event");
            rows.fixed_text(row, Fixed::Name, fields.name);
            let times = (i64::try_from(fields.time), i64::try_from(span.start));
            if let (Ok(time @ 1..), Ok(start @ 1..)) = times {
                rows.fixed_i64(row, Fixed::SinceSpanStart, time - start);
            }
            shared.finish(rows, row, Root::SpanEvent, &fields, &self.annotation_attributes);
        }
        for &link in &self.links {
            let fields = read_link(link, &mut self.annotation_attributes, &mut Inspection::new())?;
            // A link has no time: it is filed with its span.
            let row = shared.begin(rows, &Filed { source: None, raw: None, ..*span_filed }, link.len());
            rows.fixed_bytes(row, Fixed::AnnotationType, b"link");
            if let Ok(id) = fields.trace_id.try_into() {
                rows.fixed_trace_id(row, Fixed::LinkTraceId, id);
            }
            if let Ok(id) = fields.span_id.try_into() {
                rows.fixed_span_id(row, Fixed::LinkSpanId, id);
            }
            rows.fixed_text(row, Fixed::TraceState, fields.trace_state);
            rows.fixed_nonzero(row, Fixed::TraceFlags, i64::from(fields.flags));
            shared.finish(rows, row, Root::Link, &fields, &self.annotation_attributes);
        }
        Ok(())
    }
}

impl Shared<'_> {
    /// What every row of the span has.
    #[inline]
    fn write(&self, rows: &mut Rows, row: u32) {
        if self.error {
            rows.fixed_true(row, Fixed::Error);
        }
        if let Some(rate) = self.rate {
            rows.fixed_f64(row, Fixed::SampleRate, rate);
            rows.fixed_bytes(row, Fixed::SamplingUnit, b"trace");
            rows.fixed_bytes(row, Fixed::SamplingInclusion, b"probability");
        }
    }

    /// Opens the row of an event or link.
    fn begin(&self, rows: &mut Rows, filed: &Filed, record_bytes: usize) -> u32 {
        let row = rows.begin(filed, self.context.id, record_bytes);
        rows.fixed_trace_id(row, Fixed::TraceId, self.trace_id);
        rows.fixed_span_id(row, Fixed::ParentId, self.span_id);
        rows.fixed_text(row, Fixed::ParentName, self.name);
        self.write(rows, row);
        row
    }

    fn finish(
        &self,
        rows: &mut Rows,
        row: u32,
        root: Root,
        fields: &Annotation<'_>,
        attributes: &[Attribute<'_>],
    ) {
        rows.fixed_nonzero(row, Fixed::DroppedAttributes, i64::from(fields.dropped_attributes));
        rows.attributes(row, root, attributes);
        rows.finish_list(row);
        rows.end(row, &self.context.rest, || self.place.to_string());
    }
}

const STATUS_ERROR: i32 = 2;

/// What is copied from a span's first exception event.
const EXCEPTION_NAMES: [&str; 4] =
    ["exception.type", "exception.message", "exception.stacktrace", "exception.escaped"];

/// Tag byte of `Span.attributes`.
const ATTRIBUTE_TAG: u8 = 9 << 3 | 2;

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Keeps an event or link to be written, up to the limit of a batch: the span is rejected beyond it.
fn keep<'a>(list: &mut Vec<&'a [u8]>, message: &'a [u8], inspection: &mut Inspection) {
    if list.len() >= BATCH_ROWS_MAX {
        inspection.refuse(ReasonCode::TooLarge, "", format!("more than {BATCH_ROWS_MAX} events or links"));
    } else {
        list.push(message);
    }
}

fn write_parent(rows: &mut Rows, row: u32, parent_id: &[u8]) {
    let Ok(id) = <[u8; 8]>::try_from(parent_id) else { return };
    if id == [0; 8] {
        rows.fixed_i64(row, Fixed::RecordFlags, PARENT_ID_ZERO);
    } else {
        rows.fixed_span_id(row, Fixed::ParentId, id);
    }
}

fn write_kind(rows: &mut Rows, row: u32, kind: i32) {
    let word: &[u8] = match kind {
        0 => b"unspecified",
        1 => b"internal",
        2 => b"server",
        3 => b"client",
        4 => b"producer",
        5 => b"consumer",
        other => return rows.fixed_bytes(row, Fixed::SpanKind, other.to_string().as_bytes()),
    };
    rows.fixed_bytes(row, Fixed::SpanKind, word);
}

#[inline]
fn write_duration(rows: &mut Rows, row: u32, span: &Span<'_>, place: &Place) {
    match times::duration(span.start, span.end) {
        Ok(duration) => rows.fixed_i64(row, Fixed::Duration, duration),
        Err(shown) => {
            rows.fixed_i64(row, Fixed::Duration, shown);
            rows.fixed_true(row, Fixed::InvalidDuration);
            rows.fixed_bytes(row, Fixed::EndTimeRaw, span.end.to_string().as_bytes());
            rows.warn(WarningCode::InvalidDuration, || place.to_string());
        }
    }
}

fn write_status(rows: &mut Rows, row: u32, span: &Span<'_>) {
    if span.has_status {
        rows.fixed_i64(row, Fixed::StatusCode, i64::from(span.status_code));
        rows.fixed_text(row, Fixed::StatusMessage, span.status_message);
    }
}
