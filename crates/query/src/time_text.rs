//! Times as text: RFC 3339 in UTC with nine digits, so that text order is the order of time.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `2023-01-29T08:58:00.000000000Z`.
pub fn format_ns(time_ns: i64) -> String {
    let Ok(time) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(time_ns)) else {
        return time_ns.to_string();
    };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.nanosecond()
    )
}

/// Reads RFC 3339 text; `None` when it is none or lies outside i64 nanoseconds.
pub fn parse_ns(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_time_lead_to_each_other() {
        for (time_ns, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1_674_982_680_123_456_789, "2023-01-29T08:58:00.123456789Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
        ] {
            assert_eq!(format_ns(time_ns), text);
            assert_eq!(parse_ns(text), Some(time_ns));
        }
        assert_eq!(parse_ns("2023-01-29"), None);
        assert_eq!(parse_ns("9999-01-01T00:00:00Z"), None);
    }
}
