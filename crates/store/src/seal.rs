//! Sealing: closed blocks of the heads become segments in memory, several times smaller than the batches that they replace.
//!
//! After a start most of what it seals lies in the log, and is read back for it, block after block.
//!
//! What it refuses: to seal while a start replays the log, unless what is held of it passes a bound: a start is to
//! be quick, and encoding is not. And to go on silently without a record that was acknowledged: a damaged one is named, one
//! that cannot be read is an error and stays where it is.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use skein_event::ids::{Offset, Partition};

use crate::error::{Error, ErrorKind};
use crate::handle::SegmentHandle;
use crate::head::{self, Block, Encoding, HeadKey, Held, Part, ToEncode};
use crate::recovery::{Finding, FindingKind};
use crate::segment::Compression;
use crate::store::{Inner, State};

/// One block of the heads.
#[derive(Clone, Debug)]
pub(crate) struct BlockPlace {
    pub(crate) partition: Partition,
    pub(crate) key: HeadKey,
    pub(crate) number: u64,
}

impl Inner {
    /// Encodes a block's parts, and keeps the result with the block if it is still there. `None` when nothing is left of
    /// them: their bytes in the log are damaged, which is told.
    pub(crate) fn encode_block(
        &self,
        place: &BlockPlace,
        wanted: &ToEncode,
    ) -> Result<Option<Arc<SegmentHandle>>, Error> {
        let _turn = wanted.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let count = wanted.parts.len();
        if let Some(known) = self.with_block(place, |block| block.encoded(count)).flatten() {
            return Ok(Some(known));
        }
        let parts = self.read_back(place, &wanted.parts)?;
        if parts.is_empty() {
            return Ok(None);
        }
        let target = head::target(self.config.hash_key, place.partition, &place.key, Compression::None);
        let segment = Arc::new(SegmentHandle::loaded(head::encode_parts(&parts, &target)?));
        self.with_block(place, |block| block.set_encoded(count, &segment));
        Ok(Some(segment))
    }

    /// The events of parts. Those that lie in the log are read; what is damaged there is named and left out from now on,
    /// and what cannot be read is an error: it may be read later.
    fn read_back(&self, place: &BlockPlace, parts: &[Held]) -> Result<Vec<Part>, Error> {
        let mut read = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Held::Here(part) => read.push(part.clone()),
                Held::Stored { events, offset, append_time_ns } => match self.files.read_events(events) {
                    Ok(batch) => read.push(Part {
                        batch: Arc::new(batch),
                        offset: *offset,
                        append_time_ns: *append_time_ns,
                        indexes: None,
                    }),
                    Err(error) if error.kind() == ErrorKind::Damaged => {
                        self.lose(place, *offset, events.path(), &error);
                    }
                    Err(error) => return Err(error),
                },
                Held::Lost => {}
            }
        }
        Ok(read)
    }

    /// Goes on without a record whose bytes in the log are damaged, and says so once.
    fn lose(&self, place: &BlockPlace, offset: Offset, path: &Path, error: &Error) {
        if self.with_block(place, |block| block.lose(offset)) != Some(true) {
            return;
        }
        let message = format!(
            "{error}. Its file stays in the log as a second copy for up to 24 hours; nothing else of it is affected"
        );
        let (path, kind) = (path.to_owned(), FindingKind::LogDamaged);
        {
            let mut state = self.state();
            state.findings.push(Finding { kind, segment: None, path, message });
            state.version += 1;
        }
        let now = self.clock.now_ns();
        self.observe_failure("replay", now, now, place.partition, error);
    }

    /// Whether a block is still in the heads: what it holds may lie in a file by now, and its records may be gone from
    /// the log.
    pub(crate) fn has_block(&self, place: &BlockPlace) -> bool {
        self.with_block(place, |_| ()).is_some()
    }

    fn with_block<T>(&self, place: &BlockPlace, work: impl FnOnce(&mut Block) -> T) -> Option<T> {
        let mut state = self.state();
        let partition = state.partitions.get_mut(usize::from(place.partition.0))?;
        let head = partition.heads.get_mut(&place.key)?;
        head.blocks.iter_mut().find(|block| block.number == place.number).map(work)
    }

    /// Takes a block out of which nothing is left.
    pub(crate) fn drop_empty(&self, place: &BlockPlace) {
        let mut state = self.state();
        let partition = state.partitions.get_mut(usize::from(place.partition.0));
        if let Some(head) = partition.and_then(|partition| partition.heads.get_mut(&place.key)) {
            head.blocks.retain(|block| block.number != place.number || block.rows() > 0);
        }
    }

    /// Encodes closed blocks. Returns whether there was any.
    pub(crate) fn seal(&self) -> Result<bool, Error> {
        let mut sealed = false;
        while let Some((place, wanted)) = self.next_unsealed() {
            match self.encode_block(&place, &wanted) {
                Ok(Some(_)) => {}
                Ok(None) => self.drop_empty(&place),
                // A flush was faster, and took the records out of the log.
                Err(_) if !self.has_block(&place) => {}
                Err(error) => return Err(error),
            }
            self.room.notify_all();
            sealed = true;
        }
        Ok(sealed)
    }

    fn next_unsealed(&self) -> Option<(BlockPlace, ToEncode)> {
        let state = self.state();
        for partition in &state.partitions {
            for (key, head) in &partition.heads {
                let waiting = head.blocks.iter().find(|block| block.wants_sealing());
                if let Some((block, Encoding::Needed(wanted))) =
                    waiting.map(|block| (block, block.encoding()))
                {
                    let (partition, key) = (partition.mark.partition, key.clone());
                    return Some((BlockPlace { partition, key, number: block.number }, wanted));
                }
            }
        }
        None
    }

    /// From now on records come from clients: blocks that lie in the log take no more, or each of them would have the block
    /// read back again.
    pub(crate) fn close_replayed(state: &mut State) {
        let heads = state.partitions.iter_mut().flat_map(|partition| partition.heads.values_mut());
        let replayed = heads.flat_map(|head| &mut head.blocks).filter(|block| block.is_in_log());
        replayed.for_each(Block::close);
    }

    /// Encodes head blocks of a replay once batches take much memory: no thread of the store runs yet.
    pub(crate) fn seal_in_replay(&self) {
        let waits = {
            let state = self.state();
            !state.running && state.batch_bytes() > self.config.replay_batch_bytes_max
        };
        if waits && let Err(error) = self.seal() {
            // The batches stay as they are, and whoever flushes them meets the error again.
            tracing::warn!(%error, "events of the log could not be encoded while they were read back");
        }
    }
}
