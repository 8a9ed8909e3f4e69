//! Other events of a row's trace.

use skein_query::QueryError;
use skein_query::plan::{Column, GroupPlan, Output, Plan, Scope};

/// Relational questions are planned before they are answered: until then they are refused.
pub(crate) fn refuse_unanswered(plan: &Plan) -> Result<(), QueryError> {
    let of_others = |groups: &GroupPlan| {
        let scoped = |column: &Column| column.scope != Scope::Own;
        groups.breakdowns.iter().any(scoped)
            || groups.calculations.iter().any(|c| {
                c.column.as_ref().is_some_and(scoped) || !c.related.is_empty() || c.derived.is_some()
            })
    };
    if plan.related.is_empty() && !matches!(&plan.output, Output::Groups(groups) if of_others(groups)) {
        return Ok(());
    }
    Err(QueryError::invalid("questions about other events of a trace are not answered by this version"))
}
