//! The options of the event generator (CONTRACT.md, "Benchmarks"), so that unseen data can be made.

use anyhow::Context as _;
use clap::Args;
use skein_workload::wide::WideConfig;

use crate::clock;
use crate::template::{self, Template};

#[derive(Args, Debug, Clone)]
pub(crate) struct Data {
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
}

impl Data {
    /// What the generator is told.
    pub(crate) fn wide(&self) -> WideConfig {
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

    /// The events as requests that can be replayed.
    pub(crate) fn templates(&self) -> anyhow::Result<Vec<Template>> {
        template::generate(&self.wide()).context("generating events")
    }
}
