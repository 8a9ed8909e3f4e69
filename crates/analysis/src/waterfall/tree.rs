//! Which span hangs on which, and the order in which they are drawn.

use super::repeats::{self, Repeat};
use super::{NONE, Span, Templates, Waterfall, count, flags};

/// Spans with their parents, duplicates folded, circles cut. Nodes are numbered by time; behind them come the
/// parents that nobody sent.
pub(super) struct Linked {
    /// The span of each node; none for a missing parent.
    pub(super) source: Vec<u32>,
    pub(super) parent: Vec<u32>,
    pub(super) flags: Vec<u16>,
    id: Vec<u64>,
    copies: Vec<u32>,
    /// Nodes by parent.
    pub(super) children: Children,
}

/// Lists of children, end to end.
pub(super) struct Children {
    starts: Vec<u32>,
    nodes: Vec<u32>,
}

impl Children {
    /// Lists in the order in which `order` names the nodes.
    fn of(parents: &[u32], order: impl Iterator<Item = u32> + Clone) -> Children {
        let mut starts = vec![0_u32; parents.len() + 1];
        for &parent in parents.iter().filter(|&&parent| parent != NONE) {
            starts[parent as usize + 1] += 1;
        }
        for place in 1..starts.len() {
            starts[place] += starts[place - 1];
        }
        let mut next = starts.clone();
        let mut nodes = vec![NONE; starts.last().map_or(0, |&all| all as usize)];
        for node in order {
            if let Some(next) = next.get_mut(parents[node as usize] as usize) {
                nodes[*next as usize] = node;
                *next += 1;
            }
        }
        Children { starts, nodes }
    }

    pub(super) fn below(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.nodes[self.starts[node] as usize..self.starts[node + 1] as usize]
    }
}

impl Linked {
    pub(super) fn of(spans: &[Span]) -> Linked {
        let mut by_id: Vec<(u64, u32)> = spans.iter().map(|span| span.id).zip(0..).collect();
        by_id.sort_unstable();
        // Of equal ids the earliest stands for all.
        let mut copies_of_row = vec![0_u32; spans.len()];
        for run in by_id.chunk_by(|a, b| a.0 == b.0) {
            copies_of_row[run[0].1 as usize] = count(run.len());
        }
        by_id.dedup_by_key(|&mut (id, _)| id);
        let mut node_of_row = vec![NONE; spans.len()];
        let mut linked = Linked {
            source: Vec::with_capacity(by_id.len()),
            parent: vec![NONE; by_id.len()],
            flags: vec![0; by_id.len()],
            id: Vec::with_capacity(by_id.len()),
            copies: Vec::with_capacity(by_id.len()),
            children: Children { starts: Vec::new(), nodes: Vec::new() },
        };
        for (row, (span, &copies)) in (0..).zip(spans.iter().zip(&copies_of_row)) {
            if copies > 0 {
                node_of_row[row as usize] = count(linked.source.len());
                if copies > 1 {
                    linked.flags[linked.source.len()] |= flags::DUPLICATE;
                }
                linked.source.push(row);
                linked.id.push(span.id);
                linked.copies.push(copies);
            }
        }
        by_id.iter_mut().for_each(|(_, row)| *row = node_of_row[*row as usize]);
        linked.find_parents(spans, &by_id);
        linked.cut_circles();
        let all = 0..count(linked.parent.len());
        linked.children = Children::of(&linked.parent, all);
        linked
    }

    /// Both lists sorted by id, so that one walk finds every parent.
    fn find_parents(&mut self, spans: &[Span], by_id: &[(u64, u32)]) {
        let mut wanted: Vec<(u64, u32)> = Vec::with_capacity(self.source.len());
        for (node, &row) in (0..).zip(&self.source) {
            match spans[row as usize].parent_id {
                0 => self.flags[node as usize] |= flags::ROOT,
                parent => wanted.push((parent, node)),
            }
        }
        wanted.sort_unstable();
        let mut known = by_id.iter().peekable();
        for run in wanted.chunk_by(|a, b| a.0 == b.0) {
            let id = run[0].0;
            while known.next_if(|&&(known, _)| known < id).is_some() {}
            let parent = match known.peek() {
                Some(&&(found, node)) if found == id => node,
                _ => self.push_missing(id),
            };
            run.iter().for_each(|&(_, node)| self.parent[node as usize] = parent);
        }
    }

    fn push_missing(&mut self, id: u64) -> u32 {
        self.source.push(NONE);
        self.parent.push(NONE);
        self.flags.push(flags::MISSING);
        self.id.push(id);
        self.copies.push(0);
        count(self.id.len() - 1)
    }

