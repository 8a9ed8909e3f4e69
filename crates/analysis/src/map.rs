//! Who calls whom: services, and the databases, queues and third parties that spans tell of, put together from three
//! queries (docs/reference/map.md).
//!
//! What it refuses: to guess a callee that no attribute names, and to call a third party what turns out to be a service
//! that was traced.
//!
//! Reading order: [`questions`], [`Map`], [`map`].

use std::collections::{BTreeMap, BTreeSet};

use skein_event::value::Value;
use skein_query::render;
use skein_query::result::{GroupRow, Groups};

/// Calls within a service are no edge.
const PARENT: &str = "parent.service.name";
const SERVICE: &str = "service.name";
const KIND: &str = "span.kind";

/// What names a callee that is not traced, in the order in which it counts; which of them there are is the caller's to
/// know.
pub const PEERS: [&str; 8] = [
    "db.system.name",
    "db.namespace",
    "messaging.system",
    "messaging.destination.name",
    "peer.service",
    "server.address",
    "url.domain",
    "rpc.service",
];

/// The calculations of every question, by name.
pub const CALCULATIONS: [&str; 4] = ["calls", "errors", "p50", "p99"];

/// The columns by which each of the three questions groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Questions {
    /// Spans by their service and kind.
    pub services: Vec<&'static str>,
    /// Spans by the service of their parent and their own.
    pub calls: Vec<&'static str>,
    /// Spans of clients and producers by their service and whom they name; empty when no event names anybody.
    pub peers: Vec<&'static str>,
}

/// What is to be asked, where some of [`PEERS`] are known.
pub fn questions(known: impl Fn(&str) -> bool) -> Questions {
    let mut peers: Vec<&str> = PEERS.into_iter().filter(|name| known(name)).collect();
    if !peers.is_empty() {
        peers.insert(0, SERVICE);
    }
    let services = if known(KIND) { vec![SERVICE, KIND] } else { vec![SERVICE] };
    Questions { services, calls: vec![PARENT, SERVICE], peers }
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum NodeKind {
    /// A service that sends spans.
    Service,
    /// A database.
    Database,
    /// A queue or a topic.
    Messaging,
    /// Anything else that is called and sends no spans.
    External,
}

impl NodeKind {
    /// The name in answers, and the beginning of a node's id.
    pub fn name(self) -> &'static str {
        match self {
            NodeKind::Service => "service",
            NodeKind::Database => "database",
            NodeKind::Messaging => "messaging",
            NodeKind::External => "external",
        }
    }
}

/// A number of calls.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Calls {
    /// By their sample rates.
    pub calls: f64,
    /// Of them failed.
    pub errors: f64,
    /// Median of their durations, in milliseconds. Of several groups that of the one with most calls.
    pub p50_ms: Option<f64>,
    /// Their 99th percentile.
    pub p99_ms: Option<f64>,
    /// Calls of the group that the percentiles are of.
    most: f64,
}

impl Calls {
    fn add(&mut self, row: &GroupRow) {
        let number = |place: usize| row.cells.get(place).and_then(|cell| cell.value.number());
        let calls = number(0).unwrap_or_default();
        self.calls += calls;
        self.errors += number(1).unwrap_or_default();
        if calls > self.most || self.p50_ms.is_none() {
            (self.most, self.p50_ms, self.p99_ms) = (calls, number(2), number(3));
        }
    }
}

/// Somebody who is called.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Its name.
    pub name: String,
    /// Which database or queue it is a kind of.
    pub system: Option<String>,
    /// What it was asked: of a service the spans of servers and consumers, or all spans where none is; of others the calls
    /// of its clients.
    pub requests: Calls,
}

impl Node {
    /// Its id.
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind.name(), self.name)
    }
}

/// Calls from one node to another.
#[derive(Clone, PartialEq, Debug)]
pub struct Edge {
    /// The id of the caller.
    pub from: String,
    /// The id of who is called.
    pub to: String,
    /// How many, and how they went.
    pub calls: Calls,
}

/// Who calls whom.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Map {
    /// By id.
    pub nodes: Vec<Node>,
    /// By their ids.
    pub edges: Vec<Edge>,
}

