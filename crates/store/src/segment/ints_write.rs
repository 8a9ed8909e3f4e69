//! Writes sequences of integers ([`super::ints`]) in the smallest of their forms.
//!
//! The form is chosen for a whole sequence by what it would cost on a few of its blocks; the width and the
//! exceptions of each block by counting. [`Effort::Low`] skips all that: a head block lives for a minute.

use super::bytes::count;
use super::ints::{BLOCK_VALUES, FORM_CONSTANT, HEAD_BYTES};
use super::ints_choice::cheapest;
use super::ints_dictionary::Dictionary;
use super::ints_laid::write_packed;
use super::ints_packed::EntryBytes;

/// How much work goes into choosing a form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effort {
    /// Plain blocks, or deltas for what is known to rise.
    Low,
    /// The smallest form.
    Full,
    /// The smallest form, its bits wrapped where that pays: only of what [`super::ints::Ints::open_in`] opens.
    Cold,
}

impl Effort {
    /// The same for what is opened without its segment.
    pub(super) fn unwrapped(self) -> Effort {
        if self == Effort::Cold { Effort::Full } else { self }
    }
}

/// Appends a sequence.
pub(crate) fn write_ints<T: Copy + Into<i64>>(values: &[T], effort: Effort, out: &mut Vec<u8>) {
    let Some(frame) = Frame::of(values, effort) else { return write_constant(values, out) };
    if effort == Effort::Low {
        return write_packed(values, &frame, Form { deltas: false, exceptions: false }, effort, out);
    }
    let plain = cheapest(values, &frame);
    if plain.bits > 2 * values.len() as u64
        && let Some(dictionary) = Dictionary::of(values)
        && dictionary.bits() < plain.bits
    {
        return dictionary.write(effort, out);
    }
    write_packed(values, &frame, plain.form, effort, out);
}

/// Appends a sequence of codes: numbers without gaps, which neither a step nor a dictionary makes smaller.
pub(crate) fn write_codes(codes: &[u32], effort: Effort, out: &mut Vec<u8>) {
    let Some(frame) = Frame::of(codes, Effort::Low) else { return write_constant(codes, out) };
    let form = match effort {
        Effort::Low => Form { deltas: false, exceptions: false },
        Effort::Full | Effort::Cold => cheapest(codes, &frame).form,
    };
    write_packed(codes, &frame, form, effort, out);
}

/// Appends a sequence that rises: hashes, places.
pub(crate) fn write_rising<T: Copy + Into<i64>>(values: &[T], effort: Effort, out: &mut Vec<u8>) {
    let Some(frame) = Frame::of(values, Effort::Low) else { return write_constant(values, out) };
    let form = match effort {
        Effort::Low => Form { deltas: true, exceptions: false },
        Effort::Full | Effort::Cold => cheapest(values, &frame).form,
    };
    write_packed(values, &frame, form, effort, out);
}

/// Appends a sequence whose values are read one by one at random: without deltas and exceptions.
pub(crate) fn write_random_access<T: Copy + Into<i64>>(values: &[T], out: &mut Vec<u8>) {
    write_in_place(values, Effort::Low, out);
}

/// The same, in a wrap where that pays and the effort is meant for it.
pub(crate) fn write_in_place<T: Copy + Into<i64>>(values: &[T], effort: Effort, out: &mut Vec<u8>) {
    let Some(frame) = Frame::of(values, Effort::Low) else { return write_constant(values, out) };
    write_packed(values, &frame, Form { deltas: false, exceptions: false }, effort, out);
}

/// What a sequence is measured from: its smallest value and the largest number that divides all distances.
pub(super) struct Frame {
    pub(super) smallest: i64,
    pub(super) step: u64,
}

impl Frame {
    /// `None` for a sequence of one value, or of none.
    pub(super) fn of<T: Copy + Into<i64>>(values: &[T], effort: Effort) -> Option<Frame> {
        let (mut min, mut max) = (i64::MAX, i64::MIN);
        for &value in values {
            let value: i64 = value.into();
            min = min.min(value);
            max = max.max(value);
        }
        if min >= max {
            return None;
        }
        let range = distance(max, min);
        let mut step = 1;
        // A dictionary does better for narrow ranges.
        if effort != Effort::Low && range >= 1 << 10 {
            step = range;
            for &value in values {
                let above = distance(value.into(), min);
                if !above.is_multiple_of(step) {
                    step = greatest_divisor(step, above % step);
                    if step == 1 {
                        break;
                    }
                }
            }
        }
        Some(Frame { smallest: min, step })
    }

