//! `make bench`: figures of a release build, written to bench/results.json and bench/RESULTS.md.
//!
//! This file is a table of subcommands. Each is a module with `Arguments` and `Arguments::run`; figures go
//! through [`report`]. To add one: a `mod` line, a variant, an arm.
//!
//! Absolute figures depend on the machine; each result names it, and the client reports its own CPU because
//! it shares the cores with the server.

mod all;
mod amplify;
mod clock;
mod columns;
mod copies;
mod data;
mod door;
mod encode;
mod fairness;
mod feed;
mod group;
mod http;
mod ingest;
mod metrics;
mod peers;
mod pressure;
mod process;
mod questions;
mod report;
mod restart;
mod scale;
mod shapes;
mod sizes;
mod template;
mod traces;

use clap::{Parser, Subcommand};

/// That of the server, whose parts are measured here too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Bytes written for each byte flushed, over a simulated hour.
    Amplify(amplify::Arguments),
    /// The events of a data directory again and again, at earlier times and with other ids.
    Clone(copies::Arguments),
    /// What columns cost those who do not ask for them.
    Columns(columns::Arguments),
    /// One core turns bytes into columns.
    Door(door::Arguments),
    /// One thread turns columns into the bytes of segments.
    Encode(encode::Arguments),
    /// A server takes requests at a steady rate, each acknowledged when durable.
    Ingest(ingest::Arguments),
    /// Data three times as large as memory.
    Pressure(pressure::Arguments),
    /// How long a server needs to be ready again after kill -9.
    Restart(restart::Arguments),
    /// What grows with the catalog: restart, traces, pruning, filters, retention, listings.
    Scale(scale::Arguments),
    /// The wide events in Parquet and ClickHouse.
    Peers(peers::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Program::parse().command {
        Command::All(arguments) => arguments.run(),
        Command::Amplify(arguments) => arguments.run(),
        Command::Columns(arguments) => arguments.run(),
        Command::Clone(arguments) => arguments.run(),
        Command::Door(arguments) => arguments.run(),
        Command::Encode(arguments) => arguments.run(),
        Command::Ingest(arguments) => arguments.run(),
        Command::Pressure(arguments) => arguments.run(),
        Command::Restart(arguments) => arguments.run(),
        Command::Scale(arguments) => arguments.run(),
        Command::Peers(arguments) => arguments.run(),
    }
}
