//! What an event says, as 128 bits: to compare the log's copy of it with the one in a segment, without either's
//! layout. Two copies of an event have one fingerprint; an altered one has another, but for a chance of 2^-100.
//!
//! A value that moved into the overflow map on its way (`segment::overflow`) still is the same value of the same
//! name, so attributes count by name and value, in whichever place they lie.

use std::collections::HashMap;

use skein_event::Fixed;
use skein_event::any_value::{Fields, WireValue, read_entry};
use skein_event::batch::{Column, ColumnKey, EventBatch, Origin, Physical, Presence, TokenKind, Values};
use skein_event::hash::HashKey;

const KEY: HashKey = HashKey(0x736b_6569_6e00_0001);

/// What kinds of things are told apart before they are hashed.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Tag {
    Bool = 1,
    Whole,
    Double,
    Text,
    Bytes,
    /// Neither text nor told apart from it: not UTF-8.
    Raw,
    Message,
    Item,
    Column,
    Time,
    Context,
    Shape,
    ContextShape,
    Token,
}

fn mix(a: u128, b: u128) -> u128 {
    // Odd constants of the 128-bit FNV and PCG generators; the shifts bring high bits down again.
    let x = (a ^ b.rotate_left(61)).wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645);
    (x ^ (x >> 67)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b).wrapping_add(x >> 31)
}

fn tagged(tag: Tag, value: u128) -> u128 {
    mix(u128::from(tag as u8).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835), value)
}

fn of_bytes(tag: Tag, bytes: &[u8]) -> u128 {
    tagged(tag, KEY.digest(bytes))
}

fn of_text(physical: Physical, bytes: &[u8]) -> u128 {
    match physical {
        Physical::Json => of_message(bytes),
        Physical::Text => of_bytes(Tag::Text, bytes),
        _ if std::str::from_utf8(bytes).is_err() => of_bytes(Tag::Raw, bytes),
        _ => of_bytes(Tag::Bytes, bytes),
    }
}

/// The value of an `AnyValue` message, as it would be in a column.
fn of_message(message: &[u8]) -> u128 {
    let mut fields = Fields::new(message);
    let (Some(first), None) = (fields.next(), fields.next()) else { return of_bytes(Tag::Message, message) };
    match first {
        (1, WireValue::Bytes(text)) if std::str::from_utf8(text).is_ok() => of_bytes(Tag::Text, text),
        (1, WireValue::Bytes(text)) => of_bytes(Tag::Raw, text),
        (7, WireValue::Bytes(bytes)) => of_text(Physical::Bytes, bytes),
        (2, WireValue::Varint(bit)) => tagged(Tag::Bool, u128::from(bit != 0)),
        (3, WireValue::Varint(number)) => tagged(Tag::Whole, number.into()),
        (4, WireValue::Fixed64(bits)) => tagged(Tag::Double, bits.into()),
        _ => of_bytes(Tag::Message, message),
    }
}

/// Of each row, in order. When the event arrived is not part of it.
pub(crate) fn fingerprints(batch: &EventBatch) -> Vec<u128> {
    let mut rows: Vec<u128> = batch.times.iter().map(|&time| tagged(Tag::Time, whole(time))).collect();
    let mut texts = Texts { batch, hashes: HashMap::new() };
    let contexts = texts.contexts();
    for (row, &context) in rows.iter_mut().zip(&batch.contexts) {
        *row = row.wrapping_add(contexts.get(context as usize).copied().unwrap_or_default());
    }
    let overflow_key = ColumnKey::fixed(Fixed::Overflow);
    let overflow = batch.column(&overflow_key);
    for column in batch.columns.iter().filter(|column| column.key != overflow_key) {
        let key = texts.of_key(&column.key);
        texts.add_values(column, key, &mut rows);
    }
    let mut shapes: HashMap<u32, Option<u128>> = HashMap::new();
    for (number, row) in (0_u32..).zip(&mut rows) {
        let entries = overflow
            .and_then(|column| code_at(column, number))
            .map(|code| entries(batch.dictionary.get(code)));
        let entries = entries.unwrap_or_default();
        for (name, value) in &entries {
            *row = row.wrapping_add(mix(of_bytes(Tag::Item, name), *value));
        }
        let shape = batch.shapes.get(number as usize).copied().unwrap_or_default();
        let known = shapes.get(&shape).copied().flatten();
        let hash = known.unwrap_or_else(|| {
            let (hash, is_of_row) = texts.shape(shape, &batch.columns, &entries);
            shapes.insert(shape, Some(hash).filter(|_| !is_of_row));
            hash
        });
        *row = row.wrapping_add(tagged(Tag::Shape, hash));
    }
    rows
}

fn whole(number: i64) -> u128 {
    number.cast_unsigned().into()
}

fn code_at(column: &Column, row: u32) -> Option<u32> {
    let place = match &column.presence {
        Presence::All => row as usize,
        Presence::Rows(rows) => rows.binary_search(&row).ok()?,
    };
    match &column.values {
        Values::Code(codes) => codes.get(place).copied(),
        _ => None,
    }
}

