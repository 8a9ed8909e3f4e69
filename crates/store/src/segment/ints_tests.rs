//! Every form of sequence comes back, prunes rightly, and withstands wrong bytes.

use proptest::prelude::*;

use super::super::header::Version;
use super::super::ints_write::{Effort, write_ints, write_random_access, write_rising};
use super::*;

fn check_bytes(values: &[i64], bytes: &[u8]) {
    let (ints, rest) = Ints::open(bytes, Version::V2).expect("opens");
    assert_eq!(rest, b"rest");
    assert_eq!(ints.to_vec(), values);
    for (index, &value) in values.iter().enumerate().step_by(1 + values.len() / 300) {
        assert_eq!(ints.get(index), value, "{index}");
    }
    assert_eq!(ints.get(values.len()), 0);
    let places = [0, values.len() / 3, values.len() / 2];
    let expected: Vec<i64> = places.iter().map(|&place| values.get(place).copied().unwrap_or(0)).collect();
    assert_eq!(ints.values_at(places.into_iter()), expected);
    ints.validate(i64::MIN, i64::MAX).expect("valid");
    let range = values.iter().copied().min().zip(values.iter().copied().max());
    assert_eq!(ints.range(), range);
    if let Some((min, max)) = range {
        assert!(min == i64::MIN || ints.validate(min, max).is_ok());
        assert!(min == max || ints.validate(min, max - 1).is_err());
        assert!(min == max || ints.validate(min + 1, max).is_err());
    }
}

fn check(values: &[i64]) {
    for effort in [Effort::Low, Effort::Full] {
        let mut bytes = vec![7; 3];
        write_ints(values, effort, &mut bytes);
        bytes.extend_from_slice(b"rest");
        check_bytes(values, &bytes[3..]);
    }
    let mut bytes = Vec::new();
    write_random_access(values, &mut bytes);
    bytes.extend_from_slice(b"rest");
    check_bytes(values, &bytes);
}

fn bytes_of(values: &[i64]) -> usize {
    let mut bytes = Vec::new();
    write_ints(values, Effort::Full, &mut bytes);
    check(values);
    bytes.len()
}

/// Numbers that look random, and are the same in every run.
fn noise(n: i64) -> i64 {
    let mixed = n.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 1).cast_signed()
}

#[test]
fn every_width_comes_back() {
    check(&[]);
    check(&[5]);
    check(&[i64::MIN, i64::MAX, 0, -1]);
    check(&vec![-3; 5_000]);
    for width in 0..64 {
        let top = 1_i64.checked_shl(width).unwrap_or(0).wrapping_sub(1);
        check(&(0..2_500).map(|n| noise(n) & top).collect::<Vec<_>>());
        check(&(0..2_500).map(|n| i64::MIN.wrapping_add(noise(n) & top)).collect::<Vec<_>>());
    }
}

#[test]
fn each_form_pays_where_it_should() {
    let rows = 100_000;
    let limit = |bits: usize| 100_000 * bits / 8;
    let times: Vec<i64> =
        (0..rows).map(|n| 1_700_000_000_000_000_000 + n * 600_000 + noise(n) % 500_000).collect();
    assert!(bytes_of(&times) < limit(21), "deltas: {}", bytes_of(&times));
    let milliseconds: Vec<i64> = times.iter().map(|time| time / 1_000_000 * 1_000_000).collect();
    assert!(bytes_of(&milliseconds) < limit(2), "a step: {}", bytes_of(&milliseconds));
    let outliers: Vec<i64> =
        (0..rows).map(|n| if n % 97 == 0 { noise(n) >> 20 } else { noise(n) & 0xff }).collect();
    assert!(bytes_of(&outliers) < limit(10), "exceptions: {}", bytes_of(&outliers));
    let status: Vec<i64> = (0..rows).map(|n| 200 + (noise(n) & 3) * 101).collect();
    assert!(bytes_of(&status) < limit(5) / 2, "a dictionary: {}", bytes_of(&status));
    assert!(bytes_of(&vec![9; 100_000]) < 32, "one value");
    let records: Vec<i64> =
        (0..rows).map(|n| 1_700_000_000_000_000_000 + noise(n / 90) % 1_000_000_000_000).collect();
    assert!(bytes_of(&records) < limit(3), "append times: {}", bytes_of(&records));
}

proptest! {
    #[test]
    fn any_values_come_back(values in prop::collection::vec(any::<i64>(), 0..3000)) {
        check(&values);
    }

    #[test]
    fn any_small_values_come_back(
        values in prop::collection::vec(prop_oneof![8 => -50_i64..50, 1 => any::<i64>()], 0..4000),
        step in 1..1_000_000_i64,
    ) {
        check(&values);
        check(&values.iter().map(|value| value.wrapping_mul(step)).collect::<Vec<_>>());
    }

    #[test]
    fn rising_values_come_back(gaps in prop::collection::vec(prop_oneof![20 => 0..3_u32, 1 => 0..90_000_u32], 0..4000)) {
        let mut next = 0;
        let values: Vec<u32> = gaps.iter().map(|gap| { next += gap; next }).collect();
        let wide: Vec<i64> = values.iter().map(|&value| i64::from(value)).collect();
        for effort in [Effort::Low, Effort::Full] {
            let mut bytes = Vec::new();
            write_rising(&values, effort, &mut bytes);
            bytes.extend_from_slice(b"rest");
            check_bytes(&wide, &bytes);
            let (ints, _) = Ints::open(&bytes, Version::V2).expect("opens");
            prop_assert_eq!(&ints.to_vec_u32(), &values);
        }
    }

    #[test]
    fn zone_map_never_excludes_a_matching_block(
        values in prop::collection::vec(prop_oneof![9 => -50_i64..50, 1 => any::<i32>().prop_map(i64::from)], 1..4000),
    ) {
        for effort in [Effort::Low, Effort::Full] {
            let mut bytes = Vec::new();
            write_ints(&values, effort, &mut bytes);
            let (ints, _) = Ints::open(&bytes, Version::V2).expect("opens");
            for (index, &value) in values.iter().enumerate() {
                let (min, max) = ints.zone(index / BLOCK_VALUES);
                prop_assert!(min <= value && value <= max, "{value} outside of {min}..={max}");
            }
        }
    }

    #[test]
    fn damage_is_an_error_or_harmless(
        values in prop::collection::vec(prop_oneof![5 => -9_i64..900, 1 => any::<i64>()], 0..2000),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for effort in [Effort::Low, Effort::Full] {
            let mut bytes = Vec::new();
            write_ints(&values, effort, &mut bytes);
            for (at, byte) in &changes {
                let place = at.index(bytes.len());
                bytes[place] = *byte;
            }
            for version in [Version::V1, Version::V2] {
                if let Ok((ints, _)) = Ints::open(&bytes, version) {
                    // An error or other values, never a panic.
                    if ints.len() < 1 << 20 {
                        ints.validate(0, 100).ok();
                    }
                    ints.get(5);
                    ints.zone(1);
                    prop_assert_eq!(ints.get(ints.len()), 0);
                }
            }
            prop_assert!(Ints::open(&bytes[..7.min(bytes.len())], Version::V2).is_err());
        }
    }
}
