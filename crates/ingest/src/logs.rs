//! Log records: one row each.

use skein_event::columns::Fixed;
use skein_event::rejection::ReasonCode;

use crate::attribute::{
    Attribute, Inspection, Value, inspect_value, is_all_utf8, read_attribute, read_value,
};
use crate::body;
use crate::context::{Context, Contexts};
use crate::door::WarningCode;
use crate::record_flags::{SPAN_ID_ZERO, TRACE_ID_DERIVED, TRACE_ID_ZERO};
use crate::request::{Place, RecordReader, has_room, reject, reject_for_context, reject_for_rows};
use crate::rows::Rows;
use crate::sampling_rate;
use crate::shape_path::Root;
use crate::times;
use crate::trace_id::Candidates;
use crate::traces::invalid_id;
use crate::wire::{Field, Malformed, Reader, SEVERAL_PIECES, as_i32, as_u32, is_utf8};

/// What a record's own fields say, borrowed from the body.
#[derive(Debug, Default)]
struct Record<'a> {
    time: u64,
    observed: u64,
    severity_number: i32,
    severity_text: &'a [u8],
    /// The `AnyValue` message of its body.
    body: Option<&'a [u8]>,
    dropped_attributes: u32,
    flags: u32,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: &'a [u8],
}

/// Reads log records.
#[derive(Debug, Default)]
pub(crate) struct LogReader<'a> {
    pub(crate) records: u64,
    pub(crate) records_without_time: u64,
    attributes: Vec<Attribute<'a>>,
}

impl<'a> RecordReader<'a> for LogReader<'a> {
    fn read(
        &mut self,
        rows: &mut Rows,
        contexts: &Contexts,
        place: Place,
        message: &'a [u8],
    ) -> Result<(), Malformed> {
        let context = contexts.get(place.context);
        let mut inspection = Inspection::new();
        let record = self.inspect(message, &mut inspection)?;
        if let Some(problem) = &context.problem {
            reject_for_context(rows, &place, problem);
        } else if let Some(problem) = &inspection.problem {
            reject(rows, &place, problem);
        } else if !has_room(rows, 1) {
            reject_for_rows(rows, &place);
        } else {
            self.records += 1;
            self.write(rows, place, context, &record, message.len())?;
        }
        Ok(())
    }
}

impl<'a> LogReader<'a> {
    fn inspect(&mut self, message: &'a [u8], inspection: &mut Inspection) -> Result<Record<'a>, Malformed> {
        self.attributes.clear();
        let mut record = Record::default();
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            match field {
                (6, Field::Bytes(entry)) => read_attribute(entry, &mut self.attributes, inspection)?,
                (1, Field::Fixed64(time)) => record.time = time,
                (11, Field::Fixed64(time)) => record.observed = time,
                (2, Field::Varint(number)) => record.severity_number = as_i32(number),
                (3, Field::Bytes(text)) => record.severity_text = text,
                (5, Field::Bytes(body)) if record.body.is_some() => {
                    return Err(Malformed::at(body, SEVERAL_PIECES));
                }
                (5, Field::Bytes(body)) => {
                    inspect_body(body, inspection).map_err(|malformed| malformed.within("body"))?;
                    record.body = Some(body);
                }
                (7, Field::Varint(count)) => record.dropped_attributes = as_u32(count),
                (8, Field::Fixed32(flags)) => record.flags = flags,
                (9, Field::Bytes(id)) => record.trace_id = id,
                (10, Field::Bytes(id)) => record.span_id = id,
                (12, Field::Bytes(name)) => record.event_name = name,
                (4, _) => {} // a field of old drafts, reserved since
                (number, _) => reader.pass_unknown(number, 1..=12)?,
            }
        }
        if !matches!(record.trace_id.len(), 0 | 16) {
            invalid_id(inspection, ReasonCode::InvalidTraceId, "traceId", record.trace_id, 16);
        }
        if !matches!(record.span_id.len(), 0 | 8) {
            invalid_id(inspection, ReasonCode::InvalidSpanId, "spanId", record.span_id, 8);
        }
        inspection.check_size("severityText", record.severity_text);
        inspection.check_size("eventName", record.event_name);
        Ok(record)
    }

