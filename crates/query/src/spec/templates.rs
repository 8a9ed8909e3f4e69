//! The request of `POST /api/v1/templates`: a column, the events whose texts are looked at, and those that they are
//! compared with.
//!
//! What it refuses: a column of other events.

use serde_json::Value;
use skein_event::ids::Environment;
use skein_event::limits::{TEMPLATES_SHOWN_DEFAULT, TEMPLATES_SHOWN_MAX};

use super::explain::{SIDE, side};
use super::node::{Node, Object};
use super::{column, fields};
use crate::error::QueryError;
use crate::plan::{Column, Output, Scope};
use crate::templates::TemplatesPlan;

/// What is looked at unless the request says otherwise: the body of a log record.
const MESSAGE: &str = "message";

/// Makes a plan of a request. `now_ns` is the end of a range that states none.
pub fn templates(
    request: &Value,
    environment: &Environment,
    now_ns: i64,
) -> Result<TemplatesPlan, QueryError> {
    let known: Vec<&str> = SIDE.iter().copied().chain(["column", "baseline", "limit"]).collect();
    let fields = fields::calculated_fields(&Node::root(request).object(&known)?)?;
    let object = Node::root(request).with_fields(&fields).object(&known)?;
    let mut now = side(&object, environment, now_ns, None)?;
    let mut baseline = match object.get("baseline") {
        None => None,
        Some(node) => {
            let own = node.object(&SIDE)?;
            let plan = side(&own, environment, now_ns, Some(&now))?;
            if plan == now {
                let error = node.error("the baseline is the same events");
                return Err(error.hint("give it another time, or other filters"));
            }
            Some(plan)
        }
    };
    let column = match object.get("column") {
        Some(node) => column(&node)?,
        None => Column::stored(MESSAGE, crate::error::Location::Path("/column".to_owned())),
    };
    if column.scope != Scope::Own {
        let error = QueryError::invalid("templates are of a column of the events themselves");
        return Err(error.at(column.location.clone()));
    }
    // A name that no event has is found where breakdowns are looked at.
    for plan in std::iter::once(&mut now).chain(&mut baseline) {
        if let Output::Groups(groups) = &mut plan.output {
            groups.breakdowns = vec![column.clone()];
        }
    }
    Ok(TemplatesPlan { column, now, baseline, limit: limit(&object)? })
}

fn limit(object: &Object<'_>) -> Result<usize, QueryError> {
    let Some(node) = object.get("limit") else { return Ok(TEMPLATES_SHOWN_DEFAULT) };
    let limit = node.value.as_u64().and_then(|limit| usize::try_from(limit).ok());
    match limit {
        Some(limit) if (1..=TEMPLATES_SHOWN_MAX).contains(&limit) => Ok(limit),
        _ => Err(node.error(format!("the limit is a whole number from 1 to {TEMPLATES_SHOWN_MAX}"))),
    }
}
