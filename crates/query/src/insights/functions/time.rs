//! Times. A number is milliseconds since the epoch; zones are UTC or a fixed offset, since no table of zones is kept.

use super::{Arguments, Function, Takes, function};
use crate::expression::instant;
use crate::insights::datum::{Datum, milliseconds};
use crate::insights::period::days_of_month;
use crate::number::Number;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        literal: Takes::Period(1),
        ..function(
            "datefloor",
            (2, 2),
            "datefloor(time, period)",
            &[("datefloor(fromMillis(1709287651000), 5m)", "\"2024-03-01T10:05:00.000000000Z\"")],
            |a| {
                let floor = a.period().zip(a.get(0).as_time()).and_then(|(period, time)| period.floor(time));
                floor.map_or(Datum::Missing, Datum::Time)
            },
        )
    },
    Function {
        literal: Takes::Period(1),
        ..function(
            "dateceil",
            (2, 2),
            "dateceil(time, period)",
            &[("dateceil(fromMillis(1709287651000), 1h)", "\"2024-03-01T11:00:00.000000000Z\"")],
            |a| {
                let ceil = a.period().zip(a.get(0).as_time()).and_then(|(period, time)| period.ceil(time));
                ceil.map_or(Datum::Missing, Datum::Time)
            },
        )
    },
    function(
        "fromMillis",
        (1, 1),
        "fromMillis(number)",
        &[("fromMillis(0)", "\"1970-01-01T00:00:00.000000000Z\"")],
        |a| a.get(0).as_time().map_or(Datum::Missing, Datum::Time),
    ),
    function(
        "toMillis",
        (1, 1),
        "toMillis(time)",
        &[("toMillis(fromMillis(1500))", "1500"), ("toMillis(\"1970-01-01T00:00:01Z\")", "1000")],
        |a| match a.get(0).as_time().map(milliseconds) {
            Some(Number::I64(whole)) => Datum::I64(whole),
            Some(Number::F64(fraction)) => Datum::F64(fraction),
            None => Datum::Missing,
        },
    ),
    function(
        "parseDate",
        (2, 3),
        "parseDate(text, pattern, [zone])",
        &[
            ("parseDate(\"2024-03-01 10:07:31\", \"yyyy-MM-dd HH:mm:ss\")", "1709287651000"),
            ("parseDate(\"01/Mar/2024:10:07:31 +0200\", \"dd/MMM/yyyy:HH:mm:ss Z\")", "1709280451000"),
            ("parseDate(\"2024-03-01 10\", \"yyyy-MM-dd HH\", \"+01:00\")", "1709283600000"),
            ("parseDate(\"x\", \"yyyy\")", "null"),
        ],
        parse_date,
    ),
    Function {
        aliases: &["strftime"],
        ..function(
            "formatDate",
            (2, 3),
            "formatDate(time, \"%Y-%m-%d\", [zone])",
            &[
                ("formatDate(fromMillis(1709287651000), \"%Y/%m/%d %H:%M\")", "\"2024/03/01 10:07\""),
                ("strftime(1709287651000, \"%H\", \"+02:00\")", "\"12\""),
            ],
            format_date,
        )
    },
];

