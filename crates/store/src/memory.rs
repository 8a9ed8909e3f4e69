//! What the store holds in memory, part by part: for operators, and for whoever tunes a limit.
//!
//! What it refuses: to guess. A part is counted where it is allocated; what nobody counts (decoding buffers, the
//! allocator's own reserve) is the difference to what the operating system says of the process.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::Store;

/// Bytes in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// Batches in the heads that are not encoded yet, by estimate.
    pub head_batches: u64,
    /// Encoded blocks of the heads.
    pub head_blocks: u64,
    /// Merges under way, of flushes and of compaction: output, dictionaries, the column at hand.
    pub merges: u64,
    /// What was unpacked of files, kept for whoever asks next.
    pub unpacked: u64,
    /// Summaries that are not yet mapped from `footers.cat`.
    pub summaries: u64,
}

impl Store {
    /// What it holds in memory at this moment.
    pub fn memory(&self) -> Memory {
        let (head_batches, head_blocks) = {
            let state = self.inner.state();
            let blocks = state.partitions.iter().flat_map(|partition| partition.heads.values());
            blocks.flat_map(|head| &head.blocks).fold((0, 0), |(batches, encoded), block| {
                (batches + block.batch_bytes() as u64, encoded + block.encoded_bytes())
            })
        };
        Memory {
            head_batches,
            head_blocks,
            merges: self.inner.merging.0.load(Ordering::Relaxed),
            unpacked: self.inner.opener.unpacked_bytes() as u64,
            summaries: self.inner.footers.owned_bytes() as u64,
        }
    }
}

/// Bytes that merges hold at this moment.
#[derive(Debug, Default)]
pub(crate) struct Merging(AtomicU64);

impl Merging {
    /// The account of one merge.
    pub(crate) fn begin(&self) -> Held<'_> {
        Held { all: self, bytes: 0, highest: 0 }
    }
}

/// What one merge holds, until it is dropped.
pub(crate) struct Held<'a> {
    all: &'a Merging,
    bytes: u64,
    /// The most that it has held.
    pub(crate) highest: u64,
}

impl Held<'_> {
    /// It holds so many bytes now.
    pub(crate) fn note(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.all.0.fetch_add(bytes, Ordering::Relaxed);
        self.all.0.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
        self.highest = self.highest.max(bytes);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Gives memory that was freed back to the operating system. An allocator keeps what a thread frees for what the
/// thread will ask for next, which after a burst is nothing for a long time.
#[derive(Clone, Copy)]
pub struct ReleaseMemory(pub fn());

impl Default for ReleaseMemory {
    /// For allocators that do so by themselves.
    fn default() -> ReleaseMemory {
        ReleaseMemory(|| {})
    }
}

impl std::fmt::Debug for ReleaseMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReleaseMemory")
    }
}

/// No setting that two configurations differ in.
impl PartialEq for ReleaseMemory {
    fn eq(&self, _other: &ReleaseMemory) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_are_counted_while_they_last() {
        let merging = Merging::default();
        let mut one = merging.begin();
        one.note(100);
        let mut other = merging.begin();
        other.note(7);
        one.note(40);
        assert_eq!((merging.0.load(Ordering::Relaxed), one.highest), (47, 100));
        drop(one);
        drop(other);
        assert_eq!(merging.0.load(Ordering::Relaxed), 0);
    }
}
