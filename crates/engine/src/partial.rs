//! What a query under way knows already: told between segments, seldom enough that the query itself is hardly
//! slower for it.
//!
//! It refuses to be believed: what it tells carries the warning `partial` with the segments that are missing.

use skein_event::limits::{PARTIAL_COST_FRACTION, PARTIAL_INTERVAL_NS};
use skein_query::RunContext;
use skein_query::plan::Plan;
use skein_query::result::{Data, Meta, QueryResult, Warning};

use crate::scan::{Counters, Failure};
use crate::snapshot::SnapshotView;

/// Tells progress, and now and then the answer so far.
pub(crate) struct Partials<'a> {
    plan: &'a Plan,
    view: &'a SnapshotView,
    context: &'a RunContext<'a>,
    start_ns: i64,
    /// Nothing is put together before.
    next_ns: i64,
}

impl<'a> Partials<'a> {
    pub(crate) fn new(plan: &'a Plan, view: &'a SnapshotView, context: &'a RunContext<'a>) -> Partials<'a> {
        let start_ns = context.clock.now_ns();
        Partials { plan, view, context, start_ns, next_ns: start_ns.saturating_add(PARTIAL_INTERVAL_NS) }
    }

    /// Tells that a fraction of the query is done; `data` puts together what is known.
    pub(crate) fn tell(
        &mut self,
        fraction: f64,
        counters: &Counters,
        data: impl FnOnce() -> Result<Data, Failure>,
    ) -> Result<(), Failure> {
        let partial = self.context.partial;
        self.show(fraction, counters, |meta| {
            let data = data()?;
            if let Some(partial) = partial {
                partial(QueryResult { data, meta });
            }
            Ok(())
        })
    }

    /// Tells that a fraction is done; `show` puts together what is known, and shows it to whoever looks.
    pub(crate) fn show(
        &mut self,
        fraction: f64,
        counters: &Counters,
        show: impl FnOnce(Meta) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        (self.context.progress)(fraction);
        if self.context.partial.is_none() {
            return Ok(());
        }
        let now_ns = self.context.clock.now_ns();
        // After the last segment comes the answer itself.
        if now_ns < self.next_ns || fraction >= 1.0 {
            return Ok(());
        }
        show(self.meta(counters, now_ns))?;
        let end_ns = self.context.clock.now_ns();
        let pause_ns = end_ns.saturating_sub(now_ns).saturating_mul(PARTIAL_COST_FRACTION);
        self.next_ns = end_ns.saturating_add(pause_ns.max(PARTIAL_INTERVAL_NS));
        Ok(())
    }

    fn meta(&self, counters: &Counters, now_ns: i64) -> Meta {
        let (done, all) = (counters.segments.considered, self.view.segments.len());
        let message = format!("the query is under way: {done} of {all} segments were looked at");
        let mut warnings = self.plan.warnings.clone();
        warnings.push(Warning { code: "partial", message });
        Meta {
            elapsed_ns: now_ns.saturating_sub(self.start_ns),
            rows_scanned: counters.rows_scanned,
            rows_matched: counters.rows_matched,
            bytes_scanned: counters.bytes_scanned,
            segments: counters.segments,
            complete_to_ns: self.view.complete_to_ns,
            time_range: Some(self.plan.time_range),
            snapshot: self.view.name.clone(),
            warnings,
        }
    }
}
