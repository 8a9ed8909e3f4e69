//! A trace as it is drawn: the analysis of its spans, and in place beside them their events, exceptions, links and
//! the log records of all services.
//!
//! Made of the columns of a trace ([`COLUMNS`]). Texts stay numbers; whoever shows one looks it up. What belongs to
//! a span whose clock was corrected is drawn with that span's shift, so that a record never appears before
//! the span that wrote it.

use std::sync::Arc;

use skein_query::trace_columns::{TraceColumn, TraceColumns, TraceForm};

use crate::waterfall::{NONE, Side, Span, Templates, Waterfall, flags};

/// The columns that a picture is made of.
pub const COLUMNS: [(&str, TraceForm); 16] = [
    ("trace.span_id", TraceForm::SpanId),
    ("trace.parent_id", TraceForm::SpanId),
    ("trace.link.span_id", TraceForm::SpanId),
    ("duration_ms", TraceForm::Number),
    ("name", TraceForm::Text),
    ("service.name", TraceForm::Text),
    ("meta.signal_type", TraceForm::Text),
    ("meta.annotation_type", TraceForm::Text),
    ("error", TraceForm::Text),
    ("span.kind", TraceForm::Text),
    ("host.name", TraceForm::Text),
    ("trace.link.trace_id", TraceForm::Text),
    ("severity", TraceForm::Text),
    ("body", TraceForm::Text),
    ("exception.type", TraceForm::Text),
    ("exception.message", TraceForm::Text),
];

/// A trace as it is drawn. Numbers of texts and nodes are [`NONE`] where there is none.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Picture {
    /// When what is drawn begins, epoch nanoseconds.
    pub start_ns: i64,
    /// When it ends.
    pub end_ns: i64,
    /// The spans.
    pub waterfall: Waterfall,
    /// Of each node: its name.
    pub name: Vec<u32>,
    /// Of each node: its service.
    pub service: Vec<u32>,
    /// Span events.
    pub events: Marks,
    /// Log records.
    pub logs: Marks,
    /// Links.
    pub links: Links,
    /// By service, the most of the critical path first.
    pub shares: Vec<Share>,
    /// Spans, each copy counted.
    pub spans: usize,
    /// Events of the trace that are none of these, and spans without an id: in no picture.
    pub others: usize,
    /// Names of spans and span events.
    pub names: Vec<Arc<str>>,
    /// What names are instances of.
    pub templates: Templates,
    /// Services.
    pub services: Vec<Arc<str>>,
    /// Severities of log records.
    pub severities: Vec<Arc<str>>,
    /// Beginnings of the bodies of log records.
    pub bodies: Vec<Arc<str>>,
    /// Types of exceptions.
    pub exception_types: Vec<Arc<str>>,
    /// What they say.
    pub exception_messages: Vec<Arc<str>>,
    /// Traces that are linked to, hexadecimal.
    pub linked_traces: Vec<Arc<str>>,
}

/// What happened at one time, in order of that.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Marks {
    /// Whose.
    pub node: Vec<u32>,
    /// When, as drawn, epoch nanoseconds.
    pub time_ns: Vec<i64>,
    /// Name of a span event; service of a log record.
    pub name: Vec<u32>,
    /// Severity of a log record.
    pub severity: Vec<u32>,
    /// Body of a log record.
    pub body: Vec<u32>,
    /// Type of the exception that it tells of.
    pub exception_type: Vec<u32>,
    /// What that says.
    pub exception_message: Vec<u32>,
}

/// Links to other spans.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Links {
    /// Whose.
    pub node: Vec<u32>,
    /// The trace that is linked to.
    pub trace: Vec<u32>,
    /// The span.
    pub span_id: Vec<u64>,
    /// Its node, when it is in this trace.
    pub target: Vec<u32>,
}

