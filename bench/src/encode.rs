//! The encoder alone, on one thread: batches as ingest delivers them, to the bytes of a finished segment.
//!
//! The batches are those of one partition of eight, so each has about an eighth of a request's rows and a
//! dictionary of its own: what a flush is given. Two ways are measured: straight into one segment, and through
//! head blocks of some thousand rows, which is the way of a server under load.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use skein_event::EventBatch;
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::limits::{HEAD_BLOCK_ROWS, PARTITIONS_LOCAL};
use skein_event::split::split;
use skein_store::segment::{
    BatchSource, Compression, FlushPart, Header, Segment, Source, Target, merge, merge_in_memory,
};

use crate::clock;
use crate::data::{Data, KEY, decode_in_order};
use crate::report::{self, Figure, precise};

/// Rows of the segment that is encoded.
const ROWS: usize = 250_000;

/// Processor time that each figure is measured over, at least.
const MEASURED: Duration = Duration::from_secs(3);

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: Data,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        report::show(&measure(&self.data)?);
        Ok(())
    }
}

/// Measures both ways.
pub(crate) fn measure(data: &Data) -> anyhow::Result<Vec<Figure>> {
    let batches = batches(data)?;
    let rows: usize = batches.iter().map(EventBatch::rows).sum();
    let values: usize =
        batches.iter().flat_map(|batch| &batch.columns).map(|column| column.values.len()).sum();
    let (direct, bytes) = repeat(rows, || encode(&batches))?;
    let (through_head, _) = repeat(rows, || encode_through_head(&batches))?;
    Ok(vec![
        Figure::new("encode", "events per CPU-second", direct).at_least(800_000.0),
        Figure::new("encode_through_head_blocks", "events per CPU-second", through_head),
        Figure::new("encode_values", "values per CPU-second", direct * precise(values) / precise(rows)),
        Figure::new("encode_values_per_event", "values", precise(values) / precise(rows)),
        Figure::new("encode_fresh_bytes_per_event", "bytes", precise(bytes) / precise(rows)),
    ])
}

/// The batches of one partition.
fn batches(data: &Data) -> anyhow::Result<Vec<EventBatch>> {
    let wide = data.wide().generator();
    let environment = Environment::default_environment();
    let (mut batches, mut rows, mut nonce) = (Vec::new(), 0, 0_u128);
    decode_in_order(&wide, |decoded| {
        for batch in decoded {
            nonce += 1;
            for (partition, part) in split(batch, &environment, nonce, PARTITIONS_LOCAL, KEY) {
                if partition == Partition(0) {
                    rows += part.rows();
                    batches.push(part);
                }
            }
        }
        Ok(rows < ROWS)
    })?;
    anyhow::ensure!(rows > 0, "no events: --rows must be positive");
    Ok(batches)
}

/// Events per second of this thread's processor time, and the bytes of the segment.
fn repeat(rows: usize, encode: impl Fn() -> anyhow::Result<usize>) -> anyhow::Result<(f64, usize)> {
    // The first round warms up and is not counted.
    let bytes = encode()?;
    let begin = clock::thread_cpu();
    let mut rounds = 0.0;
    while clock::thread_cpu() - begin < MEASURED {
        encode()?;
        rounds += 1.0;
    }
    let seconds = (clock::thread_cpu() - begin).as_secs_f64();
    Ok((rounds * precise(rows) / seconds, bytes))
}

fn encode(batches: &[EventBatch]) -> anyhow::Result<usize> {
    let sources: Vec<Source<'_>> = batches.iter().zip(0..).map(source).collect();
    Ok(merge(&sources, &target(Compression::Zstd)).context("encoding")?.len())
}

fn encode_through_head(batches: &[EventBatch]) -> anyhow::Result<usize> {
    let (mut blocks, mut open, mut rows): (Vec<Segment>, Vec<Source<'_>>, usize) =
        (Vec::new(), Vec::new(), 0);
    for (batch, offset) in batches.iter().zip(0..) {
        rows += batch.rows();
        open.push(source((batch, offset)));
        if rows >= HEAD_BLOCK_ROWS {
            blocks.push(merge_in_memory(&open, &target(Compression::None))?);
            (open, rows) = (Vec::new(), 0);
        }
    }
    if !open.is_empty() {
        blocks.push(merge_in_memory(&open, &target(Compression::None))?);
    }
    let sources: Vec<Source<'_>> = blocks.iter().map(Source::Segment).collect();
    Ok(merge(&sources, &target(Compression::Zstd))?.len())
}

fn source((batch, offset): (&EventBatch, u64)) -> Source<'_> {
    Source::Batch(BatchSource { batch, offset: Offset(offset), append_time_ns: 0, indexes: None })
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
