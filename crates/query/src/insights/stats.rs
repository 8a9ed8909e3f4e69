//! The command `stats`: groups, aggregates, and what is made of them.

use skein_event::limits::INSIGHTS_RANGES_MAX;

use super::aggregates::{self, Aggregate};
use super::ast::{Expression, Item, Kind};
use super::functions::{Extra, by_name, operators};
use super::groups;
use super::period::Period;
use super::plan::Stage;
use super::planner::{Bins, Planner};
use super::program::{Input, Node, Step};
use super::resolve::{Resolver, Scope};
use crate::plan::{Literal, Operation, Percentile};
use crate::text::{Problem, Span};

/// An aggregate and what it is of.
pub(super) struct Wanted {
    pub(super) aggregate: Aggregate,
    pub(super) argument: Option<Node>,
    pub(super) name: String,
    pub(super) span: Span,
}

/// What is grouped by.
pub(super) struct Key {
    pub(super) node: Node,
    pub(super) name: String,
    pub(super) span: Span,
}

/// Plans a `stats`.
pub(super) fn plan(
    planner: &mut Planner<'_>,
    items: &[Item],
    by: &[Item],
    offset: Option<Period>,
) -> Result<(), Problem> {
    let mut after = Scope::closed();
    let mut shown = Vec::new();
    let (keys, bins) = keys(planner, &mut after, &mut shown, by, offset)?;
    let mut wanted: Vec<Wanted> = Vec::new();
    for item in items {
        let name = planner.name_of(item);
        let (before, written) = (&mut planner.scope, name.clone());
        let mut hook = |resolver: &mut Resolver, after: &mut Scope, of: &Expression| {
            let Kind::Call(function, arguments) = &of.kind else { return Ok(None) };
            let Some(function) = aggregates::canonical_name(function) else { return Ok(None) };
            let (aggregate, argument) = aggregate(resolver, before, function, arguments, of.span())?;
            let same = |one: &Wanted| one.aggregate == aggregate && one.argument == argument;
            let place = wanted.iter().position(same).unwrap_or_else(|| {
                wanted.push(Wanted { aggregate, argument, name: written.clone(), span: of.span() });
                wanted.len() - 1
            });
            after.arena.push(Step::Input(Input::Slot(keys.len() + place)), of.span()).map(Some)
        };
        let node = planner.resolver.hooked(&mut after, &item.expression, &mut hook).map_err(|problem| {
            let is_field = matches!(&item.expression.kind, Kind::Field(_));
            if is_field {
                problem.hint("aggregate it, for instance max(field), or group by it")
            } else {
                problem
            }
        })?;
        after.name(&name, Some(&item.expression), node);
        shown.push((name, node));
    }
    let slots = keys.len() + wanted.len();
    let shared = |one: &Wanted| matches!(one.aggregate, Aggregate::Shared(_));
    let arena = &planner.scope.arena;
    let of_fields = keys.iter().map(|key| key.node).chain(wanted.iter().filter_map(|one| one.argument));
    let stored = of_fields.into_iter().all(|node| !arena.needs_slot(node));
    if planner.may_lower() && stored && wanted.iter().all(shared) && !wanted.is_empty() {
        planner.groups = Some(groups::lower(arena, &keys, &wanted));
        planner.stages.clear();
    } else {
        let keys = keys.iter().map(|key| planner.slot(key.node)).collect();
        let slot = |one: &Wanted| (one.aggregate, one.argument);
        let aggregates: Vec<(Aggregate, Option<Node>)> = wanted.iter().map(slot).collect();
        let aggregates = aggregates
            .into_iter()
            .map(|(aggregate, of)| (aggregate, of.map(|of| planner.slot(of))))
            .collect();
        planner.stages.push(Stage::Stats { keys, aggregates });
    }
    planner.other_rows(after, slots, shown);
    planner.bins = bins;
    Ok(())
}

