//! Where nothing that was recorded runs: in one span, and in the trace as a whole.
//!
//! A gap of a span is a stretch in which it has children and none of them runs: it works itself, or it waits for
//! what nobody recorded. Every such stretch counts as the span's own time; listed are those that can be seen, not
//! those of which a whole trace on a wide screen would show less than two pixels.

use super::{Waterfall, count};

/// Gaps shorter than this part of the trace are not listed.
const SHORTEST: i64 = 1_000;

/// A stretch without children.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Whose.
    pub node: u32,
    /// Where it begins, as drawn.
    pub start_ns: i64,
    /// Where it ends.
    pub end_ns: i64,
}

/// Finds gaps, each span's own time, and the idle time of the trace.
pub(super) fn find(waterfall: &mut Waterfall) {
    let (first, last) = waterfall.range_ns().unwrap_or_default();
    let shortest = (last.saturating_sub(first) / SHORTEST).max(1);
    let nodes = waterfall.len();
    let mut own = waterfall.duration_ns.clone();
    let mut gaps = Vec::new();
    let mut below: Vec<(i64, i64)> = Vec::new();
    let mut at_work: Vec<(i64, i64)> = Vec::new();
    let mut under_way: Vec<(i64, i64)> = Vec::new();
    for node in 0..count(nodes) {
        let place = node as usize;
        let (start, end) = (waterfall.start_ns[place], waterfall.end_ns(place));
        under_way.push((start, end));
        if waterfall.size[place] == 1 {
            at_work.push((start, end));
            continue;
        }
        below.clear();
        let times = |child: u32| (waterfall.start_ns[child as usize], waterfall.end_ns(child as usize));
        below.extend(waterfall.children(node).map(times));
        below.sort_unstable();
        own[place] = 0;
        let mut reached = start;
        for &(from, to) in below.iter().chain([&(end, end)]) {
            let from = from.min(end);
            if from > reached {
                let stretch = from.saturating_sub(reached);
                own[place] = own[place].saturating_add(stretch);
                if stretch >= shortest {
                    gaps.push(Gap { node, start_ns: reached, end_ns: from });
                }
            }
            reached = reached.max(to.min(end));
        }
    }
    waterfall.idle_ns = covered(under_way) - covered(at_work);
    waterfall.self_ns = own;
    waterfall.gaps = gaps;
}

/// The length of what some intervals cover together.
fn covered(mut intervals: Vec<(i64, i64)>) -> i64 {
    intervals.sort_unstable();
    let mut reached = i64::MIN;
    let mut sum: i64 = 0;
    for (start, end) in intervals {
        let from = start.max(reached);
        if end > from {
            sum = sum.saturating_add(end.saturating_sub(from));
            reached = end;
        }
    }
    sum
}
