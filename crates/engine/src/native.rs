//! The engine behind the trait: takes a snapshot, runs, and runs again without a segment that turns out to be
//! damaged.

use std::sync::Arc;

use crate::answer::run_groups;
use crate::partial::Partials;
use crate::relation::Relations;
use crate::rows::{RowJob, RowPass};
use crate::scan::{Counters, Failure, Scan};
use crate::snapshot::{SnapshotView, Snapshots};
use crate::workers::Workers;
use crate::{
    catalog, cohorts, compare, explain, export, insights, meta, resolve, templates, trace, trace_columns,
};
use skein_event::ids::Environment;
use skein_query::cohorts::{Cohorts, CohortsPlan};
use skein_query::engine::{InsightsPartial, ScanSink};
use skein_query::explain::{Analyst, ExplainPlan};
use skein_query::insights::{Answer, InsightsPlan};
use skein_query::plan::{Column, Named, Output, Plan, RowPlan, TimeRange};
use skein_query::result::{ColumnInfo, Data, DatasetInfo, Meta, QueryResult, TraceRows, ValueCount, Warning};
use skein_query::templates::{Collected, TemplatesPlan};
use skein_query::trace_columns::{TraceColumns, TraceForm};
use skein_query::{Location, QueryEngine, QueryError, RunContext, complete};
use skein_store::ErrorKind;

/// Erasures that may come while rows are gathered; each has the query look again. More than that is no accident.
const ERASURES_DURING_A_QUERY: usize = 8;

/// Answers plans from a store's snapshots.
pub struct NativeEngine {
    store: Arc<dyn Snapshots>,
    workers: Workers,
}

impl NativeEngine {
    /// An engine over a store, with as many threads as there are processors.
    pub fn new(store: Arc<dyn Snapshots>) -> NativeEngine {
        NativeEngine { store, workers: Workers::default() }
    }

    /// An engine whose queries together have so many threads at work, each beyond its own. A segment is looked at in
    /// parts of so many rows; answers depend on these, not on the threads.
    pub fn with_threads(store: Arc<dyn Snapshots>, threads_max: usize, part_rows: u32) -> NativeEngine {
        NativeEngine { store, workers: Workers::new(threads_max, part_rows) }
    }

    /// Runs on one snapshot, leaving out segments that cannot be read, and says which those were.
    fn with_readable<T>(
        &self,
        environment: &Environment,
        context: &RunContext<'_>,
        mut run: impl FnMut(&SnapshotView, &[usize]) -> Result<T, Failure>,
    ) -> Result<(T, Vec<Warning>), QueryError> {
        let mut view = self.store.snapshot(environment, context.clock.now_ns())?;
        let mut excluded = Vec::new();
        let mut damaged = view.damaged.len();
        let mut looked_again = 0;
        loop {
            match run(&view, &excluded) {
                Ok(done) => return Ok((done, damage_warnings(damaged))),
                Err(Failure::Query(error)) => return Err(error),
                // Nothing is damaged: an answer would lack events for no reason of theirs.
                Err(Failure::Segment(_, error)) if error.kind() == ErrorKind::Erasure => {
                    return Err(QueryError::internal(error.to_string()));
                }
                // An erasure came between finding rows and showing them: what it takes is not found again.
                Err(Failure::Segment(_, error))
                    if error.kind() == ErrorKind::Erased && looked_again < ERASURES_DURING_A_QUERY =>
                {
                    looked_again += 1;
                    view = self.store.snapshot(environment, context.clock.now_ns())?;
                    excluded.clear();
                    damaged = view.damaged.len();
                }
                Err(Failure::Segment(_, error)) if error.kind() == ErrorKind::Erased => {
                    return Err(QueryError::internal(error.to_string()));
                }
                // Each round leaves out one more, so there is a last one.
                Err(Failure::Segment(place, error)) if excluded.contains(&place) => {
                    return Err(QueryError::internal(format!(
                        "segment {place} is read though set aside: {error}"
                    )));
                }
                Err(Failure::Segment(place, error)) => {
                    if let Some(segment) = view.segments.get(place) {
                        segment.report(&error);
                    }
                    damaged += 1;
                    excluded.push(place);
                }
            }
        }
    }
}

fn damage_warnings(damaged: usize) -> Vec<Warning> {
    let message = format!("{damaged} damaged segments could not be read; their events are missing here");
    if damaged == 0 { Vec::new() } else { vec![Warning { code: "segments_damaged", message }] }
}

// === impl QueryEngine ===

