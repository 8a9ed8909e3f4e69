//! What an OTLP request means as events: the plain reading of the translation rules, through message types.
//!
//! Only what queries see is kept; the door's own tests hold the export to the model. Requests must be of the
//! kind that is stored whole: rejections are not modelled.

mod logs;
mod metrics;
mod spans;

use prost::Message as _;
use skein_event::limits::{FLATTEN_DEPTH_MAX, FUTURE_NS_MAX};
use skein_event::value::Value;
use skein_otlp::common::{AnyValue, InstrumentationScope, KeyValue, any_value};
use skein_otlp::resource::Resource;

use super::event::{Event, Place};

pub use logs::logs;
pub use metrics::metrics;
pub use spans::spans;

/// What every event of one resource and scope has.
struct Context<'a> {
    signal: &'a str,
    resource: Option<&'a Resource>,
    resource_schema: &'a str,
    scope: Option<&'a InstrumentationScope>,
    scope_schema: &'a str,
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

// === weights and lengths ===

fn length(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

/// The attribute `sampleRate` or `SampleRate`, else the threshold in the tracestate.
fn set_rate(event: &mut Event, attributes: &[KeyValue], trace_state: &str, unit: &str) {
    let stated = ["sampleRate", "SampleRate"]
        .iter()
        .find_map(|name| attributes.iter().find(|attribute| attribute.key == *name))
        .and_then(|attribute| attribute.value.as_ref())
        .and_then(|value| value.value.as_ref());
    #[expect(clippy::cast_precision_loss, reason = "rates of test data are small")]
    let rate = match stated {
        Some(any_value::Value::IntValue(rate)) => Some(*rate as f64),
        Some(any_value::Value::DoubleValue(rate)) => Some(*rate),
        _ => adjusted_count(trace_state),
    };
    if let Some(rate) = rate {
        event.fix("sample_rate", Value::F64(if rate < 1.0 { 1.0 } else { rate }));
        event.fix_text("meta.sampling.unit", unit);
        event.fix_text("meta.sampling.inclusion", "probability");
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