    /// Replaces the start of `out` by the steps of some values.
    pub(super) fn load<'o, T: Copy + Into<i64>>(
        &self,
        values: &[T],
        out: &'o mut [u64; BLOCK_VALUES],
    ) -> &'o mut [u64] {
        let out = &mut out[..values.len()];
        for (steps, &value) in out.iter_mut().zip(values) {
            *steps = distance(value.into(), self.smallest);
        }
        if self.step > 1 {
            out.iter_mut().for_each(|steps| *steps /= self.step);
        }
        out
    }
}

#[inline]
pub(super) fn distance(value: i64, from: i64) -> u64 {
    value.wrapping_sub(from).cast_unsigned()
}

fn greatest_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Form {
    pub(super) deltas: bool,
    pub(super) exceptions: bool,
}

impl Form {
    /// Turns the steps of a block into what is packed.
    pub(super) fn plan(self, steps: &mut [u64]) -> Plan {
        match (self.deltas, self.exceptions) {
            (false, _) => to_distances(steps),
            (true, false) => to_deltas(steps),
            (true, true) => to_deltas_from_zero(steps),
        }
    }
}

/// A block as it is packed.
#[derive(Clone, Copy, Default)]
pub(super) struct Plan {
    pub(super) base: u64,
    pub(super) range: u64,
    pub(super) width: u32,
    pub(super) first: u64,
    pub(super) least_delta: i64,
    pub(super) exceptions: usize,
}

/// Turns the steps of a block into distances from their smallest.
pub(super) fn to_distances(steps: &mut [u64]) -> Plan {
    let (min, max) = bounds(steps);
    steps.iter_mut().for_each(|step| *step -= min);
    let range = max - min;
    Plan { base: min, range, width: 64 - range.leading_zeros(), ..Plan::default() }
}

/// Turns the steps of a block into distances of their deltas from the smallest delta. A difference that does
/// not fit wraps around, and wraps back when it is read.
pub(super) fn to_deltas(steps: &mut [u64]) -> Plan {
    let least = |deltas: &[u64]| deltas.iter().map(|delta| delta.cast_signed()).min();
    to_deltas_from(steps, least)
}

/// The same where most values repeat the one before: from zero, so that falling values are exceptions.
pub(super) fn to_deltas_from_zero(steps: &mut [u64]) -> Plan {
    let least = |deltas: &[u64]| {
        let zeros = deltas.iter().filter(|delta| **delta == 0).count();
        let smallest = deltas.iter().map(|delta| delta.cast_signed()).min();
        if zeros * 2 > deltas.len() { Some(0) } else { smallest }
    };
    to_deltas_from(steps, least)
}

fn to_deltas_from(steps: &mut [u64], least: impl Fn(&[u64]) -> Option<i64>) -> Plan {
    let (min, max) = bounds(steps);
    let first = steps.first().copied().unwrap_or(0);
    let mut before = first;
    for step in steps.iter_mut() {
        let delta = step.wrapping_sub(before);
        before = *step;
        *step = delta;
    }
    let least = least(steps.get(1..).unwrap_or(&[])).unwrap_or(0);
    let mut widest = 0;
    for (place, step) in steps.iter_mut().enumerate() {
        *step = if place == 0 { 0 } else { step.wrapping_sub(least.cast_unsigned()) };
        widest |= *step;
    }
    Plan {
        base: min,
        range: max - min,
        width: 64 - widest.leading_zeros(),
        first: first - min,
        least_delta: least,
        exceptions: 0,
    }
}

fn bounds(steps: &[u64]) -> (u64, u64) {
    let (mut min, mut max) = (u64::MAX, 0);
    for &step in steps {
        min = min.min(step);
        max = max.max(step);
    }
    (min, max)
}

pub(super) fn write_constant<T: Copy + Into<i64>>(values: &[T], out: &mut Vec<u8>) {
    let value = values.first().map_or(0, |&value| value.into());
    write_head(values.len(), FORM_CONSTANT, 0, EntryBytes::default(), value, out);
}

/// Appends a head without the length of its body, which [`close`] adds.
pub(super) fn write_head(
    len: usize,
    form: u8,
    flags: u8,
    entry: EntryBytes,
    smallest: i64,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&count(len).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    let widths = [entry.base, entry.range, entry.first, entry.delta, entry.exceptions];
    out.extend_from_slice(&[form, flags]);
    #[expect(clippy::cast_possible_truncation, reason = "at most eight")]
    out.extend(widths.map(|width| width as u8));
    out.push(0);
    out.extend_from_slice(&smallest.to_le_bytes());
}

/// Writes the length of the body into the head at `start`.
pub(super) fn close(start: usize, out: &mut [u8]) {
    let length = count(out.len() - start - HEAD_BYTES);
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
}