/// The entries of an overflow map: name and value.
fn entries(message: &[u8]) -> Vec<(Vec<u8>, u128)> {
    let mut found = Vec::new();
    for field in Fields::new(message) {
        let (6, WireValue::Bytes(map)) = field else { continue };
        for entry in Fields::new(map) {
            let (1, WireValue::Bytes(entry)) = entry else { continue };
            let (name, value) = read_entry(entry);
            found.push((name.to_vec(), of_message(value)));
        }
    }
    found
}

struct Texts<'a> {
    batch: &'a EventBatch,
    hashes: HashMap<(u32, Physical), u128>,
}

impl Texts<'_> {
    fn of_code(&mut self, code: u32, physical: Physical) -> u128 {
        let dictionary = &self.batch.dictionary;
        *self.hashes.entry((code, physical)).or_insert_with(|| of_text(physical, dictionary.get(code)))
    }

    /// An attribute counts by its name alone: its type is part of its value.
    fn of_key(&self, key: &ColumnKey) -> u128 {
        if key.origin == Origin::Item {
            return of_bytes(Tag::Item, key.name.as_bytes());
        }
        let place = u128::from(key.origin as u8) << 8 | u128::from(key.physical as u8);
        mix(of_bytes(Tag::Column, key.name.as_bytes()), place)
    }

    fn add_values(&mut self, column: &Column, key: u128, rows: &mut [u128]) {
        let physical = column.key.physical;
        let mut add = |place: usize, value: u128| {
            let row = match &column.presence {
                Presence::All => Some(place),
                Presence::Rows(present) => present.get(place).map(|&row| row as usize),
            };
            if let Some(slot) = row.and_then(|row| rows.get_mut(row)) {
                *slot = slot.wrapping_add(mix(key, value));
            }
        };
        match &column.values {
            Values::Bool(values) => {
                values.iter().enumerate().for_each(|(p, &v)| add(p, tagged(Tag::Bool, v.into())));
            }
            Values::I64(values) => {
                values.iter().enumerate().for_each(|(p, &v)| add(p, tagged(Tag::Whole, whole(v))));
            }
            Values::F64(values) => {
                let bits = |v: &f64| tagged(Tag::Double, v.to_bits().into());
                values.iter().enumerate().for_each(|(p, v)| add(p, bits(v)));
            }
            Values::Code(codes) => {
                for (place, &code) in codes.iter().enumerate() {
                    let value = self.of_code(code, physical);
                    add(place, value);
                }
            }
            Values::Id16(ids) => {
                ids.iter().enumerate().for_each(|(p, id)| add(p, of_text(Physical::Bytes, id)));
            }
            Values::Id8(ids) => {
                ids.iter().enumerate().for_each(|(p, id)| add(p, of_text(Physical::Bytes, id)));
            }
        }
    }

    fn contexts(&mut self) -> Vec<u128> {
        let mut contexts = vec![tagged(Tag::Context, 0); self.batch.context_shapes.len()];
        for column in &self.batch.context_columns {
            let key = self.of_key(&column.key);
            self.add_values(column, key, &mut contexts);
        }
        for (context, shapes) in contexts.iter_mut().zip(&self.batch.context_shapes) {
            let (resource, _) = self.shape(shapes.resource, &self.batch.context_columns, &[]);
            let (scope, _) = self.shape(shapes.scope, &self.batch.context_columns, &[]);
            *context = context.wrapping_add(tagged(Tag::ContextShape, mix(resource, scope)));
        }
        contexts
    }

    /// A list of attributes: keys and names in their order. Whether it depends on the row's overflow map comes
    /// with it.
    fn shape(&mut self, shape: u32, columns: &[Column], entries: &[(Vec<u8>, u128)]) -> (u128, bool) {
        let batch = self.batch;
        let (mut hash, mut is_of_row) = (0_u128, false);
        let mut entries = entries.iter();
        for token in batch.shape_table.get(shape) {
            let (kind, target) = match token.kind {
                TokenKind::Overflow => {
                    is_of_row = true;
                    let name = entries.next().map_or(&[][..], |(name, _)| name);
                    (TokenKind::Value, of_bytes(Tag::Item, name))
                }
                kind @ (TokenKind::Value | TokenKind::InvalidText) => {
                    let column = columns.get(token.target as usize);
                    (TokenKind::Value, column.map_or(kind as u128, |column| self.of_key(&column.key)))
                }
                kind if kind.targets_column() => {
                    let column = columns.get(token.target as usize);
                    (kind, column.map_or(0, |column| self.of_key(&column.key)))
                }
                kind if kind.targets_dictionary() => (kind, self.of_code(token.target, Physical::Bytes)),
                kind => (kind, 0),
            };
            let key = self.of_code(token.key, Physical::Bytes);
            let step = tagged(Tag::Token, mix(mix(key, target), u128::from(kind as u8)));
            hash = mix(hash, step);
        }
        (hash, is_of_row)
    }
}
