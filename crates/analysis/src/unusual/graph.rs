//! Who calls whom, in sums over time: what is an operation's own, and which spans are part of which operation.

use std::collections::HashMap;
use std::sync::Arc;

use skein_event::value::Value;
use skein_query::result::{Cell, Groups};

use super::Operation;

/// A number per bucket of time.
pub(super) type Series = Vec<f64>;

/// The spans of one name in one service.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) operation: Operation,
    pub(super) calls: Series,
    pub(super) total_ms: Series,
    pub(super) failed: Series,
    /// Without what the spans took that these called.
    pub(super) own_ms: Series,
    pub(super) own_failed: Series,
    longest_ms: f64,
    /// Calls by who made them; by nobody that is known: `None`.
    callers: HashMap<Option<usize>, f64>,
}

/// An operation with the spans of its service that are part of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) operation: Operation,
    pub(super) nodes: Vec<usize>,
    pub(super) calls: Series,
    pub(super) total_ms: Series,
    pub(super) failed: Series,
    pub(super) own_ms: Series,
    pub(super) own_failed: Series,
    pub(super) longest_ms: f64,
}

/// Every operation, and the calls between them.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    /// Start of the first bucket, epoch nanoseconds.
    pub(super) start_ns: i64,
    /// End of the last one.
    pub(super) end_ns: i64,
}

impl Graph {
    pub(super) fn of(groups: &Groups, step_ns: i64) -> Graph {
        let series = groups.series.as_deref().unwrap_or_default();
        let step_ns = step_ns.max(1);
        let (Some(first), Some(last)) =
            (series.iter().map(|row| row.time_ns).min(), series.iter().map(|row| row.time_ns).max())
        else {
            return Graph::default();
        };
        let bucket = |time_ns: i64| usize::try_from((time_ns - first) / step_ns).unwrap_or_default();
        let buckets = bucket(last) + 1;
        let mut graph = Graph { nodes: Vec::new(), start_ns: first, end_ns: last.saturating_add(step_ns) };
        let mut places: HashMap<Operation, usize> = HashMap::new();
        let edges: Vec<(Option<usize>, usize)> = groups
            .results
            .iter()
            .map(|row| {
                let parent = operation(row.key.first(), row.key.get(1)).filter(|of| !of.name.is_empty());
                let of = operation(row.key.get(2), row.key.get(3)).unwrap_or_else(nameless);
                let parent = parent.map(|parent| graph.place(&mut places, parent, buckets));
                let place = graph.place(&mut places, of, buckets);
                if let Some(node) = graph.nodes.get_mut(place) {
                    *node.callers.entry(parent).or_default() += number(&row.cells, 0);
                    node.longest_ms = node.longest_ms.max(number(&row.cells, 2));
                }
                (parent, place)
            })
            .collect();
        for row in series {
            let Some(&(parent, place)) = edges.get(row.group) else { continue };
            let at = bucket(row.time_ns);
            let (calls, total_ms, failed) =
                (number(&row.cells, 0), number(&row.cells, 1), number(&row.cells, 3));
            if let Some(node) = graph.nodes.get_mut(place) {
                for (series, more) in [
                    (&mut node.calls, calls),
                    (&mut node.total_ms, total_ms),
                    (&mut node.failed, failed),
                    (&mut node.own_ms, total_ms),
                    (&mut node.own_failed, failed),
                ] {
                    add(series, at, more);
                }
            }
            if let Some(parent) = parent.and_then(|parent| graph.nodes.get_mut(parent)) {
                add(&mut parent.own_ms, at, -total_ms);
                add(&mut parent.own_failed, at, -failed);
            }
        }
        graph
    }

    pub(super) fn node(&self, place: usize) -> &Node {
        // Places come from `entries`, which counts these very nodes.
        &self.nodes[place]
    }

    /// Spans whose callers are of the same service are part of the operation that called them.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
        for place in 0..self.nodes.len() {
            members.entry(self.entry_of(place)).or_default().push(place);
        }
        let mut heads: Vec<usize> = members.keys().copied().collect();
        heads.sort_unstable();
        heads
            .into_iter()
            .map(|head| {
                let nodes = members.remove(&head).unwrap_or_default();
                let Node { operation, calls, total_ms, failed, longest_ms, .. } = self.node(head);
                let sum = |of: fn(&Node) -> &Series| {
                    let mut sum = vec![0.0; calls.len()];
                    for &place in &nodes {
                        for (sum, more) in sum.iter_mut().zip(of(self.node(place))) {
                            *sum += more;
                        }
                    }
                    sum
                };
                Entry {
                    operation: operation.clone(),
                    calls: calls.clone(),
                    total_ms: total_ms.clone(),
                    failed: failed.clone(),
                    own_ms: sum(|node| &node.own_ms),
                    own_failed: sum(|node| &node.own_failed),
                    longest_ms: *longest_ms,
                    nodes,
                }
            })
            .collect()
    }

    /// Upwards as long as most calls come from the same service.
    fn entry_of(&self, place: usize) -> usize {
        let mut seen = vec![place];
        let mut at = place;
        loop {
            let node = self.node(at);
            let most = node.callers.iter().max_by(|a, b| a.1.total_cmp(b.1).then_with(|| b.0.cmp(a.0)));
            let Some((Some(parent), _)) = most else { return at };
            if seen.contains(parent) || self.node(*parent).operation.service != node.operation.service {
                return at;
            }
            seen.push(*parent);
            at = *parent;
        }
    }

    fn place(
        &mut self,
        places: &mut HashMap<Operation, usize>,
        operation: Operation,
        buckets: usize,
    ) -> usize {
        *places.entry(operation).or_insert_with_key(|operation| {
            let nought = || vec![0.0; buckets];
            self.nodes.push(Node {
                operation: operation.clone(),
                calls: nought(),
                total_ms: nought(),
                failed: nought(),
                own_ms: nought(),
                own_failed: nought(),
                longest_ms: 0.0,
                callers: HashMap::new(),
            });
            self.nodes.len() - 1
        })
    }
}

fn add(series: &mut Series, at: usize, more: f64) {
    if let Some(value) = series.get_mut(at) {
        *value += more;
    }
}

fn number(cells: &[Cell], at: usize) -> f64 {
    cells.get(at).and_then(|cell| cell.value.number()).unwrap_or_default()
}

fn text(value: Option<&Option<Value>>) -> Option<Arc<str>> {
    value?.as_ref().map(|value| Arc::from(&*value.canonical_text()))
}

fn operation(service: Option<&Option<Value>>, name: Option<&Option<Value>>) -> Option<Operation> {
    let (service, name) = (text(service), text(name));
    if service.is_none() && name.is_none() {
        return None;
    }
    let or_nothing = |text: Option<Arc<str>>| text.unwrap_or_else(|| Arc::from(""));
    Some(Operation { service: or_nothing(service), name: or_nothing(name) })
}

fn nameless() -> Operation {
    Operation { service: Arc::from(""), name: Arc::from("") }
}
