//! An [`EventBatch`] as bytes: its arrays one after another (docs/formats/log.md, "Payload of a Batch record").
//!
//! It is made for the door's pace, not for size: no compression, each array one pass. The hashes of dictionary
//! values are left out and computed again when read, since reading is rare and they would be a third of a
//! short value.
//!
//! What it refuses: every byte sequence that does not decode to a batch which passes
//! [`EventBatch::validate`]. No input makes it panic or allocate more than a small multiple of its length.

mod arrays;

use std::sync::Arc;

use skein_event::batch::{
    Column, ColumnKey, ContextShape, EventBatch, InvalidBatch, Origin, Physical, Presence, ShapeTable, Token,
    TokenKind, Values,
};
use skein_event::dictionary::Dictionary;
use skein_event::hash::HashKey;

use self::arrays::{Reader, put_i64s, put_len, put_u32s, put_wide};

/// All rows have a value.
const PRESENCE_ALL: u8 = 0;
/// The numbers of the rows follow.
const PRESENCE_ROWS: u8 = 1;
/// One bit per row follows, the lowest bit first.
const PRESENCE_BITS: u8 = 2;

/// Bytes that are no batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an encoded batch: {0}")]
pub struct DecodeError(pub(crate) &'static str);

impl From<InvalidBatch> for DecodeError {
    fn from(invalid: InvalidBatch) -> DecodeError {
        DecodeError(invalid.0)
    }
}

/// Appends a batch's bytes.
pub fn encode(batch: &EventBatch, out: &mut Vec<u8>) {
    out.reserve(estimate(batch));
    let shapes: Vec<u32> = (0..).take(batch.shape_table.len()).collect();
    let token_count: usize = shapes.iter().map(|&shape| batch.shape_table.get(shape).len()).sum();
    put_len(out, batch.rows());
    put_len(out, batch.context_shapes.len());
    put_len(out, batch.dictionary.len());
    put_len(out, batch.dictionary.bytes().len());
    put_len(out, batch.shape_table.len());
    put_len(out, token_count);
    put_len(out, batch.columns.len());
    put_len(out, batch.context_columns.len());
    put_dictionary(&batch.dictionary, out);
    put_i64s(out, &batch.times);
    put_u32s(out, &batch.contexts);
    put_u32s(out, &batch.shapes);
    put_shapes(&batch.shape_table, &shapes, token_count, out);
    put_u32s(out, &batch.context_shapes.iter().map(|shape| shape.resource).collect::<Vec<_>>());
    put_u32s(out, &batch.context_shapes.iter().map(|shape| shape.scope).collect::<Vec<_>>());
    batch.columns.iter().for_each(|column| put_column(column, batch.rows(), out));
    batch.context_columns.iter().for_each(|column| put_column(column, batch.context_shapes.len(), out));
}

/// The batch of [`encode`]'s bytes. `key` hashes the dictionary's values anew.
pub fn decode(bytes: &[u8], key: HashKey) -> Result<EventBatch, DecodeError> {
    let mut reader = Reader::new(bytes);
    let rows = reader.len()?;
    let contexts = reader.len()?;
    let values = reader.len()?;
    let value_bytes = reader.len()?;
    let shapes = reader.len()?;
    let tokens = reader.len()?;
    let columns = reader.len()?;
    let context_columns = reader.len()?;
    let dictionary = read_dictionary(&mut reader, values, value_bytes, key)?;
    let times = reader.i64s(rows)?;
    let row_contexts = reader.u32s(rows)?;
    let row_shapes = reader.u32s(rows)?;
    let shape_table = read_shapes(&mut reader, shapes, tokens)?;
    let resources = reader.u32s(contexts)?;
    let scopes = reader.u32s(contexts)?;
    let context_shapes =
        resources.iter().zip(&scopes).map(|(&resource, &scope)| ContextShape { resource, scope }).collect();
    let columns = read_columns(&mut reader, columns, rows)?;
    let context_columns = read_columns(&mut reader, context_columns, contexts)?;
    if !reader.is_empty() {
        return Err(DecodeError("bytes are left over"));
    }
    let batch = EventBatch {
        dictionary,
        times,
        contexts: row_contexts,
        shapes: row_shapes,
        columns,
        context_shapes,
        context_columns,
        shape_table,
    };
    batch.validate()?;
    Ok(batch)
}

/// What a batch's bytes say without being decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outline {
    /// Its events.
    pub rows: usize,
    /// The earliest of their times.
    pub first_ns: i64,
    /// The latest of their times.
    pub last_ns: i64,
}

