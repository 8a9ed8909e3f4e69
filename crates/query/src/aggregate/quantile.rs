//! Percentiles: the smallest value whose cumulative weight is at least q·W, never interpolated.
//!
//! Exact while the query has matched fewer than [`EXACT_ROWS_MAX`] rows. From then on a log-histogram: values
//! are counted in buckets so narrow for their size that any value of a bucket is within [`RELATIVE_ERROR`] of what
//! the bucket answers (the scheme of DDSketch, Masson et al., VLDB 2019, whose logarithm is taken as linear between
//! two powers of two, so that a bucket is the leading bits of a double). Which bucket holds the percentile is exact;
//! only the place inside of it is not.

use std::collections::BTreeMap;

/// A query that has matched so many rows answers percentiles from a sketch (SEMANTICS.md, "Numbers").
pub const EXACT_ROWS_MAX: u64 = 10_000;

/// The largest relative error of a sketched percentile.
pub const RELATIVE_ERROR: f64 = 0.01;

/// Buckets to which the values between a power of two and the next are spread: the leading bits of the fraction. Half of
/// the widest is 1/128 of its least value.
const BITS_PER_OCTAVE: u32 = 6;

/// Weighted values of one cell. NaN is left out.
#[derive(Clone, Debug)]
pub enum Quantiles {
    /// Every value with its weight, in order of arrival.
    Exact(Vec<(f64, f64)>),
    /// Weights per bucket.
    Sketch(Box<Sketch>),
}

/// A log-histogram of both signs.
#[derive(Clone, Debug)]
pub struct Sketch {
    buckets: Buckets,
    /// Smallest and largest value: the answer stays between them.
    least: f64,
    most: f64,
}

/// Weight by bucket; the key orders buckets as their values are ordered.
#[derive(Clone, Debug)]
enum Buckets {
    Few(BTreeMap<i32, f64>),
    /// The weights of neighbouring buckets, from one on.
    Many {
        first: i32,
        weights: Vec<f64>,
    },
}

/// With more buckets than this, those in between cost less than finding each.
const FEW_BUCKETS_MAX: usize = 64;

/// Buckets from the first to the last of a list: more lie too far apart. 2,048 is thirty-two octaves.
const MANY_BUCKETS_MAX: usize = 2_048;

impl Quantiles {
    /// No values yet.
    pub fn new(exact: bool) -> Quantiles {
        if exact { Quantiles::Exact(Vec::new()) } else { Quantiles::Sketch(Box::default()) }
    }

    /// Adds a value.
    pub fn add(&mut self, value: f64, weight: f64) {
        if value.is_nan() {
            return;
        }
        match self {
            Quantiles::Exact(values) => values.push((value + 0.0, weight)),
            Quantiles::Sketch(sketch) => sketch.add(value + 0.0, weight),
        }
    }

    /// Adds values of weight 1.
    #[inline]
    pub fn add_each(&mut self, values: impl Iterator<Item = f64>) {
        match self {
            Quantiles::Exact(_) => values.for_each(|value| self.add(value, 1.0)),
            Quantiles::Sketch(sketch) => {
                values.filter(|value| !value.is_nan()).for_each(|value| sketch.add(value + 0.0, 1.0));
            }
        }
    }

    /// Adds what another has; a sketch on either side makes the result one.
    pub fn merge(&mut self, other: &Quantiles) {
        match other {
            Quantiles::Exact(values) => values.iter().for_each(|&(value, weight)| self.add(value, weight)),
            Quantiles::Sketch(more) => {
                self.make_sketch();
                if let Quantiles::Sketch(sketch) = self {
                    sketch.merge(more);
                }
            }
        }
    }

    /// Turns exact values into a sketch.
    pub fn make_sketch(&mut self) {
        if let Quantiles::Exact(values) = self {
            let mut sketch = Sketch::default();
            values.iter().for_each(|&(value, weight)| sketch.add(value, weight));
            *self = Quantiles::Sketch(Box::new(sketch));
        }
    }

    /// Whether its answers carry the sketch's error.
    pub fn is_sketch(&self) -> bool {
        matches!(self, Quantiles::Sketch(_))
    }

