//! Commands that look at rows in their order, or at all of them: running sums, values of rows before, gaps that are filled,
//! totals, outliers, sessions.
//!
//! They work on the rows of the answer, each of which counts once, whatever it stands for: a running sum of sampled events is
//! that of the events that are shown.

use std::collections::{HashMap, HashSet, VecDeque};

use skein_event::limits::INSIGHTS_BINS_MAX;

use super::datum::Datum;
use super::grouping::sort_groups;
use super::period::Period;
use super::run::Row;
use crate::number::Number;
use crate::plan::TimeRange;

/// Something that is done with rows one after the other.
#[derive(Clone, PartialEq, Debug)]
pub enum Running {
    /// The sum so far; a row without a number has the one before.
    Sum {
        /// Of which slot.
        of: usize,
        /// Into which.
        into: usize,
    },
    /// Values of rows before.
    Lag {
        /// Of which slot.
        of: usize,
        /// How many rows before, into which slot.
        into: Vec<(usize, usize)>,
    },
    /// A missing value is that of the row before: from slots into slots.
    FillDown(Vec<(usize, usize)>),
    /// Sums of a row, and of all of them in a last one.
    Totals {
        /// Of which slots.
        of: Vec<usize>,
        /// Into which, if rows get one.
        into: Option<usize>,
        /// Whether there is a last row.
        last: bool,
    },
}

/// Something that is done with all rows.
#[derive(Clone, PartialEq, Debug)]
pub enum Whole {
    /// A row for each bin that has none, for each combination of the other keys.
    FillBins {
        /// The slot of the bin.
        bin: usize,
        /// How many slots are keys; they are the first.
        keys: usize,
        /// The length of a bin.
        period: Period,
        /// Bins of which time.
        range: TimeRange,
        /// What new rows hold.
        values: Vec<(usize, Datum)>,
    },
    /// What lies far beyond the quartiles.
    Outliers {
        /// From slots into slots.
        of: Vec<(usize, usize)>,
        /// How many distances of the quartiles beyond them.
        factor: f64,
        /// Also what is too small.
        lower: bool,
        /// Rows go; otherwise values become the bound.
        removes: bool,
        /// Where it is said which rows they are.
        mark: Option<usize>,
    },
    /// Events of equal keys without a long pause between them.
    Sessions {
        /// Slots.
        keys: Vec<usize>,
        /// The longest time between two events, nanoseconds.
        gap_ns: i64,
        /// The slot of the session's name.
        into: usize,
    },
}

/// A number and no time: what sums are made of.
fn summand(value: &Datum) -> Option<Number> {
    match value {
        Datum::Time(_) | Datum::Bool(_) => None,
        other => other.as_number().filter(|number| number.to_f64().is_finite()),
    }
}

/// A sum that stays whole as long as it can.
#[derive(Clone, Copy, Debug, Default)]
struct Sum(Option<Number>);

impl Sum {
    fn add(&mut self, value: &Datum) {
        let Some(number) = summand(value) else { return };
        self.0 = Some(match (self.0, number) {
            (None, number) => number,
            (Some(Number::I64(a)), Number::I64(b)) => match a.checked_add(b) {
                Some(sum) => Number::I64(sum),
                None => Number::F64(Number::I64(a).to_f64() + number.to_f64()),
            },
            (Some(sum), number) => Number::F64(sum.to_f64() + number.to_f64()),
        });
    }

    fn value(self) -> Datum {
        match self.0 {
            None => Datum::Missing,
            Some(Number::I64(sum)) => Datum::I64(sum),
            Some(Number::F64(sum)) => Datum::number(sum),
        }
    }
}

/// A running stage with what it remembers.
#[derive(Debug)]
pub(super) struct Runner<'p> {
    of: &'p Running,
    sums: Vec<Sum>,
    before: VecDeque<Datum>,
    bytes: usize,
}

