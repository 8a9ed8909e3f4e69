//! Queries under way and their answers, found again under an immutable id.
//!
//! Bounded in every direction: queries that run, answers kept, their bytes and their age. An id belongs to
//! one environment and is unknown in every other (I10).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use event::Environment;
use event::limits::{ANSWER_BYTES_KEPT, ANSWER_TTL_NS, ANSWERS_KEPT, QUERIES_RUNNING_MAX};
use skein_event as event;
use skein_wire::QueryAnswer;
use tokio::sync::watch;

use crate::error::{ApiError, Code};

/// What is known of a query under way.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The fraction done; it never falls.
    pub progress: f64,
    /// The answer so far, once there is any.
    pub partial: Option<Arc<QueryAnswer>>,
}

/// Where a query stands.
#[derive(Clone, Debug)]
pub enum State {
    /// Under way.
    Running(Known),
    /// Answered.
    Done(Arc<QueryAnswer>),
    /// Refused, failed or cancelled.
    Failed(Arc<ApiError>),
}

/// A query that was started.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: Arc<str>,
    environment: Environment,
    /// Tells the run to stop.
    pub cancelled: Arc<AtomicBool>,
    state: Arc<watch::Sender<State>>,
    started_ns: i64,
    ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    at_ns: i64,
    bytes: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Jobs {
    jobs: Mutex<HashMap<Arc<str>, Job>>,
    /// When the latest erasure of an environment was in force. One entry per environment.
    erased_ns: Mutex<HashMap<Environment, i64>>,
}

// === impl Job ===

impl Job {
    /// Follows the query's state.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Tells how far the run is.
    pub fn progress(&self, fraction: f64) {
        self.learn(|known| known.progress = known.progress.max(fraction.clamp(0.0, 1.0)));
    }

    /// Tells what the answer is so far.
    pub fn partial(&self, answer: QueryAnswer) {
        let answer = Arc::new(answer);
        self.learn(|known| known.partial = Some(answer));
    }

    fn learn(&self, change: impl FnOnce(&mut Known)) {
        self.state.send_modify(|state| {
            // What has ended stays as it is.
            if let State::Running(known) = state {
                change(known);
            }
        });
    }
}

// === impl Jobs ===

impl Jobs {
    /// Registers a query under a new id.
    pub fn start(&self, id: String, environment: &Environment, now_ns: i64) -> Result<Job, ApiError> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        sweep(&mut jobs, now_ns);
        let running = jobs.values().filter(|job| job.ended.is_none()).count();
        if running >= QUERIES_RUNNING_MAX {
            let error = ApiError::new(Code::Overloaded, format!("{running} queries are running"));
            return Err(error.hint("cancel one, or wait for one to end").retry_after_ms(1_000));
        }
        let job = Job {
            id: Arc::from(id),
            environment: environment.clone(),
            cancelled: Arc::default(),
            state: Arc::new(watch::Sender::new(State::Running(Known::default()))),
            started_ns: now_ns,
            ended: None,
        };
        jobs.insert(Arc::clone(&job.id), job.clone());
        Ok(job)
    }

    /// Ends a query. `bytes` is the size of its answer.
    pub fn end(&self, id: &str, state: State, bytes: usize, now_ns: i64) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(job) = jobs.get_mut(id) {
            let erased_ns = self.erased_ns.lock().unwrap_or_else(PoisonError::into_inner);
            let is_stale = erased_ns.get(&job.environment).is_some_and(|erased| job.started_ns <= *erased);
            let state = if is_stale { State::Failed(Arc::new(erased_meanwhile())) } else { state };
            job.state.send_replace(state);
            job.ended = Some(Ended { at_ns: now_ns, bytes });
        }
        sweep(&mut jobs, now_ns);
    }

    /// Finds a query of an environment.
    pub fn get(&self, id: &str, environment: &Environment, now_ns: i64) -> Result<Job, ApiError> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        sweep(&mut jobs, now_ns);
        let of_it = jobs.get(id).filter(|job| job.environment == *environment);
        of_it.cloned().ok_or_else(|| {
            ApiError::new(Code::NotFound, "no query has this id, or its answer is no longer kept")
                .hint("answers are kept for ten minutes; ask again with POST /api/v1/query")
        })
    }

    /// Cancels a query, or forgets its answer; true when it was running.
    pub fn cancel(&self, id: &str, environment: &Environment, now_ns: i64) -> Result<bool, ApiError> {
        let job = self.get(id, environment, now_ns)?;
        job.cancelled.store(true, Ordering::Relaxed);
        if job.ended.is_some() {
            self.jobs.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        }
        Ok(job.ended.is_none())
    }

    /// An erasure is in force: answers of its environment that were asked for before may hold what it takes, so
    /// they are forgotten, and those under way are cancelled.
    pub fn erase(&self, environment: &Environment, now_ns: i64) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        self.erased_ns.lock().unwrap_or_else(PoisonError::into_inner).insert(environment.clone(), now_ns);
        for job in jobs.values_mut().filter(|job| job.environment == *environment) {
            job.cancelled.store(true, Ordering::Relaxed);
            job.state.send_replace(State::Failed(Arc::new(erased_meanwhile())));
            if let Some(ended) = &mut job.ended {
                ended.bytes = 0;
            }
        }
    }

    /// Cancels everything: the server stops.
    pub fn cancel_all(&self) {
        for job in self.jobs.lock().unwrap_or_else(PoisonError::into_inner).values() {
            job.cancelled.store(true, Ordering::Relaxed);
        }
    }
}

