//! `/api/v1/query`: the builder language. Starts a query, waits for it a while, or streams its way.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use event::Environment;
use event::limits::{PARTIAL_ANSWER_BYTES_MAX, STREAM_INTERVAL, WAIT_MS_DEFAULT, WAIT_MS_MAX};
use event::observe::Observation;
use event::value::Value as EventValue;
use futures_util::stream;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use query::plan::Output;
use query::result::{Data, Groups, Meta, Rows, Warning};
use query::{Plan, QueryResult, RunContext, render};
use serde_json::{Map, Value};
use skein_event as event;
use skein_query as query;
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::schema::Object;
use skein_wire::{Cancelled, QueryAnswer};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::{Route, json, json_body};
use crate::error::ApiError;
use crate::jobs::{Job, Known, State as JobState};
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let start = Operation {
        method: "POST",
        path: "/api/v1/query",
        id: "query",
        summary: "Answers a specification of the builder language; 202 when it takes longer than wait_ms.",
        query: &[],
        request: Some(Schema::of::<Object>()),
        response: Answer::Json(Schema::of::<QueryAnswer>()),
    };
    let by_id = Operation {
        method: "GET",
        path: "/api/v1/query/{id}",
        id: "queryAnswer",
        summary: "A query's answer, or how far it is.",
        query: &[],
        request: None,
        ..start
    };
    let cancel = Operation {
        method: "DELETE",
        id: "cancelQuery",
        summary: "Cancels a query, or forgets its answer.",
        response: Answer::Json(Schema::of::<Cancelled>()),
        ..by_id
    };
    vec![
        Route { operation: start, serve: || post(ask) },
        Route { operation: by_id, serve: || get(answer) },
        Route { operation: cancel, serve: || axum::routing::delete(stop) },
    ]
}

async fn ask(State(api): State<Arc<Api>>, request: Request) -> Result<Response, ApiError> {
    if api.door.gate.is_closed() {
        return Err(ApiError::stopping());
    }
    let (parts, body) = request.into_parts();
    let environment = api.environment(&parts.headers)?;
    let spec = json_body(&api, &parts.headers, body).await?;
    let plan = query::spec::parse(&spec, &environment, api.clock.now_ns())?;
    let wait_ms = spec.get("wait_ms").and_then(Value::as_u64).unwrap_or(WAIT_MS_DEFAULT).min(WAIT_MS_MAX);
    let job = api.jobs.start(api.new_id(), &environment, api.clock.now_ns())?;
    job.partial(answer_so_far(&job.id, &nothing_yet(&plan)));
    let watch = job.watch();
    let id = Arc::clone(&job.id);
    let asked = with_absolute_times(&spec, &plan).map(|spec| ("skein.query", spec));
    tokio::spawn(run(Arc::clone(&api), job, work(plan), environment, asked));
    if wants_stream(&parts.headers) {
        return Ok(stream_answer(id, watch));
    }
    wait(&id, watch, wait_ms).await
}

async fn answer(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    let job = api.jobs.get(&id, &environment, api.clock.now_ns())?;
    if wants_stream(&headers) {
        return Ok(stream_answer(Arc::clone(&job.id), job.watch()));
    }
    wait(&job.id, job.watch(), 0).await
}

async fn stop(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    let was_running = api.jobs.cancel(&id, &environment, api.clock.now_ns())?;
    json(&Cancelled { id, was_running })
}

/// The question as it can be asked again at any time (`skein replay`). One that is very long is not kept.
fn with_absolute_times(spec: &Value, plan: &Plan) -> Option<String> {
    let mut spec = spec.clone();
    let members = spec.as_object_mut()?;
    for name in ["time_range", "wait_ms"] {
        members.remove(name);
    }
    let seconds = |time_ns: i64| match (time_ns.div_euclid(1_000_000_000), time_ns.rem_euclid(1_000_000_000))
    {
        (seconds, 0) => Value::from(seconds),
        (seconds, rest) => Value::from(seconds as f64 + rest as f64 / 1e9),
    };
    members.insert("start_time".to_owned(), seconds(plan.time_range.start_ns));
    members.insert("end_time".to_owned(), seconds(plan.time_range.end_ns));
    let text = spec.to_string();
    (text.len() <= event::limits::CAPTURED_QUERY_BYTES_MAX).then_some(text)
}

