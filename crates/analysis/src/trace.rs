//! A trace made of its events: spans in order, roots, missing parents, spans that came twice.
//!
//! Order is that of SEMANTICS.md: timestamp, then place in the trace tree, then event id. Nothing is dropped: a
//! span that came twice is listed twice and named in [`Trace::duplicate_spans`]; folding is for whoever shows
//! it. A circle of parents, which broken clients do send, ends where it meets itself.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use skein_event::ids::EventId;
use skein_query::result::FlatRow;

/// A trace in order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Trace {
    /// There is a root, and every parent is there.
    pub complete: bool,
    /// Ids of the spans without a parent id, in order of time.
    pub root_ids: Vec<String>,
    /// Parent ids that no span of the trace has, sorted.
    pub missing_parents: Vec<String>,
    /// Ids that more than one span has, sorted.
    pub duplicate_spans: Vec<String>,
    /// Spans, span events and links.
    pub spans: Vec<FlatRow>,
    /// Log records.
    pub logs: Vec<FlatRow>,
}

/// What places a row in its trace, looked up once.
struct Facts<'a> {
    is_log: bool,
    /// Span events and links carry their span's id as parent; they are no spans.
    is_span: bool,
    span_id: Option<&'a str>,
    parent_id: Option<&'a str>,
}

