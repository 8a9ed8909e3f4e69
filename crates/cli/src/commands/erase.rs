//! `skein erase`: takes events out of every answer at once and out of the files within days, or tells how far
//! that is.

use serde_json::{Map, Value, json};

use crate::arguments::{Erase, Format};
use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{Row, write_out, write_rows};

pub(super) fn run(arguments: &Erase) -> Outcome {
    let client = Client::new(&arguments.connection);
    if arguments.status {
        return status(&client, arguments.shape.format());
    }
    let mut filters = Vec::new();
    for text in &arguments.filter {
        filters.extend(conditions(text)?);
    }
    let answer = client.post_json("/api/v1/erase", &json!({"filters": filters}))?.json()?;
    match arguments.shape.format() {
        Format::Table => {
            let id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
            write_out(|out| {
                writeln!(out, "erasure {id}: no answer holds what it takes any more.")?;
                writeln!(out, "`skein erase --status` tells when the last copy is gone.")
            })?;
        }
        _ => write_out(|out| writeln!(out, "{answer}"))?,
    }
    Ok(Exit::Done)
}

/// The conditions of one `--filter`: JSON as the API takes it, or `column operator value`.
pub(super) fn conditions(text: &str) -> Result<Vec<Value>, Failure> {
    let trimmed = text.trim();
    if trimmed.starts_with('[') || trimmed.starts_with('{') {
        let value: Value = serde_json::from_str(trimmed)
            .map_err(|error| Failure::usage(format!("--filter is not JSON: {error}")))?;
        return Ok(match value {
            Value::Array(conditions) => conditions,
            condition => vec![condition],
        });
    }
    let mut words = trimmed.splitn(3, char::is_whitespace);
    let (Some(column), Some(operator)) = (words.next().filter(|word| !word.is_empty()), words.next()) else {
        return Err(Failure::usage(format!("--filter {text}: a column, an operator and a value are needed"))
            .hint("for instance --filter 'user.id = 4711', or a JSON object with column, op and value"));
    };
    let mut condition = Map::new();
    condition.insert("column".to_owned(), column.into());
    condition.insert("op".to_owned(), operator.into());
    if let Some(value) = words.next().map(str::trim).filter(|value| !value.is_empty()) {
        // What is a number, a boolean, a list or a quoted text is meant so.
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        condition.insert("value".to_owned(), value);
    }
    Ok(vec![condition.into()])
}

fn status(client: &Client, format: Format) -> Outcome {
    let answer = client.get("/api/v1/erase")?.json()?;
    if format == Format::Json {
        write_out(|out| writeln!(out, "{answer}"))?;
        return Ok(Exit::Done);
    }
    let erasures = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Row> = erasures.iter().map(flat).collect();
    if rows.is_empty() && format == Format::Table {
        write_out(|out| writeln!(out, "nothing was ever erased in this environment"))?;
    } else {
        write_out(|out| write_rows(out, &rows, format))?;
    }
    Ok(Exit::Done)
}

/// An erasure in one row: its copies beside it.
fn flat(erasure: &Value) -> Row {
    let mut row = Row::new();
    for (name, value) in erasure.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            ("copies", Value::Object(copies)) => row.extend(copies.clone()),
            ("filter", filter) => {
                row.insert(name.clone(), filter.to_string().into());
            }
            _ => {
                row.insert(name.clone(), value.clone());
            }
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_json_or_three_words() {
        let one = |text: &str| conditions(text).map_err(|failure| failure.message().to_owned());
        let condition =
            |column: &str, op: &str, value: Value| json!({"column": column, "op": op, "value": value});
        assert_eq!(one("user.id = 4711"), Ok(vec![condition("user.id", "=", 4711.into())]));
        assert_eq!(one("user.id = \"4711\""), Ok(vec![condition("user.id", "=", "4711".into())]));
        assert_eq!(
            one(" name contains  two words "),
            Ok(vec![condition("name", "contains", "two words".into())])
        );
        assert_eq!(one("a in [1, 2]"), Ok(vec![condition("a", "in", json!([1, 2]))]));
        assert_eq!(one("a exists"), Ok(vec![json!({"column": "a", "op": "exists"})]));
        assert_eq!(
            one(r#"{"column": "a b", "op": "exists"}"#),
            Ok(vec![json!({"column": "a b", "op": "exists"})])
        );
        assert_eq!(one(r#"[{"column": "a"}, {"column": "b"}]"#).map(|list| list.len()), Ok(2));
        assert!(one("a").is_err() && one("").is_err() && one("{").is_err());
    }
}
