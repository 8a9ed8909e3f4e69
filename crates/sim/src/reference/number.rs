//! Numbers as the semantics see them: integers and doubles compared by value, and text that wholly is one.

use std::cmp::Ordering;

use skein_event::value::{Value, whole_number};

/// A number of either type.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// An integer.
    I64(i64),
    /// A double.
    F64(f64),
}

impl Number {
    /// The number a value is, or wholly spells.
    pub fn of(value: &Value) -> Option<Number> {
        match value {
            Value::I64(value) => Some(Number::I64(*value)),
            Value::F64(value) => Some(Number::F64(*value)),
            Value::Text(text) => {
                let double = whole_number(text)?;
                Some(text.parse().map_or(Number::F64(double), Number::I64))
            }
            Value::Bool(_) | Value::Bytes(_) | Value::Json(_) => None,
        }
    }

    /// As a value.
    pub fn value(self) -> Value {
        match self {
            Number::I64(value) => Value::I64(value),
            Number::F64(value) => Value::F64(value),
        }
    }

    /// As a double.
    #[expect(clippy::cast_precision_loss, reason = "that is what a double is")]
    pub fn double(self) -> f64 {
        match self {
            Number::I64(value) => value as f64,
            Number::F64(value) => value,
        }
    }

    /// By value and without rounding; NaN compares with nothing.
    pub fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::I64(a), Number::I64(b)) => Some(a.cmp(&b)),
            (Number::F64(a), Number::F64(b)) => a.partial_cmp(&b),
            (Number::I64(a), Number::F64(b)) => whole_and_double(a, b),
            (Number::F64(a), Number::I64(b)) => whole_and_double(b, a).map(Ordering::reverse),
        }
    }
}

fn whole_and_double(whole: i64, double: f64) -> Option<Ordering> {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        return None;
    }
    if double >= BOUND {
        return Some(Ordering::Less);
    }
    if double < -BOUND {
        return Some(Ordering::Greater);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
    let floor = double.floor() as i64;
    let fraction = if double.fract() == 0.0 { Ordering::Equal } else { Ordering::Less };
    Some(whole.cmp(&floor).then(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_doubles_compare_without_rounding() {
        let cases = [
            (Number::I64(1), Number::F64(1.5), Some(Ordering::Less)),
            (Number::I64(2), Number::F64(1.5), Some(Ordering::Greater)),
            (Number::I64(-1), Number::F64(-1.5), Some(Ordering::Greater)),
            (Number::I64(i64::MAX), Number::F64(9.223_372_036_854_776e18), Some(Ordering::Less)),
            (Number::I64((1 << 53) + 1), Number::F64(9_007_199_254_740_992.0), Some(Ordering::Greater)),
            (Number::F64(-0.0), Number::I64(0), Some(Ordering::Equal)),
            (Number::I64(0), Number::F64(f64::NAN), None),
        ];
        for (a, b, expected) in cases {
            assert_eq!(a.compare(b), expected, "{a:?} {b:?}");
            assert_eq!(b.compare(a), expected.map(Ordering::reverse), "{b:?} {a:?}");
        }
    }
}
