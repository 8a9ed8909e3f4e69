//! Sustained ingest: requests over OTLP/HTTP at a steady rate, every response awaited.
//!
//! Each connection has one request in flight. With a rate, requests leave on a fixed schedule and the latency
//! counts from the scheduled moment, so that a server that stalls cannot hide it (coordinated omission).
//! Freshness: a probe asks for a trace as soon as its batch is acknowledged, until it is there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::Args;

use crate::data::narrow_templates;
use crate::http::Connection;
use crate::metrics::{Metrics, settle};
use crate::process::{Server, ServerOptions};
use crate::questions::count;
use crate::report::{self, Figure, precise, quantile};
use crate::template::Template;
use crate::{clock, feed};

/// One probe of freshness in this many requests of a connection.
const PROBE_EVERY: u64 = 25;

#[derive(Args, Debug, Clone)]
pub(crate) struct Load {
    /// Length of the sustained run.
    #[arg(long, default_value_t = 300, env = "SECONDS_SUSTAINED")]
    seconds: u64,
    /// Offered load, spans per second; 0 sends as fast as it is acknowledged.
    #[arg(long, default_value_t = 100_000)]
    rate: u64,
    /// Connections, each with one request in flight.
    #[arg(long, default_value_t = 4)]
    clients: usize,
}

impl Load {
    /// A load of four connections.
    pub(crate) fn new(seconds: u64, rate: u64) -> Load {
        Load { seconds, rate, clients: 4 }
    }
}

#[derive(Args, Debug, Clone)]
pub(crate) struct Arguments {
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    server: ServerOptions,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let server = self.server.start_empty()?;
        report::show(&measure(&self.load, &server, &narrow_templates()?)?);
        server.stop()
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
    options: &'a Load,
    templates: &'a [Template],
    address: String,
    counts: Counts,
    stopping: AtomicBool,
    begin: Instant,
    begin_ns: i64,
}

/// Runs it, waits until the server has settled, and checks that every acknowledged span is counted.
pub(crate) fn measure(
    options: &Load,
    server: &Server,
    templates: &[Template],
) -> anyhow::Result<Vec<Figure>> {
    // Spans were made to end at the beginning of the run, and are moved along with it.
    let start = clock::epoch_ns() / 1_000_000_000 - 86_400;
    let times = (start, start + 3 * 86_400);
    let counted_before = count(server, times)?;
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
    let bytes_before = server.bytes_of("segments/default")?;
    let before = server.metrics()?;
    let (probes, probed) = mpsc::sync_channel(16);
    let (latencies, freshness, segments_highest) = thread::scope(|scope| -> anyhow::Result<_> {
        let prober = scope.spawn(|| probe(&server.http, probed));
        let senders: Vec<_> = (0..options.clients)
            .map(|client| {
                let (shared, probes) = (&shared, probes.clone());
                scope.spawn(move || send_all(shared, client, &probes))
            })
            .collect();
        drop(probes);
        let watched = watch(&shared, server);
        shared.stopping.store(true, Ordering::Relaxed);
        let mut latencies = Vec::new();
        for sender in senders {
            latencies.extend(sender.join().map_err(|_| anyhow::anyhow!("a sender died"))??.acknowledged_ms);
        }
        let freshness = prober.join().map_err(|_| anyhow::anyhow!("the prober died"))??;
        Ok((latencies, freshness, watched?))
    })?;
    let seconds = shared.begin.elapsed().as_secs_f64();
    let client_cpu = (clock::process_cpu() - client_before).as_secs_f64();
    let server_cpu = server.cpu_seconds()? - server_before;
    let memory = server.memory_mib()?;
    let at_end = server.metrics()?;
    let sent = shared.counts.spans.load(Ordering::Relaxed);
    let counted = count(server, times)? - counted_before;
    ensure!(counted == precise(sent), "{sent} spans were acknowledged, {counted} are counted");
    let settled = settle(server)?;
    let bytes = precise(server.bytes_of("segments/default")?) - precise(bytes_before);
    let spans = precise(sent);
    let slow_down = precise(shared.counts.told_to_slow_down.load(Ordering::Relaxed));
    let mut figures = vec![
        Figure::new("ingest_sustained", "spans/s", spans / seconds).at_least(99_000.0),
        Figure::new("ingest_seconds", "s", seconds),
        Figure::new("ingest_server_cpu", "cores", server_cpu / seconds),
        Figure::new("ingest_client_cpu", "cores", client_cpu / seconds),
        Figure::new("ingest_spans_per_server_cpu_second", "spans/CPU-s", spans / server_cpu),
        Figure::new("ingest_ack_p50", "ms", quantile(&latencies, 0.50)),
        Figure::new("ingest_ack_p99", "ms", quantile(&latencies, 0.99)),
        Figure::new("ingest_freshness_p99", "ms", quantile(&freshness, 0.99)).at_most(1_000.0),
        Figure::new("ingest_memory_highest", "MiB", memory.highest).at_most(2_048.0),
        Figure::new("ingest_told_to_slow_down", "requests", slow_down),
        Figure::new("ingest_segments_highest", "files", segments_highest),
        Figure::new("ingest_segments_at_end", "files", at_end.segments()),
        Figure::new("ingest_segments_settled", "files", settled.segments()),
        Figure::new("ingest_segment_bytes_per_span", "bytes", bytes / spans),
    ];
    figures.extend(write_amplification("ingest_write_amplification", &before, &settled));
    Ok(figures)
}

/// Bytes written to segments for each byte that a flush wrote.
pub(crate) fn write_amplification(name: &str, before: &Metrics, after: &Metrics) -> Option<Figure> {
    let written = |kind: &str| Some(after.written(kind)? - before.written(kind).unwrap_or(0.0));
    let flushed = written("flush")?;
    let all = flushed + written("compaction")? + written("retention").unwrap_or(0.0);
    Some(Figure::new(name, "bytes written per byte flushed", all / flushed.max(1.0)))
}

/// A line of progress every ten seconds until the time is over. Returns the largest number of segments seen.
fn watch(shared: &Shared<'_>, server: &Server) -> anyhow::Result<f64> {
    let (mut last, mut highest) = (0, 0.0);
    for second in 1..=shared.options.seconds {
        thread::sleep(Duration::from_secs(1));
        if second.is_multiple_of(10) {
            let spans = shared.counts.spans.load(Ordering::Relaxed);
            let segments = server.metrics()?.segments();
            highest = segments.max(highest);
            report::progress(&format!(
                "{second:>4} s  {:>9} spans/s  {segments} segments",
                (spans - last) / 10
            ));
            last = spans;
        }
    }
    Ok(highest)
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
        let told = feed::send(&mut connection, "/v1/traces", &body)?;
        shared.counts.told_to_slow_down.fetch_add(u64::try_from(told)?, Ordering::Relaxed);
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
