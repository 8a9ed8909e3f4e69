//! Filters bound to a segment: a test runs once per distinct value of a dictionary, then on codes.

use std::ops::Range;

use skein_query::plan::{Column, Combination, FilterSet};
use skein_query::test::Matcher;
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::BlockReader;
use crate::column::cells::{Cells, Lane, Shape};
use crate::column::{BoundColumn, MISSING};
use crate::filter_test::{PartTest, Verdict, count_unknown};
use crate::mask::Mask;

/// The filters of a query or of a calculation, bound to one segment.
pub(crate) struct BoundFilters<'a> {
    combination: Combination,
    filters: Vec<BoundFilter<'a>>,
}

struct BoundFilter<'a> {
    column: BoundColumn<'a>,
    matcher: Matcher,
    /// How each part is tested.
    tests: Vec<PartTest>,
    cells: Cells,
}

impl<'a> BoundFilters<'a> {
    pub(crate) fn bind(segment: &'a Segment, set: &FilterSet) -> Result<BoundFilters<'a>, Error> {
        let bind = |column: &Column, matcher: Matcher| -> Result<BoundFilter<'a>, Error> {
            let column = BoundColumn::bind(segment, column)?;
            let tests = column.parts.iter().map(|part| PartTest::new(part, &matcher));
            let mut tests: Vec<PartTest> = tests.collect::<Result<_, Error>>()?;
            if let Some((test, text)) = matcher.text_test() {
                for (part, test_of_part) in column.parts.iter().zip(&mut tests) {
                    if let PartTest::Codes { known, unknown } = test_of_part {
                        exclude(known, &part.codes_without(test, text)?, &matcher);
                        *unknown = count_unknown(known);
                    }
                }
            }
            Ok(BoundFilter { column, matcher, tests, cells: Cells::default() })
        };
        let filters = set.filters.iter().map(|filter| bind(&filter.column, Matcher::new(&filter.test)));
        let filters = filters.collect::<Result<_, _>>()?;
        Ok(BoundFilters { combination: set.combination, filters })
    }

    /// Whether any row of the segment may pass, by its statistics.
    pub(crate) fn may_match_segment(&self) -> bool {
        self.combine(|filter| filter.column.may_match_any(&filter.matcher))
    }

    /// Whether any row of a block may pass, by the zone maps.
    pub(crate) fn may_match_block(&self, start: u32, end: u32) -> bool {
        self.combine(|filter| filter.may_match(start, end))
    }

