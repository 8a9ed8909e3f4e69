//! Rows on their way out: a table, JSON, CSV or a JSON object a line.

use std::io::{BufWriter, Write};

use serde_json::{Map, Value};

use crate::arguments::Format;
use crate::failure::{Exit, Failure};

/// A flat row.
pub(crate) type Row = Map<String, Value>;

/// A cell of a table shows at most this many characters; other formats show everything.
const CELL_CHARACTERS_MAX: usize = 80;

/// Writes to stdout. A reader that has gone away (`| head`) ends the process quietly.
pub(crate) fn write_out(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(
            Exit::Incomplete,
            "unavailable",
            format!("the answer cannot be written: {error}"),
        )),
    }
}

/// Writes rows in a format.
pub(crate) fn write_rows(out: &mut dyn Write, rows: &[Row], format: Format) -> std::io::Result<()> {
    match format {
        Format::Table => write_table(out, rows),
        Format::Json => {
            serde_json::to_writer(&mut *out, rows)?;
            out.write_all(b"\n")
        }
        Format::Csv => write_csv(out, rows),
        Format::Ndjson => {
            for row in rows {
                serde_json::to_writer(&mut *out, row)?;
                out.write_all(b"\n")?;
            }
            Ok(())
        }
    }
}

/// The names of all rows, in the order they first appear.
fn columns(rows: &[Row]) -> Vec<&str> {
    let mut seen = std::collections::HashSet::new();
    rows.iter().flat_map(Map::keys).map(String::as_str).filter(|name| seen.insert(*name)).collect()
}

/// Aligned columns, numbers to the right.
fn write_table(out: &mut dyn Write, rows: &[Row]) -> std::io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "no rows");
    }
    let columns = columns(rows);
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| columns.iter().map(|name| row.get(*name).map_or_else(String::new, cell)).collect())
        .collect();
    let numeric: Vec<bool> = columns
        .iter()
        .map(|name| {
            rows.iter().filter_map(|row| row.get(*name)).all(|value| value.is_number() || value.is_null())
        })
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let widest = cells.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count()).max();
            widest.unwrap_or(0).max(name.chars().count())
        })
        .collect();
    let header: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
    write_line(out, &header, &widths, &numeric)?;
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    write_line(out, &rule, &widths, &numeric)?;
    for row in &cells {
        write_line(out, row, &widths, &numeric)?;
    }
    Ok(())
}

fn write_line(
    out: &mut dyn Write,
    cells: &[String],
    widths: &[usize],
    numeric: &[bool],
) -> std::io::Result<()> {
    let mut line = String::new();
    for ((cell, width), numeric) in cells.iter().zip(widths).zip(numeric) {
        let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
        if !line.is_empty() {
            line.push_str("  ");
        }
        if *numeric {
            line.push_str(&padding);
            line.push_str(cell);
        } else {
            line.push_str(cell);
            line.push_str(&padding);
        }
    }
    writeln!(out, "{}", line.trim_end())
}

/// A value as a cell of a table: one line of bounded length, numbers to three decimals.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number_text(number),
        Value::Object(object) if object.contains_key("edges") => histogram(object),
        other => other.to_string(),
    };
    let mut shown: String = text
        .chars()
        .take(CELL_CHARACTERS_MAX + 1)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if shown.chars().count() > CELL_CHARACTERS_MAX {
        shown = shown.chars().take(CELL_CHARACTERS_MAX - 1).collect();
        shown.push('…');
    }
    shown
}

fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(value) if value.abs() >= 0.001 && value.abs() < 1e15 => format!("{value:.3}"),
        _ => number.to_string(),
    }
}

/// The counts of a histogram as bars of eight heights.
fn histogram(object: &Map<String, Value>) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let counts: Vec<f64> = match object.get("counts").and_then(Value::as_array) {
        Some(counts) => counts.iter().filter_map(Value::as_f64).collect(),
        None => Vec::new(),
    };
    let most = counts.iter().copied().fold(0.0, f64::max);
    let bar = |count: f64| {
        let eighth = BARS.iter().enumerate().rev().find(|(index, _)| count * 8.0 >= most * (*index as f64));
        eighth.map_or(' ', |(_, bar)| *bar)
    };
    counts.into_iter().map(|count| if count > 0.0 { bar(count) } else { ' ' }).collect()
}

fn write_csv(out: &mut dyn Write, rows: &[Row]) -> std::io::Result<()> {
    let columns = columns(rows);
    if columns.is_empty() {
        return Ok(());
    }
    let header: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    write!(out, "{}\r\n", header.join(","))?;
    for row in rows {
        let fields: Vec<String> = columns
            .iter()
            .map(|name| match row.get(*name) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => quoted(text),
                Some(other) => quoted(&other.to_string()),
            })
            .collect();
        write!(out, "{}\r\n", fields.join(","))?;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows() -> Vec<Row> {
        let rows = json!([
            {"service.name": "cart", "COUNT": 12, "P99(duration_ms)": 7.25},
            {"service.name": "a,\"b\"\n", "COUNT": 1234, "extra": null},
        ]);
        serde_json::from_value(rows).unwrap()
    }

    fn check(format: Format, expected: &str) {
        let mut out = Vec::new();
        write_rows(&mut out, &rows(), format).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{format:?}");
    }

    #[test]
    fn rows_have_one_form_in_each_format() {
        check(
            Format::Table,
            concat!(
                "service.name  COUNT  P99(duration_ms)  extra\n",
                "────────────  ─────  ────────────────  ─────\n",
                "cart             12             7.250\n",
                "a,\"b\"          1234\n",
            ),
        );
        check(
            Format::Csv,
            "service.name,COUNT,P99(duration_ms),extra\r\ncart,12,7.25,\r\n\"a,\"\"b\"\"\n\",1234,,\r\n",
        );
        check(
            Format::Ndjson,
            concat!(
                "{\"service.name\":\"cart\",\"COUNT\":12,\"P99(duration_ms)\":7.25}\n",
                "{\"service.name\":\"a,\\\"b\\\"\\n\",\"COUNT\":1234,\"extra\":null}\n",
            ),
        );
    }

    #[test]
    fn a_histogram_is_drawn() {
        assert_eq!(cell(&json!({"edges": [0, 1, 2, 3, 4], "counts": [0, 1, 4, 8]})), " ▂▅█");
        assert_eq!(cell(&json!({"edges": [], "counts": []})), "");
    }

    #[test]
    fn a_long_cell_is_cut() {
        assert_eq!(cell(&json!("x".repeat(200))).chars().count(), CELL_CHARACTERS_MAX);
        assert_eq!(cell(&json!("a\u{1b}[31mb")), "a [31mb");
    }
}
