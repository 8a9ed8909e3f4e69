//! Filters of the builder language, on the query and on a calculation.

use serde_json::Value;
use skein_event::columns::Fixed;
use skein_event::ids::{encode_hex, parse_trace_id};

use super::node::{Node, Object, kind};
use super::{column, limits};
use crate::error::QueryError;
use crate::names::Reference;
use crate::plan::{Column, Combination, Comparison, Filter, FilterSet, Literal, Test, TextTest};

/// An operator, before its value is read.
#[derive(Clone, Copy)]
enum Operator {
    Presence { negated: bool },
    Equal { negated: bool },
    In { negated: bool },
    Compare(Comparison),
    Text { test: TextTest, negated: bool },
}

const OPERATORS: &[(&str, Operator)] = &[
    ("=", Operator::Equal { negated: false }),
    ("!=", Operator::Equal { negated: true }),
    (">", Operator::Compare(Comparison::Greater)),
    (">=", Operator::Compare(Comparison::GreaterOrEqual)),
    ("<", Operator::Compare(Comparison::Less)),
    ("<=", Operator::Compare(Comparison::LessOrEqual)),
    ("starts-with", Operator::Text { test: TextTest::StartsWith, negated: false }),
    ("does-not-start-with", Operator::Text { test: TextTest::StartsWith, negated: true }),
    ("ends-with", Operator::Text { test: TextTest::EndsWith, negated: false }),
    ("does-not-end-with", Operator::Text { test: TextTest::EndsWith, negated: true }),
    ("exists", Operator::Presence { negated: false }),
    ("does-not-exist", Operator::Presence { negated: true }),
    ("contains", Operator::Text { test: TextTest::Contains, negated: false }),
    ("does-not-contain", Operator::Text { test: TextTest::Contains, negated: true }),
    ("in", Operator::In { negated: false }),
    ("not-in", Operator::In { negated: true }),
];

/// Reads `filters` and `filter_combination` of an object.
pub(super) fn filter_set(object: &Object<'_>) -> Result<FilterSet, QueryError> {
    let combination = match object.get("filter_combination") {
        Some(node) => node.word(&[("AND", Combination::All), ("OR", Combination::Any)])?,
        None => Combination::All,
    };
    let filters = object.get("filters").map_or(Ok(Vec::new()), |node| filter_list(&node))?;
    Ok(FilterSet { combination, filters })
}

/// Reads a list of filters.
pub(super) fn filter_list(node: &Node<'_>) -> Result<Vec<Filter>, QueryError> {
    node.array(limits::FILTERS_MAX)?.iter().map(filter).collect()
}

fn filter(node: &Node<'_>) -> Result<Filter, QueryError> {
    let object = node.object(&["column", "op", "value"])?;
    let column = column(&object.required("column")?)?;
    let operator_node = object.required("op")?;
    let operator = operator_node.word(OPERATORS)?;
    let value = object.get("value");
    let test = match operator {
        Operator::Presence { negated } => {
            if let Some(value) = value {
                return Err(value.error("this operator takes no value").hint("leave `value` out"));
            }
            if negated { Test::DoesNotExist } else { Test::Exists }
        }
        Operator::In { negated } => {
            let literals = with_ids(&column, list(&required_value(&object, value)?)?);
            if negated { Test::NotIn(literals) } else { Test::In(literals) }
        }
        Operator::Equal { negated } => {
            let literals = with_ids(&column, vec![literal(&required_value(&object, value)?)?]);
            if negated { Test::NotIn(literals) } else { Test::In(literals) }
        }
        Operator::Compare(comparison) => {
            let value = required_value(&object, value)?;
            match literal(&value)? {
                Literal::Bool(_) => {
                    let error = value.error("a boolean has no order; a number or a text is needed");
                    return Err(error.hint("compare booleans with = or !="));
                }
                literal => Test::Compare(comparison, literal),
            }
        }
        Operator::Text { test, negated } => {
            let text = literal_text(&required_value(&object, value)?)?;
            if negated { Test::NotText(test, text) } else { Test::Text(test, text) }
        }
    };
    Ok(Filter { column, test })
}

/// A trace id is asked for in any form that clients use (`1-8hex-24hex`, 16 digits, capitals): the form in
/// which it is stored is asked for as well.
fn with_ids(column: &Column, mut literals: Vec<Literal>) -> Vec<Literal> {
    let is_id =
        |reference: &Reference| matches!(reference, Reference::Fixed(Fixed::TraceId | Fixed::LinkTraceId));
    if column.references.iter().any(is_id) {
        let stored = |literal: &Literal| match literal {
            Literal::Text(text) => parse_trace_id(text).map(|id| encode_hex(&id)).filter(|hex| hex != text),
            _ => None,
        };
        let stored: Vec<Literal> = literals.iter().filter_map(stored).map(Literal::Text).collect();
        literals.extend(stored);
    }
    literals
}

fn required_value<'a>(object: &Object<'a>, value: Option<Node<'a>>) -> Result<Node<'a>, QueryError> {
    value.ok_or_else(|| {
        let message =
            if object.has_null("value") { "null is no value" } else { "the field `value` is missing" };
        object.error(message).hint("a missing column is asked for with does-not-exist")
    })
}

fn list(node: &Node<'_>) -> Result<Vec<Literal>, QueryError> {
    if !node.value.is_array() {
        let error = node.error(format!("expected an array of values, found {}", kind(node.value)));
        return Err(error.hint("write [value, …], or use ="));
    }
    let literals: Vec<Literal> =
        node.array(limits::LIST_VALUES_MAX)?.iter().map(literal).collect::<Result<_, _>>()?;
    if literals.is_empty() {
        return Err(node.error("expected at least one value"));
    }
    Ok(literals)
}

/// A typed literal.
fn literal(node: &Node<'_>) -> Result<Literal, QueryError> {
    match node.value {
        Value::Bool(value) => Ok(Literal::Bool(*value)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Literal::I64(whole)),
            (None, Some(double)) if double.is_finite() => Ok(Literal::F64(double)),
            _ => Err(node.error("the number does not fit a double")),
        },
        Value::String(text) => Ok(Literal::Text(text.clone())),
        other => {
            let error = node.error(format!("expected a text, a number or a boolean, found {}", kind(other)));
            Err(if other.is_array() { error.hint("for several values use `in` or `not-in`") } else { error })
        }
    }
}

fn literal_text(node: &Node<'_>) -> Result<String, QueryError> {
    Ok(match literal(node)? {
        Literal::Bool(value) => value.to_string(),
        Literal::I64(value) => value.to_string(),
        Literal::F64(value) => skein_event::value::canonical_f64(value),
        Literal::Text(text) => text,
    })
}
