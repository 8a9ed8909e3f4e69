//! Names with a relational prefix (`root.`, `child.`, …), and the calculations over several events: PER_TRACE and
//! INTERVAL. docs/reference/relational.md has the rules.
//!
//! Filters are split by whose values they test; those of one prefix are met by one event together.

use std::sync::Arc;

use super::limits::TRACE_SLACK_SECONDS_MAX;
use super::node::{Node, Object, shortened};
use super::{calculations, filters};
use crate::error::{Location, QueryError};
use crate::plan::{
    Calculation, Column, Combination, Derived, Filter, FilterSet, OPERATIONS, Operation, Related, Scope,
};

/// How far beyond the range others of a trace are looked for unless stated (SEMANTICS.md, "Time").
const TRACE_SLACK_SECONDS: f64 = 600.0;

/// Operations whose values are of several events.
const DERIVED: [&str; 2] = ["PER_TRACE", "INTERVAL"];

/// Filters by whose values they test.
pub(super) struct Conditions {
    pub(super) own: FilterSet,
    pub(super) related: Vec<Related>,
}

/// Reads `filters` and `filter_combination` of an object.
pub(super) fn conditions(object: &Object<'_>) -> Result<Conditions, QueryError> {
    let FilterSet { combination, filters } = filters::filter_set(object)?;
    let mut own = FilterSet { combination, filters: Vec::new() };
    let mut related: Vec<Related> = Vec::new();
    for filter in filters {
        let scope = filter.column.scope;
        if scope == Scope::Own {
            own.filters.push(filter);
        } else if combination == Combination::Any {
            let message =
                format!("`{}` asks about another event, which goes with AND only", filter.column.name);
            let error = QueryError::invalid(message).at(filter.column.location.clone());
            return Err(error.hint("leave `filter_combination` out, or ask two queries"));
        } else if let Some(same) = related.iter_mut().find(|related| related.scope == scope) {
            same.filters.push(filter);
        } else {
            related.push(Related { scope, filters: vec![filter] });
        }
    }
    // In one order, whatever that of the filters: equal questions make equal plans.
    related.sort_by_key(|related| related.scope);
    Ok(Conditions { own, related })
}

/// Refuses a name with a relational prefix where only the event's own values count.
pub(super) fn own<'c>(column: &'c Column, place: &str) -> Result<&'c Column, QueryError> {
    if column.scope == Scope::Own {
        return Ok(column);
    }
    let message = format!(
        "`{}` asks about another event of the trace, which {place} does not",
        shortened(&column.name)
    );
    Err(QueryError::invalid(message)
        .at(column.location.clone())
        .hint(format!("an attribute of that name is read as `attributes.{}`", column.name)))
}

/// Refuses `none.` where a value is wanted.
pub(super) fn with_value(column: Column) -> Result<Column, QueryError> {
    if column.scope != Scope::None {
        return Ok(column);
    }
    let message = format!("`{}` is of no event and has no value", shortened(&column.name));
    let error = QueryError::invalid(message).at(column.location.clone());
    Err(error.hint("`none.` goes into filters; `any.` has values"))
}

/// Refuses relational prefixes in filters.
pub(super) fn own_filters(filters: &[Filter], place: &str) -> Result<(), QueryError> {
    filters.iter().try_for_each(|filter| own(&filter.column, place).map(drop))
}

/// Reads `trace_slack_seconds`, in nanoseconds.
pub(super) fn trace_slack_ns(object: &Object<'_>) -> Result<i64, QueryError> {
    let seconds = match object.get("trace_slack_seconds") {
        Some(node) => {
            let seconds = node.number()?;
            if !(0.0..=TRACE_SLACK_SECONDS_MAX).contains(&seconds) {
                return Err(node.error(format!("expected seconds from 0 to {TRACE_SLACK_SECONDS_MAX}")));
            }
            seconds
        }
        None => TRACE_SLACK_SECONDS,
    };
    #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
    Ok((seconds * 1e9).round() as i64)
}

/// Whether an operation's values are of several events.
pub(super) fn is_derived(operation: &str) -> bool {
    DERIVED.iter().any(|name| name.eq_ignore_ascii_case(operation))
}

