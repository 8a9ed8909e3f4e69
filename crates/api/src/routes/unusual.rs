//! `POST /api/v1/unusual`: which operations behave unusually, and since when (docs/reference/unusual.md).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use query::plan::Output;
use query::result::{Data, Meta, Warning};
use query::time_text::format_ns;
use query::{Location, Plan, QueryEngine, QueryError, RunContext, render, spec};
use serde_json::{Value as Json, json};
use skein_analysis::unusual::{BREAKDOWNS, Finding, Kind, Rates, Unusual as Found, unusual};
use skein_event::limits::UNUSUAL_CALLS_MAX;
use skein_query as query;
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::schema::Object;
use skein_wire::{Unusual, UnusualData, UnusualOperation, UnusualRates};

use super::{Route, ask, json as answered, json_body};
use crate::error::ApiError;
use crate::state::Api;

/// Buckets of the range: an incident of some minutes has several of them in some hours.
const BUCKETS: i64 = 240;

/// Operations that are told of: whoever reads more is better served by a table of all.
const UNUSUAL_SHOWN: usize = 10;

/// What a request may say; the rest of the question is ours.
const FIELDS: [&str; 4] = ["start_time", "end_time", "time_range", "datasets"];

pub(super) fn routes() -> Vec<Route> {
    let unusual = Operation {
        method: "POST",
        path: "/api/v1/unusual",
        id: "unusual",
        summary: "Operations whose own work is slower or fails more often for a part of the range than in the rest of it.",
        query: &[],
        request: Some(Schema::of::<Object>()),
        response: Answer::Json(Schema::of::<Unusual>()),
    };
    vec![Route { operation: unusual, serve: || post(answer) }]
}

async fn answer(State(api): State<Arc<Api>>, request: Request<Body>) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let environment = api.environment(&parts.headers)?;
    let body = json_body(&api, &parts.headers, body).await?;
    let now_ns = api.clock.now_ns();
    let plan = |failures: bool| spec::parse(&question(&body, failures)?, &environment, now_ns);
    let (with, without) = (plan(true)?, plan(false)?);
    let (found, step_ns, meta) =
        ask(&api, move |engine, context| run(engine, with, without, context)).await?;
    answered(&body_of(&found, step_ns, &meta))
}

/// The question of the builder language whose answer is judged.
fn question(body: &Json, failures: bool) -> Result<Json, QueryError> {
    let object = body.as_object().ok_or_else(|| QueryError::invalid("the body is no object"))?;
    if let Some(unknown) = object.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        let error = QueryError::invalid(format!("unknown member `{unknown}`")).at_path(format!("/{unknown}"));
        return Err(error.candidates(FIELDS.map(str::to_owned).to_vec()));
    }
    let mut calculations = vec![
        json!({"op": "COUNT"}),
        json!({"op": "SUM", "column": "duration_ms"}),
        json!({"op": "MAX", "column": "duration_ms"}),
    ];
    if failures {
        let failed = json!([{"column": "error", "op": "=", "value": true}]);
        calculations.push(json!({"op": "COUNT", "name": "failed", "filters": failed}));
    }
    let mut question = object.clone();
    let spans = json!([
        {"column": "meta.signal_type", "op": "=", "value": "trace"},
        {"column": "trace.span_id", "op": "exists"},
    ]);
    question.insert("calculations".to_owned(), calculations.into());
    question.insert("filters".to_owned(), spans);
    question.insert("breakdowns".to_owned(), json!(BREAKDOWNS));
    question.insert("limit".to_owned(), UNUSUAL_CALLS_MAX.into());
    Ok(Json::Object(question))
}

fn run(
    engine: &dyn QueryEngine,
    with: Plan,
    without: Plan,
    context: &RunContext<'_>,
) -> Result<(Found, i64, Meta), QueryError> {
    let step_ns = step_ns(&with);
    let result = match engine.run(&over_time(with, step_ns), context) {
        // Where nothing ever failed there is no such column.
        Err(error) if about_failures(&error) => engine.run(&over_time(without, step_ns), context)?,
        other => other?,
    };
    let mut meta = result.meta;
    let Data::Groups(groups) = result.data else { return Ok((Found::default(), step_ns, meta)) };
    if groups.other.is_some() {
        let message = format!(
            "only the {UNUSUAL_CALLS_MAX} most frequent pairs of caller and called were looked at; name a dataset to see others"
        );
        meta.warnings.push(Warning { code: "calls_left_out", message });
    }
    Ok((unusual(&groups, step_ns, UNUSUAL_SHOWN), step_ns, meta))
}

/// Whole seconds, so that buckets of neighbouring ranges meet.
fn step_ns(plan: &Plan) -> i64 {
    const SECOND_NS: i64 = 1_000_000_000;
    let range_ns = plan.time_range.end_ns.saturating_sub(plan.time_range.start_ns);
    (range_ns / BUCKETS / SECOND_NS).max(1) * SECOND_NS
}

fn over_time(mut plan: Plan, step_ns: i64) -> Plan {
    if let Output::Groups(groups) = &mut plan.output {
        groups.granularity_ns = Some(step_ns);
    }
    plan
}

/// The fourth calculation cannot be answered.
fn about_failures(error: &QueryError) -> bool {
    let path = match error.location() {
        Some(Location::Path(path) | Location::Inside { path, .. }) => path,
        _ => return false,
    };
    path.starts_with("/calculations/3/")
}

fn body_of(found: &Found, step_ns: i64, meta: &Meta) -> Unusual {
    #[expect(clippy::cast_precision_loss, reason = "seconds of a range")]
    let step_s = step_ns as f64 / 1e9;
    Unusual {
        data: UnusualData {
            findings: found.findings.iter().map(operation_of).collect(),
            operations: found.operations as u64,
            step_s,
        },
        meta: match render::meta(meta) {
            Json::Object(members) => members,
            _ => Object::new(),
        },
    }
}

fn operation_of(finding: &Finding) -> UnusualOperation {
    UnusualOperation {
        service: finding.operation.service.to_string(),
        name: finding.operation.name.to_string(),
        kind: match finding.kind {
            Kind::Slower => "slower",
            Kind::Failing => "failing",
        }
        .to_owned(),
        start: format_ns(finding.start_ns),
        end: format_ns(finding.end_ns),
        ongoing: finding.ongoing,
        within: rates_of(&finding.within),
        before: rates_of(&finding.before),
        extra_ms: finding.extra_ms,
        extra_failures: finding.extra_failures,
        slow_ms: finding.slow_ms,
        longest_ms: finding.longest_ms,
        mostly: finding.mostly.as_deref().map(str::to_owned),
        score: finding.score,
    }
}

fn rates_of(rates: &Rates) -> UnusualRates {
    UnusualRates {
        calls: rates.calls,
        own_ms: rates.own_ms,
        duration_ms: rates.duration_ms,
        failed: rates.failed,
    }
}
