//! `skein replay --against OTHER`: asks two sides the questions that were asked before, and compares the answers. A
//! side is a server, or a data directory that a server of its own is started on, of this version or another one.
//!
//! A server keeps each question it answered in its own environment (`skein.query` of the events called `query`), with
//! the times made absolute, so that it means the same whenever it is asked again.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Map, Value, json};

use super::query::ask;
use crate::arguments::{Connection, Format, Range, Replay};
use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{Row, write_out, write_rows};
use crate::progress::{Progress, tell};
use crate::times;

/// The environment that a server tells of itself in.
const OWN_ENVIRONMENT: &str = "skein";

/// A question, and whose data it is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Question {
    environment: String,
    specification: String,
}

/// One of the two that answer.
struct Side {
    url: String,
    key: Option<String>,
    /// The server that was started for it.
    server: Option<Child>,
}

impl Drop for Side {
    fn drop(&mut self) {
        let Some(server) = &mut self.server else { return };
        let pid = i32::try_from(server.id()).ok().and_then(rustix::process::Pid::from_raw);
        let asked = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
        // A server that cannot be asked to stop is killed: the log has everything.
        if !matches!(asked, Some(Ok(()))) && server.kill().is_err() {
            return;
        }
        if server.wait().is_err() {
            tell("a server that was started for the replay did not end");
        }
    }
}

impl Side {
    fn running(connection: &Connection) -> Side {
        Side { url: connection.url.clone(), key: connection.key.clone(), server: None }
    }

    /// Starts a server on a directory.
    fn served(directory: &Path, binary: Option<&Path>) -> Result<Side, Failure> {
        let own = std::env::current_exe();
        let binary = match (binary, own) {
            (Some(binary), _) => binary.to_path_buf(),
            (None, Ok(own)) => own,
            (None, Err(error)) => {
                return Err(Failure::new(
                    Exit::Refused,
                    "internal",
                    format!("this binary cannot be found: {error}"),
                ));
            }
        };
        let failed = |what: &str, error: std::io::Error| {
            let message = format!("{} {what}: {error}", binary.display());
            Failure::new(Exit::Refused, "unavailable", message)
        };
        let any_port = "127.0.0.1:0";
        let mut server = Command::new(&binary)
            .args(["serve", "--http", any_port, "--otlp-grpc", any_port, "--otlp-http", any_port, "--data"])
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed("cannot be started", error))?;
        let mut line = String::new();
        if let Some(stdout) = server.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(|error| failed("cannot be heard", error))?;
        }
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        let Some(http) = ready.get("http").and_then(Value::as_str) else {
            let ended = server.wait().map_err(|error| failed("cannot be waited for", error))?;
            let message = format!("no server starts on {}: it ended with {ended}", directory.display());
            let failure = Failure::new(Exit::Refused, "unavailable", message);
            return Err(
                failure.hint("run `skein serve --data` on it to see why; is another server using it?")
            );
        };
        Ok(Side { url: format!("http://{http}"), key: None, server: Some(server) })
    }

    fn client(&self, environment: &str) -> Client {
        let environment = Some(environment).filter(|name| *name != "default").map(str::to_owned);
        Client::new(&Connection { url: self.url.clone(), key: self.key.clone(), environment })
    }

    /// The answer's data, or the error's code; and how long it took.
    fn answer(&self, question: &Question) -> Result<(Value, u64), Failure> {
        let specification: Value = serde_json::from_str(&question.specification)
            .map_err(|error| Failure::usage(format!("a question is not JSON: {error}")))?;
        let started_ns = times::now_ns();
        let answer = ask(&self.client(&question.environment), "/api/v1/query", &specification);
        let elapsed_ms =
            u64::try_from(times::now_ns().saturating_sub(started_ns) / 1_000_000).unwrap_or_default();
        match answer {
            Ok(answer) => Ok((answer.get("data").cloned().unwrap_or_default(), elapsed_ms)),
            Err(failure) if failure.exit == Exit::Unreachable => Err(failure),
            // Two sides that refuse a question in the same way agree.
            Err(failure) => Ok((json!({"error": failure.message()}), elapsed_ms)),
        }
    }
}

