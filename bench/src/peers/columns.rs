//! Batches as Arrow arrays: each column once, rows in the order of a permutation.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int64Builder, StringBuilder,
};
use arrow_array::{ArrayRef, TimestampNanosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use skein_event::EventBatch;
use skein_event::batch::{Column, ColumnKey, Origin, Physical, Presence, Values};
use skein_event::columns::{Fixed, Level};

/// Distinct values up to which a text column is worth a dictionary of its own in ClickHouse (its documentation
/// names ten thousand).
pub(crate) const LOW_CARDINALITY: usize = 10_000;

/// The name of the column of times.
pub(crate) const TIME: &str = "timestamp";

/// The column that rows are sorted by, before their time.
pub(crate) const SERVICE: &str = "service.name";

/// A column of the peers.
#[derive(Debug)]
pub(crate) struct PeerColumn {
    pub(crate) name: String,
    pub(crate) physical: Physical,
    pub(crate) present: u64,
    /// Hashes of its values, up to one more than [`LOW_CARDINALITY`].
    distinct: HashSet<u64>,
}

/// All columns seen so far; files have those of their rows.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) columns: Vec<PeerColumn>,
    by_key: HashMap<ColumnKey, Option<usize>>,
}

/// Where a column's values lie: batch, column in it, and whether it has a value per context.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    batch: u32,
    column: u32,
    level: Level,
}

/// Rows that become one file.
pub(crate) struct Chunk<'a> {
    pub(crate) batches: &'a [EventBatch],
    /// For each batch, where its first row stands among all.
    starts: Vec<usize>,
    /// For each row in the order of arrival, its place in the file.
    places: Vec<u32>,
    pub(crate) rows: usize,
}

// === impl Columns ===

impl Columns {
    /// The peers' column of a key; `None` for what is Skein's own.
    fn of(&mut self, key: &ColumnKey) -> Option<usize> {
        if let Some(&known) = self.by_key.get(key) {
            return known;
        }
        let column = self.add(key);
        self.by_key.insert(key.clone(), column);
        column
    }

    fn add(&mut self, key: &ColumnKey) -> Option<usize> {
        let shown = match key.origin {
            // Copies of what the event has elsewhere.
            Origin::Derived | Origin::Body => false,
            // The dataset is the service's name, which they have.
            Origin::Fixed => {
                key.name.as_ref() != Fixed::Dataset.name() && Fixed::from_name(&key.name).is_some()
            }
            Origin::Item | Origin::Metric | Origin::Scope | Origin::Resource => true,
        };
        if !shown || key.physical == Physical::Json || key.physical == Physical::Bytes {
            return None;
        }
        let mut name = match key.physical {
            Physical::DurationNs => "duration_ns".to_owned(),
            _ => key.name.to_string(),
        };
        while name == TIME || self.columns.iter().any(|column| column.name == name) {
            name = format!("{name}.{:?}.{:?}", key.origin, key.physical).to_lowercase();
        }
        let physical = key.physical;
        self.columns.push(PeerColumn { name, physical, present: 0, distinct: HashSet::new() });
        Some(self.columns.len() - 1)
    }

    /// The columns of some batches and where each has its values.
    pub(crate) fn collect(&mut self, batches: &[EventBatch]) -> Vec<(usize, Vec<Place>)> {
        let mut places: HashMap<usize, Vec<Place>> = HashMap::new();
        for (number, batch) in (0_u32..).zip(batches) {
            for (level, columns) in [(Level::Row, &batch.columns), (Level::Context, &batch.context_columns)] {
                for (place, column) in (0_u32..).zip(columns) {
                    if column.values.is_empty() {
                        continue;
                    }
                    let Some(index) = self.of(&column.key) else { continue };
                    self.columns[index].note(batch, column);
                    places.entry(index).or_default().push(Place { batch: number, column: place, level });
                }
            }
        }
        let mut sorted: Vec<_> = places.into_iter().collect();
        sorted.sort_unstable_by_key(|(index, _)| *index);
        sorted
    }

