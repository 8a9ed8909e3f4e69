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
