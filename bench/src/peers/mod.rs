//! The peers: the same events in zstd Parquet by arrow-rs, in ClickHouse and in DuckDB, in the same run, and as plain
//! arrays in memory: the floor of the machine.
//!
//! The events are generated again, decoded by the same door and written to Parquet; both databases read those files.
//! What Skein keeps only for itself (ids of events, arrival times, the shapes that give OTLP back as it came) is
//! not given to them, which favours them. Cargo's feature `peers` brings them, so that nobody else compiles them.

#[cfg(feature = "peers")]
mod columns;
#[cfg(feature = "peers")]
mod compared;
#[cfg(feature = "peers")]
mod database;
#[cfg(feature = "peers")]
mod floor;
#[cfg(feature = "peers")]
mod parquet;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::data::Data;
use crate::feed::Fed;
use crate::report::Report;
use crate::shapes::{Answered, Subject};

#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// Leave the peers out.
    #[arg(long)]
    no_peers: bool,
    /// A Python that has chdb and duckdb; without it both are left out.
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
        measure(&mut Report::default(), &self.options, &self.data, &self.scratch, &fed, None, &[])
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
    subject: Option<&Subject>,
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
    if let Some(subject) = subject {
        let floors = report.timed("floor", || floor::measure(&written, subject))?;
        for (shape, ms) in &floors {
            report.peer(&format!("shape_{shape}"), "floor", *ms);
        }
        report.add("Against the floor", FLOOR_NOTES, compared::with_floor(answers, &floors));
    }
    let mut loaded = Vec::new();
    if let Some(python) = &options.python {
        for database in database::DATABASES {
            let peer =
                report.timed(database.name, || database.load(python, &folder, &written, fed, answers))?;
            report.peer("bytes_per_event", database.name, each(peer.bytes));
            report.peer("trace_warm_p50", database.name, peer.trace_ms);
            for ours in answers {
                let name = &ours.shape.name;
                report.peer(&ours.shape.figure(), database.name, peer.ms[name]);
                if let Some(ms) = peer.cold_ms.get(name) {
                    report.peer(&format!("{}_cold", ours.shape.figure()), database.name, *ms);
                }
            }
            let named = |what: &str| format!("{}_{what}", database.name);
            let share = ratio(report, each(peer.bytes));
            figures.push(Figure::new(format!("size_of_{}", database.name), "share", share).at_most(0.9));
            figures.push(Figure::new(named("bytes_per_event"), "bytes", each(peer.bytes)));
            let per_second = precise(fed.rows) / peer.load_cpu;
            figures.push(Figure::new(named("load"), "events per CPU-second", per_second));
            notes.push_str(&peer.notes);
            loaded.push(peer);
        }
        report.add(
            "Against the better database",
            compared::NOTES,
            compared::with_databases(answers, &loaded),
        );
    } else {
        notes.push_str("\n\nClickHouse and DuckDB were left out: no `--python` that has both was given.");
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
    _subject: Option<&Subject>,
    answers: &[Answered],
) -> anyhow::Result<()> {
    let asked = answers.len();
    let note = format!(
        "Left out: built without Cargo's feature `peers` (options {options:?}, {asked} answers to set beside theirs, scratch {}).",
        scratch.display()
    );
    report.add("Peers", note, Vec::new());
    Ok(())
}

#[cfg(feature = "peers")]
const FLOOR_NOTES: &str = "Each shape as a loop over plain arrays in memory, written by hand for just these columns (text as \
    codes of one dictionary, messages as one run of bytes), two threads, the median of seven. A figure is Skein's time, \
    over its API, divided by that of the loop; below one means that rows were skipped.";
