//! Retention: events go when they have been here for long enough, counted from their arrival, or when their
//! dataset takes more room than it may (DESIGN.md §3; docs/howto/retention.md).
//!
//! A segment of which everything has expired is dropped by one commit. One of which some datasets have expired
//! is rewritten without them. A dataset's part of a segment expires as a whole, with its youngest event: nothing
//! younger is ever removed, and what is older goes at most a segment's span of arrival later.
//!
//! What it refuses: to look at the time of events, to touch import keys or batch keys (a line that was imported
//! stays known after its event is gone), to remove without having noted durably what it removes.

use std::collections::{BTreeMap, BTreeSet};

use skein_event::ids::{Environment, Partition};
use skein_event::limits::{RETENTION_AGE_NS, RETENTION_DATASETS_MAX, RETENTION_SEGMENTS_MAX};

use crate::catalog::{Commit, SegmentId};
use crate::error::{Error, ErrorKind};
use crate::files::Files;
use crate::flush::Prepared;
use crate::segment::RowField;
use crate::store::{Inner, Store, StoredFile};
use crate::written::Work;

/// How long, and how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keep {
    /// Events go this long after their arrival; `None` keeps them.
    pub age_ns: Option<i64>,
    /// Beyond so many bytes of segments the oldest go; `None` for no limit.
    pub bytes_max: Option<u64>,
}

/// How long events are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retention {
    /// For every dataset that has nothing of its own, and for events without a dataset.
    pub default: Keep,
    /// By dataset.
    pub datasets: BTreeMap<String, Keep>,
}

impl Default for Retention {
    fn default() -> Retention {
        let default = Keep { age_ns: Some(RETENTION_AGE_NS), bytes_max: None };
        Retention { default, datasets: BTreeMap::new() }
    }
}

impl Retention {
    /// Checks a configuration; the error is a sentence for the operator.
    pub fn check(&self) -> Result<(), String> {
        if self.datasets.len() > RETENTION_DATASETS_MAX {
            return Err(format!("retention for more than {RETENTION_DATASETS_MAX} datasets"));
        }
        let keeps = self.datasets.iter().map(|(name, keep)| (name.as_str(), keep));
        for (name, keep) in keeps.chain([("the default", &self.default)]) {
            if keep.age_ns.is_some_and(|age| age <= 0) {
                return Err(format!("retention of {name}: an age must be above zero"));
            }
        }
        Ok(())
    }

    fn of(&self, dataset: Option<&str>) -> Keep {
        dataset.and_then(|name| self.datasets.get(name)).copied().unwrap_or(self.default)
    }

    /// The shortest age: a file younger than it has nothing to remove.
    fn age_min_ns(&self) -> Option<i64> {
        self.datasets.values().chain([&self.default]).filter_map(|keep| keep.age_ns).min()
    }

    fn limits_bytes(&self) -> bool {
        self.datasets.values().chain([&self.default]).any(|keep| keep.bytes_max.is_some())
    }
}

// === horizons ===

const FOLDER: &str = "state";
pub(crate) const FILE: &str = "retention";
const FIRST_LINE: &str = "skein retention 1";

/// What retention has removed: per environment and dataset the latest arrival of a removed event. Whoever
/// compares the log with the segments must know.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Horizons {
    horizons: BTreeMap<(Environment, Option<String>), i64>,
}

impl Horizons {
    pub(crate) fn load(files: &Files) -> Result<Horizons, Error> {
        let Some(bytes) = files.read_small(FOLDER, FILE)? else { return Ok(Horizons::default()) };
        // Only a check reads it: without it, what retention removed is taken for missing.
        Ok(Horizons::read(&bytes).unwrap_or_default())
    }

    /// Whether an event of this arrival may be gone, whatever its dataset.
    pub(crate) fn may_be_gone(&self, environment: &Environment, ingest_ns: i64) -> bool {
        self.horizons.iter().any(|((of, _), horizon)| of == environment && ingest_ns <= *horizon)
    }

    fn write(&self) -> Vec<u8> {
        let mut text = format!("{FIRST_LINE}\n");
        for ((environment, dataset), horizon_ns) in &self.horizons {
            let dataset = dataset.as_deref().map_or_else(|| "-".to_owned(), hex);
            text.push_str(&format!("{environment} {horizon_ns} {dataset}\n"));
        }
        format!("{text}crc32c {:08x}\n", crc32c::crc32c(text.as_bytes())).into_bytes()
    }

    fn read(bytes: &[u8]) -> Option<Horizons> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (text, checksum) = text.split_at_checked(text.len().checked_sub("crc32c 00000000\n".len())?)?;
        let checksum = checksum.strip_prefix("crc32c ")?.strip_suffix('\n')?;
        if u32::from_str_radix(checksum, 16).ok()? != crc32c::crc32c(text.as_bytes()) {
            return None;
        }
        let mut lines = text.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut horizons = BTreeMap::new();
        for line in lines {
            let mut words = line.split(' ');
            let environment = Environment::new(words.next()?)?;
            let horizon_ns = words.next()?.parse().ok()?;
            let dataset = match words.next()? {
                "-" => None,
                name => Some(unhex(name)?),
            };
            horizons.insert((environment, dataset), horizon_ns);
        }
        Some(Horizons { horizons })
    }
}

