//! The HTTP API: one table of routes, one file per resource.
//!
//! The router and the OpenAPI document are both made of [`table`], so that neither can know a route that
//! the other does not.

mod boards;
mod compare;
mod complete;
mod datasets;
mod demo;
mod erase;
mod explain;
mod export;
mod health;
mod insights;
mod kept;
mod later;
mod map;
mod markers;
mod openapi;
mod query;
mod rejections;
mod templates;
mod traces;
mod unusual;
mod usage;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::Response;
use axum::routing::MethodRouter;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Serialize;
use skein_event::Environment;
use skein_event::limits::JSON_BYTES_MAX;
use skein_query::suggest;
use skein_query::{QueryEngine, QueryError, RunContext};
use skein_wire::openapi::Operation;
use skein_wire::schema::Object;

use crate::door;
use crate::error::{ApiError, Code};
use crate::layer;
use crate::state::Api;
use crate::ui;

pub use rejections::restore as restore_rejections;

/// One route: what it is, and what serves it.
pub(crate) struct Route {
    pub(crate) operation: Operation,
    pub(crate) serve: fn() -> MethodRouter<Arc<Api>>,
}

/// Every route of the API.
pub(crate) fn table() -> Vec<Route> {
    [
        health::routes(),
        query::routes(),
        insights::routes(),
        complete::routes(),
        explain::routes(),
        compare::routes(),
        map::routes(),
        templates::routes(),
        unusual::routes(),
        traces::routes(),
        datasets::routes(),
        rejections::routes(),
        usage::routes(),
        export::routes(),
        erase::routes(),
        demo::routes(),
        markers::routes(),
        boards::routes(),
        openapi::routes(),
        later::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The methods that a path takes, for people and for the header Allow.
pub(crate) fn methods_of(path: &str) -> String {
    let routes = table();
    let of_it = routes.iter().filter(|route| route.operation.path == path);
    of_it.map(|route| route.operation.method).collect::<Vec<_>>().join(", ")
}

/// The router of the HTTP port: the API, and the OTLP doors.
pub fn api_router(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    for route in table() {
        router = router.route(route.operation.path, (route.serve)());
    }
    let doors = door::http_router(Arc::clone(&api.door));
    let around = axum::middleware::from_fn_with_state(Arc::clone(&api), layer::around);
    router
        .fallback(unknown)
        .with_state(api)
        .merge(doors)
        .layer(DefaultBodyLimit::disable()) // every reader of a body has a limit of its own
        .layer(around)
}

/// The router of the OTLP/HTTP port: the doors alone, behind the same check of Host and Origin.
pub fn otlp_http_router(api: Arc<Api>) -> Router {
    let doors = door::http_router(Arc::clone(&api.door)).fallback(|request: Request| async move {
        door::unknown_path(request.headers(), request.uri().path())
    });
    let around = axum::middleware::from_fn_with_state(api, layer::around);
    doors.layer(DefaultBodyLimit::disable()).layer(around)
}

/// What is no route of the API: a file of the UI, or an error.
async fn unknown(State(_api): State<Arc<Api>>, request: Request) -> Result<Response, ApiError> {
    let path = request.uri().path();
    if let Some(response) = ui::answer(request.method(), path, request.headers()) {
        return Ok(response);
    }
    let routes = table();
    let candidates = suggest::candidates(path, routes.iter().map(|route| route.operation.path));
    let shown: String = path.chars().take(200).collect();
    let unknown = ApiError::new(Code::NotFound, format!("nothing is at {shown}"));
    Err(unknown.candidates(candidates).hint("GET /api/v1/openapi.json lists every path"))
}

// === what routes share ===

/// A JSON answer.
fn json(value: &impl Serialize) -> Result<Response, ApiError> {
    let bytes = serde_json::to_vec(value).map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(json_text(bytes))
}

/// The members of an object.
fn members(value: serde_json::Value) -> Object {
    match value {
        serde_json::Value::Object(members) => members,
        _ => Object::new(),
    }
}

/// A JSON answer that was written already.
fn json_text(bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The JSON body of a request. The content type is required: a browser's form cannot send it (DESIGN.md §8).
async fn json_body(api: &Api, headers: &HeaderMap, body: Body) -> Result<serde_json::Value, ApiError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let error = ApiError::invalid("the body must be JSON");
        return Err(error.hint("send the header Content-Type: application/json"));
    }
    let reading = tokio::time::timeout(api.door.patience.body, Limited::new(body, JSON_BYTES_MAX).collect());
    let late = |_elapsed| ApiError::new(Code::Unavailable, "the body did not arrive in time");
    let bytes = reading.await.map_err(|elapsed| late(elapsed).retry_after_ms(1_000))?.map_err(|error| {
        if error.is::<LengthLimitError>() {
            ApiError::new(Code::TooLarge, format!("the body is larger than {JSON_BYTES_MAX} bytes"))
        } else {
            ApiError::invalid("the body broke off")
        }
    })?;
    serde_json::from_slice(&bytes.to_bytes()).map_err(|error| {
        let message = format!("the body is not JSON: {error}");
        ApiError::invalid(message)
    })
}

/// Runs a short question of the engine on the CPU pool.
async fn ask<T: Send + 'static>(
    api: &Arc<Api>,
    question: impl FnOnce(&dyn QueryEngine, &RunContext<'_>) -> Result<T, QueryError> + Send + 'static,
) -> Result<T, ApiError> {
    if api.door.gate.is_closed() {
        return Err(ApiError::stopping());
    }
    let here = Arc::clone(api);
    let answered = api.cpu.run(move || {
        let cancelled = std::sync::atomic::AtomicBool::new(false);
        let deadline_ns = here.clock.now_ns().saturating_add(here.limits.duration_ns_max);
        let context = RunContext {
            clock: &*here.clock,
            cancelled: &cancelled,
            progress: &|_| {},
            partial: None,
            deadline_ns: Some(deadline_ns),
            memory_bytes_max: here.limits.memory_bytes_max,
        };
        question(&*here.engine, &context)
    });
    let answered = answered.await.map_err(|lost| ApiError::internal(lost.to_string()))?;
    Ok(answered?)
}

/// Fails with candidates when a dataset does not exist.
fn known_dataset(
    engine: &dyn QueryEngine,
    environment: &Environment,
    dataset: &str,
    context: &RunContext<'_>,
) -> Result<(), QueryError> {
    let datasets = engine.datasets(environment, context)?;
    if datasets.iter().any(|known| known.name == dataset) {
        return Ok(());
    }
    let names = datasets.iter().map(|known| known.name.as_str());
    let candidates = suggest::candidates(dataset, names);
    let shown: String = dataset.chars().take(200).collect();
    Err(QueryError::new(skein_query::ErrorKind::NotFound, format!("no dataset is called {shown:?}"))
        .candidates(candidates)
        .hint("GET /api/v1/datasets lists them"))
}

#[cfg(test)]
mod tests;
