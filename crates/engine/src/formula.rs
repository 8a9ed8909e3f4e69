//! Formulas: cells that are computed of the cells of one group.
//!
//! The interval of a formula is that of its linear part: what each trace contributes to the numbers that it is made of,
//! times how fast the formula changes with these. A ratio of two counts of the same traces so has the variance of a ratio,
//! not that of two numbers that know nothing of each other.

use skein_query::aggregate::Contributions;
use skein_query::aggregate::interval::{Estimate, of_estimate};
use skein_query::expression::{Input, Scalar};
use skein_query::plan::{Formula, GroupPlan};
use skein_query::result::{Cell, CellValue, Stats};

/// Adds the cells of a plan's formulas behind those of its calculations; `contributions` has what traces contribute to
/// these, where that is known.
pub(crate) fn add_cells(
    plan: &GroupPlan,
    cells: &mut Vec<Cell>,
    contributions: impl Fn(usize) -> Option<Contributions>,
) {
    let calculated = cells.len();
    for formula in &plan.formulas {
        let cell = cell(formula, cells.get(..calculated).unwrap_or_default(), &contributions);
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

/// The calculation behind an input.
fn place_of(input: &Input) -> Option<usize> {
    match input {
        Input::Calculation(place) => Some(*place),
        _ => None,
    }
}

fn scalar(value: Option<&CellValue>) -> Scalar {
    match value {
        Some(CellValue::I64(value)) => Scalar::I64(*value),
        Some(CellValue::F64(value)) => Scalar::F64(*value),
        Some(CellValue::Missing | CellValue::Histogram { .. }) | None => Scalar::Null,
    }
}

fn cell(
    formula: &Formula,
    calculated: &[Cell],
    contributions: &impl Fn(usize) -> Option<Contributions>,
) -> Cell {
    let cells: Vec<Option<&Cell>> = formula
        .program
        .inputs()
        .iter()
        .map(|input| place_of(input).and_then(|place| calculated.get(place)))
        .collect();
    let inputs: Vec<Scalar> = cells.iter().map(|cell| scalar(cell.map(|cell| &cell.value))).collect();
    let value = match formula.program.evaluate(&inputs, &mut Vec::new()) {
        Scalar::Bool(value) => CellValue::I64(i64::from(value)),
        Scalar::I64(value) => CellValue::I64(value),
        // −0 = 0.
        Scalar::F64(value) => CellValue::F64(value + 0.0),
        Scalar::Null | Scalar::Text(_) => CellValue::Missing,
    };
    let of = || cells.iter().copied().flatten();
    let exact = of().all(|cell| cell.stats.exact);
    let number = value.number().filter(|number| number.is_finite());
    if of().all(|cell| cell.stats.n_traces.is_none()) {
        // Nothing is sampled. How errors of sketches add up is not known.
        let reliable = of().all(|cell| cell.stats.reliable);
        let interval = number.filter(|_| exact);
        let stats = Stats { lo95: interval, hi95: interval, exact, n_traces: None, reliable };
        return Cell { value, stats };
    }
    let found = number.and_then(|number| linear_part(formula, &cells, &inputs, contributions, number));
    let n_traces = match &found {
        Some(sum) => Some(sum.units),
        None => of().filter_map(|cell| cell.stats.n_traces).max(),
    };
    let interval = number
        .zip(found)
        .and_then(|(value, sum)| of_estimate(Estimate { value, certain: 0.0, spread: sum.spread() }));
    let stats = Stats {
        lo95: interval.map(|(low, _)| low),
        hi95: interval.map(|(_, high)| high),
        exact,
        n_traces,
        reliable: interval.is_some(),
    };
    Cell { value, stats }
}

/// The step by which an input is moved to see how fast a formula changes, in parts of the input.
const STEP: f64 = 1e-6;

/// How far the changes to either side may differ, in parts of the larger: a formula that jumps or bends here has no
/// linear part.
const BEND: f64 = 1e-3;

/// What traces contribute to a formula; nothing where that is not known.
fn linear_part(
    formula: &Formula,
    cells: &[Option<&Cell>],
    inputs: &[Scalar],
    contributions: &impl Fn(usize) -> Option<Contributions>,
    value: f64,
) -> Option<Contributions> {
    let mut parts = Vec::new();
    for (place, (input, cell)) in formula.program.inputs().iter().zip(cells).enumerate() {
        let Some(cell) = cell.filter(|cell| !cell.stats.exact) else { continue };
        let number = cell.value.number()?;
        let step = if number == 0.0 { STEP } else { number.abs() * STEP };
        let moved = |by: f64| {
            let mut inputs = inputs.to_vec();
            if let Some(input) = inputs.get_mut(place) {
                *input = Scalar::F64(number + by);
            }
            match formula.program.evaluate(&inputs, &mut Vec::new()) {
                Scalar::F64(value) => Some(value),
                #[expect(clippy::cast_precision_loss, reason = "a formula's value is taken as a double")]
                Scalar::I64(value) => Some(value as f64),
                _ => None,
            }
        };
        let (above, below) = ((moved(step)? - value) / step, (value - moved(-step)?) / step);
        // What is rounded off in the last places of the value is no bend.
        let slack = BEND * above.abs().max(below.abs()) + value.abs() * 1e-14 / step;
        if !above.is_finite() || (above - below).abs() > slack {
            return None;
        }
        // A sketch has an error that no trace contributes to, and so has a count of nothing.
        let part = contributions(place_of(input)?).filter(|part| part.units > 0)?;
        parts.push(((above + below) / 2.0, part));
    }
    Some(Contributions::sum(parts.iter().map(|(factor, part)| (*factor, part))))
}
