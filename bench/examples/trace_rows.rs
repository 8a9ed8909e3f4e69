//! Prints what it costs to take a trace's rows out of a clustered segment, with all their columns: the store's part of
//! a trace by its id.
//!
//! `cargo run --release -p skein-bench --example trace_rows [-- ROWS]`. The events are the wide ones of the
//! benchmarks, those of one partition of eight, in a segment as compaction leaves it.

mod partition;

use partition::{batches, cpu_ns, sources, target};
use skein_event::{ColumnKey, Fixed};
use skein_store::segment::{Compression, Order, Segment, merge_with};

/// That of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Traces that are asked for, spread over the segment.
const TRACES: usize = 500;

#[expect(clippy::print_stdout, reason = "a measurement prints its figures")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wanted: usize = std::env::args().nth(1).map_or(Ok(250_000), |text| text.parse())?;
    let batches = batches(wanted)?;
    let sources = sources(&batches);
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
