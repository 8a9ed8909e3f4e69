//! A single value, and its canonical text (SEMANTICS.md, "Values").
//!
//! Hot paths never build a [`Value`]; it is for literals, for what is shown, and for the reference
//! interpreter of `sim`, which shares this definition of canonical text and nothing else.

use std::borrow::Cow;

use crate::any_value;

/// A value of an event.
#[derive(Clone, Debug)]
pub enum Value {
    /// A boolean.
    Bool(bool),
    /// A 64-bit integer.
    I64(i64),
    /// A double.
    F64(f64),
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A typed OTLP value: the bytes of an `AnyValue` message. Its canonical text is JSON.
    Json(Vec<u8>),
}

/// Bit equality: NaN equals itself.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::I64(a), Value::I64(b)) => a == b,
            (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) | (Value::Json(a), Value::Json(b)) => a == b,
            _ => false,
        }
    }
}

impl Value {
    /// The text by which values are compared across types and grouped: 500 and "500" share it, 1.0 is "1".
    pub fn canonical_text(&self) -> Cow<'_, str> {
        match self {
            Value::Bool(true) => Cow::Borrowed("true"),
            Value::Bool(false) => Cow::Borrowed("false"),
            Value::I64(value) => Cow::Owned(value.to_string()),
            Value::F64(value) => Cow::Owned(canonical_f64(*value)),
            Value::Text(text) => Cow::Borrowed(text),
            Value::Bytes(bytes) => Cow::Owned(any_value::base64(bytes)),
            Value::Json(bytes) => Cow::Owned(any_value::canonical_json(bytes)),
        }
    }
}

/// The canonical text of a double: of a whole number its digits, otherwise the shortest text that reads back
/// as the same double. −0 is "0".
pub fn canonical_f64(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    // Between these bounds every whole double is an i64, so 500.0 and 500 share their text.
    const I64_BOUND: f64 = 9_223_372_036_854_775_808.0;
    if value.fract() == 0.0 && (-I64_BOUND..I64_BOUND).contains(&value) {
        #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
        return (value as i64).to_string();
    }
    format!("{value:?}").trim_end_matches(".0").to_owned()
}

/// The number that a text wholly is, as SEMANTICS.md counts it: an optional sign, digits with an optional
/// point and exponent; no spaces, no words.
pub fn whole_number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let starts_well = unsigned.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'.');
    if !starts_well || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_text_is_shared_across_types() {
        let cases: &[(Value, &str)] = &[
            (Value::I64(500), "500"),
            (Value::F64(500.0), "500"),
            (Value::Text("500".into()), "500"),
            (Value::F64(-0.0), "0"),
            (Value::F64(1e16), "10000000000000000"),
            (Value::I64(10_000_000_000_000_000), "10000000000000000"),
            (Value::F64(0.1), "0.1"),
            (Value::F64(1e300), "1e300"),
            (Value::F64(f64::NAN), "NaN"),
            (Value::F64(f64::NEG_INFINITY), "-Infinity"),
            (Value::Bool(true), "true"),
            (Value::Bytes(vec![65, 66]), "QUI="),
        ];
        for (value, text) in cases {
            assert_eq!(value.canonical_text(), *text, "{value:?}");
        }
    }

    #[test]
    fn only_text_that_is_wholly_a_number_is_one() {
        for (text, number) in [("500", 500.0), ("-1.5e3", -1500.0), (".5", 0.5), ("+7", 7.0), ("1.", 1.0)] {
            assert_eq!(whole_number(text), Some(number), "{text}");
        }
        for text in ["", " 5", "5 ", "5x", "NaN", "inf", "0x10", "-", "e5", "1e"] {
            assert_eq!(whole_number(text), None, "{text}");
        }
    }
}
