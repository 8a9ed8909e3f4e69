//! The messages of a span: what their fields say, borrowed from the body.

use skein_event::rejection::ReasonCode;

use crate::attribute::{Attribute, Inspection, read_attribute};
use crate::wire::{Field, Malformed, Reader, as_i32, as_u32};

/// What a span's own fields say, borrowed from the body.
#[derive(Debug, Default)]
pub(super) struct Span<'a> {
    pub(super) trace_id: &'a [u8],
    pub(super) span_id: &'a [u8],
    pub(super) parent_id: &'a [u8],
    pub(super) trace_state: &'a [u8],
    pub(super) name: &'a [u8],
    pub(super) kind: i32,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) flags: u32,
    pub(super) dropped_attributes: u32,
    pub(super) dropped_events: u32,
    pub(super) dropped_links: u32,
    pub(super) has_status: bool,
    pub(super) status_code: i32,
    pub(super) status_message: &'a [u8],
    /// The first event named `exception`.
    pub(super) exception: Option<&'a [u8]>,
}

/// What a span event or a link says.
#[derive(Debug, Default)]
pub(super) struct Annotation<'a> {
    pub(super) time: u64,
    pub(super) name: &'a [u8],
    pub(super) trace_id: &'a [u8],
    pub(super) span_id: &'a [u8],
    pub(super) trace_state: &'a [u8],
    pub(super) flags: u32,
    pub(super) dropped_attributes: u32,
}

pub(super) fn read_status<'a>(message: &'a [u8], span: &mut Span<'a>) -> Result<(), Malformed> {
    span.has_status = true;
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (2, Field::Bytes(text)) => span.status_message = text,
            (3, Field::Varint(code)) => span.status_code = as_i32(code),
            (number, _) => reader.pass_unknown(number, 2..=3)?,
        }
    }
    Ok(())
}

pub(super) fn read_event<'a>(
    message: &'a [u8],
    attributes: &mut Vec<Attribute<'a>>,
    inspection: &mut Inspection,
) -> Result<Annotation<'a>, Malformed> {
    attributes.clear();
    let mut event = Annotation::default();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Fixed64(time)) => event.time = time,
            (2, Field::Bytes(text)) => event.name = text,
            (3, Field::Bytes(entry)) => read_attribute(entry, attributes, inspection)?,
            (4, Field::Varint(count)) => event.dropped_attributes = as_u32(count),
            (number, _) => reader.pass_unknown(number, 1..=4)?,
        }
    }
    Ok(event)
}

pub(super) fn read_link<'a>(
    message: &'a [u8],
    attributes: &mut Vec<Attribute<'a>>,
    inspection: &mut Inspection,
) -> Result<Annotation<'a>, Malformed> {
    attributes.clear();
    let mut link = Annotation::default();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(id)) => link.trace_id = id,
            (2, Field::Bytes(id)) => link.span_id = id,
            (3, Field::Bytes(text)) => link.trace_state = text,
            (4, Field::Bytes(entry)) => read_attribute(entry, attributes, inspection)?,
            (5, Field::Varint(count)) => link.dropped_attributes = as_u32(count),
            (6, Field::Fixed32(flags)) => link.flags = flags,
            (number, _) => reader.pass_unknown(number, 1..=6)?,
        }
    }
    Ok(link)
}

/// Refuses what no span may be: ids that are none, text beyond the limit.
#[inline]
pub(super) fn check_span(span: &Span<'_>, inspection: &mut Inspection) {
    if span.trace_id.len() != 16 || span.trace_id == [0; 16] {
        invalid_id(inspection, ReasonCode::InvalidTraceId, "traceId", span.trace_id, 16);
    }
    if span.span_id.len() != 8 || span.span_id == [0; 8] {
        invalid_id(inspection, ReasonCode::InvalidSpanId, "spanId", span.span_id, 8);
    }
    if !matches!(span.parent_id.len(), 0 | 8) {
        invalid_id(inspection, ReasonCode::InvalidSpanId, "parentSpanId", span.parent_id, 8);
    }
    inspection.check_size("name", span.name);
    inspection.check_size("traceState", span.trace_state);
    inspection.check_size("status.message", span.status_message);
}

/// Refuses an id that is empty, all zero, or of another length.
#[cold]
pub(crate) fn invalid_id(
    inspection: &mut Inspection,
    reason: ReasonCode,
    path: &'static str,
    id: &[u8],
    expected: usize,
) {
    let message = match id.len() {
        0 => "is missing".to_owned(),
        length if length == expected => "is all zero".to_owned(),
        length => format!("has {length} bytes instead of {expected}"),
    };
    inspection.refuse(reason, path, message);
}