    /// Bytes on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Quantiles::Exact(values) => values.capacity() * size_of::<(f64, f64)>(),
            Quantiles::Sketch(sketch) => sketch.buckets.heap_bytes() + size_of::<Sketch>(),
        }
    }

    /// The whole weight.
    pub fn weight(&self) -> f64 {
        match self {
            Quantiles::Exact(values) => values.iter().map(|(_, weight)| weight).sum(),
            Quantiles::Sketch(sketch) => sketch.buckets.rising().iter().map(|(_, weight)| weight).sum(),
        }
    }

    /// The share of the weight of a range of buckets, from one to before another, that lies at or below a value.
    pub(super) fn share_within(&self, value: f64, (start, end): (i32, i32)) -> f64 {
        let Quantiles::Sketch(sketch) = self else { return 1.0 };
        let mut weights = sketch.buckets.rising();
        weights.retain(|(bucket, _)| (start..end).contains(bucket));
        let sum = |last: i32| -> f64 {
            weights.iter().filter(|(bucket, _)| *bucket <= last).map(|(_, weight)| weight).sum()
        };
        let all = sum(i32::MAX);
        if all > 0.0 { sum(bucket_of(value)) / all } else { 1.0 }
    }

    /// The smallest values whose cumulative weights are at least these shares of the whole weight; nothing without values.
    pub fn at_shares<const N: usize>(&self, shares: [f64; N]) -> Option<[f64; N]> {
        let reaching = |weighted: &[(f64, f64)]| {
            let total: f64 = weighted.iter().map(|(_, weight)| weight).sum();
            let last = weighted.last()?.0;
            Some(shares.map(|share| {
                let mut cumulative = 0.0;
                let reaches = |(_, weight): &&(f64, f64)| {
                    cumulative += weight;
                    cumulative >= share * total
                };
                weighted.iter().find(reaches).map_or(last, |(value, _)| *value)
            }))
        };
        match self {
            Quantiles::Exact(values) => {
                let mut sorted = values.clone();
                sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
                reaching(&sorted)
            }
            Quantiles::Sketch(sketch) => {
                let value = |bucket| bucket_value(bucket).clamp(sketch.least, sketch.most) + 0.0;
                let rising = sketch.buckets.rising().into_iter();
                reaching(&rising.map(|(bucket, weight)| (value(bucket), weight)).collect::<Vec<_>>())
            }
        }
    }

    /// The smallest value whose cumulative weight is at least `thousandths`/1000 of the whole weight; `None`
    /// without values.
    pub fn quantile(&self, thousandths: u16) -> Option<f64> {
        match self {
            Quantiles::Exact(values) => {
                let mut sorted = values.clone();
                sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
                smallest_reaching(sorted.iter().copied(), thousandths)
            }
            Quantiles::Sketch(sketch) => {
                let bucket = smallest_reaching(sketch.buckets.rising().into_iter(), thousandths)?;
                Some(bucket_value(bucket).clamp(sketch.least, sketch.most) + 0.0)
            }
        }
    }
}

/// The first of some rising keys whose cumulative weight reaches the share. The comparison is made in
/// thousandths, so that whole weights are compared without rounding.
fn smallest_reaching<K>(weighted: impl Iterator<Item = (K, f64)> + Clone, thousandths: u16) -> Option<K> {
    let total: f64 = weighted.clone().map(|(_, weight)| weight).sum();
    let wanted = total * f64::from(thousandths);
    let mut cumulative = 0.0;
    let mut last = None;
    for (key, weight) in weighted {
        cumulative += weight;
        last = Some(key);
        if cumulative * 1_000.0 >= wanted {
            break;
        }
    }
    last
}

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch { buckets: Buckets::Few(BTreeMap::new()), least: f64::INFINITY, most: f64::NEG_INFINITY }
    }
}

impl Sketch {
    #[inline]
    fn add(&mut self, value: f64, weight: f64) {
        self.buckets.add(bucket_of(value), weight);
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    fn merge(&mut self, other: &Sketch) {
        self.buckets.merge(&other.buckets);
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
    }
}

impl Buckets {
    #[inline]
    fn add(&mut self, bucket: i32, weight: f64) {
        if let Buckets::Many { first, weights } = self
            && let Ok(place) = usize::try_from(i64::from(bucket) - i64::from(*first))
            && let Some(sum) = weights.get_mut(place)
        {
            *sum += weight;
            return;
        }
        self.add_elsewhere(bucket, weight);
    }

