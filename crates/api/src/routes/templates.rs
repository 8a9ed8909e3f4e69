//! `POST /api/v1/templates`: what texts have in common, and what became of it since a baseline
//! (docs/reference/templates.md).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use query::templates::{Counted, TemplatesPlan};
use query::time_text::format_ns;
use query::{render, spec};
use skein_analysis::templates::{ChangeKind, Judged, Templates, templates};
use skein_query as query;
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::schema::Object;
use skein_wire::{LogTemplate, TemplateList, TemplatesAnswer, TemplatesBaseline, TemplatesOther};

use super::{Route, ask, json, json_body, members};
use crate::error::ApiError;
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let mine = Operation {
        method: "POST",
        path: "/api/v1/templates",
        id: "templates",
        summary: "Templates of the texts of a column, and which are new, vanished or multiplied since a baseline: {column?, filters?, start_time?, end_time?, baseline?, limit?}.",
        query: &[],
        request: Some(Schema::of::<Object>()),
        response: Answer::Json(Schema::of::<TemplatesAnswer>()),
    };
    vec![Route { operation: mine, serve: || post(answer) }]
}

async fn answer(State(api): State<Arc<Api>>, request: Request<Body>) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let environment = api.environment(&parts.headers)?;
    let question = json_body(&api, &parts.headers, body).await?;
    let plan = spec::templates(&question, &environment, api.clock.now_ns())?;
    let answer = ask(&api, move |engine, context| {
        let collected = engine.templates(&plan, context)?;
        let shapes = collected.collector.shapes() as u64;
        let now = plan.now.time_range.seconds();
        let before = plan.baseline.as_ref().map_or(now, |plan| plan.time_range.seconds());
        let totals = collected.collector.totals();
        let found = templates(collected.collector, [now, before], plan.baseline.is_some(), plan.limit);
        let data = list(&plan, &found, &totals, collected.without_text, shapes);
        Ok(TemplatesAnswer { data, meta: members(render::meta(&collected.meta)) })
    });
    json(&answer.await?)
}

fn list(
    plan: &TemplatesPlan,
    found: &Templates,
    [now, before]: &[Counted; 2],
    [without_text, baseline_without_text]: [u64; 2],
    shapes: u64,
) -> TemplateList {
    TemplateList {
        column: plan.column.name.to_string(),
        templates: found.templates.iter().map(|judged| template(judged, now.weight)).collect(),
        events: now.weight,
        rows: now.rows,
        shapes,
        without_text,
        other: TemplatesOther {
            templates: found.omitted.templates as u64,
            count: found.omitted.weight[0],
            baseline_count: found.omitted.weight[1],
        },
        baseline: plan.baseline.is_some().then_some(TemplatesBaseline {
            events: before.weight,
            rows: before.rows,
            without_text: baseline_without_text,
        }),
    }
}

fn template(judged: &Judged, all: f64) -> LogTemplate {
    let of = &judged.template;
    let [now, before] = &of.counted;
    let change = judged.change.as_ref();
    LogTemplate {
        id: format!("{:016x}", of.id),
        template: of.text.clone(),
        regex: of.regex.clone(),
        count: now.weight,
        rows: now.rows,
        share: if all > 0.0 { now.weight / all } else { 0.0 },
        first_seen: now.seen_ns.map(|(first, _)| format_ns(first)),
        last_seen: now.seen_ns.map(|(_, last)| format_ns(last)),
        example: of.example.clone(),
        baseline_count: change.map(|_| before.weight),
        change: change.map(|change| {
            match change.kind {
                ChangeKind::New => "new",
                ChangeKind::Vanished => "vanished",
                ChangeKind::Multiplied => "multiplied",
                ChangeKind::Steady => "steady",
            }
            .to_owned()
        }),
        ratio: change.and_then(|change| change.ratio),
        ratio_lo95: change.and_then(|change| change.lo95),
        ratio_hi95: change.and_then(|change| change.hi95),
        sure: change.map(|change| change.sure),
    }
}
