//! Prints where the bytes of a segment go, by part and by column, and what encoding it costs on one thread.
//!
//! `cargo run --release -p skein-bench --example segment_size [-- ROWS]`. The events are the wide ones of the
//! benchmarks, those of one partition of eight, as a flush is given them: first to head blocks, then to a file,
//! then (twice the file) what compaction costs. The sizes are those of a file that compaction has clustered.

mod partition;

use std::collections::BTreeMap;

use partition::{batches, cpu_ns, sources, target};
use skein_event::limits::HEAD_BLOCK_ROWS;
use skein_store::segment::{Compression, Order, Segment, Source, merge, merge_in_memory, merge_with};

/// That of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const COLUMNS_SHOWN: usize = 45;

#[expect(clippy::print_stdout, reason = "a measurement prints its figures")]
fn report(what: &str, cpu: u64, rows: u64, bytes: usize) {
    let per_second = rows as f64 / (cpu as f64 / 1e9);
    println!(
        "{what:34} {:8.0} rows per CPU-second, {:7.2} bytes per row",
        per_second,
        bytes as f64 / rows as f64
    );
}

#[expect(clippy::print_stdout, reason = "a measurement prints its figures")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wanted: usize = std::env::args().nth(1).map_or(Ok(250_000), |text| text.parse())?;
    let batches = batches(wanted)?;
    let rows: u64 = batches.iter().map(|(batch, _)| batch.rows() as u64).sum();
    let values: usize =
        batches.iter().flat_map(|(batch, _)| &batch.columns).map(|column| column.values.len()).sum();
    println!("{rows} rows in {} batches, {:.1} values a row", batches.len(), values as f64 / rows as f64);
    let sources = sources(&batches);
    // The first time warms memory up.
    merge(&sources, &target(Compression::Zstd))?;
    let before = cpu_ns();
    let direct = merge(&sources, &target(Compression::Zstd))?;
    report("batches to a file", cpu_ns() - before, rows, direct.len());

    let before = cpu_ns();
    let (mut blocks, mut open, mut open_rows) = (Vec::new(), Vec::new(), 0);
    for (source, (batch, _)) in sources.iter().zip(&batches) {
        open.push(*source);
        open_rows += batch.rows();
        if open_rows >= HEAD_BLOCK_ROWS {
            blocks.push(merge_in_memory(&std::mem::take(&mut open), &target(Compression::None))?);
            open_rows = 0;
        }
    }
    if !open.is_empty() {
        blocks.push(merge_in_memory(&open, &target(Compression::None))?);
    }
    let head_bytes: u64 = blocks.iter().map(Segment::byte_len).sum();
    report("batches to head blocks", cpu_ns() - before, rows, usize::try_from(head_bytes)?);
    let block_sources: Vec<Source<'_>> = blocks.iter().map(Source::Segment).collect();
    for (what, compression) in [("LZ4", Compression::Lz4), ("zstd", Compression::Zstd)] {
        let before = cpu_ns();
        let file = merge(&block_sources, &target(compression))?;
        report(&format!("head blocks to a file, {what}"), cpu_ns() - before, rows, file.len());
    }
    let file = Segment::open(direct)?;
    file.verify()?;
    let before = cpu_ns();
    let merged = merge(&[Source::Segment(&file), Source::Segment(&file)], &target(Compression::Zstd))?;
    report("two files to one", cpu_ns() - before, rows * 2, merged.len());

    let before = cpu_ns();
    let clustered = merge_with(&block_sources, &target(Compression::Zstd), Order::Clustered, &mut || Ok(()))?;
    report("head blocks to a clustered file", cpu_ns() - before, rows, clustered.len());
    let file = Segment::open(clustered)?;
    file.verify()?;
    let before = cpu_ns();
    let cold =
        merge_with(&[Source::Segment(&file)], &target(Compression::Cold), Order::Clustered, &mut || Ok(()))?;
    report("a clustered file to a cold one", cpu_ns() - before, rows, cold.len());
    let before = cpu_ns();
    let again =
        merge_with(&[Source::Segment(&file)], &target(Compression::Zstd), Order::Clustered, &mut || Ok(()))?;
    report("the same, not cold", cpu_ns() - before, rows, again.len());
    let cold = Segment::open(cold)?;
    cold.verify()?;
    show_sizes(&file, rows)?;
    show_sizes(&cold, rows)
}

#[expect(clippy::print_stdout, reason = "a measurement prints its figures")]
fn show_sizes(file: &Segment, rows: u64) -> Result<(), Box<dyn std::error::Error>> {
    let sizes = file.sizes()?;
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let mut columns: BTreeMap<String, (u64, BTreeMap<&str, u64>)> = BTreeMap::new();
    for part in &sizes {
        *kinds.entry(part.kind).or_default() += part.bytes;
        let column = columns.entry(part.column.as_deref().unwrap_or("—").to_owned()).or_default();
        column.0 += part.bytes;
        *column.1.entry(part.kind).or_default() += part.bytes;
    }
    let each = |bytes: u64| bytes as f64 / rows as f64;
    println!("\nby part, bytes per row");
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    kinds.iter().for_each(|(kind, bytes)| println!("{:8.3}  {kind}", each(*bytes)));
    println!("\nby column, bytes per row");
    let mut columns: Vec<_> = columns.into_iter().collect();
    columns.sort_by_key(|(_, (bytes, _))| std::cmp::Reverse(*bytes));
    for (name, (bytes, parts)) in columns.iter().take(COLUMNS_SHOWN) {
        let parts: Vec<String> =
            parts.iter().map(|(kind, bytes)| format!("{kind} {:.3}", each(*bytes))).collect();
        let info = file.by_name(name)?;
        let fill = info.first().map_or(0, |info| info.present);
        let distinct = info.first().and_then(|info| info.distinct).unwrap_or(0);
        println!("{:8.3}  {name}: {} ({fill} values, {distinct} distinct)", each(*bytes), parts.join(", "));
    }
    Ok(())
}