impl QueryEngine for NativeEngine {
    fn run(&self, plan: &Plan, context: &RunContext<'_>) -> Result<QueryResult, QueryError> {
        let start_ns = context.clock.now_ns();
        let run_plan = |plan: &Plan, view: &SnapshotView, excluded: &[usize], context: &RunContext<'_>| {
            run_plan(plan, view, excluded, context, &self.workers)
        };
        let run =
            |view: &SnapshotView, excluded: &[usize]| compare::run(plan, view, excluded, context, run_plan);
        let (mut result, warnings) = self.with_readable(&plan.environment, context, run)?;
        result.meta.warnings.extend(warnings);
        result.meta.elapsed_ns = context.clock.now_ns().saturating_sub(start_ns);
        Ok(result)
    }

    fn insights(
        &self,
        plan: &InsightsPlan,
        context: &RunContext<'_>,
        partial: &InsightsPartial<'_>,
    ) -> Result<Answer, QueryError> {
        let start_ns = context.clock.now_ns();
        let run = |view: &SnapshotView, excluded: &[usize]| {
            insights::run(plan, view, excluded, context, &self.workers, partial)
        };
        let (mut answer, warnings) = self.with_readable(&plan.base.environment, context, run)?;
        answer.meta.warnings.extend(warnings);
        answer.meta.elapsed_ns = context.clock.now_ns().saturating_sub(start_ns);
        Ok(answer)
    }

    fn explain(
        &self,
        plan: &ExplainPlan,
        context: &RunContext<'_>,
        analyst: &mut Analyst<'_>,
    ) -> Result<Meta, QueryError> {
        let run = |view: &SnapshotView, excluded: &[usize]| {
            explain::run(plan, view, excluded, context, &self.workers, analyst)
        };
        let (mut meta, warnings) = self.with_readable(&plan.selection.environment, context, run)?;
        meta.warnings.extend(warnings);
        Ok(meta)
    }

    fn cohorts(&self, plan: &CohortsPlan, context: &RunContext<'_>) -> Result<Cohorts, QueryError> {
        let start_ns = context.clock.now_ns();
        let run = |view: &SnapshotView, excluded: &[usize]| {
            cohorts::run(plan, view, excluded, context, &self.workers)
        };
        let [a, _] = &plan.sides;
        let (mut cohorts, warnings) = self.with_readable(&a.environment, context, run)?;
        cohorts.meta.warnings.extend(warnings);
        cohorts.meta.elapsed_ns = context.clock.now_ns().saturating_sub(start_ns);
        Ok(cohorts)
    }

    fn templates(&self, plan: &TemplatesPlan, context: &RunContext<'_>) -> Result<Collected, QueryError> {
        let start_ns = context.clock.now_ns();
        let run = |view: &SnapshotView, excluded: &[usize]| {
            templates::run(plan, view, excluded, context, &self.workers)
        };
        let (mut collected, warnings) = self.with_readable(&plan.now.environment, context, run)?;
        collected.meta.warnings.extend(warnings);
        collected.meta.elapsed_ns = context.clock.now_ns().saturating_sub(start_ns);
        Ok(collected)
    }

    fn trace(
        &self,
        environment: &Environment,
        trace_id: [u8; 16],
        context: &RunContext<'_>,
    ) -> Result<TraceRows, QueryError> {
        let start_ns = context.clock.now_ns();
        let run = |view: &SnapshotView, excluded: &[usize]| {
            trace::trace(view, excluded, environment, (trace_id, None), context)
        };
        let (mut rows, warnings) = self.with_readable(environment, context, run)?;
        rows.meta.warnings.extend(warnings);
        rows.meta.elapsed_ns = context.clock.now_ns().saturating_sub(start_ns);
        Ok(rows)
    }

    fn trace_columns(
        &self,
        environment: &Environment,
        trace_id: [u8; 16],
        columns: &[(&str, TraceForm)],
        context: &RunContext<'_>,
    ) -> Result<TraceColumns, QueryError> {
        let start_ns = context.clock.now_ns();
        let run = |view: &SnapshotView, excluded: &[usize]| {
            trace_columns::trace(view, excluded, (environment, trace_id), columns, context)
        };
        let (mut columns, warnings) = self.with_readable(environment, context, run)?;
        columns.meta.warnings.extend(warnings);
        columns.meta.elapsed_ns = context.clock.now_ns().saturating_sub(start_ns);
        Ok(columns)
    }

    fn span_of_trace(
        &self,
        environment: &Environment,
        trace_id: [u8; 16],
        span_id: [u8; 8],
        context: &RunContext<'_>,
    ) -> Result<TraceRows, QueryError> {
        let run = |view: &SnapshotView, excluded: &[usize]| {
            trace::trace(view, excluded, environment, (trace_id, Some(span_id)), context)
        };
        let (mut rows, warnings) = self.with_readable(environment, context, run)?;
        rows.meta.warnings.extend(warnings);
        Ok(rows)
    }

    fn datasets(
        &self,
        environment: &Environment,
        context: &RunContext<'_>,
    ) -> Result<Vec<DatasetInfo>, QueryError> {
        let run = |view: &SnapshotView, excluded: &[usize]| catalog::datasets(view, excluded, context);
        Ok(self.with_readable(environment, context, run)?.0)
    }

    fn columns(
        &self,
        environment: &Environment,
        dataset: Option<&str>,
        context: &RunContext<'_>,
    ) -> Result<Vec<ColumnInfo>, QueryError> {
        let run =
            |view: &SnapshotView, excluded: &[usize]| catalog::columns(view, excluded, dataset, context);
        Ok(self.with_readable(environment, context, run)?.0)
    }

    fn values(
        &self,
        environment: &Environment,
        dataset: Option<&str>,
        column: &str,
        prefix: &str,
        limit: usize,
        context: &RunContext<'_>,
    ) -> Result<Vec<ValueCount>, QueryError> {
        let named =
            |name: &str| Named { name: name.to_owned(), location: Location::Path("/dataset".to_owned()) };
        let datasets = dataset.into_iter().map(named).collect();
        let column = Column::stored(column, Location::Path("/column".to_owned()));
        let plan = complete::values_plan(environment, datasets, TimeRange::ALL, column, prefix, limit);
        Ok(complete::values_of(self.run(&plan, context)?))
    }

    fn scan(
        &self,
        environment: &Environment,
        datasets: &[String],
        time_range: TimeRange,
        context: &RunContext<'_>,
        sink: &mut ScanSink<'_>,
    ) -> Result<(), QueryError> {
        let view = self.store.snapshot(environment, context.clock.now_ns())?;
        if !view.damaged.is_empty() {
            // An export that silently lacks events would be taken for a copy.
            let names = view.damaged.join(", ");
            return Err(QueryError::internal(format!("damaged segments: {names}")));
        }
        export::scan(&view, datasets, time_range, context, sink).map_err(export::refuse_damage)
    }
}

