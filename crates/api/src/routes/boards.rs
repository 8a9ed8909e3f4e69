//! `/api/v1/boards`: questions that are worth asking again, side by side.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::HeaderMap;
use skein_query::spec::{self, BoardText};
use skein_query::time_text::format_ns;
use skein_registry::{Board as Kept, BoardContent};
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::{Board, BoardRequest, BoardSummary, Boards, Deleted};

use super::kept::{Expected, call, deleted, id_of, whole};
use super::{Route, json, json_body};
use crate::error::ApiError;
use crate::state::Api;

const ONE: &str = "/api/v1/boards/{id}";

pub(super) fn routes() -> Vec<Route> {
    let list = Operation {
        method: "GET",
        path: "/api/v1/boards",
        id: "boards",
        summary: "The boards, by name, without their panels.",
        query: &[],
        request: None,
        response: Answer::Json(Schema::of::<Boards>()),
    };
    let create = Operation {
        method: "POST",
        id: "createBoard",
        summary: "Keeps a board. Each panel's question is checked as if it were asked.",
        request: Some(Schema::of::<BoardRequest>()),
        response: Answer::Json(Schema::of::<Board>()),
        ..list
    };
    let one =
        Operation { method: "GET", path: ONE, id: "board", summary: "One board.", request: None, ..create };
    let replace = Operation {
        method: "PUT",
        path: ONE,
        id: "replaceBoard",
        summary: "Gives a board another content, if it still has the version that was read.",
        ..create
    };
    let delete = Operation {
        method: "DELETE",
        id: "deleteBoard",
        summary: "Deletes a board.",
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

async fn list(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    let listed = call(&api, move |registry| registry.boards(&environment)).await?;
    let boards = listed.items.into_iter().map(|board| BoardSummary {
        id: board.id.to_string(),
        name: board.name,
        description: board.description,
        panels: board.panel_count,
        version: board.stamp.version,
        created_at: format_ns(board.stamp.created_ns),
        updated_at: format_ns(board.stamp.updated_ns),
    });
    json(&Boards { boards: boards.collect(), damaged: listed.damaged })
}

async fn create(State(api): State<Arc<Api>>, request: Request<Body>) -> Result<Response, ApiError> {
    whole(&api)?;
    let (parts, body) = request.into_parts();
    let environment = api.environment(&parts.headers)?;
    let body = json_body(&api, &parts.headers, body).await?;
    let now_ns = api.clock.now_ns();
    let (content, _) = content(spec::board(&body, &environment, now_ns)?);
    let id = id_of(&api.new_id())?;
    let made = call(&api, move |registry| registry.create_board(&environment, &id, content, now_ns));
    json(&shown(&made.await?)?)
}

async fn one(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    let id = id_of(&id)?;
    json(&shown(&call(&api, move |registry| registry.board(&environment, &id)).await?)?)
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
    let (content, expected) = content(spec::board(&body, &environment, now_ns)?);
    let Some(expected) = expected else {
        let error = ApiError::invalid("the field `version` is missing").at_path("/version");
        return Err(
            error.hint("send the version of the board that was changed: another may have changed it since")
        );
    };
    let replaced = call(&api, move |registry| {
        registry.replace_board(&environment, &id, content, Some(expected), now_ns)
    });
    json(&shown(&replaced.await?)?)
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
    let was = call(&api, move |registry| registry.delete_board(&environment, &named, version)).await?;
    deleted(&id, was.as_ref().map(shown).transpose()?)
}

fn content(text: BoardText) -> (BoardContent, Option<u64>) {
    let BoardText { name, description, panels, panel_count, version } = text;
    (BoardContent { name, description, panels, panel_count }, version)
}

fn shown(kept: &Kept) -> Result<Board, ApiError> {
    let Kept { id, stamp, content } = kept;
    let panels = serde_json::from_str(&content.panels);
    Ok(Board {
        id: id.to_string(),
        name: content.name.clone(),
        description: content.description.clone(),
        panels: panels.map_err(|error| ApiError::internal(format!("panels of board {id}: {error}")))?,
        version: stamp.version,
        created_at: format_ns(stamp.created_ns),
        updated_at: format_ns(stamp.updated_ns),
    })
}
