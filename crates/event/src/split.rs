//! Splits a batch over the partitions of the log.
//!
//! Partition = hash(environment, trace id), or hash(batch key, index) for an event without a trace
//! (DESIGN.md §1), so that a trace is whole in one partition and a resent batch is split the same way.

use crate::batch::{Column, ColumnKey, EventBatch, Presence, ShapeTable, Token, Values};
use crate::columns::Fixed;
use crate::dictionary::Dictionary;
use crate::hash::HashKey;
use crate::ids::{Environment, Partition};

/// Marks a code that a part has not used yet.
const UNUSED: u32 = u32::MAX;

/// Splits a batch into its partitions' parts, in order of partition; parts without events are left out.
///
/// POST: every event is in exactly one part, in its order; each part passes [`EventBatch::validate`].
pub fn split(
    batch: EventBatch,
    environment: &Environment,
    batch_digest: u128,
    partitions: u16,
    key: HashKey,
) -> Vec<(Partition, EventBatch)> {
    let assignment = assign(&batch, environment, batch_digest, partitions, key);
    let first = assignment.first().copied().unwrap_or_default();
    if assignment.iter().all(|&partition| partition == first) {
        return if batch.is_empty() { Vec::new() } else { vec![(Partition(first), batch)] };
    }
    distribute(&batch, &assignment, partitions)
}

/// The partition in which a trace is, whole.
pub fn partition_of_trace(
    environment: &Environment,
    trace_id: &[u8; 16],
    partitions: u16,
    key: HashKey,
) -> Partition {
    let mut buffer = [0_u8; 24];
    buffer[..8].copy_from_slice(&key.hash(environment.as_str().as_bytes()).to_le_bytes());
    buffer[8..].copy_from_slice(trace_id);
    let hash = (key.hash(&buffer) >> 32) % u64::from(partitions.max(1));
    Partition(u16::try_from(hash).unwrap_or_default())
}

/// The partition of each row.
fn assign(
    batch: &EventBatch,
    environment: &Environment,
    batch_digest: u128,
    partitions: u16,
    key: HashKey,
) -> Vec<u16> {
    let environment_hash = key.hash(environment.as_str().as_bytes());
    let modulus = u64::from(partitions.max(1));
    let to_partition = |hash: u64| u16::try_from(hash % modulus).unwrap_or_default();
    let mut seed = [0_u8; 24];
    seed[..8].copy_from_slice(&environment_hash.to_le_bytes());
    seed[8..].copy_from_slice(&batch_digest.to_le_bytes());
    let batch_hash = key.hash(&seed);
    // Without a trace: the row's index spread by a Weyl sequence from the batch's hash.
    let mut assignment: Vec<u16> = (0..batch.rows() as u64)
        .map(|index| to_partition((batch_hash.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15))) >> 32))
        .collect();
    let trace = batch.column(&ColumnKey::fixed(Fixed::TraceId));
    if let Some(Column { presence, values: Values::Id16(ids), .. }) = trace {
        let mut buffer = seed;
        let mut place = |row: usize, id: &[u8; 16]| {
            buffer[8..].copy_from_slice(id);
            assignment[row] = to_partition(key.hash(&buffer) >> 32);
        };
        match presence {
            Presence::All => ids.iter().enumerate().for_each(|(row, id)| place(row, id)),
            Presence::Rows(rows) => rows.iter().zip(ids).for_each(|(&row, id)| place(row as usize, id)),
        }
    }
    assignment
}

/// One partition's part under construction.
struct Part {
    batch: EventBatch,
    /// Old code → new code.
    codes: Vec<u32>,
    /// Old context → new context.
    contexts: Vec<u32>,
    /// Old context of each new one.
    context_rows: Vec<u32>,
    /// Old shape → new shape.
    shapes: Vec<u32>,
    /// Old row column → new row column.
    columns: Vec<u32>,
}

impl Part {
    fn new(source: &EventBatch) -> Part {
        Part {
            batch: EventBatch::default(),
            codes: vec![UNUSED; source.dictionary.len()],
            contexts: vec![UNUSED; source.context_shapes.len()],
            context_rows: Vec::new(),
            shapes: vec![UNUSED; source.shape_table.len()],
            columns: vec![UNUSED; source.columns.len()],
        }
    }

