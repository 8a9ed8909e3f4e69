//! `skein-bench all`: every benchmark after the other, and the two files with their figures.
//!
//! What is measured alone comes first. Then one server takes the wide events; sizes, questions, traces and restarts
//! are measured on the files that it wrote; then it takes narrow spans for some minutes beside them. What needs data of
//! its own follows: more columns, many copies, hours on a simulated clock. The peers come last, on the same events, when the server has stopped.

use std::path::PathBuf;

use clap::Args;

use crate::data::{Data, narrow_templates};
use crate::feed::Fed;
use crate::ingest::{Load, write_amplification};
use crate::metrics::settle;
use crate::process::{Server, ServerOptions};
use crate::report::{Figure, Report};
use crate::{
    amplify, columns, door, encode, fairness, feed, ingest, peers, pressure, questions, restart, scale,
    shapes, sizes, traces,
};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    server: ServerOptions,
    #[command(flatten)]
    peers: peers::Options,
    #[command(flatten)]
    scale: scale::Options,
    #[command(flatten)]
    columns: columns::Options,
    #[command(flatten)]
    pressure: pressure::Options,
    #[command(flatten)]
    amplify: amplify::Options,
    #[command(flatten)]
    fairness: fairness::Options,
    /// Where results.json and RESULTS.md are written.
    #[arg(long, default_value = "bench")]
    out: PathBuf,
    /// Questions drawn by seed beside the nine shapes.
    #[arg(long, default_value_t = 500)]
    generated: usize,
    /// Their seed.
    #[arg(long, default_value_t = 1)]
    generated_seed: u64,
    /// Keep the files of Skein and its peers.
    #[arg(long)]
    keep: bool,
}

const INTRO: &str = "Server and client share the machine, and the client reports its own processor time. Absolute figures \
    depend on the machine; ratios within one run count. Four significant digits are kept. Skein runs with its defaults: \
    every batch is acknowledged after a completed fdatasync, checksums are on.";

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut report = Report::default();
        let outcome = self.parts(&mut report);
        let mut intro = format!("{INTRO}\n\nThe wide events: {}.", self.data.sentence());
        if let Err(error) = &outcome {
            // What was measured before is not lost, and nobody takes it for the whole.
            intro.push_str(&format!("\n\n**This run is incomplete**: {error:#}."));
        }
        report.write(&self.out, &intro)?;
        if !self.keep && outcome.is_ok() {
            std::fs::remove_dir_all(&self.server.scratch)?;
        }
        outcome
    }

    fn parts(&self, report: &mut Report) -> anyhow::Result<()> {
        let door = report.timed("doors", || door::measure(&self.data))?;
        report.add("Doors: bytes to columns", DOOR_NOTES, door);
        let encode = report.timed("encoder", || encode::measure(&self.data))?;
        report.add("Encoding", ENCODE_NOTES, encode);
        let server = self.server.start_empty()?;
        let fed = self.load_wide(report, &server)?;
        let (server, subject, answers) = self.files(report, server, &fed)?;
        self.sustain(report, server, &fed)?;
        // Each has data of its own: one that fails leaves the others as they are.
        let apart = [
            columns::part(report, &self.columns, &self.data, &self.server),
            scale::part(report, &self.scale, &self.data, &self.server),
            pressure::part(report, &self.pressure, &self.data, &self.server),
            amplify::part(report, &self.amplify, &self.server),
            peers::measure(
                report,
                &self.peers,
                &self.data,
                &self.server.scratch,
                &fed,
                Some(&subject),
                &answers,
            ),
        ];
        let failed: Vec<String> =
            apart.into_iter().filter_map(|outcome| Some(format!("{:#}", outcome.err()?))).collect();
        anyhow::ensure!(failed.is_empty(), "{}", failed.join("; "));
        Ok(())
    }

    fn load_wide(&self, report: &mut Report, server: &Server) -> anyhow::Result<Fed> {
        let wide = self.data.wide().generator();
        let before = server.metrics()?;
        let (fed, mut figures) = report.timed("load", || feed::measure(server, &wide))?;
        let memory = server.memory_mib()?;
        let settled = report.timed("settle", || settle(server))?;
        figures.push(Figure::new("load_memory_highest", "MiB", memory.highest).at_most(2_048.0));
        figures.extend(write_amplification("load_write_amplification", &before, &settled));
        let idle = server.memory_mib()?;
        figures.push(Figure::new("idle_memory", "MiB", idle.resident).at_most(200.0));
        figures.push(Figure::new("idle_memory_without_mapped_files", "MiB", idle.own));
        questions::check_count(server, fed.rows, questions::times(&self.data.wide()))?;
        let notes = format!(
            "The wide events over OTLP/HTTP in protobuf, eight connections with one request of about a thousand events in \
             flight each, as fast as they are acknowledged; every event is counted afterwards. Among them {} log records \
             and {} exceptions.",
            fed.log_records, fed.span_events
        );
        report.add("Loading", notes, figures);
        Ok(fed)
    }

    /// What is measured on the settled files.
    fn files(
        &self,
        report: &mut Report,
        server: Server,
        fed: &Fed,
    ) -> anyhow::Result<(Server, shapes::Subject, Vec<shapes::Answered>)> {
        let (figures, columns) = report.timed("sizes", || sizes::measure(&self.server, fed.rows))?;
        report.add("Size", sizes::notes(&columns, fed.rows), figures);
        let config = self.data.wide();
        let times = questions::times(&config);
        let subject = report.timed("subject", || shapes::Subject::find(&server, times))?;
        let nine = shapes::nine(&subject);
        let mut answers = report.timed("shapes", || shapes::ask_all(&server, &nine))?;
        let generated = report.timed("generated questions", || {
            shapes::ask_all(
                &server,
                &shapes::generated::questions(&server, times, self.generated_seed, self.generated)?,
            )
        })?;
        let mut figures = report.timed("traces", || traces::warm(&server, fed))?;
        let (server, mut restarts) = report.timed("restart", || restart::clean(&self.server, server))?;
        server.stop()?;
        figures.extend(report.timed("cold traces", || traces::cold(&self.server, fed))?);
        report.add("A trace by its id", TRACE_NOTES, figures);
        report.timed("cold shapes", || shapes::ask_cold(&self.server, &mut answers))?;
        let notes = format!("{SHAPE_NOTES} {}", subject.sentence());
        report.add("Nine shapes", notes, shapes::figures(&answers));
        answers.extend(generated);
        let server = self.server.start()?;
        let killed = report.timed("kill", || restart::killed(&self.server, server, &config))?;
        let (server, extra, after_kill) = killed;
        questions::check_count(&server, fed.rows + extra, times)?;
        restarts.extend(after_kill);
        report.add("Restarts", RESTART_NOTES, restarts);
        Ok((server, subject, answers))
    }

    fn sustain(&self, report: &mut Report, server: Server, fed: &Fed) -> anyhow::Result<()> {
        report.timed("settle again", || settle(&server))?;
        let figures = report
            .timed("sustained ingest", || ingest::measure(&self.load, &server, &narrow_templates()?))?;
        report.add("Sustained ingest", INGEST_NOTES, figures);
        if self.fairness.is_wanted() {
            let times = questions::times(&self.data.wide());
            let figures = report.timed("fairness", || {
                fairness::measure(&self.fairness, &server, &narrow_templates()?, fed, times)
            })?;
            report.add("Eight questions at a time", fairness::NOTES, figures);
        }
        server.stop()
    }
}

