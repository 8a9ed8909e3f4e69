//! Formulas: cells that are computed of the cells of one group.

use skein_query::expression::{Input, Scalar};
use skein_query::plan::{Formula, GroupPlan};
use skein_query::result::{Cell, CellValue, Stats};

/// Adds the cells of a plan's formulas behind those of its calculations.
pub(crate) fn add_cells(plan: &GroupPlan, cells: &mut Vec<Cell>) {
    let calculated = cells.len();
    for formula in &plan.formulas {
        let cell = cell(formula, cells.get(..calculated).unwrap_or_default());
        cells.push(cell);
    }
}

/// Leaves out the cells that formulas are made of.
pub(crate) fn shown_cells(plan: &GroupPlan, cells: Vec<Cell>) -> Vec<Cell> {
    if plan.formulas.is_empty() {
        return cells;
    }
    cells.into_iter().enumerate().filter(|(place, _)| plan.is_shown(*place)).map(|(_, cell)| cell).collect()
}

fn cell(formula: &Formula, calculated: &[Cell]) -> Cell {
    let mut of = Vec::new();
    let mut inputs = Vec::new();
    for input in formula.program.inputs() {
        let cell = match input {
            Input::Calculation(place) => calculated.get(*place),
            _ => None,
        };
        inputs.push(match cell.map(|cell| &cell.value) {
            Some(CellValue::I64(value)) => Scalar::I64(*value),
            Some(CellValue::F64(value)) => Scalar::F64(*value),
            Some(CellValue::Missing | CellValue::Histogram { .. }) | None => Scalar::Null,
        });
        of.extend(cell);
    }
    let value = match formula.program.evaluate(&inputs, &mut Vec::new()) {
        Scalar::Bool(value) => CellValue::I64(i64::from(value)),
        Scalar::I64(value) => CellValue::I64(value),
        // −0 = 0.
        Scalar::F64(value) => CellValue::F64(value + 0.0),
        Scalar::Null | Scalar::Text(_) => CellValue::Missing,
    };
    let exact = of.iter().all(|cell| cell.stats.exact);
    // How errors of several values add up is not known, so that an interval is claimed of exact values only.
    let interval = value.number().filter(|number| exact && number.is_finite());
    let stats = Stats {
        lo95: interval,
        hi95: interval,
        exact,
        n_traces: None,
        reliable: of.iter().all(|cell| cell.stats.reliable),
    };
    Cell { value, stats }
}
