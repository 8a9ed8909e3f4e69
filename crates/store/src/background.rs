//! The store's own threads: one seals head blocks, so that memory stays small while a flush runs; one flushes;
//! one replaces files, for retention, erasure and compaction, in this order. Everything they do can be called by
//! hand, which is how a simulation runs the store.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::compaction::Closing;
use crate::error::{Error, ErrorKind};
use crate::flush::Prepared;
use crate::store::{Inner, Store};

/// How long the flushing thread sleeps when nothing wakes it: age is looked at this often.
const IDLE: Duration = Duration::from_millis(500);

/// How long the thread that replaces files sleeps when there was nothing to do and no flush wakes it: windows
/// close and events expire by the clock alone.
const IDLE_MAINTENANCE: Duration = Duration::from_secs(5);

/// What has expired is looked for this often.
const RETENTION_INTERVAL_NS: i64 = 60 * 1_000_000_000;

/// How long a thread waits after a failure: a full disk or a locked catalog is not helped by haste.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// The running threads. [`Background::stop`] ends them.
pub struct Background {
    store: Store,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Store {
    /// Encodes the head blocks that are large enough, so that they take less memory. Returns whether there
    /// was any.
    pub fn seal(&self) -> Result<bool, Error> {
        self.inner.seal()
    }

    /// Makes one summary that `footers.cat` lacks, or writes the file anew when half of it is dead. Returns whether there
    /// was anything to do.
    pub fn keep_footers(&self) -> Result<bool, Error> {
        self.inner.keep_footers()
    }

    /// Does the next piece of what keeps files few, and free of what is to go: of retention, of erasure, of
    /// compaction. Returns whether there was any.
    pub fn maintain(&self) -> Result<bool, Error> {
        // One after another, and each whatever became of the others: neither a large erasure nor a file that cannot
        // be rewritten keeps merging from keeping up.
        let outcomes = [self.retain_when_due(), self.erase_next(), self.merge_when_due()];
        let mut worked = false;
        for outcome in outcomes {
            worked |= outcome?;
        }
        Ok(worked)
    }

    fn retain_when_due(&self) -> Result<bool, Error> {
        let now_ns = self.inner.clock.now_ns();
        let retained_ns = self.inner.state().retained_ns;
        if now_ns.saturating_sub(retained_ns) < RETENTION_INTERVAL_NS {
            return Ok(false);
        }
        let retained = self.retain_next()?;
        if !retained {
            self.inner.state().retained_ns = now_ns;
        }
        Ok(retained)
    }

    fn merge_when_due(&self) -> Result<bool, Error> {
        if !self.inner.state().settling {
            return self.compact();
        }
        self.flush_all()?;
        let merged = self.compact_as(Closing::All)?;
        self.inner.state().settling = merged;
        Ok(merged)
    }

    /// Asks for everything to be flushed and merged now, whatever its window: for measurements, and before a
    /// backup. The work is done by the store's threads.
    pub fn settle(&self) {
        self.inner.state().settling = true;
        self.inner.to_maintain.notify_all();
    }

    /// Whether somebody asked for everything to be merged, and it is not yet.
    pub fn is_settling(&self) -> bool {
        self.inner.state().settling
    }

    /// Starts the store's threads.
    pub fn start(&self) -> Result<Background, Error> {
        {
            let mut state = self.inner.state();
            Inner::close_replayed(&mut state);
            state.running = true;
            state.stopping = false;
        }
        type Work = fn(&Store) -> Result<bool, Error>;
        let spawn = |name: &str, wake: fn(&Inner) -> &Condvar, pauses: (Duration, Duration), work: Work| {
            let store = self.clone();
            let thread = std::thread::Builder::new().name(name.to_owned());
            let failed =
                |error| Error::with_source(ErrorKind::Io, "a thread of the store cannot start", error);
            thread
                .spawn(move || store.inner.repeat(wake(&store.inner), pauses, || work(&store)))
                .map_err(failed)
        };
        let threads = vec![
            spawn("skein-seal", |inner| &inner.to_seal, (IDLE, IDLE), Store::seal)?,
            spawn(
                "skein-flush",
                |inner| &inner.to_flush,
                (IDLE, IDLE),
                |store| {
                    let flushed = store.flush_due()? > 0;
                    store.inner.collect_garbage();
                    store.close_idle_files();
                    Ok(flushed || store.keep_footers()?)
                },
            )?,
            // What a merge took is given back at once: the next one is minutes away.
            spawn(
                "skein-maintain",
                |inner| &inner.to_maintain,
                (Duration::ZERO, IDLE_MAINTENANCE),
                Store::maintain,
            )?,
        ];
        Ok(Background { store: self.clone(), threads: Mutex::new(threads) })
    }
}

impl Background {
    /// Ends the threads, then flushes what is left. On `Err` the log still has it.
    pub fn stop(&self) -> Result<(), Error> {
        self.store.inner.stop();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                return Err(Error::new(ErrorKind::Io, "a thread of the store ended by a panic"));
            }
        }
        self.store.flush_all()?;
        // Only the next start would notice: it makes anew what is missing.
        while self.store.keep_footers().unwrap_or_default() {}
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.store.inner.stop();
    }
}

