//! What a later piece of work brings: it answers not_found with a hint until then (CONTRACT.md, "Commands").

use std::sync::Arc;

use axum::extract::MatchedPath;
use axum::routing::{MethodRouter, get, post};
use skein_wire::openapi::{Answer, Operation};

use super::Route;
use crate::error::{ApiError, Code};
use crate::state::Api;

/// Method, path, name, and what to use meanwhile.
const LATER: &[(&str, &str, &str, &str)] = &[
    ("POST", "/api/v1/sql", "sql", USE_QUERY),
    ("GET", "/api/v1/tail", "tail", "POST /api/v1/query with \"calculations\": [] lists the newest events"),
];

const USE_QUERY: &str = "POST /api/v1/query answers specifications of the builder language";

pub(super) fn routes() -> Vec<Route> {
    LATER
        .iter()
        .map(|&(method, path, id, _)| Route {
            operation: Operation {
                method,
                path,
                id,
                summary: "Not in this version.",
                query: &[],
                request: None,
                response: Answer::Later,
            },
            serve: if method == "GET" { || not_yet_get() } else { || post(not_yet) },
        })
        .collect()
}

fn not_yet_get() -> MethodRouter<Arc<Api>> {
    get(not_yet)
}

async fn not_yet(path: MatchedPath) -> ApiError {
    let hint = LATER.iter().find(|(_, later, _, _)| *later == path.as_str()).map(|(_, _, _, hint)| *hint);
    ApiError::new(Code::NotFound, "this version does not answer this yet").hint(hint.unwrap_or(USE_QUERY))
}
