//! What is said beside an answer: where data is when the range has none, and where columns are that overflowed.

use skein_query::RunContext;
use skein_query::plan::Plan;
use skein_query::result::Warning;
use skein_query::time_text::format_ns;

use crate::catalog;
use crate::scan::{Counters, Failure};
use crate::snapshot::SnapshotView;

/// Says where more columns came than a dataset may have (DESIGN.md §2): nothing is lost, but it is slower to
/// find.
pub(crate) fn overflow_warning(counters: &Counters) -> Option<Warning> {
    let count = counters.segments_overflowed;
    let message = format!(
        "in {count} of {} segments attributes beyond the column limits are kept in meta.overflow; they are found by \
         their names, more slowly",
        counters.segments.scanned
    );
    (count > 0).then_some(Warning { code: "columns_overflow", message })
}

/// Nothing lies in the range: says where the datasets do have data.
pub(crate) fn where_data_is(
    plan: &Plan,
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
) -> Result<Option<Warning>, Failure> {
    const NAMED: usize = 5;
    let wanted = |name: &str| plan.datasets.is_empty() || plan.datasets.iter().any(|d| d.name == name);
    let mut datasets = catalog::datasets(view, excluded, context)?;
    datasets.retain(|dataset| wanted(&dataset.name));
    let first = datasets.iter().map(|dataset| dataset.first_ns).min();
    let last = datasets.iter().map(|dataset| dataset.last_ns).max();
    let (Some(first), Some(last)) = (first, last) else {
        let message = "this environment has no events yet".to_owned();
        return Ok(Some(Warning { code: "no_data", message }));
    };
    let named: Vec<&str> = datasets.iter().take(NAMED).map(|dataset| dataset.name.as_str()).collect();
    let more = datasets.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!(
        "no events in this range; {}{more} have data from {} to {}",
        named.join(", "),
        format_ns(first),
        format_ns(last)
    );
    Ok(Some(Warning { code: "no_data_in_range", message }))
}
