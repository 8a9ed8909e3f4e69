//! OTLP/JSON: writes messages as the OTLP specification's JSON encoding says.
//!
//! Keys in lowerCamelCase, trace and span ids in hex, other bytes in base64, 64-bit integers as text, numbers
//! of enumerations as integers, NaN and infinities as text. A field that has its default value is left out; a
//! field that knows presence is written when it is present. Reading is the doors' business.

use std::fmt::Write as _;

mod collector;
mod common;
mod logs;
mod metrics;
mod rpc;
mod trace;

/// A message that has a JSON form.
pub trait ToJson {
    /// Appends the message's JSON text.
    fn write_json(&self, out: &mut String);

    /// The message's JSON text.
    fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }
}

/// A JSON object that is being written.
#[derive(Debug)]
struct Object<'a> {
    out: &'a mut String,
    is_first: bool,
}

impl<'a> Object<'a> {
    fn open(out: &'a mut String) -> Object<'a> {
        out.push('{');
        Object { out, is_first: true }
    }

    fn close(self) {
        self.out.push('}');
    }

    /// Writes the key; the caller appends the value.
    fn key(&mut self, name: &str) -> &mut String {
        if !std::mem::replace(&mut self.is_first, false) {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        self.out
    }

    fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            write_string(value, self.key(name));
        }
    }

    fn hex(&mut self, name: &str, id: &[u8]) {
        if !id.is_empty() {
            write_hex(id, self.key(name));
        }
    }

    fn boolean(&mut self, name: &str, value: bool) {
        if value {
            self.key(name).push_str("true");
        }
    }

    /// A 64-bit integer, as text.
    fn wide(&mut self, name: &str, value: u64) {
        if value != 0 {
            write_quoted(value, self.key(name));
        }
    }

    /// A 32-bit integer, as a number.
    fn narrow(&mut self, name: &str, value: impl Into<i64>) {
        let value = value.into();
        if value != 0 {
            write_number(value, self.key(name));
        }
    }

    fn optional_double(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value {
            write_f64(value, self.key(name));
        }
    }

    fn optional<T: ToJson>(&mut self, name: &str, value: Option<&T>) {
        if let Some(value) = value {
            value.write_json(self.key(name));
        }
    }

    fn list<T: ToJson>(&mut self, name: &str, items: &[T]) {
        self.list_with(name, items, T::write_json);
    }

    fn list_with<T>(&mut self, name: &str, items: &[T], write: impl Fn(&T, &mut String)) {
        if !items.is_empty() {
            write_list(items, self.key(name), write);
        }
    }
}

fn write_list<T>(items: &[T], out: &mut String, write: impl Fn(&T, &mut String)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(']');
}

fn write_number(value: i64, out: &mut String) {
    // Writing to a String cannot fail.
    write!(out, "{value}").unwrap_or_default();
}

fn write_quoted(value: impl std::fmt::Display, out: &mut String) {
    write!(out, "\"{value}\"").unwrap_or_default();
}

fn write_f64(value: f64, out: &mut String) {
    if value.is_nan() {
        out.push_str("\"NaN\"");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
    } else {
        // The shortest text that reads back as the same double.
        write!(out, "{value:?}").unwrap_or_default();
    }
}

fn write_hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out.push('"');
}

/// Standard base64 with padding (RFC 4648 §4).
fn write_base64(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push('"');
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[((group >> (18 - 6 * place)) & 63) as usize];
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out.push('"');
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                write!(out, "\\u{:04x}", u32::from(control)).unwrap_or_default();
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
