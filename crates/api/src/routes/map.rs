//! `POST /api/v1/map`: who calls whom (docs/reference/map.md). Three queries and how their answers are put together; what
//! is refused, such as times that are none, the builder language refuses.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use event::limits::{MAP_EDGES_MAX, QUERY_LIMIT_MAX};
use query::result::{Data, Groups, Meta, Warning};
use query::{QueryEngine, QueryError, RunContext, names, render, spec};
use serde_json::{Value as Json, json as object};
use skein_analysis::map::{Calls, Map, map, questions};
use skein_event as event;
use skein_query as query;
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::schema::Object;
use skein_wire::{MapEdge, MapNode, Mapped, ServiceMap};

use super::{Route, ask, json, json_body, members};
use crate::error::ApiError;
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let map = Operation {
        method: "POST",
        path: "/api/v1/map",
        id: "map",
        summary: "Who calls whom: services, and the databases, queues and third parties that spans name: {filters?, datasets?, start_time?, end_time?}.",
        query: &[],
        request: Some(Schema::of::<Object>()),
        response: Answer::Json(Schema::of::<Mapped>()),
    };
    vec![Route { operation: map, serve: || post(answer) }]
}

/// What a request may say; the rest of a specification is the map's own.
const FIELDS: [&str; 7] =
    ["filters", "datasets", "start_time", "end_time", "time_range", "trace_slack_seconds", "usage_mode"];

async fn answer(State(api): State<Arc<Api>>, request: Request<Body>) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let environment = api.environment(&parts.headers)?;
    let question = json_body(&api, &parts.headers, body).await?;
    let Json::Object(base) = question else { return Err(ApiError::invalid("the body is an object")) };
    if let Some(name) = base.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        let candidates = query::suggest::candidates(name, FIELDS);
        let path =
            format!("/{}", name.chars().take(100).collect::<String>().replace('~', "~0").replace('/', "~1"));
        let error = ApiError::invalid("unknown field").at_path(path).candidates(candidates);
        return Err(error.hint(format!("the fields here are {}", FIELDS.join(", "))));
    }
    let now_ns = api.clock.now_ns();
    // What is wrong with the request is found before any of the questions is asked.
    spec::parse(&Json::Object(base.clone()), &environment, now_ns)?;
    let answer = ask(&api, move |engine, context| {
        let columns = engine.columns(&environment, None, context)?;
        let has = |name: &str| columns.iter().any(|column| column.name == name);
        let known = |name: &str| has(name) || names::aliases(name).into_iter().any(has);
        // Without spans nobody calls.
        if !known("service.name") || !known("duration_ms") || !known("trace.span_id") {
            return Ok(told(&Map::default(), &Meta::default()));
        }
        let questions = questions(known);
        let run = |by: &[&str], kinds: bool| {
            let plan = spec::parse(&question_of(&base, by, kinds, known("error")), &environment, now_ns)?;
            groups(engine, &plan, context)
        };
        let (services, mut meta) = run(&questions.services, false)?;
        let (calls, of_calls) = run(&questions.calls, false)?;
        let peers = match questions.peers.as_slice() {
            [] => None,
            by => Some(run(by, known("span.kind"))?),
        };
        let metas = [Some(of_calls), peers.as_ref().map(|(_, meta)| meta.clone())];
        metas.into_iter().flatten().for_each(|other| add(&mut meta, other));
        let map = map(&services, &calls, peers.as_ref().map(|(groups, _)| groups));
        Ok(told(&map, &meta))
    });
    json(&answer.await?)
}

/// A question of the map: spans by some columns, those of clients and producers only if wanted.
fn question_of(base: &Object, by: &[&str], of_callers: bool, has_errors: bool) -> Json {
    let mut question = base.clone();
    let mut filters = match base.get("filters") {
        Some(Json::Array(filters)) => filters.clone(),
        _ => Vec::new(),
    };
    filters.push(object!({"column": "trace.span_id", "op": "exists"}));
    filters.push(object!({"column": "meta.annotation_type", "op": "does-not-exist"}));
    filters.push(object!({"column": "meta.signal_type", "op": "=", "value": "trace"}));
    if of_callers {
        filters.push(object!({"column": "span.kind", "op": "in", "value": ["client", "producer"]}));
    }
    // No event has the column: none failed.
    let failed = if has_errors {
        object!([{"column": "error", "op": "=", "value": true}])
    } else {
        object!([{"column": "error", "op": "exists"}])
    };
    let calculations = object!([
        {"op": "COUNT", "name": "calls"},
        {"op": "COUNT", "name": "errors", "filters": failed},
        {"op": "P50", "column": "duration_ms", "name": "p50"},
        {"op": "P99", "column": "duration_ms", "name": "p99"},
    ]);
    question.insert("filters".to_owned(), Json::Array(filters));
    question.insert("calculations".to_owned(), calculations);
    question.insert("breakdowns".to_owned(), object!(by));
    question.insert("limit".to_owned(), object!(QUERY_LIMIT_MAX));
    Json::Object(question)
}

