//! The values of a part as places in an array: a code is its own place, a small whole number its distance from the
//! least, any other number that of its cell. What counts and what looks values up walk the same places.

use skein_event::limits::{EXPLAIN_PLAIN_TEXTS_MAX, EXPLAIN_WHOLE_SPAN_MAX};
use skein_query::explain::{Cell, Tally};

use super::rows::{NO_CLASS, Rows};
use crate::column::{Kind, Part, Run, RunRows, RunValues};
use crate::flat;

/// What the places of a part stand for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// Codes of the part's dictionary.
    Codes,
    Bools,
    /// Whole numbers from this on.
    Whole(i64),
    /// Cells from this number on, of whole numbers.
    CellsOfWhole(u32),
    /// Cells from this number on, of doubles.
    Cells(u32),
    /// The same of whole numbers that stand for milliseconds.
    CellsOfMilliseconds(u32),
    /// Mostly different text: one place for all.
    LeftOut,
    /// What is different for every event: likewise.
    Ids,
}

/// The places of a part: so many, and one more for what is none of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) meaning: Meaning,
    /// The last place: of NaN, infinite numbers, and what is not told apart.
    pub(super) rest: usize,
}

#[expect(clippy::cast_precision_loss, reason = "a cell is wider than what is lost")]
fn cell_of_whole(number: i64) -> u32 {
    Cell::of_finite(number as f64).number()
}

impl Places {
    pub(super) fn of(part: &Part<'_>) -> Places {
        let cells = |min: f64, max: f64, meaning: fn(u32) -> Meaning| {
            let bound = |number: f64| Cell::of_finite(number.clamp(f64::MIN, f64::MAX)).number();
            let (least, most) = if min <= max { (bound(min), bound(max)) } else { (0, 0) };
            Places { meaning: meaning(least), rest: (most - least) as usize + 1 }
        };
        match part.kind() {
            Kind::Codes(len)
                if part.is_text() && !part.has_hashes() && len > EXPLAIN_PLAIN_TEXTS_MAX as usize =>
            {
                Places { meaning: Meaning::LeftOut, rest: 0 }
            }
            Kind::Codes(len) => Places { meaning: Meaning::Codes, rest: len },
            Kind::Bools => Places { meaning: Meaning::Bools, rest: 2 },
            Kind::Whole(min, max) if max.abs_diff(min) < EXPLAIN_WHOLE_SPAN_MAX => {
                let len = usize::try_from(max.abs_diff(min)).unwrap_or_default() + 1;
                Places { meaning: Meaning::Whole(min), rest: len }
            }
            Kind::Whole(min, max) => {
                let (least, most) = (cell_of_whole(min), cell_of_whole(max));
                Places { meaning: Meaning::CellsOfWhole(least), rest: (most - least) as usize + 1 }
            }
            Kind::Doubles(min, max) if part.is_milliseconds() => {
                cells(min, max, Meaning::CellsOfMilliseconds)
            }
            Kind::Doubles(min, max) => cells(min, max, Meaning::Cells),
            Kind::Other => Places { meaning: Meaning::Ids, rest: 0 },
        }
    }

    /// The place of a value by its bits.
    #[inline]
    pub(super) fn of_bits(self, bits: u64) -> usize {
        let place = match self.meaning {
            Meaning::Codes | Meaning::Bools => usize::try_from(bits).unwrap_or(usize::MAX),
            Meaning::Whole(least) => whole_place(least, bits.cast_signed()),
            Meaning::CellsOfWhole(least) => below(cell_of_whole(bits.cast_signed()), least),
            Meaning::CellsOfMilliseconds(least) => milliseconds_place(least, bits.cast_signed()),
            Meaning::Cells(least) => double_place(least, f64::from_bits(bits)),
            Meaning::LeftOut | Meaning::Ids => self.rest,
        };
        place.min(self.rest)
    }

    /// Calls back with the place of each value of a run and its number among them.
    #[inline(always)]
    pub(super) fn each(self, run: Run<'_>, mut take: impl FnMut(usize, usize)) {
        let rest = self.rest;
        match (run.values, self.meaning) {
            (_, Meaning::LeftOut | Meaning::Ids) => (0..run.len()).for_each(|number| take(number, rest)),
            (RunValues::Same(bits), _) => {
                let place = self.of_bits(bits);
                (0..run.len()).for_each(|number| take(number, place));
            }
            (RunValues::Codes(codes), _) => {
                codes.iter().enumerate().for_each(|(number, &code)| take(number, (code as usize).min(rest)));
            }
            (RunValues::Integers(values), Meaning::Whole(least)) => {
                let place = |value| whole_place(least, value).min(rest);
                values.iter().enumerate().for_each(|(number, &value)| take(number, place(value)));
            }
            (RunValues::Integers(values), Meaning::CellsOfMilliseconds(least)) => {
                let place = |value| milliseconds_place(least, value).min(rest);
                values.iter().enumerate().for_each(|(number, &value)| take(number, place(value)));
            }
            (RunValues::Integers(values), Meaning::CellsOfWhole(least)) => {
                let place = |value| below(cell_of_whole(value), least).min(rest);
                values.iter().enumerate().for_each(|(number, &value)| take(number, place(value)));
            }
            (RunValues::Doubles(values), Meaning::Cells(least)) => {
                let place = |value| double_place(least, value).min(rest);
                values.iter().enumerate().for_each(|(number, &value)| take(number, place(value)));
            }
            (RunValues::Integers(values), _) => {
                let place = |value: i64| self.of_bits(value.cast_unsigned());
                values.iter().enumerate().for_each(|(number, &value)| take(number, place(value)));
            }
            (RunValues::Doubles(values), _) => {
                let place = |value: f64| self.of_bits(value.to_bits());
                values.iter().enumerate().for_each(|(number, &value)| take(number, place(value)));
            }
            (RunValues::Bits(bits), _) => {
                bits.iter().enumerate().for_each(|(number, &bits)| take(number, self.of_bits(bits)));
            }
        }
    }
}

