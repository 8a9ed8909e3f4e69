//! `/api/v1/markers`: what happened, to be seen beside every graph.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use event::limits::MARKERS_LISTED_MAX;
use http::HeaderMap;
use serde::Deserialize;
use skein_event as event;
use skein_query::spec::{self, MarkerText};
use skein_query::time_text::format_ns;
use skein_registry::{Marker as Kept, MarkerContent, MarkersWanted};
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::{Deleted, Marker, MarkerRequest, Markers};

use super::kept::{Expected, call, deleted, id_of, whole};
use super::{Route, json, json_body};
use crate::error::ApiError;
use crate::state::Api;

const ONE: &str = "/api/v1/markers/{id}";

pub(super) fn routes() -> Vec<Route> {
    let list = Operation {
        method: "GET",
        path: "/api/v1/markers",
        id: "markers",
        summary: "The markers that touch a range of time, the latest first, at most 1,000.",
        query: &[
            ("start_time", "Epoch seconds; without it from the first."),
            ("end_time", "Epoch seconds, exclusive; without it to the last."),
            ("dataset", "Those of this dataset and those of all."),
            ("type", "Those of this type."),
            ("limit", "So many at most."),
        ],
        request: None,
        response: Answer::Json(Schema::of::<Markers>()),
    };
    let create = Operation {
        method: "POST",
        id: "createMarker",
        summary: "Keeps a marker.",
        query: &[],
        request: Some(Schema::of::<MarkerRequest>()),
        response: Answer::Json(Schema::of::<Marker>()),
        ..list
    };
    let one =
        Operation { method: "GET", path: ONE, id: "marker", summary: "One marker.", request: None, ..create };
    let replace = Operation {
        method: "PUT",
        path: ONE,
        id: "replaceMarker",
        summary: "Gives a marker another content; what is left out is cleared, but for its time.",
        ..create
    };
    let delete = Operation {
        method: "DELETE",
        id: "deleteMarker",
        summary: "Deletes a marker.",
        query: &[("version", "Fails with conflict unless it has this version.")],
        response: Answer::Json(Schema::of::<Deleted>()),
        ..one
    };
    vec![
        Route { operation: list, serve: || get(self::list) },
        Route { operation: create, serve: || post(self::create) },
        Route { operation: one, serve: || get(self::one) },
        Route { operation: replace, serve: || axum::routing::put(self::replace) },
        Route { operation: delete, serve: || axum::routing::delete(self::delete) },
    ]
}

/// Parameters of `list`.
#[derive(Deserialize)]
struct Wanted {
    start_time: Option<f64>,
    end_time: Option<f64>,
    dataset: Option<String>,
    r#type: Option<String>,
    limit: Option<usize>,
}

async fn list(
    State(api): State<Arc<Api>>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    let limit = wanted.limit.unwrap_or(MARKERS_LISTED_MAX);
    if !(1..=MARKERS_LISTED_MAX).contains(&limit) {
        let message = format!("the limit is a whole number from 1 to {MARKERS_LISTED_MAX}");
        return Err(ApiError::invalid(message).hint("ask for a narrower range of time"));
    }
    let wanted = MarkersWanted {
        start_ns: wanted.start_time.map_or(i64::MIN, to_ns),
        end_ns: wanted.end_time.map_or(i64::MAX, to_ns),
        dataset: wanted.dataset.filter(|dataset| !dataset.is_empty()),
        kind: wanted.r#type,
        limit,
    };
    let listed = call(&api, move |registry| registry.markers(&environment, &wanted)).await?;
    json(&Markers {
        markers: listed.items.iter().map(shown).collect(),
        more: listed.more,
        damaged: listed.damaged,
    })
}

/// Epoch seconds; whatever is beyond what a time can be is the end of time.
fn to_ns(seconds: f64) -> i64 {
    let micros = (seconds * 1e6).round();
    #[expect(clippy::cast_possible_truncation, reason = "saturates, which is the end of time")]
    let micros = micros as i64;
    micros.saturating_mul(1_000)
}

async fn create(State(api): State<Arc<Api>>, request: Request<Body>) -> Result<Response, ApiError> {
    whole(&api)?;
    let (parts, body) = request.into_parts();
    let environment = api.environment(&parts.headers)?;
    let body = json_body(&api, &parts.headers, body).await?;
    let now_ns = api.clock.now_ns();
    let text = spec::marker(&body, now_ns)?;
    let id = id_of(&api.new_id())?;
    let content = content(text, now_ns);
    let made = call(&api, move |registry| registry.create_marker(&environment, &id, content, now_ns));
    json(&shown(&made.await?))
}

async fn one(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    let id = id_of(&id)?;
    json(&shown(&call(&api, move |registry| registry.marker(&environment, &id)).await?))
}

async fn replace(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    whole(&api)?;
    let (parts, body) = request.into_parts();
    let environment = api.environment(&parts.headers)?;
    let body = json_body(&api, &parts.headers, body).await?;
    let (id, now_ns) = (id_of(&id)?, api.clock.now_ns());
    let (of, named) = (environment.clone(), id.clone());
    let before = call(&api, move |registry| registry.marker(&of, &named)).await?;
    let text = spec::marker(&body, before.content.start_ns)?;
    // Whoever states no version replaces what was just read, whose time it may have taken over.
    let expected = text.version.or(Some(before.stamp.version));
    let content = content(text, before.content.start_ns);
    let replaced =
        call(&api, move |registry| registry.replace_marker(&environment, &id, content, expected, now_ns));
    json(&shown(&replaced.await?))
}

async fn delete(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(Expected { version }): Query<Expected>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    whole(&api)?;
    let environment = api.environment(&headers)?;
    let id = id_of(&id)?;
    let named = id.clone();
    let was = call(&api, move |registry| registry.delete_marker(&environment, &named, version)).await?;
    deleted(&id, was.as_ref().map(shown))
}

fn content(text: MarkerText, default_start_ns: i64) -> MarkerContent {
    MarkerContent {
        start_ns: text.start_ns.unwrap_or(default_start_ns),
        end_ns: text.end_ns,
        kind: text.kind,
        message: text.message,
        url: text.url,
        dataset: text.dataset,
    }
}

fn shown(kept: &Kept) -> Marker {
    // What was written is read again: microseconds are whole in a double for two centuries.
    #[expect(clippy::cast_precision_loss, reason = "a time of two centuries in microseconds is below 2^53")]
    let seconds = |ns: i64| (ns / 1_000) as f64 / 1e6;
    let content = &kept.content;
    Marker {
        id: kept.id.to_string(),
        start_time: seconds(content.start_ns),
        end_time: content.end_ns.map(seconds),
        r#type: content.kind.clone(),
        message: content.message.clone(),
        url: content.url.clone(),
        dataset: content.dataset.clone(),
        version: kept.stamp.version,
        created_at: format_ns(kept.stamp.created_ns),
        updated_at: format_ns(kept.stamp.updated_ns),
    }
}
