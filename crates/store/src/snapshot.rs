//! What readers see: everything of one environment, as of one moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use skein_event::ids::Environment;

use crate::error::Error;
use crate::file_table::SegmentSet;
use crate::handle::SegmentHandle;
use crate::head::Encoding;
use crate::seal::BlockPlace;
use crate::segment::Segment;
use crate::store::Store;

/// Everything of one environment that was acknowledged when it was taken. Its files stay readable as long as
/// it lives. There is none without an environment (invariant I10).
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Whose events.
    pub environment: Environment,
    /// Two snapshots of one store with the same number hold the same events.
    pub id: u64,
    /// The time through which everything acknowledged is part of it (SEMANTICS.md, "Time").
    pub complete_to_ns: i64,
    /// Files by name, then head blocks by partition in the order of the log.
    pub segments: Segments,
}

/// The segments of a snapshot: files, then what is in memory only. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Segments {
    files: Arc<SegmentSet>,
    heads: Vec<Arc<SegmentHandle>>,
}

impl Segments {
    /// Segments in memory.
    pub fn loaded(segments: Vec<Arc<Segment>>) -> Segments {
        let heads = segments.into_iter().map(|segment| Arc::new(SegmentHandle::loaded(segment))).collect();
        Segments { files: Arc::default(), heads }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.files.handles().len() + self.heads.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in an order that does not change while they do not.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<SegmentHandle>> {
        self.files.handles().iter().chain(&self.heads)
    }

    /// One by its place in that order.
    pub fn get(&self, place: usize) -> Option<&Arc<SegmentHandle>> {
        let files = self.files.handles();
        files.get(place).or_else(|| self.heads.get(place.checked_sub(files.len())?))
    }

    /// The places of those that may hold a trace. What lies in files is asked by its summary.
    pub fn of_trace(&self, environment: &Environment, trace_id: &[u8; 16]) -> Vec<usize> {
        let mut places = self.files.of_trace(environment, trace_id);
        places.extend(self.files.handles().len()..self.len());
        places
    }

    /// Those that lie in files: a set that stays the same between two flushes, whatever arrives.
    pub fn files(&self) -> &Arc<SegmentSet> {
        &self.files
    }

    /// Those in memory; their places follow the files'.
    pub fn heads(&self) -> &[Arc<SegmentHandle>] {
        &self.heads
    }
}

/// Numbers for `/metrics`, of one environment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EnvironmentStats {
    /// Rows in the head.
    pub head_rows: u64,
    /// Bytes of the head.
    pub head_bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// Their rows.
    pub segment_rows: u64,
    /// Their bytes.
    pub segment_bytes: u64,
    /// When the oldest event of the head was appended.
    pub oldest_head_ns: Option<i64>,
}

impl Store {
    /// Everything of an environment.
    ///
    /// POST: holds every event whose append was acknowledged before the call, and none of another
    /// environment; none that an erasure takes which was acknowledged before the call can be seen in it.
    pub fn snapshot(&self, environment: &Environment) -> Result<Snapshot, Error> {
        loop {
            if let Some(snapshot) = self.try_snapshot(environment)? {
                return Ok(snapshot);
            }
        }
    }

    /// `None` when a flush took a block out of the log before it was read back from there: its events lie in a file now.
    fn try_snapshot(&self, environment: &Environment) -> Result<Option<Snapshot>, Error> {
        // Taken first: what was acknowledged until now is in the state that is read next.
        let complete_to_ns = self.inner.clock.now_ns();
        self.inner.activity.asked(complete_to_ns);
        self.inner.set_failed_aside();
        let (blocks, files, id) = {
            let mut state = self.inner.state();
            let files = state.files.set(environment);
            let mut blocks = Vec::new();
            for state in &state.partitions {
                let partition = state.mark.partition;
                for (key, head) in state.heads.iter().filter(|(key, _)| key.environment == *environment) {
                    let place = |number| BlockPlace { partition, key: key.clone(), number };
                    blocks.extend(head.blocks.iter().map(|block| (place(block.number), block.encoding())));
                }
            }
            (blocks, files, state.version)
        };
        let mut heads = Vec::with_capacity(blocks.len());
        for (place, encoding) in blocks {
            let block = match encoding {
                Encoding::Done(segment) => segment,
                Encoding::Needed(wanted) => match self.inner.encode_block(&place, &wanted) {
                    Ok(Some(segment)) => segment,
                    Ok(None) => continue,
                    Err(_) if !self.inner.has_block(&place) => return Ok(None),
                    Err(error) => return Err(error),
                },
            };
            heads.push(self.inner.visible_block(environment, place.partition, block)?);
        }
        let segments = Segments { files, heads };
        Ok(Some(Snapshot { environment: environment.clone(), id, complete_to_ns, segments }))
    }

    /// Environments that have events.
    pub fn environments(&self) -> BTreeSet<Environment> {
        let state = self.inner.state();
        let heads = state.partitions.iter().flat_map(|partition| partition.heads.keys());
        heads.map(|key| key.environment.clone()).chain(state.files.environments().cloned()).collect()
    }

    /// Numbers about an environment.
    pub fn stats(&self, environment: &Environment) -> EnvironmentStats {
        let state = self.inner.state();
        let mut stats = EnvironmentStats::default();
        for partition in &state.partitions {
            for (_, head) in partition.heads.iter().filter(|(key, _)| key.environment == *environment) {
                stats.head_rows += head.rows() as u64;
                stats.head_bytes += head.bytes() as u64;
                let oldest = head.blocks.iter().map(|block| block.first_append_ns()).min();
                stats.oldest_head_ns = [stats.oldest_head_ns, oldest].into_iter().flatten().min();
            }
        }
        for file in state.files.of(environment) {
            stats.segments += 1;
            stats.segment_rows += file.row.rows;
            stats.segment_bytes += file.row.bytes;
        }
        stats
    }
}
