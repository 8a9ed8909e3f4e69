//! The same question of an earlier range, beside the answer: from the same snapshot, so that both are complete to the same
//! time.

use skein_query::RunContext;
use skein_query::plan::Plan;
use skein_query::result::{Compared, Data, Meta, QueryResult, Warning};

use crate::scan::Failure;
use crate::snapshot::SnapshotView;

/// Runs a plan, and once more for the range that it is compared with, if there is one.
pub(crate) fn run(
    plan: &Plan,
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
    run_plan: impl Fn(&Plan, &SnapshotView, &[usize], &RunContext<'_>) -> Result<QueryResult, Failure>,
) -> Result<QueryResult, Failure> {
    let mut result = run_plan(plan, view, excluded, context)?;
    let (Some(earlier), Data::Groups(groups)) = (plan.earlier(), &mut result.data) else { return Ok(result) };
    // Whoever watches the answer come about has seen the first half, which would vanish again.
    let context = RunContext { partial: None, ..*context };
    let QueryResult { data, meta } = run_plan(&earlier, view, excluded, &context)?;
    if let Data::Groups(found) = data {
        groups.compare = Some(Box::new(Compared { time_range: earlier.time_range, groups: found }));
    }
    add(&mut result.meta, meta);
    Ok(result)
}

/// Adds what the earlier range took.
fn add(meta: &mut Meta, earlier: Meta) {
    meta.rows_scanned += earlier.rows_scanned;
    meta.rows_matched += earlier.rows_matched;
    meta.bytes_scanned += earlier.bytes_scanned;
    meta.segments.considered += earlier.segments.considered;
    meta.segments.pruned += earlier.segments.pruned;
    meta.segments.scanned += earlier.segments.scanned;
    for Warning { code, message } in earlier.warnings {
        let known = meta.warnings.iter().any(|warning| warning.code == code && warning.message == message);
        if !known {
            meta.warnings.push(Warning { code, message: format!("in the earlier range: {message}") });
        }
    }
}
