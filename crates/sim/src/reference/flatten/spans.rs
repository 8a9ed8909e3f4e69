//! Spans, their events and their links.

use skein_event::ids::encode_hex;
use skein_event::value::Value;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::KeyValue;
use skein_otlp::trace::{Span, span};

use super::super::event::{Event, Place};
use super::{Context, Flattened, add_all, fix_count, length, set_rate, set_time};

/// The events of a trace request that arrived at `arrival_ns`.
pub fn spans(request: &ExportTraceServiceRequest, arrival_ns: i64) -> Flattened {
    let mut found = Flattened::default();
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
                if !has_ids(span) {
                    found.refused += 1;
                    continue;
                }
                let events = &mut found.events;
                events.push(span_event(&context, span, arrival_ns));
                events.extend(span.events.iter().map(|event| annotation(&context, span, event, arrival_ns)));
                events.extend(span.links.iter().map(|link| link_event(&context, span, link, arrival_ns)));
            }
        }
    }
    found
}

/// A span without its two ids, or with ids of other lengths, cannot be placed in a trace.
fn has_ids(span: &Span) -> bool {
    let usable = |id: &[u8], length: usize| id.len() == length && id.iter().any(|byte| *byte != 0);
    let fits = |id: &[u8], length: usize| id.is_empty() || id.len() == length;
    usable(&span.trace_id, 16)
        && usable(&span.span_id, 8)
        && fits(&span.parent_span_id, 8)
        && span.links.iter().all(|link| fits(&link.trace_id, 16) && fits(&link.span_id, 8))
}

fn span_event(context: &Context<'_>, span: &Span, arrival_ns: i64) -> Event {
    let mut event = context.event();
    add_all(&mut event, Place::Item, &span.attributes);
    set_time(&mut event, span.start_time_unix_nano, 0, arrival_ns);
    event.fix_text("trace.trace_id", &encode_hex(&span.trace_id));
    event.fix_text("trace.span_id", &encode_hex(&span.span_id));
    if span.parent_span_id != [0; 8] {
        event.fix_text("trace.parent_id", &encode_hex(&span.parent_span_id));
    }
    event.fix_text("name", &span.name);
    event.fix_text("span.kind", &kind(span.kind));
    event.fix_text("trace.trace_state", &span.trace_state);
    // Without a start the end says nothing; a length that does not fit is none.
    let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
    let length_ns = end.checked_sub(start).filter(|_| start != 0 || end == 0);
    match length_ns.and_then(|length| i64::try_from(length).ok()) {
        Some(length) => event.fix("duration_ms", milliseconds(length)),
        None => {
            event.fix("duration_ms", Value::F64(0.0));
            event.fix("meta.invalid_duration", Value::Bool(true));
            event.fix_text("meta.end_time_raw", &end.to_string());
        }
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
    fix_count(&mut event, "meta.dropped_attributes_count", Some(span.dropped_attributes_count));
    fix_count(&mut event, "meta.dropped_events_count", Some(span.dropped_events_count));
    fix_count(&mut event, "meta.dropped_links_count", Some(span.dropped_links_count));
    set_rate(&mut event, context, &span.attributes, &span.trace_state, "trace");
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
    // Only where both times are times.
    let usable = |time: u64| i64::try_from(time).ok().filter(|time| *time != 0);
    if let (Some(time), Some(start)) = (usable(annotation.time_unix_nano), usable(span.start_time_unix_nano))
    {
        event.fix("meta.time_since_span_start_ms", milliseconds(time - start));
    }
    fix_count(&mut event, "meta.dropped_attributes_count", Some(annotation.dropped_attributes_count));
    event
}

fn link_event(context: &Context<'_>, span: &Span, link: &span::Link, arrival_ns: i64) -> Event {
    let mut event = belonging(context, span, "link", &link.attributes);
    // It has no time of its own, so nothing of a time that it lacks.
    set_time(&mut event, span.start_time_unix_nano, 0, arrival_ns);
    for of_a_time in ["meta.time_source", "meta.time_raw"] {
        event.unfix(of_a_time);
    }
    event.fix_text("trace.link.trace_id", &encode_hex(&link.trace_id));
    event.fix_text("trace.link.span_id", &encode_hex(&link.span_id));
    event.fix_text("trace.trace_state", &link.trace_state);
    fix_count(&mut event, "trace.flags", Some(link.flags));
    fix_count(&mut event, "meta.dropped_attributes_count", Some(link.dropped_attributes_count));
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
    set_rate(&mut event, context, &span.attributes, &span.trace_state, "trace");
    event
}

fn set_error(event: &mut Event, span: &Span) {
    if span.status.as_ref().is_some_and(|status| status.code == 2) {
        event.fix("error", Value::Bool(true));
    }
}

fn kind(number: i32) -> String {
    let words = ["unspecified", "internal", "server", "client", "producer", "consumer"];
    let word = usize::try_from(number).ok().and_then(|number| words.get(number));
    word.map_or_else(|| number.to_string(), |word| (*word).to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds are shown as a double")]
fn milliseconds(nanoseconds: i64) -> Value {
    Value::F64(nanoseconds as f64 / 1e6)
}
