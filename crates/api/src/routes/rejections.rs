//! `/api/v1/rejections`: what was not stored, and why.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::json;
use skein_event::Environment;
use skein_event::limits::{REJECTIONS_KEPT, REJECTIONS_RESTORED_NS};
use skein_query::result::Data;
use skein_query::time_text::{format_ns, parse_ns};
use skein_wire::Rejection;
use skein_wire::openapi::{Answer, Body as Schema, Operation};

use super::{Route, ask, json as answer};
use crate::error::ApiError;
use crate::rejections::{Entry, REJECTION};
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let list = Operation {
        method: "GET",
        path: "/api/v1/rejections",
        id: "rejections",
        summary: "The latest records and requests that were not stored, newest first; then sums of older ones.",
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
        door: entry.door,
        key: entry.key,
        reason_code: entry.reason.as_str().to_owned(),
        path: entry.path,
        count: entry.count,
        sample: entry.sample,
        summed: None,
    });
    let older = api.door.rejections.older(&environment, since_ns).into_iter().map(|older| Rejection {
        time: format_ns(older.last_ns),
        door: older.door,
        key: None,
        reason_code: older.reason.as_str().to_owned(),
        path: String::new(),
        count: older.count,
        sample: "older ones, which are no longer listed one by one; time is that of the latest".to_owned(),
        summed: Some(true),
    });
    answer(&shown.chain(older).collect::<Vec<_>>())
}

/// Lists again what an earlier process could not store: final rejections are events of environment `skein`.
pub async fn restore(api: Arc<Api>) {
    let now_ns = api.clock.now_ns();
    let seconds = |ns: i64| ns.div_euclid(1_000_000_000);
    let spec = json!({
        "calculations": [],
        "filters": [{"column": "name", "op": "=", "value": REJECTION}],
        "limit": REJECTIONS_KEPT,
        "start_time": seconds(now_ns.saturating_sub(REJECTIONS_RESTORED_NS)),
        "end_time": seconds(now_ns).saturating_add(1),
    });
    let found = ask(&api, move |engine, context| {
        let plan = skein_query::spec::parse(&spec, &Environment::skein(), now_ns)?;
        engine.run(&plan, context)
    });
    let rows = match found.await.map(|result| result.data) {
        Ok(Data::Rows(rows)) => rows.rows,
        Ok(_) => return,
        // A server that never observed anything does not know the column.
        Err(error) => return tracing::debug!(error = error.message(), "no earlier rejections"),
    };
    // Newest first, as answered; those of this process are there already.
    let earlier = rows.iter().rev().filter_map(Entry::from_row).filter(|entry| entry.time_ns < now_ns);
    api.door.rejections.restore(earlier.collect());
}

fn time(text: &str) -> Result<i64, ApiError> {
    let seconds = || text.parse::<f64>().ok().and_then(super::export::seconds_to_ns);
    parse_ns(text).or_else(seconds).ok_or_else(|| {
        ApiError::invalid("since is no time").at_path("/since").hint("RFC 3339, or epoch seconds")
    })
}
