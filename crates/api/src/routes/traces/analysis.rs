//! `/api/v1/traces/{id}/analysis`: what a trace looks like and where its time went, as columns. The trace page,
//! `skein trace` and every script read the same numbers from here.

use skein_analysis::picture::{Links, Marks, Picture};
use skein_analysis::waterfall::{Gap, NONE, RepeatKind, Segment, flags};
use skein_query::time_text::format_ns;
use skein_wire::{TraceShare, TraceSkew, TraceSummary};

use super::columns::{Column, Table};

/// The members of the answer that are no columns.
#[derive(serde::Serialize)]
pub(super) struct Head {
    trace_id: String,
    complete: bool,
    complete_to: String,
    start: String,
    duration_ms: f64,
    main_root: i64,
    summary: TraceSummary,
    shares: Vec<TraceShare>,
    skews: Vec<TraceSkew>,
    names: Vec<String>,
    services: Vec<String>,
    templates: Vec<String>,
    severities: Vec<String>,
    bodies: Vec<String>,
    exception_types: Vec<String>,
    exception_messages: Vec<String>,
    linked_traces: Vec<String>,
}

/// What is said of a picture beside its columns.
pub(super) fn head(picture: &Picture, trace_id: String, complete_to_ns: i64) -> Head {
    let waterfall = &picture.waterfall;
    let counted = |flag: u16| waterfall.flags.iter().filter(|flags| **flags & flag != 0).count() as u64;
    let texts = |texts: &[std::sync::Arc<str>]| texts.iter().map(|text| text.to_string()).collect();
    let summary = TraceSummary {
        spans: picture.spans as u64,
        services: picture.shares.len() as u64,
        errors: counted(flags::ERROR),
        events: picture.events.node.len() as u64,
        logs: picture.logs.node.len() as u64,
        links: picture.links.node.len() as u64,
        missing_parents: counted(flags::MISSING),
        duplicates: counted(flags::DUPLICATE),
        circles: counted(flags::CUT),
        others: picture.others as u64,
        depth: waterfall.depth.iter().max().map_or(0, |depth| u64::from(*depth) + 1),
        idle_ms: milliseconds(waterfall.idle_ns),
        gaps_ms: milliseconds(waterfall.gaps.iter().map(|gap| gap.end_ns - gap.start_ns).sum()),
    };
    Head {
        trace_id,
        complete: summary.missing_parents == 0 && counted(flags::ROOT) > 0,
        complete_to: format_ns(complete_to_ns),
        start: format_ns(picture.start_ns),
        duration_ms: milliseconds(picture.end_ns.saturating_sub(picture.start_ns)),
        main_root: i64::from(number(waterfall.main_root)),
        summary,
        shares: picture
            .shares
            .iter()
            .map(|share| TraceShare {
                service: i64::from(share.service),
                spans: u64::from(share.spans),
                errors: u64::from(share.errors),
                self_ms: milliseconds(share.self_ns),
                critical_ms: milliseconds(share.critical_ns),
            })
            .collect(),
        skews: waterfall
            .skews
            .iter()
            .map(|skew| TraceSkew {
                service: i64::from(number(skew.service)),
                spans: u64::from(skew.spans),
                shift_min_ms: milliseconds(skew.shift_min_ns),
                shift_max_ms: milliseconds(skew.shift_max_ns),
            })
            .collect(),
        names: texts(&picture.names),
        services: texts(&picture.services),
        templates: picture.templates.texts.clone(),
        severities: texts(&picture.severities),
        bodies: texts(&picture.bodies),
        exception_types: texts(&picture.exception_types),
        exception_messages: texts(&picture.exception_messages),
        linked_traces: texts(&picture.linked_traces),
    }
}

/// The columns of a picture.
pub(super) fn tables(picture: &Picture) -> Vec<Table> {
    let waterfall = &picture.waterfall;
    let since = |times: &[i64]| milliseconds_since(picture.start_ns, times.iter().copied());
    let lengths = |lengths: &[i64]| milliseconds_since(0, lengths.iter().copied());
    let spans = vec![
        ("span_id", Column::U64(waterfall.id.clone())),
        ("parent", numbers(&waterfall.parent)),
        ("depth", Column::U32(waterfall.depth.clone())),
        ("size", Column::U32(waterfall.size.clone())),
        ("start_ms", since(&waterfall.start_ns)),
        ("duration_ms", lengths(&waterfall.duration_ns)),
        ("self_ms", lengths(&waterfall.self_ns)),
        ("shift_ms", lengths(&waterfall.shift_ns)),
        ("service", numbers(&picture.service)),
        ("name", numbers(&picture.name)),
        ("copies", Column::U32(waterfall.copies.clone())),
        ("flags", Column::U16(waterfall.flags.clone())),
    ];
    let path = waterfall.critical.iter().map(|&Segment { node, start_ns, end_ns }| (node, start_ns, end_ns));
    let gaps = waterfall.gaps.iter().map(|&Gap { node, start_ns, end_ns }| (node, start_ns, end_ns));
    let table = |name, columns| Table { name, columns };
    vec![
        table("spans", spans),
        table("critical_path", pieces(picture.start_ns, path)),
        table("gaps", pieces(picture.start_ns, gaps)),
        table("repeats", repeats(picture)),
        table("events", marks(&picture.events, picture.start_ns, false)),
        table("logs", marks(&picture.logs, picture.start_ns, true)),
        table("links", links(&picture.links)),
    ]
}

