//! Which form of a sequence of integers is the smallest ([`super::ints_write`]), by what it would cost on a few
//! of its blocks.

use super::ints::BLOCK_VALUES;
use super::ints_write::{Form, Frame, to_deltas, to_deltas_from_zero, to_distances};

/// Blocks that a form is tried on: at most so many, one in so many.
const SAMPLE_BLOCKS: usize = 6;
const SAMPLED_ONE_IN: usize = 4;
/// About what an exception costs beside its bits: its place, and its part of the decoding time.
const EXCEPTION_BITS: u64 = 14;

pub(super) struct Choice {
    pub(super) form: Form,
    /// Bits of the whole sequence, about.
    pub(super) bits: u64,
}

/// The cheapest form without a dictionary, by a sample of blocks.
pub(super) fn cheapest<T: Copy + Into<i64>>(values: &[T], frame: &Frame) -> Choice {
    let blocks = values.len().div_ceil(BLOCK_VALUES);
    let every = blocks.div_ceil(blocks.div_ceil(SAMPLED_ONE_IN).clamp(1, SAMPLE_BLOCKS)).max(1);
    let mut costs = [0_u64; 4];
    let mut sampled = 0;
    let (mut steps, mut deltas) = ([0; BLOCK_VALUES], [0; BLOCK_VALUES]);
    for block in values.chunks(BLOCK_VALUES).step_by(every) {
        let len = block.len() as u64;
        sampled += len;
        let lanes = frame.load(block, &mut steps);
        let deltas = &mut deltas[..block.len()];
        deltas.copy_from_slice(lanes);
        let packed = |width: u32| u64::from(width) * len + 48;
        let width = to_distances(lanes).width;
        costs[0] += packed(width);
        costs[1] += narrowest(lanes, width).1 + 60;
        let width = to_deltas(deltas).width;
        costs[2] += packed(width);
        // Where most values repeat the one before, deltas from zero leave the falling ones to exceptions; elsewhere
        // both forms have the same lanes.
        let is_repeated = lanes.windows(2).filter(|pair| pair[0] == pair[1]).count() * 2 > block.len();
        let width = match is_repeated {
            true => to_deltas_from_zero(frame.load(block, &mut steps)).width,
            false => width,
        };
        costs[3] += narrowest(if is_repeated { &steps[..block.len()] } else { deltas }, width).1 + 60;
    }
    let mut best = (0, u64::MAX);
    for (place, &cost) in costs.iter().enumerate() {
        // Deltas and exceptions cost time to read: they have to be worth it.
        let needed = cost + sampled * [0, 1, 2, 3][place] / 8;
        if needed < best.1 {
            best = (place, needed);
        }
    }
    let form = Form { deltas: best.0 >= 2, exceptions: best.0 % 2 == 1 };
    Choice { form, bits: costs[best.0] * values.len() as u64 / sampled.max(1) }
}

/// The width that with its exceptions takes the fewest bits, and how many.
pub(super) fn narrowest(lanes: &[u64], widest: u32) -> (u32, u64) {
    // Four counts each, so that neighbours of one length need not wait for each other.
    let mut counts = [[0_u32; 65]; 4];
    for four in lanes.chunks(4) {
        for (counts, lane) in counts.iter_mut().zip(four) {
            counts[(64 - lane.leading_zeros()) as usize] += 1;
        }
    }
    let length = |bits: usize| counts.iter().map(|counts| u64::from(counts[bits])).sum::<u64>();
    let mut best = (widest, u64::from(widest) * lanes.len() as u64);
    let mut above = 0_u64;
    for width in (0..widest).rev() {
        above += length(width as usize + 1);
        let cost =
            u64::from(width) * lanes.len() as u64 + above * (EXCEPTION_BITS + u64::from(widest - width));
        if cost < best.1 {
            best = (width, cost);
        }
    }
    best
}
