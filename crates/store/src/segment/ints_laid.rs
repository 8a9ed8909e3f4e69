//! A sequence of integers cut into packed blocks before it is written: as bits, or with its bits in a wrap
//! ([`super::ints_wrap`]), whichever is smaller.

use super::bytes::count;
use super::ints::{
    BLOCK_VALUES, FLAG_EXCEPTIONS, FLAG_STEP, FLAG_WRAPPED, FORM_DELTAS, FORM_PACKED, GROUP_BLOCKS,
    PADDING_BYTES,
};
use super::ints_choice::narrowest;
use super::ints_packed::EntryBytes;
use super::ints_wrap::{self, Wrapped};
use super::ints_write::{Effort, Form, Frame, Plan, close, distance, write_head, write_random_access};
use super::kernels::pack;

/// Appends a sequence in packed blocks; with [`Effort::Cold`] its bits are wrapped where that pays.
pub(super) fn write_packed<T: Copy + Into<i64>>(
    values: &[T],
    frame: &Frame,
    form: Form,
    effort: Effort,
    out: &mut Vec<u8>,
) {
    let laid = Laid::of(values, frame, form, Widths::OfBlocks);
    let start = out.len();
    laid.write(None, out);
    if effort != Effort::Cold || !ints_wrap::may_pay(values.len()) {
        return;
    }
    let plain_length = out.len() - start;
    // In whole bytes outliers cost nothing: zstd sees zeros above all others.
    let form = Form { exceptions: false, ..form };
    let in_bytes = Laid::of(values, frame, form, Widths::WholeBytes);
    let wrapped = [laid, in_bytes].map(|laid| {
        let mut written = Vec::new();
        laid.write(Some(&laid.wrap()), &mut written);
        written
    });
    let smallest = wrapped.into_iter().min_by_key(Vec::len).unwrap_or_default();
    if ints_wrap::pays(smallest.len(), plain_length) {
        out.truncate(start);
        out.extend_from_slice(&smallest);
    }
}

/// How wide the values of a block are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Widths {
    /// As each block needs.
    OfBlocks,
    /// Whole bytes, as many for all blocks of a group.
    WholeBytes,
}

/// A sequence in packed blocks before it is written.
struct Laid<'f> {
    frame: &'f Frame,
    form: Form,
    widths: Widths,
    len: usize,
    plans: Vec<Plan>,
    /// Of each group of blocks: where its bits start, and the exceptions before it.
    groups: Vec<(usize, u32)>,
    bits: Vec<u8>,
    positions: Vec<u32>,
    excess: Vec<i64>,
}