/// What runs a query on the CPU pool: the answer, and how it came about.
pub(super) type Work = Box<dyn FnOnce(&Api, &Job) -> Result<(QueryAnswer, Meta), ApiError> + Send>;

/// Runs a plan of the builder language.
fn work(plan: Plan) -> Work {
    Box::new(move |api, job| {
        let partial = |result: QueryResult| job.partial(answer_so_far(&job.id, &result));
        let progress = |fraction| job.progress(fraction);
        let result = api.engine.run(&plan, &context(api, job, &progress, &partial))?;
        Ok((whole_answer(&job.id, &result), result.meta))
    })
}

/// What a run of a job may use.
pub(super) fn context<'a>(
    api: &'a Api,
    job: &'a Job,
    progress: &'a (dyn Fn(f64) + Sync),
    partial: &'a (dyn Fn(QueryResult) + Sync),
) -> RunContext<'a> {
    RunContext {
        clock: &*api.clock,
        cancelled: &job.cancelled,
        progress,
        partial: Some(partial),
        deadline_ns: Some(api.clock.now_ns().saturating_add(api.limits.duration_ns_max)),
        memory_bytes_max: api.limits.memory_bytes_max,
    }
}

/// Runs a query to its end, whether or not anybody still waits for it.
pub(super) async fn run(
    api: Arc<Api>,
    job: Job,
    work: Work,
    environment: Environment,
    asked: Option<(&'static str, String)>,
) {
    let start_ns = api.clock.now_ns();
    let (worker, running) = (Arc::clone(&api), job.clone());
    let answered = api.cpu.run(move || {
        let (answer, meta) = work(&worker, &running)?;
        let bytes = serde_json::to_vec(&answer).map(|bytes| bytes.len()).unwrap_or_default();
        Ok::<_, ApiError>((answer, bytes, meta))
    });
    let answered = answered.await.unwrap_or_else(|lost| Err(ApiError::internal(lost.to_string())));
    let end_ns = api.clock.now_ns();
    let duration_ns = end_ns.saturating_sub(start_ns);
    api.door.metrics.query(&environment, "native", duration_ns);
    let mut fields = vec![
        ("skein.environment", EventValue::Text(environment.to_string())),
        ("skein.query_id", EventValue::Text(job.id.to_string())),
        ("skein.engine", EventValue::Text("native".to_owned())),
    ];
    fields.extend(asked.map(|(name, asked)| (name, EventValue::Text(asked))));
    let (state, bytes, error) = match answered {
        Ok((answer, bytes, meta)) => {
            let number = |count: u64| EventValue::I64(i64::try_from(count).unwrap_or(i64::MAX));
            fields.extend([
                ("skein.rows_scanned", number(meta.rows_scanned)),
                ("skein.rows_matched", number(meta.rows_matched)),
                ("skein.bytes_scanned", number(meta.bytes_scanned)),
                ("skein.segments_scanned", number(meta.segments.scanned)),
                ("skein.segments_pruned", number(meta.segments.pruned)),
                ("skein.answer_bytes", number(bytes as u64)),
            ]);
            (JobState::Done(Arc::new(answer)), bytes, None)
        }
        Err(error) => {
            // The request that waits for it logs it under its own id; one that does not wait any more, here.
            if let Some(detail) = error.internal_detail() {
                tracing::error!(query = %job.id, detail, "a query failed");
            }
            fields.push(("skein.error_code", EventValue::Text(error.code().parts().0.to_owned())));
            let message = error.message().to_owned();
            (JobState::Failed(Arc::new(error)), 0, Some(message))
        }
    };
    api.jobs.end(&job.id, state, bytes, end_ns);
    if environment.as_str() != Environment::SKEIN {
        api.observer.observe(Observation { name: "query", start_ns, duration_ns, error, fields });
    }
}

fn whole_answer(id: &str, result: &QueryResult) -> QueryAnswer {
    QueryAnswer {
        id: id.to_owned(),
        complete: true,
        progress: None,
        snapshot: result.meta.snapshot.clone(),
        data: object(render::data(result)),
        meta: object(render::meta(&result.meta)),
    }
}

/// The answer so far of a query under way.
fn answer_so_far(id: &str, result: &QueryResult) -> QueryAnswer {
    bounded(QueryAnswer { complete: false, progress: Some(0.0), ..whole_answer(id, result) }, &result.meta)
}

/// An answer so far, without data when that is too much to be shown before the end.
pub(super) fn bounded(mut answer: QueryAnswer, meta: &Meta) -> QueryAnswer {
    let bytes = serde_json::to_vec(&answer.data).map_or(0, |bytes| bytes.len());
    if bytes > PARTIAL_ANSWER_BYTES_MAX {
        // The whole answer is worth its room; a glimpse of it is not.
        let mut meta = meta.clone();
        let message = format!("{bytes} bytes so far are too many to show before the query has ended");
        meta.warnings.push(Warning { code: "partial_too_large", message });
        (answer.data, answer.meta) = (Map::new(), object(render::meta(&meta)));
    }
    answer
}

/// The answer before anything was looked at, in the shape of the one to come.
fn nothing_yet(plan: &Plan) -> QueryResult {
    let data = match &plan.output {
        _ if plan.dry_run => Data::Nothing,
        Output::Rows(_) => Data::Rows(Rows::default()),
        Output::Groups(groups) => {
            Data::Groups(Groups { series: groups.granularity_ns.map(|_| Vec::new()), ..Groups::default() })
        }
    };
    let waiting = Warning { code: "partial", message: "the query waits for its turn".to_owned() };
    let warnings = plan.warnings.iter().cloned().chain([waiting]).collect();
    QueryResult { data, meta: Meta { time_range: Some(plan.time_range), warnings, ..Meta::default() } }
}

/// What a client reads of a query under way.
fn shown(id: &str, known: &Known) -> QueryAnswer {
    let empty = || QueryAnswer {
        id: id.to_owned(),
        complete: false,
        progress: None,
        snapshot: String::new(),
        data: Map::new(),
        meta: Map::new(),
    };
    let partial = known.partial.as_deref().cloned().unwrap_or_else(empty);
    QueryAnswer { progress: Some(known.progress), ..partial }
}

pub(super) fn object(value: Value) -> Object {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

pub(super) async fn wait(
    id: &str,
    mut watch: watch::Receiver<JobState>,
    wait_ms: u64,
) -> Result<Response, ApiError> {
    let until = Instant::now() + Duration::from_millis(wait_ms);
    let ended = watch.wait_for(|state| !matches!(state, JobState::Running(_)));
    // Whether it ended or not, its state now is the answer.
    if let Ok(Err(_gone)) = timeout_at(until, ended).await {
        return Err(ApiError::internal("the query's state is gone"));
    }
    let state = watch.borrow().clone();
    match state {
        JobState::Done(answer) => json(&*answer),
        JobState::Failed(error) => Err((*error).clone()),
        JobState::Running(known) => {
            let mut response = json(&shown(id, &known))?;
            *response.status_mut() = StatusCode::ACCEPTED;
            Ok(response)
        }
    }
}

pub(super) fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|part| part.split(';').next().unwrap_or_default().trim() == "text/event-stream")
}

/// Server-sent events: `progress` with partial answers, then one `answer` or `error`.
pub(super) fn stream_answer(id: Arc<str>, watch: watch::Receiver<JobState>) -> Response {
    let events = stream::unfold(Some((id, watch, true)), |state| async move {
        let (id, mut watch, first) = state?;
        if !first {
            // Progress comes in bursts; the latest is enough.
            let until = Instant::now() + STREAM_INTERVAL;
            let ended = watch.wait_for(|state| !matches!(state, JobState::Running(_)));
            if let Ok(Err(_)) = timeout_at(until, ended).await {
                return None;
            }
        }
        let now = watch.borrow_and_update().clone();
        let (name, data, next) = match now {
            JobState::Running(known) => {
                let data = serde_json::to_string(&shown(&id, &known));
                ("progress", data, Some((id, watch, false)))
            }
            JobState::Done(answer) => ("answer", serde_json::to_string(&*answer), None),
            JobState::Failed(error) => ("error", serde_json::to_string(&error.body(None)), None),
        };
        let event = data.map(|data| format!("event: {name}\ndata: {data}\n\n"));
        Some((event, next))
    });
    let mut response = Response::new(Body::from_stream(events));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
