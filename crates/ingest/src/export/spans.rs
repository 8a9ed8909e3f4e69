//! Rows back to spans, with the rows that follow them as their events and links.

use skein_event::columns::Fixed;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::trace::span::{Event, Link};
use skein_otlp::trace::{ResourceSpans, ScopeSpans, Span, Status};

use super::Damage;
use super::attributes::attributes;
use super::columns::{Columns, decimal};
use super::group::Groups;
use crate::record_flags::{PARENT_ID_ZERO, SPAN_ID_ZERO, TRACE_ID_ZERO};

/// Collects spans.
#[derive(Debug)]
pub(super) struct SpanWriter<'a> {
    groups: Groups<'a, Span>,
    /// Context of the last span, to which the annotations that follow belong.
    last: Option<usize>,
    orphans: u64,
}

impl<'a> SpanWriter<'a> {
    pub(super) fn new(groups: Groups<'a, Span>) -> SpanWriter<'a> {
        SpanWriter { groups, last: None, orphans: 0 }
    }

    pub(super) fn row(&mut self, row: &Columns<'_>, context: usize) -> Result<(), Damage> {
        match row.bytes(Fixed::AnnotationType) {
            None => {
                let span = span(row)?;
                self.groups.records(context).push(span);
                self.last = Some(context);
            }
            Some(b"span_event") => {
                let event = event(row)?;
                self.annotate(row, |span| span.events.push(event));
            }
            Some(b"link") => {
                let link = link(row)?;
                self.annotate(row, |span| span.links.push(link));
            }
            Some(_) => return Err("an unknown annotation type"),
        }
        Ok(())
    }

    /// Adds to the span before, when the row belongs to it.
    fn annotate(&mut self, row: &Columns<'_>, add: impl FnOnce(&mut Span)) {
        let (trace, parent) = (row.id16(Fixed::TraceId), row.id8(Fixed::ParentId));
        let span = self.last.and_then(|context| self.groups.records(context).last_mut());
        match span {
            Some(span)
                if span.trace_id == trace.unwrap_or_default()
                    && span.span_id == parent.unwrap_or_default() =>
            {
                add(span);
            }
            _ => self.orphans += 1,
        }
    }

    pub(super) fn orphans(&self) -> u64 {
        self.orphans
    }

    pub(super) fn finish(self) -> ExportTraceServiceRequest {
        let resource_spans = self.groups.by_resource().into_iter().map(|scopes| ResourceSpans {
            resource: scopes.first().and_then(|(context, _)| context.resource.clone()),
            schema_url: scopes.first().map(|(c, _)| c.resource_schema_url.clone()).unwrap_or_default(),
            scope_spans: scopes
                .into_iter()
                .map(|(context, spans)| ScopeSpans {
                    scope: context.scope.clone(),
                    spans,
                    schema_url: context.scope_schema_url.clone(),
                })
                .collect(),
        });
        ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
    }
}

fn span(row: &Columns<'_>) -> Result<Span, Damage> {
    let start = row.own_time()?;
    let end = match row.bytes(Fixed::EndTimeRaw) {
        Some(raw) => decimal(raw)?,
        None => start.wrapping_add(row.integer(Fixed::Duration).unwrap_or_default().cast_unsigned()),
    };
    let flags = row.flags();
    let parent = row.id8(Fixed::ParentId).map(|id| id.to_vec());
    let zero_parent = || if flags & PARENT_ID_ZERO != 0 { vec![0; 8] } else { Vec::new() };
    Ok(Span {
        trace_id: row.id16(Fixed::TraceId).unwrap_or_default().to_vec(),
        span_id: row.id8(Fixed::SpanId).unwrap_or_default().to_vec(),
        trace_state: row.text(Fixed::TraceState),
        parent_span_id: parent.unwrap_or_else(zero_parent),
        name: row.text(Fixed::Name),
        kind: kind(&row.text(Fixed::SpanKind))?,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes: row_attributes(row)?,
        dropped_attributes_count: row.count(Fixed::DroppedAttributes)?,
        events: Vec::new(),
        dropped_events_count: row.count(Fixed::DroppedEvents)?,
        links: Vec::new(),
        dropped_links_count: row.count(Fixed::DroppedLinks)?,
        status: status(row)?,
        flags: row.count(Fixed::TraceFlags)?,
    })
}

fn status(row: &Columns<'_>) -> Result<Option<Status>, Damage> {
    let Some(code) = row.integer(Fixed::StatusCode) else { return Ok(None) };
    let code = i32::try_from(code).map_err(|_| "a status code out of range")?;
    Ok(Some(Status { message: row.text(Fixed::StatusMessage), code }))
}

fn kind(name: &str) -> Result<i32, Damage> {
    Ok(match name {
        "" | "unspecified" => 0,
        "internal" => 1,
        "server" => 2,
        "client" => 3,
        "producer" => 4,
        "consumer" => 5,
        number => number.parse().map_err(|_| "an unknown span kind")?,
    })
}

fn event(row: &Columns<'_>) -> Result<Event, Damage> {
    Ok(Event {
        time_unix_nano: row.own_time()?,
        name: row.text(Fixed::Name),
        attributes: row_attributes(row)?,
        dropped_attributes_count: row.count(Fixed::DroppedAttributes)?,
    })
}

fn link(row: &Columns<'_>) -> Result<Link, Damage> {
    let flags = row.flags();
    let zero = |flag: i64, length: usize| if flags & flag != 0 { vec![0; length] } else { Vec::new() };
    let trace_id = row.id16(Fixed::LinkTraceId).map(|id| id.to_vec());
    let span_id = row.id8(Fixed::LinkSpanId).map(|id| id.to_vec());
    Ok(Link {
        trace_id: trace_id.unwrap_or_else(|| zero(TRACE_ID_ZERO, 16)),
        span_id: span_id.unwrap_or_else(|| zero(SPAN_ID_ZERO, 8)),
        trace_state: row.text(Fixed::TraceState),
        attributes: row_attributes(row)?,
        dropped_attributes_count: row.count(Fixed::DroppedAttributes)?,
        flags: row.count(Fixed::TraceFlags)?,
    })
}

/// The attributes of the row's record.
pub(super) fn row_attributes(row: &Columns<'_>) -> Result<Vec<skein_otlp::common::KeyValue>, Damage> {
    attributes(row.batch, row.tokens(), row.bytes(Fixed::Overflow), |column| row.cell(column))
}
