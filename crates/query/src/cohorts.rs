//! Two cohorts of events, side by side for each operation: how many, how many failed, how long they took, and how events
//! lie in traces, so that every difference has an interval (docs/reference/compare.md).
//!
//! An engine feeds two passes over one snapshot: the first counts and gathers durations ([`Tally`]), the second asks how
//! the events below each percentile lie in traces ([`Below`]). `skein-analysis` judges what came out ([`Cohort`]).
//!
//! What it refuses: to judge, and to hold more for an operation than a few kilobytes.
//!
//! Reading order: [`CohortsPlan`], [`Cluster`], [`Signed`], [`Tally`], [`Below`], [`Cohorts`].

use skein_event::value::Value;

use crate::aggregate::{EXACT_ROWS_MAX, Quantiles};
use crate::plan::{Column, Plan};
use crate::result::Meta;

/// What is compared.
#[derive(Clone, PartialEq, Debug)]
pub struct CohortsPlan {
    /// What was, and what is. An event may be in both.
    pub sides: [Plan; 2],
    /// Columns whose values make an operation.
    pub by: Vec<Column>,
    /// Only spans: what has a trace id and a span id, and is no log record, span event, link or metric point.
    pub spans_only: bool,
    /// Operations at most.
    pub limit: usize,
}

/// The percentiles of durations, in thousandths.
pub const PERCENTILES: [u16; 2] = [500, 990];

/// Places of signed sums. A variance that is estimated from so many has a standard error of √(2/256), nine in a hundred,
/// and so an interval of half of that; with fewer than a dozen traces it is all but exact.
pub const PLACES: usize = 256;

/// Place and sign of a trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cluster(u16);

impl Cluster {
    /// By a hash of the trace's id, or of whatever stands for itself.
    pub fn of_hash(hash: u64) -> Cluster {
        let [low, .., high] = hash.to_le_bytes();
        Cluster(u16::from(low) | u16::from(high & 0x80) << 1)
    }

    /// As a number below 512.
    pub fn number(self) -> u32 {
        u32::from(self.0)
    }

    /// Of a number that [`Cluster::number`] gave.
    pub fn of_number(number: u32) -> Cluster {
        Cluster(u16::try_from(number & 0x1ff).unwrap_or_default())
    }

    fn place(self) -> usize {
        usize::from(self.0 & 0xff)
    }

    fn sign(self) -> f64 {
        if self.0 & 0x100 == 0 { 1.0 } else { -1.0 }
    }
}

/// Sums of weights with the signs of their traces. The squares of the places add up, in expectation, to the sum over
/// traces of the square of what each adds (as [`crate::explain::Sums`], which has more places).
#[derive(Clone, PartialEq, Debug)]
pub struct Signed(Box<[f64]>);

impl Default for Signed {
    fn default() -> Signed {
        Signed(vec![0.0; PLACES].into())
    }
}

impl Signed {
    /// Bytes of one.
    pub const BYTES: usize = PLACES * size_of::<f64>();

    /// Adds an event's weight.
    #[inline]
    pub fn add(&mut self, cluster: Cluster, weight: f64) {
        if let Some(sum) = self.0.get_mut(cluster.place()) {
            *sum += cluster.sign() * weight;
        }
    }

    /// Σ over traces of the squares.
    pub fn squares(&self) -> f64 {
        self.0.iter().map(|sum| sum * sum).sum()
    }

    /// Σ over traces of the squares of these less a share of others.
    pub fn squares_beside(&self, share: f64, all: &Signed) -> f64 {
        self.0.iter().zip(&all.0).map(|(some, all)| (some - share * all).powi(2)).sum()
    }
}

/// An event as a comparison sees it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Seen {
    /// What it stands for.
    pub weight: f64,
    /// Whether it failed.
    pub failed: bool,
    /// How long it took, if it says so.
    pub duration_ms: Option<f64>,
    /// Its trace.
    pub cluster: Cluster,
}