    #[inline]
    fn code(&mut self, dictionary: &Dictionary, old: u32) -> u32 {
        let slot = &mut self.codes[old as usize];
        if *slot == UNUSED {
            *slot = self.batch.dictionary.push(dictionary.get(old), dictionary.hash(old)).unwrap_or_default();
        }
        *slot
    }

    #[inline]
    fn add_row(&mut self, source: &EventBatch, row: usize) {
        self.batch.times.push(source.times[row]);
        let old = source.contexts[row];
        let context = &mut self.contexts[old as usize];
        if *context == UNUSED {
            *context = u32::try_from(self.context_rows.len()).unwrap_or(UNUSED);
            self.context_rows.push(old);
        }
        self.batch.contexts.push(*context);
        self.batch.shapes.push(source.shapes[row]); // renumbered once the columns are known
    }

    /// Adds the values of a row column at some places; `rows` has the rows of all places, old to new, unless
    /// every row has a value.
    fn add_column(
        &mut self,
        source: &EventBatch,
        column: &Column,
        index: usize,
        places: &[u32],
        rows: Option<(&Vec<u32>, &[u32])>,
    ) {
        if places.is_empty() {
            return;
        }
        let presence = match rows {
            Some((old, new)) if places.len() < self.batch.times.len() => {
                Presence::Rows(places.iter().map(|&place| new[old[place as usize] as usize]).collect())
            }
            _ => Presence::All,
        };
        fn pick<T: Copy>(values: &[T], places: &[u32]) -> Vec<T> {
            places.iter().map(|&place| values[place as usize]).collect()
        }
        let values = match &column.values {
            Values::Bool(values) => Values::Bool(pick(values, places)),
            Values::I64(values) => Values::I64(pick(values, places)),
            Values::F64(values) => Values::F64(pick(values, places)),
            Values::Id16(values) => Values::Id16(pick(values, places)),
            Values::Id8(values) => Values::Id8(pick(values, places)),
            Values::Code(codes) => {
                let code = |&place: &u32| self.code(&source.dictionary, codes[place as usize]);
                Values::Code(places.iter().map(code).collect())
            }
        };
        self.columns[index] = u32::try_from(self.batch.columns.len()).unwrap_or(UNUSED);
        self.batch.columns.push(Column { key: column.key.clone(), presence, values });
    }

    /// Copies a shape, with the columns its targets have here.
    fn shape(&mut self, source: &EventBatch, table: &mut ShapeTable, columns: &[u32], old: u32) -> u32 {
        let mut tokens = Vec::new();
        for token in source.shape_table.get(old) {
            let target = if token.kind.targets_column() {
                columns.get(token.target as usize).copied().unwrap_or_default()
            } else if token.kind.targets_dictionary() {
                self.code(&source.dictionary, token.target)
            } else {
                0
            };
            tokens.push(Token { kind: token.kind, key: self.code(&source.dictionary, token.key), target });
        }
        table.push(&tokens).unwrap_or_default()
    }

    fn finish(mut self, source: &EventBatch) -> EventBatch {
        let mut table = ShapeTable::default();
        let columns = std::mem::take(&mut self.columns);
        let mut shapes = std::mem::take(&mut self.shapes);
        let mut rows = std::mem::take(&mut self.batch.shapes);
        for shape in &mut rows {
            let old = *shape;
            if shapes[old as usize] == UNUSED {
                shapes[old as usize] = self.shape(source, &mut table, &columns, old);
            }
            *shape = shapes[old as usize];
        }
        self.batch.shapes = rows;
        let context_rows = std::mem::take(&mut self.context_rows);
        let mut context_columns = Vec::new();
        let mut new_places = Vec::new();
        for column in &source.context_columns {
            let gathered = gather(column, &context_rows, &mut |code| self.code(&source.dictionary, code));
            new_places.push(u32::try_from(context_columns.len()).unwrap_or(UNUSED));
            context_columns.extend(gathered);
        }
        for &old in &context_rows {
            let mut shape = source.context_shapes[old as usize];
            shape.resource = self.shape(source, &mut table, &new_places, shape.resource);
            shape.scope = self.shape(source, &mut table, &new_places, shape.scope);
            self.batch.context_shapes.push(shape);
        }
        self.batch.context_columns = context_columns;
        self.batch.shape_table = table;
        self.batch
    }
}

