//! Clocks that disagree: by how much the spans of one are moved against those of another.
//!
//! A call cannot begin before it is made, and a server's part of an answered call lies within the client's. Each
//! pair of spans timed by two clocks so bounds what one clock may differ from the other, and all pairs of a trace
//! together bound it well. When "not at all" is within these bounds, nothing is moved. Otherwise all spans of
//! that clock under that other one are moved alike, to the middle of what is possible. Where the bounds contradict
//! each other, one clock stands for several, and each span is moved for itself. Stored values are never changed.

use super::tree::Linked;
use super::{NONE, Side, Span, Waterfall, count, flags};

/// A correction, as told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Skew {
    /// Number of the service.
    pub service: u32,
    /// Spans of it that were moved.
    pub spans: u32,
    /// The least shift.
    pub shift_min_ns: i64,
    /// The greatest.
    pub shift_max_ns: i64,
}

/// What bounds the correction of a span against its parent, both as recorded.
#[derive(Clone, Copy)]
struct Bounds {
    low: i64,
    high: i64,
}

fn bounds(parent: &Span, child: &Span) -> Bounds {
    let low = parent.start_ns.saturating_sub(child.start_ns);
    // A client that gave up ends before its server does, and what is sent without waiting ends when it likes.
    let answered = parent.side == Side::Client && child.side == Side::Server && !parent.error;
    let room = parent.duration_ns.saturating_sub(child.duration_ns);
    let high = if answered && room >= 0 { low.saturating_add(room) } else { i64::MAX };
    Bounds { low, high }
}

/// The correction within bounds; `None` where they contradict each other.
fn within(bounds: Bounds) -> Option<i64> {
    let Bounds { low, high } = bounds;
    match () {
        () if low > high => None,
        () if low <= 0 && high >= 0 => Some(0),
        // Nothing says how long the way took: as little as possible.
        () if high == i64::MAX => Some(low),
        () => Some(low.saturating_add(high.saturating_sub(low) / 2)),
    }
}

/// The shift of each node.
pub(super) fn shifts(spans: &[Span], linked: &Linked) -> Vec<i64> {
    let nodes = linked.source.len();
    let span_of = |node: u32| spans.get(*linked.source.get(node as usize)? as usize);
    // Pairs that two clocks timed: (clock of the parent, clock of the child, child).
    let mut pairs: Vec<(u32, u32, u32)> = Vec::new();
    for node in 0..count(nodes) {
        let (Some(child), Some(parent)) = (span_of(node), span_of(linked.parent[node as usize])) else {
            continue;
        };
        if parent.clock != child.clock {
            pairs.push((parent.clock, child.clock, node));
        }
    }
    if pairs.is_empty() {
        return vec![0; nodes];
    }
    pairs.sort_unstable();
    let mut against_parent = vec![0; nodes];
    for run in pairs.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let of = |node: u32| match (span_of(linked.parent[node as usize]), span_of(node)) {
            (Some(parent), Some(child)) => bounds(parent, child),
            _ => Bounds { low: i64::MIN, high: i64::MAX },
        };
        let together = run.iter().fold(Bounds { low: i64::MIN, high: i64::MAX }, |all, &(.., node)| {
            let one = of(node);
            Bounds { low: all.low.max(one.low), high: all.high.min(one.high) }
        });
        let shift = within(together);
        for &(.., node) in run {
            against_parent[node as usize] = shift.or_else(|| within(of(node))).unwrap_or(0);
        }
    }
    add_up(linked, against_parent)
}

/// A span's clock is off by what its parent's is, and by what it differs from that.
fn add_up(linked: &Linked, mut shifts: Vec<i64>) -> Vec<i64> {
    let tops = (0..count(shifts.len())).filter(|&node| linked.parent[node as usize] == NONE);
    let mut open: Vec<u32> = tops.collect();
    while let Some(node) = open.pop() {
        let above = shifts[node as usize];
        for &child in linked.children.below(node) {
            shifts[child as usize] = shifts[child as usize].saturating_add(above);
            open.push(child);
        }
    }
    shifts
}

/// The corrections that were made, by service.
pub(super) fn told(spans: &[Span], waterfall: &Waterfall) -> Vec<Skew> {
    let mut skews = std::collections::BTreeMap::new();
    for node in 0..waterfall.len() {
        let shift = waterfall.shift_ns[node];
        let Some(span) = spans.get(waterfall.source[node] as usize) else { continue };
        if waterfall.flags[node] & flags::SHIFTED == 0 {
            continue;
        }
        let new = Skew { service: span.service, spans: 0, shift_min_ns: shift, shift_max_ns: shift };
        let skew = skews.entry(span.service).or_insert(new);
        skew.spans += 1;
        skew.shift_min_ns = skew.shift_min_ns.min(shift);
        skew.shift_max_ns = skew.shift_max_ns.max(shift);
    }
    skews.into_values().collect()
}
