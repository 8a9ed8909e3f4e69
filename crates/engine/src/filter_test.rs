//! How a test is made on the encoded values of one physical column.
//!
//! Of a dictionary each code is decided once: a short list of equal texts by their hashes, anything else by its text
//! when a row has it. A comparison of numbers becomes a range of what is stored, found by halving, since every encoding
//! of a number keeps the order: so rounding is that of the value itself.

use skein_query::number::ValueRef;
use skein_query::test::Matcher;
use skein_store::Error;

use crate::column::Part;
use crate::flat;

/// What is known about a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Unknown,
    Passes,
    Fails,
}

/// A test of one physical column.
#[derive(Clone, Debug)]
pub(crate) enum PartTest {
    /// By code, and how many codes are not decided yet.
    Codes { known: Vec<Verdict>, unknown: usize },
    /// Stored integers between these pass.
    Between(i64, i64),
    /// Doubles between these pass, NaN never.
    BetweenDoubles(f64, f64),
    /// False and true.
    Bools([bool; 2]),
    /// Every value passes.
    All,
    /// Value by value.
    Each,
}

impl PartTest {
    pub(crate) fn new(part: &Part<'_>, matcher: &Matcher) -> Result<PartTest, Error> {
        if matcher.is_existence() && !matcher.matches_missing() && part.always_has_value() {
            return Ok(PartTest::All);
        }
        if let Some(len) = part.dictionary_len() {
            let known = verdicts(part, matcher, len)?;
            return Ok(PartTest::Codes { unknown: count_unknown(&known), known });
        }
        if part.is_bool() {
            return Ok(PartTest::Bools([false, true].map(|value| matcher.matches(ValueRef::Bool(value)))));
        }
        if matcher.is_existence() && part.is_numeric() {
            return Ok(if matcher.matches_missing() { PartTest::Each } else { PartTest::All });
        }
        if !matcher.is_number_comparison() {
            return Ok(PartTest::Each);
        }
        if part.is_ordered_integers() {
            let milliseconds = part.is_milliseconds();
            let passes = |stored: i64| {
                matcher.matches(if milliseconds {
                    ValueRef::F64(flat::milliseconds(stored))
                } else {
                    ValueRef::I64(stored)
                })
            };
            return Ok(integers_between(passes));
        }
        if part.is_doubles() {
            let (least, most) = between_ranks(-INFINITY_RANK, INFINITY_RANK, |rank| {
                matcher.matches(ValueRef::F64(double_of_rank(rank)))
            });
            return Ok(if least > most {
                PartTest::BetweenDoubles(f64::INFINITY, f64::NEG_INFINITY)
            } else {
                PartTest::BetweenDoubles(double_of_rank(least), double_of_rank(most))
            });
        }
        Ok(PartTest::Each)
    }

    /// Whether bits pass, if that is known.
    #[inline]
    pub(crate) fn verdict(&self, bits: u64) -> Option<bool> {
        match self {
            PartTest::Codes { known, .. } => match known.get(usize::try_from(bits).ok()?)? {
                Verdict::Passes => Some(true),
                Verdict::Fails => Some(false),
                Verdict::Unknown => None,
            },
            PartTest::Between(least, most) => {
                let stored = bits.cast_signed();
                Some(*least <= stored && stored <= *most)
            }
            PartTest::BetweenDoubles(least, most) => {
                let value = f64::from_bits(bits);
                Some(*least <= value && value <= *most)
            }
            PartTest::Bools(passes) => Some(passes[usize::from(bits != 0)]),
            PartTest::All => Some(true),
            PartTest::Each => None,
        }
    }

    /// Whether a code between two may pass. Many codes are not looked through.
    pub(crate) fn any_between(&self, least: u32, most: u32) -> bool {
        const LOOKED_THROUGH: u32 = 256;
        match self {
            PartTest::Codes { known, .. } if most.saturating_sub(least) < LOOKED_THROUGH => {
                let between = known.get(least as usize..=most as usize);
                between.is_none_or(|known| known.iter().any(|verdict| *verdict != Verdict::Fails))
            }
            _ => true,
        }
    }

    /// Notes what was found of a code.
    pub(crate) fn learn(&mut self, bits: u64, passes: bool) {
        if let PartTest::Codes { known, unknown } = self
            && let Some(verdict) = usize::try_from(bits).ok().and_then(|code| known.get_mut(code))
        {
            *unknown -= usize::from(*verdict == Verdict::Unknown);
            *verdict = if passes { Verdict::Passes } else { Verdict::Fails };
        }
    }
}

