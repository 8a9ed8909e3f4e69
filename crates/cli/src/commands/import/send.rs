//! One line on its way: which signal it holds, how many records, and what the server says about it.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::client::{Answer, Client};
use crate::failure::{Exit, Failure};

/// Attempts per line while the server is busy, stopping or away: with the waits below about two minutes,
/// longer than a restart takes.
const ATTEMPTS_MAX: u32 = 40;

/// The wait between attempts when the server names none, and the longest one it can name.
const WAIT_FIRST: Duration = Duration::from_millis(200);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Connections may fail this often before the server counts as away: a restart takes seconds.
const UNREACHED_MAX: u32 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Logs,
    Metrics,
}

/// A line that can be sent.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) signal: Signal,
    pub(super) records: u64,
    pub(super) text: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: u32,
    pub(super) content: Content,
}

/// What became of a line.
#[derive(Debug)]
pub(super) enum LineOutcome {
    /// The server has it.
    Taken { duplicate: bool, rejected: u64, message: String },
    /// The server does not want it.
    Refused(String),
    /// The import cannot go on.
    Failed(Failure),
}

// Just enough of OTLP/JSON to count records: everything else is skipped without being kept.

type Many<T> = Option<Vec<Option<T>>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    resource_spans: Many<ResourceSpans>,
    resource_logs: Many<ResourceLogs>,
    resource_metrics: Many<ResourceMetrics>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans {
    scope_spans: Many<ScopeSpans>,
}

