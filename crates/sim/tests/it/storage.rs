//! The whole storage against the reference: through the log's bytes, heads, segment files, compaction and
//! recovery, the answers stay those of the events that were acknowledged, each once.

use skein_event::flow::BatchKey;
use skein_event::ids::Environment;
use skein_sim::compare::difference;
use skein_sim::deployment::Deployment;
use skein_sim::random::Random;
use skein_sim::random::data::{Generator, Request};
use skein_sim::random::question::{erasure, question};
use skein_sim::reference::filter::passes;
use skein_sim::reference::{Event, answer};

use crate::differential::{everything, known, report, seeds};
use crate::lists;

/// Lives of a deployment in CI, each with several openings; every stage is asked so many questions.
const LIVES: u64 = 12;
const QUESTIONS: u64 = 12;

/// A deployment, what it should hold, and what it was sent.
struct Life {
    seed: u64,
    random: Random,
    events: Vec<Event>,
    sent: Vec<(Request, bool, BatchKey)>,
}

impl Life {
    fn send(&mut self, deployment: &Deployment, generator: &mut Generator) -> Result<(), String> {
        for _ in 0..1 + self.random.below(4) {
            let request = generator.request(20);
            let json = self.random.once_in(4);
            let key = BatchKey::Client(format!("batch-{}", self.sent.len()).into());
            let appended =
                deployment.append(&Environment::default_environment(), &request, json, key.clone())?;
            if appended.duplicate {
                return Err(format!("SKEIN_SEED={}: a new batch was taken for an old one", self.seed));
            }
            self.events.extend(request.flattened().events);
            self.sent.push((request, json, key));
            let other = generator.request(3);
            let unique = BatchKey::Unique(self.random.next().into());
            deployment.append(&Environment::skein(), &other, json, unique)?;
        }
        // Whatever was sent before and comes again, in the same environment, changes nothing.
        let (request, json, key) = self.random.pick(&self.sent);
        let again = deployment.append(&Environment::default_environment(), request, *json, key.clone())?;
        if !again.duplicate {
            return Err(format!("SKEIN_SEED={}: a batch sent again was stored again", self.seed));
        }
        Ok(())
    }

    fn ask(&mut self, deployment: &Deployment, stage: &str) -> Result<(), String> {
        let mut specs = vec![everything()];
        specs.extend((0..QUESTIONS).map(|_| question(&mut self.random)));
        for spec in specs.iter().filter(|spec| known(&self.events, spec)) {
            let told = |what: String| format!("SKEIN_SEED={}, {stage}: {what}\n{spec}", self.seed);
            let data = deployment.data(&Environment::default_environment(), spec);
            let data = data.map_err(|error| told(error.to_string()))?;
            if let Some(difference) = difference(&answer(&self.events, spec, Some(&data)), &data) {
                return Err(told(difference));
            }
        }
        let found = lists::check(deployment.engine(), &self.events, &mut self.random);
        found.map_err(|difference| format!("SKEIN_SEED={}, {stage}: {difference}", self.seed))
    }

    /// Erases: what passes the filter, and what belongs to a span that does, is gone. Events and links follow
    /// their span.
    fn erase(&mut self, deployment: &Deployment) -> Result<(), String> {
        let filter = erasure(&mut self.random);
        deployment.erase(&Environment::default_environment(), &filter)?;
        let mut span_is_gone = false;
        self.events.retain(|event| {
            let mut gone = passes(event, &filter);
            if event.text("meta.annotation_type").is_some() {
                gone |= span_is_gone;
            } else {
                span_is_gone = gone;
            }
            !gone
        });
        Ok(())
    }

    fn live_with_erasure(&mut self) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut generator = Generator::new(self.random.fork());
        let mut deployment = Deployment::open(folder.path())?;
        for _ in 0..3 {
            self.send(&deployment, &mut generator)?;
            if self.random.once_in(2) {
                deployment.flush()?;
            }
        }
        if self.random.once_in(2) {
            deployment.compact()?;
        }
        // Listings that were worked out before must not be shown after.
        self.ask(&deployment, "not erased yet")?;
        self.erase(&deployment)?;
        self.ask(&deployment, "erased")?;
        self.send(&deployment, &mut generator)?;
        self.ask(&deployment, "erased, and then more came")?;
        deployment = deployment.reopen()?;
        self.ask(&deployment, "erased and opened again")?;
        deployment.flush()?;
        self.ask(&deployment, "erased and flushed")?;
        if self.random.once_in(2) {
            deployment.carry_erasures_out()?;
            self.ask(&deployment, "erased for good")?;
        }
        deployment.compact()?;
        self.ask(&deployment, "erased and compacted")?;
        deployment = deployment.reopen()?;
        self.ask(&deployment, "erased, opened at last")
    }

    fn live(&mut self) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut generator = Generator::new(self.random.fork());
        let mut deployment = Deployment::open(folder.path())?;
        for _ in 0..1 + self.random.below(3) {
            self.send(&deployment, &mut generator)?;
            self.ask(&deployment, "in the head")?;
            if self.random.once_in(2) {
                deployment.flush()?;
                self.ask(&deployment, "flushed")?;
            }
            self.send(&deployment, &mut generator)?;
            deployment = deployment.reopen()?;
            self.ask(&deployment, "opened again")?;
        }
        deployment.flush()?;
        deployment.compact()?;
        self.ask(&deployment, "compacted")?;
        deployment = deployment.reopen()?;
        self.ask(&deployment, "opened at last")
    }
}

#[test]
fn the_storage_answers_as_the_reference_in_every_stage_of_its_life() {
    let life =
        |seed: u64| Life { seed, random: Random::new(seed), events: Vec::new(), sent: Vec::new() }.live();
    report(seeds(LIVES).into_iter().map(life).collect());
}

#[test]
fn the_engine_answers_as_the_reference_after_an_erasure() {
    let life = |seed: u64| {
        let mut life =
            Life { seed, random: Random::new(seed ^ 0xe7a5e), events: Vec::new(), sent: Vec::new() };
        life.live_with_erasure()
    };
    report(seeds(LIVES).into_iter().map(life).collect());
}