fn pieces(
    start_ns: i64,
    pieces: impl Iterator<Item = (u32, i64, i64)> + Clone,
) -> Vec<(&'static str, Column)> {
    let nodes: Vec<u32> = pieces.clone().map(|(node, ..)| node).collect();
    vec![
        ("node", numbers(&nodes)),
        ("start_ms", milliseconds_since(start_ns, pieces.clone().map(|(_, start, _)| start))),
        ("end_ms", milliseconds_since(start_ns, pieces.map(|(.., end)| end))),
    ]
}

fn repeats(picture: &Picture) -> Vec<(&'static str, Column)> {
    let all = || picture.waterfall.repeats.iter();
    let first: Vec<u32> = all().map(|repeat| repeat.first).collect();
    let template: Vec<u32> = all().map(|repeat| repeat.template).collect();
    let kind = |kind| match kind {
        RepeatKind::Repeat => 0,
        RepeatKind::Retry => 1,
        RepeatKind::Reconnect => 2,
    };
    vec![
        ("first", numbers(&first)),
        ("nodes", Column::U32(all().map(|repeat| repeat.nodes).collect())),
        ("members", Column::U32(all().map(|repeat| repeat.members).collect())),
        ("errors", Column::U32(all().map(|repeat| repeat.errors).collect())),
        ("template", numbers(&template)),
        ("kind", Column::U16(all().map(|repeat| kind(repeat.kind)).collect())),
        ("total_ms", milliseconds_since(0, all().map(|repeat| repeat.total_ns))),
        ("start_ms", milliseconds_since(picture.start_ns, all().map(|repeat| repeat.start_ns))),
        ("end_ms", milliseconds_since(picture.start_ns, all().map(|repeat| repeat.end_ns))),
    ]
}

fn marks(marks: &Marks, start_ns: i64, are_logs: bool) -> Vec<(&'static str, Column)> {
    let mut columns = vec![
        ("node", numbers(&marks.node)),
        ("time_ms", milliseconds_since(start_ns, marks.time_ns.iter().copied())),
        (if are_logs { "service" } else { "name" }, numbers(&marks.name)),
        ("exception_type", numbers(&marks.exception_type)),
        ("exception_message", numbers(&marks.exception_message)),
    ];
    if are_logs {
        columns.push(("severity", numbers(&marks.severity)));
        columns.push(("body", numbers(&marks.body)));
    }
    columns
}

fn links(links: &Links) -> Vec<(&'static str, Column)> {
    vec![
        ("node", numbers(&links.node)),
        ("trace", numbers(&links.trace)),
        ("span_id", Column::U64(links.span_id.clone())),
        ("target", numbers(&links.target)),
    ]
}

/// Numbers of things; [`NONE`] becomes -1.
fn numbers(values: &[u32]) -> Column {
    Column::I32(values.iter().map(|&value| number(value)).collect())
}

fn number(value: u32) -> i32 {
    if value == NONE { -1 } else { i32::try_from(value).unwrap_or(i32::MAX) }
}

fn milliseconds_since(start_ns: i64, times: impl Iterator<Item = i64>) -> Column {
    Column::F64(times.map(|time| milliseconds(time.saturating_sub(start_ns))).collect())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a double of milliseconds tells nanoseconds over a hundred days"
)]
fn milliseconds(ns: i64) -> f64 {
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use skein_wire::TraceAnalysis;
    use skein_wire::schema::Schema as _;

    use super::*;
    use crate::routes::traces::columns::as_json;

    #[test]
    fn an_analysis_is_written_as_its_schema_says() {
        let mut definitions = serde_json::Map::new();
        TraceAnalysis::define(&mut definitions);
        let picture = Picture::default();
        let text = as_json(&head(&picture, "77".to_owned(), 0), &tables(&picture)).expect("writes");
        let written: Value = serde_json::from_slice(&text).expect("is JSON");
        let names = |value: &Value| -> BTreeSet<String> {
            value.as_object().expect("an object").keys().cloned().collect()
        };
        let properties = &definitions["TraceAnalysis"]["properties"];
        assert_eq!(names(properties), names(&written));
        for (member, schema) in properties.as_object().expect("an object") {
            let Some(reference) = schema["$ref"].as_str() else { continue };
            let name = reference.rsplit('/').next().expect("a name");
            assert_eq!(names(&definitions[name]["properties"]), names(&written[member]), "{member}");
        }
        serde_json::from_slice::<TraceAnalysis>(&text).expect("reads back");
    }
}
