//! What markers and boards share: calls of the registry, away from the threads that serve sockets, and their errors.
//!
//! What it refuses: changes while the server stops.

use std::sync::Arc;

use axum::response::Response;
use registry::{Error, ErrorKind, Id, Registry};
use serde::{Deserialize, Serialize};
use skein_registry as registry;
use skein_wire::Deleted;

use super::json;
use crate::error::{ApiError, Code};
use crate::state::Api;

/// The version that a record is expected to have.
#[derive(Deserialize)]
pub(super) struct Expected {
    pub(super) version: Option<u64>,
}

/// Fails when the server stops.
pub(super) fn whole(api: &Api) -> Result<(), ApiError> {
    if api.door.gate.is_closed() { Err(ApiError::stopping()) } else { Ok(()) }
}

/// Reads an id. What is no id names nothing.
pub(super) fn id_of(text: &str) -> Result<Id, ApiError> {
    let hint = "an id is 16 hexadecimal digits, as the list shows it";
    Id::parse(text).ok_or_else(|| ApiError::new(Code::NotFound, "this is no id of ours").hint(hint))
}

/// Calls the registry. A change that has begun is finished whether or not the client still listens.
pub(super) async fn call<T: Send + 'static>(
    api: &Arc<Api>,
    work: impl FnOnce(&dyn Registry) -> Result<T, Error> + Send + 'static,
) -> Result<T, ApiError> {
    let registry = Arc::clone(&api.registry);
    let done = api.registry_calls.run(move || work(&*registry)).await;
    done.map_err(|lost| ApiError::internal(lost.to_string()))?.map_err(|error| failed(&error))
}

pub(super) fn deleted(id: &Id, was: Option<impl Serialize>) -> Result<Response, ApiError> {
    let was = match was.map(|was| serde_json::to_value(was)).transpose() {
        Ok(Some(serde_json::Value::Object(was))) => Some(was),
        _ => None,
    };
    json(&Deleted { id: id.to_string(), was })
}

fn failed(error: &Error) -> ApiError {
    let message = error.to_string();
    match error.kind() {
        ErrorKind::NotFound => ApiError::new(Code::NotFound, message),
        ErrorKind::Conflict { version } => ApiError::new(Code::Conflict, message)
            .at_path("/version")
            .hint(format!("somebody changed it: read version {version}, and make the change in it")),
        ErrorKind::Full { .. } => {
            ApiError::new(Code::LimitExceeded, message).hint("delete some that nobody needs any more")
        }
        ErrorKind::Damaged | ErrorKind::Unsupported | ErrorKind::Io => {
            tracing::warn!(%error, "the registry does not answer");
            ApiError::new(Code::Unavailable, "markers and boards cannot be read or written now")
                .hint("the server's log says why; events are not touched by it")
                .retry_after_ms(10_000)
        }
    }
}
