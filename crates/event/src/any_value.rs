//! Reads the bytes of an `opentelemetry.proto.common.v1.AnyValue` message, the stored form of json values,
//! and writes its canonical JSON text.
//!
//! Field numbers are those of opentelemetry-proto 1.11, common.proto. Unknown fields are skipped; damage
//! ends a value early and never panics. Depth is bounded by [`crate::limits::NESTING_DEPTH_MAX`].

use std::fmt::Write as _;

use crate::limits::NESTING_DEPTH_MAX;
use crate::value::canonical_f64;

/// A field of a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WireValue<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// Walks the fields of a protobuf message; ends at the first that is damaged.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Fields<'a> {
    /// The fields of a message.
    pub fn new(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message, length: message.len() }
    }

    /// Where in the message the last field ended: a value of wire type 1, 2 or 5 lies right before it.
    pub fn position(&self) -> usize {
        self.length - self.rest.len()
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u32, WireValue<'a>)> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok()?;
        let value = match tag & 7 {
            0 => WireValue::Varint(self.varint()?),
            1 => WireValue::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                WireValue::Bytes(self.take(length)?)
            }
            5 => WireValue::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, WireValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        field
    }
}

/// A typed value, borrowed from its message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnyValue<'a> {
    /// No value.
    Empty,
    /// Text.
    Text(&'a [u8]),
    /// A boolean.
    Bool(bool),
    /// An integer.
    I64(i64),
    /// A double.
    F64(f64),
    /// The `ArrayValue` message.
    Array(&'a [u8]),
    /// The `KeyValueList` message.
    Map(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// Reads an `AnyValue` message. Of several values the last counts, as protobuf says of a oneof.
pub fn read(message: &[u8]) -> AnyValue<'_> {
    let mut value = AnyValue::Empty;
    for field in Fields::new(message) {
        value = match field {
            (1, WireValue::Bytes(text)) => AnyValue::Text(text),
            (2, WireValue::Varint(bit)) => AnyValue::Bool(bit != 0),
            (3, WireValue::Varint(bits)) => AnyValue::I64(bits.cast_signed()),
            (4, WireValue::Fixed64(bits)) => AnyValue::F64(f64::from_bits(bits)),
            (5, WireValue::Bytes(array)) => AnyValue::Array(array),
            (6, WireValue::Bytes(map)) => AnyValue::Map(map),
            (7, WireValue::Bytes(bytes)) => AnyValue::Bytes(bytes),
            _ => value,
        };
    }
    value
}

/// The values of an `ArrayValue` message.
pub fn elements(array: &[u8]) -> impl Iterator<Item = AnyValue<'_>> {
    Fields::new(array).filter_map(|field| match field {
        (1, WireValue::Bytes(value)) => Some(read(value)),
        _ => None,
    })
}

/// The entries of a `KeyValueList` message: key and `AnyValue` message.
pub fn entries(map: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    Fields::new(map).filter_map(|field| match field {
        (1, WireValue::Bytes(entry)) => Some(read_entry(entry)),
        _ => None,
    })
}

/// Reads a `KeyValue` message: key and `AnyValue` message.
pub fn read_entry(entry: &[u8]) -> (&[u8], &[u8]) {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields::new(entry) {
        match field {
            (1, WireValue::Bytes(bytes)) => key = bytes,
            (2, WireValue::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    (key, value)
}

/// The canonical JSON text of an `AnyValue` message: no spaces, keys in their order, bytes as base64 text,
/// NaN and infinities as text, an absent value as null.
pub fn canonical_json(message: &[u8]) -> String {
    let mut text = String::new();
    write_json(read(message), &mut text, 0);
    text
}

fn write_json(value: AnyValue<'_>, out: &mut String, depth: usize) {
    match value {
        AnyValue::Empty => out.push_str("null"),
        AnyValue::Text(text) => write_json_string(&String::from_utf8_lossy(text), out),
        AnyValue::Bool(bit) => out.push_str(if bit { "true" } else { "false" }),
        AnyValue::I64(number) => out.push_str(&number.to_string()),
        AnyValue::F64(number) if number.is_finite() => out.push_str(&canonical_f64(number)),
        AnyValue::F64(number) => write_json_string(&canonical_f64(number), out),
        AnyValue::Bytes(bytes) => write_json_string(&base64(bytes), out),
        AnyValue::Array(_) | AnyValue::Map(_) if depth >= NESTING_DEPTH_MAX => out.push_str("null"),
        AnyValue::Array(array) => {
            out.push('[');
            for (index, element) in elements(array).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(element, out, depth + 1);
            }
            out.push(']');
        }
        AnyValue::Map(map) => {
            out.push('{');
            for (index, (key, value)) in entries(map).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json_string(&String::from_utf8_lossy(key), out);
                out.push(':');
                write_json(read(value), out, depth + 1);
            }
            out.push('}');
        }
    }
}

/// Writes a JSON string with its quotes.
pub fn write_json_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                // Writing to a String cannot fail.
                write!(out, "\\u{:04x}", u32::from(control)).unwrap_or_default();
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Standard base64 with padding (RFC 4648 §4).
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            if place <= chunk.len() {
                let digit = (group >> (18 - 6 * place)) & 63;
                text.push(char::from(DIGITS[digit as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_value_lies_before_the_position() {
        let message = [8, 150, 1, 18, 3, b'a', b'b', b'c', 25, 1, 2, 3, 4, 5, 6, 7, 8];
        let mut fields = Fields::new(&message);
        assert_eq!((fields.position(), fields.next()), (0, Some((1, WireValue::Varint(150)))));
        assert_eq!((fields.next(), fields.position()), (Some((2, WireValue::Bytes(b"abc"))), 8));
        assert_eq!(&message[fields.position() - 3..fields.position()], b"abc");
        assert!(matches!(fields.next(), Some((3, WireValue::Fixed64(_)))));
        assert_eq!(fields.position(), message.len());
    }

    #[test]
    fn json_of_a_nested_value() {
        // {"a": [1, "x", true, null]} as AnyValue bytes.
        let array = [&[10, 2, 24, 1][..], &[10, 3, 10, 1, b'x'], &[10, 2, 16, 1], &[10, 0]].concat();
        let array_value = [&[42, 15][..], &array].concat();
        assert_eq!(array.len(), 15);
        let entry = [&[10, 1, b'a', 18, 17][..], &array_value].concat();
        let map = [&[10, 22][..], &entry].concat();
        let value = [&[50, 24][..], &map].concat();
        assert_eq!(canonical_json(&value), r#"{"a":[1,"x",true,null]}"#);
        for end in 0..value.len() {
            canonical_json(&value[..end]); // damage never panics
        }
    }
}
