//! How often an event is written: hours of arrival in minutes, on a clock that is set. Windows of compaction close
//! while events arrive; what is counted are the bytes of segment files that the store itself counts.
//!
//! One partition of eight is simulated, with an eighth of the rate: partitions share no file.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Context as _;
use clap::Args;
use skein_event::flow::BatchKey;
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::limits::PARTITIONS_LOCAL;
use skein_event::observe::{Clock, Unobserved};
use skein_ingest::{DoorContext, Signal, decode_protobuf};
use skein_log::disk::RealDisk;
use skein_log::{DurableRecord, Follower as _};
use skein_store::catalog::MemoryCatalog;
use skein_store::{Closing, Store, StoreConfig, Surroundings, Work};

use crate::data::{KEY, narrow_templates};
use crate::process::ServerOptions;
use crate::report::{Figure, Report, precise, progress, show};
use crate::template::Template;

const SECOND_NS: i64 = 1_000_000_000;
/// 2026-01-01, 06:00 UTC: the day's window stays open.
const START_NS: i64 = 1_767_247_200 * SECOND_NS;

#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// Spans per second that arrive in the simulated time.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000])]
    amplify_rates: Vec<u64>,
    /// Simulated minutes.
    #[arg(long, default_value_t = 65)]
    amplify_minutes: u64,
}

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    server: ServerOptions,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        show(&measure(&self.options, &self.server)?);
        Ok(())
    }
}

const NOTES: &str = "A store without its server, under a clock that is set: narrow spans (25 attributes) arrive for \
    the simulated time in one partition at an eighth of the rate, heads are flushed after a minute, windows of ten \
    minutes and of an hour close and are merged while more arrives. `_day` is after the day's window has closed, too.";

/// The part of `make bench`.
pub(crate) fn part(report: &mut Report, options: &Options, server: &ServerOptions) -> anyhow::Result<()> {
    let figures = report.timed("amplification", || measure(options, server))?;
    report.add("Write amplification", NOTES, figures);
    Ok(())
}

/// The figures of every rate.
fn measure(options: &Options, server: &ServerOptions) -> anyhow::Result<Vec<Figure>> {
    let templates = narrow_templates()?;
    let mut figures = Vec::new();
    for &rate in &options.amplify_rates {
        let folder = server.scratch.join("amplify");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        figures.extend(simulate(&templates, rate, options.amplify_minutes, folder.clone())?);
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(figures)
}

/// A clock that is set.
#[derive(Debug)]
struct Simulated(AtomicI64);

impl Clock for Simulated {
    fn now_ns(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

fn simulate(
    templates: &[Template],
    rate: u64,
    minutes: u64,
    data_directory: PathBuf,
) -> anyhow::Result<Vec<Figure>> {
    let clock = Arc::new(Simulated(AtomicI64::new(START_NS)));
    let surroundings = Surroundings {
        disk: Arc::new(RealDisk),
        catalog: Arc::new(MemoryCatalog::default()),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        observer: Arc::new(Unobserved),
    };
    let store = Store::open(StoreConfig::new(data_directory, 1, KEY), surroundings)?;
    let environment = Environment::default_environment();
    let of_partition = (rate / u64::from(PARTITIONS_LOCAL)).max(1);
    let (end_ns, mut body, mut rows) = (i64::try_from(minutes)? * 60 * SECOND_NS, Vec::new(), 0_u64);
    for (number, template) in (0_u64..).zip(templates.iter().cycle()) {
        let after_ns = i64::try_from(rows * 1_000 / of_partition)?.saturating_mul(SECOND_NS / 1_000);
        if after_ns >= end_ns {
            break;
        }
        let now_ns = START_NS + after_ns;
        clock.0.store(now_ns, Ordering::SeqCst);
        template.replay(number, now_ns - template.start_ns(), &mut body);
        let context = DoorContext { hash_key: KEY, arrival_ns: now_ns };
        let batch = decode_protobuf(Signal::Traces, &body, &context).context("a generated request")?.batch;
        rows += batch.rows() as u64;
        store.apply(vec![DurableRecord {
            environment: environment.clone(),
            partition: Partition(0),
            offset: Offset(number),
            append_time_ns: now_ns,
            key: BatchKey::Unique(u128::from(number)),
            batch: Arc::new(batch),
            erasure: None,
        }]);
        store.flush_due()?;
        while store.compact()? {}
    }
    let mut figures = Vec::new();
    let mut note = |name: &str, unit: &'static str, value: f64| {
        figures.push(Figure::new(format!("amplify_{rate}_{name}"), unit, value));
    };
    let written = store.written();
    note("spans", "spans in the partition", precise(rows));
    note("hour", "bytes written per byte flushed", written.amplification(&environment));
    note("hour_rows", "rows written per row flushed", rewritten(&store, &environment));
    note("hour_files", "files", precise(store.stats(&environment).segments));
    store.flush_all()?;
    while store.compact_as(Closing::All)? {}
    note("day", "bytes written per byte flushed", store.written().amplification(&environment));
    note("day_files", "files", precise(store.stats(&environment).segments));
    progress(&format!("{rate} spans/s: {rows} spans"));
    Ok(figures)
}

fn rewritten(store: &Store, environment: &Environment) -> f64 {
    let written = store.written();
    let all: u64 = Work::ALL.into_iter().map(|work| written.of(environment, work).rows).sum();
    precise(all) / precise(written.of(environment, Work::Flush).rows.max(1))
}
