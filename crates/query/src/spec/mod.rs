//! The builder language: a JSON specification becomes a [`Plan`].
//!
//! The fields are those of CONTRACT.md, `POST /api/v1/query`. What the language knows but this version does
//! not answer is refused by name, never ignored: a wrong number that looks right is the worst answer. Unknown
//! fields are errors for the same reason.
//!
//! Names of columns are not checked here, since what exists depends on the snapshot: the engine refuses a
//! column that no segment of the environment has (docs/adr/0012-unknown-columns.md).

mod calculations;
mod cohorts;
mod complete;
mod explain;
mod fields;
mod filters;
mod formulas;
mod kept;
mod limits;
mod node;
mod over_time;
mod relational;
mod templates;
mod text;
mod times;

#[cfg(test)]
mod tests;

pub use complete::completion;
pub use templates::templates;
pub use text::{TextRange, text_question};

use std::sync::Arc;

use serde_json::Value;
use skein_event::ids::{Environment, EventId, Offset, Partition};
use skein_event::limits::{COLUMN_NAME_BYTES_MAX, QUERY_LIMIT_DEFAULT, QUERY_LIMIT_MAX};

pub use self::cohorts::cohorts;
pub use self::explain::explain;
pub use self::kept::{BoardText, MarkerText, board, marker};
use self::node::{Node, Object};
use crate::error::{Location, QueryError};
use crate::plan::{Column, Cursor, Direction, FilterSet, GroupPlan, Named, Output, Plan, RowPlan, Scope};

/// Every field of a specification.
const FIELDS: &[&str] = &[
    "calculations",
    "filters",
    "filter_combination",
    "breakdowns",
    "orders",
    "havings",
    "limit",
    "granularity",
    "start_time",
    "end_time",
    "time_range",
    "datasets",
    "usage_mode",
    "dry_run",
    "wait_ms",
    "cursor",
    "calculated_fields",
    "formulas",
    "compare_time_offset_seconds",
    "trace_slack_seconds",
];

/// Makes a plan of a specification.
///
/// `now_ns` is the end of a range that states none. `wait_ms` is the API's business and only checked.
pub fn parse(spec: &Value, environment: &Environment, now_ns: i64) -> Result<Plan, QueryError> {
    let fields = fields::calculated_fields(&Node::root(spec).object(FIELDS)?)?;
    let object = Node::root(spec).with_fields(&fields).object(FIELDS)?;
    check_wait(&object)?;
    let mut warnings = Vec::new();
    let time_range = times::time_range(&object, now_ns)?;
    let conditions = relational::conditions(&object)?;
    let granularity = times::granularity(&object, time_range, &mut warnings)?;
    let wants_rows =
        object.get("calculations").is_some_and(|node| node.value.as_array().is_some_and(Vec::is_empty));
    let output = if wants_rows {
        Output::Rows(row_plan(&object)?)
    } else {
        let mut plan = group_plan(&object)?;
        let needs_series = plan.calculations.iter().any(|c| !c.operation.has_number());
        plan.granularity_ns = match granularity {
            None if needs_series => Some(times::automatic_granularity(time_range)),
            stated => stated,
        };
        Output::Groups(plan)
    };
    Ok(Plan {
        environment: environment.clone(),
        datasets: datasets(&object)?,
        time_range,
        filter: conditions.own,
        related: conditions.related,
        trace_slack_ns: relational::trace_slack_ns(&object)?,
        compare_offset_ns: times::compare_offset(&object, time_range, matches!(output, Output::Rows(_)))?,
        output,
        usage_mode: flag(&object, "usage_mode")?,
        dry_run: flag(&object, "dry_run")?,
        warnings,
    })
}

/// Reads the filter of an erasure: an object with `filters` and, if wanted, `filter_combination`. It has at
/// least one condition.
pub fn erasure(text: &str) -> Result<FilterSet, QueryError> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| QueryError::invalid(format!("the filter is not JSON: {error}")))?;
    let object = Node::root(&value).object(&["filters", "filter_combination"])?;
    let filter = filters::filter_set(&object)?;
    relational::own_filters(&filter.filters, "an erasure")?;
    if filter.filters.is_empty() {
        let error =
            QueryError::invalid("an erasure needs at least one filter").at_path("/filters".to_owned());
        return Err(error.hint("name what is to be erased, for instance a user's id"));
    }
    Ok(filter)
}

fn flag(object: &Object<'_>, name: &str) -> Result<bool, QueryError> {
    object.get(name).map_or(Ok(false), |node| node.boolean())
}

/// Checks what is the API's business.
fn check_wait(object: &Object<'_>) -> Result<(), QueryError> {
    if let Some(node) = object.get("wait_ms")
        && node.number()? < 0.0
    {
        return Err(node.error("expected a number, 0 or more"));
    }
    Ok(())
}

fn datasets(object: &Object<'_>) -> Result<Vec<Named>, QueryError> {
    let Some(node) = object.get("datasets") else { return Ok(Vec::new()) };
    let nodes = node.array(limits::DATASETS_MAX)?;
    let mut found: Vec<Named> = Vec::new();
    for node in nodes {
        let name = node.text()?.to_owned();
        if !found.iter().any(|named| named.name == name) {
            found.push(Named { name, location: Location::Path(node.path) });
        }
    }
    Ok(found)
}

