//! The states of aggregates, shared by every engine so that their answers agree (SEMANTICS.md, "Numbers").
//!
//! A state takes weighted values, merges with another of its kind, and finishes as a cell. Merging in a fixed
//! order gives the same bits; an engine that merges its parts in the order of the snapshot therefore answers
//! the same plan on the same snapshot with the same bytes.
//!
//! What is *not* decided here is which values take part: that is the engine's reading of the plan.

pub mod distinct;
pub mod draw;
mod drawn;
pub mod histogram;
pub mod interval;
pub mod quantile;
pub mod signed;
mod singles;
pub mod sum;
mod woodruff;

use std::sync::Arc;

use crate::number::Number;
use crate::plan::Operation;
use crate::result::{Cell, CellValue, Stats};

pub use distinct::Hashes;
pub use draw::Draw;
pub use histogram::{Extent, Histogram, histogram_edges};
pub use quantile::{EXACT_ROWS_MAX, Quantiles};
pub use signed::Contributions;
pub use sum::{Sum, WeightSum};

use drawn::Drawn;
use woodruff::DrawnValues;

/// The state of one aggregate of one group.
#[derive(Clone, Debug)]
pub struct State {
    kind: Kind,
    /// Of events that do not stand for themselves; nothing while there are none.
    drawn: Option<Box<Drawn>>,
}

#[derive(Clone, Debug)]
enum Kind {
    Count(WeightSum),
    Distinct(Hashes),
    Sum(Sum),
    Avg { sum: Sum, weight: WeightSum },
    Min(Option<Number>),
    Max(Option<Number>),
    Quantile(u16, Quantiles),
    Extent(Extent),
    Histogram(Histogram),
}

/// What [`State::finish`] has to say beside the cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Remarks {
    /// An integer sum did not fit i64 and became a double.
    pub overflowed: bool,
}

impl State {
    /// The empty state of an operation. `exact`: percentiles keep every value
    /// ([`EXACT_ROWS_MAX`]) instead of a sketch.
    pub fn new(operation: Operation, exact: bool) -> State {
        let kind = match operation.of_interval().unwrap_or(operation) {
            Operation::Count => Kind::Count(WeightSum::default()),
            Operation::CountDistinct => Kind::Distinct(Hashes::default()),
            Operation::Sum => Kind::Sum(Sum::default()),
            Operation::Avg => Kind::Avg { sum: Sum::default(), weight: WeightSum::default() },
            Operation::Min => Kind::Min(None),
            Operation::Max => Kind::Max(None),
            Operation::Percentile(percentile) => Kind::Quantile(percentile.0, Quantiles::new(exact)),
            Operation::Heatmap => Kind::Extent(Extent::default()),
            // Named above by what is computed of each bucket.
            Operation::RateAvg | Operation::RateSum | Operation::RateMax => Kind::Sum(Sum::default()),
        };
        State { kind, drawn: None }
    }

    /// The empty histogram of a HEATMAP whose edges are known: for the second pass.
    pub fn histogram(edges: Arc<[f64]>) -> State {
        State { kind: Kind::Histogram(Histogram::new(edges)), drawn: None }
    }

    /// A COUNT of so many events that stand for themselves.
    pub fn of_count(count: u64) -> State {
        State { kind: Kind::Count(WeightSum::of_count(count)), drawn: None }
    }

    /// An event that counts: for COUNT only.
    pub fn add_event(&mut self, draw: impl Into<Draw>) {
        let draw = draw.into();
        self.note(draw, 0.0);
        if let Kind::Count(count) = &mut self.kind {
            count.add(draw.weight());
        }
    }

    /// The hash of a value's canonical text: for COUNT_DISTINCT only.
    ///
    /// The hash is 64 bits: among n different values the chance that any two share one is about n²/2⁶⁵,
    /// 3·10⁻⁸ for a million.
    pub fn add_hash(&mut self, hash: u64, draw: impl Into<Draw>) {
        let draw = draw.into();
        let drawn = self.note(draw, 0.0);
        if let (Some(drawn), Draw::Chance { weight, unit }) = (drawn, draw) {
            drawn.singles.get_or_insert_default().add(hash, unit, weight);
        } else if let Kind::Distinct(hashes) = &mut self.kind {
            hashes.add(hash);
        }
    }

