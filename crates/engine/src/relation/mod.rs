//! Other events of a row's trace: which rows pass by them, and what their values are. docs/reference/relational.md
//! has the rules.
//!
//! Before the rows at hand are visited, one scan for each condition, breakdown and calculation with a prefix
//! remembers the events that it stands for, by the trace or the span through which a row leads to them
//! ([`table::Table`]). Then a row is one look-up. Traces are numbered once per segment, not once per row
//! ([`ids::TraceNumbers`]).
//!
//! What it refuses: to remember more than the query's memory.
//!
//! Reading order: [`ids`], [`keys`], [`kept`], [`table`], [`Relations`], [`bound`].

pub(crate) mod bound;
pub(crate) mod ids;
pub(crate) mod kept;
pub(crate) mod keys;
pub(crate) mod table;

use std::sync::Arc;

use skein_query::RunContext;
use skein_query::plan::{Calculation, Column, Filter, FilterSet, Output, Plan, Related, Scope, TimeRange};
use skein_query::result::Warning;

use self::ids::TraceNumbers;
use self::table::{Collector, Remember, Table};
use crate::scan::{Counters, Failure, Scan};
use crate::snapshot::SnapshotView;
use crate::workers::Workers;

/// A condition on rows: another event is in a table, or is not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Condition {
    table: usize,
    negated: bool,
}

/// What a calculation needs of other events.
#[derive(Debug, Default)]
struct OfCalculation {
    /// The table of its values.
    values: Option<usize>,
    conditions: Vec<Condition>,
}

/// What is remembered of other events, for one plan over one snapshot.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    numbers: TraceNumbers,
    tables: Vec<Table>,
    conditions: Vec<Condition>,
    /// The table of each breakdown's values.
    breakdowns: Vec<Option<usize>>,
    calculations: Vec<OfCalculation>,
    /// Of all roots, where a question asks about roots.
    roots: Option<usize>,
}

impl Relations {
    /// Remembers what a plan asks of other events; adds what was looked at to `counters`.
    pub(crate) fn collect(
        plan: &Plan,
        view: &SnapshotView,
        excluded: &[usize],
        context: &RunContext<'_>,
        workers: &Workers,
        counters: &mut Counters,
    ) -> Result<Arc<Relations>, Failure> {
        let mut collecting =
            Collecting { plan, view, excluded, context, workers, counters, relations: Relations::default() };
        collecting.everything()?;
        Ok(Arc::new(collecting.relations))
    }

    /// Bytes of memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.numbers.memory_bytes() + self.tables.iter().map(Table::memory_bytes).sum::<usize>()
    }

    /// What there is to say about traces whose root is out of sight.
    pub(crate) fn warning(plan: &Plan, rootless: u64) -> Option<Warning> {
        let seconds = plan.trace_slack_ns / 1_000_000_000;
        let message = format!(
            "{rootless} events belong to traces that have no root span from {seconds} s before the range to {seconds} s \
             after it; a larger trace_slack_seconds looks further"
        );
        (rootless > 0).then_some(Warning { code: "trace_root_outside", message })
    }
}

struct Collecting<'a, 'c> {
    plan: &'a Plan,
    view: &'a SnapshotView,
    excluded: &'a [usize],
    context: &'a RunContext<'a>,
    workers: &'a Workers,
    counters: &'c mut Counters,
    relations: Relations,
}

impl Collecting<'_, '_> {
    fn everything(&mut self) -> Result<(), Failure> {
        let plan = self.plan;
        for related in &plan.related {
            let condition = self.condition(related.scope, related.filters.clone())?;
            self.relations.conditions.push(condition);
        }
        let Output::Groups(groups) = &plan.output else { return self.roots() };
        for column in &groups.breakdowns {
            let table = match column.scope {
                Scope::Own => None,
                scope => Some(self.table(scope, self.of_query(scope), Some((column, Remember::First)))?),
            };
            self.relations.breakdowns.push(table);
        }
        for calculation in &groups.calculations {
            let of = self.calculation(calculation)?;
            self.relations.calculations.push(of);
        }
        self.roots()
    }

    fn calculation(&mut self, calculation: &Calculation) -> Result<OfCalculation, Failure> {
        let mut of = OfCalculation::default();
        let valued = calculation.column.as_ref().filter(|column| column.scope != Scope::Own);
        for Related { scope, filters } in &calculation.related {
            if valued.is_some_and(|column| column.scope == *scope) {
                continue;
            }
            let mut filters = filters.clone();
            // One event meets all filters of a prefix; of `none.` each set is a condition of its own.
            if *scope != Scope::None {
                filters.extend(self.of_query(*scope));
            }
            of.conditions.push(self.condition(*scope, filters)?);
        }
        if let Some(column) = valued {
            let mut filters = self.of_query(column.scope);
            let own = calculation.related.iter().filter(|related| related.scope == column.scope);
            filters.extend(own.flat_map(|related| related.filters.iter().cloned()));
            of.values = Some(self.table(column.scope, filters, Some((column, Remember::All)))?);
        }
        Ok(of)
    }

    /// The query's filters of a prefix.
    fn of_query(&self, scope: Scope) -> Vec<Filter> {
        let related = self.plan.related.iter().filter(|related| related.scope == scope);
        related.flat_map(|related| related.filters.iter().cloned()).collect()
    }

    fn condition(&mut self, scope: Scope, filters: Vec<Filter>) -> Result<Condition, Failure> {
        Ok(Condition { table: self.table(scope, filters, None)?, negated: scope == Scope::None })
    }

    /// Where a question asks about roots: which traces have one at all.
    fn roots(&mut self) -> Result<(), Failure> {
        if self.relations.tables.iter().any(|table| table.scope() == Scope::Root) {
            self.relations.roots = Some(self.table(Scope::Root, Vec::new(), None)?);
        }
        Ok(())
    }

    fn table(
        &mut self,
        scope: Scope,
        filters: Vec<Filter>,
        wanted: Option<(&Column, Remember)>,
    ) -> Result<usize, Failure> {
        let filter = FilterSet { filters, ..FilterSet::default() };
        let used = self.relations.memory_bytes() - self.relations.numbers.memory_bytes();
        let context = RunContext {
            memory_bytes_max: self.context.memory_bytes_max.saturating_sub(used),
            partial: None,
            ..*self.context
        };
        let slack = self.plan.trace_slack_ns;
        let range = self.plan.time_range;
        let scan = Scan {
            view: self.view,
            excluded: self.excluded,
            datasets: Vec::new(),
            time_range: TimeRange {
                start_ns: range.start_ns.saturating_sub(slack),
                end_ns: range.end_ns.saturating_add(slack),
            },
            filter: &filter,
            related: None,
            context: &context,
            workers: self.workers,
        };
        let numbers = std::mem::take(&mut self.relations.numbers);
        let mut collector = Collector::new(scope, wanted, numbers);
        let looked_at = scan.run(&mut collector, |_, _, _| Ok(()))?;
        self.counters.rows_scanned += looked_at.rows_scanned;
        self.counters.bytes_scanned += looked_at.bytes_scanned;
        let (table, numbers) = collector.finish();
        self.relations.numbers = numbers;
        self.relations.tables.push(table);
        Ok(self.relations.tables.len() - 1)
    }
}
