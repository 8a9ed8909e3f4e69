//! Names to meanings: functions are found, fields become columns or what was computed under their name before.

use skein_event::limits::EXPRESSION_DEPTH_MAX;

use super::ast::{Expression, Kind, Operator};
use super::datum::Datum;
use super::functions::{self, Extra, Function, Takes, operators};
use super::program::{Arena, Input, Node, Step};
use super::{aggregates, fields, format};
use crate::expression::Patterns;
use crate::plan::{Literal, TimeRange};
use crate::result::Warning;
use crate::text::{Problem, Span};

/// What names mean for rows of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) arena: Arena,
    /// Names and the text of what they stand for; of equal ones the last counts.
    names: Vec<(String, String, Node)>,
    /// Only these names are there: after an aggregation.
    pub(super) closed: bool,
}

impl Scope {
    /// Names of what an aggregation has made, none yet.
    pub(super) fn closed() -> Scope {
        Scope { closed: true, ..Scope::default() }
    }

    /// Gives something a name, and lets its text mean it as well.
    pub(super) fn name(&mut self, name: &str, expression: Option<&Expression>, node: Node) {
        let text = expression.map(format::expression).unwrap_or_default();
        self.names.push((name.to_owned(), text, node));
    }

    pub(super) fn named(&self, name: &str) -> Option<Node> {
        self.names.iter().rev().find(|(known, ..)| known == name).map(|(.., node)| *node)
    }

    fn of_text(&self, text: &str) -> Option<Node> {
        self.names.iter().rev().find(|(_, known, _)| known == text).map(|(.., node)| *node)
    }

    pub(super) fn known(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, ..)| name.as_str())
    }
}

/// Asked first about every expression; answers for those it knows.
pub(super) type Hook<'h> =
    dyn FnMut(&mut Resolver, &mut Scope, &Expression) -> Result<Option<Node>, Problem> + 'h;

/// What resolving needs beside names.
pub(super) struct Resolver {
    patterns: Patterns,
    range: TimeRange,
    now_ns: i64,
    depth: usize,
    pub(super) warnings: Vec<Warning>,
}

impl Resolver {
    pub(super) fn new(range: TimeRange, now_ns: i64) -> Resolver {
        Resolver { patterns: Patterns::default(), range, now_ns, depth: 0, warnings: Vec::new() }
    }

    pub(super) fn now_ns(&self) -> i64 {
        self.now_ns
    }

    pub(super) fn set_range(&mut self, range: TimeRange) {
        self.range = range;
    }