    /// A number: for every numeric operation.
    pub fn add_number(&mut self, number: Number, draw: impl Into<Draw>) {
        let draw = draw.into();
        let exact = match &self.kind {
            Kind::Quantile(_, quantiles) => Some(!quantiles.is_sketch()),
            _ => None,
        };
        let drawn = self.note(draw, number.to_f64());
        let weight = draw.weight();
        if let (Some(drawn), Some(exact), Draw::Chance { unit, .. }) = (drawn, exact, draw) {
            let values = drawn.values.get_or_insert_with(|| Box::new(DrawnValues::new(exact)));
            values.add(number.to_f64(), weight, unit);
        }
        match &mut self.kind {
            Kind::Sum(sum) => sum.add(number, weight),
            Kind::Avg { sum, weight: weights } => {
                sum.add(number, weight);
                weights.add(weight);
            }
            Kind::Min(least) => keep(least, number, |new, old| new.compare(old).is_some_and(|o| o.is_lt())),
            Kind::Max(most) => keep(most, number, |new, old| new.compare(old).is_some_and(|o| o.is_gt())),
            Kind::Quantile(_, quantiles) => quantiles.add(number.to_f64(), weight),
            Kind::Extent(extent) => extent.add(number.to_f64()),
            Kind::Histogram(histogram) => histogram.add(number.to_f64(), weight),
            Kind::Count(_) | Kind::Distinct(_) => {}
        }
    }

    /// Numbers that stand for themselves, as [`State::add_plain`] adds them one by one.
    #[inline]
    pub fn add_each(&mut self, numbers: impl Iterator<Item = Number>) {
        match &mut self.kind {
            Kind::Sum(sum) => numbers.for_each(|number| sum.add_plain(number)),
            Kind::Avg { sum, weight } => numbers.for_each(|number| {
                sum.add_plain(number);
                weight.add_one();
            }),
            Kind::Quantile(_, quantiles) => quantiles.add_each(numbers.map(Number::to_f64)),
            Kind::Extent(extent) => numbers.for_each(|number| extent.add(number.to_f64())),
            _ => numbers.for_each(|number| self.add_plain(number)),
        }
    }

    /// A number that stands for itself: for every numeric operation.
    #[inline]
    pub fn add_plain(&mut self, number: Number) {
        match &mut self.kind {
            Kind::Sum(sum) => sum.add_plain(number),
            Kind::Avg { sum, weight: weights } => {
                sum.add_plain(number);
                weights.add_one();
            }
            Kind::Quantile(_, quantiles) => quantiles.add(number.to_f64(), 1.0),
            Kind::Extent(extent) => extent.add(number.to_f64()),
            Kind::Histogram(histogram) => histogram.add(number.to_f64(), 1.0),
            _ => self.add_number(number, Draw::Certain),
        }
    }

    /// Whether it is a COUNT of no events.
    pub fn counts_nothing(&self) -> bool {
        matches!(&self.kind, Kind::Count(count) if count.is_zero())
    }

    /// Whether a sum of integers fits no integer.
    pub fn overflows(&self) -> bool {
        matches!(&self.kind, Kind::Sum(sum) if sum.overflows())
    }

    /// Takes over what another state of the same operation has seen; the other's values count as later ones.
    pub fn merge(&mut self, other: &State) {
        match (&mut self.drawn, &other.drawn) {
            (Some(drawn), Some(more)) => drawn.merge(more),
            (none @ None, Some(more)) => *none = Some(more.clone()),
            (_, None) => {}
        }
        match (&mut self.kind, &other.kind) {
            (Kind::Count(count), Kind::Count(more)) => count.merge(more),
            (Kind::Distinct(hashes), Kind::Distinct(more)) => hashes.merge(more),
            (Kind::Sum(sum), Kind::Sum(more)) => sum.merge(more),
            (Kind::Avg { sum, weight }, Kind::Avg { sum: more, weight: more_weight }) => {
                sum.merge(more);
                weight.merge(more_weight);
            }
            (Kind::Min(_), Kind::Min(Some(number))) | (Kind::Max(_), Kind::Max(Some(number))) => {
                self.add_number(*number, Draw::Certain);
            }
            (Kind::Quantile(_, quantiles), Kind::Quantile(_, more)) => quantiles.merge(more),
            (Kind::Extent(extent), Kind::Extent(more)) => extent.merge(more),
            (Kind::Histogram(histogram), Kind::Histogram(more)) => histogram.merge(more),
            _ => {}
        }
    }

