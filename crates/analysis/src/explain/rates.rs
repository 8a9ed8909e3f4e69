//! False discovery rates of Benjamini and Yekutieli (2001), which hold whatever the tests have to do with each other.
//!
//! Columns of one event are anything but independent, some of them in opposite directions, so that the weaker
//! condition of Benjamini and Hochberg cannot be claimed. The price is a factor of ln m on chances that differ by
//! many powers of ten.

/// The rate of each of some chances, which are the smallest of `tests` or count as larger than all of them.
pub(crate) fn rates(chances: &[f64], tests: usize) -> Vec<f64> {
    let tests = tests.max(chances.len());
    #[expect(clippy::cast_precision_loss, reason = "a number of tests")]
    let factor = (1..=tests).map(|rank| 1.0 / rank as f64).sum::<f64>() * tests as f64;
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|a, b| chances[*a].total_cmp(&chances[*b]));
    let mut rates = vec![1.0; chances.len()];
    let mut least = 1.0_f64;
    for (rank, &place) in order.iter().enumerate().rev() {
        #[expect(clippy::cast_precision_loss, reason = "a rank")]
        let rate = chances[place] * factor / (rank + 1) as f64;
        least = least.min(rate);
        rates[place] = least;
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_benjamini_and_yekutieli() {
        // p.adjust(c(0.01, 0.02, 0.03, 0.5), "BY") of R, and the same with six tests that were not looked at.
        let close = |found: &[f64], expected: &[f64]| {
            found.iter().zip(expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-9, "{found:?}"));
        };
        close(
            &rates(&[0.5, 0.01, 0.03, 0.02], 4),
            &[1.0, 0.083_333_333_333, 0.083_333_333_333, 0.083_333_333_333],
        );
        let factor: f64 = (1..=10).map(|rank| 10.0 / f64::from(rank)).sum();
        close(&rates(&[0.001, 0.02], 10), &[0.001 * factor, 0.02 * factor / 2.0]);
        assert!(rates(&[], 5).is_empty());
    }
}
