//! Formulas in a plan: numbers made of those of a group, and what an answer shows with them
//! (docs/reference/formulas.md).

use std::sync::Arc;

use crate::expression::{Input, Program};
use crate::plan::GroupPlan;

impl GroupPlan {
    /// Whether the answer shows a number by its place: that of a calculation, or behind them of a formula.
    pub fn is_shown(&self, place: usize) -> bool {
        let used = |formula: &Formula| formula.program.inputs().contains(&Input::Calculation(place));
        !self.formulas.iter().any(used)
    }

    /// The place of the calculation of a name, or behind them of the formula.
    pub fn place_of(&self, name: &str) -> Option<usize> {
        let calculation = self.calculations.iter().position(|calculation| calculation.name == name);
        let formula = || self.formulas.iter().position(|formula| formula.name == name);
        calculation.or_else(|| Some(self.calculations.len() + formula()?))
    }

    /// The keys of the numbers that the answer shows, in their order.
    pub fn shown_names(&self) -> Vec<String> {
        let calculations = self.calculations.iter().map(|calculation| &calculation.name);
        let names = calculations.chain(self.formulas.iter().map(|formula| &formula.name)).enumerate();
        names.filter(|(place, _)| self.is_shown(*place)).map(|(_, name)| name.clone()).collect()
    }
}

/// A number made of those of a group's calculations.
#[derive(Clone, PartialEq, Debug)]
pub struct Formula {
    /// Its key in the answer.
    pub name: String,
    /// How it is computed; its inputs are calculations.
    pub program: Arc<Program>,
}
