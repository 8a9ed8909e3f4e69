//! Values of the overflow map: what did not fit the columns of an event, typed as it came.

use skein_event::any_value::{self, AnyValue};
use skein_event::batch::Origin;
use skein_event::value::Value;

/// Whether values of this origin have keys of their own in the overflow map: metrics and copies stand among
/// the record's own.
pub(crate) fn has_overflow(origin: Origin) -> bool {
    matches!(origin, Origin::Item | Origin::Body | Origin::Scope | Origin::Resource)
}

/// The value of a name in an overflow map.
pub(crate) fn overflow_value(map: &[u8], name: &str) -> Option<Value> {
    let AnyValue::Map(entries) = any_value::read(map) else { return None };
    let mut found = any_value::entries(entries).filter(|(key, _)| *key == name.as_bytes());
    found.find_map(|(_, message)| any_to_value(message))
}

/// A typed OTLP value as a value of a column: lists and maps stay what they are.
pub(crate) fn any_to_value(message: &[u8]) -> Option<Value> {
    Some(match any_value::read(message) {
        AnyValue::Empty => return None,
        AnyValue::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Bytes(bytes.to_vec()),
        },
        AnyValue::Bool(value) => Value::Bool(value),
        AnyValue::I64(value) => Value::I64(value),
        AnyValue::F64(value) => Value::F64(value),
        AnyValue::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        AnyValue::Array(_) | AnyValue::Map(_) => Value::Json(message.to_vec()),
    })
}