impl<'f> Laid<'f> {
    fn of<T: Copy + Into<i64>>(values: &[T], frame: &'f Frame, form: Form, widths: Widths) -> Laid<'f> {
        let mut laid = Laid {
            frame,
            form,
            widths,
            len: values.len(),
            plans: Vec::with_capacity(values.len().div_ceil(BLOCK_VALUES)),
            groups: Vec::new(),
            bits: Vec::new(),
            positions: Vec::new(),
            excess: Vec::new(),
        };
        let mut lanes_of_group = [[0; BLOCK_VALUES]; GROUP_BLOCKS];
        for group in values.chunks(GROUP_BLOCKS * BLOCK_VALUES) {
            laid.groups.push((laid.bits.len(), count(laid.positions.len())));
            let first = laid.plans.len();
            for (block, steps) in group.chunks(BLOCK_VALUES).zip(&mut lanes_of_group) {
                let lanes = frame.load(block, steps);
                let plan = laid.plan(lanes);
                laid.plans.push(plan);
            }
            let plans = &mut laid.plans[first..];
            if widths == Widths::WholeBytes {
                let widest = plans.iter().map(|plan| plan.width).max().unwrap_or(0);
                plans.iter_mut().for_each(|plan| plan.width = widest.next_multiple_of(8));
            }
            for ((block, lanes), plan) in group.chunks(BLOCK_VALUES).zip(&lanes_of_group).zip(plans) {
                pack(&lanes[..block.len()], plan.width, &mut laid.bits);
            }
        }
        laid
    }

    /// How a block is packed; its lanes become what is packed.
    fn plan(&mut self, lanes: &mut [u64]) -> Plan {
        let mut plan = self.form.plan(lanes);
        if self.form.exceptions {
            let before = self.positions.len();
            plan.width = narrowest(lanes, plan.width).0;
            for (place, &lane) in lanes.iter().enumerate() {
                let above = lane.checked_shr(plan.width).unwrap_or(0);
                if above != 0 {
                    self.positions.push(count(place));
                    self.excess.push(above.cast_signed());
                }
            }
            plan.exceptions = self.positions.len() - before;
        }
        plan
    }

    /// The bits of each group in a wrap.
    fn wrap(&self) -> Wrapped {
        let ends = self.groups.iter().skip(1).map(|&(start, _)| start).chain([self.bits.len()]);
        let starts = self.groups.iter().map(|&(start, _)| start);
        let value_bytes = |group: usize| {
            let width = self.plans.get(group * GROUP_BLOCKS).map_or(0, |plan| plan.width as usize);
            (self.widths == Widths::WholeBytes).then_some(width / 8)
        };
        let groups = starts.zip(ends).enumerate();
        ints_wrap::wrap(groups.map(|(group, (start, end))| (&self.bits[start..end], value_bytes(group))))
    }

    /// Appends all of it, the bits as they are or in a wrap.
    fn write(&self, wrapped: Option<&Wrapped>, out: &mut Vec<u8>) {
        let Laid { frame, form, plans, positions, .. } = self;
        let has_exceptions = !positions.is_empty();
        let least_delta = plans.iter().map(|plan| plan.least_delta).min().unwrap_or(0);
        let above = |plan: &Plan| distance(plan.least_delta, least_delta);
        let widest = |part: &dyn Fn(&Plan) -> u64| bytes_of(plans.iter().map(part).max().unwrap_or(0));
        let entry = EntryBytes {
            base: widest(&|plan| plan.base),
            range: widest(&|plan| plan.range),
            first: widest(&|plan| plan.first),
            delta: widest(&above),
            exceptions: widest(&|plan| plan.exceptions as u64),
        };
        let flag = |holds: bool, flag: u8| if holds { flag } else { 0 };
        let flags = flag(has_exceptions, FLAG_EXCEPTIONS)
            | flag(frame.step > 1, FLAG_STEP)
            | flag(wrapped.is_some(), FLAG_WRAPPED);
        let start = out.len();
        let number = if form.deltas { FORM_DELTAS } else { FORM_PACKED };
        write_head(self.len, number, flags, entry, frame.smallest, out);
        let bits_length = wrapped.map_or(self.bits.len() + PADDING_BYTES, |wrapped| wrapped.stored.len());
        out.extend_from_slice(&count(bits_length).to_le_bytes());
        if frame.step > 1 {
            out.extend_from_slice(&frame.step.to_le_bytes());
        }
        if form.deltas {
            out.extend_from_slice(&least_delta.to_le_bytes());
        }
        for (group, &(offset, exceptions)) in self.groups.iter().enumerate() {
            let offset = wrapped.map_or(offset, |wrapped| wrapped.starts[group]);
            out.extend_from_slice(&count(offset).to_le_bytes());
            if has_exceptions {
                out.extend_from_slice(&exceptions.to_le_bytes());
            }
        }
        for plan in plans {
            push_number(plan.base, entry.base, out);
            push_number(plan.range, entry.range, out);
            push_number(u64::from(plan.width), 1, out);
            push_number(plan.first, entry.first, out);
            push_number(above(plan), entry.delta, out);
            push_number(plan.exceptions as u64, entry.exceptions, out);
        }
        match wrapped {
            Some(wrapped) => out.extend_from_slice(&wrapped.stored),
            None => {
                out.extend_from_slice(&self.bits);
                out.extend_from_slice(&[0; PADDING_BYTES]);
            }
        }
        if has_exceptions {
            write_random_access(positions, out);
            write_random_access(&self.excess, out);
        }
        close(start, out);
    }
}

fn bytes_of(number: u64) -> usize {
    (64 - number.leading_zeros()).div_ceil(8) as usize
}

fn push_number(number: u64, bytes: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes()[..bytes]);
}