/// Reads what is outlined, and nothing else: bytes with an outline may still be no batch. There is none of no events.
pub fn outline(bytes: &[u8]) -> Result<Outline, DecodeError> {
    let mut reader = Reader::new(bytes);
    let rows = reader.len()?;
    reader.len()?;
    let values = reader.len()?;
    let value_bytes = reader.len()?;
    for _ in 0..4 {
        reader.len()?;
    }
    reader.skip_u32s(values)?;
    reader.take(value_bytes)?;
    let (first_ns, last_ns) = reader.i64_range(rows)?.ok_or(DecodeError("no events"))?;
    Ok(Outline { rows, first_ns, last_ns })
}

/// About how many bytes [`encode`] adds, from above for usual batches.
fn estimate(batch: &EventBatch) -> usize {
    let values: usize = batch.columns.iter().map(|column| column.values.len() * 4 + 64).sum();
    batch.dictionary.bytes().len() + batch.dictionary.len() * 2 + batch.rows() * 16 + values + 256
}

fn put_dictionary(dictionary: &Dictionary, out: &mut Vec<u8>) {
    let mut start = 0;
    let lengths: Vec<u32> =
        dictionary.ends().iter().map(|&end| end - std::mem::replace(&mut start, end)).collect();
    put_u32s(out, &lengths);
    out.extend_from_slice(dictionary.bytes());
}

fn read_dictionary(
    reader: &mut Reader<'_>,
    values: usize,
    value_bytes: usize,
    key: HashKey,
) -> Result<Dictionary, DecodeError> {
    let ends = sums(reader.u32s(values)?)?;
    let bytes = reader.take(value_bytes)?;
    let mut start = 0;
    let mut hashes = Vec::with_capacity(ends.len());
    for &end in &ends {
        let value = bytes.get(start..end as usize).ok_or(DecodeError("value beyond the dictionary"))?;
        hashes.push(key.hash(value));
        start = end as usize;
    }
    Dictionary::from_parts(bytes.to_vec(), ends, hashes).ok_or(DecodeError("dictionary does not add up"))
}

/// The running sums of lengths: their ends.
fn sums(mut lengths: Vec<u32>) -> Result<Vec<u32>, DecodeError> {
    let mut end = 0_u32;
    for length in &mut lengths {
        end = end.checked_add(*length).ok_or(DecodeError("lengths beyond 4 GiB"))?;
        *length = end;
    }
    Ok(lengths)
}

fn put_shapes(table: &ShapeTable, shapes: &[u32], token_count: usize, out: &mut Vec<u8>) {
    let mut lengths = Vec::with_capacity(shapes.len());
    let mut keys = Vec::with_capacity(token_count);
    let mut targets = Vec::with_capacity(token_count);
    let mut kinds = Vec::with_capacity(token_count);
    for &shape in shapes {
        let tokens = table.get(shape);
        lengths.push(u32::try_from(tokens.len()).unwrap_or(u32::MAX));
        for token in tokens {
            kinds.push(token.kind as u8);
            keys.push(token.key);
            targets.push(token.target);
        }
    }
    put_u32s(out, &lengths);
    out.extend_from_slice(&kinds);
    put_u32s(out, &keys);
    put_u32s(out, &targets);
}

fn read_shapes(reader: &mut Reader<'_>, shapes: usize, tokens: usize) -> Result<ShapeTable, DecodeError> {
    let lengths = reader.u32s(shapes)?;
    let kinds = reader.take(tokens)?;
    let keys = reader.u32s(tokens)?;
    let targets = reader.u32s(tokens)?;
    let mut all = Vec::with_capacity(tokens);
    for ((&kind, key), target) in kinds.iter().zip(keys).zip(targets) {
        let kind = TokenKind::from_number(kind).ok_or(DecodeError("unknown kind of token"))?;
        all.push(Token { kind, key, target });
    }
    let mut table = ShapeTable::default();
    let mut rest = all.as_slice();
    for length in lengths {
        let (shape, after) =
            rest.split_at_checked(length as usize).ok_or(DecodeError("shape beyond its tokens"))?;
        table.push(shape).ok_or(DecodeError("too many tokens"))?;
        rest = after;
    }
    if rest.is_empty() { Ok(table) } else { Err(DecodeError("tokens are left over")) }
}

