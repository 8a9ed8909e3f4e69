//! Writes sequences of integers as places among their different values: status codes, append times of records.

use super::bytes::count;
use super::ints::{BLOCK_VALUES, FORM_DICTIONARY, HEAD_BYTES};
use super::ints_choice::{Choice, cheapest};
use super::ints_laid::write_packed;
use super::ints_packed::EntryBytes;
use super::ints_write::{
    Effort, Form, Frame, close, distance, write_constant, write_head, write_random_access,
};

/// Values of a dictionary of integers at most: what a reader may have to expand.
const DICTIONARY_VALUES_MAX: usize = 1 << 16;

/// Values that lie within such a range are counted in a table of it instead of being looked for.
const NARROW_RANGE: usize = 1 << 16;

/// The different values of a sequence, few enough to be listed, and the place of each value among them.
pub(super) struct Dictionary {
    values: Vec<i64>,
    codes: Vec<u32>,
    frame: Option<Frame>,
    choice: Choice,
}

impl Dictionary {
    /// `None` when there are too many different values for a dictionary to pay.
    pub(super) fn of<T: Copy + Into<i64>>(values: &[T]) -> Option<Dictionary> {
        let most = (values.len() / 8).min(DICTIONARY_VALUES_MAX);
        if let Some((values, codes)) = of_narrow(values, most) {
            return Some(Dictionary::with(values?, codes));
        }
        let mut table = Distinct::new();
        let mut codes: Vec<u32> = Vec::with_capacity(values.len());
        for &value in values {
            codes.push(table.place(value.into()));
            if table.values.len() > most {
                return None;
            }
        }
        let mut order: Vec<u32> = (0..count(table.values.len())).collect();
        order.sort_unstable_by_key(|&place| table.values[place as usize]);
        let mut ranks = vec![0; order.len()];
        for (rank, &place) in (0_u32..).zip(&order) {
            ranks[place as usize] = rank;
        }
        codes.iter_mut().for_each(|code| *code = ranks[*code as usize]);
        let values: Vec<i64> = order.iter().map(|&place| table.values[place as usize]).collect();
        Some(Dictionary::with(values, codes))
    }

    fn with(values: Vec<i64>, codes: Vec<u32>) -> Dictionary {
        let frame = Frame::of(&codes, Effort::Low);
        let choice = frame.as_ref().map(|frame| cheapest(&codes, frame));
        let choice = choice.unwrap_or(Choice { form: Form { deltas: false, exceptions: false }, bits: 0 });
        Dictionary { values, codes, frame, choice }
    }

    /// Of each different value what stands beside it in `others`, when that is the same everywhere and never falls.
    pub(super) fn each_has_one(&self, others: &[i64]) -> Option<Vec<i64>> {
        let mut found: Vec<Option<i64>> = vec![None; self.values.len()];
        for (&code, &other) in self.codes.iter().zip(others) {
            if *found[code as usize].get_or_insert(other) != other {
                return None;
            }
        }
        let found = found.into_iter().collect::<Option<Vec<i64>>>()?;
        found.is_sorted().then_some(found)
    }

    pub(super) fn bits(&self) -> u64 {
        let (first, last) = (self.values.first().copied(), self.values.last().copied());
        let range = distance(last.unwrap_or(0), first.unwrap_or(0));
        let width = u64::from(64 - range.leading_zeros());
        // The values are packed in blocks of their own narrower range, when there are many of them.
        let narrower = u64::from((self.values.len() / BLOCK_VALUES).max(1).ilog2());
        self.choice.bits
            + self.values.len() as u64 * width.saturating_sub(narrower)
            + 8 * 2 * HEAD_BYTES as u64
    }

    pub(super) fn write(&self, effort: Effort, out: &mut Vec<u8>) {
        let start = out.len();
        write_head(self.codes.len(), FORM_DICTIONARY, 0, EntryBytes::default(), 0, out);
        match &self.frame {
            Some(frame) => write_packed(&self.codes, frame, self.choice.form, effort, out),
            None => write_constant(&self.codes, out),
        }
        write_random_access(&self.values, out);
        close(start, out);
    }
}

/// The different values and the place of each among them, of a sequence whose values lie close together; without
/// values when there are more than `most`. `None` for any other sequence.
fn of_narrow<T: Copy + Into<i64>>(values: &[T], most: usize) -> Option<(Option<Vec<i64>>, Vec<u32>)> {
    let all = values.iter().map(|&value| value.into());
    let (min, max) = all.fold((i64::MAX, i64::MIN), |(min, max), value| (value.min(min), value.max(max)));
    // The table has to cost less than looking each value up would.
    let widest = NARROW_RANGE.min(values.len() * 4);
    let range = usize::try_from(distance(max, min)).ok().filter(|&range| range < widest)?;
    let place_of = |value: T| usize::try_from(distance(value.into(), min)).unwrap_or(0);
    let mut places = vec![0_u32; range + 1];
    values.iter().for_each(|&value| places[place_of(value)] = 1);
    let mut different = Vec::new();
    for (above, place) in (0_i64..).zip(&mut places) {
        if *place != 0 {
            *place = count(different.len());
            different.push(min.wrapping_add(above));
        }
    }
    if different.len() > most {
        return Some((None, Vec::new()));
    }
    Some((Some(different), values.iter().map(|&value| places[place_of(value)]).collect()))
}

/// Numbers different values in order of appearance: an open-addressing table.
struct Distinct {
    values: Vec<i64>,
    /// Place + 1 per slot, 0 for a free one.
    slots: Vec<u32>,
    last: Option<(i64, u32)>,
}

impl Distinct {
    fn new() -> Distinct {
        Distinct { values: Vec::new(), slots: vec![0; 256], last: None }
    }

    #[inline]
    fn place(&mut self, value: i64) -> u32 {
        if let Some((last, place)) = self.last
            && last == value
        {
            return place;
        }
        let mask = self.slots.len() - 1;
        let mut slot = slot_of(value, mask);
        let place = loop {
            match self.slots[slot] {
                0 => {
                    self.values.push(value);
                    let place = count(self.values.len() - 1);
                    self.slots[slot] = place + 1;
                    if self.values.len() * 2 > self.slots.len() {
                        self.grow();
                    }
                    break place;
                }
                found if self.values[found as usize - 1] == value => break found - 1,
                _ => slot = (slot + 1) & mask,
            }
        };
        self.last = Some((value, place));
        place
    }

    #[cold]
    fn grow(&mut self) {
        let mask = self.slots.len() * 4 - 1;
        let mut slots = vec![0_u32; mask + 1];
        for (place, &value) in (1_u32..).zip(&self.values) {
            let mut slot = slot_of(value, mask);
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = place;
        }
        self.slots = slots;
    }
}

#[inline]
fn slot_of(value: i64, mask: usize) -> usize {
    (value.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask
}
