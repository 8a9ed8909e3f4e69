//! `/api/v1/complete`: what may stand at a place of a question that somebody is writing.
//!
//! It answers while somebody types, so what it looks up is bounded more tightly than a question: columns come from the
//! summaries of segments, and values that are not counted in a second are not proposed.

use std::sync::Arc;
use std::sync::Mutex;

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use event::Environment;
use event::limits::{COMPLETION_BYTES_MAX, COMPLETION_DATASETS_MAX, COMPLETION_NS_MAX};
use query::complete::{self, Known, Question, Subject};
use query::plan::{Column, Named};
use query::result::{ColumnInfo, QueryResult, ValueCount};
use query::{ErrorKind, QueryEngine, QueryError, RunContext, spec};
use skein_event as event;
use skein_query as query;
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::{Completion, CompletionItem, CompletionQuery};

use super::{Route, ask, json, json_body, known_dataset};
use crate::error::ApiError;
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let complete = Operation {
        method: "POST",
        path: "/api/v1/complete",
        id: "complete",
        summary: "What may stand at a place of a query in Logs Insights, or in a field of the builder: commands, functions, columns and values that there are.",
        query: &[],
        request: Some(Schema::of::<CompletionQuery>()),
        response: Answer::Json(Schema::of::<Completion>()),
    };
    vec![Route { operation: complete, serve: || post(self::complete) }]
}

async fn complete(State(api): State<Arc<Api>>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let environment = api.environment(&parts.headers)?;
    let body = json_body(&api, &parts.headers, body).await?;
    let question = spec::completion(&body, api.clock.now_ns())?;
    json(&ask(&api, move |engine, context| answer(engine, &environment, &question, context)).await?)
}

fn answer(
    engine: &dyn QueryEngine,
    environment: &Environment,
    question: &Question,
    context: &RunContext<'_>,
) -> Result<Completion, QueryError> {
    for Named { name, location } in &question.datasets {
        known_dataset(engine, environment, name, context).map_err(|error| error.at(location.clone()))?;
    }
    let place = complete::place(question);
    let columns =
        if place.needs_columns() { columns(engine, environment, question, context)? } else { Vec::new() };
    let datasets = if place.needs_datasets() { engine.datasets(environment, context)? } else { Vec::new() };
    let values = match place.values() {
        None => Vec::new(),
        Some((column, prefix)) => match values(engine, environment, question, (column, prefix), context) {
            // A column of a query may be one that the query makes, or that nobody sends yet.
            Err(error)
                if error.kind() == ErrorKind::InvalidRequest && question.subject == Subject::Insights =>
            {
                Vec::new()
            }
            found => found?,
        },
    };
    let known =
        Known { columns: &columns, values: &values, datasets: &datasets, time_range: question.time_range };
    let item = |item: complete::Item| CompletionItem {
        label: item.label,
        kind: item.kind.name().to_owned(),
        detail: item.detail,
        insert: item.insert,
    };
    let place_of = |byte: usize| complete::utf16_of_byte(&question.text, byte) as u64;
    Ok(Completion {
        from: place_of(place.replaced.start),
        to: place_of(place.replaced.end),
        items: place.items(&known, question.limit).into_iter().map(item).collect(),
    })
}

fn columns(
    engine: &dyn QueryEngine,
    environment: &Environment,
    question: &Question,
    context: &RunContext<'_>,
) -> Result<Vec<ColumnInfo>, QueryError> {
    if question.datasets.is_empty() || question.datasets.len() > COMPLETION_DATASETS_MAX {
        return engine.columns(environment, None, context);
    }
    let of = |named: &Named| engine.columns(environment, Some(&named.name), context);
    Ok(complete::merged(question.datasets.iter().map(of).collect::<Result<_, _>>()?))
}

/// The most frequent values; of those that were counted when time was over.
fn values(
    engine: &dyn QueryEngine,
    environment: &Environment,
    question: &Question,
    (column, prefix): (&Column, &str),
    context: &RunContext<'_>,
) -> Result<Vec<ValueCount>, QueryError> {
    let Question { datasets, time_range, limit, .. } = question;
    let plan =
        complete::values_plan(environment, datasets.clone(), *time_range, column.clone(), prefix, *limit);
    let so_far: Mutex<Option<QueryResult>> = Mutex::new(None);
    let keep = |result: QueryResult| {
        if let Ok(mut so_far) = so_far.lock() {
            *so_far = Some(result);
        }
    };
    let context = RunContext {
        partial: Some(&keep),
        deadline_ns: Some(context.clock.now_ns().saturating_add(COMPLETION_NS_MAX)),
        memory_bytes_max: COMPLETION_BYTES_MAX,
        ..*context
    };
    let found = match engine.run(&plan, &context) {
        Err(error) if error.kind() == ErrorKind::LimitExceeded => {
            so_far.into_inner().ok().flatten().map(complete::values_of)
        }
        found => Some(complete::values_of(found?)),
    };
    Ok(found.unwrap_or_default())
}
