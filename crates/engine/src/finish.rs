//! From states to results: havings, order, limit, total and other.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use skein_event::value::Value;
use skein_query::aggregate::interval::TRACES_MIN;
use skein_query::aggregate::{Contributions, Extent, Remarks, State, histogram_edges};
use skein_query::number::{Number, ValueRef};
use skein_query::plan::{
    Calculation, Direction, GroupPlan, Having, HavingOperator, Operation, Order, OrderBy,
};
use skein_query::result::{Cell, CellValue, GroupRow, SeriesRow, Warning};

use crate::aggregate::{Accumulator, Coercions};
use crate::first_pass::FirstPass;
use crate::scan::Failure;
use crate::series::{EXCLUDED_SLOT, Fate, OTHER_SLOT, SecondPass};
use crate::snapshot::SnapshotView;
use crate::unseen::Unseen;
use crate::{change, formula};

/// The groups after havings, order and limit.
#[derive(Clone)]
pub(crate) struct Ranked {
    pub(crate) results: Vec<GroupRow>,
    pub(crate) total: Vec<Cell>,
    pub(crate) other: Option<Vec<Cell>>,
    /// Of each group, by its number.
    pub(crate) fates: Vec<Fate>,
    /// The groups that are shown, in their order.
    pub(crate) shown: Vec<usize>,
}

/// A group and what its orders go by.
struct Candidate {
    group: usize,
    ranks: Vec<Rank>,
}

/// Ranks the groups of the first pass. Texts are read for what is shown, and for what only texts can order.
pub(crate) fn rank(
    plan: &GroupPlan,
    pass: &mut FirstPass<'_>,
    overflowed: &mut [bool],
    view: &SnapshotView,
) -> Result<Ranked, Failure> {
    let groups = pass.groups.len();
    if plan.orders.iter().any(|order| matches!(order.by, OrderBy::Breakdown(_))) {
        pass.groups.load(0..groups, view)?;
    }
    let mut candidates = Vec::with_capacity(groups);
    let mut fates = vec![Fate::Excluded; groups];
    for (group, fate) in fates.iter_mut().enumerate() {
        if let Some(ranks) = ranks_of(plan, pass, group) {
            candidates.push(Candidate { group, ranks });
            *fate = Fate::Other;
        }
    }
    let found = candidates.len() + usize::from(pass.unnamed > 0);
    let by_ranks = |a: &Candidate, b: &Candidate| compare(plan, a, b);
    if plan.limit < candidates.len() {
        // All that are as good as the last that is shown: their texts decide.
        let (_, last, others) = candidates.select_nth_unstable_by(plan.limit.saturating_sub(1), by_ranks);
        let tied: Vec<usize> =
            others.iter().filter(|other| by_ranks(last, other).is_eq()).map(|other| other.group).collect();
        let tied: HashSet<usize> = tied.into_iter().collect();
        let mut place = 0;
        candidates.retain(|candidate| {
            place += 1;
            place <= plan.limit || tied.contains(&candidate.group)
        });
    }
    pass.groups.load(candidates.iter().map(|candidate| candidate.group), view)?;
    // Missing after all texts.
    let texts = |c: &Candidate| -> Vec<(bool, Option<&str>)> {
        pass.groups.texts(c.group).map(|text| (text.is_none(), text)).collect()
    };
    candidates.sort_by(|a, b| by_ranks(a, b).then_with(|| texts(a).cmp(&texts(b))));
    candidates.truncate(plan.limit);
    let shown: Vec<usize> = candidates.into_iter().map(|candidate| candidate.group).collect();
    for (place, &group) in (0_u32..).zip(&shown) {
        fates[group] = Fate::Shown(place);
    }
    for (place, flag) in overflowed.iter_mut().enumerate() {
        *flag |= pass.accumulator.any_overflow(place);
    }
    // Merged in the order of the groups, which is that of their first rows: the same every time.
    let merged = |wanted: &dyn Fn(Fate) -> bool| {
        let slots = (0..fates.len()).filter(|&group| wanted(fates[group]));
        let mut states = pass.accumulator.merged(slots);
        if pass.unnamed > 0 {
            // Only rows are counted where groups go without a name.
            states.iter_mut().for_each(|state| state.merge(&State::of_count(pass.unnamed)));
        }
        states
    };
    let unseen = pass.accumulator.unseen;
    let total = finish_states(plan, &merged(&|_| true), unseen, overflowed);
    let other = (shown.len() < found)
        .then(|| finish_states(plan, &merged(&|fate| fate == Fate::Other), unseen, overflowed));
    let row = |&group: &usize| GroupRow {
        key: pass.groups.shown_key(group),
        cells: finish_slot(plan, &pass.accumulator, group, &mut []),
    };
    let results = shown.iter().map(row).collect();
    let mut ranked = Ranked { results, total, other, fates, shown };
    change::forget(plan, &mut ranked);
    Ok(ranked)
}

