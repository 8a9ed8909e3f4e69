//! The files that count, by environment, and what is known about each environment's set of them.
//!
//! A set never changes: a flush or compaction makes the next one. So a snapshot is one reference, and what was
//! worked out about a set holds for as long as the set does.
//!
//! What it refuses: to look into files.

use std::collections::BTreeMap;
use std::sync::Arc;

use skein_event::ids::Environment;

use crate::catalog::SegmentId;
use crate::handle::SegmentHandle;
use crate::store::StoredFile;

/// The files of one environment at one moment, by name.
#[derive(Debug, Default)]
pub struct SegmentSet {
    handles: Vec<Arc<SegmentHandle>>,
}

impl SegmentSet {
    /// Its segments.
    pub fn handles(&self) -> &[Arc<SegmentHandle>] {
        &self.handles
    }
}

/// Files that count.
#[derive(Debug, Default)]
pub(crate) struct FileTable {
    environments: BTreeMap<Environment, OfEnvironment>,
}

#[derive(Debug, Default)]
struct OfEnvironment {
    files: BTreeMap<SegmentId, StoredFile>,
    /// The files as readers see them, once somebody has asked since the last change.
    set: Option<Arc<SegmentSet>>,
}

impl FileTable {
    /// All files.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &StoredFile> {
        self.environments.values().flat_map(|of| of.files.values())
    }

    /// The environments that have files.
    pub(crate) fn environments(&self) -> impl Iterator<Item = &Environment> {
        self.environments.iter().filter(|(_, of)| !of.files.is_empty()).map(|(environment, _)| environment)
    }

    /// The files of an environment.
    pub(crate) fn of(&self, environment: &Environment) -> impl Iterator<Item = &StoredFile> {
        self.environments.get(environment).into_iter().flat_map(|of| of.files.values())
    }

    /// Counts a file from now on.
    pub(crate) fn insert(&mut self, file: StoredFile) {
        let of = self.environments.entry(file.row.environment.clone()).or_default();
        of.set = None;
        of.files.insert(file.row.id.clone(), file);
    }

    /// Counts a file no longer.
    pub(crate) fn remove(&mut self, id: &SegmentId) -> Option<StoredFile> {
        self.environments.values_mut().find_map(|of| {
            let removed = of.files.remove(id)?;
            of.set = None;
            Some(removed)
        })
    }

    /// The files of an environment as readers see them.
    pub(crate) fn set(&mut self, environment: &Environment) -> Arc<SegmentSet> {
        let Some(of) = self.environments.get_mut(environment) else { return Arc::default() };
        let fresh = || {
            let handles = of.files.values().map(|file| Arc::clone(&file.handle)).collect();
            Arc::new(SegmentSet { handles })
        };
        Arc::clone(of.set.get_or_insert_with(fresh))
    }
}
