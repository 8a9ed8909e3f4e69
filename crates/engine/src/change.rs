//! RATE_AVG, RATE_SUM, RATE_MAX: from one bucket of time to the next (docs/reference/over-time.md).
//!
//! A pass computes what is in each bucket; here it becomes the difference to the bucket before. Results are the means of
//! these; TOTAL and OTHER have no buckets and so no change.

use std::collections::HashMap;

use skein_query::number::Number;
use skein_query::plan::GroupPlan;
use skein_query::result::{Cell, CellValue, SeriesRow, Stats};

use crate::finish::{Ranked, cell_number};

/// Makes changes of the cells of all such calculations. The series is in the order of time.
pub(crate) fn apply(plan: &GroupPlan, series: &mut [SeriesRow], ranked: &mut Ranked) {
    let Some(granularity_ns) = plan.granularity_ns else { return };
    for (place, calculation) in plan.calculations.iter().enumerate() {
        if calculation.operation.of_interval().is_some() {
            of_calculation(place, granularity_ns, series, ranked);
        }
    }
}

/// Takes the place of cells before there is a series.
pub(crate) fn forget(plan: &GroupPlan, ranked: &mut Ranked) {
    let rows = ranked.results.iter_mut().map(|row| &mut row.cells);
    for cells in rows.chain([&mut ranked.total]).chain(ranked.other.as_mut()) {
        for (cell, calculation) in cells.iter_mut().zip(&plan.calculations) {
            if calculation.operation.of_interval().is_some() {
                cell.value = CellValue::Missing;
            }
        }
    }
}

/// The changes of a group so far.
#[derive(Default)]
struct Changes {
    /// Of the last bucket.
    last: Option<(i64, Option<Number>, bool)>,
    sum: f64,
    count: u32,
    exact: bool,
}

fn of_calculation(place: usize, granularity_ns: i64, series: &mut [SeriesRow], ranked: &mut Ranked) {
    let mut by_group: HashMap<usize, Changes> = HashMap::new();
    for row in series {
        let Some(cell) = row.cells.get_mut(place) else { continue };
        let changes =
            by_group.entry(row.group).or_insert_with(|| Changes { exact: true, ..Changes::default() });
        let now = cell_number(&cell.value);
        let exact = cell.stats.exact;
        let before = changes.last.replace((row.time_ns, now, exact));
        let follows = |(time_ns, ..): &(i64, Option<Number>, bool)| {
            time_ns.saturating_add(granularity_ns) == row.time_ns
        };
        let change = match (before.filter(follows), now) {
            (Some((_, Some(before), exact_before)), Some(now)) => {
                cell.stats.exact &= exact_before;
                let change = now.minus(before);
                changes.sum += change.to_f64();
                changes.count += 1;
                changes.exact &= cell.stats.exact;
                Some(change)
            }
            _ => None,
        };
        *cell = shown(change, cell.stats);
    }
    for (group, row) in ranked.results.iter_mut().enumerate() {
        let Some(cell) = row.cells.get_mut(place) else { continue };
        let mean = by_group.get(&group).filter(|changes| changes.count > 0);
        let number = mean.map(|changes| Number::F64(changes.sum / f64::from(changes.count)));
        let exact = mean.is_none_or(|changes| changes.exact);
        *cell = shown(number, Stats { exact, ..cell.stats });
    }
}

/// A difference has no interval of its own kind: those of its two sides are not independent.
fn shown(number: Option<Number>, stats: Stats) -> Cell {
    let value = match number {
        Some(Number::I64(value)) => CellValue::I64(value),
        Some(Number::F64(value)) => CellValue::F64(value),
        None => CellValue::Missing,
    };
    let exact = stats.exact;
    Cell { value, stats: Stats { lo95: None, hi95: None, reliable: stats.reliable && exact, ..stats } }
}