impl Inner {
    fn stop(self: &Arc<Self>) {
        self.state().stopping = true;
        self.to_seal.notify_all();
        self.to_flush.notify_all();
        self.to_maintain.notify_all();
        self.room.notify_all();
    }

    /// Works until told to stop; sleeps when there was nothing to do, and gives memory back when it was `calm` for as
    /// long after work. Failures were observed where they
    /// happened; here they only slow the thread down.
    fn repeat(
        &self,
        wake: &Condvar,
        (calm, idle): (Duration, Duration),
        work: impl Fn() -> Result<bool, Error>,
    ) {
        let mut has_worked = false;
        loop {
            let outcome = work();
            let pause = match outcome {
                Ok(true) => {
                    has_worked = true;
                    Duration::ZERO
                }
                Ok(false) if has_worked => calm,
                Ok(false) => idle,
                Err(_) => AFTER_FAILURE,
            };
            let state = self.state();
            if state.stopping {
                return;
            }
            let mut is_calm = pause.is_zero();
            if !pause.is_zero() {
                let (state, waited) = wake.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner);
                if state.stopping {
                    return;
                }
                is_calm = waited.timed_out();
            } else {
                drop(state);
            }
            // Nobody has called for so long: what this thread freed is not needed soon.
            if matches!(outcome, Ok(false)) && is_calm && std::mem::take(&mut has_worked) {
                (self.config.release_memory.0)();
            }
        }
    }
}

impl Inner {
    /// Puts the summaries of new segments into `footers.cat`.
    pub(crate) fn keep_summaries(&self, prepared: &Prepared) {
        let known = prepared.files.iter().filter_map(|file| {
            let summary = file.handle.known_summary()?;
            Some((Arc::clone(&file.handle), summary))
        });
        self.footers.remove(prepared.commit.remove.iter());
        if let Err(error) = self.footers.append(&known.collect::<Vec<_>>()) {
            tracing::warn!(%error, "footers.cat could not be written; it is made anew later");
        }
    }

    /// Makes one summary that is missing, or writes `footers.cat` anew when it should be. Returns whether there was
    /// anything to do.
    pub(crate) fn keep_footers(&self) -> Result<bool, Error> {
        let _writing = self.begin_writing()?;
        let handles: Vec<_> = self.state().files.iter().map(|file| Arc::clone(&file.handle)).collect();
        let missing = handles.iter().find(|handle| handle.known_summary().is_none() && !handle.has_failed());
        if let Some(handle) = missing {
            // One that cannot be read is set aside, and serves no more.
            if let Ok(summary) = handle.summarize() {
                self.footers.append(&[(Arc::clone(handle), summary)])?;
            }
            return Ok(true);
        }
        if self.footers.wants_rewrite(handles.len()) {
            self.footers.rewrite(&handles)?;
            return Ok(true);
        }
        self.footers.map_appended()?;
        Ok(false)
    }
}
