//! The critical path: which span's work the end of the trace was waiting for, at every moment.
//!
//! Walked backwards from the end of the main root: the child that ended last is what the parent waited for; before
//! that child began, the one that had ended last by then; what is left is the parent's own. A child that was
//! still running when the next piece began was not waited for. What a child does beyond its parent's time
//! is not part of the answer and not of the path. Making a span on the path faster can make the trace faster;
//! making any other faster cannot.

use super::{NONE, Waterfall, flags};

/// A piece of the path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Whose own work it is.
    pub node: u32,
    /// Where it begins, as drawn.
    pub start_ns: i64,
    /// Where it ends.
    pub end_ns: i64,
}

/// A span under way: what of its time is not yet given to anybody, and which children are left.
struct Frame {
    node: u32,
    floor_ns: i64,
    cursor_ns: i64,
    /// No child was taken yet: one that ends too late is cut to this span's end.
    untouched: bool,
    /// Its children are those of the list from here on; the one that ended last is at the end.
    first: usize,
}

/// Finds the path of the main root.
pub(super) fn find(waterfall: &mut Waterfall) {
    if waterfall.main_root == NONE {
        return;
    }
    let root = waterfall.main_root as usize;
    let mut segments = Vec::new();
    let mut children: Vec<u32> = Vec::new();
    let mut frames = vec![open(
        waterfall,
        waterfall.main_root,
        (waterfall.start_ns[root], waterfall.end_ns(root)),
        &mut children,
    )];
    while let Some(frame) = frames.last_mut() {
        if children.len() == frame.first {
            push(&mut segments, frame.node, frame.floor_ns, frame.cursor_ns);
            frames.pop();
            continue;
        }
        let Some(child) = children.pop() else { break };
        let (start, end) = (waterfall.start_ns[child as usize], waterfall.end_ns(child as usize));
        if end > frame.cursor_ns && !frame.untouched {
            continue;
        }
        let (from, to) = (start.max(frame.floor_ns), end.min(frame.cursor_ns));
        if from >= to {
            continue;
        }
        push(&mut segments, frame.node, to, frame.cursor_ns);
        frame.cursor_ns = from;
        frame.untouched = false;
        frames.push(open(waterfall, child, (from, to), &mut children));
    }
    segments.reverse();
    for segment in &segments {
        waterfall.flags[segment.node as usize] |= flags::CRITICAL;
    }
    waterfall.critical = segments;
}

fn open(waterfall: &Waterfall, node: u32, (from, to): (i64, i64), children: &mut Vec<u32>) -> Frame {
    let first = children.len();
    children.extend(waterfall.children(node));
    // Of those that end together the longest comes first.
    children[first..].sort_unstable_by_key(|&child| {
        let start = waterfall.start_ns[child as usize];
        (waterfall.end_ns(child as usize), std::cmp::Reverse(start), std::cmp::Reverse(child))
    });
    Frame { node, floor_ns: from, cursor_ns: to, untouched: true, first }
}

fn push(segments: &mut Vec<Segment>, node: u32, start_ns: i64, end_ns: i64) {
    if start_ns < end_ns {
        segments.push(Segment { node, start_ns, end_ns });
    }
}