    /// The schema of a file of these columns.
    pub(crate) fn schema(&self, columns: &[(usize, Vec<Place>)]) -> Schema {
        let time = Field::new(TIME, DataType::Timestamp(TimeUnit::Nanosecond, None), false);
        let fields = columns.iter().map(|(index, _)| {
            let column = &self.columns[*index];
            Field::new(&column.name, column.data_type(), true)
        });
        Schema::new(std::iter::once(time).chain(fields).collect::<Vec<_>>())
    }
}

// === impl PeerColumn ===

impl PeerColumn {
    fn data_type(&self) -> DataType {
        match self.physical {
            Physical::Bool => DataType::Boolean,
            Physical::I64 | Physical::DurationNs => DataType::Int64,
            Physical::F64 => DataType::Float64,
            Physical::Text | Physical::Bytes | Physical::Json => DataType::Utf8,
            Physical::TraceId => DataType::FixedSizeBinary(16),
            Physical::SpanId => DataType::FixedSizeBinary(8),
        }
    }

    fn note(&mut self, batch: &EventBatch, column: &Column) {
        self.present += column.values.len() as u64;
        if let Values::Code(codes) = &column.values {
            for &code in codes {
                if self.distinct.len() > LOW_CARDINALITY {
                    break;
                }
                self.distinct.insert(batch.dictionary.hash(code));
            }
        }
    }

    /// Whether it is text of few different values.
    pub(crate) fn is_low_cardinality(&self) -> bool {
        self.physical == Physical::Text && self.distinct.len() <= LOW_CARDINALITY
    }
}

// === impl Chunk ===

impl<'a> Chunk<'a> {
    /// Sorts the rows of some batches by service and time.
    pub(crate) fn new(batches: &'a [EventBatch]) -> Chunk<'a> {
        let mut starts = Vec::with_capacity(batches.len());
        let mut order: Vec<(&[u8], i64, usize)> = Vec::new();
        for batch in batches {
            starts.push(order.len());
            let services = services(batch);
            for (&context, &time) in batch.contexts.iter().zip(&batch.times) {
                order.push((services[context as usize], time, order.len()));
            }
        }
        order.sort_unstable();
        let mut places = vec![0; order.len()];
        for (place, (_, _, row)) in (0_u32..).zip(&order) {
            places[*row] = place;
        }
        Chunk { batches, starts, rows: places.len(), places }
    }

    /// The column of times.
    pub(crate) fn times(&self) -> ArrayRef {
        let mut times = vec![0; self.rows];
        let all = self.batches.iter().flat_map(|batch| &batch.times);
        for (&place, &time) in self.places.iter().zip(all) {
            times[place as usize] = time;
        }
        Arc::new(TimestampNanosecondArray::from(times))
    }

    /// A column as an array.
    pub(crate) fn array(&self, physical: Physical, places: &[Place]) -> anyhow::Result<ArrayRef> {
        // Each row's value is named by its batch's place in the list, and its place in the column.
        let mut slots = vec![ABSENT; self.rows];
        let columns: Vec<(&EventBatch, &Column)> = places.iter().map(|place| self.column(*place)).collect();
        for ((number, place), (batch, column)) in (0_u64..).zip(places).zip(&columns) {
            let start = self.starts[place.batch as usize];
            let mut set = |row: usize, value: u32| {
                slots[self.places[start + row] as usize] = number << 32 | u64::from(value);
            };
            match place.level {
                Level::Row => {
                    for (value, row) in (0..).zip(present(&column.presence, batch.rows())) {
                        set(row as usize, value);
                    }
                }
                Level::Context => {
                    let mut of_context = vec![u32::MAX; batch.context_shapes.len()];
                    for (value, context) in (0..).zip(present(&column.presence, of_context.len())) {
                        of_context[context as usize] = value;
                    }
                    for (row, &context) in batch.contexts.iter().enumerate() {
                        let value = of_context[context as usize];
                        if value != u32::MAX {
                            set(row, value);
                        }
                    }
                }
            }
        }
        build(physical, &slots, &columns)
    }

    fn column(&self, place: Place) -> (&'a EventBatch, &'a Column) {
        let batch = &self.batches[place.batch as usize];
        let columns = if place.level == Level::Row { &batch.columns } else { &batch.context_columns };
        (batch, &columns[place.column as usize])
    }
}

const ABSENT: u64 = u64::MAX;

/// The service of each context.
fn services(batch: &EventBatch) -> Vec<&[u8]> {
    let mut services: Vec<&[u8]> = vec![b""; batch.context_shapes.len()];
    let is_it =
        |column: &&Column| column.key.origin == Origin::Resource && column.key.name.as_ref() == SERVICE;
    if let Some(Column { presence, values: Values::Code(codes), .. }) =
        batch.context_columns.iter().find(is_it)
    {
        for (context, &code) in present(presence, services.len()).zip(codes) {
            services[context as usize] = batch.dictionary.get(code);
        }
    }
    services
}

fn present(presence: &Presence, all: usize) -> Box<dyn Iterator<Item = u32> + '_> {
    match presence {
        Presence::All => Box::new(0..u32::try_from(all).unwrap_or(u32::MAX)),
        Presence::Rows(rows) => Box::new(rows.iter().copied()),
    }
}

