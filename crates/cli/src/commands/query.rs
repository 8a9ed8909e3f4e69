//! `skein query`: asks a question and lays out the answer's rows.

use std::io::Read as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::arguments::{Format, Query, Range};
use crate::client::{Answer, Client};
use crate::failure::{Exit, Failure, Outcome, Source};
use crate::output::{Row, write_out, write_rows};
use crate::progress::{Progress, tell};
use crate::times;

/// A specification is a question, not data.
const SPECIFICATION_BYTES_MAX: u64 = 1 << 20;

/// How often a question that takes long is asked about.
const POLL: Duration = Duration::from_millis(250);

pub(super) fn run(arguments: &Query) -> Outcome {
    let client = Client::new(&arguments.connection);
    let now_ns = times::now_ns();
    let (path, body, source) = if let Some(file) = &arguments.spec {
        let specification = with_range(read_specification(file)?, &arguments.range, now_ns)?;
        ("/api/v1/query", specification.clone(), Source::Specification(specification))
    } else {
        let (path, text) = match (&arguments.sql, &arguments.text) {
            (Some(sql), _) => ("/api/v1/sql", sql.clone()),
            (None, text) => ("/api/v1/insights", text.clone().unwrap_or_default()),
        };
        let body = with_range(json!({"query": text}), &arguments.range, now_ns)?;
        (path, body, Source::Text(text))
    };
    let body = ask(&client, path, &body).map_err(|failure| failure.of(source))?;
    show(&body, arguments)
}

