//! Conditions as filters of the plan that the engine answers on encoded data.
//!
//! A test of one stored field against literals becomes the filter that means the same, so that zone maps, dictionaries and
//! words prune it. Anything else becomes a filter of a calculated column. Where a comparison with a missing field is neither
//! true nor false the event does not pass: a negated test asks for the field as well.

use super::datum::Datum;
use super::functions::{Extra, operators};
use super::program::{Arena, Input, Node, Step};
use crate::number::Number;
use crate::plan::{Column, Combination, Comparison, Filter, FilterSet, Literal, Test, TextTest};
use crate::text::{Problem, Span};

/// The filters that let pass what all conditions hold for.
pub(super) fn filters(arena: &mut Arena, conditions: &[Node], span: Span) -> Result<FilterSet, Problem> {
    let mut conjuncts = Vec::new();
    conditions.iter().for_each(|node| parts(arena, *node, "and", &mut conjuncts));
    if let [only] = conjuncts.as_slice() {
        let mut alternatives = Vec::new();
        parts(arena, *only, "or", &mut alternatives);
        let each: Option<Vec<Filter>> = alternatives
            .iter()
            .map(|node| match simple(arena, *node).map(<[Filter; 1]>::try_from) {
                Some(Ok([filter])) => Some(filter),
                _ => None,
            })
            .collect();
        if let Some(filters) = each.filter(|filters| filters.len() > 1) {
            return Ok(FilterSet { combination: Combination::Any, filters });
        }
    }
    let mut filters = Vec::new();
    for node in conjuncts {
        match simple(arena, node) {
            Some(found) => filters.extend(found),
            None => {
                let holds = arena.call(&operators::HOLDS, vec![node], Extra::Nothing, span)?;
                let column = arena.column(holds, "filter", span);
                filters.push(Filter { column, test: Test::In(vec![Literal::I64(1)]) });
            }
        }
    }
    Ok(FilterSet { combination: Combination::All, filters })
}

/// What is joined by an operator.
fn parts(arena: &Arena, node: Node, operator: &str, found: &mut Vec<Node>) {
    match arena.step(node) {
        Some(Step::Call { function, arguments, .. }) if function.name == operator => {
            arguments.iter().for_each(|one| parts(arena, *one, operator, found));
        }
        _ => found.push(node),
    }
}

/// The filters of a test of one stored field; all of them must hold.
fn simple(arena: &Arena, node: Node) -> Option<Vec<Filter>> {
    let Some(Step::Call { function, arguments, extra }) = arena.step(node) else { return None };
    let column = |place: usize| match arena.step(*arguments.get(place)?) {
        Some(Step::Input(Input::Column(column))) => Some(column.clone()),
        _ => None,
    };
    let constant = |place: usize| arena.constant(*arguments.get(place)?);
    let one = |column: Column, test: Test| Some(vec![Filter { column, test }]);
    match (function.name, arguments.as_slice()) {
        // strcontains(…) = 1
        ("=", [inner, _]) if constant(1) == Some(&Datum::I64(1)) && is_test(arena, *inner) => {
            simple(arena, *inner)
        }
        ("=", [_, _]) => match (column(0), column(1)) {
            (Some(column), None) => one(column, Test::In(literals(constant(1)?)?)),
            (None, Some(column)) => one(column, Test::In(literals(constant(0)?)?)),
            _ => None,
        },
        ("!=", [_, _]) => {
            let column_of = column(0)?;
            present_and(column_of, |_| Some(Test::NotIn(literals(constant(1)?)?)))
        }
        ("in", _) => one(column(0)?, Test::In(all_literals(arena, arguments)?)),
        ("<" | "<=" | ">" | ">=", [_, _]) => {
            let comparison = comparison(function.name)?;
            match (column(0), column(1)) {
                (Some(column), None) => one(column, Test::Compare(comparison, bound(constant(1)?)?)),
                (None, Some(column)) => one(column, Test::Compare(turned(comparison), bound(constant(0)?)?)),
                _ => None,
            }
        }
        ("ispresent", _) => one(column(0)?, Test::Exists),
        ("not", [inner]) => negated(arena, *inner),
        _ => {
            let (test, text) = text_test(arena, function.name, arguments, extra)?;
            one(column(0)?, Test::Text(test, text))
        }
    }
}

