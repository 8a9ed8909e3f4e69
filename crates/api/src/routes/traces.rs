//! `/api/v1/traces/{id}`: everything of one trace, spans and logs in order.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use event::ids::{encode_hex, parse_trace_id};
use http::HeaderMap;
use http::header::ACCEPT;
use serde::Deserialize;
use skein_analysis::trace::{Trace as Assembled, assemble};
use skein_event as event;
use skein_query::render;
use skein_query::result::FlatRow;
use skein_query::time_text::format_ns;
use skein_wire::Trace;
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::schema::Object;

use super::{Route, ask, json};
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
    vec![Route { operation: trace, serve: || get(self::trace) }]
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
    let trace_id = parse_trace_id(&id).ok_or_else(|| {
        ApiError::invalid("this is no trace id").hint("32 or 16 hex digits, or 1-<8 hex>-<24 hex>")
    })?;
    let rows = ask(&api, move |engine, context| engine.trace(&environment, trace_id, context)).await?;
    if rows.rows.is_empty() {
        let complete_to = format_ns(rows.complete_to_ns);
        let message = format!("no event has this trace id; complete to {complete_to}");
        return Err(ApiError::new(Code::NotFound, message));
    }
    let fields = fields.as_deref().map(field_names);
    json(&shown(encode_hex(&trace_id), assemble(rows.rows), fields.as_ref()))
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

fn shown(trace_id: String, trace: Assembled, fields: Option<&BTreeSet<&str>>) -> Trace {
    let flat = |rows: Vec<FlatRow>| rows.iter().map(|row| flat(row, fields)).collect();
    Trace {
        trace_id,
        complete: trace.complete,
        root_ids: trace.root_ids,
        missing_parents: trace.missing_parents,
        duplicate_spans: trace.duplicate_spans,
        spans: flat(trace.spans),
        logs: flat(trace.logs),
    }
}

fn flat(row: &FlatRow, fields: Option<&BTreeSet<&str>>) -> Object {
    let serde_json::Value::Object(mut members) = render::row(row) else { return Object::new() };
    if let Some(fields) = fields {
        members.retain(|name, _| fields.contains(name.as_str()));
    }
    members
}
