//! Data three times as large as the memory that the server may have: questions over all of it, traces by id, and
//! ingest beside them; at first with no page of it in memory.

use anyhow::ensure;
use clap::Args;
use serde_json::{Value, json};
use skein_event::ids::Environment;
use skein_store::copies::TraceCopies;
use skein_workload::wide::WideConfig;

use crate::data::Data;
use crate::feed::{self, Fed};
use crate::group::Group;
use crate::http::Connection;
use crate::metrics::settle;
use crate::process::{Server, ServerOptions, bytes_of};
use crate::questions::{self, ask, check_count};
use crate::report::{Figure, Report, precise, progress, quantile, show};
use crate::{clock, copies, traces};

const DAY_S: i64 = 24 * 3_600;
/// How many times the limit the data is.
const TIMES_LIMIT: u64 = 3;
/// Traces that are asked.
const TRACES: usize = 100;

#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// Memory of the server in MiB, page cache included; 0 leaves the part out.
    #[arg(long, default_value_t = 1_024)]
    pressure_mib: u64,
    /// Events before they are multiplied until they are three times as large.
    #[arg(long, default_value_t = 200_000)]
    pressure_rows: usize,
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
        show(&measure(&self.options, &self.data, &self.server)?.0);
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
    if options.pressure_mib == 0 {
        return Ok(());
    }
    let (figures, how) = report.timed("pressure", || measure(options, data, server))?;
    let notes = format!(
        "{how} The data are copies of {} wide events (`skein-bench clone`). `cold`: the first time, when no page of the \
         files is in memory; `again`: the second; `free`: the same without a limit, warm. Both questions read columns \
         of every event. Ingest: further wide events as fast as they are acknowledged, each counted afterwards.",
        options.pressure_rows
    );
    report.add("Data three times as large as memory", notes, figures);
    Ok(())
}

struct Place {
    fed: Fed,
    copies: u32,
    /// Of all copies, in seconds.
    times: (i64, i64),
    ids: Vec<[u8; 16]>,
}

fn measure(options: &Options, data: &Data, server: &ServerOptions) -> anyhow::Result<(Vec<Figure>, String)> {
    let limit = options.pressure_mib << 20;
    let group = match Group::new(limit) {
        Ok(group) => group,
        Err(error) => return Ok((Vec::new(), format!("Not measured: {error:#}."))),
    };
    let config = WideConfig { rows: options.pressure_rows, ..data.wide() };
    let kept = json!({"retention": {"days": 0.0}, "log_retention_bytes": 1 << 20});
    let server = server.at(server.scratch.join("pressure")).with_config("for-ever", &kept)?;
    let place = fill(&server, &config, limit)?;
    let segments = bytes_of(&server.data().join("segments"))?;
    let mut figures = vec![
        Figure::new("pressure_limit", "MiB", precise(options.pressure_mib)),
        Figure::new("pressure_data", "MiB of segments", precise(segments >> 20)),
        Figure::new("pressure_events", "events", precise(place.fed.rows) * f64::from(place.copies)),
    ];
    let free = server.start()?;
    asked(&free, &place)?;
    let warm = asked(&free, &place)?;
    free.stop()?;
    let bounded = server.within(group.path()).start()?;
    traces::forget(&server.data())?;
    let cold = asked(&bounded, &place)?;
    let again = asked(&bounded, &place)?;
    for ((name, free), ((_, cold), (_, again))) in warm.iter().zip(cold.iter().zip(&again)) {
        figures.push(Figure::new(format!("pressure_{name}_cold"), "ms", *cold));
        figures.push(Figure::new(format!("pressure_{name}_again"), "ms", *again));
        figures.push(Figure::new(format!("pressure_{name}_free"), "ms", *free));
    }
    figures.extend(ingest(&bounded, &config)?);
    figures.push(Figure::new("pressure_memory_own", "MiB", bounded.memory_mib()?.own));
    if let Some(highest) = group.highest() {
        figures.push(Figure::new("pressure_group_highest", "MiB", precise(highest >> 20)));
    }
    bounded.stop()?;
    std::fs::remove_dir_all(server.data())?;
    let how = format!(
        "The server runs in {} with {} MiB, page cache included.",
        group.sentence(),
        options.pressure_mib
    );
    Ok((figures, how))
}

