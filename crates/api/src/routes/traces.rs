//! `/api/v1/traces/{id}`: everything of one trace, spans and logs in order; its analysis; what belongs to one of
//! its spans.

mod analysis;
mod columns;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use event::ids::{encode_hex, parse_span_id, parse_trace_id};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skein_analysis::picture::{COLUMNS, Picture};
use skein_analysis::trace::{Trace as Assembled, assemble};
use skein_event as event;
use skein_query::QueryError;
use skein_query::render::{self, RowText};
use skein_query::result::FlatRow;
use skein_query::time_text::format_ns;
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::{Trace, TraceAnalysis, TraceSpan};

use super::{Route, ask, json_text};
use crate::error::{ApiError, Code};
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let trace = Operation {
        method: "GET",
        path: "/api/v1/traces/{id}",
        id: "trace",
        summary: "Spans and log records of a trace. The id has 32 or 16 hex digits, or X-Ray's form.",
        query: &[("fields", "Only these columns, separated by commas.")],
        request: None,
        response: Answer::Json(Schema::of::<Trace>()),
    };
    let analysis = Operation {
        method: "GET",
        path: "/api/v1/traces/{id}/analysis",
        id: "trace_analysis",
        summary: "What a trace looks like and where its time went: its tree, critical path, gaps, repeated work, clocks, events and logs in place. As columns also with Accept: application/vnd.skein.columns.",
        query: &[],
        request: None,
        response: Answer::Json(Schema::of::<TraceAnalysis>()),
    };
    let span = Operation {
        method: "GET",
        path: "/api/v1/traces/{id}/spans/{span_id}",
        id: "trace_span",
        summary: "One span of a trace with its copies, events, links and log records, flat. The span id has 16 hex digits.",
        query: &[],
        request: None,
        response: Answer::Json(Schema::of::<TraceSpan>()),
    };
    vec![
        Route { operation: trace, serve: || get(self::trace) },
        Route { operation: analysis, serve: || get(trace_analysis) },
        Route { operation: span, serve: || get(self::span) },
    ]
}

/// Parameters of a trace.
#[derive(Deserialize)]
struct Fields {
    fields: Option<String>,
}

async fn trace(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(Fields { fields }): Query<Fields>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("application/vnd.apache.arrow.stream") {
        return Err(ApiError::new(Code::NotFound, "traces are not served as Arrow yet")
            .hint("ask for application/json"));
    }
    let trace_id = trace_id(&id)?;
    // Ordered and written where it is read: a long trace would keep a socket's thread for a second.
    let answer = ask(&api, move |engine, context| {
        let rows = engine.trace(&environment, trace_id, context)?;
        if rows.rows.is_empty() {
            return Ok(Err(rows.complete_to_ns));
        }
        let fields = fields.as_deref().map(field_names);
        let text = serde_json::to_vec(&shown(trace_id, &assemble(rows.rows), fields.as_ref()));
        text.map(Ok).map_err(|error| QueryError::internal(error.to_string()))
    });
    answer.await?.map(json_text).map_err(|complete_to_ns| unknown("trace id", complete_to_ns))
}

async fn trace_analysis(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let as_bytes = accept.contains(columns::CONTENT_TYPE);
    let trace_id = trace_id(&id)?;
    let answer = ask(&api, move |engine, context| {
        let found = engine.trace_columns(&environment, trace_id, &COLUMNS, context)?;
        if found.times_ns.is_empty() {
            return Ok(Err(found.complete_to_ns));
        }
        let id = encode_hex(&trace_id);
        let picture = Picture::of(&found, &id);
        let head = analysis::head(&picture, id, found.complete_to_ns);
        drop(found);
        context.check()?;
        let tables = analysis::tables(&picture);
        drop(picture);
        let write = if as_bytes { columns::as_bytes } else { columns::as_json };
        write(&head, &tables).map(Ok).map_err(|error| QueryError::internal(error.to_string()))
    });
    let bytes = answer.await?.map_err(|complete_to_ns| unknown("trace id", complete_to_ns))?;
    let mut response = json_text(bytes);
    if as_bytes {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(columns::CONTENT_TYPE));
    }
    Ok(response)
}

