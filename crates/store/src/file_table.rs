//! The files that count, by environment, and what is known about each environment's set of them.
//!
//! A set never changes: a flush or compaction makes the next one. So a snapshot is one reference, and what was
//! worked out about a set holds for as long as the set does.
//!
//! What it refuses: to look into files.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, OnceLock};

use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Partition};
use skein_event::split::partition_of_trace;

use crate::catalog::SegmentId;
use crate::error::Error;
use crate::footers::{Filtered, Merged};
use crate::handle::SegmentHandle;
use crate::segment::{TraceFilter, trace_hash};
use crate::store::StoredFile;

/// The files of one environment at one moment, by name.
#[derive(Debug, Default)]
pub struct SegmentSet {
    handles: Vec<Arc<SegmentHandle>>,
    /// What was known about an earlier set, most of which this one still has.
    base: Option<Base>,
    merged: OnceLock<Arc<Merged>>,
    /// The places of the segments of each partition.
    by_partition: OnceLock<BTreeMap<Partition, Vec<u32>>>,
    layout: Option<TraceLayout>,
}

/// What is known about some segments together.
#[derive(Clone, Debug)]
struct Base {
    merged: Arc<Merged>,
    /// Whose summaries are in it, no more and no less.
    covered: Arc<HashSet<SegmentId>>,
}

impl SegmentSet {
    /// Its segments.
    pub fn handles(&self) -> &[Arc<SegmentHandle>] {
        &self.handles
    }

    /// The summary of all of them, without what erasures take. Worked out once for a set, from that of the set before it and what is new; an error
    /// names the segment that could not be read by its place.
    pub fn merged(&self) -> Result<Arc<Merged>, (usize, Error)> {
        if let Some(merged) = self.merged.get() {
            return Ok(Arc::clone(merged));
        }
        let mut merged = self.base.as_ref().map(|base| Merged::clone(&base.merged)).unwrap_or_default();
        let covered = |handle: &SegmentHandle| match (&self.base, handle.row()) {
            (Some(base), Some(row)) => base.covered.contains(&row.id),
            _ => false,
        };
        for (place, handle) in self.handles.iter().enumerate().filter(|(_, handle)| !covered(handle)) {
            let summary = handle.visible_summary().map_err(|error| (place, error))?;
            merged.add(&summary).map_err(|error| (place, error))?;
        }
        Ok(Arc::clone(self.merged.get_or_init(|| Arc::new(merged))))
    }

    /// The places of the segments that may hold a trace: those of its partition whose filter lets it pass, which one in
    /// 256 of the others does, too. No file is touched.
    pub fn of_trace(&self, environment: &Environment, trace_id: &[u8; 16]) -> Vec<usize> {
        let Some(layout) = self.layout else { return (0..self.handles.len()).collect() };
        let hash = trace_hash(layout.hash_key, trace_id);
        let partition = partition_of_trace(environment, trace_id, layout.partitions, layout.hash_key);
        let places = self.by_partition.get_or_init(|| {
            let mut places: BTreeMap<Partition, Vec<u32>> = BTreeMap::new();
            for (place, handle) in (0_u32..).zip(&self.handles) {
                places.entry(handle.partition()).or_default().push(place);
            }
            places
        });
        let may_hold = |handle: &Arc<SegmentHandle>| {
            let asked = handle.with_summary(|summary| match summary.trace_filter()? {
                Filtered::Unknown => Ok(true),
                Filtered::NoTraces => Ok(false),
                Filtered::By(bytes) => Ok(TraceFilter::open(bytes)?.contains(hash)),
            });
            // What cannot be asked is looked at, and fails there.
            asked.unwrap_or(true)
        };
        let of_partition = places.get(&partition).into_iter().flatten().map(|&place| place as usize);
        of_partition.filter(|&place| may_hold(&self.handles[place])).collect()
    }

    fn base(&self) -> Option<Base> {
        let Some(merged) = self.merged.get() else { return self.base.clone() };
        let ids = self.handles.iter().filter_map(|handle| handle.row()).map(|row| row.id.clone());
        Some(Base { merged: Arc::clone(merged), covered: Arc::new(ids.collect()) })
    }
}

