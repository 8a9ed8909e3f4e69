//! Rebuilds an attribute list from the tokens of its shape.

use skein_event::EventBatch;
use skein_event::any_value::{AnyValue as Stored, Fields, WireValue, read};
use skein_event::batch::{Token, TokenKind};
use skein_otlp::common::any_value::Value;
use skein_otlp::common::{AnyValue, KeyValue};

use super::Damage;
use super::columns::Cell;
use super::value::{any_value, text_value};

/// The attributes that tokens say. `cell` reads columns, `overflow` is the row's overflow map. Tokens of
/// metric points are passed over.
pub(super) fn attributes<'a>(
    batch: &EventBatch,
    tokens: &[Token],
    overflow: Option<&[u8]>,
    cell: impl Fn(u32) -> Option<Cell<'a>>,
) -> Result<Vec<KeyValue>, Damage> {
    let mut overflow = OverflowMap::new(overflow);
    let mut list = Vec::with_capacity(tokens.len());
    // Lists that are open around the innermost one, each with the key it belongs to.
    let mut outer: Vec<(String, Vec<KeyValue>)> = Vec::new();
    for token in tokens {
        let key = || String::from_utf8_lossy(batch.dictionary.get(token.key)).into_owned();
        let value = match token.kind {
            TokenKind::Value | TokenKind::InvalidText => {
                Some(column_value(cell(token.target).ok_or("an attribute without its value")?)?)
            }
            TokenKind::Open => {
                outer.push((key(), std::mem::take(&mut list)));
                continue;
            }
            TokenKind::Close => {
                let (key, before) = outer.pop().ok_or("a kvlist that closes twice")?;
                let entries = std::mem::replace(&mut list, before);
                list.push(KeyValue::new(key, AnyValue::kvlist(entries)));
                continue;
            }
            TokenKind::Empty => Some(AnyValue::default()),
            TokenKind::Absent => None,
            TokenKind::Overflow => Some(any_value(overflow.next().ok_or("no entry in the overflow map")?)?),
            TokenKind::Inline => Some(any_value(batch.dictionary.get(token.target))?),
            TokenKind::Point | TokenKind::InlinePoint => continue,
        };
        list.push(KeyValue { key: key(), value, key_strindex: 0 });
    }
    if outer.is_empty() { Ok(list) } else { Err("a kvlist that stays open") }
}

fn column_value(cell: Cell<'_>) -> Result<AnyValue, Damage> {
    Ok(AnyValue::new(match cell {
        Cell::Bool(value) => Value::BoolValue(value),
        Cell::I64(value) => Value::IntValue(value),
        Cell::F64(value) => Value::DoubleValue(value),
        Cell::Text(text) => text_value(text),
        Cell::Bytes(bytes) => Value::BytesValue(bytes.to_vec()),
        Cell::Json(message) => return any_value(message),
        Cell::Id16(_) | Cell::Id8(_) => return Err("an attribute that is an id"),
    }))
}

/// The values of an overflow map, one after another.
struct OverflowMap<'a> {
    entries: Fields<'a>,
}

impl<'a> OverflowMap<'a> {
    fn new(message: Option<&'a [u8]>) -> OverflowMap<'a> {
        match message.map(read) {
            Some(Stored::Map(map)) => OverflowMap { entries: Fields::new(map) },
            _ => OverflowMap { entries: Fields::new(&[]) },
        }
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        self.entries.find_map(|field| match field {
            (1, WireValue::Bytes(entry)) => Some(skein_event::any_value::read_entry(entry).1),
            _ => None,
        })
    }
}
