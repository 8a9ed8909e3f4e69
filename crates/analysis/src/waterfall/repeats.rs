//! Work that a span does again and again: the query in a loop, the call that is tried until it succeeds.
//!
//! Repeated are spans under one parent, of one service, whose names are instances of one template. They are drawn
//! together where the first of them stands, so that whoever shows them can show one line instead. Attempts are
//! one after the other and all but the last failed; of a template that opens connections they are reconnects.

use super::tree::{ChildrenMut, Linked};
use super::{NONE, Span, Templates, Waterfall, count, flags};

/// Fewer equal spans than this are not yet a loop.
const REPEATS_MIN: usize = 5;

/// What kind of repetition it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RepeatKind {
    /// The same work, many times.
    Repeat,
    /// One after the other, until one succeeded or the last failed, too.
    Retry,
    /// A connection that had to be opened again.
    Reconnect,
}

/// Repeated work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repeat {
    /// Its first node; the members and all below them are the `nodes` from there on.
    pub first: u32,
    /// Nodes of all members with what is below them.
    pub nodes: u32,
    /// Members.
    pub members: u32,
    /// Failed ones among them.
    pub errors: u32,
    /// Number of the template of their names.
    pub template: u32,
    /// Their durations, added up.
    pub total_ns: i64,
    /// Start of the first, as drawn.
    pub start_ns: i64,
    /// End of the last.
    pub end_ns: i64,
    /// What it is.
    pub kind: RepeatKind,
}

/// A child: its service and template, its place among its siblings, its node.
type Keyed = (Option<(u32, u32)>, usize, u32);

/// Groups by their first nodes, numbered as they are linked.
pub(super) struct Groups {
    found: Vec<Repeat>,
    members: Vec<(u32, u32)>,
}

/// Finds the groups and brings the members of each together.
pub(super) fn group(
    spans: &[Span],
    linked: &Linked,
    starts: &[i64],
    ends: &[i64],
    templates: &Templates,
    children: &mut ChildrenMut<'_>,
) -> Groups {
    let mut groups = Groups { found: Vec::new(), members: Vec::new() };
    let span_of = |node: u32| spans.get(*linked.source.get(node as usize)? as usize);
    let key = |node: u32| {
        let span = span_of(node)?;
        Some((span.service, templates.of_name.get(span.name as usize).copied()?))
    };
    let mut keyed: Vec<Keyed> = Vec::new();
    for parent in 0..count(linked.source.len()) {
        let list = children.below(parent);
        if list.len() < 2 {
            continue;
        }
        keyed.clear();
        keyed.extend(list.iter().enumerate().map(|(place, &node)| (key(node), place, node)));
        keyed.sort_unstable();
        let known = groups.found.len();
        // Where each child goes: to the place of the first of its group.
        for run in keyed.chunk_by_mut(|a, b| a.0.is_some() && a.0 == b.0) {
            let failed = |node: u32| span_of(node).is_some_and(|span| span.error);
            let Some((_, template)) = run[0].0.filter(|_| run.len() > 1) else { continue };
            let attempts = run
                .windows(2)
                .all(|pair| ends[pair[0].2 as usize] <= starts[pair[1].2 as usize] && failed(pair[0].2));
            if run.len() < REPEATS_MIN && !attempts {
                continue;
            }
            let errors = run.iter().filter(|&&(.., node)| failed(node)).count();
            let connects = templates.connects.get(template as usize).copied().unwrap_or_default();
            let kind = match () {
                () if connects && (attempts || errors > 0) => RepeatKind::Reconnect,
                () if attempts => RepeatKind::Retry,
                () => RepeatKind::Repeat,
            };
            let nodes = || run.iter().map(|&(.., node)| node as usize);
            groups.found.push(Repeat {
                first: run[0].2,
                nodes: 0,
                members: count(run.len()),
                errors: count(errors),
                template,
                total_ns: nodes()
                    .fold(0, |sum: i64, node| sum.saturating_add(ends[node].saturating_sub(starts[node]))),
                start_ns: starts[run[0].2 as usize],
                end_ns: nodes().map(|node| ends[node]).max().unwrap_or_default(),
                kind,
            });
            let group = count(groups.found.len() - 1);
            groups.members.extend(run.iter().map(|&(.., node)| (node, group)));
            let place = run[0].1;
            run.iter_mut().for_each(|child| child.1 = place);
        }
        if groups.found.len() > known {
            // Stable by node within a group: its members are in order of time already.
            keyed.sort_by_key(|&(_, place, _)| place);
            list.iter_mut().zip(&keyed).for_each(|(slot, &(.., node))| *slot = node);
        }
    }
    groups
}

impl Groups {
    /// The groups by drawn node; marks their members.
    pub(super) fn told(mut self, waterfall: &mut Waterfall, place_of: &[u32]) -> Vec<Repeat> {
        for &(node, group) in &self.members {
            let place = place_of[node as usize];
            if place == NONE {
                continue;
            }
            waterfall.flags[place as usize] |= flags::REPEATED;
            self.found[group as usize].nodes += waterfall.size[place as usize];
        }
        for repeat in &mut self.found {
            repeat.first = place_of[repeat.first as usize];
        }
        self.found.sort_unstable_by_key(|repeat| (repeat.first, repeat.nodes));
        self.found
    }
}
