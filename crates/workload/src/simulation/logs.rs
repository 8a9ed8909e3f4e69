//! What the services write to their logs, each in its style: lines of text, or JSON with the trace context on
//! the record or only inside it.

use super::describe::{error_of, http_status, millis, product};
use super::frame::{Frame, Outcome};
use super::{Fields, Simulation};
use crate::model::{LogStyle, Operation, Service};
use crate::telemetry::{Attribute, LogRecord, Record, Severity, hex, json_object};

impl Simulation {
    /// The line with which an operation ends, where its service writes one.
    pub(super) fn log_end(&mut self, frame: &Frame, outcome: Outcome, duration_ns: i64) {
        let mut fields = self.note_fields(frame);
        fields.push(("duration_ms", millis(duration_ns).into()));
        match error_of(outcome) {
            Some(failure) => {
                fields.push(("error", failure.message().into()));
                fields.push(("error.type", failure.error_type().into()));
                self.log(frame, Severity::Error, "request failed", fields);
            }
            None if frame.operation.spec().service == Service::Gateway => {
                fields.push(("status", http_status(frame.operation, outcome).into()));
                self.log(frame, Severity::Info, "request", fields);
            }
            None if outcome.is_err() && frame.operation == Operation::PaymentAuthorize => {
                self.log(frame, Severity::Warn, "card declined", fields);
            }
            None => {}
        }
    }

    /// What a service adds to most of its log lines.
    pub(super) fn note_fields(&self, frame: &Frame) -> Fields {
        let request = &frame.request;
        let mut fields = vec![("user_id", format!("u-{:05}", request.user).into())];
        match frame.operation {
            Operation::GatewayProduct | Operation::CatalogProduct => {
                fields.push(("product_id", product(frame)));
            }
            Operation::GatewaySearch | Operation::CatalogSearch => {
                fields.push(("q", request.search.into()));
                fields.push(("page", request.page.into()));
            }
            Operation::PaymentAuthorize => {
                fields.push(("network", request.network.into()));
                fields.push(("amount_cents", request.cart_cents.into()));
                fields.push(("currency", request.currency.into()));
            }
            _ => {
                fields.push(("items", request.cart_items.into()));
                fields.push(("total_cents", request.cart_cents.into()));
                fields.push(("currency", request.currency.into()));
            }
        }
        fields
    }

    /// Writes a line in the context of a frame, in the style of its service.
    pub(super) fn log(&mut self, frame: &Frame, severity: Severity, message: &'static str, fields: Fields) {
        let service = frame.operation.spec().service;
        let context = (frame.request.trace_id, frame.span_id);
        let (body, on_record) = match service.spec().log {
            LogStyle::Plain => (plain_line(frame.operation, message, &fields), Some(context)),
            LogStyle::Json => (json_line(severity, message, fields), Some(context)),
            LogStyle::JsonWithContext => {
                let mut fields = fields;
                fields.push(("trace_id", hex(&context.0).into()));
                fields.push(("span_id", hex(&context.1).into()));
                (json_line(severity, message, fields), None)
            }
        };
        let attributes = vec![("log.iostream", "stdout".into()), ("thread.id", frame.thread.into())];
        self.records.push(Record::Log(Box::new(LogRecord {
            instance: frame.instance,
            context: on_record,
            time_ns: self.now_ns,
            severity,
            body,
            attributes,
        })));
    }

    /// Writes a line that belongs to no request.
    pub(super) fn log_outside(
        &mut self,
        instance: usize,
        severity: Severity,
        message: &'static str,
        fields: Fields,
    ) {
        self.records.push(Record::Log(Box::new(LogRecord {
            instance,
            context: None,
            time_ns: self.now_ns,
            severity,
            body: json_line(severity, message, fields),
            attributes: vec![("log.iostream", "stdout".into())],
        })));
    }
}

fn plain_line(operation: Operation, message: &str, fields: &Fields) -> String {
    let mut line = format!("[{}] {message}", operation.spec().name);
    for (name, value) in fields {
        let text = match value {
            Attribute::Text(text) => text.to_string(),
            Attribute::Int(number) => number.to_string(),
            Attribute::Float(number) => number.to_string(),
            Attribute::Bool(truth) => truth.to_string(),
        };
        line.push_str(&format!(" {name}={text}"));
    }
    line
}

fn json_line(severity: Severity, message: &'static str, fields: Fields) -> String {
    let mut all: Fields = vec![("level", severity.text().into()), ("msg", message.into())];
    all.extend(fields);
    json_object(&all)
}
