//! How an answer came about, and what its reader should know of the data behind it.

use skein_query::RunContext;
use skein_query::plan::Plan;
use skein_query::result::{Meta, Warning};

use crate::hints::{overflow_warning, where_data_is};
use crate::prune;
use crate::scan::{Counters, Failure};
use crate::snapshot::SnapshotView;

/// How an answer came about.
pub(crate) fn meta(
    plan: &Plan,
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
    counters: &Counters,
    mut warnings: Vec<Warning>,
) -> Result<Meta, Failure> {
    // Segments without a column that a filter needs are not looked at: then it is the column that is not there.
    let unknown = warnings.iter().any(|warning| warning.code == "unknown_column");
    if counters.rows_in_range == 0 && !plan.dry_run && !unknown {
        warnings.extend(where_data_is(plan, view, excluded, context)?);
    }
    warnings.extend(overflow_warning(counters));
    Ok(Meta {
        elapsed_ns: 0,
        rows_scanned: counters.rows_scanned,
        rows_matched: counters.rows_matched,
        bytes_scanned: counters.bytes_scanned,
        segments: counters.segments,
        complete_to_ns: view.complete_to_ns,
        time_range: Some(plan.time_range),
        snapshot: view.name.clone(),
        warnings,
    })
}

/// What a run would look at, by the segments' statistics alone. Bytes are those of whole files: a bound of what is read of
/// them, of which a run touches the columns that it names.
pub(crate) fn dry_run(plan: &Plan, view: &SnapshotView) -> Counters {
    let mut counters = Counters::default();
    let datasets: Vec<&str> = plan.datasets.iter().map(|named| named.name.as_str()).collect();
    for segment in view.segments.iter() {
        counters.segments.considered += 1;
        if prune::may_match(segment, &datasets, plan.time_range, &plan.filter) {
            counters.segments.scanned += 1;
            counters.rows_scanned += u64::from(segment.rows());
            counters.bytes_scanned += segment.bytes();
        } else {
            counters.segments.pruned += 1;
        }
    }
    counters
}
