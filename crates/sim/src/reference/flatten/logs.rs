//! Log records and their bodies.

use prost::Message as _;
use serde_json::Value as Json;
use skein_event::ids::{encode_hex, parse_trace_id};
use skein_event::value::Value;
use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::common::{AnyValue, KeyValue, any_value};
use skein_otlp::logs::LogRecord;

use super::super::event::{Event, Place};
use super::{Context, add, add_all, set_rate, set_time};

/// The events of a log request.
pub fn logs(request: &ExportLogsServiceRequest, arrival_ns: i64) -> Vec<Event> {
    let mut events = Vec::new();
    for group in &request.resource_logs {
        for scope in &group.scope_logs {
            let context = Context {
                signal: "log",
                resource: group.resource.as_ref(),
                resource_schema: &group.schema_url,
                scope: scope.scope.as_ref(),
                scope_schema: &scope.schema_url,
            };
            events.extend(scope.log_records.iter().map(|record| log_event(&context, record, arrival_ns)));
        }
    }
    events
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
    event.fix_text("trace.trace_id", &encode_hex(&record.trace_id));
    event.fix_text("trace.span_id", &encode_hex(&record.span_id));
    if record.observed_time_unix_nano != 0 {
        let observed = i64::try_from(record.observed_time_unix_nano).unwrap_or(i64::MAX);
        event.fix("meta.observed_time", Value::I64(observed));
    }
    if record.flags != 0 {
        event.fix("trace.flags", Value::I64(i64::from(record.flags)));
    }
    set_body(&mut event, record.body.as_ref());
    if record.trace_id.is_empty() {
        set_trace_from_fields(&mut event);
    }
    set_rate(&mut event, &record.attributes, "", "event");
    event
}

/// Text stays text; a JSON object, as text or as a kvlist, becomes columns besides.
fn set_body(event: &mut Event, body: Option<&AnyValue>) {
    match body.and_then(|body| body.value.as_ref().map(|kind| (body, kind))) {
        None => {}
        Some((_, any_value::Value::StringValue(text))) => {
            event.fix("body", Value::Text(text.clone()));
            if let Ok(Json::Object(members)) = serde_json::from_str(text) {
                let list = members.iter().map(|(key, value)| entry(key, value)).collect::<Vec<_>>();
                add_members(event, &list);
            }
        }
        Some((body, kind)) => {
            event.fix("body", Value::Json(body.encode_to_vec()));
            if let any_value::Value::KvlistValue(list) = kind {
                add_members(event, &list.values);
            }
        }
    }
}

fn add_members(event: &mut Event, members: &[KeyValue]) {
    for member in members {
        if let Some(value) = &member.value {
            add(event, Place::Body, &member.key, value, 1);
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

/// A record without a trace id takes it from its fields.
fn set_trace_from_fields(event: &mut Event) {
    const NAMES: [&str; 5] = ["traceId", "trace_id", "otelTraceID", "dd.trace_id", "xrayTraceId"];
    let found = NAMES.iter().find_map(|name| {
        let text = [Place::Item, Place::Body].into_iter().find_map(|place| match event.at(place, name) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        })?;
        parse_trace_id(&text)
    });
    if let Some(id) = found {
        event.fix("trace.trace_id", Value::Text(encode_hex(&id)));
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
