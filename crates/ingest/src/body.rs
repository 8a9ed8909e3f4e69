//! The fields of a log body that is a JSON object become columns; the raw body stays as it came.
//!
//! The columns have origin `Body` and are derived: they are named by the dotted path of the field, nested to
//! the same depth as attributes, and never exported. Text that merely looks like JSON stays text.

use serde_json::{Map, Number, Value as Json};
use skein_event::batch::Origin;
use skein_event::limits::{COLUMN_NAME_BYTES_MAX, FLATTEN_DEPTH_MAX};

use crate::any_value::{array, boolean, double, integer, kvlist, push_element, push_entry, text};
use crate::attribute::{Value, for_each_element, read_entry, read_value};
use crate::rows::Rows;
use crate::trace_id::Candidates;
use crate::wire::{Malformed, is_utf8};

/// The object that a text body is, if it is one. serde_json stops at 128 levels; deeper text stays text.
pub(crate) fn parse_object(body: &[u8]) -> Option<Map<String, Json>> {
    let trimmed = body.trim_ascii();
    if !trimmed.starts_with(b"{") || !trimmed.ends_with(b"}") {
        return None;
    }
    serde_json::from_slice(trimmed).ok()
}

/// Writes the fields of a JSON object.
pub(crate) fn write_object(
    rows: &mut Rows,
    row: u32,
    object: &Map<String, Json>,
    candidates: &mut Candidates,
) {
    let mut name = String::new();
    write_members(rows, row, object, &mut name, 0, candidates);
}

fn write_members(
    rows: &mut Rows,
    row: u32,
    object: &Map<String, Json>,
    name: &mut String,
    depth: usize,
    candidates: &mut Candidates,
) {
    for (key, value) in object {
        let before = name.len();
        name.push_str(key);
        match value {
            Json::Object(members) if depth < FLATTEN_DEPTH_MAX && name.len() <= COLUMN_NAME_BYTES_MAX => {
                name.push('.');
                write_members(rows, row, members, name, depth + 1, candidates);
            }
            Json::Null => {}
            _ if name.is_empty() => {}
            value => {
                let message = any_value(value);
                if let Ok(value) = read_value(&message) {
                    candidates.offer(name.as_bytes(), value);
                    rows.derived(row, Origin::Body, name.as_bytes(), value, &message);
                }
            }
        }
        name.truncate(before);
    }
}

/// Writes the entries of a kvlist body, whose message was inspected before.
pub(crate) fn write_kvlist(
    rows: &mut Rows,
    row: u32,
    map: &[u8],
    candidates: &mut Candidates,
) -> Result<(), Malformed> {
    write_entries(rows, row, map, &mut Vec::new(), 0, candidates)
}

fn write_entries(
    rows: &mut Rows,
    row: u32,
    map: &[u8],
    name: &mut Vec<u8>,
    depth: usize,
    candidates: &mut Candidates,
) -> Result<(), Malformed> {
    for_each_element(map, |entry| {
        let entry = read_entry(entry)?;
        let before = name.len();
        name.extend_from_slice(entry.key);
        match entry.value {
            _ if !is_utf8(entry.key) => {}
            Value::Map(members) if depth < FLATTEN_DEPTH_MAX && name.len() <= COLUMN_NAME_BYTES_MAX => {
                name.push(b'.');
                write_entries(rows, row, members, name, depth + 1, candidates)?;
            }
            _ if name.is_empty() => {}
            value => {
                candidates.offer(name, value);
                rows.derived(row, Origin::Body, name, value, entry.message);
            }
        }
        name.truncate(before);
        Ok(())
    })
}

/// A JSON value as an `AnyValue` message.
fn any_value(value: &Json) -> Vec<u8> {
    match value {
        Json::Null => Vec::new(),
        Json::Bool(bit) => boolean(*bit),
        Json::Number(number) => number_value(number),
        Json::String(string) => text(string.as_bytes()),
        Json::Array(elements) => {
            let mut list = Vec::new();
            for element in elements {
                push_element(&mut list, &any_value(element));
            }
            array(&list)
        }
        Json::Object(members) => {
            let mut entries = Vec::new();
            for (key, value) in members {
                push_entry(&mut entries, key.as_bytes(), &any_value(value));
            }
            kvlist(&entries)
        }
    }
}

/// Whole numbers of 64 bits stay exact; beyond them the nearest double stands in, and the raw body is exact.
fn number_value(number: &Number) -> Vec<u8> {
    match number.as_i64() {
        Some(value) => integer(value),
        None => double(number.as_f64().unwrap_or(f64::NAN)),
    }
}
