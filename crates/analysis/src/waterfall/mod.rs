//! What a trace looks like and where its time went: the tree of its spans, in the order in which they are drawn.
//!
//! Columns in, columns out: a trace of a million spans is a dozen vectors, never a million objects. Every step
//! is linear or sorts once, none recurses, and what comes out is bounded by what goes in. Nothing is left out
//! silently: spans of equal id are folded and counted, a parent that nobody sent is a node of its own, a circle
//! of parents is cut at its earliest span and says so, and clocks are corrected only here, by a shift that is
//! told for every span.

mod critical;
mod gaps;
mod repeats;
mod skew;
mod tree;

pub use critical::Segment;
pub use gaps::Gap;
pub use repeats::{Repeat, RepeatKind};
pub use skew::Skew;

use tree::Linked;

/// Stands for "none" where a number of a node or a row is expected.
pub const NONE: u32 = u32::MAX;

/// What is said of a node beside its numbers; bits of [`Waterfall::flags`].
pub mod flags {
    /// The span failed.
    pub const ERROR: u16 = 1;
    /// Part of the time of the trace went by in it.
    pub const CRITICAL: u16 = 1 << 1;
    /// Nobody sent this span: it is known as the parent of others.
    pub const MISSING: u16 = 1 << 2;
    /// Its id came more than once.
    pub const DUPLICATE: u16 = 1 << 3;
    /// It was its own ancestor; the tie to its parent is not drawn.
    pub const CUT: u16 = 1 << 4;
    /// It is drawn elsewhere than its clock said.
    pub const SHIFTED: u16 = 1 << 5;
    /// It has no parent.
    pub const ROOT: u16 = 1 << 6;
    /// It belongs to repeated work.
    pub const REPEATED: u16 = 1 << 7;
    /// It has span events.
    pub const EVENTS: u16 = 1 << 8;
    /// One of them is an exception.
    pub const EXCEPTION: u16 = 1 << 9;
    /// It has links.
    pub const LINKS: u16 = 1 << 10;
    /// It has log records.
    pub const LOGS: u16 = 1 << 11;
    /// A span below it failed.
    pub const ERROR_BELOW: u16 = 1 << 12;
}

/// On which side of a call a span stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Side {
    /// Neither, or it is not known.
    #[default]
    Other,
    /// It waits for an answer.
    Client,
    /// It answers.
    Server,
}

/// One span as the analysis needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Its id.
    pub id: u64,
    /// Its parent's, 0 without one.
    pub parent_id: u64,
    /// Epoch nanoseconds.
    pub start_ns: i64,
    /// Nanoseconds, not negative.
    pub duration_ns: i64,
    /// Number of its name.
    pub name: u32,
    /// Number of its service.
    pub service: u32,
    /// Number of the clock that it was timed with: spans of one clock are never moved against each other.
    pub clock: u32,
    /// Its side of a call.
    pub side: Side,
    /// It failed.
    pub error: bool,
}

/// A trace in the order in which it is drawn: parents before children, so that what is below a node are the
/// `size - 1` nodes after it. All vectors have one entry per node.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Waterfall {
    /// Place of the span among those given; [`NONE`] for a parent that nobody sent.
    pub source: Vec<u32>,
    /// Its id.
    pub id: Vec<u64>,
    /// Its parent node, or [`NONE`].
    pub parent: Vec<u32>,
    /// Nodes above it.
    pub depth: Vec<u32>,
    /// Nodes of its subtree, itself included.
    pub size: Vec<u32>,
    /// Where it is drawn, epoch nanoseconds; its own time is this less `shift_ns`.
    pub start_ns: Vec<i64>,
    /// Nanoseconds.
    pub duration_ns: Vec<i64>,
    /// By how much its clock was corrected.
    pub shift_ns: Vec<i64>,
    /// The part of its duration in which none of its children runs.
    pub self_ns: Vec<i64>,
    /// Spans of its id.
    pub copies: Vec<u32>,
    /// See [`flags`].
    pub flags: Vec<u16>,
    /// The node that the critical path is of, or [`NONE`] for an empty trace.
    pub main_root: u32,
    /// The critical path: pieces of time in their order, without a gap, which cover the main root's duration.
    pub critical: Vec<Segment>,
    /// Stretches in which a span has children and none of them runs, the long ones, by node.
    pub gaps: Vec<Gap>,
    /// Time in which the trace is under way and no span without children runs.
    pub idle_ns: i64,
    /// Repeated work, by first node.
    pub repeats: Vec<Repeat>,
    /// Corrections of clocks, by service.
    pub skews: Vec<Skew>,
    /// Ids of spans with their nodes, sorted by id: for [`Waterfall::node_of`].
    ids: Vec<(u64, u32)>,
}

