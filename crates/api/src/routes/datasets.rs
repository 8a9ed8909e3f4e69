//! `/api/v1/datasets`: what there is to ask about.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use http::HeaderMap;
use serde::Deserialize;
use skein_event::limits::COLUMN_VALUES_MAX;
use skein_query::render;
use skein_query::time_text::format_ns;
use skein_wire::openapi::{Answer, Body as Schema, Operation};
use skein_wire::{Column, ColumnType, ColumnValue, Dataset};

use super::{Route, ask, json, known_dataset};
use crate::error::ApiError;
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    let list = Operation {
        method: "GET",
        path: "/api/v1/datasets",
        id: "datasets",
        summary: "The datasets, by name.",
        query: &[],
        request: None,
        response: Answer::Json(Schema::of::<Vec<Dataset>>()),
    };
    let columns = Operation {
        path: "/api/v1/datasets/{dataset}/columns",
        id: "columns",
        summary: "The columns of a dataset, by name; of all datasets as __all__.",
        response: Answer::Json(Schema::of::<Vec<Column>>()),
        ..list
    };
    let values = Operation {
        path: "/api/v1/datasets/{dataset}/columns/{column}/values",
        id: "values",
        summary: "The most frequent values of a column.",
        query: &[("prefix", "Only values that begin with it.")],
        response: Answer::Json(Schema::of::<Vec<ColumnValue>>()),
        ..list
    };
    vec![
        Route { operation: list, serve: || get(datasets) },
        Route { operation: columns, serve: || get(self::columns) },
        Route { operation: values, serve: || get(self::values) },
    ]
}

/// Stands for every dataset of the environment.
const ALL: &str = "__all__";

fn named(dataset: &str) -> Option<&str> {
    (dataset != ALL).then_some(dataset)
}

async fn datasets(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    let datasets = ask(&api, move |engine, context| engine.datasets(&environment, context)).await?;
    json(&datasets.into_iter().map(dataset).collect::<Vec<_>>())
}

pub(super) fn dataset(info: skein_query::result::DatasetInfo) -> Dataset {
    Dataset {
        name: info.name,
        events: info.events,
        first_seen: format_ns(info.first_ns),
        last_seen: format_ns(info.last_ns),
    }
}

async fn columns(
    State(api): State<Arc<Api>>,
    Path(dataset): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    let columns = ask(&api, move |engine, context| {
        let dataset = named(&dataset);
        dataset.map_or(Ok(()), |dataset| known_dataset(engine, &environment, dataset, context))?;
        engine.columns(&environment, dataset, context)
    });
    let columns = columns.await?.into_iter().map(|info| Column {
        name: info.name,
        types: info
            .types
            .into_iter()
            .map(|(name, count)| ColumnType { name: name.to_owned(), count })
            .collect(),
        scopes: info.scopes.into_iter().map(str::to_owned).collect(),
        first_seen: format_ns(info.first_ns),
        last_seen: format_ns(info.last_ns),
        distinct_estimate: info.distinct_estimate,
    });
    json(&columns.collect::<Vec<_>>())
}

/// Parameters of `values`.
#[derive(Deserialize)]
struct ValuesQuery {
    #[serde(default)]
    prefix: String,
}

async fn values(
    State(api): State<Arc<Api>>,
    Path((dataset, column)): Path<(String, String)>,
    Query(ValuesQuery { prefix }): Query<ValuesQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let environment = api.environment(&headers)?;
    let values = ask(&api, move |engine, context| {
        let dataset = named(&dataset);
        dataset.map_or(Ok(()), |dataset| known_dataset(engine, &environment, dataset, context))?;
        engine.values(&environment, dataset, &column, &prefix, COLUMN_VALUES_MAX, context)
    });
    let shown = |value: skein_query::result::ValueCount| ColumnValue {
        value: render::json_value(&value.value),
        count: value.count,
    };
    json(&values.await?.into_iter().map(shown).collect::<Vec<_>>())
}
