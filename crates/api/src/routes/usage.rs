//! `/api/v1/usage`: how much is stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use event::Environment;
use http::HeaderMap;
use skein_event as event;
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::{Dataset, Finding, Usage};

use super::{Route, ask, datasets, json};
use crate::error::ApiError;
use crate::metrics::{Metric, SampleValue};
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let usage = Operation {
        method: "GET",
        path: "/api/v1/usage",
        id: "usage",
        summary: "Events by dataset, bytes on disk, and files that could not be read.",
        query: &[],
        request: None,
        response: Answer::Json(Schema::of::<Usage>()),
    };
    vec![Route { operation: usage, serve: || get(self::usage) }]
}

async fn usage(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    let storage_bytes = storage_bytes(&api, &environment);
    let findings = findings(&api, &environment);
    let datasets = ask(&api, move |engine, context| engine.datasets(&environment, context)).await?;
    let datasets: Vec<Dataset> = datasets.into_iter().map(datasets::dataset).collect();
    let events = datasets.iter().map(|dataset| dataset.events).sum();
    json(&Usage { datasets, events, storage_bytes, findings })
}

/// Files that are not served: those of the environment, and those of nobody in particular.
fn findings(api: &Api, environment: &Environment) -> Vec<Finding> {
    let all = api.gauges.findings().into_iter();
    let ours = all.filter(|found| found.environment.as_ref().is_none_or(|owner| owner == environment));
    let shown = ours.map(|found| Finding {
        kind: found.kind.to_owned(),
        path: found.path,
        events: found.events,
        message: found.message,
    });
    shown.collect()
}

/// Bytes by kind: those of the environment, and those that no environment owns alone.
fn storage_bytes(api: &Api, environment: &Environment) -> BTreeMap<String, u64> {
    let mut bytes = BTreeMap::new();
    for sample in api.gauges.samples() {
        let label = |wanted: &str| {
            sample.labels.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str())
        };
        let ours = label("environment").is_none_or(|owner| owner == environment.as_str());
        let SampleValue::Number(value) = sample.value else { continue };
        if sample.metric == Metric::StorageBytes && ours {
            let kind = label("kind").unwrap_or("other").to_owned();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a size of files is a whole number far below 2^53"
            )]
            let size = value.max(0.0) as u64;
            *bytes.entry(kind).or_default() += size;
        }
    }
    bytes
}
