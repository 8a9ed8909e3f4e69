//! The nine shapes of question that the engine is measured by, each in Skein's own language and in the SQL of the
//! peers: their times, and that the answers are equal.
//!
//! What a shape asks about (a service, what is slow, a common and a rare word) is found in the data first, by asking
//! for it: the same shapes fit data of another seed.
#![cfg_attr(not(feature = "peers"), allow(dead_code, reason = "some of it serves the peers only"))]

pub(crate) mod generated;
mod nine;
mod sql;
mod subject;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::clock;
use crate::http::Connection;
use crate::process::{Server, ServerOptions};
use crate::questions::ask;
use crate::report::{Figure, progress, quantile};
use crate::traces::forget;

pub(crate) use nine::nine;
pub(crate) use subject::Subject;

/// Times each shape is asked; the median counts.
const ROUNDS: usize = 7;

/// How far the answers of two engines must agree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Comparison {
    /// Counts, which all must agree on to the last one. (Which of several equal ones is among the first twenty is not
    /// compared.)
    Counts(&'static str),
    /// Defined otherwise by each: percentiles within the stated error, rows in an order of their own.
    None,
}

/// What is sent to Skein.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    /// A builder specification.
    Query(Value),
    /// Another endpoint.
    Post(&'static str, Value),
}

/// One question in all languages. The SQL names the events `{events}`; of several ways to say it in a dialect, the
/// fastest counts.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) name: String,
    pub(crate) request: Request,
    pub(crate) clickhouse: Vec<String>,
    pub(crate) duckdb: Vec<String>,
    pub(crate) comparison: Comparison,
    pub(crate) times: (i64, i64),
    /// The smallest multiple of the better database's speed that is wanted.
    pub(crate) goal: f64,
    /// The largest multiple of the bare scan's time that is wanted.
    pub(crate) floor_goal: Option<f64>,
}

/// Skein's answer to one.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) shape: Shape,
    pub(crate) ms: f64,
    /// The first answer of a new server, none of whose pages was in memory.
    pub(crate) cold_ms: Option<f64>,
    /// What is compared, in order.
    pub(crate) counts: Vec<f64>,
}

impl Shape {
    /// The name of its figure.
    pub(crate) fn figure(&self) -> String {
        format!("shape_{}", self.name)
    }
}

/// Asks a server every shape.
pub(crate) fn ask_all(server: &Server, shapes: &[Shape]) -> anyhow::Result<Vec<Answered>> {
    let mut connection = Connection::open(&server.http)?;
    shapes.iter().map(|shape| ask_one(&mut connection, shape, ROUNDS)).collect()
}

fn ask_one(connection: &mut Connection, shape: &Shape, rounds: usize) -> anyhow::Result<Answered> {
    let (mut ms, mut answer) = (Vec::new(), Value::Null);
    for _ in 0..rounds {
        let begin = clock::now();
        answer = send(connection, shape).with_context(|| shape.name.clone())?;
        ms.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let counts = counts(&answer, shape.comparison).with_context(|| shape.name.clone())?;
    Ok(Answered { shape: shape.clone(), ms: quantile(&ms, 0.5), cold_ms: None, counts })
}

/// The first answer to each shape of a new server, when no page of its files is in memory.
pub(crate) fn ask_cold(options: &ServerOptions, answers: &mut [Answered]) -> anyhow::Result<()> {
    for answered in answers {
        let server = options.start()?;
        forget(&options.data())?;
        let mut connection = Connection::open(&server.http)?;
        let begin = clock::now();
        send(&mut connection, &answered.shape)?;
        answered.cold_ms = Some(begin.elapsed().as_secs_f64() * 1e3);
        server.stop()?;
    }
    Ok(())
}

fn send(connection: &mut Connection, shape: &Shape) -> anyhow::Result<Value> {
    match &shape.request {
        Request::Query(spec) => ask(connection, spec, shape.times),
        Request::Post(path, body) => {
            let response = connection.post(path, "application/json", &serde_json::to_vec(body)?)?;
            ensure!(response.status == 200, "{path}: {}", String::from_utf8_lossy(&response.body));
            serde_json::from_slice(&response.body).context("an answer")
        }
    }
}

/// What of an answer is compared.
fn counts(answer: &Value, comparison: Comparison) -> anyhow::Result<Vec<f64>> {
    let Comparison::Counts(key) = comparison else { return Ok(Vec::new()) };
    let data = &answer["data"];
    let entries = match data["series"].as_array() {
        Some(series) if !series.is_empty() => series,
        _ => data["results"].as_array().context("no results")?,
    };
    let mut counts: Vec<f64> = entries
        .iter()
        .filter_map(|entry| entry["data"][key].as_f64())
        .filter(|count| *count != 0.0)
        .collect();
    counts.sort_by(f64::total_cmp);
    Ok(counts)
}

/// Whether a peer counts the same.
pub(crate) fn compare(answered: &Answered, rows: &[Vec<Value>], peer: &str) -> anyhow::Result<()> {
    if answered.shape.comparison == Comparison::None {
        return Ok(());
    }
    // The last column of a peer's row is what is compared; large integers come as text from some.
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    let mut theirs: Vec<f64> =
        rows.iter().filter_map(|row| number(row.last()?)).filter(|count| *count != 0.0).collect();
    theirs.sort_by(f64::total_cmp);
    let near = |(ours, theirs): (&f64, &f64)| (ours - theirs).abs() <= 1e-9 * ours.abs().max(theirs.abs());
    let equal = answered.counts.len() == theirs.len() && answered.counts.iter().zip(&theirs).all(near);
    if !equal {
        let ours = &answered.counts;
        let apart = ours.iter().zip(&theirs).find(|pair| !near((pair.0, pair.1)));
        progress(&format!("{:?}", answered.shape));
        anyhow::bail!(
            "{}: Skein answers {} numbers, {peer} {}; first apart: {apart:?}",
            answered.shape.name,
            ours.len(),
            theirs.len()
        );
    }
    Ok(())
}

/// Figures of answers.
pub(crate) fn figures(answers: &[Answered]) -> Vec<Figure> {
    let warm = answers.iter().map(|answer| Figure::new(answer.shape.figure(), "ms", answer.ms));
    let cold = answers.iter().filter_map(|answer| {
        Some(Figure::new(format!("{}_cold", answer.shape.figure()), "ms", answer.cold_ms?))
    });
    warm.chain(cold).collect()
}
