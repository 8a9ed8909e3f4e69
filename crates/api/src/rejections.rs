//! What was not stored, for the operator: `GET /api/v1/rejections`.
//!
//! A bounded list; entries that fall off its end are summed up per door and reason, and the sums are listed
//! too. Records of one batch with one reason are one entry with a count. Final rejections are events of
//! environment `skein` as well: a server that starts reads them back ([`Entry::from_row`]).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use event::Environment;
use event::limits::{REJECTION_TEXT_BYTES_MAX, REJECTIONS_KEPT};
use event::observe::Observation;
use event::rejection::ReasonCode;
use event::value::Value;
use query::result::FlatRow;
use skein_event as event;
use skein_query as query;

/// One reason of one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// When, epoch nanoseconds.
    pub time_ns: i64,
    /// Whose it was.
    pub environment: Environment,
    /// Which door: `otlp_grpc` or `otlp_http`.
    pub door: String,
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

/// Entries that are no longer listed one by one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Older {
    /// Which door.
    pub door: String,
    /// Why.
    pub reason: ReasonCode,
    /// Records of all of them.
    pub count: u64,
    /// Time of the latest.
    pub last_ns: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Rejections {
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    /// In the order of their times.
    entries: VecDeque<Entry>,
    /// Count and latest time of what fell off the end.
    older: BTreeMap<(Environment, String, ReasonCode), (u64, i64)>,
}

/// The name of a rejection among Skein's own events.
pub const REJECTION: &str = "rejection";

// === impl Entry ===

impl Entry {
    /// The entry as an event of Skein's own.
    pub fn to_observation(&self) -> Observation {
        let text = |text: &str| Value::Text(text.to_owned());
        let mut fields = vec![
            ("skein.environment", text(self.environment.as_str())),
            ("skein.door", text(&self.door)),
            ("skein.reason_code", text(self.reason.as_str())),
            ("skein.path", text(&self.path)),
            ("skein.count", Value::I64(i64::try_from(self.count).unwrap_or(i64::MAX))),
        ];
        fields.extend(self.key.as_ref().map(|key| ("skein.batch_id", text(key))));
        let (start_ns, error) = (self.time_ns, Some(self.sample.clone()));
        Observation { name: REJECTION, start_ns, duration_ns: 0, error, fields }
    }

    /// The entry of such an event; `None` when it is another kind of event.
    pub fn from_row(row: &FlatRow) -> Option<Entry> {
        let text = |name: &str| row.text(name).map(str::to_owned);
        let count = match row.get("skein.count") {
            Some(Value::I64(count)) => u64::try_from(*count).ok()?,
            _ => return None,
        };
        Some(Entry {
            time_ns: row.time_ns,
            environment: Environment::new(row.text("skein.environment")?)?,
            door: text("skein.door")?,
            key: text("skein.batch_id"),
            reason: ReasonCode::from_name(row.text("skein.reason_code")?)?,
            path: text("skein.path").unwrap_or_default(),
            count,
            sample: text("status_message").unwrap_or_default(),
        })
    }
}

// === impl Rejections ===

impl Rejections {
    /// Adds an entry, its texts cut to their limit, and returns it; the oldest one makes room.
    pub fn add(&self, mut entry: Entry) -> Entry {
        for text in [&mut entry.path, &mut entry.sample].into_iter().chain(&mut entry.key) {
            let end = text.floor_char_boundary(REJECTION_TEXT_BYTES_MAX);
            text.truncate(end);
        }
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.entries.push_back(entry.clone());
        if list.entries.len() > REJECTIONS_KEPT
            && let Some(oldest) = list.entries.pop_front()
        {
            let sum = list.older.entry((oldest.environment, oldest.door, oldest.reason)).or_default();
            *sum = (sum.0 + oldest.count, sum.1.max(oldest.time_ns));
        }
        entry
    }

    /// Puts entries of an earlier process, oldest first, before those of this one, as far as there is room.
    pub fn restore(&self, earlier: Vec<Entry>) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let room = REJECTIONS_KEPT.saturating_sub(list.entries.len());
        for entry in earlier.into_iter().rev().take(room) {
            list.entries.push_front(entry);
        }
    }

    /// The entries of an environment at or after a time, newest first.
    pub fn since(&self, environment: &Environment, since_ns: i64) -> Vec<Entry> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |entry: &&Entry| entry.environment == *environment && entry.time_ns >= since_ns;
        list.entries.iter().rev().filter(wanted).cloned().collect()
    }

    /// Sums of what is no longer listed, where the latest of it is at or after a time.
    pub fn older(&self, environment: &Environment, since_ns: i64) -> Vec<Older> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = list.older.iter().filter(|((owner, ..), _)| owner == environment);
        let sums = of_it.map(|((_, door, reason), &(count, last_ns))| Older {
            door: door.clone(),
            reason: *reason,
            count,
            last_ns,
        });
        sums.filter(|older| older.last_ns >= since_ns).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(time_ns: i64, environment: &Environment) -> Entry {
        Entry {
            time_ns,
            environment: environment.clone(),
            door: "otlp_http".to_owned(),
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
        assert!(listed[0].sample.len() <= REJECTION_TEXT_BYTES_MAX);
        let sum = |count, last_ns| {
            vec![Older { door: "otlp_http".to_owned(), reason: ReasonCode::Malformed, count, last_ns }]
        };
        assert_eq!(rejections.older(&mine, 0), sum(20, 9));
        assert!(
            rejections.older(&mine, 10).is_empty() && rejections.older(&Environment::skein(), 0).is_empty()
        );
        assert_eq!(rejections.since(&mine, kept + 8).len(), 2);
        assert!(rejections.since(&Environment::skein(), 0).is_empty(), "environments are sealed");
    }

    #[test]
    fn entries_of_an_earlier_process_come_before_those_of_this_one() {
        let (rejections, mine) = (Rejections::default(), Environment::default_environment());
        rejections.add(entry(50, &mine));
        rejections.restore(
            (0..i64::try_from(REJECTIONS_KEPT).unwrap() + 5).map(|time| entry(time, &mine)).collect(),
        );
        let listed = rejections.since(&mine, 0);
        assert_eq!(listed.len(), REJECTIONS_KEPT, "bounded");
        assert_eq!((listed[0].time_ns, listed[1].time_ns), (50, i64::try_from(REJECTIONS_KEPT).unwrap() + 4));
    }

    #[test]
    fn an_entry_comes_back_from_its_event() {
        let wanted = Entry {
            key: Some("batch-1".into()),
            sample: "bad".into(),
            ..entry(7, &Environment::default_environment())
        };
        let Observation { name, start_ns, error, fields, .. } = wanted.to_observation();
        assert_eq!((name, start_ns), (REJECTION, 7));
        let mut fields: Vec<(std::sync::Arc<str>, Value)> =
            fields.into_iter().map(|(name, value)| (name.into(), value)).collect();
        fields.push(("status_message".into(), Value::Text(error.unwrap())));
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        let event_id = event::ids::EventId {
            partition: event::ids::Partition(0),
            offset: event::ids::Offset(0),
            index: 0,
        };
        let row = FlatRow { time_ns: 7, ingest_time_ns: 8, event_id, fields };
        assert_eq!(Entry::from_row(&row), Some(wanted));
        assert_eq!(Entry::from_row(&FlatRow { fields: Vec::new(), ..row }), None);
    }
}
