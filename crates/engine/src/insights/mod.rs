//! Logs Insights on encoded data: the engine's filter and aggregation, or rows with what is computed of them, and behind
//! both the stages of the plan.
//!
//! A query that wants the first rows of an order keeps their places only, and reads what is shown of those that are left. A
//! query whose stages need all rows feeds them one by one, so that it holds what the stages hold. Both are bounded by
//! [`RunContext::memory_bytes_max`].

mod code;
mod feed;
mod first;

use skein_query::insights::Answer;
use skein_query::insights::plan::{Head, InsightsPlan, RowsHead};
use skein_query::insights::run::{Pipeline, Row};
use skein_query::plan::{Plan, TimeRange};
use skein_query::result::{Data, Meta, QueryResult, Warning};
use skein_query::{QueryError, RunContext};

use crate::meta;
use crate::native;
use crate::partial::Partials;
use crate::resolve;
use crate::scan::{Counters, Failure, Scan};
use crate::snapshot::SnapshotView;
use crate::workers::Workers;
use feed::Feed;

/// Told what the answer is so far.
pub(crate) type Partial<'a> = dyn Fn(Answer) + Sync + 'a;

/// Answers a query on one snapshot.
pub(crate) fn run(
    plan: &InsightsPlan,
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
    workers: &Workers,
    partial: &Partial<'_>,
) -> Result<Answer, Failure> {
    let mut warnings = plan.base.warnings.clone();
    resolve::check_insights(plan, view, excluded, context, &mut warnings)?;
    let run = Run { plan, view, excluded, context, workers, partial };
    if plan.base.dry_run {
        let mut counters = meta::dry_run(&plan.base, view);
        if let Some(earlier) = run.earlier() {
            counters.add(&meta::dry_run(&earlier, view));
        }
        let meta = meta::meta(&plan.base, view, excluded, context, &counters, warnings)?;
        return Ok(Answer { columns: Vec::new(), rows: Vec::new(), events: None, meta });
    }
    match &plan.head {
        Head::Groups(_) => run.groups(warnings),
        Head::Rows(rows) => run.rows(rows, warnings),
    }
}

struct Run<'a> {
    plan: &'a InsightsPlan,
    view: &'a SnapshotView,
    excluded: &'a [usize],
    context: &'a RunContext<'a>,
    workers: &'a Workers,
    partial: &'a Partial<'a>,
}

impl Run<'_> {
    fn groups(&self, warnings: Vec<Warning>) -> Result<Answer, Failure> {
        let so_far = |result: QueryResult| {
            // What is so far is shown if it can be; the answer itself fails where it cannot.
            if let Ok(answer) = self.of_groups(result) {
                (self.partial)(answer);
            }
        };
        let partial: Option<&(dyn Fn(QueryResult) + Sync)> = match self.context.partial {
            Some(_) => Some(&so_far),
            None => None,
        };
        let context = &RunContext { partial, ..*self.context };
        let result =
            native::run_checked(&self.plan.base, self.view, self.excluded, context, self.workers, warnings)?;
        Ok(self.of_groups(result)?)
    }

    fn of_groups(&self, result: QueryResult) -> Result<Answer, QueryError> {
        let (Head::Groups(head), Data::Groups(groups)) = (&self.plan.head, &result.data) else {
            return Err(QueryError::internal("an aggregation was answered with rows"));
        };
        let mut meta = result.meta;
        // Answers here have no intervals that could be missing.
        meta.warnings.retain(|warning| warning.code != "few_traces");
        let cells = groups.results.iter().flat_map(|row| &row.cells);
        let inexact = cells.filter(|cell| !cell.stats.exact).count();
        if inexact > 0 {
            let message = format!(
                "{inexact} values are estimates: of sampled events, or of percentiles of many values"
            );
            meta.warnings.push(Warning { code: "estimates", message });
        }
        let mut pipeline = Pipeline::new(&self.plan.stages);
        for row in head.rows(groups) {
            pipeline.push(row);
        }
        self.answer(pipeline, meta)
    }

    fn rows(&self, head: &RowsHead, mut warnings: Vec<Warning>) -> Result<Answer, Failure> {
        let mut feed = Feed::new(&head.code, &head.slots, Pipeline::new(&self.plan.stages));
        let mut counters = Counters::default();
        if let Some(first) = &head.first {
            let scan = self.scan(&self.plan.base);
            let mut partials = Partials::new(&self.plan.base, self.view, self.context);
            let (found, of_scan) = first::places(first, &scan, &mut |found, counters, fraction| {
                partials.show(fraction, counters, |meta| {
                    let mut feed = Feed::new(&head.code, &head.slots, Pipeline::new(&self.plan.stages));
                    first::read(&found(), self.view, &mut feed)?;
                    (self.partial)(self.answer(feed.pipeline, meta)?);
                    Ok(())
                })
            })?;
            counters.add(&of_scan);
            counters.bytes_scanned += first::read(&found, self.view, &mut feed)?;
        } else {
            if let Some(earlier) = self.earlier() {
                feed.earlier = true;
                counters.add(&self.scan(&earlier).run(&mut feed, |_, _, fraction| {
                    (self.context.progress)(fraction / 2.0);
                    Ok(())
                })?);
                feed.earlier = false;
            }
            let offset = if self.plan.earlier_ns.is_some() { 0.5 } else { 0.0 };
            let of_scan = self.scan(&self.plan.base).run(&mut feed, |_, _, fraction| {
                (self.context.progress)(offset + fraction * (1.0 - offset));
                Ok(())
            })?;
            counters.add(&of_scan);
        }
        if feed.weighted && head.first.is_none() && !self.plan.of_events {
            let message =
                "events were sampled: aggregates count each as often as its sample rate says".to_owned();
            warnings.push(Warning { code: "estimates", message });
        }
        let base = &self.plan.base;
        let meta = meta::meta(base, self.view, self.excluded, self.context, &counters, warnings)?;
        Ok(self.answer(feed.pipeline, meta)?)
    }

    fn scan<'s>(&'s self, plan: &'s Plan) -> Scan<'s> {
        Scan::of_plan(plan, self.view, self.excluded, None, self.context, self.workers)
    }

    /// The same question of the range that is compared with.
    fn earlier(&self) -> Option<Plan> {
        let offset_ns = self.plan.earlier_ns?;
        let TimeRange { start_ns, end_ns } = self.plan.base.time_range;
        let time_range = TimeRange {
            start_ns: start_ns.saturating_sub(offset_ns),
            end_ns: end_ns.saturating_sub(offset_ns),
        };
        Some(Plan { time_range, ..self.plan.base.clone() })
    }

    /// Everything was pushed.
    fn answer(&self, pipeline: Pipeline<'_>, mut meta: Meta) -> Result<Answer, QueryError> {
        let rows: Vec<Row> = pipeline.finish(|bytes| {
            self.context.check()?;
            check_memory(bytes, self.context)
        })?;
        if self.plan.default_limit && rows.len() >= skein_event::limits::QUERY_LIMIT_MAX {
            let message =
                format!("the answer ends at {} rows; add a limit, a filter, or aggregate", rows.len());
            meta.warnings.push(Warning { code: "rows_cut", message });
        }
        Ok(Answer::new(self.plan, &rows, meta))
    }
}

fn check_memory(bytes: usize, context: &RunContext<'_>) -> Result<(), QueryError> {
    if bytes <= context.memory_bytes_max {
        return Ok(());
    }
    let max = context.memory_bytes_max >> 20;
    let error = QueryError::limit(format!("the query needs more than its {max} MiB of memory"));
    Err(error.hint("group by fewer or less varied fields, narrow the range, or add filters"))
}
