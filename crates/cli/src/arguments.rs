//! The command line as CONTRACT.md fixes it.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Keeps what a distributed system did as raw, wide events, and answers questions about them.
#[derive(Debug, Parser)]
#[command(name = "skein", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a server.
    Serve(Serve),
    /// Send files of OTLP/JSON lines to a server; what was imported before is recognised.
    Import(Import),
    /// Write stored events to a file or a pipe.
    Export(Export),
    /// Ask a question.
    Query(Query),
    /// Show everything of one trace, spans and logs in order.
    Trace(Trace),
    /// Start a server and five simulated services that send to it.
    Demo(Demo),
    /// Explain what is different about a selection (a later version brings it).
    #[command(disable_help_flag = true)]
    Explain(Later),
    /// Compare log and segments and every checksum (a later version brings it).
    #[command(disable_help_flag = true)]
    Verify(Later),
    /// Copy a data directory (a later version brings it).
    #[command(disable_help_flag = true)]
    Backup(Later),
    /// Put a copy back (a later version brings it).
    #[command(disable_help_flag = true)]
    Restore(Later),
    /// Find and repair damage (a later version brings it).
    #[command(disable_help_flag = true)]
    Doctor(Later),
    /// Erase events for good (a later version brings it).
    #[command(disable_help_flag = true)]
    Erase(Later),
}

/// Where the server is.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connection {
    /// Address of the server.
    #[arg(long, env = "SKEIN_URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// API key.
    #[arg(long, env = "SKEIN_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// Environment to read: `default`, or `skein` for the server's own events.
    #[arg(long, env = "SKEIN_ENVIRONMENT")]
    pub(crate) environment: Option<String>,
}

/// Which events.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Range {
    /// Earliest time: RFC 3339, epoch s, ms or ns, or `now-2h`.
    #[arg(long, allow_hyphen_values = true, conflicts_with = "last")]
    pub(crate) from: Option<String>,
    /// Latest time, exclusive.
    #[arg(long, allow_hyphen_values = true, conflicts_with = "last")]
    pub(crate) to: Option<String>,
    /// The time until now, as `90s`, `15m`, `3h` or `2d`.
    #[arg(long)]
    pub(crate) last: Option<String>,
    /// Only this dataset; may be given several times.
    #[arg(long = "dataset")]
    pub(crate) datasets: Vec<String>,
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns, for people.
    Table,
    /// An array of row objects.
    Json,
    /// RFC 4180.
    Csv,
    /// A row object a line.
    Ndjson,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Shape {
    /// Default: table on a terminal, json in a pipe.
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// With json: the whole body of the API's answer.
    #[arg(long)]
    pub(crate) full: bool,
}

impl Shape {
    pub(crate) fn format(&self) -> Format {
        self.format.unwrap_or(if std::io::stdout().is_terminal() { Format::Table } else { Format::Json })
    }
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where the events are kept.
    #[arg(long, default_value = "./skein-data")]
    pub(crate) data: PathBuf,
    /// HTTP API; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) http: String,
    /// OTLP over gRPC.
    #[arg(long, default_value = "127.0.0.1:4317")]
    pub(crate) otlp_grpc: String,
    /// OTLP over HTTP.
    #[arg(long, default_value = "127.0.0.1:4318")]
    pub(crate) otlp_http: String,
    /// Serve addresses that other machines reach; there are no keys in this version.
    #[arg(long)]
    pub(crate) allow_remote: bool,
    /// Configuration file.
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// OTLP/JSON, one request a line: .jsonl, .jsonl.gz or .jsonl.zst.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// One OTLP/JSON request a line.
    Otlp,
    /// One flat event a line.
    Ndjson,
    /// A later version brings it.
    Parquet,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) range: Range,
    /// What is written.
    #[arg(long, value_enum, default_value = "otlp")]
    pub(crate) format: ExportFormat,
    /// Where to; without it, to stdout.
    #[arg(short, long)]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) range: Range,
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// A query in Logs Insights (a later version answers it).
    #[arg(required_unless_present_any = ["sql", "spec"], conflicts_with_all = ["sql", "spec"])]
    pub(crate) text: Option<String>,
    /// A query in SQL (a later version answers it).
    #[arg(long, conflicts_with = "spec")]
    pub(crate) sql: Option<String>,
    /// A specification of the builder language: a file, or - for stdin.
    #[arg(long)]
    pub(crate) spec: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Trace {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// 32 or 16 hex digits, or X-Ray's 1-8-24.
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    pub(crate) serve: Serve,
    /// Plants the incident of this seed.
    #[arg(long, value_name = "SEED")]
    pub(crate) incident: Option<u64>,
    /// Prints what the incident is.
    #[arg(long, requires = "incident")]
    pub(crate) reveal: bool,
    /// Minutes of the past to fill in first.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=240))]
    pub(crate) minutes: u32,
    /// Requests of simulated people per second; each makes about five spans.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=400))]
    pub(crate) rate: u32,
    /// Ends when the past is filled in and everything is stored, instead of going on live.
    #[arg(long)]
    pub(crate) once: bool,
}

/// Whatever is given to a command that does not exist yet.
#[derive(Debug, Args)]
pub(crate) struct Later {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub(crate) rest: Vec<String>,
}

impl Arguments {
    /// Whether errors are told as JSON: where the answer would be.
    pub(crate) fn errors_as_json(&self) -> bool {
        match &self.command {
            Command::Import(import) => import.shape.format() == Format::Json,
            Command::Query(query) => query.shape.format() == Format::Json,
            Command::Trace(trace) => trace.shape.format() == Format::Json,
            Command::Explain(later)
            | Command::Verify(later)
            | Command::Backup(later)
            | Command::Restore(later)
            | Command::Doctor(later)
            | Command::Erase(later) => {
                later.rest.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json")
                    || later.rest.iter().any(|word| word == "--format=json")
            }
            Command::Serve(_) | Command::Demo(_) | Command::Export(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_of_the_contract_are_taken() {
        for line in [
            "skein serve --data d --http 127.0.0.1:0 --otlp-grpc 127.0.0.1:0 --otlp-http 127.0.0.1:0",
            "skein import --url http://h:1 a.jsonl b.jsonl.gz",
            "skein export --format otlp --from now-2h --to now --dataset a -o f",
            "skein export --format parquet",
            "skein query --spec - --last 3h --format csv --dataset a --dataset b",
            "skein query --sql x",
            "skein query text --format json --full",
            "skein trace 0af7651916cd43dd8448eb211c80319c --key k",
            "skein demo --incident 3 --reveal",
            "skein doctor --rebuild-catalog",
            "skein erase --filter x --format json",
        ] {
            Arguments::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in [
            "skein",
            "skein query",
            "skein query --spec a --sql b",
            "skein export --last 3h --from 1",
            "skein demo --reveal",
        ] {
            assert!(Arguments::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
