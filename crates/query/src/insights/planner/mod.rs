//! Goes through the commands and makes the plan: see [`super::plan`].

mod end;
mod parse;
mod series;
mod source;

use std::collections::HashMap;

use skein_event::limits::QUERY_LIMIT_MAX;

use super::ast::{Command, CommandKind, Earlier, Expression, Item, Kind, Query, Series};
use super::functions::{Extra, operators};
use super::groups::GroupsHead;
use super::parse::LATER;
use super::patterns;
use super::plan::{InsightsPlan, Request, Stage};
use super::program::{Arena, Input, Node, Step};
use super::resolve::{Resolver, Scope};
use super::stats;
use crate::plan::{GroupPlan, Named, TimeRange};
use crate::text::{Problem, Span};

pub(super) struct Planner<'q> {
    text: &'q str,
    pub(super) resolver: Resolver,
    /// What names mean now.
    pub(super) scope: Scope,
    /// Steps of events, once rows are something else.
    events: Option<Arena>,
    datasets: Vec<Named>,
    /// Conditions of the engine's filter.
    conditions: Vec<Node>,
    /// What the engine computes of events, with its slots.
    head: Vec<(Node, usize)>,
    pub(super) groups: Option<(GroupsHead, GroupPlan)>,
    pub(super) stages: Vec<Stage>,
    slots: usize,
    /// Slots of what was computed, by step.
    computed: HashMap<Node, usize>,
    /// Rows were taken away or added: what follows cannot move before that.
    fixed: bool,
    /// Rows are in an order, not in that of the engine's scan.
    ordered: bool,
    limited: bool,
    /// Columns of the answer: what there is without a word, what commands added, what the last `display` said.
    default: Vec<(String, Node)>,
    added: Vec<(String, Node)>,
    has_fields: bool,
    display: Option<Vec<(String, Node)>>,
    earlier: Option<Earlier>,
    time_range: TimeRange,
    /// Groups by time, as long as rows are these.
    pub(super) bins: Option<Bins>,
    /// Rows were made that are no events.
    made_rows: bool,
    /// Events are older than what is asked for.
    shifted: bool,
}

pub(super) use series::Bins;

