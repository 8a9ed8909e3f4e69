//! What the shapes ask about, found in the data by asking the server.

use std::collections::HashMap;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::http::Connection;
use crate::process::Server;
use crate::questions::ask;

/// Columns whose values are counted at once.
const COLUMNS: usize = 40;

/// Log messages that words are taken from.
const MESSAGES: usize = 2_000;

/// Shortest common word, and shortest rare one.
const COMMON_LENGTH: usize = 5;
const RARE_LENGTH: usize = 8;

/// The subject of all shapes.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// Whole seconds.
    pub(crate) times: (i64, i64),
    /// Thirty minutes in the middle.
    pub(crate) half_hour: (i64, i64),
    /// The service with most spans.
    pub(crate) service: String,
    /// Its 95th percentile.
    pub(crate) slow_ms: f64,
    /// A word that many messages hold, and one that next to none does.
    pub(crate) common: String,
    pub(crate) rare: String,
    /// Text columns that the service fills most often.
    pub(crate) columns: Vec<String>,
}

impl Subject {
    /// Looks for it.
    pub(crate) fn find(server: &Server, times: (i64, i64)) -> anyhow::Result<Subject> {
        let mut connection = Connection::open(&server.http)?;
        let most = json!([{"op": "COUNT", "order": "descending"}]);
        let services = json!({
            "calculations": [{"op": "COUNT"}, {"op": "P95", "column": "duration_ms"}],
            "breakdowns": ["service.name"], "orders": most, "limit": 1,
            "filters": [{"column": "duration_ms", "op": "exists"}],
        });
        let answer = ask(&mut connection, &services, times)?;
        let first = &answer["data"]["results"][0]["data"];
        let service = first["service.name"].as_str().context("no service")?.to_owned();
        let slow_ms = first["P95(duration_ms)"].as_f64().context("no durations")?;
        let (common, rare) = words(&mut connection, times)?;
        let columns = columns(&mut connection, &service, times)?;
        let middle = times.0.midpoint(times.1);
        Ok(Subject { times, half_hour: (middle, middle + 1_800), service, slow_ms, common, rare, columns })
    }

    /// In a sentence.
    pub(crate) fn sentence(&self) -> String {
        format!(
            "Asked of service `{}`, slow is {:.3} ms and more; the common word is `{}`, the rare one `{}`; {} columns \
             in shape 8.",
            self.service,
            self.slow_ms,
            self.common,
            self.rare,
            self.columns.len()
        )
    }
}

/// A common and a rare word of some log messages.
fn words(connection: &mut Connection, times: (i64, i64)) -> anyhow::Result<(String, String)> {
    let messages = json!({
        "calculations": [], "limit": MESSAGES,
        "filters": [{"column": "meta.signal_type", "op": "=", "value": "log"}, {"column": "body", "op": "exists"}],
    });
    let answer = ask(connection, &messages, times)?;
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for row in answer["data"]["rows"].as_array().context("no rows")? {
        for word in row["body"].as_str().unwrap_or_default().split(|c: char| !c.is_ascii_alphanumeric()) {
            *counts.entry(word).or_default() += 1;
        }
    }
    let letters = |word: &&str| word.bytes().all(|byte| byte.is_ascii_alphabetic());
    // Of the words of a template, the one that a twentieth of all messages hold; of equals, the first.
    let common = counts
        .iter()
        .filter(|(word, _)| word.len() >= COMMON_LENGTH && letters(word))
        .min_by_key(|(word, count)| (count.abs_diff(MESSAGES / 20), **word));
    let rare = counts.iter().filter(|(word, _)| word.len() >= RARE_LENGTH && !letters(word));
    let rare = rare.min_by_key(|(word, count)| (**count, **word));
    let text = |found: Option<(&&str, &usize)>| Some((*found?.0).to_owned());
    text(common).zip(text(rare)).context("no words in log messages")
}

/// Text columns of a service, most often filled first, ids left out.
fn columns(connection: &mut Connection, service: &str, times: (i64, i64)) -> anyhow::Result<Vec<String>> {
    let rows = json!({"calculations": [], "limit": MESSAGES,
        "filters": [{"column": "service.name", "op": "=", "value": service}, {"column": "duration_ms", "op": "exists"}]});
    let answer = ask(connection, &rows, times)?;
    let rows = answer["data"]["rows"].as_array().context("no rows")?;
    let mut filled: HashMap<&str, (usize, HashMap<&str, ()>)> = HashMap::new();
    for (name, value) in rows.iter().filter_map(Value::as_object).flatten() {
        if let Some(text) = value.as_str() {
            let (count, values) = filled.entry(name).or_default();
            *count += 1;
            values.insert(text, ());
        }
    }
    let fixed = |name: &str| {
        ["timestamp", "event.id", "dataset", "name"].contains(&name)
            || ["meta.", "trace.", "links"].iter().any(|prefix| name.starts_with(prefix))
    };
    let mut names: Vec<(usize, &str)> = filled
        .iter()
        // A column of which every value differs has no values to count.
        .filter(|(name, (count, values))| !fixed(name) && values.len() * 2 < (*count).max(4))
        .map(|(name, (count, _))| (*count, *name))
        .collect();
    names.sort_by_key(|(count, name)| (std::cmp::Reverse(*count), *name));
    names.truncate(COLUMNS);
    Ok(names.into_iter().map(|(_, name)| name.to_owned()).collect())
}