pub(super) fn run(arguments: &Replay) -> Outcome {
    let this = match &arguments.data {
        Some(directory) => Side::served(directory, None)?,
        None => Side::running(&arguments.connection),
    };
    let other = if arguments.against.contains("://") {
        let url = arguments.against.trim_end_matches('/').to_owned();
        Side { url, key: arguments.connection.key.clone(), server: None }
    } else {
        Side::served(Path::new(&arguments.against), arguments.against_binary.as_deref())?
    };
    let questions = match &arguments.queries {
        Some(path) => from_file(path)?,
        None => from_server(&this, arguments)?,
    };
    if let Some(path) = &arguments.save {
        save(path, &questions)?;
    }
    if questions.is_empty() {
        let failure = Failure::new(Exit::Refused, "not_found", "no question was asked within this time");
        return Err(failure.hint("look further back with --last 7d, or bring questions with --queries FILE"));
    }
    let progress = Progress::slices("replay", questions.len() as u64);
    let (mut rows, mut differ): (Vec<Row>, usize) = (Vec::new(), 0);
    for question in &questions {
        let ((left, left_ms), (right, right_ms)) = (this.answer(question)?, other.answer(question)?);
        let found = difference(&left, &right, arguments.tolerance, "");
        differ += usize::from(found.is_some());
        rows.push(row(question, found, left_ms, right_ms));
        progress.add(1);
    }
    progress.finish();
    show(arguments, &rows, differ)?;
    Ok(if differ == 0 { Exit::Done } else { Exit::Refused })
}

fn show(arguments: &Replay, rows: &[Row], differ: usize) -> Result<(), Failure> {
    write_out(|out| match arguments.shape.format() {
        Format::Table => {
            for row in rows.iter().filter(|row| row.get("same") == Some(&json!(false))) {
                let text = |name: &str| row.get(name).map(Value::to_string).unwrap_or_default();
                writeln!(out, "differs at {}: {} here, {} there", text("at"), text("left"), text("right"))?;
                writeln!(out, "    {}", row.get("query").and_then(Value::as_str).unwrap_or_default())?;
            }
            writeln!(out, "{} questions, {differ} answers differ", rows.len())
        }
        Format::Json if arguments.shape.full => {
            writeln!(out, "{}", json!({"questions": rows.len(), "differ": differ, "answers": rows}))
        }
        format => write_rows(out, rows, format),
    })
}

fn row(question: &Question, found: Option<Difference>, left_ms: u64, right_ms: u64) -> Row {
    let mut row = Map::new();
    row.insert("same".to_owned(), json!(found.is_none()));
    row.insert("environment".to_owned(), json!(question.environment));
    row.insert("query".to_owned(), json!(question.specification));
    row.insert("left_ms".to_owned(), json!(left_ms));
    row.insert("right_ms".to_owned(), json!(right_ms));
    if let Some(Difference { at, left, right }) = found {
        row.insert("at".to_owned(), json!(at));
        row.insert("left".to_owned(), left);
        row.insert("right".to_owned(), right);
    }
    row
}

