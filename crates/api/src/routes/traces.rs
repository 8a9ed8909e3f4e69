//! `/api/v1/traces/{id}`: everything of one trace, spans and logs in order.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use event::ids::{encode_hex, parse_trace_id};
use http::HeaderMap;
use http::header::ACCEPT;
use serde::{Deserialize, Serialize};
use skein_analysis::trace::{Trace as Assembled, assemble};
use skein_event as event;
use skein_query::QueryError;
use skein_query::render::RowText;
use skein_query::result::FlatRow;
use skein_query::time_text::format_ns;
use skein_wire::Trace;
use skein_wire::openapi::{Answer, Body as Schema, Operation};

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
    match answer.await? {
        Ok(text) => Ok(json_text(text)),
        Err(complete_to_ns) => {
            let complete_to = format_ns(complete_to_ns);
            let message = format!("no event has this trace id; complete to {complete_to}");
            Err(ApiError::new(Code::NotFound, message))
        }
    }
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
        let names = |object: &serde_json::Map<String, serde_json::Value>| -> BTreeSet<String> {
            object.keys().cloned().collect()
        };
        assert_eq!(names(properties), names(text.as_object().expect("an object")));
    }
}
