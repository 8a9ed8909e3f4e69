//! `/api/v1/rejections`: what was not stored, and why.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use http::HeaderMap;
use serde::Deserialize;
use skein_query::time_text::{format_ns, parse_ns};
use skein_wire::Rejection;
use skein_wire::openapi::{Answer, Body as Schema, Operation};

use super::{Route, json};
use crate::error::ApiError;
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let list = Operation {
        method: "GET",
        path: "/api/v1/rejections",
        id: "rejections",
        summary: "The latest records and requests that were not stored, newest first.",
        query: &[("since", "RFC 3339, or epoch seconds.")],
        request: None,
        response: Answer::Json(Schema::of::<Vec<Rejection>>()),
    };
    vec![Route { operation: list, serve: || get(rejections) }]
}

/// Parameters of the list.
#[derive(Deserialize)]
struct Since {
    since: Option<String>,
}

async fn rejections(
    State(api): State<Arc<Api>>,
    Query(Since { since }): Query<Since>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    let since_ns = since.as_deref().map_or(Ok(i64::MIN), time)?;
    let shown = api.door.rejections.since(&environment, since_ns).into_iter().map(|entry| Rejection {
        time: format_ns(entry.time_ns),
        door: entry.door.to_owned(),
        key: entry.key,
        reason_code: entry.reason.as_str().to_owned(),
        path: entry.path,
        count: entry.count,
        sample: entry.sample,
    });
    json(&shown.collect::<Vec<_>>())
}

fn time(text: &str) -> Result<i64, ApiError> {
    let seconds = || text.parse::<f64>().ok().and_then(super::export::seconds_to_ns);
    parse_ns(text).or_else(seconds).ok_or_else(|| {
        ApiError::invalid("since is no time").at_path("/since").hint("RFC 3339, or epoch seconds")
    })
}
