//! What an OTLP request means as events: the plain reading of the translation rules, through message types.
//!
//! Only what queries see is kept; the door's own tests hold the export to the model. Requests must be of the
//! kind that is stored whole: rejections are not modelled.

use prost::Message as _;
use serde_json::Value as Json;
use skein_event::ids::{encode_hex, parse_trace_id};
use skein_event::limits::{FLATTEN_DEPTH_MAX, FUTURE_NS_MAX};
use skein_event::value::Value;
use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::{AnyValue, InstrumentationScope, KeyValue, any_value};
use skein_otlp::logs::LogRecord;
use skein_otlp::metrics::{Metric, NumberDataPoint, metric, number_data_point};
use skein_otlp::resource::Resource;
use skein_otlp::trace::{Span, span};

use super::event::{Event, Place};

/// What every event of one resource and scope has.
struct Context<'a> {
    signal: &'a str,
    resource: Option<&'a Resource>,
    resource_schema: &'a str,
    scope: Option<&'a InstrumentationScope>,
    scope_schema: &'a str,
}

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

/// The events of a metric request of gauges and sums: points of equal resource, scope, attributes, start time
/// and time form one event; points of an equal name stay apart.
pub fn metrics(request: &ExportMetricsServiceRequest, arrival_ns: i64) -> Vec<Event> {
    let mut events = Vec::new();
    for group in &request.resource_metrics {
        for scope in &group.scope_metrics {
            let context = Context {
                signal: "metric",
                resource: group.resource.as_ref(),
                resource_schema: &group.schema_url,
                scope: scope.scope.as_ref(),
                scope_schema: &scope.schema_url,
            };
            let mut open: Vec<(&NumberDataPoint, Vec<(&Metric, &NumberDataPoint)>)> = Vec::new();
            for (metric, point) in scope.metrics.iter().flat_map(points) {
                let same = |(first, members): &&mut (&NumberDataPoint, Vec<(&Metric, &NumberDataPoint)>)| {
                    first.attributes == point.attributes
                        && first.time_unix_nano == point.time_unix_nano
                        && first.start_time_unix_nano == point.start_time_unix_nano
                        && members.iter().all(|(other, _)| other.name != metric.name)
                };
                match open.iter_mut().find(same) {
                    Some((_, members)) => members.push((metric, point)),
                    None => open.push((point, vec![(metric, point)])),
                }
            }
            events.extend(
                open.iter().map(|(first, members)| metric_event(&context, first, members, arrival_ns)),
            );
        }
    }
    events
}

fn points(metric: &Metric) -> Vec<(&Metric, &NumberDataPoint)> {
    let points = match &metric.data {
        Some(metric::Data::Gauge(gauge)) => &gauge.data_points,
        Some(metric::Data::Sum(sum)) => &sum.data_points,
        other => unreachable!("the reference reads gauges and sums only: {other:?}"),
    };
    points.iter().map(|point| (metric, point)).collect()
}

// === impl Context ===

impl Context<'_> {
    fn event(&self) -> Event {
        let mut event = Event::default();
        let resource = self.resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default();
        event.fix_text("meta.signal_type", self.signal);
        event.fix("dataset", Value::Text(dataset(self.signal, resource)));
        event.fix_text("resource.schema_url", self.resource_schema);
        event.fix_text("scope.schema_url", self.scope_schema);
        add_all(&mut event, Place::Resource, resource);
        if let Some(scope) = self.scope {
            event.fix_text("library.name", &scope.name);
            event.fix_text("library.version", &scope.version);
            add_all(&mut event, Place::Scope, &scope.attributes);
        }
        event
    }
}

/// The trimmed service name; `unknown_service` (logs: `unknown_log_source`) where there is none.
fn dataset(signal: &str, resource: &[KeyValue]) -> String {
    let service = resource.iter().find(|attribute| attribute.key == "service.name");
    let name =
        match service.and_then(|attribute| attribute.value.as_ref()).and_then(|value| value.value.as_ref()) {
            Some(any_value::Value::StringValue(name)) => name.trim(),
            _ => "",
        };
    match name {
        "" if signal == "log" => "unknown_log_source".to_owned(),
        "" => "unknown_service".to_owned(),
        name if name.starts_with("unknown_service") => {
            if signal == "log" { "unknown_log_source" } else { "unknown_service" }.to_owned()
        }
        name => name.to_owned(),
    }
}

// === attributes ===

fn add_all(event: &mut Event, place: Place, attributes: &[KeyValue]) {
    for attribute in attributes {
        if let Some(value) = &attribute.value {
            add(event, place, &attribute.key, value, 0);
        }
    }
}

