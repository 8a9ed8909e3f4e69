//! Sustained ingest: requests over OTLP/HTTP at a steady rate, every response awaited.
//!
//! Each connection has one request in flight. With a rate, requests leave on a fixed schedule and the latency
//! counts from the scheduled moment, so that a server that stalls cannot hide it (coordinated omission).
//! Freshness: a probe asks for a trace as soon as its batch is acknowledged, until it is there.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use crate::clock;
use crate::data::Data;
use crate::http::Connection;
use crate::process::Server;
use crate::report::{self, Figure};
use crate::template::Template;

/// One probe of freshness in this many requests of a connection.
const PROBE_EVERY: u64 = 25;

#[derive(Args, Debug, Clone)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Length of the run.
    #[arg(long, default_value_t = 300, env = "SECONDS_SUSTAINED")]
    seconds: u64,
    /// Offered load, spans per second; 0 sends as fast as it is acknowledged.
    #[arg(long, default_value_t = 100_000)]
    rate: u64,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// The server's binary; by default the one beside this program.
    #[arg(long)]
    skein: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        report::show(&measure(self, &self.data.templates()?)?);
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    spans: AtomicU64,
    told_to_slow_down: AtomicU64,
}

/// What one connection measured.
#[derive(Debug, Default)]
struct Latencies {
    /// Milliseconds from the scheduled moment to the acknowledgement.
    acknowledged_ms: Vec<f64>,
}

struct Shared<'a> {
    options: &'a Arguments,
    templates: &'a [Template],
    address: String,
    counts: Counts,
    stopping: AtomicBool,
    begin: Instant,
    begin_ns: i64,
}

/// Runs it and checks that every acknowledged span is counted.
pub(crate) fn measure(options: &Arguments, templates: &[Template]) -> anyhow::Result<Vec<Figure>> {
    let binary = match &options.skein {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("skein"),
    };
    let server = Server::start(&binary, &PathBuf::from("bench/out/data"))?;
    let shared = Shared {
        options,
        templates,
        address: server.otlp_http.clone(),
        counts: Counts::default(),
        stopping: AtomicBool::new(false),
        begin: clock::now(),
        begin_ns: clock::epoch_ns(),
    };
    let client_before = clock::process_cpu();
    let server_before = server.cpu_seconds()?;
    let (probes, probed) = mpsc::sync_channel(16);
    let (latencies, freshness) = thread::scope(|scope| -> anyhow::Result<_> {
        let prober = scope.spawn(|| probe(&server.http, probed));
        let senders: Vec<_> = (0..options.clients)
            .map(|client| {
                let (shared, probes) = (&shared, probes.clone());
                scope.spawn(move || send_all(shared, client, &probes))
            })
            .collect();
        drop(probes);
        watch(&shared);
        shared.stopping.store(true, Ordering::Relaxed);
        let mut latencies = Vec::new();
        for sender in senders {
            latencies.extend(sender.join().map_err(|_| anyhow::anyhow!("a sender died"))??.acknowledged_ms);
        }
        let freshness = prober.join().map_err(|_| anyhow::anyhow!("the prober died"))??;
        Ok((latencies, freshness))
    })?;
    let seconds = shared.begin.elapsed().as_secs_f64();
    let client_cpu = (clock::process_cpu() - client_before).as_secs_f64();
    let server_cpu = server.cpu_seconds()? - server_before;
    let memory_highest = server.memory_highest_mib()?;
    let sent = shared.counts.spans.load(Ordering::Relaxed);
    check_count(&server, sent, shared.begin_ns)?;
    let bytes = server.segment_bytes();
    server.stop()?;
    let spans = precise(sent);
    let slow_down = precise(shared.counts.told_to_slow_down.load(Ordering::Relaxed));
    Ok(vec![
        Figure::new("ingest_sustained", "spans/s", spans / seconds),
        Figure::new("ingest_seconds", "s", seconds),
        Figure::new("ingest_server_cpu", "cores", server_cpu / seconds),
        Figure::new("ingest_client_cpu", "cores", client_cpu / seconds),
        Figure::new("ingest_spans_per_server_cpu_second", "spans/CPU-s", spans / server_cpu),
        Figure::new("ingest_ack_p50", "ms", quantile(&latencies, 0.50)),
        Figure::new("ingest_ack_p99", "ms", quantile(&latencies, 0.99)),
        Figure::new("ingest_freshness_p99", "ms", quantile(&freshness, 0.99)),
        Figure::new("ingest_memory_highest", "MiB", memory_highest),
        Figure::new("ingest_told_to_slow_down", "requests", slow_down),
        Figure::new("ingest_segment_bytes_per_span", "bytes", bytes / spans),
    ])
}