/// One operation of one cohort, in the first pass.
#[derive(Clone, Debug)]
pub struct Tally {
    rows: u64,
    weight: f64,
    weight_max: f64,
    failed: f64,
    sampled: bool,
    durations: Quantiles,
    all: Signed,
    failures: Signed,
    places: [u64; PLACES / 64],
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            rows: 0,
            weight: 0.0,
            weight_max: 0.0,
            failed: 0.0,
            sampled: false,
            durations: Quantiles::new(true),
            all: Signed::default(),
            failures: Signed::default(),
            places: [0; PLACES / 64],
        }
    }
}

impl Tally {
    /// Counts an event.
    pub fn add(&mut self, seen: Seen) {
        let Seen { weight, failed, duration_ms, cluster } = seen;
        self.rows += 1;
        self.weight += weight;
        self.weight_max = self.weight_max.max(weight);
        #[expect(clippy::float_cmp, reason = "a weight of exactly 1 means not sampled")]
        let whole = weight == 1.0;
        self.sampled |= !whole;
        self.all.add(cluster, weight);
        if let Some(word) = self.places.get_mut(cluster.place() / 64) {
            *word |= 1 << (cluster.place() % 64);
        }
        if failed {
            self.failed += weight;
            self.failures.add(cluster, weight);
        }
        if let Some(duration) = duration_ms {
            self.durations.add(duration, weight);
        }
    }

    /// From so many events on, percentiles come from a sketch (SEMANTICS.md, "Numbers").
    pub fn note_rows(&mut self, rows_of_cohort: u64) {
        if rows_of_cohort >= EXACT_ROWS_MAX {
            self.durations.make_sketch();
        }
    }

    /// Bytes of memory, about.
    pub fn heap_bytes(&self) -> usize {
        size_of::<Tally>() + 2 * Signed::BYTES + self.durations.heap_bytes()
    }

    /// Ends the first pass.
    pub fn finish(self) -> Cohort {
        let Tally { rows, weight, weight_max, failed, sampled, durations, all, failures, places } = self;
        let share = if weight > 0.0 { failed / weight } else { 0.0 };
        let taken: u32 = places.iter().map(|word| word.count_ones()).sum();
        Cohort {
            rows,
            weight,
            weight_max,
            failed,
            sampled,
            traces: traces(taken),
            variance: all.squares(),
            failed_variance: failures.squares_beside(share, &all),
            percentiles: PERCENTILES.map(|thousandths| durations.quantile(thousandths)),
            below: [Share::default(); PERCENTILES.len()],
            durations,
        }
    }
}

/// How many traces take so many of the places, about ("linear counting", Whang, Vander-Zanden and Taylor 1990). All of
/// them: a thousand at least.
fn traces(taken: u32) -> f64 {
    let places = PLACES as f64;
    let free = (places - f64::from(taken)).max(0.5);
    -places * (free / places).ln()
}

/// One operation of one cohort, in the second pass: the events at or below each percentile.
#[derive(Clone, Debug, Default)]
pub struct Below {
    timed: Signed,
    timed_weight: f64,
    at: [Signed; PERCENTILES.len()],
    weight: [f64; PERCENTILES.len()],
}

impl Below {
    /// Bytes of memory, about.
    pub const BYTES: usize = (1 + PERCENTILES.len()) * Signed::BYTES + 64;

    /// Counts an event with a duration.
    pub fn add(&mut self, seen: Seen, thresholds: [Option<f64>; PERCENTILES.len()]) {
        let Some(duration) = seen.duration_ms.filter(|duration| !duration.is_nan()) else { return };
        self.timed.add(seen.cluster, seen.weight);
        self.timed_weight += seen.weight;
        for ((signed, weight), threshold) in self.at.iter_mut().zip(&mut self.weight).zip(thresholds) {
            if threshold.is_some_and(|threshold| duration <= threshold) {
                signed.add(seen.cluster, seen.weight);
                *weight += seen.weight;
            }
        }
    }

    /// Ends the second pass.
    pub fn finish(&self, cohort: &mut Cohort) {
        let all = self.timed_weight;
        for ((below, signed), weight) in cohort.below.iter_mut().zip(&self.at).zip(self.weight) {
            let share = if all > 0.0 { weight / all } else { 0.0 };
            let variance = signed.squares_beside(share, &self.timed) / (all * all);
            *below = Share { share, variance: if all > 0.0 { variance } else { 0.0 } };
        }
    }
}