pub(crate) fn count_unknown(known: &[Verdict]) -> usize {
    known.iter().filter(|verdict| **verdict == Verdict::Unknown).count()
}

/// Looking for a text's hash costs as much as reading so many texts.
const TEXTS_PER_HASH: usize = 16;

/// What is known of a dictionary's codes before any row was seen: of a list of equal texts all but those that share a
/// hash with one.
fn verdicts(part: &Part<'_>, matcher: &Matcher, len: usize) -> Result<Vec<Verdict>, Error> {
    if let Some(texts) = matcher.equal_texts()
        && part.has_hashes()
        && texts.len().saturating_mul(TEXTS_PER_HASH) < len
    {
        let mut known = vec![if matcher.matches_missing() { Verdict::Passes } else { Verdict::Fails }; len];
        for text in texts {
            for code in part.codes_of_text(text)? {
                if let Some(verdict) = known.get_mut(code as usize) {
                    // Equal hashes are no equal texts.
                    *verdict = Verdict::Unknown;
                }
            }
        }
        return Ok(known);
    }
    Ok(vec![Verdict::Unknown; len])
}

/// The stored integers that pass a comparison: those up to one, or from one on.
fn integers_between(passes: impl Fn(i64) -> bool) -> PartTest {
    let (least, most) = between_ranks(i64::MIN, i64::MAX, passes);
    PartTest::Between(least, most)
}

/// The bounds of what passes, where that is a beginning or an end of all; an empty range when nothing does.
fn between_ranks(first: i64, last: i64, passes: impl Fn(i64) -> bool) -> (i64, i64) {
    match (passes(first), passes(last)) {
        (true, true) => (first, last),
        (false, false) => (i64::MAX, i64::MIN),
        (at_first, _) => {
            // `low` passes as the first does, `high` as the last.
            let (mut low, mut high) = (first, last);
            while low.checked_add(1).is_some_and(|next| next < high) {
                let middle = low.midpoint(high);
                if passes(middle) == at_first { low = middle } else { high = middle }
            }
            if at_first { (first, low) } else { (high, last) }
        }
    }
}

/// Doubles by their order: 0 is zero, negative ranks are negative doubles.
const INFINITY_RANK: i64 = 0x7ff0_0000_0000_0000;

fn double_of_rank(rank: i64) -> f64 {
    let magnitude = f64::from_bits(rank.unsigned_abs());
    if rank < 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use skein_query::plan::{Comparison, Literal, Test};

    use super::*;

    #[test]
    fn a_comparison_is_a_range_of_what_is_stored() {
        let literals = [
            Literal::I64(5),
            Literal::F64(4.5),
            Literal::F64(f64::MAX),
            Literal::I64(i64::MIN),
            Literal::F64(-0.0),
        ];
        let comparisons =
            [Comparison::Less, Comparison::LessOrEqual, Comparison::Greater, Comparison::GreaterOrEqual];
        for literal in &literals {
            for comparison in comparisons {
                let matcher = Matcher::new(&Test::Compare(comparison, literal.clone()));
                let stored = integers_between(|value| matcher.matches(ValueRef::I64(value)));
                for value in [i64::MIN, -1, 0, 4, 5, 6, i64::MAX] {
                    let expected = matcher.matches(ValueRef::I64(value));
                    assert_eq!(
                        stored.verdict(value.cast_unsigned()),
                        Some(expected),
                        "{value} {comparison:?} {literal:?}"
                    );
                }
                let (least, most) = between_ranks(-INFINITY_RANK, INFINITY_RANK, |rank| {
                    matcher.matches(ValueRef::F64(double_of_rank(rank)))
                });
                for value in
                    [f64::NEG_INFINITY, -1.5, -0.0, 0.0, 4.5, 4.5_f64.next_up(), 5.0, f64::MAX, f64::INFINITY]
                {
                    let expected = matcher.matches(ValueRef::F64(value));
                    let found =
                        least <= most && double_of_rank(least) <= value && value <= double_of_rank(most);
                    assert_eq!(found, expected, "{value} {comparison:?} {literal:?}");
                }
            }
        }
    }
}
