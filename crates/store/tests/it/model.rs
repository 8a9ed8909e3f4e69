//! Random batches by seed, and events as plain text, so that what went in can be compared with what came out.

use std::sync::Arc;

use skein_event::batch::{Column, ContextShape, Presence, Token, TokenKind, Values};
use skein_event::builder::{BatchBuilder, ContextValue};
use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Partition};
use skein_event::{ColumnKey, EventBatch, Fixed, Origin, Physical};
use skein_store::segment::{BatchSource, Compression, FlushPart, Header, Source, Target, merge};

pub(crate) const KEY: HashKey = HashKey(11);

/// A small generator of numbers (SplitMix64): the same seed gives the same test everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn context_key(name: &str, physical: Physical) -> ColumnKey {
    ColumnKey { origin: Origin::Resource, physical, name: Arc::from(name) }
}

/// Columns of every storage form, at every fill; shapes with nesting and inline values; several contexts.
pub(crate) fn random_batch(seed: u64, rows: usize) -> EventBatch {
    build(seed, rows, false)
}

/// As [`random_batch`], of several datasets and of none.
pub(crate) fn batch_of_datasets(seed: u64, rows: usize) -> EventBatch {
    build(seed, rows, true)
}

/// Events of one dataset, each with the text `<tag>-<row>` as its name, from a time on.
pub(crate) fn batch_of(dataset: &str, tag: &str, rows: usize, time_ns: i64) -> EventBatch {
    let mut builder = BatchBuilder::new(KEY);
    let context = builder.begin_context();
    builder.context_value(ColumnKey::fixed(Fixed::Dataset), context, ContextValue::Bytes(dataset.as_bytes()));
    let name = builder.fixed(Fixed::Name);
    for row in 0..rows {
        let number = builder.begin_row(time_ns + row as i64, context);
        builder.push_bytes(name, number, format!("{tag}-{row}").as_bytes());
    }
    let batch = builder.finish();
    batch.validate().expect("a built batch is valid");
    batch
}

/// The dataset of an event; empty when it has none.
pub(crate) fn dataset_of(batch: &EventBatch, row: usize) -> String {
    let Some(column) = batch.context_column(&ColumnKey::fixed(Fixed::Dataset)) else { return String::new() };
    let context = batch.contexts[row];
    let place = match &column.presence {
        Presence::All => context as usize,
        Presence::Rows(rows) => match rows.binary_search(&context) {
            Ok(place) => place,
            Err(_) => return String::new(),
        },
    };
    let Values::Code(codes) = &column.values else { return "a dataset that is not text".to_owned() };
    String::from_utf8_lossy(batch.dictionary.get(codes[place])).into_owned()
}

fn build(seed: u64, rows: usize, with_datasets: bool) -> EventBatch {
    let mut random = Random(seed);
    let mut builder = BatchBuilder::new(KEY);
    let contexts = 1 + random.below(4);
    for context in 0..contexts {
        let number = builder.begin_context();
        let name = format!("service {}", random.below(6));
        let value = ContextValue::Bytes(name.as_bytes());
        let column = builder.context_value(context_key("service.name", Physical::Text), number, value);
        if with_datasets && context < 3 {
            let dataset = ContextValue::Bytes(name.as_bytes());
            builder.context_value(ColumnKey::fixed(Fixed::Dataset), number, dataset);
        }
        let key = builder.intern(b"service.name");
        let tokens: Vec<Token> = column
            .map(|column| Token { kind: TokenKind::Value, key, target: column.0 })
            .into_iter()
            .collect();
        if context.is_multiple_of(2) {
            let load = ContextValue::F64(0.1 * context as f64);
            builder.context_value(context_key("load", Physical::F64), number, load);
        }
        let shape = ContextShape { resource: builder.shape(&tokens), scope: builder.shape(&[]) };
        builder.set_context_shape(number, shape);
    }
    let trace = builder.fixed(Fixed::TraceId);
    let span = builder.fixed(Fixed::SpanId);
    let name = builder.fixed(Fixed::Name);
    let parent = builder.fixed(Fixed::ParentId);
    let mut spans: Vec<[u8; 8]> = Vec::new();
    for _ in 0..rows {
        let time = 1_700_000_000_000_000_000 + random.below(1 << 40) as i64;
        let row = builder.begin_row(time, random.below(contexts) as u32);
        let mut tokens = Vec::new();
        if random.below(9) > 0 {
            let mut id = [3; 16];
            id[15] = random.below(20) as u8;
            builder.push_trace_id(trace, row, id);
        }
        let id = random.next().to_le_bytes();
        builder.push_span_id(span, row, id);
        // Parents among the spans, and from elsewhere.
        spans.push(id);
        if id[0] < 200 {
            let among = spans[usize::from(id[1]) % spans.len()];
            builder.push_span_id(parent, row, if id[0] < 150 { among } else { [id[1]; 8] });
        }
        builder.push_bytes(name, row, format!("name {}", random.below(5)).as_bytes());
        for place in 0..12_u64 {
            if random.below(12) <= place {
                push_attribute(&mut builder, &mut random, row, place, &mut tokens);
            }
        }
        let shape = builder.shape(&tokens);
        builder.set_shape(row, shape);
    }
    let batch = builder.finish();
    batch.validate().expect("a built batch is valid");
    batch
}

