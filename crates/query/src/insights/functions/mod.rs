//! The functions of Logs Insights: one table by subject, whose entries carry usage and examples. The examples are executed
//! by this module's test; docs/reference/insights.md lists the same functions.
//!
//! What every function refuses: to fail. Whatever has no sensible value is missing, and text longer than
//! [`CALCULATED_TEXT_BYTES_MAX`] is none.

mod digest;
mod general;
mod ip;
mod json;
mod number;
pub(super) mod operators;
mod text;
mod time;

pub(super) use time::zone_minutes;

use std::borrow::Cow;

use skein_event::limits::CALCULATED_TEXT_BYTES_MAX;

use super::datum::Datum;
use super::period::Period;
use crate::expression::Pattern;

/// A function.
#[derive(Debug)]
pub struct Function {
    /// Its name, as it is written best. Case does not matter.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// Arguments it needs.
    pub least: usize,
    /// Arguments it takes.
    pub most: usize,
    /// How it is written.
    pub usage: &'static str,
    /// Which argument must be a literal, since it is read once.
    pub(super) literal: Takes,
    /// Expressions with the JSON of their values.
    pub examples: &'static [(&'static str, &'static str)],
    pub(super) run: Run,
}

/// Computes a value.
pub(super) type Run = fn(&Arguments<'_>) -> Datum;

/// What a function wants to know before it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Takes {
    Nothing,
    /// The argument of this place is a period.
    Period(usize),
    /// The argument of this place is a regular expression.
    Regex(usize),
}

/// What was read of a call before it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Extra {
    Nothing,
    Period(Period),
    Pattern(Pattern),
    /// The hundreds of a status class.
    Class(u8),
    /// The number of a capture.
    Place(usize),
}

/// The arguments of a call, by their places among the values that are computed.
pub(super) struct Arguments<'a> {
    pub(super) places: &'a [u32],
    pub(super) done: &'a [Datum],
    pub(super) extra: &'a Extra,
}

impl<'a> Arguments<'a> {
    /// An argument; one that was left out is missing.
    pub(super) fn get(&self, place: usize) -> &'a Datum {
        let value = self.places.get(place).and_then(|&step| self.done.get(step as usize));
        value.unwrap_or(&Datum::Missing)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'a Datum> + '_ {
        (0..self.len()).map(|place| self.get(place))
    }

    pub(super) fn text(&self, place: usize) -> Option<Cow<'a, str>> {
        self.get(place).as_text()
    }

    pub(super) fn f64(&self, place: usize) -> Option<f64> {
        self.get(place).as_f64()
    }

    pub(super) fn period(&self) -> Option<Period> {
        match self.extra {
            Extra::Period(period) => Some(*period),
            _ => None,
        }
    }
}

/// A text unless it is too long.
pub(super) fn bounded(text: String) -> Datum {
    if text.len() > CALCULATED_TEXT_BYTES_MAX { Datum::Missing } else { Datum::from(text) }
}

/// An entry of a table.
const fn function(
    name: &'static str,
    count: (usize, usize),
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
    run: Run,
) -> Function {
    let (least, most) = count;
    Function { name, aliases: &[], least, most, usage, literal: Takes::Nothing, examples, run }
}

const ANY: usize = usize::MAX;

/// Every function by subject, in the order of the documentation.
pub const GROUPS: &[(&str, &[Function])] = &[
    ("numbers", number::FUNCTIONS),
    ("general", general::FUNCTIONS),
    ("JSON", json::FUNCTIONS),
    ("text", text::FUNCTIONS),
    ("times", time::FUNCTIONS),
    ("addresses", ip::FUNCTIONS),
];

/// Every function.
pub fn all() -> impl Iterator<Item = &'static Function> {
    GROUPS.iter().flat_map(|(_, functions)| functions.iter())
}

/// The function of a name, whatever its case.
pub(super) fn by_name(name: &str) -> Option<&'static Function> {
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    all().find(|function| is(&function.name) || function.aliases.iter().any(is))
}
