//! CONCURRENCY: of each moment the spans that have begun and not ended, averaged over buckets of time and over the
//! range. docs/reference/over-time.md has the rules.

use std::collections::HashMap;

use skein_query::aggregate::Draw;
use skein_query::error::Location;
use skein_query::number::Number;
use skein_query::plan::{Column, FilterSet, TimeRange};
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::Block;
use crate::column::BoundColumn;
use crate::derived::DerivedValue;
use crate::filter::BoundFilters;
use crate::series::bucket_start;
use crate::weights::Weights;

/// A weight that stands for more than itself: a power of two, so that dividing by it and multiplying again alters nothing.
const SAMPLED: f64 = 2.0;

/// The time that spans of a group were in flight within a bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Flight {
    /// Weighted nanoseconds.
    ns: f64,
    sampled: bool,
}

/// What of time is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) range: TimeRange,
    /// Length of the buckets; without a series, the range is one.
    pub(crate) granularity_ns: Option<i64>,
}

impl Times {
    /// The bucket of a time, cut off at the range: its first nanosecond, and one past its last.
    pub(super) fn bucket(&self, time_ns: i64) -> (i64, i64) {
        let TimeRange { start_ns, end_ns } = self.range;
        match self.granularity_ns {
            Some(granularity) => {
                let start = bucket_start(time_ns, granularity.max(1));
                (start.max(start_ns), start.saturating_add(granularity.max(1)).min(end_ns))
            }
            None => (start_ns, end_ns),
        }
    }

    /// Nanoseconds of the range.
    #[expect(clippy::cast_precision_loss, reason = "lengths of time are averaged over")]
    pub(super) fn length_ns(&self) -> f64 {
        self.range.length_ns().max(1) as f64
    }
}

/// Nanoseconds between two times.
#[expect(clippy::cast_precision_loss, reason = "lengths of time are averaged over")]
pub(super) fn length_ns((start_ns, end_ns): (i64, i64)) -> f64 {
    end_ns.abs_diff(start_ns).max(1) as f64
}

pub(super) struct InFlight<'p> {
    filter: &'p FilterSet,
    times: Times,
    weighted: bool,
    /// By group and start of the bucket.
    flights: HashMap<(u32, i64), Flight>,
}

pub(super) struct BoundInFlight<'s> {
    filter: BoundFilters<'s>,
    duration: BoundColumn<'s>,
    weights: Option<Weights<'s>>,
}

impl BoundInFlight<'_> {
    pub(super) fn bytes(&self) -> u64 {
        self.filter.bytes() + self.duration.bytes()
    }
}

impl<'p> InFlight<'p> {
    pub(super) fn new(filter: &'p FilterSet, times: Times, weighted: bool) -> InFlight<'p> {
        InFlight { filter, times, weighted, flights: HashMap::new() }
    }

    pub(super) fn bind<'s>(&self, segment: &'s Segment) -> Result<BoundInFlight<'s>, Error> {
        let duration = Column::stored("duration_ms", Location::Path(String::new()));
        Ok(BoundInFlight {
            filter: BoundFilters::bind(segment, self.filter)?,
            duration: BoundColumn::bind(segment, &duration)?,
            weights: self.weighted.then(|| Weights::bind(segment)).transpose()?,
        })
    }

    pub(super) fn add_block(
        &mut self,
        bound: &mut BoundInFlight<'_>,
        block: &Block<'_>,
        groups: &[u32],
    ) -> Result<(), Error> {
        let mut mask = block.mask.clone();
        bound.filter.apply(block.rows, &mut mask)?;
        if mask.is_empty() {
            return Ok(());
        }
        bound.duration.fill(block.rows)?;
        let weights = bound.weights.as_mut().map(|weights| weights.of_block(block)).transpose()?;
        for row in mask.places() {
            let Some(ms) = bound.duration.number(row)? else { continue };
            let weight = weights.map_or(1.0, |weights| weights.of(row));
            self.add(groups[row], block.times()[row], ms.to_f64(), weight);
        }
        Ok(())
    }

    fn add(&mut self, group: u32, time_ns: i64, ms: f64, weight: f64) {
        if !ms.is_finite() || ms < 0.0 {
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and is cut off at the range")]
        let end_ns = time_ns.saturating_add((ms * 1e6).round() as i64).min(self.times.range.end_ns);
        let mut from = time_ns;
        loop {
            let (start, end) = self.times.bucket(from);
            let flight = self.flights.entry((group, start)).or_default();
            #[expect(clippy::cast_precision_loss, reason = "a bucket is at most the range of a query")]
            let within = end.min(end_ns).saturating_sub(from).max(0) as f64;
            flight.ns += weight * within;
            #[expect(clippy::float_cmp, reason = "a weight of exactly 1 means not sampled")]
            let sampled = weight != 1.0;
            flight.sampled |= sampled;
            // A range has a thousand buckets at most.
            if end >= end_ns || end <= from {
                return;
            }
            from = end;
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.flights.capacity() * (size_of::<((u32, i64), Flight)>() + 1)
    }

    pub(super) fn finish(&self) -> Vec<DerivedValue> {
        let mut flights: Vec<((u32, i64), Flight)> =
            self.flights.iter().map(|(key, flight)| (*key, *flight)).collect();
        flights.sort_unstable_by_key(|(key, _)| *key);
        let value = |((group, start), flight): ((u32, i64), Flight)| {
            let weight = if flight.sampled { SAMPLED } else { 1.0 };
            // Of which traces the time is made up is not remembered.
            let draw = Draw::from(weight);
            DerivedValue {
                group,
                time_ns: start,
                number: Number::F64(flight.ns / length_ns(self.times.bucket(start)) / weight),
                overall: Number::F64(flight.ns / self.times.length_ns() / weight),
                draw,
            }
        };
        flights.into_iter().map(value).collect()
    }
}