/// A line of progress every ten seconds until the time is over.
fn watch(shared: &Shared<'_>) {
    let mut last = 0;
    for second in 1..=shared.options.seconds {
        thread::sleep(Duration::from_secs(1));
        if second.is_multiple_of(10) {
            let spans = shared.counts.spans.load(Ordering::Relaxed);
            report::progress(&format!("{second:>4} s  {:>9} spans/s", (spans - last) / 10));
            last = spans;
        }
    }
}

fn send_all(shared: &Shared<'_>, client: usize, probes: &SyncSender<String>) -> anyhow::Result<Latencies> {
    let mut connection = Connection::open(&shared.address)?;
    let mut latencies = Latencies::default();
    let mut body = Vec::new();
    let mut scheduled = shared.begin;
    for round in 0_u64.. {
        if shared.stopping.load(Ordering::Relaxed) {
            break;
        }
        let number = round * u64::try_from(shared.options.clients)? + u64::try_from(client)?;
        let template = &shared.templates[usize::try_from(number)? % shared.templates.len()];
        let shift = clock::epoch_ns() - shared.begin_ns;
        template.replay(number + 1, shift, &mut body);
        if shared.options.rate > 0 {
            let share = shared.options.rate as f64 / shared.options.clients as f64;
            scheduled += Duration::from_secs_f64(f64::from(u32::try_from(template.spans)?) / share);
            thread::sleep(scheduled.saturating_duration_since(clock::now()));
        } else {
            scheduled = clock::now();
        }
        send(shared, &mut connection, &body)?;
        latencies.acknowledged_ms.push(scheduled.elapsed().as_secs_f64() * 1e3);
        shared.counts.requests.fetch_add(1, Ordering::Relaxed);
        shared.counts.spans.fetch_add(u64::try_from(template.spans)?, Ordering::Relaxed);
        if round.is_multiple_of(PROBE_EVERY) {
            // A full queue of probes means that they are slow; the load does not wait for them.
            drop(probes.try_send(template.first_trace_id(&body)));
        }
    }
    Ok(latencies)
}

/// Sends until acknowledged; being told to slow down is counted and obeyed.
fn send(shared: &Shared<'_>, connection: &mut Connection, body: &[u8]) -> anyhow::Result<()> {
    loop {
        let response = connection.post("/v1/traces", "application/x-protobuf", body)?;
        match response.status {
            200 if response.body.is_empty() => return Ok(()),
            429 | 503 => {
                shared.counts.told_to_slow_down.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
            status => bail!("{status}: {}", String::from_utf8_lossy(&response.body)),
        }
    }
}

/// Milliseconds from the acknowledgement of a batch until its trace is answered.
fn probe(address: &str, traces: Receiver<String>) -> anyhow::Result<Vec<f64>> {
    let mut connection = Connection::open(address)?;
    let mut freshness = Vec::new();
    for trace in traces {
        let begin = clock::now();
        let deadline = Duration::from_secs(60);
        while connection.get(&format!("/api/v1/traces/{trace}?fields=name"))?.status != 200 {
            if begin.elapsed() > deadline {
                bail!("trace {trace} was acknowledged and is not visible after {deadline:?}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        freshness.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    Ok(freshness)
}

fn check_count(server: &Server, sent: u64, begin_ns: i64) -> anyhow::Result<()> {
    let start = begin_ns / 1_000_000_000 - 86_400;
    let spec = json!({
        "calculations": [{"op": "COUNT"}], "start_time": start, "end_time": start + 3 * 86_400, "wait_ms": 120_000,
    });
    let body = serde_json::to_vec(&spec)?;
    let response = Connection::open(&server.http)?.post("/api/v1/query", "application/json", &body)?;
    let answer: serde_json::Value = serde_json::from_slice(&response.body).context("the count's answer")?;
    let counted = answer["data"]["results"][0]["data"]["COUNT"].as_u64();
    if counted != Some(sent) {
        bail!("{sent} spans were acknowledged, {counted:?} are counted: {answer}");
    }
    Ok(())
}

fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (q * precise(sorted.len() as u64)).ceil().max(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within the list")]
    let index = place as usize - 1;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

fn precise(count: u64) -> f64 {
    count as f64
}