    fn merge(&mut self, other: &Buckets) {
        let Buckets::Many { first, weights } = other else {
            return other.rising().into_iter().for_each(|(bucket, weight)| self.add(bucket, weight));
        };
        if let Buckets::Many { first: own, weights: sums } = self
            && let Ok(place) = usize::try_from(i64::from(*first) - i64::from(*own))
            && let Some(sums) = sums.get_mut(place..).and_then(|sums| sums.get_mut(..weights.len()))
        {
            sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
            return;
        }
        for (bucket, &weight) in (*first..).zip(weights).filter(|(_, weight)| **weight > 0.0) {
            self.add(bucket, weight);
        }
    }

    /// To a map, or to a list that is not long enough yet.
    fn add_elsewhere(&mut self, bucket: i32, weight: f64) {
        match self {
            Buckets::Few(buckets) => {
                *buckets.entry(bucket).or_default() += weight;
                if buckets.len() > FEW_BUCKETS_MAX
                    && let (Some((&first, _)), Some((&last, _))) =
                        (buckets.first_key_value(), buckets.last_key_value())
                    && let Some(mut weights) = list(first, last)
                {
                    for (bucket, weight) in &*buckets {
                        put(first, &mut weights, *bucket, *weight);
                    }
                    *self = Buckets::Many { first, weights };
                }
            }
            Buckets::Many { first, weights } => {
                let last = i64::from(*first) + i64::try_from(weights.len()).unwrap_or(0) - 1;
                let last = i32::try_from(last).unwrap_or(i32::MAX);
                // Room for an octave more, so that not every value beyond moves the list.
                let wider = (bucket.min(*first), bucket.max(last));
                let room = 1 << BITS_PER_OCTAVE;
                let roomy = (
                    if bucket < *first { wider.0.saturating_sub(room) } else { wider.0 },
                    if bucket > last { wider.1.saturating_add(room) } else { wider.1 },
                );
                let wider = if list_len(roomy.0, roomy.1).is_some() { roomy } else { wider };
                let mut wide = Buckets::Few(BTreeMap::new());
                if let Some(weights) = list(wider.0, wider.1) {
                    wide = Buckets::Many { first: wider.0, weights };
                }
                for (bucket, weight) in self.rising().into_iter().chain([(bucket, weight)]) {
                    match &mut wide {
                        Buckets::Few(buckets) => *buckets.entry(bucket).or_default() += weight,
                        Buckets::Many { first, weights } => put(*first, weights, bucket, weight),
                    }
                }
                *self = wide;
            }
        }
    }

