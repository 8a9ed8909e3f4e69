//! What was not stored, for the operator: `GET /api/v1/rejections`.
//!
//! A bounded list; entries that fall off its end are summed up per reason, so that the totals stay true.
//! Records of one batch with one reason are one entry with a count.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use event::Environment;
use event::limits::REJECTIONS_KEPT;
use event::rejection::ReasonCode;
use skein_event as event;

/// One reason of one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// When, epoch nanoseconds.
    pub time_ns: i64,
    /// Whose it was.
    pub environment: Environment,
    /// Which door: `otlp_grpc` or `otlp_http`.
    pub door: &'static str,
    /// The client's batch id, when it sent one.
    pub key: Option<String>,
    /// Why.
    pub reason: ReasonCode,
    /// Where in the request the first of them was.
    pub path: String,
    /// How many records; 1 for a request as a whole.
    pub count: u64,
    /// The message of the first of them.
    pub sample: String,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Rejections {
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    entries: VecDeque<Entry>,
    /// Count of what fell off the end.
    older: BTreeMap<(Environment, ReasonCode), u64>,
}

/// Text of a client is kept up to here: enough to find the place, too little to fill memory.
const TEXT_BYTES_MAX: usize = 1_024;

impl Rejections {
    /// Adds an entry; the oldest one makes room.
    pub fn add(&self, mut entry: Entry) {
        for text in [&mut entry.path, &mut entry.sample].into_iter().chain(&mut entry.key) {
            let end = text.floor_char_boundary(TEXT_BYTES_MAX);
            text.truncate(end);
        }
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.entries.push_back(entry);
        if list.entries.len() > REJECTIONS_KEPT
            && let Some(oldest) = list.entries.pop_front()
        {
            *list.older.entry((oldest.environment, oldest.reason)).or_default() += oldest.count;
        }
    }

    /// The entries of an environment at or after a time, newest first.
    pub fn since(&self, environment: &Environment, since_ns: i64) -> Vec<Entry> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |entry: &&Entry| entry.environment == *environment && entry.time_ns >= since_ns;
        list.entries.iter().rev().filter(wanted).cloned().collect()
    }

    /// Counts of what is no longer listed.
    pub fn older(&self, environment: &Environment) -> BTreeMap<ReasonCode, u64> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = list.older.iter().filter(|((owner, _), _)| owner == environment);
        of_it.map(|(&(_, reason), &count)| (reason, count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(time_ns: i64, environment: &Environment) -> Entry {
        Entry {
            time_ns,
            environment: environment.clone(),
            door: "otlp_http",
            key: None,
            reason: ReasonCode::Malformed,
            path: String::new(),
            count: 2,
            sample: "é".repeat(1_000),
        }
    }

    #[test]
    fn the_list_is_bounded_and_the_sum_stays_true() {
        let (rejections, mine) = (Rejections::default(), Environment::default_environment());
        let kept = i64::try_from(REJECTIONS_KEPT).unwrap();
        for time in 0..kept + 10 {
            rejections.add(entry(time, &mine));
        }
        let listed = rejections.since(&mine, 0);
        assert_eq!(listed.len(), REJECTIONS_KEPT);
        assert_eq!((listed[0].time_ns, listed[REJECTIONS_KEPT - 1].time_ns), (kept + 9, 10));
        assert!(listed[0].sample.len() <= TEXT_BYTES_MAX);
        assert_eq!(rejections.older(&mine), BTreeMap::from([(ReasonCode::Malformed, 20)]));
        assert_eq!(rejections.since(&mine, kept + 8).len(), 2);
        assert!(rejections.since(&Environment::skein(), 0).is_empty(), "environments are sealed");
    }
}