macro_rules! fill {
    ($builder:expr, $slots:expr, $columns:expr, $variant:ident, $value:expr) => {{
        let mut builder = $builder;
        for &slot in $slots {
            let value = (slot != ABSENT).then(|| {
                let (batch, column) = $columns[(slot >> 32) as usize];
                let Values::$variant(values) = &column.values else { return None };
                Some($value(batch, values[(slot & 0xffff_ffff) as usize]))
            });
            builder.append_option(value.flatten());
        }
        Arc::new(builder.finish()) as ArrayRef
    }};
}

fn build(physical: Physical, slots: &[u64], columns: &[(&EventBatch, &Column)]) -> anyhow::Result<ArrayRef> {
    Ok(match physical {
        Physical::Bool => {
            fill!(BooleanBuilder::with_capacity(slots.len()), slots, columns, Bool, |_, value| value)
        }
        Physical::I64 | Physical::DurationNs => {
            fill!(Int64Builder::with_capacity(slots.len()), slots, columns, I64, |_, value| value)
        }
        Physical::F64 => {
            fill!(Float64Builder::with_capacity(slots.len()), slots, columns, F64, |_, value| value)
        }
        Physical::Text | Physical::Bytes | Physical::Json => {
            let builder = StringBuilder::with_capacity(slots.len(), slots.len() * 8);
            fill!(builder, slots, columns, Code, text)
        }
        Physical::TraceId | Physical::SpanId => return ids(physical, slots, columns),
    })
}

fn text(batch: &EventBatch, code: u32) -> &str {
    // A text column holds UTF-8.
    std::str::from_utf8(batch.dictionary.get(code)).unwrap_or_default()
}

fn ids(physical: Physical, slots: &[u64], columns: &[(&EventBatch, &Column)]) -> anyhow::Result<ArrayRef> {
    let width = if physical == Physical::TraceId { 16 } else { 8 };
    let mut builder = FixedSizeBinaryBuilder::with_capacity(slots.len(), width);
    for &slot in slots {
        if slot == ABSENT {
            builder.append_null();
            continue;
        }
        let index = (slot & 0xffff_ffff) as usize;
        match &columns[(slot >> 32) as usize].1.values {
            Values::Id16(ids) => builder.append_value(ids[index])?,
            Values::Id8(ids) => builder.append_value(ids[index])?,
            _ => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}
