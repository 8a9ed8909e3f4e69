//! What an expression computes with: null, booleans, numbers and text.
//!
//! Bytes and lists of an event enter as their canonical text. Text is shared, since most of it only passes through.

use std::cmp::Ordering;
use std::sync::Arc;

use skein_event::value::canonical_f64;

use crate::number::{Number, ValueRef};
use crate::plan::Literal;

/// A value while it is computed.
#[derive(Clone, Debug)]
pub enum Scalar {
    /// A missing column, or no sensible value.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    I64(i64),
    /// A double.
    F64(f64),
    /// Text.
    Text(Arc<str>),
}

/// Bit equality: NaN equals itself. It tells plans apart; what EQUALS means is [`Scalar::equals`].
impl PartialEq for Scalar {
    fn eq(&self, other: &Scalar) -> bool {
        match (self, other) {
            (Scalar::Null, Scalar::Null) => true,
            (Scalar::Bool(a), Scalar::Bool(b)) => a == b,
            (Scalar::I64(a), Scalar::I64(b)) => a == b,
            (Scalar::F64(a), Scalar::F64(b)) => a.to_bits() == b.to_bits(),
            (Scalar::Text(a), Scalar::Text(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Scalar {}

impl From<ValueRef<'_>> for Scalar {
    fn from(value: ValueRef<'_>) -> Scalar {
        match value {
            ValueRef::Bool(value) => Scalar::Bool(value),
            ValueRef::I64(value) => Scalar::I64(value),
            ValueRef::F64(value) => Scalar::F64(value),
            ValueRef::Text(text) => Scalar::Text(Arc::from(text)),
            ValueRef::Bytes(_) | ValueRef::Json(_) => Scalar::Text(Arc::from(value.canonical_text())),
        }
    }
}

impl From<&Literal> for Scalar {
    fn from(literal: &Literal) -> Scalar {
        match literal {
            Literal::Bool(value) => Scalar::Bool(*value),
            Literal::I64(value) => Scalar::I64(*value),
            Literal::F64(value) => Scalar::F64(*value),
            Literal::Text(text) => Scalar::Text(Arc::from(text.as_str())),
        }
    }
}

impl Scalar {
    /// A double, or null where it is no finite number.
    pub(super) fn finite(number: f64) -> Scalar {
        if number.is_finite() { Scalar::F64(number) } else { Scalar::Null }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Scalar::Null)
    }

    /// Whether it counts as true: true, a number other than 0, the text "true".
    pub(super) fn truthy(&self) -> bool {
        match self {
            Scalar::Null => false,
            Scalar::Bool(value) => *value,
            Scalar::I64(value) => *value != 0,
            Scalar::F64(value) => *value != 0.0 && !value.is_nan(),
            Scalar::Text(text) => &**text == "true",
        }
    }

    /// The number it is; text is none here.
    pub(super) fn number(&self) -> Option<Number> {
        match self {
            Scalar::I64(value) => Some(Number::I64(*value)),
            Scalar::F64(value) => Some(Number::F64(*value)),
            _ => None,
        }
    }

    /// The number it counts as where one is computed with: text that is none counts as 0. `None` for null.
    pub(super) fn operand(&self) -> Option<f64> {
        match self {
            Scalar::Null => None,
            Scalar::Bool(value) => Some(f64::from(u8::from(*value))),
            Scalar::Text(text) => Some(Number::of_text(text).map_or(0.0, Number::to_f64)),
            number => number.number().map(Number::to_f64),
        }
    }

    /// Its text; `None` for null.
    pub(super) fn text(&self) -> Option<Arc<str>> {
        match self {
            Scalar::Null => None,
            Scalar::Text(text) => Some(Arc::clone(text)),
            Scalar::Bool(value) => Some(Arc::from(if *value { "true" } else { "false" })),
            Scalar::I64(value) => Some(Arc::from(value.to_string())),
            Scalar::F64(value) => Some(Arc::from(canonical_f64(*value))),
        }
    }

    /// Equality that is strict in types; integers and doubles are one type. NaN equals nothing.
    pub(super) fn equals(&self, other: &Scalar) -> bool {
        match (self, other) {
            (Scalar::Null, Scalar::Null) => true,
            (Scalar::Bool(a), Scalar::Bool(b)) => a == b,
            (Scalar::Text(a), Scalar::Text(b)) => a == b,
            _ => self.order(other) == Some(Ordering::Equal),
        }
    }

    /// How two numbers or two texts stand to each other; of anything else nothing.
    pub(super) fn order(&self, other: &Scalar) -> Option<Ordering> {
        match (self, other) {
            (Scalar::Text(a), Scalar::Text(b)) => Some(a.cmp(b)),
            _ => self.number()?.compare(other.number()?),
        }
    }
}