    /// Every node has one parent at most, so a walk upwards that meets itself has found the whole circle.
    fn cut_circles(&mut self) {
        let mut walk_of = vec![NONE; self.parent.len()];
        for start in 0..count(self.parent.len()) {
            let mut node = start;
            while node != NONE && walk_of[node as usize] == NONE {
                walk_of[node as usize] = start;
                node = self.parent[node as usize];
            }
            if node == NONE || walk_of[node as usize] != start {
                continue;
            }
            // Nodes are numbered by time.
            let (mut earliest, mut next) = (node, self.parent[node as usize]);
            while next != node {
                earliest = earliest.min(next);
                next = self.parent[next as usize];
            }
            self.parent[earliest as usize] = NONE;
            self.flags[earliest as usize] |= flags::CUT;
        }
    }
}

/// Puts nodes into the order in which they are drawn: children by time under their parents, repeated work
/// together where its first span stands.
pub(super) fn draw(
    spans: &[Span],
    linked: Linked,
    shifts: &[i64],
    templates: &Templates,
) -> (Waterfall, Vec<Repeat>) {
    let nodes = linked.id.len();
    let (starts, ends) = shown_times(spans, &linked, shifts);
    let mut by_time: Vec<(i64, u32)> = starts.iter().copied().zip(0..).collect();
    by_time.sort_unstable();
    let mut children = Children::of(&linked.parent, by_time.iter().map(|&(_, node)| node));
    let group_of =
        repeats::group(spans, &linked, &starts, &ends, templates, &mut children_mut(&mut children));
    let is_top = |&&(_, node): &&(i64, u32)| linked.parent[node as usize] == NONE;
    let is_root = |&&(_, node): &&(i64, u32)| linked.flags[node as usize] & flags::ROOT != 0;
    let tops = by_time.iter().filter(is_top);
    let rest = tops.clone().filter(|top| !is_root(top));
    let mut order: Vec<u32> = Vec::with_capacity(nodes);
    let mut place_of = vec![NONE; nodes];
    let mut open = Vec::new();
    for &(_, top) in tops.filter(is_root).chain(rest) {
        open.push(top);
        while let Some(node) = open.pop() {
            place_of[node as usize] = count(order.len());
            order.push(node);
            open.extend(children.below(node).iter().rev());
        }
    }
    let of = |list: &[u32]| -> Vec<u32> { order.iter().map(|&node| list[node as usize]).collect() };
    let mut waterfall = Waterfall {
        source: of(&linked.source),
        copies: of(&linked.copies),
        parent: of(&linked.parent),
        id: order.iter().map(|&node| linked.id[node as usize]).collect(),
        flags: order.iter().map(|&node| linked.flags[node as usize]).collect(),
        start_ns: order.iter().map(|&node| starts[node as usize]).collect(),
        duration_ns: order
            .iter()
            .map(|&node| ends[node as usize].saturating_sub(starts[node as usize]))
            .collect(),
        shift_ns: order.iter().map(|&node| shifts[node as usize]).collect(),
        depth: vec![0; nodes],
        size: vec![1; nodes],
        main_root: NONE,
        ..Waterfall::default()
    };
    for node in 0..nodes {
        let parent = &mut waterfall.parent[node];
        if *parent != NONE {
            *parent = place_of[*parent as usize];
            waterfall.depth[node] = waterfall.depth[*parent as usize] + 1;
        }
        if waterfall.shift_ns[node] != 0 {
            waterfall.flags[node] |= flags::SHIFTED;
        }
    }
    for node in (0..nodes).rev() {
        if let Some(parent) = Some(waterfall.parent[node] as usize).filter(|&parent| parent < nodes) {
            waterfall.size[parent] += waterfall.size[node];
        }
    }
    waterfall.ids = waterfall.id.iter().copied().zip(0..).collect();
    waterfall.ids.sort_unstable();
    let repeats = group_of.told(&mut waterfall, &place_of);
    (waterfall, repeats)
}

/// The lists of children, for whoever puts them into another order.
pub(super) struct ChildrenMut<'c>(&'c mut Children);

fn children_mut(children: &mut Children) -> ChildrenMut<'_> {
    ChildrenMut(children)
}

impl ChildrenMut<'_> {
    pub(super) fn below(&mut self, node: u32) -> &mut [u32] {
        let node = node as usize;
        &mut self.0.nodes[self.0.starts[node] as usize..self.0.starts[node + 1] as usize]
    }
}

/// Starts and ends as they are drawn. A missing parent is drawn around its children.
fn shown_times(spans: &[Span], linked: &Linked, shifts: &[i64]) -> (Vec<i64>, Vec<i64>) {
    let nodes = linked.source.len();
    let (mut starts, mut ends) = (vec![i64::MAX; nodes], vec![i64::MIN; nodes]);
    for node in 0..nodes {
        let Some(span) = spans.get(linked.source[node] as usize) else { continue };
        starts[node] = span.start_ns.saturating_add(shifts[node]);
        ends[node] = starts[node].saturating_add(span.duration_ns.max(0));
        if let Some(parent) =
            Some(linked.parent[node] as usize).filter(|&parent| linked.source.get(parent) == Some(&NONE))
        {
            starts[parent] = starts[parent].min(starts[node]);
            ends[parent] = ends[parent].max(ends[node]);
        }
    }
    (starts, ends)
}
