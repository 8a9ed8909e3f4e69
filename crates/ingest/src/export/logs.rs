//! Rows back to log records.

use skein_event::columns::Fixed;
use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::common::AnyValue;
use skein_otlp::logs::{LogRecord, ResourceLogs, ScopeLogs};

use super::Damage;
use super::columns::Columns;
use super::group::Groups;
use super::spans::row_attributes;
use super::value::{any_value, text_value};
use crate::record_flags::{SPAN_ID_ZERO, TRACE_ID_DERIVED, TRACE_ID_ZERO};

/// Collects log records.
#[derive(Debug)]
pub(super) struct LogWriter<'a> {
    groups: Groups<'a, LogRecord>,
}

impl<'a> LogWriter<'a> {
    pub(super) fn new(groups: Groups<'a, LogRecord>) -> LogWriter<'a> {
        LogWriter { groups }
    }

    pub(super) fn row(&mut self, row: &Columns<'_>, context: usize) -> Result<(), Damage> {
        let record = record(row)?;
        self.groups.records(context).push(record);
        Ok(())
    }

    pub(super) fn finish(self) -> ExportLogsServiceRequest {
        let resource_logs = self.groups.by_resource().into_iter().map(|scopes| ResourceLogs {
            resource: scopes.first().and_then(|(context, _)| context.resource.clone()),
            schema_url: scopes.first().map(|(c, _)| c.resource_schema_url.clone()).unwrap_or_default(),
            scope_logs: scopes
                .into_iter()
                .map(|(context, log_records)| ScopeLogs {
                    scope: context.scope.clone(),
                    log_records,
                    schema_url: context.scope_schema_url.clone(),
                })
                .collect(),
        });
        ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
    }
}

fn record(row: &Columns<'_>) -> Result<LogRecord, Damage> {
    let flags = row.flags();
    let severity = row.integer(Fixed::SeverityCode).unwrap_or_default();
    let own_trace_id = row.id16(Fixed::TraceId).filter(|_| flags & TRACE_ID_DERIVED == 0);
    let zero = |flag: i64, length: usize| if flags & flag != 0 { vec![0; length] } else { Vec::new() };
    let span_id = row.id8(Fixed::SpanId).map(|id| id.to_vec());
    Ok(LogRecord {
        time_unix_nano: row.own_time()?,
        severity_number: i32::try_from(severity).map_err(|_| "a severity out of range")?,
        severity_text: row.text(Fixed::SeverityText),
        body: body(row)?,
        attributes: row_attributes(row)?,
        dropped_attributes_count: row.count(Fixed::DroppedAttributes)?,
        flags: row.count(Fixed::TraceFlags)?,
        trace_id: own_trace_id.map_or_else(|| zero(TRACE_ID_ZERO, 16), |id| id.to_vec()),
        span_id: span_id.unwrap_or_else(|| zero(SPAN_ID_ZERO, 8)),
        observed_time_unix_nano: row.integer(Fixed::ObservedTime).unwrap_or_default().cast_unsigned(),
        event_name: row.text(Fixed::EventName),
    })
}

fn body(row: &Columns<'_>) -> Result<Option<AnyValue>, Damage> {
    if let Some(text) = row.bytes(Fixed::Body) {
        return Ok(Some(AnyValue::new(text_value(text))));
    }
    row.bytes(Fixed::BodyValue).map(any_value).transpose()
}
