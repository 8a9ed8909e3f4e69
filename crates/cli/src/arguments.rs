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
    /// Explain what is different about some events: every column, every event.
    Explain(Explain),
    /// Check every checksum, and the log's second copy against the segments; beside a running server, too.
    Verify(Verify),
    /// Copy a data directory into a folder of backups, beside a running server.
    Backup(Backup),
    /// Put the newest whole backup of a folder back into an empty directory.
    Restore(Restore),
    /// Say what is wrong with a data directory, and make it whole again when told to.
    Doctor(Doctor),
    /// Ask two servers, versions or data directories the questions that were asked before, and compare the answers.
    Replay(Replay),
    /// Erase older events for good, or tell how far that is.
    Erase(Erase),
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
    /// A query in CloudWatch Logs Insights.
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
pub(crate) struct Erase {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// Which events: `column operator value`, or JSON as the API takes it; several must all hold.
    #[arg(long, required_unless_present = "status", conflicts_with = "status")]
    pub(crate) filter: Vec<String>,
    /// Tell which erasures there are, and where copies of what they took remain.
    #[arg(long)]
    pub(crate) status: bool,
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

#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// A data directory, or a folder of backups.
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// The data directory.
    pub(crate) directory: PathBuf,
    /// The folder of backups; the same one again takes only what is new.
    pub(crate) target: PathBuf,
    /// Copy every file, also where a hard link would do: a link is no second copy on a disk that goes bad.
    #[arg(long)]
    pub(crate) copy: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// The folder of backups.
    pub(crate) backup: PathBuf,
    /// The new data directory: empty, or not there yet.
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// The data directory; no server may be running on it.
    #[arg(default_value = "./skein-data")]
    pub(crate) directory: PathBuf,
    /// Make the catalog anew from segments and log, then repair.
    #[arg(long, conflicts_with_all = ["repair", "rewrite"])]
    pub(crate) rebuild_catalog: bool,
    /// Write again from the log what damaged segments held, and set the rest aside.
    #[arg(long, conflicts_with = "rewrite")]
    pub(crate) repair: bool,
    /// Write segments of older formats in today's.
    #[arg(long)]
    pub(crate) rewrite: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// The other side: the address of a server, or a data directory.
    #[arg(long, value_name = "URL|DIR")]
    pub(crate) against: String,
    /// This side is a data directory instead of the server at --url.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The skein binary that serves the other side's directory: another version.
    #[arg(long, value_name = "BINARY")]
    pub(crate) against_binary: Option<PathBuf>,
    /// Questions asked within this time are replayed.
    #[arg(long, default_value = "24h")]
    pub(crate) last: String,
    /// Take the questions from this file, one specification a line, instead of from the server's own events.
    #[arg(long, conflicts_with = "save")]
    pub(crate) queries: Option<PathBuf>,
    /// Also write the questions to this file.
    #[arg(long)]
    pub(crate) save: Option<PathBuf>,
    /// Questions at most, the latest ones.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Doubles may differ by this part of their size: sums over another order of segments do.
    #[arg(long, default_value_t = 1e-9)]
    pub(crate) tolerance: f64,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) range: Range,
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// Which events are explained: `column operator value`, or JSON as the API takes it; several must all hold.
    #[arg(long)]
    pub(crate) filter: Vec<String>,
    /// A rectangle of a heatmap: `column:lo..hi`, one of the bounds may be left out; hi is exclusive.
    #[arg(long, value_name = "COLUMN:LO..HI")]
    pub(crate) rect: Option<String>,
    /// Where the rectangle begins in time.
    #[arg(long, requires = "rect", allow_hyphen_values = true)]
    pub(crate) rect_from: Option<String>,
    /// Where it ends, exclusive.
    #[arg(long, requires = "rect", allow_hyphen_values = true)]
    pub(crate) rect_to: Option<String>,
    /// Compare with this time instead of with the other events: its start.
    #[arg(long, requires = "baseline_to", allow_hyphen_values = true)]
    pub(crate) baseline_from: Option<String>,
    /// Its end, exclusive.
    #[arg(long, requires = "baseline_from", allow_hyphen_values = true)]
    pub(crate) baseline_to: Option<String>,
    /// Look at this column only; may be given several times.
    #[arg(long = "column")]
    pub(crate) columns: Vec<String>,
    /// Findings at most.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) limit: Option<u32>,
    /// The whole request as the API takes it: a file, or - for stdin.
    #[arg(long, conflicts_with_all = ["filter", "rect", "baseline_from", "columns", "limit"])]
    pub(crate) spec: Option<String>,
}

impl Arguments {
    /// Whether errors are told as JSON: where the answer would be.
    pub(crate) fn errors_as_json(&self) -> bool {
        match &self.command {
            Command::Import(import) => import.shape.format() == Format::Json,
            Command::Query(query) => query.shape.format() == Format::Json,
            Command::Trace(trace) => trace.shape.format() == Format::Json,
            Command::Verify(verify) => verify.shape.format() == Format::Json,
            Command::Backup(backup) => backup.shape.format() == Format::Json,
            Command::Restore(restore) => restore.shape.format() == Format::Json,
            Command::Doctor(doctor) => doctor.shape.format() == Format::Json,
            Command::Replay(replay) => replay.shape.format() == Format::Json,
            Command::Erase(erase) => erase.shape.format() == Format::Json,
            Command::Explain(explain) => explain.shape.format() == Format::Json,
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
            "skein explain --filter error=true --last 1h --limit 5",
            "skein explain --rect duration_ms:250.. --rect-from now-5m --rect-to now --dataset a",
            "skein explain --from now-5m --to now --baseline-from now-1h --baseline-to now-5m --full",
            "skein explain --spec -",
            "skein demo --incident 3 --reveal",
            "skein doctor --rebuild-catalog",
            "skein doctor d --repair --format json",
            "skein verify d --format json",
            "skein backup d t --copy",
            "skein restore t d",
            "skein replay --against http://h:1 --last 2d --limit 5",
            "skein replay --data a --against b --against-binary ./skein --save q",
            "skein erase --filter x --format json",
            "skein erase --status",
        ] {
            Arguments::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in [
            "skein",
            "skein query",
            "skein query --spec a --sql b",
            "skein export --last 3h --from 1",
            "skein demo --reveal",
            "skein verify",
            "skein backup d",
            "skein doctor d --repair --rewrite",
            "skein replay",
            "skein erase",
            "skein erase --filter x --status",
        ] {
            assert!(Arguments::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
