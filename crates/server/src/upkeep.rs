//! Upkeep of a data directory: the thread that watches the disk of a running server, and what the command line does to
//! a directory without one.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use skein_engine::FilterMatcher;
use skein_event::observe::{Clock as _, Unobserved};
use skein_log::Log;
use skein_log::disk::RealDisk;
use skein_store::catalog::SqliteCatalog;
use skein_store::{DataDirectory, Readers, SpaceGuard, Store, StoreConfig, Surroundings};

pub use skein_store::upkeep::{
    BackupOptions, BackupReport, Checked, Cure, DoctorReport, Progress, Remark, Report, RestoreReport,
    Severity, Step,
};
pub use skein_store::{Error, ErrorKind, RewriteReport};

use crate::clock::SystemClock;

/// How often the room on the disk is looked at: a full load takes some 100 MB of it meanwhile.
const LOOK_AT_SPACE: Duration = Duration::from_millis(500);

/// And the age of the log, in looks: files go by the hour.
const LOOKS_PER_EXPIRY: u32 = 120;

/// The thread that watches.
pub(crate) struct Upkeep {
    stop: mpsc::Sender<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Upkeep {
    pub(crate) fn start(guard: SpaceGuard, log: Arc<Log>, readers: Arc<Readers>) -> anyhow::Result<Upkeep> {
        let (stop, stopped) = mpsc::channel();
        let watch = move || {
            let mut looks = 0_u32;
            while stopped.recv_timeout(LOOK_AT_SPACE) == Err(RecvTimeoutError::Timeout) {
                if let Err(error) = guard.check() {
                    tracing::warn!(%error, "the disk could not be looked at");
                }
                looks = looks.wrapping_add(1);
                if looks.is_multiple_of(LOOKS_PER_EXPIRY)
                    && let Some(_alone) = readers.keep_out()
                    && let Err(error) = log.expire()
                {
                    tracing::warn!(%error, "old files of the log could not be deleted");
                }
            }
        };
        let thread = std::thread::Builder::new().name("skein-space".to_owned()).spawn(watch);
        Ok(Upkeep {
            stop,
            thread: Mutex::new(Some(thread.context("the thread that watches the disk cannot start")?)),
        })
    }

    pub(crate) fn stop(&self) {
        if self.stop.send(()).is_err() {
            tracing::debug!("the thread that watches the disk had ended");
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that watches the disk ended by a panic");
        }
    }
}

/// Checks a data directory, or a backup, against itself.
pub fn verify(path: &Path, progress: Progress<'_>) -> Result<Report, Error> {
    if skein_store::upkeep::is_backup(&RealDisk, path) {
        return skein_store::upkeep::check_backup(&RealDisk, path, progress);
    }
    skein_store::upkeep::verify(path, Some(Arc::new(FilterMatcher)), progress)
}

/// Backs a data directory up.
pub fn backup(path: &Path, target: &Path, copy: bool, progress: Progress<'_>) -> Result<BackupReport, Error> {
    let options = BackupOptions { copy, now_ns: SystemClock.now_ns() };
    skein_store::upkeep::backup(path, target, &RealDisk, options, progress)
}

/// Puts a backup back.
pub fn restore(backup: &Path, path: &Path, progress: Progress<'_>) -> Result<RestoreReport, Error> {
    skein_store::upkeep::restore(backup, path, &RealDisk, progress)
}

/// Examines or cures a data directory.
pub fn doctor(path: &Path, cure: Cure, progress: Progress<'_>) -> Result<DoctorReport, Error> {
    skein_store::upkeep::doctor(path, cure, Some(Arc::new(FilterMatcher)), progress)
}

/// Writes segments of older formats in today's; no server may be running.
pub fn rewrite(path: &Path, progress: Progress<'_>) -> Result<RewriteReport, Error> {
    let directory = DataDirectory::open_existing(path)?;
    let config = StoreConfig::new(path.to_owned(), directory.partitions(), directory.hash_key());
    let surroundings = Surroundings {
        disk: Arc::new(RealDisk),
        catalog: Arc::new(SqliteCatalog::open(&path.join("catalog.sqlite"))?),
        clock: Arc::new(SystemClock),
        observer: Arc::new(Unobserved),
    };
    let store = Store::open(config, surroundings)?;
    let mut before = 0;
    store.rewrite_old(&mut |done, total| {
        progress(Step { what: "segments", done: done - before, total });
        before = done;
    })
}
