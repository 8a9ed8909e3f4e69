//! The tail of the normal distribution, far out as well.

/// The chance that a normal variable is larger than `z`, which is not negative.
pub(crate) fn tail(z: f64) -> f64 {
    if z.is_nan() {
        return 1.0;
    }
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z < 2.5 {
        // Φ(z) = 1/2 + φ(z)·(z + z³/3 + z⁵/15 + …), Abramowitz and Stegun 26.2.11.
        let (mut term, mut sum) = (z, z);
        for step in 1..60_u32 {
            term *= z * z / f64::from(2 * step + 1);
            sum += term;
        }
        return (0.5 - density * sum).clamp(0.0, 0.5);
    }
    // The continued fraction φ(z)/(z + 1/(z + 2/(z + …))), 26.2.14, from its end.
    let mut fraction = z;
    for step in (1..80_u32).rev() {
        fraction = z + f64::from(step) / fraction;
    }
    density / fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_the_tables() {
        // Abramowitz and Stegun, table 26.1, and 26.2 for the far tail.
        for (z, expected) in [
            (0.0, 0.5),
            (1.0, 0.158_655_253_931),
            (1.959_963_984_54, 0.025),
            (2.4, 0.008_197_535_924_6),
            (2.6, 0.004_661_188_023_72),
            (5.0, 2.866_515_719e-7),
            (10.0, 7.619_853_024e-24),
        ] {
            let found = tail(z);
            assert!((found / expected - 1.0).abs() < 1e-8, "{z}: {found} instead of {expected}");
        }
        assert_eq!(tail(60.0), 0.0);
    }
}
