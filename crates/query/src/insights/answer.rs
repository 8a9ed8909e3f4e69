//! The answer to a query: columns and rows, and how they are written.

use serde_json::{Map, Value as Json, json};
use skein_event::ids::EventId;

use super::datum::Datum;
use super::plan::InsightsPlan;
use super::run::Row;
use crate::result::Meta;

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// Names of the columns, and the type that their values have.
    pub columns: Vec<(String, &'static str)>,
    /// A value for each column.
    pub rows: Vec<Vec<Datum>>,
    /// The event of each row, if rows are events.
    pub events: Option<Vec<EventId>>,
    /// How it came about.
    pub meta: Meta,
}

impl Answer {
    /// The columns that a plan shows of rows.
    pub fn new(plan: &InsightsPlan, rows: &[Row], meta: Meta) -> Answer {
        let values = |row: &Row| {
            let value =
                |(_, slot): &(String, usize)| row.values.get(*slot).cloned().unwrap_or(Datum::Missing);
            plan.columns.iter().map(value).collect::<Vec<_>>()
        };
        let shown: Vec<Vec<Datum>> = rows.iter().map(values).collect();
        let column = |(place, (name, _)): (usize, &(String, usize))| {
            (name.clone(), type_of(shown.iter().filter_map(|row| row.get(place))))
        };
        let columns = plan.columns.iter().enumerate().map(column).collect();
        let events = plan.of_events.then(|| rows.iter().map(|row| row.id).collect());
        Answer { columns, rows: shown, events, meta }
    }
}

/// The one type that values have; text when they have several, or none.
fn type_of<'v>(values: impl Iterator<Item = &'v Datum>) -> &'static str {
    let mut found = None;
    for value in values {
        let name = match value {
            Datum::Missing => continue,
            Datum::Bool(_) => "bool",
            Datum::I64(_) => "i64",
            Datum::F64(_) => "f64",
            Datum::Text(_) => "text",
            Datum::Time(_) => "time",
            Datum::Json(_) => "json",
        };
        found = match found {
            None => Some(name),
            Some(known) if known == name => found,
            Some("i64" | "f64") if matches!(name, "i64" | "f64") => Some("f64"),
            Some(_) => return "text",
        };
    }
    found.unwrap_or("text")
}

/// The member `data` of an answer: `columns` with name and type, and `rows` as objects. A value that is missing is left out;
/// rows of events have `@ptr`, which names the event and is no column.
pub fn data(answer: &Answer) -> Json {
    let columns: Vec<Json> =
        answer.columns.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
    let row = |(place, values): (usize, &Vec<Datum>)| {
        let mut members = Map::new();
        for ((name, _), value) in answer.columns.iter().zip(values) {
            if *value != Datum::Missing {
                members.insert(name.clone(), value.to_json());
            }
        }
        if let Some(id) = answer.events.as_ref().and_then(|events| events.get(place)) {
            members.entry("@ptr").or_insert_with(|| json!(id.to_string()));
        }
        Json::Object(members)
    };
    json!({"columns": columns, "rows": answer.rows.iter().enumerate().map(row).collect::<Vec<_>>()})
}