fn push_attribute(b: &mut BatchBuilder, random: &mut Random, row: u32, place: u64, tokens: &mut Vec<Token>) {
    let name = format!("attribute.{place}");
    let key = b.intern(name.as_bytes());
    let column = |b: &mut BatchBuilder, physical| b.column(Origin::Item, physical, &name);
    let number = random.next();
    let target = match place % 6 {
        0 => {
            let column = column(b, Physical::I64);
            b.push_i64(column, row, number as i64 >> (place * 5));
            column
        }
        1 => {
            let column = column(b, Physical::F64);
            let choices = [0.5, -0.0, f64::NAN, f64::INFINITY, 1.25, 1e300];
            let bound = if place == 1 { 1 } else { 6 };
            b.push_f64(column, row, choices[(number % bound) as usize]);
            column
        }
        2 => {
            let column = column(b, Physical::Bool);
            b.push_bool(column, row, number.is_multiple_of(2));
            column
        }
        3 => {
            let column = column(b, Physical::Text);
            b.push_bytes(column, row, format!("text {}", number % 50).as_bytes());
            column
        }
        4 => {
            let column = column(b, Physical::Bytes);
            b.push_bytes(column, row, &number.to_le_bytes()[..(number % 8) as usize]);
            column
        }
        _ => {
            let inline = b.intern(&number.to_le_bytes());
            tokens.push(Token { kind: TokenKind::Open, key, target: 0 });
            tokens.push(Token { kind: TokenKind::Inline, key, target: inline });
            tokens.push(Token { kind: TokenKind::Close, key, target: 0 });
            return;
        }
    };
    tokens.push(Token { kind: TokenKind::Value, key, target: target.0 });
}

fn value_text(batch: &EventBatch, column: &Column, row: u32) -> Option<String> {
    let place = match &column.presence {
        Presence::All => row as usize,
        Presence::Rows(rows) => rows.binary_search(&row).ok()?,
    };
    Some(match &column.values {
        Values::Bool(values) => values[place].to_string(),
        Values::I64(values) => values[place].to_string(),
        Values::F64(values) => format!("{:x}", values[place].to_bits()),
        Values::Code(codes) => {
            let code = codes[place];
            format!("{:?}#{:x}", batch.dictionary.get(code), batch.dictionary.hash(code))
        }
        Values::Id16(ids) => format!("{:?}", ids[place]),
        Values::Id8(ids) => format!("{:?}", ids[place]),
    })
}

fn shape_text(batch: &EventBatch, columns: &[Column], shape: u32) -> Vec<String> {
    let text = |code: u32| String::from_utf8_lossy(batch.dictionary.get(code)).into_owned();
    let token_text = |token: &Token| {
        let target = if token.kind.targets_column() {
            format!("{:?}", columns[token.target as usize].key)
        } else if token.kind.targets_dictionary() {
            text(token.target)
        } else {
            String::new()
        };
        format!("{:?} {} {target}", token.kind, text(token.key))
    };
    batch.shape_table.get(shape).iter().map(token_text).collect()
}

/// Each event as text: time, context with its shapes, shape, and every value by its key.
pub(crate) fn rows_of(batch: &EventBatch) -> Vec<String> {
    let values = |columns: &[Column], row: u32| {
        let mut present: Vec<String> = columns
            .iter()
            .filter_map(|column| Some(format!("{:?}={}", column.key, value_text(batch, column, row)?)))
            .collect();
        present.sort();
        present
    };
    (0..batch.rows() as u32)
        .map(|row| {
            let context = batch.contexts[row as usize];
            let shapes = batch.context_shapes[context as usize];
            format!(
                "{} {:?} {:?} {:?} {:?} {:?}",
                batch.times[row as usize],
                values(&batch.context_columns, context),
                shape_text(batch, &batch.context_columns, shapes.resource),
                shape_text(batch, &batch.context_columns, shapes.scope),
                shape_text(batch, &batch.columns, batch.shapes[row as usize]),
                values(&batch.columns, row),
            )
        })
        .collect()
}

pub(crate) fn target(compression: Compression) -> Target {
    let header = Header {
        hash_key: KEY,
        environment: Environment::default_environment(),
        partition: Partition(3),
        day: 19_675,
        append_time_ns: 0,
    };
    Target { header, compression, flush: FlushPart::default(), replaces: Vec::new() }
}

pub(crate) fn source(batch: &EventBatch, offset: u64) -> Source<'_> {
    let append_time_ns = 1_700_000_000_000_000_000 + offset as i64;
    let offset = skein_event::Offset(offset);
    Source::Batch(BatchSource { batch, offset, append_time_ns, indexes: None })
}

pub(crate) fn encode(batches: &[EventBatch], compression: Compression) -> Vec<u8> {
    let sources: Vec<Source<'_>> =
        (0_u64..).zip(batches).map(|(offset, batch)| source(batch, offset)).collect();
    merge(&sources, &target(compression)).expect("encodes")
}
