//! The body of a request for completion.

use serde_json::Value;
use skein_event::limits::{COMPLETIONS_DEFAULT, COMPLETIONS_MAX};

use super::node::Node;
use super::{datasets, times};
use crate::complete::{Question, Subject, byte_of_utf16};
use crate::error::{Location, QueryError};
use crate::plan::Column;

const FIELDS: &[&str] =
    &["language", "query", "position", "column", "datasets", "start_time", "end_time", "time_range", "limit"];

/// Reads a request. Its position counts UTF-16 code units, as browsers do.
pub fn completion(body: &Value, now_ns: i64) -> Result<Question, QueryError> {
    let object = Node::root(body).object(FIELDS)?;
    let is_insights = object.required("language")?.word(&[("insights", true), ("builder", false)])?;
    // Before the first word there is nothing, and all the more to propose.
    let text = match object.get("query") {
        None => String::new(),
        Some(node) => node.value.as_str().ok_or_else(|| node.error("a text is expected"))?.to_owned(),
    };
    let position = match object.get("position") {
        None => text.len(),
        Some(node) => {
            let units = whole(&node, 0)?;
            byte_of_utf16(&text, units).ok_or_else(|| {
                let error = node.error("the position is no place between two characters of the query");
                error.hint("it counts UTF-16 code units, 0 before the first character")
            })?
        }
    };
    let subject = match object.get("column") {
        Some(node) if is_insights => {
            return Err(node.error("a column is of the language builder").hint("leave it out"));
        }
        None if is_insights => Subject::Insights,
        None => Subject::ColumnName,
        Some(node) => Subject::ValueOf(Column::stored(node.text()?, Location::Path(node.path.clone()))),
    };
    let limit = object.get("limit").map(|node| whole(&node, 1)).transpose()?.unwrap_or(COMPLETIONS_DEFAULT);
    let time_range = times::time_range(&object, now_ns)?;
    let limit = limit.min(COMPLETIONS_MAX);
    Ok(Question { subject, text, position, datasets: datasets(&object)?, time_range, limit })
}

fn whole(node: &Node<'_>, least: usize) -> Result<usize, QueryError> {
    let number = node.value.as_u64().and_then(|number| usize::try_from(number).ok());
    number
        .filter(|number| *number >= least)
        .ok_or_else(|| node.error(format!("a whole number of at least {least} is expected")))
}