fn put_column(column: &Column, rows: usize, out: &mut Vec<u8>) {
    out.push(column.key.origin as u8);
    out.push(column.key.physical as u8);
    put_len(out, column.key.name.len());
    out.extend_from_slice(column.key.name.as_bytes());
    match &column.presence {
        Presence::All => out.push(PRESENCE_ALL),
        Presence::Rows(present) if present.len() >= rows.div_ceil(16) => {
            out.push(PRESENCE_BITS);
            let start = out.len();
            out.resize(start + rows.div_ceil(8), 0);
            for &row in present {
                out[start + row as usize / 8] |= 1 << (row % 8);
            }
        }
        Presence::Rows(present) => {
            out.push(PRESENCE_ROWS);
            put_len(out, present.len());
            put_u32s(out, present);
        }
    }
    match &column.values {
        Values::Bool(values) => out.extend(values.iter().map(|&value| u8::from(value))),
        Values::I64(values) => put_i64s(out, values),
        Values::F64(values) => put_wide(out, values, f64::to_le_bytes),
        Values::Code(values) => put_u32s(out, values),
        Values::Id16(values) => out.extend_from_slice(values.as_flattened()),
        Values::Id8(values) => out.extend_from_slice(values.as_flattened()),
    }
}

fn read_columns(reader: &mut Reader<'_>, count: usize, rows: usize) -> Result<Vec<Column>, DecodeError> {
    // Not reserved up front: `count` is not yet backed by bytes.
    let mut columns = Vec::new();
    for _ in 0..count {
        columns.push(read_column(reader, rows)?);
    }
    Ok(columns)
}

fn read_column(reader: &mut Reader<'_>, rows: usize) -> Result<Column, DecodeError> {
    let origin = Origin::from_number(reader.byte()?).ok_or(DecodeError("unknown origin of a column"))?;
    let physical = Physical::from_number(reader.byte()?).ok_or(DecodeError("unknown type of a column"))?;
    let name_len = reader.len()?;
    let name = std::str::from_utf8(reader.take(name_len)?)
        .map_err(|_| DecodeError("a column's name is not UTF-8"))?;
    let key = ColumnKey { origin, physical, name: Arc::from(name) };
    let presence = match reader.byte()? {
        PRESENCE_ALL => Presence::All,
        PRESENCE_ROWS => {
            let count = reader.len()?;
            Presence::Rows(reader.u32s(count)?)
        }
        PRESENCE_BITS => Presence::Rows(rows_of_bits(reader.take(rows.div_ceil(8))?)),
        _ => return Err(DecodeError("unknown presence of a column")),
    };
    let count = match &presence {
        Presence::All => rows,
        Presence::Rows(present) => present.len(),
    };
    let values = match physical {
        Physical::Bool => Values::Bool(reader.bools(count)?),
        Physical::I64 | Physical::DurationNs => Values::I64(reader.i64s(count)?),
        Physical::F64 => Values::F64(reader.f64s(count)?),
        Physical::Text | Physical::Bytes | Physical::Json => Values::Code(reader.u32s(count)?),
        Physical::TraceId => Values::Id16(reader.ids(count)?),
        Physical::SpanId => Values::Id8(reader.ids(count)?),
    };
    Ok(Column { key, presence, values })
}

fn rows_of_bits(bits: &[u8]) -> Vec<u32> {
    let mut rows = Vec::with_capacity(bits.iter().map(|byte| byte.count_ones() as usize).sum());
    for (&byte, first) in bits.iter().zip((0_u32..).step_by(8)) {
        let mut left = byte;
        while left != 0 {
            rows.push(first + left.trailing_zeros());
            left &= left - 1;
        }
    }
    rows
}

#[cfg(test)]
mod tests;
