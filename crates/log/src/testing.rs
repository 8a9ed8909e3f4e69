//! Batches and random numbers for the tests of this crate.

use std::sync::Arc;

use skein_event::batch::{ColumnKey, ContextShape, EventBatch, Origin, Physical, Token, TokenKind};
use skein_event::builder::{BatchBuilder, ContextValue};
use skein_event::columns::Fixed;
use skein_event::hash::HashKey;

/// Random numbers from a seed (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The seed of `SKEIN_SEED`, else a fixed one; tests print it when they fail.
    pub(crate) fn seed_of_test() -> u64 {
        std::env::var("SKEIN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_120)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// A batch whose rows carry `tag` and their number in `test.event`, spread over many traces.
pub(crate) fn batch_of(key: HashKey, tag: u64, rows: u32) -> EventBatch {
    let mut builder = BatchBuilder::new(key);
    let context = builder.begin_context();
    let service =
        ColumnKey { origin: Origin::Resource, physical: Physical::Text, name: Arc::from("service.name") };
    builder.context_value(service, context, ContextValue::Bytes(b"cart"));
    let trace = builder.fixed(Fixed::TraceId);
    let name = builder.column(Origin::Item, Physical::Text, "test.event");
    for row in 0..rows {
        let number = builder.begin_row(i64::try_from(tag).unwrap() * 1_000 + i64::from(row), context);
        let mut id = [1; 16];
        id[..8].copy_from_slice(&tag.to_le_bytes());
        id[8..12].copy_from_slice(&row.to_le_bytes());
        builder.push_trace_id(trace, number, id);
        builder.push_bytes(name, number, format!("{tag}-{row}").as_bytes());
        let key = builder.intern(b"test.event");
        let shape = builder.shape(&[Token { kind: TokenKind::Value, key, target: name.0 }]);
        builder.set_shape(number, shape);
    }
    builder.finish()
}

/// A batch of every storage form, presence and width.
pub(crate) fn random_batch(random: &mut Random, key: HashKey) -> EventBatch {
    const FORMS: [Physical; 9] = [
        Physical::Bool,
        Physical::I64,
        Physical::F64,
        Physical::Text,
        Physical::Bytes,
        Physical::Json,
        Physical::TraceId,
        Physical::SpanId,
        Physical::DurationNs,
    ];
    let mut builder = BatchBuilder::new(key);
    let contexts: Vec<u32> = (0..=random.below(3))
        .map(|number| {
            let context = builder.begin_context();
            for (form, value) in [
                (Physical::Bool, ContextValue::Bool(true)),
                (Physical::I64, ContextValue::I64(-9)),
                (Physical::F64, ContextValue::F64(f64::NAN)),
                (Physical::Text, ContextValue::Bytes(b"cart")),
            ] {
                if random.below(3) > 0 {
                    let name = Arc::from(format!("resource.{number}.{form:?}"));
                    let key = ColumnKey { origin: Origin::Resource, physical: form, name };
                    builder.context_value(key, context, value);
                }
            }
            let empty = builder.shape(&[]);
            builder.set_context_shape(context, ContextShape { resource: empty, scope: empty });
            context
        })
        .collect();
    let columns: Vec<_> = (0..random.below(12))
        .map(|number| {
            let form = FORMS[number % FORMS.len()];
            (form, random.below(40), builder.column(Origin::Item, form, &format!("column.{number}")))
        })
        .collect();
    let spread = [1, 250, 70_000, u64::MAX][random.below(4)];
    for _ in 0..random.below(400) {
        let time = (random.next() % spread).cast_signed();
        let context = contexts[random.below(contexts.len())];
        let row = builder.begin_row(time, context);
        let mut tokens = Vec::new();
        for &(form, rarity, column) in &columns {
            if random.below(rarity + 1) > 0 {
                continue;
            }
            let number = random.next() % spread;
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_le_bytes());
            match form {
                Physical::Bool => builder.push_bool(column, row, number.is_multiple_of(2)),
                Physical::I64 | Physical::DurationNs => builder.push_i64(column, row, number.cast_signed()),
                Physical::F64 => builder.push_f64(column, row, f64::from_bits(number)),
                Physical::TraceId => builder.push_trace_id(column, row, id),
                Physical::SpanId => builder.push_span_id(column, row, number.to_le_bytes()),
                _ => builder.push_bytes(column, row, &id[..random.below(17)]),
            };
            let key = builder.intern(format!("column.{}", column.0).as_bytes());
            tokens.push(Token { kind: TokenKind::Value, key, target: column.0 });
        }
        let shape = builder.shape(&tokens);
        builder.set_shape(row, shape);
    }
    builder.finish()
}