fn distribute(source: &EventBatch, assignment: &[u16], partitions: u16) -> Vec<(Partition, EventBatch)> {
    let mut parts: Vec<Part> = (0..partitions).map(|_| Part::new(source)).collect();
    let mut new_rows = Vec::with_capacity(assignment.len());
    for (row, &partition) in assignment.iter().enumerate() {
        let part = &mut parts[usize::from(partition)];
        new_rows.push(u32::try_from(part.batch.times.len()).unwrap_or(UNUSED));
        part.add_row(source, row);
    }
    let mut of_all = Buckets::default();
    of_all.fill(assignment.len(), parts.len(), |place| assignment[place]);
    let mut of_some = Buckets::default();
    for (index, column) in source.columns.iter().enumerate() {
        let rows = match &column.presence {
            Presence::All => None,
            Presence::Rows(rows) => {
                of_some.fill(rows.len(), parts.len(), |place| assignment[rows[place] as usize]);
                Some(rows)
            }
        };
        let buckets = if rows.is_some() { &of_some } else { &of_all };
        for (number, part) in parts.iter_mut().enumerate() {
            part.add_column(source, column, index, buckets.get(number), rows.map(|rows| (rows, &*new_rows)));
        }
    }
    let numbered = (0..partitions).map(Partition).zip(parts);
    numbered
        .filter(|(_, part)| !part.batch.times.is_empty())
        .map(|(partition, part)| (partition, part.finish(source)))
        .collect()
}

/// The places of a column's values by partition, each in order: a counting sort, so that every list of a part
/// is made at its full length and copied without a branch per value.
#[derive(Default)]
struct Buckets {
    places: Vec<u32>,
    starts: Vec<usize>,
}

impl Buckets {
    fn fill(&mut self, values: usize, partitions: usize, partition_of: impl Fn(usize) -> u16) {
        self.starts.clear();
        self.starts.resize(partitions + 2, 0);
        for place in 0..values {
            self.starts[usize::from(partition_of(place)) + 2] += 1;
        }
        for partition in 2..self.starts.len() {
            self.starts[partition] += self.starts[partition - 1];
        }
        self.places.clear();
        self.places.resize(values, 0);
        for (number, place) in (0_u32..).zip(0..values) {
            // Counting from the entry before leaves each entry at the start of its own bucket.
            let next = &mut self.starts[usize::from(partition_of(place)) + 1];
            self.places[*next] = number;
            *next += 1;
        }
    }

    fn get(&self, partition: usize) -> &[u32] {
        &self.places[self.starts[partition]..self.starts[partition + 1]]
    }
}

