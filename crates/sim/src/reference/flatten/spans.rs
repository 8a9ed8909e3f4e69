//! Spans, their events and their links.

use skein_event::ids::encode_hex;
use skein_event::value::Value;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::KeyValue;
use skein_otlp::trace::{Span, span};

use super::super::event::{Event, Place};
use super::{Context, add_all, length, set_rate, set_time};

/// The events of a trace request that arrived at `arrival_ns`.
pub fn spans(request: &ExportTraceServiceRequest, arrival_ns: i64) -> Vec<Event> {
    let mut events = Vec::new();
    for group in &request.resource_spans {
        for scope in &group.scope_spans {
            let context = Context {
                signal: "trace",
                resource: group.resource.as_ref(),
                resource_schema: &group.schema_url,
                scope: scope.scope.as_ref(),
                scope_schema: &scope.schema_url,
            };
            for span in &scope.spans {
                events.push(span_event(&context, span, arrival_ns));
                events.extend(span.events.iter().map(|event| annotation(&context, span, event, arrival_ns)));
                events.extend(span.links.iter().map(|link| link_event(&context, span, link, arrival_ns)));
            }
        }
    }
    events
}

fn span_event(context: &Context<'_>, span: &Span, arrival_ns: i64) -> Event {
    let mut event = context.event();
    add_all(&mut event, Place::Item, &span.attributes);
    set_time(&mut event, span.start_time_unix_nano, 0, arrival_ns);
    event.fix_text("trace.trace_id", &encode_hex(&span.trace_id));
    event.fix_text("trace.span_id", &encode_hex(&span.span_id));
    event.fix_text("trace.parent_id", &encode_hex(&span.parent_span_id));
    event.fix_text("name", &span.name);
    event.fix_text("span.kind", kind(span.kind));
    event.fix_text("trace.trace_state", &span.trace_state);
    if span.end_time_unix_nano < span.start_time_unix_nano {
        event.fix("duration_ms", Value::F64(0.0));
        event.fix("meta.invalid_duration", Value::Bool(true));
        event.fix_text("meta.end_time_raw", &span.end_time_unix_nano.to_string());
    } else {
        event.fix("duration_ms", milliseconds(span.end_time_unix_nano - span.start_time_unix_nano));
    }
    if let Some(status) = &span.status {
        event.fix("status_code", Value::I64(i64::from(status.code)));
        event.fix_text("status_message", &status.message);
    }
    set_error(&mut event, span);
    event.fix("span.num_events", Value::I64(length(span.events.len())));
    event.fix("span.num_links", Value::I64(length(span.links.len())));
    if span.flags != 0 {
        event.fix("trace.flags", Value::I64(i64::from(span.flags)));
    }
    set_rate(&mut event, &span.attributes, &span.trace_state, "trace");
    derive_exception(&mut event, span);
    event
}

/// What the span's first exception was, unless the span says so itself.
fn derive_exception(event: &mut Event, span: &Span) {
    const KEYS: [&str; 4] =
        ["exception.type", "exception.message", "exception.stacktrace", "exception.escaped"];
    let Some(exception) = span.events.iter().find(|event| event.name == "exception") else { return };
    let own = |key: &str| span.attributes.iter().any(|attribute| attribute.key == key);
    let wanted = |attribute: &&KeyValue| KEYS.contains(&attribute.key.as_str()) && !own(&attribute.key);
    let derived: Vec<KeyValue> = exception.attributes.iter().filter(wanted).cloned().collect();
    add_all(event, Place::Derived, &derived);
}

fn annotation(context: &Context<'_>, span: &Span, annotation: &span::Event, arrival_ns: i64) -> Event {
    let mut event = belonging(context, span, "span_event", &annotation.attributes);
    set_time(&mut event, annotation.time_unix_nano, 0, arrival_ns);
    event.fix_text("name", &annotation.name);
    let since = annotation.time_unix_nano.saturating_sub(span.start_time_unix_nano);
    event.fix("meta.time_since_span_start_ms", milliseconds(since));
    event
}

fn link_event(context: &Context<'_>, span: &Span, link: &span::Link, arrival_ns: i64) -> Event {
    let mut event = belonging(context, span, "link", &link.attributes);
    set_time(&mut event, span.start_time_unix_nano, 0, arrival_ns);
    event.fix_text("trace.link.trace_id", &encode_hex(&link.trace_id));
    event.fix_text("trace.link.span_id", &encode_hex(&link.span_id));
    event.fix_text("trace.trace_state", &link.trace_state);
    event
}

/// What span events and links have in common.
fn belonging(context: &Context<'_>, span: &Span, kind: &str, attributes: &[KeyValue]) -> Event {
    let mut event = context.event();
    add_all(&mut event, Place::Item, attributes);
    event.fix_text("trace.trace_id", &encode_hex(&span.trace_id));
    event.fix_text("trace.parent_id", &encode_hex(&span.span_id));
    event.fix_text("parent_name", &span.name);
    event.fix_text("meta.annotation_type", kind);
    set_error(&mut event, span);
    // They take the span's rate.
    set_rate(&mut event, &span.attributes, &span.trace_state, "trace");
    event
}

fn set_error(event: &mut Event, span: &Span) {
    if span.status.as_ref().is_some_and(|status| status.code == 2) {
        event.fix("error", Value::Bool(true));
    }
}

fn kind(number: i32) -> &'static str {
    match number {
        1 => "internal",
        2 => "server",
        3 => "client",
        4 => "producer",
        5 => "consumer",
        _ => "unspecified",
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds are shown as a double")]
fn milliseconds(nanoseconds: u64) -> Value {
    Value::F64(nanoseconds as f64 / 1e6)
}
