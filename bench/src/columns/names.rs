//! Three datasets of the same number of spans and attributes: fifty names in all, ten thousand, and a million, of which
//! most go into the overflow map. What they cost to take in and to ask, and that every one of them is found.

use anyhow::ensure;
use serde_json::{Value, json};
use skein_otlp::Message as _;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::any_value;
use skein_otlp::resource::Resource;
use skein_otlp::trace::{ResourceSpans, ScopeSpans};

use super::{attribute, span, timed};
use crate::feed::send;
use crate::http::Connection;
use crate::metrics::settle;
use crate::process::{Server, ServerOptions, bytes_of};
use crate::questions::ask;
use crate::report::{Figure, precise, quantile};
use crate::{clock, questions};

/// Attributes of a span.
const EACH: u64 = 50;
const SPANS_EACH: u64 = 500;
const ROUNDS: usize = 9;
/// Names that are looked for.
const LOOKED_FOR: u64 = 5;

pub(super) const NOTES: &str = "As many spans of fifty attributes in each of three data directories: with fifty names in all, \
    with ten thousand, and with as many names as attributes, so that those beyond ten thousand columns go into the \
    overflow map. Ingest is until settled. `ask` counts by an ordinary column; `find` filters on one of the names, \
    which must be found; `columns` lists them.";

pub(super) fn measure(names: u64, server: &ServerOptions) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let folder = server.scratch.join("names");
    for (kind, different) in [("few", EACH), ("live", 10_000), ("many", names)] {
        let options = server.at(folder.join(kind));
        let running = options.start_empty()?;
        let asked = one(&running, &options, names, different)?;
        figures.extend(
            asked
                .into_iter()
                .map(|(name, unit, value)| Figure::new(format!("names_{kind}_{name}"), unit, value)),
        );
        running.stop()?;
        std::fs::remove_dir_all(options.data())?;
    }
    Ok(figures)
}

type Measured = Vec<(&'static str, &'static str, f64)>;

fn one(server: &Server, options: &ServerOptions, names: u64, different: u64) -> anyhow::Result<Measured> {
    let spans = names / EACH;
    let begin_ns = u64::try_from(clock::epoch_ns())? - 3_600_000_000_000;
    let mut connection = Connection::open(&server.otlp_http)?;
    let (begin, before) = (clock::now(), server.cpu_seconds()?);
    for first in (0..spans).step_by(usize::try_from(SPANS_EACH)?) {
        let of_request = first..spans.min(first + SPANS_EACH);
        send(&mut connection, "/v1/traces", &request(of_request, different, begin_ns))?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    settle(server)?;
    let cpu = server.cpu_seconds()? - before;
    let memory = server.memory_mib()?;
    let start = i64::try_from(begin_ns / 1_000_000_000)?;
    let times = (start - 60, start + 7_200);
    let mut api = Connection::open(&server.http)?;
    let counted = questions::count(server, times)?;
    ensure!(counted.to_bits() == precise(spans).to_bits(), "{counted} of {spans} spans are counted");
    let median = |api: &mut Connection, spec: &Value| -> anyhow::Result<f64> {
        let mut ms = Vec::new();
        for _ in 0..ROUNDS {
            ms.push(timed(api, spec, times)?);
        }
        Ok(quantile(&ms, 0.5))
    };
    let ordinary = json!({"calculations": [{"op": "COUNT"}, {"op": "P99", "column": "duration_ms"}], "breakdowns": ["name"]});
    let mut measured: Measured = vec![
        ("ingest", "spans/s", precise(spans) / seconds),
        ("ingest_per_server_cpu_second", "spans/CPU-s", precise(spans) / cpu),
        (
            "bytes_per_span",
            "bytes",
            precise(bytes_of(&options.data().join("segments/default"))?) / precise(spans),
        ),
        ("memory_highest", "MiB", memory.highest),
        ("ask", "ms", median(&mut api, &ordinary)?),
    ];
    let mut find_ms = Vec::new();
    for place in 0..LOOKED_FOR {
        let number = (spans * EACH - 1) * place / (LOOKED_FOR - 1);
        let filter = json!({"column": name_of(number, different), "op": "=", "value": value_of(number)});
        let spec = json!({"calculations": [{"op": "COUNT"}], "filters": [filter]});
        let answer = ask(&mut api, &spec, times)?;
        let found = answer["data"]["results"][0]["data"]["COUNT"].as_u64().unwrap_or_default();
        ensure!(found == 1, "{spec}: {found} events");
        find_ms.push(median(&mut api, &spec)?);
    }
    measured.push(("find", "ms", quantile(&find_ms, 0.5)));
    measured.push(("find_highest", "ms", quantile(&find_ms, 1.0)));
    let begin = clock::now();
    let response = api.get("/api/v1/datasets/names/columns")?;
    ensure!(response.status == 200, "the columns: {}", response.status);
    measured.push(("columns_first", "ms", begin.elapsed().as_secs_f64() * 1e3));
    let listed: Vec<Value> = serde_json::from_slice(&response.body)?;
    measured.push(("columns_listed", "columns", precise(listed.len())));
    Ok(measured)
}

fn name_of(number: u64, different: u64) -> String {
    format!("name.{:07}", number % different)
}

/// Each value occurs once.
fn value_of(number: u64) -> String {
    format!("value {number}")
}

fn request(spans: std::ops::Range<u64>, different: u64, begin_ns: u64) -> Vec<u8> {
    let of_span = |number: u64| {
        let attributes = (number * EACH..(number + 1) * EACH).map(|attribute_number| {
            let value = any_value::Value::StringValue(value_of(attribute_number));
            attribute(name_of(attribute_number, different), value)
        });
        // An id that is all zero is none.
        span(number + 1, begin_ns + number * 10_000, attributes.collect())
    };
    let service = attribute("service.name".to_owned(), any_value::Value::StringValue("names".to_owned()));
    let resource = Resource { attributes: vec![service], ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans: spans.map(of_span).collect(), ..ScopeSpans::default() }];
    let group = ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec()
}
