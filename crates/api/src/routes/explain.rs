//! `POST /api/v1/explain`: what is different about some events (docs/reference/explain.md).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use query::result::{Meta, Warning};
use query::{QueryEngine, QueryError, RunContext, render};
use serde_json::Value as Json;
use skein_analysis::explain::{Explanation, Finding, Kinship, Term, What, explain};
use skein_query as query;
use skein_query::explain::ExplainPlan;
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::schema::Object;
use skein_wire::{
    ExplainFinding, ExplainMember, ExplainRange, ExplainTerm, Explained, ExplainedEvents,
    Explanation as ExplanationBody,
};

use super::{Route, ask, json, json_body};
use crate::error::ApiError;
use crate::state::Api;

/// Fewer traces of a side than this say nothing reliable once events were sampled (SEMANTICS.md, "Numbers").
const TRACES_MIN: f64 = 30.0;

/// Columns that a warning names.
const NAMED: usize = 5;

pub(super) fn routes() -> Vec<Route> {
    let explain = Operation {
        method: "POST",
        path: "/api/v1/explain",
        id: "explain",
        summary: "What is different about a selection of events, against its complement or a baseline: every column, every event.",
        query: &[],
        request: Some(Schema::of::<Object>()),
        response: Answer::Json(Schema::of::<Explained>()),
    };
    vec![Route { operation: explain, serve: || post(answer) }]
}

async fn answer(State(api): State<Arc<Api>>, request: Request<Body>) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let environment = api.environment(&parts.headers)?;
    let question = json_body(&api, &parts.headers, body).await?;
    let plan = query::spec::explain(&question, &environment, api.clock.now_ns())?;
    let (explanation, mut meta) = ask(&api, move |engine, context| run(engine, &plan, context)).await?;
    meta.warnings.extend(truncated(&explanation));
    json(&body_of(&explanation, &meta))
}

fn run(
    engine: &dyn QueryEngine,
    plan: &ExplainPlan,
    context: &RunContext<'_>,
) -> Result<(Explanation, Meta), QueryError> {
    let mut explanation = Explanation::default();
    let meta = engine.explain(plan, context, &mut |passes| {
        explanation = explain(passes, plan.limit)?;
        Ok(())
    })?;
    let empty = |side: usize| explanation.total.rows[side] == 0;
    for (side, name) in [(0, "selection"), (1, "baseline")] {
        if empty(side) {
            let error = QueryError::invalid(format!("the {name} has no events"));
            let hint = meta.warnings.first().map_or_else(
                || "widen its time, its filters or the rect".to_owned(),
                |warning| warning.message.clone(),
            );
            return Err(error
                .at_path(format!(
                    "/{}",
                    if side == 1 && plan.baseline.is_none() { "selection" } else { name }
                ))
                .hint(hint));
        }
    }
    Ok((explanation, meta))
}

fn truncated(explanation: &Explanation) -> Option<Warning> {
    let columns = &explanation.truncated;
    let named: Vec<&str> = columns.iter().take(NAMED).map(|name| &**name).collect();
    let more = columns.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!(
        "{}{more} have too many different values to look at each; what is reported is exact, a rare value of theirs may be \
         left out",
        named.join(", ")
    );
    (!columns.is_empty()).then_some(Warning { code: "values_left_out", message })
}

fn body_of(explanation: &Explanation, meta: &Meta) -> Explained {
    let total = &explanation.total;
    let events = |side: usize| ExplainedEvents { events: total.weight[side], rows: total.rows[side] };
    Explained {
        data: ExplanationBody {
            findings: explanation.findings.iter().map(|finding| finding_of(finding, explanation)).collect(),
            selection: events(0),
            baseline: events(1),
            tested: explanation.tested as u64,
        },
        meta: match render::meta(meta) {
            Json::Object(members) => members,
            _ => Object::new(),
        },
    }
}

fn finding_of(finding: &Finding, explanation: &Explanation) -> ExplainFinding {
    let difference = &finding.difference;
    let reliable = explanation.reliable(TRACES_MIN);
    let mut terms = finding.terms.iter().map(term_of);
    let first = terms.next().unwrap_or_else(|| ExplainTerm {
        column: String::new(),
        value: None,
        range: None,
        exists: None,
    });
    ExplainFinding {
        column: first.column,
        value: first.value,
        range: first.range,
        exists: first.exists,
        and: terms.next(),
        effect: difference.effect,
        lo95: reliable.then_some(difference.lo95),
        hi95: reliable.then_some(difference.hi95),
        reliable,
        share_selection: difference.share[0],
        share_baseline: difference.share[1],
        n_selection: finding.tally.weight[0],
        n_baseline: finding.tally.weight[1],
        strength: difference.strength,
        q: finding.q,
        members: finding
            .members
            .iter()
            .map(|member| {
                let term = term_of(&member.term);
                ExplainMember {
                    column: term.column,
                    value: term.value,
                    range: term.range,
                    exists: term.exists,
                    kind: match member.kind {
                        Kinship::Same => "same",
                        Kinship::Follows => "follows",
                        Kinship::Part => "part",
                    }
                    .to_owned(),
                    effect: member.difference.effect,
                    share_selection: member.difference.share[0],
                    share_baseline: member.difference.share[1],
                }
            })
            .collect(),
    }
}

fn term_of(term: &Term) -> ExplainTerm {
    let column = term.column.to_string();
    let nothing = ExplainTerm { column, value: None, range: None, exists: None };
    match &term.what {
        What::Exists(exists) => ExplainTerm { exists: Some(*exists), ..nothing },
        What::Value(value) => ExplainTerm { value: Some(render::json_value(value)), ..nothing },
        What::Range(lo, hi) => ExplainTerm { range: Some(ExplainRange { lo: *lo, hi: *hi }), ..nothing },
    }
}