#[derive(Deserialize)]
struct ScopeSpans {
    spans: Many<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs {
    scope_logs: Many<ScopeLogs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs {
    log_records: Many<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceMetrics {
    scope_metrics: Many<ScopeMetrics>,
}

#[derive(Deserialize)]
struct ScopeMetrics {
    metrics: Many<Metric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    gauge: Option<Points>,
    sum: Option<Points>,
    histogram: Option<Points>,
    exponential_histogram: Option<Points>,
    summary: Option<Points>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Points {
    data_points: Many<IgnoredAny>,
}

fn total<T>(list: &Many<T>, count: impl Fn(&T) -> u64) -> u64 {
    list.iter().flatten().flatten().map(count).sum()
}

fn length<T>(list: &Many<T>) -> u64 {
    list.as_ref().map_or(0, |list| list.len() as u64)
}

/// Finds the signal of a line by its top-level key, and counts its records.
pub(super) fn inspect(text: Vec<u8>) -> Result<Content, String> {
    let request: Request =
        serde_json::from_slice(&text).map_err(|error| format!("is not an OTLP/JSON request: {error}"))?;
    let signals = [
        request.resource_spans.is_some().then_some(Signal::Traces),
        request.resource_logs.is_some().then_some(Signal::Logs),
        request.resource_metrics.is_some().then_some(Signal::Metrics),
    ];
    let mut present = signals.into_iter().flatten();
    let signal = match (present.next(), present.next()) {
        (Some(signal), None) => signal,
        (None, _) => return Err("has none of resourceSpans, resourceLogs and resourceMetrics".to_owned()),
        (Some(_), Some(_)) => return Err("holds more than one signal; one request a line".to_owned()),
    };
    let spans =
        total(&request.resource_spans, |resource| total(&resource.scope_spans, |scope| length(&scope.spans)));
    let logs = total(&request.resource_logs, |resource| {
        total(&resource.scope_logs, |scope| length(&scope.log_records))
    });
    let points = total(&request.resource_metrics, |resource| {
        total(&resource.scope_metrics, |scope| total(&scope.metrics, points_of))
    });
    Ok(Content { signal, records: spans + logs + points, text })
}

fn points_of(metric: &Metric) -> u64 {
    let kinds =
        [&metric.gauge, &metric.sum, &metric.histogram, &metric.exponential_histogram, &metric.summary];
    kinds.into_iter().flatten().map(|points| length(&points.data_points)).sum()
}

/// Sends a line until the server has it or refuses it for good.
pub(super) fn send(client: &Client, digest: &str, line: &Line) -> LineOutcome {
    let path = match line.content.signal {
        Signal::Traces => "/v1/traces",
        Signal::Logs => "/v1/logs",
        Signal::Metrics => "/v1/metrics",
    };
    let batch_id = format!("import/{digest}/{}", line.number);
    let mut wait = WAIT_FIRST;
    let mut unreached = 0;
    for attempt in 1..=ATTEMPTS_MAX {
        let asked = match client.post_batch(path, &line.content.text, &batch_id) {
            Ok(answer) => match answer.status {
                200..=299 => return taken(&answer),
                429 | 502 | 503 | 504 => answer.retry_after_s.map(Duration::from_secs),
                401 | 403 => return LineOutcome::Failed(Failure::from_api(answer.status, &answer.body)),
                status => {
                    let failure = Failure::from_api(status, &answer.body);
                    return LineOutcome::Refused(format!("refused: {}", failure.message()));
                }
            },
            Err(failure) => {
                unreached += 1;
                if failure.exit != Exit::Unreachable || unreached >= UNREACHED_MAX {
                    return LineOutcome::Failed(failure);
                }
                None
            }
        };
        if attempt < ATTEMPTS_MAX {
            std::thread::sleep(asked.unwrap_or(wait).min(WAIT_MAX));
            wait = (wait * 2).min(WAIT_MAX);
        }
    }
    let message = format!("the server did not take line {} in {ATTEMPTS_MAX} attempts", line.number + 1);
    LineOutcome::Failed(
        Failure::new(Exit::Incomplete, "overloaded", message)
            .hint("import again: what is stored is recognised"),
    )
}

fn taken(answer: &Answer) -> LineOutcome {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let partial = body.get("partialSuccess");
    let names = ["rejectedSpans", "rejectedLogRecords", "rejectedDataPoints"];
    let rejected = names.iter().find_map(|name| {
        let count = partial?.get(name)?;
        count.as_u64().or_else(|| count.as_str()?.parse().ok())
    });
    let message = partial.and_then(|partial| partial.get("errorMessage")).and_then(Value::as_str);
    LineOutcome::Taken {
        duplicate: answer.duplicate,
        rejected: rejected.unwrap_or(0),
        message: message.unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(Signal, u64), &str>) {
        let found = inspect(text.as_bytes().to_vec());
        match expected {
            Ok(expected) => {
                let content = found.unwrap_or_else(|why| panic!("{text}: {why}"));
                assert_eq!((content.signal, content.records), expected, "{text}");
            }
            Err(why) => assert!(found.unwrap_err().contains(why), "{text}"),
        }
    }

    #[test]
    fn the_signal_is_told_by_the_top_level_key() {
        check(
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{},{}]},{"spans":[{}]}]}]}"#,
            Ok((Signal::Traces, 3)),
        );
        check(
            r#"{"x":1,"resourceLogs":[{"scopeLogs":[{"logRecords":[{"a":[{}]}]}]}]}"#,
            Ok((Signal::Logs, 1)),
        );
        let metrics = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
            {"name":"a","gauge":{"dataPoints":[{},{}]}},{"sum":{"dataPoints":[{}]}},{"histogram":{}}]}]}]}"#;
        check(metrics, Ok((Signal::Metrics, 3)));
        check(r#"{"resourceSpans":[]}"#, Ok((Signal::Traces, 0)));
        check(r#"{"resourceSpans":[{"scopeSpans":null},null]}"#, Ok((Signal::Traces, 0)));
    }

    #[test]
    fn a_line_that_holds_no_request_is_named() {
        check("{}", Err("none of"));
        check(r#"{"resourceSpans":[],"resourceLogs":[]}"#, Err("more than one signal"));
        check("not json", Err("not an OTLP/JSON request"));
        check(r#"{"resourceSpans":[}"#, Err("not an OTLP/JSON request"));
        check("[1]", Err("not an OTLP/JSON request"));
    }

    #[test]
    fn what_the_server_rejected_is_read() {
        let body = br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"bad ids"}}"#;
        let answer = Answer { status: 200, retry_after_s: None, duplicate: true, body: body.to_vec() };
        let LineOutcome::Taken { duplicate, rejected, message } = taken(&answer) else { panic!() };
        assert_eq!((duplicate, rejected, message.as_str()), (true, 3, "bad ids"));
    }
}
