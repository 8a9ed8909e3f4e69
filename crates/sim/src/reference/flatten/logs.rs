//! Log records and their bodies.

use prost::Message as _;
use serde_json::Value as Json;
use skein_event::ids::{encode_hex, parse_trace_id};
use skein_event::value::Value;
use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::common::{AnyValue, KeyValue, any_value};
use skein_otlp::logs::LogRecord;

use super::super::event::{Event, Place};
use super::{Context, Flattened, add, add_all, fix_count, note_bad_text, set_rate, set_time, text};
use crate::random::data::wire_bytes;

/// The events of a log request.
pub fn logs(request: &ExportLogsServiceRequest, arrival_ns: i64) -> Flattened {
    let mut found = Flattened::default();
    for group in &request.resource_logs {
        for scope in &group.scope_logs {
            let context = Context {
                signal: "log",
                resource: group.resource.as_ref(),
                resource_schema: &group.schema_url,
                scope: scope.scope.as_ref(),
                scope_schema: &scope.schema_url,
            };
            for record in &scope.log_records {
                // An id may be absent, not odd.
                if matches!(record.trace_id.len(), 0 | 16) && matches!(record.span_id.len(), 0 | 8) {
                    found.events.push(log_event(&context, record, arrival_ns));
                } else {
                    found.refused += 1;
                }
            }
        }
    }
    found
}

fn log_event(context: &Context<'_>, record: &LogRecord, arrival_ns: i64) -> Event {
    let mut event = context.event();
    add_all(&mut event, Place::Item, &record.attributes);
    set_time(&mut event, record.time_unix_nano, record.observed_time_unix_nano, arrival_ns);
    event.fix_text("severity", severity(record.severity_number));
    // Protobuf does not tell 0 from absent.
    if record.severity_number != 0 {
        event.fix("severity_code", Value::I64(i64::from(record.severity_number)));
    }
    event.fix_text("severity_text", &record.severity_text);
    event.fix_text("event.name", &record.event_name);
    // All zeros are no id.
    for (name, id) in [("trace.trace_id", &record.trace_id), ("trace.span_id", &record.span_id)] {
        if id.iter().any(|byte| *byte != 0) {
            event.fix_text(name, &encode_hex(id));
        }
    }
    if record.observed_time_unix_nano != 0 {
        // Signed like every integer: what does not fit is shown as the negative number it is on the wire.
        event.fix("meta.observed_time", Value::I64(record.observed_time_unix_nano.cast_signed()));
    }
    fix_count(&mut event, "meta.dropped_attributes_count", Some(record.dropped_attributes_count));
    if record.flags != 0 {
        event.fix("trace.flags", Value::I64(i64::from(record.flags)));
    }
    set_body(&mut event, record.body.as_ref());
    if event.text("trace.trace_id").is_none() {
        set_trace_from_fields(&mut event);
    }
    set_rate(&mut event, context, &record.attributes, "", "event");
    event
}

/// Text stays text; a JSON object, as text or as a kvlist, becomes columns besides.
fn set_body(event: &mut Event, body: Option<&AnyValue>) {
    match body.and_then(|body| body.value.as_ref().map(|kind| (body, kind))) {
        None => {}
        Some((body, any_value::Value::StringValue(whole))) => {
            event.fix("body", text(whole));
            note_bad_text(event, &body.encode_to_vec());
            if let Ok(Json::Object(members)) = serde_json::from_str(whole) {
                let list = members.iter().map(|(key, value)| entry(key, value)).collect::<Vec<_>>();
                add_members(event, &list);
            }
        }
        Some((body, kind)) => {
            event.fix("body", Value::Json(wire_bytes(&body.encode_to_vec())));
            note_bad_text(event, &body.encode_to_vec());
            if let any_value::Value::KvlistValue(list) = kind {
                add_members(event, &list.values);
            }
        }
    }
}

fn add_members(event: &mut Event, members: &[KeyValue]) {
    for member in members {
        if let Some(value) = &member.value {
            add(event, Place::Body, &member.key, value, 0);
        }
    }
}

fn entry(key: &str, value: &Json) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any(value)), key_strindex: 0 }
}

fn any(value: &Json) -> AnyValue {
    match value {
        Json::Null => AnyValue::default(),
        Json::Bool(bit) => AnyValue::from(*bit),
        Json::String(text) => AnyValue::from(text.as_str()),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => AnyValue::from(whole),
            None => AnyValue::from(number.as_f64().unwrap_or_default()),
        },
        Json::Array(items) => AnyValue::array(items.iter().map(any)),
        Json::Object(members) => AnyValue::kvlist(members.iter().map(|(key, value)| entry(key, value))),
    }
}

/// A record without a trace id takes it from its fields: its attributes before its body, names in their order.
fn set_trace_from_fields(event: &mut Event) {
    const NAMES: [&str; 6] =
        ["traceId", "trace_id", "otelTraceID", "dd.trace_id", "xrayTraceId", "X-Amzn-Trace-Id"];
    let found = [Place::Item, Place::Body].into_iter().find_map(|place| {
        NAMES.iter().find_map(|name| match event.at(place, name)? {
            Value::Text(text) => trace_id(name, text),
            Value::I64(number) if *name == "dd.trace_id" => trace_id(name, &number.to_string()),
            _ => None,
        })
    });
    if let Some(id) = found {
        event.fix("trace.trace_id", Value::Text(encode_hex(&id)));
    }
}

/// The id in a field: X-Ray's header has it as its root, Datadog writes the low half in decimal.
fn trace_id(name: &str, text: &str) -> Option<[u8; 16]> {
    match name {
        "dd.trace_id" if text.len() < 32 && text.parse::<u64>().is_ok() => {
            text.parse::<u64>().ok().filter(|low| *low != 0).map(|low| u128::from(low).to_be_bytes())
        }
        "xrayTraceId" | "X-Amzn-Trace-Id" => {
            let root = text.split(';').find_map(|field| field.trim().strip_prefix("Root="));
            parse_trace_id(root.unwrap_or(text).trim())
        }
        _ => parse_trace_id(text),
    }
}

fn severity(number: i32) -> &'static str {
    match number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => "unspecified",
    }
}