/// What one service has of a trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// The service.
    pub service: u32,
    /// Its spans, folded.
    pub spans: u32,
    /// Failed ones.
    pub errors: u32,
    /// Time in which its spans ran and none of their children, added up.
    pub self_ns: i64,
    /// Its part of the critical path.
    pub critical_ns: i64,
}

/// A column of texts.
struct Text<'c> {
    codes: &'c [u32],
    texts: &'c [Arc<str>],
}

impl<'c> Text<'c> {
    fn code(&self, row: usize) -> u32 {
        self.codes.get(row).copied().unwrap_or(NONE)
    }

    fn get(&self, row: usize) -> Option<&'c str> {
        self.texts.get(self.code(row) as usize).map(|text| &**text)
    }
}

/// The columns, found by name once.
struct Columns<'c> {
    all: &'c TraceColumns,
}

impl<'c> Columns<'c> {
    fn column(&self, name: &str) -> Option<&'c TraceColumn> {
        let place = COLUMNS.iter().position(|(column, _)| *column == name)?;
        self.all.columns.get(place)
    }

    fn text(&self, name: &str) -> Text<'c> {
        match self.column(name) {
            Some(TraceColumn::Text { codes, texts }) => Text { codes, texts },
            _ => Text { codes: &[], texts: &[] },
        }
    }

    fn ids(&self, name: &str) -> &'c [u64] {
        match self.column(name) {
            Some(TraceColumn::SpanId(ids)) => ids,
            _ => &[],
        }
    }

    fn numbers(&self, name: &str) -> &'c [f64] {
        match self.column(name) {
            Some(TraceColumn::Number(values)) => values,
            _ => &[],
        }
    }
}

/// What an event of a trace is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Span,
    Event,
    Link,
    Log,
    Other,
}

impl Picture {
    /// Draws a trace. `trace_id` is its id in hexadecimal: a link to it leads to a node.
    pub fn of(columns: &TraceColumns, trace_id: &str) -> Picture {
        let found = Columns { all: columns };
        let rows = columns.times_ns.len();
        let kinds = kinds(&found, rows);
        let (services, names) = (found.text("service.name"), found.text("name"));
        let spans = spans(&found, columns, &kinds);
        let templates = Templates::of(names.texts.iter().map(|text| &**text));
        let waterfall = Waterfall::of(&spans, &templates);
        let of_node = |number: fn(&Span) -> u32| -> Vec<u32> {
            let number = |&row: &u32| spans.get(row as usize).map_or(NONE, number);
            waterfall.source.iter().map(number).collect()
        };
        let mut picture = Picture {
            name: of_node(|span| span.name),
            service: of_node(|span| span.service),
            spans: spans.len(),
            others: kinds.iter().filter(|kind| **kind == Kind::Other).count(),
            templates,
            waterfall,
            ..Picture::default()
        };
        picture.put_marks(&found, columns, &kinds);
        picture.put_links(&found, &kinds, trace_id);
        let texts = |name: &str| found.text(name).texts.to_vec();
        picture.names = names.texts.to_vec();
        picture.services = services.texts.to_vec();
        picture.severities = texts("severity");
        picture.bodies = texts("body");
        picture.exception_types = texts("exception.type");
        picture.exception_messages = texts("exception.message");
        picture.linked_traces = texts("trace.link.trace_id");
        picture.share_out();
        let marks = || picture.logs.time_ns.iter().chain(&picture.events.time_ns).copied();
        let range = picture.waterfall.range_ns();
        picture.start_ns = marks().chain(range.map(|(start, _)| start)).min().unwrap_or_default();
        picture.end_ns = marks().chain(range.map(|(_, end)| end)).max().unwrap_or_default();
        picture
    }

