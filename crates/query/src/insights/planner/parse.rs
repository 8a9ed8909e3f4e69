//! The command `parse`: names for parts of a text.

use super::super::ast::{Expression, Pattern};
use super::super::functions::{Extra, operators};
use super::super::plan::Regex;
use super::super::program::Node;
use super::super::{extract, fields};
use super::Planner;
use crate::text::{Problem, Span};

pub(super) fn parse(
    planner: &mut Planner<'_>,
    field: Option<&Expression>,
    how: &Pattern,
    at: Span,
) -> Result<(), Problem> {
    let text = match field {
        Some(field) => planner.resolver.expression(&mut planner.scope, field)?,
        None => match planner.scope.named("@message") {
            Some(node) => node,
            None if planner.scope.closed => {
                return Err(Problem::new(
                    at,
                    "`parse` without a field is of @message, which is gone after `stats`",
                ));
            }
            None => fields::field(&mut planner.scope.arena, &["@message".to_owned()], at)?,
        },
    };
    match how {
        Pattern::Glob { text: glob, names, at } => {
            let (pattern, stars) = extract::glob(glob);
            if stars != names.len() {
                let message = format!("the text has {stars} stars, and {} names are given", names.len());
                return Err(Problem::new(at.0, message).hint("each star takes one name behind `as`"));
            }
            captures(planner, text, &pattern, names, at.0)
        }
        Pattern::Regex { pattern, names, multi, at } => {
            let compiled = planner.resolver.pattern(pattern, at.0)?;
            let mut given = names.iter();
            // The first group is the whole match.
            let of_groups: Option<Vec<String>> = compiled
                .0
                .capture_names()
                .skip(1)
                .map(|name| name.map(str::to_owned).or_else(|| given.next().cloned()))
                .collect();
            let Some(of_groups) = of_groups.filter(|names| !names.is_empty() && given.next().is_none())
            else {
                let unnamed = compiled.0.capture_names().skip(1).filter(Option::is_none).count();
                let message = format!("{unnamed} groups have no name, and {} names are given", names.len());
                let problem = Problem::new(at.0, message);
                return Err(problem.hint("name a group with (?<name>…), or groups without one behind `as`"));
            };
            if *multi {
                return planner.multiply(text, Regex(compiled.0.clone()), &of_groups);
            }
            captures(planner, text, pattern, &of_groups, at.0)
        }
        Pattern::Logfmt(name) => {
            let node = planner.scope.arena.call(&operators::LOGFMT, vec![text], Extra::Nothing, at)?;
            planner.add(name, node);
            Ok(())
        }
        Pattern::Csv(names) if names.is_empty() => {
            Err(Problem::new(at, "`parse … csv` needs names").hint("for instance parse @message csv as a, b"))
        }
        Pattern::Csv(names) => {
            let list = planner.scope.arena.call(&operators::CSV, vec![text], Extra::Nothing, at)?;
            places(planner, list, names, at)
        }
    }
}

fn captures(
    planner: &mut Planner<'_>,
    text: Node,
    pattern: &str,
    names: &[String],
    at: Span,
) -> Result<(), Problem> {
    let pattern = planner.resolver.pattern(pattern, at)?;
    let list = planner.scope.arena.call(&operators::CAPTURES, vec![text], Extra::Pattern(pattern), at)?;
    places(planner, list, names, at)
}

/// Names for the elements of a list, in their order.
fn places(planner: &mut Planner<'_>, list: Node, names: &[String], at: Span) -> Result<(), Problem> {
    for (place, name) in names.iter().enumerate() {
        let node = planner.scope.arena.call(&operators::PLACE, vec![list], Extra::Place(place), at)?;
        planner.add(name, node);
    }
    Ok(())
}
