//! What went wrong, and how it is told: one JSON object for programs, a few lines for people.

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

/// What the process ends with (CONTRACT.md, "Commands").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Refused, or an error of the query.
    Refused,
    /// Wrong usage.
    Usage,
    /// The server cannot be reached.
    Unreachable,
    /// Done in part.
    Incomplete,
}

impl Exit {
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Exit::Done => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Incomplete => 4,
        })
    }
}

/// An error on its way to the person or program that called.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// The API's error object, or one of the same shape. Boxed, since every result has room for a failure.
    error: Box<Map<String, Value>>,
    /// What the error's span or path points into.
    source: Option<Box<Source>>,
}

/// What was asked, to show the place of an error in it.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A text; `span` points at bytes of it.
    Text(String),
    /// A specification; `path` points at a value of it.
    Specification(Value),
}

pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, code: &str, message: impl Into<String>) -> Failure {
        let mut error = Box::new(Map::new());
        error.insert("code".to_owned(), json!(code));
        error.insert("message".to_owned(), json!(message.into()));
        Failure { exit, error, source: None }
    }

    /// Wrong arguments.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, "invalid_request", message)
    }

    /// An error that the API answered with.
    pub(crate) fn from_api(status: u16, body: &[u8]) -> Failure {
        let parsed: Option<Value> = serde_json::from_slice(body).ok();
        if let Some(Value::Object(error)) = parsed.as_ref().and_then(|body| body.get("error")).cloned() {
            return Failure { exit: Exit::Refused, error: Box::new(error), source: None };
        }
        // OTLP doors answer with a google.rpc.Status.
        let said = parsed.as_ref().and_then(|body| body.get("message")).and_then(Value::as_str);
        let message = match said {
            Some(message) => message.to_owned(),
            None => format!("the server answered with HTTP status {status}"),
        };
        Failure::new(Exit::Refused, code_of(status), message)
    }

    pub(crate) fn hint(mut self, hint: &str) -> Failure {
        self.error.insert("hint".to_owned(), json!(hint));
        self
    }

    pub(crate) fn of(mut self, source: Source) -> Failure {
        self.source = Some(Box::new(source));
        self
    }

    pub(crate) fn message(&self) -> &str {
        self.text("message").unwrap_or("something went wrong")
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.error.get(name).and_then(Value::as_str)
    }

    /// Writes it to stderr. That the pipe is closed is nothing we could tell anybody.
    pub(crate) fn show(&self, as_json: bool) {
        let text = if as_json { format!("{}\n", json!({"error": self.error})) } else { self.for_people() };
        let told = std::io::stderr().lock().write_all(text.as_bytes());
        // The exit code still says it when nobody reads.
        drop(told);
    }

    /// The message, the place it is about, what was probably meant, and what to do.
    pub(crate) fn for_people(&self) -> String {
        let mut text = format!("error: {}\n", self.message());
        text.push_str(&self.place());
        let candidates: Vec<&str> = match self.error.get("candidates").and_then(Value::as_array) {
            Some(candidates) => candidates.iter().filter_map(Value::as_str).collect(),
            None => Vec::new(),
        };
        if !candidates.is_empty() {
            text.push_str(&format!("  did you mean: {}\n", candidates.join(", ")));
        }
        if let Some(hint) = self.text("hint") {
            text.push_str(&format!("  hint: {hint}\n"));
        }
        if let Some(id) = self.text("request_id").filter(|_| self.text("code") == Some("internal")) {
            text.push_str(&format!("  request: {id} (the server's log tells more)\n"));
        }
        text
    }

    fn place(&self) -> String {
        if let Some(path) = self.text("path") {
            let Some(Source::Specification(specification)) = self.source.as_deref() else {
                return format!("  at {path}\n");
            };
            let Some(value) = specification.pointer(path) else { return format!("  at {path}\n") };
            let shown: String = value.to_string().chars().take(100).collect();
            return underlined(&format!("  {path}: "), &shown, 0, shown.chars().count());
        }
        let span = self.error.get("span");
        let bound = |name| span.and_then(|span| span.get(name)).and_then(Value::as_u64);
        if let (Some(start), Some(end), Some(Source::Text(source))) =
            (bound("start"), bound("end"), self.source.as_deref())
        {
            return caret(source, start, end);
        }
        String::new()
    }
}

/// The line of a text that a span of bytes begins in, with the span underlined.
fn caret(source: &str, start: u64, end: u64) -> String {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(source.len());
    let (start, end) = (at(start), at(end));
    let (Some(before), Some(within)) = (source.get(..start), source.get(start..end.max(start))) else {
        return String::new();
    };
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = source.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let column = before.get(line_start..).map_or(0, |text| text.chars().count());
    underlined("  ", line, column, within.lines().next().unwrap_or_default().chars().count())
}

fn underlined(prefix: &str, line: &str, column: usize, width: usize) -> String {
    let indent = " ".repeat(prefix.chars().count() + column);
    format!("{prefix}{line}\n{indent}{}\n", "^".repeat(width.max(1)))
}

fn code_of(status: u16) -> &'static str {
    match status {
        401 => "unauthenticated",
        403 => "forbidden",
        404 => "not_found",
        409 => "conflict",
        413 => "too_large",
        422 => "limit_exceeded",
        429 => "overloaded",
        502..=504 => "unavailable",
        500..=599 => "internal",
        _ => "invalid_request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_an_error_is_shown() {
        let body = br#"{"error":{"code":"not_found","message":"no column is called `duratoin_ms`","path":"/calculations/0/column","candidates":["duration_ms"],"hint":"look"}}"#;
        let specification = json!({"calculations": [{"op": "P99", "column": "duratoin_ms"}]});
        let shown = Failure::from_api(404, body).of(Source::Specification(specification)).for_people();
        let expected = concat!(
            "error: no column is called `duratoin_ms`\n",
            "  /calculations/0/column: \"duratoin_ms\"\n",
            "                          ^^^^^^^^^^^^^\n",
            "  did you mean: duration_ms\n",
            "  hint: look\n",
        );
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_span_is_underlined_in_its_line() {
        let body = br#"{"error":{"code":"invalid_request","message":"unknown function","span":{"start":14,"end":18}}}"#;
        let text = "fields a\n| sttas count()".to_owned();
        let shown = Failure::from_api(400, body).of(Source::Text(text)).for_people();
        assert_eq!(shown, "error: unknown function\n  | sttas count()\n       ^^^^\n");
        // A span that lies outside, or inside a character, is no reason to fall over.
        for (start, end) in [(99, 100), (1, 2), (5, 3)] {
            caret("é", start, end);
        }
    }

    #[test]
    fn an_answer_that_is_no_error_body_is_an_error_all_the_same() {
        assert_eq!(Failure::from_api(502, b"<html>").message(), "the server answered with HTTP status 502");
        assert_eq!(Failure::from_api(400, br#"{"code":3,"message":"bad id"}"#).message(), "bad id");
    }
}
