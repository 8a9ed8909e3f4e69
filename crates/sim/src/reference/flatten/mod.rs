//! What an OTLP request means as events: the plain reading of the translation rules, through message types.
//!
//! Only what queries see is kept; the door's own tests hold the export to the model. Of two attributes of one
//! name the first counts. Text that is not UTF-8 (`random::data::BAD_TEXT` stands for it) is bytes, and its
//! event is flagged. Records without a usable id are refused.

mod logs;
mod metrics;
mod spans;

use prost::Message as _;
use skein_event::limits::{FLATTEN_DEPTH_MAX, FUTURE_NS_MAX};
use skein_event::value::{Value, whole_number};
use skein_otlp::common::{AnyValue, InstrumentationScope, KeyValue, any_value};
use skein_otlp::resource::Resource;

use super::event::{Event, Place};
use crate::random::data::{BAD_TEXT, wire_bytes};

pub use logs::logs;
pub use metrics::metrics;
pub use spans::spans;

/// What a request means.
#[derive(Debug, Default)]
pub struct Flattened {
    /// Its events.
    pub events: Vec<Event>,
    /// Records that are not stored.
    pub refused: u64,
}

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
        fix_count(&mut event, "resource.dropped_attributes_count", self.resource.map(dropped_of_resource));
        if let Some(scope) = self.scope {
            event.fix_text("library.name", &scope.name);
            event.fix_text("library.version", &scope.version);
            add_all(&mut event, Place::Scope, &scope.attributes);
            fix_count(&mut event, "scope.dropped_attributes_count", Some(scope.dropped_attributes_count));
        }
        event
    }

    /// Attributes that say a rate, the nearest first: those of the scope, then those of the resource.
    fn attributes(&self) -> impl Iterator<Item = &KeyValue> {
        let of_scope = self.scope.map(|scope| scope.attributes.as_slice()).unwrap_or_default();
        let of_resource = self.resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default();
        of_scope.iter().chain(of_resource)
    }
}

fn dropped_of_resource(resource: &Resource) -> u32 {
    resource.dropped_attributes_count
}

/// A count of which protobuf does not tell 0 from absent.
fn fix_count(event: &mut Event, name: &str, count: Option<u32>) {
    if let Some(count @ 1..) = count {
        event.fix(name, Value::I64(i64::from(count)));
    }
}

/// The trimmed service name; `unknown_service` (logs: `unknown_log_source`) where there is none.
fn dataset(signal: &str, resource: &[KeyValue]) -> String {
    let service = resource.iter().find(|attribute| attribute.key == "service.name");
    let name =
        match service.and_then(|attribute| attribute.value.as_ref()).and_then(|value| value.value.as_ref()) {
            Some(any_value::Value::StringValue(name)) if !name.contains(BAD_TEXT) => name.trim(),
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
        note_bad_text(event, &attribute.encode_to_vec());
        if let Some(value) = &attribute.value
            && !attribute.key.is_empty()
        {
            add(event, place, &attribute.key, value, 0);
        }
    }
}

/// Flags an event that has text which is not UTF-8 anywhere in this message.
fn note_bad_text(event: &mut Event, message: &[u8]) {
    if wire_bytes(message) != message {
        event.fix("meta.invalid_utf8", Value::Bool(true));
    }
}

/// Text, or the bytes it is instead.
fn text(text: &str) -> Value {
    if text.contains(BAD_TEXT) {
        Value::Bytes(wire_bytes(text.as_bytes()))
    } else {
        Value::Text(text.to_owned())
    }
}

/// A kvlist becomes columns of dotted names down to the depth limit; arrays and deeper lists are typed values.
/// A column has a name that is text.
fn add(event: &mut Event, place: Place, name: &str, value: &AnyValue, depth: usize) {
    let Some(kind) = value.value.as_ref().filter(|_| !name.contains(BAD_TEXT)) else { return };
    let flat = match kind {
        any_value::Value::StringValue(value) => text(value),
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
        _ => Value::Json(wire_bytes(&value.encode_to_vec())),
    };
    event.add(place, name, flat);
}

// === times ===

/// The record's own time, else the observed one, else arrival; an impossible time is arrival, and flagged. An
/// observed time that is impossible is none.
fn set_time(event: &mut Event, own: u64, observed: u64, arrival_ns: i64) {
    let observed = i64::try_from(observed).unwrap_or_default();
    event.time_ns = match (i64::try_from(own), observed) {
        (Ok(0), 0) => {
            event.fix_text("meta.time_source", "arrival");
            arrival_ns
        }
        (Ok(0), observed) => {
            event.fix_text("meta.time_source", "observed");
            observed
        }
        (Ok(own), _) => own,
        (Err(_), _) => {
            event.fix("meta.time_out_of_range", Value::Bool(true));
            event.fix_text("meta.time_raw", &own.to_string());
            arrival_ns
        }
    };
    if event.time_ns > arrival_ns.saturating_add(FUTURE_NS_MAX) {
        event.fix("meta.time_out_of_range", Value::Bool(true));
    }
}

// === weights and lengths ===

fn length(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

/// The largest rate that is believed (spec of the Honeycomb SDKs): 2^31 − 1.
const RATE_MAX: f64 = 2_147_483_647.0;

/// The attribute `sampleRate` or `SampleRate`, the record's own before those of scope and resource, else the
/// threshold in the tracestate. At least 1.
fn set_rate(
    event: &mut Event,
    context: &Context<'_>,
    attributes: &[KeyValue],
    trace_state: &str,
    unit: &str,
) {
    let own = stated_rate(&mut attributes.iter());
    let stated = own.or_else(|| stated_rate(&mut context.attributes()));
    if let Some(rate) = stated.or_else(|| adjusted_count(trace_state)) {
        event.fix("sample_rate", Value::F64(rate));
        event.fix_text("meta.sampling.unit", unit);
        event.fix_text("meta.sampling.inclusion", "probability");
    }
}

fn stated_rate(attributes: &mut dyn Iterator<Item = &KeyValue>) -> Option<f64> {
    let all: Vec<&KeyValue> = attributes.collect();
    let of_name = |name: &&str| {
        all.iter().filter(|attribute| attribute.key == **name).find_map(|attribute| {
            #[expect(clippy::cast_precision_loss, reason = "rates beyond 2^31 are cut")]
            let rate = match attribute.value.as_ref()?.value.as_ref()? {
                any_value::Value::IntValue(rate) => *rate as f64,
                any_value::Value::DoubleValue(rate) => *rate,
                any_value::Value::StringValue(text) => whole_number(text)?,
                _ => return None,
            };
            (!rate.is_nan()).then(|| rate.clamp(1.0, RATE_MAX))
        })
    };
    ["sampleRate", "SampleRate"].iter().find_map(of_name)
}

/// 2^56 / (2^56 − T) of `ot=th:T`, T being hex digits with trailing zeros left out.
fn adjusted_count(trace_state: &str) -> Option<f64> {
    let entry = trace_state.split(',').find_map(|entry| entry.trim().strip_prefix("ot="))?;
    let digits = entry.split(';').find_map(|field| field.strip_prefix("th:"))?;
    let threshold = u64::from_str_radix(&format!("{digits:0<14}"), 16).ok()?;
    #[expect(clippy::cast_precision_loss, reason = "thresholds of test data have few digits")]
    Some((1_u64 << 56) as f64 / ((1_u64 << 56) - threshold) as f64)
}
