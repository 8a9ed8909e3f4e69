//! `/api/v1/demo`: simulated services for who has nothing of their own yet, in an environment apart.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::HeaderMap;
use skein_event::Environment;
use skein_wire::DemoStarted;
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::schema::Object;

use super::{Route, json, json_body};
use crate::error::ApiError;
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let demo = Operation {
        method: "POST",
        path: "/api/v1/demo",
        id: "demo",
        summary: "Lets simulated services send to the environment demo: first the past, then live for a while. The body is {}.",
        query: &[],
        request: Some(Schema::of::<Object>()),
        response: Answer::Json(Schema::of::<DemoStarted>()),
    };
    vec![Route { operation: demo, serve: || post(start) }]
}

async fn start(State(api): State<Arc<Api>>, headers: HeaderMap, body: Body) -> Result<Response, ApiError> {
    if api.door.gate.is_closed() {
        return Err(ApiError::stopping());
    }
    json_body(&api, &headers, body).await?;
    let started = api.demo.start();
    json(&DemoStarted { environment: Environment::DEMO.to_owned(), started })
}
