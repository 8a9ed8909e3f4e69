//! Prints what it costs to take a trace's rows out of a clustered segment, with all their columns: the store's part of
//! a trace by its id.
//!
//! `cargo run --release -p skein-bench --example trace_rows [-- ROWS]`. The events are the wide ones of the
//! benchmarks, those of one partition of eight, in a segment as compaction leaves it.

use rustix::time::{ClockId, clock_gettime};
use skein_event::EventBatch;
use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::split::split;
use skein_event::{ColumnKey, Fixed};
use skein_ingest::{DoorContext, Signal, decode_protobuf};
use skein_store::segment::{
    BatchSource, Compression, FlushPart, Header, Order, Segment, Source, Target, merge_with,
};
use skein_workload::wide::WideConfig;

const KEY: HashKey = HashKey(42);
/// A request's records reach the log together; the next come 10 ms later.
const APPEND_STEP_NS: i64 = 10_000_000;

fn cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(now.tv_sec * 1_000_000_000 + now.tv_nsec).unwrap_or(0)
}

fn target(compression: Compression) -> Target {
    let header = Header {
        hash_key: KEY,
        environment: Environment::default_environment(),
        partition: Partition(0),
        day: 0,
        append_time_ns: 0,
    };
    Target { header, compression, flush: FlushPart::default(), replaces: Vec::new() }
}

/// Batches of one partition, each with its append time.
fn batches(rows_wanted: usize) -> Result<Vec<(EventBatch, i64)>, Box<dyn std::error::Error>> {
    let config = WideConfig::default();
    let wide = config.generator();
    let environment = Environment::default_environment();
    let (mut batches, mut rows) = (Vec::new(), 0);
    for index in 0..wide.requests() {
        let request = wide.request(index);
        let arrival = config.start_ns + i64::try_from(index)? * APPEND_STEP_NS + 3_456_789;
        for (signal, body) in [(Signal::Traces, &request.traces), (Signal::Logs, &request.logs)] {
            let context = DoorContext { hash_key: KEY, arrival_ns: arrival };
            let decoded = decode_protobuf(signal, body, &context).map_err(|_| "a generated request")?;
            for (partition, part) in split(decoded.batch, &environment, index as u128, 8, KEY) {
                if partition == Partition(0) && part.rows() > 0 {
                    rows += part.rows();
                    batches.push((part, arrival));
                }
            }
        }
        if rows >= rows_wanted {
            break;
        }
    }
    Ok(batches)
}

/// Traces that are asked for, spread over the segment.
const TRACES: usize = 500;

#[expect(clippy::print_stdout, reason = "a measurement prints its figures")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wanted: usize = std::env::args().nth(1).map_or(Ok(250_000), |text| text.parse())?;
    let batches = batches(wanted)?;
    let sources: Vec<Source<'_>> = (0..)
        .zip(&batches)
        .map(|(offset, (batch, append_time_ns))| {
            let append_time_ns = *append_time_ns;
            Source::Batch(BatchSource { batch, offset: Offset(offset), append_time_ns, indexes: None })
        })
        .collect();
    let bytes = merge_with(&sources, &target(Compression::Zstd), Order::Clustered, &mut || Ok(()))?;
    let segment = Segment::open(bytes)?;
    println!(
        "{} rows, {:.2} bytes each",
        segment.rows(),
        segment.byte_len() as f64 / f64::from(segment.rows())
    );
    let sizes = segment.sizes()?;
    for kind in ["presence rows", "presence blocks", "text", "codes", "dictionary text", "integers"] {
        let bytes: u64 = sizes.iter().filter(|part| part.kind == kind).map(|part| part.bytes).sum();
        println!("{:8.3}  {kind}", bytes as f64 / f64::from(segment.rows()));
    }
    let column = segment.column_of(&ColumnKey::fixed(Fixed::TraceId))?.ok_or("no traces")?;
    let ids: Vec<[u8; 16]> = (0..column.dictionary_len())
        .step_by((column.dictionary_len() as usize / TRACES).max(1))
        .filter_map(|code| column.trace_id(code))
        .collect();
    for _round in 0..3 {
        let (mut rows, mut values, mut find_ns) = (0, 0, 0);
        let mut each: Vec<u64> = Vec::with_capacity(ids.len());
        for id in &ids {
            let before = cpu_ns();
            let found = segment.rows_of_trace(id)?;
            find_ns += cpu_ns() - before;
            let before = cpu_ns();
            let gathered = segment.gather(&found)?;
            each.push(cpu_ns() - before);
            rows += found.len();
            let columns = gathered.batch.columns.iter().chain(&gathered.batch.context_columns);
            values += columns.map(|column| column.values.len()).sum::<usize>();
        }
        each.sort_unstable();
        let micros = |ns: u64| ns as f64 / 1e3;
        println!(
            "{} traces, {rows} rows, {values} values: finding {:.1} µs each, taking out p50 {:.0} µs, p99 {:.0} µs",
            ids.len(),
            micros(find_ns) / ids.len() as f64,
            micros(each[each.len() / 2]),
            micros(each[each.len() * 99 / 100]),
        );
    }
    Ok(())
}