fn fill(server: &ServerOptions, config: &WideConfig, limit: u64) -> anyhow::Result<Place> {
    let running = server.start_empty()?;
    let wide = config.generator();
    let fed = feed::feed(&running, &wide, 0..wide.requests())?;
    settle(&running)?;
    running.stop()?;
    let bytes = bytes_of(&server.data().join("segments").join("default"))?.max(1);
    let copies = u32::try_from((TIMES_LIMIT * limit).div_ceil(bytes))?.max(1);
    let environment = Environment::default_environment();
    copies::run(&server.data(), &environment, copies, i64::MAX)?;
    let known = TraceCopies::of(&server.data(), &environment)?;
    let of_copy = |(number, id): (usize, &[u8; 16])| {
        known.id(id, u32::try_from(number * 7_919 % copies as usize).unwrap_or_default())
    };
    let ids = fed.traces.iter().cycle().take(TRACES).enumerate().map(of_copy).collect();
    let times = questions::times(config);
    Ok(Place { ids, copies, times: (times.0 - i64::from(copies) * DAY_S, times.1), fed })
}

/// Two questions over everything, and traces.
fn asked(server: &Server, place: &Place) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let mut connection = Connection::open(&server.http)?;
    let mut measured = Vec::new();
    let mut trace_ms = Vec::new();
    for id in &place.ids {
        trace_ms.push(traces::ask(&mut connection, id)?.0);
    }
    measured.push(("trace_p50", quantile(&trace_ms, 0.50)));
    measured.push(("trace_p99", quantile(&trace_ms, 0.99)));
    let sums = json!({"calculations": [{"op": "SUM", "column": "http.response.body.size"}, {"op": "COUNT"}]});
    let errors = json!({"calculations": [{"op": "COUNT"}, {"op": "P99", "column": "duration_ms"}],
                        "breakdowns": ["service.name"], "limit": 1_000});
    for (name, spec) in [("sums", &sums), ("p99_by_service", &errors)] {
        let begin = clock::now();
        let answer = ask(&mut connection, spec, place.times)?;
        measured.push((name, begin.elapsed().as_secs_f64() * 1e3));
        ensure!(
            counted(&answer) == precise(place.fed.rows) * f64::from(place.copies),
            "{spec}: {}",
            counted(&answer)
        );
    }
    Ok(measured)
}

/// All events that an answer counts.
fn counted(answer: &Value) -> f64 {
    let results = answer["data"]["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    results.iter().filter_map(|row| row["data"]["COUNT"].as_f64()).sum()
}

fn ingest(server: &Server, config: &WideConfig) -> anyhow::Result<Vec<Figure>> {
    let later = config.start_ns.saturating_add(30 * DAY_S * 1_000_000_000);
    let wide = WideConfig { seed: config.seed ^ 0xbeef, start_ns: later, ..config.clone() };
    let generator = wide.generator();
    let begin = clock::now();
    let fed = feed::feed(server, &generator, 0..generator.requests())?;
    let seconds = begin.elapsed().as_secs_f64();
    progress(&format!("{} events beside it", fed.rows));
    check_count(server, fed.rows, questions::times(&wide))?;
    Ok(vec![
        Figure::new("pressure_ingest", "events/s", precise(fed.rows) / seconds),
        Figure::new("pressure_ingest_ack_p99", "ms", quantile(&fed.acknowledged_ms, 0.99)),
        Figure::new("pressure_ingest_told_to_slow_down", "requests", precise(fed.told_to_slow_down)),
    ])
}
