//! Values as the tests and aggregates see them: borrowed, typed, and compared without losing a digit.

use std::borrow::Cow;
use std::cmp::Ordering;

use skein_event::any_value;
use skein_event::value::{Value, canonical_f64, whole_number};

/// A borrowed value.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// A boolean.
    Bool(bool),
    /// An integer.
    I64(i64),
    /// A double.
    F64(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// The bytes of an `AnyValue` message.
    Json(&'a [u8]),
}

/// The types of values, in the order in which a tie between them is broken: text first (SEMANTICS.md).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Type {
    /// Text.
    Text = 0,
    /// Bytes.
    Bytes = 1,
    /// A typed OTLP value.
    Json = 2,
    /// A boolean.
    Bool = 3,
    /// An integer.
    I64 = 4,
    /// A double.
    F64 = 5,
}

impl Type {
    /// Number of types.
    pub const COUNT: usize = 6;

    /// All of them, by number.
    pub const ALL: [Type; Type::COUNT] =
        [Type::Text, Type::Bytes, Type::Json, Type::Bool, Type::I64, Type::F64];

    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Type::Text => "text",
            Type::Bytes => "bytes",
            Type::Json => "json",
            Type::Bool => "bool",
            Type::I64 => "i64",
            Type::F64 => "f64",
        }
    }
}

impl<'a> ValueRef<'a> {
    /// Its type.
    pub fn value_type(self) -> Type {
        match self {
            ValueRef::Bool(_) => Type::Bool,
            ValueRef::I64(_) => Type::I64,
            ValueRef::F64(_) => Type::F64,
            ValueRef::Text(_) => Type::Text,
            ValueRef::Bytes(_) => Type::Bytes,
            ValueRef::Json(_) => Type::Json,
        }
    }

    /// The text by which values are grouped and compared across types.
    pub fn canonical_text(self) -> Cow<'a, str> {
        match self {
            ValueRef::Bool(true) => Cow::Borrowed("true"),
            ValueRef::Bool(false) => Cow::Borrowed("false"),
            ValueRef::I64(value) => Cow::Owned(value.to_string()),
            ValueRef::F64(value) => Cow::Owned(canonical_f64(value)),
            ValueRef::Text(text) => Cow::Borrowed(text),
            ValueRef::Bytes(bytes) => Cow::Owned(any_value::base64(bytes)),
            ValueRef::Json(message) => Cow::Owned(any_value::canonical_json(message)),
        }
    }

    /// The number it is, when it is one or is text that wholly is one.
    pub fn number(self) -> Option<Number> {
        match self {
            ValueRef::I64(value) => Some(Number::I64(value)),
            ValueRef::F64(value) => Some(Number::F64(value)),
            ValueRef::Text(text) => Number::of_text(text),
            ValueRef::Bool(_) | ValueRef::Bytes(_) | ValueRef::Json(_) => None,
        }
    }

    /// An owned copy.
    pub fn to_value(self) -> Value {
        match self {
            ValueRef::Bool(value) => Value::Bool(value),
            ValueRef::I64(value) => Value::I64(value),
            ValueRef::F64(value) => Value::F64(value),
            ValueRef::Text(text) => Value::Text(text.to_owned()),
            ValueRef::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            ValueRef::Json(message) => Value::Json(message.to_vec()),
        }
    }
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(value: &'a Value) -> ValueRef<'a> {
        match value {
            Value::Bool(value) => ValueRef::Bool(*value),
            Value::I64(value) => ValueRef::I64(*value),
            Value::F64(value) => ValueRef::F64(*value),
            Value::Text(text) => ValueRef::Text(text),
            Value::Bytes(bytes) => ValueRef::Bytes(bytes),
            Value::Json(message) => ValueRef::Json(message),
        }
    }
}

/// A number, as precise as it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    I64(i64),
    /// A double.
    F64(f64),
}

impl Number {
    /// The number that a text wholly is. Digits that fit i64 stay whole.
    pub fn of_text(text: &str) -> Option<Number> {
        let double = whole_number(text)?;
        Some(text.parse().map_or(Number::F64(double), Number::I64))
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "the nearest double is what is asked for")]
            Number::I64(value) => value as f64,
            Number::F64(value) => value,
        }
    }

    /// The difference: whole of whole numbers as long as it fits.
    pub fn minus(self, other: Number) -> Number {
        match (self, other) {
            (Number::I64(a), Number::I64(b)) => {
                a.checked_sub(b).map_or(Number::F64(self.to_f64() - other.to_f64()), Number::I64)
            }
            _ => Number::F64(self.to_f64() - other.to_f64()),
        }
    }

    /// Whether it is not a number at all.
    pub fn is_nan(self) -> bool {
        matches!(self, Number::F64(value) if value.is_nan())
    }

    /// Exact comparison: 2^53 + 1 differs from 2^53 as a double. `None` when either is NaN. −0 = 0.
    pub fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::I64(a), Number::I64(b)) => Some(a.cmp(&b)),
            (Number::F64(a), Number::F64(b)) => a.partial_cmp(&b),
            (Number::I64(a), Number::F64(b)) => compare_mixed(a, b),
            (Number::F64(a), Number::I64(b)) => compare_mixed(b, a).map(Ordering::reverse),
        }
    }
}

fn compare_mixed(whole: i64, double: f64) -> Option<Ordering> {
    const I64_BOUND: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        return None;
    }
    if double >= I64_BOUND {
        return Some(Ordering::Less);
    }
    if double < -I64_BOUND {
        return Some(Ordering::Greater);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the bounds were checked and the fraction is compared"
    )]
    let floor = double.floor() as i64;
    Some(whole.cmp(&floor).then_with(|| if double.fract() == 0.0 { Ordering::Equal } else { Ordering::Less }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly_across_types() {
        let cases: &[(Number, Number, Option<Ordering>)] = &[
            (Number::I64(1), Number::F64(1.0), Some(Ordering::Equal)),
            (Number::I64(1), Number::F64(1.5), Some(Ordering::Less)),
            (Number::I64(-1), Number::F64(-1.5), Some(Ordering::Greater)),
            (
                Number::I64(9_007_199_254_740_993),
                Number::F64(9_007_199_254_740_992.0),
                Some(Ordering::Greater),
            ),
            (Number::I64(i64::MAX), Number::F64(9_223_372_036_854_775_808.0), Some(Ordering::Less)),
            (Number::I64(i64::MIN), Number::F64(-9_223_372_036_854_775_808.0), Some(Ordering::Equal)),
            (Number::I64(0), Number::F64(f64::NAN), None),
            (Number::F64(-0.0), Number::F64(0.0), Some(Ordering::Equal)),
            (Number::F64(f64::INFINITY), Number::I64(i64::MAX), Some(Ordering::Greater)),
        ];
        for &(a, b, expected) in cases {
            assert_eq!(a.compare(b), expected, "{a:?} {b:?}");
            assert_eq!(b.compare(a), expected.map(Ordering::reverse), "{b:?} {a:?}");
        }
    }

    #[test]
    fn digits_of_text_stay_whole() {
        assert_eq!(Number::of_text("9007199254740993"), Some(Number::I64(9_007_199_254_740_993)));
        assert_eq!(Number::of_text("1.0"), Some(Number::F64(1.0)));
        assert_eq!(Number::of_text("99999999999999999999"), Some(Number::F64(1e20)));
        assert_eq!(Number::of_text("5 ms"), None);
    }
}
