//! From states to results: havings, order, limit, total and other.

use std::cmp::Ordering;
use std::sync::Arc;

use skein_event::value::Value;
use skein_query::aggregate::{Extent, Remarks, State, histogram_edges};
use skein_query::number::{Number, ValueRef};
use skein_query::plan::{Direction, GroupPlan, Having, HavingOperator, Operation, Order, OrderBy};
use skein_query::result::{Cell, CellValue, GroupRow, SeriesRow, Warning};

use crate::aggregate::{Accumulator, Coercions};
use crate::first_pass::FirstPass;
use crate::formula;
use crate::group::ShownKey;
use crate::series::{EXCLUDED_SLOT, Fate, OTHER_SLOT, SecondPass};

/// The groups after havings, order and limit.
#[derive(Clone)]
pub(crate) struct Ranked {
    pub(crate) results: Vec<GroupRow>,
    pub(crate) total: Vec<Cell>,
    pub(crate) other: Option<Vec<Cell>>,
    /// Of each group, by its number.
    pub(crate) fates: Vec<Fate>,
}

struct Candidate {
    group: usize,
    key: ShownKey,
    cells: Vec<Cell>,
}

/// Ranks the groups of the first pass.
pub(crate) fn rank(plan: &GroupPlan, pass: &FirstPass<'_>, overflowed: &mut [bool]) -> Ranked {
    let mut candidates = Vec::new();
    let mut fates = vec![Fate::Excluded; pass.groups.len()];
    for group in 0..pass.groups.len() {
        let cells = finish_slot(plan, pass.accumulator.slot(group), overflowed);
        if plan.havings.iter().all(|having| meets(having, &cells)) {
            candidates.push(Candidate { group, key: pass.groups.shown_key(group), cells });
        }
    }
    candidates.sort_by(|a, b| compare(plan, a, b));
    let cut = candidates.split_off(plan.limit.min(candidates.len()));
    for (place, candidate) in (0_u32..).zip(&candidates) {
        fates[candidate.group] = Fate::Shown(place);
    }
    cut.iter().for_each(|candidate| fates[candidate.group] = Fate::Other);
    // Merged in the order of the groups, which is that of their first rows: the same every time.
    let merged = |wanted: &dyn Fn(Fate) -> bool| {
        let slots = (0..fates.len()).filter(|&group| wanted(fates[group]));
        merge_slots(plan, &pass.accumulator, slots)
    };
    let total = finish_slot(plan, &merged(&|_| true), overflowed);
    let other =
        (!cut.is_empty()).then(|| finish_slot(plan, &merged(&|fate| fate == Fate::Other), overflowed));
    let results = candidates.into_iter().map(|c| GroupRow { key: c.key.values, cells: c.cells }).collect();
    Ranked { results, total, other, fates }
}

fn merge_slots(
    plan: &GroupPlan,
    accumulator: &Accumulator<'_>,
    slots: impl Iterator<Item = usize>,
) -> Vec<State> {
    let empty = plan.calculations.iter().map(|calculation| State::new(calculation.operation, true));
    let mut merged: Vec<State> = empty.collect();
    for slot in slots {
        merged.iter_mut().zip(accumulator.slot(slot)).for_each(|(all, state)| all.merge(state));
    }
    merged
}

fn finish_slot(plan: &GroupPlan, states: &[State], overflowed: &mut [bool]) -> Vec<Cell> {
    let finish = |(place, state): (usize, &State)| {
        let (cell, Remarks { overflowed: this }) = state.finish();
        if let Some(flag) = overflowed.get_mut(place) {
            *flag |= this;
        }
        cell
    };
    let mut cells = states.iter().enumerate().map(finish).collect();
    formula::add_cells(plan, &mut cells);
    cells
}

/// The edges of each calculation: of a HEATMAP those that cover everything the first pass saw.
pub(crate) fn edges(plan: &GroupPlan, pass: &FirstPass<'_>) -> Vec<Arc<[f64]>> {
    let of = |place: usize| {
        let mut extent = Extent::default();
        for group in 0..pass.groups.len() {
            if let Some(seen) = pass.accumulator.slot(group).get(place).and_then(State::extent) {
                extent.merge(&seen);
            }
        }
        histogram_edges(extent)
    };
    plan.calculations
        .iter()
        .enumerate()
        .map(|(place, c)| if c.operation == Operation::Heatmap { of(place) } else { Arc::from([]) })
        .collect()
}

/// The series of the second pass; fills in the heatmaps of results, total and other.
pub(crate) fn series(
    plan: &GroupPlan,
    pass: &SecondPass<'_>,
    ranked: &mut Ranked,
    overflowed: &mut [bool],
) -> Vec<SeriesRow> {
    let mut entries: Vec<((i64, u32), usize)> =
        pass.slots.iter().map(|(&key, &slot)| (key, slot as usize)).collect();
    entries.sort_unstable();
    for (place, calculation) in plan.calculations.iter().enumerate() {
        if calculation.operation == Operation::Heatmap {
            fill_heatmap(place, pass, &entries, ranked);
        }
    }
    let row = |&((time_ns, group), slot): &((i64, u32), usize)| SeriesRow {
        time_ns,
        group: group as usize,
        cells: finish_slot(plan, pass.accumulator.slot(slot), overflowed),
    };
    entries.iter().map(row).collect()
}

