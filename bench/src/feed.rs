//! Feeds the wide events to a server over OTLP/HTTP: every request acknowledged when durable, then counted.
//!
//! Each client makes a request and sends it; generating costs a small part of what the server needs to take it,
//! and its processor time is reported with the client's.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::bail;
use skein_otlp::Message as _;
use skein_otlp::collector::trace::ExportTraceServiceResponse;
use skein_workload::wide::{Wide, WideRequest};

use crate::clock;
use crate::http::Connection;
use crate::process::Server;
use crate::report::{Figure, precise, progress, quantile};

/// Connections, each with one request in flight: enough that a group commit covers several.
const CLIENTS: usize = 8;

/// Trace ids that are kept for asking.
const TRACES_KEPT: usize = 1_000;

/// What was fed.
#[derive(Debug, Default)]
pub(crate) struct Fed {
    pub(crate) rows: usize,
    pub(crate) span_events: usize,
    pub(crate) log_records: usize,
    pub(crate) bytes: usize,
    pub(crate) told_to_slow_down: usize,
    pub(crate) acknowledged_ms: Vec<f64>,
    /// Ordinary traces, spread over the data.
    pub(crate) traces: Vec<[u8; 16]>,
    /// The traces of many spans.
    pub(crate) long_traces: Vec<[u8; 16]>,
}

/// Sends so many requests of the data, from a place on.
pub(crate) fn feed(server: &Server, wide: &Wide, requests: std::ops::Range<usize>) -> anyhow::Result<Fed> {
    feed_changed(server, wide, requests, &|_, _| Ok(()))
}

/// What is done to a request of a number before it is sent.
pub(crate) type Change<'a> = dyn Fn(usize, &mut WideRequest) -> anyhow::Result<()> + Sync + 'a;

/// As [`feed`], each request changed.
pub(crate) fn feed_changed(
    server: &Server,
    wide: &Wide,
    requests: std::ops::Range<usize>,
    change: &Change<'_>,
) -> anyhow::Result<Fed> {
    let next = AtomicUsize::new(requests.start);
    let done = AtomicBool::new(false);
    let every = (requests.len() / TRACES_KEPT).max(1);
    thread::scope(|scope| {
        let (next, done, end) = (&next, &done, requests.end);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(move || {
                    let fed = client(server, (wide, change), next, end, every);
                    // One that failed ends the others.
                    if fed.is_err() {
                        next.store(end, Ordering::Relaxed);
                    }
                    fed
                })
            })
            .collect();
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_secs(1));
                let sent = next.load(Ordering::Relaxed).min(end);
                if clock::epoch_ns() / 1_000_000_000 % 10 == 0 {
                    progress(&format!("{sent:>7} of {end} requests"));
                }
            }
        });
        let joined: Vec<_> = clients.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        let mut all = Fed::default();
        for fed in joined {
            all.add(fed.map_err(|_| anyhow::anyhow!("a client died"))??);
        }
        all.long_traces.sort_unstable();
        all.long_traces.dedup();
        Ok(all)
    })
}

/// Feeds all of the data, and tells at what cost.
pub(crate) fn measure(server: &Server, wide: &Wide) -> anyhow::Result<(Fed, Vec<Figure>)> {
    let (begin, client_before, server_before) = (clock::now(), clock::process_cpu(), server.cpu_seconds()?);
    let fed = feed(server, wide, 0..wide.requests())?;
    let seconds = begin.elapsed().as_secs_f64();
    let client_cpu = (clock::process_cpu() - client_before).as_secs_f64();
    let server_cpu = server.cpu_seconds()? - server_before;
    let rows = precise(fed.rows);
    let figures = vec![
        Figure::new("load_events", "events", rows),
        Figure::new("load_request_bytes_per_event", "bytes", precise(fed.bytes) / rows),
        Figure::new("load_seconds", "s", seconds),
        Figure::new("load", "events/s", rows / seconds),
        Figure::new("load_server_cpu", "cores", server_cpu / seconds),
        Figure::new("load_client_cpu", "cores", client_cpu / seconds),
        Figure::new("load_per_server_cpu_second", "events/CPU-s", rows / server_cpu),
        Figure::new("load_ack_p50", "ms", quantile(&fed.acknowledged_ms, 0.50)),
        Figure::new("load_ack_p99", "ms", quantile(&fed.acknowledged_ms, 0.99)),
        Figure::new("load_told_to_slow_down", "requests", precise(fed.told_to_slow_down)),
    ];
    Ok((fed, figures))
}

fn client(
    server: &Server,
    (wide, change): (&Wide, &Change<'_>),
    next: &AtomicUsize,
    end: usize,
    every: usize,
) -> anyhow::Result<Fed> {
    let mut connection = Connection::open(&server.otlp_http)?;
    let mut fed = Fed::default();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= end {
            return Ok(fed);
        }
        let mut request = wide.request(index);
        change(index, &mut request)?;
        for (path, body) in [("/v1/traces", &request.traces), ("/v1/logs", &request.logs)] {
            if !body.is_empty() {
                let begin = clock::now();
                fed.told_to_slow_down += send(&mut connection, path, body)?;
                fed.acknowledged_ms.push(begin.elapsed().as_secs_f64() * 1e3);
            }
        }
        fed.note(&request, index.is_multiple_of(every));
    }
}

/// Sends until acknowledged; being told to slow down is obeyed. Returns how often it was told.
pub(crate) fn send(connection: &mut Connection, path: &str, body: &[u8]) -> anyhow::Result<usize> {
    for told in 0.. {
        let response = connection.post(path, "application/x-protobuf", body)?;
        match response.status {
            200 if response.body.is_empty() || is_warning(&response.body) => return Ok(told),
            429 | 503 => thread::sleep(Duration::from_millis(20)),
            status => bail!("{path}: {status}: {}", String::from_utf8_lossy(&response.body)),
        }
    }
    bail!("told to slow down for ever")
}

/// Whether everything was taken, and something is to be known about it.
fn is_warning(body: &[u8]) -> bool {
    let response = ExportTraceServiceResponse::decode(body);
    let partial = response.ok().and_then(|response| response.partial_success);
    partial.is_some_and(|partial| partial.rejected_spans == 0)
}

// === impl Fed ===

impl Fed {
    fn note(&mut self, request: &WideRequest, keep_trace: bool) {
        self.rows += request.rows();
        self.span_events += request.span_events;
        self.log_records += request.log_records;
        self.bytes += request.traces.len() + request.logs.len();
        if keep_trace && request.trace_id != [0; 16] {
            self.traces.push(request.trace_id);
        }
        self.long_traces.extend(request.long_trace_id);
    }

    fn add(&mut self, other: Fed) {
        self.rows += other.rows;
        self.span_events += other.span_events;
        self.log_records += other.log_records;
        self.bytes += other.bytes;
        self.told_to_slow_down += other.told_to_slow_down;
        self.acknowledged_ms.extend(other.acknowledged_ms);
        self.traces.extend(other.traces);
        self.long_traces.extend(other.long_traces);
    }
}
