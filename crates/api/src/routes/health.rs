//! `/healthz`, `/readyz`, `/metrics`: for the supervisor and for Prometheus.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::header::{CONTENT_TYPE, HeaderValue};
use skein_wire::openapi::{Answer, Operation};

use super::Route;
use crate::error::{ApiError, Code};
use crate::findings;
use crate::metrics::{Metric, Sample};
use crate::state::Api;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            operation: plain("/healthz", "health", "200 while the process runs."),
            serve: || get(|| async { text("ok\n".to_owned(), "text/plain") }),
        },
        Route {
            operation: plain("/readyz", "ready", "200 when recovery is done and the log is writable."),
            serve: || get(ready),
        },
        Route {
            operation: plain("/metrics", "metrics", "Metrics in the Prometheus text format."),
            serve: || get(metrics),
        },
    ]
}

const fn plain(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    let response = Answer::Other("text/plain");
    Operation { method: "GET", path, id, summary, query: &[], request: None, response }
}

async fn ready(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let writable = api.gauges.is_writable();
    if api.door.gate.is_ready() && writable {
        return Ok(text("ready\n".to_owned(), "text/plain"));
    }
    let why = match (api.door.gate.is_closed(), writable) {
        (true, _) => "the server is stopping",
        (false, false) => "the log does not take writes",
        (false, true) => "recovery is not done",
    };
    Err(ApiError::new(Code::Unavailable, why).retry_after_ms(1_000))
}

async fn metrics(State(api): State<Arc<Api>>) -> Response {
    let mut samples = api.gauges.samples();
    let inflight = api.door.budget.used() as f64;
    samples.push(Sample::new(Metric::InflightBytes, Vec::new(), inflight));
    samples.extend(findings::samples(&api.gauges.findings()));
    text(api.door.metrics.render(&samples), "text/plain; version=0.0.4")
}

fn text(text: String, content_type: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
