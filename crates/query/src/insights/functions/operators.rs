//! What operators mean. They are functions without a name that anybody could write.

use std::cmp::Ordering;

use super::{Arguments, Extra, Function, function};
use crate::insights::datum::Datum;
use crate::number::Number;

macro_rules! operators {
    ($($(#[$about:meta])* $id:ident = $name:literal, $run:expr;)*) => {
        $($(#[$about])* pub(in crate::insights) static $id: Function = function($name, (0, usize::MAX), "", &[], $run);)*
    };
}

operators! {
    ADD = "+", |a| whole(a, i64::checked_add, |a, b| a + b);
    SUBTRACT = "-", |a| whole(a, i64::checked_sub, |a, b| a - b);
    MULTIPLY = "*", |a| whole(a, i64::checked_mul, |a, b| a * b);
    DIVIDE = "/", |a| two(a, |a, b| a / b);
    MODULO = "%", |a| whole(a, i64::checked_rem, |a, b| a % b);
    POWER = "^", |a| two(a, f64::powf);
    NEGATE = "negative", |a| match a.get(0).as_number() {
        Some(Number::I64(number)) => number.checked_neg().map_or(Datum::Missing, Datum::I64),
        Some(Number::F64(number)) => Datum::F64(-number),
        None => Datum::Missing,
    };
    EQUAL = "=", |a| Datum::from(a.get(0).equals(a.get(1)));
    NOT_EQUAL = "!=", |a| Datum::from(a.get(0).equals(a.get(1)).map(|equal| !equal));
    LESS = "<", |a| ordered(a, Ordering::is_lt);
    LESS_OR_EQUAL = "<=", |a| ordered(a, Ordering::is_le);
    GREATER = ">", |a| ordered(a, Ordering::is_gt);
    GREATER_OR_EQUAL = ">=", |a| ordered(a, Ordering::is_ge);
    // Neither true nor false stays so unless the other side decides.
    AND = "and", |a| Datum::from(match (a.get(0).truth(), a.get(1).truth()) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    });
    OR = "or", |a| Datum::from(match (a.get(0).truth(), a.get(1).truth()) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    });
    NOT = "not", |a| Datum::from(a.get(0).truth().map(|truth| !truth));
    /// 1 where a condition holds, 0 anywhere else: what a filter asks.
    HOLDS = "holds", |a| Datum::from(a.get(0).truth() == Some(true));
    LIKE = "like", |a| Datum::from(a.text(0).zip(a.text(1)).map(|(text, part)| text.contains(&*part)));
    LIKE_REGEX = "like /…/", |a| Datum::from(match a.extra {
        Extra::Pattern(pattern) => a.text(0).map(|text| pattern.0.is_match(&text)),
        _ => None,
    });
    IN = "in", |a| Datum::from(within(a));
    CLASS = "4xx", |a| Datum::from(class(a));
    /// A part of a map or a list.
    PART = "[]", |a| part(a.get(0), a.get(1));
    /// The captures of the first match of a pattern, as a list; missing when it does not match.
    CAPTURES = "captures", |a| match (a.extra, a.text(0)) {
        (Extra::Pattern(pattern), Some(text)) => crate::insights::extract::captures(&pattern.0, &text),
        _ => Datum::Missing,
    };
    LOGFMT = "logfmt", |a| a.text(0).map_or(Datum::Missing, |text| crate::insights::extract::logfmt(&text));
    CSV = "csv", |a| a.text(0).map_or(Datum::Missing, |text| crate::insights::extract::csv(&text));
    /// What Lambda's own lines say, by name.
    LAMBDA = "lambda", |a| match (a.text(0), a.text(1)) {
        (Some(line), Some(name)) => crate::insights::extract::lambda(&line, &name),
        _ => Datum::Missing,
    };
    /// A time by a period later.
    LATER = "later", |a| {
        let length = a.period().and_then(|period| period.fixed_ns());
        let later = a.get(0).as_time().zip(length).and_then(|(time_ns, length)| time_ns.checked_add(length));
        later.map_or(Datum::Missing, Datum::Time)
    };
    /// One element of a list that only we have made.
    PLACE = "place", |a| match (a.extra, a.get(0)) {
        (Extra::Place(place), Datum::Json(list)) => list.get(place).map_or(Datum::Missing, Datum::of_json),
        _ => Datum::Missing,
    };
}

/// Whole numbers stay whole where the result is one that fits; otherwise they are doubles.
fn whole(
    arguments: &Arguments<'_>,
    exact: fn(i64, i64) -> Option<i64>,
    double: fn(f64, f64) -> f64,
) -> Datum {
    match (arguments.get(0).as_number(), arguments.get(1).as_number()) {
        (Some(Number::I64(a)), Some(Number::I64(b))) => {
            exact(a, b).map_or_else(|| two(arguments, double), Datum::I64)
        }
        _ => two(arguments, double),
    }
}

fn two(arguments: &Arguments<'_>, compute: fn(f64, f64) -> f64) -> Datum {
    match (arguments.f64(0), arguments.f64(1)) {
        // By zero it is infinite or NaN, so missing.
        (Some(a), Some(b)) => Datum::number(compute(a, b)),
        _ => Datum::Missing,
    }
}

fn ordered(arguments: &Arguments<'_>, holds: fn(Ordering) -> bool) -> Datum {
    let (a, b) = (arguments.get(0), arguments.get(1));
    if a.is_missing() || b.is_missing() || matches!(a, Datum::Json(_)) || matches!(b, Datum::Json(_)) {
        return Datum::Missing;
    }
    // Text that is no number is neither above nor below one.
    Datum::from(a.order(b).is_some_and(holds))
}

/// Whether the first argument equals any other; `None` when it is missing.
fn within(arguments: &Arguments<'_>) -> Option<bool> {
    let value = arguments.get(0);
    if value.is_missing() || matches!(value, Datum::Json(_)) {
        return None;
    }
    Some(arguments.iter().skip(1).any(|one| value.equals(one) == Some(true)))
}

/// A status class: numbers and wholly numeric text of its hundred, and its own name.
fn class(arguments: &Arguments<'_>) -> Option<bool> {
    let Extra::Class(class) = arguments.extra else { return None };
    let value = arguments.get(0);
    if value.is_missing() || matches!(value, Datum::Json(_)) {
        return None;
    }
    let from = f64::from(*class) * 100.0;
    let is_name = matches!(value, Datum::Text(text) if text.eq_ignore_ascii_case(&format!("{class}xx")));
    let number = if matches!(value, Datum::Bool(_) | Datum::Time(_)) { None } else { value.as_f64() };
    Some(is_name || number.is_some_and(|number| number >= from && number < from + 100.0))
}

/// A member of a map by its name, an element of a list by its place.
fn part(of: &Datum, which: &Datum) -> Datum {
    let Some(json) = of.as_json() else { return Datum::Missing };
    let place = which.as_i64().and_then(|place| usize::try_from(place).ok());
    let found = match (&*json, which.as_text()) {
        (serde_json::Value::Array(_), _) => place.and_then(|place| json.get(place)),
        (_, Some(name)) => json.get(&*name),
        _ => None,
    };
    found.map_or(Datum::Missing, Datum::of_json)
}
