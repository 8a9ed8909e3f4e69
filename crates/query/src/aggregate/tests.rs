//! What each aggregate makes of weighted values, and that merging equals adding.

use super::*;
use crate::plan::Percentile;

fn finish(operation: Operation, numbers: &[(Number, f64)]) -> (CellValue, Remarks) {
    let mut state = State::new(operation, true);
    for &(number, weight) in numbers {
        state.add_event(if operation == Operation::Count { weight } else { 1.0 });
        state.add_number(number, weight);
    }
    let (cell, remarks) = state.finish();
    (cell.value, remarks)
}

const WHOLE: [(Number, f64); 3] = [(Number::I64(1), 2.0), (Number::I64(5), 1.0), (Number::I64(-3), 4.0)];

#[test]
fn aggregates_are_weighted() {
    assert_eq!(finish(Operation::Count, &WHOLE).0, CellValue::I64(7));
    assert_eq!(finish(Operation::Sum, &WHOLE).0, CellValue::I64(2 + 5 - 12));
    assert_eq!(finish(Operation::Avg, &WHOLE).0, CellValue::F64(-5.0 / 7.0));
    let median = Operation::Percentile(Percentile(500));
    assert_eq!(finish(median, &WHOLE).0, CellValue::F64(-3.0));
}

#[test]
fn least_and_largest_are_not_weighted() {
    assert_eq!(finish(Operation::Min, &WHOLE).0, CellValue::I64(-3));
    assert_eq!(finish(Operation::Max, &WHOLE).0, CellValue::I64(5));
    let mixed = [(Number::F64(f64::NAN), 1.0), (Number::F64(-0.0), 1.0)];
    assert_eq!(finish(Operation::Max, &mixed).0, CellValue::F64(0.0));
    assert_eq!(finish(Operation::Min, &mixed[..1]).0, CellValue::Missing);
}

#[test]
fn a_count_is_whole_while_its_weights_are() {
    let mut state = State::new(Operation::Count, true);
    state.add_event(2.0);
    assert_eq!(state.finish().0.value, CellValue::I64(2));
    state.add_event(1.5);
    assert_eq!(state.finish().0.value, CellValue::F64(3.5));
    assert_eq!(State::new(Operation::Count, true).finish().0.value, CellValue::I64(0));
}

#[test]
fn an_integer_sum_that_overflows_becomes_a_double_and_says_so() {
    let large = [(Number::I64(i64::MAX), 1.0), (Number::I64(i64::MAX), 1.0)];
    let (value, remarks) = finish(Operation::Sum, &large);
    assert_eq!(value, CellValue::F64(18_446_744_073_709_551_614.0));
    assert!(remarks.overflowed);
    // What leaves i64 on the way and comes back does not overflow.
    let back = [large[0], large[1], (Number::I64(-i64::MAX), 1.0)];
    assert_eq!(finish(Operation::Sum, &back), (CellValue::I64(i64::MAX), Remarks::default()));
    assert_eq!(finish(Operation::Sum, &[]).0, CellValue::Missing);
}

#[test]
fn small_numbers_are_not_lost_beside_large_ones() {
    let numbers = [1e16, 1.0, 1.0, -1e16].map(|value| (Number::F64(value), 1.0));
    assert_eq!(finish(Operation::Sum, &numbers).0, CellValue::F64(2.0));
    let infinite = [(Number::F64(f64::INFINITY), 1.0), (Number::F64(1.0), 1.0)];
    assert_eq!(finish(Operation::Sum, &infinite).0, CellValue::F64(f64::INFINITY));
}

#[test]
fn sampled_values_claim_no_interval() {
    let mut state = State::new(Operation::Count, true);
    state.add_event(1.0);
    let exact = state.finish().0.stats;
    assert_eq!((exact.lo95, exact.hi95, exact.exact, exact.reliable), (Some(1.0), Some(1.0), true, true));
    state.add_event(10.0);
    let sampled = state.finish().0.stats;
    assert_eq!((sampled.lo95, sampled.hi95, sampled.exact, sampled.reliable), (None, None, false, false));
}