fn fill_heatmap(place: usize, pass: &SecondPass<'_>, entries: &[((i64, u32), usize)], ranked: &mut Ranked) {
    let state = |slot: usize| pass.accumulator.slot(slot).get(place).cloned();
    let Some(other) = state(OTHER_SLOT) else { return };
    let Some(mut total) = state(EXCLUDED_SLOT) else { return };
    total.merge(&other);
    let mut by_group: Vec<Option<State>> = vec![None; ranked.results.len()];
    for &((_, group), slot) in entries {
        let Some(cell) = state(slot) else { continue };
        total.merge(&cell);
        match by_group.get_mut(group as usize) {
            Some(Some(sum)) => sum.merge(&cell),
            Some(none) => *none = Some(cell),
            None => {}
        }
    }
    let put = |cells: &mut Vec<Cell>, state: &State| {
        if let Some(cell) = cells.get_mut(place) {
            *cell = state.finish().0;
        }
    };
    for (row, state) in ranked.results.iter_mut().zip(&by_group) {
        if let Some(state) = state {
            put(&mut row.cells, state);
        }
    }
    put(&mut ranked.total, &total);
    if let Some(cells) = &mut ranked.other {
        put(cells, &other);
    }
}

fn meets(having: &Having, cells: &[Cell]) -> bool {
    let number = cells.get(having.calculation).and_then(|cell| cell_number(&cell.value));
    let ordering = number.and_then(|number| number.compare(Number::F64(having.value)));
    match having.operator {
        HavingOperator::Equal => ordering == Some(Ordering::Equal),
        HavingOperator::NotEqual => ordering != Some(Ordering::Equal),
        HavingOperator::Compare(comparison) => ordering.is_some_and(|ordering| comparison.holds(ordering)),
    }
}

fn cell_number(value: &CellValue) -> Option<Number> {
    match value {
        CellValue::I64(value) => Some(Number::I64(*value)),
        CellValue::F64(value) => Some(Number::F64(*value)),
        CellValue::Missing | CellValue::Histogram { .. } => None,
    }
}

fn compare(plan: &GroupPlan, a: &Candidate, b: &Candidate) -> Ordering {
    for Order { by, direction } in &plan.orders {
        let ordering = match by {
            OrderBy::Calculation(place) => {
                let rank =
                    |c: &Candidate| number_rank(c.cells.get(*place).and_then(|x| cell_number(&x.value)));
                compare_ranked(&rank(a), &rank(b), *direction)
            }
            OrderBy::Breakdown(place) => {
                let rank = |c: &Candidate| value_rank(c.key.values.get(*place).and_then(Option::as_ref));
                compare_ranked(&rank(a), &rank(b), *direction)
            }
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    // Missing after all texts.
    let texts = |c: &Candidate| -> Vec<(bool, Option<Arc<str>>)> {
        c.key.texts.iter().map(|text| (text.is_none(), text.clone())).collect()
    };
    texts(a).cmp(&texts(b))
}

/// A value's place in an order: booleans, then numbers, then text; NaN after these and missing last, whichever
/// way the order goes.
enum Rank {
    Bool(bool),
    Number(Number),
    Text(String),
    Nan,
    Missing,
}

impl Rank {
    fn class(&self) -> u8 {
        match self {
            Rank::Bool(_) => 0,
            Rank::Number(_) => 1,
            Rank::Text(_) => 2,
            Rank::Nan => 3,
            Rank::Missing => 4,
        }
    }

    fn is_last(&self) -> bool {
        self.class() >= 3
    }
}

fn number_rank(number: Option<Number>) -> Rank {
    match number {
        None => Rank::Missing,
        Some(number) if number.is_nan() => Rank::Nan,
        Some(number) => Rank::Number(number),
    }
}

fn value_rank(value: Option<&Value>) -> Rank {
    match value {
        None => Rank::Missing,
        Some(Value::Bool(value)) => Rank::Bool(*value),
        Some(Value::I64(value)) => Rank::Number(Number::I64(*value)),
        Some(Value::F64(value)) => number_rank(Some(Number::F64(*value))),
        Some(other) => Rank::Text(ValueRef::from(other).canonical_text().into_owned()),
    }
}

fn compare_ranked(a: &Rank, b: &Rank, direction: Direction) -> Ordering {
    let ordering = match (a, b) {
        (Rank::Bool(a), Rank::Bool(b)) => a.cmp(b),
        (Rank::Number(a), Rank::Number(b)) => a.compare(*b).unwrap_or(Ordering::Equal),
        (Rank::Text(a), Rank::Text(b)) => a.cmp(b),
        _ => a.class().cmp(&b.class()),
    };
    let reversed = direction == Direction::Descending && !a.is_last() && !b.is_last();
    if reversed { ordering.reverse() } else { ordering }
}

/// What is to be said about sums and coercions.
pub(crate) fn value_warnings(plan: &GroupPlan, coercions: &[Coercions], overflowed: &[bool]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (place, calculation) in plan.calculations.iter().enumerate() {
        let name = &calculation.name;
        let coercions = coercions.get(place).copied().unwrap_or_default();
        if coercions.coerced > 0 {
            let count = coercions.coerced;
            let message =
                format!("{count} values of `{name}` were text and counted as the numbers they spell");
            warnings.push(Warning { code: "text_coerced", message });
        }
        if coercions.left_out > 0 {
            let message =
                format!("{} values of `{name}` were no numbers and are left out", coercions.left_out);
            warnings.push(Warning { code: "not_numeric", message });
        }
        if coercions.unplaced > 0 {
            let count = coercions.unplaced;
            let message = format!("{count} values of `{name}` were NaN or infinite and have no place in it");
            warnings.push(Warning { code: "not_finite", message });
        }
        if overflowed.get(place) == Some(&true) {
            let message = format!("a sum of integers of `{name}` did not fit 64 bits and became a double");
            warnings.push(Warning { code: "integer_overflow", message });
        }
    }
    warnings
}
