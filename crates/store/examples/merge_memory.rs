//! What a merge costs: its memory beside the mapped inputs, its time, and what clustering saves.
//!
//! `cargo run --release -p skein-store --example merge_memory -- [rows per file] [files] [columns]`
//! The inputs are files of a flush each: a column in ten is dense, the others have a value in one event of so
//! many as there are datasets; half are text, some of it unique.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use skein_event::batch::{EventBatch, Origin, Physical, Token, TokenKind};
use skein_event::builder::{BatchBuilder, ContextValue};
use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::{ColumnKey, Fixed};
use skein_store::segment::{
    BatchSource, Compression, FlushPart, Header, Order, Segment, Source, Target, merge, merge_with,
};

const KEY: HashKey = HashKey(5);
const DATASETS: u64 = 10;
const BATCH_ROWS: u64 = 4_096;
const START_NS: i64 = 1_700_000_000_000_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (rows, files, columns) = (number(64 << 10), number(8), number(100));
    let folder = std::env::temp_dir().join(format!("skein-merge-memory-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut paths = Vec::new();
    for file in 0..files {
        let path = folder.join(format!("{file}.seg"));
        std::fs::write(&path, flushed(file, rows, columns)?)?;
        paths.push(path);
    }
    let inputs = paths.iter().map(|path| Segment::open_file(path)).collect::<Result<Vec<_>, _>>()?;
    let input_bytes: u64 = inputs.iter().map(Segment::byte_len).sum();
    let sources: Vec<Source<'_>> = inputs.iter().map(Source::Segment).collect();
    report(
        &format!("{files} files of {rows} rows, {columns} columns"),
        &format!("{} MiB", input_bytes >> 20),
    );
    for order in [Order::Log, Order::Clustered] {
        let before = anonymous_bytes();
        let peak = Peak::start();
        let start = cpu_ns();
        let bytes = merge_with(&sources, &target(), order, &mut || Ok(()))?;
        let seconds = (cpu_ns() - start) as f64 / 1e9;
        let memory = peak.end().saturating_sub(before);
        let all_rows = (rows * files) as f64;
        report(
            &format!("{order:?}"),
            &format!(
                "{} MiB written, {} MiB of memory, {:.0} rows per CPU second",
                bytes.len() >> 20,
                memory >> 20,
                all_rows / seconds
            ),
        );
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example tells what it measured")]
fn report(what: &str, text: &str) {
    println!("{what}: {text}");
}

fn target() -> Target {
    let header = Header {
        hash_key: KEY,
        environment: Environment::default_environment(),
        partition: Partition(0),
        day: 19_675,
        append_time_ns: 0,
    };
    Target { header, compression: Compression::Zstd, flush: FlushPart::default(), replaces: Vec::new() }
}

fn flushed(file: u64, rows: u64, columns: u64) -> Result<Vec<u8>, skein_store::Error> {
    let batches: Vec<EventBatch> = (0..rows.div_ceil(BATCH_ROWS))
        .map(|part| batch(file * 1_000 + part, rows.min(BATCH_ROWS), columns))
        .collect();
    let source = |(offset, batch)| {
        Source::Batch(BatchSource { batch, offset: Offset(offset), append_time_ns: START_NS, indexes: None })
    };
    let sources: Vec<Source<'_>> = (file * 1_000..).zip(&batches).map(source).collect();
    merge(&sources, &target())
}

fn batch(seed: u64, rows: u64, columns: u64) -> EventBatch {
    let mut builder = BatchBuilder::new(KEY);
    for dataset in 0..DATASETS {
        let context = builder.begin_context();
        let name = format!("service-{dataset}");
        let value = ContextValue::Bytes(name.as_bytes());
        builder.context_value(ColumnKey::fixed(Fixed::Dataset), context, value);
    }
    let trace = builder.fixed(Fixed::TraceId);
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    for number in 0..rows {
        let dataset = next() % DATASETS;
        let time = START_NS + i64::try_from((seed * BATCH_ROWS + number) * 1_000).unwrap_or(0);
        let row = builder.begin_row(time, u32::try_from(dataset).unwrap_or(0));
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(seed * BATCH_ROWS + number / 10).to_le_bytes());
        builder.push_trace_id(trace, row, id);
        let mut tokens = Vec::new();
        for column in (0..columns).filter(|column| column % 10 == 0 || column % DATASETS == dataset) {
            let name = format!("attribute.{column}");
            let key = builder.intern(name.as_bytes());
            let target = if column % 2 == 0 {
                let target = builder.column(Origin::Item, Physical::I64, &name);
                builder.push_i64(target, row, i64::try_from(next() % 10_000).unwrap_or(0));
                target
            } else {
                let target = builder.column(Origin::Item, Physical::Text, &name);
                let distinct = if column % 7 == 0 { u64::MAX } else { 500 };
                builder.push_bytes(
                    target,
                    row,
                    format!("value {} of a column", next() % distinct).as_bytes(),
                );
                target
            };
            tokens.push(Token { kind: TokenKind::Value, key, target: target.0 });
        }
        let shape = builder.shape(&tokens);
        builder.set_shape(row, shape);
    }
    builder.finish()
}

/// CPU time of this thread in nanoseconds, from the kernel.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// Memory of this process that is no mapped file.
fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|text| text.trim().parse().ok());
    kilobytes.unwrap_or(0_u64) * 1_024
}

/// Looks at the memory every few milliseconds.
struct Peak {
    ended: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Peak {
    fn start() -> Peak {
        let (ended, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stop, highest) = (Arc::clone(&ended), Arc::clone(&most));
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                highest.fetch_max(anonymous_bytes(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        Peak { ended, most, thread }
    }

    fn end(self) -> u64 {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().ok();
        self.most.load(Ordering::Relaxed)
    }
}
