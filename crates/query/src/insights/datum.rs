//! What Logs Insights computes with: a missing value, booleans, numbers, text, times, and maps and lists of JSON.
//!
//! The rules between types are those of the language, where every field of an event is text that may look like a number:
//! text that is wholly a number counts as one where a number is asked for or compared with. A comparison with a missing
//! value, a map or a list is neither true nor false. Booleans come out as 1 and 0.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::Value as Json;
use skein_event::value::{Value, canonical_f64};

use crate::expression::Scalar;
use crate::number::{Number, ValueRef};
use crate::plan::Literal;
use crate::time_text::{format_ns, parse_ns};

/// A value while it is computed, and in answers.
#[derive(Clone, Debug)]
pub enum Datum {
    /// A missing field, or no sensible value.
    Missing,
    /// A boolean of an event; what the language itself computes is 1 or 0.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// Any other number.
    F64(f64),
    /// Text.
    Text(Arc<str>),
    /// A time, epoch nanoseconds. As a number it is milliseconds, as text RFC 3339.
    Time(i64),
    /// A map or a list, never anything simpler.
    Json(Arc<Json>),
}

/// Bit equality: NaN equals itself. It tells plans and answers apart; what `=` means is [`Datum::equals`].
impl PartialEq for Datum {
    fn eq(&self, other: &Datum) -> bool {
        match (self, other) {
            (Datum::Missing, Datum::Missing) => true,
            (Datum::Bool(a), Datum::Bool(b)) => a == b,
            (Datum::I64(a), Datum::I64(b)) | (Datum::Time(a), Datum::Time(b)) => a == b,
            (Datum::F64(a), Datum::F64(b)) => a.to_bits() == b.to_bits(),
            (Datum::Text(a), Datum::Text(b)) => a == b,
            (Datum::Json(a), Datum::Json(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Datum {}

impl From<bool> for Datum {
    fn from(value: bool) -> Datum {
        Datum::I64(i64::from(value))
    }
}

impl From<Option<bool>> for Datum {
    fn from(value: Option<bool>) -> Datum {
        value.map_or(Datum::Missing, Datum::from)
    }
}

impl From<&str> for Datum {
    fn from(text: &str) -> Datum {
        Datum::Text(Arc::from(text))
    }
}

impl From<String> for Datum {
    fn from(text: String) -> Datum {
        Datum::Text(Arc::from(text))
    }
}

impl From<ValueRef<'_>> for Datum {
    fn from(value: ValueRef<'_>) -> Datum {
        match value {
            ValueRef::Bool(value) => Datum::Bool(value),
            ValueRef::I64(value) => Datum::I64(value),
            ValueRef::F64(value) => Datum::F64(value),
            ValueRef::Text(text) => Datum::from(text),
            // Lists of an event are text until they are asked for a part of them.
            ValueRef::Bytes(_) | ValueRef::Json(_) => Datum::from(value.canonical_text().as_ref()),
        }
    }
}

impl From<&Literal> for Datum {
    fn from(literal: &Literal) -> Datum {
        match literal {
            Literal::Bool(value) => Datum::Bool(*value),
            Literal::I64(value) => Datum::I64(*value),
            Literal::F64(value) => Datum::F64(*value),
            Literal::Text(text) => Datum::from(text.as_str()),
        }
    }
}

impl From<&Scalar> for Datum {
    fn from(value: &Scalar) -> Datum {
        match value {
            Scalar::Null => Datum::Missing,
            Scalar::Bool(value) => Datum::Bool(*value),
            Scalar::I64(value) => Datum::I64(*value),
            Scalar::F64(value) => Datum::F64(*value),
            Scalar::Text(text) => Datum::Text(Arc::clone(text)),
        }
    }
}

impl From<Datum> for Scalar {
    /// A time becomes its nanoseconds: whoever reads the column knows that it is one.
    fn from(value: Datum) -> Scalar {
        match value {
            Datum::Missing => Scalar::Null,
            Datum::Bool(value) => Scalar::Bool(value),
            Datum::I64(value) | Datum::Time(value) => Scalar::I64(value),
            Datum::F64(value) => Scalar::F64(value),
            Datum::Text(text) => Scalar::Text(text),
            Datum::Json(json) => Scalar::Text(Arc::from(json.to_string())),
        }
    }
}

impl Datum {
    /// A value of JSON: what is simple becomes simple.
    pub fn of_json(json: &Json) -> Datum {
        match json {
            Json::Null => Datum::Missing,
            Json::Bool(value) => Datum::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Datum::I64(whole),
                None => number.as_f64().map_or(Datum::Missing, Datum::number),
            },
            Json::String(text) => Datum::from(text.as_str()),
            Json::Array(_) | Json::Object(_) => Datum::Json(Arc::new(json.clone())),
        }
    }

    /// The JSON of it, for lists and maps it becomes part of, and for answers.
    pub fn to_json(&self) -> Json {
        match self {
            Datum::Missing => Json::Null,
            Datum::Time(time_ns) => Json::String(format_ns(*time_ns)),
            Datum::Json(json) => (**json).clone(),
            simple => simple.to_value().as_ref().map_or(Json::Null, crate::render::json_value),
        }
    }

    /// The event's value that it is; `None` where it is missing. Maps and lists are their JSON text.
    pub fn to_value(&self) -> Option<Value> {
        Some(match self {
            Datum::Missing => return None,
            Datum::Bool(value) => Value::Bool(*value),
            Datum::I64(value) => Value::I64(*value),
            Datum::F64(value) => Value::F64(*value),
            Datum::Text(text) => Value::Text(text.to_string()),
            Datum::Time(time_ns) => Value::Text(format_ns(*time_ns)),
            Datum::Json(json) => Value::Text(json.to_string()),
        })
    }

    /// A number, or nothing where it is no finite one.
    pub(super) fn number(number: f64) -> Datum {
        if number.is_finite() { Datum::F64(number) } else { Datum::Missing }
    }

    /// A count of something.
    pub(super) fn count(number: usize) -> Datum {
        Datum::I64(i64::try_from(number).unwrap_or(i64::MAX))
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Datum::Missing)
    }

    /// The number it is where one is asked for: text only if it wholly is one, a boolean 1 or 0, a time its milliseconds.
    pub(super) fn as_number(&self) -> Option<Number> {
        match self {
            Datum::Bool(value) => Some(Number::I64(i64::from(*value))),
            Datum::I64(value) => Some(Number::I64(*value)),
            Datum::F64(value) => Some(Number::F64(*value)),
            Datum::Text(text) => Number::of_text(text),
            Datum::Time(time_ns) => Some(milliseconds(*time_ns)),
            Datum::Missing | Datum::Json(_) => None,
        }
    }

    /// The nearest double of that.
    pub(super) fn as_f64(&self) -> Option<f64> {
        self.as_number().map(Number::to_f64)
    }

    /// The whole number of that, without its fraction.
    pub(super) fn as_i64(&self) -> Option<i64> {
        // 2^63: every double below it, and down to its negative, is an i64 without its fraction.
        const BOUND: f64 = 9_223_372_036_854_775_808.0;
        match self.as_number()? {
            Number::I64(value) => Some(value),
            #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
            Number::F64(value) if (-BOUND..BOUND).contains(&value) => Some(value.trunc() as i64),
            Number::F64(_) => None,
        }
    }

    /// The time it stands for, epoch nanoseconds: of a number its milliseconds, of text what RFC 3339 says.
    pub(super) fn as_time(&self) -> Option<i64> {
        match self {
            Datum::Time(time_ns) => Some(*time_ns),
            Datum::Text(text) => parse_ns(text).or_else(|| self.as_i64()?.checked_mul(1_000_000)),
            _ => match self.as_number()? {
                Number::I64(ms) => ms.checked_mul(1_000_000),
                Number::F64(ms) => Datum::F64((ms * 1e6).round()).as_i64(),
            },
        }
    }

    /// Its text; `None` for a missing value, a map or a list, of which string functions know nothing.
    pub(super) fn as_text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Datum::Missing | Datum::Json(_) => return None,
            Datum::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Datum::I64(value) => Cow::Owned(value.to_string()),
            Datum::F64(value) => Cow::Owned(canonical_f64(*value)),
            Datum::Text(text) => Cow::Borrowed(text),
            Datum::Time(time_ns) => Cow::Owned(format_ns(*time_ns)),
        })
    }

    /// The text by which values are grouped and told apart: 500 and "500" share it. Missing has none.
    pub fn key(&self) -> Option<Cow<'_, str>> {
        match self {
            Datum::Json(json) => Some(Cow::Owned(json.to_string())),
            simple => simple.as_text(),
        }
    }

    /// The map or list it is; text is one when it is JSON of one.
    pub(super) fn as_json(&self) -> Option<Arc<Json>> {
        match self {
            Datum::Json(json) => Some(Arc::clone(json)),
            Datum::Text(text) if text.trim_start().starts_with(['{', '[']) => {
                serde_json::from_str(text).ok().map(Arc::new)
            }
            _ => None,
        }
    }

    /// Whether a condition of this value holds; `None` when it is neither true nor false.
    pub fn truth(&self) -> Option<bool> {
        match self {
            Datum::Missing | Datum::Json(_) => None,
            Datum::Bool(value) => Some(*value),
            Datum::Text(text) if matches!(&**text, "true" | "false") => Some(&**text == "true"),
            other => Some(other.as_f64().is_some_and(|number| number != 0.0)),
        }
    }

    /// `=`: numbers by value; a number and text when the text is the number's; `None` when neither.
    pub(super) fn equals(&self, other: &Datum) -> Option<bool> {
        Some(match (self, other) {
            (Datum::Missing | Datum::Json(_), _) | (_, Datum::Missing | Datum::Json(_)) => return None,
            (Datum::Text(a), Datum::Text(b)) => a == b,
            (Datum::Time(_), _) | (_, Datum::Time(_)) => self.order(other)?.is_eq(),
            (Datum::Bool(truth), value) | (value, Datum::Bool(truth)) => match value {
                Datum::Bool(other) => truth == other,
                Datum::Text(text) => {
                    matches!((truth, &**text), (true, "true" | "1") | (false, "false" | "0"))
                }
                number => number.as_f64() == Some(f64::from(u8::from(*truth))),
            },
            (Datum::Text(text), number) | (number, Datum::Text(text)) => {
                // What is no finite number equals nothing, whatever it is written as.
                number.as_f64().is_some_and(f64::is_finite)
                    && number.as_text().is_some_and(|number| *number == **text)
            }
            (a, b) => a.as_number()?.compare(b.as_number()?) == Some(Ordering::Equal),
        })
    }

    /// `<` and friends: two texts by their bytes, otherwise as numbers; `None` when they do not compare.
    pub(super) fn order(&self, other: &Datum) -> Option<Ordering> {
        match (self, other) {
            (Datum::Text(a), Datum::Text(b)) => Some(a.cmp(b)),
            (Datum::Time(a), Datum::Time(b)) => Some(a.cmp(b)),
            (Datum::Time(a), Datum::Text(text)) if parse_ns(text).is_some() => Some(a.cmp(&parse_ns(text)?)),
            (Datum::Text(text), Datum::Time(b)) if parse_ns(text).is_some() => Some(parse_ns(text)?.cmp(b)),
            // A stored boolean equals 1 or 0, and is neither above nor below a number.
            (Datum::Bool(_), _) | (_, Datum::Bool(_)) => None,
            _ => self.as_number()?.compare(other.as_number()?),
        }
    }

    /// The order of `sort`: numbers, and text that is one, before other text; a missing value is last either way.
    pub fn sort_order(&self, other: &Datum, descending: bool) -> Ordering {
        let turned = |ordering: Ordering| if descending { ordering.reverse() } else { ordering };
        let rank = |datum: &Datum| match datum {
            Datum::Missing | Datum::Json(_) => (2, None),
            Datum::F64(number) if number.is_nan() => (2, None),
            other => other.as_number().map_or((1, None), |number| (0, Some(number))),
        };
        match (rank(self), rank(other)) {
            ((0, Some(a)), (0, Some(b))) => turned(a.compare(b).unwrap_or(Ordering::Equal)),
            ((1, _), (1, _)) => turned(self.as_text().cmp(&other.as_text())),
            ((a, _), (b, _)) if a == 2 || b == 2 => a.cmp(&b),
            ((a, _), (b, _)) => turned(a.cmp(&b)),
        }
    }

    /// Bytes of memory it holds beside itself.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Datum::Text(text) => text.len() + 16,
            Datum::Json(json) => json_bytes(json),
            _ => 0,
        }
    }
}

