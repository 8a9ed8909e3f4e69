//! The local log and store in one data directory.

use std::io::Read as _;
use std::sync::{Arc, Weak};

use anyhow::Context as _;
use engine::{FilterMatcher, NativeEngine, SnapshotView, Snapshots};
use event::Environment;
use event::flow::EventSink;
use event::hash::HashKey;
use event::ids::{Offset, Partition};
use event::limits::PARTITIONS_LOCAL;
use event::observe::{Clock, Observer};
use log::disk::Disk;
use log::{Follower, Log, LogConfig, Status};
use query::QueryError;
use skein_api::findings::Finding;
use skein_api::metrics::{Gauges, Metric, Sample};
use skein_engine as engine;
use skein_event as event;
use skein_log as log;
use skein_query as query;
use skein_registry::SqliteRegistry;
use skein_store as store;
use store::catalog::SqliteCatalog;
use store::{
    Background, DataDirectory, ErrorKind, Fresh, Readers, SpaceGuard, Store, StoreConfig, Surroundings, Work,
};

use crate::config::Config;
use crate::findings;
use crate::keeper::LocalKeeper;
use crate::memory;
use crate::storage::Storage;
use crate::upkeep::Upkeep;

/// Opens the data directory: takes its lock, recovers, replays the log into the heads. Blocks. Log and segments
/// lie on `disk`, which a test may make slow.
pub(crate) fn open(
    config: &Config,
    clock: &Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    disk: Arc<dyn Disk>,
) -> anyhow::Result<Storage> {
    let fresh = Fresh { hash_key: random_key()?, partitions: PARTITIONS_LOCAL };
    let directory = DataDirectory::open(&config.data, fresh)?;
    let (hash_key, partitions) = (directory.hash_key(), directory.partitions());
    let catalog = SqliteCatalog::open(&config.data.join("catalog.sqlite"))?;
    let store_config = StoreConfig {
        flush_interval_ns: i64::try_from(config.flush_seconds.saturating_mul(1_000_000_000))
            .unwrap_or(i64::MAX),
        head_bytes_max: config.head_bytes_max,
        head_bytes_hard_max: config.head_bytes_hard_max,
        retention: config.retention(),
        release_memory: config.release_memory,
        ..StoreConfig::new(config.data.clone(), partitions, hash_key)
    };
    let surroundings = Surroundings {
        disk: Arc::clone(&disk),
        catalog: Arc::new(catalog),
        clock: Arc::clone(clock),
        observer,
    };
    let store = Store::open(store_config, surroundings)?;
    store.attach_matcher(Arc::new(FilterMatcher));
    let low = store.watermarks().into_iter().map(|(_, low)| low).collect();
    let follower: Arc<dyn Follower> = Arc::new(store.clone());
    let retention_ns = config.log_retention_hours.saturating_mul(3_600_000_000_000);
    let log_config = LogConfig {
        partitions,
        queue_bytes_max: config.log_queue_bytes_max,
        retention_ns: i64::try_from(retention_ns).unwrap_or(i64::MAX),
        retention_bytes: config.log_retention_bytes,
        ..LogConfig::new(config.data.clone(), hash_key)
    };
    let log = Arc::new(Log::open(log_config, Arc::clone(&disk), Arc::clone(clock), low, follower)?);
    let readers = Arc::new(Readers::open(&config.data)?);
    store.attach_readers(Arc::clone(&readers));
    store.attach_log(trimming(Arc::downgrade(&log), Arc::clone(&readers)));
    let guard = SpaceGuard::new(disk, config.data.clone(), Arc::clone(&log), config.reserve_bytes);
    guard.check()?;
    let upkeep = Upkeep::start(guard, Arc::clone(&log), readers)?;
    let background = store.start()?;
    let keeper = LocalKeeper { store: store.clone(), log: Arc::clone(&log), data: config.data.clone() };
    let known = Arc::new(Known { store: store.clone(), log: Arc::clone(&log), partitions });
    let registry = open_registry(config)?;
    let registry_to_close = Arc::clone(&registry);
    Ok(Storage {
        sink: Arc::clone(&log) as Arc<dyn EventSink>,
        engine: Arc::new(NativeEngine::new(Arc::clone(&known) as Arc<dyn Snapshots>)),
        keeper: Arc::new(keeper),
        registry,
        gauges: known,
        hash_key,
        flush: Box::new(move || flush(&store)),
        close: Box::new(move || {
            upkeep.stop();
            registry_to_close.close();
            close(&log, &background, directory)
        }),
    })
}

/// Opens the registry. One that is damaged keeps nobody from the events: its routes say so until it is restored.
fn open_registry(config: &Config) -> anyhow::Result<Arc<SqliteRegistry>> {
    let registry = SqliteRegistry::new(&config.data.join("registry.sqlite"))?;
    match registry.check() {
        Err(error) if error.kind() == skein_registry::ErrorKind::Unsupported => return Err(error.into()),
        Err(error) => tracing::warn!(%error, "markers and boards are not served; the rest is"),
        Ok(()) => {}
    }
    Ok(Arc::new(registry))
}

/// Whether opening failed because another process has the data directory.
pub(crate) fn is_locked(error: &anyhow::Error) -> bool {
    error.downcast_ref::<store::Error>().is_some_and(|error| error.kind() == ErrorKind::Locked)
}

