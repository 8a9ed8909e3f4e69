//! What a state knows of the events that were drawn by chance: nothing at all while there are none, which is what most
//! queries see.

use super::draw::Draw;
use super::interval::{self, Estimate};
use super::signed::{Contributions, Signed};
use super::singles::Singles;
use super::woodruff::DrawnValues;

/// Drawn events of one cell. What stands for itself is not here.
#[derive(Clone, Debug, Default)]
pub(super) struct Drawn {
    /// An event came with no probability that is known.
    pub(super) unknown: bool,
    /// Contributions by trace.
    pub(super) signed: Signed,
    /// Weighted sum of the values, and of none but the weights.
    pub(super) value: f64,
    /// See there.
    pub(super) count: f64,
    /// Of COUNT_DISTINCT.
    pub(super) singles: Option<Box<Singles>>,
    /// Of percentiles.
    pub(super) values: Option<Box<DrawnValues>>,
}

impl Drawn {
    /// Adds an event with a value; only of a drawn one anything is kept.
    #[inline]
    pub(super) fn add(&mut self, draw: Draw, value: f64) {
        match draw {
            Draw::Certain => {}
            Draw::Unknown { .. } => self.unknown = true,
            Draw::Chance { weight, unit } => {
                self.signed.add(unit, weight, value);
                self.value += weight * value;
                self.count += weight;
            }
        }
    }

    /// Adds what another has, as if it came later.
    pub(super) fn merge(&mut self, other: &Drawn) {
        self.unknown |= other.unknown;
        self.signed.merge(&other.signed);
        self.value += other.value;
        self.count += other.count;
        match (&mut self.singles, &other.singles) {
            (Some(singles), Some(more)) => singles.merge(more),
            (none @ None, Some(more)) => *none = Some(more.clone()),
            (_, None) => {}
        }
        match (&mut self.values, &other.values) {
            (Some(values), Some(more)) => values.merge(more),
            (none @ None, Some(more)) => *none = Some(more.clone()),
            (_, None) => {}
        }
    }

    /// What traces contribute to the sum of values. How many values there are may hide how heavy the tail of these is, so
    /// that what is left of them without their mean is looked at, too.
    pub(super) fn sum_contributions(&self) -> Contributions {
        let mut sum = self.signed.contributions(1.0, 0.0);
        let values = self.signed.contributions(1.0, -self.value / self.count).spread();
        let are_equal = values.variance <= sum.spread().variance * 1e-18;
        sum.is_light = are_equal || interval::is_light(values);
        sum
    }

    /// Kept traces that were drawn.
    pub(super) fn units(&self) -> u64 {
        self.signed.units()
    }

    /// The interval of a number of which `certain` stands for itself, given what units contribute to it.
    pub(super) fn interval(
        &self,
        value: f64,
        certain: f64,
        contributions: &Contributions,
    ) -> Option<(f64, f64)> {
        if self.unknown {
            return None;
        }
        interval::of_estimate(Estimate { value, certain, spread: contributions.spread() })
    }

    /// Bytes on the heap, about.
    pub(super) fn heap_bytes(&self) -> usize {
        let singles = self.singles.as_ref().map_or(0, |singles| singles.heap_bytes() + size_of::<Singles>());
        let values = self.values.as_ref().map_or(0, |values| values.heap_bytes() + size_of::<DrawnValues>());
        size_of::<Drawn>() + self.signed.heap_bytes() + singles + values
    }
}
