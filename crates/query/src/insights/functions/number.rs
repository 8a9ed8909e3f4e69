//! Numbers.

use std::cmp::Ordering;

use super::{ANY, Arguments, Function, function};
use crate::insights::datum::Datum;
use crate::number::Number;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "abs",
        (1, 1),
        "abs(x)",
        &[("abs(3 - 5)", "2"), ("abs(\"-1.5\")", "1.5"), ("abs(\"x\")", "null")],
        |a| match a.get(0).as_number() {
            Some(Number::I64(number)) => number.checked_abs().map_or(Datum::Missing, Datum::I64),
            Some(Number::F64(number)) => Datum::F64(number.abs()),
            None => Datum::Missing,
        },
    ),
    function("ceil", (1, 1), "ceil(x)", &[("ceil(1.2)", "2"), ("ceil(-1.2)", "-1")], |a| one(a, f64::ceil)),
    function("floor", (1, 1), "floor(x)", &[("floor(1.8)", "1"), ("floor(-1.2)", "-2")], |a| {
        one(a, f64::floor)
    }),
    function(
        "greatest",
        (1, ANY),
        "greatest(a, b, …)",
        &[("greatest(1, 2.5, \"2\")", "2.5"), ("greatest(1, nothing)", "1")],
        |a| extreme(a, Ordering::is_gt),
    ),
    function("least", (1, ANY), "least(a, b, …)", &[("least(3, 2.5, \"4\")", "2.5")], |a| {
        extreme(a, Ordering::is_lt)
    }),
    function("log", (1, 1), "log(x)", &[("log(1)", "0"), ("log(0)", "null"), ("log(-1)", "null")], |a| {
        one(a, f64::ln)
    }),
    function("sqrt", (1, 1), "sqrt(x)", &[("sqrt(9)", "3"), ("sqrt(-1)", "null")], |a| one(a, f64::sqrt)),
    function(
        "round",
        (1, 2),
        "round(x, [digits])",
        &[("round(2.5)", "3"), ("round(1.236, 2)", "1.24"), ("round(-2.5)", "-3")],
        round,
    ),
    function(
        "haversine",
        (4, 4),
        "haversine(latitude, longitude, latitude, longitude)",
        &[("round(haversine(52.52, 13.405, 48.8566, 2.3522))", "877")],
        haversine,
    ),
    function(
        "toNumber",
        (1, 1),
        "toNumber(x)",
        &[("toNumber(\"12.50\")", "12.5"), ("toNumber(\"12 ms\")", "null")],
        |a| match a.get(0).as_number() {
            Some(Number::I64(number)) => Datum::I64(number),
            Some(Number::F64(number)) => Datum::number(number),
            None => Datum::Missing,
        },
    ),
    function("toInt", (1, 1), "toInt(x)", &[("toInt(\"12.9\")", "12"), ("toInt(-0.5)", "0")], integer),
    function("toLong", (1, 1), "toLong(x)", &[("toLong(12.9)", "12")], integer),
    function("toDouble", (1, 1), "toDouble(x)", &[("toDouble(\"1.5\") * 2", "3")], |a| {
        one(a, |number| number)
    }),
];

fn one(arguments: &Arguments<'_>, compute: fn(f64) -> f64) -> Datum {
    arguments.f64(0).map_or(Datum::Missing, |number| Datum::number(compute(number)))
}

fn integer(arguments: &Arguments<'_>) -> Datum {
    arguments.get(0).as_i64().map_or(Datum::Missing, Datum::I64)
}

/// The number that stands so to all others; what is no number does not count.
fn extreme(arguments: &Arguments<'_>, wins: fn(Ordering) -> bool) -> Datum {
    let numbers = arguments.iter().filter_map(|value| Some((value, value.as_number()?)));
    let best = numbers.reduce(|best, next| match next.1.compare(best.1) {
        Some(ordering) if wins(ordering) => next,
        _ => best,
    });
    match best {
        Some((time @ Datum::Time(_), _)) => time.clone(),
        Some((_, Number::I64(number))) => Datum::I64(number),
        Some((_, Number::F64(number))) => Datum::number(number),
        None => Datum::Missing,
    }
}

fn round(arguments: &Arguments<'_>) -> Datum {
    let digits = if arguments.len() < 2 { Some(0) } else { arguments.get(1).as_i64() };
    let (Some(number), Some(digits)) = (arguments.f64(0), digits) else { return Datum::Missing };
    let scale = 10_f64.powi(i32::try_from(digits.clamp(-300, 300)).unwrap_or_default());
    Datum::number((number * scale).round() / scale)
}

/// The distance of two places on Earth in kilometres.
fn haversine(arguments: &Arguments<'_>) -> Datum {
    const EARTH_KM: f64 = 6_371.0;
    let degrees = |place: usize| arguments.f64(place).map(f64::to_radians);
    let (Some(a), Some(b), Some(c), Some(d)) = (degrees(0), degrees(1), degrees(2), degrees(3)) else {
        return Datum::Missing;
    };
    let half = |angle: f64| (angle / 2.0).sin().powi(2);
    let arc = half(c - a) + a.cos() * c.cos() * half(d - b);
    Datum::number(2.0 * EARTH_KM * arc.sqrt().min(1.0).asin())
}
