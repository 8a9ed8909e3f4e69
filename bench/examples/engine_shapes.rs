//! Times the engine alone, without a server, on the shapes of question that the goals name: what a change of a kernel
//! or of the order of work gains.
//!
//! `cargo run --release -p skein-bench --example engine_shapes [-- DIRECTORY ROWS ROUNDS THREADS]`. The first run
//! writes segments of wide events to the directory, later runs read them. Ratios between two builds say something;
//! the figures alone depend on the machine.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde_json::{Value, json};
use skein_engine::{NativeEngine, SnapshotView, Snapshots};
use skein_event::EventBatch;
use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::observe::Clock;
use skein_ingest::{DoorContext, Signal, decode_protobuf};
use skein_query::{QueryEngine as _, QueryError, RunContext, render};
use skein_store::Segments;
use skein_store::segment::{
    BatchSource, Compression, FlushPart, Header, Order, Segment, Source, Target, UnpackedCache, merge_with,
};
use skein_workload::wide::WideConfig;

/// That of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEY: HashKey = HashKey(42);
const SEGMENT_ROWS: usize = 500_000;

struct Shelf(Segments);

impl Snapshots for Shelf {
    fn snapshot(&self, _environment: &Environment, now_ns: i64) -> Result<SnapshotView, QueryError> {
        Ok(SnapshotView {
            segments: self.0.clone(),
            complete_to_ns: now_ns,
            name: "shelf".to_owned(),
            damaged: Vec::new(),
            lease: None,
        })
    }
}

struct NoClock;

impl Clock for NoClock {
    fn now_ns(&self) -> i64 {
        0
    }
}

type Failure = Box<dyn std::error::Error>;

fn write_segments(directory: &Path, rows: usize) -> Result<(), Failure> {
    let config = WideConfig { rows, ..WideConfig::default() };
    let wide = config.generator();
    let (mut batches, mut open, mut number): (Vec<EventBatch>, usize, usize) = (Vec::new(), 0, 0);
    for index in 0..wide.requests() {
        let request = wide.request(index);
        for (signal, body) in [(Signal::Traces, &request.traces), (Signal::Logs, &request.logs)] {
            let context = DoorContext { hash_key: KEY, arrival_ns: config.start_ns };
            let decoded = decode_protobuf(signal, body, &context).map_err(|_| "a generated request")?;
            open += decoded.batch.rows();
            batches.push(decoded.batch);
        }
        if open >= SEGMENT_ROWS || index + 1 == wide.requests() {
            let source = |(offset, batch)| {
                Source::Batch(BatchSource {
                    batch,
                    offset: Offset(offset),
                    append_time_ns: config.start_ns,
                    indexes: None,
                })
            };
            let sources: Vec<Source<'_>> = (0..).zip(&batches).map(source).collect();
            let header = Header {
                hash_key: KEY,
                environment: Environment::default_environment(),
                partition: Partition(0),
                day: 0,
                append_time_ns: 0,
            };
            let flush = FlushPart::default();
            let target = Target { header, compression: Compression::Lz4, flush, replaces: Vec::new() };
            let bytes = merge_with(&sources, &target, Order::Clustered, &mut || Ok(()))?;
            std::fs::write(directory.join(format!("{number:03}.seg")), bytes)?;
            batches.clear();
            (open, number) = (0, number + 1);
        }
    }
    Ok(())
}