    fn put_marks(&mut self, found: &Columns<'_>, columns: &TraceColumns, kinds: &[Kind]) {
        let (span_ids, parent_ids) = (found.ids("trace.span_id"), found.ids("trace.parent_id"));
        let (names, services) = (found.text("name"), found.text("service.name"));
        let (severities, bodies) = (found.text("severity"), found.text("body"));
        let (types, messages) = (found.text("exception.type"), found.text("exception.message"));
        for (row, kind) in kinds.iter().enumerate() {
            let (marks, owners, flag) = match kind {
                Kind::Event => (&mut self.events, parent_ids, flags::EVENTS),
                Kind::Log => (&mut self.logs, span_ids, flags::LOGS),
                Kind::Span | Kind::Link | Kind::Other => continue,
            };
            let owner = owners.get(row).filter(|id| **id != 0);
            let node = owner.and_then(|&id| self.waterfall.node_of(id)).unwrap_or(NONE);
            let is_exception =
                types.code(row) != NONE || *kind == Kind::Event && names.get(row) == Some("exception");
            if let Some(told) = self.waterfall.flags.get_mut(node as usize) {
                *told |= flag | if is_exception { flags::EXCEPTION } else { 0 };
            }
            let shift = self.waterfall.shift_ns.get(node as usize).copied().unwrap_or_default();
            marks.node.push(node);
            marks.time_ns.push(columns.times_ns[row].saturating_add(shift));
            marks.name.push(if *kind == Kind::Event { names.code(row) } else { services.code(row) });
            marks.severity.push(severities.code(row));
            marks.body.push(bodies.code(row));
            marks.exception_type.push(types.code(row));
            marks.exception_message.push(messages.code(row));
        }
        self.events.sort();
        self.logs.sort();
    }

    fn put_links(&mut self, found: &Columns<'_>, kinds: &[Kind], trace_id: &str) {
        let (parents, spans) = (found.ids("trace.parent_id"), found.ids("trace.link.span_id"));
        let traces = found.text("trace.link.trace_id");
        for row in (0..kinds.len()).filter(|&row| kinds[row] == Kind::Link) {
            let node_of = |ids: &[u64]| {
                let id = ids.get(row).filter(|id| **id != 0)?;
                self.waterfall.node_of(*id)
            };
            let node = node_of(parents).unwrap_or(NONE);
            let here = traces.get(row) == Some(trace_id);
            let target = if here { node_of(spans).unwrap_or(NONE) } else { NONE };
            if let Some(told) = self.waterfall.flags.get_mut(node as usize) {
                *told |= flags::LINKS;
            }
            self.links.node.push(node);
            self.links.trace.push(traces.code(row));
            self.links.span_id.push(spans.get(row).copied().unwrap_or_default());
            self.links.target.push(target);
        }
    }

    fn share_out(&mut self) {
        let mut shares: Vec<Share> = (0..self.services.len())
            .map(|service| Share {
                service: u32::try_from(service).unwrap_or(NONE),
                spans: 0,
                errors: 0,
                self_ns: 0,
                critical_ns: 0,
            })
            .collect();
        for (node, &service) in self.service.iter().enumerate() {
            let Some(share) = shares.get_mut(service as usize) else { continue };
            share.spans += 1;
            share.errors += u32::from(self.waterfall.flags[node] & flags::ERROR != 0);
            share.self_ns = share.self_ns.saturating_add(self.waterfall.self_ns[node]);
        }
        for piece in &self.waterfall.critical {
            let service = self.service.get(piece.node as usize).copied().unwrap_or(NONE);
            if let Some(share) = shares.get_mut(service as usize) {
                share.critical_ns =
                    share.critical_ns.saturating_add(piece.end_ns.saturating_sub(piece.start_ns));
            }
        }
        shares.retain(|share| share.spans > 0);
        shares.sort_by_key(|share| std::cmp::Reverse((share.critical_ns, share.self_ns)));
        self.shares = shares;
    }
}

