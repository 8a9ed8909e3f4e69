//! `skein-bench clone`: the events of a data directory again and again, at earlier times and with other ids
//! (docs/adr/0021-copies-for-scale.md). The server must be stopped.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use skein_event::ids::Environment;
use skein_store::copies::{Multiplied, Wanted, multiply};

use crate::clock;
use crate::report::{Figure, precise, progress, show};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The data directory. Most of a copy takes no room where files share blocks (XFS, Btrfs).
    #[arg(long)]
    data: PathBuf,
    /// How many times its events are there afterwards.
    #[arg(long, default_value_t = 300)]
    times: u32,
    /// Whose events.
    #[arg(long, default_value = "default")]
    environment: String,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let environment = Environment::new(&self.environment).context("no name of an environment")?;
        let begin = clock::now();
        let done = run(&self.data, &environment, self.times, i64::MAX)?;
        let mut figures = figures(&done);
        figures.push(Figure::new("clone_seconds", "s", begin.elapsed().as_secs_f64()));
        show(&figures);
        Ok(())
    }
}

/// Makes copies of the segments whose events end before a time.
pub(crate) fn run(
    data: &Path,
    environment: &Environment,
    times: u32,
    until_ns: i64,
) -> anyhow::Result<Multiplied> {
    let every = (times / 10).max(1);
    let wanted = Wanted { environment, times, until_ns };
    let done = multiply(data, &wanted, &mut |copy| {
        if copy % every == 0 {
            progress(&format!("copy {copy} of {}", times - 1));
        }
    });
    done.with_context(|| format!("multiplying {}", data.display()))
}

/// What it made.
pub(crate) fn figures(done: &Multiplied) -> Vec<Figure> {
    vec![
        Figure::new("clone_events", "events", precise(done.rows)),
        Figure::new("clone_segments", "files", precise(done.originals + done.copies)),
        Figure::new("clone_own_bytes", "bytes", precise(done.own_bytes)),
    ]
}
