//! Percentiles: the smallest value whose cumulative weight is at least q·W, never interpolated.
//!
//! Exact while the query has matched fewer than [`EXACT_ROWS_MAX`] rows. From then on a log-histogram: values
//! are counted in buckets whose bounds grow by a constant factor, so that any value of a bucket is within
//! [`RELATIVE_ERROR`] of what the bucket answers (the scheme of DDSketch, Masson et al., VLDB 2019). Which
//! bucket holds the percentile is exact; only the place inside of it is not.

use std::collections::BTreeMap;

/// A query that has matched so many rows answers percentiles from a sketch (SEMANTICS.md, "Numbers").
pub const EXACT_ROWS_MAX: u64 = 10_000;

/// The largest relative error of a sketched percentile.
pub const RELATIVE_ERROR: f64 = 0.01;

/// The factor between the bounds of neighbouring buckets: (1 + e) / (1 − e).
const GAMMA: f64 = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR);

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
    /// Weight by bucket; the key orders buckets as their values are ordered.
    buckets: BTreeMap<i32, f64>,
    /// Smallest and largest value: the answer stays between them.
    least: f64,
    most: f64,
}

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
            // A B-tree of 12-byte entries, two thirds full.
            Quantiles::Sketch(sketch) => sketch.buckets.len() * 24 + size_of::<Sketch>(),
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
                let buckets = sketch.buckets.iter().map(|(&bucket, &weight)| (bucket, weight));
                let bucket = smallest_reaching(buckets, thousandths)?;
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
        Sketch { buckets: BTreeMap::new(), least: f64::INFINITY, most: f64::NEG_INFINITY }
    }
}

impl Sketch {
    fn add(&mut self, value: f64, weight: f64) {
        *self.buckets.entry(bucket_of(value)).or_default() += weight;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    fn merge(&mut self, other: &Sketch) {
        for (&bucket, &weight) in &other.buckets {
            *self.buckets.entry(bucket).or_default() += weight;
        }
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
    }
}

/// Added to the exponent, so that the bucket of the smallest double is positive: ln(5e-324)/ln γ > −37,300.
const EXPONENT_OFFSET: i32 = 40_000;

/// The bucket of an infinity.
const INFINITE_BUCKET: i32 = i32::MAX;

/// The bucket of a value: 0 for zero, positive and rising for positive values, mirrored for negative ones.
fn bucket_of(value: f64) -> i32 {
    if value == 0.0 {
        return 0;
    }
    let magnitude = if value.is_infinite() {
        INFINITE_BUCKET
    } else {
        // |ln(value)| < 746, and ln γ > 0.0199: far inside of i32.
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the range of doubles")]
        let exponent = (value.abs().ln() / GAMMA.ln()).ceil() as i32;
        exponent + EXPONENT_OFFSET
    };
    if value < 0.0 { -magnitude } else { magnitude }
}

/// The value that a bucket answers: it is within [`RELATIVE_ERROR`] of both bounds.
fn bucket_value(bucket: i32) -> f64 {
    let magnitude = match bucket.unsigned_abs() {
        0 => 0.0,
        magnitude if magnitude == INFINITE_BUCKET.unsigned_abs() => f64::INFINITY,
        magnitude => {
            let exponent = f64::from(magnitude) - f64::from(EXPONENT_OFFSET);
            // The upper bound of the last bucket is no double any more; what the bucket answers is one.
            let log = exponent * GAMMA.ln() + (2.0 / (GAMMA + 1.0)).ln();
            log.exp().min(f64::MAX)
        }
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
