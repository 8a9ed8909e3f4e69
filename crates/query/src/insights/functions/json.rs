//! Maps and lists of JSON.

use super::{Function, bounded, function};
use crate::insights::datum::Datum;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "jsonParse",
        (1, 1),
        "jsonParse(text)",
        &[("jsonParse('{\"a\":[1,2]}')", "{\"a\":[1,2]}"), ("jsonParse(\"{\")", "null")],
        |a| match a.get(0) {
            json @ Datum::Json(_) => json.clone(),
            other => other.as_json().map_or(Datum::Missing, Datum::Json),
        },
    ),
    function(
        "jsonStringify",
        (1, 1),
        "jsonStringify(map or list)",
        &[("jsonStringify(jsonParse('[1, \"x\"]'))", "\"[1,\\\"x\\\"]\"")],
        |a| a.get(0).key().map_or(Datum::Missing, |text| bounded(text.into_owned())),
    ),
    function(
        "jsonArraySize",
        (1, 1),
        "jsonArraySize(list)",
        &[("jsonArraySize(jsonParse(\"[1,2,3]\"))", "3"), ("jsonArraySize(\"x\")", "null")],
        |a| match a.get(0).as_json().as_deref() {
            Some(serde_json::Value::Array(items)) => Datum::count(items.len()),
            _ => Datum::Missing,
        },
    ),
    function(
        "jsonArrayContains",
        (2, 2),
        "jsonArrayContains(list, value)",
        &[("jsonArrayContains(jsonParse(\"[1,2]\"), 2)", "1"), ("jsonArrayContains(\"[]\", 2)", "0")],
        |a| match a.get(0).as_json().as_deref() {
            Some(serde_json::Value::Array(items)) => {
                Datum::from(items.iter().any(|item| Datum::of_json(item).equals(a.get(1)) == Some(true)))
            }
            _ => Datum::Missing,
        },
    ),
];