impl<'a> Facts<'a> {
    fn of(row: &'a FlatRow) -> Facts<'a> {
        let is_log = row.text("meta.signal_type") == Some("log");
        let span_id = row.text("trace.span_id");
        let is_span = !is_log && span_id.is_some() && row.text("meta.annotation_type").is_none();
        Facts { is_log, is_span, span_id, parent_id: row.text("trace.parent_id") }
    }
}

/// Assembles a trace from its rows, in whatever order they come.
pub fn assemble(rows: Vec<FlatRow>) -> Trace {
    let facts: Vec<Facts<'_>> = rows.iter().map(Facts::of).collect();
    let places = places(&rows, &facts);
    let key = |row: usize| key(&rows[row], &facts[row], &places);
    let mut keyed: Vec<(Key, usize)> = (0..rows.len()).map(|row| (key(row), row)).collect();
    keyed.sort_unstable_by_key(|&(key, row)| (key, row));
    let order: Vec<usize> = keyed.into_iter().map(|(_, row)| row).collect();
    let spans = || order.iter().map(|&row| &facts[row]).filter(|facts| facts.is_span);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for id in spans().filter_map(|span| span.span_id) {
        *counts.entry(id).or_default() += 1;
    }
    let mut root_ids: Vec<String> = Vec::new();
    let mut known_roots: HashSet<&str> = HashSet::new();
    let mut missing: BTreeSet<&str> = BTreeSet::new();
    for span in spans() {
        match span.parent_id {
            Some(parent) if !counts.contains_key(parent) => {
                missing.insert(parent);
            }
            Some(_) => {}
            None => {
                let id = span.span_id.unwrap_or_default();
                if known_roots.insert(id) {
                    root_ids.push(id.to_owned());
                }
            }
        }
    }
    let duplicates = counts.iter().filter(|(_, count)| **count > 1).map(|(id, _)| (*id).to_owned()).collect();
    let mut trace = Trace {
        complete: missing.is_empty() && !root_ids.is_empty(),
        missing_parents: missing.into_iter().map(str::to_owned).collect(),
        duplicate_spans: duplicates,
        root_ids,
        ..Trace::default()
    };
    let are_logs: Vec<bool> = facts.iter().map(|facts| facts.is_log).collect();
    let mut rows: Vec<Option<FlatRow>> = rows.into_iter().map(Some).collect();
    for row in order {
        let list = if are_logs[row] { &mut trace.logs } else { &mut trace.spans };
        list.extend(rows[row].take());
    }
    trace
}

/// The order of an event in its trace.
type Key = (i64, usize, EventId);

fn key(row: &FlatRow, facts: &Facts<'_>, places: &HashMap<&str, usize>) -> Key {
    // A log record belongs to the span whose id it has, a span event or link to the span that is its parent.
    let owner = facts.span_id.or(facts.parent_id);
    let place = owner.and_then(|id| places.get(id)).copied().unwrap_or(usize::MAX);
    (row.time_ns, place, row.event_id)
}

/// The place of each span in the tree: parents before children, children by time. Spans whose parent is
/// missing, or that are their own ancestors, come after those that hang on a root.
fn places<'a>(rows: &[FlatRow], facts: &[Facts<'a>]) -> HashMap<&'a str, usize> {
    let mut spans: Vec<(&FlatRow, &Facts<'a>)> =
        rows.iter().zip(facts).filter(|(_, facts)| facts.is_span).collect();
    spans.sort_by_key(|(row, _)| (row.time_ns, row.event_id));
    let mut children: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut roots = Vec::new();
    let mut orphans = Vec::new();
    let known: HashSet<&str> = spans.iter().filter_map(|(_, span)| span.span_id).collect();
    for (_, span) in &spans {
        let id = span.span_id.unwrap_or_default();
        match span.parent_id {
            None => roots.push(id),
            Some(parent) if known.contains(parent) => children.entry(parent).or_default().push(id),
            Some(_) => orphans.push(id),
        }
    }
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(spans.len());
    // What is left after roots and orphans runs in a circle.
    let all = spans.iter().filter_map(|(_, span)| span.span_id);
    for start in roots.into_iter().chain(orphans).chain(all) {
        let mut open = vec![start];
        while let Some(id) = open.pop() {
            if places.contains_key(id) {
                continue;
            }
            places.insert(id, places.len());
            open.extend(children.get(id).into_iter().flatten().rev());
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use skein_event::ids::{Offset, Partition};
    use skein_event::value::Value;

    use super::*;

    fn row(time_ns: i64, index: u32, fields: &[(&str, &str)]) -> FlatRow {
        let mut fields: Vec<(Arc<str>, Value)> =
            fields.iter().map(|(name, text)| (Arc::from(*name), Value::Text((*text).to_owned()))).collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        let event_id = EventId { partition: Partition(0), offset: Offset(0), index };
        FlatRow { time_ns, ingest_time_ns: 0, event_id, fields }
    }

    fn span(time_ns: i64, index: u32, id: &str, parent: Option<&str>) -> FlatRow {
        let mut fields = vec![("meta.signal_type", "trace"), ("trace.span_id", id)];
        fields.extend(parent.map(|parent| ("trace.parent_id", parent)));
        row(time_ns, index, &fields)
    }

    fn ids(rows: &[FlatRow]) -> Vec<&str> {
        rows.iter().map(|row| row.text("trace.span_id").unwrap_or("-")).collect()
    }

    #[test]
    fn equal_times_are_ordered_by_place_in_the_tree() {
        // All at one time; the ids of the log run against the tree.
        let rows = vec![
            span(5, 0, "leaf", Some("mid")),
            span(5, 1, "mid", Some("root")),
            span(5, 2, "root", None),
            span(4, 3, "early", Some("root")),
            span(5, 4, "second", Some("root")),
        ];
        let trace = assemble(rows);
        assert_eq!(ids(&trace.spans), ["early", "root", "mid", "leaf", "second"]);
        assert_eq!(trace.root_ids, ["root"]);
        assert!(trace.complete);
    }

    #[test]
    fn missing_parents_and_duplicates_are_named_and_nothing_is_dropped() {
        let rows = vec![
            span(1, 0, "a", Some("gone")),
            span(2, 1, "b", Some("a")),
            span(2, 2, "b", Some("a")),
            row(
                2,
                3,
                &[("meta.signal_type", "trace"), ("meta.annotation_type", "link"), ("trace.parent_id", "x")],
            ),
        ];
        let trace = assemble(rows);
        assert_eq!(trace.missing_parents, ["gone"], "a link's parent is its span, not a parent span");
        assert_eq!(trace.duplicate_spans, ["b"]);
        assert_eq!(trace.spans.len(), 4);
        assert!(!trace.complete && trace.root_ids.is_empty());
    }

    #[test]
    fn logs_stand_beside_and_keep_their_order_of_emission() {
        let log = |index, span: &str| row(7, index, &[("meta.signal_type", "log"), ("trace.span_id", span)]);
        let rows = vec![
            log(9, "root"),
            log(3, "child"),
            span(1, 0, "root", None),
            log(5, "root"),
            span(2, 1, "child", Some("root")),
        ];
        let trace = assemble(rows);
        assert_eq!(ids(&trace.spans), ["root", "child"]);
        let order: Vec<u32> = trace.logs.iter().map(|row| row.event_id.index).collect();
        assert_eq!(order, [5, 9, 3], "of one time: by span, then by event id");
    }

    #[test]
    fn circles_end() {
        let rows = vec![span(1, 0, "a", Some("b")), span(1, 1, "b", Some("a")), span(1, 2, "c", Some("c"))];
        let trace = assemble(rows);
        assert_eq!(ids(&trace.spans), ["a", "b", "c"]);
        assert!(!trace.complete && trace.missing_parents.is_empty());
    }

    #[test]
    fn a_deep_trace_takes_no_stack() {
        let name = |n: u32| format!("s{n}");
        let rows = (0..50_000_u32).map(|n| span(1, n, &name(n), (n > 0).then(|| name(n - 1)).as_deref()));
        let trace = assemble(rows.rev().collect());
        assert_eq!(ids(&trace.spans[..3]), ["s0", "s1", "s2"]);
        assert!(trace.complete);
    }

    #[test]
    fn an_empty_trace_is_not_complete() {
        assert_eq!(assemble(Vec::new()), Trace::default());
    }
}
