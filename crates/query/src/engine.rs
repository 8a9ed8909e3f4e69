//! The seam behind which plans run. `skein-engine` implements it on encoded segments; `sim` has a reference
//! interpreter behind the same trait; both are held to the same answers.

use std::sync::atomic::{AtomicBool, Ordering};

use skein_event::ids::Environment;
use skein_event::observe::Clock;

use crate::cohorts::{Cohorts, CohortsPlan};
use crate::error::{ErrorKind, QueryError};
use crate::explain::{Analyst, ExplainPlan};
use crate::insights::{Answer, InsightsPlan};
use crate::plan::{Plan, TimeRange};
use crate::result::{ColumnInfo, DatasetInfo, Meta, QueryResult, ScanBatch, TraceRows, ValueCount};
use crate::templates::{Collected, TemplatesPlan};
use crate::trace_columns::{TraceColumns, TraceForm};

/// What a run may use, and whom it tells.
#[derive(Clone, Copy)]
pub struct RunContext<'a> {
    /// Where time is read: for `elapsed`, for the deadline and for `complete_to`.
    pub clock: &'a dyn Clock,
    /// Set by whoever cancels; checked once per block of rows.
    pub cancelled: &'a AtomicBool,
    /// Told the fraction done, 0 to 1, after each segment.
    pub progress: &'a (dyn Fn(f64) + Sync),
    /// Told now and then what the answer is so far; `None` when nobody would look at it.
    pub partial: Option<&'a (dyn Fn(QueryResult) + Sync)>,
    /// The run fails with `limit_exceeded` once the clock passes it.
    pub deadline_ns: Option<i64>,
    /// Memory of the run's state (groups, sketches, rows), in bytes. More is `limit_exceeded`.
    pub memory_bytes_max: usize,
}

impl RunContext<'_> {
    /// Whether the run may go on.
    pub fn check(&self) -> Result<(), QueryError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(QueryError::cancelled());
        }
        match self.deadline_ns {
            Some(deadline) if self.clock.now_ns() > deadline => {
                Err(QueryError::limit("the query took longer than it may")
                    .hint("narrow the time range or add filters"))
            }
            _ => Ok(()),
        }
    }
}

/// Takes batches of a scan; an error ends it.
pub type ScanSink<'a> = dyn FnMut(ScanBatch) -> Result<(), QueryError> + 'a;

/// Told what the answer to a query in Logs Insights is so far.
pub type InsightsPartial<'a> = dyn Fn(Answer) + Sync + 'a;

/// Runs plans over a snapshot. The calls block: they belong on CPU threads.
pub trait QueryEngine: Send + Sync {
    /// Answers a plan.
    ///
    /// POST: the answer covers EVERY event of the plan's environment, datasets and time range that was
    /// acknowledged before the call (I2), and none of another environment (I10). The same plan on the same
    /// snapshot gives the same data. On `Err` with candidates, a column or dataset was unknown. What
    /// `context.partial` is told holds no event twice and carries the warning `partial`.
    fn run(&self, plan: &Plan, context: &RunContext<'_>) -> Result<QueryResult, QueryError>;

    /// Answers a query in Logs Insights.
    ///
    /// POST: as of [`QueryEngine::run`], for the events of `plan.base`. `partial` is told now and then what the answer is
    /// so far, with the warning `partial`, if the context has somebody who would look at it.
    fn insights(
        &self,
        _plan: &InsightsPlan,
        _context: &RunContext<'_>,
        _partial: &InsightsPartial<'_>,
    ) -> Result<Answer, QueryError> {
        let error = QueryError::new(ErrorKind::Unavailable, "this engine does not answer Logs Insights");
        Err(error.hint("POST /api/v1/query takes specifications of the builder language"))
    }

    /// Lets an analyst count two sets of events over one snapshot ([`crate::explain`]).
    ///
    /// POST: whatever it asks is counted over the same events. The sets have no event in common.
    fn explain(
        &self,
        _plan: &ExplainPlan,
        _context: &RunContext<'_>,
        _analyst: &mut Analyst<'_>,
    ) -> Result<Meta, QueryError> {
        Err(QueryError::new(ErrorKind::Unavailable, "this engine does not compare events"))
    }

    /// Counts two cohorts of events, operation by operation, over one snapshot ([`crate::cohorts`]).
    ///
    /// POST: as of [`QueryEngine::run`], for the events of each side's plan; an event may be in both.
    fn cohorts(&self, _plan: &CohortsPlan, _context: &RunContext<'_>) -> Result<Cohorts, QueryError> {
        Err(QueryError::new(ErrorKind::Unavailable, "this engine does not compare cohorts"))
    }

    /// Collects the shapes of texts ([`crate::templates`]).
    ///
    /// POST: as of [`QueryEngine::run`]; every event is counted, in a shape, as other, or as one without a text.
    fn templates(&self, _plan: &TemplatesPlan, _context: &RunContext<'_>) -> Result<Collected, QueryError> {
        Err(QueryError::new(ErrorKind::Unavailable, "this engine does not mine templates"))
    }

    /// All events of a trace, whatever their time.
    ///
    /// POST: no rows means that no event of the environment has the id.
    fn trace(
        &self,
        environment: &Environment,
        trace_id: [u8; 16],
        context: &RunContext<'_>,
    ) -> Result<TraceRows, QueryError>;

    /// Some columns of all events of a trace, whatever their time.
    ///
    /// POST: the events are those of [`QueryEngine::trace`], each once, by (timestamp, `event.id`).
    fn trace_columns(
        &self,
        environment: &Environment,
        trace_id: [u8; 16],
        columns: &[(&str, TraceForm)],
        context: &RunContext<'_>,
    ) -> Result<TraceColumns, QueryError> {
        Ok(TraceColumns::of_rows(self.trace(environment, trace_id, context)?, columns))
    }

    /// The events of a trace that belong to one span: the span, however often it came, its span events, its links
    /// and its log records.
    ///
    /// POST: the rows are those of [`QueryEngine::trace`] of which this is so.
    fn span_of_trace(
        &self,
        environment: &Environment,
        trace_id: [u8; 16],
        span_id: [u8; 8],
        context: &RunContext<'_>,
    ) -> Result<TraceRows, QueryError> {
        let mut rows = self.trace(environment, trace_id, context)?;
        rows.rows.retain(|row| row.is_of_span(&skein_event::ids::encode_hex(&span_id)));
        Ok(rows)
    }

    /// The datasets of an environment, by name.
    fn datasets(
        &self,
        environment: &Environment,
        context: &RunContext<'_>,
    ) -> Result<Vec<DatasetInfo>, QueryError>;

    /// The columns of a dataset (of all, without one), by name.
    fn columns(
        &self,
        environment: &Environment,
        dataset: Option<&str>,
        context: &RunContext<'_>,
    ) -> Result<Vec<ColumnInfo>, QueryError>;

    /// The most frequent values of a column that begin with `prefix`, at most `limit`.
    fn values(
        &self,
        environment: &Environment,
        dataset: Option<&str>,
        column: &str,
        prefix: &str,
        limit: usize,
        context: &RunContext<'_>,
    ) -> Result<Vec<ValueCount>, QueryError>;

    /// Every event of some datasets (of all, when none is named) and a time range, for an export.
    ///
    /// POST: each event exactly once; within a segment in order of event id, so that a span is followed by its
    /// span events and links.
    fn scan(
        &self,
        environment: &Environment,
        datasets: &[String],
        time_range: TimeRange,
        context: &RunContext<'_>,
        sink: &mut ScanSink<'_>,
    ) -> Result<(), QueryError>;
}
