//! The events of a trace, told apart and put in order.
//!
//! Order is that of SEMANTICS.md: timestamp, then place in the trace tree, then event id. Nothing is dropped:
//! a span that came twice is shown twice and named. Trees, critical paths and gaps are analysis.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use event::ids::{EventId, Offset, Partition};
use skein_event as event;
use skein_query::result::{FlatRow, TraceRows};

/// A trace in order.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Assembled {
    /// A root and every parent are there.
    pub(crate) complete: bool,
    pub(crate) root_ids: Vec<String>,
    pub(crate) missing_parents: Vec<String>,
    pub(crate) duplicate_spans: Vec<String>,
    /// Spans with their events and links.
    pub(crate) spans: Vec<FlatRow>,
    pub(crate) logs: Vec<FlatRow>,
}

/// Assembles a trace.
pub(crate) fn assemble(trace: TraceRows) -> Assembled {
    let (mut logs, mut spans): (Vec<FlatRow>, Vec<FlatRow>) =
        trace.rows.into_iter().partition(|row| row.text("meta.signal_type") == Some("log"));
    let is_span = |row: &&FlatRow| row.text("meta.annotation_type").is_none();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for id in spans.iter().filter(is_span).filter_map(|row| row.text("trace.span_id")) {
        *counts.entry(id).or_default() += 1;
    }
    let named = |row: &FlatRow, column: &str| row.text(column).map(str::to_owned);
    let roots = spans.iter().filter(is_span).filter(|row| row.text("trace.parent_id").is_none());
    let root_ids: BTreeSet<String> = roots.filter_map(|row| named(row, "trace.span_id")).collect();
    let parents = spans.iter().filter(is_span).filter_map(|row| row.text("trace.parent_id"));
    let missing: BTreeSet<String> =
        parents.filter(|parent| !counts.contains_key(parent)).map(str::to_owned).collect();
    let duplicates = counts.iter().filter(|&(_, &count)| count > 1).map(|(id, _)| (*id).to_owned()).collect();
    let depths = depths(&spans);
    let depth = |row: &FlatRow| {
        row.text("trace.span_id").and_then(|id| depths.get(id)).copied().unwrap_or(usize::MAX)
    };
    let (span_depths, log_depths): (Vec<usize>, Vec<usize>) =
        (spans.iter().map(depth).collect(), logs.iter().map(depth).collect());
    sort(&mut spans, span_depths);
    sort(&mut logs, log_depths);
    Assembled {
        complete: missing.is_empty() && !root_ids.is_empty(),
        root_ids: root_ids.into_iter().collect(),
        missing_parents: missing.into_iter().collect(),
        duplicate_spans: duplicates,
        spans,
        logs,
    }
}

fn sort(rows: &mut Vec<FlatRow>, depths: Vec<usize>) {
    let mut keyed: Vec<(usize, FlatRow)> = depths.into_iter().zip(rows.drain(..)).collect();
    let key = |depth: usize, row: &FlatRow| -> (i64, usize, Partition, Offset, u32) {
        let EventId { partition, offset, index } = row.event_id;
        (row.time_ns, depth, partition, offset, index)
    };
    keyed.sort_by_key(|(depth, row)| key(*depth, row));
    rows.extend(keyed.into_iter().map(|(_, row)| row));
}

/// How many parents a span has above it. A chain that runs in a circle ends where it meets itself.
fn depths(spans: &[FlatRow]) -> HashMap<String, usize> {
    let parent_of: HashMap<&str, Option<&str>> = spans
        .iter()
        .filter(|row| row.text("meta.annotation_type").is_none())
        .filter_map(|row| Some((row.text("trace.span_id")?, row.text("trace.parent_id"))))
        .collect();
    let mut depths: HashMap<&str, usize> = HashMap::new();
    for &start in parent_of.keys() {
        let mut path = Vec::new();
        let mut seen = BTreeSet::new();
        let mut here = Some(start);
        let mut base = 0;
        while let Some(id) = here {
            if let Some(known) = depths.get(id) {
                base = known + 1;
                break;
            }
            if !seen.insert(id) {
                break;
            }
            path.push(id);
            here = parent_of.get(id).copied().flatten().filter(|parent| parent_of.contains_key(parent));
        }
        for (above, id) in path.into_iter().rev().enumerate() {
            depths.insert(id, base + above);
        }
    }
    depths.into_iter().map(|(id, depth)| (id.to_owned(), depth)).collect()
}

#[cfg(test)]
mod tests {
    use event::value::Value;

    use super::*;

    fn row(time_ns: i64, index: u32, fields: &[(&str, &str)]) -> FlatRow {
        let mut fields: Vec<_> =
            fields.iter().map(|(name, text)| ((*name).into(), Value::Text((*text).into()))).collect();
        fields.sort_by(|(a, _): &(std::sync::Arc<str>, Value), (b, _)| a.cmp(b));
        let event_id = EventId { partition: Partition(0), offset: Offset(0), index };
        FlatRow { time_ns, ingest_time_ns: 0, event_id, fields }
    }

    fn span(time_ns: i64, index: u32, id: &str, parent: Option<&str>) -> FlatRow {
        let mut fields = vec![("meta.signal_type", "trace"), ("trace.span_id", id)];
        fields.extend(parent.map(|parent| ("trace.parent_id", parent)));
        row(time_ns, index, &fields)
    }

    fn assembled(rows: Vec<FlatRow>) -> Assembled {
        assemble(TraceRows { trace_id: [1; 16], rows, complete_to_ns: 0, meta: Default::default() })
    }

    #[test]
    fn equal_times_are_ordered_by_the_tree_and_then_by_id() {
        let log = row(5, 9, &[("meta.signal_type", "log"), ("trace.span_id", "b")]);
        let trace = assembled(vec![
            span(5, 0, "c", Some("b")),
            span(5, 1, "b", Some("a")),
            log,
            span(5, 3, "a", None),
            span(4, 4, "d", Some("c")),
            span(5, 2, "b", Some("a")),
        ]);
        let ids: Vec<&str> = trace.spans.iter().filter_map(|row| row.text("trace.span_id")).collect();
        assert_eq!(ids, ["d", "a", "b", "b", "c"]);
        assert_eq!((trace.logs.len(), trace.complete), (1, true));
        assert_eq!((trace.root_ids, trace.duplicate_spans), (vec!["a".to_owned()], vec!["b".to_owned()]));
    }

    #[test]
    fn what_is_missing_is_named() {
        let trace = assembled(vec![span(1, 0, "b", Some("a")), span(2, 1, "c", Some("b"))]);
        assert_eq!((trace.missing_parents, trace.complete), (vec!["a".to_owned()], false));
        let circle = assembled(vec![span(1, 0, "a", Some("b")), span(1, 1, "b", Some("a"))]);
        assert_eq!((circle.spans.len(), circle.complete), (2, false), "a circle ends and has no root");
    }
}
