//! `SOURCE`: which datasets, and of which time; and events that are older, of `stats … offset`.

use super::super::ast::{At, Source};
use super::super::datum::Datum;
use super::super::fields;
use super::super::functions::{Extra, by_name, operators};
use super::super::period::{Period, Unit};
use super::super::program::Step;
use super::Planner;
use crate::error::Location;
use crate::plan::{Named, TimeRange};
use crate::text::{Problem, Span};
use crate::time_text::parse_ns;

impl Planner<'_> {
    pub(super) fn source(&mut self, source: &Source) -> Result<(), Problem> {
        let named = |(name, At(span)): &(String, At)| Named {
            name: name.clone(),
            location: Location::Span { start: span.start, end: span.end },
        };
        if !source.names.is_empty() {
            self.datasets = source.names.iter().map(named).collect();
        }
        let mut any = None;
        for (prefix, At(span)) in &source.prefixes {
            let log = fields::field(&mut self.scope.arena, &["@log".to_owned()], *span)?;
            let prefix = self.scope.arena.push(Step::Constant(Datum::from(prefix.as_str())), *span)?;
            let Some(starts) = by_name("startsWith") else { continue };
            let one = self.scope.arena.call(starts, vec![log, prefix], Extra::Nothing, *span)?;
            any = Some(match any {
                None => one,
                Some(any) => self.scope.arena.call(&operators::OR, vec![any, one], Extra::Nothing, *span)?,
            });
        }
        self.conditions.extend(any);
        self.edges(source)
    }

    /// `START` and `END` are the range, whatever else was asked for.
    fn edges(&mut self, source: &Source) -> Result<(), Problem> {
        let now_ns = self.resolver.now_ns();
        let edge = |edge: &Option<(String, At)>, otherwise: i64| match edge {
            None => Ok((otherwise, Span::default())),
            Some((text, At(span))) => {
                edge_ns(text, now_ns).map(|time_ns| (time_ns, *span)).ok_or_else(|| {
                    let problem =
                        Problem::new(*span, format!("`{}` is no time", crate::text::shortened(text)));
                    problem.hint("write seconds before now as -3600s, epoch seconds, or RFC 3339")
                })
            }
        };
        let (start_ns, at) = edge(&source.start, self.time_range.start_ns)?;
        let (end_ns, end_at) = edge(&source.end, self.time_range.end_ns)?;
        if source.start.is_none() && source.end.is_none() {
            return Ok(());
        }
        if start_ns >= end_ns {
            let span = if source.end.is_some() { end_at } else { at };
            return Err(Problem::new(span, "the range ends before it begins"));
        }
        self.set_range(TimeRange { start_ns, end_ns });
        Ok(())
    }

    fn set_range(&mut self, range: TimeRange) {
        self.time_range = range;
        self.resolver.set_range(range);
    }

    /// `stats … offset 1d`: the same question of events that are older by so much.
    pub(super) fn shift(&mut self, offset: Period, at: Span) -> Result<(), Problem> {
        let Some(length) = offset.fixed_ns() else {
            return Err(Problem::new(at, "an offset has a fixed length: no months"));
        };
        if !self.of_events() || self.shifted {
            let problem = Problem::new(at, "`offset` belongs to the first stats of a query");
            return Err(problem.hint("ask the same query without it, and compare the answers"));
        }
        self.shifted = true;
        let TimeRange { start_ns, end_ns } = self.time_range;
        self.time_range =
            TimeRange { start_ns: start_ns.saturating_sub(length), end_ns: end_ns.saturating_sub(length) };
        Ok(())
    }
}

/// The time that an edge says: relative to now when it has a unit, else epoch seconds, or milliseconds if it has as many
/// digits.
fn edge_ns(text: &str, now_ns: i64) -> Option<i64> {
    const MILLISECONDS_FROM: i64 = 100_000_000_000;
    let text = text.trim_matches(['\'', '"']);
    if let Some(time_ns) = parse_ns(text) {
        return Some(time_ns);
    }
    let unsigned = text.strip_prefix('-');
    let digits = unsigned.unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let number: i64 = digits.get(..end)?.parse().ok()?;
    let unit = match &digits[end..] {
        "" if unsigned.is_none() => {
            let scale = if number >= MILLISECONDS_FROM { 1_000_000 } else { 1_000_000_000 };
            return number.checked_mul(scale);
        }
        "" => Unit::Second,
        unit => Unit::of_name(unit)?,
    };
    let length = Period { count: 1, unit }.fixed_ns()?.checked_mul(number)?;
    if unsigned.is_some() { now_ns.checked_sub(length) } else { now_ns.checked_add(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_times() {
        const NOW: i64 = 1_700_000_000_000_000_000;
        for (text, expected) in [
            ("-3600s", Some(NOW - 3_600_000_000_000)),
            ("-5m", Some(NOW - 300_000_000_000)),
            ("0s", Some(NOW)),
            ("1700000000", Some(NOW)),
            ("1700000000000", Some(NOW)),
            ("'2023-11-14T22:13:20Z'", Some(NOW)),
            ("-3600", Some(NOW - 3_600_000_000_000)),
            ("yesterday", None),
            ("-1mo", None),
            ("", None),
            ("-99999999999999s", None),
        ] {
            assert_eq!(edge_ns(text, NOW), expected, "{text}");
        }
    }
}
