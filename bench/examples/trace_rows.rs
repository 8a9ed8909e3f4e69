//! Prints what it costs to answer for a trace by its id with all its columns, step by step, without the door.
//!
//! `cargo run --release -p skein-bench --example trace_rows [-- ROWS [ROUNDS [log|cold]]]`. The events are the wide ones of
//! the benchmarks, those of one partition of eight, in a segment as compaction leaves it, with `log` as a flush
//! does, with `cold` as the last compaction does. Processor time of the thread; traces of more than a thousand rows are counted apart.

mod partition;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use partition::{batches, cpu_ns, sources, target};
use skein_engine::{NativeEngine, SnapshotView, Snapshots};
use skein_event::ids::Environment;
use skein_event::limits::UNPACKED_BYTES_MAX;
use skein_event::{ColumnKey, Fixed};
use skein_query::engine::QueryEngine as _;
use skein_query::{QueryError, RunContext, render};
use skein_store::Segments;
use skein_store::segment::{Compression, Order, Segment, UnpackedCache, merge_with};

/// That of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Traces that are asked for, spread over the segment.
const TRACES: usize = 500;
/// Rows beyond which a trace is no usual one.
const LONG: usize = 1_000;

/// One segment and nothing else.
struct One(Segments);

impl Snapshots for One {
    fn snapshot(&self, _environment: &Environment, _now_ns: i64) -> Result<SnapshotView, QueryError> {
        Ok(SnapshotView {
            segments: self.0.clone(),
            complete_to_ns: 0,
            name: String::new(),
            damaged: Vec::new(),
            lease: None,
        })
    }
}

struct NoClock;

impl skein_event::observe::Clock for NoClock {
    fn now_ns(&self) -> i64 {
        0
    }
}

/// Processor time of each run of a step.
#[derive(Default)]
struct Times(Vec<u64>);

impl Times {
    fn take<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let before = cpu_ns();
        let result = step();
        self.0.push(cpu_ns() - before);
        result
    }

    #[expect(clippy::print_stdout, reason = "a measurement prints its figures")]
    fn print(&mut self, name: &str) {
        self.0.sort_unstable();
        let at = |part: usize| self.0.get(self.0.len() * part / 100).copied().unwrap_or(0) as f64 / 1e3;
        println!("  {name:28} p50 {:7.0} µs   p99 {:7.0} µs", at(50), at(99));
    }
}

#[expect(clippy::print_stdout, reason = "a measurement prints its figures")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let wanted: usize = arguments.next().map_or(Ok(250_000), |text| text.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let which = arguments.next();
    let order = if which.as_deref() == Some("log") { Order::Log } else { Order::Clustered };
    let compression = if which.as_deref() == Some("cold") { Compression::Cold } else { Compression::Zstd };
    let batches = batches(wanted)?;
    let bytes = merge_with(&sources(&batches), &target(compression), order, &mut || Ok(()))?;
    drop(batches);
    let cache = Arc::new(UnpackedCache::new(UNPACKED_BYTES_MAX));
    let segment = Arc::new(Segment::open(bytes)?.kept_in(&cache));
    println!(
        "{} rows, {:.2} bytes each",
        segment.rows(),
        segment.byte_len() as f64 / f64::from(segment.rows())
    );
    let sizes = segment.sizes()?;
    for kind in ["presence spread", "presence blocks", "text", "codes", "dictionary text", "integers"] {
        let bytes: u64 = sizes.iter().filter(|part| part.kind == kind).map(|part| part.bytes).sum();
        println!("{:8.3}  {kind}", bytes as f64 / f64::from(segment.rows()));
    }
    let column = segment.column_of(&ColumnKey::fixed(Fixed::TraceId))?.ok_or("no traces")?;
    let ids: Vec<[u8; 16]> = (0..column.dictionary_len())
        .step_by((column.dictionary_len() as usize / TRACES).max(1))
        .filter_map(|code| column.trace_id(code))
        .collect();
    drop(column);
    let (mut usual, mut long) = (Vec::new(), Vec::new());
    for id in ids {
        let is_long = segment.rows_of_trace(&id)?.len() > LONG;
        if is_long { long.push(id) } else { usual.push(id) }
    }
    scan(&segment)?;
    let engine = NativeEngine::new(Arc::new(One(Segments::loaded(vec![Arc::clone(&segment)]))));
    for round in 0..rounds {
        measure("usual traces", &segment, &engine, &usual)?;
        if round == 0 {
            measure("long traces", &segment, &engine, &long)?;
        }
    }
    Ok(())
}

/// What it costs to decode columns of one kind whole: first, when they are checked, and again.
#[expect(clippy::print_stdout, reason = "a measurement prints its figures")]
fn scan(segment: &Segment) -> Result<(), Box<dyn std::error::Error>> {
    for round in ["first", "again", "again"] {
        let before = cpu_ns();
        let (mut values, mut integers, mut doubles, mut codes) = (0, vec![], vec![], vec![]);
        for info in segment.columns() {
            let column = segment.column(info?.id)?;
            for block in 0..column.blocks() {
                column.decode_i64(block, &mut integers);
                column.decode_f64(block, &mut doubles);
                column.decode_codes(block, &mut codes);
                values += integers.len() + doubles.len() + codes.len();
            }
        }
        println!("  all columns, {round}: {:.2} ns a value", (cpu_ns() - before) as f64 / values as f64);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a measurement prints its figures")]
fn measure(
    name: &str,
    segment: &Segment,
    engine: &NativeEngine,
    ids: &[[u8; 16]],
) -> Result<(), Box<dyn std::error::Error>> {
    let cancelled = AtomicBool::new(false);
    let context = RunContext {
        clock: &NoClock,
        cancelled: &cancelled,
        progress: &|_| {},
        partial: None,
        deadline_ns: None,
        memory_bytes_max: usize::MAX,
    };
    let environment = Environment::default_environment();
    let [mut find, mut gather, mut ask, mut assemble, mut json] = <[Times; 5]>::default();
    let (mut rows, mut values, mut bytes) = (0, 0, 0);
    for id in ids {
        let found = find.take(|| segment.rows_of_trace(id))?;
        let gathered = gather.take(|| segment.gather_values(&found))?;
        rows += found.len();
        let columns = gathered.batch.columns.iter().chain(&gathered.batch.context_columns);
        values += columns.map(|column| column.values.len()).sum::<usize>();
        drop(gathered);
        let answer = ask.take(|| engine.trace(&environment, *id, &context))?;
        let trace = assemble.take(|| skein_analysis::trace::assemble(answer.rows));
        let text = json.take(|| {
            let text = |row| render::RowText { row, only: None };
            let all: Vec<_> = trace.spans.iter().chain(&trace.logs).map(text).collect();
            serde_json::to_vec(&all)
        })?;
        bytes += text.len();
    }
    println!("{name}: {}, {rows} rows, {values} values, {bytes} bytes of JSON", ids.len());
    find.print("the rows of an id");
    gather.print("their values");
    ask.print("all of that, and flat rows");
    assemble.print("in the order of the trace");
    json.print("as JSON");
    Ok(())
}