/// The hash key of new data, from the operating system: nobody outside can prepare colliding values.
fn random_key() -> anyhow::Result<HashKey> {
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    Ok(HashKey(u64::from_le_bytes(bytes)))
}

/// The log is known weakly, since it knows the store: neither would ever be dropped.
fn trimming(log: Weak<Log>, readers: Arc<Readers>) -> store::TrimLog {
    Arc::new(move |partition: Partition, below: Offset| {
        let Some(log) = log.upgrade() else { return };
        // While somebody verifies or backs up, the next commit trims.
        let Some(_alone) = readers.keep_out() else { return };
        if let Err(error) = log.trim(partition, below) {
            // Nothing is lost: the files are looked at again after the next commit.
            tracing::warn!(%error, partition = partition.0, "the log could not be trimmed");
        }
    })
}

/// While the log still takes writes, so that the events which tell of it become durable too.
fn flush(store: &Store) {
    if let Err(error) = store.flush_all() {
        tracing::warn!(%error, "heads were not flushed; the log still has their events");
    }
}

/// Ends the log first, so that what the heads hold is final, then writes them to segments. The lock goes last.
fn close(log: &Log, background: &Background, directory: DataDirectory) -> anyhow::Result<()> {
    log.close();
    if let Err(error) = background.stop() {
        // The next start replays the log.
        tracing::warn!(%error, "heads were not flushed; the log still has their events");
    }
    if let Err(error) = log.checkpoint() {
        // The next start reads the log for what is not in the checkpoint.
        tracing::warn!(%error, "the batch keys were not kept");
    }
    drop(directory);
    Ok(())
}

/// Log and store, as engine and metrics see them.
struct Known {
    store: Store,
    log: Arc<Log>,
    partitions: u16,
}

impl Snapshots for Known {
    fn snapshot(&self, environment: &Environment, _now_ns: i64) -> Result<SnapshotView, QueryError> {
        let snapshot =
            self.store.snapshot(environment).map_err(|error| QueryError::internal(error.to_string()))?;
        let findings = self.store.findings();
        let of_it = findings.iter().filter_map(|finding| finding.segment.as_ref());
        let damaged = of_it.filter(|segment| segment.environment == *environment);
        Ok(SnapshotView {
            segments: snapshot.segments.clone(),
            complete_to_ns: snapshot.complete_to_ns,
            name: snapshot.id.to_string(),
            damaged: damaged.map(|segment| segment.id.to_string()).collect(),
            lease: Some(Box::new(snapshot)),
        })
    }
}

impl Known {
    /// Files that wait to be merged; one more while somebody asked for everything to be merged, and for each
    /// erasure that has not ended.
    fn due(&self) -> usize {
        let open = |environment: &Environment| {
            self.store.erasures(environment).iter().filter(|erasure| erasure.ended_ns.is_none()).count()
        };
        let erasures: usize = self.store.environments().iter().map(open).sum();
        self.store.files_due() + usize::from(self.store.is_settling()) + erasures
    }
}

impl Gauges for Known {
    fn is_writable(&self) -> bool {
        matches!(self.log.status(), Status::Open) && !self.store.is_fenced()
    }

    fn findings(&self) -> Vec<Finding> {
        findings::of(&self.store, &self.log)
    }

    #[expect(clippy::cast_precision_loss, reason = "counts and sizes stay far below 2^53")]
    fn samples(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for partition in (0..self.partitions).map(Partition) {
            let labels = vec![("partition", partition.0.to_string())];
            let offset = self.log.durable_offset(partition).unwrap_or(Offset(0));
            samples.push(Sample::new(Metric::LogDurableOffset, labels, offset.0 as f64));
        }
        let stats = self.log.stats();
        samples.push(Sample::durations(Metric::LogFsync, Vec::new(), stats.syncs));
        samples.push(Sample::new(Metric::LogQueueBytes, Vec::new(), stats.queued_bytes as f64));
        let log_bytes = vec![("kind", "log".to_owned())];
        samples.push(Sample::new(Metric::StorageBytes, log_bytes, self.log.bytes() as f64));
        samples.push(Sample::new(Metric::CompactionDue, Vec::new(), self.due() as f64));
        samples.extend(memory::samples(&self.store, &stats));
        let written = self.store.written();
        for environment in self.store.environments() {
            for work in Work::ALL {
                let amount = written.of(&environment, work);
                let labels =
                    || vec![("environment", environment.to_string()), ("kind", work.name().to_owned())];
                samples.push(Sample::new(Metric::SegmentWrittenBytes, labels(), amount.bytes as f64));
                samples.push(Sample::new(Metric::SegmentWrittenRows, labels(), amount.rows as f64));
            }
            let amplification = written.amplification(&environment);
            let labels = vec![("environment", environment.to_string())];
            samples.push(Sample::new(Metric::WriteAmplification, labels, amplification));
            let stats = self.store.stats(&environment);
            let labels = || vec![("environment", environment.to_string())];
            samples.push(Sample::new(Metric::HeadRows, labels(), stats.head_rows as f64));
            samples.push(Sample::new(Metric::HeadBytes, labels(), stats.head_bytes as f64));
            samples.push(Sample::new(Metric::Segments, labels(), stats.segments as f64));
            let mut of_segments = labels();
            of_segments.push(("kind", "segments".to_owned()));
            samples.push(Sample::new(Metric::StorageBytes, of_segments, stats.segment_bytes as f64));
        }
        samples
    }
}