    pub(super) fn warn(&mut self, code: &'static str, message: String) {
        let warning = Warning { code, message };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(super) fn expression(&mut self, scope: &mut Scope, of: &Expression) -> Result<Node, Problem> {
        self.hooked(scope, of, &mut |_, _, _| Ok(None))
    }

    /// The same, asking somebody else first.
    pub(super) fn hooked(
        &mut self,
        scope: &mut Scope,
        of: &Expression,
        hook: &mut Hook<'_>,
    ) -> Result<Node, Problem> {
        self.depth += 1;
        if self.depth > EXPRESSION_DEPTH_MAX {
            let message = format!("the expression is nested more than {EXPRESSION_DEPTH_MAX} deep");
            return Err(Problem::new(of.span(), message));
        }
        let node = match hook(self, scope, of)? {
            Some(node) => node,
            None => self.kind(scope, of, hook)?,
        };
        self.depth -= 1;
        Ok(node)
    }

    fn kind(&mut self, scope: &mut Scope, of: &Expression, hook: &mut Hook<'_>) -> Result<Node, Problem> {
        let span = of.span();
        let is_compound = !matches!(of.kind, Kind::Field(_) | Kind::Literal(_));
        let known = if is_compound { scope.of_text(&format::expression(of)) } else { None };
        if let Some(known) = known {
            return Ok(known);
        }
        match &of.kind {
            Kind::Field(segments) => field(scope, segments, span),
            Kind::Literal(literal) => scope.arena.push(Step::Constant(Datum::from(literal)), span),
            Kind::Class(_) => {
                Err(Problem::new(span, "a status class stands behind `=`, `!=` or inside of `in`")
                    .hint("for instance filter status = 4xx"))
            }
            Kind::Period(_) => {
                Err(Problem::new(span, "a period is an argument of bin, datefloor and dateceil"))
            }
            Kind::Star => Err(Problem::new(span, "`*` is an argument of count only")),
            Kind::Regex(_) => Err(Problem::new(span, "a regular expression stands behind `like` or `=~`")),
            Kind::InQuery(..) => Err(Problem::new(span, "subqueries need SQL, which a later version brings")
                .hint("ask for the values first, and list them: field in [\"a\", \"b\"]")),
            Kind::Call(name, arguments) => self.call(scope, name, arguments, span, hook),
            Kind::Negative(inner) => self.operator(scope, &operators::NEGATE, &[inner], span, hook),
            Kind::Not(inner) => self.operator(scope, &operators::NOT, &[inner], span, hook),
            Kind::Binary(operator, left, right) => self.binary(scope, *operator, (left, right), span, hook),
            Kind::Like { text, pattern, negated } => {
                let text_node = self.hooked(scope, text, hook)?;
                let node = match &pattern.kind {
                    Kind::Regex(regex) => {
                        let pattern = self.patterns.compile(regex, pattern.span())?;
                        scope.arena.call(
                            &operators::LIKE_REGEX,
                            vec![text_node],
                            Extra::Pattern(pattern),
                            span,
                        )?
                    }
                    _ => {
                        let part = self.hooked(scope, pattern, hook)?;
                        scope.arena.call(&operators::LIKE, vec![text_node, part], Extra::Nothing, span)?
                    }
                };
                negate(scope, node, *negated, span)
            }
            Kind::In { value, list, negated } => self.within(scope, (value, list, *negated), span, hook),
            Kind::Index(list, index) => self.operator(scope, &operators::PART, &[list, index], span, hook),
            Kind::Member(map, name) => {
                let map = self.hooked(scope, map, hook)?;
                fields::member(&mut scope.arena, map, name, span)
            }
        }
    }

    fn operator(
        &mut self,
        scope: &mut Scope,
        function: &'static Function,
        operands: &[&Expression],
        span: Span,
        hook: &mut Hook<'_>,
    ) -> Result<Node, Problem> {
        let nodes = operands.iter().map(|one| self.hooked(scope, one, hook)).collect::<Result<_, _>>()?;
        scope.arena.call(function, nodes, Extra::Nothing, span)
    }

    fn binary(
        &mut self,
        scope: &mut Scope,
        operator: Operator,
        (left, right): (&Expression, &Expression),
        span: Span,
        hook: &mut Hook<'_>,
    ) -> Result<Node, Problem> {
        let function: &'static Function = match operator {
            Operator::Or => &operators::OR,
            Operator::And => &operators::AND,
            Operator::Equal => &operators::EQUAL,
            Operator::NotEqual => &operators::NOT_EQUAL,
            Operator::Less => &operators::LESS,
            Operator::LessOrEqual => &operators::LESS_OR_EQUAL,
            Operator::Greater => &operators::GREATER,
            Operator::GreaterOrEqual => &operators::GREATER_OR_EQUAL,
            Operator::Plus => &operators::ADD,
            Operator::Minus => &operators::SUBTRACT,
            Operator::Times => &operators::MULTIPLY,
            Operator::Divided => &operators::DIVIDE,
            Operator::Modulo => &operators::MODULO,
            Operator::Power => &operators::POWER,
        };
        if let (Operator::Equal | Operator::NotEqual, Kind::Class(class)) = (operator, &right.kind) {
            let value = self.hooked(scope, left, hook)?;
            let node = self.class(scope, value, *class, span)?;
            return negate(scope, node, operator == Operator::NotEqual, span);
        }
        self.operator(scope, function, &[left, right], span, hook)
    }

