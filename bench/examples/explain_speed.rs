//! Times explanations by the engine alone, without a server, over the segments that the example engine_shapes writes.
//!
//! `cargo run --release -p skein-bench --example explain_speed [-- DIRECTORY ROUNDS]`. Of each question: the median of
//! all rounds but the first, and of each pass of it. Ratios between two builds say something; the figures alone depend
//! on the machine.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde_json::{Value, json};
use skein_analysis::explain::{Explanation, explain};
use skein_engine::{NativeEngine, SnapshotView, Snapshots};
use skein_event::ids::Environment;
use skein_event::observe::Clock;
use skein_query::explain::{Clusters, Condition, Counts, Overlaps, Passes};
use skein_query::{QueryEngine as _, QueryError, RunContext};
use skein_store::Segments;
use skein_store::segment::{Segment, UnpackedCache};

/// That of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Shelf(Segments);

impl Snapshots for Shelf {
    fn snapshot(&self, _environment: &Environment, now_ns: i64) -> Result<SnapshotView, QueryError> {
        Ok(SnapshotView {
            segments: self.0.clone(),
            complete_to_ns: now_ns,
            name: "shelf".to_owned(),
            damaged: Vec::new(),
            lease: None,
        })
    }
}

struct NoClock;

impl Clock for NoClock {
    fn now_ns(&self) -> i64 {
        0
    }
}

/// Times each pass.
struct Timed<'p> {
    passes: &'p mut dyn Passes,
    seconds: [f64; 3],
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads a clock")]
fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let done = work();
    *seconds += begin.elapsed().as_secs_f64();
    done
}

impl Passes for Timed<'_> {
    fn counts(&mut self) -> Result<Counts, QueryError> {
        timed(&mut self.seconds[0], || self.passes.counts())
    }

    fn clusters(&mut self, conditions: &[Condition]) -> Result<Clusters, QueryError> {
        timed(&mut self.seconds[1], || self.passes.clusters(conditions))
    }

    fn overlaps(
        &mut self,
        conditions: &[Condition],
        pairs: &[(usize, usize)],
    ) -> Result<Overlaps, QueryError> {
        timed(&mut self.seconds[2], || self.passes.overlaps(conditions, pairs))
    }

    fn value(&mut self, column: usize, key: u64) -> Result<Option<skein_event::value::Value>, QueryError> {
        self.passes.value(column, key)
    }
}

const START_S: i64 = 1_767_247_200;

fn questions() -> Vec<(&'static str, Value)> {
    let times = |mut side: Value| {
        side["start_time"] = json!(START_S - 3_600);
        side["end_time"] = json!(START_S + 7 * 3_600);
        side
    };
    let service = json!({"column": "service.name", "op": "=", "value": "checkout"});
    let slow = json!({"column": "duration_ms", "op": ">=", "value": 200});
    vec![
        (
            "slow of a service against its others",
            json!({"selection": times(json!({"filters": [service, slow]})), "baseline": times(json!({"filters": [service]}))}),
        ),
        ("slow against all others", json!({"selection": times(json!({"filters": [slow]}))})),
        (
            "errors against all others",
            json!({"selection": times(json!({"filters": [{"column": "error", "op": "=", "value": true}]}))}),
        ),
        (
            "a rectangle of a heatmap",
            json!({"selection": times(json!({"filters": [], "rect": {"column": "duration_ms", "lo": 500,
                "start_time": START_S, "end_time": START_S + 3_600}}))}),
        ),
    ]
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default() * 1e3
}

#[expect(clippy::print_stdout, reason = "a measurement prints")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| "target/engine_shapes".to_owned());
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let mut paths: Vec<_> = std::fs::read_dir(Path::new(&directory))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    let cache = Arc::new(UnpackedCache::new(64 << 20));
    let open = |path| Segment::open_file(path).map(|segment| Arc::new(segment.kept_in(&cache)));
    let segments = paths.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>()?;
    let rows: u64 = segments.iter().map(|segment| u64::from(segment.rows())).sum();
    println!("{rows} rows in {} segments", segments.len());
    let engine = NativeEngine::new(Arc::new(Shelf(Segments::loaded(segments))));
    let cancelled = AtomicBool::new(false);
    let context = RunContext {
        clock: &NoClock,
        cancelled: &cancelled,
        progress: &|_| {},
        partial: None,
        deadline_ns: None,
        memory_bytes_max: 4 << 30,
    };
    for (name, request) in questions() {
        let plan = skein_query::spec::explain(&request, &Environment::default_environment(), 0)?;
        let mut seconds: [Vec<f64>; 4] = [const { Vec::new() }; 4];
        let (mut columns, mut found) = (0, Explanation::default());
        for _ in 0..=rounds {
            let mut all = 0.0;
            let mut of_passes = [0.0; 3];
            timed(&mut all, || {
                engine.explain(&plan, &context, &mut |passes| {
                    let mut timed = Timed { passes, seconds: [0.0; 3] };
                    found = explain(&mut timed, plan.limit)?;
                    of_passes = timed.seconds;
                    Ok(())
                })
            })?;
            columns = columns.max(found.tested);
            for (seconds, of) in seconds.iter_mut().zip(std::iter::once(all).chain(of_passes)) {
                seconds.push(of);
            }
        }
        let first = seconds[0].first().copied().unwrap_or_default() * 1e3;
        let [all, counts, sums, meetings] = seconds.map(|mut of| median(of.get_mut(1..).unwrap_or_default()));
        println!(
            "{name:38} {all:9.1} ms (counts {counts:.1}, sums {sums:.1}, meetings {meetings:.1})  first {first:9.1}  \
             {:?} rows, {} statements, {} findings, best {:?}",
            found.total.rows,
            found.tested,
            found.findings.len(),
            found.findings.first().map(|finding| (&finding.terms, finding.difference.share)),
        );
    }
    Ok(())
}