    fn combine(&self, holds: impl Fn(&BoundFilter<'a>) -> bool) -> bool {
        match self.combination {
            _ if self.filters.is_empty() => true,
            Combination::All => self.filters.iter().all(holds),
            Combination::Any => self.filters.iter().any(holds),
        }
    }

    /// Takes out of `mask` the rows that do not pass.
    pub(crate) fn apply(&mut self, at: &BlockReader<'_>, mask: &mut Mask) -> Result<(), Error> {
        if self.filters.is_empty() {
            return Ok(());
        }
        match self.combination {
            Combination::All => {
                for filter in &mut self.filters {
                    if mask.is_empty() {
                        break;
                    }
                    filter.narrow(at, mask)?;
                }
            }
            Combination::Any => {
                // Rows that are in and that no filter has let pass yet.
                let mut open = mask.clone();
                for filter in &mut self.filters {
                    let mut passed = open.clone();
                    filter.narrow(at, &mut passed)?;
                    open.take_out(&passed);
                }
                mask.take_out(&open);
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
    /// Whether any row of a block may pass, by the zone maps.
    fn may_match(&self, start: u32, end: u32) -> bool {
        if !self.column.may_match(&self.matcher, start, end) {
            return false;
        }
        let mut parts = self.column.parts.iter().zip(&self.tests);
        self.matcher.matches_missing()
            || self.column.is_computed()
            || parts
                .any(|(part, test)| part.any_code(start, end, |least, most| test.any_between(least, most)))
    }

    fn narrow(&mut self, at: &BlockReader<'_>, mask: &mut Mask) -> Result<(), Error> {
        let mut cells = std::mem::take(&mut self.cells);
        self.column.cells(at, &mut cells)?;
        let missing = self.matcher.matches_missing();
        let done = match cells.shape {
            Shape::Empty => {
                if !missing {
                    mask.clear();
                }
                Ok(())
            }
            Shape::Constant(part, bits) => self.passes(part, bits).map(|passes| {
                if !passes {
                    mask.clear();
                }
            }),
            Shape::Dense(part) => self.narrow_dense(part, &cells, mask),
            Shape::Sparse(part) => self.narrow_sparse(part, &cells, mask),
            Shape::Mixed => mask.try_retain(|place| {
                let (part, bits) = (self.column.part_of[place], self.column.bits[place]);
                if part == MISSING { Ok(missing) } else { self.passes(part, bits) }
            }),
        };
        self.cells = cells;
        done
    }

    fn narrow_dense(&mut self, part: u8, cells: &Cells, mask: &mut Mask) -> Result<(), Error> {
        if let Some(test) = self.tests.get(usize::from(part)) {
            match (test, cells.lane) {
                (PartTest::Codes { unknown: 0, .. }, _) => {}
                (PartTest::Codes { known, .. }, Lane::Codes) => {
                    let mut unknown: Vec<u32> = Vec::new();
                    mask.for_each(|place| {
                        let code = cells.codes[place];
                        if known.get(code as usize) == Some(&Verdict::Unknown) {
                            unknown.push(code);
                        }
                    });
                    for code in unknown {
                        self.passes(part, u64::from(code))?;
                    }
                }
                (PartTest::Between(least, most), Lane::Integers) => {
                    let (least, most) = (*least, *most);
                    keep_dense(mask, &cells.integers, |value| least <= value && value <= most);
                    return Ok(());
                }
                (PartTest::BetweenDoubles(least, most), Lane::Doubles) => {
                    let (least, most) = (*least, *most);
                    keep_dense(mask, &cells.doubles, |value| least <= value && value <= most);
                    return Ok(());
                }
                (PartTest::All, _) => return Ok(()),
                _ => {}
            }
        }
        match (self.tests.get(usize::from(part)), cells.lane) {
            (Some(PartTest::Codes { known, .. }), Lane::Codes) => {
                keep_dense(mask, &cells.codes, |code| known.get(code as usize) == Some(&Verdict::Passes));
                Ok(())
            }
            _ => mask.try_retain(|place| self.passes(part, bits_at(cells, place))),
        }
    }

    /// Only rows that have a value are looked at.
    fn narrow_sparse(&mut self, part: u8, cells: &Cells, mask: &mut Mask) -> Result<(), Error> {
        let mut passed = if self.matcher.matches_missing() {
            let mut without = mask.clone();
            cells.places.iter().for_each(|&place| without.remove(usize::from(place)));
            without
        } else {
            Mask::none(mask.len())
        };
        match (self.tests.get(usize::from(part)), cells.lane) {
            (Some(PartTest::All), _) => {
                keep_sparse(mask, &cells.places, &cells.places, &mut passed, |_| true)
            }
            (Some(PartTest::Between(least, most)), Lane::Integers) => {
                let between = |value| *least <= value && value <= *most;
                keep_sparse(mask, &cells.places, &cells.integers, &mut passed, between);
            }
            (Some(PartTest::BetweenDoubles(least, most)), Lane::Doubles) => {
                let between = |value| *least <= value && value <= *most;
                keep_sparse(mask, &cells.places, &cells.doubles, &mut passed, between);
            }
            (Some(PartTest::Codes { known, unknown: 0 }), Lane::Codes) => {
                let passes = |code: u32| known.get(code as usize) == Some(&Verdict::Passes);
                keep_sparse(mask, &cells.places, &cells.codes, &mut passed, passes);
            }
            _ => {
                for (value, &place) in cells.places.iter().enumerate() {
                    let place = usize::from(place);
                    if mask.has(place) && self.passes(part, bits_at(cells, value))? {
                        passed.add(place);
                    }
                }
            }
        }
        *mask = passed;
        Ok(())
    }

    /// Whether a value passes; a dictionary's is looked at once.
    #[inline]
    fn passes(&mut self, part: u8, bits: u64) -> Result<bool, Error> {
        let number = usize::from(part);
        let Some(test) = self.tests.get_mut(number) else { return Ok(false) };
        if let Some(verdict) = test.verdict(bits) {
            return Ok(verdict);
        }
        let Some(part) = self.column.parts.get_mut(number) else { return Ok(false) };
        let (matcher, missing) = (&self.matcher, self.matcher.matches_missing());
        let passes = part.with_value(bits, |value| value.map_or(missing, |value| matcher.matches(value)))?;
        test.learn(bits, passes);
        Ok(passes)
    }
}

/// The bits of a value, by its place in its list.
#[inline]
fn bits_at(cells: &Cells, place: usize) -> u64 {
    match cells.lane {
        Lane::Integers => cells.integers.get(place).map_or(0, |value| value.cast_unsigned()),
        Lane::Doubles => cells.doubles.get(place).map_or(0, |value| value.to_bits()),
        Lane::Codes => cells.codes.get(place).map_or(0, |&code| u64::from(code)),
    }
}

/// Adds to `passed` the places of a mask whose value passes; there is a value for each of `places`.
#[inline(always)]
fn keep_sparse<V: Copy>(
    mask: &Mask,
    places: &[u16],
    values: &[V],
    passed: &mut Mask,
    passes: impl Fn(V) -> bool,
) {
    for (&place, &value) in places.iter().zip(values) {
        let place = usize::from(place);
        if passes(value) && mask.has(place) {
            passed.add(place);
        }
    }
}

/// Leaves the places whose value passes, sixty-four at once; there is a value for each.
#[inline(always)]
fn keep_dense<V: Copy>(mask: &mut Mask, values: &[V], passes: impl Fn(V) -> bool) {
    for (word, values) in mask.words_mut().iter_mut().zip(values.chunks(64)) {
        if *word == 0 {
            continue;
        }
        let mut passing = 0_u64;
        for (bit, &value) in values.iter().enumerate() {
            passing |= u64::from(passes(value)) << bit;
        }
        *word &= passing;
    }
}
