//! `POST /api/v1/compare`: how two cohorts of events differ, operation by operation (docs/reference/compare.md).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use query::cohorts::{Cohort, CohortsPlan};
use query::{render, spec};
use skein_analysis::cohorts::{Comparison as Found, Estimate, Measure, Status, compare};
use skein_query as query;
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::schema::Object;
use skein_wire::{Compared, ComparedEvents, ComparedMeasure, ComparedOperation, Comparison};

use super::{Route, ask, json, json_body, members};
use crate::error::ApiError;
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let compare = Operation {
        method: "POST",
        path: "/api/v1/compare",
        id: "compare",
        summary: "How two cohorts of events differ in rate, errors, p50 and p99 of each operation, with intervals: {a, b, by?, limit?}.",
        query: &[],
        request: Some(Schema::of::<Object>()),
        response: Answer::Json(Schema::of::<Compared>()),
    };
    vec![Route { operation: compare, serve: || post(answer) }]
}

async fn answer(State(api): State<Arc<Api>>, request: Request<Body>) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let environment = api.environment(&parts.headers)?;
    let question = json_body(&api, &parts.headers, body).await?;
    let plan = spec::cohorts(&question, &environment, api.clock.now_ns())?;
    let answer = ask(&api, move |engine, context| {
        let seconds = [0, 1].map(|side: usize| plan.sides[side].time_range.seconds());
        let cohorts = engine.cohorts(&plan, context)?;
        let found = compare(&cohorts, seconds, plan.limit);
        let [a, b] = &cohorts.totals;
        let data = comparison(&plan, found, [events(a, seconds[0]), events(b, seconds[1])]);
        Ok(Compared { data, meta: members(render::meta(&cohorts.meta)) })
    });
    json(&answer.await?)
}

fn events(cohort: &Cohort, seconds: f64) -> ComparedEvents {
    ComparedEvents { events: cohort.weight, rows: cohort.rows, seconds }
}

fn comparison(plan: &CohortsPlan, found: Found, [a, b]: [ComparedEvents; 2]) -> Comparison {
    let by: Vec<String> = plan.by.iter().map(|column| column.name.to_string()).collect();
    let operations = found.operations.into_iter().map(|operation| ComparedOperation {
        key: by
            .iter()
            .zip(&operation.key)
            .filter_map(|(name, value)| Some((name.clone(), render::json_value(value.as_ref()?))))
            .collect(),
        status: match operation.status {
            Status::Both => "both",
            Status::New => "new",
            Status::Vanished => "vanished",
        }
        .to_owned(),
        score: operation.score,
        rate: measure(operation.rate),
        errors: measure(operation.errors),
        p50: measure(operation.p50),
        p99: measure(operation.p99),
    });
    Comparison {
        operations: operations.collect(),
        by,
        a,
        b,
        tested: found.tested as u64,
        omitted: found.omitted as u64,
    }
}

fn measure(measure: Measure) -> ComparedMeasure {
    let [a, b] = measure.sides;
    let difference = measure.difference;
    // What is no number in JSON is not said.
    let value = |of: Option<Estimate>| of.map(|of| of.value).filter(|value| value.is_finite());
    let lo = |of: Option<Estimate>| of.and_then(|of| of.lo95).filter(|end| end.is_finite());
    let hi = |of: Option<Estimate>| of.and_then(|of| of.hi95).filter(|end| end.is_finite());
    ComparedMeasure {
        a: value(a),
        a_lo95: lo(a),
        a_hi95: hi(a),
        b: value(b),
        b_lo95: lo(b),
        b_hi95: hi(b),
        difference: value(difference),
        lo95: lo(difference),
        hi95: hi(difference),
        ratio: measure.ratio,
        reliable: measure.reliable,
        sure: measure.sure,
    }
}