fn questions() -> Vec<(&'static str, Value)> {
    let count = || json!([{"op": "COUNT"}]);
    let by_count = || json!([{"op": "COUNT", "order": "descending"}]);
    let durations = json!([{"op": "COUNT"}, {"op": "P50", "column": "duration_ms"},
        {"op": "P95", "column": "duration_ms"}, {"op": "P99", "column": "duration_ms"}]);
    let start = 1_767_247_200;
    vec![
        ("1 count per minute", json!({"calculations": count(), "granularity": 60})),
        ("2 percentiles by service", json!({"calculations": durations, "breakdowns": ["service.name"]})),
        (
            "3 top users of failures",
            json!({"calculations": count(), "breakdowns": ["user.id"], "limit": 20,
            "orders": by_count(), "filters": [{"column": "http.response.status_code", "op": ">=", "value": 500}]}),
        ),
        (
            "3 top users",
            json!({"calculations": count(), "breakdowns": ["user.id"], "limit": 20, "orders": by_count()}),
        ),
        (
            "4 heatmap of a service",
            json!({"calculations": [{"op": "HEATMAP", "column": "duration_ms"}], "granularity": 180,
            "filters": [{"column": "service.name", "op": "=", "value": "checkout"}]}),
        ),
        (
            "6 common word",
            json!({"calculations": count(),
            "filters": [{"column": "body", "op": "contains", "value": "timed out"}]}),
        ),
        (
            "6 rare word",
            json!({"calculations": count(),
            "filters": [{"column": "body", "op": "contains", "value": "user-000777"}]}),
        ),
        (
            "6 last rows of a word",
            json!({"limit": 50, "rows": true,
            "filters": [{"column": "body", "op": "contains", "value": "timed out"}]}),
        ),
        (
            "7 distinct users by route",
            json!({"calculations": [{"op": "COUNT_DISTINCT", "column": "user.id"}],
            "breakdowns": ["http.route"], "start_time": start + 7_200, "end_time": start + 9_000}),
        ),
        (
            "9 sparse columns",
            json!({"calculations": count(),
            "breakdowns": ["messaging.destination.name", "db.collection.name", "feature_flag.key"],
            "filters": [{"column": "db.client.wait_ms", "op": ">", "value": 1}]}),
        ),
        (
            "sums by service",
            json!({"calculations": [{"op": "SUM", "column": "http.response.body.size"},
            {"op": "AVG", "column": "duration_ms"}, {"op": "MAX", "column": "shop.cart.value"}],
            "breakdowns": ["service.name"]}),
        ),
        ("distinct users", json!({"calculations": [{"op": "COUNT_DISTINCT", "column": "user.id"}]})),
        (
            "count by service and minute",
            json!({"calculations": count(), "breakdowns": ["service.name"], "granularity": 60}),
        ),
        (
            "errors by service",
            json!({"calculations": count(), "breakdowns": ["service.name"],
            "filters": [{"column": "error", "op": "=", "value": true}]}),
        ),
    ]
}

#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement reads a clock and prints")]
fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| "target/engine_shapes".to_owned());
    let rows: usize = arguments.next().map_or(Ok(2_000_000), |text| text.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let only = arguments.next();
    let directory = Path::new(&directory);
    std::fs::create_dir_all(directory)?;
    if std::fs::read_dir(directory)?.next().is_none() {
        write_segments(directory, rows)?;
    }
    let mut paths: Vec<_> =
        std::fs::read_dir(directory)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    paths.sort();
    let cache = Arc::new(UnpackedCache::new(64 << 20));
    let open = |path| Segment::open_file(path).map(|segment| Arc::new(segment.kept_in(&cache)));
    let segments = paths.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>()?;
    let rows: u64 = segments.iter().map(|segment| u64::from(segment.rows())).sum();
    println!("{rows} rows in {} segments", segments.len());
    let engine = NativeEngine::new(Arc::new(Shelf(Segments::loaded(segments))));
    let cancelled = AtomicBool::new(false);
    let context = RunContext {
        clock: &NoClock,
        cancelled: &cancelled,
        progress: &|_| {},
        partial: None,
        deadline_ns: None,
        memory_bytes_max: 4 << 30,
    };
    for (name, mut spec) in questions() {
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        if spec.get("start_time").is_none() {
            spec["start_time"] = json!(1_767_247_200 - 3_600);
            spec["end_time"] = json!(1_767_247_200 + 7 * 3_600);
        }
        let rows = spec.as_object_mut().and_then(|spec| spec.remove("rows")).is_some();
        if rows {
            spec["calculations"] = json!([]);
        }
        let plan = skein_query::spec::parse(&spec, &Environment::default_environment(), 0)?;
        let mut times = Vec::new();
        let mut digest = 0;
        for _ in 0..=rounds {
            let begin = Instant::now();
            let result = engine.run(&plan, &context)?;
            times.push(begin.elapsed().as_secs_f64() * 1e3);
            digest = KEY.hash(render::data(&result).to_string().as_bytes());
        }
        let first = times.remove(0);
        times.sort_by(f64::total_cmp);
        println!(
            "{name:28} {:9.2} ms   first {first:9.2}   {digest:016x}",
            times.get(times.len() / 2).copied().unwrap_or(first)
        );
    }
    Ok(())
}
