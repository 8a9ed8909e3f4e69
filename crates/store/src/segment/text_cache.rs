//! Blocks of text that were unpacked for a single value, kept for the next one: the dictionaries of most columns fit a
//! block, and rows that are shown together or one after another ask the same ones.
//!
//! One cache serves all files of a store, so that its bound is one. What it refuses to do: to keep what a scan
//! unpacks, which reads each block once, and blocks that would fill it by themselves.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bytes::length;
use super::reader::Segment;

/// Threads that ask at once meet in one of so many parts rarely.
const SHARDS: usize = 8;
/// What a block takes beside its bytes, about.
const BLOCK_OVERHEAD_BYTES: usize = 160;
/// A block takes such a part of its shard at most.
const BLOCK_FRACTION: usize = 8;

/// A block of text, unpacked and checked.
#[derive(Debug)]
pub(super) struct UnpackedBlock {
    pub(super) plain: Vec<u8>,
    /// Where each value starts, and where the last one ends.
    pub(super) starts: Vec<u32>,
}

impl UnpackedBlock {
    fn bytes(&self) -> usize {
        self.plain.len() + self.starts.len() * size_of::<u32>() + BLOCK_OVERHEAD_BYTES
    }
}

/// The file, and where in it the block begins.
type Key = (u64, u64);

/// Unpacked blocks of text of many files, bounded by their bytes. Those that nobody asked for again go first.
#[derive(Debug)]
pub struct TextCache {
    shards: [Mutex<Shard>; SHARDS],
    shard_bytes_max: usize,
    files: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    blocks: HashMap<Key, Kept>,
    /// Roughly from the one that was asked for longest ago.
    order: VecDeque<Key>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    block: Arc<UnpackedBlock>,
    /// Since it was passed over last.
    is_touched: bool,
}

impl TextCache {
    /// An empty one that keeps so many bytes at most.
    pub fn new(bytes_max: usize) -> TextCache {
        TextCache {
            shards: std::array::from_fn(|_| Mutex::default()),
            shard_bytes_max: bytes_max / SHARDS,
            files: AtomicU64::new(0),
        }
    }

    /// Bytes that it keeps.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).bytes).sum()
    }

    /// A number for a file that nothing else has had.
    pub(super) fn next_file(&self) -> u64 {
        self.files.fetch_add(1, Ordering::Relaxed)
    }

    fn shard(&self, (file, at): Key) -> &Mutex<Shard> {
        let mixed = (file.rotate_left(32) ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &self.shards[usize::try_from(mixed >> 61).unwrap_or(0) % SHARDS]
    }

    pub(super) fn get(&self, key: Key) -> Option<Arc<UnpackedBlock>> {
        let mut shard = lock(self.shard(key));
        let kept = shard.blocks.get_mut(&key)?;
        kept.is_touched = true;
        Some(Arc::clone(&kept.block))
    }

    /// Keeps a block unless it is too large.
    pub(super) fn keep(&self, key: Key, block: &Arc<UnpackedBlock>) {
        let bytes = block.bytes();
        if bytes > self.shard_bytes_max / BLOCK_FRACTION {
            return;
        }
        let mut shard = lock(self.shard(key));
        let kept = Kept { block: Arc::clone(block), is_touched: false };
        if shard.blocks.insert(key, kept).is_some() {
            // Two threads unpacked the same block: it is counted already.
            return;
        }
        shard.order.push_back(key);
        shard.bytes += bytes;
        while shard.bytes > self.shard_bytes_max {
            let Some(oldest) = shard.order.pop_front() else { break };
            let Some(kept) = shard.blocks.get_mut(&oldest) else { continue };
            if std::mem::take(&mut kept.is_touched) {
                shard.order.push_back(oldest);
            } else if let Some(kept) = shard.blocks.remove(&oldest) {
                shard.bytes -= kept.block.bytes();
            }
        }
    }
}

impl Segment {
    /// The same segment, whose blocks of text are kept in a cache once they were unpacked for single values.
    pub fn kept_in(mut self, cache: &Arc<TextCache>) -> Segment {
        self.kept = Some((Arc::clone(cache), cache.next_file()));
        self
    }

    /// A block of text that was unpacked before.
    pub(super) fn kept_block(&self, stored: &[u8]) -> Option<Arc<UnpackedBlock>> {
        let (cache, file) = self.kept.as_ref()?;
        cache.get((*file, length(self.place_of(stored))))
    }

    pub(super) fn keep_block(&self, stored: &[u8], block: &Arc<UnpackedBlock>) {
        if let Some((cache, file)) = &self.kept {
            cache.keep((*file, length(self.place_of(stored))), block);
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(byte: u8) -> Arc<UnpackedBlock> {
        Arc::new(UnpackedBlock { plain: vec![byte; 1_000], starts: vec![0, 1_000] })
    }

    #[test]
    fn what_is_asked_for_stays_and_the_bound_holds() {
        let cache = TextCache::new(SHARDS * 10 * 1_200);
        let file = cache.next_file();
        cache.keep((file, 0), &block(7));
        for at in 1..1_000 {
            cache.keep((file, at), &block(8));
            assert!(cache.get((file, 0)).is_some_and(|block| block.plain[0] == 7), "{at}");
            assert!(cache.bytes() <= SHARDS * 10 * 1_200);
        }
        assert!(cache.bytes() > SHARDS * 8 * 1_168);
        assert!(cache.get((file, 1)).is_none());
        assert!(cache.get((cache.next_file(), 0)).is_none());
    }

    #[test]
    fn a_block_that_would_fill_it_is_not_kept() {
        let cache = TextCache::new(SHARDS * 8 * 1_000);
        cache.keep((0, 0), &block(1));
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn a_block_that_comes_twice_counts_once() {
        let cache = TextCache::new(1 << 20);
        cache.keep((0, 0), &block(1));
        let bytes = cache.bytes();
        cache.keep((0, 0), &block(1));
        assert_eq!(cache.bytes(), bytes);
    }
}
