//! `/api/v1/insights`: Logs Insights. A query is started, waited for, streamed and cancelled as one of the builder language is,
//! under an id of its own.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use event::limits::{CAPTURED_QUERY_BYTES_MAX, WAIT_MS_DEFAULT, WAIT_MS_MAX};
use query::insights::answer::{self, Answer};
use query::insights::{InsightsPlan, request};
use query::render;
use query::result::{Meta, QueryResult, Warning};
use serde_json::Value;
use skein_event as event;
use skein_query as query;
use skein_wire::openapi::{Answer as Answered, Body as Schema, Operation};
use skein_wire::{InsightsQuery, QueryAnswer};

use super::query::{Work, bounded, context, object, run, stream_answer, wait, wants_stream};
use super::{Route, json_body};
use crate::error::ApiError;
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let ask_it = Operation {
        method: "POST",
        path: "/api/v1/insights",
        id: "insights",
        summary: "Answers a query in CloudWatch Logs Insights: data has columns and rows; 202 when it takes longer than wait_ms.",
        query: &[],
        request: Some(Schema::of::<InsightsQuery>()),
        response: Answered::Json(Schema::of::<QueryAnswer>()),
    };
    vec![Route { operation: ask_it, serve: || post(ask) }]
}

async fn ask(State(api): State<Arc<Api>>, request: Request) -> Result<Response, ApiError> {
    if api.door.gate.is_closed() {
        return Err(ApiError::stopping());
    }
    let (parts, body) = request.into_parts();
    let environment = api.environment(&parts.headers)?;
    let body = json_body(&api, &parts.headers, body).await?;
    let plan = request::plan_of(&body, &environment, api.clock.now_ns())?;
    let wait_ms = body.get("wait_ms").and_then(Value::as_u64).unwrap_or(WAIT_MS_DEFAULT).min(WAIT_MS_MAX);
    let job = api.jobs.start(api.new_id(), &environment, api.clock.now_ns())?;
    job.partial(shown(&job.id, &nothing_yet(&plan), false));
    let (watch, id) = (job.watch(), Arc::clone(&job.id));
    let text = body.get("query").and_then(Value::as_str).unwrap_or_default();
    let asked = (text.len() <= CAPTURED_QUERY_BYTES_MAX).then(|| text.to_owned());
    let fields = asked.map(|text| ("skein.insights", text));
    tokio::spawn(run(Arc::clone(&api), job, work(plan), environment, fields));
    if wants_stream(&parts.headers) {
        return Ok(stream_answer(id, watch));
    }
    wait(&id, watch, wait_ms).await
}

fn work(plan: InsightsPlan) -> Work {
    Box::new(move |api, job| {
        let progress = |fraction| job.progress(fraction);
        // Answers so far come as what they will be.
        let unused = |_: QueryResult| {};
        let partial = |answer: Answer| job.partial(bounded(shown(&job.id, &answer, false), &answer.meta));
        let answer = api.engine.insights(&plan, &context(api, job, &progress, &unused), &partial)?;
        Ok((shown(&job.id, &answer, true), answer.meta))
    })
}

fn shown(id: &str, answer: &Answer, complete: bool) -> QueryAnswer {
    QueryAnswer {
        id: id.to_owned(),
        complete,
        progress: (!complete).then_some(0.0),
        snapshot: answer.meta.snapshot.clone(),
        data: object(answer::data(answer)),
        meta: object(render::meta(&answer.meta)),
    }
}

/// The answer before anything was looked at.
fn nothing_yet(plan: &InsightsPlan) -> Answer {
    let waiting = Warning { code: "partial", message: "the query waits for its turn".to_owned() };
    let warnings = plan.base.warnings.iter().cloned().chain([waiting]).collect();
    let meta = Meta { time_range: Some(plan.base.time_range), warnings, ..Meta::default() };
    Answer::new(plan, &[], meta)
}
