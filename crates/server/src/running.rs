//! A running server: what is wired together, and how it ends.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context as _;
use event::flow::EventSink;
use event::hash::HashKey;
use event::limits::{
    EXPORTS_RUNNING_MAX, REGISTRY_CALLS_MAX, STOP_CLOSE_MAX, STOP_CONNECTIONS_MAX, STOP_FLUSH_MAX,
    STOP_OWN_EVENTS_MAX, STOP_UNDER_WAY_MAX,
};
use event::observe::{Clock, Observer};
use skein_api::budget::Budget;
use skein_api::cpu::CpuPool;
use skein_api::door::{Decoder, Door, OtlpDecoder, grpc_router};
use skein_api::findings::Finding;
use skein_api::gate::Gate;
use skein_api::jobs::Jobs;
use skein_api::metrics::{Gauges, Metric, Metrics, Sample};
use skein_api::rejections::Rejections;
use skein_api::state::{Api, Keeper, QueryLimits};
use skein_api::{api_router, otlp_http_router};
use skein_event as event;
use skein_log::disk::{Disk, RealDisk};
use skein_query::QueryEngine;
use skein_registry::Registry;
use skein_wire::Ready;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::demo::SimulatedShop;
use crate::export::OtlpExporter;
use crate::findings;
use crate::listen::{self, Phase, Served};
use crate::local;
use crate::observe::{self, SelfObserver, Target};
use crate::storage::Storage;

/// The version that answers and the ready line name.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How often a stopping server looks whether everything under way has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// A server that listens.
pub struct Running {
    /// Address of the HTTP API.
    pub http: SocketAddr,
    /// Address of OTLP over gRPC.
    pub otlp_grpc: SocketAddr,
    /// Address of OTLP over HTTP.
    pub otlp_http: SocketAddr,
    data: PathBuf,
    api: Arc<Api>,
    observer: SelfObserver,
    phase: watch::Sender<Phase>,
    served: Vec<Served>,
    linger: Duration,
    flush: Box<dyn FnOnce() + Send>,
    close: Box<dyn FnOnce() -> anyhow::Result<()> + Send>,
    background: Vec<tokio::task::JoinHandle<()>>,
}

/// The observer that a storage is opened with, and what later sends its observations.
pub struct Observing {
    observer: SelfObserver,
    reporter: observe::Reporter,
}

impl Observing {
    /// An observer whose observations wait until the server runs.
    #[expect(clippy::new_without_default, reason = "it makes a queue, which no default should")]
    pub fn new() -> Observing {
        let (observer, reporter) = observe::channel();
        Observing { observer, reporter }
    }

    /// For whatever is to be observed.
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(self.observer.clone())
    }
}

/// Opens the data directory of a configuration and listens. Must run on a runtime.
pub async fn start(config: &Config) -> anyhow::Result<Running> {
    start_on(config, Arc::new(RealDisk)).await
}

/// As [`start`], with log and segments on a disk of the caller's.
pub async fn start_on(config: &Config, disk: Arc<dyn Disk>) -> anyhow::Result<Running> {
    config.check()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let observing = Observing::new();
    let (settings, time, observer) = (config.clone(), Arc::clone(&clock), observing.observer());
    let opening = tokio::task::spawn_blocking(move || local::open(&settings, &time, observer, disk));
    let storage = opening.await.context("opening the data directory failed")??;
    start_with(config, clock, observing, storage).await
}

/// Wires a storage to the doors and routes and listens. Must run on a runtime.
pub async fn start_with(
    config: &Config,
    clock: Arc<dyn Clock>,
    observing: Observing,
    storage: Storage,
) -> anyhow::Result<Running> {
    config.check()?;
    let Observing { observer, reporter } = observing;
    let decoder: Arc<dyn Decoder> = Arc::new(OtlpDecoder { hash_key: storage.hash_key });
    let target = Target {
        decoder: Arc::clone(&decoder),
        sink: Arc::clone(&storage.sink),
        clock: Arc::clone(&clock),
        hash_key: storage.hash_key,
        version: VERSION,
        metrics: Arc::new(Metrics::default()),
    };
    let metrics = Arc::clone(&target.metrics);
    tokio::spawn(reporter.run(target));
    let Storage { sink, engine, keeper, registry, gauges, hash_key, flush, close } = storage;
    let parts = Parts { sink, engine, keeper, registry, gauges, hash_key, decoder, metrics };
    let api = wire(config, clock, &observer, parts);
    let door = Arc::clone(&api.door);
    let (phase, phases) = watch::channel(Phase::Serving);
    let bind = async |what: &str, address, router| {
        let served = listen::serve(address, router, config.patience, phases.clone()).await;
        served.with_context(|| format!("cannot listen on {address} for {what}"))
    };
    let http = bind("HTTP", config.http, api_router(Arc::clone(&api))).await?;
    let otlp_grpc = bind("OTLP over gRPC", config.otlp_grpc, grpc_router(Arc::clone(&door))).await?;
    let otlp_http = bind("OTLP over HTTP", config.otlp_http, otlp_http_router(Arc::clone(&api))).await?;
    door.gate.set_ready();
    let background = vec![
        tokio::spawn(findings::tell(
            Arc::clone(&api.gauges),
            Arc::clone(&api.clock),
            Arc::clone(&api.observer),
        )),
        tokio::spawn(skein_api::restore_rejections(Arc::clone(&api))),
    ];
    Ok(Running {
        http: http.address,
        otlp_grpc: otlp_grpc.address,
        otlp_http: otlp_http.address,
        data: config.data.clone(),
        api,
        observer,
        phase,
        served: vec![http, otlp_grpc, otlp_http],
        linger: Duration::from_millis(config.linger_ms),
        flush,
        close,
        background,
    })
}

