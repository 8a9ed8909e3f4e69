//! The end of a plan: columns of the answer, its bound, and what the engine gets.

use skein_event::limits::QUERY_LIMIT_MAX;

use super::super::ast::Earlier;
use super::super::lower;
use super::super::plan::{First, Head, InsightsPlan, Request, RowsHead, Stage};
use super::super::program::{Arena, Node};
use super::Planner;
use crate::plan::{Direction, FilterSet, Named, Output, Plan, RowPlan, TimeRange};
use crate::text::{Problem, Span};

impl Planner<'_> {
    /// What is shown so far, under its names. Of a name that is there twice, the last means it now; its place is that of the
    /// first.
    pub(super) fn shown(&mut self) -> Result<Vec<(String, Node)>, Problem> {
        let mut shown = self.display.clone().unwrap_or_default();
        if self.display.is_none() {
            if !self.has_fields {
                shown.clone_from(&self.default);
            }
            if self.of_events() && !self.has_fields {
                for name in ["@timestamp", "@message"] {
                    let arena = &mut self.scope.arena;
                    let node = super::super::fields::field(arena, &[name.to_owned()], Span::default())?;
                    shown.push((name.to_owned(), node));
                }
            }
            shown.extend(self.added.iter().cloned());
        }
        let mut columns: Vec<(String, Node)> = Vec::new();
        for (name, node) in shown {
            match columns.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = node,
                None => columns.push((name, node)),
            }
        }
        Ok(columns)
    }

    /// The columns of the answer, with their slots.
    pub(super) fn columns(&mut self) -> Result<Vec<(String, usize)>, Problem> {
        let shown = self.shown()?;
        Ok(shown.into_iter().map(|(name, node)| (name, self.slot(node))).collect())
    }

    /// Bounds the answer where nobody did; true when so.
    pub(super) fn close(&mut self) -> bool {
        let default = !self.limited;
        if default {
            self.push_limit(QUERY_LIMIT_MAX);
        }
        default
    }

    pub(super) fn finish(
        mut self,
        columns: Vec<(String, usize)>,
        default_limit: bool,
        request: &Request,
    ) -> Result<InsightsPlan, Problem> {
        let of_events = self.of_events() && !self.made_rows;
        let mut arena = self.events.take().unwrap_or_else(|| std::mem::take(&mut self.scope.arena));
        let whole = Span { start: 0, end: self.text.len() };
        let filter = lower::filters(&mut arena, &self.conditions, whole)?;
        let earlier_ns = self.earlier.map(|earlier| earlier_ns(earlier, self.time_range));
        let (head, output) = match self.groups.take() {
            Some((head, plan)) => (Head::Groups(head), Output::Groups(plan)),
            None => {
                let rows = RowPlan { limit: QUERY_LIMIT_MAX, direction: Direction::Descending, after: None };
                (Head::Rows(self.rows(&arena)), Output::Rows(rows))
            }
        };
        let datasets = std::mem::take(&mut self.datasets);
        let base = base(request, datasets, self.time_range, filter, output, self.resolver.warnings);
        Ok(InsightsPlan { base, head, stages: self.stages, columns, of_events, default_limit, earlier_ns })
    }

    fn rows(&mut self, arena: &Arena) -> RowsHead {
        let nodes: Vec<Node> = self.head.iter().map(|(node, _)| *node).collect();
        let slots: Vec<usize> = self.head.iter().map(|(_, slot)| *slot).collect();
        let mut first = None;
        if let Some(Stage::Sort { keys, limit: Some(limit) }) = self.stages.first() {
            let node = |slot: usize| self.head.iter().find(|(_, of)| *of == slot).map(|(node, _)| *node);
            let of_keys: Vec<Node> = keys.iter().filter_map(|(slot, _)| node(*slot)).collect();
            if of_keys.len() == keys.len() {
                let descending = keys.iter().map(|(_, descending)| *descending).collect();
                first = Some(First { keys: arena.code(&of_keys), descending, limit: *limit });
            }
        }
        if first.is_some() {
            self.stages.remove(0);
        }
        RowsHead { code: arena.code(&nodes), slots, first }
    }
}

fn earlier_ns(earlier: Earlier, range: TimeRange) -> i64 {
    const DAY_NS: i64 = 86_400_000_000_000;
    match earlier {
        Earlier::Before => i64::try_from(range.length_ns()).unwrap_or(i64::MAX),
        Earlier::Day => DAY_NS,
        Earlier::Week => 7 * DAY_NS,
        Earlier::Month => 28 * DAY_NS,
        Earlier::By(period) => period.fixed_ns().unwrap_or(28 * DAY_NS),
    }
}

fn base(
    request: &Request,
    datasets: Vec<Named>,
    time_range: TimeRange,
    filter: FilterSet,
    output: Output,
    warnings: Vec<crate::result::Warning>,
) -> Plan {
    Plan {
        environment: request.environment.clone(),
        datasets,
        time_range,
        filter,
        related: Vec::new(),
        trace_slack_ns: 0,
        output,
        compare_offset_ns: None,
        usage_mode: false,
        dry_run: request.dry_run,
        warnings,
    }
}
