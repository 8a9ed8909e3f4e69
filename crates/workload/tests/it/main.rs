//! The simulation as its users see it: the same bytes for a seed, spans that form traces, and an incident that
//! can be found for every seed.

use std::collections::{BTreeMap, BTreeSet};

use skein_otlp::Message as _;
use skein_workload::export::{Batch, batches};
use skein_workload::incident::Incident;
use skein_workload::model::Service;
use skein_workload::simulation::{Config, Simulation};
use skein_workload::telemetry::{Attribute, Kind, Record, SpanRecord};

const START_NS: i64 = 1_767_225_600_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

fn config(seed: u64, incident: bool) -> Config {
    Config {
        seed,
        start_ns: START_NS,
        requests_per_second: 40.0,
        incident: incident.then(|| Incident::from_seed(seed, START_NS)),
    }
}

fn spans(records: Vec<Record>) -> Vec<SpanRecord> {
    let spans = records.into_iter().filter_map(|record| match record {
        Record::Span(span) => Some(*span),
        _ => None,
    });
    spans.collect()
}

fn run_for(config: Config, seconds: i64) -> (Simulation, Vec<Record>) {
    let mut simulation = Simulation::new(config);
    let records = simulation.advance(START_NS + seconds * SECOND_NS);
    (simulation, records)
}

fn encoded(config: Config, step_seconds: i64) -> Vec<u8> {
    let mut simulation = Simulation::new(config);
    let mut records = Vec::new();
    for step in 1..=(300 / step_seconds) {
        records.extend(simulation.advance(START_NS + step * step_seconds * SECOND_NS));
    }
    let mut bytes = Vec::new();
    for batch in batches(simulation.instances(), records) {
        match batch {
            Batch::Traces(request) => bytes.extend(request.encode_to_vec()),
            Batch::Logs(request) => bytes.extend(request.encode_to_vec()),
            Batch::Metrics(request) => bytes.extend(request.encode_to_vec()),
        }
    }
    bytes
}

#[test]
fn the_same_seed_gives_the_same_bytes_however_time_is_cut() {
    let whole = encoded(config(5, true), 300);
    assert!(whole.len() > 5_000_000, "{} bytes", whole.len());
    assert!(whole == encoded(config(5, true), 300));
    assert!(whole == encoded(config(5, true), 1));
    assert!(whole != encoded(config(6, true), 300));
}

#[test]
fn spans_form_traces_and_logs_lie_in_their_context() {
    let (simulation, records) = run_for(config(1, false), 120);
    let mut ids = BTreeSet::new();
    let mut services = BTreeSet::new();
    let mut contexts = 0;
    let mut points = 0;
    let mut all = Vec::new();
    for record in records {
        match record {
            Record::Span(span) => {
                assert!(ids.insert((span.trace_id, span.span_id)), "a span id twice");
                assert!(span.start_ns <= span.end_ns);
                all.push(*span);
            }
            Record::Log(log) => {
                contexts += usize::from(log.context.is_some() || log.body.contains("\"trace_id\":\""));
            }
            Record::Point(_) => points += 1,
        }
    }
    let mut missing = 0;
    for span in &all {
        services.insert(simulation.instances()[span.instance].service);
        let parent = span.parent_span_id;
        missing += usize::from(parent.is_some_and(|parent| !ids.contains(&(span.trace_id, parent))));
        assert!((9..=30).contains(&span.attributes.len()), "{} {}", span.name, span.attributes.len());
    }
    assert_eq!(services.len(), Service::ALL.len());
    // Only traces that are not over yet miss a parent.
    assert!(missing < 60, "{missing} of {}", all.len());
    assert!(all.len() > 40 * 120 * 4, "{}", all.len());
    assert!(contexts > 4_000 && points > 400, "{contexts} {points}");
}

#[test]
fn nothing_goes_wrong_without_an_incident() {
    let (simulation, records) = run_for(config(3, false), 600);
    let all = spans(records);
    let failed = all.iter().filter(|span| span.error.is_some()).count();
    assert!(failed * 500 < all.len(), "{failed} of {}", all.len());
    assert_eq!(simulation.instances().len(), Service::ALL.iter().map(|s| s.spec().pods).sum::<usize>());
}

/// p99 in milliseconds and the share of errors of an operation's server spans.
fn symptoms<'a>(spans: impl Iterator<Item = &'a SpanRecord>) -> (f64, f64) {
    let mut durations: Vec<i64> = Vec::new();
    let mut failed = 0;
    for span in spans {
        durations.push(span.end_ns - span.start_ns);
        failed += usize::from(span.error.is_some());
    }
    durations.sort_unstable();
    let p99 = durations.get(durations.len() * 99 / 100).copied().unwrap_or(0) as f64 / 1e6;
    (p99, failed as f64 / durations.len().max(1) as f64)
}

#[test]
fn every_seed_has_an_incident_that_can_be_found() {
    for seed in 0..14 {
        let config = config(seed, true);
        let incident = config.incident.unwrap();
        let truth = incident.truth();
        let until = (incident.end_ns - START_NS) / SECOND_NS;
        let (simulation, records) = run_for(config, until);
        let mut before: BTreeMap<String, Vec<SpanRecord>> = BTreeMap::new();
        let mut during: BTreeMap<String, Vec<SpanRecord>> = BTreeMap::new();
        for span in spans(records).into_iter().filter(|span| span.kind == Kind::Server) {
            let key = format!("{} {}", simulation.instances()[span.instance].service, span.name);
            let side = if span.start_ns < incident.start_ns { &mut before } else { &mut during };
            side.entry(key).or_default().push(span);
        }
        let planted = format!("{} {}", truth.service, truth.operation);
        let (p99_before, errors_before) = symptoms(before[&planted].iter());
        let (p99_during, errors_during) = symptoms(during[&planted].iter());
        println!(
            "seed {seed} {:?}: {planted}: p99 {p99_before:.1} -> {p99_during:.1} ms, errors {errors_before:.3} -> {errors_during:.3}",
            incident.cause
        );
        assert!(
            p99_during > 2.0 * p99_before || errors_during > errors_before + 0.05,
            "seed {seed}: {:?} does not show",
            incident.cause
        );
        assert!(p99_before > 0.0 && errors_before < 0.02, "seed {seed}: something is wrong before");
    }
}

#[test]
fn symptoms_spread_to_the_callers() {
    // Seed 0: the search statement got slow; the page that shows it must feel it, unpainted.
    let config = config(0, true);
    let incident = config.incident.unwrap();
    let (_, records) = run_for(config, (incident.end_ns - START_NS) / SECOND_NS);
    let all = spans(records);
    let page = |span: &&SpanRecord| span.name == "GET /api/search";
    let (before, _) = symptoms(all.iter().filter(page).filter(|span| span.start_ns < incident.start_ns));
    let (during, _) = symptoms(all.iter().filter(page).filter(|span| span.start_ns >= incident.start_ns));
    assert!(during > 3.0 * before, "{before} -> {during}");
    let variant = all.iter().find(|span| span.parent_span_id.is_none()).unwrap();
    assert!(
        variant
            .attributes
            .iter()
            .any(|(name, value)| *name == "user.id" && matches!(value, Attribute::Text(_)))
    );
}
