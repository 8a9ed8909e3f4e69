//! `skein`: the one binary. It starts the server, and it is the client of the API for a terminal or a pipe.
//!
//! A command is a function from arguments to an exit code; what goes wrong is one [`failure::Failure`], shown
//! in one place. The command line computes nothing that the API does not give: it asks, lays out and tells.

mod allocator;
mod arguments;
mod client;
mod commands;
mod failure;
mod output;
mod progress;
mod times;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use arguments::Arguments;
use failure::{Exit, Failure};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(error) => return refuse_usage(&error, &words),
    };
    let as_json = arguments.errors_as_json();
    match commands::run(arguments) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            failure.show(as_json);
            failure.exit.code()
        }
    }
}

/// Help and version are answers; everything else that clap says is a wrong usage.
fn refuse_usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        // Nobody reads any more when this fails.
        return if error.print().is_ok() { ExitCode::SUCCESS } else { Exit::Refused.code() };
    }
    let as_json = words.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json")
        || words.iter().any(|word| word == "--format=json");
    if as_json {
        let text = error.render().to_string();
        let message = text.trim_start_matches("error: ").lines().next().unwrap_or_default().to_owned();
        Failure::new(Exit::Usage, "invalid_request", message).hint("skein --help").show(true);
    } else if error.print().is_err() {
        return Exit::Usage.code();
    }
    Exit::Usage.code()
}
