//! `skein-bench all`: every benchmark after the other, and the two files with their figures.

use std::path::PathBuf;

use clap::Args;

use crate::{door, ingest, report};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    ingest: ingest::Arguments,
    /// Where results.json and RESULTS.md are written.
    #[arg(long, default_value = "bench")]
    out: PathBuf,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let templates = self.ingest.data.templates()?;
        let mut figures = door::measure_all(&templates)?;
        figures.extend(ingest::measure(&self.ingest, &templates)?);
        report::write(&self.out, &figures)
    }
}
