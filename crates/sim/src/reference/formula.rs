//! What a formula is worth for one group: its expression, over the cells of the group's calculations.

use serde_json::{Value as Json, json};
use skein_event::value::Value;
use skein_query::expression::{Expression, Kind, parse};

use super::aggregate::{Calculation, Cell};
use super::event::{Event, Place};
use super::execute::{double_json, integer_json};
use super::expression::{Fields, evaluate};
use super::number::Number;
use super::sampling::Sure;

/// A formula of a specification.
struct Formula {
    name: String,
    tree: Expression,
    /// Keys of the calculations it is made of.
    of: Vec<String>,
}

/// The formulas of a specification, and what is shown with them.
pub struct Formulas {
    list: Vec<Formula>,
    /// Keys of the calculations, and of the formulas behind them.
    pub names: Vec<String>,
    /// Places of those that are shown: not those of what formulas are made of.
    pub shown: Vec<usize>,
}

impl Formulas {
    /// The formulas of a specification over its calculations.
    pub fn new(spec: &Json, calculations: &[Calculation<'_>]) -> Formulas {
        let list = spec["formulas"].as_array().map(Vec::as_slice).unwrap_or_default();
        let formula = |formula: &Json| {
            let tree = parse(formula["expression"].as_str()?).ok()?;
            let mut of = Vec::new();
            names(&tree, &mut of);
            Some(Formula { name: formula["name"].as_str()?.to_owned(), tree, of })
        };
        let list: Vec<Formula> = list.iter().filter_map(formula).collect();
        let names = calculations.iter().map(|calculation| calculation.name.clone());
        let names: Vec<String> = names.chain(list.iter().map(|formula| formula.name.clone())).collect();
        let used = |name: &String| list.iter().any(|formula| formula.of.contains(name));
        let shown = (0..names.len()).filter(|place| !used(&names[*place])).collect();
        Formulas { list, names, shown }
    }

    /// The cells of a group with those of its formulas.
    pub fn added(&self, calculations: &[Calculation<'_>], mut cells: Vec<Cell>) -> Vec<Cell> {
        let made: Vec<Cell> = self.list.iter().map(|formula| formula.over(calculations, &cells)).collect();
        cells.extend(made);
        cells
    }

    /// How sure those are that are shown: a formula is exact when all is that it is made of.
    pub fn sure<'a>(
        &self,
        calculations: &[Calculation<'a>],
        of: impl Fn(&Calculation<'a>) -> Sure,
    ) -> Vec<Sure> {
        let mut sure: Vec<Sure> = calculations.iter().map(of).collect();
        let all = |formula: &Formula| {
            calculations.iter().zip(&sure).all(|(c, sure)| sure.exact || !formula.of.contains(&c.name))
        };
        let of_formulas: Vec<Sure> = self.list.iter().map(|formula| Sure::of_formula(all(formula))).collect();
        sure.extend(of_formulas);
        self.shown(sure)
    }

    /// Those of some things by place that are shown.
    pub fn shown<T: Clone>(&self, all: Vec<T>) -> Vec<T> {
        self.shown.iter().map(|place| all[*place].clone()).collect()
    }
}

fn names(tree: &Expression, found: &mut Vec<String>) {
    match &tree.kind {
        Kind::Column(name) => found.push(name.clone()),
        Kind::Call { arguments, .. } => arguments.iter().for_each(|one| names(one, found)),
        Kind::Null | Kind::Literal(_) => {}
    }
}

impl Formula {
    /// Its cell, given those of the calculations.
    fn over(&self, calculations: &[Calculation<'_>], cells: &[Cell]) -> Cell {
        // The cells of a group, as an event with a column for each.
        let mut group = Event::new(0);
        for (calculation, cell) in calculations.iter().zip(cells).filter(|(c, _)| self.of.contains(&c.name)) {
            match cell {
                Cell::About { .. } | Cell::Open => return Cell::Open,
                exact => {
                    if let Some(number) = exact.number() {
                        group.add(
                            Place::Item,
                            &format!("cell {}", calculation.name),
                            match number {
                                Number::I64(value) => Value::I64(value),
                                Number::F64(value) => Value::F64(value),
                            },
                        );
                    }
                }
            }
        }
        let fields: Fields = calculations
            .iter()
            .filter_map(|c| {
                Some((c.name.clone(), parse(&format!("${}", json!(format!("cell {}", c.name)))).ok()?))
            })
            .collect();
        Cell::Exactly(match evaluate(&self.tree, &group, &fields) {
            Some(Value::Bool(value)) => json!(u8::from(value)),
            Some(Value::I64(value)) => integer_json(value),
            Some(Value::F64(value)) => double_json(value),
            _ => Json::Null,
        })
    }
}