fn run_plan(
    plan: &Plan,
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
    workers: &Workers,
) -> Result<QueryResult, Failure> {
    let mut warnings = plan.warnings.clone();
    resolve::check(plan, view, excluded, context, &mut warnings)?;
    run_checked(plan, view, excluded, context, workers, warnings)
}

/// Runs a plan whose names were looked at.
pub(crate) fn run_checked(
    plan: &Plan,
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
    workers: &Workers,
    mut warnings: Vec<Warning>,
) -> Result<QueryResult, Failure> {
    let mut counters = Counters::default();
    let related = match plan.is_relational() && !plan.dry_run {
        true => Some(Relations::collect(plan, view, excluded, context, workers, &mut counters)?),
        false => None,
    };
    let context = &RunContext {
        memory_bytes_max: context
            .memory_bytes_max
            .saturating_sub(related.as_ref().map_or(0, |related| related.memory_bytes())),
        ..*context
    };
    let scan = Scan::of_plan(plan, view, excluded, related.as_ref(), context, workers);
    let (data, of_scan) = match &plan.output {
        _ if plan.dry_run => (Data::Nothing, meta::dry_run(plan, view)),
        Output::Groups(groups) => run_groups(plan, groups, &scan, &mut warnings)?,
        Output::Rows(rows) => run_rows(plan, rows, &scan)?,
    };
    counters.add(&of_scan);
    warnings.extend(Relations::warning(plan, counters.rootless));
    let meta = meta::meta(plan, view, excluded, context, &counters, warnings)?;
    Ok(QueryResult { data, meta })
}

fn run_rows(plan: &Plan, rows: &RowPlan, scan: &Scan<'_>) -> Result<(Data, Counters), Failure> {
    let mut pass = RowPass::new(rows);
    let mut partials = Partials::new(plan, scan.view, scan.context);
    let counters = scan.run_parts(&RowJob::new(rows), &mut pass, |pass, counters, fraction| {
        partials.tell(fraction, counters, || pass.rows(scan.view).map(Data::Rows))
    })?;
    Ok((Data::Rows(pass.rows(scan.view)?), counters))
}
