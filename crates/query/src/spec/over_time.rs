//! Calculations over time: CONCURRENCY, and INCREASE and RATE of counters. docs/reference/over-time.md has the rules.
//!
//! (RATE_AVG, RATE_SUM and RATE_MAX are operations of their own: see [`Operation::of_interval`].)

use super::node::Object;
use super::{column, relational};
use crate::error::QueryError;
use crate::plan::{Calculation, Combination, Derived, FilterSet, Operation};

/// Operations whose values lie in more than one moment.
const NAMES: [&str; 3] = ["CONCURRENCY", "INCREASE", "RATE"];

/// The operation of a name, if it is one of these.
pub(super) fn name_of(operation: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|name| name.eq_ignore_ascii_case(operation))
}

/// What such a calculation is called in the language; `None` of others.
fn called(calculation: &Calculation) -> Option<&'static str> {
    match calculation.derived {
        Some(Derived::InFlight { .. }) => Some(NAMES[0]),
        Some(Derived::Increase { per_second: false, .. }) => Some(NAMES[1]),
        Some(Derived::Increase { per_second: true, .. }) => Some(NAMES[2]),
        Some(Derived::PerTrace(_) | Derived::Interval { .. }) | None => None,
    }
}

/// Whether a calculation is that of an operation and a column.
pub(super) fn is_called(calculation: &Calculation, operation: &str, column: Option<&str>) -> bool {
    let own = match &calculation.derived {
        Some(Derived::Increase { column, .. }) => Some(&*column.name),
        _ => None,
    };
    called(calculation) == Some(operation) && own == column
}

/// Reads one.
pub(super) fn calculation(object: &Object<'_>, operation: &'static str) -> Result<Calculation, QueryError> {
    if let Some(node) = ["inner", "outer", "from", "to", "by"].iter().find_map(|name| object.get(name)) {
        return Err(node.error("this field belongs to PER_TRACE and INTERVAL"));
    }
    let filter = filters(object, operation)?;
    let name = object.get("name").map(|node| node.text()).transpose()?;
    if !filter.filters.is_empty() && name.is_none() {
        let error = object.error("a calculation with filters needs a `name`");
        return Err(error.hint("its key in the answer would not tell it from the one without filters"));
    }
    let (derived, key) = if operation == NAMES[0] {
        if let Some(node) = object.get("column") {
            let error = node.error("CONCURRENCY takes no `column`");
            return Err(error.hint("it is of spans, from their start for as long as `duration_ms` says"));
        }
        (Derived::InFlight { filter }, operation.to_owned())
    } else {
        let Some(node) = object.get("column") else {
            return Err(object.error(format!("{operation} needs a `column`")));
        };
        let column = column(&node)?;
        relational::own(&column, operation)?;
        let key = format!("{operation}({})", column.name);
        let per_second = operation == NAMES[2];
        (Derived::Increase { column, filter, per_second }, key)
    };
    Ok(Calculation {
        name: name.map_or(key, str::to_owned),
        operation: Operation::Sum,
        column: None,
        filter: None,
        related: Vec::new(),
        derived: Some(derived),
    })
}

fn filters(object: &Object<'_>, operation: &str) -> Result<FilterSet, QueryError> {
    let set = super::filters::filter_set(object)?;
    relational::own_filters(&set.filters, operation)?;
    let combination = if set.filters.is_empty() { Combination::All } else { set.combination };
    Ok(FilterSet { combination, ..set })
}