impl<'q> Planner<'q> {
    pub(super) fn new(text: &'q str, request: &Request) -> Planner<'q> {
        Planner {
            text,
            resolver: Resolver::new(request.time_range, request.now_ns),
            scope: Scope::default(),
            events: None,
            datasets: request.datasets.clone(),
            conditions: Vec::new(),
            head: Vec::new(),
            groups: None,
            stages: Vec::new(),
            slots: 0,
            computed: HashMap::new(),
            fixed: false,
            ordered: false,
            limited: false,
            default: Vec::new(),
            added: Vec::new(),
            has_fields: false,
            display: None,
            earlier: None,
            time_range: request.time_range,
            bins: None,
            made_rows: false,
            shifted: false,
        }
    }

    pub(super) fn query(mut self, query: &Query, request: &Request) -> Result<InsightsPlan, Problem> {
        if let Some(source) = &query.source {
            self.source(source)?;
        }
        for (place, command) in query.commands.iter().enumerate() {
            self.command(command, query.commands.get(place + 1))?;
        }
        let columns = self.columns()?;
        let default_limit = self.close();
        self.finish(columns, default_limit, request)
    }

    /// Whether rows are events still, which may have any field.
    pub(super) fn of_events(&self) -> bool {
        self.events.is_none()
    }

    /// Whether the engine's aggregation may be what comes next.
    pub(super) fn may_lower(&self) -> bool {
        let is_order = |stage: &Stage| matches!(stage, Stage::Sort { limit: None, .. });
        self.of_events() && !self.fixed && self.stages.iter().all(is_order)
    }

    /// The text of an expression as it was written.
    pub(super) fn written(&self, expression: &Expression) -> String {
        let Span { start, end } = expression.span();
        let text = self.text.get(start..end).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn name_of(&self, item: &Item) -> String {
        match (&item.alias, &item.expression.kind) {
            (Some(alias), _) => alias.clone(),
            (None, Kind::Field(segments)) => segments.join("."),
            (None, _) => self.written(&item.expression),
        }
    }

    /// The slot of a value.
    pub(super) fn slot(&mut self, node: Node) -> usize {
        if let Some(Step::Input(Input::Slot(slot))) = self.scope.arena.step(node) {
            return *slot;
        }
        if let Some(slot) = self.computed.get(&node) {
            return *slot;
        }
        let slot = self.new_slot();
        if self.of_events() && !self.scope.arena.needs_slot(node) {
            self.head.push((node, slot));
        } else {
            self.stages.push(Stage::Compute(self.scope.arena.code(&[node]), vec![slot]));
        }
        self.computed.insert(node, slot);
        slot
    }

    fn new_slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    // === commands ===

    fn command(&mut self, command: &Command, next: Option<&Command>) -> Result<(), Problem> {
        let at = command.at.0;
        match &command.kind {
            CommandKind::Fields(items) => {
                let items = self.items(items)?;
                if !std::mem::replace(&mut self.has_fields, true) {
                    self.added.clear();
                }
                self.added.extend(items);
            }
            CommandKind::Display(items) => self.display = Some(self.items(items)?),
            CommandKind::Filter(_, condition) => self.filter(condition)?,
            CommandKind::Stats { aggregates, by, offset } => {
                if let Some(offset) = offset {
                    self.shift(*offset, at)?;
                }
                stats::plan(self, aggregates, by, *offset)?;
            }
            CommandKind::Sort(orders) => self.sort(orders)?,
            CommandKind::Limit { count, .. } => self.limit(*count, at)?,
            CommandKind::Parse { field, how } => parse::parse(self, field.as_ref(), how, at)?,
            CommandKind::Dedup(fields) => self.dedup(fields)?,
            CommandKind::Pattern(field) => self.pattern(field, next, at)?,
            CommandKind::Diff(_) if self.earlier.is_some() => {}
            CommandKind::Diff(_) => {
                let problem = Problem::new(at, "`diff` compares patterns and stands right behind `pattern`");
                return Err(problem.hint("for instance pattern @message | diff previousDay"));
            }
            CommandKind::Unnest(list, into) => self.unnest(list, into)?,
            CommandKind::Expand(field) => self.unnest(field, &self.written(field))?,
            CommandKind::Unmask(fields) => {
                // Nothing is masked here, so the fields are what they are.
                fields.iter().try_for_each(|field| self.resolve(field).map(drop))?;
            }
            CommandKind::CountFrequent(fields) => self.count_frequent(fields, at)?,
            CommandKind::Series(series) => self.series(series, next, at)?,
            CommandKind::Other(name, _) => {
                let hint = LATER.iter().find(|(later, _)| later == name).map_or("", |(_, hint)| *hint);
                return Err(Problem::new(at, format!("`{name}` is not in this version")).hint(hint));
            }
        }
        Ok(())
    }

    fn resolve(&mut self, expression: &Expression) -> Result<Node, Problem> {
        self.resolver.expression(&mut self.scope, expression)
    }

    fn items(&mut self, items: &[Item]) -> Result<Vec<(String, Node)>, Problem> {
        let mut found = Vec::new();
        for item in items {
            let node = self.resolve(&item.expression)?;
            let name = self.name_of(item);
            if item.alias.is_some() || !matches!(item.expression.kind, Kind::Field(_)) {
                self.scope.name(&name, Some(&item.expression), node);
            }
            found.push((name, node));
        }
        Ok(found)
    }

    fn filter(&mut self, condition: &Expression) -> Result<(), Problem> {
        let node = self.resolve(condition)?;
        if self.of_events() && !self.fixed && !self.scope.arena.needs_slot(node) {
            self.conditions.push(node);
            return Ok(());
        }
        let span = condition.span();
        let holds = self.scope.arena.call(&operators::HOLDS, vec![node], Extra::Nothing, span)?;
        let slot = self.slot(holds);
        self.stages.push(Stage::Filter(slot));
        Ok(())
    }

    fn sort(&mut self, orders: &[(Expression, bool)]) -> Result<(), Problem> {
        let mut keys = Vec::new();
        for (by, descending) in orders {
            let node = self.resolve(by)?;
            keys.push((self.slot(node), *descending));
        }
        self.stages.push(Stage::Sort { keys, limit: None });
        self.ordered = true;
        Ok(())
    }

    fn limit(&mut self, count: u64, at: Span) -> Result<(), Problem> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > QUERY_LIMIT_MAX {
            let problem = Problem::new(at, format!("an answer has at most {QUERY_LIMIT_MAX} rows"));
            return Err(problem.hint("aggregate with stats, or take the events with `skein export`"));
        }
        self.push_limit(count);
        Ok(())
    }

    fn push_limit(&mut self, count: usize) {
        (self.limited, self.fixed) = (true, true);
        // What is only computed between an order and its limit does not matter to them.
        let last = self.stages.iter_mut().rev().find(|stage| !matches!(stage, Stage::Compute(..)));
        if let Some(Stage::Sort { limit: limit @ None, .. }) = last {
            *limit = Some(count);
        } else if self.of_events() && !self.ordered {
            self.stages.push(Stage::Sort { keys: Vec::new(), limit: Some(count) });
            self.ordered = true;
        } else {
            self.stages.push(Stage::Limit(count));
        }
    }

    fn dedup(&mut self, fields: &[Expression]) -> Result<(), Problem> {
        let mut keys = Vec::new();
        for field in fields {
            let node = self.resolve(field)?;
            keys.push(self.slot(node));
        }
        let by_time = self.of_events() && !self.ordered;
        self.stages.push(Stage::Dedup { keys, by_time });
        (self.fixed, self.ordered) = (true, true);
        Ok(())
    }

    fn pattern(&mut self, field: &Expression, next: Option<&Command>, at: Span) -> Result<(), Problem> {
        if !self.of_events() {
            let problem = Problem::new(at, "`pattern` is of events, which are gone after an aggregation");
            return Err(problem.hint("use pattern first, and filter or sort behind it"));
        }
        let node = self.resolve(field)?;
        let text = self.slot(node);
        match next.map(|next| &next.kind) {
            Some(CommandKind::Diff(earlier)) => self.earlier = Some(*earlier),
            Some(CommandKind::Series(Series::Compare(period))) => self.earlier = Some(Earlier::By(*period)),
            _ => {}
        }
        let diff = self.earlier.is_some();
        self.stages.push(Stage::Patterns { text, diff });
        let mut scope = Scope::closed();
        let mut shown = Vec::new();
        for (slot, name) in patterns::COLUMNS.iter().enumerate() {
            let node = scope.arena.push(Step::Input(Input::Slot(slot)), at)?;
            scope.name(name, None, node);
            if patterns::shown(diff).contains(name) {
                shown.push(((*name).to_owned(), node));
            }
        }
        self.other_rows(scope, patterns::COLUMNS.len(), shown);
        Ok(())
    }

    /// From here on rows are what an aggregation has made.
    pub(super) fn other_rows(&mut self, scope: Scope, slots: usize, default: Vec<(String, Node)>) {
        let before = std::mem::replace(&mut self.scope, scope);
        self.events.get_or_insert(before.arena);
        self.computed.clear();
        self.slots = slots;
        (self.fixed, self.ordered, self.limited) = (true, true, false);
        self.default = default;
        self.added.clear();
        (self.has_fields, self.display, self.bins) = (false, None, None);
    }

    fn unnest(&mut self, list: &Expression, into: &str) -> Result<(), Problem> {
        let node = self.resolve(list)?;
        let list_slot = self.slot(node);
        let into_slot = self.new_slot();
        self.stages.push(Stage::Unnest { list: list_slot, into: into_slot });
        let node = self.slot_node(into_slot, list.span())?;
        self.add(into, node);
        self.fixed = true;
        Ok(())
    }

    /// The value of a slot that a stage fills.
    pub(super) fn slot_node(&mut self, slot: usize, span: Span) -> Result<Node, Problem> {
        self.scope.arena.push(Step::Input(Input::Slot(slot)), span)
    }

    /// A column that a command makes, which is shown unless somebody says what is.
    pub(super) fn add(&mut self, name: &str, node: Node) {
        self.scope.name(name, None, node);
        self.added.push((name.to_owned(), node));
    }

    /// A stage that makes several rows of one.
    pub(super) fn multiply(
        &mut self,
        text: Node,
        pattern: super::plan::Regex,
        names: &[String],
    ) -> Result<(), Problem> {
        let text = self.slot(text);
        let into: Vec<usize> = names.iter().map(|_| self.new_slot()).collect();
        self.stages.push(Stage::Matches { text, pattern, into: into.clone() });
        self.fixed = true;
        for (name, slot) in names.iter().zip(into) {
            let node = self.slot_node(slot, Span::default())?;
            self.add(name, node);
        }
        Ok(())
    }

    /// `stats count(*) as _approxcount by … | sort _approxcount desc`
    fn count_frequent(&mut self, fields: &[Expression], at: Span) -> Result<(), Problem> {
        const COUNT: &str = "_approxcount";
        let item = |expression: &Expression| Item { expression: expression.clone(), alias: None };
        let count = Kind::Call("count".to_owned(), vec![Expression::new(Kind::Star, at)]);
        let count = Item { expression: Expression::new(count, at), alias: Some(COUNT.to_owned()) };
        stats::plan(self, &[count], &fields.iter().map(item).collect::<Vec<_>>(), None)?;
        self.sort(&[(Expression::new(Kind::Field(vec![COUNT.to_owned()]), at), true)])
    }
}