/// Minutes east of Greenwich that a zone says.
pub(in crate::insights) fn zone_minutes(zone: &str) -> Option<i64> {
    if matches!(zone, "" | "Z" | "z") || zone.eq_ignore_ascii_case("utc") || zone.eq_ignore_ascii_case("gmt")
    {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = match digits.len() {
        2 => (digits.parse::<u8>().ok()?, 0),
        4 => (digits.get(..2)?.parse::<u8>().ok()?, digits.get(2..)?.parse::<u8>().ok()?),
        _ => return None,
    };
    Some(sign * (i64::from(hours) * 60 + i64::from(minutes)))
}

fn format_date(arguments: &Arguments<'_>) -> Datum {
    let (Some(time_ns), Some(format)) = (arguments.get(0).as_time(), arguments.text(1)) else {
        return Datum::Missing;
    };
    let zone = arguments.text(2).map_or(Some(0), |zone| zone_minutes(&zone));
    let local = zone.and_then(|minutes| time_ns.checked_add(minutes.checked_mul(60_000_000_000)?));
    let text = local
        .and_then(|local| instant::write(&instant::format(&format).ok()?, instant::seconds_of_ns(local)));
    text.map_or(Datum::Missing, Datum::from)
}

/// What was read of a date.
#[derive(Default)]
struct Parts {
    year: Option<i64>,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    milliseconds: i64,
    afternoon: Option<bool>,
    zone: Option<i64>,
}

fn parse_date(arguments: &Arguments<'_>) -> Datum {
    let (Some(text), Some(pattern)) = (arguments.text(0), arguments.text(1)) else { return Datum::Missing };
    let Some(zone) = arguments.text(2).map_or(Some(0), |zone| zone_minutes(&zone)) else {
        return Datum::Missing;
    };
    parse(&text, &pattern, zone).map_or(Datum::Missing, Datum::I64)
}

/// Milliseconds of a date written by a pattern of Java's; `None` when it is not.
fn parse(text: &str, pattern: &str, zone: i64) -> Option<i64> {
    let mut parts = Parts { month: 1, day: 1, ..Parts::default() };
    let mut rest = text;
    let mut pattern = pattern.chars().peekable();
    while let Some(letter) = pattern.next() {
        if letter == '\'' {
            let mut literal = String::new();
            for c in pattern.by_ref().take_while(|c| *c != '\'') {
                literal.push(c);
            }
            rest = rest.strip_prefix(if literal.is_empty() { "'" } else { &literal })?;
        } else if letter.is_ascii_alphabetic() {
            let mut count = 1;
            while pattern.next_if_eq(&letter).is_some() {
                count += 1;
            }
            let next_is_letter = pattern.peek().is_some_and(char::is_ascii_alphabetic);
            rest = parts.field(letter, count, next_is_letter, rest)?;
        } else {
            rest = rest.strip_prefix(letter)?;
        }
    }
    if rest.is_empty() { parts.milliseconds(zone) } else { None }
}

/// Takes digits: exactly so many when another field follows right away, otherwise as many as there are.
fn digits(text: &str, count: usize, exact: bool) -> Option<(i64, usize, &str)> {
    let most = if exact { count } else { 10 };
    let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let number = text.get(..length)?.parse().ok()?;
    Some((number, length, &text[length..]))
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl Parts {
    fn field<'t>(&mut self, letter: char, count: usize, exact: bool, text: &'t str) -> Option<&'t str> {
        let word = || {
            let length = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
            text.split_at(length)
        };
        if letter == 'M' && count >= 3 {
            let (name, rest) = word();
            let name = name.to_lowercase();
            let month = MONTHS.iter().position(|month| name.len() >= 3 && month.starts_with(&name))?;
            self.month = i64::try_from(month).ok()? + 1;
            return Some(rest);
        }
        match letter {
            'E' => return Some(word().1),
            'a' => {
                let (name, rest) = word();
                self.afternoon = Some(name.eq_ignore_ascii_case("pm"));
                return Some(rest);
            }
            'z' | 'Z' | 'X' | 'x' => {
                let ends = |c: char| !(c.is_alphanumeric() || matches!(c, '+' | '-' | ':'));
                let length = text.find(ends).unwrap_or(text.len());
                self.zone = Some(zone_minutes(&text[..length]).filter(|_| length > 0)?);
                return Some(&text[length..]);
            }
            _ => {}
        }
        let (number, length, rest) = digits(text, count, exact)?;
        match letter {
            'y' | 'u' if count == 2 && length == 2 => self.year = Some(2_000 + number),
            'y' | 'u' => self.year = Some(number),
            'M' => self.month = number,
            'd' => self.day = number,
            'H' | 'h' | 'K' | 'k' => self.hour = number,
            'm' => self.minute = number,
            's' => self.second = number,
            'S' => {
                // A fraction of a second, whatever its digits.
                let digits: String = text.chars().take(length).chain("000".chars()).take(3).collect();
                self.milliseconds = digits.parse().ok()?;
            }
            _ => return None,
        }
        Some(rest)
    }

    fn milliseconds(&self, zone: i64) -> Option<i64> {
        let hour = match self.afternoon {
            Some(afternoon) if (1..=12).contains(&self.hour) => {
                self.hour % 12 + if afternoon { 12 } else { 0 }
            }
            Some(_) => return None,
            None => self.hour,
        };
        let months = self.year.filter(|year| (0..10_000).contains(year))? * 12 + self.month - 1;
        let length = days_of_month(months + 1) - days_of_month(months);
        let fits = (1..=12).contains(&self.month)
            && (1..=length).contains(&self.day)
            && hour < 24
            && self.minute < 60
            && self.second < 60;
        let minutes = (days_of_month(months) + self.day - 1) * 1_440 + hour * 60 + self.minute;
        let minutes = minutes - self.zone.unwrap_or(zone);
        fits.then_some((minutes * 60 + self.second) * 1_000 + self.milliseconds)
    }
}
