//! The range of time and the granularity of a specification.

use super::limits;
use super::node::Object;
use crate::error::QueryError;
use crate::plan::TimeRange;
use crate::result::Warning;

/// Reads `start_time`, `end_time` and `time_range`, of which at most two may be there.
pub(super) fn time_range(object: &Object<'_>, now_ns: i64) -> Result<TimeRange, QueryError> {
    let seconds = |name: &str| object.get(name).map(|node| to_ns(&node)).transpose();
    let (start, end) = (seconds("start_time")?, seconds("end_time")?);
    let length = match object.get("time_range") {
        Some(node) => {
            let length = to_ns(&node)?;
            if length <= 0 {
                return Err(node.error("the range must be longer than 0 seconds"));
            }
            if start.is_some() && end.is_some() {
                let error = node.error("start_time, end_time and time_range do not go together");
                return Err(error.hint("leave one of the three out"));
            }
            length
        }
        None => to_whole_ns(limits::TIME_RANGE_DEFAULT_S).unwrap_or_default(),
    };
    let (start_ns, end_ns) = match (start, end) {
        (Some(start), Some(end)) => (start, end),
        // A start alone reaches to now; with a length it reaches so far.
        (Some(start), None) if object.get("time_range").is_none() => (start, now_ns),
        (Some(start), None) => (start, start.saturating_add(length)),
        (None, end) => {
            // An event of this very nanosecond belongs to "until now".
            let end = end.unwrap_or_else(|| now_ns.saturating_add(1));
            (end.saturating_sub(length), end)
        }
    };
    if start_ns >= end_ns {
        let name = if end.is_some() { "end_time" } else { "start_time" };
        let error = object.error("the range of time is empty: it ends at or before its start");
        let error = match object.get(name) {
            Some(node) => error.at_path(node.path),
            None => error,
        };
        return Err(error.hint("end_time is exclusive and must be later than start_time"));
    }
    Ok(TimeRange { start_ns, end_ns })
}

/// Epoch seconds, fractions allowed, to the microsecond: a double near 2·10⁹ holds no more.
pub(super) fn to_ns(node: &super::node::Node<'_>) -> Result<i64, QueryError> {
    if let Some(whole) = node.value.as_i64() {
        let ns = whole.checked_mul(1_000_000_000);
        return ns.ok_or_else(|| out_of_range(node));
    }
    to_whole_ns(node.number()?).ok_or_else(|| out_of_range(node))
}

fn out_of_range(node: &super::node::Node<'_>) -> QueryError {
    let hint = "times are epoch seconds; milliseconds and nanoseconds have to be divided first";
    node.error("the time lies outside of the years 1677 to 2262").hint(hint)
}

fn to_whole_ns(seconds: f64) -> Option<i64> {
    let micros = (seconds * 1e6).round();
    // 2^63 ns in µs, rounded inwards.
    const MICROS_BOUND: f64 = 9.223_372_036_854_775e15;
    if !(-MICROS_BOUND..MICROS_BOUND).contains(&micros) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
    (micros as i64).checked_mul(1_000)
}

/// Reads `compare_time_offset_seconds`, in nanoseconds; 0 is none.
pub(super) fn compare_offset(
    object: &Object<'_>,
    range: TimeRange,
    of_rows: bool,
) -> Result<Option<i64>, QueryError> {
    let Some(node) = object.get("compare_time_offset_seconds") else { return Ok(None) };
    let seconds = node.number()?;
    if seconds == 0.0 {
        return Ok(None);
    }
    let offsets = limits::COMPARE_OFFSETS_S;
    let stated = node.value.as_i64().filter(|seconds| offsets.contains(seconds));
    let Some(offset_ns) = stated.map(|seconds| seconds * 1_000_000_000) else {
        let offsets: Vec<String> = offsets.iter().map(ToString::to_string).collect();
        let error = node.error("this is no offset that a range is compared over");
        return Err(error.hint(format!("the offsets are {} seconds", offsets.join(", "))));
    };
    if range.length_ns() > offset_ns.unsigned_abs() {
        let error =
            node.error("the range is longer than the offset, so that it would be compared with itself");
        return Err(error.hint("take a larger offset or a shorter range"));
    }
    if of_rows {
        return Err(node.error("raw rows (`\"calculations\": []`) are not compared with earlier ones"));
    }
    Ok(Some(offset_ns))
}

/// Reads `granularity`. `None` when there is none; 0 leaves the choice to us.
pub(super) fn granularity(
    object: &Object<'_>,
    range: TimeRange,
    warnings: &mut Vec<Warning>,
) -> Result<Option<i64>, QueryError> {
    let Some(node) = object.get("granularity") else { return Ok(None) };
    let seconds = node.number()?;
    if seconds < 0.0 {
        return Err(node.error("the granularity is a number of seconds, 0 or more"));
    }
    if seconds == 0.0 {
        return Ok(Some(automatic_granularity(range)));
    }
    let asked = to_whole_ns(seconds).unwrap_or(i64::MAX).max(1_000);
    let length = i64::try_from(range.length_ns()).unwrap_or(i64::MAX);
    let least = length / limits::SERIES_BUCKETS_MAX + i64::from(length % limits::SERIES_BUCKETS_MAX > 0);
    let moved = asked.clamp(least.min(length), length);
    if moved != asked {
        warnings.push(Warning {
            code: "granularity_moved",
            message: format!(
                "a granularity of {seconds} s does not suit the range; {} s is used",
                seconds_text(moved)
            ),
        });
    }
    Ok(Some(moved))
}

/// The granularity of a series that states none: the shortest round one that makes at most
/// [`limits::SERIES_BUCKETS_WANTED`] buckets.
pub(super) fn automatic_granularity(range: TimeRange) -> i64 {
    const ROUND_S: [i64; 20] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400,
        604_800, 2_592_000,
    ];
    let length = i64::try_from(range.length_ns()).unwrap_or(i64::MAX);
    let wanted = (length / limits::SERIES_BUCKETS_WANTED).max(1);
    let round = ROUND_S.iter().map(|seconds| seconds * 1_000_000_000).find(|&round| round >= wanted);
    // Below a second, and beyond the table, the range itself says how long a bucket is.
    match round {
        Some(round) if round <= length => round,
        Some(_) => wanted,
        None => length / limits::SERIES_BUCKETS_WANTED + 1,
    }
}

/// Nanoseconds as seconds, without digits that say nothing.
fn seconds_text(ns: i64) -> String {
    let text = format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
