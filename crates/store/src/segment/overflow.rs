//! Keeps a segment's number of columns bounded (invariant I7): the attributes with the fewest values beyond the
//! limit move, unaltered, into their rows' overflow map, where queries still find them by name.
//!
//! The limit is [`DATASET_COLUMNS_MAX`] columns for each dataset in the segment, at most [`DATASETS_COUNTED`]
//! of them. A door bounds a batch in the same way; this is for what batches have together.

use std::collections::{HashMap, HashSet};

use skein_event::any_value::{AnyValue, Fields, WireValue, read, read_entry};
use skein_event::batch::{
    Column, ColumnKey, EventBatch, Origin, Presence, ShapeTable, Token, TokenKind, Values,
};
use skein_event::hash::HashKey;
use skein_event::ids::{EventId, Partition};
use skein_event::limits::DATASET_COLUMNS_MAX;
use skein_event::{Fixed, Physical};

use super::bytes::count;
use super::gather::Gathered;
use super::source::{Open, Source};
use crate::error::{Error, ErrorKind};

/// Datasets that raise a segment's limit. A segment of more is rather one of invented service names.
const DATASETS_COUNTED: usize = 10;

/// Sources some of whose columns had to move.
#[derive(Default)]
pub(super) struct Narrowed {
    /// In the place of the source of the same number.
    replaced: HashMap<usize, Gathered>,
}