/// The questions that a server answered, the latest first.
fn from_server(side: &Side, arguments: &Replay) -> Result<Vec<Question>, Failure> {
    let range = Range { last: Some(arguments.last.clone()), ..Range::default() };
    let (from_ns, _) = times::bounds(&range, times::now_ns())?;
    let mut specification = json!({
        "calculations": [],
        "filters": [
            {"column": "name", "op": "=", "value": "query"},
            {"column": "skein.query", "op": "exists"},
        ],
        "limit": arguments.limit,
    });
    if let (Some(from_ns), Some(members)) = (from_ns, specification.as_object_mut()) {
        members.insert("start_time".to_owned(), times::seconds_json(from_ns));
    }
    let answer = match ask(&side.client(OWN_ENVIRONMENT), "/api/v1/query", &specification) {
        Ok(answer) => answer,
        // A server that was never asked anything does not know the column.
        Err(failure) if failure.exit == Exit::Refused && failure.message().contains("skein.query") => {
            return Ok(Vec::new());
        }
        Err(failure) => return Err(failure),
    };
    let rows = answer.pointer("/data/rows").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut seen = BTreeSet::new();
    let text = |row: &Value, name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
    let questions = rows.iter().filter_map(|row| {
        let environment = text(row, "skein.environment")?;
        Some(Question { environment, specification: text(row, "skein.query")? })
    });
    Ok(questions.filter(|question| seen.insert(question.clone())).collect())
}

/// Questions of a file: a JSON object a line, with `environment` and `query`, or a specification alone.
fn from_file(path: &Path) -> Result<Vec<Question>, Failure> {
    let unreadable = |what: String| Failure::usage(format!("{} cannot be read: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let mut questions = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let value: Value = serde_json::from_str(line)
            .map_err(|error| unreadable(format!("line {}: {error}", number + 1)))?;
        let environment = value.get("environment").and_then(Value::as_str).unwrap_or("default").to_owned();
        let specification = value.get("query").unwrap_or(&value).to_string();
        questions.push(Question { environment, specification });
    }
    Ok(questions)
}

fn save(path: &Path, questions: &[Question]) -> Result<(), Failure> {
    let mut text = String::new();
    for question in questions {
        let query: Value = serde_json::from_str(&question.specification).unwrap_or_default();
        text += &format!("{}\n", json!({"environment": question.environment, "query": query}));
    }
    std::fs::write(path, text).map_err(|error| {
        Failure::new(Exit::Refused, "unavailable", format!("{} cannot be written: {error}", path.display()))
    })
}

/// The first place where two answers are not the same.
#[derive(Clone, PartialEq, Debug)]
struct Difference {
    at: String,
    left: Value,
    right: Value,
}

fn difference(left: &Value, right: &Value, tolerance: f64, at: &str) -> Option<Difference> {
    let differs = || Some(Difference { at: at.to_owned(), left: left.clone(), right: right.clone() });
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            names.into_iter().find_map(|name| {
                let (a, b) = (a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null));
                difference(a, b, tolerance, &format!("{at}/{name}"))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(place, (a, b))| difference(a, b, tolerance, &format!("{at}/{place}")))
        }
        (Value::Number(a), Value::Number(b)) if a != b => {
            let (Some(x), Some(y)) = (a.as_f64(), b.as_f64()) else { return differs() };
            let are_whole = !a.is_f64() && !b.is_f64();
            if are_whole || (x - y).abs() > tolerance * x.abs().max(y.abs()) { differs() } else { None }
        }
        (a, b) if a == b => None,
        _ => differs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: Value, right: Value, expected: Option<&str>) {
        let found = difference(&left, &right, 1e-9, "");
        assert_eq!(found.map(|found| found.at).as_deref(), expected, "{left} {right}");
    }

    #[test]
    fn answers_are_the_same_or_differ_at_a_place() {
        let answer = |count: i64, sum: f64| json!({"results": [{"data": {"COUNT": count, "SUM(x)": sum}}]});
        check(answer(5, 1.5), answer(5, 1.5), None);
        check(answer(5, 1.5), answer(5, 1.5 * (1.0 + 1e-12)), None);
        check(answer(5, 1.5), answer(5, 1.500_001), Some("/results/0/data/SUM(x)"));
        check(answer(1 << 60, 1.5), answer((1 << 60) + 1, 1.5), Some("/results/0/data/COUNT"));
        check(json!({"rows": [1, 2]}), json!({"rows": [1]}), Some("/rows"));
        check(json!({"a": null}), json!({}), None);
        check(json!({"error": "x"}), json!({"rows": []}), Some("/error"));
    }
}