/// What the orders of a group go by; `None` when a having leaves it out.
fn ranks_of(plan: &GroupPlan, pass: &FirstPass<'_>, group: usize) -> Option<Vec<Rank>> {
    let of_formula =
        |order: &Order| matches!(order.by, OrderBy::Calculation(place) if place >= plan.calculations.len());
    let needs_all = !plan.havings.is_empty() || plan.orders.iter().any(of_formula);
    let cells = if needs_all { finish_slot(plan, &pass.accumulator, group, &mut []) } else { Vec::new() };
    if !plan.havings.iter().all(|having| meets(having, &cells)) {
        return None;
    }
    let by_value = plan.orders.iter().any(|order| matches!(order.by, OrderBy::Breakdown(_)));
    let key = if by_value { pass.groups.shown_key(group) } else { Vec::new() };
    let rank = |order: &Order| match order.by {
        OrderBy::Calculation(place) if needs_all => {
            number_rank(cells.get(place).and_then(|cell| cell_number(&cell.value)))
        }
        OrderBy::Calculation(place) => {
            number_rank(cell_number(&pass.accumulator.finish(group, place).0.value))
        }
        OrderBy::Breakdown(place) => value_rank(key.get(place).and_then(Option::as_ref)),
    };
    Some(plan.orders.iter().map(rank).collect())
}

fn finish_slot(
    plan: &GroupPlan,
    accumulator: &Accumulator<'_>,
    slot: usize,
    overflowed: &mut [bool],
) -> Vec<Cell> {
    let finished = (0..plan.calculations.len()).map(|place| accumulator.finish(slot, place));
    cells_of(plan, finished, |place| accumulator.contributions(slot, place), overflowed)
}

fn finish_states(
    plan: &GroupPlan,
    states: &[State],
    unseen: Option<Unseen>,
    overflowed: &mut [bool],
) -> Vec<Cell> {
    let finish = |(state, calculation): (&State, &Calculation)| {
        let (mut cell, remarks) = state.finish_as(calculation.operation);
        Unseen::tell(unseen, calculation.operation, &mut cell);
        (cell, remarks)
    };
    let finished = states.iter().zip(&plan.calculations).map(finish);
    let contributions = |place: usize| states.get(place).and_then(State::contributions);
    cells_of(plan, finished, contributions, overflowed)
}

fn cells_of(
    plan: &GroupPlan,
    finished: impl Iterator<Item = (Cell, Remarks)>,
    contributions: impl Fn(usize) -> Option<Contributions>,
    overflowed: &mut [bool],
) -> Vec<Cell> {
    let cell = |(place, (cell, Remarks { overflowed: this })): (usize, (Cell, Remarks))| {
        if let Some(flag) = overflowed.get_mut(place) {
            *flag |= this;
        }
        cell
    };
    let mut cells = finished.enumerate().map(cell).collect();
    formula::add_cells(plan, &mut cells, contributions);
    cells
}

/// The edges of each calculation: of a HEATMAP those that cover everything the first pass saw.
pub(crate) fn edges(plan: &GroupPlan, pass: &FirstPass<'_>) -> Vec<Arc<[f64]>> {
    let of = |place: usize| {
        let mut extent = Extent::default();
        for group in 0..pass.groups.len() {
            if let Some(seen) = pass.accumulator.state(group, place).as_ref().and_then(State::extent) {
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
    let mut entries: Vec<((i64, u32), usize)> = pass.entries().collect();
    entries.sort_unstable();
    for (place, calculation) in plan.calculations.iter().enumerate() {
        if calculation.operation == Operation::Heatmap {
            fill_heatmap(place, pass, &entries, ranked);
        }
    }
    let row = |&((time_ns, group), slot): &((i64, u32), usize)| SeriesRow {
        time_ns,
        group: group as usize,
        cells: finish_slot(plan, &pass.accumulator, slot, overflowed),
    };
    let mut series: Vec<SeriesRow> = entries.iter().map(row).collect();
    change::apply(plan, &mut series, ranked);
    series
}

fn fill_heatmap(place: usize, pass: &SecondPass<'_>, entries: &[((i64, u32), usize)], ranked: &mut Ranked) {
    let state = |slot: usize| pass.accumulator.state(slot, place);
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

/// The number of a cell, if it has one.
pub(crate) fn cell_number(value: &CellValue) -> Option<Number> {
    match value {
        CellValue::I64(value) => Some(Number::I64(*value)),
        CellValue::F64(value) => Some(Number::F64(*value)),
        CellValue::Missing | CellValue::Histogram { .. } => None,
    }
}

fn compare(plan: &GroupPlan, a: &Candidate, b: &Candidate) -> Ordering {
    let pairs = a.ranks.iter().zip(&b.ranks).zip(&plan.orders);
    pairs
        .map(|((a, b), order)| compare_ranked(a, b, order.direction))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
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

/// What is to be said about sampled events; `total` has a cell for each calculation, shown or not.
pub(crate) fn sampling_warnings(plan: &GroupPlan, results: &[GroupRow], total: &[Cell]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (calculation, cell) in plan.calculations.iter().zip(total) {
        let is_extreme =
            matches!(calculation.operation, Operation::Min | Operation::Max | Operation::RateMax);
        if is_extreme && cell.stats.n_traces.is_some() {
            let message = format!(
                "`{}` is of the events that were kept; some of those that they stand for may lie beyond",
                calculation.name
            );
            warnings.push(Warning { code: "observed_only", message });
        }
    }
    let cells = || results.iter().flat_map(|row| &row.cells).filter(|cell| !cell.stats.exact);
    let is_few = |cell: &&Cell| cell.stats.n_traces.is_some_and(|traces| traces < TRACES_MIN);
    let (few, sampled) = (cells().filter(is_few).count(), cells().count());
    if few > 0 {
        let message = format!(
            "{few} of {sampled} sampled numbers rest on fewer than {TRACES_MIN} kept traces: no interval is known of them"
        );
        warnings.push(Warning { code: "few_traces", message });
    }
    warnings
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
