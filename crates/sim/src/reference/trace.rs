//! A whole trace: its events in order, and what is odd about it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::event::Event;

/// A trace, as places in the list of events.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Spans, span events and links, in order.
    pub spans: Vec<usize>,
    /// Log records, in order.
    pub logs: Vec<usize>,
    /// Ids of spans without a parent id, in order of time.
    pub roots: Vec<String>,
    /// Parents that no span is, sorted.
    pub missing: Vec<String>,
    /// Ids of several spans, sorted.
    pub duplicates: Vec<String>,
}

/// The events of a trace id, which stand in the order of the log. Order is by time, then by the place of their
/// span in the tree (parents before children, children by time), then that of the log.
pub fn trace(events: &[Event], id: &str) -> Trace {
    let mine: Vec<usize> =
        (0..events.len()).filter(|&place| events[place].text("trace.trace_id") == Some(id)).collect();
    let text = |place: usize, name: &str| events[place].text(name);
    let is_log = |place: &usize| text(*place, "meta.signal_type") == Some("log");
    let mut spans: Vec<usize> =
        mine.iter().copied().filter(|p| !is_log(p) && text(*p, "meta.annotation_type").is_none()).collect();
    spans.sort_by_key(|&place| (events[place].time_ns, place));
    let span_id = |place: usize| text(place, "trace.span_id").unwrap_or_default();
    let has = |id: &str| spans.iter().any(|&span| span_id(span) == id);
    // Roots, then those whose parent is missing, then what is left and runs in circles.
    let parent = |span: usize| text(span, "trace.parent_id");
    let mut starts: Vec<usize> = spans.clone();
    starts.sort_by_key(|&span| match parent(span) {
        None => 0,
        Some(parent) if !has(parent) => 1,
        Some(_) => 2,
    });
    let mut order: BTreeMap<&str, usize> = BTreeMap::new();
    for start in starts {
        let mut open = vec![span_id(start)];
        while let Some(id) = open.pop() {
            if order.contains_key(id) {
                continue;
            }
            order.insert(id, order.len());
            let mut children: Vec<usize> =
                spans.iter().copied().filter(|&span| parent(span) == Some(id)).collect();
            children.sort_by_key(|&span| Reverse((events[span].time_ns, span)));
            open.extend(children.into_iter().map(span_id));
        }
    }
    let mut ordered = mine;
    ordered.sort_by_key(|&place| {
        let owner = text(place, "trace.span_id").or_else(|| parent(place));
        let in_tree = owner.and_then(|id| order.get(id)).copied().unwrap_or(usize::MAX);
        (events[place].time_ns, in_tree, place)
    });
    let mut found = Trace::default();
    (found.logs, found.spans) = ordered.into_iter().partition(is_log);
    for &span in &spans {
        match parent(span) {
            None => push_new(&mut found.roots, span_id(span)),
            Some(parent) if !has(parent) => push_new(&mut found.missing, parent),
            Some(_) => {}
        }
        if spans.iter().filter(|&&other| span_id(other) == span_id(span)).count() > 1 {
            push_new(&mut found.duplicates, span_id(span));
        }
    }
    // Roots stand in the order in which their rows do.
    let place_of = |id: &String| {
        let is_it = |place: &&usize| {
            span_id(**place) == id
                && parent(**place).is_none()
                && text(**place, "meta.annotation_type").is_none()
        };
        found.spans.iter().position(|place| is_it(&place))
    };
    found.roots.sort_by_key(place_of);
    found.missing.sort();
    found.duplicates.sort();
    found
}

fn push_new(list: &mut Vec<String>, id: &str) {
    if list.iter().all(|known| known != id) {
        list.push(id.to_owned());
    }
}
