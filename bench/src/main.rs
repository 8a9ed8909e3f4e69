//! `make bench`: figures of a release build, written to bench/results.json and bench/RESULTS.md.
//!
//! Two benchmarks so far. `door`: one core turns bytes into columns. `ingest`: a real server takes pre-encoded
//! requests over OTLP/HTTP for some minutes, every batch acknowledged only when durable, while freshness,
//! processor time and memory are watched from outside; afterwards every span must be counted.
//!
//! Absolute figures depend on the machine; each result names it, and the client reports its own CPU because
//! it shares the cores with the server.

mod clock;
mod door;
mod http;
mod ingest;
mod process;
mod report;
mod template;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use skein_workload::wide::WideConfig;

/// Options of the event generator and of the run.
#[derive(Parser, Debug, Clone)]
#[command(about = "Measures Skein: door and sustained ingest")]
pub(crate) struct Options {
    /// Seed of the generated events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Distinct events generated before the run; they are replayed with new ids and times.
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
    /// Attribute columns over all events.
    #[arg(long)]
    columns: Option<usize>,
    /// Fraction of its dataset's columns that an event fills.
    #[arg(long)]
    filled: Option<f64>,
    /// Skew of values (Zipf exponent).
    #[arg(long)]
    skew: Option<f64>,
    /// Services.
    #[arg(long)]
    datasets: Option<usize>,
    /// Length of the ingest run.
    #[arg(long, default_value_t = 300, env = "SECONDS_SUSTAINED")]
    seconds: u64,
    /// Offered load, spans per second; 0 sends as fast as it is acknowledged.
    #[arg(long, default_value_t = 100_000)]
    rate: u64,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// The server's binary; by default the one beside this program.
    #[arg(long)]
    skein: Option<PathBuf>,
    /// Only this benchmark.
    #[arg(long, value_parser = ["door", "ingest"])]
    only: Option<String>,
    /// Where results.json and RESULTS.md are written.
    #[arg(long, default_value = "bench")]
    out: PathBuf,
}

impl Options {
    fn wide(&self) -> WideConfig {
        let defaults = WideConfig::default();
        WideConfig {
            seed: self.seed,
            // The events end now: a server files what lies in the past as any other.
            start_ns: clock::epoch_ns() - defaults.duration_ns,
            rows: self.rows,
            columns: self.columns.unwrap_or(defaults.columns),
            filled: self.filled.unwrap_or(defaults.filled),
            skew: self.skew.unwrap_or(defaults.skew),
            datasets: self.datasets.unwrap_or(defaults.datasets),
            ..defaults
        }
    }

    fn runs(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let templates = template::generate(&options.wide()).context("generating events")?;
    let mut results = Vec::new();
    if options.runs("door") {
        results.extend(door::run(&templates)?);
    }
    if options.runs("ingest") {
        results.extend(ingest::run(&options, &templates)?);
    }
    report::write(&options.out, &results)
}