/// Two hundred traces of a value each, of which one in ten was kept: from a list of all values, from a sketch.
#[test]
fn a_sampled_percentile_lies_between_two_values() {
    for exact in [true, false] {
        let mut state = State::new(Operation::Percentile(Percentile(500)), exact);
        for trace in 0..200_i32 {
            let unit = skein_event::hash::HashKey(1).hash(&trace.to_le_bytes());
            state.add_number(Number::I64(i64::from(trace) + 1), Draw::of(10.0, unit));
        }
        let (cell, _) = state.finish();
        let stats = cell.stats;
        assert_eq!((stats.exact, stats.reliable, stats.n_traces), (false, true, Some(200)), "{exact}");
        // A share of a half, give or take 1.97·√(0.25·0.9/200).
        let (Some(low), Some(high)) = (stats.lo95, stats.hi95) else { panic!("{stats:?}") };
        assert!((80.0..92.0).contains(&low) && (109.0..122.0).contains(&high), "{exact}: {stats:?}");
    }
}

/// Traces of eight values each, of which one in a hundred is large: the sum of all hides it, the mean does not.
#[test]
fn many_values_of_a_trace_do_not_hide_their_tail() {
    let claims = |large: fn(i32) -> f64| {
        let mut state = State::new(Operation::Sum, true);
        for trace in 0..300_i32 {
            let unit = skein_event::hash::HashKey(1).hash(&trace.to_le_bytes());
            for place in 0..8 {
                let value = 1.0 + f64::from((trace * 31 + place * 17) % 10) / 10.0;
                state.add_number(
                    Number::F64(value + if place == 0 { large(trace) } else { 0.0 }),
                    Draw::of(10.0, unit),
                );
            }
        }
        state.finish().0.stats.reliable
    };
    assert!(claims(|_| 0.0));
    assert!(!claims(|trace| if trace % 50 == 0 { 8.0 } else { 0.0 }));
}

/// Of what was kept with no probability that is known nothing is claimed, whatever else there is.
#[test]
fn one_event_of_no_known_probability_is_enough_to_claim_nothing() {
    let mut state = State::new(Operation::Count, true);
    for trace in 0..100_i32 {
        let unit = skein_event::hash::HashKey(1).hash(&trace.to_le_bytes());
        state.add_event(Draw::of(10.0, unit));
    }
    assert!(state.finish().0.stats.reliable);
    let mut other = State::new(Operation::Count, true);
    other.add_event(Draw::Unknown { weight: 1.0 });
    state.merge(&other);
    let stats = state.finish().0.stats;
    assert_eq!((stats.exact, stats.reliable, stats.lo95, stats.hi95), (false, false, None, None));
}

#[test]
fn a_sketch_states_its_error() {
    let mut state = State::new(Operation::Percentile(Percentile(500)), false);
    state.add_number(Number::I64(100), 1.0);
    let stats = state.finish().0.stats;
    assert_eq!((stats.lo95, stats.hi95, stats.exact), (Some(99.0), Some(101.0), false));
}

#[test]
fn merging_equals_adding() {
    for (_, operation) in crate::plan::OPERATIONS {
        let add = |state: &mut State, step: i64| {
            state.add_event(2.0);
            state.add_hash(step.unsigned_abs() % 17, 2.0);
            state.add_number(Number::I64(step * 31 % 101), 2.0);
        };
        let mut all = State::new(*operation, true);
        let mut left = State::new(*operation, true);
        let mut right = State::new(*operation, true);
        for step in 0..500 {
            add(&mut all, step);
            add(if step < 200 { &mut left } else { &mut right }, step);
        }
        left.merge(&right);
        assert_eq!(left.finish(), all.finish(), "{operation:?}");
        assert_eq!(left.extent(), all.extent());
    }
}
