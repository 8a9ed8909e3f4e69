//! Where a name leads: the one table of names and aliases (SEMANTICS.md, "Columns with a fixed meaning").
//!
//! A name reads its exact column if the event has it, else its first present alias, per event. So a question
//! in the words of one semantic convention also sees the events written in those of another, and the names
//! that other tools taught people (`traceId`, `@timestamp`, `durationMs`) work here.
//!
//! A fixed column is never hidden by an attribute: `duration_ms` is the span's duration, and an attribute of
//! that name is read as `attributes.duration_ms`.

use std::sync::Arc;

use skein_event::batch::Origin;
use skein_event::columns::Fixed;

/// One place to look for a value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Reference {
    /// The event's timestamp, as RFC 3339 text of nine digits in UTC; such texts compare like times.
    Timestamp,
    /// The time of its arrival in the log, likewise.
    IngestTime,
    /// `partition-offset-index`.
    EventId,
    /// A fixed column; `body` stands for its text and its json form.
    Fixed(Fixed),
    /// An attribute by its name: the first present of [`ATTRIBUTE_ORIGINS`], then the overflow map.
    Attribute(Arc<str>),
    /// An attribute of one origin, with the item's overflow map for [`Origin::Item`].
    Origin(Origin, Arc<str>),
    /// Whether a span has no parent; other events have no such value.
    IsRoot,
    /// The whole event as a JSON object: `@message` of an event without a body.
    Event,
}

/// The order in which equal names of different origins hide each other.
pub const ATTRIBUTE_ORIGINS: [Origin; 6] =
    [Origin::Item, Origin::Metric, Origin::Body, Origin::Derived, Origin::Scope, Origin::Resource];

/// The columns that every event has and that are no [`Fixed`].
pub const ALWAYS: [&str; 3] = ["timestamp", "meta.ingest_time", "event.id"];

/// Names of one meaning, the newest convention first. Each answers for all others of its list, in their order.
///
/// Source: OpenTelemetry semantic conventions 1.44.0, the migration guides for HTTP, database, RPC, messaging,
/// code and GenAI attributes.
pub const CONVENTIONS: &[&[&str]] = &[
    &["http.request.method", "http.method"],
    &["http.response.status_code", "http.status_code"],
    &["http.request.body.size", "http.request_content_length"],
    &["http.response.body.size", "http.response_content_length"],
    &["url.full", "http.url"],
    &["url.path", "http.target"],
    &["url.scheme", "http.scheme"],
    &["server.address", "net.peer.name", "net.host.name"],
    &["server.port", "net.peer.port", "net.host.port"],
    &["client.address", "http.client_ip"],
    &["user_agent.original", "http.user_agent"],
    &["network.peer.address", "net.sock.peer.addr"],
    &["network.peer.port", "net.sock.peer.port"],
    &["network.protocol.name", "net.protocol.name"],
    &["network.protocol.version", "net.protocol.version", "http.flavor"],
    &["db.system.name", "db.system"],
    &["db.query.text", "db.statement"],
    &["db.namespace", "db.name"],
    &["db.operation.name", "db.operation"],
    &["db.collection.name", "db.sql.table"],
    &["rpc.system.name", "rpc.system"],
    &["messaging.operation.type", "messaging.operation"],
    &["messaging.destination.name", "messaging.destination"],
    &["messaging.message.id", "messaging.message_id"],
    &["faas.invocation_id", "faas.execution"],
    &["code.function.name", "code.function"],
    &["code.file.path", "code.filepath"],
    &["code.line.number", "code.lineno"],
    &["gen_ai.provider.name", "gen_ai.system"],
    &["deployment.environment.name", "deployment.environment"],
];

/// Names that people bring along, and the columns they mean, in order. These go one way: a column is not
/// looked for under them.
pub const SHORTHANDS: &[(&str, &[&str])] = &[
    ("@timestamp", &["timestamp"]),
    ("@ingestionTime", &["meta.ingest_time"]),
    ("traceId", &["trace.trace_id"]),
    ("trace_id", &["trace.trace_id"]),
    ("traceID", &["trace.trace_id"]),
    ("spanId", &["trace.span_id"]),
    ("span_id", &["trace.span_id"]),
    ("spanID", &["trace.span_id"]),
    ("parentId", &["trace.parent_id"]),
    ("parent_id", &["trace.parent_id"]),
    ("parentSpanId", &["trace.parent_id"]),
    ("service", &["service.name"]),
    ("service_name", &["service.name"]),
    ("serviceName", &["service.name"]),
    ("level", &["severity"]),
    ("message", &["body", "status_message", "name"]),
    ("durationMs", &["duration_ms"]),
    ("sampleRate", &["sample_rate"]),
    ("SampleRate", &["sample_rate"]),
];

/// The places to look for a name, in order. Never empty.
pub fn references(name: &str) -> Vec<Reference> {
    if name == "@message" {
        return vec![Reference::Fixed(Fixed::Body), Reference::Event];
    }
    if name == "is_root" {
        return vec![Reference::Attribute(Arc::from(name)), Reference::IsRoot];
    }
    let mut found = exact(name);
    for alias in aliases(name) {
        for reference in exact(alias) {
            if !found.contains(&reference) {
                found.push(reference);
            }
        }
    }
    found
}

