//! `skein serve`: settings from the command line over those of the file, then the server's own process.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use skein_server::Config;

use crate::arguments::Serve;
use crate::failure::{Exit, Failure, Outcome};

pub(super) fn run(arguments: &Serve) -> Outcome {
    log_to_stderr("info")?;
    let config = config(arguments)?;
    let code = skein_server::serve(config).map_err(|error| refused(&error))?;
    // The server has told why on stderr.
    Ok(if code == ExitCode::SUCCESS { Exit::Done } else { Exit::Usage })
}

/// The server's log goes to stderr; SKEIN_LOG chooses what of it (`warn`, `skein_store=debug,info`).
pub(super) fn log_to_stderr(default: &str) -> Result<(), Failure> {
    let directives = std::env::var("SKEIN_LOG").unwrap_or_else(|_| default.to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(&directives)
        .map_err(|error| Failure::usage(format!("SKEIN_LOG={directives} is no filter: {error}")))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
        .map_err(|error| Failure::new(Exit::Refused, "internal", format!("the log cannot begin: {error}")))
}

/// The settings of a server.
pub(super) fn config(arguments: &Serve) -> Result<Config, Failure> {
    let mut config = match &arguments.config {
        Some(path) => Config::from_file(path).map_err(|error| Failure::usage(format!("{error:#}")))?,
        None => Config::default(),
    };
    // What the command line says wins over the file; its defaults do not.
    let defaults = Config::default();
    let address = |name: &str, text: &str| {
        text.parse().map_err(|_error| {
            Failure::usage(format!("--{name} {text} is no address")).hint("write it as 127.0.0.1:8080")
        })
    };
    let http = address("http", &arguments.http)?;
    let otlp_grpc = address("otlp-grpc", &arguments.otlp_grpc)?;
    let otlp_http = address("otlp-http", &arguments.otlp_http)?;
    if arguments.config.is_none() || http != defaults.http {
        config.http = http;
    }
    if arguments.config.is_none() || otlp_grpc != defaults.otlp_grpc {
        config.otlp_grpc = otlp_grpc;
    }
    if arguments.config.is_none() || otlp_http != defaults.otlp_http {
        config.otlp_http = otlp_http;
    }
    if arguments.config.is_none() || arguments.data != defaults.data {
        config.data.clone_from(&arguments.data);
    }
    config.allow_remote |= arguments.allow_remote;
    config.release_memory = crate::allocator::RELEASE;
    config.check().map_err(|error| Failure::usage(format!("{error:#}")))?;
    Ok(config)
}

/// A server that could not start or stop.
pub(super) fn refused(error: &anyhow::Error) -> Failure {
    Failure::new(Exit::Refused, "unavailable", format!("{error:#}"))
}
