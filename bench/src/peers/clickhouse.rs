//! The events in ClickHouse, through its Python package: bench/peers/clickhouse.py does what the job says.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use skein_event::batch::Physical;
use skein_event::ids::encode_hex;

use super::columns::TIME;
use super::parquet::Written;
use crate::feed::Fed;
use crate::questions::{Answered, compare, questions, sorted};

/// What came of it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) bytes: u64,
    /// Processor seconds of the inserts, and of the merge to one part after them.
    pub(crate) load_cpu: f64,
    pub(crate) merge_cpu: f64,
    /// Figures of ours and its milliseconds.
    pub(crate) ms: Vec<(String, f64)>,
    pub(crate) notes: String,
}

#[derive(Deserialize)]
struct Answer {
    version: String,
    rows: usize,
    bytes: u64,
    parts: usize,
    load_cpu: f64,
    merge_cpu: f64,
    /// By name of a question, from the table and from the Parquet files.
    answers: HashMap<String, [Vec<Vec<Value>>; 2]>,
    ms: HashMap<String, f64>,
    trace_ms: Vec<f64>,
    schema: String,
}

/// Loads the Parquet files, asks the questions of both, and compares their answers with ours.
pub(crate) fn load(
    python: &Path,
    folder: &Path,
    written: &Written,
    fed: &Fed,
    answers: &[Answered],
) -> anyhow::Result<Loaded> {
    let job = job(folder, written, fed)?;
    let job_path = folder.join("job.json");
    std::fs::write(&job_path, serde_json::to_vec_pretty(&job)?)?;
    let output = Command::new(python)
        .arg("bench/peers/clickhouse.py")
        .arg(&job_path)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting {}", python.display()))?;
    ensure!(output.status.success(), "bench/peers/clickhouse.py ended with {}", output.status);
    let answer: Answer = serde_json::from_slice(&output.stdout).context("what clickhouse.py answered")?;
    ensure!(answer.rows == fed.rows, "ClickHouse holds {} events of {}", answer.rows, fed.rows);
    let mut compared = 0;
    for ours in answers.iter().filter(|ours| !ours.rows.is_empty()) {
        let [table, files] =
            answer.answers.get(ours.name).with_context(|| format!("no answer to {}", ours.name))?;
        compare(&format!("{} in ClickHouse", ours.name), &ours.rows, &sorted(table.clone()))?;
        compare(&format!("{} in Parquet", ours.name), &ours.rows, &sorted(files.clone()))?;
        compared += 1;
    }
    let mut ms: Vec<(String, f64)> =
        answer.ms.iter().map(|(name, ms)| (format!("question_{name}"), *ms)).collect();
    ms.sort_by(|a, b| a.0.cmp(&b.0));
    ms.push(("trace_warm_p50".to_owned(), crate::report::quantile(&answer.trace_ms, 0.5)));
    let notes = format!(
        "\n\n**ClickHouse** {} (`chdb`, in its own process, two threads), loaded from these Parquet files, then \
         `OPTIMIZE TABLE … FINAL`: {} part(s); bytes on disk of the active parts, marks and indices included; its \
         checksums are on. {} Both peers hold as many events as were fed, and the answers to {compared} questions were \
         compared and are equal.",
        answer.version, answer.parts, answer.schema
    );
    Ok(Loaded { bytes: answer.bytes, load_cpu: answer.load_cpu, merge_cpu: answer.merge_cpu, ms, notes })
}

fn job(folder: &Path, written: &Written, fed: &Fed) -> anyhow::Result<Value> {
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
    let files =
        written.files.iter().map(|(path, names)| Ok(json!({"path": path.canonicalize()?, "columns": names})));
    let asked = questions().into_iter().map(|question| json!({"name": question.name, "sql": question.sql}));
    Ok(json!({
        "folder": folder.join("clickhouse"),
        "time": TIME,
        "files": files.collect::<anyhow::Result<Vec<_>>>()?,
        "columns": columns.collect::<Vec<_>>(),
        "questions": asked.collect::<Vec<_>>(),
        "traces": fed.traces.iter().step_by((fed.traces.len() / 10).max(1)).take(10).map(|id| encode_hex(id)).collect::<Vec<_>>(),
    }))
}
