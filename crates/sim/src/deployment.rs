//! The whole storage on real files, without network: log, store and engine in one folder, opened, flushed,
//! compacted, dropped without warning and opened again.
//!
//! What it adds to [`crate::subject`]: records that went through the log's bytes, heads that are half in
//! segments, recovery. What a real crash does to files is the simulated disk's business, not this one's.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use serde_json::Value as Json;
use skein_engine::{FilterMatcher, NativeEngine, SnapshotView, Snapshots};
use skein_event::flow::{Append, Appended, BatchKey, EventSink as _};
use skein_event::ids::{Environment, Offset};
use skein_event::observe::{Clock, Unobserved};
use skein_log::disk::{Disk, RealDisk};
use skein_log::{Follower, Log, LogConfig};
use skein_query::{QueryEngine, QueryError, render};
use skein_store::catalog::SqliteCatalog;
use skein_store::{Closing, Store, StoreConfig, Surroundings};

use crate::random::data::{ARRIVAL_NS, Request};
use crate::subject::{HASH_KEY, PARTITIONS, Still, ask, decode};

/// An open deployment.
pub struct Deployment {
    folder: PathBuf,
    log: Arc<Log>,
    store: Store,
    engine: NativeEngine,
}

/// The store as the engine sees it.
struct Shelf(Store);

impl Snapshots for Shelf {
    fn snapshot(&self, environment: &Environment, _now_ns: i64) -> Result<SnapshotView, QueryError> {
        let snapshot =
            self.0.snapshot(environment).map_err(|error| QueryError::internal(error.to_string()))?;
        Ok(SnapshotView {
            segments: snapshot.segments.clone(),
            complete_to_ns: snapshot.complete_to_ns,
            name: snapshot.id.to_string(),
            damaged: Vec::new(),
            lease: Some(Box::new(snapshot)),
        })
    }
}

impl Deployment {
    /// Opens what is in a folder; an empty one is a new deployment. An error is a sentence for the failing
    /// test.
    pub fn open(folder: &Path) -> Result<Deployment, String> {
        let clock: Arc<dyn Clock> = Arc::new(Still(ARRIVAL_NS));
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let catalog =
            SqliteCatalog::open(&folder.join("catalog.sqlite")).map_err(|error| error.to_string())?;
        let surroundings = Surroundings {
            disk: Arc::clone(&disk),
            catalog: Arc::new(catalog),
            clock: Arc::clone(&clock),
            observer: Arc::new(Unobserved),
        };
        let config = StoreConfig::new(folder.to_owned(), PARTITIONS, HASH_KEY);
        let store = Store::open(config, surroundings).map_err(|error| error.to_string())?;
        store.attach_matcher(Arc::new(FilterMatcher));
        let low: Vec<Offset> = store.watermarks().into_iter().map(|(_, offset)| offset).collect();
        let config = LogConfig { partitions: PARTITIONS, ..LogConfig::new(folder.to_owned(), HASH_KEY) };
        let follower: Arc<dyn Follower> = Arc::new(store.clone());
        let log = Arc::new(Log::open(config, disk, clock, low, follower).map_err(|error| error.to_string())?);
        let trimmed = Arc::downgrade(&log);
        store.attach_log(Arc::new(move |partition, below| {
            // What is not trimmed now is at the next commit.
            if let Some(log) = trimmed.upgrade() {
                drop(log.trim(partition, below));
            }
        }));
        let engine = NativeEngine::new(Arc::new(Shelf(store.clone())));
        Ok(Deployment { folder: folder.to_owned(), log, store, engine })
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Ends as a server does: what is in the heads becomes segments, and the log's keys are kept.
    pub fn stop(self) -> Result<(), String> {
        self.log.close();
        self.flush()?;
        self.log.checkpoint().map_err(|error| error.to_string())
    }

    /// Drops everything that is open, without a flush, and opens the folder again.
    pub fn reopen(self) -> Result<Deployment, String> {
        let Deployment { folder, log, store, engine } = self;
        drop((log, engine, store));
        Deployment::open(&folder)
    }

    /// Takes a request through the door into the log, under a key.
    pub fn append(
        &self,
        environment: &Environment,
        request: &Request,
        json: bool,
        key: BatchKey,
    ) -> Result<Appended, String> {
        let batch = decode(request, json)?;
        let append = Append { environment: environment.clone(), key, batch, reply: Vec::new() };
        wait(self.log.append(append)).map_err(|error| error.to_string())
    }

    /// Writes the heads into segment files.
    pub fn flush(&self) -> Result<(), String> {
        self.store.flush_all().map_err(|error| error.to_string())
    }

    /// Merges small files as long as there is something to merge.
    pub fn compact(&self) -> Result<(), String> {
        while self.store.compact_as(Closing::All).map_err(|error| error.to_string())? {}
        Ok(())
    }

    /// Erases the older events that a filter of the builder language matches.
    pub fn erase(&self, environment: &Environment, filter: &Json) -> Result<(), String> {
        let filter = Arc::from(filter.to_string());
        let erased = wait(self.log.erase(environment.clone(), 1, filter));
        erased.map(drop).map_err(|error| error.to_string())
    }

    /// Rewrites files as long as they hold what was erased.
    pub fn carry_erasures_out(&self) -> Result<(), String> {
        while self.store.erase_next().map_err(|error| error.to_string())? {}
        Ok(())
    }

    /// The engine, for questions of other forms.
    pub fn engine(&self) -> &dyn QueryEngine {
        &self.engine
    }

    /// Answers a specification as CONTRACT writes it.
    pub fn data(&self, environment: &Environment, spec: &Json) -> Result<Json, QueryError> {
        ask(&self.engine, environment, spec).map(|result| render::data(&result))
    }
}

/// Waits for a future on this thread: all the runtime that the log needs.
fn wait<T>(mut future: Pin<Box<dyn Future<Output = T> + Send + '_>>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park(),
        }
    }
}