/// A kvlist becomes columns of dotted names down to the depth limit; arrays and deeper lists are typed values.
fn add(event: &mut Event, place: Place, name: &str, value: &AnyValue, depth: usize) {
    let Some(kind) = &value.value else { return };
    let flat = match kind {
        any_value::Value::StringValue(text) => Value::Text(text.clone()),
        any_value::Value::BoolValue(bit) => Value::Bool(*bit),
        any_value::Value::IntValue(number) => Value::I64(*number),
        any_value::Value::DoubleValue(number) => Value::F64(*number),
        any_value::Value::BytesValue(bytes) => Value::Bytes(bytes.clone()),
        any_value::Value::KvlistValue(list) if depth < FLATTEN_DEPTH_MAX => {
            for entry in &list.values {
                if let Some(value) = &entry.value {
                    add(event, place, &format!("{name}.{}", entry.key), value, depth + 1);
                }
            }
            return;
        }
        _ => Value::Json(value.encode_to_vec()),
    };
    event.add(place, name, flat);
}

// === times ===

/// The record's own time, else the observed one, else arrival; an impossible time is arrival, and flagged.
fn set_time(event: &mut Event, own: u64, observed: u64, arrival_ns: i64) {
    let (time, source) = match (own, observed) {
        (0, 0) => (None, Some("arrival")),
        (0, observed) => (Some(observed), Some("observed")),
        (own, _) => (Some(own), None),
    };
    if let Some(source) = source {
        event.fix_text("meta.time_source", source);
    }
    event.time_ns = match time.map(i64::try_from) {
        None => arrival_ns,
        Some(Ok(time)) => {
            if time > arrival_ns.saturating_add(FUTURE_NS_MAX) {
                event.fix("meta.time_out_of_range", Value::Bool(true));
            }
            time
        }
        Some(Err(_)) => {
            event.fix("meta.time_out_of_range", Value::Bool(true));
            event.fix_text("meta.time_raw", &time.unwrap_or_default().to_string());
            arrival_ns
        }
    };
}

// === spans ===

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
    set_rate(&mut event, &span.attributes, &span.trace_state);
    event
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
    set_rate(&mut event, &span.attributes, &span.trace_state);
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

fn length(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

/// The attribute `sampleRate` or `SampleRate`, else the threshold in the tracestate.
fn set_rate(event: &mut Event, attributes: &[KeyValue], trace_state: &str) {
    let stated = ["sampleRate", "SampleRate"]
        .iter()
        .find_map(|name| attributes.iter().find(|attribute| attribute.key == *name))
        .and_then(|attribute| attribute.value.as_ref())
        .and_then(|value| value.value.as_ref());
    #[expect(clippy::cast_precision_loss, reason = "rates of test data are small")]
    let rate = match stated {
        Some(any_value::Value::IntValue(rate)) => Some(*rate as f64),
        Some(any_value::Value::DoubleValue(rate)) => Some((rate + 0.5).floor()),
        _ => adjusted_count(trace_state),
    };
    if let Some(rate) = rate {
        event.fix("sample_rate", Value::F64(if rate < 1.0 { 1.0 } else { rate }));
    }
}

/// 2^56 / (2^56 − T) of `ot=th:T`, T being hex digits with trailing zeros left out.
fn adjusted_count(trace_state: &str) -> Option<f64> {
    let entry = trace_state.split(',').find_map(|entry| entry.trim().strip_prefix("ot="))?;
    let digits = entry.split(';').find_map(|field| field.strip_prefix("th:"))?;
    let threshold = u64::from_str_radix(&format!("{digits:0<14}"), 16).ok()?;
    #[expect(clippy::cast_precision_loss, reason = "thresholds of test data have few digits")]
    Some((1_u64 << 56) as f64 / ((1_u64 << 56) - threshold) as f64)
}

// === logs ===

fn log_event(context: &Context<'_>, record: &LogRecord, arrival_ns: i64) -> Event {
    let mut event = context.event();
    add_all(&mut event, Place::Item, &record.attributes);
    set_time(&mut event, record.time_unix_nano, record.observed_time_unix_nano, arrival_ns);
    event.fix_text("severity", severity(record.severity_number));
    event.fix("severity_code", Value::I64(i64::from(record.severity_number)));
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
    set_rate(&mut event, &record.attributes, "");
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

// === metrics ===

fn metric_event(
    context: &Context<'_>,
    first: &NumberDataPoint,
    members: &[(&Metric, &NumberDataPoint)],
    arrival_ns: i64,
) -> Event {
    let mut event = context.event();
    add_all(&mut event, Place::Item, &first.attributes);
    set_time(&mut event, first.time_unix_nano, 0, arrival_ns);
    event.fix("meta.metric.points", Value::I64(length(members.len())));
    if first.start_time_unix_nano != 0 {
        let start = i64::try_from(first.start_time_unix_nano).unwrap_or(i64::MAX);
        event.fix("meta.metric.start_time", Value::I64(start));
    }
    for (metric, point) in members {
        let value = match point.value {
            Some(number_data_point::Value::AsDouble(value)) => Value::F64(value),
            Some(number_data_point::Value::AsInt(value)) => Value::I64(value),
            None => continue,
        };
        event.add(Place::Metric, &metric.name, value);
    }
    event
}