fn negated(arena: &Arena, node: Node) -> Option<Vec<Filter>> {
    let Some(Step::Call { function, arguments, extra }) = arena.step(node) else { return None };
    let column = match arena.step(*arguments.first()?) {
        Some(Step::Input(Input::Column(column))) => column.clone(),
        _ => return None,
    };
    match function.name {
        "ispresent" => Some(vec![Filter { column, test: Test::DoesNotExist }]),
        "in" => present_and(column, |_| Some(Test::NotIn(all_literals(arena, arguments)?))),
        "=" => {
            let literals = literals(arena.constant(*arguments.get(1)?)?)?;
            present_and(column, |_| Some(Test::NotIn(literals.clone())))
        }
        name => {
            let (test, text) = text_test(arena, name, arguments, extra)?;
            present_and(column, |_| Some(Test::NotText(test, text.clone())))
        }
    }
}

/// A negative test, which a missing column would pass, of events that have the column.
fn present_and(column: Column, test: impl Fn(&Column) -> Option<Test>) -> Option<Vec<Filter>> {
    let test = test(&column)?;
    Some(vec![Filter { column: column.clone(), test: Test::Exists }, Filter { column, test }])
}

/// The test of text that a call with a literal is.
fn text_test(arena: &Arena, name: &str, arguments: &[Node], extra: &Extra) -> Option<(TextTest, String)> {
    let text = || match arena.constant(*arguments.get(1)?) {
        Some(Datum::Text(text)) => Some(text.to_string()),
        _ => None,
    };
    Some(match (name, arguments.len(), extra) {
        ("like" | "strcontains", 2, _) => (TextTest::Contains, text()?),
        ("startsWith", 2, _) => (TextTest::StartsWith, text()?),
        ("endsWith", 2, _) => (TextTest::EndsWith, text()?),
        ("like /…/", _, Extra::Pattern(pattern)) => {
            let pattern = pattern.0.as_str();
            let is_plain = regex::escape(pattern) == pattern;
            (TextTest::Contains, Some(pattern.to_owned()).filter(|_| is_plain)?)
        }
        _ => return None,
    })
}

/// Whether a step is 1 or 0 by what it is, and a test that this module knows.
fn is_test(arena: &Arena, node: Node) -> bool {
    const TESTS: [&str; 6] = ["strcontains", "startsWith", "endsWith", "ispresent", "like", "like /…/"];
    matches!(arena.step(node), Some(Step::Call { function, .. }) if TESTS.contains(&function.name))
}

fn comparison(operator: &str) -> Option<Comparison> {
    Some(match operator {
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn turned(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
    }
}

/// The literal that bounds numbers, and text that is one. A bound of text is computed: stored bytes and lists are text to
/// the language, and compare with nothing in a filter of the engine.
fn bound(value: &Datum) -> Option<Literal> {
    match value {
        Datum::I64(number) => Some(Literal::I64(*number)),
        Datum::F64(number) if !number.is_nan() => Some(Literal::F64(*number)),
        _ => None,
    }
}

fn all_literals(arena: &Arena, arguments: &[Node]) -> Option<Vec<Literal>> {
    let each = arguments.iter().skip(1).map(|one| literals(arena.constant(*one)?));
    Some(each.collect::<Option<Vec<_>>>()?.concat())
}

/// The literals that match what [`Datum::equals`] says equals a value.
fn literals(value: &Datum) -> Option<Vec<Literal>> {
    let mut found = match value {
        Datum::I64(number) => vec![Literal::I64(*number)],
        Datum::F64(number) if !number.is_nan() => vec![Literal::F64(*number)],
        Datum::Bool(truth) => vec![Literal::Bool(*truth), Literal::I64(i64::from(*truth))],
        Datum::Text(text) => {
            let mut found = vec![Literal::Text(text.to_string())];
            // A number is matched by the text that it is written as.
            let number = Number::of_text(text).map(|number| match number {
                Number::I64(number) => Literal::I64(number),
                Number::F64(number) => Literal::F64(number),
            });
            found.extend(number.filter(|number| Datum::from(number).as_text().as_deref() == Some(&**text)));
            match &**text {
                "true" => found.push(Literal::Bool(true)),
                "false" => found.push(Literal::Bool(false)),
                _ => {}
            }
            found
        }
        _ => return None,
    };
    match value.as_f64() {
        Some(1.0) if !found.contains(&Literal::Bool(true)) && value.as_text()? == "1" => {
            found.push(Literal::Bool(true))
        }
        Some(0.0) if !found.contains(&Literal::Bool(false)) && value.as_text()? == "0" => {
            found.push(Literal::Bool(false))
        }
        _ => {}
    }
    Some(found)
}
