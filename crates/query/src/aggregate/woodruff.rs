//! What drawn units contribute to the share of the weight at or below a value: the variance that Woodruff's interval of a
//! percentile needs (JASA 47, 1952). The share is a ratio of two sums, of which it takes the linear part: unit i has
//! √(wᵢ(wᵢ−1)) · Σ (1[x ≤ Q] − q) over its events.
//!
//! Which value Q is, is known at the end only. While percentiles are exact, events are kept; beside a sketch there are
//! signed sums ([`super::signed`]) for ranges of values, each an eighth of an octave wide, and the range that holds Q is
//! divided in proportion to its weight.

use std::collections::BTreeMap;

use super::quantile::bucket_of;
use super::signed::Spread;

/// Signed sums of a range: the standard error of an interval's width is 9 %.
const LANES: usize = 64;

/// An eighth of the buckets of a sketch are a range.
const BUCKETS_OF_RANGE: i32 = 8;

/// Drawn events by their values.
#[derive(Clone, Debug)]
pub(super) enum DrawnValues {
    /// Value, contribution and unit of each, in order of arrival.
    Each(Vec<(f64, f64, u64)>),
    /// Signed sums by range.
    Ranges(Ranges),
}

/// Signed sums by range of values, and how many units there are about.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges(BTreeMap<i32, Box<[f32; LANES]>>);

fn range_of(bucket: i32) -> i32 {
    bucket.div_euclid(BUCKETS_OF_RANGE)
}

/// How many units have left something in these lanes, by how many of them are empty (linear counting: Whang and others,
/// ACM Transactions on Database Systems 15, 1990). More than there are lanes are many.
#[expect(clippy::cast_precision_loss, reason = "a number of lanes")]
fn units_of(marks: &[bool; LANES]) -> f64 {
    let empty = marks.iter().filter(|mark| !**mark).count() as f64;
    LANES as f64 * (LANES as f64 / empty.max(0.5)).ln()
}

impl Ranges {
    #[inline]
    fn add(&mut self, value: f64, contribution: f64, unit: u64) {
        let lanes = self.0.entry(range_of(bucket_of(value))).or_insert_with(|| Box::new([0.0; LANES]));
        // Other bits than those that units share with signed sums of their counts.
        if let Some(lane) = lanes.get_mut(usize::from(unit.to_le_bytes()[1]) % LANES) {
            #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for a variance")]
            let contribution = contribution as f32;
            *lane += if unit >> 33 & 1 == 0 { contribution } else { -contribution };
        }
    }
}

impl DrawnValues {
    /// None yet.
    pub(super) fn new(exact: bool) -> DrawnValues {
        if exact { DrawnValues::Each(Vec::new()) } else { DrawnValues::Ranges(Ranges::default()) }
    }

    /// Adds an event. NaN is left out.
    #[inline]
    pub(super) fn add(&mut self, value: f64, weight: f64, unit: u64) {
        if !value.is_nan() {
            self.add_contribution(value + 0.0, (weight * (weight - 1.0)).sqrt(), unit);
        }
    }

    fn add_contribution(&mut self, value: f64, contribution: f64, unit: u64) {
        match self {
            DrawnValues::Each(events) => events.push((value, contribution, unit)),
            DrawnValues::Ranges(ranges) => ranges.add(value, contribution, unit),
        }
    }

    /// Adds those of another; ranges on either side make the result some.
    pub(super) fn merge(&mut self, other: &DrawnValues) {
        match other {
            DrawnValues::Each(events) => {
                events.iter().for_each(|&(value, part, unit)| self.add_contribution(value, part, unit));
            }
            DrawnValues::Ranges(more) => {
                self.make_ranges();
                if let DrawnValues::Ranges(ranges) = self {
                    for (&range, more) in &more.0 {
                        let lanes = ranges.0.entry(range).or_insert_with(|| Box::new([0.0; LANES]));
                        lanes.iter_mut().zip(more.iter()).for_each(|(lane, more)| *lane += more);
                    }
                }
            }
        }
    }

    /// Gives up events for ranges.
    pub(super) fn make_ranges(&mut self) {
        if let DrawnValues::Each(events) = self {
            let mut ranges = Ranges::default();
            events.iter().for_each(|&(value, part, unit)| ranges.add(value, part, unit));
            *self = DrawnValues::Ranges(ranges);
        }
    }

