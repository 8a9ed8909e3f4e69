//! Who waits for whom: eight questions at a time while spans are ingested. Seven are scans of everything, the eighth asks
//! for one trace after the other, as a person does who follows a link.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use crate::clock;
use crate::feed::Fed;
use crate::http::Connection;
use crate::ingest::{self, Load};
use crate::process::Server;
use crate::questions::ask;
use crate::report::{Figure, precise, quantile};
use crate::template::Template;
use crate::traces;

/// Scans at a time.
const SCANS: usize = 7;

/// Traces that are asked for on the idle server.
const IDLE_TRACES: usize = 500;

#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// Seconds of eight questions at a time; 0 leaves the part out.
    #[arg(long, default_value_t = 30)]
    fair_seconds: u64,
    /// Spans per second that are ingested meanwhile.
    #[arg(long, default_value_t = 50_000)]
    fair_rate: u64,
}

impl Options {
    pub(crate) fn is_wanted(&self) -> bool {
        self.fair_seconds > 0
    }
}

pub(crate) const NOTES: &str = "Seven connections ask for scans of all wide events, one after the other as fast as they \
    are answered, one asks for traces, and narrow spans are ingested on a fixed schedule; latencies of the client, which \
    shares the two cores. The scans: users by count, percentiles by service, distinct users, messages that hold a word.";

/// Measures on a server that holds the wide events.
pub(crate) fn measure(
    options: &Options,
    server: &Server,
    templates: &[Template],
    fed: &Fed,
    times: (i64, i64),
) -> anyhow::Result<Vec<Figure>> {
    let idle = traces_for(server, fed, None)?;
    let until = Duration::from_secs(options.fair_seconds);
    let scans = AtomicUsize::new(0);
    let (busy, ingested) = thread::scope(|scope| -> anyhow::Result<_> {
        let scanning: Vec<_> = (0..SCANS)
            .map(|place| {
                let scans = &scans;
                scope.spawn(move || scan(server, place, times, until, scans))
            })
            .collect();
        let following = scope.spawn(|| traces_for(server, fed, Some(until)));
        let load = Load::new(options.fair_seconds, options.fair_rate);
        let ingested = ingest::measure(&load, server, templates)?;
        for scan in scanning {
            scan.join().map_err(|_| anyhow::anyhow!("a scan died"))??;
        }
        Ok((following.join().map_err(|_| anyhow::anyhow!("who follows traces died"))??, ingested))
    })?;
    let of_ingest = |name: &str| {
        let found = ingested.iter().find(|figure| figure.name() == name);
        found.map(Figure::value).with_context(|| format!("no figure {name}"))
    };
    let (idle, busy) = (quantile(&idle, 0.99), quantile(&busy, 0.99));
    Ok(vec![
        Figure::new("fair_trace_p99_idle", "ms", idle),
        Figure::new("fair_trace_p99_beside_scans", "ms", busy),
        Figure::new("fair_trace_p99_ratio", "of the idle server's", busy / idle).at_most(10.0),
        Figure::new("fair_ack_p99", "ms", of_ingest("ingest_ack_p99")?).at_most(250.0),
        Figure::new("fair_ingested", "spans/s", of_ingest("ingest_sustained")?),
        Figure::new("fair_scans", "scans", precise(scans.load(Ordering::Relaxed))),
    ])
}

/// Milliseconds of traces by their ids, for some time or for a number of them.
fn traces_for(server: &Server, fed: &Fed, until: Option<Duration>) -> anyhow::Result<Vec<f64>> {
    let mut connection = Connection::open(&server.http)?;
    let begin = clock::now();
    let mut ms = Vec::new();
    for id in fed.traces.iter().cycle() {
        let done = match until {
            Some(until) => begin.elapsed() >= until,
            None => ms.len() >= IDLE_TRACES,
        };
        if done {
            break;
        }
        ms.push(traces::ask(&mut connection, id)?.0);
    }
    Ok(ms)
}

fn scan(
    server: &Server,
    first: usize,
    times: (i64, i64),
    until: Duration,
    scans: &AtomicUsize,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(&server.http)?;
    let specs = specs();
    let begin = clock::now();
    for spec in specs.iter().cycle().skip(first) {
        if begin.elapsed() >= until {
            break;
        }
        ask(&mut connection, spec, times)?;
        scans.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn specs() -> [Value; 4] {
    let percentile = json!([{"op": "P99", "column": "duration_ms"}]);
    [
        json!({"calculations": [{"op": "COUNT"}], "breakdowns": ["user.id"], "limit": 20}),
        json!({"calculations": percentile, "breakdowns": ["service.name"], "limit": 100}),
        json!({"calculations": [{"op": "COUNT_DISTINCT", "column": "user.id"}]}),
        json!({"calculations": [{"op": "COUNT"}], "filters": [{"column": "body", "op": "contains", "value": "failed"}]}),
    ]
}