    fn class(&mut self, scope: &mut Scope, value: Node, class: u8, span: Span) -> Result<Node, Problem> {
        let message = format!(
            "`{class}xx` stands for {class}00 to {class}99 here; CloudWatch would look for a field of that name"
        );
        self.warn("status_class", message);
        scope.arena.call(&operators::CLASS, vec![value], Extra::Class(class), span)
    }

    fn within(
        &mut self,
        scope: &mut Scope,
        (value, list, negated): (&Expression, &[Expression], bool),
        span: Span,
        hook: &mut Hook<'_>,
    ) -> Result<Node, Problem> {
        let value = self.hooked(scope, value, hook)?;
        let mut nodes = vec![value];
        let mut any = None;
        for one in list {
            if let Kind::Class(class) = one.kind {
                let node = self.class(scope, value, class, span)?;
                any = Some(either(scope, any, node, span)?);
            } else {
                nodes.push(self.hooked(scope, one, hook)?);
            }
        }
        let mut node = any;
        if nodes.len() > 1 || node.is_none() {
            let within = scope.arena.call(&operators::IN, nodes, Extra::Nothing, span)?;
            node = Some(either(scope, node, within, span)?);
        }
        negate(scope, node.unwrap_or_default(), negated, span)
    }

    fn call(
        &mut self,
        scope: &mut Scope,
        name: &str,
        arguments: &[Expression],
        span: Span,
        hook: &mut Hook<'_>,
    ) -> Result<Node, Problem> {
        let at = Span { start: span.start, end: span.start + name.len() };
        if let Some(constant) = self.constant(name, arguments) {
            return scope.arena.push(Step::Constant(constant), span);
        }
        if name.eq_ignore_ascii_case("bin") {
            return self.bin(scope, arguments, span);
        }
        let Some(function) = functions::by_name(name) else { return Err(unknown_function(name, at)) };
        let count = arguments.len();
        if !(function.least..=function.most).contains(&count) {
            let problem = Problem::new(span, format!("{} does not take {count} arguments", function.name));
            return Err(problem.hint(format!("the call is {}", function.usage)));
        }
        let mut extra = Extra::Nothing;
        let mut nodes = Vec::new();
        for (place, argument) in arguments.iter().enumerate() {
            match (function.literal, &argument.kind) {
                (Takes::Period(at), Kind::Period(period)) if at == place => extra = Extra::Period(*period),
                (Takes::Regex(at), Kind::Regex(pattern) | Kind::Literal(Literal::Text(pattern)))
                    if at == place =>
                {
                    extra = Extra::Pattern(self.patterns.compile(pattern, argument.span())?);
                    // The place of what follows stays.
                    nodes.push(scope.arena.push(Step::Constant(Datum::Missing), span)?);
                }
                (Takes::Period(at) | Takes::Regex(at), _) if at == place => {
                    let what =
                        if matches!(function.literal, Takes::Period(_)) { "a period" } else { "a pattern" };
                    let problem = Problem::new(argument.span(), format!("{what} is expected here, as it is"));
                    return Err(problem.hint(format!("the call is {}", function.usage)));
                }
                _ => nodes.push(self.hooked(scope, argument, hook)?),
            }
        }
        if function.name == "parseDate" || function.name == "formatDate" {
            self.check_zone(scope, &nodes, arguments)?;
        }
        scope.arena.call(function, nodes, extra, span)
    }

    /// Functions of the question and not of a row.
    fn constant(&self, name: &str, arguments: &[Expression]) -> Option<Datum> {
        let ms = |time_ns: i64| time_ns.div_euclid(1_000_000);
        if !arguments.is_empty() {
            return None;
        }
        Some(Datum::I64(match name.to_ascii_lowercase().as_str() {
            "now" => self.now_ns.div_euclid(1_000_000_000),
            "querystarttime" => ms(self.range.start_ns),
            "queryendtime" => ms(self.range.end_ns),
            "querytimerange" => ms(self.range.end_ns.saturating_sub(self.range.start_ns)),
            _ => return None,
        }))
    }

