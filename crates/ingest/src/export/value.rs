//! `AnyValue` messages as types.
//!
//! Not by prost, which stops at 100 nested messages (33 nested kvlists) and at text that is not UTF-8: what a
//! door has taken must come out.

use skein_event::any_value::{Fields, WireValue};
use skein_event::limits::NESTING_DEPTH_MAX;
use skein_otlp::common::any_value::Value;
use skein_otlp::common::{AnyValue, ArrayValue, KeyValue, KeyValueList};

use super::Damage;

/// The value of an `AnyValue` message.
pub(super) fn any_value(message: &[u8]) -> Result<AnyValue, Damage> {
    read_value(message, 0)
}

/// The attribute of a `KeyValue` message.
pub(super) fn key_value(message: &[u8]) -> Result<KeyValue, Damage> {
    read_entry(message, 0)
}

/// A text value; bytes when it is not UTF-8.
pub(super) fn text_value(text: &[u8]) -> Value {
    match std::str::from_utf8(text) {
        Ok(text) => Value::StringValue(text.to_owned()),
        Err(_) => Value::BytesValue(text.to_vec()),
    }
}

fn read_value(message: &[u8], depth: usize) -> Result<AnyValue, Damage> {
    // The doors take no deeper value; this bounds the stack against damage.
    if depth > NESTING_DEPTH_MAX {
        return Err("a value nested too deep");
    }
    let mut value = None;
    // Of several values the last counts, as protobuf says of a oneof.
    for field in Fields::new(message) {
        value = match field {
            (1, WireValue::Bytes(text)) => Some(text_value(text)),
            (2, WireValue::Varint(bit)) => Some(Value::BoolValue(bit != 0)),
            (3, WireValue::Varint(bits)) => Some(Value::IntValue(bits.cast_signed())),
            (4, WireValue::Fixed64(bits)) => Some(Value::DoubleValue(f64::from_bits(bits))),
            (5, WireValue::Bytes(array)) => Some(Value::ArrayValue(read_array(array, depth)?)),
            (6, WireValue::Bytes(list)) => Some(Value::KvlistValue(read_list(list, depth)?)),
            (7, WireValue::Bytes(bytes)) => Some(Value::BytesValue(bytes.to_vec())),
            _ => value,
        };
    }
    Ok(AnyValue { value })
}

fn read_array(array: &[u8], depth: usize) -> Result<ArrayValue, Damage> {
    let mut values = Vec::new();
    for field in Fields::new(array) {
        if let (1, WireValue::Bytes(element)) = field {
            values.push(read_value(element, depth + 1)?);
        }
    }
    Ok(ArrayValue { values })
}

fn read_list(list: &[u8], depth: usize) -> Result<KeyValueList, Damage> {
    let mut values = Vec::new();
    for field in Fields::new(list) {
        if let (1, WireValue::Bytes(entry)) = field {
            values.push(read_entry(entry, depth + 1)?);
        }
    }
    Ok(KeyValueList { values })
}

fn read_entry(entry: &[u8], depth: usize) -> Result<KeyValue, Damage> {
    let mut attribute = KeyValue::default();
    for field in Fields::new(entry) {
        match field {
            (1, WireValue::Bytes(key)) => attribute.key = String::from_utf8_lossy(key).into_owned(),
            (2, WireValue::Bytes(value)) => attribute.value = Some(read_value(value, depth)?),
            _ => {}
        }
    }
    Ok(attribute)
}