/// A dataset's name is any text; in the file it is one word.
fn hex(text: &str) -> String {
    // An empty name is a name, too.
    format!("x{}", text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn unhex(word: &str) -> Option<String> {
    let digits = word.strip_prefix('x')?.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    String::from_utf8(digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>()?).ok()
}

// === what is in a file ===

/// The rows of each dataset of a file, erased ones included. No file is touched when its summary is known.
fn dataset_rows(file: &StoredFile) -> Result<DatasetRows, Error> {
    file.handle.with_summary(|summary| {
        let rows = summary.datasets()?.into_iter();
        Ok(rows.map(|dataset| (dataset.name.map(str::to_owned), dataset.rows)).collect())
    })
}

/// What is to be done about a file.
enum Fate {
    Stays,
    Goes,
    /// It is rewritten without these datasets.
    Loses(BTreeSet<Option<String>>),
}

/// The datasets of a file, each with the number of its rows.
type DatasetRows = Vec<(Option<String>, u64)>;

/// A file and the datasets that it loses.
type Losing = (StoredFile, BTreeSet<Option<String>>);

impl Store {
    /// Removes what has expired: drops a number of segments, or rewrites one. Returns whether there was anything.
    ///
    /// POST: no event whose time is not over is removed, unless its dataset takes more bytes than it may; then
    /// those that arrived first go.
    pub fn retain_next(&self) -> Result<bool, Error> {
        let inner = &self.inner;
        let _maintaining = inner.begin_maintenance();
        let started = inner.clock.now_ns();
        let (going, losing) = inner.expired(started);
        let outcome = match losing {
            None if going.is_empty() => return Ok(false),
            Some((file, datasets)) if going.is_empty() => inner
                .lose_datasets(&file, &datasets, started)
                .inspect_err(|error| inner.after_failed_rewrite(std::slice::from_ref(&file), error)),
            _ => inner.drop_files(going, started),
        };
        if let Err(error) = &outcome
            && error.kind() != ErrorKind::Stopping
        {
            inner.observe_failure("retention", started, inner.clock.now_ns(), Partition(0), error);
        }
        outcome.map(|()| true)
    }

    /// Whether an event of this dataset and arrival may be gone by retention.
    pub fn removed_by_retention(
        &self,
        environment: &Environment,
        dataset: Option<&str>,
        ingest_ns: i64,
    ) -> bool {
        let state = self.inner.state();
        let key = (environment.clone(), dataset.map(str::to_owned));
        state.horizons.horizons.get(&key).is_some_and(|horizon| ingest_ns <= *horizon)
    }
}

impl Inner {
    /// The files that go now, and one that loses datasets.
    fn expired(&self, now_ns: i64) -> (Vec<StoredFile>, Option<Losing>) {
        let retention = &self.config.retention;
        let old_enough = |file: &StoredFile| {
            let age_ns = now_ns.saturating_sub(file.row.ingest_range.1);
            retention.limits_bytes() || retention.age_min_ns().is_some_and(|age| age_ns > age)
        };
        let (mut files, failed) = {
            let state = self.state();
            let files: Vec<StoredFile> =
                state.files.iter().filter(|file| old_enough(file)).cloned().collect();
            // What cannot be rewritten waits for the next start, and must not keep the rest for ever.
            let failed = state.tiers_passed.iter().filter(|(_, passed)| **passed == usize::MAX);
            (files, failed.map(|(id, _)| id.clone()).collect::<BTreeSet<SegmentId>>())
        };
        // The youngest first, as bytes are counted.
        files.sort_by_key(|file| std::cmp::Reverse((file.row.ingest_range.1, file.row.id.clone())));
        let mut room: BTreeMap<(Environment, Option<String>), u64> = BTreeMap::new();
        let (mut going, mut losing) = (Vec::new(), None);
        for file in files {
            match self.fate(&file, now_ns, &mut room) {
                Ok(Fate::Stays) => {}
                Ok(Fate::Goes) => going.push(file),
                Ok(Fate::Loses(_)) if failed.contains(&file.row.id) => {}
                Ok(Fate::Loses(datasets)) => losing = Some((file, datasets)),
                Err(error) => self.after_failed_rewrite(&[file], &error),
            }
        }
        (going, losing)
    }

    fn fate(
        &self,
        file: &StoredFile,
        now_ns: i64,
        room: &mut BTreeMap<(Environment, Option<String>), u64>,
    ) -> Result<Fate, Error> {
        let retention = &self.config.retention;
        let age_ns = now_ns.saturating_sub(file.row.ingest_range.1);
        if retention.datasets.is_empty() && retention.default.bytes_max.is_none() {
            let over = retention.default.age_ns.is_some_and(|age| age_ns > age);
            return Ok(if over { Fate::Goes } else { Fate::Stays });
        }
        let datasets = dataset_rows(file)?;
        let mut expired = BTreeSet::new();
        for (name, rows) in datasets.iter() {
            let keep = retention.of(name.as_deref());
            let share = u128::from(file.row.bytes) * u128::from(*rows) / u128::from(file.row.rows.max(1));
            let used = room.entry((file.row.environment.clone(), name.clone())).or_default();
            *used = used.saturating_add(u64::try_from(share).unwrap_or(u64::MAX));
            let too_old = keep.age_ns.is_some_and(|age| age_ns > age);
            if too_old || keep.bytes_max.is_some_and(|bytes| *used > bytes) {
                expired.insert(name.clone());
            }
        }
        Ok(match expired.len() {
            0 => Fate::Stays,
            all if all == datasets.len() => Fate::Goes,
            _ => Fate::Loses(expired),
        })
    }

    /// Drops files that hold nothing that stays: a commit for the partition of the first.
    fn drop_files(&self, mut files: Vec<StoredFile>, started: i64) -> Result<(), Error> {
        let Some(partition) = files.last().map(|file| file.row.partition) else { return Ok(()) };
        files.retain(|file| file.row.partition == partition);
        // The oldest lie at the end.
        let dropped = files.split_off(files.len().saturating_sub(RETENTION_SEGMENTS_MAX));
        let mut removed = Vec::new();
        for file in &dropped {
            // A file that nobody can read goes like the others; the note says nothing of its datasets then.
            let datasets = dataset_rows(file).unwrap_or_default();
            removed.extend(datasets.into_iter().map(|(name, _)| (file, name)));
        }
        self.note_removed(&removed)?;
        let _writing = self.begin_writing()?;
        let removed_ids = dropped.iter().map(|file| file.row.id.clone()).collect();
        let commit = Commit::exchange(&self.mark(partition), Vec::new(), removed_ids);
        self.settle(Prepared { commit, files: Vec::new(), blocks: Vec::new(), work: Work::Retention })?;
        let ended = self.clock.now_ns();
        for file in &dropped {
            self.observe("retention", started, ended, &file.row, 1, None);
        }
        Ok(())
    }

    fn lose_datasets(
        &self,
        file: &StoredFile,
        datasets: &BTreeSet<Option<String>>,
        started: i64,
    ) -> Result<(), Error> {
        let segment = file.handle.open_whole()?;
        let names = segment.context_datasets()?;
        let contexts = segment.field(RowField::Context)?.to_vec_u32();
        let goes = |context: u32| names.get(context as usize).is_some_and(|name| datasets.contains(name));
        let removed: Vec<u32> =
            (0_u32..).zip(contexts).filter(|(_, context)| goes(*context)).map(|(row, _)| row).collect();
        self.note_removed(&datasets.iter().map(|name| (file, name.clone())).collect::<Vec<_>>())?;
        let id = self.next_segment_id(file.row.partition);
        // What an erasure takes goes at once.
        let erasures = self.state().erasures.of_file(file);
        let mut all: BTreeSet<u32> = self.erased_rows(&erasures, &segment)?.into_iter().collect();
        all.extend(removed);
        let all: Vec<u32> = all.into_iter().collect();
        self.take_rows_out(id, file, &all, Work::Retention, started).map(drop)
    }

    /// Notes durably what is removed next.
    fn note_removed(&self, removed: &[(&StoredFile, Option<String>)]) -> Result<(), Error> {
        let noted = {
            let state = self.state();
            let mut horizons = state.horizons.clone();
            for (file, dataset) in removed {
                let key = (file.row.environment.clone(), dataset.clone());
                let horizon = horizons.horizons.entry(key).or_insert(i64::MIN);
                *horizon = (*horizon).max(file.row.ingest_range.1);
            }
            horizons
        };
        self.files.replace(FOLDER, FILE, &noted.write())?;
        self.state().horizons = noted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horizons_come_back_and_damage_shows() {
        let mut horizons = Horizons::default();
        for (dataset, horizon) in [(None, 5), (Some(String::new()), 6), (Some("a b\nü".to_owned()), -7)] {
            horizons.horizons.insert((Environment::default_environment(), dataset), horizon);
        }
        let bytes = horizons.write();
        assert_eq!(Horizons::read(&bytes), Some(horizons));
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert_eq!(Horizons::read(&damaged), None, "byte {place}");
        }
    }

    #[test]
    fn a_dataset_without_a_rule_has_the_default() {
        let keep = |age_ns| Keep { age_ns: Some(age_ns), bytes_max: None };
        let retention = Retention { default: keep(10), datasets: [("a".to_owned(), keep(3))].into() };
        assert_eq!(
            (retention.of(Some("a")), retention.of(Some("b")), retention.of(None)),
            (keep(3), keep(10), keep(10))
        );
        assert_eq!(retention.age_min_ns(), Some(3));
        assert!(retention.check().is_ok());
        assert!(Retention { default: keep(0), ..retention }.check().is_err());
    }
}
