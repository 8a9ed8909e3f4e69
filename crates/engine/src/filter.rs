//! Filters bound to a segment: a test runs once per distinct value of a dictionary, then on codes.

use std::ops::Range;

use skein_query::plan::{Column, Combination, FilterSet};
use skein_query::test::Matcher;
use skein_store::Error;
use skein_store::segment::Segment;

use crate::column::{BoundColumn, MISSING};

/// Which rows of a block are still in: one flag per row.
pub(crate) type Mask = Vec<bool>;

/// The filters of a query or of a calculation, bound to one segment.
pub(crate) struct BoundFilters<'a> {
    combination: Combination,
    filters: Vec<BoundFilter<'a>>,
    scratch: Mask,
}

struct BoundFilter<'a> {
    column: BoundColumn<'a>,
    matcher: Matcher,
    /// Per part with a dictionary: what is known about each code.
    known: Vec<Vec<Verdict>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Unknown,
    Passes,
    Fails,
}

impl<'a> BoundFilters<'a> {
    pub(crate) fn bind(segment: &'a Segment, set: &FilterSet) -> Result<BoundFilters<'a>, Error> {
        let bind = |column: &Column, matcher: Matcher| -> Result<BoundFilter<'a>, Error> {
            let column = BoundColumn::bind(segment, column)?;
            let unknown = |len: Option<usize>| vec![Verdict::Unknown; len.unwrap_or_default()];
            let mut known: Vec<Vec<Verdict>> =
                column.parts.iter().map(|part| unknown(part.dictionary_len())).collect();
            if let Some((test, text)) = matcher.text_test() {
                for (part, known) in column.parts.iter().zip(&mut known) {
                    exclude(known, &part.codes_without(test, text)?, &matcher);
                }
            }
            Ok(BoundFilter { column, matcher, known })
        };
        let filters = set.filters.iter().map(|filter| bind(&filter.column, Matcher::new(&filter.test)));
        let filters = filters.collect::<Result<_, _>>()?;
        Ok(BoundFilters { combination: set.combination, filters, scratch: Mask::new() })
    }

    /// Whether any row of the segment may pass, by its statistics.
    pub(crate) fn may_match_segment(&self) -> bool {
        self.combine(|filter| filter.column.may_match_any(&filter.matcher))
    }

    /// Whether any row of a block may pass, by the zone maps.
    pub(crate) fn may_match_block(&self, start: u32, end: u32) -> bool {
        self.combine(|filter| filter.column.may_match(&filter.matcher, start, end))
    }

    fn combine(&self, holds: impl Fn(&BoundFilter<'a>) -> bool) -> bool {
        match self.combination {
            _ if self.filters.is_empty() => true,
            Combination::All => self.filters.iter().all(holds),
            Combination::Any => self.filters.iter().any(holds),
        }
    }

    /// Takes out of `mask` the rows that do not pass.
    pub(crate) fn apply(&mut self, start: u32, contexts: &[u32], mask: &mut Mask) -> Result<(), Error> {
        if self.filters.is_empty() {
            return Ok(());
        }
        match self.combination {
            Combination::All => {
                for filter in &mut self.filters {
                    if !mask.contains(&true) {
                        break;
                    }
                    filter.narrow(start, contexts, mask)?;
                }
            }
            Combination::Any => {
                // `scratch`: rows that are in and that no filter has let pass yet.
                let mut open = std::mem::take(&mut self.scratch);
                open.clone_from(mask);
                for filter in &mut self.filters {
                    let mut passed = open.clone();
                    filter.narrow(start, contexts, &mut passed)?;
                    open.iter_mut().zip(&passed).for_each(|(open, passed)| *open &= !passed);
                }
                mask.iter_mut().zip(&open).for_each(|(mask, open)| *mask &= !open);
                self.scratch = open;
            }
        }
        Ok(())
    }

    /// Encoded bytes of the columns it reads.
    pub(crate) fn bytes(&self) -> u64 {
        self.filters.iter().map(|filter| filter.column.bytes()).sum()
    }
}

/// Decides codes whose text surely does not hold what a test of text looks for.
fn exclude(known: &mut [Verdict], without: &[Range<u32>], matcher: &Matcher) {
    // A negated test passes where its text is not, as it does where there is no value.
    let verdict = if matcher.matches_missing() { Verdict::Passes } else { Verdict::Fails };
    for codes in without {
        let codes = codes.start as usize..(codes.end as usize).min(known.len());
        if let Some(known) = known.get_mut(codes) {
            known.fill(verdict);
        }
    }
}

impl BoundFilter<'_> {
    fn narrow(&mut self, start: u32, contexts: &[u32], mask: &mut Mask) -> Result<(), Error> {
        self.column.fill(start, contexts)?;
        let missing = self.matcher.matches_missing();
        let BoundColumn { parts, part_of, bits, .. } = &mut self.column;
        for (place, keep) in mask.iter_mut().enumerate().filter(|(_, keep)| **keep) {
            let number = part_of[place];
            if number == MISSING {
                *keep = missing;
                continue;
            }
            let (part, known) = (&mut parts[usize::from(number)], &mut self.known[usize::from(number)]);
            let cell = bits[place];
            let slot = usize::try_from(cell).ok().and_then(|code| known.get_mut(code));
            let verdict = slot.as_ref().map_or(Verdict::Unknown, |slot| **slot);
            *keep = match verdict {
                Verdict::Passes => true,
                Verdict::Fails => false,
                Verdict::Unknown => {
                    let matcher = &self.matcher;
                    let passes =
                        part.with_value(cell, |value| value.map_or(missing, |value| matcher.matches(value)))?;
                    if let Some(slot) = slot {
                        *slot = if passes { Verdict::Passes } else { Verdict::Fails };
                    }
                    passes
                }
            };
        }
        Ok(())
    }
}