/// Reads a column's name, which may be that of a calculated field.
fn column(node: &Node<'_>) -> Result<Column, QueryError> {
    let name = node.text()?;
    if let Some(program) = node.fields.get(name) {
        return Ok(Column::calculated(name, Arc::clone(program), Location::Path(node.path.clone())));
    }
    let (_, rest) = Scope::of_name(name);
    if node.fields.get(rest).is_some() {
        let error = node.error(format!("`{rest}` is a calculated field, which is of the event at hand only"));
        return Err(
            error.hint("use a column of the other event, or calculate with it in a question of its own")
        );
    }
    if name.len() > COLUMN_NAME_BYTES_MAX {
        return Err(node.error(format!("a column's name has at most {COLUMN_NAME_BYTES_MAX} bytes")));
    }
    relational::scoped(name, Location::Path(node.path.clone()))
}

fn limit(object: &Object<'_>) -> Result<usize, QueryError> {
    let Some(node) = object.get("limit") else { return Ok(QUERY_LIMIT_DEFAULT) };
    let limit = node.value.as_u64().and_then(|limit| usize::try_from(limit).ok());
    match limit {
        Some(limit) if (1..=QUERY_LIMIT_MAX).contains(&limit) => Ok(limit),
        _ => Err(node.error(format!("the limit is a whole number from 1 to {QUERY_LIMIT_MAX}"))),
    }
}

fn row_plan(object: &Object<'_>) -> Result<RowPlan, QueryError> {
    for name in ["breakdowns", "havings", "formulas"] {
        if let Some(node) = object.get(name)
            && !node.value.as_array().is_some_and(Vec::is_empty)
        {
            let error = node.error(format!("raw rows (`\"calculations\": []`) take no `{name}`"));
            return Err(error.hint("give a calculation, for instance {\"op\": \"COUNT\"}"));
        }
    }
    if let Some(node) = object.get("granularity") {
        return Err(node.error("raw rows (`\"calculations\": []`) have no series and take no granularity"));
    }
    Ok(RowPlan { limit: limit(object)?, direction: row_direction(object)?, after: cursor(object)? })
}

fn row_direction(object: &Object<'_>) -> Result<Direction, QueryError> {
    let Some(node) = object.get("orders") else { return Ok(Direction::Descending) };
    let orders = node.array(limits::ORDERS_MAX)?;
    let Some(first) = orders.first() else { return Ok(Direction::Descending) };
    if let Some(second) = orders.get(1) {
        return Err(second.error("raw rows take one order, by `timestamp`"));
    }
    let order = first.object(&["column", "order", "op"])?;
    let column = order.required("column")?;
    if !matches!(column.text()?, "timestamp" | "@timestamp") || order.get("op").is_some() {
        let error = column.error("raw rows are ordered by `timestamp` only");
        return Err(error.candidates(vec!["timestamp".to_owned()]));
    }
    calculations::direction(&order)
}

/// The text of a cursor, `<timestamp>_<event.id>`.
pub fn cursor_text(cursor: Cursor) -> String {
    format!("{}_{}", cursor.time_ns, cursor.event_id)
}

fn cursor(object: &Object<'_>) -> Result<Option<Cursor>, QueryError> {
    let Some(node) = object.get("cursor") else { return Ok(None) };
    match parse_cursor(node.text()?) {
        Some(cursor) => Ok(Some(cursor)),
        None => Err(node.error("this is no cursor").hint("pass `data.next` of the page before, unchanged")),
    }
}

fn parse_cursor(text: &str) -> Option<Cursor> {
    let (time, id) = text.split_once('_')?;
    let mut parts = id.split('-');
    let event_id = EventId {
        partition: Partition(parts.next()?.parse().ok()?),
        offset: Offset(parts.next()?.parse().ok()?),
        index: parts.next()?.parse().ok()?,
    };
    let whole = parts.next().is_none();
    Some(Cursor { time_ns: time.parse().ok()?, event_id }).filter(|_| whole)
}

fn group_plan(object: &Object<'_>) -> Result<GroupPlan, QueryError> {
    if let Some(node) = object.get("cursor") {
        let error = node.error("a cursor continues raw rows, not aggregates");
        return Err(error.hint("ask for raw rows with \"calculations\": []"));
    }
    let calculations = calculations::calculations(object)?;
    let breakdowns = breakdowns(object)?;
    if let Some(clash) = breakdowns.iter().find(|b| calculations.iter().any(|c| c.name == *b.name)) {
        let message = format!("`{}` is both a breakdown and a calculation", clash.name);
        return Err(QueryError::invalid(message).at(clash.location.clone()).hint("name the calculation"));
    }
    let formulas = formulas::formulas(object, &calculations, &breakdowns)?;
    let (orders, havings, granularity_ns) = (Vec::new(), Vec::new(), None);
    let limit = limit(object)?;
    let mut plan = GroupPlan { calculations, formulas, breakdowns, orders, havings, limit, granularity_ns };
    plan.orders = calculations::orders(object, &plan)?;
    plan.havings = calculations::havings(object, &plan)?;
    Ok(plan)
}

fn breakdowns(object: &Object<'_>) -> Result<Vec<Column>, QueryError> {
    let Some(node) = object.get("breakdowns") else { return Ok(Vec::new()) };
    let mut found: Vec<Column> = Vec::new();
    for node in node.array(limits::BREAKDOWNS_MAX)? {
        let column = relational::with_value(column(&node)?)?;
        if found.iter().any(|other| other.name == column.name) {
            return Err(node.error(format!("the breakdown `{}` is there twice", column.name)));
        }
        found.push(column);
    }
    Ok(found)
}