    /// Every bucket that has a weight.
    fn rising(&self) -> Vec<(i32, f64)> {
        match self {
            Buckets::Few(buckets) => buckets.iter().map(|(&bucket, &weight)| (bucket, weight)).collect(),
            Buckets::Many { first, weights } => {
                let with_weight = (*first..).zip(weights).filter(|(_, weight)| **weight > 0.0);
                with_weight.map(|(bucket, &weight)| (bucket, weight)).collect()
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            // A B-tree of 12-byte entries, two thirds full.
            Buckets::Few(buckets) => buckets.len() * 24,
            Buckets::Many { weights, .. } => weights.capacity() * size_of::<f64>(),
        }
    }
}

/// How many buckets there are from one to another, unless they are too many for a list.
fn list_len(first: i32, last: i32) -> Option<usize> {
    let len = usize::try_from(i64::from(last) - i64::from(first) + 1).ok()?;
    (len <= MANY_BUCKETS_MAX).then_some(len)
}

/// A list of no weights from one bucket to another, unless they lie too far apart.
fn list(first: i32, last: i32) -> Option<Vec<f64>> {
    list_len(first, last).map(|len| vec![0.0; len])
}

fn put(first: i32, weights: &mut [f64], bucket: i32, weight: f64) {
    let place = usize::try_from(i64::from(bucket) - i64::from(first)).ok();
    if let Some(sum) = place.and_then(|place| weights.get_mut(place)) {
        *sum += weight;
    }
}

/// Below the smallest normal double the leading bits are those of fewer and fewer: such values are scaled up first.
const TINY_SCALE: f64 = 18_014_398_509_481_984.0;
const TINY_OCTAVES: i32 = 54;

/// So that the bucket of the smallest double is positive.
const BUCKET_OFFSET: i32 = (TINY_OCTAVES + 1) << BITS_PER_OCTAVE;

const SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - BITS_PER_OCTAVE;

/// The bucket of a value: 0 for zero, positive and rising for positive values, mirrored for negative ones.
#[inline]
pub(super) fn bucket_of(value: f64) -> i32 {
    if value == 0.0 {
        return 0;
    }
    let magnitude = value.abs();
    let bucket = if magnitude < f64::MIN_POSITIVE {
        leading_bits(magnitude * TINY_SCALE) - (TINY_OCTAVES << BITS_PER_OCTAVE) + BUCKET_OFFSET
    } else {
        leading_bits(magnitude) + BUCKET_OFFSET
    };
    if value < 0.0 { -bucket } else { bucket }
}

#[inline]
fn leading_bits(value: f64) -> i32 {
    // An exponent of eleven bits, and six of the fraction.
    (value.to_bits() >> SHIFT) as i32
}

/// The value that a bucket answers: the middle of it, within [`RELATIVE_ERROR`] of both bounds.
fn bucket_value(bucket: i32) -> f64 {
    let bits = bucket.abs() - BUCKET_OFFSET;
    let of_bits = |bits: i32| {
        let (bits, scale) = if bits < 1 << BITS_PER_OCTAVE {
            (bits + (TINY_OCTAVES << BITS_PER_OCTAVE), TINY_SCALE)
        } else {
            (bits, 1.0)
        };
        f64::from_bits(u64::from(bits.unsigned_abs()) << SHIFT) / scale
    };
    let least = if bucket == 0 { 0.0 } else { of_bits(bits) };
    let magnitude = if bucket == 0 || least.is_infinite() {
        least
    } else {
        // The bound of the last bucket is no double any more.
        let most = of_bits(bits + 1).min(f64::MAX);
        least + (most - least) / 2.0
    };
    if bucket < 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_smallest_value_reaching_the_weight() {
        let values = |pairs: &[(f64, f64)]| Quantiles::Exact(pairs.to_vec());
        let ten = values(&[(1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (4.0, 1.0), (5.0, 1.0)]);
        for (thousandths, expected) in [(1, 1.0), (200, 1.0), (201, 2.0), (500, 3.0), (800, 4.0), (999, 5.0)]
        {
            assert_eq!(ten.quantile(thousandths), Some(expected), "{thousandths}");
        }
        let weighted = values(&[(10.0, 1.0), (1.0, 9.0)]);
        assert_eq!(weighted.quantile(900), Some(1.0), "9 of 10 is reached by the weight of 9");
        assert_eq!(weighted.quantile(950), Some(10.0));
        assert_eq!(values(&[]).quantile(500), None);
    }

    #[test]
    fn a_sketch_stays_within_its_error() {
        let mut value = 1e-9;
        let mut sketch = Quantiles::new(false);
        let mut exact = Quantiles::new(true);
        while value < 1e12 {
            for signed in [value, -value] {
                sketch.add(signed, 1.0);
                exact.add(signed, 1.0);
            }
            value *= 1.37;
        }
        for thousandths in [1, 10, 250, 500, 501, 750, 990, 999] {
            let (Some(about), Some(truth)) = (sketch.quantile(thousandths), exact.quantile(thousandths))
            else {
                panic!("no value")
            };
            let error = (about - truth).abs() / truth.abs();
            assert!(error <= RELATIVE_ERROR + 1e-12, "{thousandths}: {about} for {truth}, off by {error}");
        }
    }

    #[test]
    fn a_sketch_takes_every_double_but_nan() {
        let mut sketch = Quantiles::new(false);
        for value in [0.0, -0.0, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::MIN, f64::NAN] {
            sketch.add(value, 1.0);
        }
        assert_eq!(sketch.quantile(500), Some(0.0));
        sketch.add(f64::INFINITY, 100.0);
        assert_eq!(sketch.quantile(999), Some(f64::INFINITY));
        let largest = sketch.quantile(50);
        assert!(largest.is_some_and(|value| value >= f64::MAX * 0.99 && value.is_finite()), "{largest:?}");
        let only = |value: f64| {
            let mut sketch = Quantiles::new(false);
            sketch.add(value, 1.0);
            sketch.quantile(500)
        };
        assert_eq!(only(123.456), Some(123.456), "a single value is its own bound");
    }

    #[test]
    fn merging_equals_adding() {
        let mut all = Quantiles::new(false);
        let mut parts = Quantiles::new(true);
        let mut more = Quantiles::new(false);
        for step in 0..1_000_u32 {
            let value = f64::from(step * 7_919 % 1_000);
            all.add(value, 2.0);
            if step < 300 { parts.add(value, 2.0) } else { more.add(value, 2.0) }
        }
        parts.merge(&more);
        for thousandths in [1, 500, 990] {
            assert_eq!(parts.quantile(thousandths), all.quantile(thousandths));
        }
    }
}
