//! Times as they come, and as they are filed (SEMANTICS.md, "Time").
//!
//! No time is ever a reason to reject a record: what makes no sense is kept as it came, flagged, and
//! exported again.

use skein_event::limits::FUTURE_NS_MAX;

/// Where a record is filed in time, and what must be kept beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Filed {
    /// `timestamp`.
    pub(crate) time_ns: i64,
    /// `meta.time_source`: the record's own time was 0.
    pub(crate) source: Option<&'static str>,
    /// `meta.time_raw`: the record's own time does not fit i64.
    pub(crate) raw: Option<u64>,
    /// `meta.time_out_of_range`.
    pub(crate) out_of_range: bool,
}

/// Files a record by its own time, else the time it was observed, else its arrival.
///
/// Protobuf times are unsigned: a negative one arrives as one beyond i64.
#[inline]
pub(crate) fn file(own: u64, observed: u64, arrival_ns: i64) -> Filed {
    if own == 0 {
        return stand_in(observed, arrival_ns);
    }
    match i64::try_from(own) {
        Ok(time_ns) => {
            let out_of_range = time_ns > arrival_ns.saturating_add(FUTURE_NS_MAX);
            Filed { time_ns, source: None, raw: None, out_of_range }
        }
        Err(_) => Filed { time_ns: arrival_ns, source: None, raw: Some(own), out_of_range: true },
    }
}

fn stand_in(observed: u64, arrival_ns: i64) -> Filed {
    match i64::try_from(observed) {
        Ok(time_ns) if time_ns != 0 => {
            let out_of_range = time_ns > arrival_ns.saturating_add(FUTURE_NS_MAX);
            Filed { time_ns, source: Some("observed"), raw: None, out_of_range }
        }
        _ => Filed { time_ns: arrival_ns, source: Some("arrival"), raw: None, out_of_range: false },
    }
}

/// A span's duration in nanoseconds; `Err` when start plus duration would not give the end back, so that the
/// end must be kept as it came.
#[inline]
pub(crate) fn duration(start: u64, end: u64) -> Result<i64, i64> {
    // Without a start the end alone says nothing about a duration.
    if start == 0 && end != 0 {
        return Err(0);
    }
    end.checked_sub(start).and_then(|duration| i64::try_from(duration).ok()).ok_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARRIVAL: i64 = 1_000_000_000_000;

    #[test]
    fn a_time_is_its_own_then_observed_then_arrival() {
        let plain = |time_ns, source| Filed { time_ns, source, raw: None, out_of_range: false };
        let cases = [
            (5, 7, plain(5, None)),
            (0, 7, plain(7, Some("observed"))),
            (0, 0, plain(ARRIVAL, Some("arrival"))),
            (0, u64::MAX, plain(ARRIVAL, Some("arrival"))),
        ];
        for (own, observed, filed) in cases {
            assert_eq!(file(own, observed, ARRIVAL), filed, "{own} {observed}");
        }
    }

    #[test]
    fn a_time_out_of_range_is_filed_under_arrival_and_kept() {
        let negative = (-5_i64).cast_unsigned();
        let filed = file(negative, 7, ARRIVAL);
        assert_eq!(filed, Filed { time_ns: ARRIVAL, source: None, raw: Some(negative), out_of_range: true });
    }

    #[test]
    fn a_day_ahead_is_the_limit() {
        let limit = ARRIVAL + FUTURE_NS_MAX;
        for (own, out_of_range) in [(limit, false), (limit + 1, true), (i64::MAX, true)] {
            let filed = file(own.cast_unsigned(), 0, ARRIVAL);
            assert_eq!(filed, Filed { time_ns: own, source: None, raw: None, out_of_range });
        }
    }

    #[test]
    fn durations_that_cannot_be_are_told() {
        let cases = [
            ((5, 7), Ok(2)),
            ((5, 5), Ok(0)),
            ((0, 0), Ok(0)),
            ((0, 7), Err(0)),
            ((7, 5), Err(0)),
            ((7, 0), Err(0)),
            ((1, u64::MAX), Err(0)),
        ];
        for ((start, end), expected) in cases {
            assert_eq!(duration(start, end), expected, "{start} {end}");
        }
    }
}
