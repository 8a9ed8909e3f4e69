//! What a filter means for one value.
//!
//! `=` and `in`: a literal matches values of its type by value, and text of equal canonical text. `<` and
//! friends: a number compares numbers and text that is wholly a number, a text compares text. The tests of
//! text read the canonical text. A negative operator is the negation, so it matches a missing column.

use std::cmp::Ordering;

use serde_json::Value as Json;
use skein_event::ids::{encode_hex, parse_trace_id};
use skein_event::value::{Value, canonical_f64};

use super::event::Event;
use super::names;
use super::number::Number;

/// The names of columns of trace ids.
const TRACE_IDS: [&str; 5] = ["trace.trace_id", "trace.link.trace_id", "traceId", "trace_id", "traceID"];

/// Whether an event passes the `filters` and `filter_combination` of an object.
pub fn passes(event: &Event, object: &Json) -> bool {
    let filters = object["filters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if filters.is_empty() {
        return true;
    }
    let holds = |filter: &Json| {
        let column = filter["column"].as_str().unwrap_or_default();
        let value = names::value(event, column);
        let operator = filter["op"].as_str().unwrap_or_default();
        // 1-8-24 and 32 hex digits are one id.
        let stored = |literal: &Json| {
            let id = literal.as_str().filter(|_| TRACE_IDS.contains(&column)).and_then(parse_trace_id);
            id.map(|id| Json::from(encode_hex(&id)))
        };
        let literal = match (&filter["value"], operator) {
            (Json::Array(list), _) => {
                Json::from_iter(list.iter().cloned().chain(list.iter().filter_map(stored)))
            }
            (literal, "=" | "!=") => {
                let list = [Some(literal.clone()), stored(literal)].into_iter().flatten().collect();
                let operator = if operator == "=" { "in" } else { "not-in" };
                return holds(operator, value.as_deref(), &list);
            }
            (literal, _) => literal.clone(),
        };
        holds(operator, value.as_deref(), &literal)
    };
    match object["filter_combination"].as_str() {
        Some("OR") => filters.iter().any(holds),
        _ => filters.iter().all(holds),
    }
}

fn holds(operator: &str, value: Option<&Value>, literal: &Json) -> bool {
    let positive = |test: &dyn Fn(&Value) -> bool| value.is_some_and(test);
    let starts = |value: &Value| value.canonical_text().starts_with(&literal_text(literal));
    let ends = |value: &Value| value.canonical_text().ends_with(&literal_text(literal));
    let contains = |value: &Value| value.canonical_text().contains(&literal_text(literal));
    let equal = |value: &Value| equals(value, literal);
    let among =
        |value: &Value| literal.as_array().is_some_and(|list| list.iter().any(|one| equals(value, one)));
    let ordered =
        |wanted: &[Ordering]| positive(&|value| order(value, literal).is_some_and(|o| wanted.contains(&o)));
    match operator {
        "exists" => value.is_some(),
        "does-not-exist" => value.is_none(),
        "=" => positive(&equal),
        "!=" => !positive(&equal),
        "in" => positive(&among),
        "not-in" => !positive(&among),
        "<" => ordered(&[Ordering::Less]),
        "<=" => ordered(&[Ordering::Less, Ordering::Equal]),
        ">" => ordered(&[Ordering::Greater]),
        ">=" => ordered(&[Ordering::Greater, Ordering::Equal]),
        "starts-with" => positive(&starts),
        "does-not-start-with" => !positive(&starts),
        "ends-with" => positive(&ends),
        "does-not-end-with" => !positive(&ends),
        "contains" => positive(&contains),
        "does-not-contain" => !positive(&contains),
        other => unreachable!("an operator that is none: {other}"),
    }
}

fn number(literal: &Json) -> Option<Number> {
    literal.as_i64().map(Number::I64).or_else(|| literal.as_f64().map(Number::F64))
}

/// The canonical text of a literal.
fn literal_text(literal: &Json) -> String {
    match (literal, number(literal)) {
        (Json::String(text), _) => text.clone(),
        (_, Some(Number::I64(whole))) => whole.to_string(),
        (_, Some(Number::F64(double))) => canonical_f64(double),
        (other, None) => other.to_string(),
    }
}

fn equals(value: &Value, literal: &Json) -> bool {
    match (value, literal) {
        (Value::Bool(value), Json::Bool(expected)) => value == expected,
        (Value::I64(_) | Value::F64(_), Json::Number(_)) => {
            let (Some(value), Some(expected)) = (Number::of(value), number(literal)) else { return false };
            value.compare(expected) == Some(Ordering::Equal)
        }
        (Value::Text(text), _) => *text == literal_text(literal),
        // JSON has no bytes and a filter takes no object: text stands for both.
        (Value::Bytes(_) | Value::Json(_), Json::String(text)) => value.canonical_text() == *text,
        _ => false,
    }
}

fn order(value: &Value, literal: &Json) -> Option<Ordering> {
    match (value, literal) {
        (Value::Text(text), Json::String(bound)) => Some(text.as_bytes().cmp(bound.as_bytes())),
        (_, Json::Number(_)) => Number::of(value)?.compare(number(literal)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_operator_on_each_kind_of_value() {
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let cases: &[(&str, Option<Value>, Json, bool)] = &[
            ("=", Some(Value::I64(500)), json!(500), true),
            ("=", Some(Value::F64(500.0)), json!(500), true),
            ("=", text("500"), json!(500), true),
            ("=", text("500.0"), json!(500), false),
            ("=", Some(Value::I64(500)), json!("500"), false),
            ("=", Some(Value::Bytes(vec![65, 66])), json!("QUI="), true),
            ("=", Some(Value::F64(f64::NAN)), json!(0), false),
            ("!=", Some(Value::F64(f64::NAN)), json!(0), true),
            ("!=", None, json!(500), true),
            ("not-in", None, json!([1]), true),
            ("in", Some(Value::Bool(true)), json!([1, true]), true),
            ("<", text("7"), json!(10), true),
            ("<", text("7"), json!("10"), false),
            ("<", Some(Value::I64(7)), json!("8"), false),
            (">=", Some(Value::F64(-0.0)), json!(0), true),
            ("starts-with", Some(Value::I64(404)), json!("4"), true),
            ("does-not-contain", None, json!("x"), true),
            ("does-not-exist", None, Json::Null, true),
            ("exists", Some(Value::Bool(false)), Json::Null, true),
        ];
        for (operator, value, literal, expected) in cases {
            assert_eq!(holds(operator, value.as_ref(), literal), *expected, "{operator} {value:?} {literal}");
        }
    }
}