    /// How what units contribute to the weight at or below a value, less its share of the whole, is spread, and how many
    /// units have events above it, or at or below it, whichever is less. `within` is the share of the weight of a range of
    /// buckets, from one to before another, that lies at or below the value.
    pub(super) fn spread(
        &self,
        value: f64,
        share: f64,
        units: u64,
        within: impl FnOnce(i32, i32) -> f64,
    ) -> (Spread, f64) {
        match self {
            DrawnValues::Each(events) => {
                let mut of_units: BTreeMap<u64, (f64, bool, bool)> = BTreeMap::new();
                for &(one, contribution, unit) in events {
                    let at_or_below = one <= value;
                    let (sum, above, below) = of_units.entry(unit).or_default();
                    *sum += contribution * (if at_or_below { 1.0 } else { 0.0 } - share);
                    *above |= !at_or_below;
                    *below |= at_or_below;
                }
                let above = of_units.values().filter(|(_, above, _)| *above).count();
                let below = of_units.values().filter(|(_, _, below)| *below).count();
                #[expect(clippy::cast_precision_loss, reason = "a number of units")]
                let beyond = above.min(below) as f64;
                (Spread::of_units(of_units.into_values().map(|(sum, ..)| sum)), beyond)
            }
            DrawnValues::Ranges(Ranges(ranges)) => {
                let place = range_of(bucket_of(value));
                let start = place.saturating_mul(BUCKETS_OF_RANGE);
                let within = within(start, start.saturating_add(BUCKETS_OF_RANGE));
                let mut sums = [0.0; LANES];
                let (mut above, mut below) = ([false; LANES], [false; LANES]);
                for (&range, lanes) in ranges {
                    // The range of the value lies on both sides of it.
                    for (marks, lies_there) in [(&mut above, range >= place), (&mut below, range <= place)] {
                        let lanes = lanes.iter().filter(|_| lies_there);
                        marks.iter_mut().zip(lanes).for_each(|(mark, lane)| *mark |= *lane != 0.0);
                    }
                    let at_or_below = match range.cmp(&place) {
                        std::cmp::Ordering::Less => 1.0,
                        std::cmp::Ordering::Equal => within,
                        std::cmp::Ordering::Greater => 0.0,
                    };
                    for (sum, lane) in sums.iter_mut().zip(lanes.iter()) {
                        *sum += f64::from(*lane) * (at_or_below - share);
                    }
                }
                (Spread::of_lanes(&sums, units), units_of(&above).min(units_of(&below)))
            }
        }
    }

    /// Bytes on the heap, about.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            DrawnValues::Each(events) => events.capacity() * size_of::<(f64, f64, u64)>(),
            DrawnValues::Ranges(Ranges(ranges)) => ranges.len() * (LANES * size_of::<f32>() + 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_event::hash::HashKey;

    /// Events of so many units, each with three values.
    fn of(units: u32, exact: bool) -> DrawnValues {
        let mut values = DrawnValues::new(exact);
        for number in 0..units {
            let unit = HashKey(9).hash(&number.to_le_bytes());
            for event in 0..3 {
                values.add(f64::from(1 + (number * 13 + event * 7) % 101), 10.0, unit);
            }
        }
        values
    }

    #[test]
    fn ranges_tell_about_the_same_as_events() {
        // Above 50 of 101 values.
        let within = |_: i32, _: i32| 0.5;
        let each = of(4_000, true).spread(50.0, 0.5, 4_000, within);
        let ranges = of(4_000, false).spread(50.0, 0.5, 4_000, within);
        assert!(each.0.units == 4_000 && ranges.0.units == 4_000);
        assert!((ranges.0.variance / each.0.variance - 1.0).abs() < 0.5, "{each:?} {ranges:?}");
        let few = [true, false].map(|exact| of(14, exact).spread(90.0, 0.9, 14, within).1);
        assert!(few[0] > 0.0 && (few[0] - few[1]).abs() <= 4.0, "{few:?}");
        let mut made = of(2_000, true);
        made.merge(&of(4_000, false));
        assert!(matches!(made, DrawnValues::Ranges(_)));
    }

    #[test]
    fn merging_equals_adding() {
        for exact in [true, false] {
            let (mut parts, mut all) = (of(20, exact), of(20, exact));
            all.merge(&of(20, exact));
            parts.merge(&of(20, true));
            let of = |values: &DrawnValues| values.spread(40.0, 0.4, 20, |_, _| 0.25);
            assert_eq!(of(&parts), of(&all));
        }
    }
}
