//! The commands, one file each.

mod demo;
mod erase;
mod explain;
mod export;
mod import;
mod query;
mod replay;
mod serve;
mod trace;
mod upkeep;

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
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Verify(arguments) => upkeep::verify(&arguments),
        Command::Backup(arguments) => upkeep::backup(&arguments),
        Command::Restore(arguments) => upkeep::restore(&arguments),
        Command::Doctor(arguments) => upkeep::doctor(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Erase(arguments) => erase::run(&arguments),
    }
}