    fn write(
        &mut self,
        rows: &mut Rows,
        place: Place,
        context: &Context,
        record: &Record<'a>,
        record_bytes: usize,
    ) -> Result<(), Malformed> {
        let filed = times::file(record.time, record.observed, rows.arrival_ns);
        if record.time == 0 && record.observed == 0 {
            self.records_without_time += 1;
        }
        let row = rows.begin(&filed, context.id, record_bytes);
        if filed.out_of_range {
            rows.warn(WarningCode::TimeOutOfRange, || place.to_string());
        }
        rows.fixed_bytes(row, Fixed::Severity, severity(record.severity_number));
        rows.fixed_nonzero(row, Fixed::SeverityCode, i64::from(record.severity_number));
        rows.fixed_text(row, Fixed::SeverityText, record.severity_text);
        rows.fixed_text(row, Fixed::EventName, record.event_name);
        rows.fixed_nonzero(row, Fixed::ObservedTime, record.observed.cast_signed());
        rows.fixed_nonzero(row, Fixed::TraceFlags, i64::from(record.flags));
        rows.fixed_nonzero(row, Fixed::DroppedAttributes, i64::from(record.dropped_attributes));
        let own = sampling_rate::from_attributes(self.attributes.iter().map(|a| (a.key, a.value)));
        if let Some(rate) = own.or(context.rate) {
            rows.fixed_f64(row, Fixed::SampleRate, rate);
            rows.fixed_bytes(row, Fixed::SamplingUnit, b"event");
            rows.fixed_bytes(row, Fixed::SamplingInclusion, b"probability");
        }
        rows.attributes(row, Root::Log, &self.attributes);
        rows.finish_list(row);
        let mut candidates = Candidates::default();
        for attribute in &self.attributes {
            candidates.offer(attribute.key, attribute.value);
        }
        let mut in_body = Candidates::default();
        if let Some(message) = record.body {
            write_body(rows, row, message, &mut in_body)?;
        }
        write_ids(rows, row, record, candidates.best().or(in_body.best()));
        rows.end(row, &context.rest, || place.to_string());
        Ok(())
    }
}

/// A body is one value: a kvlist is kept whole beside its columns.
fn inspect_body(message: &[u8], inspection: &mut Inspection) -> Result<(), Malformed> {
    inspection.inside(
        || "body".to_owned(),
        |inspection| inspect_value(read_value(message)?, message, 0, 0, inspection),
    )
}

fn write_body(
    rows: &mut Rows,
    row: u32,
    message: &[u8],
    candidates: &mut Candidates,
) -> Result<(), Malformed> {
    let value = read_value(message)?;
    match value {
        Value::Text(text) if is_utf8(text) => {
            // Empty text is a body all the same.
            rows.fixed_bytes(row, Fixed::Body, text);
            if let Some(object) = body::parse_object(text) {
                body::write_object(rows, row, &object, candidates);
            }
        }
        Value::Text(text) => rows.invalid_fixed_text(row, Fixed::Body, text),
        _ => {
            rows.fixed_bytes(row, Fixed::BodyValue, message);
            if !is_all_utf8(value) {
                rows.mark_invalid_text();
            }
            if let Value::Map(map) = value {
                body::write_kvlist(rows, row, map, candidates)?;
            }
        }
    }
    Ok(())
}

/// The ids of the record, else the trace id found in it. All-zero ids are none.
fn write_ids(rows: &mut Rows, row: u32, record: &Record<'_>, found: Option<[u8; 16]>) {
    let mut flags = 0;
    let own = <[u8; 16]>::try_from(record.trace_id).ok();
    match own.filter(|id| *id != [0; 16]) {
        Some(id) => rows.fixed_trace_id(row, Fixed::TraceId, id),
        None => {
            if own.is_some() {
                flags |= TRACE_ID_ZERO;
            }
            if let Some(id) = found {
                flags |= TRACE_ID_DERIVED;
                rows.fixed_trace_id(row, Fixed::TraceId, id);
            }
        }
    }
    match <[u8; 8]>::try_from(record.span_id) {
        Ok(id) if id != [0; 8] => rows.fixed_span_id(row, Fixed::SpanId, id),
        Ok(_) => flags |= SPAN_ID_ZERO,
        Err(_) => {}
    }
    rows.fixed_nonzero(row, Fixed::RecordFlags, flags);
}

/// The group of a severity number.
fn severity(number: i32) -> &'static [u8] {
    match number {
        1..=4 => b"trace",
        5..=8 => b"debug",
        9..=12 => b"info",
        13..=16 => b"warn",
        17..=20 => b"error",
        21..=24 => b"fatal",
        _ => b"unspecified",
    }
}