/// The other names that answer for a name, in order.
pub fn aliases(name: &str) -> Vec<&'static str> {
    let conventions = CONVENTIONS.iter().find(|names| names.contains(&name));
    let shorthand = SHORTHANDS.iter().find(|(short, _)| *short == name);
    let conventions = conventions.into_iter().flat_map(|names| names.iter().copied());
    let shorthand = shorthand.into_iter().flat_map(|(_, names)| names.iter().copied());
    conventions.chain(shorthand).filter(|alias| *alias != name).collect()
}

/// The places of a name itself, without its aliases.
fn exact(name: &str) -> Vec<Reference> {
    match name {
        "timestamp" => return vec![Reference::Timestamp],
        "meta.ingest_time" => return vec![Reference::IngestTime],
        "event.id" => return vec![Reference::EventId],
        "service.name" => return vec![Reference::Origin(Origin::Resource, Arc::from(name))],
        _ => {}
    }
    if let Some(fixed) = Fixed::from_name(name) {
        return vec![Reference::Fixed(fixed)];
    }
    let mut found = vec![Reference::Attribute(Arc::from(name))];
    if let Some((origins, rest)) = prefixed(name) {
        let rest: Arc<str> = Arc::from(rest);
        found.extend(origins.iter().map(|origin| Reference::Origin(*origin, Arc::clone(&rest))));
    }
    found
}

/// The origins that a name states, and the rest of it: the inverse of [`display_name`].
fn prefixed(name: &str) -> Option<(&'static [Origin], &str)> {
    const PREFIXES: [(&str, &[Origin]); 4] = [
        ("attributes.", &[Origin::Item, Origin::Metric, Origin::Derived]),
        ("scope.", &[Origin::Scope]),
        ("resource.", &[Origin::Resource]),
        ("body.", &[Origin::Body]),
    ];
    let stated = |(prefix, origins)| Some((origins, name.strip_prefix(prefix)?));
    PREFIXES.into_iter().find_map(stated).filter(|(_, rest)| !rest.is_empty())
}

/// The name of an attribute column in flat rows: its own, unless a fixed column has that name.
pub fn display_name(origin: Origin, name: &str) -> Option<String> {
    let prefix = match origin {
        Origin::Item | Origin::Metric | Origin::Derived => "attributes.",
        Origin::Body => "body.",
        Origin::Scope => "scope.",
        Origin::Resource if name == "service.name" => return None,
        Origin::Resource => "resource.",
        Origin::Fixed => return None,
    };
    skein_event::columns::is_reserved(name).then(|| format!("{prefix}{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str) -> Reference {
        Reference::Attribute(Arc::from(name))
    }

    #[test]
    fn old_and_new_names_answer_alike() {
        let old = references("http.status_code");
        let new = references("http.response.status_code");
        assert_eq!(old, [attribute("http.status_code"), attribute("http.response.status_code")]);
        assert_eq!(new, [attribute("http.response.status_code"), attribute("http.status_code")]);
    }

    #[test]
    fn shorthands_lead_to_columns_but_exact_names_come_first() {
        assert_eq!(references("@timestamp").last(), Some(&Reference::Timestamp));
        assert_eq!(references("traceId"), [attribute("traceId"), Reference::Fixed(Fixed::TraceId)]);
        assert_eq!(references("duration_ms"), [Reference::Fixed(Fixed::Duration)]);
        let resource = Reference::Origin(Origin::Resource, Arc::from("service.name"));
        assert_eq!(references("service"), [attribute("service"), resource.clone()]);
        assert_eq!(references("service.name"), [resource]);
        assert_eq!(references("@message"), [Reference::Fixed(Fixed::Body), Reference::Event]);
    }

    #[test]
    fn a_prefix_reaches_what_precedence_hides() {
        let of = |origin| Reference::Origin(origin, Arc::from("duration_ms"));
        assert_eq!(
            references("attributes.duration_ms"),
            [attribute("attributes.duration_ms"), of(Origin::Item), of(Origin::Metric), of(Origin::Derived)]
        );
        assert_eq!(references("resource.schema_url"), [Reference::Fixed(Fixed::ResourceSchemaUrl)]);
        assert_eq!(references("body."), [attribute("body.")]);
        assert_eq!(references("is_root"), [attribute("is_root"), Reference::IsRoot]);
    }

    #[test]
    fn every_alias_is_listed_once() {
        let mut seen = std::collections::HashSet::new();
        for name in CONVENTIONS.iter().flat_map(|names| names.iter()) {
            assert!(seen.insert(*name), "{name}");
            assert!(Fixed::from_name(name).is_none(), "{name}");
        }
        for (short, columns) in SHORTHANDS {
            assert!(seen.insert(short), "{short}");
            assert!(!columns.is_empty());
        }
    }
}