/// Whether a calculation is what such an operation asks for.
pub(super) fn is_called(calculation: &Calculation, operation: &str) -> bool {
    let name = match calculation.derived {
        None => return false,
        Some(Derived::PerTrace(_)) => DERIVED[0],
        Some(Derived::Interval { .. }) => DERIVED[1],
        Some(Derived::InFlight { .. } | Derived::Increase { .. }) => return false,
    };
    name.eq_ignore_ascii_case(operation)
}

/// Reads a PER_TRACE or INTERVAL.
pub(super) fn derived(object: &Object<'_>, operation: &str) -> Result<Calculation, QueryError> {
    for field in ["column", "filters", "filter_combination"] {
        if let Some(node) = object.get(field) {
            let error = node.error(format!("{} takes no `{field}`", operation.to_ascii_uppercase()));
            return Err(error.hint("what is computed of each trace stands in `inner`, or in `from` and `to`"));
        }
    }
    let is_per_trace = DERIVED[0].eq_ignore_ascii_case(operation);
    let strange = if is_per_trace { ["from", "to", "by"].as_slice() } else { ["inner"].as_slice() };
    if let Some(node) = strange.iter().find_map(|field| object.get(field)) {
        return Err(node.error(format!("{} has no such field", operation.to_ascii_uppercase())));
    }
    let outer_node = object.required("outer")?;
    let outer = outer_node.word(OPERATIONS)?;
    if outer.of_interval().is_some() {
        let error = outer_node.error(format!("{} is of events and not of other calculations", outer.name()));
        return Err(error.hint("the series of the answer shows how a value changes"));
    }
    let (derived, name) = if is_per_trace {
        (Derived::PerTrace(Box::new(inner(&object.required("inner")?)?)), DERIVED[0])
    } else {
        (interval(object)?, DERIVED[1])
    };
    let name = object.get("name").map(|node| node.text()).transpose()?.unwrap_or(name);
    Ok(Calculation {
        name: name.to_owned(),
        operation: outer,
        column: None,
        filter: None,
        related: Vec::new(),
        derived: Some(derived),
    })
}

fn inner(node: &Node<'_>) -> Result<Calculation, QueryError> {
    let calculation = calculations::inner(node)?;
    if calculation.derived.is_some() {
        return Err(node.error("a calculation per trace is of events, not of another of its kind"));
    }
    if calculation.operation == Operation::Heatmap {
        let error = node.error("a HEATMAP is no number");
        return Err(error.hint("the distribution over traces is \"outer\": \"HEATMAP\""));
    }
    if !calculation.operation.has_number() {
        return Err(
            node.error(format!("{} is of buckets of time and not of a trace", calculation.operation.name()))
        );
    }
    calculation.column.iter().try_for_each(|column| own(column, "`inner`").map(drop))?;
    if let Some(filter) = calculation.related.iter().flat_map(|related| &related.filters).next() {
        own(&filter.column, "`inner`")?;
    }
    Ok(calculation)
}

fn interval(object: &Object<'_>) -> Result<Derived, QueryError> {
    let filters = |name: &str| {
        let node = object.required(name)?;
        let filters = filters::filter_list(&node)?;
        if filters.is_empty() {
            return Err(node.error("expected at least one filter"));
        }
        own_filters(&filters, &format!("`{name}`"))?;
        Ok(FilterSet { combination: Combination::All, filters })
    };
    let by = match object.get("by") {
        Some(node) => {
            let column = super::column(&node)?;
            own(&column, "`by`")?;
            column
        }
        None => Column::stored("trace.trace_id", Location::Path(String::new())),
    };
    Ok(Derived::Interval { from: filters("from")?, to: filters("to")?, by })
}

/// The column that a name means, with the scope that it states.
pub(super) fn scoped(name: &str, location: Location) -> Result<Column, QueryError> {
    let (scope, rest) = Scope::of_name(name);
    if rest.is_empty() {
        let error = QueryError::invalid(format!("`{name}` names no column")).at(location);
        return Err(error.hint(format!("write a column's name after `{name}`")));
    }
    if Scope::of_name(rest).0 != Scope::Own {
        let message = format!("`{}` has two relational prefixes; one is possible", shortened(name));
        return Err(QueryError::invalid(message).at(location));
    }
    Ok(Column { name: Arc::from(name), scope, ..Column::stored(rest, location) })
}
