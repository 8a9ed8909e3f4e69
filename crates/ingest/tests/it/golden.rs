//! The golden set comes out as it went in, through both doors.

use crate::golden_set::{logs, metrics, pairwise, spans};
use crate::round_trip::check;

#[test]
fn every_pair_of_span_fields_comes_out() {
    spans(&mut |request| check(&request));
}

#[test]
fn every_pair_of_log_fields_comes_out() {
    logs(&mut |request| check(&request));
}

#[test]
fn every_pair_of_metric_fields_comes_out() {
    metrics(&mut |request| check(&request));
}

#[test]
fn pairs_are_covered() {
    let rows = pairwise(&[4, 3, 2, 5]);
    for a in 0..4 {
        assert!((0..5).all(|d| rows.iter().any(|row| row[0] == a && row[3] == d)));
        assert!((0..2).all(|c| rows.iter().any(|row| row[0] == a && row[2] == c)));
    }
    assert!(rows.len() < 4 * 3 * 2 * 5);
}
