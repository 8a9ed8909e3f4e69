//! The events in ClickHouse and DuckDB, through their Python packages: bench/peers holds what they are told.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use skein_event::batch::Physical;
use skein_event::ids::encode_hex;

use super::columns::TIME;
use super::parquet::Written;
use crate::feed::Fed;
use crate::report::{progress, quantile};
use crate::shapes::{Answered, Comparison, Shape, compare};

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Database {
    /// Its name in figures.
    pub(crate) name: &'static str,
    script: &'static str,
    /// How it is asked.
    sql: fn(&Shape) -> &[String],
}

/// Both.
pub(crate) const DATABASES: [Database; 2] = [
    Database { name: "clickhouse", script: "bench/peers/clickhouse.py", sql: |shape| &shape.clickhouse },
    Database { name: "duckdb", script: "bench/peers/duckdb_peer.py", sql: |shape| &shape.duckdb },
];

/// What came of one.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) bytes: u64,
    /// Processor seconds until everything could be asked, merges included.
    pub(crate) load_cpu: f64,
    /// Milliseconds of each shape, warm, and of the first answer of a new process without pages in memory.
    pub(crate) ms: HashMap<String, f64>,
    pub(crate) cold_ms: HashMap<String, f64>,
    pub(crate) trace_ms: f64,
    pub(crate) notes: String,
}

#[derive(Deserialize)]
struct Answer {
    version: String,
    rows: usize,
    bytes: u64,
    load_cpu: f64,
    answers: HashMap<String, Asked>,
    trace_ms: Vec<f64>,
    schema: String,
}

#[derive(Deserialize)]
struct Asked {
    ms: f64,
    /// Which of several ways was the fastest.
    way: usize,
    rows: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct Alone {
    ms: f64,
}

impl Database {
    /// Loads the Parquet files, asks everything, and compares the answers with ours.
    pub(crate) fn load(
        self,
        python: &Path,
        folder: &Path,
        written: &Written,
        fed: &Fed,
        answers: &[Answered],
    ) -> anyhow::Result<Loaded> {
        let path = folder.join(self.name).with_extension("json");
        std::fs::write(&path, serde_json::to_vec_pretty(&self.job(folder, written, fed, answers)?)?)?;
        let answer: Answer = self.run(python, &path, &[])?;
        ensure!(answer.rows == fed.rows, "{} holds {} events of {}", self.name, answer.rows, fed.rows);
        let mut compared = 0;
        for ours in answers {
            let theirs = answer.answers.get(&ours.shape.name).context("a question was not asked")?;
            compare(ours, &theirs.rows, self.name)?;
            compared += usize::from(ours.shape.comparison != Comparison::None);
        }
        let mut cold_ms = HashMap::new();
        for (place, ours) in answers.iter().enumerate().filter(|(_, ours)| ours.cold_ms.is_some()) {
            let way = answer.answers[&ours.shape.name].way;
            let alone: Alone = self.run(python, &path, &[place.to_string(), way.to_string()])?;
            progress(&format!("{} {} cold: {:.1} ms", self.name, ours.shape.name, alone.ms));
            cold_ms.insert(ours.shape.name.clone(), alone.ms);
        }
        let notes = format!(
            "\n\n**{}** {}, in its own process, two threads, loaded from the Parquet files below: {} The answers to \
             {compared} questions were compared with Skein's and are equal.",
            self.name, answer.version, answer.schema
        );
        Ok(Loaded {
            bytes: answer.bytes,
            load_cpu: answer.load_cpu,
            ms: answer.answers.into_iter().map(|(name, asked)| (name, asked.ms)).collect(),
            cold_ms,
            trace_ms: quantile(&answer.trace_ms, 0.5),
            notes,
        })
    }

    fn run<T: DeserializeOwned>(
        self,
        python: &Path,
        job: &PathBuf,
        arguments: &[String],
    ) -> anyhow::Result<T> {
        let output = Command::new(python)
            .arg(self.script)
            .arg(job)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("starting {}", python.display()))?;
        ensure!(output.status.success(), "{} ended with {}", self.script, output.status);
        serde_json::from_slice(&output.stdout).with_context(|| format!("what {} answered", self.script))
    }

    fn job(self, folder: &Path, written: &Written, fed: &Fed, answers: &[Answered]) -> anyhow::Result<Value> {
        let columns = written.columns.columns.iter().map(|column| {
            json!({
                "name": column.name,
                "type": match column.physical {
                    Physical::Bool => "bool",
                    Physical::I64 | Physical::DurationNs => "int",
                    Physical::F64 => "float",
                    Physical::TraceId => "id16",
                    Physical::SpanId => "id8",
                    Physical::Text | Physical::Bytes | Physical::Json => "text",
                },
                "low_cardinality": column.is_low_cardinality(),
                "present": column.present,
            })
        });
        let files = written
            .files
            .iter()
            .map(|(path, names)| Ok(json!({"path": path.canonicalize()?, "columns": names})));
        let asked = answers.iter().map(|answer| {
            let compared = answer.shape.comparison != Comparison::None;
            json!({"name": answer.shape.name, "sql": (self.sql)(&answer.shape), "compared": compared})
        });
        let step = (fed.traces.len() / 10).max(1);
        Ok(json!({
            "folder": std::path::absolute(folder.join(self.name))?,
            "time": TIME,
            "files": files.collect::<anyhow::Result<Vec<_>>>()?,
            "columns": columns.collect::<Vec<_>>(),
            "questions": asked.collect::<Vec<_>>(),
            "traces": fed.traces.iter().step_by(step).take(10).map(|id| encode_hex(id)).collect::<Vec<_>>(),
        }))
    }
}
