//! Answers as JSON, as CONTRACT.md writes them: for the API, the command line and golden tests alike.

use std::collections::BTreeSet;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value as Json, json};
use skein_event::value::{Value, canonical_f64};

use crate::error::{Location, QueryError};
use crate::plan::TimeRange;
use crate::result::{Cell, CellValue, Data, FlatRow, Groups, Meta, QueryResult, Stats};
use crate::time_text::format_ns;

/// Integers beyond this are strings, since JavaScript would change them: 2^53 − 1.
const SAFE_INTEGER_MAX: i64 = (1 << 53) - 1;

/// The member `data` of an answer.
pub fn data(result: &QueryResult) -> Json {
    match &result.data {
        Data::Nothing => json!({}),
        Data::Groups(groups) => groups_json(groups),
        Data::Rows(rows) => {
            let mut data = Map::new();
            data.insert("rows".to_owned(), rows.rows.iter().map(row).collect());
            if let Some(next) = &rows.next {
                data.insert("next".to_owned(), json!(next));
            }
            Json::Object(data)
        }
    }
}

fn groups_json(groups: &Groups) -> Json {
    let mut data = Map::new();
    let results = groups.results.iter().map(|group| {
        let key = key_members(groups, &group.key);
        json!({"data": Json::Object(with_cells(key, groups, &group.cells)), "stats": cell_stats(groups, &group.cells)})
    });
    data.insert("results".to_owned(), results.collect());
    if let Some(series) = &groups.series {
        let entries = series.iter().map(|entry| {
            let key = groups.results.get(entry.group).map(|group| key_members(groups, &group.key));
            json!({
                "time": format_ns(entry.time_ns),
                "data": Json::Object(with_cells(key.unwrap_or_default(), groups, &entry.cells)),
                "stats": cell_stats(groups, &entry.cells),
            })
        });
        data.insert("series".to_owned(), entries.collect());
    }
    data.insert("total".to_owned(), Json::Object(with_cells(Map::new(), groups, &groups.total)));
    data.insert("total_stats".to_owned(), cell_stats(groups, &groups.total));
    if let Some(other) = &groups.other {
        data.insert("other".to_owned(), Json::Object(with_cells(Map::new(), groups, other)));
        data.insert("other_stats".to_owned(), cell_stats(groups, other));
    }
    if let Some(compared) = &groups.compare {
        let mut earlier = groups_json(&compared.groups);
        earlier["time_range"] = time_range(compared.time_range);
        data.insert("compare".to_owned(), earlier);
    }
    Json::Object(data)
}

fn key_members(groups: &Groups, key: &[Option<Value>]) -> Map<String, Json> {
    let member = |(name, value): (&std::sync::Arc<str>, &Option<Value>)| {
        (name.to_string(), value.as_ref().map_or(Json::Null, json_value))
    };
    groups.breakdowns.iter().zip(key).map(member).collect()
}

fn with_cells(mut members: Map<String, Json>, groups: &Groups, cells: &[Cell]) -> Map<String, Json> {
    for (name, cell) in groups.calculations.iter().zip(cells) {
        members.insert(name.clone(), cell_json(&cell.value));
    }
    members
}

fn cell_stats(groups: &Groups, cells: &[Cell]) -> Json {
    let stats = groups.calculations.iter().zip(cells).map(|(name, cell)| (name.clone(), stats(&cell.stats)));
    Json::Object(stats.collect())
}

fn stats(stats: &Stats) -> Json {
    json!({
        "lo95": stats.lo95.map(double),
        "hi95": stats.hi95.map(double),
        "exact": stats.exact,
        "n_traces": stats.n_traces,
        "reliable": stats.reliable,
    })
}

fn cell_json(value: &CellValue) -> Json {
    match value {
        CellValue::Missing => Json::Null,
        CellValue::I64(value) => integer(*value),
        CellValue::F64(value) => double(*value),
        CellValue::Histogram { edges, counts } => json!({
            "edges": edges.iter().copied().map(double).collect::<Vec<_>>(),
            "counts": counts.iter().copied().map(double).collect::<Vec<_>>(),
        }),
    }
}

/// A raw row: a flat object of its present columns.
pub fn row(row: &FlatRow) -> Json {
    let mut members = Map::new();
    members.insert("timestamp".to_owned(), json!(format_ns(row.time_ns)));
    members.insert("event.id".to_owned(), json!(row.event_id.to_string()));
    members.insert("meta.ingest_time".to_owned(), json!(format_ns(row.ingest_time_ns)));
    for (name, value) in &row.fields {
        members.insert(name.to_string(), json_value(value));
    }
    Json::Object(members)
}

/// The same, written without building it first: a trace or an export has thousands of values.
pub struct RowText<'a> {
    /// The event.
    pub row: &'a FlatRow,
    /// Only columns of these names; all when there are none given.
    pub only: Option<&'a BTreeSet<&'a str>>,
}

impl Serialize for RowText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let RowText { row, only } = *self;
        let wants = |name: &str| only.is_none_or(|only| only.contains(name));
        let mut members = serializer.serialize_map(None)?;
        // Each name once: the three of every event are no fields.
        if wants("timestamp") {
            members.serialize_entry("timestamp", &format_ns(row.time_ns))?;
        }
        if wants("event.id") {
            members.serialize_entry("event.id", &row.event_id.to_string())?;
        }
        if wants("meta.ingest_time") {
            members.serialize_entry("meta.ingest_time", &format_ns(row.ingest_time_ns))?;
        }
        for (name, value) in row.fields.iter().filter(|(name, _)| wants(name)) {
            members.serialize_entry(&**name, &ValueText(value))?;
        }
        members.end()
    }
}