pub(super) fn read_specification(file: &str) -> Result<Value, Failure> {
    let unreadable = |error: std::io::Error| Failure::usage(format!("{file} cannot be read: {error}"));
    let mut text = String::new();
    let count = if file == "-" {
        std::io::stdin().lock().take(SPECIFICATION_BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(file)
            .and_then(|open| open.take(SPECIFICATION_BYTES_MAX + 1).read_to_string(&mut text))
    };
    if count.map_err(unreadable)? as u64 > SPECIFICATION_BYTES_MAX {
        return Err(Failure::usage(format!("{file} is larger than {SPECIFICATION_BYTES_MAX} bytes")));
    }
    serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{file} is not JSON: {error}")))
}

/// What the command line says about time and datasets replaces what the specification says.
pub(super) fn with_range(mut body: Value, range: &Range, now_ns: i64) -> Result<Value, Failure> {
    let (from_ns, to_ns) = times::bounds(range, now_ns)?;
    let Some(members) = body.as_object_mut() else { return Ok(body) };
    if from_ns.is_some() || to_ns.is_some() {
        for name in ["start_time", "end_time", "time_range"] {
            members.remove(name);
        }
    }
    if let Some(from_ns) = from_ns {
        members.insert("start_time".to_owned(), times::seconds_json(from_ns));
    }
    if let Some(to_ns) = to_ns {
        members.insert("end_time".to_owned(), times::seconds_json(to_ns));
    }
    if !range.datasets.is_empty() {
        members.insert("datasets".to_owned(), json!(range.datasets));
    }
    Ok(body)
}

/// Asks and waits until the answer is whole.
pub(super) fn ask(client: &Client, path: &str, body: &Value) -> Result<Value, Failure> {
    let answer = client.post_json(path, body)?;
    let mut value = answer.json()?;
    if answer.status != 202 {
        return Ok(value);
    }
    let progress = Progress::bytes("query", 100);
    let mut told = 0;
    loop {
        let Some(id) = value.get("id").and_then(Value::as_str) else {
            return Err(Failure::new(Exit::Refused, "internal", "the server's answer has no id"));
        };
        let percent = percent(&value);
        progress.add(percent.saturating_sub(told));
        told = told.max(percent);
        std::thread::sleep(POLL);
        let answer: Answer = client.get(&format!("/api/v1/query/{id}"))?;
        value = answer.json()?;
        if answer.status != 202 {
            progress.finish();
            return Ok(value);
        }
    }
}

fn percent(answer: &Value) -> u64 {
    let fraction = answer.get("progress").and_then(Value::as_f64).unwrap_or(0.0);
    (0..100).rev().find(|percent| fraction * 100.0 >= *percent as f64).unwrap_or(0)
}

fn show(body: &Value, arguments: &Query) -> Outcome {
    let format = arguments.shape.format();
    if format == Format::Json && arguments.shape.full {
        write_out(|out| writeln!(out, "{body}"))?;
        return Ok(Exit::Done);
    }
    let mut rows = rows(body);
    if matches!(format, Format::Table | Format::Csv) {
        rows = in_columns(body, rows);
    }
    write_out(|out| write_rows(out, &rows, format))?;
    if format == Format::Table {
        tell(&footer(body, rows.len()));
    }
    for warning in warnings(body) {
        if format != Format::Json {
            tell(&warning);
        }
    }
    Ok(Exit::Done)
}

/// The rows of an answer: raw rows as they are; a series with its times; otherwise the groups.
fn rows(body: &Value) -> Vec<Row> {
    let data = body.get("data");
    let list = |name: &str| data.and_then(|data| data.get(name)).and_then(Value::as_array);
    if let Some(rows) = list("rows") {
        return rows.iter().filter_map(|row| row.as_object().cloned()).collect();
    }
    let entries = match list("series") {
        Some(series) => series,
        None => match list("results") {
            Some(results) => results,
            None => return Vec::new(),
        },
    };
    entries
        .iter()
        .map(|entry| {
            let mut row = Map::new();
            if let Some(time) = entry.get("time") {
                row.insert("time".to_owned(), time.clone());
            }
            if let Some(data) = entry.get("data").and_then(Value::as_object) {
                row.extend(data.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            row
        })
        .collect()
}

/// Rows with exactly the columns that the answer names, in their order: what is no column is for programs.
fn in_columns(body: &Value, rows: Vec<Row>) -> Vec<Row> {
    let columns = body.get("data").and_then(|data| data.get("columns")).and_then(Value::as_array);
    let Some(columns) = columns else { return rows };
    let names: Vec<&str> = columns.iter().filter_map(|column| column.get("name")?.as_str()).collect();
    let of_row = |mut row: Row| {
        names.iter().map(|name| ((*name).to_owned(), row.remove(*name).unwrap_or(Value::Null))).collect()
    };
    rows.into_iter().map(of_row).collect()
}

fn footer(body: &Value, count: usize) -> String {
    let meta = |name: &str| body.get("meta").and_then(|meta| meta.get(name));
    let plain = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(value) => format!("{value:.1}"),
            None => number.to_string(),
        },
        _ => "?".to_owned(),
    };
    format!(
        "{count} {}; {} events scanned in {} ms; complete to {}",
        if count == 1 { "row" } else { "rows" },
        plain(meta("rows_scanned")),
        plain(meta("elapsed_ms")),
        plain(meta("complete_to")),
    )
}

fn warnings(body: &Value) -> Vec<String> {
    let warnings = body.get("meta").and_then(|meta| meta.get("warnings")).and_then(Value::as_array);
    let Some(warnings) = warnings else { return Vec::new() };
    let message = |warning: &Value| warning.get("message").and_then(Value::as_str).map(str::to_owned);
    warnings.iter().filter_map(message).map(|message| format!("warning: {message}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_over_the_specification() {
        let range =
            Range { from: Some("now-1h".to_owned()), datasets: vec!["a".to_owned()], ..Range::default() };
        let specification = json!({"time_range": 60, "end_time": 5, "datasets": ["b"], "limit": 3});
        let body = with_range(specification, &range, 7_200_000_000_000).unwrap();
        assert_eq!(body, json!({"limit": 3, "start_time": 3_600, "datasets": ["a"]}));
        let kept = with_range(json!({"time_range": 60}), &Range::default(), 0).unwrap();
        assert_eq!(kept, json!({"time_range": 60}));
    }

    #[test]
    fn rows_are_taken_from_each_kind_of_answer() {
        let groups = json!({"data": {"results": [{"data": {"a": "x", "COUNT": 1}, "stats": {}}]}});
        assert_eq!(json!(rows(&groups)), json!([{"a": "x", "COUNT": 1}]));
        let series = json!({"data": {"results": [], "series": [{"time": "t", "data": {"COUNT": 1}}]}});
        assert_eq!(json!(rows(&series)), json!([{"time": "t", "COUNT": 1}]));
        let raw = json!({"data": {"rows": [{"timestamp": "t", "event.id": "0-0-0"}]}});
        assert_eq!(json!(rows(&raw)), json!([{"timestamp": "t", "event.id": "0-0-0"}]));
        assert!(rows(&json!({})).is_empty());
        let insights = json!({"data": {
            "columns": [{"name": "b", "type": "i64"}, {"name": "a", "type": "text"}],
            "rows": [{"a": "x", "@ptr": "0-0-0"}],
        }});
        assert_eq!(json!(rows(&insights)), json!([{"a": "x", "@ptr": "0-0-0"}]));
        assert_eq!(json!(in_columns(&insights, rows(&insights))), json!([{"b": null, "a": "x"}]));
    }
}
