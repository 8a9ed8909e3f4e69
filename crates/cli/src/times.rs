//! Times as people write them: RFC 3339, epoch seconds, milliseconds or nanoseconds, `now`, `now-2h`.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::arguments::Range;
use crate::failure::Failure;

const SECOND_NS: i128 = 1_000_000_000;

/// The one reading of the clock by the command line; what asks for it gets the time as an argument.
#[expect(clippy::disallowed_methods, reason = "a client's `now-2h` means its own clock")]
pub(crate) fn now_ns() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX))
}

/// Start and end in epoch nanoseconds, where given.
pub(crate) fn bounds(range: &Range, now_ns: i64) -> Result<(Option<i64>, Option<i64>), Failure> {
    if let Some(last) = &range.last {
        let length = duration_ns(last).ok_or_else(|| {
            Failure::usage(format!("--last {last} is no length of time")).hint("use 90s, 15m, 3h or 2d")
        })?;
        return Ok((Some(now_ns.saturating_sub(length)), Some(now_ns)));
    }
    let bound = |name: &str, text: &Option<String>| -> Result<Option<i64>, Failure> {
        let Some(text) = text else { return Ok(None) };
        parse(text, now_ns).map(Some).ok_or_else(|| {
            Failure::usage(format!("--{name} {text} is no time")).hint(
                "use RFC 3339 (2026-01-31T09:03:00Z), epoch seconds, milliseconds or nanoseconds, or now-2h",
            )
        })
    };
    Ok((bound("from", &range.from)?, bound("to", &range.to)?))
}

/// A time in epoch nanoseconds.
pub(crate) fn parse(text: &str, now_ns: i64) -> Option<i64> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("now") {
        if rest.is_empty() {
            return Some(now_ns);
        }
        return match rest.strip_prefix('-') {
            Some(length) => now_ns.checked_sub(duration_ns(length)?),
            None => now_ns.checked_add(duration_ns(rest.strip_prefix('+')?)?),
        };
    }
    if let Ok(number) = text.parse::<i64>() {
        return epoch_ns(number);
    }
    if let Some((whole, fraction)) = text.split_once('.')
        && fraction.len() <= 9
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(seconds) = whole.parse::<i64>()
    {
        let fraction_ns: i64 = format!("{fraction:0<9}").parse().ok()?;
        return seconds.checked_mul(1_000_000_000)?.checked_add(fraction_ns);
    }
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos()).ok()
}

/// The unit shows in the size: as seconds, a number of milliseconds would lie tens of thousands of years ahead.
fn epoch_ns(number: i64) -> Option<i64> {
    let factor = match number.unsigned_abs() {
        0..=99_999_999_999 => SECOND_NS,
        100_000_000_000..=99_999_999_999_999 => 1_000_000,
        100_000_000_000_000..=99_999_999_999_999_999 => 1_000,
        _ => 1,
    };
    i64::try_from(i128::from(number) * factor).ok()
}

/// `90s`, `15m`, `3h`, `2d`, `1w`; `500ms` as well.
fn duration_ns(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit_ns: i64 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        "w" => 604_800_000_000_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit_ns)
}

/// Epoch seconds as a JSON number with as many digits as needed: a double would lose nanoseconds.
pub(crate) fn seconds_json(time_ns: i64) -> serde_json::Value {
    let (seconds, rest) = (time_ns.div_euclid(1_000_000_000), time_ns.rem_euclid(1_000_000_000));
    if rest == 0 { serde_json::json!(seconds) } else { serde_json::json!(seconds as f64 + rest as f64 / 1e9) }
}

/// RFC 3339 in UTC with milliseconds, for people.
pub(crate) fn show(time_ns: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(time_ns))
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| time_ns.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_600_000_000_000;

    #[test]
    fn times_are_read_as_people_write_them() {
        let day = 86_400_000_000_000;
        for (text, expected) in [
            ("now", Some(NOW)),
            ("now-1d", Some(NOW - day)),
            ("now+500ms", Some(NOW + 500_000_000)),
            ("1767225600", Some(NOW)),
            ("1767225600.5", Some(NOW + 500_000_000)),
            ("1767225600000", Some(NOW)),
            ("1767225600000000", Some(NOW)),
            ("1767225600000000000", Some(NOW)),
            ("0", Some(0)),
            ("2026-01-01T00:00:00Z", Some(NOW)),
            ("2026-01-01T01:00:00.000000001+01:00", Some(NOW + 1)),
            ("now-", None),
            ("now2h", None),
            ("now-2", None),
            ("2026-01-01", None),
            ("yesterday", None),
            ("", None),
            ("now-99999999999999999w", None),
            ("nowé", None),
        ] {
            assert_eq!(parse(text, NOW), expected, "{text}");
        }
    }

    #[test]
    fn a_range_counts_back_from_now() {
        let range = Range { last: Some("3h".to_owned()), ..Range::default() };
        assert_eq!(bounds(&range, NOW).unwrap(), (Some(NOW - 3 * 3_600_000_000_000), Some(NOW)));
        let range = Range { last: Some("3 hours".to_owned()), ..Range::default() };
        assert!(bounds(&range, NOW).unwrap_err().message().contains("3 hours"));
    }
}