impl Narrowed {
    /// The sources to merge.
    pub(super) fn sources<'a>(&'a self, sources: &[Source<'a>]) -> Vec<Source<'a>> {
        let choose = |(place, &source)| self.replaced.get(&place).map_or(source, Source::Gathered);
        sources.iter().enumerate().map(choose).collect()
    }
}

/// Moves the rarest attributes beyond the limit into overflow maps. Usually there is nothing to do.
pub(super) fn narrow(sources: &[Source<'_>], hash_key: HashKey) -> Result<Narrowed, Error> {
    narrow_to(sources, hash_key, DATASET_COLUMNS_MAX)
}

fn narrow_to(sources: &[Source<'_>], hash_key: HashKey, per_dataset: usize) -> Result<Narrowed, Error> {
    let mut narrowed = Narrowed::default();
    if sources.iter().map(column_count).sum::<usize>() <= per_dataset {
        return Ok(narrowed);
    }
    let mut present: HashMap<ColumnKey, usize> = HashMap::new();
    for &source in sources {
        for (key, values) in row_columns(source)? {
            *present.entry(key).or_default() += values;
        }
    }
    let allowed = per_dataset * datasets(sources)?.clamp(1, DATASETS_COUNTED);
    let excess = present.len().saturating_sub(allowed);
    let mut movable: Vec<(usize, ColumnKey)> = present
        .into_iter()
        .filter(|(key, _)| key.origin == Origin::Item)
        .map(|(key, values)| (values, key))
        .collect();
    movable.sort();
    movable.truncate(excess);
    if movable.is_empty() {
        return Ok(narrowed);
    }
    let rare: HashSet<ColumnKey> = movable.into_iter().map(|(_, key)| key).collect();
    tracing::warn!(columns = rare.len(), allowed, "columns beyond the limit go into meta.overflow");
    for (place, &source) in sources.iter().enumerate() {
        if row_columns(source)?.iter().any(|(key, _)| rare.contains(key)) {
            let mut gathered = gather(source)?;
            move_columns(&mut gathered.batch, &rare, hash_key)?;
            narrowed.replaced.insert(place, gathered);
        }
    }
    Ok(narrowed)
}

fn column_count(source: &Source<'_>) -> usize {
    match (source, source.batch()) {
        (_, Some(batch)) => batch.columns.len(),
        (Source::Segment(segment), _) => segment.column_count() as usize,
        _ => 0,
    }
}

/// The row columns of a source, with their number of values.
fn row_columns(source: Source<'_>) -> Result<Vec<(ColumnKey, usize)>, Error> {
    let of_level = |key: &ColumnKey| key.level() == skein_event::columns::Level::Row;
    match (source, source.batch()) {
        (_, Some(batch)) => {
            Ok(batch.columns.iter().map(|column| (column.key.clone(), column.values.len())).collect())
        }
        (Source::Segment(segment), _) => segment
            .columns()
            .filter(|info| info.as_ref().map_or(true, |info| of_level(&info.key)))
            .map(|info| info.map(|info| (info.key, info.present as usize)))
            .collect(),
        _ => Ok(Vec::new()),
    }
}

fn datasets(sources: &[Source<'_>]) -> Result<usize, Error> {
    let key = ColumnKey::fixed(Fixed::Dataset);
    let mut hashes = HashSet::new();
    for &source in sources {
        match (source, source.batch()) {
            (_, Some(batch)) => {
                if let Some(Column { values: Values::Code(codes), .. }) = batch.context_column(&key) {
                    hashes.extend(codes.iter().map(|&code| batch.dictionary.hash(code)));
                }
            }
            (Source::Segment(segment), _) => {
                if let Some(column) = segment.column_of(&key)? {
                    hashes.extend(column.hashes()?);
                }
            }
            _ => {}
        }
    }
    Ok(hashes.len())
}

/// A source's rows as a batch of its own.
fn gather(source: Source<'_>) -> Result<Gathered, Error> {
    match source {
        Source::Segment(segment) => segment.gather(&segment.all_rows()),
        Source::Gathered(gathered) => Ok(gathered.clone()),
        Source::Batch(batch) => {
            let rows = batch.batch.rows();
            let index = |row: usize| batch.indexes.map_or(count(row), |indexes| indexes[row]);
            let id = |row| EventId { partition: Partition(0), offset: batch.offset, index: index(row) };
            // The length of indexes is checked where sources are opened.
            Open::new(source)?;
            Ok(Gathered {
                batch: batch.batch.clone(),
                ids: (0..rows).map(id).collect(),
                ingest_times: vec![batch.append_time_ns; rows],
            })
        }
    }
}

/// Moves columns of a batch into the rows' overflow maps. Entries that tokens refer to come first, in their
/// order; what the map held beside them follows.
fn move_columns(batch: &mut EventBatch, rare: &HashSet<ColumnKey>, hash_key: HashKey) -> Result<(), Error> {
    let too_large = || Error::new(ErrorKind::TooLarge, "overflow maps of more than 4 GiB");
    let is_rare: Vec<bool> = batch.columns.iter().map(|column| rare.contains(&column.key)).collect();
    let overflow_key = ColumnKey::fixed(Fixed::Overflow);
    let before = batch.column(&overflow_key).cloned();
    let mut maps = (Vec::new(), Vec::new());
    let mut shapes = ShapeTable::default();
    let mut shape_index: HashMap<Vec<Token>, u32> = HashMap::new();
    let numbers = new_numbers(&is_rare, batch, &overflow_key);
    for row in 0..count(batch.rows()) {
        let old_map = before.as_ref().and_then(|column| code_at(column, row));
        let mut entries =
            old_map.map(|code| entries_of(batch.dictionary.get(code))).unwrap_or_default().into_iter();
        let mut map = Vec::new();
        let mut moved = false;
        let mut tokens = batch.shape_table.get(batch.shapes[row as usize]).to_vec();
        for token in &mut tokens {
            match token.kind {
                TokenKind::Overflow => map.extend(entries.next().unwrap_or_default()),
                kind if kind.targets_column() => {
                    let column = &batch.columns[token.target as usize];
                    if is_rare[token.target as usize] {
                        push_entry(&column.key.name, &value_message(batch, column, row, kind), &mut map);
                        (token.kind, token.target, moved) = (TokenKind::Overflow, 0, true);
                    } else {
                        token.target = numbers[token.target as usize];
                    }
                }
                _ => {}
            }
        }
        map.extend(entries.flatten());
        if moved {
            let mut message = vec![6 << 3 | 2];
            write_varint(map.len() as u64, &mut message);
            message.extend_from_slice(&map);
            maps.0.push(row);
            maps.1.push(batch.dictionary.push(&message, hash_key.hash(&message)).ok_or_else(too_large)?);
        } else if let Some(code) = old_map {
            maps.0.push(row);
            maps.1.push(code);
        }
        batch.shapes[row as usize] =
            add_shape(tokens, &mut shapes, &mut shape_index).ok_or_else(too_large)?;
    }
    // Shapes of contexts are of other columns: they stay as they are.
    for place in 0..batch.context_shapes.len() {
        let shape = batch.context_shapes[place];
        let mut keep = |old: u32| {
            let tokens = batch.shape_table.get(old).to_vec();
            add_shape(tokens, &mut shapes, &mut shape_index).ok_or_else(too_large)
        };
        let (resource, scope) = (keep(shape.resource)?, keep(shape.scope)?);
        batch.context_shapes[place] = skein_event::batch::ContextShape { resource, scope };
    }
    batch.shape_table = shapes;
    let mut kept = is_rare.iter();
    batch.columns.retain(|column| !kept.next().is_some_and(|rare| *rare) && column.key != overflow_key);
    let presence = if maps.0.len() == batch.rows() { Presence::All } else { Presence::Rows(maps.0) };
    batch.columns.push(Column { key: overflow_key, presence, values: Values::Code(maps.1) });
    Ok(())
}

/// The places of the columns that stay; the overflow map becomes the last.
fn new_numbers(is_rare: &[bool], batch: &EventBatch, overflow_key: &ColumnKey) -> Vec<u32> {
    let mut next = 0;
    let columns = batch.columns.iter().zip(is_rare);
    columns
        .map(|(column, rare)| {
            let number = next;
            next += u32::from(!rare && column.key != *overflow_key);
            number
        })
        .collect()
}

fn add_shape(
    tokens: Vec<Token>,
    table: &mut ShapeTable,
    index: &mut HashMap<Vec<Token>, u32>,
) -> Option<u32> {
    if let Some(&shape) = index.get(&tokens) {
        return Some(shape);
    }
    let shape = table.push(&tokens)?;
    index.insert(tokens, shape);
    Some(shape)
}

fn place_of(column: &Column, row: u32) -> Option<usize> {
    match &column.presence {
        Presence::All => Some(row as usize),
        Presence::Rows(rows) => rows.binary_search(&row).ok(),
    }
}

fn code_at(column: &Column, row: u32) -> Option<u32> {
    match &column.values {
        Values::Code(codes) => codes.get(place_of(column, row)?).copied(),
        _ => None,
    }
}

/// The entries of an overflow map, each with its tag and length.
fn entries_of(message: &[u8]) -> Vec<Vec<u8>> {
    let AnyValue::Map(map) = read(message) else { return Vec::new() };
    let entries = Fields::new(map).filter_map(|field| match field {
        (1, WireValue::Bytes(entry)) => {
            let (key, value) = read_entry(entry);
            let mut out = Vec::with_capacity(entry.len() + 6);
            push_entry(&String::from_utf8_lossy(key), value, &mut out);
            Some(out)
        }
        _ => None,
    });
    entries.collect()
}

/// Appends a `KeyValue` to a `KeyValueList`.
fn push_entry(key: &str, value_message: &[u8], map: &mut Vec<u8>) {
    let mut entry = vec![1 << 3 | 2];
    write_varint(key.len() as u64, &mut entry);
    entry.extend_from_slice(key.as_bytes());
    entry.push(2 << 3 | 2);
    write_varint(value_message.len() as u64, &mut entry);
    entry.extend_from_slice(value_message);
    map.push(1 << 3 | 2);
    write_varint(entry.len() as u64, map);
    map.extend_from_slice(&entry);
}

/// The `AnyValue` message of a row's value.
fn value_message(batch: &EventBatch, column: &Column, row: u32, kind: TokenKind) -> Vec<u8> {
    let Some(place) = place_of(column, row) else { return Vec::new() };
    let mut message = Vec::new();
    let bytes = |field: u8, bytes: &[u8], message: &mut Vec<u8>| {
        message.push(field << 3 | 2);
        write_varint(bytes.len() as u64, message);
        message.extend_from_slice(bytes);
    };
    match &column.values {
        Values::Bool(values) => message.extend([2 << 3, u8::from(values[place])]),
        Values::I64(values) => {
            message.push(3 << 3);
            write_varint(values[place].cast_unsigned(), &mut message);
        }
        Values::F64(values) => {
            message.push(4 << 3 | 1);
            message.extend_from_slice(&values[place].to_le_bytes());
        }
        Values::Code(codes) => {
            let value = batch.dictionary.get(codes[place]);
            match column.key.physical {
                Physical::Json => message.extend_from_slice(value),
                Physical::Bytes if kind != TokenKind::InvalidText => bytes(7, value, &mut message),
                _ => bytes(1, value, &mut message),
            }
        }
        Values::Id16(ids) => bytes(7, &ids[place], &mut message),
        Values::Id8(ids) => bytes(7, &ids[place], &mut message),
    }
    message
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use skein_event::any_value::canonical_json;
    use skein_event::builder::BatchBuilder;
    use skein_event::ids::Offset;

    use super::super::source::BatchSource;
    use super::*;

    const KEY: HashKey = HashKey(1);

    /// Every row has `common` and one attribute that no other row has; row 2 already has an overflow map.
    fn batch() -> EventBatch {
        let mut builder = BatchBuilder::new(KEY);
        let context = builder.begin_context();
        let common = builder.column(Origin::Item, Physical::I64, "common");
        for number in 0..4_i64 {
            let row = builder.begin_row(number, context);
            let name = format!("rare.{number}");
            let column = builder.column(Origin::Item, Physical::Text, &name);
            builder.push_bytes(column, row, format!("text {number}").as_bytes());
            builder.push_i64(common, row, number);
            let (key, common_key) = (builder.intern(name.as_bytes()), builder.intern(b"common"));
            let mut tokens = vec![
                Token { kind: TokenKind::Value, key, target: column.0 },
                Token { kind: TokenKind::Value, key: common_key, target: common.0 },
            ];
            if number == 2 {
                let overflow = builder.fixed(Fixed::Overflow);
                let mut map = Vec::new();
                push_entry("older", &[2 << 3, 1], &mut map);
                push_entry("of.the.context", &[3 << 3, 5], &mut map);
                let message = [&[6 << 3 | 2, u8::try_from(map.len()).expect("is short")][..], &map].concat();
                builder.push_bytes(overflow, row, &message);
                tokens.insert(0, Token { kind: TokenKind::Overflow, key: common_key, target: 0 });
            }
            let shape = builder.shape(&tokens);
            builder.set_shape(row, shape);
        }
        builder.finish()
    }

    #[test]
    fn columns_beyond_the_limit_stay_readable_in_the_overflow_map() {
        let batch = batch();
        let source =
            Source::Batch(BatchSource { batch: &batch, offset: Offset(9), append_time_ns: 5, indexes: None });
        let narrowed = narrow_to(&[source], KEY, 3).expect("narrows");
        let sources = narrowed.sources(&[source]);
        let Source::Gathered(gathered) = sources[0] else { panic!("{sources:?}") };
        let narrow_batch = &gathered.batch;
        narrow_batch.validate().expect("is valid");
        // Six columns (common, four rare ones, the map) of which three may stay: three rare ones go, in order
        // of their names, and the map stays.
        let names: Vec<&str> = narrow_batch.columns.iter().map(|column| &*column.key.name).collect();
        assert_eq!(names, ["common", "rare.3", "meta.overflow"]);
        let overflow = narrow_batch.column(&ColumnKey::fixed(Fixed::Overflow)).expect("is there");
        let map = |row| code_at(overflow, row).map(|code| canonical_json(narrow_batch.dictionary.get(code)));
        assert_eq!(map(0).as_deref(), Some(r#"{"rare.0":"text 0"}"#));
        assert_eq!(map(2).as_deref(), Some(r#"{"older":true,"rare.2":"text 2","of.the.context":5}"#));
        assert_eq!(map(3), None);
        let kinds = |row: usize| {
            let tokens = narrow_batch.shape_table.get(narrow_batch.shapes[row]);
            tokens.iter().map(|token| (token.kind, token.target)).collect::<Vec<_>>()
        };
        assert_eq!(kinds(0), [(TokenKind::Overflow, 0), (TokenKind::Value, 0)]);
        assert_eq!(kinds(3), [(TokenKind::Value, 1), (TokenKind::Value, 0)]);
        assert_eq!(gathered.ids[3].to_string(), "0-9-3");
        assert_eq!(gathered.ingest_times, [5; 4]);
    }

    #[test]
    fn what_fits_is_left_alone() {
        let batch = batch();
        let source =
            Source::Batch(BatchSource { batch: &batch, offset: Offset(9), append_time_ns: 5, indexes: None });
        assert!(narrow_to(&[source], KEY, 6).expect("narrows").replaced.is_empty());
        assert!(narrow(&[source], KEY).expect("narrows").replaced.is_empty());
    }
}
