//! The options of the event generator (CONTRACT.md, "Benchmarks"), so that unseen data can be made.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use anyhow::Context as _;
use clap::Args;
use skein_event::EventBatch;
use skein_event::hash::HashKey;
use skein_ingest::{DoorContext, Signal, decode_protobuf};
use skein_workload::narrow::NarrowConfig;
use skein_workload::wide::{Wide, WideConfig};

use crate::clock;
use crate::template::{self, Template};

/// The hash key of batches that no server decodes.
pub(crate) const KEY: HashKey = HashKey(0x5ce1_0000_0000_0001);

/// Threads that decode; the machine of the goals has two cores.
const THREADS: usize = 2;

/// Decoded requests that wait to be taken, per thread.
const WAITING_MAX: usize = 4;

#[derive(Args, Debug, Clone)]
pub(crate) struct Data {
    /// Seed of the generated events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Events in all.
    #[arg(long, default_value_t = 10_000_000)]
    pub(crate) rows: usize,
    /// Attribute columns over all events.
    #[arg(long, default_value_t = 500)]
    columns: usize,
    /// Fraction of its dataset's columns that an event fills.
    #[arg(long, default_value_t = 0.8)]
    filled: f64,
    /// Skew of values: 0 is none.
    #[arg(long, default_value_t = 1.0)]
    skew: f64,
    /// Services; one of them is the wide one.
    #[arg(long, default_value_t = 30)]
    datasets: usize,
}

impl Data {
    /// What the generator is told.
    pub(crate) fn wide(&self) -> WideConfig {
        WideConfig {
            seed: self.seed,
            rows: self.rows,
            columns: self.columns,
            filled: self.filled,
            skew: self.skew,
            datasets: self.datasets,
            ..WideConfig::default()
        }
    }

    /// What was asked for, in a sentence.
    pub(crate) fn sentence(&self) -> String {
        format!(
            "{} events (seed {}) of {} columns over {} datasets, share filled {}, skew {}",
            self.rows, self.seed, self.columns, self.datasets, self.filled, self.skew
        )
    }
}

/// Requests of narrow spans that can be replayed: a hundred of a thousand spans each, whose time ends now.
pub(crate) fn narrow_templates() -> anyhow::Result<Vec<Template>> {
    let defaults = NarrowConfig::default();
    let config =
        NarrowConfig { rows: 100_000, start_ns: clock::epoch_ns() - defaults.duration_ns, ..defaults };
    template::generate(&config).context("generating events")
}

/// The batches of one request, as the door delivers them: spans, then log records.
pub(crate) fn decode(wide: &Wide, index: usize) -> anyhow::Result<Vec<EventBatch>> {
    let request = wide.request(index);
    let mut batches = Vec::new();
    for (signal, body) in [(Signal::Traces, &request.traces), (Signal::Logs, &request.logs)] {
        if body.is_empty() {
            continue;
        }
        let context = DoorContext { hash_key: KEY, arrival_ns: clock::epoch_ns() };
        let decoded = decode_protobuf(signal, body, &context).context("a generated request")?;
        anyhow::ensure!(decoded.rejected.total() == 0, "a generated record was rejected");
        batches.push(decoded.batch);
    }
    Ok(batches)
}

/// Decodes requests on two threads and hands them over in their order, until `take` returns false.
pub(crate) fn decode_in_order(
    wide: &Wide,
    mut take: impl FnMut(Vec<EventBatch>) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let (stopping, failed) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let mut receivers = Vec::new();
        for thread in 0..THREADS {
            let (sender, receiver) = mpsc::sync_channel(WAITING_MAX);
            receivers.push(receiver);
            let (stopping, failed) = (&stopping, &failed);
            scope.spawn(move || {
                for index in (thread..wide.requests()).step_by(THREADS) {
                    let decoded = decode(wide, index);
                    failed.fetch_add(usize::from(decoded.is_err()), Ordering::Relaxed);
                    // The receiver is gone when it wants no more.
                    if stopping.load(Ordering::Relaxed) || sender.send(decoded).is_err() {
                        return;
                    }
                }
            });
        }
        for index in 0..wide.requests() {
            let Ok(decoded) = receivers[index % THREADS].recv() else { break };
            if !take(decoded?)? {
                break;
            }
        }
        stopping.store(true, Ordering::Relaxed);
        drop(receivers);
        anyhow::ensure!(failed.load(Ordering::Relaxed) == 0, "a generated request could not be decoded");
        Ok(())
    })
}