impl Waterfall {
    /// Analyses the spans of a trace, in whatever order they come.
    pub fn of(spans: &[Span], templates: &Templates) -> Waterfall {
        if spans.is_sorted_by_key(|span| span.start_ns) {
            return Waterfall::of_sorted(spans, templates);
        }
        let mut order: Vec<u32> = (0..count(spans.len())).collect();
        order.sort_by_key(|&row| spans[row as usize].start_ns);
        let sorted: Vec<Span> = order.iter().map(|&row| spans[row as usize]).collect();
        let mut waterfall = Waterfall::of_sorted(&sorted, templates);
        for source in &mut waterfall.source {
            *source = order.get(*source as usize).copied().unwrap_or(NONE);
        }
        waterfall
    }

    fn of_sorted(spans: &[Span], templates: &Templates) -> Waterfall {
        let linked = Linked::of(spans);
        let shifts = skew::shifts(spans, &linked);
        let (mut waterfall, repeats) = tree::draw(spans, linked, &shifts, templates);
        waterfall.repeats = repeats;
        waterfall.skews = skew::told(spans, &waterfall);
        waterfall.main_root = waterfall.choose_main_root();
        waterfall.mark_errors(spans);
        critical::find(&mut waterfall);
        gaps::find(&mut waterfall);
        waterfall
    }

    /// Nodes.
    pub fn len(&self) -> usize {
        self.id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.id.is_empty()
    }

    /// The node of a span.
    pub fn node_of(&self, id: u64) -> Option<u32> {
        let place = self.ids.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        self.ids.get(place).map(|&(_, node)| node)
    }

    /// When the first node begins and the last one ends, as drawn.
    pub fn range_ns(&self) -> Option<(i64, i64)> {
        let start = self.start_ns.iter().copied().min()?;
        let end = (0..self.len()).map(|node| self.end_ns(node)).max()?;
        Some((start, end))
    }

    fn end_ns(&self, node: usize) -> i64 {
        self.start_ns[node].saturating_add(self.duration_ns[node])
    }

    /// The children of a node, in the order in which they are drawn.
    pub fn children(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        let end = node.saturating_add(self.size.get(node as usize).copied().unwrap_or(0));
        let mut next = node.saturating_add(1);
        std::iter::from_fn(move || {
            let child = next;
            next = next.saturating_add(*self.size.get(child as usize)?);
            (child < end).then_some(child)
        })
    }

    /// The first true root; without one, the longest of what is at the top.
    fn choose_main_root(&self) -> u32 {
        let tops = || (0..count(self.len())).filter(|&node| self.parent[node as usize] == NONE);
        let root = tops().find(|&node| self.flags[node as usize] & flags::ROOT != 0);
        let longest =
            || tops().max_by_key(|&node| (self.duration_ns[node as usize], std::cmp::Reverse(node)));
        root.or_else(longest).unwrap_or(NONE)
    }

    fn mark_errors(&mut self, spans: &[Span]) {
        // Children stand behind their parents: backwards, each is done before its parent.
        for node in (0..self.len()).rev() {
            let failed = spans.get(self.source[node] as usize).is_some_and(|span| span.error);
            self.flags[node] |= if failed { flags::ERROR } else { 0 };
            let told = self.flags[node] & (flags::ERROR | flags::ERROR_BELOW) != 0;
            if let Some(above) = self.flags.get_mut(self.parent[node] as usize).filter(|_| told) {
                *above |= flags::ERROR_BELOW;
            }
        }
    }
}

/// Which names are instances of one another.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Templates {
    /// For each name the number of its template.
    pub of_name: Vec<u32>,
    /// The templates.
    pub texts: Vec<String>,
    /// Which of them open a connection.
    pub connects: Vec<bool>,
}

impl Templates {
    /// The templates of some names: digits differ between instances, and so do the ids that consist of them.
    pub fn of<'n>(names: impl Iterator<Item = &'n str>) -> Templates {
        let mut known = std::collections::BTreeMap::new();
        let mut templates = Templates::default();
        for name in names {
            let text = template(name);
            let number = *known.entry(text).or_insert_with_key(|text: &String| {
                let lower = text.to_lowercase();
                templates
                    .connects
                    .push(["connect", "dial", "handshake"].iter().any(|word| lower.contains(word)));
                templates.texts.push(text.clone());
                count(templates.texts.len() - 1)
            });
            templates.of_name.push(number);
        }
        templates
    }
}

/// A name with each word that holds a digit beyond its first letters reduced to `#`: "GET /item/17" and
/// "GET /item/18" are one, "POST /v1/orders" stays itself.
fn template(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut word = String::new();
    for character in name.chars().map(Some).chain([None]) {
        match character {
            Some(character) if character.is_alphanumeric() => word.push(character),
            other => {
                let digits = word.chars().filter(char::is_ascii_digit).count();
                let is_version =
                    digits == 1 && word.len() <= 2 && !word.starts_with(|c: char| c.is_ascii_digit());
                let hexadecimal = word.len() >= 8 && word.chars().all(|c| c.is_ascii_hexdigit());
                if digits > 0 && !is_version && (hexadecimal || digits * 2 >= word.len()) {
                    out.push('#');
                } else {
                    out.push_str(&word);
                }
                word.clear();
                out.extend(other);
            }
        }
    }
    out
}

/// A count that fits by the limits on what a query may hold.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(NONE)
}

#[cfg(test)]
mod tests;
