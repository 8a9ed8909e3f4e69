//! What happens around every request of the HTTP API: an id, the loopback check, the body of an error, and
//! one wide event about the request.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use event::Environment;
use event::observe::Observation;
use event::value::Value;
use http::header::HeaderValue;
use http::{HeaderName, StatusCode};
use skein_event as event;

use crate::error::{ApiError, Code};
use crate::loopback::foreign;
use crate::routes::methods_of;
use crate::state::Api;

/// Names the request in answers and in the server's log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers are data: no browser may guess that one is a page.
const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

/// See the module.
pub(crate) async fn around(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let start_ns = api.clock.now_ns();
    let request_id = api.new_id();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let environment = api.environment(request.headers());
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let refused = api.loopback_only.then(|| foreign(request.headers(), authority)).flatten();
    let response = match refused {
        Some(why) => ApiError::new(Code::Forbidden, why)
            .hint("without keys Skein serves this machine alone; use http://localhost or 127.0.0.1")
            .into_response(),
        None => next.run(request).await,
    };
    let mut response = match response.extensions().get::<ApiError>() {
        Some(error) => error.respond(&request_id),
        // What the framework itself refuses has no error of ours and no body yet; the doors' answers have.
        None if response.status() == StatusCode::METHOD_NOT_ALLOWED
            && !response.headers().contains_key(http::header::CONTENT_TYPE) =>
        {
            let methods = route.as_deref().map(methods_of).unwrap_or_default();
            let mut refused = ApiError::new(Code::NotFound, format!("nothing answers {method} here"))
                .hint(format!("this path takes {methods}"))
                .respond(&request_id);
            if let Ok(allow) = HeaderValue::from_str(&methods) {
                refused.headers_mut().insert(http::header::ALLOW, allow);
            }
            refused
        }
        None => response,
    };
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response.headers_mut().insert(NO_SNIFF, HeaderValue::from_static("nosniff"));
    let own = environment.as_ref().is_ok_and(|environment| environment.as_str() == Environment::SKEIN);
    // The doors tell about their requests themselves.
    if let Some(route) = route.filter(|route| !own && !route.starts_with("/v1")) {
        let status = response.status();
        api.observer.observe(Observation {
            name: "request",
            start_ns,
            duration_ns: api.clock.now_ns().saturating_sub(start_ns),
            error: (status.is_server_error()).then(|| status.to_string()),
            fields: vec![
                ("http.request.method", Value::Text(method.to_string())),
                ("http.route", Value::Text(route)),
                ("http.response.status_code", Value::I64(i64::from(status.as_u16()))),
                ("skein.request_id", Value::Text(request_id)),
            ],
        });
    }
    response
}
