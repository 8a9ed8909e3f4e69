//! Measures what the store costs per span, on one thread: apply, seal, flush, compaction.
//!
//! `cargo run --release -p skein-store --example head_speed [-- SPANS]`. Spans have 25 attributes beside 8 of the
//! resource, as the bench's generator makes them: mostly of few values, some unique. CPU time is the kernel's
//! for this thread.

use std::sync::Arc;

use skein_event::batch::{Token, TokenKind};
use skein_event::builder::{BatchBuilder, ContextValue};
use skein_event::flow::BatchKey;
use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Offset};
use skein_event::observe::{Clock, Unobserved};
use skein_event::split::split;
use skein_event::{ColumnKey, EventBatch, Fixed, Origin, Physical};
use skein_log::disk::RealDisk;
use skein_log::{DurableRecord, Follower as _};
use skein_store::catalog::SqliteCatalog;
use skein_store::{Closing, Store, StoreConfig, Surroundings};

const KEY: HashKey = HashKey(42);
const BATCH_SPANS: u64 = 1_000;
const PARTITIONS: u16 = 8;
const START_NS: i64 = 1_700_000_000_000_000_000;
/// 100,000 spans a second.
const SPAN_NS: i64 = 10_000;

struct Still;

impl Clock for Still {
    fn now_ns(&self) -> i64 {
        START_NS
    }
}

fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn batch(number: u64) -> EventBatch {
    let mut builder = BatchBuilder::new(KEY);
    let context = builder.begin_context();
    for place in 0..8 {
        let name = if place == 0 { "service.name".to_owned() } else { format!("resource.{place}") };
        let key = ColumnKey { origin: Origin::Resource, physical: Physical::Text, name: Arc::from(name) };
        let value = format!("value {place} of service {}", number % 5);
        builder.context_value(key, context, ContextValue::Bytes(value.as_bytes()));
    }
    let fixed =
        [Fixed::TraceId, Fixed::SpanId, Fixed::ParentId, Fixed::Name, Fixed::Duration, Fixed::SpanKind]
            .map(|fixed| builder.fixed(fixed));
    let names: Vec<String> = (0..25).map(|place| format!("attribute.number.{place}")).collect();
    let columns: Vec<_> = (0..25)
        .map(|place| {
            let physical = match place {
                0..4 => Physical::I64,
                4 => Physical::F64,
                5 => Physical::Bool,
                _ => Physical::Text,
            };
            builder.column(Origin::Item, physical, &names[place])
        })
        .collect();
    let mut tokens = Vec::new();
    for span in number * BATCH_SPANS..(number + 1) * BATCH_SPANS {
        let random = |place: u64| mix(span.wrapping_mul(64).wrapping_add(place));
        let time = START_NS + i64::try_from(span).unwrap_or(0) * SPAN_NS;
        let row = builder.begin_row(time, context);
        let trace = (u128::from(mix(span / 8)) << 64 | u128::from(span / 8 + 1)).to_le_bytes();
        builder.push_trace_id(fixed[0], row, trace);
        builder.push_span_id(fixed[1], row, random(60).to_le_bytes());
        builder.push_span_id(fixed[2], row, random(61).to_le_bytes());
        builder.push_bytes(fixed[3], row, format!("GET /route/{}", random(62) % 40).as_bytes());
        builder.push_i64(fixed[4], row, (random(63) % 50_000_000).cast_signed());
        builder.push_bytes(fixed[5], row, b"server");
        tokens.clear();
        for (place, &column) in (0_u64..).zip(&columns) {
            let value = random(place);
            match place {
                0..4 => builder.push_i64(column, row, (value % (1 << (place * 8))).cast_signed()),
                4 => builder.push_f64(
                    column,
                    row,
                    f64::from(u32::try_from(value % 100_000).unwrap_or(0)) / 100.0,
                ),
                5 => builder.push_bool(column, row, value.is_multiple_of(2)),
                6 => builder.push_bytes(
                    column,
                    row,
                    format!("https://example.org/item/{value:x}?from=cart").as_bytes(),
                ),
                7 => builder.push_bytes(column, row, format!("user-{}", value % 50_000).as_bytes()),
                _ => builder.push_bytes(
                    column,
                    row,
                    format!("value {} of {place}", value % (1 << (place % 9))).as_bytes(),
                ),
            };
            let key = builder.intern(names[usize::try_from(place).unwrap_or(0)].as_bytes());
            tokens.push(Token { kind: TokenKind::Value, key, target: column.0 });
        }
        let shape = builder.shape(&tokens);
        builder.set_shape(row, shape);
    }
    builder.finish()
}

/// Nanoseconds that this thread has run.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[expect(clippy::print_stdout, reason = "a measurement prints its figures")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spans: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let config = StoreConfig::new(folder.path().to_owned(), PARTITIONS, KEY);
    let surroundings = Surroundings {
        disk: Arc::new(RealDisk),
        catalog: Arc::new(SqliteCatalog::open(&folder.path().join("catalog.sqlite"))?),
        clock: Arc::new(Still),
        observer: Arc::new(Unobserved),
    };
    let store = Store::open(config, surroundings)?;
    let environment = Environment::default_environment();
    let mut offsets = [0; PARTITIONS as usize];
    let (mut apply, mut seal) = (0, 0);
    for number in 0..spans.div_ceil(BATCH_SPANS) {
        let parts = split(batch(number), &environment, u128::from(number), PARTITIONS, KEY);
        let records = parts.into_iter().map(|(partition, part)| {
            let offset = &mut offsets[usize::from(partition.0)];
            *offset += 1;
            DurableRecord {
                environment: environment.clone(),
                partition,
                offset: Offset(*offset - 1),
                append_time_ns: START_NS,
                key: BatchKey::Unique(0),
                batch: Arc::new(part),
                erasure: None,
            }
        });
        let records: Vec<_> = records.collect();
        let before = cpu_ns();
        store.apply(records);
        apply += cpu_ns() - before;
        let before = cpu_ns();
        store.seal()?;
        seal += cpu_ns() - before;
    }
    let head_bytes = store.stats(&environment).head_bytes;
    let before = cpu_ns();
    store.flush_all()?;
    let flush = cpu_ns() - before;
    let stats = store.stats(&environment);
    let before = cpu_ns();
    while store.compact_as(Closing::All)? {}
    let compact = cpu_ns() - before;
    println!("{spans} spans, {PARTITIONS} partitions, batches of {BATCH_SPANS}");
    for (what, nanoseconds) in [("apply", apply), ("seal", seal), ("flush", flush), ("compact", compact)] {
        let per_span = nanoseconds / spans;
        println!(
            "{what:8} {per_span:5} ns per span, {:4.1} % of a core at 100,000 spans/s",
            per_span as f64 / 100.0
        );
    }
    println!("head     {:5} bytes per span", head_bytes / spans);
    println!("files    {:5} bytes per span in {} segments", stats.segment_bytes / spans, stats.segments);
    Ok(())
}