/// What lies below the least wraps around, beyond the last place.
#[inline]
fn below(number: u32, least: u32) -> usize {
    number.wrapping_sub(least) as usize
}

#[inline]
fn whole_place(least: i64, value: i64) -> usize {
    usize::try_from(value.wrapping_sub(least).cast_unsigned()).unwrap_or(usize::MAX)
}

#[inline]
fn milliseconds_place(least: u32, ns: i64) -> usize {
    below(Cell::of_finite(flat::milliseconds(ns)).number(), least)
}

/// NaN and the infinite have cells beyond those of finite numbers.
#[inline]
fn double_place(least: u32, value: f64) -> usize {
    below(Cell::of_finite(value).number(), least)
}

/// Counters that are few are kept four times, so that equal values one after another need not wait for each other.
const FOLDED_COUNTERS: usize = 1 << 11;
const FOLDS: usize = 4;

/// Counts by place and class.
pub(super) struct Slots {
    places: Places,
    shift: u32,
    counts: Vec<u32>,
    /// Counters of one fold, and one less than the folds.
    fold: usize,
    fold_mask: usize,
    /// Weights and their squares, by side, where classes do not say them.
    weights: Option<Vec<[f64; 4]>>,
}

impl Slots {
    pub(super) fn new(places: Places, rows: &Rows) -> Slots {
        let shift = rows.shift();
        let fold = (places.rest + 1) << shift;
        let folds = if fold <= FOLDED_COUNTERS { FOLDS } else { 1 };
        let weights = rows.has_weights().then(|| vec![[0.0; 4]; places.rest + 1]);
        Slots { places, shift, counts: vec![0; fold * folds], fold, fold_mask: folds - 1, weights }
    }

    pub(super) fn places(&self) -> Places {
        self.places
    }

    /// Counts a run.
    pub(super) fn add(&mut self, run: Run<'_>, rows: &Rows) {
        let classes = rows.classes();
        let uniform = rows.class_of_all(run.rows);
        match (uniform, run.rows) {
            (Some(NO_CLASS), _) => return,
            (Some(class), _) => self.add_classes(run, |_| class),
            (None, RunRows::From(first, len)) => {
                let first = first as usize;
                if let Some(classes) = classes.get(first..first + len) {
                    self.add_classes(run, |number| classes.get(number).copied().unwrap_or(NO_CLASS));
                }
            }
            (None, RunRows::These(of)) => {
                let class_of = |number: usize| {
                    of.get(number).and_then(|&row| classes.get(row as usize)).copied().unwrap_or(NO_CLASS)
                };
                self.add_classes(run, class_of);
            }
        }
        if let Some(weights) = &mut self.weights {
            self.places.each(run, |number, place| {
                let row = run.rows.row(number);
                let class = classes.get(row as usize).copied().unwrap_or(NO_CLASS);
                if class != NO_CLASS
                    && let Some(sums) = weights.get_mut(place)
                {
                    let (side, weight) = (Rows::side(class), rows.weight(row, class));
                    sums[side] += weight;
                    sums[2 + side] += weight * weight;
                }
            });
        }
    }

    #[inline(always)]
    fn add_classes(&mut self, run: Run<'_>, class_of: impl Fn(usize) -> u8) {
        let Slots { places, shift, counts, fold, fold_mask, .. } = self;
        if let RunValues::Same(bits) = run.values {
            let first = places.of_bits(bits) << *shift;
            let mut by_class = [0_u32; 16];
            (0..run.len()).for_each(|number| by_class[usize::from(class_of(number) & 15)] += 1);
            let counts = counts.get_mut(first..first + (1 << *shift)).unwrap_or_default();
            counts.iter_mut().zip(by_class).for_each(|(count, more)| *count += more);
            return;
        }
        places.each(run, |number, place| {
            let at = place << *shift | usize::from(class_of(number));
            // A segment has fewer rows than u32.
            if let Some(count) = counts.get_mut(at + (number & *fold_mask) * *fold) {
                *count += 1;
            }
        });
    }

    /// The places that have events, rising.
    pub(super) fn tallies(mut self, rows: &Rows) -> impl Iterator<Item = (usize, Tally)> {
        for fold in 1..=self.fold_mask {
            let (sums, more) = self.counts.split_at_mut(fold * self.fold);
            sums.iter_mut().zip(more).take(self.fold).for_each(|(sum, more)| *sum += *more);
        }
        let (width, weights) = (1_usize << self.shift, self.weights);
        (0..=self.places.rest).filter_map(move |place| {
            let counts = self.counts.get(place * width..(place + 1) * width)?;
            if counts.get(1..)?.iter().all(|count| *count == 0) {
                return None;
            }
            let mut tally = rows.tally_of(counts);
            if let Some([a, b, c, d]) = weights.as_ref().and_then(|weights| weights.get(place)) {
                (tally.weight, tally.squares) = ([*a, *b], [*c, *d]);
            }
            Some((place, tally))
        })
    }
}
