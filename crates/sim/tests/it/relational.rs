//! Questions about other events of a trace, the engine against the reference.
//!
//! A failure prints its seed; `SKEIN_SEED=n` runs that seed alone, `SKEIN_CASES=n` another number of data sets.

use serde_json::Value as Json;
use skein_event::ids::Environment;
use skein_query::ErrorKind;
use skein_sim::compare::difference;
use skein_sim::random::Random;
use skein_sim::random::data::Generator;
use skein_sim::random::relational::{columns, entwine, question};
use skein_sim::reference::{Answer, Event, answer, names};
use skein_sim::subject::Subject;

use crate::differential::{report, seeds};

/// Data sets of a run in CI, and questions to each: 4,000 comparisons.
const DATA_SETS: u64 = 50;
const QUESTIONS: u64 = 80;

/// What came of a question.
enum Outcome {
    Compared,
    /// A column was unknown, and was so rightly; or two events had an equal claim to be the first.
    Open,
}

fn check(seed: u64, subject: &Subject, events: &[Event], spec: &Json) -> Result<Outcome, String> {
    let found = match subject.data(&Environment::default_environment(), spec) {
        Ok(data) => data,
        Err(error) => {
            let known = |name: &String| events.iter().any(|event| names::value(event, name).is_some());
            if error.kind() == ErrorKind::InvalidRequest && !columns(spec).iter().all(known) {
                return Ok(Outcome::Open);
            }
            return Err(format!("SKEIN_SEED={seed}: {error}\n{spec}"));
        }
    };
    let expected = answer(events, spec, Some(&found));
    match difference(&expected, &found) {
        None if matches!(expected, Answer::Unclear) => Ok(Outcome::Open),
        None => Ok(Outcome::Compared),
        Some(difference) => Err(format!("SKEIN_SEED={seed}: {difference}\n{spec}")),
    }
}

#[test]
fn questions_about_other_events_of_a_trace_are_answered_as_by_the_reference() {
    let (mut compared, mut asked) = (0, 0);
    let of_seed = |seed| {
        let mut random = Random::new(seed ^ 0x7e1a);
        let mut generator = Generator::new(random.fork());
        let (mut subject, mut events) = (Subject::default(), Vec::new());
        for _ in 0..2 + random.below(6) {
            let mut request = generator.request(12);
            entwine(&mut request, &mut random);
            events.extend(request.flattened().events);
            subject.ingest(&Environment::default_environment(), &request, false)?;
        }
        subject.settle(&mut random)?;
        for _ in 0..QUESTIONS {
            asked += 1;
            let outcome = check(seed, &subject, &events, &question(&mut random))?;
            compared += u64::from(matches!(outcome, Outcome::Compared));
        }
        Ok(())
    };
    report(seeds(DATA_SETS).into_iter().map(of_seed).collect());
    assert!(compared * 2 > asked, "only {compared} of {asked} questions were clear");
}
