//! `/api/v1/erase`: takes events out of every answer at once and out of the files within days, and says how far
//! that is.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use event::flow::SinkError;
use event::observe::Observation;
use event::value::Value as EventValue;
use http::HeaderMap;
use serde_json::{Value, json as object};
use skein_event as event;
use skein_query::spec;
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::schema::Object;
use skein_wire::{Erased, Erasure};

use super::{Route, json, json_body};
use crate::error::{ApiError, Code};
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let erase = Operation {
        method: "POST",
        path: "/api/v1/erase",
        id: "erase",
        summary: "Erases the older events that filters match; they are in no answer from then on.",
        query: &[],
        request: Some(Schema::of::<Object>()),
        response: Answer::Json(Schema::of::<Erased>()),
    };
    let status = Operation {
        method: "GET",
        id: "erasures",
        summary: "The erasures of the environment, the latest first, and which copies remain.",
        request: None,
        response: Answer::Json(Schema::of::<Vec<Erasure>>()),
        ..erase
    };
    let settle = Operation {
        method: "POST",
        path: "/api/v1/settle",
        id: "settle",
        summary: "Asks for everything to be flushed and merged now, whatever its window.",
        query: &[],
        request: None,
        response: Answer::Json(Schema::of::<Object>()),
    };
    vec![
        Route { operation: erase, serve: || post(self::erase) },
        Route { operation: status, serve: || get(erasures) },
        Route { operation: settle, serve: || post(self::settle) },
    ]
}

async fn erase(State(api): State<Arc<Api>>, request: Request) -> Result<Response, ApiError> {
    if api.door.gate.is_closed() {
        return Err(ApiError::stopping());
    }
    let (parts, body) = request.into_parts();
    let environment = api.environment(&parts.headers)?;
    let filter = json_body(&api, &parts.headers, body).await?;
    // Written on one line, whatever it came as.
    let text = serde_json::to_string(&filter).map_err(|error| ApiError::internal(error.to_string()))?;
    spec::erasure(&text)?;
    let start_ns = api.clock.now_ns();
    let erased = api.keeper.erase(environment.clone(), Arc::from(text)).await;
    let end_ns = api.clock.now_ns();
    // Answers that were made before it may hold what it takes, also those that are on their way.
    api.jobs.erase(&environment, end_ns);
    let told = |error: Option<String>| Observation {
        name: "erasure",
        start_ns,
        duration_ns: end_ns.saturating_sub(start_ns),
        error,
        fields: vec![("skein.environment", EventValue::Text(environment.to_string()))],
    };
    match erased {
        Ok(id) => {
            api.observer.observe(told(None));
            json(&Erased { id })
        }
        Err(error) => {
            api.observer.observe(told(Some(error.to_string())));
            Err(refused(error))
        }
    }
}

fn refused(error: SinkError) -> ApiError {
    let message = error.to_string();
    match error {
        SinkError::Overloaded { retry_after_ms } => {
            ApiError::new(Code::Overloaded, message).retry_after_ms(retry_after_ms)
        }
        SinkError::Unavailable { retry_after_ms, .. } => {
            ApiError::new(Code::Unavailable, message).retry_after_ms(retry_after_ms)
        }
        SinkError::TooLarge => {
            ApiError::new(Code::TooLarge, "the filter is too long, or too many erasures have not ended yet")
                .hint("GET /api/v1/erase tells how far they are")
        }
    }
}

async fn erasures(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    json(&api.keeper.erasures(&environment))
}

async fn settle(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    api.keeper.settle();
    let answer: Value = object!({"settling": true});
    json(&answer)
}
