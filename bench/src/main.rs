//! `make bench`: figures of a release build, written to bench/results.json and bench/RESULTS.md.
//!
//! This file is a table of subcommands. Each is a module with `Arguments` and `Arguments::run`; figures go
//! through [`report`]. To add one: a `mod` line, a variant, an arm.
//!
//! Absolute figures depend on the machine; each result names it, and the client reports its own CPU because
//! it shares the cores with the server.

mod all;
mod clock;
mod data;
mod door;
mod http;
mod ingest;
mod process;
mod report;
mod template;

use clap::{Parser, Subcommand};

#[derive(Parser, Debug)]
#[command(about = "Measures Skein")]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Every figure, into results.json and RESULTS.md: what `make bench` runs.
    All(all::Arguments),
    /// One core turns bytes into columns.
    Door(door::Arguments),
    /// A server takes requests at a steady rate, each acknowledged when durable.
    Ingest(ingest::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Program::parse().command {
        Command::All(arguments) => arguments.run(),
        Command::Door(arguments) => arguments.run(),
        Command::Ingest(arguments) => arguments.run(),
    }
}