/// The column's values at some rows, in their order; `None` when none has one.
fn gather(column: &Column, rows: &[u32], code: &mut impl FnMut(u32) -> u32) -> Option<Column> {
    let place_of = |row: u32| match &column.presence {
        Presence::All => Some(row as usize),
        Presence::Rows(present) => present.binary_search(&row).ok(),
    };
    let found: Vec<(u32, usize)> =
        (0_u32..).zip(rows).filter_map(|(new, &row)| Some((new, place_of(row)?))).collect();
    if found.is_empty() {
        return None;
    }
    let places = found.iter().map(|&(_, place)| place);
    let values = match &column.values {
        Values::Bool(values) => Values::Bool(places.map(|place| values[place]).collect()),
        Values::I64(values) => Values::I64(places.map(|place| values[place]).collect()),
        Values::F64(values) => Values::F64(places.map(|place| values[place]).collect()),
        Values::Code(values) => Values::Code(places.map(|place| code(values[place])).collect()),
        Values::Id16(values) => Values::Id16(places.map(|place| values[place]).collect()),
        Values::Id8(values) => Values::Id8(places.map(|place| values[place]).collect()),
    };
    let presence = if found.len() == rows.len() {
        Presence::All
    } else {
        Presence::Rows(found.into_iter().map(|(new, _)| new).collect())
    };
    Some(Column { key: column.key.clone(), presence, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Origin, Physical, TokenKind};
    use crate::builder::{BatchBuilder, ContextValue};
    use std::sync::Arc;

    const KEY: HashKey = HashKey(3);

    fn sample(rows: u32) -> EventBatch {
        let mut builder = BatchBuilder::new(KEY);
        let context_key =
            ColumnKey { origin: Origin::Resource, physical: Physical::Text, name: Arc::from("service.name") };
        let contexts: Vec<u32> = ["cart", "pay"]
            .iter()
            .map(|name| {
                let context = builder.begin_context();
                builder.context_value(context_key.clone(), context, ContextValue::Bytes(name.as_bytes()));
                context
            })
            .collect();
        let trace = builder.fixed(Fixed::TraceId);
        let user = builder.column(Origin::Item, Physical::Text, "user.id");
        let count = builder.column(Origin::Item, Physical::I64, "count");
        for index in 0..rows {
            let row = builder.begin_row(i64::from(index), contexts[(index % 2) as usize]);
            let mut id = [0; 16];
            id[..4].copy_from_slice(&(index / 10).to_le_bytes());
            if index % 7 != 0 {
                builder.push_trace_id(trace, row, id);
            }
            let key = builder.intern(b"user.id");
            let mut tokens = vec![Token { kind: TokenKind::Value, key, target: user.0 }];
            builder.push_bytes(user, row, format!("u{}", index % 13).as_bytes());
            if index % 3 == 0 {
                let key = builder.intern(b"count");
                tokens.push(Token { kind: TokenKind::Value, key, target: count.0 });
                builder.push_i64(count, row, i64::from(index));
            }
            let shape = builder.shape(&tokens);
            builder.set_shape(row, shape);
        }
        builder.finish()
    }

    fn text(batch: &EventBatch, column: &Column, row: u32) -> Option<String> {
        let place = match &column.presence {
            Presence::All => row as usize,
            Presence::Rows(rows) => rows.binary_search(&row).ok()?,
        };
        Some(match &column.values {
            Values::Code(codes) => String::from_utf8_lossy(batch.dictionary.get(codes[place])).into_owned(),
            Values::I64(values) => values[place].to_string(),
            Values::Id16(ids) => format!("{:?}", ids[place]),
            other => format!("{other:?}"),
        })
    }

    /// Every row as text: time, service, and its attributes by way of its shape.
    fn rows_of(batch: &EventBatch) -> Vec<String> {
        (0_u32..)
            .zip(&batch.times)
            .map(|(row, time)| {
                let context = batch.contexts[row as usize];
                let service = text(batch, &batch.context_columns[0], context);
                let tokens = batch.shape_table.get(batch.shapes[row as usize]);
                let attributes: Vec<_> = tokens
                    .iter()
                    .map(|token| text(batch, &batch.columns[token.target as usize], row))
                    .collect();
                let trace = batch.column(&ColumnKey::fixed(Fixed::TraceId)).and_then(|c| text(batch, c, row));
                format!("{time} {service:?} {attributes:?} {trace:?}")
            })
            .collect()
    }

    #[test]
    fn splitting_keeps_every_event_once_and_whole() {
        let batch = sample(1_000);
        let before = rows_of(&batch);
        let environment = Environment::default_environment();
        let parts = split(batch, &environment, 99, 8, KEY);
        assert!(parts.len() > 1);
        let mut after: Vec<String> = Vec::new();
        for (_, part) in &parts {
            assert_eq!(part.validate(), Ok(()));
            let rows = rows_of(part);
            let times: Vec<&i64> = part.times.iter().collect();
            assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "order is kept");
            after.extend(rows);
        }
        let number = |line: &String| line.split(' ').next().and_then(|n| n.parse::<i64>().ok());
        after.sort_by_key(number);
        assert_eq!(before, after);
    }

    #[test]
    fn a_trace_stays_in_one_partition() {
        let parts = split(sample(500), &Environment::default_environment(), 5, 8, KEY);
        let mut home = std::collections::HashMap::new();
        for (partition, part) in &parts {
            let column = part.column(&ColumnKey::fixed(Fixed::TraceId));
            if let Some(Column { values: Values::Id16(ids), .. }) = column {
                for id in ids {
                    assert_eq!(home.insert(*id, *partition).unwrap_or(*partition), *partition);
                }
            }
        }
        assert!(home.len() > 20);
    }

    #[test]
    fn a_trace_is_looked_for_where_it_was_put() {
        for partitions in [1, 3, 8, 64] {
            let environment = Environment::default_environment();
            for (partition, part) in &split(sample(500), &environment, 5, partitions, KEY) {
                let column = part.column(&ColumnKey::fixed(Fixed::TraceId));
                if let Some(Column { values: Values::Id16(ids), .. }) = column {
                    for id in ids {
                        assert_eq!(partition_of_trace(&environment, id, partitions, KEY), *partition);
                    }
                }
            }
        }
    }
}
