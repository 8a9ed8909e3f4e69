//! The request of `POST /api/v1/compare`: which events were, which are, and what an operation is.
//!
//! What it refuses: an operation of other events, and more columns than make one.

use serde_json::Value;
use skein_event::ids::Environment;
use skein_event::limits::{COMPARE_BY_MAX, COMPARE_OPERATIONS_DEFAULT, COMPARE_OPERATIONS_MAX};

use super::explain::{SIDE, side};
use super::node::{Node, Object};
use super::{column, fields};
use crate::cohorts::CohortsPlan;
use crate::error::QueryError;
use crate::plan::{Column, Output, Scope};

/// What an operation is unless the request says otherwise.
const OPERATION: [&str; 2] = ["service.name", "name"];

/// Makes a plan of a request. `now_ns` is the end of a range that states none.
pub fn cohorts(request: &Value, environment: &Environment, now_ns: i64) -> Result<CohortsPlan, QueryError> {
    let object = Node::root(request).object(&["a", "b", "by", "limit"])?;
    let node = object.required("a")?;
    let fields = fields::calculated_fields(&node.object(&SIDE)?)?;
    let of_a = node.with_fields(&fields).object(&SIDE)?;
    let mut a = side(&of_a, environment, now_ns, None)?;
    let node = object.required("b")?;
    let own = node.object(&SIDE)?;
    let own_fields = fields::calculated_fields(&own)?;
    // As in an explanation: what b leaves out is as in a.
    let known = if own.get("calculated_fields").is_some() { &own_fields } else { &fields };
    let of_b = node.with_fields(known).object(&SIDE)?;
    let mut b = side(&of_b, environment, now_ns, Some(&a))?;
    if a == b {
        let error = object.error("both cohorts are the same events").at_path("/b");
        return Err(error.hint("give b other filters, another time or other datasets"));
    }
    let (by, spans_only) = match object.get("by") {
        None => (OPERATION.map(|name| Column::stored(name, of_by())).into(), true),
        Some(node) => (columns(&node.with_fields(&fields))?, false),
    };
    // Names that no event has are found where breakdowns are looked at.
    for plan in [&mut a, &mut b] {
        if let Output::Groups(groups) = &mut plan.output {
            groups.breakdowns.clone_from(&by);
        }
    }
    Ok(CohortsPlan { sides: [a, b], by, spans_only, limit: limit(&object)? })
}

fn of_by() -> crate::error::Location {
    crate::error::Location::Path("/by".to_owned())
}

fn columns(node: &Node<'_>) -> Result<Vec<Column>, QueryError> {
    let nodes = node.array(COMPARE_BY_MAX)?;
    let mut found: Vec<Column> = Vec::with_capacity(nodes.len());
    if nodes.is_empty() {
        return Err(node.error("name at least one column, or leave `by` out"));
    }
    for node in nodes {
        let column = column(&node)?;
        if column.scope != Scope::Own {
            return Err(node.error("an operation is a column of the events themselves"));
        }
        if found.iter().any(|known| known.name == column.name) {
            return Err(node.error(format!("the column `{}` is there twice", column.name)));
        }
        found.push(column);
    }
    Ok(found)
}

fn limit(object: &Object<'_>) -> Result<usize, QueryError> {
    let Some(node) = object.get("limit") else { return Ok(COMPARE_OPERATIONS_DEFAULT) };
    let limit = node.value.as_u64().and_then(|limit| usize::try_from(limit).ok());
    match limit {
        Some(limit) if (1..=COMPARE_OPERATIONS_MAX).contains(&limit) => Ok(limit),
        _ => Err(node.error(format!("the limit is a whole number from 1 to {COMPARE_OPERATIONS_MAX}"))),
    }
}
