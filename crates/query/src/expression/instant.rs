//! Times of expressions: seconds since the epoch, read from RFC 3339 and written by a format of strftime, in UTC.

/// Reads `YYYY-MM-DDThh:mm:ss[.fraction]` with `Z` or an offset, as seconds. Digits of the fraction beyond nine are cut.
/// `None` when it is none, or when there is no such time.
pub fn seconds_of_rfc3339(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let digits = |from: usize, count: usize| -> Option<i64> {
        let digits = bytes.get(from..from + count)?;
        digits.iter().try_fold(0, |number: i64, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let is = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|byte| any.contains(byte));
    let (year, month, day) = (digits(0, 4)?, digits(5, 2)?, digits(8, 2)?);
    let (hour, minute, second) = (digits(11, 2)?, digits(14, 2)?, digits(17, 2)?);
    let separated = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    let possible = (1..=12).contains(&month) && hour < 24 && minute < 60 && second < 60;
    if !separated || !possible || !(1..=days_of_month(year, month)).contains(&day) {
        return None;
    }
    let mut at = 19;
    let mut nanos: i64 = 0;
    if is(at, b".") {
        at += 1;
        let count = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        nanos = digits(at, count.min(9))? * 10_i64.pow(u32::try_from(9 - count.min(9)).ok()?);
        at += count;
    }
    let offset = if is(at, b"Zz") {
        at += 1;
        0
    } else if is(at, b"+-") {
        let (hours, minutes) = (digits(at + 1, 2)?, digits(at + 4, 2)?);
        if !is(at + 3, b":") || hours > 23 || minutes > 59 {
            return None;
        }
        let minutes = hours * 60 + minutes;
        let offset = if is(at, b"-") { -minutes } else { minutes };
        at += 6;
        offset * 60
    } else {
        return None;
    };
    if at != bytes.len() {
        return None;
    }
    let whole = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    Some(seconds(whole, nanos))
}

/// Nanoseconds since the epoch as seconds.
pub fn seconds_of_ns(time_ns: i64) -> f64 {
    seconds(time_ns.div_euclid(1_000_000_000), time_ns.rem_euclid(1_000_000_000))
}

/// Whole seconds and nanoseconds as a double: the same however they came about.
#[expect(clippy::cast_precision_loss, reason = "seconds are doubles in this language")]
fn seconds(whole: i64, nanos: i64) -> f64 {
    whole as f64 + nanos as f64 / 1e9
}

/// A piece of a format.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// Written as it is.
    Text(String),
    /// What stands behind a `%`.
    Field(char),
}

/// The fields that a format may have.
pub const FIELDS: &str = "YCymBbdejHIMSLfNpAauwFTRDsZz";

/// Reads a format of strftime; an error is what stands behind a `%` and means nothing.
pub fn format(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('%') => plain.push('%'),
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some(field) if FIELDS.contains(field) => {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Field(field));
            }
            other => return Err(other.map_or_else(String::new, String::from)),
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

/// Writes a time; `None` outside of the years 0 to 9999.
pub fn write(pieces: &[Piece], seconds: f64) -> Option<String> {
    // 0000-01-01 and 10000-01-01.
    const FIRST: f64 = -62_167_219_200.0;
    const END: f64 = 253_402_300_800.0;
    if !(FIRST..END).contains(&seconds) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
    let (whole, nanos) = {
        let whole = seconds.floor();
        (whole as i64, (((seconds - whole) * 1e9).floor() as i64).clamp(0, 999_999_999))
    };
    let time = Time::new(whole, nanos);
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(plain) => text.push_str(plain),
            Piece::Field(field) => time.field(*field, &mut text),
        }
    }
    Some(text)
}

