//! `skein serve`: a server as a process.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::local::is_locked;
use crate::running::start;

/// Runs a server until SIGTERM or SIGINT. The exit code is the process's: 2 when another server has the data
/// directory.
pub fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("skein-io")
        .thread_keep_alive(skein_event::limits::IDLE_THREAD_MAX)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(run(config));
    // Whatever still runs on a blocking thread is cut: the storage is closed already.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    result
}

async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let running = match start(&config).await {
        Ok(running) => running,
        Err(error) if is_locked(&error) => {
            writeln!(std::io::stderr(), "skein: {error:#}").context("cannot write to stderr")?;
            return Ok(ExitCode::from(2));
        }
        Err(error) => return Err(error),
    };
    let ready = serde_json::to_string(&running.ready())?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{ready}").and_then(|()| stdout.flush()).context("cannot write to stdout")?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
    running.shutdown().await?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}
