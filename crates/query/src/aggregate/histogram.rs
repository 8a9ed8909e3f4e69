//! HEATMAP: a histogram with round edges, shared by every cell of the calculation.
//!
//! Values are linear, as in the builder language. The width of a bar is the smallest of 1, 2 or 5 times a
//! power of ten with which [`BARS_MAX`] bars cover everything seen; edges are multiples of it. NaN and
//! infinities have no place in it and are left out.

use std::sync::Arc;

use crate::result::CellValue;

/// Bars of a heatmap's column: what a chart of usual height can tell apart.
pub const BARS_MAX: usize = 50;

const BARS_MAX_U32: u32 = 50;

/// The smallest and the largest finite value seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    least: f64,
    most: f64,
}

impl Default for Extent {
    fn default() -> Extent {
        Extent { least: f64::INFINITY, most: f64::NEG_INFINITY }
    }
}

impl Extent {
    /// Takes a value in.
    #[inline]
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.least = self.least.min(value);
            self.most = self.most.max(value);
        }
    }

    /// Takes in what another has seen.
    pub fn merge(&mut self, other: &Extent) {
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
    }

    /// The bounds; `None` when nothing finite was seen.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        (self.least <= self.most).then_some((self.least, self.most))
    }
}

/// Weighted counts between edges.
#[derive(Clone, Debug)]
pub struct Histogram {
    edges: Arc<[f64]>,
    counts: Vec<f64>,
}

impl Histogram {
    /// Nothing counted yet.
    pub fn new(edges: Arc<[f64]>) -> Histogram {
        let counts = vec![0.0; edges.len().saturating_sub(1)];
        Histogram { edges, counts }
    }

    /// Counts a value; what is not finite has no place.
    pub fn add(&mut self, value: f64, weight: f64) {
        if let Some(count) = bar_of(&self.edges, value).and_then(|bar| self.counts.get_mut(bar)) {
            *count += weight;
        }
    }

    /// Adds the counts of another with the same edges.
    pub fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
    }

    /// The cell.
    pub fn finish(&self) -> CellValue {
        CellValue::Histogram { edges: Arc::clone(&self.edges), counts: self.counts.clone() }
    }
}

/// The edges for an extent: rising, one more than bars. Without values there are none.
pub fn histogram_edges(extent: Extent) -> Arc<[f64]> {
    let Some((least, most)) = extent.bounds() else { return Arc::from([]) };
    // Halves first: the span of all doubles is not a double.
    let span = most / 2.0 - least / 2.0;
    if span <= 0.0 {
        return one_bar(least, most);
    }
    #[expect(clippy::cast_possible_truncation, reason = "a decimal exponent of a double is below 400")]
    let first_power = (span.log10().floor() as i32) - 2;
    for power in first_power..=first_power + 4 {
        for digit in [1.0, 2.0, 5.0] {
            if let Some(edges) = edges_of_width(least, most, digit, power) {
                return edges;
            }
        }
    }
    one_bar(least, most)
}

/// The edges at multiples of `digit`·10^`power`, if few enough of them cover the extent.
fn edges_of_width(least: f64, most: f64, digit: f64, power: i32) -> Option<Arc<[f64]>> {
    // Dividing by a power of ten gives 0.3 where multiplying by 0.1 gives 0.30000000000000004.
    let scale = 10_f64.powi(power.abs());
    let at = |multiple: f64| if power < 0 { multiple * digit / scale } else { multiple * digit * scale };
    let width = at(1.0);
    if !width.is_finite() || width <= 0.0 || !scale.is_finite() {
        return None;
    }
    let first = (least / width).floor();
    let last = (most / width).floor() + 1.0;
    if last - first > f64::from(BARS_MAX_U32) {
        return None;
    }
    // By index: beyond 2^53 a multiple plus one is itself.
    let place = |index: u32| at(first + f64::from(index));
    let edges: Vec<f64> = (0..=BARS_MAX_U32).map(place).take_while(|&edge| edge <= at(last)).collect();
    let rising = edges.windows(2).all(|pair| pair[0] < pair[1]);
    // Division may have rounded across an edge.
    let covers = edges.first().is_some_and(|&edge| edge <= least) && edges.last().is_some_and(|&e| most < e);
    (rising && covers && edges.iter().all(|edge| edge.is_finite())).then(|| Arc::from(edges))
}

/// One bar around everything. Its edges differ, even where nothing is above the largest double: a value on the
/// last edge belongs to the last bar.
fn one_bar(least: f64, most: f64) -> Arc<[f64]> {
    let above = most.next_up();
    if above.is_finite() {
        Arc::from([least, above])
    } else {
        Arc::from([least.next_down().max(f64::MIN), most])
    }
}

/// The bar of a value: that whose lower edge is the last at or below it. `None` for what is not finite.
pub fn bar_of(edges: &[f64], value: f64) -> Option<usize> {
    if !value.is_finite() || edges.len() < 2 {
        return None;
    }
    let above = edges.partition_point(|&edge| edge <= value);
    Some(above.saturating_sub(1).min(edges.len() - 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(values: &[f64]) -> Extent {
        let mut extent = Extent::default();
        values.iter().for_each(|&value| extent.add(value));
        extent
    }

    #[test]
    fn edges_are_round_and_cover_everything() {
        let edges = histogram_edges(extent(&[3.0, 97.0]));
        assert_eq!(edges.len(), 49);
        assert_eq!((edges[0], edges[1], edges[48]), (2.0, 4.0, 98.0));
        let small = histogram_edges(extent(&[0.1, 0.35]));
        assert!(small.contains(&0.3), "{small:?}");
        for values in [
            &[0.0, 1.0][..],
            &[-5.0, 5.0],
            &[1e-300, 2e-300],
            &[f64::MIN, f64::MAX],
            &[7.0],
            &[f64::MAX],
            &[0.0, 5e-324],
            &[1e15, 1e15 + 1.0],
            &[f64::NAN, f64::INFINITY, 1.0, 2.0],
        ] {
            let extent = extent(values);
            let edges = histogram_edges(extent);
            assert!(edges.len() >= 2 && edges.len() <= BARS_MAX + 1, "{values:?}: {}", edges.len());
            let (Some((least, most)), Some(first), Some(last)) =
                (extent.bounds(), edges.first(), edges.last())
            else {
                panic!("{values:?}")
            };
            assert!(*first <= least && most <= *last, "{values:?}: {edges:?}");
            assert!(edges.windows(2).all(|pair| pair[0] < pair[1]), "{values:?}: {edges:?}");
        }
        assert!(histogram_edges(Extent::default()).is_empty());
    }

    #[test]
    fn a_value_on_an_edge_belongs_to_the_bar_above() {
        let edges = [0.0, 10.0, 20.0];
        for (value, bar) in [(0.0, 0), (9.9, 0), (10.0, 1), (20.0, 1)] {
            assert_eq!(bar_of(&edges, value), Some(bar), "{value}");
        }
        assert_eq!(bar_of(&edges, f64::NAN), None);
        assert_eq!(bar_of(&[], 1.0), None);
    }
}