/// A time in UTC.
struct Time {
    year: i64,
    month: i64,
    day: i64,
    /// Days since the epoch.
    days: i64,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    epoch: i64,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Time {
    fn new(epoch: i64, nanos: i64) -> Time {
        let (days, rest) = (epoch.div_euclid(86_400), epoch.rem_euclid(86_400));
        let (year, month, day) = date(days);
        Time {
            year,
            month,
            day,
            days,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
            nanos,
            epoch,
        }
    }

    fn field(&self, field: char, out: &mut String) {
        let name = |names: &[&'static str], place: i64| {
            usize::try_from(place).ok().and_then(|place| names.get(place)).copied().unwrap_or_default()
        };
        // The first of January 1970 was a Thursday.
        let weekday = (self.days + 4).rem_euclid(7);
        let hour12 = (self.hour + 11) % 12 + 1;
        let text = match field {
            'Y' => format!("{:04}", self.year),
            'C' => format!("{:02}", self.year / 100),
            'y' => format!("{:02}", self.year % 100),
            'm' => format!("{:02}", self.month),
            'B' => name(&MONTHS, self.month - 1).to_owned(),
            'b' => name(&MONTHS, self.month - 1).chars().take(3).collect(),
            'd' => format!("{:02}", self.day),
            'e' => format!("{:2}", self.day),
            'j' => format!("{:03}", self.days - days_since_epoch(self.year, 1, 1) + 1),
            'H' => format!("{:02}", self.hour),
            'I' => format!("{hour12:02}"),
            'M' => format!("{:02}", self.minute),
            'S' => format!("{:02}", self.second),
            'L' => format!("{:03}", self.nanos / 1_000_000),
            'f' => format!("{:06}", self.nanos / 1_000),
            'N' => format!("{:09}", self.nanos),
            'p' => (if self.hour < 12 { "AM" } else { "PM" }).to_owned(),
            'A' => name(&DAYS, weekday).to_owned(),
            'a' => name(&DAYS, weekday).chars().take(3).collect(),
            'u' => (if weekday == 0 { 7 } else { weekday }).to_string(),
            'w' => weekday.to_string(),
            'F' => format!("{:04}-{:02}-{:02}", self.year, self.month, self.day),
            'T' => format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second),
            'R' => format!("{:02}:{:02}", self.hour, self.minute),
            'D' => format!("{:02}/{:02}/{:02}", self.month, self.day, self.year % 100),
            's' => self.epoch.to_string(),
            'Z' => "UTC".to_owned(),
            'z' => "+0000".to_owned(),
            _ => String::new(),
        };
        out.push_str(&text);
    }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the epoch to a date. Years are counted from March, so that the leap day is the last of one; 146,097 days
/// make four hundred years.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day since the epoch: the inverse.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time_text::{format_ns, parse_ns};

    #[test]
    fn times_are_read_as_they_are_written() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("2030-03-17T17:46:40.250Z", 1_900_000_000.25),
            ("2030-03-17t19:46:40+02:00", 1_900_000_000.0),
            ("2030-03-17 12:16:40.0000000009-05:30", 1_900_000_000.0),
            ("2024-02-29T00:00:00Z", 1_709_164_800.0),
            ("0000-01-01T00:00:00Z", -62_167_219_200.0),
            ("9999-12-31T23:59:59Z", 253_402_300_799.0),
        ] {
            assert_eq!(seconds_of_rfc3339(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "2030-03-17",
            "2030-03-17T17:46:40",
            "2030-13-17T17:46:40Z",
            "2023-02-29T00:00:00Z",
            "2030-03-17T24:00:00Z",
            "2030-03-17T17:46:60Z",
            "2030-03-17T17:46:40.Z",
            "2030-03-17T17:46:40Zx",
            "2030-03-17T17:46:40+2:00",
            "２030-03-17T17:46:40Z",
            "-030-03-17T17:46:40Z",
            "2030-03-17T17:46:40+24:00",
        ] {
            assert_eq!(seconds_of_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn dates_agree_with_those_of_the_calendar_library() {
        let pieces = format("%FT%T.%NZ").expect("known fields");
        for day in (-20_000_i64..20_000).step_by(13) {
            let time_ns = day * 86_400_000_000_000 + 45_296_500_000_000;
            let text = format_ns(time_ns);
            assert_eq!(write(&pieces, seconds_of_ns(time_ns)).as_deref(), Some(text.as_str()));
            let read = seconds_of_rfc3339(&text).expect("a time");
            assert_eq!(read.to_bits(), seconds_of_ns(parse_ns(&text).expect("a time")).to_bits());
        }
    }

    #[test]
    fn every_field_is_written() {
        let fields: String = FIELDS.chars().map(|field| format!("%{field}|")).collect();
        let text = write(&format(&fields).expect("known fields"), 1_900_000_000.062_5);
        let expected = "2030|20|30|03|March|Mar|17|17|076|17|05|46|40|062|062500|062500000|PM|Sunday|Sun|7|0|2030-03-17|17:46:40|17:46|03/17/30|1900000000|UTC|+0000|";
        assert_eq!(text.as_deref(), Some(expected));
        assert_eq!(format("100%%%n"), Ok(vec![Piece::Text("100%\n".to_owned())]));
        assert_eq!(format("%Q"), Err("Q".to_owned()));
        assert_eq!(format("50%"), Err(String::new()));
        assert_eq!(write(&[], 253_402_300_800.0), None);
        assert_eq!(write(&[], f64::NAN), None);
    }
}
