//! Sealing: closed blocks of the heads become segments in memory, several times smaller than the batches that they replace.
//!
//! What it refuses: to seal while records are read back from the log, unless their batches pass a bound: a start is to
//! be quick, and encoding is not.

use std::sync::Arc;

use skein_event::ids::Partition;

use crate::error::Error;
use crate::head::{self, Encoding, HeadKey, Part};
use crate::segment::{Compression, Segment};
use crate::store::Inner;

impl Inner {
    /// Encodes a block's parts, and keeps the result with the block if it is still there.
    pub(crate) fn encode_block(
        &self,
        partition: usize,
        key: &HeadKey,
        number: u64,
        parts: &[Part],
    ) -> Result<Arc<Segment>, Error> {
        let numbered = Partition(u16::try_from(partition).unwrap_or(u16::MAX));
        let target = head::target(self.config.hash_key, numbered, key, Compression::None);
        let segment = head::encode_parts(parts, &target)?;
        let mut state = self.state();
        let head = state.partitions.get_mut(partition).and_then(|partition| partition.heads.get_mut(key));
        let block = head.and_then(|head| head.blocks.iter_mut().find(|block| block.number == number));
        if let Some(block) = block {
            block.set_encoded(parts.len(), &segment);
        }
        Ok(segment)
    }

    /// Encodes closed blocks. Returns whether there was any.
    pub(crate) fn seal(&self) -> Result<bool, Error> {
        let mut sealed = false;
        while let Some((partition, key, number, parts)) = self.next_unsealed() {
            self.encode_block(partition, &key, number, &parts)?;
            self.room.notify_all();
            sealed = true;
        }
        Ok(sealed)
    }

    fn next_unsealed(&self) -> Option<(usize, HeadKey, u64, Vec<Part>)> {
        let state = self.state();
        for (partition, partition_state) in state.partitions.iter().enumerate() {
            for (key, head) in &partition_state.heads {
                let waiting = head.blocks.iter().find(|block| block.wants_sealing());
                if let Some((block, Encoding::Needed(parts))) = waiting.map(|block| (block, block.encoding()))
                {
                    return Some((partition, key.clone(), block.number, parts));
                }
            }
        }
        None
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
