//! The demo of a running server: the simulated shop of `workload` sends to the environment `demo`, through decoder and
//! log like everybody's events, but without a socket.
//!
//! It refuses to run twice at once and to run for ever (`DEMO_LIVE`), and it stops when the server does. An incident
//! lies in its past; finding it is the game.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event::Environment;
use event::flow::{Append, EventSink, SinkError};
use event::limits::{DEMO_BATCHES_MAX, DEMO_LIVE, DEMO_PAST, DEMO_REQUESTS_PER_SECOND, DEMO_RETRIES_MAX};
use event::observe::Clock;
use prost::Message as _;
use skein_api::door::{DecodeRequest, Decoder, Encoding};
use skein_api::gate::Gate;
use skein_api::state::Demo;
use skein_event as event;
use skein_ingest::Signal;
use skein_workload::export::{Batch, batches};
use skein_workload::incident::Incident;
use skein_workload::simulation::{Config, Simulation};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Duration, sleep};

const SECOND_NS: i64 = 1_000_000_000;

/// What is simulated at once.
const SLICE_NS: i64 = 5 * SECOND_NS;

/// An incident begins at most six minutes after its origin and lasts at most seven; five more show the recovery.
const INCIDENT_WINDOW_NS: i64 = 18 * 60 * SECOND_NS;

/// Simulated services, at rest until somebody asks for them.
pub(crate) struct SimulatedShop {
    decoder: Arc<dyn Decoder>,
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    gate: Arc<Gate>,
    at_work: Arc<AtomicBool>,
}

impl SimulatedShop {
    pub(crate) fn new(
        decoder: Arc<dyn Decoder>,
        sink: Arc<dyn EventSink>,
        clock: Arc<dyn Clock>,
        gate: Arc<Gate>,
    ) -> SimulatedShop {
        SimulatedShop { decoder, sink, clock, gate, at_work: Arc::new(AtomicBool::new(false)) }
    }
}

impl Demo for SimulatedShop {
    fn start(&self) -> bool {
        if self.at_work.swap(true, Ordering::AcqRel) {
            return false;
        }
        let (made, waiting) = channel(DEMO_BATCHES_MAX);
        let (clock, gate) = (Arc::clone(&self.clock), Arc::clone(&self.gate));
        tokio::spawn(make(clock, gate, made));
        let (decoder, sink, clock) =
            (Arc::clone(&self.decoder), Arc::clone(&self.sink), Arc::clone(&self.clock));
        let at_work = Arc::clone(&self.at_work);
        tokio::spawn(async move {
            store(&*decoder, &*sink, &*clock, waiting).await;
            at_work.store(false, Ordering::Release);
        });
        true
    }
}

/// Simulates the past as fast as it is stored, then goes on with the clock.
async fn make(clock: Arc<dyn Clock>, gate: Arc<Gate>, made: Sender<Batch>) {
    let now_ns = clock.now_ns();
    let length = |of: Duration| i64::try_from(of.as_nanos()).unwrap_or(i64::MAX);
    let start_ns = now_ns.saturating_sub(length(DEMO_PAST));
    // Another moment, another incident.
    let seed = now_ns.unsigned_abs() / SECOND_NS.unsigned_abs();
    let mut simulation = Simulation::new(Config {
        seed,
        start_ns,
        requests_per_second: f64::from(DEMO_REQUESTS_PER_SECOND),
        incident: Some(Incident::from_seed(seed, start_ns.max(now_ns.saturating_sub(INCIDENT_WINDOW_NS)))),
    });
    let end_ns = now_ns.saturating_add(length(DEMO_LIVE));
    while simulation.now_ns() < end_ns && !gate.is_closed() {
        let until_ns = simulation.now_ns().saturating_add(SLICE_NS).min(clock.now_ns());
        if until_ns <= simulation.now_ns() {
            sleep(Duration::from_secs(1)).await;
            continue;
        }
        // A slice computes for milliseconds: long enough to keep it off the threads that answer.
        let sliced = tokio::task::spawn_blocking(move || {
            let records = simulation.advance(until_ns);
            let made = batches(simulation.instances(), records);
            (simulation, made)
        });
        let Ok((advanced, slice)) = sliced.await else {
            return tracing::error!("the demo's simulation ended");
        };
        simulation = advanced;
        for batch in slice {
            if made.send(batch).await.is_err() {
                return;
            }
        }
    }
}

/// Stores what is made, until nothing more comes or the log takes nothing more.
async fn store(decoder: &dyn Decoder, sink: &dyn EventSink, clock: &dyn Clock, mut waiting: Receiver<Batch>) {
    let environment = Environment::demo();
    let mut count = 0_u64;
    while let Some(batch) = waiting.recv().await {
        count += 1;
        let (signal, body) = match &batch {
            Batch::Traces(request) => (Signal::Traces, request.encode_to_vec()),
            Batch::Logs(request) => (Signal::Logs, request.encode_to_vec()),
            Batch::Metrics(request) => (Signal::Metrics, request.encode_to_vec()),
        };
        let mut patience = DEMO_RETRIES_MAX;
        loop {
            let arrival_ns = clock.now_ns();
            let decoded = decoder.decode(&DecodeRequest {
                environment: &environment,
                signal,
                encoding: Encoding::Protobuf,
                body: &body,
                batch_id: None,
                arrival_ns,
                unique: u128::from(arrival_ns.cast_unsigned()) << 64 | u128::from(count),
            });
            let decoded = match decoded {
                Ok(decoded) => decoded,
                Err(error) => return tracing::error!(%error, "the demo's events could not be decoded"),
            };
            if decoded.batch.is_empty() {
                break;
            }
            let (environment, key) = (environment.clone(), decoded.key);
            match sink.append(Append { environment, key, batch: decoded.batch, reply: Vec::new() }).await {
                Ok(_appended) => break,
                Err(SinkError::Overloaded { retry_after_ms }) if patience > 0 => {
                    patience -= 1;
                    sleep(Duration::from_millis(retry_after_ms)).await;
                }
                Err(error) => return tracing::warn!(%error, "the demo ends: its events are not stored"),
            }
        }
    }
}