/// What is grouped by, and the first of it that is a bin of time.
fn keys(
    planner: &mut Planner<'_>,
    after: &mut Scope,
    shown: &mut Vec<(String, Node)>,
    by: &[Item],
    offset: Option<Period>,
) -> Result<(Vec<Key>, Option<Bins>), Problem> {
    let mut keys = Vec::new();
    let mut bins = None;
    for (slot, item) in by.iter().enumerate() {
        let (name, span) = (planner.name_of(item), item.expression.span());
        let mut node = planner.resolver.expression(&mut planner.scope, &item.expression)?;
        if let Some(period) = planner.scope.arena.bin_period(node) {
            match offset {
                // Older events are shown at the time that they are compared with.
                Some(offset) => {
                    let later = Extra::Period(offset);
                    node = planner.scope.arena.call(&operators::LATER, vec![node], later, span)?;
                }
                None => bins = bins.or(Some(Bins { bin: slot, period, keys: by.len() })),
            }
        }
        keys.push(Key { node, name: name.clone(), span });
        let key = after.arena.push(Step::Input(Input::Slot(slot)), span)?;
        after.name(&name, Some(&item.expression), key);
        shown.push((name, key));
    }
    Ok((keys, bins))
}

/// An aggregate of a call, and its argument.
fn aggregate(
    resolver: &mut Resolver,
    scope: &mut Scope,
    name: &'static str,
    arguments: &[Expression],
    span: Span,
) -> Result<(Aggregate, Option<Node>), Problem> {
    let usage =
        aggregates::AGGREGATES.iter().find(|(known, ..)| *known == name).map_or("", |(.., usage)| *usage);
    let wrong = |message: String| Err(Problem::new(span, message).hint(format!("the call is {usage}")));
    if aggregates::OURS.contains(&name) {
        resolver.warn("not_in_cloudwatch", format!("CloudWatch does not have `{name}`"));
    }
    if name == "pct" {
        let [of, percent] = arguments else { return wrong("pct takes a field and a percentage".to_owned()) };
        let Some(thousandths) = thousandths(percent) else {
            return wrong("a percentage is a number above 0 and below 100, to a tenth".to_owned());
        };
        let node = resolver.expression(scope, of)?;
        return Ok((Aggregate::Shared(Operation::Percentile(Percentile(thousandths))), Some(node)));
    }
    if name == "rate" {
        let [of, Expression { kind: Kind::Period(period), .. }] = arguments else {
            return wrong("rate takes a field and a period".to_owned());
        };
        let Some(period_ns) = period.fixed_ns() else {
            return wrong("the period of a rate has a fixed length: no months".to_owned());
        };
        return Ok((Aggregate::Rate(period_ns), Some(resolver.expression(scope, of)?)));
    }
    if name == "histogram" {
        let [of, Expression { kind: Kind::Literal(Literal::I64(count)), .. }] = arguments else {
            return wrong("histogram takes a field and a number of ranges".to_owned());
        };
        let Some(count) =
            u16::try_from(*count).ok().filter(|count| (1..=INSIGHTS_RANGES_MAX).contains(count))
        else {
            return wrong(format!("a histogram has 1 to {INSIGHTS_RANGES_MAX} ranges"));
        };
        return Ok((Aggregate::Ranges(count), Some(resolver.expression(scope, of)?)));
    }
    let Some(aggregate) = aggregates::of_name(name) else {
        return wrong(format!("`{name}` is no aggregate"));
    };
    match arguments {
        [] | [Expression { kind: Kind::Star, .. }] if name == "count" => Ok((aggregate, None)),
        [only] if name == "count_if" => {
            // Counted is what is present: 1 where the condition holds.
            let condition = resolver.expression(scope, only)?;
            let one = scope.arena.push(Step::Constant(super::datum::Datum::I64(1)), span)?;
            let Some(choice) = by_name("if") else { return wrong("if is no function".to_owned()) };
            let node = scope.arena.call(choice, vec![condition, one], Extra::Nothing, span)?;
            Ok((aggregate, Some(node)))
        }
        [only] => Ok((aggregate, Some(resolver.expression(scope, only)?))),
        _ => wrong(format!("{name} does not take {} arguments", arguments.len())),
    }
}

fn thousandths(percent: &Expression) -> Option<u16> {
    let number = match &percent.kind {
        Kind::Literal(Literal::I64(number)) => f64::from(i32::try_from(*number).ok()?),
        Kind::Literal(Literal::F64(number)) => *number,
        _ => return None,
    };
    let thousandths = number * 10.0;
    let rounded = thousandths.round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the bounds were checked")]
    ((1.0..1_000.0).contains(&rounded) && (thousandths - rounded).abs() < 1e-9).then_some(rounded as u16)
}