const DOOR_NOTES: &str =
    "One thread, processor time. Narrow spans have 25 attributes; JSON is the same spans in OTLP/JSON.";

const ENCODE_NOTES: &str = "One thread, processor time: the wide events of one partition of eight, as ingest delivers \
    them, to the bytes of a finished segment of about 250,000 events; no file is written. *Through head blocks* is the \
    server's way under load: blocks of 8,192 events first, then the segment.";

const TRACE_NOTES: &str = "`GET /api/v1/traces/{id}` with all columns as JSON, over a kept connection, timed by the client. \
    Warm: a thousand traces spread over the data, each asked a second time. Cold: the first trace that a server is asked \
    after a start, when no page of its files is in memory.";

const SHAPE_NOTES: &str = "Asked over the API and timed by the client, the median of seven, over all wide events; *cold*: the \
    first answer of a new server, no page of whose files is in memory. (1) count by minute; (2) count and percentiles by \
    service; (3) the twenty most frequent users, of errors and of all; (4) a heatmap of one service; (6) messages that hold \
    a word: their count and the last fifty with all columns; (7) exact distinct users by route in half an hour; (8) value \
    counts of slow spans of a service against its others, for many columns at once; (9) groups of three sparse columns with \
    a filter on a fourth. (5), a trace by its id, stands above. Peers are asked the same in SQL, in their own process.";

const RESTART_NOTES: &str = "From the start of the process until /readyz answers 200, on the data of this run. After \
    kill -9: further events were fed as fast as possible, and the server was killed with them in its heads; afterwards \
    every acknowledged event was counted again. The goal is 2 s, and 1 s for a million unflushed events.";

const INGEST_NOTES: &str = "Narrow spans (25 attributes) over OTLP/HTTP on a fixed schedule, beside the wide events in the \
    same data directory; latency counts from the scheduled moment. A new trace id in every batch; a probe asks for traces \
    as soon as they are acknowledged. Afterwards every span is counted.";
