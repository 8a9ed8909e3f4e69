//! What the protobuf door guarantees. Bodies are written byte by byte here, because prost would not write
//! most of what a door must survive.

mod hostile;
mod logs;
mod message;
mod metrics;
mod traces;

use skein_event::batch::{Column, EventBatch, Origin, Presence, Values};
use skein_event::columns::Fixed;
use skein_event::hash::HashKey;
use skein_event::ids::encode_hex;
use skein_event::value::Value;
use skein_event::{ColumnKey, Physical};

use crate::{Decoded, DoorContext, DoorError, Signal, decode_protobuf};
use message::Message;

pub(crate) const ARRIVAL: i64 = 1_700_000_000_000_000_000;
pub(crate) const CONTEXT: DoorContext = DoorContext { hash_key: HashKey(11), arrival_ns: ARRIVAL };
pub(crate) const TRACE_ID: [u8; 16] = [7; 16];
pub(crate) const SPAN_ID: [u8; 8] = [8; 8];

/// Decodes, and checks what holds for every decoded request.
pub(crate) fn try_decode(signal: Signal, body: &[u8]) -> Result<Decoded, DoorError> {
    let decoded = decode_protobuf(signal, body, &CONTEXT)?;
    assert_eq!(decoded.batch.validate(), Ok(()));
    assert!(decoded.batch.columns.iter().all(|column| !column.values.is_empty()), "a column without values");
    let again = decode_protobuf(signal, body, &CONTEXT)?;
    assert_eq!(decoded.batch, again.batch, "the same bytes give the same batch");
    Ok(decoded)
}

pub(crate) fn decode(signal: Signal, body: &Message) -> Decoded {
    try_decode(signal, &body.0).expect("a readable body")
}

/// A request with one resource (service `cart`) and one scope around the records.
pub(crate) fn request(records: &[Message]) -> Message {
    request_of(&Message::new().attribute(1, "service.name", Message::text("cart")), records)
}

pub(crate) fn request_of(resource: &Message, records: &[Message]) -> Message {
    let scope = records.iter().fold(Message::new(), |scope, record| scope.message(2, record));
    Message::new().message(1, &Message::new().message(1, resource).message(2, &scope))
}

/// The smallest span.
pub(crate) fn span() -> Message {
    Message::new().bytes(1, &TRACE_ID).bytes(2, &SPAN_ID).fixed64(7, 1_000).fixed64(8, 3_000)
}

/// The present value of a column in a row or context.
fn value_at(batch: &EventBatch, column: &Column, row: u32) -> Option<Value> {
    let place = match &column.presence {
        Presence::All => row as usize,
        Presence::Rows(rows) => rows.binary_search(&row).ok()?,
    };
    let bytes = |code: u32| batch.dictionary.get(code).to_vec();
    Some(match (&column.values, column.key.physical) {
        (Values::Bool(values), _) => Value::Bool(values[place]),
        (Values::I64(values), _) => Value::I64(values[place]),
        (Values::F64(values), _) => Value::F64(values[place]),
        (Values::Code(codes), Physical::Text) => {
            Value::Text(String::from_utf8(bytes(codes[place])).expect("text columns hold UTF-8"))
        }
        (Values::Code(codes), Physical::Bytes) => Value::Bytes(bytes(codes[place])),
        (Values::Code(codes), _) => Value::Json(bytes(codes[place])),
        (Values::Id16(ids), _) => Value::Text(encode_hex(&ids[place])),
        (Values::Id8(ids), _) => Value::Text(encode_hex(&ids[place])),
    })
}

/// A fixed column's value, as canonical text, or `-`.
pub(crate) fn fixed(decoded: &Decoded, row: u32, fixed: Fixed) -> String {
    let column = decoded.batch.column(&ColumnKey::fixed(fixed));
    let value = column.and_then(|column| value_at(&decoded.batch, column, row));
    value.map_or("-".to_owned(), |value| value.canonical_text().into_owned())
}

/// A context's value of a fixed column for a row.
pub(crate) fn fixed_context(decoded: &Decoded, row: u32, fixed: Fixed) -> String {
    let context = decoded.batch.contexts[row as usize];
    let column = decoded.batch.context_column(&ColumnKey::fixed(fixed));
    let value = column.and_then(|column| value_at(&decoded.batch, column, context));
    value.map_or("-".to_owned(), |value| value.canonical_text().into_owned())
}

/// All values of a name and origin in a row, with their storage forms.
pub(crate) fn values(decoded: &Decoded, row: u32, origin: Origin, name: &str) -> Vec<(Physical, String)> {
    let is_context = matches!(origin, Origin::Scope | Origin::Resource);
    let columns = if is_context { &decoded.batch.context_columns } else { &decoded.batch.columns };
    let place = if is_context { decoded.batch.contexts[row as usize] } else { row };
    let of_name = columns.iter().filter(|column| column.key.origin == origin && *column.key.name == *name);
    of_name
        .filter_map(|column| {
            let value = value_at(&decoded.batch, column, place)?;
            Some((column.key.physical, value.canonical_text().into_owned()))
        })
        .collect()
}

/// A row's list of attributes as one line: the tokens with the values they lead to.
pub(crate) fn list(decoded: &Decoded, row: u32) -> String {
    let batch = &decoded.batch;
    let text = |code: u32| String::from_utf8_lossy(batch.dictionary.get(code)).into_owned();
    let tokens = batch.shape_table.get(batch.shapes[row as usize]);
    let words = tokens.iter().map(|token| {
        let value = match token.kind {
            kind if kind.targets_column() => {
                let column = &batch.columns[token.target as usize];
                let value = value_at(batch, column, row).expect("the row has what its shape says");
                format!("{}={}", column.key.name, value.canonical_text())
            }
            kind if kind.targets_dictionary() => format!("{:?}", batch.dictionary.get(token.target)),
            _ => String::new(),
        };
        format!("{:?} {} {value}", token.kind, text(token.key)).trim().to_owned()
    });
    words.collect::<Vec<_>>().join(", ")
}