/// What is said about an answer from before an erasure.
fn erased_meanwhile() -> ApiError {
    ApiError::new(Code::Conflict, "events were erased after this was asked for, and the answer with them")
        .hint("ask again with POST /api/v1/query")
}

/// Forgets what is too old, then the oldest of what is too much.
fn sweep(jobs: &mut HashMap<Arc<str>, Job>, now_ns: i64) {
    jobs.retain(|_, job| job.ended.is_none_or(|ended| now_ns.saturating_sub(ended.at_ns) < ANSWER_TTL_NS));
    let mut ended: Vec<(i64, usize, Arc<str>)> = jobs
        .values()
        .filter_map(|job| job.ended.map(|ended| (ended.at_ns, ended.bytes, Arc::clone(&job.id))))
        .collect();
    ended.sort();
    let mut bytes: usize = ended.iter().map(|(_, bytes, _)| bytes).sum();
    let mut count = ended.len();
    for (_, size, id) in ended {
        if count <= ANSWERS_KEPT && bytes <= ANSWER_BYTES_KEPT {
            break;
        }
        jobs.remove(&id);
        (count, bytes) = (count - 1, bytes - size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> State {
        State::Failed(Arc::new(ApiError::invalid("x")))
    }

    #[test]
    fn answers_are_kept_for_a_while_and_not_without_end() {
        let (jobs, mine) = (Jobs::default(), Environment::default_environment());
        for number in 0..ANSWERS_KEPT + 3 {
            let job = jobs.start(number.to_string(), &mine, 0).unwrap();
            jobs.end(&job.id, failed(), 1, i64::try_from(number).unwrap());
        }
        assert!(jobs.get("2", &mine, 0).is_err() && jobs.get("3", &mine, 0).is_ok());
        let job = jobs.start("large".into(), &mine, 1_000).unwrap();
        jobs.end(&job.id, failed(), ANSWER_BYTES_KEPT, 1_000);
        assert!(jobs.get("3", &mine, 1_000).is_err() && jobs.get("large", &mine, 1_000).is_ok());
        assert!(jobs.get("large", &mine, 1_000 + ANSWER_TTL_NS).is_err());
    }

    #[test]
    fn an_id_is_unknown_in_another_environment() {
        let (jobs, mine) = (Jobs::default(), Environment::default_environment());
        let job = jobs.start("1".into(), &mine, 0).unwrap();
        assert_eq!(jobs.get("1", &Environment::skein(), 0).unwrap_err().code(), Code::NotFound);
        assert!(jobs.cancel("1", &Environment::skein(), 0).is_err());
        assert!(!job.cancelled.load(Ordering::Relaxed));
        assert_eq!(jobs.cancel("1", &mine, 0), Ok(true));
        assert!(job.cancelled.load(Ordering::Relaxed));
    }

    #[test]
    fn an_erasure_takes_answers_with_it_also_those_under_way() {
        let (jobs, mine) = (Jobs::default(), Environment::default_environment());
        let done = || State::Running(Known::default());
        let before = jobs.start("before".into(), &mine, 5).unwrap();
        jobs.end(&before.id, done(), 10, 6);
        let under_way = jobs.start("under way".into(), &mine, 7).unwrap();
        let other = jobs.start("other".into(), &Environment::skein(), 7).unwrap();
        jobs.erase(&mine, 8);
        assert!(under_way.cancelled.load(Ordering::Relaxed) && !other.cancelled.load(Ordering::Relaxed));
        // It had read its snapshot before the erasure and ends after it.
        jobs.end(&under_way.id, done(), 10, 9);
        for id in ["before", "under way"] {
            let state = jobs.get(id, &mine, 9).unwrap().watch().borrow().clone();
            assert!(matches!(state, State::Failed(error) if error.code() == Code::Conflict), "{id}");
        }
        let after = jobs.start("after".into(), &mine, 9).unwrap();
        jobs.end(&after.id, done(), 10, 10);
        jobs.end(&other.id, done(), 10, 10);
        for (id, environment) in [("after", &mine), ("other", &Environment::skein())] {
            let state = jobs.get(id, environment, 10).unwrap().watch().borrow().clone();
            assert!(matches!(state, State::Running(_)), "{id}");
        }
    }

    #[test]
    fn running_queries_are_bounded() {
        let (jobs, mine) = (Jobs::default(), Environment::default_environment());
        for number in 0..QUERIES_RUNNING_MAX {
            jobs.start(number.to_string(), &mine, 0).unwrap();
        }
        assert_eq!(jobs.start("one more".into(), &mine, 0).unwrap_err().code(), Code::Overloaded);
        jobs.end("0", failed(), 0, 0);
        assert!(jobs.start("one more".into(), &mine, 0).is_ok());
    }
}
