//! Events as flat lists of their present columns, from rows that were taken out of a segment.

use std::sync::Arc;

use skein_event::any_value::{self, AnyValue};
use skein_event::batch::{Column, ColumnKey, EventBatch, Origin, Physical, Presence, Values};
use skein_event::columns::{Fixed, overflow_name};
use skein_event::ids::encode_hex;
use skein_event::value::Value;
use skein_query::names::display_name;
use skein_query::render;
use skein_query::result::{FlatRow, ScanBatch};
use skein_store::Error;
use skein_store::segment::{Gathered, Segment};

use crate::overflow::any_to_value;

/// Nanoseconds as milliseconds.
#[expect(clippy::cast_precision_loss, reason = "the logical value is a double of milliseconds")]
pub(crate) fn milliseconds(ns: i64) -> f64 {
    ns as f64 / 1e6
}

/// One event as a JSON object: `@message` of an event without a body.
pub(crate) fn event_json(segment: &Segment, row: u32) -> Result<String, Error> {
    let rows = flat_rows(&segment.gather_values(&[row])?);
    Ok(rows.first().map(|row| render::row(row).to_string()).unwrap_or_default())
}

/// The events of a scan as flat lists, in their order.
pub fn flat_events(batch: ScanBatch) -> Vec<FlatRow> {
    let ScanBatch { batch, event_ids, ingest_times_ns, .. } = batch;
    flat_rows(&Gathered { batch, ids: event_ids, ingest_times: ingest_times_ns })
}

/// A field under construction: its name, its value, and its origin for when the name is taken.
struct Field {
    name: Arc<str>,
    /// The name is not the attribute's own, but has its origin before it.
    prefixed: bool,
    value: Value,
    origin: Origin,
}

/// The rows as flat lists, in the order in which they were taken out.
///
/// An attribute keeps its name unless a fixed column has it. Of equal names the one with precedence keeps it
/// and the others are shown with their origin before it, which is also how a query reaches them.
pub(crate) fn flat_rows(gathered: &Gathered) -> Vec<FlatRow> {
    let batch = &gathered.batch;
    let mut fields: Vec<Vec<Field>> = (0..batch.rows()).map(|_| Vec::new()).collect();
    let of_contexts = batch.context_columns.iter().map(|column| (column, true));
    let all = batch.columns.iter().map(|column| (column, false)).chain(of_contexts);
    let mut columns: Vec<Shown<'_>> = all
        .filter(|(column, _)| column.key.origin != Origin::Fixed || !is_unshown(&column.key.name))
        .map(|(column, of_context)| Shown::new(column, of_context))
        .collect();
    // In the order of the fields, so that a row's need no sorting. Origins are numbered by precedence.
    columns.sort_by(|a, b| a.order().cmp(&b.order()));
    for column in &columns {
        push_column(batch, column, &mut fields);
    }
    if let Some(column) = batch.columns.iter().find(|column| column.key == ColumnKey::fixed(Fixed::Overflow))
    {
        push_overflow(batch, column, &mut fields);
    }
    let rows = batch.times.iter().zip(&gathered.ids).zip(&gathered.ingest_times).zip(fields);
    let row = |(((&time_ns, &event_id), &ingest_time_ns), fields)| FlatRow {
        time_ns,
        ingest_time_ns,
        event_id,
        fields: named(fields),
    };
    rows.map(row).collect()
}

/// Hidden columns, and the overflow map, whose entries are shown in its stead.
fn is_unshown(name: &str) -> bool {
    name == Fixed::Overflow.name() || Fixed::ALL.iter().any(|fixed| fixed.is_hidden() && fixed.name() == name)
}

/// A column under the name that its values are shown with.
struct Shown<'b> {
    column: &'b Column,
    of_context: bool,
    name: Arc<str>,
    prefixed: bool,
}