/// Puts the answers to [`questions`] together.
pub fn map(services: &Groups, calls: &Groups, peers: Option<&Groups>) -> Map {
    let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
    let mut edges: BTreeMap<(String, String), Calls> = BTreeMap::new();
    of_services(services, &mut nodes);
    for row in &calls.results {
        if let (Some(from), Some(to)) = (text(row, 0), text(row, 1))
            && from != to
        {
            let ids = [&from, &to].map(|name| service(&mut nodes, name));
            let [from, to] = ids;
            edges.entry((from, to)).or_default().add(row);
        }
    }
    let traced: BTreeSet<String> = nodes.values().map(|node| node.name.clone()).collect();
    for row in peers.map_or(&[][..], |peers| &peers.results) {
        let columns = peers.map_or(&[][..], |peers| &peers.breakdowns);
        let named = |name: &str| {
            let place = columns.iter().position(|column| &**column == name)?;
            text(row, place)
        };
        let Some(from) = named(SERVICE) else { continue };
        let Some(mut node) = peer(named).filter(|node| !traced.contains(&node.name)) else { continue };
        let (id, from) = (node.id(), service(&mut nodes, &from));
        node.requests.add(row);
        match nodes.get_mut(&id) {
            Some(known) => known.requests.add(row),
            None => {
                nodes.insert(id.clone(), node);
            }
        }
        edges.entry((from, id)).or_default().add(row);
    }
    let edges = edges.into_iter().map(|((from, to), calls)| Edge { from, to, calls }).collect();
    Map { nodes: nodes.into_values().collect(), edges }
}

/// The services with what they were asked.
fn of_services(services: &Groups, nodes: &mut BTreeMap<String, Node>) {
    let entry = |row: &&GroupRow| matches!(text(row, 1).as_deref(), Some("server" | "consumer"));
    let with_entries: BTreeSet<String> =
        services.results.iter().filter(entry).filter_map(|row| text(row, 0)).collect();
    for row in &services.results {
        let Some(name) = text(row, 0) else { continue };
        let id = service(nodes, &name);
        if with_entries.contains(&name) && !entry(&row) {
            continue;
        }
        if let Some(node) = nodes.get_mut(&id) {
            node.requests.add(row);
        }
    }
}

fn service(nodes: &mut BTreeMap<String, Node>, name: &str) -> String {
    let node =
        Node { kind: NodeKind::Service, name: name.to_owned(), system: None, requests: Calls::default() };
    let id = node.id();
    nodes.entry(id.clone()).or_insert(node);
    id
}

/// Whom a call names.
fn peer(named: impl Fn(&str) -> Option<String>) -> Option<Node> {
    let address = || named("server.address").or_else(|| named("url.domain"));
    let (kind, system, name) = if let Some(system) = named("db.system.name") {
        let name = named("db.namespace").or_else(|| named("peer.service")).or_else(address);
        let name = name.map_or_else(|| system.clone(), |name| format!("{system}/{name}"));
        (NodeKind::Database, Some(system), name)
    } else if let Some(system) = named("messaging.system") {
        let name = named("messaging.destination.name").or_else(address);
        let name = name.map_or_else(|| system.clone(), |name| format!("{system}/{name}"));
        (NodeKind::Messaging, Some(system), name)
    } else {
        let name = named("peer.service").or_else(address).or_else(|| named("rpc.service"))?;
        (NodeKind::External, None, name)
    };
    Some(Node { kind, name, system, requests: Calls::default() })
}

