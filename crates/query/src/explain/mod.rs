//! What explaining is: two sets of events, and what may be counted about them, column by column.
//!
//! An engine counts ([`Passes`]); `skein-analysis` asks it and judges what the counts mean. Between the two go
//! [`Condition`]s: a value of a column, a range of its numbers, or that an event has the column at all. Which
//! events take part and which columns never explain anything is decided here, by the [`ExplainPlan`].
//!
//! What it refuses: to judge, and to know how events are stored.
//!
//! Reading order: [`ExplainPlan`], [`Condition`], [`Cell`], [`Passes`], `excluded`. A request for it is read by [`crate::spec::explain`].

mod cell;
mod excluded;

use std::sync::Arc;

use skein_event::value::Value;

use crate::error::QueryError;
use crate::plan::{Column, Combination, Comparison, Filter, FilterSet, Literal, Plan, Test, TimeRange};

pub use cell::Cell;
pub use excluded::Excluded;

/// Which events are explained, and against which others.
#[derive(Clone, PartialEq, Debug)]
pub struct ExplainPlan {
    /// The selection: its datasets, time and filters, without the rectangle.
    pub selection: Plan,
    /// Only the events in this rectangle of a heatmap.
    pub rect: Option<Rect>,
    /// Others to compare with. `None`: with a rectangle, the selection's other events; without one, the events of
    /// its datasets and time that its filters do not match.
    pub baseline: Option<Plan>,
    /// Only these columns; all when empty.
    pub columns: Vec<Column>,
    /// Findings at most.
    pub limit: usize,
}

/// A rectangle of a heatmap: `lo <= value < hi`, within a range of time.
#[derive(Clone, PartialEq, Debug)]
pub struct Rect {
    /// Whose value.
    pub column: Column,
    /// The least value.
    pub lo: f64,
    /// Beyond the largest value.
    pub hi: f64,
    /// Its time.
    pub time_range: TimeRange,
}

impl Rect {
    /// Its bounds of values as filters: a number is in it that passes both.
    pub fn filter(&self) -> FilterSet {
        let bound = |comparison, number| Filter {
            column: self.column.clone(),
            test: Test::Compare(comparison, Literal::F64(number)),
        };
        let filters = vec![bound(Comparison::GreaterOrEqual, self.lo), bound(Comparison::Less, self.hi)];
        FilterSet { combination: Combination::All, filters }
    }
}

/// The two sets of events; as an index, the place of their counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// What is explained.
    Selection = 0,
    /// What it is compared with.
    Baseline = 1,
}

/// Events of both sides.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Tally {
    /// Kept events.
    pub rows: [u64; 2],
    /// What they stand for: the sum of their sample rates.
    pub weight: [f64; 2],
    /// The sum of the squares of their sample rates.
    pub squares: [f64; 2],
}

impl Tally {
    /// Counts an event.
    pub fn add(&mut self, side: usize, weight: f64) {
        let side = side.min(1);
        self.rows[side] += 1;
        self.weight[side] += weight;
        self.squares[side] += weight * weight;
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: &Tally) {
        for side in 0..2 {
            self.rows[side] += other.rows[side];
            self.weight[side] += other.weight[side];
            self.squares[side] += other.squares[side];
        }
    }

    /// Kept events of both sides together.
    pub fn all_rows(&self) -> u64 {
        self.rows[0] + self.rows[1]
    }
}

/// What the first pass counted.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Counts {
    /// All events.
    pub total: Tally,
    /// The columns, by name; a [`Condition`] names them by their place here.
    pub columns: Vec<ColumnCounts>,
}

/// One column.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnCounts {
    /// Its name.
    pub name: Arc<str>,
    /// Events that have it.
    pub present: Tally,
    /// Values by the hash of their canonical text, in the order of the hashes.
    pub values: Vec<(u64, Tally)>,
    /// Finite numbers by cell, rising.
    pub cells: Vec<(Cell, Tally)>,
    /// Values were left out: there were more than are kept apart.
    pub truncated: bool,
}

/// What an event may meet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Condition {
    /// It has the column.
    Exists {
        /// Place of the column.
        column: usize,
    },
    /// Its value has this canonical text.
    Value {
        /// Place of the column.
        column: usize,
        /// Hash of the text.
        key: u64,
    },
    /// Its value is a number from the lower bound of `from` to below that of `to`.
    Range {
        /// Place of the column.
        column: usize,
        /// The first cell; `None`: no lower bound.
        from: Option<Cell>,
        /// One past the last cell; `None`: no upper bound.
        to: Option<Cell>,
    },
}

impl Condition {
    /// The place of its column.
    pub fn column(&self) -> usize {
        match self {
            Condition::Exists { column }
            | Condition::Value { column, .. }
            | Condition::Range { column, .. } => *column,
        }
    }
}

/// Places of sums by trace ([`Sums::places`]). A variance that is estimated from so many has a standard error of
/// √(2/4096), two in a hundred; with fewer than a hundred traces it is all but exact.
pub const CLUSTERS: usize = 4_096;

