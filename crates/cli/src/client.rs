//! The HTTP client: blocking, one agent per command. It tells apart what the server refused, what it asked to
//! send again later, and that it cannot be reached.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

use crate::arguments::Connection;
use crate::failure::{Exit, Failure};

/// An answer larger than this is not read into memory; only an export is, and that is streamed.
const ANSWER_BYTES_MAX: u64 = 512 << 20;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to the API.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: Agent,
    url: String,
    key: Option<String>,
    environment: Option<String>,
}

/// An answer of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `Retry-After` in seconds.
    pub(crate) retry_after_s: Option<u64>,
    /// `Skein-Batch-Duplicate: true`.
    pub(crate) duplicate: bool,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON, or the error it tells.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        if !(200..300).contains(&self.status) {
            return Err(Failure::from_api(self.status, &self.body));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let message = format!("the server's answer is not JSON: {error}");
            Failure::new(Exit::Refused, "internal", message).hint("is there a Skein server at this address?")
        })
    }
}

impl Client {
    pub(crate) fn new(connection: &Connection) -> Client {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent(concat!("skein-cli/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Client {
            agent,
            url: connection.url.trim_end_matches('/').to_owned(),
            key: connection.key.clone(),
            environment: connection.environment.clone(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer, Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        for (name, value) in self.headers() {
            request = request.header(name, value);
        }
        read(self.reached(request.call())?)
    }

    pub(crate) fn post_json(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        read(self.post(path, body.to_string().as_bytes(), None)?)
    }

    /// Posts JSON text, with a batch id for telemetry.
    pub(crate) fn post_batch(&self, path: &str, body: &[u8], batch_id: &str) -> Result<Answer, Failure> {
        read(self.post(path, body, Some(batch_id))?)
    }

    /// Posts a question whose answer is read piece by piece.
    pub(crate) fn post_for_stream(&self, path: &str, body: &Value) -> Result<Response<ureq::Body>, Failure> {
        let response = self.post(path, body.to_string().as_bytes(), None)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let answer = read(response)?;
        Err(Failure::from_api(answer.status, &answer.body))
    }

    fn post(&self, path: &str, body: &[u8], batch_id: Option<&str>) -> Result<Response<ureq::Body>, Failure> {
        let mut request =
            self.agent.post(format!("{}{path}", self.url)).header("Content-Type", "application/json");
        for (name, value) in self.headers() {
            request = request.header(name, value);
        }
        if let Some(batch_id) = batch_id {
            request = request.header("Skein-Batch-Id", batch_id);
        }
        self.reached(request.send(body))
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let key = self.key.as_ref().map(|key| ("Authorization", format!("Bearer {key}")));
        let environment = self.environment.as_ref().map(|name| ("Skein-Environment", name.clone()));
        key.into_iter().chain(environment).collect()
    }

    fn reached(
        &self,
        result: Result<Response<ureq::Body>, ureq::Error>,
    ) -> Result<Response<ureq::Body>, Failure> {
        result.map_err(|error| match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                Failure::usage(format!("{} is no address of a server: {error}", self.url))
            }
            error => unreachable_server(&self.url, &error.to_string()),
        })
    }
}

/// The server is not there, or went away.
pub(crate) fn unreachable_server(url: &str, why: &str) -> Failure {
    Failure::new(Exit::Unreachable, "unavailable", format!("{url} cannot be reached: {why}"))
        .hint("start a server with `skein serve` or `skein demo`, or name another with --url or SKEIN_URL")
}

fn read(mut response: Response<ureq::Body>) -> Result<Answer, Failure> {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after_s = header("Retry-After").and_then(|text| text.trim().parse().ok());
    let duplicate = header("Skein-Batch-Duplicate") == Some("true");
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(|error| {
        Failure::new(Exit::Unreachable, "unavailable", format!("the server's answer broke off: {error}"))
    })?;
    Ok(Answer { status, retry_after_s, duplicate, body })
}
