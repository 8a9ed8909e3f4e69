//! One look at a data directory: what is measured before and after its events are multiplied.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use skein_event::ids::Environment;
use skein_store::copies::TraceCopies;
use skein_store::segment::Segment;

use crate::feed::Fed;
use crate::http::Connection;
use crate::process::ServerOptions;
use crate::questions::ask;
use crate::report::{Figure, precise, quantile};
use crate::{clock, traces};

/// Times that each is asked; the median counts.
const ROUNDS: usize = 15;
/// Starts of a server; the median counts.
const STARTS: usize = 5;
/// A dataset of the narrow spans: few segments have it.
const RARE: &str = "service-000";
const DAY_S: i64 = 24 * 3_600;

/// What is looked at.
pub(super) struct Place<'a> {
    pub(super) server: &'a ServerOptions,
    pub(super) environment: &'a Environment,
    pub(super) fed: &'a Fed,
    /// Of the original events, in seconds.
    pub(super) times: (i64, i64),
    /// Including the original.
    pub(super) copies: u32,
}

/// Figures by name.
#[derive(Default)]
pub(super) struct Look {
    pub(super) figures: Vec<(&'static str, &'static str, f64)>,
    pub(super) copies: u32,
}

impl Look {
    fn note(&mut self, name: &'static str, unit: &'static str, value: f64) {
        self.figures.push((name, unit, value));
    }

    /// What is not to grow. Memory of mapped files does, and the first touch of a file is paid for each file.
    pub(super) fn is_goal(name: &str) -> bool {
        !name.starts_with("memory") && !name.starts_with("trace_first")
    }
}

impl Place<'_> {
    pub(super) fn look(&self) -> anyhow::Result<Look> {
        let mut look = Look { copies: self.copies, ..Look::default() };
        let mut restarts = Vec::new();
        // The first start after files were added is not measured.
        self.server.start()?.stop()?;
        for _ in 0..STARTS {
            let server = self.server.start()?;
            restarts.push(server.ready_after.as_secs_f64() * 1e3);
            server.stop()?;
        }
        look.note("restart", "ms", quantile(&restarts, 0.5));
        let server = self.server.start()?;
        look.note("memory_after_restart", "MiB", server.memory_mib()?.own);
        let mut connection = Connection::open(&server.http)?;
        self.listings(&mut connection, &mut look)?;
        self.pruned(&mut connection, &mut look)?;
        self.traces(&mut connection, &mut look)?;
        let memory = server.memory_mib()?;
        look.note("memory_own", "MiB", memory.own);
        look.note("memory_mapped", "MiB", memory.resident - memory.own);
        server.stop()?;
        Ok(look)
    }

    fn listings(&self, connection: &mut Connection, look: &mut Look) -> anyhow::Result<()> {
        let (first, dataset) = list(connection)?;
        look.note("columns_first", "ms", first);
        let path = format!("/api/v1/datasets/{dataset}/columns");
        look.note("columns", "ms", median(ROUNDS, || get(connection, &path).map(|answer| answer.0))?);
        look.note(
            "datasets",
            "ms",
            median(ROUNDS, || get(connection, "/api/v1/datasets").map(|answer| answer.0))?,
        );
        Ok(())
    }

    fn pruned(&self, connection: &mut Connection, look: &mut Look) -> anyhow::Result<()> {
        let by_service = json!({"calculations": [{"op": "COUNT"}, {"op": "P99", "column": "duration_ms"}],
                                "breakdowns": ["service.name"], "limit": 1_000});
        // Of the copy in the middle; of the original when there is no other.
        let shift = i64::from(self.copies / 2) * DAY_S;
        let (start, end) = (self.times.0 - shift, self.times.1 - shift);
        let middle = start.midpoint(end);
        let timed = |connection: &mut Connection, spec: &Value, times| {
            median(ROUNDS, || {
                let begin = clock::now();
                ask(connection, spec, times)?;
                Ok(begin.elapsed().as_secs_f64() * 1e3)
            })
        };
        look.note("ten_minutes", "ms", timed(connection, &by_service, (middle, middle + 600))?);
        look.note("one_copy", "ms", timed(connection, &by_service, (start, end))?);
        let mut rare = by_service;
        rare["datasets"] = json!([RARE]);
        let first = self.times.0 - i64::from(self.copies) * DAY_S;
        let all = (first, clock::epoch_ns() / 1_000_000_000 + 3_600);
        look.note("rare_dataset", "ms", timed(connection, &rare, all)?);
        let found = ask(connection, &rare, all)?["data"]["results"].as_array().map_or(0, Vec::len);
        ensure!(found == 1, "{found} services of the dataset {RARE}");
        Ok(())
    }

    /// Traces spread over the copies; the second time counts.
    fn traces(&self, connection: &mut Connection, look: &mut Look) -> anyhow::Result<()> {
        let data = self.server.data();
        let ids = TraceCopies::of(&data, self.environment)?;
        let of_copy = |(number, id): (usize, &[u8; 16])| {
            let copy = u32::try_from(number * 7_919 % self.copies as usize).unwrap_or_default();
            ids.id(id, copy)
        };
        let wanted: Vec<[u8; 16]> = self.fed.traces.iter().enumerate().map(of_copy).collect();
        ensure!(!wanted.is_empty(), "no traces were fed");
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for id in &wanted {
            first.push(traces::ask(connection, id)?.0);
        }
        for _ in 0..3 {
            for id in &wanted {
                second.push(traces::ask(connection, id)?.0);
            }
        }
        look.note("trace_first_time_p50", "ms", quantile(&first, 0.50));
        look.note("trace_p50", "ms", quantile(&second, 0.50));
        look.note("trace_p99", "ms", quantile(&second, 0.99));
        // What it costs to find out that there is none: filters alone.
        let absent: Vec<[u8; 16]> = wanted.iter().map(|id| id.map(|byte| byte ^ 0x5a)).collect();
        let mut none = Vec::new();
        for id in absent.iter().chain(&absent) {
            let path = format!("/api/v1/traces/{}", skein_event::ids::encode_hex(id));
            let begin = clock::now();
            let response = connection.get(&path)?;
            ensure!(response.status == 404, "{path}: {}", response.status);
            none.push(begin.elapsed().as_secs_f64() * 1e3);
        }
        look.note("trace_absent_p50", "ms", quantile(&none, 0.50));
        Ok(())
    }

    /// Has retention remove the oldest copy, and lists columns again.
    pub(super) fn expire(&self, look: &mut Look) -> anyhow::Result<()> {
        let oldest = f64::from(self.copies.saturating_sub(1));
        let settings = json!({"retention": {"days": oldest - 0.5}, "log_retention_bytes": 1 << 20});
        let before = {
            let server = self.server.start()?;
            let before = server.metrics()?.segments();
            server.stop()?;
            before
        };
        let server = self.server.with_config("expiring", &settings)?.start()?;
        let begin = clock::now();
        let mut connection = Connection::open(&server.http)?;
        let left = loop {
            let left = server.metrics()?.segments();
            if left < before {
                break left;
            }
            ensure!(
                begin.elapsed() < Duration::from_secs(120),
                "retention removed nothing of {before} segments"
            );
            thread::sleep(Duration::from_millis(2));
        };
        look.note("retention", "ms", (server.ready_after + begin.elapsed()).as_secs_f64() * 1e3);
        look.note("columns_after_retention", "ms", list(&mut connection)?.0);
        ensure!(self.copies > 1, "there is no copy to remove ({left} segments)");
        server.stop()
    }
}