/// About what a JSON value takes in memory.
fn json_bytes(json: &Json) -> usize {
    32 + match json {
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(json_bytes).sum(),
        Json::Object(members) => {
            members.iter().map(|(name, value)| 48 + name.len() + json_bytes(value)).sum()
        }
        _ => 0,
    }
}

/// Nanoseconds as milliseconds: whole where they are.
pub(super) fn milliseconds(time_ns: i64) -> Number {
    #[expect(clippy::cast_precision_loss, reason = "a fraction of a millisecond makes it a double")]
    let fraction = || Number::F64(time_ns as f64 / 1e6);
    if time_ns % 1_000_000 == 0 { Number::I64(time_ns / 1_000_000) } else { fraction() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_compare_as_the_language_says() {
        let text = |text: &str| Datum::from(text);
        let json = Datum::of_json(&serde_json::json!([1]));
        for (a, b, equal) in [
            (Datum::I64(500), text("500"), Some(true)),
            (Datum::I64(500), Datum::F64(500.0), Some(true)),
            (Datum::I64(500), text("500.0"), Some(false)),
            (text("500"), text("500.0"), Some(false)),
            (Datum::Bool(true), Datum::I64(1), Some(true)),
            (Datum::Bool(true), text("true"), Some(true)),
            (Datum::Bool(false), text("true"), Some(false)),
            (Datum::Bool(false), Datum::I64(0), Some(true)),
            (Datum::Time(5_000_000), Datum::I64(5), Some(true)),
            (Datum::Time(0), text("1970-01-01T00:00:00Z"), Some(true)),
            (Datum::Missing, Datum::Missing, None),
            (Datum::Missing, text(""), None),
            (Datum::F64(f64::NAN), text("NaN"), Some(false)),
            (Datum::F64(f64::NAN), Datum::F64(f64::NAN), Some(false)),
            (json.clone(), json.clone(), None),
        ] {
            assert_eq!(a.equals(&b), equal, "{a:?} {b:?}");
            assert_eq!(b.equals(&a), equal, "{b:?} {a:?}");
        }
        for (a, b, order) in [
            (text("9"), Datum::I64(10), Some(Ordering::Less)),
            (text("9"), text("10"), Some(Ordering::Greater)),
            (text("x"), Datum::I64(10), None),
            (Datum::Missing, Datum::I64(10), None),
            (json, Datum::I64(10), None),
        ] {
            assert_eq!(a.order(&b), order, "{a:?} {b:?}");
        }
    }

    #[test]
    fn missing_sorts_last_either_way() {
        let mut values =
            vec![Datum::Missing, Datum::from("b"), Datum::I64(2), Datum::from("10"), Datum::from("a")];
        values.sort_by(|a, b| a.sort_order(b, false));
        let shown =
            |values: &[Datum]| values.iter().map(|v| v.key().map(Cow::into_owned)).collect::<Vec<_>>();
        let some = |texts: &[&str]| texts.iter().map(|t| Some((*t).to_owned())).collect::<Vec<_>>();
        assert_eq!(shown(&values)[..4], some(&["2", "10", "a", "b"]));
        assert_eq!(shown(&values)[4], None);
        values.sort_by(|a, b| a.sort_order(b, true));
        assert_eq!(shown(&values)[..4], some(&["b", "a", "10", "2"]));
        assert_eq!(shown(&values)[4], None);
    }
}