/// A share, and its variance by traces.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Share {
    /// 0 to 1.
    pub share: f64,
    /// Of the share.
    pub variance: f64,
}

/// One operation of one cohort.
#[derive(Clone, Debug)]
pub struct Cohort {
    /// Kept events.
    pub rows: u64,
    /// What they stand for.
    pub weight: f64,
    /// The largest weight of one.
    pub weight_max: f64,
    /// Weight of those that failed.
    pub failed: f64,
    /// Whether any stands for other than itself.
    pub sampled: bool,
    /// Traces, about; right up to some hundreds.
    pub traces: f64,
    /// Variance of the weight, if traces come by chance and independently: Σ over traces of the square of what they add.
    pub variance: f64,
    /// The same of the failed weight less the failed share of the weight.
    pub failed_variance: f64,
    /// The percentiles of durations, as a query answers them; `None` without durations.
    pub percentiles: [Option<f64>; PERCENTILES.len()],
    /// The share of durations at or below each percentile.
    pub below: [Share; PERCENTILES.len()],
    /// The durations.
    pub durations: Quantiles,
}

/// An operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The values of the columns, in their order.
    pub key: Vec<Option<Value>>,
    /// What each cohort has of it; `None`: nothing.
    pub sides: [Option<Cohort>; 2],
}

/// What was counted.
#[derive(Clone, Debug)]
pub struct Cohorts {
    /// All events of each cohort; percentiles over all operations are not computed.
    pub totals: [Cohort; 2],
    /// In no order that means anything, but always the same.
    pub operations: Vec<Operation>,
    /// How it came about.
    pub meta: Meta,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(trace: u64, weight: f64, duration_ms: f64, failed: bool) -> Seen {
        let hash = skein_event::hash::HashKey(5).hash(&trace.to_le_bytes());
        Seen { weight, failed, duration_ms: Some(duration_ms), cluster: Cluster::of_hash(hash) }
    }

    #[test]
    fn variances_are_those_over_traces() {
        // Five traces of three events each, the last of weight 2: 4·3² + 6² of all.
        let mut tally = Tally::default();
        for trace in 0..5 {
            for event in 0..3 {
                let weight = if trace == 4 { 2.0 } else { 1.0 };
                tally.add(seen(trace, weight, f64::from(event), trace == 0));
            }
        }
        let mut cohort = tally.finish();
        assert_eq!((cohort.rows, cohort.weight, cohort.weight_max), (15, 18.0, 2.0));
        assert!((cohort.traces - 5.0).abs() < 0.1 && cohort.sampled, "{}", cohort.traces);
        assert_eq!(cohort.variance, 72.0);
        // One of six failed: (3 − 3/6)² + 3·(3/6)² + (6/6)².
        assert!((cohort.failed_variance - 8.0).abs() < 1e-9, "{}", cohort.failed_variance);
        assert_eq!(cohort.percentiles, [Some(1.0), Some(2.0)]);
        let mut below = Below::default();
        for trace in 0..5 {
            for event in 0..3 {
                let weight = if trace == 4 { 2.0 } else { 1.0 };
                below.add(seen(trace, weight, f64::from(event), false), cohort.percentiles);
            }
        }
        below.finish(&mut cohort);
        // The same two of three of every trace.
        assert_eq!(cohort.below.map(|share| share.share), [12.0 / 18.0, 1.0]);
        assert!(cohort.below.iter().all(|share| share.variance < 1e-20), "{:?}", cohort.below);
    }

    #[test]
    fn a_cluster_is_the_same_by_its_number() {
        for hash in [0, 1, u64::MAX, 0x8000_0000_0000_0011, 255 << 56 | 17] {
            let cluster = Cluster::of_hash(hash);
            assert_eq!(Cluster::of_number(cluster.number()), cluster);
            assert_eq!(
                (cluster.place(), cluster.sign() < 0.0),
                (usize::try_from(hash & 255).unwrap(), hash >> 63 == 1)
            );
        }
    }
}
