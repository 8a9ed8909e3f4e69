//! What may be said of a column: that it is there, that it has a value, that its number lies in a range.
//!
//! Which statements are made must not depend on which side an event is on, else a test of them would be none: values
//! are taken for how many events have them at all, bounds of ranges at quantiles of both sides together.

use skein_event::limits::EXPLAIN_OF_COLUMN_MAX;
use skein_query::explain::{Cell, ColumnCounts, Condition, Counts, Tally};

use super::STRENGTH_MIN;
use super::difference::{cohen_h, signed_root};

/// Events that must meet a statement, and that must not: fewer can prove nothing among thousands of statements.
const ROWS_MIN: u64 = 5;

/// A single cell with this part of a column's numbers is a range of its own: a default, a timeout.
const HEAVY_CELL_PART: f64 = 0.05;

/// A statement with how different it looks as long as events count as independent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) condition: Condition,
    distance: f64,
    /// Cohen's h, as large as it will be: shares are exact.
    size: f64,
}

/// All statements that have enough events, and their number.
pub(super) fn candidates(counts: &Counts) -> (Vec<Candidate>, usize) {
    let mut found = Vec::new();
    for (place, column) in counts.columns.iter().enumerate() {
        let start = found.len();
        let mut add = |condition: Condition, tally: &Tally| {
            let rows = tally.all_rows();
            if rows >= ROWS_MIN && counts.total.all_rows().saturating_sub(rows) >= ROWS_MIN {
                let (distance, size) = distance(&counts.total, tally);
                found.push(Candidate { condition, distance, size });
            }
        };
        add(Condition::Exists { column: place }, &column.present);
        for (key, tally) in &column.values {
            add(Condition::Value { column: place, key: *key }, tally);
        }
        ranges(column, |from, to, tally| add(Condition::Range { column: place, from, to }, tally));
        let of_column = &mut found[start..];
        of_column.sort_by(nearest_last);
    }
    let tests = found.len();
    (found, tests)
}

/// The most different statements, none of a column but its first few. What is too small to be reported, however sure,
/// need not be looked at; its chance then counts as larger than all others, which can only make rates larger.
pub(super) fn choose(candidates: Vec<Candidate>, max: usize) -> Vec<Candidate> {
    let mut of_column = (usize::MAX, 0);
    let mut chosen = candidates;
    chosen.retain(|candidate| {
        if candidate.size.abs() < STRENGTH_MIN {
            return false;
        }
        let column = candidate.condition.column();
        of_column = if of_column.0 == column { (column, of_column.1 + 1) } else { (column, 0) };
        of_column.1 < EXPLAIN_OF_COLUMN_MAX && candidate.distance > 0.0
    });
    chosen.sort_by(nearest_last);
    chosen.truncate(max);
    chosen
}

fn nearest_last(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.distance.total_cmp(&a.distance).then(a.condition.cmp(&b.condition))
}

/// How far apart the sides are, and by how much.
fn distance(total: &Tally, tally: &Tally) -> (f64, f64) {
    let mut share = [0.0; 2];
    let mut effective = [0.0; 2];
    for side in 0..2 {
        share[side] = tally.weight[side] / total.weight[side];
        // Kish's effective number of events of unequal weights.
        effective[side] = total.weight[side].powi(2) / total.squares[side];
    }
    (signed_root(share, effective).abs(), cohen_h(share))
}

/// The ranges of a column's numbers.
fn ranges(column: &ColumnCounts, mut add: impl FnMut(Option<Cell>, Option<Cell>, &Tally)) {
    let cells = &column.cells;
    let [(first, _), .., _] = cells.as_slice() else { return };
    // Entry i has the events of the cells before the i-th.
    let mut below = Vec::with_capacity(cells.len() + 1);
    let mut sum = Tally::default();
    for (_, tally) in cells {
        below.push(sum);
        sum.merge(tally);
    }
    below.push(sum);
    let all = sum.all_rows();
    let part = |numerator: u64, denominator: u64| {
        let wanted = all.saturating_mul(numerator) / denominator;
        // The cell that the quantile lies in; the events below it are at most so many.
        below.partition_point(|tally| tally.all_rows() <= wanted).saturating_sub(1)
    };
    let mut edges: Vec<usize> = (1..16).map(|step| part(step, 16)).collect();
    for power in 5..=12 {
        let denominator = 1 << power;
        edges.extend([part(1, denominator), part(denominator - 1, denominator)]);
    }
    edges.retain(|edge| *edge > 0 && *edge < cells.len());
    edges.sort_unstable();
    edges.dedup();
    for &edge in &edges {
        let at = cells[edge].0;
        add(None, Some(at), &below[edge]);
        add(Some(at), None, &difference(&sum, &below[edge]));
    }
    let mut bounds: Vec<usize> = (0..=8).map(|step| part(step, 8)).collect();
    bounds.dedup();
    for width in [1, 2] {
        for pair in bounds.windows(width + 1) {
            let (from, to) = (pair[0], pair[width]);
            if from > 0 && to < cells.len() && from < to {
                let tally = difference(&below[to], &below[from]);
                add(Some(cells[from].0), Some(cells[to].0), &tally);
            }
        }
    }
    for (cell, tally) in cells {
        #[expect(clippy::cast_precision_loss, reason = "a part of a count")]
        let heavy = tally.all_rows() as f64 >= all as f64 * HEAVY_CELL_PART;
        if heavy && cell != first {
            add(Some(*cell), Some(cell.above()), tally);
        }
    }
}

fn difference(all: &Tally, some: &Tally) -> Tally {
    let mut rest = *all;
    for side in 0..2 {
        rest.rows[side] = rest.rows[side].saturating_sub(some.rows[side]);
        rest.weight[side] = (rest.weight[side] - some.weight[side]).max(0.0);
        rest.squares[side] = (rest.squares[side] - some.squares[side]).max(0.0);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_at_quantiles_of_both_sides_together() {
        let mut cells = Vec::new();
        for number in 1..=100_u32 {
            let mut tally = Tally::default();
            for event in 0..10 {
                tally.add(usize::from(event > number % 3), 1.0);
            }
            cells.push((Cell::of_finite(f64::from(number)), tally));
        }
        let mut counts = Counts::default();
        cells.iter().for_each(|(_, tally)| counts.total.merge(tally));
        let column = |cells: &[(Cell, Tally)]| ColumnCounts {
            name: "n".into(),
            present: counts.total,
            values: Vec::new(),
            cells: cells.to_vec(),
            truncated: false,
        };
        let bounds = |cells: &[(Cell, Tally)]| {
            let mut found = Vec::new();
            ranges(&column(cells), |from, to, tally| {
                found.push((from.map(Cell::low), to.map(Cell::low), tally.all_rows()));
            });
            found
        };
        let before = bounds(&cells);
        assert!(before.contains(&(Some(51.0), None, 500)), "{before:?}");
        assert!(before.contains(&(None, Some(26.0), 250)));
        assert!(before.contains(&(Some(13.0), Some(26.0), 130)));
        // Other sides, same ranges.
        for (_, tally) in &mut cells {
            *tally = Tally { rows: [tally.rows[1], tally.rows[0]], ..*tally };
        }
        let after = bounds(&cells);
        assert_eq!(before, after);
    }
}
