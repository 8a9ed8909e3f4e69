//! Formulas of a specification: `{"name", "expression"}` over the calculations of the query.
//!
//! `$name` is a calculation by its key in the answer. What formulas are made of is not shown beside them: the answer has
//! them instead.

use std::sync::Arc;

use super::limits;
use super::node::{Node, Object};
use crate::error::QueryError;
use crate::expression::{self, Input, parse};
use crate::plan::{Calculation, Column, Formula, Operation};
use crate::text::{Problem, Span};

/// Reads `formulas`.
pub(super) fn formulas(
    object: &Object<'_>,
    calculations: &[Calculation],
    breakdowns: &[Column],
) -> Result<Vec<Formula>, QueryError> {
    let Some(node) = object.get("formulas") else { return Ok(Vec::new()) };
    let mut found: Vec<Formula> = Vec::new();
    let nodes = node.array(limits::CALCULATIONS_MAX)?;
    let names = formula_names(&nodes);
    for node in nodes {
        let formula = formula(&node, calculations, &names)?;
        let taken = calculations.iter().any(|c| c.name == formula.name)
            || breakdowns.iter().any(|b| *b.name == *formula.name)
            || found.iter().any(|other| other.name == formula.name);
        if taken {
            let error = node.error(format!("`{}` is the name of something else in this query", formula.name));
            return Err(error.hint("give the formula another name"));
        }
        found.push(formula);
    }
    Ok(found)
}

/// The names of formulas, as far as they have one: to tell a reference to one from a name that nothing has.
fn formula_names<'a>(nodes: &[Node<'a>]) -> Vec<&'a str> {
    nodes.iter().filter_map(|node| node.value.get("name")?.as_str()).collect()
}

fn formula(node: &Node<'_>, calculations: &[Calculation], names: &[&str]) -> Result<Formula, QueryError> {
    let object = node.object(&["name", "expression"])?;
    let name = object.required("name")?.text()?.to_owned();
    let expression_node = object.required("expression")?;
    let path = &expression_node.path;
    let tree = parse(expression_node.text()?).map_err(|problem| problem.inside(path))?;
    let calculation = |name: &str, span: Span, _: &str| calculation(name, span, calculations, names);
    let program = expression::plan::plan(&tree, path, &calculation)?;
    Ok(Formula { name, program: Arc::new(program) })
}

/// The calculation that a name in a formula means.
fn calculation(
    name: &str,
    span: Span,
    calculations: &[Calculation],
    formulas: &[&str],
) -> Result<Input, Problem> {
    let Some(place) = calculations.iter().position(|calculation| calculation.name == name) else {
        if formulas.contains(&name) {
            let problem =
                Problem::new(span, format!("`{name}` is a formula, and formulas are over calculations"));
            return Err(problem.hint("write its expression here again"));
        }
        let known = calculations.iter().map(|calculation| calculation.name.as_str());
        let problem = Problem::unknown(span, "calculation", name, known.clone());
        let known: Vec<&str> = known.collect();
        return Err(problem.hint(format!(
            "the calculations are {}; a name like `OP(column)` is written $\"OP(column)\"",
            known.join(", ")
        )));
    };
    match calculations.get(place).map(|calculation| calculation.operation) {
        Some(Operation::Heatmap) => {
            return Err(Problem::new(span, "a HEATMAP is no number to compute with"));
        }
        Some(operation) if operation.of_interval().is_some() => {
            let problem = Problem::new(span, format!("{} is of two buckets at once", operation.name()));
            return Err(problem.hint("compute with what changes, and look at its series"));
        }
        _ => {}
    }
    Ok(Input::Calculation(place))
}