    /// `bin(5m)`: the period of `@timestamp`.
    fn bin(&mut self, scope: &mut Scope, arguments: &[Expression], span: Span) -> Result<Node, Problem> {
        let [Expression { kind: Kind::Period(period), .. }] = arguments else {
            return Err(Problem::new(span, "bin takes one period").hint("for instance bin(5m)"));
        };
        if scope.closed {
            let problem = Problem::new(span, "`bin` is of @timestamp, which is gone after `stats`");
            return Err(problem.hint("write `by bin(5m) as t` in the first stats, then datefloor(t, 10m)"));
        }
        if period.is_capped_by_cloudwatch() {
            let message = format!("bin({period}) is {period} here; CloudWatch caps the number silently");
            self.warn("period_not_capped", message);
        }
        let time = scope.arena.push(Step::Input(Input::EventTime), span)?;
        match functions::by_name("datefloor") {
            Some(floor) => scope.arena.call(floor, vec![time], Extra::Period(*period), span),
            None => Err(Problem::new(span, "datefloor is no function")),
        }
    }

    /// A zone that is no offset is refused: no table of zones is kept.
    fn check_zone(&self, scope: &Scope, nodes: &[Node], arguments: &[Expression]) -> Result<(), Problem> {
        let (Some(node), Some(argument)) = (nodes.get(2), arguments.get(2)) else { return Ok(()) };
        match scope.arena.constant(*node).and_then(Datum::as_text) {
            Some(zone) if functions::zone_minutes(&zone).is_none() => {
                Err(Problem::new(argument.span(), format!("the zone `{zone}` is not known"))
                    .hint("zones are UTC and offsets such as +02:00"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn pattern(&mut self, text: &str, span: Span) -> Result<crate::expression::Pattern, Problem> {
        self.patterns.compile(text, span)
    }
}

fn either(scope: &mut Scope, one: Option<Node>, other: Node, span: Span) -> Result<Node, Problem> {
    match one {
        None => Ok(other),
        Some(one) => scope.arena.call(&operators::OR, vec![one, other], Extra::Nothing, span),
    }
}

fn negate(scope: &mut Scope, node: Node, negated: bool, span: Span) -> Result<Node, Problem> {
    if negated { scope.arena.call(&operators::NOT, vec![node], Extra::Nothing, span) } else { Ok(node) }
}

/// The value of a field: the longest name that is known, then parts of it, else a column of the event.
fn field(scope: &mut Scope, segments: &[String], span: Span) -> Result<Node, Problem> {
    for length in (1..=segments.len()).rev() {
        let Some(mut node) = scope.named(&segments[..length].join(".")) else { continue };
        for segment in &segments[length..] {
            node = fields::member(&mut scope.arena, node, segment, span)?;
        }
        return Ok(node);
    }
    if scope.closed {
        let name = segments.join(".");
        let mut problem = Problem::unknown(span, "field", &name, scope.known());
        problem.message = format!("`{name}` is not among the results of the command before");
        let known: Vec<&str> = scope.known().take(8).collect();
        return Err(
            problem.hint(format!("after an aggregation there are only its results: {}", known.join(", ")))
        );
    }
    fields::field(&mut scope.arena, segments, span)
}

fn unknown_function(name: &str, at: Span) -> Problem {
    if aggregates::canonical_name(name).is_some() {
        return Problem::new(at, format!("`{name}` aggregates rows, and this is asked of one"))
            .hint(format!("use it in stats: stats {name}(…) as x by field"));
    }
    let own = ["bin", "now", "queryStartTime", "queryEndTime", "queryTimeRange"];
    let known = functions::all().map(|function| function.name).chain(own).chain(aggregates::names());
    let problem = Problem::unknown(at, "function", name, known);
    problem.hint("docs/reference/insights.md lists the functions")
}
