//! Times of expressions: read by their form, and written field by field, from dates that are counted day by day.

use crate::reference::execute::{civil, time_text};

/// A time in RFC 3339, by its form first and its meaning then.
pub(super) fn rfc3339(text: &str) -> Option<f64> {
    let form = regex::Regex::new(
        r"^([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))$",
    )
    .expect("a pattern");
    let groups = form.captures(text)?;
    let number = |group: usize| groups.get(group).map_or(0, |g| g.as_str().parse::<i64>().expect("digits"));
    let (year, month, day) = (number(1), number(2), number(3));
    if number(4) > 23 || number(5) > 59 || number(6) > 59 || number(9) > 23 || number(10) > 59 {
        return None;
    }
    // Days are counted until the date comes up.
    let mut days = (year - 1970) * 365 + (year - 1970) / 4 - 20;
    let wanted = (year, month, day);
    let last = days + 420;
    while civil(days) < wanted && days < last {
        days += 1;
    }
    while civil(days) > wanted && days > last - 840 {
        days -= 1;
    }
    if civil(days) != wanted {
        return None;
    }
    let mut offset = (number(9) * 60 + number(10)) * 60;
    if groups.get(8).is_some_and(|sign| sign.as_str() == "-") {
        offset = -offset;
    }
    let digits: String =
        groups.get(7).map_or("", |g| &g.as_str()[1..]).chars().chain("000000000".chars()).take(9).collect();
    let seconds = days * 86_400 + number(4) * 3_600 + number(5) * 60 + number(6) - offset;
    #[expect(clippy::cast_precision_loss, reason = "seconds are doubles in this language")]
    Some(seconds as f64 + digits.parse::<f64>().expect("digits") / 1e9)
}

/// A time written out, from the text that [`time_text`] makes of it where its nanoseconds fit.
#[expect(clippy::too_many_lines, reason = "a catalogue of fields")]
pub(super) fn strftime(format: &str, seconds: f64) -> Option<String> {
    if !(-62_167_219_200.0..253_402_300_800.0).contains(&seconds) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
    let (whole, nanos) = (seconds.floor() as i64, ((seconds - seconds.floor()) * 1e9).floor() as i64);
    let nanos = nanos.min(999_999_999);
    let (days, of_day) = (whole.div_euclid(86_400), whole.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    // The time of day, of a day that surely fits.
    let clock = time_text(of_day * 1_000_000_000 + nanos);
    let (hour, minute, second, fraction) = (&clock[11..13], &clock[14..16], &clock[17..19], &clock[20..29]);
    let names = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let weekday = names[usize::try_from(days.rem_euclid(7)).expect("small")];
    let months = [
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
    let month_name = months[usize::try_from(month - 1).expect("a month")];
    let mut first = days;
    while civil(first) > (year, 1, 1) {
        first -= 1;
    }
    let hours: i64 = hour.parse().expect("digits");
    let of_week = 1 + ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
        .iter()
        .position(|name| *name == weekday)
        .expect("a day");
    let mut out = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let field = match characters.next().expect("a field") {
            '%' => "%".to_owned(),
            'n' => "\n".to_owned(),
            't' => "\t".to_owned(),
            'Y' => format!("{year:04}"),
            'C' => format!("{year:04}")[..2].to_owned(),
            'y' => format!("{year:04}")[2..].to_owned(),
            'm' => format!("{month:02}"),
            'B' => month_name.to_owned(),
            'b' => month_name[..3].to_owned(),
            'd' => format!("{day:02}"),
            'e' => format!("{day:>2}"),
            'j' => format!("{:03}", days - first + 1),
            'H' => hour.to_owned(),
            'I' => format!("{:02}", if hours % 12 == 0 { 12 } else { hours % 12 }),
            'M' => minute.to_owned(),
            'S' => second.to_owned(),
            'L' => fraction[..3].to_owned(),
            'f' => fraction[..6].to_owned(),
            'N' => fraction.to_owned(),
            'p' => (if hours >= 12 { "PM" } else { "AM" }).to_owned(),
            'A' => weekday.to_owned(),
            'a' => weekday[..3].to_owned(),
            'u' => of_week.to_string(),
            'w' => (of_week % 7).to_string(),
            'F' => format!("{year:04}-{month:02}-{day:02}"),
            'T' => clock[11..19].to_owned(),
            'R' => clock[11..16].to_owned(),
            'D' => format!("{month:02}/{day:02}/{}", &format!("{year:04}")[2..]),
            's' => whole.to_string(),
            'Z' => "UTC".to_owned(),
            'z' => "+0000".to_owned(),
            other => unreachable!("a field that is none: {other}"),
        };
        out.push_str(&field);
    }
    Some(out)
}
