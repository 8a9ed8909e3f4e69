//! How long a server needs to be ready again: after a clean stop, and after kill -9 with events in its heads.

use anyhow::ensure;
use clap::Args;
use skein_workload::wide::WideConfig;

use crate::data::Data;
use crate::feed;
use crate::process::{Server, ServerOptions};
use crate::report::{self, Figure};

/// Events in the heads when the server is killed; fewer when the data is smaller.
const UNFLUSHED: usize = 1_000_000;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    server: ServerOptions,
}

impl Arguments {
    /// A start after kill -9 alone, over an otherwise empty data directory.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let server = self.server.start_empty()?;
        let (server, _, figures) = killed(&self.server, server, &self.data.wide())?;
        report::show(&figures);
        server.stop()
    }
}

/// Stops and starts it. Returns the new one.
pub(crate) fn clean(options: &ServerOptions, server: Server) -> anyhow::Result<(Server, Vec<Figure>)> {
    server.stop()?;
    let server = options.start()?;
    let seconds = server.ready_after.as_secs_f64();
    let memory = server.memory_mib()?;
    let figures = vec![
        Figure::new("restart_after_clean_stop", "s", seconds).at_most(2.0),
        Figure::new("restart_memory", "MiB", memory.resident),
    ];
    Ok((server, figures))
}

/// Feeds events of another seed, kills the server while they are in its heads, and starts it again.
pub(crate) fn killed(
    options: &ServerOptions,
    server: Server,
    config: &WideConfig,
) -> anyhow::Result<(Server, usize, Vec<Figure>)> {
    let rows = UNFLUSHED.min(config.rows);
    let wide = WideConfig { seed: config.seed ^ 0xdead, rows, ..config.clone() }.generator();
    let fed = feed::feed(&server, &wide, 0..wide.requests())?;
    let unflushed = server.metrics()?.head_rows();
    server.kill()?;
    let server = options.start()?;
    let seconds = server.ready_after.as_secs_f64();
    let back = server.metrics()?.head_rows();
    ensure!(fed.rows == rows, "{} events were fed instead of {rows}", fed.rows);
    let goal = 2.0 + unflushed / 1e6;
    let figures = vec![
        Figure::new("restart_unflushed_events", "events", unflushed),
        Figure::new("restart_after_kill", "s", seconds).at_most(goal),
        Figure::new("restart_events_in_heads", "events", back),
        Figure::new("restart_memory_after_kill", "MiB", server.memory_mib()?.resident),
    ];
    Ok((server, fed.rows, figures))
}
