//! Figures beside what must hold whatever they are: nothing is lost at full speed. The figures mean something
//! alone on a machine only.
//!
//! `cargo test -p skein-log --test it speed -- --nocapture`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use skein_event::batch::{ColumnKey, EventBatch, Origin, Physical, Token, TokenKind};
use skein_event::builder::{BatchBuilder, ContextValue};
use skein_event::columns::Fixed;
use skein_event::flow::EventSink as _;
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::split::split;
use skein_log::disk::RealDisk;
use skein_log::{Log, LogConfig, Unfollowed, codec};

use crate::disk::Random;
use crate::world::{KEY, TestClock, append, client_key};

const SPANS: u64 = 1_000;

/// A batch of spans with 25 attributes, about 830 bytes each as protobuf: 10 texts of few values, 5 of many,
/// 6 integers, 4 doubles.
fn spans(tag: u64) -> EventBatch {
    let mut random = Random::new(tag);
    let mut builder = BatchBuilder::new(KEY);
    let context = builder.begin_context();
    let service =
        ColumnKey { origin: Origin::Resource, physical: Physical::Text, name: Arc::from("service.name") };
    builder.context_value(service, context, ContextValue::Bytes(b"cart"));
    let trace = builder.fixed(Fixed::TraceId);
    let span = builder.fixed(Fixed::SpanId);
    let duration = builder.fixed(Fixed::Duration);
    let columns: Vec<_> = (0..25)
        .map(|number| {
            let form = match number {
                0..15 => Physical::Text,
                15..21 => Physical::I64,
                _ => Physical::F64,
            };
            (number, builder.column(Origin::Item, form, &format!("attribute.number.{number}")))
        })
        .collect();
    let tokens: Vec<Token> = columns
        .iter()
        .map(|&(number, column)| Token {
            kind: TokenKind::Value,
            key: builder.intern(format!("attribute.number.{number}").as_bytes()),
            target: column.0,
        })
        .collect();
    let shape = builder.shape(&tokens);
    for row in 0..SPANS {
        let number = builder.begin_row(i64::try_from(row * 1_000_003).unwrap(), context);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(row / 8).to_le_bytes());
        id[8..].copy_from_slice(&tag.to_le_bytes());
        builder.push_trace_id(trace, number, id);
        builder.push_span_id(span, number, random.next_u64().to_le_bytes());
        builder.push_i64(duration, number, i64::try_from(random.below(1_000_000_000)).unwrap());
        for &(which, column) in &columns {
            match which {
                0..10 => builder.push_bytes(column, number, format!("value-{}", random.below(20)).as_bytes()),
                10..15 => {
                    builder.push_bytes(column, number, format!("{:032x}", random.next_u64()).as_bytes())
                }
                15..21 => builder.push_i64(column, number, i64::try_from(random.below(100_000)).unwrap()),
                _ => builder.push_f64(column, number, 0.1),
            };
        }
        builder.set_shape(number, shape);
    }
    builder.finish()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn encoding_speed() {
    let batches: Vec<EventBatch> = (0..100).map(spans).collect();
    let count = SPANS * 100;
    let environment = Environment::default_environment();
    let copies = batches.clone();
    let start = Instant::now();
    let parts: Vec<_> = copies
        .into_iter()
        .zip(0_u128..)
        .map(|(batch, digest)| split(batch, &environment, digest, 8, KEY))
        .collect();
    let split_time = start.elapsed();
    let start = Instant::now();
    let mut bytes = 0;
    for (_, part) in parts.iter().flatten() {
        let mut out = Vec::new();
        codec::encode(part, &mut out);
        bytes += out.len();
    }
    let encode_time = start.elapsed();
    let split_rows: usize = parts.iter().flatten().map(|(_, part)| part.rows()).sum();
    assert_eq!(split_rows as u64, count, "every span is in one part");
    let per_second = |time: std::time::Duration| count as f64 / time.as_secs_f64();
    println!(
        "split {:.0} spans/s, encode {:.0} spans/s, {} bytes a span",
        per_second(split_time),
        per_second(encode_time),
        bytes as u64 / count
    );
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn durable_speed() {
    let folder = tempfile::tempdir_in(std::env::var_os("TMPDIR").map_or(PathBuf::from("."), PathBuf::from));
    let folder = folder.unwrap();
    let config = LogConfig::new(PathBuf::from(folder.path()), KEY);
    let low = vec![Offset(0); 8];
    let log = Log::open(config, Arc::new(RealDisk), TestClock::new(), low, Arc::new(Unfollowed)).unwrap();
    let log = Arc::new(log);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let mut ready: Vec<Vec<EventBatch>> =
        (0..8_u64).map(|client| (0..50).map(|number| spans(client * 1_000 + number)).collect()).collect();
    let start = Instant::now();
    runtime.block_on(async {
        let clients: Vec<_> = ready
            .drain(..)
            .zip(0_u64..)
            .map(|(batches, client)| {
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    for (batch, number) in batches.into_iter().zip(0_u64..) {
                        log.append(append(client_key(client * 1_000 + number), batch, "")).await.unwrap();
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    });
    let elapsed = start.elapsed();
    let stats = log.stats();
    let offsets = (0..8).filter_map(|number| log.durable_offset(Partition(number)));
    assert_eq!(offsets.map(|offset| offset.0).sum::<u64>(), stats.records, "every record is durable");
    assert!(stats.records >= 8 * 50, "every batch is at least one record");
    println!(
        "{:.0} spans/s durable, {} group commits of {:.1} MiB, {:.0} MiB/s",
        (8 * 50 * SPANS) as f64 / elapsed.as_secs_f64(),
        stats.commits,
        log.bytes() as f64 / stats.commits as f64 / f64::from(1 << 20),
        log.bytes() as f64 / elapsed.as_secs_f64() / f64::from(1 << 20),
    );
}