/// How the traces of a store lie in its partitions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TraceLayout {
    /// Partitions of the log.
    pub(crate) partitions: u16,
    /// The deployment's hash key.
    pub(crate) hash_key: HashKey,
}

/// Files that count.
#[derive(Debug, Default)]
pub(crate) struct FileTable {
    environments: BTreeMap<Environment, OfEnvironment>,
    layout: Option<TraceLayout>,
}

#[derive(Debug, Default)]
struct OfEnvironment {
    files: BTreeMap<SegmentId, StoredFile>,
    /// The files as readers see them, once somebody has asked since the last change.
    set: Option<Arc<SegmentSet>>,
    /// What is known about most of them.
    base: Option<Base>,
}

impl OfEnvironment {
    /// Files are about to change.
    fn change(&mut self) {
        if let Some(set) = self.set.take() {
            self.base = set.base();
        }
    }
}

impl FileTable {
    pub(crate) fn new(layout: TraceLayout) -> FileTable {
        FileTable { environments: BTreeMap::new(), layout: Some(layout) }
    }

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

    /// Whether a file counts.
    pub(crate) fn contains(&self, id: &SegmentId) -> bool {
        self.environments.values().any(|of| of.files.contains_key(id))
    }

    /// Counts a file from now on.
    pub(crate) fn insert(&mut self, file: StoredFile) {
        let of = self.environments.entry(file.row.environment.clone()).or_default();
        of.change();
        of.files.insert(file.row.id.clone(), file);
    }

    /// Counts a file no longer.
    pub(crate) fn remove(&mut self, id: &SegmentId) -> Option<StoredFile> {
        self.environments.values_mut().find_map(|of| {
            let removed = of.files.remove(id)?;
            of.change();
            // What was added up cannot be taken apart again.
            of.base = of.base.take().filter(|base| !base.covered.contains(id));
            Some(removed)
        })
    }

    /// Counts files no longer, and others instead. Returns the former. Where these hold the same events, as after a
    /// compaction, what is known about all of them together stays.
    pub(crate) fn replace(&mut self, old: &[SegmentId], new: Vec<StoredFile>) -> Vec<StoredFile> {
        let environments: HashSet<&Environment> = new.iter().map(|file| &file.row.environment).collect();
        let mut kept = None;
        if let ([environment], false) =
            (&environments.into_iter().cloned().collect::<Vec<_>>()[..], old.is_empty())
            && let Some(of) = self.environments.get_mut(environment)
        {
            of.change();
            let rows = |ids: &[SegmentId]| {
                ids.iter().map(|id| of.files.get(id).map_or(0, |file| file.row.rows)).sum()
            };
            let before: u64 = rows(old);
            let after: u64 = new.iter().map(|file| file.row.rows).sum();
            let known = of
                .base
                .take()
                .filter(|base| before == after && old.iter().all(|id| base.covered.contains(id)));
            kept = known.map(|base| {
                let mut covered = HashSet::clone(&base.covered);
                covered.retain(|id| !old.contains(id));
                covered.extend(new.iter().map(|file| file.row.id.clone()));
                (environment.clone(), Base { merged: base.merged, covered: Arc::new(covered) })
            });
        }
        let removed = old.iter().filter_map(|id| self.remove(id)).collect();
        new.into_iter().for_each(|file| self.insert(file));
        if let Some((environment, base)) = kept
            && let Some(of) = self.environments.get_mut(&environment)
        {
            of.base = Some(base);
        }
        removed
    }

    /// Forgets what is known about the files of an environment together: something of them is hidden from now on.
    pub(crate) fn forget_merged(&mut self, environment: &Environment) {
        if let Some(of) = self.environments.get_mut(environment) {
            of.set = None;
            of.base = None;
        }
    }

    /// The files of an environment as readers see them.
    pub(crate) fn set(&mut self, environment: &Environment) -> Arc<SegmentSet> {
        let layout = self.layout;
        let Some(of) = self.environments.get_mut(environment) else { return Arc::default() };
        let fresh = || {
            let handles = of.files.values().map(|file| Arc::clone(&file.handle)).collect();
            Arc::new(SegmentSet { handles, base: of.base.clone(), layout, ..SegmentSet::default() })
        };
        Arc::clone(of.set.get_or_insert_with(fresh))
    }
}
