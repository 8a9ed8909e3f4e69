//! The peers: the same events in zstd Parquet by arrow-rs and in ClickHouse, in the same run.
//!
//! The events are generated again, decoded by the same door and written to Parquet; ClickHouse reads those files.
//! What Skein keeps only for itself (ids of events, arrival times, the shapes that give OTLP back as it came) is
//! not given to them, which favours them. Cargo's feature `peers` brings them, so that nobody else compiles them.

#[cfg(feature = "peers")]
mod clickhouse;
#[cfg(feature = "peers")]
mod columns;
#[cfg(feature = "peers")]
mod parquet;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::data::Data;
use crate::feed::Fed;
use crate::questions::Answered;
use crate::report::Report;

#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// Leave the peers out.
    #[arg(long)]
    no_peers: bool,
    /// A Python that has chdb; without it ClickHouse is left out.
    #[arg(long, env = "BENCH_PYTHON")]
    python: Option<PathBuf>,
    /// zstd level of Parquet.
    #[arg(long, default_value_t = 1)]
    parquet_zstd: i32,
}

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    options: Options,
    /// Where their files are written; they stay.
    #[arg(long, default_value = "bench/out")]
    scratch: PathBuf,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let fed = Fed { rows: self.data.rows, ..Fed::default() };
        measure(&mut Report::default(), &self.options, &self.data, &self.scratch, &fed, &[])
    }
}

/// Writes both, checks that they hold the same events, and sets their figures beside ours.
#[cfg(feature = "peers")]
pub(crate) fn measure(
    report: &mut Report,
    options: &Options,
    data: &Data,
    scratch: &Path,
    fed: &Fed,
    answers: &[Answered],
) -> anyhow::Result<()> {
    use crate::report::{Figure, precise};
    if options.no_peers {
        return Ok(());
    }
    let folder = scratch.join("peers");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let written = report.timed("parquet", || parquet::write(data, options.parquet_zstd, &folder))?;
    anyhow::ensure!(written.rows == fed.rows, "Parquet holds {} events of {}", written.rows, fed.rows);
    let each = |bytes: u64| precise(bytes) / precise(fed.rows);
    report.peer("bytes_per_event", "parquet", each(written.bytes));
    report.peer("encode", "parquet", precise(written.rows) / written.encode_seconds);
    let mut figures = Vec::new();
    let ratio =
        |report: &Report, theirs: f64| report.value("bytes_per_event").map_or(f64::NAN, |ours| ours / theirs);
    figures.push(Figure::new("size_of_parquet", "share", ratio(report, each(written.bytes))).at_most(0.9));
    figures.push(Figure::new("parquet_bytes_per_event", "bytes", each(written.bytes)));
    let mut notes = parquet::notes(options.parquet_zstd, &written);
    if let Some(python) = &options.python {
        let loaded =
            report.timed("clickhouse", || clickhouse::load(python, &folder, &written, fed, answers))?;
        report.peer("bytes_per_event", "clickhouse", each(loaded.bytes));
        for (figure, ms) in &loaded.ms {
            report.peer(figure, "clickhouse", *ms);
        }
        figures
            .push(Figure::new("size_of_clickhouse", "share", ratio(report, each(loaded.bytes))).at_most(0.9));
        figures.push(Figure::new("clickhouse_bytes_per_event", "bytes", each(loaded.bytes)));
        figures.push(Figure::new(
            "clickhouse_load",
            "events per CPU-second",
            precise(fed.rows) / loaded.load_cpu,
        ));
        figures.push(Figure::new("clickhouse_merge", "CPU-s", loaded.merge_cpu));
        notes.push_str(&loaded.notes);
    } else {
        notes.push_str("\n\nClickHouse was left out: no `--python` with chdb was given.");
    }
    report.add("Peers", notes, figures);
    Ok(())
}

/// Says that they are not here.
#[cfg(not(feature = "peers"))]
pub(crate) fn measure(
    report: &mut Report,
    options: &Options,
    _data: &Data,
    scratch: &Path,
    _fed: &Fed,
    answers: &[Answered],
) -> anyhow::Result<()> {
    let asked = answers.iter().filter(|answer| !answer.rows.is_empty()).count();
    let note = format!(
        "Left out: built without Cargo's feature `peers` (options {options:?}, {asked} answers to compare, scratch {}).",
        scratch.display()
    );
    report.add("Peers", note, Vec::new());
    Ok(())
}