/// Puts doors and routes together over a storage.
fn wire(config: &Config, clock: Arc<dyn Clock>, observer: &SelfObserver, parts: Parts) -> Arc<Api> {
    let Parts { sink, engine, keeper, registry, gauges, hash_key, decoder, metrics } = parts;
    let gate = Arc::new(Gate::default());
    let demo = Arc::new(SimulatedShop::new(
        Arc::clone(&decoder),
        Arc::clone(&sink),
        Arc::clone(&clock),
        Arc::clone(&gate),
    ));
    let threads = match config.cpu_threads {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        threads => threads,
    };
    let door = Arc::new(Door {
        sink,
        decoder,
        budget: Budget::new(config.inflight_bytes_max),
        cpu: CpuPool::new(threads),
        gate,
        rejections: Arc::new(Rejections::default()),
        metrics,
        observer: Arc::new(observer.clone()),
        clock: Arc::clone(&clock),
        request_bytes_max: config.request_bytes_max,
        patience: config.patience,
    });
    let duration_ns_max = i64::try_from(config.query_seconds_max.saturating_mul(1_000_000_000));
    Arc::new(Api {
        engine,
        door,
        exporter: Arc::new(OtlpExporter),
        keeper,
        registry,
        registry_calls: CpuPool::new(REGISTRY_CALLS_MAX),
        demo,
        jobs: Arc::new(Jobs::default()),
        cpu: CpuPool::new(threads),
        exports: CpuPool::new(EXPORTS_RUNNING_MAX),
        gauges: Arc::new(WithOwn { gauges, observer: observer.clone() }),
        observer: Arc::new(observer.clone()),
        limits: QueryLimits {
            memory_bytes_max: config.query_memory_bytes_max,
            duration_ns_max: duration_ns_max.unwrap_or(i64::MAX),
        },
        loopback_only: !config.allow_remote,
        version: VERSION,
        // Apart from the key of the data, which ids must not tell anything about.
        id_key: HashKey(hash_key.hash(&clock.now_ns().to_le_bytes())),
        count: AtomicU64::new(0),
        clock,
    })
}

/// What is put together: a storage without its end, and what the reporter of own events shares.
struct Parts {
    sink: Arc<dyn EventSink>,
    engine: Arc<dyn QueryEngine>,
    keeper: Arc<dyn Keeper>,
    registry: Arc<dyn Registry>,
    gauges: Arc<dyn Gauges>,
    hash_key: HashKey,
    decoder: Arc<dyn Decoder>,
    metrics: Arc<Metrics>,
}

impl Running {
    /// The line for stdout.
    pub fn ready(&self) -> Ready {
        Ready {
            event: "ready".to_owned(),
            http: self.http.to_string(),
            otlp_grpc: self.otlp_grpc.to_string(),
            otlp_http: self.otlp_http.to_string(),
            data: self.data.display().to_string(),
            version: VERSION.to_owned(),
        }
    }

    /// The most bytes that were in flight at once, for tests and the operator's log.
    pub fn inflight_bytes_peak(&self) -> usize {
        self.api.door.budget.peak()
    }

    /// Bytes in flight now.
    pub fn inflight_bytes(&self) -> usize {
        self.api.door.budget.used()
    }

    /// Waits until Skein's own events so far are durable.
    pub async fn flush_observations(&self) {
        self.observer.flush().await;
    }

    /// From now on new work is told to come back.
    pub fn refuse_new_work(&self) {
        self.api.door.gate.close();
    }

    /// Stops: see the crate's documentation for the order.
    pub async fn shutdown(self) -> anyhow::Result<()> {
        self.refuse_new_work();
        tokio::time::sleep(self.linger).await;
        let under_way = async {
            while self.api.door.budget.used() > 0 {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        };
        if timeout(STOP_UNDER_WAY_MAX, under_way).await.is_err() {
            tracing::warn!(bytes = self.api.door.budget.used(), "requests under way are given up");
        }
        self.api.jobs.cancel_all();
        self.background.iter().for_each(tokio::task::JoinHandle::abort);
        // While the log still takes writes: the events that tell of the flush go there.
        if timeout(STOP_FLUSH_MAX, tokio::task::spawn_blocking(self.flush)).await.is_err() {
            tracing::warn!("heads were not flushed in time; the log still has their events");
        }
        if timeout(STOP_OWN_EVENTS_MAX, self.observer.finish()).await.is_err() {
            tracing::warn!("the last own events are given up");
        }
        self.phase.send_replace(Phase::Ending);
        let connections = async {
            for served in self.served {
                served.ended().await;
            }
        };
        if timeout(STOP_CONNECTIONS_MAX, connections).await.is_err() {
            tracing::debug!("connections that did not end are cut");
        }
        match timeout(STOP_CLOSE_MAX, tokio::task::spawn_blocking(self.close)).await {
            Ok(closed) => closed.context("closing the storage failed")?,
            Err(_elapsed) => {
                tracing::warn!("files were not closed in time; the next start recovers");
                Ok(())
            }
        }
    }
}

/// The storage's gauges, and those of the server itself.
struct WithOwn {
    gauges: Arc<dyn Gauges>,
    observer: SelfObserver,
}

impl Gauges for WithOwn {
    fn samples(&self) -> Vec<Sample> {
        let mut samples = self.gauges.samples();
        #[expect(clippy::cast_precision_loss, reason = "a count of drops stays far below 2^53")]
        let value = self.observer.dropped() as f64;
        samples.push(Sample::new(Metric::ObservationsDropped, Vec::new(), value));
        samples
    }

    fn findings(&self) -> Vec<Finding> {
        self.gauges.findings()
    }

    fn is_writable(&self) -> bool {
        self.gauges.is_writable()
    }
}