/// Milliseconds of the first listing of columns, and a dataset that every copy has.
fn list(connection: &mut Connection) -> anyhow::Result<(f64, String)> {
    let begin = clock::now();
    let (_, answer) = get(connection, "/api/v1/datasets")?;
    let names = answer.as_array().context("a list of datasets")?;
    // A wide one, before and after.
    let wide = names
        .iter()
        .filter(|dataset| dataset["name"].as_str().is_some_and(|name| !name.starts_with("service-")));
    let largest = wide.max_by_key(|dataset| dataset["events"].as_u64());
    let dataset = largest.and_then(|dataset| dataset["name"].as_str()).context("a dataset")?.to_owned();
    get(connection, &format!("/api/v1/datasets/{dataset}/columns"))?;
    Ok((begin.elapsed().as_secs_f64() * 1e3, dataset))
}

fn get(connection: &mut Connection, path: &str) -> anyhow::Result<(f64, Value)> {
    let begin = clock::now();
    let response = connection.get(path)?;
    let ms = begin.elapsed().as_secs_f64() * 1e3;
    ensure!(response.status == 200, "{path}: {}", response.status);
    Ok((ms, serde_json::from_slice(&response.body)?))
}

fn median(rounds: usize, mut measure: impl FnMut() -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    let mut values = Vec::new();
    for _ in 0..rounds {
        values.push(measure()?);
    }
    Ok(quantile(&values, 0.5))
}

/// What the filters of trace ids take, and all that is kept of files in `footers.cat`.
pub(super) fn filters(server: &ServerOptions, rows: u64) -> anyhow::Result<Vec<Figure>> {
    let (mut bytes, mut filtered) = (0, 0);
    each_segment(&server.data().join("segments").join("default"), &mut |segment| {
        bytes += segment.trace_filter()?.map_or(0, |filter| filter.len());
        filtered += u64::from(segment.rows());
        Ok(())
    })?;
    let per_billion = |bytes: f64, rows: u64| bytes / precise(rows) * 1e9 / f64::from(1 << 20);
    let footers = precise(std::fs::metadata(server.data().join("footers.cat"))?.len());
    Ok(vec![
        Figure::new("scale_filters_per_billion_events", "MiB", per_billion(precise(bytes), filtered)),
        Figure::new("scale_footers_per_billion_events", "MiB of file", per_billion(footers, rows)),
    ])
}

fn each_segment(folder: &Path, visit: &mut dyn FnMut(&Segment) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            each_segment(&path, visit)?;
        } else {
            visit(&Segment::open_file(&path)?)?;
        }
    }
    Ok(())
}
