//! Equality of values: most have a handful of bytes, for which a call costs more than the comparison.

/// Whether two values are equal.
#[inline]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        17..=32 => a.first_chunk::<16>() == b.first_chunk() && a.last_chunk::<16>() == b.last_chunk(),
        8..=16 => a.first_chunk::<8>() == b.first_chunk() && a.last_chunk::<8>() == b.last_chunk(),
        4..8 => a.first_chunk::<4>() == b.first_chunk() && a.last_chunk::<4>() == b.last_chunk(),
        0..4 => a.iter().zip(b).all(|(a, b)| a == b),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn values_of_every_length_are_compared_to_their_last_byte() {
        for length in 0..80_usize {
            let value = vec![7_u8; length];
            assert!(same(&value, &value.clone()));
            assert!(!same(&value, &vec![7; length + 1]));
            for place in 0..length {
                let mut other = value.clone();
                other[place] = 8;
                assert!(!same(&value, &other), "{length}, {place}");
            }
        }
    }
}