impl Marks {
    /// A corrected clock may have put them out of order.
    fn sort(&mut self) {
        if self.time_ns.is_sorted() {
            return;
        }
        let mut order: Vec<usize> = (0..self.time_ns.len()).collect();
        order.sort_by_key(|&mark| self.time_ns[mark]);
        let of = |list: &[u32]| -> Vec<u32> { order.iter().map(|&mark| list[mark]).collect() };
        *self = Marks {
            node: of(&self.node),
            time_ns: order.iter().map(|&mark| self.time_ns[mark]).collect(),
            name: of(&self.name),
            severity: of(&self.severity),
            body: of(&self.body),
            exception_type: of(&self.exception_type),
            exception_message: of(&self.exception_message),
        };
    }
}

/// Span events and links have their span's id as parent; they are no spans.
fn kinds(found: &Columns<'_>, rows: usize) -> Vec<Kind> {
    let (signals, annotations) = (found.text("meta.signal_type"), found.text("meta.annotation_type"));
    let ids = found.ids("trace.span_id");
    let kind = |row: usize| match (signals.get(row), annotations.get(row)) {
        (Some("log"), _) => Kind::Log,
        (Some("metric"), _) => Kind::Other,
        (_, Some("link")) => Kind::Link,
        (_, Some(_)) => Kind::Event,
        _ if ids.get(row).is_some_and(|id| *id != 0) => Kind::Span,
        _ => Kind::Other,
    };
    (0..rows).map(kind).collect()
}

fn spans(found: &Columns<'_>, columns: &TraceColumns, kinds: &[Kind]) -> Vec<Span> {
    let (ids, parents) = (found.ids("trace.span_id"), found.ids("trace.parent_id"));
    let durations = found.numbers("duration_ms");
    let (names, services, hosts) = (found.text("name"), found.text("service.name"), found.text("host.name"));
    let (errors, sides) = (found.text("error"), found.text("span.kind"));
    let host_count = u32::try_from(hosts.texts.len()).unwrap_or(NONE / 2);
    let rows = (0..kinds.len()).filter(|&row| kinds[row] == Kind::Span);
    let span = |row: usize| Span {
        id: ids[row],
        parent_id: parents.get(row).copied().unwrap_or_default(),
        start_ns: columns.times_ns[row],
        duration_ns: nanoseconds(durations.get(row).copied().unwrap_or_default()),
        name: names.code(row),
        service: services.code(row),
        // A clock is a host's; where hosts are not named, services are taken to have one each.
        clock: match hosts.code(row) {
            NONE => host_count.saturating_add(services.code(row).min(NONE / 2)),
            host => host,
        },
        side: match sides.get(row) {
            Some("client") => Side::Client,
            Some("server") => Side::Server,
            _ => Side::Other,
        },
        error: errors.get(row) == Some("true"),
    };
    rows.map(span).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "saturating is what is wanted of an absurd duration")]
fn nanoseconds(duration_ms: f64) -> i64 {
    (duration_ms * 1e6).round().max(0.0) as i64
}

#[cfg(test)]
mod tests {
    use skein_query::result::Meta;

    use super::*;

    /// A trace of events, each a list of column and text, by time.
    fn trace(events: &[(i64, &[(&str, &str)])]) -> TraceColumns {
        let id = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let mut columns = TraceColumns { meta: Meta::default(), ..TraceColumns::default() };
        for (name, form) in COLUMNS {
            let values = events
                .iter()
                .map(|(_, fields)| fields.iter().find(|(field, _)| *field == name).map(|(_, text)| *text));
            columns.columns.push(match form {
                TraceForm::SpanId => TraceColumn::SpanId(values.map(|value| value.map_or(0, id)).collect()),
                TraceForm::Number => TraceColumn::Number(
                    values.map(|value| value.map_or(f64::NAN, |text| text.parse().unwrap())).collect(),
                ),
                TraceForm::Text => {
                    let mut texts: Vec<Arc<str>> = Vec::new();
                    let mut code = |text: &str| {
                        let place = texts.iter().position(|known| **known == *text).unwrap_or_else(|| {
                            texts.push(Arc::from(text));
                            texts.len() - 1
                        });
                        u32::try_from(place).unwrap()
                    };
                    let codes = values.map(|value| value.map_or(NONE, &mut code)).collect();
                    TraceColumn::Text { codes, texts }
                }
            });
        }
        columns.times_ns = events.iter().map(|(time_ns, _)| *time_ns).collect();
        columns
    }

