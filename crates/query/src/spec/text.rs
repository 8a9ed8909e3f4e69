//! What questions in text share with specifications: datasets, the range of time, and whether it is a dry run.

use serde_json::Value;

use super::{check_wait, datasets, flag, times};
use crate::error::QueryError;
use crate::plan::{Named, TimeRange};
use crate::spec::node::Node;

const FIELDS: &[&str] = &["query", "datasets", "start_time", "end_time", "time_range", "dry_run", "wait_ms"];

/// What a question in text is asked of.
#[derive(Clone, PartialEq, Debug)]
pub struct TextRange {
    /// Datasets; empty means all.
    pub datasets: Vec<Named>,
    /// Time of the events.
    pub time_range: TimeRange,
    /// Answer only what would be scanned.
    pub dry_run: bool,
}

/// Reads the body of a question in text: the text, and what it is asked of.
pub fn text_question(body: &Value, now_ns: i64) -> Result<(String, TextRange), QueryError> {
    let object = Node::root(body).object(FIELDS)?;
    check_wait(&object)?;
    let text = object.required("query")?.text()?.to_owned();
    let time_range = times::time_range(&object, now_ns)?;
    Ok((text, TextRange { datasets: datasets(&object)?, time_range, dry_run: flag(&object, "dry_run")? }))
}
