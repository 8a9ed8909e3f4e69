//! What a question costs when the catalog holds the same events hundreds of times: restart, traces by id, pruning by
//! time and dataset, the filters of trace ids, retention, listings. Each is measured with the events once and with
//! their copies; the goal is at most twice the time.

mod look;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use skein_event::ids::Environment;
use skein_workload::wide::WideConfig;

use crate::data::{Data, narrow_templates};
use crate::feed::{self, Fed};
use crate::metrics::settle;
use crate::process::{Server, ServerOptions};
use crate::questions::check_count;
use crate::report::{Figure, Report, precise, show};
use crate::{clock, copies, questions};
use look::{Look, Place};

/// How many times as long it may take.
const GOAL: f64 = 2.0;
const DAY_S: i64 = 24 * 3_600;

#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// How many times the events are in the catalog; 0 leaves the part out.
    #[arg(long, default_value_t = 300)]
    scale_times: u32,
    /// Events before they are multiplied.
    #[arg(long, default_value_t = 100_000)]
    scale_rows: usize,
    /// Where they lie; on a file system that shares blocks between files (XFS, Btrfs) copies take little room.
    #[arg(long)]
    scale_scratch: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    server: ServerOptions,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        show(&measure(&self.options, &self.data, &self.server)?);
        Ok(())
    }
}

/// The part of `make bench`.
pub(crate) fn part(
    report: &mut Report,
    options: &Options,
    data: &Data,
    server: &ServerOptions,
) -> anyhow::Result<()> {
    if options.scale_times == 0 {
        return Ok(());
    }
    let figures = report.timed("scale", || measure(options, data, server))?;
    let notes = format!(
        "{} wide events, and the same again {} times: `skein-bench clone` makes ordinary files of them, a day earlier \
         each, with other trace ids. `_once` is measured before, the other after, `_ratio` is their quotient; warm, over \
         the API, by the client. Retention removes the oldest copy; the listing after it adds up what is left.",
        options.scale_rows,
        options.scale_times.saturating_sub(1)
    );
    report.add("Scale", notes, figures);
    Ok(())
}

fn measure(options: &Options, data: &Data, server: &ServerOptions) -> anyhow::Result<Vec<Figure>> {
    let scratch = options.scale_scratch.clone().unwrap_or_else(|| server.scratch.join("scale"));
    let config = WideConfig { rows: options.scale_rows, ..data.wide() };
    let server = server.at(scratch);
    // Copies arrive up to a year before the original; the log's second copy is not what is measured.
    let kept = json!({"retention": {"days": 0.0}, "log_retention_bytes": 1 << 20});
    let server = server.with_config("for-ever", &kept)?;
    let fed = fill(&server, &config)?;
    let environment = Environment::default_environment();
    let place = |copies: u32| Place {
        server: &server,
        environment: &environment,
        fed: &fed,
        times: questions::times(&config),
        copies,
    };
    // The events of the rare dataset come later, and are not copied.
    let until_ns = config.start_ns.saturating_add(config.duration_ns).saturating_add(DAY_S * 1_000_000_000);
    let mut once = place(1).look()?;
    copies::run(&server.data(), &environment, 2, until_ns)?;
    place(2).expire(&mut once)?;
    let begin = clock::now();
    let done = copies::run(&server.data(), &environment, options.scale_times, until_ns)?;
    let mut figures = copies::figures(&done);
    figures.push(Figure::new("clone_seconds", "s", begin.elapsed().as_secs_f64()));
    let many = place(options.scale_times);
    check(&many, &fed)?;
    let mut at_scale = many.look()?;
    many.expire(&mut at_scale)?;
    figures.extend(look::filters(&server, done.rows)?);
    figures.extend(compare(&once, &at_scale));
    std::fs::remove_dir_all(server.data())?;
    Ok(figures)
}

/// A data directory with the wide events, and beside them a dataset that few segments have.
fn fill(server: &ServerOptions, config: &WideConfig) -> anyhow::Result<Fed> {
    let running = server.start_empty()?;
    let wide = config.generator();
    let fed = feed::feed(&running, &wide, 0..wide.requests())?;
    settle(&running)?;
    let rare = narrow_templates()?;
    let mut connection = crate::http::Connection::open(&running.otlp_http)?;
    for template in rare.iter().take(4) {
        feed::send(&mut connection, "/v1/traces", template.body())?;
    }
    settle(&running)?;
    running.stop()?;
    Ok(fed)
}

/// Some copies have all their events.
fn check(place: &Place<'_>, fed: &Fed) -> anyhow::Result<()> {
    let server: Server = place.server.start()?;
    for copy in [0, place.copies / 2, place.copies.saturating_sub(1)] {
        let shift = -i64::from(copy) * DAY_S;
        check_count(&server, fed.rows, (place.times.0 + shift, place.times.1 + shift))?;
    }
    server.stop()
}

fn compare(once: &Look, many: &Look) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (name, unit, value) in &many.figures {
        let before = once.figures.iter().find(|(other, ..)| other == name).map_or(f64::NAN, |found| found.2);
        figures.push(Figure::new(format!("scale_{name}_once"), unit, before));
        figures.push(Figure::new(format!("scale_{name}"), unit, *value));
        let ratio = Figure::new(format!("scale_{name}_ratio"), "×", value / before);
        figures.push(if Look::is_goal(name) { ratio.at_most(GOAL) } else { ratio });
    }
    figures.push(Figure::new("scale_copies", "×", precise(many.copies)));
    figures
}