fn text(row: &GroupRow, place: usize) -> Option<String> {
    match row.key.get(place)?.as_ref()? {
        Value::Text(text) => Some(text.clone()),
        other => Some(render::json_value(other).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use skein_query::result::{Cell, CellValue, Stats};

    use super::*;

    fn groups(breakdowns: &[&str], rows: &[(&[&str], [f64; 4])]) -> Groups {
        let stats = Stats { lo95: None, hi95: None, exact: true, n_traces: None, reliable: true };
        Groups {
            breakdowns: breakdowns.iter().map(|name| (*name).into()).collect(),
            calculations: CALCULATIONS.map(str::to_owned).into(),
            results: rows
                .iter()
                .map(|(key, numbers)| GroupRow {
                    key: key
                        .iter()
                        .map(|text| (!text.is_empty()).then(|| Value::Text((*text).to_owned())))
                        .collect(),
                    cells: numbers
                        .iter()
                        .map(|number| Cell { value: CellValue::F64(*number), stats })
                        .collect(),
                })
                .collect(),
            ..Groups::default()
        }
    }

    #[test]
    fn who_calls_whom_is_drawn_from_spans_and_what_they_name() {
        let services = groups(
            &["service.name", "span.kind"],
            &[
                (&["web", "server"], [100.0, 1.0, 5.0, 50.0]),
                (&["web", "client"], [300.0, 9.0, 1.0, 9.0]),
                (&["cart", "server"], [60.0, 2.0, 3.0, 30.0]),
                (&["cart", "consumer"], [10.0, 0.0, 4.0, 40.0]),
                (&["job", "internal"], [7.0, 0.0, 2.0, 2.0]),
                (&["", "server"], [1.0, 0.0, 1.0, 1.0]),
            ],
        );
        let calls = groups(
            &["parent.service.name", "service.name"],
            &[
                (&["web", "cart"], [60.0, 2.0, 3.0, 30.0]),
                (&["cart", "cart"], [500.0, 0.0, 1.0, 1.0]),
                (&["", "web"], [100.0, 1.0, 5.0, 50.0]),
            ],
        );
        let columns = [
            "service.name",
            "db.system.name",
            "db.namespace",
            "messaging.system",
            "peer.service",
            "server.address",
        ];
        let peers = groups(
            &columns,
            &[
                (&["cart", "postgresql", "orders", "", "", "10.0.0.1"], [40.0, 4.0, 2.0, 20.0]),
                (&["cart", "postgresql", "orders", "", "", "10.0.0.2"], [10.0, 0.0, 9.0, 90.0]),
                (&["cart", "", "", "kafka", "", ""], [5.0, 0.0, 1.0, 1.0]),
                (&["web", "", "", "", "cart", "cart.internal"], [60.0, 2.0, 3.0, 30.0]),
                (&["web", "", "", "", "", "api.example.com"], [3.0, 3.0, 7.0, 70.0]),
                (&["web", "", "", "", "", ""], [9.0, 0.0, 1.0, 1.0]),
            ],
        );
        let map = map(&services, &calls, Some(&peers));
        let nodes: Vec<(String, f64, Option<f64>)> =
            map.nodes.iter().map(|node| (node.id(), node.requests.calls, node.requests.p50_ms)).collect();
        let node = |id: &str, calls: f64, p50: f64| (id.to_owned(), calls, Some(p50));
        let expected = [
            node("database/postgresql/orders", 50.0, 2.0),
            node("external/api.example.com", 3.0, 7.0),
            node("messaging/kafka", 5.0, 1.0),
            // Servers and consumers, the percentiles of the larger.
            node("service/cart", 70.0, 3.0),
            node("service/job", 7.0, 2.0),
            node("service/web", 100.0, 5.0),
        ];
        assert_eq!(nodes, expected);
        let edges: Vec<(&str, &str, f64, f64)> = map
            .edges
            .iter()
            .map(|edge| (edge.from.as_str(), edge.to.as_str(), edge.calls.calls, edge.calls.errors))
            .collect();
        let expected = [
            ("service/cart", "database/postgresql/orders", 50.0, 4.0),
            ("service/cart", "messaging/kafka", 5.0, 0.0),
            ("service/web", "external/api.example.com", 3.0, 3.0),
            ("service/web", "service/cart", 60.0, 2.0),
        ];
        assert_eq!(edges, expected);
    }

    #[test]
    fn what_nobody_names_is_not_asked() {
        let all = questions(|_| true);
        assert_eq!((all.services.len(), all.peers.len()), (2, PEERS.len() + 1));
        let none = questions(|_| false);
        assert_eq!((none.services, none.peers.len()), (vec!["service.name"], 0));
    }
}
