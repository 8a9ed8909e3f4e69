//! The engine against the reference: random events through the real door, random questions, equal answers.
//!
//! A failure prints its seed; `SKEIN_SEED=n` runs that seed alone, `SKEIN_CASES=n` another number of data sets
//! (`make soak` runs many).

use serde_json::{Value as Json, json};
use skein_event::ids::Environment;
use skein_query::ErrorKind;
use skein_sim::compare::difference;
use skein_sim::random::Random;
use skein_sim::random::data::{Generator, Request};
use skein_sim::random::question::{LAST_S, numeric_question, question};
use skein_sim::reference::{Event, answer, expression, names};
use skein_sim::subject::Subject;

use crate::lists;

/// Data sets of a run in CI, and questions to each: 6,000 comparisons.
const DATA_SETS: u64 = 60;
const QUESTIONS: u64 = 100;

/// What a guarantee broken on purpose is tried with (`cargo xtask mutants`): one that hides from so many is not guarded.
const OF_A_MUTANT: u64 = 15;

/// The seeds of a run: so many in CI.
pub(crate) fn seeds(of_ci: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    match number("SKEIN_SEED") {
        Some(seed) => vec![seed],
        None if std::env::var_os("SKEIN_MUTANT").is_some() => (0..of_ci.min(OF_A_MUTANT)).collect(),
        None => (0..number("SKEIN_CASES").unwrap_or(of_ci)).collect(),
    }
}

/// Large data sets of a run in CI, and questions about numbers to each.
const LARGE_SETS: u64 = 2;
const LARGE_QUESTIONS: u64 = 25;
const LARGE: usize = 12_000;

/// One data set, in both environments.
#[derive(Default)]
pub(crate) struct Case {
    pub(crate) subject: Subject,
    pub(crate) events: Vec<Event>,
}

impl Case {
    fn take(&mut self, request: &Request, json: bool) {
        self.events.extend(request.flattened().events);
        self.subject.ingest(&Environment::default_environment(), request, json).expect("stored");
    }
}

pub(crate) fn case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    let mut generator = Generator::new(random.fork());
    let mut case = Case::default();
    let requests = 1 + random.below(12);
    for _ in 0..requests {
        let request = generator.request(30);
        let json = random.once_in(3);
        case.take(&request, json);
        // The other environment holds other events of the same kind; none of them may ever be seen.
        let other: Request = generator.request(5);
        case.subject.ingest(&Environment::skein(), &other, json).expect("stored");
    }
    case.subject.settle(&mut random).expect("segments");
    case
}

/// Whether every column and dataset of a question is one that some event has, so that the engine knows it.
pub(crate) fn known(events: &[Event], spec: &Json) -> bool {
    let mut columns: Vec<&str> = Vec::new();
    let filters = |object: &'_ Json| object["filters"].as_array().cloned().unwrap_or_default();
    let mut all = filters(spec);
    for calculation in spec["calculations"].as_array().map(Vec::as_slice).unwrap_or_default() {
        columns.extend(calculation["column"].as_str());
        all.extend(filters(calculation));
    }
    let breakdowns = spec["breakdowns"].as_array().map(Vec::as_slice).unwrap_or_default();
    columns.extend(breakdowns.iter().filter_map(Json::as_str));
    columns.extend(all.iter().filter_map(|filter| filter["column"].as_str()));
    let datasets = spec["datasets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fields = expression::fields(spec);
    let columns: Vec<String> =
        columns.into_iter().flat_map(|name| expression::columns(name, &fields)).collect();
    let has_dataset = |name: &Json| events.iter().any(|event| name.as_str() == event.text("dataset"));
    datasets.iter().all(has_dataset)
        && columns.iter().all(|name| events.iter().any(|event| names::value(event, name).is_some()))
}

/// The first difference, as a sentence with everything needed to see it again.
fn check(seed: u64, case: &Case, spec: &Json) -> Result<(), String> {
    let environment = Environment::default_environment();
    let found = match case.subject.data(&environment, spec) {
        Ok(data) => data,
        // A column or a dataset that nothing has is an error, and must be one only then.
        Err(error) => {
            let named = matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::NotFound);
            if named && !known(&case.events, spec) {
                return Ok(());
            }
            return Err(format!("SKEIN_SEED={seed}: {error}\n{spec}"));
        }
    };
    match difference(&answer(&case.events, spec, Some(&found)), &found) {
        None => Ok(()),
        Some(difference) => Err(format!("SKEIN_SEED={seed}: {difference}\n{spec}")),
    }
}

/// Fails with the first differences, one of a seed.
pub(crate) fn report(results: Vec<Result<(), String>>) {
    let differences: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    let first: Vec<&str> = differences.iter().take(10).map(String::as_str).collect();
    assert!(
        differences.is_empty(),
        "{} seeds differ; the first:\n\n{}",
        differences.len(),
        first.join("\n\n")
    );
}

#[test]
fn the_engine_answers_as_the_reference() {
    let of_seed = |seed| {
        let case = case(seed);
        let mut random = Random::new(seed ^ 0x51ce);
        (0..QUESTIONS).try_for_each(|_| check(seed, &case, &question(&mut random)))?;
        let found = lists::check(case.subject.engine(), &case.events, &mut random);
        found.map_err(|difference| format!("SKEIN_SEED={seed}: {difference}"))
    };
    report(seeds(DATA_SETS).into_iter().map(of_seed).collect());
}

/// Every event comes back whole: the strongest question there is.
#[test]
fn raw_rows_hold_every_value_of_every_event() {
    report(seeds(DATA_SETS).into_iter().map(|seed| check(seed, &case(seed), &everything())).collect());
}

/// Raw rows of all time.
pub(crate) fn everything() -> Json {
    json!({"calculations": [], "limit": 10_000, "start_time": 0, "end_time": LAST_S})
}

/// Above ten thousand rows percentiles come from a sketch.
#[test]
fn sketched_percentiles_stay_within_their_error_of_the_reference() {
    let of_seed = |seed| {
        let mut case = Case::default();
        let mut random = Random::new(seed ^ 0xb16);
        let mut generator = Generator::new(random.fork());
        while case.events.len() < LARGE {
            case.take(&generator.request(1_500), false);
        }
        case.subject.settle(&mut random).expect("segments");
        (0..LARGE_QUESTIONS).try_for_each(|_| check(seed, &case, &numeric_question(&mut random)))
    };
    report(seeds(LARGE_SETS).into_iter().map(of_seed).collect());
}
