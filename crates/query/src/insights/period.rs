//! Periods of time, `5m` or `1mo`, and the calendar under `bin`, `datefloor` and `dateceil`: in UTC, a week begins on a
//! Monday, and a period of several months counts from January of year 0.

/// A period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Period {
    /// How many.
    pub count: u32,
    /// Of what.
    pub unit: Unit,
}

/// A unit of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// `ms`
    Millisecond,
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`
    Day,
    /// `w`
    Week,
    /// `mo`
    Month,
    /// `q`
    Quarter,
    /// `y`
    Year,
}

const DAY_NS: i64 = 86_400_000_000_000;

impl Unit {
    /// The names of each, the shortest first; all but the shortest may have an `s` behind them.
    pub const NAMES: [(&[&str], Unit); 9] = [
        (&["ms", "msec", "millisecond"], Unit::Millisecond),
        (&["s", "sec", "second"], Unit::Second),
        (&["m", "min", "minute"], Unit::Minute),
        (&["h", "hr", "hour"], Unit::Hour),
        (&["d", "day"], Unit::Day),
        (&["w", "week"], Unit::Week),
        (&["mo", "mon", "month"], Unit::Month),
        (&["q", "qtr", "quarter"], Unit::Quarter),
        (&["y", "yr", "year"], Unit::Year),
    ];

    /// The unit of a name, whatever its case.
    pub fn of_name(name: &str) -> Option<Unit> {
        let name = name.to_ascii_lowercase();
        let is = |known: &str| name == known || (known.len() > 1 && name.strip_suffix('s') == Some(known));
        Self::NAMES.iter().find(|(names, _)| names.iter().any(|known| is(known))).map(|(_, unit)| *unit)
    }

    fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, unit)| *unit == self)
            .and_then(|(names, _)| names.first())
            .map_or("", |n| n)
    }

    /// Its length; `None` of months, which differ.
    fn ns(self) -> Option<i64> {
        Some(match self {
            Unit::Millisecond => 1_000_000,
            Unit::Second => 1_000_000_000,
            Unit::Minute => 60_000_000_000,
            Unit::Hour => 3_600_000_000_000,
            Unit::Day => DAY_NS,
            Unit::Week => 7 * DAY_NS,
            Unit::Month | Unit::Quarter | Unit::Year => return None,
        })
    }

    fn months(self) -> i64 {
        match self {
            Unit::Quarter => 3,
            Unit::Year => 12,
            _ => 1,
        }
    }
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.count, self.unit.name())
    }
}

impl Period {
    /// Its length; `None` of months.
    pub fn fixed_ns(self) -> Option<i64> {
        self.unit.ns()?.checked_mul(i64::from(self.count))
    }

    /// Whether CloudWatch reads it as a shorter one: it caps the number of some units.
    pub(super) fn is_capped_by_cloudwatch(self) -> bool {
        match self.unit {
            Unit::Millisecond => self.count > 1_000,
            Unit::Second | Unit::Minute => self.count > 60,
            Unit::Hour => self.count > 24,
            _ => false,
        }
    }

    /// Its length when buckets of it begin at multiples of it since the epoch.
    pub(super) fn epoch_aligned_ns(self) -> Option<i64> {
        // The epoch was a Thursday.
        self.fixed_ns().filter(|_| self.unit != Unit::Week)
    }

    /// The beginning of the period that a time lies in.
    pub(super) fn floor(self, time_ns: i64) -> Option<i64> {
        if let Some(length) = self.fixed_ns() {
            let offset = if self.unit == Unit::Week { 4 * DAY_NS } else { 0 };
            let since = time_ns.checked_sub(offset)?;
            return since.div_euclid(length).checked_mul(length)?.checked_add(offset);
        }
        let length = i64::from(self.count) * self.unit.months();
        let (year, month) = year_and_month(time_ns.div_euclid(DAY_NS));
        let first = (year * 12 + month).div_euclid(length) * length;
        days_of_month(first).checked_mul(DAY_NS)
    }

    /// The beginning of the next period, or the time itself when it begins one.
    pub(super) fn ceil(self, time_ns: i64) -> Option<i64> {
        let floor = self.floor(time_ns)?;
        if floor == time_ns {
            return Some(floor);
        }
        if let Some(length) = self.fixed_ns() {
            return floor.checked_add(length);
        }
        let (year, month) = year_and_month(floor.div_euclid(DAY_NS));
        days_of_month(year * 12 + month + i64::from(self.count) * self.unit.months()).checked_mul(DAY_NS)
    }
}

/// The day since the epoch on which a month begins, counted from January of year 0.
pub(super) fn days_of_month(months: i64) -> i64 {
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12));
    // Years from March on, so that the leap day is the last of one; 146,097 days make four hundred.
    let year = if month < 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 10) % 12) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The year, and the month from 0, of a day since the epoch.
fn year_and_month(days: i64) -> (i64, i64) {
    let mut year = 1_969 + days.div_euclid(365);
    while days_of_month((year + 1) * 12) <= days {
        year += 1;
    }
    let month = (1..12).take_while(|month| days_of_month(year * 12 + month) <= days).count();
    (year, i64::try_from(month).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time_text::{format_ns, parse_ns};

    #[test]
    fn periods_begin_where_the_calendar_says() {
        for (period, time, floor, ceil) in [
            ((5, Unit::Minute), "2024-03-01T10:07:31Z", "2024-03-01T10:05:00", "2024-03-01T10:10:00"),
            ((1, Unit::Week), "2024-03-01T10:07:31Z", "2024-02-26T00:00:00", "2024-03-04T00:00:00"),
            ((1, Unit::Month), "2024-02-29T23:59:59Z", "2024-02-01T00:00:00", "2024-03-01T00:00:00"),
            ((1, Unit::Quarter), "2024-12-31T23:59:59Z", "2024-10-01T00:00:00", "2025-01-01T00:00:00"),
            ((1, Unit::Year), "1969-12-31T23:59:59Z", "1969-01-01T00:00:00", "1970-01-01T00:00:00"),
            ((2, Unit::Month), "2024-02-15T00:00:00Z", "2024-01-01T00:00:00", "2024-03-01T00:00:00"),
            ((1, Unit::Day), "2024-03-01T00:00:00Z", "2024-03-01T00:00:00", "2024-03-01T00:00:00"),
        ] {
            let period = Period { count: period.0, unit: period.1 };
            let time_ns = parse_ns(time).expect("a time");
            let text = |time: Option<i64>| format_ns(time.expect("in range"));
            assert_eq!(text(period.floor(time_ns)), format!("{floor}.000000000Z"), "{period} {time}");
            assert_eq!(text(period.ceil(time_ns)), format!("{ceil}.000000000Z"), "{period} {time}");
        }
        let year = Period { count: 1, unit: Unit::Year };
        assert_eq!(year.floor(i64::MIN), None, "before the first time there is");
        assert!(year.ceil(i64::MAX).is_none());
    }

    #[test]
    fn units_have_their_names() {
        for (name, unit) in [
            ("ms", Unit::Millisecond),
            ("mins", Unit::Minute),
            ("MO", Unit::Month),
            ("quarters", Unit::Quarter),
        ] {
            assert_eq!(Unit::of_name(name), Some(unit), "{name}");
        }
        assert_eq!(Unit::of_name("ss"), None);
    }
}
