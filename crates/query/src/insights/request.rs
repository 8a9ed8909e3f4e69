//! The body of a question in Logs Insights: `{"query", "datasets"?, "start_time"?, "end_time"?, "dry_run"?}`.

use serde_json::Value;
use skein_event::ids::Environment;

use super::plan::{InsightsPlan, Request, plan};
use crate::error::QueryError;
use crate::spec;
use crate::text::Problem;

/// Parses and plans a question.
pub fn plan_of(body: &Value, environment: &Environment, now_ns: i64) -> Result<InsightsPlan, QueryError> {
    let (text, range) = spec::text_question(body, now_ns)?;
    let query = super::parse(&text).map_err(Problem::of_question)?;
    let spec::TextRange { datasets, time_range, dry_run } = range;
    let request = Request { environment: environment.clone(), datasets, time_range, dry_run, now_ns };
    plan(&query, &text, &request)
}