/// A value as [`json_value`] gives it.
struct ValueText<'a>(&'a Value);

impl Serialize for ValueText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Text(text) => serializer.serialize_str(text),
            Value::I64(_) | Value::F64(_) | Value::Bytes(_) | Value::Json(_) => {
                json_value(self.0).serialize(serializer)
            }
        }
    }
}

/// A value: i64 as an integer, beyond ±(2^53 − 1) as a string; NaN and infinities as strings; bytes as base64;
/// a typed OTLP value as the JSON it stands for.
pub fn json_value(value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::I64(value) => integer(*value),
        Value::F64(value) => double(*value),
        Value::Text(text) => json!(text),
        Value::Bytes(_) => json!(value.canonical_text()),
        Value::Json(_) => {
            let text = value.canonical_text();
            serde_json::from_str(&text).unwrap_or_else(|_| json!(text))
        }
    }
}

fn integer(value: i64) -> Json {
    if value.abs_diff(0) > SAFE_INTEGER_MAX.unsigned_abs() { json!(value.to_string()) } else { json!(value) }
}

fn double(value: f64) -> Json {
    const SAFE_BOUND: f64 = 9_007_199_254_740_992.0;
    if !value.is_finite() {
        return json!(canonical_f64(value));
    }
    // A whole double is written as the integer it is: 1.0 is 1.
    if value.fract() == 0.0 && value.abs() < SAFE_BOUND {
        #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
        return json!(value as i64);
    }
    json!(value)
}

fn time_range(range: TimeRange) -> Json {
    json!({"start": format_ns(range.start_ns), "end": format_ns(range.end_ns)})
}

/// The member `meta` of an answer.
pub fn meta(meta: &Meta) -> Json {
    let range = meta.time_range.map(time_range);
    let warnings: Vec<Json> = meta
        .warnings
        .iter()
        .map(|warning| json!({"code": warning.code, "message": warning.message}))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a duration in milliseconds is a double")]
    let elapsed_ms = meta.elapsed_ns as f64 / 1e6;
    json!({
        "elapsed_ms": elapsed_ms,
        "rows_scanned": meta.rows_scanned,
        "rows_matched": meta.rows_matched,
        "bytes_scanned": meta.bytes_scanned,
        "segments": {
            "considered": meta.segments.considered,
            "pruned": meta.segments.pruned,
            "scanned": meta.segments.scanned,
        },
        "engine": "native",
        "complete_to": format_ns(meta.complete_to_ns),
        "time_range": range,
        "warnings": warnings,
    })
}

/// The members of an error that a query knows; the API adds `retry_after_ms` and `request_id`.
pub fn error(error: &QueryError) -> Json {
    let mut members = Map::new();
    members.insert("code".to_owned(), json!(error.kind().code()));
    members.insert("message".to_owned(), json!(error.message()));
    match error.location() {
        Some(Location::Path(path)) => {
            members.insert("path".to_owned(), json!(path));
        }
        Some(Location::Inside { path, start, end }) => {
            members.insert("path".to_owned(), json!(path));
            members.insert("span".to_owned(), json!({"start": start, "end": end}));
        }
        Some(Location::Span { start, end }) => {
            members.insert("span".to_owned(), json!({"start": start, "end": end}));
        }
        None => {}
    }
    if !error.candidate_list().is_empty() {
        members.insert("candidates".to_owned(), json!(error.candidate_list()));
    }
    if let Some(hint) = error.hint_text() {
        members.insert("hint".to_owned(), json!(hint));
    }
    Json::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_written_as_it_is_built() {
        use skein_event::ids::{EventId, Offset, Partition};
        let values = [
            ("a", Value::Text("\"quoted\"\n\u{1F980}".to_owned())),
            ("b", Value::I64(1 << 60)),
            ("c", Value::F64(f64::NAN)),
            ("d", Value::F64(0.1)),
            ("e", Value::Bool(true)),
            ("f", Value::Bytes(vec![0, 255])),
            ("g", Value::Json(vec![10, 1, b'x'])),
        ];
        let fields = values.map(|(name, value)| (name.into(), value)).to_vec();
        let event_id = EventId { partition: Partition(1), offset: Offset(2), index: 3 };
        let flat = FlatRow { time_ns: 1_700_000_000_123_456_789, ingest_time_ns: 5, event_id, fields };
        let text = serde_json::to_string(&RowText { row: &flat, only: None }).expect("writes");
        assert_eq!(text, row(&flat).to_string());
        let only = BTreeSet::from(["b", "event.id", "unknown"]);
        let some = serde_json::to_value(RowText { row: &flat, only: Some(&only) }).expect("writes");
        assert_eq!(some, json!({"event.id": event_id.to_string(), "b": (1_i64 << 60).to_string()}));
    }

    #[test]
    fn values_keep_what_json_would_lose() {
        for (value, expected) in [
            (Value::I64(9_007_199_254_740_991), json!(9_007_199_254_740_991_i64)),
            (Value::I64(9_007_199_254_740_992), json!("9007199254740992")),
            (Value::I64(i64::MIN), json!("-9223372036854775808")),
            (Value::F64(f64::NAN), json!("NaN")),
            (Value::F64(f64::NEG_INFINITY), json!("-Infinity")),
            (Value::F64(0.5), json!(0.5)),
            (Value::F64(2.0), json!(2)),
            (Value::Bytes(vec![65, 66]), json!("QUI=")),
            (Value::Json(vec![10, 1, b'x']), json!("x")),
            (Value::Bool(false), json!(false)),
        ] {
            assert_eq!(json_value(&value), expected, "{value:?}");
        }
    }
}