fn groups(
    engine: &dyn QueryEngine,
    plan: &query::Plan,
    context: &RunContext<'_>,
) -> Result<(Groups, Meta), QueryError> {
    let result = engine.run(plan, context)?;
    let mut meta = result.meta;
    let Data::Groups(groups) = result.data else {
        return Err(QueryError::internal("a question about groups was answered otherwise"));
    };
    if groups.other.is_some() {
        let message = "there are more combinations of callers and callees than are looked at".to_owned();
        meta.warnings.push(Warning { code: "map_cut", message });
    }
    Ok((groups, meta))
}

/// What a second question looked at.
fn add(meta: &mut Meta, other: Meta) {
    meta.elapsed_ns += other.elapsed_ns;
    meta.rows_scanned += other.rows_scanned;
    meta.bytes_scanned += other.bytes_scanned;
    meta.complete_to_ns = meta.complete_to_ns.min(other.complete_to_ns);
    for warning in other.warnings {
        if !meta.warnings.contains(&warning) {
            meta.warnings.push(warning);
        }
    }
}

fn told(map: &Map, meta: &Meta) -> Mapped {
    let nodes = map.nodes.iter().map(|node| MapNode {
        id: node.id(),
        kind: node.kind.name().to_owned(),
        name: node.name.clone(),
        system: node.system.clone(),
        requests: node.requests.calls,
        errors: node.requests.errors,
        p50_ms: node.requests.p50_ms,
        p99_ms: node.requests.p99_ms,
    });
    // Those with most calls, in the order of their ids.
    let mut kept: Vec<usize> = (0..map.edges.len()).collect();
    let calls = |place: usize| map.edges.get(place).map_or(0.0, |edge| edge.calls.calls);
    kept.sort_by(|a, b| calls(*b).total_cmp(&calls(*a)).then(a.cmp(b)));
    kept.truncate(MAP_EDGES_MAX);
    kept.sort_unstable();
    let edges = kept.into_iter().filter_map(|place| map.edges.get(place)).map(|edge| {
        let Calls { calls, errors, p50_ms, p99_ms, .. } = edge.calls;
        MapEdge { from: edge.from.clone(), to: edge.to.clone(), calls, errors, p50_ms, p99_ms }
    });
    Mapped {
        data: ServiceMap {
            nodes: nodes.collect(),
            edges: edges.collect(),
            omitted: map.edges.len().saturating_sub(MAP_EDGES_MAX) as u64,
        },
        meta: members(render::meta(meta)),
    }
}

#[cfg(test)]
mod tests {
    use event::Environment;

    use super::*;

    #[test]
    fn the_questions_of_a_map_can_be_asked() {
        let filter = object!({"column": "tenant", "op": "=", "value": "a"});
        let Json::Object(base) = object!({"filters": [filter], "start_time": 1, "end_time": 2}) else {
            panic!("an object")
        };
        let questions = questions(|_| true);
        for (by, of_callers) in
            [(&questions.services, false), (&questions.calls, false), (&questions.peers, true)]
        {
            for has_errors in [false, true] {
                let question = question_of(&base, by, of_callers, has_errors);
                let plan = spec::parse(&question, &Environment::default_environment(), 0);
                let plan = plan.unwrap_or_else(|error| panic!("{error}: {question}"));
                assert_eq!(plan.filter.filters.len(), 4 + usize::from(of_callers), "{question}");
                let query::plan::Output::Groups(groups) = plan.output else { panic!("{question}") };
                let names: Vec<&str> = groups.calculations.iter().map(|of| of.name.as_str()).collect();
                assert_eq!(names, skein_analysis::map::CALCULATIONS);
                assert_eq!(groups.breakdowns.len(), by.len());
            }
        }
    }
}