    /// Gives up exact percentiles: the query has matched [`EXACT_ROWS_MAX`] rows.
    pub fn make_sketch(&mut self) {
        if let Kind::Quantile(_, quantiles) = &mut self.kind {
            quantiles.make_sketch();
        }
        if let Some(values) = self.drawn.as_mut().and_then(|drawn| drawn.values.as_mut()) {
            values.make_ranges();
        }
    }

    /// Bytes on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        let of_drawn = self.drawn.as_ref().map_or(0, |drawn| drawn.heap_bytes());
        of_drawn
            + match &self.kind {
                Kind::Distinct(hashes) => hashes.heap_bytes(),
                Kind::Quantile(_, quantiles) => quantiles.heap_bytes(),
                Kind::Histogram(_) => (histogram::BARS_MAX + 1) * size_of::<f64>(),
                _ => 0,
            }
    }

    /// What a HEATMAP has seen.
    pub fn extent(&self) -> Option<Extent> {
        match &self.kind {
            Kind::Extent(extent) => Some(*extent),
            _ => None,
        }
    }

    /// The cell of another percentile of the same values; of any other operation its own.
    pub fn finish_as(&self, operation: Operation) -> (Cell, Remarks) {
        match (&self.kind, operation) {
            (Kind::Quantile(_, quantiles), Operation::Percentile(percentile)) => {
                self.finish_percentile(percentile.0, quantiles)
            }
            _ => self.finish(),
        }
    }

    fn finish_percentile(&self, thousandths: u16, quantiles: &Quantiles) -> (Cell, Remarks) {
        let number = quantiles.quantile(thousandths);
        let value = number.map_or(CellValue::Missing, CellValue::F64);
        let error = if quantiles.is_sketch() { quantile::RELATIVE_ERROR } else { 0.0 };
        let interval = match &self.drawn {
            None => number.map(|number| (number, number)),
            Some(drawn) => {
                number.and_then(|number| percentile_interval(drawn, quantiles, thousandths, number))
            }
        };
        let widened = interval.map(|(low, high)| (low - low.abs() * error, high + high.abs() * error));
        let stats = self.stats(&value, widened);
        let exact = stats.exact && !quantiles.is_sketch();
        (Cell { value, stats: Stats { exact, ..stats } }, Remarks::default())
    }

    /// The cell, and what there is to say about it. A HEATMAP finishes as missing: its counts come from a
    /// second pass, when its edges are known.
    pub fn finish(&self) -> (Cell, Remarks) {
        let mut remarks = Remarks::default();
        let value = match &self.kind {
            Kind::Count(count) => count.finish(),
            Kind::Distinct(hashes) => {
                CellValue::I64(i64::try_from(self.distinct(hashes)).unwrap_or(i64::MAX))
            }
            Kind::Sum(sum) => {
                remarks.overflowed = sum.overflows();
                sum.finish()
            }
            Kind::Avg { sum, weight } => match (sum.is_empty(), weight.to_f64()) {
                (false, weight) if weight > 0.0 => CellValue::F64(sum.to_f64() / weight),
                _ => CellValue::Missing,
            },
            Kind::Min(number) | Kind::Max(number) => number.map_or(CellValue::Missing, number_cell),
            Kind::Quantile(thousandths, quantiles) => return self.finish_percentile(*thousandths, quantiles),
            Kind::Extent(_) => CellValue::Missing,
            Kind::Histogram(histogram) => histogram.finish(),
        };
        let interval = match &self.drawn {
            None => value.number().map(|number| (number, number)),
            Some(drawn) => value.number().and_then(|number| self.interval(drawn, number)),
        };
        let stats = self.stats(&value, interval);
        (Cell { value, stats }, remarks)
    }

    fn distinct(&self, certain: &Hashes) -> usize {
        let singles = self.drawn.as_ref().and_then(|drawn| drawn.singles.as_ref());
        singles.map_or_else(|| certain.len(), |singles| singles.len_with(certain))
    }

    /// The interval of a value that drawn events have a part in.
    fn interval(&self, drawn: &Drawn, value: f64) -> Option<(f64, f64)> {
        match &self.kind {
            Kind::Count(_) => drawn.interval(value, value - drawn.count, &self.contributions()?),
            Kind::Sum(_) => drawn.interval(value, value - drawn.value, &self.contributions()?),
            Kind::Avg { .. } => drawn.interval(value, 0.0, &self.contributions()?),
            Kind::Distinct(certain) => {
                let is_sure = !drawn.unknown && drawn.units() >= interval::TRACES_MIN;
                let singles = drawn.singles.as_ref().filter(|_| is_sure)?;
                Some((value, value + singles.unseen_max(certain)))
            }
            // What was not kept may lie beyond; a histogram is no number.
            Kind::Min(_) | Kind::Max(_) | Kind::Quantile(..) | Kind::Extent(_) | Kind::Histogram(_) => None,
        }
    }

    /// What traces contribute to the value, or to its linear part; nothing where that is not known.
    pub fn contributions(&self) -> Option<Contributions> {
        let Some(drawn) = &self.drawn else { return Some(Contributions::sum(std::iter::empty())) };
        if drawn.unknown {
            return None;
        }
        match &self.kind {
            Kind::Count(_) => Some(drawn.signed.contributions(0.0, 1.0)),
            Kind::Sum(_) => Some(drawn.sum_contributions()),
            Kind::Avg { sum, weight } => {
                let weight = weight.to_f64();
                Some(drawn.signed.contributions(1.0 / weight, -sum.to_f64() / weight / weight))
            }
            _ => None,
        }
    }

    /// How sure a value is, given its interval if there is one.
    fn stats(&self, value: &CellValue, interval: Option<(f64, f64)>) -> Stats {
        let interval = interval.filter(|(low, high)| low.is_finite() && high.is_finite());
        let exact = self.drawn.is_none();
        Stats {
            lo95: interval.map(|(low, _)| low),
            hi95: interval.map(|(_, high)| high),
            exact,
            n_traces: self.drawn.as_ref().map(|drawn| drawn.units()),
            reliable: exact || interval.is_some() && *value != CellValue::Missing,
        }
    }

    /// Notes how an event was kept, where it does not stand for itself.
    #[inline]
    fn note(&mut self, draw: Draw, value: f64) -> Option<&mut Drawn> {
        if draw == Draw::Certain {
            return None;
        }
        let drawn = self.drawn.get_or_insert_default();
        drawn.add(draw, value);
        Some(drawn)
    }
}

/// The interval of a percentile that drawn events have a part in.
fn percentile_interval(
    drawn: &Drawn,
    quantiles: &Quantiles,
    thousandths: u16,
    value: f64,
) -> Option<(f64, f64)> {
    let values = drawn.values.as_ref().filter(|_| !drawn.unknown)?;
    let share = f64::from(thousandths) / 1_000.0;
    let within = |start, end| quantiles.share_within(value, (start, end));
    let (spread, beyond) = values.spread(value, share, drawn.units(), within);
    let (low, high) = interval::of_share(share, quantiles.weight(), spread, beyond)?;
    let [low, high] = quantiles.at_shares([low, high])?;
    Some((low.min(value), high.max(value)))
}

fn number_cell(number: Number) -> CellValue {
    match number {
        Number::I64(value) => CellValue::I64(value),
        // −0 = 0.
        Number::F64(value) => CellValue::F64(value + 0.0),
    }
}

/// Keeps the better number; NaN is left out. Of equal numbers the first stays.
fn keep(kept: &mut Option<Number>, number: Number, better: impl Fn(Number, Number) -> bool) {
    if !number.is_nan() && kept.is_none_or(|old| better(number, old)) {
        *kept = Some(number);
    }
}

#[cfg(test)]
mod tests;