async fn span(
    State(api): State<Arc<Api>>,
    Path((id, span)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    let trace_id = trace_id(&id)?;
    let span_id = parse_span_id(&span)
        .ok_or_else(|| ApiError::invalid("this is no span id").hint("a span id has 16 hex digits"))?;
    let answer = ask(&api, move |engine, context| {
        let rows = engine.span_of_trace(&environment, trace_id, span_id, context)?;
        if rows.rows.is_empty() {
            return Ok(Err(rows.complete_to_ns));
        }
        let Assembled { spans: all, logs, .. } = assemble(rows.rows);
        let of = |annotation: Option<&'static str>| {
            all.iter().filter(move |row| row.text("meta.annotation_type") == annotation)
        };
        let flat =
            |rows: &mut dyn Iterator<Item = &FlatRow>| -> Vec<Value> { rows.map(render::row).collect() };
        let text = serde_json::to_vec(&serde_json::json!({
            "trace_id": encode_hex(&trace_id),
            "span_id": encode_hex(&span_id),
            "spans": flat(&mut of(None)),
            "events": flat(&mut of(Some("span_event"))),
            "links": flat(&mut of(Some("link"))),
            "logs": flat(&mut logs.iter()),
        }));
        text.map(Ok).map_err(|error| QueryError::internal(error.to_string()))
    });
    answer.await?.map(json_text).map_err(|complete_to_ns| unknown("span id in this trace", complete_to_ns))
}

fn trace_id(id: &str) -> Result<[u8; 16], ApiError> {
    parse_trace_id(id).ok_or_else(|| {
        ApiError::invalid("this is no trace id").hint("32 or 16 hex digits, or 1-<8 hex>-<24 hex>")
    })
}

fn unknown(what: &str, complete_to_ns: i64) -> ApiError {
    let complete_to = format_ns(complete_to_ns);
    ApiError::new(Code::NotFound, format!("no event has this {what}; complete to {complete_to}"))
}

/// The columns asked for, and those without which a row could not be placed.
fn field_names(fields: &str) -> BTreeSet<&str> {
    const ALWAYS: [&str; 6] = [
        "timestamp",
        "event.id",
        "trace.span_id",
        "trace.parent_id",
        "meta.signal_type",
        "meta.annotation_type",
    ];
    fields.split(',').map(str::trim).filter(|field| !field.is_empty()).chain(ALWAYS).collect()
}

/// A [`Trace`] of the wire, written from the rows themselves.
#[derive(Serialize)]
struct Shown<'a> {
    trace_id: String,
    complete: bool,
    root_ids: &'a [String],
    missing_parents: &'a [String],
    duplicate_spans: &'a [String],
    spans: Vec<RowText<'a>>,
    logs: Vec<RowText<'a>>,
}

fn shown<'a>(trace_id: [u8; 16], trace: &'a Assembled, only: Option<&'a BTreeSet<&'a str>>) -> Shown<'a> {
    let flat = |rows: &'a [FlatRow]| rows.iter().map(|row| RowText { row, only }).collect();
    Shown {
        trace_id: encode_hex(&trace_id),
        complete: trace.complete,
        root_ids: &trace.root_ids,
        missing_parents: &trace.missing_parents,
        duplicate_spans: &trace.duplicate_spans,
        spans: flat(&trace.spans),
        logs: flat(&trace.logs),
    }
}

#[cfg(test)]
mod tests {
    use skein_wire::schema::Schema as _;

    use super::*;

    #[test]
    fn a_trace_is_written_as_its_schema_says() {
        let mut definitions = serde_json::Map::new();
        Trace::define(&mut definitions);
        let properties = definitions["Trace"]["properties"].as_object().expect("an object's schema");
        let text = serde_json::to_value(shown([1; 16], &Assembled::default(), None)).expect("writes");
        let names = |object: &serde_json::Map<String, Value>| -> BTreeSet<String> {
            object.keys().cloned().collect()
        };
        assert_eq!(names(properties), names(text.as_object().expect("an object")));
    }
}