impl<'b> Shown<'b> {
    fn new(column: &'b Column, of_context: bool) -> Shown<'b> {
        let (name, prefixed) = match display_name(column.key.origin, &column.key.name) {
            Some(name) => (Arc::from(name), true),
            None => (Arc::clone(&column.key.name), false),
        };
        Shown { column, of_context, name, prefixed }
    }

    /// That of fields ([`named`]), then by type.
    fn order(&self) -> (&str, bool, Origin, Physical) {
        (&self.name, self.prefixed, self.column.key.origin, self.column.key.physical)
    }
}

fn push_column(batch: &EventBatch, shown: &Shown<'_>, fields: &mut [Vec<Field>]) {
    let (column, prefixed) = (shown.column, shown.prefixed);
    let origin = column.key.origin;
    let field = |value: usize| {
        let value = value_of(batch, column, value)?;
        Some(Field { name: Arc::clone(&shown.name), prefixed, value, origin })
    };
    if !shown.of_context {
        for (place, row) in present(column, batch.rows()).enumerate() {
            if let Some(list) = fields.get_mut(row) {
                list.extend(field(place));
            }
        }
        return;
    }
    let mut places = vec![None; batch.context_shapes.len()];
    for (place, context) in present(column, places.len()).enumerate() {
        if let Some(slot) = places.get_mut(context) {
            *slot = Some(place);
        }
    }
    for (list, &context) in fields.iter_mut().zip(&batch.contexts) {
        if let Some(Some(place)) = places.get(context as usize) {
            list.extend(field(*place));
        }
    }
}

fn push_overflow(batch: &EventBatch, column: &Column, fields: &mut [Vec<Field>]) {
    let Values::Code(codes) = &column.values else { return };
    for (row, &code) in present(column, batch.rows()).zip(codes) {
        let (AnyValue::Map(map), Some(list)) =
            (any_value::read(batch.dictionary.get(code)), fields.get_mut(row))
        else {
            continue;
        };
        for (key, message) in any_value::entries(map) {
            let (origin, key) = overflow_name(key);
            let key = String::from_utf8_lossy(key);
            let shown = display_name(origin, &key);
            let prefixed = shown.is_some();
            let name = shown.unwrap_or_else(|| key.into_owned());
            let field = |value| Field { name: Arc::from(name), prefixed, value, origin };
            list.extend(any_to_value(message).map(field));
        }
    }
}

/// The rows (contexts) that have a value, in order.
fn present(column: &Column, rows: usize) -> Box<dyn Iterator<Item = usize> + '_> {
    match &column.presence {
        Presence::All => Box::new(0..rows),
        Presence::Rows(rows) => Box::new(rows.iter().map(|&row| row as usize)),
    }
}

fn value_of(batch: &EventBatch, column: &Column, place: usize) -> Option<Value> {
    Some(match &column.values {
        Values::Bool(values) => Value::Bool(*values.get(place)?),
        Values::I64(values) if column.key.physical == Physical::DurationNs => {
            Value::F64(milliseconds(*values.get(place)?))
        }
        Values::I64(values) => Value::I64(*values.get(place)?),
        Values::F64(values) => Value::F64(*values.get(place)?),
        Values::Id16(values) => Value::Text(encode_hex(values.get(place)?)),
        Values::Id8(values) => Value::Text(encode_hex(values.get(place)?)),
        Values::Code(codes) => {
            let bytes = batch.dictionary.get(*codes.get(place)?);
            match column.key.physical {
                Physical::Json => Value::Json(bytes.to_vec()),
                Physical::Text => match std::str::from_utf8(bytes) {
                    Ok(text) => Value::Text(text.to_owned()),
                    Err(_) => Value::Bytes(bytes.to_vec()),
                },
                _ => Value::Bytes(bytes.to_vec()),
            }
        }
    })
}

/// Sorts fields by name; a name that is taken by a field of precedence gets its origin before it.
fn named(mut fields: Vec<Field>) -> Vec<(Arc<str>, Value)> {
    // In the order in which a query looks for the name: whose own name it is, then by origin. Stable: what
    // comes from an overflow map is behind the columns of its origin.
    fields
        .sort_by(|a, b| a.name.cmp(&b.name).then(a.prefixed.cmp(&b.prefixed)).then(a.origin.cmp(&b.origin)));
    let mut shown: Vec<(Arc<str>, Value)> = Vec::with_capacity(fields.len());
    let mut hidden = Vec::new();
    let mut of_last = None;
    for field in fields {
        let whose = Some((field.prefixed, field.origin));
        match shown.last() {
            // A second value of one name and origin does not count; no name reads it, and the export has it.
            Some((last, _)) if *last == field.name && of_last == whose => {}
            Some((last, _)) if *last == field.name => hidden.push(field),
            _ => {
                of_last = whose;
                shown.push((field.name, field.value));
            }
        }
    }
    for field in hidden {
        let prefix = match field.origin {
            Origin::Resource => "resource.",
            Origin::Scope => "scope.",
            Origin::Body => "body.",
            Origin::Fixed | Origin::Item | Origin::Metric | Origin::Derived => "attributes.",
        };
        let name: Arc<str> = Arc::from(format!("{prefix}{}", field.name));
        if let Err(place) = shown.binary_search_by(|(known, _)| known.cmp(&name)) {
            shown.insert(place, (name, field.value));
        }
    }
    shown
}
