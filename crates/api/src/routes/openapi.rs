//! `/api/v1/openapi.json`: the API describes itself.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use skein_wire::openapi::{Answer, Body as Schema, Operation, document};
use skein_wire::schema::Object;

use super::{Route, json, table};
use crate::error::ApiError;
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let openapi = Operation {
        method: "GET",
        path: "/api/v1/openapi.json",
        id: "openapi",
        summary: "This document.",
        query: &[],
        request: None,
        response: Answer::Json(Schema::of::<Object>()),
    };
    vec![Route { operation: openapi, serve: || get(self::openapi) }]
}

async fn openapi(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let operations: Vec<Operation> = table().into_iter().map(|route| route.operation).collect();
    json(&document(&operations, api.version))
}
