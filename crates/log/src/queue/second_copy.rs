//! What the queue knows of committed records: which files may go, and which keys a checkpoint has to have.

use std::collections::{BTreeMap, VecDeque};

use skein_event::ids::Partition;

use super::Queue;
use crate::dedup::KeyDigest;
use crate::retention::{Committed, Victim, choose};
use crate::state_file::{ClosedEnd, StoredKey};

/// Keys of a partition's records that no checkpoint has yet, in order of offset: those of what is not committed.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    covered_below: u64,
    keys: VecDeque<(u64, i64, KeyDigest)>,
}

impl Recent {
    /// After a checkpoint of everything below an offset.
    pub(crate) fn covered(covered_below: u64) -> Recent {
        Recent { covered_below, keys: VecDeque::new() }
    }

    pub(crate) fn push(&mut self, offset: u64, time_ns: i64, digest: KeyDigest) {
        self.keys.push_back((offset, time_ns, digest));
    }
}

impl Queue {
    /// Every record of the partition below this offset is in segments.
    pub(crate) fn note_committed(&self, partition: Partition, below: u64) {
        if let Some(committed) = self.lock().committed.get_mut(usize::from(partition.0)) {
            *committed = below.max(*committed);
        }
    }

    /// Chooses what may be deleted, with log time.
    pub(crate) fn choose_victims(
        &self,
        now_ns: i64,
        retention_ns: i64,
        bytes_max: u64,
    ) -> (Vec<Victim>, i64) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let now_ns = state.log_time.advance(now_ns);
        (choose(&state.files, &state.committed, now_ns, retention_ns, bytes_max), now_ns)
    }

    /// What a checkpoint of a partition has to add; `None` when it has everything.
    pub(crate) fn uncovered(&self, partition: Partition) -> Option<Committed> {
        let state = self.lock();
        let number = usize::from(partition.0);
        let (below, next_offset) = (*state.committed.get(number)?, *state.durable.get(number)?);
        let recent = state.recent.get(number)?;
        let last = state.files.get(number)?.last_key_value();
        // A group that is being written now makes the file longer than this says, and the end void.
        let is_closed = state.closing && state.pending.is_empty();
        let closed = last.filter(|_| is_closed && below == next_offset);
        let closed =
            closed.map(|(&first_offset, facts)| ClosedEnd { next_offset, first_offset, bytes: facts.bytes });
        if below <= recent.covered_below && closed.is_none() {
            return None;
        }
        let of_committed = recent.keys.iter().take_while(|(offset, _, _)| *offset < below);
        let keys = of_committed.map(|&(_, time_ns, digest)| {
            let reply = state.keys.reply(digest).map(<[u8]>::to_vec).unwrap_or_default();
            StoredKey { digest, time_ns, reply }
        });
        Some(Committed { below: below.max(recent.covered_below), keys: keys.collect(), closed })
    }

    /// Every key below it is in a checkpoint that is known to be durable.
    pub(crate) fn covered_below(&self, partition: Partition) -> u64 {
        self.lock().recent.get(usize::from(partition.0)).map_or(0, |recent| recent.covered_below)
    }

    /// A checkpoint has every key below this offset.
    pub(crate) fn covered(&self, partition: Partition, below: u64) {
        if let Some(recent) = self.lock().recent.get_mut(usize::from(partition.0)) {
            recent.covered_below = below;
            while recent.keys.front().is_some_and(|(offset, _, _)| *offset < below) {
                recent.keys.pop_front();
            }
        }
    }

    /// A file is gone.
    pub(crate) fn deleted(&self, victim: &Victim) {
        let mut state = self.lock();
        if let Some(files) = state.files.get_mut(usize::from(victim.partition.0)) {
            files.remove(&victim.first_offset);
        }
    }

    /// The log's files: first offset and bytes.
    pub(crate) fn files(&self, partition: Partition) -> BTreeMap<u64, u64> {
        let state = self.lock();
        let files = state.files.get(usize::from(partition.0));
        files.into_iter().flatten().map(|(&first_offset, facts)| (first_offset, facts.bytes)).collect()
    }
}
