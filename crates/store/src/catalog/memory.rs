//! The model of a catalog: what [`Catalog`] promises, in its plainest form. Conformance tests hold SQLite to
//! it, and crash tests use it as a catalog that cannot lose a commit.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use skein_event::ids::{Environment, Offset, Partition};

use super::{Catalog, Commit, Content, ImportLines, PartitionMark, SegmentId, SegmentRow};
use crate::error::{Error, ErrorKind};

type ImportKey = (Environment, Partition, [u8; 32], u32);

/// A catalog in memory.
#[derive(Debug, Default)]
pub struct MemoryCatalog {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    marks: BTreeMap<Partition, PartitionMark>,
    segments: BTreeMap<SegmentId, SegmentRow>,
    imports: BTreeMap<ImportKey, ImportLines>,
}

impl MemoryCatalog {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Catalog for MemoryCatalog {
    fn partitions(&self) -> Result<Vec<PartitionMark>, Error> {
        Ok(self.state().marks.values().cloned().collect())
    }

    fn take_over(&self, partitions: u16) -> Result<Vec<PartitionMark>, Error> {
        let mut state = self.state();
        for partition in (0..partitions).map(Partition) {
            let fresh = PartitionMark { partition, epoch: 0, low: Offset(0), applied: Vec::new() };
            state.marks.entry(partition).or_insert(fresh).epoch += 1;
        }
        Ok(state.marks.values().cloned().collect())
    }

    fn segments(&self) -> Result<Vec<SegmentRow>, Error> {
        Ok(self.state().segments.values().cloned().collect())
    }

    fn imports(&self) -> Result<Vec<ImportLines>, Error> {
        Ok(self.state().imports.values().cloned().collect())
    }

    fn content(&self) -> Result<Content, Error> {
        let state = self.state();
        Ok(Content {
            marks: state.marks.values().cloned().collect(),
            segments: state.segments.values().cloned().collect(),
            imports: state.imports.values().cloned().collect(),
        })
    }

    fn has_segment(&self, id: &SegmentId) -> Result<bool, Error> {
        Ok(self.state().segments.contains_key(id))
    }

    fn commit(&self, commit: &Commit) -> Result<(), Error> {
        let mut state = self.state();
        let mark = state.marks.get(&commit.partition);
        let current = mark.is_some_and(|mark| mark.epoch == commit.epoch && mark.low == commit.expected_low);
        let removable = commit.remove.iter().all(|id| state.segments.contains_key(id));
        if !current || !removable {
            return Err(fenced(commit));
        }
        if let Some(mark) = state.marks.get_mut(&commit.partition) {
            mark.low = commit.new_low;
            mark.applied.clone_from(&commit.applied);
        }
        for id in &commit.remove {
            state.segments.remove(id);
        }
        for row in &commit.add {
            state.segments.insert(row.id.clone(), row.clone());
        }
        for lines in &commit.imports {
            let key = (lines.environment.clone(), lines.partition, lines.file, lines.number);
            state.imports.insert(key, lines.clone());
        }
        Ok(())
    }
}

/// The error of a commit that came too late.
pub(super) fn fenced(commit: &Commit) -> Error {
    let message = format!(
        "partition {} is no longer written by epoch {} at offset {}: another writer has taken over",
        commit.partition.0, commit.epoch, commit.expected_low.0
    );
    Error::new(ErrorKind::Fenced, message)
}
