//! `skein trace`: everything of one trace. On a terminal a waterfall with the logs in place; in a pipe the
//! API's own answer.

mod waterfall;

use serde_json::Value;

use crate::arguments::{Format, Trace};
use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome, Source};
use crate::output::{Row, write_out, write_rows};

pub(super) fn run(arguments: &Trace) -> Outcome {
    let id = arguments.id.trim();
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return Err(Failure::usage(format!("{id} is no trace id"))
            .hint("32 or 16 hex digits, or X-Ray's 1-<8 hex>-<24 hex>")
            .of(Source::Text(id.to_owned())));
    }
    let client = Client::new(&arguments.connection);
    let body = client.get(&format!("/api/v1/traces/{id}"))?.json()?;
    match arguments.shape.format() {
        Format::Json => write_out(|out| writeln!(out, "{body}"))?,
        Format::Table => {
            let text = waterfall::draw(&body);
            write_out(|out| out.write_all(text.as_bytes()))?;
        }
        format => {
            let rows = in_order(&body);
            write_out(|out| write_rows(out, &rows, format))?;
        }
    }
    Ok(Exit::Done)
}

fn list(body: &Value, name: &str) -> Vec<Row> {
    let rows = body.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    rows.iter().filter_map(|row| row.as_object().cloned()).collect()
}

/// Spans and logs in one sequence by time; what has the same time stays as the server ordered it.
fn in_order(body: &Value) -> Vec<Row> {
    let mut rows = list(body, "spans");
    rows.extend(list(body, "logs"));
    // RFC 3339 in UTC with nine digits: text order is time order.
    rows.sort_by(|a, b| text(a, "timestamp").cmp(text(b, "timestamp")));
    rows
}

fn text<'a>(row: &'a Row, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}
