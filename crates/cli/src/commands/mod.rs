//! The commands, one file each.

mod demo;
mod export;
mod import;
mod later;
mod query;
mod serve;
mod trace;

use crate::arguments::{Arguments, Command};
use crate::failure::Outcome;

/// Runs a command.
pub(crate) fn run(arguments: Arguments) -> Outcome {
    match arguments.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Query(arguments) => query::run(&arguments),
        Command::Trace(arguments) => trace::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Explain(_) => {
            later::refuse("explain", "ask with `skein query --spec` and compare two groups")
        }
        Command::Verify(_) => later::refuse("verify", "every checksum is verified when a segment is read"),
        Command::Backup(_) => later::refuse("backup", "stop the server and copy the data directory"),
        Command::Restore(_) => {
            later::refuse("restore", "stop the server and put the copy of the directory back")
        }
        Command::Doctor(_) => later::refuse("doctor", "a server sets damaged files aside when it starts"),
        Command::Erase(_) => later::refuse("erase", "there is no way to erase single events yet"),
    }
}
