//! Functions of any value.

use super::{ANY, Arguments, Function, function};
use crate::insights::datum::Datum;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "ispresent",
        (1, 1),
        "ispresent(field)",
        &[("ispresent(nothing)", "0"), ("ispresent(\"\")", "1")],
        |a| Datum::from(!a.get(0).is_missing()),
    ),
    function("coalesce", (1, ANY), "coalesce(a, b, …)", &[("coalesce(nothing, \"x\", 1)", "\"x\"")], |a| {
        a.iter().find(|value| !value.is_missing()).cloned().unwrap_or(Datum::Missing)
    }),
    function(
        "if",
        (2, 3),
        "if(condition, then, [else])",
        &[("if(1 < 2, \"a\", \"b\")", "\"a\""), ("if(nothing = 1, \"a\", \"b\")", "\"b\"")],
        chosen,
    ),
    function(
        "case",
        (2, ANY),
        "case(condition, value, [condition, value, …], [else])",
        &[("case(1 > 2, \"a\", 2 > 1, \"b\", \"c\")", "\"b\""), ("case(1 > 2, \"a\")", "null")],
        chosen,
    ),
    function(
        "isNumeric",
        (1, 1),
        "isNumeric(field)",
        &[("isNumeric(\"1.5\")", "1"), ("isNumeric(\"1 ms\")", "0")],
        |a| Datum::from(a.get(0).as_number().is_some()),
    ),
    function("messageSize", (1, 1), "messageSize(field)", &[("messageSize(\"für\")", "4")], |a| {
        match a.get(0).key() {
            Some(text) => Datum::count(text.len()),
            None => Datum::Missing,
        }
    }),
    function("unmask", (1, 1), "unmask(field)", &[("unmask(\"x\")", "\"x\"")], |a| a.get(0).clone()),
];

/// The value behind the first condition that holds; a last one without a condition is for the rest.
fn chosen(arguments: &Arguments<'_>) -> Datum {
    let mut place = 0;
    while place + 1 < arguments.len() {
        if arguments.get(place).truth() == Some(true) {
            return arguments.get(place + 1).clone();
        }
        place += 2;
    }
    if place < arguments.len() { arguments.get(place).clone() } else { Datum::Missing }
}