    /// A call whose server's clock is behind, with all that a span may have.
    fn call() -> TraceColumns {
        let web: &[(&str, &str)] = &[
            ("trace.span_id", "a"),
            ("service.name", "web"),
            ("name", "GET /"),
            ("span.kind", "client"),
            ("duration_ms", "0.0001"),
        ];
        // Its clock is behind: recorded before the call, drawn in the middle of it.
        let db: &[(&str, &str)] = &[
            ("trace.span_id", "b"),
            ("trace.parent_id", "a"),
            ("service.name", "db"),
            ("name", "query"),
            ("span.kind", "server"),
            ("duration_ms", "0.00006"),
            ("error", "true"),
        ];
        trace(&[
            (900, db),
            (
                910,
                &[
                    ("meta.annotation_type", "span_event"),
                    ("trace.parent_id", "b"),
                    ("name", "exception"),
                    ("exception.type", "Timeout"),
                    ("exception.message", "too slow"),
                ],
            ),
            (
                920,
                &[
                    ("meta.signal_type", "log"),
                    ("trace.span_id", "b"),
                    ("service.name", "db"),
                    ("severity", "error"),
                    ("body", "slow query"),
                ],
            ),
            (1_000, web),
            (
                1_001,
                &[
                    ("meta.annotation_type", "link"),
                    ("trace.parent_id", "a"),
                    ("trace.link.span_id", "b"),
                    ("trace.link.trace_id", "77"),
                ],
            ),
            (1_002, &[("meta.signal_type", "log"), ("body", "of no span"), ("service.name", "web")]),
            (1_003, &[("meta.signal_type", "metric"), ("trace.span_id", "a")]),
        ])
    }

    #[test]
    fn marks_stand_at_their_spans_and_move_with_them() {
        let columns = call();
        let picture = Picture::of(&columns, "77");
        assert_eq!(picture.waterfall.id, [0xa, 0xb]);
        assert_eq!(picture.waterfall.shift_ns, [0, 120]);
        assert_eq!((picture.start_ns, picture.end_ns), (1_000, 1_100));
        assert_eq!((picture.events.node[0], picture.events.time_ns[0]), (1, 1_030), "moved with its span");
        let message = picture.events.exception_message[0] as usize;
        assert_eq!(&*picture.exception_messages[message], "too slow");
        assert_eq!(
            (&picture.logs.node[..], &picture.logs.time_ns[..]),
            (&[NONE, 1][..], &[1_002, 1_040][..])
        );
        assert_eq!((picture.links.node[0], picture.links.target[0]), (0, 1));
        let told = flags::ERROR | flags::EXCEPTION | flags::EVENTS | flags::LOGS | flags::SHIFTED;
        assert_eq!(picture.waterfall.flags[1] & told, told);
        assert_eq!(picture.waterfall.flags[0] & flags::ERROR_BELOW, flags::ERROR_BELOW);
        assert_eq!((picture.spans, picture.others), (2, 1));
        let shares: Vec<(&str, u32, i64)> = picture
            .shares
            .iter()
            .map(|share| (&*picture.services[share.service as usize], share.errors, share.critical_ns))
            .collect();
        assert_eq!(shares, [("db", 1, 60), ("web", 0, 40)]);
        let elsewhere = Picture::of(&columns, "78");
        assert_eq!(elsewhere.links.target, [NONE], "a span of another trace has no node here");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let picture = Picture::of(&TraceColumns::default(), "77");
        assert!(picture.waterfall.is_empty() && picture.shares.is_empty());
        assert_eq!((picture.start_ns, picture.end_ns), (0, 0));
    }
}