impl<'p> Runner<'p> {
    pub(super) fn new(of: &'p Running) -> Runner<'p> {
        let (sums, before) = match of {
            Running::Sum { .. } => (1, 0),
            Running::Lag { .. } => (0, 0),
            Running::FillDown(pairs) => (0, pairs.len()),
            Running::Totals { of, into, .. } => (of.len() + usize::from(into.is_some()), 0),
        };
        Runner { of, sums: vec![Sum::default(); sums], before: vec![Datum::Missing; before].into(), bytes: 0 }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn take(&mut self, row: &mut Row) {
        match self.of {
            Running::Sum { of, into } => {
                let Some(sum) = self.sums.first_mut() else { return };
                sum.add(row.get(*of));
                row.set(*into, sum.value());
            }
            Running::Lag { of, into } => {
                let now = row.get(*of).clone();
                for (rows, slot) in into {
                    let value = rows.checked_sub(1).and_then(|place| self.before.get(place));
                    row.set(*slot, value.cloned().unwrap_or(Datum::Missing));
                }
                self.bytes += now.heap_bytes() + size_of::<Datum>();
                self.before.push_front(now);
                let kept = into.iter().map(|(rows, _)| *rows).max().unwrap_or_default();
                while self.before.len() > kept {
                    let gone = self.before.pop_back();
                    self.bytes -= gone.map_or(0, |gone| gone.heap_bytes() + size_of::<Datum>());
                }
            }
            Running::FillDown(pairs) => {
                for ((of, into), before) in pairs.iter().zip(&mut self.before) {
                    let now = row.get(*of);
                    if !now.is_missing() {
                        self.bytes = (self.bytes + now.heap_bytes()).saturating_sub(before.heap_bytes());
                        *before = now.clone();
                    }
                    row.set(*into, before.clone());
                }
            }
            Running::Totals { of, into, .. } => {
                let mut of_row = Sum::default();
                for (slot, sum) in of.iter().zip(&mut self.sums) {
                    of_row.add(row.get(*slot));
                    sum.add(row.get(*slot));
                }
                if let (Some(into), Some(total)) = (into, self.sums.get_mut(of.len())) {
                    total.add(&of_row.value());
                    row.set(*into, of_row.value());
                }
            }
        }
    }

    /// The row behind all others.
    pub(super) fn last(&mut self) -> Option<Row> {
        let Running::Totals { of, into, last: true } = self.of else { return None };
        let mut row = Row::made(Vec::new());
        for (slot, sum) in of.iter().chain(into).zip(&self.sums) {
            row.set(*slot, sum.value());
        }
        Some(row)
    }
}

impl Whole {
    /// About how many bytes the rows take that are made of some.
    pub(super) fn memory_bytes(&self, rows: &[Row]) -> usize {
        let Whole::FillBins { keys, bin, values, .. } = self else { return 0 };
        let others: HashSet<Others> = rows.iter().map(|row| others(row, *keys, *bin)).collect();
        let width = size_of::<Row>() + (keys + values.len() + 1) * 2 * size_of::<Datum>();
        others.len().max(1) * INSIGHTS_BINS_MAX.min(self.bins().len()) * width
    }

    /// The bins of the range.
    fn bins(&self) -> Vec<i64> {
        let Whole::FillBins { period, range, .. } = self else { return Vec::new() };
        bins(*period, *range)
    }

    pub(super) fn apply(&self, mut rows: Vec<Row>) -> Vec<Row> {
        match self {
            Whole::FillBins { bin, keys, values, .. } => {
                self.fill(&mut rows, *bin, *keys, values);
                sort_groups(&mut rows, *keys);
            }
            Whole::Outliers { of, factor, lower, removes, mark } => {
                let bounds: Vec<Option<(f64, f64)>> =
                    of.iter().map(|(slot, _)| bounds(&rows, *slot, *factor, *lower)).collect();
                rows.retain_mut(|row| {
                    let mut is_one = false;
                    for ((of, into), bounds) in of.iter().zip(&bounds) {
                        let value = row.get(*of).clone();
                        let outside = summand(&value).map(Number::to_f64).zip(*bounds).and_then(
                            |(number, (from, to))| {
                                if number > to { Some(to) } else { (number < from).then_some(from) }
                            },
                        );
                        is_one |= outside.is_some();
                        row.set(*into, outside.map_or(value, Datum::number));
                    }
                    if let Some(mark) = mark {
                        row.set(*mark, Datum::from(is_one));
                    }
                    !(is_one && *removes)
                });
            }
            Whole::Sessions { keys, gap_ns, into } => sessions(&mut rows, keys, *gap_ns, *into),
        }
        rows
    }

    fn fill(&self, rows: &mut Vec<Row>, bin: usize, keys: usize, values: &[(usize, Datum)]) {
        let mut there: HashMap<Others, (Vec<Datum>, HashSet<i64>)> = HashMap::new();
        for row in rows.iter() {
            let (_, bins) = there
                .entry(others(row, keys, bin))
                .or_insert_with(|| ((0..keys).map(|slot| row.get(slot).clone()).collect(), HashSet::new()));
            bins.extend(row.get(bin).as_time());
        }
        if keys == 1 && there.is_empty() {
            there.insert(Vec::new(), (vec![Datum::Missing], HashSet::new()));
        }
        let all = self.bins();
        for (of_keys, known) in there.into_values() {
            for time_ns in all.iter().filter(|time_ns| !known.contains(time_ns)) {
                let mut row = Row::made(of_keys.clone());
                row.set(bin, Datum::Time(*time_ns));
                values.iter().for_each(|(slot, value)| row.set(*slot, value.clone()));
                rows.push(row);
            }
        }
    }
}

/// The beginnings of the bins of a range, at most one more than there may be.
pub(super) fn bins(period: Period, range: TimeRange) -> Vec<i64> {
    let mut found = Vec::new();
    let mut next = period.floor(range.start_ns);
    while let Some(time_ns) =
        next.filter(|time_ns| *time_ns < range.end_ns && found.len() <= INSIGHTS_BINS_MAX)
    {
        found.push(time_ns);
        next = time_ns.checked_add(1).and_then(|after| period.ceil(after));
    }
    found
}

/// The texts of the keys of a row but for its bin.
type Others = Vec<Option<String>>;

fn others(row: &Row, keys: usize, bin: usize) -> Others {
    let of_key = |slot: usize| row.get(slot).key().map(String::from);
    (0..keys).filter(|slot| *slot != bin).map(of_key).collect()
}

/// The least and the largest value that is no outlier: so many distances of the quartiles beyond them.
fn bounds(rows: &[Row], slot: usize, factor: f64, lower: bool) -> Option<(f64, f64)> {
    let mut numbers: Vec<f64> =
        rows.iter().filter_map(|row| summand(row.get(slot)).map(Number::to_f64)).collect();
    numbers.sort_by(f64::total_cmp);
    // The smallest value that so many quarters of the values do not exceed.
    let quartile = |quarters: usize| numbers.get((numbers.len() * quarters).div_ceil(4).checked_sub(1)?);
    let (first, third) = (quartile(1)?, quartile(3)?);
    let reach = factor * (third - first);
    Some((if lower { first - reach } else { f64::NEG_INFINITY }, third + reach))
}

fn sessions(rows: &mut [Row], keys: &[usize], gap_ns: i64, into: usize) {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|place| (rows[*place].time_ns, rows[*place].id));
    let mut last: HashMap<Vec<String>, (i64, u64)> = HashMap::new();
    for place in order {
        let row = &mut rows[place];
        let key: Option<Vec<String>> =
            keys.iter().map(|slot| row.get(*slot).key().map(String::from)).collect();
        // Who it is of nobody knows.
        let Some(key) = key else { continue };
        let name = key.join("/");
        let (before, number) = last.entry(key).or_insert((row.time_ns, 1));
        if row.time_ns.saturating_sub(*before) > gap_ns {
            *number += 1;
        }
        *before = row.time_ns;
        let name = format!("{name}#{number}");
        row.set(into, Datum::from(name));
    }
}
