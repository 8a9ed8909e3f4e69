//! What a field of an event is called: system fields that begin with `@`, fields that CloudWatch discovers in the lines of
//! Lambda, and every column of an event by its name.

use std::sync::Arc;

use skein_event::columns::Fixed;

use super::datum::Datum;
use super::functions::{Extra, by_name, operators};
use super::program::{Arena, Input, Node, Step};
use crate::error::Location;
use crate::names::{self, Reference};
use crate::plan::{Column, Scope};
use crate::text::{Problem, Span};

/// What the lines of Lambda say, and columns that hold the same of other events.
const DISCOVERED: &[(&str, &[&str])] = &[
    ("@requestId", &["faas.invocation_id", "faas.execution", "requestId"]),
    ("@type", &[]),
    ("@duration", &["duration_ms"]),
    ("@billedDuration", &[]),
    ("@initDuration", &[]),
    ("@memorySize", &[]),
    ("@maxMemoryUsed", &[]),
    ("@xrayTraceId", &["trace.trace_id"]),
    ("@xraySegmentId", &["trace.span_id"]),
];

/// The value of a field.
pub(super) fn field(arena: &mut Arena, segments: &[String], span: Span) -> Result<Node, Problem> {
    let name = segments.join(".");
    match name.as_str() {
        "@timestamp" | "timestamp" => return arena.push(Step::Input(Input::EventTime), span),
        "@ingestionTime" | "meta.ingest_time" => return arena.push(Step::Input(Input::IngestTime), span),
        _ => {}
    }
    if name.len() > skein_event::limits::COLUMN_NAME_BYTES_MAX {
        return Err(Problem::new(span, "the name of a field is longer than any column's"));
    }
    let whole = arena.push(Step::Input(Input::Column(column(&name, span))), span)?;
    if let Some((found, others)) = DISCOVERED.iter().find(|(found, _)| *found == name) {
        let body = of_references("body", vec![Reference::Fixed(Fixed::Body)], span);
        let body = arena.push(Step::Input(Input::Column(body)), span)?;
        let found = arena.push(Step::Constant(Datum::from(*found)), span)?;
        let line = arena.call(&operators::LAMBDA, vec![body, found], Extra::Nothing, span)?;
        let mut choices = vec![whole, line];
        for other in *others {
            choices.push(arena.push(Step::Input(Input::Column(column(other, span))), span)?);
        }
        return coalesce(arena, choices, span);
    }
    // An element of a list: lists are one value here, which CloudWatch takes apart.
    let Some(place) = segments.iter().position(|segment| segment.parse::<u32>().is_ok()).filter(|at| *at > 0)
    else {
        return Ok(whole);
    };
    let list = column(&segments[..place].join("."), span);
    let mut part = arena.push(Step::Input(Input::Column(list)), span)?;
    for segment in &segments[place..] {
        part = member(arena, part, segment, span)?;
    }
    coalesce(arena, vec![whole, part], span)
}

/// A part of a map or a list by its name.
pub(super) fn member(arena: &mut Arena, of: Node, name: &str, span: Span) -> Result<Node, Problem> {
    let name = arena.push(Step::Constant(Datum::from(name)), span)?;
    arena.call(&operators::PART, vec![of, name], Extra::Nothing, span)
}

fn coalesce(arena: &mut Arena, choices: Vec<Node>, span: Span) -> Result<Node, Problem> {
    match by_name("coalesce") {
        Some(function) => arena.call(function, choices, Extra::Nothing, span),
        None => Err(Problem::new(span, "coalesce is no function")),
    }
}

pub(super) fn column(name: &str, span: Span) -> Column {
    let attribute = |name: &str| Reference::Attribute(Arc::from(name));
    let references = match name {
        "@log" => vec![Reference::Fixed(Fixed::Dataset)],
        "logGroup" => vec![attribute(name), Reference::Fixed(Fixed::Dataset)],
        "@logStream" | "logStream" => {
            own_or(name, &["aws.log.stream.name", "service.instance.id", "k8s.pod.name", "host.name"])
        }
        "@aws.account" => own_or(name, &["cloud.account.id", "aws.account.id"]),
        "@aws.region" => own_or(name, &["cloud.region", "aws.region"]),
        "@ptr" => vec![Reference::EventId],
        // A discovered name that begins with @ got another one.
        name if name.starts_with("@@") => vec![attribute(name), attribute(&name[1..])],
        name => names::references(name),
    };
    of_references(name, references, span)
}

/// An attribute of a name, else one of others.
fn own_or(name: &str, others: &[&str]) -> Vec<Reference> {
    let own = Reference::Attribute(Arc::from(name));
    std::iter::once(own).chain(others.iter().flat_map(|other| names::references(other))).collect()
}

fn of_references(name: &str, references: Vec<Reference>, span: Span) -> Column {
    let location = Location::Span { start: span.start, end: span.end };
    Column { name: Arc::from(name), scope: Scope::Own, references, calculated: None, location }
}
