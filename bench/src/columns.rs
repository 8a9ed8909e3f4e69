//! What columns cost those who do not ask for them: the same events with and without a hundred more, asked in turn;
//! and a dataset of ten thousand columns, and one of a million different names.

mod names;

use clap::Args;
use serde_json::Value;
use skein_otlp::Message as _;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::{AnyValue, KeyValue, any_value};
use skein_otlp::trace::Span;
use skein_workload::wide::{WideConfig, WideRequest};

use crate::clock;
use crate::data::Data;
use crate::feed;
use crate::http::Connection;
use crate::metrics::settle;
use crate::process::{Server, ServerOptions};
use crate::questions::{self, ask, check_count, questions};
use crate::report::{Figure, Report, quantile};

/// More columns, and how many of them an event has.
const MORE: u64 = 100;
const FILLED: u64 = 20;
/// What they may cost.
const GOAL: f64 = 1.02;

#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// Events of each of the two data directories; 0 leaves the part out.
    #[arg(long, default_value_t = 300_000)]
    columns_rows: usize,
    /// Times that each question is asked of both.
    #[arg(long, default_value_t = 61)]
    columns_pairs: usize,
    /// Different names in the dataset of many.
    #[arg(long, default_value_t = 1_000_000)]
    columns_names: u64,
}

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    server: ServerOptions,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        part(&mut Report::default(), &self.options, &self.data, &self.server)
    }
}

/// The part of `make bench`.
pub(crate) fn part(
    report: &mut Report,
    options: &Options,
    data: &Data,
    server: &ServerOptions,
) -> anyhow::Result<()> {
    if options.columns_rows == 0 {
        return Ok(());
    }
    let figures = report.timed("more columns", || paired(options, data, server))?;
    report.add("A hundred more columns", PAIRED_NOTES, figures);
    let figures = report.timed("many names", || names::measure(options.columns_names, server))?;
    report.add("Many names", names::NOTES, figures);
    Ok(())
}

const PAIRED_NOTES: &str = "Two servers with the same events of the same seed; in one of them every span has twenty of a \
    hundred more attributes. Each question, none of which names them, is asked of both in turn, in changing order; a \
    figure is the median of the quotients of pairs, beside their quartiles. `pairs_same` compares the first server \
    with itself in the same way: what the method itself shows.";

fn paired(options: &Options, data: &Data, server: &ServerOptions) -> anyhow::Result<Vec<Figure>> {
    let config = WideConfig { rows: options.columns_rows, ..data.wide() };
    let times = questions::times(&config);
    let folder = server.scratch.join("columns");
    let (without, with) = (server.at(folder.join("without")), server.at(folder.join("with")));
    let (plain, more) = (fill(&without, &config, &|_, _| Ok(()))?, fill(&with, &config, &widen)?);
    let mut figures = Vec::new();
    let mut all = Vec::new();
    let mut connections = [Connection::open(&plain.http)?, Connection::open(&more.http)?];
    let mut again = [Connection::open(&plain.http)?, Connection::open(&plain.http)?];
    let mut same = Vec::new();
    for question in questions() {
        let ratios = ratios(&mut connections, &question.spec, times, options.columns_pairs)?;
        figures
            .push(Figure::new(format!("pairs_{}", question.name), "×", quantile(&ratios, 0.5)).at_most(GOAL));
        for (name, share) in [("lower", 0.25), ("upper", 0.75)] {
            let name = format!("pairs_{}_{name}_quartile", question.name);
            figures.push(Figure::new(name, "×", quantile(&ratios, share)));
        }
        all.push(quantile(&ratios, 0.5));
        same.push(quantile(&self::ratios(&mut again, &question.spec, times, options.columns_pairs)?, 0.5));
    }
    figures.push(Figure::new("pairs_median", "×", quantile(&all, 0.5)).at_most(GOAL));
    figures.push(Figure::new("pairs_highest", "×", quantile(&all, 1.0)).at_most(GOAL));
    figures.push(Figure::new("pairs_same_median", "×", quantile(&same, 0.5)));
    figures.push(Figure::new("pairs_same_highest", "×", quantile(&same, 1.0)));
    plain.stop()?;
    more.stop()?;
    std::fs::remove_dir_all(&folder)?;
    Ok(figures)
}

fn fill(server: &ServerOptions, config: &WideConfig, change: &feed::Change<'_>) -> anyhow::Result<Server> {
    let running = server.start_empty()?;
    let wide = config.generator();
    let fed = feed::feed_changed(&running, &wide, 0..wide.requests(), change)?;
    settle(&running)?;
    check_count(&running, fed.rows, questions::times(config))?;
    Ok(running)
}

/// Gives every span some of the further columns.
fn widen(_: usize, request: &mut WideRequest) -> anyhow::Result<()> {
    if request.traces.is_empty() {
        return Ok(());
    }
    let mut traces = ExportTraceServiceRequest::decode(&*request.traces)?;
    let scopes = traces.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    for span in scopes.flat_map(|scope| &mut scope.spans) {
        let mut half = [0; 8];
        half.iter_mut().zip(&span.span_id).for_each(|(byte, from)| *byte = *from);
        let draw = u64::from_le_bytes(half);
        for number in 0..FILLED {
            let column = number * (MORE / FILLED) + draw % (MORE / FILLED);
            let value = (draw >> 8).wrapping_mul(2 * number + 1) >> 40;
            let value = match column % 2 {
                0 => any_value::Value::IntValue(i64::try_from(value % 10_000)?),
                _ => any_value::Value::StringValue(format!("value {}", value % 500)),
            };
            span.attributes.push(attribute(format!("further.column_{column:03}"), value));
        }
    }
    request.traces = traces.encode_to_vec();
    Ok(())
}

fn attribute(key: String, value: any_value::Value) -> KeyValue {
    KeyValue { key, value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// How much longer the second needs than the first, pair by pair.
fn ratios(
    connections: &mut [Connection; 2],
    spec: &Value,
    times: (i64, i64),
    pairs: usize,
) -> anyhow::Result<Vec<f64>> {
    let mut ratios = Vec::new();
    // Two pairs warm up.
    for pair in 0..pairs + 2 {
        let mut ms = [0.0; 2];
        for turn in 0..2 {
            let which = (turn + pair) % 2;
            let (Some(connection), Some(ms)) = (connections.get_mut(which), ms.get_mut(which)) else {
                continue;
            };
            *ms = timed(connection, spec, times)?;
        }
        if pair >= 2 {
            ratios.push(ms[1] / ms[0]);
        }
    }
    Ok(ratios)
}

fn timed(connection: &mut Connection, spec: &Value, times: (i64, i64)) -> anyhow::Result<f64> {
    let begin = clock::now();
    ask(connection, spec, times)?;
    Ok(begin.elapsed().as_secs_f64() * 1e3)
}

/// A span of its own trace.
fn span(number: u64, time_ns: u64, attributes: Vec<KeyValue>) -> Span {
    let draw = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Span {
        trace_id: [draw.to_le_bytes(), number.to_be_bytes()].concat(),
        span_id: (draw | 1).to_le_bytes().to_vec(),
        name: "work".to_owned(),
        start_time_unix_nano: time_ns,
        end_time_unix_nano: time_ns + 1_000_000 + draw % 1_000_000,
        attributes,
        ..Span::default()
    }
}
