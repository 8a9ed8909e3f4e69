//! A trace as columns is the same trace as its rows.

use skein_event::Fixed;
use skein_event::ids::{Environment, parse_span_id, parse_trace_id};
use skein_event::limits::TRACE_TEXT_BYTES_MAX;
use skein_event::value::Value;
use skein_query::trace_columns::{TraceColumn, TraceColumns, TraceForm};
use skein_query::{QueryEngine as _, RunContext};

use super::build::{Row, at, context, engine};

const ID: &str = "0af7651916cd43dd8448eb211c80319c";

const WANTED: [(&str, TraceForm); 7] = [
    ("trace.span_id", TraceForm::SpanId),
    ("trace.parent_id", TraceForm::SpanId),
    ("duration_ms", TraceForm::Number),
    ("name", TraceForm::Text),
    ("service.name", TraceForm::Text),
    ("error", TraceForm::Text),
    ("mixed", TraceForm::Text),
];

fn span(second: i64, id: &str, parent: Option<&str>) -> Row {
    let row = at(second).fixed(Fixed::TraceId, ID).fixed(Fixed::SpanId, id).fixed(Fixed::Name, "work");
    match parent {
        Some(parent) => row.fixed(Fixed::ParentId, parent),
        None => row,
    }
}

/// Each value by itself: numbers of texts are each engine's own.
fn values(columns: &TraceColumns) -> Vec<Vec<String>> {
    let of = |column: &TraceColumn| -> Vec<String> {
        match column {
            TraceColumn::Text { codes, texts } => {
                codes.iter().map(|&code| format!("{:?}", texts.get(code as usize))).collect()
            }
            TraceColumn::Number(values) => values.iter().map(|value| format!("{value:?}")).collect(),
            TraceColumn::SpanId(ids) => ids.iter().map(|id| format!("{id:x}")).collect(),
        }
    };
    columns.columns.iter().map(of).collect()
}

#[test]
fn columns_of_a_trace_are_those_of_its_rows() {
    let long = "é".repeat(TRACE_TEXT_BYTES_MAX);
    let early: Vec<Row> = (0..3_000)
        .map(|number| {
            let row = if number % 3 == 0 {
                span(
                    5_000 - number,
                    &format!("{:016x}", number + 1),
                    (number > 0).then_some("0000000000000001"),
                )
            } else {
                // Another trace between them: most rows of a block are not asked for.
                at(number)
                    .fixed(Fixed::TraceId, "ffffffffffffffffffffffffffffffff")
                    .fixed(Fixed::Name, "other")
            };
            let row = row.service(["web", "db"][usize::try_from(number % 2).unwrap()]);
            match number % 4 {
                0 => row.with("mixed", number),
                1 => row.with("mixed", "text").fixed(Fixed::Error, true),
                2 => row.with("mixed", 0.5),
                _ => row.with("mixed", long.as_str()).fixed(Fixed::Duration, Value::I64(1_500_000 + number)),
            }
        })
        .collect();
    let late = [
        span(1, "00000000000000aa", Some("0000000000000001")).service("third"),
        span(9_000, "00000000000000ab", None).with("mixed", Value::Bytes(vec![1, 2, 3])),
        at(9_000).fixed(Fixed::TraceId, ID).fixed(Fixed::SignalType, "log").fixed(Fixed::Body, "a line"),
    ];
    let engine = engine(&[&early, &[at(0)], &late]);
    let (environment, id) = (Environment::default_environment(), parse_trace_id(ID).unwrap());
    let columns = engine.trace_columns(&environment, id, &WANTED, &context()).expect("columns");
    let rows = engine.trace(&environment, id, &context()).expect("rows");
    assert_eq!(rows.rows.len(), 1_003);
    let expected = TraceColumns::of_rows(rows, &WANTED);
    assert_eq!(columns.times_ns, expected.times_ns);
    assert_eq!(columns.event_ids, expected.event_ids);
    assert_eq!(values(&columns), values(&expected));
    assert!(columns.times_ns.is_sorted());
    let unknown = engine.trace_columns(&environment, [7; 16], &WANTED, &context()).expect("nothing");
    assert!(unknown.times_ns.is_empty());
    let sealed = engine.trace_columns(&Environment::skein(), id, &WANTED, &context()).expect("nothing");
    assert!(sealed.times_ns.is_empty());
}

#[test]
fn a_trace_as_columns_stays_within_its_memory() {
    let rows: Vec<Row> =
        (0..3_000).map(|number| span(number, &format!("{:016x}", number + 1), None)).collect();
    let engine = engine(&[&rows]);
    let (environment, id) = (Environment::default_environment(), parse_trace_id(ID).unwrap());
    let scarce = RunContext { memory_bytes_max: 500_000, ..context() };
    let error = engine.trace_columns(&environment, id, &WANTED, &scarce).expect_err("too long");
    assert!(error.to_string().contains("more than"), "{error}");
    let enough = RunContext { memory_bytes_max: 3 << 20, ..context() };
    assert!(engine.trace_columns(&environment, id, &WANTED, &enough).is_ok());
}

#[test]
fn of_a_span_come_its_copies_events_links_and_logs_and_nothing_else() {
    const SPAN: &str = "00000000000000aa";
    let annotation = |kind: &str, parent: &str| {
        at(2).fixed(Fixed::TraceId, ID).fixed(Fixed::AnnotationType, kind).fixed(Fixed::ParentId, parent)
    };
    let log = |span: &str| {
        at(3).fixed(Fixed::TraceId, ID).fixed(Fixed::SignalType, "log").fixed(Fixed::SpanId, span)
    };
    let rows = [
        span(1, SPAN, None),
        span(1, "00000000000000ab", Some(SPAN)),
        annotation("span_event", SPAN),
        annotation("link", SPAN),
        annotation("link", "00000000000000ab"),
        log(SPAN),
        log("00000000000000ab"),
        at(4).fixed(Fixed::TraceId, "ffffffffffffffffffffffffffffffff").fixed(Fixed::SpanId, SPAN),
    ];
    let engine = engine(&[&rows, &[span(7, SPAN, None)]]);
    let (environment, id) = (Environment::default_environment(), parse_trace_id(ID).unwrap());
    let span_id = parse_span_id(SPAN).unwrap();
    let found = engine.span_of_trace(&environment, id, span_id, &context()).expect("rows");
    let mut expected = engine.trace(&environment, id, &context()).expect("rows").rows;
    expected.retain(|row| row.is_of_span(SPAN));
    assert_eq!(found.rows, expected);
    assert_eq!(found.rows.len(), 5);
}