/// Events that meet a condition, exactly, and how they lie in traces.
///
/// Events of one trace are not independent, so that a variance is a sum over traces of squares. Each trace has a
/// place, drawn from a hash of its id, where the weights of its events are added. With few traces most have a place of
/// their own. With many a place has a random group of them: of whatever is linear in the events and adds up to
/// nothing over all of them, the squares of groups add up, in expectation, to the sum over traces.
#[derive(Clone, PartialEq, Debug)]
pub struct Sums {
    /// The events.
    pub tally: Tally,
    /// Weights by place, for each side.
    pub places: [Vec<f64>; 2],
}

impl Default for Sums {
    fn default() -> Sums {
        Sums { tally: Tally::default(), places: [vec![0.0; CLUSTERS], vec![0.0; CLUSTERS]] }
    }
}

impl Sums {
    /// Counts an event of a trace with a place.
    pub fn add(&mut self, side: usize, weight: f64, place: usize) {
        let side = side.min(1);
        self.tally.add(side, weight);
        if let Some(sum) = self.places[side].get_mut(place) {
            *sum += weight;
        }
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: &Sums) {
        self.tally.merge(&other.tally);
        for (sums, more) in self.places.iter_mut().zip(&other.places) {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
    }
}

/// All events, by their traces.
#[derive(Clone, PartialEq, Debug)]
pub struct Traces {
    /// The events.
    pub sums: Sums,
    /// Weights by place, each with the sign of its trace: of these the squares add up to the sum over traces of
    /// squares, whatever they add up to (Charikar, Chen, Farach-Colton, "Finding frequent items in data streams", 2002;
    /// Thorup and Zhang, 2004).
    pub signed: [Vec<f64>; 2],
    /// Events by place, for each side.
    pub rows: [Vec<u32>; 2],
}

impl Default for Traces {
    fn default() -> Traces {
        Traces {
            sums: Sums::default(),
            signed: [vec![0.0; CLUSTERS], vec![0.0; CLUSTERS]],
            rows: [vec![0; CLUSTERS], vec![0; CLUSTERS]],
        }
    }
}

impl Traces {
    /// Counts an event of a trace with a place and a sign of 1 or −1.
    pub fn add(&mut self, side: usize, weight: f64, (place, sign): (usize, f64)) {
        let side = side.min(1);
        self.sums.add(side, weight, place);
        if let (Some(sum), Some(rows)) = (self.signed[side].get_mut(place), self.rows[side].get_mut(place)) {
            *sum += sign * weight;
            *rows = rows.saturating_add(1);
        }
    }

    /// Traces of a side, about: exact for a few, at most [`CLUSTERS`].
    pub fn traces(&self, side: usize) -> f64 {
        let taken = self.rows[side.min(1)].iter().filter(|rows| **rows > 0).count();
        #[expect(clippy::cast_precision_loss, reason = "a count of places")]
        let taken = taken as f64;
        taken
    }
}

/// Place and sign of a trace by a hash of its id.
pub fn cluster(hash: u64) -> (usize, f64) {
    #[expect(clippy::cast_possible_truncation, reason = "the place is below 4,096")]
    let place = (hash % CLUSTERS as u64) as usize;
    (place, if hash >> 63 == 0 { 1.0 } else { -1.0 })
}

/// Sums by trace of all events and of those that meet each condition.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Clusters {
    /// All events.
    pub total: Traces,
    /// By condition.
    pub met: Vec<Sums>,
}

/// How conditions meet in the same events.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Overlaps {
    /// Number of conditions.
    pub conditions: usize,
    /// Weight of the events that meet both of two conditions, for each side: entry `a * conditions + b`.
    pub together: Vec<[f64; 2]>,
    /// The events that meet both conditions of each pair that was asked for.
    pub pairs: Vec<Sums>,
}

impl Overlaps {
    /// Weight of the events that meet both, for each side.
    pub fn both(&self, a: usize, b: usize) -> [f64; 2] {
        self.together.get(a * self.conditions + b).copied().unwrap_or_default()
    }
}

/// Counts over one snapshot: every call sees the same events.
pub trait Passes {
    /// Counts every column at once.
    ///
    /// POST: `total` and each `present` are exact; values and cells are, unless the column is `truncated`.
    fn counts(&mut self) -> Result<Counts, QueryError>;

    /// Counts the events that meet each of some conditions, with their traces.
    ///
    /// POST: the tallies are exact, by the text of values and not by their hashes.
    fn clusters(&mut self, conditions: &[Condition]) -> Result<Clusters, QueryError>;

    /// Counts how at most [`EXPLAIN_OVERLAPS_MAX`](skein_event::limits::EXPLAIN_OVERLAPS_MAX) conditions meet, and some pairs of them with their traces.
    ///
    /// POST: exact, as [`Passes::clusters`].
    fn overlaps(
        &mut self,
        conditions: &[Condition],
        pairs: &[(usize, usize)],
    ) -> Result<Overlaps, QueryError>;

    /// A value of a column by the hash of its text.
    fn value(&mut self, column: usize, key: u64) -> Result<Option<Value>, QueryError>;
}

/// Asks for counts and makes of them what it will.
pub type Analyst<'a> = dyn FnMut(&mut dyn Passes) -> Result<(), QueryError> + 'a;
