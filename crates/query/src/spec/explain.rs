//! The request of `POST /api/v1/explain`: which events are to be explained, and against which others.

use serde_json::Value;
use skein_event::ids::Environment;
use skein_event::limits::{EXPLAIN_COLUMNS_MAX, EXPLAIN_FINDINGS_DEFAULT, EXPLAIN_FINDINGS_MAX};

use super::node::{Node, Object};
use super::{column, datasets, fields, flag, relational, times};
use crate::error::{Location, QueryError};
use crate::explain::{ExplainPlan, Rect};
use crate::plan::{Calculation, Column, GroupPlan, Named, Operation, Output, Plan, Scope, TimeRange};

/// What says which events a side has.
pub(super) const SIDE: [&str; 9] = [
    "filters",
    "filter_combination",
    "datasets",
    "calculated_fields",
    "start_time",
    "end_time",
    "time_range",
    "trace_slack_seconds",
    "usage_mode",
];

/// Makes a plan of a request. `now_ns` is the end of a range that states none.
pub fn explain(request: &Value, environment: &Environment, now_ns: i64) -> Result<ExplainPlan, QueryError> {
    let object = Node::root(request).object(&["selection", "baseline", "columns", "limit"])?;
    let node = object.required("selection")?;
    let with_rect: Vec<&str> = SIDE.iter().copied().chain(["rect"]).collect();
    let fields = fields::calculated_fields(&node.object(&with_rect)?)?;
    let of_selection = node.clone().with_fields(&fields).object(&with_rect)?;
    let selection = side(&of_selection, environment, now_ns, None)?;
    let rect = of_selection.get("rect").map(|node| rect(&node, &selection)).transpose()?;
    let baseline = match object.get("baseline") {
        None => None,
        Some(node) => {
            // A calculated field of the selection is known here as well, unless the baseline has its own.
            let own = node.object(&SIDE)?;
            let own_fields = fields::calculated_fields(&own)?;
            let fields = if own.get("calculated_fields").is_some() { &own_fields } else { &fields };
            let own = node.clone().with_fields(fields).object(&SIDE)?;
            Some(side(&own, environment, now_ns, Some(&selection))?)
        }
    };
    if baseline.is_none()
        && rect.is_none()
        && selection.filter.filters.is_empty()
        && selection.related.is_empty()
    {
        let error =
            node.error("the selection is everything there is, so that nothing is left to compare it with");
        return Err(error.hint("give filters, a rect, or a baseline of another time"));
    }
    Ok(ExplainPlan { selection, rect, baseline, columns: columns(&object)?, limit: limit(&object)? })
}

/// One side's events. What a baseline does not say is as in the selection, but for its time.
pub(super) fn side(
    object: &Object<'_>,
    environment: &Environment,
    now_ns: i64,
    selection: Option<&Plan>,
) -> Result<Plan, QueryError> {
    let conditions = relational::conditions(object)?;
    let stated = |name: &str| object.get(name).is_some();
    let (filter, related) = match selection {
        Some(selection) if !stated("filters") => (selection.filter.clone(), selection.related.clone()),
        _ => (conditions.own, conditions.related),
    };
    let datasets: Vec<Named> = match selection {
        Some(selection) if !stated("datasets") => selection.datasets.clone(),
        _ => datasets(object)?,
    };
    let has_time = ["start_time", "end_time", "time_range"].iter().any(|name| stated(name));
    let time_range = match selection {
        Some(selection) if !has_time => selection.time_range,
        _ => times::time_range(object, now_ns)?,
    };
    let count = Calculation {
        name: "COUNT".to_owned(),
        operation: Operation::Count,
        column: None,
        filter: None,
        related: Vec::new(),
        derived: None,
    };
    Ok(Plan {
        environment: environment.clone(),
        datasets,
        time_range,
        filter,
        related,
        trace_slack_ns: relational::trace_slack_ns(object)?,
        output: Output::Groups(GroupPlan {
            calculations: vec![count],
            formulas: Vec::new(),
            breakdowns: Vec::new(),
            orders: Vec::new(),
            havings: Vec::new(),
            limit: 1,
            granularity_ns: None,
        }),
        compare_offset_ns: None,
        usage_mode: flag(object, "usage_mode")?,
        dry_run: false,
        warnings: Vec::new(),
    })
}

fn rect(node: &Node<'_>, selection: &Plan) -> Result<Rect, QueryError> {
    let object = node.object(&["column", "lo", "hi", "start_time", "end_time"])?;
    let of = object.required("column")?;
    let column = column(&of)?;
    if column.scope != Scope::Own {
        return Err(of.error("a rectangle is about a column of the events themselves"));
    }
    let bound = |name: &str| object.get(name).map(|node| node.number()).transpose();
    let (lo, hi) = (bound("lo")?.unwrap_or(f64::NEG_INFINITY), bound("hi")?.unwrap_or(f64::INFINITY));
    if lo >= hi {
        let error = node.error("the rectangle is empty: it has no value from `lo` to below `hi`");
        return Err(error.hint("hi is exclusive and must be larger than lo"));
    }
    let has_time = object.get("start_time").is_some() || object.get("end_time").is_some();
    let mut time_range = selection.time_range;
    if has_time {
        // The time that is not stated is the selection's.
        let stated = |name: &str| object.get(name).map(|node| times::to_ns(&node)).transpose();
        let TimeRange { start_ns, end_ns } = time_range;
        time_range.start_ns = stated("start_time")?.unwrap_or(start_ns).max(start_ns);
        time_range.end_ns = stated("end_time")?.unwrap_or(end_ns).min(end_ns);
        if time_range.start_ns >= time_range.end_ns {
            let error = node.error("the rectangle has no time within that of the selection");
            return Err(error.hint("end_time is exclusive and must be later than start_time"));
        }
    }
    Ok(Rect { column, lo, hi, time_range })
}

fn columns(object: &Object<'_>) -> Result<Vec<Column>, QueryError> {
    let Some(node) = object.get("columns") else { return Ok(Vec::new()) };
    let mut found: Vec<Column> = Vec::new();
    for node in node.array(EXPLAIN_COLUMNS_MAX)? {
        let name = node.text()?;
        if Scope::of_name(name).0 != Scope::Own {
            return Err(node.error("only columns of the events themselves explain them"));
        }
        if found.iter().all(|known| *known.name != *name) {
            found.push(Column::stored(name, Location::Path(node.path.clone())));
        }
    }
    Ok(found)
}

fn limit(object: &Object<'_>) -> Result<usize, QueryError> {
    let Some(node) = object.get("limit") else { return Ok(EXPLAIN_FINDINGS_DEFAULT) };
    let limit = node.value.as_u64().and_then(|limit| usize::try_from(limit).ok());
    match limit {
        Some(limit) if (1..=EXPLAIN_FINDINGS_MAX).contains(&limit) => Ok(limit),
        _ => Err(node.error(format!("the limit is a whole number from 1 to {EXPLAIN_FINDINGS_MAX}"))),
    }
}
